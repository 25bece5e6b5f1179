/*
 * memory.c - guest memory: slots, guest_memfd, private and shared pages.
 *
 * A fake guest_memfd is a memfd that the caller gets as a real descriptor, so that mmap() and
 * fallocate() work on it; it is known again by its name. Unlike KVM's it can be mapped whatever its
 * flags say. The fake maps it too, to show what a guest finds in it.
 */
#include "tests/fakekvm/internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Memory slots (4.35, 4.140) ---- */

static struct fake_slot *find_slot(struct fake_vm *vm, u32 slot)
{
	for (unsigned int i = 0; i < FAKE_MAX_SLOTS; i++)
		if (vm->slots[i].used && vm->slots[i].r.slot == slot)
			return &vm->slots[i];
	return NULL;
}

/*
 * 4.35: LOG_DIRTY_PAGES and, by capability, READONLY. 4.140: GUEST_MEMFD, by the newer
 * request alone and with none of the others (EINVAL: observed).
 */
static u32 known_flags(struct fake_call *c, const struct kvm_userspace_memory_region *r, bool two)
{
	u32 flags = KVM_MEM_LOG_DIRTY_PAGES;

	if (two && r->flags & KVM_MEM_GUEST_MEMFD)
		return fake_cap(c->fk, c->vm, KVM_CAP_GUEST_MEMFD) > 0 ? KVM_MEM_GUEST_MEMFD : 0;
	if (fake_cap(c->fk, c->vm, KVM_CAP_READONLY_MEM) > 0)
		flags |= KVM_MEM_READONLY;
	return flags;
}

/*
 * The arguments alone. 4.35: slot ids below KVM_CAP_NR_MEMSLOTS. EINVAL for all of these, page
 * alignment and ranges that wrap: observed.
 */
static int check_region(struct fake_call *c, const struct kvm_userspace_memory_region *r, bool two)
{
	if (r->flags & ~known_flags(c, r, two))
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

/*
 * 4.35: a slot may move or change flags, not its size; nor (observed) its host memory. One with a
 * guest_memfd may do nothing but go (observed).
 */
static int check_change(const struct kvm_userspace_memory_region *old,
			const struct kvm_userspace_memory_region *new)
{
	if (old->memory_size != new->memory_size || old->userspace_addr != new->userspace_addr ||
	    ((old->flags ^ new->flags) & KVM_MEM_READONLY) ||
	    ((old->flags | new->flags) & KVM_MEM_GUEST_MEMFD))
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

/* Which of the VM's guest_memfds @fd is, from 0. EBADF for no descriptor, EINVAL for any other. */
static int which_gmem(const struct fake_vm *vm, u32 fd)
{
	unsigned int vm_index, n;
	char path[32], link[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%u", fd);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -EBADF;
	link[len] = '\0';
	if (sscanf(link, "/memfd:kvm-gmem-%u-%u ", &vm_index, &n) != 2 || vm_index != vm->index)
		return -EINVAL;
	return (int)n;
}

/*
 * 4.140: a range inside the file, which no other slot has; its offset in whole pages. EINVAL
 * observed, and also for a file of another VM.
 */
static int check_gmem(struct fake_vm *vm, const struct kvm_userspace_memory_region2 *r)
{
	int n = which_gmem(vm, r->guest_memfd);

	if (n < 0)
		return n;
	if (!range_fits(r->guest_memfd_offset, r->memory_size, vm->gmems[n].size))
		return -EINVAL;
	for (unsigned int i = 0; i < FAKE_MAX_SLOTS; i++) {
		const struct fake_slot *s = &vm->slots[i];

		if (s->used && s->gmem == (unsigned int)n + 1 &&
		    ranges_overlap(s->gmem_off, s->r.memory_size, r->guest_memfd_offset,
				   r->memory_size))
			return -EINVAL;
	}
	return n;
}

/* @two: the rest of the newer request; NULL: there is none. */
static int set_region(struct fake_call *c, const struct kvm_userspace_memory_region *r,
		      const struct kvm_userspace_memory_region2 *two)
{
	struct fake_slot new = { .used = true, .r = *r }, *s;
	bool has_gmem = r->flags & KVM_MEM_GUEST_MEMFD;
	int ret = check_region(c, r, two);

	if (!ret && has_gmem &&
	    (two->guest_memfd_offset % FAKE_PAGE ||
	     two->guest_memfd_offset + r->memory_size < two->guest_memfd_offset))
		ret = -EINVAL;
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
	if (!ret && has_gmem) {
		ret = check_gmem(c->vm, two);
		new.gmem = (unsigned int)ret + 1;
		new.gmem_off = two->guest_memfd_offset;
	}
	if (ret < 0)
		return ret;
	if (!s)
		s = unused_slot(c->vm);
	if (!s)
		return -ENOMEM; /* the fake's own limit */
	*s = new;
	return 0;
}

int fake_set_user_memory_region(struct fake_call *c)
{
	const struct kvm_userspace_memory_region *r = fake_user(c);

	if (!r)
		return -EFAULT;
	fake_note(c, " slot %u flags 0x%x gpa 0x%llx size 0x%llx", r->slot, r->flags,
		  (unsigned long long)r->guest_phys_addr, (unsigned long long)r->memory_size);
	return set_region(c, r, NULL);
}

int fake_set_user_memory_region2(struct fake_call *c)
{
	const struct kvm_userspace_memory_region2 *r = fake_user(c);
	struct kvm_userspace_memory_region one;

	if (!r)
		return -EFAULT;
	one = (struct kvm_userspace_memory_region){
		.slot = r->slot,
		.flags = r->flags,
		.guest_phys_addr = r->guest_phys_addr,
		.memory_size = r->memory_size,
		.userspace_addr = r->userspace_addr,
	};
	fake_note(c, " slot %u flags 0x%x gpa 0x%llx size 0x%llx", r->slot, r->flags,
		  (unsigned long long)r->guest_phys_addr, (unsigned long long)r->memory_size);
	if (r->flags & KVM_MEM_GUEST_MEMFD)
		fake_note(c, " offset 0x%llx", (unsigned long long)r->guest_memfd_offset);
	return set_region(c, &one, r);
}

/* ---- guest_memfd (4.142) ---- */

/* All calls are made bare: tests fail those of the C library. */
static int new_gmem(struct fake_vm *vm, u64 size)
{
	char name[48];
	long fd, addr;

	if (vm->n_gmems == FAKE_MAX_GMEMS)
		return -ENFILE; /* the fake's own limit */
	snprintf(name, sizeof(name), "kvm-gmem-%u-%u", vm->index, vm->n_gmems);
	fd = syscall(SYS_memfd_create, name, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	addr = syscall(SYS_ftruncate, fd, size);
	if (!addr)
		addr = syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (addr == -1) {
		int code = errno;

		syscall(SYS_close, fd);
		return -code;
	}
	vm->gmems[vm->n_gmems++] = (struct fake_gmem){ (u8 *)addr, size };
	return (int)fd;
}

/* 4.142: whole pages, known flags. EINVAL: observed; what is reserved is not looked at. */
int fake_create_guest_memfd(struct fake_call *c)
{
	const struct kvm_create_guest_memfd *g = fake_user(c);
	u64 known = (u64)fake_cap(c->fk, c->vm, KVM_CAP_GUEST_MEMFD_FLAGS);
	int ret;

	if (!g)
		return -EFAULT;
	fake_note(c, " size 0x%llx flags 0x%llx", (unsigned long long)g->size,
		  (unsigned long long)g->flags);
	if (!g->size || g->size > INT64_MAX || g->size % FAKE_PAGE || g->flags & ~known)
		return -EINVAL;
	ret = new_gmem(c->vm, g->size);
	if (ret >= 0)
		c->result = "guest_memfd";
	return ret;
}

void fake_drop_gmems(struct fake_vm *vm)
{
	for (unsigned int i = 0; i < vm->n_gmems; i++)
		syscall(SYS_munmap, vm->gmems[i].host, vm->gmems[i].size);
	vm->n_gmems = 0;
}

bool fake_has_gmem(const struct fake_vm *vm, u64 gpa, u64 len)
{
	for (unsigned int i = 0; i < FAKE_MAX_SLOTS; i++) {
		const struct fake_slot *s = &vm->slots[i];

		if (s->used && s->gmem && gpa >= s->r.guest_phys_addr &&
		    range_fits(gpa - s->r.guest_phys_addr, len, s->r.memory_size))
			return true;
	}
	return false;
}

/* ---- Private and shared (4.141) ---- */

static bool add_private(struct fake_vm *vm, u64 start, u64 end)
{
	if (start >= end)
		return true;
	if (vm->n_private == FAKE_MAX_PRIVATE)
		return false;
	vm->private[vm->n_private++] = (struct fake_range){ start, end };
	return true;
}

/* Neighbours become one, so that their number says how mixed memory is. */
static void join_private(struct fake_vm *vm)
{
	for (unsigned int i = 0; i < vm->n_private; i++) {
		struct fake_range *a = &vm->private[i];

		for (unsigned int k = 0; k < vm->n_private; k++) {
			if (vm->private[k].start != a->end)
				continue;
			a->end = vm->private[k].end;
			vm->private[k] = vm->private[--vm->n_private];
			i = UINT32_MAX; /* from the start */
			break;
		}
	}
}

static int set_private(struct fake_vm *vm, u64 start, u64 end, bool private)
{
	struct fake_range old[FAKE_MAX_PRIVATE];
	unsigned int n = vm->n_private;
	bool fits = true;

	memcpy(old, vm->private, sizeof(old));
	vm->n_private = 0;
	for (unsigned int i = 0; i < n; i++) {
		fits &= add_private(vm, old[i].start, min_u64(old[i].end, start));
		fits &= add_private(vm, max_u64(old[i].start, end), old[i].end);
	}
	if (private)
		fits &= add_private(vm, start, end);
	if (fits) {
		join_private(vm);
		return 0;
	}
	memcpy(vm->private, old, sizeof(old));
	vm->n_private = n;
	return -ENOMEM; /* the fake's own limit */
}

/*
 * 4.141: whole pages, no flags, attributes that KVM_CAP_MEMORY_ATTRIBUTES has. EINVAL: from that
 * text. There need be no slot.
 */
int fake_set_memory_attributes(struct fake_call *c)
{
	const struct kvm_memory_attributes *a = fake_user(c);

	if (!a)
		return -EFAULT;
	fake_note(c, " 0x%llx+0x%llx 0x%llx", (unsigned long long)a->address,
		  (unsigned long long)a->size, (unsigned long long)a->attributes);
	if (a->flags || a->attributes & ~(u64)fake_cap(c->fk, c->vm, KVM_CAP_MEMORY_ATTRIBUTES) ||
	    !a->size || a->address + a->size < a->address || (a->address | a->size) % FAKE_PAGE)
		return -EINVAL;
	return set_private(c->vm, a->address, a->address + a->size, a->attributes);
}

u64 fake_private_bytes(const struct fake_vm *vm, u64 gpa, u64 len)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < vm->n_private; i++) {
		u64 start = max_u64(vm->private[i].start, gpa);
		u64 end = min_u64(vm->private[i].end, gpa + len);

		sum += start < end ? end - start : 0;
	}
	return sum;
}

/* ---- What the guest sees ---- */

void *fake_gpa(struct fake_vm *vm, u64 gpa, u64 len)
{
	for (unsigned int i = 0; vm && i < FAKE_MAX_SLOTS; i++) {
		const struct fake_slot *s = &vm->slots[i];
		u64 private, off = gpa - s->r.guest_phys_addr;

		if (!s->used || gpa < s->r.guest_phys_addr ||
		    !range_fits(off, len, s->r.memory_size))
			continue;
		private = fake_private_bytes(vm, gpa, len);
		if (!private)
			return (void *)(uintptr_t)(s->r.userspace_addr + off);
		return private == len && s->gmem ? vm->gmems[s->gmem - 1].host + s->gmem_off + off
						 : NULL;
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

u64 fakekvm_private_bytes(struct fakekvm *fk, u64 gpa, u64 len)
{
	u64 sum;

	pthread_mutex_lock(&fk->lock);
	sum = fk->newest ? fake_private_bytes(fk->newest, gpa, len) : 0;
	pthread_mutex_unlock(&fk->lock);
	return sum;
}
