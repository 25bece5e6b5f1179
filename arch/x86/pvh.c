#include "arch/x86/pvh.h"

/* Offsets in hvm_start_info. */
#define PVH_INFO_MAGIC		0  /* 4 */
#define PVH_INFO_VERSION	4  /* 4 */
#define PVH_INFO_NR_MODULES	12 /* 4 */
#define PVH_INFO_MODLIST	16 /* 8 */
#define PVH_INFO_CMDLINE	24 /* 8 */
#define PVH_INFO_RSDP		32 /* 8 */
#define PVH_INFO_MEMMAP		40 /* 8 */
#define PVH_INFO_MEMMAP_ENTRIES 48 /* 4 */

void pvh_build(const struct pvh_desc *desc, u8 buf[PVH_MAX_SIZE])
{
	u8 *module = buf + PVH_INFO_SIZE;
	u8 *memmap = module + PVH_MODULE_SIZE;

	memset(buf, 0, PVH_MAX_SIZE);
	put_le32(buf + PVH_INFO_MAGIC, PVH_MAGIC);
	put_le32(buf + PVH_INFO_VERSION, 1);
	put_le64(buf + PVH_INFO_CMDLINE, desc->cmdline_gpa);
	put_le64(buf + PVH_INFO_RSDP, desc->rsdp_gpa);

	if (desc->initrd_size) {
		put_le32(buf + PVH_INFO_NR_MODULES, 1);
		put_le64(buf + PVH_INFO_MODLIST, desc->gpa + (u64)(module - buf));
		put_le64(module, desc->initrd_gpa);
		put_le64(module + 8, desc->initrd_size);
	}

	put_le64(buf + PVH_INFO_MEMMAP, desc->gpa + (u64)(memmap - buf));
	put_le32(buf + PVH_INFO_MEMMAP_ENTRIES, desc->n_e820);
	for (unsigned int i = 0; i < desc->n_e820; i++) {
		u8 *p = memmap + i * PVH_MEMMAP_ENTRY_SIZE;

		put_le64(p, desc->e820[i].addr);
		put_le64(p + 8, desc->e820[i].size);
		put_le32(p + 16, desc->e820[i].type);
	}
}
