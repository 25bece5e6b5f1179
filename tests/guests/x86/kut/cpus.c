/*
 * cpus.c - as many processors as fw_cfg says start, and with cpus=N these are N. So do
 * kvm-unit-tests find out how many to wait for.
 */
#include "kut.h"

#define FW_CFG_SELECT	 0x510
#define FW_CFG_DATA	 0x511
#define FW_CFG_SIGNATURE 0
#define FW_CFG_RAM_SIZE	 3
#define FW_CFG_NB_CPUS	 5

#define APIC_ICR_LOW  0x300
#define APIC_ICR_BUSY 0x1000
#define ICR_INIT      0xc4500
#define ICR_SIPI      (0xc4600 | AP_VECTOR)

static u64 fw_cfg(u16 key, unsigned int bytes)
{
	u64 val = 0;

	out16(FW_CFG_SELECT, key);
	for (unsigned int i = 0; i < bytes; i++)
		val |= (u64)in8(FW_CFG_DATA) << 8 * i;
	return val;
}

static void send(u32 icr)
{
	while (mmio_read32(X86_LAPIC_BASE + APIC_ICR_LOW) & APIC_ICR_BUSY)
		;
	mmio_write32(X86_LAPIC_BASE + APIC_ICR_LOW, icr);
}

void guest_main(void)
{
	u64 cpus = fw_cfg(FW_CFG_NB_CPUS, 2), ram = arg_u64("ram", 0);

	check("fw_cfg is there", fw_cfg(FW_CFG_SIGNATURE, 4) == 0x554d4551); /* "QEMU" */
	check("it has the number of processors", cpus == arg_u64("cpus", 1));
	check("it has the size of memory", !ram || fw_cfg(FW_CFG_RAM_SIZE, 8) == ram);
	memcpy((void *)((u64)AP_VECTOR << 12), ap_start, (size_t)(ap_end - ap_start));
	if (cpus > 1) {
		send(ICR_INIT);
		send(ICR_SIPI);
	}
	while (ap_count + 1 < cpus)
		asm volatile("pause");
	check("so many started", ap_count + 1 == cpus);
}
