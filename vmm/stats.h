/*
 * stats.h - KVM's binary statistics of a VM or a vCPU (layer 1).
 *
 * Documentation/virt/kvm/api.rst 4.133 (KVM_GET_STATS_FD): a header, descriptors that never
 * change, and a block of u64 values that is read anew each time. What they say of themselves is
 * checked like a file's: once, when it is opened.
 */
#ifndef LKVM_VMM_STATS_H
#define LKVM_VMM_STATS_H

#include "vmm/base.h"
#include "vmm/err.h"
#include "vmm/kvm.h"

#define STATS_MAX     1024	  /* of one VM or vCPU; Linux 7.2 has about 80 */
#define STATS_MAX_LEN (512 * KIB) /* bytes of descriptors, and of values */

struct stats; /* of one VM or vCPU */

bool stats_exist(const struct kvm *kvm); /* this KVM has any */

/*
 * @fd is the descriptor of a VM or a vCPU; it and @kvm outlive the result. -ENOTTY without a
 * message where KVM has none; what makes no sense in what KVM says is LKVM_ERR_HOST. Kinds of
 * statistics that this file does not know are left out: a later kernel's.
 */
int stats_open(struct stats **stats, const struct kvm *kvm, int fd, struct lkvm_error *err);
void stats_close(struct stats *stats); /* NULL is allowed */

/*
 * Up to @max of the statistics with their present values, in KVM's order; a histogram is one of
 * them, with the sum of its buckets as value. How many there are in all, or -errno. One thread at
 * a time; vCPUs may run.
 */
int stats_read(struct stats *stats, struct lkvm_stat *out, size_t max);

#endif
