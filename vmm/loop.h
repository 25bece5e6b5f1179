/*
 * loop.h - the event loop: readiness, timers, work from other threads (layer 1).
 *
 * One thread runs a loop; callbacks run on that thread, one at a time, holding no
 * lock of the loop. Sources are embedded in their owners: the loop allocates nothing
 * after its creation. It waits in io_uring through liburing, or in epoll where io_uring is
 * forbidden; a manual loop, whose clock and events are driven by a test, has no thread.
 *
 * Any thread: loop_post(), loop_timer_set(), loop_stop(). Loop thread only (or while
 * nobody runs the loop): everything else. A loop runs once. What was removed on
 * the loop's own thread is never called again, so an owner that removes its sources there may
 * free itself afterwards.
 */
#ifndef LKVM_VMM_LOOP_H
#define LKVM_VMM_LOOP_H

#include "vmm/base.h"
#include "vmm/err.h"

struct loop;

enum loop_kind {
	LOOP_AUTO, /* io_uring, else epoll */
	LOOP_URING,
	LOOP_EPOLL,
	LOOP_MANUAL, /* tests */
};

/* A descriptor to watch, level-triggered. Zero-initialised, then loop_fd_init(). */
struct loop_fd {
	int fd;
	u32 events;				      /* POLLIN, POLLOUT; 0 = not watched now */
	void (*fn)(struct loop_fd *lfd, u32 revents); /* POLLHUP and POLLERR also come unasked */
	struct loop_fd *next;			      /* loop.c */
	u32 slot;				      /* loop.c */
	u32 armed;				      /* loop.c: what the backend was told */
};

/* A one-shot timer. Zero-initialised, with @fn set. */
struct loop_timer {
	u64 deadline; /* clock of loop_now(); 0 = off. Read only outside loop.c */
	void (*fn)(struct loop_timer *timer);
	struct loop_timer *next; /* loop.c */
};

/* Work for the loop thread. Posting what is already posted does nothing. Zero-initialised. */
struct loop_work {
	void (*fn)(struct loop_work *work);
	struct loop_work *next; /* loop.c */
	bool posted;		/* loop.c */
};

/*
 * The kernel side (ring or epoll set) is made by loop_run() on its own thread, so
 * that its cost overlaps with the rest of a start.
 */
int loop_create(struct loop **loop, enum loop_kind kind, struct lkvm_error *err);

/* Nobody runs the loop any more. NULL is allowed. */
void loop_destroy(struct loop *loop);

/* Run until loop_stop(). 0, or -errno when waiting itself failed. */
int loop_run(struct loop *loop, struct lkvm_error *err);
void loop_stop(struct loop *loop);

/* Nanoseconds: CLOCK_MONOTONIC, or the manual loop's own clock. */
u64 loop_now(const struct loop *loop);

/* Add @lfd (watching nothing yet), change what it watches, take it out. */
int loop_fd_add(struct loop *loop, struct loop_fd *lfd, struct lkvm_error *err);
void loop_fd_set(struct loop *loop, struct loop_fd *lfd, u32 events);
void loop_fd_del(struct loop *loop, struct loop_fd *lfd);

/* Fire once at @deadline (may be past; 0 = never). Replaces an earlier setting. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, u64 deadline);

/* Take @work off the queue if it is there: with loop_timer_set(.., 0), what an owner does before it
 * goes. */
void loop_work_cancel(struct loop *loop, struct loop_work *work);
void loop_post(struct loop *loop, struct loop_work *work);

/* Manual loops only: run everything that is due, without waiting; advance the clock, firing on the
 * way. */
void loop_manual_run(struct loop *loop);
void loop_manual_advance(struct loop *loop, u64 ns);

#endif
