/*
 * SNP attestation reports: taking apart and verifying any bytes.
 *
 * Beyond crashes it checks that there is a report or one message, that what was decoded is what the
 * bytes say, and that verifying refuses what decoding refuses. Whether a signature is good is
 * libcrypto's to say; where there is none, that is an error of its own kind.
 *
 * Input: a report; what goes beyond LKVM_SNP_REPORT_LEN bytes is a certificate in PEM form, and
 * without any it is also taken for a whole file.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/check.h"
#include "vmm/snp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool check_decode(const uint8_t *data, size_t size)
{
	struct lkvm_error err = { 0 };
	struct lkvm_snp_report r;
	const u8 *p = snp_report_find(data, size, NULL);
	int ret = lkvm_snp_report_decode(data, size, &r, &err);

	CHECK(ret == (p ? 0 : -EINVAL));
	CHECK(!ret == !err.msg[0]);
	CHECK(err.kind == (ret ? LKVM_ERR_INPUT : LKVM_ERR_NONE));
	if (ret)
		return false;
	CHECK(p >= data && p + LKVM_SNP_REPORT_LEN <= data + size);
	CHECK(r.version >= 2 && r.signing_key < 8);
	CHECK(!memcmp(r.measurement, p + 0x90, sizeof(r.measurement)));
	CHECK(r.has_cpuid || !r.current_tcb.has_fmc);
	return true;
}

static void check_verify(const uint8_t *data, size_t size, bool is_report, const char *vcek)
{
	struct lkvm_error err = { 0 };
	int ret = lkvm_snp_report_verify(data, size, vcek, &err);

	CHECK(ret <= 0 && !ret == !err.msg[0]);
	CHECK(is_report || (ret == -EINVAL && err.kind == LKVM_ERR_INPUT));
	CHECK(err.kind != LKVM_ERR_HOST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t len = LKVM_SNP_REPORT_LEN;
	char vcek[64];
	int fd;

	if (size <= len) {
		check_verify(data, size, check_decode(data, size), "/dev/null");
		return 0;
	}
	check_decode(data, size);
	fd = memfd_create("vcek", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, data + len, size - len) == (ssize_t)(size - len));
	snprintf(vcek, sizeof(vcek), "/proc/self/fd/%d", fd);
	check_verify(data, len, check_decode(data, len), vcek);
	close(fd);
	return 0;
}
