/*
 * snp_report.c - an SNP attestation report taken apart (SNP ABI, table 23).
 *
 * A report may come from anywhere, and its fields say what they like until its signature was
 * checked (snp_verify.c): they are copied and not believed.
 */
#include <errno.h>

#include "vmm/snp.h"

#define MIN_VERSION	      2
/* What is larger is no version, but some other file of the same size. */
#define MAX_PLAUSIBLE_VERSION 255

/* KEY_INFO at 0x48 */
#define AUTHOR_KEY_EN	  BIT(0)
#define MASK_CHIP_KEY	  BIT(1)
#define SIGNING_KEY(info) ((info) >> 2 & 7)

/* Zen 5; its TCB_VERSION has another order of bytes, with the FMC's first. */
#define FAMILY_TURIN 0x1a

static int bad_length(size_t len, struct lkvm_error *err)
{
	const unsigned int raw = LKVM_SNP_REPORT_LEN, framed = raw + SNP_REPORT_HEADER_LEN;

	if (len < raw)
		return err_input(err,
				 "truncated: has %zu bytes, an attestation report has %u, or %u "
				 "with its header",
				 len, raw, framed);
	return err_input(err,
			 "not an attestation report: has more than the %u bytes of one, or %u with "
			 "its header",
			 raw, framed);
}

static int check_header(const u8 *header, struct lkvm_error *err)
{
	u32 status = get_le32(header + SNP_REPORT_STATUS),
	    size = get_le32(header + SNP_REPORT_SIZE);

	if (status)
		return err_input(err,
				 "has no report: its header says that the firmware refused, %s "
				 "(0x%x)",
				 snp_firmware_code_name(status), status);
	if (size != LKVM_SNP_REPORT_LEN)
		return err_input(err,
				 "not an attestation report: its header says %u bytes; must be %d",
				 size, LKVM_SNP_REPORT_LEN);
	return 0;
}

const u8 *snp_report_find(const void *data, size_t len, struct lkvm_error *err)
{
	const u8 *p = data;
	u32 version;

	if (len == LKVM_SNP_REPORT_LEN + SNP_REPORT_HEADER_LEN) {
		if (check_header(p, err))
			return NULL;
		p += SNP_REPORT_HEADER_LEN;
	} else if (len != LKVM_SNP_REPORT_LEN) {
		bad_length(len, err);
		return NULL;
	}
	version = get_le32(p);
	if (version < MIN_VERSION || version > MAX_PLAUSIBLE_VERSION) {
		err_input(err, "not an attestation report: its version is %u; must be %d to %d",
			  version, MIN_VERSION, SNP_REPORT_MAX_VERSION);
		return NULL;
	}
	return p;
}

static struct lkvm_snp_tcb tcb_at(const u8 *p, bool has_fmc)
{
	struct lkvm_snp_tcb tcb = { .has_fmc = has_fmc, .raw = get_le64(p), .microcode = p[7] };

	if (has_fmc) {
		tcb.fmc = p[0];
		tcb.boot_loader = p[1];
		tcb.tee = p[2];
		tcb.snp = p[3];
	} else {
		tcb.boot_loader = p[0];
		tcb.tee = p[1];
		tcb.snp = p[6];
	}
	return tcb;
}

#define TAKE(field, off) memcpy(r->field, p + (off), sizeof(r->field))

static void take_identity(struct lkvm_snp_report *r, const u8 *p)
{
	u32 key_info = get_le32(p + 0x48);

	r->version = get_le32(p);
	r->guest_svn = get_le32(p + 0x04);
	r->policy = get_le64(p + 0x08);
	TAKE(family_id, 0x10);
	TAKE(image_id, 0x20);
	r->vmpl = get_le32(p + 0x30);
	r->signature_algo = get_le32(p + 0x34);
	r->platform_info = get_le64(p + 0x40);
	r->author_key_en = key_info & AUTHOR_KEY_EN;
	r->mask_chip_key = key_info & MASK_CHIP_KEY;
	r->signing_key = SIGNING_KEY(key_info);
	TAKE(report_data, 0x50);
	TAKE(measurement, 0x90);
	TAKE(host_data, 0xc0);
	TAKE(id_key_digest, 0xe0);
	TAKE(author_key_digest, 0x110);
	TAKE(report_id, 0x140);
	TAKE(report_id_ma, 0x160);
	TAKE(chip_id, 0x1a0);
	TAKE(signature_r, SNP_REPORT_SIGNED);
	TAKE(signature_s, SNP_REPORT_SIGNED + sizeof(r->signature_r));
}

static void take_versions(struct lkvm_snp_report *r, const u8 *p)
{
	bool has_fmc;

	r->has_cpuid = r->version >= 3;
	if (r->has_cpuid) {
		r->cpuid_family = p[0x188];
		r->cpuid_model = p[0x189];
		r->cpuid_stepping = p[0x18a];
	}
	/* one of version 2 does not say; the firmware of such CPUs never made any */
	has_fmc = r->cpuid_family >= FAMILY_TURIN;
	r->current_tcb = tcb_at(p + 0x38, has_fmc);
	r->reported_tcb = tcb_at(p + 0x180, has_fmc);
	r->committed_tcb = tcb_at(p + 0x1e0, has_fmc);
	r->launch_tcb = tcb_at(p + 0x1f0, has_fmc);
	r->current_build = p[0x1e8];
	r->current_minor = p[0x1e9];
	r->current_major = p[0x1ea];
	r->committed_build = p[0x1ec];
	r->committed_minor = p[0x1ed];
	r->committed_major = p[0x1ee];
	r->has_mit_vectors = r->version >= 5;
	if (r->has_mit_vectors) {
		r->launch_mit_vector = get_le64(p + 0x1f8);
		r->current_mit_vector = get_le64(p + 0x200);
	}
}

int lkvm_snp_report_decode(const void *data, size_t len, struct lkvm_snp_report *report,
			   struct lkvm_error *err)
{
	const u8 *p = snp_report_find(data, len, err);

	if (!p)
		return -EINVAL;
	memset(report, 0, sizeof(*report));
	take_identity(report, p);
	take_versions(report, p);
	return 0;
}
