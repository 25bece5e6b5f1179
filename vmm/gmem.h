/*
 * gmem.h - guest memory (layer 1).
 *
 * Guest-physical RAM as a few regions of host memory. No pointer into it leaves
 * gmem.c: everyone else copies in or copies out through the functions below,
 * which check the whole range before a byte moves. A double fetch of guest data
 * therefore cannot be written down by accident.
 *
 * Regions are RAM and nothing else: e820, loaders and the search for room rely on it. What
 * is mapped for a guest without being RAM (flash) will be a list of its own.
 *
 * Regions are added while a machine is assembled and stay until gmem_fini(). All
 * accessors may be called from any thread; the guest runs beside them, so what
 * was read is a copy of one moment and never to be read again for the same decision.
 */
#ifndef LKVM_VMM_GMEM_H
#define LKVM_VMM_GMEM_H

#include "vmm/base.h"
#include "vmm/err.h"

struct kvm;

#define GMEM_MAX_REGIONS 4
#define GMEM_PAGE_SIZE	 4096

struct gmem_region {
	u64 gpa;
	u64 size;   /* bytes */
	void *host; /* gmem.c only */
};

struct gmem {
	struct gmem_region regions[GMEM_MAX_REGIONS]; /* ascending gpa, disjoint */
	unsigned int n_regions;
};

/*
 * Add zeroed RAM at @gpa, both page aligned, above all earlier regions. Memory is
 * taken from the host as the guest touches it. -ENOMEM with a message.
 */
int gmem_add(struct gmem *gm, u64 gpa, u64 size, struct lkvm_error *err);

/* Make every region a KVM memory slot, slot number = index. */
int gmem_register(const struct gmem *gm, struct kvm *kvm, struct lkvm_error *err);

/* Give all memory back. Accepts a zeroed or half-built struct. The KVM VM must be closed before. */
void gmem_fini(struct gmem *gm);

/* Bytes of RAM in all. */
u64 gmem_ram_size(const struct gmem *gm);

/* True when all of [gpa, gpa + len) is RAM of one region. */
bool gmem_contains(const struct gmem *gm, u64 gpa, u64 len);

/* All or nothing: 0, or -EFAULT when the range is not RAM of one region (@len 0 always succeeds).
 */
int gmem_read(const struct gmem *gm, u64 gpa, void *buf, size_t len);
int gmem_write(const struct gmem *gm, u64 gpa, const void *buf, size_t len);
int gmem_zero(const struct gmem *gm, u64 gpa, u64 len);

/*
 * Read @len bytes at @off of the file @fd straight into RAM. -EFAULT when the
 * range is not RAM (nothing is read then), -ENODATA when the file ends early,
 * otherwise the errno of pread(2). After a failure the range's content is undefined.
 */
int gmem_read_file(const struct gmem *gm, u64 gpa, int fd, u64 off, u64 len);

#endif
