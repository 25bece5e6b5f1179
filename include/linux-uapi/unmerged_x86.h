/*
 * linux-uapi/unmerged_x86.h - what no released kernel has: x86 (layer 0).
 *
 * The rules of linux-uapi/unmerged.h apply.
 */
#ifndef LKVM_LINUX_UAPI_UNMERGED_X86_H
#define LKVM_LINUX_UAPI_UNMERGED_X86_H

#include "linux-uapi/x86.h"

/*
 * An attestation report asked for by the hypervisor, after LAUNCH_START: a kvm_sev_cmd.id.
 * Version 4 (January 2026) has the number that is KVM_SEV_SNP_ENABLE_REQ_CERTS from Linux 7.0 on,
 * which changes the VM: it is not a thing to probe. Version 7 (March 2026) has the next one, which
 * Linux 7.2 refuses with EINVAL; with a report_len of 0 it says ENOSPC and does nothing.
 *
 * ENOTTY: no SNP guest; EFAULT: bad pointer; EINVAL: no such command, or report_uaddr is 0; ENOSPC:
 * report_len is less than the header (and stays), or than header and report (and becomes that).
 * 0 also comes with a status in the header that is not, and with no report then: report_len is
 * that of a report in version 4, and untouched in version 7.
 */
#define KVM_SEV_SNP_HV_REPORT_REQ_V4 103
#define KVM_SEV_SNP_HV_REPORT_REQ_V7 104

#define KVM_SEV_SNP_KEY_AUTO 0 /* the VLEK if one is installed, else the VCEK */
#define KVM_SEV_SNP_KEY_VCEK 1
#define KVM_SEV_SNP_KEY_VLEK 2

struct kvm_sev_snp_hv_report_req {
	u64 report_uaddr; /* gets MSG_REPORT_RSP: a header of 32 bytes, then the report */
	u64 report_len;	  /* in: bytes there; out: bytes of header and report */
	u8 key_sel;
	u8 pad0[7];
	u64 pad1[4];
};
KVM_ABI_SIZE(kvm_sev_snp_hv_report_req, 56);
KVM_ABI_AT(kvm_sev_snp_hv_report_req, report_len, 8);
KVM_ABI_AT(kvm_sev_snp_hv_report_req, key_sel, 16);
KVM_ABI_AT(kvm_sev_snp_hv_report_req, pad1, 24);

#endif
