/* machine.h - what the x86-64 half remembers of a machine; arch/x86 only. */
#ifndef LKVM_ARCH_X86_MACHINE_H
#define LKVM_ARCH_X86_MACHINE_H

#include "arch/x86/boot.h"
#include "arch/x86/cpuid.h"
#include "devices/pci.h"
#include "vmm/machine.h"

struct arch_machine {
	struct cpuid_params cpuid;
	struct kvm_cpuid2 *supported; /* KVM_GET_SUPPORTED_CPUID */
	struct kvm_cpuid2 *table;     /* room for the one of a vCPU */
	struct pci_bus pci;
};

/* vCPU 0 is the bootstrap processor: its registers for @entry. KVM keeps the others waiting. */
int x86_set_boot_regs(struct machine *m, const struct boot_entry *entry, struct lkvm_error *err);

/* --debug-exit names a port that is free. */
int x86_check_board(const struct lkvm_config *cfg, struct lkvm_error *err);

#endif
