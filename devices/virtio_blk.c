/*
 * virtio_blk.c - a disk (virtio 1.2 section 5.2).
 *
 * A request is one file request of the loop, between the image and the guest's memory without a
 * copy. Every request ends with a status: what the driver got wrong and what the host could not
 * do are both VIRTIO_BLK_S_IOERR. With O_DIRECT that includes memory that is not aligned to the
 * block size the driver was told of.
 *
 * What ends in one round of the loop is shown to the driver together, right after: many
 * requests cost one interrupt, and a single one does not wait for others.
 *
 * The cache is writeback, as FLUSH implies. To a driver that did not take that feature it
 * is writethrough: each write is followed by a flush of its own (5.2.6.2).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "devices/classes.h"
#include "devices/virtio.h"
#include "vmm/disk.h"

enum { /* 5.2.3: feature bits */
       BLK_F_SEG_MAX = 2,
       BLK_F_RO = 5,
       BLK_F_BLK_SIZE = 6,
       BLK_F_FLUSH = 9,
       BLK_F_TOPOLOGY = 10,
       BLK_F_MQ = 12,
       BLK_F_DISCARD = 13,
       BLK_F_WRITE_ZEROES = 14,
};

enum {			 /* 5.2.4: offsets into the configuration */
       CFG_CAPACITY = 0, /* sectors */
       CFG_SEG_MAX = 12,
       CFG_BLK_SIZE = 20,
       CFG_PHYSICAL_BLOCK_EXP = 24,
       CFG_MIN_IO_SIZE = 26, /* blocks */
       CFG_NUM_QUEUES = 34,
       CFG_MAX_DISCARD_SECTORS = 36,
       CFG_MAX_DISCARD_SEG = 40,
       CFG_DISCARD_SECTOR_ALIGNMENT = 44,
       CFG_MAX_WRITE_ZEROES_SECTORS = 48,
       CFG_MAX_WRITE_ZEROES_SEG = 52,
       CFG_WRITE_ZEROES_MAY_UNMAP = 56,
       CFG_LEN = 60,
};

enum { /* 5.2.6: types of requests */
       BLK_T_IN = 0,
       BLK_T_OUT = 1,
       BLK_T_FLUSH = 4,
       BLK_T_GET_ID = 8,
       BLK_T_DISCARD = 11,
       BLK_T_WRITE_ZEROES = 13,
};

enum {
	BLK_S_OK = 0,
	BLK_S_IOERR = 1,
	BLK_S_UNSUPP = 2,
	BLK_GO_ON = -1, /* here only: no status yet, r->io is to be started */
};

#define BLK_HEADER_LEN	16 /* le32 type, le32 reserved, le64 sector */
#define BLK_ID_LEN	20
#define BLK_RANGE_LEN	16 /* le64 sector, le32 num_sectors, le32 flags */
#define BLK_RANGE_UNMAP 1

/* Limits told to the driver. A range is done by the host in one go, so it has an end. */
#define BLK_MAX_SEGS	(VQ_MAX_SEGS - 2) /* besides header and status */
#define BLK_MAX_RANGES	1
#define BLK_MAX_SECTORS (GIB / DISK_SECTOR)

struct blk_req {
	struct dev_io io;
	struct virtio_queue *q;
	struct blk_req *next; /* while it is free */
	struct vq_chain chain;
	struct gmem_vec status; /* the last writable byte, cut off chain.in */
	struct iovec status_iov;
	u32 written; /* bytes of chain.in, from its start */
	bool sync;   /* a flush is to follow */
};

struct virtio_blk {
	struct virtio v;
	const struct disk *disk;
	u8 id[BLK_ID_LEN];
	struct dev_timer show;
	struct ratelimit limit;

	/* What was never used is memory never touched. */
	struct blk_req *reqs, *free; /* @free: last used first */
	unsigned int n_reqs, n_used; /* how many there are; were ever used */
};

static struct virtio_blk *to_blk(struct virtio *v)
{
	return container_of(v, struct virtio_blk, v);
}

/* ---- requests under way --------------------------------------------------------------- */

static void blk_show(struct dev *dev)
{
	struct virtio *v = virtio_of(dev);

	for (unsigned int i = 0; i < v->n_queues; i++)
		virtio_publish(&v->queues[i]);
}

static void blk_put(struct virtio_blk *blk, struct blk_req *r)
{
	r->next = blk->free;
	blk->free = r;
}

/*
 * The driver may take the first so many bytes it is told of as written (2.7.8.2): the status, which
 * is the last, counts if all before it were.
 */
static void blk_end(struct blk_req *r, u8 status)
{
	struct virtio_blk *blk = to_blk(r->q->v);

	gmem_vec_write(&r->status, 0, &status, sizeof(status));
	r->written += r->written == r->chain.in.len;
	vq_push(&r->q->vq, &r->chain, r->written);
	blk_put(blk, r);
	dev_timer_set(&blk->show, 1); /* long past: due before the loop waits again */
}

static void blk_proceed(struct blk_req *r, int status)
{
	struct virtio *v = r->q->v;

	if (status != BLK_GO_ON)
		blk_end(r, (u8)status);
	else if (virtio_live(v))
		dev_io_start(v->dev, &r->io);
	else
		blk_end(r, BLK_S_IOERR);
}

static int blk_failed(struct blk_req *r)
{
	static const char *const ops[] = {
		[LOOP_OP_READ] = "read",
		[LOOP_OP_WRITE] = "write",
		[LOOP_OP_FDATASYNC] = "flush",
		[LOOP_OP_FALLOCATE] = "discard or write zeroes",
	};
	struct virtio_blk *blk = to_blk(r->q->v);
	const struct loop_io *io = &r->io.io;

	/* The driver can do without a discard, and has other ways to write zeroes. */
	if (io->op == LOOP_OP_FALLOCATE && io->res == -EOPNOTSUPP)
		return BLK_S_UNSUPP;
	if (ratelimit_ok(&blk->limit))
		log_warn(blk->v.dev->env->log, "%s: %s: %s at byte %llu: %s", blk->v.dev->name,
			 blk->disk->path, ops[io->op], (unsigned long long)io->off,
			 io->res < 0 ? err_text((int)-io->res) : "the file ends before");
	return BLK_S_IOERR;
}

static int blk_next_step(struct blk_req *r)
{
	struct loop_io *io = &r->io.io;

	if (io->res < 0)
		return blk_failed(r);
	if (io->op == LOOP_OP_READ || io->op == LOOP_OP_WRITE) {
		/* Nothing: the file is shorter than it was. */
		if (!io->res || !gmem_vec_drop(&io->vec, (size_t)io->res))
			return blk_failed(r);
		io->off += (u64)io->res;
		if (io->op == LOOP_OP_READ)
			r->written += (u32)io->res;
		if (io->vec.len)
			return BLK_GO_ON;
	}
	if (!r->sync)
		return BLK_S_OK;
	r->sync = false;
	io->op = LOOP_OP_FDATASYNC;
	return BLK_GO_ON;
}

static void blk_io_ended(struct dev *dev, struct dev_io *io)
{
	struct blk_req *r = container_of(io, struct blk_req, io);

	(void)dev;
	blk_proceed(r, blk_next_step(r));
}

/* ---- what the driver asks for: a status, or BLK_GO_ON ---------------------------------- */

static bool blk_has_sectors(struct blk_req *r, u64 sector, u64 n)
{
	return range_fits(sector, n, to_blk(r->q->v)->disk->size / DISK_SECTOR);
}

static int blk_parse_rw(struct blk_req *r, enum loop_op op, const struct gmem_vec *data, u64 sector)
{
	if (data->len % DISK_SECTOR || !blk_has_sectors(r, sector, data->len / DISK_SECTOR))
		return BLK_S_IOERR;
	r->io.io.op = op;
	r->io.io.off = sector * DISK_SECTOR;
	r->io.io.vec = *data;
	return data->len ? BLK_GO_ON : BLK_S_OK;
}

static int blk_parse_range(struct blk_req *r, bool discard)
{
	struct virtio_blk *blk = to_blk(r->q->v);
	struct loop_io *io = &r->io.io;
	u8 range[BLK_RANGE_LEN];
	u32 n, flags;
	u64 sector;

	if (!virtio_has(&blk->v, discard ? BLK_F_DISCARD : BLK_F_WRITE_ZEROES))
		return BLK_S_UNSUPP;
	if (r->chain.out.len != BLK_MAX_RANGES * sizeof(range) ||
	    !gmem_vec_read(&r->chain.out, 0, range, sizeof(range)))
		return BLK_S_IOERR;
	sector = get_le64(range);
	n = get_le32(range + 8);
	flags = get_le32(range + 12);
	if (flags & ~(discard ? 0u : BLK_RANGE_UNMAP))
		return BLK_S_UNSUPP;
	if (n > BLK_MAX_SECTORS || !blk_has_sectors(r, sector, n))
		return BLK_S_IOERR;
	io->op = LOOP_OP_FALLOCATE;
	/* Holes read as zeroes as well, but only who asked for discard=on wants them. */
	io->mode = FALLOC_FL_KEEP_SIZE;
	io->mode |= discard || (flags && blk->disk->discard) ? FALLOC_FL_PUNCH_HOLE
							     : FALLOC_FL_ZERO_RANGE;
	io->off = sector * DISK_SECTOR;
	io->len = (u64)n * DISK_SECTOR;
	return n ? BLK_GO_ON : BLK_S_OK;
}

static int blk_parse(struct blk_req *r)
{
	struct virtio_blk *blk = to_blk(r->q->v);
	struct vq_chain *chain = &r->chain;
	u8 header[BLK_HEADER_LEN];
	u32 type;

	if (!gmem_vec_read(&chain->out, 0, header, sizeof(header)))
		return BLK_S_IOERR;
	gmem_vec_drop(&chain->out, sizeof(header));
	type = get_le32(header);
	switch (type) {
	case BLK_T_IN:
		return blk_parse_rw(r, LOOP_OP_READ, &chain->in, get_le64(header + 8));
	case BLK_T_OUT:
	case BLK_T_DISCARD:
	case BLK_T_WRITE_ZEROES:
		if (blk->disk->readonly)
			return BLK_S_IOERR;
		r->sync = !virtio_has(&blk->v, BLK_F_FLUSH);
		if (type != BLK_T_OUT)
			return blk_parse_range(r, type == BLK_T_DISCARD);
		return blk_parse_rw(r, LOOP_OP_WRITE, &chain->out, get_le64(header + 8));
	case BLK_T_FLUSH:
		r->io.io.op = LOOP_OP_FDATASYNC;
		return BLK_GO_ON;
	case BLK_T_GET_ID:
		if (!gmem_vec_write(&chain->in, 0, blk->id, sizeof(blk->id)))
			return BLK_S_IOERR;
		r->written = sizeof(blk->id);
		return BLK_S_OK;
	}
	return BLK_S_UNSUPP;
}

/* One that is free. There always is: see n_reqs. */
static struct blk_req *blk_get(struct virtio_blk *blk, struct virtio_queue *q)
{
	struct blk_req *r = blk->free;

	if (r)
		blk->free = r->next;
	else if (blk->n_used < blk->n_reqs)
		r = &blk->reqs[blk->n_used++];
	else
		return NULL;
	r->q = q;
	r->io = (struct dev_io){ .io.fd = blk->disk->fd, .fn = blk_io_ended };
	r->written = 0;
	r->sync = false;
	return r;
}

static bool blk_begin(struct blk_req *r)
{
	struct gmem_vec *in = &r->chain.in;

	r->status = (struct gmem_vec){ .iov = &r->status_iov };
	/* One byte is one piece: none is empty. */
	if (!in->len || !gmem_vec_split(in, in->len - 1, &r->status)) {
		virtio_break(r->q->v, "a request has no room for its status");
		return false;
	}
	blk_proceed(r, blk_parse(r));
	return true;
}

static void blk_kick(struct virtio *v, struct virtio_queue *q)
{
	struct virtio_blk *blk = to_blk(v);
	struct blk_req *r;

	while ((r = blk_get(blk, q))) {
		if (!virtio_next(q, &r->chain) || !blk_begin(r)) {
			blk_put(blk, r);
			return;
		}
	}
}

/* ---- life ----------------------------------------------------------------------------- */

static void blk_describe(struct virtio *v, const struct disk *disk)
{
	u32 n_blocks = disk->physical_size / disk->block_size; /* of a physical one */
	u8 *cfg = v->config;

	v->features = BIT(BLK_F_SEG_MAX) | BIT(BLK_F_BLK_SIZE) | BIT(BLK_F_FLUSH) |
		      BIT(BLK_F_TOPOLOGY) | BIT(disk->readonly ? BLK_F_RO : BLK_F_WRITE_ZEROES) |
		      (disk->discard ? BIT(BLK_F_DISCARD) : 0) |
		      (v->n_queues > 1 ? BIT(BLK_F_MQ) : 0);
	v->config_len = CFG_LEN;
	put_le64(cfg + CFG_CAPACITY, disk->size / DISK_SECTOR);
	put_le32(cfg + CFG_SEG_MAX, BLK_MAX_SEGS);
	put_le32(cfg + CFG_BLK_SIZE, disk->block_size);
	cfg[CFG_PHYSICAL_BLOCK_EXP] = (u8)__builtin_ctz(n_blocks);
	put_le16(cfg + CFG_MIN_IO_SIZE, (u16)min_u64(n_blocks, UINT16_MAX));
	put_le16(cfg + CFG_NUM_QUEUES, (u16)v->n_queues);
	put_le32(cfg + CFG_MAX_DISCARD_SECTORS, BLK_MAX_SECTORS);
	put_le32(cfg + CFG_MAX_DISCARD_SEG, BLK_MAX_RANGES);
	put_le32(cfg + CFG_DISCARD_SECTOR_ALIGNMENT, disk->discard_align / DISK_SECTOR);
	put_le32(cfg + CFG_MAX_WRITE_ZEROES_SECTORS, BLK_MAX_SECTORS);
	put_le32(cfg + CFG_MAX_WRITE_ZEROES_SEG, BLK_MAX_RANGES);
	cfg[CFG_WRITE_ZEROES_MAY_UNMAP] = disk->discard;
}

static int blk_init(struct virtio *v, const void *arg, struct lkvm_error *err)
{
	struct virtio_blk *blk = to_blk(v);
	const struct virtio_blk_cfg *cfg = arg;
	int ret;

	blk->disk = cfg->disk;
	dev_timer_init(&blk->show, v->dev, blk_show);
	memcpy(blk->id, cfg->serial, strnlen(cfg->serial, sizeof(blk->id)));
	ret = virtio_add_queues(v, cfg->queues, VQ_MAX_SIZE, err);
	if (ret)
		return ret;
	blk_describe(v, cfg->disk);
	/* No more than a queue of them is under way (vq_pop()), and there is one to look for more.
	 */
	blk->n_reqs = cfg->queues * VQ_MAX_SIZE + 1;
	blk->reqs = malloc(blk->n_reqs * sizeof(*blk->reqs));
	return blk->reqs ? 0 : err_host(err, ENOMEM, "device %s: requests", v->dev->name);
}

static void blk_fini(struct virtio *v)
{
	dev_timer_set(&to_blk(v)->show, 0);
	free(to_blk(v)->reqs);
}

const struct virtio_class virtio_blk_class = {
	.name = "virtio-blk",
	.id = VIRTIO_ID_BLOCK,
	.size = sizeof(struct virtio_blk),
	.init = blk_init,
	.fini = blk_fini,
	.kick = blk_kick,
};
