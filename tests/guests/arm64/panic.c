/*
 * panic.c - panics as Linux does on its console, and hangs as Linux then does. With
 * end=0 it hangs before the last line, with split=1 the first line is late by half.
 */
#include "guest.h"

void guest_main(void)
{
	put_str("[    0.100000] Kernel panic - not ");
	if (arg_u64("split", 0))
		for (u64 start = ticks(); ticks() - start < ticks_per_second() / 10;)
			;
	put_str("syncing: of its own free will\n");
	put_str("[    0.100001] Call trace:\n");
	if (arg_u64("end", 1))
		put_str("[    0.100002] ---[ end Kernel panic - not syncing: of its own free will "
			"]---\n");
	halt();
}
