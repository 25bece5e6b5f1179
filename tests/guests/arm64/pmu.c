/*
 * pmu.c - the PMU: its version and number of event counters, cycles of a loop by the cycle counter
 * and, where this PMU has the event, its instructions by counter 0. Verdict 2: there is no PMU;
 * 1: what should have counted did not.
 */
#include "guest.h"

#define PMCR_E		  BIT(0)
#define PMCR_P		  BIT(1) /* counters to 0 */
#define PMCR_C		  BIT(2) /* the cycle counter to 0 */
#define PMCR_LC		  BIT(6) /* of 64 bits */
#define PMCR_N(r)	  ((r) >> 11 & 0x1f)
#define PM_CYCLES	  BIT(31)
#define FILTER_NSH	  BIT(27) /* count at EL2 */
#define EVENT_INSTRUCTION 0x08
#define TURNS		  1000000ull /* of two instructions */

static u64 pmu_version(void)
{
	u64 v = read_sysreg("id_aa64dfr0_el1") >> 8 & 0xf;

	return v == 0xf ? 0 : v;
}

void guest_main(void)
{
	u64 filter = current_el() == 2 ? FILTER_NSH : 0, n = TURNS, cycles, instructions, events;
	bool good = true, counts;

	if (!pmu_version()) {
		put_str("pmu: none\n");
		verdict(2);
	}
	counts = PMCR_N(read_sysreg("pmcr_el0"));
	events = read_sysreg("pmceid0_el0");
	put_str("pmu: version ");
	put_dec(pmu_version());
	put_str(" counters ");
	put_dec(PMCR_N(read_sysreg("pmcr_el0")));
	put_str(" events 0x");
	put_hex(events);
	put_char('\n');
	counts = counts && (events & BIT(EVENT_INSTRUCTION));

	write_sysreg("pmccfiltr_el0", filter);
	if (counts) {
		write_sysreg("pmselr_el0", 0);
		write_sysreg("pmxevtyper_el0", filter | EVENT_INSTRUCTION);
	}
	write_sysreg("pmcntenset_el0", PM_CYCLES | (counts ? 1 : 0));
	write_sysreg("pmcr_el0", PMCR_E | PMCR_P | PMCR_C | PMCR_LC);
	asm volatile("1: subs %0, %0, #1; b.ne 1b" : "+r"(n) : : "cc");
	write_sysreg("pmcr_el0", PMCR_LC);
	cycles = read_sysreg("pmccntr_el0");
	put_str("pmu: cycles ");
	put_dec(cycles);
	/* A loop of two instructions that takes a thousandth of a cycle each is none. */
	good &= cycles > TURNS / 500;
	if (counts) {
		instructions = read_sysreg("pmxevcntr_el0");
		put_str(" instructions ");
		put_dec(instructions);
		good &= instructions >= 2 * TURNS;
	}
	put_char('\n');
	verdict(good ? 0 : 1);
}
