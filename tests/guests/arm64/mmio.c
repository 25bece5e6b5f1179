/*
 * mmio.c - n=N (100000) accesses to addr=A (where there is nothing) of size=1, 2, 4 (default) or
 * 8 bytes, dir=in or out; ends with verdict 0 and the nanoseconds of one. Verdict 1 if
 * something but all ones was read there.
 */
#include "guest.h"

#define NOTHING 0x10000000 /* between virtio-mmio and the GIC */

static u64 read(u64 addr, u64 size)
{
	switch (size) {
	case 1:
		return mmio_read8(addr);
	case 2:
		return mmio_read16(addr);
	case 4:
		return mmio_read32(addr);
	default:
		return mmio_read64(addr);
	}
}

static void write(u64 addr, u64 size)
{
	switch (size) {
	case 1:
		mmio_write8(addr, 0);
		break;
	case 2:
		mmio_write16(addr, 0);
		break;
	case 4:
		mmio_write32(addr, 0);
		break;
	default:
		mmio_write64(addr, 0);
	}
}

void guest_main(void)
{
	u64 addr = arg_u64("addr", NOTHING), size = arg_u64("size", 4);
	u64 n = arg_u64("n", 100000), seen = 0, took;
	u64 ones = size == 8 ? UINT64_MAX : BIT(8 * size) - 1;
	u64 start = ticks();

	if (arg_is("dir", "out"))
		for (u64 i = 0; i < n; i++)
			write(addr, size);
	else
		for (u64 i = 0; i < n; i++)
			seen |= read(addr, size) ^ ones;
	took = ticks() - start;
	put_str("mmio: ");
	put_dec(n ? took * 1000 / n * 1000000 / ticks_per_second() : 0);
	put_str(" ns per access\n");
	verdict(seen && !arg("addr") ? 1 : 0);
}
