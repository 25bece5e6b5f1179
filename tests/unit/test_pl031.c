/*
 * pl031: Arm's real-time clock, played by a driver over the bus, on virtual time.
 *
 * Does not prove that a kernel sets its clock by it: booting one does (check-bed).
 */
#include "devices/classes.h"
#include "tests/unit/devtest.h"

#define BASE 0x1030000ull

enum {
	DR = 0x00,
	MR = 0x04,
	LR = 0x08,
	CR = 0x0c,
	IMSC = 0x10,
	RIS = 0x14,
	MIS = 0x18,
	ICR = 0x1c
};

#define UTC(s) ((u64)(s)*NSEC_PER_SEC)
#define NOW    1700000000u

static void setup(struct devtest *t, u64 utc_ns)
{
	devtest_init(t, utc_ns);
	devtest_plug(t, &(struct dev_slot){
				.cls = &pl031_class,
				.name = "pl031",
				.ranges = { { &t->mmio, BASE, PL031_LEN, BUS_SIZE_4, 0 } },
			});
}

static u32 get(struct devtest *t, u32 reg)
{
	return (u32)devtest_mmio_read(t, BASE + reg, 4);
}

static void put(struct devtest *t, u32 reg, u32 val)
{
	devtest_mmio_write(t, BASE + reg, 4, val);
}

/* Both clocks go hand in hand, a second at a time. */
static void wait_s(struct devtest *t, unsigned int seconds)
{
	while (seconds--)
		devtest_advance(t, NSEC_PER_SEC);
}

static void it_comes_running_with_the_hosts_time(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t, UTC(NOW) + 999999999);
	assert_int_equal(get(&t, DR), NOW);
	assert_int_equal(get(&t, CR), 1);
	assert_int_equal(get(&t, IMSC) | get(&t, RIS) | get(&t, MIS) | get(&t, MR), 0);
	put(&t, CR, 0); /* cannot be stopped */
	assert_int_equal(get(&t, CR), 1);
	devtest_advance(&t, 1);
	assert_int_equal(get(&t, DR), NOW + 1);
	put(&t, DR, 5); /* read only */
	assert_int_equal(get(&t, DR), NOW + 1);
	assert_false(devtest_timer_armed(&t));
	devtest_fini(&t);
}

static void it_says_that_it_is_a_pl031(void **state)
{
	static const u8 ids[] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
	struct devtest t;

	(void)state;
	setup(&t, 0);
	for (u32 i = 0; i < ARRAY_SIZE(ids); i++) {
		put(&t, 0xfe0 + 4 * i, 0);
		assert_int_equal(get(&t, 0xfe0 + 4 * i), ids[i]);
	}
	for (u32 off = 0x20; off < 0xfe0; off += 4) {
		put(&t, off, UINT32_MAX);
		assert_int_equal(get(&t, off), 0);
	}
	devtest_fini(&t);
}

static void the_guest_sets_its_clock(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t, UTC(NOW));
	put(&t, LR, 12345);
	assert_int_equal(get(&t, LR), 12345);
	assert_int_equal(get(&t, DR), 12345);
	devtest_advance(&t, UTC(10));
	assert_int_equal(get(&t, DR), 12355);
	assert_int_equal(get(&t, LR), 12345);
	put(&t, LR, UINT32_MAX);
	devtest_advance(&t, UTC(2));
	assert_int_equal(get(&t, DR), 1); /* 32 bits of seconds */
	devtest_fini(&t);
}

static void the_alarm_rings_in_its_second_and_until_it_is_cleared(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t, UTC(NOW) + 400000000);
	put(&t, MR, NOW + 100);
	put(&t, IMSC, 1);
	assert_int_equal(get(&t, MR), NOW + 100);
	assert_true(devtest_timer_armed(&t));
	wait_s(&t, 99);
	assert_int_equal(get(&t, RIS), 0);
	devtest_advance(&t, 599999999);
	assert_false(devtest_irq(&t));
	devtest_advance(&t, 1);
	assert_true(devtest_irq(&t));
	assert_int_equal(t.n_raised[DEVTEST_GSI], 1);
	assert_false(devtest_timer_armed(&t)); /* nothing new to say until the guest has listened */
	devtest_advance(&t, UTC(1000));
	assert_int_equal(get(&t, RIS), 1);
	assert_int_equal(get(&t, MIS), 1);
	put(&t, ICR, 0xfffffffe); /* not this one */
	assert_true(devtest_irq(&t));
	put(&t, ICR, 1);
	assert_false(devtest_irq(&t));
	assert_int_equal(get(&t, RIS) | get(&t, MIS), 0);
	wait_s(&t, 100000);
	assert_false(devtest_irq(&t));
	devtest_fini(&t);
}

static void a_masked_alarm_shows_and_costs_no_timer(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t, UTC(NOW));
	put(&t, MR, NOW + 3);
	assert_false(devtest_timer_armed(&t));
	devtest_advance(&t, UTC(50));
	assert_int_equal(get(&t, RIS), 1);
	assert_int_equal(get(&t, MIS), 0);
	assert_false(devtest_irq(&t));
	put(&t, IMSC, 1);
	assert_true(devtest_irq(&t));
	put(&t, IMSC, 0xfffffffe);
	assert_false(devtest_irq(&t));
	assert_int_equal(get(&t, IMSC), 0);
	devtest_fini(&t);
}

static void an_alarm_for_now_rings_at_once(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t, UTC(NOW));
	put(&t, IMSC, 1);
	put(&t, MR, NOW);
	assert_true(devtest_irq(&t));
	put(&t, ICR, 1);
	assert_false(devtest_irq(&t));
	put(&t, MR, 7);
	assert_false(devtest_irq(&t));
	put(&t, LR, 7); /* the counter comes to the alarm */
	assert_true(devtest_irq(&t));
	devtest_fini(&t);
}

static void setting_the_clock_past_the_alarm_does_not_ring_it(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t, UTC(NOW));
	put(&t, IMSC, 1);
	put(&t, MR, NOW + 10);
	put(&t, LR, NOW + 20);
	wait_s(&t, 30);
	assert_false(devtest_irq(&t));
	put(&t, LR, NOW + 9);
	wait_s(&t, 1);
	assert_true(devtest_irq(&t));
	devtest_fini(&t);
}

static void the_alarm_survives_a_host_clock_that_is_set(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t, UTC(NOW));
	put(&t, MR, NOW + 1000);
	put(&t, IMSC, 1);
	t.utc_ns += UTC(2000); /* over it: noticed before long */
	wait_s(&t, 10);
	assert_true(devtest_irq(&t));
	put(&t, ICR, 1);
	put(&t, MR, NOW + 3000);
	t.utc_ns -= UTC(1000); /* back: what was is no alarm */
	wait_s(&t, 10);
	assert_false(devtest_irq(&t));
	wait_s(&t, 2000);
	assert_true(devtest_irq(&t));
	devtest_fini(&t);
}

static void a_clock_that_jumps_further_than_it_counts_rings(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t, UTC(NOW));
	put(&t, MR, NOW - 1);
	t.utc_ns += UTC(BIT(32)); /* once around, and 292 years into nanoseconds */
	assert_int_equal(get(&t, RIS), 1);
	devtest_fini(&t);
}

static void a_timer_for_an_alarm_years_away_is_not_idle_work(void **state)
{
	struct devtest t;
	u64 wakes = 0;

	(void)state;
	setup(&t, UTC(NOW));
	put(&t, MR, NOW - 1); /* in 136 years */
	put(&t, IMSC, 1);
	for (u64 was = 0; wakes < 1000 && loop_now(t.loop) < UTC(600); wakes++) {
		assert_true(t.loop->timers->deadline > was);
		was = t.loop->timers->deadline;
		devtest_advance(&t, was - loop_now(t.loop));
	}
	assert_in_range(wakes, 1, 61);
	assert_false(devtest_irq(&t));
	devtest_fini(&t);
}

static void other_sizes_are_not_answered(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t, UTC(NOW));
	assert_int_equal(devtest_mmio_read(&t, BASE, 1), 0xff);
	assert_int_equal(devtest_mmio_read(&t, BASE, 8), UINT64_MAX);
	devtest_mmio_write(&t, BASE + IMSC, 2, 1);
	assert_int_equal(get(&t, IMSC), 0);
	assert_int_equal(get(&t, DR + 1), 0); /* not aligned: no register */
	devtest_fini(&t);
}

static void it_switches_its_timer_off_when_destroyed(void **state)
{
	struct devtest t;

	(void)state;
	setup(&t, UTC(NOW));
	put(&t, MR, NOW + 5);
	put(&t, IMSC, 1);
	assert_true(devtest_timer_armed(&t));
	dev_destroy(t.dev);
	t.dev = NULL;
	assert_false(devtest_timer_armed(&t));
	devtest_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_comes_running_with_the_hosts_time),
		cmocka_unit_test(it_says_that_it_is_a_pl031),
		cmocka_unit_test(the_guest_sets_its_clock),
		cmocka_unit_test(the_alarm_rings_in_its_second_and_until_it_is_cleared),
		cmocka_unit_test(a_masked_alarm_shows_and_costs_no_timer),
		cmocka_unit_test(an_alarm_for_now_rings_at_once),
		cmocka_unit_test(setting_the_clock_past_the_alarm_does_not_ring_it),
		cmocka_unit_test(the_alarm_survives_a_host_clock_that_is_set),
		cmocka_unit_test(a_clock_that_jumps_further_than_it_counts_rings),
		cmocka_unit_test(a_timer_for_an_alarm_years_away_is_not_idle_work),
		cmocka_unit_test(other_sizes_are_not_answered),
		cmocka_unit_test(it_switches_its_timer_off_when_destroyed),
	};

	return cmocka_run_group_tests_name("pl031", tests, NULL, NULL);
}
