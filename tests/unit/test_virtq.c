/*
 * Split virtqueues, the device's side, against a driver in plain memory: requests, both
 * kinds of notification, and every way a ring can be wrong.
 *
 * Does not prove that stock drivers get along with it (check-bed does), nor that no
 * interleaving with a racing driver exists that threads here have not met.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/unit/vqdriver.h"

/* Two regions with a hole between them, and one more after the second without a hole. */
#define LOW_SIZE  (64 * MIB)
#define HIGH_GPA  (4 * GIB)
#define HIGH_SIZE (1 * MIB)
#define NEXT_GPA  (HIGH_GPA + HIGH_SIZE)
#define NEXT_SIZE (64 * KIB)

#define RINGS 0x1000
#define DATA  0x200000
#define TABLE 0x180000 /* for indirect tables made by hand */

struct world {
	struct gmem gm;
	struct vqd d;
	struct virtq vq;
	struct vq_chain chain;
};

static void world_init(struct world *w, u16 size, bool event_idx)
{
	memset(w, 0, sizeof(*w));
	assert_int_equal(gmem_add(&w->gm, 0, LOW_SIZE, NULL), 0);
	assert_int_equal(gmem_add(&w->gm, HIGH_GPA, HIGH_SIZE, NULL), 0);
	assert_int_equal(gmem_add(&w->gm, NEXT_GPA, NEXT_SIZE, NULL), 0);
	assert_int_equal(vqd_init(&w->d, &w->gm, RINGS, size, event_idx), 0);
	assert_int_equal(vq_enable(&w->vq, &w->gm, &w->d.layout), 0);
	assert_true(w->vq.enabled);
	assert_null(w->vq.broken);
}

static void world_fini(struct world *w)
{
	vq_disable(&w->vq);
	gmem_fini(&w->gm);
}

static void assert_guest_bytes(struct world *w, u64 gpa, const void *bytes, size_t len)
{
	u8 got[256];

	assert_int_equal(gmem_read(&w->gm, gpa, got, len), 0);
	assert_memory_equal(got, bytes, len);
}

static void assert_popped(struct world *w, size_t out_len, size_t in_len)
{
	int ret = vq_pop(&w->vq, &w->chain);

	if (ret != 1)
		fail_msg("vq_pop() gave %d (%s)", ret, w->vq.broken ? w->vq.broken : "not broken");
	assert_int_equal(w->chain.out.len, out_len);
	assert_int_equal(w->chain.in.len, in_len);
}

/* Ready for use again, with empty rings, as after a reset of the device. */
static void start_again(struct world *w)
{
	u16 size = w->d.layout.size;

	vq_disable(&w->vq);
	assert_int_equal(vqd_init(&w->d, &w->gm, RINGS, size, w->d.layout.event_idx), 0);
	assert_int_equal(vq_enable(&w->vq, &w->gm, &w->d.layout), 0);
}

static void assert_works(struct world *w)
{
	struct vqd_buf buf = { DATA, 7, true };
	int head = vqd_add(&w->d, &buf, 1);
	u32 len;

	assert_true(head >= 0);
	assert_popped(w, 0, 7);
	vq_push(&w->vq, &w->chain.used, 7);
	assert_true(vq_publish(&w->vq));
	assert_int_equal(vqd_used(&w->d, &len), head);
	assert_int_equal(len, 7);
}

/*
 * What was made available breaks the queue: it says why and stays dead, whatever is done to
 * it. After a reset it works.
 */
static void assert_breaks(struct world *w, const char *why)
{
	u8 used[6 + 8 * VQ_MAX_SIZE], now[sizeof(used)];
	u32 len = 6 + 8u * w->d.layout.size;

	gmem_view_read(&w->d.used, 0, used, len);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vq_pop(&w->vq, &w->chain), -EPROTO);
		assert_non_null(w->vq.broken);
		if (!strstr(w->vq.broken, why))
			fail_msg("broken for '%s', not for '%s'", w->vq.broken, why);
		vq_push(&w->vq, &w->chain.used, 0);
		assert_false(vq_publish(&w->vq));
		assert_false(vq_arm(&w->vq));
		vq_disarm(&w->vq);
	}
	gmem_view_read(&w->d.used, 0, now, len);
	assert_memory_equal(used, now, len);
	start_again(w);
	assert_works(w);
	start_again(w);
}

/* Offer the chain that begins at descriptor @head. */
static void offer(struct world *w, u16 head)
{
	vqd_show(&w->d, head);
}

/* ---- requests --------------------------------------------------------------------------- */

static void add_split_request(struct world *w, bool indirect)
{
	struct vqd_buf bufs[] = {
		{ DATA, 3, false },
		{ HIGH_GPA + 100, 5, false },
		{ DATA + 0x1000, 4, true },
		{ DATA + 0x2000, 1, true },
		{ HIGH_GPA + HIGH_SIZE - 2, 2, true },
	};
	int head;

	assert_int_equal(gmem_write(&w->gm, DATA, "one", 3), 0);
	assert_int_equal(gmem_write(&w->gm, HIGH_GPA + 100, "three", 5), 0);
	head = indirect ? vqd_add_indirect(&w->d, bufs, 5) : vqd_add(&w->d, bufs, 5);
	assert_true(head >= 0);
}

static void assert_split_request(struct world *w)
{
	u8 got[8];
	u32 len;

	assert_popped(w, 8, 7);
	assert_true(gmem_vec_read(&w->chain.out, 0, got, 8));
	assert_memory_equal(got, "onethree", 8);
	assert_true(gmem_vec_write(&w->chain.in, 0, "written", 7));
	assert_false(gmem_vec_write(&w->chain.in, 0, "too much", 8));
	assert_guest_bytes(w, DATA + 0x1000, "writ\0", 5);
	assert_guest_bytes(w, DATA + 0x2000, "t\0", 2);
	assert_guest_bytes(w, HIGH_GPA + HIGH_SIZE - 2, "en", 2);
	vq_push(&w->vq, &w->chain.used, 7);
	assert_int_equal(vqd_used(&w->d, NULL), -EAGAIN);
	assert_true(vq_publish(&w->vq));
	assert_true(vqd_used(&w->d, &len) >= 0);
	assert_int_equal(len, 7);
}

static void a_request_is_two_streams_of_bytes(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	assert_int_equal(vq_pop(&w.vq, &w.chain), 0);
	add_split_request(&w, false);
	assert_split_request(&w);
	assert_int_equal(vq_pop(&w.vq, &w.chain), 0);
	world_fini(&w);
}

static void an_indirect_request_is_two_streams_of_bytes(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	add_split_request(&w, true);
	assert_split_request(&w);
	assert_int_equal(vq_pop(&w.vq, &w.chain), 0);
	world_fini(&w);
}

static void a_chain_may_end_in_an_indirect_table(void **state)
{
	struct world w;
	u8 got[6];

	(void)state;
	world_init(&w, 8, false);
	assert_int_equal(gmem_write(&w.gm, DATA, "abcdef", 6), 0);
	vqd_raw_desc(&w.d, 7, DATA, 2, VQD_F_NEXT, 2);
	vqd_raw_desc(&w.d, 2, DATA + 2, 2, VQD_F_NEXT, 5);
	/* The device ignores WRITE here (2.7.5.3.2), and the table has no alignment. */
	vqd_raw_desc(&w.d, 5, TABLE + 1, 2 * 16, VQD_F_INDIRECT | VQD_F_WRITE, 3);
	vqd_raw_table(&w.d, TABLE + 1, 0, DATA + 4, 2, VQD_F_NEXT, 1);
	vqd_raw_table(&w.d, TABLE + 1, 1, DATA + 64, 9, VQD_F_WRITE, 0);
	offer(&w, 7);
	assert_popped(&w, 6, 9);
	assert_true(gmem_vec_read(&w.chain.out, 0, got, 6));
	assert_memory_equal(got, "abcdef", 6);
	vq_push(&w.vq, &w.chain.used, 0);
	vq_publish(&w.vq);
	assert_int_equal(vqd_raw_used_idx(&w.d), 1);
	world_fini(&w);
}

static void a_chain_may_be_as_long_as_the_queue(void **state)
{
	struct vqd_buf bufs[VQ_MAX_SIZE];

	(void)state;
	for (u16 size = 1; size <= VQ_MAX_SIZE; size *= 2) {
		struct world w;

		world_init(&w, size, true);
		for (u32 i = 0; i < size; i++)
			bufs[i] = (struct vqd_buf){ DATA + 8 * i, 1 + i % 3, i >= size / 2 };
		for (int indirect = 0; indirect < 2; indirect++) {
			u8 last = 'x';

			if (indirect)
				assert_true(vqd_add_table(&w.d, TABLE, bufs, size) >= 0);
			else
				assert_true(vqd_add(&w.d, bufs, size) >= 0);
			assert_int_equal(vq_pop(&w.vq, &w.chain), 1);
			assert_true(gmem_vec_write(&w.chain.in, w.chain.in.len - 1, &last, 1));
			assert_guest_bytes(&w, bufs[size - 1].gpa + bufs[size - 1].len - 1, "x", 1);
			vq_push(&w.vq, &w.chain.used, 0);
			vq_publish(&w.vq);
			assert_true(vqd_used(&w.d, NULL) >= 0);
		}
		world_fini(&w);
	}
}

static void requests_are_done_in_any_order(void **state)
{
	static const unsigned int order[] = { 2, 0, 3, 1 };
	struct vq_chain *chains = calloc(4, sizeof(*chains));
	int heads[4];
	struct world w;

	(void)state;
	assert_non_null(chains);
	world_init(&w, 4, false);
	for (u32 i = 0; i < 4; i++) {
		heads[i] = vqd_add(&w.d, &(struct vqd_buf){ DATA, 10 + i, true }, 1);
		assert_int_equal(vq_pop(&w.vq, &chains[i]), 1);
	}
	for (unsigned int i = 0; i < 4; i++)
		vq_push(&w.vq, &chains[order[i]].used, order[i]);
	vq_publish(&w.vq);
	for (unsigned int i = 0; i < 4; i++) {
		u32 len;

		assert_int_equal(vqd_used(&w.d, &len), heads[order[i]]);
		assert_int_equal(len, order[i]);
	}
	world_fini(&w);
	free(chains);
}

static void no_more_is_reported_written_than_the_stream_had(void **state)
{
	struct vqd_buf buf = { DATA, 100, true };
	struct world w;
	u32 len;

	(void)state;
	world_init(&w, 4, false);
	vqd_add(&w.d, &buf, 1);
	assert_popped(&w, 0, 100);
	assert_true(gmem_vec_drop(&w.chain.in, 60)); /* what was consumed counts */
	vq_push(&w.vq, &w.chain.used, UINT32_MAX);
	vq_publish(&w.vq);
	assert_true(vqd_used(&w.d, &len) >= 0);
	assert_int_equal(len, 100);
	world_fini(&w);
}

static void requests_given_back_are_popped_again(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	for (u32 i = 1; i <= 5; i++)
		vqd_add(&w.d, &(struct vqd_buf){ DATA, i, false }, 1);
	assert_popped(&w, 1, 0);
	vq_push(&w.vq, &w.chain.used, 0);
	for (u32 i = 2; i <= 5; i++)
		assert_popped(&w, i, 0);
	assert_int_equal(vq_pop(&w.vq, &w.chain), 0);
	vq_unpop(&w.vq, 3);
	for (u32 i = 3; i <= 5; i++)
		assert_popped(&w, i, 0);
	vq_unpop(&w.vq, 0);
	assert_int_equal(vq_pop(&w.vq, &w.chain), 0);
	vq_unpop(&w.vq, 1000); /* not the one that was pushed */
	for (u32 i = 2; i <= 5; i++)
		assert_popped(&w, i, 0);
	assert_int_equal(vq_pop(&w.vq, &w.chain), 0);
	world_fini(&w);
}

static void pushing_what_was_not_popped_does_nothing(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 4, false);
	vqd_add(&w.d, &(struct vqd_buf){ DATA, 1, false }, 1);
	assert_popped(&w, 1, 0);
	vq_push(&w.vq, &w.chain.used, 0);
	vq_push(&w.vq, &w.chain.used, 0);
	vq_publish(&w.vq);
	assert_int_equal(vqd_raw_used_idx(&w.d), 1);
	start_again(&w); /* and the request is one of before */
	vq_push(&w.vq, &w.chain.used, 0);
	assert_false(vq_publish(&w.vq));
	assert_int_equal(vqd_raw_used_idx(&w.d), 0);
	world_fini(&w);
}

static void a_request_is_what_it_was_when_it_was_popped(void **state)
{
	struct vqd_buf buf = { DATA, 4, true };
	struct world w;
	u8 junk[16];
	int head;
	u32 len;

	(void)state;
	memset(junk, 0xff, sizeof(junk));
	world_init(&w, 4, false);
	for (int indirect = 0; indirect < 2; indirect++) {
		head = indirect ? vqd_add_table(&w.d, TABLE, &buf, 1) : vqd_add(&w.d, &buf, 1);
		assert_popped(&w, 0, 4);
		assert_int_equal(gmem_write(&w.gm, w.d.layout.desc + 16u * (u32)head, junk, 16), 0);
		assert_int_equal(gmem_write(&w.gm, TABLE, junk, 16), 0);
		vqd_raw_ring(&w.d, (u16)indirect, 3);
		assert_true(gmem_vec_write(&w.chain.in, 0, indirect ? "same" : "SAME", 4));
		assert_guest_bytes(&w, DATA, indirect ? "same" : "SAME", 4);
		vq_push(&w.vq, &w.chain.used, 4);
		vq_publish(&w.vq);
		assert_int_equal(vqd_used(&w.d, &len), head);
		assert_int_equal(len, 4);
	}
	world_fini(&w);
}

static void a_queue_that_is_not_enabled_gives_nothing(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 4, false);
	vqd_add(&w.d, &(struct vqd_buf){ DATA, 1, false }, 1);
	assert_popped(&w, 1, 0);
	vqd_add(&w.d, &(struct vqd_buf){ DATA, 1, false }, 1);
	vq_disable(&w.vq);
	assert_false(w.vq.enabled);
	assert_int_equal(vq_pop(&w.vq, &w.chain), 0);
	assert_false(vq_arm(&w.vq));
	vq_disarm(&w.vq);
	vq_unpop(&w.vq, 1);
	vq_push(&w.vq, &w.chain.used, 0);
	assert_false(vq_publish(&w.vq));
	assert_int_equal(vq_pop(&w.vq, &w.chain), 0);
	assert_int_equal(vqd_raw_used_idx(&w.d), 0);
	assert_int_equal(vqd_raw_used_flags(&w.d), 0);
	world_fini(&w);
}

/* ---- many requests ------------------------------------------------------------------------ */

struct mill {
	struct world w;
	u32 n_added, n_used;	    /* by the driver */
	u32 n_pushed;		    /* by the device */
	u32 lens[VQ_MAX_SIZE];	    /* of the request a head stands for, as added */
	struct vq_chain chains[16]; /* popped, not pushed */
	u32 popped_lens[16];
	unsigned int n_popped;
	u64 rng;
};

static u32 rnd(u64 *rng)
{
	*rng = *rng * 6364136223846793005u + 1442695040888963407u;
	return (u32)(*rng >> 33);
}

static void mill_add(struct mill *m)
{
	for (u32 n = rnd(&m->rng) % 8; n--;) {
		u32 len = 1 + rnd(&m->rng) % 1000;
		struct vqd_buf bufs[] = { { DATA, 16, false }, { DATA + 0x1000, len, true } };
		int head = rnd(&m->rng) % 2 ? vqd_add(&m->w.d, bufs, 2)
					    : vqd_add_indirect(&m->w.d, bufs, 2);

		if (head < 0)
			return;
		m->lens[head] = len;
		m->n_added++;
	}
}

static void mill_pop(struct mill *m)
{
	for (u32 n = rnd(&m->rng) % 8; n-- && m->n_popped < 16;) {
		struct vq_chain *c = &m->chains[m->n_popped];

		if (!vq_pop(&m->w.vq, c)) {
			assert_int_equal(m->n_added, m->n_pushed + m->n_popped);
			return;
		}
		assert_null(m->w.vq.broken);
		assert_int_equal(c->out.len, 16);
		m->popped_lens[m->n_popped++] = (u32)c->in.len;
	}
}

static void mill_push(struct mill *m)
{
	while (m->n_popped && rnd(&m->rng) % 8) {
		u32 i = rnd(&m->rng) % m->n_popped;

		vq_push(&m->w.vq, &m->chains[i].used, m->popped_lens[i]);
		m->n_pushed++;
		m->n_popped--;
		if (i != m->n_popped) {
			m->chains[i].used = m->chains[m->n_popped].used;
			m->popped_lens[i] = m->popped_lens[m->n_popped];
		}
	}
}

/* By the letter of 2.7.7.2, one entry at a time. */
static bool wants_irq(const struct mill *m, u32 from, u32 to, u16 flags, u16 event)
{
	if (!m->w.d.layout.event_idx)
		return from != to && !(flags & 1);
	for (; from != to; from++) {
		if ((u16)from == event)
			return true;
	}
	return false;
}

static void mill_publish(struct mill *m, u32 *n_published, unsigned int told[2])
{
	u16 flags = rnd(&m->rng) % 2;
	/* around here, and sometimes anywhere */
	u16 event = (u16)(rnd(&m->rng) % 8 ? *n_published - 4 + rnd(&m->rng) % 16 : rnd(&m->rng));
	bool want = wants_irq(m, *n_published, m->n_pushed, flags, event);

	vqd_raw_avail_flags(&m->w.d, flags);
	if (m->w.d.layout.event_idx)
		vqd_raw_used_event(&m->w.d, event);
	assert_int_equal(vq_publish(&m->w.vq), want);
	told[want]++;
	*n_published = m->n_pushed;
}

static void mill_used(struct mill *m)
{
	int head;
	u32 len;

	while ((head = vqd_used(&m->w.d, &len)) >= 0) {
		assert_int_equal(len, m->lens[head]);
		m->n_used++;
	}
	assert_int_equal(head, -EAGAIN);
	assert_int_equal(m->n_used, m->n_pushed);
}

static void run_mill(bool event_idx, u16 size)
{
	struct mill *m = calloc(1, sizeof(*m));
	unsigned int told[2] = { 0 };
	u32 n_published = 0;

	assert_non_null(m);
	m->rng = 42 + size;
	world_init(&m->w, size, event_idx);
	while (m->n_used < 140000) { /* both indices wrap twice */
		mill_add(m);
		mill_pop(m);
		mill_push(m);
		mill_publish(m, &n_published, told);
		mill_used(m);
	}
	/* the test met both answers often */
	assert_true(told[0] > 1000 && told[1] > 1000);
	world_fini(&m->w);
	free(m);
}

static void indices_wrap_and_interrupts_follow_the_flag(void **state)
{
	(void)state;
	run_mill(false, 4);
	run_mill(false, 64);
}

static void indices_wrap_and_interrupts_follow_the_event_index(void **state)
{
	(void)state;
	run_mill(true, 4);
	run_mill(true, 64);
}

/* ---- notifications ------------------------------------------------------------------------ */

static void publishing_nothing_tells_nobody(void **state)
{
	struct world w;

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		world_init(&w, 4, event_idx);
		vqd_raw_used_event(&w.d, 0xffff); /* would be met by an entry of before */
		assert_false(vq_publish(&w.vq));
		vqd_raw_used_event(&w.d, 0);
		assert_works(&w);
		assert_false(vq_publish(&w.vq));
		world_fini(&w);
	}
}

static void an_enabled_queue_asks_for_notifications(void **state)
{
	struct world w;

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		world_init(&w, 4, event_idx);
		/* a driver that reuses memory and did not clear what it once got */
		vq_disable(&w.vq);
		gmem_view_put16(&w.d.used, 0, 1);
		gmem_view_put16(&w.d.used, 2, 77);
		gmem_view_put16(&w.d.used, 4 + 8 * 4, 77);
		assert_int_equal(vq_enable(&w.vq, &w.gm, &w.d.layout), 0);
		assert_int_equal(vqd_raw_used_idx(&w.d), 0);
		vqd_add(&w.d, &(struct vqd_buf){ DATA, 1, false }, 1);
		assert_true(vqd_must_kick(&w.d));
		world_fini(&w);
	}
}

static void the_driver_is_asked_not_to_notify_and_to_notify_again(void **state)
{
	struct vqd_buf buf = { DATA, 1, false };
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	vq_disarm(&w.vq);
	vqd_add(&w.d, &buf, 1);
	assert_false(vqd_must_kick(&w.d));
	assert_true(vq_arm(&w.vq)); /* it is there already */
	vqd_add(&w.d, &buf, 1);
	assert_true(vqd_must_kick(&w.d));
	assert_popped(&w, 1, 0);
	assert_true(vq_arm(&w.vq));
	assert_popped(&w, 1, 0);
	assert_false(vq_arm(&w.vq));
	world_fini(&w);
}

static void event_indices_ask_for_one_notification_at_a_time(void **state)
{
	struct vqd_buf buf = { DATA, 1, false };
	struct world w;

	(void)state;
	world_init(&w, 8, true);
	for (u32 i = 0; i < 70000; i++) {
		vq_disarm(&w.vq);
		assert_false(vq_arm(&w.vq));
		for (u32 n = 0; n <= i % 3; n++)
			vqd_add(&w.d, &buf, 1);
		assert_true(vqd_must_kick(&w.d));
		vqd_add(&w.d, &buf, 1);
		assert_false(vqd_must_kick(&w.d));
		assert_true(vq_arm(&w.vq));
		while (vq_pop(&w.vq, &w.chain))
			vq_push(&w.vq, &w.chain.used, 0);
		assert_null(w.vq.broken);
		vq_publish(&w.vq);
		while (vqd_used(&w.d, NULL) >= 0)
			;
		assert_int_equal(w.d.n_free, 8);
	}
	/* 2.7.10.2 */
	assert_int_equal(vqd_raw_used_flags(&w.d), 0);
	world_fini(&w);
}

static void requests_given_back_do_not_hide_the_next(void **state)
{
	struct vqd_buf buf = { DATA, 1, true };
	struct world w;

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		world_init(&w, 8, event_idx);
		vqd_add(&w.d, &buf, 1);
		vqd_add(&w.d, &buf, 1);
		assert_true(vqd_must_kick(&w.d));
		while (vq_pop(&w.vq, &w.chain))
			;
		assert_false(vq_arm(&w.vq));
		vq_unpop(&w.vq, 2);
		vqd_add(&w.d, &buf, 1);
		assert_true(vqd_must_kick(&w.d));
		assert_true(vq_arm(&w.vq));
		for (int i = 0; i < 3; i++)
			assert_popped(&w, 0, 1);
		assert_int_equal(vq_pop(&w.vq, &w.chain), 0);
		world_fini(&w);
	}
}

/*
 * Device and driver meet again and again where each states its wish and looks at the other's
 * index. Whatever the order, one of them has to see the other's: without a barrier on both sides
 * processors do show neither.
 */
struct duel {
	struct world w;
	unsigned int at[2]; /* how far each of them is */
	unsigned int n_rounds;
	bool more, irq; /* what the device got */
};

static void duel_meet(struct duel *d, int me)
{
	unsigned int n = __atomic_add_fetch(&d->at[me], 1, __ATOMIC_SEQ_CST);

	for (unsigned int spins = 0; __atomic_load_n(&d->at[!me], __ATOMIC_SEQ_CST) < n; spins++) {
		if (spins > 1000)
			sched_yield();
	}
}

/* One processor each, if there are so many: on a single one nothing is ever missed. */
static void duel_pin(pthread_t thread, int which)
{
	cpu_set_t all, one;

	CPU_ZERO(&one);
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (!which--)
			break;
	}
	assert_int_equal(pthread_setaffinity_np(thread, sizeof(one), &one), 0);
}

static void *duel_device(void *arg)
{
	struct duel *d = arg;
	struct virtq *vq = &d->w.vq;

	for (unsigned int i = 0; i < d->n_rounds; i++) {
		duel_meet(d, 0);
		d->more = vq_arm(vq);
		duel_meet(d, 0);
		if (vq_pop(vq, &d->w.chain) == 1)
			vq_push(vq, &d->w.chain.used, 0);
		vq_disarm(vq);
		duel_meet(d, 0);
		d->irq = vq_publish(vq);
		duel_meet(d, 0);
	}
	return NULL;
}

static void duel(bool event_idx)
{
	cpu_set_t before;
	struct duel *d = calloc(1, sizeof(*d));
	unsigned int lost_kicks = 0, lost_irqs = 0;
	pthread_t device;

	assert_non_null(d);
	world_init(&d->w, 4, event_idx);
	/* The one request there is, so that what happens after the meeting is short. */
	vqd_raw_desc(&d->w.d, 0, DATA, 1, 0, 0);
	d->n_rounds = 50000;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(pthread_create(&device, NULL, duel_device, d), 0);
	duel_pin(device, 1);
	duel_pin(pthread_self(), 0);
	for (unsigned int i = 0; i < d->n_rounds; i++) {
		bool kick, more;

		vqd_no_irq(&d->w.d);
		duel_meet(d, 1);
		vqd_raw_avail_idx(&d->w.d, ++d->w.d.avail_idx);
		kick = vqd_must_kick(&d->w.d);
		duel_meet(d, 1);
		lost_kicks += !kick && !d->more;
		duel_meet(d, 1);
		more = vqd_want_irq(&d->w.d);
		duel_meet(d, 1);
		lost_irqs += !more && !d->irq;
		d->w.d.used_idx++;
	}
	pthread_join(device, NULL);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_null(d->w.vq.broken);
	assert_int_equal(d->w.vq.published_used, (u16)d->n_rounds);
	assert_int_equal(lost_kicks, 0);
	assert_int_equal(lost_irqs, 0);
	world_fini(&d->w);
	free(d);
}

static void a_wish_and_an_index_do_not_miss_each_other(void **state)
{
	(void)state;
	duel(false);
	duel(true);
}

/* A device and a driver on a thread each, which sleep until told. */
struct race {
	struct world w;
	sem_t kick, irq;
	unsigned int n_requests;
	unsigned int n_kicks, n_irqs, n_done;
	bool lost; /* somebody slept for long: a notification was lost */
};

static bool sleep_until(sem_t *sem)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 20;
	while (sem_timedwait(sem, &ts)) {
		if (errno != EINTR)
			return false;
	}
	return true;
}

static void *race_device(void *arg)
{
	struct race *r = arg;
	struct virtq *vq = &r->w.vq;

	while (r->n_done < r->n_requests) {
		vq_disarm(vq);
		do {
			while (vq_pop(vq, &r->w.chain) > 0) {
				vq_push(vq, &r->w.chain.used, 1);
				r->n_done++;
				if (vq_publish(vq)) {
					r->n_irqs++;
					sem_post(&r->irq);
				}
			}
		} while (vq_arm(vq) && !vq->broken);
		if (vq->broken || (r->n_done < r->n_requests && !sleep_until(&r->kick))) {
			__atomic_store_n(&r->lost, true, __ATOMIC_RELAXED);
			break;
		}
	}
	return NULL;
}

static void race(bool event_idx)
{
	struct vqd_buf buf = { DATA, 1, true };
	unsigned int n_added = 0, n_used = 0;
	struct race *r = calloc(1, sizeof(*r));
	pthread_t device;

	assert_non_null(r);
	world_init(&r->w, 4, event_idx);
	r->n_requests = 20000;
	sem_init(&r->kick, 0, 0);
	sem_init(&r->irq, 0, 0);
	assert_int_equal(pthread_create(&device, NULL, race_device, r), 0);
	while (n_used < r->n_requests && !__atomic_load_n(&r->lost, __ATOMIC_RELAXED)) {
		int head;

		vqd_no_irq(&r->w.d);
		while (n_added < r->n_requests && n_added - n_used < 1 + n_used % 4 &&
		       vqd_add(&r->w.d, &buf, 1) >= 0) {
			n_added++;
			if (vqd_must_kick(&r->w.d)) {
				r->n_kicks++;
				sem_post(&r->kick);
			}
		}
		while ((head = vqd_used(&r->w.d, NULL)) >= 0)
			n_used++;
		if (head != -EAGAIN)
			break;
		if (n_used < n_added && !vqd_want_irq(&r->w.d) && !sleep_until(&r->irq))
			break;
	}
	sem_post(&r->kick); /* whatever happened, the device is not to wait */
	pthread_join(device, NULL);
	assert_null(r->w.vq.broken);
	if (n_used != r->n_requests)
		fail_msg("stuck: %u added, %u done, %u seen done; %u kicks, %u interrupts", n_added,
			 r->n_done, n_used, r->n_kicks, r->n_irqs);
	sem_destroy(&r->kick);
	sem_destroy(&r->irq);
	world_fini(&r->w);
	free(r);
}

static void no_notification_is_lost_between_two_threads(void **state)
{
	(void)state;
	race(false);
}

static void no_notification_is_lost_with_event_indices(void **state)
{
	(void)state;
	race(true);
}

/* ---- hostile: the available ring ---------------------------------------------------------- */

static void a_head_outside_the_table_breaks_the_queue(void **state)
{
	static const u16 heads[] = { 8, 9, 0x8000, 0xffff };
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		offer(&w, heads[i]);
		assert_breaks(&w, "out of range");
	}
	world_fini(&w);
}

static void an_index_that_jumps_breaks_the_queue(void **state)
{
	static const u16 jumps[] = { 9, 10, 0x100, 0x7fff, 0x8000, 0xfff7, 0xffff };
	struct world w;

	(void)state;
	world_init(&w, 8, true);
	for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
		vqd_raw_avail_idx(&w.d, jumps[i]);
		assert_breaks(&w, "out of step");
	}
	world_fini(&w);
}

static void an_index_that_goes_back_breaks_the_queue(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	for (int i = 0; i < 4; i++)
		assert_works(&w);
	vqd_raw_avail_idx(&w.d, 3);
	assert_breaks(&w, "out of step");
	world_fini(&w);
}

static void more_requests_under_way_than_descriptors_break_the_queue(void **state)
{
	struct vqd_buf buf = { DATA, 1, false };
	struct world w;

	(void)state;
	world_init(&w, 4, false);
	for (int i = 0; i < 4; i++) {
		vqd_add(&w.d, &buf, 1);
		assert_popped(&w, 1, 0);
	}
	vq_push(&w.vq, &w.chain.used, 0); /* not published: the driver cannot know */
	assert_int_equal(vq_pop(&w.vq, &w.chain), 0);
	vqd_raw_avail_idx(&w.d, 5);
	assert_breaks(&w, "out of step");

	for (int i = 0; i < 4; i++) {
		vqd_add(&w.d, &buf, 1);
		assert_popped(&w, 1, 0);
	}
	vq_push(&w.vq, &w.chain.used, 0);
	vq_publish(&w.vq);
	vqd_raw_avail_idx(&w.d, 5);
	assert_popped(&w, 1, 0);
	vqd_raw_avail_idx(&w.d, 6);
	assert_breaks(&w, "out of step");
	world_fini(&w);
}

static void a_driver_that_adds_without_end_is_stopped(void **state)
{
	struct vqd_buf buf = { DATA, 1, false };
	unsigned int n = 0;
	struct world w;

	(void)state;
	world_init(&w, 16, true);
	vqd_add(&w.d, &buf, 1);
	while (vq_pop(&w.vq, &w.chain) > 0) {
		vq_push(&w.vq, &w.chain.used, 0);
		assert_in_range(++n, 1, 16);
		offer(&w, 0); /* one more, always */
	}
	assert_int_equal(n, 16);
	assert_breaks(&w, "out of step");
	world_fini(&w);
}

static void one_head_offered_twice_is_two_requests(void **state)
{
	struct vqd_buf buf = { DATA, 5, true };
	struct world w;
	u32 id, len;

	(void)state;
	world_init(&w, 4, false);
	vqd_add(&w.d, &buf, 1);
	offer(&w, 0);
	for (u32 i = 0; i < 2; i++) {
		assert_popped(&w, 0, 5);
		vq_push(&w.vq, &w.chain.used, i);
	}
	vq_publish(&w.vq);
	for (u16 i = 0; i < 2; i++) {
		vqd_raw_used_entry(&w.d, i, &id, &len);
		assert_int_equal(id, 0);
		assert_int_equal(len, i);
	}
	world_fini(&w);
}

static void nonsense_in_flags_and_event_indices_is_harmless(void **state)
{
	struct world w;

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		world_init(&w, 4, event_idx);
		for (u32 i = 0; i < 0x10000; i += 0x1111) {
			vqd_raw_avail_flags(&w.d, (u16)(i & ~1u));
			vqd_raw_used_event(&w.d, (u16)(event_idx ? w.d.used_idx : i));
			gmem_view_put16(&w.d.used, 0, (u16)i);
			gmem_view_put16(&w.d.used, 4 + 8 * 4, (u16)i);
			assert_works(&w);
		}
		world_fini(&w);
	}
}

/* ---- hostile: chains ---------------------------------------------------------------------- */

static void a_next_outside_the_table_breaks_the_queue(void **state)
{
	static const u16 nexts[] = { 8, 9, 0x8000, 0xffff };
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	for (size_t i = 0; i < ARRAY_SIZE(nexts); i++) {
		vqd_raw_desc(&w.d, 0, DATA, 1, VQD_F_NEXT, nexts[i]);
		offer(&w, 0);
		assert_breaks(&w, "out of range");
	}
	/* without the flag it is not looked at */
	vqd_raw_desc(&w.d, 0, DATA, 1, 0, 0xffff);
	offer(&w, 0);
	assert_popped(&w, 1, 0);
	world_fini(&w);
}

static void a_next_outside_the_indirect_table_breaks_the_queue(void **state)
{
	static const u16 nexts[] = { 2, 3, 7, 8, 0xffff };
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	for (size_t i = 0; i < ARRAY_SIZE(nexts); i++) {
		for (u16 e = 0; e < 8; e++) /* behind the table all is well */
			vqd_raw_table(&w.d, TABLE, e, DATA, 1, 0, 0);
		vqd_raw_table(&w.d, TABLE, 0, DATA, 1, VQD_F_NEXT, nexts[i]);
		vqd_raw_desc(&w.d, 0, TABLE, 2 * 16, VQD_F_INDIRECT, 0);
		offer(&w, 0);
		assert_breaks(&w, "out of range");
	}
	world_fini(&w);
}

static void a_descriptor_linked_to_itself_breaks_the_queue(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	vqd_raw_desc(&w.d, 3, DATA, 1, VQD_F_NEXT | VQD_F_WRITE, 3);
	offer(&w, 3);
	assert_breaks(&w, "longer than the queue");
	vqd_raw_table(&w.d, TABLE, 0, DATA, 1, VQD_F_NEXT, 0);
	vqd_raw_desc(&w.d, 0, TABLE, 16, VQD_F_INDIRECT, 0);
	offer(&w, 0);
	assert_breaks(&w, "longer than the queue");
	world_fini(&w);
}

static void a_loop_of_descriptors_breaks_the_queue(void **state)
{
	struct world w;

	(void)state;
	for (u16 size = 2; size <= VQ_MAX_SIZE; size *= 2) {
		world_init(&w, size, false);
		for (u16 i = 0; i < size; i++)
			vqd_raw_desc(&w.d, i, DATA, 1, VQD_F_NEXT, (u16)((i + 1) % size));
		offer(&w, 1);
		assert_breaks(&w, "longer than the queue");
		vqd_raw_desc(&w.d, 0, DATA, 1, VQD_F_NEXT, 1);
		vqd_raw_desc(&w.d, 1, DATA, 1, VQD_F_NEXT, 0);
		offer(&w, 0);
		assert_breaks(&w, "longer than the queue");
		world_fini(&w);
	}
}

static void a_loop_in_an_indirect_table_breaks_the_queue(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	for (u16 i = 0; i < 8; i++)
		vqd_raw_table(&w.d, TABLE, i, DATA, 1, VQD_F_NEXT, (u16)((i + 1) % 8));
	vqd_raw_desc(&w.d, 0, TABLE, 8 * 16, VQD_F_INDIRECT, 0);
	offer(&w, 0);
	assert_breaks(&w, "longer than the queue");
	world_fini(&w);
}

static void the_length_of_a_chain_counts_across_its_table(void **state)
{
	struct world w;

	(void)state;
	for (u16 n = 3; n <= 4; n++) { /* entries of the table, behind 5 of the queue of 8 */
		world_init(&w, 8, false);
		for (u16 i = 0; i < 5; i++)
			vqd_raw_desc(&w.d, i, DATA, 1, VQD_F_NEXT, (u16)(i + 1));
		vqd_raw_desc(&w.d, 5, TABLE, 16u * n, VQD_F_INDIRECT, 0);
		for (u16 i = 0; i < n; i++)
			vqd_raw_table(&w.d, TABLE, i, DATA, 1, i + 1 < n ? VQD_F_NEXT : 0,
				      (u16)(i + 1));
		offer(&w, 0);
		if (n == 3)
			assert_popped(&w, 8, 0);
		else
			assert_breaks(&w, "longer than the queue");
		world_fini(&w);
	}
}

static void readable_after_writable_breaks_the_queue(void **state)
{
	struct vqd_buf direct[] = { { DATA, 1, false }, { DATA, 1, true }, { DATA, 1, false } };
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	vqd_add(&w.d, direct, 3);
	assert_breaks(&w, "device-readable buffer after");
	vqd_add_indirect(&w.d, direct, 3);
	assert_breaks(&w, "device-readable buffer after");
	/* across the border of the table */
	vqd_raw_desc(&w.d, 0, DATA, 1, VQD_F_NEXT | VQD_F_WRITE, 1);
	vqd_raw_desc(&w.d, 1, TABLE, 16, VQD_F_INDIRECT, 0);
	vqd_raw_table(&w.d, TABLE, 0, DATA, 1, 0, 0);
	offer(&w, 0);
	assert_breaks(&w, "device-readable buffer after");
	world_fini(&w);
}

static void a_buffer_of_no_bytes_breaks_the_queue(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	for (int n = 1; n <= 3; n++) {
		for (int write = 0; write < 2; write++) {
			struct vqd_buf bufs[] = { { DATA, 1, false },
						  { DATA, 1, write },
						  { DATA, 1, write } };

			bufs[n - 1].len = 0;
			vqd_add(&w.d, bufs, 3);
			assert_breaks(&w, "no bytes");
			vqd_add_indirect(&w.d, bufs, 3);
			assert_breaks(&w, "no bytes");
		}
	}
	world_fini(&w);
}

static void a_buffer_outside_ram_breaks_the_queue(void **state)
{
	static const struct vqd_buf bad[] = {
		{ LOW_SIZE, 1, false },			/* the hole, where devices are */
		{ LOW_SIZE - 1, 2, false },		/* into it */
		{ 0xfee00000, 4, true },		/* an interrupt controller */
		{ HIGH_GPA - 1, 2, true },		/* out of it */
		{ HIGH_GPA - 1, 1, false },		/* right before RAM */
		{ NEXT_GPA - 1, 2, true },		/* RAM of two regions */
		{ NEXT_GPA + NEXT_SIZE, 1, true },	/* behind all of it */
		{ NEXT_GPA + NEXT_SIZE - 4, 5, false }, /* over its end */
		{ UINT64_MAX, 1, true },
		{ UINT64_MAX, 2, true }, /* wraps to an address of RAM */
		{ UINT64_MAX - 15, 16 + 64, false },
		{ UINT64_MAX - UINT32_MAX + 17, UINT32_MAX - 16, true },
		{ 0x8000000000000000, 1, false },
		{ 0, UINT32_MAX - 16, true }, /* begins well */
		{ DATA, (u32)LOW_SIZE, false },
	};
	struct world w;

	(void)state;
	world_init(&w, 8, true);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vqd_buf bufs[] = { { DATA, 16, false }, bad[i] };

		vqd_add(&w.d, bufs, 2);
		assert_breaks(&w, "buffer is not in RAM");
		vqd_add_indirect(&w.d, bufs, 2);
		assert_breaks(&w, "buffer is not in RAM");
		vqd_add(&w.d, &bad[i], 1);
		assert_breaks(&w, "buffer is not in RAM");
	}
	/* to the last byte it is fine */
	vqd_add(&w.d, &(struct vqd_buf){ 0, (u32)LOW_SIZE, true }, 1);
	assert_popped(&w, 0, LOW_SIZE);
	vqd_add(&w.d, &(struct vqd_buf){ NEXT_GPA, NEXT_SIZE, true }, 1);
	assert_popped(&w, 0, NEXT_SIZE);
	world_fini(&w);
}

static void a_request_of_4_gib_breaks_the_queue(void **state)
{
	const unsigned int n = 4 * GIB / LOW_SIZE;
	struct vqd_buf bufs[VQ_MAX_SIZE];
	struct world w;

	(void)state;
	world_init(&w, VQ_MAX_SIZE, false);
	for (unsigned int readable = 0; readable <= n; readable += n / 2) {
		for (unsigned int i = 0; i < n; i++)
			bufs[i] = (struct vqd_buf){ 0, (u32)LOW_SIZE, i >= readable };
		vqd_add(&w.d, bufs, n);
		assert_breaks(&w, "2^32");
		vqd_add_table(&w.d, TABLE, bufs, n);
		assert_breaks(&w, "2^32");
		bufs[n - 1].len--;
		vqd_add(&w.d, bufs, n);
		assert_int_equal(vq_pop(&w.vq, &w.chain), 1);
		assert_int_equal(w.chain.out.len + w.chain.in.len, UINT32_MAX);
		start_again(&w);
	}
	world_fini(&w);
}

/* ---- hostile: indirect tables ------------------------------------------------------------ */

static void a_table_in_a_table_breaks_the_queue(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	for (u16 at = 0; at < 2; at++) {
		vqd_raw_desc(&w.d, 0, TABLE, 2 * 16, VQD_F_INDIRECT, 0);
		vqd_raw_table(&w.d, TABLE, 0, DATA, 1, VQD_F_NEXT, 1);
		vqd_raw_table(&w.d, TABLE, 1, DATA, 1, 0, 0);
		vqd_raw_table(&w.d, TABLE, at, TABLE, 2 * 16, VQD_F_INDIRECT, 0); /* itself */
		offer(&w, 0);
		assert_breaks(&w, "in an indirect table");
	}
	world_fini(&w);
}

static void a_table_with_a_next_breaks_the_queue(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	vqd_raw_table(&w.d, TABLE, 0, DATA, 1, 0, 0);
	vqd_raw_desc(&w.d, 0, TABLE, 16, VQD_F_INDIRECT | VQD_F_NEXT, 1);
	vqd_raw_desc(&w.d, 1, DATA, 1, 0, 0);
	offer(&w, 0);
	assert_breaks(&w, "has a next");
	world_fini(&w);
}

static void a_table_of_no_whole_number_of_descriptors_breaks_the_queue(void **state)
{
	static const u32 lens[] = { 0, 1, 8, 15, 17, 31, 33, 127, UINT32_MAX };
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		for (u16 e = 0; e < 8; e++)
			vqd_raw_table(&w.d, TABLE, e, DATA, 1, 0, 0);
		vqd_raw_desc(&w.d, 0, TABLE, lens[i], VQD_F_INDIRECT, 0);
		offer(&w, 0);
		assert_breaks(&w, "whole number");
	}
	world_fini(&w);
}

static void a_table_longer_than_the_queue_breaks_the_queue(void **state)
{
	static const u32 entries[] = { 9, 16, 4096, UINT32_MAX / 16 };
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		vqd_raw_table(&w.d, TABLE, 0, DATA, 1, 0, 0);
		vqd_raw_desc(&w.d, 0, TABLE, 16 * entries[i], VQD_F_INDIRECT, 0);
		offer(&w, 0);
		assert_breaks(&w, "longer than the queue");
	}
	world_fini(&w);
}

static void a_table_outside_ram_breaks_the_queue(void **state)
{
	static const u64 tables[] = {
		LOW_SIZE,
		LOW_SIZE - 16,
		LOW_SIZE - 31,
		HIGH_GPA - 16,
		HIGH_GPA - 32,
		NEXT_GPA - 16,
		NEXT_GPA + NEXT_SIZE - 31,
		UINT64_MAX,
		UINT64_MAX - 15,
		UINT64_MAX - 31,
	};
	struct world w;

	(void)state;
	world_init(&w, 8, false);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		/* where the first entry is RAM, it is a good one */
		vqd_raw_table(&w.d, tables[i], 0, DATA, 1, 0, 0);
		vqd_raw_desc(&w.d, 0, tables[i], 2 * 16, VQD_F_INDIRECT, 0);
		offer(&w, 0);
		assert_breaks(&w, "table is not in RAM");
	}
	vqd_raw_table(&w.d, NEXT_GPA + NEXT_SIZE - 16, 0, DATA, 1, 0, 0);
	vqd_raw_desc(&w.d, 0, NEXT_GPA + NEXT_SIZE - 16, 16, VQD_F_INDIRECT, 0);
	offer(&w, 0);
	assert_popped(&w, 1, 0);
	world_fini(&w);
}

/* ---- hostile: where the rings are --------------------------------------------------------- */

static void assert_refused(struct world *w, const struct vq_layout *layout, const char *why)
{
	assert_int_equal(vq_enable(&w->vq, &w->gm, layout), -EPROTO);
	assert_false(w->vq.enabled);
	assert_non_null(w->vq.broken);
	if (!strstr(w->vq.broken, why))
		fail_msg("refused for '%s', not for '%s'", w->vq.broken, why);
	assert_int_equal(vq_pop(&w->vq, &w->chain), -EPROTO);
	assert_false(vq_arm(&w->vq));
	assert_false(vq_publish(&w->vq));
	start_again(w);
	assert_works(w);
	start_again(w);
}

static void a_queue_size_that_cannot_be_is_refused(void **state)
{
	static const u16 sizes[] = {
		0, 3, 5, 6, 7, 12, 255, VQ_MAX_SIZE + 1, 2 * VQ_MAX_SIZE, 0x8000, 0xffff
	};
	struct world w;

	(void)state;
	world_init(&w, 4, false);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct vq_layout l = w.d.layout;

		l.size = sizes[i];
		assert_refused(&w, &l, "queue size");
	}
	world_fini(&w);
}

static void rings_that_are_not_aligned_are_refused(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 4, false);
	for (u64 off = 1; off < 16; off++) {
		struct vq_layout l = w.d.layout;

		l.desc += off;
		assert_refused(&w, &l, "descriptor table");
		l = w.d.layout;
		l.avail = DATA + off;
		if (off % 2)
			assert_refused(&w, &l, "available ring");
		l = w.d.layout;
		l.used = DATA + off;
		if (off % 4)
			assert_refused(&w, &l, "used ring");
	}
	world_fini(&w);
}

static void rings_outside_ram_are_refused(void **state)
{
	static const u64 at[] = {
		LOW_SIZE,
		LOW_SIZE - 16,
		HIGH_GPA - 16,
		NEXT_GPA - 16,
		NEXT_GPA + NEXT_SIZE - 16,
		NEXT_GPA + NEXT_SIZE,
		0xfee00000,
		UINT64_MAX - 15,
		UINT64_MAX - 63,
		1ull << 63,
	};
	struct world w;

	(void)state;
	world_init(&w, 8, true);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		struct vq_layout l = w.d.layout;

		l.desc = at[i];
		assert_refused(&w, &l, "descriptor table");
		l = w.d.layout;
		l.avail = at[i];
		assert_refused(&w, &l, "available ring");
		l = w.d.layout;
		l.used = at[i];
		assert_refused(&w, &l, "used ring");
	}
	world_fini(&w);
}

static void rings_are_taken_up_to_the_last_byte_of_ram(void **state)
{
	const u64 end = NEXT_GPA + NEXT_SIZE;
	struct world w;

	(void)state;
	world_init(&w, 8, true);
	for (int i = 0; i < 3; i++) {
		struct vq_layout l = w.d.layout;
		u64 *gpa = i == 0 ? &l.desc : i == 1 ? &l.avail : &l.used;
		u64 len = i == 0 ? 8 * 16 : i == 1 ? 6 + 8 * 2 : 6 + 8 * 8;
		u64 align = i == 0 ? 16 : i == 1 ? 2 : 4;

		*gpa = align_down(end - len, align);
		assert_int_equal(vq_enable(&w.vq, &w.gm, &l), 0);
		assert_int_equal(vq_pop(&w.vq, &w.chain), 0);
		*gpa += align;
		assert_refused(&w, &l, "not in RAM");
	}
	world_fini(&w);
}

static void rings_that_overlap_are_refused(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 8, true);
	for (int i = 0; i < 6; i++) {
		struct vq_layout l = { 8, DATA, DATA + 0x1000, DATA + 0x2000, true };
		u64 desc_len = 8 * 16, avail_len = 6 + 8 * 2, used_len = 6 + 8 * 8;

		switch (i) {
		case 0:
			l.avail = l.desc + desc_len - 2;
			break;
		case 1:
			l.desc = align_down(l.avail + avail_len - 1, 16);
			break;
		case 2:
			l.used = l.desc + desc_len - 4;
			break;
		case 3:
			l.desc = align_down(l.used + used_len - 1, 16);
			break;
		case 4:
			l.used = align_down(l.avail + avail_len - 1, 4);
			break;
		case 5:
			l.avail = align_down(l.used + used_len - 1, 2);
			break;
		}
		assert_refused(&w, &l, "overlap");
	}
	/* side by side they do not */
	assert_int_equal(vq_enable(&w.vq, &w.gm,
				   &(struct vq_layout){ 8, DATA, DATA + 128, DATA + 152, true }),
			 0);
	world_fini(&w);
}

/* ---- hostile: everything changes while it is read ----------------------------------------- */

struct scribbler {
	struct world *w;
	pthread_t thread;
	bool stop;
};

/* Fields that are mostly plausible, or nothing would come far. */
static void scribble_desc(struct vqd *d, u64 *rng)
{
	static const u64 ends[] = {
		0, LOW_SIZE - 64, LOW_SIZE, HIGH_GPA, NEXT_GPA - 64, UINT64_MAX
	};
	u64 gpa = rnd(rng) % 4 ? DATA + rnd(rng) % 4096 : ends[rnd(rng) % ARRAY_SIZE(ends)];
	u32 len = rnd(rng) % 8 ? rnd(rng) % 64 : rnd(rng) << rnd(rng) % 16;
	u16 flags = rnd(rng) % 16 ? rnd(rng) % 4 : rnd(rng) % 8;
	u16 size = d->layout.size, next = (u16)(rnd(rng) % (size + 1u));

	if (flags & VQD_F_INDIRECT) {
		gpa = d->tables;
		len = 16 * (rnd(rng) % (size + 2u));
	}
	if (rnd(rng) % 2)
		vqd_raw_desc(d, rnd(rng) % size, gpa, len, flags, next);
	else
		vqd_raw_table(d, d->tables, rnd(rng) % size, gpa, len, flags, next);
}

static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	struct vqd *d = &s->w->d;
	u64 rng = 7;
	u16 idx = 0;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		scribble_desc(d, &rng);
		vqd_raw_ring(d, rnd(&rng) % d->layout.size,
			     (u16)(rnd(&rng) % (d->layout.size + 1u)));
		/* a little ahead of what the device has done, whatever that is just now */
		idx = (u16)(vqd_raw_used_idx(d) + rnd(&rng) % d->layout.size);
		vqd_raw_avail_idx(d, rnd(&rng) % 64 ? idx : (u16)rnd(&rng));
		vqd_raw_avail_flags(d, (u16)rnd(&rng));
		vqd_raw_used_event(d, (u16)rnd(&rng));
	}
	return NULL;
}

/* The test may look where nobody else does. */
static void assert_stream_in_ram(const struct gmem *gm, const struct gmem_vec *vec)
{
	size_t len = 0;

	for (unsigned int i = 0; i < vec->n; i++) {
		u64 at = (uintptr_t)vec->iov[i].iov_base;
		bool inside = false;

		for (unsigned int r = 0; r < gm->n_regions; r++) {
			u64 host = (uintptr_t)gm->regions[r].host;

			inside |= at >= host &&
				  range_fits(at - host, vec->iov[i].iov_len, gm->regions[r].size);
		}
		assert_true(inside);
		assert_true(vec->iov[i].iov_len > 0);
		len += vec->iov[i].iov_len;
	}
	assert_int_equal(len, vec->len);
	assert_true(len <= UINT32_MAX);
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
}

static void a_racing_driver_breaks_nothing_but_its_queue(bool event_idx)
{
	u64 end = now_ns() + NSEC_PER_SEC / 2, n_popped = 0, n_broken = 0;
	struct scribbler s = { 0 };
	struct world w;

	world_init(&w, 16, event_idx);
	s.w = &w;
	assert_int_equal(pthread_create(&s.thread, NULL, scribble, &s), 0);
	for (u64 i = 0; i % 64 || now_ns() < end; i++) {
		int ret = vq_pop(&w.vq, &w.chain);
		u8 buf[64];

		if (ret < 0) {
			assert_int_equal(ret, -EPROTO);
			assert_non_null(w.vq.broken);
			assert_int_equal(vq_enable(&w.vq, &w.gm, &w.d.layout), 0);
			n_broken++;
			continue;
		}
		if (!ret) {
			vq_arm(&w.vq);
			continue;
		}
		n_popped++;
		assert_stream_in_ram(&w.gm, &w.chain.out);
		assert_stream_in_ram(&w.gm, &w.chain.in);
		assert_true(w.chain.out.n + w.chain.in.n <= 16);
		assert_true(w.chain.out.len + w.chain.in.len > 0);
		assert_true(w.chain.out.len + w.chain.in.len <= UINT32_MAX);
		gmem_vec_read(&w.chain.out, 0, buf, min_u64(w.chain.out.len, sizeof(buf)));
		if (w.chain.in.len)
			gmem_vec_write(&w.chain.in, w.chain.in.len - 1, buf, 1);
		if (i % 8 == 0) {
			vq_unpop(&w.vq, 1);
			continue;
		}
		vq_push(&w.vq, &w.chain.used, (u32)w.chain.in.len);
		if (i % 4)
			vq_publish(&w.vq);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(s.thread, NULL);
	/* both happened, or the test is none */
	assert_true(n_popped > 10 && n_broken > 10);
	start_again(&w);
	assert_works(&w);
	world_fini(&w);
}

static void a_racing_driver_is_survived(void **state)
{
	(void)state;
	a_racing_driver_breaks_nothing_but_its_queue(false);
	a_racing_driver_breaks_nothing_but_its_queue(true);
}

static void *flip_length(void *arg)
{
	struct scribbler *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		gmem_view_put32(&s->w->d.desc, 8, UINT32_MAX);
		gmem_view_put32(&s->w->d.desc, 8, 64);
	}
	return NULL;
}

static void a_length_that_changes_is_one_or_the_other(void **state)
{
	u64 end = now_ns() + NSEC_PER_SEC / 4;
	unsigned int n_good = 0, n_bad = 0;
	struct scribbler s = { 0 };
	struct world w;

	(void)state;
	world_init(&w, 4, false);
	s.w = &w;
	/* 64 bytes are just there, so a length that was checked and then fetched again shows */
	vqd_raw_desc(&w.d, 0, NEXT_GPA + NEXT_SIZE - 64, 64, VQD_F_WRITE, 0);
	assert_int_equal(pthread_create(&s.thread, NULL, flip_length, &s), 0);
	for (u64 i = 0; i % 64 || now_ns() < end; i++) {
		vqd_raw_avail_idx(&w.d, w.vq.published_used + 1);
		if (vq_pop(&w.vq, &w.chain) < 0) {
			n_bad++;
			assert_string_equal(w.vq.broken, "buffer is not in RAM");
			assert_int_equal(vq_enable(&w.vq, &w.gm, &w.d.layout), 0);
			continue;
		}
		n_good++;
		assert_int_equal(w.chain.in.len, 64);
		assert_int_equal(w.chain.in.n, 1);
		assert_stream_in_ram(&w.gm, &w.chain.in);
		vq_push(&w.vq, &w.chain.used, 64);
		vq_publish(&w.vq);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(s.thread, NULL);
	assert_true(n_good > 0 && n_bad > 0);
	world_fini(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_two_streams_of_bytes),
		cmocka_unit_test(an_indirect_request_is_two_streams_of_bytes),
		cmocka_unit_test(a_chain_may_end_in_an_indirect_table),
		cmocka_unit_test(a_chain_may_be_as_long_as_the_queue),
		cmocka_unit_test(requests_are_done_in_any_order),
		cmocka_unit_test(no_more_is_reported_written_than_the_stream_had),
		cmocka_unit_test(requests_given_back_are_popped_again),
		cmocka_unit_test(pushing_what_was_not_popped_does_nothing),
		cmocka_unit_test(a_request_is_what_it_was_when_it_was_popped),
		cmocka_unit_test(a_queue_that_is_not_enabled_gives_nothing),
		cmocka_unit_test(indices_wrap_and_interrupts_follow_the_flag),
		cmocka_unit_test(indices_wrap_and_interrupts_follow_the_event_index),
		cmocka_unit_test(publishing_nothing_tells_nobody),
		cmocka_unit_test(an_enabled_queue_asks_for_notifications),
		cmocka_unit_test(the_driver_is_asked_not_to_notify_and_to_notify_again),
		cmocka_unit_test(event_indices_ask_for_one_notification_at_a_time),
		cmocka_unit_test(requests_given_back_do_not_hide_the_next),
		cmocka_unit_test(a_wish_and_an_index_do_not_miss_each_other),
		cmocka_unit_test(no_notification_is_lost_between_two_threads),
		cmocka_unit_test(no_notification_is_lost_with_event_indices),
		cmocka_unit_test(a_head_outside_the_table_breaks_the_queue),
		cmocka_unit_test(an_index_that_jumps_breaks_the_queue),
		cmocka_unit_test(an_index_that_goes_back_breaks_the_queue),
		cmocka_unit_test(more_requests_under_way_than_descriptors_break_the_queue),
		cmocka_unit_test(a_driver_that_adds_without_end_is_stopped),
		cmocka_unit_test(one_head_offered_twice_is_two_requests),
		cmocka_unit_test(nonsense_in_flags_and_event_indices_is_harmless),
		cmocka_unit_test(a_next_outside_the_table_breaks_the_queue),
		cmocka_unit_test(a_next_outside_the_indirect_table_breaks_the_queue),
		cmocka_unit_test(a_descriptor_linked_to_itself_breaks_the_queue),
		cmocka_unit_test(a_loop_of_descriptors_breaks_the_queue),
		cmocka_unit_test(a_loop_in_an_indirect_table_breaks_the_queue),
		cmocka_unit_test(the_length_of_a_chain_counts_across_its_table),
		cmocka_unit_test(readable_after_writable_breaks_the_queue),
		cmocka_unit_test(a_buffer_of_no_bytes_breaks_the_queue),
		cmocka_unit_test(a_buffer_outside_ram_breaks_the_queue),
		cmocka_unit_test(a_request_of_4_gib_breaks_the_queue),
		cmocka_unit_test(a_table_in_a_table_breaks_the_queue),
		cmocka_unit_test(a_table_with_a_next_breaks_the_queue),
		cmocka_unit_test(a_table_of_no_whole_number_of_descriptors_breaks_the_queue),
		cmocka_unit_test(a_table_longer_than_the_queue_breaks_the_queue),
		cmocka_unit_test(a_table_outside_ram_breaks_the_queue),
		cmocka_unit_test(a_queue_size_that_cannot_be_is_refused),
		cmocka_unit_test(rings_that_are_not_aligned_are_refused),
		cmocka_unit_test(rings_outside_ram_are_refused),
		cmocka_unit_test(rings_are_taken_up_to_the_last_byte_of_ram),
		cmocka_unit_test(rings_that_overlap_are_refused),
		cmocka_unit_test(a_racing_driver_is_survived),
		cmocka_unit_test(a_length_that_changes_is_one_or_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
