#include "vmm/msi.h"

#include <errno.h>
#include <stdlib.h>

int msi_router_init(struct msi_router *r, const struct kvm *kvm,
		    const struct kvm_irq_routing_entry *pins, unsigned int n_pins, u32 first_gsi,
		    struct lkvm_error *err)
{
	int max = kvm_require(kvm, KVM_CAP_IRQ_ROUTING, err);

	if (max < 0)
		return max;
	if (max < (int)(first_gsi + IRQ_MAX_MSI))
		return err_unsupported(err, EOPNOTSUPP,
				       "this host's KVM routes %d interrupts, %u are needed", max,
				       first_gsi + IRQ_MAX_MSI);
	if (kvm_require(kvm, KVM_CAP_IRQFD, err) < 0)
		return -EOPNOTSUPP;
	r->kvm = kvm;
	r->first_gsi = first_gsi;
	r->devids = kvm_check(kvm, KVM_CAP_MSI_DEVID) > 0;
	r->table = calloc(1, sizeof(*r->table) +
				     (n_pins + IRQ_MAX_MSI) * sizeof(r->table->entries[0]));
	if (!r->table)
		return err_host(err, ENOMEM, "interrupt routing");
	for (unsigned int i = 0; i < n_pins; i++)
		r->table->entries[i] = pins[i];
	r->table->nr = n_pins;
	return 0;
}

void msi_router_fini(struct msi_router *r)
{
	free(r->table);
	r->table = NULL;
}

static int make_entry(const struct msi_router *r, const struct irq_msi *msi,
		      struct kvm_irq_routing_entry *e)
{
	/* all of it: entries are compared as bytes */
	memset(e, 0, sizeof(*e));
	e->gsi = r->first_gsi + msi->index;
	if (r->pin) {
		int pin = r->pin(msi->addr, msi->data);

		e->type = KVM_IRQ_ROUTING_IRQCHIP;
		e->u.irqchip.pin = (u32)pin;
		return pin < 0 ? pin : 0;
	}
	e->type = KVM_IRQ_ROUTING_MSI;
	e->u.msi.address_lo = (u32)msi->addr;
	e->u.msi.address_hi = (u32)(msi->addr >> 32);
	e->u.msi.data = msi->data;
	if (r->devids) {
		e->flags = KVM_MSI_VALID_DEVID;
		e->u.msi.devid = msi->devid;
	}
	return 0;
}

/* Changing the table makes KVM wait for all readers of the old one: only when something changes. */
static int route(struct msi_router *r, const struct irq_msi *msi)
{
	struct kvm_irq_routing_entry entry, old, *e;
	bool is_new = !r->entry[msi->index];
	u32 at = is_new ? r->table->nr : r->entry[msi->index] - 1u;
	int ret;

	ret = make_entry(r, msi, &entry);
	if (ret)
		return ret;
	e = &r->table->entries[at];
	if (!is_new && !memcmp(e, &entry, sizeof(entry)))
		return 0;
	old = *e;
	*e = entry;
	r->table->nr += is_new;
	ret = kvm_vm_ioctl(r->kvm, KVM_SET_GSI_ROUTING, r->table, NULL);
	if (ret < 0) {
		*e = old;
		r->table->nr -= is_new;
		return ret;
	}
	r->entry[msi->index] = (u16)(at + 1);
	return 0;
}

static int set_irqfd(struct msi_router *r, const struct irq_msi *msi, bool on)
{
	const struct kvm_irqfd irqfd = {
		.fd = (u32)msi->fd,
		.gsi = r->first_gsi + msi->index,
		.flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};
	int ret;

	if (r->bound[msi->index] == on)
		return 0;
	ret = kvm_vm_ioctl(r->kvm, KVM_IRQFD, &irqfd, NULL);
	if (ret < 0)
		return ret;
	r->bound[msi->index] = on;
	return 0;
}

int msi_router_bind(struct msi_router *r, const struct irq_msi *msi)
{
	int ret = msi->bound ? route(r, msi) : 0;

	return ret ? ret : set_irqfd(r, msi, msi->bound);
}
