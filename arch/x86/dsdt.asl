/*
 * dsdt.asl - what a kernel cannot probe for on its own (ACPI 6.5 section 5.2.11.1).
 *
 * Passed through the C preprocessor, so that ports and lines have one home, then
 * compiled by iasl; acpi.c embeds the result. Processors are not declared here:
 * the MADT lists them, and a Device per CPU (8.4) matters only to power states,
 * throttling and hotplug, none of which the machine has.
 */
#include "arch/x86/layout.h"
#include "devices/acpi_pm.h"

DefinitionBlock ("", "DSDT", 2, "LKVM", "LKVM", 1)
{
	/* The one sleep state: the value goes to PM1a_CNT; there is no PM1b (7.4.2) */
	Name (\_S5, Package () { ACPI_PM_SLP_TYP_S5, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, X86_PORT_COM1, X86_PORT_COM1, 1, 8)
				IRQNoFlags () { X86_IRQ_COM1 }
			})
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, X86_PORT_RTC, X86_PORT_RTC, 1, 2)
				IRQNoFlags () { X86_IRQ_RTC }
			})
		}

		/* pvpanic: ID and method names are those of its specification */
		Device (PEVT)
		{
			Name (_HID, "QEMU0001")
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, X86_PORT_PVPANIC, X86_PORT_PVPANIC, 1, 1)
			})
			OperationRegion (PORT, SystemIO, X86_PORT_PVPANIC, 1)
			Field (PORT, ByteAcc, NoLock, Preserve) { EVNT, 8 }
			Method (RDPT, 0, NotSerialized) { Return (EVNT) }
			Method (WRPT, 1, NotSerialized) { EVNT = Arg0 }
		}
	}
}
