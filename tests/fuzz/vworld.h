/*
 * vworld.h - what a virtio device needs around it, for fuzz targets: memory, a bus, a manual
 * loop, an interrupt line, doorbells as the kernel would do them. On virtual time and one thread.
 *
 * Checks what holds for every device over virtio-mmio, whatever its driver does; see vw_check().
 */
#ifndef LKVM_TESTS_FUZZ_VWORLD_H
#define LKVM_TESTS_FUZZ_VWORLD_H

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/classes.h"
#include "tests/unit/vmmio.h"
#include "vmm/loop_impl.h"

#define VW_BASE	      0xd0000000
#define VW_RAM	      (1 * MIB)
#define VW_MAX_QUEUES 8
#define VW_MAX_HELD   512

#define VW_RINGS      0x1000 /* of queue 0; that of the next one is VW_RINGS_STEP on */
#define VW_RINGS_STEP 0x6000
#define VW_QUEUE_SIZE 32
#define VW_DATA	      0x80000

#define CHECK(cond)                                                                \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                   \
		}                                                                  \
	} while (0)

struct vworld {
	struct log log;
	struct loop *loop;
	struct dev_gate gate;
	struct dev_env env;
	struct gmem gmem;
	struct irq_chip chip;
	struct bus bus;
	struct vmmio m;
	struct vqd q[VW_MAX_QUEUES];
	unsigned int n_queues;
	struct dev *dev;
	bool level;
	int bells[VW_MAX_QUEUES]; /* eventfd of each that is installed, plus 1 */
	unsigned int n_bells;
	bool bells_full; /* the kernel has no room for more */

	bool hold; /* file requests wait for vw_end_io() */
	struct loop_io *held[VW_MAX_HELD];
	unsigned int n_held;

	const u8 *data; /* the input that is left */
	size_t len;
};

/* ---- the input ---------------------------------------------------------------------- */

static inline u8 vw_u8(struct vworld *w)
{
	if (!w->len)
		return 0;
	w->len--;
	return *w->data++;
}

static inline u16 vw_u16(struct vworld *w)
{
	u8 low = vw_u8(w);

	return (u16)(low | vw_u8(w) << 8);
}

static inline u32 vw_u32(struct vworld *w)
{
	u16 low = vw_u16(w);

	return low | (u32)vw_u16(w) << 16;
}

/* A number that is small, a power of two, near one, the end of RAM, or anything. */
static inline u64 vw_num(struct vworld *w)
{
	u8 how = vw_u8(w);
	u32 low;

	switch (how >> 5) {
	case 0:
	case 1:
		return how & 0x3f;
	case 2:
		return BIT(how & 0x1f);
	case 3:
		return BIT(how & 0x1f) - 1;
	case 4:
		return VW_RAM - (how & 0x1f);
	case 5:
		return UINT64_MAX - (how & 0x1f);
	case 6:
		return VW_DATA + ((u64)vw_u8(w) << 4);
	default:
		low = vw_u32(w);
		return low | (u64)vw_u8(w) << 32;
	}
}

/* ---- the board ---------------------------------------------------------------------- */

static inline void vw_on_irq(void *ctx, u32 gsi, bool level)
{
	struct vworld *w = ctx;

	CHECK(gsi == 4 && w->level != level);
	w->level = level;
}

static inline void vw_on_event(void *ctx, const struct dev *dev, enum dev_event event, u64 value)
{
	(void)ctx;
	(void)dev;
	(void)event;
	(void)value;
	CHECK(!"a virtio device raises no event");
}

static inline int vw_on_bell(void *ctx, const struct bus_doorbell *db, bool on)
{
	struct vworld *w = ctx;

	CHECK(db->addr == VW_BASE + VMMIO_QUEUE_NOTIFY && db->size == 4 && db->match);
	CHECK(db->val < w->n_queues);
	if (on && w->bells_full)
		return -ENOSPC;
	if (!on && !w->bells[db->val])
		return -ENOENT;
	CHECK(on ? !w->bells[db->val] : w->bells[db->val] == db->fd + 1);
	w->bells[db->val] = on ? db->fd + 1 : 0;
	w->n_bells += on ? 1 : -1u;
	return 0;
}

static inline bool vw_hold_io(void *ctx, struct loop_io *io)
{
	struct vworld *w = ctx;

	if (!w->hold)
		return false;
	CHECK(w->n_held < VW_MAX_HELD);
	w->held[w->n_held++] = io;
	return true;
}

static inline void vw_end_io(struct vworld *w, unsigned int i, s64 res)
{
	struct loop_io *io;

	if (!w->n_held)
		return;
	i %= w->n_held;
	io = w->held[i];
	w->held[i] = w->held[--w->n_held];
	io->res = res;
	loop_manual_io_done(w->loop, io);
}

static inline void vw_plug(struct vworld *w, const struct virtio_class *cls, const void *cfg)
{
	struct virtio_cfg vcfg = { .cls = cls, .cfg = cfg, .mmio = &w->bus, .base = VW_BASE };
	struct dev_slot slot = {
		.cls = &virtio_mmio_class,
		.name = "fuzzed",
		.ranges = { { &w->bus, VW_BASE, VMMIO_LEN, BUS_SIZE_ANY, 0 } },
		.irq_chip = &w->chip,
		.gsi = 4,
		.cfg = &vcfg,
	};

	CHECK(!dev_create(&w->dev, &slot, &w->env, NULL));
}

static inline void vw_open(struct vworld *w, const u8 *data, size_t len, unsigned int n_queues)
{
	*w = (struct vworld){ .data = data, .len = len, .n_queues = n_queues };
	CHECK(!gmem_add(&w->gmem, 0, VW_RAM, NULL));
	CHECK(!loop_create(&w->loop, LOOP_MANUAL, NULL));
	loop_manual_io_hook(w->loop, vw_hold_io, w);
	irq_chip_init(&w->chip, vw_on_irq, w);
	bus_init(&w->bus, "mmio", &w->log);
	w->bus.doorbell = vw_on_bell;
	w->bus.doorbell_ctx = w;
	dev_gate_init(&w->gate);
	w->env = (struct dev_env){
		.log = &w->log,
		.gmem = &w->gmem,
		.loop = w->loop,
		.gate = &w->gate,
		.event = vw_on_event,
	};
	w->m = (struct vmmio){ .bus = &w->bus, .gm = &w->gmem, .base = VW_BASE };
}

static inline void vw_unplug(struct vworld *w)
{
	bus_remove(&w->bus, VW_BASE);
	/* The machine drops the lines of what it takes apart. */
	irq_set(&w->dev->irq, false);
	dev_destroy(w->dev);
	w->dev = NULL;
	CHECK(!w->n_bells);
}

/* The device is unplugged. */
static inline void vw_close(struct vworld *w)
{
	CHECK(!w->loop->timers);
	dev_gate_fini(&w->gate);
	bus_fini(&w->bus);
	irq_chip_fini(&w->chip);
	loop_destroy(w->loop);
	gmem_fini(&w->gmem);
}

/* ---- the vCPU ----------------------------------------------------------------------- */

static inline bool vw_throttled(const struct vworld *w)
{
	return atomic_load(&w->dev->throttled);
}

/* The kernel looks at its doorbells first. */
static inline void vw_write(struct vworld *w, u64 off, unsigned int size, u64 val)
{
	u64 masked = val & (UINT64_MAX >> (64 - 8 * size)), one = 1;

	if (off == VMMIO_QUEUE_NOTIFY && size == 4 && masked < VW_MAX_QUEUES && w->bells[masked])
		CHECK(write(w->bells[masked] - 1, &one, sizeof(one)) == sizeof(one));
	else
		bus_write(&w->bus, VW_BASE + off, size, val, NULL);
}

static inline u64 vw_read(struct vworld *w, u64 off, unsigned int size)
{
	u64 val = bus_read(&w->bus, VW_BASE + off, size, NULL);

	CHECK(!(val & ~(UINT64_MAX >> (64 - 8 * size))));
	return val;
}

static inline u8 vw_status(struct vworld *w)
{
	return (u8)vw_read(w, VMMIO_STATUS, 4);
}

/* What is always so. */
static inline void vw_check(struct vworld *w)
{
	const struct virtio *v = virtio_of(w->dev);
	const u8 up =
		VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK;
	u8 status = vw_status(w);

	CHECK(w->level == (vw_read(w, VMMIO_INTERRUPT_STATUS, 4) != 0));
	CHECK(!(status & VIRTIO_S_DRIVER_OK) || (status & up) == up);
	CHECK(!(status & VIRTIO_S_FEATURES_OK) || !(v->accepted & ~v->features));
	CHECK(vw_throttled(w) == v->resetting);
	CHECK(!v->resetting || w->dev->n_io);
	CHECK(status || !w->dev->n_io); /* the driver may reuse its memory */
	for (u32 i = 0; i < w->n_queues; i++) {
		const struct virtio_queue *q = &v->queues[i];

		CHECK(!q->vq.enabled || (status & VIRTIO_S_FEATURES_OK));
		CHECK(!w->bells[i] || (q->vq.enabled && (status & VIRTIO_S_DRIVER_OK)));
	}
}

/* A driver that does as it should, up to DRIVER_OK. */
static inline bool vw_bring_up(struct vworld *w, u64 features, unsigned int n_queues)
{
	if (!vmmio_begin(&w->m, features))
		return false;
	for (u32 i = 0; i < n_queues; i++) {
		if (!vmmio_queue(&w->m, i, &w->q[i], VW_RINGS + i * VW_RINGS_STEP, VW_QUEUE_SIZE))
			return false;
	}
	return vmmio_driver_ok(&w->m);
}

/* Whatever happened: all requests end, then a reset brings it to status 0. */
static inline void vw_reset(struct vworld *w)
{
	w->hold = false;
	while (w->n_held)
		vw_end_io(w, 0, -EIO);
	loop_manual_run(w->loop);
	CHECK(!w->dev->n_io);
	vw_write(w, VMMIO_STATUS, 4, 0);
	CHECK(!vw_status(w) && !vw_throttled(w) && !w->level && !w->n_bells);
	vw_check(w);
}

/* ---- a driver's and anybody's work on rings ----------------------------------------- */

static inline void vw_add_request(struct vworld *w, struct vqd *q)
{
	struct vqd_buf bufs[8];
	unsigned int n = 1 + vw_u8(w) % 8, n_out = vw_u8(w) % (n + 1);

	for (unsigned int i = 0; i < n; i++) {
		u64 gpa = VW_DATA + 16u * vw_u16(w) % (VW_RAM - VW_DATA);
		u32 len = vw_u8(w);

		bufs[i] = (struct vqd_buf){ gpa, 1 + len * (vw_u8(w) % 16u), i >= n_out };
	}
	if (n_out % 2)
		vqd_add_indirect(q, bufs, n);
	else
		vqd_add(q, bufs, n);
}

static inline void vw_poke_ring(struct vworld *w, struct vqd *q)
{
	u16 at = vw_u8(w) % VW_QUEUE_SIZE, flags;
	u8 raw[16];
	u64 gpa;
	u32 len;

	switch (vw_u8(w) % 6) {
	case 0:
		gpa = vw_num(w);
		len = (u32)vw_num(w);
		flags = vw_u8(w) % 8;
		vqd_raw_desc(q, at, gpa, len, flags, vw_u8(w));
		break;
	case 1:
		vqd_raw_ring(q, at, (u16)vw_num(w));
		break;
	case 2:
		vqd_raw_avail_idx(q, (u16)(q->avail_idx + vw_u8(w) % 4));
		break;
	case 3:
		vqd_raw_avail_idx(q, (u16)vw_num(w));
		break;
	case 4:
		vqd_raw_used_event(q, (u16)vw_num(w));
		break;
	case 5:
		for (size_t i = 0; i < sizeof(raw); i++)
			raw[i] = vw_u8(w);
		gmem_write(&w->gmem, vw_num(w), raw, sizeof(raw));
		break;
	}
}

#endif
