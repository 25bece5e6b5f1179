/*
 * probe.c - can this host's KVM run a stock kernel? It ends within a second.
 *
 * Verdict 0: yes. Verdict 2: no, it emulates a kernel's code instruction by instruction, on which
 * one would spend minutes. Says the nanoseconds of an instruction.
 */
#include "guest.h"

/*
 * One turn is two instructions. Hardware needs a nanosecond for both, a processor that is
 * emulated as a whole with its KVM (QEMU's TCG) some ten, a KVM that emulates each instruction a
 * thousand: the limit is amid the last two. The best of several rounds counts, for a host may
 * take the CPU away in any of them.
 */
#define ROUNDS	    5
#define ROUND_TURNS 100000ull
#define NS_LIMIT    150

static u64 ns_of_round(void)
{
	u64 start = ticks(), n = ROUND_TURNS;

	asm volatile("1: subs %0, %0, #1; b.ne 1b" : "+r"(n) : : "cc");
	return (ticks() - start) * 1000 / ticks_per_second() * 1000000 +
	       (ticks() - start) * 1000 % ticks_per_second() * 1000000 / ticks_per_second();
}

void guest_main(void)
{
	u64 best = UINT64_MAX, total = 0;

	for (int i = 0; i < ROUNDS && total < NSEC_PER_SEC / 5; i++) {
		u64 ns = ns_of_round();

		total += ns;
		best = min_u64(best, ns);
	}
	best /= 2 * ROUND_TURNS;
	put_str("probe: ");
	put_dec(best);
	put_str(" ns per instruction at EL");
	put_dec(current_el());
	put_char('\n');
	if (best > NS_LIMIT)
		verdict(2);
	put_str("probe: fine\n");
	verdict(0);
}
