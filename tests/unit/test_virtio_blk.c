/*
 * virtio-blk, played by a driver over the MMIO transport, on a manual loop: requests run on an
 * image in memory, or are kept by the test and end as it likes.
 *
 * Does not prove that a stock driver is content, that fdatasync() reaches a disk, what O_DIRECT
 * does, or anything about speed: booting guests and the benchmarks do. Opening and locking
 * images is test_disk.c's, what is wrong with rings test_virtq.c's.
 */
#include "tests/unit/devtest.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "devices/classes.h"
#include "tests/unit/vmmio.h"
#include "vmm/disk.h"

/* Virtio 1.2, 5.2.3, 5.2.4 and 5.2.6; said again here so that a slip of virtio_blk.c shows. */
enum {
	F_SEG_MAX = 2,
	F_RO = 5,
	F_BLK_SIZE,
	F_FLUSH = 9,
	F_TOPOLOGY,
	F_MQ = 12,
	F_DISCARD,
	F_ZEROES
};
enum { T_IN, T_OUT, T_SCSI, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13, T_ERASE };
enum { S_OK, S_IOERR, S_UNSUPP, S_NONE = 0xee /* the device wrote none */ };

#define ALL_FEATURES                                                                          \
	(BIT(F_SEG_MAX) | BIT(F_BLK_SIZE) | BIT(F_FLUSH) | BIT(F_TOPOLOGY) | BIT(F_DISCARD) | \
	 BIT(F_ZEROES) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC))

#define REGS	   0xd0000000
#define RAM_SIZE   (16 * MIB)
#define RING(i)	   (0x10000 + 0x40000 * (u64)(i))
#define HEADER(i)  (4 * MIB + 0x40 * (u64)(i)) /* of request @i: its status is behind it */
#define STATUS(i)  (HEADER(i) + 0x20)
#define DATA(i)	   (8 * MIB + 0x2000 * (u64)(i))
#define DATA_MAX   0x2000
#define IMAGE_SIZE (256 * KIB)
#define N_SECTORS  (IMAGE_SIZE / 512)
#define MAX_HELD   1024

struct bench {
	struct devtest t;
	struct vmmio m;
	struct disk disk;
	struct vqd q[LKVM_MAX_QUEUES];
	u64 features; /* that the driver wants, of those offered */
	unsigned int n_queues;
	u16 size;

	/* The host side. Requests that @hold says of are kept, others run. */
	bool (*hold)(const struct loop_io *io);
	struct loop_io *held[MAX_HELD];
	unsigned int n_held, n_io;
	struct loop_io seen[MAX_HELD]; /* each as it was started */

	/* What the driver does after the kick, with the loop still awake. */
	struct loop_work meanwhile;
	bool added, notified;
};

/* ---- the board ---- */

static bool on_io(void *ctx, struct loop_io *io)
{
	struct bench *b = ctx;

	assert_true(b->n_io < MAX_HELD);
	b->seen[b->n_io++] = *io;
	if (b->meanwhile.fn)
		loop_post(b->t.loop, &b->meanwhile);
	if (!b->hold || !b->hold(io))
		return false;
	b->held[b->n_held++] = io;
	return true;
}

static bool hold_all(const struct loop_io *io)
{
	(void)io;
	return true;
}

static bool hold_flushes(const struct loop_io *io)
{
	return io->op == LOOP_OP_FDATASYNC;
}

/* The oldest one kept ends with @res. */
static void end_held(struct bench *b, s64 res)
{
	struct loop_io *io = b->held[0];

	assert_true(b->n_held > 0);
	memmove(b->held, b->held + 1, --b->n_held * sizeof(b->held[0]));
	io->res = res;
	loop_manual_io_done(b->t.loop, io);
}

/* Byte @off of the image, in the beginning. */
static u8 pattern(u64 off)
{
	return (u8)(off / 512 * 7 + off % 512 + 1);
}

static void make_image(struct bench *b)
{
	u8 *bytes = malloc(IMAGE_SIZE);

	assert_non_null(bytes);
	for (u64 i = 0; i < IMAGE_SIZE; i++)
		bytes[i] = pattern(i);
	b->disk = (struct disk){
		.fd = memfd_create("image", MFD_CLOEXEC),
		.size = IMAGE_SIZE,
		.discard = true,
		.block_size = 512,
		.physical_size = 4096,
		.discard_align = 8192,
		.path = "a.img",
	};
	assert_true(b->disk.fd >= 0);
	assert_int_equal(pwrite(b->disk.fd, bytes, IMAGE_SIZE, 0), IMAGE_SIZE);
	free(bytes);
}

/* A driver from a reset on. */
static void drive(struct bench *b)
{
	assert_true(vmmio_begin(&b->m, vmmio_offered(&b->m) & b->features));
	for (unsigned int i = 0; i < b->n_queues; i++)
		assert_true(vmmio_queue(&b->m, i, &b->q[i], RING(i), b->size));
	assert_true(vmmio_driver_ok(&b->m));
	devtest_run(&b->t);
}

/* Board and image; a test may change what it is about before plug(). */
static struct bench *setup(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	devtest_init(&b->t, 0);
	devtest_add_ram(&b->t, 0, RAM_SIZE);
	loop_manual_io_hook(b->t.loop, on_io, b);
	b->m = (struct vmmio){ &b->t.mmio, &b->t.gmem, REGS, 0 };
	b->features = ALL_FEATURES | BIT(F_RO) | BIT(F_MQ);
	b->n_queues = 1;
	b->size = 64;
	make_image(b);
	return b;
}

static void plug(struct bench *b)
{
	struct virtio_blk_cfg blk = { &b->disk, b->n_queues, "serial-0123456789" };
	struct virtio_cfg cfg = { .cls = &virtio_blk_class, .cfg = &blk };

	devtest_plug(&b->t,
		     &(struct dev_slot){ .cls = &virtio_mmio_class,
					 .name = "disk0",
					 .ranges = { { &b->t.mmio, REGS, VMMIO_LEN, 15, 0 } },
					 .cfg = &cfg });
	drive(b);
}

static struct bench *setup_driven(void)
{
	struct bench *b = setup();

	plug(b);
	return b;
}

static void teardown(struct bench *b)
{
	assert_int_equal(b->n_held, 0);
	devtest_fini(&b->t);
	close(b->disk.fd);
	free(b);
}

/* ---- the driver ---- */

static void put_header(struct bench *b, unsigned int i, u32 type, u64 sector)
{
	u8 header[16], none = S_NONE;

	put_le32(header, type);
	put_le32(header + 4, 0x5eed); /* reserved, was a priority */
	put_le64(header + 8, sector);
	assert_int_equal(gmem_write(&b->t.gmem, HEADER(i), header, sizeof(header)), 0);
	assert_int_equal(gmem_write(&b->t.gmem, STATUS(i), &none, 1), 0);
}

/* Make request @i of queue @q available: @len bytes of data at DATA(@i), to be read or written. */
static int add(struct bench *b, unsigned int q, unsigned int i, u32 type, u64 sector, u32 len)
{
	bool in = type == T_IN || type == T_GET_ID;
	struct vqd_buf bufs[] = {
		{ HEADER(i), 16, false },
		{ DATA(i), len, in },
		{ STATUS(i), 1, true },
	};
	int head;

	put_header(b, i, type, sector);
	if (!len)
		bufs[1] = bufs[2];
	head = vqd_add_indirect(&b->q[q], bufs, len ? 3 : 2);
	assert_true(head >= 0);
	return head;
}

static void kick(struct bench *b, unsigned int q)
{
	if (vqd_must_kick(&b->q[q]))
		vmmio_notify(&b->m, q);
	devtest_run(&b->t);
}

static u8 status_of(struct bench *b, unsigned int i)
{
	u8 status;

	assert_int_equal(gmem_read(&b->t.gmem, STATUS(i), &status, 1), 0);
	return status;
}

/* The status of the one request that is there; @head ended, having written @len. */
static u8 ended(struct bench *b, int head, u32 len)
{
	u32 written;

	assert_int_equal(vqd_used(&b->q[0], &written), head);
	assert_int_equal(written, len);
	assert_int_equal(vqd_used(&b->q[0], NULL), -EAGAIN);
	return status_of(b, 0);
}

static bool no_used(struct bench *b)
{
	return vqd_used(&b->q[0], NULL) == -EAGAIN;
}

/* One request, from beginning to end. The device writes @len_in bytes with all it has to. */
static u8 ask(struct bench *b, u32 type, u64 sector, u32 len, u32 len_in)
{
	int head = add(b, 0, 0, type, sector, len);

	kick(b, 0);
	return ended(b, head, len_in);
}

static void fill(struct bench *b, unsigned int i, u8 byte, u32 len)
{
	u8 bytes[DATA_MAX];

	memset(bytes, byte, sizeof(bytes));
	assert_int_equal(gmem_write(&b->t.gmem, DATA(i), bytes, len), 0);
}

static void put_range(struct bench *b, u64 sector, u32 n, u32 flags)
{
	u8 range[16];

	put_le64(range, sector);
	put_le32(range + 8, n);
	put_le32(range + 12, flags);
	assert_int_equal(gmem_write(&b->t.gmem, DATA(0), range, sizeof(range)), 0);
}

static u8 ask_range(struct bench *b, u32 type, u64 sector, u32 n, u32 flags)
{
	put_range(b, sector, n, flags);
	return ask(b, type, 0, 16, 1);
}

/* Memory of request @i holds the image as it was, from @off on. */
static void check_data(struct bench *b, unsigned int i, u64 off, u32 len)
{
	u8 bytes[DATA_MAX];

	assert_int_equal(gmem_read(&b->t.gmem, DATA(i), bytes, len), 0);
	for (u32 k = 0; k < len; k++)
		assert_int_equal(bytes[k], pattern(off + k));
}

/* The image is as it was, but for [@off, @off + @len), which is all @byte. */
static void check_image(struct bench *b, u64 off, u64 len, u8 byte)
{
	u8 *bytes = malloc(IMAGE_SIZE + 1);

	assert_non_null(bytes);
	assert_int_equal(pread(b->disk.fd, bytes, IMAGE_SIZE + 1, 0), IMAGE_SIZE);
	for (u64 i = 0; i < IMAGE_SIZE; i++)
		assert_int_equal(bytes[i], i >= off && i - off < len ? byte : pattern(i));
	free(bytes);
}

static bool needs_reset(struct bench *b)
{
	return vmmio_read(&b->m, VMMIO_STATUS) & VIRTIO_S_NEEDS_RESET;
}

/* The device is as good as new. */
static void check_works(struct bench *b)
{
	fill(b, 0, 0, 1024);
	assert_int_equal(ask(b, T_IN, 3, 1024, 1025), S_OK);
	check_data(b, 0, 3 * 512, 1024);
}

/* ---- what it says of itself ---- */

static u64 config(struct bench *b, u32 off, unsigned int size)
{
	return devtest_mmio_read(&b->t, REGS + VMMIO_CONFIG + off, size);
}

static void its_configuration_describes_the_disk(void **state)
{
	struct bench *b = setup();

	(void)state;
	b->n_queues = 4;
	plug(b);
	assert_int_equal(vmmio_read(&b->m, VMMIO_DEVICE_ID), 2);
	assert_int_equal(vmmio_offered(&b->m), ALL_FEATURES | BIT(F_MQ) | BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(config(b, 0, 8), N_SECTORS);
	assert_int_equal(config(b, 12, 4), 254); /* seg_max: a queue of 256 less header, status */
	assert_int_equal(config(b, 20, 4), 512);
	assert_int_equal(config(b, 24, 1), 3); /* 4096 = 512 << 3 */
	assert_int_equal(config(b, 25, 1), 0);
	assert_int_equal(config(b, 26, 2), 8);
	assert_int_equal(config(b, 34, 2), 4);
	assert_int_equal(config(b, 36, 4), 2 * MIB); /* a gibibyte at a time */
	assert_int_equal(config(b, 40, 4), 1);
	assert_int_equal(config(b, 44, 4), 16);
	assert_int_equal(config(b, 48, 4), 2 * MIB);
	assert_int_equal(config(b, 52, 4), 1);
	assert_int_equal(config(b, 56, 1), 1);
	assert_int_equal(config(b, 60, 4), UINT32_MAX); /* behind its end */
	devtest_mmio_write(&b->t, REGS + VMMIO_CONFIG, 8, 1);
	assert_int_equal(config(b, 0, 8), N_SECTORS);
	teardown(b);
}

static void what_the_disk_cannot_do_is_not_offered(void **state)
{
	struct bench *b = setup();

	(void)state;
	b->disk.readonly = true;
	b->disk.discard = false;
	plug(b);
	assert_int_equal(vmmio_offered(&b->m), (ALL_FEATURES & ~(BIT(F_DISCARD) | BIT(F_ZEROES))) |
						       BIT(F_RO) | BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(config(b, 56, 1), 0);
	teardown(b);
}

/* ---- each type of request ---- */

static void reads_what_is_on_the_disk(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	assert_int_equal(ask(b, T_IN, 0, 512, 513), S_OK);
	check_data(b, 0, 0, 512);
	assert_int_equal(ask(b, T_IN, N_SECTORS - 16, 8192, 8193), S_OK);
	check_data(b, 0, IMAGE_SIZE - 8192, 8192);
	check_image(b, 0, 0, 0);
	teardown(b);
}

static void writes_what_the_driver_gives(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	fill(b, 0, 0xa5, 4096);
	assert_int_equal(ask(b, T_OUT, N_SECTORS - 8, 4096, 1), S_OK);
	check_image(b, IMAGE_SIZE - 4096, 4096, 0xa5);
	teardown(b);
}

static void a_request_of_no_sectors_is_done_at_once(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	assert_int_equal(ask(b, T_IN, N_SECTORS, 0, 1), S_OK);
	assert_int_equal(ask(b, T_OUT, 0, 0, 1), S_OK);
	assert_int_equal(ask_range(b, T_DISCARD, 0, 0, 0), S_OK);
	assert_int_equal(ask(b, T_IN, N_SECTORS + 1, 0, 1), S_IOERR);
	assert_int_equal(b->n_io, 0);
	teardown(b);
}

static void a_flush_is_done_when_fdatasync_is(void **state)
{
	struct bench *b = setup_driven();
	int head;

	(void)state;
	b->hold = hold_all;
	head = add(b, 0, 0, T_FLUSH, 0, 0);
	kick(b, 0);
	assert_int_equal(b->n_io, 1);
	assert_int_equal(b->seen[0].op, LOOP_OP_FDATASYNC);
	assert_int_equal(b->seen[0].fd, b->disk.fd);
	assert_true(no_used(b));
	end_held(b, 0);
	devtest_run(&b->t);
	assert_int_equal(ended(b, head, 1), S_OK);
	teardown(b);
}

static void its_id_is_the_serial(void **state)
{
	struct bench *b = setup_driven();
	u8 id[32];

	(void)state;
	fill(b, 0, 0xff, sizeof(id));
	assert_int_equal(ask(b, T_GET_ID, 0, 20, 21), S_OK);
	gmem_read(&b->t.gmem, DATA(0), id, sizeof(id));
	assert_memory_equal(id, "serial-0123456789\0\0\0\xff", 21);
	/* too little room: nothing is written but the status, which is not the first */
	assert_int_equal(ask(b, T_GET_ID, 0, 19, 0), S_IOERR);
	assert_int_equal(ask(b, T_GET_ID, 0, 32, 20), S_OK);
	assert_int_equal(b->n_io, 0);
	teardown(b);
}

static void a_discard_punches_a_hole(void **state)
{
	struct bench *b = setup_driven();
	struct stat before, after;

	(void)state;
	fstat(b->disk.fd, &before);
	assert_int_equal(ask_range(b, T_DISCARD, 16, 32, 0), S_OK);
	fstat(b->disk.fd, &after);
	assert_int_equal(after.st_size, before.st_size);
	assert_true(after.st_blocks <= before.st_blocks - 32);
	check_image(b, 16 * 512, 32 * 512, 0);
	teardown(b);
}

/* Not every file system can zero a range, so it is looked at, not run. */
static void check_zeroes(struct bench *b, u32 flags, int mode)
{
	int head;

	b->n_io = 0;
	put_range(b, 5, 7, flags);
	head = add(b, 0, 0, T_ZEROES, 0, 16);
	kick(b, 0);
	assert_int_equal(b->n_io, 1);
	assert_int_equal(b->seen[0].op, LOOP_OP_FALLOCATE);
	assert_int_equal(b->seen[0].mode, mode | FALLOC_FL_KEEP_SIZE);
	assert_int_equal(b->seen[0].off, 5 * 512);
	assert_int_equal(b->seen[0].len, 7 * 512);
	end_held(b, 0);
	devtest_run(&b->t);
	assert_int_equal(ended(b, head, 1), S_OK);
}

static void zeroes_are_a_hole_only_where_driver_and_host_want_that(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	b->hold = hold_all;
	check_zeroes(b, 0, FALLOC_FL_ZERO_RANGE);
	check_zeroes(b, 1, FALLOC_FL_PUNCH_HOLE);
	b->disk.discard = false;
	check_zeroes(b, 1, FALLOC_FL_ZERO_RANGE);
	teardown(b);
}

static void what_the_host_cannot_zero_or_discard_is_unsupported(void **state)
{
	struct bench *b = setup_driven();
	static const u32 types[] = { T_DISCARD, T_ZEROES };
	unsigned int n_msgs = b->t.n_msgs;

	(void)state;
	b->hold = hold_all;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		int head;

		put_range(b, 0, 1, 0);
		head = add(b, 0, 0, types[i], 0, 16);
		kick(b, 0);
		end_held(b, -EOPNOTSUPP);
		devtest_run(&b->t);
		assert_int_equal(ended(b, head, 1), S_UNSUPP);
	}
	assert_int_equal(b->t.n_msgs, n_msgs);
	teardown(b);
}

/* ---- framing (5.2.6.4, 2.7.4): where one buffer ends and the next begins means nothing ---- */

/* Lay a request of @n_out and @n_in bytes out in buffers of @step bytes, and run it. */
static u8 ask_in_steps(struct bench *b, u32 n_out, u32 n_in, u32 step, bool indirect)
{
	struct vqd_buf bufs[VQD_TABLE_MAX];
	unsigned int n = 0;
	u32 len;
	int head;

	for (u32 at = 0; at < n_out; at += len) {
		len = (u32)min_u64(step, n_out - at);
		bufs[n++] = (struct vqd_buf){ DATA(1) + at, len, false };
	}
	for (u32 at = 0; at < n_in; at += len) {
		len = (u32)min_u64(step, n_in - at);
		bufs[n++] = (struct vqd_buf){ DATA(2) + at, len, true };
	}
	assert_true(n <= ARRAY_SIZE(bufs));
	head = indirect ? vqd_add_indirect(&b->q[0], bufs, n) : vqd_add(&b->q[0], bufs, n);
	assert_true(head >= 0);
	kick(b, 0);
	assert_int_equal(vqd_used(&b->q[0], &len), head);
	assert_int_equal(len, n_in);
	gmem_read(&b->t.gmem, DATA(2) + n_in - 1, bufs, 1);
	return *(u8 *)bufs;
}

static void a_request_may_be_cut_into_buffers_anywhere(void **state)
{
	static const u32 steps[] = { 17, 33, 100, 511, 512, 513, 4000 };
	u8 out[16 + 512] = { T_OUT, [8] = 9 };
	struct bench *b = setup_driven();

	(void)state;
	memset(out + 16, 0xc3, 512);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(steps); i++) {
		u32 step = steps[i / 2];

		/* header and data of a write, a read's header alone, and a flush's in single bytes
		 */
		put_le32(out, T_OUT);
		gmem_write(&b->t.gmem, DATA(1), out, sizeof(out));
		fill(b, 2, S_NONE, 1024);
		if (sizeof(out) / step < VQD_TABLE_MAX - 2)
			assert_int_equal(ask_in_steps(b, sizeof(out), 1, step, i % 2), S_OK);
		put_le32(out, T_IN);
		gmem_write(&b->t.gmem, DATA(1), out, 16);
		if (sizeof(out) / step < VQD_TABLE_MAX - 2)
			assert_int_equal(ask_in_steps(b, 16, 513, step, i % 2), S_OK);
		put_le32(out, T_FLUSH);
		gmem_write(&b->t.gmem, DATA(1), out, 16);
		gmem_write(&b->t.gmem, DATA(2), (u8[]){ S_NONE }, 1);
		assert_int_equal(ask_in_steps(b, 16, 1, 1, i % 2), S_OK);
	}
	check_image(b, 9 * 512, 512, 0xc3);
	teardown(b);
}

static void the_status_is_the_last_byte_that_can_be_written(void **state)
{
	struct bench *b = setup_driven();
	struct vqd_buf bufs[] = { { HEADER(0), 16, false },
				  { DATA(0), 512, false },
				  { DATA(1), 100, true } };
	u8 bytes[101];
	u32 len;

	(void)state;
	put_header(b, 0, T_OUT, 0);
	fill(b, 1, S_NONE, 101);
	assert_true(vqd_add(&b->q[0], bufs, 3) >= 0);
	kick(b, 0);
	assert_true(vqd_used(&b->q[0], &len) >= 0);
	assert_int_equal(len, 0); /* of the first 100 bytes 99 were left alone */
	gmem_read(&b->t.gmem, DATA(1), bytes, sizeof(bytes));
	for (int i = 0; i < 101; i++)
		assert_int_equal(bytes[i], i == 99 ? S_OK : S_NONE);
	teardown(b);
}

/* ---- what a driver can get wrong ---- */

static void sectors_behind_the_end_are_an_error(void **state)
{
	static const u64 sectors[] = {
		N_SECTORS,	  N_SECTORS - 1, 1ull << 55,
		(1ull << 55) - 1, UINT64_MAX,	 UINT64_MAX / 512,
	};
	struct bench *b = setup_driven();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		assert_int_equal(ask(b, T_IN, sectors[i], 1024, 0), S_IOERR);
		assert_int_equal(ask(b, T_OUT, sectors[i], 1024, 1), S_IOERR);
		assert_int_equal(ask_range(b, T_DISCARD, sectors[i], 2, 0), S_IOERR);
		assert_int_equal(ask_range(b, T_ZEROES, sectors[i], 2, 0), S_IOERR);
	}
	assert_int_equal(ask_range(b, T_DISCARD, 1, UINT32_MAX, 0), S_IOERR);
	assert_int_equal(ask_range(b, T_DISCARD, UINT64_MAX, UINT32_MAX, 0), S_IOERR);
	assert_int_equal(b->n_io, 0);
	check_image(b, 0, 0, 0);
	check_works(b);
	teardown(b);
}

static void lengths_are_whole_sectors(void **state)
{
	static const u32 lens[] = { 1, 511, 513, 1023, 4095 };
	struct bench *b = setup_driven();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		assert_int_equal(ask(b, T_IN, 0, lens[i], 0), S_IOERR);
		assert_int_equal(ask(b, T_OUT, 0, lens[i], 1), S_IOERR);
	}
	assert_int_equal(b->n_io, 0);
	teardown(b);
}

static void unknown_requests_are_unsupported(void **state)
{
	static const u32 types[] = { T_SCSI, 3, 5, 10, 12, T_ERASE, 15, 0x80000000, UINT32_MAX };
	struct bench *b = setup_driven();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(ask(b, types[i], 0, 512, 1), S_UNSUPP);
	assert_int_equal(b->n_io, 0);
	check_works(b);
	teardown(b);
}

static void a_header_that_is_short_is_an_error(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	put_header(b, 0, T_FLUSH, 0);
	for (u32 len = 0; len < 16; len++) {
		struct vqd_buf bufs[] = { { HEADER(0), len, false }, { STATUS(0), 1, true } };
		int head = vqd_add(&b->q[0], bufs + !len, 2 - !len);

		gmem_write(&b->t.gmem, STATUS(0), (u8[]){ S_NONE }, 1);
		kick(b, 0);
		assert_int_equal(ended(b, head, 1), S_IOERR);
	}
	assert_int_equal(b->n_io, 0);
	check_works(b);
	teardown(b);
}

static void a_request_without_a_status_byte_breaks_the_device_until_reset(void **state)
{
	struct bench *b = setup_driven();
	struct vqd_buf buf = { HEADER(0), 16, false };

	(void)state;
	put_header(b, 0, T_FLUSH, 0);
	assert_true(vqd_add(&b->q[0], &buf, 1) >= 0);
	add(b, 0, 1, T_IN, 0, 512);
	kick(b, 0);
	assert_true(needs_reset(b));
	assert_true(no_used(b));
	assert_int_equal(b->n_io, 0);
	assert_true(devtest_irq(&b->t));
	assert_int_equal(vmmio_ack(&b->m), 2);
	drive(b);
	assert_false(needs_reset(b));
	check_works(b);
	teardown(b);
}

static void a_read_only_disk_is_never_written(void **state)
{
	struct bench *b = setup();

	(void)state;
	b->disk.readonly = true;
	plug(b);
	assert_int_equal(ask(b, T_OUT, 0, 512, 1), S_IOERR);
	assert_int_equal(ask(b, T_OUT, 0, 0, 1), S_IOERR);
	assert_int_equal(ask_range(b, T_DISCARD, 0, 1, 0), S_IOERR);
	assert_int_equal(ask_range(b, T_ZEROES, 0, 1, 0), S_IOERR);
	assert_int_equal(b->n_io, 0);
	assert_int_equal(ask(b, T_FLUSH, 0, 0, 1), S_OK);
	check_works(b);
	check_image(b, 0, 0, 0);
	teardown(b);
}

static void ranges_keep_to_what_was_told(void **state)
{
	struct bench *b = setup();
	int head;

	(void)state;
	b->disk.size = 8 * GIB; /* only told */
	plug(b);
	b->hold = hold_all;
	put_range(b, 0, 2 * MIB, 0);
	head = add(b, 0, 0, T_DISCARD, 0, 16);
	kick(b, 0);
	end_held(b, 0);
	devtest_run(&b->t);
	assert_int_equal(ended(b, head, 1), S_OK);
	b->n_io = 0;
	assert_int_equal(ask_range(b, T_DISCARD, 0, 2 * MIB + 1, 0), S_IOERR);
	assert_int_equal(ask_range(b, T_ZEROES, 0, 2 * MIB + 1, 0), S_IOERR);
	/* none, half a range, one and a half, two */
	put_range(b, 0, 1, 0);
	assert_int_equal(ask(b, T_DISCARD, 0, 0, 1), S_IOERR);
	assert_int_equal(ask(b, T_DISCARD, 0, 8, 1), S_IOERR);
	assert_int_equal(ask(b, T_DISCARD, 0, 24, 1), S_IOERR);
	assert_int_equal(ask(b, T_ZEROES, 0, 32, 1), S_IOERR);
	assert_int_equal(b->n_io, 0);
	teardown(b);
}

static void flags_that_are_not_known_are_unsupported(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	assert_int_equal(ask_range(b, T_DISCARD, 0, 1, 1), S_UNSUPP);
	for (unsigned int bit = 1; bit < 32; bit++) {
		assert_int_equal(ask_range(b, T_DISCARD, 0, 1, 1u << bit), S_UNSUPP);
		assert_int_equal(ask_range(b, T_ZEROES, 0, 1, 1 | 1u << bit), S_UNSUPP);
	}
	assert_int_equal(b->n_io, 0);
	teardown(b);
}

static void what_was_not_negotiated_is_unsupported(void **state)
{
	struct bench *b = setup();

	(void)state;
	b->features = BIT(F_FLUSH) | BIT(VIRTIO_F_INDIRECT_DESC);
	plug(b);
	assert_int_equal(ask_range(b, T_DISCARD, 0, 1, 0), S_UNSUPP);
	assert_int_equal(ask_range(b, T_ZEROES, 0, 1, 0), S_UNSUPP);
	assert_int_equal(b->n_io, 0);
	check_works(b);
	teardown(b);
}

/* ---- what the host can fail at ---- */

static void a_host_error_is_a_status_and_nothing_more(void **state)
{
	static const struct {
		u32 type, len, written;
		int err;
		const char *msg;
	} cases[] = {
		{ T_IN, 512, 0, EIO, "disk0: a.img: read at byte 1024: Input/output error" },
		{ T_OUT, 512, 1, ENOSPC,
		  "disk0: a.img: write at byte 1024: No space left on device" },
		{ T_OUT, 512, 1, EOPNOTSUPP, "write at byte 1024" },
		{ T_FLUSH, 0, 1, EIO, "disk0: a.img: flush at byte 0: Input/output error" },
		{ T_DISCARD, 16, 1, EIO, "discard" },
	};
	struct bench *b = setup_driven();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int head;

		b->hold = hold_all;
		put_range(b, 1, 1, 0);
		head = add(b, 0, 0, cases[i].type, 2, cases[i].len);
		kick(b, 0);
		assert_true(no_used(b));
		end_held(b, -cases[i].err);
		devtest_run(&b->t);
		assert_int_equal(ended(b, head, cases[i].written), S_IOERR);
		assert_non_null(strstr(b->t.last_msg, cases[i].msg));
		assert_false(needs_reset(b));
		b->hold = NULL;
		check_works(b);
	}
	teardown(b);
}

static void host_errors_do_not_flood_the_log(void **state)
{
	struct bench *b = setup_driven();
	unsigned int n_msgs = b->t.n_msgs;

	(void)state;
	b->hold = hold_all;
	for (int i = 0; i < 1000; i++) {
		int head = add(b, 0, 0, T_FLUSH, 0, 0);

		b->n_io = 0;
		kick(b, 0);
		end_held(b, -EIO);
		devtest_run(&b->t);
		assert_int_equal(ended(b, head, 1), S_IOERR);
	}
	assert_in_range(b->t.n_msgs - n_msgs, 1, RATELIMIT_BURST);
	teardown(b);
}

static void a_flush_after_a_failed_one_is_another_flush(void **state)
{
	struct bench *b = setup_driven();
	int first, second;

	(void)state;
	b->hold = hold_all;
	first = add(b, 0, 0, T_FLUSH, 0, 0);
	second = add(b, 0, 1, T_FLUSH, 0, 0);
	kick(b, 0);
	assert_int_equal(b->n_io, 2);
	end_held(b, -EIO);
	end_held(b, 0);
	devtest_run(&b->t);
	assert_int_equal(vqd_used(&b->q[0], NULL), first);
	assert_int_equal(vqd_used(&b->q[0], NULL), second);
	assert_int_equal(status_of(b, 0), S_IOERR);
	assert_int_equal(status_of(b, 1), S_OK);
	teardown(b);
}

/* Move @n bytes for the request that is kept, as a file would. */
static void move(struct bench *b, size_t n)
{
	struct loop_io *io = b->held[0];
	u8 bytes[DATA_MAX];

	if (io->op == LOOP_OP_READ) {
		assert_int_equal(pread(io->fd, bytes, n, (off_t)io->off), n);
		assert_true(gmem_vec_write(&io->vec, 0, bytes, n));
	} else {
		assert_true(gmem_vec_read(&io->vec, 0, bytes, n));
		assert_int_equal(pwrite(io->fd, bytes, n, (off_t)io->off), n);
	}
	end_held(b, (s64)n);
	devtest_run(&b->t);
}

static void short_transfers_go_on_where_they_ended(void **state)
{
	static const size_t parts[] = { 1, 511, 512, 700, 2372 }; /* 4096 in all */
	static const u32 types[] = { T_IN, T_OUT };
	struct bench *b = setup_driven();
	struct vqd_buf bufs[] = {
		{ HEADER(0), 16, false },
		{ DATA(0), 1000, false },
		{ DATA(0) + 1000, 3096, false },
		{ STATUS(0), 1, true },
	};

	(void)state;
	b->hold = hold_all;
	fill(b, 0, 0x77, 4096);
	for (size_t i = 0; i < 2; i++) {
		bool in = types[1 - i] == T_IN;
		int head;

		bufs[1].write = bufs[2].write = in;
		put_header(b, 0, types[1 - i], 40);
		head = vqd_add(&b->q[0], bufs, 4);
		kick(b, 0);
		for (size_t k = 0; k < ARRAY_SIZE(parts); k++) {
			assert_true(no_used(b));
			move(b, parts[k]);
		}
		assert_int_equal(ended(b, head, in ? 4097 : 1), S_OK);
		check_image(b, 40 * 512, 4096, 0x77);
	}
	teardown(b);
}

static void an_error_after_a_short_read_tells_what_was_read(void **state)
{
	struct bench *b = setup_driven();
	int head;

	(void)state;
	b->hold = hold_all;
	head = add(b, 0, 0, T_IN, 0, 4096);
	kick(b, 0);
	move(b, 700);
	end_held(b, -EIO);
	devtest_run(&b->t);
	assert_int_equal(ended(b, head, 700), S_IOERR);
	teardown(b);
}

static void a_file_that_shrank_is_an_error(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	assert_int_equal(ftruncate(b->disk.fd, 1024), 0);
	assert_int_equal(ask(b, T_IN, 0, 1024, 1025), S_OK);
	assert_int_equal(ask(b, T_IN, 1, 1024, 512), S_IOERR);
	assert_non_null(strstr(b->t.last_msg, "read at byte 1024: the file ends before"));
	assert_int_equal(ask(b, T_IN, 8, 1024, 0), S_IOERR);
	teardown(b);
}

/* ---- the cache of a driver that cannot flush (5.2.6.2) ---- */

static void without_flush_a_write_is_done_when_it_is_stable(void **state)
{
	static const u32 types[] = { T_OUT, T_ZEROES };
	struct bench *b = setup();
	int head;

	(void)state;
	b->features &= ~BIT(F_FLUSH);
	plug(b);
	b->hold = hold_all;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		b->n_io = 0;
		put_range(b, 0, 1, 0);
		head = add(b, 0, 0, types[i], 0, types[i] == T_OUT ? 512 : 16);
		kick(b, 0);
		end_held(b, types[i] == T_OUT ? 512 : 0);
		devtest_run(&b->t);
		assert_true(no_used(b));
		assert_int_equal(b->n_io, 2);
		assert_int_equal(b->seen[1].op, LOOP_OP_FDATASYNC);
		end_held(b, i ? -EIO : 0);
		devtest_run(&b->t);
		assert_int_equal(ended(b, head, 1), i ? S_IOERR : S_OK);
	}
	/* nothing to flush after a write that failed */
	b->n_io = 0;
	head = add(b, 0, 0, T_OUT, 0, 512);
	kick(b, 0);
	end_held(b, 0);
	devtest_run(&b->t);
	assert_int_equal(ended(b, head, 1), S_IOERR);
	assert_int_equal(b->n_io, 1);
	b->hold = hold_flushes;
	check_works(b);
	teardown(b);
}

static void with_flush_a_write_is_not_followed_by_one(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	assert_int_equal(ask(b, T_OUT, 0, 512, 1), S_OK);
	assert_int_equal(b->n_io, 1);
	teardown(b);
}

/* ---- many at a time ---- */

static void a_whole_queue_of_requests_is_under_way_at_once(void **state)
{
	struct bench *b = setup();
	bool seen[256] = { false };

	(void)state;
	b->size = 256;
	plug(b);
	b->hold = hold_all;
	for (int round = 0; round < 3; round++) {
		b->n_io = 0;
		memset(seen, 0, sizeof(seen));
		for (unsigned int i = 0; i < 256; i++)
			add(b, 0, i, T_IN, i, 512);
		kick(b, 0);
		assert_int_equal(b->n_io, 256);
		/* each to another place, and no request is used for two */
		for (unsigned int i = 0; i < 256; i++) {
			assert_int_equal(b->seen[i].off, 512 * i);
			for (unsigned int k = 0; k < i; k++)
				assert_ptr_not_equal(b->held[i], b->held[k]);
		}
		/* the last comes first */
		for (unsigned int i = 0; i < 128; i++) {
			struct loop_io *io = b->held[i];

			b->held[i] = b->held[255 - i];
			b->held[255 - i] = io;
		}
		while (b->n_held)
			move(b, 512);
		for (unsigned int i = 0; i < 256; i++) {
			u32 len;
			int head = vqd_used(&b->q[0], &len);

			assert_in_range(head, 0, 255);
			assert_false(seen[head]);
			seen[head] = true;
			assert_int_equal(len, 513);
			assert_int_equal(status_of(b, i), S_OK);
			check_data(b, i, 512 * i, 512);
		}
		assert_true(no_used(b));
	}
	teardown(b);
}

struct spy {
	struct loop_io io;
	struct bench *b;
	u16 used;
};

static void on_spy(struct loop_io *io)
{
	struct spy *spy = container_of(io, struct spy, io);

	spy->used = vqd_raw_used_idx(&spy->b->q[0]);
}

static void what_ends_together_is_shown_together(void **state)
{
	struct bench *b = setup_driven();
	struct spy spy = { .b = b, .io = { .op = LOOP_OP_FDATASYNC, .fd = -1, .fn = on_spy } };

	(void)state;
	b->hold = hold_all;
	for (unsigned int i = 0; i < 32; i++)
		add(b, 0, i, T_IN, i, 512);
	kick(b, 0);
	assert_int_equal(b->n_held, 32);
	vmmio_ack(&b->m);
	b->t.n_raised[DEVTEST_GSI] = 0;
	vqd_want_irq(&b->q[0]);
	/* someone else's request ends in the midst of them */
	loop_io_start(b->t.loop, &spy.io);
	for (unsigned int i = 0; i < 31; i++)
		end_held(b, 512);
	assert_int_equal(b->n_held, 2);
	b->n_held = 1; /* the spy is not */
	spy.io.res = 0;
	loop_manual_io_done(b->t.loop, &spy.io);
	end_held(b, 512);
	spy.used = 0xffff;
	devtest_run(&b->t);
	assert_int_equal(spy.used, 0);
	assert_int_equal(vqd_raw_used_idx(&b->q[0]), 32);
	assert_int_equal(b->t.n_raised[DEVTEST_GSI], 1);
	teardown(b);
}

static void one_that_ends_alone_is_shown_at_once(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	b->hold = hold_all;
	for (unsigned int i = 0; i < 3; i++)
		add(b, 0, i, T_FLUSH, 0, 0);
	kick(b, 0);
	for (unsigned int i = 0; i < 3; i++) {
		vmmio_ack(&b->m);
		vqd_want_irq(&b->q[0]);
		assert_false(devtest_irq(&b->t));
		end_held(b, 0);
		devtest_run(&b->t);
		assert_true(devtest_irq(&b->t));
		assert_true(vqd_used(&b->q[0], NULL) >= 0);
		assert_true(no_used(b));
	}
	assert_false(devtest_timer_armed(&b->t));
	teardown(b);
}

static void each_queue_gets_its_own_requests_back(void **state)
{
	struct bench *b = setup();
	u32 len;

	(void)state;
	b->n_queues = LKVM_MAX_QUEUES;
	plug(b);
	b->hold = hold_all;
	for (unsigned int i = 0; i < 5 * b->n_queues; i++)
		add(b, i % b->n_queues, i, T_IN, i, 512);
	for (unsigned int i = 0; i < b->n_queues; i++)
		kick(b, i);
	assert_int_equal(b->n_held, 5 * b->n_queues);
	while (b->n_held)
		move(b, 512);
	for (unsigned int i = 0; i < b->n_queues; i++) {
		for (int k = 0; k < 5; k++) {
			assert_true(vqd_used(&b->q[i], &len) >= 0);
			assert_int_equal(len, 513);
		}
		assert_int_equal(vqd_used(&b->q[i], NULL), -EAGAIN);
	}
	for (unsigned int i = 0; i < 5 * b->n_queues; i++) {
		assert_int_equal(status_of(b, i), S_OK);
		check_data(b, i, 512 * i, 512);
	}
	teardown(b);
}

/* The driver's next request comes while the loop is busy with the first. */
static void add_one_more(struct loop_work *work)
{
	struct bench *b = container_of(work, struct bench, meanwhile);

	if (b->added)
		return;
	b->added = true;
	add(b, 0, 1, T_IN, 1, 512);
	b->notified = vqd_must_kick(&b->q[0]);
}

static void a_request_made_while_the_loop_is_busy_needs_no_notification(void **state)
{
	struct bench *b = setup();

	(void)state;
	plug(b);
	b->meanwhile.fn = add_one_more;
	add(b, 0, 0, T_IN, 0, 512);
	kick(b, 0);
	assert_true(b->added);
	assert_false(b->notified);
	assert_true(vqd_used(&b->q[0], NULL) >= 0);
	assert_true(vqd_used(&b->q[0], NULL) >= 0);
	check_data(b, 1, 512, 512);
	/* and now that it sleeps it is told of the next */
	add(b, 0, 2, T_IN, 2, 512);
	assert_true(vqd_must_kick(&b->q[0]));
	vmmio_notify(&b->m, 0);
	devtest_run(&b->t);
	assert_true(vqd_used(&b->q[0], NULL) >= 0);
	teardown(b);
}

static void a_queue_that_breaks_leaves_the_others_requests_to_end(void **state)
{
	struct bench *b = setup();

	(void)state;
	b->n_queues = 2;
	plug(b);
	b->hold = hold_all;
	add(b, 1, 0, T_OUT, 0, 512);
	kick(b, 1);
	vqd_raw_avail_idx(&b->q[0], 1000);
	vmmio_notify(&b->m, 0);
	devtest_run(&b->t);
	assert_true(needs_reset(b));
	move(b, 100); /* the rest of it is not started */
	assert_int_equal(b->n_held, 0);
	b->hold = NULL;
	drive(b);
	assert_false(needs_reset(b));
	check_works(b);
	teardown(b);
}

/* ---- reset, and the end ---- */

static void a_reset_waits_for_what_is_under_way(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	b->hold = hold_all;
	for (unsigned int i = 0; i < 10; i++)
		add(b, 0, i, i % 2 ? T_IN : T_OUT, i, 1024);
	kick(b, 0);
	assert_int_equal(b->n_held, 10);
	vmmio_write(&b->m, VMMIO_STATUS, 0);
	assert_int_not_equal(vmmio_read(&b->m, VMMIO_STATUS), 0);
	assert_true(atomic_load(&b->t.dev->throttled));
	while (b->n_held > 1)
		end_held(b, 512); /* short: nothing is started again */
	devtest_run(&b->t);
	assert_int_equal(b->n_io, 10);
	assert_int_not_equal(vmmio_read(&b->m, VMMIO_STATUS), 0);
	end_held(b, -EIO);
	devtest_run(&b->t);
	assert_int_equal(vmmio_read(&b->m, VMMIO_STATUS), 0);
	assert_false(atomic_load(&b->t.dev->throttled));
	assert_false(devtest_irq(&b->t));
	assert_true(no_used(b));
	/* what was cut short is nobody's trouble, what the host could not do is */
	assert_int_equal(b->t.n_msgs, 1);
	b->hold = NULL;
	drive(b);
	check_works(b);
	teardown(b);
}

static void resets_under_load_lose_no_request_and_give_none_out_twice(void **state)
{
	struct bench *b = setup();

	(void)state;
	b->size = 256;
	plug(b);
	for (int round = 0; round < 5; round++) {
		unsigned int n = round ? 256 : 10;

		b->hold = hold_all;
		b->n_io = 0;
		for (unsigned int i = 0; i < n; i++)
			add(b, 0, i, T_FLUSH, 0, 0);
		kick(b, 0);
		assert_int_equal(b->n_held, n);
		for (unsigned int i = 0; i < n; i++) {
			for (unsigned int k = 0; k < i; k++)
				assert_ptr_not_equal(b->held[i], b->held[k]);
		}
		vmmio_write(&b->m, VMMIO_STATUS, 0);
		while (b->n_held)
			end_held(b, 0);
		devtest_run(&b->t);
		b->hold = NULL;
		drive(b);
	}
	check_works(b);
	teardown(b);
}

static void a_machine_that_is_going_starts_nothing_more(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	b->hold = hold_all;
	add(b, 0, 0, T_IN, 0, 1024);
	kick(b, 0);
	atomic_store(&b->t.env.quiet, true);
	add(b, 0, 1, T_IN, 0, 1024);
	vmmio_notify(&b->m, 0);
	end_held(b, 512);
	assert_int_equal(loop_io_drain(b->t.loop), 0);
	devtest_run(&b->t);
	assert_int_equal(b->n_io, 1);
	teardown(b);
}

static void it_goes_with_requests_done_and_not_shown(void **state)
{
	struct bench *b = setup_driven();

	(void)state;
	b->hold = hold_all;
	add(b, 0, 0, T_FLUSH, 0, 0);
	kick(b, 0);
	end_held(b, 0);
	assert_int_equal(loop_io_drain(b->t.loop), 0);
	dev_destroy(b->t.dev);
	b->t.dev = NULL;
	assert_false(devtest_timer_armed(&b->t));
	devtest_run(&b->t);
	teardown(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_configuration_describes_the_disk),
		cmocka_unit_test(what_the_disk_cannot_do_is_not_offered),
		cmocka_unit_test(reads_what_is_on_the_disk),
		cmocka_unit_test(writes_what_the_driver_gives),
		cmocka_unit_test(a_request_of_no_sectors_is_done_at_once),
		cmocka_unit_test(a_flush_is_done_when_fdatasync_is),
		cmocka_unit_test(its_id_is_the_serial),
		cmocka_unit_test(a_discard_punches_a_hole),
		cmocka_unit_test(zeroes_are_a_hole_only_where_driver_and_host_want_that),
		cmocka_unit_test(what_the_host_cannot_zero_or_discard_is_unsupported),
		cmocka_unit_test(a_request_may_be_cut_into_buffers_anywhere),
		cmocka_unit_test(the_status_is_the_last_byte_that_can_be_written),
		cmocka_unit_test(sectors_behind_the_end_are_an_error),
		cmocka_unit_test(lengths_are_whole_sectors),
		cmocka_unit_test(unknown_requests_are_unsupported),
		cmocka_unit_test(a_header_that_is_short_is_an_error),
		cmocka_unit_test(a_request_without_a_status_byte_breaks_the_device_until_reset),
		cmocka_unit_test(a_read_only_disk_is_never_written),
		cmocka_unit_test(ranges_keep_to_what_was_told),
		cmocka_unit_test(flags_that_are_not_known_are_unsupported),
		cmocka_unit_test(what_was_not_negotiated_is_unsupported),
		cmocka_unit_test(a_host_error_is_a_status_and_nothing_more),
		cmocka_unit_test(host_errors_do_not_flood_the_log),
		cmocka_unit_test(a_flush_after_a_failed_one_is_another_flush),
		cmocka_unit_test(short_transfers_go_on_where_they_ended),
		cmocka_unit_test(an_error_after_a_short_read_tells_what_was_read),
		cmocka_unit_test(a_file_that_shrank_is_an_error),
		cmocka_unit_test(without_flush_a_write_is_done_when_it_is_stable),
		cmocka_unit_test(with_flush_a_write_is_not_followed_by_one),
		cmocka_unit_test(a_whole_queue_of_requests_is_under_way_at_once),
		cmocka_unit_test(what_ends_together_is_shown_together),
		cmocka_unit_test(one_that_ends_alone_is_shown_at_once),
		cmocka_unit_test(each_queue_gets_its_own_requests_back),
		cmocka_unit_test(a_request_made_while_the_loop_is_busy_needs_no_notification),
		cmocka_unit_test(a_queue_that_breaks_leaves_the_others_requests_to_end),
		cmocka_unit_test(a_reset_waits_for_what_is_under_way),
		cmocka_unit_test(resets_under_load_lose_no_request_and_give_none_out_twice),
		cmocka_unit_test(a_machine_that_is_going_starts_nothing_more),
		cmocka_unit_test(it_goes_with_requests_done_and_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
