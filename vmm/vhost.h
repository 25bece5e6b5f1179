/*
 * vhost.h - the kernel's own network card: vhost-net serves the rings of a queue pair (layer 1).
 *
 * One struct vhost is one queue pair with one tap queue behind it. While it runs, the kernel
 * reads and writes the rings and the driver's buffers, waits for the driver on an eventfd
 * and interrupts it through another; nobody here may touch the rings or read the tap.
 *
 * The kernel checks what the driver writes against the table of guest memory it is given, as
 * virtq.c does here. Addresses of this process that it needs are made in gmem_vhost.c.
 *
 * It belongs to the back end whose tap it is and outlives the devices and the memory of one boot:
 * what it is told of them it is told anew at each start.
 *
 * One thread at a time, whichever.
 */
#ifndef LKVM_VMM_VHOST_H
#define LKVM_VMM_VHOST_H

#include "vmm/base.h"
#include "vmm/err.h"

struct gmem;

#define VHOST_NET_RX	0
#define VHOST_NET_TX	1
#define VHOST_NET_RINGS 2

struct vhost_ring {
	u16 size;	       /* entries: a power of two */
	u16 next;	       /* entry of the available ring to go on with: 0 after DRIVER_OK */
	u64 desc, avail, used; /* guest-physical */
	int kick;	       /* eventfd that the driver's notification signals */
	int call;	       /* eventfd that interrupts the driver; -1: none */
	int err;	       /* eventfd for what the driver cannot mean; -1: none */
};

struct vhost {
	int fd;	 /* -1: closed */
	int tap; /* descriptor of the tap queue; its owner's */
	bool owned;
	u64 features;				      /* that the kernel can */
	int (*ioctl)(int fd, u32 request, void *arg); /* 0 or -errno: ioctl(2), but for tests */
};

#define VHOST_CLOSED     \
	{                \
		.fd = -1 \
	}

/* -ENOENT, -EACCES, ... with a message in @err when this host has no vhost-net that will do. */
int vhost_net_open(struct vhost *vh, int tap, struct lkvm_error *err);
void vhost_net_close(struct vhost *vh); /* stops it; accepts VHOST_CLOSED */

/*
 * Let the kernel serve @rings, which lie in @gmem. @features are those the driver took, of
 * which the kernel is told what concerns it; -EOPNOTSUPP when there is one it cannot.
 * When it fails nothing runs, and the rings are as they were.
 */
int vhost_net_start(struct vhost *vh, const struct gmem *gmem, u64 features,
		    const struct vhost_ring rings[VHOST_NET_RINGS]);

/*
 * Take one ring back: when this returns the kernel touches neither it nor the driver's buffers, all
 * that was taken from it was used, and the number returned is where to go on. It waits for the
 * frames being moved, which is a bounded number. Does no harm when it does not run.
 */
u16 vhost_net_stop(struct vhost *vh, unsigned int ring);

/* While it runs: interrupt the driver through @fd from now on. */
int vhost_net_set_call(struct vhost *vh, unsigned int ring, int fd);

/* ---- gmem_vhost.c ---------------------------------------------------------------------- */

/* Tell the kernel of all guest memory. 0 or -errno. */
int gmem_vhost_table(const struct gmem *gm, const struct vhost *vh);

/* Tell it where @ring is. -EFAULT: not RAM, -EINVAL: not aligned (virtio 1.2 section 2.7). */
int gmem_vhost_ring(const struct gmem *gm, const struct vhost *vh, unsigned int index,
		    const struct vhost_ring *ring);

#endif
