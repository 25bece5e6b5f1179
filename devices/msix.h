/*
 * msix.h - the MSI-X table and its pending bits (PCI Local Bus 3.0 section 6.8.2; layer 2).
 *
 * A vector is an irq_msi, whose eventfd holds the pending bit. It is bound to the
 * message of its table entry while it can be sent: MSI-X on, the function not masked, the
 * entry not masked. Entries are written in pieces of 4 or 8 bytes; nothing is bound
 * before the entry is unmasked, and what is written to an entry that is bound counts from the
 * next time on that it is unmasked (the specification calls that undefined). So half a
 * message is never sent. Under the device's lock.
 */
#ifndef LKVM_DEVICES_MSIX_H
#define LKVM_DEVICES_MSIX_H

#include "vmm/irq.h"
#include "vmm/log.h"

#define MSIX_MAX_VECTORS 65
#define MSIX_ENTRY_SIZE	 16

struct msix_entry {
	u64 addr;
	u32 data;
	u32 control; /* bit 0: masked */
	struct irq_msi msi;
};

struct msix {
	unsigned int n;		    /* vectors, up to MSIX_MAX_VECTORS; 0: no MSI-X */
	bool enabled, masked;	    /* for the function as a whole */
	struct msix_entry *entries; /* n */
	struct ratelimit limit;
	const struct log *log;
};

/*
 * Of a zeroed struct: all entries are masked. -ENOMEM, -EMFILE, ... with a message; -EOPNOTSUPP
 * without where @chip is NULL or has no messages. @devid: the requester id (bus, slot and
 * function).
 */
int msix_init(struct msix *x, struct irq_chip *chip, unsigned int n, u32 devid,
	      const struct log *log, struct lkvm_error *err);
void msix_fini(struct msix *x); /* accepts a zeroed struct */

/* MSI-X Enable and Function Mask of the capability. */
void msix_control(struct msix *x, bool enabled, bool masked);

/* Accesses to the table and the pending bits, @off relative to each; others: all ones, dropped. */
u64 msix_table_read(struct msix *x, u32 off, unsigned int size);
void msix_table_write(struct msix *x, u32 off, unsigned int size, u64 val);
u64 msix_pba_read(struct msix *x, u32 off, unsigned int size);

/* Send vector @vector, or leave it pending; no such vector: nothing. */
void msix_send(struct msix *x, unsigned int vector);

#endif
