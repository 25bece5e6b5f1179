/*
 * verdict.c - writes value=N to the debug-exit register (at addr=A if it is elsewhere) in size=1,
 * 2 or 4 bytes.
 */
#include "guest.h"

void guest_main(void)
{
	u64 addr = arg_u64("addr", ARM64_DEBUG_EXIT_BASE);
	u64 value = arg_u64("value", 0);

	switch (arg_u64("size", 4)) {
	case 1:
		mmio_write8(addr, (u8)value);
		break;
	case 2:
		mmio_write16(addr, (u16)value);
		break;
	default:
		mmio_write32(addr, (u32)value);
	}
	halt();
}
