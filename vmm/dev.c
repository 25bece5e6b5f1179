#include "vmm/dev.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int dev_create(struct dev **out, const struct dev_slot *slot, const struct dev_env *env,
	       struct lkvm_error *err)
{
	unsigned int plugged = 0;
	struct dev *dev;
	int ret = 0;

	*out = NULL;
	if (slot->irq_chip && slot->gsi >= IRQ_MAX_GSI)
		return err_host(err, EINVAL, "device %s: interrupt line %u", slot->name, slot->gsi);
	dev = calloc(1, slot->cls->size);
	if (!dev)
		return err_host(err, ENOMEM, "device %s", slot->name);
	dev->cls = slot->cls;
	dev->env = env;
	dev->loop = env->loop;
	dev->irq = (struct irq_line){ .chip = slot->irq_chip, .gsi = slot->gsi };
	snprintf(dev->name, sizeof(dev->name), "%s", slot->name);
	pthread_mutex_init(&dev->lock, NULL);

	if (dev->cls->init)
		ret = dev->cls->init(dev, slot->cfg, err);
	for (; !ret && plugged < DEV_MAX_RANGES && slot->ranges[plugged].len; plugged++) {
		const struct dev_range *r = &slot->ranges[plugged];

		ret = bus_add(r->bus, &(struct bus_range){ r->base, r->len, r->sizes, r->tag, dev },
			      err);
		if (ret)
			break;
	}
	if (ret) {
		while (plugged--)
			bus_remove(slot->ranges[plugged].bus, slot->ranges[plugged].base);
		dev_destroy(dev);
		return ret;
	}
	*out = dev;
	return 0;
}

void dev_destroy(struct dev *dev)
{
	if (!dev)
		return;
	if (dev->cls->fini)
		dev->cls->fini(dev);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

u64 dev_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	u64 val = UINT64_MAX;

	if (dev->cls->read) {
		pthread_mutex_lock(&dev->lock);
		val = dev->cls->read(dev, tag, off, size);
		pthread_mutex_unlock(&dev->lock);
	}
	return val;
}

void dev_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	if (!dev->cls->write)
		return;
	pthread_mutex_lock(&dev->lock);
	dev->cls->write(dev, tag, off, size, val);
	pthread_mutex_unlock(&dev->lock);
}

void dev_call(struct dev *dev, void (*fn)(struct dev *dev, void *arg), void *arg)
{
	pthread_mutex_lock(&dev->lock);
	fn(dev, arg);
	pthread_mutex_unlock(&dev->lock);
}

void dev_raise_event(struct dev *dev, enum dev_event event, u64 value)
{
	dev->env->event(dev->env->ctx, dev, event, value);
}

void dev_gate_init(struct dev_gate *gate)
{
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->cond, NULL);
}

void dev_gate_fini(struct dev_gate *gate)
{
	pthread_cond_destroy(&gate->cond);
	pthread_mutex_destroy(&gate->lock);
}

void dev_gate_wake(struct dev_gate *gate)
{
	/* The lock closes the window between a waiter's check and its wait. */
	pthread_mutex_lock(&gate->lock);
	pthread_cond_broadcast(&gate->cond);
	pthread_mutex_unlock(&gate->lock);
}

void dev_throttle(struct dev *dev, bool on)
{
	atomic_store(&dev->throttled, on);
	if (!on)
		dev_gate_wake(dev->env->gate);
}

void dev_throttle_wait(struct dev *dev, const _Atomic bool *interrupt)
{
	struct dev_gate *gate = dev->env->gate;

	if (!atomic_load_explicit(&dev->throttled, memory_order_relaxed))
		return;
	pthread_mutex_lock(&gate->lock);
	while (atomic_load(&dev->throttled) && !atomic_load(interrupt))
		pthread_cond_wait(&gate->cond, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

static void dev_timer_fire(struct loop_timer *timer)
{
	struct dev_timer *t = container_of(timer, struct dev_timer, timer);

	pthread_mutex_lock(&t->dev->lock);
	t->fn(t->dev);
	pthread_mutex_unlock(&t->dev->lock);
}

static void dev_work_run(struct loop_work *work)
{
	struct dev_work *w = container_of(work, struct dev_work, work);

	pthread_mutex_lock(&w->dev->lock);
	w->fn(w->dev);
	pthread_mutex_unlock(&w->dev->lock);
}

void dev_work_init(struct dev_work *work, struct dev *dev, void (*fn)(struct dev *dev))
{
	*work = (struct dev_work){ .work.fn = dev_work_run, .dev = dev, .fn = fn };
}

void dev_work_post(struct dev_work *work)
{
	loop_post(work->dev->loop, &work->work);
}

void dev_work_cancel(struct dev_work *work)
{
	if (work->dev)
		loop_work_cancel(work->dev->loop, &work->work);
}

void dev_timer_init(struct dev_timer *timer, struct dev *dev, void (*fn)(struct dev *dev))
{
	*timer = (struct dev_timer){ .timer.fn = dev_timer_fire, .dev = dev, .fn = fn };
}

void dev_timer_set(struct dev_timer *timer, u64 deadline)
{
	/* Half-built devices switch timers off that were never initialised. */
	if (timer->dev)
		loop_timer_set(timer->dev->loop, &timer->timer, deadline);
}

static void dev_doorbell_ring(struct loop_fd *lfd, u32 revents)
{
	struct dev_doorbell *bell = container_of(lfd, struct dev_doorbell, lfd);
	struct dev *dev = bell->dev;

	(void)revents;
	pthread_mutex_lock(&dev->lock);
	bell->fn(dev, bell);
	pthread_mutex_unlock(&dev->lock);
}

int dev_doorbell_init(struct dev_doorbell *bell, struct dev *dev,
		      void (*fn)(struct dev *dev, struct dev_doorbell *bell),
		      struct lkvm_error *err)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), ret;

	if (fd < 0)
		return err_host(err, errno, "device %s: eventfd", dev->name);
	*bell = (struct dev_doorbell){
		.lfd = { .fd = fd, .fn = dev_doorbell_ring, .edge = true },
		.fn = fn,
	};
	ret = loop_fd_add(dev->loop, &bell->lfd, err);
	if (ret) {
		close(fd);
		return ret;
	}
	loop_fd_set(dev->loop, &bell->lfd, POLLIN);
	bell->dev = dev;
	return 0;
}

void dev_doorbell_fini(struct dev_doorbell *bell)
{
	if (!bell->dev)
		return;
	loop_fd_del(bell->dev->loop, &bell->lfd);
	close(bell->lfd.fd);
	bell->dev = NULL;
}

void dev_doorbell_signal(struct dev_doorbell *bell)
{
	u64 one = 1;
	/* EAGAIN: the counter is full, so it was signalled. */
	ssize_t n = write(bell->lfd.fd, &one, sizeof(one));

	(void)n;
}

static bool dev_idle_run(struct loop_idle *idle)
{
	struct dev_idle *d = container_of(idle, struct dev_idle, idle);
	bool any;

	pthread_mutex_lock(&d->dev->lock);
	any = d->fn(d->dev, d);
	pthread_mutex_unlock(&d->dev->lock);
	return any;
}

void dev_idle_init(struct dev_idle *idle, struct dev *dev,
		   bool (*fn)(struct dev *dev, struct dev_idle *idle))
{
	*idle = (struct dev_idle){ .idle.fn = dev_idle_run, .dev = dev, .fn = fn };
}

void dev_idle_ask(struct dev_idle *idle)
{
	loop_idle(idle->dev->loop, &idle->idle);
}

void dev_idle_cancel(struct dev_idle *idle)
{
	if (idle->dev)
		loop_idle_cancel(idle->dev->loop, &idle->idle);
}

static void dev_io_go(struct dev *dev, struct dev_io *io)
{
	/* The memory behind it is about to go: whatever a device does, no file gets near it. */
	if (dev->no_io || atomic_load(&dev->env->quiet))
		loop_io_refuse(dev->loop, &io->io, -ECANCELED);
	else
		loop_io_start(dev->loop, &io->io);
}

/* A step has ended. True: @io is the next one. */
static bool dev_io_next(struct dev_io *io)
{
	struct loop_io *step = &io->io;

	if (step->res < 0)
		return false;
	if (step->op == LOOP_OP_READ || step->op == LOOP_OP_WRITE) {
		/* Nothing: the file ends. */
		if (step->res && gmem_vec_drop(&step->vec, (size_t)step->res)) {
			step->off += (u64)step->res;
			io->moved += (u64)step->res;
			if (step->vec.len)
				return true;
		}
		step->res = (s64)io->moved;
	}
	if (!io->stable || !dev_io_ok(io))
		return false;
	io->stable = false;
	step->op = LOOP_OP_FDATASYNC;
	return true;
}

static void dev_io_ended(struct loop_io *lio)
{
	struct dev_io *io = container_of(lio, struct dev_io, io);
	struct dev *dev = io->dev;

	pthread_mutex_lock(&dev->lock);
	if (dev_io_next(io)) {
		dev_io_go(dev, io);
	} else {
		io->fn(dev, io);
		/* @io may be under way again. */
		if (!--dev->n_io && dev->cls->idle)
			dev->cls->idle(dev);
	}
	pthread_mutex_unlock(&dev->lock);
}

void dev_io_start(struct dev *dev, struct dev_io *io)
{
	io->dev = dev;
	io->io.fn = dev_io_ended;
	io->moved = 0;
	dev->n_io++;
	dev_io_go(dev, io);
}

void dev_io_complain(struct dev_io *io, const char *path)
{
	static const char *const ops[] = {
		[LOOP_OP_READ] = "read",
		[LOOP_OP_WRITE] = "write",
		[LOOP_OP_FDATASYNC] = "flush",
		[LOOP_OP_FALLOCATE] = "discard or write zeroes",
	};
	const struct loop_io *step = &io->io;

	if (dev_io_ok(io) || step->res == -ECANCELED || !ratelimit_ok(&io->dev->io_limit))
		return;
	log_warn(io->dev->env->log, "%s: %s: %s at byte %llu: %s", io->dev->name, path,
		 ops[step->op], (unsigned long long)step->off,
		 step->res < 0 ? err_text((int)-step->res) : "the file ends before");
}

u64 dev_utc_ns(const struct dev *dev)
{
	struct timespec ts;

	if (dev->env->utc_ns)
		return dev->env->utc_ns(dev->env->ctx);
	clock_gettime(CLOCK_REALTIME, &ts);
	return (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
}
