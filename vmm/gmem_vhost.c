/*
 * gmem_vhost.c - guest memory as the kernel's vhost is told of it.
 *
 * With gmem.c the only place that sees where guest memory lies in this process: the kernel wants
 * addresses, and nobody else needs to know any.
 */
#include <errno.h>

#include "linux-uapi/vhost.h"
#include "vmm/gmem.h"
#include "vmm/vhost.h"

#define TABLE_SIZE \
	(sizeof(struct vhost_memory) + GMEM_MAX_REGIONS * sizeof(struct vhost_memory_region))

int gmem_vhost_table(const struct gmem *gm, const struct vhost *vh)
{
	union {
		struct vhost_memory table;
		u8 bytes[TABLE_SIZE];
	} mem = { .bytes = { 0 } };

	mem.table.nregions = gm->n_regions;
	for (unsigned int i = 0; i < gm->n_regions; i++) {
		const struct gmem_region *r = &gm->regions[i];

		mem.table.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = r->gpa,
			.memory_size = r->size,
			.userspace_addr = (u64)(uintptr_t)r->host,
		};
	}
	return vh->ioctl(vh->fd, VHOST_SET_MEM_TABLE, &mem);
}

/* Virtio 1.2 section 2.7: sizes of the three parts, with the event fields, and their alignment. */
int gmem_vhost_ring(const struct gmem *gm, const struct vhost *vh, unsigned int index,
		    const struct vhost_ring *ring)
{
	struct vhost_vring_addr addr = { .index = index };
	struct gmem_view desc, avail, used;
	int ret = gmem_view_init(&desc, gm, ring->desc, 16u * ring->size, 16);

	if (!ret)
		ret = gmem_view_init(&avail, gm, ring->avail, 6 + 2u * ring->size, 2);
	if (!ret)
		ret = gmem_view_init(&used, gm, ring->used, 6 + 8u * ring->size, 4);
	if (ret)
		return ret;
	addr.desc_user_addr = (u64)(uintptr_t)desc.host;
	addr.avail_user_addr = (u64)(uintptr_t)avail.host;
	addr.used_user_addr = (u64)(uintptr_t)used.host;
	return vh->ioctl(vh->fd, VHOST_SET_VRING_ADDR, &addr);
}
