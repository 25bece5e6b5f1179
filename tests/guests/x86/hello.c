/* hello.c - says how it was booted and with which words, and powers off. */
#include "guest.h"

void guest_main(void)
{
	put_str("hello by ");
	put_str(boot.protocol);
	put_str(": ");
	put_str(boot.cmdline);
	put_char('\n');
}
