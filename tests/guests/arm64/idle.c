/* idle.c - sleeps for ever; with say=WORD it says that first. */
#include "guest.h"

void guest_main(void)
{
	const char *s = arg("say");

	while (s && *s && *s != ' ')
		put_char(*s++);
	if (s)
		put_char('\n');
	halt();
}
