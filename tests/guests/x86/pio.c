/*
 * pio.c - n=N (100000) accesses of one byte to port=P (the debug-exit port, whose reads
 * do nothing), dir=in or out; ends with verdict 0 and the TSC ticks of one.
 */
#include "guest.h"

void guest_main(void)
{
	u16 port = (u16)arg_u64("port", DEBUG_EXIT_PORT);
	u64 n = arg_u64("n", 100000), start = rdtsc();

	if (arg_is("dir", "out"))
		for (u64 i = 0; i < n; i++)
			out8(port, 0);
	else
		for (u64 i = 0; i < n; i++)
			in8(port);
	put_str("pio: ");
	put_dec(n ? (rdtsc() - start) / n : 0);
	put_str(" ticks per access\n");
	verdict(0);
}
