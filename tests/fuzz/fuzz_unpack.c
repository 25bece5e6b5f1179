/*
 * Packed kernels against any file, and what was packed for real against what comes out.
 *
 * Beyond crashes it checks that there is a file of at most the limit or one message, and that
 * good files come out as they went in. Does not look at what a damaged file unpacks to.
 *
 * Input: byte 0 says what the rest is: a file (and bytes 1-3 the limit), or content to be packed
 * first.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/fuzz/check.h"
#include "tests/unit/mkpack.h"
#include "vmm/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_SIZE 4
#define MAX	  65536 /* of content; more shows nothing new */

enum { A_FILE, GZIP, ZBOOT_GZIP, ZBOOT_ZSTD, N_MODES };

static void set_file(struct image *img, const void *bytes, size_t len)
{
	if (img->fd < 0)
		img->fd = memfd_create("in", MFD_CLOEXEC);
	img->what = "kernel";
	img->path = "file";
	img->size = len;
	CHECK(img->fd >= 0);
	CHECK(!ftruncate(img->fd, 0));
	CHECK(pwrite(img->fd, bytes, len, 0) == (ssize_t)len);
}

static void check_any(const struct image *in, u64 limit)
{
	struct lkvm_error err = { 0 };
	struct image out;
	int ret = unpack_image(in, limit, &out, &err);

	CHECK((ret < 0) == !!err.msg[0]);
	CHECK(!strchr(err.msg, '\n'));
	CHECK((ret == 1) == (out.fd >= 0));
	if (ret < 0)
		CHECK(ret == -EINVAL && err.kind == LKVM_ERR_INPUT);
	if (ret != 1)
		return;
	CHECK(out.size && out.size <= limit);
	CHECK(lseek(out.fd, 0, SEEK_END) == (off_t)out.size);
	image_close(&out);
}

static size_t pack(unsigned int mode, const u8 *src, size_t len, u8 *file, size_t max)
{
	static u8 packed[2 * MAX];
	z_stream z = { 0 };
	size_t n;

	if (mode == ZBOOT_ZSTD) {
		n = ZSTD_compress(packed, sizeof(packed), src, len, 1);
		CHECK(!ZSTD_isError(n));
		return mk_zboot(file, "zstd22", packed, n);
	}
	CHECK(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	z.next_in = (u8 *)(uintptr_t)src;
	z.avail_in = (uInt)len;
	z.next_out = mode == GZIP ? file : packed;
	z.avail_out = (uInt)(mode == GZIP ? max : sizeof(packed));
	CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
	n = z.total_out;
	deflateEnd(&z);
	return mode == GZIP ? n : mk_zboot(file, "gzip", packed, n);
}

static void check_round_trip(const struct image *in, const u8 *content, size_t len)
{
	struct lkvm_error err = { 0 };
	static u8 got[MAX];
	struct image out;

	CHECK(unpack_image(in, len, &out, &err) == 1);
	CHECK(out.size == len);
	CHECK(!image_read(&out, 0, got, len, NULL));
	CHECK(!memcmp(got, content, len));
	image_close(&out);
	CHECK(unpack_image(in, len - 1, &out, &err) == -EINVAL);
	CHECK(strstr(err.msg, "unpacks to more"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image in = IMAGE_NONE;
	static u8 file[2 * MAX + 4096];
	unsigned int mode;

	if (size <= HEAD_SIZE)
		return 0;
	mode = data[0] % N_MODES;
	if (mode == A_FILE) {
		set_file(&in, data + HEAD_SIZE, size - HEAD_SIZE);
		check_any(&in, get_le32(data) >> 8);
		return 0;
	}
	data += HEAD_SIZE;
	size = min_u64(size - HEAD_SIZE, MAX);
	set_file(&in, file, pack(mode, data, size, file, sizeof(file)));
	check_round_trip(&in, data, size);
	return 0;
}
