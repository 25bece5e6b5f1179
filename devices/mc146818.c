/*
 * mc146818.c - real-time clock and CMOS RAM (Motorola MC146818A data sheet; 128 bytes as
 * in every PC since the AT).
 *
 * One range of two ports, byte access: the index, whose bit 7 masks the NMI on a PC and is
 * ignored here, and the byte it selects.
 *
 * Nothing ticks. The guest's clock is the host's UTC plus an offset that moves when
 * the guest sets it; registers and flags are worked out when somebody looks (rtc_update()), and
 * a timer runs only while it could raise the interrupt line.
 */
#include "devices/classes.h"

#define RTC_RAM_SIZE   128
#define RTC_INDEX_MASK 0x7f

enum {
	RTC_SEC,
	RTC_SEC_ALARM,
	RTC_MIN,
	RTC_MIN_ALARM,
	RTC_HOUR,
	RTC_HOUR_ALARM,
	RTC_WDAY, /* 1 = Sunday */
	RTC_MDAY,
	RTC_MONTH,
	RTC_YEAR, /* of the century */
	RTC_REG_A,
	RTC_REG_B,
	RTC_REG_C,
	RTC_REG_D,
	RTC_CENTURY = 0x32, /* where PCs have it; the FADT's CENTURY field */
};

#define RTC_A_UIP	0x80 /* an update is near: read only */
#define RTC_A_DIV_RESET 0x60 /* both bits: the divider chain is held in reset */
#define RTC_A_RATE	0x0f
#define RTC_A_POWER_ON	0x26 /* 32768 Hz crystal, 1024 Hz periodic rate: what a BIOS leaves */

#define RTC_B_SET 0x80 /* no updates: the guest is setting the clock */
#define RTC_B_PIE 0x40
#define RTC_B_AIE 0x20
#define RTC_B_UIE 0x10
#define RTC_B_DM  0x04 /* binary, not BCD */
#define RTC_B_24H 0x02

/* In C, the bits of B's enables. */
#define RTC_C_IRQF 0x80
#define RTC_C_PF   RTC_B_PIE
#define RTC_C_AF   RTC_B_AIE
#define RTC_C_UF   RTC_B_UIE
#define RTC_C_ALL  (RTC_C_PF | RTC_C_AF | RTC_C_UF)

#define RTC_D_VRT 0x80 /* RAM and time are valid: the battery is good */

#define RTC_HOUR_PM	    0x80
#define RTC_ALARM_DONT_CARE 0xc0 /* both bits: matches any value */
#define RTC_CRYSTAL_HZ	    32768
#define RTC_FIRST_UPDATE_NS (NSEC_PER_SEC / 2) /* after the divider's reset ends */
#define RTC_SEC_PER_DAY	    86400

/*
 * UIP is up for the 244 us before an update and the 1984 us that it takes; the time
 * read meanwhile is stable here, for the new one counts from the end of that.
 */
#define RTC_UPDATE_NS 2228000

/* A timer may ring before the clock it waits for has got there, if the host's clocks drift. */
#define RTC_MIN_WAIT_NS 100000

/*
 * ram[] holds the alarm, A, B, C and the guest's own bytes; and, while the clock
 * stands still, the time registers as they were when it stopped, which the guest may change.
 */
struct mc146818 {
	struct dev dev;
	u8 index;
	u8 ram[RTC_RAM_SIZE];

	/*
	 * The guest's clock is UTC + phase_ns, in whole seconds plus offset_s. Apart, because
	 * a guest may set the year 9999, which nanoseconds in 64 bits cannot count.
	 */
	s64 offset_s;
	u64 phase_ns; /* below NSEC_PER_SEC */

	s64 last_s;	 /* UF and AF are settled up to this second */
	u64 last_period; /* and PF up to this period */
	struct dev_timer timer;
};

struct rtc_time {
	s64 year;
	unsigned int month, mday, wday, hour, min, sec;
};

/* ---- calendar ---- */

/*
 * The Gregorian calendar repeats after 400 years of 146097 days. Years are counted from
 * March 1st of -400, so that nothing here is negative and the leap day comes last: of
 * such a year, month m (0 = March) begins on day (153 * m + 2) / 5.
 */
#define DAYS_PER_ERA  146097
#define EPOCH_IN_DAYS (719468 + DAYS_PER_ERA) /* 1970-01-01 */
#define YEARS_PER_ERA 400

static s64 days_from_date(s64 year, unsigned int month, unsigned int mday)
{
	s64 y = year + YEARS_PER_ERA - (month <= 2);

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * ((month + 9) % 12) + 2) / 5 + mday - 1 -
	       EPOCH_IN_DAYS;
}

/* Fields out of their range carry over into the next: odd, but never out of bounds. */
static s64 seconds_from_time(const struct rtc_time *t)
{
	return days_from_date(t->year, t->month, t->mday) * RTC_SEC_PER_DAY + t->hour * 3600 +
	       t->min * 60 + t->sec;
}

static struct rtc_time time_from_seconds(s64 seconds)
{
	u64 s = (u64)(seconds + (s64)EPOCH_IN_DAYS * RTC_SEC_PER_DAY);
	u64 day = s / RTC_SEC_PER_DAY;
	unsigned int in_era = day % DAYS_PER_ERA;
	/* Take out the leap days: one in 4 years, not in 100, but in 400. */
	unsigned int year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned int in_year = in_era - (year * 365 + year / 4 - year / 100);
	unsigned int month = (5 * in_year + 2) / 153;

	return (struct rtc_time){
		.year = (s64)(day / DAYS_PER_ERA * 400 + year + month / 10) - YEARS_PER_ERA,
		.month = (month + 2) % 12 + 1,
		.mday = in_year - (153 * month + 2) / 5 + 1,
		.wday = (day + 3) % 7 + 1,
		.hour = s / 3600 % 24,
		.min = s / 60 % 60,
		.sec = s % 60,
	};
}

/* ---- register formats ---- */

static u8 rtc_encode(const struct mc146818 *rtc, unsigned int val)
{
	return (u8)(rtc->ram[RTC_REG_B] & RTC_B_DM ? val : val / 10 << 4 | val % 10);
}

static unsigned int rtc_decode(const struct mc146818 *rtc, u8 byte)
{
	return rtc->ram[RTC_REG_B] & RTC_B_DM ? byte : (byte >> 4) * 10u + (byte & 15);
}

static u8 rtc_encode_hour(const struct mc146818 *rtc, unsigned int hour)
{
	if (rtc->ram[RTC_REG_B] & RTC_B_24H)
		return rtc_encode(rtc, hour);
	return rtc_encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? RTC_HOUR_PM : 0);
}

static unsigned int rtc_decode_hour(const struct mc146818 *rtc, u8 byte)
{
	if (rtc->ram[RTC_REG_B] & RTC_B_24H)
		return rtc_decode(rtc, byte);
	return rtc_decode(rtc, byte & ~RTC_HOUR_PM) % 12 + (byte & RTC_HOUR_PM ? 12 : 0);
}

static bool rtc_is_time_reg(u8 index)
{
	return index == RTC_CENTURY || (index <= RTC_YEAR && index != RTC_SEC_ALARM &&
					index != RTC_MIN_ALARM && index != RTC_HOUR_ALARM);
}

/* ---- the clock ---- */

static bool rtc_divider_reset(const struct mc146818 *rtc)
{
	return (rtc->ram[RTC_REG_A] & RTC_A_DIV_RESET) == RTC_A_DIV_RESET;
}

static bool rtc_runs(const struct mc146818 *rtc)
{
	return !(rtc->ram[RTC_REG_B] & RTC_B_SET) && !rtc_divider_reset(rtc);
}

/* The guest's clock: seconds, and through @ns what is above. */
static s64 rtc_now(const struct mc146818 *rtc, u64 *ns)
{
	u64 t = dev_utc_ns(&rtc->dev) + rtc->phase_ns;

	*ns = t % NSEC_PER_SEC;
	return (s64)(t / NSEC_PER_SEC) + rtc->offset_s;
}

/* Time to registers. */
static void rtc_latch(struct mc146818 *rtc)
{
	u64 ns;
	struct rtc_time t = time_from_seconds(rtc_now(rtc, &ns));

	rtc->ram[RTC_SEC] = rtc_encode(rtc, t.sec);
	rtc->ram[RTC_MIN] = rtc_encode(rtc, t.min);
	rtc->ram[RTC_HOUR] = rtc_encode_hour(rtc, t.hour);
	rtc->ram[RTC_WDAY] = rtc_encode(rtc, t.wday);
	rtc->ram[RTC_MDAY] = rtc_encode(rtc, t.mday);
	rtc->ram[RTC_MONTH] = rtc_encode(rtc, t.month);
	rtc->ram[RTC_YEAR] = rtc_encode(rtc, (unsigned int)(t.year % 100));
	rtc->ram[RTC_CENTURY] = rtc_encode(rtc, (unsigned int)(t.year / 100));
}

/* Registers to time. The day of the week is not asked: the date has one. */
static void rtc_set_clock(struct mc146818 *rtc)
{
	struct rtc_time t = {
		.year = rtc_decode(rtc, rtc->ram[RTC_CENTURY]) * 100 +
			rtc_decode(rtc, rtc->ram[RTC_YEAR]),
		.month = rtc_decode(rtc, rtc->ram[RTC_MONTH]),
		.mday = rtc_decode(rtc, rtc->ram[RTC_MDAY]),
		.hour = rtc_decode_hour(rtc, rtc->ram[RTC_HOUR]),
		.min = rtc_decode(rtc, rtc->ram[RTC_MIN]),
		.sec = rtc_decode(rtc, rtc->ram[RTC_SEC]),
	};
	u64 ns;

	rtc->last_s = seconds_from_time(&t);
	rtc->offset_s += rtc->last_s - rtc_now(rtc, &ns);
}

/* ---- periodic interrupt: by the monitor's clock, which no administrator sets back ---- */

/* Crystal ticks in a period as a power of two, or 0: off (table 5 of the data sheet). */
static unsigned int rtc_period_shift(const struct mc146818 *rtc)
{
	unsigned int rate = rtc->ram[RTC_REG_A] & RTC_A_RATE;

	if (!rate || rtc_divider_reset(rtc))
		return 0;
	return rate <= 2 ? rate + 6 : rate - 1;
}

/* How many whole periods have gone by. */
static u64 rtc_period(const struct mc146818 *rtc)
{
	unsigned int shift = rtc_period_shift(rtc);
	u64 ns = loop_now(rtc->dev.loop);
	u64 ticks = ns / NSEC_PER_SEC * RTC_CRYSTAL_HZ +
		    ns % NSEC_PER_SEC * RTC_CRYSTAL_HZ / NSEC_PER_SEC;

	return shift ? ticks >> shift : 0;
}

/* When @period begins. */
static u64 rtc_period_start(const struct mc146818 *rtc, u64 period)
{
	u64 ticks = period << rtc_period_shift(rtc);
	u64 rest = ticks % RTC_CRYSTAL_HZ * NSEC_PER_SEC;

	return ticks / RTC_CRYSTAL_HZ * NSEC_PER_SEC + (rest + RTC_CRYSTAL_HZ - 1) / RTC_CRYSTAL_HZ;
}

/* ---- flags, interrupt line, timer ---- */

static bool rtc_alarm_field_matches(u8 alarm, u8 now)
{
	return (alarm & RTC_ALARM_DONT_CARE) == RTC_ALARM_DONT_CARE || alarm == now;
}

/* True when the alarm rang in one of the seconds after @from, up to and with @to. */
static bool rtc_alarm_rang(const struct mc146818 *rtc, s64 from, s64 to)
{
	/* The alarm has no date: after a day everything that can match has done so. */
	if (to - from > RTC_SEC_PER_DAY)
		from = to - RTC_SEC_PER_DAY;
	for (s64 s = from + 1; s <= to; s++) {
		struct rtc_time t = time_from_seconds(s);

		if (rtc_alarm_field_matches(rtc->ram[RTC_SEC_ALARM], rtc_encode(rtc, t.sec)) &&
		    rtc_alarm_field_matches(rtc->ram[RTC_MIN_ALARM], rtc_encode(rtc, t.min)) &&
		    rtc_alarm_field_matches(rtc->ram[RTC_HOUR_ALARM], rtc_encode_hour(rtc, t.hour)))
			return true;
	}
	return false;
}

/* Set the flags for all that happened since they were settled last. */
static void rtc_settle_flags(struct mc146818 *rtc)
{
	u8 *flags = &rtc->ram[RTC_REG_C];
	u64 period = rtc_period(rtc), ns;
	s64 now = rtc_now(rtc, &ns);

	if (period != rtc->last_period)
		*flags |= RTC_C_PF;
	rtc->last_period = period;
	if (!rtc_runs(rtc) || now == rtc->last_s)
		return;
	*flags |= RTC_C_UF;
	if (rtc_alarm_rang(rtc, rtc->last_s, now))
		*flags |= RTC_C_AF;
	rtc->last_s = now;
}

/*
 * When to look again: at the next event whose interrupt is enabled; never while the
 * line is up anyway. An alarm is looked for every second: it costs little, and survives
 * a host clock that is set.
 */
static u64 rtc_next_deadline(const struct mc146818 *rtc)
{
	u8 enabled = rtc->ram[RTC_REG_B] & RTC_C_ALL;
	u64 deadline = UINT64_MAX, ns;

	if (enabled & rtc->ram[RTC_REG_C])
		return 0;
	if ((enabled & RTC_B_PIE) && rtc_period_shift(rtc))
		deadline = rtc_period_start(rtc, rtc->last_period + 1);
	if ((enabled & (RTC_B_AIE | RTC_B_UIE)) && rtc_runs(rtc)) {
		rtc_now(rtc, &ns);
		deadline = min_u64(deadline, loop_now(rtc->dev.loop) +
						     max_u64(NSEC_PER_SEC - ns, RTC_MIN_WAIT_NS));
	}
	return deadline == UINT64_MAX ? 0 : deadline;
}

/* Before anything that depends on the flags or changes what they depend on, and after. */
static void rtc_update(struct dev *dev)
{
	struct mc146818 *rtc = container_of(dev, struct mc146818, dev);

	rtc_settle_flags(rtc);
	irq_set(&dev->irq, rtc->ram[RTC_REG_B] & rtc->ram[RTC_REG_C] & RTC_C_ALL);
	dev_timer_set(&rtc->timer, rtc_next_deadline(rtc));
}

/* ---- registers ---- */

static u8 rtc_read_flags(struct mc146818 *rtc)
{
	u8 flags;

	rtc_update(&rtc->dev);
	flags = rtc->ram[RTC_REG_C];
	if (flags & rtc->ram[RTC_REG_B])
		flags |= RTC_C_IRQF;
	rtc->ram[RTC_REG_C] = 0;
	rtc_update(&rtc->dev);
	return flags;
}

static bool rtc_update_is_near(const struct mc146818 *rtc)
{
	u64 ns;

	rtc_now(rtc, &ns);
	return rtc_runs(rtc) && NSEC_PER_SEC - ns <= RTC_UPDATE_NS;
}

static u64 rtc_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	struct mc146818 *rtc = container_of(dev, struct mc146818, dev);

	(void)tag;
	(void)size;
	if (!off)
		return 0xff; /* the index cannot be read back on a PC */
	if (rtc_is_time_reg(rtc->index) && rtc_runs(rtc))
		rtc_latch(rtc);
	switch (rtc->index) {
	case RTC_REG_A:
		return rtc->ram[RTC_REG_A] | (rtc_update_is_near(rtc) ? RTC_A_UIP : 0);
	case RTC_REG_C:
		return rtc_read_flags(rtc);
	case RTC_REG_D:
		return RTC_D_VRT;
	default:
		return rtc->ram[rtc->index];
	}
}

/* A or B: what may stop the clock or set it going, and how registers are to be read. */
static void rtc_write_control(struct mc146818 *rtc, u8 val)
{
	bool ran = rtc_runs(rtc), was_reset = rtc_divider_reset(rtc);

	if (ran)
		rtc_latch(rtc);
	if (rtc->index == RTC_REG_A)
		val &= ~RTC_A_UIP;
	else if (val & RTC_B_SET)
		val &= ~RTC_B_UIE;
	rtc->ram[rtc->index] = val;

	if (was_reset && !rtc_divider_reset(rtc))
		rtc->phase_ns = (NSEC_PER_SEC + RTC_FIRST_UPDATE_NS -
				 dev_utc_ns(&rtc->dev) % NSEC_PER_SEC) %
				NSEC_PER_SEC;
	if (!ran && rtc_runs(rtc))
		rtc_set_clock(rtc);
	if (rtc->index == RTC_REG_A)
		rtc->last_period = rtc_period(rtc);
}

static void rtc_write_time(struct mc146818 *rtc, u8 val)
{
	if (rtc_runs(rtc))
		rtc_latch(rtc);
	rtc->ram[rtc->index] = val;
	if (rtc_runs(rtc))
		rtc_set_clock(rtc);
}

static void rtc_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct mc146818 *rtc = container_of(dev, struct mc146818, dev);

	(void)tag;
	(void)size;
	if (!off) {
		rtc->index = val & RTC_INDEX_MASK;
		return;
	}
	rtc_update(dev);
	if (rtc->index == RTC_REG_A || rtc->index == RTC_REG_B)
		rtc_write_control(rtc, (u8)val);
	else if (rtc_is_time_reg(rtc->index))
		rtc_write_time(rtc, (u8)val);
	else if (rtc->index != RTC_REG_C && rtc->index != RTC_REG_D)
		rtc->ram[rtc->index] = (u8)val;
	rtc_update(dev);
}

static int rtc_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct mc146818 *rtc = container_of(dev, struct mc146818, dev);
	u64 ns;

	(void)cfg;
	(void)err;
	rtc->ram[RTC_REG_A] = RTC_A_POWER_ON;
	rtc->ram[RTC_REG_B] = RTC_B_24H;
	rtc->last_s = rtc_now(rtc, &ns);
	rtc->last_period = rtc_period(rtc);
	dev_timer_init(&rtc->timer, dev, rtc_update);
	return 0;
}

static void rtc_fini(struct dev *dev)
{
	dev_timer_set(&container_of(dev, struct mc146818, dev)->timer, 0);
}

const struct dev_class mc146818_class = {
	.name = "mc146818",
	.size = sizeof(struct mc146818),
	.init = rtc_init,
	.fini = rtc_fini,
	.read = rtc_read,
	.write = rtc_write,
};
