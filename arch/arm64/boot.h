/*
 * boot.h - an arm64 kernel or firmware, loaded (Documentation/arch/arm64/booting.rst).
 *
 * Knows Image, ELF and, for files without either's magic, flat binaries (test kernels made for
 * kvmtool, which puts them 512 KiB into RAM); gzip'd Images and EFI zboot are unpacked first
 * (vmm/unpack.h). A pure function of files into guest memory. arch/arm64 only.
 *
 *	RAM base	kernel, at its offset, with the memory it needs for its BSS
 *	2 MiB aligned	device tree, 2 MiB of room for it
 *	4 KiB aligned	initrd
 *
 * Firmware, or an ELF file linked to somewhere else in RAM, has the others behind it likewise.
 */
#ifndef LKVM_ARCH_ARM64_BOOT_H
#define LKVM_ARCH_ARM64_BOOT_H

#include <lkvm.h>

#include "vmm/gmem.h"
#include "vmm/image.h"
#include "vmm/log.h"

#define ARM64_FDT_MAX	  0x200000ull /* bytes: "must not exceed 2 megabytes" */
#define ARM64_FLAT_OFFSET 0x80000ull  /* from the start of RAM */

struct boot_entry {
	u64 pc;
	u64 fdt_gpa; /* 2 MiB aligned, ARM64_FDT_MAX bytes of RAM that nothing else is in */
	u64 initrd_gpa;
	u64 initrd_size; /* 0: none */
};

struct boot_files {
	const struct image *kernel, *initrd, *firmware; /* IMAGE_NONE: not given */
};

/*
 * Load what @files has, with @cfg->mem_size bytes of RAM from ARM64_RAM_BASE on, and say where to
 * begin. Decided in full before a byte is written. A file that is not for arm64, is truncated
 * or does not fit is LKVM_ERR_INPUT. @log gets a warning about a flat binary.
 */
int boot_load(const struct lkvm_config *cfg, const struct boot_files *files, const struct gmem *gm,
	      const struct log *log, struct boot_entry *entry, struct lkvm_error *err);

#endif
