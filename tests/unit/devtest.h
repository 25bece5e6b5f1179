/*
 * devtest.h - a board for one device under test.
 *
 * Two buses, a manual loop, a wall clock that moves only with it, an interrupt chip and an
 * event sink that record. The test plays the guest's driver: it reads and writes through
 * the bus, as a vCPU would. A failure to set up ends the test.
 */
#ifndef LKVM_TESTS_UNIT_DEVTEST_H
#define LKVM_TESTS_UNIT_DEVTEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "vmm/bus.h"
#include "vmm/dev.h"
#include "vmm/irq.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/loop_impl.h"

#define DEVTEST_MAX_EVENTS 8
#define DEVTEST_GSI	   5 /* for a device whose slot names no other */

struct devtest_event {
	enum dev_event event;
	u64 value;
};

struct devtest {
	struct log log;
	char last_msg[512];
	unsigned int n_msgs;

	struct loop *loop;
	struct dev_gate gate;
	struct dev_env env;
	u64 utc_ns; /* the wall clock */
	struct bus ports, mmio;
	struct irq_chip chip;
	bool level[IRQ_MAX_GSI];
	unsigned int n_raised[IRQ_MAX_GSI]; /* low to high */

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
	irq_chip_init(&t->chip, devtest_on_irq, t);
	dev_gate_init(&t->gate);
	assert_int_equal(loop_create(&t->loop, LOOP_MANUAL, NULL), 0);
	t->env = (struct dev_env){
		.log = &t->log,
		.loop = t->loop,
		.gate = &t->gate,
		.event = devtest_on_event,
		.utc_ns = devtest_utc_ns,
		.ctx = t,
	};
	t->utc_ns = utc_ns;
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
	bus_write(&t->ports, port, size, val, NULL);
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
