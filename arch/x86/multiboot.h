/*
 * multiboot.h - ELF images with a Multiboot header, version 1 (Multiboot Specification 0.6.96), as
 * kvm-unit-tests are. The ELF file's program headers say what is loaded where, also below 1 MiB;
 * an initrd becomes a module.
 */
#ifndef LKVM_ARCH_X86_MULTIBOOT_H
#define LKVM_ARCH_X86_MULTIBOOT_H

#include "arch/x86/e820.h"
#include "vmm/base.h"
#include "vmm/err.h"
#include "vmm/image.h"

#define MULTIBOOT_EAX 0x2badb002 /* at the entry; EBX is where the information is */

/* The image has the header in its first 8192 bytes, and its checksum is right. */
bool multiboot_is(const struct image *kernel);

/* What the header asks for can be had: LKVM_ERR_INPUT. */
int multiboot_check(const struct image *kernel, struct lkvm_error *err);

#define MULTIBOOT_INFO_SIZE 8192 /* whole pages */

struct multiboot_desc {
	u32 gpa;	     /* where the result will lie, so that it can point into itself */
	const char *cmdline; /* fewer than LKVM_CMDLINE_MAX bytes */
	u32 module_gpa;
	u32 module_size; /* bytes; 0: there is none */
	const struct e820_entry *e820;
	unsigned int n_e820; /* at most E820_MAX */
};

/* Fill @buf with the information, and behind it all that it points at. */
void multiboot_build(const struct multiboot_desc *desc, u8 buf[MULTIBOOT_INFO_SIZE]);

#endif
