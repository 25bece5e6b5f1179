/*
 * virtio_net.c - a network card (virtio 1.2 section 5.1).
 *
 * Frames go between the driver's buffers and the back end (vmm/net.h) without a copy: what is
 * sent is the chain as it is, and what is received is read into the joined room of as many
 * chains as the largest frame may need. Chains that a frame left over stay popped and are
 * the beginning of the next one's room.
 *
 * Receiving waits for one of two things. Without a frame, the back end says when there is one
 * (want_recv on). Without room, nobody reads from the back end, and the driver notifies. Which
 * frame comes next nobody knows before it was read, so room for the largest is waited for; but not
 * for ever, since a driver need not have that much (RX_PATIENCE_NS).
 *
 * The back end is told what the driver wants on the loop thread only, see settle(): there, too,
 * the rings are handed to the kernel, where the back end has vhost-net (net_lend.h). Then all
 * that is left here is the control queue, the link and resets. A machine that is paused
 * still receives what its driver has room for, as it does without.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/classes.h"
#include "devices/net_lend.h"
#include "devices/virtio.h"
#include "vmm/net.h"

/* Section 5.1.3. */
#define F_CSUM		      0
#define F_GUEST_CSUM	      1
#define F_CTRL_GUEST_OFFLOADS 2
#define F_MTU		      3
#define F_MAC		      5
#define F_GUEST_TSO4	      7
#define F_GUEST_TSO6	      8
#define F_GUEST_ECN	      9
#define F_HOST_TSO4	      11
#define F_HOST_TSO6	      12
#define F_HOST_ECN	      13
#define F_STATUS	      16
#define F_CTRL_VQ	      17
#define F_MQ		      22
#define F_CTRL_MAC_ADDR	      23
#define F_GUEST_USO4	      54
#define F_GUEST_USO6	      55
#define F_HOST_USO	      56

/* Section 5.1.4: device configuration layout. */
#define CONFIG_MAC	 0
#define CONFIG_STATUS	 6
#define CONFIG_MAX_PAIRS 8
#define CONFIG_MTU	 10
#define CONFIG_LEN	 12

#define STATUS_LINK_UP 1

/* Section 5.1.6: in struct virtio_net_hdr. */
#define HDR_NUM_BUFFERS 10

/* Section 5.1.6.5. */
#define CTRL_ACK_OK		0
#define CTRL_ACK_ERR		1
#define CTRL_MAC		1
#define CTRL_MAC_ADDR_SET	1
#define CTRL_MQ			4
#define CTRL_MQ_VQ_PAIRS_SET	0
#define CTRL_GUEST_OFFLOADS	5
#define CTRL_GUEST_OFFLOADS_SET 0
#define CTRL_MAX_DATA		8 /* bytes behind class and command */

#define MAC_LEN	 6
#define VLAN_LEN 4
#define MTU	 1500 /* where none is told */

#define QUEUE_SIZE VQ_MAX_SIZE

/* How long a driver that owes room for the largest frame is waited for. */
#define RX_PATIENCE_NS (10 * NSEC_PER_MSEC)

/*
 * A pair of queues. A chain is held only while less than VQ_MAX_SEGS pieces are; it has that many
 * at most and one at least. So there are never more than VQ_MAX_SEGS chains and twice as many
 * pieces.
 */
struct pair {
	bool wanted;  /* what the back end was last told by want_recv */
	bool blocked; /* sending: the back end was full */
	bool again;   /* sending: to be looked at in the next round */
	bool hurry;   /* patience ran out: take frames into what room there is */
	bool waiting; /* for more room, with some already there */

	struct gmem_vec room; /* of all that is held, in iov[] */
	u16 first_held, n_held;
	struct vq_used held[VQ_MAX_SEGS]; /* a ring: popped and not used yet */
	struct iovec iov[2 * VQ_MAX_SEGS];

	struct net_lend lend;
};

struct virtio_net {
	struct virtio v;
	struct net *net; /* NULL: its cable is out */
	u8 mac[MAC_LEN]; /* as configured */
	u16 mtu;	 /* 0: not told */
	unsigned int max_pairs;
	struct pair *pairs; /* max_pairs */

	/* What the driver wants. */
	unsigned int n_active; /* pairs */
	u64 offloads;	       /* NET_OFFLOAD_* of received frames */
	size_t need;	       /* bytes: room for the largest frame, with header */

	bool stale; /* the back end has not been told */
	struct dev_doorbell bell;
	struct dev_doorbell broken; /* signalled by vhost-net */
	struct dev_timer patience;
	struct dev_work look;
	u64 n_tx_dropped, n_rx_lost;
	struct ratelimit limit;

	/* Of one call. */
	struct vq_chain chain;
	struct iovec iov[2 * VQ_MAX_SEGS];
};

static struct virtio_net *to_net(struct virtio *v)
{
	return container_of(v, struct virtio_net, v);
}

static struct virtio_queue *rx_queue(struct virtio_net *n, unsigned int pair)
{
	return &n->v.queues[2 * pair];
}

static struct virtio_queue *tx_queue(struct virtio_net *n, unsigned int pair)
{
	return &n->v.queues[2 * pair + 1];
}

/* Section 5.1.2: it comes after the queues that the driver knows of. */
static u16 ctrl_index(const struct virtio_net *n)
{
	return (u16)(virtio_has(&n->v, F_MQ) ? 2 * n->max_pairs : 2);
}

/* ---- offloads ----------------------------------------------------------------------- */

/* Feature bits of an offload: for what the driver sends, and for what it accepts. */
static const struct {
	u64 offload, host, guest;
} offload_features[] = {
	{ NET_OFFLOAD_CSUM, BIT(F_CSUM), BIT(F_GUEST_CSUM) },
	{ NET_OFFLOAD_TSO4, BIT(F_HOST_TSO4), BIT(F_GUEST_TSO4) },
	{ NET_OFFLOAD_TSO6, BIT(F_HOST_TSO6), BIT(F_GUEST_TSO6) },
	{ NET_OFFLOAD_ECN, BIT(F_HOST_ECN), BIT(F_GUEST_ECN) },
	{ NET_OFFLOAD_USO, BIT(F_HOST_USO), BIT(F_GUEST_USO4) | BIT(F_GUEST_USO6) },
};

#define OFFLOAD_LARGE (NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_USO)

/* Section 5.1.3.1: each of them is nothing without the one below it. */
static u64 coherent(u64 offloads)
{
	if (!(offloads & NET_OFFLOAD_CSUM))
		return 0;
	if (!(offloads & (NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6)))
		offloads &= ~NET_OFFLOAD_ECN;
	return offloads;
}

static u64 offered_features(u64 offloads)
{
	u64 features = 0;

	for (size_t i = 0; i < ARRAY_SIZE(offload_features); i++) {
		if (offloads & offload_features[i].offload)
			features |= offload_features[i].host | offload_features[i].guest;
	}
	return features;
}

static u64 guest_features(void)
{
	u64 features = 0;

	for (size_t i = 0; i < ARRAY_SIZE(offload_features); i++)
		features |= offload_features[i].guest;
	return features;
}

/* What a driver accepts in received frames that set these GUEST_* bits. */
static void accept_offloads(struct virtio_net *n, u64 features)
{
	u64 offloads = 0;

	for (size_t i = 0; i < ARRAY_SIZE(offload_features); i++) {
		u64 guest = offload_features[i].guest;

		if ((features & guest) == guest)
			offloads |= offload_features[i].offload;
	}
	n->offloads = coherent(offloads);
	n->need = NET_HDR_LEN + NET_MIN_FRAME + VLAN_LEN + (size_t)max_u64(n->mtu, MTU);
	if (n->offloads & OFFLOAD_LARGE)
		n->need = NET_HDR_LEN + NET_MAX_FRAME;
}

/* ---- the back end ------------------------------------------------------------------- */

static void want_recv(struct virtio_net *n, unsigned int i, bool on)
{
	if (n->net && n->pairs[i].wanted != on)
		n->net->ops->want_recv(n->net, i, on);
	n->pairs[i].wanted = on;
}

static void want_nothing(struct virtio_net *n)
{
	for (unsigned int i = 0; i < n->max_pairs; i++)
		want_recv(n, i, false);
}

static void tell_back_end(struct virtio_net *n)
{
	const struct net_ops *ops = n->net ? n->net->ops : NULL;

	if (ops && ops->set_offloads)
		ops->set_offloads(n->net, n->offloads);
	if (ops && ops->set_pairs)
		ops->set_pairs(n->net, n->n_active);
}

static void lend_pairs(struct virtio_net *n)
{
	for (unsigned int i = 0; i < n->n_active && virtio_live(&n->v); i++)
		net_lend_start(&n->pairs[i].lend, n->broken.lfd.fd);
}

static void stop_pairs(struct virtio_net *n)
{
	for (unsigned int i = 0; i < n->max_pairs; i++)
		net_lend_stop(&n->pairs[i].lend);
}

/*
 * Resets and DRIVER_OK come from vCPU threads, which may not call the back end. So whatever
 * happens on the loop thread after one of them begins here.
 */
static void settle(struct virtio_net *n)
{
	if (!n->stale)
		return;
	n->stale = false;
	want_nothing(n);
	for (unsigned int i = 0; i < n->max_pairs; i++)
		net_lend_listen(&n->pairs[i].lend);
	tell_back_end(n);
	lend_pairs(n);
}

/* The kernel does not say what; it only stopped looking at that ring. */
static void on_broken(struct dev *dev, struct dev_doorbell *bell)
{
	struct virtio_net *n = container_of(bell, struct virtio_net, broken);
	bool late = n->stale; /* the driver that it speaks of is gone */

	(void)dev;
	settle(n);
	if (late || !virtio_live(&n->v))
		return;
	virtio_break(&n->v, "vhost-net cannot make sense of a queue");
	stop_pairs(n);
}

static void on_bell(struct dev *dev, struct dev_doorbell *bell)
{
	(void)dev;
	settle(container_of(bell, struct virtio_net, bell));
}

static void drop(struct virtio_net *n, u64 *counter, const char *what)
{
	++*counter;
	if (ratelimit_ok(&n->limit))
		log_debug(n->v.dev->env->log, "%s: %s (%llu so far)", n->v.dev->name, what,
			  (unsigned long long)*counter);
}

/* ---- transmit ----------------------------------------------------------------------- */

/* -EAGAIN: not now. Frames that can never be sent are dropped, which is what networks do. */
static int send_frame(struct virtio_net *n, unsigned int i, const struct gmem_vec *frame)
{
	int ret = 0;

	if (frame->len < NET_HDR_LEN + NET_MIN_FRAME || frame->len > NET_HDR_LEN + NET_MAX_FRAME) {
		drop(n, &n->n_tx_dropped, "the driver sent what is no frame");
		return 0;
	}
	if (n->net)
		ret = n->net->ops->send(n->net, i, frame);
	if (ret && ret != -EAGAIN)
		drop(n, &n->n_tx_dropped, "a frame could not be sent");
	return ret;
}

/*
 * Behind a frame the next one is on its way: the queue is looked at again after a round of the
 * loop, and only a look that finds nothing asks to be told. A notification costs the guest far more
 * than a look costs us.
 */
static void transmit(struct virtio_net *n, unsigned int i, struct virtio_queue *q)
{
	struct pair *p = &n->pairs[i];
	unsigned int n_sent = 0;

	p->blocked = p->again = false;
	while (n_sent < VIRTIO_KICK_MAX &&
	       (virtio_pop(q, &n->chain) || (!n_sent && virtio_next(q, &n->chain)))) {
		if (send_frame(n, i, &n->chain.out) == -EAGAIN) {
			vq_unpop(&q->vq, 1);
			p->blocked = true;
			return;
		}
		vq_push(&q->vq, &n->chain.used, 0);
		n_sent++;
	}
	if (n_sent) {
		p->again = true;
		dev_work_post(&n->look);
	}
}

static void look_again(struct dev *dev)
{
	struct virtio_net *n = to_net(virtio_of(dev));

	for (unsigned int i = 0; i < n->n_active; i++) {
		if (n->pairs[i].again)
			virtio_run(&n->v.queues[2 * i + 1]);
	}
}

/* ---- receive ------------------------------------------------------------------------ */

static void pair_reset(struct pair *p)
{
	p->room = (struct gmem_vec){ .iov = p->iov };
	p->n_held = 0;
	p->waiting = p->hurry = p->blocked = p->again = false;
}

/* Append the room of n->chain to the less than VQ_MAX_SEGS pieces there are. */
static void hold(struct virtio_net *n, struct pair *p)
{
	struct gmem_vec tail;

	if (p->room.iov + p->room.n > p->iov + VQ_MAX_SEGS) {
		memmove(p->iov, p->room.iov, p->room.n * sizeof(*p->iov));
		p->room.iov = p->iov;
	}
	tail.iov = p->room.iov + p->room.n;
	gmem_vec_split(&n->chain.in, 0, &tail);
	p->room.n += tail.n;
	p->room.len += tail.len;
	p->held[(p->first_held + p->n_held++) % VQ_MAX_SEGS] = n->chain.used;
}

/* Room for any frame, or all that will ever fit beside what is there. */
static bool roomy(const struct virtio_net *n, const struct pair *p)
{
	if (!virtio_has(&n->v, VIRTIO_NET_F_MRG_RXBUF))
		return p->n_held > 0;
	return p->room.len >= n->need || p->room.n >= VQ_MAX_SEGS;
}

/* False: there is no room now, and a notification, a timer or another kick comes. */
static bool make_room(struct virtio_net *n, struct pair *p, struct virtio_queue *q)
{
	while (!roomy(n, p)) {
		/* What was popped first and found empty is asked again, in a way that arms. */
		if (!virtio_pop(q, &n->chain) && !virtio_next(q, &n->chain))
			break;
		if (!n->chain.in.len) {
			virtio_break(&n->v, "a receive buffer that cannot be written");
			return false;
		}
		hold(n, p);
	}
	p->waiting = false;
	if (roomy(n, p)) {
		p->hurry = false;
		return true;
	}
	if (p->room.len < NET_HDR_LEN + NET_MIN_FRAME || !virtio_live(&n->v))
		return false;
	if (p->hurry)
		return true;
	p->waiting = true;
	/* One timer for all: who waits later may be served sooner, but nobody puts it off. */
	if (!n->patience.timer.deadline)
		dev_timer_set(&n->patience, loop_now(n->v.dev->loop) + RX_PATIENCE_NS);
	return false;
}

/* @len bytes of a frame are in the room: the chains that they reach into are the driver's. */
static void hand_over(struct pair *p, struct virtio_queue *q, size_t len)
{
	u16 n_buffers = 0;
	size_t used = 0;
	u8 le[2];

	while (used < len)
		used += p->held[(p->first_held + n_buffers++) % VQ_MAX_SEGS].in_len;
	put_le16(le, n_buffers);
	gmem_vec_write(&p->room, HDR_NUM_BUFFERS, le, sizeof(le));
	gmem_vec_drop(&p->room, used);
	p->n_held -= n_buffers;
	while (n_buffers--) {
		const struct vq_used *held = &p->held[p->first_held];
		u32 written = (u32)min_u64(held->in_len, len);

		vq_push(&q->vq, held, written);
		len -= written;
		p->first_held = (u16)((p->first_held + 1) % VQ_MAX_SEGS);
	}
}

/* False: there is no frame now, and the back end says when there is. */
static bool recv_frame(struct virtio_net *n, unsigned int i, struct virtio_queue *q)
{
	struct pair *p = &n->pairs[i];
	struct gmem_vec room = p->room;
	ssize_t len = -EAGAIN;

	/* The back end may consume what it is given. */
	room.iov = n->iov;
	memcpy(n->iov, p->room.iov, room.n * sizeof(*n->iov));
	if (n->net)
		len = n->net->ops->recv(n->net, i, &room);
	if (len == -EMSGSIZE) {
		drop(n, &n->n_rx_lost, "a frame is longer than the driver has room for");
		return true;
	}
	if (len < NET_HDR_LEN || (size_t)len > p->room.len) {
		want_recv(n, i, true);
		return false;
	}
	hand_over(p, q, (size_t)len);
	return true;
}

static void receive(struct virtio_net *n, unsigned int i, struct virtio_queue *q)
{
	for (unsigned int frames = 0; frames < VIRTIO_KICK_MAX; frames++) {
		if (!make_room(n, &n->pairs[i], q)) {
			want_recv(n, i, false);
			return;
		}
		if (!recv_frame(n, i, q))
			return;
	}
	dev_doorbell_signal(&q->bell);
}

static void on_patience(struct dev *dev)
{
	struct virtio_net *n = to_net(virtio_of(dev));

	settle(n);
	for (unsigned int i = 0; i < n->n_active; i++) {
		if (n->pairs[i].waiting) {
			n->pairs[i].hurry = true;
			virtio_run(rx_queue(n, i));
		}
	}
}

/* ---- control queue ------------------------------------------------------------------ */

static bool set_mac(struct virtio_net *n, const u8 *data)
{
	if (data[0] & 1) /* a group's */
		return false;
	memcpy(n->v.config + CONFIG_MAC, data, MAC_LEN);
	return true;
}

static bool set_pairs(struct virtio_net *n, const u8 *data)
{
	unsigned int n_pairs = get_le16(data), had = n->n_active;

	if (n_pairs < 1 || n_pairs > n->max_pairs)
		return false;
	n->n_active = n_pairs;
	for (unsigned int i = n_pairs; i < had; i++) {
		want_recv(n, i, false);
		net_lend_stop(&n->pairs[i].lend);
	}
	tell_back_end(n);
	lend_pairs(n);
	/* Whatever the driver said on the new ones so far was not listened to. */
	for (unsigned int i = had; i < n_pairs; i++) {
		dev_doorbell_signal(&rx_queue(n, i)->bell);
		dev_doorbell_signal(&tx_queue(n, i)->bell);
	}
	return true;
}

static bool set_offloads(struct virtio_net *n, const u8 *data)
{
	u64 features = get_le64(data);

	if (features & ~(n->v.accepted & guest_features()))
		return false;
	accept_offloads(n, features);
	tell_back_end(n);
	return true;
}

static const struct {
	u8 class, cmd;
	u8 feature;
	u8 len; /* of its data */
	bool (*run)(struct virtio_net *n, const u8 *data);
} commands[] = {
	{ CTRL_MAC, CTRL_MAC_ADDR_SET, F_CTRL_MAC_ADDR, MAC_LEN, set_mac },
	{ CTRL_MQ, CTRL_MQ_VQ_PAIRS_SET, F_MQ, 2, set_pairs },
	{ CTRL_GUEST_OFFLOADS, CTRL_GUEST_OFFLOADS_SET, F_CTRL_GUEST_OFFLOADS, 8, set_offloads },
};

static bool run_command(struct virtio_net *n, const struct gmem_vec *out)
{
	u8 cmd[2 + CTRL_MAX_DATA];

	if (out->len > sizeof(cmd) || !gmem_vec_read(out, 0, cmd, out->len))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (out->len == 2 + (size_t)commands[i].len && cmd[0] == commands[i].class &&
		    cmd[1] == commands[i].cmd && virtio_has(&n->v, commands[i].feature))
			return commands[i].run(n, cmd + 2);
	}
	return false;
}

static void control(struct virtio_net *n, struct virtio_queue *q)
{
	while (virtio_next(q, &n->chain)) {
		u8 ack = CTRL_ACK_ERR;

		/* Nothing is done that cannot be answered. */
		if (n->chain.in.len && run_command(n, &n->chain.out))
			ack = CTRL_ACK_OK;
		vq_push(&q->vq, &n->chain.used, gmem_vec_write(&n->chain.in, 0, &ack, 1));
	}
}

/* ---- the card ----------------------------------------------------------------------- */

static void net_kick(struct virtio *v, struct virtio_queue *q)
{
	struct virtio_net *n = to_net(v);
	unsigned int pair = q->index / 2;

	settle(n);
	if (q->lent)
		return;
	if (q->index == ctrl_index(n))
		control(n, q);
	else if (pair < n->n_active && q->index % 2)
		transmit(n, pair, q);
	else if (pair < n->n_active)
		receive(n, pair, q);
	/* A mistake on one queue ends all of them. */
	if (!virtio_live(&n->v))
		stop_pairs(n);
}

static bool update_link(struct virtio_net *n)
{
	u8 status = n->net && n->net->link ? STATUS_LINK_UP : 0;
	bool changed = n->v.config[CONFIG_STATUS] != status;

	n->v.config[CONFIG_STATUS] = status;
	return changed;
}

/* The driver may have taken the queue away, and nothing runs then. */
static void run_rx(struct virtio_net *n, unsigned int i)
{
	if (rx_queue(n, i)->vq.enabled)
		virtio_run(rx_queue(n, i));
	else
		want_recv(n, i, false);
}

static void on_ready(struct dev *dev, void *net)
{
	struct virtio_net *n = to_net(virtio_of(dev));

	(void)net;
	settle(n);
	if (update_link(n))
		virtio_config_changed(&n->v);
	/* The back end would tell of the same frames again and again. */
	if (!virtio_live(&n->v)) {
		want_nothing(n);
		return;
	}
	for (unsigned int i = 0; i < n->n_active; i++) {
		if (n->pairs[i].blocked)
			virtio_run(tx_queue(n, i));
		if (n->pairs[i].wanted)
			run_rx(n, i);
	}
}

static void net_activate(struct virtio *v)
{
	struct virtio_net *n = to_net(v);

	accept_offloads(n, v->accepted);
	n->stale = true;
}

/* What the driver had changed is as it was; the back end hears of it on the loop thread. */
static void net_reset(struct virtio *v)
{
	struct virtio_net *n = to_net(v);

	memcpy(v->config + CONFIG_MAC, n->mac, MAC_LEN);
	n->n_active = 1;
	accept_offloads(n, 0);
	for (unsigned int i = 0; i < n->max_pairs; i++) {
		pair_reset(&n->pairs[i]);
		net_lend_reset(&n->pairs[i].lend);
	}
	dev_timer_set(&n->patience, 0);
	n->stale = true;
	dev_doorbell_signal(&n->bell);
}

static void net_disable(struct virtio *v, struct virtio_queue *q)
{
	if (q->lent)
		net_lend_stop_queue(&to_net(v)->pairs[q->index / 2].lend, q);
}

static void net_rewire(struct virtio *v, struct virtio_queue *q)
{
	net_lend_rewire(&to_net(v)->pairs[q->index / 2].lend, q);
}

static u64 features_of(const struct virtio_net *n)
{
	u64 offloads = n->net ? coherent(n->net->offloads) : 0;
	u64 features = BIT(F_MAC) | BIT(F_STATUS) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(F_CTRL_VQ) |
		       BIT(F_CTRL_MAC_ADDR) | offered_features(offloads);

	if (n->mtu)
		features |= BIT(F_MTU);
	if (n->max_pairs > 1)
		features |= BIT(F_MQ);
	if (offloads)
		features |= BIT(F_CTRL_GUEST_OFFLOADS);
	return features;
}

static int init_lend(struct virtio_net *n, struct lkvm_error *err)
{
	int ret = dev_doorbell_init(&n->broken, n->v.dev, on_broken, err);

	for (unsigned int i = 0; i < n->max_pairs && !ret; i++)
		ret = net_lend_init(&n->pairs[i].lend, n->net->ops->vhost(n->net, i),
				    rx_queue(n, i), tx_queue(n, i), err);
	return ret;
}

static int net_init(struct virtio *v, const void *cfg, struct lkvm_error *err)
{
	const struct virtio_net_cfg *c = cfg;
	struct virtio_net *n = to_net(v);
	int ret;

	n->net = c->net;
	n->mtu = c->mtu;
	memcpy(n->mac, c->mac, MAC_LEN);
	n->max_pairs = n->net ? (unsigned int)min_u64(c->pairs, n->net->max_pairs) : 1;
	n->n_active = 1;
	n->pairs = calloc(n->max_pairs, sizeof(*n->pairs));
	if (!n->pairs)
		return err_host(err, ENOMEM, "%s: %u queue pairs", v->dev->name, n->max_pairs);
	for (unsigned int i = 0; i < n->max_pairs; i++)
		pair_reset(&n->pairs[i]);
	accept_offloads(n, 0);

	v->features = features_of(n);
	memcpy(v->config + CONFIG_MAC, n->mac, MAC_LEN);
	update_link(n);
	put_le16(v->config + CONFIG_MAX_PAIRS, (u16)n->max_pairs);
	put_le16(v->config + CONFIG_MTU, n->mtu);
	v->config_len = CONFIG_LEN;

	dev_timer_init(&n->patience, v->dev, on_patience);
	dev_work_init(&n->look, v->dev, look_again);
	ret = virtio_add_queues(v, 2 * n->max_pairs + 1, QUEUE_SIZE, err);
	if (!ret)
		ret = dev_doorbell_init(&n->bell, v->dev, on_bell, err);
	if (!ret && n->net && n->net->ops->vhost && n->net->ops->vhost(n->net, 0))
		ret = init_lend(n, err);
	if (!ret && n->net)
		net_attach(n->net, v->dev, on_ready);
	return ret;
}

static void net_fini(struct virtio *v)
{
	struct virtio_net *n = to_net(v);

	dev_timer_set(&n->patience, 0);
	dev_work_cancel(&n->look);
	for (unsigned int i = 0; i < n->max_pairs && n->pairs; i++)
		net_lend_fini(&n->pairs[i].lend);
	dev_doorbell_fini(&n->broken);
	dev_doorbell_fini(&n->bell);
	if (n->net)
		net_attach(n->net, NULL, NULL);
	free(n->pairs);
}

const struct virtio_class virtio_net_class = {
	.name = "virtio-net",
	.id = VIRTIO_ID_NET,
	.pci_class = 0x020000, /* network, Ethernet */
	.size = sizeof(struct virtio_net),
	.init = net_init,
	.fini = net_fini,
	.activate = net_activate,
	.kick = net_kick,
	.reset = net_reset,
	.disable = net_disable,
	.rewire = net_rewire,
};
