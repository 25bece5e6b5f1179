/* hello.c - says with which words it was booted, where it lies and at which level, and powers off.
 */
#include "guest.h"

extern const u8 _start[];

void guest_main(void)
{
	put_str("hello by ");
	put_str(boot.protocol);
	put_str(": ");
	put_str(boot.cmdline);
	put_str("\nat 0x");
	put_hex((u64)_start);
	put_str(", EL");
	put_dec(current_el());
	put_char('\n');
}
