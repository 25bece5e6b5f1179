/*
 * vqdriver.h - the driver's side of a split virtqueue, in plain guest memory.
 *
 * For tests, benchmarks and fuzz targets; knows neither transports nor devices. A test gives
 * it a piece of RAM, tells the device d.layout in whatever way its transport has, and then:
 *
 *	struct vqd d;
 *
 *	vqd_init(&d, &gm, 0x10000, 64, true);
 *	head = vqd_add(&d, (struct vqd_buf[]){ { hdr, 16, false }, { data, 512, true } }, 2);
 *	if (vqd_must_kick(&d))
 *		... notify the device, let it work ...
 *	assert_int_equal(vqd_used(&d, &len), head);
 *
 * Behaves as a good driver should, barriers included, so it may run on another thread than the
 * device. A bad driver is made with the vqd_raw_*() functions, which write any field to anything,
 * and with gmem_write().
 */
#ifndef LKVM_TESTS_UNIT_VQDRIVER_H
#define LKVM_TESTS_UNIT_VQDRIVER_H

#include <errno.h>

#include "devices/virtq.h"
#include "vmm/base.h"
#include "vmm/gmem.h"

/* Virtio 1.2, 2.7.5, 2.7.6 and 2.7.8; said again here so that a slip of virtq.c shows. */
#define VQD_F_NEXT	   1
#define VQD_F_WRITE	   2
#define VQD_F_INDIRECT	   4
#define VQD_F_NO_INTERRUPT 1
#define VQD_F_NO_NOTIFY	   1

#define VQD_TABLE_MAX 32 /* entries of a table that vqd_add_indirect() makes */

/* RAM that the rings and tables of a queue of @size entries need, from a multiple of 16 on. */
#define VQD_BYTES(size) (0x40 + 26 * (u64)(size) + VQD_TABLE_MAX * 16 * (u64)(size))

struct vqd {
	const struct gmem *gm;
	struct vq_layout layout; /* what the device is to be told */
	u64 tables;		 /* VQD_TABLE_MAX entries for each head */
	struct gmem_view desc, avail, used;

	u16 avail_idx;		  /* as shown to the device */
	u16 kicked_idx;		  /* the same, when vqd_must_kick() was last asked */
	u16 used_idx;		  /* of the next used entry to take */
	u16 n_free;		  /* descriptors that are in no chain */
	u16 free;		  /* the first of them */
	u16 next[VQ_MAX_SIZE];	  /* of a free descriptor or one in a chain: the next one */
	u16 n_chain[VQ_MAX_SIZE]; /* of the head of a chain the device has: its descriptors */
};

/* A piece of a request; @write: the device writes it. */
struct vqd_buf {
	u64 gpa;
	u32 len;
	bool write;
};

/* ---- raw access ------------------------------------------------------------------------- */

static inline void vqd_raw_desc(struct vqd *d, u16 i, u64 gpa, u32 len, u16 flags, u16 next)
{
	gmem_view_put32(&d->desc, 16u * i, (u32)gpa);
	gmem_view_put32(&d->desc, 16u * i + 4, (u32)(gpa >> 32));
	gmem_view_put32(&d->desc, 16u * i + 8, len);
	gmem_view_put16(&d->desc, 16u * i + 12, flags);
	gmem_view_put16(&d->desc, 16u * i + 14, next);
}

/* The same in an indirect table, or any other place of RAM; false: it is not. */
static inline bool vqd_raw_table(struct vqd *d, u64 table, u16 i, u64 gpa, u32 len, u16 flags,
				 u16 next)
{
	u8 raw[16];

	put_le64(raw, gpa);
	put_le32(raw + 8, len);
	put_le16(raw + 12, flags);
	put_le16(raw + 14, next);
	return !gmem_write(d->gm, table + 16u * i, raw, sizeof(raw));
}

/* The head in the available ring's slot @i. */
static inline void vqd_raw_ring(struct vqd *d, u16 i, u16 head)
{
	gmem_view_put16(&d->avail, 4 + 2u * i, head);
}

static inline void vqd_raw_avail_idx(struct vqd *d, u16 idx)
{
	gmem_view_put16_release(&d->avail, 2, idx);
}

static inline void vqd_raw_avail_flags(struct vqd *d, u16 flags)
{
	gmem_view_put16(&d->avail, 0, flags);
}

static inline void vqd_raw_used_event(struct vqd *d, u16 idx)
{
	gmem_view_put16(&d->avail, 4 + 2u * d->layout.size, idx);
}

/* What the device wrote. */
static inline u16 vqd_raw_used_idx(const struct vqd *d)
{
	return gmem_view_get16_acquire(&d->used, 2);
}

static inline u16 vqd_raw_used_flags(const struct vqd *d)
{
	return gmem_view_get16(&d->used, 0);
}

static inline u16 vqd_raw_avail_event(const struct vqd *d)
{
	return gmem_view_get16(&d->used, 4 + 8u * d->layout.size);
}

static inline void vqd_raw_used_entry(const struct vqd *d, u16 i, u32 *id, u32 *len)
{
	u8 raw[8];

	gmem_view_read(&d->used, 4 + 8u * i, raw, sizeof(raw));
	*id = get_le32(raw);
	*len = get_le32(raw + 4);
}

/* ---- a good driver ---------------------------------------------------------------------- */

/*
 * Empty rings of @size entries in the VQD_BYTES(@size) of RAM at @gpa, a multiple of 16. Asks to
 * be interrupted. -EFAULT: that is not RAM. Again for the same queue after a reset.
 */
static inline int vqd_init(struct vqd *d, const struct gmem *gm, u64 gpa, u16 size, bool event_idx)
{
	u64 avail = gpa + 16 * (u64)size;
	u64 used = align_up(avail + 6 + 2 * (u64)size, 4);
	int ret;

	*d = (struct vqd){
		.gm = gm,
		.layout = { size, gpa, avail, used, event_idx },
		.tables = align_up(used + 6 + 8 * (u64)size, 16),
		.n_free = size,
	};
	for (u16 i = 0; i < size; i++)
		d->next[i] = (u16)(i + 1);
	ret = gmem_zero(gm, gpa, VQD_BYTES(size));
	if (!ret)
		ret = gmem_view_init(&d->desc, gm, gpa, 16u * size, 16);
	if (!ret)
		ret = gmem_view_init(&d->avail, gm, avail, 6 + 2u * size, 2);
	if (!ret)
		ret = gmem_view_init(&d->used, gm, used, 6 + 8u * size, 4);
	return ret;
}

/* Descriptors for a chain of @n, linked in next[]; the head, or -ENOSPC. */
static inline int vqd_take(struct vqd *d, unsigned int n)
{
	u16 head = d->free, last = head;

	if (!n || n > d->n_free)
		return -ENOSPC;
	for (unsigned int i = 1; i < n; i++)
		last = d->next[last];
	d->free = d->next[last];
	d->n_free = (u16)(d->n_free - n);
	d->n_chain[head] = (u16)n;
	return head;
}

/* Make the chain at @head available, at once. */
static inline void vqd_show(struct vqd *d, u16 head)
{
	vqd_raw_ring(d, d->avail_idx & (d->layout.size - 1), head);
	/* After the chain and the ring's entry (2.7.13.3.1). */
	vqd_raw_avail_idx(d, ++d->avail_idx);
}

/*
 * Make a request of @n pieces available, a descriptor each. Returns the head's index, which tells
 * requests apart, or -ENOSPC when there are not so many free descriptors.
 */
static inline int vqd_add(struct vqd *d, const struct vqd_buf *bufs, unsigned int n)
{
	int head = vqd_take(d, n);
	u16 at = (u16)head;

	if (head < 0)
		return head;
	for (unsigned int i = 0; i < n; i++) {
		bool more = i + 1 < n;

		vqd_raw_desc(d, at, bufs[i].gpa, bufs[i].len,
			     (u16)((bufs[i].write ? VQD_F_WRITE : 0) | (more ? VQD_F_NEXT : 0)),
			     more ? d->next[at] : 0);
		at = d->next[at];
	}
	vqd_show(d, (u16)head);
	return head;
}

/* The same with the pieces in an indirect table at @table, which has room for @n entries. */
static inline int vqd_add_table(struct vqd *d, u64 table, const struct vqd_buf *bufs,
				unsigned int n)
{
	int head = vqd_take(d, 1);

	if (head < 0)
		return head;
	for (unsigned int i = 0; i < n; i++) {
		bool more = i + 1 < n;

		if (!vqd_raw_table(d, table, (u16)i, bufs[i].gpa, bufs[i].len,
				   (u16)((bufs[i].write ? VQD_F_WRITE : 0) |
					 (more ? VQD_F_NEXT : 0)),
				   (u16)(more ? i + 1 : 0)))
			return -EFAULT;
	}
	vqd_raw_desc(d, (u16)head, table, 16 * n, VQD_F_INDIRECT, 0);
	vqd_show(d, (u16)head);
	return head;
}

/* The same with a table of this driver's; up to VQD_TABLE_MAX pieces. */
static inline int vqd_add_indirect(struct vqd *d, const struct vqd_buf *bufs, unsigned int n)
{
	if (n > VQD_TABLE_MAX || !d->n_free)
		return -ENOSPC;
	return vqd_add_table(d, d->tables + (u64)d->free * VQD_TABLE_MAX * 16, bufs, n);
}

/* True: what was added since the last call wants a notification of the device. */
static inline bool vqd_must_kick(struct vqd *d)
{
	u16 from = d->kicked_idx, to = d->avail_idx;

	d->kicked_idx = to;
	if (from == to)
		return false;
	/* Index first, then the device's wish (2.7.13.4.1); it writes and reads the other way. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!d->layout.event_idx)
		return !(vqd_raw_used_flags(d) & VQD_F_NO_NOTIFY);
	return (u16)(to - vqd_raw_avail_event(d) - 1) < (u16)(to - from);
}

/*
 * Take the next used entry: the head that vqd_add() returned, with the bytes the device says it
 * wrote in @len (NULL: of no interest). -EAGAIN when there is none, -EPROTO when the device names a
 * request it does not have.
 */
static inline int vqd_used(struct vqd *d, u32 *len)
{
	u32 id, written;
	u16 last;

	if (vqd_raw_used_idx(d) == d->used_idx)
		return -EAGAIN;
	vqd_raw_used_entry(d, d->used_idx & (d->layout.size - 1), &id, &written);
	d->used_idx++;
	if (id >= d->layout.size || !d->n_chain[id])
		return -EPROTO;
	for (last = (u16)id; --d->n_chain[id]; last = d->next[last])
		d->n_free++;
	d->n_free++;
	d->next[last] = d->free;
	d->free = (u16)id;
	if (len)
		*len = written;
	return (int)id;
}

/* Ask for an interrupt at the next used entry. True: there is one already, which may not make it.
 */
static inline bool vqd_want_irq(struct vqd *d)
{
	if (d->layout.event_idx)
		vqd_raw_used_event(d, d->used_idx);
	else
		vqd_raw_avail_flags(d, 0);
	/* Against vq_publish(), which writes the index first and then reads the wish. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return vqd_raw_used_idx(d) != d->used_idx;
}

/* Ask for none; with event indices a hint that holds for 2^15 requests. */
static inline void vqd_no_irq(struct vqd *d)
{
	if (d->layout.event_idx)
		vqd_raw_used_event(d, (u16)(d->used_idx + 0x8000));
	else
		vqd_raw_avail_flags(d, VQD_F_NO_INTERRUPT);
}

#endif
