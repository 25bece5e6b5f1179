/*
 * vworld.h - a virtio device over MMIO on a board (board.h) with memory, and a driver that is fed
 * from the input.
 *
 * Checks what holds for every device over virtio-mmio, whatever its driver does; see vw_check().
 */
#ifndef LKVM_TESTS_FUZZ_VWORLD_H
#define LKVM_TESTS_FUZZ_VWORLD_H

#include <stdatomic.h>

#include "tests/fuzz/board.h"

#define VW_RAM	      (1 * MIB)
#define VW_MAX_QUEUES 8

#define VW_RINGS      0x1000 /* of queue 0; that of the next one is VW_RINGS_STEP on */
#define VW_RINGS_STEP 0x6000
#define VW_QUEUE_SIZE 32
#define VW_DATA	      0x80000

struct vworld {
	struct board b;
	struct gmem gmem;
	struct vmmio m;
	struct vqd q[VW_MAX_QUEUES];
	unsigned int n_queues;
	struct dev *dev;
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

static inline void vw_open(struct vworld *w, const u8 *data, size_t len, unsigned int n_queues)
{
	*w = (struct vworld){ .data = data, .len = len, .n_queues = n_queues };
	CHECK(!gmem_add(&w->gmem, 0, VW_RAM, NULL));
	board_open(&w->b, &w->gmem);
	w->m = (struct vmmio){ .bus = &w->b.mmio, .gm = &w->gmem, .base = BOARD_VIRTIO };
}

static inline void vw_plug(struct vworld *w, const struct virtio_class *cls, const void *cfg)
{
	w->dev = board_plug_virtio(&w->b, cls, cfg);
}

static inline void vw_unplug(struct vworld *w)
{
	board_unplug(&w->b, w->dev);
	w->dev = NULL;
	CHECK(!w->b.n_bells);
}

/* The device is unplugged. */
static inline void vw_close(struct vworld *w)
{
	board_close(&w->b);
	gmem_fini(&w->gmem);
}

/* ---- the vCPU ----------------------------------------------------------------------- */

static inline bool vw_throttled(const struct vworld *w)
{
	return atomic_load(&w->dev->throttled);
}

static inline void vw_write(struct vworld *w, u64 off, unsigned int size, u64 val)
{
	board_write(&w->b, BOARD_VIRTIO + off, size, val);
}

static inline u64 vw_read(struct vworld *w, u64 off, unsigned int size)
{
	return board_read(&w->b, BOARD_VIRTIO + off, size);
}

static inline bool vw_level(const struct vworld *w)
{
	return w->b.level[BOARD_VIRTIO_GSI];
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

	CHECK(vw_level(w) == (vw_read(w, VMMIO_INTERRUPT_STATUS, 4) != 0));
	CHECK(!(status & VIRTIO_S_DRIVER_OK) || (status & up) == up);
	CHECK(!(status & VIRTIO_S_FEATURES_OK) || !(v->accepted & ~v->features));
	CHECK(vw_throttled(w) == v->resetting);
	CHECK(!v->resetting || w->dev->n_io);
	CHECK(status || !w->dev->n_io); /* the driver may reuse its memory */
	for (u32 i = 0; i < w->n_queues; i++) {
		const struct virtio_queue *q = &v->queues[i];

		CHECK(!q->vq.enabled || (status & VIRTIO_S_FEATURES_OK));
	}
	board_check_virtio(&w->b, w->dev);
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
	w->b.hold = false;
	while (w->b.n_held)
		board_end_io(&w->b, 0, -EIO);
	loop_manual_run(w->b.loop);
	CHECK(!w->dev->n_io);
	vw_write(w, VMMIO_STATUS, 4, 0);
	CHECK(!vw_status(w) && !vw_throttled(w) && !vw_level(w) && !w->b.n_bells);
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
