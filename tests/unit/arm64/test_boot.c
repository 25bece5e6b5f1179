/*
 * Loading on arm64: what goes where, what is entered, what is refused.
 *
 * Does not prove that a kernel starts there: check-bed boots some. Nor what the device tree says.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "arch/arm64/boot.h"
#include "arch/arm64/image.h"
#include "arch/arm64/layout.h"
#include "tests/faults.h"
#include "tests/unit/arm64/mkimage.h"
#include "tests/unit/mkpack.h"

#define RAM	 0x80000000ull /* what guests and firmware are built for */
#define SLOT	 (2 * MIB)
#define FILE_MAX 65536

struct bed {
	struct lkvm_config cfg;
	u8 file[FILE_MAX];
	size_t len;
	struct image kernel, initrd, firmware;
	struct gmem gm;
	struct boot_entry entry;
	struct lkvm_error err;
	struct log log;
	char logged[512];
	unsigned int n_logged;
};

static void keep_log(void *ctx, enum lkvm_log_level level, const char *msg)
{
	struct bed *bed = ctx;

	assert_int_equal(level, LKVM_LOG_WARNING);
	snprintf(bed->logged, sizeof(bed->logged), "%s", msg);
	bed->n_logged++;
}

static int bed_setup(void **state)
{
	static struct bed bed;

	bed = (struct bed){ .kernel = IMAGE_NONE, .initrd = IMAGE_NONE, .firmware = IMAGE_NONE };
	bed.log = (struct log){ .fn = keep_log, .ctx = &bed, .level = LKVM_LOG_DEBUG };
	bed.len = mk_arm64_image(bed.file);
	*state = &bed;
	return 0;
}

static int bed_teardown(void **state)
{
	struct bed *bed = *state;

	image_close(&bed->kernel);
	image_close(&bed->initrd);
	image_close(&bed->firmware);
	gmem_fini(&bed->gm);
	return 0;
}

/* A hole: costs no memory before it is read. */
static void set_size(struct image *img, u64 size)
{
	assert_int_equal(ftruncate(img->fd, (off_t)size), 0);
	img->size = size;
}

static void set_initrd(struct bed *bed, u64 size)
{
	mk_image(&bed->initrd, "initrd", "i.cpio", "initrd", 6);
	set_size(&bed->initrd, size);
}

static void set_firmware(struct bed *bed, u64 addr, u64 size)
{
	bed->cfg.firmware_addr = addr;
	mk_image(&bed->firmware, "firmware", "f.fd", "firmware", 8);
	set_size(&bed->firmware, size);
}

/* Load the files as they are into @mem bytes of fresh memory. */
static int load(struct bed *bed, u64 mem)
{
	const struct boot_files files = { &bed->kernel, &bed->initrd, &bed->firmware };

	gmem_fini(&bed->gm);
	assert_int_equal(gmem_add(&bed->gm, RAM, mem, NULL), 0);
	bed->cfg.mem_size = mem;
	bed->err = (struct lkvm_error){ 0 };
	bed->entry = (struct boot_entry){ 0 };
	bed->n_logged = 0;
	return boot_load(&bed->cfg, &files, &bed->gm, &bed->log, &bed->entry, &bed->err);
}

/* The same with the kernel in bed->file. */
static int boot(struct bed *bed, u64 mem)
{
	mk_image(&bed->kernel, "kernel", "k.img", bed->file, bed->len);
	return load(bed, mem);
}

static void assert_loads(struct bed *bed, u64 mem)
{
	if (load(bed, mem))
		fail_msg("%s", bed->err.msg);
	assert_string_equal(bed->err.msg, "");
}

static void assert_boots(struct bed *bed, u64 mem)
{
	if (boot(bed, mem))
		fail_msg("%s", bed->err.msg);
	assert_string_equal(bed->err.msg, "");
}

static void assert_error(struct bed *bed, int ret, const char *msg)
{
	assert_int_equal(ret, -EINVAL);
	assert_int_equal(bed->err.kind, LKVM_ERR_INPUT);
	assert_string_equal(bed->err.msg, msg);
	assert_int_equal(bed->entry.pc, 0);
}

static void assert_refused(struct bed *bed, u64 mem, const char *msg)
{
	assert_error(bed, boot(bed, mem), msg);
}

static void assert_guest_bytes(struct bed *bed, u64 gpa, const void *want, size_t len)
{
	static u8 got[FILE_MAX];

	assert_int_equal(gmem_read(&bed->gm, gpa, got, len), 0);
	assert_memory_equal(got, want, len);
}

static void assert_entry(struct bed *bed, u64 pc, u64 fdt)
{
	assert_int_equal(bed->entry.pc, pc);
	assert_int_equal(bed->entry.fdt_gpa, fdt);
	assert_int_equal(fdt % SLOT, 0);
	assert_true(gmem_contains(&bed->gm, fdt, ARM64_FDT_MAX));
}

/* ---- Image ---- */

static void images_go_to_the_start_of_ram(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(ARM64_RAM_BASE, RAM);
	assert_boots(bed, 64 * MIB);
	assert_entry(bed, RAM, RAM + SLOT);
	assert_guest_bytes(bed, RAM, bed->file, bed->len);
	assert_int_equal(bed->entry.initrd_size, 0);
	assert_int_equal(bed->n_logged, 0);
}

static void images_go_to_their_offset(void **state)
{
	struct bed *bed = *state;

	put_le64(bed->file + 8, 0x80000);
	assert_boots(bed, 64 * MIB);
	assert_entry(bed, RAM + 0x80000, RAM + SLOT);
	assert_guest_bytes(bed, RAM + 0x80000, bed->file, bed->len);
	/* more than 2 MiB, as some that are not Linux have it */
	put_le64(bed->file + 8, 3 * MIB);
	assert_boots(bed, 64 * MIB);
	assert_entry(bed, RAM + 3 * MIB, RAM + 2 * SLOT);
}

static void bss_is_left_free(void **state)
{
	struct bed *bed = *state;

	put_le64(bed->file + 16, SLOT);
	assert_boots(bed, 64 * MIB);
	assert_entry(bed, RAM, RAM + SLOT);
	put_le64(bed->file + 16, SLOT + 1);
	assert_boots(bed, 64 * MIB);
	assert_entry(bed, RAM, RAM + 2 * SLOT);
	/* as large as no 256 MiB hold */
	put_le64(bed->file + 16, 700 * MIB);
	assert_boots(bed, GIB);
	assert_entry(bed, RAM, RAM + 700 * MIB);
}

static void a_file_that_is_longer_than_its_kernel_is_loaded_whole(void **state)
{
	struct bed *bed = *state;

	bed->len = 0x9000; /* with a signature, say */
	memset(bed->file + MK_IMG_LEN, 0xee, bed->len - MK_IMG_LEN);
	assert_boots(bed, 64 * MIB);
	assert_guest_bytes(bed, RAM, bed->file, bed->len);
	put_le64(bed->file + 8, SLOT - 0x8ffc);
	assert_boots(bed, 64 * MIB);
	assert_int_equal(bed->entry.fdt_gpa, RAM + 2 * SLOT);
}

static void old_images_have_a_known_offset_and_no_size(void **state)
{
	struct bed *bed = *state;

	put_le64(bed->file + 16, 0);
	put_le64(bed->file + 8, 0x0000080000000000); /* big endian: whose, nobody knows */
	put_le64(bed->file + 24, 1);		     /* no flags at that time */
	assert_boots(bed, 64 * MIB);
	assert_entry(bed, RAM + 0x80000, RAM + 16 * MIB + SLOT);
	/* of less memory, all there is */
	assert_boots(bed, 8 * MIB);
	assert_entry(bed, RAM + 0x80000, RAM + 8 * MIB - SLOT);
	set_initrd(bed, SLOT + 1);
	assert_boots(bed, 8 * MIB);
	assert_entry(bed, RAM + 0x80000, RAM + SLOT);
	assert_int_equal(bed->entry.initrd_gpa, RAM + 2 * SLOT);
	assert_boots(bed, 16 * MIB);
	assert_entry(bed, RAM + 0x80000, RAM + 10 * MIB);
}

static void big_endian_images_are_refused(void **state)
{
	struct bed *bed = *state;

	bed->file[24] |= 1;
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is a big-endian arm64 Image; a little-endian one is needed");
}

static void impossible_headers_are_refused(void **state)
{
	static const u64 bad[][2] = {
		{ 2, 0x5000 },	   { UINT64_MAX - 3, 0x5000 }, { LKVM_MAX_MEM + 4, 0x5000 },
		{ 0, UINT64_MAX }, { 0, LKVM_MAX_MEM + 1 },
	};
	struct bed *bed = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char msg[200];

		put_le64(bed->file + 8, bad[i][0]);
		put_le64(bed->file + 16, bad[i][1]);
		snprintf(msg, sizeof(msg),
			 "kernel k.img is corrupt: its header asks for 0x%lx bytes at offset 0x%lx",
			 bad[i][1], bad[i][0]);
		assert_refused(bed, 64 * MIB, msg);
	}
	put_le64(bed->file + 8, LKVM_MAX_MEM);
	put_le64(bed->file + 16, LKVM_MAX_MEM);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img needs at least 8388610 MiB of memory; --mem gives 64 MiB");
}

static void images_cut_short_are_refused(void **state)
{
	struct bed *bed = *state;
	char msg[200];

	for (bed->len = 0x64; bed->len < MK_IMG_LEN; bed->len++) {
		assert_int_equal(boot(bed, 8 * MIB), -EINVAL);
		assert_non_null(strstr(bed->err.msg, "kernel k.img is truncated: it has "));
	}
	bed->len = MK_IMG_LEN - 1;
	snprintf(msg, sizeof(msg),
		 "kernel k.img is truncated: it has %u bytes, its header promises %u",
		 MK_IMG_LEN - 1, MK_IMG_LEN);
	assert_refused(bed, 8 * MIB, msg);
	/* what says how long it is has limits too */
	bed->len = MK_IMG_LEN;
	put_le16(bed->file + MK_IMG_PE_OFF + 6, 0xffff);
	assert_int_equal(boot(bed, 8 * MIB), -EINVAL);
	put_le32(bed->file + 60, 0xffffffff);
	assert_refused(bed, 8 * MIB,
		       "kernel k.img is truncated: it has 4608 bytes, its header promises "
		       "4294967319");
}

static void images_need_no_efi_half(void **state)
{
	struct bed *bed = *state;

	memset(bed->file + MK_IMG_PE_OFF, 0, 4);
	bed->len = 0x800;
	assert_boots(bed, 64 * MIB);
	mk_arm64_image(bed->file);
	bed->file[0] = 0;
	assert_boots(bed, 64 * MIB);
	bed->len = 64;
	assert_boots(bed, 64 * MIB);
}

static void too_little_memory_is_said(void **state)
{
	struct bed *bed = *state;

	put_le64(bed->file + 16, 60 * MIB);
	assert_boots(bed, 62 * MIB);
	assert_refused(bed, 62 * MIB - 4096,
		       "kernel k.img needs at least 62 MiB of memory; --mem gives 61 MiB");
	put_le64(bed->file + 16, 60 * MIB + 1);
	assert_refused(bed, 62 * MIB,
		       "kernel k.img needs at least 64 MiB of memory; --mem gives 62 MiB");
	assert_boots(bed, 64 * MIB);
}

/* ---- packed ---- */

static void packed_kernels_boot(void **state)
{
	static u8 inner[FILE_MAX], packed[FILE_MAX];
	struct bed *bed = *state;
	size_t len;

	mk_arm64_image(inner);
	bed->len = mk_gzip(bed->file, inner, MK_IMG_LEN);
	assert_boots(bed, 64 * MIB);
	assert_entry(bed, RAM, RAM + SLOT);
	assert_guest_bytes(bed, RAM, inner, MK_IMG_LEN);

	bed->len = mk_zboot(bed->file, "gzip", packed, mk_gzip(packed, inner, MK_IMG_LEN));
	assert_boots(bed, 64 * MIB);
	assert_guest_bytes(bed, RAM, inner, MK_IMG_LEN);
	bed->len = mk_zboot(bed->file, "zstd22", packed, mk_zstd(packed, inner, MK_IMG_LEN));
	assert_boots(bed, 64 * MIB);
	assert_guest_bytes(bed, RAM, inner, MK_IMG_LEN);

	len = mk_arm64_elf(inner, RAM);
	bed->len = mk_gzip(bed->file, inner, len);
	assert_boots(bed, 64 * MIB);
	assert_entry(bed, RAM + MK_ELF_ENTRY, RAM + SLOT);
}

static void bad_packed_kernels_are_refused(void **state)
{
	static u8 inner[FILE_MAX], packed[FILE_MAX];
	struct bed *bed = *state;
	size_t len = mk_arm64_image(inner);

	bed->len = mk_zboot(bed->file, "gzip", packed, mk_gzip(packed, inner, len)) - 100;
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is truncated: it has 5107 bytes, its zboot header promises "
		       "5143");
	bed->len = mk_zboot(bed->file, "xzkern", inner, len);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is an EFI zboot file compressed by 'xzkern'; gzip and zstd "
		       "can be unpacked");
	bed->len = mk_zboot(bed->file, "zstd22", packed, mk_zstd_bomb(packed, 0, 8000));
	assert_refused(bed, 64 * MIB,
		       "kernel k.img unpacks to more than 64 MiB, of --mem or of any kernel");
	bed->len = mk_gzip(bed->file, inner, len - 1);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is truncated: it has 4607 bytes, its header promises 4608");
}

#define NEEDED \
	"an arm64 Image (as it is, gzip'd or in EFI zboot form) or an arm64 ELF file is needed"

static void packed_files_that_hold_no_kernel_are_refused(void **state)
{
	static u8 inner[FILE_MAX], packed[FILE_MAX];
	struct bed *bed = *state;

	memcpy(inner, "070701", 6);
	bed->len = mk_gzip(bed->file, inner, 1000);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is compressed and holds a cpio archive (an initrd?); " NEEDED);
	memset(inner, 0, 6);
	memcpy(inner + 56, "RSC\x05", 4);
	bed->len = mk_zboot(bed->file, "gzip", packed, mk_gzip(packed, inner, 1000));
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is compressed and holds a RISC-V Image; " NEEDED);
	/* nobody packs flat binaries */
	memset(inner, 0, 64);
	bed->len = mk_gzip(bed->file, inner, 1000);
	assert_refused(bed, 64 * MIB, "kernel k.img is compressed and holds no kernel; " NEEDED);
	bed->len = mk_gzip(bed->file, packed, mk_gzip(packed, inner, 1000));
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is compressed and holds a gzip-compressed file; " NEEDED);
}

/* ---- ELF ---- */

static void elf_files_linked_to_ram_go_there(void **state)
{
	struct bed *bed = *state;

	bed->len = mk_arm64_elf(bed->file, RAM);
	assert_boots(bed, 64 * MIB);
	assert_entry(bed, RAM + MK_ELF_ENTRY, RAM + SLOT);
	assert_guest_bytes(bed, RAM + MK_ELF_TEXT_GPA, bed->file + MK_ELF_TEXT_OFF,
			   MK_ELF_TEXT_LEN);
	bed->len = mk_arm64_elf(bed->file, RAM + 8 * GIB);
	assert_boots(bed, 9 * GIB);
	assert_entry(bed, RAM + 8 * GIB + MK_ELF_ENTRY, RAM + 8 * GIB + SLOT);
	assert_refused(bed, 8 * GIB,
		       "kernel k.img needs at least 8196 MiB of memory; --mem gives 8192 MiB");
	/* to the last byte before the device tree */
	bed->len = mk_arm64_elf(bed->file, RAM + SLOT - MK_ELF_END);
	assert_boots(bed, 64 * MIB);
	assert_int_equal(bed->entry.fdt_gpa, RAM + SLOT);
	bed->len = mk_arm64_elf(bed->file, RAM + SLOT - MK_ELF_END + 1);
	assert_boots(bed, 64 * MIB);
	assert_int_equal(bed->entry.fdt_gpa, RAM + 2 * SLOT);
}

static void a_vmlinux_is_moved_to_the_start_of_ram(void **state)
{
	struct bed *bed = *state;

	bed->len = mk_arm64_vmlinux(bed->file);
	assert_boots(bed, 64 * MIB);
	/* at the same offset from 2 MiB; the header has the last word on the end */
	assert_entry(bed, RAM + MK_VMLINUX_OFFSET, RAM + 2 * SLOT);
	assert_guest_bytes(bed, RAM + MK_VMLINUX_OFFSET, bed->file + MK_ELF_TEXT_OFF,
			   MK_ELF_TEXT_LEN);
	assert_guest_bytes(bed, RAM + MK_VMLINUX_OFFSET + MK_ELF_DATA_GPA - MK_ELF_TEXT_GPA,
			   bed->file + MK_ELF_DATA_OFF, MK_ELF_DATA_LEN);
	/* or the segments */
	put_le64(bed->file + MK_ELF_TEXT_OFF + 16, 0x1000);
	assert_boots(bed, 64 * MIB);
	assert_int_equal(bed->entry.fdt_gpa, RAM + SLOT);
	bed->file[MK_ELF_TEXT_OFF + 24] |= 1;
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is a big-endian arm64 Image; a little-endian one is needed");
}

static void elf_files_linked_elsewhere_are_refused(void **state)
{
	struct bed *bed = *state;

	bed->len = mk_arm64_elf(bed->file, 0x40000000);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img lies at 0x40100000-0x40104fff; RAM is at 0x80000000 to "
		       "0x83ffffff");
	bed->len = mk_arm64_elf(bed->file, 0x7000000000000000);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img lies at 0x7000000000100000-0x7000000000104fff; RAM is at "
		       "0x80000000 to 0x83ffffff");
	/* half here, half there */
	bed->len = mk_arm64_elf(bed->file, RAM);
	put_le64(MK_PHDR(bed->file, 1, p_paddr), 0xffff800000000000);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img lies at 0x80100000-0xffff800000002fff; RAM is at 0x80000000 "
		       "to 0x83ffffff");
	/* the widest there can be */
	bed->len = mk_arm64_elf(bed->file, 0x8000000000000000 - MK_ELF_TEXT_GPA);
	put_le64(MK_PHDR(bed->file, 1, p_paddr), UINT64_MAX - MK_ELF_DATA_MEMSZ);
	put_le64(MK_EHDR(bed->file, e_entry), 0x8000000000000000);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img lies at 0x80000000-0x800000007ffffffe; RAM is at 0x80000000 "
		       "to 0x83ffffff");
}

static void elf_files_are_entered_where_they_have_code(void **state)
{
	struct bed *bed = *state;

	bed->len = mk_arm64_elf(bed->file, RAM);
	put_le64(MK_EHDR(bed->file, e_entry), RAM + MK_ELF_TEXT_GPA + MK_ELF_TEXT_LEN);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is entered at 0x80100200, where none of its segments has "
		       "code");
	put_le64(MK_EHDR(bed->file, e_entry), RAM + MK_ELF_TEXT_GPA + MK_ELF_TEXT_LEN - 1);
	assert_boots(bed, 64 * MIB);
}

static void elf_files_of_other_machines_are_refused(void **state)
{
	struct bed *bed = *state;

	bed->len = mk_elf(bed->file);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is an ELF file for x86-64 (machine 62); arm64 is needed");
	put_le16(MK_EHDR(bed->file, e_machine), 258);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is an ELF file for LoongArch (machine 258); arm64 is needed");
	bed->len = mk_arm64_elf(bed->file, RAM);
	bed->file[EI_DATA] = ELFDATA2MSB;
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is an ELF file of big-endian or unknown byte order");
	/* a module, say */
	bed->len = mk_arm64_elf(bed->file, RAM);
	put_le16(MK_EHDR(bed->file, e_type), ET_REL);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is an ELF file, but not an executable (type 1)");
}

/* ---- neither ---- */

static void flat_binaries_are_loaded_where_kvmtool_does(void **state)
{
	struct bed *bed = *state;

	bed->len = 5000;
	memset(bed->file, 0x11, bed->len);
	assert_boots(bed, 64 * MIB);
	assert_entry(bed, RAM + 0x80000, RAM + 16 * MIB + SLOT);
	assert_guest_bytes(bed, RAM + 0x80000, bed->file, bed->len);
	assert_int_equal(bed->n_logged, 1);
	assert_string_equal(bed->logged,
			    "kernel k.img is of no known format: taken for a flat binary, loaded "
			    "at 0x80080000 and entered at its first byte");
	assert_boots(bed, 4 * MIB);
	assert_entry(bed, RAM + 0x80000, RAM + SLOT);
	assert_refused(bed, 4 * MIB - 4096,
		       "kernel k.img needs at least 4 MiB of memory; --mem gives 3 MiB");
	bed->len = 1;
	assert_boots(bed, 4 * MIB);
}

static void other_files_are_refused_by_name(void **state)
{
	static const struct {
		unsigned int off;
		const char *bytes, *name;
	} files[] = {
		{ 0, "\3757zXZ", "an xz-compressed file" },
		{ 0, "\x28\xb5\x2f\xfd", "a zstd-compressed file" },
		{ 0, "\x1f\x8b\x01", "a gzip-compressed file" },
		{ 0, "070701", "a cpio archive (an initrd?)" },
		{ 56, "RSC\x05", "a RISC-V Image" },
		{ 36, "\x18\x28\x6f\x01", "a 32-bit ARM zImage" },
		{ 0, "MZ", "a DOS or PE program" },
		{ 0, "\x27\x05\x19\x56", "a U-Boot uImage" },
	};
	struct bed *bed = *state;
	char msg[200];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		bed->len = 5000;
		memset(bed->file, 0, bed->len);
		memcpy(bed->file + files[i].off, files[i].bytes, strlen(files[i].bytes));
		snprintf(msg, sizeof(msg), "kernel k.img is %s; %s", files[i].name, NEEDED);
		assert_refused(bed, 64 * MIB, msg);
		assert_int_equal(bed->n_logged, 0);
	}
	bed->len = mk_bzimage(bed->file);
	assert_refused(bed, 64 * MIB, "kernel k.img is an x86 bzImage; " NEEDED);
	bed->len = mk_arm64_image(bed->file);
	memset(bed->file + 56, 0, 4);
	assert_refused(bed, 64 * MIB, "kernel k.img is an EFI program for arm64; " NEEDED);
	put_le16(bed->file + MK_IMG_PE_OFF + 4, 0x6264);
	assert_refused(bed, 64 * MIB, "kernel k.img is an EFI program for LoongArch64; " NEEDED);
}

/* ---- initrd ---- */

static void initrds_follow_the_device_tree(void **state)
{
	struct bed *bed = *state;

	set_initrd(bed, 5000);
	assert_boots(bed, 64 * MIB);
	assert_entry(bed, RAM, RAM + SLOT);
	assert_int_equal(bed->entry.initrd_gpa, RAM + 2 * SLOT);
	assert_int_equal(bed->entry.initrd_size, 5000);
	assert_guest_bytes(bed, RAM + 2 * SLOT, "initrd", 7);
	/* no limit at 256 MiB, nor at 4 GiB */
	set_initrd(bed, 300 * MIB);
	assert_boots(bed, 512 * MIB);
	assert_int_equal(bed->entry.initrd_size, 300 * MIB);
}

static void initrds_that_do_not_fit_are_refused(void **state)
{
	struct bed *bed = *state;

	set_initrd(bed, 4 * MIB);
	assert_boots(bed, 8 * MIB);
	set_initrd(bed, 4 * MIB + 1);
	assert_refused(bed, 8 * MIB,
		       "initrd i.cpio of 4097 KiB does not fit: with --mem of 8 MiB there is room "
		       "for 4096 KiB behind the kernel");
	set_initrd(bed, (u64)INT64_MAX);
	assert_refused(bed, 4 * MIB,
		       "initrd i.cpio of 9007199254740992 KiB does not fit: with --mem of 4 MiB "
		       "there is room for 0 KiB behind the kernel");
	/* nor beside a flat binary, for which room is left where there is some */
	memset(bed->file, 0x11, 64);
	assert_refused(bed, 8 * MIB,
		       "initrd i.cpio of 9007199254740992 KiB does not fit: with --mem of 8 MiB "
		       "there is room for 4096 KiB behind the kernel");
	mk_arm64_image(bed->file);
	/* beyond what the kernel can reach, whatever memory there is */
	set_initrd(bed, 32 * GIB);
	assert_refused(bed, 64 * GIB,
		       "initrd i.cpio of 33554432 KiB does not fit: it must lie in the first 32 "
		       "GiB of memory, where there is room for 33550336 KiB behind the kernel");
	/* more memory would help as long as there is less than that */
	assert_refused(bed, 32 * GIB,
		       "initrd i.cpio of 33554432 KiB does not fit: with --mem of 32768 MiB there "
		       "is room for 33550336 KiB behind the kernel");
}

/* ---- firmware ---- */

static void firmware_is_loaded_and_entered_where_asked(void **state)
{
	struct bed *bed = *state;

	set_firmware(bed, 0, 3 * MIB);
	assert_loads(bed, 64 * MIB);
	assert_entry(bed, RAM, RAM + 4 * MIB);
	assert_guest_bytes(bed, RAM, "firmware", 9);
	set_firmware(bed, RAM + 0x1f000, 3 * MIB);
	assert_loads(bed, 64 * MIB);
	assert_entry(bed, RAM + 0x1f000, RAM + 4 * MIB);
	assert_guest_bytes(bed, RAM + 0x1f000, "firmware", 9);
	assert_int_equal(bed->n_logged, 0);
}

static void firmware_addresses_that_cannot_be_are_refused(void **state)
{
	struct bed *bed = *state;

	set_firmware(bed, RAM + 0x800, 4096);
	assert_error(bed, load(bed, 64 * MIB),
		     "--firmware-address 0x80000800: must be a multiple of 4096");
	set_firmware(bed, RAM - 4096, 4096);
	assert_error(bed, load(bed, 64 * MIB),
		     "--firmware-address 0x7ffff000: must be in RAM, 0x80000000 to 0x83ffffff");
	set_firmware(bed, RAM + 64 * MIB, 4096);
	assert_error(bed, load(bed, 64 * MIB),
		     "--firmware-address 0x84000000: must be in RAM, 0x80000000 to 0x83ffffff");
	set_firmware(bed, UINT64_MAX - 4095, 4096);
	assert_error(bed, load(bed, 64 * MIB),
		     "--firmware-address 0xfffffffffffff000: must be in RAM, 0x80000000 to "
		     "0x83ffffff");
}

static void firmware_that_does_not_fit_is_refused(void **state)
{
	struct bed *bed = *state;

	set_firmware(bed, RAM + 62 * MIB - 8192, 8192);
	assert_loads(bed, 64 * MIB);
	assert_entry(bed, RAM + 62 * MIB - 8192, RAM + 62 * MIB);
	set_firmware(bed, RAM + 62 * MIB - 8192, 8193);
	assert_error(bed, load(bed, 64 * MIB),
		     "--firmware-address 0x83dfe000: firmware f.fd of 9 KiB and the device tree "
		     "behind it do not fit there; up to 0x83dfd000 is possible");
	/* a last piece of RAM that is no 2 MiB is no place for a device tree */
	set_firmware(bed, RAM + 62 * MIB - 4096, 8192);
	assert_error(bed, load(bed, 65 * MIB),
		     "--firmware-address 0x83dff000: firmware f.fd of 8 KiB and the device tree "
		     "behind it do not fit there; up to 0x83dfe000 is possible");
	set_firmware(bed, 0, 62 * MIB);
	assert_loads(bed, 64 * MIB);
	set_firmware(bed, 0, 62 * MIB + 1);
	assert_error(bed, load(bed, 64 * MIB),
		     "--firmware f.fd of 63489 KiB does not fit: with --mem of 64 MiB there is "
		     "room for 63488 KiB beside the device tree");
	set_firmware(bed, 0, (u64)INT64_MAX);
	assert_int_equal(load(bed, 4096), -EINVAL);
}

static void firmware_is_raw_code(void **state)
{
	struct bed *bed = *state;

	mk_image(&bed->firmware, "firmware", "u-boot", bed->file, mk_arm64_elf(bed->file, RAM));
	assert_error(bed, load(bed, 64 * MIB),
		     "--firmware u-boot is an ELF file; raw code is needed");
	/* which may look like an Image */
	mk_image(&bed->firmware, "firmware", "f.fd", bed->file, mk_arm64_image(bed->file));
	put_le64(bed->file + 8, 0x80000);
	assert_loads(bed, 64 * MIB);
	assert_int_equal(bed->entry.pc, RAM);
}

static void nothing_to_load_is_refused(void **state)
{
	struct bed *bed = *state;

	assert_error(bed, load(bed, 64 * MIB), "--kernel: a kernel file is needed");
}

/* ---- files and hosts that fail ---- */

static void files_that_shrink_are_refused(void **state)
{
	struct bed *bed = *state;

	set_initrd(bed, 5000);
	mk_image(&bed->kernel, "kernel", "k.img", bed->file, bed->len);
	for (off_t n = MK_IMG_LEN - 1; n >= 0; n -= 97) {
		assert_int_equal(ftruncate(bed->kernel.fd, n), 0);
		assert_int_equal(load(bed, 8 * MIB), -EINVAL);
		assert_non_null(strstr(bed->err.msg, "kernel k.img is truncated: it ends before"));
	}
	mk_image(&bed->kernel, "kernel", "k.img", bed->file, bed->len);
	assert_int_equal(ftruncate(bed->initrd.fd, 4999), 0);
	assert_error(bed, load(bed, 8 * MIB),
		     "initrd i.cpio is truncated: it ends before byte 5000");
}

/* Whatever is in the file: an entry in RAM, or a message. */
static void judge(struct bed *bed)
{
	int ret = boot(bed, 8 * MIB);

	if (ret) {
		assert_int_equal(ret, -EINVAL);
		assert_int_equal(bed->err.kind, LKVM_ERR_INPUT);
		assert_non_null(strstr(bed->err.msg, "k.img"));
		return;
	}
	assert_string_equal(bed->err.msg, "");
	assert_true(gmem_contains(&bed->gm, bed->entry.pc, 1));
	assert_true(bed->entry.pc < bed->entry.fdt_gpa);
	assert_entry(bed, bed->entry.pc, bed->entry.fdt_gpa);
}

static void corrupt_headers_are_survived(void **state)
{
	struct bed *bed = *state;

	for (int kind = 0; kind < 2; kind++) {
		size_t end = kind ? 64 + 3 * 56 : 0x200;

		if (kind)
			bed->len = mk_arm64_vmlinux(bed->file);
		for (size_t i = 0; i < end; i++) {
			u8 good = bed->file[i];

			for (unsigned int bit = 0; bit < 8; bit++) {
				bed->file[i] = good ^ (u8)BIT(bit);
				judge(bed);
			}
			bed->file[i] = 0xff;
			judge(bed);
			bed->file[i] = good;
		}
		judge(bed);
		assert_string_equal(bed->err.msg, "");
	}
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

static void every_call_of_a_boot_fails_once(struct bed *bed)
{
	static const unsigned int kinds[] = { FAULTS_MEMORY, FAULTS_READ, FAULTS_WRITE,
					      FAULTS_ELF };
	const struct boot_files files = { &bed->kernel, &bed->initrd, &bed->firmware };
	unsigned int n_calls = 0, n_fds;

	set_initrd(bed, 5000);
	assert_boots(bed, 8 * MIB);
	n_fds = count_fds();
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (unsigned long nth = 1;; nth++, n_calls++) {
			int ret;

			bed->err = (struct lkvm_error){ 0 };
			faults_arm(kinds[k], nth);
			ret = boot_load(&bed->cfg, &files, &bed->gm, &bed->log, &bed->entry,
					&bed->err);
			faults_disarm();
			if (!faults_hit()) {
				assert_int_equal(ret, 0);
				break;
			}
			if (!ret)
				fail_msg("%s failed and nobody saw it", faults_hit());
			assert_int_not_equal(bed->err.kind, LKVM_ERR_NONE);
			assert_true(bed->err.msg[0]);
			assert_int_equal(count_fds(), n_fds);
		}
	}
	print_message("# %u calls, each failed once\n", n_calls);
	assert_true(n_calls > 5);
}

/* No failure is taken for a boot. */
static void every_call_fails_once(void **state)
{
	static u8 inner[FILE_MAX];
	struct bed *bed = *state;

	every_call_of_a_boot_fails_once(bed);
	bed->len = mk_gzip(bed->file, inner, mk_arm64_vmlinux(inner));
	every_call_of_a_boot_fails_once(bed);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
	const struct CMUnitTest tests[] = {
		T(images_go_to_the_start_of_ram),
		T(images_go_to_their_offset),
		T(bss_is_left_free),
		T(a_file_that_is_longer_than_its_kernel_is_loaded_whole),
		T(old_images_have_a_known_offset_and_no_size),
		T(big_endian_images_are_refused),
		T(impossible_headers_are_refused),
		T(images_cut_short_are_refused),
		T(images_need_no_efi_half),
		T(too_little_memory_is_said),
		T(packed_kernels_boot),
		T(bad_packed_kernels_are_refused),
		T(packed_files_that_hold_no_kernel_are_refused),
		T(elf_files_linked_to_ram_go_there),
		T(a_vmlinux_is_moved_to_the_start_of_ram),
		T(elf_files_linked_elsewhere_are_refused),
		T(elf_files_are_entered_where_they_have_code),
		T(elf_files_of_other_machines_are_refused),
		T(flat_binaries_are_loaded_where_kvmtool_does),
		T(other_files_are_refused_by_name),
		T(initrds_follow_the_device_tree),
		T(initrds_that_do_not_fit_are_refused),
		T(firmware_is_loaded_and_entered_where_asked),
		T(firmware_addresses_that_cannot_be_are_refused),
		T(firmware_that_does_not_fit_is_refused),
		T(firmware_is_raw_code),
		T(nothing_to_load_is_refused),
		T(files_that_shrink_are_refused),
		T(corrupt_headers_are_survived),
		T(every_call_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
