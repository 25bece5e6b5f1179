/*
 * testdev.c - what kvm-unit-tests expect besides a PC: ports and memory in which they see what
 * they wrote, interrupt lines they can raise, a page of theirs taken from KVM's tables.
 *
 * Where things are and what they do is an agreement of those tests with the VMMs that run them:
 *
 *	ports TESTDEV_TAG_PORTS
 *	0-3	a register of 32 bits, in accesses of 1, 2 and 4 bytes
 *	4	write: the guest-physical address of a page that KVM is to map anew
 *	8-11	the register again
 *	ports TESTDEV_TAG_IRQ
 *	n	write: input n of the interrupt controllers is high (not 0) or low
 *	memory TESTDEV_TAG_MEM
 *		keeps what is written, each access an exit
 */
#include <string.h>

#include "devices/classes.h"
#include "vmm/gmem.h"

#define PORT_SCRATCH	   0
#define PORT_FLUSH	   4
#define PORT_SCRATCH_AGAIN 8
#define SCRATCH_LEN	   4

struct testdev {
	struct dev dev;
	u8 scratch[SCRATCH_LEN];
	u8 mem[TESTDEV_MEM_LEN];
	struct irq_line lines[TESTDEV_N_IRQS];
};

/* Bytes beyond the end are 0, and not written. */
static u64 get_bytes(const u8 *bytes, u64 len, u64 off, unsigned int size)
{
	u64 val = 0;

	for (unsigned int i = 0; i < size && off + i < len; i++)
		val |= (u64)bytes[off + i] << 8 * i;
	return val;
}

static void put_bytes(u8 *bytes, u64 len, u64 off, unsigned int size, u64 val)
{
	for (unsigned int i = 0; i < size && off + i < len; i++)
		bytes[off + i] = (u8)(val >> 8 * i);
}

static bool is_scratch(u64 *off)
{
	if (*off >= PORT_SCRATCH_AGAIN && *off < PORT_SCRATCH_AGAIN + SCRATCH_LEN)
		*off -= PORT_SCRATCH_AGAIN;
	return *off < PORT_SCRATCH + SCRATCH_LEN;
}

static u64 testdev_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	struct testdev *t = container_of(dev, struct testdev, dev);

	switch (tag) {
	case TESTDEV_TAG_PORTS:
		return is_scratch(&off) ? get_bytes(t->scratch, SCRATCH_LEN, off, size) : 0;
	case TESTDEV_TAG_IRQ:
		return t->lines[off].level;
	}
	return get_bytes(t->mem, TESTDEV_MEM_LEN, off, size);
}

static void write_port(struct testdev *t, u64 off, unsigned int size, u64 val)
{
	if (is_scratch(&off))
		put_bytes(t->scratch, SCRATCH_LEN, off, size, val);
	else if (off == PORT_FLUSH)
		gmem_remap(t->dev.env->gmem, align_down(val, GMEM_PAGE_SIZE));
}

static void testdev_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct testdev *t = container_of(dev, struct testdev, dev);

	switch (tag) {
	case TESTDEV_TAG_PORTS:
		write_port(t, off, size, val);
		break;
	case TESTDEV_TAG_IRQ:
		irq_set(&t->lines[off], val);
		break;
	case TESTDEV_TAG_MEM:
		put_bytes(t->mem, TESTDEV_MEM_LEN, off, size, val);
		break;
	}
}

static int testdev_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct testdev *t = container_of(dev, struct testdev, dev);
	const struct testdev_cfg *c = cfg;

	(void)err;
	for (u32 i = 0; i < TESTDEV_N_IRQS; i++)
		t->lines[i] = (struct irq_line){ .chip = c->chip, .gsi = i };
	return 0;
}

const struct dev_class testdev_class = {
	.name = "testdev",
	.size = sizeof(struct testdev),
	.init = testdev_init,
	.read = testdev_read,
	.write = testdev_write,
};
