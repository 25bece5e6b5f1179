/*
 * Files handed to the machine: opening them, finding room for them, getting them
 * there, and naming what is no kernel.
 *
 * Does not prove that a file without read permission is refused with the same
 * words: the tests may run as root, who may read everything.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/mkkernel.h"
#include "vmm/load.h"

static char dir[] = "/tmp/lkvm-test-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? chdir(dir) : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return chdir("/") || rmdir(dir);
}

static void assert_open_fails(const char *what, const char *path, const char *msg)
{
	struct lkvm_error err = { 0 };
	struct image img;

	assert_int_equal(image_open(&img, what, path, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_string_equal(err.msg, msg);
	assert_int_equal(img.fd, -1);
	image_close(&img);
}

/* ---- image_open ---- */

static void no_name_is_no_file(void **state)
{
	struct lkvm_error err = { 0 };
	struct image img;

	(void)state;
	assert_int_equal(image_open(&img, "initrd", "", &err), 0);
	assert_int_equal(img.fd, -1);
	assert_int_equal(img.size, 0);
	image_close(&img);
}

static void files_that_cannot_be_opened_are_told_in_the_known_words(void **state)
{
	(void)state;
	assert_open_fails("kernel", "none/vmlinuz",
			  "Fatal: Unable to open kernel none/vmlinuz (No such file or directory)");
	assert_open_fails("initrd", "none",
			  "Fatal: Unable to open initrd none (No such file or directory)");
	assert_int_equal(symlink("loop", "loop"), 0);
	assert_open_fails("kernel", "loop",
			  "Fatal: Unable to open kernel loop (Too many levels of symbolic links)");
	unlink("loop");
}

static void only_regular_files_are_taken(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_open_fails("kernel", ".", "kernel . is a directory; a regular file is needed");
	assert_open_fails("initrd", "/dev/null",
			  "initrd /dev/null is a character device; a regular file is needed");
	/* nobody writes to it: opening it must not wait */
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_open_fails("kernel", "pipe", "kernel pipe is a pipe; a regular file is needed");
	unlink("pipe");

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_open_fails("kernel", "socket",
			  "Fatal: Unable to open kernel socket (No such device or address)");
	close(fd);
	unlink("socket");
}

static void empty_files_are_refused(void **state)
{
	FILE *f = fopen("empty", "w");

	(void)state;
	assert_non_null(f);
	fclose(f);
	assert_open_fails("initrd", "empty", "initrd empty is empty");
	unlink("empty");
}

static void reading_is_exact(void **state)
{
	struct lkvm_error err = { 0 };
	struct image img;
	FILE *f = fopen("file", "w");
	char buf[8] = "";

	(void)state;
	assert_non_null(f);
	fputs("0123456789", f);
	fclose(f);
	assert_int_equal(image_open(&img, "kernel", "file", &err), 0);
	assert_int_equal(img.size, 10);
	assert_int_equal(image_read(&img, 3, buf, 7, &err), 0);
	assert_string_equal(buf, "3456789");
	assert_int_equal(image_read(&img, 10, buf, 0, &err), 0);
	assert_int_equal(image_read(&img, 4, buf, 7, &err), -EINVAL);
	assert_string_equal(err.msg, "kernel file is truncated: it ends before byte 11");
	err = (struct lkvm_error){ 0 };
	assert_int_equal(image_read(&img, UINT64_MAX - 1, buf, 1, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_int_equal(image_read(&img, INT64_MAX, buf, 1, NULL), -EINVAL);
	image_close(&img);
	image_close(&img);
	unlink("file");
}

/* ---- load_image ---- */

static void loading_checks_both_ends(void **state)
{
	struct lkvm_error err = { 0 };
	struct image img = IMAGE_NONE;
	struct gmem gm = { 0 };
	u8 got[4];

	(void)state;
	mk_image(&img, "kernel", "k", "abcdefgh", 8);
	assert_int_equal(gmem_add(&gm, 0, 4096, &err), 0);
	assert_int_equal(load_image(&img, 4, 4, &gm, 4092, &err), 0);
	assert_int_equal(gmem_read(&gm, 4092, got, 4), 0);
	assert_memory_equal(got, "efgh", 4);

	assert_int_equal(load_image(&img, 4, 4, &gm, 4093, &err), -EINVAL);
	assert_string_equal(err.msg, "kernel k: 0x4 bytes at guest address 0xffd are not RAM");
	err = (struct lkvm_error){ 0 };
	assert_int_equal(load_image(&img, 4, 5, &gm, 0, &err), -EINVAL);
	assert_string_equal(err.msg, "kernel k is truncated: it ends before byte 9");
	err = (struct lkvm_error){ 0 };
	assert_int_equal(load_image(&img, INT64_MAX, 4, &gm, 0, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);

	close(img.fd);
	err = (struct lkvm_error){ 0 };
	assert_int_equal(load_image(&img, 0, 4, &gm, 0, &err), -EBADF);
	assert_int_equal(err.kind, LKVM_ERR_HOST);
	gmem_fini(&gm);
}

/* ---- load_place ---- */

struct request {
	u64 size, lo, hi, busy, busy_size;
};

/* The definition, tried out page by page from the top: -ENOSPC or a place. */
static int place_slowly(const struct gmem *gm, const struct request *q, u64 top, u64 *gpa)
{
	for (u64 at = top; at; at -= 4096) {
		if (at >= q->lo && q->size && q->size <= q->hi && at <= q->hi - q->size &&
		    gmem_contains(gm, at, q->size) &&
		    !ranges_overlap(at, q->size, q->busy, q->busy_size)) {
			*gpa = at;
			return 0;
		}
	}
	return -ENOSPC;
}

static u32 next_random(u32 *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void the_highest_place_is_found(void **state)
{
	struct gmem gm = { 0 };
	unsigned int placed = 0;
	u32 seed = 1;

	(void)state;
	assert_int_equal(gmem_add(&gm, 0x1000, 0x9000, NULL), 0);
	assert_int_equal(gmem_add(&gm, 0xa000, 0x2000, NULL), 0);
	assert_int_equal(gmem_add(&gm, 0x10000, 0x4000, NULL), 0);
	for (int i = 0; i < 200000; i++) {
		struct request q = {
			.size = next_random(&seed) % 0x5000,
			.lo = next_random(&seed) % 0x8000,
			.hi = next_random(&seed) % 0x18000,
			.busy = next_random(&seed) % 0x14000,
			.busy_size = next_random(&seed) % 0x4000,
		};
		u64 want = 0, got = 0, largest = 0;
		int ret = place_slowly(&gm, &q, 0x18000, &want);

		if (load_place(&gm, q.size, q.lo, q.hi, q.busy, q.busy_size, &got, &largest) !=
			    ret ||
		    got != want)
			fail_msg("size 0x%lx in 0x%lx-0x%lx beside 0x%lx+0x%lx: 0x%lx, not 0x%lx",
				 q.size, q.lo, q.hi, q.busy, q.busy_size, got, want);
		if (!ret)
			placed++;
		/* what is told to a user must be true: that much, and no page more */
		if (ret && largest) {
			q.size = largest;
			assert_int_equal(place_slowly(&gm, &q, 0x18000, &want), 0);
			q.size++;
			assert_int_equal(place_slowly(&gm, &q, 0x18000, &want), -ENOSPC);
		}
	}
	assert_in_range(placed, 20000, 180000);
	gmem_fini(&gm);
}

static void places_at_the_ends_of_the_address_space(void **state)
{
	struct gmem gm = { 0 };
	u64 gpa, largest = 0;

	(void)state;
	assert_int_equal(gmem_add(&gm, 0, 0x3000, NULL), 0);
	assert_int_equal(load_place(&gm, 0x3000, 0, UINT64_MAX, 0, 0, &gpa, &largest), 0);
	assert_int_equal(gpa, 0);
	assert_int_equal(load_place(&gm, 0x3001, 0, UINT64_MAX, 0, 0, &gpa, &largest), -ENOSPC);
	assert_int_equal(largest, 0x3000);
	assert_int_equal(load_place(&gm, UINT64_MAX, 0, UINT64_MAX, 0, 0, &gpa, &largest), -ENOSPC);
	assert_int_equal(load_place(&gm, 1, UINT64_MAX, UINT64_MAX, 0, 0, &gpa, &largest), -ENOSPC);
	gmem_fini(&gm);
}

/* ---- load_format_name ---- */

static void foreign_formats_have_names(void **state)
{
	static const struct {
		unsigned int off;
		const char *bytes;
		const char *name;
	} cases[] = {
		{ 56, "ARM\x64", "an arm64 Image" },
		{ 56, "RSC\x05", "a RISC-V Image" },
		{ 4, "zimg", "a compressed EFI kernel (zboot)" },
		{ 36, "\x18\x28\x6f\x01", "a 32-bit ARM zImage" },
		{ 0, "\x1f\x8b", "a gzip-compressed file" },
		{ 0, "\3757zXZ", "an xz-compressed file" },
		{ 0, "\x28\xb5\x2f\xfd", "a zstd-compressed file" },
		{ 0, "070701", "a cpio archive (an initrd?)" },
		{ 0, "#!/bin/sh", "a script" },
		{ 0, "\177ELF", "an ELF file" },
		{ 0, "BZh9", "a bzip2-compressed file" },
		{ 0, "\x04\x22\x4d\x18", "an lz4-compressed file" },
		{ 0, "\x89LZO", "an lzop-compressed file" },
		{ 0, "ANDROID!", "an Android boot image" },
		{ 0, "hsqs", "a squashfs image" },
		{ 0, "vhdxfile", "a VHDX disk image" },
		{ 0, "PK\3\4", "a zip archive" },
		{ 257, "ustar", "a tar archive" },
		{ 512, "EFI PART", "a disk image with partitions" },
		{ 1024, "\xe2\xe1\xf5\xe0", "an EROFS image" },
	};
	u8 head[LOAD_FORMAT_HEAD];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(head, 0, sizeof(head));
		memcpy(head + cases[i].off, cases[i].bytes, strlen(cases[i].bytes));
		assert_string_equal(load_format_name(head, sizeof(head)), cases[i].name);
		/* cut off inside the magic number: no match, and no look beyond */
		for (size_t n = 0; n < cases[i].off + 2; n++)
			assert_null(load_format_name(head, n));
	}
	memset(head, 0, sizeof(head));
	assert_null(load_format_name(head, sizeof(head)));
}

/* As the names of other formats, but told by more than one field. */
static void formats_of_many_fields_have_names(void **state)
{
	u8 head[MK_MAX];

	(void)state;
	mk_bzimage(head);
	assert_string_equal(load_format_name(head, LOAD_FORMAT_HEAD), "an x86 bzImage");
	assert_string_equal(load_format_name(head, 0x206), "an x86 bzImage");
	assert_null(load_format_name(head, 0x205));
	head[0x1fe] = 0;
	assert_null(load_format_name(head, LOAD_FORMAT_HEAD));

	memset(head, 0, sizeof(head));
	put_le16(head + 1024 + 0x38, 0xef53);
	assert_string_equal(load_format_name(head, LOAD_FORMAT_HEAD), "an ext4 image");
	assert_string_equal(load_format_name(head, 1024 + 0x50), "an ext4 image");
	assert_null(load_format_name(head, 1024 + 0x4f));
	put_le32(head + 1024 + 0x18, 7);
	assert_null(load_format_name(head, LOAD_FORMAT_HEAD));
	put_le32(head + 1024 + 0x18, 6);
	put_le32(head + 1024 + 0x4c, 2);
	assert_null(load_format_name(head, LOAD_FORMAT_HEAD));
}

static void lzma_is_told_from_code(void **state)
{
	static const struct {
		u32 dict;
		u64 size;
		bool is_lzma;
	} cases[] = {
		{ 8 << 20, UINT64_MAX, true },
		{ 8 << 20, 39000000, true },
		{ 64 << 20, UINT64_MAX, true },
		{ 3 << 22, 1000, true },
		{ 4096, 0, true },
		{ 2048, 0, false },
		{ 0, 0, false },
		{ 5 << 20, UINT64_MAX, false },
		{ 8 << 20, 256 * GIB, false },
		{ 8 << 20, UINT64_MAX - 1, false },
		/* 5d 00 00 14: a branch, as test kernels begin with */
		{ 0x140000, 0xd503201fd503201f, false },
		{ 0x140000, 1000, false },
	};
	u8 head[13] = { 0x5d };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *name;

		put_le32(head + 1, cases[i].dict);
		put_le64(head + 5, cases[i].size);
		name = load_format_name(head, sizeof(head));
		if (cases[i].is_lzma)
			assert_string_equal(name, "an lzma-compressed file");
		else
			assert_null(name);
		assert_null(load_format_name(head, 12));
	}
}

static void efi_programs_are_named_by_machine(void **state)
{
	static const struct {
		u16 machine;
		const char *name;
	} cases[] = {
		{ 0x8664, "an EFI program for x86-64" },
		{ 0xaa64, "an EFI program for arm64" },
		{ 0x6264, "an EFI program for LoongArch64" },
		{ 0x5064, "an EFI program for RISC-V 64" },
		{ 0x1234, "an EFI program for another machine" },
	};
	u8 head[0x86] = "MZ";

	(void)state;
	put_le32(head + 0x3c, 0x80);
	memcpy(head + 0x80, "PE\0", 4);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put_le16(head + 0x84, cases[i].machine);
		assert_string_equal(load_format_name(head, sizeof(head)), cases[i].name);
	}
	/* a header outside what was read */
	put_le32(head + 0x3c, 0x81);
	assert_string_equal(load_format_name(head, sizeof(head)), "a DOS or PE program");
	put_le32(head + 0x3c, 0xffffffff);
	assert_string_equal(load_format_name(head, sizeof(head)), "a DOS or PE program");
	assert_null(load_format_name(head, 0x3f));
}

/* ---- load_dump ---- */

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void assert_file(const char *name, const char *text)
{
	char buf[32] = "";
	FILE *f = fopen(name, "r");

	assert_non_null(f);
	assert_int_equal(fread(buf, 1, sizeof(buf) - 1, f), strlen(text));
	assert_string_equal(buf, text);
	fclose(f);
}

static void a_dump_is_all_that_is_in_its_file(void **state)
{
	static struct lkvm_config cfg;
	struct lkvm_error err = { 0 };

	(void)state;
	/* other files, and one that is not there */
	snprintf(cfg.kernel, sizeof(cfg.kernel), "kernel");
	snprintf(cfg.initrd, sizeof(cfg.initrd), "none");
	write_file("kernel", "kernel");
	assert_int_equal(load_dump(&cfg, "--dump-x", "dump", "tables", 6, &err), 0);
	assert_file("dump", "tables");
	assert_int_equal(load_dump(&cfg, "--dump-x", "dump", "tab", 3, &err), 0);
	assert_file("dump", "tab");
	assert_file("kernel", "kernel");
	unlink("kernel");
	unlink("dump");
}

static void a_dump_spares_the_files_of_the_machine(void **state)
{
	static struct lkvm_config cfg;
	const struct {
		const char *option;
		char *path;
	} files[] = {
		{ "--kernel", cfg.kernel },	 { "--initrd", cfg.initrd },
		{ "--firmware", cfg.firmware },	 { "--flash", cfg.flash },
		{ "--disk", cfg.disks[0].path }, { "--disk", cfg.disks[LKVM_MAX_DISKS - 1].path },
	};

	(void)state;
	cfg.n_disks = LKVM_MAX_DISKS;
	write_file("file", "contents");
	assert_int_equal(symlink("file", "soft"), 0);
	assert_int_equal(link("file", "hard"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		static const char *const names[] = { "file", "./file", "soft", "hard" };

		strcpy(files[i].path, "file");
		for (size_t j = 0; j < ARRAY_SIZE(names); j++) {
			struct lkvm_error err = { 0 };
			char words[64];

			snprintf(words, sizeof(words), "--dump-x %s: is also the %s", names[j],
				 files[i].option);
			assert_int_equal(load_dump(&cfg, "--dump-x", names[j], "x", 1, &err),
					 -EINVAL);
			assert_int_equal(err.kind, LKVM_ERR_INPUT);
			assert_string_equal(err.msg, words);
			assert_file("file", "contents");
		}
		files[i].path[0] = 0;
	}
	unlink("file");
	unlink("soft");
	unlink("hard");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_name_is_no_file),
		cmocka_unit_test(files_that_cannot_be_opened_are_told_in_the_known_words),
		cmocka_unit_test(only_regular_files_are_taken),
		cmocka_unit_test(empty_files_are_refused),
		cmocka_unit_test(reading_is_exact),
		cmocka_unit_test(loading_checks_both_ends),
		cmocka_unit_test(the_highest_place_is_found),
		cmocka_unit_test(places_at_the_ends_of_the_address_space),
		cmocka_unit_test(foreign_formats_have_names),
		cmocka_unit_test(formats_of_many_fields_have_names),
		cmocka_unit_test(lzma_is_told_from_code),
		cmocka_unit_test(efi_programs_are_named_by_machine),
		cmocka_unit_test(a_dump_is_all_that_is_in_its_file),
		cmocka_unit_test(a_dump_spares_the_files_of_the_machine),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
