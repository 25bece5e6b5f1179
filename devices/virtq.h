/*
 * virtq.h - split virtqueues, the device's side (virtio 1.2 section 2.7; layer 2).
 *
 * The rings live in guest memory and are hostile: any field may hold anything and
 * change at any time. vq_pop() fetches each descriptor once, checks the whole chain and
 * turns it into two streams of bytes, so a device sees neither rings nor addresses:
 *
 *	while (vq_pop(vq, &chain) > 0) {
 *		... gmem_vec_read(&chain.out, ...); gmem_vec_write(&chain.in, ...);
 *		vq_push(vq, &chain.used, written);
 *	}
 *	if (vq_publish(vq))
 *		tell the driver
 *
 * What cannot be is -EPROTO and sticks: the queue is dead until it is enabled anew, vq->broken
 * says why, and the driver is shown nothing more. Locking: that of the device the queue belongs
 * to. No allocation.
 */
#ifndef LKVM_DEVICES_VIRTQ_H
#define LKVM_DEVICES_VIRTQ_H

#include "vmm/base.h"
#include "vmm/gmem.h"

/* Largest queue here; a power of two. A chain is never longer than its queue (2.7.5.3.1). */
#define VQ_MAX_SIZE 256
#define VQ_MAX_SEGS VQ_MAX_SIZE

struct virtq {
	const char *broken; /* why it is dead; NULL: it lives */
	bool enabled;	    /* by vq_enable(); of a queue that is not, vq_pop() gives nothing */

	/* The rest is virtq.c's. */
	const struct gmem *gm;
	struct gmem_view desc, avail, used;
	u16 size;
	bool event_idx;
	u16 next_avail;	    /* index of the next entry of the available ring to take */
	u16 next_used;	    /* index of the next entry of the used ring to fill */
	u16 published_used; /* what the driver was last shown */
	u16 seen_avail;	    /* the driver's index when it was last read */
};

/* What the used ring will say of a request (2.7.8): outlives the chain it came with. */
struct vq_used {
	u16 head;   /* virtq.c's; of several requests at a time, if the driver is hostile */
	u32 in_len; /* bytes of the in stream when it was popped */
};

/*
 * One request, of at least one byte. The streams may be consumed in place (gmem_vec_drop,
 * gmem_vec_split). A hostile driver can offer the same memory in several requests at a time.
 */
struct vq_chain {
	struct gmem_vec out; /* device-readable: what the driver wrote */
	struct gmem_vec in;  /* device-writable: what it will read */
	struct vq_used used; /* for vq_push() */
	struct iovec iov[VQ_MAX_SEGS];
};

/* What a driver asked for; addresses are guest-physical. */
struct vq_layout {
	u16 size; /* entries: a power of two, 1 to VQ_MAX_SIZE */
	u64 desc, avail, used;
	bool event_idx; /* VIRTIO_F_EVENT_IDX was negotiated */
};

/*
 * Begin with empty rings (aligned as 2.7.1 wants; all in RAM; not overlapping one another).
 * 0 or -EPROTO, with vq->broken set. Notifications are asked for.
 */
int vq_enable(struct virtq *vq, const struct gmem *gm, const struct vq_layout *layout);

/* Forget the rings. */
void vq_disable(struct virtq *vq);

/*
 * 1 and a request, 0 when there is none, or -EPROTO. Whatever the driver does, no more than the
 * queue size are popped and not yet published, so a loop of pops alone has an end. In @chain only
 * what the request needs is written.
 */
int vq_pop(struct virtq *vq, struct vq_chain *chain);

/*
 * Give the last @n popped back, to be popped again; they must not have been pushed, nor
 * any popped after them.
 */
void vq_unpop(struct virtq *vq, unsigned int n);

/*
 * The device is done with a request, whose first @written bytes of the in stream it has written
 * (bounded by the stream's length). In any order. Not seen by the driver before vq_publish().
 */
void vq_push(struct virtq *vq, const struct vq_used *used, u32 written);

/* Show the driver what was pushed. True: it wants to be told. */
bool vq_publish(struct virtq *vq);

/*
 * Ask to be told of the next request, and stop asking (a hint to the driver). vq_arm() returns
 * true when requests are there already, which it may not tell of: go on popping then.
 *
 * A device that wants more requests than there are pops all, arms, and may give them back and wait
 * once that was false; in the other order they are there already.
 */
bool vq_arm(struct virtq *vq);
void vq_disarm(struct virtq *vq);

#endif
