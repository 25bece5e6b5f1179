/*
 * virtq.c - what a virtqueue costs per request: the device's side (devices/virtq.c) against a
 *driver in this process, and the same with a device that trusts its driver and checks nothing.
 *
 *	virtq ROUNDS REQUESTS
 *
 * A request is the three buffers of a disk's: 16 bytes to read, 4096 and 1 to write. The device
 * pops all there are, pushes each, publishes once and asks to be told of the next; nobody looks
 *into the buffers. Prints a line per case and round: "CASE OURS BARE", nanoseconds of CPU time for
 *all requests; the two take turns. In both figures: the driver, which makes chains built beforehand
 *available and takes the used entries. Not in them: notifications themselves, and cache lines that
 *travel between processors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/unit/vqdriver.h"

#define RAM_SIZE (4 * MIB)
#define RINGS	 0
#define DATA	 (2 * MIB)
#define SIZE	 128
#define N_BUFS	 3

static const struct bench_case {
	const char *name;
	unsigned int depth;
	bool indirect, event_idx;
} cases[] = {
	{ "depth-1-direct", 1, false, false },	  { "depth-1-direct-event-idx", 1, false, true },
	{ "depth-1-indirect", 1, true, false },	  { "depth-1-indirect-event-idx", 1, true, true },
	{ "depth-32-direct", 32, false, false },  { "depth-32-direct-event-idx", 32, false, true },
	{ "depth-32-indirect", 32, true, false }, { "depth-32-indirect-event-idx", 32, true, true },
};

/* A device that believes everything: what the rings themselves cost. */
struct bare {
	u8 *ram, *desc, *avail, *used;
	u16 size, next_avail, next_used;
	bool event_idx;
	struct iovec iov[VQ_MAX_SEGS];
};

struct bench {
	struct gmem gm;
	struct vqd d;
	struct virtq vq;
	struct vq_chain chain;
	struct bare bare;
	u16 heads[32];
	u64 n_told; /* so that nothing is optimised away */
};

static void die(const char *what)
{
	fprintf(stderr, "virtq: %s\n", what);
	exit(1);
}

/* ---- the two devices ---------------------------------------------------------------------- */

static unsigned int ours(struct bench *b)
{
	struct virtq *vq = &b->vq;
	unsigned int n = 0;

	vq_disarm(vq);
	while (vq_pop(vq, &b->chain) > 0) {
		vq_push(vq, &b->chain.used, 4097);
		n++;
	}
	b->n_told += vq_publish(vq);
	b->n_told += vq_arm(vq);
	return n;
}

static u32 bare_request(struct bare *r, u16 i)
{
	u8 *d = r->desc + 16 * i;
	unsigned int n = 0;

	if (get_le16(d + 12) & VQD_F_INDIRECT) {
		u8 *table = r->ram + get_le64(d);

		d = table;
		for (;; d = table + 16 * get_le16(d + 14)) {
			r->iov[n++] = (struct iovec){ r->ram + get_le64(d), get_le32(d + 8) };
			if (!(get_le16(d + 12) & VQD_F_NEXT))
				return n;
		}
	}
	for (;; d = r->desc + 16 * get_le16(d + 14)) {
		r->iov[n++] = (struct iovec){ r->ram + get_le64(d), get_le32(d + 8) };
		if (!(get_le16(d + 12) & VQD_F_NEXT))
			return n;
	}
}

static unsigned int bare(struct bench *b)
{
	struct bare *r = &b->bare;
	u16 *avail_idx = (u16 *)(r->avail + 2), *used_idx = (u16 *)(r->used + 2);
	u16 to = __atomic_load_n(avail_idx, __ATOMIC_ACQUIRE);
	unsigned int n = 0;

	if (!r->event_idx)
		put_le16(r->used, VQD_F_NO_NOTIFY);
	for (; r->next_avail != to; n++) {
		u16 head = get_le16(r->avail + 4 + 2 * (r->next_avail++ & (r->size - 1)));
		u8 *entry = r->used + 4 + 8 * (r->next_used++ & (r->size - 1));

		bare_request(r, head);
		/* or the compiler would see that nobody reads them */
		__asm__ volatile("" : : "r"(r->iov) : "memory");
		put_le32(entry, head);
		put_le32(entry + 4, 4097);
	}
	__atomic_store_n(used_idx, r->next_used, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (r->event_idx)
		b->n_told += (u16)(r->next_used - 1 - get_le16(r->avail + 4 + 2 * r->size)) < n;
	else
		b->n_told += !(get_le16(r->avail) & VQD_F_NO_INTERRUPT);
	if (r->event_idx)
		put_le16(r->used + 4 + 8 * r->size, r->next_avail);
	else
		put_le16(r->used, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	b->n_told += __atomic_load_n(avail_idx, __ATOMIC_RELAXED) != r->next_avail;
	return n;
}

/* ---- the driver ----------------------------------------------------------------------------- */

static void prepare(struct bench *b, const struct bench_case *c)
{
	u8 *ram = b->gm.regions[0].host;
	struct vqd *d = &b->d;

	if (vqd_init(d, &b->gm, RINGS, SIZE, c->event_idx) || vq_enable(&b->vq, &b->gm, &d->layout))
		die("cannot set up the queue");
	for (unsigned int i = 0; i < c->depth; i++) {
		struct vqd_buf bufs[N_BUFS] = {
			{ DATA + 16 * i, 16, false },
			{ DATA + 4096 * (i + 1), 4096, true },
			{ DATA + 1024 + i, 1, true },
		};
		int head =
			c->indirect ? vqd_add_indirect(d, bufs, N_BUFS) : vqd_add(d, bufs, N_BUFS);

		if (head < 0)
			die("no room in the queue");
		b->heads[i] = (u16)head;
	}
	/* built, but not offered yet */
	d->avail_idx = 0;
	vqd_raw_avail_idx(d, 0);
	b->bare = (struct bare){
		.ram = ram,
		.desc = ram + d->layout.desc,
		.avail = ram + d->layout.avail,
		.used = ram + d->layout.used,
		.size = SIZE,
		.event_idx = c->event_idx,
	};
}

static void take_used(struct bench *b, unsigned int n)
{
	struct vqd *d = &b->d;

	if ((u16)(vqd_raw_used_idx(d) - d->used_idx) != n)
		die("requests are missing");
	while (n--) {
		u32 id, len;

		vqd_raw_used_entry(d, d->used_idx++ & (SIZE - 1), &id, &len);
		if (id >= SIZE || len != 4097)
			die("a used entry is wrong");
	}
	vqd_want_irq(d);
}

static u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
}

static u64 measure(struct bench *b, const struct bench_case *c, unsigned int n_requests,
		   unsigned int (*serve)(struct bench *b))
{
	u64 start;

	prepare(b, c);
	start = now();
	for (unsigned int n = 0; n < n_requests; n += c->depth) {
		for (unsigned int i = 0; i < c->depth; i++)
			vqd_show(&b->d, b->heads[i]);
		b->n_told += vqd_must_kick(&b->d);
		if (serve(b) != c->depth)
			die("not all requests were served");
		take_used(b, c->depth);
	}
	return now() - start;
}

int main(int argc, char **argv)
{
	static struct bench b;
	int rounds = argc == 3 ? atoi(argv[1]) : 0;
	int n_requests = argc == 3 ? atoi(argv[2]) / 32 * 32 : 0;

	if (rounds < 1 || n_requests < 32) {
		fprintf(stderr, "usage: virtq ROUNDS REQUESTS\n");
		return 2;
	}
	if (gmem_add(&b.gm, 0, RAM_SIZE, NULL))
		die("no memory");
	/* one round to warm up */
	for (int round = -1; round < rounds; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			u64 us = measure(&b, &cases[i], (unsigned int)n_requests, ours);
			u64 them = measure(&b, &cases[i], (unsigned int)n_requests, bare);

			if (round >= 0)
				printf("%s %llu %llu\n", cases[i].name, (unsigned long long)us,
				       (unsigned long long)them);
		}
	}
	gmem_fini(&b.gm);
	return b.n_told ? 0 : 1;
}
