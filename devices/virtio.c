#include "devices/virtio.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* What every device here can do, whatever its type. */
#define CORE_FEATURES \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC))

#define DRIVER_BITS                                                                           \
	(VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK | \
	 VIRTIO_S_FAILED)

/* A driver can repeat any of its mistakes for ever. */
static void complain(struct virtio *v, enum lkvm_log_level level, const char *what, const char *why)
{
	const struct log *log = v->dev->env->log;

	if (log->level >= level && ratelimit_ok(&v->limit))
		log_at(log, level, "%s (%s): %s: %s", v->dev->name, v->cls->name, what, why);
}

/* ---- queues at work ----------------------------------------------------------------- */

bool virtio_live(const struct virtio *v)
{
	return (v->status & (VIRTIO_S_DRIVER_OK | VIRTIO_S_NEEDS_RESET)) == VIRTIO_S_DRIVER_OK &&
	       !v->resetting && !atomic_load_explicit(&v->dev->env->quiet, memory_order_relaxed);
}

bool virtio_pop(struct virtio_queue *q, struct vq_chain *chain)
{
	int ret;

	if (!virtio_live(q->v))
		return false;
	ret = vq_pop(&q->vq, chain);
	if (ret < 0)
		virtio_break(q->v, q->vq.broken);
	return ret > 0;
}

bool virtio_next(struct virtio_queue *q, struct vq_chain *chain)
{
	/* Looks that found nothing cost as well: another vCPU may play with the index for ever. */
	for (; q->budget; q->budget--) {
		if (virtio_pop(q, chain)) {
			q->budget--;
			return true;
		}
		if (q->v->cls->arm_late && virtio_live(q->v)) {
			dev_idle_ask(&q->arm);
			return false;
		}
		/*
		 * A request made available before notifications were on is one that nobody will
		 * tell of: vq_arm() looks again after it asked for them.
		 */
		if (!virtio_live(q->v) || !vq_arm(&q->vq))
			return false;
		vq_disarm(&q->vq);
	}
	if (virtio_live(q->v))
		dev_doorbell_signal(&q->bell);
	return false;
}

/* vq_pop() gives no more than the queue's size at a time; one more is to look for the next with. */
static size_t max_reqs(const struct virtio_queue *q)
{
	return q->max_size + 1u;
}

static void put_req(struct virtio_req *r)
{
	r->next = r->q->free;
	r->q->free = r;
}

struct virtio_req *virtio_request(struct virtio_queue *q)
{
	struct virtio_req *r = q->free;

	if (r)
		q->free = r->next;
	else if (q->n_reqs < max_reqs(q))
		r = (struct virtio_req *)(q->reqs + q->n_reqs++ * q->v->cls->req_size);
	else
		return NULL;
	r->q = q;
	if (!virtio_next(q, &r->chain)) {
		put_req(r);
		return NULL;
	}
	memset(r + 1, 0, q->v->cls->req_size - sizeof(*r));
	return r;
}

void virtio_done(struct virtio_req *r, u32 written)
{
	struct virtio *v = r->q->v;

	vq_push(&r->q->vq, &r->chain.used, written);
	put_req(r);
	/* Long past: due once the loop has gone through what happened, before it waits again. */
	if (!v->show.timer.deadline)
		dev_timer_set(&v->show, 1);
}

static void publish(struct virtio_queue *q)
{
	if (virtio_live(q->v) && vq_publish(&q->vq))
		q->v->transport->interrupt(q->v, q);
}

static void publish_all(struct dev *dev)
{
	struct virtio *v = virtio_of(dev);

	for (unsigned int i = 0; i < v->n_queues; i++)
		publish(&v->queues[i]);
}

void virtio_run(struct virtio_queue *q)
{
	struct virtio *v = q->v;

	if (!virtio_live(v) || !q->vq.enabled || q->vq.broken || q->lent || !v->cls->kick)
		return;
	q->budget = VIRTIO_KICK_MAX;
	vq_disarm(&q->vq);
	v->cls->kick(v, q);
	publish(q);
}

static void bell_rang(struct dev *dev, struct dev_doorbell *bell)
{
	(void)dev;
	virtio_run(container_of(bell, struct virtio_queue, bell));
}

/* The loop is about to sleep. */
static bool arm(struct dev *dev, struct dev_idle *idle)
{
	struct virtio_queue *q = container_of(idle, struct virtio_queue, arm);

	(void)dev;
	if (!q->vq.enabled || !virtio_live(q->v) || !vq_arm(&q->vq))
		return false;
	virtio_run(q);
	return true;
}

void virtio_lend(struct virtio_queue *q, bool on)
{
	q->lent = on;
	/* Else each notification would wake up this thread as well. */
	loop_fd_set(q->v->dev->loop, &q->bell.lfd, on ? 0 : POLLIN);
}

static void set_bell(struct virtio_queue *q, bool on)
{
	if (q->bell_on == on)
		return;
	q->bell_on = on;
	if (q->v->transport->doorbell)
		q->v->transport->doorbell(q, on);
}

/* ---- what the device tells by itself ------------------------------------------------ */

static void config_interrupt(struct virtio *v)
{
	v->config_pending = true;
	v->transport->interrupt(v, NULL);
}

/* Section 2.1.2: a driver that is there is told that the device is not. */
void virtio_break(struct virtio *v, const char *why)
{
	char what[80];

	if (v->resetting || (v->status & VIRTIO_S_NEEDS_RESET))
		return;
	v->n_broken++;
	v->status |= VIRTIO_S_NEEDS_RESET;
	v->dev->no_io = true;
	snprintf(what, sizeof(what), "broken by its driver until it is reset, %llu so far",
		 (unsigned long long)v->n_broken);
	complain(v, LKVM_LOG_WARNING, what, why);
	if (v->status & VIRTIO_S_DRIVER_OK)
		config_interrupt(v);
}

void virtio_config_changed(struct virtio *v)
{
	v->generation++;
	if (virtio_live(v))
		config_interrupt(v);
}

/* ---- features ----------------------------------------------------------------------- */

static u32 word(u64 features, u32 select)
{
	return select < 2 ? (u32)(features >> (32 * select)) : 0;
}

u32 virtio_offered(const struct virtio *v, u32 select)
{
	return word(v->features, select);
}

u32 virtio_accepted(const struct virtio *v, u32 select)
{
	return word(v->accepted, select);
}

void virtio_accept(struct virtio *v, u32 select, u32 bits)
{
	unsigned int shift = 32 * select;

	if (select > 1 || (v->status & (VIRTIO_S_FEATURES_OK | VIRTIO_S_NEEDS_RESET)))
		return;
	/* What was not offered stays visible until the driver asks whether all is well. */
	v->accepted = (v->accepted & ~((u64)UINT32_MAX << shift)) | (u64)bits << shift;
}

static const char *features_wrong(const struct virtio *v)
{
	if (v->accepted & ~v->features)
		return "features that were not offered";
	if (!virtio_has(v, VIRTIO_F_VERSION_1))
		return "a driver for legacy devices only";
	return NULL;
}

/* ---- status ------------------------------------------------------------------------- */

static void start(struct virtio *v)
{
	if (v->cls->activate)
		v->cls->activate(v);
	for (unsigned int i = 0; i < v->n_queues; i++) {
		struct virtio_queue *q = &v->queues[i];

		if (!q->vq.enabled)
			continue;
		set_bell(q, true);
		/* What was made available before now was not to be notified (3.1.1). */
		dev_doorbell_signal(&q->bell);
	}
}

static void stop_queue(struct virtio_queue *q)
{
	set_bell(q, false);
	vq_disable(&q->vq);
	q->lent = false;
	q->free = NULL;
	q->n_reqs = 0;
}

static void reset_queue(struct virtio_queue *q)
{
	stop_queue(q);
	q->layout = (struct vq_layout){ .size = q->max_size };
	q->vector = VIRTIO_NO_VECTOR;
}

static void finish_reset(struct virtio *v)
{
	if (v->cls->reset)
		v->cls->reset(v);
	for (unsigned int i = 0; i < v->n_queues; i++)
		reset_queue(&v->queues[i]);
	v->status = 0;
	v->dev->no_io = false;
	v->accepted = 0;
	v->config_pending = false;
	v->config_vector = VIRTIO_NO_VECTOR;
	if (v->transport->reset)
		v->transport->reset(v);
}

/*
 * Buffers of requests under way are the host kernel's: a driver that finds the status 0 may use
 * their memory for something else (2.4.2). Only a device with DRIVER_OK has any, and the status
 * stays: so what DRIVER_OK forbids is forbidden while the reset waits.
 */
static void reset(struct virtio *v)
{
	if (v->dev->n_io) {
		v->resetting = true;
		v->dev->no_io = true;
		dev_throttle(v->dev, true);
	} else {
		finish_reset(v);
	}
}

void virtio_idle(struct virtio *v)
{
	if (!v->resetting || v->dev->n_io)
		return;
	v->resetting = false;
	finish_reset(v);
	dev_throttle(v->dev, false);
}

u8 virtio_status(const struct virtio *v)
{
	return v->status;
}

/* Which bits of @status may be set now, in the order of section 3.1.1. */
static u8 allowed(struct virtio *v, u8 status)
{
	static const struct {
		u8 bit, needs;
	} order[] = {
		{ VIRTIO_S_DRIVER, VIRTIO_S_ACKNOWLEDGE },
		{ VIRTIO_S_FEATURES_OK, VIRTIO_S_DRIVER },
		{ VIRTIO_S_DRIVER_OK, VIRTIO_S_FEATURES_OK },
	};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		const char *why = NULL;

		if (!(status & order[i].bit))
			continue;
		if (!(status & order[i].needs))
			why = "out of order";
		else if (order[i].bit & ~v->status & VIRTIO_S_FEATURES_OK)
			why = features_wrong(v);
		if (!why)
			continue;
		complain(v, LKVM_LOG_DEBUG, "a status bit was refused", why);
		status &= (u8)~order[i].bit;
	}
	return status;
}

void virtio_set_status(struct virtio *v, u8 status)
{
	u8 before = v->status;

	if (v->resetting)
		return;
	if (!status) {
		reset(v);
		return;
	}
	status &= DRIVER_BITS;
	/* 2.1.1: a driver does not clear bits; and nothing but a reset clears NEEDS_RESET. */
	if (before & ~status)
		return;
	v->status = allowed(v, status);
	if (v->status & ~before & VIRTIO_S_DRIVER_OK)
		start(v);
}

/* ---- queues as the driver sets them up ---------------------------------------------- */

struct virtio_queue *virtio_queue(struct virtio *v, u32 index)
{
	return index < v->n_queues && v->queues[index].max_size ? &v->queues[index] : NULL;
}

bool virtio_queue_writable(const struct virtio *v, const struct virtio_queue *q)
{
	const u8 mask = VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK | VIRTIO_S_NEEDS_RESET;

	return (v->status & mask) == VIRTIO_S_FEATURES_OK && !q->vq.enabled;
}

void virtio_queue_enable(struct virtio *v, struct virtio_queue *q)
{
	if (!virtio_queue_writable(v, q))
		return;
	if (q->layout.size > q->max_size) {
		virtio_break(v, "a queue larger than its maximum");
		return;
	}
	q->layout.event_idx = virtio_has(v, VIRTIO_F_EVENT_IDX);
	if (vq_enable(&q->vq, v->dev->env->gmem, &q->layout))
		virtio_break(v, q->vq.broken);
}

void virtio_queue_disable(struct virtio *v, struct virtio_queue *q)
{
	if (!q->vq.enabled)
		return;
	if (v->dev->n_io) {
		virtio_break(v, "a queue was stopped with requests under way");
		return;
	}
	if (v->cls->disable)
		v->cls->disable(v, q);
	stop_queue(q);
}

/* ---- configuration ------------------------------------------------------------------ */

u64 virtio_config_read(struct virtio *v, u64 off, unsigned int size)
{
	u8 raw[8] = { 0 };

	if (size > sizeof(raw) || !range_fits(off, size, v->config_len))
		return UINT64_MAX;
	memcpy(raw, v->config + off, size);
	return get_le64(raw);
}

void virtio_config_write(struct virtio *v, u64 off, unsigned int size, u64 val)
{
	if (v->resetting || (v->status & VIRTIO_S_NEEDS_RESET) || !v->cls->config_write)
		return;
	if (size && size <= sizeof(val) && range_fits(off, size, v->config_len))
		v->cls->config_write(v, (u32)off, size, val & (UINT64_MAX >> (64 - 8 * size)));
}

/* ---- life ---------------------------------------------------------------------------- */

int virtio_add_queues(struct virtio *v, unsigned int n, u16 max_size, struct lkvm_error *err)
{
	struct virtio_queue *queues;

	if (n > VIRTIO_MAX_QUEUES - v->n_queues || max_size > VQ_MAX_SIZE ||
	    max_size & (max_size - 1))
		return err_host(err, EINVAL, "device %s: %u more queues of %u entries",
				v->dev->name, n, max_size);
	queues = realloc(v->queues, (v->n_queues + n) * sizeof(*queues));
	if (!queues)
		return err_host(err, ENOMEM, "device %s: queues", v->dev->name);
	v->queues = queues;
	for (; n; n--, v->n_queues++)
		queues[v->n_queues] = (struct virtio_queue){
			.v = v,
			.index = (u16)v->n_queues,
			.max_size = max_size,
			.vector = VIRTIO_NO_VECTOR,
			.layout.size = max_size,
		};
	return 0;
}

static int make_queue(struct virtio_queue *q, struct lkvm_error *err)
{
	const struct virtio *v = q->v;

	if (!q->max_size)
		return 0;
	if (v->cls->req_size) {
		q->reqs = malloc(max_reqs(q) * v->cls->req_size);
		if (!q->reqs)
			return err_host(err, ENOMEM, "device %s: requests", v->dev->name);
	}
	dev_idle_init(&q->arm, v->dev, arm);
	return dev_doorbell_init(&q->bell, v->dev, bell_rang, err);
}

static int make(struct virtio *v, const void *cfg, struct lkvm_error *err)
{
	int ret = v->cls->init ? v->cls->init(v, cfg, err) : 0;

	if (!ret && v->config_len > sizeof(v->config))
		ret = err_host(err, EINVAL, "device %s: %u bytes of configuration", v->dev->name,
			       v->config_len);
	for (unsigned int i = 0; !ret && i < v->n_queues; i++)
		ret = make_queue(&v->queues[i], err);
	v->features |= CORE_FEATURES;
	/* What the driver hands over has to be memory that it shares with the host (6.1). */
	if (v->dev->env->gmem->backing.private)
		v->features |= BIT(VIRTIO_F_ACCESS_PLATFORM);
	return ret;
}

int virtio_create(struct virtio **out, const struct virtio_class *cls, struct dev *dev,
		  const struct virtio_transport *transport, const void *cfg, struct lkvm_error *err)
{
	struct virtio *v = calloc(1, cls->size);
	int ret;

	/* Back ends that the class attaches to may call it from now on: virtio_of(). */
	*out = v;
	if (!v)
		return err_host(err, ENOMEM, "device %s", dev->name);
	v->cls = cls;
	v->dev = dev;
	v->transport = transport;
	v->config_vector = VIRTIO_NO_VECTOR;
	dev_timer_init(&v->show, dev, publish_all);
	ret = make(v, cfg, err);
	if (ret) {
		*out = NULL;
		virtio_destroy(v);
	}
	return ret;
}

void virtio_destroy(struct virtio *v)
{
	if (!v)
		return;
	for (unsigned int i = 0; i < v->n_queues; i++) {
		set_bell(&v->queues[i], false);
		dev_idle_cancel(&v->queues[i].arm);
		dev_doorbell_fini(&v->queues[i].bell);
	}
	dev_timer_set(&v->show, 0);
	if (v->cls->fini)
		v->cls->fini(v);
	for (unsigned int i = 0; i < v->n_queues; i++)
		free(v->queues[i].reqs);
	free(v->queues);
	free(v);
}
