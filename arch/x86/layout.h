/*
 * layout.h - where things are in an x86-64 machine: the one list of addresses,
 * ports and interrupt lines. The tables in acpi.c and dsdt.asl announce what is here.
 *
 * Nothing but macros, and no includes: dsdt.asl reads it too.
 */
#ifndef LKVM_ARCH_X86_LAYOUT_H
#define LKVM_ARCH_X86_LAYOUT_H

/*
 * Guest-physical memory.
 *
 *	0x00000000  RAM; the first MiB as below
 *	0xc0000000  hole: PCI window, ECAM, virtio-mmio, I/O APIC, LAPIC, KVM's own pages
 *	0x100000000 the rest of RAM
 */
#define X86_HOLE_START	     0xc0000000ull
#define X86_HOLE_END	     0x100000000ull /* exclusive */
#define X86_PCI_WINDOW_BASE  0xc0000000	    /* where BARs are decoded */
#define X86_PCI_WINDOW_LAST  0xdfffffff
#define X86_PCI_WINDOW_LEN   0x20000000
#define X86_ECAM_BASE	     0xe0000000 /* configuration space of bus 0 */
#define X86_ECAM_LEN	     0x00100000
#define X86_VIRTIO_MMIO_BASE 0xe8000000 /* device n is at X86_VIRTIO_MMIO_GPA(n) */
#define X86_VIRTIO_MMIO_STEP 0x00001000
#define X86_IOAPIC_BASE	     0xfec00000ull
#define X86_LAPIC_BASE	     0xfee00000ull
#define X86_TESTDEV_GPA	     0xff000000ull /* 64 KiB, with --testdev: where kvm-unit-tests look */
#define X86_IDENTITY_MAP_GPA 0xfeffc000ull /* 1 page, KVM on Intel hosts */
#define X86_TSS_GPA	     0xfeffd000ull /* 3 pages, KVM on Intel hosts */

/*
 * With firmware: its code ends at 4 GiB, and the flash memory with its variables is below. There is
 * less RAM below 4 GiB, since firmware (edk2's OVMF) has its own opinion of where PCI is: before
 * 2023 ECAM at 0xb0000000 and BARs from 0xc0000000 on, later BARs from the end of RAM, 0x80000000
 * at least, and ECAM at 0xe0000000. Either way BARs begin in one of the two windows.
 */
#define X86_FW_HOLE_START      0x80000000ull
#define X86_FW_FLASH_START     0xff000000ull /* code and variables begin here or above */
#define X86_FW_WINDOW_BASE     0x80000000    /* where BARs are decoded */
#define X86_FW_WINDOW_LEN      0x7c000000
#define X86_FW_LOW_WINDOW_LAST 0xafffffff /* the one below the PCI window, as dsdt.asl has it */
#define X86_FW_LOW_WINDOW_LEN  0x30000000
#define X86_FLASH_BLOCK	       0x1000
#define X86_LPC_SLOT	       31 /* on the PCI bus, as in a Q35 machine */
#define X86_TESTDEV_SLOT       30 /* of --testdev, below that of pvpanic */

#define X86_VIRTIO_MMIO_GPA(n) (X86_VIRTIO_MMIO_BASE + X86_VIRTIO_MMIO_STEP * (n))

/*
 * The first MiB. What the boot protocols hand over lies below 640 KiB in memory
 * the e820 map calls usable: a kernel copies it before it uses the memory.
 */
#define X86_GDT_GPA	   0x00000500ull
#define X86_PVH_INFO_GPA   0x00006000ull /* hvm_start_info, modules, memory map: 1 page */
#define X86_ZERO_PAGE_GPA  0x00007000ull /* struct boot_params, 1 page */
#define X86_PAGE_TABLE_GPA 0x00009000ull /* PML4, PDPT, 4 PDs: 6 pages, identity map of 4 GiB */
#define X86_BOOT_STACK_GPA 0x0001f000ull /* grows down; nobody needs it, but RSP is valid */
#define X86_CMDLINE_GPA	   0x00020000ull /* LKVM_CMDLINE_MAX bytes at most */
#define X86_EBDA_GPA	   0x0009fc00ull /* end of conventional memory */
#define X86_ACPI_GPA	   0x000e0000ull /* RSDP first: a kernel may also find it by scanning */
#define X86_ACPI_SIZE	   0x00020000ull
#define X86_HIGH_RAM_GPA   0x00100000ull

/* Ports (the PC's own, and for PM and pvpanic those QEMU's machines made customary). */
#define X86_PORT_RTC	    0x70 /* index and data */
#define X86_PORT_I8042_DATA 0x60
#define X86_PORT_I8042_CMD  0x64
#define X86_PORT_COM1	    0x3f8 /* 8 ports */
#define X86_PORT_DEBUG_EXIT 0xf4  /* where --debug-exit puts it unless told otherwise */
#define X86_PORT_FW_CFG	    0x510 /* registers: devices/fw_cfg.h */
#define X86_PORT_PVPANIC    0x505
#define X86_PORT_TESTDEV    0xe0  /* 16 ports, with --testdev */
#define X86_PORT_TEST_IRQ   0x2000 /* and one for each interrupt line */
#define X86_PORT_TEST_PCI   0xc000 /* BAR 1 of its PCI function: 256 ports */
#define X86_PORT_PCI_CONFIG 0xcf8 /* address and data: 8 ports */
#define X86_PORT_PM	    0x600 /* registers: devices/acpi_pm.h */

/* Interrupt lines: GSIs of the in-kernel PIC (0-15) and I/O APIC (0-23). */
#define X86_IRQ_PIT  0
#define X86_IRQ_COM1 4
#define X86_IRQ_RTC  8
#define X86_IRQ_SCI  9
#define X86_N_GSIS   24 /* with an I/O APIC of our own, which has no PICs beside it, too */
#define X86_N_PIC    16 /* inputs of the two PICs */

/*
 * PCI slots and virtio-mmio devices share these lines, level triggered: there are more devices
 * than inputs. Number n, of slots or of devices, has X86_SHARED_IRQ(n).
 */
#define X86_IRQ_SHARED	 16
#define X86_N_IRQ_SHARED 8

#define X86_SHARED_IRQ(n) (X86_IRQ_SHARED + (n) % X86_N_IRQ_SHARED)

#endif
