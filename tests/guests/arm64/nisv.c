/*
 * nisv.c - an access to no memory (addr=A) that a CPU does not describe to its hypervisor: how=pair
 * (load of two registers) or index (load that also moves the pointer). Verdict 1 if it goes by.
 */
#include "guest.h"

void guest_main(void)
{
	u64 addr = arg_u64("addr", 0x10000000), v, w;

	put_str("nisv\n");
	if (arg_is("how", "index"))
		asm volatile("ldr %0, [%1], #8" : "=&r"(v), "+r"(addr) : : "memory");
	else
		asm volatile("ldp %0, %1, [%2]" : "=&r"(v), "=&r"(w) : "r"(addr) : "memory");
	verdict(1);
}
