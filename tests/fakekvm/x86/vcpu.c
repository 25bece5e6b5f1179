/* vcpu.c - the state of an x86 vCPU: what KVM_SET_* accepts, what KVM_GET_* gives back. */
#include "tests/fakekvm/x86/x86.h"

#include <errno.h>
#include <stdio.h>

#define CR4_VMXE	 BIT(13)
#define MSR_TSC_DEADLINE 0x6e0
#define LVT_TIMER	 0x320
#define LVT_TIMER_MODE	 0x60000

static bool lapic_in_kernel(const struct fake_call *c)
{
	return c->fk->host->arch->has_irqchip(c->vm);
}

/* ---- Reset (SDM 3A "Processor State After Reset", "Local APIC State After Power-Up") ---- */

static void reset_lapic(struct x86_vcpu *v, u32 id, bool bsp)
{
	char *regs = v->lapic.regs;

	put_le32(regs + 0x20, id << 24);
	put_le32(regs + 0x30, 0x50014);
	put_le32(regs + 0xe0, UINT32_MAX);
	put_le32(regs + 0xf0, 0xff);
	for (int lvt = 0x320; lvt <= 0x370; lvt += 0x10)
		put_le32(regs + lvt, 1u << 16);
	/* KVM leaves the boot processor's LINT0 open for the PIC (a quirk, 7.23; observed). */
	if (bsp)
		put_le32(regs + 0x350, 0x700);
}

void x86_vcpu_reset(struct fakekvm *fk, struct fake_vcpu *vcpu)
{
	const struct kvm_segment data = { .limit = 0xffff, .type = 3, .present = 1, .s = 1 };
	const struct x86_vm *x = x86_vm(vcpu->vm);
	struct x86_vcpu *v = x86_vcpu(vcpu);
	bool bsp = vcpu->id == x->boot_cpu, lapic = x->irqchip || x->split;

	v->regs.rip = 0xfff0;
	v->regs.rdx = 0x600;
	v->regs.rflags = 2;
	v->sregs.cs = (struct kvm_segment){ .base = 0xffff0000,
					    .limit = 0xffff,
					    .selector = 0xf000,
					    .type = 11,
					    .present = 1,
					    .s = 1 };
	v->sregs.ds = v->sregs.es = v->sregs.fs = v->sregs.gs = v->sregs.ss = data;
	v->sregs.tr = (struct kvm_segment){ .limit = 0xffff, .type = 11, .present = 1 };
	v->sregs.ldt = (struct kvm_segment){ .limit = 0xffff, .type = 2, .present = 1 };
	v->sregs.gdt.limit = v->sregs.idt.limit = 0xffff;
	v->sregs.cr0 = 0x60000010;
	v->sregs.apic_base = 0xfee00800 | (bsp ? 0x100 : 0);
	v->fpu.fcw = 0x37f;
	v->xcrs.nr_xcrs = 1;
	v->xcrs.xcrs[0].value = 1;
	v->debugregs.dr6 = 0xffff0ff0;
	v->debugregs.dr7 = 0x400;
	/* 4.38: with a local APIC in the kernel, all but the boot processor wait for INIT. */
	v->mp_state = lapic && !bsp ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE;
	v->tsc_khz = x->tsc_khz ? x->tsc_khz : fk->host->tsc_khz;
	reset_lapic(v, vcpu->id, bsp);
	x86_msr_reset(v);
}

/* ---- CPUID (4.20) ---- */

const struct kvm_cpuid_entry2 *x86_cpuid(const struct x86_vcpu *v, u32 function, u32 index)
{
	for (u32 i = 0; i < v->n_cpuid; i++) {
		const struct kvm_cpuid_entry2 *e = &v->cpuid[i];

		if (e->function == function &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
			return e;
	}
	return NULL;
}

static bool same_entry(const struct kvm_cpuid_entry2 *a, const struct kvm_cpuid_entry2 *b)
{
	return a->function == b->function && a->index == b->index && a->flags == b->flags &&
	       a->eax == b->eax && a->ebx == b->ebx && a->ecx == b->ecx && a->edx == b->edx;
}

static bool same_cpuid(const struct x86_vcpu *v, const struct kvm_cpuid2 *in)
{
	if (in->nent != v->n_cpuid)
		return false;
	for (u32 i = 0; i < in->nent; i++)
		if (!same_entry(&v->cpuid[i], &in->entries[i]))
			return false;
	return true;
}

/*
 * Observed: E2BIG above 256 entries; after KVM_RUN only the very same table is taken (EINVAL);
 * EINVAL for a linear address width (0x80000008 EAX[15:8]) that is not 0, 48 or 57.
 */
static int set_cpuid2(struct fake_call *c)
{
	const struct kvm_cpuid2 *in = fake_user(c);
	struct x86_vcpu *v = x86_vcpu(c->vcpu);

	if (!in)
		return -EFAULT;
	fake_note(c, " nent %u", in->nent);
	if (in->nent > X86_MAX_CPUID)
		return -E2BIG;
	if (c->vcpu->has_run)
		return same_cpuid(v, in) ? 0 : -EINVAL;
	for (u32 i = 0; i < in->nent; i++) {
		u32 bits = in->entries[i].eax >> 8 & 0xff;

		if (in->entries[i].function == 0x80000008 && bits && bits != 48 && bits != 57)
			return -EINVAL;
		/* 4.46: x2APIC needs the local APIC in the kernel */
		if (in->entries[i].function == 1 && in->entries[i].ecx & 1u << 21 &&
		    !lapic_in_kernel(c))
			fake_complain(c->fk, "x2APIC in CPUID without KVM_CREATE_IRQCHIP, 4.46");
	}
	memcpy(v->cpuid, in->entries, in->nent * sizeof(in->entries[0]));
	v->n_cpuid = in->nent;
	return 0;
}

/* E2BIG writes nothing: observed. */
static int get_cpuid2(struct fake_call *c)
{
	struct kvm_cpuid2 *out = fake_user(c);
	const struct x86_vcpu *v = x86_vcpu(c->vcpu);

	if (!out)
		return -EFAULT;
	if (out->nent < v->n_cpuid)
		return -E2BIG;
	out->nent = v->n_cpuid;
	memcpy(out->entries, v->cpuid, v->n_cpuid * sizeof(v->cpuid[0]));
	return 0;
}

/* ---- State that is taken as it comes ---- */

static int copy_out(struct fake_call *c, const void *from, size_t size)
{
	void *to = fake_user(c);

	if (!to)
		return -EFAULT;
	memcpy(to, from, size);
	return 0;
}

static int copy_in(struct fake_call *c, void *to, size_t size)
{
	const void *from = fake_user(c);

	if (!from)
		return -EFAULT;
	memcpy(to, from, size);
	return 0;
}

static int get_regs(struct fake_call *c)
{
	if (x86_snp_sealed(c->vm))
		return -EINVAL;
	return copy_out(c, &x86_vcpu(c->vcpu)->regs, sizeof(struct kvm_regs));
}

static int set_regs(struct fake_call *c)
{
	struct kvm_regs *r = &x86_vcpu(c->vcpu)->regs;
	int ret = x86_snp_sealed(c->vm) ? -EINVAL : copy_in(c, r, sizeof(*r));

	r->rflags |= 2; /* always one; observed */
	x86_vcpu(c->vcpu)->events.exception.pending = 0;
	if (!ret)
		fake_note(c, " rip 0x%llx rsp 0x%llx rbx 0x%llx rsi 0x%llx rflags 0x%llx",
			  (unsigned long long)r->rip, (unsigned long long)r->rsp,
			  (unsigned long long)r->rbx, (unsigned long long)r->rsi,
			  (unsigned long long)r->rflags);
	return ret;
}

static int get_fpu(struct fake_call *c)
{
	return copy_out(c, &x86_vcpu(c->vcpu)->fpu, sizeof(struct kvm_fpu));
}

static int set_fpu(struct fake_call *c)
{
	struct kvm_fpu *f = &x86_vcpu(c->vcpu)->fpu;
	int ret = copy_in(c, f, sizeof(*f));

	if (!ret)
		fake_note(c, " fcw 0x%x mxcsr 0x%x", f->fcw, f->mxcsr);
	return ret;
}

/* 4.144: how many bytes it has; the host says. */
static u32 xsave_size(const struct fake_call *c)
{
	int size = fake_cap(c->fk, c->vm, KVM_CAP_XSAVE2);

	return size > (int)sizeof(struct kvm_xsave) ? (u32)size : sizeof(struct kvm_xsave);
}

/* 4.42: only where it fits: EINVAL, as the source has it. */
static int get_xsave(struct fake_call *c)
{
	if (xsave_size(c) > sizeof(struct kvm_xsave))
		return -EINVAL;
	return copy_out(c, x86_vcpu(c->vcpu)->xsave, sizeof(struct kvm_xsave));
}

static int get_xsave2(struct fake_call *c)
{
	return copy_out(c, x86_vcpu(c->vcpu)->xsave, xsave_size(c));
}

static u64 guest_xcr0(const struct x86_vcpu *v);

/* SDM 1, "XSAVE Area": components CPUID has; EINVAL: observed. It is not the compacted format. */
static int set_xsave(struct fake_call *c)
{
	const u8 *in = fake_user(c);
	struct x86_vcpu *v = x86_vcpu(c->vcpu);

	if (!in)
		return -EFAULT;
	if (get_le64(in + 512) & ~(guest_xcr0(v) | 3) || get_le64(in + 520))
		return -EINVAL;
	return copy_in(c, v->xsave, xsave_size(c));
}

/* ---- Special registers (4.13, 4.14) ---- */

static int get_sregs(struct fake_call *c)
{
	if (x86_snp_sealed(c->vm))
		return -EINVAL;
	return copy_out(c, &x86_vcpu(c->vcpu)->sregs, sizeof(struct kvm_sregs));
}

/* A restore begins with these: what comes after is looked at for its order. */
static void take_sregs(struct fake_call *c, const struct kvm_sregs *s)
{
	const u64 x2apic = BIT(10);
	struct x86_vcpu *v = x86_vcpu(c->vcpu);

	if (v->lapic_set && (s->apic_base ^ v->sregs.apic_base) & x2apic)
		fake_complain(c->fk, "the mode of the local APIC is set after its registers, whose "
				     "layout it decides, 4.58");
	if (v->init_waits && !x86_vmx_on(v) && s->cr4 & CR4_VMXE)
		fake_complain(c->fk, "CR4.VMXE is set while an INIT waits that it would block");
	v->cet_set = v->lapic_set = v->events_set = false;
	v->sregs = *s;
}

static int set_sregs(struct fake_call *c)
{
	const struct kvm_sregs *s = fake_user(c);
	int ret, n_bits = 0;

	if (!s)
		return -EFAULT;
	if (x86_snp_sealed(c->vm))
		return -EINVAL;
	fake_note(c, " cr0 0x%llx cr3 0x%llx cr4 0x%llx efer 0x%llx cs 0x%x l %u db %u apic 0x%llx",
		  (unsigned long long)s->cr0, (unsigned long long)s->cr3,
		  (unsigned long long)s->cr4, (unsigned long long)s->efer, s->cs.selector, s->cs.l,
		  s->cs.db, (unsigned long long)s->apic_base);
	for (unsigned int i = 0; i < ARRAY_SIZE(s->interrupt_bitmap); i++)
		n_bits += __builtin_popcountll(s->interrupt_bitmap[i]);
	if (n_bits > 1)
		fake_complain(c->fk, "KVM_SET_SREGS with %d pending interrupts, 4.13", n_bits);
	ret = x86_check_sregs(x86_vcpu(c->vcpu), s);
	if (!ret)
		ret = x86_check_apic_base(x86_vcpu(c->vcpu), s->apic_base);
	if (!ret)
		take_sregs(c, s);
	return ret;
}

static int get_sregs2(struct fake_call *c)
{
	struct kvm_sregs2 *out = fake_user(c);

	if (!out)
		return -EFAULT;
	memset(out, 0, sizeof(*out));
	/* both start alike, up to apic_base */
	memcpy(out, &x86_vcpu(c->vcpu)->sregs, offsetof(struct kvm_sregs, interrupt_bitmap));
	return 0;
}

static int set_sregs2(struct fake_call *c)
{
	const struct kvm_sregs2 *in = fake_user(c);
	struct kvm_sregs s = { 0 };
	struct fake_call first = *c;
	int ret;

	if (!in)
		return -EFAULT;
	if (in->flags & ~(u64)KVM_SREGS2_FLAGS_PDPTRS_VALID)
		return -EINVAL;
	memcpy(&s, in, offsetof(struct kvm_sregs, interrupt_bitmap));
	first.arg = (unsigned long)&s;
	ret = set_sregs(&first);
	memcpy(c->note, first.note, sizeof(c->note));
	return ret;
}

/* ---- XCR0 (4.45) ---- */

/* The bits of CPUID 0xD.0 that the vCPU was given. */
static u64 guest_xcr0(const struct x86_vcpu *v)
{
	const struct kvm_cpuid_entry2 *e = x86_cpuid(v, 0xd, 0);

	return e ? (u64)e->edx << 32 | e->eax : 0;
}

/* SDM 1 "Enabling the XSAVE Feature Set": x87 always, AVX with SSE, AVX-512 whole, with AVX. */
static bool xcr0_valid(const struct x86_vcpu *v, u64 val)
{
	const u64 avx512 = 0xe0;

	if (!(val & 1) || ((val & 4) && !(val & 2)))
		return false;
	if ((val & avx512) && ((val & avx512) != avx512 || !(val & 4)))
		return false;
	return !(val & ~(guest_xcr0(v) | 1));
}

static int get_xcrs(struct fake_call *c)
{
	return copy_out(c, &x86_vcpu(c->vcpu)->xcrs, sizeof(struct kvm_xcrs));
}

/* EINVAL for too many, flags, a bad value: observed. Other registers than XCR0 are ignored. */
static int set_xcrs(struct fake_call *c)
{
	const struct kvm_xcrs *in = fake_user(c);
	struct x86_vcpu *v = x86_vcpu(c->vcpu);

	if (!in)
		return -EFAULT;
	fake_note(c, " n %u", in->nr_xcrs);
	if (in->nr_xcrs > KVM_MAX_XCRS || in->flags)
		return -EINVAL;
	for (u32 i = 0; i < in->nr_xcrs; i++) {
		if (in->xcrs[i].xcr)
			continue;
		if (!xcr0_valid(v, in->xcrs[i].value))
			return -EINVAL;
		v->xcrs.xcrs[0].value = in->xcrs[i].value;
	}
	return 0;
}

/* ---- Local APIC, MP state, events ---- */

/* 4.57, 4.58: EINVAL without a local APIC in the kernel: observed. */
static int get_lapic(struct fake_call *c)
{
	if (!lapic_in_kernel(c))
		return -EINVAL;
	return copy_out(c, &x86_vcpu(c->vcpu)->lapic, sizeof(struct kvm_lapic_state));
}

/* 4.57: of 32 bits with the x2APIC API, else in the upper 8. EINVAL for another: the source. */
static bool own_x2apic_id(const struct fake_call *c, const struct kvm_lapic_state *in)
{
	u32 id = get_le32(in->regs + 0x20);

	return (x86_vm(c->vm)->x2apic & KVM_X2APIC_API_USE_32BIT_IDS ? id : id >> 24) ==
	       c->vcpu->id;
}

/* SDM 3A, "TSC-Deadline Mode": the deadline goes with the mode of the timer. */
static int set_lapic(struct fake_call *c)
{
	const struct kvm_lapic_state *in = fake_user(c);
	struct x86_vcpu *v = x86_vcpu(c->vcpu);

	if (!lapic_in_kernel(c))
		return -EINVAL;
	if (!in)
		return -EFAULT;
	fake_note(c, " lint0 0x%x lint1 0x%x", get_le32(in->regs + 0x350),
		  get_le32(in->regs + 0x360));
	if (v->sregs.apic_base & BIT(10) && !own_x2apic_id(c, in))
		return -EINVAL;
	if ((get_le32(in->regs + LVT_TIMER) ^ get_le32(v->lapic.regs + LVT_TIMER)) & LVT_TIMER_MODE)
		v->msrs[x86_msr_slot(MSR_TSC_DEADLINE)] = 0;
	v->lapic = *in;
	v->lapic_set = true;
	return 0;
}

/*
 * 4.38. KVM carries out what waits first: an INIT that was put there between other parts of a
 * state makes an end of these.
 */
static int get_mp_state(struct fake_call *c)
{
	struct x86_vcpu *v = x86_vcpu(c->vcpu);
	struct kvm_mp_state s;

	if (v->init_waits && !x86_vmx_on(v)) {
		fake_complain(c->fk, "KVM_GET_MP_STATE while an INIT waits that was put there");
		v->init_waits = false;
		v->events.smi.latched_init = 0;
		v->mp_state = KVM_MP_STATE_INIT_RECEIVED;
	}
	s.mp_state = v->mp_state;
	return copy_out(c, &s, sizeof(s));
}

/* 4.39. EINVAL for states x86 does not have, and for all but RUNNABLE without an APIC: observed. */
static int set_mp_state(struct fake_call *c)
{
	const struct kvm_mp_state *in = fake_user(c);

	if (!in)
		return -EFAULT;
	fake_note(c, " %u", in->mp_state);
	if (in->mp_state > KVM_MP_STATE_SIPI_RECEIVED ||
	    (in->mp_state != KVM_MP_STATE_RUNNABLE && !lapic_in_kernel(c)))
		return -EINVAL;
	x86_vcpu(c->vcpu)->mp_state = in->mp_state;
	return 0;
}

/* 4.31: observed to be always valid. */
static int get_vcpu_events(struct fake_call *c)
{
	struct kvm_vcpu_events e = x86_vcpu(c->vcpu)->events;

	e.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW |
		  KVM_VCPUEVENT_VALID_SMM;
	return copy_out(c, &e, sizeof(e));
}

/* 4.32: without its flag a field stays as it was. */
static void take_events(struct x86_vcpu *v, const struct kvm_vcpu_events *in)
{
	struct kvm_vcpu_events e = *in;

	if (!(in->flags & KVM_VCPUEVENT_VALID_NMI_PENDING))
		e.nmi.pending = v->events.nmi.pending;
	if (!(in->flags & KVM_VCPUEVENT_VALID_SHADOW))
		e.interrupt.shadow = v->events.interrupt.shadow;
	if (!(in->flags & KVM_VCPUEVENT_VALID_SMM))
		e.smi = v->events.smi;
	if (!(in->flags & KVM_VCPUEVENT_VALID_PAYLOAD))
		e.exception.pending = 0;
	if (e.interrupt.shadow && x86_is_amd(v))
		e.interrupt.shadow = 3; /* SVM has one for both kinds: observed */
	v->events = e;
	v->events_set = true;
	v->init_waits = e.smi.latched_init;
}

/* 4.32. Unknown flags, exception numbers above 31 and that of NMI: EINVAL, observed. */
static int set_vcpu_events(struct fake_call *c)
{
	const struct kvm_vcpu_events *in = fake_user(c);
	u32 known = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
		    KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM |
		    KVM_VCPUEVENT_VALID_PAYLOAD | KVM_VCPUEVENT_VALID_TRIPLE_FAULT;

	if (!in)
		return -EFAULT;
	fake_note(c, " flags 0x%x", in->flags);
	if (in->flags & ~known)
		return -EINVAL;
	if ((in->exception.injected || in->exception.pending) &&
	    (in->exception.nr > 31 || in->exception.nr == 2))
		return -EINVAL;
	take_events(x86_vcpu(c->vcpu), in);
	return 0;
}

static int get_debugregs(struct fake_call *c)
{
	return copy_out(c, &x86_vcpu(c->vcpu)->debugregs, sizeof(struct kvm_debugregs));
}

/* 4.34: flags must be clear; so (observed) must be the upper halves of DR6 and DR7. */
static int set_debugregs(struct fake_call *c)
{
	const struct kvm_debugregs *in = fake_user(c);

	if (!in)
		return -EFAULT;
	if (in->flags || in->dr6 >> 32 || in->dr7 >> 32)
		return -EINVAL;
	x86_vcpu(c->vcpu)->debugregs = *in;
	return 0;
}

/* ---- KVM_GET_ONE_REG (4.69): MSRs, and what is none ---- */

/* EINVAL for what there is not, SSP without shadow stacks in CPUID among it. */
static int get_one_reg(struct fake_call *c)
{
	const struct kvm_one_reg *r = fake_user(c);
	const struct x86_vcpu *v = x86_vcpu(c->vcpu);
	u64 *val;

	if (!r || !r->addr)
		return -EFAULT;
	val = (u64 *)(uintptr_t)r->addr;
	fake_note(c, " 0x%llx", (unsigned long long)r->id);
	if (r->id == KVM_X86_REG_KVM(KVM_REG_GUEST_SSP) && x86_has_shstk(v)) {
		*val = v->ssp;
		return 0;
	}
	return r->id == KVM_X86_REG_MSR(r->id) && x86_get_msr(c, (u32)r->id, val) ? 0 : -EINVAL;
}

static int set_one_reg(struct fake_call *c)
{
	const struct kvm_one_reg *r = fake_user(c);
	struct x86_vcpu *v = x86_vcpu(c->vcpu);
	u64 val;

	if (!r || !r->addr)
		return -EFAULT;
	val = *(const u64 *)(uintptr_t)r->addr;
	fake_note(c, " 0x%llx 0x%llx", (unsigned long long)r->id, (unsigned long long)val);
	if (r->id == KVM_X86_REG_KVM(KVM_REG_GUEST_SSP) && x86_has_shstk(v) && x86_is_ssp(val)) {
		v->ssp = val;
		return 0;
	}
	return r->id == KVM_X86_REG_MSR(r->id) && x86_set_msr(c, (u32)r->id, val) ? 0 : -EINVAL;
}

/* SSP alone: MSRs have a list of their own. */
static int get_reg_list(struct fake_call *c)
{
	struct kvm_reg_list *list = fake_user(c);
	u64 n = x86_has_shstk(x86_vcpu(c->vcpu)), room;

	if (!list)
		return -EFAULT;
	room = list->n;
	list->n = n;
	if (room < n)
		return -E2BIG;
	if (n)
		list->reg[0] = KVM_X86_REG_KVM(KVM_REG_GUEST_SSP);
	return 0;
}

/* ---- The rest ---- */

/* 4.70: only a guest that uses kvmclock can be told; EINVAL: observed. */
static int kvmclock_ctrl(struct fake_call *c)
{
	return x86_kvmclock_on(x86_vcpu(c->vcpu)) ? 0 : -EINVAL;
}

static int nmi(struct fake_call *c)
{
	x86_vcpu(c->vcpu)->events.nmi.pending = 1;
	return 0;
}

static int get_tsc_khz(struct fake_call *c)
{
	return (int)x86_vcpu(c->vcpu)->tsc_khz;
}

/* 4.55. Without KVM_CAP_TSC_CONTROL none slower than the host's: EINVAL, observed. */
static int set_tsc_khz(struct fake_call *c)
{
	fake_note(c, " %lu", c->arg);
	if (c->arg && c->arg < c->fk->host->tsc_khz && !fake_cap(c->fk, c->vm, KVM_CAP_TSC_CONTROL))
		return -EINVAL;
	x86_vcpu(c->vcpu)->tsc_khz = c->arg ? c->arg : c->fk->host->tsc_khz;
	return 0;
}

/* 4.37: capabilities of a vCPU are Hyper-V's and such: none here. */
static int enable_cap(struct fake_call *c)
{
	const struct kvm_enable_cap *cap = fake_user(c);

	if (!cap)
		return -EFAULT;
	fake_note(c, " %u", cap->cap);
	return -EINVAL;
}

const struct fake_request x86_vcpu_requests[] = {
	FAKE_REQUEST(KVM_GET_REGS, get_regs),
	FAKE_REQUEST(KVM_SET_REGS, set_regs),
	FAKE_REQUEST(KVM_GET_SREGS, get_sregs),
	FAKE_REQUEST(KVM_SET_SREGS, set_sregs),
	FAKE_REQUEST_CAP(KVM_GET_SREGS2, get_sregs2, KVM_CAP_SREGS2),
	FAKE_REQUEST_CAP(KVM_SET_SREGS2, set_sregs2, KVM_CAP_SREGS2),
	FAKE_REQUEST(KVM_GET_FPU, get_fpu),
	FAKE_REQUEST(KVM_SET_FPU, set_fpu),
	FAKE_REQUEST_CAP(KVM_GET_XSAVE, get_xsave, KVM_CAP_XSAVE),
	FAKE_REQUEST(KVM_GET_XSAVE2, get_xsave2),
	FAKE_REQUEST_CAP(KVM_SET_XSAVE, set_xsave, KVM_CAP_XSAVE),
	FAKE_REQUEST_CAP(KVM_GET_XCRS, get_xcrs, KVM_CAP_XCRS),
	FAKE_REQUEST_CAP(KVM_SET_XCRS, set_xcrs, KVM_CAP_XCRS),
	FAKE_REQUEST(KVM_GET_MSRS, x86_get_msrs),
	FAKE_REQUEST(KVM_SET_MSRS, x86_set_msrs),
	FAKE_REQUEST_CAP(KVM_GET_ONE_REG, get_one_reg, KVM_CAP_ONE_REG),
	FAKE_REQUEST_CAP(KVM_SET_ONE_REG, set_one_reg, KVM_CAP_ONE_REG),
	FAKE_REQUEST_CAP(KVM_GET_REG_LIST, get_reg_list, KVM_CAP_ONE_REG),
	FAKE_REQUEST_CAP(KVM_GET_NESTED_STATE, x86_get_nested, KVM_CAP_NESTED_STATE),
	FAKE_REQUEST_CAP(KVM_SET_NESTED_STATE, x86_set_nested, KVM_CAP_NESTED_STATE),
	FAKE_REQUEST(KVM_GET_LAPIC, get_lapic),
	FAKE_REQUEST(KVM_SET_LAPIC, set_lapic),
	FAKE_REQUEST(KVM_GET_CPUID2, get_cpuid2),
	FAKE_REQUEST(KVM_SET_CPUID2, set_cpuid2),
	FAKE_REQUEST_CAP(KVM_GET_MP_STATE, get_mp_state, KVM_CAP_MP_STATE),
	FAKE_REQUEST_CAP(KVM_SET_MP_STATE, set_mp_state, KVM_CAP_MP_STATE),
	FAKE_REQUEST_CAP(KVM_GET_VCPU_EVENTS, get_vcpu_events, KVM_CAP_VCPU_EVENTS),
	FAKE_REQUEST_CAP(KVM_SET_VCPU_EVENTS, set_vcpu_events, KVM_CAP_VCPU_EVENTS),
	FAKE_REQUEST_CAP(KVM_GET_DEBUGREGS, get_debugregs, KVM_CAP_DEBUGREGS),
	FAKE_REQUEST_CAP(KVM_SET_DEBUGREGS, set_debugregs, KVM_CAP_DEBUGREGS),
	FAKE_REQUEST_CAP(KVM_KVMCLOCK_CTRL, kvmclock_ctrl, KVM_CAP_KVMCLOCK_CTRL),
	FAKE_REQUEST_CAP(KVM_NMI, nmi, KVM_CAP_USER_NMI),
	FAKE_REQUEST(KVM_GET_TSC_KHZ, get_tsc_khz),
	FAKE_REQUEST(KVM_SET_TSC_KHZ, set_tsc_khz),
	FAKE_REQUEST(KVM_ENABLE_CAP, enable_cap),
	FAKE_END,
};
