/*
 * acpi_pm.h - the register block of the ACPI power management device (ACPI 6.5 section 4.8).
 *
 * One range of ACPI_PM_LEN bytes, accesses of 1, 2 and 4 bytes, at any offset. These
 * offsets and values are what a board's FADT and \_S5 must announce:
 *
 *	PM1a_EVT_BLK  base + ACPI_PM1_EVT, PM1_EVT_LEN ACPI_PM1_EVT_LEN
 *	PM1a_CNT_BLK  base + ACPI_PM1_CNT, PM1_CNT_LEN ACPI_PM1_CNT_LEN
 *	PM_TMR_BLK    base + ACPI_PM_TMR, PM_TMR_LEN ACPI_PM_TMR_LEN, flag TMR_VAL_EXT
 *	RESET_REG     base + ACPI_PM_RESET, one byte, RESET_VALUE, flag RESET_REG_SUP
 *	SMI_CMD       0: the hardware is always in ACPI mode
 *
 * There is no power or sleep button and no RTC wake-up behind it.
 */
#ifndef LKVM_DEVICES_ACPI_PM_H
#define LKVM_DEVICES_ACPI_PM_H

#define ACPI_PM1_EVT	 0x00 /* status, then enable, half of the length each */
#define ACPI_PM1_EVT_LEN 4
#define ACPI_PM1_CNT	 0x04
#define ACPI_PM1_CNT_LEN 2
#define ACPI_PM_TMR	 0x08
#define ACPI_PM_TMR_LEN	 4
#define ACPI_PM_RESET	 0x0c
#define ACPI_PM_LEN	 0x10

#define ACPI_PM_RESET_VALUE 0x01
#define ACPI_PM_SLP_TYP_S5  5 /* in PM1_CNT[12:10] */

#define ACPI_PM_TMR_HZ 3579545

#endif
