/*
 * The host bridge and PCI functions, played by a driver over ports and ECAM: identity, write
 * masks, BARs that are sized, moved and clash, INTx, capabilities, and a guest that
 * abuses them.
 *
 * Does not prove that a kernel finds the bus (its tables are the board's), or that the kernel
 * side of a doorbell or message follows: booting guests does (check-kvm, check-bed).
 */
#include "tests/unit/devtest.h"

#include "devices/classes.h"
#include "tests/unit/pcidriver.h"

#define WINDOW	   0xc0000000u
#define WINDOW_LEN 0x100000u
#define ECAM	   0xe0000000u
#define ECAM_LEN   0x100000u

#define BRIDGE_ID 0x00081b36
#define FAKE_ID	  (PCIFAKE_DEVICE << 16 | PCIFAKE_VENDOR)

/* A board with a bridge; its dev is the bridge. */
struct board {
	struct devtest t;
	struct pci_bus bus;
	struct dev *devs[PCI_MAX_SLOTS];
};

/* Without firmware ECAM is there from the start, and else (Q35) nowhere. */
static void setup_host(struct board *b, bool q35)
{
	struct dev_slot slot = {
		.cls = &pci_host_class,
		.name = "pci",
		.ranges = { { &b->t.ports, PCID_PORT_ADDRESS, 8,
			      BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4, PCI_HOST_TAG_PORTS } },
		.cfg = &(struct pci_host_cfg){ .bus = &b->bus, .q35 = q35 },
	};

	memset(b, 0, sizeof(*b));
	devtest_init(&b->t, 0);
	pci_bus_init(&b->bus, &b->t.mmio, &b->t.gmem, WINDOW, WINDOW_LEN);
	if (!q35)
		slot.ranges[1] = (struct dev_range){ &b->t.mmio, ECAM, ECAM_LEN, BUS_SIZE_ANY,
						     PCI_HOST_TAG_ECAM };
	devtest_plug(&b->t, &slot);
}

static void setup(struct board *b)
{
	setup_host(b, false);
}

static void teardown(struct board *b)
{
	for (unsigned int i = 0; i < PCI_MAX_SLOTS; i++)
		dev_destroy(b->devs[i]);
	devtest_fini(&b->t);
}

static int try_add(struct board *b, const struct pcifake_cfg *cfg, u32 gsi, struct lkvm_error *err)
{
	struct pcifake_cfg c = *cfg;
	struct dev_slot slot = {
		.cls = &pcifake_class, .irq_chip = &b->t.chip, .gsi = gsi, .cfg = &c
	};
	struct dev *dev;
	char name[16];
	int ret;

	snprintf(name, sizeof(name), "fake%u", cfg->slot);
	slot.name = name;
	c.bus = &b->bus;
	ret = dev_create(&dev, &slot, &b->t.env, err);
	if (!ret)
		b->devs[cfg->slot] = dev;
	return ret;
}

static struct pcifake *add(struct board *b, const struct pcifake_cfg *cfg)
{
	struct lkvm_error err = { 0 };

	if (try_add(b, cfg, DEVTEST_GSI, &err))
		fail_msg("%s", err.msg);
	return pcifake_of(b->devs[cfg->slot]);
}

static struct pcid at(struct board *b, unsigned int slot)
{
	return (struct pcid){ &b->t.ports, &b->t.mmio, ECAM, slot };
}

static u64 ecam_read(struct board *b, u64 off, unsigned int size)
{
	return devtest_mmio_read(&b->t, ECAM + off, size);
}

/* Who answers at @addr: the BAR's number and the offset in it, all ones for nobody. */
static u32 answer(struct board *b, u32 addr)
{
	return (u32)devtest_mmio_read(&b->t, addr, 4);
}

#define NOBODY UINT32_MAX

/* ---- the bridge ---- */

static void the_bridge_is_a_host_bridge_without_registers(void **state)
{
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	p = at(&b, 0);
	assert_int_equal(pcid_read(&p, PCID_VENDOR, 4), BRIDGE_ID);
	assert_int_equal(pcid_port_read(&p, PCID_VENDOR, 4), BRIDGE_ID);
	assert_int_equal(pcid_read(&p, PCID_CLASS, 4) >> 8, 0x060000);
	assert_int_equal(pcid_read(&p, PCID_HEADER_TYPE, 1), 0);
	assert_int_equal(pcid_read(&p, PCID_STATUS, 2), 0);
	assert_int_equal(pcid_read(&p, PCID_CAPS, 1), 0);
	for (unsigned int bar = 0; bar < PCI_MAX_BARS; bar++) {
		pcid_move(&p, bar, UINT32_MAX);
		assert_int_equal(pcid_bar(&p, bar), 0);
	}
	teardown(&b);
}

#define Q35_ID 0x29c08086u

/* The bridge of a machine with firmware: ECAM is where PCIEXBAR says, which is nowhere at first. */
static struct pcid setup_q35(struct board *b)
{
	setup_host(b, true);
	b->t.log.level = LKVM_LOG_WARNING;
	return at(b, 0);
}

static void ecam_does_not_come_where_something_is(void **state)
{
	struct bus_range other = { .len = 16, .sizes = BUS_SIZE_ANY };
	struct pcid host, p;
	struct board b;

	(void)state;
	host = setup_q35(&b);
	devtest_add_ram(&b.t, 0x10080000, 0x1000);
	other.dev = b.t.dev;
	other.base = 0x200ffff0;
	assert_int_equal(bus_add(&b.t.mmio, &other, NULL), 0);
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 0x1000 } });
	p = at(&b, 1);
	pcid_port_write(&p, PCID_COMMAND, 2, PCID_MEMORY);
	assert_int_equal(answer(&b, WINDOW), 0);

	pcid_port_write(&host, PCID_PCIEXBAR, 4, 0x30000001);
	assert_int_equal(devtest_mmio_read(&b.t, 0x30000000, 4), Q35_ID);
	assert_int_equal(b.t.n_msgs, 0);
	pcid_port_write(&host, PCID_PCIEXBAR, 4, 0x10000001);
	assert_non_null(strstr(b.t.last_msg, "PCIEXBAR at 0x10000000: there is RAM"));
	pcid_port_write(&host, PCID_PCIEXBAR, 4, 0x20000001);
	assert_non_null(strstr(b.t.last_msg, "PCIEXBAR at 0x20000000: "));
	pcid_port_write(&host, PCID_PCIEXBAR, 4, WINDOW | 1);
	assert_non_null(strstr(b.t.last_msg, "is taken by fake1"));
	assert_int_equal(answer(&b, WINDOW), 0);
	assert_int_equal(b.t.mmio.n_ranges, 2);

	/* what it says is not acted upon later, by another register's write */
	pcid_port_write(&p, PCID_COMMAND, 2, 0);
	pcid_port_write(&host, PCID_COMMAND, 2, 0);
	pcid_port_write(&host, PCID_PCIEXBAR + 4, 4, UINT32_MAX);
	assert_int_equal(answer(&b, WINDOW), NOBODY);
	pcid_port_write(&host, PCID_PCIEXBAR, 1, 1);
	assert_int_equal(answer(&b, WINDOW), Q35_ID);
	/* then a BAR does not */
	pcid_port_write(&p, PCID_COMMAND, 2, PCID_MEMORY);
	assert_non_null(strstr(b.t.last_msg, "is taken by pci"));
	assert_int_equal(answer(&b, WINDOW), Q35_ID);
	teardown(&b);
}

static void a_guest_that_moves_ecam_for_ever_does_not_fill_the_log(void **state)
{
	struct pcid host;
	struct board b;

	(void)state;
	host = setup_q35(&b);
	devtest_add_ram(&b.t, 0, 0x1000000);
	devtest_add_ram(&b.t, 0x10000000, 0x1000);
	pcid_port_write(&host, PCID_PCIEXBAR, 4, 0x20000001);
	for (u32 i = 0; i < 1000; i++) {
		/* by way of what moves, and back where it went */
		devtest_mmio_write(&b.t, 0x20000000 + PCID_PCIEXBAR, 4, 0x10000001);
		assert_int_equal(b.t.mmio.n_ranges, 0);
		pcid_port_write(&host, PCID_PCIEXBAR, 4, i % 2 ? 0xffffffff : 1); /* 0 is nowhere */
		assert_int_equal(b.t.mmio.n_ranges, i % 2);
		pcid_port_write(&host, PCID_PCIEXBAR, 4, 0x20000001);
		assert_int_equal(devtest_mmio_read(&b.t, 0x20000000, 4), Q35_ID);
	}
	assert_in_range(b.t.n_msgs, 1, 2 * RATELIMIT_BURST);
	teardown(&b);
}

static void both_ways_lead_to_the_same_registers(void **state)
{
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	add(&b, &(struct pcifake_cfg){ .slot = 3, .bars = { 4096 }, .n_vectors = 2 });
	p = at(&b, 3);
	for (unsigned int size = 1; size <= 4; size *= 2) {
		for (u32 off = 0; off < PCI_CONFIG_SIZE; off += size)
			assert_int_equal(pcid_read(&p, off, size), pcid_port_read(&p, off, size));
	}
	pcid_port_write(&p, PCID_INTERRUPT_LINE, 1, 0x5a);
	assert_int_equal(pcid_read(&p, PCID_INTERRUPT_LINE, 4), 0x015a);
	pcid_write(&p, PCID_INTERRUPT_LINE, 1, 0xa5);
	assert_int_equal(pcid_port_read(&p, PCID_INTERRUPT_LINE, 2), 0x01a5);
	teardown(&b);
}

static void the_address_is_latched_by_accesses_of_four_bytes_only(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	devtest_out(&b.t, PCID_PORT_ADDRESS, 4, 0x80001238);
	assert_int_equal(devtest_in(&b.t, PCID_PORT_ADDRESS, 4), 0x80001238);
	for (u32 off = 0; off < 4; off++) {
		devtest_out(&b.t, PCID_PORT_ADDRESS + off, 1, 0xee);
		assert_int_equal(devtest_in(&b.t, PCID_PORT_ADDRESS + off, 1), 0xff);
		devtest_out(&b.t, PCID_PORT_ADDRESS + off, 2, 0xeeee);
		assert_int_equal(devtest_in(&b.t, PCID_PORT_ADDRESS + off, 2), 0xffff);
	}
	assert_int_equal(devtest_in(&b.t, PCID_PORT_ADDRESS, 4), 0x80001238);
	/* over the edge to the data */
	devtest_out(&b.t, PCID_PORT_ADDRESS + 2, 4, 0);
	assert_int_equal(devtest_in(&b.t, PCID_PORT_ADDRESS + 2, 4), UINT32_MAX);
	assert_int_equal(devtest_in(&b.t, PCID_PORT_ADDRESS, 4), 0x80001238);
	/* reserved bits read as zero */
	devtest_out(&b.t, PCID_PORT_ADDRESS, 4, UINT32_MAX);
	assert_int_equal(devtest_in(&b.t, PCID_PORT_ADDRESS, 4), 0x80fffffc);
	teardown(&b);
}

static void data_goes_nowhere_unless_the_address_says_enabled(void **state)
{
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	add(&b, &(struct pcifake_cfg){ .slot = 1 });
	p = at(&b, 1);
	devtest_out(&b.t, PCID_PORT_ADDRESS, 4, pcid_address(0, 1, 0, 0) & 0x7fffffff);
	assert_int_equal(devtest_in(&b.t, PCID_PORT_DATA, 4), UINT32_MAX);
	devtest_out(&b.t, PCID_PORT_ADDRESS, 4, pcid_address(0, 1, 0, PCID_COMMAND) & 0x7fffffff);
	devtest_out(&b.t, PCID_PORT_DATA, 2, PCID_MEMORY);
	assert_int_equal(pcid_read(&p, PCID_COMMAND, 2), 0);
	devtest_out(&b.t, PCID_PORT_ADDRESS, 4, pcid_address(0, 1, 0, PCID_COMMAND));
	devtest_out(&b.t, PCID_PORT_DATA, 2, PCID_MEMORY);
	assert_int_equal(pcid_read(&p, PCID_COMMAND, 2), PCID_MEMORY);
	teardown(&b);
}

static void what_is_not_there_reads_all_ones(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	add(&b, &(struct pcifake_cfg){ .slot = 31 });
	assert_int_equal(ecam_read(&b, 31 << 15, 4), FAKE_ID);
	for (u64 fn = 0; fn < 256; fn++) {
		if (fn == 0 || fn == 31 * 8)
			continue;
		assert_int_equal(ecam_read(&b, fn << 12, 4), UINT32_MAX);
		assert_int_equal(ecam_read(&b, fn << 12, 1), 0xff);
		devtest_mmio_write(&b.t, ECAM + (fn << 12) + PCID_COMMAND, 2, 0xffff);
		devtest_out(&b.t, PCID_PORT_ADDRESS, 4,
			    pcid_address(0, (unsigned int)fn >> 3, fn & 7, 0));
		assert_int_equal(devtest_in(&b.t, PCID_PORT_DATA, 2), 0xffff);
	}
	for (unsigned int bus = 1; bus < 256; bus++) {
		devtest_out(&b.t, PCID_PORT_ADDRESS, 4, pcid_address(bus, 31, 0, 0));
		assert_int_equal(devtest_in(&b.t, PCID_PORT_DATA, 4), UINT32_MAX);
	}
	/* extended configuration space is PCI Express's */
	for (u64 off = PCI_CONFIG_SIZE; off < 4096; off += 4) {
		assert_int_equal(ecam_read(&b, (31 << 15) + off, 4), UINT32_MAX);
		devtest_mmio_write(&b.t, ECAM + (31 << 15) + off, 4, UINT32_MAX);
	}
	assert_int_equal(ecam_read(&b, (31 << 15) + PCID_COMMAND, 2), 0);
	teardown(&b);
}

static void configuration_accesses_that_straddle_read_all_ones_and_are_dropped(void **state)
{
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096, 4096 } });
	p = at(&b, 1);
	for (u32 off = 0; off < 64; off++) {
		if (off % 2)
			assert_int_equal(pcid_read(&p, off, 2), 0xffff);
		if (off % 4)
			assert_int_equal(pcid_read(&p, off, 4), UINT32_MAX);
		assert_true(ecam_read(&b, (1 << 15) + off, 8) == UINT64_MAX);
	}
	assert_int_equal(pcid_read(&p, PCI_CONFIG_SIZE - 1, 2), 0xffff);
	assert_int_equal(pcid_read(&p, PCI_CONFIG_SIZE - 2, 4), UINT32_MAX);
	assert_int_equal(pcid_read(&p, 4095, 2), 0xffff); /* into the next function */
	/* the last bytes of the bus: that ends with its range */
	assert_int_equal(ecam_read(&b, ECAM_LEN - 1, 2), 0xffff);

	pcid_write(&p, PCID_COMMAND - 1, 2, 0xffff);
	pcid_write(&p, PCID_COMMAND - 2, 4, UINT32_MAX);
	pcid_write(&p, PCID_BAR(0) + 2, 4, UINT32_MAX);
	devtest_mmio_write(&b.t, ECAM + (1 << 15) + PCID_BAR(0), 8, UINT64_MAX);
	devtest_mmio_write(&b.t, ECAM + (1 << 15) + PCID_COMMAND - 4, 8, UINT64_MAX);
	devtest_out(&b.t, PCID_PORT_ADDRESS, 4, pcid_address(0, 1, 0, PCID_COMMAND));
	devtest_out(&b.t, PCID_PORT_DATA + 1, 2, 0xffff);
	devtest_out(&b.t, PCID_PORT_DATA + 3, 2, 0xffff);
	assert_int_equal(devtest_in(&b.t, PCID_PORT_DATA + 1, 2), 0xffff);
	assert_int_equal(pcid_read(&p, PCID_COMMAND, 2), 0);
	assert_int_equal(pcid_bar(&p, 0), WINDOW);
	assert_int_equal(pcid_bar(&p, 1), WINDOW + 4096);
	teardown(&b);
}

static void thirty_one_functions_have_a_slot_each(void **state)
{
	struct lkvm_error err = { 0 };
	struct board b;

	(void)state;
	setup(&b);
	for (unsigned int slot = 1; slot < PCI_MAX_SLOTS; slot++)
		add(&b, &(struct pcifake_cfg){ .slot = slot, .bars = { 32768 } });
	for (unsigned int slot = 1; slot < PCI_MAX_SLOTS; slot++) {
		struct pcid p = at(&b, slot);

		assert_int_equal(pcid_read(&p, PCID_VENDOR, 4), FAKE_ID);
		assert_int_equal(pcid_bar(&p, 0), WINDOW + (slot - 1) * 32768);
		pcid_command(&p, PCID_MEMORY);
	}
	for (unsigned int slot = 1; slot < PCI_MAX_SLOTS; slot++) {
		struct pcifake *f = pcifake_of(b.devs[slot]);

		devtest_mmio_write(&b.t, WINDOW + (slot - 1) * 32768 + 4, 4, slot);
		assert_int_equal(f->n_writes, 1);
		assert_int_equal(f->last.val, slot);
	}
	assert_int_equal(try_add(&b, &(struct pcifake_cfg){ .slot = 7 }, 0, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "slot 7"));
	err = (struct lkvm_error){ 0 };
	assert_int_equal(try_add(&b, &(struct pcifake_cfg){ .slot = 0 }, 0, &err), -EEXIST);
	err = (struct lkvm_error){ 0 };
	assert_int_equal(try_add(&b, &(struct pcifake_cfg){ .slot = 32 }, 0, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "32"));
	/* none of them took anything from those that are there */
	assert_int_equal(ecam_read(&b, 7 << 15, 4), FAKE_ID);
	assert_int_equal(ecam_read(&b, 0, 4), BRIDGE_ID);
	teardown(&b);
}

static void a_function_that_goes_leaves_nothing_behind(void **state)
{
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096, 8192 }, .n_vectors = 4 });
	p = at(&b, 1);
	pcid_command(&p, PCID_MEMORY);
	assert_int_equal(b.t.mmio.n_ranges, 3);
	assert_non_null(b.t.chip.msis[3]);
	dev_destroy(b.devs[1]);
	b.devs[1] = NULL;
	assert_int_equal(b.t.mmio.n_ranges, 1);
	assert_null(b.t.chip.msis[0]);
	assert_null(b.t.chip.msis[3]);
	assert_int_equal(pcid_read(&p, PCID_VENDOR, 4), UINT32_MAX);
	teardown(&b);
}

/* ---- configuration space ---- */

/* The bits of @cfg's function that may change when written, found by writing. */
static u32 stored_bits(const struct pcid *p, u32 off)
{
	u32 before = pcid_read(p, off, 4), ones, zeroes;

	pcid_write(p, off, 4, UINT32_MAX);
	ones = pcid_read(p, off, 4);
	pcid_write(p, off, 4, 0);
	zeroes = pcid_read(p, off, 4);
	pcid_write(p, off, 4, before);
	return ones ^ zeroes;
}

static void nothing_but_what_is_writable_changes_when_written(void **state)
{
	static const struct {
		u32 off, bits;
	} writable[] = {
		{ PCID_COMMAND, PCID_MEMORY | PCID_MASTER | PCID_INTX_DISABLE },
		{ PCID_BAR(0), 0xfffff000 },
		{ PCID_BAR(2), 0xffff0000 },
		{ PCID_INTERRUPT_LINE, 0xff },
		{ 0x40, 0xc0000000 }, /* message control of MSI-X */
	};
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096, 0, 65536 }, .n_vectors = 3 });
	p = at(&b, 1);
	for (u32 off = 0; off < PCI_CONFIG_SIZE; off += 4) {
		u32 bits = 0;

		for (size_t i = 0; i < ARRAY_SIZE(writable); i++)
			bits |= writable[i].off == off ? writable[i].bits : 0;
		if (stored_bits(&p, off) != bits)
			fail_msg("0x%02x: 0x%08x can be written", off, stored_bits(&p, off));
	}
	teardown(&b);
}

static void an_abused_capability_list_stays_as_it_is(void **state)
{
	u8 before[PCI_CONFIG_SIZE];
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096 }, .n_vectors = 3 });
	p = at(&b, 1);
	pci_add_cap(&pcifake_of(b.devs[1])->func, PCID_CAP_VENDOR, "abcdef", 6);
	for (u32 off = 0; off < PCI_CONFIG_SIZE; off++)
		before[off] = (u8)pcid_read(&p, off, 1);
	for (unsigned int size = 1; size <= 4; size *= 2) {
		for (u32 off = PCID_CAPS; off < PCI_CONFIG_SIZE; off += size) {
			pcid_write(&p, off, size, 0);
			pcid_write(&p, off, size, 0x11111111);
			pcid_write(&p, off, size, 0x40404040 + off);
			pcid_write(&p, off, size, UINT32_MAX);
		}
	}
	pcid_write(&p, PCID_STATUS, 2, 0xffff);
	pcid_write(&p, PCID_INTERRUPT_LINE, 1, before[PCID_INTERRUPT_LINE]);
	pcid_write(&p, 0x42, 2, 0);
	for (u32 off = 0; off < PCI_CONFIG_SIZE; off++)
		assert_int_equal(pcid_read(&p, off, 1), before[off]);
	assert_int_equal(pcid_find_cap(&p, PCID_CAP_MSIX, 0), 0x40);
	assert_int_equal(pcid_find_cap(&p, PCID_CAP_VENDOR, 0), 0x4c);
	teardown(&b);
}

static void capabilities_are_a_list_in_the_order_of_making(void **state)
{
	struct pci_func *f;
	struct pcid p;
	struct board b;
	u8 zeroes[255] = { 0 };

	(void)state;
	setup(&b);
	f = &add(&b, &(struct pcifake_cfg){ .slot = 1 })->func;
	p = at(&b, 1);
	assert_int_equal(pcid_read(&p, PCID_STATUS, 2) & PCID_STATUS_CAPS, 0);
	assert_int_equal(pci_add_cap(f, 9, "abc", 3), 0x40);
	assert_int_equal(pci_add_cap(f, 5, "defghi", 6), 0x48);
	assert_int_equal(pcid_read(&p, PCID_STATUS, 2) & PCID_STATUS_CAPS, PCID_STATUS_CAPS);
	assert_int_equal(pcid_read(&p, PCID_CAPS, 1), 0x40);
	assert_int_equal(pcid_read(&p, 0x40, 4), 9 | 0x48 << 8 | 'a' << 16 | 'b' << 24);
	assert_int_equal(pcid_read(&p, 0x44, 1), 'c');
	assert_int_equal(pcid_read(&p, 0x48, 2), 5);
	assert_int_equal(pcid_read(&p, 0x4c, 4), 'f' | 'g' << 8 | 'h' << 16 | 'i' << 24);
	/* what does not fit leaves the list alone */
	assert_int_equal(pci_add_cap(f, 1, zeroes, 255), 0);
	assert_int_equal(pci_add_cap(f, 1, zeroes, 0xb0 - 2), 0);
	assert_int_equal(pcid_read(&p, 0x48, 2), 5);
	assert_int_equal(pci_add_cap(f, 1, zeroes, 0xac - 2), 0x50);
	assert_int_equal(pci_add_cap(f, 1, zeroes, 2), 0);
	teardown(&b);
}

/* ---- BARs ---- */

static void a_bar_tells_its_size(void **state)
{
	static const u32 sizes[PCI_MAX_BARS] = { 4096, 8192, 65536, 0, 4096, 131072 };
	struct pcifake_cfg cfg = { .slot = 1 };
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	memcpy(cfg.bars, sizes, sizeof(sizes));
	add(&b, &cfg);
	p = at(&b, 1);
	for (unsigned int bar = 0; bar < PCI_MAX_BARS; bar++) {
		u32 addr = pcid_bar(&p, bar);

		assert_int_equal(addr % (sizes[bar] ? sizes[bar] : 1), 0);
		assert_int_equal(addr != 0, sizes[bar] != 0);
		pcid_move(&p, bar, UINT32_MAX);
		assert_int_equal(-pcid_bar(&p, bar), sizes[bar]);
		pcid_move(&p, bar, addr | 0xf);
		assert_int_equal(pcid_bar(&p, bar), addr);
	}
	/* there is no expansion ROM */
	pcid_write(&p, PCID_ROM, 4, UINT32_MAX);
	assert_int_equal(pcid_read(&p, PCID_ROM, 4), 0);
	teardown(&b);
}

static void a_bar_is_decoded_while_memory_space_is_enabled(void **state)
{
	struct pcifake *f;
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	f = add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096, 0, 8192 } });
	p = at(&b, 1);
	assert_int_equal(answer(&b, WINDOW), NOBODY);
	pcid_command(&p, PCID_MASTER);
	assert_int_equal(answer(&b, WINDOW), NOBODY);
	pcid_command(&p, PCID_MEMORY);
	assert_int_equal(answer(&b, WINDOW + 0x10), 0x10);
	assert_int_equal(answer(&b, WINDOW + 0x2000 + 0x1ffc), 0x02001ffc);
	assert_int_equal(answer(&b, WINDOW + 0x1000), NOBODY); /* aligned to 8 KiB */
	assert_int_equal(answer(&b, WINDOW + 0x1ffe), NOBODY);
	assert_int_equal(f->n_mapped, 2);
	pcid_command(&p, PCID_MEMORY | PCID_MASTER);
	assert_int_equal(f->n_mapped, 2); /* nothing to do */
	devtest_mmio_write(&b.t, WINDOW + 0x2004, 8, 0x1122334455667788);
	assert_int_equal(f->last.bar, 2);
	assert_int_equal(f->last.off, 4);
	assert_int_equal(f->last.size, 8);
	assert_true(f->last.val == 0x1122334455667788);
	pcid_command(&p, 0);
	assert_int_equal(answer(&b, WINDOW + 0x10), NOBODY);
	assert_int_equal(f->n_unmapped, 2);
	assert_int_equal(b.t.mmio.n_ranges, 1);
	teardown(&b);
}

static void a_bar_moves_with_decoding_on(void **state)
{
	struct pcifake *f;
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	b.t.log.level = LKVM_LOG_WARNING;
	f = add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096 } });
	p = at(&b, 1);
	pcid_command(&p, PCID_MEMORY);
	pcid_move(&p, 0, WINDOW + 0x8000);
	assert_int_equal(answer(&b, WINDOW), NOBODY);
	assert_int_equal(answer(&b, WINDOW + 0x8004), 4);
	assert_int_equal(f->unmapped_at, WINDOW);
	assert_int_equal(f->mapped_at, WINDOW + 0x8000);
	/* to the window's two ends, and by halves */
	pcid_move(&p, 0, WINDOW + WINDOW_LEN - 4096);
	assert_int_equal(answer(&b, WINDOW + WINDOW_LEN - 4), 0xffc);
	pcid_move(&p, 0, WINDOW);
	assert_int_equal(answer(&b, WINDOW), 0);
	pcid_write(&p, PCID_BAR(0) + 1, 1, 0x30);
	assert_int_equal(answer(&b, WINDOW + 0x3000), 0);
	pcid_write(&p, PCID_BAR(0) + 2, 2, WINDOW >> 16 | 4);
	assert_int_equal(answer(&b, WINDOW + 0x43000), 0);
	assert_int_equal(answer(&b, WINDOW + 0x3000), NOBODY);
	/* undecoded, it is moved without anybody noticing */
	pcid_command(&p, 0);
	pcid_move(&p, 0, WINDOW + 0x5000);
	assert_int_equal(answer(&b, WINDOW + 0x5000), NOBODY);
	pcid_command(&p, PCID_MEMORY);
	assert_int_equal(answer(&b, WINDOW + 0x5000), 0);
	assert_int_equal(b.t.mmio.n_ranges, 2);
	assert_int_equal(b.t.n_msgs, 0);
	teardown(&b);
}

static void sizing_a_bar_that_is_decoded_does_no_harm(void **state)
{
	struct pcid p, other;
	struct board b;

	(void)state;
	setup(&b);
	b.t.log.level = LKVM_LOG_WARNING;
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096 } });
	add(&b, &(struct pcifake_cfg){ .slot = 2, .bars = { 4096 } });
	p = at(&b, 1);
	other = at(&b, 2);
	pcid_command(&p, PCID_MEMORY);
	pcid_command(&other, PCID_MEMORY);
	pcid_move(&p, 0, UINT32_MAX);
	pcid_move(&other, 0, UINT32_MAX); /* both at once */
	assert_int_equal(pcid_bar(&p, 0), 0xfffff000);
	assert_int_equal(answer(&b, 0xfffff000), NOBODY);
	assert_int_equal(b.t.mmio.n_ranges, 1);
	pcid_move(&p, 0, WINDOW);
	pcid_move(&other, 0, WINDOW + 0x1000);
	assert_int_equal(answer(&b, WINDOW + 4), 4);
	assert_int_equal(answer(&b, WINDOW + 0x1004), 4);
	assert_int_equal(b.t.n_msgs, 0);
	teardown(&b);
}

/* A place where no BAR can be, and what is said of it. */
static void refused(struct board *b, const struct pcid *p, u32 addr, const char *why)
{
	unsigned int n = b->t.mmio.n_ranges;
	bool mapped = pcifake_of(b->devs[p->slot])->func.bars[0].mapped;

	b->t.n_msgs = 0;
	pcifake_of(b->devs[p->slot])->func.limit = (struct ratelimit){ 0 };
	pcid_move(p, 0, addr);
	assert_int_equal(pcid_bar(p, 0), addr);
	assert_int_equal(b->t.mmio.n_ranges, n - mapped);
	assert_false(pcifake_of(b->devs[p->slot])->func.bars[0].mapped);
	assert_int_equal(b->t.n_msgs, 1);
	if (!strstr(b->t.last_msg, why))
		fail_msg("0x%x: %s", addr, b->t.last_msg);
}

static void a_bar_is_never_decoded_over_ram(void **state)
{
	struct pcid p;
	struct board b;
	u32 word = 0;

	(void)state;
	setup(&b);
	/* a board would not do that; so there are two lines of defence */
	devtest_add_ram(&b.t, WINDOW + 0x20000, 0x1000);
	devtest_add_ram(&b.t, WINDOW + 0x2f000, 0x2000);
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 0x8000 } });
	p = at(&b, 1);
	pcid_command(&p, PCID_MEMORY);
	assert_int_equal(answer(&b, WINDOW), 0);
	refused(&b, &p, WINDOW + 0x20000, "RAM"); /* its first page */
	refused(&b, &p, WINDOW + 0x28000, "RAM"); /* its last one */
	refused(&b, &p, WINDOW + 0x30000, "RAM");
	assert_int_equal(gmem_write(&b.t.gmem, WINDOW + 0x20000, "RAM!", 4), 0);
	assert_int_equal(gmem_read(&b.t.gmem, WINDOW + 0x20000, &word, 4), 0);
	assert_memory_equal(&word, "RAM!", 4);
	pcid_move(&p, 0, WINDOW + 0x38000);
	assert_int_equal(answer(&b, WINDOW + 0x38000), 0);
	teardown(&b);
}

static void a_bar_outside_the_window_is_not_decoded(void **state)
{
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	devtest_add_ram(&b.t, 0, 0x100000);
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 0x8000 } });
	p = at(&b, 1);
	pcid_command(&p, PCID_MEMORY);
	refused(&b, &p, 0, "window");
	refused(&b, &p, 0x8000, "window");
	refused(&b, &p, WINDOW - 0x8000, "window");
	refused(&b, &p, WINDOW + WINDOW_LEN, "window");
	refused(&b, &p, ECAM, "window");
	refused(&b, &p, 0xfee00000, "window");
	assert_int_equal(ecam_read(&b, 0, 4), BRIDGE_ID);
	/* a command that changes nothing is another try */
	b.t.n_msgs = 0;
	pcid_command(&p, PCID_MEMORY);
	assert_int_equal(b.t.n_msgs, 1);
	pcid_command(&p, 0);
	pcid_move(&p, 0, WINDOW);
	pcid_command(&p, PCID_MEMORY);
	assert_int_equal(answer(&b, WINDOW), 0);
	teardown(&b);
}

static void a_bar_moved_over_another_leaves_that_one_in_place(void **state)
{
	struct pcid p, other;
	struct board b;

	(void)state;
	setup(&b);
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 0x1000 } });
	add(&b, &(struct pcifake_cfg){ .slot = 2, .bars = { 0x4000 } });
	p = at(&b, 1);
	other = at(&b, 2);
	pcid_command(&p, PCID_MEMORY);
	pcid_command(&other, PCID_MEMORY);
	assert_int_equal(pcid_bar(&other, 0), WINDOW + 0x4000);
	refused(&b, &p, WINDOW + 0x4000, "fake2");
	refused(&b, &p, WINDOW + 0x7000, "fake2");
	devtest_mmio_write(&b.t, WINDOW + 0x7000, 4, 1);
	assert_int_equal(pcifake_of(b.devs[2])->n_writes, 1);
	assert_int_equal(pcifake_of(b.devs[1])->n_writes, 0);
	/* the larger one over the smaller one */
	pcid_move(&p, 0, WINDOW + 0x9000);
	refused(&b, &other, WINDOW + 0x8000, "fake1");
	assert_int_equal(answer(&b, WINDOW + 0x9004), 4);
	assert_int_equal(answer(&b, WINDOW + 0x8000), NOBODY);
	/* when the other went, it may come */
	pcid_command(&p, 0);
	assert_int_equal(answer(&b, WINDOW + 0x9004), NOBODY);
	pcid_command(&other, PCID_MEMORY);
	assert_int_equal(answer(&b, WINDOW + 0x9004), 0x1004);
	teardown(&b);
}

static void two_bars_of_one_function_cannot_lie_on_each_other(void **state)
{
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096, 4096 } });
	p = at(&b, 1);
	pcid_command(&p, PCID_MEMORY);
	pcid_move(&p, 1, WINDOW);
	assert_int_equal(answer(&b, WINDOW), 0);
	assert_int_equal(b.t.mmio.n_ranges, 2);
	/* they swap, one after the other; and back, the other first */
	pcid_move(&p, 0, WINDOW + 0x1000);
	assert_int_equal(answer(&b, WINDOW), 0x01000000);
	assert_int_equal(answer(&b, WINDOW + 0x1000), 0);
	pcid_move(&p, 0, WINDOW);
	assert_int_equal(answer(&b, WINDOW + 0x1000), NOBODY);
	pcid_move(&p, 1, WINDOW + 0x1000);
	assert_int_equal(answer(&b, WINDOW), 0);
	assert_int_equal(answer(&b, WINDOW + 0x1000), 0x01000000);
	teardown(&b);
}

static void a_guest_that_moves_bars_for_ever_does_not_fill_the_log(void **state)
{
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	b.t.log.level = LKVM_LOG_WARNING;
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096 } });
	p = at(&b, 1);
	pcid_command(&p, PCID_MEMORY);
	for (u32 i = 0; i < 1000; i++) {
		pcid_move(&p, 0, i * 4096);
		pcid_move(&p, 0, WINDOW);
	}
	assert_in_range(b.t.n_msgs, 1, 2 * RATELIMIT_BURST);
	assert_int_equal(answer(&b, WINDOW), 0);
	teardown(&b);
}

static void a_full_bus_leaves_a_bar_undecoded(void **state)
{
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096 } });
	p = at(&b, 1);
	for (u64 i = b.t.mmio.n_ranges; i < BUS_MAX_RANGES; i++) {
		struct bus_range r = { 0xf0000000 + i * 16, 16, BUS_SIZE_4, 0, b.t.dev };

		assert_int_equal(bus_add(&b.t.mmio, &r, NULL), 0);
	}
	pcid_command(&p, PCID_MEMORY);
	assert_non_null(strstr(b.t.last_msg, "full"));
	assert_int_equal(answer(&b, WINDOW), NOBODY);
	assert_int_equal(bus_remove(&b.t.mmio, 0xf0000000 + (BUS_MAX_RANGES - 1) * 16), 0);
	pcid_command(&p, PCID_MEMORY);
	assert_int_equal(answer(&b, WINDOW), 0);
	teardown(&b);
}

static void a_window_that_is_full_is_an_error_at_the_start(void **state)
{
	struct pcifake_cfg half = { .slot = 1, .bars = { WINDOW_LEN / 2, WINDOW_LEN / 4 } };
	struct lkvm_error err = { 0 };
	struct board b;

	(void)state;
	setup(&b);
	assert_int_equal(try_add(&b, &half, 0, &err), 0);
	half.slot = 2;
	assert_int_equal(try_add(&b, &half, 0, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "fake2"));
	assert_int_equal(ecam_read(&b, 2 << 15, 4), UINT32_MAX);
	/* what failed took no slot; and a small one still fits */
	assert_int_equal(try_add(&b, &(struct pcifake_cfg){ .slot = 2, .bars = { 4096 } }, 0, NULL),
			 0);
	teardown(&b);
}

static void bars_that_cannot_be_are_refused(void **state)
{
	struct pci_func *f;
	struct board b;

	(void)state;
	setup(&b);
	f = &add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096 } })->func;
	assert_int_equal(pci_add_bar(f, 0, 4096, NULL), -EINVAL); /* is there */
	assert_int_equal(pci_add_bar(f, 6, 4096, NULL), -EINVAL);
	assert_int_equal(pci_add_bar(f, 1, 0, NULL), -EINVAL);
	assert_int_equal(pci_add_bar(f, 1, 2048, NULL), -EINVAL);
	assert_int_equal(pci_add_bar(f, 1, 12288, NULL), -EINVAL);
	assert_int_equal(pci_add_bar(f, 1, 0x80000000, NULL), -ENOSPC);
	assert_int_equal(pci_add_bar(f, 1, 4096, NULL), 0);
	assert_int_equal(get_le32(f->config + PCID_BAR(1)), WINDOW + 4096);
	teardown(&b);
}

/* ---- interrupts ---- */

static void intx_reaches_the_line_unless_disabled(void **state)
{
	struct pci_func *f;
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	f = &add(&b, &(struct pcifake_cfg){ .slot = 1 })->func;
	p = at(&b, 1);
	assert_int_equal(pcid_read(&p, PCID_INTERRUPT_PIN, 1), 1);
	assert_int_equal(pcid_read(&p, PCID_INTERRUPT_LINE, 1), DEVTEST_GSI);
	pci_intx(f, true);
	assert_true(devtest_irq(&b.t));
	assert_int_equal(pcid_read(&p, PCID_STATUS, 2), PCID_STATUS_INTX);
	pcid_command(&p, PCID_INTX_DISABLE);
	assert_false(devtest_irq(&b.t));
	assert_int_equal(pcid_read(&p, PCID_STATUS, 2), PCID_STATUS_INTX);
	pcid_command(&p, 0);
	assert_true(devtest_irq(&b.t));
	pci_intx(f, false);
	assert_false(devtest_irq(&b.t));
	assert_int_equal(pcid_read(&p, PCID_STATUS, 2), 0);
	/* raised while disabled */
	pcid_command(&p, PCID_INTX_DISABLE);
	pci_intx(f, true);
	assert_false(devtest_irq(&b.t));
	pcid_command(&p, 0);
	assert_true(devtest_irq(&b.t));
	/* the line register is the driver's to scribble on */
	pcid_write(&p, PCID_INTERRUPT_LINE, 1, 11);
	assert_true(devtest_irq(&b.t));
	assert_int_equal(b.t.n_raised[DEVTEST_GSI], 3);
	assert_int_equal(b.t.n_raised[11], 0);
	teardown(&b);
}

static void functions_share_a_line(void **state)
{
	struct pci_func *one, *two;
	struct board b;

	(void)state;
	setup(&b);
	one = &add(&b, &(struct pcifake_cfg){ .slot = 1 })->func;
	two = &add(&b, &(struct pcifake_cfg){ .slot = 2 })->func;
	pci_intx(one, true);
	pci_intx(two, true);
	pci_intx(one, false);
	assert_true(devtest_irq(&b.t));
	pci_intx(two, false);
	assert_false(devtest_irq(&b.t));
	assert_int_equal(b.t.n_raised[DEVTEST_GSI], 1);
	teardown(&b);
}

static void msix_takes_intx_off_its_line(void **state)
{
	struct pci_func *f;
	struct pcid p;
	struct board b;

	(void)state;
	setup(&b);
	f = &add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096 }, .n_vectors = 1 })->func;
	p = at(&b, 1);
	pci_intx(f, true);
	assert_true(devtest_irq(&b.t));
	assert_false(pci_msix_on(f));
	pcid_write(&p, 0x42, 2, PCID_MSIX_ENABLE | PCID_MSIX_MASKED);
	assert_true(pci_msix_on(f));
	assert_false(devtest_irq(&b.t));
	pci_intx(f, false);
	pci_intx(f, true);
	assert_false(devtest_irq(&b.t));
	pcid_write(&p, 0x43, 1, 0);
	assert_true(devtest_irq(&b.t));
	teardown(&b);
}

static void messages_wait_for_bus_mastering(void **state)
{
	struct pci_func *f;
	struct pcid p;
	struct board b;
	u32 entry = WINDOW;

	(void)state;
	setup(&b);
	f = &add(&b, &(struct pcifake_cfg){ .slot = 2, .bars = { 4096 }, .n_vectors = 1 })->func;
	p = at(&b, 2);
	pcid_command(&p, PCID_MEMORY);
	devtest_mmio_write(&b.t, entry, 8, 0xfee00000);
	devtest_mmio_write(&b.t, entry + 8, 8, 0x42);
	pcid_write(&p, 0x42, 2, PCID_MSIX_ENABLE);
	msix_send(&f->msix, 0);
	assert_int_equal(devtest_msi_sent(&b.t, 0x42), 0);
	assert_int_equal(devtest_mmio_read(&b.t, WINDOW + 2048, 8), 1);
	pcid_command(&p, PCID_MEMORY | PCID_MASTER);
	assert_int_equal(devtest_msi_sent(&b.t, 0x42), 1);
	assert_int_equal(devtest_mmio_read(&b.t, WINDOW + 2048, 8), 0);
	pcid_command(&p, PCID_MEMORY);
	msix_send(&f->msix, 0);
	assert_int_equal(devtest_msi_sent(&b.t, 0x42), 1);
	assert_int_equal(b.t.chip.msis[0]->devid, 2 << 3);
	teardown(&b);
}

static void a_machine_without_messages_has_functions_without_msix(void **state)
{
	struct lkvm_error err = { 0 };
	struct pcifake *f;
	struct board b;

	(void)state;
	setup(&b);
	b.t.chip.bind = NULL;
	f = add(&b, &(struct pcifake_cfg){ .slot = 1, .bars = { 4096 } });
	assert_int_equal(pci_add_msix(&f->func, 2, 0, 0, 2048, &err), -EOPNOTSUPP);
	assert_string_equal(err.msg, "");
	assert_int_equal(ecam_read(&b, (1 << 15) + PCID_CAPS, 1), 0);
	assert_false(pci_msix_on(&f->func));
	pci_intx(&f->func, true);
	assert_true(devtest_irq(&b.t));
	teardown(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bridge_is_a_host_bridge_without_registers),
		cmocka_unit_test(ecam_does_not_come_where_something_is),
		cmocka_unit_test(a_guest_that_moves_ecam_for_ever_does_not_fill_the_log),
		cmocka_unit_test(both_ways_lead_to_the_same_registers),
		cmocka_unit_test(the_address_is_latched_by_accesses_of_four_bytes_only),
		cmocka_unit_test(data_goes_nowhere_unless_the_address_says_enabled),
		cmocka_unit_test(what_is_not_there_reads_all_ones),
		cmocka_unit_test(
			configuration_accesses_that_straddle_read_all_ones_and_are_dropped),
		cmocka_unit_test(thirty_one_functions_have_a_slot_each),
		cmocka_unit_test(a_function_that_goes_leaves_nothing_behind),
		cmocka_unit_test(nothing_but_what_is_writable_changes_when_written),
		cmocka_unit_test(an_abused_capability_list_stays_as_it_is),
		cmocka_unit_test(capabilities_are_a_list_in_the_order_of_making),
		cmocka_unit_test(a_bar_tells_its_size),
		cmocka_unit_test(a_bar_is_decoded_while_memory_space_is_enabled),
		cmocka_unit_test(a_bar_moves_with_decoding_on),
		cmocka_unit_test(sizing_a_bar_that_is_decoded_does_no_harm),
		cmocka_unit_test(a_bar_is_never_decoded_over_ram),
		cmocka_unit_test(a_bar_outside_the_window_is_not_decoded),
		cmocka_unit_test(a_bar_moved_over_another_leaves_that_one_in_place),
		cmocka_unit_test(two_bars_of_one_function_cannot_lie_on_each_other),
		cmocka_unit_test(a_guest_that_moves_bars_for_ever_does_not_fill_the_log),
		cmocka_unit_test(a_full_bus_leaves_a_bar_undecoded),
		cmocka_unit_test(a_window_that_is_full_is_an_error_at_the_start),
		cmocka_unit_test(bars_that_cannot_be_are_refused),
		cmocka_unit_test(intx_reaches_the_line_unless_disabled),
		cmocka_unit_test(functions_share_a_line),
		cmocka_unit_test(msix_takes_intx_off_its_line),
		cmocka_unit_test(messages_wait_for_bus_mastering),
		cmocka_unit_test(a_machine_without_messages_has_functions_without_msix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
