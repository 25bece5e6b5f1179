/*
 * loop_uring.c - waiting and file requests in io_uring, through liburing.
 *
 * A level-triggered source is a one-shot poll, asked again once its owner was called; an
 * edge-triggered one is a poll that stays and completes at each arrival. Polls, file requests
 * and waiting are then a single system call per round, whatever happened.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>

#include "vmm/loop_impl.h"

#define URING_ENTRIES 256

/*
 * user_data: of a file request its address, which is even; of a poll its slot and generation,
 * made odd. Cancel requests carry what is neither.
 */
#define URING_IGNORE UINT64_MAX

static u64 poll_data(u32 slot, u32 gen)
{
	return (u64)gen << 32 | slot << 1 | 1;
}

static int uring_init(struct io_uring *ring)
{
	/*
	 * Only this thread submits, and completions are worked on only while it waits: it is
	 * not interrupted for them.
	 */
	int ret = io_uring_queue_init(URING_ENTRIES, ring,
				      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);

	if (ret == -EINVAL) /* before Linux 6.1 */
		ret = io_uring_queue_init(URING_ENTRIES, ring, 0);
	if (ret < 0)
		return ret;
	/* Polls that stay came with Linux 5.13, and so did this flag. */
	if (!(ring->features & IORING_FEAT_RSRC_TAGS)) {
		io_uring_queue_exit(ring);
		return -ENOSYS;
	}
	return 0;
}

static int uring_open(struct loop *loop)
{
	struct io_uring *ring = calloc(1, sizeof(*ring));
	int ret;

	if (!ring)
		return -ENOMEM;
	ret = uring_init(ring);
	if (ret) {
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
	io_uring_prep_cancel64(sqe, poll_data(slot, s->gen), 0);
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
	if (s->lfd->edge)
		io_uring_prep_poll_multishot(sqe, s->lfd->fd, s->lfd->events);
	else
		io_uring_prep_poll_add(sqe, s->lfd->fd, s->lfd->events);
	sqe->user_data = poll_data(slot, s->gen);
	s->lfd->armed = s->lfd->events;
	return 0;
}

static void uring_forget(struct loop *loop, u32 slot)
{
	bool edge = loop->slots[slot].lfd->edge;

	/*
	 * The poll holds a reference to the file until it is cancelled, so others would not see
	 * it closed: not left to the next round. Of an eventfd there is nothing to see. Were
	 * there no room to ask, closing the ring would do it.
	 */
	if (!uring_cancel(loop, slot) && !edge)
		io_uring_submit_and_get_events(loop->waiter_state);
}

static int uring_send(struct loop *loop, struct loop_io *io)
{
	struct io_uring_sqe *sqe = uring_sqe(loop->waiter_state);
	unsigned int n_iov;
	const struct iovec *iov = loop_io_pieces(io, &n_iov);

	if (!sqe)
		return -EBUSY;
	switch (io->op) {
	case LOOP_OP_READ:
		io_uring_prep_readv(sqe, io->fd, iov, n_iov, io->off);
		break;
	case LOOP_OP_WRITE:
		io_uring_prep_writev(sqe, io->fd, iov, n_iov, io->off);
		break;
	case LOOP_OP_FDATASYNC:
		io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
		break;
	case LOOP_OP_FALLOCATE:
		io_uring_prep_fallocate(sqe, io->fd, io->mode, (off_t)io->off, (off_t)io->len);
		break;
	}
	sqe->user_data = (u64)(uintptr_t)io;
	return 0;
}

static void uring_io_ended(struct loop *loop, struct loop_io *io, int res)
{
	/* Its owner was told that it may give the memory back. */
	if (loop->io_lost)
		return;
	loop->n_sent--;
	/* What the ring would not do is done here: once, however often it would say so. */
	if (res == -EAGAIN || res == -EINTR)
		loop_io_run(loop, io);
	else
		loop_io_end(loop, io, res);
}

static void uring_polled(struct loop *loop, u64 data, int res, bool more)
{
	u32 slot = (u32)data >> 1, gen = (u32)(data >> 32);
	u32 revents = res < 0 ? POLLERR : (u32)res;

	if (!more && slot < loop->n_slots && loop->slots[slot].gen == gen && loop->slots[slot].lfd)
		loop->slots[slot].lfd->armed = 0;
	loop_fire(loop, slot, gen, revents);
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
		int res = cqe->res;
		bool more = cqe->flags & IORING_CQE_F_MORE;

		io_uring_cqe_seen(ring, cqe);
		if (data == URING_IGNORE)
			continue;
		if (data & 1)
			uring_polled(loop, data, res, more);
		else
			uring_io_ended(loop, (struct loop_io *)(uintptr_t)data, res);
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
	.send = uring_send,
};
