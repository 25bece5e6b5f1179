/*
 * virtio_pci.c - virtio over PCI (virtio 1.2 section 4.1). There is no legacy interface.
 *
 * One memory BAR, a page for each structure: that of the notifications so that a doorbell covers
 * nothing else, that of the MSI-X table because PCI wants it. Capabilities tell where they
 * are. With MSI-X a queue or the configuration has a message of its own; without, all share INTx
 * and the ISR byte says whom it was for.
 *
 * Bus mastering. Virtio does not say what Bus Master Enable is to a device; to PCI it means that
 * the function may touch memory. A kernel that is about to start another by kexec clears it, and
 * may do nothing else to stop a device whose rings lie in memory that is soon something
 * else's. The rule here: a device that gets DRIVER_OK has bus mastering, or is broken and
 * never looks at its rings. Taking it away resets the device, waiting for requests under way as
 * any reset does.
 *
 * But not a device that kernels print to: they go on to the very end and wait for each line to
 * be taken, so a reset would be the end of that kernel. It loses all queues but those that its
 * class has for last words: those that the device writes to without being asked.
 */
#include <errno.h>

#include "devices/classes.h"
#include "devices/pci.h"
#include "devices/virtio.h"

/* PCI identity (4.1.2.1): neither revision nor subsystem may look like a transitional device's. */
#define VENDOR	    0x1af4
#define DEVICE_BASE 0x1040 /* plus the virtio device type */
#define REVISION    1
#define CLASS_OTHER 0xff0000 /* fits no class of the list */

/* The BAR: page n is structure n. */
enum { PAGE_COMMON, PAGE_ISR, PAGE_DEVICE, PAGE_NOTIFY, PAGE_MSIX_TABLE, PAGE_MSIX_PBA };

#define BAR	  0
#define BAR_SIZE  (8 * PAGE_SIZE)
#define PAGE_SIZE 0x1000

/* Capabilities (4.1.4): vendor-specific ones. */
#define CAP_ID_VENDOR 0x09

enum { CFG_COMMON = 1, CFG_NOTIFY, CFG_ISR, CFG_DEVICE, CFG_PCI };

/* Offsets in a capability, the two bytes of its header included. */
#define CAP_BAR	   4
#define CAP_OFFSET 8
#define CAP_LENGTH 12
#define CAP_EXTRA  16 /* notify_off_multiplier, pci_cfg_data: 4 bytes */
#define CAP_MAX	   20

/* Queue n is notified at n times this: each address tells its queue, the value is of no use. */
#define NOTIFY_STEP 4

/* Common configuration (4.1.4.3), up to the first field that belongs to a feature not offered. */
enum {
	COMMON_DEVICE_FEATURE_SELECT = 0x00,
	COMMON_DEVICE_FEATURE = 0x04,
	COMMON_DRIVER_FEATURE_SELECT = 0x08,
	COMMON_DRIVER_FEATURE = 0x0c,
	COMMON_CONFIG_VECTOR = 0x10,
	COMMON_NUM_QUEUES = 0x12,
	COMMON_STATUS = 0x14,
	COMMON_GENERATION = 0x15,
	COMMON_QUEUE_SELECT = 0x16,
	COMMON_QUEUE_SIZE = 0x18,
	COMMON_QUEUE_VECTOR = 0x1a,
	COMMON_QUEUE_ENABLE = 0x1c,
	COMMON_QUEUE_NOTIFY_OFF = 0x1e,
	COMMON_QUEUE_DESC = 0x20,
	COMMON_QUEUE_DRIVER = 0x28,
	COMMON_QUEUE_DEVICE = 0x30,
	COMMON_LEN = 0x38,
};

/* A field is accessed by its own width (4.1.3.1). */
#define FIELD(off, size) ((off) << 4 | (size))

/* ISR status (4.1.4.5) */
#define ISR_QUEUE  1
#define ISR_CONFIG 2

struct virtio_pci {
	struct virtio_dev base;
	struct pci_func func;
	u8 window; /* offset of the capability CFG_PCI */
	u32 device_feature_select, driver_feature_select;
	u16 queue_select;
	bool queue_pending; /* ISR bit 0; bit 1 is config_pending */
	u64 doorbells;	    /* queues that have one on the bus */
};

static struct virtio_pci *to_pci(struct dev *dev)
{
	return container_of(dev, struct virtio_pci, base.dev);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

static u8 isr_status(const struct virtio_pci *p)
{
	return (p->queue_pending ? ISR_QUEUE : 0) | (p->base.v->config_pending ? ISR_CONFIG : 0);
}

/* With MSI-X the ISR byte raises nothing (4.1.5.3, 4.1.5.4). */
static void pci_interrupt(struct virtio *v, struct virtio_queue *q)
{
	struct virtio_pci *p = to_pci(v->dev);

	if (pci_msix_on(&p->func)) {
		msix_send(&p->func.msix, q ? q->vector : v->config_vector);
		return;
	}
	if (q)
		p->queue_pending = true;
	pci_intx(&p->func, true);
}

static int pci_call_fd(struct virtio_queue *q)
{
	const struct virtio_pci *p = to_pci(q->v->dev);

	if (!pci_msix_on(&p->func) || q->vector >= p->func.msix.n)
		return -1;
	return p->func.msix.entries[q->vector].msi.fd;
}

/* The driver chose another message for @q. */
static void rewire(struct virtio_queue *q)
{
	if (q->lent && q->v->cls->rewire)
		q->v->cls->rewire(q->v, q);
}

static void rewire_all(struct virtio *v)
{
	for (unsigned int i = 0; i < v->n_queues; i++)
		rewire(&v->queues[i]);
}

static u8 isr_read(struct virtio_pci *p)
{
	u8 isr = isr_status(p);

	p->queue_pending = false;
	p->base.v->config_pending = false;
	pci_intx(&p->func, false);
	return isr;
}

/* A vector the table does not have is one that the device cannot have (4.1.5.1.2). */
static u16 vector(const struct virtio_pci *p, u64 val)
{
	return val < p->func.msix.n ? (u16)val : VIRTIO_NO_VECTOR;
}

/* ---- doorbells ------------------------------------------------------------------------------- */

/*
 * Where the bus refuses, the notification comes as a register write, which does the same. @bar
 * is where the BAR is, or still is.
 */
static void set_doorbell(struct virtio_pci *p, struct virtio_queue *q, u64 bar, bool on)
{
	struct bus_doorbell db = {
		.addr = bar + PAGE_NOTIFY * PAGE_SIZE + q->index * NOTIFY_STEP,
		.fd = q->bell.lfd.fd,
	};

	if (on && !bus_doorbell(p->func.bus->mmio, &db, true)) {
		p->doorbells |= BIT(q->index);
	} else if (!on && p->doorbells & BIT(q->index)) {
		bus_doorbell(p->func.bus->mmio, &db, false);
		p->doorbells &= ~BIT(q->index);
	}
}

static void pci_doorbell(struct virtio_queue *q, bool on)
{
	struct virtio_pci *p = to_pci(q->v->dev);
	const struct pci_bar *bar = &p->func.bars[BAR];

	if (bar->mapped)
		set_doorbell(p, q, bar->mapped_at, on);
}

static void bar_changed(struct pci_func *f, unsigned int bar, u64 addr, bool mapped)
{
	struct virtio_pci *p = container_of(f, struct virtio_pci, func);
	struct virtio *v = p->base.v;

	(void)bar;
	for (unsigned int i = 0; i < v->n_queues; i++) {
		if (v->queues[i].bell_on)
			set_doorbell(p, &v->queues[i], addr, mapped);
	}
}

/* What arrives without a doorbell, of any size and with any value. */
static void notify_write(struct virtio_pci *p, u32 off)
{
	struct virtio_queue *q = virtio_queue(p->base.v, off / NOTIFY_STEP);

	if (q)
		dev_doorbell_signal(&q->bell);
}

static void pci_reset(struct virtio *v)
{
	struct virtio_pci *p = to_pci(v->dev);

	p->device_feature_select = p->driver_feature_select = p->queue_select = 0;
	p->queue_pending = false;
	pci_intx(&p->func, false);
}

static const struct virtio_transport pci_transport = {
	.interrupt = pci_interrupt,
	.doorbell = pci_doorbell,
	.call_fd = pci_call_fd,
	.reset = pci_reset,
};

/* ---- common configuration -------------------------------------------------------------------- */

/* The 64-bit field that @off is in; NULL: in none. */
static u64 *ring_field(struct virtio_queue *q, u32 off)
{
	switch (off & ~7u) {
	case COMMON_QUEUE_DESC:
		return &q->layout.desc;
	case COMMON_QUEUE_DRIVER:
		return &q->layout.avail;
	case COMMON_QUEUE_DEVICE:
		return &q->layout.used;
	default:
		return NULL;
	}
}

/* By halves, as the specification has it, or in one piece, as some drivers do. */
static bool is_ring_access(u32 off, unsigned int size)
{
	return off >= COMMON_QUEUE_DESC && off < COMMON_LEN && size >= 4 && off % size == 0;
}

static u64 ring_read(struct virtio_queue *q, u32 off, unsigned int size)
{
	u64 val = q ? *ring_field(q, off) >> off % 8 * 8 : 0;

	return size == 8 ? val : (u32)val;
}

static void ring_write(struct virtio_queue *q, u32 off, unsigned int size, u64 val)
{
	unsigned int shift = off % 8 * 8;
	u64 mask = (size == 8 ? UINT64_MAX : UINT32_MAX) << shift;
	u64 *field = ring_field(q, off);

	*field = (*field & ~mask) | (val << shift & mask);
}

static u64 common_read(struct virtio_pci *p, u32 off, unsigned int size)
{
	struct virtio *v = p->base.v;
	struct virtio_queue *q = virtio_queue(v, p->queue_select);

	if (is_ring_access(off, size))
		return ring_read(q, off, size);
	switch (FIELD(off, size)) {
	case FIELD(COMMON_DEVICE_FEATURE_SELECT, 4):
		return p->device_feature_select;
	case FIELD(COMMON_DEVICE_FEATURE, 4):
		return virtio_offered(v, p->device_feature_select);
	case FIELD(COMMON_DRIVER_FEATURE_SELECT, 4):
		return p->driver_feature_select;
	case FIELD(COMMON_DRIVER_FEATURE, 4):
		return virtio_accepted(v, p->driver_feature_select);
	case FIELD(COMMON_CONFIG_VECTOR, 2):
		return v->config_vector;
	case FIELD(COMMON_NUM_QUEUES, 2):
		return v->n_queues;
	case FIELD(COMMON_STATUS, 1):
		return virtio_status(v);
	case FIELD(COMMON_GENERATION, 1):
		return (u8)v->generation;
	case FIELD(COMMON_QUEUE_SELECT, 2):
		return p->queue_select;
	case FIELD(COMMON_QUEUE_SIZE, 2):
		return q ? q->layout.size : 0; /* 0: there is no such queue */
	case FIELD(COMMON_QUEUE_VECTOR, 2):
		return q ? q->vector : VIRTIO_NO_VECTOR;
	case FIELD(COMMON_QUEUE_ENABLE, 2):
		return q && q->vq.enabled;
	case FIELD(COMMON_QUEUE_NOTIFY_OFF, 2):
		return q ? q->index : 0;
	default:
		return UINT64_MAX;
	}
}

static void status_write(struct virtio_pci *p, u8 status)
{
	if (status & VIRTIO_S_DRIVER_OK && !pci_bus_master(&p->func))
		virtio_break(p->base.v, "DRIVER_OK without Bus Master Enable");
	else
		virtio_set_status(p->base.v, status);
}

static void queue_write(struct virtio_pci *p, u32 off, unsigned int size, u64 val)
{
	struct virtio *v = p->base.v;
	struct virtio_queue *q = virtio_queue(v, p->queue_select);

	if (!q)
		return;
	if (FIELD(off, size) == FIELD(COMMON_QUEUE_VECTOR, 2)) {
		q->vector = vector(p, val);
		rewire(q);
	} else if (!virtio_queue_writable(v, q)) {
		return;
	} else if (is_ring_access(off, size)) {
		ring_write(q, off, size, val);
	} else if (FIELD(off, size) == FIELD(COMMON_QUEUE_SIZE, 2)) {
		q->layout.size = (u16)val;
	} else if (FIELD(off, size) == FIELD(COMMON_QUEUE_ENABLE, 2) && val == 1) {
		virtio_queue_enable(v, q);
	}
}

static void common_write(struct virtio_pci *p, u32 off, unsigned int size, u64 val)
{
	struct virtio *v = p->base.v;

	switch (FIELD(off, size)) {
	case FIELD(COMMON_DEVICE_FEATURE_SELECT, 4):
		p->device_feature_select = (u32)val;
		break;
	case FIELD(COMMON_DRIVER_FEATURE_SELECT, 4):
		p->driver_feature_select = (u32)val;
		break;
	case FIELD(COMMON_DRIVER_FEATURE, 4):
		virtio_accept(v, p->driver_feature_select, (u32)val);
		break;
	case FIELD(COMMON_CONFIG_VECTOR, 2):
		v->config_vector = vector(p, val);
		break;
	case FIELD(COMMON_STATUS, 1):
		status_write(p, (u8)val);
		break;
	case FIELD(COMMON_QUEUE_SELECT, 2):
		p->queue_select = (u16)val;
		break;
	default:
		queue_write(p, off, size, val);
	}
}

/* ---- the BAR, and the window to it ----------------------------------------------------------- */

static u64 bar_read(struct virtio_pci *p, u64 bar_off, unsigned int size)
{
	u32 off = bar_off % PAGE_SIZE;

	switch (bar_off / PAGE_SIZE) {
	case PAGE_COMMON:
		return common_read(p, off, size);
	case PAGE_ISR:
		return off == 0 && size == 1 ? isr_read(p) : UINT64_MAX;
	case PAGE_DEVICE:
		return virtio_config_read(p->base.v, off, size);
	case PAGE_MSIX_TABLE:
		return msix_table_read(&p->func.msix, off, size);
	case PAGE_MSIX_PBA:
		return msix_pba_read(&p->func.msix, off, size);
	default:
		return UINT64_MAX;
	}
}

static void bar_write(struct virtio_pci *p, u64 bar_off, unsigned int size, u64 val)
{
	u32 off = bar_off % PAGE_SIZE;

	switch (bar_off / PAGE_SIZE) {
	case PAGE_COMMON:
		common_write(p, off, size, val);
		break;
	case PAGE_DEVICE:
		virtio_config_write(p->base.v, off, size, val);
		break;
	case PAGE_NOTIFY:
		notify_write(p, off);
		break;
	case PAGE_MSIX_TABLE:
		msix_table_write(&p->func.msix, off, size, val);
		break;
	}
}

/*
 * The window (4.1.4.9): a driver that cannot reach the BAR writes offset and length into the
 * capability and then accesses its last four bytes. Both are whatever the driver wrote.
 */
static bool window_get(const struct virtio_pci *p, u32 *off, u32 *len)
{
	const u8 *cap = p->func.config + p->window;

	*off = get_le32(cap + CAP_OFFSET);
	*len = get_le32(cap + CAP_LENGTH);
	return cap[CAP_BAR] == BAR && (*len == 1 || *len == 2 || *len == 4) && *off % *len == 0 &&
	       range_fits(*off, *len, BAR_SIZE);
}

static bool is_window_data(const struct virtio_pci *p, u64 off, unsigned int size)
{
	return ranges_overlap(off, size, p->window + CAP_EXTRA, 4);
}

static u64 config_read(struct virtio_pci *p, u32 cfg_off, unsigned int size)
{
	u8 *data = p->func.config + p->window + CAP_EXTRA;
	u32 off, len;

	if (is_window_data(p, cfg_off, size)) {
		u8 raw[4] = { 0xff, 0xff, 0xff, 0xff };

		if (window_get(p, &off, &len)) {
			put_le32(raw, (u32)bar_read(p, off, len));
			memcpy(data, raw, len);
		} else {
			memcpy(data, raw, sizeof(raw));
		}
	}
	return pci_config_read(&p->func, cfg_off, size);
}

/*
 * The vCPU waits while a reset waits for requests under way (dev_throttle()), but its access was
 * one to the bridge: so the bridge is made busy as well, until pci_idle(). That of another function
 * may let it go earlier, which only a kernel sees that stops its devices on many CPUs at a time.
 */
static void hold_bridge(struct virtio_pci *p, bool on)
{
	struct dev *bridge = p->func.bus->slots[0];

	if (bridge)
		dev_throttle(bridge, on);
}

static void lose_bus_master(struct virtio *v)
{
	if (!v->cls->last_words) {
		virtio_set_status(v, 0);
		return;
	}
	for (unsigned int i = 0; i < v->n_queues; i++) {
		if (!(v->cls->last_words & BIT(i)))
			virtio_queue_disable(v, &v->queues[i]);
	}
}

static void config_write(struct virtio_pci *p, u32 cfg_off, unsigned int size, u32 val)
{
	const u8 *data = p->func.config + p->window + CAP_EXTRA;
	bool was_master = pci_bus_master(&p->func), had_msix = pci_msix_on(&p->func);
	u32 off, len;

	pci_config_write(&p->func, cfg_off, size, val);
	if (is_window_data(p, cfg_off, size) && window_get(p, &off, &len))
		bar_write(p, off, len, get_le32(data) & UINT32_MAX >> (32 - 8 * len));
	if (was_master && !pci_bus_master(&p->func))
		lose_bus_master(p->base.v);
	if (had_msix != pci_msix_on(&p->func))
		rewire_all(p->base.v);
	if (p->base.v->resetting)
		hold_bridge(p, true);
}

static u64 pci_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	if (tag == PCI_TAG_CONFIG)
		return config_read(to_pci(dev), (u32)off, size);
	return bar_read(to_pci(dev), off, size);
}

static void pci_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	if (tag == PCI_TAG_CONFIG)
		config_write(to_pci(dev), (u32)off, size, (u32)val);
	else
		bar_write(to_pci(dev), off, size, val);
}

static void pci_idle(struct dev *dev)
{
	struct virtio_pci *p = to_pci(dev);
	bool waited = p->base.v->resetting;

	virtio_idle(p->base.v);
	if (waited && !p->base.v->resetting)
		hold_bridge(p, false);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* @len 0: the window, which is not a place. */
static u8 add_cap(struct pci_func *f, u8 type, u32 page, u32 len, const u32 *extra)
{
	u8 cap_len = extra ? CAP_EXTRA + 4 : CAP_EXTRA;
	u8 cap[CAP_MAX] = { 0 };

	cap[2] = cap_len;
	cap[3] = type;
	cap[CAP_BAR] = BAR;
	put_le32(cap + CAP_OFFSET, page * PAGE_SIZE);
	put_le32(cap + CAP_LENGTH, len);
	put_le32(cap + CAP_EXTRA, extra ? *extra : 0);
	return pci_add_cap(f, CAP_ID_VENDOR, cap + 2, cap_len - 2);
}

static int add_caps(struct virtio_pci *p, struct lkvm_error *err)
{
	const struct virtio *v = p->base.v;
	struct pci_func *f = &p->func;
	bool ok;

	ok = add_cap(f, CFG_COMMON, PAGE_COMMON, COMMON_LEN, NULL) &&
	     add_cap(f, CFG_NOTIFY, PAGE_NOTIFY, v->n_queues * NOTIFY_STEP,
		     &(u32){ NOTIFY_STEP }) &&
	     add_cap(f, CFG_ISR, PAGE_ISR, 1, NULL);
	if (ok && v->config_len)
		ok = add_cap(f, CFG_DEVICE, PAGE_DEVICE, v->config_len, NULL);
	if (ok)
		p->window = add_cap(f, CFG_PCI, 0, 0, &(u32){ 0 });
	if (!p->window)
		return err_host(err, ENOSPC, "%s: PCI capabilities", f->dev->name);
	f->writable[p->window + CAP_BAR] = 0xff;
	memset(f->writable + p->window + CAP_OFFSET, 0xff, CAP_MAX - CAP_OFFSET);
	return 0;
}

static int add_msix(struct virtio_pci *p, struct lkvm_error *err)
{
	int ret = pci_add_msix(&p->func, p->base.v->n_queues + 1, BAR, PAGE_MSIX_TABLE * PAGE_SIZE,
			       PAGE_MSIX_PBA * PAGE_SIZE, err);

	return ret == -EOPNOTSUPP ? 0 : ret; /* INTx it is */
}

_Static_assert(MSIX_MAX_VECTORS > VIRTIO_MAX_QUEUES,
	       "a vector for each queue and the configuration");

static int pci_init(struct dev *dev, const void *arg, struct lkvm_error *err)
{
	struct virtio_pci *p = to_pci(dev);
	const struct virtio_cfg *cfg = arg;
	const u16 device = (u16)(DEVICE_BASE + cfg->cls->id);
	const struct pci_ids ids = {
		.vendor = VENDOR,
		.device = device,
		.subsystem_vendor = VENDOR,
		.subsystem = device,
		.revision = REVISION,
		.class_code = cfg->cls->pci_class ? cfg->cls->pci_class : CLASS_OTHER,
	};
	int ret;

	ret = pci_func_init(&p->func, dev, cfg->bus, cfg->slot, &ids, err);
	if (ret)
		return ret;
	p->func.bar_changed = bar_changed;
	ret = pci_add_bar(&p->func, BAR, BAR_SIZE, err);
	if (ret)
		return ret;
	ret = virtio_create(&p->base.v, cfg->cls, dev, &pci_transport, cfg->cfg, err);
	if (ret)
		return ret;
	ret = add_caps(p, err);
	return ret ? ret : add_msix(p, err);
}

/* BARs first: their doorbells are the queues'. */
static void pci_fini(struct dev *dev)
{
	struct virtio_pci *p = to_pci(dev);

	pci_func_fini(&p->func);
	virtio_destroy(p->base.v);
}

const struct dev_class virtio_pci_class = {
	.name = "virtio-pci",
	.size = sizeof(struct virtio_pci),
	.init = pci_init,
	.fini = pci_fini,
	.read = pci_read,
	.write = pci_write,
	.idle = pci_idle,
};
