/*
 * test_snp_report.c - SNP attestation reports taken apart, and the names of policy bits and of
 * firmware codes (T0).
 *
 * Does not prove that a firmware lays out its reports like this: the one here is made up from the
 * specification, and none of real hardware was at hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/mkreport.h"
#include "vmm/snp.h"

#define FRAMED_LEN (LKVM_SNP_REPORT_LEN + MKREPORT_HEADER)

static u8 raw[LKVM_SNP_REPORT_LEN], framed[FRAMED_LEN];
static struct lkvm_snp_report report;

static int make(void **state)
{
	(void)state;
	mkreport(raw);
	mkreport_framed(framed);
	memset(&report, 0xee, sizeof(report));
	return 0;
}

static void decode(const void *data, size_t len)
{
	struct lkvm_error err = { 0 };

	if (lkvm_snp_report_decode(data, len, &report, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(err.kind, LKVM_ERR_NONE);
}

/* From bytes of exactly this length, so that a sanitizer sees what reads behind them. */
static void refused(const void *data, size_t len, const char *why)
{
	struct lkvm_error err = { 0 };
	u8 *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, data, len);
	assert_int_equal(lkvm_snp_report_decode(copy, len, &report, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" is not in \"%s\"", why, err.msg);
	free(copy);
}

static void every_field_is_where_the_specification_has_it(void **state)
{
	const struct lkvm_snp_report *r = &report;

	(void)state;
	raw[0x2a0] = 0x11;
	raw[0x2a0 + 71] = 0x12;
	raw[0x2e8] = 0x13;
	raw[0x2e8 + 71] = 0x14;
	decode(raw, sizeof(raw));
	assert_int_equal(r->version, 3);
	assert_int_equal(r->guest_svn, 9);
	assert_int_equal(r->policy, 0x1f0133);
	assert_memory_equal(r->family_id, raw + 0x10, 16);
	assert_memory_equal(r->image_id, raw + 0x20, 16);
	assert_int_equal(r->vmpl, UINT32_MAX);
	assert_int_equal(r->signature_algo, 1);
	assert_int_equal(r->platform_info, 0x25);
	assert_memory_equal(r->report_data, raw + 0x50, 64);
	assert_memory_equal(r->measurement, raw + 0x90, 48);
	assert_memory_equal(r->host_data, raw + 0xc0, 32);
	assert_memory_equal(r->id_key_digest, raw + 0xe0, 48);
	assert_memory_equal(r->author_key_digest, raw + 0x110, 48);
	assert_memory_equal(r->report_id, raw + 0x140, 32);
	assert_memory_equal(r->report_id_ma, raw + 0x160, 32);
	assert_memory_equal(r->chip_id, raw + 0x1a0, 64);
	assert_true(r->has_cpuid);
	assert_int_equal(r->cpuid_family, 0x19);
	assert_int_equal(r->cpuid_model, 0x11);
	assert_int_equal(r->cpuid_stepping, 2);
	assert_int_equal(r->current_build, 31);
	assert_int_equal(r->current_minor, 55);
	assert_int_equal(r->current_major, 1);
	assert_int_equal(r->committed_build, 30);
	assert_int_equal(r->committed_minor, 54);
	assert_int_equal(r->committed_major, 1);
	assert_int_equal(r->signature_r[0], 0x11);
	assert_int_equal(r->signature_r[71], 0x12);
	assert_int_equal(r->signature_s[0], 0x13);
	assert_int_equal(r->signature_s[71], 0x14);
}

static void key_info_is_three_things(void **state)
{
	(void)state;
	decode(raw, sizeof(raw));
	assert_true(report.author_key_en);
	assert_false(report.mask_chip_key);
	assert_int_equal(report.signing_key, 0);
	put_le32(raw + 0x48, 1 << 1 | 1 << 2);
	decode(raw, sizeof(raw));
	assert_false(report.author_key_en);
	assert_true(report.mask_chip_key);
	assert_int_equal(report.signing_key, 1);
	put_le32(raw + 0x48, 0xffffffff);
	decode(raw, sizeof(raw));
	assert_int_equal(report.signing_key, 7);
}

static void assert_tcb(const struct lkvm_snp_tcb *t, int fmc, int boot_loader, int tee, int snp,
		       int microcode)
{
	assert_int_equal(t->has_fmc, fmc >= 0);
	assert_int_equal(t->fmc, fmc < 0 ? 0 : fmc);
	assert_int_equal(t->boot_loader, boot_loader);
	assert_int_equal(t->tee, tee);
	assert_int_equal(t->snp, snp);
	assert_int_equal(t->microcode, microcode);
}

static void tcb_versions_are_taken_apart(void **state)
{
	(void)state;
	decode(raw, sizeof(raw));
	assert_int_equal(report.current_tcb.raw, 0x4815000000000401);
	assert_tcb(&report.current_tcb, -1, 1, 4, 0x15, 0x48);
	assert_tcb(&report.reported_tcb, -1, 2, 3, 0x14, 0x47);
	assert_tcb(&report.committed_tcb, -1, 3, 2, 0x13, 0x46);
	assert_tcb(&report.launch_tcb, -1, 4, 1, 0x12, 0x45);
}

static void turin_has_another_order_of_them(void **state)
{
	(void)state;
	raw[0x188] = 0x1a;
	put_le64(raw + 0x38, 0x4800000005040302);
	decode(raw, sizeof(raw));
	assert_tcb(&report.current_tcb, 2, 3, 4, 5, 0x48);
	assert_tcb(&report.launch_tcb, 4, 1, 0, 0, 0x45);
}

static void version_2_does_not_name_its_cpu(void **state)
{
	(void)state;
	put_le32(raw, 2);
	raw[0x188] = 0x1a; /* reserved there */
	decode(raw, sizeof(raw));
	assert_false(report.has_cpuid);
	assert_int_equal(report.cpuid_family, 0);
	assert_tcb(&report.current_tcb, -1, 1, 4, 0x15, 0x48);
}

static void mitigations_come_with_version_5(void **state)
{
	(void)state;
	put_le64(raw + 0x1f8, 0x11);
	put_le64(raw + 0x200, 0x22);
	put_le32(raw, 4);
	decode(raw, sizeof(raw));
	assert_false(report.has_mit_vectors);
	assert_int_equal(report.launch_mit_vector, 0);
	put_le32(raw, 5);
	decode(raw, sizeof(raw));
	assert_true(report.has_mit_vectors);
	assert_int_equal(report.launch_mit_vector, 0x11);
	assert_int_equal(report.current_mit_vector, 0x22);
}

static void later_versions_are_read_as_far_as_known(void **state)
{
	(void)state;
	put_le32(raw, 6);
	decode(raw, sizeof(raw));
	assert_int_equal(report.version, 6);
	assert_true(report.has_cpuid && report.has_mit_vectors);
	assert_memory_equal(report.measurement, raw + 0x90, 48);
}

static void a_report_may_be_behind_its_header(void **state)
{
	struct lkvm_snp_report plain;

	(void)state;
	decode(raw, sizeof(raw));
	plain = report;
	decode(framed, sizeof(framed));
	assert_memory_equal(&report, &plain, sizeof(plain));
}

static void other_lengths_are_refused(void **state)
{
	static u8 long_one[FRAMED_LEN + 64];

	(void)state;
	mkreport(long_one);
	for (size_t len = 0; len <= sizeof(long_one); len++) {
		if (len < LKVM_SNP_REPORT_LEN)
			refused(long_one, len, "truncated: has ");
		else if (len != LKVM_SNP_REPORT_LEN && len != FRAMED_LEN)
			refused(long_one, len, "has more than the 1184 bytes of one, or 1216");
	}
	refused(long_one, 100, "has 100 bytes, an attestation report has 1184, or 1216 with its");
}

static void what_has_no_version_is_no_report(void **state)
{
	static const u32 versions[] = { 0, 1, 256, 0x464c457f, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		put_le32(raw, versions[i]);
		refused(raw, sizeof(raw), "not an attestation report: its version is ");
	}
}

static void headers_that_bring_no_report_are_refused(void **state)
{
	(void)state;
	put_le32(framed, 0x16);
	refused(framed, sizeof(framed), "the firmware refused, INVALID_PARAM (0x16)");
	put_le32(framed, 0);
	put_le32(framed + 4, LKVM_SNP_REPORT_LEN - 1);
	refused(framed, sizeof(framed), "its header says 1183 bytes; must be 1184");
}

static void policy_bits_have_names(void **state)
{
	(void)state;
	assert_string_equal(lkvm_snp_policy_bit(16), "SMT");
	assert_string_equal(lkvm_snp_policy_bit(18), "MIGRATE_MA");
	assert_string_equal(lkvm_snp_policy_bit(19), "DEBUG");
	assert_string_equal(lkvm_snp_policy_bit(20), "SINGLE_SOCKET");
	assert_string_equal(lkvm_snp_policy_bit(25), "PAGE_SWAP_DISABLE");
	assert_null(lkvm_snp_policy_bit(0));
	assert_null(lkvm_snp_policy_bit(17));
	assert_null(lkvm_snp_policy_bit(26));
	assert_null(lkvm_snp_policy_bit(64));
	assert_null(lkvm_snp_policy_bit(UINT32_MAX));
}

static void firmware_codes_have_names(void **state)
{
	(void)state;
	assert_string_equal(snp_firmware_code_name(0), "SUCCESS");
	assert_string_equal(snp_firmware_code_name(7), "POLICY_FAILURE");
	assert_string_equal(snp_firmware_code_name(0x16), "INVALID_PARAM");
	assert_string_equal(snp_firmware_code_name(0x27), "INVALID_KEY");
	assert_string_equal(snp_firmware_code_name(0x3f), "RESPONSE_TOO_LARGE");
	assert_string_equal(snp_firmware_code_name(UINT32_MAX), "NO_FW_CALL");
	assert_string_equal(snp_firmware_code_name(0x1e), "unknown code"); /* a gap in the table */
	assert_string_equal(snp_firmware_code_name(0x40), "unknown code");
	assert_string_equal(snp_firmware_code_name(UINT32_MAX - 1), "unknown code");
}

#define TEST(fn) cmocka_unit_test_setup(fn, make)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_field_is_where_the_specification_has_it),
		TEST(key_info_is_three_things),
		TEST(tcb_versions_are_taken_apart),
		TEST(turin_has_another_order_of_them),
		TEST(version_2_does_not_name_its_cpu),
		TEST(mitigations_come_with_version_5),
		TEST(later_versions_are_read_as_far_as_known),
		TEST(a_report_may_be_behind_its_header),
		TEST(other_lengths_are_refused),
		TEST(what_has_no_version_is_no_report),
		TEST(headers_that_bring_no_report_are_refused),
		TEST(policy_bits_have_names),
		TEST(firmware_codes_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
