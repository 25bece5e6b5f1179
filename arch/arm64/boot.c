#include "arch/arm64/boot.h"

#include <elf.h>
#include <errno.h>

#include "arch/arm64/image.h"
#include "arch/arm64/layout.h"
#include "vmm/elf.h"
#include "vmm/load.h"
#include "vmm/unpack.h"

#define KERNEL_ALIGN	(2 * MIB)
#define FIRMWARE_ALIGN	GMEM_PAGE_SIZE
#define KERNEL_VA_START BIT(63)	   /* addresses of kernels have this bit, no machine's RAM has */
#define INITRD_WINDOW	(32 * GIB) /* of the kernel and its initrd (booting.rst) */

/*
 * Left behind a kernel that does not say how much it needs, where there is that much: flat binaries
 * have BSS and stacks behind their last byte.
 */
#define UNKNOWN_BSS (16 * MIB)

/* More than any kernel is: what is unpacked takes memory of the host before it is looked at. */
#define UNPACKED_MAX GIB

/* What goes where: decided in full before a byte is loaded. */
struct plan {
	const struct lkvm_config *cfg;
	const struct gmem *gm;
	const struct log *log;
	const struct image *initrd;

	struct image unpacked;
	const struct image *kernel; /* or firmware: the file that is loaded */
	bool is_elf;
	struct elf_kernel elf;
	u64 start, end; /* the memory it needs; end exclusive */
	bool end_unknown;
	u64 ram_end;
	struct boot_entry entry;
};

/* ---- the kernel ---- */

static int plan_image(struct plan *p, const struct arm64_image *h, struct lkvm_error *err)
{
	int ret = arm64_image_check_whole(p->kernel, err);

	if (ret)
		return ret;
	p->start = ARM64_RAM_BASE + h->text_offset;
	/* a file may be longer than what its kernel needs: signed ones are */
	p->end = p->start + max_u64(h->size, p->kernel->size);
	p->end_unknown = !h->size;
	p->entry.pc = p->start;
	return 0;
}

/*
 * A vmlinux begins with the Image's header, which knows of memory behind the last segment that the
 * kernel needs: its first page tables.
 */
static int plan_vmlinux_end(struct plan *p, struct lkvm_error *err)
{
	const struct elf_segment *first = &p->elf.segments[0];
	struct arm64_image h;
	int ret = arm64_image_parse(p->kernel, first->off, &h, err);

	if (ret > 0)
		p->end = max_u64(p->end, p->start + h.size);
	return ret < 0 ? ret : 0;
}

static int plan_elf(struct plan *p, struct lkvm_error *err)
{
	int ret = elf_parse(p->kernel, EM_AARCH64, &p->elf, err);

	if (ret)
		return ret;
	p->is_elf = true;
	if (!elf_has_code_at(&p->elf, p->elf.entry))
		return err_input(
			err, "kernel %s is entered at 0x%llx, where none of its segments has code",
			p->kernel->path, (unsigned long long)p->elf.entry);
	/* Linked to virtual addresses, with the offset from a 2 MiB boundary that Images have. */
	if (p->elf.start >= KERNEL_VA_START)
		elf_move(&p->elf, ARM64_RAM_BASE - align_down(p->elf.start, KERNEL_ALIGN));
	p->start = p->elf.start;
	p->end = p->elf.end;
	p->entry.pc = p->elf.entry;
	return plan_vmlinux_end(p, err);
}

static int plan_flat(struct plan *p)
{
	p->start = ARM64_RAM_BASE + ARM64_FLAT_OFFSET;
	p->end = p->start + p->kernel->size;
	p->end_unknown = true;
	p->entry.pc = p->start;
	log_warn(p->log,
		 "kernel %s is of no known format: taken for a flat binary, loaded at 0x%llx and "
		 "entered at its first byte",
		 p->kernel->path, (unsigned long long)p->start);
	return 0;
}

/* Neither Image nor ELF: a flat binary, if it is not something else for certain. */
static int plan_other(struct plan *p, const u8 *head, size_t n, struct lkvm_error *err)
{
	static const char need[] =
		"an arm64 Image (as it is, gzip'd or in EFI zboot form) or an arm64 ELF file is "
		"needed";
	const char *name = load_format_name(head, n);

	if (p->unpacked.fd >= 0)
		return err_input(err, "kernel %s is compressed and holds %s; %s", p->kernel->path,
				 name ? name : "no kernel", need);
	/* Image and zboot begin so; what is left of one must not run as a flat binary */
	if (n >= 2 && !memcmp(head, "MZ", 2) && (!name || n < ARM64_IMAGE_HEADER_LEN))
		return err_input(
			err,
			"kernel %s is truncated: it begins as an Image or EFI program does, and "
			"ends after %llu bytes",
			p->kernel->path, (unsigned long long)p->kernel->size);
	if (name)
		return err_input(err, "kernel %s is %s; %s", p->kernel->path, name, need);
	return plan_flat(p);
}

static int plan_kernel(struct plan *p, const struct image *kernel, struct lkvm_error *err)
{
	u8 head[LOAD_FORMAT_HEAD];
	struct arm64_image h;
	size_t n;
	int ret = unpack_image(kernel, min_u64(p->cfg->mem_size, UNPACKED_MAX), &p->unpacked, err);

	if (ret < 0)
		return ret;
	p->kernel = ret ? &p->unpacked : kernel;
	n = min_u64(p->kernel->size, sizeof(head));
	ret = image_read(p->kernel, 0, head, n, err);
	if (ret)
		return ret;
	if (n >= SELFMAG && !memcmp(head, ELFMAG, SELFMAG))
		return plan_elf(p, err);
	ret = arm64_image_parse(p->kernel, 0, &h, err);
	if (ret < 0)
		return ret;
	return ret ? plan_image(p, &h, err) : plan_other(p, head, n, err);
}

/* ---- firmware ---- */

static int plan_firmware(struct plan *p, const struct image *firmware, struct lkvm_error *err)
{
	u64 addr = p->cfg->firmware_addr ? p->cfg->firmware_addr : ARM64_RAM_BASE;
	u64 room;

	p->kernel = firmware;
	if (elf_is_elf(firmware))
		return err_input(err, "--firmware %s is an ELF file; raw code is needed",
				 firmware->path);
	if (addr % FIRMWARE_ALIGN)
		return err_input(err, "--firmware-address 0x%llx: must be a multiple of %d",
				 (unsigned long long)addr, FIRMWARE_ALIGN);
	if (addr < ARM64_RAM_BASE || addr >= p->ram_end)
		return err_input(err, "--firmware-address 0x%llx: must be in RAM, 0x%llx to 0x%llx",
				 (unsigned long long)addr, ARM64_RAM_BASE,
				 (unsigned long long)p->ram_end - 1);
	/* the device tree has the last 2 MiB */
	room = align_down(p->ram_end, KERNEL_ALIGN) - ARM64_RAM_BASE;
	room = room > ARM64_FDT_MAX ? room - ARM64_FDT_MAX : 0;
	if (firmware->size > room)
		return err_input(
			err,
			"--firmware %s of %llu KiB does not fit: with --mem of %llu MiB there is "
			"room for %llu KiB beside the device tree",
			firmware->path, to_kib(firmware->size), to_mib(p->cfg->mem_size),
			to_kib(room));
	room -= firmware->size;
	if (addr - ARM64_RAM_BASE > room)
		return err_input(
			err,
			"--firmware-address 0x%llx: firmware %s of %llu KiB and the device tree "
			"behind it do not fit there; up to 0x%llx is possible",
			(unsigned long long)addr, firmware->path, to_kib(firmware->size),
			(unsigned long long)align_down(ARM64_RAM_BASE + room, FIRMWARE_ALIGN));
	p->start = p->entry.pc = addr;
	p->end = addr + firmware->size;
	return 0;
}

/* ---- what comes behind it ---- */

/* Fits or not: the first place behind the kernel, or one farther off if its end is a guess. */
static u64 fdt_place(const struct plan *p)
{
	u64 first = align_up(p->end, KERNEL_ALIGN), behind, last;

	if (!p->end_unknown)
		return first;
	behind = ARM64_FDT_MAX + (p->initrd->fd < 0 ? 0 : p->initrd->size);
	if (behind > p->cfg->mem_size)
		return first;
	last = align_down(p->ram_end - behind, KERNEL_ALIGN);
	return max_u64(first, min_u64(last, align_up(p->end + UNKNOWN_BSS, KERNEL_ALIGN)));
}

static int plan_memory(struct plan *p, struct lkvm_error *err)
{
	u64 end;

	/* from here on nothing wraps */
	if (p->start < ARM64_RAM_BASE || p->end > ARM64_RAM_BASE + 2 * LKVM_MAX_MEM)
		return err_input(err, "kernel %s lies at 0x%llx-0x%llx; RAM is at 0x%llx to 0x%llx",
				 p->kernel->path, (unsigned long long)p->start,
				 (unsigned long long)p->end - 1, ARM64_RAM_BASE,
				 (unsigned long long)p->ram_end - 1);
	p->entry.fdt_gpa = fdt_place(p);
	end = p->entry.fdt_gpa + ARM64_FDT_MAX;
	if (end > p->ram_end)
		return err_input(
			err, "kernel %s needs at least %llu MiB of memory; --mem gives %llu MiB",
			p->kernel->path, to_mib(end - ARM64_RAM_BASE),
			(unsigned long long)(p->cfg->mem_size / MIB));
	return 0;
}

static int plan_initrd(struct plan *p, struct lkvm_error *err)
{
	u64 gpa = p->entry.fdt_gpa + ARM64_FDT_MAX;
	u64 limit = min_u64(p->ram_end, ARM64_RAM_BASE + INITRD_WINDOW);
	u64 room = limit > gpa ? limit - gpa : 0;

	if (p->initrd->fd < 0)
		return 0;
	if (p->initrd->size > room && limit < p->ram_end)
		return err_input(
			err,
			"initrd %s of %llu KiB does not fit: it must lie in the first %llu GiB of "
			"memory, where there is room for %llu KiB behind the kernel",
			p->initrd->path, to_kib(p->initrd->size),
			(unsigned long long)(INITRD_WINDOW / GIB),
			(unsigned long long)(room / KIB));
	if (p->initrd->size > room)
		return err_input(
			err,
			"initrd %s of %llu KiB does not fit: with --mem of %llu MiB there is room "
			"for %llu KiB behind the kernel",
			p->initrd->path, to_kib(p->initrd->size),
			(unsigned long long)(p->cfg->mem_size / MIB),
			(unsigned long long)(room / KIB));
	p->entry.initrd_gpa = gpa;
	p->entry.initrd_size = p->initrd->size;
	return 0;
}

static int plan_all(struct plan *p, const struct boot_files *files, struct lkvm_error *err)
{
	int ret;

	if (files->kernel->fd >= 0)
		ret = plan_kernel(p, files->kernel, err);
	else if (files->firmware->fd >= 0)
		ret = plan_firmware(p, files->firmware, err);
	else
		ret = err_input(err, "--kernel: a kernel file is needed");
	if (!ret)
		ret = plan_memory(p, err);
	return ret ? ret : plan_initrd(p, err);
}

/* ---- into memory ---- */

static int load_all(const struct plan *p, struct lkvm_error *err)
{
	int ret;

	if (p->is_elf)
		ret = elf_load(p->kernel, &p->elf, p->gm, err);
	else
		ret = load_image(p->kernel, 0, p->kernel->size, p->gm, p->start, err);
	if (!ret && p->initrd->fd >= 0)
		ret = load_image(p->initrd, 0, p->initrd->size, p->gm, p->entry.initrd_gpa, err);
	return ret;
}

int boot_load(const struct lkvm_config *cfg, const struct boot_files *files, const struct gmem *gm,
	      const struct log *log, struct boot_entry *entry, struct lkvm_error *err)
{
	struct plan p = {
		.cfg = cfg,
		.gm = gm,
		.log = log,
		.initrd = files->initrd,
		.unpacked = IMAGE_NONE,
		.ram_end = ARM64_RAM_BASE + cfg->mem_size,
	};
	int ret = plan_all(&p, files, err);

	if (!ret)
		ret = load_all(&p, err);
	image_close(&p.unpacked);
	if (!ret)
		*entry = p.entry;
	return ret;
}
