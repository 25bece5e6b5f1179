/*
 * ioapic: the I/O APIC as a driver, its lines, local APICs and a hostile CPU see it.
 *
 * Does not prove that KVM sends the messages, nor that it tells of acknowledged ones
 * (arch/x86/test_irqchip.c, check-kvm, check-bed).
 */
#include "devices/ioapic.h"

#include "devices/classes.h"
#include "tests/unit/devtest.h"

#define BASE   0xfec00000ull
#define SELECT (BASE + 0x00)
#define WINDOW (BASE + 0x10)
#define EOI    (BASE + 0x40)

#define MASKED	   (1u << 16)
#define LEVEL	   (1u << 15)
#define REMOTE_IRR (1u << 14)
#define ACTIVE_LOW (1u << 13)
#define STATUS	   (1u << 12)
#define LOGICAL	   (1u << 11)
#define MODE(n)	   ((u32)(n) << 8)
#define LOWEST	   MODE(1)
#define NMI	   MODE(4)

#define LEVEL_MSG (3u << 14) /* assert, level */

#define PIN    9
#define VECTOR 0x51

/* What local APICs were sent, and KVM was told. */
struct world {
	struct devtest t;
	bool refuse; /* local APICs are switched off */
	int route_ret;
	unsigned int n_sent, n_routes;
	u64 addr;
	u32 data;
	struct {
		u64 addr;
		u32 data;
	} routes[IOAPIC_N_PINS];
	u32 routed_at_send; /* the data that the pin of the last message was routed with */
};

static bool on_send(void *ctx, u64 addr, u32 data)
{
	struct world *w = ctx;

	w->n_sent++;
	w->addr = addr;
	w->data = data;
	w->routed_at_send = w->routes[PIN].data;
	return !w->refuse;
}

static int on_route(void *ctx, u32 pin, u64 addr, u32 data)
{
	struct world *w = ctx;

	assert_in_range(pin, 0, IOAPIC_N_PINS - 1);
	if (w->route_ret)
		return w->route_ret;
	w->n_routes++;
	w->routes[pin].addr = addr;
	w->routes[pin].data = data;
	return 0;
}

static void on_set(void *ctx, u32 gsi, bool level)
{
	struct world *w = ctx;

	ioapic_set(w->t.dev, gsi, level);
}

static void setup(struct world *w)
{
	struct ioapic_cfg cfg = { .send = on_send, .route = on_route, .ctx = w };
	struct dev_slot s = {
		.cls = &ioapic_class,
		.name = "ioapic",
		.ranges = { { &w->t.mmio, BASE, IOAPIC_LEN, BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4,
			      0 } },
		.cfg = &cfg,
	};

	*w = (struct world){ 0 };
	devtest_init(&w->t, 0);
	devtest_plug(&w->t, &s);
	w->t.chip.set = on_set;
	w->t.chip.ctx = w;
}

static void finish(struct world *w)
{
	devtest_fini(&w->t);
}

static u32 reg_read(struct world *w, u8 index)
{
	devtest_mmio_write(&w->t, SELECT, 4, index);
	return (u32)devtest_mmio_read(&w->t, WINDOW, 4);
}

static void reg_write(struct world *w, u8 index, u32 val)
{
	devtest_mmio_write(&w->t, SELECT, 4, index);
	devtest_mmio_write(&w->t, WINDOW, 4, val);
}

static u32 low(struct world *w, u32 pin)
{
	return reg_read(w, (u8)(0x10 + 2 * pin));
}

static void set_low(struct world *w, u32 pin, u32 val)
{
	reg_write(w, (u8)(0x10 + 2 * pin), val);
}

static void set_high(struct world *w, u32 pin, u32 val)
{
	reg_write(w, (u8)(0x11 + 2 * pin), val);
}

/* A line of its own on @pin, as devices have. */
static struct irq_line line_on(struct world *w, u32 pin)
{
	return (struct irq_line){ .chip = &w->t.chip, .gsi = pin };
}

/* ---- registers ---------------------------------------------------------------------- */

static void it_has_24_masked_inputs_and_an_eoi_register(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	assert_int_equal(reg_read(&w, 1), 0x00170020);
	assert_int_equal(reg_read(&w, 0), 0);
	for (u32 i = 0; i < IOAPIC_N_PINS; i++) {
		assert_int_equal(low(&w, i), MASKED);
		assert_int_equal(reg_read(&w, (u8)(0x11 + 2 * i)), 0);
	}
	finish(&w);
}

static void only_what_the_data_sheet_has_is_stored(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	reg_write(&w, 0, UINT32_MAX);
	assert_int_equal(reg_read(&w, 0), 0x0f000000);
	assert_int_equal(reg_read(&w, 2), 0x0f000000); /* arbitration: as the id */
	for (u8 i = 1; i < 0x10; i++) {
		reg_write(&w, i, UINT32_MAX);
		assert_int_equal(reg_read(&w, i), i == 1 ? 0x00170020 : i == 2 ? 0x0f000000 : 0);
	}
	set_low(&w, 0, UINT32_MAX);
	assert_int_equal(low(&w, 0), 0x1ffff & ~(STATUS | REMOTE_IRR));
	set_high(&w, 0, UINT32_MAX);
	assert_int_equal(reg_read(&w, 0x11), 0xfffe0000);
	set_low(&w, 0, MASKED);
	assert_int_equal(reg_read(&w, 0x11), 0xfffe0000);
	for (unsigned int i = 0x40; i < 0x100; i++) {
		reg_write(&w, (u8)i, UINT32_MAX);
		assert_int_equal(reg_read(&w, (u8)i), 0);
	}
	assert_int_equal(w.n_sent + w.n_routes, 0);
	finish(&w);
}

static void the_index_takes_any_size_and_the_window_four_bytes(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	for (unsigned int size = 1; size <= 4; size *= 2) {
		devtest_mmio_write(&w.t, SELECT, size, 1);
		assert_int_equal(devtest_mmio_read(&w.t, SELECT, size), 1);
		assert_int_equal(devtest_mmio_read(&w.t, WINDOW, 4), 0x00170020);
		devtest_mmio_write(&w.t, SELECT, 4, 0);
	}
	set_low(&w, 3, MASKED | 0x77);
	devtest_mmio_write(&w.t, WINDOW, 1, 0);
	devtest_mmio_write(&w.t, WINDOW, 2, 0);
	assert_int_equal(low(&w, 3), MASKED | 0x77);
	assert_int_equal(devtest_mmio_read(&w.t, WINDOW, 1), 0);
	for (u64 off = 0; off < IOAPIC_LEN; off += 4) {
		if (off == 0 || off == 0x10)
			continue;
		devtest_mmio_write(&w.t, BASE + off, 4, 0x77);
		assert_int_equal(devtest_mmio_read(&w.t, BASE + off, 4), 0);
	}
	assert_int_equal(low(&w, 3), MASKED | 0x77);
	finish(&w);
}

/* ---- messages ----------------------------------------------------------------------- */

/* SDM 3A, figures 11-24 and 11-25, and bits 11:5 for bits 14:8 of the destination. */
static void an_entry_says_what_is_sent(void **state)
{
	static const struct {
		u32 low, high;
		u64 addr;
		u32 data;
	} cases[] = {
		{ 0x31, 0, 0xfee00000, 0x31 },
		{ 0xff, 5u << 24, 0xfee05000, 0xff },
		{ 0x31 | LOGICAL, 0xffu << 24, 0xfeeff004, 0x31 },
		{ 0x31 | LOWEST, 0x12u << 24, 0xfee12000, 0x131 },
		{ 0x31 | ACTIVE_LOW, 0, 0xfee00000, 0x31 },
		{ 0x31 | LEVEL, 0x01u << 24, 0xfee01000, 0x31 | LEVEL_MSG },
		{ 0x31 | LEVEL | LOWEST | LOGICAL, 0x03u << 24, 0xfee03004, 0x131 | LEVEL_MSG },
		{ 0x00 | NMI, 0, 0xfee00000, 0x400 },
		{ 0x00 | NMI | LEVEL, 0, 0xfee00000, 0x400 },
		{ MODE(5), 0x02u << 24, 0xfee02000, 0x500 },
		/* APIC id 0x7f2b */
		{ 0x31, 0x2bu << 24 | 0x7fu << 17, 0xfee2bfe0, 0x31 },
		{ 0x31, 0x01u << 17, 0xfee00020, 0x31 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct irq_line line;
		struct world w;

		setup(&w);
		line = line_on(&w, PIN);
		set_high(&w, PIN, cases[i].high);
		set_low(&w, PIN, cases[i].low);
		assert_int_equal(w.n_sent, 0);
		irq_set(&line, true);
		assert_int_equal(w.n_sent, 1);
		assert_true(w.addr == cases[i].addr);
		assert_int_equal(w.data, cases[i].data);
		finish(&w);
	}
}

static void vectors_that_are_illegal_are_not_sent(void **state)
{
	(void)state;
	for (u32 vector = 0; vector <= 16; vector++) {
		for (u32 bits = 0; bits <= LEVEL; bits += LEVEL) {
			struct irq_line line;
			struct world w;

			setup(&w);
			line = line_on(&w, PIN);
			set_low(&w, PIN, vector | bits);
			irq_set(&line, true);
			assert_int_equal(w.n_sent, vector == 16);
			assert_int_equal(!!(low(&w, PIN) & REMOTE_IRR), vector == 16 && bits);
			finish(&w);
		}
	}
}

/* ---- edges --------------------------------------------------------------------------- */

static void an_edge_is_sent_once_each_time(void **state)
{
	struct irq_line line;
	struct world w;

	(void)state;
	setup(&w);
	line = line_on(&w, PIN);
	set_low(&w, PIN, VECTOR);
	for (unsigned int i = 1; i <= 3; i++) {
		irq_set(&line, true);
		assert_int_equal(w.n_sent, i);
		set_low(&w, PIN, VECTOR);
		devtest_mmio_write(&w.t, EOI, 4, VECTOR);
		ioapic_eoi(w.t.dev, VECTOR);
		assert_int_equal(w.n_sent, i);
		irq_set(&line, false);
		assert_int_equal(w.n_sent, i);
	}
	irq_pulse(&w.t.chip, PIN);
	assert_int_equal(w.n_sent, 4);
	/* KVM has to tell of none of them */
	assert_int_equal(w.n_routes, 0);
	assert_int_equal(low(&w, PIN), VECTOR);
	finish(&w);
}

static void a_masked_edge_is_lost(void **state)
{
	struct irq_line line;
	struct world w;

	(void)state;
	setup(&w);
	line = line_on(&w, PIN);
	set_low(&w, PIN, VECTOR | MASKED);
	irq_set(&line, true);
	set_low(&w, PIN, VECTOR);
	assert_int_equal(w.n_sent, 0);
	irq_set(&line, false);
	irq_set(&line, true);
	assert_int_equal(w.n_sent, 1);
	finish(&w);
}

/* ---- levels -------------------------------------------------------------------------- */

static void a_level_is_sent_again_after_each_eoi_while_it_is_high(void **state)
{
	struct irq_line line;
	struct world w;

	(void)state;
	for (unsigned int by_register = 0; by_register <= 1; by_register++) {
		setup(&w);
		line = line_on(&w, PIN);
		set_low(&w, PIN, VECTOR | LEVEL);
		irq_set(&line, true);
		assert_int_equal(w.n_sent, 1);
		assert_int_equal(low(&w, PIN), VECTOR | LEVEL | REMOTE_IRR);
		for (unsigned int i = 2; i <= 4; i++) {
			if (by_register)
				devtest_mmio_write(&w.t, EOI, 4, VECTOR);
			else
				ioapic_eoi(w.t.dev, VECTOR);
			assert_int_equal(w.n_sent, i);
			assert_int_equal(low(&w, PIN), VECTOR | LEVEL | REMOTE_IRR);
		}
		irq_set(&line, false);
		assert_int_equal(low(&w, PIN), VECTOR | LEVEL | REMOTE_IRR);
		ioapic_eoi(w.t.dev, VECTOR);
		assert_int_equal(w.n_sent, 4);
		assert_int_equal(low(&w, PIN), VECTOR | LEVEL);
		finish(&w);
	}
}

static void nothing_is_sent_before_the_eoi(void **state)
{
	struct irq_line a, b;
	struct world w;

	(void)state;
	setup(&w);
	a = line_on(&w, PIN);
	b = line_on(&w, PIN);
	set_low(&w, PIN, VECTOR | LEVEL);
	irq_set(&a, true);
	irq_set(&b, true);
	irq_set(&a, false);
	irq_set(&b, false);
	irq_set(&b, true);
	set_low(&w, PIN, VECTOR | LEVEL);
	ioapic_eoi(w.t.dev, VECTOR - 1);
	ioapic_eoi(w.t.dev, VECTOR + 1);
	assert_int_equal(w.n_sent, 1);
	ioapic_eoi(w.t.dev, VECTOR);
	assert_int_equal(w.n_sent, 2);
	finish(&w);
}

static void a_level_waits_while_it_is_masked(void **state)
{
	struct irq_line line;
	struct world w;

	(void)state;
	setup(&w);
	line = line_on(&w, PIN);
	set_low(&w, PIN, VECTOR | LEVEL | MASKED);
	irq_set(&line, true);
	assert_int_equal(w.n_sent, 0);
	set_low(&w, PIN, VECTOR | LEVEL);
	assert_int_equal(w.n_sent, 1);
	/* masked in the handler, acknowledged, unmasked by a thread */
	set_low(&w, PIN, VECTOR | LEVEL | MASKED);
	assert_int_equal(low(&w, PIN), VECTOR | LEVEL | MASKED | REMOTE_IRR);
	ioapic_eoi(w.t.dev, VECTOR);
	assert_int_equal(low(&w, PIN), VECTOR | LEVEL | MASKED);
	assert_int_equal(w.n_sent, 1);
	set_low(&w, PIN, VECTOR | LEVEL);
	assert_int_equal(w.n_sent, 2);
	finish(&w);
}

static void inputs_that_share_a_vector_are_acknowledged_together(void **state)
{
	struct irq_line a, b, c;
	struct world w;

	(void)state;
	setup(&w);
	a = line_on(&w, 16);
	b = line_on(&w, 23);
	c = line_on(&w, 17);
	set_low(&w, 16, VECTOR | LEVEL);
	set_low(&w, 23, VECTOR | LEVEL);
	set_low(&w, 17, (VECTOR + 1) | LEVEL);
	irq_set(&a, true);
	irq_set(&b, true);
	irq_set(&c, true);
	assert_int_equal(w.n_sent, 3);
	irq_set(&a, false);
	ioapic_eoi(w.t.dev, VECTOR);
	assert_int_equal(w.n_sent, 4);
	assert_int_equal(low(&w, 16), VECTOR | LEVEL);
	assert_int_equal(low(&w, 23), VECTOR | LEVEL | REMOTE_IRR);
	assert_int_equal(low(&w, 17), (VECTOR + 1) | LEVEL | REMOTE_IRR);
	finish(&w);
}

/* What a driver does where there is no EOI register. */
static void edge_and_back_to_level_is_an_eoi(void **state)
{
	struct irq_line line;
	struct world w;

	(void)state;
	setup(&w);
	line = line_on(&w, PIN);
	set_low(&w, PIN, VECTOR | LEVEL);
	irq_set(&line, true);
	set_low(&w, PIN, VECTOR | MASKED);
	assert_int_equal(low(&w, PIN), VECTOR | MASKED);
	set_low(&w, PIN, VECTOR | LEVEL);
	assert_int_equal(w.n_sent, 2);
	finish(&w);
}

static void nmis_and_the_like_need_no_eoi(void **state)
{
	struct irq_line line;
	struct world w;

	(void)state;
	setup(&w);
	line = line_on(&w, PIN);
	set_low(&w, PIN, NMI | LEVEL);
	for (unsigned int i = 1; i <= 3; i++) {
		irq_set(&line, true);
		assert_int_equal(w.n_sent, i);
		assert_int_equal(low(&w, PIN), NMI | LEVEL);
		irq_set(&line, false);
	}
	assert_int_equal(w.n_routes, 0);
	finish(&w);
}

/* Remote IRR is that a local APIC accepted it: without, no EOI would ever come. */
static void what_no_cpu_took_is_sent_again_when_the_entry_is_written(void **state)
{
	struct irq_line line;
	struct world w;

	(void)state;
	setup(&w);
	line = line_on(&w, PIN);
	w.refuse = true;
	set_low(&w, PIN, VECTOR | LEVEL);
	irq_set(&line, true);
	assert_int_equal(w.n_sent, 1);
	assert_int_equal(low(&w, PIN), VECTOR | LEVEL);
	w.refuse = false;
	set_high(&w, PIN, 1u << 24);
	assert_int_equal(w.n_sent, 2);
	assert_int_equal(low(&w, PIN), VECTOR | LEVEL | REMOTE_IRR);
	finish(&w);
}

/* ---- routes -------------------------------------------------------------------------- */

static void the_vector_is_routed_before_its_message_is_sent(void **state)
{
	struct irq_line line;
	struct world w;

	(void)state;
	setup(&w);
	line = line_on(&w, PIN);
	/* a driver at work on an entry: nobody has to know yet */
	set_low(&w, PIN, VECTOR | LEVEL | MASKED);
	set_high(&w, PIN, 3u << 24);
	set_low(&w, PIN, VECTOR | LEVEL);
	set_high(&w, PIN, 1u << 24);
	assert_int_equal(w.n_routes, 0);
	irq_set(&line, true);
	assert_int_equal(w.n_routes, 1);
	assert_int_equal(w.routed_at_send, VECTOR | LEVEL_MSG);
	assert_int_equal(w.routes[PIN].data, VECTOR | LEVEL_MSG);
	assert_true(w.routes[PIN].addr == 0xfee01000);

	/* moved while a CPU works on it: the old vector's EOI still has to come */
	set_low(&w, PIN, (VECTOR + 1) | LEVEL);
	assert_int_equal(w.routes[PIN].data, VECTOR | LEVEL_MSG);
	finish(&w);
}

static void without_a_route_a_level_does_not_wait_for_its_eoi(void **state)
{
	struct irq_line line;
	struct world w;

	(void)state;
	setup(&w);
	line = line_on(&w, PIN);
	set_low(&w, PIN, VECTOR | LEVEL);
	w.route_ret = -ENOMEM;
	for (unsigned int i = 1; i <= 2; i++) {
		irq_set(&line, true);
		assert_int_equal(w.n_sent, i);
		assert_int_equal(low(&w, PIN), VECTOR | LEVEL);
		irq_set(&line, false);
	}
	w.route_ret = 0;
	irq_set(&line, true);
	assert_int_equal(low(&w, PIN), VECTOR | LEVEL | REMOTE_IRR);
	finish(&w);
}

/* One access has bounded work, whatever the entries are. */
static void an_access_sends_each_input_at_most_once(void **state)
{
	struct irq_line lines[IOAPIC_N_PINS];
	struct world w;

	(void)state;
	setup(&w);
	for (u32 i = 0; i < IOAPIC_N_PINS; i++) {
		lines[i] = line_on(&w, i);
		set_low(&w, i, VECTOR | LEVEL);
		irq_set(&lines[i], true);
	}
	w.n_sent = w.n_routes = 0;
	devtest_mmio_write(&w.t, EOI, 4, VECTOR);
	assert_int_equal(w.n_sent, IOAPIC_N_PINS);
	assert_int_equal(w.n_routes, IOAPIC_N_PINS);
	w.n_sent = 0;
	for (unsigned int i = 0; i < 0x100; i++) {
		reg_write(&w, (u8)i, VECTOR | LEVEL);
		assert_true(w.n_sent <= i);
	}
	finish(&w);
}

static void lines_that_are_high_when_it_is_plugged_in_are_seen(void **state)
{
	struct irq_line line;
	struct world w;

	(void)state;
	setup(&w);
	line = line_on(&w, PIN);
	irq_set(&line, true);
	/* another one on the same chip */
	{
		struct ioapic_cfg cfg = { .send = on_send, .route = on_route, .ctx = &w };
		struct dev_slot s = {
			.cls = &ioapic_class,
			.name = "ioapic2",
			.ranges = { { &w.t.mmio, BASE + 0x1000, IOAPIC_LEN, BUS_SIZE_4, 0 } },
			.irq_chip = &w.t.chip,
			.cfg = &cfg,
		};
		struct lkvm_error err = { 0 };
		struct dev *dev;

		assert_int_equal(dev_create(&dev, &s, &w.t.env, &err), 0);
		devtest_mmio_write(&w.t, BASE + 0x1000, 4, 0x10 + 2 * PIN);
		devtest_mmio_write(&w.t, BASE + 0x1010, 4, VECTOR | LEVEL);
		assert_int_equal(w.n_sent, 1);
		dev_destroy(dev);
	}
	finish(&w);
}

static void inputs_it_does_not_have_are_nobodys(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	for (u32 i = 0; i < IOAPIC_N_PINS; i++)
		set_low(&w, i, VECTOR);
	ioapic_set(w.t.dev, IOAPIC_N_PINS, true);
	ioapic_set(w.t.dev, UINT32_MAX, true);
	assert_int_equal(w.n_sent, 0);
	finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_has_24_masked_inputs_and_an_eoi_register),
		cmocka_unit_test(only_what_the_data_sheet_has_is_stored),
		cmocka_unit_test(the_index_takes_any_size_and_the_window_four_bytes),
		cmocka_unit_test(an_entry_says_what_is_sent),
		cmocka_unit_test(vectors_that_are_illegal_are_not_sent),
		cmocka_unit_test(an_edge_is_sent_once_each_time),
		cmocka_unit_test(a_masked_edge_is_lost),
		cmocka_unit_test(a_level_is_sent_again_after_each_eoi_while_it_is_high),
		cmocka_unit_test(nothing_is_sent_before_the_eoi),
		cmocka_unit_test(a_level_waits_while_it_is_masked),
		cmocka_unit_test(inputs_that_share_a_vector_are_acknowledged_together),
		cmocka_unit_test(edge_and_back_to_level_is_an_eoi),
		cmocka_unit_test(nmis_and_the_like_need_no_eoi),
		cmocka_unit_test(what_no_cpu_took_is_sent_again_when_the_entry_is_written),
		cmocka_unit_test(the_vector_is_routed_before_its_message_is_sent),
		cmocka_unit_test(without_a_route_a_level_does_not_wait_for_its_eoi),
		cmocka_unit_test(an_access_sends_each_input_at_most_once),
		cmocka_unit_test(lines_that_are_high_when_it_is_plugged_in_are_seen),
		cmocka_unit_test(inputs_it_does_not_have_are_nobodys),
	};

	return cmocka_run_group_tests_name("ioapic", tests, NULL, NULL);
}
