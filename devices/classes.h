/*
 * classes.h - every device class there is, and what each wants to know (docs/design.md, "How to add
 * a device").
 */
#ifndef LKVM_DEVICES_CLASSES_H
#define LKVM_DEVICES_CLASSES_H

#include "vmm/dev.h"

struct console;
struct disk;
struct net;
struct pci_bus;
struct virtio_class;

extern const struct dev_class uart16550_class; /* devices/uart16550.c: serial port */
extern const struct dev_class i8042_class;     /* devices/i8042.c: keyboard controller, for reset */
extern const struct dev_class mc146818_class;  /* devices/mc146818.c: RTC and CMOS */
extern const struct dev_class acpi_pm_class;   /* devices/acpi_pm.c: power-off, reset, PM timer */
extern const struct dev_class debug_exit_class; /* devices/debug_exit.c: the guest's verdict */
extern const struct dev_class pvpanic_class;	/* devices/pvpanic.c: paravirtual panic report */

extern const struct dev_class ioapic_class;  /* devices/ioapic.c: I/O APIC; cfg in ioapic.h */
extern const struct dev_class fw_cfg_class;  /* devices/fw_cfg.c: what firmware asks the VMM */
extern const struct dev_class testdev_class; /* devices/testdev.c: kvm-unit-tests' ports, memory */

extern const struct dev_class pci_testdev_class; /* devices/pci_testdev.c: and their PCI function */
extern const struct dev_class pvpanic_pci_class; /* devices/pvpanic.c: the same as a PCI function */
extern const struct dev_class pl031_class;	 /* devices/pl031.c: Arm's RTC */
extern const struct dev_class gicv2m_class;	 /* devices/gicv2m.c: messages for a GICv2 */
extern const struct dev_class cfi_flash_class;	 /* devices/cfi_flash.c: flash memory */

extern const struct dev_class pci_host_class;	 /* devices/pci_host.c: host bridge of bus 0 */
extern const struct dev_class ich9_lpc_class;	 /* devices/ich9_lpc.c: what leads to the ISA bus */
extern const struct dev_class virtio_pci_class;	 /* devices/virtio_pci.c: carries a virtio class */
extern const struct dev_class virtio_mmio_class; /* devices/virtio_mmio.c: carries a virtio class */

extern const struct virtio_class virtio_blk_class;     /* devices/virtio_blk.c */
extern const struct virtio_class virtio_net_class;     /* devices/virtio_net.c */
extern const struct virtio_class virtio_console_class; /* devices/virtio_console.c */
extern const struct virtio_class virtio_rng_class;     /* devices/virtio_rng.c */

/* What a slot's cfg points at, for classes that have one. */
struct uart16550_cfg {
	struct console *console; /* borrowed; NULL: nothing is at the other end of the line */
	bool output_only;	 /* the console's input is another device's */
};

struct pci_host_cfg {
	struct pci_bus *bus; /* initialised; outlives the bridge */

	/* Firmware is to know it: Intel's Q35, whose PCIEXBAR moves ECAM; nowhere at first. */
	bool q35;
};

struct ich9_lpc_cfg {
	struct pci_bus *bus;
	unsigned int slot;
	u16 pm_base; /* ports of power management: a multiple of 128 */
};

struct i8042_cfg {
	bool unseen; /* reads find nobody */
};

struct acpi_pm_cfg {
	/* Sleep type 0 is power-off, too: what firmware for QEMU's machines knows for it. */
	bool type0_off;
};

struct pvpanic_pci_cfg {
	struct pci_bus *bus;
	unsigned int slot;
};

struct gicv2m_cfg {
	u32 first_intid, n_intids;
	u32 first_gsi; /* of first_intid; the others follow */
};

struct cfi_flash_cfg {
	const struct disk *disk; /* borrowed; a multiple of its form's blocks */
	u64 gpa;		 /* of its range; the memory there is the device's own */
	bool bytes; /* one chip of 8 bits whose driver does not wait, rather than two of 16 */
};

#define CFI_FLASH_BLOCK	     0x10000   /* bytes: what is erased at a time */
#define CFI_FLASH_BYTE_BLOCK 0x1000    /* of the byte form */
#define CFI_FLASH_MAX	     0x1000000 /* bytes */

struct testdev_cfg {
	struct irq_chip *chip; /* whose first TESTDEV_N_IRQS inputs it drives */
};

#define TESTDEV_PORTS_LEN 0x10
#define TESTDEV_N_IRQS	  24 /* and as many ports */
#define TESTDEV_MEM_LEN	  0x10000

struct pci_testdev_cfg {
	struct pci_bus *bus;
	unsigned int slot;
	struct bus *ports;
	u16 port; /* where its ports are until the guest moves them: PCI_TESTDEV_PORTS_LEN */
};

#define PCI_TESTDEV_PORTS_LEN 0x100

/* virtio_pci_class and virtio_mmio_class. */
struct virtio_cfg {
	const struct virtio_class *cls;
	const void *cfg; /* the class's own */

	/* Where it is, machine_add_virtio() fills it in. virtio_pci_class: */
	struct pci_bus *bus;
	unsigned int slot;

	/* virtio_mmio_class: the bus and address of its registers, for doorbells; NULL: it has none
	 */
	struct bus *mmio;
	u64 base;
};

#define VIRTIO_MMIO_LEN 0x200 /* bytes of registers */
#define PL031_LEN	0x1000

struct virtio_blk_cfg {
	const struct disk *disk; /* borrowed */
	unsigned int queues;	 /* 1 to LKVM_MAX_QUEUES */
	const char *serial;	 /* at most 20 bytes */
};

struct virtio_net_cfg {
	struct net *net; /* borrowed; NULL: its cable is out */
	u8 mac[6];
	u16 mtu;	    /* 0: not told */
	unsigned int pairs; /* 1 to NET_MAX_PAIRS */
};

struct virtio_console_cfg {
	struct console *console; /* port 0, borrowed; NULL: nothing is at its other end */
	unsigned int n_ports;	 /* named ones, from 1 on */
	struct {
		const char *name;
		struct console *console;
	} ports[LKVM_MAX_PORTS];
};

/* Tags of ranges, for classes that have more than one. */
enum i8042_tag { I8042_TAG_DATA, I8042_TAG_CMD };
enum pci_host_tag { PCI_HOST_TAG_PORTS, PCI_HOST_TAG_ECAM };
enum fw_cfg_tag { FW_CFG_TAG_REGS, FW_CFG_TAG_DMA }; /* devices/fw_cfg.h */
enum testdev_tag { TESTDEV_TAG_PORTS, TESTDEV_TAG_IRQ, TESTDEV_TAG_MEM };

#endif
