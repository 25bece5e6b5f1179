/*
 * ioapic.h - an I/O APIC with 24 inputs (Intel 82093AA data sheet, 290566), of version 0x20: with
 * the EOI register that later ones have (ICH data sheets, "APIC Memory Map").
 *
 * It turns levels of the interrupt chip's inputs into messages for local APICs. Its state is the
 * interrupt chip's: under irq_chip.lock, as it is driven by any device and acknowledged by any
 * vCPU; its slot has that chip.
 */
#ifndef LKVM_DEVICES_IOAPIC_H
#define LKVM_DEVICES_IOAPIC_H

#include "vmm/dev.h"

#define IOAPIC_N_PINS 24
#define IOAPIC_LEN    0x100 /* bytes of registers, in 1-, 2- and 4-byte access */

/* The slot's cfg. Both functions are called with irq_chip.lock held, by any thread. */
struct ioapic_cfg {
	/* Send a message now; whether a local APIC took it. */
	bool (*send)(void *ctx, u64 addr, u32 data);

	/*
	 * Level-triggered messages of @pin are these from now on: ioapic_eoi() is to be called for
	 * their vector, also for one that was sent before. Told again and again, before each that
	 * is sent. 0 or -errno.
	 */
	int (*route)(void *ctx, u32 pin, u64 addr, u32 data);
	void *ctx;
};

/* Input @pin goes high or low; irq_chip.set of a machine with this one. irq_chip.lock is held. */
void ioapic_set(struct dev *dev, u32 pin, bool level);

/* A CPU is done with @vector, which was level triggered. Any thread, no lock held. */
void ioapic_eoi(struct dev *dev, u8 vector);

#endif
