/*
 * x86_entry.c - what an x86 CPU checks when KVM enters the guest, for the states a VMM sets up.
 * A guest state that fails ends in KVM_EXIT_FAIL_ENTRY. A part of the checks, from the
 * manuals: SDM 3C 28.3.1 (VMX), APM 2 15.5.1 (SVM).
 */
#include "tests/fakekvm/x86.h"

#define VMX_INVALID_GUEST_STATE \
	0x80000021ull	       /* SDM 3C appendix C: 33, bit 31 for an entry failure */
#define SVM_INVALID UINT64_MAX /* APM 2 appendix C: VMEXIT_INVALID, -1 */

#define CR0_PE	 BIT(0)
#define CR0_NW	 BIT(29)
#define CR0_CD	 BIT(30)
#define CR0_PG	 BIT(31)
#define CR4_PAE	 BIT(5)
#define EFER_LMA BIT(10)

/* SDM 3C 28.3.1.2: bits 19:0 of a limit are ones or its bits 31:20 are zeroes, by G. */
static bool limit_valid(const struct kvm_segment *s)
{
	if ((s->limit & 0xfff) != 0xfff && s->g)
		return false;
	return !(s->limit & 0xfff00000 && !s->g);
}

static bool code_valid(const struct kvm_segment *cs, bool lma)
{
	if (cs->unusable || !cs->present || !cs->s || !(cs->type & 8) || !(cs->type & 1))
		return false;
	if (lma && cs->l && cs->db)
		return false;
	return limit_valid(cs);
}

static bool data_valid(const struct kvm_segment *s)
{
	return s->unusable || (s->present && s->s && (s->type & 1) && limit_valid(s));
}

static bool stack_valid(const struct kvm_segment *ss)
{
	return ss->unusable ||
	       (ss->present && ss->s && (ss->type == 3 || ss->type == 7) && limit_valid(ss));
}

/* TR: always usable, a busy TSS, in IA-32e mode a 64-bit one. */
static bool task_valid(const struct kvm_segment *tr, bool lma)
{
	if (tr->unusable || !tr->present || tr->s || tr->selector & 4)
		return false;
	return (tr->type == 11 || (tr->type == 3 && !lma)) && limit_valid(tr);
}

u64 x86_entry_check_vmx(const struct x86_vcpu *v)
{
	const struct kvm_sregs *s = &v->sregs;
	bool lma = s->efer & EFER_LMA;

	/* In real mode KVM emulates or runs virtual-8086: nothing of this applies. */
	if (!(s->cr0 & CR0_PE))
		return 0;
	if (!code_valid(&s->cs, lma) || !stack_valid(&s->ss) || !data_valid(&s->ds) ||
	    !data_valid(&s->es) || !data_valid(&s->fs) || !data_valid(&s->gs) ||
	    !task_valid(&s->tr, lma))
		return VMX_INVALID_GUEST_STATE;
	if (!s->ldt.unusable && (s->ldt.type != 2 || s->ldt.s || !s->ldt.present))
		return VMX_INVALID_GUEST_STATE;
	/* 28.3.1.4: outside 64-bit mode RIP has 32 bits */
	if (!(lma && s->cs.l) && v->regs.rip >> 32)
		return VMX_INVALID_GUEST_STATE;
	return 0;
}

u64 x86_entry_check_svm(const struct x86_vcpu *v)
{
	const struct kvm_sregs *s = &v->sregs;
	bool lma = s->efer & EFER_LMA;

	if (!(s->cr0 & CR0_CD) && (s->cr0 & CR0_NW))
		return SVM_INVALID;
	if (lma && (s->cr0 & CR0_PG) && (!(s->cr4 & CR4_PAE) || !(s->cr0 & CR0_PE)))
		return SVM_INVALID;
	if (lma && (s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && s->cs.l && s->cs.db)
		return SVM_INVALID;
	return 0;
}
