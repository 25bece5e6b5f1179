/*
 * net_user.c - user networking: a network of its own behind the card, by libslirp.
 *
 * No privileges: what the guest sends out becomes sockets of this process. The network is
 * 10.0.2.0/24 with the host at .2, a DNS relay at .3 and DHCP from .15 on, and fec0::/64
 * with the same two.
 *
 * The host's address is its loopback: the guest reaches services that listen on the host's
 * 127.0.0.1 and ::1 alone, without having to be let in.
 *
 * All of libslirp runs on the loop thread and is entered from four places: a frame of the
 * guest, a timer of its own, opening and closing, and user_round(), which does what libslirp
 * wants done around each wait. A round follows whatever may have given it work. It never
 * enters itself from a callback: those only note down.
 *
 * libslirp tells which descriptors to watch anew in each round, and they come and go with the
 * guest's connections. They are in an epoll set of their own, which the loop watches as one.
 *
 * What of libslirp is not ours to change: memory that cannot be had ends the process (glib);
 * broken invariants of its own are assertions, which end it as well; its cache of the host's
 * DNS address and its clock in milliseconds are shared by all of a process, so all its
 * networks go by the same clock; with SLIRP_DEBUG in the environment it prints; and its
 * writes to sockets may raise SIGPIPE, which the thread that runs the loop has blocked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/net.h"
#include "vmm/net_flow.h"
#include "vmm/net_poll.h"

#define NETWORK	   0x0a000200u /* 10.0.2.0, host byte order */
#define NETMASK	   0xffffff00u
#define HOST	   (NETWORK + 2)
#define NAMESERVER (NETWORK + 3)
#define DHCP_FIRST (NETWORK + 15)

#define DEFAULT_MTU 1500
#define MAX_MTU	    65521 /* libslirp's */
#define ETH_HLEN    14

/* Frames for the guest: some TCP windows of them. Beyond that they are lost, as on a wire. */
#define QUEUE_SIZE MIB

/*
 * Sockets that the guest can have opened. They are descriptors of this process, which
 * needs some for itself: the usual limit is 1024.
 */
#define MAX_SOCKETS 512

/*
 * What frames of the guest may take in one turn of the loop. libslirp looks at all packets that
 * wait for an address whenever it sends one, and a guest can make it wait for thousands.
 */
#define SEND_BUDGET_NS (5 * NSEC_PER_MSEC)

#define N_TIMERS 2 /* of libslirp's; it makes one, for router advertisements */

/* What a descriptor is to libslirp. */
enum {
	FD_UNKNOWN,
	FD_PORT,   /* a port of the host that leads into the guest */
	FD_SOCKET, /* made for the guest, counted in n_sockets */
};

struct user_timer {
	struct user_net *user; /* NULL: free */
	struct loop_timer timer;
	SlirpTimerCb fn;
	void *opaque;
};

/* Frames for the guest, oldest first, each behind its length. */
struct frame_queue {
	size_t head, len;
	u8 data[QUEUE_SIZE];
};

struct user_net {
	struct net net;
	Slirp *slirp;
	unsigned int mtu;
	bool want_recv;
	bool refused; /* the device was told -EAGAIN */
	u64 spent_ns; /* in this turn of the loop, for frames of the guest */
	struct ratelimit limit;

	struct loop_fd lfd;	   /* poll.fd */
	struct loop_work work;	   /* a round */
	struct loop_timer timeout; /* a round, when libslirp wants one */
	struct user_timer timers[N_TIMERS];

	unsigned int n_sockets;
	u8 fds[NET_POLL_MAX_FD]; /* FD_* */
	struct net_poll poll;

	struct net_flow flow;
	struct frame_queue queue;
	u8 bounce[ETH_HLEN + MAX_MTU];
};

static struct user_net *user_of(struct net *net)
{
	return container_of(net, struct user_net, net);
}

/* ---- frames for the guest ----------------------------------------------------------- */

static void queue_put(struct frame_queue *q, const void *frame, u32 len)
{
	u8 *tail;

	/* No more is moved than was taken before, so a long queue stays cheap. */
	if (q->head >= q->len) {
		memmove(q->data, q->data + q->head, q->len);
		q->head = 0;
	}
	if (sizeof(q->data) - q->head - q->len < sizeof(len) + len)
		return;
	tail = q->data + q->head + q->len;
	memcpy(tail, &len, sizeof(len));
	memcpy(tail + sizeof(len), frame, len);
	q->len += sizeof(len) + len;
}

/* The oldest frame, or NULL and 0. */
static const u8 *queue_first(const struct frame_queue *q, u32 *len)
{
	*len = 0;
	if (!q->len)
		return NULL;
	memcpy(len, q->data + q->head, sizeof(*len));
	return q->data + q->head + sizeof(*len);
}

static void queue_drop(struct frame_queue *q, u32 len)
{
	q->head += sizeof(len) + len;
	q->len -= sizeof(len) + len;
}

/* ---- what libslirp wants to have watched -------------------------------------------- */

static const struct {
	int slirp;
	u32 epoll;
} poll_bits[] = {
	{ SLIRP_POLL_IN, EPOLLIN },   { SLIRP_POLL_OUT, EPOLLOUT }, { SLIRP_POLL_PRI, EPOLLPRI },
	{ SLIRP_POLL_ERR, EPOLLERR }, { SLIRP_POLL_HUP, EPOLLHUP },
};

static int user_add_poll(int fd, int events, void *opaque)
{
	struct user_net *u = opaque;
	u32 epoll = 0;

	if (!net_poll_takes(fd))
		return -1;
	if (u->fds[fd] == FD_UNKNOWN) {
		fcntl(fd, F_SETFL, O_NONBLOCK);
		u->fds[fd] = FD_PORT;
	}
	/* Who connects to a port of ours waits while there are too many already. */
	if (u->fds[fd] == FD_PORT && u->n_sockets >= MAX_SOCKETS)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(poll_bits); i++)
		epoll |= events & poll_bits[i].slirp ? poll_bits[i].epoll : 0;
	net_poll_want(&u->poll, fd, epoll);
	return fd;
}

static int user_get_revents(int fd, void *opaque)
{
	u32 epoll = net_poll_revents(&((struct user_net *)opaque)->poll, fd);
	int revents = 0;

	for (size_t i = 0; i < ARRAY_SIZE(poll_bits) && epoll; i++)
		revents |= epoll & poll_bits[i].epoll ? poll_bits[i].slirp : 0;
	return revents;
}

static void user_round(struct user_net *u)
{
	u32 timeout_ms = UINT32_MAX;

	net_poll_collect(&u->poll);
	slirp_pollfds_poll(u->slirp, 0, user_get_revents, u);
	net_poll_begin(&u->poll);
	slirp_pollfds_fill(u->slirp, &timeout_ms, user_add_poll, u);
	net_poll_end(&u->poll);
	loop_timer_set(
		u->net.loop, &u->timeout,
		timeout_ms == UINT32_MAX ? 0 : loop_now(u->net.loop) + timeout_ms * NSEC_PER_MSEC);

	u->spent_ns = 0;
	if (u->refused || (u->want_recv && u->queue.len)) {
		u->refused = false;
		net_ready(&u->net);
	}
	/* A device that has not had enough hears of the rest after others had their turn. */
	if (u->want_recv && u->queue.len)
		loop_post(u->net.loop, &u->work);
}

static void user_event(struct loop_fd *lfd, u32 revents)
{
	(void)revents;
	user_round(container_of(lfd, struct user_net, lfd));
}

static void user_work(struct loop_work *work)
{
	user_round(container_of(work, struct user_net, work));
}

static void user_timeout(struct loop_timer *timer)
{
	user_round(container_of(timer, struct user_net, timeout));
}

/* ---- what libslirp calls ------------------------------------------------------------ */

static ssize_t cb_send_packet(const void *buf, size_t len, void *opaque)
{
	struct user_net *u = opaque;

	net_flow_answer(&u->flow, buf, len);
	/* Whoever entered libslirp sees to the round that tells the device. */
	if (len >= NET_MIN_FRAME && len <= NET_MAX_FRAME)
		queue_put(&u->queue, buf, (u32)len);
	return (ssize_t)len;
}

static void cb_guest_error(const char *msg, void *opaque)
{
	struct user_net *u = opaque;

	if (ratelimit_ok(&u->limit))
		log_warn(u->net.log, "network: %s", msg);
}

static int64_t cb_clock_get_ns(void *opaque)
{
	return (int64_t)loop_now(((struct user_net *)opaque)->net.loop);
}

static void user_timer_fire(struct loop_timer *timer)
{
	struct user_timer *t = container_of(timer, struct user_timer, timer);

	t->fn(t->opaque);
	loop_post(t->user->net.loop, &t->user->work);
}

static void *cb_timer_new(SlirpTimerCb fn, void *cb_opaque, void *opaque)
{
	struct user_net *u = opaque;

	for (int i = 0; i < N_TIMERS; i++) {
		struct user_timer *t = &u->timers[i];

		if (t->user)
			continue;
		*t = (struct user_timer){
			.user = u, .timer.fn = user_timer_fire, .fn = fn, .opaque = cb_opaque
		};
		return t;
	}
	return NULL;
}

static void cb_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	struct user_timer *t = timer;

	(void)opaque;
	if (t)
		loop_timer_set(t->user->net.loop, &t->timer, (u64)expire_ms * NSEC_PER_MSEC);
}

static void cb_timer_free(void *timer, void *opaque)
{
	struct user_timer *t = timer;

	(void)opaque;
	if (!t)
		return;
	loop_timer_set(t->user->net.loop, &t->timer, 0);
	t->user = NULL;
}

static void set_kind(struct user_net *u, int fd, u8 kind)
{
	u->n_sockets += kind == FD_SOCKET;
	u->n_sockets -= u->fds[fd] == FD_SOCKET;
	u->fds[fd] = kind;
}

/* A socket was made for the guest, or taken from a port of ours. */
static void cb_register_poll_fd(int fd, void *opaque)
{
	struct user_net *u = opaque;

	if (!net_poll_takes(fd))
		return;
	/* Of UDP ones libslirp leaves it to the system to wait; the loop waits for nobody. */
	fcntl(fd, F_SETFL, O_NONBLOCK);
	net_poll_opened(&u->poll, fd);
	set_kind(u, fd, FD_SOCKET);
}

static void cb_unregister_poll_fd(int fd, void *opaque)
{
	struct user_net *u = opaque;

	if (!net_poll_takes(fd))
		return;
	net_poll_closing(&u->poll, fd);
	set_kind(u, fd, FD_UNKNOWN);
}

static void cb_notify(void *opaque)
{
	struct user_net *u = opaque;

	loop_post(u->net.loop, &u->work);
}

static const SlirpCb user_callbacks = {
	.send_packet = cb_send_packet,
	.guest_error = cb_guest_error,
	.clock_get_ns = cb_clock_get_ns,
	.timer_new = cb_timer_new,
	.timer_free = cb_timer_free,
	.timer_mod = cb_timer_mod,
	.register_poll_fd = cb_register_poll_fd,
	.unregister_poll_fd = cb_unregister_poll_fd,
	.notify = cb_notify,
};

/* ---- frames from the guest ---------------------------------------------------------- */

#define ETHERTYPE_OFF 12
#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_IP6 0x86dd
#define IP6_HLEN      40
#define PROTO_TCP     6
#define PROTO_ICMP6   58
#define TCP_FLAGS_OFF 13
#define TCP_SYN	      0x02
#define ICMP6_PING    128

static unsigned int ethertype(const u8 *frame)
{
	return (unsigned int)frame[ETHERTYPE_OFF] << 8 | frame[ETHERTYPE_OFF + 1];
}

/*
 * False for what surely needs no new socket: ARP, and TCP of a connection there is. A fragment
 * may: it hides the flags, or brings others.
 */
static bool may_open_socket(const u8 *frame, size_t len)
{
	size_t tcp = len;

	if (ethertype(frame) == ETHERTYPE_ARP)
		return false;
	if (ethertype(frame) == ETHERTYPE_IP4 && len > ETH_HLEN + 7 &&
	    ((frame[ETH_HLEN + 6] & 0x3f) || frame[ETH_HLEN + 7]))
		return true;
	if (ethertype(frame) == ETHERTYPE_IP4 && len > ETH_HLEN + 9 &&
	    frame[ETH_HLEN + 9] == PROTO_TCP)
		tcp = ETH_HLEN + (frame[ETH_HLEN] & 15u) * 4u;
	if (ethertype(frame) == ETHERTYPE_IP6 && len > ETH_HLEN + 6 &&
	    frame[ETH_HLEN + 6] == PROTO_TCP)
		tcp = ETH_HLEN + IP6_HLEN;
	return tcp + TCP_FLAGS_OFF >= len || (frame[tcp + TCP_FLAGS_OFF] & TCP_SYN);
}

/*
 * libslirp before 4.8 writes to stderr for each IPv6 ping that leaves its network, to which it has
 * no answer anyway.
 */
static bool unanswered_ping(const u8 *frame, size_t len)
{
	const u8 *dst = frame + ETH_HLEN + 24;
	static const u8 prefixes[2][8] = { { 0xfe, 0xc0 }, { 0xfe, 0x80 } };
	static const u8 zero[7];

	if (SLIRP_CHECK_VERSION(4, 8, 0) || ethertype(frame) != ETHERTYPE_IP6 ||
	    len <= ETH_HLEN + IP6_HLEN || frame[ETH_HLEN + 6] != PROTO_ICMP6 ||
	    frame[ETH_HLEN + IP6_HLEN] != ICMP6_PING)
		return false;
	return (memcmp(dst, prefixes[0], 8) && memcmp(dst, prefixes[1], 8)) ||
	       memcmp(dst + 8, zero, 7) || (dst[15] != 2 && dst[15] != 3);
}

static int user_send(struct net *net, unsigned int pair, const struct gmem_vec *frame)
{
	struct user_net *u = user_of(net);
	size_t len;
	u64 start;

	(void)pair;
	if (frame->len < NET_HDR_LEN + NET_MIN_FRAME || frame->len > NET_HDR_LEN + NET_MAX_FRAME)
		return -EMSGSIZE;
	len = frame->len - NET_HDR_LEN;
	if (len > ETH_HLEN + u->mtu) /* no wire of this network would carry it */
		return 0;
	/* One round for all frames of a kick. */
	loop_post(net->loop, &u->work);
	u->refused = u->spent_ns > SEND_BUDGET_NS;
	if (u->refused)
		return -EAGAIN;
	gmem_vec_read(frame, NET_HDR_LEN, u->bounce, len);
	if (unanswered_ping(u->bounce, len) ||
	    (u->n_sockets >= MAX_SOCKETS && may_open_socket(u->bounce, len)) ||
	    !net_flow_pass(&u->flow, u->bounce, len, loop_now(net->loop)))
		return 0;
	start = clock_ns();
	slirp_input(u->slirp, u->bounce, (int)len);
	u->spent_ns += clock_ns() - start;
	return 0;
}

static ssize_t user_recv(struct net *net, unsigned int pair, struct gmem_vec *room)
{
	static const u8 header[NET_HDR_LEN];
	struct user_net *u = user_of(net);
	const u8 *frame;
	bool fits;
	u32 len;

	(void)pair;
	frame = queue_first(&u->queue, &len);
	if (!frame)
		return -EAGAIN;
	fits = gmem_vec_write(room, 0, header, sizeof(header)) &&
	       gmem_vec_write(room, NET_HDR_LEN, frame, len);
	queue_drop(&u->queue, len);
	return fits ? NET_HDR_LEN + (ssize_t)len : -EMSGSIZE;
}

static void user_want_recv(struct net *net, unsigned int pair, bool on)
{
	struct user_net *u = user_of(net);

	(void)pair;
	u->want_recv = on;
	if (on && u->queue.len)
		loop_post(net->loop, &u->work);
}

/* ---- life --------------------------------------------------------------------------- */

static void user_close(struct net *net)
{
	struct user_net *u = user_of(net);

	if (u->slirp)
		slirp_cleanup(u->slirp);
	loop_work_cancel(net->loop, &u->work);
	loop_timer_set(net->loop, &u->timeout, 0);
	loop_fd_del(net->loop, &u->lfd);
	net_poll_fini(&u->poll);
	free(u);
}

static struct in_addr ip4(u32 addr)
{
	return (struct in_addr){ .s_addr = htonl(addr) };
}

/* fec0:: and @host in its last byte. */
static struct in6_addr ip6(u8 host)
{
	return (struct in6_addr){ .s6_addr = { 0xfe, 0xc0, [15] = host } };
}

static Slirp *make_slirp(struct user_net *u)
{
	/* The first version of the struct has all that is set here; libraries differ in the last.
	 */
	SlirpConfig cfg = {
		.version = 1,
		.in_enabled = true,
		.vnetwork = ip4(NETWORK),
		.vnetmask = ip4(NETMASK),
		.vhost = ip4(HOST),
		.vdhcp_start = ip4(DHCP_FIRST),
		.vnameserver = ip4(NAMESERVER),
		.in6_enabled = true,
		.vprefix_addr6 = ip6(0),
		.vprefix_len = 64,
		.vhost6 = ip6(2),
		.vnameserver6 = ip6(3),
		.if_mtu = u->mtu,
		.if_mru = u->mtu,
	};

	return slirp_new(&cfg, &user_callbacks, u);
}

/* "hostfwd=tcp::2222-:22", as it was given */
static void fwd_text(char *text, size_t size, const struct lkvm_hostfwd *fwd)
{
	snprintf(text, size, "hostfwd=%s:%.15s:%u-%.15s:%u", fwd->udp ? "udp" : "tcp",
		 fwd->host_addr, fwd->host_port, fwd->guest_addr, fwd->guest_port);
}

static int bind_error(const struct lkvm_hostfwd *fwd, const char *text, int code,
		      struct lkvm_error *err)
{
	switch (code) {
	case EADDRINUSE:
		return err_input(err, "--network %s: port %u of the host is in use", text,
				 fwd->host_port);
	case EACCES:
		return err_input(err, "--network %s: no permission for port %u of the host", text,
				 fwd->host_port);
	case EADDRNOTAVAIL:
		return err_input(err, "--network %s: the host has no address %.15s", text,
				 fwd->host_addr);
	default:
		return err_host(err, code, "--network %s", text);
	}
}

static int add_hostfwd(struct user_net *u, const struct lkvm_hostfwd *fwd, struct lkvm_error *err)
{
	struct in_addr host = ip4(INADDR_ANY), guest = ip4(DHCP_FIRST);
	char text[80];

	fwd_text(text, sizeof(text), fwd);
	if (fwd->host_addr[0] && inet_pton(AF_INET, fwd->host_addr, &host) != 1)
		return err_input(err, "--network %s: \"%.15s\" is not an IPv4 address", text,
				 fwd->host_addr);
	if (fwd->guest_addr[0] && inet_pton(AF_INET, fwd->guest_addr, &guest) != 1)
		return err_input(err, "--network %s: \"%.15s\" is not an IPv4 address", text,
				 fwd->guest_addr);
	if ((ntohl(guest.s_addr) & NETMASK) != NETWORK)
		return err_input(err, "--network %s: the guest's address is not in 10.0.2.0/24",
				 text);
	if (!fwd->host_port || !fwd->guest_port)
		return err_input(err, "--network %s: ports are 1 to 65535", text);
	if (slirp_add_hostfwd(u->slirp, fwd->udp, host, fwd->host_port, guest, fwd->guest_port))
		return bind_error(fwd, text, errno, err);
	return 0;
}

static int user_setup(struct user_net *u, const struct lkvm_net *cfg, struct lkvm_error *err)
{
	int ret = net_poll_init(&u->poll);

	if (ret)
		return err_host(err, -ret, "--network mode=user");
	u->lfd.fd = u->poll.fd;
	ret = loop_fd_add(u->net.loop, &u->lfd, err);
	if (ret)
		return ret;
	loop_fd_set(u->net.loop, &u->lfd, POLLIN);
	u->slirp = make_slirp(u);
	if (!u->slirp)
		return err_host(err, EINVAL, "--network mode=user: libslirp %s refuses to start",
				slirp_version_string());
	for (unsigned int i = 0; i < cfg->n_hostfwd && i < LKVM_MAX_HOSTFWD && !ret; i++)
		ret = add_hostfwd(u, &cfg->hostfwd[i], err);
	return ret;
}

static const struct net_ops user_ops = {
	.name = "user",
	.send = user_send,
	.recv = user_recv,
	.want_recv = user_want_recv,
	.close = user_close,
};

int net_user_open(struct net **net, const struct lkvm_net *cfg, struct loop *loop,
		  const struct log *log, struct lkvm_error *err)
{
	struct user_net *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return err_host(err, ENOMEM, "--network mode=user");
	u->net = (struct net){
		.ops = &user_ops, .log = log, .loop = loop, .max_pairs = 1, .link = true
	};
	u->mtu = cfg->mtu ? (unsigned int)min_u64(cfg->mtu, MAX_MTU) : DEFAULT_MTU;
	net_flow_init(&u->flow, u->mtu);
	u->lfd.fn = user_event;
	u->work.fn = user_work;
	u->timeout.fn = user_timeout;
	ret = user_setup(u, cfg, err);
	if (ret) {
		user_close(&u->net);
		return ret;
	}
	loop_post(loop, &u->work);
	*net = &u->net;
	return 0;
}
