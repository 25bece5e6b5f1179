#include "arch/x86/bootregs.h"

#include "arch/x86/boot.h"
#include "arch/x86/layout.h"
#include "arch/x86/multiboot.h"
#include "linux-uapi/x86.h"

/* Intel SDM volume 3A: 2.5 (control registers), 2.2.1 (EFER), 2.3 (RFLAGS). */
#define CR0_PE	 BIT(0)
#define CR0_ET	 BIT(4) /* always 1 */
#define CR0_PG	 BIT(31)
#define CR4_PAE	 BIT(5)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)

#define RFLAGS_FIXED BIT(1) /* always 1; all others 0: no interrupts, no tracing */

/* 3.4.5.1: segment types; the accessed bit is set, as if they had been loaded. */
#define SEG_TYPE_DATA	  0x3 /* read, write */
#define SEG_TYPE_CODE	  0xb /* execute, read */
#define SEG_TYPE_TSS_BUSY 0xb /* of a system segment (3.5) */

/* 4.5.4 */
#define PTE_PRESENT BIT(0)
#define PTE_WRITE   BIT(1)
#define PDE_LARGE   BIT(7) /* 2 MiB */

static const struct kvm_segment seg_code = {
	.limit = 0xffffffff,
	.selector = BOOT_CS,
	.type = SEG_TYPE_CODE,
	.present = 1,
	.s = 1,
	.g = 1,
};

static const struct kvm_segment seg_data = {
	.limit = 0xffffffff,
	.selector = BOOT_DS,
	.type = SEG_TYPE_DATA,
	.present = 1,
	.db = 1,
	.s = 1,
	.g = 1,
};

/* A vCPU cannot be entered without one; 0x67 is the limit PVH asks for. */
static const struct kvm_segment seg_tss = {
	.limit = 0x67,
	.type = SEG_TYPE_TSS_BUSY,
	.present = 1,
};

static u64 gdt_entry(const struct kvm_segment *seg)
{
	u64 limit = seg->g ? seg->limit >> 12 : seg->limit;

	return (limit & 0xffff) | (seg->base & 0xffffff) << 16 | (u64)seg->type << 40 |
	       (u64)seg->s << 44 | (u64)seg->dpl << 45 | (u64)seg->present << 47 |
	       (limit >> 16 & 0xf) << 48 | (u64)seg->avl << 52 | (u64)seg->l << 53 |
	       (u64)seg->db << 54 | (u64)seg->g << 55 | (seg->base >> 24 & 0xff) << 56;
}

static struct kvm_segment seg_code64(void)
{
	struct kvm_segment seg = seg_code;

	seg.l = 1;
	return seg;
}

static struct kvm_segment seg_code32(void)
{
	struct kvm_segment seg = seg_code;

	seg.db = 1;
	return seg;
}

void boot_gdt_build(u8 gdt[BOOT_GDT_SIZE])
{
	struct kvm_segment code = seg_code64();

	memset(gdt, 0, BOOT_GDT_SIZE);
	put_le64(gdt + BOOT_CS, gdt_entry(&code));
	put_le64(gdt + BOOT_DS, gdt_entry(&seg_data));
}

void boot_page_tables_build(u64 gpa, u8 tables[BOOT_PAGE_TABLES_SIZE])
{
	u8 *pml4 = tables;
	u8 *pdpt = tables + 4096;
	u8 *pds = tables + 2 * 4096;

	memset(tables, 0, BOOT_PAGE_TABLES_SIZE);
	put_le64(pml4, (gpa + 4096) | PTE_PRESENT | PTE_WRITE);
	for (unsigned int i = 0; i < 4; i++)
		put_le64(pdpt + i * 8, (gpa + (2 + i) * 4096) | PTE_PRESENT | PTE_WRITE);
	for (unsigned int i = 0; i < 4 * 512; i++)
		put_le64(pds + i * 8, i * 2 * MIB | PTE_PRESENT | PTE_WRITE | PDE_LARGE);
}

static void regs_long64(struct kvm_regs *regs, struct kvm_sregs *sregs, u64 zero_page)
{
	regs->rsi = zero_page;
	sregs->cs = seg_code64();
	sregs->gdt.base = X86_GDT_GPA;
	sregs->gdt.limit = BOOT_GDT_SIZE - 1;
	sregs->cr0 = CR0_PG | CR0_ET | CR0_PE;
	sregs->cr3 = X86_PAGE_TABLE_GPA;
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LMA | EFER_LME;
}

/* PVH and Multiboot (3.2). The kernel brings its own descriptor table: there is none to point at.
 */
static void regs_protected(struct kvm_regs *regs, struct kvm_sregs *sregs, u64 info)
{
	regs->rbx = info;
	sregs->cs = seg_code32();
	sregs->gdt.base = 0;
	sregs->gdt.limit = 0;
	sregs->cr0 = CR0_ET | CR0_PE;
	sregs->cr3 = 0;
	sregs->cr4 = 0;
	sregs->efer = 0;
}

void boot_regs(const struct boot_entry *entry, struct kvm_regs *regs, struct kvm_sregs *sregs)
{
	*regs = (struct kvm_regs){
		.rip = entry->pc,
		.rsp = X86_BOOT_STACK_GPA,
		.rflags = RFLAGS_FIXED,
	};
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = seg_data;
	sregs->tr = seg_tss;
	/* no handlers: an exception before the kernel set up its own ends in a triple fault */
	sregs->idt.base = 0;
	sregs->idt.limit = 0;

	if (entry->mode == BOOT_ENTRY_LONG64)
		regs_long64(regs, sregs, entry->param);
	else
		regs_protected(regs, sregs, entry->param);
	if (entry->mode == BOOT_ENTRY_MULTIBOOT)
		regs->rax = MULTIBOOT_EAX;
}
