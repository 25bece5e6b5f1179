/*
 * test_calls.c - all that KVM is asked to set up an arm64 machine, call by call, against
 * tests/golden/arm64/calls (T2, on fakekvm, which also enforces the documented order).
 *
 * Runs from the top of the tree. With GOLDEN_UPDATE=1 the golden files are rewritten instead of
 * compared. Does not prove that the order is right where the documents, and so fakekvm, are
 * silent: the beds do.
 */
#include "tests/unit/vmtest.h"

#include <sys/stat.h>

#include "linux-uapi/arm64.h"
#include "tests/unit/golden.h"

#define GOLDEN "tests/golden/arm64/calls/"

static const struct fake_step off[] = { FAKE_SYSTEM_EVENT(KVM_SYSTEM_EVENT_SHUTDOWN) };

static void check(const char *name, const struct fake_host *host, const struct lkvm_arm64 *arm64,
		  bool nested, unsigned int n_vcpus)
{
	char sysfs[] = "/tmp/lkvm-test-sysfs-XXXXXX", command[160], path[128], *text;
	struct vmtest *t = vmtest_new(host);

	assert_non_null(mkdtemp(sysfs));
	snprintf(
		command, sizeof(command),
		"cd %s && mkdir -p bus/event_source/devices/pmu && cd bus/event_source/devices/pmu "
		"&& echo 8 >type && echo 0-1023 >cpus",
		sysfs);
	assert_int_equal(system(command), 0);
	fakekvm_set_sysfs(t->fk, sysfs);
	t->cfg.n_vcpus = n_vcpus;
	t->cfg.arm64 = *arm64;
	t->cfg.nested = nested;
	vmtest_run(t, off, LKVM_CAUSE_POWEROFF, 0);
	text = fakekvm_transcript(t->fk, "setup");
	snprintf(path, sizeof(path), GOLDEN "%s.txt", name);
	golden_compare(path, text);
	free(text);
	vmtest_free(t);
	snprintf(command, sizeof(command), "rm -r %s", sysfs);
	assert_int_equal(system(command), 0);
}

static void plain(void **state)
{
	(void)state;
	check("plain", &fakekvm_arm64, &(struct lkvm_arm64){ 0 }, false, 2);
}

static void gicv2(void **state)
{
	(void)state;
	check("gicv2", &fakekvm_arm64_gicv2, &(struct lkvm_arm64){ .irqchip = LKVM_IRQCHIP_GICV2 },
	      false, 1);
}

static void all_extensions(void **state)
{
	(void)state;
	check("extensions", &fakekvm_arm64_full, &(struct lkvm_arm64){ .sve_max_vl = 256 }, false,
	      1);
}

static void none_of_them(void **state)
{
	(void)state;
	check("no-extensions", &fakekvm_arm64_full,
	      &(struct lkvm_arm64){
		      .no_mte = true, .no_pvtime = true, .irqchip = LKVM_IRQCHIP_GICV3 },
	      false, 1);
}

static void nested(void **state)
{
	(void)state;
	check("nested", &fakekvm_arm64, &(struct lkvm_arm64){ 0 }, true, 2);
	check("nested-e2h0", &fakekvm_arm64,
	      &(struct lkvm_arm64){ .e2h0 = true, .counter_offset = 12345 }, true, 1);
}

static void pmu(void **state)
{
	(void)state;
	check("pmu", &fakekvm_arm64,
	      &(struct lkvm_arm64){ .pmu = true,
				    .pmu_counters = 3,
				    .n_pmu_filters = 1,
				    .pmu_filters = { { true, 0x11, 0x11 } } },
	      false, 2);
}

static void nested_with_a_part_of_the_pmu(void **state)
{
	const struct lkvm_arm64 arm64 = { .pmu_partition = 4 };

	(void)state;
	check("partition-ioctl", &fakekvm_arm64_partition_ioctl, &arm64, true, 2);
	check("partition-attr", &fakekvm_arm64_partition_attr, &arm64, true, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(gicv2),
		cmocka_unit_test(all_extensions),
		cmocka_unit_test(none_of_them),
		cmocka_unit_test(nested),
		cmocka_unit_test(pmu),
		cmocka_unit_test(nested_with_a_part_of_the_pmu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
