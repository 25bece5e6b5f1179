/*
 * net_tap.c - a tap interface of the host behind a network card.
 *
 * Frames go between guest memory and the kernel in one system call each, with the
 * header of NET_HDR_LEN bytes in which both sides say what was left to offload.
 *
 * An interface that exists is used as it is: its addresses, its MTU, whether it is up
 * and whether it stays are its owner's business. One that is made here is brought up, gets
 * the card's MTU if it has one, and goes with its last descriptor, however this process ends.
 *
 * A tap whose interface is down takes and gives nothing: frames are lost, as on a wire that
 * nobody listens to. One that was deleted loses the link for good.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/net.h"
#include "vmm/vhost.h"

/* Linux 6.2: segmentation of UDP, offered for both IP versions or for none. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct tap_queue {
	struct tap *tap;
	struct loop_fd lfd; /* lfd.fd -1: not open */
	bool attached;	    /* the kernel gives it frames */
	bool want_recv, want_send;
	struct vhost vhost;
};

struct tap {
	struct net net;
	char name[IFNAMSIZ];
	bool created; /* by us: no TUNSETIFF before ours */
	struct ratelimit limit;
	struct tap_queue queues[NET_MAX_PAIRS];
};

_Static_assert(LKVM_IFNAME_MAX == IFNAMSIZ, "interface names are the kernel's");

static struct tap *tap_of(struct net *net)
{
	return container_of(net, struct tap, net);
}

/* ---- frames ------------------------------------------------------------------------- */

/* POLLERR: that the interface was deleted has to be seen while vhost-net takes its frames, too. */
static void tap_watch(struct tap_queue *q)
{
	u32 events = (q->want_recv ? POLLIN : 0) | (q->want_send ? POLLOUT : 0) | POLLERR;

	/* A queue that is not attached looks like one whose interface is gone. */
	if (q->lfd.fd >= 0)
		loop_fd_set(q->tap->net.loop, &q->lfd,
			    q->tap->net.link && q->attached ? events : 0);
}

static int tap_send(struct net *net, unsigned int pair, const struct gmem_vec *frame)
{
	struct tap_queue *q = &tap_of(net)->queues[pair];
	ssize_t n;

	if (frame->n > IOV_MAX || frame->len < NET_HDR_LEN + NET_MIN_FRAME ||
	    frame->len > NET_HDR_LEN + NET_MAX_FRAME)
		return -EMSGSIZE;
	n = gmem_vec_writev(frame, q->lfd.fd);
	if (n == -EAGAIN) {
		q->want_send = true;
		tap_watch(q);
		return -EAGAIN;
	}
	/* EINVAL: the header contradicts the frame. All else is about the way, not the frame. */
	return n == -EINVAL ? -EINVAL : 0;
}

static ssize_t tap_recv(struct net *net, unsigned int pair, struct gmem_vec *room)
{
	struct tap *tap = tap_of(net);
	ssize_t n = gmem_vec_recv(room, tap->queues[pair].lfd.fd);

	if (n == -EINVAL || n == -EFAULT) /* no room for the header; the frame is gone */
		return -EMSGSIZE;
	if (n < NET_HDR_LEN + NET_MIN_FRAME)
		return -EAGAIN;
	return (size_t)n > room->len ? -EMSGSIZE : n;
}

static void tap_want_recv(struct net *net, unsigned int pair, bool on)
{
	struct tap_queue *q = &tap_of(net)->queues[pair];

	q->want_recv = on;
	tap_watch(q);
}

/* True when the interface was deleted: the descriptor belongs to none then. */
static bool tap_gone(struct tap *tap, const struct tap_queue *q)
{
	struct ifreq ifr = { 0 };

	if (!tap->net.link || !q->attached || !ioctl(q->lfd.fd, TUNGETIFF, &ifr) || errno != EBADFD)
		return false;
	tap->net.link = false;
	for (unsigned int i = 0; i < tap->net.max_pairs; i++)
		tap_watch(&tap->queues[i]);
	log_warn(tap->net.log, "network: interface %s is gone", tap->name);
	return true;
}

static void tap_event(struct loop_fd *lfd, u32 revents)
{
	struct tap_queue *q = container_of(lfd, struct tap_queue, lfd);

	if (!(revents & (POLLERR | POLLHUP)) || !tap_gone(q->tap, q)) {
		q->want_send &= !(revents & POLLOUT);
		tap_watch(q);
	}
	net_ready(&q->tap->net);
}

/* ---- settings ----------------------------------------------------------------------- */

static const struct {
	u64 offload;
	unsigned int tun;
	u64 needs; /* the kernel takes it with one of these only */
} tap_offloads[] = {
	{ NET_OFFLOAD_CSUM, TUN_F_CSUM, 0 },
	{ NET_OFFLOAD_TSO4, TUN_F_TSO4, NET_OFFLOAD_CSUM },
	{ NET_OFFLOAD_TSO6, TUN_F_TSO6, NET_OFFLOAD_CSUM },
	{ NET_OFFLOAD_ECN, TUN_F_TSO_ECN, NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 },
	{ NET_OFFLOAD_USO, TUN_F_USO4 | TUN_F_USO6, NET_OFFLOAD_CSUM },
};

/* What frames to us may be like, on all queues. 0 or -errno. */
static int tap_tell_offloads(struct tap *tap, u64 offloads)
{
	unsigned long tun = 0;
	u64 told = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tap_offloads); i++) {
		u64 needs = tap_offloads[i].needs;

		if ((offloads & tap_offloads[i].offload) && (!needs || (told & needs))) {
			tun |= tap_offloads[i].tun;
			told |= tap_offloads[i].offload;
		}
	}
	return ioctl(tap->queues[0].lfd.fd, TUNSETOFFLOAD, tun) ? -errno : 0;
}

static void tap_set_offloads(struct net *net, u64 offloads)
{
	struct tap *tap = tap_of(net);
	int ret = tap_tell_offloads(tap, offloads & net->offloads);

	if (ret && net->link && ratelimit_ok(&tap->limit))
		log_warn(net->log, "network: interface %s refuses offloads: %s", tap->name,
			 err_text(-ret));
}

/* A kernel that does not know a bit refuses all: ask for less until it agrees. */
static void tap_probe_offloads(struct tap *tap)
{
	static const u64 sets[] = {
		NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN |
			NET_OFFLOAD_USO,
		NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN,
		NET_OFFLOAD_CSUM,
	};

	for (size_t i = 0; i < ARRAY_SIZE(sets) && !tap->net.offloads; i++) {
		if (!tap_tell_offloads(tap, sets[i]))
			tap->net.offloads = sets[i];
	}
	tap_tell_offloads(tap, 0);
}

static int tap_attach_queue(struct tap_queue *q, bool on)
{
	struct ifreq ifr = { .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	if (q->attached == on)
		return 0;
	if (ioctl(q->lfd.fd, TUNSETQUEUE, &ifr))
		return -errno;
	q->attached = on;
	tap_watch(q);
	return 0;
}

static void tap_set_pairs(struct net *net, unsigned int pairs)
{
	struct tap *tap = tap_of(net);
	int ret = 0;

	/* The kernel numbers queues in the order they come: highest out first, lowest in first. */
	for (unsigned int i = net->max_pairs; i-- > pairs;)
		ret = ret ? ret : tap_attach_queue(&tap->queues[i], false);
	for (unsigned int i = 0; i < pairs && i < net->max_pairs; i++)
		ret = ret ? ret : tap_attach_queue(&tap->queues[i], true);
	if (ret && net->link && ratelimit_ok(&tap->limit))
		log_warn(net->log, "network: interface %s does not take %u queues: %s", tap->name,
			 pairs, err_text(-ret));
}

static struct vhost *tap_vhost(struct net *net, unsigned int pair)
{
	struct vhost *vh = &tap_of(net)->queues[pair].vhost;

	return vh->fd >= 0 ? vh : NULL;
}

/* ---- life --------------------------------------------------------------------------- */

static void tap_close(struct net *net)
{
	struct tap *tap = tap_of(net);

	for (unsigned int i = 0; i < NET_MAX_PAIRS; i++) {
		if (tap->queues[i].lfd.fd < 0)
			continue;
		loop_fd_del(net->loop, &tap->queues[i].lfd);
		vhost_net_close(&tap->queues[i].vhost);
		close(tap->queues[i].lfd.fd);
	}
	free(tap);
}

static int open_tun(struct lkvm_error *err)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return err_unsupported(err, errno,
				       "--network mode=tap: this host has no /dev/net/tun "
				       "(module tun)");
	if (errno == EACCES || errno == EPERM)
		return err_input(err, "--network mode=tap: no permission to open /dev/net/tun");
	return err_host(err, errno, "--network mode=tap: cannot open /dev/net/tun");
}

/* TUNSETIFF with @flags; @name is a pattern or the name it shall have, and becomes the one it has.
 */
static int set_iff(int fd, char *name, int flags)
{
	struct ifreq ifr = { 0 };

	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags);
	if (ioctl(fd, TUNSETIFF, &ifr))
		return -errno;
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

/* An interface of this name is there: what can be wrong with it. */
static int use_existing(struct tap *tap, int fd, bool multi, struct lkvm_error *err)
{
	int ret = set_iff(fd, tap->name, multi ? IFF_MULTI_QUEUE : 0);

	if (ret == -EINVAL && !multi) /* made for several queues, which one may use as well */
		ret = set_iff(fd, tap->name, IFF_MULTI_QUEUE);
	else if (ret == -EINVAL && set_iff(fd, tap->name, 0) != -EINVAL)
		return err_input(err,
				 "--network mode=tap: interface %s has one queue: use queues=1, or "
				 "make it with multi_queue",
				 tap->name);
	switch (ret) {
	case 0:
		return 0;
	case -EPERM:
		return err_input(err,
				 "--network mode=tap: interface %s is not user %u's: make it with "
				 "ip tuntap add %s mode tap user %u, or have CAP_NET_ADMIN",
				 tap->name, geteuid(), tap->name, geteuid());
	case -EBUSY:
		return err_input(err, "--network mode=tap: interface %s is used by another program",
				 tap->name);
	case -EINVAL:
		return err_input(err, "--network mode=tap: interface %s is not a tap interface",
				 tap->name);
	default:
		return err_host(err, -ret, "--network mode=tap: interface %s", tap->name);
	}
}

/* The first queue: makes the interface if there is none. */
static int first_queue(struct tap *tap, int fd, bool multi, struct lkvm_error *err)
{
	/* IFF_TUN_EXCL: it is our own making, or EBUSY. */
	int ret = set_iff(fd, tap->name, IFF_TUN_EXCL | (multi ? IFF_MULTI_QUEUE : 0));

	tap->created = !ret;
	switch (ret) {
	case 0:
		return 0;
	case -EBUSY:
		return use_existing(tap, fd, multi, err);
	case -EPERM:
		return err_input(
			err,
			"--network mode=tap: making interface %s needs CAP_NET_ADMIN: root "
			"can make one with ip tuntap add NAME mode tap user %u%s",
			strchr(tap->name, '%') ? "lkvm0" : tap->name, geteuid(),
			multi ? " multi_queue" : "");
	case -EINVAL:
		return err_input(err, "--network mode=tap: \"%s\" cannot be an interface's name",
				 tap->name);
	default:
		return err_host(err, -ret, "--network mode=tap: cannot make interface %s",
				tap->name);
	}
}

static int setup_queue(int fd, const char *name, struct lkvm_error *err)
{
	int hdr_len = NET_HDR_LEN, on = 1;

	/* TUNSETVNETLE: little endian as virtio 1.x has it, not as the host has it. */
	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr_len) || ioctl(fd, TUNSETVNETLE, &on))
		return err_host(err, errno, "--network mode=tap: interface %s", name);
	return 0;
}

static int open_queue(struct tap *tap, unsigned int i, unsigned int n, struct lkvm_error *err)
{
	struct tap_queue *q = &tap->queues[i];
	int ret = open_tun(err);

	if (ret < 0)
		return ret;
	q->lfd.fd = ret;
	if (!i) {
		ret = first_queue(tap, q->lfd.fd, n > 1, err);
	} else {
		ret = set_iff(q->lfd.fd, tap->name, IFF_MULTI_QUEUE);
		if (ret)
			err_host(err, -ret, "--network mode=tap: interface %s, queue %u", tap->name,
				 i + 1);
	}
	if (!ret)
		ret = setup_queue(q->lfd.fd, tap->name, err);
	if (!ret)
		ret = loop_fd_add(tap->net.loop, &q->lfd, err);
	q->attached = !ret;
	tap_watch(q);
	return ret;
}

/* The MTU of one that exists; our own is set up, which whoever could make it may do. */
static int setup_interface(struct tap *tap, unsigned int mtu, struct lkvm_error *err)
{
	int ctl = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };
	int code = ctl < 0 ? errno : 0;

	memcpy(ifr.ifr_name, tap->name, IFNAMSIZ);
	if (!code && tap->created && mtu) {
		ifr.ifr_mtu = (int)mtu;
		code = ioctl(ctl, SIOCSIFMTU, &ifr) ? errno : 0;
	}
	if (!code)
		code = ioctl(ctl, SIOCGIFFLAGS, &ifr) ? errno : 0;
	if (!code && tap->created) {
		ifr.ifr_flags |= IFF_UP;
		code = ioctl(ctl, SIOCSIFFLAGS, &ifr) ? errno : 0;
	}
	if (ctl >= 0)
		close(ctl);
	if (code)
		return err_host(err, code, "--network mode=tap: cannot set up interface %s",
				tap->name);
	if (!(ifr.ifr_flags & IFF_UP))
		log_warn(tap->net.log,
			 "network: interface %s is down: frames are lost until it is up",
			 tap->name);
	return 0;
}

/* For all queues, or for none and @why. */
static int open_vhost(struct tap *tap, enum lkvm_vhost want, struct lkvm_error *why,
		      struct lkvm_error *err)
{
	int ret = 0;

	if (want == LKVM_VHOST_OFF) {
		err_input(why, "vhost=off");
		return 0;
	}
	for (unsigned int i = 0; i < tap->net.max_pairs && !ret; i++)
		ret = vhost_net_open(&tap->queues[i].vhost, tap->queues[i].lfd.fd, why);
	for (unsigned int i = 0; i < tap->net.max_pairs && ret; i++)
		vhost_net_close(&tap->queues[i].vhost);
	if (ret && want == LKVM_VHOST_ON)
		return err_unsupported(err, -ret, "--network mode=tap,vhost=on: %s", why->msg);
	return 0;
}

static const struct net_ops tap_ops = {
	.name = "tap",
	.send = tap_send,
	.recv = tap_recv,
	.set_offloads = tap_set_offloads,
	.set_pairs = tap_set_pairs,
	.want_recv = tap_want_recv,
	.vhost = tap_vhost,
	.close = tap_close,
};

static int tap_name(char *name, const char *want, struct lkvm_error *err)
{
	size_t len = strnlen(want, IFNAMSIZ);

	/* The kernel would take a % for a pattern of its own. */
	if (len == IFNAMSIZ || strchr(want, '%'))
		return err_input(
			err,
			"--network mode=tap: \"%.*s\" cannot be an interface's name (up to "
			"%d bytes, no %%)",
			IFNAMSIZ, want, IFNAMSIZ - 1);
	snprintf(name, IFNAMSIZ, "%s", len ? want : "lkvm%d");
	return 0;
}

int net_tap_open(struct net **net, const struct lkvm_net *cfg, struct loop *loop,
		 const struct log *log, struct lkvm_error *err)
{
	unsigned int pairs = (unsigned int)min_u64(max_u64(cfg->queues, 1), NET_MAX_PAIRS);
	struct tap *tap = calloc(1, sizeof(*tap));
	struct lkvm_error no_vhost = { 0 };
	int ret;

	if (!tap)
		return err_host(err, ENOMEM, "--network mode=tap");
	tap->net = (struct net){
		.ops = &tap_ops, .log = log, .loop = loop, .max_pairs = pairs, .link = true
	};
	for (unsigned int i = 0; i < NET_MAX_PAIRS; i++) {
		tap->queues[i].tap = tap;
		tap->queues[i].lfd = (struct loop_fd){ .fd = -1, .fn = tap_event };
		tap->queues[i].vhost = (struct vhost)VHOST_CLOSED;
	}

	ret = tap_name(tap->name, cfg->ifname, err);
	for (unsigned int i = 0; i < pairs && !ret; i++)
		ret = open_queue(tap, i, pairs, err);
	if (!ret)
		ret = setup_interface(tap, cfg->mtu, err);
	if (!ret)
		ret = open_vhost(tap, cfg->vhost, &no_vhost, err);
	if (ret) {
		tap_close(&tap->net);
		return ret;
	}
	tap_probe_offloads(tap);
	tap_set_pairs(&tap->net, 1);
	log_info(log, "network: interface %s%s, %s vhost-net%s%s", tap->name,
		 tap->created ? ", made for this VM" : "", *no_vhost.msg ? "without" : "with",
		 *no_vhost.msg ? ": " : "", no_vhost.msg);
	*net = &tap->net;
	return 0;
}
