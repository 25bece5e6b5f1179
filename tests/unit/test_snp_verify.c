/*
 * test_snp_verify.c - the signature of an SNP attestation report (T0).
 *
 * Key, certificates and reports are made up; they are files of tests/golden/snp, which tests run
 * beside. report.bin is mkreport()'s, and short.bin the same with another signature, whose R is
 * shorter than the curve's numbers and whose S has its highest bit set. The keys were thrown away:
 * for others, sign bytes 0 to 0x29f by 'openssl dgst -sha384 -sign' and put R and S behind them,
 * little endian, 72 bytes each; a certificate is made by 'openssl req -new -x509'.
 *
 * Does not prove that AMD's firmware signs like this, nor that libcrypto is right.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/faults.h"
#include "tests/unit/mkreport.h"
#include "vmm/snp.h"

#define GOLDEN "tests/golden/snp/"
#define VCEK   GOLDEN "vcek.pem"

static u8 good[LKVM_SNP_REPORT_LEN], report[LKVM_SNP_REPORT_LEN];
static char made[] = "/tmp/lkvm-pem-XXXXXX";

/* ---- a host without libcrypto ---------------------------------------------------------- */

static const char *instead; /* of libcrypto; NULL: as it is */

/* The library under test finds this one before the C library's. */
void *dlopen(const char *name, int flags);
void *dlopen(const char *name, int flags)
{
	void *(*real)(const char *, int) = NULL;
	void *sym = dlsym(RTLD_NEXT, "dlopen");

	memcpy(&real, &sym, sizeof(real));
	return real(instead && name && strstr(name, "libcrypto") ? instead : name, flags);
}

/* ---- helpers --------------------------------------------------------------------------- */

static void read_file(const char *path, void *buf, size_t len)
{
	FILE *f = fopen(path, "r");

	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(fread(buf, 1, len, f), len);
	fclose(f);
}

static int make(void **state)
{
	(void)state;
	instead = NULL;
	read_file(GOLDEN "report.bin", good, sizeof(good));
	memcpy(report, good, sizeof(good));
	return 0;
}

static void need_libcrypto(void)
{
	void *lib = dlopen("libcrypto.so.3", RTLD_NOW);

	if (!lib)
		skip();
	dlclose(lib);
}

static const char *pem_file(const void *bytes, size_t len)
{
	int fd;

	snprintf(made, sizeof(made), "/tmp/lkvm-pem-XXXXXX");
	fd = mkstemp(made);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	return made;
}

static void signed_by(const void *data, size_t len, const char *vcek)
{
	struct lkvm_error err = { 0 };

	need_libcrypto();
	if (lkvm_snp_report_verify(data, len, vcek, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(err.kind, LKVM_ERR_NONE);
}

static void refused_as(enum lkvm_error_kind kind, const char *vcek, const char *why)
{
	struct lkvm_error err = { 0 };

	if (!lkvm_snp_report_verify(report, sizeof(report), vcek, &err))
		fail_msg("accepted, wanted: %s", why);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" is not in \"%s\"", why, err.msg);
	assert_int_equal(err.kind, kind);
}

static void refused(const char *vcek, const char *why)
{
	need_libcrypto();
	refused_as(LKVM_ERR_INPUT, vcek, why);
}

/* ---- signatures ------------------------------------------------------------------------ */

static void a_signature_is_found_good(void **state)
{
	u8 framed[LKVM_SNP_REPORT_LEN + MKREPORT_HEADER];

	(void)state;
	signed_by(report, sizeof(report), VCEK);
	mkreport_framed(framed);
	memcpy(framed + MKREPORT_HEADER, good, sizeof(good));
	signed_by(framed, sizeof(framed), VCEK);
}

static void numbers_of_any_length_are_taken(void **state)
{
	(void)state;
	read_file(GOLDEN "short.bin", report, sizeof(report));
	assert_int_equal(report[0x2a0 + 47], 0);
	assert_false(report[0x2a0 + 46] & 0x80);
	assert_true(report[0x2e8 + 47] & 0x80);
	signed_by(report, sizeof(report), VCEK);
}

/*
 * All that is signed, a bit of each byte. Without the version, most of whose changes are refused
 * before, and SIGNATURE_ALGO, which has a sentence of its own.
 */
static void a_change_anywhere_is_found(void **state)
{
	(void)state;
	for (size_t i = 4; i < SNP_REPORT_SIGNED; i++) {
		if (i >= 0x34 && i < 0x38)
			continue;
		memcpy(report, good, sizeof(good));
		report[i] ^= (u8)(1 << i % 8);
		refused(VCEK, "the report is not signed by");
	}
	memcpy(report, good, sizeof(good));
	put_le32(report, 2);
	refused(VCEK, "the report is not signed by");
}

static void so_is_one_of_the_signature(void **state)
{
	(void)state;
	for (size_t i = 0; i < 144; i++) {
		memcpy(report, good, sizeof(good));
		report[SNP_REPORT_SIGNED + i] ^= (u8)(1 << i % 8);
		refused(VCEK, i % 72 < 48 ? "the report is not signed by" : "is none of P-384");
	}
}

static void what_follows_the_signature_is_not_looked_at(void **state)
{
	(void)state;
	report[LKVM_SNP_REPORT_LEN - 1] = 1;
	signed_by(report, sizeof(report), VCEK);
}

static void numbers_out_of_range_are_no_signature(void **state)
{
	(void)state;
	memset(report + SNP_REPORT_SIGNED, 0, 72); /* r = 0, s as it was */
	refused(VCEK, "the report is not signed by");
	memset(report + SNP_REPORT_SIGNED, 0xff, 48);
	refused(VCEK, "the report is not signed by");
}

static void a_report_may_be_unsigned(void **state)
{
	(void)state;
	memset(report + SNP_REPORT_SIGNED, 0, 512);
	refused(VCEK, "not signed: its signature is empty");
	put_le32(report + 0x48, 1 << 1);
	refused(VCEK, "not signed: the platform masks chip keys (MASK_CHIP_KEY)");
	memcpy(report, good, sizeof(good));
	put_le32(report + 0x48, 7 << 2);
	refused(VCEK, "the report is not signed: ");
}

static void another_algorithm_is_not_guessed_at(void **state)
{
	(void)state;
	put_le32(report + 0x34, 2);
	refused(VCEK, "SIGNATURE_ALGO is 2; must be 1, ECDSA P-384");
}

static void what_is_no_report_has_no_signature(void **state)
{
	struct lkvm_error err = { 0 };

	(void)state;
	assert_int_equal(lkvm_snp_report_verify(report, 100, VCEK, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(err.msg, "truncated: has 100 bytes"));
}

/* ---- certificates ---------------------------------------------------------------------- */

static void another_key_did_not_sign_it(void **state)
{
	(void)state;
	refused(GOLDEN "other.pem", "the report is not signed by the key of certificate");
}

static void a_key_of_another_curve_is_refused(void **state)
{
	(void)state;
	refused(GOLDEN "p256.pem", "its key is not for ECDSA on the curve P-384");
}

static void files_that_are_no_certificate_are_refused(void **state)
{
	static const char key[] = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
	static const u8 der[] = { 0x30, 0x82, 0x05, 0x00, 0x02 };
	static const char *const none = ": is no X.509 certificate in PEM form";
	static u8 large[64 * KIB + 1];

	(void)state;
	refused("/does/not/exist", "Unable to open certificate /does/not/exist (No such file");
	refused("", "the name of a file is needed");
	refused("/tmp", "certificate /tmp is a directory");
	refused(GOLDEN "report.bin", none);
	refused(pem_file("", 0), "is empty");
	unlink(made);
	refused(pem_file(key, sizeof(key) - 1), none);
	unlink(made);
	refused(pem_file(der, sizeof(der)), "'openssl x509 -inform der' converts it");
	unlink(made);
	refused(pem_file(large, sizeof(large)), "has 65537 bytes; at most 65536 are read");
	unlink(made);
}

/* libcrypto would ask at the terminal, and without one on standard input, and wait. */
static void no_passphrase_is_asked_for(void **state)
{
	static const char encrypted[] = "-----BEGIN CERTIFICATE-----\n"
					"Proc-Type: 4,ENCRYPTED\n"
					"DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
					"AAAAAAAAAAAAAAAAAAAAAA==\n"
					"-----END CERTIFICATE-----\n";
	int pipes[2], saved = dup(STDIN_FILENO), left = -1;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "secret\n", 7), 7);
	assert_int_equal(dup2(pipes[0], STDIN_FILENO), STDIN_FILENO);
	refused(pem_file(encrypted, sizeof(encrypted) - 1),
		": is no X.509 certificate in PEM form");
	unlink(made);
	assert_int_equal(ioctl(STDIN_FILENO, FIONREAD, &left), 0);
	assert_int_equal(left, 7);
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
	close(pipes[0]);
	close(pipes[1]);
}

static void a_cut_certificate_is_none(void **state)
{
	char pem[2048];
	FILE *f = fopen(VCEK, "r");
	size_t len;

	(void)state;
	assert_non_null(f);
	len = fread(pem, 1, sizeof(pem), f);
	fclose(f);
	assert_in_range(len, 100, sizeof(pem) - 1);
	for (size_t cut = 1; cut < len - 30; cut += 13) {
		refused(pem_file(pem, cut), ": is no X.509 certificate in PEM form");
		unlink(made);
	}
}

/* ---- the host -------------------------------------------------------------------------- */

static void a_host_without_libcrypto_cannot_check(void **state)
{
	(void)state;
	instead = "libdoes-not-exist.so.3";
	refused_as(LKVM_ERR_UNSUPPORTED, VCEK, "takes libcrypto.so.3 of OpenSSL 3");
	instead = "libc.so.6";
	refused_as(LKVM_ERR_UNSUPPORTED, VCEK,
		   "libcrypto.so.3 is not OpenSSL 3's: it has no BIO_new_mem_buf");
}

static void trouble_of_the_host_is_not_the_reports(void **state)
{
	unsigned int n_failed = 0;

	(void)state;
	need_libcrypto();
	for (unsigned long nth = 1;; nth++) {
		struct lkvm_error err = { 0 };
		int ret;

		faults_arm(FAULTS_MEMORY | FAULTS_FD | FAULTS_READ, nth);
		ret = lkvm_snp_report_verify(report, sizeof(report), VCEK, &err);
		if (!faults_hit()) {
			faults_disarm();
			assert_int_equal(ret, 0);
			break;
		}
		faults_disarm();
		n_failed++;
		assert_true(ret < 0);
		assert_int_equal(err.kind, LKVM_ERR_HOST);
	}
	assert_true(n_failed >= 3);
}

#define TEST(fn) cmocka_unit_test_setup(fn, make)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_signature_is_found_good),
		TEST(numbers_of_any_length_are_taken),
		TEST(a_change_anywhere_is_found),
		TEST(so_is_one_of_the_signature),
		TEST(what_follows_the_signature_is_not_looked_at),
		TEST(numbers_out_of_range_are_no_signature),
		TEST(a_report_may_be_unsigned),
		TEST(another_algorithm_is_not_guessed_at),
		TEST(what_is_no_report_has_no_signature),
		TEST(another_key_did_not_sign_it),
		TEST(a_key_of_another_curve_is_refused),
		TEST(files_that_are_no_certificate_are_refused),
		TEST(no_passphrase_is_asked_for),
		TEST(a_cut_certificate_is_none),
		TEST(a_host_without_libcrypto_cannot_check),
		TEST(trouble_of_the_host_is_not_the_reports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
