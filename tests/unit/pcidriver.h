/*
 * pcidriver.h - a kernel's side of PCI and of virtio over PCI (virtio 1.2 sections 3.1 and 4.1),
 * and a function that does nothing but remember.
 *
 * For tests and fuzz targets; knows no device. Finds everything as a driver does: by walking the
 * capabilities, so that these are proven as well. Registers are said again here, so
 * that a slip of the other side shows.
 */
#ifndef LKVM_TESTS_UNIT_PCIDRIVER_H
#define LKVM_TESTS_UNIT_PCIDRIVER_H

#include <errno.h>

#include "devices/pci.h"
#include "devices/virtio.h"
#include "tests/unit/vqdriver.h"
#include "vmm/bus.h"

#define PCID_PORT_ADDRESS 0xcf8
#define PCID_PORT_DATA	  0xcfc

#define PCID_VENDOR	    0x00
#define PCID_DEVICE	    0x02
#define PCID_COMMAND	    0x04
#define PCID_STATUS	    0x06
#define PCID_CLASS	    0x08 /* revision in the low byte */
#define PCID_HEADER_TYPE    0x0e
#define PCID_BAR(n)	    (0x10 + 4 * (n))
#define PCID_SUBSYSTEM	    0x2c
#define PCID_ROM	    0x30
#define PCID_CAPS	    0x34
#define PCID_INTERRUPT_LINE 0x3c
#define PCID_INTERRUPT_PIN  0x3d

/* Of a Q35's bridge, which is slot 0: where ECAM is (5.1.17 of data sheet 316966). */
#define PCID_PCIEXBAR	     0x60
#define PCID_PCIEXBAR_ENABLE 0x00000001
#define PCID_PCIEXBAR_BASE   0xf0000000

#define PCID_MEMORY	  0x0002
#define PCID_MASTER	  0x0004
#define PCID_INTX_DISABLE 0x0400

#define PCID_STATUS_INTX 0x0008
#define PCID_STATUS_CAPS 0x0010

#define PCID_CAP_VENDOR 0x09
#define PCID_CAP_MSIX	0x11

#define PCID_MSIX_MASKED 0x4000
#define PCID_MSIX_ENABLE 0x8000

/* A function, reached through ECAM; with @ecam 0 through the ports, whose address stays. */
struct pcid {
	struct bus *ports, *mmio;
	u64 ecam;
	unsigned int slot;
};

static inline u32 pcid_address(unsigned int bus, unsigned int slot, unsigned int fn, u32 off)
{
	return 0x80000000 | bus << 16 | slot << 11 | fn << 8 | (off & 0xfc);
}

static inline u32 pcid_port_read(const struct pcid *p, u32 off, unsigned int size)
{
	bus_write(p->ports, PCID_PORT_ADDRESS, 4, pcid_address(0, p->slot, 0, off), NULL);
	return (u32)bus_read(p->ports, PCID_PORT_DATA + off % 4, size, NULL);
}

static inline void pcid_port_write(const struct pcid *p, u32 off, unsigned int size, u32 val)
{
	bus_write(p->ports, PCID_PORT_ADDRESS, 4, pcid_address(0, p->slot, 0, off), NULL);
	bus_write(p->ports, PCID_PORT_DATA + off % 4, size, val, NULL);
}

static inline u32 pcid_read(const struct pcid *p, u32 off, unsigned int size)
{
	u64 address, val;

	if (p->ecam)
		return (u32)bus_read(p->mmio, p->ecam + (p->slot << 15) + off, size, NULL);
	address = bus_read(p->ports, PCID_PORT_ADDRESS, 4, NULL);
	val = pcid_port_read(p, off, size);
	bus_write(p->ports, PCID_PORT_ADDRESS, 4, address, NULL);
	return (u32)val;
}

static inline void pcid_write(const struct pcid *p, u32 off, unsigned int size, u32 val)
{
	u64 address;

	if (p->ecam) {
		bus_write(p->mmio, p->ecam + (p->slot << 15) + off, size, val, NULL);
		return;
	}
	address = bus_read(p->ports, PCID_PORT_ADDRESS, 4, NULL);
	pcid_port_write(p, off, size, val);
	bus_write(p->ports, PCID_PORT_ADDRESS, 4, address, NULL);
}

static inline void pcid_command(const struct pcid *p, u16 command)
{
	pcid_write(p, PCID_COMMAND, 2, command);
}

static inline u32 pcid_bar(const struct pcid *p, unsigned int bar)
{
	return pcid_read(p, PCID_BAR(bar), 4);
}

static inline void pcid_move(const struct pcid *p, unsigned int bar, u32 addr)
{
	pcid_write(p, PCID_BAR(bar), 4, addr);
}

/* The next capability @id behind @from (0: the first). 0: there is none, or the list is no list. */
static inline u8 pcid_find_cap(const struct pcid *p, u8 id, u8 from)
{
	u8 off = (u8)pcid_read(p, from ? from + 1u : PCID_CAPS, 1);

	for (unsigned int i = 0; i < 48 && off >= 0x40 && off % 4 == 0; i++) {
		if (pcid_read(p, off, 1) == id)
			return off;
		off = (u8)pcid_read(p, off + 1u, 1);
	}
	return 0;
}

/* ---- virtio ------------------------------------------------------------------------------- */

#define VPCI_VENDOR	 0x1af4
#define VPCI_DEVICE_BASE 0x1040

#define VPCI_CFG_COMMON 1
#define VPCI_CFG_NOTIFY 2
#define VPCI_CFG_ISR	3
#define VPCI_CFG_DEVICE 4
#define VPCI_CFG_PCI	5

#define VPCI_DEVICE_FEATURE_SELECT 0x00
#define VPCI_DEVICE_FEATURE	   0x04
#define VPCI_DRIVER_FEATURE_SELECT 0x08
#define VPCI_DRIVER_FEATURE	   0x0c
#define VPCI_CONFIG_VECTOR	   0x10
#define VPCI_NUM_QUEUES		   0x12
#define VPCI_STATUS		   0x14
#define VPCI_GENERATION		   0x15
#define VPCI_QUEUE_SELECT	   0x16
#define VPCI_QUEUE_SIZE		   0x18
#define VPCI_QUEUE_VECTOR	   0x1a
#define VPCI_QUEUE_ENABLE	   0x1c
#define VPCI_QUEUE_NOTIFY_OFF	   0x1e
#define VPCI_QUEUE_DESC		   0x20
#define VPCI_QUEUE_DRIVER	   0x28
#define VPCI_QUEUE_DEVICE	   0x30
#define VPCI_COMMON_LEN		   0x38

struct vpci {
	struct pcid pci;
	const struct gmem *gm;
	u64 features; /* accepted */

	/* From vpci_probe(): addresses are guest-physical, 0 is not there. */
	u64 common, notify, isr, device;
	u32 notify_len, device_len, multiplier;
	u8 window, msix; /* offsets of capabilities */
	u64 table, pba;
	unsigned int n_vectors;
};

static inline void vpci_take_cap(struct vpci *v, u8 cap)
{
	u64 bar = pcid_bar(&v->pci, pcid_read(&v->pci, cap + 4u, 1));
	u64 addr = bar + pcid_read(&v->pci, cap + 8u, 4);
	u32 len = pcid_read(&v->pci, cap + 12u, 4);

	switch (pcid_read(&v->pci, cap + 3u, 1)) {
	case VPCI_CFG_COMMON:
		v->common = len >= VPCI_COMMON_LEN ? addr : 0;
		break;
	case VPCI_CFG_NOTIFY:
		v->notify = addr;
		v->notify_len = len;
		v->multiplier = pcid_read(&v->pci, cap + 16u, 4);
		break;
	case VPCI_CFG_ISR:
		v->isr = len >= 1 ? addr : 0;
		break;
	case VPCI_CFG_DEVICE:
		v->device = addr;
		v->device_len = len;
		break;
	case VPCI_CFG_PCI:
		v->window = cap;
		break;
	}
}

static inline u64 vpci_msix_place(const struct vpci *v, u32 reg)
{
	u32 val = pcid_read(&v->pci, v->msix + reg, 4);

	return pcid_bar(&v->pci, val & 7) + (val & ~7u);
}

/* Where things are, for the BARs as they are now. True: what every device has is there. */
static inline bool vpci_probe(struct vpci *v)
{
	u8 cap = 0;

	v->common = v->notify = v->isr = v->device = v->table = v->pba = 0;
	while ((cap = pcid_find_cap(&v->pci, PCID_CAP_VENDOR, cap)))
		vpci_take_cap(v, cap);
	v->msix = pcid_find_cap(&v->pci, PCID_CAP_MSIX, 0);
	v->n_vectors = 0;
	if (v->msix) {
		v->n_vectors = (pcid_read(&v->pci, v->msix + 2u, 2) & 0x7ff) + 1;
		v->table = vpci_msix_place(v, 4);
		v->pba = vpci_msix_place(v, 8);
	}
	return v->common && v->notify && v->isr && v->window;
}

static inline u64 vpci_read(const struct vpci *v, u32 reg, unsigned int size)
{
	return bus_read(v->pci.mmio, v->common + reg, size, NULL);
}

static inline void vpci_write(const struct vpci *v, u32 reg, unsigned int size, u64 val)
{
	bus_write(v->pci.mmio, v->common + reg, size, val, NULL);
}

static inline u8 vpci_status(const struct vpci *v)
{
	return (u8)vpci_read(v, VPCI_STATUS, 1);
}

static inline u64 vpci_offered(const struct vpci *v)
{
	u64 low, high;

	vpci_write(v, VPCI_DEVICE_FEATURE_SELECT, 4, 0);
	low = vpci_read(v, VPCI_DEVICE_FEATURE, 4);
	vpci_write(v, VPCI_DEVICE_FEATURE_SELECT, 4, 1);
	high = vpci_read(v, VPCI_DEVICE_FEATURE, 4);
	return low | high << 32;
}

/* Reset, and up to FEATURES_OK (3.1.1, steps 1 to 6) with VERSION_1 and @features. */
static inline bool vpci_begin(struct vpci *v, u64 features)
{
	u8 status = VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER;

	v->features = features | BIT(VIRTIO_F_VERSION_1);
	vpci_write(v, VPCI_STATUS, 1, 0);
	if (vpci_status(v))
		return false;
	vpci_write(v, VPCI_STATUS, 1, VIRTIO_S_ACKNOWLEDGE);
	vpci_write(v, VPCI_STATUS, 1, status);
	for (u32 i = 0; i < 2; i++) {
		vpci_write(v, VPCI_DRIVER_FEATURE_SELECT, 4, i);
		vpci_write(v, VPCI_DRIVER_FEATURE, 4, (u32)(v->features >> (32 * i)));
	}
	status |= VIRTIO_S_FEATURES_OK;
	vpci_write(v, VPCI_STATUS, 1, status);
	return vpci_status(v) == status;
}

static inline void vpci_write64(const struct vpci *v, u32 reg, u64 val)
{
	vpci_write(v, reg, 4, (u32)val);
	vpci_write(v, reg + 4, 4, (u32)(val >> 32));
}

/* Tell the device of queue @index, with interrupt @vector, and enable it. True: it says so. */
static inline bool vpci_queue_layout(const struct vpci *v, u16 index, const struct vq_layout *l,
				     u16 vector)
{
	vpci_write(v, VPCI_QUEUE_SELECT, 2, index);
	vpci_write(v, VPCI_QUEUE_SIZE, 2, l->size);
	vpci_write(v, VPCI_QUEUE_VECTOR, 2, vector);
	vpci_write64(v, VPCI_QUEUE_DESC, l->desc);
	vpci_write64(v, VPCI_QUEUE_DRIVER, l->avail);
	vpci_write64(v, VPCI_QUEUE_DEVICE, l->used);
	vpci_write(v, VPCI_QUEUE_ENABLE, 2, 1);
	return vpci_read(v, VPCI_QUEUE_VECTOR, 2) == vector &&
	       vpci_read(v, VPCI_QUEUE_ENABLE, 2) == 1;
}

/* The same with rings of @size entries made in the VQD_BYTES(@size) at @gpa. */
static inline bool vpci_queue(const struct vpci *v, u16 index, struct vqd *d, u64 gpa, u16 size,
			      u16 vector)
{
	return !vqd_init(d, v->gm, gpa, size, v->features & BIT(VIRTIO_F_EVENT_IDX)) &&
	       vpci_queue_layout(v, index, &d->layout, vector);
}

static inline bool vpci_driver_ok(const struct vpci *v)
{
	u8 status = vpci_status(v) | VIRTIO_S_DRIVER_OK;

	vpci_write(v, VPCI_STATUS, 1, status);
	return vpci_status(v) == status;
}

/* Where queue @index is notified; a write to there may be a doorbell's. */
static inline u64 vpci_notify_addr(const struct vpci *v, u16 index)
{
	vpci_write(v, VPCI_QUEUE_SELECT, 2, index);
	return v->notify + vpci_read(v, VPCI_QUEUE_NOTIFY_OFF, 2) * v->multiplier;
}

static inline u8 vpci_isr(const struct vpci *v)
{
	return (u8)bus_read(v->pci.mmio, v->isr, 1, NULL);
}

static inline void vpci_msix_mask(const struct vpci *v, unsigned int vector, bool masked)
{
	bus_write(v->pci.mmio, v->table + 16ull * vector + 12, 4, masked, NULL);
}

/* As kernels do: mask, write the message, unmask. */
static inline void vpci_msix_set(const struct vpci *v, unsigned int vector, u64 addr, u32 data)
{
	u64 entry = v->table + 16ull * vector;

	vpci_msix_mask(v, vector, true);
	bus_write(v->pci.mmio, entry, 4, (u32)addr, NULL);
	bus_write(v->pci.mmio, entry + 4, 4, addr >> 32, NULL);
	bus_write(v->pci.mmio, entry + 8, 4, data, NULL);
	vpci_msix_mask(v, vector, false);
}

static inline void vpci_msix_control(const struct vpci *v, u16 flags)
{
	pcid_write(&v->pci, v->msix + 2u, 2, flags);
}

static inline u64 vpci_msix_pending(const struct vpci *v)
{
	return bus_read(v->pci.mmio, v->pba, 8, NULL);
}

/* ---- a function that remembers -------------------------------------------------------------- */

#define PCIFAKE_VENDOR 0x1234
#define PCIFAKE_DEVICE 0x5678
#define PCIFAKE_CLASS  0xff0000

struct pcifake_cfg {
	struct pci_bus *bus;
	unsigned int slot;
	u32 bars[PCI_MAX_BARS]; /* sizes */
	unsigned int n_vectors; /* MSI-X: table at 0 of BAR 0, pending bits at 2048 */
};

struct pcifake {
	struct dev dev;
	struct pci_func func;
	unsigned int n_reads, n_writes;
	struct {
		u32 bar;
		u64 off;
		unsigned int size;
		u64 val;
	} last; /* access to a BAR; it reads as its own number and offset */
	unsigned int n_mapped, n_unmapped; /* calls of bar_changed() */
	u64 mapped_at, unmapped_at;	   /* of the last */
};

static inline struct pcifake *pcifake_of(struct dev *dev)
{
	return container_of(dev, struct pcifake, dev);
}

static inline void pcifake_bar_changed(struct pci_func *f, unsigned int bar, u64 addr, bool mapped)
{
	struct pcifake *p = container_of(f, struct pcifake, func);

	(void)bar;
	*(mapped ? &p->mapped_at : &p->unmapped_at) = addr;
	++*(mapped ? &p->n_mapped : &p->n_unmapped);
}

static inline int pcifake_init(struct dev *dev, const void *arg, struct lkvm_error *err)
{
	const struct pcifake_cfg *cfg = arg;
	struct pcifake *p = pcifake_of(dev);
	struct pci_ids ids = { PCIFAKE_VENDOR, PCIFAKE_DEVICE, 1, 2, 3, PCIFAKE_CLASS };
	int ret = pci_func_init(&p->func, dev, cfg->bus, cfg->slot, &ids, err);

	p->func.bar_changed = pcifake_bar_changed;
	for (unsigned int i = 0; !ret && i < PCI_MAX_BARS; i++) {
		if (cfg->bars[i])
			ret = pci_add_bar(&p->func, i, cfg->bars[i], err);
	}
	if (!ret && cfg->n_vectors)
		ret = pci_add_msix(&p->func, cfg->n_vectors, 0, 0, 2048, err);
	return ret;
}

static inline void pcifake_fini(struct dev *dev)
{
	pci_func_fini(&pcifake_of(dev)->func);
}

static inline u64 pcifake_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	struct pcifake *p = pcifake_of(dev);

	if (tag == PCI_TAG_CONFIG)
		return pci_config_read(&p->func, (u32)off, size);
	if (tag == 0 && p->func.msix.n)
		return off < 2048 ? msix_table_read(&p->func.msix, (u32)off, size)
				  : msix_pba_read(&p->func.msix, (u32)off - 2048, size);
	p->n_reads++;
	return (u64)tag << 24 | off;
}

static inline void pcifake_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct pcifake *p = pcifake_of(dev);

	if (tag == PCI_TAG_CONFIG) {
		pci_config_write(&p->func, (u32)off, size, (u32)val);
		return;
	}
	if (tag == 0 && p->func.msix.n) {
		if (off < 2048)
			msix_table_write(&p->func.msix, (u32)off, size, val);
		return;
	}
	p->n_writes++;
	p->last.bar = tag;
	p->last.off = off;
	p->last.size = size;
	p->last.val = val;
}

static const struct dev_class pcifake_class = {
	.name = "pci-fake",
	.size = sizeof(struct pcifake),
	.init = pcifake_init,
	.fini = pcifake_fini,
	.read = pcifake_read,
	.write = pcifake_write,
};

#endif
