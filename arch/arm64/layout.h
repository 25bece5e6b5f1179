/*
 * layout.h - where things are in an arm64 machine: the one list of addresses and interrupts. The
 * device tree (fdt.c) announces what is here.
 *
 *	0x00000000  PCI I/O window, 64 KiB, with nothing in it
 *	0x01000000  UART, RTCs, steal time, pvpanic, debug-exit: 64 KiB each
 *	0x02000000  flash, 16 MiB at most
 *	0x03000000  virtio-mmio
 *	0x3fff0000  GIC distributor; what else a GIC has lies below it, growing down
 *	0x40000000  PCI: ECAM of bus 0; from 0x50000000 the window where BARs are decoded
 *	0x80000000  RAM, all of it
 *
 * Addresses are those of kvmtool's arm64 machine where it has the device: firmware and test kernels
 * built for that one run here.
 */
#ifndef LKVM_ARCH_ARM64_LAYOUT_H
#define LKVM_ARCH_ARM64_LAYOUT_H

#define ARM64_PCI_IO_BASE 0x00000000ull
#define ARM64_PCI_IO_LEN  0x00010000ull

#define ARM64_DEV_STEP	      0x00010000ull /* what each of the following may take */
#define ARM64_UART_BASE	      0x01000000ull
#define ARM64_RTC_BASE	      0x01010000ull /* MC146818: firmware's */
#define ARM64_PVTIME_BASE     0x01020000ull /* 64 bytes a vCPU; memory KVM writes to */
#define ARM64_PVTIME_LEN      0x00010000ull
#define ARM64_PL031_BASE      0x01030000ull /* the one that Linux has a driver for */
#define ARM64_PVPANIC_BASE    0x01040000ull
#define ARM64_DEBUG_EXIT_BASE 0x01050000ull /* where --debug-exit puts it unless told otherwise */

/* What is there of some of them; of the others the devices' headers say it. */
#define ARM64_UART_LEN	     8
#define ARM64_RTC_LEN	     2
#define ARM64_PVPANIC_LEN    2
#define ARM64_DEBUG_EXIT_LEN 4

#define ARM64_FLASH_BASE 0x02000000ull
#define ARM64_FLASH_MAX	 0x01000000ull

#define ARM64_VIRTIO_MMIO_BASE 0x03000000ull
#define ARM64_VIRTIO_MMIO_STEP 0x00000200ull

#define ARM64_VIRTIO_MMIO_GPA(n) (ARM64_VIRTIO_MMIO_BASE + ARM64_VIRTIO_MMIO_STEP * (n))

/* GICv2 and GICv3 share the distributor's place; GIC* lengths are those of the specifications. */
#define ARM64_GIC_DIST_BASE   0x3fff0000ull
#define ARM64_GICV3_DIST_LEN  0x00010000ull
#define ARM64_GICV3_RDIST_LEN 0x00020000ull /* of each vCPU's redistributor */
#define ARM64_ITS_LEN	      0x00020000ull
#define ARM64_GICV2_DIST_LEN  0x00001000ull
#define ARM64_GICV2_CPU_BASE  0x3ffd0000ull
#define ARM64_GICV2_CPU_LEN   0x00002000ull
#define ARM64_GICV2M_BASE     0x3ffc0000ull
#define ARM64_GICV2M_LEN      0x00001000ull
#define ARM64_GICV2_MAX_VCPUS 8
#define ARM64_MAX_VCPUS	      255 /* what tables and saved states are sized for */

#define ARM64_GICV3_RDIST_BASE(n_vcpus) (ARM64_GIC_DIST_BASE - ARM64_GICV3_RDIST_LEN * (n_vcpus))
#define ARM64_ITS_BASE(n_vcpus)		(ARM64_GICV3_RDIST_BASE(n_vcpus) - ARM64_ITS_LEN)

#define ARM64_ECAM_BASE	      0x40000000ull
#define ARM64_ECAM_LEN	      0x00100000ull
#define ARM64_PCI_WINDOW_BASE 0x50000000ull
#define ARM64_PCI_WINDOW_LEN  0x30000000ull

#define ARM64_RAM_BASE 0x80000000ull

/*
 * Interrupts. A GSI of ours is a shared peripheral interrupt (SPI) of the GIC: n is INTID 32 + n.
 * Virtio devices have one each, of the MMIO device or of the INTA# pin of the PCI slot.
 */
#define ARM64_SPI_INTID	 32
#define ARM64_SPI_UART	 0
#define ARM64_SPI_RTC	 1
#define ARM64_SPI_PL031	 2
#define ARM64_SPI_VIRTIO 32 /* of index n: ARM64_SPI_VIRTIO + n */
#define ARM64_N_SPIS	 64 /* lines; those a GICv2m frame has come on top */

#define ARM64_GICV2M_SPI   64
#define ARM64_GICV2M_N_SPI 128

/* Private peripheral interrupts, by INTID: those of Arm's base system architecture (BSA). */
#define ARM64_PPI_INTID	  16
#define ARM64_PPI_PMU	  23
#define ARM64_PPI_MAINT	  25
#define ARM64_PPI_HPTIMER 26 /* EL2 physical timer */
#define ARM64_PPI_VTIMER  27
#define ARM64_PPI_HVTIMER 28 /* EL2 virtual timer */
#define ARM64_PPI_STIMER  29 /* secure: announced, never raised */
#define ARM64_PPI_PTIMER  30

#endif
