/*
 * pl031.c - Arm's PrimeCell real-time clock (DDI 0224): a counter of seconds with an alarm.
 *
 * One range of PL031_LEN bytes, 4-byte access. As in mc146818.c nothing ticks: the counter is the
 * host's UTC plus an offset that moves when the guest loads it, whether the alarm rang is worked
 * out when somebody looks, and a timer runs only while it could raise the interrupt line.
 */
#include "devices/classes.h"

/* Table 3-1. */
#define RTC_DR	     0x000 /* the counter */
#define RTC_MR	     0x004 /* the alarm: when the counter comes to be this */
#define RTC_LR	     0x008 /* what the counter is set to */
#define RTC_CR	     0x00c
#define RTC_IMSC     0x010
#define RTC_RIS	     0x014
#define RTC_MIS	     0x018
#define RTC_ICR	     0x01c
#define RTC_ID_FIRST 0xfe0 /* PeriphID0..3, PCellID0..3 */

/* It comes running, with the host's time: bit 0 of CR is one way, and this is its end. */
#define CR_RUNS 1

/* The host's clock may be set: no alarm is believed in for longer. */
#define RECHECK_NS  (10 * NSEC_PER_SEC)
/* A timer may ring before the clock it waits for has got there, if the host's clocks drift. */
#define MIN_WAIT_NS 100000

struct pl031 {
	struct dev dev;
	u32 match, load;
	u32 offset;   /* the counter is that much ahead of UTC */
	u64 last_utc; /* the alarm is settled up to this second */
	bool masked;  /* bit 0 of IMSC is 0 */
	bool rang;
	struct dev_timer timer;
};

static u64 utc_s(const struct pl031 *rtc)
{
	return dev_utc_ns(&rtc->dev) / NSEC_PER_SEC;
}

/* What the counter is in that second. */
static u32 counter_at(const struct pl031 *rtc, u64 utc)
{
	return (u32)utc + rtc->offset;
}

static u32 counter(const struct pl031 *rtc)
{
	return counter_at(rtc, utc_s(rtc));
}

/* Before anything that depends on the alarm or changes it, and after. */
static void pl031_update(struct dev *dev)
{
	struct pl031 *rtc = container_of(dev, struct pl031, dev);
	u64 now_ns = dev_utc_ns(dev), now = now_ns / NSEC_PER_SEC, ns, deadline = 0;

	/*
	 * The match lies in the seconds that went by; a clock that was set back begins anew. One
	 * look at the clock: a second that began meanwhile would be in nobody's account.
	 */
	if (now > rtc->last_utc &&
	    (u32)(counter_at(rtc, now) - rtc->match) < min_u64(now - rtc->last_utc, UINT32_MAX))
		rtc->rang = true;
	rtc->last_utc = now;
	irq_set(&dev->irq, rtc->rang && !rtc->masked);
	if (!rtc->rang && !rtc->masked) {
		ns = (u64)(rtc->match - counter_at(rtc, now)) * NSEC_PER_SEC -
		     now_ns % NSEC_PER_SEC;
		deadline = loop_now(dev->loop) + max_u64(min_u64(ns, RECHECK_NS), MIN_WAIT_NS);
	}
	dev_timer_set(&rtc->timer, deadline);
}

static u64 pl031_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	static const u8 ids[] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
	struct pl031 *rtc = container_of(dev, struct pl031, dev);

	(void)tag;
	(void)size;
	pl031_update(dev);
	switch (off) {
	case RTC_DR:
		return counter(rtc);
	case RTC_MR:
		return rtc->match;
	case RTC_LR:
		return rtc->load;
	case RTC_CR:
		return CR_RUNS;
	case RTC_IMSC:
		return !rtc->masked;
	case RTC_RIS:
		return rtc->rang;
	case RTC_MIS:
		return rtc->rang && !rtc->masked;
	}
	if (off >= RTC_ID_FIRST && off % 4 == 0 && (off - RTC_ID_FIRST) / 4 < ARRAY_SIZE(ids))
		return ids[(off - RTC_ID_FIRST) / 4];
	return 0;
}

static void pl031_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct pl031 *rtc = container_of(dev, struct pl031, dev);

	(void)tag;
	(void)size;
	pl031_update(dev);
	switch (off) {
	case RTC_MR:
		rtc->match = (u32)val;
		break;
	case RTC_LR:
		rtc->load = (u32)val;
		rtc->offset += (u32)val - counter(rtc);
		break;
	case RTC_IMSC:
		rtc->masked = !(val & 1);
		break;
	case RTC_ICR:
		if (val & 1)
			rtc->rang = false;
		break;
	}
	/* The comparator sees the two be equal, whichever of them it was that moved. */
	if ((off == RTC_MR || off == RTC_LR) && counter(rtc) == rtc->match)
		rtc->rang = true;
	pl031_update(dev);
}

static int pl031_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct pl031 *rtc = container_of(dev, struct pl031, dev);

	(void)cfg;
	(void)err;
	rtc->masked = true;
	rtc->last_utc = utc_s(rtc);
	dev_timer_init(&rtc->timer, dev, pl031_update);
	return 0;
}

static void pl031_fini(struct dev *dev)
{
	dev_timer_set(&container_of(dev, struct pl031, dev)->timer, 0);
}

const struct dev_class pl031_class = {
	.name = "pl031",
	.size = sizeof(struct pl031),
	.init = pl031_init,
	.fini = pl031_fini,
	.read = pl031_read,
	.write = pl031_write,
};
