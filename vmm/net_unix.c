/*
 * net_unix.c - a stream socket that somebody listens on, such as passt's, behind a network card.
 *
 * Each frame is preceded by its length as 32 bits, big endian, in both directions. Frames have no
 * header of ours and nothing is offloaded.
 *
 * What the peer sends is not trusted: a length that no frame has ends the connection, since nothing
 * after it can be told apart. A peer that is gone is a link that is down, for good.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/net.h"

#define PREFIX 4

/* Several frames of full size: one system call moves many small ones. */
#define BUF_SIZE (256 * KIB)

_Static_assert(BUF_SIZE >= 2 * (PREFIX + NET_MAX_FRAME), "a frame and the beginning of another");

/* Bytes of the stream between two moments of the socket. */
struct buf {
	size_t head, len;
	u8 data[BUF_SIZE];
};

struct unix_net {
	struct net net;
	struct loop_fd lfd;    /* lfd.fd -1: not connected */
	struct loop_work work; /* flush, and tell the device of frames that wait in @in */
	bool want_recv;
	bool out_blocked;   /* the socket was full */
	bool news;	    /* the device was refused a frame, or the link changed */
	struct buf in, out; /* what is read, what is to be written */
};

static struct unix_net *unix_of(struct net *net)
{
	return container_of(net, struct unix_net, net);
}

/* ---- the two buffers ---------------------------------------------------------------- */

static u8 *buf_tail(struct buf *b)
{
	return b->data + b->head + b->len;
}

/* Room behind the content: at least half of the buffer, unless there is more content. */
static size_t buf_room(struct buf *b)
{
	if (b->head && (!b->len || b->head + b->len > sizeof(b->data) / 2)) {
		memmove(b->data, b->data + b->head, b->len);
		b->head = 0;
	}
	return sizeof(b->data) - b->head - b->len;
}

static void buf_drop(struct buf *b, size_t len)
{
	b->head += len;
	b->len -= len;
}

/* Bytes of the first frame: 0 when it is not whole yet, -EPROTO when no frame begins so. */
static ssize_t next_frame(const struct buf *b)
{
	u32 len;

	if (b->len < PREFIX)
		return 0;
	memcpy(&len, b->data + b->head, PREFIX);
	len = ntohl(len);
	if (len < NET_MIN_FRAME || len > NET_MAX_FRAME)
		return -EPROTO;
	return b->len - PREFIX >= len ? (ssize_t)len : 0;
}

/* ---- the socket --------------------------------------------------------------------- */

static void watch(struct unix_net *u)
{
	if (u->lfd.fd >= 0)
		loop_fd_set(u->net.loop, &u->lfd,
			    (u->want_recv ? POLLIN : 0) | (u->out_blocked ? POLLOUT : 0));
}

/* The connection is over. Frames that were read before may still be taken. */
static void hang_up(struct unix_net *u, const char *why)
{
	log_warn(u->net.log, "network: the socket's peer is gone: %s", why);
	loop_fd_del(u->net.loop, &u->lfd);
	close(u->lfd.fd);
	u->lfd.fd = -1;
	u->net.link = false;
	u->out_blocked = false;
	u->out.len = 0;
	u->news = true;
	loop_post(u->net.loop, &u->work);
}

static void flush(struct unix_net *u)
{
	while (u->lfd.fd >= 0 && u->out.len) {
		ssize_t n = send(u->lfd.fd, u->out.data + u->out.head, u->out.len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		u->out_blocked = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
		if (u->out_blocked)
			break;
		if (n < 0)
			hang_up(u, err_text(errno));
		else
			buf_drop(&u->out, (size_t)n);
	}
	watch(u);
}

/* Read once. True: something came. */
static bool fill(struct unix_net *u)
{
	size_t room = buf_room(&u->in);
	ssize_t n;

	if (u->lfd.fd < 0 || !room)
		return false;
	do {
		n = recv(u->lfd.fd, buf_tail(&u->in), room, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		u->in.len += (size_t)n;
	else if (!n)
		hang_up(u, "it closed the connection");
	else if (errno != EAGAIN && errno != EWOULDBLOCK)
		hang_up(u, err_text(errno));
	return n > 0;
}

/* The device may be waiting for this, and would not hear of frames in @in from the socket. */
static void tell(struct unix_net *u)
{
	u->news = false;
	net_ready(&u->net);
	if (u->want_recv && next_frame(&u->in))
		loop_post(u->net.loop, &u->work);
}

static void unix_event(struct loop_fd *lfd, u32 revents)
{
	struct unix_net *u = container_of(lfd, struct unix_net, lfd);

	if (revents & (POLLOUT | POLLERR | POLLHUP))
		flush(u);
	/* An end of the connection is what reading will find. */
	tell(u);
}

static void unix_work(struct loop_work *work)
{
	struct unix_net *u = container_of(work, struct unix_net, work);

	flush(u);
	if ((u->news && !u->out_blocked) || (u->want_recv && next_frame(&u->in)))
		tell(u);
}

/* ---- frames ------------------------------------------------------------------------- */

static int unix_send(struct net *net, unsigned int pair, const struct gmem_vec *frame)
{
	struct unix_net *u = unix_of(net);
	u32 prefix, len;

	(void)pair;
	if (frame->len < NET_HDR_LEN + NET_MIN_FRAME || frame->len > NET_HDR_LEN + NET_MAX_FRAME)
		return -EMSGSIZE;
	if (!net->link)
		return 0;
	len = (u32)(frame->len - NET_HDR_LEN);
	if (buf_room(&u->out) < PREFIX + len) {
		u->news = true;
		loop_post(net->loop, &u->work);
		return -EAGAIN;
	}
	prefix = htonl(len);
	memcpy(buf_tail(&u->out), &prefix, PREFIX);
	gmem_vec_read(frame, NET_HDR_LEN, buf_tail(&u->out) + PREFIX, len);
	u->out.len += PREFIX + len;
	/* All frames of one kick leave together. */
	if (!u->out_blocked)
		loop_post(net->loop, &u->work);
	return 0;
}

static ssize_t unix_recv(struct net *net, unsigned int pair, struct gmem_vec *room)
{
	static const u8 header[NET_HDR_LEN];
	struct unix_net *u = unix_of(net);
	ssize_t len = next_frame(&u->in);
	bool fits;

	(void)pair;
	if (!len && fill(u))
		len = next_frame(&u->in);
	if (len < 0) {
		u->in.len = 0;
		if (u->lfd.fd >= 0)
			hang_up(u, "it sent a length that no frame has");
	}
	if (len <= 0)
		return -EAGAIN;
	fits = room->len >= NET_HDR_LEN + (size_t)len;
	if (fits) {
		gmem_vec_write(room, 0, header, sizeof(header));
		gmem_vec_write(room, NET_HDR_LEN, u->in.data + u->in.head + PREFIX, (size_t)len);
	}
	buf_drop(&u->in, PREFIX + (size_t)len);
	return fits ? NET_HDR_LEN + len : -EMSGSIZE;
}

static void unix_want_recv(struct net *net, unsigned int pair, bool on)
{
	struct unix_net *u = unix_of(net);

	(void)pair;
	u->want_recv = on;
	watch(u);
	if (on && next_frame(&u->in))
		loop_post(net->loop, &u->work);
}

/* ---- life --------------------------------------------------------------------------- */

static void unix_close(struct net *net)
{
	struct unix_net *u = unix_of(net);

	loop_work_cancel(net->loop, &u->work);
	if (u->lfd.fd >= 0) {
		loop_fd_del(net->loop, &u->lfd);
		close(u->lfd.fd);
	}
	free(u);
}

static int connect_error(const char *path, int code, struct lkvm_error *err)
{
	struct stat st;

	switch (code) {
	case ENOENT:
		return err_input(err, "--network mode=unix: there is no socket \"%s\"", path);
	case ECONNREFUSED: /* what the kernel says of files that are no sockets, too */
		if (!stat(path, &st) && !S_ISSOCK(st.st_mode))
			return err_input(err, "--network mode=unix: \"%s\" is not a socket", path);
		return err_input(err, "--network mode=unix: nobody listens on \"%s\"", path);
	case EPROTOTYPE:
		return err_input(err, "--network mode=unix: \"%s\" is not a stream socket", path);
	case EAGAIN:
		return err_input(err,
				 "--network mode=unix: who listens on \"%s\" takes no more "
				 "connections",
				 path);
	case EACCES:
	case EPERM:
	case ENOTDIR:
	case ELOOP:
		return err_input(err, "--network mode=unix: cannot connect to \"%s\": %s", path,
				 err_text(code));
	default:
		return err_host(err, code, "--network mode=unix: cannot connect to \"%s\"", path);
	}
}

/* A descriptor, or -errno. */
static int unix_connect(const char *path, struct lkvm_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strnlen(path, sizeof(addr.sun_path));
	int fd, code;

	if (!len)
		return err_input(err, "--network mode=unix: the path of the socket is missing");
	if (len == sizeof(addr.sun_path))
		return err_input(err,
				 "--network mode=unix: the path of the socket is longer than %zu "
				 "bytes",
				 sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, len);
	/* Non-blocking from the start: a full backlog would make connect() wait. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_host(err, errno, "--network mode=unix");
	if (!connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	code = errno;
	close(fd);
	return connect_error(path, code, err);
}

static const struct net_ops unix_ops = {
	.name = "unix",
	.send = unix_send,
	.recv = unix_recv,
	.want_recv = unix_want_recv,
	.close = unix_close,
};

int net_unix_open(struct net **net, const struct lkvm_net *cfg, struct loop *loop,
		  const struct log *log, struct lkvm_error *err)
{
	struct unix_net *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return err_host(err, ENOMEM, "--network mode=unix");
	u->net = (struct net){
		.ops = &unix_ops, .log = log, .loop = loop, .max_pairs = 1, .link = true
	};
	u->lfd.fn = unix_event;
	u->work.fn = unix_work;
	u->lfd.fd = unix_connect(cfg->socket, err);
	ret = u->lfd.fd < 0 ? u->lfd.fd : loop_fd_add(loop, &u->lfd, err);
	if (ret) {
		unix_close(&u->net);
		return ret;
	}
	*net = &u->net;
	return 0;
}
