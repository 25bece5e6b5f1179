/*
 * irq.h - interrupt lines and messages (layer 2).
 *
 * A line is a value handed to a device, which raises and lowers it by level and
 * never learns its number. Lines may share one GSI: the input of the interrupt
 * controller is the OR of them, and the controller is told only when that changes.
 *
 * A message (MSI) is an eventfd: whoever signals it, a device or the kernel, sends the
 * message it is bound to. While it is bound to none, signals are kept in the
 * eventfd, which makes it the pending bit as well.
 */
#ifndef LKVM_VMM_IRQ_H
#define LKVM_VMM_IRQ_H

#include <pthread.h>

#include "vmm/base.h"
#include "vmm/err.h"

#define IRQ_MAX_GSI 64
#define IRQ_MAX_MSI 512 /* messages of one machine */

struct irq_msi;

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

	/*
	 * Bind @msi->fd to the message in @msi, or with @msi->bound false to nothing. With @lock
	 * held. 0 or -errno. NULL: the machine has no messages.
	 */
	int (*bind)(void *ctx, const struct irq_msi *msi);
	struct irq_msi *msis[IRQ_MAX_MSI]; /* NULL: free; the index is msi->index */
};

struct irq_line {
	struct irq_chip *chip; /* NULL: not connected, irq_set() does nothing */
	u32 gsi;	       /* below IRQ_MAX_GSI: dev_create() sees to it */
	bool level;	       /* what this line contributes; under the device's lock */
};

/* Under the device's lock. What PCI calls address and data of an MSI-X table entry. */
struct irq_msi {
	struct irq_chip *chip; /* NULL: not made */
	u32 index;	       /* which of the machine's messages; below IRQ_MAX_MSI */
	int fd;		       /* eventfd, non-blocking: signal it to send the message */
	bool bound;
	u64 addr;
	u32 data;
	u32 devid; /* who sends: the requester id (arm64: ITS) */
};

/*
 * Make a message that is bound to nothing. @msi is zeroed but for @devid. -ENOSPC, -EMFILE
 * with a message; -EOPNOTSUPP without one where the machine has no messages.
 */
int irq_msi_init(struct irq_msi *msi, struct irq_chip *chip, struct lkvm_error *err);
void irq_msi_fini(struct irq_msi *msi); /* accepts a zeroed struct */

/* What it sends from now on; what was signalled while it was not bound is sent. 0 or -errno. */
int irq_msi_bind(struct irq_msi *msi, u64 addr, u32 data);
void irq_msi_unbind(struct irq_msi *msi);

void irq_msi_send(struct irq_msi *msi);

/* Signalled, and not sent because it is not bound. */
bool irq_msi_pending(const struct irq_msi *msi);

void irq_chip_init(struct irq_chip *chip, void (*set)(void *ctx, u32 gsi, bool level), void *ctx);
void irq_chip_fini(struct irq_chip *chip);

/*
 * Raise input @gsi and lower it at once: an edge. It may be one beyond IRQ_MAX_GSI, which no line
 * has; the machine's own code has checked it. Any thread.
 */
void irq_pulse(struct irq_chip *chip, u32 gsi);

/* Drive @line; with the device's lock held. Costs nothing when the level stays as it is. */
void irq_set(struct irq_line *line, bool level);

#endif
