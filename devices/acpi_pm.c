/*
 * acpi_pm.c - ACPI fixed hardware: power-off, reset, PM timer (ACPI 6.5 section 4.8).
 *
 * The registers are bytes to whoever accesses them: the specification lets a kernel
 * take status and enable together or apart, and PM1_CNT whole or by halves.
 */
#include "devices/acpi_pm.h"

#include "devices/classes.h"

/* PM1 status and enable (tables 4.9 and 4.10). */
#define PM1_TMR	      0x0001 /* bit 31 of the timer has changed */
#define PM1_EN_STORED 0x0721 /* timer, global lock, power and sleep button, RTC */

/* PM1 control (table 4.11). */
#define PM1_CNT_SCI_EN	      0x0001 /* in ACPI mode; always, here */
#define PM1_CNT_STORED	      0x1c02 /* SLP_TYP, BM_RLD */
#define PM1_CNT_SLP_TYP_SHIFT 10
#define PM1_CNT_SLP_TYP_MASK  7
#define PM1_CNT_SLP_EN	      0x2000 /* write only */

#define PM_TMR_CARRY_SHIFT 31

struct acpi_pm {
	struct dev dev;
	u16 status, enable, cnt;
	bool type0_off;
	u64 start_ns;		/* loop_now() when the timer read 0 */
	u64 n_carries;		/* seen so far: times that bit 31 changed */
	struct dev_timer carry; /* on only while it would raise the SCI */
	struct ratelimit limit;
};

static u64 acpi_pm_ticks(const struct acpi_pm *pm)
{
	u64 ns = loop_now(pm->dev.loop) - pm->start_ns;

	return ns / NSEC_PER_SEC * ACPI_PM_TMR_HZ +
	       ns % NSEC_PER_SEC * ACPI_PM_TMR_HZ / NSEC_PER_SEC;
}

/* The first moment at which acpi_pm_ticks() reaches @ticks. */
static u64 acpi_pm_deadline(const struct acpi_pm *pm, u64 ticks)
{
	u64 rest = ticks % ACPI_PM_TMR_HZ * NSEC_PER_SEC;

	return pm->start_ns + ticks / ACPI_PM_TMR_HZ * NSEC_PER_SEC +
	       (rest + ACPI_PM_TMR_HZ - 1) / ACPI_PM_TMR_HZ;
}

/* Bring status, interrupt line and timer up to now; before a read and after every change. */
static void acpi_pm_update(struct dev *dev)
{
	struct acpi_pm *pm = container_of(dev, struct acpi_pm, dev);
	u64 n_carries = acpi_pm_ticks(pm) >> PM_TMR_CARRY_SHIFT;
	u64 deadline = 0;

	if (n_carries != pm->n_carries)
		pm->status |= PM1_TMR;
	pm->n_carries = n_carries;
	irq_set(&dev->irq, pm->status & pm->enable);
	if (pm->enable & ~pm->status & PM1_TMR)
		deadline = acpi_pm_deadline(pm, (n_carries + 1) << PM_TMR_CARRY_SHIFT);
	dev_timer_set(&pm->carry, deadline);
}

static int acpi_pm_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct acpi_pm *pm = container_of(dev, struct acpi_pm, dev);
	const struct acpi_pm_cfg *c = cfg;

	(void)err;
	pm->type0_off = c && c->type0_off;
	pm->start_ns = loop_now(dev->loop);
	dev_timer_init(&pm->carry, dev, acpi_pm_update);
	return 0;
}

static void acpi_pm_fini(struct dev *dev)
{
	dev_timer_set(&container_of(dev, struct acpi_pm, dev)->carry, 0);
}

static u64 acpi_pm_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	struct acpi_pm *pm = container_of(dev, struct acpi_pm, dev);
	u8 regs[ACPI_PM_LEN + sizeof(u64)] = { 0 };

	(void)tag;
	(void)size;
	acpi_pm_update(dev);
	put_le16(regs + ACPI_PM1_EVT, pm->status);
	put_le16(regs + ACPI_PM1_EVT + ACPI_PM1_EVT_LEN / 2, pm->enable);
	put_le16(regs + ACPI_PM1_CNT, pm->cnt | PM1_CNT_SCI_EN);
	put_le32(regs + ACPI_PM_TMR, (u32)acpi_pm_ticks(pm));
	return get_le64(regs + off);
}

static void acpi_pm_sleep(struct acpi_pm *pm)
{
	unsigned int type = pm->cnt >> PM1_CNT_SLP_TYP_SHIFT & PM1_CNT_SLP_TYP_MASK;

	if (type == ACPI_PM_SLP_TYP_S5 || (!type && pm->type0_off))
		dev_raise_event(&pm->dev, DEV_EVENT_POWEROFF, 0);
	else if (ratelimit_ok(&pm->limit))
		log_debug(pm->dev.env->log, "%s: there is no sleep state of type %u", pm->dev.name,
			  type);
}

/* @val has the byte at its place in the 16-bit register, @mask the bits of that byte. */
static void acpi_pm_write_cnt(struct acpi_pm *pm, u16 val, u16 mask)
{
	mask &= PM1_CNT_STORED;
	pm->cnt = (pm->cnt & ~mask) | (val & mask);
	if (val & PM1_CNT_SLP_EN)
		acpi_pm_sleep(pm);
}

static void acpi_pm_write_byte(struct acpi_pm *pm, u64 off, u8 byte)
{
	unsigned int shift = off % 2 * 8;
	u16 val = (u16)(byte << shift), mask = (u16)(0xff << shift);

	switch (off & ~(u64)1) {
	case ACPI_PM1_EVT:
		pm->status &= ~val;
		break;
	case ACPI_PM1_EVT + ACPI_PM1_EVT_LEN / 2:
		mask &= PM1_EN_STORED;
		pm->enable = (pm->enable & ~mask) | (val & mask);
		break;
	case ACPI_PM1_CNT:
		acpi_pm_write_cnt(pm, val, mask);
		break;
	case ACPI_PM_RESET:
		if (off == ACPI_PM_RESET && byte == ACPI_PM_RESET_VALUE)
			dev_raise_event(&pm->dev, DEV_EVENT_RESET, 0);
		break;
	}
}

static void acpi_pm_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct acpi_pm *pm = container_of(dev, struct acpi_pm, dev);

	(void)tag;
	/* What happened before this write must not be cleared late by it, nor appear after it. */
	acpi_pm_update(dev);
	for (unsigned int i = 0; i < size; i++)
		acpi_pm_write_byte(pm, off + i, (u8)(val >> 8 * i));
	acpi_pm_update(dev);
}

const struct dev_class acpi_pm_class = {
	.name = "acpi-pm",
	.size = sizeof(struct acpi_pm),
	.init = acpi_pm_init,
	.fini = acpi_pm_fini,
	.read = acpi_pm_read,
	.write = acpi_pm_write,
};
