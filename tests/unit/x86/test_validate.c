/*
 * test_validate.c - what lkvm_config_validate() says of an x86-64 guest that is given what only
 * arm64 guests have: fields that an embedder can set and the command refuses before (T0).
 *
 * What all architectures have in common is tests/unit/test_config's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lkvm.h>

static struct lkvm_config cfg;

static void fresh(void)
{
	lkvm_config_init(&cfg);
	snprintf(cfg.kernel, sizeof(cfg.kernel), "vmlinuz");
}

static void assert_refused(const char *message)
{
	struct lkvm_error err = { 0 };

	assert_int_equal(lkvm_config_validate(&cfg, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_string_equal(err.msg, message);
}

#define REFUSED_FOR(option, assignment, instead)                              \
	do {                                                                  \
		fresh();                                                      \
		assert_int_equal(lkvm_config_validate(&cfg, NULL), 0);        \
		assignment;                                                   \
		assert_refused(option ": only arm64 guests have it" instead); \
	} while (0)

#define REFUSED(option, assignment) REFUSED_FOR(option, assignment, "")

static void fields_of_arm64_are_refused_by_name(void **state)
{
	struct lkvm_arm64 *a = &cfg.arm64;

	(void)state;
	REFUSED("--firmware-address", cfg.firmware_addr = 0x80000000);
	REFUSED_FOR("--dump-dtb", cfg.dump_dtb[0] = 'x', "; others have ACPI, see --dump-acpi");
	REFUSED("--irqchip", a->irqchip = LKVM_IRQCHIP_GICV3);
	REFUSED("--e2h0", a->e2h0 = true);
	REFUSED("--counter-offset", a->counter_offset = (uint64_t)1 << 32);
	REFUSED("--pmu", a->pmu = true);
	REFUSED("--pmu", a->pmu_counters = 1);
	REFUSED("--pmu", memset(a->pmu_name, 'x', sizeof(a->pmu_name)));
	REFUSED("--pmu", a->n_pmu_filters = 1);
	REFUSED("--pmu-partition", a->pmu_partition = 4);
	REFUSED("--pmu-partition-abi", a->pmu_partition_abi = LKVM_PMU_PARTITION_ATTR);
	REFUSED("--sve-max-vl", a->sve_max_vl = 128);
	REFUSED("--disable-mte", a->no_mte = true);
	REFUSED("--no-pvtime", a->no_pvtime = true);
}

/* In any of its bytes; but what is behind the end of a string is not said. */
static void a_field_is_given_when_it_is_not_zero(void **state)
{
	(void)state;
	for (unsigned int bit = 0; bit < 64; bit++)
		REFUSED("--firmware-address", cfg.firmware_addr = (uint64_t)1 << bit);
	fresh();
	memset(cfg.arm64.pmu_name + 1, 'x', sizeof(cfg.arm64.pmu_name) - 2);
	assert_int_equal(lkvm_config_validate(&cfg, NULL), 0);
}

static void there_are_1024_cpus_unless_the_interrupt_controller_takes_less(void **state)
{
	(void)state;
	fresh();
	for (unsigned int i = LKVM_X86_IRQCHIP_AUTO; i <= LKVM_X86_IRQCHIP_SPLIT; i++) {
		cfg.x86.irqchip = i;
		cfg.n_vcpus = 255;
		assert_int_equal(lkvm_config_validate(&cfg, NULL), 0);
		cfg.n_vcpus = 1025;
		assert_refused("--cpus 1025: must be 1 to 1024");
		cfg.n_vcpus = 1024;
		if (i != LKVM_X86_IRQCHIP_KERNEL)
			assert_int_equal(lkvm_config_validate(&cfg, NULL), 0);
		else
			assert_refused("--cpus 1024,sockets=1,cores=1024,threads=1: the last CPU "
				       "gets APIC id 1023 and --irqchip kernel takes at most 254; "
				       "split takes more, and cores and threads that are powers of "
				       "two leave no ids unused");
	}
	fresh();
	cfg.x86.irqchip = LKVM_X86_IRQCHIP_SPLIT + 1;
	assert_refused("--irqchip 3 is unknown");
	cfg.x86.irqchip = (enum lkvm_x86_irqchip) - 1;
	assert_refused("--irqchip -1 is unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_of_arm64_are_refused_by_name),
		cmocka_unit_test(a_field_is_given_when_it_is_not_zero),
		cmocka_unit_test(there_are_1024_cpus_unless_the_interrupt_controller_takes_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
