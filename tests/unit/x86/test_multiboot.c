/*
 * Multiboot images: which they are, what they are handed, where it goes, what is refused.
 *
 * Does not prove that an image understands what it is handed, nor that KVM takes the registers:
 * tests/t3/x86/kut.sh runs some.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "arch/x86/boot.h"
#include "arch/x86/layout.h"
#include "arch/x86/multiboot.h"
#include "linux-uapi/x86.h"
#include "tests/unit/mkkernel.h"
#include "vmm/elf.h"

/* Offsets in the information, written apart from the code under test. */
#define MBI_MEM_LOWER  4
#define MBI_MEM_UPPER  8
#define MBI_CMDLINE    16
#define MBI_MODS_COUNT 20
#define MBI_MODS_ADDR  24
#define MBI_MMAP_LEN   44
#define MBI_MMAP_ADDR  48
#define MBI_LOADER     64

#define MBI_LEN 0x2000 /* what is reserved for it, and what it points at */

struct bed {
	struct lkvm_config cfg;
	u8 file[MK_MAX];
	size_t len;
	struct image kernel, initrd;
	struct gmem gm;
	struct boot_entry entry;
	struct lkvm_error err;
};

static int bed_setup(void **state)
{
	static struct bed bed;

	bed = (struct bed){ .kernel = IMAGE_NONE, .initrd = IMAGE_NONE };
	bed.len = mk_multiboot(bed.file);
	strcpy(bed.cfg.cmdline, "one two=2");
	*state = &bed;
	return 0;
}

static int bed_teardown(void **state)
{
	struct bed *bed = *state;

	image_close(&bed->kernel);
	image_close(&bed->initrd);
	gmem_fini(&bed->gm);
	return 0;
}

static void set_initrd(struct bed *bed, u64 size)
{
	mk_image(&bed->initrd, "initrd", "i.env", "module", 6);
	/* a hole: costs no memory before it is read */
	assert_int_equal(ftruncate(bed->initrd.fd, (off_t)size), 0);
	bed->initrd.size = size;
}

static int boot(struct bed *bed, u64 mem)
{
	u64 low = min_u64(mem, X86_HOLE_START);

	gmem_fini(&bed->gm);
	bed->gm = (struct gmem){ 0 };
	assert_int_equal(gmem_add(&bed->gm, 0, low, NULL), 0);
	if (mem > low)
		assert_int_equal(gmem_add(&bed->gm, X86_HOLE_END, mem - low, NULL), 0);
	mk_image(&bed->kernel, "kernel", "k.flat", bed->file, bed->len);
	bed->err = (struct lkvm_error){ 0 };
	bed->entry = (struct boot_entry){ 0 };
	return boot_load(&bed->cfg, &bed->kernel, &bed->initrd, &bed->gm, &bed->entry, &bed->err);
}

static void assert_boots(struct bed *bed, u64 mem)
{
	if (boot(bed, mem))
		fail_msg("%s", bed->err.msg);
	assert_string_equal(bed->err.msg, "");
	assert_int_equal(bed->entry.mode, BOOT_ENTRY_MULTIBOOT);
}

static void assert_refused(struct bed *bed, u64 mem, const char *words)
{
	assert_int_equal(boot(bed, mem), -EINVAL);
	assert_int_equal(bed->err.kind, LKVM_ERR_INPUT);
	assert_null(strchr(bed->err.msg, '\n'));
	if (!strstr(bed->err.msg, words))
		fail_msg("'%s' is not in '%s'", words, bed->err.msg);
}

static u32 guest_u32(struct bed *bed, u64 gpa)
{
	u8 b[4];

	assert_int_equal(gmem_read(&bed->gm, gpa, b, 4), 0);
	return get_le32(b);
}

static u64 guest_u64(struct bed *bed, u64 gpa)
{
	return guest_u32(bed, gpa) | (u64)guest_u32(bed, gpa + 4) << 32;
}

static void assert_guest_bytes(struct bed *bed, u64 gpa, const void *want, size_t len)
{
	u8 got[LKVM_CMDLINE_MAX];

	assert_in_range(len, 0, sizeof(got));
	assert_int_equal(gmem_read(&bed->gm, gpa, got, len), 0);
	assert_memory_equal(got, want, len);
}

/* A field of the information. */
static u32 mbi(struct bed *bed, u32 off)
{
	return guest_u32(bed, bed->entry.param + off);
}

static u32 module(struct bed *bed, u32 off)
{
	assert_int_equal(mbi(bed, MBI_MODS_COUNT), 1);
	return guest_u32(bed, mbi(bed, MBI_MODS_ADDR) + off);
}

/* ---- which files ---- */

static void the_header_is_in_the_first_8_kib(void **state)
{
	struct bed *bed = *state;
	struct image img = IMAGE_NONE;
	static u8 f[16384];
	static const struct {
		size_t off;
		bool found;
	} cases[] = { { 0, true },  { 4, true },     { 8180, true }, { 8184, false },
		      { 2, false }, { 8192, false }, { 4099, false } };

	(void)bed;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(f, 0, sizeof(f));
		mk_mb_header(f, cases[i].off, 3);
		mk_image(&img, "kernel", "k", f, sizeof(f));
		assert_int_equal(multiboot_is(&img), cases[i].found);
		/* one that is cut off is none */
		mk_image(&img, "kernel", "k", f, cases[i].off + 11);
		assert_false(multiboot_is(&img));
	}
	/* the first magic number may be no header */
	memset(f, 0, sizeof(f));
	put_le32(f + 0x100, 0x1badb002);
	mk_image(&img, "kernel", "k", f, sizeof(f));
	assert_false(multiboot_is(&img));
	mk_mb_header(f, 0x104, 0);
	mk_image(&img, "kernel", "k", f, sizeof(f));
	assert_true(multiboot_is(&img));
	f[0x10c]++;
	mk_image(&img, "kernel", "k", f, sizeof(f));
	assert_false(multiboot_is(&img));
	image_close(&img);
}

static void what_the_header_asks_for_is_checked(void **state)
{
	struct bed *bed = *state;

	/* pages for modules, memory information: always */
	mk_mb_header(bed->file, MK_MB_TEXT_OFF, 3);
	assert_boots(bed, 16 * MIB);
	/* what is optional is ignored */
	mk_mb_header(bed->file, MK_MB_TEXT_OFF, 0xfffe0003);
	assert_boots(bed, 16 * MIB);
	mk_mb_header(bed->file, MK_MB_TEXT_OFF, 7);
	assert_refused(bed, 16 * MIB, "kernel k.flat asks for a video mode");
	mk_mb_header(bed->file, MK_MB_TEXT_OFF, 0x10003);
	assert_refused(bed, 16 * MIB, "has load addresses in its Multiboot header (flag 16)");
	for (unsigned int bit = 3; bit < 16; bit++) {
		mk_mb_header(bed->file, MK_MB_TEXT_OFF, (u32)BIT(bit));
		assert_refused(bed, 16 * MIB, "what this version of Multiboot does not have");
	}
	mk_mb_header(bed->file, MK_MB_TEXT_OFF, 0xfff8);
	assert_refused(bed, 16 * MIB, "(flags 0xfff8 in its header)");
}

static void a_32_bit_file_has_no_other_entry(void **state)
{
	struct bed *bed = *state;

	bed->cfg.boot = LKVM_BOOT_LINUX64;
	assert_refused(bed, 16 * MIB, "--boot linux64 is not for it");
	bed->cfg.boot = LKVM_BOOT_PVH;
	assert_refused(bed, 16 * MIB, "has no PVH entry");
	bed->cfg.boot = LKVM_BOOT_AUTO;
	bed->file[MK_MB_TEXT_OFF]++;
	assert_refused(bed, 16 * MIB,
		       "is a 32-bit ELF file with neither a Multiboot header nor a PVH entry");
}

static void a_32_bit_file_may_have_a_pvh_entry(void **state)
{
	struct bed *bed = *state;

	put_le16(MK_MB_EHDR(bed->file, e_phnum), 3);
	mk_mb_phdr(bed->file, 2, MK_ELF_NOTE_OFF, 0, MK_ELF_NOTE_LEN, MK_ELF_NOTE_LEN);
	put_le32(MK_MB_PHDR(bed->file, 2, p_type), PT_NOTE);
	put_le32(MK_MB_PHDR(bed->file, 2, p_align), 4);
	mk_elf_note(bed->file, MK_ELF_NOTE_OFF, 18, 4, MK_MB_TEXT_GPA + 0x20);
	if (boot(bed, 16 * MIB))
		fail_msg("%s", bed->err.msg);
	assert_int_equal(bed->entry.mode, BOOT_ENTRY_PVH);
	assert_int_equal(bed->entry.pc, MK_MB_TEXT_GPA + 0x20);
}

static void a_64_bit_file_with_the_header_is_one_unless_it_has_more(void **state)
{
	struct bed *bed = *state;

	bed->len = mk_elf(bed->file);
	mk_mb_header(bed->file, MK_ELF_TEXT_OFF, 0);
	assert_int_equal(boot(bed, 16 * MIB), 0);
	assert_int_equal(bed->entry.mode, BOOT_ENTRY_PVH);
	put_le32(MK_PHDR(bed->file, 2, p_type), PT_NULL);
	assert_boots(bed, 16 * MIB);
	assert_int_equal(bed->entry.pc, MK_ELF_ENTRY);
	bed->cfg.boot = LKVM_BOOT_LINUX64;
	assert_int_equal(boot(bed, 16 * MIB), 0);
	assert_int_equal(bed->entry.mode, BOOT_ENTRY_LONG64);
}

/* ---- what is handed over ---- */

static void segments_are_loaded_and_entered(void **state)
{
	struct bed *bed = *state;
	struct kvm_regs regs = { .rsi = 5 };
	struct kvm_sregs sregs = { 0 };

	assert_boots(bed, 16 * MIB);
	assert_int_equal(bed->entry.pc, MK_MB_ENTRY);
	assert_guest_bytes(bed, MK_MB_TEXT_GPA, bed->file + MK_MB_TEXT_OFF, MK_MB_TEXT_LEN);
	assert_guest_bytes(bed, MK_MB_DATA_GPA, bed->file + MK_MB_DATA_OFF, MK_MB_DATA_LEN);
	assert_guest_bytes(bed, MK_MB_DATA_GPA + MK_MB_DATA_LEN, "\0\0\0\0", 4);

	/* 3.2: protected mode without paging, flat segments, interrupts off */
	boot_regs(&bed->entry, &regs, &sregs);
	assert_int_equal(regs.rax, 0x2badb002);
	assert_int_equal(regs.rbx, bed->entry.param);
	assert_int_equal(regs.rip, MK_MB_ENTRY);
	assert_int_equal(regs.rflags, 2);
	assert_int_equal(sregs.cr0 & 0x80000001, 1);
	assert_int_equal(sregs.cr4, 0);
	assert_int_equal(sregs.efer, 0);
	assert_int_equal(sregs.cs.base, 0);
	assert_int_equal(sregs.cs.limit, 0xffffffff);
	assert_int_equal(sregs.cs.db, 1);
	assert_int_equal(sregs.cs.l, 0);
	assert_int_equal(sregs.ss.limit, 0xffffffff);
}

static void the_information_is_complete(void **state)
{
	struct bed *bed = *state;
	u32 flags;

	assert_boots(bed, 16 * MIB);
	flags = mbi(bed, 0);
	/* memory, command line, modules, map, loader; nothing else */
	assert_int_equal(flags, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
	assert_int_equal(mbi(bed, MBI_MEM_LOWER), 639);
	assert_int_equal(mbi(bed, MBI_MEM_UPPER), 15 * 1024);
	assert_guest_bytes(bed, mbi(bed, MBI_CMDLINE), "one two=2", 10);
	assert_guest_bytes(bed, mbi(bed, MBI_LOADER), "lkvm", 5);
	assert_int_equal(mbi(bed, MBI_MODS_COUNT), 0);
	/* in conventional memory, where the image is not */
	assert_int_equal(bed->entry.param % 4096, 0);
	assert_in_range(bed->entry.param, 4096, X86_EBDA_GPA - MBI_LEN);

	memset(bed->cfg.cmdline, 'x', LKVM_CMDLINE_MAX - 1);
	bed->cfg.cmdline[LKVM_CMDLINE_MAX - 1] = 0;
	assert_boots(bed, 16 * MIB);
	assert_guest_bytes(bed, mbi(bed, MBI_CMDLINE), bed->cfg.cmdline, LKVM_CMDLINE_MAX);
	assert_in_range(mbi(bed, MBI_CMDLINE), bed->entry.param,
			bed->entry.param + MBI_LEN - LKVM_CMDLINE_MAX);
}

static void the_map_tells_of_all_memory(void **state)
{
	static const u64 sizes[] = { 8 * MIB, 3 * GIB, 6 * GIB };
	struct bed *bed = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 at, end, ram = 0;

		assert_boots(bed, sizes[i]);
		at = mbi(bed, MBI_MMAP_ADDR);
		end = at + mbi(bed, MBI_MMAP_LEN);
		for (; at < end; at += guest_u32(bed, at) + 4) {
			assert_int_equal(guest_u32(bed, at), 20);
			if (guest_u32(bed, at + 20) == 1)
				ram += guest_u64(bed, at + 12);
		}
		assert_int_equal(at, end);
		assert_int_equal(ram, sizes[i] - (X86_HIGH_RAM_GPA - X86_EBDA_GPA));
		/* up to the first hole */
		assert_int_equal(mbi(bed, MBI_MEM_UPPER),
				 (min_u64(sizes[i], X86_HOLE_START) - MIB) / KIB);
	}
}

static void an_initrd_is_the_module(void **state)
{
	struct bed *bed = *state;
	u32 gpa;

	set_initrd(bed, 10000);
	assert_boots(bed, 16 * MIB);
	gpa = module(bed, 0);
	assert_int_equal(gpa, 16 * MIB - 3 * 4096);
	assert_int_equal(module(bed, 4), gpa + 10000);
	assert_int_equal(module(bed, 8), 0);
	assert_guest_bytes(bed, gpa, "module\0", 7);
	/* never above 4 GiB, of which it could not be told */
	assert_boots(bed, 8 * GIB);
	assert_int_equal(module(bed, 0), X86_HOLE_START - 3 * 4096);
}

/* ---- what fits ---- */

static void modules_fit_to_the_byte(void **state)
{
	struct bed *bed = *state;

	set_initrd(bed, 16 * MIB - align_up(MK_MB_END, 4096));
	assert_boots(bed, 16 * MIB);
	assert_int_equal(module(bed, 0), align_up(MK_MB_END, 4096));
	set_initrd(bed, 16 * MIB - align_up(MK_MB_END, 4096) + 1);
	assert_refused(bed, 16 * MIB, "initrd i.env of 12269 KiB does not fit");
	set_initrd(bed, 3 * MIB);
	assert_boots(bed, 5 * MIB);
	assert_int_equal(module(bed, 0), MIB);
	set_initrd(bed, 3 * MIB + 1);
	assert_refused(bed, 5 * MIB, "there is room for 3072 KiB beside the kernel");
	set_initrd(bed, (u64)1 << 60);
	assert_refused(bed, 8 * GIB, "does not fit");
	set_initrd(bed, INT64_MAX);
	assert_refused(bed, 8 * GIB, "does not fit");
}

static void images_may_lie_in_conventional_memory(void **state)
{
	struct bed *bed = *state;
	u8 *f = bed->file;

	put_le32(MK_MB_PHDR(f, 0, p_paddr), 0x8000);
	put_le32(MK_MB_PHDR(f, 1, p_paddr), 0x9000);
	put_le32(MK_MB_EHDR(f, e_entry), 0x800c);
	assert_boots(bed, 4 * MIB);
	assert_int_equal(bed->entry.pc, 0x800c);
	assert_guest_bytes(bed, 0x8000, f + MK_MB_TEXT_OFF, MK_MB_TEXT_LEN);
	assert_in_range(bed->entry.param, 0x9000 + MK_MB_DATA_MEMSZ, X86_EBDA_GPA - MBI_LEN);

	/* all of it, but for what the information needs: that goes below */
	put_le32(MK_MB_PHDR(f, 1, p_memsz), (u32)X86_EBDA_GPA - 0x9000);
	assert_boots(bed, 4 * MIB);
	assert_int_equal(bed->entry.param, 0x8000 - MBI_LEN);

	/* and without room there, above, behind the module */
	put_le32(MK_MB_PHDR(f, 0, p_paddr), 0x2000);
	put_le32(MK_MB_EHDR(f, e_entry), 0x200c);
	assert_boots(bed, 4 * MIB);
	assert_int_equal(bed->entry.param, 4 * MIB - MBI_LEN);
	set_initrd(bed, 5000);
	assert_boots(bed, 4 * MIB);
	assert_int_equal(bed->entry.param, 4 * MIB - MBI_LEN);
	assert_int_equal(module(bed, 0), 4 * MIB - MBI_LEN - 0x2000);
	set_initrd(bed, 3 * MIB - MBI_LEN);
	assert_boots(bed, 4 * MIB);
	set_initrd(bed, 3 * MIB - MBI_LEN + 1);
	assert_refused(bed, 4 * MIB, "does not fit");
}

static void segments_keep_off_what_is_no_memory(void **state)
{
	struct bed *bed = *state;
	u8 *gpa = MK_MB_PHDR(bed->file, 1, p_paddr), *memsz = MK_MB_PHDR(bed->file, 1, p_memsz);

	put_le32(gpa, (u32)X86_EBDA_GPA - MK_MB_DATA_MEMSZ);
	assert_boots(bed, 8 * MIB);
	put_le32(gpa, (u32)X86_EBDA_GPA - MK_MB_DATA_MEMSZ + 1);
	assert_refused(bed, 8 * MIB, "has a segment at 0x9cc01-0x9fc00; below 0x9fc00 and between");
	put_le32(gpa, 0xa0000);
	assert_refused(bed, 8 * MIB, "has a segment at 0xa0000-");
	put_le32(gpa, X86_HIGH_RAM_GPA - 1);
	assert_refused(bed, 8 * MIB, "has a segment at 0xfffff-");
	put_le32(gpa, X86_HIGH_RAM_GPA);
	assert_boots(bed, 8 * MIB);
	put_le32(gpa, 8 * MIB - MK_MB_DATA_MEMSZ);
	assert_boots(bed, 8 * MIB);
	put_le32(gpa, 8 * MIB - MK_MB_DATA_MEMSZ + 1);
	assert_refused(bed, 8 * MIB, "needs at least 9 MiB of memory; --mem gives 8 MiB");
	put_le32(gpa, (u32)X86_HOLE_START);
	assert_refused(bed, 4 * GIB, "and 0xc0000000 is possible");
	put_le32(gpa, 0xffffffff - MK_MB_DATA_MEMSZ + 1);
	assert_refused(bed, 4 * GIB, "has a segment at");
	/* it would reach over the end of what 32 bits can say */
	put_le32(gpa, 0xfffff000);
	put_le32(memsz, 0xffffffff);
	assert_refused(bed, 4 * GIB, "has a segment at");
	put_le32(gpa, MK_MB_TEXT_GPA + MK_MB_TEXT_LEN - 1);
	assert_refused(bed, 4 * GIB, "its segments at 0x400000 and 0x4001ff overlap");
	/* all there is, from the first byte on: no room for the information */
	put_le32(MK_MB_PHDR(bed->file, 0, p_paddr), 0);
	put_le32(MK_MB_EHDR(bed->file, e_entry), 0xc);
	put_le32(gpa, X86_HIGH_RAM_GPA);
	put_le32(memsz, 3 * MIB);
	assert_refused(bed, 4 * MIB, "leaves no room for what it is told in --mem of 4 MiB");
}

static void the_entry_must_be_in_the_file(void **state)
{
	struct bed *bed = *state;
	u8 *entry = MK_MB_EHDR(bed->file, e_entry);

	put_le32(entry, MK_MB_TEXT_GPA + MK_MB_TEXT_LEN);
	assert_refused(bed, 16 * MIB, "entered at 0x400200, where none of its segments has code");
	put_le32(entry, MK_MB_DATA_GPA + MK_MB_DATA_LEN);
	assert_refused(bed, 16 * MIB, "entered at 0x402100");
	put_le32(entry, 0xffffffff);
	assert_refused(bed, 16 * MIB, "entered at 0xffffffff");
}

/* ---- files that lie ---- */

static void lying_tables_are_refused(void **state)
{
	struct bed *bed = *state;
	u8 *f = bed->file;

	put_le32(MK_MB_EHDR(f, e_phoff), 0xffffffff);
	assert_refused(bed, 16 * MIB, "its ELF program headers are not in the file");
	put_le32(MK_MB_EHDR(f, e_phoff), 52);
	put_le16(MK_MB_EHDR(f, e_phentsize), 56);
	assert_refused(bed, 16 * MIB, "its ELF program headers are not in the file");
	put_le16(MK_MB_EHDR(f, e_phentsize), 32);
	put_le16(MK_MB_EHDR(f, e_phnum), 0);
	assert_refused(bed, 16 * MIB, "has 0 ELF program headers");
	put_le16(MK_MB_EHDR(f, e_phnum), 0xffff);
	assert_refused(bed, 16 * MIB, "has 65535 ELF program headers");
	put_le16(MK_MB_EHDR(f, e_phnum), 2);
	put_le32(MK_MB_EHDR(f, e_shoff), MK_MB_SHDR_OFF + 1);
	assert_refused(bed, 16 * MIB, "its ELF section headers are not in the file");
	put_le32(MK_MB_EHDR(f, e_shoff), 0);
	assert_boots(bed, 16 * MIB);
	put_le32(MK_MB_PHDR(f, 1, p_offset), MK_MB_SIZE);
	assert_refused(bed, 16 * MIB, "is truncated or corrupt: segment 1");
	put_le32(MK_MB_PHDR(f, 1, p_offset), 0xffffffff);
	assert_refused(bed, 16 * MIB, "is truncated or corrupt: segment 1");
	put_le32(MK_MB_PHDR(f, 1, p_offset), MK_MB_DATA_OFF);
	put_le32(MK_MB_PHDR(f, 1, p_memsz), MK_MB_DATA_LEN - 1);
	assert_refused(bed, 16 * MIB, "256 bytes in the file and only 255 in memory");
	put_le16(MK_MB_EHDR(f, e_type), ET_REL);
	assert_refused(bed, 16 * MIB, "not an executable");
	put_le16(MK_MB_EHDR(f, e_type), ET_EXEC);
	f[EI_CLASS] = ELFCLASS64;
	assert_refused(bed, 16 * MIB, "is an ELF file for 32-bit x86");
	f[EI_CLASS] = ELFCLASS32;
	put_le16(MK_MB_EHDR(f, e_machine), EM_ARM);
	assert_refused(bed, 16 * MIB, "is an ELF file for 32-bit ARM (machine 40); x86-64");
}

static void symbols_of_32_bits_are_found(void **state)
{
	struct bed *bed = *state;
	char name[64];

	mk_image(&bed->kernel, "kernel", "k.flat", bed->file, bed->len);
	assert_int_equal(elf_symbol(&bed->kernel, MK_MB_TEXT_GPA + 4, name, sizeof(name)), 0);
	assert_string_equal(name, "start+0x4");
	assert_int_equal(elf_symbol(&bed->kernel, MK_MB_TEXT_GPA + 0x11f, name, sizeof(name)), 0);
	assert_string_equal(name, "last+0x1f");
	assert_int_equal(elf_symbol(&bed->kernel, MK_MB_TEXT_GPA + 0x120, name, sizeof(name)),
			 -ENOENT);
	/* entries of another kind of file */
	put_le32(MK_MB_SHDR(bed->file, 2, sh_entsize), 24);
	mk_image(&bed->kernel, "kernel", "k.flat", bed->file, bed->len);
	assert_int_equal(elf_symbol(&bed->kernel, MK_MB_TEXT_GPA + 4, name, sizeof(name)), -ENOENT);
	assert_string_equal(name, "the kernel has no symbols");
}

/* Refused with one message, or booted with none. */
static void judge(struct bed *bed)
{
	char name[64];
	int ret = boot(bed, 8 * MIB);

	assert_int_equal(!ret, !bed->err.msg[0]);
	assert_true(!ret || (ret == -EINVAL && bed->err.kind == LKVM_ERR_INPUT));
	elf_symbol(&bed->kernel, MK_MB_TEXT_GPA + 4, name, sizeof(name));
}

static void truncation_anywhere_is_survived(void **state)
{
	struct bed *bed = *state;

	for (bed->len = 1; bed->len < MK_MB_SIZE; bed->len += bed->len < 200 ? 1 : 13) {
		assert_int_equal(boot(bed, 8 * MIB), -EINVAL);
		assert_string_not_equal(bed->err.msg, "");
	}
}

static void corrupt_bytes_are_survived(void **state)
{
	static const struct {
		size_t from, to;
	} parts[] = { { 0, 116 },
		      { MK_MB_TEXT_OFF, MK_MB_TEXT_OFF + 12 },
		      { MK_MB_SHDR_OFF, MK_MB_SIZE } };
	struct bed *bed = *state;

	for (size_t p = 0; p < ARRAY_SIZE(parts); p++) {
		for (size_t i = parts[p].from; i < parts[p].to; i++) {
			u8 good = bed->file[i];

			for (unsigned int bit = 0; bit < 8; bit++) {
				bed->file[i] = good ^ (u8)BIT(bit);
				judge(bed);
			}
			bed->file[i] = 0xff;
			judge(bed);
			bed->file[i] = good;
		}
	}
	assert_boots(bed, 8 * MIB);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
	const struct CMUnitTest tests[] = {
		T(the_header_is_in_the_first_8_kib),
		T(what_the_header_asks_for_is_checked),
		T(a_32_bit_file_has_no_other_entry),
		T(a_32_bit_file_may_have_a_pvh_entry),
		T(a_64_bit_file_with_the_header_is_one_unless_it_has_more),
		T(segments_are_loaded_and_entered),
		T(the_information_is_complete),
		T(the_map_tells_of_all_memory),
		T(an_initrd_is_the_module),
		T(modules_fit_to_the_byte),
		T(images_may_lie_in_conventional_memory),
		T(segments_keep_off_what_is_no_memory),
		T(the_entry_must_be_in_the_file),
		T(lying_tables_are_refused),
		T(symbols_of_32_bits_are_found),
		T(truncation_anywhere_is_survived),
		T(corrupt_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
