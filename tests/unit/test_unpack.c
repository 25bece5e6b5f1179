/*
 * Packed kernels: what is found to be packed, what comes out of it, what is refused.
 *
 * Does not prove that zlib and libzstd are right, nor that a real zboot file is as its header's
 * source has it: the ones here are made by hand.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <cmocka.h>

#include "tests/faults.h"
#include "tests/unit/mkkernel.h"
#include "tests/unit/mkpack.h"
#include "vmm/unpack.h"

#define CONTENT_LEN 200000 /* more than what is moved at a time, in more than one zstd block */
#define FILE_MAX    (2 * CONTENT_LEN)

struct bed {
	u8 content[CONTENT_LEN];
	u8 packed[FILE_MAX];
	u8 file[FILE_MAX];
	struct image in, out;
	struct lkvm_error err;
};

static int bed_setup(void **state)
{
	static struct bed bed;

	bed = (struct bed){ .in = IMAGE_NONE, .out = IMAGE_NONE };
	for (u32 i = 0, v = 1; i < CONTENT_LEN; i++, v = v * 1664525 + 1013904223)
		bed.content[i] = v >> 24 & 15;
	*state = &bed;
	return 0;
}

static int bed_teardown(void **state)
{
	struct bed *bed = *state;

	image_close(&bed->in);
	image_close(&bed->out);
	return 0;
}

static int unpack(struct bed *bed, const u8 *file, size_t len, u64 limit)
{
	image_close(&bed->out);
	mk_image(&bed->in, "kernel", "k.z", file, len);
	bed->err = (struct lkvm_error){ 0 };
	return unpack_image(&bed->in, limit, &bed->out, &bed->err);
}

static void assert_unpacks(struct bed *bed, const u8 *file, size_t len, size_t want)
{
	static u8 got[2 * CONTENT_LEN];

	if (unpack(bed, file, len, 2 * CONTENT_LEN) != 1)
		fail_msg("%s", bed->err.msg);
	assert_string_equal(bed->err.msg, "");
	assert_string_equal(bed->out.what, "kernel");
	assert_string_equal(bed->out.path, "k.z");
	assert_int_equal(bed->out.size, want);
	assert_int_equal(image_read(&bed->out, 0, got, want, &bed->err), 0);
	for (size_t off = 0; off < want; off += CONTENT_LEN)
		assert_memory_equal(got + off, bed->content, min_u64(want - off, CONTENT_LEN));
}

static void assert_refused(struct bed *bed, const u8 *file, size_t len, u64 limit, const char *msg)
{
	assert_int_equal(unpack(bed, file, len, limit), -EINVAL);
	assert_int_equal(bed->err.kind, LKVM_ERR_INPUT);
	assert_string_equal(bed->err.msg, msg);
	assert_int_equal(bed->out.fd, -1);
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The content compressed for real. */
static size_t real_gzip(struct bed *bed)
{
	z_stream z = { .next_in = bed->content,
		       .avail_in = CONTENT_LEN,
		       .next_out = bed->file,
		       .avail_out = FILE_MAX };

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(deflateEnd(&z), Z_OK);
	return z.total_out;
}

static size_t real_zstd(struct bed *bed, int level)
{
	size_t n = ZSTD_compress(bed->packed, FILE_MAX, bed->content, CONTENT_LEN, level);

	assert_false(ZSTD_isError(n));
	return n;
}

/* ---- what is packed ---- */

static void other_files_are_not_packed(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} files[] = {
		{ "\x1f", 1 },
		{ "\x1f\x8b", 2 },
		{ "\x1f\x8b\x09 not deflate", 15 },
		{ "MZ\0\0zim", 7 },
		{ "MZ\0\0zimG", 8 },
		{ "XZ\0\0zimg", 8 },
		{ "\x28\xb5\x2f\xfd zstd alone", 16 },
		{ "\177ELF", 4 },
	};
	struct bed *bed = *state;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		assert_int_equal(unpack(bed, (const u8 *)files[i].bytes, files[i].len, MIB), 0);
		assert_string_equal(bed->err.msg, "");
		assert_int_equal(bed->out.fd, -1);
	}
}

static void gzip_is_unpacked(void **state)
{
	struct bed *bed = *state;

	assert_unpacks(bed, bed->file, mk_gzip(bed->file, bed->content, CONTENT_LEN), CONTENT_LEN);
	assert_unpacks(bed, bed->file, mk_gzip(bed->file, bed->content, 1), 1);
	assert_unpacks(bed, bed->file, real_gzip(bed), CONTENT_LEN);
}

static void gzip_may_name_its_file(void **state)
{
	struct bed *bed = *state;
	size_t len = mk_gzip(bed->packed, bed->content, 1000);

	/* FNAME, as gzip(1) writes it */
	memcpy(bed->file, bed->packed, 10);
	bed->file[3] = 8;
	memcpy(bed->file + 10, "Image", 6);
	memcpy(bed->file + 16, bed->packed + 10, len - 10);
	assert_unpacks(bed, bed->file, len + 6, 1000);
}

static void zboot_is_unpacked(void **state)
{
	static const char *const zstd_names[] = { "zstd22", "zstd" };
	struct bed *bed = *state;
	size_t len = mk_gzip(bed->packed, bed->content, CONTENT_LEN);

	assert_unpacks(bed, bed->file, mk_zboot(bed->file, "gzip", bed->packed, len), CONTENT_LEN);
	for (size_t i = 0; i < ARRAY_SIZE(zstd_names); i++) {
		len = mk_zstd(bed->packed, bed->content, CONTENT_LEN);
		len = mk_zboot(bed->file, zstd_names[i], bed->packed, len);
		assert_unpacks(bed, bed->file, len, CONTENT_LEN);
	}
	len = real_zstd(bed, 22);
	assert_unpacks(bed, bed->file, mk_zboot(bed->file, "zstd22", bed->packed, len),
		       CONTENT_LEN);
}

static void streams_may_follow_each_other(void **state)
{
	struct bed *bed = *state;
	size_t len = real_gzip(bed);

	memcpy(bed->file + len, bed->file, len);
	assert_unpacks(bed, bed->file, 2 * len, 2 * CONTENT_LEN);

	len = real_zstd(bed, 3);
	memcpy(bed->packed + len, bed->packed, len);
	len = mk_zboot(bed->file, "zstd22", bed->packed, 2 * len);
	assert_unpacks(bed, bed->file, len, 2 * CONTENT_LEN);
}

static void many_small_streams_are_one(void **state)
{
	struct bed *bed = *state;
	size_t len = 0, n = 0;

	/* so many that headers lie across the pieces that are read */
	while (len < CONTENT_LEN - 64)
		len += mk_gzip(bed->file + len, bed->content + n++, 1);
	assert_unpacks(bed, bed->file, len, n);
}

static void what_follows_is_ignored(void **state)
{
	struct bed *bed = *state;
	size_t len = mk_gzip(bed->file, bed->content, 5000);

	/* with a beginning of another stream that is too short to be one */
	for (size_t junk = 1; junk < 70000; junk = junk * 3 + 1) {
		memset(bed->file + len, 0, junk);
		memcpy(bed->file + len, "\x1f\x8b", min_u64(junk, 2));
		assert_unpacks(bed, bed->file, len + junk, 5000);
	}
}

/* ---- what is refused ---- */

static void other_compressions_are_refused_by_name(void **state)
{
	static const char *const names[] = { "lz4", "lzma", "lzo", "xzkern", "bzip2", "GZIP" };
	struct bed *bed = *state;
	char msg[200];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = mk_zboot(bed->file, names[i], bed->content, 100);

		snprintf(msg, sizeof(msg),
			 "kernel k.z is an EFI zboot file compressed by '%s'; gzip and zstd can be "
			 "unpacked",
			 names[i]);
		assert_refused(bed, bed->file, len, MIB, msg);
	}
}

static void names_are_bounded_and_made_printable(void **state)
{
	struct bed *bed = *state;
	size_t len = mk_zboot(bed->file, "a\x1b[\n\xff", bed->content, 100);

	assert_refused(bed, bed->file, len, MIB,
		       "kernel k.z is an EFI zboot file compressed by 'a?[?\?'; gzip and zstd can "
		       "be unpacked");
	memset(bed->file + 24, 'x', 64);
	assert_refused(bed, bed->file, len, MIB,
		       "kernel k.z is an EFI zboot file compressed by "
		       "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'; gzip and zstd can be unpacked");
}

static void payloads_outside_the_file_are_refused(void **state)
{
	struct bed *bed = *state;
	size_t len = mk_gzip(bed->packed, bed->content, 1000);
	char msg[200];

	mk_zboot(bed->file, "gzip", bed->packed, len);
	snprintf(msg, sizeof(msg),
		 "kernel k.z is truncated: it has %zu bytes, its zboot header promises %zu",
		 MK_ZBOOT_OFF + len - 1, MK_ZBOOT_OFF + len);
	assert_refused(bed, bed->file, MK_ZBOOT_OFF + len - 1, MIB, msg);
	assert_unpacks(bed, bed->file, MK_ZBOOT_OFF + len, 1000);

	put_le32(bed->file + 8, 0xffffffff);
	put_le32(bed->file + 12, 0xffffffff);
	assert_refused(bed, bed->file, 4096, MIB,
		       "kernel k.z is truncated: it has 4096 bytes, its zboot header promises "
		       "8589934590");
	assert_refused(bed, bed->file, 55, MIB, "kernel k.z is truncated: it ends before byte 56");
}

static void truncation_anywhere_is_refused(void **state)
{
	static const char gz[] = "kernel k.z is truncated: its gzip-compressed data has no end";
	static const char zs[] = "kernel k.z is truncated: its zstd-compressed data has no end";
	struct bed *bed = *state;
	size_t len = real_gzip(bed);

	for (size_t n = 3; n < len; n += n < 40 || n > len - 40 ? 1 : 997)
		assert_refused(bed, bed->file, n, MIB, gz);
	len = real_zstd(bed, 3);
	for (size_t n = 0; n < len; n += n < 40 || n > len - 40 ? 1 : 997) {
		size_t file_len = mk_zboot(bed->file, "zstd22", bed->packed, n);

		assert_refused(bed, bed->file, file_len, MIB, zs);
	}
}

static void damage_is_refused(void **state)
{
	struct bed *bed = *state;
	size_t len = mk_gzip(bed->file, bed->content, 1000);

	bed->file[500] ^= 1; /* what the checksum is for */
	assert_refused(bed, bed->file, len, MIB,
		       "kernel k.z is corrupt: its gzip-compressed data is damaged (incorrect data "
		       "check)");
	bed->file[500] ^= 1;
	bed->file[len - 1] ^= 1;
	assert_refused(bed, bed->file, len, MIB,
		       "kernel k.z is corrupt: its gzip-compressed data is damaged (incorrect "
		       "length check)");
	/* a second member counts as much as the first */
	len = mk_gzip(bed->file, bed->content, 1000);
	mk_gzip(bed->file + len, bed->content, 1000);
	bed->file[len + 10] = 7;
	assert_refused(bed, bed->file, 2 * len, MIB,
		       "kernel k.z is corrupt: its gzip-compressed data is damaged (invalid block "
		       "type)");

	len = mk_zboot(bed->file, "gzip", bed->content, 1000);
	assert_refused(bed, bed->file, len, MIB,
		       "kernel k.z is corrupt: its gzip-compressed data is damaged (incorrect "
		       "header check)");
	len = mk_zboot(bed->file, "zstd22", bed->content, 1000);
	assert_refused(bed, bed->file, len, MIB,
		       "kernel k.z is corrupt: its zstd-compressed data is damaged (Unknown frame "
		       "descriptor)");
}

/* A file says how much memory its window takes. */
static void windows_of_any_size_are_not_allocated(void **state)
{
	struct bed *bed = *state;
	size_t len = mk_zstd_bomb(bed->packed, 0, 1);

	bed->packed[5] = (28 - 10) << 3;
	len = mk_zboot(bed->file, "zstd22", bed->packed, len);
	assert_refused(bed, bed->file, len, MIB,
		       "kernel k.z is corrupt: its zstd-compressed data is damaged (Frame requires "
		       "too much memory for decoding)");
	/* what level 22 makes of a file of unknown size */
	bed->file[MK_ZBOOT_OFF + 5] = (27 - 10) << 3;
	assert_int_equal(unpack(bed, bed->file, len, MIB), 1);
	assert_int_equal(bed->out.size, 128 * KIB);
}

static void nothing_packed_is_refused(void **state)
{
	struct bed *bed = *state;
	size_t len = mk_gzip(bed->file, bed->content, 0);

	assert_refused(bed, bed->file, len, MIB, "kernel k.z is empty when unpacked");
}

static void more_than_the_limit_is_refused(void **state)
{
	struct bed *bed = *state;
	size_t len = mk_zstd_bomb(bed->packed, 0, 800); /* 100 MiB in 3 KiB */

	len = mk_zboot(bed->file, "zstd22", bed->packed, len);
	assert_refused(bed, bed->file, len, 16 * MIB,
		       "kernel k.z unpacks to more than 16 MiB, of --mem or of any kernel");
	assert_refused(bed, bed->file, len, 100 * MIB - 1,
		       "kernel k.z unpacks to more than 99 MiB, of --mem or of any kernel");
	assert_int_equal(unpack(bed, bed->file, len, 100 * MIB), 1);
	assert_int_equal(bed->out.size, 100 * MIB);
	/* to the byte, and whatever the piece that it is found in */
	len = mk_gzip(bed->file, bed->content, CONTENT_LEN);
	assert_int_equal(unpack(bed, bed->file, len, CONTENT_LEN - 1), -EINVAL);
	assert_int_equal(unpack(bed, bed->file, len, CONTENT_LEN), 1);
	assert_int_equal(unpack(bed, bed->file, len, 0), -EINVAL);
}

static void files_that_shrink_are_refused(void **state)
{
	struct bed *bed = *state;
	size_t len = real_gzip(bed);

	mk_image(&bed->in, "kernel", "k.z", bed->file, len);
	assert_int_equal(ftruncate(bed->in.fd, (off_t)len - 1), 0);
	assert_int_equal(unpack_image(&bed->in, MIB, &bed->out, &bed->err), -EINVAL);
	assert_int_equal(bed->err.kind, LKVM_ERR_INPUT);
	assert_int_equal(bed->out.fd, -1);
	assert_int_equal(ftruncate(bed->in.fd, 3), 0);
	assert_int_equal(unpack_image(&bed->in, MIB, &bed->out, NULL), -EINVAL);
}

/* Whatever is in the file: 1 and a file, or a message. */
static void corruption_anywhere_is_survived(void **state)
{
	struct bed *bed = *state;
	size_t len = mk_zstd(bed->packed, bed->content, 200);
	unsigned int n_fds;

	len = mk_zboot(bed->file, "zstd22", bed->packed, len);
	mk_image(&bed->in, "kernel", "k.z", bed->file, len);
	n_fds = count_fds();
	for (size_t i = 0; i < len * 8; i++) {
		int ret;

		bed->file[i / 8] ^= (u8)BIT(i % 8);
		ret = unpack(bed, bed->file, len, 64 * KIB);
		bed->file[i / 8] ^= (u8)BIT(i % 8);
		if (ret < 0) {
			assert_int_equal(ret, -EINVAL);
			assert_int_equal(bed->err.kind, LKVM_ERR_INPUT);
			assert_non_null(strstr(bed->err.msg, "kernel k.z "));
		} else {
			assert_int_equal(ret, bed->out.fd >= 0);
			assert_string_equal(bed->err.msg, "");
		}
	}
	image_close(&bed->out);
	assert_int_equal(count_fds(), n_fds);
}

/* ---- a host that fails ---- */

static void every_call_fails_once(void **state)
{
	static const unsigned int kinds[] = { FAULTS_MEMORY, FAULTS_READ, FAULTS_WRITE };
	struct bed *bed = *state;
	size_t len = real_gzip(bed);
	unsigned int n_fds;

	mk_image(&bed->in, "kernel", "k.z", bed->file, len);
	n_fds = count_fds();
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		unsigned long nth = 0;
		bool more = true;

		while (more) {
			int ret;

			bed->err = (struct lkvm_error){ 0 };
			faults_arm(kinds[k], ++nth);
			ret = unpack_image(&bed->in, MIB, &bed->out, &bed->err);
			faults_disarm();
			more = faults_hit();
			if (!more) {
				assert_int_equal(ret, 1);
				image_close(&bed->out);
				break;
			}
			assert_int_equal(ret, kinds[k] == FAULTS_MEMORY ? -ENOMEM : -EIO);
			assert_int_equal(bed->err.kind, LKVM_ERR_HOST);
			assert_non_null(strstr(bed->err.msg, "kernel k.z: "));
			assert_int_equal(bed->out.fd, -1);
			assert_int_equal(count_fds(), n_fds);
		}
		assert_true(nth > 1);
	}
}

static void no_descriptor_is_the_hosts_failure(void **state)
{
	struct rlimit old, none = { 0 };
	struct bed *bed = *state;
	size_t len = mk_gzip(bed->file, bed->content, 1000);
	int ret;

	mk_image(&bed->in, "kernel", "k.z", bed->file, len);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	ret = unpack_image(&bed->in, MIB, &bed->out, &bed->err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(ret, -EMFILE);
	assert_int_equal(bed->err.kind, LKVM_ERR_HOST);
	assert_string_equal(bed->err.msg, "kernel k.z: unpacking: Too many open files");
}

/* A file system that is full, as a file that must not grow. */
static void no_room_is_the_hosts_failure(void **state)
{
	struct rlimit old, small;
	struct bed *bed = *state;
	size_t len = real_gzip(bed);
	int ret;

	mk_image(&bed->in, "kernel", "k.z", bed->file, len);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){ 100000, old.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	ret = unpack_image(&bed->in, MIB, &bed->out, &bed->err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(ret, -EFBIG);
	assert_int_equal(bed->err.kind, LKVM_ERR_HOST);
	assert_string_equal(bed->err.msg, "kernel k.z: unpacking: File too large");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
	const struct CMUnitTest tests[] = {
		T(other_files_are_not_packed),
		T(gzip_is_unpacked),
		T(gzip_may_name_its_file),
		T(zboot_is_unpacked),
		T(streams_may_follow_each_other),
		T(many_small_streams_are_one),
		T(what_follows_is_ignored),
		T(other_compressions_are_refused_by_name),
		T(names_are_bounded_and_made_printable),
		T(payloads_outside_the_file_are_refused),
		T(truncation_anywhere_is_refused),
		T(damage_is_refused),
		T(windows_of_any_size_are_not_allocated),
		T(nothing_packed_is_refused),
		T(more_than_the_limit_is_refused),
		T(files_that_shrink_are_refused),
		T(corruption_anywhere_is_survived),
		T(every_call_fails_once),
		T(no_descriptor_is_the_hosts_failure),
		T(no_room_is_the_hosts_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
