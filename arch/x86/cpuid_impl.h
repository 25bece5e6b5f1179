/*
 * cpuid_impl.h - what the files of cpuid.c share; arch/x86 only.
 *
 * cpuid_rules.c has the table of rules and what a rule can do in general, cpuid_topology.c those
 * that write what follows from --cpus, cpuid.c the rest.
 */
#ifndef LKVM_ARCH_X86_CPUID_IMPL_H
#define LKVM_ARCH_X86_CPUID_IMPL_H

#include "arch/x86/cpuid.h"
#include "linux-uapi/x86.h"

/* Facts a rule may depend on; it applies where all it names are true. */
enum {
	ALWAYS = 0,
	ON_INTEL = 1 << 0, /* and the others that follow its leaves: not AMD, not Hygon */
	ON_AMD = 1 << 1,   /* and Hygon, whose leaves are AMD's */
	MULTI = 1 << 2,	   /* a socket has more than one logical CPU */
	SINGLE = 1 << 3,
	DEADLINE = 1 << 4, /* the in-kernel LAPIC has the TSC deadline timer */
	NO_DEADLINE = 1 << 5,
	NO_TILES = 1 << 6, /* tile state is not among the XSAVE components offered */
	NO_CET = 1 << 7,   /* nor is that of CET */
	NESTED = 1 << 8,
	NOT_NESTED = 1 << 9,
	MWAIT = 1 << 10,
	NO_MWAIT = 1 << 11,
	APERFMPERF = 1 << 12,
	NO_APERFMPERF = 1 << 13,
	EXT_DEST_ID = 1 << 14,
	NO_EXT_DEST_ID = 1 << 15,
	SNP = 1 << 16,
	NOT_SNP = 1 << 17,
	MODEL = 1 << 18, /* --cpu hides something */
};

/* A table under construction. */
struct cpuid_build {
	const struct cpu_topology *topo;
	const struct cpu_model *model;
	u32 apic_id;
	u32 socket;
	unsigned int facts;
	struct kvm_cpuid2 *out;
	const struct cpuid_observer *observer;
	bool full; /* an entry did not fit */
};

struct cpuid_rule {
	void (*apply)(struct cpuid_build *b, const struct cpuid_rule *rule);
	u32 function;
	u32 index; /* subleaf */
	enum cpuid_reg reg;
	u32 bits;
	unsigned int when; /* facts */
	const char *why;
	enum cpu_feature_id unless[2]; /* nor does it apply where one of these is shown */
};

#define ANY_INDEX UINT32_MAX
#define B(n)	  (1u << (n))

/* ---- cpuid_rules.c ---- */

/*
 * The entries a rule is about, one after the other, from NULL to NULL. A leaf listed twice
 * is met twice: KVM shows the first, and none may slip through.
 */
struct kvm_cpuid_entry2 *cpuid_next(struct cpuid_build *b, const struct cpuid_rule *rule,
				    struct kvm_cpuid_entry2 *prev);
void cpuid_append(struct cpuid_build *b, struct kvm_cpuid_entry2 entry);

/* KVM answers a leaf that is missing below the highest one with zeroes. */
void cpuid_drop_leaf(struct cpuid_build *b, const struct cpuid_rule *rule);

/* All of them on @b->out, which is what KVM offers; the observer is told of that first. */
void cpuid_apply_rules(struct cpuid_build *b);

/* The rule that hides @f; NULL: none does. */
const struct cpuid_rule *cpuid_rule_hiding(const struct cpuid_build *b,
					   const struct cpu_feature *f);

/* ---- cpuid_topology.c ---- */

void cpuid_set_apic_id(struct cpuid_build *b, const struct cpuid_rule *rule);
void cpuid_share_intel_caches(struct cpuid_build *b, const struct cpuid_rule *rule);
void cpuid_build_amd_caches(struct cpuid_build *b, const struct cpuid_rule *rule);
void cpuid_set_amd_sizes(struct cpuid_build *b, const struct cpuid_rule *rule);
void cpuid_build_amd_ids(struct cpuid_build *b, const struct cpuid_rule *rule);
void cpuid_build_levels(struct cpuid_build *b, const struct cpuid_rule *rule);

#endif
