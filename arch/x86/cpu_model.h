/*
 * cpu_model.h - which features a guest's CPUs have, by name (x86-64).
 *
 * What --cpu says, over the table of cpu_features.h. Pure functions.
 */
#ifndef LKVM_ARCH_X86_CPU_MODEL_H
#define LKVM_ARCH_X86_CPU_MODEL_H

#include "arch/x86/cpu_features.h"
#include "vmm/base.h"
#include "vmm/err.h"

struct kvm_cpuid2;

#define CPU_MODEL_MAX_FEATURES 512

struct cpu_feature_set {
	u64 bits[CPU_MODEL_MAX_FEATURES / 64]; /* by number in the table */
};

static inline bool cpu_feature_in(const struct cpu_feature_set *set, enum cpu_feature_id id)
{
	return set->bits[id / 64] & BIT(id % 64);
}

/* What the text of --cpu says; all zero is "host". */
struct cpu_model {
	bool conservative;
	bool hides; /* @gone is not empty */
	struct cpu_feature_set add;
	struct cpu_feature_set drop;
	/* Hidden: @drop, what conservative leaves out, and what depends on either. */
	struct cpu_feature_set gone;
};

/*
 * "" or host or conservative, then ,+NAME and ,-NAME. What is wrong with the words themselves is
 * LKVM_ERR_INPUT: an unknown name (with the nearest one), a name both added and dropped, a feature
 * that is added while what it depends on is hidden (the pair is named). Touches nothing.
 */
int cpu_model_parse(const char *text, struct cpu_model *model, struct lkvm_error *err);

/* Told of a table after each change to it, with the reason, which is valid during the call. */
struct cpuid_observer {
	void (*step)(void *ctx, const struct kvm_cpuid2 *table, const char *why);
	void *ctx;
};

/* Take from @table what @model hides; @observer may be NULL. */
void cpu_model_apply(const struct cpu_model *model, struct kvm_cpuid2 *table,
		     const struct cpuid_observer *observer);

/* @table shows the feature. */
bool cpu_feature_shown(const struct kvm_cpuid2 *table, enum cpu_feature_id id);

#endif
