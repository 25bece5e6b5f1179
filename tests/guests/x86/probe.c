/*
 * probe.c - can this host's KVM run a stock kernel? It ends within a second.
 *
 * Verdict 0: yes. Verdict 2: no, it emulates the code of CPL 0, on which a kernel would
 * spend minutes. A triple fault or an internal error: no, it lacks an instruction that
 * kernels use. Says the ticks of an instruction, and before each step which one it is.
 */
#include "guest.h"

/*
 * One turn is two instructions. Hardware needs less than a tick for one, a processor that is
 * emulated as a whole with its KVM (QEMU's TCG) some ten to thirty, a KVM that emulates
 * CPL 0 instruction by instruction some thousand: the limit is amid the last two. The
 * best of several rounds counts, for a host may take the CPU away in any of them.
 */
#define ROUNDS	    5
#define ROUND_TURNS 10000
#define TICKS_LIMIT 300
#define ENOUGH	    500000000 /* ticks: a fifth of a second or less; no further round */

#define CPUID_1_ECX_CX16  (1 << 13)
#define CPUID_1_ECX_XSAVE (1 << 26)
#define CR4_OSFXSR	  (1 << 9)
#define CR4_OSXSAVE	  (1 << 18)
#define XCR0_X87_SSE	  3

static u64 ticks_of_round(void)
{
	u64 start = rdtsc(), n = ROUND_TURNS;

	asm volatile("1: dec %0; jnz 1b" : "+r"(n));
	return rdtsc() - start;
}

static u64 ticks_per_instruction(void)
{
	u64 best = UINT64_MAX, total = 0;

	for (int i = 0; i < ROUNDS && total < ENOUGH; i++) {
		u64 ticks = ticks_of_round();

		total += ticks;
		best = min_u64(best, ticks);
	}
	return best / (2 * ROUND_TURNS);
}

static void try_cmpxchg16b(void)
{
	static u64 cell[2] __attribute__((aligned(16)));
	u64 lo = 0, hi = 0;

	asm volatile("lock cmpxchg16b %0" : "+m"(cell), "+a"(lo), "+d"(hi) : "b"(1ull), "c"(2ull));
	if (cell[0] != 1 || cell[1] != 2)
		verdict(3);
}

static void try_xsave(void)
{
	static u8 area[4096] __attribute__((aligned(64)));
	u64 cr4;

	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	asm volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_OSFXSR | CR4_OSXSAVE));
	asm volatile("xsetbv" : : "a"(XCR0_X87_SSE), "d"(0), "c"(0));
	asm volatile("xsave %0" : "+m"(area) : "a"(XCR0_X87_SSE), "d"(0));
	asm volatile("xrstor %0" : : "m"(area), "a"(XCR0_X87_SSE), "d"(0));
}

void guest_main(void)
{
	u64 ticks = ticks_per_instruction();
	u32 ecx = cpuid(1, 0).ecx;

	put_str("probe: ");
	put_dec(ticks);
	put_str(" ticks per instruction at CPL 0\n");
	if (ticks > TICKS_LIMIT)
		verdict(2);
	if (ecx & CPUID_1_ECX_CX16) {
		put_str("probe: cmpxchg16b\n");
		try_cmpxchg16b();
	}
	if (ecx & CPUID_1_ECX_XSAVE) {
		put_str("probe: xsave and xrstor\n");
		try_xsave();
	}
	put_str("probe: fine\n");
	verdict(0);
}
