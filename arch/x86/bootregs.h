/*
 * bootregs.h - what the 64-bit entry expects in memory besides the kernel's own: a
 * descriptor table and page tables (boot.rst, "64-bit Boot Protocol"). boot_regs(), which points
 * the registers at them, is in boot.h. All of it pure.
 */
#ifndef LKVM_ARCH_X86_BOOTREGS_H
#define LKVM_ARCH_X86_BOOTREGS_H

#include "vmm/base.h"

#define BOOT_CS 0x10 /* the selectors the protocol asks for */
#define BOOT_DS 0x18

#define BOOT_GDT_ENTRIES 4
#define BOOT_GDT_SIZE	 (BOOT_GDT_ENTRIES * 8)

#define BOOT_PAGE_TABLES_SIZE (6 * 4096)

/* Two empty entries, code at BOOT_CS, data at BOOT_DS, both flat. */
void boot_gdt_build(u8 gdt[BOOT_GDT_SIZE]);

/* Tables that lie at @gpa and map the first 4 GiB one to one, writable, in 2 MiB pages. */
void boot_page_tables_build(u64 gpa, u8 tables[BOOT_PAGE_TABLES_SIZE]);

#endif
