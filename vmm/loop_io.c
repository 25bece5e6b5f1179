/*
 * loop_io.c - file requests: from their start to the call of their owner.
 *
 * A request is in one place at a time: io_new, the kernel (n_sent), a test's hook
 * (n_held) or io_done. Starting one only puts it into io_new, so it cannot fail, and all
 * that were started in one round go to the kernel with the one system call of the next wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmm/loop_impl.h"

static void list_init(struct loop_io_list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static void list_add(struct loop_io_list *list, struct loop_io *io)
{
	io->next = NULL;
	*list->tail = io;
	list->tail = &io->next;
}

static void list_push(struct loop_io_list *list, struct loop_io *io)
{
	io->next = list->head;
	if (!list->head)
		list->tail = &io->next;
	list->head = io;
}

static void list_pop(struct loop_io_list *list)
{
	list->head = list->head->next;
	if (!list->head)
		list->tail = &list->head;
}

void loop_io_init(struct loop *loop)
{
	list_init(&loop->io_new);
	list_init(&loop->io_done);
}

void loop_io_end(struct loop *loop, struct loop_io *io, s64 res)
{
	io->res = res;
	list_add(&loop->io_done, io);
}

void loop_io_refuse(struct loop *loop, struct loop_io *io, s64 res)
{
	loop->n_io++;
	loop_io_end(loop, io, res);
}

void loop_io_start(struct loop *loop, struct loop_io *io)
{
	/* In io_uring -1 would be the position of the descriptor. */
	if (io->off > INT64_MAX) {
		loop_io_refuse(loop, io, -EINVAL);
		return;
	}
	loop->n_io++;
	if (loop->io_hook && loop->io_hook(loop->io_hook_ctx, io))
		loop->n_held++;
	else
		list_add(&loop->io_new, io);
}

/*
 * Bytes, of a call and of a round. What a guest asks for in one request can be gigabytes, which
 * page cache or a hole in a file give within the call: for so long nothing else of the loop would
 * be done. The owner of a request asks for the rest of it.
 */
#define LOOP_IO_MAX    MIB
#define LOOP_ROUND_MAX (32 * MIB)

const struct iovec *loop_io_pieces(struct loop_io *io, unsigned int *n)
{
	return gmem_vec_head(&io->vec, LOOP_IO_MAX, &io->part, n);
}

/* One call: bytes moved or 0, or -1 with errno. */
static ssize_t io_call(struct loop_io *io)
{
	unsigned int n;
	const struct iovec *iov = loop_io_pieces(io, &n);

	switch (io->op) {
	case LOOP_OP_READ:
		return preadv(io->fd, iov, (int)n, (off_t)io->off);
	case LOOP_OP_WRITE:
		return pwritev(io->fd, iov, (int)n, (off_t)io->off);
	case LOOP_OP_FDATASYNC:
		return fdatasync(io->fd);
	case LOOP_OP_FALLOCATE:
		return fallocate(io->fd, io->mode, (off_t)io->off, (off_t)io->len);
	}
	errno = EINVAL;
	return -1;
}

void loop_io_run(struct loop *loop, struct loop_io *io)
{
	ssize_t n;

	do {
		n = io_call(io);
	} while (n < 0 && errno == EINTR);
	loop_io_end(loop, io, n < 0 ? -errno : n);
}

/* False: not now. */
static bool io_forward(struct loop *loop, struct loop_io *io)
{
	if (loop->io_lost) {
		loop_io_end(loop, io, loop->io_lost);
	} else if (!loop->waiter || !loop->waiter->send) {
		loop_io_run(loop, io);
	} else {
		if (loop->waiter->send(loop, io))
			return false;
		loop->n_sent++;
	}
	return true;
}

bool loop_io_submit(struct loop *loop)
{
	bool any = false;
	struct loop_io *io;
	u64 len = 0;

	while (len < LOOP_ROUND_MAX && (io = loop->io_new.head)) {
		list_pop(&loop->io_new);
		if (!io_forward(loop, io)) {
			list_push(&loop->io_new, io);
			break;
		}
		len += min_u64(io->vec.len, LOOP_IO_MAX);
		any = true;
	}
	return any;
}

bool loop_io_call(struct loop *loop)
{
	struct loop_io *io, *last;

	if (!loop->io_done.head)
		return false;
	last = container_of(loop->io_done.tail, struct loop_io, next);
	do {
		io = loop->io_done.head;
		list_pop(&loop->io_done);
		loop->n_io--;
		io->fn(io);
		/* A callback that drains has called all of them. */
	} while (io != last && loop->io_done.head);
	return true;
}

void loop_io_settle(struct loop *loop)
{
	while (loop->n_sent && !loop->io_lost)
		loop->io_lost = loop->waiter->wait(loop, LOOP_FOREVER);
}

int loop_io_drain(struct loop *loop)
{
	while (loop->n_io) {
		loop_io_submit(loop);
		if (loop_io_call(loop))
			continue;
		if (loop->io_lost)
			return loop->io_lost;
		if (loop->n_held)
			return -EBUSY;
		/* Not for ever while some are not sent: maybe nothing else is to happen. */
		loop->io_lost = loop->waiter->wait(loop, loop->io_new.head ? 0 : LOOP_FOREVER);
	}
	return 0;
}

void loop_manual_io_hook(struct loop *loop, bool (*hook)(void *ctx, struct loop_io *io), void *ctx)
{
	loop->io_hook = hook;
	loop->io_hook_ctx = ctx;
}

void loop_manual_io_done(struct loop *loop, struct loop_io *io)
{
	loop->n_held--;
	list_add(&loop->io_done, io);
}
