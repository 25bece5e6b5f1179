/*
 * cpuid_dump.h - --dump-cpuid: what KVM offered, what was passed, what KVM made of it, and why
 * (x86-64).
 *
 * The format is described in lkvm(1): a line for each register of each leaf, and one for each
 * change to it.
 */
#ifndef LKVM_ARCH_X86_CPUID_DUMP_H
#define LKVM_ARCH_X86_CPUID_DUMP_H

#include "arch/x86/cpuid.h"

/*
 * The text for vCPU @index, of which KVM says @actual (KVM_GET_CPUID2). The caller frees *@text.
 * LKVM_ERR_HOST when memory runs out, and what cpuid_build() says.
 */
int cpuid_dump_text(const struct kvm_cpuid2 *supported, const struct cpuid_params *params,
		    unsigned int index, const struct kvm_cpuid2 *actual, char **text,
		    struct lkvm_error *err);

struct machine;

/* Write that of vCPU 0 to the file of --dump-cpuid. After KVM_SET_CPUID2, before it runs. */
int cpuid_dump(struct machine *m, struct lkvm_error *err);

#endif
