/*
 * virtio.h - a virtio device, whatever carries it (virtio 1.2 sections 2 to 4; layer 2).
 *
 * Three parties: a class (virtio_blk.c, ...) that knows what requests mean; the core
 * (virtio.c), which does what is the same for all: features, status, configuration
 * space, queues that are frozen once enabled, NEEDS_RESET, a reset that waits for I/O; and a
 * transport (virtio_pci.c, virtio_mmio.c), which decodes registers into the calls of the
 * second half of this file. Modern devices only: VERSION_1 is always offered, and a driver that
 * does not take it gets no FEATURES_OK. Everything is little endian.
 *
 * Everything is called with the lock of the transport's struct dev held. Classes do their work in
 * kick(), on the loop thread, and may use whatever dev.h offers through @dev.
 */
#ifndef LKVM_DEVICES_VIRTIO_H
#define LKVM_DEVICES_VIRTIO_H

#include "devices/virtq.h"
#include "vmm/dev.h"

#define VIRTIO_MAX_QUEUES 64
#define VIRTIO_CONFIG_MAX 128 /* bytes of device-specific configuration */

/* Section 6: feature bits that belong to no device type. */
#define VIRTIO_F_INDIRECT_DESC	 28
#define VIRTIO_F_EVENT_IDX	 29
#define VIRTIO_F_VERSION_1	 32
#define VIRTIO_F_ACCESS_PLATFORM 33

/* Section 5: device types. */
#define VIRTIO_ID_NET	  1
#define VIRTIO_ID_BLOCK	  2
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_RNG	  4

/* Section 2.1: device status. */
#define VIRTIO_S_ACKNOWLEDGE 1
#define VIRTIO_S_DRIVER	     2
#define VIRTIO_S_DRIVER_OK   4
#define VIRTIO_S_FEATURES_OK 8
#define VIRTIO_S_NEEDS_RESET 64
#define VIRTIO_S_FAILED	     128

#define VIRTIO_NO_VECTOR 0xffff

struct virtio;
struct virtio_queue;

/* Classes are const tables; an instance of @size bytes starts with a struct virtio. */
struct virtio_class {
	const char *name; /* "virtio-blk" */
	u32 id;		  /* VIRTIO_ID_* */
	u32 pci_class;	  /* what PCI calls it: 0xBBSSII, see struct pci_ids; 0: it fits none */
	size_t size;

	/* Of its requests, each of which starts with a struct virtio_req; 0: it keeps none. */
	size_t req_size;

	/*
	 * Its requests keep the loop busy after the kick, and more may come meanwhile: the driver
	 * is asked to notify only before the loop sleeps.
	 */
	bool arm_late;

	/*
	 * Queues, as BIT(index), on which a driver sends to the very end of its kernel and waits
	 * for each request: a transport that the device is taken away from stops all but these,
	 * from which the device only reads. 0: it may as well reset the device.
	 */
	u64 last_words;

	/*
	 * Of the zeroed instance: set @v's features, n_queues, queue sizes and config. @cfg is
	 * the class's own configuration, gone after the call. Context of dev_class.init.
	 */
	int (*init)(struct virtio *v, const void *cfg, struct lkvm_error *err);

	/* Release what init took; called when it failed, too. Context of dev_class.fini. */
	void (*fini)(struct virtio *v);

	/*
	 * DRIVER_OK was set: v->accepted and the queues are final until reset, but that a driver
	 * may take one back (MMIO). A vCPU's thread.
	 */
	void (*activate)(struct virtio *v);

	/*
	 * Go on with @q: the driver notified it, or set DRIVER_OK with it enabled, or the class
	 * called virtio_run(). Loop thread, with DRIVER_OK, the queue enabled and not broken, and
	 * the machine not going. The driver is asked not to notify meanwhile, and what was
	 * pushed is published after it. See virtio_next().
	 */
	void (*kick)(struct virtio *v, struct virtio_queue *q);

	/*
	 * Back to the state after init. No dev_io is under way; queues are disabled after it, and
	 * requests that were kept are forgotten. Any thread, so sources of the loop may be told
	 * to stop by posting only. Optional, as all here.
	 */
	void (*reset)(struct virtio *v);

	/*
	 * The driver wrote configuration space: @size bytes at @off, inside config_len. The class
	 * puts into v->config what sticks. A vCPU's thread. NULL: it is read-only.
	 */
	void (*config_write)(struct virtio *v, u32 off, unsigned int size, u64 val);

	/* For classes that lend queues, on a vCPU's thread: the driver takes @q away. */
	void (*disable)(struct virtio *v, struct virtio_queue *q);

	/* And: transport->call_fd() of @q is another now. */
	void (*rewire)(struct virtio *v, struct virtio_queue *q);
};

/* What the core asks of a transport; under the device's lock, any thread. */
struct virtio_transport {
	/* Tell the driver that @q has used buffers, or with NULL that the configuration changed. */
	void (*interrupt)(struct virtio *v, struct virtio_queue *q);

	/*
	 * From now on (@on: @q is enabled and DRIVER_OK set), and until called with @on false,
	 * a notification of @q may signal q->bell without coming to the device. Optional.
	 */
	void (*doorbell)(struct virtio_queue *q, bool on);

	/*
	 * The eventfd that sends the message of @q to the driver, for whom it is lent to; -1:
	 * there is none, and interrupt() has to be called. Optional.
	 */
	int (*call_fd)(struct virtio_queue *q);

	/* The device was reset: so are registers of the transport's own. Optional. */
	void (*reset)(struct virtio *v);
};

/*
 * How the instance of every transport begins, so that a class finds its device in what is called
 * with a struct dev (timers, consoles, nets): virtio_of(). virtio_create() fills in @v.
 */
struct virtio_dev {
	struct dev dev;
	struct virtio *v;
};

static inline struct virtio *virtio_of(struct dev *dev)
{
	return container_of(dev, struct virtio_dev, dev)->v;
}

/* Requests that virtio_next() gives in one kick: then others of the loop have their turn. */
#define VIRTIO_KICK_MAX 64

/* A request that a class keeps while it is worked on. Fields of its own follow, zero at first. */
struct virtio_req {
	struct virtio_queue *q;
	struct vq_chain chain;
	struct virtio_req *next; /* virtio.c: while it is free */
};

struct virtio_queue {
	struct virtio *v;
	u16 index;
	u16 max_size; /* class: entries, a power of two up to VQ_MAX_SIZE; 0: not there */
	u16 budget;   /* virtio.c: what is left of VIRTIO_KICK_MAX */
	bool bell_on; /* virtio.c: transport->doorbell() was told so */
	bool lent;    /* virtio_lend() */
	struct virtq vq;
	u16 vector;		  /* the transport's: VIRTIO_NO_VECTOR after reset */
	struct vq_layout layout;  /* as the driver set it; final while vq.enabled */
	struct dev_idle arm;	  /* virtio.c */
	struct dev_doorbell bell; /* the transport points a bus_doorbell at its descriptor */

	/* virtio.c: what was never used is memory never touched. */
	u8 *reqs;
	unsigned int n_reqs;	 /* of those in @reqs, how many were ever used */
	struct virtio_req *free; /* last used first */
};

struct virtio {
	const struct virtio_class *cls;
	struct dev *dev; /* the transport's: lock, name, log, loop, gmem */
	const struct virtio_transport *transport;

	/* Set by the class's init. */
	u64 features;	       /* bits of the device type; the core adds its own */
	unsigned int n_queues; /* 1 to VIRTIO_MAX_QUEUES, made by virtio_add_queues() */
	u8 config[VIRTIO_CONFIG_MAX];
	unsigned int config_len;

	/* The core's. */
	struct virtio_queue *queues;
	struct dev_timer show; /* set: requests were done outside kick() */
	u64 accepted;	       /* features in force; before FEATURES_OK whatever the driver wrote */
	u8 status;
	bool resetting;	     /* the driver wrote status 0 and I/O is still under way */
	bool config_pending; /* the driver was told that the configuration changed: bit 1 of the
				transport's interrupt status, which clears it */
	u16 config_vector;   /* the transport's */
	u32 generation;	     /* of the configuration (2.5.3) */
	u64 n_broken;	     /* how often the driver broke the rules */
	struct ratelimit limit;
};

/* ---- for classes ---------------------------------------------------------------------- */

/*
 * From init: @n queues of @max_size entries, see struct virtio_queue. More may follow in another
 * call, which moves those there are, so their addresses are taken after the last. -ENOMEM.
 */
int virtio_add_queues(struct virtio *v, unsigned int n, u16 max_size, struct lkvm_error *err);

static inline bool virtio_has(const struct virtio *v, unsigned int feature)
{
	return v->accepted & BIT(feature);
}

/* DRIVER_OK, not broken, not resetting, and the machine not going: queues may be worked on. */
bool virtio_live(const struct virtio *v);

/*
 * The next request of a kick:
 *
 *	static void x_kick(struct virtio *v, struct virtio_queue *q)
 *	{
 *		while (room() && virtio_next(q, &chain))
 *			vq_push(&q->vq, &chain.used, serve(&chain));
 *	}
 *
 * True: @chain is a request. False: there is none and the driver was asked to notify of the next
 * one (or will be before the loop sleeps: cls->arm_late), or this kick had VIRTIO_KICK_MAX of them
 *and another will come by itself, or the device is no longer live. So a class that goes on until
 *false misses nothing.
 *
 * One that stops earlier, having no room (it may give the request back: vq_unpop()), is
 * not notified any more, and calls virtio_run() when there is room: when I/O ended, when the host
 * side is ready. virtio_run() is a kick at once: from the class's own code on the loop
 * thread, but not from inside kick(). It does nothing when there is nothing to go on with.
 */
bool virtio_next(struct virtio_queue *q, struct vq_chain *chain);
void virtio_run(struct virtio_queue *q);

/*
 * The same for a class whose requests take time, in or after a kick:
 *
 *	while ((r = virtio_request(q)))
 *		begin(r);			and when it ended: virtio_done(r, written);
 *
 * NULL is the false of virtio_next(), for there is always room: as many as can be under way.
 * What is done in one round of the loop is shown to the driver together, before the loop
 * waits again: many requests cost one interrupt, and a single one does not wait for others.
 * A class that broke the device (virtio_break) leaves the request as it is.
 */
struct virtio_req *virtio_request(struct virtio_queue *q);
void virtio_done(struct virtio_req *r, u32 written);

/*
 * vq_pop() for a class, for further chains of what virtio_next() began: a driver's mistake makes
 * the device NEEDS_RESET here, so what is left is true and a request, or false.
 */
bool virtio_pop(struct virtio_queue *q, struct vq_chain *chain);

/*
 * Loop thread, nothing popped: somebody else serves @q from now on until it is reset, and waits on
 * q->bell's eventfd. Its rings are not looked at here, and there are no kicks. With @on
 * false, after the reset: listen to the eventfd here again; what was signalled meanwhile is told.
 */
void virtio_lend(struct virtio_queue *q, bool on);

/*
 * The driver broke the rules in a way that no status of a request can tell: NEEDS_RESET. The
 * device does nothing more until reset. @why is static text.
 */
void virtio_break(struct virtio *v, const char *why);

/* The class changed v->config: new generation, and the driver is told if it is there. */
void virtio_config_changed(struct virtio *v);

/* ---- for transports: one call per register --------------------------------------------- */

/*
 * Make the instance of @cls behind @dev, which is a struct virtio_dev: @v is its @v. -errno with
 * a message; nothing is left then. virtio_destroy() from dev_class.fini; NULL is allowed, and
 * doorbells are called with off. Call virtio_idle() from dev_class.idle.
 */
int virtio_create(struct virtio **v, const struct virtio_class *cls, struct dev *dev,
		  const struct virtio_transport *transport, const void *cfg,
		  struct lkvm_error *err);
void virtio_destroy(struct virtio *v);
void virtio_idle(struct virtio *v);

/* Feature words: @select 0 or 1, 32 bits each; anything beyond reads 0 and is dropped. */
u32 virtio_offered(const struct virtio *v, u32 select);
u32 virtio_accepted(const struct virtio *v, u32 select);
void virtio_accept(struct virtio *v, u32 select, u32 bits); /* before FEATURES_OK only */

/*
 * Status writes: bits can be set, in the order of 3.1.1, and 0 resets. While a reset waits
 * for I/O the status reads as before, all else is ignored, and the vCPU that asked waits
 * (dev_throttle).
 */
u8 virtio_status(const struct virtio *v);
void virtio_set_status(struct virtio *v, u8 status);

/* NULL when there is no such queue. */
struct virtio_queue *virtio_queue(struct virtio *v, u32 index);

/*
 * Whether the driver may change q->layout: with FEATURES_OK, before DRIVER_OK (3.1.1), and while
 * the queue is not enabled. The transport then stores what was written.
 */
bool virtio_queue_writable(const struct virtio *v, const struct virtio_queue *q);

/* queue_enable := 1. A layout that cannot be is a broken device. */
void virtio_queue_enable(struct virtio *v, struct virtio_queue *q);

/*
 * The driver takes an enabled queue back (MMIO's QueueReady := 0). With requests under way that is
 * a broken device: their buffers could not be given back at once. What a class has popped and not
 * pushed yet is forgotten.
 */
void virtio_queue_disable(struct virtio *v, struct virtio_queue *q);

/* Device-specific configuration: any size and offset; outside reads all ones, and is dropped. */
u64 virtio_config_read(struct virtio *v, u64 off, unsigned int size);
void virtio_config_write(struct virtio *v, u64 off, unsigned int size, u64 val);

#endif
