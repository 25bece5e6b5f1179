/*
 * snp_report.c - the posted KVM_SEV_SNP_HV_REPORT_REQ, versions 4 and 7 of the series
 * (linux-uapi/unmerged_x86.h): which number, what is checked in which order, and what becomes of
 * report_len. From the text and code of the postings; no kernel had it to look at.
 */
#include <errno.h>
#include <stdlib.h>

#include "linux-uapi/unmerged_x86.h"
#include "tests/fakekvm/x86/x86.h"

#define HEADER_LEN  32	  /* MSG_REPORT_RSP, table 24 of the SNP ABI: status, size, reserved */
#define DEFAULT_LEN 0x4a0 /* ATTESTATION_REPORT, table 23 */
#define DEFAULT_VER 3

static struct x86_snp_host *host_of(struct fakekvm *fk)
{
	return &((struct x86_host *)fk->arch)->snp;
}

void fakekvm_snp_set_report_abi(struct fakekvm *fk, int version)
{
	if (version != 0 && version != 4 && version != 7)
		abort();
	host_of(fk)->report_abi = version;
}

void fakekvm_snp_set_report(struct fakekvm *fk, const void *report, size_t len)
{
	struct x86_snp_host *h = host_of(fk);

	if (!len || len > sizeof(h->report))
		abort();
	memcpy(h->report, report, len);
	h->report_len = (u32)len;
}

void fakekvm_snp_set_report_status(struct fakekvm *fk, u32 status)
{
	host_of(fk)->report_status = status;
}

static bool is_known(const struct x86_snp_host *h, u32 id)
{
	return (h->report_abi == 4 && id == KVM_SEV_SNP_HV_REPORT_REQ_V4) ||
	       (h->report_abi == 7 && id == KVM_SEV_SNP_HV_REPORT_REQ_V7);
}

/* Header first, so that a caller with too little room learns how much it takes. */
static int answer(const struct x86_snp_host *h, struct kvm_sev_snp_hv_report_req *rq)
{
	u32 len = h->report_len ? h->report_len : DEFAULT_LEN;
	u8 *to = (u8 *)(uintptr_t)rq->report_uaddr;
	u64 room = rq->report_len;

	memset(to, 0, HEADER_LEN);
	put_le32(to, h->report_status);
	put_le32(to + 4, len);
	if (h->report_status) {
		if (h->report_abi == 4)
			rq->report_len = HEADER_LEN + len;
		return 0;
	}
	rq->report_len = HEADER_LEN + len;
	if (room < HEADER_LEN + len)
		return -ENOSPC;
	if (h->report_len) {
		memcpy(to + HEADER_LEN, h->report, len);
	} else {
		memset(to + HEADER_LEN, 0, len);
		put_le32(to + HEADER_LEN, DEFAULT_VER);
	}
	return 0;
}

int x86_snp_hv_report(struct fake_call *c, struct kvm_sev_cmd *cmd)
{
	struct kvm_sev_snp_hv_report_req *rq =
		cmd->data < FAKE_PAGE ? NULL : (void *)(uintptr_t)cmd->data;
	const struct x86_snp_host *h = host_of(c->fk);

	if (!is_known(h, cmd->id))
		return -EINVAL;
	if (!rq)
		return -EFAULT;
	fake_note(c, " len %llu key %u", (unsigned long long)rq->report_len, rq->key_sel);
	if (rq->report_len < HEADER_LEN)
		return -ENOSPC;
	/* the second: where the firmware has no context of the guest; which errno is a guess */
	if (!rq->report_uaddr || !x86_vm(c->vm)->snp.started)
		return -EINVAL;
	return answer(h, rq);
}
