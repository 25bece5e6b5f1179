/*
 * pvh.h - hvm_start_info, what a kernel is handed at its PVH entry: version 1 of
 * the structure in Xen's public text on the x86/HVM direct boot ABI (start_info.h, pvh.pandoc).
 */
#ifndef LKVM_ARCH_X86_PVH_H
#define LKVM_ARCH_X86_PVH_H

#include "arch/x86/e820.h"
#include "vmm/base.h"

#define PVH_MAGIC 0x336ec578

#define PVH_INFO_SIZE	      56
#define PVH_MODULE_SIZE	      32
#define PVH_MEMMAP_ENTRY_SIZE 24
#define PVH_MAX_SIZE	      (PVH_INFO_SIZE + PVH_MODULE_SIZE + E820_MAX * PVH_MEMMAP_ENTRY_SIZE)

struct pvh_desc {
	u64 gpa; /* where the result will lie, so that it can point into itself */
	u64 cmdline_gpa;
	u64 initrd_gpa;
	u64 initrd_size; /* 0: none */
	u64 rsdp_gpa;
	const struct e820_entry *e820;
	unsigned int n_e820; /* at most E820_MAX */
};

/* Fill @buf with start info, module list and memory map, in this order. */
void pvh_build(const struct pvh_desc *desc, u8 buf[PVH_MAX_SIZE]);

#endif
