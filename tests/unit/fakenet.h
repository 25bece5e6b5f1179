/*
 * fakenet.h - the host side of a network card that a test drives.
 *
 * Frames to the guest are queued by the test; frames from it are kept. It tells the device of
 * frames as a descriptor would: again and again, on the loop, as long as they are wanted
 * and there.
 */
#ifndef LKVM_TESTS_UNIT_FAKENET_H
#define LKVM_TESTS_UNIT_FAKENET_H

#include <errno.h>
#include <stdlib.h>

#include "vmm/dev.h"
#include "vmm/net.h"
#include "vmm/vhost.h"

#define FAKENET_MAX_FRAMES 512
#define FAKENET_MAX_LEN	   (NET_HDR_LEN + NET_MAX_FRAME)

/* A frame is a header of zeroes and @len bytes of the number @fill. */
struct fakenet_frame {
	u32 len; /* with header */
	u8 fill;
	u8 pair;
};

struct fakenet {
	struct net net;
	struct loop_work work;

	struct fakenet_frame to_guest[FAKENET_MAX_FRAMES]; /* a ring */
	unsigned int first, n_queued;
	bool endless; /* the last frame is there for ever */

	struct fakenet_frame sent[FAKENET_MAX_FRAMES];
	unsigned int n_sent;
	unsigned int room; /* frames that can be sent before -EAGAIN */
	int send_ret;	   /* what send() fails with */

	/* As told by the device. */
	bool want[NET_MAX_PAIRS];
	u64 offloads;
	unsigned int pairs;

	struct vhost *vhost; /* NET_MAX_PAIRS of them, or NULL */

	unsigned int n_recv, n_ready; /* calls */
	u8 bytes[FAKENET_MAX_LEN];
};

static inline struct fakenet *fakenet_of(struct net *net)
{
	return container_of(net, struct fakenet, net);
}

static inline bool fakenet_due(const struct fakenet *f)
{
	return f->n_queued && f->want[f->to_guest[f->first].pair];
}

static inline void fakenet_work(struct loop_work *work)
{
	struct fakenet *f = container_of(work, struct fakenet, work);

	f->n_ready++;
	net_ready(&f->net);
	if (fakenet_due(f))
		loop_post(f->net.loop, &f->work);
}

/* Whatever changed, the device is called, once. */
static inline void fakenet_poke(struct fakenet *f)
{
	loop_post(f->net.loop, &f->work);
}

static inline int fakenet_send(struct net *net, unsigned int pair, const struct gmem_vec *frame)
{
	struct fakenet *f = fakenet_of(net);
	struct fakenet_frame *s = &f->sent[f->n_sent % FAKENET_MAX_FRAMES];

	if (f->send_ret)
		return f->send_ret;
	if (!f->room)
		return -EAGAIN;
	f->room--;
	*s = (struct fakenet_frame){ .len = (u32)frame->len, .pair = (u8)pair };
	gmem_vec_read(frame, frame->len - 1, &s->fill, 1);
	f->n_sent++;
	return 0;
}

static inline ssize_t fakenet_recv(struct net *net, unsigned int pair, struct gmem_vec *room)
{
	struct fakenet *f = fakenet_of(net);
	struct fakenet_frame frame = f->to_guest[f->first];
	struct gmem_vec tail;
	struct iovec iov[2];

	f->n_recv++;
	if (!f->n_queued || frame.pair != pair)
		return -EAGAIN;
	if (!f->endless) {
		f->first = (f->first + 1) % FAKENET_MAX_FRAMES;
		f->n_queued--;
	}
	if (frame.len > room->len)
		return -EMSGSIZE;
	memset(f->bytes, 0, NET_HDR_LEN);
	memset(f->bytes + NET_HDR_LEN, frame.fill, frame.len - NET_HDR_LEN);
	gmem_vec_write(room, 0, f->bytes, frame.len);
	/* Back ends may do with @room what they like. */
	tail.iov = iov;
	if (room->n < 2)
		gmem_vec_split(room, 5, &tail);
	gmem_vec_drop(room, 3);
	return frame.len;
}

static inline void fakenet_set_offloads(struct net *net, u64 offloads)
{
	fakenet_of(net)->offloads = offloads;
}

static inline void fakenet_set_pairs(struct net *net, unsigned int pairs)
{
	fakenet_of(net)->pairs = pairs;
}

static inline void fakenet_want_recv(struct net *net, unsigned int pair, bool on)
{
	struct fakenet *f = fakenet_of(net);

	f->want[pair] = on;
	if (fakenet_due(f))
		loop_post(net->loop, &f->work);
}

static inline struct vhost *fakenet_vhost(struct net *net, unsigned int pair)
{
	struct fakenet *f = fakenet_of(net);

	return f->vhost ? &f->vhost[pair] : NULL;
}

static inline void fakenet_close(struct net *net)
{
	(void)net;
}

static const struct net_ops fakenet_ops = {
	.name = "fake",
	.send = fakenet_send,
	.recv = fakenet_recv,
	.set_offloads = fakenet_set_offloads,
	.set_pairs = fakenet_set_pairs,
	.want_recv = fakenet_want_recv,
	.vhost = fakenet_vhost,
	.close = fakenet_close,
};

static inline void fakenet_init(struct fakenet *f, struct loop *loop, const struct log *log,
				u64 offloads, unsigned int max_pairs)
{
	*f = (struct fakenet){
		.net = { .ops = &fakenet_ops,
			 .log = log,
			 .loop = loop,
			 .max_pairs = max_pairs,
			 .offloads = offloads,
			 .link = true },
		.work.fn = fakenet_work,
		.room = UINT32_MAX,
		.pairs = 1,
	};
}

/* A frame of @len bytes behind the header arrives. Loop thread, or loop not running. */
static inline void fakenet_arrive(struct fakenet *f, unsigned int pair, u32 len, u8 fill)
{
	if (f->n_queued == FAKENET_MAX_FRAMES)
		return;
	f->to_guest[(f->first + f->n_queued++) % FAKENET_MAX_FRAMES] =
		(struct fakenet_frame){ .len = NET_HDR_LEN + len, .fill = fill, .pair = (u8)pair };
	if (fakenet_due(f))
		loop_post(f->net.loop, &f->work);
}

#endif
