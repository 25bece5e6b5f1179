/*
 * console.h - the host side of a console (layer 2).
 *
 * Two bounded buffers between a device and the outside, which is a pair of the
 * embedder's descriptors or a function. The same code serves terminals, pipes, files,
 * sockets and EOF; whichever device is the front end sees bytes only.
 * A console belongs to the VM and outlives the devices of one boot, so a restart
 * loses nothing but the input that the old device had already taken.
 *
 * Output is never dropped for want of room: when it is full the device asks its vCPU
 * to wait, or leaves the rest with its driver. The host descriptors are read and written on the
 * loop thread alone and never block it. Locking: console functions take the console's own lock, a
 * leaf.
 */
#ifndef LKVM_VMM_CONSOLE_H
#define LKVM_VMM_CONSOLE_H

#include "vmm/base.h"
#include "vmm/err.h"
#include "vmm/log.h"
#include "vmm/loop.h"

struct console;
struct dev;

#define CONSOLE_OUT_SIZE     (64 * 1024)	 /* bytes */
#define CONSOLE_OUT_HEADROOM 8192		 /* kept free for accesses already under way */
#define CONSOLE_IN_SIZE	     4096		 /* bytes */
#define CONSOLE_FLUSH_NS     (2 * NSEC_PER_MSEC) /* output waits this long for company */

/* What a console tells its VM; all on the loop thread. */
struct console_ops {
	void (*panic_line)(void *ctx); /* "Kernel panic - not syncing" went by (watch_panic) */
	void (*panic_end)(void *ctx);  /* "---[ end Kernel panic" went by (watch_panic) */
	void (*escape)(void *ctx);     /* escape x */
};

struct console_stats {
	u64 bytes_out;	   /* taken from the guest */
	u64 bytes_lost;	   /* of these, given up because the host side failed */
	u64 first_byte_ns; /* clock_ns() of the first, 0: none yet */
	u64 last_byte_ns;  /* clock_coarse_ns() */
};

/* @cfg is copied. Nothing is read before console_start(). */
int console_create(struct console **con, const struct lkvm_console *cfg, bool watch_panic,
		   struct loop *loop, const struct log *log, const struct console_ops *ops,
		   void *ctx, struct lkvm_error *err);

/* Loop thread, or loop not running. NULL is allowed. */
void console_destroy(struct console *con);

/* Begin to read the host side; loop thread. */
void console_start(struct console *con);

/* Hand everything that is buffered to the host; true when nothing is left. Loop thread. */
bool console_flush(struct console *con);

/*
 * The machine has stopped: deliver what is left, however long a live reader takes,
 * then call @done (loop thread). A host side that took nothing for CONSOLE_DRAIN_NS
 * or failed is given up, and the bytes are counted as lost.
 */
#define CONSOLE_DRAIN_NS (5 * NSEC_PER_SEC)
void console_drain(struct console *con, void (*done)(void *ctx), void *ctx);

void console_get_stats(struct console *con, struct console_stats *stats);

/*
 * True when a panic line went by (watch_panic), with what it gave as the reason, printable.
 * Any thread; knows of a line as soon as the guest wrote it, before ops->panic_line is called.
 */
bool console_saw_panic(struct console *con, char *reason, size_t size);

/* Input from the embedder, any thread: takes what fits and returns how much that was. */
size_t console_push_input(struct console *con, const void *data, size_t len);

/* The terminal behind it has this size now; any thread. */
void console_resize(struct console *con, u16 cols, u16 rows);

/* ---- the device's side: called with the device's lock held -------------------------- */

/*
 * From @dev's own init (on) and fini (off). @ready is called with the device's lock held, on the
 * loop thread, when there is input to take or it ended, the output buffer ran low again or the size
 * of the terminal changed. Up to CONSOLE_MAX_DEVS devices may write to one console (a serial
 * port for early messages beside a virtio console); input goes to whoever
 * takes it first, so only one of them should. Loop thread, or loop not running; the one
 * call here that needs no device lock.
 */
#define CONSOLE_MAX_DEVS 2
void console_attach(struct console *con, struct dev *dev,
		    void (*ready)(struct dev *dev, void *con));
void console_detach(struct console *con, struct dev *dev);

/* Room for output before the device should hold its driver off. */
size_t console_room(struct console *con);

/*
 * Take one byte of output. True when the buffer has reached its limit: call
 * dev_throttle(dev, true); @ready is called once there is room again.
 */
bool console_put(struct console *con, u8 byte);

/*
 * Take what fits of @len bytes of output, for devices that can keep the rest until @ready is
 * called. Bytes taken. One lock and one look at the clock for all of them. Some of the room is
 * left to console_put(), or a device that uses that would find none beside one that does not.
 */
size_t console_write(struct console *con, const void *data, size_t len);

/*
 * The same for a device that goes, and cannot wait: takes more than there is room for, up to
 * CONSOLE_LAST_SIZE in all. Thread of dev_class.fini.
 */
#define CONSOLE_LAST_SIZE (2 * MIB)
size_t console_write_last(struct console *con, const void *data, size_t len);

/* @len bytes that the driver sent and nobody will ever take: counted as lost, and said. */
void console_lose(struct console *con, u64 len);

/* Take one byte of input; false when there is none. */
bool console_get(struct console *con, u8 *byte);

/* Take up to @len bytes of input; bytes taken. */
size_t console_read(struct console *con, void *data, size_t len);

/*
 * True when the host side is over for a device: it gave input alone, which has ended, and all of it
 * was taken. @ready is called at the end of input as well.
 */
bool console_is_over(struct console *con);

/* The terminal's size as last told, 0 x 0: unknown. */
void console_size(struct console *con, u16 *cols, u16 *rows);

#endif
