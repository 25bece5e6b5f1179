/*
 * nested.c - what a hypervisor in the guest is about (4.114, 4.115). The text names no errno for
 * what does not fit together; the rules are those of its fields, EINVAL is the source's. That the
 * second-level guest is a valid one is not looked at.
 */
#include "tests/fakekvm/x86/x86.h"

#include <errno.h>

#define NOWHERE	  (~0ull) /* of VMX: no VMXON region, no current VMCS */
#define EFER_SVME BIT(12)
/* Among what KVM does not take of a hypervisor's registers while its guest runs: observed. */
#define VMCB_DR7  0x560 /* and DR6 */
#define VMCB_CR2  0x640

static bool is_intel(const struct fakekvm *fk)
{
	return fk->cpuid->entries[0].ebx == 0x756e6547; /* "Genu" */
}

bool x86_is_amd(const struct x86_vcpu *v)
{
	const struct kvm_cpuid_entry2 *e = x86_cpuid(v, 0, 0);

	return e && (e->ebx == 0x68747541 || e->ebx == 0x6f677948); /* "Auth", "Hygo" */
}

bool x86_vmx_on(const struct x86_vcpu *v)
{
	return v->nested.size && v->nested.format == KVM_STATE_NESTED_FORMAT_VMX &&
	       v->nested.hdr.vmx.vmxon_pa != NOWHERE;
}

/* Of a vCPU that never was a hypervisor. */
static struct kvm_nested_state idle(const struct fakekvm *fk)
{
	struct kvm_nested_state n = { .size = sizeof(n) };

	if (is_intel(fk)) {
		n.format = KVM_STATE_NESTED_FORMAT_VMX;
		n.hdr.vmx.vmxon_pa = n.hdr.vmx.vmcs12_pa = NOWHERE;
	} else {
		n.format = KVM_STATE_NESTED_FORMAT_SVM;
		n.flags = KVM_STATE_NESTED_GIF_SET;
	}
	return n;
}

/* 4.114: E2BIG writes the size needed. */
int x86_get_nested(struct fake_call *c)
{
	struct kvm_nested_state *out = fake_user(c);
	const struct kvm_nested_state none = idle(c->fk), *n = &x86_vcpu(c->vcpu)->nested;

	if (!out)
		return -EFAULT;
	if (!n->size)
		n = &none;
	if (out->size < n->size) {
		out->size = n->size;
		return -E2BIG;
	}
	memcpy(out, n, n->size);
	return 0;
}

static int check_vmx(const struct x86_vcpu *v, const struct kvm_nested_state *n)
{
	const struct kvm_cpuid_entry2 *e = x86_cpuid(v, 1, 0);
	const u32 guest = KVM_STATE_NESTED_GUEST_MODE;
	u64 vmxon = n->hdr.vmx.vmxon_pa, vmcs = n->hdr.vmx.vmcs12_pa;

	if (n->format != KVM_STATE_NESTED_FORMAT_VMX || n->flags & KVM_STATE_NESTED_EVMCS)
		return -EINVAL;
	if (vmxon == NOWHERE)
		return vmcs != NOWHERE || n->flags ? -EINVAL : 0;
	if (!e || !(e->ecx & 1u << 5) || vmxon % FAKE_PAGE)
		return -EINVAL;
	if (vmcs == NOWHERE)
		return n->flags & guest ? -EINVAL : 0;
	return vmcs == vmxon || vmcs % FAKE_PAGE ||
			       n->size < sizeof(*n) + KVM_STATE_NESTED_VMX_VMCS_SIZE
		       ? -EINVAL
		       : 0;
}

static int check_svm(const struct x86_vcpu *v, const struct kvm_nested_state *n)
{
	const u32 known = KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_RUN_PENDING |
			  KVM_STATE_NESTED_GIF_SET;

	if (n->format != KVM_STATE_NESTED_FORMAT_SVM || n->flags & ~known)
		return -EINVAL;
	if (!(v->sregs.efer & EFER_SVME))
		return n->flags == KVM_STATE_NESTED_GIF_SET ? 0 : -EINVAL;
	if (!(n->flags & KVM_STATE_NESTED_GUEST_MODE))
		return 0;
	return get_le64(n->hdr.pad) % FAKE_PAGE ||
			       n->size < sizeof(*n) + KVM_STATE_NESTED_SVM_VMCB_SIZE
		       ? -EINVAL
		       : 0;
}

int x86_set_nested(struct fake_call *c)
{
	const struct kvm_nested_state *in = fake_user(c);
	const u32 known = KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_RUN_PENDING |
			  KVM_STATE_NESTED_EVMCS | KVM_STATE_NESTED_MTF_PENDING |
			  KVM_STATE_NESTED_GIF_SET;
	struct x86_vcpu *v = x86_vcpu(c->vcpu);
	bool was_on = x86_vmx_on(v);
	int ret;

	if (!in)
		return -EFAULT;
	fake_note(c, " size %u format %u flags 0x%x", in->size, in->format, in->flags);
	if (in->size < sizeof(*in) || in->size > X86_MAX_NESTED || in->flags & ~known)
		return -EINVAL;
	if (in->flags & KVM_STATE_NESTED_RUN_PENDING && !(in->flags & KVM_STATE_NESTED_GUEST_MODE))
		return -EINVAL;
	ret = is_intel(c->fk) ? check_vmx(v, in) : check_svm(v, in);
	if (ret)
		return ret;
	if (v->events_set)
		fake_complain(c->fk,
			      "KVM_SET_NESTED_STATE after KVM_SET_VCPU_EVENTS: what waits is "
			      "carried out, or blocked, by it");
	memcpy(&v->nested, in, in->size);
	if (v->nested.format == KVM_STATE_NESTED_FORMAT_SVM && in->size > sizeof(*in)) {
		memset(v->nested.data + VMCB_DR7, 0, 16);
		memset(v->nested.data + VMCB_CR2, 0, 8);
	}
	if (v->init_waits && !was_on && x86_vmx_on(v))
		fake_complain(c->fk, "VMX is enabled while an INIT waits that was put there");
	return 0;
}
