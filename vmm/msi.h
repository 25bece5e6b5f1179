/*
 * msi.h - messages of irq.h on KVM: the routing table and irqfds (layer 2).
 *
 * KVM knows interrupts by GSI. A message gets one above the machine's pins, a
 * routing entry that says what it sends, and its eventfd as an irqfd. Unbinding takes only the
 * irqfd away, so a masked vector costs no change of the table; and KVM sends at once
 * what was signalled while there was none (Documentation/virt/kvm/api.rst, 4.52 and 4.75).
 */
#ifndef LKVM_VMM_MSI_H
#define LKVM_VMM_MSI_H

#include "linux-uapi/kvm.h"
#include "vmm/irq.h"
#include "vmm/kvm.h"

struct msi_router {
	const struct kvm *kvm;
	bool devids;   /* KVM wants to know who sends (arm64: ITS) */
	bool ext_dest; /* x86: bits 11:5 of an address are bits 14:8 of its destination */
	u32 first_gsi; /* message n has GSI first_gsi + n */
	/*
	 * NULL: the interrupt controller takes messages. Else a frame turns them into its inputs
	 * (arm64: GICv2m): which pin the message raises, or -errno. Set after msi_router_init().
	 */
	int (*pin)(u64 addr, u32 data);
	struct kvm_irq_routing *table; /* pins first, then the messages bound so far */
	u16 entry[IRQ_MAX_MSI];	       /* index in @table + 1; 0: none yet */
	bool bound[IRQ_MAX_MSI];       /* it has an irqfd */
};

/*
 * @pins: what KVM routes to its own interrupt controllers, or messages of one that is not KVM's;
 * they stay as they are, but for msi_router_set_pin(). There may be none. KVM is told of nothing
 * before the first message is bound. -ENOMEM, or LKVM_ERR_UNSUPPORTED.
 */
int msi_router_init(struct msi_router *r, const struct kvm *kvm,
		    const struct kvm_irq_routing_entry *pins, unsigned int n_pins, u32 first_gsi,
		    struct lkvm_error *err);
void msi_router_fini(struct msi_router *r); /* accepts a zeroed struct */

/* irq_chip.bind. */
int msi_router_bind(struct msi_router *r, const struct irq_msi *msi);

/*
 * What @pins[@at], a message, sends from now on. Costs nothing when it is that already. Under the
 * lock that msi_router_bind() is called with. 0 or -errno: then it is what it was.
 */
int msi_router_set_pin(struct msi_router *r, u32 at, u64 addr, u32 data);

/* Send a message at once: > 0 when a CPU took it, 0 when they do not listen, or -errno. */
int msi_router_send(const struct msi_router *r, u64 addr, u32 data);

#endif
