/* pci.c - the tests of the PCI test device, on both of its BARs as the machine set them up. */
#include "kut.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define TESTDEV_ID     0x00051b36

#define HDR_TEST   0
#define HDR_WIDTH  1
#define HDR_OFFSET 4
#define HDR_DATA   8
#define HDR_COUNT  12
#define HDR_NAME   16

#define N_WRITES 16

static u32 config_read(u32 slot, u32 reg)
{
	out32(CONFIG_ADDRESS, 0x80000000 | slot << 11 | reg);
	return in32(CONFIG_DATA);
}

static void config_write(u32 slot, u32 reg, u32 val)
{
	out32(CONFIG_ADDRESS, 0x80000000 | slot << 11 | reg);
	out32(CONFIG_DATA, val);
}

static u32 find(void)
{
	for (u32 slot = 0; slot < 32; slot++) {
		if (config_read(slot, 0) == TESTDEV_ID)
			return slot;
	}
	return 0;
}

struct bar {
	bool is_io;
	u32 addr;
};

static u32 read32(const struct bar *b, u32 off)
{
	return b->is_io ? in32((u16)(b->addr + off)) : mmio_read32(b->addr + off);
}

static u8 read8(const struct bar *b, u32 off)
{
	return b->is_io ? in8((u16)(b->addr + off)) : *(volatile u8 *)(u64)(b->addr + off);
}

static void write8(const struct bar *b, u32 off, u8 val)
{
	if (b->is_io)
		out8((u16)(b->addr + off), val);
	else
		*(volatile u8 *)(u64)(b->addr + off) = val;
}

static void run(const struct bar *b, u8 test)
{
	u32 off = read32(b, HDR_OFFSET), data = read32(b, HDR_DATA), count;
	char c;

	for (u32 i = 0; i < N_WRITES; i++)
		write8(b, off, (u8)data);
	count = read32(b, HDR_COUNT);
	put_str("pci-testdev ");
	for (u32 i = HDR_NAME; (c = (char)read8(b, i)); i++)
		put_char(c);
	put_str(": counted ");
	put_dec(count);
	put_char('\n');
	/* what the kernel takes nobody counts */
	check("each write is counted, or none", count == N_WRITES || (test && !count));
}

static void run_all(const struct bar *b)
{
	u8 n;

	for (n = 0; n < 100; n++) {
		write8(b, HDR_TEST, n);
		if (read32(b, HDR_COUNT) || read8(b, HDR_WIDTH) != 1)
			break;
		run(b, n);
	}
	check("there are three tests", n == 3);
}

void guest_main(void)
{
	u32 slot = find(), bar0, bar1;

	check("the function is there", slot);
	if (!slot)
		return;
	check("it decodes memory and ports", (config_read(slot, 4) & 3) == 3);
	bar0 = config_read(slot, 0x10);
	bar1 = config_read(slot, 0x14);
	check("BAR 0 is memory", bar0 && !(bar0 & 1));
	check("BAR 1 is ports", bar1 >> 8 && (bar1 & 1));
	run_all(&(struct bar){ false, bar0 & ~0xfu });
	run_all(&(struct bar){ true, bar1 & ~3u });

	config_write(slot, 0x14, 0xffffffff);
	check("BAR 1 tells its size", config_read(slot, 0x14) == 0xffffff01);
	config_write(slot, 0x14, 0xb000);
	run_all(&(struct bar){ true, 0xb000 });
	check("it has left where it was", in32((u16)(bar1 & ~3u)) == 0xffffffff);
}
