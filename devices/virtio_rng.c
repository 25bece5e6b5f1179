/*
 * virtio_rng.c - entropy device (virtio 1.2 section 5.4): one queue of buffers that the
 * host's random numbers go into. It has no features and no configuration.
 */
#include <sys/random.h>

#include "devices/classes.h"
#include "devices/virtio.h"

#define RNG_QUEUE_SIZE 64

/*
 * Bytes of one request, whatever the driver has room for (5.4.6.1 asks for one at least). With
 * VIRTIO_KICK_MAX it bounds a kick: 256 KiB, which take less than a millisecond.
 */
#define RNG_MAX 4096

/* Early in the host's boot there is no entropy yet: look again after this. */
#define RNG_RETRY_NS (100 * NSEC_PER_MSEC)

struct virtio_rng {
	struct virtio v;
	struct dev_timer retry;
	struct vq_chain chain;
};

static struct virtio_rng *to_rng(struct virtio *v)
{
	return container_of(v, struct virtio_rng, v);
}

static void rng_kick(struct virtio *v, struct virtio_queue *q)
{
	struct virtio_rng *rng = to_rng(v);
	u8 bytes[RNG_MAX];

	while (virtio_next(q, &rng->chain)) {
		size_t len = min_u64(rng->chain.in.len, sizeof(bytes));
		ssize_t n = len ? getrandom(bytes, len, GRND_NONBLOCK) : 0;

		if (n < 0) {
			vq_unpop(&q->vq, 1);
			dev_timer_set(&rng->retry, loop_now(v->dev->loop) + RNG_RETRY_NS);
			return;
		}
		gmem_vec_write(&rng->chain.in, 0, bytes, (size_t)n);
		vq_push(&q->vq, &rng->chain.used, (u32)n);
	}
}

static void rng_retry(struct dev *dev)
{
	virtio_run(&virtio_of(dev)->queues[0]);
}

static void rng_stop(struct virtio *v)
{
	dev_timer_set(&to_rng(v)->retry, 0);
}

static int rng_init(struct virtio *v, const void *cfg, struct lkvm_error *err)
{
	(void)cfg;
	dev_timer_init(&to_rng(v)->retry, v->dev, rng_retry);
	return virtio_add_queues(v, 1, RNG_QUEUE_SIZE, err);
}

const struct virtio_class virtio_rng_class = {
	.name = "virtio-rng",
	.id = VIRTIO_ID_RNG,
	.size = sizeof(struct virtio_rng),
	.init = rng_init,
	.fini = rng_stop,
	.kick = rng_kick,
	.reset = rng_stop,
};
