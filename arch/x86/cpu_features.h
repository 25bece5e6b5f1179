/*
 * cpu_features.h - CPUID's bits by name (x86-64): the table in cpu_features.def, and finding in it.
 *
 * Pure data and functions.
 */
#ifndef LKVM_ARCH_X86_CPU_FEATURES_H
#define LKVM_ARCH_X86_CPU_FEATURES_H

#include "vmm/base.h"

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

/* Bits of one register of one subleaf; bits of 0: nowhere. */
struct cpuid_place {
	u32 function, index;
	enum cpuid_reg reg;
	u32 bits;
};

enum cpu_only { CPU_ONLY_NONE, CPU_ONLY_INTEL, CPU_ONLY_AMD }; /* AMD: and Hygon */

enum cpu_feature_id {
	CPU_F_NONE,
#define CPU_FEATURE(name, ...)	     CPU_F_##name,
#define CPU_FEATURE_FIELD(name, ...) CPU_F_##name,
#include "arch/x86/cpu_features.def"
#undef CPU_FEATURE
#undef CPU_FEATURE_FIELD
	CPU_N_FEATURES,
};

#define CPU_MAX_NEEDS 3

/* A feature is there when any bit of either place is set. */
struct cpu_feature {
	const char *name;
	struct cpuid_place at, also;
	enum cpu_feature_id needs[CPU_MAX_NEEDS]; /* CPU_F_NONE: no more */
	enum cpu_only only;			  /* no other vendor's processors have it */
	bool conservative;			  /* part of that model */
	bool by_topology;			  /* follows --cpus, not --cpu */
	const char *option;			  /* what else it takes; NULL: nothing */
};

/* [CPU_F_NONE] has no name. */
extern const struct cpu_feature cpu_features[CPU_N_FEATURES];

/* By name, not terminated, in which '-' is as good as '_'; CPU_F_NONE: there is none. */
enum cpu_feature_id cpu_feature_find(const char *name, size_t len);

/* What was probably meant by @name; CPU_F_NONE: nothing is near. */
enum cpu_feature_id cpu_feature_nearest(const char *name, size_t len);

#endif
