/* pmu.h - what a vCPU says of its PMU, initialised or not; arch/arm64 only. */
#ifndef LKVM_ARCH_ARM64_PMU_H
#define LKVM_ARCH_ARM64_PMU_H

#include "linux-uapi/arm64.h"
#include "vmm/kvm.h"

#define PMCR_EL0 ARM64_SYS_REG(3, 3, 9, 12, 0)

/* *@n: how many event counters there are, PMCR_EL0.N (Arm ARM, D24.5). 0 or -errno. */
int pmu_n_counters(const struct kvm *kvm, int vcpu_fd, unsigned int *n);

/*
 * Which of the interfaces of linux-uapi/unmerged.h there is, without using it. The capability
 * numbers of the series mean something else in released kernels: they are not asked.
 *
 * The ioctl: -EFAULT: this kernel has it; -EPERM: it has, and the host keeps all counters to
 * itself; anything else: it has not.
 */
int pmu_probe_partition_ioctl(const struct kvm *kvm, int vcpu_fd);
bool pmu_has_partition_attr(const struct kvm *kvm, int vcpu_fd);

#endif
