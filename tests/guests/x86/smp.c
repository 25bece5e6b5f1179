/*
 * smp.c - wakes all other processors and waits until there are cpus=N of them, itself
 * included; through the xAPIC page, or with x2apic=1 and where it finds it so through MSRs.
 */
#include "guest.h"

#define MSR_X2APIC_ICR	   0x830
#define CPUID_1_ECX_X2APIC (1 << 21)

#define APIC_ICR_LOW  0x300
#define APIC_ICR_BUSY 0x1000

/* ICR: INIT and start-up, asserted, to all but this one (Intel SDM volume 3, figure 11-12). */
#define ICR_INIT 0xc4500
#define ICR_SIPI (0xc4600 | AP_VECTOR)

static bool x2apic;

static void send(u32 icr)
{
	if (x2apic) {
		wrmsr(MSR_X2APIC_ICR, icr);
		return;
	}
	while (mmio_read32(X86_LAPIC_BASE + APIC_ICR_LOW) & APIC_ICR_BUSY)
		;
	mmio_write32(X86_LAPIC_BASE + APIC_ICR_LOW, icr);
}

void guest_main(void)
{
	u64 cpus = arg_u64("cpus", 1), highest = cpuid(0xb, 0).edx;

	x2apic = arg_u64("x2apic", 0) || rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
	if (x2apic && !(cpuid(1, 0).ecx & CPUID_1_ECX_X2APIC)) {
		put_str("smp: no x2APIC\n");
		verdict(2);
	}
	if (x2apic)
		wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
	memcpy((void *)((u64)AP_VECTOR << 12), ap_start, (size_t)(ap_end - ap_start));
	if (cpus > 1) {
		send(ICR_INIT);
		send(ICR_SIPI);
	}
	while (ap_count + 1 < cpus)
		asm volatile("pause");

	for (u32 id = 0; id <= AP_MAX_APICID; id++)
		if (ap_seen[id / 32] >> id % 32 & 1 && id > highest)
			highest = id;
	put_str("smp: ");
	put_dec(ap_count + 1);
	put_str(" processors, highest APIC id ");
	put_dec(highest);
	put_char('\n');
	if (ap_wrong_id) {
		put_str("smp: CPUID and the local APIC disagree about the id of ");
		put_dec(ap_wrong_id);
		put_char('\n');
		verdict(3);
	}
}
