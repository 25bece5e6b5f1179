/*
 * no_exits.h - instructions that vCPUs execute without leaving the guest (--disable-exits;
 * KVM_CAP_X86_DISABLE_EXITS, api.rst 7.13).
 */
#ifndef LKVM_ARCH_X86_NO_EXITS_H
#define LKVM_ARCH_X86_NO_EXITS_H

#include "vmm/machine.h"

/* What of @cfg can be judged alone: LKVM_ERR_INPUT. */
int x86_no_exits_check(const struct lkvm_config *cfg, struct lkvm_error *err);

/*
 * Before the first vCPU. With aperfmperf each vCPU gets a CPU of the host's to itself: those of
 * --vcpu-affinity, or the first that this process may use. LKVM_ERR_UNSUPPORTED for what the host
 * does not let go without an exit, LKVM_ERR_INPUT when there are too few CPUs.
 */
int x86_no_exits_init(struct machine *m, struct lkvm_error *err);

#endif
