/*
 * sregs.c - which special registers KVM accepts (4.14). The text says nothing of it: the
 * rules are those of the architecture (SDM 3A "Control Registers"), EINVAL was observed.
 */
#include "tests/fakekvm/x86/x86.h"

#include <errno.h>

#define CR0_PE	 BIT(0)
#define CR0_WP	 BIT(16)
#define CR0_NW	 BIT(29)
#define CR0_CD	 BIT(30)
#define CR0_PG	 BIT(31)
#define CR4_PAE	 BIT(5)
#define CR4_CET	 BIT(23)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)

enum reg { EBX, ECX, EDX };

/* CR4 bits that exist only with a CPUID bit; those below 11 always do. */
static const struct {
	u8 bit;
	u32 function;
	enum reg reg;
	u8 cpuid_bit;
} cr4_features[] = {
	{ 11, 7, ECX, 2 },  /* UMIP */
	{ 12, 7, ECX, 16 }, /* LA57 */
	{ 13, 1, ECX, 5 },  /* VMXE */
	{ 16, 7, EBX, 0 },  /* FSGSBASE */
	{ 17, 1, ECX, 17 }, /* PCIDE */
	{ 18, 1, ECX, 26 }, /* OSXSAVE */
	{ 20, 7, EBX, 7 },  /* SMEP */
	{ 21, 7, EBX, 20 }, /* SMAP */
	{ 22, 7, ECX, 3 },  /* PKE */
	{ 23, 7, ECX, 7 },  /* CET, with SHSTK */
};

static bool has_feature(const struct x86_vcpu *v, u32 function, enum reg reg, u8 bit)
{
	const struct kvm_cpuid_entry2 *e = x86_cpuid(v, function, 0);
	u32 val = !e ? 0 : reg == EBX ? e->ebx : reg == ECX ? e->ecx : e->edx;

	return val >> bit & 1;
}

static bool cr4_valid(const struct x86_vcpu *v, u64 cr4)
{
	u64 allowed = BIT(11) - 1;

	for (unsigned int i = 0; i < ARRAY_SIZE(cr4_features); i++)
		if (has_feature(v, cr4_features[i].function, cr4_features[i].reg,
				cr4_features[i].cpuid_bit))
			allowed |= BIT(cr4_features[i].bit);
	return !(cr4 & ~allowed);
}

/* NW needs CD, PG needs PE, nothing above bit 31. */
static bool cr0_valid(u64 cr0)
{
	return !(cr0 >> 32) && !((cr0 & CR0_NW) && !(cr0 & CR0_CD)) &&
	       !((cr0 & CR0_PG) && !(cr0 & CR0_PE));
}

static unsigned int phys_bits(const struct x86_vcpu *v)
{
	const struct kvm_cpuid_entry2 *e = x86_cpuid(v, 0x80000008, 0);
	unsigned int bits = e ? e->eax & 0xff : 0;

	return bits && bits <= 52 ? bits : 36; /* the architecture's default */
}

int x86_check_sregs(const struct x86_vcpu *v, const struct kvm_sregs *s)
{
	bool lma = s->efer & EFER_LMA;

	if (!cr0_valid(s->cr0) || !cr4_valid(v, s->cr4))
		return -EINVAL;
	/* SDM 3A, 2.5: CET needs WP, which therefore cannot be cleared under it */
	if (s->cr4 & CR4_CET && !(s->cr0 & CR0_WP))
		return -EINVAL;
	/* SDM 3A "Initializing IA-32e Mode": paging with LME is long mode: PAE, LMA */
	if ((s->efer & EFER_LME) && (s->cr0 & CR0_PG)) {
		if (!(s->cr4 & CR4_PAE) || !lma || s->cr3 >> phys_bits(v))
			return -EINVAL;
		return 0;
	}
	return lma || s->cs.l ? -EINVAL : 0;
}

/* SDM 3A "Local APIC Status and Location": x2APIC needs its CPUID bit and the APIC enabled. */
int x86_check_apic_base(const struct x86_vcpu *v, u64 base)
{
	const u64 x2apic = BIT(10), enable = BIT(11);

	if (base >> phys_bits(v) || base & 0x2ff)
		return -EINVAL;
	if ((base & x2apic) && (!(base & enable) || !has_feature(v, 1, ECX, 21)))
		return -EINVAL;
	return 0;
}
