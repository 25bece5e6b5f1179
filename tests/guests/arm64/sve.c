/*
 * sve.c - the longest SVE vector, and memory tagging: what --sve-max-vl and --disable-mte change.
 */
#include "guest.h"

#define CPACR_ZEN    (BIT(16) | BIT(17))
#define CPACR_FPEN   (BIT(20) | BIT(21))
#define CPTR_EL2_TFP BIT(10)
#define CPTR_EL2_TZ  BIT(8)
#define ZCR_LONGEST  0xf

#define ID_AA64PFR0_SVE(r) ((r) >> 32 & 0xf)
#define ID_AA64PFR1_MTE(r) ((r) >> 8 & 0xf)

static u64 longest(void)
{
	u64 bytes;

	if (current_el() == 2 && !has_vhe())
		write_sysreg("cptr_el2", read_sysreg("cptr_el2") & ~(CPTR_EL2_TZ | CPTR_EL2_TFP));
	else
		write_sysreg("cpacr_el1", read_sysreg("cpacr_el1") | CPACR_ZEN | CPACR_FPEN);
	if (current_el() == 2)
		write_sysreg("S3_4_C1_C2_0", ZCR_LONGEST); /* ZCR_EL2 */
	else
		write_sysreg("S3_0_C1_C2_0", ZCR_LONGEST); /* ZCR_EL1 */
	asm volatile(".arch_extension sve; rdvl %0, #1" : "=r"(bytes));
	return bytes * 8;
}

void guest_main(void)
{
	u64 pfr0 = read_sysreg("id_aa64pfr0_el1"), pfr1 = read_sysreg("id_aa64pfr1_el1");

	put_str("sve: ");
	put_dec(ID_AA64PFR0_SVE(pfr0) ? longest() : 0);
	put_str(" bits, mte: ");
	put_dec(ID_AA64PFR1_MTE(pfr1));
	put_char('\n');
}
