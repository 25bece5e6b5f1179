/*
 * snp.c - SEV-SNP: the commands of KVM_MEMORY_ENCRYPT_OP, KVM's attributes, what a launch forbids.
 *
 * Rules are from Documentation/virt/kvm/x86/amd-memory-encryption.rst (cited by command) and from
 * the sources of KVM where that names no errno; none was observed, for there was no such hardware.
 * The firmware (SNP ABI, 56860) is played as far as it refuses things.
 */
#include "tests/fakekvm/x86/x86.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NO_SNP (-ENOTTY) /* a VM of another type, or before KVM_SEV_INIT2 */

/* Codes of the firmware. */
#define FW_INVALID_GUEST_STATE 0x02
#define FW_POLICY_FAILURE      0x07
#define FW_INVALID_PARAM       0x16

#define POLICY_RESERVED_1 BIT(17)
#define POLICY_BITS	  0x1fffffull /* that KVM takes, as of Linux 6.17 */

/* ---- What the host is like ---- */

static struct x86_snp_host *host_of(struct fakekvm *fk)
{
	return &((struct x86_host *)fk->arch)->snp;
}

void x86_snp_init(struct fakekvm *fk)
{
	struct x86_snp_host *h = host_of(fk);
	static const struct fake_cap caps[] = {
		{ KVM_CAP_EXIT_HYPERCALL, 1 << KVM_HC_MAP_GPA_RANGE },
		{ KVM_CAP_SYS_ATTRIBUTES, 1 },
		{ KVM_CAP_USER_MEMORY2, 1 },
		{ KVM_CAP_MEMORY_ATTRIBUTES, 1 << 3 },
		{ KVM_CAP_GUEST_MEMFD, 1 },
		{ KVM_CAP_VM_TYPES,
		  1 << KVM_X86_DEFAULT_VM | 1 << KVM_X86_SW_PROTECTED_VM | 1 << KVM_X86_SNP_VM },
	};

	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		fakekvm_set_cap(fk, caps[i].cap, caps[i].value);
	h->policy_bits = POLICY_BITS;
	h->attrs = BIT(KVM_X86_SEV_VMSA_FEATURES) | BIT(KVM_X86_SNP_POLICY_BITS) |
		   BIT(KVM_X86_SEV_SNP_REQ_CERTS);
}

void fakekvm_snp_hide_attr(struct fakekvm *fk, u64 attr)
{
	host_of(fk)->attrs &= ~BIT(attr);
}

void fakekvm_snp_set_policy_bits(struct fakekvm *fk, u64 bits)
{
	host_of(fk)->policy_bits = bits;
}

void fakekvm_snp_set_partial(struct fakekvm *fk, u64 bytes)
{
	host_of(fk)->partial = bytes;
}

void fakekvm_snp_fail(struct fakekvm *fk, u32 id, unsigned int nth, unsigned int n, int code,
		      u32 fw_code)
{
	struct x86_snp_host *h = host_of(fk);

	h->fail_id = id;
	h->fail_nth = nth;
	h->fail_n = n;
	h->fail_code = code;
	h->fail_fw = fw_code;
}

void fakekvm_snp_refuse_cpuid(struct fakekvm *fk, u32 leaf, u32 ebx_bits, bool again)
{
	struct x86_snp_host *h = host_of(fk);

	h->cpuid_leaf = leaf;
	h->cpuid_bits = ebx_bits;
	h->cpuid_again = again;
}

/* 4.80 on the system descriptor: ENXIO for what is not there. */
int x86_snp_get_attr(struct fake_call *c)
{
	const struct kvm_device_attr *a = fake_user(c);
	const struct x86_snp_host *h = host_of(c->fk);
	u64 value;

	if (!a)
		return -EFAULT;
	fake_note(c, " group %u attr %llu", a->group, (unsigned long long)a->attr);
	if (a->group != KVM_X86_GRP_SEV || a->attr >= 64 || !(h->attrs & BIT(a->attr)))
		return -ENXIO;
	value = a->attr == KVM_X86_SNP_POLICY_BITS ? h->policy_bits : 0;
	if (!a->addr)
		return -EFAULT;
	memcpy((void *)(uintptr_t)a->addr, &value, sizeof(value));
	return 0;
}

int x86_snp_has_attr(struct fake_call *c)
{
	const struct kvm_device_attr *a = fake_user(c);

	if (!a)
		return -EFAULT;
	return a->group == KVM_X86_GRP_SEV && a->attr < 64 && host_of(c->fk)->attrs & BIT(a->attr)
		       ? 0
		       : -ENXIO;
}

/* ---- Commands ---- */

static struct x86_snp *snp_of(const struct fake_vm *vm)
{
	return &x86_vm(vm)->snp;
}

void x86_snp_create_vm(struct fakekvm *fk, struct fake_vm *vm, unsigned long type)
{
	(void)fk;
	snp_of(vm)->is_snp = type == KVM_X86_SNP_VM;
}

bool x86_snp_sealed(const struct fake_vm *vm)
{
	return snp_of(vm)->finished;
}

/* "KVM_SEV_INIT2": before vCPUs; flags 0; features and protocol that the host has. */
static int init2(struct fake_call *c, const struct kvm_sev_init *a)
{
	if (!a)
		return -EFAULT;
	if (c->vm->n_vcpus || a->flags || a->vmsa_features || a->ghcb_version > 2)
		return -EINVAL;
	snp_of(c->vm)->inited = true;
	return 0;
}

/* "KVM_SEV_SNP_LAUNCH_START": once; a policy of bits that KVM knows and with the reserved one. */
static int launch_start(struct fake_call *c, const struct kvm_sev_snp_launch_start *a)
{
	if (!a)
		return -EFAULT;
	fake_note(c, " policy 0x%llx", (unsigned long long)a->policy);
	if (snp_of(c->vm)->started || a->flags || a->policy & ~host_of(c->fk)->policy_bits ||
	    !(a->policy & POLICY_RESERVED_1))
		return -EINVAL;
	snp_of(c->vm)->started = true;
	snp_of(c->vm)->policy = a->policy;
	return 0;
}

/* The page of CPUID as the firmware reads it: what it does not allow it takes away, and refuses. */
static bool refuses_cpuid(struct fakekvm *fk, u8 *page)
{
	struct x86_snp_host *h = host_of(fk);
	bool refused = false;
	u32 n = get_le32(page);

	if (!n || n > 64)
		return true;
	for (u32 i = 0; i < n; i++) {
		u8 *e = page + 16 + 48 * i, *ebx = e + 28;
		u32 leaf = get_le32(e), sub = get_le32(e + 4);

		if (leaf == 0xd && sub <= 1 && (get_le64(e + 8) != 1 || get_le32(ebx) != 0x240))
			return true;
		if (!h->cpuid_bits || leaf != h->cpuid_leaf || !(get_le32(ebx) & h->cpuid_bits))
			continue;
		put_le32(ebx, get_le32(ebx) & ~h->cpuid_bits);
		refused = true;
	}
	if (refused && !h->cpuid_again)
		h->cpuid_bits = 0;
	return refused || (h->cpuid_bits && h->cpuid_again);
}

static int add_pages(struct fake_call *c, struct kvm_sev_snp_launch_update *a, u64 len, u32 *fw)
{
	u8 *from = (u8 *)(uintptr_t)a->uaddr, *to = fake_gpa(c->vm, a->gfn_start * FAKE_PAGE, len);

	if (a->type == KVM_SEV_SNP_PAGE_TYPE_CPUID && refuses_cpuid(c->fk, from)) {
		*fw = FW_INVALID_PARAM;
		return -EIO;
	}
	if (a->type == KVM_SEV_SNP_PAGE_TYPE_ZERO)
		memset(to, 0, len);
	else
		memcpy(to, from, len);
	return 0;
}

static bool is_page_type(u8 type)
{
	return type == KVM_SEV_SNP_PAGE_TYPE_NORMAL ||
	       (type >= KVM_SEV_SNP_PAGE_TYPE_ZERO && type <= KVM_SEV_SNP_PAGE_TYPE_CPUID);
}

/*
 * "KVM_SEV_SNP_LAUNCH_UPDATE": whole pages that are private and have a guest_memfd. What a call
 * did not get to is written back.
 */
static int launch_update(struct fake_call *c, struct kvm_sev_snp_launch_update *a, u32 *fw)
{
	const struct x86_snp *snp = snp_of(c->vm);
	u64 gpa, len;
	int ret;

	if (!a)
		return -EFAULT;
	gpa = a->gfn_start * FAKE_PAGE;
	len = a->len;
	fake_note(c, " type %u gpa 0x%llx len 0x%llx", a->type, (unsigned long long)gpa,
		  (unsigned long long)len);
	if (!snp->started || !len || len % FAKE_PAGE || a->flags || !is_page_type(a->type) ||
	    !fake_has_gmem(c->vm, gpa, len) || fake_private_bytes(c->vm, gpa, len) != len)
		return -EINVAL;
	if (a->type != KVM_SEV_SNP_PAGE_TYPE_ZERO && (!a->uaddr || a->uaddr % FAKE_PAGE))
		return -EINVAL;
	if (snp->finished) {
		*fw = FW_INVALID_GUEST_STATE;
		return -EIO;
	}
	if (host_of(c->fk)->partial)
		len = min_u64(len, host_of(c->fk)->partial);
	ret = add_pages(c, a, len, fw);
	if (ret)
		return ret;
	a->gfn_start += len / FAKE_PAGE;
	a->uaddr += len;
	a->len -= len;
	return 0;
}

/* "KVM_SEV_SNP_LAUNCH_FINISH": the ID block is of this policy, which the firmware holds against. */
static int launch_finish(struct fake_call *c, const struct kvm_sev_snp_launch_finish *a, u32 *fw)
{
	struct x86_snp *snp = snp_of(c->vm);

	if (!a)
		return -EFAULT;
	fake_note(c, " id %u author %u host-data 0x%02x", a->id_block_en, a->auth_key_en,
		  a->host_data[0]);
	if (!snp->started || a->flags || !c->vm->n_vcpus)
		return -EINVAL;
	if (a->id_block_en && (!a->id_block_uaddr || !a->id_auth_uaddr))
		return -EFAULT;
	if (snp->finished) {
		*fw = FW_INVALID_GUEST_STATE;
		return -EIO;
	}
	if (a->id_block_en &&
	    get_le64((const u8 *)(uintptr_t)a->id_block_uaddr + 88) != snp->policy) {
		*fw = FW_POLICY_FAILURE;
		return -EIO;
	}
	snp->finished = true;
	return 0;
}

/* "KVM_SEV_SNP_ENABLE_REQ_CERTS": before vCPUs run. */
static int enable_req_certs(struct fake_call *c)
{
	if (c->vm->has_run)
		return -EINVAL;
	snp_of(c->vm)->req_certs = true;
	return 0;
}

/* The number of the command that is to fail now. */
static bool is_failing(struct x86_snp_host *h, u32 id)
{
	if (!h->fail_n || h->fail_id != id)
		return false;
	if (h->fail_nth > 1) {
		h->fail_nth--;
		return false;
	}
	h->fail_n--;
	return true;
}

/* Firmware commands go through the descriptor that comes with them. EBADF when it is none. */
static int check_sev_fd(u32 fd)
{
	return syscall(SYS_fcntl, fd, F_GETFD) < 0 ? -EBADF : 0;
}

static int command(struct fake_call *c, struct kvm_sev_cmd *cmd)
{
	void *data = cmd->data < FAKE_PAGE ? NULL : (void *)(uintptr_t)cmd->data;
	struct x86_snp_host *h = host_of(c->fk);
	int ret;

	if (!snp_of(c->vm)->is_snp)
		return NO_SNP;
	if (snp_of(c->vm)->inited && cmd->id < KVM_SEV_SNP_LAUNCH_START)
		return -EPERM;
	if (cmd->id == KVM_SEV_INIT2)
		return init2(c, data);
	if (!snp_of(c->vm)->inited)
		return NO_SNP;
	ret = check_sev_fd(cmd->sev_fd);
	if (ret)
		return ret;
	switch (cmd->id) {
	case KVM_SEV_SNP_LAUNCH_START:
		return launch_start(c, data);
	case KVM_SEV_SNP_LAUNCH_UPDATE:
		return launch_update(c, data, &cmd->error);
	case KVM_SEV_SNP_LAUNCH_FINISH:
		return launch_finish(c, data, &cmd->error);
	case KVM_SEV_SNP_ENABLE_REQ_CERTS: /* a kernel without it may have the number for another */
		if (h->attrs & BIT(KVM_X86_SEV_SNP_REQ_CERTS))
			return enable_req_certs(c);
	}
	return x86_snp_hv_report(c, cmd);
}

int x86_snp_memory_encrypt_op(struct fake_call *c)
{
	struct kvm_sev_cmd *cmd = fake_user(c);
	struct x86_snp_host *h = host_of(c->fk);

	if (!cmd)
		return -EFAULT;
	fake_note(c, " %u", cmd->id);
	if (is_failing(h, cmd->id)) {
		cmd->error = h->fail_fw;
		return -h->fail_code;
	}
	return command(c, cmd);
}

/* ---- Running ---- */

/* 7.40: hypercalls that KVM_CHECK_EXTENSION names. */
int x86_snp_enable_hypercalls(struct fake_call *c, u64 mask)
{
	if (mask & ~(u64)fake_cap(c->fk, c->vm, KVM_CAP_EXIT_HYPERCALL))
		return -EINVAL;
	snp_of(c->vm)->hypercalls = mask;
	return 0;
}

/*
 * Chapter 5, KVM_EXIT_HYPERCALL and KVM_EXIT_SNP_REQ_CERTS: the answers KVM takes, EINVAL for
 * others. (Of a hypercall it still takes all; a posted series of 2026 does not.)
 */
int x86_snp_run_first(struct fake_call *c)
{
	const struct fake_step *s = c->vcpu->pending;
	const struct kvm_run *run = c->vcpu->run;
	u64 ret;

	if (!s || s->op != FAKE_OP_EXIT || !snp_of(c->vm)->is_snp)
		return 0;
	if (s->addr == KVM_EXIT_SNP_REQ_CERTS) {
		ret = run->snp_req_certs.ret;
		return !ret || ret == ENOSPC || ret == EAGAIN || ret == EIO ? 0 : -EINVAL;
	}
	ret = run->hypercall.ret;
	return run->hypercall.nr != KVM_HC_MAP_GPA_RANGE || !ret || ret == EINVAL || ret == EAGAIN
		       ? 0
		       : -EINVAL;
}

/* There is no VMSA to run before LAUNCH_FINISH. */
int x86_snp_run_check(struct fake_call *c)
{
	if (!snp_of(c->vm)->is_snp || snp_of(c->vm)->finished)
		return 0;
	fake_complain(c->fk, "KVM_RUN of an SNP guest before KVM_SEV_SNP_LAUNCH_FINISH");
	return -EINVAL;
}
