#include "arch/x86/boot.h"

#include <elf.h>
#include <errno.h>

#include "arch/x86/bootregs.h"
#include "arch/x86/bzimage.h"
#include "arch/x86/e820.h"
#include "arch/x86/layout.h"
#include "arch/x86/multiboot.h"
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
	u64 info_gpa; /* of Multiboot's information; PVH's and the zero page have fixed places */
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

/*
 * PVH where the file has such an entry, Multiboot where it has that header, else the 64-bit entry,
 * which --boot may ask for all the same; a 32-bit file has none.
 */
static int choose_entry(struct plan *p, struct lkvm_error *err)
{
	bool is32 = p->elf.machine == EM_386;
	enum lkvm_boot boot = p->cfg->boot;

	if (p->elf.has_pvh && boot != LKVM_BOOT_LINUX64)
		p->entry.mode = BOOT_ENTRY_PVH;
	else if (boot == LKVM_BOOT_PVH)
		return err_input(err,
				 "kernel %s has no PVH entry (an ELF note of type 18 by \"Xen\")",
				 p->kernel->path);
	else if (boot == LKVM_BOOT_AUTO && multiboot_is(p->kernel))
		p->entry.mode = BOOT_ENTRY_MULTIBOOT;
	else if (is32 && boot == LKVM_BOOT_LINUX64)
		return err_input(err,
				 "kernel %s is a 32-bit ELF file, which has no 64-bit entry: "
				 "--boot linux64 is not for it",
				 p->kernel->path);
	else if (is32)
		return err_input(err,
				 "kernel %s is a 32-bit ELF file with neither a Multiboot header "
				 "nor a PVH entry",
				 p->kernel->path);
	else
		p->entry.mode = BOOT_ENTRY_LONG64;
	return p->entry.mode == BOOT_ENTRY_MULTIBOOT ? multiboot_check(p->kernel, err) : 0;
}

static int plan_elf(struct plan *p, struct lkvm_error *err)
{
	u16 machine = elf_is_i386(p->kernel) ? EM_386 : EM_X86_64;
	int ret;

	p->is_elf = true;
	ret = elf_parse(p->kernel, machine, &p->elf, err);
	if (!ret)
		ret = choose_entry(p, err);
	if (ret)
		return ret;
	p->entry.pc = p->entry.mode == BOOT_ENTRY_PVH ? p->elf.pvh_entry : p->elf.entry;
	if (!elf_has_code_at(&p->elf, p->entry.pc))
		return err_input(
			err, "kernel %s is entered at 0x%llx, where none of its segments has code",
			p->kernel->path, (unsigned long long)p->entry.pc);
	p->start = p->elf.start;
	p->end = p->elf.end;
	/* 32-bit code reads where it is */
	p->initrd_limit = p->entry.mode == BOOT_ENTRY_LONG64 ? UINT64_MAX : X86_HOLE_END;
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
static int plan_check_place(const struct plan *p, struct lkvm_error *err)
{
	if (p->start < X86_HIGH_RAM_GPA || p->end > X86_HOLE_START)
		return err_input(
			err,
			"kernel %s lies at 0x%llx-0x%llx; between 0x%llx and 0x%llx is possible",
			p->kernel->path, (unsigned long long)p->start,
			(unsigned long long)p->end - 1, X86_HIGH_RAM_GPA, X86_HOLE_START);
	return 0;
}

static int plan_check_memory(const struct plan *p, struct lkvm_error *err)
{
	if (!gmem_contains(p->gm, p->start, p->end - p->start))
		return err_input(
			err, "kernel %s needs at least %llu MiB of memory; --mem gives %llu MiB",
			p->kernel->path, to_mib(p->end),
			(unsigned long long)(gmem_ram_size(p->gm) / MIB));
	return 0;
}

/*
 * What Multiboot loads may also lie in conventional memory, where it hands over nothing of a fixed
 * place: tests of real mode do.
 */
static int plan_check_segments(const struct plan *p, struct lkvm_error *err)
{
	for (unsigned int i = 0; i < p->elf.n_segments; i++) {
		const struct elf_segment *seg = &p->elf.segments[i];
		u64 end = seg->gpa + seg->memsz;

		if (end > X86_EBDA_GPA && (seg->gpa < X86_HIGH_RAM_GPA || end > X86_HOLE_START))
			return err_input(err,
					 "kernel %s has a segment at 0x%llx-0x%llx; below 0x%llx "
					 "and between 0x%llx and 0x%llx is possible",
					 p->kernel->path, (unsigned long long)seg->gpa,
					 (unsigned long long)end - 1, X86_EBDA_GPA,
					 X86_HIGH_RAM_GPA, X86_HOLE_START);
	}
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
	if (!ret)
		ret = p->entry.mode == BOOT_ENTRY_MULTIBOOT ? plan_check_segments(p, err)
							    : plan_check_place(p, err);
	return ret ? ret : plan_check_memory(p, err);
}

/* ---- initrd and command line ---- */

static int no_room(const struct plan *p, u64 largest, struct lkvm_error *err)
{
	return err_input(err,
			 "initrd %s of %llu KiB does not fit: with --mem of %llu MiB there is room "
			 "for %llu KiB beside the kernel",
			 p->initrd->path, to_kib(p->initrd->size),
			 (unsigned long long)(gmem_ram_size(p->gm) / MIB),
			 (unsigned long long)(largest / KIB));
}

/* As high as possible, above 4 GiB only where there is no room below. */
static int plan_initrd(struct plan *p, struct lkvm_error *err)
{
	u64 size = p->initrd->size;
	u64 limit = min_u64(p->initrd_limit, X86_HOLE_START);
	u64 largest = 0;

	if (p->initrd->fd < 0)
		return 0;
	if (!load_place(p->gm, size, X86_HIGH_RAM_GPA, limit, p->start, p->end - p->start,
			&p->initrd_gpa, &largest) ||
	    !load_place(p->gm, size, X86_HOLE_END, p->initrd_limit, 0, 0, &p->initrd_gpa, &largest))
		return 0;
	return no_room(p, largest, err);
}

/*
 * Where the information goes: as high in conventional memory as the kernel leaves room, or else
 * above 1 MiB, right behind the module.
 */
static int plan_multiboot(struct plan *p, struct lkvm_error *err)
{
	u64 size = p->initrd->fd < 0 ? 0 : align_up(p->initrd->size, GMEM_PAGE_SIZE);
	u64 largest = 0, gpa = 0;

	if (!load_place(p->gm, MULTIBOOT_INFO_SIZE, GMEM_PAGE_SIZE, X86_EBDA_GPA, p->start,
			p->end - p->start, &p->info_gpa, &largest))
		return plan_initrd(p, err);
	largest = 0;
	if (!load_place(p->gm, size + MULTIBOOT_INFO_SIZE, X86_HIGH_RAM_GPA, X86_HOLE_START,
			p->start, p->end - p->start, &gpa, &largest)) {
		p->initrd_gpa = gpa;
		p->info_gpa = gpa + size;
		return 0;
	}
	if (size)
		return no_room(p, largest, err);
	return err_input(err, "kernel %s leaves no room for what it is told in --mem of %llu MiB",
			 p->kernel->path, (unsigned long long)(gmem_ram_size(p->gm) / MIB));
}

static int plan_room(struct plan *p, struct lkvm_error *err)
{
	return p->entry.mode == BOOT_ENTRY_MULTIBOOT ? plan_multiboot(p, err) : plan_initrd(p, err);
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
	int ret = write_cmdline(p, err);

	pvh_build(&desc, info);
	p->entry.param = X86_PVH_INFO_GPA;
	return ret ? ret : write_low(p, X86_PVH_INFO_GPA, info, sizeof(info), err);
}

static int write_multiboot(struct plan *p, struct lkvm_error *err)
{
	struct e820_entry map[E820_MAX];
	struct multiboot_desc desc = {
		/* plan_multiboot() stayed below 4 GiB with all of them */
		.gpa = (u32)p->info_gpa,
		.cmdline = p->cfg->cmdline,
		.module_gpa = (u32)p->initrd_gpa,
		.module_size = (u32)p->initrd->size,
		.e820 = map,
		.n_e820 = e820_build(p->gm, map),
	};
	u8 info[MULTIBOOT_INFO_SIZE];

	multiboot_build(&desc, info);
	p->entry.param = p->info_gpa;
	return write_low(p, p->info_gpa, info, sizeof(info), err);
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
	ret = write_cmdline(p, err);
	if (!ret)
		ret = write_low(p, X86_ZERO_PAGE_GPA, page, sizeof(page), err);
	if (!ret)
		ret = write_low(p, X86_GDT_GPA, gdt, sizeof(gdt), err);
	if (!ret)
		ret = write_low(p, X86_PAGE_TABLE_GPA, tables, sizeof(tables), err);
	return ret;
}

static int write_handover(struct plan *p, struct lkvm_error *err)
{
	switch (p->entry.mode) {
	case BOOT_ENTRY_PVH:
		return write_pvh(p, err);
	case BOOT_ENTRY_MULTIBOOT:
		return write_multiboot(p, err);
	default:
		return write_long64(p, err);
	}
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
		ret = plan_room(&p, err);
	if (!ret)
		ret = load_kernel(&p, err);
	if (!ret && initrd->fd >= 0)
		ret = load_image(initrd, 0, initrd->size, gm, p.initrd_gpa, err);
	if (!ret)
		ret = write_handover(&p, err);
	if (!ret)
		*entry = p.entry;
	return ret;
}
