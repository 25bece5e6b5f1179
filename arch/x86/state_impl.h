/*
 * state_impl.h - what the files of state.c share; arch/x86 only.
 */
#ifndef LKVM_ARCH_X86_STATE_IMPL_H
#define LKVM_ARCH_X86_STATE_IMPL_H

#include "arch/x86/state.h"

#define X86_MSR_TSC	     0x10
#define X86_MSR_TSC_DEADLINE 0x6e0

/* ---- state_cpuid.c; all of it is pure ---- */

/* Apart from bits that KVM makes from other registers. */
bool state_cpuid_same(const struct kvm_cpuid2 *a, const struct kvm_cpuid2 *b);

/*
 * KVM takes a table that promises anything: LKVM_ERR_UNSUPPORTED when @want has features that
 * neither @have, the vCPU's own, has nor this host's KVM offers.
 */
int state_cpuid_check(const struct vcpu *vcpu, const struct kvm_cpuid2 *want,
		      const struct kvm_cpuid2 *have, struct lkvm_error *err);

/* @s->cpuid has it. */
bool state_has_shstk(const struct x86_vcpu_state *s);
bool state_has_ibt(const struct x86_vcpu_state *s);

/* ---- state_msrs.c ---- */

/* Fill in msrs and n_msrs of @s, whose cpuid is there. */
int state_msrs_get(const struct vcpu *vcpu, struct x86_vcpu_state *s, struct lkvm_error *err);

/* Pure: LKVM_ERR_INPUT for what state_msrs_get() never gives. */
int state_msrs_check(const struct vcpu *vcpu, const struct x86_vcpu_state *s,
		     struct lkvm_error *err);

/* All but TSC_DEADLINE, or it alone. */
int state_msrs_set(const struct vcpu *vcpu, const struct x86_vcpu_state *s, bool deadline,
		   struct lkvm_error *err);

/* The value of @index in @s; NULL: it is not among them. */
const u64 *state_msr(const struct x86_vcpu_state *s, u32 index);

/* The first MSR of @a that @b has not, or another value of; false: none. */
bool state_msrs_differ(const struct x86_vcpu_state *a, const struct x86_vcpu_state *b, u32 *index);

#endif
