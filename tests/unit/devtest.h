/*
 * devtest.h - a board for one device under test.
 *
 * Two buses, guest memory, a manual loop, a wall clock that moves only with it, an interrupt
 * chip and an event sink that record. The test plays the guest's driver: it reads and writes
 * through the bus, as a vCPU would, and the board does what KVM would: a write that matches a
 * doorbell signals it instead, and a message is sent when its eventfd is signalled. A failure to
 * set up ends the test.
 */
#ifndef LKVM_TESTS_UNIT_DEVTEST_H
#define LKVM_TESTS_UNIT_DEVTEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "vmm/bus.h"
#include "vmm/dev.h"
#include "vmm/gmem.h"
#include "vmm/irq.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/loop_impl.h"

#define DEVTEST_MAX_EVENTS 8
#define DEVTEST_MAX_BELLS  256
#define DEVTEST_GSI	   5 /* for a device whose slot names no other */

struct devtest_event {
	enum dev_event event;
	u64 value;
};

/* A message: what it is bound to, and how often it was sent so far. */
struct devtest_msi {
	bool bound;
	u64 addr;
	u32 data;
	int fd;
	u64 n_sent;
};

struct devtest_bell {
	const struct bus *bus; /* NULL: free */
	struct bus_doorbell db;
};

struct devtest {
	struct log log;
	char last_msg[512];
	unsigned int n_msgs;

	struct loop *loop;
	struct dev_gate gate;
	struct dev_env env;
	struct gmem gmem;
	u64 utc_ns; /* the wall clock */
	struct bus ports, mmio;
	struct irq_chip chip;
	bool level[IRQ_MAX_GSI];
	unsigned int n_raised[IRQ_MAX_GSI];  /* low to high */
	struct devtest_msi msi[IRQ_MAX_MSI]; /* by irq_msi.index: the first made is 0 */
	int bind_ret;			     /* what binding a message fails with */

	struct devtest_bell bells[DEVTEST_MAX_BELLS];
	unsigned int n_bells;
	int bell_ret; /* what installing a doorbell fails with */

	struct devtest_event events[DEVTEST_MAX_EVENTS];
	unsigned int n_events;

	struct dev *dev;
};

static inline void devtest_on_log(void *ctx, enum lkvm_log_level level, const char *msg)
{
	struct devtest *t = ctx;

	(void)level;
	snprintf(t->last_msg, sizeof(t->last_msg), "%s", msg);
	t->n_msgs++;
}

static inline void devtest_on_event(void *ctx, const struct dev *dev, enum dev_event event,
				    u64 value)
{
	struct devtest *t = ctx;

	(void)dev;
	if (t->n_events < DEVTEST_MAX_EVENTS)
		t->events[t->n_events] = (struct devtest_event){ event, value };
	t->n_events++;
}

static inline void devtest_on_irq(void *ctx, u32 gsi, bool level)
{
	struct devtest *t = ctx;

	if (level)
		t->n_raised[gsi]++;
	t->level[gsi] = level;
}

/* A signal of an eventfd that is bound is a message sent. */
static inline u64 devtest_msi_count(struct devtest *t, u32 index)
{
	struct devtest_msi *m = &t->msi[index];
	u64 n;

	if (m->bound && read(m->fd, &n, sizeof(n)) == sizeof(n))
		m->n_sent += n;
	return m->n_sent;
}

static inline int devtest_on_bind(void *ctx, const struct irq_msi *msi)
{
	struct devtest *t = ctx;
	struct devtest_msi *m = &t->msi[msi->index];

	if (msi->bound && t->bind_ret)
		return t->bind_ret;
	devtest_msi_count(t, msi->index);
	m->bound = msi->bound;
	m->addr = msi->addr;
	m->data = msi->data;
	m->fd = msi->fd;
	return 0;
}

/* How often the message @data went out, whichever vector it belongs to now. */
static inline u64 devtest_msi_sent(struct devtest *t, u32 data)
{
	u64 n = 0;

	for (u32 i = 0; i < IRQ_MAX_MSI; i++) {
		if (t->msi[i].data == data)
			n += devtest_msi_count(t, i);
	}
	return n;
}

static inline bool devtest_bell_is(const struct bus_doorbell *a, const struct bus_doorbell *b)
{
	return a->addr == b->addr && a->size == b->size && a->match == b->match &&
	       a->val == b->val && a->fd == b->fd;
}

static inline int devtest_on_bell(struct devtest *t, const struct bus *bus,
				  const struct bus_doorbell *db, bool on)
{
	if (on && t->bell_ret)
		return t->bell_ret;
	for (unsigned int i = 0; i < DEVTEST_MAX_BELLS; i++) {
		struct devtest_bell *b = &t->bells[i];

		if (on ? b->bus != NULL : b->bus != bus || !devtest_bell_is(&b->db, db))
			continue;
		*b = (struct devtest_bell){ .bus = on ? bus : NULL, .db = *db };
		t->n_bells += on ? 1 : -1u;
		return 0;
	}
	return on ? -ENOSPC : -ENOENT;
}

static inline int devtest_on_port_bell(void *ctx, const struct bus_doorbell *db, bool on)
{
	return devtest_on_bell(ctx, &((struct devtest *)ctx)->ports, db, on);
}

static inline int devtest_on_mmio_bell(void *ctx, const struct bus_doorbell *db, bool on)
{
	return devtest_on_bell(ctx, &((struct devtest *)ctx)->mmio, db, on);
}

/* True when a doorbell took the write. */
static inline bool devtest_ring(struct devtest *t, const struct bus *bus, u64 addr,
				unsigned int size, u64 val)
{
	u64 mask = UINT64_MAX >> (64 - 8 * size);

	for (unsigned int i = 0; t->n_bells && i < DEVTEST_MAX_BELLS; i++) {
		const struct bus_doorbell *db = &t->bells[i].db;
		u64 one = 1;

		if (t->bells[i].bus != bus || db->addr != addr || (db->size && db->size != size) ||
		    (db->size && db->match && db->val != (val & mask)))
			continue;
		assert_int_equal(write(db->fd, &one, sizeof(one)), sizeof(one));
		return true;
	}
	return false;
}

static inline u64 devtest_utc_ns(void *ctx)
{
	return ((struct devtest *)ctx)->utc_ns;
}

/* Everything but the device. The wall clock starts at @utc_ns. */
static inline void devtest_init(struct devtest *t, u64 utc_ns)
{
	*t = (struct devtest){ 0 };
	t->log = (struct log){ .fn = devtest_on_log, .ctx = t, .level = LKVM_LOG_DEBUG };
	bus_init(&t->ports, "port", &t->log);
	bus_init(&t->mmio, "mmio", &t->log);
	t->ports.doorbell = devtest_on_port_bell;
	t->mmio.doorbell = devtest_on_mmio_bell;
	t->ports.doorbell_ctx = t->mmio.doorbell_ctx = t;
	irq_chip_init(&t->chip, devtest_on_irq, t);
	t->chip.bind = devtest_on_bind;
	dev_gate_init(&t->gate);
	assert_int_equal(loop_create(&t->loop, LOOP_MANUAL, NULL), 0);
	t->env = (struct dev_env){
		.log = &t->log,
		.gmem = &t->gmem,
		.loop = t->loop,
		.gate = &t->gate,
		.event = devtest_on_event,
		.utc_ns = devtest_utc_ns,
		.ctx = t,
	};
	t->utc_ns = utc_ns;
}

/* Guest memory, before the device is plugged in. */
static inline void devtest_add_ram(struct devtest *t, u64 gpa, u64 size)
{
	struct lkvm_error err = { 0 };

	if (gmem_add(&t->gmem, gpa, size, &err))
		fail_msg("%s", err.msg);
}

/* Plug in the device. A slot without an interrupt chip gets this one, with DEVTEST_GSI. */
static inline void devtest_plug(struct devtest *t, const struct dev_slot *slot)
{
	struct lkvm_error err = { 0 };
	struct dev_slot s = *slot;

	if (!s.irq_chip) {
		s.irq_chip = &t->chip;
		s.gsi = DEVTEST_GSI;
	}
	if (dev_create(&t->dev, &s, &t->env, &err))
		fail_msg("%s", err.msg);
}

static inline void devtest_fini(struct devtest *t)
{
	dev_destroy(t->dev);
	t->dev = NULL;
	loop_destroy(t->loop);
	gmem_fini(&t->gmem);
	dev_gate_fini(&t->gate);
	irq_chip_fini(&t->chip);
	bus_fini(&t->mmio);
	bus_fini(&t->ports);
}

static inline u64 devtest_in(struct devtest *t, u64 port, unsigned int size)
{
	return bus_read(&t->ports, port, size, NULL);
}

static inline void devtest_out(struct devtest *t, u64 port, unsigned int size, u64 val)
{
	if (!devtest_ring(t, &t->ports, port, size, val))
		bus_write(&t->ports, port, size, val, NULL);
}

static inline u64 devtest_mmio_read(struct devtest *t, u64 addr, unsigned int size)
{
	return bus_read(&t->mmio, addr, size, NULL);
}

static inline void devtest_mmio_write(struct devtest *t, u64 addr, unsigned int size, u64 val)
{
	if (!devtest_ring(t, &t->mmio, addr, size, val))
		bus_write(&t->mmio, addr, size, val, NULL);
}

/* Let the loop do what is due now. */
static inline void devtest_run(struct devtest *t)
{
	loop_manual_run(t->loop);
}

/* Let time go by, on the wall and in the loop. */
static inline void devtest_advance(struct devtest *t, u64 ns)
{
	t->utc_ns += ns;
	loop_manual_advance(t->loop, ns);
}

static inline bool devtest_irq(const struct devtest *t)
{
	return t->level[DEVTEST_GSI];
}

/* True when the host would wake up for this board some day, though its guest did nothing. */
static inline bool devtest_timer_armed(const struct devtest *t)
{
	return t->loop->timers != NULL;
}

#endif
