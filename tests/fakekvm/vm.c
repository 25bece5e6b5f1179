/* vm.c - requests on a VM that all architectures share: interrupt lines, eventfds. */
#include "tests/fakekvm/internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* ---- Interrupt lines (4.25), MSIs (4.70), routing (4.52) ---- */

void fake_set_gsi(struct fake_vm *vm, u32 gsi, bool level)
{
	if (gsi >= FAKE_MAX_GSIS)
		return;
	if (level && !vm->gsi_level[gsi]) {
		vm->gsi_count[gsi]++;
		vm->n_irqs++;
	}
	vm->gsi_level[gsi] = level;
}

/* 4.25. What an interrupt is called differs. */
static int irq_line(struct fake_call *c)
{
	const struct kvm_irq_level *l = fake_user(c);

	if (!l)
		return -EFAULT;
	fake_note(c, " gsi %u level %u", l->irq, l->level);
	if (l->level > 1)
		fake_complain(c->fk, "KVM_IRQ_LINE with level %u, 4.25 knows 0 and 1", l->level);
	return c->fk->host->arch->irq_line(c, l->irq, l->level != 0);
}

static int irq_line_status(struct fake_call *c)
{
	struct kvm_irq_level *l = fake_user(c);
	int ret = irq_line(c);

	if (!ret)
		l->status = 1;
	return ret;
}

/* 4.70: only with an irqchip; EINVAL without: observed. */
static int signal_msi(struct fake_call *c)
{
	const struct kvm_msi *m = fake_user(c);

	if (!m)
		return -EFAULT;
	fake_note(c, " 0x%llx 0x%x", (unsigned long long)m->address_hi << 32 | m->address_lo,
		  m->data);
	if (!c->fk->host->arch->has_irqchip(c->vm) || m->flags & ~KVM_MSI_VALID_DEVID)
		return -EINVAL;
	return c->fk->host->arch->signal_msi(c, m);
}

/* 4.52: no flags; KVM_CAP_IRQ_ROUTING says how many. EINVAL: observed. */
static int set_gsi_routing(struct fake_call *c)
{
	const struct kvm_irq_routing *t = fake_user(c);
	u32 max = (u32)fake_cap(c->fk, c->vm, KVM_CAP_IRQ_ROUTING);

	if (!t)
		return -EFAULT;
	fake_note(c, " nr %u", t->nr);
	if (!c->fk->host->arch->has_irqchip(c->vm) || t->nr > max || t->flags)
		return -EINVAL;
	for (u32 i = 0; i < t->nr; i++) {
		const struct kvm_irq_routing_entry *e = &t->entries[i];
		int ret = e->gsi >= max ? -EINVAL : c->fk->host->arch->check_routing(c, e);

		if (ret)
			return ret;
	}
	c->vm->has_routing = true;
	memset(c->vm->routed, 0, sizeof(c->vm->routed));
	for (u32 i = 0; i < t->nr; i++) {
		if (t->entries[i].gsi >= FAKE_MAX_GSIS)
			continue;
		c->vm->routed[t->entries[i].gsi] = true;
		c->vm->routes[t->entries[i].gsi] = t->entries[i];
	}
	return 0;
}

bool fakekvm_route(struct fakekvm *fk, u32 gsi, struct kvm_irq_routing_entry *entry)
{
	bool routed;

	pthread_mutex_lock(&fk->lock);
	routed = fk->newest && gsi < FAKE_MAX_GSIS && fk->newest->routed[gsi];
	if (routed)
		*entry = fk->newest->routes[gsi];
	pthread_mutex_unlock(&fk->lock);
	return routed;
}

/* 4.52: what is not in the table leads nowhere. */
static bool is_routed(const struct fakekvm *fk, const struct fake_vm *vm, u32 gsi)
{
	return vm->has_routing ? vm->routed[gsi] : gsi < fk->host->arch->n_pins(vm);
}

/* ---- eventfds (4.59, 4.75) ---- */

/* EBADF for no descriptor, EINVAL for one of another kind: observed. */
static int check_eventfd(int fd)
{
	char path[32], link[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = fd < 0 ? -1 : readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -EBADF;
	link[n] = '\0';
	return strstr(link, "[eventfd]") ? 0 : -EINVAL;
}

static bool same_ioeventfd(const struct kvm_ioeventfd *a, const struct kvm_ioeventfd *b)
{
	u32 bits = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH;

	return a->addr == b->addr && a->len == b->len && !((a->flags ^ b->flags) & bits) &&
	       (!(a->flags & KVM_IOEVENTFD_FLAG_DATAMATCH) || a->datamatch == b->datamatch);
}

/* Observed: one without datamatch, or without length, is in the way of all at its address. */
static bool collides(const struct kvm_ioeventfd *a, const struct kvm_ioeventfd *b)
{
	if (a->addr != b->addr || (a->flags ^ b->flags) & KVM_IOEVENTFD_FLAG_PIO)
		return false;
	if (!a->len || !b->len)
		return true;
	if (a->len != b->len)
		return false;
	return !(a->flags & b->flags & KVM_IOEVENTFD_FLAG_DATAMATCH) ||
	       a->datamatch == b->datamatch;
}

static int assign_ioeventfd(struct fake_vm *vm, const struct kvm_ioeventfd *e)
{
	struct fake_ioeventfd *free_one = NULL;

	for (unsigned int i = 0; i < FAKE_MAX_EVENTFDS; i++) {
		if (!vm->ioeventfds[i].used)
			free_one = &vm->ioeventfds[i];
		else if (collides(&vm->ioeventfds[i].e, e))
			return -EEXIST; /* observed */
	}
	if (!free_one)
		return -ENOSPC;
	*free_one = (struct fake_ioeventfd){ .used = true, .e = *e };
	return 0;
}

/* Same address, length, flags, datamatch and fd as it was assigned with; ENOENT else (observed). */
static int deassign_ioeventfd(struct fake_vm *vm, const struct kvm_ioeventfd *e)
{
	for (unsigned int i = 0; i < FAKE_MAX_EVENTFDS; i++) {
		struct fake_ioeventfd *f = &vm->ioeventfds[i];

		if (f->used && f->e.fd == e->fd && same_ioeventfd(&f->e, e)) {
			f->used = false;
			return 0;
		}
	}
	return -ENOENT;
}

static int ioeventfd(struct fake_call *c)
{
	const struct kvm_ioeventfd *e = fake_user(c);
	u32 known =
		KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN;
	int ret;

	if (!e)
		return -EFAULT;
	fake_note(c, " addr 0x%llx len %u flags 0x%x", (unsigned long long)e->addr, e->len,
		  e->flags);
	/* 4.59: len is 0, 1, 2, 4 or 8; datamatch needs one; EINVAL: observed. */
	if (e->len > 8 || (e->len & (e->len - 1)) || e->addr + e->len < e->addr ||
	    e->flags & ~known || (!e->len && e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH))
		return -EINVAL;
	ret = check_eventfd(e->fd);
	if (ret)
		return ret;
	return e->flags & KVM_IOEVENTFD_FLAG_DEASSIGN ? deassign_ioeventfd(c->vm, e)
						      : assign_ioeventfd(c->vm, e);
}

/* 4.75. Observed: EBUSY for an eventfd in use; taking away what is not there succeeds. */
static int irqfd(struct fake_call *c)
{
	const struct kvm_irqfd *r = fake_user(c);
	struct fake_irqfd *free_one = NULL;
	int ret;

	if (!r)
		return -EFAULT;
	fake_note(c, " gsi %u flags 0x%x", r->gsi, r->flags);
	if (r->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	ret = r->flags & KVM_IRQFD_FLAG_DEASSIGN ? 0 : c->fk->host->arch->check_irqfd(c);
	if (!ret)
		ret = check_eventfd((int)r->fd);
	if (!ret && r->flags & KVM_IRQFD_FLAG_RESAMPLE && !(r->flags & KVM_IRQFD_FLAG_DEASSIGN))
		ret = check_eventfd((int)r->resamplefd);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < FAKE_MAX_EVENTFDS; i++) {
		struct fake_irqfd *f = &c->vm->irqfds[i];

		if (!f->used)
			free_one = f;
		else if (f->fd == r->fd && !(r->flags & KVM_IRQFD_FLAG_DEASSIGN))
			return -EBUSY;
		else if (f->fd == r->fd && f->gsi == r->gsi)
			f->used = false;
	}
	if (r->flags & KVM_IRQFD_FLAG_DEASSIGN)
		return 0;
	if (!free_one)
		return -ENOSPC;
	*free_one = (struct fake_irqfd){ true, r->fd, r->gsi };
	return 0;
}

/* KVM takes the count of an irqfd away as it injects; here that happens when somebody looks. */
void fake_drain_irqfds(struct fakekvm *fk, struct fake_vm *vm)
{
	const struct timespec now = { 0 };

	for (unsigned int i = 0; i < FAKE_MAX_EVENTFDS; i++) {
		struct fake_irqfd *f = &vm->irqfds[i];
		struct pollfd p = { .fd = (int)f->fd, .events = POLLIN };
		eventfd_t n;

		if (!f->used || f->gsi >= FAKE_MAX_GSIS || ppoll(&p, 1, &now, NULL) != 1 ||
		    eventfd_read(p.fd, &n))
			continue;
		if (!is_routed(fk, vm, f->gsi)) {
			fake_complain(fk, "irqfd of GSI %u, which has no route (4.52)", f->gsi);
			continue;
		}
		vm->gsi_count[f->gsi]++;
		vm->n_irqs++;
	}
}

bool fakekvm_irq_level(struct fakekvm *fk, u32 gsi)
{
	bool level;

	pthread_mutex_lock(&fk->lock);
	level = fk->newest && gsi < FAKE_MAX_GSIS && fk->newest->gsi_level[gsi];
	pthread_mutex_unlock(&fk->lock);
	return level;
}

unsigned long fakekvm_irq_count(struct fakekvm *fk, u32 gsi)
{
	unsigned long n = 0;

	pthread_mutex_lock(&fk->lock);
	if (fk->newest && gsi < FAKE_MAX_GSIS) {
		fake_drain_irqfds(fk, fk->newest);
		n = fk->newest->gsi_count[gsi];
	}
	pthread_mutex_unlock(&fk->lock);
	return n;
}

/* 4.59: a write that an ioeventfd is registered for signals it and does not exit. */
bool fake_ioeventfd_write(struct fake_vm *vm, bool port, u64 addr, u32 len, u64 val)
{
	for (unsigned int i = 0; i < FAKE_MAX_EVENTFDS; i++) {
		const struct kvm_ioeventfd *e = &vm->ioeventfds[i].e;

		if (!vm->ioeventfds[i].used || e->addr != addr ||
		    port != !!(e->flags & KVM_IOEVENTFD_FLAG_PIO) || (e->len && e->len != len))
			continue;
		if (e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH && e->datamatch != val)
			continue;
		return !eventfd_write(e->fd, 1);
	}
	return false;
}

/* ---- Capabilities ---- */

/* 4.37: flags are 0; unknown capabilities are refused. EINVAL: observed. */
static int enable_cap(struct fake_call *c)
{
	const struct kvm_enable_cap *cap = fake_user(c);

	if (!cap)
		return -EFAULT;
	fake_note(c, " %u 0x%llx", cap->cap, (unsigned long long)cap->args[0]);
	return cap->flags ? -EINVAL : c->fk->host->arch->enable_cap(c, cap);
}

const struct fake_request fake_vm_requests[] = {
	FAKE_REQUEST(KVM_SET_USER_MEMORY_REGION, fake_set_user_memory_region),
	FAKE_REQUEST_CAP(KVM_SET_USER_MEMORY_REGION2, fake_set_user_memory_region2,
			 KVM_CAP_USER_MEMORY2),
	FAKE_REQUEST_CAP(KVM_CREATE_GUEST_MEMFD, fake_create_guest_memfd, KVM_CAP_GUEST_MEMFD),
	FAKE_REQUEST_CAP(KVM_SET_MEMORY_ATTRIBUTES, fake_set_memory_attributes,
			 KVM_CAP_MEMORY_ATTRIBUTES),
	FAKE_REQUEST_CAP(KVM_IRQ_LINE, irq_line, KVM_CAP_IRQCHIP),
	FAKE_REQUEST_CAP(KVM_IRQ_LINE_STATUS, irq_line_status, KVM_CAP_IRQ_INJECT_STATUS),
	FAKE_REQUEST_CAP(KVM_SIGNAL_MSI, signal_msi, KVM_CAP_SIGNAL_MSI),
	FAKE_REQUEST_CAP(KVM_SET_GSI_ROUTING, set_gsi_routing, KVM_CAP_IRQ_ROUTING),
	FAKE_REQUEST_CAP(KVM_IOEVENTFD, ioeventfd, KVM_CAP_IOEVENTFD),
	FAKE_REQUEST_CAP(KVM_IRQFD, irqfd, KVM_CAP_IRQFD),
	FAKE_REQUEST(KVM_ENABLE_CAP, enable_cap),
	FAKE_REQUEST(KVM_CREATE_DEVICE, fake_create_device),
	FAKE_END,
};
