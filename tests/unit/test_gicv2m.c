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

#define GSI 64

static const struct gicv2m_cfg cfg = { .first_intid = FIRST, .n_intids = N, .first_gsi = GSI };

/* What the interrupt controller was told. */
struct frame {
	struct devtest t;
	unsigned int n_rises, n_falls;
	u32 last;
	bool high;
};

static void on_set(void *ctx, u32 gsi, bool level)
{
	struct frame *f = ctx;

	assert_int_not_equal(f->high, level);
	f->high = level;
	f->last = gsi;
	if (level)
		f->n_rises++;
	else
		f->n_falls++;
}

static void setup(struct frame *f)
{
	struct dev_slot s = {
		.cls = &gicv2m_class,
		.name = "gicv2m",
		.ranges = { { &f->t.mmio, BASE, 0x1000, BUS_SIZE_2 | BUS_SIZE_4, 0 } },
		.cfg = &cfg,
	};

	*f = (struct frame){ 0 };
	devtest_init(&f->t, 0);
	f->t.chip.set = on_set;
	f->t.chip.ctx = f;
	devtest_plug(&f->t, &s);
}

static void the_frame_says_which_interrupts_it_has(void **state)
{
	struct frame f;
	u32 typer;

	(void)state;
	setup(&f);
	typer = (u32)devtest_mmio_read(&f.t, BASE + GICV2M_MSI_TYPER, 4);
	assert_int_equal(typer >> 16 & 0x3ff, FIRST);
	assert_int_equal(typer & 0x3ff, N);
	devtest_mmio_write(&f.t, BASE + GICV2M_MSI_TYPER, 4, 0);
	assert_int_equal(devtest_mmio_read(&f.t, BASE + GICV2M_MSI_TYPER, 4), typer);
	/* the version of the architecture */
	assert_int_equal(devtest_mmio_read(&f.t, BASE + GICV2M_IIDR, 4) >> 16 & 0xf, 0);
	devtest_fini(&f.t);
}

static void a_cpu_sends_each_interrupt_of_the_frame_once(void **state)
{
	struct frame f;

	(void)state;
	setup(&f);
	for (u32 i = 0; i < N; i++) {
		devtest_mmio_write(&f.t, BASE + GICV2M_SETSPI_NS, i % 2 ? 2 : 4, FIRST + i);
		assert_int_equal(f.last, GSI + i);
		assert_int_equal(f.n_rises, i + 1);
		assert_int_equal(f.n_falls, i + 1);
	}
	devtest_mmio_write(&f.t, BASE + GICV2M_SETSPI_NS, 4, FIRST);
	devtest_mmio_write(&f.t, BASE + GICV2M_SETSPI_NS, 4, FIRST);
	assert_int_equal(f.n_rises, N + 2);
	devtest_fini(&f.t);
}

static void interrupts_of_others_cannot_be_sent(void **state)
{
	static const u32 others[] = {
		0,    15,   27,		32,	  FIRST - 1,	    FIRST + N,
		1019, 1023, UINT32_MAX, 1u << 31, FIRST | 1u << 10, FIRST | 1u << 16,
	};
	struct frame f;

	(void)state;
	setup(&f);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		devtest_mmio_write(&f.t, BASE + GICV2M_SETSPI_NS, 4, others[i]);
	assert_int_equal(f.n_rises + f.n_falls, 0);
	devtest_fini(&f.t);
}

static void all_else_of_the_frame_reads_zero_and_takes_nothing(void **state)
{
	struct frame f;

	(void)state;
	setup(&f);
	for (u64 off = 0; off < 0x1000; off += 2) {
		if (off == GICV2M_SETSPI_NS)
			continue;
		devtest_mmio_write(&f.t, BASE + off, 2, FIRST);
		if (off != GICV2M_MSI_TYPER)
			assert_int_equal(devtest_mmio_read(&f.t, BASE + off, 2), 0);
	}
	assert_int_equal(devtest_mmio_read(&f.t, BASE + GICV2M_SETSPI_NS, 4), 0);
	assert_int_equal(f.n_rises + f.n_falls, 0);
	devtest_fini(&f.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_frame_says_which_interrupts_it_has),
		cmocka_unit_test(a_cpu_sends_each_interrupt_of_the_frame_once),
		cmocka_unit_test(interrupts_of_others_cannot_be_sent),
		cmocka_unit_test(all_else_of_the_frame_reads_zero_and_takes_nothing),
	};

	return cmocka_run_group_tests_name("gicv2m", tests, NULL, NULL);
}
