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
	bool split;	    /* the I/O APIC is devices/ioapic.c */
	struct dev *ioapic; /* it; NULL: none, or not made yet */
	struct snp *snp;    /* NULL: an ordinary guest */
	struct dev *fw_cfg; /* NULL: none, or not made yet */
};

/* 1, or 0 if KVM refuses the MSR, or -errno. */
int x86_vcpu_set_msr(const struct vcpu *vcpu, u32 index, u64 value, struct lkvm_error *err);

/* vCPU 0 is the bootstrap processor: its registers for @entry. KVM keeps the others waiting. */
int x86_set_boot_regs(struct machine *m, const struct boot_entry *entry, struct lkvm_error *err);

/*
 * The ACPI tables as they are at @gpa, into @buf (X86_ACPI_SIZE zeroed bytes), and into the file of
 * --dump-acpi. With firmware, which places them: as at 0.
 */
int x86_build_acpi(struct machine *m, u64 gpa, u8 *buf, size_t *used, struct lkvm_error *err);

/* Each device has a place: on the PCI bus, and a port of its own for --debug-exit. */
int x86_check_board(const struct lkvm_config *cfg, struct lkvm_error *err);

#endif
