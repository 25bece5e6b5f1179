#include "arch/x86/snp_report.h"

#include <errno.h>

#include "linux-uapi/unmerged_x86.h"
#include "vmm/snp.h"

struct request {
	const struct kvm *kvm;
	int sev_fd;
	u32 id;
	u32 code; /* the firmware's; 0: it was not asked */
};

static int issue(struct request *rq, struct kvm_sev_snp_hv_report_req *arg)
{
	const struct kvm_backend *be = rq->kvm->be;
	struct kvm_sev_cmd cmd = {
		.id = rq->id,
		.data = (uintptr_t)arg,
		.sev_fd = (u32)rq->sev_fd,
	};
	int ret = be->ioctl(be->ctx, rq->kvm->vm_fd, KVM_MEMORY_ENCRYPT_OP, KVM_ARG(&cmd));

	rq->code = cmd.error;
	return ret < 0 ? ret : 0;
}

/* ---- which number ---------------------------------------------------------------------- */

/* An empty buffer is refused before anything else is done, and nothing else says ENOSPC to it. */
static int probe_v7(struct request *rq, struct lkvm_error *err)
{
	struct kvm_sev_snp_hv_report_req arg = { 0 };

	rq->id = KVM_SEV_SNP_HV_REPORT_REQ_V7;
	if (issue(rq, &arg) == -ENOSPC)
		return 0;
	return err_unsupported(err, EOPNOTSUPP,
			       "--snp-report: this host's KVM has no KVM_SEV_SNP_HV_REPORT_REQ; no "
			       "released Linux has, and one with version 4 of the series needs "
			       "--snp-report-abi=v4");
}

/*
 * Where the number may be ENABLE_REQ_CERTS it must not be given. Only ENXIO says that KVM knows the
 * group and has not the attribute that comes with it: any other answer is none.
 */
static int allow_v4(struct request *rq, struct lkvm_error *err)
{
	const struct kvm *kvm = rq->kvm;
	u64 unused = 0;
	int ret = kvm_get_attr(kvm, kvm->host->fd, KVM_X86_GRP_SEV, KVM_X86_SEV_SNP_REQ_CERTS,
			       &unused);

	rq->id = KVM_SEV_SNP_HV_REPORT_REQ_V4;
	if (ret == -ENXIO)
		return 0;
	if (!ret)
		return err_unsupported(err, EOPNOTSUPP,
				       "--snp-report-abi=v4: on this host its number, %u, means "
				       "KVM_SEV_SNP_ENABLE_REQ_CERTS and would change the guest; "
				       "it may have v7",
				       rq->id);
	return err_unsupported(
		err, EOPNOTSUPP,
		"--snp-report-abi=v4: this host's KVM does not say whether number %u "
		"is another command of its (%s)",
		rq->id, err_text(-ret));
}

static int choose(struct request *rq, enum lkvm_snp_report_abi abi, struct lkvm_error *err)
{
	if (abi == LKVM_SNP_REPORT_AUTO)
		return probe_v7(rq, err);
	if (abi == LKVM_SNP_REPORT_V4)
		return allow_v4(rq, err);
	rq->id = KVM_SEV_SNP_HV_REPORT_REQ_V7;
	return 0;
}

/* ---- the report ------------------------------------------------------------------------ */

static int failed(const struct request *rq, int ret, u64 wanted, size_t size,
		  struct lkvm_error *err)
{
	if (rq->code)
		return err_host(err, -ret,
				"--snp-report: KVM_SEV_SNP_HV_REPORT_REQ failed, the SEV "
				"firmware's code is %s (0x%x)",
				snp_firmware_code_name(rq->code), rq->code);
	if (ret == -EINVAL)
		return err_unsupported(err, EINVAL,
				       "--snp-report: this host's KVM does not take command %u, "
				       "KVM_SEV_SNP_HV_REPORT_REQ of version %d of the series",
				       rq->id, rq->id == KVM_SEV_SNP_HV_REPORT_REQ_V4 ? 4 : 7);
	if (ret == -ENOSPC)
		return err_host(err, ENOSPC,
				"--snp-report: KVM wants room for a report of %llu bytes, and "
				"there are %zu",
				(unsigned long long)wanted, size);
	return err_host(err, -ret, "--snp-report: KVM_SEV_SNP_HV_REPORT_REQ failed");
}

/* Of MSG_REPORT_RSP in @buf the report alone, which is what tools that read reports take. */
static int unpack(u8 *buf, size_t size, u64 said, size_t *len, struct lkvm_error *err)
{
	u32 status = get_le32(buf + SNP_REPORT_STATUS), report = get_le32(buf + SNP_REPORT_SIZE);

	if (status)
		return err_host(err, EIO,
				"--snp-report: the firmware gives no report, its status is %s "
				"(0x%x)",
				snp_firmware_code_name(status), status);
	if (!report || !range_fits(SNP_REPORT_HEADER_LEN, report, size) ||
	    said != SNP_REPORT_HEADER_LEN + (u64)report)
		return err_host(err, EPROTO,
				"--snp-report: KVM says %llu bytes, and the header of the report "
				"%u without itself",
				(unsigned long long)said, report);
	memmove(buf, buf + SNP_REPORT_HEADER_LEN, report);
	*len = report;
	return 0;
}

int snp_report_request(const struct kvm *kvm, int sev_fd, enum lkvm_snp_report_abi abi, void *buf,
		       size_t size, size_t *len, struct lkvm_error *err)
{
	struct kvm_sev_snp_hv_report_req arg = {
		.report_uaddr = (uintptr_t)buf,
		.report_len = size,
		.key_sel = KVM_SEV_SNP_KEY_AUTO,
	};
	struct request rq = { .kvm = kvm, .sev_fd = sev_fd };
	int ret;

	if (size < SNP_REPORT_HEADER_LEN)
		return err_host(err, ENOSPC, "--snp-report: room for %zu bytes", size);
	memset(buf, 0, size);
	ret = choose(&rq, abi, err);
	if (ret)
		return ret;
	ret = issue(&rq, &arg);
	return ret ? failed(&rq, ret, arg.report_len, size, err)
		   : unpack(buf, size, arg.report_len, len, err);
}
