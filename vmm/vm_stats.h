/*
 * vm_stats.h - KVM's statistics of a VM's machine: of the one that runs, or kept from the last one
 * (layer 4). The caller serialises all calls: vm.c by its control lock.
 */
#ifndef LKVM_VMM_VM_STATS_H
#define LKVM_VMM_VM_STATS_H

#include "vmm/machine.h"
#include "vmm/stats.h"

struct vm_stats {
	unsigned int n;	     /* 1 + vCPUs: the machine itself comes first; 0: nobody asked yet */
	struct stats **open; /* of the machine that runs; each NULL until it is asked for */

	/* Of the last machine that went; NULL: there is none, or its KVM has no statistics. */
	struct vm_stats_kept {
		int n; /* how many, or -errno */
		struct lkvm_stat *stats;
	} * kept;
};

/*
 * lkvm_vm_stats(): of @m, or of the last one with @m NULL; @vcpu is -1 or a vCPU's index. Why KVM
 * gives none goes into @err.
 */
int vm_stats_read(struct vm_stats *vs, const struct machine *m, int vcpu, struct lkvm_stat *out,
		  size_t max, struct lkvm_error *err);

/*
 * vm_stats_read() would ask a vCPU of @m for the descriptor behind which its statistics are: KVM
 * answers when that vCPU is out of the guest, which may be never. Reading is possible at all times.
 */
bool vm_stats_want_pause(const struct vm_stats *vs, const struct machine *m, int vcpu);

/* @m, halted, is about to go: let go of it and remember. What cannot be read is logged. */
void vm_stats_keep(struct vm_stats *vs, const struct machine *m);

/* Before the machine goes that is open. Accepts a zeroed struct. */
void vm_stats_fini(struct vm_stats *vs);

#endif
