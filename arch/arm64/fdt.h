/* fdt.h - the device tree an arm64 guest is told of its machine by: a pure function, written with
 * libfdt. Bindings are those of the kernel's Documentation/devicetree/bindings. arch/arm64 only. */
#ifndef LKVM_ARCH_ARM64_FDT_H
#define LKVM_ARCH_ARM64_FDT_H

#include <lkvm.h>

#include "vmm/base.h"
#include "vmm/err.h"

#define FDT_SEED_SIZE 64

/* Where things are that layout.h puts in one place only is not said here. */
struct fdt_desc {
	const char *cmdline;
	u64 ram_size;	/* bytes, from ARM64_RAM_BASE */
	u64 initrd_gpa; /* of @initrd_size bytes; 0: none */
	u64 initrd_size;

	const u64 *mpidr; /* of @n_vcpus */
	unsigned int n_vcpus;
	/* As the config has them; all 0: the guest is told nothing (no cpu-map). */
	unsigned int sockets, cores, threads;
	/* EL2 in the guest: PSCI by SMC, the EL2 virtual timer's interrupt, the GIC's maintenance
	 * interrupt */
	bool nested;
	bool pmu;

	enum lkvm_irqchip irqchip; /* not LKVM_IRQCHIP_AUTO */
	unsigned int n_virtio_mmio;
	/* PCI is always there; INTA# of slot n, from 1, is ARM64_SPI_VIRTIO + n - 1 */
	bool pvpanic;	/* the MMIO one */
	u64 debug_exit; /* address; 0: none */
	u64 flash_size; /* 0: none */

	/* Randomness for the guest's pool, and for where its kernel puts itself. */
	u8 rng_seed[FDT_SEED_SIZE];
	u64 kaslr_seed;
};

/*
 * Write the tree of @desc to the @size bytes at @buf, *@used of them. -ENOSPC, as LKVM_ERR_INPUT,
 * when it does not fit: what can be too long is the command line.
 */
int fdt_build(const struct fdt_desc *desc, void *buf, size_t size, size_t *used,
	      struct lkvm_error *err);

#endif
