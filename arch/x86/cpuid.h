/*
 * cpuid.h - what the guest's CPUs say they are (x86-64).
 *
 * Pure functions from what KVM offers (KVM_GET_SUPPORTED_CPUID) and the topology
 * asked for to the table of one vCPU (KVM_SET_CPUID2); golden-tested on any host. Leaves are
 * those of Intel's SDM (volume 2A, CPUID) and AMD's APM (volume 3, appendix E).
 */
#ifndef LKVM_ARCH_X86_CPUID_H
#define LKVM_ARCH_X86_CPUID_H

#include "vmm/base.h"
#include "vmm/err.h"

struct kvm_cpuid2;

#define CPUID_MAX_ENTRIES 256

enum cpuid_vendor { CPUID_VENDOR_INTEL, CPUID_VENDOR_AMD, CPUID_VENDOR_HYGON, CPUID_VENDOR_OTHER };

/*
 * Sockets, cores and threads, and the x2APIC ids made from them: thread, core and
 * socket number in bit fields, each as wide as its count needs (SDM 3A, 9.9).
 */
struct cpu_topology {
	unsigned int sockets, cores, threads; /* cores per socket, threads per core */
	unsigned int core_shift;	      /* id >> this numbers cores */
	unsigned int socket_shift;	      /* id >> this numbers sockets */
};

/*
 * From the config: counts of 0 are derived (all CPUs are cores of one socket
 * unless sockets, cores or threads are given). LKVM_ERR_INPUT when they do not multiply to n_vcpus
 * or the largest id does not fit the 8 bits of an xAPIC (254; 255 is broadcast).
 */
int cpu_topology_init(struct cpu_topology *topo, const struct lkvm_config *cfg,
		      struct lkvm_error *err);
u32 cpu_topology_apic_id(const struct cpu_topology *topo, unsigned int index);

/* What a table depends on besides what KVM offers. */
struct cpuid_params {
	struct cpu_topology topo;
	bool tsc_deadline; /* KVM_CAP_TSC_DEADLINE_TIMER: KVM does not list the bit itself */
};

enum cpuid_vendor cpuid_vendor(const struct kvm_cpuid2 *supported);

/* Bits of a physical address (0x80000008), 36 where KVM lists no such leaf (SDM 3A, 4.1.4). */
unsigned int cpuid_address_bits(const struct kvm_cpuid2 *supported);

/*
 * Build the table of vCPU @index into @out, which has room for CPUID_MAX_ENTRIES.
 * -ENOSPC (LKVM_ERR_HOST) when KVM offers more than fits.
 */
int cpuid_build(const struct kvm_cpuid2 *supported, const struct cpuid_params *params,
		unsigned int index, struct kvm_cpuid2 *out, struct lkvm_error *err);

#endif
