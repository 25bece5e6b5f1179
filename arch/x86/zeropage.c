#include "arch/x86/zeropage.h"

_Static_assert(E820_MAX <= 128, "the zero page has room for 128 entries");

/*
 * An ELF kernel was linked, not packed, so it brings no setup header. It looks at
 * little of it, but does check that a loader filled one in.
 */
static void setup_make(u8 *page)
{
	put_le16(page + SETUP_BOOT_FLAG, SETUP_BOOT_FLAG_MAGIC);
	put_le32(page + SETUP_HEADER, SETUP_HEADER_MAGIC);
	put_le16(page + SETUP_VERSION, SETUP_VERSION_64BIT);
	put_le16(page + SETUP_XLOADFLAGS, XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G);
}

void zeropage_build(const struct zeropage_desc *desc, u8 page[ZP_SIZE])
{
	/* All that is not said here must be 0: the kernel has a sentinel among it. */
	memset(page, 0, ZP_SIZE);
	if (desc->setup)
		memcpy(page + SETUP_OFF, desc->setup,
		       min_u64(desc->setup_len, SETUP_MAX_END - SETUP_OFF));
	else
		setup_make(page);

	put_le16(page + SETUP_VID_MODE, SETUP_VID_MODE_NORMAL);
	page[SETUP_TYPE_OF_LOADER] = SETUP_LOADER_UNDEFINED;
	page[SETUP_LOADFLAGS] |= LOADFLAGS_LOADED_HIGH;
	put_le32(page + SETUP_CODE32_START, (u32)desc->kernel_gpa);
	put_le32(page + SETUP_CMD_LINE_PTR, (u32)desc->cmdline_gpa);
	put_le32(page + ZP_EXT_CMD_LINE_PTR, (u32)(desc->cmdline_gpa >> 32));
	put_le32(page + SETUP_RAMDISK_IMAGE, (u32)desc->initrd_gpa);
	put_le32(page + ZP_EXT_RAMDISK_IMAGE, (u32)(desc->initrd_gpa >> 32));
	put_le32(page + SETUP_RAMDISK_SIZE, (u32)desc->initrd_size);
	put_le32(page + ZP_EXT_RAMDISK_SIZE, (u32)(desc->initrd_size >> 32));
	put_le64(page + SETUP_SETUP_DATA, 0);

	put_le64(page + ZP_ACPI_RSDP_ADDR, desc->rsdp_gpa);
	page[ZP_E820_ENTRIES] = (u8)desc->n_e820;
	for (unsigned int i = 0; i < desc->n_e820; i++) {
		u8 *p = page + ZP_E820_TABLE + i * ZP_E820_ENTRY_SIZE;

		put_le64(p, desc->e820[i].addr);
		put_le64(p + 8, desc->e820[i].size);
		put_le32(p + 16, desc->e820[i].type);
	}
}
