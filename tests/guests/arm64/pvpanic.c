/* pvpanic.c - writes events=N (1) to the pvpanic register, if that offers them; verdict 1 if not.
 */
#include "guest.h"

void guest_main(void)
{
	u8 events = (u8)arg_u64("events", 1), offered = mmio_read8(ARM64_PVPANIC_BASE);

	if (offered == 0xff || (events & ~offered))
		verdict(1);
	put_str("pvpanic\n");
	mmio_write8(ARM64_PVPANIC_BASE, events);
	/* The crash kernel's part, where one is told of: it ends in its own way. */
	if (!(events & 1))
		verdict(7);
	halt();
}
