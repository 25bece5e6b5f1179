/*
 * entry.c - what an x86 CPU checks when KVM enters the guest, for the states a VMM sets up:
 * a part of SDM 3C "Checks on the Guest State Area" (VMX) and APM 2 "Canonicalization and
 * Consistency Checks" (SVM). A state that fails ends in KVM_EXIT_FAIL_ENTRY here. KVM may instead
 * emulate its way through it on Intel, which is nothing to rely on.
 */
#include "tests/fakekvm/x86/x86.h"

#define VMX_INVALID_GUEST_STATE 0x80000021ull /* basic exit reason 33, bit 31: VM-entry failure */
#define SVM_INVALID		UINT64_MAX    /* VMEXIT_INVALID, -1 */

#define CR0_PE	 BIT(0)
#define CR0_NW	 BIT(29)
#define CR0_CD	 BIT(30)
#define CR0_PG	 BIT(31)
#define CR4_PAE	 BIT(5)
#define EFER_LMA BIT(10)

/* A limit with a zero in bits 11:0 has G clear, one with a one in bits 31:20 has it set. */
static bool limit_valid(const struct kvm_segment *s)
{
	return !((s->limit & 0xfff) != 0xfff && s->g) && !(s->limit & 0xfff00000 && !s->g);
}

/* Accessed code; in 64-bit mode not a 32-bit one as well. */
static bool code_valid(const struct kvm_segment *cs, bool lma)
{
	if (cs->unusable || !cs->present || !cs->s || !(cs->type & 8) || !(cs->type & 1))
		return false;
	return !(lma && cs->l && cs->db) && !(cs->base >> 32) && limit_valid(cs);
}

/* Accessed, and readable where it is code. */
static bool data_valid(const struct kvm_segment *s)
{
	if (s->unusable)
		return true;
	return s->present && s->s && (s->type & 1) && (!(s->type & 8) || s->type & 2) &&
	       limit_valid(s);
}

/* Writable data, of the code's privilege. */
static bool stack_valid(const struct kvm_segment *ss, const struct kvm_segment *cs)
{
	if (ss->unusable)
		return true;
	return ss->present && ss->s && (ss->type == 3 || ss->type == 7) && ss->dpl == cs->dpl &&
	       !(ss->base >> 32) && limit_valid(ss);
}

/* TR: always usable, a busy TSS, in IA-32e mode a 64-bit one. */
static bool task_valid(const struct kvm_segment *tr, bool lma)
{
	if (tr->unusable || !tr->present || tr->s || tr->selector & 4)
		return false;
	return (tr->type == 11 || (tr->type == 3 && !lma)) && limit_valid(tr);
}

static bool ldt_valid(const struct kvm_segment *ldt)
{
	return ldt->unusable || (ldt->type == 2 && !ldt->s && ldt->present && !(ldt->selector & 4));
}

u64 x86_entry_check_vmx(const struct x86_vcpu *v)
{
	const struct kvm_sregs *s = &v->sregs;
	bool lma = s->efer & EFER_LMA;

	/* In real mode KVM emulates or runs virtual-8086: nothing of this applies. */
	if (!(s->cr0 & CR0_PE))
		return 0;
	if (!code_valid(&s->cs, lma) || !stack_valid(&s->ss, &s->cs) || !data_valid(&s->ds) ||
	    !data_valid(&s->es) || !data_valid(&s->fs) || !data_valid(&s->gs) ||
	    !task_valid(&s->tr, lma) || !ldt_valid(&s->ldt))
		return VMX_INVALID_GUEST_STATE;
	/* outside 64-bit mode RIP has 32 bits */
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
