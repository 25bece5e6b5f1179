/*
 * KVM's binary statistics against any bytes in place of what KVM says.
 *
 * Beyond crashes it checks that there are statistics with names that can be printed, or one
 * message. Does not look at whether the figures are those that the bytes mean.
 *
 * Input: what a statistics descriptor holds.
 */
#include <ctype.h>
#include <errno.h>

#include "linux-uapi/kvm.h"
#include "tests/fuzz/check.h"
#include "vmm/stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STATS_FD 3

struct file {
	const uint8_t *data;
	size_t size;
};

static int file_ioctl(void *ctx, int fd, unsigned long req, unsigned long arg)
{
	(void)ctx;
	(void)fd;
	if (req == KVM_CHECK_EXTENSION)
		return arg == KVM_CAP_BINARY_STATS_FD;
	CHECK(req == KVM_GET_STATS_FD);
	return STATS_FD;
}

static ssize_t file_pread(void *ctx, int fd, void *buf, size_t len, u64 off)
{
	const struct file *f = ctx;

	CHECK(fd == STATS_FD);
	if (off >= f->size)
		return 0;
	len = min_u64(len, f->size - off);
	memcpy(buf, f->data + off, len);
	return (ssize_t)len;
}

static void file_close(void *ctx, int fd)
{
	(void)ctx;
	CHECK(fd == STATS_FD);
}

static void check_stats(struct stats *stats)
{
	static struct lkvm_stat out[STATS_MAX];
	int n = stats_read(stats, out, STATS_MAX);

	CHECK(n == -EPROTO || (n >= 0 && n <= STATS_MAX));
	CHECK(n < 0 || n == stats_read(stats, NULL, 0));
	for (int i = 0; i < n; i++) {
		size_t len = strnlen(out[i].name, sizeof(out[i].name));

		CHECK(len && len < sizeof(out[i].name));
		for (size_t c = 0; c < len; c++)
			CHECK(isgraph((unsigned char)out[i].name[c]));
		CHECK(out[i].type <= LKVM_STAT_LOG_HISTOGRAM && out[i].unit <= LKVM_STAT_BOOLEAN);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file file = { data, size };
	const struct kvm_backend be = {
		.ioctl = file_ioctl,
		.pread = file_pread,
		.close = file_close,
		.ctx = &file,
	};
	const struct kvm kvm = { .be = &be, .vm_fd = 2 };
	struct lkvm_error err = { 0 };
	struct stats *stats;
	int ret = stats_open(&stats, &kvm, kvm.vm_fd, &err);

	CHECK((ret < 0) == !!err.msg[0]);
	CHECK((ret < 0) == !stats);
	if (ret)
		CHECK(ret == -EPROTO && err.kind == LKVM_ERR_HOST);
	else
		check_stats(stats);
	stats_close(stats);
	return 0;
}
