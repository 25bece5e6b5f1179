#include "vmm/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/log.h"
#include "vmm/loop_impl.h"

/* ---- other threads: wake, work, timers ---------------------------------------------- */

static void loop_wake(struct loop *loop)
{
	u64 one = 1;
	/* EAGAIN means that the counter is full: then the loop is awake already. */
	ssize_t n = write(loop->wake.fd, &one, sizeof(one));

	(void)n;
}

/* To have waited no longer is all it is for. */
static void on_wake(struct loop_fd *lfd, u32 revents)
{
	(void)lfd;
	(void)revents;
}

/* With loop->lock held: the loop thread looks at its queues before it waits anyway. */
static bool needs_wake(const struct loop *loop)
{
	return loop->running && !pthread_equal(loop->thread, pthread_self());
}

void loop_post(struct loop *loop, struct loop_work *work)
{
	bool wake = false;

	pthread_mutex_lock(&loop->lock);
	if (!work->posted) {
		work->posted = true;
		work->next = NULL;
		*loop->work_tail = work;
		loop->work_tail = &work->next;
		wake = needs_wake(loop);
	}
	pthread_mutex_unlock(&loop->lock);
	if (wake)
		loop_wake(loop);
}

void loop_work_cancel(struct loop *loop, struct loop_work *work)
{
	pthread_mutex_lock(&loop->lock);
	for (struct loop_work **p = &loop->work; work->posted && *p; p = &(*p)->next) {
		if (*p != work)
			continue;
		*p = work->next;
		if (loop->work_tail == &work->next)
			loop->work_tail = p;
		work->posted = false;
		break;
	}
	pthread_mutex_unlock(&loop->lock);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, u64 deadline)
{
	struct loop_timer **p;
	bool wake = false;

	pthread_mutex_lock(&loop->lock);
	if (timer->deadline) {
		for (p = &loop->timers; *p != timer; p = &(*p)->next)
			;
		*p = timer->next;
	}
	timer->deadline = deadline;
	if (deadline) {
		for (p = &loop->timers; *p && (*p)->deadline <= deadline; p = &(*p)->next)
			;
		timer->next = *p;
		*p = timer;
		wake = loop->timers == timer && needs_wake(loop);
	}
	pthread_mutex_unlock(&loop->lock);
	if (wake)
		loop_wake(loop);
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stop, true);
	loop_wake(loop);
}

u64 loop_now(const struct loop *loop)
{
	return loop->kind == LOOP_MANUAL ? loop->manual_now : clock_ns();
}

/* ---- the loop's own thread ---------------------------------------------------------- */

/* Run what was posted before now; what that posts in turn waits for the next round. */
static bool run_work(struct loop *loop)
{
	struct loop_work *work, *last = NULL;
	bool any = false, more = true;

	pthread_mutex_lock(&loop->lock);
	if (loop->work)
		last = container_of(loop->work_tail, struct loop_work, next);
	while (more && (work = loop->work)) {
		loop->work = work->next;
		if (!loop->work)
			loop->work_tail = &loop->work;
		work->posted = false;
		more = work != last;
		pthread_mutex_unlock(&loop->lock);
		work->fn(work);
		any = true;
		pthread_mutex_lock(&loop->lock);
	}
	pthread_mutex_unlock(&loop->lock);
	return any;
}

/* Fire what was due at @now; a timer set again meanwhile has a later deadline. */
static bool run_timers(struct loop *loop, u64 now)
{
	bool any = false;

	for (;;) {
		struct loop_timer *timer;

		pthread_mutex_lock(&loop->lock);
		timer = loop->timers;
		if (timer && timer->deadline <= now) {
			loop->timers = timer->next;
			timer->deadline = 0;
		} else {
			timer = NULL;
		}
		pthread_mutex_unlock(&loop->lock);
		if (!timer)
			return any;
		timer->fn(timer);
		any = true;
	}
}

static u64 next_timeout(struct loop *loop)
{
	u64 timeout = LOOP_FOREVER;

	/* Left by a drain, or in want of room in the ring. */
	if (loop->fired || loop->changed || loop->io_done.head || loop->io_new.head)
		return 0;
	pthread_mutex_lock(&loop->lock);
	if (loop->work) {
		timeout = 0;
	} else if (loop->timers) {
		u64 now = loop_now(loop);

		timeout = loop->timers->deadline > now ? loop->timers->deadline - now : 0;
	}
	pthread_mutex_unlock(&loop->lock);
	return timeout;
}

/* ---- descriptors ---------------------------------------------------------------------- */

static void slot_changed(struct loop *loop, struct loop_slot *slot)
{
	if (slot->in_changed)
		return;
	slot->in_changed = true;
	slot->next_changed = loop->changed;
	loop->changed = slot;
}

void loop_fire(struct loop *loop, u32 slot, u32 gen, u32 revents)
{
	struct loop_slot *s;

	if (slot >= loop->n_slots)
		return;
	s = &loop->slots[slot];
	if (s->gen != gen || !s->lfd)
		return;
	s->fired |= revents;
	if (s->in_fired)
		return;
	s->in_fired = true;
	s->next_fired = NULL;
	*loop->fired_tail = s;
	loop->fired_tail = &s->next_fired;
}

/* Tell the owners of what happened. True: something did. */
static bool run_fired(struct loop *loop)
{
	struct loop_slot *s;
	bool any = false;

	while ((s = loop->fired)) {
		struct loop_fd *lfd = s->lfd;
		u32 revents = s->fired;

		loop->fired = s->next_fired;
		if (!loop->fired)
			loop->fired_tail = &loop->fired;
		s->in_fired = false;
		s->fired = 0;
		if (!lfd)
			continue;
		if (lfd->armed != lfd->events)
			slot_changed(loop, s);
		/* What it wants may have changed since. */
		revents &= lfd->events | POLLERR | POLLHUP | POLLNVAL;
		if (!lfd->events || !revents)
			continue;
		lfd->fn(lfd, revents);
		any = true;
	}
	return any;
}

/* What cannot be armed now (-EBUSY) stays for the next round. */
static int arm_changed(struct loop *loop)
{
	struct loop_slot *s = loop->changed;
	int ret = 0;

	loop->changed = NULL;
	while (s && !ret) {
		struct loop_slot *next = s->next_changed;

		s->in_changed = false;
		if (s->lfd && s->lfd->armed != s->lfd->events)
			ret = loop->waiter->arm(loop, (u32)(s - loop->slots));
		if (ret == -EBUSY) {
			slot_changed(loop, s);
			ret = 0;
		}
		s = next;
	}
	return ret;
}

int loop_fd_add(struct loop *loop, struct loop_fd *lfd, struct lkvm_error *err)
{
	u32 i = 0;

	while (i < loop->n_slots && loop->slots[i].lfd)
		i++;
	if (i == LOOP_MAX_FDS)
		return err_host(err, ENOSPC, "event loop: more than %d descriptors", LOOP_MAX_FDS);
	if (i == loop->n_slots)
		loop->n_slots++;
	lfd->slot = i;
	lfd->events = lfd->armed = 0;
	loop->slots[i].lfd = lfd;
	loop->slots[i].gen++;
	loop->slots[i].dup = -1;
	return 0;
}

void loop_fd_set(struct loop *loop, struct loop_fd *lfd, u32 events)
{
	lfd->events = events;
	if (lfd->armed != events)
		slot_changed(loop, &loop->slots[lfd->slot]);
}

void loop_fd_del(struct loop *loop, struct loop_fd *lfd)
{
	struct loop_slot *slot = &loop->slots[lfd->slot];

	if (slot->lfd != lfd)
		return;
	if (loop->waiter)
		loop->waiter->forget(loop, lfd->slot);
	slot->lfd = NULL;
	slot->gen++;
	slot->fired = 0;
	while (loop->n_slots && !loop->slots[loop->n_slots - 1].lfd)
		loop->n_slots--;
}

/* ---- before it sleeps ------------------------------------------------------------------- */

void loop_idle(struct loop *loop, struct loop_idle *idle)
{
	if (idle->asked)
		return;
	idle->asked = true;
	idle->next = loop->idles;
	loop->idles = idle;
}

void loop_idle_cancel(struct loop *loop, struct loop_idle *idle)
{
	struct loop_idle **lists[] = { &loop->idles, &loop->idles_due };

	for (size_t i = 0; idle->asked && i < ARRAY_SIZE(lists); i++) {
		struct loop_idle **p = lists[i];

		while (*p && *p != idle)
			p = &(*p)->next;
		if (!*p)
			continue;
		*p = idle->next;
		idle->asked = false;
	}
}

/* Who asked before now. True: there is work. */
static bool run_idles(struct loop *loop)
{
	struct loop_idle *idle;
	bool any = false;

	loop->idles_due = loop->idles;
	loop->idles = NULL;
	while ((idle = loop->idles_due)) {
		loop->idles_due = idle->next;
		idle->asked = false;
		any |= idle->fn(idle);
	}
	return any;
}

/* ---- running ---------------------------------------------------------------------------- */

/* Where io_uring is forbidden (seccomp, sysctl, rlimits) epoll does the same, slower. */
static int waiter_open(struct loop *loop)
{
	int ret = -ENOSYS;

	if (loop->kind != LOOP_EPOLL) {
		loop->waiter = &loop_uring;
		ret = loop->waiter->open(loop);
	}
	if (ret && loop->kind != LOOP_URING) {
		loop->waiter = &loop_epoll;
		ret = loop->waiter->open(loop);
	}
	if (ret)
		loop->waiter = NULL;
	return ret;
}

static int loop_rounds(struct loop *loop)
{
	int ret = 0;
	bool busy;

	while (!ret && !atomic_load(&loop->stop)) {
		run_work(loop);
		run_timers(loop, clock_ns());
		if (atomic_load(&loop->stop))
			break;
		busy = loop->idles && next_timeout(loop) && run_idles(loop);
		loop_io_submit(loop);
		ret = arm_changed(loop);
		if (!ret)
			ret = loop->waiter->wait(loop, busy ? 0 : next_timeout(loop));
		loop_io_call(loop);
		run_fired(loop);
		if (!ret)
			ret = loop->io_lost;
	}
	return ret;
}

static void set_running(struct loop *loop, bool running)
{
	pthread_mutex_lock(&loop->lock);
	loop->running = running;
	loop->thread = pthread_self();
	pthread_mutex_unlock(&loop->lock);
}

int loop_run(struct loop *loop, struct lkvm_error *err)
{
	int ret;

	set_running(loop, true);
	ret = waiter_open(loop);
	if (ret) {
		set_running(loop, false);
		return err_host(err, -ret, "event loop");
	}
	ret = loop_rounds(loop);
	if (ret)
		err_host(err, -ret, "event loop (%s)", loop->waiter->name);
	loop_io_settle(loop);
	for (u32 i = 0; i < loop->n_slots; i++) {
		if (!loop->slots[i].lfd)
			continue;
		loop->waiter->forget(loop, i);
		loop->slots[i].lfd->armed = 0;
	}
	loop->waiter->close(loop);
	loop->waiter = NULL;
	set_running(loop, false);
	return ret;
}

int loop_create(struct loop **out, enum loop_kind kind, struct lkvm_error *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	void *slots;

	*out = NULL;
	if (!loop)
		return err_host(err, ENOMEM, "event loop");
	slots = mmap(NULL, LOOP_MAX_FDS * sizeof(*loop->slots), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slots == MAP_FAILED) {
		free(loop);
		return err_host(err, ENOMEM, "event loop");
	}
	loop->slots = slots;
	loop->fired_tail = &loop->fired;
	loop->kind = kind;
	loop->work_tail = &loop->work;
	/* A deadline of 0 means off, so the manual clock starts later than that. */
	loop->manual_now = NSEC_PER_SEC;
	loop_io_init(loop);
	pthread_mutex_init(&loop->lock, NULL);
	loop->wake = (struct loop_fd){ .fn = on_wake, .edge = true };
	loop->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake.fd < 0) {
		int ret = err_host(err, errno, "event loop: eventfd");

		loop_destroy(loop);
		return ret;
	}
	loop_fd_add(loop, &loop->wake, NULL);
	loop_fd_set(loop, &loop->wake, POLLIN);
	*out = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->wake.fd >= 0)
		close(loop->wake.fd);
	munmap(loop->slots, LOOP_MAX_FDS * sizeof(*loop->slots));
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

/* ---- manual loops -------------------------------------------------------------------- */

static bool manual_poll(struct loop *loop)
{
	for (u32 i = 0; i < loop->n_slots; i++) {
		struct loop_fd *lfd = loop->slots[i].lfd;
		struct pollfd p;
		u64 count;

		if (!lfd || !lfd->events)
			continue;
		p = (struct pollfd){ .fd = lfd->fd, .events = (short)lfd->events };
		if (poll(&p, 1, 0) <= 0)
			continue;
		if (lfd->edge && read(lfd->fd, &count, sizeof(count)) < 0)
			continue;
		loop_fire(loop, i, loop->slots[i].gen, (u32)p.revents);
	}
	return run_fired(loop);
}

void loop_manual_run(struct loop *loop)
{
	/* Bounded: a source that is ready for ever would keep a test here. */
	for (int round = 0; round < 10000; round++) {
		bool any = run_work(loop);

		any |= run_timers(loop, loop->manual_now);
		any |= loop_io_submit(loop);
		any |= loop_io_call(loop);
		any |= manual_poll(loop);
		if (!any)
			any = run_idles(loop);
		if (!any)
			return;
	}
}

void loop_manual_advance(struct loop *loop, u64 ns)
{
	u64 end = loop->manual_now + ns;

	loop_manual_run(loop);
	while (loop->timers && loop->timers->deadline <= end) {
		loop->manual_now = max_u64(loop->manual_now, loop->timers->deadline);
		loop_manual_run(loop);
	}
	loop->manual_now = end;
	loop_manual_run(loop);
}
