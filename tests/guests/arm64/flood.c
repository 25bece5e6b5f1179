/*
 * flood.c - fills the serial port with lines=N numbered lines as fast as its FIFO allows,
 * and powers off.
 */
#include "guest.h"

#define UART_FCR      (ARM64_UART_BASE + 2)
#define UART_LSR      (ARM64_UART_BASE + 5)
#define UART_LSR_THRE 0x20
#define UART_FIFO     16

#define LINE_LEN 16

void guest_main(void)
{
	u64 n = arg_u64("lines", 100);
	char line[LINE_LEN] = "line 000000000\r\n";

	mmio_write8(UART_FCR, 1);
	for (u64 i = 0; i < n; i++) {
		for (u64 at = 13, v = i; at >= 5; at--, v /= 10)
			line[at] = (char)('0' + v % 10);
		while (!(mmio_read8(UART_LSR) & UART_LSR_THRE))
			;
		_Static_assert(LINE_LEN <= UART_FIFO, "a line fits an empty FIFO");
		for (u64 at = 0; at < LINE_LEN; at++)
			mmio_write8(ARM64_UART_BASE, (u8)line[at]);
	}
}
