/*
 * zeropage.h - struct boot_params, the page a Linux kernel is handed at its 64-bit
 * entry (Documentation/arch/x86/zero-page.rst; the setup header in it: boot.rst).
 */
#ifndef LKVM_ARCH_X86_ZEROPAGE_H
#define LKVM_ARCH_X86_ZEROPAGE_H

#include "arch/x86/e820.h"
#include "vmm/base.h"

#define ZP_SIZE 4096

/* Offsets outside the setup header, with their widths in bytes. */
#define ZP_ACPI_RSDP_ADDR    0x070 /* 8 */
#define ZP_EXT_RAMDISK_IMAGE 0x0c0 /* 4: upper halves of the fields below */
#define ZP_EXT_RAMDISK_SIZE  0x0c4 /* 4 */
#define ZP_EXT_CMD_LINE_PTR  0x0c8 /* 4 */
#define ZP_E820_ENTRIES	     0x1e8 /* 1 */
#define ZP_E820_TABLE	     0x2d0 /* 128 entries of 20 */
#define ZP_E820_ENTRY_SIZE   20

/* The setup header, at the same offset in a bzImage and in the page. */
#define SETUP_OFF	       0x1f1 /* where it begins */
#define SETUP_SECTS	       0x1f1 /* 1 */
#define SETUP_SYSSIZE	       0x1f4 /* 4: 16-byte units */
#define SETUP_VID_MODE	       0x1fa /* 2 */
#define SETUP_BOOT_FLAG	       0x1fe /* 2 */
#define SETUP_JUMP	       0x200 /* 2: the second byte says where the header ends */
#define SETUP_HEADER	       0x202 /* 4 */
#define SETUP_VERSION	       0x206 /* 2 */
#define SETUP_TYPE_OF_LOADER   0x210 /* 1 */
#define SETUP_LOADFLAGS	       0x211 /* 1 */
#define SETUP_CODE32_START     0x214 /* 4 */
#define SETUP_RAMDISK_IMAGE    0x218 /* 4 */
#define SETUP_RAMDISK_SIZE     0x21c /* 4 */
#define SETUP_CMD_LINE_PTR     0x228 /* 4 */
#define SETUP_INITRD_ADDR_MAX  0x22c /* 4: of the last byte */
#define SETUP_KERNEL_ALIGNMENT 0x230 /* 4 */
#define SETUP_RELOCATABLE      0x234 /* 1 */
#define SETUP_XLOADFLAGS       0x236 /* 2 */
#define SETUP_CMDLINE_SIZE     0x238 /* 4: without the final NUL */
#define SETUP_SETUP_DATA       0x250 /* 8 */
#define SETUP_PREF_ADDRESS     0x258 /* 8 */
#define SETUP_INIT_SIZE	       0x260 /* 4 */
#define SETUP_MIN_END	       0x264 /* init_size is the last field used here */
#define SETUP_MAX_END	       0x290 /* where the page goes on with something else */

#define SETUP_BOOT_FLAG_MAGIC 0xaa55
#define SETUP_HEADER_MAGIC    0x53726448 /* "HdrS" */
#define SETUP_VERSION_64BIT   0x020c	 /* the first with XLF_KERNEL_64 */

#define LOADFLAGS_LOADED_HIGH	   BIT(0)
#define XLF_KERNEL_64		   BIT(0)
#define XLF_CAN_BE_LOADED_ABOVE_4G BIT(1)
#define SETUP_LOADER_UNDEFINED	   0xff /* a loader without a number of its own */
#define SETUP_VID_MODE_NORMAL	   0xffff

struct zeropage_desc {
	const u8 *setup; /* a bzImage's bytes from SETUP_OFF; NULL: an ELF kernel, which has none */
	size_t setup_len;
	u64 kernel_gpa;	 /* below 4 GiB */
	u64 cmdline_gpa; /* below 4 GiB */
	u64 initrd_gpa;
	u64 initrd_size; /* 0: none */
	u64 rsdp_gpa;
	const struct e820_entry *e820;
	unsigned int n_e820; /* at most E820_MAX */
};

/* Fill @page (any content before) from @desc. */
void zeropage_build(const struct zeropage_desc *desc, u8 page[ZP_SIZE]);

#endif
