/*
 * vmvirtio.h - a driver of virtio devices as steps of a fakekvm script: registers by exits,
 * rings in guest memory, doorbells and interrupts as KVM has them.
 *
 *	static struct vmv_req req = { .ring = VMV_RING(0), .n = 1, .bufs = { ... } };
 *	const struct fake_step steps[] = {
 *		VMV_PCI_BEGIN(0, VMV_CAP_RNG, 0), VMV_PCI_QUEUE(0, 0, VMV_RING(0)), VMV_PCI_OK(0),
 *		FAKE_CALL(vmv_add, &req), VMV_PCI_KICK(0, 0), FAKE_CALL(vmv_await, &req), ...
 *
 * Steps are data, so they cannot look for anything: where a device is, is what this says. That
 * is what the tests that use it prove of addresses. Everything is said again here, from
 * virtio 1.2 and the memory map of docs/design.md, so that a slip of the other side shows.
 */
#ifndef LKVM_TESTS_VMVIRTIO_H
#define LKVM_TESTS_VMVIRTIO_H

#include <signal.h>
#include <time.h>

#include "tests/unit/vmtest.h"

/* ---- rings ---------------------------------------------------------------------------- */

#define VMV_RING_SIZE  64 /* entries */
#define VMV_RING(n)    (0x2000000ull + (n)*0x4000)
#define VMV_AVAIL(gpa) ((gpa) + 0x1000)
#define VMV_USED(gpa)  ((gpa) + 0x2000)
#define VMV_DATA(n)    (0x2800000ull + (n)*0x10000)

#define VMV_AWAIT_MS 5000 /* a request takes microseconds; this is for a busy host */

struct vmv_buf {
	u64 gpa;
	u32 len;
	bool write; /* by the device */
};

/* A request, or several alike. */
struct vmv_req {
	u64 ring;
	unsigned int chains; /* made available at a time; 0: 1 */
	unsigned int n;
	struct vmv_buf bufs[3];
	const void *data; /* what the first buffers hold, one after the other */
	size_t data_len;

	/* From vmv_await(). */
	bool done;
	u32 used_len; /* of the last one */
	u8 got[1024]; /* the device's first buffer, the beginning of it */
	unsigned int n_done;
};

static inline void vmv_desc(u8 *desc, const struct vmv_req *req, unsigned int first)
{
	for (unsigned int i = 0; i < req->n; i++) {
		u8 *d = desc + 16 * (first + i);
		bool more = i + 1 < req->n;

		put_le64(d, req->bufs[i].gpa);
		put_le32(d + 8, req->bufs[i].len);
		put_le16(d + 12, (u16)((more ? 1 : 0) | (req->bufs[i].write ? 2 : 0)));
		put_le16(d + 14, (u16)(more ? first + i + 1 : 0));
	}
}

/* The n-th chain is at the same descriptors each time: what was added before is done. */
static inline void vmv_add(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	const struct vmv_req *req = ctx;
	unsigned int chains = req->chains ? req->chains : 1;
	u8 *ring = fakekvm_gpa(fk, req->ring, 0x3000);
	size_t put = 0;
	u16 idx;

	(void)vcpu;
	if (!ring)
		return;
	for (unsigned int i = 0; i < req->n && put < req->data_len; i++) {
		size_t len = min_u64(req->bufs[i].len, req->data_len - put);
		u8 *at = fakekvm_gpa(fk, req->bufs[i].gpa, len);

		if (at)
			memcpy(at, (const u8 *)req->data + put, len);
		put += len;
	}
	idx = get_le16(ring + 0x1002);
	for (unsigned int c = 0; c < chains; c++) {
		vmv_desc(ring, req, c * req->n);
		put_le16(ring + 0x1004 + 2 * ((u16)(idx + c) % VMV_RING_SIZE), (u16)(c * req->n));
	}
	__atomic_store_n((u16 *)(void *)(ring + 0x1002), (u16)(idx + chains), __ATOMIC_RELEASE);
}

static inline u16 vmv_index(struct fakekvm *fk, u64 ring)
{
	u16 *idx = fakekvm_gpa(fk, ring + 2, 2);

	return idx ? __atomic_load_n(idx, __ATOMIC_ACQUIRE) : 0;
}

/* Somebody wants the vCPU out of the guest: the end may be waiting for it. */
static inline bool vmv_kicked(void)
{
	sigset_t set;

	return !sigpending(&set) && sigismember(&set, SIGURG) == 1;
}

/* Until all that was made available is used; without the interrupt's help. */
static inline void vmv_await(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	struct vmv_req *req = ctx;
	u16 avail = vmv_index(fk, VMV_AVAIL(req->ring)), used;
	const u8 *entry;

	(void)vcpu;
	for (unsigned int i = 0;; i++) {
		used = vmv_index(fk, VMV_USED(req->ring));
		if (used == avail || i == VMV_AWAIT_MS || vmv_kicked())
			break;
		nanosleep(&ms, NULL);
	}
	req->done = used == avail;
	entry = fakekvm_gpa(fk, VMV_USED(req->ring) + 4 + (u16)(used - 1) % VMV_RING_SIZE * 8, 8);
	if (!req->done || !entry)
		return;
	req->used_len = get_le32(entry + 4);
	req->n_done += req->chains ? req->chains : 1;
	for (unsigned int i = 0; i < req->n; i++) {
		const struct vmv_buf *b = &req->bufs[i];

		if (!b->write)
			continue;
		memcpy(req->got, fakekvm_gpa(fk, b->gpa, b->len),
		       min_u64(b->len, sizeof(req->got)));
		break;
	}
}

/* ---- PCI: device @n of all -------------------------------------------------------------- */

#define VMV_SLOT(n)	     ((n) + 1) /* 0 is the host bridge's */
#define VMV_SLOT_CFG(s, off) (0xe0000000ull + ((u64)(s) << 15) + (off))
#define VMV_CFG(n, off)	     VMV_SLOT_CFG(VMV_SLOT(n), off)
#define VMV_BAR(n)	     (0xc0000000ull + (n)*0x8000)
#define VMV_COMMON(n)	     (VMV_BAR(n) + 0x0000)
#define VMV_ISR(n)	     (VMV_BAR(n) + 0x1000)
#define VMV_NOTIFY(n, q)     (VMV_BAR(n) + 0x3000 + 4 * (q))
#define VMV_VECTOR(n, v)     (VMV_BAR(n) + 0x4000 + 16 * (v))
#define VMV_PCI_LINE(n)	     (16 + VMV_SLOT(n) % 8)
#define VMV_CAP_RNG	     0x88 /* MSI-X of a device without configuration */
#define VMV_CAP		     0x98 /* of all others */
#define VMV_FIRST_MSI	     24	  /* GSI of the first message; they follow as devices come */

/* clang-format off */
#define VMV_STORE64(gpa, val) \
	FAKE_STORE(gpa, 4, (u32)(val)), FAKE_STORE((gpa) + 4, 4, (u64)(val) >> 32)

/* Up to FEATURES_OK: VERSION_1 and @low, and the mastering of the bus. */
#define VMV_PCI_BEGIN_INTX(n, low) \
	FAKE_STORE(VMV_CFG(n, 4), 2, 6), \
	FAKE_STORE(VMV_COMMON(n) + 0x14, 1, 0), FAKE_STORE(VMV_COMMON(n) + 0x14, 1, 3), \
	FAKE_STORE(VMV_COMMON(n) + 0x08, 4, 0), FAKE_STORE(VMV_COMMON(n) + 0x0c, 4, low), \
	FAKE_STORE(VMV_COMMON(n) + 0x08, 4, 1), FAKE_STORE(VMV_COMMON(n) + 0x0c, 4, 1), \
	FAKE_STORE(VMV_COMMON(n) + 0x14, 1, 0xb)

/* The same with a message for all queues, vector 0: as a kernel does it, masked while it is set. */
#define VMV_PCI_BEGIN(n, cap, low) \
	FAKE_STORE(VMV_CFG(n, 4), 2, 6), \
	FAKE_STORE(VMV_CFG(n, (cap) + 2), 2, 0xc000), \
	FAKE_STORE(VMV_VECTOR(n, 0), 4, 0xfee00000), FAKE_STORE(VMV_VECTOR(n, 0) + 4, 4, 0), \
	FAKE_STORE(VMV_VECTOR(n, 0) + 8, 4, 0x40), \
	FAKE_STORE(VMV_VECTOR(n, 0) + 12, 4, 0), \
	FAKE_STORE(VMV_CFG(n, (cap) + 2), 2, 0x8000), \
	VMV_PCI_BEGIN_INTX(n, low)

#define VMV_PCI_QUEUE(n, q, ring) \
	FAKE_STORE(VMV_COMMON(n) + 0x16, 2, q), \
	FAKE_STORE(VMV_COMMON(n) + 0x18, 2, VMV_RING_SIZE), \
	FAKE_STORE(VMV_COMMON(n) + 0x1a, 2, 0), \
	VMV_STORE64(VMV_COMMON(n) + 0x20, ring), \
	VMV_STORE64(VMV_COMMON(n) + 0x28, VMV_AVAIL(ring)), \
	VMV_STORE64(VMV_COMMON(n) + 0x30, VMV_USED(ring)), \
	FAKE_STORE(VMV_COMMON(n) + 0x1c, 2, 1)
#define VMV_PCI_OK(n)	FAKE_STORE(VMV_COMMON(n) + 0x14, 1, 0xf)
#define VMV_PCI_STATUS(n)	FAKE_LOAD(VMV_COMMON(n) + 0x14, 1)
#define VMV_PCI_RESET(n)	FAKE_STORE(VMV_COMMON(n) + 0x14, 1, 0)
#define VMV_PCI_KICK(n, q)	FAKE_STORE(VMV_NOTIFY(n, q), 2, q)

/* ---- MMIO: device @n of all --------------------------------------------------------------- */

#define VMV_MMIO(n)	 (0xe8000000ull + (n) * 0x1000)
#define VMV_MMIO_LINE(n) (16 + (n) % 8)

#define VMV_MMIO_BEGIN(n, cap, low) \
	FAKE_STORE(VMV_MMIO(n) + 0x70, 4, 0), FAKE_STORE(VMV_MMIO(n) + 0x70, 4, 3), \
	FAKE_STORE(VMV_MMIO(n) + 0x24, 4, 0), FAKE_STORE(VMV_MMIO(n) + 0x20, 4, low), \
	FAKE_STORE(VMV_MMIO(n) + 0x24, 4, 1), FAKE_STORE(VMV_MMIO(n) + 0x20, 4, 1), \
	FAKE_STORE(VMV_MMIO(n) + 0x70, 4, 0xb)
#define VMV_MMIO_QUEUE(n, q, ring) \
	FAKE_STORE(VMV_MMIO(n) + 0x30, 4, q), FAKE_STORE(VMV_MMIO(n) + 0x38, 4, VMV_RING_SIZE), \
	VMV_STORE64(VMV_MMIO(n) + 0x80, ring), \
	VMV_STORE64(VMV_MMIO(n) + 0x90, VMV_AVAIL(ring)), \
	VMV_STORE64(VMV_MMIO(n) + 0xa0, VMV_USED(ring)), \
	FAKE_STORE(VMV_MMIO(n) + 0x44, 4, 1)
#define VMV_MMIO_OK(n)		FAKE_STORE(VMV_MMIO(n) + 0x70, 4, 0xf)
#define VMV_MMIO_STATUS(n)	FAKE_LOAD(VMV_MMIO(n) + 0x70, 4)
#define VMV_MMIO_KICK(n, q)	FAKE_STORE(VMV_MMIO(n) + 0x50, 4, q)
#define VMV_MMIO_ISR(n)		FAKE_LOAD(VMV_MMIO(n) + 0x60, 4)
#define VMV_MMIO_ACK(n)		FAKE_STORE(VMV_MMIO(n) + 0x64, 4, 3)
/* clang-format on */

/* ---- a VM with one of each ---------------------------------------------------------------- */

/* Where they are by the order of the config. */
enum { VMV_DISK, VMV_DISK2, VMV_NET_NONE, VMV_NET_USER, VMV_CONSOLE, VMV_RNG, VMV_N };

/* Features by low bits: VIRTIO_CONSOLE_F_MULTIPORT. */
#define VMV_MULTIPORT 2

#define VMV_IMAGE_SIZE (256 * KIB)

struct vmv_host {
	char images[2][64];
	int port[2]; /* a pipe */
};

static inline void vmv_make_image(char *path)
{
	int fd;

	strcpy(path, "/tmp/lkvm-vmvirtio-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, VMV_IMAGE_SIZE), 0);
	close(fd);
}

static inline void vmv_add_disk(struct lkvm_config *cfg, const char *path)
{
	snprintf(cfg->disks[cfg->n_disks++].path, sizeof(cfg->disks[0].path), "%s", path);
}

/* The images and the pipe, and a config of all there is. */
static inline void vmv_open(struct vmv_host *h, struct lkvm_config *cfg)
{
	for (unsigned int i = 0; i < 2; i++) {
		vmv_make_image(h->images[i]);
		vmv_add_disk(cfg, h->images[i]);
	}
	assert_int_equal(pipe2(h->port, O_CLOEXEC), 0);
	cfg->n_nets = 2;
	cfg->nets[1].mode = LKVM_NET_USER;
	cfg->n_ports = 1;
	cfg->ports[0] = (struct lkvm_port){
		.name = "log",
		.io = { .in_fd = -1, .out_fd = h->port[1] },
	};
	cfg->virtio_console = true;
	cfg->rng = true;
}

static inline void vmv_close(struct vmv_host *h)
{
	unlink(h->images[0]);
	unlink(h->images[1]);
	close(h->port[0]);
	close(h->port[1]);
}

/* ---- what to ask the devices for ---------------------------------------------------------- */

/* clang-format off */
static const u8 vmv_sector_7[16 + 512] = {
	[0] = 1, /* VIRTIO_BLK_T_OUT */
	[8] = 7,
	[16] = 'l', 'k', 'v', 'm',
	[527] = 0x5a,
};
/* clang-format on */

#define VMV_BLK_WRITE(ring_no)                                           \
	{                                                                \
		.ring = VMV_RING(ring_no), .n = 3, .data = vmv_sector_7, \
		.data_len = sizeof(vmv_sector_7), .bufs = {              \
			{ VMV_DATA(ring_no), 16, false },                \
			{ VMV_DATA(ring_no) + 0x200, 512, false },       \
			{ VMV_DATA(ring_no) + 0x1000, 1, true },         \
		}                                                        \
	}

/* Who has 10.0.2.2: asked of the user network's gateway, behind the header of 12 zeroes. */
/* clang-format off */
static const u8 vmv_arp[12 + 42] = {
	[12] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 'L', 'K', 'V', 'M', 1, 8, 6,
	[26] = 0, 1, 8, 0, 6, 4, 0, 1, /* a request */
	[34] = 2, 'L', 'K', 'V', 'M', 1, 10, 0, 2, 15, /* from */
	[50] = 10, 0, 2, 2, /* about */
};
/* clang-format on */

#define VMV_NET_SEND(ring_no)                                                                    \
	{                                                                                        \
		.ring = VMV_RING(ring_no), .n = 1, .data = vmv_arp, .data_len = sizeof(vmv_arp), \
		.bufs = {                                                                        \
			{ VMV_DATA(ring_no), sizeof(vmv_arp), false },                           \
		}                                                                                \
	}
#define VMV_IN(ring_no, size)                                                                    \
	{                                                                                        \
		.ring = VMV_RING(ring_no), .n = 1, .bufs = { { VMV_DATA(ring_no), size, true } } \
	}
#define VMV_OUT(ring_no, text)                                                                 \
	{                                                                                      \
		.ring = VMV_RING(ring_no), .n = 1, .data = text, .data_len = sizeof(text) - 1, \
		.bufs = {                                                                      \
			{ VMV_DATA(ring_no), sizeof(text) - 1, false }                         \
		}                                                                              \
	}

/* ---- a guest that uses all ------------------------------------------------------------------ */

/* Its requests, to be set up anew for each boot. */
struct vmv_all {
	struct vmv_req blk, send, recv, hvc, port, rng;
};

#define VMV_ALL                                                                            \
	{                                                                                  \
		.blk = VMV_BLK_WRITE(0), .send = VMV_NET_SEND(1), .recv = VMV_IN(2, 2048), \
		.hvc = VMV_OUT(3, "hello from hvc0\n"), .port = VMV_OUT(4, "port\n"),      \
		.rng = VMV_IN(5, 64),                                                      \
	}

/* clang-format off */
#define VMV_USE(PCI_or_MMIO, all) VMV_USE_(VMV_##PCI_or_MMIO, all)
#define VMV_USE_(T, all) \
	T##_BEGIN(VMV_DISK, VMV_CAP, 0), T##_QUEUE(VMV_DISK, 0, VMV_RING(0)), T##_OK(VMV_DISK), \
	FAKE_CALL(vmv_add, &(all)->blk), T##_KICK(VMV_DISK, 0), \
	FAKE_CALL(vmv_await, &(all)->blk), \
	T##_BEGIN(VMV_NET_USER, VMV_CAP, 0), T##_QUEUE(VMV_NET_USER, 0, VMV_RING(2)), \
	T##_QUEUE(VMV_NET_USER, 1, VMV_RING(1)), T##_OK(VMV_NET_USER), \
	FAKE_CALL(vmv_add, &(all)->recv), T##_KICK(VMV_NET_USER, 0), \
	FAKE_CALL(vmv_add, &(all)->send), T##_KICK(VMV_NET_USER, 1), \
	FAKE_CALL(vmv_await, &(all)->send), FAKE_CALL(vmv_await, &(all)->recv), \
	T##_BEGIN(VMV_CONSOLE, VMV_CAP, VMV_MULTIPORT), \
	T##_QUEUE(VMV_CONSOLE, 1, VMV_RING(3)), T##_QUEUE(VMV_CONSOLE, 5, VMV_RING(4)), \
	T##_OK(VMV_CONSOLE), \
	FAKE_CALL(vmv_add, &(all)->hvc), T##_KICK(VMV_CONSOLE, 1), \
	FAKE_CALL(vmv_await, &(all)->hvc), \
	FAKE_CALL(vmv_add, &(all)->port), T##_KICK(VMV_CONSOLE, 5), \
	FAKE_CALL(vmv_await, &(all)->port), \
	T##_BEGIN(VMV_RNG, VMV_CAP_RNG, 0), T##_QUEUE(VMV_RNG, 0, VMV_RING(5)), T##_OK(VMV_RNG), \
	FAKE_CALL(vmv_add, &(all)->rng), T##_KICK(VMV_RNG, 0), \
	FAKE_CALL(vmv_await, &(all)->rng)
/* clang-format on */

#endif
