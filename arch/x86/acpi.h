/*
 * acpi.h - the ACPI tables of an x86-64 machine, as bytes (ACPI 6.5 section 5.2).
 *
 * A pure function from a description to bytes, golden-tested on any host. The DSDT
 * is compiled from dsdt.asl when lkvm is built; the others are generated here.
 */
#ifndef LKVM_ARCH_X86_ACPI_H
#define LKVM_ARCH_X86_ACPI_H

#include "vmm/base.h"
#include "vmm/err.h"

struct acpi_desc {
	u64 gpa;	     /* where the tables will lie, 16-byte aligned, below 4 GiB */
	const u32 *apic_ids; /* one per vCPU, vCPU 0 first */
	unsigned int n_vcpus;
	bool firmware;		    /* places the tables, and has its own idea of where PCI is */
	bool no_pic;		    /* there is the I/O APIC, but no pair of 8259s and no PIT */
	unsigned int n_virtio_mmio; /* devices on that transport; places as in layout.h */
};

/*
 * Fill @buf (@size bytes, zeroed by the caller) with RSDP, XSDT, FADT, FACS, MADT, DSDT and, with
 * virtio-mmio devices, an SSDT; without firmware, RSDT and MCFG as well. The RSDP is at offset 0,
 * so @desc->gpa is its address. Sets *@used to the bytes used. -ENOSPC with a message when @size is
 * too small.
 */
int acpi_build(const struct acpi_desc *desc, u8 *buf, size_t size, size_t *used,
	       struct lkvm_error *err);

#endif
