/*
 * test_caps.c - lkvm_caps_probe() on x86 hosts (T0, on fakekvm).
 *
 * Does not prove that what is said to be there works, nor that a remedy would help.
 */
#include "tests/unit/capstest.h"

#include <sys/stat.h>
#include <unistd.h>

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
		{ KVM_CAP_XSAVE2, 4096, "xsave2", 4096 },
		{ KVM_CAP_BINARY_STATS_FD, 1, "statistics", 1 },
		{ KVM_CAP_MAX_VCPU_ID, 4096, "max-vcpu-ids", 4096 },
		{ KVM_CAP_PRE_FAULT_MEMORY, 1, "pre-fault", 1 },
		{ KVM_CAP_DIRTY_LOG_RING, 1 << 20, "dirty-ring", 1 << 20 },
		{ KVM_CAP_MEMORY_ATTRIBUTES, 8, "memory-attributes", 1 },
		{ KVM_CAP_GUEST_MEMFD_FLAGS, 3, "guest-memfd-mmap", 1 },
		{ KVM_CAP_EXIT_HYPERCALL, 1 << 12, "exit-hypercall", 1 },
		{ KVM_CAP_X2APIC_API, 11, "x2apic-api", 11 },
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
static void bits_of_capabilities_make_features(void **state)
{
	static const struct {
		const char *name;
		u32 cap;
		int bit;
	} bits[] = {
		{ "mwait", KVM_CAP_X86_DISABLE_EXITS, 0 },
		{ "hlt", KVM_CAP_X86_DISABLE_EXITS, 1 },
		{ "pause", KVM_CAP_X86_DISABLE_EXITS, 2 },
		{ "cstate", KVM_CAP_X86_DISABLE_EXITS, 3 },
		{ "aperfmperf", KVM_CAP_X86_DISABLE_EXITS, 4 },
		{ "x2apic-32bit-ids", KVM_CAP_X2APIC_API, 0 },
		{ "x2apic-id-255", KVM_CAP_X2APIC_API, 1 },
		{ "eoi-broadcast", KVM_CAP_X2APIC_API, 2 }, /* said without a VM only */
		{ "eoi-broadcast", KVM_CAP_X2APIC_API, 3 },
		{ "guest-memfd-mmap", KVM_CAP_GUEST_MEMFD_FLAGS, 0 },
		{ "memory-attributes", KVM_CAP_MEMORY_ATTRIBUTES, 3 },
		{ "exit-hypercall", KVM_CAP_EXIT_HYPERCALL, 12 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		host("amd");
		fakekvm_set_cap(fk, bits[i].cap, 1 << bits[i].bit);
		assert_int_equal(probe(), 0);
		for (size_t j = 0; j < ARRAY_SIZE(bits); j++) {
			if (bits[j].cap == bits[i].cap &&
			    cap(bits[j].name)->available != !strcmp(bits[j].name, bits[i].name))
				fail_msg("%s by the bit of %s", bits[j].name, bits[i].name);
		}
		host("amd");
		fakekvm_set_cap(fk, bits[i].cap, INT32_MAX & ~(1 << bits[i].bit));
		assert_int_equal(probe(), 0);
		assert_int_equal(cap(bits[i].name)->available,
				 !strcmp(bits[i].name, "eoi-broadcast"));
	}
}

static void what_snp_takes_is_asked_of_the_host(void **state)
{
	(void)state;
	probe_host("amd-snp");
	assert_yes("sev-snp", 1);
	assert_true(cap("snp-policy")->available);
	assert_true(cap("snp-policy")->value & 1 << 17);
	assert_yes("snp-certs", 1);
	assert_no("snp-report", "not probed without a VM", "--snp-report");
	assert_yes("memory-attributes", 1);
	assert_yes("exit-hypercall", 1);

	/* a kernel that has SNP and neither attribute */
	host("amd-snp");
	fakekvm_set_cap(fk, KVM_CAP_SYS_ATTRIBUTES, 0);
	assert_int_equal(probe(), 0);
	assert_yes("sev-snp", 1);
	assert_no("snp-policy", "does not say", "KVM_X86_SNP_POLICY_BITS");
	assert_no("snp-certs", "does not ask", "Linux 7.0");

	probe_host("amd");
	assert_no("snp-policy", "no SEV-SNP guests", "sev_snp=1");
	assert_no("snp-certs", "no SEV-SNP guests", "sev_snp=1");
	assert_no("snp-report", "no SEV-SNP guests", "sev_snp=1");
}

static void nested_is_vmx_or_svm(void **state)
{
	static const struct {
		u32 function, ecx;
		bool nested;
	} lines[] = {
		{ 1, 1u << 5, true },
		{ 0x80000001, 1u << 2, true },
		{ 1, 1u << 2, false },
		{ 0x80000001, 1u << 5, false },
	};
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + sizeof(cpuid->entries[0]));

	(void)state;
	assert_non_null(cpuid);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		cpuid->nent = 1;
		cpuid->entries[0] = (struct kvm_cpuid_entry2){ .function = lines[i].function,
							       .ecx = lines[i].ecx };
		host("intel");
		fakekvm_set_cpuid(fk, cpuid);
		assert_int_equal(probe(), 0);
		assert_int_equal(cap("nested")->available, lines[i].nested);
		if (!lines[i].nested)
			assert_no("nested", "neither VMX nor SVM", "nested=1");
	}
	free(cpuid);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void huge_pages_are_those_that_are_free(void **state)
{
	static const char *const dirs[] = { "/kernel", "/kernel/mm", "/kernel/mm/hugepages",
					    "/kernel/mm/hugepages/hugepages-2048kB" };
	char sysfs[] = "/tmp/lkvm-caps-XXXXXX", path[200];

	(void)state;
	assert_non_null(mkdtemp(sysfs));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "%s%s", sysfs, dirs[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	write_file(path, "free_hugepages", "7\n");
	host("amd");
	fakekvm_set_sysfs(fk, sysfs);
	assert_int_equal(probe(), 0);
	assert_yes("huge-pages-2m", 7);
	assert_no("huge-pages-1g", "no pages of that size", "pdpe1gb");
	write_file(path, "free_hugepages", "0\n");
	assert_int_equal(probe(), 0);
	assert_no("huge-pages-2m", "none aside", "nr_hugepages");
	write_file(path, "free_hugepages", "some\n");
	assert_int_equal(probe(), 0);
	assert_no("huge-pages-2m", "no pages of that size", "CONFIG_HUGETLBFS");

	snprintf(path + strlen(path), 20, "/free_hugepages");
	unlink(path);
	for (size_t i = ARRAY_SIZE(dirs); i-- > 0;) {
		snprintf(path, sizeof(path), "%s%s", sysfs, dirs[i]);
		rmdir(path);
	}
	rmdir(sysfs);
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
		cmocka_unit_test_teardown(bits_of_capabilities_make_features, teardown),
		cmocka_unit_test_teardown(what_snp_takes_is_asked_of_the_host, teardown),
		cmocka_unit_test_teardown(nested_is_vmx_or_svm, teardown),
		cmocka_unit_test_teardown(huge_pages_are_those_that_are_free, teardown),
		cmocka_unit_test_teardown(cpuid_bits_make_features, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
