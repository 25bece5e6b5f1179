/* state.c - a vCPU's state: get, set in KVM's order, compare. CPUID and MSRs have files of
 * their own. */
#include "arch/x86/state.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/x86/cpuid.h"
#include "arch/x86/state_impl.h"

#define GUEST_SSP KVM_X86_REG_KVM(KVM_REG_GUEST_SSP)

/* Local APIC (SDM 3A, table 11-1). */
#define LAPIC_IRR	 0x200 /* 8 registers of 32 vectors each, 0x10 apart */
#define LAPIC_LVT_TIMER	 0x320
#define LAPIC_TIMER_LEFT 0x390

#define NO_VMXON (~0ull)

void x86_vcpu_state_free(struct x86_vcpu_state *state)
{
	if (!state)
		return;
	free(state->cpuid);
	free(state->xsave);
	free(state->nested);
	free(state->msrs);
	free(state);
}

/* ---- get ---------------------------------------------------------------------------------- */

/* No table ends with it: KVM did not write it. */
static bool is_blank(const struct kvm_cpuid_entry2 *e)
{
	static const struct kvm_cpuid_entry2 blank;

	return !memcmp(e, &blank, sizeof(blank));
}

/* Linux 6.1 does not say how many entries there are when there was room for more: observed. */
static int get_cpuid(struct x86_vcpu_state *s, const struct vcpu *vcpu, struct lkvm_error *err)
{
	int ret;

	s->cpuid = cpuid_alloc();
	if (!s->cpuid)
		return err_host(err, ENOMEM, "CPUID table of vCPU %u", vcpu->index);
	s->cpuid->nent = CPUID_MAX_ENTRIES;
	ret = kvm_fd_ioctl(&vcpu->machine->kvm, vcpu->fd, KVM_GET_CPUID2, s->cpuid, err);
	if (ret < 0)
		return ret;
	s->cpuid->nent = (u32)min_u64(s->cpuid->nent, CPUID_MAX_ENTRIES);
	while (s->cpuid->nent && is_blank(&s->cpuid->entries[s->cpuid->nent - 1]))
		s->cpuid->nent--;
	return 0;
}

static int get_sregs(struct x86_vcpu_state *s, const struct vcpu *vcpu, struct lkvm_error *err)
{
	const struct kvm *kvm = &vcpu->machine->kvm;
	struct kvm_sregs old;
	int ret;

	if (kvm_check(kvm, KVM_CAP_SREGS2) > 0)
		return kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_SREGS2, &s->sregs, err);
	ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_SREGS, &old, err);
	if (ret >= 0) /* both start alike; an interrupt in injection is among the events too */
		memcpy(&s->sregs, &old, offsetof(struct kvm_sregs, interrupt_bitmap));
	return ret;
}

/* The most that KVM_GET_XSAVE2 writes and KVM_SET_XSAVE reads; 0: there is only the old request. */
static int xsave2_size(const struct kvm *kvm)
{
	return kvm_check(kvm, KVM_CAP_XSAVE2);
}

static int get_xsave(struct x86_vcpu_state *s, const struct vcpu *vcpu, struct lkvm_error *err)
{
	const struct kvm *kvm = &vcpu->machine->kvm;
	int size = xsave2_size(kvm);

	s->xsave_size = size > 0 ? (u32)size : sizeof(*s->xsave);
	if (s->xsave_size < sizeof(*s->xsave) || s->xsave_size > X86_STATE_MAX_XSAVE)
		return err_host(err, E2BIG, "vCPU %u: KVM_CAP_XSAVE2 says %u bytes", vcpu->index,
				s->xsave_size);
	s->xsave = calloc(1, s->xsave_size);
	if (!s->xsave)
		return err_host(err, ENOMEM, "XSAVE area of vCPU %u", vcpu->index);
	if (size > 0)
		return kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_XSAVE2, s->xsave, err);
	return kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_XSAVE, s->xsave, err);
}

/* On CPUs whose TSC is of no use KVM cannot tell (EIO). */
static int get_tsc_khz(const struct vcpu *vcpu, u32 *khz, struct lkvm_error *err)
{
	const struct kvm_backend *be = vcpu->machine->kvm.be;
	int ret = be->ioctl(be->ctx, vcpu->fd, KVM_GET_TSC_KHZ, 0);

	*khz = ret > 0 ? (u32)ret : 0;
	return ret < 0 && ret != -EIO
		       ? err_host(err, -ret, "KVM_GET_TSC_KHZ of vCPU %u", vcpu->index)
		       : 0;
}

static int get_ssp(struct x86_vcpu_state *s, const struct vcpu *vcpu, struct lkvm_error *err)
{
	int ret;

	if (!state_has_shstk(s))
		return 0;
	ret = kvm_get_reg(&vcpu->machine->kvm, vcpu->fd, GUEST_SSP, &s->ssp);
	return ret < 0 ? err_unsupported(err, -ret,
					 "vCPU %u: this host's KVM does not read SSP (%s): Linux "
					 "6.18 does",
					 vcpu->index, err_text(-ret))
		       : 0;
}

static int get_nested(struct x86_vcpu_state *s, const struct vcpu *vcpu, struct lkvm_error *err)
{
	const struct kvm *kvm = &vcpu->machine->kvm;
	int max = kvm_check(kvm, KVM_CAP_NESTED_STATE), ret;

	if (max <= 0)
		return 0;
	if ((size_t)max < sizeof(*s->nested) || (u64)max > X86_STATE_MAX_NESTED)
		return err_host(err, E2BIG, "vCPU %u: KVM_CAP_NESTED_STATE says %d bytes",
				vcpu->index, max);
	s->nested = calloc(1, (size_t)max);
	if (!s->nested)
		return err_host(err, ENOMEM, "nested state of vCPU %u", vcpu->index);
	s->nested->size = (u32)max;
	ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_NESTED_STATE, s->nested, err);
	s->nested_size = s->nested->size; /* what there is of it */
	if (ret >= 0 && (s->nested_size < sizeof(*s->nested) || s->nested_size > (u32)max))
		return err_host(err, EPROTO, "vCPU %u: KVM says %u bytes of nested state",
				vcpu->index, s->nested_size);
	return ret;
}

/* Without payloads KVM says pending of an exception that it says injected too, and wants neither.
 */
static int get_events(struct x86_vcpu_state *s, const struct vcpu *vcpu, struct lkvm_error *err)
{
	struct kvm_vcpu_events *e = &s->events;
	int ret = kvm_fd_ioctl(&vcpu->machine->kvm, vcpu->fd, KVM_GET_VCPU_EVENTS, e, err);

	if (!(e->flags & KVM_VCPUEVENT_VALID_PAYLOAD))
		e->exception.pending = 0;
	return ret;
}

static int get_mp_state(struct x86_vcpu_state *s, const struct vcpu *vcpu, struct lkvm_error *err)
{
	struct kvm_mp_state mp = { 0 };
	int ret = kvm_fd_ioctl(&vcpu->machine->kvm, vcpu->fd, KVM_GET_MP_STATE, &mp, err);

	s->mp_state = mp.mp_state;
	return ret;
}

static int get_all(struct x86_vcpu_state *s, const struct vcpu *vcpu, struct lkvm_error *err)
{
	const struct kvm *kvm = &vcpu->machine->kvm;
	int ret;

	/*
	 * First: it makes KVM carry out an INIT or SIPI that waits, which changes all that follows.
	 * Whatever VMX is on or off by then is what the guest left, nothing of ours is half done.
	 */
	ret = get_mp_state(s, vcpu, err);
	if (ret >= 0)
		ret = get_cpuid(s, vcpu, err);
	if (ret >= 0)
		ret = get_tsc_khz(vcpu, &s->tsc_khz, err);
	if (ret >= 0)
		ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_REGS, &s->regs, err);
	if (ret >= 0)
		ret = get_sregs(s, vcpu, err);
	if (ret >= 0)
		ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_XCRS, &s->xcrs, err);
	if (ret >= 0)
		ret = get_xsave(s, vcpu, err);
	if (ret >= 0)
		ret = state_msrs_get(vcpu, s, err);
	if (ret >= 0)
		ret = get_ssp(s, vcpu, err);
	if (ret >= 0)
		ret = get_nested(s, vcpu, err);
	if (ret >= 0)
		ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_DEBUGREGS, &s->debugregs, err);
	if (ret >= 0)
		ret = get_events(s, vcpu, err);
	/* after the TSC: a timer that ends in between is seen to have ended */
	return ret < 0 ? ret : kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_LAPIC, &s->lapic, err);
}

static int check_movable(const struct vcpu *vcpu, struct lkvm_error *err)
{
	const struct lkvm_config *cfg = vcpu->machine->cfg;

	if (cfg->x86.snp.on)
		return err_unsupported(err, EOPNOTSUPP,
				       "vCPU %u: the state of an SEV-SNP guest is encrypted",
				       vcpu->index);
	if (cfg->x86.no_exits & LKVM_X86_NO_EXIT_APERFMPERF)
		return err_unsupported(err, EOPNOTSUPP,
				       "--disable-exits=aperfmperf: APERF and MPERF are those of "
				       "the host's CPU, and cannot be saved");
	return 0;
}

int x86_vcpu_state_get(struct vcpu *vcpu, struct x86_vcpu_state **out, struct lkvm_error *err)
{
	struct x86_vcpu_state *s;
	int ret = check_movable(vcpu, err);

	*out = NULL;
	if (ret)
		return ret;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_host(err, ENOMEM, "state of vCPU %u", vcpu->index);
	ret = get_all(s, vcpu, err);
	if (ret < 0) {
		x86_vcpu_state_free(s);
		return ret;
	}
	*out = s;
	return 0;
}

/* ---- set ---------------------------------------------------------------------------------- */

/* The value may come from a file: what KVM does not take is no failure of the host. */
static int refused(const struct vcpu *vcpu, const char *what, int ret, struct lkvm_error *err)
{
	if (ret >= 0)
		return 0;
	if (ret == -EINVAL)
		return err_unsupported(err, EINVAL, "vCPU %u: this host's KVM does not take %s",
				       vcpu->index, what);
	return err_host(err, -ret, "vCPU %u: setting %s", vcpu->index, what);
}

static int set_part(const struct vcpu *vcpu, unsigned long req, const void *arg, const char *what,
		    struct lkvm_error *err)
{
	const struct kvm_backend *be = vcpu->machine->kvm.be;

	return refused(vcpu, what, be->ioctl(be->ctx, vcpu->fd, req, KVM_ARG(arg)), err);
}

static int set_cpuid(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
		     struct lkvm_error *err)
{
	struct x86_vcpu_state now = { 0 };
	int ret = get_cpuid(&now, vcpu, err);

	if (!ret && !state_cpuid_same(s->cpuid, now.cpuid)) {
		ret = state_cpuid_check(vcpu, s->cpuid, now.cpuid, err);
		if (!ret)
			ret = set_part(vcpu, KVM_SET_CPUID2, s->cpuid, "its CPUID table", err);
	}
	free(now.cpuid);
	return ret;
}

static int set_tsc_khz(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
		       struct lkvm_error *err)
{
	const struct kvm_backend *be = vcpu->machine->kvm.be;
	u32 now;
	int ret = get_tsc_khz(vcpu, &now, err);

	if (ret || !s->tsc_khz || now == s->tsc_khz)
		return ret;
	ret = be->ioctl(be->ctx, vcpu->fd, KVM_SET_TSC_KHZ, s->tsc_khz);
	return ret < 0 ? err_unsupported(err, -ret,
					 "vCPU %u: its TSC runs at %u kHz on this host and cannot "
					 "be made to run at %u kHz: %s",
					 vcpu->index, now, s->tsc_khz, err_text(-ret))
		       : 0;
}

static int set_sregs(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
		     struct lkvm_error *err)
{
	struct kvm_sregs old = { 0 };

	if (kvm_check(&vcpu->machine->kvm, KVM_CAP_SREGS2) > 0)
		return set_part(vcpu, KVM_SET_SREGS2, &s->sregs, "its special registers", err);
	/* that one takes PAE's page directory pointers from memory */
	memcpy(&old, &s->sregs, offsetof(struct kvm_sregs, interrupt_bitmap));
	return set_part(vcpu, KVM_SET_SREGS, &old, "its special registers", err);
}

static int set_xcrs(const struct vcpu *vcpu, const struct x86_vcpu_state *s, struct lkvm_error *err)
{
	return set_part(vcpu, KVM_SET_XCRS, &s->xcrs, "its XCR0", err);
}

/* KVM reads as many bytes as it has use for, whatever there are. */
static int set_xsave(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
		     struct lkvm_error *err)
{
	int xsave2 = xsave2_size(&vcpu->machine->kvm);
	u32 size = xsave2 > 0 ? (u32)xsave2 : sizeof(*s->xsave);

	if (s->xsave_size != size)
		return err_unsupported(err, EINVAL,
				       "vCPU %u: its XSAVE area has %u bytes, and on this host %u",
				       vcpu->index, s->xsave_size, size);
	return set_part(vcpu, KVM_SET_XSAVE, s->xsave, "its XSAVE area", err);
}

static int set_msrs(const struct vcpu *vcpu, const struct x86_vcpu_state *s, struct lkvm_error *err)
{
	return state_msrs_set(vcpu, s, false, err);
}

static int set_ssp(const struct vcpu *vcpu, const struct x86_vcpu_state *s, struct lkvm_error *err)
{
	if (!state_has_shstk(s))
		return 0;
	return refused(vcpu, "its SSP",
		       kvm_set_reg(&vcpu->machine->kvm, vcpu->fd, GUEST_SSP, &s->ssp), err);
}

static int set_lapic(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
		     struct lkvm_error *err)
{
	return set_part(vcpu, KVM_SET_LAPIC, &s->lapic, "its local APIC", err);
}

static int set_deadline(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
			struct lkvm_error *err)
{
	return state_msrs_set(vcpu, s, true, err);
}

/* A hypervisor that never was one: what KVM says of every other guest. */
static bool is_idle(const struct kvm_nested_state *n)
{
	if (n->format == KVM_STATE_NESTED_FORMAT_VMX)
		return !n->flags && n->hdr.vmx.vmxon_pa == NO_VMXON;
	return n->format == KVM_STATE_NESTED_FORMAT_SVM && n->flags == KVM_STATE_NESTED_GIF_SET;
}

static int set_nested(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
		      struct lkvm_error *err)
{
	const struct kvm *kvm = &vcpu->machine->kvm;

	if (!s->nested_size)
		return 0;
	if (kvm_check(kvm, KVM_CAP_NESTED_STATE) > 0)
		return set_part(vcpu, KVM_SET_NESTED_STATE, s->nested, "the state of its own guest",
				err);
	return is_idle(s->nested) ? 0 : kvm_require(kvm, KVM_CAP_NESTED_STATE, err);
}

static int set_regs(const struct vcpu *vcpu, const struct x86_vcpu_state *s, struct lkvm_error *err)
{
	return set_part(vcpu, KVM_SET_REGS, &s->regs, "its registers", err);
}

static int set_debugregs(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
			 struct lkvm_error *err)
{
	return set_part(vcpu, KVM_SET_DEBUGREGS, &s->debugregs, "its debug registers", err);
}

static int set_events(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
		      struct lkvm_error *err)
{
	return set_part(vcpu, KVM_SET_VCPU_EVENTS, &s->events, "its pending events", err);
}

static int set_mp_state(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
			struct lkvm_error *err)
{
	const struct kvm_mp_state mp = { .mp_state = s->mp_state };

	return set_part(vcpu, KVM_SET_MP_STATE, &mp, "its MP state", err);
}

/* The order, and why each is where it is. */
static int (*const steps[])(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
			    struct lkvm_error *err) = {
	set_cpuid,   /* says which bits all others may have */
	set_tsc_khz, /* before the TSC, which is counted in it */
	/*
	 * CR4.CET is valid only with CR0.WP: in one call. EFER.SVME goes before the nested state
	 * that needs it, the APIC's mode before its registers, whose layout that decides.
	 */
	set_sregs,    /* and so early, for most of what follows is looked at by them */
	set_xcrs,     /* which components the guest has on */
	set_xsave,    /* before the MSRs: KVM keeps CET's, and XFD, beside that area */
	set_msrs,     /* VMX's limits and FEATURE_CONTROL before VMX is on; L1's before L2's */
	set_ssp,      /* with the shadow stack's MSRs, before L2 hides it */
	set_lapic,    /* a timer in it is counted by the TSC */
	set_deadline, /* KVM ignores it unless the local APIC's timer is in that mode */
	/*
	 * Before events and MP state: an INIT among these waits while VMX is on, which it is by
	 * this, and is carried out where it is not.
	 */
	set_nested, set_regs, /* L2's, where there is one; and KVM drops exceptions at this */
	set_debugregs,	      /* of L2, too */
	set_events,	      /* after all that drops, blocks or carries out some */
	set_mp_state,	      /* last: there is nothing that KVM could still carry out */
};

/* It may come from a file: nothing in it is followed that is not there. */
static int check_state(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
		       struct lkvm_error *err)
{
	if (!s->cpuid || s->cpuid->nent > CPUID_MAX_ENTRIES)
		return err_input(
			err,
			"the saved vCPU %u has a CPUID table of %u entries; at most %d are "
			"possible",
			vcpu->index, s->cpuid ? s->cpuid->nent : 0, CPUID_MAX_ENTRIES);
	if (!s->xsave || s->xsave_size < sizeof(*s->xsave) || s->xsave_size > X86_STATE_MAX_XSAVE)
		return err_input(err,
				 "the saved vCPU %u has an XSAVE area of %u bytes; %zu to %llu are "
				 "possible",
				 vcpu->index, s->xsave ? s->xsave_size : 0, sizeof(*s->xsave),
				 (unsigned long long)X86_STATE_MAX_XSAVE);
	if (s->nested_size &&
	    (!s->nested || s->nested_size < sizeof(*s->nested) ||
	     s->nested_size > X86_STATE_MAX_NESTED || s->nested->size != s->nested_size))
		return err_input(err,
				 "the saved vCPU %u has %u bytes of nested state; %zu to %llu are "
				 "possible, and it must say so itself",
				 vcpu->index, s->nested_size, sizeof(*s->nested),
				 (unsigned long long)X86_STATE_MAX_NESTED);
	if (s->mp_state > KVM_MP_STATE_HALTED) /* KVM carries a SIPI out before it says */
		return err_input(err, "the saved vCPU %u has MP state %u; at most %d is possible",
				 vcpu->index, s->mp_state, KVM_MP_STATE_HALTED);
	return state_msrs_check(vcpu, s, err);
}

/* ---- comparing ---------------------------------------------------------------------------- */

static bool same_lapic(const struct kvm_lapic_state *a, const struct kvm_lapic_state *b)
{
	struct kvm_lapic_state x = *a, y = *b;
	u32 vector = get_le32(x.regs + LAPIC_LVT_TIMER) & 0xff;
	u32 irr = LAPIC_IRR + vector / 32 * 0x10;

	/* the timer goes on, and may have rung */
	put_le32(x.regs + LAPIC_TIMER_LEFT, get_le32(y.regs + LAPIC_TIMER_LEFT));
	put_le32(x.regs + irr, get_le32(x.regs + irr) | 1u << vector % 32);
	put_le32(y.regs + irr, get_le32(y.regs + irr) | 1u << vector % 32);
	return !memcmp(&x, &y, sizeof(x));
}

/*
 * With AMD's the data is a VMCB (APM 2, appendix B): how the hypervisor set up the guest that runs,
 * and then the hypervisor's own registers, of which count those that VMRUN saved and #VMEXIT loads
 * again (15.5.1, 15.6). KVM sets no others; CR2, DR6 and the like are left from some time before.
 */
static bool same_vmcb(const u8 *a, const u8 *b)
{
	static const struct {
		u32 off, len;
	} parts[] = {
		{ 0x000, 0x400 }, /* control area */
		{ 0x400, 0x40 },  /* ES, CS, SS, DS */
		{ 0x460, 0x10 },  /* GDTR */
		{ 0x480, 0x10 },  /* IDTR */
		{ 0x4d0, 8 },	  /* EFER */
		{ 0x548, 0x18 },  /* CR4, CR3, CR0 */
		{ 0x570, 0x10 },  /* RFLAGS, RIP */
		{ 0x5d8, 0x28 },  /* RSP, S_CET, SSP, ISST_ADDR, RAX */
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (memcmp(a + parts[i].off, b + parts[i].off, parts[i].len))
			return false;
	}
	return true;
}

static bool same_nested(const struct x86_vcpu_state *a, const struct x86_vcpu_state *b)
{
	const size_t head = sizeof(*a->nested);

	if (!a->nested_size || !b->nested_size)
		return (!a->nested_size || is_idle(a->nested)) &&
		       (!b->nested_size || is_idle(b->nested));
	if (a->nested_size != b->nested_size || memcmp(a->nested, b->nested, head))
		return false;
	if (a->nested->format == KVM_STATE_NESTED_FORMAT_SVM &&
	    a->nested_size == head + KVM_STATE_NESTED_SVM_VMCB_SIZE)
		return same_vmcb(a->nested->data, b->nested->data);
	return !memcmp(a->nested->data, b->nested->data, a->nested_size - head);
}

static bool same_xsave(const struct x86_vcpu_state *a, const struct x86_vcpu_state *b)
{
	return a->xsave_size == b->xsave_size && !memcmp(a->xsave, b->xsave, a->xsave_size);
}

/* The part of them that differs; NULL: none. */
static const char *events_differ(const struct kvm_vcpu_events *a, const struct kvm_vcpu_events *b)
{
#define PART(field, name)                                                       \
	{                                                                       \
		offsetof(struct kvm_vcpu_events, field), sizeof(a->field), name \
	}
	static const struct {
		size_t off, len;
		const char *what;
	} parts[] = {
		PART(exception, "the exception it was about to take"),
		PART(interrupt.injected, "the interrupt it was about to take"),
		PART(interrupt.nr, "the interrupt it was about to take"),
		PART(interrupt.soft, "the interrupt it was about to take"),
		PART(interrupt.shadow, "the interrupt shadow of STI or MOV SS"),
		PART(nmi, "NMIs that wait or are masked"),
		PART(smi, "SMM, or an INIT that waits"),
		PART(triple_fault, "the triple fault that waits"),
	};
#undef PART

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (memcmp((const u8 *)a + parts[i].off, (const u8 *)b + parts[i].off,
			   parts[i].len))
			return parts[i].what;
	}
	return memcmp(a, b, sizeof(*a)) ? "pending events" : NULL;
}

/* All of @a is in @b; that may have MSRs besides. */
static bool is_within(const struct x86_vcpu_state *a, const struct x86_vcpu_state *b,
		      struct x86_state_diff *diff)
{
	const char *events = events_differ(&a->events, &b->events);
	const struct {
		bool same;
		const char *what;
	} parts[] = {
		{ state_cpuid_same(a->cpuid, b->cpuid), "the CPUID table" },
		{ !a->tsc_khz || a->tsc_khz == b->tsc_khz, "the TSC's frequency" },
		{ !memcmp(&a->sregs, &b->sregs, sizeof(a->sregs)), "the special registers" },
		{ !memcmp(&a->xcrs, &b->xcrs, sizeof(a->xcrs)), "XCR0" },
		{ same_xsave(a, b), "the XSAVE area" },
		{ !state_msrs_differ(a, b, &diff->msr), "MSR" },
		{ a->ssp == b->ssp, "SSP" },
		{ same_lapic(&a->lapic, &b->lapic), "the local APIC" },
		{ same_nested(a, b), "the state of its own guest" },
		{ !memcmp(&a->regs, &b->regs, sizeof(a->regs)), "the registers" },
		{ !memcmp(&a->debugregs, &b->debugregs, sizeof(a->debugregs)),
		  "the debug registers" },
		{ !events, events },
		{ a->mp_state == b->mp_state, "the MP state" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		diff->what = parts[i].what;
		if (!parts[i].same)
			return false;
	}
	return true;
}

bool x86_vcpu_state_same(const struct x86_vcpu_state *a, const struct x86_vcpu_state *b,
			 struct x86_state_diff *diff)
{
	*diff = (struct x86_state_diff){ 0 };
	return is_within(a, b, diff) && is_within(b, a, diff);
}

/*
 * Where KVM gives a guest no TSC of its own it may have gone ahead, but not back. By less than a
 * second it may: KVM takes TSCs that close for one that all vCPUs are to have, and this vCPU's was
 * read after that of another.
 */
static int check_tsc(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
		     const struct x86_vcpu_state *now, struct lkvm_error *err)
{
	const u64 *want = state_msr(s, X86_MSR_TSC), *have = state_msr(now, X86_MSR_TSC);
	u64 second = (u64)now->tsc_khz * 1000;

	if (!want || !have || !second || (s64)(*have - *want + second) >= 0)
		return 0;
	return err_unsupported(err, EINVAL,
			       "vCPU %u: the TSC is 0x%llx on this host and cannot be made 0x%llx: "
			       "it would go back",
			       vcpu->index, (unsigned long long)*have, (unsigned long long)*want);
}

static int check_kept(struct vcpu *vcpu, const struct x86_vcpu_state *s, struct lkvm_error *err)
{
	struct x86_state_diff diff = { 0 };
	struct x86_vcpu_state *now;
	int ret = x86_vcpu_state_get(vcpu, &now, err);
	const u64 *want, *have;

	if (!ret)
		ret = check_tsc(vcpu, s, now, err);
	if (ret || is_within(s, now, &diff))
		goto out;
	want = state_msr(s, diff.msr);
	have = state_msr(now, diff.msr);
	if (strcmp(diff.what, "MSR") || !want)
		ret = err_unsupported(err, EINVAL,
				      "vCPU %u: %s cannot be made what it was; this host's KVM "
				      "does not keep it",
				      vcpu->index, diff.what);
	else if (!have)
		ret = err_unsupported(err, EINVAL,
				      "vCPU %u: this host's KVM has no MSR 0x%x for it",
				      vcpu->index, diff.msr);
	else
		ret = err_unsupported(err, EINVAL,
				      "vCPU %u: MSR 0x%x is 0x%llx on this host and cannot be made "
				      "0x%llx: KVM does not keep it",
				      vcpu->index, diff.msr, (unsigned long long)*have,
				      (unsigned long long)*want);
out:
	x86_vcpu_state_free(now);
	return ret;
}

int x86_vcpu_state_set(struct vcpu *vcpu, const struct x86_vcpu_state *s, struct lkvm_error *err)
{
	int ret = check_state(vcpu, s, err);

	for (size_t i = 0; !ret && i < ARRAY_SIZE(steps); i++)
		ret = steps[i](vcpu, s, err);
	return ret ? ret : check_kept(vcpu, s, err);
}
