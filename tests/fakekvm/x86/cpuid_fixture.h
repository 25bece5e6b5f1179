/*
 * cpuid_fixture.h - tables of KVM_GET_SUPPORTED_CPUID to test with, from tests/golden/x86/cpuid.
 *
 * A .def file there is a line per entry, LEAF(function, index, flags, eax, ebx, ecx, edx), and
 * is compiled in: no test needs a file at run time. Each file says whether it was captured or
 * composed.
 */
#ifndef LKVM_TESTS_CPUID_FIXTURE_H
#define LKVM_TESTS_CPUID_FIXTURE_H

#include <errno.h>

#include "linux-uapi/x86.h"

enum cpuid_fixture_id {
	CPUID_FIXTURE_INTEL,	      /* a whole server processor, VMX included */
	CPUID_FIXTURE_INTEL_SOFTWARE, /* a KVM without hardware virtualisation */
	CPUID_FIXTURE_AMD,	      /* a whole server processor, SVM included */
	CPUID_FIXTURE_AMD_EMULATED,   /* the KVM inside the test bed */
	CPUID_FIXTURE_HYGON,
	CPUID_FIXTURE_INTEL_NEXT, /* with LKGS, FRED, CET, AMX and a PMU */
	CPUID_FIXTURE_AMD_NEXT,	  /* with shadow stacks and PerfMonV2 */
	N_CPUID_FIXTURES,
};

/* Static and constant; @n_entries is at most 256. */
static inline const struct kvm_cpuid_entry2 *cpuid_fixture(enum cpuid_fixture_id id, u32 *n_entries)
{
#define LEAF(f, i, fl, a, b, c, d) \
	{ .function = (f),         \
	  .index = (i),            \
	  .flags = (fl),           \
	  .eax = (a),              \
	  .ebx = (b),              \
	  .ecx = (c),              \
	  .edx = (d) },
	static const struct kvm_cpuid_entry2 intel[] = {
#include "tests/golden/x86/cpuid/intel.def"
	};
	static const struct kvm_cpuid_entry2 intel_software[] = {
#include "tests/golden/x86/cpuid/intel-software.def"
	};
	static const struct kvm_cpuid_entry2 amd[] = {
#include "tests/golden/x86/cpuid/amd.def"
	};
	static const struct kvm_cpuid_entry2 amd_emulated[] = {
#include "tests/golden/x86/cpuid/amd-emulated.def"
	};
	static const struct kvm_cpuid_entry2 hygon[] = {
#include "tests/golden/x86/cpuid/hygon.def"
	};
	static const struct kvm_cpuid_entry2 intel_next[] = {
#include "tests/golden/x86/cpuid/intel-next.def"
	};
	static const struct kvm_cpuid_entry2 amd_next[] = {
#include "tests/golden/x86/cpuid/amd-next.def"
	};
#undef LEAF
	static const struct {
		const struct kvm_cpuid_entry2 *entries;
		size_t n;
	} fixtures[N_CPUID_FIXTURES] = {
		[CPUID_FIXTURE_INTEL] = { intel, ARRAY_SIZE(intel) },
		[CPUID_FIXTURE_INTEL_SOFTWARE] = { intel_software, ARRAY_SIZE(intel_software) },
		[CPUID_FIXTURE_AMD] = { amd, ARRAY_SIZE(amd) },
		[CPUID_FIXTURE_AMD_EMULATED] = { amd_emulated, ARRAY_SIZE(amd_emulated) },
		[CPUID_FIXTURE_HYGON] = { hygon, ARRAY_SIZE(hygon) },
		[CPUID_FIXTURE_INTEL_NEXT] = { intel_next, ARRAY_SIZE(intel_next) },
		[CPUID_FIXTURE_AMD_NEXT] = { amd_next, ARRAY_SIZE(amd_next) },
	};

	*n_entries = (u32)fixtures[id].n;
	return fixtures[id].entries;
}

/* "intel", "amd-emulated": the name of the .def file. */
static inline const char *cpuid_fixture_name(enum cpuid_fixture_id id)
{
	static const char *const names[N_CPUID_FIXTURES] = {
		[CPUID_FIXTURE_INTEL] = "intel",
		[CPUID_FIXTURE_INTEL_SOFTWARE] = "intel-software",
		[CPUID_FIXTURE_AMD] = "amd",
		[CPUID_FIXTURE_AMD_EMULATED] = "amd-emulated",
		[CPUID_FIXTURE_HYGON] = "hygon",
		[CPUID_FIXTURE_INTEL_NEXT] = "intel-next",
		[CPUID_FIXTURE_AMD_NEXT] = "amd-next",
	};

	return names[id];
}

/*
 * KVM_GET_SUPPORTED_CPUID itself: fill @out, which has room for @out->nent entries. -E2BIG
 * when there are more.
 */
static inline int cpuid_fixture_load(enum cpuid_fixture_id id, struct kvm_cpuid2 *out)
{
	u32 n;
	const struct kvm_cpuid_entry2 *entries = cpuid_fixture(id, &n);

	if (out->nent < n)
		return -E2BIG;
	memcpy(out->entries, entries, n * sizeof(*entries));
	out->nent = n;
	return 0;
}

#endif
