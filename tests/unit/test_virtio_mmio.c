/*
 * The registers of virtio-mmio (devices/virtio_mmio.c), with a fake class behind them: what
 * they give, which accesses they take, doorbells, the interrupt line.
 *
 * Does not prove what the core makes of what was written (test_virtio.c), that a kernel's own
 * driver is content, or that it is told where to look (check-bed).
 */
#include "tests/unit/devtest.h"

#include "devices/classes.h"
#include "tests/unit/vfake.h"
#include "tests/unit/vmmio.h"

#define BASE	   0xd0000000
#define RAM	   MIB
#define N_QUEUES   2
#define QUEUE_SIZE 16
#define RINGS	   0x10000
#define DATA	   0x80000
#define CONFIG_LEN 20

struct rig {
	struct devtest t;
	struct vmmio m;
	struct vfake *f;
	struct vqd q[N_QUEUES];
	struct loop_io *held;
};

static void rig_init_on(struct rig *r, struct bus *doorbells)
{
	struct vfake_cfg fake = {
		.out = &r->f,
		.n_queues = N_QUEUES,
		.size = QUEUE_SIZE,
		.config_len = CONFIG_LEN,
		.fd = -1,
	};
	struct virtio_cfg cfg = {
		.cls = &vfake_class, .cfg = &fake, .mmio = doorbells, .base = BASE
	};

	*r = (struct rig){ 0 };
	devtest_init(&r->t, 0);
	devtest_add_ram(&r->t, 0, RAM);
	devtest_plug(&r->t, &(struct dev_slot){
				    .cls = &virtio_mmio_class,
				    .name = "fake0",
				    .ranges = { { &r->t.mmio, BASE, VMMIO_LEN, BUS_SIZE_ANY, 0 } },
				    .cfg = &cfg });
	r->m = (struct vmmio){ .bus = &r->t.mmio, .gm = &r->t.gmem, .base = BASE };
}

static void rig_init(struct rig *r)
{
	rig_init_on(r, &r->t.mmio);
}

static void rig_fini(struct rig *r)
{
	devtest_fini(&r->t);
}

static void set_up(struct rig *r)
{
	assert_true(vmmio_begin(&r->m, 0));
	for (unsigned int i = 0; i < N_QUEUES; i++)
		assert_true(vmmio_queue(&r->m, i, &r->q[i], RINGS + i * 0x8000, QUEUE_SIZE));
}

static void rig_up(struct rig *r)
{
	rig_init(r);
	set_up(r);
	assert_true(vmmio_driver_ok(&r->m));
	devtest_run(&r->t);
}

static void add(struct rig *r, unsigned int i)
{
	assert_true(vqd_add(&r->q[i], &(struct vqd_buf){ DATA, 8, true }, 1) >= 0);
}

/* As a vCPU would: the kernel looks at its doorbells first. */
static void notify(struct rig *r, unsigned int i)
{
	devtest_mmio_write(&r->t, BASE + VMMIO_QUEUE_NOTIFY, 4, i);
}

/* ---- what registers give ------------------------------------------------------------ */

static void the_device_says_what_it_is(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_int_equal(vmmio_read(&r.m, VMMIO_MAGIC), 0x74726976);
	assert_int_equal(vmmio_read(&r.m, VMMIO_VERSION), 2);
	assert_int_equal(vmmio_read(&r.m, VMMIO_DEVICE_ID), VFAKE_ID);
	assert_int_not_equal(vmmio_read(&r.m, VMMIO_VENDOR_ID), 0);
	assert_int_equal(vmmio_read(&r.m, VMMIO_STATUS), 0);
	assert_int_equal(vmmio_read(&r.m, VMMIO_QUEUE_NUM_MAX), QUEUE_SIZE);
	for (u32 i = 0; i < 8; i += 4) {
		/* Of the shared memory that there is not (4.2.2, SHMLen). */
		vmmio_write(&r.m, VMMIO_SHM_SEL, i);
		assert_int_equal(vmmio_read(&r.m, VMMIO_SHM_LEN + i), UINT32_MAX);
		assert_int_equal(vmmio_read(&r.m, VMMIO_SHM_BASE + i), UINT32_MAX);
	}
	rig_fini(&r);
}

static bool is_readable(u64 off)
{
	static const u32 regs[] = {
		VMMIO_MAGIC,	    VMMIO_VERSION,	     VMMIO_DEVICE_ID,
		VMMIO_VENDOR_ID,    VMMIO_DEVICE_FEATURES,   VMMIO_QUEUE_NUM_MAX,
		VMMIO_QUEUE_READY,  VMMIO_INTERRUPT_STATUS,  VMMIO_STATUS,
		VMMIO_SHM_LEN,	    VMMIO_SHM_LEN + 4,	     VMMIO_SHM_BASE,
		VMMIO_SHM_BASE + 4, VMMIO_CONFIG_GENERATION,
	};

	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		if (regs[i] == off)
			return true;
	}
	return false;
}

static void registers_are_read_in_aligned_words_only(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	struct rig r;

	(void)state;
	rig_init(&r);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 ones = UINT64_MAX >> (64 - 8 * sizes[i]);

		for (u64 off = 0; off < VMMIO_CONFIG; off++) {
			u64 val = devtest_mmio_read(&r.t, BASE + off, sizes[i]);

			if (sizes[i] != 4 || off % 4)
				assert_int_equal(val, ones);
			else if (!is_readable(off))
				assert_int_equal(val, 0);
		}
	}
	rig_fini(&r);
}

static void registers_are_written_in_aligned_words_only(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	struct rig r;

	(void)state;
	rig_up(&r);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (u64 off = VMMIO_STATUS - 7; off < VMMIO_STATUS + 4; off++) {
			/* 0 would reset it. */
			if (sizes[i] != 4 || off % 4)
				devtest_mmio_write(&r.t, BASE + off, sizes[i], 0);
		}
	}
	assert_int_not_equal(vmmio_read(&r.m, VMMIO_STATUS), 0);
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	assert_int_equal(vmmio_read(&r.m, VMMIO_STATUS), 0);
	rig_fini(&r);
}

static void registers_that_are_read_only_or_unknown_take_nothing(void **state)
{
	struct rig r;
	u32 before[64];

	(void)state;
	rig_up(&r);
	for (u32 i = 0; i < 64; i++)
		before[i] = vmmio_read(&r.m, 4 * i);
	for (u32 off = 0; off < VMMIO_CONFIG; off += 4) {
		if ((is_readable(off) && off != VMMIO_STATUS && off != VMMIO_QUEUE_READY) ||
		    off > VMMIO_SHM_SEL)
			vmmio_write(&r.m, off, 0x12345678);
	}
	for (u32 i = 0; i < 64; i++)
		assert_int_equal(vmmio_read(&r.m, 4 * i), before[i]);
	rig_fini(&r);
}

static void status_values_that_no_status_has_do_nothing(void **state)
{
	static const u32 vals[] = { 0x100, 0x10000, 0x80000000, 0xffffff00, 0x10f };
	struct rig r;
	u32 before;

	(void)state;
	rig_up(&r);
	before = vmmio_read(&r.m, VMMIO_STATUS);
	for (size_t i = 0; i < ARRAY_SIZE(vals); i++) {
		vmmio_write(&r.m, VMMIO_STATUS, vals[i]);
		assert_int_equal(vmmio_read(&r.m, VMMIO_STATUS), before);
	}
	rig_fini(&r);
}

/* ---- configuration space ------------------------------------------------------------ */

static void configuration_takes_all_sizes_and_ends_where_it_ends(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	struct rig r;

	(void)state;
	rig_init(&r);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned int size = sizes[i];
		u64 ones = UINT64_MAX >> (64 - 8 * size);

		for (u64 off = 0; off + size <= VMMIO_LEN - VMMIO_CONFIG; off++) {
			u64 addr = BASE + VMMIO_CONFIG + off, want = 0;
			unsigned int n = r.f->n_written;

			for (unsigned int b = 0; b < size; b++)
				want |= (off + b + 1) << (8 * b);
			if (off + size > CONFIG_LEN)
				want = ones;
			assert_int_equal(devtest_mmio_read(&r.t, addr, size), want);
			devtest_mmio_write(&r.t, addr, size, want);
			assert_int_equal(r.f->n_written - n, off + size <= CONFIG_LEN);
			if (off + size <= CONFIG_LEN)
				assert_int_equal(r.f->written.off, off);
		}
	}
	/* Across its front: neither register nor configuration. */
	assert_int_equal(devtest_mmio_read(&r.t, BASE + VMMIO_CONFIG - 2, 4), UINT32_MAX);
	rig_fini(&r);
}

/* ---- queues ------------------------------------------------------------------------- */

static void halves_of_an_address_are_written_in_any_order(void **state)
{
	struct vq_layout *l;
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_true(vmmio_begin(&r.m, 0));
	vmmio_write(&r.m, VMMIO_QUEUE_SEL, 1);
	l = &r.f->v.queues[1].layout;
	vmmio_write(&r.m, VMMIO_QUEUE_DESC + 4, 0x11111111);
	vmmio_write(&r.m, VMMIO_QUEUE_DESC, 0x22222222);
	vmmio_write(&r.m, VMMIO_QUEUE_DRIVER, 0x33333333);
	vmmio_write(&r.m, VMMIO_QUEUE_DRIVER + 4, 0x44444444);
	vmmio_write(&r.m, VMMIO_QUEUE_DEVICE, 0x55555555);
	vmmio_write(&r.m, VMMIO_QUEUE_DEVICE, 0x66666666);
	vmmio_write(&r.m, VMMIO_QUEUE_NUM, 8);
	assert_int_equal(l->desc, 0x1111111122222222);
	assert_int_equal(l->avail, 0x4444444433333333);
	assert_int_equal(l->used, 0x66666666);
	assert_int_equal(l->size, 8);
	assert_int_equal(r.f->v.queues[0].layout.desc, 0);
	rig_fini(&r);
}

static void a_queue_is_taken_back_by_queue_ready(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	set_up(&r);
	/* As a driver does whose set-up failed half-way: and it can be enabled once more. */
	vmmio_write(&r.m, VMMIO_QUEUE_SEL, 0);
	vmmio_write(&r.m, VMMIO_QUEUE_READY, 0);
	assert_int_equal(vmmio_read(&r.m, VMMIO_QUEUE_READY), 0);
	assert_true(vmmio_queue(&r.m, 0, &r.q[0], RINGS, QUEUE_SIZE));
	assert_true(vmmio_driver_ok(&r.m));
	devtest_run(&r.t);
	assert_int_equal(r.t.n_bells, 2);

	vmmio_write(&r.m, VMMIO_QUEUE_READY, 0);
	assert_int_equal(vmmio_read(&r.m, VMMIO_QUEUE_READY), 0);
	assert_int_equal(r.t.n_bells, 1);
	add(&r, 0);
	add(&r, 1);
	notify(&r, 0);
	notify(&r, 1);
	devtest_run(&r.t);
	assert_int_equal(vqd_used(&r.q[0], NULL), -EAGAIN);
	assert_true(vqd_used(&r.q[1], NULL) >= 0);
	vmmio_write(&r.m, VMMIO_QUEUE_READY, 1);
	assert_int_equal(vmmio_read(&r.m, VMMIO_QUEUE_READY), 0);
	rig_fini(&r);
}

static bool hold_io(void *ctx, struct loop_io *io)
{
	((struct rig *)ctx)->held = io;
	return true;
}

static void a_queue_with_requests_under_way_cannot_be_taken_back(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	r.f->mode = VFAKE_FILE;
	loop_manual_io_hook(r.t.loop, hold_io, &r);
	add(&r, 0);
	notify(&r, 0);
	devtest_run(&r.t);
	assert_non_null(r.held);
	vmmio_write(&r.m, VMMIO_QUEUE_SEL, 0);
	vmmio_write(&r.m, VMMIO_QUEUE_READY, 0);
	assert_int_equal(vmmio_read(&r.m, VMMIO_QUEUE_READY), 1);
	assert_true(vmmio_read(&r.m, VMMIO_STATUS) & VIRTIO_S_NEEDS_RESET);
	r.held->res = -EIO;
	loop_manual_io_done(r.t.loop, r.held);
	devtest_run(&r.t);
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	assert_int_equal(vmmio_read(&r.m, VMMIO_STATUS), 0);
	rig_fini(&r);
}

/* ---- doorbells ---------------------------------------------------------------------- */

static void notifications_come_by_doorbell_from_driver_ok_to_reset(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	set_up(&r);
	assert_int_equal(r.t.n_bells, 0);
	assert_true(vmmio_driver_ok(&r.m));
	assert_int_equal(r.t.n_bells, N_QUEUES);
	for (unsigned int i = 0; i < N_QUEUES; i++) {
		const struct bus_doorbell *db = &r.t.bells[i].db;

		assert_ptr_equal(r.t.bells[i].bus, &r.t.mmio);
		assert_int_equal(db->addr, BASE + VMMIO_QUEUE_NOTIFY);
		assert_int_equal(db->size, 4);
		assert_true(db->match);
		assert_int_equal(db->val, i);
		assert_int_equal(db->fd, r.f->v.queues[i].bell.lfd.fd);
	}
	devtest_run(&r.t);
	add(&r, 1);
	assert_true(devtest_ring(&r.t, &r.t.mmio, BASE + VMMIO_QUEUE_NOTIFY, 4, 1));
	devtest_run(&r.t);
	assert_int_equal(r.f->n_served, 1);
	assert_int_equal(r.f->log[0], 1);

	vmmio_write(&r.m, VMMIO_STATUS, 0);
	assert_int_equal(r.t.n_bells, 0);
	set_up(&r);
	assert_true(vmmio_driver_ok(&r.m));
	assert_int_equal(r.t.n_bells, N_QUEUES);
	dev_destroy(r.t.dev);
	r.t.dev = NULL;
	assert_int_equal(r.t.n_bells, 0);
	rig_fini(&r);
}

static int count_bells(void *ctx, const struct bus_doorbell *db, bool on)
{
	int *n = ctx;

	(void)db;
	n[on]++;
	return 0;
}

static void a_doorbell_is_taken_away_as_often_as_it_was_installed(void **state)
{
	int n[2] = { 0 };
	struct rig r;

	(void)state;
	rig_init(&r);
	r.t.mmio.doorbell = count_bells;
	r.t.mmio.doorbell_ctx = n;
	for (int i = 0; i < 3; i++) {
		set_up(&r);
		assert_true(vmmio_driver_ok(&r.m));
	}
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	assert_int_equal(n[true], 3 * N_QUEUES);
	assert_int_equal(n[false], 3 * N_QUEUES);
	rig_fini(&r);
	assert_int_equal(n[false], 3 * N_QUEUES);
}

static void only_enabled_queues_have_a_doorbell(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_true(vmmio_begin(&r.m, 0));
	assert_true(vmmio_queue(&r.m, 1, &r.q[1], RINGS, QUEUE_SIZE));
	assert_true(vmmio_driver_ok(&r.m));
	assert_int_equal(r.t.n_bells, 1);
	assert_int_equal(r.t.bells[0].db.val, 1);
	rig_fini(&r);
}

static void without_doorbells_notifications_are_register_writes(void **state)
{
	enum { BUS_FULL, BUS_HAS_NONE, NO_BUS, N_REASONS };
	struct rig r;

	(void)state;
	for (int why = 0; why < N_REASONS; why++) {
		rig_init_on(&r, why == NO_BUS ? NULL : &r.t.mmio);
		if (why == BUS_FULL)
			r.t.bell_ret = -ENOSPC;
		else if (why == BUS_HAS_NONE)
			r.t.mmio.doorbell = NULL;
		set_up(&r);
		assert_true(vmmio_driver_ok(&r.m));
		devtest_run(&r.t);
		assert_int_equal(r.t.n_bells, 0);
		add(&r, 1);
		notify(&r, 1);
		notify(&r, N_QUEUES);
		notify(&r, 0x10001);
		assert_int_equal(r.f->n_served, 0); /* not on the vCPU */
		devtest_run(&r.t);
		assert_int_equal(r.f->n_served, 1);
		assert_int_equal(r.f->log[0], 1);
		rig_fini(&r);
	}
}

/* ---- the interrupt line ------------------------------------------------------------- */

static void the_line_is_high_until_all_was_acknowledged(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	add(&r, 0);
	notify(&r, 0);
	devtest_run(&r.t);
	assert_int_equal(vmmio_read(&r.m, VMMIO_INTERRUPT_STATUS), 1);
	assert_true(devtest_irq(&r.t));
	virtio_config_changed(&r.f->v);
	assert_int_equal(vmmio_read(&r.m, VMMIO_INTERRUPT_STATUS), 3);

	vmmio_write(&r.m, VMMIO_INTERRUPT_ACK, 0);
	vmmio_write(&r.m, VMMIO_INTERRUPT_ACK, ~3u);
	assert_int_equal(vmmio_read(&r.m, VMMIO_INTERRUPT_STATUS), 3);
	vmmio_write(&r.m, VMMIO_INTERRUPT_ACK, 1);
	assert_int_equal(vmmio_read(&r.m, VMMIO_INTERRUPT_STATUS), 2);
	assert_true(devtest_irq(&r.t));
	vmmio_write(&r.m, VMMIO_INTERRUPT_ACK, 2);
	assert_int_equal(vmmio_read(&r.m, VMMIO_INTERRUPT_STATUS), 0);
	assert_false(devtest_irq(&r.t));
	assert_int_equal(r.t.n_raised[DEVTEST_GSI], 1);
	rig_fini(&r);
}

static void a_reset_lets_go_of_the_line_and_all_selections(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	virtio_config_changed(&r.f->v);
	add(&r, 0);
	notify(&r, 0);
	devtest_run(&r.t);
	vmmio_write(&r.m, VMMIO_QUEUE_SEL, 77);
	vmmio_write(&r.m, VMMIO_DEVICE_FEATURES_SEL, 1);
	vmmio_write(&r.m, VMMIO_DRIVER_FEATURES_SEL, 1);
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	assert_false(devtest_irq(&r.t));
	assert_int_equal(vmmio_read(&r.m, VMMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(vmmio_read(&r.m, VMMIO_QUEUE_NUM_MAX), QUEUE_SIZE);
	assert_true(vmmio_read(&r.m, VMMIO_DEVICE_FEATURES) & BIT(VIRTIO_F_EVENT_IDX));
	vmmio_write(&r.m, VMMIO_DRIVER_FEATURES, 5);
	assert_int_equal(r.f->v.accepted, 5);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_device_says_what_it_is),
		cmocka_unit_test(registers_are_read_in_aligned_words_only),
		cmocka_unit_test(registers_are_written_in_aligned_words_only),
		cmocka_unit_test(registers_that_are_read_only_or_unknown_take_nothing),
		cmocka_unit_test(status_values_that_no_status_has_do_nothing),
		cmocka_unit_test(configuration_takes_all_sizes_and_ends_where_it_ends),
		cmocka_unit_test(halves_of_an_address_are_written_in_any_order),
		cmocka_unit_test(a_queue_is_taken_back_by_queue_ready),
		cmocka_unit_test(a_queue_with_requests_under_way_cannot_be_taken_back),
		cmocka_unit_test(notifications_come_by_doorbell_from_driver_ok_to_reset),
		cmocka_unit_test(a_doorbell_is_taken_away_as_often_as_it_was_installed),
		cmocka_unit_test(only_enabled_queues_have_a_doorbell),
		cmocka_unit_test(without_doorbells_notifications_are_register_writes),
		cmocka_unit_test(the_line_is_high_until_all_was_acknowledged),
		cmocka_unit_test(a_reset_lets_go_of_the_line_and_all_selections),
	};

	return cmocka_run_group_tests_name("virtio-mmio", tests, NULL, NULL);
}
