/*
 * gmem_private.c - guest_memfd, a file of KVM's own behind a memory slot: all there is of a region
 * that the host maps too, or beside what the host maps, for memory that only the guest can read.
 *
 * Of private memory KVM is told page by page which of the two the guest is to see (api.rst
 * 4.140, 4.141, 4.142). This process never touches private bytes: it has no mapping of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "linux-uapi/kvm.h"
#include "vmm/gmem_impl.h"
#include "vmm/kvm.h"

#define MAX_TRIES 100 /* of a call that the kernel broke off: more is no coincidence */

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18, older than all private memory */
#endif

/* The host may map and touch it: KVM says by flags of its own what it takes. */
static int check_mapped(const struct kvm *kvm, u64 want, struct lkvm_error *err)
{
	u64 flags = (u64)kvm_check(kvm, KVM_CAP_GUEST_MEMFD_FLAGS);

	if ((flags & want) == want && kvm_check(kvm, KVM_CAP_GUEST_MEMFD) &&
	    kvm_check(kvm, KVM_CAP_USER_MEMORY2))
		return 0;
	return err_unsupported(err, EOPNOTSUPP,
			       "--mem-backend guest-memfd: this host's KVM has no guest_memfd that "
			       "lkvm can map: that takes Linux 6.18 or later");
}

static int check_private(const struct kvm *kvm, struct lkvm_error *err)
{
	if (kvm_check(kvm, KVM_CAP_GUEST_MEMFD) && kvm_check(kvm, KVM_CAP_USER_MEMORY2) &&
	    (u64)kvm_check(kvm, KVM_CAP_MEMORY_ATTRIBUTES) & KVM_MEMORY_ATTRIBUTE_PRIVATE)
		return 0;
	return err_unsupported(err, EOPNOTSUPP,
			       "this host's KVM has no private memory for such a guest: that takes "
			       "Linux 6.8 or later, and a type of VM that has it");
}

int gmem_create_guest_memfd(const struct gmem *gm, u64 size, bool mapped, struct lkvm_error *err)
{
	struct kvm_create_guest_memfd arg = { .size = size };
	const struct kvm *kvm = gm->backing.kvm;
	int ret;

	if (!kvm)
		return err_host(err, EINVAL, "guest_memfd without a VM");
	if (mapped)
		arg.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED;
	ret = mapped ? check_mapped(kvm, arg.flags, err) : check_private(kvm, err);
	if (!ret)
		ret = kvm_vm_ioctl(kvm, KVM_CREATE_GUEST_MEMFD, &arg, err);
	return ret;
}

static bool broken_off(int ret)
{
	return ret == -EINTR || ret == -EAGAIN;
}

static int set_attributes(const struct gmem *gm, u64 gpa, u64 len, bool private,
			  struct lkvm_error *err)
{
	struct kvm_memory_attributes attr = {
		.address = gpa,
		.size = len,
		.attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
	};
	const struct kvm_backend *be = gm->kvm->be;
	int ret, tries = 0;

	do {
		ret = be->ioctl(be->ctx, gm->kvm->vm_fd, KVM_SET_MEMORY_ATTRIBUTES, KVM_ARG(&attr));
	} while (broken_off(ret) && ++tries < MAX_TRIES);
	return ret < 0 ? err_host(err, -ret, "KVM_SET_MEMORY_ATTRIBUTES of 0x%llx+0x%llx failed",
				  (unsigned long long)gpa, (unsigned long long)len)
		       : 0;
}

int gmem_register_guest_memfd(const struct gmem *gm, unsigned int i, struct lkvm_error *err)
{
	const struct gmem_region *r = &gm->regions[i];
	bool private = r->private_fd >= 0;
	const struct kvm_userspace_memory_region2 slot = {
		.slot = i,
		.flags = KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = r->gpa,
		.memory_size = r->size,
		.userspace_addr = (u64)(uintptr_t)r->host,
		.guest_memfd = (u32)(private ? r->private_fd : r->fd),
	};
	int ret = kvm_vm_ioctl(gm->kvm, KVM_SET_USER_MEMORY_REGION2, &slot, err);

	if (ret < 0)
		return ret;
	return private ? set_attributes(gm, r->gpa, r->size, true, err) : 0;
}

/* ---- from private to shared and back -------------------------------------------------- */

static const struct gmem_region *find(const struct gmem *gm, u64 gpa, u64 len)
{
	for (unsigned int i = 0; i < gm->n_regions; i++) {
		const struct gmem_region *r = &gm->regions[i];

		if (gpa >= r->gpa && range_fits(gpa - r->gpa, len, r->size))
			return r->private_fd >= 0 ? r : NULL;
	}
	return NULL;
}

static int punch(int fd, u64 off, u64 len)
{
	int ret, tries = 0;

	do {
		ret = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
				(off_t)len);
		ret = ret ? -errno : 0;
	} while (broken_off(ret) && ++tries < MAX_TRIES);
	return ret;
}

/* What the guest has turned away from goes back to the host: [off, off + len) of @r. */
static int drop(const struct gmem_region *r, u64 off, u64 len, bool private)
{
	if (!private)
		return punch(r->private_fd, off, len);
	if (r->fd >= 0)
		return punch(r->fd, off, len);
	return madvise((u8 *)r->host + off, len, MADV_DONTNEED_LOCKED) ? -errno : 0;
}

int gmem_convert(const struct gmem *gm, u64 gpa, u64 len, bool private, struct lkvm_error *err)
{
	const struct gmem_region *r;
	int ret;

	if (!len || (gpa | len) % GMEM_PAGE_SIZE)
		return -EINVAL;
	r = gm->kvm ? find(gm, gpa, len) : NULL;
	if (!r)
		return -EFAULT;
	/* In this order: a guest that touches the old side once more would bring its pages back. */
	ret = set_attributes(gm, gpa, len, private, err);
	if (ret)
		return ret;
	ret = drop(r, gpa - r->gpa, len, private);
	return ret ? err_host(err, -ret, "guest memory 0x%llx+0x%llx made %s",
			      (unsigned long long)gpa, (unsigned long long)len,
			      private ? "private" : "shared")
		   : 0;
}
