/*
 * dsdt.asl - what a kernel cannot probe for on its own (ACPI 6.5 section 5.2.11.1).
 *
 * Passed through the C preprocessor, so that ports and lines have one home, then
 * compiled by iasl; acpi.c embeds the result. Processors are not declared here:
 * the MADT lists them, and a Device per CPU (8.4) matters only to power states,
 * throttling and hotplug, none of which the machine has.
 *
 * Compiled twice: X86_FIRMWARE is for machines with firmware, which moves BARs and ECAM.
 */
#include "arch/x86/layout.h"
#include "devices/acpi_pm.h"
#define FW_CFG_PORTS 12 /* devices/fw_cfg.h */

/* Pin A of each slot; other pins and functions there are none. */
#define PCI_PIN_A(slot) Package () { (slot << 16) | 0xffff, 0, 0, X86_SHARED_IRQ (slot) }

DefinitionBlock ("", "DSDT", 2, "LKVM", "LKVM", 1)
{
	/* The one sleep state: the value goes to PM1a_CNT; there is no PM1b (7.4.2) */
	Name (\_S5, Package () { ACPI_PM_SLP_TYP_S5, 0, 0, 0 })

	Scope (\_SB)
	{
		/* Conventional PCI: one bus without bridges. Its ECAM is announced by the MCFG */
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)
			Name (_CRS, ResourceTemplate () {
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				IO (Decode16, X86_PORT_PCI_CONFIG, X86_PORT_PCI_CONFIG, 1, 8)
#ifdef X86_FIRMWARE
				/* kernels look for the ports of the bridge to the ISA bus here */
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					EntireRange, 0, 0, 0x0CF7, 0, 0x0CF8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					EntireRange, 0, 0x0D00, 0xFFFF, 0, 0xF300)
#endif
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite, 0, X86_PCI_WINDOW_BASE,
					X86_PCI_WINDOW_LAST, 0,
					X86_PCI_WINDOW_LEN)
#ifdef X86_FIRMWARE
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite, 0, X86_FW_WINDOW_BASE,
					X86_FW_LOW_WINDOW_LAST, 0,
					X86_FW_LOW_WINDOW_LEN)
#endif
			})
			Name (_PRT, Package () {
				PCI_PIN_A (1), PCI_PIN_A (2), PCI_PIN_A (3), PCI_PIN_A (4),
				PCI_PIN_A (5), PCI_PIN_A (6), PCI_PIN_A (7), PCI_PIN_A (8),
				PCI_PIN_A (9), PCI_PIN_A (10), PCI_PIN_A (11), PCI_PIN_A (12),
				PCI_PIN_A (13), PCI_PIN_A (14), PCI_PIN_A (15), PCI_PIN_A (16),
				PCI_PIN_A (17), PCI_PIN_A (18), PCI_PIN_A (19), PCI_PIN_A (20),
				PCI_PIN_A (21), PCI_PIN_A (22), PCI_PIN_A (23), PCI_PIN_A (24),
				PCI_PIN_A (25), PCI_PIN_A (26), PCI_PIN_A (27), PCI_PIN_A (28),
				PCI_PIN_A (29), PCI_PIN_A (30), PCI_PIN_A (31)
			})
		}

#ifdef X86_FIRMWARE
		/* fw_cfg: the ID is that of its specification */
		Device (FWCF)
		{
			Name (_HID, "QEMU0002")
			Name (_STA, 0x0B)
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, X86_PORT_FW_CFG, X86_PORT_FW_CFG, 1, FW_CFG_PORTS)
			})
		}
#else
		/* A kernel uses ECAM only where the motherboard says that it is taken */
		Device (MBRD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_CRS, ResourceTemplate () {
				Memory32Fixed (ReadWrite, X86_ECAM_BASE, X86_ECAM_LEN)
			})
		}
#endif

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
			/* nobody at the port: it is a PCI function instead */
			Method (_STA, 0, NotSerialized)
			{
				If (EVNT == 0xFF) { Return (0) }
				Return (0x0F)
			}
			Method (RDPT, 0, NotSerialized) { Return (EVNT) }
			Method (WRPT, 1, NotSerialized) { EVNT = Arg0 }
		}
	}
}
