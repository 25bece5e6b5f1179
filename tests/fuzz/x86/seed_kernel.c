/*
 * seed_kernel DIR: write the seeds of fuzz_kernel.c there: good files of each kind,
 * on machines where they just fit and where they do not.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/mkkernel.h"

struct seed {
	const char *name;
	size_t (*make)(u8 *file);
	u8 machine; /* index into machines[] of the target */
	u8 boot;    /* enum lkvm_boot */
	u16 cmdline;
	u32 initrd;
};

static size_t mk_arm64(u8 *f)
{
	memset(f, 0, MK_MAX);
	memcpy(f + 56, "ARM\x64", 4);
	return 64;
}

static size_t mk_efi(u8 *f)
{
	memset(f, 0, MK_MAX);
	memcpy(f, "MZ", 2);
	put_le32(f + 0x3c, 0x80);
	memcpy(f + 0x80, "PE\0\0\x64\xaa", 6);
	return 256;
}

/* At 2 MiB and of no size, so that it fits into small machines. */
static size_t mk_small_bzimage(u8 *f)
{
	size_t len = mk_bzimage(f);

	put_le64(f + 0x258, 2 * MIB);
	put_le32(f + 0x260, 64 * KIB);
	return len;
}

static size_t mk_old_bzimage(u8 *f)
{
	size_t len = mk_small_bzimage(f);

	put_le16(f + 0x236, 1);
	put_le32(f + 0x22c, 3 * MIB - 1);
	return len;
}

static size_t mk_elf_note64(u8 *f)
{
	size_t len = mk_elf(f);

	mk_elf_note(f, MK_ELF_NOTE_OFF, 18, 8, MK_ELF_PVH_ENTRY);
	put_le64(MK_PHDR(f, 2, p_filesz), 24);
	put_le64(MK_PHDR(f, 2, p_align), 8);
	return len;
}

static size_t mk_elf_no_sections(u8 *f)
{
	mk_elf(f);
	put_le64(MK_EHDR(f, e_shoff), 0);
	put_le16(MK_EHDR(f, e_shnum), 0);
	return MK_ELF_DATA_OFF + MK_ELF_DATA_LEN;
}

/* In conventional memory, all of it but for a page. */
static size_t mk_low_multiboot(u8 *f)
{
	size_t len = mk_multiboot(f);

	put_le32(MK_MB_PHDR(f, 0, p_paddr), 0x1000);
	put_le32(MK_MB_PHDR(f, 1, p_paddr), 0x2000);
	put_le32(MK_MB_PHDR(f, 1, p_memsz), 0x9d000);
	put_le32(MK_MB_EHDR(f, e_entry), 0x100c);
	return len;
}

static size_t mk_small_multiboot(u8 *f)
{
	size_t len = mk_multiboot(f);

	put_le32(MK_MB_PHDR(f, 0, p_paddr), MIB);
	put_le32(MK_MB_PHDR(f, 1, p_paddr), MIB + 0x2000);
	put_le32(MK_MB_EHDR(f, e_entry), MIB + 12);
	return len;
}

static size_t mk_multiboot64(u8 *f)
{
	size_t len = mk_elf_no_sections(f);

	put_le32(MK_PHDR(f, 2, p_type), PT_NULL);
	mk_mb_header(f, MK_ELF_TEXT_OFF, 3);
	return len;
}

static const struct seed seeds[] = {
	{ "bzimage", mk_bzimage, 1, 0, 13, 5000 },
	{ "bzimage-cmdline", mk_bzimage, 1, 0, 2048, 0 },
	{ "bzimage-pvh", mk_bzimage, 1, 2, 13, 0 },
	{ "bzimage-small", mk_small_bzimage, 0, 0, 0, 1 << 20 },
	{ "bzimage-small-high", mk_small_bzimage, 2, 0, 0, 0x1f0000 },
	{ "bzimage-old", mk_old_bzimage, 2, 0, 0, 0x8000 },
	{ "bzimage-hole", mk_bzimage, 7, 1, 13, 5000 },
	{ "elf-auto", mk_elf, 0, 0, 13, 5000 },
	{ "elf-64", mk_elf, 0, 1, 4095, 5000 },
	{ "elf-pvh", mk_elf, 2, 2, 13, 0 },
	{ "elf-high", mk_elf, 5, 1, 13, 0xffff },
	{ "elf-note64", mk_elf_note64, 0, 0, 13, 1 },
	{ "elf-no-sections", mk_elf_no_sections, 0, 0, 13, 0 },
	{ "elf-tiny-machine", mk_elf, 6, 0, 13, 0 },
	{ "multiboot", mk_multiboot, 1, 0, 13, 5000 },
	{ "multiboot-small", mk_small_multiboot, 0, 0, 4095, 1 << 20 },
	{ "multiboot-low", mk_low_multiboot, 0, 0, 13, 5000 },
	{ "multiboot-low-tight", mk_low_multiboot, 4, 0, 13, 5000 },
	{ "multiboot-64", mk_multiboot64, 2, 0, 13, 0xffff },
	{ "multiboot-linux64", mk_multiboot, 1, 1, 13, 0 },
	{ "arm64", mk_arm64, 0, 0, 0, 0 },
	{ "efi", mk_efi, 0, 0, 0, 0 },
};

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seed_kernel DIR\n");
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
		const struct seed *s = &seeds[i];
		u8 bytes[16 + MK_MAX] = { s->machine, s->boot };
		size_t len = 16 + s->make(bytes + 16);
		char path[4096];
		FILE *f;

		put_le16(bytes + 2, s->cmdline);
		put_le32(bytes + 4, s->initrd);
		put_le64(bytes + 8, MK_ELF_TEXT_GPA + 4);
		snprintf(path, sizeof(path), "%s/%s", argv[1], s->name);
		f = fopen(path, "wb");
		if (!f || fwrite(bytes, 1, len, f) != len || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
