/* machine.h - what the arm64 half remembers of a machine, and how its files share the work;
 * arch/arm64 only. */
#ifndef LKVM_ARCH_ARM64_MACHINE_H
#define LKVM_ARCH_ARM64_MACHINE_H

#include "arch/arm64/fdt.h"
#include "arch/arm64/gic.h"
#include "arch/arm64/layout.h"
#include "devices/pci.h"
#include "linux-uapi/arm64.h"
#include "vmm/machine.h"

struct arch_machine {
	struct gic gic;
	struct kvm_vcpu_init vcpu_init; /* of vCPU 0; the others also wait for PSCI CPU_ON */
	bool pvtime;
	u64 mpidr[ARM64_MAX_VCPUS]; /* as KVM numbers the CPUs */

	struct pci_bus pci;
	u64 flash_size; /* bytes; 0: no flash */
};

/* vcpu.c: @vcpu begins at @pc with @x0, in the state that KVM calls reset (PSTATE included). */
int arm64_set_boot_regs(struct machine *m, u64 pc, u64 x0, struct lkvm_error *err);

/* features.c: which of KVM_ARM_VCPU_* the config asks for and this KVM has, into *@init. What is
 * asked for by name and missing is LKVM_ERR_UNSUPPORTED. */
int arm64_vcpu_features(struct machine *m, struct kvm_vcpu_init *init, struct lkvm_error *err);

/* pmu.c: before any vCPU runs. The interrupt controller is initialised, vCPUs are too. */
int arm64_pmu_check_config(const struct lkvm_config *cfg, struct lkvm_error *err);
int arm64_pmu_init(struct machine *m, struct lkvm_error *err);

/* board.c: --debug-exit names an address that is free, and there is a place for every device. */
int arm64_check_board(const struct lkvm_config *cfg, struct lkvm_error *err);

/* board.c: where the register of --debug-exit is; 0: there is none. */
u64 arm64_debug_exit_addr(const struct lkvm_config *cfg);

#endif
