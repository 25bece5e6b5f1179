/*
 * boot.h - from files to a machine that is ready to enter its kernel (x86-64).
 *
 * Sources: Documentation/arch/x86/boot.rst and zero-page.rst (Linux boot protocol, 64-bit
 * entry), Xen's docs/misc/pvh.pandoc (PVH) and the Multiboot Specification 0.6.96.
 */
#ifndef LKVM_ARCH_X86_BOOT_H
#define LKVM_ARCH_X86_BOOT_H

#include "vmm/base.h"
#include "vmm/err.h"
#include "vmm/gmem.h"
#include "vmm/image.h"

/* How vCPU 0 starts; the others wait for INIT and SIPI. */
struct boot_entry {
	enum {
		BOOT_ENTRY_LONG64,    /* long mode, paging on, RSI = zero page */
		BOOT_ENTRY_PVH,	      /* 32-bit protected mode, paging off, EBX = hvm_start_info */
		BOOT_ENTRY_MULTIBOOT, /* the same, EBX = Multiboot information, EAX = magic */
	} mode;
	u64 pc;
	u64 param; /* gpa of the zero page, of hvm_start_info or of the information */
};

/*
 * Load kernel, initrd and command line into @gm, build the zero page, start info
 * or Multiboot information (RSDP at X86_ACPI_GPA, which the caller fills) and what the entry needs
 * around it. A bad file or one that does not fit is LKVM_ERR_INPUT.
 */
int boot_load(const struct lkvm_config *cfg, const struct image *kernel, const struct image *initrd,
	      const struct gmem *gm, struct boot_entry *entry, struct lkvm_error *err);

struct kvm_regs;
struct kvm_sregs;

/*
 * The registers for @entry. @sregs comes from KVM_GET_SREGS, so that what is not
 * set here (APIC base, ...) stays as KVM has it.
 */
void boot_regs(const struct boot_entry *entry, struct kvm_regs *regs, struct kvm_sregs *sregs);

#endif
