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
	REFUSED("--firmware", cfg.firmware[0] = 'x');
	REFUSED("--firmware-address", cfg.firmware_addr = 0x80000000);
	REFUSED("--flash", cfg.flash[0] = 'x');
	REFUSED_FOR("--dump-dtb", cfg.dump_dtb[0] = 'x', "; others have ACPI, see --dump-acpi");
	REFUSED("--irqchip", a->irqchip = LKVM_IRQCHIP_GICV3);
	REFUSED("--nested", a->nested = true);
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
	memset(cfg.flash + 1, 'x', sizeof(cfg.flash) - 2);
	memset(cfg.arm64.pmu_name + 1, 'x', sizeof(cfg.arm64.pmu_name) - 2);
	assert_int_equal(lkvm_config_validate(&cfg, NULL), 0);
}

static void firmware_instead_of_a_kernel_is_refused_as_firmware(void **state)
{
	(void)state;
	fresh();
	cfg.kernel[0] = 0;
	assert_refused("--kernel: a kernel file is needed");
	cfg.firmware[0] = 'x';
	assert_refused("--firmware: only arm64 guests have it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_of_arm64_are_refused_by_name),
		cmocka_unit_test(a_field_is_given_when_it_is_not_zero),
		cmocka_unit_test(firmware_instead_of_a_kernel_is_refused_as_firmware),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
