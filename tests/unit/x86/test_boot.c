/*
 * Booting on x86-64: what is handed to a kernel, where things go, what is refused.
 *
 * Does not prove that a kernel understands what it is handed: check-bed boots one
 * through each entry. Nor that registers are accepted by KVM: check-kvm does.
 *
 * Runs from the top of the tree. With GOLDEN_UPDATE=1 the golden files are
 * rewritten instead of compared.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "arch/x86/boot.h"
#include "arch/x86/bootregs.h"
#include "arch/x86/bzimage.h"
#include "arch/x86/e820.h"
#include "arch/x86/layout.h"
#include "arch/x86/pvh.h"
#include "arch/x86/zeropage.h"
#include "linux-uapi/x86.h"
#include "tests/unit/golden.h"
#include "tests/unit/mkkernel.h"

#define GOLDEN "tests/golden/x86/boot/"

/* Offsets in struct boot_params and hvm_start_info, written apart from the code under test. */
#define BP_RAMDISK	  0x218
#define BP_RAMDISK_SIZE	  0x21c
#define BP_CMD_LINE_PTR	  0x228
#define BP_EXT_RAMDISK	  0x0c0
#define BP_EXT_SIZE	  0x0c4
#define BP_RSDP		  0x070
#define SI_NR_MODULES	  12
#define SI_MODLIST	  16
#define SI_CMDLINE	  24
#define SI_RSDP		  32
#define SI_MEMMAP	  40
#define SI_MEMMAP_ENTRIES 48

#define INITRD_ROOM (16 * MIB - MIB) /* between the first MiB and the bzImage */

struct bed {
	struct lkvm_config cfg;
	u8 file[MK_MAX];
	size_t len;
	struct image kernel, initrd;
	struct gmem gm;
	struct boot_entry entry;
	struct lkvm_error err;
};

static int bed_setup(void **state)
{
	static struct bed bed;

	bed = (struct bed){ .kernel = IMAGE_NONE, .initrd = IMAGE_NONE };
	bed.len = mk_bzimage(bed.file);
	strcpy(bed.cfg.cmdline, "console=ttyS0");
	*state = &bed;
	return 0;
}

static int bed_teardown(void **state)
{
	struct bed *bed = *state;

	image_close(&bed->kernel);
	image_close(&bed->initrd);
	gmem_fini(&bed->gm);
	return 0;
}

static void add_memory(struct gmem *gm, u64 size)
{
	u64 low = min_u64(size, X86_HOLE_START);

	assert_int_equal(gmem_add(gm, 0, low, NULL), 0);
	if (size > low)
		assert_int_equal(gmem_add(gm, X86_HOLE_END, size - low, NULL), 0);
}

static void set_initrd(struct bed *bed, u64 size)
{
	mk_image(&bed->initrd, "initrd", "i.cpio", "initrd", 6);
	/* a hole: costs no memory before it is read */
	assert_int_equal(ftruncate(bed->initrd.fd, (off_t)size), 0);
	bed->initrd.size = size;
}

/* Boot in fresh memory: the kernel in bed->file, the initrd set before, @mem bytes. */
static int boot(struct bed *bed, u64 mem)
{
	gmem_fini(&bed->gm);
	add_memory(&bed->gm, mem);
	mk_image(&bed->kernel, "kernel", "k.img", bed->file, bed->len);
	bed->err = (struct lkvm_error){ 0 };
	bed->entry = (struct boot_entry){ 0 };
	return boot_load(&bed->cfg, &bed->kernel, &bed->initrd, &bed->gm, &bed->entry, &bed->err);
}

static void assert_boots(struct bed *bed, u64 mem)
{
	if (boot(bed, mem))
		fail_msg("%s", bed->err.msg);
	assert_string_equal(bed->err.msg, "");
}

static void assert_refused(struct bed *bed, u64 mem, const char *words)
{
	assert_int_equal(boot(bed, mem), -EINVAL);
	assert_int_equal(bed->err.kind, LKVM_ERR_INPUT);
	if (!strstr(bed->err.msg, words))
		fail_msg("'%s' is not in '%s'", words, bed->err.msg);
}

static void assert_guest_bytes(struct bed *bed, u64 gpa, const void *want, size_t len)
{
	u8 got[4096];

	assert_in_range(len, 0, sizeof(got));
	assert_int_equal(gmem_read(&bed->gm, gpa, got, len), 0);
	assert_memory_equal(got, want, len);
}

static u32 guest_u32(struct bed *bed, u64 gpa)
{
	u8 b[4];

	assert_int_equal(gmem_read(&bed->gm, gpa, b, 4), 0);
	return get_le32(b);
}

static u64 guest_u64(struct bed *bed, u64 gpa)
{
	return guest_u32(bed, gpa) | (u64)guest_u32(bed, gpa + 4) << 32;
}

static u64 zero_page_initrd(struct bed *bed)
{
	return guest_u32(bed, X86_ZERO_PAGE_GPA + BP_RAMDISK) |
	       (u64)guest_u32(bed, X86_ZERO_PAGE_GPA + BP_EXT_RAMDISK) << 32;
}

static u64 zero_page_initrd_size(struct bed *bed)
{
	return guest_u32(bed, X86_ZERO_PAGE_GPA + BP_RAMDISK_SIZE) |
	       (u64)guest_u32(bed, X86_ZERO_PAGE_GPA + BP_EXT_SIZE) << 32;
}

/* ---- golden files ---- */

static void assert_golden(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), GOLDEN "%s", name);
	golden_compare(path, text);
}

/* Bytes as text, lines of zeroes left out, so that a change reads well as a diff. */
static void dump(char *out, size_t size, const u8 *bytes, size_t len)
{
	static const u8 zeroes[16];
	size_t n = 0;

	out[0] = 0;
	for (size_t i = 0; i < len; i += 16) {
		size_t k = min_u64(16, len - i);

		if (!memcmp(bytes + i, zeroes, k))
			continue;
		n += (size_t)snprintf(out + n, size - n, "%03zx:", i);
		for (size_t j = 0; j < k; j++)
			n += (size_t)snprintf(out + n, size - n, " %02x", bytes[i + j]);
		n += (size_t)snprintf(out + n, size - n, "\n");
		assert_in_range(n, 1, size - 64);
	}
}

static void zero_page_is_as_golden(void **state)
{
	struct bed *bed = *state;
	struct e820_entry map[E820_MAX];
	struct zeropage_desc desc = {
		.setup = bed->file + 0x1f1,
		.setup_len = 0x26c - 0x1f1,
		.kernel_gpa = 0x1000000,
		.cmdline_gpa = X86_CMDLINE_GPA,
		.initrd_gpa = 0x1fe345000,
		.initrd_size = 0x123456789,
		.rsdp_gpa = X86_ACPI_GPA,
		.e820 = map,
	};
	static char text[32768];
	u8 page[ZP_SIZE];

	add_memory(&bed->gm, 6 * GIB);
	desc.n_e820 = e820_build(&bed->gm, map);
	memset(page, 0x55, sizeof(page));
	zeropage_build(&desc, page);
	dump(text, sizeof(text), page, sizeof(page));
	assert_golden("zeropage-bzimage.txt", text);

	desc.setup = NULL;
	desc.setup_len = 0;
	desc.initrd_gpa = desc.initrd_size = 0;
	gmem_fini(&bed->gm);
	add_memory(&bed->gm, 256 * MIB);
	desc.n_e820 = e820_build(&bed->gm, map);
	zeropage_build(&desc, page);
	dump(text, sizeof(text), page, sizeof(page));
	assert_golden("zeropage-elf.txt", text);
}

static void start_info_is_as_golden(void **state)
{
	struct bed *bed = *state;
	struct e820_entry map[E820_MAX];
	struct pvh_desc desc = {
		.gpa = X86_PVH_INFO_GPA,
		.cmdline_gpa = X86_CMDLINE_GPA,
		.initrd_gpa = 0xbe345000,
		.initrd_size = 0x1cba987,
		.rsdp_gpa = X86_ACPI_GPA,
		.e820 = map,
	};
	static char text[8192];
	u8 info[PVH_MAX_SIZE];

	add_memory(&bed->gm, 6 * GIB);
	desc.n_e820 = e820_build(&bed->gm, map);
	memset(info, 0x55, sizeof(info));
	pvh_build(&desc, info);
	dump(text, sizeof(text), info, sizeof(info));
	assert_golden("pvh.txt", text);

	desc.initrd_gpa = desc.initrd_size = 0;
	pvh_build(&desc, info);
	dump(text, sizeof(text), info, sizeof(info));
	assert_golden("pvh-no-initrd.txt", text);
}

static size_t print_segment(char *out, size_t size, const char *name, const struct kvm_segment *s)
{
	return (size_t)snprintf(out, size,
				"%s base %llx limit %x selector %x type %x present %u dpl %u db %u "
				"s %u l %u g %u avl %u unusable %u\n",
				name, (unsigned long long)s->base, s->limit, s->selector, s->type,
				s->present, s->dpl, s->db, s->s, s->l, s->g, s->avl, s->unusable);
}

static void print_regs(char *out, size_t size, const struct kvm_regs *r, const struct kvm_sregs *s)
{
	const struct {
		const char *name;
		const struct kvm_segment *seg;
	} segs[] = {
		{ "cs", &s->cs }, { "ds", &s->ds }, { "es", &s->es }, { "fs", &s->fs },
		{ "gs", &s->gs }, { "ss", &s->ss }, { "tr", &s->tr }, { "ldt", &s->ldt },
	};
	const u64 *gpr = &r->rax;
	size_t n = 0;

	n += (size_t)snprintf(out, size, "rip %llx rflags %llx rsp %llx rsi %llx rbx %llx\n",
			      (unsigned long long)r->rip, (unsigned long long)r->rflags,
			      (unsigned long long)r->rsp, (unsigned long long)r->rsi,
			      (unsigned long long)r->rbx);
	for (size_t i = 0; i < 16; i++)
		n += (size_t)snprintf(out + n, size - n, "%llx%c", (unsigned long long)gpr[i],
				      i < 15 ? ' ' : '\n');
	for (size_t i = 0; i < ARRAY_SIZE(segs); i++)
		n += print_segment(out + n, size - n, segs[i].name, segs[i].seg);
	snprintf(out + n, size - n,
		 "gdt %llx+%x idt %llx+%x\ncr0 %llx cr2 %llx cr3 %llx cr4 %llx cr8 %llx\n"
		 "efer %llx apic_base %llx bitmap %llx\n",
		 (unsigned long long)s->gdt.base, s->gdt.limit, (unsigned long long)s->idt.base,
		 s->idt.limit, (unsigned long long)s->cr0, (unsigned long long)s->cr2,
		 (unsigned long long)s->cr3, (unsigned long long)s->cr4, (unsigned long long)s->cr8,
		 (unsigned long long)s->efer, (unsigned long long)s->apic_base,
		 (unsigned long long)s->interrupt_bitmap[0]);
}

/* What KVM has after creating a vCPU, as far as it matters: recognisable values. */
static void fill_regs(struct kvm_regs *regs, struct kvm_sregs *sregs)
{
	memset(regs, 0x5a, sizeof(*regs));
	memset(sregs, 0, sizeof(*sregs));
	sregs->cs.selector = 0xf000;
	sregs->cs.base = 0xffff0000;
	sregs->tr.limit = sregs->ldt.limit = 0xffff;
	sregs->tr.type = 0xb;
	sregs->ldt.type = 2;
	sregs->tr.present = sregs->ldt.present = 1;
	sregs->gdt.limit = sregs->idt.limit = 0xffff;
	sregs->cr0 = 0x60000010;
	sregs->cr3 = 0x1000;
	sregs->cr4 = 0x2000;
	sregs->efer = 0x1;
	sregs->apic_base = 0xfee00900;
}

static void registers_are_as_golden(void **state)
{
	struct boot_entry entry = { .mode = BOOT_ENTRY_LONG64, .pc = 0x1000200, .param = 0x7000 };
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	char text[4096];

	(void)state;
	fill_regs(&regs, &sregs);
	boot_regs(&entry, &regs, &sregs);
	print_regs(text, sizeof(text), &regs, &sregs);
	assert_golden("regs-long64.txt", text);

	entry = (struct boot_entry){ .mode = BOOT_ENTRY_PVH, .pc = 0x38ab110, .param = 0x6000 };
	fill_regs(&regs, &sregs);
	boot_regs(&entry, &regs, &sregs);
	print_regs(text, sizeof(text), &regs, &sregs);
	assert_golden("regs-pvh.txt", text);
}

/* ---- tables ---- */

static void descriptor_table_is_flat(void **state)
{
	u8 gdt[BOOT_GDT_SIZE];

	(void)state;
	memset(gdt, 0xff, sizeof(gdt));
	boot_gdt_build(gdt);
	assert_int_equal(get_le64(gdt), 0);
	assert_int_equal(get_le64(gdt + 8), 0);
	/* present, 4 GiB by pages; execute/read in 64-bit mode; read/write */
	assert_int_equal(get_le64(gdt + 0x10), 0x00af9b000000ffff);
	assert_int_equal(get_le64(gdt + 0x18), 0x00cf93000000ffff);
}

/* As the CPU does it (SDM 3A, 4.5.4), with tables at @gpa: UINT64_MAX when not mapped. */
static u64 walk(const u8 *tables, u64 gpa, u64 addr)
{
	u64 entry, at = gpa;

	for (unsigned int shift = 39; shift >= 21; shift -= 9) {
		u64 off = at - gpa + (addr >> shift & 511) * 8;

		assert_true(range_fits(off, 8, BOOT_PAGE_TABLES_SIZE));
		entry = get_le64(tables + off);
		if ((entry & 3) != 3)
			return UINT64_MAX;
		at = entry & 0xffffffffff000;
		if (shift == 21)
			assert_true(entry & 0x80);
	}
	return at | (addr & 0x1fffff);
}

static void page_tables_map_4_gib_one_to_one(void **state)
{
	static u8 tables[BOOT_PAGE_TABLES_SIZE];

	(void)state;
	memset(tables, 0xff, sizeof(tables));
	boot_page_tables_build(0x9000, tables);
	for (u64 a = 0; a < 4 * GIB; a += 2 * MIB) {
		assert_int_equal(walk(tables, 0x9000, a), a);
		assert_int_equal(walk(tables, 0x9000, a + 2 * MIB - 1), a + 2 * MIB - 1);
	}
	assert_int_equal(walk(tables, 0x9000, 4 * GIB), UINT64_MAX);
	assert_int_equal(walk(tables, 0x9000, BIT(39)), UINT64_MAX);
	assert_int_equal(walk(tables, 0x9000, BIT(47)), UINT64_MAX);
}

static void memory_map_tells_all_ram_and_nothing_else(void **state)
{
	static const u64 sizes[] = { 4 * MIB, 256 * MIB,      3 * GIB - 4096,
				     3 * GIB, 3 * GIB + 4096, 1024 * GIB };
	struct bed *bed = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct e820_entry map[E820_MAX];
		unsigned int n;
		u64 ram = 0;

		gmem_fini(&bed->gm);
		add_memory(&bed->gm, sizes[i]);
		n = e820_build(&bed->gm, map);
		assert_in_range(n, 5, E820_MAX);
		for (unsigned int j = 0; j < n; j++) {
			if (j)
				assert_true(map[j].addr >= map[j - 1].addr + map[j - 1].size);
			if (map[j].type != E820_RAM)
				continue;
			assert_true(gmem_contains(&bed->gm, map[j].addr, map[j].size));
			assert_false(ranges_overlap(map[j].addr, map[j].size, X86_ACPI_GPA,
						    X86_ACPI_SIZE));
			ram += map[j].size;
		}
		/* all but what a PC keeps between 639 KiB and 1 MiB */
		assert_int_equal(ram, sizes[i] - (X86_HIGH_RAM_GPA - X86_EBDA_GPA));
	}
}

/* ---- what is in memory after a boot ---- */

static void bzimage_is_loaded_with_its_header(void **state)
{
	struct bed *bed = *state;

	set_initrd(bed, 10000);
	assert_boots(bed, 64 * MIB);
	assert_int_equal(bed->entry.mode, BOOT_ENTRY_LONG64);
	assert_int_equal(bed->entry.pc, MK_BZ_GPA + 0x200);
	assert_int_equal(bed->entry.param, X86_ZERO_PAGE_GPA);
	assert_guest_bytes(bed, MK_BZ_GPA, bed->file + MK_BZ_CODE_OFF, MK_BZ_CODE_LEN);
	/* the signature behind the code is not part of it */
	assert_guest_bytes(bed, MK_BZ_GPA + MK_BZ_CODE_LEN, "\0", 1);
	assert_guest_bytes(bed, X86_CMDLINE_GPA, "console=ttyS0", 14);

	assert_guest_bytes(bed, X86_ZERO_PAGE_GPA + 0x202, bed->file + 0x202, 14);
	assert_guest_bytes(bed, X86_ZERO_PAGE_GPA + 0x230, bed->file + 0x230, 0x20);
	/* neither the sentinel nor what follows the header comes from the file */
	assert_guest_bytes(bed, X86_ZERO_PAGE_GPA + 0x1ef, "\0", 1);
	assert_guest_bytes(bed, X86_ZERO_PAGE_GPA + 0x26c, "\0\0\0\0", 4);
	assert_int_equal(guest_u32(bed, X86_ZERO_PAGE_GPA + BP_CMD_LINE_PTR), X86_CMDLINE_GPA);
	assert_int_equal(guest_u64(bed, X86_ZERO_PAGE_GPA + BP_RSDP), X86_ACPI_GPA);
	assert_int_equal(zero_page_initrd_size(bed), 10000);
	assert_int_equal(zero_page_initrd(bed), 64 * MIB - 3 * 4096);
	assert_guest_bytes(bed, zero_page_initrd(bed), "initrd\0", 7);
	assert_int_equal(guest_u64(bed, X86_GDT_GPA + 0x10), 0x00af9b000000ffff);
	assert_int_equal(guest_u64(bed, X86_PAGE_TABLE_GPA + 0x2000 + 8), 0x200083);
}

static void elf_is_entered_by_pvh_where_it_can(void **state)
{
	struct bed *bed = *state;
	u64 modules, memmap;

	bed->len = mk_elf(bed->file);
	set_initrd(bed, 10000);
	assert_boots(bed, 4 * MIB);
	assert_int_equal(bed->entry.mode, BOOT_ENTRY_PVH);
	assert_int_equal(bed->entry.pc, MK_ELF_PVH_ENTRY);
	assert_int_equal(bed->entry.param, X86_PVH_INFO_GPA);
	assert_guest_bytes(bed, MK_ELF_TEXT_GPA, bed->file + MK_ELF_TEXT_OFF, MK_ELF_TEXT_LEN);
	assert_int_equal(guest_u32(bed, X86_PVH_INFO_GPA), 0x336ec578);
	assert_int_equal(guest_u64(bed, X86_PVH_INFO_GPA + SI_CMDLINE), X86_CMDLINE_GPA);
	assert_int_equal(guest_u64(bed, X86_PVH_INFO_GPA + SI_RSDP), X86_ACPI_GPA);
	assert_int_equal(guest_u32(bed, X86_PVH_INFO_GPA + SI_NR_MODULES), 1);
	modules = guest_u64(bed, X86_PVH_INFO_GPA + SI_MODLIST);
	assert_int_equal(guest_u64(bed, modules), 4 * MIB - 3 * 4096);
	assert_int_equal(guest_u64(bed, modules + 8), 10000);
	assert_guest_bytes(bed, 4 * MIB - 3 * 4096, "initrd\0", 7);
	memmap = guest_u64(bed, X86_PVH_INFO_GPA + SI_MEMMAP);
	assert_int_equal(guest_u32(bed, X86_PVH_INFO_GPA + SI_MEMMAP_ENTRIES), 6);
	assert_int_equal(guest_u64(bed, memmap), 0);
	assert_int_equal(guest_u64(bed, memmap + 8), X86_EBDA_GPA);
	assert_int_equal(guest_u32(bed, memmap + 16), E820_RAM);
}

static void elf_is_entered_in_64_bit_mode_if_asked_or_without_note(void **state)
{
	struct bed *bed = *state;

	bed->len = mk_elf(bed->file);
	bed->cfg.boot = LKVM_BOOT_LINUX64;
	assert_boots(bed, 4 * MIB);
	assert_int_equal(bed->entry.mode, BOOT_ENTRY_LONG64);
	assert_int_equal(bed->entry.pc, MK_ELF_ENTRY);
	assert_int_equal(bed->entry.param, X86_ZERO_PAGE_GPA);
	assert_guest_bytes(bed, X86_ZERO_PAGE_GPA + 0x202, "HdrS", 4);

	bed->cfg.boot = LKVM_BOOT_AUTO;
	put_le32(MK_PHDR(bed->file, 2, p_type), PT_NULL);
	assert_boots(bed, 4 * MIB);
	assert_int_equal(bed->entry.mode, BOOT_ENTRY_LONG64);

	bed->cfg.boot = LKVM_BOOT_PVH;
	assert_refused(bed, 4 * MIB, "kernel k.img has no PVH entry");
}

static void bzimage_has_no_pvh_entry(void **state)
{
	struct bed *bed = *state;

	bed->cfg.boot = LKVM_BOOT_PVH;
	assert_refused(bed, 64 * MIB, "bzImage, which has no PVH entry");
}

static void elf_entry_must_be_in_the_file(void **state)
{
	struct bed *bed = *state;

	bed->len = mk_elf(bed->file);
	bed->cfg.boot = LKVM_BOOT_LINUX64;
	put_le64(MK_EHDR(bed->file, e_entry), MK_ELF_TEXT_GPA + MK_ELF_TEXT_LEN - 1);
	assert_boots(bed, 4 * MIB);
	put_le64(MK_EHDR(bed->file, e_entry), MK_ELF_TEXT_GPA + MK_ELF_TEXT_LEN);
	assert_refused(bed, 4 * MIB, "entered at 0x100200, where none of its segments");
	put_le64(MK_EHDR(bed->file, e_entry), MK_ELF_TEXT_GPA - 1);
	assert_refused(bed, 4 * MIB, "entered at 0xfffff");
	/* .bss: there, but nothing to execute */
	put_le64(MK_EHDR(bed->file, e_entry), MK_ELF_DATA_GPA + MK_ELF_DATA_LEN);
	assert_refused(bed, 4 * MIB, "entered at 0x102100");
	/* a virtual address, as other architectures' kernels have it */
	put_le64(MK_EHDR(bed->file, e_entry), 0xffffffff81000000);
	assert_refused(bed, 4 * MIB, "entered at 0xffffffff81000000");

	bed->cfg.boot = LKVM_BOOT_PVH;
	mk_elf_note(bed->file, MK_ELF_NOTE_OFF, 18, 4, 0x99);
	assert_refused(bed, 4 * MIB, "entered at 0x99");
}

static void elf_keeps_off_the_first_mib_and_the_hole(void **state)
{
	struct bed *bed = *state;
	u8 *ph = MK_PHDR(bed->file, 1, p_paddr);

	bed->len = mk_elf(bed->file);
	put_le64(ph, X86_HIGH_RAM_GPA - 1);
	put_le64(MK_PHDR(bed->file, 1, p_memsz), 1);
	put_le64(MK_PHDR(bed->file, 1, p_filesz), 1);
	assert_refused(bed, 4 * MIB, "kernel k.img lies at 0xfffff-0x1001ff; between 0x100000 and");
	put_le64(ph, 0x7000);
	assert_refused(bed, 4 * MIB, "lies at 0x7000-");

	bed->len = mk_elf(bed->file);
	put_le64(ph, X86_HOLE_START - MK_ELF_DATA_MEMSZ);
	assert_boots(bed, 4 * GIB);
	put_le64(ph, X86_HOLE_START - MK_ELF_DATA_MEMSZ + 1);
	assert_refused(bed, 4 * GIB, "lies at 0x100000-0xc0000000;");
	put_le64(ph, X86_HOLE_END);
	assert_refused(bed, 8 * GIB, "and 0xc0000000 is possible");
}

/* ---- what fits ---- */

static void kernel_fits_to_the_byte(void **state)
{
	struct bed *bed = *state;

	assert_boots(bed, MK_BZ_GPA + MK_BZ_INIT_SIZE);
	assert_refused(bed, MK_BZ_GPA + MK_BZ_INIT_SIZE - 4096,
		       "kernel k.img needs at least 18 MiB of memory; --mem gives 17 MiB");
	put_le32(bed->file + 0x260, MK_BZ_INIT_SIZE + 1);
	assert_refused(bed, MK_BZ_GPA + MK_BZ_INIT_SIZE, "needs at least 19 MiB");

	bed->len = mk_elf(bed->file);
	put_le64(MK_PHDR(bed->file, 1, p_memsz), 4 * MIB - MK_ELF_DATA_GPA);
	assert_boots(bed, 4 * MIB);
	put_le64(MK_PHDR(bed->file, 1, p_memsz), 4 * MIB - MK_ELF_DATA_GPA + 1);
	assert_refused(bed, 4 * MIB, "needs at least 5 MiB of memory; --mem gives 4 MiB");
}

static void code_larger_than_init_size_counts(void **state)
{
	struct bed *bed = *state;

	put_le32(bed->file + 0x260, 0);
	assert_boots(bed, MK_BZ_GPA + 4096);
	put_le64(bed->file + 0x258, 18 * MIB);
	assert_refused(bed, 18 * MIB, "needs at least 19 MiB");
}

static void kernel_goes_where_it_prefers(void **state)
{
	struct bed *bed = *state;
	u8 *pref = bed->file + 0x258, *relocatable = bed->file + 0x234;

	/* relocatable: rounded up to its alignment, and above the first MiB */
	put_le64(pref, 0x1000001);
	assert_boots(bed, 64 * MIB);
	assert_int_equal(bed->entry.pc, 0x1200200);
	put_le64(pref, 0);
	assert_boots(bed, 64 * MIB);
	assert_int_equal(bed->entry.pc, 0x200200);

	/* not relocatable: there or nowhere */
	*relocatable = 0;
	assert_refused(bed, 64 * MIB, "wants to be loaded at 0x0; between 0x100000 and 0xc0000000");
	put_le64(pref, 0x1234567);
	assert_boots(bed, 64 * MIB);
	assert_int_equal(bed->entry.pc, 0x1234767);
	put_le64(pref, X86_HOLE_START);
	assert_refused(bed, 8 * GIB, "wants to be loaded at 0xc0000000");
	put_le64(pref, UINT64_MAX);
	assert_refused(bed, 8 * GIB, "wants to be loaded at 0xffffffffffffffff");
	*relocatable = 1;
	assert_refused(bed, 8 * GIB, "wants to be loaded at 0xffffffffffffffff");
	put_le64(pref, X86_HOLE_START - 0x200000);
	assert_boots(bed, 8 * GIB);
	put_le32(bed->file + 0x260, 0x200001);
	assert_refused(bed, 8 * GIB, "lies at 0xbfe00000-0xc0000000");
}

static void initrd_fits_to_the_byte(void **state)
{
	struct bed *bed = *state;

	/* above the kernel */
	set_initrd(bed, 40 * MIB);
	assert_boots(bed, 58 * MIB);
	assert_int_equal(zero_page_initrd(bed), 18 * MIB);
	set_initrd(bed, 40 * MIB + 1);
	assert_refused(bed, 58 * MIB,
		       "initrd i.cpio of 40961 KiB does not fit: with --mem of 58 MiB there is "
		       "room for 40960 KiB");
	/* the page it does not end on stays the kernel's */
	set_initrd(bed, 40 * MIB - 1);
	assert_boots(bed, 58 * MIB);
	assert_int_equal(zero_page_initrd(bed), 18 * MIB);

	/* below it, where that is the larger room */
	set_initrd(bed, INITRD_ROOM);
	assert_boots(bed, 20 * MIB);
	assert_int_equal(zero_page_initrd(bed), 1 * MIB);
	assert_guest_bytes(bed, MK_BZ_GPA, bed->file + MK_BZ_CODE_OFF, MK_BZ_CODE_LEN);
	set_initrd(bed, INITRD_ROOM + 1);
	assert_refused(bed, 20 * MIB, "there is room for 15360 KiB");

	/* larger than all memory, and than any */
	set_initrd(bed, 64 * MIB);
	assert_refused(bed, 32 * MIB, "does not fit");
	set_initrd(bed, (u64)1 << 60);
	assert_refused(bed, 32 * MIB, "does not fit");
}

static void initrd_goes_above_4_gib_only_if_it_must_and_may(void **state)
{
	struct bed *bed = *state;
	u64 gpa;

	/* 3 GiB less the kernel: what is below the hole */
	put_le64(bed->file + 0x258, X86_HOLE_START - 16 * MIB);
	put_le32(bed->file + 0x260, 16 * MIB);
	set_initrd(bed, 32 * MIB);
	assert_boots(bed, 8 * GIB);
	assert_int_equal(zero_page_initrd(bed), X86_HOLE_START - 48 * MIB);

	/* a kernel in the way of all but the room above 4 GiB */
	put_le64(bed->file + 0x258, 2 * MIB);
	put_le32(bed->file + 0x260, (u32)(X86_HOLE_START - 2 * MIB));
	assert_boots(bed, 8 * GIB);
	gpa = zero_page_initrd(bed);
	assert_int_equal(gpa, X86_HOLE_END + 5 * GIB - 32 * MIB);
	assert_guest_bytes(bed, gpa, "initrd\0", 7);
	assert_refused(bed, 3 * GIB + 16 * MIB, "there is room for 16384 KiB");

	/* without XLF_CAN_BE_LOADED_ABOVE_4G */
	put_le16(bed->file + 0x236, 1);
	assert_refused(bed, 8 * GIB, "initrd i.cpio");
}

static void initrd_addr_max_is_obeyed_by_kernels_that_need_it(void **state)
{
	struct bed *bed = *state;

	put_le16(bed->file + 0x236, 1);
	put_le32(bed->file + 0x22c, 0x37ffffff);
	set_initrd(bed, 131072);
	assert_boots(bed, 2 * GIB);
	/* the example of boot.rst */
	assert_int_equal(zero_page_initrd(bed), 0x37fe0000);
	put_le32(bed->file + 0x22c, MK_BZ_GPA + MK_BZ_INIT_SIZE + 131071);
	set_initrd(bed, INITRD_ROOM + 1);
	assert_refused(bed, 2 * GIB, "there is room for 15360 KiB");
	put_le32(bed->file + 0x22c, 0xffffffff);
	assert_boots(bed, 8 * GIB);
	assert_in_range(zero_page_initrd(bed), GIB, X86_HOLE_START);
}

static void pvh_initrd_stays_below_4_gib(void **state)
{
	struct bed *bed = *state;

	bed->len = mk_elf(bed->file);
	put_le64(MK_PHDR(bed->file, 1, p_paddr), X86_HOLE_START - MK_ELF_DATA_MEMSZ);
	set_initrd(bed, 4096);
	/* between the first segment and the last there is no room: they count as one piece */
	assert_refused(bed, 8 * GIB, "there is room for 0 KiB");
	bed->cfg.boot = LKVM_BOOT_LINUX64;
	assert_boots(bed, 8 * GIB);
	assert_int_equal(zero_page_initrd(bed), X86_HOLE_END + 5 * GIB - 4096);
}

static void command_line_fits_to_the_byte(void **state)
{
	struct bed *bed = *state;
	char *cmdline = bed->cfg.cmdline;

	memset(cmdline, 'x', MK_BZ_CMDLINE);
	cmdline[MK_BZ_CMDLINE] = 0;
	assert_boots(bed, 64 * MIB);
	assert_guest_bytes(bed, X86_CMDLINE_GPA, cmdline, MK_BZ_CMDLINE + 1);
	cmdline[MK_BZ_CMDLINE] = 'x';
	cmdline[MK_BZ_CMDLINE + 1] = 0;
	assert_refused(bed, 64 * MIB, "--params: 2048 bytes; kernel k.img takes at most 2047");

	/* what is there before does not matter */
	strcpy(cmdline, "quiet");
	assert_int_equal(
		boot_load(&bed->cfg, &bed->kernel, &bed->initrd, &bed->gm, &bed->entry, NULL), 0);
	assert_guest_bytes(bed, X86_CMDLINE_GPA, "quiet", 6);

	/* a kernel that takes more than there is room for, one that does not say what it takes */
	memset(cmdline, 'x', LKVM_CMDLINE_MAX);
	put_le32(bed->file + 0x238, 0xffffffff);
	assert_refused(bed, 64 * MIB, "--params: 4096 bytes; kernel k.img takes at most 4095");
	bed->len = mk_elf(bed->file);
	memset(cmdline, 'x', LKVM_CMDLINE_MAX - 1);
	cmdline[LKVM_CMDLINE_MAX - 1] = 0;
	assert_boots(bed, 64 * MIB);
	assert_guest_bytes(bed, X86_CMDLINE_GPA, cmdline, LKVM_CMDLINE_MAX);
	cmdline[LKVM_CMDLINE_MAX - 1] = 'x';
	assert_refused(bed, 64 * MIB, "--params: 4096 bytes; kernel k.img takes at most 4095");
}

static void next_to_no_memory_is_refused(void **state)
{
	struct bed *bed = *state;

	put_le64(bed->file + 0x258, 0);
	for (u64 mem = 4096; mem <= 2 * MIB; mem += 4096) {
		assert_refused(bed, mem, "--mem");
		assert_true(bed->err.msg[0]);
	}
}

/* ---- bad files ---- */

static void headers_that_cannot_be_are_refused(void **state)
{
	struct bed *bed = *state;
	u8 *f = bed->file;

	f[0x201] = 0x264 - 0x202 - 1;
	assert_refused(bed, 64 * MIB, "its setup header ends at 0x263");
	f[0x201] = 0x264 - 0x202;
	assert_boots(bed, 64 * MIB);
	f[0x201] = 0x290 - 0x202;
	assert_boots(bed, 64 * MIB);
	f[0x201] = 0x290 - 0x202 + 1;
	assert_refused(bed, 64 * MIB, "its setup header ends at 0x291");

	mk_bzimage(f);
	put_le16(f + 0x206, 0x20b);
	assert_refused(bed, 64 * MIB, "boot protocol 2.11 and no 64-bit entry; 2.12 ");
	put_le16(f + 0x206, 0x20c);
	assert_boots(bed, 64 * MIB);
	put_le16(f + 0x236, 2);
	assert_refused(bed, 64 * MIB, "no 64-bit entry: it was built for 32-bit x86 (i386)");

	mk_bzimage(f);
	put_le32(f + 0x230, 0);
	assert_refused(bed, 64 * MIB, "alignment 0x0 is not a power of two");
	put_le32(f + 0x230, 0x300000);
	assert_refused(bed, 64 * MIB, "alignment 0x300000 is not");
	f[0x234] = 0; /* then it does not matter */
	assert_boots(bed, 64 * MIB);
}

static void code_must_be_in_the_file(void **state)
{
	struct bed *bed = *state;
	u8 *syssize = bed->file + 0x1f4;

	put_le32(syssize, 0x20);
	assert_refused(bed, 64 * MIB, "512 bytes of code do not reach its entry");
	put_le32(syssize, 0x21);
	assert_boots(bed, 64 * MIB);
	put_le32(syssize, (MK_BZ_CODE_LEN + 16) / 16);
	assert_boots(bed, 64 * MIB);
	put_le32(syssize, (MK_BZ_CODE_LEN + 32) / 16);
	assert_refused(bed, 64 * MIB,
		       "kernel k.img is truncated: it has 2576 bytes, its header promises 2592");
	put_le32(syssize, 0xffffffff);
	assert_refused(bed, 64 * MIB, "is truncated");

	/* 0 sectors mean 4 */
	mk_bzimage(bed->file);
	bed->file[0x1f1] = 0;
	put_le32(syssize, (MK_BZ_SIZE - 5 * 512) / 16);
	assert_refused(bed, 64 * MIB, "16 bytes of code do not reach");
	bed->len = MK_MAX;
	put_le32(syssize, (MK_MAX - 5 * 512) / 16);
	assert_boots(bed, 64 * MIB);
	assert_guest_bytes(bed, MK_BZ_GPA, bed->file + 5 * 512, 4096);
}

static void foreign_files_are_refused_by_name(void **state)
{
	static const struct {
		unsigned int off;
		const char *bytes;
		const char *words;
	} cases[] = {
		{ 56, "ARM\x64", "kernel k.img is an arm64 Image; a bzImage or an ELF vmlinux" },
		{ 0, "\x1f\x8b\x08", "is a gzip-compressed file;" },
		{ 4, "zimg", "is a compressed EFI kernel (zboot);" },
		{ 0, "junk", "kernel k.img is neither a bzImage nor an ELF vmlinux" },
	};
	struct bed *bed = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(bed->file, 0, MK_MAX);
		memcpy(bed->file + cases[i].off, cases[i].bytes, strlen(cases[i].bytes));
		bed->len = MK_MAX;
		assert_refused(bed, 64 * MIB, cases[i].words);
		bed->len = 64;
		assert_refused(bed, 64 * MIB, cases[i].words);
	}
	bed->len = mk_elf(bed->file);
	put_le16(MK_EHDR(bed->file, e_machine), EM_AARCH64);
	assert_refused(bed, 64 * MIB, "is an ELF file for arm64");
	/* a header of its own kind, but no boot sector's magic */
	mk_bzimage(bed->file);
	bed->file[0x1fe] = 0;
	bed->len = MK_BZ_SIZE;
	assert_refused(bed, 64 * MIB, "neither a bzImage nor");
}

static void a_kernel_is_needed(void **state)
{
	struct bed *bed = *state;

	add_memory(&bed->gm, 4 * MIB);
	assert_int_equal(boot_load(&bed->cfg, &bed->kernel, &bed->initrd, &bed->gm, &bed->entry,
				   &bed->err),
			 -EINVAL);
	assert_string_equal(bed->err.msg, "--kernel: a kernel file is needed");
}

static void files_that_shrink_are_refused(void **state)
{
	struct bed *bed = *state;

	set_initrd(bed, 10000);
	assert_boots(bed, 64 * MIB);
	/* between two boots of one machine */
	assert_int_equal(ftruncate(bed->initrd.fd, 9999), 0);
	assert_int_equal(boot_load(&bed->cfg, &bed->kernel, &bed->initrd, &bed->gm, &bed->entry,
				   &bed->err),
			 -EINVAL);
	assert_string_equal(bed->err.msg, "initrd i.cpio is truncated: it ends before byte 10000");

	for (off_t len = 0; len < MK_BZ_CODE_OFF + MK_BZ_CODE_LEN; len++) {
		mk_image(&bed->kernel, "kernel", "k.img", bed->file, bed->len);
		assert_int_equal(ftruncate(bed->kernel.fd, len), 0);
		bed->err = (struct lkvm_error){ 0 };
		assert_int_equal(boot_load(&bed->cfg, &bed->kernel, &bed->initrd, &bed->gm,
					   &bed->entry, &bed->err),
				 -EINVAL);
		assert_int_equal(bed->err.kind, LKVM_ERR_INPUT);
		assert_true(bed->err.msg[0]);
	}
}

/* Whatever is in the file: success without a message, or failure with one. */
static void judge(struct bed *bed, u64 mem)
{
	int ret = boot(bed, mem);

	if (ret != 0 && ret != -EINVAL)
		fail_msg("returned %d: %s", ret, bed->err.msg);
	assert_int_equal(!ret, !bed->err.msg[0]);
	assert_int_equal(!ret, bed->err.kind == LKVM_ERR_NONE);
	assert_int_equal(!ret, bed->entry.pc != 0);
}

static void truncation_anywhere_is_survived(void **state)
{
	struct bed *bed = *state;

	for (bed->len = 0; bed->len < MK_BZ_CODE_OFF + MK_BZ_CODE_LEN; bed->len++)
		assert_refused(bed, 64 * MIB, "kernel k.img ");
	for (; bed->len <= MK_BZ_SIZE; bed->len++)
		assert_boots(bed, 64 * MIB);

	mk_elf(bed->file);
	for (bed->len = 0; bed->len < MK_ELF_SIZE; bed->len++)
		assert_refused(bed, 64 * MIB, "kernel k.img ");
}

static void corrupt_bytes_are_survived(void **state)
{
	static const struct {
		size_t (*make)(u8 *file);
		unsigned int from, to;
	} parts[] = {
		{ mk_bzimage, 0, 0x290 },
		{ mk_elf, 0, MK_ELF_PH(3) },
		{ mk_elf, MK_ELF_NOTE_OFF, MK_ELF_NOTE_OFF + MK_ELF_NOTE_LEN },
	};
	struct bed *bed = *state;

	set_initrd(bed, 5000);
	for (size_t p = 0; p < ARRAY_SIZE(parts); p++) {
		bed->len = parts[p].make(bed->file);
		for (unsigned int i = parts[p].from; i < parts[p].to; i++) {
			u8 good = bed->file[i];

			for (unsigned int bit = 0; bit < 8; bit++) {
				bed->file[i] = good ^ (u8)BIT(bit);
				judge(bed, 20 * MIB);
			}
			bed->file[i] = 0xff;
			judge(bed, 20 * MIB);
			bed->file[i] = 0;
			judge(bed, 20 * MIB);
			bed->file[i] = good;
		}
		assert_boots(bed, 20 * MIB);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
	const struct CMUnitTest tests[] = {
		T(zero_page_is_as_golden),
		T(start_info_is_as_golden),
		T(registers_are_as_golden),
		T(descriptor_table_is_flat),
		T(page_tables_map_4_gib_one_to_one),
		T(memory_map_tells_all_ram_and_nothing_else),
		T(bzimage_is_loaded_with_its_header),
		T(elf_is_entered_by_pvh_where_it_can),
		T(elf_is_entered_in_64_bit_mode_if_asked_or_without_note),
		T(bzimage_has_no_pvh_entry),
		T(elf_entry_must_be_in_the_file),
		T(elf_keeps_off_the_first_mib_and_the_hole),
		T(kernel_fits_to_the_byte),
		T(code_larger_than_init_size_counts),
		T(kernel_goes_where_it_prefers),
		T(initrd_fits_to_the_byte),
		T(initrd_goes_above_4_gib_only_if_it_must_and_may),
		T(initrd_addr_max_is_obeyed_by_kernels_that_need_it),
		T(pvh_initrd_stays_below_4_gib),
		T(command_line_fits_to_the_byte),
		T(next_to_no_memory_is_refused),
		T(headers_that_cannot_be_are_refused),
		T(code_must_be_in_the_file),
		T(foreign_files_are_refused_by_name),
		T(a_kernel_is_needed),
		T(files_that_shrink_are_refused),
		T(truncation_anywhere_is_survived),
		T(corrupt_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
