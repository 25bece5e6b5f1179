/*
 * The devices that kvm-unit-tests expect, as those tests and a hostile CPU see them: testdev and
 * pci_testdev.
 *
 * Does not prove that KVM forgets a page, nor that it takes the writes that a doorbell is for:
 * check-kvm has guests that try.
 */
#include "devices/classes.h"
#include "devices/pci.h"
#include "tests/unit/devtest.h"
#include "tests/unit/pcidriver.h"

/* ---- testdev ---- */

#define PORTS 0xe0
#define IRQS  0x2000
#define MEM   0xff000000ull
#define RAM   0x10000ull

#define PORT_SIZES (BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4)

static void setup(struct devtest *t)
{
	struct testdev_cfg cfg = { .chip = &t->chip };

	devtest_init(t, 0);
	devtest_add_ram(t, RAM, 16 * 4096);
	devtest_plug(t, &(struct dev_slot){ .cls = &testdev_class,
					    .name = "testdev",
					    .ranges = { { &t->ports, PORTS, TESTDEV_PORTS_LEN,
							  PORT_SIZES, TESTDEV_TAG_PORTS },
							{ &t->ports, IRQS, TESTDEV_N_IRQS,
							  PORT_SIZES, TESTDEV_TAG_IRQ },
							{ &t->mmio, MEM, TESTDEV_MEM_LEN,
							  BUS_SIZE_ANY, TESTDEV_TAG_MEM } },
					    .cfg = &cfg });
}

static void a_port_keeps_what_is_written_in_any_size(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t);
	assert_int_equal(devtest_in(&t, PORTS, 4), 0);
	devtest_out(&t, PORTS, 4, 0x12345678);
	assert_int_equal(devtest_in(&t, PORTS, 4), 0x12345678);
	assert_int_equal(devtest_in(&t, PORTS, 1), 0x78);
	assert_int_equal(devtest_in(&t, PORTS + 3, 1), 0x12);
	assert_int_equal(devtest_in(&t, PORTS + 2, 2), 0x1234);
	devtest_out(&t, PORTS + 1, 1, 0xaa);
	devtest_out(&t, PORTS + 2, 2, 0xbbcc);
	assert_int_equal(devtest_in(&t, PORTS, 4), 0xbbccaa78);
	/* the second window is the same register */
	assert_int_equal(devtest_in(&t, PORTS + 8, 4), 0xbbccaa78);
	devtest_out(&t, PORTS + 11, 1, 0x11);
	assert_int_equal(devtest_in(&t, PORTS, 4), 0x11ccaa78);
	devtest_fini(&t);
}

static void accesses_over_the_end_of_the_register_are_harmless(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t);
	devtest_out(&t, PORTS, 4, 0xffffffff);
	devtest_out(&t, PORTS + 3, 4, 0x55667788);
	assert_int_equal(devtest_in(&t, PORTS, 4), 0x88ffffff);
	assert_int_equal(devtest_in(&t, PORTS + 3, 4), 0x88);
	devtest_out(&t, PORTS + 10, 4, 0x11223344);
	assert_int_equal(devtest_in(&t, PORTS + 8, 4), 0x3344ffff);
	for (unsigned int off = 12; off < 16; off++) {
		devtest_out(&t, PORTS + off, 1, 0xee);
		assert_int_equal(devtest_in(&t, PORTS + off, 1), 0);
	}
	assert_int_equal(devtest_in(&t, PORTS + 4, 4), 0);
	assert_int_equal(devtest_in(&t, PORTS, 4), 0x3344ffff);
	devtest_fini(&t);
}

static void a_page_that_is_forgotten_keeps_its_content(void **state)
{
	static const u32 elsewhere[] = { 0, 0xf000, RAM + 16 * 4096, 0xfffff000, 0xffffffff };
	struct devtest t;
	char text[4096], got[4096];

	(void)state;
	setup(&t);
	memset(text, 'x', sizeof(text));
	assert_int_equal(gmem_write(&t.gmem, RAM + 4096, text, sizeof(text)), 0);
	devtest_out(&t, PORTS + 4, 4, RAM + 4096);
	devtest_out(&t, PORTS + 4, 4, RAM + 4096 + 5); /* any address in it */
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
		devtest_out(&t, PORTS + 4, 4, elsewhere[i]);
	assert_int_equal(gmem_read(&t.gmem, RAM + 4096, got, sizeof(got)), 0);
	assert_memory_equal(got, text, sizeof(text));
	text[0] = 'y';
	assert_int_equal(gmem_write(&t.gmem, RAM + 4096, text, sizeof(text)), 0);
	devtest_fini(&t);
}

static void memory_keeps_what_is_written_to_its_end(void **state)
{
	struct devtest t;
	u64 last = MEM + TESTDEV_MEM_LEN;

	(void)state;
	setup(&t);
	devtest_mmio_write(&t, MEM, 8, 0x1122334455667788);
	assert_int_equal(devtest_mmio_read(&t, MEM, 8), 0x1122334455667788);
	devtest_mmio_write(&t, MEM + 1, 1, 0xaa);
	devtest_mmio_write(&t, MEM + 2, 2, 0xbbcc);
	devtest_mmio_write(&t, MEM + 4, 4, 0xddeeff00);
	assert_int_equal(devtest_mmio_read(&t, MEM, 8), 0xddeeff00bbccaa88);
	assert_int_equal(devtest_mmio_read(&t, MEM + 3, 4), 0xeeff00bb);
	devtest_mmio_write(&t, last - 8, 8, 0x5);
	assert_int_equal(devtest_mmio_read(&t, last - 8, 1), 5);
	/* over its end: the bus does not let that through */
	devtest_mmio_write(&t, last - 1, 8, 0xffff);
	assert_int_equal(devtest_mmio_read(&t, last - 1, 1), 0);
	devtest_fini(&t);
}

static void each_port_is_a_line(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t);
	for (u32 i = 0; i < TESTDEV_N_IRQS; i++) {
		assert_int_equal(devtest_in(&t, IRQS + i, 1), 0);
		devtest_out(&t, IRQS + i, 1, 1);
		assert_true(t.level[i]);
		devtest_out(&t, IRQS + i, 1, 0x80);
		assert_int_equal(t.n_raised[i], 1);
		assert_int_equal(devtest_in(&t, IRQS + i, 1), 1);
		devtest_out(&t, IRQS + i, 1, 0);
		assert_false(t.level[i]);
		devtest_out(&t, IRQS + i, 1, 0);
		assert_int_equal(t.n_raised[i], 1);
	}
	for (u32 i = TESTDEV_N_IRQS; i < IRQ_MAX_GSI; i++) {
		devtest_out(&t, IRQS + i, 1, 1);
		assert_int_equal(t.n_raised[i], 0);
	}
	devtest_fini(&t);
}

static void a_line_is_shared_with_the_device_that_has_it(void **state)
{
	struct devtest t;
	struct irq_line other;

	(void)state;
	setup(&t);
	other = (struct irq_line){ .chip = &t.chip, .gsi = 4 };
	irq_set(&other, true);
	devtest_out(&t, IRQS + 4, 1, 1);
	irq_set(&other, false);
	assert_true(t.level[4]);
	devtest_out(&t, IRQS + 4, 1, 0);
	assert_false(t.level[4]);
	devtest_fini(&t);
}

/* ---- pci_testdev ---- */

#define ECAM	 0x40000000
#define WINDOW	 0x50000000
#define SLOT	 30
#define IO	 0xc000
#define N_TESTS	 3
#define DATA	 0xfa
#define N_WRITES 16

#define HDR_WIDTH  1
#define HDR_OFFSET 4
#define HDR_DATA   8
#define HDR_COUNT  12
#define HDR_NAME   16

struct board {
	struct devtest t;
	struct pci_bus bus;
	struct dev *host;
	struct pcid pci;
	u32 mem; /* where BAR 0 is */
};

static void board_setup(struct board *b)
{
	struct pci_host_cfg host = { .bus = &b->bus };
	struct pci_testdev_cfg cfg = {
		.bus = &b->bus, .slot = SLOT, .ports = &b->t.ports, .port = IO
	};
	struct lkvm_error err = { 0 };

	devtest_init(&b->t, 0);
	pci_bus_init(&b->bus, &b->t.mmio, &b->t.gmem, WINDOW, MIB);
	assert_int_equal(
		dev_create(&b->host,
			   &(struct dev_slot){ .cls = &pci_host_class,
					       .name = "pci",
					       .ranges = { { &b->t.mmio, ECAM, MIB, BUS_SIZE_ANY,
							     PCI_HOST_TAG_ECAM } },
					       .cfg = &host },
			   &b->t.env, &err),
		0);
	assert_int_equal(dev_create(&b->t.dev,
				    &(struct dev_slot){ .cls = &pci_testdev_class,
							.name = "pci-testdev",
							.cfg = &cfg },
				    &b->t.env, &err),
			 0);
	b->pci = (struct pcid){ &b->t.ports, &b->t.mmio, ECAM, SLOT };
	b->mem = pcid_bar(&b->pci, 0);
}

static void board_teardown(struct board *b)
{
	dev_destroy(b->t.dev);
	assert_int_equal(b->t.n_bells, 0);
	assert_int_equal(b->t.ports.n_ranges, 0);
	b->t.dev = b->host;
	devtest_fini(&b->t);
}

/* A BAR as a test uses it. */
struct bar {
	struct board *b;
	bool io;
	u64 addr;
};

static u32 bar_read(const struct bar *r, u32 off, unsigned int size)
{
	return (u32)(r->io ? devtest_in(&r->b->t, r->addr + off, size)
			   : devtest_mmio_read(&r->b->t, r->addr + off, size));
}

static void bar_write(const struct bar *r, u32 off, unsigned int size, u32 val)
{
	if (r->io)
		devtest_out(&r->b->t, r->addr + off, size, val);
	else
		devtest_mmio_write(&r->b->t, r->addr + off, size, val);
}

static struct bar bar_of(struct board *b, bool io)
{
	return (struct bar){ b, io, io ? IO : b->mem };
}

/* What a run of @test counts. */
static u32 run(const struct bar *r, u8 test)
{
	bar_write(r, 0, 1, test);
	assert_int_equal(bar_read(r, HDR_COUNT, 4), 0);
	assert_int_equal(bar_read(r, HDR_WIDTH, 1), 1);
	for (unsigned int i = 0; i < N_WRITES; i++)
		bar_write(r, bar_read(r, HDR_OFFSET, 4), 1, bar_read(r, HDR_DATA, 4));
	devtest_run(&r->b->t);
	return bar_read(r, HDR_COUNT, 4);
}

static void bars_are_set_up_and_decoded_from_the_start(void **state)
{
	struct board b;

	(void)state;
	board_setup(&b);
	assert_int_equal(pcid_read(&b.pci, PCID_VENDOR, 4), 0x00051b36);
	assert_int_equal(pcid_read(&b.pci, PCID_COMMAND, 2), 3);
	assert_in_range(b.mem, WINDOW, WINDOW + MIB - 1);
	assert_int_equal(pcid_bar(&b.pci, 1), IO | 1);
	assert_int_equal(pcid_bar(&b.pci, 2), 0);
	/* no test was chosen */
	assert_int_equal(devtest_mmio_read(&b.t, b.mem, 4), 0);
	assert_int_equal(devtest_in(&b.t, IO, 4), 0);
	board_teardown(&b);
}

static void tests_count_or_ring(void **state)
{
	static const char *const names[2][N_TESTS] = {
		{ "mmio-no-eventfd", "mmio-wildcard-eventfd", "mmio-datamatch-eventfd" },
		{ "portio-no-eventfd", "portio-wildcard-eventfd", "portio-datamatch-eventfd" },
	};
	struct board b;

	(void)state;
	board_setup(&b);
	for (unsigned int io = 0; io < 2; io++) {
		struct bar r = bar_of(&b, io);

		for (u8 i = 0; i < N_TESTS; i++) {
			assert_int_equal(run(&r, i), i ? 0 : N_WRITES);
			assert_int_equal(b.t.n_bells, i ? 1 : 0);
			for (u32 c = 0; c <= strlen(names[io][i]); c++)
				assert_int_equal(bar_read(&r, HDR_NAME + c, 1), names[io][i][c]);
		}
		/* the one behind the last is none, and silent */
		bar_write(&r, 0, 1, N_TESTS);
		assert_int_equal(bar_read(&r, HDR_WIDTH, 1), 0);
		assert_int_equal(bar_read(&r, HDR_COUNT, 4), 0);
		assert_int_equal(b.t.n_bells, 0);
		bar_write(&r, 0, 1, 0xff);
		assert_int_equal(bar_read(&r, HDR_WIDTH, 1), 0);
	}
	board_teardown(&b);
}

static void without_doorbells_writes_are_counted(void **state)
{
	struct board b;

	(void)state;
	board_setup(&b);
	b.t.bell_ret = -ENOSPC;
	for (unsigned int io = 0; io < 2; io++) {
		struct bar r = bar_of(&b, io);

		for (u8 i = 0; i < N_TESTS; i++)
			assert_int_equal(run(&r, i), N_WRITES);
	}
	board_teardown(&b);
}

static void only_the_write_of_the_test_counts(void **state)
{
	struct board b;
	struct bar r;
	u32 off;

	(void)state;
	board_setup(&b);
	r = bar_of(&b, false);
	bar_write(&r, 0, 1, 0);
	off = bar_read(&r, HDR_OFFSET, 4);
	bar_write(&r, off, 1, DATA);
	bar_write(&r, off, 1, DATA ^ 1);
	bar_write(&r, off, 2, DATA);
	bar_write(&r, off, 4, DATA);
	bar_write(&r, off + 1, 1, DATA);
	bar_write(&r, off + 4, 1, DATA);
	bar_write(&r, HDR_COUNT, 4, 77);
	bar_write(&r, HDR_WIDTH, 1, 4);
	assert_int_equal(bar_read(&r, HDR_COUNT, 4), 1);
	assert_int_equal(bar_read(&r, HDR_WIDTH, 1), 1);
	/* datamatch: another value is not what the doorbell is for, and does not count */
	bar_write(&r, 0, 1, 2);
	bar_write(&r, bar_read(&r, HDR_OFFSET, 4), 1, DATA ^ 1);
	assert_int_equal(bar_read(&r, HDR_COUNT, 4), 0);
	/* each BAR has a test of its own */
	bar_write(&(struct bar){ &b, true, IO }, 0, 1, 0);
	assert_int_equal(bar_read(&r, HDR_NAME + 5, 1), 'd');
	board_teardown(&b);
}

static void all_of_a_bar_can_be_read_and_written(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	struct board b;

	(void)state;
	board_setup(&b);
	for (unsigned int io = 0; io < 2; io++) {
		struct bar r = bar_of(&b, io);

		for (u32 off = 1; off < (io ? 256 : 4096); off++) {
			for (size_t s = 0; s < (io ? 3 : 4); s++) {
				bar_write(&r, off, sizes[s], 0xffffffff);
				bar_read(&r, off, sizes[s]);
			}
		}
		for (unsigned int test = 0; test < 256; test++)
			bar_write(&r, 0, 1, test);
	}
	board_teardown(&b);
}

static void ports_follow_their_bar(void **state)
{
	struct board b;
	struct bar r;

	(void)state;
	board_setup(&b);
	r = bar_of(&b, true);
	run(&r, 1);
	assert_int_equal(b.t.n_bells, 1);
	pcid_move(&b.pci, 1, 0xb000);
	assert_int_equal(pcid_bar(&b.pci, 1), 0xb001);
	assert_int_equal(devtest_in(&b.t, IO, 4), 0xffffffff);
	r.addr = 0xb000;
	assert_int_equal(bar_read(&r, HDR_WIDTH, 1), 1);
	assert_int_equal(b.t.n_bells, 1); /* it moved along */
	assert_int_equal(run(&r, 1), 0);

	/* without I/O Space Enable there are none */
	pcid_command(&b.pci, 2);
	assert_int_equal(devtest_in(&b.t, 0xb000, 4), 0xffffffff);
	assert_int_equal(b.t.n_bells, 0);
	pcid_command(&b.pci, 3);
	assert_int_equal(bar_read(&r, HDR_WIDTH, 1), 1);
	assert_int_equal(b.t.n_bells, 1);
	board_teardown(&b);
}

static void memory_follows_its_bar(void **state)
{
	struct board b;
	struct bar r;

	(void)state;
	board_setup(&b);
	r = bar_of(&b, false);
	run(&r, 2);
	pcid_move(&b.pci, 0, WINDOW + 0x80000);
	assert_int_equal(devtest_mmio_read(&b.t, b.mem, 4), 0xffffffff);
	r.addr = WINDOW + 0x80000;
	assert_int_equal(run(&r, 2), 0);
	assert_int_equal(b.t.n_bells, 1);
	pcid_command(&b.pci, 1);
	assert_int_equal(b.t.n_bells, 0);
	board_teardown(&b);
}

static void ports_that_cannot_be_there_are_nowhere(void **state)
{
	static const u32 elsewhere[] = { 0xffffff00, 0xffffffff, 0x10000, 0x80000000, 0xffff0000 };
	struct board b;
	struct dev *other;
	struct lkvm_error err = { 0 };

	(void)state;
	board_setup(&b);
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++) {
		pcid_move(&b.pci, 1, elsewhere[i]);
		assert_int_equal(b.t.ports.n_ranges, 0);
	}
	assert_int_equal(b.t.n_msgs, 0);
	pcid_move(&b.pci, 1, 0xffffffff);
	assert_int_equal(pcid_bar(&b.pci, 1), 0xffffff01); /* 256 ports */
	pcid_move(&b.pci, 1, 0xff00);
	assert_int_equal(devtest_in(&b.t, 0xff00, 4), 0);
	pcid_move(&b.pci, 1, 0);
	assert_int_equal(devtest_in(&b.t, 0, 4), 0);

	/* over another device: that one stays */
	assert_int_equal(dev_create(&other,
				    &(struct dev_slot){ .cls = &debug_exit_class,
							.name = "debug-exit",
							.ranges = { { &b.t.ports, 0x9080, 4,
								      PORT_SIZES, 0 } } },
				    &b.t.env, &err),
			 0);
	pcid_move(&b.pci, 1, 0x9000);
	assert_int_equal(b.t.n_msgs, 1);
	assert_non_null(strstr(b.t.last_msg, "pci-testdev: BAR 1 at port 0x9000 is not decoded"));
	assert_int_equal(devtest_in(&b.t, 0x9000, 4), 0xffffffff);
	devtest_out(&b.t, 0x9080, 4, 5);
	assert_int_equal(b.t.n_events, 1);
	dev_destroy(other);
	bus_remove(&b.t.ports, 0x9080);
	board_teardown(&b);
}

static void configuration_space_survives_any_write(void **state)
{
	struct board b;

	(void)state;
	board_setup(&b);
	for (unsigned int round = 0; round < 4; round++) {
		for (u32 off = 0; off < 256; off++)
			pcid_write(&b.pci, off, 1, 0x5f * (off + round));
		for (u32 off = 0; off < 256; off += 4)
			pcid_write(&b.pci, off, 4, 0xffffffff >> round);
	}
	assert_int_equal(pcid_read(&b.pci, PCID_VENDOR, 4), 0x00051b36);
	pcid_move(&b.pci, 1, IO);
	pcid_move(&b.pci, 0, WINDOW);
	pcid_command(&b.pci, 3);
	assert_int_equal(run(&(struct bar){ &b, true, IO }, 0), N_WRITES);
	assert_int_equal(run(&(struct bar){ &b, false, WINDOW }, 0), N_WRITES);
	board_teardown(&b);
}

static void a_slot_that_is_taken_leaves_nothing_behind(void **state)
{
	struct board b;
	struct pci_testdev_cfg cfg;
	struct lkvm_error err = { 0 };
	struct dev *dev = NULL;

	(void)state;
	board_setup(&b);
	cfg = (struct pci_testdev_cfg){
		.bus = &b.bus, .slot = SLOT, .ports = &b.t.ports, .port = 0xd000
	};
	assert_int_equal(dev_create(&dev,
				    &(struct dev_slot){ .cls = &pci_testdev_class,
							.name = "second",
							.cfg = &cfg },
				    &b.t.env, &err),
			 -EEXIST);
	assert_null(dev);
	assert_int_equal(b.t.ports.n_ranges, 1);
	assert_non_null(b.bus.slots[SLOT]);
	board_teardown(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_keeps_what_is_written_in_any_size),
		cmocka_unit_test(accesses_over_the_end_of_the_register_are_harmless),
		cmocka_unit_test(a_page_that_is_forgotten_keeps_its_content),
		cmocka_unit_test(memory_keeps_what_is_written_to_its_end),
		cmocka_unit_test(each_port_is_a_line),
		cmocka_unit_test(a_line_is_shared_with_the_device_that_has_it),
		cmocka_unit_test(bars_are_set_up_and_decoded_from_the_start),
		cmocka_unit_test(tests_count_or_ring),
		cmocka_unit_test(without_doorbells_writes_are_counted),
		cmocka_unit_test(only_the_write_of_the_test_counts),
		cmocka_unit_test(all_of_a_bar_can_be_read_and_written),
		cmocka_unit_test(ports_follow_their_bar),
		cmocka_unit_test(memory_follows_its_bar),
		cmocka_unit_test(ports_that_cannot_be_there_are_nowhere),
		cmocka_unit_test(configuration_space_survives_any_write),
		cmocka_unit_test(a_slot_that_is_taken_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
