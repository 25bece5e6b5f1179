/*
 * net_lend.h - a pair of a card's queues, lent to the kernel's vhost-net (layer 2).
 *
 * From net_lend_start() on until the driver resets the device the rings are the kernel's, and no
 * frame passes through here. The driver notifies the kernel, and the kernel interrupts the
 * driver, without this process: where the transport has a message for the queue. Else the kernel
 * signals an eventfd here, and the transport's interrupt is raised by hand.
 *
 * Under the device's lock. It may be stopped on any thread, and has been when the
 * function returns: what a reset needs before the driver may see it done (2.4.2).
 */
#ifndef LKVM_DEVICES_NET_LEND_H
#define LKVM_DEVICES_NET_LEND_H

#include "devices/virtio.h"
#include "vmm/vhost.h"

/* Section 5.1.3. Without it, nothing is lent. */
#define VIRTIO_NET_F_MRG_RXBUF 15

struct net_lend_ring {
	struct virtio_queue *q;
	struct dev_doorbell call;
	u16 next; /* where the kernel goes on with it */
};

/* Zeroed: a pair that is not lent. */
struct net_lend {
	struct vhost *vh; /* borrowed; NULL: there is none */
	struct net_lend_ring rings[VHOST_NET_RINGS];
	bool running;
	bool refused; /* the kernel did, since the last reset */
};

/* From init and fini of the class; @rx and @tx do not move any more. */
int net_lend_init(struct net_lend *l, struct vhost *vh, struct virtio_queue *rx,
		  struct virtio_queue *tx, struct lkvm_error *err);
void net_lend_fini(struct net_lend *l); /* accepts a zeroed struct */

/*
 * Loop thread, with DRIVER_OK. Before anything was popped since, the kernel gets the rings, or
 * they are to be served here until the next reset; later, it goes on with those it had. @err_fd
 * is signalled when the driver broke the rules.
 */
void net_lend_start(struct net_lend *l, int err_fd);

/* Nobody serves the rings then, until net_lend_start(). */
void net_lend_stop(struct net_lend *l);

/* The driver takes one of the queues away, or wants its interrupt elsewhere. */
void net_lend_stop_queue(struct net_lend *l, const struct virtio_queue *q);
void net_lend_rewire(struct net_lend *l, const struct virtio_queue *q);

/* The device was reset: any thread; and on the loop thread, before anything else. */
void net_lend_reset(struct net_lend *l);
void net_lend_listen(struct net_lend *l);

#endif
