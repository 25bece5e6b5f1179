/*
 * cfi_flash: two chips of flash memory, or one in the byte form, played by drivers as firmware and
 * kernels have them, and by hostile ones.
 *
 * The guest's reads go where a CPU's would: to the memory while it is shown, else to the bus. Does
 * not prove that KVM gives the memory and takes it (check-bed), nor that a kernel's driver likes
 * the query (it is compared with the standard's table here).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "devices/classes.h"
#include "tests/unit/devtest.h"
#include "vmm/disk.h"
#include "vmm/kvm.h"

#define BASE	0x02000000ull
#define BLOCK	0x10000u
#define SIZE	(4 * BLOCK)
#define MAX_IOS 64

#define READY	      0x00800080u
#define ERASE_ERROR   0x00200020u
#define PROGRAM_ERROR 0x00100010u
#define LOCKED	      0x00020002u

struct bench {
	struct devtest t;
	struct disk disk;
	bool hold, bytes;
	struct loop_io *held[MAX_IOS];
	unsigned int n_held, n_io;
};

static bool on_io(void *ctx, struct loop_io *io)
{
	struct bench *b = ctx;

	b->n_io++;
	if (!b->hold)
		return false;
	assert_true(b->n_held < MAX_IOS);
	b->held[b->n_held++] = io;
	return true;
}

static void end_held(struct bench *b, s64 res)
{
	assert_int_equal(b->n_held, 1);
	b->held[0]->res = res;
	loop_manual_io_done(b->t.loop, b->held[--b->n_held]);
	devtest_run(&b->t);
}

static u8 pattern(u64 off)
{
	return (u8)(off * 5 + off / 256 + 1);
}

static int plug(struct bench *b, struct lkvm_error *err)
{
	return dev_create(
		&b->t.dev,
		&(struct dev_slot){ .cls = &cfi_flash_class,
				    .name = "flash",
				    .ranges = { { &b->t.mmio, BASE, SIZE, BUS_SIZE_ANY, 0 } },
				    .cfg = &(struct cfi_flash_cfg){ .disk = &b->disk,
								    .gpa = BASE,
								    .bytes = b->bytes } },
		&b->t.env, err);
}

static int setup_form(void **state, bool bytes_form)
{
	struct bench *b = calloc(1, sizeof(*b));
	u8 *bytes = malloc(SIZE);
	struct lkvm_error err = { 0 };

	assert_non_null(b);
	assert_non_null(bytes);
	for (u64 i = 0; i < SIZE; i++)
		bytes[i] = pattern(i);
	b->bytes = bytes_form;
	devtest_init(&b->t, 0);
	loop_manual_io_hook(b->t.loop, on_io, b);
	b->disk = (struct disk){
		.fd = memfd_create("flash", MFD_CLOEXEC),
		.size = SIZE,
		.path = "vars.fd",
	};
	assert_int_equal(pwrite(b->disk.fd, bytes, SIZE, 0), SIZE);
	free(bytes);
	if (plug(b, &err))
		fail_msg("%s", err.msg);
	*state = b;
	return 0;
}

static int setup(void **state)
{
	return setup_form(state, false);
}

static int setup_bytes(void **state)
{
	return setup_form(state, true);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	close(b->disk.fd);
	devtest_fini(&b->t);
	free(b);
	return 0;
}

/* ---- the guest's side -------------------------------------------------------------------- */

static bool shown(const struct bench *b)
{
	return b->t.gmem.hidden[0].shown;
}

static u64 read_at(struct bench *b, u64 off, unsigned int size)
{
	u8 bytes[8] = { 0 };

	if (!shown(b))
		return devtest_mmio_read(&b->t, BASE + off, size);
	assert_int_equal(gmem_hidden_read(&b->t.gmem, BASE + off, bytes, size), 0);
	return get_le64(bytes);
}

static u32 rd(struct bench *b, u64 off)
{
	return (u32)read_at(b, off, 4);
}

static void wr(struct bench *b, u64 off, u32 val)
{
	devtest_mmio_write(&b->t, BASE + off, 4, val);
}

/* A command to both chips. */
static void cmd(struct bench *b, u64 off, u16 c)
{
	wr(b, off, (u32)c << 16 | c);
}

static u32 word_of_pattern(u64 off)
{
	return pattern(off) | (u32)pattern(off + 1) << 8 | (u32)pattern(off + 2) << 16 |
	       (u32)pattern(off + 3) << 24;
}

/* Wait as drivers do, but not for ever; the status. */
static u32 wait_ready(struct bench *b)
{
	for (unsigned int i = 0; i < 4; i++) {
		cmd(b, 0, 0x70);
		if ((rd(b, 0) & READY) == READY)
			return rd(b, 0);
		devtest_run(&b->t);
	}
	fail_msg("the chips stay busy");
	return 0;
}

static void back_to_array(struct bench *b)
{
	cmd(b, 0, 0x50);
	cmd(b, 0, 0xff);
	assert_true(shown(b));
}

static u32 erase(struct bench *b, u64 off)
{
	cmd(b, off, 0x20);
	cmd(b, off, 0xd0);
	return wait_ready(b);
}

static u32 program(struct bench *b, u64 off, u32 val)
{
	cmd(b, off, 0x40);
	wr(b, off, val);
	return wait_ready(b);
}

static u32 in_file(const struct bench *b, u64 off)
{
	u8 bytes[4];

	assert_int_equal(pread(b->disk.fd, bytes, 4, (off_t)off), 4);
	return get_le32(bytes);
}

/* Array and file have @val there. */
static void assert_word(struct bench *b, u64 off, u32 val)
{
	assert_true(shown(b));
	assert_int_equal(rd(b, off), val);
	assert_int_equal(in_file(b, off), val);
}

/* Nothing of array and file changed outside [@off, @off + @len). */
static void assert_rest(struct bench *b, u64 off, u64 len)
{
	for (u64 i = 0; i < SIZE; i += 4) {
		if (ranges_overlap(i, 4, off, len))
			continue;
		assert_int_equal(rd(b, i), word_of_pattern(i));
		assert_int_equal(in_file(b, i), word_of_pattern(i));
	}
}

/* ---- reading -------------------------------------------------------------------------------- */

static void the_array_is_the_file_and_read_without_the_device(void **state)
{
	struct bench *b = *state;

	assert_true(shown(b));
	assert_true(b->t.gmem.hidden[0].readonly);
	assert_rest(b, 0, 0);
	/* an access that was on its way here when the memory came back */
	for (unsigned int size = 1; size <= 8; size *= 2)
		assert_int_equal(devtest_mmio_read(&b->t, BASE + SIZE - 8, size),
				 read_at(b, SIZE - 8, size));
	assert_int_equal(b->n_io, 0);
}

static void the_query_describes_two_chips(void **state)
{
	struct bench *b = *state;
	u8 q[0x60];

	cmd(b, 0x55 * 4, 0x98);
	assert_false(shown(b));
	for (u32 i = 0; i < ARRAY_SIZE(q); i++) {
		u32 both = rd(b, 4 * i);

		assert_int_equal(both >> 16, both & 0xffff);
		q[i] = (u8)both;
	}
	assert_memory_equal(q + 0x10, "QRY", 3);
	assert_int_equal(get_le16(q + 0x13), 1); /* Intel's command set, extended */
	assert_int_equal(get_le16(q + 0x15), 0x31);
	assert_memory_equal(q + 0x31, "PRI10", 5);
	assert_int_equal(1u << q[0x27], SIZE / 2);
	assert_int_equal(get_le16(q + 0x28), 1); /* x16 */
	assert_int_equal(1u << q[0x2a], 64);	 /* buffer, of each chip */
	assert_int_equal(q[0x2c], 1);
	assert_int_equal(get_le16(q + 0x2d) + 1u, SIZE / BLOCK);
	assert_int_equal(get_le16(q + 0x2f) * 256u, BLOCK / 2);
	for (u32 i = 0x1f; i <= 0x21; i++)
		assert_true(q[i] && q[i + 4]);	    /* times, usual and longest */
	assert_int_equal(get_le32(q + 0x36), 0x20); /* locks at once */
	assert_int_equal(q[0x3a], 0);		    /* no suspending */
	assert_int_equal(get_le16(q + 0x3b), 3);    /* lock bits */
	for (u32 i = 0x45; i < ARRAY_SIZE(q); i++)
		assert_int_equal(q[i], 0);
	for (u64 off = 0; off < SIZE; off += 4096)
		assert_int_equal(rd(b, off), 0);
	cmd(b, 0, 0xff);
	assert_true(shown(b));
	assert_rest(b, 0, 0);
}

static void drivers_that_probe_for_other_chips_find_none_and_the_array(void **state)
{
	static const u32 probes[] = { 0x98989898, 0x00000098, 0x00980098 };
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		wr(b, 0x55 * 4, probes[i]);
		/* 'Q' as chips of 16 bits answer it, whoever asked */
		assert_int_equal(rd(b, 0x40), 0x00510051);
		cmd(b, 0, 0xf0);
		assert_int_equal(rd(b, 0x40), word_of_pattern(0x40));
	}
	cmd(b, 0x555 * 4, 0xaa);
	cmd(b, 0x2aa * 4, 0x55);
	assert_true(shown(b));
	cmd(b, 0x555 * 4, 0x90);
	assert_int_equal(rd(b, 0), 0);
	assert_int_equal(rd(b, 4), 0);
	cmd(b, 0, 0xff);
	assert_rest(b, 0, 0);
}

static void answers_can_be_read_in_any_size(void **state)
{
	struct bench *b = *state;

	cmd(b, 0, 0x98);
	assert_int_equal(read_at(b, 0x40, 1), 'Q');
	assert_int_equal(read_at(b, 0x41, 1), 0);
	assert_int_equal(read_at(b, 0x42, 2), 'Q');
	assert_int_equal(read_at(b, 0x40, 8), 0x0052005200510051);
	assert_int_equal(read_at(b, SIZE - 8, 8), 0);
	cmd(b, 0, 0x70);
	assert_int_equal(read_at(b, 1, 1), 0);
	assert_int_equal(read_at(b, 2, 1), 0x80);
	assert_int_equal(read_at(b, 0x1230, 8), 0x0080008000800080);
}

/* ---- changing it ------------------------------------------------------------------------------
 */

static void a_block_is_erased_and_no_other(void **state)
{
	struct bench *b = *state;

	assert_int_equal(erase(b, BLOCK + 0x1234), READY);
	back_to_array(b);
	for (u64 off = BLOCK; off < 2 * BLOCK; off += 4)
		assert_word(b, off, 0xffffffff);
	assert_rest(b, BLOCK, BLOCK);
	assert_int_equal(erase(b, SIZE - 4), READY);
	back_to_array(b);
	assert_word(b, SIZE - 4, 0xffffffff);
	assert_int_equal(lseek(b->disk.fd, 0, SEEK_END), SIZE);
}

static void a_word_is_programmed_by_clearing_bits(void **state)
{
	struct bench *b = *state;
	u32 was = word_of_pattern(0x100);

	assert_int_equal(program(b, 0x100, 0x0ff00ff0), READY);
	back_to_array(b);
	assert_word(b, 0x100, was & 0x0ff00ff0);
	assert_rest(b, 0x100, 4);
	erase(b, 0);
	cmd(b, 0x200, 0x10); /* the other way to say it */
	wr(b, 0x200, 0x12345678);
	assert_int_equal(wait_ready(b), READY);
	back_to_array(b);
	assert_word(b, 0x200, 0x12345678);
	assert_word(b, 0x204, 0xffffffff);
}

static void a_buffer_is_programmed_as_firmware_does_it(void **state)
{
	struct bench *b = *state;

	erase(b, 0);
	for (u64 off = 0; off < 1024; off += 128) {
		cmd(b, off, 0xe8);
		assert_int_equal(rd(b, off), READY); /* there is a buffer */
		cmd(b, off, 31);
		for (u64 i = 0; i < 128; i += 4)
			wr(b, off + i, (u32)(off + i) * 0x10001);
		cmd(b, 0, 0xd0);
		assert_int_equal(wait_ready(b), READY);
		cmd(b, 0, 0x50);
		cmd(b, 0, 0xff);
	}
	for (u64 off = 0; off < 1024; off += 4)
		assert_word(b, off, (u32)off * 0x10001);
	assert_word(b, 1024, 0xffffffff);
	assert_rest(b, 0, BLOCK);
}

static void a_buffer_of_one_word_at_the_end_of_all(void **state)
{
	struct bench *b = *state;

	cmd(b, SIZE - 4, 0xe8);
	cmd(b, SIZE - 4, 0);
	wr(b, SIZE - 4, 0);
	cmd(b, SIZE - 4, 0xd0);
	assert_int_equal(wait_ready(b), READY);
	back_to_array(b);
	assert_word(b, SIZE - 4, 0);
	assert_rest(b, SIZE - 4, 4);
}

static void words_of_a_buffer_may_come_in_any_order(void **state)
{
	struct bench *b = *state;

	erase(b, 0);
	cmd(b, 0, 0xe8);
	cmd(b, 0, 3);
	wr(b, 0x20, 1);
	wr(b, 0x2c, 4);
	wr(b, 0x28, 3);
	wr(b, 0x28, 7); /* again: one word is left out */
	cmd(b, 0, 0xd0);
	assert_int_equal(wait_ready(b), READY);
	back_to_array(b);
	assert_word(b, 0x20, 1);
	assert_word(b, 0x24, 0xffffffff);
	assert_word(b, 0x28, 7);
	assert_word(b, 0x2c, 4);
}

static void a_word_that_comes_twice_makes_the_buffer_end_early(void **state)
{
	struct bench *b = *state;

	cmd(b, 0, 0xe8);
	cmd(b, 0, 1);
	wr(b, SIZE - 4, 0);
	wr(b, SIZE - 4, 0); /* the second word would be behind the end of all */
	cmd(b, 0, 0xd0);
	assert_int_equal(wait_ready(b), READY);
	back_to_array(b);
	assert_word(b, SIZE - 4, 0);
	assert_rest(b, SIZE - 4, 4);
	assert_int_equal(lseek(b->disk.fd, 0, SEEK_END), SIZE);
}

static void words_outside_the_buffer_are_a_sequence_error(void **state)
{
	static const struct {
		u64 first, then;
	} bad[] = {
		{ 0x100, 0xfc },     { 0x100, 0x108 },
		{ 0x100, SIZE - 4 }, { BLOCK - 4, BLOCK }, /* the next block's */
		{ SIZE - 4, 0 },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cmd(b, 0, 0xe8);
		cmd(b, 0, 1);
		wr(b, bad[i].first, 0);
		wr(b, bad[i].then, 0);
		assert_int_equal(rd(b, 0), READY | ERASE_ERROR | PROGRAM_ERROR);
		cmd(b, 0, 0xd0); /* comes too late: no command */
		back_to_array(b);
	}
	assert_rest(b, 0, 0);
	assert_int_equal(b->n_io, 0);
}

static void more_words_than_the_buffer_takes_are_a_sequence_error(void **state)
{
	static const u32 counts[] = { 0x00200020, 0x00ff00ff, 0x01000100, 0x01000101, 0xffffffff };
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		cmd(b, 0, 0xe8);
		wr(b, 0, counts[i]);
		assert_int_equal(wait_ready(b), READY | ERASE_ERROR | PROGRAM_ERROR);
		back_to_array(b);
	}
	assert_int_equal(b->n_io, 0);
}

static void what_is_not_confirmed_is_not_done(void **state)
{
	struct bench *b = *state;

	cmd(b, BLOCK, 0x20);
	cmd(b, BLOCK, 0xff);
	assert_int_equal(wait_ready(b), READY | ERASE_ERROR | PROGRAM_ERROR);
	back_to_array(b);
	cmd(b, 0, 0xe8);
	cmd(b, 0, 0);
	wr(b, 0, 0);
	cmd(b, 0, 0xff);
	assert_int_equal(wait_ready(b), READY | ERASE_ERROR | PROGRAM_ERROR);
	back_to_array(b);
	cmd(b, 0, 0x60);
	cmd(b, 0, 0x03); /* a configuration register, which these have not */
	assert_int_equal(wait_ready(b), READY | ERASE_ERROR | PROGRAM_ERROR);
	back_to_array(b);
	assert_rest(b, 0, 0);
}

static void errors_stay_until_they_are_cleared(void **state)
{
	struct bench *b = *state;

	cmd(b, 0, 0x20);
	cmd(b, 0, 0);
	cmd(b, 0, 0xff);
	assert_true(shown(b));
	assert_int_equal(wait_ready(b), READY | ERASE_ERROR | PROGRAM_ERROR);
	assert_int_equal(program(b, 0, 0), READY | ERASE_ERROR | PROGRAM_ERROR);
	cmd(b, 0, 0x50);
	assert_int_equal(rd(b, 0), READY); /* the mode is what it was */
}

/* ---- locks ------------------------------------------------------------------------------------
 */

static u32 lock_of(struct bench *b, u64 block)
{
	u32 lock;

	cmd(b, block, 0x90);
	lock = rd(b, block + 8);
	cmd(b, block, 0xff);
	return lock;
}

static void locked_blocks_do_not_change(void **state)
{
	struct bench *b = *state;

	for (u64 block = 0; block < SIZE; block += BLOCK)
		assert_int_equal(lock_of(b, block), 0);
	cmd(b, BLOCK + 0x50, 0x60);
	cmd(b, BLOCK + 0x50, 0x01);
	assert_int_equal(wait_ready(b), READY);
	cmd(b, 0, 0xff);
	assert_int_equal(lock_of(b, 0), 0);
	assert_int_equal(lock_of(b, BLOCK), 0x00010001);
	assert_int_equal(lock_of(b, 2 * BLOCK), 0);

	assert_int_equal(erase(b, BLOCK), READY | ERASE_ERROR | LOCKED);
	back_to_array(b);
	assert_int_equal(program(b, 2 * BLOCK - 4, 0), READY | PROGRAM_ERROR | LOCKED);
	back_to_array(b);
	cmd(b, BLOCK, 0xe8);
	cmd(b, BLOCK, 0);
	wr(b, BLOCK, 0);
	cmd(b, BLOCK, 0xd0);
	assert_int_equal(wait_ready(b), READY | PROGRAM_ERROR | LOCKED);
	back_to_array(b);
	assert_rest(b, 0, 0);

	cmd(b, BLOCK, 0x60);
	cmd(b, BLOCK, 0xd0);
	cmd(b, BLOCK, 0xff);
	assert_int_equal(lock_of(b, BLOCK), 0);
	assert_int_equal(program(b, 2 * BLOCK - 4, 0), READY);
}

static void a_lock_down_lasts_until_a_reset(void **state)
{
	struct bench *b = *state;
	struct lkvm_error err = { 0 };

	cmd(b, 0, 0x60);
	cmd(b, 0, 0x2f);
	assert_int_equal(lock_of(b, 0), 0x00030003);
	cmd(b, 0, 0x60);
	cmd(b, 0, 0xd0);
	assert_int_equal(lock_of(b, 0), 0x00030003);
	assert_int_equal(erase(b, 0), READY | ERASE_ERROR | LOCKED);
	/* what a reset is here: another machine, on the same file */
	dev_destroy(b->t.dev);
	bus_remove(&b->t.mmio, BASE);
	gmem_fini(&b->t.gmem);
	assert_int_equal(plug(b, &err), 0);
	assert_true(shown(b));
	assert_int_equal(lock_of(b, 0), 0);
	assert_int_equal(erase(b, 0), READY);
}

/* ---- the host's side ----------------------------------------------------------------------------
 */

static void the_chips_are_busy_until_the_file_has_it(void **state)
{
	struct bench *b = *state;

	b->hold = true;
	cmd(b, 0, 0x40);
	wr(b, 0, 0);
	assert_int_equal(rd(b, 0), 0);
	devtest_run(&b->t);
	assert_int_equal(b->n_held, 1);
	assert_int_equal(b->held[0]->op, LOOP_OP_WRITE);
	assert_int_equal(b->held[0]->off, 0);
	assert_int_equal(b->held[0]->vec.len, 4);
	/* Whatever comes meanwhile comes to nothing. */
	for (u32 c = 0; c < 0x100; c++) {
		cmd(b, BLOCK, (u16)c);
		cmd(b, BLOCK, 0xd0);
		assert_int_equal(rd(b, 0), 0);
		assert_false(shown(b));
	}
	devtest_run(&b->t);
	assert_int_equal(b->n_held, 1);
	assert_int_equal(pwrite(b->disk.fd, "\0\0\0", 4, 0), 4);
	end_held(b, 4);
	b->hold = false;
	assert_int_equal(rd(b, 0), READY);
	back_to_array(b);
	assert_word(b, 0, 0);
	assert_rest(b, 0, 4);
}

static void a_host_that_fails_is_an_error_of_the_chips(void **state)
{
	static const s64 failures[] = { -EIO, -ENOSPC, 0 };
	struct bench *b = *state;

	b->hold = true;
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		unsigned int msgs = b->t.n_msgs;

		cmd(b, 0, 0x40);
		wr(b, 0, 0);
		devtest_run(&b->t);
		end_held(b, failures[i]);
		assert_int_equal(rd(b, 0), READY | PROGRAM_ERROR);
		assert_int_equal(b->t.n_msgs, msgs + 1);
		assert_non_null(strstr(b->t.last_msg, "vars.fd"));
		back_to_array(b);

		cmd(b, 0, 0x20);
		cmd(b, 0, 0xd0);
		devtest_run(&b->t);
		end_held(b, failures[i]);
		assert_int_equal(rd(b, 0), READY | ERASE_ERROR);
		back_to_array(b);
	}
	b->hold = false;
	assert_int_equal(erase(b, 0), READY); /* and the next attempt is none the worse */
	back_to_array(b);
	assert_word(b, 0, 0xffffffff);
}

static void a_write_in_parts_goes_on_to_its_end(void **state)
{
	struct bench *b = *state;

	b->hold = true;
	cmd(b, 0, 0x20);
	cmd(b, 0, 0xd0);
	devtest_run(&b->t);
	assert_int_equal(b->held[0]->vec.len, BLOCK);
	end_held(b, 100);
	assert_int_equal(rd(b, 0), 0);
	assert_int_equal(b->held[0]->off, 100);
	assert_int_equal(b->held[0]->vec.len, BLOCK - 100);
	end_held(b, BLOCK - 100);
	assert_int_equal(rd(b, 0), READY);
}

static void a_machine_that_ends_leaves_no_write_behind(void **state)
{
	struct bench *b = *state;

	cmd(b, 0, 0x40);
	wr(b, 0, 0); /* posted, not begun */
	dev_destroy(b->t.dev);
	b->t.dev = NULL;
	devtest_run(&b->t);
	assert_int_equal(b->n_io, 0);
	assert_int_equal(in_file(b, 0), word_of_pattern(0));
}

static void a_machine_that_is_going_begins_no_write(void **state)
{
	struct bench *b = *state;

	b->t.env.quiet = true;
	cmd(b, 0, 0x40);
	wr(b, 0, 0);
	devtest_run(&b->t);
	assert_int_equal(rd(b, 0), READY | PROGRAM_ERROR);
	assert_int_equal(in_file(b, 0), word_of_pattern(0));
}

/* ---- accesses that no driver makes
 * --------------------------------------------------------------- */

static void writes_of_other_sizes_are_no_commands(void **state)
{
	struct bench *b = *state;

	for (unsigned int size = 1; size <= 8; size *= 2) {
		if (size != 4)
			devtest_mmio_write(&b->t, BASE, size, 0x7070707070707070);
	}
	for (u64 off = 1; off < 4; off++)
		devtest_mmio_write(&b->t, BASE + off, 4, 0x00700070);
	assert_true(shown(b));
	assert_rest(b, 0, 0);
}

static void every_pair_of_commands_ends_in_a_mode_that_can_be_left(void **state)
{
	struct bench *b = *state;

	for (u32 first = 0; first < 0x100; first++) {
		for (u32 second = 0; second < 0x100; second += 3) {
			cmd(b, 0x40, (u16)first);
			cmd(b, 0x40, (u16)second);
			cmd(b, 0x44, (u16)(first ^ second));
			devtest_run(&b->t);
			/* at most: a count, as many words, and what confirms them */
			for (unsigned int i = 0; i < 40 && !shown(b); i++) {
				cmd(b, 0x40 + 4 * (i % 32), 0xff);
				devtest_run(&b->t);
			}
			assert_true(shown(b));
		}
	}
}

static void random_writes_keep_array_and_file_the_same(void **state)
{
	static const u16 likely[] = {
		0x40, 0x20, 0xd0, 0xe8, 0x60, 0x01, 0xff, 0x70, 0x98, 0x90, 3
	};
	struct bench *b = *state;
	u32 seed = 12345;

	for (unsigned int i = 0; i < 20000; i++) {
		u32 off, val;

		seed = seed * 1664525 + 1013904223;
		off = (seed >> 8) % SIZE & ~3u;
		if (seed & 0x10)
			off &= 0x3c;
		seed = seed * 1664525 + 1013904223;
		val = seed >> 28 ? likely[(seed >> 8) % ARRAY_SIZE(likely)] * 0x10001u : seed;
		wr(b, off, val);
		if (seed & 0x40)
			devtest_run(&b->t);
		rd(b, off);
	}
	devtest_run(&b->t);
	for (u64 off = 0; off < SIZE; off += 4) {
		u8 bytes[4];

		assert_int_equal(gmem_hidden_read(&b->t.gmem, BASE + off, bytes, 4), 0);
		assert_int_equal(get_le32(bytes), in_file(b, off));
	}
}

/* ---- making it
 * ------------------------------------------------------------------------------------ */

static void sizes_that_chips_do_not_have_are_refused(void **state)
{
	static const u64 sizes[] = { 0, BLOCK - 512, BLOCK + 512, CFI_FLASH_MAX + BLOCK };
	struct bench *b = *state;

	dev_destroy(b->t.dev);
	b->t.dev = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct lkvm_error err = { 0 };

		b->disk.size = sizes[i];
		assert_int_equal(plug(b, &err), -EINVAL);
		assert_string_not_equal(err.msg, "");
	}
}

static void a_file_that_became_shorter_is_refused(void **state)
{
	struct bench *b = *state;
	struct lkvm_error err = { 0 };

	dev_destroy(b->t.dev);
	b->t.dev = NULL;
	bus_remove(&b->t.mmio, BASE);
	gmem_fini(&b->t.gmem);
	assert_int_equal(ftruncate(b->disk.fd, SIZE - 1), 0);
	assert_int_equal(plug(b, &err), -ENODATA);
	assert_non_null(strstr(err.msg, "vars.fd"));
}

/* A KVM that takes and gives memory, or does not. */
static int kvm_ret;

static int play_ioctl(void *ctx, int fd, unsigned long req, unsigned long arg)
{
	(void)ctx, (void)fd, (void)req, (void)arg;
	return kvm_ret;
}

static void a_host_that_keeps_the_memory_shown_keeps_the_guest_in_the_array(void **state)
{
	static const struct kvm_backend backend = { .ioctl = play_ioctl };
	static const struct kvm kvm = { .be = &backend };
	struct bench *b = *state;

	b->t.gmem.kvm = &kvm;
	kvm_ret = -ENOMEM;
	cmd(b, 0, 0x20);
	cmd(b, 0, 0xd0); /* not a confirmation: the command was not taken */
	assert_true(shown(b));
	assert_non_null(strstr(b->t.last_msg, "flash"));
	devtest_run(&b->t);
	assert_int_equal(b->n_io, 0);
	assert_rest(b, 0, 0);

	kvm_ret = 1;
	cmd(b, 0, 0x70);
	assert_false(shown(b));
	kvm_ret = -ENOMEM;
	cmd(b, 0, 0xff);
	assert_false(shown(b));
	assert_rest(b, 0, 0); /* through the device */
	kvm_ret = 1;
	cmd(b, 0, 0xff);
	assert_true(shown(b));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define B(f) cmocka_unit_test_setup_teardown(f, setup_bytes, teardown)

/* ---- the byte form, as x86 firmware drives it --------------------------------------------- */

#define BYTE_BLOCK 0x1000u

static void wr8(struct bench *b, u64 off, u8 val)
{
	devtest_mmio_write(&b->t, BASE + off, 1, val);
}

static u8 rd8(struct bench *b, u64 off)
{
	return (u8)read_at(b, off, 1);
}

static u8 byte_in_file(const struct bench *b, u64 off)
{
	u8 v;

	assert_int_equal(pread(b->disk.fd, &v, 1, (off_t)off), 1);
	return v;
}

/* Never a look at the status. */
static void program_bytes(struct bench *b, u64 off, const u8 *bytes, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		wr8(b, off + i, 0x10);
		wr8(b, off + i, bytes[i]);
	}
	wr8(b, off + n - 1, 0xff);
}

static void erase_bytes(struct bench *b, u64 off)
{
	wr8(b, off, 0x20);
	wr8(b, off, 0xd0);
}

static void assert_same(struct bench *b)
{
	u8 array[BYTE_BLOCK], file[BYTE_BLOCK];

	for (u64 off = 0; off < SIZE; off += sizeof(array)) {
		assert_int_equal(gmem_hidden_read(&b->t.gmem, BASE + off, array, sizeof(array)), 0);
		assert_int_equal(pread(b->disk.fd, file, sizeof(file), (off_t)off), sizeof(file));
		assert_memory_equal(array, file, sizeof(file));
	}
}

static void firmware_that_probes_finds_flash_and_not_rom_or_ram(void **state)
{
	struct bench *b = *state;
	u8 original = rd8(b, 7);

	wr8(b, 7, 0x50);
	assert_int_equal(rd8(b, 7), original);
	wr8(b, 7, 0x70);
	assert_false(shown(b));
	assert_int_equal(rd8(b, 7), 0);
	wr8(b, 7, 0xff);
	assert_true(shown(b));
	assert_int_equal(rd8(b, 7), original);
	assert_int_equal(b->n_io, 0);
	/* as in the data sheet once it has done something */
	erase_bytes(b, 0);
	wr8(b, 0, 0x70);
	assert_int_equal(rd8(b, 0), 0x80);
	wr8(b, 0, 0xff);
}

static void bytes_are_programmed_without_waiting_and_its_vcpu_waits_for_the_file(void **state)
{
	static const u8 bytes[] = { 0x0f, 0xf0, 0x55 };
	struct bench *b = *state;

	erase_bytes(b, BYTE_BLOCK);
	assert_true(shown(b)); /* the array at once */
	assert_int_equal(rd8(b, BYTE_BLOCK + 5), 0xff);
	assert_int_equal(rd8(b, BYTE_BLOCK - 1), pattern(BYTE_BLOCK - 1));
	assert_int_equal(rd8(b, 2 * BYTE_BLOCK), pattern(2 * BYTE_BLOCK));
	assert_false(b->t.dev->throttled);
	program_bytes(b, BYTE_BLOCK + 5, bytes, sizeof(bytes));
	assert_true(shown(b));
	assert_int_equal(rd8(b, BYTE_BLOCK + 6), 0xf0);
	assert_true(b->t.dev->throttled);
	devtest_run(&b->t);
	assert_false(b->t.dev->throttled);
	assert_int_equal(byte_in_file(b, BYTE_BLOCK + 7), 0x55);
	assert_int_equal(byte_in_file(b, BYTE_BLOCK + 8), 0xff);
	program_bytes(b, BYTE_BLOCK + 5, bytes + 1, 1); /* from 1 to 0 only */
	devtest_run(&b->t);
	assert_int_equal(byte_in_file(b, BYTE_BLOCK + 5), 0);
	assert_same(b);
	wr8(b, 0, 0xff); /* with nothing to wait for */
	assert_false(b->t.dev->throttled);
}

static void what_changes_while_the_file_is_written_follows(void **state)
{
	static const u8 zero = 0;
	struct bench *b = *state;

	b->hold = true;
	program_bytes(b, 0, &zero, 1);
	devtest_run(&b->t);
	assert_int_equal(b->n_held, 1);
	program_bytes(b, 1, &zero, 1); /* the block under way */
	for (unsigned int i = 0; i < 40; i++)
		erase_bytes(b, SIZE - (i + 1) * BYTE_BLOCK);
	b->hold = false;
	end_held(b, BYTE_BLOCK);
	devtest_run(&b->t);
	assert_false(b->t.dev->throttled);
	assert_int_equal(byte_in_file(b, 1), 0);
	assert_int_equal(byte_in_file(b, SIZE - 1), 0xff);
	assert_int_equal(byte_in_file(b, SIZE - 40 * BYTE_BLOCK), 0xff);
	assert_int_equal(byte_in_file(b, SIZE - 40 * BYTE_BLOCK - 1),
			 pattern(SIZE - 40 * BYTE_BLOCK - 1));
}

static void a_host_that_fails_lets_the_vcpu_of_the_byte_form_go_on(void **state)
{
	static const u8 zero = 0;
	struct bench *b = *state;

	b->hold = true;
	program_bytes(b, 0, &zero, 1);
	devtest_run(&b->t);
	assert_true(b->t.dev->throttled);
	end_held(b, -EIO);
	assert_false(b->t.dev->throttled);
	assert_non_null(strstr(b->t.last_msg, "vars.fd"));
	wr8(b, 0, 0x70);
	assert_int_equal(rd8(b, 0), 0x90); /* ready, and could not program */
	wr8(b, 0, 0xff);
}

static void writes_of_more_than_a_byte_are_no_commands_of_the_byte_form(void **state)
{
	struct bench *b = *state;

	for (unsigned int size = 2; size <= 8; size *= 2)
		devtest_mmio_write(&b->t, BASE, size, 0x7070707070707070);
	assert_true(shown(b));
}

static void random_bytes_keep_array_and_file_the_same(void **state)
{
	static const u8 likely[] = { 0x10, 0x20, 0xd0, 0x40, 0xe8, 0xff, 0x50, 0x70, 0x60, 0x90 };
	struct bench *b = *state;
	u32 x = 1;

	for (int i = 0; i < 20000; i++) {
		x = x * 1664525 + 1013904223;
		wr8(b, (x >> 8) % SIZE,
		    x % 3 ? likely[(x >> 24) % ARRAY_SIZE(likely)] : (u8)(x >> 24));
		if (!(x >> 20 & 7))
			devtest_run(&b->t);
		rd8(b, (x >> 6) % SIZE);
	}
	devtest_run(&b->t);
	assert_same(b);
}

static void sizes_of_the_byte_form_are_multiples_of_its_blocks(void **state)
{
	struct bench *b = *state;
	struct lkvm_error err = { 0 };

	dev_destroy(b->t.dev);
	b->t.dev = NULL;
	bus_remove(&b->t.mmio, BASE);
	gmem_fini(&b->t.gmem);
	b->disk.size = BYTE_BLOCK / 2;
	assert_int_equal(plug(b, &err), -EINVAL);
	b->disk.size = 3 * BYTE_BLOCK; /* no power of two, as is the file of OVMF */
	assert_int_equal(plug(b, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_array_is_the_file_and_read_without_the_device),
		T(the_query_describes_two_chips),
		T(drivers_that_probe_for_other_chips_find_none_and_the_array),
		T(answers_can_be_read_in_any_size),
		T(a_block_is_erased_and_no_other),
		T(a_word_is_programmed_by_clearing_bits),
		T(a_buffer_is_programmed_as_firmware_does_it),
		T(a_buffer_of_one_word_at_the_end_of_all),
		T(words_of_a_buffer_may_come_in_any_order),
		T(a_word_that_comes_twice_makes_the_buffer_end_early),
		T(words_outside_the_buffer_are_a_sequence_error),
		T(more_words_than_the_buffer_takes_are_a_sequence_error),
		T(what_is_not_confirmed_is_not_done),
		T(errors_stay_until_they_are_cleared),
		T(locked_blocks_do_not_change),
		T(a_lock_down_lasts_until_a_reset),
		T(the_chips_are_busy_until_the_file_has_it),
		T(a_host_that_fails_is_an_error_of_the_chips),
		T(a_write_in_parts_goes_on_to_its_end),
		T(a_machine_that_ends_leaves_no_write_behind),
		T(a_machine_that_is_going_begins_no_write),
		T(writes_of_other_sizes_are_no_commands),
		T(every_pair_of_commands_ends_in_a_mode_that_can_be_left),
		T(random_writes_keep_array_and_file_the_same),
		T(sizes_that_chips_do_not_have_are_refused),
		T(a_file_that_became_shorter_is_refused),
		T(a_host_that_keeps_the_memory_shown_keeps_the_guest_in_the_array),
		B(firmware_that_probes_finds_flash_and_not_rom_or_ram),
		B(bytes_are_programmed_without_waiting_and_its_vcpu_waits_for_the_file),
		B(what_changes_while_the_file_is_written_follows),
		B(a_host_that_fails_lets_the_vcpu_of_the_byte_form_go_on),
		B(writes_of_more_than_a_byte_are_no_commands_of_the_byte_form),
		B(random_bytes_keep_array_and_file_the_same),
		B(sizes_of_the_byte_form_are_multiples_of_its_blocks),
	};

	return cmocka_run_group_tests_name("cfi flash", tests, NULL, NULL);
}
