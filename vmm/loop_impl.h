/* loop_impl.h - among the files of the loop; nobody else includes it. */
#ifndef LKVM_VMM_LOOP_IMPL_H
#define LKVM_VMM_LOOP_IMPL_H

#include <pthread.h>

#include "vmm/loop.h"

#define LOOP_MAX_FDS 1024
#define LOOP_FOREVER UINT64_MAX

/* In up to two lists at a time; one that is freed or used anew stays in them, which does no harm.
 */
struct loop_slot {
	struct loop_fd *lfd; /* NULL: free */
	u32 gen;   /* counts what was told to the backend: stale completions carry an older one */
	int dup;   /* epoll: the descriptor it watches; negative: none */
	u32 fired; /* what happened and @lfd was not told of yet */
	bool in_fired, in_changed;
	struct loop_slot *next_fired, *next_changed;
};

struct loop_io_list {
	struct loop_io *head, **tail;
};

/* All return 0 or -errno. They call no owner: what happened goes to loop_fire(), loop_io_end(). */
struct loop_waiter {
	const char *name;
	int (*open)(struct loop *loop);
	void (*close)(struct loop *loop);
	/* Make what is watched for @slot what lfd->events says; -EBUSY: not now. */
	int (*arm)(struct loop *loop, u32 slot);
	/* Wait up to @timeout nanoseconds. */
	int (*wait)(struct loop *loop, u64 timeout);
	/* @slot is about to be freed. */
	void (*forget)(struct loop *loop, u32 slot);
	/* Give @io to the kernel; failed: to be tried again. NULL: run it in the loop. */
	int (*send)(struct loop *loop, struct loop_io *io);
};

extern const struct loop_waiter loop_uring;
extern const struct loop_waiter loop_epoll;

struct loop {
	enum loop_kind kind;
	const struct loop_waiter *waiter; /* NULL: not open */
	void *waiter_state;
	u64 manual_now;

	/* Loop thread. A mapping, of which only what is used takes memory. */
	struct loop_slot *slots;   /* LOOP_MAX_FDS */
	u32 n_slots;		   /* highest one in use, plus 1 */
	struct loop_slot *changed; /* to be armed anew */
	struct loop_slot *fired, **fired_tail;

	struct loop_idle *idles, *idles_due; /* loop thread */

	/* File requests; loop thread. */
	struct loop_io_list io_new;  /* started, to be given to the kernel */
	struct loop_io_list io_done; /* ended, the owner is to be called */
	u32 n_io;		     /* started, and the owner was not called yet */
	u32 n_sent;		     /* of these, in the kernel */
	u32 n_held;		     /* of these, kept by @io_hook */
	int io_lost;		     /* -errno: those in the kernel will never be heard of again */
	bool (*io_hook)(void *ctx, struct loop_io *io);
	void *io_hook_ctx;

	struct loop_fd wake; /* an eventfd */

	pthread_mutex_t lock;	   /* a leaf; guards what follows */
	struct loop_timer *timers; /* ascending deadline */
	struct loop_work *work, **work_tail;
	bool running;
	pthread_t thread;
	_Atomic bool stop;
};

/* loop.c: @revents happened to the owner of @slot, unless @gen is no longer its generation. */
void loop_fire(struct loop *loop, u32 slot, u32 gen, u32 revents);

/* ---- loop_io.c ----------------------------------------------------------------------- */

void loop_io_init(struct loop *loop);

/* Give what was started to the kernel, or run it. True: there was something. */
bool loop_io_submit(struct loop *loop);

/* Run @io here and now, and end it. */
void loop_io_run(struct loop *loop, struct loop_io *io);

/* The pieces that one call to the kernel is for: of a long request its beginning. */
const struct iovec *loop_io_pieces(struct loop_io *io, unsigned int *n);

/* @io ended; its owner will be called. */
void loop_io_end(struct loop *loop, struct loop_io *io, s64 res);

/* Call the owners of what ended before now. True: there were some. */
bool loop_io_call(struct loop *loop);

/* Wait until the kernel holds none, or cannot be waited for (loop->io_lost). Calls no owner. */
void loop_io_settle(struct loop *loop);

#endif
