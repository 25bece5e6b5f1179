/*
 * echo.c - sends back what it receives until a 'q', without interrupts; then it says how many
 * bytes that were, and powers off. One look at the port tells of both directions: an access is
 * dear.
 */
#include "guest.h"

#define UART_FCR      (ARM64_UART_BASE + 2)
#define UART_LSR      (ARM64_UART_BASE + 5)
#define UART_LSR_BOTH 0x21 /* a byte has come, one may be sent */

void guest_main(void)
{
	u64 n = 0;
	u8 c;

	mmio_write8(UART_FCR, 1);
	put_str("ready\n");
	do {
		while ((mmio_read8(UART_LSR) & UART_LSR_BOTH) != UART_LSR_BOTH)
			asm volatile("yield");
		c = mmio_read8(ARM64_UART_BASE);
		mmio_write8(ARM64_UART_BASE, c);
		n++;
	} while (c != 'q');
	put_str("\necho: ");
	put_dec(n);
	put_str(" bytes\n");
}
