/*
 * i8042.c - the keyboard controller of a PC, as far as it resets the machine.
 *
 * Kernels reset through it when nothing better works, and some look for it at boot. It
 * has no keyboard and no mouse and answers no command: whoever asks sees a
 * controller that is idle and has nothing to say. Kernels that heed ACPI
 * never ask, since the FADT says that there is no 8042 (IAPC_BOOT_ARCH).
 *
 * Firmware for QEMU's machines does ask, whatever it was told, and waits for the keyboard. To
 * it there is nobody at these ports (i8042_cfg.unseen), which it finds out at once; they reset the
 * machine all the same.
 *
 * Two ranges of one port: I8042_TAG_DATA (0x60) and I8042_TAG_CMD (0x64), byte access.
 */
#include "devices/classes.h"

/* Status: never bit 0 (data to read) or bit 1 (busy), on which drivers wait. */
#define I8042_STATUS_SYS      0x04 /* the self-test has passed */
#define I8042_STATUS_CMD      0x08 /* what was written last was a command */
#define I8042_STATUS_UNLOCKED 0x10 /* no keylock */

#define I8042_CMD_WRITE_OUTPUT 0xd1 /* the next data byte goes to the output port */
#define I8042_CMD_PULSE	       0xf0 /* 0xf0-0xff: pulse the output lines whose bit is 0 */
#define I8042_CMD_PULSE_MASK   0xf0
#define I8042_OUTPUT_RESET     0x01 /* active low: the CPU's reset line, output and pulse alike */

struct i8042 {
	struct dev dev;
	u8 cmd; /* that the next data byte belongs to; 0: none */
	bool last_was_cmd;
	bool unseen;
};

static int i8042_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	const struct i8042_cfg *c = cfg;

	(void)err;
	container_of(dev, struct i8042, dev)->unseen = c && c->unseen;
	return 0;
}

static u64 i8042_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	struct i8042 *kbc = container_of(dev, struct i8042, dev);

	(void)off;
	(void)size;
	if (kbc->unseen)
		return UINT64_MAX;
	if (tag == I8042_TAG_DATA)
		return 0;
	return I8042_STATUS_SYS | I8042_STATUS_UNLOCKED |
	       (kbc->last_was_cmd ? I8042_STATUS_CMD : 0);
}

static void i8042_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct i8042 *kbc = container_of(dev, struct i8042, dev);
	bool is_cmd = tag == I8042_TAG_CMD;
	bool drives_lines = is_cmd ? (val & I8042_CMD_PULSE_MASK) == I8042_CMD_PULSE
				   : kbc->cmd == I8042_CMD_WRITE_OUTPUT;

	(void)off;
	(void)size;
	kbc->cmd = is_cmd ? (u8)val : 0;
	kbc->last_was_cmd = is_cmd;
	if (drives_lines && !(val & I8042_OUTPUT_RESET))
		dev_raise_event(dev, DEV_EVENT_RESET, 0);
}

const struct dev_class i8042_class = {
	.name = "i8042",
	.size = sizeof(struct i8042),
	.init = i8042_init,
	.read = i8042_read,
	.write = i8042_write,
};
