/* counter.c - the counters as it finds them at its start, and their frequency. */
#include "guest.h"

void guest_main(void)
{
	u64 virtual = ticks(), physical = read_sysreg("cntpct_el0");

	put_str("counter: virtual ");
	put_dec(virtual);
	put_str(" physical ");
	put_dec(physical);
	put_str(" frequency ");
	put_dec(ticks_per_second());
	put_char('\n');
}
