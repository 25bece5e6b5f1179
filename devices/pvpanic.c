/*
 * pvpanic.c - the guest's kernel reports its own crash (QEMU's docs/specs/pvpanic.rst).
 *
 * One port, byte access: a read tells which events this side understands, a write
 * reports some.
 */
#include "devices/classes.h"

#define PVPANIC_PANICKED     0x01 /* the guest panicked and is lost */
#define PVPANIC_CRASH_LOADED 0x02 /* it panicked, but its crash kernel takes over */

struct pvpanic {
	struct dev dev;
	struct ratelimit limit;
};

static u64 pvpanic_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	(void)dev;
	(void)tag;
	(void)off;
	(void)size;
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void pvpanic_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct pvpanic *p = container_of(dev, struct pvpanic, dev);

	(void)tag;
	(void)off;
	(void)size;
	/* Not an end: the crash kernel has yet to write its dump and will reset or power off. */
	if ((val & PVPANIC_CRASH_LOADED) && ratelimit_ok(&p->limit))
		log_info(dev->env->log, "%s: the guest panicked and starts its crash kernel",
			 dev->name);
	if (val & PVPANIC_PANICKED)
		dev_raise_event(dev, DEV_EVENT_PANIC, 0);
}

const struct dev_class pvpanic_class = {
	.name = "pvpanic",
	.size = sizeof(struct pvpanic),
	.read = pvpanic_read,
	.write = pvpanic_write,
};
