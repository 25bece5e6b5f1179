/*
 * pci_host.c - the host bridge of bus 0 (PCI Local Bus 3.0 section 3.2.2.3.2; PCI Express Base 3.0
 * section 7.2.2 for the memory-mapped way in).
 *
 * Two ranges: PCI_HOST_TAG_PORTS, 8 ports: an address at 0, data at 4; and PCI_HOST_TAG_ECAM, the
 * megabyte of bus 0. Both lead to function 0 of each slot. Nobody answers elsewhere: other buses
 * and functions, registers from 256 on, and accesses that are not naturally aligned read all
 * ones and are dropped.
 *
 * The bridge is itself what is in slot 0. It has no registers of its own, and its identity
 * is the one that was assigned to a host bridge of virtual machines which has none. It could not
 * have one of its own: this project has no vendor id, and that of a real chip makes kernels
 * apply that chip's workarounds.
 *
 * With firmware it has to be one all the same, since that takes the machine's kind from it: Intel's
 * Q35 (data sheet 316966), of which there is the register that says where ECAM is. The guest moves
 * it; of the 256 MiB that it covers the one of bus 0 is decoded.
 */
#include "devices/classes.h"
#include "devices/pci.h"

static const struct pci_ids host_ids = {
	.vendor = 0x1b36, .device = 0x0008, .class_code = 0x060000, /* bridge, host */
};

static const struct pci_ids q35_ids = {
	.vendor = 0x8086,
	.device = 0x29c0,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x060000,
};

/* 5.1.17 of the data sheet; sizes other than 256 MiB are not taken. */
#define Q35_PCIEXBAR	0x60
#define PCIEXBAR_ENABLE 0x00000001
#define PCIEXBAR_STORED 0xf0000001
#define PCIEXBAR_BASE	0xf0000000
#define PCIEXBAR_LEN	0x00100000 /* of bus 0 */

/* CONFIG_ADDRESS; its other bits are read-only zero. */
#define ADDRESS_ENABLE 0x80000000
#define ADDRESS_STORED 0x80fffffc

/* Where a configuration access goes, in either way of saying it. */
struct target {
	unsigned int bus, slot, func;
	u32 reg;
};

struct pci_host {
	struct dev dev;
	struct pci_func func;
	u32 address; /* CONFIG_ADDRESS */
	bool q35;
	u64 ecam_at; /* where PCIEXBAR has it now; 0: nowhere */
	struct ratelimit limit;
};

static int host_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct pci_host *h = container_of(dev, struct pci_host, dev);
	const struct pci_host_cfg *c = cfg;

	int ret = pci_func_init(&h->func, dev, c->bus, 0, c->q35 ? &q35_ids : &host_ids, err);

	h->q35 = c->q35;
	if (!ret && h->q35)
		put_le32(h->func.writable + Q35_PCIEXBAR, PCIEXBAR_STORED);
	return ret;
}

static void host_fini(struct dev *dev)
{
	struct pci_host *h = container_of(dev, struct pci_host, dev);

	if (h->ecam_at)
		bus_remove(h->func.bus->mmio, h->ecam_at);
	pci_func_fini(&h->func);
}

/* As with a BAR: where it cannot be it is nowhere, until it is written again. */
static void host_move_ecam(struct pci_host *h)
{
	u32 bar = get_le32(h->func.config + Q35_PCIEXBAR);
	u64 base = bar & PCIEXBAR_ENABLE ? bar & PCIEXBAR_BASE : 0;
	const struct bus_range range = { base, PCIEXBAR_LEN, BUS_SIZE_ANY, PCI_HOST_TAG_ECAM,
					 &h->dev };
	struct lkvm_error err = { 0 };

	if (base == h->ecam_at)
		return;
	if (h->ecam_at)
		bus_remove(h->func.bus->mmio, h->ecam_at);
	h->ecam_at = 0;
	if (!base)
		return;
	if (!pci_map(h->func.bus, &range, &err))
		h->ecam_at = base;
	else if (ratelimit_ok(&h->limit))
		log_warn(h->dev.env->log, "%s: PCIEXBAR at 0x%llx: %s", h->dev.name,
			 (unsigned long long)base, err.msg);
}

static void host_own_write(struct pci_host *h, u32 reg, unsigned int size, u32 val)
{
	pci_config_write(&h->func, reg, size, val);
	if (h->q35 && ranges_overlap(reg, size, Q35_PCIEXBAR, 4))
		host_move_ecam(h);
}

/* Who answers; NULL: nobody. */
static struct dev *host_find(const struct pci_host *h, struct target t, unsigned int size)
{
	if (t.bus || t.func || t.slot >= PCI_MAX_SLOTS || !pci_config_valid(t.reg, size))
		return NULL;
	return h->func.bus->slots[t.slot];
}

static u64 host_config_read(struct pci_host *h, struct target t, unsigned int size)
{
	struct dev *dev = host_find(h, t, size);

	if (!dev)
		return UINT64_MAX;
	if (dev == &h->dev) /* whose lock is held */
		return pci_config_read(&h->func, t.reg, size);
	return dev_read(dev, PCI_TAG_CONFIG, t.reg, size);
}

static void host_config_write(struct pci_host *h, struct target t, unsigned int size, u32 val)
{
	struct dev *dev = host_find(h, t, size);

	if (!dev)
		return;
	if (dev == &h->dev)
		host_own_write(h, t.reg, size, val);
	else
		dev_write(dev, PCI_TAG_CONFIG, t.reg, size, val);
}

static struct target ecam_target(u64 off)
{
	return (struct target){
		.bus = (unsigned int)(off >> 20),
		.slot = off >> 15 & 0x1f,
		.func = off >> 12 & 7,
		.reg = off & 0xfff,
	};
}

/* The data port: @off is the byte within the register that CONFIG_ADDRESS names. */
static struct target port_target(const struct pci_host *h, u64 off)
{
	return (struct target){
		.bus = h->address >> 16 & 0xff,
		.slot = h->address >> 11 & 0x1f,
		.func = h->address >> 8 & 7,
		.reg = (h->address & 0xfc) | (u32)off,
	};
}

/*
 * Only an access of 4 bytes is one to CONFIG_ADDRESS. Others go by, to devices whose ports lie
 * below it; there are none here.
 */
static u64 host_port_read(struct pci_host *h, u64 off, unsigned int size)
{
	if (off == 0 && size == 4)
		return h->address;
	if (off < 4 || !(h->address & ADDRESS_ENABLE))
		return UINT64_MAX;
	return host_config_read(h, port_target(h, off - 4), size);
}

static void host_port_write(struct pci_host *h, u64 off, unsigned int size, u32 val)
{
	if (off == 0 && size == 4)
		h->address = val & ADDRESS_STORED;
	else if (off >= 4 && h->address & ADDRESS_ENABLE)
		host_config_write(h, port_target(h, off - 4), size, val);
}

static u64 host_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	struct pci_host *h = container_of(dev, struct pci_host, dev);

	if (tag == PCI_HOST_TAG_PORTS)
		return host_port_read(h, off, size);
	return host_config_read(h, ecam_target(off), size);
}

static void host_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct pci_host *h = container_of(dev, struct pci_host, dev);

	if (tag == PCI_HOST_TAG_PORTS)
		host_port_write(h, off, size, (u32)val);
	else
		host_config_write(h, ecam_target(off), size, (u32)val);
}

const struct dev_class pci_host_class = {
	.name = "pci-host",
	.size = sizeof(struct pci_host),
	.init = host_init,
	.fini = host_fini,
	.read = host_read,
	.write = host_write,
};
