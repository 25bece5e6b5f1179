/* vm.c - requests on a VM that all architectures share: memory slots, interrupt lines, eventfds. */
#include "tests/fakekvm/internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* ---- Memory slots (4.35) ---- */

static struct fake_slot *find_slot(struct fake_vm *vm, u32 slot)
{
	for (unsigned int i = 0; i < FAKE_MAX_SLOTS; i++)
		if (vm->slots[i].used && vm->slots[i].r.slot == slot)
			return &vm->slots[i];
	return NULL;
}

/*
 * The arguments alone. 4.35: slot ids below KVM_CAP_NR_MEMSLOTS, flags LOG_DIRTY_PAGES and, by
 * capability, READONLY. EINVAL for all of these, page alignment and ranges that wrap: observed.
 */
static int check_region(struct fake_call *c, const struct kvm_userspace_memory_region *r)
{
	u32 flags = KVM_MEM_LOG_DIRTY_PAGES;

	if (fake_cap(c->fk, c->vm, KVM_CAP_READONLY_MEM) > 0)
		flags |= KVM_MEM_READONLY;
	if (r->flags & ~flags)
		return -EINVAL;
	if ((r->memory_size | r->guest_phys_addr | r->userspace_addr) % FAKE_PAGE)
		return -EINVAL;
	/* one address space (no KVM_CAP_MULTI_ADDRESS_SPACE here) */
	if (r->slot >= (u32)fake_cap(c->fk, c->vm, KVM_CAP_NR_MEMSLOTS))
		return -EINVAL;
	if (r->guest_phys_addr + r->memory_size < r->guest_phys_addr ||
	    !range_fits(r->userspace_addr, r->memory_size, BIT(47)))
		return -EINVAL;
	return 0;
}

/* 4.35: a slot may move or change flags, not its size; nor (observed) its host memory. */
static int check_change(const struct kvm_userspace_memory_region *old,
			const struct kvm_userspace_memory_region *new)
{
	if (old->memory_size != new->memory_size || old->userspace_addr != new->userspace_addr ||
	    ((old->flags ^ new->flags) & KVM_MEM_READONLY))
		return -EINVAL;
	return 0;
}

/* 4.35: slots may not overlap in guest-physical space: EEXIST. */
static int check_overlap(struct fake_vm *vm, const struct kvm_userspace_memory_region *r)
{
	for (unsigned int i = 0; i < FAKE_MAX_SLOTS; i++) {
		const struct fake_slot *s = &vm->slots[i];

		if (s->used && s->r.slot != r->slot &&
		    ranges_overlap(s->r.guest_phys_addr, s->r.memory_size, r->guest_phys_addr,
				   r->memory_size))
			return -EEXIST;
	}
	return 0;
}

static struct fake_slot *unused_slot(struct fake_vm *vm)
{
	for (unsigned int i = 0; i < FAKE_MAX_SLOTS; i++)
		if (!vm->slots[i].used)
			return &vm->slots[i];
	return NULL;
}

static int set_user_memory_region(struct fake_call *c)
{
	const struct kvm_userspace_memory_region *r = fake_user(c);
	struct fake_slot *s;
	int ret;

	if (!r)
		return -EFAULT;
	fake_note(c, " slot %u flags 0x%x gpa 0x%llx size 0x%llx", r->slot, r->flags,
		  (unsigned long long)r->guest_phys_addr, (unsigned long long)r->memory_size);
	ret = check_region(c, r);
	if (ret)
		return ret;
	s = find_slot(c->vm, r->slot);
	if (!r->memory_size) {
		if (!s)
			return -EINVAL; /* observed */
		s->used = false;
		return 0;
	}
	if (s)
		ret = check_change(&s->r, r);
	if (!ret)
		ret = c->fk->host->arch->check_slot(c, r);
	if (!ret)
		ret = check_overlap(c->vm, r);
	if (ret)
		return ret;
	if (!s)
		s = unused_slot(c->vm);
	if (!s)
		return -ENOMEM; /* the fake's own limit */
	*s = (struct fake_slot){ .used = true, .r = *r };
	return 0;
}

void *fake_gpa(struct fake_vm *vm, u64 gpa, u64 len)
{
	for (unsigned int i = 0; vm && i < FAKE_MAX_SLOTS; i++) {
		const struct fake_slot *s = &vm->slots[i];

		if (s->used && gpa >= s->r.guest_phys_addr &&
		    range_fits(gpa - s->r.guest_phys_addr, len, s->r.memory_size))
			return (void *)(uintptr_t)(s->r.userspace_addr + gpa -
						   s->r.guest_phys_addr);
	}
	return NULL;
}

void *fakekvm_gpa(struct fakekvm *fk, u64 gpa, u64 len)
{
	void *host;

	pthread_mutex_lock(&fk->lock);
	host = fake_gpa(fk->newest, gpa, len);
	pthread_mutex_unlock(&fk->lock);
	return host;
}

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
	fake_note(c, " 0x%x 0x%x", m->address_lo, m->data);
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
		if (t->entries[i].gsi < FAKE_MAX_GSIS)
			c->vm->routed[t->entries[i].gsi] = true;
	}
	return 0;
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
	FAKE_REQUEST(KVM_SET_USER_MEMORY_REGION, set_user_memory_region),
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
