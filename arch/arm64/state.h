/*
 * state.h - all there is to know of a vCPU, and of the counters all of them share; arch/arm64 only.
 *
 * What comes out of one machine goes into another that was made from the same config and whose
 * vCPUs have not run: KVM fixes ID registers and firmware versions at the first KVM_RUN. In this
 * order:
 *
 *	get: arm64_vcpu_state_get() of each vCPU, arm64_clock_state_get(), gic_state_get(), then
 *	     memory, the hidden kind included (gmem.h): steal time is in it, and the GIC leaves
 *	     tables there
 *	set: memory, arm64_vcpu_state_set() of each vCPU, gic_state_set(), arm64_clock_state_set()
 *
 * All vCPUs of the machine are parked (machine_pause()) or were never started; any thread.
 * Requests and their rules: Documentation/virt/kvm/api.rst.
 */
#ifndef LKVM_ARCH_ARM64_STATE_H
#define LKVM_ARCH_ARM64_STATE_H

#include "linux-uapi/arm64.h"
#include "vmm/machine.h"

/* Linux 7.2 lists 267 to 404, by the features of the vCPU. */
#define ARM64_VCPU_STATE_MAX_REGS 4096
#define ARM64_VCPU_REG_MAX	  256 /* bytes */

struct arm64_reg {
	u64 id;	 /* its size too */
	u32 off; /* of the value in arm64_vcpu_state.values */
};

struct arm64_vcpu_state {
	u32 mp_state; /* KVM_MP_STATE_* */
	bool has_events;
	struct kvm_vcpu_events events;
	bool has_pvtime;
	u64 pvtime_gpa;

	u32 n_regs;
	u32 n_values; /* bytes */
	struct arm64_reg *regs;
	u8 *values;
};

/* Bytes of the register with that @id, a power of two; 0: more than ARM64_VCPU_REG_MAX. */
size_t arm64_vcpu_reg_size(u64 id);

/* *@state is the caller's to free; NULL when it fails. */
int arm64_vcpu_state_get(struct vcpu *vcpu, struct arm64_vcpu_state **state,
			 struct lkvm_error *err);

/*
 * What is not whole, or larger than a vCPU can be, is LKVM_ERR_INPUT (-EINVAL) before anything is
 * set. Registers that may not be set must have the value already, and all of them are read back: a
 * host that lacks one, or makes something else of it, is LKVM_ERR_UNSUPPORTED with the id of the
 * register. The counters are left to arm64_clock_state_set(). After an error the vCPU is of no use.
 */
int arm64_vcpu_state_set(struct vcpu *vcpu, const struct arm64_vcpu_state *state,
			 struct lkvm_error *err);

/*
 * Both tell of the same vCPU, apart from what goes on by itself while a vCPU is parked: counters,
 * and whether a timer's time has come. *@id: the first register that differs, or 0 when it
 * is something else.
 */
bool arm64_vcpu_state_same(const struct arm64_vcpu_state *a, const struct arm64_vcpu_state *b,
			   u64 *id);

void arm64_vcpu_state_free(struct arm64_vcpu_state *state); /* NULL is allowed */

/* What CNTVCT_EL0 and CNTPCT_EL0 read. */
struct arm64_clock_state {
	u64 virt;
	u64 phys;
	bool has_phys; /* Linux 6.4 has it */
};

int arm64_clock_state_get(struct machine *m, struct arm64_clock_state *clock,
			  struct lkvm_error *err);

/*
 * The guest's counters go on from there: no time has passed for it. Right before its vCPUs run.
 * None of them may be in an ioctl.
 */
int arm64_clock_state_set(struct machine *m, const struct arm64_clock_state *clock,
			  struct lkvm_error *err);

#endif
