/*
 * virtio_mmio.c - virtio over MMIO: VIRTIO_MMIO_LEN bytes of registers and one interrupt line
 * (virtio 1.2 section 4.2, version 2; there is no legacy interface).
 *
 * Registers are 32 bits wide and aligned; only the configuration space behind them takes other
 * accesses (4.2.2.2). Anything else reads all ones and is dropped. What only can be written reads
 * 0.
 */
#include "devices/classes.h"
#include "devices/virtio.h"

/* Section 4.2.2, table 4.1. */
enum {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE_ID = 0x008,
	REG_VENDOR_ID = 0x00c,
	REG_DEVICE_FEATURES = 0x010,
	REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_NUM_MAX = 0x034,
	REG_QUEUE_NUM = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_QUEUE_NOTIFY = 0x050,
	REG_INTERRUPT_STATUS = 0x060,
	REG_INTERRUPT_ACK = 0x064,
	REG_STATUS = 0x070,
	REG_QUEUE_DESC_LOW = 0x080,
	REG_QUEUE_DESC_HIGH = 0x084,
	REG_QUEUE_DRIVER_LOW = 0x090,
	REG_QUEUE_DRIVER_HIGH = 0x094,
	REG_QUEUE_DEVICE_LOW = 0x0a0,
	REG_QUEUE_DEVICE_HIGH = 0x0a4,
	REG_SHM_LEN_LOW = 0x0b0,
	REG_SHM_LEN_HIGH = 0x0b4,
	REG_SHM_BASE_LOW = 0x0b8,
	REG_SHM_BASE_HIGH = 0x0bc,
	REG_CONFIG_GENERATION = 0x0fc,
	REG_CONFIG = 0x100,
};

#define MAGIC	  0x74726976 /* "virt" */
#define VERSION	  2
#define VENDOR_ID 0x6d766b6c /* "lkvm" */

/* InterruptStatus */
#define INT_USED   1
#define INT_CONFIG 2

struct virtio_mmio {
	struct virtio_dev base;
	struct bus *bus; /* NULL: no doorbells */
	u64 addr;
	u32 device_features_sel, driver_features_sel, queue_sel;
	bool used_pending; /* InterruptStatus bit 0; bit 1 is config_pending */
};

static struct virtio_mmio *to_mmio(struct dev *dev)
{
	return container_of(dev, struct virtio_mmio, base.dev);
}

/* ---- interrupts and doorbells ------------------------------------------------------- */

static u32 interrupt_status(const struct virtio_mmio *m)
{
	return (m->used_pending ? INT_USED : 0) | (m->base.v->config_pending ? INT_CONFIG : 0);
}

static void mmio_interrupt(struct virtio *v, struct virtio_queue *q)
{
	if (q)
		to_mmio(v->dev)->used_pending = true;
	irq_set(&v->dev->irq, true);
}

static void interrupt_ack(struct virtio_mmio *m, u32 val)
{
	if (val & INT_USED)
		m->used_pending = false;
	if (val & INT_CONFIG)
		m->base.v->config_pending = false;
	irq_set(&m->base.dev.irq, interrupt_status(m) != 0);
}

/* Where it fails the notification comes as a register write, which does the same. */
static void mmio_doorbell(struct virtio_queue *q, bool on)
{
	const struct virtio_mmio *m = to_mmio(q->v->dev);

	if (m->bus)
		bus_doorbell(m->bus,
			     &(struct bus_doorbell){ .addr = m->addr + REG_QUEUE_NOTIFY,
						     .size = 4,
						     .match = true,
						     .val = q->index,
						     .fd = q->bell.lfd.fd },
			     on);
}

static void mmio_reset(struct virtio *v)
{
	struct virtio_mmio *m = to_mmio(v->dev);

	m->device_features_sel = m->driver_features_sel = m->queue_sel = 0;
	m->used_pending = false;
	irq_set(&v->dev->irq, false);
}

static const struct virtio_transport mmio_transport = {
	.interrupt = mmio_interrupt,
	.doorbell = mmio_doorbell,
	.reset = mmio_reset,
};

/* ---- registers ---------------------------------------------------------------------- */

static u32 reg_read(struct virtio_mmio *m, u64 off)
{
	struct virtio *v = m->base.v;
	const struct virtio_queue *q = virtio_queue(v, m->queue_sel);

	switch (off) {
	case REG_MAGIC:
		return MAGIC;
	case REG_VERSION:
		return VERSION;
	case REG_DEVICE_ID:
		return v->cls->id;
	case REG_VENDOR_ID:
		return VENDOR_ID;
	case REG_DEVICE_FEATURES:
		return virtio_offered(v, m->device_features_sel);
	case REG_QUEUE_NUM_MAX:
		return q ? q->max_size : 0;
	case REG_QUEUE_READY:
		return q && q->vq.enabled;
	case REG_INTERRUPT_STATUS:
		return interrupt_status(m);
	case REG_STATUS:
		return virtio_status(v);
	case REG_SHM_LEN_LOW: /* no device here has shared memory: length and base are all ones */
	case REG_SHM_LEN_HIGH:
	case REG_SHM_BASE_LOW:
	case REG_SHM_BASE_HIGH:
		return UINT32_MAX;
	case REG_CONFIG_GENERATION:
		return v->generation;
	default:
		return 0;
	}
}

static u64 with_low(u64 addr, u32 val)
{
	return (addr & ~(u64)UINT32_MAX) | val;
}

static u64 with_high(u64 addr, u32 val)
{
	return (u32)addr | (u64)val << 32;
}

/* What is frozen once the queue is enabled. */
static void layout_write(struct vq_layout *l, u64 off, u32 val)
{
	switch (off) {
	case REG_QUEUE_NUM:
		/* 0 is a size that no queue can have, as are those that a u16 cannot hold */
		l->size = val <= UINT16_MAX ? (u16)val : 0;
		break;
	case REG_QUEUE_DESC_LOW:
		l->desc = with_low(l->desc, val);
		break;
	case REG_QUEUE_DESC_HIGH:
		l->desc = with_high(l->desc, val);
		break;
	case REG_QUEUE_DRIVER_LOW:
		l->avail = with_low(l->avail, val);
		break;
	case REG_QUEUE_DRIVER_HIGH:
		l->avail = with_high(l->avail, val);
		break;
	case REG_QUEUE_DEVICE_LOW:
		l->used = with_low(l->used, val);
		break;
	case REG_QUEUE_DEVICE_HIGH:
		l->used = with_high(l->used, val);
		break;
	}
}

static void queue_write(struct virtio_mmio *m, u64 off, u32 val)
{
	struct virtio_queue *q = virtio_queue(m->base.v, m->queue_sel);

	if (!q)
		return;
	if (off == REG_QUEUE_READY && val)
		virtio_queue_enable(m->base.v, q);
	else if (off == REG_QUEUE_READY)
		virtio_queue_disable(m->base.v, q);
	else if (virtio_queue_writable(m->base.v, q))
		layout_write(&q->layout, off, val);
}

static void reg_write(struct virtio_mmio *m, u64 off, u32 val)
{
	struct virtio *v = m->base.v;
	struct virtio_queue *q;

	switch (off) {
	case REG_DEVICE_FEATURES_SEL:
		m->device_features_sel = val;
		break;
	case REG_DRIVER_FEATURES:
		virtio_accept(v, m->driver_features_sel, val);
		break;
	case REG_DRIVER_FEATURES_SEL:
		m->driver_features_sel = val;
		break;
	case REG_QUEUE_SEL:
		m->queue_sel = val;
		break;
	case REG_QUEUE_NOTIFY:
		q = virtio_queue(v, val);
		if (q)
			dev_doorbell_signal(&q->bell);
		break;
	case REG_INTERRUPT_ACK:
		interrupt_ack(m, val);
		break;
	case REG_STATUS:
		/* no status has bits beyond the first eight, and only 0 is a reset */
		if (val <= UINT8_MAX)
			virtio_set_status(v, (u8)val);
		break;
	default:
		queue_write(m, off, val);
	}
}

static bool is_register(u64 off, unsigned int size)
{
	return size == 4 && off % 4 == 0;
}

static u64 mmio_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	struct virtio_mmio *m = to_mmio(dev);

	(void)tag;
	if (off >= REG_CONFIG)
		return virtio_config_read(m->base.v, off - REG_CONFIG, size);
	return is_register(off, size) ? reg_read(m, off) : UINT64_MAX;
}

static void mmio_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct virtio_mmio *m = to_mmio(dev);

	(void)tag;
	if (off >= REG_CONFIG)
		virtio_config_write(m->base.v, off - REG_CONFIG, size, val);
	else if (is_register(off, size))
		reg_write(m, off, (u32)val);
}

/* ---- life --------------------------------------------------------------------------- */

static int mmio_init(struct dev *dev, const void *arg, struct lkvm_error *err)
{
	struct virtio_mmio *m = to_mmio(dev);
	const struct virtio_cfg *cfg = arg;

	m->bus = cfg->mmio;
	m->addr = cfg->base;
	return virtio_create(&m->base.v, cfg->cls, dev, &mmio_transport, cfg->cfg, err);
}

static void mmio_fini(struct dev *dev)
{
	virtio_destroy(to_mmio(dev)->base.v);
}

static void mmio_idle(struct dev *dev)
{
	virtio_idle(to_mmio(dev)->base.v);
}

const struct dev_class virtio_mmio_class = {
	.name = "virtio-mmio",
	.size = sizeof(struct virtio_mmio),
	.init = mmio_init,
	.fini = mmio_fini,
	.read = mmio_read,
	.write = mmio_write,
	.idle = mmio_idle,
};
