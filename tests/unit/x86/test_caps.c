/*
 * test_caps.c - lkvm_caps_probe() on x86 hosts (T0, on fakekvm).
 *
 * Does not prove that what is said to be there works, nor that a remedy would help.
 */
#include "tests/unit/capstest.h"

#include "linux-uapi/x86.h"

static void intel_and_amd_differ_in_what_their_cpus_have(void **state)
{
	(void)state;
	probe_host("intel");
	assert_yes("arch-capabilities", 1);
	assert_yes("irqchip", 1);
	assert_yes("pit", 1);
	assert_yes("tsc-deadline", 1);
	assert_yes("disable-exits", 15);
	assert_no("aperfmperf", "does not let guests read", "Linux 6.17");
	assert_no("sev-snp", "no VMs of that type", "sev_snp=1");
	assert_yes("KVM_CAP_MAX_VCPUS", 1024);
	assert_no("KVM_CAP_USER_MEMORY2", "KVM says 0", "");

	probe_host("amd");
	assert_no("arch-capabilities", "lkvm hides it", "");
	assert_no("fred", "does not offer", "CPUs with FRED");
	assert_no("ibt", "does not offer", "Intel CPUs with CET");
	probe_host("amd-emulated");
	assert_no("arch-capabilities", "", "");
}

static void capabilities_make_features(void **state)
{
	static const struct {
		u32 cap;
		int value;
		const char *name;
		s64 says;
	} lines[] = {
		{ KVM_CAP_ONE_REG, 1, "one-reg", 1 },
		{ KVM_CAP_GUEST_MEMFD, 1, "guest-memfd", 1 },
		{ KVM_CAP_NESTED_STATE, 4224, "nested-state", 4224 },
		{ KVM_CAP_X86_DISABLE_EXITS, 31, "disable-exits", 31 },
		{ KVM_CAP_X86_DISABLE_EXITS, 31, "aperfmperf", 1 },
		{ KVM_CAP_VM_TYPES, 1 | 1 << KVM_X86_SNP_VM, "sev-snp", 1 },
		{ KVM_CAP_VM_TYPES, 1 | 1 << KVM_X86_SEV_ES_VM, "sev-es", 1 },
		{ KVM_CAP_VM_TYPES, 1 | 1 << KVM_X86_SEV_VM, "sev", 1 },
		{ KVM_CAP_VM_TYPES, 1 | 1 << KVM_X86_TDX_VM, "tdx", 1 },
		{ KVM_CAP_XSAVE2, 4096, "KVM_CAP_XSAVE2", 4096 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		host("amd");
		fakekvm_set_cap(fk, lines[i].cap, 0);
		assert_int_equal(probe(), 0);
		assert_false(cap(lines[i].name)->available);
		host("amd");
		fakekvm_set_cap(fk, lines[i].cap, lines[i].value);
		assert_int_equal(probe(), 0);
		assert_yes(lines[i].name, lines[i].says);
	}
	host("intel");
	fakekvm_set_cap(fk, KVM_CAP_X86_DISABLE_EXITS, 0);
	fakekvm_set_cap(fk, KVM_CAP_IRQCHIP, 0);
	assert_int_equal(probe(), 0);
	assert_no("disable-exits", "no instruction", "");
	assert_no("irqchip", "no interrupt controllers", "");
}

/* Each bit by itself, so that none is taken for another. */
static void cpuid_bits_make_features(void **state)
{
	static const struct {
		const char *name;
		u32 index;
		u32 ecx, edx, eax;
	} bits[] = {
		{ "shstk", 0, 1u << 7, 0, 0 },
		{ "ibt", 0, 0, 1u << 20, 0 },
		{ "lkgs", 1, 0, 0, 1u << 18 },
		{ "fred", 1, 0, 0, 1u << 17 },
		{ "arch-capabilities", 0, 0, 1u << 29, 0 },
	};
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + 2 * sizeof(cpuid->entries[0]));

	(void)state;
	assert_non_null(cpuid);
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		cpuid->nent = 2;
		cpuid->entries[0] = (struct kvm_cpuid_entry2){
			.eax = 7, .ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e
		};
		cpuid->entries[1] = (struct kvm_cpuid_entry2){ .function = 7,
							       .index = bits[i].index,
							       .flags = 1,
							       .eax = bits[i].eax,
							       .ecx = bits[i].ecx,
							       .edx = bits[i].edx };
		host("intel");
		fakekvm_set_cpuid(fk, cpuid);
		assert_int_equal(probe(), 0);
		for (size_t j = 0; j < ARRAY_SIZE(bits); j++)
			assert_int_equal(cap(bits[j].name)->available, i == j);
	}
	free(cpuid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CAPS_COMMON_TESTS,
		cmocka_unit_test_teardown(intel_and_amd_differ_in_what_their_cpus_have, teardown),
		cmocka_unit_test_teardown(capabilities_make_features, teardown),
		cmocka_unit_test_teardown(cpuid_bits_make_features, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
