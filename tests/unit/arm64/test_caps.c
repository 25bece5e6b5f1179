/*
 * test_caps.c - lkvm_caps_probe() on arm64 hosts (T0, on fakekvm).
 *
 * Does not prove that what is said to be there works, nor that a remedy would help.
 */
#include "tests/unit/capstest.h"

#include "linux-uapi/arm64.h"

static void each_host_has_what_its_hardware_has(void **state)
{
	(void)state;
	probe_host("arm64");
	assert_yes("nested", 1);
	assert_yes("e2h0", 1);
	assert_yes("pmu", 6);
	assert_yes("gicv3", 1);
	assert_yes("its", 1);
	assert_yes("ptrauth", 1);
	assert_yes("counter-offset", 1);
	assert_yes("steal-time", 1);
	assert_yes("KVM_CAP_ARM_VM_IPA_SIZE", 48);
	assert_no("gicv2", "cannot emulate a GICv2", "");
	assert_no("sve", "do not have it", "CPUs with SVE");
	assert_no("mte", "do not have it", "CPUs with MTE2");
	assert_no("aarch32", "lkvm runs 64-bit guests only", "");
	assert_no("guest-memfd", "no guest_memfd", "Linux 6.18");

	probe_host("gicv2");
	assert_yes("gicv2", 1);
	assert_no("gicv3", "no GICv3", "");
	assert_no("its", "no GICv3", "");
	assert_no("nested", "EL1 only", "kvm-arm.mode=nested");

	probe_host("plain");
	assert_no("nested", "EL1 only", "kvm-arm.mode=nested");
	assert_no("e2h0", "EL1 only", "kvm-arm.mode=nested");
	assert_no("pmu", "no PMUv3", "CPUs with PMUv3");
	assert_no("pmu-partition", "no PMU to partition", "");
	assert_no("pmu-partition-ioctl", "no PMU to partition", "");
	assert_no("pmu-partition-attr", "no PMU to partition", "");
	assert_no("ptrauth", "do not have it", "pointer authentication");

	probe_host("full");
	assert_yes("sve", 512);
	assert_yes("mte", 1);
	assert_no("aarch32", "lkvm runs 64-bit guests only", "");
}

static void what_a_vcpu_says_is_the_value(void **state)
{
	(void)state;
	host("full");
	fakekvm_set_pmu_counters(fk, 31, 0);
	fakekvm_set_sve_lengths(fk, 0x8001);
	assert_int_equal(probe(), 0);
	assert_yes("pmu", 31);
	assert_yes("sve", 2048);
	host("full");
	fakekvm_set_pmu_counters(fk, 0, 0);
	fakekvm_set_sve_lengths(fk, 1);
	assert_int_equal(probe(), 0);
	assert_yes("pmu", 0);
	assert_yes("sve", 128);
	/* no number is made up for what cannot be asked: PMCR_EL0, then the SVE lengths */
	host("full");
	fakekvm_fail_request(fk, KVM_GET_ONE_REG, 1, EIO);
	assert_int_equal(probe(), 0);
	assert_no("pmu", "how many counters", "");
	assert_yes("sve", 512);
	host("full");
	fakekvm_fail_request(fk, KVM_GET_ONE_REG, 2, EIO);
	assert_int_equal(probe(), 0);
	assert_yes("pmu", 6);
	assert_no("sve", "how long", "");
}

static void features_fall_with_their_capabilities(void **state)
{
	static const struct {
		u32 cap;
		const char *name, *why, *remedy;
	} lines[] = {
		{ KVM_CAP_ARM_EL2, "nested", "EL1 only", "FEAT_NV2" },
		{ KVM_CAP_ARM_EL2, "e2h0", "EL1 only", "FEAT_NV2" },
		{ KVM_CAP_ARM_EL2_E2H0, "e2h0", "without VHE", "FEAT_NV1" },
		{ KVM_CAP_ARM_PTRAUTH_ADDRESS, "ptrauth", "do not have it", "PTR_AUTH" },
		{ KVM_CAP_ARM_PTRAUTH_GENERIC, "ptrauth", "do not have it", "PTR_AUTH" },
		{ KVM_CAP_COUNTER_OFFSET, "counter-offset", "cannot set", "Linux 6.4" },
		{ KVM_CAP_STEAL_TIME, "steal-time", "does not tell", "Linux 5.10" },
		{ KVM_CAP_ARM_SVE, "sve", "do not have it", "SVE" },
		{ KVM_CAP_ARM_MTE, "mte", "do not have it", "MTE2" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		probe_host("full");
		assert_true(cap(lines[i].name)->available);
		host("full");
		fakekvm_set_cap(fk, lines[i].cap, 0);
		assert_int_equal(probe(), 0);
		assert_no(lines[i].name, lines[i].why, lines[i].remedy);
	}
	/* EL2 without a GICv3: a host that nobody built yet */
	host("gicv2");
	fakekvm_set_cap(fk, KVM_CAP_ARM_EL2, 1);
	assert_int_equal(probe(), 0);
	assert_no("nested", "no GICv3", "");
}

static void partition_is_found_by_its_interfaces_alone(void **state)
{
	char *text;

	(void)state;
	probe_host("arm64");
	assert_no("pmu-partition", "neither an ioctl nor a vCPU attribute", "no released one");
	assert_no("pmu-partition-ioctl", "no ioctl KVM_ARM_PARTITION_PMU", "no released one");
	assert_no("pmu-partition-attr", "no vCPU attribute", "no released one");
	/* the capability numbers of the series are others' in released kernels: nobody asks */
	text = fakekvm_transcript(fk, NULL);
	assert_null(strstr(text, "KVM_CHECK_EXTENSION 244"));
	assert_null(strstr(text, "KVM_CHECK_EXTENSION 242"));
	/* and nothing is switched on */
	assert_null(strstr(text, "KVM_SET_DEVICE_ATTR"));
	assert_null(strstr(text, "KVM_ENABLE_CAP"));
	free(text);

	probe_host("partition-ioctl");
	assert_yes("pmu-partition", 1);
	assert_yes("pmu-partition-ioctl", 1);
	assert_no("pmu-partition-attr", "no vCPU attribute", "no released one");
	probe_host("partition-attr");
	assert_yes("pmu-partition", 1);
	assert_yes("pmu-partition-attr", 1);
	assert_no("pmu-partition-ioctl", "no ioctl", "no released one");
	probe_host("partition-ioctl-unconfigured");
	assert_no("pmu-partition", "keeps all counters", "arm_pmuv3.reserved_host_counters=N");
	assert_no("pmu-partition-ioctl", "keeps all counters",
		  "arm_pmuv3.reserved_host_counters=N");
	/* here the interface says nothing about it before it is used */
	probe_host("partition-attr-unconfigured");
	assert_yes("pmu-partition-attr", 1);
}

/* A VM of 40 bits, the default, cannot be made there. */
static void a_host_of_few_address_bits_can_be_asked(void **state)
{
	(void)state;
	host("arm64");
	fakekvm_set_cap(fk, KVM_CAP_ARM_VM_IPA_SIZE, 36);
	if (probe())
		fail_msg("%s", err.msg);
	assert_yes("KVM_CAP_ARM_VM_IPA_SIZE", 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CAPS_COMMON_TESTS,
		cmocka_unit_test_teardown(each_host_has_what_its_hardware_has, teardown),
		cmocka_unit_test_teardown(what_a_vcpu_says_is_the_value, teardown),
		cmocka_unit_test_teardown(features_fall_with_their_capabilities, teardown),
		cmocka_unit_test_teardown(partition_is_found_by_its_interfaces_alone, teardown),
		cmocka_unit_test_teardown(a_host_of_few_address_bits_can_be_asked, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
