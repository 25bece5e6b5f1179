/*
 * nmi.c - disturbs processors that wait to be started: n=1 NMIs to all others or, with sipi=1,
 * start-up IPIs without the INIT that must come first. They must go on waiting.
 */
#include "guest.h"

#define APIC_ICR_LOW  0x300
#define APIC_ICR_BUSY 0x1000

/* To all but this one (Intel SDM volume 3, figure 11-12). */
#define ICR_NMI	 0xc4400
#define ICR_SIPI 0xc4608

void guest_main(void)
{
	u64 n = arg_u64("n", 1);
	u32 icr = arg_u64("sipi", 0) ? ICR_SIPI : ICR_NMI;

	for (u64 i = 0; i < n; i++) {
		while (mmio_read32(X86_LAPIC_BASE + APIC_ICR_LOW) & APIC_ICR_BUSY)
			;
		mmio_write32(X86_LAPIC_BASE + APIC_ICR_LOW, icr);
		for (int k = 0; k < 1000; k++)
			asm volatile("pause");
	}
	/* long enough for a monitor to lose its patience */
	for (int k = 0; k < 100000; k++)
		asm volatile("pause");
	put_str("nmi: still here\n");
}
