/*
 * The small devices of a board, played by a driver over the bus, on virtual time: i8042,
 * mc146818, acpi_pm, debug_exit, pvpanic on a bus and as a PCI function.
 *
 * Does not prove that they sit at the right ports of a machine, that its tables announce
 * them, or what the machine does about their events: booting guests does (check-kvm, check-bed).
 */
#include "tests/unit/devtest.h"

#include <errno.h>

#include "devices/acpi_pm.h"
#include "devices/classes.h"
#include "devices/pci.h"
#include "tests/unit/pcidriver.h"

/* ---- what all of them rely on ---- */

static void an_interrupt_line_that_no_controller_has_is_refused(void **state)
{
	struct lkvm_error err = { 0 };
	struct dev_slot slot = { .cls = &debug_exit_class, .name = "d" };
	struct devtest t;

	(void)state;
	devtest_init(&t, 0);
	slot.irq_chip = &t.chip;
	slot.gsi = IRQ_MAX_GSI;
	assert_int_equal(dev_create(&t.dev, &slot, &t.env, &err), -EINVAL);
	assert_null(t.dev);
	assert_string_not_equal(err.msg, "");
	slot.gsi--;
	assert_int_equal(dev_create(&t.dev, &slot, &t.env, &err), 0);
	irq_set(&t.dev->irq, true);
	assert_true(t.level[IRQ_MAX_GSI - 1]);
	devtest_fini(&t);
}

static void the_bus_says_who_answered_and_when_nobody_did(void **state)
{
	struct devtest t;
	struct dev *dev;

	(void)state;
	devtest_init(&t, 0);
	devtest_plug(&t, &(struct dev_slot){ .cls = &debug_exit_class,
					     .name = "d",
					     .ranges = { { &t.ports, 0xf4, 4, BUS_SIZE_1, 0 } } });
	dev = NULL;
	assert_int_equal(bus_read(&t.ports, 0xf4, 1, &dev), 0);
	assert_ptr_equal(dev, t.dev);
	assert_int_equal(bus_read(&t.ports, 0xf4, 2, &dev), 0xffff);
	assert_null(dev);
	bus_write(&t.ports, 0xf5, 1, 0, &dev);
	assert_ptr_equal(dev, t.dev);
	bus_write(&t.ports, 0xf8, 1, 0, &dev);
	assert_null(dev);
	devtest_fini(&t);
}

static void a_device_lives_on_the_loop_of_its_env(void **state)
{
	struct loop *own;
	struct devtest t;

	(void)state;
	devtest_init(&t, 0);
	assert_int_equal(loop_create(&own, LOOP_MANUAL, NULL), 0);
	t.env.loop = own;
	devtest_plug(&t, &(struct dev_slot){
				 .cls = &acpi_pm_class,
				 .name = "acpi-pm",
				 .ranges = { { &t.ports, 0x600, ACPI_PM_LEN, BUS_SIZE_ANY, 0 } } });
	devtest_out(&t, 0x600 + ACPI_PM1_EVT + ACPI_PM1_EVT_LEN / 2, 2, 1);
	assert_false(devtest_timer_armed(&t));
	devtest_advance(&t, 2000 * NSEC_PER_SEC); /* the timer's carry comes every 600 s */
	assert_int_equal(devtest_in(&t, 0x600 + ACPI_PM_TMR, 4), 0);
	assert_false(devtest_irq(&t));
	loop_manual_advance(own, 1000 * NSEC_PER_SEC);
	assert_true(devtest_irq(&t));
	dev_destroy(t.dev);
	t.dev = NULL;
	assert_null(own->timers);
	loop_destroy(own);
	devtest_fini(&t);
}

/* ---- i8042 ---- */

#define KBC_DATA 0x60
#define KBC_CMD	 0x64

static void kbc_setup(struct devtest *t)
{
	devtest_init(t, 0);
	devtest_plug(t, &(struct dev_slot){
				.cls = &i8042_class,
				.name = "i8042",
				.ranges = { { &t->ports, KBC_DATA, 1, BUS_SIZE_1, I8042_TAG_DATA },
					    { &t->ports, KBC_CMD, 1, BUS_SIZE_1, I8042_TAG_CMD } },
			});
}

static void i8042_resets_on_any_pulse_of_the_reset_line(void **state)
{
	(void)state;
	for (unsigned int cmd = 0; cmd < 0x100; cmd++) {
		struct devtest t;
		bool resets = cmd >= 0xf0 && cmd % 2 == 0;

		kbc_setup(&t);
		devtest_out(&t, KBC_CMD, 1, cmd);
		assert_int_equal(t.n_events, resets);
		if (resets)
			assert_int_equal(t.events[0].event, DEV_EVENT_RESET);
		devtest_fini(&t);
	}
}

static void i8042_resets_when_the_output_port_drops_the_reset_line(void **state)
{
	struct devtest t;

	(void)state;
	kbc_setup(&t);
	devtest_out(&t, KBC_CMD, 1, 0xd1);
	devtest_out(&t, KBC_DATA, 1, 0xdf); /* what A20 code writes */
	assert_int_equal(t.n_events, 0);
	devtest_out(&t, KBC_DATA, 1, 0xfe); /* the command took one byte, this is another's */
	assert_int_equal(t.n_events, 0);
	devtest_out(&t, KBC_CMD, 1, 0xd1);
	devtest_out(&t, KBC_CMD, 1, 0x20);
	devtest_out(&t, KBC_DATA, 1, 0xfe);
	assert_int_equal(t.n_events, 0);
	devtest_out(&t, KBC_CMD, 1, 0xd1);
	devtest_out(&t, KBC_DATA, 1, 0xfe);
	assert_int_equal(t.n_events, 1);
	assert_int_equal(t.events[0].event, DEV_EVENT_RESET);
	devtest_fini(&t);
}

static void i8042_is_never_busy_and_never_has_data(void **state)
{
	static const u8 cmds[] = { 0x20, 0x60, 0xa1, 0xa7, 0xa9, 0xaa, 0xab, 0xd0, 0xd3, 0xd4 };
	struct devtest t;

	(void)state;
	kbc_setup(&t);
	assert_int_equal(devtest_in(&t, KBC_CMD, 1) & 0x0f, 0x04);
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		devtest_out(&t, KBC_CMD, 1, cmds[i]);
		assert_int_equal(devtest_in(&t, KBC_CMD, 1) & 0x0f, 0x0c);
		devtest_out(&t, KBC_DATA, 1, 0xff);
		assert_int_equal(devtest_in(&t, KBC_CMD, 1) & 0x0f, 0x04);
		assert_int_equal(devtest_in(&t, KBC_DATA, 1), 0);
	}
	assert_int_equal(t.n_events, 0);
	devtest_fini(&t);
}

/* ---- debug_exit ---- */

static void debug_exit_verdict_is_the_value_as_written(void **state)
{
	static const struct {
		unsigned int size;
		u32 value;
	} writes[] = { { 1, 0 }, { 1, 0xff }, { 2, 0x1234 }, { 4, 0xdeadbeef }, { 4, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		struct devtest t;

		devtest_init(&t, 0);
		devtest_plug(&t, &(struct dev_slot){
					 .cls = &debug_exit_class,
					 .name = "debug-exit",
					 .ranges = { { &t.ports, 0xf4, 4,
						       BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4, 0 } },
				 });
		assert_int_equal(devtest_in(&t, 0xf4, 1), 0);
		assert_int_equal(devtest_in(&t, 0xf4, 4), 0);
		devtest_out(&t, 0xf5, 1, 7); /* not the port itself */
		assert_int_equal(t.n_events, 0);
		devtest_out(&t, 0xf4, writes[i].size, writes[i].value);
		assert_int_equal(t.n_events, 1);
		assert_int_equal(t.events[0].event, DEV_EVENT_VERDICT);
		assert_int_equal(t.events[0].value, writes[i].value);
		devtest_fini(&t);
	}
}

/* ---- pvpanic ---- */

static void pvpanic_reports_a_panic_but_not_a_crash_kernel_taking_over(void **state)
{
	struct devtest t;

	(void)state;
	devtest_init(&t, 0);
	devtest_plug(&t, &(struct dev_slot){
				 .cls = &pvpanic_class,
				 .name = "pvpanic",
				 .ranges = { { &t.ports, 0x505, 1, BUS_SIZE_1, 0 } },
			 });
	assert_int_equal(devtest_in(&t, 0x505, 1), 3);
	devtest_out(&t, 0x505, 1, 0xfc); /* bits that the read did not offer */
	assert_int_equal(t.n_events + t.n_msgs, 0);
	devtest_out(&t, 0x505, 1, 2);
	assert_int_equal(t.n_events, 0);
	assert_int_equal(t.n_msgs, 1);
	devtest_out(&t, 0x505, 1, 1);
	assert_int_equal(t.n_events, 1);
	assert_int_equal(t.events[0].event, DEV_EVENT_PANIC);
	devtest_fini(&t);
}

static void pvpanic_of_two_bytes_uses_the_first(void **state)
{
	struct devtest t;

	(void)state;
	devtest_init(&t, 0);
	devtest_plug(&t, &(struct dev_slot){
				 .cls = &pvpanic_class,
				 .name = "pvpanic",
				 .ranges = { { &t.mmio, 0x1040000, 2, BUS_SIZE_1, 0 } },
			 });
	assert_int_equal(devtest_mmio_read(&t, 0x1040000, 1), 3);
	assert_int_equal(devtest_mmio_read(&t, 0x1040001, 1), 0);
	devtest_mmio_write(&t, 0x1040001, 1, 1);
	assert_int_equal(t.n_events, 0);
	devtest_mmio_write(&t, 0x1040000, 1, 1);
	assert_int_equal(t.n_events, 1);
	devtest_fini(&t);
}

#define PCI_ECAM   0x40000000
#define PCI_WINDOW 0x50000000
#define PCI_SLOT   31

struct pci_board {
	struct devtest t;
	struct pci_bus bus;
	struct dev *host;
	struct pcid pvpanic;
};

static void pci_setup(struct pci_board *b)
{
	struct lkvm_error err = { 0 };

	devtest_init(&b->t, 0);
	pci_bus_init(&b->bus, &b->t.mmio, &b->t.gmem, PCI_WINDOW, MIB);
	assert_int_equal(
		dev_create(&b->host,
			   &(struct dev_slot){ .cls = &pci_host_class,
					       .name = "pci",
					       .ranges = { { &b->t.mmio, PCI_ECAM, MIB,
							     BUS_SIZE_ANY, PCI_HOST_TAG_ECAM } },
					       .cfg = &(struct pci_host_cfg){ .bus = &b->bus } },
			   &b->t.env, &err),
		0);
	assert_int_equal(dev_create(&b->t.dev,
				    &(struct dev_slot){
					    .cls = &pvpanic_pci_class,
					    .name = "pvpanic",
					    .cfg = &(struct pvpanic_pci_cfg){ &b->bus, PCI_SLOT } },
				    &b->t.env, &err),
			 0);
	b->pvpanic = (struct pcid){ &b->t.ports, &b->t.mmio, PCI_ECAM, PCI_SLOT };
}

static void pci_teardown(struct pci_board *b)
{
	dev_destroy(b->t.dev);
	b->t.dev = b->host;
	assert_null(b->bus.slots[PCI_SLOT]);
	devtest_fini(&b->t);
}

static void pvpanic_pci_is_what_its_driver_looks_for(void **state)
{
	struct pci_board b;
	u32 bar;

	(void)state;
	pci_setup(&b);
	assert_int_equal(pcid_read(&b.pvpanic, PCID_VENDOR, 4), 0x00111b36);
	assert_int_equal(pcid_read(&b.pvpanic, PCID_CLASS, 4) >> 8, 0x088000);
	assert_int_equal(pcid_read(&b.pvpanic, PCID_INTERRUPT_PIN, 1), 0);
	bar = pcid_bar(&b.pvpanic, 0);
	assert_in_range(bar, PCI_WINDOW, PCI_WINDOW + MIB - 1);
	assert_int_equal(devtest_mmio_read(&b.t, bar, 1), 0xff); /* not decoded yet */
	pcid_command(&b.pvpanic, PCID_MEMORY);
	assert_int_equal(devtest_mmio_read(&b.t, bar, 1), 3);
	assert_int_equal(devtest_mmio_read(&b.t, bar + 4, 4), 0);
	devtest_mmio_write(&b.t, bar + 1, 1, 1);
	devtest_mmio_write(&b.t, bar, 1, 2);
	assert_int_equal(b.t.n_events, 0);
	devtest_mmio_write(&b.t, bar, 1, 1);
	assert_int_equal(b.t.n_events, 1);
	assert_int_equal(b.t.events[0].event, DEV_EVENT_PANIC);
	pci_teardown(&b);
}

static void pvpanic_pci_follows_its_bar_and_configuration_is_no_register(void **state)
{
	struct pci_board b;

	(void)state;
	pci_setup(&b);
	pcid_command(&b.pvpanic, PCID_MEMORY);
	pcid_move(&b.pvpanic, 0, PCI_WINDOW + 0x80000);
	assert_int_equal(devtest_mmio_read(&b.t, PCI_WINDOW + 0x80000, 1), 3);
	for (u32 off = 0; off < 256; off++)
		pcid_write(&b.pvpanic, off, 1, 1);
	assert_int_equal(b.t.n_events, 0);
	pcid_command(&b.pvpanic, 0);
	devtest_mmio_write(&b.t, PCI_WINDOW + 0x80000, 1, 1);
	assert_int_equal(b.t.n_events, 0);
	pci_teardown(&b);
}

/* ---- acpi_pm ---- */

#define PM_BASE 0x600
#define PM_STS	(PM_BASE + ACPI_PM1_EVT)
#define PM_EN	(PM_STS + ACPI_PM1_EVT_LEN / 2)
#define PM_CNT	(PM_BASE + ACPI_PM1_CNT)
#define PM_TMR	(PM_BASE + ACPI_PM_TMR)

#define CNT_SCI_EN 0x0001
#define CNT_SLP_EN 0x2000
#define CNT_S5	   (ACPI_PM_SLP_TYP_S5 << 10)

static void pm_setup(struct devtest *t)
{
	devtest_init(t, 0);
	devtest_plug(t, &(struct dev_slot){
				.cls = &acpi_pm_class,
				.name = "acpi-pm",
				.ranges = { { &t->ports, PM_BASE, ACPI_PM_LEN,
					      BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4, 0 } },
			});
}

static void acpi_pm_powers_off_on_s5_with_slp_en_only(void **state)
{
	struct devtest t;

	(void)state;
	pm_setup(&t);
	devtest_out(&t, PM_CNT, 2, CNT_S5);
	assert_int_equal(t.n_events, 0);
	for (u64 type = 0; type < 8; type++) {
		devtest_out(&t, PM_CNT, 2, type << 10 | CNT_SLP_EN);
		assert_int_equal(t.n_events, type >= ACPI_PM_SLP_TYP_S5);
	}
	assert_int_equal(t.events[0].event, DEV_EVENT_POWEROFF);
	devtest_fini(&t);
}

static void acpi_pm_control_takes_halves_and_neighbours(void **state)
{
	struct devtest t;

	(void)state;
	pm_setup(&t);
	devtest_out(&t, PM_CNT + 1, 1, (CNT_S5 | CNT_SLP_EN) >> 8);
	assert_int_equal(t.n_events, 1);
	devtest_out(&t, PM_EN, 4, (u32)(CNT_S5 | CNT_SLP_EN) << 16);
	assert_int_equal(t.n_events, 2);
	assert_int_equal(t.events[1].event, DEV_EVENT_POWEROFF);
	devtest_fini(&t);
}

static void acpi_pm_control_is_always_in_acpi_mode(void **state)
{
	struct devtest t;

	(void)state;
	pm_setup(&t);
	assert_int_equal(devtest_in(&t, PM_CNT, 2), CNT_SCI_EN);
	devtest_out(&t, PM_CNT, 2, 3 << 10 | CNT_SLP_EN);
	assert_int_equal(devtest_in(&t, PM_CNT, 2), 3 << 10 | CNT_SCI_EN);
	devtest_out(&t, PM_CNT, 1, 0); /* the low half leaves SLP_TYP alone */
	assert_int_equal(devtest_in(&t, PM_CNT, 2), 3 << 10 | CNT_SCI_EN);
	devtest_fini(&t);
}

static void acpi_pm_resets_on_the_reset_value_only(void **state)
{
	struct devtest t;

	(void)state;
	pm_setup(&t);
	for (unsigned int val = 0; val < 0x100; val++)
		if (val != ACPI_PM_RESET_VALUE)
			devtest_out(&t, PM_BASE + ACPI_PM_RESET, 1, val);
	devtest_out(&t, PM_BASE + ACPI_PM_RESET + 1, 1, ACPI_PM_RESET_VALUE);
	assert_int_equal(t.n_events, 0);
	devtest_out(&t, PM_BASE + ACPI_PM_RESET, 1, ACPI_PM_RESET_VALUE);
	assert_int_equal(t.n_events, 1);
	assert_int_equal(t.events[0].event, DEV_EVENT_RESET);
	devtest_fini(&t);
}

static void acpi_pm_timer_counts_at_its_rate_and_wraps_at_32_bits(void **state)
{
	struct devtest t;

	(void)state;
	pm_setup(&t);
	assert_int_equal(devtest_in(&t, PM_TMR, 4), 0);
	devtest_advance(&t, NSEC_PER_SEC / 2);
	assert_int_equal(devtest_in(&t, PM_TMR, 4), ACPI_PM_TMR_HZ / 2);
	devtest_advance(&t, NSEC_PER_SEC / 2);
	assert_int_equal(devtest_in(&t, PM_TMR, 4), ACPI_PM_TMR_HZ);
	assert_int_equal(devtest_in(&t, PM_TMR, 2), ACPI_PM_TMR_HZ & 0xffff);
	devtest_advance(&t, 1999 * NSEC_PER_SEC);
	assert_int_equal(devtest_in(&t, PM_TMR, 4), (u32)(2000ull * ACPI_PM_TMR_HZ));
	devtest_out(&t, PM_TMR, 4, 0); /* read only */
	assert_int_equal(devtest_in(&t, PM_TMR, 4), (u32)(2000ull * ACPI_PM_TMR_HZ));
	devtest_fini(&t);
}

/* The first nanosecond at which bit 31 of the timer is set. */
#define PM_CARRY_NS ((BIT(31) * NSEC_PER_SEC + ACPI_PM_TMR_HZ - 1) / ACPI_PM_TMR_HZ)

static void acpi_pm_timer_carry_is_seen_without_a_host_timer(void **state)
{
	struct devtest t;

	(void)state;
	pm_setup(&t);
	devtest_advance(&t, PM_CARRY_NS - 1);
	assert_int_equal(devtest_in(&t, PM_STS, 2), 0);
	devtest_advance(&t, 1);
	assert_int_equal(devtest_in(&t, PM_TMR, 4), BIT(31));
	assert_int_equal(devtest_in(&t, PM_STS, 2), 1);
	assert_false(devtest_timer_armed(&t));
	assert_false(devtest_irq(&t));
	devtest_out(&t, PM_STS, 2, 0xfffe); /* write one to clear: not this one */
	assert_int_equal(devtest_in(&t, PM_STS, 2), 1);
	devtest_out(&t, PM_STS, 2, 1);
	assert_int_equal(devtest_in(&t, PM_STS, 2), 0);
	devtest_advance(&t, PM_CARRY_NS); /* back to 0 */
	assert_int_equal(devtest_in(&t, PM_STS, 2), 1);
	devtest_fini(&t);
}

static void acpi_pm_timer_carry_raises_the_sci_when_enabled(void **state)
{
	struct devtest t;

	(void)state;
	pm_setup(&t);
	devtest_out(&t, PM_EN, 2, 0xffff);
	assert_int_equal(devtest_in(&t, PM_EN, 2), 0x0721); /* the bits that exist */
	assert_true(devtest_timer_armed(&t));
	devtest_advance(&t, PM_CARRY_NS - 1);
	assert_false(devtest_irq(&t));
	devtest_advance(&t, 1);
	assert_true(devtest_irq(&t));
	assert_false(devtest_timer_armed(&t)); /* nothing new to say until the guest has listened */
	devtest_out(&t, PM_STS, 4, 0x07210001); /* status and enable in one access */
	assert_false(devtest_irq(&t));
	assert_true(devtest_timer_armed(&t));
	devtest_out(&t, PM_EN, 2, 0);
	assert_false(devtest_timer_armed(&t));
	devtest_fini(&t);
}

/* ---- mc146818 ---- */

#define RTC_PORT 0x70

enum { SEC, SEC_AL, MIN, MIN_AL, HOUR, HOUR_AL, WDAY, MDAY, MONTH, YEAR, A, B, C, D, CENT = 0x32 };

#define B_SET 0x80
#define B_PIE 0x40
#define B_AIE 0x20
#define B_UIE 0x10
#define B_BIN 0x04
#define B_24H 0x02
#define IRQF  0x80

#define UTC(s)	  ((u64)(s)*NSEC_PER_SEC)
#define LEAP_DAY  UTC(1709251198) /* Thursday 2024-02-29 23:59:58 */
#define CENTURY_S UTC(946684799)  /* Friday 1999-12-31 23:59:59 */

static void rtc_setup(struct devtest *t, u64 utc_ns)
{
	devtest_init(t, utc_ns);
	devtest_plug(t, &(struct dev_slot){
				.cls = &mc146818_class,
				.name = "rtc",
				.ranges = { { &t->ports, RTC_PORT, 2, BUS_SIZE_1, 0 } },
			});
}

static u8 get(struct devtest *t, u8 reg)
{
	devtest_out(t, RTC_PORT, 1, reg);
	return (u8)devtest_in(t, RTC_PORT + 1, 1);
}

static void put(struct devtest *t, u8 reg, u8 val)
{
	devtest_out(t, RTC_PORT, 1, reg);
	devtest_out(t, RTC_PORT + 1, 1, val);
}

/* Registers as "CCYY-MM-DD w hh:mm:ss" in hex: what BCD looks like when printed. */
static void assert_registers(struct devtest *t, const char *want)
{
	char have[40];

	snprintf(have, sizeof(have), "%02x%02x-%02x-%02x %x %02x:%02x:%02x", get(t, CENT),
		 get(t, YEAR), get(t, MONTH), get(t, MDAY), get(t, WDAY), get(t, HOUR), get(t, MIN),
		 get(t, SEC));
	assert_string_equal(have, want);
}

static void set_date(struct devtest *t, u8 cent, u8 year, u8 month, u8 mday)
{
	put(t, CENT, cent);
	put(t, YEAR, year);
	put(t, MONTH, month);
	put(t, MDAY, mday);
}

static void set_time(struct devtest *t, u8 hour, u8 min, u8 sec)
{
	put(t, HOUR, hour);
	put(t, MIN, min);
	put(t, SEC, sec);
}

static void set_alarm(struct devtest *t, u8 hour, u8 min, u8 sec)
{
	put(t, HOUR_AL, hour);
	put(t, MIN_AL, min);
	put(t, SEC_AL, sec);
}

static void rtc_shows_utc_in_bcd_and_24_hours_at_power_on(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	assert_registers(&t, "2024-02-29 5 23:59:58");
	assert_int_equal(get(&t, A), 0x26);
	assert_int_equal(get(&t, B), B_24H);
	assert_int_equal(get(&t, D), 0x80);
	devtest_advance(&t, UTC(2));
	assert_registers(&t, "2024-03-01 6 00:00:00");
	devtest_fini(&t);
}

static void rtc_shows_every_day_of_four_centuries(void **state)
{
	static const unsigned int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned int wday = 5; /* 1970-01-01 was a Thursday */
	struct devtest t;

	(void)state;
	rtc_setup(&t, UTC(12 * 3600));
	put(&t, B, B_24H | B_BIN);
	for (unsigned int year = 1970; year < 2370; year++) {
		bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

		for (unsigned int month = 1; month <= 12; month++) {
			unsigned int n = days[month - 1] + (month == 2 && leap);

			for (unsigned int mday = 1; mday <= n; mday++) {
				assert_int_equal(get(&t, CENT) * 100 + get(&t, YEAR), year);
				assert_int_equal(get(&t, MONTH), month);
				assert_int_equal(get(&t, MDAY), mday);
				assert_int_equal(get(&t, WDAY), wday);
				assert_int_equal(get(&t, HOUR), 12);
				wday = wday % 7 + 1;
				t.utc_ns += UTC(86400);
			}
		}
	}
	devtest_fini(&t);
}

static void rtc_knows_binary_and_12_hour_formats(void **state)
{
	static const struct {
		u8 hour, h12_bcd, h12_bin;
	} hours[] = { { 0, 0x12, 12 },	  { 1, 0x01, 1 },     { 11, 0x11, 11 },
		      { 12, 0x92, 0x8c }, { 13, 0x81, 0x81 }, { 23, 0x91, 0x8b } };
	struct devtest t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hours); i++) {
		rtc_setup(&t, UTC(hours[i].hour * 3600 + 42));
		put(&t, B, 0);
		assert_int_equal(get(&t, HOUR), hours[i].h12_bcd);
		put(&t, B, B_BIN);
		assert_int_equal(get(&t, HOUR), hours[i].h12_bin);
		assert_int_equal(get(&t, SEC), 42);
		put(&t, HOUR, 5); /* away, and back by writing what was read */
		put(&t, HOUR, hours[i].h12_bin);
		put(&t, B, B_BIN | B_24H);
		assert_int_equal(get(&t, HOUR), hours[i].hour);
		devtest_fini(&t);
	}
}

static void rtc_keeps_the_time_that_the_guest_set(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	put(&t, B, B_SET | B_24H);
	devtest_advance(&t, UTC(5)); /* it stands still meanwhile */
	assert_registers(&t, "2024-02-29 5 23:59:58");
	set_date(&t, 0x99, 0x99, 0x12, 0x31);
	set_time(&t, 0x23, 0x59, 0x58);
	put(&t, B, B_24H);
	assert_registers(&t, "9999-12-31 6 23:59:58");
	devtest_advance(&t, UTC(1));
	assert_registers(&t, "9999-12-31 6 23:59:59");
	put(&t, B, B_SET | B_24H);
	set_date(&t, 0x00, 0x00, 0x01, 0x01);
	put(&t, B, B_24H);
	assert_registers(&t, "0000-01-01 7 23:59:59");
	devtest_fini(&t);
}

static void rtc_takes_single_registers_without_set(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	put(&t, MIN, 0x30);
	devtest_advance(&t, UTC(3));
	assert_registers(&t, "2024-02-29 5 23:31:01");
	devtest_fini(&t);
}

static void rtc_updates_half_a_second_after_the_divider_is_let_go(void **state)
{
	struct devtest t;

	(void)state;
	/* The order in which Linux sets a clock. */
	rtc_setup(&t, LEAP_DAY + 123456789);
	put(&t, B, B_SET | B_24H);
	put(&t, A, 0x76);
	set_time(&t, 0x12, 0x00, 0x00);
	put(&t, B, B_24H);
	devtest_advance(&t, UTC(7));
	assert_registers(&t, "2024-02-29 5 12:00:00");
	put(&t, A, 0x26);
	devtest_advance(&t, NSEC_PER_SEC / 2 - 1);
	assert_registers(&t, "2024-02-29 5 12:00:00");
	devtest_advance(&t, 1);
	assert_registers(&t, "2024-02-29 5 12:00:01");
	devtest_advance(&t, NSEC_PER_SEC - 1);
	assert_registers(&t, "2024-02-29 5 12:00:01");
	devtest_advance(&t, 1);
	assert_registers(&t, "2024-02-29 5 12:00:02");
	devtest_fini(&t);
}

static void rtc_survives_registers_full_of_nonsense(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	for (unsigned int mode = 0; mode < 8; mode += 2) {
		for (unsigned int val = 0; val < 0x100; val++) {
			put(&t, B, (u8)(B_SET | B_AIE | mode));
			for (u8 reg = SEC; reg <= YEAR; reg++)
				put(&t, reg, (u8)val);
			put(&t, CENT, (u8)(val ^ mode));
			put(&t, B, (u8)(B_AIE | mode));
			devtest_advance(&t, UTC(2));
			assert_true(get(&t, C) & B_UIE);
			for (u8 reg = SEC; reg <= YEAR; reg++)
				get(&t, reg);
		}
	}
	devtest_fini(&t);
}

static void rtc_announces_an_update_before_it_happens(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	assert_int_equal(get(&t, A) & 0x80, 0);
	devtest_advance(&t, NSEC_PER_SEC - 2228001);
	assert_int_equal(get(&t, A) & 0x80, 0);
	devtest_advance(&t, 1);
	assert_int_equal(get(&t, A) & 0x80, 0x80);
	devtest_advance(&t, 2227999);
	assert_int_equal(get(&t, A) & 0x80, 0x80);
	assert_int_equal(get(&t, SEC), 0x58);
	put(&t, B, B_SET | B_24H); /* no update is coming now */
	assert_int_equal(get(&t, A) & 0x80, 0);
	put(&t, B, B_24H);
	devtest_advance(&t, 1);
	assert_int_equal(get(&t, A) & 0x80, 0);
	assert_int_equal(get(&t, SEC), 0x59);
	devtest_fini(&t);
}

static void rtc_flags_show_without_interrupts_and_without_a_host_timer(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	set_alarm(&t, 0x23, 0x59, 0x59);
	put(&t, A, 0x20); /* no periodic flag */
	get(&t, C);
	assert_int_equal(get(&t, C), 0);
	devtest_advance(&t, UTC(1));
	assert_int_equal(get(&t, C), B_UIE | B_AIE);
	assert_int_equal(get(&t, C), 0);
	devtest_advance(&t, UTC(1));
	assert_int_equal(get(&t, C), B_UIE);
	devtest_advance(&t, UTC(3 * 86400)); /* nobody looked for days */
	assert_int_equal(get(&t, C), B_UIE | B_AIE);
	assert_false(devtest_timer_armed(&t));
	assert_int_equal(t.n_raised[DEVTEST_GSI], 0);
	devtest_fini(&t);
}

static void rtc_update_interrupt_comes_every_second_until_read(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY + 250 * NSEC_PER_MSEC);
	put(&t, A, 0x20);
	put(&t, HOUR_AL, 0x12); /* not now */
	put(&t, B, B_24H | B_UIE);
	devtest_advance(&t, 750 * NSEC_PER_MSEC - 1);
	assert_false(devtest_irq(&t));
	devtest_advance(&t, 1);
	assert_true(devtest_irq(&t));
	assert_false(devtest_timer_armed(&t)); /* a guest that never listens costs nothing */
	devtest_advance(&t, UTC(10));
	assert_int_equal(t.n_raised[DEVTEST_GSI], 1);
	assert_int_equal(get(&t, C), IRQF | B_UIE);
	assert_false(devtest_irq(&t));
	devtest_advance(&t, UTC(1));
	assert_int_equal(t.n_raised[DEVTEST_GSI], 2);
	put(&t, B, B_24H); /* disabled while up */
	assert_false(devtest_irq(&t));
	assert_false(devtest_timer_armed(&t));
	assert_int_equal(get(&t, C), B_UIE);
	devtest_fini(&t);
}

static void rtc_set_stops_update_interrupts(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	put(&t, B, B_24H | B_UIE);
	put(&t, B, B_SET | B_24H | B_UIE);
	assert_int_equal(get(&t, B), B_SET | B_24H); /* SET clears UIE (data sheet, register B) */
	assert_false(devtest_timer_armed(&t));
	devtest_advance(&t, UTC(5));
	assert_int_equal(get(&t, C) & B_UIE, 0);
	devtest_fini(&t);
}

static void rtc_alarm_interrupt_at_its_second(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	put(&t, A, 0x20);
	set_alarm(&t, 0x00, 0x00, 0x10);
	put(&t, B, B_24H | B_AIE);
	for (int s = 1; s <= 12; s++) {
		devtest_advance(&t, NSEC_PER_SEC - 1);
		assert_int_equal(devtest_irq(&t), s > 12);
		devtest_advance(&t, 1);
		assert_int_equal(devtest_irq(&t), s == 12);
	}
	assert_int_equal(get(&t, C), IRQF | B_AIE | B_UIE);
	assert_false(devtest_irq(&t));
	devtest_fini(&t);
}

static void rtc_alarm_dont_care_codes_match_anything(void **state)
{
	static const struct {
		u8 hour, min, sec;
		unsigned int per_day;
	} alarms[] = { { 0xff, 0xff, 0xff, 0 }, /* 86400, see below */
		       { 0x07, 0x30, 0x00, 1 },	   { 0xc0, 0x30, 0x00, 24 },
		       { 0x07, 0xc0, 0x15, 60 },   { 0x07, 0x30, 0xfe, 60 },
		       { 0xff, 0xff, 0x15, 1440 }, { 0x07, 0x30, 0x60, 0 }, /* no such second */
		       { 0xbf, 0xff, 0xff, 0 } }; /* not a don't care code */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(alarms); i++) {
		unsigned int want = i ? alarms[i].per_day : 86400, n = 0;
		struct devtest t;

		rtc_setup(&t, LEAP_DAY);
		put(&t, A, 0x20);
		set_alarm(&t, alarms[i].hour, alarms[i].min, alarms[i].sec);
		put(&t, B, B_24H | B_AIE);
		for (int s = 0; s < 86400; s++) {
			devtest_advance(&t, UTC(1));
			if (devtest_irq(&t)) {
				n++;
				get(&t, C);
			}
		}
		assert_int_equal(n, want);
		devtest_fini(&t);
	}
}

static void rtc_alarm_survives_a_host_clock_that_is_set(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	put(&t, A, 0x20);
	set_alarm(&t, 0x07, 0x30, 0x00);
	put(&t, B, B_24H | B_AIE);
	t.utc_ns += UTC(7 * 3600 + 30 * 60); /* 07:29:58 */
	devtest_advance(&t, UTC(1));
	assert_false(devtest_irq(&t));
	devtest_advance(&t, UTC(1));
	assert_true(devtest_irq(&t));
	get(&t, C);
	t.utc_ns -= UTC(100); /* and backwards: an update, but no alarm */
	devtest_advance(&t, UTC(1));
	assert_false(devtest_irq(&t));
	assert_int_equal(get(&t, C), B_UIE);
	devtest_advance(&t, UTC(99));
	assert_true(devtest_irq(&t));
	devtest_fini(&t);
}

static void rtc_periodic_interrupt_at_every_rate(void **state)
{
	/* Table 5 of the data sheet, 32.768 kHz: interrupts in two seconds. */
	static const unsigned int per_2s[] = { 0,   512, 256, 16384, 8192, 4096, 2048, 1024,
					       512, 256, 128, 64,    32,   16,	 8,    4 };
	struct devtest t;

	(void)state;
	for (u8 rate = 0; rate < 16; rate++) {
		unsigned int n = 0;

		rtc_setup(&t, LEAP_DAY);
		put(&t, A, 0x20 | rate);
		put(&t, B, B_24H | B_PIE);
		assert_int_equal(devtest_timer_armed(&t), rate != 0);
		for (u64 at = 0, step; at < UTC(2); at += step) {
			step = min_u64(61000, UTC(2) - at); /* half of the shortest period */
			devtest_advance(&t, step);
			if (!devtest_irq(&t))
				continue;
			assert_int_equal(get(&t, C) & (IRQF | B_PIE), IRQF | B_PIE);
			n++;
		}
		assert_int_equal(n, per_2s[rate]);
		devtest_fini(&t);
	}
}

static void rtc_periodic_interrupt_stops_with_the_divider(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	put(&t, B, B_24H | B_PIE);
	put(&t, A, 0x66);
	get(&t, C);
	assert_false(devtest_timer_armed(&t));
	devtest_advance(&t, UTC(1));
	assert_int_equal(get(&t, C), 0);
	devtest_fini(&t);
}

static void rtc_ram_holds_what_is_written_but_for_registers_that_cannot(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	for (u8 reg = D + 1; reg < 128; reg++)
		if (reg != CENT)
			put(&t, reg | 0x80, reg ^ 0x5a); /* the NMI mask is not part of the index */
	for (u8 reg = D + 1; reg < 128; reg++)
		if (reg != CENT)
			assert_int_equal(get(&t, reg), reg ^ 0x5a);
	put(&t, C, 0xff);
	assert_int_equal(get(&t, C) & 0x0f, 0);
	put(&t, D, 0);
	assert_int_equal(get(&t, D), 0x80);
	put(&t, A, 0xff);
	assert_int_equal(get(&t, A), 0x7f);
	assert_int_equal(devtest_in(&t, RTC_PORT, 1), 0xff);
	devtest_fini(&t);
}

static void rtc_is_the_same_on_a_bus_of_memory(void **state)
{
	struct devtest t;

	(void)state;
	devtest_init(&t, LEAP_DAY);
	devtest_plug(&t, &(struct dev_slot){
				 .cls = &mc146818_class,
				 .name = "rtc",
				 .ranges = { { &t.mmio, 0x1010000, 2, BUS_SIZE_1, 0 } },
			 });
	devtest_mmio_write(&t, 0x1010000, 1, HOUR);
	assert_int_equal(devtest_mmio_read(&t, 0x1010001, 1), 0x23);
	devtest_fini(&t);
}

static void rtc_switches_its_timer_off_when_destroyed(void **state)
{
	struct devtest t;

	(void)state;
	rtc_setup(&t, LEAP_DAY);
	put(&t, B, B_24H | B_PIE | B_AIE | B_UIE);
	assert_true(devtest_timer_armed(&t));
	dev_destroy(t.dev);
	t.dev = NULL;
	assert_false(devtest_timer_armed(&t));
	devtest_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_interrupt_line_that_no_controller_has_is_refused),
		cmocka_unit_test(the_bus_says_who_answered_and_when_nobody_did),
		cmocka_unit_test(a_device_lives_on_the_loop_of_its_env),
		cmocka_unit_test(i8042_resets_on_any_pulse_of_the_reset_line),
		cmocka_unit_test(i8042_resets_when_the_output_port_drops_the_reset_line),
		cmocka_unit_test(i8042_is_never_busy_and_never_has_data),
		cmocka_unit_test(debug_exit_verdict_is_the_value_as_written),
		cmocka_unit_test(pvpanic_reports_a_panic_but_not_a_crash_kernel_taking_over),
		cmocka_unit_test(pvpanic_of_two_bytes_uses_the_first),
		cmocka_unit_test(pvpanic_pci_is_what_its_driver_looks_for),
		cmocka_unit_test(pvpanic_pci_follows_its_bar_and_configuration_is_no_register),
		cmocka_unit_test(acpi_pm_powers_off_on_s5_with_slp_en_only),
		cmocka_unit_test(acpi_pm_control_takes_halves_and_neighbours),
		cmocka_unit_test(acpi_pm_control_is_always_in_acpi_mode),
		cmocka_unit_test(acpi_pm_resets_on_the_reset_value_only),
		cmocka_unit_test(acpi_pm_timer_counts_at_its_rate_and_wraps_at_32_bits),
		cmocka_unit_test(acpi_pm_timer_carry_is_seen_without_a_host_timer),
		cmocka_unit_test(acpi_pm_timer_carry_raises_the_sci_when_enabled),
		cmocka_unit_test(rtc_shows_utc_in_bcd_and_24_hours_at_power_on),
		cmocka_unit_test(rtc_shows_every_day_of_four_centuries),
		cmocka_unit_test(rtc_knows_binary_and_12_hour_formats),
		cmocka_unit_test(rtc_keeps_the_time_that_the_guest_set),
		cmocka_unit_test(rtc_takes_single_registers_without_set),
		cmocka_unit_test(rtc_updates_half_a_second_after_the_divider_is_let_go),
		cmocka_unit_test(rtc_survives_registers_full_of_nonsense),
		cmocka_unit_test(rtc_announces_an_update_before_it_happens),
		cmocka_unit_test(rtc_flags_show_without_interrupts_and_without_a_host_timer),
		cmocka_unit_test(rtc_update_interrupt_comes_every_second_until_read),
		cmocka_unit_test(rtc_set_stops_update_interrupts),
		cmocka_unit_test(rtc_alarm_interrupt_at_its_second),
		cmocka_unit_test(rtc_alarm_dont_care_codes_match_anything),
		cmocka_unit_test(rtc_alarm_survives_a_host_clock_that_is_set),
		cmocka_unit_test(rtc_periodic_interrupt_at_every_rate),
		cmocka_unit_test(rtc_periodic_interrupt_stops_with_the_divider),
		cmocka_unit_test(rtc_ram_holds_what_is_written_but_for_registers_that_cannot),
		cmocka_unit_test(rtc_is_the_same_on_a_bus_of_memory),
		cmocka_unit_test(rtc_switches_its_timer_off_when_destroyed),
	};

	return cmocka_run_group_tests_name("platform devices", tests, NULL, NULL);
}
