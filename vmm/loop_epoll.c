/*
 * loop_epoll.c - waiting in epoll, for hosts that forbid io_uring.
 *
 * Two things epoll cannot do that poll can: watch a regular file (EPERM: it is
 * always ready) and watch one descriptor for two owners (so each gets a duplicate).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vmm/loop_impl.h"

#define EPOLL_BATCH  16
#define ALWAYS_READY (-2) /* in place of a duplicate */

/* EPOLLIN, EPOLLOUT, EPOLLERR and EPOLLHUP are by definition the POLL* of the same name. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR &&
		       EPOLLHUP == POLLHUP,
	       "epoll and poll share their event bits");

static int epfd(const struct loop *loop)
{
	return (int)(intptr_t)loop->waiter_state;
}

static int epoll_open(struct loop *loop)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	loop->waiter_state = (void *)(intptr_t)fd;
	return 0;
}

static void epoll_close(struct loop *loop)
{
	close(epfd(loop));
	loop->waiter_state = NULL;
}

static void epoll_forget(struct loop *loop, u32 slot)
{
	struct loop_slot *s = &loop->slots[slot];

	/* Not left to close(2): it ends the watch only with the last duplicate of the file. */
	if (s->dup >= 0) {
		epoll_ctl(epfd(loop), EPOLL_CTL_DEL, s->dup, NULL);
		close(s->dup);
	}
	s->dup = -1;
	s->lfd->armed = 0;
	s->gen++;
}

static int epoll_watch(struct loop *loop, u32 slot)
{
	struct loop_slot *s = &loop->slots[slot];
	struct epoll_event ev;

	epoll_forget(loop, slot);
	if (!s->lfd->events)
		return 0;
	s->dup = fcntl(s->lfd->fd, F_DUPFD_CLOEXEC, 0);
	if (s->dup < 0)
		return -errno;
	ev = (struct epoll_event){
		.events = s->lfd->events | (s->lfd->edge ? EPOLLET : 0),
		.data.u64 = (u64)s->gen << 32 | slot,
	};
	if (epoll_ctl(epfd(loop), EPOLL_CTL_ADD, s->dup, &ev)) {
		int e = errno;

		close(s->dup);
		s->dup = ALWAYS_READY;
		return e == EPERM ? 0 : -e;
	}
	s->lfd->armed = s->lfd->events;
	return 0;
}

static int epoll_arm(struct loop *loop, u32 slot)
{
	struct loop_slot *s = &loop->slots[slot];
	int ret = 0;

	if (s->dup != ALWAYS_READY)
		ret = epoll_watch(loop, slot);
	/* Never armed, it comes here again once its owner was called. */
	if (!ret && s->dup == ALWAYS_READY)
		loop_fire(loop, slot, s->gen, s->lfd->events);
	return ret;
}

static int epoll_wait_once(struct loop *loop, u64 timeout)
{
	struct epoll_event evs[EPOLL_BATCH];
	/* Rounded up: a timer that fires early would be asked for again at once. */
	u64 ms = (timeout + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
	int n, wait_ms = timeout == LOOP_FOREVER ? -1 : (int)min_u64(ms, INT32_MAX);

	n = epoll_wait(epfd(loop), evs, EPOLL_BATCH, wait_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		loop_fire(loop, (u32)evs[i].data.u64, (u32)(evs[i].data.u64 >> 32), evs[i].events);
	return 0;
}

const struct loop_waiter loop_epoll = {
	.name = "epoll",
	.open = epoll_open,
	.close = epoll_close,
	.arm = epoll_arm,
	.wait = epoll_wait_once,
	.forget = epoll_forget,
};
