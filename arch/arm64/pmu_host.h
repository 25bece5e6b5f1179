/* pmu_host.h - the host's CPU PMUs, as /sys describes them; arch/arm64 only. */
#ifndef LKVM_ARCH_ARM64_PMU_HOST_H
#define LKVM_ARCH_ARM64_PMU_HOST_H

#include <lkvm.h>

#include "vmm/cpumask.h"
#include "vmm/err.h"

#define PMU_HOST_MAX 16 /* kinds of CPU in one machine */

/* One kind of CPU's: the others of /sys/bus/event_source/devices have no file "cpus". */
struct pmu_host {
	char name[LKVM_PMU_NAME_MAX];
	int type;	      /* for KVM_ARM_VCPU_PMU_V3_SET_PMU */
	struct cpu_mask cpus; /* it counts on */
};

/*
 * All of them below @sysfs ("/sys"), in the order of their names. How many, 0 where there is
 * no such folder; -errno.
 */
int pmu_host_list(const char *sysfs, struct pmu_host pmus[PMU_HOST_MAX], struct lkvm_error *err);

/*
 * The one for vCPUs that may run on @cpus (empty: everywhere): by @name, or with "" the one
 * that covers them all. LKVM_ERR_INPUT names the choices where there is none to choose,
 * LKVM_ERR_UNSUPPORTED says that the host has none at all.
 */
int pmu_host_find(const char *sysfs, const char *name, const struct cpu_mask *cpus,
		  struct pmu_host *pmu, struct lkvm_error *err);

#endif
