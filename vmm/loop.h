/*
 * loop.h - the event loop: readiness, timers, work from other threads (layer 1).
 *
 * One thread runs a loop; callbacks run on that thread, one at a time, holding no
 * lock of the loop. Sources are embedded in their owners: the loop allocates nothing
 * after its creation. It waits in io_uring through liburing, or in epoll where io_uring is
 * forbidden; a manual loop, whose clock and events are driven by a test, has no thread.
 *
 * Any thread: loop_post(), loop_work_cancel(), loop_timer_set(), loop_stop(), loop_now() but of a
 * manual loop. Loop thread only (or while nobody runs the loop): everything else. A loop runs once.
 * What was removed on the loop's own thread is never called again, so an owner that removes its
 * sources there may free itself afterwards. File requests cannot be removed: loop_io_drain() waits
 * for them.
 */
#ifndef LKVM_VMM_LOOP_H
#define LKVM_VMM_LOOP_H

#include "vmm/base.h"
#include "vmm/err.h"
#include "vmm/gmem.h"

struct loop;

enum loop_kind {
	LOOP_AUTO, /* io_uring, else epoll */
	LOOP_URING,
	LOOP_EPOLL,
	LOOP_MANUAL, /* tests */
};

/* A descriptor to watch, level-triggered unless @edge. Zero-initialised, with @fd and @fn set. */
struct loop_fd {
	int fd;
	u32 events;				      /* POLLIN, POLLOUT; 0 = not watched now */
	void (*fn)(struct loop_fd *lfd, u32 revents); /* POLLHUP and POLLERR also come unasked */
	struct loop_fd *next;			      /* loop.c */
	/*
	 * Tell of each arrival instead of readiness, so that nobody has to take away what
	 * arrived: for POLLIN of an eventfd, of which only the signals matter. One call may
	 * stand for several, and one may come for nothing. Set before loop_fd_add().
	 */
	bool edge;
	u32 slot;  /* loop.c */
	u32 armed; /* loop.c: what the backend was told */
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
 * Something to do before the loop sleeps, once: who asks for it has more to say only then, and may
 * find that there is work instead. Zero-initialised, with @fn set.
 */
struct loop_idle {
	bool (*fn)(struct loop_idle *idle); /* true: there is work, look again before sleeping */
	struct loop_idle *next;		    /* loop.c */
	bool asked;			    /* loop.c */
};

enum loop_op {
	LOOP_OP_READ,  /* into the stream @vec, at @off */
	LOOP_OP_WRITE, /* from the stream @vec, at @off */
	LOOP_OP_FDATASYNC,
	LOOP_OP_FALLOCATE, /* @mode (FALLOC_FL_*), @off, @len */
};

/*
 * One request on a regular file or block device. The owner fills in the first part and leaves
 * the struct, the descriptor and the memory of @vec alone until @fn was called; the array behind
 * @vec as well. In io_uring it runs beside the loop, in epoll and manual loops within it; either
 * way a long transfer ends in part, lest it hold up all else.
 */
struct loop_io {
	enum loop_op op;
	int fd;
	struct gmem_vec vec;
	u64 off, len;
	int mode;
	void (*fn)(struct loop_io *io); /* loop thread; never from inside loop_io_start() */
	s64 res;	      /* bytes moved (may be fewer than asked for), 0, or -errno */
	struct iovec part;    /* loop.c */
	struct loop_io *next; /* loop.c */
};

/*
 * The kernel side (ring or epoll set) is made by loop_run() on its own thread, so
 * that its cost overlaps with the rest of a start.
 */
int loop_create(struct loop **loop, enum loop_kind kind, struct lkvm_error *err);

/* Nobody runs the loop any more. NULL is allowed. */
void loop_destroy(struct loop *loop);

/*
 * Run until loop_stop(). 0, or -errno when waiting itself failed. Either way the requests under
 * way have ended then, if that could be waited for; loop_io_drain() calls their owners.
 */
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

/* Have @work called on the loop thread. What is posted by other work waits for the next round. */
void loop_post(struct loop *loop, struct loop_work *work);

/*
 * Take @work off the queue if it is there: with loop_timer_set(.., 0), what an owner does before it
 * goes. On another thread than the loop's it may be about to be called.
 */
void loop_work_cancel(struct loop *loop, struct loop_work *work);

/*
 * Call @idle the next time that nothing is left to do but wait. Asking twice is asking once. Loop
 * thread; also when nobody runs the loop.
 */
void loop_idle(struct loop *loop, struct loop_idle *idle);
void loop_idle_cancel(struct loop *loop, struct loop_idle *idle);

/* Start @io. Cannot fail: what goes wrong is in its result. */
void loop_io_start(struct loop *loop, struct loop_io *io);

/* As if started, but nothing is done: @io ends with @res. */
void loop_io_refuse(struct loop *loop, struct loop_io *io, s64 res);

/*
 * Wait until no request is under way, calling their owners as they end; nothing else of the
 * loop is called meanwhile. Owners must not start new ones. -errno when waiting failed and the
 * kernel may still use the memory of some: then that must not be given back.
 */
int loop_io_drain(struct loop *loop);

/* Manual loops only: run everything that is due, without waiting; advance the clock, firing on the
 * way. */
void loop_manual_run(struct loop *loop);
void loop_manual_advance(struct loop *loop, u64 ns);

/*
 * Manual loops only: what a test does to requests. @hook sees each as it is started and returns
 * true to keep it, to set @res and hand it to loop_manual_io_done() later; false lets it
 * run. NULL lets all run. With some kept, loop_io_drain() gives up with -EBUSY.
 */
void loop_manual_io_hook(struct loop *loop, bool (*hook)(void *ctx, struct loop_io *io), void *ctx);
void loop_manual_io_done(struct loop *loop, struct loop_io *io);

#endif
