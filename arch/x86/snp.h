/*
 * snp.h - guests under AMD SEV-SNP (x86-64).
 *
 * Order, numbers and errors: Documentation/virt/kvm/x86/amd-memory-encryption.rst; firmware
 * commands and codes: AMD's "SEV Secure Nested Paging Firmware ABI Specification" (56860). Firmware
 * (OVMF) says by its GUIDed table and SEV metadata what pages a launch needs: ovmf.h.
 */
#ifndef LKVM_ARCH_X86_SNP_H
#define LKVM_ARCH_X86_SNP_H

#include "vmm/machine.h"
#include "vmm/vcpu.h"

struct snp; /* a machine's: m->arch->snp; NULL: it is an ordinary one */

/* What of @cfg can be judged without files and KVM, policy bits by name: LKVM_ERR_INPUT. */
int snp_check(const struct lkvm_config *cfg, struct lkvm_error *err);

/* The host makes such VMs, or LKVM_ERR_UNSUPPORTED that says what it would take. */
int snp_vm_type(const struct kvm_host *host, unsigned long *type, struct lkvm_error *err);

/*
 * After KVM_CREATE_VM, before vCPUs: files of the config are read and judged, the policy is held
 * against what KVM takes, KVM_CAP_EXIT_HYPERCALL, KVM_SEV_INIT2, certificates. Makes m->arch->snp.
 */
int snp_init(struct machine *m, struct lkvm_error *err);

/*
 * Last of arch_load(): memory and registers are as the guest shall find them. LAUNCH_START, UPDATE
 * of each range, FINISH; then the report, if one was asked for. Partial updates go on, EAGAIN is
 * tried again a bounded number of times, and each firmware error is a sentence with the
 * name of its code.
 */
int snp_launch(struct machine *m, struct lkvm_error *err);

/* On the vCPU's thread. -ENOSYS: not an exit of such guests. */
int snp_handle_exit(struct vcpu *vcpu, enum vcpu_action *action);

/*
 * KVM_RUN failed with EFAULT and KVM_EXIT_MEMORY_FAULT: the page becomes what the exit says, and
 * the machine ends when it is that page again and again. -ENOSYS: no such fault, or an ordinary
 * guest.
 */
int snp_handle_memory_fault(struct vcpu *vcpu, enum vcpu_action *action);

void snp_fini(struct snp *snp); /* NULL is allowed */

#endif
