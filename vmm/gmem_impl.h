/* gmem_impl.h - what the files of guest memory share: gmem*.c only (layer 1). */
#ifndef LKVM_VMM_GMEM_IMPL_H
#define LKVM_VMM_GMEM_IMPL_H

#include "vmm/gmem.h"

/*
 * Zeroed memory for @r->size bytes as @gm->backing says: fills @r->host, @r->fd and @r->private_fd.
 * Whole pages of the host. After an error nothing is left. gmem_backing.c.
 */
int gmem_backing_map(const struct gmem *gm, struct gmem_region *r, struct lkvm_error *err);
void gmem_backing_unmap(const struct gmem_region *r);

/*
 * KVM's own file of @size bytes; it pins the VM as long as it is open or mapped. With @mapped the
 * host can map and touch it, else nobody but the guest can. The descriptor or -errno.
 * LKVM_ERR_UNSUPPORTED for a KVM that has none. gmem_private.c.
 */
int gmem_create_guest_memfd(const struct gmem *gm, u64 size, bool mapped, struct lkvm_error *err);

/*
 * gmem_register() for region @i, which has a guest_memfd; a private one is all private from then
 * on. gmem_private.c.
 */
int gmem_register_guest_memfd(const struct gmem *gm, unsigned int i, struct lkvm_error *err);

#endif
