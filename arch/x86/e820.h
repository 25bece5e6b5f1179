/*
 * e820.h - the memory map a guest is told (ACPI 6.5 section 15, "System Address Map
 * Interfaces"). The zero page and hvm_start_info carry the same one.
 */
#ifndef LKVM_ARCH_X86_E820_H
#define LKVM_ARCH_X86_E820_H

#include "vmm/base.h"
#include "vmm/gmem.h"

#define E820_RAM      1
#define E820_RESERVED 2

/* A region of RAM may show in three places (see layout.h); and there are four reserved ranges. */
#define E820_MAX (3 * GMEM_MAX_REGIONS + 4)

struct e820_entry {
	u64 addr;
	u64 size; /* bytes */
	u32 type;
};

/* Fill @map in ascending order from the regions of @gm; returns the number of entries. */
unsigned int e820_build(const struct gmem *gm, struct e820_entry map[E820_MAX]);

#endif
