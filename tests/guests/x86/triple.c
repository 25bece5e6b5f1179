/*
 * triple.c - an exception that cannot be delivered, nor can what follows from that. By
 * ud2, not int3: KVM's emulator, which runs CPL 0 code on some hosts, has no software interrupts.
 */
#include "guest.h"

void guest_main(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) no_idt = { 0, 0 };

	asm volatile("lidt %0; ud2" : : "m"(no_idt));
	verdict(1);
}
