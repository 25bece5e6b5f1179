/*
 * Back ends of a network card, each with the test on both sides: the card, and whoever is at the
 * other end of the unix socket or in libslirp's network. On virtual time, with real sockets.
 *
 * Does not prove that a guest's own network stack gets along with them, that names are resolved
 * (the host may have no name server), what libslirp does in all its corners, or anything of
 * taps (test_net_tap).
 */
#include "tests/unit/nettest.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/net_flow.h"

/* ---- unix: a peer that is the test --------------------------------------------------- */

struct peer {
	char dir[32], path[64];
	int listener, fd;
};

static void fill_addr(struct sockaddr_un *addr, const char *path)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s", path);
}

static void peer_listen(struct peer *p, int type, int backlog)
{
	struct sockaddr_un addr;

	snprintf(p->dir, sizeof(p->dir), "/tmp/lkvm-net-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/socket", p->dir);
	fill_addr(&addr, p->path);
	p->fd = -1;
	p->listener = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	assert_true(p->listener >= 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (backlog >= 0)
		assert_int_equal(listen(p->listener, backlog), 0);
}

static void peer_gone(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	if (p->listener >= 0)
		close(p->listener);
	unlink(p->path);
	assert_int_equal(rmdir(p->dir), 0);
}

static void unix_cfg(struct lkvm_net *cfg, const char *path)
{
	*cfg = (struct lkvm_net){ .mode = LKVM_NET_UNIX };
	memcpy(cfg->socket, path, min_u64(strlen(path), sizeof(cfg->socket)));
}

/* A connection; the peer's end does not block. */
static void unix_pair(struct nettest *n, struct peer *p)
{
	struct lkvm_net cfg;

	peer_listen(p, SOCK_STREAM, 1);
	unix_cfg(&cfg, p->path);
	nettest_open(n, &cfg);
	p->fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(p->fd >= 0);
}

static void unix_done(struct nettest *n, struct peer *p)
{
	nettest_close(n);
	free(n);
	peer_gone(p);
}

static struct nettest *new_nettest(void)
{
	struct nettest *n = calloc(1, sizeof(*n));

	assert_non_null(n);
	return n;
}

/* @len bytes that differ with @seed, behind their length. Returns the bytes in all. */
static size_t stream_frame(u8 *at, u32 len, u8 seed)
{
	u32 prefix = htonl(len);

	memcpy(at, &prefix, sizeof(prefix));
	for (u32 i = 0; i < len; i++)
		at[4 + i] = (u8)(seed + i * 7);
	return 4 + len;
}

static void check_frame(const u8 *frame, u32 len, u8 seed)
{
	for (u32 i = 0; i < len; i++)
		assert_int_equal(frame[i], (u8)(seed + i * 7));
}

static void unix_frames_arrive_whole_however_they_are_cut(void **state)
{
	static const size_t steps[] = { 1, 3, 4, 17, 100, 1000000 };
	static const u32 lens[] = { 14, 60, 1514, 9000 };
	struct nettest *n = new_nettest();
	u8 stream[16000];
	struct peer p;
	size_t len = 0;

	(void)state;
	unix_pair(n, &p);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++)
		len += stream_frame(stream + len, lens[i], (u8)i);
	nettest_want(n, 0, true);
	for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
		size_t got = 0;

		for (size_t at = 0; at < len; at += steps[s]) {
			size_t step = min_u64(steps[s], len - at);
			ssize_t ret;

			assert_int_equal(write(p.fd, stream + at, step), step);
			while ((ret = nettest_recv(n, 65536)) > 0) {
				assert_int_equal(ret, lens[got]);
				check_frame(n->got, lens[got], (u8)got);
				got++;
			}
			assert_int_equal(ret, -EAGAIN);
		}
		assert_int_equal(got, ARRAY_SIZE(lens));
	}
	assert_true(n->net->link);
	unix_done(n, &p);
}

/* The socket is empty once all was read from it, but not all of that was given to the card. */
static void unix_tells_again_of_frames_that_it_has_read(void **state)
{
	struct nettest *n = new_nettest();
	u8 stream[3 * 64];
	struct peer p;
	size_t len = 0;

	(void)state;
	unix_pair(n, &p);
	for (int i = 0; i < 3; i++)
		len += stream_frame(stream + len, 60, (u8)i);
	assert_int_equal(write(p.fd, stream, len), len);
	devtest_run(&n->t);
	assert_int_equal(n->n_ready, 0); /* not wanted */
	nettest_want(n, 0, true);
	nettest_want(n, 0, false);
	devtest_run(&n->t);
	assert_int_equal(n->n_ready, 0);
	assert_int_equal(nettest_recv(n, 2000), 60); /* reads all three */
	nettest_want(n, 0, true);
	devtest_run(&n->t); /* stops by itself: a source that is always ready */
	assert_true(n->n_ready > 0);
	check_frame(n->got, 60, 0);
	for (int i = 1; i < 3; i++) {
		assert_int_equal(nettest_recv(n, 2000), 60);
		check_frame(n->got, 60, (u8)i);
	}
	n->n_ready = 0;
	devtest_run(&n->t);
	assert_int_equal(n->n_ready, 0);
	unix_done(n, &p);
}

static void unix_frame_longer_than_the_room_is_lost_alone(void **state)
{
	struct nettest *n = new_nettest();
	u8 stream[2000];
	struct peer p;
	size_t len;

	(void)state;
	unix_pair(n, &p);
	len = stream_frame(stream, 101, 1);
	len += stream_frame(stream + len, 100, 2);
	assert_int_equal(write(p.fd, stream, len), len);
	assert_int_equal(nettest_recv(n, 100), -EMSGSIZE);
	assert_int_equal(nettest_recv(n, 100), 100);
	check_frame(n->got, 100, 2);
	assert_int_equal(nettest_recv(n, 100), -EAGAIN);
	unix_done(n, &p);
}

static void read_exactly(struct nettest *n, int fd, u8 *buf, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t got = 0;

		nettest_until(n, (got = read(fd, buf + at, len - at)) > 0);
		at += (size_t)got;
	}
}

static void unix_sends_each_frame_behind_its_length(void **state)
{
	struct nettest *n = new_nettest();
	u8 want[4 + 1514], got[4 + 1514];
	struct peer p;

	(void)state;
	unix_pair(n, &p);
	for (u32 len = 14; len <= 1514; len += 500) {
		size_t all = stream_frame(want, len, (u8)len);

		assert_int_equal(nettest_send(n, want + 4, len), 0);
		read_exactly(n, p.fd, got, all);
		assert_memory_equal(got, want, all);
	}
	assert_int_equal(nettest_send(n, want + 4, 13), -EMSGSIZE);
	assert_int_equal(nettest_send(n, want + 4, 0), -EMSGSIZE);
	devtest_run(&n->t);
	assert_int_equal(read(p.fd, got, sizeof(got)), -1);
	unix_done(n, &p);
}

/* A peer that does not read fills the socket, then our buffer. */
static void unix_frames_wait_for_a_slow_peer_and_none_is_damaged(void **state)
{
	struct nettest *n = new_nettest();
	u8 *frame = calloc(1, 4 + NET_MAX_FRAME), *got = calloc(1, 4 + NET_MAX_FRAME);
	unsigned int sent = 0;
	struct peer p;
	u8 tiny[14];

	(void)state;
	assert_true(frame && got);
	unix_pair(n, &p);
	for (int ret = 0; !ret && sent < 1000;) {
		stream_frame(frame, NET_MAX_FRAME, (u8)sent);
		ret = nettest_send(n, frame + 4, NET_MAX_FRAME);
		devtest_run(&n->t);
		if (ret)
			assert_int_equal(ret, -EAGAIN);
		else
			sent++;
	}
	assert_true(sent > 2 && sent < 1000);
	n->n_ready = 0;
	for (unsigned int i = 0; i < sent; i++) {
		stream_frame(frame, NET_MAX_FRAME, (u8)i);
		read_exactly(n, p.fd, got, 4 + NET_MAX_FRAME);
		assert_memory_equal(got, frame, 4 + NET_MAX_FRAME);
	}
	assert_true(n->n_ready > 0); /* there is room again */
	assert_int_equal(read(p.fd, tiny, sizeof(tiny)), -1);
	n->n_ready = 0;
	devtest_run(&n->t);
	assert_int_equal(n->n_ready, 0);
	assert_int_equal(nettest_send(n, frame, NET_MAX_FRAME), 0);
	read_exactly(n, p.fd, got, 4 + NET_MAX_FRAME);
	free(frame);
	free(got);
	unix_done(n, &p);
}

static void unix_peer_that_sends_nonsense_is_cut_off(void **state)
{
	static const u32 lens[] = { 0, 13, NET_MAX_FRAME + 1, 0x7fffffff, 0x80000000, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct nettest *n = new_nettest();
		u32 prefix = htonl(lens[i]);
		u8 stream[100];
		struct peer p;
		size_t len;

		unix_pair(n, &p);
		nettest_want(n, 0, true);
		len = stream_frame(stream, 60, 1);
		memcpy(stream + len, &prefix, sizeof(prefix));
		assert_int_equal(write(p.fd, stream, len + 4), len + 4);
		assert_int_equal(nettest_recv(n, 65536), 60); /* what came before counts */
		assert_true(n->net->link);
		assert_int_equal(nettest_recv(n, 65536), -EAGAIN);
		assert_false(n->net->link);
		n->n_ready = 0;
		devtest_run(&n->t);
		assert_int_equal(n->n_ready, 1);
		assert_non_null(strstr(n->t.last_msg, "length"));
		assert_int_equal(read(p.fd, stream, sizeof(stream)), 0);
		assert_int_equal(nettest_recv(n, 65536), -EAGAIN);
		assert_int_equal(nettest_send(n, stream, 60), 0); /* lost */
		nettest_want(n, 0, false);
		nettest_want(n, 0, true);
		n->n_ready = 0;
		devtest_run(&n->t);
		assert_int_equal(n->n_ready, 0);
		unix_done(n, &p);
	}
}

static void unix_largest_frame_is_no_nonsense(void **state)
{
	struct nettest *n = new_nettest();
	u8 *stream = calloc(1, 4 + NET_MAX_FRAME);
	struct peer p;
	size_t at = 0;

	(void)state;
	assert_non_null(stream);
	unix_pair(n, &p);
	stream_frame(stream, NET_MAX_FRAME, 3);
	while (at < 4 + NET_MAX_FRAME) {
		ssize_t ret = write(p.fd, stream + at, 4 + NET_MAX_FRAME - at);

		assert_true(ret > 0);
		at += (size_t)ret;
		ret = nettest_recv(n, NET_MAX_FRAME);
		assert_int_equal(ret, at < 4 + NET_MAX_FRAME ? -EAGAIN : NET_MAX_FRAME);
	}
	check_frame(n->got, NET_MAX_FRAME, 3);
	free(stream);
	unix_done(n, &p);
}

static void unix_peer_that_goes_takes_the_link_along(void **state)
{
	struct nettest *n = new_nettest();
	u8 stream[200];
	struct peer p;
	size_t len;

	(void)state;
	unix_pair(n, &p);
	nettest_want(n, 0, true);
	len = stream_frame(stream, 60, 1);
	assert_int_equal(write(p.fd, stream, len + 2), len + 2); /* and half of a prefix */
	close(p.fd);
	p.fd = -1;
	devtest_run(&n->t);
	assert_int_equal(nettest_recv(n, 2000), 60);
	assert_int_equal(nettest_recv(n, 2000), -EAGAIN);
	assert_false(n->net->link);
	n->n_ready = 0;
	devtest_run(&n->t);
	assert_int_equal(n->n_ready, 1);
	assert_non_null(strstr(n->t.last_msg, "gone"));
	unix_done(n, &p);

	/* one that sends only learns of it, too */
	n = new_nettest();
	unix_pair(n, &p);
	close(p.fd);
	p.fd = -1;
	assert_int_equal(nettest_send(n, stream, 60), 0);
	devtest_run(&n->t);
	assert_false(n->net->link);
	assert_int_equal(n->n_ready, 1);
	unix_done(n, &p);
}

static void unix_socket_that_cannot_be_is_one_clear_line(void **state)
{
	char path[LKVM_SOCKET_MAX + 1] = { 0 };
	struct sockaddr_un addr;
	struct lkvm_error err;
	struct lkvm_net cfg;
	int fd, other[8];
	struct peer p;

	(void)state;
	unix_cfg(&cfg, "/nonexistent/socket");
	err = nettest_refused(&cfg);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(err.msg, "there is no socket \"/nonexistent/socket\""));

	unix_cfg(&cfg, "/etc/passwd");
	err = nettest_refused(&cfg);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(err.msg, "\"/etc/passwd\" is not a socket"));

	unix_cfg(&cfg, "");
	err = nettest_refused(&cfg);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(err.msg, "missing"));

	memset(path, 'x', sizeof(path) - 1); /* fills the field to its last byte */
	unix_cfg(&cfg, path);
	err = nettest_refused(&cfg);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(err.msg, "longer than 107 bytes"));

	peer_listen(&p, SOCK_STREAM, -1); /* bound, but not listening */
	unix_cfg(&cfg, p.path);
	err = nettest_refused(&cfg);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(err.msg, "nobody listens on \""));
	assert_non_null(strstr(err.msg, p.path));
	peer_gone(&p);

	peer_listen(&p, SOCK_DGRAM, -1);
	unix_cfg(&cfg, p.path);
	err = nettest_refused(&cfg);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(err.msg, "not a stream socket"));
	peer_gone(&p);

	peer_listen(&p, SOCK_STREAM, 0); /* a queue that others have filled must not make us wait */
	fill_addr(&addr, p.path);
	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		other[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		fd = connect(other[i], (struct sockaddr *)&addr, sizeof(addr));
		(void)fd;
	}
	unix_cfg(&cfg, p.path);
	err = nettest_refused(&cfg);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(err.msg, "takes no more connections"));
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		close(other[i]);
	peer_gone(&p);
}

static void no_back_end_is_no_error(void **state)
{
	struct lkvm_net cfg = { .mode = LKVM_NET_NONE };
	struct nettest *n = new_nettest();

	(void)state;
	nettest_board(n);
	assert_int_equal(net_open(&n->net, &cfg, n->t.loop, &n->t.log, NULL), 0);
	assert_null(n->net);
	net_close(NULL);
	devtest_fini(&n->t);
	free(n);
}

/* ---- user: the guest's side of an IPv4 and IPv6 network ------------------------------ */

#define GUEST_IP 0x0a00020fu /* 10.0.2.15 */
#define HOST_IP	 0x0a000202u
#define MIN_LEN	 60 /* of an Ethernet frame */

static const u8 guest_mac[6] = { 0x02, 0, 0, 0, 0, 1 };
static const u8 broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const u8 host_mac[6] = { 0x52, 0x55, 10, 0, 2, 2 };

/* Frames that cost much are taken a few in each turn of the loop. */
static void user_send(struct nettest *n, const u8 *frame, u32 len)
{
	int ret;

	while ((ret = nettest_send(n, frame, len)) == -EAGAIN)
		devtest_run(&n->t);
	assert_int_equal(ret, 0);
}

static void put_be16(u8 *p, u16 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

static void put_be32(u8 *p, u32 v)
{
	put_be16(p, (u16)(v >> 16));
	put_be16(p + 2, (u16)v);
}

static u16 get_be16(const u8 *p)
{
	return (u16)(p[0] << 8 | p[1]);
}

static u32 get_be32(const u8 *p)
{
	return (u32)get_be16(p) << 16 | get_be16(p + 2);
}

/* RFC 1071, of @len bytes and what is already in @sum. */
static u16 checksum(const u8 *p, size_t len, u32 sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (u32)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}

static void put_eth(u8 *f, const u8 *dst, u16 type)
{
	memcpy(f, dst, 6);
	memcpy(f + 6, guest_mac, 6);
	put_be16(f + 12, type);
}

/* IPv4 from the guest, around @len bytes at f + 34. Returns the frame's length. */
static u32 put_ip4(u8 *f, u8 proto, u32 src, u32 dst, u16 len)
{
	put_eth(f, host_mac, 0x0800);
	memset(f + 14, 0, 20);
	f[14] = 0x45;
	put_be16(f + 16, (u16)(20 + len));
	f[22] = 64;
	f[23] = proto;
	put_be32(f + 26, src);
	put_be32(f + 30, dst);
	put_be16(f + 24, checksum(f + 14, 20, 0));
	return 34u + len;
}

/* The sum of a TCP or UDP pseudo header whose @len bytes are at f + 34. */
static u32 pseudo_sum(const u8 *f, u16 len)
{
	u32 sum = f[23] + len;

	for (int i = 26; i < 34; i += 2)
		sum += get_be16(f + i);
	return sum;
}

static u32 put_udp(u8 *f, u32 src, u16 sport, u32 dst, u16 dport, const void *data, u16 len)
{
	put_be16(f + 34, sport);
	put_be16(f + 36, dport);
	put_be16(f + 38, (u16)(8 + len));
	put_be16(f + 40, 0);
	memcpy(f + 42, data, len);
	return put_ip4(f, 17, src, dst, (u16)(8 + len));
}

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

/* A connection as the guest sees it. */
struct tcp {
	u32 ip;
	u16 sport, dport;
	u32 seq, ack;
};

static void tcp_send(struct nettest *n, const struct tcp *c, u8 flags, const void *data, u16 len)
{
	u8 f[1600] = { 0 };
	u32 all;

	put_be16(f + 34, c->sport);
	put_be16(f + 36, c->dport);
	put_be32(f + 38, c->seq);
	put_be32(f + 42, flags & TCP_ACK ? c->ack : 0);
	f[46] = 5 << 4;
	f[47] = flags;
	put_be16(f + 48, 65535);
	if (len)
		memcpy(f + 54, data, len);
	all = put_ip4(f, 6, GUEST_IP, c->ip, (u16)(20 + len));
	put_be16(f + 50, checksum(f + 34, 20u + len, pseudo_sum(f, (u16)(20 + len))));
	user_send(n, f, all);
}

static void arp_reply(struct nettest *n, const u8 *request)
{
	u8 f[MIN_LEN] = { 0 };

	put_eth(f, request + 6, 0x0806);
	memcpy(f + 14, request + 14, 6);
	put_be16(f + 20, 2);
	memcpy(f + 22, guest_mac, 6);
	memcpy(f + 28, request + 38, 4);
	memcpy(f + 32, request + 22, 10);
	user_send(n, f, sizeof(f));
}

/* The next frame that is not one of slirp's own questions, which are answered; 0: none now. */
static ssize_t user_next(struct nettest *n)
{
	ssize_t len;

	while ((len = nettest_recv(n, 2000)) > 0) {
		bool ours = !memcmp(n->got, guest_mac, 6);

		if (get_be16(n->got + 12) == 0x0806 && get_be16(n->got + 20) == 1)
			arp_reply(n, n->got);
		else if (get_be16(n->got + 12) != 0x86dd || ours)
			return len;
	}
	assert_int_equal(len, -EAGAIN);
	return 0;
}

/* A TCP segment for @c; its flags, with n->got the frame. */
static u8 tcp_next(struct nettest *n, const struct tcp *c)
{
	ssize_t len = 0;

	nettest_until(n, (len = user_next(n)) > 0);
	assert_true(len >= 54);
	assert_int_equal(get_be16(n->got + 12), 0x0800);
	assert_int_equal(n->got[23], 6);
	assert_int_equal(get_be32(n->got + 26), c->ip);
	assert_int_equal(get_be32(n->got + 30), GUEST_IP);
	assert_int_equal(get_be16(n->got + 34), c->dport);
	assert_int_equal(get_be16(n->got + 36), c->sport);
	return n->got[47];
}

/* The text of a segment in n->got. */
static u16 tcp_text(const struct nettest *n, const u8 **text)
{
	u16 hdr = (u16)(20 + (n->got[46] >> 4) * 4);

	*text = n->got + 14 + hdr;
	return (u16)(get_be16(n->got + 16) - hdr);
}

static void arp_ask(struct nettest *n, u32 ip)
{
	u8 f[MIN_LEN] = { 0 };

	put_eth(f, broadcast, 0x0806);
	memcpy(f + 14, (u8[]){ 0, 1, 8, 0, 6, 4, 0, 1 }, 8);
	memcpy(f + 22, guest_mac, 6);
	put_be32(f + 28, GUEST_IP);
	put_be32(f + 38, ip);
	user_send(n, f, sizeof(f));
}

static void user_open(struct nettest *n, const struct lkvm_hostfwd *fwd, unsigned int n_fwd)
{
	struct lkvm_net cfg = { .mode = LKVM_NET_USER, .n_hostfwd = n_fwd };

	for (unsigned int i = 0; i < n_fwd; i++)
		cfg.hostfwd[i] = fwd[i];
	nettest_open(n, &cfg);
	nettest_want(n, 0, true);
}

static void user_done(struct nettest *n)
{
	nettest_close(n);
	free(n);
}

/* A listening socket of the host on 127.0.0.1; the port is chosen. */
static int host_listen(int type, u16 *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*port = ntohs(addr.sin_port);
	return fd;
}

/* A port of the host that nobody has just now. */
static u16 free_port(int type)
{
	u16 port;

	close(host_listen(type, &port));
	return port;
}

static int host_connect(u16 port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				    .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void user_host_and_name_server_answer_arp(void **state)
{
	struct nettest *n = new_nettest();

	(void)state;
	user_open(n, NULL, 0);
	for (u32 ip = HOST_IP; ip <= HOST_IP + 1; ip++) {
		arp_ask(n, ip);
		devtest_run(&n->t);
		assert_true(n->n_ready > 0);
		assert_true(user_next(n) >= 42);
		assert_memory_equal(n->got, guest_mac, 6);
		assert_int_equal(get_be16(n->got + 20), 2);
		assert_int_equal(get_be32(n->got + 28), ip);
	}
	arp_ask(n, HOST_IP + 5); /* nobody */
	devtest_run(&n->t);
	assert_int_equal(user_next(n), 0);
	user_done(n);
}

static void user_network_offers_an_address(void **state)
{
	struct nettest *n = new_nettest();
	u8 dhcp[300] = { 1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78 };
	u8 f[400];
	bool dns = false, router = false;

	(void)state;
	user_open(n, NULL, 0);
	memcpy(dhcp + 28, guest_mac, 6);
	memcpy(dhcp + 236, (u8[]){ 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255 }, 8);
	user_send(n, f, put_udp(f, 0, 68, 0xffffffff, 67, dhcp, sizeof(dhcp)));
	devtest_run(&n->t);
	assert_true(user_next(n) > 42 + 240);
	assert_int_equal(get_be16(n->got + 36), 68);
	assert_int_equal(get_be32(n->got + 42 + 4), 0x12345678);
	assert_int_equal(get_be32(n->got + 42 + 16), GUEST_IP);		 /* yiaddr */
	assert_memory_equal(n->got + 42 + 240, ((u8[]){ 53, 1, 2 }), 3); /* an offer */
	for (const u8 *o = n->got + 42 + 240; *o != 255; o += 2 + o[1]) {
		assert_true(o - n->got < 600);
		router |= o[0] == 3 && get_be32(o + 2) == HOST_IP;
		dns |= o[0] == 6 && get_be32(o + 2) == HOST_IP + 1;
	}
	assert_true(router && dns);
	user_done(n);
}

static void user_router_announces_the_ipv6_network(void **state)
{
	static const u8 prefix[16] = { 0xfe, 0xc0 };
	struct nettest *n = new_nettest();
	bool announced = false;
	u8 f[70] = { 0 };
	ssize_t len;

	(void)state;
	user_open(n, NULL, 0);
	put_eth(f, (u8[]){ 0x33, 0x33, 0, 0, 0, 2 }, 0x86dd);
	f[14] = 0x60;
	put_be16(f + 18, 16);
	f[20] = 58;
	f[21] = 255;
	memcpy(f + 22, (u8[]){ 0xfe, 0x80 }, 2);
	f[37] = 9;
	memcpy(f + 38, (u8[]){ 0xff, 0x02 }, 2);
	f[53] = 2;
	f[54] = 133; /* router solicitation, with our address */
	memcpy(f + 62, (u8[]){ 1, 1 }, 2);
	memcpy(f + 64, guest_mac, 6);
	put_be16(f + 56, checksum(f + 22, sizeof(f) - 22, 16 + 58));
	user_send(n, f, sizeof(f));
	devtest_run(&n->t);
	while ((len = nettest_recv(n, 2000)) > 0) {
		if (get_be16(n->got + 12) != 0x86dd || n->got[54] != 134)
			continue;
		for (u8 *o = n->got + 70; o < n->got + len && o[1]; o += o[1] * 8)
			announced |= o[0] == 3 && o[2] == 64 && !memcmp(o + 16, prefix, 16);
	}
	assert_true(announced);
	user_done(n);
}

static void user_pings_of_addresses_beyond_are_not_told_on_stderr(void **state)
{
	struct nettest *n = new_nettest();
	int pipefd[2], saved = dup(STDERR_FILENO);
	u8 f[14 + 40 + 16] = { 0 };
	u8 byte;

	(void)state;
	assert_int_equal(pipe2(pipefd, O_NONBLOCK | O_CLOEXEC), 0);
	user_open(n, NULL, 0);
	put_eth(f, host_mac, 0x86dd);
	f[14] = 0x60;
	put_be16(f + 18, 16);
	f[20] = 58;
	f[21] = 64;
	memcpy(f + 22, (u8[]){ 0xfe, 0xc0 }, 2);
	f[37] = 9;
	memcpy(f + 38, (u8[]){ 0x20, 0x01, 0x0d, 0xb8 }, 4);
	f[54] = 128;
	put_be16(f + 56, checksum(f + 22, sizeof(f) - 22, 16 + 58));
	fflush(stderr);
	dup2(pipefd[1], STDERR_FILENO);
	user_send(n, f, sizeof(f));
	devtest_run(&n->t);
	f[37] ^= 1; /* the same with a wrong sum, and to all nodes */
	user_send(n, f, sizeof(f));
	devtest_run(&n->t);
	dup2(saved, STDERR_FILENO);
	assert_int_equal(read(pipefd[0], &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	close(saved);
	close(pipefd[0]);
	close(pipefd[1]);
	user_done(n);
}

/* Shake hands with a listening socket of the host; *@host is the accepted one. */
static void tcp_open(struct nettest *n, struct tcp *c, int listener, int *host)
{
	tcp_send(n, c, TCP_SYN, NULL, 0);
	assert_int_equal(tcp_next(n, c) & (TCP_SYN | TCP_ACK | TCP_RST), TCP_SYN | TCP_ACK);
	assert_int_equal(get_be32(n->got + 42), c->seq + 1);
	c->seq++;
	c->ack = get_be32(n->got + 38) + 1;
	tcp_send(n, c, TCP_ACK, NULL, 0);
	nettest_until(n,
		      (*host = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
}

/* The guest sends @len bytes of "x" and the host gets them; then the other way round. */
static void tcp_talk(struct nettest *n, struct tcp *c, int host)
{
	char data[1000], got[1000];
	const u8 *text;
	size_t at = 0;
	u16 len = 0;

	memset(data, 'x', sizeof(data));
	tcp_send(n, c, TCP_ACK, data, sizeof(data));
	c->seq += sizeof(data);
	while (at < sizeof(data)) {
		ssize_t ret = 0;

		nettest_until(n, (ret = read(host, got + at, sizeof(got) - at)) > 0);
		at += (size_t)ret;
	}
	assert_memory_equal(got, data, sizeof(data));
	assert_int_equal(write(host, "hello", 5), 5);
	while (!len) {
		assert_true(tcp_next(n, c) & TCP_ACK);
		len = tcp_text(n, &text);
	}
	assert_int_equal(len, 5);
	assert_memory_equal(text, "hello", 5);
	c->ack += len;
	tcp_send(n, c, TCP_ACK, NULL, 0);
}

static void user_guest_reaches_a_port_of_the_host(void **state)
{
	struct nettest *n = new_nettest();
	struct tcp c = { .ip = HOST_IP, .sport = 1234, .seq = 1000 };
	int listener, host;
	char byte;

	(void)state;
	listener = host_listen(SOCK_STREAM, &c.dport);
	user_open(n, NULL, 0);
	arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	assert_true(user_next(n) > 0);
	tcp_open(n, &c, listener, &host);
	tcp_talk(n, &c, host);
	/* the guest's end reaches the host, and the host's the guest */
	tcp_send(n, &c, TCP_FIN | TCP_ACK, NULL, 0);
	c.seq++;
	nettest_until(n, read(host, &byte, 1) == 0);
	close(host);
	while (!(tcp_next(n, &c) & TCP_FIN))
		;
	close(listener);
	user_done(n);
}

static void user_segments_fit_the_mtu_of_the_card(void **state)
{
	struct lkvm_net cfg = { .mode = LKVM_NET_USER, .mtu = 1400 };
	struct nettest *n = new_nettest();
	struct tcp c = { .ip = HOST_IP, .sport = 1234, .seq = 1000 };
	int listener;

	(void)state;
	listener = host_listen(SOCK_STREAM, &c.dport);
	nettest_open(n, &cfg);
	arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	assert_true(user_next(n) > 0);
	tcp_send(n, &c, TCP_SYN, NULL, 0);
	assert_true(tcp_next(n, &c) & TCP_SYN);
	assert_int_equal(n->got[54], 2); /* the option */
	assert_int_equal(get_be16(n->got + 56), 1400 - 40);
	close(listener);
	user_done(n);
}

static void user_closed_port_of_the_host_refuses(void **state)
{
	struct nettest *n = new_nettest();
	struct tcp c = { .ip = HOST_IP, .sport = 1234, .seq = 1000 };

	(void)state;
	c.dport = free_port(SOCK_STREAM);
	user_open(n, NULL, 0);
	arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	assert_true(user_next(n) > 0);
	tcp_send(n, &c, TCP_SYN, NULL, 0);
	assert_true(tcp_next(n, &c) & TCP_RST);
	user_done(n);
}

static void user_port_of_the_host_leads_into_the_guest(void **state)
{
	struct lkvm_hostfwd fwd = { .guest_port = 22 };
	struct nettest *n = new_nettest();
	struct tcp c = { .ip = HOST_IP, .sport = 22, .seq = 5000 };
	int host;

	(void)state;
	fwd.host_port = free_port(SOCK_STREAM);
	user_open(n, &fwd, 1);
	devtest_run(&n->t);
	host = host_connect(fwd.host_port);
	/* The first SYN may be lost while the guest is asked for its address. */
	for (;;) {
		ssize_t len = 0;

		nettest_until(n, (len = user_next(n)) > 0 ||
					 (devtest_advance(&n->t, NSEC_PER_SEC / 10), false));
		if (n->got[23] == 6)
			break;
	}
	assert_int_equal(get_be32(n->got + 30), GUEST_IP);
	assert_int_equal(get_be16(n->got + 36), 22);
	assert_int_equal(n->got[47] & (TCP_SYN | TCP_ACK), TCP_SYN);
	c.dport = get_be16(n->got + 34);
	c.ack = get_be32(n->got + 38) + 1;
	tcp_send(n, &c, TCP_SYN | TCP_ACK, NULL, 0);
	c.seq++;
	while ((tcp_next(n, &c) & (TCP_SYN | TCP_ACK)) != TCP_ACK)
		;
	tcp_talk(n, &c, host);
	close(host);
	user_done(n);
}

static void user_udp_goes_out_and_comes_back(void **state)
{
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	struct nettest *n = new_nettest();
	char buf[16];
	int host;
	u16 port;
	u8 f[100];

	(void)state;
	host = host_listen(SOCK_DGRAM, &port);
	user_open(n, NULL, 0);
	arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	assert_true(user_next(n) > 0);
	user_send(n, f, put_udp(f, GUEST_IP, 5000, HOST_IP, port, "ping", 4));
	nettest_until(n, recvfrom(host, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_len) ==
				 4);
	assert_memory_equal(buf, "ping", 4);
	assert_int_equal(sendto(host, "pong", 4, 0, (struct sockaddr *)&from, from_len), 4);
	nettest_until(n, user_next(n) > 0);
	assert_int_equal(n->got[23], 17);
	assert_int_equal(get_be16(n->got + 36), 5000);
	assert_memory_equal(n->got + 42, "pong", 4);
	close(host);
	user_done(n);
}

static void user_port_in_use_is_one_clear_line_and_frees_the_others(void **state)
{
	struct lkvm_net cfg = { .mode = LKVM_NET_USER, .n_hostfwd = 2 };
	char text[64];

	(void)state;
	for (int udp = 0; udp < 2; udp++) {
		struct lkvm_error err;
		u16 used, other;
		int fd = host_listen(udp ? SOCK_DGRAM : SOCK_STREAM, &used);
		int fd2;

		do
			other = free_port(udp ? SOCK_DGRAM : SOCK_STREAM);
		while (other == used);
		cfg.hostfwd[0] = (struct lkvm_hostfwd){
			.udp = udp, .host_addr = "127.0.0.1", .host_port = other, .guest_port = 80
		};
		cfg.hostfwd[1] =
			(struct lkvm_hostfwd){ .udp = udp, .host_port = used, .guest_port = 22 };
		err = nettest_refused(&cfg);
		assert_int_equal(err.kind, LKVM_ERR_INPUT);
		snprintf(text, sizeof(text), "hostfwd=%s::%u-:22: port %u", udp ? "udp" : "tcp",
			 used, used);
		assert_non_null(strstr(err.msg, text));
		assert_non_null(strstr(err.msg, "in use"));
		/* The first one was given back: it can be had again. */
		cfg.hostfwd[1].host_port = other;
		cfg.hostfwd[0].host_port = used;
		err = nettest_refused(&cfg);
		snprintf(text, sizeof(text), "port %u of the host is in use", used);
		assert_non_null(strstr(err.msg, text));
		/* twice the same */
		cfg.hostfwd[0] = cfg.hostfwd[1];
		err = nettest_refused(&cfg);
		snprintf(text, sizeof(text), "port %u of the host is in use", other);
		assert_non_null(strstr(err.msg, text));
		close(fd);
		fd2 = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(fd2,
				      (struct sockaddr *)&(struct sockaddr_in){
					      .sin_family = AF_INET, .sin_port = htons(other) },
				      sizeof(struct sockaddr_in)),
				 0);
		close(fd2);
	}
}

static void user_forward_that_cannot_be_is_one_clear_line(void **state)
{
	static const struct {
		struct lkvm_hostfwd fwd;
		const char *says;
	} cases[] = {
		{ { .host_addr = "1.2.3", .host_port = 1, .guest_port = 1 }, "\"1.2.3\" is not" },
		{ { .guest_addr = "ten", .host_port = 1, .guest_port = 1 }, "\"ten\" is not" },
		{ { .guest_addr = "10.0.3.15", .host_port = 1, .guest_port = 1 }, "10.0.2.0/24" },
		{ { .host_port = 0, .guest_port = 1 }, "1 to 65535" },
		{ { .host_port = 1, .guest_port = 0 }, "1 to 65535" },
		{ { .host_addr = "192.0.2.1", .host_port = 2222, .guest_port = 22 },
		  "hostfwd=tcp:192.0.2.1:2222-:22: the host has no address 192.0.2.1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lkvm_net cfg = { .mode = LKVM_NET_USER, .n_hostfwd = 1 };
		struct lkvm_error err;

		cfg.hostfwd[0] = cases[i].fwd;
		err = nettest_refused(&cfg);
		assert_int_equal(err.kind, LKVM_ERR_INPUT);
		assert_non_null(strstr(err.msg, cases[i].says));
	}
}

static void user_ports_are_given_back_at_the_end(void **state)
{
	struct lkvm_hostfwd fwd[2] = { { .guest_port = 22 }, { .udp = true, .guest_port = 53 } };
	unsigned int fds = nettest_fds();

	(void)state;
	fwd[0].host_port = free_port(SOCK_STREAM);
	fwd[1].host_port = free_port(SOCK_DGRAM);
	for (int i = 0; i < 3; i++) {
		struct nettest *n = new_nettest();
		int host;

		user_open(n, fwd, 2);
		devtest_run(&n->t);
		host = host_connect(fwd[0].host_port);
		nettest_until(n, nettest_recv(n, 2000) > 0); /* somebody asks for the guest */
		close(host);
		user_done(n);
		assert_int_equal(nettest_fds(), fds);
	}
}

/* What a guest that does not read, or opens whatever it can, takes from us is bounded. */
static void user_frames_that_nobody_takes_are_lost_in_the_end(void **state)
{
	struct nettest *n = new_nettest();
	unsigned int got = 0;

	(void)state;
	user_open(n, NULL, 0);
	nettest_want(n, 0, false);
	for (int i = 0; i < 100000; i++)
		arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	n->n_ready = 0;
	devtest_advance(&n->t, 5 * NSEC_PER_SEC);
	assert_int_equal(n->n_ready, 0);
	while (nettest_recv(n, 2000) > 0)
		got++;
	assert_true(got > 1000 && got < 50000);
	/* and it goes on */
	arp_ask(n, HOST_IP);
	nettest_want(n, 0, true);
	devtest_run(&n->t);
	assert_true(n->n_ready > 0);
	assert_true(user_next(n) > 0);
	user_done(n);
}

static void user_guest_cannot_take_all_descriptors(void **state)
{
	struct nettest *n = new_nettest();
	struct tcp c = { .ip = HOST_IP, .seq = 1 };
	unsigned int before, listener_fds;
	int listener;
	u8 f[100];

	(void)state;
	listener = host_listen(SOCK_STREAM, &c.dport);
	user_open(n, NULL, 0);
	arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	assert_true(user_next(n) > 0);
	before = nettest_fds();
	for (u16 i = 0; i < 2000; i++) {
		user_send(n, f, put_udp(f, GUEST_IP, (u16)(1000 + i), HOST_IP, c.dport, "x", 1));
		c.sport = (u16)(1000 + i);
		tcp_send(n, &c, TCP_SYN, NULL, 0);
	}
	devtest_run(&n->t);
	listener_fds = nettest_fds() - before;
	assert_true(listener_fds > 100 && listener_fds <= 512);
	while (nettest_recv(n, 2000) > 0)
		;
	/* What was idle expires, and the network is of use again. */
	for (int i = 0; i < 300; i++) {
		devtest_advance(&n->t, NSEC_PER_SEC);
		while (nettest_recv(n, 2000) > 0)
			;
	}
	assert_true(nettest_fds() - before < 400);
	close(listener);
	user_done(n);
}

/*
 * Segments of one byte with gaps between them, which libslirp keeps one by one: it never gets
 * more than so many, yet the connection is as good as new once the gaps are filled. Memory is
 * what the allocator says (nothing, under a sanitizer).
 */
static void user_segments_out_of_order_are_kept_up_to_a_limit(void **state)
{
	struct nettest *n = new_nettest();
	struct tcp c = { .ip = HOST_IP, .sport = 1234, .seq = 1000 };
	struct mallinfo2 before;
	char data[1000], got[1000];
	int listener, host;
	size_t at = 0;
	u32 base;

	(void)state;
	listener = host_listen(SOCK_STREAM, &c.dport);
	user_open(n, NULL, 0);
	arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	assert_true(user_next(n) > 0);
	tcp_open(n, &c, listener, &host);
	base = c.seq;
	before = mallinfo2();
	for (u32 i = 0; i < 30000; i++) {
		c.seq = base + 60000 - 2 * i;
		/* now and then one that is far outside, which must not make it forget */
		if (i % 64 == 63)
			c.seq = base + 0x60000000u * (i / 64 % 3);
		if (c.seq == base)
			continue;
		tcp_send(n, &c, TCP_ACK, "x", 1);
		if (i % 64 == 0) {
			devtest_run(&n->t);
			while (nettest_recv(n, 2000) > 0)
				;
		}
	}
	assert_in_range(mallinfo2().uordblks, 0, before.uordblks + MIB);
	memset(data, 'x', sizeof(data));
	for (c.seq = base; c.seq - base < 60 * sizeof(data); c.seq += sizeof(data)) {
		tcp_send(n, &c, TCP_ACK, data, sizeof(data));
		for (at = 0; at < sizeof(got);) {
			ssize_t ret = 0;

			nettest_until(n, (ret = read(host, got, sizeof(got) - at)) > 0);
			at += (size_t)ret;
		}
	}
	while (user_next(n) > 0)
		;
	c.seq = base + 60001; /* what was sent highest */
	tcp_send(n, &c, TCP_ACK, "x", 1);
	c.seq++;
	while (read(host, got, sizeof(got)) > 0)
		;
	/* The limit is there again for what comes out of order. */
	for (u32 i = 50; i--;) {
		struct tcp late = c;

		late.seq += i;
		tcp_send(n, &late, TCP_ACK, "y", 1);
	}
	for (at = 0; at < 50;) {
		ssize_t ret = 0;

		nettest_until(n, (ret = read(host, got, sizeof(got))) > 0);
		at += (size_t)ret;
	}
	assert_int_equal(at, 50);
	close(host);
	close(listener);
	user_done(n);
}

/* Some megabytes in order, in segments of all sizes, arrive without one being sent twice. */
static void user_segments_in_order_are_never_lost(void **state)
{
	static const u16 sizes[] = { 1, 2, 100, 536, 1460 };
	struct nettest *n = new_nettest();
	struct tcp c = { .ip = HOST_IP, .sport = 1234, .seq = 0xfff00000u };
	u8 data[1460], got[4096];
	int listener, host;
	u64 sent = 0, read_back = 0;

	(void)state;
	memset(data, 'x', sizeof(data));
	listener = host_listen(SOCK_STREAM, &c.dport);
	user_open(n, NULL, 0);
	arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	assert_true(user_next(n) > 0);
	tcp_open(n, &c, listener, &host);
	for (u32 i = 0; i < 10000; i++) {
		u16 len = sizes[i / 2000];

		tcp_send(n, &c, TCP_ACK, data, len);
		c.seq += len;
		sent += len;
		if (i % 16 != 15)
			continue;
		while (read_back < sent) {
			ssize_t ret = 0;

			nettest_until(n, (ret = read(host, got, sizeof(got))) > 0);
			read_back += (u64)ret;
		}
		while (user_next(n) > 0)
			;
	}
	assert_int_equal(read_back, sent);
	close(host);
	close(listener);
	user_done(n);
}

/* A segment over IPv6 between the guest's @port and port 80; @out: from the guest. */
static u32 put_tcp6(u8 *f, bool out, u16 port, u32 seq, u32 ack, u8 flags, u16 len)
{
	memset(f, 0, 74u + len);
	put_eth(f, host_mac, 0x86dd);
	f[14] = 0x60;
	put_be16(f + 18, (u16)(20 + len));
	f[20] = 6;
	f[out ? 53 : 37] = 1; /* the other end's address; the guest's is all zero */
	put_be16(f + (out ? 54 : 56), port);
	put_be16(f + (out ? 56 : 54), 80);
	put_be32(f + 58, seq);
	put_be32(f + 62, ack);
	f[66] = 5 << 4;
	f[67] = flags;
	return 74u + len;
}

/* How many of @n segments with a gap before them go through. */
static unsigned int flow_gaps(struct net_flow *nf, u16 port, u8 flags, u16 len, unsigned int n)
{
	unsigned int passed = 0;
	u8 f[100];

	for (unsigned int i = 0; i < n; i++)
		passed += net_flow_pass(nf, f, put_tcp6(f, true, port, 1000 + 2 * i, 1, flags, len),
					0);
	return passed;
}

static void flow_counts_ipv6_and_fins_and_knows_who_it_forgot(void **state)
{
	struct net_flow *nf = calloc(1, sizeof(*nf));
	unsigned int limit;
	u8 f[100];

	(void)state;
	assert_non_null(nf);
	net_flow_init(nf, 1500);
	/* SYN, ACK: a connection of which nothing waits */
	net_flow_answer(nf, f, put_tcp6(f, false, 1, 1, 500, TCP_SYN | TCP_ACK, 0));
	limit = flow_gaps(nf, 1, TCP_ACK, 1, 10000);
	assert_in_range(limit, 65535 / 1460 + 1, 256);
	net_flow_answer(nf, f, put_tcp6(f, false, 1, 1, 500, TCP_ACK, 0)); /* once more */
	assert_int_equal(flow_gaps(nf, 1, TCP_ACK, 1, 10), 0);
	assert_int_equal(flow_gaps(nf, 1, TCP_ACK, 0, 10), 10); /* no text */
	net_flow_answer(nf, f, put_tcp6(f, false, 1, 1, 21002, TCP_ACK, 0));
	net_flow_answer(nf, f, put_tcp6(f, false, 2, 1, 500, TCP_SYN | TCP_ACK, 0));
	assert_int_equal(flow_gaps(nf, 2, TCP_FIN | TCP_ACK, 0, 10000), limit);

	/* So many others, with something waiting in each, that it is forgotten. */
	for (u16 port = 100; port < 30000; port++) {
		net_flow_answer(nf, f, put_tcp6(f, false, port, 1, 500, TCP_SYN | TCP_ACK, 0));
		flow_gaps(nf, port, TCP_ACK, 1, 1);
	}
	assert_int_equal(flow_gaps(nf, 2, TCP_ACK, 1, 10000), FLOW_STRANGERS);
	net_flow_answer(nf, f, put_tcp6(f, false, 2, 1, 500, TCP_ACK, 0));
	assert_int_equal(flow_gaps(nf, 2, TCP_ACK, 1, 10000), 0);
	assert_true(net_flow_pass(nf, f, put_tcp6(f, true, 2, 500, 1, TCP_ACK, 1), 0));
	net_flow_answer(nf, f, put_tcp6(f, false, 2, 1, 501 + 65535, TCP_ACK, 0));
	assert_true(net_flow_pass(nf, f, put_tcp6(f, true, 2, 70000, 1, TCP_ACK, 1), 0));
	free(nf);
}

/* A fragment of @len bytes at f + 34; @off in 8 bytes, 0x2000: more follow. */
static u32 put_fragment(u8 *f, u8 proto, u16 id, u16 off, u16 len)
{
	u32 all = put_ip4(f, proto, GUEST_IP, HOST_IP, len);

	put_be16(f + 18, id);
	put_be16(f + 20, off);
	put_be16(f + 24, 0);
	put_be16(f + 24, checksum(f + 14, 20, 0));
	return all;
}

static void user_fragments_do_not_hide_that_a_socket_is_wanted(void **state)
{
	struct nettest *n = new_nettest();
	unsigned int before;
	u16 port;
	int listener;
	u8 f[100];

	(void)state;
	listener = host_listen(SOCK_STREAM, &port);
	assert_int_equal(listen(listener, 4096), 0);
	user_open(n, NULL, 0);
	arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	assert_true(user_next(n) > 0);
	before = nettest_fds();
	for (u16 i = 0; i < 700; i++) {
		u8 seg[20] = { [12] = 5 << 4, [13] = TCP_SYN };

		put_be16(seg, (u16)(4000 + i));
		put_be16(seg + 2, port);
		put_be32(seg + 4, 1);
		put_be16(seg + 14, 65535);
		memcpy(f + 34, seg, sizeof(seg));
		put_ip4(f, 6, GUEST_IP, HOST_IP, sizeof(seg));
		put_be16(seg + 16, checksum(seg, sizeof(seg), pseudo_sum(f, sizeof(seg))));
		memcpy(f + 34, seg, 8);
		user_send(n, f, put_fragment(f, 6, (u16)(i + 1), 0x2000, 8));
		memcpy(f + 34, seg + 8, 12);
		user_send(n, f, put_fragment(f, 6, (u16)(i + 1), 1, 12));
		devtest_run(&n->t);
		while (nettest_recv(n, 2000) > 0)
			;
	}
	assert_in_range(nettest_fds(), 0, before + 512);
	close(listener);
	user_done(n);
}

static void user_fragments_that_wait_for_others_are_bounded(void **state)
{
	struct nettest *n = new_nettest();
	struct mallinfo2 before;
	char got[16];
	u8 f[100] = { 0 };
	int host;
	u16 port;

	(void)state;
	host = host_listen(SOCK_DGRAM, &port);
	user_open(n, NULL, 0);
	arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	assert_true(user_next(n) > 0);
	before = mallinfo2();
	for (u16 i = 0; i < 20000; i++)
		user_send(n, f, put_fragment(f, 17, i, 0x2000, 8));
	assert_in_range(mallinfo2().uordblks, 0, before.uordblks + 4 * MIB);
	/* A second later a datagram in two pieces goes through. */
	devtest_advance(&n->t, NSEC_PER_SEC);
	put_udp(f, GUEST_IP, 5000, HOST_IP, port, "ping", 4);
	user_send(n, f, put_fragment(f, 17, 30000, 0x2000, 8));
	memcpy(f + 34, "ping", 4);
	user_send(n, f, put_fragment(f, 17, 30000, 1, 4));
	nettest_until(n, recv(host, got, sizeof(got), 0) == 4);
	assert_memory_equal(got, "ping", 4);
	close(host);
	user_done(n);
}

/* Each of these has libslirp keep an answer until it knows where to. */
static void user_flood_leaves_the_loop_to_others(void **state)
{
	struct nettest *n = new_nettest();
	u8 f[100] = { 0 };
	int ret = 0;

	(void)state;
	user_open(n, NULL, 0);
	nettest_want(n, 0, false);
	devtest_run(&n->t);
	put_eth(f, host_mac, 0x86dd);
	f[14] = 0x60;
	put_be16(f + 18, 0xffff); /* too big */
	memcpy(f + 22, (u8[]){ 0xfe, 0xc0 }, 2);
	for (u32 i = 0; !ret && i < 100000; i++) {
		put_be32(f + 34, i + 16);
		ret = nettest_send(n, f, sizeof(f));
	}
	assert_int_equal(ret, -EAGAIN);
	n->n_ready = 0;
	devtest_run(&n->t);
	assert_int_equal(n->n_ready, 1);
	assert_int_equal(nettest_send(n, f, sizeof(f)), 0);
	user_done(n);
}

static void user_frame_longer_than_the_mtu_is_lost(void **state)
{
	static const u8 zero[14 + 1501];
	struct nettest *n = new_nettest();
	u8 f[sizeof(zero)];

	(void)state;
	user_open(n, NULL, 0);
	memcpy(f, zero, sizeof(f));
	put_eth(f, broadcast, 0x0806);
	memcpy(f + 14, (u8[]){ 0, 1, 8, 0, 6, 4, 0, 1 }, 8);
	memcpy(f + 22, guest_mac, 6);
	put_be32(f + 28, GUEST_IP);
	put_be32(f + 38, HOST_IP);
	user_send(n, f, sizeof(f));
	devtest_run(&n->t);
	assert_int_equal(user_next(n), 0);
	user_send(n, f, sizeof(f) - 1);
	devtest_run(&n->t);
	assert_true(user_next(n) > 0);
	assert_int_equal(nettest_send(n, f, 13), -EMSGSIZE);
	user_done(n);
}

/* Headers of all kinds with bytes of no sense: the process lives and ARP is answered. */
static void user_survives_frames_of_no_sense(void **state)
{
	static const u16 types[] = { 0x0800, 0x0806, 0x86dd, 0x8100, 0x88f8 };
	struct nettest *n = new_nettest();
	u64 x = 0x9e3779b97f4a7c15u;
	u8 f[1514];

	(void)state;
	user_open(n, NULL, 0);
	for (int i = 0; i < 20000; i++) {
		u32 len;

		for (size_t j = 0; j < sizeof(f); j++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			f[j] = (u8)x;
			if (j > 100 && i % 16)
				break;
		}
		len = 14 + (u32)(x >> 20) % (i % 16 ? 86 : 1500);
		put_eth(f, i % 3 ? host_mac : broadcast, types[i % ARRAY_SIZE(types)]);
		if (i % 5 == 0)
			f[14] = 0x45;
		if (i % 5 == 2)
			f[14] = 0x60;
		user_send(n, f, len);
		if (i % 64 == 0) {
			devtest_advance(&n->t, NSEC_PER_SEC / 10);
			while (nettest_recv(n, 2000) > 0)
				;
		}
	}
	devtest_run(&n->t);
	while (nettest_recv(n, 2000) > 0)
		;
	arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	assert_true(user_next(n) > 0);
	user_done(n);
}

/* ---- both ---------------------------------------------------------------------------- */

static struct nettest *the_slow;
static unsigned int n_taken;

static void take_one(struct dev *dev, void *net)
{
	(void)dev;
	(void)net;
	n_taken += nettest_recv(the_slow, 2000) > 0;
}

/* As a card that ran out of time, not of room. */
static void back_ends_tell_again_of_frames_that_were_left(void **state)
{
	struct nettest *n = new_nettest();
	u8 stream[3 * 64];
	struct peer p;
	size_t len = 0;

	(void)state;
	the_slow = n;
	n_taken = 0;
	unix_pair(n, &p);
	for (int i = 0; i < 3; i++)
		len += stream_frame(stream + len, 60, (u8)i);
	assert_int_equal(write(p.fd, stream, len), len);
	net_attach(n->net, n->t.dev, take_one);
	nettest_want(n, 0, true);
	devtest_run(&n->t);
	assert_int_equal(n_taken, 3);
	unix_done(n, &p);

	n = new_nettest();
	the_slow = n;
	n_taken = 0;
	user_open(n, NULL, 0);
	net_attach(n->net, n->t.dev, take_one);
	for (int i = 0; i < 3; i++)
		arp_ask(n, HOST_IP);
	devtest_run(&n->t);
	assert_int_equal(n_taken, 3);
	user_done(n);
}

/* ---- all of them on loops that wait -------------------------------------------------- */

struct waiting {
	struct nettest *n;
	struct loop_timer end;
	bool answered;
};

static void end_loop(struct loop_timer *timer)
{
	loop_stop(container_of(timer, struct waiting, end)->n->t.loop);
}

static struct waiting *the_waiting;

static void stop_when_answered(struct dev *dev, void *net)
{
	struct waiting *w = the_waiting;

	(void)dev;
	assert_ptr_equal(net, w->n->net);
	while (nettest_recv(w->n, 2000) > 0)
		w->answered |= get_be16(w->n->got + 12) == 0x0806;
	if (w->answered)
		loop_stop(w->n->t.loop);
}

static void back_ends_wake_a_loop_that_waits(void **state)
{
	static const enum loop_kind kinds[] = { LOOP_URING, LOOP_EPOLL };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (int user = 0; user < 2; user++) {
			struct lkvm_net cfg = { .mode = LKVM_NET_USER };
			struct nettest *n = new_nettest();
			struct waiting w = { .n = n, .end.fn = end_loop };
			u8 stream[64] = { 0 };
			struct peer p;

			the_waiting = &w;
			nettest_board(n);
			loop_destroy(n->t.loop);
			assert_int_equal(loop_create(&n->t.loop, kinds[k], NULL), 0);
			n->t.env.loop = n->t.loop;
			if (!user) {
				peer_listen(&p, SOCK_STREAM, 1);
				unix_cfg(&cfg, p.path);
			}
			assert_int_equal(net_open(&n->net, &cfg, n->t.loop, &n->t.log, NULL), 0);
			devtest_plug(&n->t, &(struct dev_slot){ .cls = &nettest_class,
								.name = "c",
								.cfg = &n });
			net_attach(n->net, n->t.dev, stop_when_answered);
			nettest_want(n, 0, true);
			if (user) {
				arp_ask(n, HOST_IP);
			} else {
				p.fd = accept(p.listener, NULL, NULL);
				stream_frame(stream, 60, 0);
				put_be16(stream + 4 + 12, 0x0806);
				assert_int_equal(write(p.fd, stream, sizeof(stream)),
						 sizeof(stream));
			}
			loop_timer_set(n->t.loop, &w.end, loop_now(n->t.loop) + 5 * NSEC_PER_SEC);
			assert_int_equal(loop_run(n->t.loop, NULL), 0);
			assert_true(w.answered);
			loop_timer_set(n->t.loop, &w.end, 0);
			if (user)
				user_done(n);
			else
				unix_done(n, &p);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_back_end_is_no_error),
		cmocka_unit_test(unix_frames_arrive_whole_however_they_are_cut),
		cmocka_unit_test(unix_tells_again_of_frames_that_it_has_read),
		cmocka_unit_test(unix_frame_longer_than_the_room_is_lost_alone),
		cmocka_unit_test(unix_sends_each_frame_behind_its_length),
		cmocka_unit_test(unix_frames_wait_for_a_slow_peer_and_none_is_damaged),
		cmocka_unit_test(unix_peer_that_sends_nonsense_is_cut_off),
		cmocka_unit_test(unix_largest_frame_is_no_nonsense),
		cmocka_unit_test(unix_peer_that_goes_takes_the_link_along),
		cmocka_unit_test(unix_socket_that_cannot_be_is_one_clear_line),
		cmocka_unit_test(user_host_and_name_server_answer_arp),
		cmocka_unit_test(user_network_offers_an_address),
		cmocka_unit_test(user_router_announces_the_ipv6_network),
		cmocka_unit_test(user_pings_of_addresses_beyond_are_not_told_on_stderr),
		cmocka_unit_test(user_guest_reaches_a_port_of_the_host),
		cmocka_unit_test(user_segments_fit_the_mtu_of_the_card),
		cmocka_unit_test(user_closed_port_of_the_host_refuses),
		cmocka_unit_test(user_port_of_the_host_leads_into_the_guest),
		cmocka_unit_test(user_udp_goes_out_and_comes_back),
		cmocka_unit_test(user_port_in_use_is_one_clear_line_and_frees_the_others),
		cmocka_unit_test(user_forward_that_cannot_be_is_one_clear_line),
		cmocka_unit_test(user_ports_are_given_back_at_the_end),
		cmocka_unit_test(user_frames_that_nobody_takes_are_lost_in_the_end),
		cmocka_unit_test(user_guest_cannot_take_all_descriptors),
		cmocka_unit_test(user_segments_out_of_order_are_kept_up_to_a_limit),
		cmocka_unit_test(user_segments_in_order_are_never_lost),
		cmocka_unit_test(flow_counts_ipv6_and_fins_and_knows_who_it_forgot),
		cmocka_unit_test(user_fragments_do_not_hide_that_a_socket_is_wanted),
		cmocka_unit_test(user_fragments_that_wait_for_others_are_bounded),
		cmocka_unit_test(user_flood_leaves_the_loop_to_others),
		cmocka_unit_test(user_frame_longer_than_the_mtu_is_lost),
		cmocka_unit_test(user_survives_frames_of_no_sense),
		cmocka_unit_test(back_ends_tell_again_of_frames_that_were_left),
		cmocka_unit_test(back_ends_wake_a_loop_that_waits),
	};

	return cmocka_run_group_tests_name("network back ends", tests, NULL, NULL);
}
