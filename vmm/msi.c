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

/*
 * KVM takes bits 31:8 of a destination in the upper half of the address
 * (KVM_X2APIC_API_USE_32BIT_IDS; api.rst 4.52). A guest writes an address of 32 bits: with
 * KVM_FEATURE_MSI_EXT_DEST_ID it has found room for seven of them there.
 */
#define EXT_DEST_SHIFT 5
#define EXT_DEST_MASK  0x7fu

static void split_addr(const struct msi_router *r, u64 addr, u32 *lo, u32 *hi)
{
	*lo = (u32)addr;
	*hi = (u32)(addr >> 32);
	if (!r->ext_dest)
		return;
	*hi |= (*lo >> EXT_DEST_SHIFT & EXT_DEST_MASK) << 8;
	*lo &= ~(EXT_DEST_MASK << EXT_DEST_SHIFT);
}

static void make_msi(const struct msi_router *r, u64 addr, u32 data,
		     struct kvm_irq_routing_entry *e)
{
	e->type = KVM_IRQ_ROUTING_MSI;
	split_addr(r, addr, &e->u.msi.address_lo, &e->u.msi.address_hi);
	e->u.msi.data = data;
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
	make_msi(r, msi->addr, msi->data, e);
	if (r->devids) {
		e->flags = KVM_MSI_VALID_DEVID;
		e->u.msi.devid = msi->devid;
	}
	return 0;
}

/*
 * The entry at @at, which may be the first one behind the table's end, becomes @entry. Changing the
 * table makes KVM wait for all readers of the old one: only when something changes.
 */
static int change(struct msi_router *r, u32 at, const struct kvm_irq_routing_entry *entry)
{
	struct kvm_irq_routing_entry *e = &r->table->entries[at], old = *e;
	bool is_new = at == r->table->nr;
	int ret;

	if (!is_new && !memcmp(e, entry, sizeof(*entry)))
		return 0;
	*e = *entry;
	r->table->nr += is_new;
	ret = kvm_vm_ioctl(r->kvm, KVM_SET_GSI_ROUTING, r->table, NULL);
	if (ret >= 0)
		return 0;
	*e = old;
	r->table->nr -= is_new;
	return ret;
}

static int route(struct msi_router *r, const struct irq_msi *msi)
{
	u32 at = r->entry[msi->index] ? r->entry[msi->index] - 1u : r->table->nr;
	struct kvm_irq_routing_entry entry;
	int ret = make_entry(r, msi, &entry);

	if (!ret)
		ret = change(r, at, &entry);
	if (!ret)
		r->entry[msi->index] = (u16)(at + 1);
	return ret;
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

int msi_router_set_pin(struct msi_router *r, u32 at, u64 addr, u32 data)
{
	struct kvm_irq_routing_entry entry;

	memset(&entry, 0, sizeof(entry));
	entry.gsi = r->table->entries[at].gsi;
	make_msi(r, addr, data, &entry);
	return change(r, at, &entry);
}

int msi_router_send(const struct msi_router *r, u64 addr, u32 data)
{
	struct kvm_msi msi = { .data = data };

	split_addr(r, addr, &msi.address_lo, &msi.address_hi);
	return kvm_vm_ioctl(r->kvm, KVM_SIGNAL_MSI, &msi, NULL);
}
