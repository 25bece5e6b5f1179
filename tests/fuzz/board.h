/*
 * board.h - what a device needs around it, for fuzz targets: buses, a manual loop, interrupt
 * lines, doorbells as the kernel would do them, file requests that can be kept waiting. On virtual
 * time and one thread.
 *
 * Checks what holds whatever is plugged in: lines change when their level does, nobody raises an
 * event, a doorbell is installed once and taken away as it was. Memory is the target's.
 */
#ifndef LKVM_TESTS_FUZZ_BOARD_H
#define LKVM_TESTS_FUZZ_BOARD_H

#include <errno.h>
#include <unistd.h>

#include "devices/classes.h"
#include "devices/virtio.h"
#include "tests/fuzz/check.h"
#include "tests/unit/vmmio.h"
#include "vmm/loop_impl.h"

#define BOARD_VIRTIO	 0xd0000000 /* registers of the device that board_plug_virtio() makes */
#define BOARD_VIRTIO_GSI 4
#define BOARD_MAX_BELLS	 32
#define BOARD_MAX_HELD	 512

struct board {
	struct log log;
	struct loop *loop;
	struct dev_gate gate;
	struct dev_env env;
	struct irq_chip chip;
	struct bus ports, mmio;

	u64 gsis; /* lines that somebody has */
	bool level[IRQ_MAX_GSI];

	struct bus_doorbell bells[BOARD_MAX_BELLS];
	unsigned int n_bells;
	unsigned int n_refused; /* and maybe taken away later */
	bool bells_full;	/* the kernel has no room for more */

	bool messages_full; /* likewise */

	bool hold; /* file requests wait for board_end_io() */
	struct loop_io *held[BOARD_MAX_HELD];
	unsigned int n_held;
};

/* ---- the host ----------------------------------------------------------------------------- */

static inline void board_on_irq(void *ctx, u32 gsi, bool level)
{
	struct board *b = ctx;

	CHECK(gsi < IRQ_MAX_GSI && b->gsis & BIT(gsi) && b->level[gsi] != level);
	b->level[gsi] = level;
}

static inline void board_on_event(void *ctx, const struct dev *dev, enum dev_event event, u64 value)
{
	(void)ctx;
	(void)dev;
	(void)event;
	(void)value;
	CHECK(!"a device like these raises no event");
}

/* The one for @val at @addr; NULL: that comes as a write. */
static inline struct bus_doorbell *board_bell(struct board *b, u64 addr, unsigned int size, u64 val)
{
	for (unsigned int i = 0; i < b->n_bells; i++) {
		struct bus_doorbell *db = &b->bells[i];

		if (db->addr == addr && (!db->size || db->size == size) &&
		    (!db->match || db->val == val))
			return db;
	}
	return NULL;
}

static inline int board_on_bell(void *ctx, const struct bus_doorbell *db, bool on)
{
	struct board *b = ctx;
	struct bus_doorbell *old = board_bell(b, db->addr, db->size, db->val);

	CHECK(db->match ? db->size : !db->size && !db->val);
	if (on && b->bells_full) {
		b->n_refused++;
		return -ENOSPC;
	}
	if (!on && !old) {
		CHECK(b->n_refused--);
		return -ENOENT;
	}
	if (on) {
		CHECK(!old && b->n_bells < BOARD_MAX_BELLS);
		b->bells[b->n_bells++] = *db;
	} else {
		CHECK(old->fd == db->fd && old->match == db->match && old->size == db->size);
		*old = b->bells[--b->n_bells];
	}
	return 0;
}

static inline int board_on_bind(void *ctx, const struct irq_msi *msi)
{
	const struct board *b = ctx;

	CHECK(b->chip.msis[msi->index] == msi);
	return msi->bound && b->messages_full ? -ENOSPC : 0;
}

/* A hook of loop_manual_io_hook(). */
static inline bool board_hold_io(void *ctx, struct loop_io *io)
{
	struct board *b = ctx;

	if (!b->hold)
		return false;
	CHECK(b->n_held < BOARD_MAX_HELD);
	b->held[b->n_held++] = io;
	return true;
}

static inline void board_end_io(struct board *b, unsigned int i, s64 res)
{
	struct loop_io *io;

	if (!b->n_held)
		return;
	i %= b->n_held;
	io = b->held[i];
	b->held[i] = b->held[--b->n_held];
	io->res = res;
	loop_manual_io_done(b->loop, io);
}

/* ---- what is plugged in ------------------------------------------------------------------- */

/* @b is zeroed. @gmem: NULL: no device here has to do with memory. */
static inline void board_open(struct board *b, struct gmem *gmem)
{
	CHECK(!loop_create(&b->loop, LOOP_MANUAL, NULL));
	loop_manual_io_hook(b->loop, board_hold_io, b);
	irq_chip_init(&b->chip, board_on_irq, b);
	b->chip.bind = board_on_bind;
	bus_init(&b->ports, "port", &b->log);
	bus_init(&b->mmio, "mmio", &b->log);
	b->mmio.doorbell = board_on_bell;
	b->mmio.doorbell_ctx = b;
	dev_gate_init(&b->gate);
	b->env = (struct dev_env){
		.log = &b->log,
		.gmem = gmem,
		.loop = b->loop,
		.gate = &b->gate,
		.event = board_on_event,
	};
}

/* All devices are unplugged. */
static inline void board_close(struct board *b)
{
	CHECK(!b->n_bells && !b->n_held && !b->loop->timers);
	for (u32 gsi = 0; gsi < IRQ_MAX_GSI; gsi++)
		CHECK(!b->level[gsi]);
	for (u32 i = 0; i < IRQ_MAX_MSI; i++)
		CHECK(!b->chip.msis[i]);
	dev_gate_fini(&b->gate);
	bus_fini(&b->mmio);
	bus_fini(&b->ports);
	irq_chip_fini(&b->chip);
	loop_destroy(b->loop);
}

/* @slot as it is, and with a line where it says a GSI. */
static inline struct dev *board_plug(struct board *b, struct dev_slot slot)
{
	struct dev *dev;

	if (slot.gsi) {
		slot.irq_chip = &b->chip;
		b->gsis |= BIT(slot.gsi);
	}
	CHECK(!dev_create(&dev, &slot, &b->env, NULL));
	return dev;
}

static inline void board_drop_ranges(struct bus *bus, const struct dev *dev)
{
	for (unsigned int i = 0; i < bus->n_ranges;) {
		if (bus->ranges[i].dev == dev)
			CHECK(!bus_remove(bus, bus->ranges[i].base));
		else
			i++;
	}
}

/* As the machine does it: ranges that the slot gave it first, and it drops the lines. */
static inline void board_unplug(struct board *b, struct dev *dev)
{
	board_drop_ranges(&b->ports, dev);
	board_drop_ranges(&b->mmio, dev);
	irq_set(&dev->irq, false);
	dev_destroy(dev);
}

/* ---- a virtio device over MMIO ------------------------------------------------------------ */

static inline struct dev *board_plug_virtio(struct board *b, const struct virtio_class *cls,
					    const void *cfg)
{
	struct virtio_cfg virtio = {
		.cls = cls, .cfg = cfg, .mmio = &b->mmio, .base = BOARD_VIRTIO
	};

	return board_plug(
		b, (struct dev_slot){
			   .cls = &virtio_mmio_class,
			   .name = cls->name,
			   .ranges = { { &b->mmio, BOARD_VIRTIO, VMMIO_LEN, BUS_SIZE_ANY, 0 } },
			   .gsi = BOARD_VIRTIO_GSI,
			   .cfg = &virtio,
		   });
}

/* Doorbells are those of queues at work, and of nothing else. */
static inline void board_check_virtio(struct board *b, struct dev *dev)
{
	const struct virtio *v = virtio_of(dev);

	for (unsigned int i = 0; i < b->n_bells; i++) {
		const struct bus_doorbell *db = &b->bells[i];

		CHECK(db->addr == BOARD_VIRTIO + VMMIO_QUEUE_NOTIFY && db->size == 4 && db->match);
		CHECK(db->val < v->n_queues && v->queues[db->val].vq.enabled);
		CHECK(db->fd == v->queues[db->val].bell.lfd.fd);
		CHECK(v->status & VIRTIO_S_DRIVER_OK);
	}
}

/* ---- the vCPU ----------------------------------------------------------------------------- */

/* A write to memory: the kernel looks at its doorbells first. */
static inline void board_write(struct board *b, u64 addr, unsigned int size, u64 val)
{
	u64 masked = val & (UINT64_MAX >> (64 - 8 * size)), one = 1;
	const struct bus_doorbell *db = board_bell(b, addr, size, masked);

	if (db)
		CHECK(write(db->fd, &one, sizeof(one)) == sizeof(one));
	else
		bus_write(&b->mmio, addr, size, val, NULL);
}

static inline u64 board_read(struct board *b, u64 addr, unsigned int size)
{
	u64 val = bus_read(&b->mmio, addr, size, NULL);

	CHECK(!(val & ~(UINT64_MAX >> (64 - 8 * size))));
	return val;
}

static inline void board_notify(struct board *b, u32 queue)
{
	board_write(b, BOARD_VIRTIO + VMMIO_QUEUE_NOTIFY, 4, queue);
}

#endif
