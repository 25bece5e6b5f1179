/*
 * snp_cpuid.h - the page in which the firmware vouches for what CPUID says (SNP ABI 56860, "CPUID
 * reporting", 7.1): guests look their leaves up there and do not ask the hypervisor. Pure
 * functions.
 */
#ifndef LKVM_ARCH_X86_SNP_CPUID_H
#define LKVM_ARCH_X86_SNP_CPUID_H

#include "vmm/base.h"
#include "vmm/err.h"
#include "vmm/log.h"

#define SNP_CPUID_MAX 64

struct snp_cpuid_entry {
	u32 eax_in, ecx_in;
	u64 xcr0_in, xss_in;
	u32 eax, ebx, ecx, edx;
	u64 reserved;
};

struct snp_cpuid_page {
	u32 count;
	u32 reserved1;
	u64 reserved2;
	struct snp_cpuid_entry entries[SNP_CPUID_MAX];
};
_Static_assert(sizeof(struct snp_cpuid_page) == 16 + 48 * SNP_CPUID_MAX,
	       "as the firmware reads it");

struct kvm_cpuid2;

/*
 * @page for a vCPU with KVM's @table. Leaves that are all zero are left out: guests read those that
 * are missing as zero. LKVM_ERR_UNSUPPORTED when the others are too many.
 */
int snp_cpuid_fill(const struct kvm_cpuid2 *table, struct snp_cpuid_page *page,
		   struct lkvm_error *err);

/*
 * The firmware refused @asked and wrote @allowed in its place: a warning for each leaf that
 * differs. How many these are.
 */
unsigned int snp_cpuid_log_diff(const struct log *log, const struct snp_cpuid_page *asked,
				const struct snp_cpuid_page *allowed);

#endif
