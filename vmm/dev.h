/*
 * dev.h - what a device is (layer 2).
 *
 * A device is a const class and a zeroed instance. It sees its registers as values,
 * the guest's memory through gmem.h, its interrupt lines, its loop, and a way to tell the
 * machine that something ended; nothing else, and never the machine itself.
 *
 * Locking is the core's: every entry into a device goes through a trampoline in dev.c
 * that holds dev->lock: dev_read() and dev_write(), called by the bus or a bridge; those of
 * a dev_timer, a dev_doorbell and a dev_io, called by the loop; dev_call(), called by the
 * console and other back ends. Device authors take no locks and start no threads.
 *
 * Lock order: control -> bridge -> function -> leaves. That is: the VM's control lock, then
 * dev->lock, of a bridge before that of a function behind it, then one of { bus, irq, console,
 * gate, loop, the VM's notes }.
 *
 * Back ends (image descriptors and their locks, taps, sockets) belong to the VM and outlive
 * a restart, as the console does; devices only borrow them.
 */
#ifndef LKVM_VMM_DEV_H
#define LKVM_VMM_DEV_H

#include <pthread.h>

#include "vmm/base.h"
#include "vmm/bus.h"
#include "vmm/err.h"
#include "vmm/irq.h"
#include "vmm/log.h"
#include "vmm/loop.h"

struct dev;
struct gmem;
struct console;

#define DEV_MAX_RANGES 3

/* What a device can tell the machine. The machine decides what follows. */
enum dev_event {
	DEV_EVENT_POWEROFF,
	DEV_EVENT_RESET,
	DEV_EVENT_PANIC,   /* the guest's kernel says it panicked */
	DEV_EVENT_VERDICT, /* value: the guest's verdict on itself */
};

/*
 * Where vCPU threads wait while a device that took too much from them catches up
 * with the host; one per machine.
 */
struct dev_gate {
	pthread_mutex_t lock;
	pthread_cond_t cond;
};

/* The capabilities of a device. Shared by all devices of a machine; outlives them. */
struct dev_env {
	const struct log *log;
	struct gmem *gmem;
	struct loop *loop; /* the one that its devices work on */
	struct dev_gate *gate;
	void (*event)(void *ctx, const struct dev *dev, enum dev_event event,
		      u64 value); /* any thread */
	u64 (*utc_ns)(void *ctx); /* UTC since 1970; NULL: the host's wall clock */
	void *ctx;

	/* The machine is going: devices start no more I/O. */
	_Atomic bool quiet;
};

/* Device classes are const tables; an instance of @size bytes starts with a struct dev. */
struct dev_class {
	const char *name; /* "uart16550" */
	size_t size;

	/*
	 * Bring the zeroed instance to its power-on state; @dev's name, env, loop and line
	 * are set. @cfg is the slot's, gone after the call. Without dev->lock: no register is
	 * plugged in yet, and the loop is this thread's or not running. Optional, as all that
	 * follow.
	 */
	int (*init)(struct dev *dev, const void *cfg, struct lkvm_error *err);

	/*
	 * Release what init took; called when init failed, too. Without dev->lock: vCPUs are
	 * gone, and this is the thread of the device's loop or that loop is not running.
	 */
	void (*fini)(struct dev *dev);

	/*
	 * @off is relative to the range @tag that was hit, @size one of the sizes the range
	 * takes, and off + size inside the range. Excess bits of a read are masked off.
	 */
	u64 (*read)(struct dev *dev, u32 tag, u64 off, unsigned int size);
	void (*write)(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val);

	/* The last dev_io under way has ended. */
	void (*idle)(struct dev *dev);
};

struct dev {
	const struct dev_class *cls;
	char name[LKVM_NAME_MAX]; /* "serial0" */
	const struct dev_env *env;
	struct loop *loop; /* where its timers run */
	struct irq_line irq;
	pthread_mutex_t lock;
	_Atomic bool throttled;
	unsigned int n_io; /* file requests under way */
	bool no_io;	   /* the device's own: as env->quiet, of this one alone */
	struct ratelimit io_limit;
};

/* One place a device answers at. */
struct dev_range {
	struct bus *bus;
	u64 base, len;
	u8 sizes;
	u32 tag;
};

/* One line of a board: a device and where it is plugged in. */
struct dev_slot {
	const struct dev_class *cls;
	const char *name;
	struct dev_range ranges[DEV_MAX_RANGES]; /* up to the first with len 0 */
	struct irq_chip *irq_chip;		 /* NULL: no interrupt line */
	u32 gsi;				 /* below IRQ_MAX_GSI */
	const void *cfg; /* its own configuration; the class says what it points at */
};

/*
 * Make, initialise and plug in the device that @slot describes. On failure nothing
 * is left. The caller keeps *@dev for dev_destroy(). On the thread of the device's loop, or
 * with that loop not running.
 */
int dev_create(struct dev **dev, const struct dev_slot *slot, const struct dev_env *env,
	       struct lkvm_error *err);

/* After the buses it sits on stopped being used; thread as above. NULL is allowed. */
void dev_destroy(struct dev *dev);

/* Register access with dev->lock taken: called by the bus, and by a bridge for a function. */
u64 dev_read(struct dev *dev, u32 tag, u64 off, unsigned int size);
void dev_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val);

/* @fn with dev->lock taken: called by back ends (console, net), holding no lock. */
void dev_call(struct dev *dev, void (*fn)(struct dev *dev, void *arg), void *arg);

/* From a device's own code, lock held. */
void dev_raise_event(struct dev *dev, enum dev_event event, u64 value);

/*
 * Ask that the vCPU whose access is being handled waits before it goes on (true),
 * and let all that wait go on (false). Nothing the guest wrote is ever dropped for want of room.
 */
void dev_throttle(struct dev *dev, bool on);

/*
 * vCPU thread, no lock held: wait while @dev is throttled and !*@interrupt. Whoever
 * sets *@interrupt calls dev_gate_wake() after.
 */
void dev_throttle_wait(struct dev *dev, const _Atomic bool *interrupt);

void dev_gate_init(struct dev_gate *gate);
void dev_gate_fini(struct dev_gate *gate);
void dev_gate_wake(struct dev_gate *gate);

/*
 * A loop timer that calls into its device under the device's lock. Set from any
 * entry of the device (0 = off); switch it off in fini.
 */
struct dev_timer {
	struct loop_timer timer;
	struct dev *dev;
	void (*fn)(struct dev *dev);
};

/*
 * Work for the next round of the loop, under the device's lock; asking twice is asking once. From
 * the device's own code; taken back in fini.
 */
struct dev_work {
	struct loop_work work;
	struct dev *dev; /* NULL: not made */
	void (*fn)(struct dev *dev);
};

void dev_work_init(struct dev_work *work, struct dev *dev, void (*fn)(struct dev *dev));
void dev_work_post(struct dev_work *work);
void dev_work_cancel(struct dev_work *work); /* accepts a zeroed struct */

void dev_timer_init(struct dev_timer *timer, struct dev *dev, void (*fn)(struct dev *dev));
void dev_timer_set(struct dev_timer *timer, u64 deadline);

/*
 * An eventfd that calls into its device, on the loop thread, under the device's lock, each time it
 * was signalled: by a doorbell of the bus, or by dev_doorbell_signal(). To be made and
 * given back on the loop thread, or with the loop not running. -EMFILE and such with a message.
 */
struct dev_doorbell {
	struct loop_fd lfd; /* lfd.fd is the eventfd */
	struct dev *dev;    /* NULL: not made */
	void (*fn)(struct dev *dev, struct dev_doorbell *bell);
};

int dev_doorbell_init(struct dev_doorbell *bell, struct dev *dev,
		      void (*fn)(struct dev *dev, struct dev_doorbell *bell),
		      struct lkvm_error *err);
void dev_doorbell_fini(struct dev_doorbell *bell); /* accepts a zeroed struct */
void dev_doorbell_signal(struct dev_doorbell *bell);

/*
 * Work for when the loop has nothing else to do (loop_idle), under the device's lock. Asked for by
 * the device's own code on the loop thread; taken back in fini.
 */
struct dev_idle {
	struct loop_idle idle;
	struct dev *dev; /* NULL: not made */
	bool (*fn)(struct dev *dev, struct dev_idle *idle);
};

void dev_idle_init(struct dev_idle *idle, struct dev *dev,
		   bool (*fn)(struct dev *dev, struct dev_idle *idle));
void dev_idle_ask(struct dev_idle *idle);
void dev_idle_cancel(struct dev_idle *idle); /* accepts a zeroed struct */

/*
 * A file request (loop.h) that calls into its device when it ended, under the device's lock. Its
 * owner fills in @io but for io.fn, and @fn. Started from the device's own code, on the loop
 * thread; counted in dev->n_io until @fn has returned.
 *
 * The host may need several steps for it, parts of a transfer and a flush: @fn is called once,
 * after the last, which io.op, io.off and io.vec are then about. io.res is the bytes of all parts,
 * fewer than asked for where the file ends, or 0, or -errno. With env->quiet or dev->no_io no
 * step is begun: -ECANCELED.
 */
struct dev_io {
	struct loop_io io;
	bool stable;	 /* it ends when a flush after it did */
	u64 moved;	 /* bytes, also when the rest of them failed */
	struct dev *dev; /* dev.c */
	void (*fn)(struct dev *dev, struct dev_io *io);
};

void dev_io_start(struct dev *dev, struct dev_io *io);

/* From @fn: whether all of it was done. */
static inline bool dev_io_ok(const struct dev_io *io)
{
	return io->io.res >= 0 && !io->io.vec.len;
}

/* If not, say so in the log: ratelimited, for it may be the guest that asks for what cannot be. */
void dev_io_complain(struct dev_io *io, const char *path);

/* The guest's wall clock: UTC nanoseconds since 1970. */
u64 dev_utc_ns(const struct dev *dev);

#endif
