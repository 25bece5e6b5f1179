/*
 * vmmio.h - a driver's side of the virtio MMIO transport (virtio 1.2 sections 3.1 and 4.2).
 *
 * For tests and fuzz targets: brings a device that sits on a bus to life, by its registers
 * alone. Knows no device; the rings are vqdriver.h's.
 *
 *	struct vmmio m = { &bus, &gm, base };
 *	struct vqd q;
 *
 *	vmmio_begin(&m, features) && vmmio_queue(&m, 0, &q, 0x10000, 64) && vmmio_driver_ok(&m)
 *	... vqd_add(&q, ...); vmmio_notify(&m, 0); loop_manual_run(loop); vqd_used(&q, &len) ...
 *
 * Registers are said again here, so that a slip of virtio_mmio.c shows.
 */
#ifndef LKVM_TESTS_UNIT_VMMIO_H
#define LKVM_TESTS_UNIT_VMMIO_H

#include "devices/virtio.h"
#include "tests/unit/vqdriver.h"
#include "vmm/bus.h"

#define VMMIO_LEN 0x200 /* bytes of registers */

#define VMMIO_MAGIC		  0x000
#define VMMIO_VERSION		  0x004
#define VMMIO_DEVICE_ID		  0x008
#define VMMIO_VENDOR_ID		  0x00c
#define VMMIO_DEVICE_FEATURES	  0x010
#define VMMIO_DEVICE_FEATURES_SEL 0x014
#define VMMIO_DRIVER_FEATURES	  0x020
#define VMMIO_DRIVER_FEATURES_SEL 0x024
#define VMMIO_QUEUE_SEL		  0x030
#define VMMIO_QUEUE_NUM_MAX	  0x034
#define VMMIO_QUEUE_NUM		  0x038
#define VMMIO_QUEUE_READY	  0x044
#define VMMIO_QUEUE_NOTIFY	  0x050
#define VMMIO_INTERRUPT_STATUS	  0x060
#define VMMIO_INTERRUPT_ACK	  0x064
#define VMMIO_STATUS		  0x070
#define VMMIO_QUEUE_DESC	  0x080 /* low half; the high one follows */
#define VMMIO_QUEUE_DRIVER	  0x090
#define VMMIO_QUEUE_DEVICE	  0x0a0
#define VMMIO_SHM_SEL		  0x0ac
#define VMMIO_SHM_LEN		  0x0b0
#define VMMIO_SHM_BASE		  0x0b8
#define VMMIO_CONFIG_GENERATION	  0x0fc
#define VMMIO_CONFIG		  0x100

struct vmmio {
	struct bus *bus;
	const struct gmem *gm;
	u64 base;
	u64 features; /* accepted */
};

static inline u32 vmmio_read(const struct vmmio *m, u32 reg)
{
	return (u32)bus_read(m->bus, m->base + reg, 4, NULL);
}

static inline void vmmio_write(const struct vmmio *m, u32 reg, u32 val)
{
	bus_write(m->bus, m->base + reg, 4, val, NULL);
}

static inline u64 vmmio_offered(const struct vmmio *m)
{
	u64 low, high;

	vmmio_write(m, VMMIO_DEVICE_FEATURES_SEL, 0);
	low = vmmio_read(m, VMMIO_DEVICE_FEATURES);
	vmmio_write(m, VMMIO_DEVICE_FEATURES_SEL, 1);
	high = vmmio_read(m, VMMIO_DEVICE_FEATURES);
	return low | high << 32;
}

static inline void vmmio_accept(const struct vmmio *m, u64 features)
{
	for (u32 i = 0; i < 2; i++) {
		vmmio_write(m, VMMIO_DRIVER_FEATURES_SEL, i);
		vmmio_write(m, VMMIO_DRIVER_FEATURES, (u32)(features >> (32 * i)));
	}
}

/* Reset, and up to FEATURES_OK (3.1.1, steps 1 to 6) with VERSION_1 and @features. */
static inline bool vmmio_begin(struct vmmio *m, u64 features)
{
	u8 status = VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER;

	m->features = features | BIT(VIRTIO_F_VERSION_1);
	vmmio_write(m, VMMIO_STATUS, 0);
	if (vmmio_read(m, VMMIO_STATUS))
		return false;
	vmmio_write(m, VMMIO_STATUS, VIRTIO_S_ACKNOWLEDGE);
	vmmio_write(m, VMMIO_STATUS, status);
	vmmio_accept(m, m->features);
	vmmio_write(m, VMMIO_STATUS, status | VIRTIO_S_FEATURES_OK);
	return vmmio_read(m, VMMIO_STATUS) == (status | VIRTIO_S_FEATURES_OK);
}

static inline void vmmio_write64(const struct vmmio *m, u32 reg, u64 val)
{
	vmmio_write(m, reg, (u32)val);
	vmmio_write(m, reg + 4, (u32)(val >> 32));
}

/* Tell the device of queue @index and enable it. True: it says that it is. */
static inline bool vmmio_queue_layout(const struct vmmio *m, u32 index, const struct vq_layout *l)
{
	vmmio_write(m, VMMIO_QUEUE_SEL, index);
	vmmio_write(m, VMMIO_QUEUE_NUM, l->size);
	vmmio_write64(m, VMMIO_QUEUE_DESC, l->desc);
	vmmio_write64(m, VMMIO_QUEUE_DRIVER, l->avail);
	vmmio_write64(m, VMMIO_QUEUE_DEVICE, l->used);
	vmmio_write(m, VMMIO_QUEUE_READY, 1);
	return vmmio_read(m, VMMIO_QUEUE_READY) == 1;
}

/* The same with rings of @size entries made in the VQD_BYTES(@size) at @gpa. */
static inline bool vmmio_queue(const struct vmmio *m, u32 index, struct vqd *d, u64 gpa, u16 size)
{
	return !vqd_init(d, m->gm, gpa, size, m->features & BIT(VIRTIO_F_EVENT_IDX)) &&
	       vmmio_queue_layout(m, index, &d->layout);
}

static inline bool vmmio_driver_ok(const struct vmmio *m)
{
	vmmio_write(m, VMMIO_STATUS, vmmio_read(m, VMMIO_STATUS) | VIRTIO_S_DRIVER_OK);
	return vmmio_read(m, VMMIO_STATUS) ==
	       (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK);
}

/* What follows happens on the device's loop. */
static inline void vmmio_notify(const struct vmmio *m, u32 index)
{
	vmmio_write(m, VMMIO_QUEUE_NOTIFY, index);
}

/* Take and acknowledge what the interrupt was for: bit 0 used buffers, bit 1 configuration. */
static inline u32 vmmio_ack(const struct vmmio *m)
{
	u32 status = vmmio_read(m, VMMIO_INTERRUPT_STATUS);

	vmmio_write(m, VMMIO_INTERRUPT_ACK, status);
	return status;
}

#endif
