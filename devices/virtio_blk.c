/*
 * virtio_blk.c - a disk (virtio 1.2 section 5.2).
 *
 * A request is one file request of the loop, between the image and the guest's memory without a
 * copy. Every request ends with a status: what the driver got wrong and what the host could not
 * do are both VIRTIO_BLK_S_IOERR. With O_DIRECT that includes memory that is not aligned to the
 * block size the driver was told of.
 *
 * The cache is writeback, as FLUSH implies. To a driver that did not take that feature it
 * is writethrough: each write is followed by a flush of its own (5.2.6.2).
 */
#include <errno.h>
#include <fcntl.h>

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
	struct virtio_req req;
	struct dev_io io;
	struct gmem_vec status; /* the last writable byte, cut off chain.in */
	struct iovec status_iov;
	u32 written; /* bytes of chain.in, from its start */
};

struct virtio_blk {
	struct virtio v;
	const struct disk *disk;
	u8 id[BLK_ID_LEN];
};

static struct virtio_blk *to_blk(struct virtio *v)
{
	return container_of(v, struct virtio_blk, v);
}

/* ---- requests under way --------------------------------------------------------------- */

/*
 * The driver may take the first so many bytes it is told of as written (2.7.8.2): the status, which
 * is the last, counts if all before it were.
 */
static void blk_end(struct blk_req *r, int status)
{
	u8 byte = (u8)status;

	gmem_vec_write(&r->status, 0, &byte, sizeof(byte));
	virtio_done(&r->req, r->written + (r->written == r->req.chain.in.len));
}

static void blk_io_ended(struct dev *dev, struct dev_io *io)
{
	struct blk_req *r = container_of(io, struct blk_req, io);

	if (io->io.op == LOOP_OP_READ)
		r->written = (u32)io->moved;
	if (dev_io_ok(io)) {
		blk_end(r, BLK_S_OK);
	} else if (io->io.op == LOOP_OP_FALLOCATE && io->io.res == -EOPNOTSUPP) {
		/* The driver can do without a discard, and has other ways to write zeroes. */
		blk_end(r, BLK_S_UNSUPP);
	} else {
		dev_io_complain(io, to_blk(virtio_of(dev))->disk->path);
		blk_end(r, BLK_S_IOERR);
	}
}

/* ---- what the driver asks for: a status, or BLK_GO_ON ---------------------------------- */

static bool blk_has_sectors(struct blk_req *r, u64 sector, u64 n)
{
	return range_fits(sector, n, to_blk(r->req.q->v)->disk->size / DISK_SECTOR);
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
	struct virtio_blk *blk = to_blk(r->req.q->v);
	struct loop_io *io = &r->io.io;
	u8 range[BLK_RANGE_LEN];
	u32 n, flags;
	u64 sector;

	if (!virtio_has(&blk->v, discard ? BLK_F_DISCARD : BLK_F_WRITE_ZEROES))
		return BLK_S_UNSUPP;
	if (r->req.chain.out.len != BLK_MAX_RANGES * sizeof(range) ||
	    !gmem_vec_read(&r->req.chain.out, 0, range, sizeof(range)))
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
	struct virtio_blk *blk = to_blk(r->req.q->v);
	struct vq_chain *chain = &r->req.chain;
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
		r->io.stable = !virtio_has(&blk->v, BLK_F_FLUSH);
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

static void blk_begin(struct blk_req *r)
{
	struct virtio_blk *blk = to_blk(r->req.q->v);
	struct gmem_vec *in = &r->req.chain.in;
	int status;

	r->io.fn = blk_io_ended;
	r->io.io.fd = blk->disk->fd;
	r->status.iov = &r->status_iov;
	/* One byte is one piece: none is empty. */
	if (!in->len || !gmem_vec_split(in, in->len - 1, &r->status)) {
		virtio_break(&blk->v, "a request has no room for its status");
		return;
	}
	status = blk_parse(r);
	if (status == BLK_GO_ON)
		dev_io_start(blk->v.dev, &r->io);
	else
		blk_end(r, status);
}

static void blk_kick(struct virtio *v, struct virtio_queue *q)
{
	struct virtio_req *r;

	(void)v;
	while ((r = virtio_request(q)))
		blk_begin(container_of(r, struct blk_req, req));
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
	int ret = virtio_add_queues(v, cfg->queues, VQ_MAX_SIZE, err);

	blk->disk = cfg->disk;
	memcpy(blk->id, cfg->serial, strnlen(cfg->serial, sizeof(blk->id)));
	blk_describe(v, cfg->disk);
	return ret;
}

const struct virtio_class virtio_blk_class = {
	.name = "virtio-blk",
	.id = VIRTIO_ID_BLOCK,
	.pci_class = 0x018000, /* mass storage, other */
	.size = sizeof(struct virtio_blk),
	.req_size = sizeof(struct blk_req),
	.arm_late = true,
	.init = blk_init,
	.kick = blk_kick,
};
