/*
 * gic_state.h - the state of the interrupt controllers; arch/arm64 only.
 *
 * Registers by the attribute they are reached by, in the order they are put back
 * (Documentation/virt/kvm/devices/arm-vgic.rst, arm-vgic-v3.rst, arm-vgic-its.rst). All vCPUs are
 * parked or were never started; any thread. state.h has the place of these calls among the others.
 */
#ifndef LKVM_ARCH_ARM64_GIC_STATE_H
#define LKVM_ARCH_ARM64_GIC_STATE_H

#include "vmm/machine.h"

/* For each vCPU at most some 80 registers, for each of 1020 interrupts at most 4. */
#define GIC_STATE_MAX_REGS 65536

struct gic_reg {
	u32 group; /* KVM_DEV_ARM_VGIC_GRP_*: also says of which device */
	u64 attr;
	u64 val;
};

struct gic_state {
	enum lkvm_irqchip kind;
	u32 n_vcpus;
	u32 n_spis;
	u32 n_regs;
	struct gic_reg *regs;
};

/*
 * *@state is the caller's to free; NULL when it fails. Writes to guest memory, where an ITS keeps
 * its tables: copy that afterwards. How high the input lines of a GICv2 are is not in it: KVM does
 * not say, the devices must drive them again.
 */
int gic_state_get(struct machine *m, struct gic_state **state, struct lkvm_error *err);

/*
 * Into a controller of the same kind, with the guest's memory in place. LKVM_ERR_INPUT when
 * it is the state of another machine; LKVM_ERR_UNSUPPORTED when this host's KVM does not take it.
 */
int gic_state_set(struct machine *m, const struct gic_state *state, struct lkvm_error *err);

/* Every register is the same. *@reg: the first of @a that is not; NULL: there are not as many. */
bool gic_state_same(const struct gic_state *a, const struct gic_state *b,
		    const struct gic_reg **reg);

void gic_state_free(struct gic_state *state); /* NULL is allowed */

#endif
