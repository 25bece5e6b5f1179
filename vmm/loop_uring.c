/*
 * loop_uring.c - waiting in io_uring, through liburing.
 *
 * Every descriptor is one one-shot poll request, asked again after it fired: arming
 * and waiting are then a single system call per round.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>

#include "vmm/loop_impl.h"

#define URING_ENTRIES 64

/* user_data of a poll: slot and generation. Cancel requests carry this one, which no poll has. */
#define URING_IGNORE UINT64_MAX

static u64 user_data(u32 slot, u32 gen)
{
	return (u64)gen << 32 | slot;
}

static int uring_open(struct loop *loop)
{
	struct io_uring *ring = calloc(1, sizeof(*ring));
	int ret;

	if (!ring)
		return -ENOMEM;
	ret = io_uring_queue_init(URING_ENTRIES, ring, 0);
	if (ret < 0) {
		free(ring);
		return ret;
	}
	loop->waiter_state = ring;
	return 0;
}

static void uring_close(struct loop *loop)
{
	io_uring_queue_exit(loop->waiter_state);
	free(loop->waiter_state);
	loop->waiter_state = NULL;
}

static struct io_uring_sqe *uring_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe && io_uring_submit(ring) >= 0)
		sqe = io_uring_get_sqe(ring);
	return sqe;
}

static int uring_cancel(struct loop *loop, u32 slot)
{
	struct loop_slot *s = &loop->slots[slot];
	struct io_uring_sqe *sqe;

	if (!s->lfd->armed)
		return 0;
	sqe = uring_sqe(loop->waiter_state);
	if (!sqe)
		return -EBUSY;
	io_uring_prep_cancel64(sqe, user_data(slot, s->gen), 0);
	sqe->user_data = URING_IGNORE;
	s->lfd->armed = 0;
	s->gen++;
	return 0;
}

static int uring_arm(struct loop *loop, u32 slot)
{
	struct loop_slot *s = &loop->slots[slot];
	struct io_uring_sqe *sqe;
	int ret = uring_cancel(loop, slot);

	if (ret || !s->lfd->events)
		return ret;
	sqe = uring_sqe(loop->waiter_state);
	if (!sqe)
		return -EBUSY;
	io_uring_prep_poll_add(sqe, s->lfd->fd, s->lfd->events);
	sqe->user_data = user_data(slot, s->gen);
	s->lfd->armed = s->lfd->events;
	return 0;
}

static void uring_forget(struct loop *loop, u32 slot)
{
	/*
	 * The poll holds a reference to the file until it is cancelled. Were there no room
	 * to ask for that, closing the ring would do it.
	 */
	if (!uring_cancel(loop, slot))
		io_uring_submit(loop->waiter_state);
}

static int uring_wait(struct loop *loop, u64 timeout)
{
	struct io_uring *ring = loop->waiter_state;
	struct __kernel_timespec ts = {
		.tv_sec = (long long)(timeout / NSEC_PER_SEC),
		.tv_nsec = (long long)(timeout % NSEC_PER_SEC),
	};
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit_and_wait_timeout(ring, &cqe, 1,
						   timeout == LOOP_FOREVER ? NULL : &ts, NULL);

	if (ret < 0 && ret != -ETIME && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		return ret;
	while (!io_uring_peek_cqe(ring, &cqe)) {
		u64 data = cqe->user_data;
		u32 slot = (u32)data, gen = (u32)(data >> 32);
		int res = cqe->res;

		/* Seen first: a callback may run for long, and may arm again. */
		io_uring_cqe_seen(ring, cqe);
		if (data == URING_IGNORE || data == LIBURING_UDATA_TIMEOUT)
			continue;
		if (slot < loop->n_slots && loop->slots[slot].gen == gen && loop->slots[slot].lfd)
			loop->slots[slot].lfd->armed = 0;
		loop_dispatch(loop, slot, gen, res < 0 ? POLLERR : (u32)res);
	}
	return 0;
}

const struct loop_waiter loop_uring = {
	.name = "io_uring",
	.open = uring_open,
	.close = uring_close,
	.arm = uring_arm,
	.wait = uring_wait,
	.forget = uring_forget,
};
