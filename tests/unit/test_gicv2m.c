/*
 * gicv2m: a GICv2m frame as a driver and a hostile CPU see it.
 *
 * Does not prove that messages of other devices become interrupts: that is what they are bound to,
 * by arch/arm64/gic.c and KVM (check-bed).
 */
#include "devices/gicv2m.h"

#include "devices/classes.h"
#include "tests/unit/devtest.h"

#define BASE  0x3ffc0000ull
#define FIRST 96
#define N     128

static const struct gicv2m_cfg cfg = { .base = BASE, .first_intid = FIRST, .n_intids = N };

static struct dev_slot slot(struct devtest *t)
{
	return (struct dev_slot){
		.cls = &gicv2m_class,
		.name = "gicv2m",
		.ranges = { { &t->mmio, BASE, 0x1000, BUS_SIZE_2 | BUS_SIZE_4, 0 } },
		.cfg = &cfg,
	};
}

static void setup(struct devtest *t)
{
	struct dev_slot s = slot(t);

	devtest_init(t, 0);
	devtest_plug(t, &s);
}

static void the_frame_says_which_interrupts_it_has(void **state)
{
	struct devtest t;
	u32 typer;

	(void)state;
	setup(&t);
	typer = (u32)devtest_mmio_read(&t, BASE + GICV2M_MSI_TYPER, 4);
	assert_int_equal(typer >> 16 & 0x3ff, FIRST);
	assert_int_equal(typer & 0x3ff, N);
	devtest_mmio_write(&t, BASE + GICV2M_MSI_TYPER, 4, 0);
	assert_int_equal(devtest_mmio_read(&t, BASE + GICV2M_MSI_TYPER, 4), typer);
	/* the version of the architecture */
	assert_int_equal(devtest_mmio_read(&t, BASE + GICV2M_IIDR, 4) >> 16 & 0xf, 0);
	devtest_fini(&t);
}

static void a_cpu_sends_each_interrupt_of_the_frame_once(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t);
	for (u32 intid = FIRST; intid < FIRST + N; intid++) {
		u64 before = devtest_msi_count(&t, 0);

		devtest_mmio_write(&t, BASE + GICV2M_SETSPI_NS, intid % 2 ? 2 : 4, intid);
		assert_int_equal(devtest_msi_count(&t, 0), before + 1);
		assert_int_equal(t.msi[0].addr, BASE + GICV2M_SETSPI_NS);
		assert_int_equal(t.msi[0].data, intid);
	}
	devtest_mmio_write(&t, BASE + GICV2M_SETSPI_NS, 4, FIRST);
	devtest_mmio_write(&t, BASE + GICV2M_SETSPI_NS, 4, FIRST);
	assert_int_equal(devtest_msi_count(&t, 0), N + 2);
	devtest_fini(&t);
}

/* KVM delivers what is under way when a message is unbound, and else maybe as the next one. */
static int bind_of_what_is_unbound(void *ctx, const struct irq_msi *msi)
{
	struct devtest *t = ctx;

	assert_false(msi->bound && t->msi[msi->index].bound);
	return devtest_on_bind(ctx, msi);
}

static void an_interrupt_is_delivered_before_another_takes_its_place(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t);
	t.chip.bind = bind_of_what_is_unbound;
	for (u32 i = 0; i < 4; i++)
		devtest_mmio_write(&t, BASE + GICV2M_SETSPI_NS, 4, FIRST + i / 2);
	assert_int_equal(devtest_msi_count(&t, 0), 4);
	devtest_fini(&t);
}

static void interrupts_of_others_cannot_be_sent(void **state)
{
	static const u32 others[] = {
		0,    15,   27,		32,	  FIRST - 1,	    FIRST + N,
		1019, 1023, UINT32_MAX, 1u << 31, FIRST | 1u << 10, FIRST | 1u << 16,
	};
	struct devtest t;

	(void)state;
	setup(&t);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		devtest_mmio_write(&t, BASE + GICV2M_SETSPI_NS, 4, others[i]);
	assert_int_equal(devtest_msi_count(&t, 0), 0);
	assert_false(t.msi[0].bound);
	devtest_fini(&t);
}

static void all_else_of_the_frame_reads_zero_and_takes_nothing(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t);
	for (u64 off = 0; off < 0x1000; off += 2) {
		if (off == GICV2M_SETSPI_NS)
			continue;
		devtest_mmio_write(&t, BASE + off, 2, FIRST);
		if (off != GICV2M_MSI_TYPER)
			assert_int_equal(devtest_mmio_read(&t, BASE + off, 2), 0);
	}
	assert_int_equal(devtest_mmio_read(&t, BASE + GICV2M_SETSPI_NS, 4), 0);
	assert_int_equal(devtest_msi_count(&t, 0), 0);
	devtest_fini(&t);
}

static void a_message_the_host_does_not_take_is_lost_and_the_next_is_not(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t);
	t.bind_ret = -EINVAL;
	devtest_mmio_write(&t, BASE + GICV2M_SETSPI_NS, 4, FIRST);
	assert_int_equal(devtest_msi_count(&t, 0), 0);
	t.bind_ret = 0;
	devtest_mmio_write(&t, BASE + GICV2M_SETSPI_NS, 4, FIRST + 1);
	assert_int_equal(devtest_msi_count(&t, 0), 1);
	assert_int_equal(t.msi[0].data, FIRST + 1);
	devtest_fini(&t);
}

static void a_machine_without_messages_has_no_frame(void **state)
{
	struct lkvm_error err = { 0 };
	struct dev_slot s;
	struct devtest t;

	(void)state;
	devtest_init(&t, 0);
	t.chip.bind = NULL;
	s = slot(&t);
	s.irq_chip = &t.chip;
	assert_int_equal(dev_create(&t.dev, &s, &t.env, &err), -EOPNOTSUPP);
	assert_string_not_equal(err.msg, "");
	devtest_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_frame_says_which_interrupts_it_has),
		cmocka_unit_test(a_cpu_sends_each_interrupt_of_the_frame_once),
		cmocka_unit_test(an_interrupt_is_delivered_before_another_takes_its_place),
		cmocka_unit_test(interrupts_of_others_cannot_be_sent),
		cmocka_unit_test(all_else_of_the_frame_reads_zero_and_takes_nothing),
		cmocka_unit_test(a_message_the_host_does_not_take_is_lost_and_the_next_is_not),
		cmocka_unit_test(a_machine_without_messages_has_no_frame),
	};

	return cmocka_run_group_tests_name("gicv2m", tests, NULL, NULL);
}
