/*
 * mkkernel.h - small kernels made up for tests: a bzImage, an ELF file and a Multiboot image that
 * are right in every field, to be spoilt one field at a time.
 *
 * Offsets are those of boot.rst, of the ELF and the Multiboot specification, written apart from
 * the code under test.
 */
#ifndef LKVM_TESTS_MKKERNEL_H
#define LKVM_TESTS_MKKERNEL_H

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/image.h"

#define MK_MAX 8192 /* bytes of the largest file made here */

/* The bzImage: 1 sector of set-up code, then code, then 16 bytes as a signature would be. */
#define MK_BZ_CODE_OFF	1024
#define MK_BZ_CODE_LEN	0x600
#define MK_BZ_SIZE	(MK_BZ_CODE_OFF + MK_BZ_CODE_LEN + 16)
#define MK_BZ_GPA	(16 * MIB)
#define MK_BZ_INIT_SIZE (2 * MIB)
#define MK_BZ_CMDLINE	2047

static inline size_t mk_bzimage(u8 *f)
{
	memset(f, 0, MK_MAX);
	f[0x1f1] = 1;				  /* setup_sects */
	put_le32(f + 0x1f4, MK_BZ_CODE_LEN / 16); /* syssize */
	put_le16(f + 0x1fe, 0xaa55);		  /* boot_flag */
	f[0x200] = 0xeb;			  /* jump, over the header's end at 0x26c */
	f[0x201] = 0x6a;
	memcpy(f + 0x202, "HdrS", 4);
	put_le16(f + 0x206, 0x20f);	      /* version */
	f[0x211] = 1;			      /* loadflags: LOADED_HIGH */
	put_le32(f + 0x214, 0x100000);	      /* code32_start */
	put_le32(f + 0x22c, 0x7fffffff);      /* initrd_addr_max */
	put_le32(f + 0x230, 0x200000);	      /* kernel_alignment */
	f[0x234] = 1;			      /* relocatable_kernel */
	f[0x235] = 21;			      /* min_alignment */
	put_le16(f + 0x236, 3);		      /* xloadflags: KERNEL_64, CAN_BE_LOADED_ABOVE_4G */
	put_le32(f + 0x238, MK_BZ_CMDLINE);   /* cmdline_size */
	put_le64(f + 0x258, MK_BZ_GPA);	      /* pref_address */
	put_le32(f + 0x260, MK_BZ_INIT_SIZE); /* init_size */
	for (size_t i = 0; i < MK_BZ_CODE_LEN; i++)
		f[MK_BZ_CODE_OFF + i] = (u8)(i * 7 + (i >> 8));
	memset(f + MK_BZ_CODE_OFF + MK_BZ_CODE_LEN, 0xee, 16);
	return MK_BZ_SIZE;
}

/* The ELF file: two segments, a PVH note, three sections. */
#define MK_ELF_NOTE_OFF	  0x200
#define MK_ELF_NOTE_LEN	  20
#define MK_ELF_TEXT_OFF	  0x1000
#define MK_ELF_TEXT_LEN	  0x200
#define MK_ELF_TEXT_GPA	  0x100000
#define MK_ELF_DATA_OFF	  0x1200
#define MK_ELF_DATA_LEN	  0x100
#define MK_ELF_DATA_GPA	  0x102000
#define MK_ELF_DATA_MEMSZ 0x3000
#define MK_ELF_END	  (MK_ELF_DATA_GPA + MK_ELF_DATA_MEMSZ)
#define MK_ELF_ENTRY	  0x100010
#define MK_ELF_PVH_ENTRY  0x100020
#define MK_ELF_SYMTAB_OFF 0x1400
#define MK_ELF_STRTAB_OFF 0x1500
#define MK_ELF_SHDR_OFF	  0x1600
#define MK_ELF_SIZE	  (MK_ELF_SHDR_OFF + 4 * 64)

/* Where program header @i and section header @i are. */
#define MK_ELF_PH(i) (64 + (i)*56)
#define MK_ELF_SH(i) (MK_ELF_SHDR_OFF + (i)*64)

static inline void mk_elf_phdr(u8 *f, unsigned int i, u32 type, u64 off, u64 gpa, u64 filesz,
			       u64 memsz)
{
	Elf64_Phdr ph = {
		.p_type = type,
		.p_flags = PF_R | PF_W | PF_X,
		.p_offset = off,
		.p_vaddr = gpa,
		.p_paddr = gpa,
		.p_filesz = filesz,
		.p_memsz = memsz,
		.p_align = type == PT_NOTE ? 4 : 16,
	};

	memcpy(f + MK_ELF_PH(i), &ph, sizeof(ph));
}

/* A note by "Xen" at @off, with @len bytes (4 or 8) of @value. */
static inline void mk_elf_note(u8 *f, size_t off, u32 type, u32 len, u64 value)
{
	put_le32(f + off, 4);
	put_le32(f + off + 4, len);
	put_le32(f + off + 8, type);
	memcpy(f + off + 12, "Xen", 4);
	if (len == 8)
		put_le64(f + off + 16, value);
	else
		put_le32(f + off + 16, (u32)value);
}

static inline void mk_elf_sym(u8 *f, unsigned int i, u32 name, u8 type, u16 shndx, u64 value,
			      u64 size)
{
	Elf64_Sym sym = {
		.st_name = name,
		.st_info = ELF64_ST_INFO(STB_GLOBAL, type),
		.st_shndx = shndx,
		.st_value = value,
		.st_size = size,
	};

	memcpy(f + MK_ELF_SYMTAB_OFF + i * sizeof(sym), &sym, sizeof(sym));
}

static inline void mk_elf_shdr(u8 *f, unsigned int i, u32 type, u64 addr, u64 off, u64 size,
			       u32 link, u64 entsize)
{
	Elf64_Shdr sh = {
		.sh_type = type,
		.sh_addr = addr,
		.sh_offset = off,
		.sh_size = size,
		.sh_link = link,
		.sh_addralign = 8,
		.sh_entsize = entsize,
	};

	memcpy(f + MK_ELF_SH(i), &sh, sizeof(sh));
}

static inline size_t mk_elf(u8 *f)
{
	static const char names[] = "\0start\0label\0last\0table";
	Elf64_Ehdr eh = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = MK_ELF_ENTRY,
		.e_phoff = 64,
		.e_shoff = MK_ELF_SHDR_OFF,
		.e_ehsize = 64,
		.e_phentsize = 56,
		.e_phnum = 3,
		.e_shentsize = 64,
		.e_shnum = 4,
		.e_shstrndx = 3,
	};

	memset(f, 0, MK_MAX);
	memcpy(f, &eh, sizeof(eh));
	mk_elf_phdr(f, 0, PT_LOAD, MK_ELF_TEXT_OFF, MK_ELF_TEXT_GPA, MK_ELF_TEXT_LEN,
		    MK_ELF_TEXT_LEN);
	mk_elf_phdr(f, 1, PT_LOAD, MK_ELF_DATA_OFF, MK_ELF_DATA_GPA, MK_ELF_DATA_LEN,
		    MK_ELF_DATA_MEMSZ);
	mk_elf_phdr(f, 2, PT_NOTE, MK_ELF_NOTE_OFF, 0, MK_ELF_NOTE_LEN, MK_ELF_NOTE_LEN);
	mk_elf_note(f, MK_ELF_NOTE_OFF, 18, 4, MK_ELF_PVH_ENTRY);
	for (size_t i = 0; i < MK_ELF_TEXT_LEN; i++)
		f[MK_ELF_TEXT_OFF + i] = (u8)(i * 5 + 1);
	for (size_t i = 0; i < MK_ELF_DATA_LEN; i++)
		f[MK_ELF_DATA_OFF + i] = (u8)(i * 3 + 2);

	mk_elf_sym(f, 1, 1, STT_FUNC, 1, 0x100000, 0x40);    /* start */
	mk_elf_sym(f, 2, 7, STT_NOTYPE, 1, 0x100080, 0);     /* label */
	mk_elf_sym(f, 3, 13, STT_FUNC, 1, 0x100100, 0x20);   /* last */
	mk_elf_sym(f, 4, 18, STT_OBJECT, 1, 0x100140, 0x20); /* table */
	memcpy(f + MK_ELF_STRTAB_OFF, names, sizeof(names));
	mk_elf_shdr(f, 1, SHT_PROGBITS, MK_ELF_TEXT_GPA, MK_ELF_TEXT_OFF, MK_ELF_TEXT_LEN, 0, 0);
	mk_elf_shdr(f, 2, SHT_SYMTAB, 0, MK_ELF_SYMTAB_OFF, 5 * 24, 3, 24);
	mk_elf_shdr(f, 3, SHT_STRTAB, 0, MK_ELF_STRTAB_OFF, sizeof(names), 0, 0);
	return MK_ELF_SIZE;
}

/* The field @name of a program or section header, for put_le*(). */
#define MK_PHDR(f, i, name) ((f) + MK_ELF_PH(i) + offsetof(Elf64_Phdr, name))
#define MK_SHDR(f, i, name) ((f) + MK_ELF_SH(i) + offsetof(Elf64_Shdr, name))
#define MK_EHDR(f, name)    ((f) + offsetof(Elf64_Ehdr, name))

/* The Multiboot image: 32-bit ELF with the header at the beginning of its code; no notes. */
#define MK_MB_TEXT_OFF	 0x1000
#define MK_MB_TEXT_LEN	 0x200
#define MK_MB_TEXT_GPA	 0x400000
#define MK_MB_DATA_OFF	 0x1200
#define MK_MB_DATA_LEN	 0x100
#define MK_MB_DATA_GPA	 0x402000
#define MK_MB_DATA_MEMSZ 0x3000
#define MK_MB_END	 (MK_MB_DATA_GPA + MK_MB_DATA_MEMSZ)
#define MK_MB_ENTRY	 0x40000c
#define MK_MB_SYMTAB_OFF 0x1400
#define MK_MB_STRTAB_OFF 0x1500
#define MK_MB_SHDR_OFF	 0x1600
#define MK_MB_SIZE	 (MK_MB_SHDR_OFF + 4 * 40)

/* The field @name of its headers, for put_le*(). */
#define MK_MB_EHDR(f, name)    ((f) + offsetof(Elf32_Ehdr, name))
#define MK_MB_PHDR(f, i, name) ((f) + 52 + (i)*32 + offsetof(Elf32_Phdr, name))
#define MK_MB_SHDR(f, i, name) ((f) + MK_MB_SHDR_OFF + (i)*40 + offsetof(Elf32_Shdr, name))

/* A header at @off, whose checksum is right. */
static inline void mk_mb_header(u8 *f, size_t off, u32 flags)
{
	put_le32(f + off, 0x1badb002);
	put_le32(f + off + 4, flags);
	put_le32(f + off + 8, 0u - (0x1badb002 + flags));
}

static inline void mk_mb_phdr(u8 *f, unsigned int i, u32 off, u32 gpa, u32 filesz, u32 memsz)
{
	Elf32_Phdr ph = {
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_W | PF_X,
		.p_offset = off,
		.p_vaddr = gpa,
		.p_paddr = gpa,
		.p_filesz = filesz,
		.p_memsz = memsz,
		.p_align = 16,
	};

	memcpy(f + 52 + i * sizeof(ph), &ph, sizeof(ph));
}

static inline void mk_mb_shdr(u8 *f, unsigned int i, u32 type, u32 addr, u32 off, u32 size,
			      u32 link, u32 entsize)
{
	Elf32_Shdr sh = {
		.sh_type = type,
		.sh_addr = addr,
		.sh_offset = off,
		.sh_size = size,
		.sh_link = link,
		.sh_addralign = 4,
		.sh_entsize = entsize,
	};

	memcpy(f + MK_MB_SHDR_OFF + i * sizeof(sh), &sh, sizeof(sh));
}

static inline size_t mk_multiboot(u8 *f)
{
	static const char names[] = "\0start\0last";
	Elf32_Ehdr eh = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = EV_CURRENT,
		.e_entry = MK_MB_ENTRY,
		.e_phoff = 52,
		.e_shoff = MK_MB_SHDR_OFF,
		.e_ehsize = 52,
		.e_phentsize = 32,
		.e_phnum = 2,
		.e_shentsize = 40,
		.e_shnum = 4,
		.e_shstrndx = 3,
	};
	Elf32_Sym syms[] = {
		{ 0 },
		{ 1, MK_MB_TEXT_GPA, 0x40, ELF32_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1 },
		{ 7, MK_MB_TEXT_GPA + 0x100, 0x20, ELF32_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1 },
	};

	memset(f, 0, MK_MAX);
	memcpy(f, &eh, sizeof(eh));
	mk_mb_phdr(f, 0, MK_MB_TEXT_OFF, MK_MB_TEXT_GPA, MK_MB_TEXT_LEN, MK_MB_TEXT_LEN);
	mk_mb_phdr(f, 1, MK_MB_DATA_OFF, MK_MB_DATA_GPA, MK_MB_DATA_LEN, MK_MB_DATA_MEMSZ);
	for (size_t i = 0; i < MK_MB_TEXT_LEN; i++)
		f[MK_MB_TEXT_OFF + i] = (u8)(i * 5 + 1);
	for (size_t i = 0; i < MK_MB_DATA_LEN; i++)
		f[MK_MB_DATA_OFF + i] = (u8)(i * 3 + 2);
	mk_mb_header(f, MK_MB_TEXT_OFF, 0);
	memcpy(f + MK_MB_SYMTAB_OFF, syms, sizeof(syms));
	memcpy(f + MK_MB_STRTAB_OFF, names, sizeof(names));
	mk_mb_shdr(f, 1, SHT_PROGBITS, MK_MB_TEXT_GPA, MK_MB_TEXT_OFF, MK_MB_TEXT_LEN, 0, 0);
	mk_mb_shdr(f, 2, SHT_SYMTAB, 0, MK_MB_SYMTAB_OFF, sizeof(syms), 3, 16);
	mk_mb_shdr(f, 3, SHT_STRTAB, 0, MK_MB_STRTAB_OFF, sizeof(names), 0, 0);
	return MK_MB_SIZE;
}

/*
 * An open image with these bytes; @what and @path are static strings. The file is
 * rewritten in place when @img is one already, so set .fd to -1 at first.
 */
static inline void mk_image(struct image *img, const char *what, const char *path,
			    const void *bytes, size_t len)
{
	if (img->fd < 0)
		img->fd = memfd_create(path, MFD_CLOEXEC);
	if (img->fd < 0 || ftruncate(img->fd, 0) ||
	    pwrite(img->fd, bytes, len, 0) != (ssize_t)len) {
		perror("mk_image");
		abort();
	}
	img->size = len;
	img->what = what;
	img->path = path;
}

#endif
