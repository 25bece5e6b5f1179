/*
 * The virtio core (devices/virtio.c), played by a driver over the registers of virtio-mmio, with
 * a fake class behind it: features, status, queues, notifications, NEEDS_RESET, resets with
 * requests under way, configuration. Good drivers and hostile ones.
 *
 * Does not prove what the chains of a queue may hold (test_virtq.c), what the registers of a
 * transport are (test_virtio_mmio.c, test_virtio_pci.c), or that stock drivers are happy
 * (check-bed).
 */
#include "tests/unit/devtest.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "devices/classes.h"
#include "tests/faults.h"
#include "tests/unit/vfake.h"
#include "tests/unit/vmmio.h"

#define BASE	   0xd0000000
#define RAM	   (4 * MIB)
#define N_QUEUES   4
#define QUEUE_SIZE 128
#define RINGS	   0x10000 /* of queue 0 */
#define RINGS_STEP 0x20000
#define DATA	   0x200000

#define STATUS_NEW (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER)
#define STATUS_SET (STATUS_NEW | VIRTIO_S_FEATURES_OK)
#define STATUS_UP  (STATUS_SET | VIRTIO_S_DRIVER_OK)

/* Features of the fake type, beside those of all. */
#define FAKE_FEATURES (BIT(0) | BIT(5) | BIT(40))
#define ALL_FEATURES                                                             \
	(FAKE_FEATURES | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC) | \
	 BIT(VIRTIO_F_VERSION_1))

struct rig {
	struct devtest t;
	struct vmmio m;
	struct vfake *f;
	int fd; /* what VFAKE_FILE reads */
	struct vqd q[N_QUEUES];

	struct loop_io *held[VFAKE_MAX_REQS]; /* in the order of their start */
	unsigned int n_held;
};

/* ---- the board ---------------------------------------------------------------------- */

static void plug_at(struct rig *r, u64 base, struct dev **dev, struct vfake **f,
		    const struct dev_env *env)
{
	struct vfake_cfg fake = {
		.out = f,
		.n_queues = N_QUEUES,
		.size = QUEUE_SIZE,
		.features = FAKE_FEATURES,
		.config_len = 24,
		.fd = r->fd,
	};
	struct virtio_cfg cfg = {
		.cls = &vfake_class, .cfg = &fake, .mmio = &r->t.mmio, .base = base
	};
	struct lkvm_error err = { 0 };
	struct dev_slot slot = {
		.cls = &virtio_mmio_class,
		.name = "fake0",
		.ranges = { { &r->t.mmio, base, VMMIO_LEN, BUS_SIZE_ANY, 0 } },
		.irq_chip = &r->t.chip,
		.gsi = DEVTEST_GSI,
		.cfg = &cfg,
	};

	if (dev_create(dev, &slot, env, &err))
		fail_msg("%s", err.msg);
}

static void rig_init_of(struct rig *r, bool private)
{
	*r = (struct rig){ 0 };
	devtest_init(&r->t, 0);
	devtest_add_ram(&r->t, 0, RAM);
	r->t.gmem.backing.private = private; /* what is made of it is KVM's matter */
	r->fd = memfd_create("disk", MFD_CLOEXEC);
	assert_int_equal(write(r->fd, "0123456789abcdef", 16), 16);
	plug_at(r, BASE, &r->t.dev, &r->f, &r->t.env);
	r->m = (struct vmmio){ .bus = &r->t.mmio, .gm = &r->t.gmem, .base = BASE };
}

static void rig_fini(struct rig *r)
{
	devtest_fini(&r->t);
	close(r->fd);
}

static void rig_init(struct rig *r)
{
	rig_init_of(r, false);
}

static bool set_up_queue(struct rig *r, unsigned int i)
{
	return vmmio_queue(&r->m, i, &r->q[i], RINGS + i * RINGS_STEP, QUEUE_SIZE);
}

/* A driver that got so far: all queues, no requests. */
static void bring_up(struct rig *r, u64 features)
{
	assert_true(vmmio_begin(&r->m, features));
	for (unsigned int i = 0; i < N_QUEUES; i++)
		assert_true(set_up_queue(r, i));
	assert_true(vmmio_driver_ok(&r->m));
	devtest_run(&r->t);
}

static void rig_up(struct rig *r)
{
	rig_init(r);
	bring_up(r, 0);
	r->f->n_kick = 0;
}

/* One request of one writable buffer. */
static int add(struct rig *r, unsigned int i)
{
	return vqd_add(&r->q[i], &(struct vqd_buf){ DATA, 8, true }, 1);
}

/* A request goes through queue @i from one end to the other. */
static void assert_works(struct rig *r, unsigned int i)
{
	int head = add(r, i);
	u8 byte = 0;
	u32 len;

	assert_true(head >= 0);
	assert_int_equal(gmem_write(&r->t.gmem, DATA + 7, &byte, 1), 0);
	if (vqd_must_kick(&r->q[i]))
		vmmio_notify(&r->m, i);
	devtest_run(&r->t);
	assert_int_equal(vqd_used(&r->q[i], &len), head);
	assert_int_equal(len, 8);
	gmem_read(&r->t.gmem, DATA + 7, &byte, 1);
	assert_int_equal(byte, VFAKE_BYTE);
}

static void assert_broken(struct rig *r)
{
	assert_true(vmmio_read(&r->m, VMMIO_STATUS) & VIRTIO_S_NEEDS_RESET);
}

static void assert_comes_back(struct rig *r)
{
	r->f->mode = VFAKE_SERVE;
	bring_up(r, 0);
	for (unsigned int i = 0; i < N_QUEUES; i++)
		assert_works(r, i);
}

static u8 status(struct rig *r)
{
	return (u8)vmmio_read(&r->m, VMMIO_STATUS);
}

/* ---- features ----------------------------------------------------------------------- */

static void features_of_the_core_are_offered_beside_those_of_the_type(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_int_equal(vmmio_offered(&r.m), ALL_FEATURES);
	bring_up(&r, ALL_FEATURES);
	assert_int_equal(r.f->v.accepted, ALL_FEATURES);
	assert_true(virtio_has(&r.f->v, 40));
	assert_false(virtio_has(&r.f->v, 1));
	assert_works(&r, 0);
	rig_fini(&r);
}

static void a_guest_with_private_memory_is_offered_access_platform(void **state)
{
	struct rig r;

	(void)state;
	rig_init_of(&r, true);
	assert_int_equal(vmmio_offered(&r.m), ALL_FEATURES | BIT(VIRTIO_F_ACCESS_PLATFORM));
	bring_up(&r, BIT(VIRTIO_F_ACCESS_PLATFORM));
	assert_works(&r, 0);
	rig_fini(&r);
}

static void each_feature_that_was_not_offered_is_refused(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	for (unsigned int i = 0; i < 64; i++) {
		bool offered = ALL_FEATURES & BIT(i);

		assert_int_equal(vmmio_begin(&r.m, BIT(i)), offered);
		assert_int_equal(status(&r), offered ? STATUS_SET : STATUS_NEW);
	}
	/* It may think again. */
	vmmio_accept(&r.m, BIT(VIRTIO_F_VERSION_1));
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_SET);
	assert_int_equal(status(&r), STATUS_SET);
	assert_comes_back(&r);
	rig_fini(&r);
}

static void a_driver_for_legacy_devices_gets_no_features_ok(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_NEW);
	vmmio_accept(&r.m, BIT(0));
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_SET);
	assert_int_equal(status(&r), STATUS_NEW);
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_UP);
	assert_int_equal(status(&r), STATUS_NEW);
	assert_int_equal(r.f->n_activate, 0);
	rig_fini(&r);
}

static void features_are_frozen_by_features_ok(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_true(vmmio_begin(&r.m, BIT(5)));
	vmmio_accept(&r.m, ALL_FEATURES);
	assert_int_equal(r.f->v.accepted, BIT(5) | BIT(VIRTIO_F_VERSION_1));
	assert_true(vmmio_driver_ok(&r.m));
	vmmio_accept(&r.m, 0);
	assert_int_equal(r.f->v.accepted, BIT(5) | BIT(VIRTIO_F_VERSION_1));
	rig_fini(&r);
}

static void feature_words_beyond_the_second_are_zero_and_dropped(void **state)
{
	static const u32 words[] = { 2, 3, 31, 32, 0x80000000, UINT32_MAX };
	struct rig r;

	(void)state;
	rig_init(&r);
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_NEW);
	vmmio_accept(&r.m, BIT(VIRTIO_F_VERSION_1));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		vmmio_write(&r.m, VMMIO_DEVICE_FEATURES_SEL, words[i]);
		assert_int_equal(vmmio_read(&r.m, VMMIO_DEVICE_FEATURES), 0);
		vmmio_write(&r.m, VMMIO_DRIVER_FEATURES_SEL, words[i]);
		vmmio_write(&r.m, VMMIO_DRIVER_FEATURES, UINT32_MAX);
		assert_int_equal(virtio_accepted(&r.f->v, words[i]), 0);
	}
	assert_int_equal(r.f->v.accepted, BIT(VIRTIO_F_VERSION_1));
	rig_fini(&r);
}

/* ---- status ------------------------------------------------------------------------- */

/* Section 3.1.1 said again: what @status becomes when a good set of features was accepted. */
static u8 expected(u8 before, u8 val)
{
	static const u8 steps[] = { VIRTIO_S_ACKNOWLEDGE, VIRTIO_S_DRIVER, VIRTIO_S_FEATURES_OK,
				    VIRTIO_S_DRIVER_OK };
	u8 after = val & VIRTIO_S_FAILED;

	if (!val)
		return 0;
	val &= STATUS_UP | VIRTIO_S_FAILED;
	if ((before & val) != before)
		return before;
	for (size_t i = 0; i < ARRAY_SIZE(steps) && (val & steps[i]); i++)
		after |= steps[i];
	return after;
}

static void status_bits_are_added_in_order_and_only_cleared_all_at_once(void **state)
{
	static const u8 befores[] = { 0,
				      VIRTIO_S_ACKNOWLEDGE,
				      STATUS_NEW,
				      STATUS_SET,
				      STATUS_UP,
				      STATUS_NEW | VIRTIO_S_FAILED,
				      STATUS_UP | VIRTIO_S_FAILED };
	struct rig r;

	(void)state;
	rig_init(&r);
	for (size_t i = 0; i < ARRAY_SIZE(befores); i++) {
		for (unsigned int val = 0; val < 256; val++) {
			unsigned int n_activate = r.f->n_activate;
			u8 want = expected(befores[i], (u8)val);

			vmmio_write(&r.m, VMMIO_STATUS, 0);
			assert_int_equal(status(&r), 0);
			vmmio_accept(&r.m, BIT(VIRTIO_F_VERSION_1));
			if (befores[i])
				vmmio_write(&r.m, VMMIO_STATUS, befores[i]);
			assert_int_equal(status(&r), befores[i]);
			vmmio_write(&r.m, VMMIO_STATUS, val);
			assert_int_equal(status(&r), want);
			assert_int_equal(r.f->n_activate - n_activate,
					 ((befores[i] | want) & VIRTIO_S_DRIVER_OK) != 0);
		}
	}
	rig_fini(&r);
}

static void driver_ok_without_features_ok_is_refused(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_NEW);
	vmmio_accept(&r.m, BIT(VIRTIO_F_VERSION_1));
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_NEW | VIRTIO_S_DRIVER_OK);
	assert_int_equal(status(&r), STATUS_NEW);
	assert_int_equal(r.f->n_activate, 0);
	assert_false(virtio_live(&r.f->v));
	rig_fini(&r);
}

static void needs_reset_is_the_devices_to_set(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_UP | VIRTIO_S_NEEDS_RESET);
	assert_int_equal(status(&r), STATUS_UP);
	assert_works(&r, 0);
	rig_fini(&r);
}

/* ---- queues ------------------------------------------------------------------------- */

static void queues_cannot_be_set_up_before_features_ok(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_false(set_up_queue(&r, 0));
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_NEW);
	vmmio_accept(&r.m, BIT(VIRTIO_F_VERSION_1));
	assert_false(set_up_queue(&r, 0));
	assert_int_equal(r.f->v.queues[0].layout.desc, 0);
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_SET);
	assert_true(set_up_queue(&r, 0));
	rig_fini(&r);
}

static void queue_registers_are_frozen_once_it_is_enabled(void **state)
{
	struct vq_layout before;
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_true(vmmio_begin(&r.m, 0));
	assert_true(set_up_queue(&r, 1));
	before = r.f->v.queues[1].layout;
	for (int up = 0; up < 2; up++) {
		/* Enabled again, elsewhere. */
		assert_true(vmmio_queue_layout(&r.m, 1,
					       &(struct vq_layout){ 3, ~0ull, ~0ull, ~0ull, 0 }));
		assert_memory_equal(&r.f->v.queues[1].layout, &before, sizeof(before));
		if (!up)
			assert_true(vmmio_driver_ok(&r.m));
		devtest_run(&r.t);
		assert_int_equal(status(&r), STATUS_UP);
		assert_works(&r, 1);
	}
	rig_fini(&r);
}

static void a_queue_enabled_twice_goes_on_where_it_was(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	assert_works(&r, 2);
	vmmio_write(&r.m, VMMIO_QUEUE_SEL, 2);
	vmmio_write(&r.m, VMMIO_QUEUE_READY, 1);
	assert_works(&r, 2);
	assert_int_equal(status(&r), STATUS_UP);
	rig_fini(&r);
}

static void a_queue_enabled_after_driver_ok_is_not(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_true(vmmio_begin(&r.m, 0));
	assert_true(set_up_queue(&r, 0));
	assert_true(vmmio_driver_ok(&r.m));
	assert_false(set_up_queue(&r, 1));
	add(&r, 1);
	vmmio_notify(&r.m, 1);
	devtest_run(&r.t);
	assert_int_equal(r.f->n_kick, 1); /* of the other one, by DRIVER_OK */
	assert_works(&r, 0);
	rig_fini(&r);
}

static void sizes_that_no_queue_can_have_break_the_device(void **state)
{
	static const u32 sizes[] = {
		0,	3,	 127,	  QUEUE_SIZE * 2,	   256,
		0x8000, 0x10000, 0x10040, 0x80000000 | QUEUE_SIZE, UINT32_MAX
	};
	struct rig r;

	(void)state;
	rig_init(&r);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_true(vmmio_begin(&r.m, 0));
		assert_int_equal(vqd_init(&r.q[0], &r.t.gmem, RINGS, QUEUE_SIZE, false), 0);
		vmmio_write(&r.m, VMMIO_QUEUE_SEL, 0);
		vmmio_write64(&r.m, VMMIO_QUEUE_DESC, r.q[0].layout.desc);
		vmmio_write64(&r.m, VMMIO_QUEUE_DRIVER, r.q[0].layout.avail);
		vmmio_write64(&r.m, VMMIO_QUEUE_DEVICE, r.q[0].layout.used);
		vmmio_write(&r.m, VMMIO_QUEUE_NUM, sizes[i]);
		vmmio_write(&r.m, VMMIO_QUEUE_READY, 1);
		assert_int_equal(vmmio_read(&r.m, VMMIO_QUEUE_READY), 0);
		assert_broken(&r);
		assert_comes_back(&r);
	}
	rig_fini(&r);
}

static void a_queue_larger_than_its_maximum_breaks_the_device(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_true(vmmio_begin(&r.m, 0));
	/* Which all other queues of this machine might be. */
	assert_false(vmmio_queue(&r.m, 0, &r.q[0], RINGS, VQ_MAX_SIZE));
	assert_broken(&r);
	assert_comes_back(&r);
	rig_fini(&r);
}

static void rings_that_cannot_be_break_the_device(void **state)
{
	static const struct vq_layout layouts[] = {
		{ 16, 0x1001, 0x2000, 0x3000, false },		/* not aligned */
		{ 16, 0x1000, 0x2001, 0x3000, false },		/* not aligned */
		{ 16, 0x1000, 0x2000, 0x3002, false },		/* not aligned */
		{ 16, RAM, 0x2000, 0x3000, false },		/* outside RAM */
		{ 16, RAM - 16, 0x2000, 0x3000, false },	/* over its end */
		{ 16, 0x1000, BASE, 0x3000, false },		/* in its own registers */
		{ 16, 0x1000, 0x2000, ~0ull - 15, false },	/* around the end of it all */
		{ 16, ~0ull << 32 | 0x1000, 0, 0x3000, false }, /* by the high half */
		{ 16, 0x1000, 0x1010, 0x3000, false },		/* over one another */
		{ 16, 0x1000, 0x2000, 0x2000, false },		/* over one another */
	};
	struct rig r;

	(void)state;
	rig_init(&r);
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		assert_true(vmmio_begin(&r.m, 0));
		assert_false(vmmio_queue_layout(&r.m, 0, &layouts[i]));
		assert_broken(&r);
		assert_comes_back(&r);
	}
	rig_fini(&r);
}

static void queues_that_do_not_exist_take_and_give_nothing(void **state)
{
	static const u32 selects[] = { N_QUEUES, 64, 0xffff, 0x10000, 0x80000000, UINT32_MAX };
	struct rig r;

	(void)state;
	rig_init(&r);
	r.f->v.queues[3].max_size = 0; /* a type may have a gap */
	assert_true(vmmio_begin(&r.m, 0));
	assert_false(set_up_queue(&r, 3));
	for (size_t i = 0; i < ARRAY_SIZE(selects); i++) {
		assert_false(vmmio_queue(&r.m, selects[i], &r.q[0], RINGS, QUEUE_SIZE));
		assert_int_equal(vmmio_read(&r.m, VMMIO_QUEUE_NUM_MAX), 0);
		vmmio_notify(&r.m, selects[i]);
	}
	assert_int_equal(status(&r), STATUS_SET);
	assert_true(set_up_queue(&r, 2));
	assert_true(vmmio_driver_ok(&r.m));
	for (size_t i = 0; i < ARRAY_SIZE(selects); i++)
		vmmio_notify(&r.m, selects[i]);
	devtest_run(&r.t);
	assert_int_equal(r.f->n_kick, 1);
	assert_works(&r, 2);
	rig_fini(&r);
}

/* ---- notifications ------------------------------------------------------------------ */

static void notified_before_driver_ok_the_device_waits_for_it(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_true(vmmio_begin(&r.m, 0));
	vmmio_notify(&r.m, 0);
	assert_true(set_up_queue(&r, 0));
	assert_true(set_up_queue(&r, 1));
	add(&r, 0);
	vmmio_notify(&r.m, 0);
	devtest_run(&r.t);
	assert_int_equal(r.f->n_kick, 0);
	assert_int_equal(vqd_used(&r.q[0], NULL), -EAGAIN);

	/* Whoever made requests available before need not notify again. */
	assert_true(vmmio_driver_ok(&r.m));
	assert_int_equal(r.f->n_kick, 0); /* not on the vCPU */
	devtest_run(&r.t);
	assert_int_equal(r.f->n_kick, 2); /* the enabled queues, once each */
	assert_true(vqd_used(&r.q[0], NULL) >= 0);
	assert_true(devtest_irq(&r.t));
	rig_fini(&r);
}

static void requests_are_served_on_the_loop_and_shown_with_one_interrupt(void **state)
{
	struct rig r;

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		rig_init(&r);
		bring_up(&r, event_idx ? BIT(VIRTIO_F_EVENT_IDX) : 0);
		for (int i = 0; i < 10; i++)
			add(&r, 0);
		assert_true(vqd_must_kick(&r.q[0]));
		vmmio_notify(&r.m, 0);
		assert_int_equal(r.f->n_served, 0);
		devtest_run(&r.t);
		assert_int_equal(r.f->n_served, 10);
		assert_int_equal(vqd_raw_used_idx(&r.q[0]), 10);
		assert_int_equal(r.t.n_raised[DEVTEST_GSI], 1);
		assert_int_equal(vmmio_ack(&r.m), 1);
		assert_false(devtest_irq(&r.t));
		rig_fini(&r);
	}
}

static void a_driver_that_wants_no_interrupt_gets_none(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	vqd_no_irq(&r.q[0]);
	assert_works(&r, 0);
	assert_false(devtest_irq(&r.t));
	assert_works(&r, 1);
	assert_true(devtest_irq(&r.t));
	rig_fini(&r);
}

static void add_one_more(struct vfake *f, void *ctx)
{
	struct rig *r = ctx;

	if (f->n_served < 3) {
		add(r, 0);
		/* It was asked not to notify; with event indices it is not asked so soon. */
		assert_true(r->q[0].layout.event_idx || !vqd_must_kick(&r->q[0]));
	}
}

static void what_is_added_while_the_queue_is_worked_on_needs_no_notification(void **state)
{
	struct rig r;

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		rig_init(&r);
		bring_up(&r, event_idx ? BIT(VIRTIO_F_EVENT_IDX) : 0);
		r.f->serving = add_one_more;
		r.f->serving_ctx = &r;
		assert_works(&r, 0);
		assert_int_equal(r.f->n_served, 4);
		vqd_must_kick(&r.q[0]);
		add(&r, 0);
		assert_true(vqd_must_kick(&r.q[0])); /* and now it is asked to */
		rig_fini(&r);
	}
}

static void work_for_one_notification_is_bounded_and_others_have_their_turn(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		assert_true(add(&r, 0) >= 0);
	add(&r, 1);
	vmmio_notify(&r.m, 0);
	vmmio_notify(&r.m, 1);
	devtest_run(&r.t);
	assert_int_equal(r.f->n_served, QUEUE_SIZE + 1);
	assert_true(r.f->n_kick >= QUEUE_SIZE / VIRTIO_KICK_MAX + 1);
	assert_int_equal(r.f->log[VIRTIO_KICK_MAX - 1], 0);
	assert_int_equal(r.f->log[VIRTIO_KICK_MAX], 1);
	assert_int_equal(r.f->log[VIRTIO_KICK_MAX + 1], 0);
	rig_fini(&r);
}

static void a_class_without_room_is_left_alone_until_it_goes_on_by_itself(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	r.f->mode = VFAKE_FULL;
	add(&r, 0);
	vmmio_notify(&r.m, 0);
	devtest_run(&r.t);
	assert_int_equal(r.f->n_kick, 1);
	add(&r, 0);
	vqd_must_kick(&r.q[0]);
	add(&r, 0);
	assert_false(vqd_must_kick(&r.q[0]));
	r.f->mode = VFAKE_SERVE;
	virtio_run(&r.f->v.queues[0]);
	assert_int_equal(r.f->n_served, 3);
	for (int i = 0; i < 3; i++)
		assert_true(vqd_used(&r.q[0], NULL) >= 0);
	assert_works(&r, 0);
	rig_fini(&r);
}

static void nothing_is_done_once_the_machine_goes(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	add(&r, 0);
	vmmio_notify(&r.m, 0);
	atomic_store(&r.t.env.quiet, true);
	devtest_run(&r.t);
	virtio_run(&r.f->v.queues[0]);
	assert_int_equal(r.f->n_kick, 0);
	assert_int_equal(vqd_raw_used_idx(&r.q[0]), 0);
	rig_fini(&r);
}

/* A driver on one thread, the device's loop on another. */
static void *run_loop(void *arg)
{
	return loop_run(arg, NULL) ? arg : NULL;
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
}

static void ping(struct rig *r, unsigned int batch, unsigned int pause)
{
	u64 deadline = now_ns() + 10 * NSEC_PER_SEC;
	unsigned int n = 0;

	for (unsigned int i = 0; i < batch; i++) {
		assert_true(add(r, 0) >= 0);
		if (vqd_must_kick(&r->q[0]))
			vmmio_notify(&r->m, 0);
		/* The next one comes anywhere in the work on this one, its last look included. */
		for (volatile unsigned int spin = pause; spin; spin--)
			;
	}
	while (n < batch) {
		if (vqd_used(&r->q[0], NULL) >= 0)
			n++;
		else if (now_ns() > deadline)
			fail_msg("a notification was lost");
		else
			sched_yield();
	}
}

/* A device of its own on a loop with a thread of its own. */
struct threaded {
	struct rig r;
	struct loop *loop;
	struct dev_env env;
	struct dev *dev;
	pthread_t thread;
};

static void threaded_init(struct threaded *t, enum loop_kind kind)
{
	struct rig *r = &t->r;

	rig_init(r);
	assert_int_equal(loop_create(&t->loop, kind, NULL), 0);
	t->env = r->t.env;
	t->env.loop = t->loop;
	plug_at(r, BASE + VMMIO_LEN, &t->dev, &r->f, &t->env);
	r->m.base += VMMIO_LEN;
	assert_int_equal(pthread_create(&t->thread, NULL, run_loop, t->loop), 0);
}

static void threaded_stop(struct threaded *t)
{
	void *failed;

	loop_stop(t->loop);
	pthread_join(t->thread, &failed);
	assert_null(failed);
}

static void threaded_fini(struct threaded *t)
{
	dev_destroy(t->dev);
	loop_destroy(t->loop);
	rig_fini(&t->r);
}

static void no_notification_is_lost_between_threads(void **state)
{
	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		unsigned int n = 0;
		struct threaded t;
		struct rig *r = &t.r;

		threaded_init(&t, LOOP_EPOLL);
		assert_true(vmmio_begin(&r->m, event_idx ? BIT(VIRTIO_F_EVENT_IDX) : 0));
		assert_true(set_up_queue(r, 0));
		assert_true(vmmio_driver_ok(&r->m));
		for (unsigned int i = 0; i < 20000; i++) {
			ping(r, 2, i % 4000);
			n += 2;
		}
		threaded_stop(&t);
		assert_int_equal(r->f->n_served, n);
		assert_int_equal(status(r), STATUS_UP);
		threaded_fini(&t);
	}
}

struct other_vcpu {
	const struct vmmio *m;
	_Atomic bool stop;
};

static void *play_other_vcpu(void *arg)
{
	struct other_vcpu *v = arg;

	for (u32 i = 0; !atomic_load(&v->stop); i++) {
		vmmio_notify(v->m, i % (N_QUEUES + 1));
		vmmio_ack(v->m);
		bus_write(v->m->bus, v->m->base + VMMIO_CONFIG + i % 32, 1, i, NULL);
		sched_yield();
	}
	return NULL;
}

static void wait_for_reset(struct threaded *t)
{
	u64 deadline = now_ns() + 10 * NSEC_PER_SEC;

	while (status(&t->r)) {
		if (now_ns() > deadline)
			fail_msg("a reset never came to its end");
		dev_throttle_wait(t->dev, &(_Atomic bool){ false });
	}
	assert_false(atomic_load(&t->dev->throttled));
}

static void wait_for_used(const struct vqd *q)
{
	u64 deadline = now_ns() + 10 * NSEC_PER_SEC;

	while (!vqd_raw_used_idx(q)) {
		if (now_ns() > deadline)
			fail_msg("a request never came to its end");
		sched_yield();
	}
}

/*
 * Queues 0 and 1 read from a file, in the loop's own way of doing so, and so much of it that a
 * reset finds requests under way most of the time.
 */
static void resets_under_load_come_to_their_end(void **state)
{
	struct other_vcpu other = { 0 };
	unsigned int n_waited = 0;
	struct threaded t;
	struct rig *r = &t.r;
	pthread_t thread;

	(void)state;
	threaded_init(&t, LOOP_AUTO);
	r->f->mode = VFAKE_FILE;
	assert_int_equal(ftruncate(r->fd, MIB), 0);
	other.m = &r->m;
	assert_int_equal(pthread_create(&thread, NULL, play_other_vcpu, &other), 0);
	for (unsigned int i = 0; i < 200 || (!n_waited && i < 5000); i++) {
		assert_true(vmmio_begin(&r->m, i % 2 ? BIT(VIRTIO_F_EVENT_IDX) : 0));
		assert_true(set_up_queue(r, 0));
		assert_true(set_up_queue(r, 1));
		assert_true(vmmio_driver_ok(&r->m));
		for (unsigned int n = 0; n < 16; n++) {
			vqd_add(&r->q[n % 2], &(struct vqd_buf){ DATA, MIB, true }, 1);
			vmmio_notify(&r->m, n % 2);
		}
		/* Before it began, or when some are done, and those behind them have begun. */
		if (i % 4)
			wait_for_used(&r->q[0]);
		vmmio_write(&r->m, VMMIO_STATUS, 0);
		n_waited += status(r) != 0;
		wait_for_reset(&t);
	}
	assert_int_not_equal(n_waited, 0);
	atomic_store(&other.stop, true);
	pthread_join(thread, NULL);
	assert_true(vmmio_begin(&r->m, 0));
	assert_true(set_up_queue(r, 0));
	assert_true(vmmio_driver_ok(&r->m));
	ping(r, 10, 0);
	threaded_stop(&t);
	assert_true(r->f->n_io_ended >= 10);
	assert_int_equal(t.dev->n_io, 0);
	threaded_fini(&t);
}

/* ---- NEEDS_RESET -------------------------------------------------------------------- */

static void a_broken_ring_needs_a_reset_and_the_driver_is_told(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	vqd_raw_ring(&r.q[0], 0, QUEUE_SIZE);
	vqd_raw_avail_idx(&r.q[0], 1);
	vmmio_notify(&r.m, 0);
	devtest_run(&r.t);
	assert_int_equal(status(&r), STATUS_UP | VIRTIO_S_NEEDS_RESET);
	assert_true(devtest_irq(&r.t));
	assert_int_equal(vmmio_ack(&r.m), 2);
	assert_false(devtest_irq(&r.t));
	assert_int_equal(r.f->v.n_broken, 1);
	assert_non_null(strstr(r.t.last_msg, "fake0"));

	/* It breaks once. */
	virtio_break(&r.f->v, "it was told to");
	assert_int_equal(r.f->v.n_broken, 1);
	assert_false(devtest_irq(&r.t));

	/* Its other queues do nothing either, and nothing but a reset helps. */
	add(&r, 1);
	vmmio_notify(&r.m, 1);
	virtio_run(&r.f->v.queues[1]);
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_UP);
	devtest_run(&r.t);
	assert_int_equal(r.f->n_served, 0);
	assert_broken(&r);
	assert_comes_back(&r);
	rig_fini(&r);
}

static void other_devices_go_on_beside_a_broken_one(void **state)
{
	struct vfake *f;
	struct dev *dev;
	struct rig r;

	(void)state;
	rig_up(&r);
	r.f->mode = VFAKE_BREAK;
	vmmio_notify(&r.m, 0);
	devtest_run(&r.t);
	assert_broken(&r);

	plug_at(&r, BASE + VMMIO_LEN, &dev, &f, &r.t.env);
	r.m.base += VMMIO_LEN;
	bring_up(&r, 0);
	assert_works(&r, 0);
	r.m.base -= VMMIO_LEN;
	assert_broken(&r);
	dev_destroy(dev);
	rig_fini(&r);
}

static void before_driver_ok_a_broken_device_is_silent(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_true(vmmio_begin(&r.m, 0));
	assert_false(vmmio_queue_layout(&r.m, 0, &(struct vq_layout){ .size = 5 }));
	assert_int_equal(status(&r), STATUS_SET | VIRTIO_S_NEEDS_RESET);
	assert_false(devtest_irq(&r.t));
	assert_int_equal(vmmio_read(&r.m, VMMIO_INTERRUPT_STATUS), 0);
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_UP | VIRTIO_S_NEEDS_RESET);
	assert_int_equal(r.f->n_activate, 0);
	assert_comes_back(&r);
	rig_fini(&r);
}

static void a_driver_that_breaks_it_again_and_again_does_not_flood_the_log(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	for (unsigned int i = 0; i < 1000; i++) {
		vmmio_begin(&r.m, BIT(63));
		vmmio_begin(&r.m, 0);
		vmmio_queue_layout(&r.m, 0, &(struct vq_layout){ .size = 5 });
	}
	assert_int_equal(r.f->v.n_broken, 1000);
	assert_in_range(r.t.n_msgs, 1, 2 * RATELIMIT_BURST);
	rig_fini(&r);
}

/* ---- reset -------------------------------------------------------------------------- */

static bool hold_io(void *ctx, struct loop_io *io)
{
	struct rig *r = ctx;

	r->held[r->n_held++] = io;
	return true;
}

static void end_io(struct rig *r, unsigned int i)
{
	r->held[i]->res = 8;
	loop_manual_io_done(r->t.loop, r->held[i]);
	devtest_run(&r->t);
}

/* @n requests are at the host. */
static void rig_busy(struct rig *r, unsigned int n)
{
	rig_up(r);
	loop_manual_io_hook(r->t.loop, hold_io, r);
	r->f->mode = VFAKE_FILE;
	for (unsigned int i = 0; i < n; i++)
		add(r, 0);
	vmmio_notify(&r->m, 0);
	devtest_run(&r->t);
	assert_int_equal(r->n_held, n);
}

static void a_reset_is_complete_at_once_when_nothing_is_under_way(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	assert_works(&r, 0);
	assert_true(devtest_irq(&r.t));
	r.f->v.config_vector = r.f->v.queues[1].vector = 5; /* a transport with vectors */
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	assert_int_equal(status(&r), 0);
	assert_int_equal(r.f->v.config_vector, VIRTIO_NO_VECTOR);
	assert_false(atomic_load(&r.t.dev->throttled));
	assert_int_equal(r.f->n_reset, 1 + 1); /* vmmio_begin() did the other */
	assert_false(devtest_irq(&r.t));
	assert_int_equal(vmmio_read(&r.m, VMMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(r.f->v.accepted, 0);
	for (unsigned int i = 0; i < N_QUEUES; i++) {
		struct virtio_queue *q = &r.f->v.queues[i];

		vmmio_write(&r.m, VMMIO_QUEUE_SEL, i);
		assert_int_equal(vmmio_read(&r.m, VMMIO_QUEUE_READY), 0);
		assert_int_equal(q->layout.desc | q->layout.avail | q->layout.used, 0);
		assert_int_equal(q->layout.size, QUEUE_SIZE);
		assert_int_equal(q->vector, VIRTIO_NO_VECTOR);
	}
	assert_comes_back(&r);
	rig_fini(&r);
}

static void a_reset_waits_for_requests_under_way_and_the_vcpu_with_it(void **state)
{
	struct rig r;

	(void)state;
	rig_busy(&r, 2);
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	assert_int_equal(status(&r), STATUS_UP);
	assert_true(atomic_load(&r.t.dev->throttled));
	assert_int_equal(r.f->n_reset, 1);

	end_io(&r, 1);
	assert_int_equal(status(&r), STATUS_UP);
	assert_true(atomic_load(&r.t.dev->throttled));

	end_io(&r, 0);
	assert_int_equal(status(&r), 0);
	assert_false(atomic_load(&r.t.dev->throttled));
	assert_int_equal(r.f->n_reset, 2);
	/* What ended meanwhile is of no interest to anybody. */
	assert_int_equal(vqd_raw_used_idx(&r.q[0]), 0);
	assert_false(devtest_irq(&r.t));
	loop_manual_io_hook(r.t.loop, NULL, NULL);
	assert_comes_back(&r);
	rig_fini(&r);
}

static void while_a_reset_waits_all_else_is_ignored(void **state)
{
	struct rig r;

	(void)state;
	rig_busy(&r, VFAKE_MAX_REQS);
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	vmmio_write(&r.m, VMMIO_STATUS, VIRTIO_S_ACKNOWLEDGE);
	vmmio_write(&r.m, VMMIO_STATUS, STATUS_UP | VIRTIO_S_FAILED);
	vmmio_accept(&r.m, ALL_FEATURES);
	set_up_queue(&r, 3);
	vmmio_write(&r.m, VMMIO_QUEUE_READY, 0);
	bus_write(&r.t.mmio, BASE + VMMIO_CONFIG, 1, 7, NULL);
	vqd_init(&r.q[0], &r.t.gmem, RINGS, QUEUE_SIZE, false);
	add(&r, 0);
	vmmio_notify(&r.m, 0);
	devtest_run(&r.t);
	virtio_config_changed(&r.f->v);
	virtio_break(&r.f->v, "not now");

	assert_int_equal(status(&r), STATUS_UP);
	assert_int_equal(r.f->v.accepted, BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(vmmio_read(&r.m, VMMIO_QUEUE_READY), 1);
	assert_int_equal(r.f->n_written, 0);
	assert_int_equal(r.n_held, VFAKE_MAX_REQS);
	assert_int_equal(r.f->n_reset, 1);
	assert_false(devtest_irq(&r.t));

	for (unsigned int i = 0; i < VFAKE_MAX_REQS; i++)
		end_io(&r, i);
	assert_int_equal(r.n_held, VFAKE_MAX_REQS); /* none was started again */
	assert_int_equal(status(&r), 0);
	assert_int_equal(r.f->n_reset, 2);
	loop_manual_io_hook(r.t.loop, NULL, NULL);
	assert_comes_back(&r);
	rig_fini(&r);
}

static void a_broken_device_is_reset_with_requests_under_way(void **state)
{
	struct rig r;

	(void)state;
	rig_busy(&r, 1);
	virtio_break(&r.f->v, "it was told to");
	assert_int_equal(vmmio_ack(&r.m), 2);
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	assert_broken(&r);
	assert_true(atomic_load(&r.t.dev->throttled));
	end_io(&r, 0);
	assert_int_equal(status(&r), 0);
	loop_manual_io_hook(r.t.loop, NULL, NULL);
	assert_comes_back(&r);
	rig_fini(&r);
}

static void requests_that_end_on_a_broken_device_are_not_shown(void **state)
{
	struct rig r;

	(void)state;
	rig_busy(&r, 1);
	virtio_break(&r.f->v, "it was told to");
	vmmio_ack(&r.m);
	end_io(&r, 0);
	assert_int_equal(vqd_raw_used_idx(&r.q[0]), 0);
	assert_false(devtest_irq(&r.t));
	assert_broken(&r);
	rig_fini(&r);
}

static void a_notification_from_before_a_reset_does_nothing(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	add(&r, 0);
	vmmio_notify(&r.m, 0);
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	devtest_run(&r.t);
	assert_int_equal(r.f->n_kick, 0);
	assert_comes_back(&r);
	rig_fini(&r);
}

static void a_machine_that_ends_with_a_reset_waiting_gives_all_back(void **state)
{
	struct rig r;

	(void)state;
	rig_busy(&r, 1);
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	atomic_store(&r.t.env.quiet, true);
	r.held[0]->res = 8;
	loop_manual_io_done(r.t.loop, r.held[0]);
	assert_int_equal(loop_io_drain(r.t.loop), 0);
	assert_false(atomic_load(&r.t.dev->throttled));
	rig_fini(&r);
}

/* ---- configuration ------------------------------------------------------------------ */

static u64 config_read(struct rig *r, u64 off, unsigned int size)
{
	return virtio_config_read(&r->f->v, off, size);
}

static void configuration_reads_are_little_endian_and_bounded(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	for (unsigned int size = 1; size <= 8; size++) {
		for (u64 off = 0; off < 64; off++) {
			u64 want = off + size <= 24 ? 0 : UINT64_MAX;

			for (unsigned int i = 0; want != UINT64_MAX && i < size; i++)
				want |= (off + i + 1) << (8 * i);
			assert_int_equal(config_read(&r, off, size), want);
		}
	}
	assert_int_equal(config_read(&r, UINT64_MAX, 1), UINT64_MAX);
	assert_int_equal(config_read(&r, UINT64_MAX - 3, 8), UINT64_MAX);
	assert_int_equal(config_read(&r, 0, 9), UINT64_MAX);
	rig_fini(&r);
}

static void configuration_writes_reach_the_class_when_they_fit(void **state)
{
	unsigned int n = 0;
	struct rig r;

	(void)state;
	rig_init(&r);
	for (unsigned int size = 1; size <= 8; size++) {
		for (u64 off = 0; off < 64; off++) {
			virtio_config_write(&r.f->v, off, size, UINT64_MAX);
			n += off + size <= 24;
			assert_int_equal(r.f->n_written, n);
			if (off + size > 24)
				continue;
			assert_int_equal(r.f->written.off, off);
			assert_int_equal(r.f->written.size, size);
			assert_int_equal(r.f->written.val, UINT64_MAX >> (64 - 8 * size));
		}
	}
	virtio_config_write(&r.f->v, 0, 0, 0);
	virtio_config_write(&r.f->v, 0, 9, 0);
	virtio_config_write(&r.f->v, UINT64_MAX, 2, 0);
	assert_int_equal(r.f->n_written, n);
	virtio_break(&r.f->v, "it was told to");
	virtio_config_write(&r.f->v, 0, 1, 0);
	assert_int_equal(r.f->n_written, n);
	rig_fini(&r);
}

static void a_change_of_the_configuration_is_told_from_driver_ok_on(void **state)
{
	struct rig r;
	u32 gen;

	(void)state;
	rig_init(&r);
	assert_true(vmmio_begin(&r.m, 0));
	gen = vmmio_read(&r.m, VMMIO_CONFIG_GENERATION);
	virtio_config_changed(&r.f->v);
	assert_int_not_equal(vmmio_read(&r.m, VMMIO_CONFIG_GENERATION), gen);
	assert_false(devtest_irq(&r.t));
	assert_true(vmmio_driver_ok(&r.m));
	assert_false(devtest_irq(&r.t));

	gen = vmmio_read(&r.m, VMMIO_CONFIG_GENERATION);
	virtio_config_changed(&r.f->v);
	assert_int_not_equal(vmmio_read(&r.m, VMMIO_CONFIG_GENERATION), gen);
	assert_true(devtest_irq(&r.t));
	assert_int_equal(vmmio_ack(&r.m), 2);
	assert_int_equal(vmmio_read(&r.m, VMMIO_INTERRUPT_STATUS), 0);
	rig_fini(&r);
}

/* ---- life --------------------------------------------------------------------------- */

static int try_create(struct rig *r, const struct vfake_cfg *fake, struct lkvm_error *err)
{
	struct virtio_cfg cfg = { .cls = &vfake_class, .cfg = fake };
	struct dev_slot slot = { .cls = &virtio_mmio_class, .name = "fake1", .cfg = &cfg };
	struct dev *dev;
	int ret = dev_create(&dev, &slot, &r->t.env, err);

	if (!ret)
		dev_destroy(dev);
	else
		assert_null(dev);
	return ret;
}

static void what_cannot_be_made_leaves_nothing_and_says_why(void **state)
{
	static const struct {
		struct vfake_cfg cfg;
		int ret;
	} tries[] = {
		{ { .n_queues = 1, .size = 16 }, 0 },
		{ { .n_queues = VIRTIO_MAX_QUEUES, .size = VQ_MAX_SIZE }, 0 },
		{ { .n_queues = 1, .size = 16, .init_ret = -EIO }, -EIO },
		{ { .n_queues = VIRTIO_MAX_QUEUES + 1, .size = 16 }, -EINVAL },
		{ { .n_queues = 1, .size = 2 * VQ_MAX_SIZE }, -EINVAL },
		{ { .n_queues = 1, .size = 48 }, -EINVAL },
		{ { .n_queues = 1, .size = 16, .config_len = VIRTIO_CONFIG_MAX }, 0 },
		{ { .n_queues = 1, .size = 16, .config_len = VIRTIO_CONFIG_MAX + 1 }, -EINVAL },
	};
	struct rig r;

	(void)state;
	rig_init(&r);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		struct vfake_cfg cfg = tries[i].cfg;
		struct lkvm_error err = { 0 };
		unsigned int n_fini = 0;

		cfg.n_fini = &n_fini;
		assert_int_equal(try_create(&r, &cfg, &err), tries[i].ret);
		assert_int_equal(n_fini, 1);
		assert_int_equal(err.msg[0] == 0, tries[i].ret == 0);
	}
	assert_comes_back(&r);
	rig_fini(&r);
}

static void each_failure_of_the_host_while_it_is_made_is_an_error(void **state)
{
	struct vfake_cfg cfg = { .n_queues = 3, .size = 16 };
	unsigned long nth = 1;
	struct rig r;

	(void)state;
	rig_init(&r);
	for (;; nth++) {
		struct lkvm_error err = { 0 };
		int ret;

		faults_arm(FAULTS_MEMORY | FAULTS_FD, nth);
		ret = try_create(&r, &cfg, &err);
		faults_disarm();
		if (!ret)
			break;
		assert_string_not_equal(err.msg, "");
	}
	/* The device, its instance, its queues; for each of them its requests and a doorbell. */
	assert_int_equal(nth, 1 + 3 + 3 * 2);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(features_of_the_core_are_offered_beside_those_of_the_type),
		cmocka_unit_test(a_guest_with_private_memory_is_offered_access_platform),
		cmocka_unit_test(each_feature_that_was_not_offered_is_refused),
		cmocka_unit_test(a_driver_for_legacy_devices_gets_no_features_ok),
		cmocka_unit_test(features_are_frozen_by_features_ok),
		cmocka_unit_test(feature_words_beyond_the_second_are_zero_and_dropped),
		cmocka_unit_test(status_bits_are_added_in_order_and_only_cleared_all_at_once),
		cmocka_unit_test(driver_ok_without_features_ok_is_refused),
		cmocka_unit_test(needs_reset_is_the_devices_to_set),
		cmocka_unit_test(queues_cannot_be_set_up_before_features_ok),
		cmocka_unit_test(queue_registers_are_frozen_once_it_is_enabled),
		cmocka_unit_test(a_queue_enabled_twice_goes_on_where_it_was),
		cmocka_unit_test(a_queue_enabled_after_driver_ok_is_not),
		cmocka_unit_test(sizes_that_no_queue_can_have_break_the_device),
		cmocka_unit_test(a_queue_larger_than_its_maximum_breaks_the_device),
		cmocka_unit_test(rings_that_cannot_be_break_the_device),
		cmocka_unit_test(queues_that_do_not_exist_take_and_give_nothing),
		cmocka_unit_test(notified_before_driver_ok_the_device_waits_for_it),
		cmocka_unit_test(requests_are_served_on_the_loop_and_shown_with_one_interrupt),
		cmocka_unit_test(a_driver_that_wants_no_interrupt_gets_none),
		cmocka_unit_test(what_is_added_while_the_queue_is_worked_on_needs_no_notification),
		cmocka_unit_test(work_for_one_notification_is_bounded_and_others_have_their_turn),
		cmocka_unit_test(a_class_without_room_is_left_alone_until_it_goes_on_by_itself),
		cmocka_unit_test(nothing_is_done_once_the_machine_goes),
		cmocka_unit_test(no_notification_is_lost_between_threads),
		cmocka_unit_test(resets_under_load_come_to_their_end),
		cmocka_unit_test(a_broken_ring_needs_a_reset_and_the_driver_is_told),
		cmocka_unit_test(other_devices_go_on_beside_a_broken_one),
		cmocka_unit_test(before_driver_ok_a_broken_device_is_silent),
		cmocka_unit_test(a_driver_that_breaks_it_again_and_again_does_not_flood_the_log),
		cmocka_unit_test(a_reset_is_complete_at_once_when_nothing_is_under_way),
		cmocka_unit_test(a_reset_waits_for_requests_under_way_and_the_vcpu_with_it),
		cmocka_unit_test(while_a_reset_waits_all_else_is_ignored),
		cmocka_unit_test(a_broken_device_is_reset_with_requests_under_way),
		cmocka_unit_test(requests_that_end_on_a_broken_device_are_not_shown),
		cmocka_unit_test(a_notification_from_before_a_reset_does_nothing),
		cmocka_unit_test(a_machine_that_ends_with_a_reset_waiting_gives_all_back),
		cmocka_unit_test(configuration_reads_are_little_endian_and_bounded),
		cmocka_unit_test(configuration_writes_reach_the_class_when_they_fit),
		cmocka_unit_test(a_change_of_the_configuration_is_told_from_driver_ok_on),
		cmocka_unit_test(what_cannot_be_made_leaves_nothing_and_says_why),
		cmocka_unit_test(each_failure_of_the_host_while_it_is_made_is_an_error),
	};

	return cmocka_run_group_tests_name("virtio", tests, NULL, NULL);
}
