#include "devices/net_lend.h"

/*
 * Each signal of the kernel's may stand for several interrupts. One that comes late, after a
 * reset, is for a driver that is gone.
 */
static void on_call(struct dev *dev, struct dev_doorbell *bell)
{
	struct virtio_queue *q = container_of(bell, struct net_lend_ring, call)->q;

	(void)dev;
	if (q->lent && virtio_live(q->v))
		q->v->transport->interrupt(q->v, q);
}

static int call_fd(const struct net_lend_ring *r)
{
	const struct virtio_transport *t = r->q->v->transport;
	int fd = t->call_fd ? t->call_fd(r->q) : -1;

	return fd >= 0 ? fd : r->call.lfd.fd;
}

int net_lend_init(struct net_lend *l, struct vhost *vh, struct virtio_queue *rx,
		  struct virtio_queue *tx, struct lkvm_error *err)
{
	int ret = 0;

	l->vh = vh;
	l->rings[VHOST_NET_RX].q = rx;
	l->rings[VHOST_NET_TX].q = tx;
	for (unsigned int i = 0; i < VHOST_NET_RINGS && vh && !ret; i++)
		ret = dev_doorbell_init(&l->rings[i].call, rx->v->dev, on_call, err);
	return ret;
}

void net_lend_fini(struct net_lend *l)
{
	net_lend_stop(l);
	for (unsigned int i = 0; i < VHOST_NET_RINGS; i++)
		dev_doorbell_fini(&l->rings[i].call);
}

/*
 * What this says is the same all the time from DRIVER_OK to reset, but that a queue may go.
 * Without MRG_RXBUF the header still has num_buffers, which is 1 then (5.1.6.4.1); not all
 * kernels write it.
 */
static bool can_lend(const struct net_lend *l)
{
	const struct virtio_queue *rx = l->rings[VHOST_NET_RX].q, *tx = l->rings[VHOST_NET_TX].q;

	return virtio_has(rx->v, VIRTIO_NET_F_MRG_RXBUF) && rx->vq.enabled && tx->vq.enabled;
}

static int start(struct net_lend *l, int err_fd)
{
	const struct virtio *v = l->rings[VHOST_NET_RX].q->v;
	struct vhost_ring rings[VHOST_NET_RINGS];

	for (unsigned int i = 0; i < VHOST_NET_RINGS; i++) {
		const struct net_lend_ring *r = &l->rings[i];

		rings[i] = (struct vhost_ring){
			.size = r->q->layout.size,
			.next = r->next,
			.desc = r->q->layout.desc,
			.avail = r->q->layout.avail,
			.used = r->q->layout.used,
			.kick = r->q->bell.lfd.fd,
			.call = call_fd(r),
			.err = err_fd,
		};
	}
	return vhost_net_start(l->vh, v->dev->env->gmem, v->accepted, rings);
}

/* What the kernel has moved on cannot be served here from its beginning. */
static void refuse(struct net_lend *l, int ret)
{
	struct virtio *v = l->rings[VHOST_NET_RX].q->v;

	l->refused = true;
	if (ratelimit_ok(&v->limit)) /* a driver can begin again and again */
		log_warn(v->dev->env->log, "%s: vhost-net does not start: %s", v->dev->name,
			 err_text(-ret));
	if (l->rings[VHOST_NET_RX].q->lent)
		virtio_break(v, "the host cannot go on with its queues");
}

void net_lend_start(struct net_lend *l, int err_fd)
{
	int ret;

	if (!l->vh || l->running || l->refused || !can_lend(l))
		return;
	ret = start(l, err_fd);
	if (ret) {
		refuse(l, ret);
		return;
	}
	l->running = true;
	for (unsigned int i = 0; i < VHOST_NET_RINGS; i++) {
		virtio_lend(l->rings[i].q, true);
		/* What was made available before was notified here, or is not to be (3.1.1). */
		dev_doorbell_signal(&l->rings[i].q->bell);
	}
}

void net_lend_stop(struct net_lend *l)
{
	for (unsigned int i = 0; i < VHOST_NET_RINGS && l->running; i++)
		l->rings[i].next = vhost_net_stop(l->vh, i);
	l->running = false;
}

static unsigned int ring_of(const struct net_lend *l, const struct virtio_queue *q)
{
	return l->rings[VHOST_NET_RX].q == q ? VHOST_NET_RX : VHOST_NET_TX;
}

void net_lend_stop_queue(struct net_lend *l, const struct virtio_queue *q)
{
	if (l->running)
		vhost_net_stop(l->vh, ring_of(l, q));
}

void net_lend_rewire(struct net_lend *l, const struct virtio_queue *q)
{
	unsigned int i = ring_of(l, q);

	if (l->running)
		vhost_net_set_call(l->vh, i, call_fd(&l->rings[i]));
}

void net_lend_reset(struct net_lend *l)
{
	net_lend_stop(l);
	for (unsigned int i = 0; i < VHOST_NET_RINGS; i++)
		l->rings[i].next = 0;
	l->refused = false;
}

void net_lend_listen(struct net_lend *l)
{
	for (unsigned int i = 0; i < VHOST_NET_RINGS && l->vh; i++)
		virtio_lend(l->rings[i].q, false);
}
