/*
 * arch.h - what a guest architecture provides (layer 3 implements, layer 4 calls).
 *
 * Link-time functions, one set of names in every arch/: a KVM binary serves one guest
 * architecture, and the linker proves that the set is complete. Those from
 * arch_vm_type() to arch_load() are called in this order by machine.c, on one thread, before vCPUs
 * run. Whichever comes first of those that need it allocates machine->arch.
 */
#ifndef LKVM_VMM_ARCH_H
#define LKVM_VMM_ARCH_H

#include "vmm/machine.h"

/* "x86-64" */
extern const char arch_name[];

/* Bytes of flash memory that are erased at a time; its image is a multiple of them. */
extern const u32 arch_flash_block;

/* Firmware can be given a kernel to start. */
extern const bool arch_firmware_kernels;

/* Fields of the config that only this architecture can judge; touches nothing. config.c's. */
int arch_validate(const struct lkvm_config *cfg, struct lkvm_error *err);

/* The type for KVM_CREATE_VM. */
int arch_vm_type(const struct kvm_host *host, const struct lkvm_config *cfg, unsigned long *type,
		 struct lkvm_error *err);

/*
 * Guest RAM, which is private if gmem.backing is told so first, and memory that is none
 * (gmem_add_hidden()). KVM is told of both after this.
 */
int arch_add_memory(struct machine *m, struct lkvm_error *err);

/* What must happen before the first vCPU: interrupt controllers, VM-wide capabilities. */
int arch_init_vm(struct machine *m, struct lkvm_error *err);

/*
 * What KVM_CREATE_VCPU is told for vCPU @index: the number the guest's interrupt
 * controller knows the CPU by (x86: its APIC id), which need not be dense.
 */
u32 arch_vcpu_id(const struct machine *m, unsigned int index);

/*
 * After all vCPUs exist: what the guest may see of them, and what of an interrupt controller waits
 * for them. When this returns machine->msi is filled in, where there are messages.
 */
int arch_init_vcpus(struct machine *m, struct lkvm_error *err);

/* The board: devices and the buses they sit on. */
int arch_add_devices(struct machine *m, struct lkvm_error *err);

/* Where a virtio device is, by either transport; GSIs are those of arch_set_irq(). */
struct virtio_place {
	u64 mmio_base; /* in m->mmio */
	u32 mmio_gsi;
	struct pci_bus *pci_bus;
	unsigned int pci_slot; /* from 1: slot 0 is the host bridge's */
	u32 pci_gsi;	       /* of INTA# */
};

/* That of device @index, from 0, fewer than LKVM_MAX_VIRTIO: the same one in every run. */
void arch_virtio_place(const struct machine *m, unsigned int index, struct virtio_place *place);

/* Kernel, initrd, command line, firmware tables into memory; initial registers. */
int arch_load(struct machine *m, struct lkvm_error *err);

/*
 * Drive an input of the interrupt controller: irq_chip's set. Any thread. @gsi is KVM's, as in
 * its routing table and irqfds.
 */
void arch_set_irq(void *machine, u32 gsi, bool level);

/*
 * Exits that only this architecture has, and a KVM_EXIT_FAIL_ENTRY it can say more of, on the
 * vCPU's thread. -ENOSYS when it knows no more of the reason either.
 */
int arch_handle_exit(struct vcpu *vcpu, enum vcpu_action *action);

/*
 * KVM_RUN failed with EFAULT on the vCPU's thread; kvm_run may say which memory it was about
 * (KVM_EXIT_MEMORY_FAULT). -ENOSYS: this architecture knows no remedy.
 */
int arch_handle_fault(struct vcpu *vcpu, enum vcpu_action *action);

/* The vCPU is about to be parked by a pause: tell the guest's clock, if there is such a call. vCPU
 * thread. */
void arch_vcpu_paused(struct vcpu *vcpu);

/*
 * Registers for a post mortem, with the vCPU not running; *@pc is the program counter.
 * When that says nothing about the guest, @state->symbol_note says why. Loop thread.
 */
int arch_get_regs(struct vcpu *vcpu, struct lkvm_vcpu_state *state, u64 *pc);

/* Release what the functions above took. Accepts a half-built machine. */
void arch_fini(struct machine *m);

/*
 * Without a machine: what @kvm, an empty VM made for the purpose, can do for guests of this
 * architecture, features first, then KVM's capabilities. May make vCPUs and devices of it. 0, or
 * -errno when it could not be found out.
 */
struct kvm;
int arch_probe_caps(const struct kvm *kvm, struct lkvm_caps *caps, struct lkvm_error *err);

#endif
