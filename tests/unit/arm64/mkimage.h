/*
 * mkimage.h - small arm64 kernels made up for tests: an Image with an EFI half, and ELF files,
 * right in every field, to be spoilt one field at a time.
 *
 * Offsets are those of booting.rst and of the PE/COFF and ELF specifications, written apart from
 * the code under test.
 */
#ifndef LKVM_TESTS_ARM64_MKIMAGE_H
#define LKVM_TESTS_ARM64_MKIMAGE_H

#include "tests/unit/mkkernel.h"

/* The Image: header, PE header with two sections, code to the end of the file; then BSS. */
#define MK_IMG_LEN     0x1200
#define MK_IMG_SIZE    0x5000 /* image_size */
#define MK_IMG_PE_OFF  0x40
#define MK_IMG_SECTION (MK_IMG_PE_OFF + 24 + 0xa0) /* headers of them, 40 bytes each */

static inline size_t mk_arm64_image(u8 *f)
{
	u8 *pe = f + MK_IMG_PE_OFF, *section = f + MK_IMG_SECTION;

	for (size_t i = 0; i < MK_IMG_LEN; i++)
		f[i] = (u8)(i * 7 + (i >> 8));
	memset(f, 0, 0x200);
	memcpy(f, "MZ\x40\xfa", 4);	 /* code0: an instruction without effect */
	put_le32(f + 4, 0x1400007f);	 /* code1: a branch */
	put_le64(f + 16, MK_IMG_SIZE);	 /* image_size */
	put_le64(f + 24, 0xa);		 /* flags: little endian, 4K pages, anywhere */
	memcpy(f + 56, "ARM\x64", 4);	 /* magic */
	put_le32(f + 60, MK_IMG_PE_OFF); /* res5 */
	memcpy(pe, "PE\0\0\x64\xaa", 6); /* signature, Machine */
	put_le16(pe + 6, 2);		 /* NumberOfSections */
	put_le16(pe + 20, 0xa0);	 /* SizeOfOptionalHeader */
	memcpy(section, ".text", 5);
	put_le32(section + 16, 0x800); /* SizeOfRawData */
	put_le32(section + 20, 0x200); /* PointerToRawData */
	memcpy(section + 40, ".data", 5);
	put_le32(section + 40 + 16, MK_IMG_LEN - 0xa00);
	put_le32(section + 40 + 20, 0xa00);
	return MK_IMG_LEN;
}

/* mkkernel.h's ELF file for arm64, @by bytes higher (modulo 2^64). */
static inline size_t mk_arm64_elf(u8 *f, u64 by)
{
	size_t len = mk_elf(f);

	put_le16(MK_EHDR(f, e_machine), EM_AARCH64);
	put_le64(MK_EHDR(f, e_entry), MK_ELF_ENTRY + by);
	put_le64(MK_PHDR(f, 0, p_paddr), MK_ELF_TEXT_GPA + by);
	put_le64(MK_PHDR(f, 1, p_paddr), MK_ELF_DATA_GPA + by);
	return len;
}

/* A vmlinux: linked to virtual addresses, beginning with the Image's header. */
#define MK_VMLINUX_VA	  0xffff800080000000ull
#define MK_VMLINUX_OFFSET 0x80000ull /* text_offset of kernels before Linux 5.8 */

static inline size_t mk_arm64_vmlinux(u8 *f)
{
	size_t len = mk_arm64_elf(f, MK_VMLINUX_VA + MK_VMLINUX_OFFSET - MK_ELF_TEXT_GPA);
	u8 *header = f + MK_ELF_TEXT_OFF;

	memset(header, 0, 64);
	put_le64(header + 8, MK_VMLINUX_OFFSET);
	put_le64(header + 16, 0x300000); /* more than the segments have */
	put_le64(header + 24, 0xa);
	memcpy(header + 56, "ARM\x64", 4);
	put_le64(MK_EHDR(f, e_entry), MK_VMLINUX_VA + MK_VMLINUX_OFFSET);
	return len;
}

#endif
