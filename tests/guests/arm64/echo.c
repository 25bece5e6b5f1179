/*
 * echo.c - sends back what it receives until a 'q', without interrupts; then it says how many
 * bytes that were, and powers off.
 */
#include "guest.h"

void guest_main(void)
{
	u64 n = 0;
	char c;

	put_str("ready\n");
	do {
		c = get_char();
		put_char(c);
		n++;
	} while (c != 'q');
	put_str("\necho: ");
	put_dec(n);
	put_str(" bytes\n");
}
