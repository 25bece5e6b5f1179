/*
 * Random requests to a virtio disk, in random buffers, with results of the host's file requests
 * that are real, short, wrong or errors, and with resets, broken rings and a file that shrinks.
 *
 * Beyond crashes it checks that the file is asked for nothing outside the disk, and for no write
 * if that is read-only; that every request a driver makes properly comes back once, with a
 * status, and what the driver wrote unchanged; that only a driver's mistake breaks the device,
 * and that it works after a reset whatever happened before. Does not look for races, and does
 * not compare contents.
 *
 * Input: byte 0 chooses the disk; then operations of a code and what it takes.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/fuzz/board.h"
#include "vmm/disk.h"

#define N_QUEUES   2
#define QUEUE_SIZE 16
#define N_SLOTS	   (N_QUEUES * QUEUE_SIZE)
#define IMAGE_SIZE (16 * KIB)
#define RING(i)	   (0x1000 + 0x4000 * (u64)(i))
#define SLOT_SIZE  0x2000
#define SLOT(i)	   (0x10000 + SLOT_SIZE * (u64)(i))
#define SLOT_OUT   0x1000 /* bytes of a slot for what the driver writes; the rest is the device's */
#define RAM_SIZE   SLOT(N_SLOTS)
#define UNSET	   0xee

/* A request the device has. */
struct slot {
	bool busy;
	u32 n_out, n_in;
	u32 sum; /* of what the driver wrote */
};

struct world {
	const u8 *data, *end;
	struct board b;
	struct gmem gmem;
	struct disk disk;
	struct dev *dev;
	struct vmmio m;
	struct vqd q[N_QUEUES];
	u64 features;
	struct slot slots[N_SLOTS];
	bool wild;     /* the driver wrote nonsense into its rings: only the host's side is sure */
	bool broke_it; /* the driver made a request without a writable byte */
};

static u8 take(struct world *w)
{
	return w->data < w->end ? *w->data++ : 0;
}

static u64 take_n(struct world *w, unsigned int n)
{
	u64 val = 0;

	while (n--)
		val = val << 8 | take(w);
	return val;
}

/* ---- the host's side ---- */

static void check_io(const struct world *w, const struct loop_io *io)
{
	CHECK(io->fd == w->disk.fd);
	switch (io->op) {
	case LOOP_OP_READ:
	case LOOP_OP_WRITE:
		CHECK(io->vec.len && range_fits(io->off, io->vec.len, IMAGE_SIZE));
		CHECK((io->off + io->vec.len) % 512 == 0);
		break;
	case LOOP_OP_FALLOCATE:
		CHECK(io->len && range_fits(io->off, io->len, IMAGE_SIZE));
		CHECK(io->mode == (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) ||
		      io->mode == (FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE));
		break;
	case LOOP_OP_FDATASYNC:
		return;
	}
	CHECK(io->op == LOOP_OP_READ || !w->disk.readonly);
}

static bool on_io(void *ctx, struct loop_io *io)
{
	struct world *w = ctx;

	check_io(w, io);
	if (w->b.n_held == N_SLOTS) {
		CHECK(w->wild || !w->b.hold);
		return false;
	}
	return board_hold_io(&w->b, io);
}

/* Move @n bytes as a file does: maybe fewer. */
static s64 move(const struct loop_io *io, size_t n)
{
	u8 buf[SLOT_SIZE];
	ssize_t ret;

	n = min_u64(min_u64(n, io->vec.len), sizeof(buf));
	if (io->op == LOOP_OP_READ) {
		ret = pread(io->fd, buf, n, (off_t)io->off);
		CHECK(ret >= 0 && gmem_vec_write(&io->vec, 0, buf, (size_t)ret));
	} else {
		CHECK(gmem_vec_read(&io->vec, 0, buf, n));
		ret = pwrite(io->fd, buf, n, (off_t)io->off);
	}
	return ret;
}

static s64 some_result(struct world *w, const struct loop_io *io)
{
	static const int codes[] = { EIO, ENOSPC, EOPNOTSUPP, EINVAL, EAGAIN, ECANCELED, ENOMEM };
	u8 how = take(w);

	if (how % 4 == 0)
		return -codes[how / 4 % ARRAY_SIZE(codes)];
	if (io->op == LOOP_OP_FDATASYNC || io->op == LOOP_OP_FALLOCATE)
		return 0;
	if (how % 4 == 1)
		return (s64)min_u64(take_n(w, 2), io->vec.len); /* not true */
	return move(io, how % 4 == 2 ? take_n(w, 2) : UINT32_MAX);
}

static void end_one(struct world *w, unsigned int i)
{
	board_end_io(&w->b, i, some_result(w, w->b.held[i]));
}

/* ---- the driver's side ---- */

static u32 sum(struct world *w, unsigned int slot)
{
	u8 bytes[SLOT_OUT];
	u32 val = 1;

	CHECK(!gmem_read(&w->gmem, SLOT(slot), bytes, w->slots[slot].n_out));
	for (u32 i = 0; i < w->slots[slot].n_out; i++)
		val = val * 31 + bytes[i];
	return val;
}

static void put_header(struct world *w, u8 *header)
{
	static const u32 types[] = { 0, 1, 4, 8, 11, 13, 0, 1 };
	static const u64 ends[] = { IMAGE_SIZE / 512, UINT64_MAX / 512, UINT64_MAX, 1ull << 63 };
	u8 how = take(w);

	put_le32(header, how & 8 ? (u32)take_n(w, 4) : types[how % 8]);
	put_le64(header + 8, how & 16 ? ends[how >> 6] - take(w) % 40 : take(w) % 40u);
	/* what a discard finds behind it */
	put_le64(header + 16, how & 32 ? ends[how >> 6] - take(w) % 40 : take(w) % 40u);
	put_le32(header + 24, how & 64 ? (u32)take_n(w, 4) : take(w) % 40u);
	put_le32(header + 28, how & 128 ? (u32)take_n(w, 4) : take(w) % 2u);
}

static u32 take_len(struct world *w)
{
	u8 how = take(w);

	if (how < 64)
		return 512u * (how % 8);
	if (how < 128)
		return how % 32;
	return how < 192 ? (u32)take_n(w, 2) % (SLOT_OUT - 64) : 0;
}

/* Cut @len bytes at @gpa into up to @max buffers. */
static unsigned int cut(struct world *w, struct vqd_buf *bufs, unsigned int max, u64 gpa, u32 len,
			bool write)
{
	unsigned int n = 0;

	while (len) {
		u32 part = n + 1 == max ? len : (u32)take_n(w, 2);

		part = (u32)min_u64(part ? part : len, len);
		bufs[n++] = (struct vqd_buf){ gpa, part, write };
		gpa += part;
		len -= part;
	}
	return n;
}

static void request(struct world *w, unsigned int q)
{
	u8 shape = take(w), bytes[SLOT_SIZE];
	struct vqd *d = &w->q[q];
	unsigned int i = q * QUEUE_SIZE + d->free, n;
	struct vqd_buf bufs[QUEUE_SIZE];
	struct slot *s = &w->slots[i];
	int head;

	if (!d->n_free)
		return;
	CHECK(w->wild || !s->busy);
	memset(bytes, UNSET, sizeof(bytes));
	put_header(w, bytes);
	/* as it should be, or of any lengths */
	s->n_out = (u32)min_u64((shape & 1 ? 0 : 16) + take_len(w), SLOT_OUT);
	s->n_in = (u32)min_u64((shape & 2 ? 0 : 1) + take_len(w), SLOT_SIZE - SLOT_OUT);
	if (!s->n_out && !s->n_in)
		return;
	CHECK(!gmem_write(&w->gmem, SLOT(i), bytes, sizeof(bytes)));
	n = cut(w, bufs, QUEUE_SIZE / 2, SLOT(i), s->n_out, false);
	n += cut(w, bufs + n, QUEUE_SIZE / 2, SLOT(i) + SLOT_OUT, s->n_in, true);
	head = shape & 4 ? vqd_add(d, bufs, n) : vqd_add_indirect(d, bufs, n);
	if (head < 0)
		return;
	s->busy = true;
	s->sum = sum(w, i);
	w->broke_it |= !s->n_in;
}

static bool broken(const struct world *w)
{
	return vmmio_read(&w->m, VMMIO_STATUS) & VIRTIO_S_NEEDS_RESET;
}

static void collect(struct world *w, unsigned int q)
{
	u32 len;
	int head;

	while ((head = vqd_used(&w->q[q], &len)) >= 0) {
		unsigned int i = q * QUEUE_SIZE + (unsigned int)head;
		struct slot *s = &w->slots[i];
		u8 status;

		if (w->wild)
			continue;
		CHECK(s->busy && s->n_in && len <= s->n_in);
		CHECK(!gmem_read(&w->gmem, SLOT(i) + SLOT_OUT + s->n_in - 1, &status, 1));
		CHECK(status <= 2);
		CHECK(sum(w, i) == s->sum);
		s->busy = false;
	}
	CHECK(w->wild || head == -EAGAIN);
}

/* Bring it up from whatever state; what it has of the host's is ended by then. */
static void drive(struct world *w)
{
	vmmio_write(&w->m, VMMIO_STATUS, 0);
	while (w->b.n_held)
		end_one(w, 0);
	loop_manual_run(w->b.loop);
	CHECK(!w->b.n_held);
	CHECK(vmmio_begin(&w->m, vmmio_offered(&w->m) & w->features));
	for (unsigned int i = 0; i < N_QUEUES; i++)
		CHECK(vmmio_queue(&w->m, i, &w->q[i], RING(i), QUEUE_SIZE));
	CHECK(vmmio_driver_ok(&w->m));
	memset(w->slots, 0, sizeof(w->slots));
	w->wild = w->broke_it = false;
	loop_manual_run(w->b.loop);
}

static void poke(struct world *w, struct vqd *d)
{
	u8 how = take(w);

	w->wild = true;
	switch (how % 4) {
	case 0:
		vqd_raw_desc(d, how / 4 % QUEUE_SIZE, take_n(w, 3), (u32)take_n(w, 2),
			     (u16)take_n(w, 1), (u16)take_n(w, 1));
		break;
	case 1:
		vqd_raw_ring(d, how / 4 % QUEUE_SIZE, take(w));
		break;
	case 2:
		vqd_raw_avail_idx(d, (u16)(d->avail_idx + take(w) % 20));
		break;
	case 3:
		vqd_raw_table(d, d->tables, how / 4, take_n(w, 3), (u32)take_n(w, 2), take(w),
			      take(w));
		break;
	}
}

static void step(struct world *w)
{
	u8 op = take(w);
	unsigned int q = op & 1;

	switch (op >> 1 & 15) {
	case 0 ... 4:
		request(w, q);
		break;
	case 5:
	case 6:
		if (vqd_must_kick(&w->q[q]) || w->wild)
			board_notify(&w->b, q);
		break;
	case 7:
	case 8:
		loop_manual_run(w->b.loop);
		break;
	case 9:
		w->b.hold = q;
		break;
	case 10:
	case 11:
		if (w->b.n_held) {
			unsigned int i = op >> 5;

			i %= w->b.n_held;
			end_one(w, i);
		}
		break;
	case 12:
		collect(w, q);
		vmmio_ack(&w->m);
		break;
	case 13:
		CHECK(!ftruncate(w->disk.fd, q ? IMAGE_SIZE : take(w) * 64));
		break;
	case 14:
		if (q)
			poke(w, &w->q[op >> 5 & 1]);
		else
			board_write(&w->b, BOARD_VIRTIO + VMMIO_CONFIG + op, 1u << take(w) % 4, op);
		break;
	case 15:
		w->features = q ? UINT64_MAX : take_n(w, 4) | BIT(VIRTIO_F_INDIRECT_DESC);
		drive(w);
		break;
	}
}

/* ---- all of it ---- */

static void world_open(struct world *w)
{
	u8 kind = take(w);
	struct virtio_blk_cfg blk = { &w->disk, N_QUEUES, "serial" };

	CHECK(!gmem_add(&w->gmem, 0, RAM_SIZE, NULL));
	board_open(&w->b, &w->gmem);
	loop_manual_io_hook(w->b.loop, on_io, w);
	w->disk = (struct disk){
		.fd = memfd_create("image", MFD_CLOEXEC),
		.size = IMAGE_SIZE,
		.readonly = kind & 1,
		.discard = (kind & 3) == 2,
		.block_size = 512,
		.physical_size = 4096,
		.discard_align = 4096,
		.path = "image",
	};
	CHECK(!ftruncate(w->disk.fd, IMAGE_SIZE));
	w->dev = board_plug_virtio(&w->b, &virtio_blk_class, &blk);
	w->m = (struct vmmio){ &w->b.mmio, &w->gmem, BOARD_VIRTIO, 0 };
	w->features = UINT64_MAX;
	drive(w);
}

/* What a good driver has asked for comes back. */
static void settle(struct world *w)
{
	for (int round = 0; round < 2 * N_SLOTS; round++) {
		for (unsigned int i = 0; i < N_QUEUES; i++)
			board_notify(&w->b, i);
		loop_manual_run(w->b.loop);
		if (!w->b.n_held)
			break;
		w->b.hold = false;
		while (w->b.n_held)
			end_one(w, 0);
		loop_manual_run(w->b.loop);
	}
	CHECK(w->wild || w->broke_it || !broken(w));
	for (unsigned int i = 0; i < N_QUEUES; i++)
		collect(w, i);
	for (unsigned int i = 0; i < N_SLOTS && !w->wild && !broken(w); i++)
		CHECK(!w->slots[i].busy);
}

static void check_works(struct world *w)
{
	struct vqd_buf bufs[] = { { SLOT(0), 16, false }, { SLOT(1), 513, true } };
	u8 status = UNSET;

	CHECK(!ftruncate(w->disk.fd, IMAGE_SIZE));
	w->b.hold = false;
	w->features = UINT64_MAX;
	drive(w);
	CHECK(!gmem_zero(&w->gmem, SLOT(0), 16));
	CHECK(!vqd_add(&w->q[0], bufs, 2));
	board_notify(&w->b, 0);
	loop_manual_run(w->b.loop);
	CHECK(!vqd_used(&w->q[0], NULL));
	CHECK(!gmem_read(&w->gmem, SLOT(1) + 512, &status, 1) && !status);
}

static void world_close(struct world *w)
{
	struct stat st;

	CHECK(!fstat(w->disk.fd, &st) && st.st_size == IMAGE_SIZE);
	board_unplug(&w->b, w->dev);
	board_close(&w->b);
	gmem_fini(&w->gmem);
	close(w->disk.fd);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return 0;
	w->data = data;
	w->end = data + min_u64(len, 4096);
	world_open(w);
	while (w->data < w->end) {
		step(w);
		board_check_virtio(&w->b, w->dev);
	}
	settle(w);
	check_works(w);
	world_close(w);
	free(w);
	return 0;
}
