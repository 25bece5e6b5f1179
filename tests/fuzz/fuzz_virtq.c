/*
 * A split virtqueue whose driver writes anything anywhere, in any order with what a device does:
 * pop, push, publish, arm, give back, start anew.
 *
 * Beyond crashes it compares every answer with a second reading of the rules, made the simple and
 * slow way in this file: what is a request, where its bytes are, when the queue is broken,
 * who wants to be told. And that nothing but the used ring was written.
 * Does not look for races: memory changes between calls, not within them.
 *
 * Input: operations of a code and its arguments; see step().
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices/virtq.h"
#include "tests/fuzz/check.h"

#define LOW_SIZE  (64 * KIB) /* rings, tables; what operations can write */
#define MID_GPA	  (16 * MIB)
#define MID_SIZE  (8 * KIB)
#define HIGH_GPA  (4 * GIB)
#define HIGH_SIZE (64 * MIB) /* never touched; so large that a chain can have 2^32 bytes */

#define TABLE 0x8000 /* where operations write indirect tables */

struct piece {
	u64 gpa;
	u32 len;
};

/* A request as it should be. */
struct request {
	u16 head;
	u64 out_len, in_len;
	unsigned int n_out, n_in;
	struct piece pieces[VQ_MAX_SIZE];
};

struct world {
	struct gmem gm;
	u8 shadow[LOW_SIZE]; /* what the driver wrote */
	struct virtq vq;
	struct vq_layout layout;

	/* What the device should know. */
	bool enabled, broken;
	u16 next_avail, seen_avail, n_pushed, n_published;
	struct vq_chain chains[VQ_MAX_SIZE];
	/* Indices of chains: the first @n_flight are popped and not pushed, in this order. */
	u16 order[VQ_MAX_SIZE];
	u16 n_flight;
	u16 n_tail; /* the last of them, of which none was pushed meanwhile: can be given back */
};

struct input {
	const u8 *data;
	size_t left;
};

static u8 get8(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

static u16 get16(struct input *in)
{
	u16 low = get8(in);

	return (u16)(low | get8(in) << 8);
}

/* Around all the ends of RAM there are, and of the address space. */
static u64 get_gpa(struct input *in)
{
	static const u64 bases[] = {
		0, 0, LOW_SIZE, MID_GPA, MID_GPA + MID_SIZE, HIGH_GPA, 0, HIGH_GPA + HIGH_SIZE,
	};
	u8 base = get8(in);

	/* 65536 below the base and above */
	return bases[base % ARRAY_SIZE(bases)] + (base & 0x80 ? 0 - (u64)get16(in) : get16(in));
}

/* ---- the driver's writes ------------------------------------------------------------------ */

static void poke(struct world *w, u64 gpa, const void *data, u32 len)
{
	if (!range_fits(gpa, len, LOW_SIZE))
		return;
	CHECK(!gmem_write(&w->gm, gpa, data, len));
	memcpy(w->shadow + gpa, data, len);
}

static void poke16(struct world *w, u64 gpa, u16 val)
{
	u8 raw[2];

	put_le16(raw, val);
	poke(w, gpa, raw, 2);
}

static void poke_desc(struct world *w, u64 at, u64 gpa, u32 len, u16 flags, u16 next)
{
	u8 raw[16];

	put_le64(raw, gpa);
	put_le32(raw + 8, len);
	put_le16(raw + 12, flags);
	put_le16(raw + 14, next);
	poke(w, at, raw, 16);
}

static void write_desc(struct world *w, struct input *in, u64 table)
{
	u16 i = get16(in), flags, next;
	u64 gpa = get_gpa(in);
	u32 len = get16(in);

	flags = get8(in);
	len <<= flags >> 4;
	next = get16(in);
	poke_desc(w, table + 16u * (i % 512u), gpa, len, flags & 15, next);
}

static void write_show(struct world *w, u16 head)
{
	u8 raw[2];
	u16 idx;

	CHECK(!gmem_read(&w->gm, w->layout.avail + 2, raw, 2));
	idx = get_le16(raw);
	poke16(w, w->layout.avail + 4 + 2u * (idx % w->layout.size), head);
	poke16(w, w->layout.avail + 2, (u16)(idx + 1));
}

/* A good chain of @n pieces, the last @n_in of them writable, direct or indirect. */
static void write_chain(struct world *w, struct input *in)
{
	u16 head = get8(in), n = (u16)(get8(in) + 1), n_in = get8(in);
	u8 how = get8(in);
	u64 gpa = get_gpa(in);
	u32 len = (u32)get16(in) << (how >> 4);
	u64 table = how & 1 ? TABLE : w->layout.desc + 16u * head;

	for (u16 i = 0; i < n; i++)
		poke_desc(w, table + 16u * i, gpa + (how & 2 ? (u64)i * len : 0), len,
			  (u16)((i + 1 < n ? 1 : 0) | (i + n_in >= n ? 2 : 0)),
			  (u16)((how & 1 ? 0 : head) + i + 1));
	if (how & 1)
		poke_desc(w, w->layout.desc + 16u * head, TABLE, 16u * n, 4, 0);
	write_show(w, head);
}

/* ---- the rules, once more ----------------------------------------------------------------- */

static bool is_ram(u64 gpa, u64 len)
{
	static const struct {
		u64 gpa, size;
	} ram[] = { { 0, LOW_SIZE }, { MID_GPA, MID_SIZE }, { HIGH_GPA, HIGH_SIZE } };

	for (size_t i = 0; i < ARRAY_SIZE(ram); i++) {
		u64 end;

		if (!__builtin_add_overflow(gpa, len, &end) && gpa >= ram[i].gpa &&
		    end <= ram[i].gpa + ram[i].size)
			return true;
	}
	return false;
}

static const u8 *host_of(const struct world *w, u64 gpa)
{
	const struct gmem_region *r = w->gm.regions;

	r += gpa >= HIGH_GPA ? 2 : gpa >= MID_GPA ? 1 : 0;
	return (const u8 *)r->host + (gpa - r->gpa);
}

static u16 peek16(const struct world *w, u64 gpa)
{
	u8 raw[2];

	CHECK(!gmem_read(&w->gm, gpa, raw, 2));
	return get_le16(raw);
}

static bool apart(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a + a_len <= b || b + b_len <= a;
}

static bool layout_is_good(const struct vq_layout *l)
{
	u64 desc = 16 * (u64)l->size, avail = 6 + 2 * (u64)l->size, used = 6 + 8 * (u64)l->size;
	bool size = false;

	for (unsigned int i = 0; i <= 8; i++)
		size |= l->size == 1u << i;
	return size && l->desc % 16 == 0 && l->avail % 2 == 0 && l->used % 4 == 0 &&
	       is_ram(l->desc, desc) && is_ram(l->avail, avail) && is_ram(l->used, used) &&
	       apart(l->desc, desc, l->avail, avail) && apart(l->desc, desc, l->used, used) &&
	       apart(l->avail, avail, l->used, used);
}

/* What the chain at @head is; false: nothing a device may accept. */
static bool read_request(const struct world *w, u16 head, struct request *r)
{
	u64 table = w->layout.desc, n_entries = w->layout.size;
	bool indirect = false;
	u16 i = head;
	u8 raw[16];

	*r = (struct request){ .head = head };
	for (;;) {
		struct piece p;
		u16 flags;

		if (i >= n_entries)
			return false;
		CHECK(!gmem_read(&w->gm, table + 16u * i, raw, 16));
		p = (struct piece){ get_le64(raw), get_le32(raw + 8) };
		flags = get_le16(raw + 12);
		if (flags & 4) {
			if (indirect || (flags & 1) || p.len < 16 || p.len & 15 ||
			    p.len > 16u * w->layout.size || !is_ram(p.gpa, p.len))
				return false;
			indirect = true;
			table = p.gpa;
			n_entries = p.len / 16;
			i = 0;
			continue;
		}
		if (r->n_out + r->n_in == w->layout.size || !p.len || !is_ram(p.gpa, p.len) ||
		    (r->n_in && !(flags & 2)))
			return false;
		r->pieces[r->n_out + r->n_in] = p;
		if (flags & 2) {
			r->n_in++;
			r->in_len += p.len;
		} else {
			r->n_out++;
			r->out_len += p.len;
		}
		if (r->out_len + r->in_len >= 1ull << 32)
			return false;
		if (!(flags & 1))
			return true;
		i = get_le16(raw + 14);
	}
}

/* Nothing is written from here on, the used ring included. */
static int breaks(struct world *w)
{
	w->broken = true;
	memcpy(w->shadow, host_of(w, 0), LOW_SIZE);
	return -EPROTO;
}

/* What vq_pop() should say. */
static int next_request(struct world *w, struct request *r)
{
	u16 idx;

	if (w->broken)
		return -EPROTO;
	if (!w->enabled)
		return 0;
	if (w->next_avail == w->seen_avail) {
		/* under way, from what the driver was shown: popped, and offered in all */
		u16 popped = w->next_avail - w->n_published, offered;

		idx = peek16(w, w->layout.avail + 2);
		offered = idx - w->n_published;
		if (offered < popped || offered > w->layout.size)
			return breaks(w);
		w->seen_avail = idx;
		if (idx == w->next_avail)
			return 0;
	}
	if (!read_request(w, peek16(w, w->layout.avail + 4 + 2u * (w->next_avail % w->layout.size)),
			  r))
		return breaks(w);
	w->next_avail++;
	return 1;
}

/* ---- what the device does ----------------------------------------------------------------- */

static void check_vec(const struct world *w, const struct gmem_vec *vec, const struct piece *p,
		      unsigned int n, u64 len)
{
	CHECK(vec->len == len && vec->n == n);
	for (unsigned int i = 0; i < n; i++)
		CHECK(vec->iov[i].iov_base == host_of(w, p[i].gpa) &&
		      vec->iov[i].iov_len == p[i].len);
}

/* Since the driver wrote it last, nothing changed but the used ring. */
static void check_ram(struct world *w)
{
	const u8 *now = host_of(w, 0);
	u64 used = w->layout.used, end = used + 6 + 8u * w->layout.size;

	if (!w->enabled || w->broken || used >= LOW_SIZE)
		used = end = LOW_SIZE;
	CHECK(!memcmp(now, w->shadow, used));
	CHECK(!memcmp(now + end, w->shadow + end, LOW_SIZE - end));
}

/* 0xff: disable; anything else is a layout, often a good one. */
static void enable(struct world *w, struct input *in)
{
	u8 how = get8(in);

	check_ram(w);
	memcpy(w->shadow, host_of(w, 0), LOW_SIZE);
	w->next_avail = w->seen_avail = w->n_pushed = w->n_published = 0;
	w->n_flight = w->n_tail = 0;
	if (how == 0xff) {
		vq_disable(&w->vq);
		w->enabled = w->broken = false;
		return;
	}
	w->layout =
		(struct vq_layout){ (u16)(1u << (how % 16 % 9)), 0, 0x2000, 0x3000, how & 0x40 };
	if (how & 0x80) {
		w->layout.size = get16(in);
		w->layout.desc = get_gpa(in);
		w->layout.avail = get_gpa(in);
		w->layout.used = get_gpa(in);
	} else {
		poke16(w, 0x2002, 0);
	}
	w->enabled = layout_is_good(&w->layout);
	w->broken = !w->enabled;
	CHECK(vq_enable(&w->vq, &w->gm, &w->layout) == (w->enabled ? 0 : -EPROTO));
	CHECK(w->vq.enabled == w->enabled);
	if (!w->enabled) {
		w->layout = (struct vq_layout){ 1, 0, 0x2000, 0x3000, false };
		return;
	}
	CHECK(peek16(w, w->layout.used) == 0 && peek16(w, w->layout.used + 2) == 0);
	CHECK(!w->layout.event_idx || !peek16(w, w->layout.used + 4 + 8u * w->layout.size));
}

static bool pop(struct world *w)
{
	static struct request r;
	struct vq_chain *c = &w->chains[w->order[w->n_flight % VQ_MAX_SIZE]];
	int ret = next_request(w, &r);

	CHECK(vq_pop(&w->vq, c) == ret);
	CHECK(!w->vq.broken == !w->broken);
	if (ret <= 0)
		return false;
	check_vec(w, &c->out, r.pieces, r.n_out, r.out_len);
	check_vec(w, &c->in, r.pieces + r.n_out, r.n_in, r.in_len);
	CHECK(c->used.head == r.head && c->used.in_len == r.in_len);
	/* never more than the queue size that are not published, so an array of so many does */
	CHECK((u16)(w->next_avail - w->n_published) <= w->layout.size);
	CHECK(w->n_flight < w->layout.size);
	w->n_flight++;
	w->n_tail++;
	return true;
}

static void push(struct world *w, u8 which, u32 written)
{
	u64 entry = w->layout.used + 4 + 8u * (w->n_pushed % w->layout.size);
	const struct vq_chain *c = &w->chains[w->order[which]];
	u16 index = w->order[which];
	u8 raw[8];

	if (which >= w->n_flight) {
		if (!w->n_flight) /* what it does not have: nothing happens */
			vq_push(&w->vq, &c->used, written);
		return;
	}
	vq_push(&w->vq, &c->used, written);
	if (w->broken)
		return;
	CHECK(!gmem_read(&w->gm, entry, raw, 8));
	CHECK(get_le32(raw) == c->used.head);
	CHECK(get_le32(raw + 4) == (written < c->used.in_len ? written : c->used.in_len));
	w->n_pushed++;
	w->n_flight--;
	memmove(&w->order[which], &w->order[which + 1], (w->n_flight - which) * sizeof(index));
	w->order[w->n_flight] = index;
	if (w->n_tail > w->n_flight - which)
		w->n_tail = w->n_flight - which;
}

static void publish(struct world *w)
{
	bool want = false;
	u16 idx = 0;

	if (w->enabled)
		idx = peek16(w, w->layout.used + 2);
	if (w->enabled && !w->broken && w->n_published != w->n_pushed) {
		u16 event = peek16(w, w->layout.avail + 4 + 2u * w->layout.size);

		for (u16 i = w->n_published; i != w->n_pushed; i++)
			want |= w->layout.event_idx ? i == event
						    : !(peek16(w, w->layout.avail) & 1);
		w->n_published = idx = w->n_pushed;
	}
	CHECK(vq_publish(&w->vq) == want);
	CHECK(!w->enabled || peek16(w, w->layout.used + 2) == idx);
}

static void arm(struct world *w)
{
	bool more = w->enabled && !w->broken && peek16(w, w->layout.avail + 2) != w->next_avail;

	CHECK(vq_arm(&w->vq) == more);
	if (!w->enabled || w->broken)
		return;
	if (w->layout.event_idx)
		CHECK(peek16(w, w->layout.used + 4 + 8u * w->layout.size) == w->next_avail);
	else
		CHECK(peek16(w, w->layout.used) == 0);
}

static void disarm(struct world *w)
{
	u16 flags = w->enabled ? peek16(w, w->layout.used) : 0;

	vq_disarm(&w->vq);
	if (!w->enabled)
		return;
	if (!w->broken && !w->layout.event_idx)
		flags = 1;
	CHECK(peek16(w, w->layout.used) == flags);
}

static void unpop(struct world *w, u8 n)
{
	if (n > w->n_tail)
		n = (u8)w->n_tail;
	vq_unpop(&w->vq, n);
	w->n_flight -= n;
	w->n_tail -= n;
	w->next_avail -= n;
}

static void step(struct world *w, struct input *in)
{
	u8 op = get8(in);

	switch (op % 16) {
	case 0:
		write_desc(w, in, w->layout.desc);
		break;
	case 1:
		write_desc(w, in, TABLE);
		break;
	case 2:
		write_chain(w, in);
		break;
	case 3:
		write_show(w, get16(in));
		break;
	case 4:
		poke16(w, w->layout.avail + 2, get16(in));
		break;
	case 5: /* flags and used_event */
		poke16(w, w->layout.avail, get16(in));
		poke16(w, w->layout.avail + 4 + 2u * w->layout.size, get16(in));
		break;
	case 6:
		poke16(w, get16(in), get16(in));
		break;
	case 7:
		pop(w);
		break;
	case 8:
		push(w, get8(in), (u32)get16(in) << (op >> 4));
		break;
	case 9:
		publish(w);
		break;
	case 10:
		arm(w);
		break;
	case 11:
		disarm(w);
		break;
	case 12:
		unpop(w, get8(in));
		break;
	case 14:
		enable(w, in);
		break;
	case 15: /* what devices do, so that a few bytes go far */
		while (pop(w))
			push(w, (u8)(w->n_flight - 1), op >> 4);
		publish(w);
		arm(w);
		break;
	}
}

static struct world *the_world(void)
{
	static struct world *w;

	if (!w) {
		w = calloc(1, sizeof(*w));
		CHECK(w);
		for (u16 i = 0; i < VQ_MAX_SIZE; i++)
			w->order[i] = i;
		CHECK(!gmem_add(&w->gm, 0, LOW_SIZE, NULL));
		CHECK(!gmem_add(&w->gm, MID_GPA, MID_SIZE, NULL));
		CHECK(!gmem_add(&w->gm, HIGH_GPA, HIGH_SIZE, NULL));
	}
	CHECK(!gmem_zero(&w->gm, 0, LOW_SIZE));
	CHECK(!gmem_zero(&w->gm, MID_GPA, MID_SIZE));
	memset(w->shadow, 0, sizeof(w->shadow));
	vq_disable(&w->vq);
	w->enabled = w->broken = false;
	w->layout = (struct vq_layout){ 1, 0, 0x2000, 0x3000, false };
	return w;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct world *w = the_world();
	struct input in = { data, len < 4096 ? len : 4096 };

	enable(w, &in);
	while (in.left)
		step(w, &in);
	check_ram(w);
	return 0;
}
