/*
 * cpuid.h - what the guest's CPUs say they are (x86-64).
 *
 * Pure functions from what KVM offers (KVM_GET_SUPPORTED_CPUID) and the topology
 * asked for to the table of one vCPU (KVM_SET_CPUID2); golden-tested on any host. Leaves are
 * those of Intel's SDM (volume 2A, CPUID) and AMD's APM (volume 3, appendix E).
 */
#ifndef LKVM_ARCH_X86_CPUID_H
#define LKVM_ARCH_X86_CPUID_H

#include "arch/x86/cpu_model.h"
#include "vmm/base.h"
#include "vmm/err.h"

struct kvm_cpuid2;
struct kvm_cpuid_entry2;

#define CPUID_MAX_ENTRIES 256

/* Bits of 0x80000001: EDX that repeat those of 1: EDX on AMD (APM 3, E.4.2). */
#define CPUID_AMD_MIRROR 0x0183f3ffu

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

/* What the 8 bits of an xAPIC's id can be: 255 addresses every CPU (SDM 3A, 11.6.2.1). */
#define XAPIC_MAX_ID 254

/*
 * From the config: counts of 0 are derived (all CPUs are cores of one socket
 * unless sockets, cores or threads are given). LKVM_ERR_INPUT when they do not multiply to n_vcpus
 * or the largest id is above XAPIC_MAX_ID and more bits are ruled out by the config.
 */
int cpu_topology_init(struct cpu_topology *topo, const struct lkvm_config *cfg,
		      struct lkvm_error *err);
u32 cpu_topology_apic_id(const struct cpu_topology *topo, unsigned int index);

/* What a table depends on besides what KVM offers. */
struct cpuid_params {
	struct cpu_topology topo;
	struct cpu_model model;
	bool tsc_deadline; /* KVM_CAP_TSC_DEADLINE_TIMER: KVM does not list the bit itself */
	bool nested;	   /* VMX or SVM is shown */
	bool mwait;	   /* LKVM_X86_NO_EXIT_MWAIT is on */
	bool aperfmperf;   /* LKVM_X86_NO_EXIT_APERFMPERF is on */
	bool ext_dest_id;  /* MSIs have 15-bit destinations */
	bool snp;	   /* memory is encrypted: the leaf on it is shown */
};

/* An empty table with room for CPUID_MAX_ENTRIES; free() it. NULL: no memory. */
struct kvm_cpuid2 *cpuid_alloc(void);

/* The first entry of the leaf, as KVM looks it up; NULL: none, and it reads as zero. */
const struct kvm_cpuid_entry2 *cpuid_find(const struct kvm_cpuid2 *table, u32 function, u32 index);
u32 *cpuid_reg(struct kvm_cpuid_entry2 *e, enum cpuid_reg reg);

enum cpuid_vendor cpuid_vendor(const struct kvm_cpuid2 *supported);

/* Bits of a physical address (0x80000008), 36 where KVM lists no such leaf (SDM 3A, 4.1.4). */
unsigned int cpuid_address_bits(const struct kvm_cpuid2 *supported);

/*
 * Build the table of vCPU @index into @out, which has room for CPUID_MAX_ENTRIES.
 * -ENOSPC (LKVM_ERR_HOST) when KVM offers more than fits; LKVM_ERR_UNSUPPORTED for nested
 * virtualization or a feature that was asked for and KVM does not offer; LKVM_ERR_INPUT for one
 * that no guest gets, or only with another option.
 */
int cpuid_build(const struct kvm_cpuid2 *supported, const struct cpuid_params *params,
		unsigned int index, struct kvm_cpuid2 *out, struct lkvm_error *err);

/* The same; @observer is told of each step, starting with what KVM offers ("KVM offers it"). */
int cpuid_explain(const struct kvm_cpuid2 *supported, const struct cpuid_params *params,
		  unsigned int index, struct kvm_cpuid2 *out, const struct cpuid_observer *observer,
		  struct lkvm_error *err);

#endif
