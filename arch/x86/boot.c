#include "arch/x86/boot.h"

#include <elf.h>
#include <errno.h>

#include "arch/x86/bootregs.h"
#include "arch/x86/bzimage.h"
#include "arch/x86/e820.h"
#include "arch/x86/layout.h"
#include "arch/x86/pvh.h"
#include "arch/x86/zeropage.h"
#include "vmm/elf.h"
#include "vmm/load.h"

/* What goes where: decided in full before a byte is loaded. */
struct plan {
	const struct lkvm_config *cfg;
	const struct gmem *gm;
	const struct image *kernel;
	const struct image *initrd;

	bool is_elf;
	union {
		struct bzimage bz;
		struct elf_kernel elf;
	};
	struct boot_entry entry;
	u64 start, end;	  /* the memory the kernel needs; end exclusive */
	u64 initrd_limit; /* exclusive */
	u32 cmdline_max;  /* bytes, without the final NUL */
	u64 initrd_gpa;
};

/* What is written below 1 MiB does not overlap. */
_Static_assert(X86_GDT_GPA + BOOT_GDT_SIZE <= X86_PVH_INFO_GPA, "");
_Static_assert(X86_PVH_INFO_GPA + PVH_MAX_SIZE <= X86_ZERO_PAGE_GPA, "");
_Static_assert(X86_ZERO_PAGE_GPA + ZP_SIZE <= X86_PAGE_TABLE_GPA, "");
_Static_assert(X86_PAGE_TABLE_GPA + BOOT_PAGE_TABLES_SIZE < X86_BOOT_STACK_GPA, "");
_Static_assert(X86_BOOT_STACK_GPA <= X86_CMDLINE_GPA, "");
_Static_assert(X86_CMDLINE_GPA + LKVM_CMDLINE_MAX <= X86_EBDA_GPA, "");

/* ---- the kernel ---- */

static int plan_bzimage(struct plan *p, struct lkvm_error *err)
{
	int ret;

	if (p->cfg->boot == LKVM_BOOT_PVH)
		return err_input(
			err,
			"kernel %s is a bzImage, which has no PVH entry; an ELF vmlinux may "
			"have one",
			p->kernel->path);
	ret = bzimage_parse(p->kernel, &p->bz, err);
	if (ret)
		return ret;
	p->start = p->bz.gpa;
	p->end = p->bz.gpa + p->bz.size;
	p->initrd_limit = p->bz.initrd_limit;
	p->cmdline_max = p->bz.cmdline_max;
	p->entry.mode = BOOT_ENTRY_LONG64;
	p->entry.pc = p->bz.gpa + BZIMAGE_ENTRY_OFF;
	return 0;
}

static int plan_elf(struct plan *p, struct lkvm_error *err)
{
	bool pvh;
	int ret;

	p->is_elf = true;
	ret = elf_parse(p->kernel, EM_X86_64, &p->elf, err);
	if (ret)
		return ret;
	if (p->cfg->boot == LKVM_BOOT_PVH && !p->elf.has_pvh)
		return err_input(err,
				 "kernel %s has no PVH entry (an ELF note of type 18 by \"Xen\")",
				 p->kernel->path);

	pvh = p->elf.has_pvh && p->cfg->boot != LKVM_BOOT_LINUX64;
	p->entry.mode = pvh ? BOOT_ENTRY_PVH : BOOT_ENTRY_LONG64;
	p->entry.pc = pvh ? p->elf.pvh_entry : p->elf.entry;
	if (!elf_has_code_at(&p->elf, p->entry.pc))
		return err_input(
			err, "kernel %s is entered at 0x%llx, where none of its segments has code",
			p->kernel->path, (unsigned long long)p->entry.pc);
	p->start = p->elf.start;
	p->end = p->elf.end;
	/* start info is read by 32-bit code */
	p->initrd_limit = pvh ? X86_HOLE_END : UINT64_MAX;
	p->cmdline_max = LKVM_CMDLINE_MAX - 1;
	return 0;
}

static int plan_foreign(struct plan *p, struct lkvm_error *err)
{
	u8 head[LOAD_FORMAT_HEAD];
	size_t n = min_u64(p->kernel->size, sizeof(head));
	const char *name;
	int ret;

	ret = image_read(p->kernel, 0, head, n, err);
	if (ret)
		return ret;
	name = load_format_name(head, n);
	if (name)
		return err_input(
			err, "kernel %s is %s; a bzImage or an ELF vmlinux for x86-64 is needed",
			p->kernel->path, name);
	return err_input(err, "kernel %s is neither a bzImage nor an ELF vmlinux for x86-64",
			 p->kernel->path);
}

/*
 * A kernel lies in one piece between the structures of the first MiB and the hole:
 * the identity map of the 64-bit entry and the 32-bit one of PVH reach no further than 4 GiB.
 */
static int plan_check_memory(const struct plan *p, struct lkvm_error *err)
{
	if (p->start < X86_HIGH_RAM_GPA || p->end > X86_HOLE_START)
		return err_input(
			err,
			"kernel %s lies at 0x%llx-0x%llx; between 0x%llx and 0x%llx is possible",
			p->kernel->path, (unsigned long long)p->start,
			(unsigned long long)p->end - 1, X86_HIGH_RAM_GPA, X86_HOLE_START);
	if (!gmem_contains(p->gm, p->start, p->end - p->start))
		return err_input(
			err, "kernel %s needs at least %llu MiB of memory; --mem gives %llu MiB",
			p->kernel->path, to_mib(p->end),
			(unsigned long long)(gmem_ram_size(p->gm) / MIB));
	return 0;
}

static int plan_kernel(struct plan *p, struct lkvm_error *err)
{
	int ret;

	if (p->kernel->fd < 0)
		return err_input(err, "--kernel: a kernel file is needed");
	if (bzimage_is_bzimage(p->kernel))
		ret = plan_bzimage(p, err);
	else if (elf_is_elf(p->kernel))
		ret = plan_elf(p, err);
	else
		ret = plan_foreign(p, err);
	return ret ? ret : plan_check_memory(p, err);
}

/* ---- initrd and command line ---- */

/* As high as possible, above 4 GiB only where there is no room below. */
static int plan_initrd(struct plan *p, struct lkvm_error *err)
{
	static const char fmt[] =
		"initrd %s of %llu KiB does not fit: with --mem of %llu MiB there is room for "
		"%llu KiB beside the kernel";
	u64 size = p->initrd->size;
	u64 limit = min_u64(p->initrd_limit, X86_HOLE_START);
	u64 largest = 0;

	if (p->initrd->fd < 0)
		return 0;
	if (!load_place(p->gm, size, X86_HIGH_RAM_GPA, limit, p->start, p->end - p->start,
			&p->initrd_gpa, &largest) ||
	    !load_place(p->gm, size, X86_HOLE_END, p->initrd_limit, 0, 0, &p->initrd_gpa, &largest))
		return 0;
	return err_input(err, fmt, p->initrd->path, to_kib(size),
			 (unsigned long long)(gmem_ram_size(p->gm) / MIB),
			 (unsigned long long)(largest / KIB));
}

static int plan_cmdline(const struct plan *p, struct lkvm_error *err)
{
	size_t len = strnlen(p->cfg->cmdline, LKVM_CMDLINE_MAX);
	size_t max = min_u64(p->cmdline_max, LKVM_CMDLINE_MAX - 1);

	if (len > max)
		return err_input(err, "--params: %zu bytes; kernel %s takes at most %zu", len,
				 p->kernel->path, max);
	return 0;
}

/* ---- into memory ---- */

static int load_kernel(const struct plan *p, struct lkvm_error *err)
{
	if (p->is_elf)
		return elf_load(p->kernel, &p->elf, p->gm, err);
	return load_image(p->kernel, p->bz.code_off, p->bz.code_len, p->gm, p->bz.gpa, err);
}

/* One of our own structures below 1 MiB; only a machine with next to no memory refuses. */
static int write_low(const struct plan *p, u64 gpa, const void *buf, size_t len,
		     struct lkvm_error *err)
{
	if (gmem_write(p->gm, gpa, buf, len))
		return err_input(err, "--mem of %llu MiB is too little to boot a kernel",
				 (unsigned long long)(gmem_ram_size(p->gm) / MIB));
	return 0;
}

static int write_cmdline(const struct plan *p, struct lkvm_error *err)
{
	size_t len = strnlen(p->cfg->cmdline, LKVM_CMDLINE_MAX);
	int ret = write_low(p, X86_CMDLINE_GPA, p->cfg->cmdline, len, err);

	return ret ? ret : write_low(p, X86_CMDLINE_GPA + len, "", 1, err);
}

static int write_pvh(struct plan *p, struct lkvm_error *err)
{
	struct e820_entry map[E820_MAX];
	struct pvh_desc desc = {
		.gpa = X86_PVH_INFO_GPA,
		.cmdline_gpa = X86_CMDLINE_GPA,
		.initrd_gpa = p->initrd_gpa,
		.initrd_size = p->initrd->size,
		.rsdp_gpa = X86_ACPI_GPA,
		.e820 = map,
		.n_e820 = e820_build(p->gm, map),
	};
	u8 info[PVH_MAX_SIZE];

	pvh_build(&desc, info);
	p->entry.param = X86_PVH_INFO_GPA;
	return write_low(p, X86_PVH_INFO_GPA, info, sizeof(info), err);
}

static int write_long64(struct plan *p, struct lkvm_error *err)
{
	struct e820_entry map[E820_MAX];
	struct zeropage_desc desc = {
		.setup = p->is_elf ? NULL : p->bz.setup,
		.setup_len = p->is_elf ? 0 : p->bz.setup_len,
		.kernel_gpa = p->start,
		.cmdline_gpa = X86_CMDLINE_GPA,
		.initrd_gpa = p->initrd_gpa,
		.initrd_size = p->initrd->size,
		.rsdp_gpa = X86_ACPI_GPA,
		.e820 = map,
		.n_e820 = e820_build(p->gm, map),
	};
	u8 page[ZP_SIZE], gdt[BOOT_GDT_SIZE], tables[BOOT_PAGE_TABLES_SIZE];
	int ret;

	zeropage_build(&desc, page);
	boot_gdt_build(gdt);
	boot_page_tables_build(X86_PAGE_TABLE_GPA, tables);
	p->entry.param = X86_ZERO_PAGE_GPA;
	ret = write_low(p, X86_ZERO_PAGE_GPA, page, sizeof(page), err);
	if (!ret)
		ret = write_low(p, X86_GDT_GPA, gdt, sizeof(gdt), err);
	if (!ret)
		ret = write_low(p, X86_PAGE_TABLE_GPA, tables, sizeof(tables), err);
	return ret;
}

int boot_load(const struct lkvm_config *cfg, const struct image *kernel, const struct image *initrd,
	      const struct gmem *gm, struct boot_entry *entry, struct lkvm_error *err)
{
	struct plan p = { .cfg = cfg, .gm = gm, .kernel = kernel, .initrd = initrd };
	int ret;

	ret = plan_kernel(&p, err);
	if (!ret)
		ret = plan_cmdline(&p, err);
	if (!ret)
		ret = plan_initrd(&p, err);
	if (!ret)
		ret = load_kernel(&p, err);
	if (!ret && initrd->fd >= 0)
		ret = load_image(initrd, 0, initrd->size, gm, p.initrd_gpa, err);
	if (!ret)
		ret = write_cmdline(&p, err);
	if (!ret)
		ret = p.entry.mode == BOOT_ENTRY_PVH ? write_pvh(&p, err) : write_long64(&p, err);
	if (!ret)
		*entry = p.entry;
	return ret;
}
