/*
 * test_validate.c - what lkvm_config_validate() says of firmware, and of fields of arm64 guests
 * that an embedder can get wrong and the command cannot (T0).
 *
 * What all architectures have in common is tests/unit/test_config's; spellings and bounds of
 * options are tests/cli/arm64/options.sh's.
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
static struct lkvm_error err;

static int fresh(void **state)
{
	(void)state;
	lkvm_config_init(&cfg);
	snprintf(cfg.kernel, sizeof(cfg.kernel), "Image");
	return 0;
}

static void assert_good(void)
{
	err = (struct lkvm_error){ 0 };
	if (lkvm_config_validate(&cfg, &err))
		fail_msg("refused: %s", err.msg);
}

static void assert_refused(const char *words)
{
	err = (struct lkvm_error){ 0 };
	assert_int_equal(lkvm_config_validate(&cfg, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	if (!strstr(err.msg, words))
		fail_msg("no '%s' in: %s", words, err.msg);
}

static void a_kernel_or_firmware_is_entered(void **state)
{
	(void)state;
	cfg.firmware_addr = 0x80000000;
	assert_refused("--firmware-address 0x80000000: is for --firmware");
	snprintf(cfg.firmware, sizeof(cfg.firmware), "fw");
	assert_refused("--firmware fw: --kernel is given too");
	cfg.kernel[0] = 0;
	assert_good();
	snprintf(cfg.initrd, sizeof(cfg.initrd), "initrd");
	assert_refused("--initrd initrd: only a kernel has one");
	cfg.initrd[0] = cfg.firmware[0] = 0;
	assert_refused("--kernel: a kernel file is needed");
}

static void flash_and_device_tree_go_with_either(void **state)
{
	snprintf(cfg.flash, sizeof(cfg.flash), "flash");
	snprintf(cfg.dump_dtb, sizeof(cfg.dump_dtb), "dtb");
	assert_good();
	fresh(state);
	snprintf(cfg.dump_acpi, sizeof(cfg.dump_acpi), "acpi");
	assert_refused("--dump-acpi: only x86-64 guests have it; others have a device tree, see "
		       "--dump-dtb");
	fresh(state);
	cfg.boot = LKVM_BOOT_PVH;
	assert_refused("--boot: only x86-64 guests have it");
}

static void fields_of_arm64_are_not_refused_as_others(void **state)
{
	(void)state;
	snprintf(cfg.flash, sizeof(cfg.flash), "flash");
	cfg.nested = true;
	cfg.arm64 = (struct lkvm_arm64){
		.irqchip = LKVM_IRQCHIP_GICV3,
		.e2h0 = true,
		.counter_offset = 1,
		.pmu = true,
		.pmu_counters = 4,
		.pmu_name = "armv8_pmuv3_0",
		.n_pmu_filters = 1,
		.pmu_partition = 4,
		.pmu_partition_abi = LKVM_PMU_PARTITION_ATTR,
		.sve_max_vl = 128,
		.no_mte = true,
		.no_pvtime = true,
	};
	assert_good();
}

static void there_are_at_most_255_cpus(void **state)
{
	(void)state;
	cfg.n_vcpus = 255;
	assert_good();
	cfg.n_vcpus = 256;
	assert_refused("--cpus 256: arm64 guests have 1 to 255");
	cfg.n_vcpus = LKVM_MAX_VCPUS;
	assert_refused("--cpus 1024: arm64 guests have 1 to 255");
}

static void enums_and_strings_out_of_bounds_are_refused(void **state)
{
	cfg.arm64.irqchip = LKVM_IRQCHIP_GICV3_ITS + 1;
	assert_refused("--irqchip 5 is unknown");
	fresh(state);
	cfg.arm64.irqchip = (enum lkvm_irqchip) - 1;
	assert_refused("--irqchip");
	fresh(state);
	cfg.arm64.pmu_partition = 1;
	cfg.arm64.pmu_partition_abi = LKVM_PMU_PARTITION_ATTR + 1;
	assert_refused("--pmu-partition-abi 3 is unknown");
	fresh(state);
	cfg.arm64.pmu = true;
	cfg.arm64.n_pmu_filters = LKVM_MAX_PMU_FILTERS + 1;
	assert_refused("33 filters; at most 32");
	cfg.arm64.n_pmu_filters = 0;
	memset(cfg.arm64.pmu_name, 'x', sizeof(cfg.arm64.pmu_name));
	assert_refused("--pmu: host= takes 63 bytes");
	fresh(state);
	cfg.arm64.pmu_counters = 4;
	assert_refused("--pmu: is needed for its counters");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_kernel_or_firmware_is_entered, fresh),
		cmocka_unit_test_setup(flash_and_device_tree_go_with_either, fresh),
		cmocka_unit_test_setup(fields_of_arm64_are_not_refused_as_others, fresh),
		cmocka_unit_test_setup(there_are_at_most_255_cpus, fresh),
		cmocka_unit_test_setup(enums_and_strings_out_of_bounds_are_refused, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
