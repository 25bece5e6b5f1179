/*
 * verdict.c - writes value=N to the debug-exit port (port=P if it is another) in size=1, 2
 * or 4 bytes.
 */
#include "guest.h"

void guest_main(void)
{
	u16 port = (u16)arg_u64("port", DEBUG_EXIT_PORT);
	u64 value = arg_u64("value", 0);

	switch (arg_u64("size", 4)) {
	case 1:
		out8(port, (u8)value);
		break;
	case 2:
		out16(port, (u16)value);
		break;
	default:
		out32(port, (u32)value);
	}
	halt();
}
