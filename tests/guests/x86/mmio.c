/*
 * mmio.c - n=N (100000) accesses of 4 bytes to addr=A (in the hole, where there is
 * nothing), dir=in or out; ends with verdict 0 and the TSC ticks of one.
 */
#include "guest.h"

void guest_main(void)
{
	u64 addr = arg_u64("addr", X86_HOLE_START + 0x10000000);
	u64 n = arg_u64("n", 100000), start = rdtsc();

	if (arg_is("dir", "out"))
		for (u64 i = 0; i < n; i++)
			mmio_write32(addr, 0);
	else
		for (u64 i = 0; i < n; i++)
			mmio_read32(addr);
	put_str("mmio: ");
	put_dec(n ? (rdtsc() - start) / n : 0);
	put_str(" ticks per access\n");
	verdict(0);
}
