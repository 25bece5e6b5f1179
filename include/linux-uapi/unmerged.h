/*
 * linux-uapi/unmerged.h - what no released kernel has: arm64 (layer 0).
 *
 * Numbers of posted series. Released kernels use some of them for something else, so none is
 * issued because KVM_CHECK_EXTENSION said something: only where the user chose the interface, or
 * after a probe that changes nothing. Each names the series it comes from.
 */
#ifndef LKVM_LINUX_UAPI_UNMERGED_H
#define LKVM_LINUX_UAPI_UNMERGED_H

#include "linux-uapi/arm64.h"

/*
 * "ARM64 PMU Partitioning" of Colton Lewis. Versions 2 to 4 (June and July 2025): a vCPU ioctl
 * with a pointer to a bool, after KVM_ARM_VCPU_PMU_V3_INIT. ENOEXEC: the vCPU is not
 * initialised; EPERM: the host's PMU driver keeps all counters; EFAULT: bad pointer; EINVAL or
 * ENOTTY: no such kernel. Version 1 had the same number for the count of counters the host keeps,
 * in a byte, and is not told from the others. Its capability number, 244, is another one's on
 * released kernels and not used.
 */
#define KVM_ARM_PARTITION_PMU KVM_IOC_WR(0xce, bool)
_Static_assert(KVM_ARM_PARTITION_PMU == 0xc001aeceu, "as posted");

/* Version 5 (December 2025) switched it on for the VM by KVM_ENABLE_CAP: not supported here. */

/*
 * Versions 6 to 8 (February to June 2026): an attribute of the vCPU, before
 * KVM_ARM_VCPU_PMU_V3_INIT. A bool is read through an unsigned int *. HAS: ENXIO without it. SET:
 * EPERM as above, though HAS said 0. Another posted series has the same number for
 * KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, which leaves no event counter: PMCR_EL0.N tells.
 */
#define KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION 5

#endif
