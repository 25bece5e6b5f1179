/*
 * nettest.h - a back end of a network card, played by the test in the card's place.
 *
 * On devtest's board: a device that only counts how often it is called, and frames that go
 * through guest memory in pieces, as a driver's do.
 */
#ifndef LKVM_TESTS_UNIT_NETTEST_H
#define LKVM_TESTS_UNIT_NETTEST_H

#include "tests/unit/devtest.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/net.h"

#define NETTEST_RAM  (4 * MIB)
#define NETTEST_SEND 0x1000	 /* where frames to the host lie */
#define NETTEST_RECV (2 * MIB)	 /* and room for those from it */
#define NETTEST_MAX  (128 * KIB) /* bytes of each */

struct nettest {
	struct devtest t;
	struct net *net;
	unsigned int n_ready;
	bool wants[NET_MAX_PAIRS]; /* frames, whenever there are none now */
	struct iovec iov[64];
	u8 got[NETTEST_MAX]; /* the last frame received, without header */
};

/* Its cfg points at the pointer to its nettest. */
struct nettest_card {
	struct dev dev;
	struct nettest *n;
};

static inline void nettest_on_ready(struct dev *dev, void *net)
{
	struct nettest *n = container_of(dev, struct nettest_card, dev)->n;

	assert_ptr_equal(net, n->net);
	n->n_ready++;
	/* The test will take them in its own time: a source that stays ready ends no run. */
	for (unsigned int i = 0; i < n->net->max_pairs; i++)
		n->net->ops->want_recv(n->net, i, false);
}

static inline int nettest_card_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct nettest_card *card = container_of(dev, struct nettest_card, dev);

	(void)err;
	memcpy(&card->n, cfg, sizeof(card->n));
	net_attach(card->n->net, dev, nettest_on_ready);
	return 0;
}

static inline void nettest_card_fini(struct dev *dev)
{
	net_attach(container_of(dev, struct nettest_card, dev)->n->net, NULL, NULL);
}

static const struct dev_class nettest_class = {
	.name = "card",
	.size = sizeof(struct nettest_card),
	.init = nettest_card_init,
	.fini = nettest_card_fini,
};

/* Open descriptors of this process. */
static inline unsigned int nettest_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline void nettest_board(struct nettest *n)
{
	memset(n, 0, sizeof(*n));
	devtest_init(&n->t, 0);
	devtest_add_ram(&n->t, 0, NETTEST_RAM);
}

static inline void nettest_open(struct nettest *n, const struct lkvm_net *cfg)
{
	struct lkvm_error err = { 0 };

	nettest_board(n);
	if (net_open(&n->net, cfg, n->t.loop, &n->t.log, &err))
		fail_msg("%s", err.msg);
	devtest_plug(&n->t, &(struct dev_slot){ .cls = &nettest_class, .name = "c", .cfg = &n });
}

static inline void nettest_close(struct nettest *n)
{
	dev_destroy(n->t.dev);
	n->t.dev = NULL;
	net_close(n->net);
	assert_null(n->t.loop->timers);
	assert_null(n->t.loop->work);
	devtest_fini(&n->t);
}

/* What opening @cfg says; nothing is left of it. */
static inline struct lkvm_error nettest_refused(const struct lkvm_net *cfg)
{
	unsigned int fds = nettest_fds();
	struct lkvm_error err = { 0 };
	struct nettest *n = calloc(1, sizeof(*n));

	assert_non_null(n);
	nettest_board(n);
	assert_true(net_open(&n->net, cfg, n->t.loop, &n->t.log, &err) < 0);
	assert_null(n->net);
	assert_null(n->t.loop->timers);
	assert_null(n->t.loop->work);
	devtest_fini(&n->t);
	free(n);
	assert_int_equal(nettest_fds(), fds);
	assert_null(strchr(err.msg, '\n'));
	assert_non_null(strstr(err.msg, "--network"));
	return err;
}

/* [gpa, gpa + len) in pieces: a short one first, as a header that was split. */
static inline void nettest_vec(struct nettest *n, struct gmem_vec *vec, u64 gpa, u32 len)
{
	u32 cuts[] = { 5, 12, 30, 1000, len };
	u32 at = 0;

	*vec = (struct gmem_vec){ .iov = n->iov };
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		u32 end = (u32)min_u64(cuts[i], len);

		if (end > at)
			assert_int_equal(gmem_vec_add(vec, &n->t.gmem, gpa + at, end - at), 0);
		at = end;
	}
}

static inline int nettest_send_hdr(struct nettest *n, unsigned int pair, const u8 hdr[NET_HDR_LEN],
				   const void *frame, u32 len)
{
	struct gmem_vec vec;

	assert_true(NET_HDR_LEN + len <= NETTEST_MAX);
	assert_int_equal(gmem_write(&n->t.gmem, NETTEST_SEND, hdr, NET_HDR_LEN), 0);
	assert_int_equal(gmem_write(&n->t.gmem, NETTEST_SEND + NET_HDR_LEN, frame, len), 0);
	nettest_vec(n, &vec, NETTEST_SEND, NET_HDR_LEN + len);
	return n->net->ops->send(n->net, pair, &vec);
}

static inline int nettest_send(struct nettest *n, const void *frame, u32 len)
{
	static const u8 hdr[NET_HDR_LEN];

	return nettest_send_hdr(n, 0, hdr, frame, len);
}

/* A frame into n->got, with room for @room bytes of it: its length or -errno. */
static inline ssize_t nettest_recv_pair(struct nettest *n, unsigned int pair, u32 room,
					u8 hdr[NET_HDR_LEN])
{
	struct gmem_vec vec;
	ssize_t len;

	nettest_vec(n, &vec, NETTEST_RECV, NET_HDR_LEN + room);
	len = n->net->ops->recv(n->net, pair, &vec);
	if (len == -EAGAIN && n->wants[pair])
		n->net->ops->want_recv(n->net, pair, true);
	if (len < 0)
		return len;
	assert_true(len > NET_HDR_LEN && (size_t)len <= NET_HDR_LEN + room);
	assert_int_equal(gmem_read(&n->t.gmem, NETTEST_RECV, hdr, NET_HDR_LEN), 0);
	len -= NET_HDR_LEN;
	assert_int_equal(gmem_read(&n->t.gmem, NETTEST_RECV + NET_HDR_LEN, n->got, (size_t)len), 0);
	return len;
}

/* As above, of a back end without offloads. */
static inline ssize_t nettest_recv(struct nettest *n, u32 room)
{
	static const u8 zero[NET_HDR_LEN];
	u8 hdr[NET_HDR_LEN];
	ssize_t len;

	/* What was there before must not be taken for the header. */
	memset(hdr, 0xff, sizeof(hdr));
	assert_int_equal(gmem_write(&n->t.gmem, NETTEST_RECV, hdr, sizeof(hdr)), 0);
	len = nettest_recv_pair(n, 0, room, hdr);
	if (len >= 0)
		assert_memory_equal(hdr, zero, sizeof(zero));
	return len;
}

static inline void nettest_want(struct nettest *n, unsigned int pair, bool on)
{
	n->wants[pair] = on;
	n->net->ops->want_recv(n->net, pair, on);
}

/* Run the loop until @cond, which others have to bring about, up to 5 s. */
#define nettest_until(n, cond)                           \
	do {                                             \
		int nettest_left = 5000;                 \
		bool nettest_done = false;               \
		while (!nettest_done) {                  \
			loop_manual_run((n)->t.loop);    \
			nettest_done = (cond);           \
			if (nettest_done)                \
				break;                   \
			assert_true(nettest_left-- > 0); \
			usleep(1000);                    \
		}                                        \
	} while (0)

#endif
