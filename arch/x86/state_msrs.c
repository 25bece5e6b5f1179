/*
 * state_msrs.c - which MSRs make up a vCPU, in which order they are set, and what to think of one
 * that KVM refuses. Numbers are those of SDM 4, and of AMD's APM 2, appendix A.
 */
#include "arch/x86/state_impl.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/x86/cpuid.h"

#define MSR_FEATURE_CONTROL   0x3a
#define MSR_UCODE_REV	      0x8b
#define MSR_PLATFORM_INFO     0xce
#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_SYSENTER_ESP      0x175
#define MSR_SYSENTER_EIP      0x176
#define MSR_MCG_CAP	      0x179 /* bits 7:0: how many banks */
#define MCG_CAP_CMCI	      BIT(10)
#define MSR_DEBUGCTL	      0x1d9
#define MSR_MC0_CTL2	      0x280 /* one of each bank */
#define MSR_PERF_CAPABILITIES 0x345
#define MSR_MC0_CTL	      0x400 /* four of each bank */
#define MSR_VMX_FIRST	      0x480
#define MSR_VMX_LAST	      0x493
#define MSR_U_CET	      0x6a0
#define MSR_S_CET	      0x6a2
#define MSR_PL0_SSP	      0x6a4
#define MSR_PL3_SSP	      0x6a7
#define MSR_INT_SSP_TAB	      0x6a8
#define MSR_XSS		      0xda0
#define MSR_HYPERV_FIRST      0x40000000
#define MSR_HYPERV_LAST	      0x400001ff
#define MSR_DE_CFG	      0xc0011029
#define MSR_VM_CR	      0xc0010114

#define MAX_BANKS 32  /* KVM's */
#define CHUNK	  128 /* of one request; KVM takes 255 */

union chunk {
	struct kvm_msrs msrs;
	u8 space[sizeof(struct kvm_msrs) + CHUNK * sizeof(struct kvm_msr_entry)];
};

/* ---- which there are ---------------------------------------------------------------------- */

/* A guest sees them and KVM does not list them; not all CPUs have them all. */
static const struct {
	u32 first, last;
} unlisted[] = {
	{ MSR_MCG_CAP, MSR_MCG_CAP },
	{ MSR_DEBUGCTL, MSR_DEBUGCTL },
	{ 0x200, 0x20f }, /* MTRRs: variable, fixed, the default */
	{ 0x250, 0x250 },
	{ 0x258, 0x259 },
	{ 0x268, 0x26f },
	{ 0x2ff, 0x2ff },
	{ MSR_DE_CFG, MSR_DE_CFG },
	{ MSR_VM_CR, MSR_VM_CR },
};

static bool is_cet(u32 index)
{
	return index >= MSR_U_CET && index <= MSR_INT_SSP_TAB;
}

/* CET without all of these is not whole: whoever returns to a lost shadow stack dies of it. */
static bool is_promised(const struct x86_vcpu_state *s, u32 index)
{
	bool shstk = state_has_shstk(s), ibt = state_has_ibt(s);

	switch (index) {
	case MSR_XSS:
	case MSR_U_CET:
	case MSR_S_CET:
		return shstk || ibt;
	case MSR_PL0_SSP ... MSR_PL3_SSP:
	case MSR_INT_SSP_TAB:
		return shstk;
	}
	return false;
}

/*
 * Hyper-V's: no guest of ours is offered them, and KVM begins to emulate Hyper-V for a vCPU when
 * one of them is so much as read. CET's: refused, or 0, where CPUID does not have it.
 */
static bool is_wanted(const struct x86_vcpu_state *s, u32 index)
{
	if (index >= MSR_HYPERV_FIRST && index <= MSR_HYPERV_LAST)
		return false;
	return !is_cet(index) || is_promised(s, index);
}

static struct kvm_msr_entry *find(const struct x86_vcpu_state *s, u32 index)
{
	for (u32 i = 0; i < s->n_msrs; i++) {
		if (s->msrs[i].index == index)
			return &s->msrs[i];
	}
	return NULL;
}

const u64 *state_msr(const struct x86_vcpu_state *s, u32 index)
{
	const struct kvm_msr_entry *e = find(s, index);

	return e ? &e->data : NULL;
}

/* There is room for X86_STATE_MAX_MSRS; what KVM lists leaves enough of it. */
static void add(struct x86_vcpu_state *s, u32 index)
{
	if (s->n_msrs < X86_STATE_MAX_MSRS && is_wanted(s, index) && !find(s, index))
		s->msrs[s->n_msrs++].index = index;
}

static int add_listed(const struct vcpu *vcpu, struct x86_vcpu_state *s, struct lkvm_error *err)
{
	const u32 room = X86_STATE_MAX_MSRS / 2;
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + room * sizeof(list->indices[0]));
	int ret;

	if (!list)
		return err_host(err, ENOMEM, "MSRs of vCPU %u", vcpu->index);
	list->nmsrs = room;
	ret = kvm_host_ioctl(vcpu->machine->kvm.host, KVM_GET_MSR_INDEX_LIST, list, err);
	for (u32 i = 0; ret >= 0 && i < list->nmsrs && i < room; i++)
		add(s, list->indices[i]);
	free(list);
	return ret < 0 ? ret : 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* How many of up to CHUNK were read, or -errno with a message. */
static int read_some(const struct vcpu *vcpu, struct kvm_msr_entry *e, u32 n,
		     struct lkvm_error *err)
{
	union chunk c = { .msrs.nmsrs = n };
	int ret;

	memcpy(c.msrs.entries, e, n * sizeof(*e));
	ret = kvm_fd_ioctl(&vcpu->machine->kvm, vcpu->fd, KVM_GET_MSRS, &c, err);
	if (ret > 0)
		memcpy(e, c.msrs.entries, (size_t)ret * sizeof(*e));
	return ret;
}

static int add_banks(const struct vcpu *vcpu, struct x86_vcpu_state *s, struct lkvm_error *err)
{
	struct kvm_msr_entry cap = { .index = MSR_MCG_CAP };
	int ret = read_some(vcpu, &cap, 1, err);
	u32 n;

	if (ret <= 0)
		return ret;
	n = (u32)min_u64(cap.data & 0xff, MAX_BANKS);
	for (u32 i = 0; i < 4 * n; i++)
		add(s, MSR_MC0_CTL + i);
	for (u32 i = 0; i < n && cap.data & MCG_CAP_CMCI; i++)
		add(s, MSR_MC0_CTL2 + i);
	return 0;
}

static int candidates(const struct vcpu *vcpu, struct x86_vcpu_state *s, struct lkvm_error *err)
{
	int ret = add_listed(vcpu, s, err);

	if (ret)
		return ret;
	for (size_t i = 0; i < ARRAY_SIZE(unlisted); i++) {
		for (u32 index = unlisted[i].first; index <= unlisted[i].last; index++)
			add(s, index);
	}
	for (u32 index = MSR_U_CET; index <= MSR_INT_SSP_TAB; index++) {
		if (is_promised(s, index))
			add(s, index);
	}
	if (is_promised(s, MSR_XSS))
		add(s, MSR_XSS);
	return add_banks(vcpu, s, err);
}

/* KVM stops at one it refuses: that one is left out. */
static int read_all(const struct vcpu *vcpu, struct x86_vcpu_state *s, struct lkvm_error *err)
{
	u32 done = 0;

	while (done < s->n_msrs) {
		struct kvm_msr_entry *e = &s->msrs[done];
		u32 n = (u32)min_u64(s->n_msrs - done, CHUNK);
		int ret = read_some(vcpu, e, n, err);

		if (ret < 0)
			return ret;
		done += (u32)ret;
		if ((u32)ret == n)
			continue;
		e += ret;
		if (is_promised(s, e->index))
			return err_unsupported(err, EINVAL,
					       "vCPU %u: this host's KVM does not read MSR 0x%x, "
					       "which CPUID says there is",
					       vcpu->index, e->index);
		s->n_msrs--;
		memmove(e, e + 1, (s->n_msrs - done) * sizeof(*e));
	}
	return 0;
}

int state_msrs_get(const struct vcpu *vcpu, struct x86_vcpu_state *s, struct lkvm_error *err)
{
	int ret;

	s->n_msrs = 0;
	s->msrs = calloc(X86_STATE_MAX_MSRS, sizeof(s->msrs[0]));
	if (!s->msrs)
		return err_host(err, ENOMEM, "MSRs of vCPU %u", vcpu->index);
	ret = candidates(vcpu, s, err);
	return ret ? ret : read_all(vcpu, s, err);
}

/* ---- setting ------------------------------------------------------------------------------ */

int state_msrs_check(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
		     struct lkvm_error *err)
{
	if (s->n_msrs > X86_STATE_MAX_MSRS || (s->n_msrs && !s->msrs))
		return err_input(err, "the saved vCPU %u has %u MSRs; at most %d are possible",
				 vcpu->index, s->n_msrs, X86_STATE_MAX_MSRS);
	for (u32 i = 0; i < s->n_msrs; i++) {
		if (!is_wanted(s, s->msrs[i].index))
			return err_input(err,
					 "the saved vCPU %u has MSR 0x%x, which its CPUID has not",
					 vcpu->index, s->msrs[i].index);
	}
	for (u32 index = MSR_U_CET; index <= MSR_INT_SSP_TAB; index++) {
		if (is_promised(s, index) && !find(s, index))
			return err_input(err,
					 "the saved vCPU %u lacks MSR 0x%x, which its CPUID has",
					 vcpu->index, index);
	}
	return 0;
}

/*
 * Which bits others may have comes first: features, VMX's limits, XSS for CET. The TSC comes late,
 * it runs on from there; its deadline has a turn of its own, in state.c. KVM takes writes of the
 * TSC by all vCPUs within a second for the same clock, so they stay in step.
 */
enum turn { TURN_FIRST, TURN_REST, TURN_TSC, N_TURNS, TURN_DEADLINE = N_TURNS };

static enum turn turn_of(u32 index)
{
	switch (index) {
	case MSR_FEATURE_CONTROL:
	case MSR_UCODE_REV:
	case MSR_PLATFORM_INFO:
	case MSR_ARCH_CAPABILITIES:
	case MSR_PERF_CAPABILITIES:
	case MSR_VMX_FIRST ... MSR_VMX_LAST:
	case MSR_XSS:
		return TURN_FIRST;
	case X86_MSR_TSC:
		return TURN_TSC;
	case X86_MSR_TSC_DEADLINE:
		return TURN_DEADLINE;
	}
	return TURN_REST;
}

/* KVM does not set it. Those that cannot be set need not change, but agree. */
static int check_refused(const struct vcpu *vcpu, const struct kvm_msr_entry *want,
			 struct lkvm_error *err)
{
	struct kvm_msr_entry have = { .index = want->index };
	int ret = read_some(vcpu, &have, 1, err);

	if (ret < 0)
		return ret;
	if (ret == 0)
		return err_unsupported(err, EINVAL,
				       "vCPU %u: this host's KVM has no MSR 0x%x for it",
				       vcpu->index, want->index);
	if (have.data == want->data)
		return 0;
	return err_unsupported(err, EINVAL,
			       "vCPU %u: MSR 0x%x is 0x%llx on this host, and KVM refuses to make "
			       "it 0x%llx",
			       vcpu->index, want->index, (unsigned long long)have.data,
			       (unsigned long long)want->data);
}

/* Write what is in @c, and empty it. */
static int flush(const struct vcpu *vcpu, union chunk *c, struct lkvm_error *err)
{
	struct kvm_msr_entry *e = c->msrs.entries;
	int ret = 0;

	while (ret >= 0 && c->msrs.nmsrs) {
		u32 done;

		ret = kvm_fd_ioctl(&vcpu->machine->kvm, vcpu->fd, KVM_SET_MSRS, c, err);
		if (ret < 0)
			break;
		done = (u32)ret;
		if (done < c->msrs.nmsrs)
			ret = check_refused(vcpu, &e[done++], err);
		c->msrs.nmsrs -= done;
		memmove(e, e + done, c->msrs.nmsrs * sizeof(*e));
	}
	return ret < 0 ? ret : 0;
}

static int set_turn(const struct vcpu *vcpu, const struct x86_vcpu_state *s, enum turn turn,
		    struct lkvm_error *err)
{
	union chunk c = { .msrs.nmsrs = 0 };
	int ret = 0;

	for (u32 i = 0; !ret && i < s->n_msrs; i++) {
		if (turn_of(s->msrs[i].index) != turn)
			continue;
		c.msrs.entries[c.msrs.nmsrs++] = s->msrs[i];
		if (c.msrs.nmsrs == CHUNK)
			ret = flush(vcpu, &c, err);
	}
	return ret ? ret : flush(vcpu, &c, err);
}

int state_msrs_set(const struct vcpu *vcpu, const struct x86_vcpu_state *s, bool deadline,
		   struct lkvm_error *err)
{
	int ret = 0;

	if (deadline)
		return set_turn(vcpu, s, TURN_DEADLINE, err);
	for (enum turn turn = TURN_FIRST; !ret && turn < N_TURNS; turn++)
		ret = set_turn(vcpu, s, turn, err);
	return ret;
}

/* ---- comparing ---------------------------------------------------------------------------- */

/* A deadline that has passed by the TSC of either is gone as soon as KVM comes to it. */
static bool same_deadline(const struct x86_vcpu_state *a, u64 va, const struct x86_vcpu_state *b,
			  u64 vb)
{
	const u64 *ta = state_msr(a, X86_MSR_TSC), *tb = state_msr(b, X86_MSR_TSC);
	u64 now = max_u64(ta ? *ta : 0, tb ? *tb : 0);

	return va == vb || (va <= now && vb <= now);
}

/*
 * These have 32 bits on AMD's CPUs, where they serve legacy mode alone (APM 2, 6.1.2), and KVM sets
 * no more. A CPU that is itself emulated may keep all that a guest writes.
 */
static bool same_sysenter(const struct x86_vcpu_state *s, const struct kvm_msr_entry *e, u64 other)
{
	enum cpuid_vendor vendor = cpuid_vendor(s->cpuid);

	return (e->index == MSR_SYSENTER_ESP || e->index == MSR_SYSENTER_EIP) &&
	       (vendor == CPUID_VENDOR_AMD || vendor == CPUID_VENDOR_HYGON) &&
	       (u32)e->data == (u32)other;
}

bool state_msrs_differ(const struct x86_vcpu_state *a, const struct x86_vcpu_state *b, u32 *index)
{
	for (u32 i = 0; i < a->n_msrs; i++) {
		const struct kvm_msr_entry *e = &a->msrs[i];
		const u64 *other = state_msr(b, e->index);

		if (other && (e->index == X86_MSR_TSC || e->data == *other))
			continue;
		if (other && e->index == X86_MSR_TSC_DEADLINE &&
		    same_deadline(a, e->data, b, *other))
			continue;
		if (other && same_sysenter(a, e, *other))
			continue;
		*index = e->index;
		return true;
	}
	return false;
}
