/*
 * net.h - the host side of a network card: where frames go to and come from (layer 2).
 *
 * A back end belongs to the VM and outlives the devices of one boot, as the console does. There
 * are three: a tap interface (net_tap.c), user networking by libslirp (net_user.c) and a
 * stream socket (net_unix.c); a card without one has its cable out. Nothing here
 * blocks, and everything runs on the loop thread, or while the loop does not run.
 *
 * A frame is a stream of guest memory that begins with a struct virtio_net_hdr of
 * NET_HDR_LEN bytes (virtio 1.2 section 5.1.6). Back ends without offloads want and
 * give headers that are zero but for num_buffers, which is the device's.
 */
#ifndef LKVM_VMM_NET_H
#define LKVM_VMM_NET_H

#include "vmm/base.h"
#include "vmm/err.h"
#include "vmm/gmem.h"
#include "vmm/log.h"
#include "vmm/loop.h"

struct dev;
struct lkvm_net;
struct net;
struct vhost;

#define NET_HDR_LEN   12
#define NET_MIN_FRAME 14	       /* bytes without header: an Ethernet header alone */
#define NET_MAX_FRAME (65535 + 14 + 4) /* the largest a card takes or gives */
#define NET_MAX_PAIRS 8		       /* queue pairs of one card */

/* What a back end can be told to do, and a driver to offer; each in one direction. */
#define NET_OFFLOAD_CSUM BIT(0)
#define NET_OFFLOAD_TSO4 BIT(1)
#define NET_OFFLOAD_TSO6 BIT(2)
#define NET_OFFLOAD_ECN	 BIT(3)
#define NET_OFFLOAD_USO	 BIT(4) /* both IPv4 and IPv6 */

/* Const tables of the back ends; a back end starts with a struct net. */
struct net_ops {
	const char *name; /* "tap" */

	/*
	 * One frame to the host. 0: taken (or lost on the way, as frames are); -EAGAIN: there is no
	 * room, net->ready will be called; other errors: the frame can never be sent.
	 */
	int (*send)(struct net *net, unsigned int pair, const struct gmem_vec *frame);

	/*
	 * One frame from the host into @room, header first; bytes in all. -EAGAIN: there is none,
	 * net->ready will be called. A frame longer than @room is lost and is -EMSGSIZE.
	 */
	ssize_t (*recv)(struct net *net, unsigned int pair, struct gmem_vec *room);

	/*
	 * What the guest's driver accepts in received frames (NET_OFFLOAD_*), at most
	 * net->offloads; 0 at first and after a device reset. Optional.
	 */
	void (*set_offloads)(struct net *net, u64 offloads);

	/* How many queue pairs the driver uses: 1 at first and after reset. Optional. */
	void (*set_pairs)(struct net *net, unsigned int pairs);

	/*
	 * Whether frames from the host are wanted now. Off at first and after detach; while off
	 * the host's own buffer (a tap's queue, a socket) holds or drops them.
	 */
	void (*want_recv)(struct net *net, unsigned int pair, bool on);

	/*
	 * The kernel's own card for @pair, to be started and stopped by the device: while it runs
	 * no frames come through here. It stays ours. NULL: there is none. Optional.
	 */
	struct vhost *(*vhost)(struct net *net, unsigned int pair);

	void (*close)(struct net *net);
};

struct net {
	const struct net_ops *ops;
	const struct log *log;
	struct loop *loop;
	unsigned int max_pairs; /* 1 to NET_MAX_PAIRS */
	u64 offloads;		/* NET_OFFLOAD_* it can do, in both directions */
	bool link;		/* there is somebody at the other end */

	/* The device, or NULL; net_attach(). */
	struct dev *dev;
	void (*ready)(struct dev *dev, void *net);
};

/*
 * Open the back end that @cfg names (LKVM_NET_NONE: *@net is NULL). Nothing is left on
 * failure: no interface, no socket, no listening port. LKVM_ERR_INPUT names --network, the
 * value and what is wrong.
 */
int net_open(struct net **net, const struct lkvm_net *cfg, struct loop *loop, const struct log *log,
	     struct lkvm_error *err);

/* Interfaces that were created go. NULL is allowed. */
void net_close(struct net *net);

/*
 * From a device's init, and with NULL from its fini: who is called, with its lock held, when
 * frames may be there, there is room again, or the link changed.
 */
void net_attach(struct net *net, struct dev *dev, void (*ready)(struct dev *dev, void *net));

/* For back ends: call the device, if there is one. Loop thread, not from inside send or recv. */
void net_ready(struct net *net);

/* The back ends, for net.c. */
int net_tap_open(struct net **net, const struct lkvm_net *cfg, struct loop *loop,
		 const struct log *log, struct lkvm_error *err);
int net_user_open(struct net **net, const struct lkvm_net *cfg, struct loop *loop,
		  const struct log *log, struct lkvm_error *err);
int net_unix_open(struct net **net, const struct lkvm_net *cfg, struct loop *loop,
		  const struct log *log, struct lkvm_error *err);

#endif
