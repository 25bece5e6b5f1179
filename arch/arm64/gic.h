/* gic.h - the interrupt controller of an arm64 machine; arch/arm64 only. */
#ifndef LKVM_ARCH_ARM64_GIC_H
#define LKVM_ARCH_ARM64_GIC_H

#include <lkvm.h>

#include "vmm/base.h"
#include "vmm/err.h"

struct machine;

struct gic {
	enum lkvm_irqchip kind; /* never LKVM_IRQCHIP_AUTO once it was made */
	int fd;			/* -1: not made */
	int its_fd;		/* -1: none */
	u32 n_spis;		/* a multiple of 32 */
};

#define GIC_INIT                       \
	{                              \
		.fd = -1, .its_fd = -1 \
	}

/* A GICv2, alone or with its frame for messages. */
static inline bool gic_is_v2(enum lkvm_irqchip kind)
{
	return kind == LKVM_IRQCHIP_GICV2 || kind == LKVM_IRQCHIP_GICV2M;
}

/*
 * Create it, with addresses and numbers: which one @m->cfg asks for, or the best one this KVM has.
 * Before vCPUs exist. One that is missing is LKVM_ERR_UNSUPPORTED.
 */
int gic_create(struct machine *m, struct lkvm_error *err);

/* All vCPUs are initialised: so is it, and m->msi is filled in where there are messages. */
int gic_init(struct machine *m, struct lkvm_error *err);

void gic_destroy(struct machine *m);

#endif
