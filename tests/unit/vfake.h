/*
 * vfake.h - a virtio device that does little and remembers what it was asked.
 *
 * For tests and fuzz targets of the core and its transports. What it does with requests is
 * @mode's, which a test may change at any time on the loop's thread.
 */
#ifndef LKVM_TESTS_UNIT_VFAKE_H
#define LKVM_TESTS_UNIT_VFAKE_H

#include <errno.h>

#include "devices/virtio.h"

#define VFAKE_ID       42
#define VFAKE_MAX_REQS 4
#define VFAKE_MAX_LOG  1024
#define VFAKE_BYTE     0x5a

enum vfake_mode {
	VFAKE_SERVE, /* fill what can be written with VFAKE_BYTE, at once */
	VFAKE_FILE,  /* read it from a file, up to VFAKE_MAX_REQS at a time */
	VFAKE_FULL,  /* there is no room: give the request back */
	VFAKE_BREAK, /* the driver did wrong */
};

struct vfake_cfg {
	struct vfake **out;
	unsigned int n_queues;
	u16 size;
	u64 features;
	unsigned int config_len;
	int fd;	      /* VFAKE_FILE's */
	int init_ret; /* what init fails with */
	unsigned int *n_fini;
};

struct vfake_req {
	struct virtio_req req;
	struct dev_io io;
};

struct vfake {
	struct virtio v;
	enum vfake_mode mode;
	int fd;
	struct vq_chain chain;

	unsigned int n_busy; /* requests at the host */
	unsigned int n_activate, n_kick, n_reset, n_served, n_io_ended;
	unsigned int *n_fini;  /* NULL: nobody counts */
	u8 log[VFAKE_MAX_LOG]; /* the queue of each request served */
	struct {
		u32 off;
		unsigned int size;
		u64 val;
	} written; /* the last write to the configuration */
	unsigned int n_written;

	/* Called in the middle of a request that VFAKE_SERVE serves. */
	void (*serving)(struct vfake *f, void *ctx);
	void *serving_ctx;
};

static inline struct vfake *vfake_of(struct virtio *v)
{
	return container_of(v, struct vfake, v);
}

static inline void vfake_serve(struct vfake *f, struct virtio_queue *q)
{
	u32 len = (u32)f->chain.in.len;
	u8 byte = VFAKE_BYTE;

	if (len)
		gmem_vec_write(&f->chain.in, len - 1, &byte, 1);
	if (f->serving)
		f->serving(f, f->serving_ctx);
	f->log[f->n_served++ % VFAKE_MAX_LOG] = (u8)q->index;
	vq_push(&q->vq, &f->chain.used, len);
}

static inline void vfake_io_ended(struct dev *dev, struct dev_io *io)
{
	struct vfake_req *r = container_of(io, struct vfake_req, io);
	struct vfake *f = vfake_of(virtio_of(dev));
	struct virtio_queue *q = r->req.q;

	f->n_busy--;
	f->n_io_ended++;
	virtio_done(&r->req, (u32)io->moved);
	virtio_run(q);
}

static inline void vfake_start(struct vfake *f, struct virtio_queue *q)
{
	struct virtio_req *req;

	while (f->n_busy < VFAKE_MAX_REQS && (req = virtio_request(q))) {
		struct vfake_req *r = container_of(req, struct vfake_req, req);

		f->n_busy++;
		r->io = (struct dev_io){
			.io = { .op = LOOP_OP_READ, .fd = f->fd, .vec = req->chain.in },
			.fn = vfake_io_ended,
		};
		dev_io_start(f->v.dev, &r->io);
	}
}

static inline void vfake_kick(struct virtio *v, struct virtio_queue *q)
{
	struct vfake *f = vfake_of(v);

	f->n_kick++;
	switch (f->mode) {
	case VFAKE_SERVE:
		while (virtio_next(q, &f->chain))
			vfake_serve(f, q);
		break;
	case VFAKE_FILE:
		vfake_start(f, q);
		break;
	case VFAKE_FULL:
		if (virtio_next(q, &f->chain))
			vq_unpop(&q->vq, 1);
		break;
	case VFAKE_BREAK:
		virtio_break(v, "it was told to");
		break;
	}
}

static inline void vfake_activate(struct virtio *v)
{
	vfake_of(v)->n_activate++;
}

static inline void vfake_reset(struct virtio *v)
{
	vfake_of(v)->n_reset++;
}

static inline void vfake_config_write(struct virtio *v, u32 off, unsigned int size, u64 val)
{
	struct vfake *f = vfake_of(v);

	f->written.off = off;
	f->written.size = size;
	f->written.val = val;
	f->n_written++;
	for (unsigned int i = 0; i < size; i++)
		v->config[off + i] = (u8)(val >> (8 * i));
}

static inline int vfake_init(struct virtio *v, const void *arg, struct lkvm_error *err)
{
	const struct vfake_cfg *cfg = arg;
	struct vfake *f = vfake_of(v);

	f->fd = cfg->fd;
	f->n_fini = cfg->n_fini;
	v->features = cfg->features;
	v->config_len = cfg->config_len;
	for (unsigned int i = 0; i < VIRTIO_CONFIG_MAX; i++)
		v->config[i] = (u8)(i + 1);
	if (cfg->out)
		*cfg->out = f;
	if (cfg->init_ret)
		return err_host(err, -cfg->init_ret, "fake");
	return virtio_add_queues(v, cfg->n_queues, cfg->size, err);
}

static inline void vfake_fini(struct virtio *v)
{
	if (vfake_of(v)->n_fini)
		++*vfake_of(v)->n_fini;
}

static const struct virtio_class vfake_class = {
	.name = "virtio-fake",
	.id = VFAKE_ID,
	.size = sizeof(struct vfake),
	.req_size = sizeof(struct vfake_req),
	.init = vfake_init,
	.fini = vfake_fini,
	.activate = vfake_activate,
	.kick = vfake_kick,
	.reset = vfake_reset,
	.config_write = vfake_config_write,
};

#endif
