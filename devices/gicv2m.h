/*
 * gicv2m.h - a GICv2m frame: messages for a GICv2 (Arm DEN0029, "Server Base System Architecture",
 * appendix on GICv2m).
 */
#ifndef LKVM_DEVICES_GICV2M_H
#define LKVM_DEVICES_GICV2M_H

#define GICV2M_MSI_TYPER 0x008
#define GICV2M_SETSPI_NS 0x040 /* messages are written here; their data is an INTID */
#define GICV2M_IIDR	 0xfcc

#endif
