/*
 * fw_cfg: items as firmware reads them, by the data register and by DMA, and what a hostile guest
 * asks for.
 *
 * Does not prove that the items are what firmware wants (tests/unit/x86/test_firmware.c has their
 * bytes, check-bed starts OVMF).
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "devices/classes.h"
#include "devices/fw_cfg.h"
#include "tests/unit/devtest.h"

#define PORT	  0x510
#define RAM_SIZE  (4 * MIB)
#define ACCESS	  0x1000ull
#define BUFFER	  0x4000ull
#define FILE_SIZE (3 * MIB + 5)

#define READ	   0x02
#define SKIP	   0x04
#define SELECT	   0x08
#define WRITE	   0x10
#define ERROR	   0x01
#define SEL(key)   ((u32)(key) << 16 | SELECT)
#define UNANSWERED 0x77770000

static u8 pattern(u64 off)
{
	return (u8)(off * 7 + off / 251 + 3);
}

struct bench {
	struct devtest t;
	int fd;
	struct loop_io *held;
	bool hold;
};

static bool on_io(void *ctx, struct loop_io *io)
{
	struct bench *b = ctx;

	if (!b->hold)
		return false;
	assert_null(b->held);
	b->held = io;
	return true;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	u8 *bytes = malloc(FILE_SIZE);
	struct lkvm_error err = { 0 };

	assert_non_null(b);
	assert_non_null(bytes);
	for (u64 i = 0; i < FILE_SIZE; i++)
		bytes[i] = pattern(i);
	b->fd = memfd_create("kernel", MFD_CLOEXEC);
	assert_int_equal(pwrite(b->fd, bytes, FILE_SIZE, 0), FILE_SIZE);
	free(bytes);
	devtest_init(&b->t, 0);
	devtest_add_ram(&b->t, 0, RAM_SIZE);
	loop_manual_io_hook(b->t.loop, on_io, b);
	devtest_plug(&b->t, &(struct dev_slot){
				    .cls = &fw_cfg_class,
				    .name = "fw-cfg",
				    .ranges = { { &b->t.ports, PORT, FW_CFG_REGS_LEN,
						  BUS_SIZE_1 | BUS_SIZE_2, FW_CFG_TAG_REGS },
						{ &b->t.ports, PORT + FW_CFG_DMA, FW_CFG_DMA_LEN,
						  BUS_SIZE_ANY, FW_CFG_TAG_DMA } } });
	assert_int_equal(fw_cfg_add_le(b->t.dev, FW_CFG_NB_CPUS, 0x0203, 2, &err), 0);
	assert_int_equal(fw_cfg_add_named(b->t.dev, "etc/one", "abc", 3, &err), 0);
	assert_int_equal(fw_cfg_add_named(b->t.dev, "etc/second", "", 0, &err), 0);
	assert_int_equal(fw_cfg_add_file(b->t.dev, FW_CFG_KERNEL_DATA, b->fd, 1, FILE_SIZE - 1,
					 "vmlinuz", &err),
			 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	devtest_fini(&b->t);
	close(b->fd);
	free(b);
	return 0;
}

/* ---- the guest's side -------------------------------------------------------------------- */

static void select_item(struct bench *b, u16 key)
{
	devtest_out(&b->t, PORT, 2, key);
}

static u8 next(struct bench *b)
{
	return (u8)devtest_in(&b->t, PORT + 1, 1);
}

static u32 be(struct bench *b, unsigned int n)
{
	u32 v = 0;

	while (n--)
		v = v << 8 | next(b);
	return v;
}

static void start_dma(struct bench *b, u32 control, u32 len, u64 gpa)
{
	u32 words[2] = { htobe32(control), htobe32(len) };

	gpa = htobe64(gpa);
	assert_int_equal(gmem_write(&b->t.gmem, ACCESS, words, sizeof(words)), 0);
	assert_int_equal(gmem_write(&b->t.gmem, ACCESS + 8, &gpa, sizeof(gpa)), 0);
	devtest_out(&b->t, PORT + 4, 4, htobe32((u32)(ACCESS >> 32)));
	devtest_out(&b->t, PORT + 8, 4, htobe32((u32)ACCESS));
}

static u32 dma_control(struct bench *b)
{
	u32 control;

	assert_int_equal(gmem_read(&b->t.gmem, ACCESS, &control, sizeof(control)), 0);
	return be32toh(control);
}

static u32 dma(struct bench *b, u32 control, u32 len, u64 gpa)
{
	start_dma(b, control, len, gpa);
	devtest_run(&b->t);
	return dma_control(b);
}

static u8 ram(struct bench *b, u64 gpa)
{
	u8 v;

	assert_int_equal(gmem_read(&b->t.gmem, gpa, &v, 1), 0);
	return v;
}

/* ---- tests ------------------------------------------------------------------------------- */

static void it_says_who_it_is(void **state)
{
	struct bench *b = *state;

	select_item(b, 0);
	assert_int_equal(be(b, 4), 0x51454d55); /* "QEMU" */
	select_item(b, 1);
	assert_int_equal(be(b, 4), 0x03000000); /* traditional and DMA, little endian */
	assert_int_equal(devtest_in(&b->t, PORT + 4, 4), 0x554d4551);
	assert_int_equal(devtest_in(&b->t, PORT + 8, 4), 0x47464320);
}

static void an_item_is_read_byte_by_byte_and_zeroes_follow(void **state)
{
	struct bench *b = *state;

	select_item(b, FW_CFG_NB_CPUS);
	assert_int_equal(next(b), 3);
	assert_int_equal(next(b), 2);
	for (int i = 0; i < 5; i++)
		assert_int_equal(next(b), 0);
	select_item(b, FW_CFG_NB_CPUS); /* from the start again */
	assert_int_equal(next(b), 3);
	select_item(b, FW_CFG_NB_CPUS | 0x4000); /* for writing, which changes nothing */
	assert_int_equal(next(b), 3);
	devtest_out(&b->t, PORT + 1, 1, 0x99);
	assert_int_equal(next(b), 2);
}

static void what_is_not_there_is_zeroes(void **state)
{
	struct bench *b = *state;

	assert_int_equal(next(b), 0); /* nothing is selected yet */
	for (u32 key = 0x26; key < 0x10000; key += 0x25) {
		select_item(b, (u16)key);
		if ((key & 0xbfff) >= 0x22)
			assert_int_equal(next(b), 0);
	}
}

static void the_directory_leads_to_named_items(void **state)
{
	struct bench *b = *state;
	char name[FW_CFG_NAME_MAX];
	u16 key;

	select_item(b, 0x19);
	assert_int_equal(be(b, 4), 2);
	assert_int_equal(be(b, 4), 3); /* size */
	key = (u16)be(b, 2);
	assert_int_equal(key, 0x20);
	assert_int_equal(be(b, 2), 0);
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = (char)next(b);
	assert_string_equal(name, "etc/one");
	assert_int_equal(be(b, 4), 0);
	assert_int_equal(be(b, 2), 0x21);
	select_item(b, key);
	assert_int_equal(be(b, 4), 0x61626300);
}

static void too_many_items_are_refused(void **state)
{
	struct bench *b = *state;
	struct lkvm_error err = { 0 };
	char name[FW_CFG_NAME_MAX + 1];
	int ret = 0;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(fw_cfg_add_named(b->t.dev, name, "", 0, &err), -ENOSPC);
	for (u16 key = 0x100; !ret && key < 0x200; key++)
		ret = fw_cfg_add(b->t.dev, key, "x", 1, &err);
	assert_int_equal(ret, -ENOSPC);
}

static void dma_reads_skips_and_goes_on(void **state)
{
	struct bench *b = *state;

	assert_int_equal(dma(b, SEL(0x20) | READ, 2, BUFFER), 0);
	assert_int_equal(ram(b, BUFFER), 'a');
	assert_int_equal(ram(b, BUFFER + 1), 'b');
	assert_int_equal(ram(b, BUFFER + 2), 0);
	gmem_write(&b->t.gmem, BUFFER, "zzzz", 4);
	assert_int_equal(dma(b, READ, 3, BUFFER), 0); /* the rest, and zeroes */
	assert_int_equal(ram(b, BUFFER), 'c');
	assert_int_equal(ram(b, BUFFER + 1), 0);
	assert_int_equal(ram(b, BUFFER + 2), 0);
	assert_int_equal(ram(b, BUFFER + 3), 'z');
	assert_int_equal(dma(b, SEL(0x20) | SKIP, 2, 0), 0);
	assert_int_equal(next(b), 'c');
	assert_int_equal(dma(b, SEL(0x20) | SKIP, UINT32_MAX, 0), 0);
	assert_int_equal(next(b), 0);
	assert_int_equal(dma(b, SEL(0x20), 0, 0), 0);
	assert_int_equal(next(b), 'a');
	assert_int_equal(dma(b, SEL(0x20) | READ, 0, UINT64_MAX), 0); /* nothing, nowhere */
}

static void dma_does_not_write_items(void **state)
{
	struct bench *b = *state;

	gmem_write(&b->t.gmem, BUFFER, "zzzz", 4);
	assert_int_equal(dma(b, SEL(0x20) | WRITE, 3, BUFFER), ERROR);
	select_item(b, 0x20);
	assert_int_equal(next(b), 'a');
}

static void dma_to_what_is_not_ram_moves_nothing(void **state)
{
	static const u64 gpas[] = { RAM_SIZE,		RAM_SIZE - 1,	UINT64_MAX, UINT64_MAX - 1,
				    0xfffffffffffff000, BIT(32) + 0x10, BIT(63) };
	struct bench *b = *state;

	gmem_write(&b->t.gmem, RAM_SIZE - 1, "z", 1);
	for (size_t i = 0; i < ARRAY_SIZE(gpas); i++) {
		assert_int_equal(dma(b, SEL(0x20) | READ, 2, gpas[i]), ERROR);
		assert_int_equal(dma(b, SEL(FW_CFG_KERNEL_DATA) | READ, 2, gpas[i]), ERROR);
	}
	assert_int_equal(ram(b, RAM_SIZE - 1), 'z');
}

static void a_request_that_is_not_in_ram_is_dropped(void **state)
{
	struct bench *b = *state;

	for (u64 gpa = RAM_SIZE - 15; gpa < RAM_SIZE + 64; gpa += 5)
		devtest_out(&b->t, PORT + 8, 4, htobe32((u32)gpa));
	assert_int_not_equal(b->t.n_msgs, 0);
	devtest_out(&b->t, PORT + 4, 4, 0xffffffff);
	devtest_out(&b->t, PORT + 8, 4, 0xffffffff);
	/* the high half was for that one only */
	start_dma(b, SEL(0x20) | READ, 1, BUFFER);
	assert_int_equal(dma_control(b), 0);
	assert_int_equal(ram(b, BUFFER), 'a');
}

static void zeroes_behind_an_item_are_bounded(void **state)
{
	struct bench *b = *state;

	assert_int_equal(dma(b, SEL(0x20) | READ, 3 + 64 * KIB, BUFFER), 0);
	assert_int_equal(dma(b, SEL(0x20) | READ, 4 + 64 * KIB, BUFFER), ERROR);
	assert_int_equal(dma(b, SEL(0x20) | READ, UINT32_MAX, 0), ERROR);
	assert_int_equal(dma(b, SEL(0x7777) | READ, 1, BUFFER), 0);
}

static void a_file_is_read_by_the_loop(void **state)
{
	struct bench *b = *state;

	start_dma(b, SEL(FW_CFG_KERNEL_DATA) | READ, 3 * MIB, BUFFER);
	assert_int_not_equal(dma_control(b), 0);
	devtest_run(&b->t);
	assert_int_equal(dma_control(b), 0);
	for (u64 i = 0; i < 3 * MIB; i += 997)
		assert_int_equal(ram(b, BUFFER + i), pattern(i + 1));
	/* the last bytes and a zero */
	gmem_write(&b->t.gmem, BUFFER, "zzzzzz", 6);
	assert_int_equal(dma(b, READ, 5, BUFFER), 0);
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(ram(b, BUFFER + i), pattern(3 * MIB + 1 + i));
	assert_int_equal(ram(b, BUFFER + 4), 0);
	assert_int_equal(ram(b, BUFFER + 5), 'z');
	select_item(b, FW_CFG_KERNEL_DATA);
	assert_int_equal(next(b), 0); /* by DMA only */
}

static void one_file_request_is_under_way_at_a_time(void **state)
{
	struct bench *b = *state;
	u32 control = htobe32(UNANSWERED);

	b->hold = true;
	start_dma(b, SEL(FW_CFG_KERNEL_DATA) | READ, 16, BUFFER);
	devtest_run(&b->t);
	assert_non_null(b->held);
	assert_int_equal(dma_control(b), SEL(FW_CFG_KERNEL_DATA) | READ);
	start_dma(b, SEL(0x20) | READ, 1, BUFFER);
	assert_int_equal(dma_control(b), ERROR);
	gmem_write(&b->t.gmem, ACCESS, &control, sizeof(control));
	b->held->res = 16;
	loop_manual_io_done(b->t.loop, b->held);
	devtest_run(&b->t);
	assert_int_equal(dma_control(b), 0);
	assert_int_equal(dma(b, SEL(0x20) | READ, 1, BUFFER), 0);
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
	struct bench *b = *state;

	b->hold = true;
	start_dma(b, SEL(FW_CFG_KERNEL_DATA) | READ, 16, BUFFER);
	devtest_run(&b->t);
	b->held->res = -EIO;
	loop_manual_io_done(b->t.loop, b->held);
	devtest_run(&b->t);
	assert_int_equal(dma_control(b), ERROR);
	assert_non_null(strstr(b->t.last_msg, "vmlinuz"));
	/* it shrank since it was opened */
	b->hold = false;
	assert_int_equal(ftruncate(b->fd, 8), 0);
	assert_int_equal(dma(b, SEL(FW_CFG_KERNEL_DATA) | READ, 16, BUFFER), ERROR);
}

static void a_request_that_is_read_over_is_answered_all_the_same(void **state)
{
	struct bench *b = *state;

	assert_int_equal(dma(b, SEL(0x20) | READ, 3, ACCESS), 0);
	assert_int_equal(dma(b, SEL(0x7777) | READ, 16, ACCESS), 0); /* zeroes */
	assert_int_equal(dma(b, SEL(FW_CFG_KERNEL_DATA) | READ, 16, ACCESS), 0);
	for (u64 i = 4; i < 16; i++)
		assert_int_equal(ram(b, ACCESS + i), pattern(i + 1));
	/* what is read says an address, a length and a key: of no request that anybody made */
	assert_int_equal(dma(b, SEL(FW_CFG_KERNEL_DATA) | READ, 4096, ACCESS - 2), 0);
	assert_int_equal(ram(b, ACCESS + 4), pattern(7));
	assert_int_equal(ram(b, ACCESS - 3), 0);
}

static void a_machine_that_ends_reads_no_file(void **state)
{
	struct bench *b = *state;

	start_dma(b, SEL(FW_CFG_KERNEL_DATA) | READ, 16, BUFFER); /* posted, not begun */
	dev_destroy(b->t.dev);
	b->t.dev = NULL;
	devtest_run(&b->t);
	assert_int_equal(ram(b, BUFFER), 0);
}

static void a_machine_that_is_going_reads_no_more_of_it(void **state)
{
	struct bench *b = *state;

	b->hold = true;
	start_dma(b, SEL(FW_CFG_KERNEL_DATA) | READ, 16, BUFFER);
	devtest_run(&b->t);
	b->t.env.quiet = true;
	b->held->res = 8;
	loop_manual_io_done(b->t.loop, b->held);
	assert_int_equal(loop_io_drain(b->t.loop), 0);
	assert_int_equal(dma_control(b), ERROR);
	b->held = NULL;
	assert_int_equal(dma(b, SEL(FW_CFG_KERNEL_DATA) | READ, 16, BUFFER), ERROR);
	assert_null(b->held);
	assert_int_equal(ram(b, BUFFER), 0);
}

static void registers_take_only_accesses_of_their_size(void **state)
{
	struct bench *b = *state;

	select_item(b, 0x20);
	devtest_out(&b->t, PORT, 1, 5);
	devtest_in(&b->t, PORT, 2);
	assert_int_equal(devtest_in(&b->t, PORT, 1), 0xff);
	devtest_out(&b->t, PORT + 8, 2, 0x1000);
	devtest_out(&b->t, PORT + 6, 4, 0x1000);
	assert_int_equal(next(b), 'a');
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_says_who_it_is),
		T(an_item_is_read_byte_by_byte_and_zeroes_follow),
		T(what_is_not_there_is_zeroes),
		T(the_directory_leads_to_named_items),
		T(too_many_items_are_refused),
		T(dma_reads_skips_and_goes_on),
		T(dma_does_not_write_items),
		T(dma_to_what_is_not_ram_moves_nothing),
		T(a_request_that_is_not_in_ram_is_dropped),
		T(zeroes_behind_an_item_are_bounded),
		T(a_file_is_read_by_the_loop),
		T(one_file_request_is_under_way_at_a_time),
		T(a_file_that_cannot_be_read_is_an_error),
		T(a_request_that_is_read_over_is_answered_all_the_same),
		T(a_machine_that_ends_reads_no_file),
		T(a_machine_that_is_going_reads_no_more_of_it),
		T(registers_take_only_accesses_of_their_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
