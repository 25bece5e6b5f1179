/*
 * irq.h - interrupt lines (layer 2).
 *
 * A line is a value handed to a device, which raises and lowers it by level and
 * never learns its number. Lines may share one GSI: the input of the interrupt
 * controller is the OR of them, and the controller is told only when that changes.
 */
#ifndef LKVM_VMM_IRQ_H
#define LKVM_VMM_IRQ_H

#include <pthread.h>

#include "vmm/base.h"
#include "vmm/err.h"

#define IRQ_MAX_GSI 64

/*
 * The interrupt controller's inputs. Lock order: @lock is a leaf, taken inside a
 * device's lock; @set is called with it held, so levels reach the controller in order,
 * and a controller in user space guards its own state with this very lock.
 */
struct irq_chip {
	pthread_mutex_t lock;
	void (*set)(void *ctx, u32 gsi, bool level);
	void *ctx;
	u16 asserted[IRQ_MAX_GSI]; /* how many lines hold each input high */
};

struct irq_line {
	struct irq_chip *chip; /* NULL: not connected, irq_set() does nothing */
	u32 gsi;	       /* below IRQ_MAX_GSI: dev_create() sees to it */
	bool level;	       /* what this line contributes; under the device's lock */
};

void irq_chip_init(struct irq_chip *chip, void (*set)(void *ctx, u32 gsi, bool level), void *ctx);
void irq_chip_fini(struct irq_chip *chip);

/* Drive @line; with the device's lock held. Costs nothing when the level stays as it is. */
void irq_set(struct irq_line *line, bool level);

#endif
