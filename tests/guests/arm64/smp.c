/*
 * smp.c - starts all other processors that the device tree tells of, cpus=N with itself, all at
 * once. With say=1 each of them then says hello, in its turn. They switch themselves off, and
 * firmware must agree that they are.
 *
 * What one processor writes, all others only read.
 */
#include "guest.h"

static volatile u8 arrived[MAX_CPUS];
static volatile u32 turn;

static void fail(const char *what, u64 index, u64 value)
{
	put_str("smp: ");
	put_str(what);
	put_str(" of processor ");
	put_dec(index);
	put_str(": 0x");
	put_hex(value);
	put_char('\n');
	verdict(1);
}

/* The affinity fields of the register that CPU_ON was given. */
static u64 own_affinity(void)
{
	return read_sysreg("mpidr_el1") & 0xff00ffffffull;
}

void secondary_main(unsigned int index)
{
	bool says = arg_u64("say", 0);

	if (own_affinity() != boot.mpidr[index])
		fail("the affinity", index, own_affinity());
	arrived[index] = 1;
	while (says && turn != index)
		asm volatile("yield");
	if (says) {
		put_str("hello from processor ");
		put_dec(index);
		put_str(" at EL");
		put_dec(current_el());
		put_char('\n');
		asm volatile("dsb sy" : : : "memory");
		turn = index + 1;
	}
	firmware_call(PSCI_CPU_OFF, 0, 0, 0);
	fail("CPU_OFF", index, 0);
}

static void start(unsigned int index)
{
	u64 ret;

	arrived[index] = 0;
	ret = firmware_call(PSCI_CPU_ON, boot.mpidr[index], (u64)secondary_start, index);
	if (ret)
		fail("CPU_ON", index, ret);
}

/* It has been here, and is off again. */
static void await(unsigned int index)
{
	while (!arrived[index])
		asm volatile("yield");
	while (firmware_call(PSCI_AFFINITY_INFO, boot.mpidr[index], 0, 0) != PSCI_AFFINITY_OFF)
		asm volatile("yield");
}

void guest_main(void)
{
	u64 cpus = arg_u64("cpus", boot.n_cpus), highest = 0;

	if (cpus != boot.n_cpus)
		fail("the number", 0, boot.n_cpus);
	if (own_affinity() != boot.mpidr[0])
		fail("the affinity", 0, own_affinity());
	turn = 1;
	for (unsigned int i = 1; i < cpus; i++)
		start(i);
	for (unsigned int i = 1; i < cpus; i++)
		await(i);
	/* One that is off may be started again. */
	if (cpus > 1) {
		turn = 1;
		start(1);
		await(1);
	}
	for (unsigned int i = 0; i < cpus; i++)
		highest = max_u64(highest, boot.mpidr[i]);
	put_str("smp: ");
	put_dec(cpus);
	put_str(" processors, highest affinity 0x");
	put_hex(highest);
	put_char('\n');
}
