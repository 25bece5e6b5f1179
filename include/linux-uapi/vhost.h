/*
 * linux-uapi/vhost.h - the vhost interface as lkvm uses it: virtio rings that the kernel serves
 * (layer 0).
 *
 * The project's own statement of the ABI, with its names; never included together with
 * <linux/vhost.h>. A struct vhost_vring_* begins with the number of the ring it is about.
 */
#ifndef LKVM_LINUX_UAPI_VHOST_H
#define LKVM_LINUX_UAPI_VHOST_H

#include <stddef.h>

#include "vmm/base.h"

#define VHOST_ABI_SIZE(type, size) \
	_Static_assert(sizeof(struct type) == (size), #type ": size is part of the ABI")
#define VHOST_ABI_AT(type, member, off)                        \
	_Static_assert(offsetof(struct type, member) == (off), \
		       #type "." #member ": offset is part of the ABI")

/* Request numbers: as those of KVM, with vhost's type 0xaf. */
#define VHOST_IOC(dir, nr, size) ((u32)(dir) << 30 | (u32)(size) << 16 | (u32)0xaf << 8 | (u32)(nr))
#define VHOST_IOC_NONE(nr)	 VHOST_IOC(0, nr, 0)
#define VHOST_IOC_W(nr, type)	 VHOST_IOC(1, nr, sizeof(type))
#define VHOST_IOC_R(nr, type)	 VHOST_IOC(2, nr, sizeof(type))
#define VHOST_IOC_WR(nr, type)	 VHOST_IOC(3, nr, sizeof(type))

#define VHOST_FILE_UNBIND (-1) /* for an fd: none */

struct vhost_vring_state {
	u32 index;
	u32 num;
};
VHOST_ABI_SIZE(vhost_vring_state, 8);

struct vhost_vring_file {
	u32 index;
	s32 fd;
};
VHOST_ABI_SIZE(vhost_vring_file, 8);

/* Addresses of this process. desc 16, avail 2, used 4 bytes aligned. */
struct vhost_vring_addr {
	u32 index;
	u32 flags;
	u64 desc_user_addr;
	u64 used_user_addr;
	u64 avail_user_addr;
	u64 log_guest_addr;
};
VHOST_ABI_SIZE(vhost_vring_addr, 40);
VHOST_ABI_AT(vhost_vring_addr, desc_user_addr, 8);
VHOST_ABI_AT(vhost_vring_addr, used_user_addr, 16);
VHOST_ABI_AT(vhost_vring_addr, avail_user_addr, 24);

struct vhost_memory_region {
	u64 guest_phys_addr;
	u64 memory_size; /* bytes */
	u64 userspace_addr;
	u64 flags_padding; /* 0 */
};
VHOST_ABI_SIZE(vhost_memory_region, 32);

struct vhost_memory {
	u32 nregions;
	u32 padding; /* 0 */
	struct vhost_memory_region regions[];
};
VHOST_ABI_SIZE(vhost_memory, 8);
VHOST_ABI_AT(vhost_memory, regions, 8);

/* Before all others but the features. Once; EBUSY when there is an owner. Makes the thread. */
#define VHOST_SET_OWNER VHOST_IOC_NONE(0x01)

#define VHOST_GET_FEATURES VHOST_IOC_R(0x00, u64)
#define VHOST_SET_FEATURES VHOST_IOC_W(0x00, u64)

/* All of guest memory; replaces what was told before. */
#define VHOST_SET_MEM_TABLE VHOST_IOC_W(0x03, struct vhost_memory)

/* Of a ring that is not running: EBUSY otherwise. */
#define VHOST_SET_VRING_NUM  VHOST_IOC_W(0x10, struct vhost_vring_state)
#define VHOST_SET_VRING_ADDR VHOST_IOC_W(0x11, struct vhost_vring_addr)
#define VHOST_SET_VRING_BASE VHOST_IOC_W(0x12, struct vhost_vring_state)

/* The next entry of the available ring that will be looked at. */
#define VHOST_GET_VRING_BASE VHOST_IOC_WR(0x12, struct vhost_vring_state)

/* Eventfds, at any time. */
#define VHOST_SET_VRING_KICK VHOST_IOC_W(0x20, struct vhost_vring_file)
#define VHOST_SET_VRING_CALL VHOST_IOC_W(0x21, struct vhost_vring_file)
#define VHOST_SET_VRING_ERR  VHOST_IOC_W(0x22, struct vhost_vring_file)

/*
 * Run a ring with a tap or packet socket; VHOST_FILE_UNBIND: stop it, and once that returned,
 * the kernel does not touch it any more. EFAULT when its addresses are not memory of this process.
 */
#define VHOST_NET_SET_BACKEND VHOST_IOC_W(0x30, struct vhost_vring_file)

#endif
