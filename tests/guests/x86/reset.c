/*
 * reset.c - resets the machine by how=acpi (reset register), i8042 (pulse) or
 * i8042-port (output port); how=told does so for each 'r' it receives, and powers off at
 * anything else. What falls through ends as verdict 1.
 */
#include "guest.h"

#include "devices/acpi_pm.h"

void guest_main(void)
{
	if (arg_is("how", "told")) {
		put_str("boot\n");
		if (get_char() != 'r')
			power_off();
		out8(X86_PORT_PM + ACPI_PM_RESET, ACPI_PM_RESET_VALUE);
	}
	if (arg_is("how", "acpi"))
		out8(X86_PORT_PM + ACPI_PM_RESET, ACPI_PM_RESET_VALUE);
	if (arg_is("how", "i8042"))
		out8(X86_PORT_I8042_CMD, 0xfe);
	if (arg_is("how", "i8042-port")) {
		out8(X86_PORT_I8042_CMD, 0xd1);
		out8(X86_PORT_I8042_DATA, 0xfe);
	}
	verdict(1);
}
