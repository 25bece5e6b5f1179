#include "devices/virtq.h"

#include <errno.h>

/*
 * The parts of a queue (virtio 1.2, 2.7.5, 2.7.6, 2.7.8), as offsets into the views:
 *
 *	descriptor table   { le64 addr, le32 len, le16 flags, le16 next }[size]
 *	available ring     le16 flags, le16 idx, le16 head[size], le16 used_event
 *	used ring	   le16 flags, le16 idx, { le32 id, le32 len }[size], le16 avail_event
 *
 * The driver writes the first two and the device the third. An event index lies behind its ring
 * whether VIRTIO_F_EVENT_IDX was negotiated or not.
 */
#define DESC_SIZE 16
#define USED_SIZE 8

#define RING_FLAGS 0
#define RING_IDX   2
#define RING_ENTRY 4
#define RING_EXTRA 6 /* bytes of a ring besides its entries */

#define VIRTQ_DESC_F_NEXT	   1
#define VIRTQ_DESC_F_WRITE	   2
#define VIRTQ_DESC_F_INDIRECT	   4
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1
#define VIRTQ_USED_F_NO_NOTIFY	   1

struct vq_desc {
	u64 addr;
	u32 len;
	u16 flags, next;
};

/* Cold, which makes every branch to it an unlikely one. */
static __attribute__((cold, noinline)) int vq_fail(struct virtq *vq, const char *why)
{
	vq->broken = why;
	return -EPROTO;
}

static u32 used_event_off(const struct virtq *vq)
{
	return RING_ENTRY + 2u * vq->size;
}

static u32 avail_event_off(const struct virtq *vq)
{
	return RING_ENTRY + (u32)USED_SIZE * vq->size;
}

int vq_enable(struct virtq *vq, const struct gmem *gm, const struct vq_layout *layout)
{
	u32 size = layout->size;
	u32 desc_len = DESC_SIZE * size;
	u32 avail_len = RING_EXTRA + 2 * size;
	u32 used_len = RING_EXTRA + USED_SIZE * size;

	*vq = (struct virtq){ .gm = gm, .size = layout->size, .event_idx = layout->event_idx };
	if (!size || size > VQ_MAX_SIZE || (size & (size - 1)))
		return vq_fail(vq, "queue size is 0, too large or not a power of two");
	if (gmem_view_init(&vq->desc, gm, layout->desc, desc_len, 16))
		return vq_fail(vq, "descriptor table is not in RAM or not 16-byte aligned");
	if (gmem_view_init(&vq->avail, gm, layout->avail, avail_len, 2))
		return vq_fail(vq, "available ring is not in RAM or not 2-byte aligned");
	if (gmem_view_init(&vq->used, gm, layout->used, used_len, 4))
		return vq_fail(vq, "used ring is not in RAM or not 4-byte aligned");
	/* Not for our sake: a driver that did this lost its rings, and shall know. */
	if (ranges_overlap(layout->desc, desc_len, layout->avail, avail_len) ||
	    ranges_overlap(layout->desc, desc_len, layout->used, used_len) ||
	    ranges_overlap(layout->avail, avail_len, layout->used, used_len))
		return vq_fail(vq, "rings overlap");
	/* The driver zeroed them (2.7.10.1); one that reuses memory and forgot gets along. */
	gmem_view_put16(&vq->used, RING_FLAGS, 0);
	gmem_view_put16(&vq->used, RING_IDX, 0);
	if (vq->event_idx)
		gmem_view_put16(&vq->used, avail_event_off(vq), 0);
	vq->enabled = true;
	return 0;
}

void vq_disable(struct virtq *vq)
{
	*vq = (struct virtq){ 0 };
}

/* ---- requests: from the available ring ---------------------------------------------------- */

/*
 * Read the driver's index: 1 when there are entries to take, 0, or -EPROTO.
 *
 * A driver has at most as many chains under way as the queue has descriptors, from making them
 * available until it sees them used. So no device ever has more than the queue's size of them, and
 * an index that says otherwise, or goes back (2.7.6.1), is a lie.
 */
static int vq_look(struct virtq *vq)
{
	/*
	 * Acquire: entries and descriptors are read after the index that covers them. Pairs with
	 * the driver's barrier before its update (2.7.13.3.1).
	 */
	u16 idx = gmem_view_get16_acquire(&vq->avail, RING_IDX);
	u16 under_way = vq->next_avail - vq->published_used;

	if ((u16)(idx - vq->next_avail) > vq->size - under_way)
		return vq_fail(vq, "available index is out of step");
	vq->seen_avail = idx;
	return idx != vq->next_avail;
}

/* The one read of a descriptor; everything is decided on the copy. */
static inline struct vq_desc fetch(const struct gmem_view *table, u32 i)
{
	u8 raw[DESC_SIZE];
	u64 addr, rest;

	gmem_view_read(table, i * DESC_SIZE, raw, sizeof(raw));
	addr = get_le64(raw);
	rest = get_le64(raw + 8);
	/*
	 * Hides from the compiler where the values came from: it may otherwise fetch a field from
	 * guest memory again rather than keep it in a register, after it was checked.
	 */
	__asm__ volatile("" : "+r"(addr), "+r"(rest));
	return (struct vq_desc){ addr, (u32)rest, (u16)(rest >> 32), (u16)(rest >> 48) };
}

/*
 * Go on in an indirect table (2.7.5.3), read through a view like the queue's own, so a look-up is
 * made once and each entry fetched where it is. That the feature was negotiated does not matter
 * here: a table is checked all the same.
 */
static int enter_table(struct virtq *vq, struct gmem_view *view, const struct vq_desc *d)
{
	if (d->flags & VIRTQ_DESC_F_NEXT)
		return vq_fail(vq, "indirect descriptor has a next one");
	if (!d->len || d->len % DESC_SIZE)
		return vq_fail(vq, "indirect table is not a whole number of descriptors");
	/* A chain, tables included, is no longer than the queue (2.7.5.3.1): the rest is junk. */
	if (d->len / DESC_SIZE > vq->size)
		return vq_fail(vq, "indirect table is longer than the queue");
	/* No alignment is asked for. */
	if (gmem_view_init(view, vq->gm, d->addr, d->len, 1))
		return vq_fail(vq, "indirect table is not in RAM");
	return 0;
}

static int add_buffer(struct virtq *vq, struct vq_chain *chain, const struct vq_desc *d)
{
	struct gmem_vec *vec = &chain->out;

	if (d->flags & VIRTQ_DESC_F_WRITE) {
		vec = &chain->in;
		if (!vec->n)
			vec->iov = chain->iov + chain->out.n;
	} else if (chain->in.n) {
		/* 2.7.4.2; the two streams share an array, too. */
		return vq_fail(vq, "device-readable buffer after a device-writable one");
	}
	if (!d->len)
		return vq_fail(vq, "buffer of no bytes");
	/* 2.7.5.2, less one: lengths are 32 bits wide from here on. */
	if (chain->out.len + chain->in.len + d->len > UINT32_MAX)
		return vq_fail(vq, "request of 2^32 bytes or more");
	if (gmem_vec_add(vec, vq->gm, d->addr, d->len))
		return vq_fail(vq, "buffer is not in RAM");
	return 0;
}

/*
 * Follow the chain from @head. Ends whatever the driver writes meanwhile: at most the queue's size
 * of buffers and one table, which is also the room that @chain has.
 */
static int walk(struct virtq *vq, struct vq_chain *chain, u32 head)
{
	const struct gmem_view *table = &vq->desc;
	u32 i = head, n_entries = vq->size, n = 0;
	struct gmem_view indirect;
	int ret;

	chain->out = (struct gmem_vec){ .iov = chain->iov };
	chain->in = (struct gmem_vec){ .iov = chain->iov };
	for (;;) {
		struct vq_desc d;

		if (i >= n_entries)
			return vq_fail(vq, "descriptor index is out of range");
		d = fetch(table, i);
		if (d.flags & VIRTQ_DESC_F_INDIRECT) {
			if (table == &indirect)
				return vq_fail(vq, "indirect table in an indirect table");
			ret = enter_table(vq, &indirect, &d);
			if (ret)
				return ret;
			table = &indirect;
			n_entries = d.len / DESC_SIZE;
			i = 0;
			continue;
		}
		if (n++ == vq->size)
			return vq_fail(vq, "descriptor chain is longer than the queue");
		ret = add_buffer(vq, chain, &d);
		if (ret)
			return ret;
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return 0;
		i = d.next;
	}
}

int vq_pop(struct virtq *vq, struct vq_chain *chain)
{
	u16 head;
	int ret;

	if (vq->broken)
		return -EPROTO;
	if (!vq->enabled)
		return 0;
	/* The index is on a line that the driver writes: not to be fetched for every request. */
	if (vq->next_avail == vq->seen_avail) {
		ret = vq_look(vq);
		if (ret <= 0)
			return ret;
	}
	head = gmem_view_get16(&vq->avail, RING_ENTRY + 2u * (vq->next_avail & (vq->size - 1u)));
	ret = walk(vq, chain, head);
	if (ret)
		return ret;
	chain->used = (struct vq_used){ head, (u32)chain->in.len };
	vq->next_avail++;
	return 1;
}

void vq_unpop(struct virtq *vq, unsigned int n)
{
	u16 popped = vq->next_avail - vq->next_used;

	vq->next_avail -= (u16)min_u64(n, popped);
}

/* ---- requests done: to the used ring ------------------------------------------------------ */

void vq_push(struct virtq *vq, const struct vq_used *used, u32 written)
{
	u32 off = RING_ENTRY + USED_SIZE * (vq->next_used & (vq->size - 1u));

	/* More than was popped: a chain of before the queue was enabled, if not a bug. */
	if (vq->broken || vq->next_used == vq->next_avail)
		return;
	gmem_view_put32(&vq->used, off, used->head);
	gmem_view_put32(&vq->used, off + 4, (u32)min_u64(written, used->in_len));
	vq->next_used++;
}

bool vq_publish(struct virtq *vq)
{
	u16 from = vq->published_used, to = vq->next_used;

	if (vq->broken || from == to)
		return false;
	/*
	 * Release: what the device wrote into buffers and entries is seen before the index. Pairs
	 * with the driver's barrier after it read the index (2.7.14).
	 */
	gmem_view_put16_release(&vq->used, RING_IDX, to);
	vq->published_used = to;
	/*
	 * Index before wish. Pairs with the driver's barrier between stating its wish and looking
	 * at the index again (2.7.14): one of the two sees what the other wrote.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!vq->event_idx)
		return !(gmem_view_get16(&vq->avail, RING_FLAGS) & VIRTQ_AVAIL_F_NO_INTERRUPT);
	/* 2.7.7.2: an entry was written where the index was used_event; all modulo 2^16. */
	return (u16)(to - 1 - gmem_view_get16(&vq->avail, used_event_off(vq))) < (u16)(to - from);
}

/* ---- notifications ------------------------------------------------------------------------ */

bool vq_arm(struct virtq *vq)
{
	if (vq->broken)
		return false;
	/* 2.7.10.2 */
	if (vq->event_idx)
		gmem_view_put16(&vq->used, avail_event_off(vq), vq->next_avail);
	else
		gmem_view_put16(&vq->used, RING_FLAGS, 0);
	/*
	 * Wish before index. Pairs with the driver's barrier between updating its index and reading
	 * our wish (2.7.13.4.1): it sees the wish and tells, or we see what it added.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return gmem_view_get16(&vq->avail, RING_IDX) != vq->next_avail;
}

void vq_disarm(struct virtq *vq)
{
	/* An event index that was passed tells the driver nothing more for 2^16 requests. */
	if (!vq->broken && !vq->event_idx)
		gmem_view_put16(&vq->used, RING_FLAGS, VIRTQ_USED_F_NO_NOTIFY);
}
