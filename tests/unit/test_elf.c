/*
 * ELF kernels: what is read from the headers, what is loaded, what is refused, and symbols.
 *
 * Does not prove that a real kernel's file is read right (check-bed boots one),
 * nor that libelf is free of faults beyond the damage done here (the fuzz target looks further).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/mkkernel.h"
#include "vmm/elf.h"

struct bed {
	u8 file[MK_MAX];
	size_t len;
	struct image img;
	struct gmem gm;
	struct elf_kernel elf;
	struct lkvm_error err;
};

static int bed_setup(void **state)
{
	static struct bed bed;

	bed = (struct bed){ .img = IMAGE_NONE };
	bed.len = mk_elf(bed.file);
	*state = &bed;
	return gmem_add(&bed.gm, 0, 4 * MIB, NULL);
}

static int bed_teardown(void **state)
{
	struct bed *bed = *state;

	image_close(&bed->img);
	gmem_fini(&bed->gm);
	return 0;
}

static int parse(struct bed *bed)
{
	mk_image(&bed->img, "kernel", "k.elf", bed->file, bed->len);
	bed->err = (struct lkvm_error){ 0 };
	return elf_parse(&bed->img, EM_X86_64, &bed->elf, &bed->err);
}

static void assert_refused(struct bed *bed, const char *words)
{
	assert_int_equal(parse(bed), -EINVAL);
	assert_int_equal(bed->err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(bed->err.msg, "k.elf"));
	if (!strstr(bed->err.msg, words))
		fail_msg("'%s' is not in '%s'", words, bed->err.msg);
}

/* Undo the damage of the last case. */
static void mend(struct bed *bed)
{
	bed->len = mk_elf(bed->file);
}

static void headers_are_read(void **state)
{
	struct bed *bed = *state;
	const struct elf_kernel *elf = &bed->elf;

	assert_int_equal(parse(bed), 0);
	assert_string_equal(bed->err.msg, "");
	assert_int_equal(elf->machine, EM_X86_64);
	assert_int_equal(elf->entry, MK_ELF_ENTRY);
	assert_true(elf->has_pvh);
	assert_int_equal(elf->pvh_entry, MK_ELF_PVH_ENTRY);
	assert_int_equal(elf->n_segments, 2);
	assert_int_equal(elf->segments[0].gpa, MK_ELF_TEXT_GPA);
	assert_int_equal(elf->segments[1].off, MK_ELF_DATA_OFF);
	assert_int_equal(elf->segments[1].filesz, MK_ELF_DATA_LEN);
	assert_int_equal(elf->segments[1].memsz, MK_ELF_DATA_MEMSZ);
	assert_int_equal(elf->start, MK_ELF_TEXT_GPA);
	assert_int_equal(elf->end, MK_ELF_END);
}

static void segments_are_sorted(void **state)
{
	struct bed *bed = *state;

	put_le64(MK_PHDR(bed->file, 0, p_paddr), 0x200000);
	assert_int_equal(parse(bed), 0);
	assert_int_equal(bed->elf.segments[0].gpa, MK_ELF_DATA_GPA);
	assert_int_equal(bed->elf.segments[1].gpa, 0x200000);
	assert_int_equal(bed->elf.start, MK_ELF_DATA_GPA);
	assert_int_equal(bed->elf.end, 0x200000 + MK_ELF_TEXT_LEN);
}

static void touching_segments_are_taken(void **state)
{
	struct bed *bed = *state;

	put_le64(MK_PHDR(bed->file, 1, p_paddr), MK_ELF_TEXT_GPA + MK_ELF_TEXT_LEN);
	assert_int_equal(parse(bed), 0);
	put_le64(MK_PHDR(bed->file, 1, p_paddr), MK_ELF_TEXT_GPA + MK_ELF_TEXT_LEN - 1);
	assert_refused(bed, "overlap");
}

static void empty_segments_are_ignored(void **state)
{
	struct bed *bed = *state;

	put_le64(MK_PHDR(bed->file, 1, p_filesz), 0);
	put_le64(MK_PHDR(bed->file, 1, p_memsz), 0);
	assert_int_equal(parse(bed), 0);
	assert_int_equal(bed->elf.n_segments, 1);
	put_le32(MK_PHDR(bed->file, 0, p_type), PT_NULL);
	assert_refused(bed, "no segment to load");
}

static void pvh_note_may_have_4_or_8_bytes(void **state)
{
	struct bed *bed = *state;

	mk_elf_note(bed->file, MK_ELF_NOTE_OFF, 18, 8, MK_ELF_PVH_ENTRY + 8);
	put_le64(MK_PHDR(bed->file, 2, p_filesz), 24);
	assert_int_equal(parse(bed), 0);
	assert_int_equal(bed->elf.pvh_entry, MK_ELF_PVH_ENTRY + 8);

	mk_elf_note(bed->file, MK_ELF_NOTE_OFF, 18, 8, 0x100000000);
	assert_refused(bed, "above 4 GiB");
	put_le32(bed->file + MK_ELF_NOTE_OFF + 4, 2);
	assert_refused(bed, "4 or 8");
}

static void pvh_note_is_found_behind_others(void **state)
{
	struct bed *bed = *state;
	u8 *f = bed->file;

	mk_elf_note(f, MK_ELF_NOTE_OFF, 1, 4, 0);
	mk_elf_note(f, MK_ELF_NOTE_OFF + 20, 18, 4, 0xbad);
	memcpy(f + MK_ELF_NOTE_OFF + 32, "GNU", 4);
	mk_elf_note(f, MK_ELF_NOTE_OFF + 40, 18, 4, MK_ELF_PVH_ENTRY);
	put_le64(MK_PHDR(f, 2, p_filesz), 60);
	assert_int_equal(parse(bed), 0);
	assert_true(bed->elf.has_pvh);
	assert_int_equal(bed->elf.pvh_entry, MK_ELF_PVH_ENTRY);

	/* one that claims more than its segment has hides those behind it, and is no error */
	put_le32(f + MK_ELF_NOTE_OFF + 4, 0xfffffff0);
	assert_int_equal(parse(bed), 0);
	assert_false(bed->elf.has_pvh);
}

static void notes_of_any_length_are_not_read(void **state)
{
	struct bed *bed = *state;

	put_le64(MK_PHDR(bed->file, 2, p_filesz), 64 * KIB);
	mk_image(&bed->img, "kernel", "k.elf", bed->file, bed->len);
	assert_int_equal(ftruncate(bed->img.fd, 128 * KIB), 0);
	bed->img.size = 128 * KIB;
	assert_int_equal(elf_parse(&bed->img, EM_X86_64, &bed->elf, &bed->err), 0);
	assert_true(bed->elf.has_pvh);
	put_le64(MK_PHDR(bed->file, 2, p_filesz), 64 * KIB + 1);
	assert_int_equal(pwrite(bed->img.fd, bed->file, bed->len, 0), bed->len);
	assert_int_equal(elf_parse(&bed->img, EM_X86_64, &bed->elf, &bed->err), -EINVAL);
	assert_non_null(strstr(bed->err.msg, "too long"));
}

static void kernels_without_notes_have_no_pvh_entry(void **state)
{
	struct bed *bed = *state;

	put_le32(MK_PHDR(bed->file, 2, p_type), PT_NULL);
	assert_int_equal(parse(bed), 0);
	assert_false(bed->elf.has_pvh);
}

static void other_files_are_refused_by_name(void **state)
{
	struct bed *bed = *state;
	u8 *f = bed->file;

	f[EI_MAG1] = 'e';
	assert_refused(bed, "not an ELF file");
	mend(bed);
	f[EI_DATA] = ELFDATA2MSB;
	assert_refused(bed, "big-endian");
	mend(bed);
	f[EI_CLASS] = ELFCLASS32;
	assert_refused(bed, "32-bit ELF");
	mend(bed);
	f[EI_VERSION] = 2;
	assert_refused(bed, "ELF version 2");
	mend(bed);
	put_le16(MK_EHDR(f, e_machine), EM_AARCH64);
	assert_refused(bed, "is an ELF file for arm64 (machine 183); x86-64 is needed");
	put_le16(MK_EHDR(f, e_machine), 258);
	assert_refused(bed, "LoongArch");
	put_le16(MK_EHDR(f, e_machine), EM_386);
	assert_refused(bed, "i386");
	put_le16(MK_EHDR(f, e_machine), 0xffff);
	assert_refused(bed, "unknown machine (machine 65535)");
	mend(bed);
	put_le16(MK_EHDR(f, e_type), ET_REL);
	assert_refused(bed, "not an executable");
	put_le16(MK_EHDR(f, e_type), ET_CORE);
	assert_refused(bed, "not an executable");
}

static void lying_tables_are_refused(void **state)
{
	struct bed *bed = *state;
	u8 *f = bed->file;

	put_le16(MK_EHDR(f, e_phnum), 0);
	assert_refused(bed, "0 ELF program headers");
	put_le16(MK_EHDR(f, e_phnum), 129);
	assert_refused(bed, "129 ELF program headers; 1 to 128");
	put_le16(MK_EHDR(f, e_phnum), 0xffff);
	assert_refused(bed, "65535 ELF program headers");
	mend(bed);
	put_le16(MK_EHDR(f, e_phentsize), 32);
	assert_refused(bed, "program headers are not in the file");
	mend(bed);
	put_le64(MK_EHDR(f, e_phoff), bed->len - 3 * 56 + 1);
	assert_refused(bed, "program headers are not in the file");
	put_le64(MK_EHDR(f, e_phoff), UINT64_MAX - 8);
	assert_refused(bed, "program headers are not in the file");
	mend(bed);
	put_le64(MK_EHDR(f, e_shoff), bed->len - 4 * 64 + 1);
	assert_refused(bed, "section headers are not in the file");
	mend(bed);
	/* the number is then said to be in section 0: any number */
	put_le16(MK_EHDR(f, e_shnum), 0);
	put_le64(MK_SHDR(f, 0, sh_size), UINT32_MAX);
	assert_refused(bed, "section headers are not in the file");
	mend(bed);
	put_le16(MK_EHDR(f, e_shentsize), 0);
	assert_refused(bed, "section headers are not in the file");
}

static void lying_segments_are_refused(void **state)
{
	struct bed *bed = *state;
	u8 *f = bed->file;

	put_le64(MK_PHDR(f, 1, p_memsz), MK_ELF_DATA_LEN - 1);
	assert_refused(bed, "segment 1 has 256 bytes in the file and only 255 in memory");
	mend(bed);
	put_le64(MK_PHDR(f, 1, p_offset), bed->len - MK_ELF_DATA_LEN + 1);
	assert_refused(bed, "segment 1, 256 bytes at");
	put_le64(MK_PHDR(f, 1, p_offset), UINT64_MAX - 4);
	assert_refused(bed, "segment 1, 256 bytes at");
	mend(bed);
	put_le64(MK_PHDR(f, 1, p_paddr), UINT64_MAX - MK_ELF_DATA_MEMSZ + 1);
	assert_refused(bed, "segment 1 wraps");
	mend(bed);
	put_le64(MK_PHDR(f, 1, p_memsz), UINT64_MAX);
	assert_refused(bed, "segment 1 wraps");
	mend(bed);
	put_le64(MK_PHDR(f, 1, p_paddr), MK_ELF_TEXT_GPA);
	assert_refused(bed, "segments at 0x100000 and 0x100000 overlap");
	mend(bed);
	put_le64(MK_PHDR(f, 2, p_offset), bed->len - MK_ELF_NOTE_LEN + 1);
	assert_refused(bed, "notes in segment 2");
	mend(bed);
	put_le64(MK_PHDR(f, 2, p_filesz), UINT64_MAX);
	assert_refused(bed, "notes in segment 2");
}

static void more_segments_than_there_is_room_for_are_refused(void **state)
{
	struct bed *bed = *state;

	/* over the text segment's bytes: nothing here looks at them */
	put_le64(MK_EHDR(bed->file, e_phoff), MK_ELF_TEXT_OFF);
	put_le64(MK_EHDR(bed->file, e_shoff), 0);
	put_le16(MK_EHDR(bed->file, e_shnum), 0);
	put_le16(MK_EHDR(bed->file, e_phnum), ELF_MAX_SEGMENTS);
	for (unsigned int i = 0; i <= ELF_MAX_SEGMENTS; i++) {
		Elf64_Phdr ph = { .p_type = PT_LOAD, .p_paddr = 0x100000 + i * 16, .p_memsz = 16 };

		memcpy(bed->file + MK_ELF_TEXT_OFF + i * sizeof(ph), &ph, sizeof(ph));
	}
	bed->len = MK_MAX;
	assert_int_equal(parse(bed), 0);
	assert_int_equal(bed->elf.n_segments, ELF_MAX_SEGMENTS);
	put_le16(MK_EHDR(bed->file, e_phnum), ELF_MAX_SEGMENTS + 1);
	assert_refused(bed, "more than 32 segments");
}

static void loading_fills_and_zeroes(void **state)
{
	struct bed *bed = *state;
	u8 got[MK_ELF_DATA_MEMSZ + 2], junk[sizeof(got)];

	memset(junk, 0xaa, sizeof(junk));
	assert_int_equal(gmem_write(&bed->gm, MK_ELF_DATA_GPA - 1, junk, sizeof(junk)), 0);
	assert_int_equal(parse(bed), 0);
	assert_int_equal(elf_load(&bed->img, &bed->elf, &bed->gm, &bed->err), 0);

	assert_int_equal(gmem_read(&bed->gm, MK_ELF_TEXT_GPA, got, MK_ELF_TEXT_LEN), 0);
	assert_memory_equal(got, bed->file + MK_ELF_TEXT_OFF, MK_ELF_TEXT_LEN);
	assert_int_equal(gmem_read(&bed->gm, MK_ELF_DATA_GPA - 1, got, sizeof(got)), 0);
	assert_int_equal(got[0], 0xaa);
	assert_memory_equal(got + 1, bed->file + MK_ELF_DATA_OFF, MK_ELF_DATA_LEN);
	for (size_t i = MK_ELF_DATA_LEN; i < MK_ELF_DATA_MEMSZ; i++)
		assert_int_equal(got[1 + i], 0);
	assert_int_equal(got[sizeof(got) - 1], 0xaa);
}

static void kernels_can_be_moved(void **state)
{
	static const u64 va = 0xffff800080000000;
	struct bed *bed = *state;
	u8 got[MK_ELF_TEXT_LEN];

	put_le64(MK_PHDR(bed->file, 0, p_paddr), va + MK_ELF_TEXT_GPA);
	put_le64(MK_PHDR(bed->file, 1, p_paddr), va + MK_ELF_DATA_GPA);
	put_le64(MK_EHDR(bed->file, e_entry), va + MK_ELF_ENTRY);
	assert_int_equal(parse(bed), 0);
	assert_int_equal(bed->elf.start, va + MK_ELF_TEXT_GPA);
	elf_move(&bed->elf, 0x10000 - va);
	assert_int_equal(bed->elf.start, MK_ELF_TEXT_GPA + 0x10000);
	assert_int_equal(bed->elf.end, MK_ELF_END + 0x10000);
	assert_int_equal(bed->elf.entry, MK_ELF_ENTRY + 0x10000);
	assert_int_equal(bed->elf.segments[1].gpa, MK_ELF_DATA_GPA + 0x10000);
	assert_int_equal(bed->elf.pvh_entry, MK_ELF_PVH_ENTRY);

	assert_int_equal(elf_load(&bed->img, &bed->elf, &bed->gm, &bed->err), 0);
	assert_int_equal(gmem_read(&bed->gm, MK_ELF_TEXT_GPA + 0x10000, got, sizeof(got)), 0);
	assert_memory_equal(got, bed->file + MK_ELF_TEXT_OFF, sizeof(got));
}

static void segments_outside_ram_are_not_loaded(void **state)
{
	struct bed *bed = *state;
	u8 first;

	put_le64(MK_PHDR(bed->file, 1, p_paddr), 4 * MIB - MK_ELF_DATA_MEMSZ);
	assert_int_equal(parse(bed), 0);
	assert_int_equal(elf_load(&bed->img, &bed->elf, &bed->gm, &bed->err), 0);

	gmem_zero(&bed->gm, MK_ELF_TEXT_GPA, MK_ELF_TEXT_LEN);
	put_le64(MK_PHDR(bed->file, 1, p_paddr), 4 * MIB - MK_ELF_DATA_MEMSZ + 1);
	assert_int_equal(parse(bed), 0);
	assert_int_equal(elf_load(&bed->img, &bed->elf, &bed->gm, &bed->err), -EINVAL);
	assert_int_equal(bed->err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(bed->err.msg, "0x3fd001-0x400000"));
	/* not even the segment that is all right */
	assert_int_equal(gmem_read(&bed->gm, MK_ELF_TEXT_GPA, &first, 1), 0);
	assert_int_equal(first, 0);
}

static void files_that_shrink_are_refused(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(parse(bed), 0);
	assert_int_equal(ftruncate(bed->img.fd, MK_ELF_DATA_OFF + 1), 0);
	assert_int_equal(elf_load(&bed->img, &bed->elf, &bed->gm, &bed->err), -EINVAL);
	assert_non_null(strstr(bed->err.msg, "kernel k.elf is truncated"));

	for (u64 len = 0; len < MK_ELF_NOTE_OFF + MK_ELF_NOTE_LEN; len++) {
		mk_image(&bed->img, "kernel", "k.elf", bed->file, bed->len);
		assert_int_equal(ftruncate(bed->img.fd, (off_t)len), 0);
		bed->err = (struct lkvm_error){ 0 };
		assert_int_equal(elf_parse(&bed->img, EM_X86_64, &bed->elf, &bed->err), -EINVAL);
		assert_true(bed->err.msg[0]);
	}
}

/* Whatever is in the file: success without a message, or failure with one. */
static void judge(struct bed *bed)
{
	char buf[160] = "";
	int ret = parse(bed);

	if (!ret)
		ret = elf_load(&bed->img, &bed->elf, &bed->gm, &bed->err);
	if (ret != 0 && ret != -EINVAL)
		fail_msg("returned %d", ret);
	assert_int_equal(!ret, !bed->err.msg[0]);
	assert_int_equal(!ret, bed->err.kind == LKVM_ERR_NONE);

	ret = elf_symbol(&bed->img, 0x100001, buf, sizeof(buf));
	assert_true(!ret || ret == -ENOENT);
	assert_true(buf[0]);
}

static void truncation_anywhere_is_survived(void **state)
{
	struct bed *bed = *state;

	for (bed->len = 0; bed->len < MK_ELF_SIZE; bed->len++) {
		judge(bed);
		assert_true(bed->err.msg[0]);
	}
	judge(bed);
	assert_string_equal(bed->err.msg, "");
}

static void corrupt_headers_are_survived(void **state)
{
	static const struct {
		unsigned int from, to;
	} parts[] = {
		{ 0, MK_ELF_PH(3) },
		{ MK_ELF_NOTE_OFF, MK_ELF_NOTE_OFF + MK_ELF_NOTE_LEN },
		{ MK_ELF_SYMTAB_OFF, MK_ELF_SYMTAB_OFF + 5 * 24 },
		{ MK_ELF_SHDR_OFF, MK_ELF_SIZE },
	};
	struct bed *bed = *state;

	for (size_t p = 0; p < ARRAY_SIZE(parts); p++) {
		for (unsigned int i = parts[p].from; i < parts[p].to; i++) {
			u8 good = bed->file[i];

			for (unsigned int bit = 0; bit < 8; bit++) {
				bed->file[i] = good ^ (u8)BIT(bit);
				judge(bed);
			}
			bed->file[i] = 0xff;
			judge(bed);
			bed->file[i] = 0x7f;
			judge(bed);
			bed->file[i] = 0;
			judge(bed);
			bed->file[i] = good;
		}
	}
}

/* ---- symbols ---- */

static void assert_symbol(struct bed *bed, u64 addr, int ret, const char *text)
{
	char buf[160];

	mk_image(&bed->img, "kernel", "k.elf", bed->file, bed->len);
	assert_int_equal(elf_symbol(&bed->img, addr, buf, sizeof(buf)), ret);
	assert_string_equal(buf, text);
}

static void functions_are_found_by_address(void **state)
{
	static const char none[] = "no function of the kernel covers this address";
	struct bed *bed = *state;

	assert_symbol(bed, 0xfffff, -ENOENT, none);
	assert_symbol(bed, 0x100000, 0, "start+0x0");
	assert_symbol(bed, 0x10003f, 0, "start+0x3f");
	assert_symbol(bed, 0x100040, -ENOENT, none);
	/* a label reaches on, but a function with a size comes first */
	assert_symbol(bed, 0x100080, 0, "label+0x0");
	assert_symbol(bed, 0x1000ff, 0, "label+0x7f");
	assert_symbol(bed, 0x10011f, 0, "last+0x1f");
	assert_symbol(bed, 0x100120, 0, "label+0xa0");
	assert_symbol(bed, 0x1001ff, 0, "label+0x17f");
	assert_symbol(bed, 0x100200, -ENOENT, none);
	assert_symbol(bed, UINT64_MAX, -ENOENT, none);

	/* even when the label is nearer */
	mk_elf_sym(bed->file, 2, 7, STT_NOTYPE, 1, 0x100010, 0);
	assert_symbol(bed, 0x100020, 0, "start+0x20");
	assert_symbol(bed, 0x100040, 0, "label+0x30");
	/* of two functions, the inner one; of two at one address, the one that says it is one */
	mk_elf_sym(bed->file, 2, 7, STT_FUNC, 1, 0x100010, 8);
	assert_symbol(bed, 0x100017, 0, "label+0x7");
	assert_symbol(bed, 0x100018, 0, "start+0x18");
	mk_elf_sym(bed->file, 2, 7, STT_NOTYPE, 1, 0x100000, 0x10);
	assert_symbol(bed, 0x100000, 0, "start+0x0");
	mk_elf_sym(bed->file, 2, 7, STT_FUNC, 1, 0x100000, 0x10);
	mk_elf_sym(bed->file, 1, 1, STT_NOTYPE, 1, 0x100000, 0x10);
	assert_symbol(bed, 0x100000, 0, "label+0x0");
	/* data, and symbols of no section, are no code */
	mk_elf_sym(bed->file, 2, 7, STT_OBJECT, 1, 0x100000, 0x10);
	mk_elf_sym(bed->file, 1, 1, STT_FUNC, SHN_ABS, 0x100000, 0x10);
	assert_symbol(bed, 0x100000, -ENOENT, none);
}

static void names_are_made_printable(void **state)
{
	struct bed *bed = *state;

	memcpy(bed->file + MK_ELF_STRTAB_OFF + 1, "s\x1b[\n\xff", 5);
	assert_symbol(bed, 0x100000, 0, "s?[??+0x0");
}

static void symbols_need_sane_tables(void **state)
{
	static const char none[] = "the kernel has no symbols";
	struct bed *bed = *state;
	u8 *f = bed->file;

	put_le32(MK_SHDR(f, 2, sh_type), SHT_NULL);
	assert_symbol(bed, 0x100000, -ENOENT, none);
	mend(bed);
	put_le64(MK_SHDR(f, 2, sh_entsize), 16);
	assert_symbol(bed, 0x100000, -ENOENT, none);
	mend(bed);
	put_le64(MK_SHDR(f, 2, sh_size), (u64)1 << 40);
	assert_symbol(bed, 0x100000, -ENOENT, none);
	mend(bed);
	put_le32(MK_SHDR(f, 2, sh_link), 77);
	assert_symbol(bed, 0x100000, -ENOENT, none);
	mend(bed);
	/* libelf would unpack it, and allocate whatever the file says for that */
	put_le64(MK_SHDR(f, 3, sh_flags), SHF_COMPRESSED);
	assert_symbol(bed, 0x100000, -ENOENT, none);
	mend(bed);
	f[0] = 0;
	assert_symbol(bed, 0x100000, -ENOENT, "the kernel is not an ELF file with symbols");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
	const struct CMUnitTest tests[] = {
		T(headers_are_read),
		T(segments_are_sorted),
		T(touching_segments_are_taken),
		T(empty_segments_are_ignored),
		T(pvh_note_may_have_4_or_8_bytes),
		T(pvh_note_is_found_behind_others),
		T(notes_of_any_length_are_not_read),
		T(kernels_without_notes_have_no_pvh_entry),
		T(other_files_are_refused_by_name),
		T(lying_tables_are_refused),
		T(lying_segments_are_refused),
		T(more_segments_than_there_is_room_for_are_refused),
		T(loading_fills_and_zeroes),
		T(kernels_can_be_moved),
		T(segments_outside_ram_are_not_loaded),
		T(files_that_shrink_are_refused),
		T(truncation_anywhere_is_survived),
		T(corrupt_headers_are_survived),
		T(functions_are_found_by_address),
		T(names_are_made_printable),
		T(symbols_need_sane_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
