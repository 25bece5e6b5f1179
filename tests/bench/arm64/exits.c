/*
 * exits.c - a guest that does nothing but exit, as an arm64 Image, so that whatever loads Debian's
 * kernel loads it.
 *
 * Its command line says what: "mmio N" does N times EXITS_PER_LOOP reads and then ends the
 * machine with verdict 0; "idle" sleeps for ever.
 */
#include "tests/bench/arm64/exits.h"
#include "tests/guests/arm64/guest.h"

#define STRING(x) #x
#define TIMES(n)  STRING(n)

void guest_main(void)
{
	const char *s = boot.cmdline;
	u64 n = 0;

	while (*s && (*s < '0' || *s > '9'))
		s++;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (u64)(*s - '0');
	if (!n)
		halt();
	while (n--)
		asm volatile(".rept " TIMES(EXITS_PER_LOOP) "; ldr wzr, [%0]; .endr"
			     :
			     : "r"((u64)EXITS_GPA)
			     : "memory");
	mmio_write32(EXITS_END_GPA, 0);
	halt();
}
