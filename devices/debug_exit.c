/*
 * debug_exit.c - a port with which a test in the guest says how it went.
 *
 * One range of DEBUG_EXIT_LEN ports; only the first does anything. The verdict is the
 * value as it was written, in 1, 2 or 4 bytes: no shift, no bit that is always set.
 */
#include "devices/classes.h"

static void debug_exit_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	(void)tag;
	(void)size;
	if (!off)
		dev_raise_event(dev, DEV_EVENT_VERDICT, val);
}

static u64 debug_exit_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	(void)dev;
	(void)tag;
	(void)off;
	(void)size;
	return 0;
}

const struct dev_class debug_exit_class = {
	.name = "debug-exit",
	.size = sizeof(struct dev),
	.read = debug_exit_read,
	.write = debug_exit_write,
};
