/* badfetch.c - jumps to an address where there is neither memory nor a device. */
#include "guest.h"

void guest_main(void)
{
	asm volatile("jmp *%0" : : "r"(X86_HOLE_START + 0x10000000));
	verdict(1);
}
