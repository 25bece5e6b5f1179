/*
 * The client of vhost-net against a kernel that the test plays: what it is told and in which
 * order, and that nothing runs after a failure.
 *
 * Does not prove that a real vhost-net agrees (the stock kernel in the bed does), or anything of
 * the tap and of interrupts behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "linux-uapi/vhost.h"
#include "vmm/gmem.h"
#include "vmm/vhost.h"

#define LOW_SIZE ((u64)64 * GMEM_PAGE_SIZE)
#define TOP_GPA	 ((u64)1 << 32)
#define TOP_SIZE ((u64)16 * GMEM_PAGE_SIZE)
#define TAP	 99 /* descriptors are but numbers here */

/* ---- the kernel ------------------------------------------------------------------------ */

struct ring_state {
	u32 num, base;
	struct vhost_vring_addr addr;
	int kick, call, err, tap; /* -1: none */
};

static struct kernel {
	bool owned;
	u64 features;
	unsigned int n_regions;
	struct vhost_memory_region regions[GMEM_MAX_REGIONS];
	struct ring_state rings[2];
	unsigned int n_calls, fail_at; /* from 1; 0: none */
} k;

static int set_backend(struct ring_state *r, int fd)
{
	/* a ring whose addresses were not told cannot be started, nor stopped */
	if (!k.owned || !r->num || !r->addr.desc_user_addr)
		return -EFAULT;
	if (fd >= 0 && !k.n_regions)
		return -EFAULT;
	r->tap = fd;
	return 0;
}

static int fake_ioctl(int fd, u32 request, void *arg)
{
	struct vhost_vring_state *state = arg;
	struct vhost_vring_file *file = arg;
	struct ring_state *r;

	assert_int_equal(fd, 7);
	if (++k.n_calls == k.fail_at)
		return -EIO;
	if (request == VHOST_SET_OWNER) {
		if (k.owned)
			return -EBUSY;
		k.owned = true;
		return 0;
	}
	if (request == VHOST_SET_FEATURES) {
		memcpy(&k.features, arg, sizeof(k.features));
		return 0;
	}
	assert_true(k.owned);
	if (request == VHOST_SET_MEM_TABLE) {
		struct vhost_memory *mem = arg;

		assert_int_equal(mem->padding, 0);
		k.n_regions = mem->nregions;
		memcpy(k.regions, mem->regions, k.n_regions * sizeof(*k.regions));
		return 0;
	}
	assert_true(state->index < 2);
	r = &k.rings[state->index];
	switch (request) {
	case VHOST_SET_VRING_NUM:
		assert_int_equal(r->tap, -1);
		r->num = state->num;
		return 0;
	case VHOST_SET_VRING_BASE:
		assert_int_equal(r->tap, -1);
		r->base = state->num;
		return 0;
	case VHOST_GET_VRING_BASE:
		state->num = r->base;
		return 0;
	case VHOST_SET_VRING_ADDR:
		memcpy(&r->addr, arg, sizeof(r->addr));
		return 0;
	case VHOST_SET_VRING_KICK:
		r->kick = file->fd;
		return 0;
	case VHOST_SET_VRING_CALL:
		r->call = file->fd;
		return 0;
	case VHOST_SET_VRING_ERR:
		r->err = file->fd;
		return 0;
	case VHOST_NET_SET_BACKEND:
		return set_backend(r, file->fd);
	}
	fail_msg("request 0x%x", request);
	return -ENOTTY;
}

static void kernel_reset(void)
{
	memset(&k, 0, sizeof(k));
	for (int i = 0; i < 2; i++)
		k.rings[i].kick = k.rings[i].call = k.rings[i].err = k.rings[i].tap = -1;
}

static void check_idle(void)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(k.rings[i].tap, -1);
		assert_int_equal(k.rings[i].kick, -1);
		assert_int_equal(k.rings[i].call, -1);
		assert_int_equal(k.rings[i].err, -1);
	}
}

/* ---- tests ------------------------------------------------------------------------------ */

struct bench {
	struct gmem gm;
	struct vhost vh;
	struct vhost_ring rings[VHOST_NET_RINGS];
};

static void setup(struct bench *b)
{
	kernel_reset();
	*b = (struct bench){ 0 };
	assert_int_equal(gmem_add(&b->gm, 0, LOW_SIZE, NULL), 0);
	assert_int_equal(gmem_add(&b->gm, TOP_GPA, TOP_SIZE, NULL), 0);
	b->vh = (struct vhost){ .fd = 7, .tap = TAP, .features = UINT64_MAX, .ioctl = fake_ioctl };
	b->rings[0] = (struct vhost_ring){ .size = 256,
					   .desc = 0x1000,
					   .avail = 0x2000,
					   .used = 0x3000,
					   .kick = 10,
					   .call = 11,
					   .err = 12 };
	b->rings[1] = (struct vhost_ring){ .size = 64,
					   .next = 0xfffe,
					   .desc = TOP_GPA,
					   .avail = TOP_GPA + 64 * 16,
					   .used = TOP_GPA + 64 * 16 + 6 + 64 * 2 + 2,
					   .kick = 20,
					   .call = 21,
					   .err = -1 };
}

static int start(struct bench *b)
{
	return vhost_net_start(&b->vh, &b->gm, UINT64_MAX, b->rings);
}

static u64 host_of(const struct bench *b, unsigned int region, u64 off)
{
	return (u64)(uintptr_t)b->gm.regions[region].host + off;
}

static void kernel_is_told_of_memory_and_rings_before_they_run(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	assert_int_equal(start(&b), 0);
	assert_true(k.owned);
	/* of all the driver took only what changes rings and buffers */
	assert_int_equal(k.features, BIT(15) | BIT(28) | BIT(29) | BIT(32));
	assert_int_equal(k.n_regions, 2);
	assert_int_equal(k.regions[0].guest_phys_addr, 0);
	assert_int_equal(k.regions[0].memory_size, LOW_SIZE);
	assert_int_equal(k.regions[0].userspace_addr, host_of(&b, 0, 0));
	assert_int_equal(k.regions[1].guest_phys_addr, TOP_GPA);
	assert_int_equal(k.regions[1].memory_size, TOP_SIZE);
	assert_int_equal(k.regions[1].userspace_addr, host_of(&b, 1, 0));
	assert_int_equal(k.regions[1].flags_padding, 0);
	assert_int_equal(k.rings[0].num, 256);
	assert_int_equal(k.rings[0].base, 0);
	assert_int_equal(k.rings[0].addr.flags, 0);
	assert_int_equal(k.rings[0].addr.desc_user_addr, host_of(&b, 0, 0x1000));
	assert_int_equal(k.rings[0].addr.avail_user_addr, host_of(&b, 0, 0x2000));
	assert_int_equal(k.rings[0].addr.used_user_addr, host_of(&b, 0, 0x3000));
	assert_int_equal(k.rings[1].num, 64);
	assert_int_equal(k.rings[1].base, 0xfffe);
	assert_int_equal(k.rings[1].addr.desc_user_addr, host_of(&b, 1, 0));
	assert_int_equal(k.rings[0].kick, 10);
	assert_int_equal(k.rings[0].call, 11);
	assert_int_equal(k.rings[0].err, 12);
	assert_int_equal(k.rings[1].kick, 20);
	assert_int_equal(k.rings[1].call, 21);
	assert_int_equal(k.rings[1].err, -1);
	assert_int_equal(k.rings[0].tap, TAP);
	assert_int_equal(k.rings[1].tap, TAP);
	gmem_fini(&b.gm);
}

static void rings_come_back_where_the_kernel_left_them_and_start_again(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	assert_int_equal(vhost_net_stop(&b.vh, VHOST_NET_RX), 0); /* has never run */
	assert_int_equal(k.n_calls, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(start(&b), 0);
		k.rings[0].base = 17;
		k.rings[1].base = 3;
		assert_int_equal(vhost_net_stop(&b.vh, VHOST_NET_RX), 17);
		assert_int_equal(k.rings[0].tap, -1);
		assert_int_equal(k.rings[1].tap, TAP); /* each by itself */
		assert_int_equal(vhost_net_stop(&b.vh, VHOST_NET_TX), 3);
		check_idle();
		assert_int_equal(vhost_net_stop(&b.vh, VHOST_NET_RX), 17); /* does no harm */
	}
	gmem_fini(&b.gm);
}

static void interrupts_can_be_led_elsewhere_while_it_runs(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	assert_int_equal(start(&b), 0);
	assert_int_equal(vhost_net_set_call(&b.vh, VHOST_NET_TX, 33), 0);
	assert_int_equal(k.rings[1].call, 33);
	assert_int_equal(k.rings[0].call, 11);
	assert_int_equal(vhost_net_set_call(&b.vh, VHOST_NET_RX, -1), 0);
	assert_int_equal(k.rings[0].call, -1);
	gmem_fini(&b.gm);
}

static void feature_that_the_kernel_lacks_leaves_the_rings_here(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	b.vh.features &= ~BIT(29);
	assert_int_equal(start(&b), -EOPNOTSUPP);
	assert_int_equal(k.n_calls > 0 && k.owned, 0);
	check_idle();
	/* one that does not concern the rings may lack, and so may what the driver did not take */
	b.vh.features = BIT(32);
	assert_int_equal(vhost_net_start(&b.vh, &b.gm, BIT(32) | BIT(0) | BIT(11), b.rings), 0);
	assert_int_equal(k.features, BIT(32));
	gmem_fini(&b.gm);
}

static void ring_outside_of_ram_is_refused(void **state)
{
	static const struct {
		u64 desc, avail, used;
		int ret;
	} cases[] = {
		{ LOW_SIZE - 256 * 16, 0x2000, 0x3000, 0 },
		{ LOW_SIZE - 256 * 16 + 16, 0x2000, 0x3000, -EFAULT },
		{ 0x1000, LOW_SIZE - 518, 0x3000, 0 },
		{ 0x1000, LOW_SIZE - 516, 0x3000, -EFAULT },
		{ 0x1000, 0x2000, LOW_SIZE - 2056, 0 },
		{ 0x1000, 0x2000, LOW_SIZE - 2052, -EFAULT },
		{ UINT64_MAX - 15, 0x2000, 0x3000, -EFAULT },
		{ TOP_GPA + TOP_SIZE, 0x2000, 0x3000, -EFAULT },
		{ 0x1008, 0x2000, 0x3000, -EINVAL },
		{ 0x1000, 0x2001, 0x3000, -EINVAL },
		{ 0x1000, 0x2000, 0x3002, -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench b;

		setup(&b);
		b.rings[0].desc = cases[i].desc;
		b.rings[0].avail = cases[i].avail;
		b.rings[0].used = cases[i].used;
		assert_int_equal(start(&b), cases[i].ret);
		if (cases[i].ret)
			check_idle();
		gmem_fini(&b.gm);
	}
}

static void whatever_fails_nothing_runs_after_it(void **state)
{
	unsigned int n;
	struct bench b;

	(void)state;
	setup(&b);
	assert_int_equal(start(&b), 0);
	n = k.n_calls;
	gmem_fini(&b.gm);
	for (unsigned int i = 1; i <= n; i++) {
		setup(&b);
		k.fail_at = i;
		assert_int_equal(start(&b), -EIO);
		check_idle();
		/* and it can be tried again */
		assert_int_equal(start(&b), 0);
		assert_int_equal(k.rings[0].tap, TAP);
		gmem_fini(&b.gm);
	}
}

static void host_without_vhost_net_says_so(void **state)
{
	struct lkvm_error err = { 0 };
	struct vhost vh = VHOST_CLOSED;
	int ret;

	(void)state;
	vhost_net_close(&vh);
	ret = vhost_net_open(&vh, TAP, &err);
	if (!ret) { /* it is there: then it says what it can */
		assert_true(vh.features & BIT(32));
		vhost_net_close(&vh);
	} else {
		assert_true(ret < 0);
		assert_int_equal(err.kind, LKVM_ERR_UNSUPPORTED);
		assert_non_null(strstr(err.msg, "/dev/vhost-net"));
	}
	assert_int_equal(vh.fd, -1);
	vhost_net_close(&vh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_is_told_of_memory_and_rings_before_they_run),
		cmocka_unit_test(rings_come_back_where_the_kernel_left_them_and_start_again),
		cmocka_unit_test(interrupts_can_be_led_elsewhere_while_it_runs),
		cmocka_unit_test(feature_that_the_kernel_lacks_leaves_the_rings_here),
		cmocka_unit_test(ring_outside_of_ram_is_refused),
		cmocka_unit_test(whatever_fails_nothing_runs_after_it),
		cmocka_unit_test(host_without_vhost_net_says_so),
	};

	return cmocka_run_group_tests_name("vhost-net", tests, NULL, NULL);
}
