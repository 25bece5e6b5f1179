/* loop_impl.h - between loop.c and its two ways of waiting; nobody else includes it. */
#ifndef LKVM_VMM_LOOP_IMPL_H
#define LKVM_VMM_LOOP_IMPL_H

#include <pthread.h>

#include "vmm/loop.h"

#define LOOP_MAX_FDS 256
#define LOOP_FOREVER UINT64_MAX

struct loop_slot {
	struct loop_fd *lfd; /* NULL: free */
	u32 gen; /* counts what was told to the backend: stale completions carry an older one */
	int dup; /* epoll: the descriptor it watches; -1: always ready, or none */
};

struct loop_waiter {
	const char *name;
	int (*open)(struct loop *loop);
	void (*close)(struct loop *loop);
	/* Make what is watched for @slot what lfd->events says. 0 or -errno. */
	int (*arm)(struct loop *loop, u32 slot);
	/* Wait up to @timeout nanoseconds and call loop_dispatch() for what happened. */
	int (*wait)(struct loop *loop, u64 timeout);
	/* @slot is about to be freed. */
	void (*forget)(struct loop *loop, u32 slot);
};

extern const struct loop_waiter loop_uring;
extern const struct loop_waiter loop_epoll;

struct loop {
	enum loop_kind kind;
	const struct loop_waiter *waiter; /* NULL: not open */
	void *waiter_state;
	u64 manual_now;

	struct loop_slot slots[LOOP_MAX_FDS]; /* loop thread */
	u32 n_slots;			      /* highest one in use, plus 1 */

	struct loop_fd wake; /* an eventfd */

	pthread_mutex_t lock;	   /* a leaf; guards what follows */
	struct loop_timer *timers; /* ascending deadline */
	struct loop_work *work, **work_tail;
	bool running;
	pthread_t thread;
	_Atomic bool stop;
};

/* Call the owner of @slot, unless @gen is no longer its generation. */
void loop_dispatch(struct loop *loop, u32 slot, u32 gen, u32 revents);

#endif
