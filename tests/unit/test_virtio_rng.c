/*
 * The entropy device (devices/virtio_rng.c), played by a driver over virtio-mmio, with a host
 * whose random numbers are the test's own.
 *
 * Does not prove that the bytes are random, which is the host kernel's business, or that a
 * guest's kernel makes use of them (check-bed).
 */
#include "tests/unit/devtest.h"

#include <sys/random.h>

#include "devices/classes.h"
#include "tests/unit/vmmio.h"

#define BASE	   0xd0000000
#define RAM	   (4 * MIB)
#define QUEUE_SIZE 64
#define RINGS	   0x10000
#define DATA	   0x100000
#define MAX	   4096 /* bytes of one request */

/* What the device links to instead of the host's. */
static struct {
	unsigned int n_calls;
	size_t n_bytes;
	size_t max; /* bytes of one call; 0: all that is asked for */
	int err;    /* it fails with this */
} host;

ssize_t getrandom(void *buf, size_t len, unsigned int flags)
{
	host.n_calls++;
	assert_true(flags & GRND_NONBLOCK); /* the loop serves others, too */
	if (host.err) {
		errno = host.err;
		return -1;
	}
	if (host.max)
		len = min_u64(len, host.max);
	memset(buf, 0xa5, len);
	host.n_bytes += len;
	return (ssize_t)len;
}

struct rig {
	struct devtest t;
	struct vmmio m;
	struct vqd q;
};

static void bring_up(struct rig *r)
{
	assert_true(vmmio_begin(&r->m, 0));
	assert_true(vmmio_queue(&r->m, 0, &r->q, RINGS, QUEUE_SIZE));
	assert_true(vmmio_driver_ok(&r->m));
	devtest_run(&r->t);
}

static void rig_up(struct rig *r)
{
	struct virtio_cfg cfg = { .cls = &virtio_rng_class, .mmio = &r->t.mmio, .base = BASE };

	memset(&host, 0, sizeof(host));
	*r = (struct rig){ 0 };
	devtest_init(&r->t, 0);
	devtest_add_ram(&r->t, 0, RAM);
	devtest_plug(&r->t, &(struct dev_slot){
				    .cls = &virtio_mmio_class,
				    .name = "rng0",
				    .ranges = { { &r->t.mmio, BASE, VMMIO_LEN, BUS_SIZE_ANY, 0 } },
				    .cfg = &cfg });
	r->m = (struct vmmio){ .bus = &r->t.mmio, .gm = &r->t.gmem, .base = BASE };
	bring_up(r);
}

static void rig_fini(struct rig *r)
{
	devtest_fini(&r->t);
}

static int ask(struct rig *r, const struct vqd_buf *bufs, unsigned int n)
{
	int head = vqd_add(&r->q, bufs, n);

	assert_true(head >= 0);
	vmmio_notify(&r->m, 0);
	return head;
}

/* Whether RAM holds random bytes from @gpa on, and just so many. */
static void assert_filled(struct rig *r, u64 gpa, size_t len)
{
	u8 buf[2 * MAX];

	assert_int_equal(gmem_read(&r->t.gmem, gpa, buf, len + 1), 0);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(buf[i], 0xa5);
	assert_int_equal(buf[len], 0);
}

static void it_is_an_entropy_device_with_one_queue_and_nothing_else(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	assert_int_equal(vmmio_read(&r.m, VMMIO_DEVICE_ID), VIRTIO_ID_RNG);
	assert_int_equal(vmmio_offered(&r.m), BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_EVENT_IDX) |
						      BIT(VIRTIO_F_INDIRECT_DESC));
	assert_int_equal(vmmio_read(&r.m, VMMIO_CONFIG), UINT32_MAX);
	vmmio_write(&r.m, VMMIO_QUEUE_SEL, 1);
	assert_int_equal(vmmio_read(&r.m, VMMIO_QUEUE_NUM_MAX), 0);
	rig_fini(&r);
}

static void a_buffer_is_filled_with_the_hosts_random_bytes(void **state)
{
	struct rig r;
	u32 len;
	int head;

	(void)state;
	rig_up(&r);
	head = ask(&r, &(struct vqd_buf){ DATA, 64, true }, 1);
	assert_int_equal(host.n_calls, 0); /* not on the vCPU */
	devtest_run(&r.t);
	assert_int_equal(vqd_used(&r.q, &len), head);
	assert_int_equal(len, 64);
	assert_filled(&r, DATA, 64);
	assert_true(devtest_irq(&r.t));
	rig_fini(&r);
}

static void a_request_in_pieces_is_one_stream(void **state)
{
	static const struct vqd_buf bufs[] = { { DATA + 0x1000, 7, true },
					       { DATA, 1, true },
					       { DATA + 0x2000, 100, true } };
	struct rig r;
	u32 len;

	(void)state;
	rig_up(&r);
	ask(&r, bufs, 3);
	devtest_run(&r.t);
	assert_true(vqd_used(&r.q, &len) >= 0);
	assert_int_equal(len, 108);
	for (int i = 0; i < 3; i++)
		assert_filled(&r, bufs[i].gpa, bufs[i].len);
	rig_fini(&r);
}

static void a_huge_request_is_cut_and_says_how_much_it_got(void **state)
{
	struct rig r;
	u32 len;

	(void)state;
	rig_up(&r);
	ask(&r, &(struct vqd_buf){ DATA, 2 * MIB, true }, 1);
	devtest_run(&r.t);
	assert_true(vqd_used(&r.q, &len) >= 0);
	assert_int_equal(len, MAX);
	assert_filled(&r, DATA, MAX);
	rig_fini(&r);
}

static void what_the_host_gave_less_is_what_the_driver_is_told(void **state)
{
	struct rig r;
	u32 len;

	(void)state;
	rig_up(&r);
	host.max = 256;
	ask(&r, &(struct vqd_buf){ DATA, 1000, true }, 1);
	devtest_run(&r.t);
	assert_true(vqd_used(&r.q, &len) >= 0);
	assert_int_equal(len, 256);
	assert_filled(&r, DATA, 256);
	rig_fini(&r);
}

static void a_request_without_room_is_done_at_once(void **state)
{
	struct rig r;
	u32 len;

	(void)state;
	rig_up(&r);
	ask(&r, &(struct vqd_buf){ DATA, 64, false }, 1);
	devtest_run(&r.t);
	assert_true(vqd_used(&r.q, &len) >= 0);
	assert_int_equal(len, 0);
	assert_int_equal(host.n_calls, 0);
	assert_filled(&r, DATA, 0);
	rig_fini(&r);
}

static void a_full_queue_of_huge_requests_costs_a_bounded_amount(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	for (int i = 0; i < QUEUE_SIZE; i++)
		ask(&r, &(struct vqd_buf){ DATA, 3 * MIB - 0x100, true }, 1);
	devtest_run(&r.t);
	for (int i = 0; i < QUEUE_SIZE; i++)
		assert_true(vqd_used(&r.q, NULL) >= 0);
	assert_int_equal(host.n_bytes, QUEUE_SIZE * MAX);
	rig_fini(&r);
}

static void without_entropy_it_looks_again_later(void **state)
{
	struct rig r;
	int heads[2];
	u32 len;

	(void)state;
	rig_up(&r);
	host.err = EAGAIN;
	heads[0] = ask(&r, &(struct vqd_buf){ DATA, 16, true }, 1);
	devtest_run(&r.t);
	heads[1] = ask(&r, &(struct vqd_buf){ DATA + 0x1000, 16, true }, 1);
	devtest_advance(&r.t, NSEC_PER_SEC);
	assert_int_equal(vqd_used(&r.q, NULL), -EAGAIN);
	assert_in_range(host.n_calls, 5, 20);
	assert_true(devtest_timer_armed(&r.t));

	host.err = 0;
	devtest_advance(&r.t, NSEC_PER_SEC);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vqd_used(&r.q, &len), heads[i]);
		assert_int_equal(len, 16);
	}
	assert_filled(&r, DATA, 16);
	assert_filled(&r, DATA + 0x1000, 16);
	assert_false(devtest_timer_armed(&r.t));
	rig_fini(&r);
}

static void a_reset_ends_the_wait_for_entropy(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	host.err = EAGAIN;
	ask(&r, &(struct vqd_buf){ DATA, 16, true }, 1);
	devtest_run(&r.t);
	assert_true(devtest_timer_armed(&r.t));
	vmmio_write(&r.m, VMMIO_STATUS, 0);
	assert_int_equal(vmmio_read(&r.m, VMMIO_STATUS), 0);
	assert_false(devtest_timer_armed(&r.t));

	host.err = 0;
	bring_up(&r);
	ask(&r, &(struct vqd_buf){ DATA, 16, true }, 1);
	devtest_run(&r.t);
	assert_true(vqd_used(&r.q, NULL) >= 0);
	rig_fini(&r);
}

static void destroyed_while_it_waits_it_leaves_no_timer(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	host.err = EAGAIN;
	ask(&r, &(struct vqd_buf){ DATA, 16, true }, 1);
	devtest_run(&r.t);
	assert_true(devtest_timer_armed(&r.t));
	dev_destroy(r.t.dev);
	r.t.dev = NULL;
	assert_false(devtest_timer_armed(&r.t));
	rig_fini(&r);
}

static void a_hostile_ring_breaks_it_until_reset(void **state)
{
	struct rig r;
	u32 len;

	(void)state;
	rig_up(&r);
	vqd_raw_desc(&r.q, 0, BASE, 64, VQD_F_WRITE, 0); /* its own registers */
	vqd_raw_ring(&r.q, 0, 0);
	vqd_raw_avail_idx(&r.q, 1);
	vmmio_notify(&r.m, 0);
	devtest_run(&r.t);
	assert_true(vmmio_read(&r.m, VMMIO_STATUS) & VIRTIO_S_NEEDS_RESET);
	assert_int_equal(host.n_calls, 0);
	bring_up(&r);
	ask(&r, &(struct vqd_buf){ DATA, 16, true }, 1);
	devtest_run(&r.t);
	assert_true(vqd_used(&r.q, &len) >= 0);
	assert_int_equal(len, 16);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_an_entropy_device_with_one_queue_and_nothing_else),
		cmocka_unit_test(a_buffer_is_filled_with_the_hosts_random_bytes),
		cmocka_unit_test(a_request_in_pieces_is_one_stream),
		cmocka_unit_test(a_huge_request_is_cut_and_says_how_much_it_got),
		cmocka_unit_test(what_the_host_gave_less_is_what_the_driver_is_told),
		cmocka_unit_test(a_request_without_room_is_done_at_once),
		cmocka_unit_test(a_full_queue_of_huge_requests_costs_a_bounded_amount),
		cmocka_unit_test(without_entropy_it_looks_again_later),
		cmocka_unit_test(a_reset_ends_the_wait_for_entropy),
		cmocka_unit_test(destroyed_while_it_waits_it_leaves_no_timer),
		cmocka_unit_test(a_hostile_ring_breaks_it_until_reset),
	};

	return cmocka_run_group_tests_name("virtio-rng", tests, NULL, NULL);
}
