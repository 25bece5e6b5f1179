#include "devices/pci.h"

#include <errno.h>

#include "vmm/gmem.h"

/* Header of type 0 (PCI Local Bus 3.0 sections 6.1 and 6.2). */
#define PCI_VENDOR_ID	     0x00
#define PCI_DEVICE_ID	     0x02
#define PCI_COMMAND	     0x04
#define PCI_STATUS	     0x06
#define PCI_REVISION	     0x08
#define PCI_CLASS_CODE	     0x09 /* interface, subclass, base class */
#define PCI_BARS	     0x10
#define PCI_SUBSYSTEM_VENDOR 0x2c
#define PCI_SUBSYSTEM	     0x2e
#define PCI_CAP_POINTER	     0x34
#define PCI_INTERRUPT_LINE   0x3c
#define PCI_INTERRUPT_PIN    0x3d
#define PCI_HEADER_END	     0x40

/* Command: no other bit of it has a meaning for functions without ports and errors. */
#define COMMAND_MEMORY	     0x0002
#define COMMAND_MASTER	     0x0004
#define COMMAND_INTX_DISABLE 0x0400

#define STATUS_INTERRUPT 0x0008
#define STATUS_CAP_LIST	 0x0010

#define PIN_A 1

/* MSI-X capability (6.8.2): message control, table and pending bits with their BAR. */
#define CAP_ID_MSIX    0x11
#define MSIX_CONTROL   2
#define MSIX_CAP_LEN   10
#define CONTROL_MASKED 0x4000
#define CONTROL_ENABLE 0x8000

void pci_bus_init(struct pci_bus *bus, struct bus *mmio, const struct gmem *gmem, u64 window_base,
		  u64 window_len)
{
	*bus = (struct pci_bus){
		.mmio = mmio,
		.gmem = gmem,
		.window_base = window_base,
		.window_len = window_len,
		.window_next = window_base,
	};
}

/* ---- making a function ------------------------------------------------------------------- */

int pci_func_init(struct pci_func *f, struct dev *dev, struct pci_bus *bus, unsigned int slot,
		  const struct pci_ids *ids, struct lkvm_error *err)
{
	*f = (struct pci_func){ 0 };
	if (slot >= PCI_MAX_SLOTS)
		return err_host(err, EINVAL, "%s: PCI slot %u", dev->name, slot);
	if (bus->slots[slot])
		return err_host(err, EEXIST, "%s: PCI slot %u is taken by %s", dev->name, slot,
				bus->slots[slot]->name);
	*f = (struct pci_func){ .dev = dev, .bus = bus, .slot = (u8)slot };
	f->cap_end = PCI_HEADER_END;

	put_le16(f->config + PCI_VENDOR_ID, ids->vendor);
	put_le16(f->config + PCI_DEVICE_ID, ids->device);
	f->config[PCI_REVISION] = ids->revision;
	f->config[PCI_CLASS_CODE] = (u8)ids->class_code;
	put_le16(f->config + PCI_CLASS_CODE + 1, (u16)(ids->class_code >> 8));
	put_le16(f->config + PCI_SUBSYSTEM_VENDOR, ids->subsystem_vendor);
	put_le16(f->config + PCI_SUBSYSTEM, ids->subsystem);
	put_le16(f->writable + PCI_COMMAND, COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_DISABLE);
	if (dev->irq.chip) {
		f->config[PCI_INTERRUPT_PIN] = PIN_A;
		/* For kernels that believe it: there is no firmware that could write it. */
		f->config[PCI_INTERRUPT_LINE] = (u8)dev->irq.gsi;
		f->writable[PCI_INTERRUPT_LINE] = 0xff;
	}
	bus->slots[slot] = dev;
	return 0;
}

int pci_add_bar(struct pci_func *f, unsigned int bar, u32 size, struct lkvm_error *err)
{
	struct pci_bus *bus = f->bus;
	u64 addr = align_up(bus->window_next, size);

	if (bar >= PCI_MAX_BARS || f->bars[bar].size || size < GMEM_PAGE_SIZE || size & (size - 1))
		return err_host(err, EINVAL, "%s: BAR %u of %u bytes", f->dev->name, bar, size);
	if (!range_fits(addr - bus->window_base, size, bus->window_len) || addr > UINT32_MAX)
		return err_host(err, ENOSPC, "%s: no room for %u bytes in the PCI window",
				f->dev->name, size);
	bus->window_next = addr + size;
	f->bars[bar].size = size;
	/* Bits below the size read as zero, which is how a driver finds it out (6.2.5.1). */
	put_le32(f->config + PCI_BARS + 4 * bar, (u32)addr);
	put_le32(f->writable + PCI_BARS + 4 * bar, ~(size - 1));
	return 0;
}

u8 pci_add_cap(struct pci_func *f, u8 id, const void *data, u8 len)
{
	u8 off = f->cap_end;
	u64 end = align_up((u64)off + 2 + len, 4);

	/* The last four bytes stay free, so that the end fits a byte. */
	if (end >= PCI_CONFIG_SIZE)
		return 0;
	f->config[off] = id;
	memcpy(f->config + off + 2, data, len);
	f->config[f->last_cap ? f->last_cap + 1 : PCI_CAP_POINTER] = off;
	f->config[PCI_STATUS] |= STATUS_CAP_LIST;
	f->last_cap = off;
	f->cap_end = (u8)end;
	return off;
}

int pci_add_msix(struct pci_func *f, unsigned int n, unsigned int bar, u32 table_off, u32 pba_off,
		 struct lkvm_error *err)
{
	u8 cap[MSIX_CAP_LEN];
	int ret;

	ret = msix_init(&f->msix, f->dev->irq.chip, n, (u32)f->slot << 3, f->dev->env->log, err);
	if (ret)
		return ret;
	put_le16(cap, (u16)(n - 1));
	put_le32(cap + 2, table_off | bar);
	put_le32(cap + 6, pba_off | bar);
	f->msix_cap = pci_add_cap(f, CAP_ID_MSIX, cap, sizeof(cap));
	if (!f->msix_cap) {
		msix_fini(&f->msix);
		return err_host(err, ENOSPC, "%s: PCI capabilities", f->dev->name);
	}
	put_le16(f->writable + f->msix_cap + MSIX_CONTROL, CONTROL_MASKED | CONTROL_ENABLE);
	return 0;
}

/* ---- BARs ---------------------------------------------------------------------------------- */

static u32 bar_addr(const struct pci_func *f, unsigned int bar)
{
	return get_le32(f->config + PCI_BARS + 4 * bar);
}

int pci_map(const struct pci_bus *bus, const struct bus_range *range, struct lkvm_error *err)
{
	const struct gmem *gm = bus->gmem;

	for (unsigned int i = 0; i < gm->n_regions; i++) {
		if (ranges_overlap(range->base, range->len, gm->regions[i].gpa,
				   gm->regions[i].size))
			return err_host(err, EBUSY, "there is RAM");
	}
	return bus_add(bus->mmio, range, err);
}

/* A BAR that cannot be where the driver wants it is nowhere, until it is written again. */
static void bar_map(struct pci_func *f, unsigned int bar, u64 addr)
{
	const struct pci_bus *bus = f->bus;
	struct pci_bar *b = &f->bars[bar];
	struct bus_range range = { addr, b->size, BUS_SIZE_ANY, bar, f->dev };
	struct lkvm_error err = { 0 };
	const char *why = NULL;

	/* what lies below the window wraps, and is far behind it */
	if (!range_fits(addr - bus->window_base, b->size, bus->window_len))
		why = "that is outside the PCI window";
	else if (pci_map(bus, &range, &err))
		why = err.msg;
	if (why) {
		/* All ones is no address but the question for the size, asked with decode on. */
		if (addr + b->size <= UINT32_MAX && ratelimit_ok(&f->limit))
			log_warn(f->dev->env->log, "%s: BAR %u at 0x%llx is not decoded: %s",
				 f->dev->name, bar, (unsigned long long)addr, why);
		return;
	}
	b->mapped_at = addr;
	b->mapped = true;
	if (f->bar_changed)
		f->bar_changed(f, bar, addr, true);
}

static void bar_unmap(struct pci_func *f, unsigned int bar)
{
	struct pci_bar *b = &f->bars[bar];

	if (f->bar_changed)
		f->bar_changed(f, bar, b->mapped_at, false);
	b->mapped = false;
	bus_remove(f->bus->mmio, b->mapped_at);
}

static u16 pci_command(const struct pci_func *f)
{
	return get_le16(f->config + PCI_COMMAND);
}

static void pci_update_bars(struct pci_func *f)
{
	bool decode = pci_command(f) & COMMAND_MEMORY;

	/* Those that go first, so that another may come to where they were. */
	for (unsigned int i = 0; i < PCI_MAX_BARS; i++) {
		if (f->bars[i].mapped && !(decode && bar_addr(f, i) == f->bars[i].mapped_at))
			bar_unmap(f, i);
	}
	for (unsigned int i = 0; decode && i < PCI_MAX_BARS; i++) {
		if (f->bars[i].size && !f->bars[i].mapped)
			bar_map(f, i, bar_addr(f, i));
	}
}

void pci_func_fini(struct pci_func *f)
{
	if (!f->dev)
		return;
	for (unsigned int i = 0; i < PCI_MAX_BARS; i++) {
		if (f->bars[i].mapped)
			bar_unmap(f, i);
	}
	msix_fini(&f->msix);
	f->bus->slots[f->slot] = NULL;
}

/* ---- interrupts ---------------------------------------------------------------------------- */

static u16 pci_msix_flags(const struct pci_func *f)
{
	return f->msix_cap ? get_le16(f->config + f->msix_cap + MSIX_CONTROL) : 0;
}

bool pci_bus_master(const struct pci_func *f)
{
	return pci_command(f) & COMMAND_MASTER;
}

bool pci_msix_on(const struct pci_func *f)
{
	return pci_msix_flags(f) & CONTROL_ENABLE;
}

static void pci_update_interrupts(struct pci_func *f)
{
	u16 flags = pci_msix_flags(f);

	/* A message is a write to memory, so it takes bus mastering; till then it is pending. */
	if (f->msix_cap)
		msix_control(&f->msix, pci_msix_on(f) && pci_bus_master(f), flags & CONTROL_MASKED);

	/* The status bit tells of the request whether or not it gets any further (6.2.3). */
	f->config[PCI_STATUS] &= (u8)~STATUS_INTERRUPT;
	if (f->intx)
		f->config[PCI_STATUS] |= STATUS_INTERRUPT;
	irq_set(&f->dev->irq,
		f->intx && !pci_msix_on(f) && !(pci_command(f) & COMMAND_INTX_DISABLE));
}

void pci_intx(struct pci_func *f, bool level)
{
	if (f->intx == level)
		return;
	f->intx = level;
	pci_update_interrupts(f);
}

/* ---- configuration accesses ---------------------------------------------------------------- */

u32 pci_config_read(struct pci_func *f, u32 off, unsigned int size)
{
	u32 val = 0;

	if (!pci_config_valid(off, size))
		return UINT32_MAX;
	for (unsigned int i = 0; i < size; i++)
		val |= (u32)f->config[off + i] << 8 * i;
	return val;
}

void pci_config_write(struct pci_func *f, u32 off, unsigned int size, u32 val)
{
	if (!pci_config_valid(off, size))
		return;
	for (unsigned int i = 0; i < size; i++) {
		u8 mask = f->writable[off + i];

		f->config[off + i] = (u8)((f->config[off + i] & ~mask) | (val >> 8 * i & mask));
	}
	if (ranges_overlap(off, size, PCI_COMMAND, 2) ||
	    ranges_overlap(off, size, PCI_BARS, 4 * PCI_MAX_BARS))
		pci_update_bars(f);
	pci_update_interrupts(f);
}
