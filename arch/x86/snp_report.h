/*
 * snp_report.h - an attestation report asked for from the hypervisor's side (x86-64):
 * KVM_SEV_SNP_HV_REPORT_REQ of the posted series (linux-uapi/unmerged_x86.h).
 */
#ifndef LKVM_ARCH_X86_SNP_REPORT_H
#define LKVM_ARCH_X86_SNP_REPORT_H

#include "vmm/kvm.h"

/*
 * The raw report of the VM, which is after LAUNCH_START, at @buf; *@len is its length. @buf has
 * @size bytes, and is to have room for a header of 32 bytes as well. @sev_fd is /dev/sev. Which
 * number is asked by @abi: AUTO probes version 7's, which changes nothing; version 4's is refused
 * where the host has KVM_X86_GRP_SEV's certificates attribute, or does not say so, for then it may
 * mean something else. LKVM_ERR_UNSUPPORTED where the host has none; firmware errors by name.
 */
int snp_report_request(const struct kvm *kvm, int sev_fd, enum lkvm_snp_report_abi abi, void *buf,
		       size_t size, size_t *len, struct lkvm_error *err);

#endif
