/* spin.c - computes for ever and never exits of its own accord; with say=1 it says so first. */
#include "guest.h"

void guest_main(void)
{
	if (arg_u64("say", 0))
		put_str("spinning\n");
	for (;;)
		asm volatile("yield");
}
