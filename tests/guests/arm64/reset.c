/*
 * reset.c - resets the machine by how=psci (SYSTEM_RESET) or psci2 (SYSTEM_RESET2); how=told
 * does so for each 'r' it receives, and powers off at anything else. What falls through ends as
 * verdict 1.
 */
#include "guest.h"

void guest_main(void)
{
	if (arg_is("how", "told")) {
		put_str("boot\n");
		if (get_char() != 'r')
			power_off();
		firmware_call(PSCI_SYSTEM_RESET, 0, 0, 0);
	}
	if (arg_is("how", "psci"))
		firmware_call(PSCI_SYSTEM_RESET, 0, 0, 0);
	if (arg_is("how", "psci2"))
		firmware_call(PSCI_SYSTEM_RESET2, 0, 0, 0);
	verdict(1);
}
