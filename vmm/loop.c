#include "vmm/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
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

static void wake_drain(struct loop_fd *lfd, u32 revents)
{
	u64 count;
	ssize_t n = read(lfd->fd, &count, sizeof(count));

	(void)n;
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

void loop_dispatch(struct loop *loop, u32 slot, u32 gen, u32 revents)
{
	struct loop_fd *lfd;

	if (slot >= loop->n_slots || loop->slots[slot].gen != gen)
		return;
	lfd = loop->slots[slot].lfd;
	if (lfd && lfd->events && revents)
		lfd->fn(lfd, revents);
}

static int arm_changed(struct loop *loop)
{
	for (u32 i = 0; i < loop->n_slots; i++) {
		struct loop_fd *lfd = loop->slots[i].lfd;
		int ret;

		if (!lfd || lfd->armed == lfd->events)
			continue;
		ret = loop->waiter->arm(loop, i);
		if (ret)
			return ret;
	}
	return 0;
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
	(void)loop; /* arm_changed() sees it before the next wait */
	lfd->events = events;
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
	while (loop->n_slots && !loop->slots[loop->n_slots - 1].lfd)
		loop->n_slots--;
}

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

	while (!ret && !atomic_load(&loop->stop)) {
		run_work(loop);
		run_timers(loop, clock_ns());
		if (atomic_load(&loop->stop))
			break;
		ret = arm_changed(loop);
		if (!ret)
			ret = loop->waiter->wait(loop, next_timeout(loop));
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
	for (u32 i = 0; i < loop->n_slots; i++) {
		if (loop->slots[i].lfd) {
			loop->waiter->forget(loop, i);
			loop->slots[i].lfd->armed = 0;
		}
	}
	loop->waiter->close(loop);
	loop->waiter = NULL;
	set_running(loop, false);
	return ret;
}

int loop_create(struct loop **out, enum loop_kind kind, struct lkvm_error *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int ret;

	*out = NULL;
	if (!loop)
		return err_host(err, ENOMEM, "event loop");
	loop->kind = kind;
	loop->work_tail = &loop->work;
	/* A deadline of 0 means off, so the manual clock starts later than that. */
	loop->manual_now = NSEC_PER_SEC;
	loop->wake = (struct loop_fd){ .fn = wake_drain };
	loop->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake.fd < 0) {
		ret = err_host(err, errno, "event loop: eventfd");
		free(loop);
		return ret;
	}
	pthread_mutex_init(&loop->lock, NULL);
	loop_fd_add(loop, &loop->wake, NULL);
	loop_fd_set(loop, &loop->wake, POLLIN);
	*out = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->wake.fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

/* ---- manual loops -------------------------------------------------------------------- */

static bool manual_poll(struct loop *loop)
{
	bool any = false;

	for (u32 i = 0; i < loop->n_slots; i++) {
		struct loop_fd *lfd = loop->slots[i].lfd;
		struct pollfd p;

		if (!lfd || !lfd->events)
			continue;
		p = (struct pollfd){ .fd = lfd->fd, .events = (short)lfd->events };
		if (poll(&p, 1, 0) <= 0)
			continue;
		loop_dispatch(loop, i, loop->slots[i].gen, (u32)p.revents);
		any = true;
	}
	return any;
}

void loop_manual_run(struct loop *loop)
{
	/* Bounded: a source that is ready for ever would keep a test here. */
	for (int round = 0; round < 10000; round++) {
		bool any = run_work(loop);

		any |= run_timers(loop, loop->manual_now);
		any |= manual_poll(loop);
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
