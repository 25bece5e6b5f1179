#include "arch/x86/multiboot.h"

#include <lkvm.h>

#include "arch/x86/layout.h"

/* 3.1: the header is 32-bit aligned and lies within the first 8192 bytes of the file. */
#define HEADER_SEARCH 8192
#define HEADER_SIZE   12 /* magic, flags, checksum: all that counts in an ELF file */
#define HEADER_MAGIC  0x1badb002

/* 3.1.2: of flags 0 to 15 a loader that does not know one refuses. */
#define FLAG_ALIGN_MODULES BIT(0)
#define FLAG_MEMORY_INFO   BIT(1)
#define FLAG_VIDEO	   BIT(2)
#define FLAG_ADDRESSES	   BIT(16)
#define FLAGS_REQUIRED	   0xffffull

static bool find_header(const struct image *kernel, u32 *flags)
{
	u8 head[HEADER_SEARCH];
	size_t n = min_u64(kernel->size, sizeof(head));

	if (image_read(kernel, 0, head, n, NULL))
		return false;
	for (size_t i = 0; i + HEADER_SIZE <= n; i += 4) {
		*flags = get_le32(head + i + 4);
		if (get_le32(head + i) == HEADER_MAGIC &&
		    !(u32)(HEADER_MAGIC + *flags + get_le32(head + i + 8)))
			return true;
	}
	return false;
}

bool multiboot_is(const struct image *kernel)
{
	u32 flags;

	return find_header(kernel, &flags);
}

int multiboot_check(const struct image *kernel, struct lkvm_error *err)
{
	u64 unknown;
	u32 flags;

	if (!find_header(kernel, &flags))
		return err_input(err, "kernel %s has no Multiboot header", kernel->path);
	unknown = flags & FLAGS_REQUIRED & ~(FLAG_ALIGN_MODULES | FLAG_MEMORY_INFO | FLAG_VIDEO);
	if (flags & FLAG_VIDEO)
		return err_input(
			err,
			"kernel %s asks for a video mode in its Multiboot header (flag 2); "
			"there is no display",
			kernel->path);
	if (unknown)
		return err_input(err,
				 "kernel %s asks for what this version of Multiboot does not have "
				 "(flags 0x%x in its header)",
				 kernel->path, (unsigned int)unknown);
	if (flags & FLAG_ADDRESSES)
		return err_input(err,
				 "kernel %s has load addresses in its Multiboot header (flag 16); "
				 "only those of ELF program headers are understood",
				 kernel->path);
	return 0;
}

/* 3.3: the information; offsets, and bits of its flags for what is there. */
#define INFO_FLAGS	0
#define INFO_MEM_LOWER	4 /* KiB */
#define INFO_MEM_UPPER	8
#define INFO_CMDLINE	16
#define INFO_MODS_COUNT 20
#define INFO_MODS_ADDR	24
#define INFO_MMAP_LEN	44
#define INFO_MMAP_ADDR	48
#define INFO_LOADER	64
#define INFO_SIZE	128

#define HAS_MEMORY  BIT(0)
#define HAS_CMDLINE BIT(2)
#define HAS_MODULES BIT(3)
#define HAS_MMAP    BIT(6)
#define HAS_LOADER  BIT(9)

#define MODULE_SIZE 16 /* start, end, string, reserved */
#define MMAP_ENTRY  24 /* size of the rest, address, length, type */

#define LOADER_NAME "lkvm"

/* What follows the information, in this order. */
#define MODULE_OFF  INFO_SIZE
#define MMAP_OFF    (MODULE_OFF + MODULE_SIZE)
#define LOADER_OFF  (MMAP_OFF + E820_MAX * MMAP_ENTRY)
#define CMDLINE_OFF (LOADER_OFF + sizeof(LOADER_NAME))
_Static_assert(CMDLINE_OFF + LKVM_CMDLINE_MAX <= MULTIBOOT_INFO_SIZE, "");

/* KiB of RAM that begin at @addr and go on without a hole; up to 3 GiB of them. */
static u32 ram_at(const struct multiboot_desc *desc, u64 addr)
{
	for (unsigned int i = 0; i < desc->n_e820; i++) {
		if (desc->e820[i].type == E820_RAM && desc->e820[i].addr == addr)
			return (u32)(desc->e820[i].size / KIB);
	}
	return 0;
}

static void put_memory(const struct multiboot_desc *desc, u8 *buf)
{
	put_le32(buf + INFO_MEM_LOWER, ram_at(desc, 0));
	put_le32(buf + INFO_MEM_UPPER, ram_at(desc, X86_HIGH_RAM_GPA));
	put_le32(buf + INFO_MMAP_LEN, desc->n_e820 * MMAP_ENTRY);
	put_le32(buf + INFO_MMAP_ADDR, desc->gpa + MMAP_OFF);
	for (unsigned int i = 0; i < desc->n_e820; i++) {
		u8 *p = buf + MMAP_OFF + i * MMAP_ENTRY;

		put_le32(p, MMAP_ENTRY - 4);
		put_le64(p + 4, desc->e820[i].addr);
		put_le64(p + 12, desc->e820[i].size);
		put_le32(p + 20, desc->e820[i].type);
	}
}

void multiboot_build(const struct multiboot_desc *desc, u8 buf[MULTIBOOT_INFO_SIZE])
{
	u64 has = HAS_MEMORY | HAS_CMDLINE | HAS_MODULES | HAS_MMAP | HAS_LOADER;

	memset(buf, 0, MULTIBOOT_INFO_SIZE);
	put_le32(buf + INFO_FLAGS, (u32)has);
	put_memory(desc, buf);
	put_le32(buf + INFO_CMDLINE, desc->gpa + (u32)CMDLINE_OFF);
	memcpy(buf + CMDLINE_OFF, desc->cmdline, strnlen(desc->cmdline, LKVM_CMDLINE_MAX - 1));
	put_le32(buf + INFO_LOADER, desc->gpa + LOADER_OFF);
	memcpy(buf + LOADER_OFF, LOADER_NAME, sizeof(LOADER_NAME));

	if (!desc->module_size)
		return;
	put_le32(buf + INFO_MODS_COUNT, 1);
	put_le32(buf + INFO_MODS_ADDR, desc->gpa + MODULE_OFF);
	put_le32(buf + MODULE_OFF, desc->module_gpa);
	put_le32(buf + MODULE_OFF + 4, desc->module_gpa + desc->module_size);
}
