/*
 * classes.h - every device class there is. To add a device: write its file, name
 * its class here, and give it a line in the board of each machine that has one.
 */
#ifndef LKVM_DEVICES_CLASSES_H
#define LKVM_DEVICES_CLASSES_H

#include "vmm/dev.h"

extern const struct dev_class uart16550_class; /* devices/uart16550.c: serial port */
extern const struct dev_class i8042_class;     /* devices/i8042.c: keyboard controller, for reset */
extern const struct dev_class mc146818_class;  /* devices/mc146818.c: RTC and CMOS */
extern const struct dev_class acpi_pm_class;   /* devices/acpi_pm.c: power-off, reset, PM timer */
extern const struct dev_class debug_exit_class; /* devices/debug_exit.c: the guest's verdict */
extern const struct dev_class pvpanic_class;	/* devices/pvpanic.c: paravirtual panic report */

/* What a slot's cfg points at, for classes that have one. */
struct uart16550_cfg {
	struct console *console; /* borrowed; NULL: nothing is at the other end of the line */
};

/* Tags of ranges, for classes that have more than one. */
enum i8042_tag { I8042_TAG_DATA, I8042_TAG_CMD };

#endif
