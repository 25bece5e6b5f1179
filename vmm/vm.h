/* vm.h - beside the public API: a VM on a KVM other than the system's (layer 4; for tests). */
#ifndef LKVM_VMM_VM_H
#define LKVM_VMM_VM_H

#include <lkvm.h>

#include "vmm/kvm.h"

/* lkvm_vm_create() on @backend, which must outlive the VM. */
int vm_create_on(const struct kvm_backend *backend, const struct lkvm_config *cfg,
		 struct lkvm_vm **vm, struct lkvm_error *err);

#endif
