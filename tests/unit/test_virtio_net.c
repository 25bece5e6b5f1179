/*
 * The network card, played by a driver over MMIO, with a host side that the test drives:
 * sending, receiving, running out of either side's room, the control queue, several pairs, resets
 * in the middle, and drivers that break the rules.
 *
 * Does not prove that the back ends keep their side of vmm/net.h (their own tests do) or that
 * stock drivers get along with the card (check-bed does).
 */
#include "tests/unit/devtest.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "devices/classes.h"
#include "tests/unit/fakenet.h"
#include "tests/unit/vmmio.h"

#define BASE 0xd0000000
#define RAM  (32 * MIB)

#define SIZE	 64 /* entries of the queues here, but where the test says so */
#define RINGS(i) (0x10000 + 0x30000 * (u64)(i))
#define DATA	 (16 * MIB)
#define BUF(i)	 (DATA + (u64)((i) % 512) * 16 * KIB)
#define TX_DATA	 (DATA + 8 * MIB)

/* Section 5.1.3, said again. */
#define F_CSUM		BIT(0)
#define F_GUEST_CSUM	BIT(1)
#define F_CTRL_OFFLOADS BIT(2)
#define F_MTU		BIT(3)
#define F_MAC		BIT(5)
#define F_GUEST_TSO4	BIT(7)
#define F_GUEST_TSO6	BIT(8)
#define F_GUEST_ECN	BIT(9)
#define F_HOST_TSO4	BIT(11)
#define F_HOST_TSO6	BIT(12)
#define F_HOST_ECN	BIT(13)
#define F_MRG_RXBUF	BIT(15)
#define F_STATUS	BIT(16)
#define F_CTRL_VQ	BIT(17)
#define F_MQ		BIT(22)
#define F_CTRL_MAC_ADDR BIT(23)
#define F_GUEST_USO4	BIT(54)
#define F_GUEST_USO6	BIT(55)
#define F_HOST_USO	BIT(56)
#define F_EVENT_IDX	BIT(VIRTIO_F_EVENT_IDX)
#define F_ALWAYS	(F_MAC | F_STATUS | F_MRG_RXBUF | F_CTRL_VQ | F_CTRL_MAC_ADDR)
#define F_CORE		(F_EVENT_IDX | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_INDIRECT_DESC))
#define F_GUEST_TSO	(F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6)
#define OFFLOADS	(NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6)
#define ALL_OFFLOADS	(OFFLOADS | NET_OFFLOAD_ECN | NET_OFFLOAD_USO)
#define LINK_UP		1
#define INT_USED	1
#define INT_CONFIG	2
#define PATIENCE_NS	(10 * NSEC_PER_MSEC)
#define RX		0
#define TX		1
#define CTRL		2 /* without MQ */
#define ACK_OK		0
#define ACK_ERR		1
#define ACK_NONE	0xee
#define MTU_FRAME	1514
#define LARGE_FRAME	(NET_HDR_LEN + NET_MAX_FRAME)
#define MAX_QUEUES	(2 * NET_MAX_PAIRS + 1)

static const u8 mac[6] = { 2, 0, 0, 0, 0, 1 };

struct card {
	struct devtest t;
	struct fakenet f;
	struct vmmio m;
	struct vqd q[MAX_QUEUES];
	unsigned int n_bufs; /* receive buffers given so far */
};

static void card_plug(struct card *c, struct net *net, u16 mtu, unsigned int pairs)
{
	struct virtio_net_cfg cfg = { .net = net, .mtu = mtu, .pairs = pairs };

	memcpy(cfg.mac, mac, sizeof(mac));
	devtest_plug(&c->t,
		     &(struct dev_slot){
			     .cls = &virtio_mmio_class,
			     .name = "net0",
			     .ranges = { { &c->t.mmio, BASE, VMMIO_LEN, BUS_SIZE_ANY, 0 } },
			     .cfg = &(struct virtio_cfg){ .cls = &virtio_net_class, .cfg = &cfg },
		     });
	c->m = (struct vmmio){ &c->t.mmio, &c->t.gmem, BASE, 0 };
}

/* A card whose host side can do @offloads and has @pairs. */
static struct card *card_new(u64 offloads, unsigned int pairs)
{
	struct card *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	devtest_init(&c->t, 0);
	devtest_add_ram(&c->t, 0, RAM);
	fakenet_init(&c->f, c->t.loop, &c->t.log, offloads, pairs);
	card_plug(c, &c->f.net, 0, pairs);
	return c;
}

static void card_free(struct card *c)
{
	devtest_fini(&c->t);
	assert_null(c->f.net.dev);
	for (unsigned int i = 0; i < NET_MAX_PAIRS; i++)
		assert_false(c->f.want[i]);
	assert_int_equal(c->f.offloads, 0);
	assert_int_equal(c->f.pairs, 1);
	free(c);
}

/* A driver starts, with @features and the first @n queues of @size entries. */
static void drive_size(struct card *c, u64 features, unsigned int n, u16 size)
{
	assert_true(vmmio_begin(&c->m, features));
	devtest_run(&c->t);
	for (unsigned int i = 0; i < n; i++)
		assert_true(vmmio_queue(&c->m, i, &c->q[i], RINGS(i), size));
	assert_true(vmmio_driver_ok(&c->m));
	devtest_run(&c->t);
	c->n_bufs = 0;
}

static void drive(struct card *c, u64 features)
{
	drive_size(c, features, 3, SIZE);
}

static void run(struct card *c, unsigned int queue)
{
	if (vqd_must_kick(&c->q[queue]))
		vmmio_notify(&c->m, queue);
	devtest_run(&c->t);
}

static bool broken(const struct card *c)
{
	return vmmio_read(&c->m, VMMIO_STATUS) & VIRTIO_S_NEEDS_RESET;
}

static u8 config8(struct card *c, u32 off)
{
	return (u8)bus_read(&c->t.mmio, BASE + VMMIO_CONFIG + off, 1, NULL);
}

static u16 config16(struct card *c, u32 off)
{
	return (u16)bus_read(&c->t.mmio, BASE + VMMIO_CONFIG + off, 2, NULL);
}

/* ---- what the driver is told --------------------------------------------------------- */

static void features_are_what_the_host_side_can_do(void **state)
{
	static const struct {
		u64 offloads, features;
	} cases[] = {
		{ 0, 0 },
		{ NET_OFFLOAD_CSUM, F_CSUM | F_GUEST_CSUM | F_CTRL_OFFLOADS },
		{ NET_OFFLOAD_TSO4 | NET_OFFLOAD_USO, 0 }, /* nothing without checksums */
		{ OFFLOADS, F_CSUM | F_HOST_TSO4 | F_HOST_TSO6 | F_GUEST_TSO | F_CTRL_OFFLOADS },
		{ NET_OFFLOAD_CSUM | NET_OFFLOAD_ECN, F_CSUM | F_GUEST_CSUM | F_CTRL_OFFLOADS },
		{ NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN,
		  F_CSUM | F_GUEST_CSUM | F_HOST_TSO6 | F_GUEST_TSO6 | F_HOST_ECN | F_GUEST_ECN |
			  F_CTRL_OFFLOADS },
		{ NET_OFFLOAD_CSUM | NET_OFFLOAD_USO, F_CSUM | F_GUEST_CSUM | F_HOST_USO |
							      F_GUEST_USO4 | F_GUEST_USO6 |
							      F_CTRL_OFFLOADS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct card *c = card_new(cases[i].offloads, 1);

		assert_int_equal(vmmio_offered(&c->m), F_CORE | F_ALWAYS | cases[i].features);
		card_free(c);
	}
}

static void mac_link_pairs_and_mtu_are_in_the_configuration(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	dev_destroy(c->t.dev);
	assert_int_equal(bus_remove(&c->t.mmio, BASE), 0);
	c->f.net.max_pairs = 4;
	card_plug(c, &c->f.net, 9000, 4);
	assert_int_equal(vmmio_offered(&c->m), F_CORE | F_ALWAYS | F_MTU | F_MQ);
	for (u32 i = 0; i < sizeof(mac); i++)
		assert_int_equal(config8(c, i), mac[i]);
	assert_int_equal(config16(c, 6), LINK_UP);
	assert_int_equal(config16(c, 8), 4);
	assert_int_equal(config16(c, 10), 9000);
	assert_int_equal(config8(c, 12), 0xff); /* there is no more */
	assert_int_equal(vmmio_read(&c->m, VMMIO_DEVICE_ID), 1);
	card_free(c);
}

static void a_card_without_host_side_has_its_cable_out(void **state)
{
	struct card *c = card_new(ALL_OFFLOADS, 1);

	(void)state;
	dev_destroy(c->t.dev);
	assert_int_equal(bus_remove(&c->t.mmio, BASE), 0);
	card_plug(c, NULL, 0, 1);
	assert_int_equal(vmmio_offered(&c->m), F_CORE | F_ALWAYS);
	assert_int_equal(config16(c, 6), 0);
	drive(c, F_MRG_RXBUF | F_STATUS);
	assert_int_equal(vqd_add(&c->q[TX], &(struct vqd_buf){ DATA, 100, false }, 1), 0);
	assert_int_equal(vqd_add(&c->q[RX], &(struct vqd_buf){ DATA, 2000, true }, 1), 0);
	run(c, TX);
	run(c, RX);
	assert_int_equal(vqd_used(&c->q[TX], NULL), 0); /* gone, as on any wire */
	assert_int_equal(vqd_used(&c->q[RX], NULL), -EAGAIN);
	card_free(c);
}

static void a_change_of_the_link_is_told(void **state)
{
	struct card *c = card_new(0, 1);
	u32 generation;

	(void)state;
	drive(c, F_STATUS);
	vmmio_ack(&c->m);
	generation = vmmio_read(&c->m, VMMIO_CONFIG_GENERATION);
	fakenet_poke(&c->f);
	devtest_run(&c->t);
	assert_int_equal(vmmio_ack(&c->m), 0); /* no news */
	c->f.net.link = false;
	fakenet_poke(&c->f);
	devtest_run(&c->t);
	assert_int_equal(config16(c, 6), 0);
	assert_true(devtest_irq(&c->t));
	assert_int_equal(vmmio_ack(&c->m), INT_CONFIG);
	assert_int_not_equal(vmmio_read(&c->m, VMMIO_CONFIG_GENERATION), generation);
	/* Without a driver, it is there for the next one. */
	vmmio_write(&c->m, VMMIO_STATUS, 0);
	c->f.net.link = true;
	fakenet_poke(&c->f);
	devtest_run(&c->t);
	assert_int_equal(config16(c, 6), LINK_UP);
	assert_false(devtest_irq(&c->t));
	card_free(c);
}

/* ---- sending --------------------------------------------------------------------------- */

/* A frame of @len bytes, with header, the last of which is @fill. The head. */
static int tx_add(struct card *c, unsigned int queue, u32 len, u8 fill)
{
	u64 gpa = TX_DATA;

	assert_int_equal(gmem_write(&c->t.gmem, gpa + len - 1, &fill, 1), 0);
	return vqd_add(&c->q[queue], &(struct vqd_buf){ gpa, len, false }, 1);
}

static void frames_are_sent_as_they_are(void **state)
{
	struct card *c = card_new(0, 1);
	struct vqd_buf pieces[] = { { DATA, 7, false },
				    { DATA + 100, 9, false },
				    { DATA + 200, 1000, false } };
	u32 len = 1;

	(void)state;
	drive(c, F_MRG_RXBUF);
	gmem_write(&c->t.gmem, DATA + 200 + 999, "z", 1);
	assert_int_equal(vqd_add(&c->q[TX], pieces, 3), 0);
	assert_int_equal(tx_add(c, TX, NET_HDR_LEN + 14, 'b'), 3);
	run(c, TX);
	assert_int_equal(c->f.n_sent, 2);
	assert_int_equal(c->f.sent[0].len, 1016);
	assert_int_equal(c->f.sent[0].fill, 'z');
	assert_int_equal(c->f.sent[1].len, NET_HDR_LEN + 14);
	assert_int_equal(vqd_used(&c->q[TX], &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(vqd_used(&c->q[TX], &len), 3);
	assert_int_equal(vqd_used(&c->q[TX], &len), -EAGAIN);
	assert_int_equal(c->t.n_raised[DEVTEST_GSI], 1); /* for both */
	card_free(c);
}

static void what_is_no_frame_is_dropped_and_the_next_one_sent(void **state)
{
	static const u32 lens[] = {
		1, NET_HDR_LEN - 1, NET_HDR_LEN, NET_HDR_LEN + 13, LARGE_FRAME + 1, (u32)(8 * MIB)
	};
	struct card *c = card_new(0, 1);
	u32 len;

	(void)state;
	drive(c, 0);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		int head = vqd_add(&c->q[TX], &(struct vqd_buf){ DATA, lens[i], false }, 1);

		run(c, TX);
		len = 1;
		assert_int_equal(vqd_used(&c->q[TX], &len), head);
		assert_int_equal(len, 0);
	}
	/* Only room to write in: not a byte is sent, none written. */
	vqd_add(&c->q[TX], &(struct vqd_buf){ DATA, 2000, true }, 1);
	run(c, TX);
	assert_true(vqd_used(&c->q[TX], &len) >= 0);
	assert_int_equal(len, 0);
	assert_int_equal(c->f.n_sent, 0);
	assert_false(broken(c));
	assert_int_not_equal(c->t.n_msgs, 0);
	tx_add(c, TX, LARGE_FRAME, 'x');
	run(c, TX);
	assert_int_equal(c->f.n_sent, 1);
	assert_int_equal(c->f.sent[0].len, LARGE_FRAME);
	card_free(c);
}

static void frames_wait_while_the_host_side_is_full(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	drive(c, F_EVENT_IDX);
	c->f.room = 3;
	for (u8 i = 0; i < 10; i++)
		tx_add(c, TX, 100 + i, i);
	run(c, TX);
	assert_int_equal(c->f.n_sent, 3);
	assert_int_equal(vqd_raw_used_idx(&c->q[TX]), 3);
	vmmio_notify(&c->m, TX); /* a driver may say what it wants */
	devtest_run(&c->t);
	assert_int_equal(c->f.n_sent, 3);
	c->f.room = 4;
	fakenet_poke(&c->f);
	devtest_run(&c->t);
	assert_int_equal(c->f.n_sent, 7);
	c->f.room = 100;
	fakenet_poke(&c->f);
	devtest_run(&c->t);
	assert_int_equal(vqd_raw_used_idx(&c->q[TX]), 10);
	for (u8 i = 0; i < 10; i++)
		assert_int_equal(c->f.sent[i].len, 100 + i);
	/* And the driver is asked to notify again. */
	tx_add(c, TX, 200, 1);
	assert_true(vqd_must_kick(&c->q[TX]));
	card_free(c);
}

static void a_frame_that_can_never_be_sent_does_not_stop_the_others(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	drive(c, 0);
	c->f.send_ret = -EMSGSIZE;
	tx_add(c, TX, 100, 1);
	run(c, TX);
	assert_int_equal(vqd_raw_used_idx(&c->q[TX]), 1);
	c->f.send_ret = 0;
	tx_add(c, TX, 100, 2);
	run(c, TX);
	assert_int_equal(c->f.n_sent, 1);
	assert_int_equal(c->f.sent[0].fill, 2);
	card_free(c);
}

/* ---- receiving ------------------------------------------------------------------------- */

/* @n buffers of @len bytes each, at addresses of their own. */
static void rx_add(struct card *c, unsigned int queue, unsigned int n, u32 len)
{
	for (unsigned int i = 0; i < n; i++) {
		u64 gpa = BUF(c->n_bufs++);

		assert_true(vqd_add(&c->q[queue], &(struct vqd_buf){ gpa, len, true }, 1) >= 0);
	}
}

/* The @n bytes at @gpa are all @fill. */
static void assert_filled(struct card *c, u64 gpa, u32 n, u8 fill)
{
	u8 *bytes = malloc(n + 1);

	assert_non_null(bytes);
	assert_int_equal(gmem_read(&c->t.gmem, gpa, bytes, n), 0);
	for (u32 i = 0; i < n; i++)
		assert_int_equal(bytes[i], fill);
	free(bytes);
}

/*
 * Take a frame of @len bytes behind the header from queue @queue: whose buffers were given in the
 * order of their heads, and have @buf bytes each. It is the @nth buffer's.
 */
static void assert_received(struct card *c, unsigned int queue, unsigned int nth, u32 buf, u32 len,
			    u8 fill)
{
	unsigned int want = (NET_HDR_LEN + len + buf - 1) / buf;
	u8 hdr[NET_HDR_LEN];
	u32 left = NET_HDR_LEN + len, got;

	assert_int_equal(gmem_read(&c->t.gmem, BUF(nth), hdr, sizeof(hdr)), 0);
	assert_int_equal(get_le16(hdr + 10), want);
	for (unsigned int i = 0; i < want; i++) {
		u32 off = i ? 0 : NET_HDR_LEN, n = (u32)min_u64(buf, left);

		assert_true(vqd_used(&c->q[queue], &got) >= 0);
		assert_int_equal(got, n);
		assert_filled(c, BUF(nth + i) + off, n - off, fill);
		left -= n;
	}
}

static void a_frame_goes_into_as_many_buffers_as_it_takes(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	drive(c, F_MRG_RXBUF);
	rx_add(c, RX, 8, 512);
	run(c, RX);
	assert_true(c->f.want[0]);
	fakenet_arrive(&c->f, 0, MTU_FRAME, 'a'); /* three */
	devtest_run(&c->t);
	assert_received(c, RX, 0, 512, MTU_FRAME, 'a');
	fakenet_arrive(&c->f, 0, 60, 'b');
	fakenet_arrive(&c->f, 0, 500, 'c'); /* one, to the last byte */
	devtest_run(&c->t);
	assert_received(c, RX, 3, 512, 60, 'b');
	assert_received(c, RX, 4, 512, 500, 'c');
	assert_int_equal(vqd_used(&c->q[RX], NULL), -EAGAIN);
	assert_int_equal(c->f.n_queued, 0);
	card_free(c);
}

static void frames_and_buffers_may_come_in_any_order_and_size(void **state)
{
	struct card *c = card_new(OFFLOADS, 1);
	unsigned int nth = 0;

	(void)state;
	drive_size(c, F_MRG_RXBUF | F_GUEST_TSO | F_EVENT_IDX, 3, 256);
	for (unsigned int i = 0; i < 200; i++) {
		u32 len = 14 + (i * 7919) % (NET_MAX_FRAME - 14);
		unsigned int n = (NET_HDR_LEN + len + 2047) / 2048;

		/* 33 of them are room for any frame. */
		rx_add(c, RX, i ? n : 33 + n, 2048);
		run(c, RX);
		fakenet_arrive(&c->f, 0, len, (u8)i);
		devtest_run(&c->t);
		assert_int_equal(c->f.n_queued, 0);
		assert_received(c, RX, nth, 2048, len, (u8)i);
		nth += n;
	}
	assert_false(broken(c));
	card_free(c);
}

static void without_merging_a_frame_has_one_buffer_or_is_lost(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	drive(c, 0);
	fakenet_arrive(&c->f, 0, MTU_FRAME + 1, 'b');
	fakenet_arrive(&c->f, 0, MTU_FRAME, 'a');
	fakenet_arrive(&c->f, 0, MTU_FRAME + 1, 'b');
	fakenet_arrive(&c->f, 0, 60, 'c');
	rx_add(c, RX, 3, NET_HDR_LEN + MTU_FRAME);
	run(c, RX);
	assert_received(c, RX, 0, NET_HDR_LEN + MTU_FRAME, MTU_FRAME, 'a');
	assert_received(c, RX, 1, NET_HDR_LEN + MTU_FRAME, 60, 'c');
	assert_int_equal(vqd_used(&c->q[RX], NULL), -EAGAIN);
	assert_non_null(strstr(c->t.last_msg, "longer than"));
	card_free(c);
}

static void without_buffers_nothing_is_taken_and_with_some_it_goes_on(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	for (unsigned int event_idx = 0; event_idx < 2; event_idx++) {
		drive(c, F_MRG_RXBUF | (event_idx ? F_EVENT_IDX : 0));
		c->f.n_recv = c->f.n_ready = 0;
		for (unsigned int i = 0; i < 300; i++)
			fakenet_arrive(&c->f, 0, 1000, (u8)i);
		devtest_run(&c->t);
		assert_int_equal(c->f.n_recv, 0);
		for (unsigned int i = 0; i < 300; i++) {
			if (c->q[RX].n_free == SIZE)
				rx_add(c, RX, SIZE, 2048);
			run(c, RX);
			assert_received(c, RX, i, 2048, 1000, (u8)i);
		}
		assert_int_equal(c->f.n_queued, 0);
		assert_true(c->f.n_recv < 320);
		assert_true(c->f.n_ready < 20);
	}
	card_free(c);
}

static void a_flood_beyond_the_buffers_there_are_stays_outside(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	drive(c, F_MRG_RXBUF);
	rx_add(c, RX, 4, 2048);
	run(c, RX);
	assert_true(c->f.want[0]);
	c->f.endless = true;
	fakenet_arrive(&c->f, 0, 100, 'a');
	devtest_run(&c->t);
	assert_int_equal(vqd_raw_used_idx(&c->q[RX]), 4);
	assert_false(c->f.want[0]);
	assert_true(c->f.n_ready < 5);
	card_free(c);
}

static void room_for_the_largest_frame_is_waited_for_but_not_for_ever(void **state)
{
	struct card *c = card_new(OFFLOADS, 1);

	(void)state;
	drive(c, F_MRG_RXBUF | F_GUEST_TSO);
	assert_int_equal(c->f.offloads, OFFLOADS);
	rx_add(c, RX, 3, 4096);
	fakenet_arrive(&c->f, 0, 10000, 'a');
	run(c, RX);
	assert_int_equal(c->f.n_recv, 0);
	assert_false(c->f.want[0]);
	devtest_advance(&c->t, PATIENCE_NS - 1);
	assert_int_equal(c->f.n_recv, 0);
	devtest_advance(&c->t, 1);
	assert_received(c, RX, 0, 4096, 10000, 'a');
	/* Three more: its patience is gone, and frames that do not fit are lost. */
	rx_add(c, RX, 3, 4096);
	run(c, RX);
	fakenet_arrive(&c->f, 0, 12276, 'b');
	fakenet_arrive(&c->f, 0, 60, 'c');
	fakenet_arrive(&c->f, 0, 8000, 'd');
	devtest_run(&c->t);
	assert_received(c, RX, 3, 4096, 12276, 'b');
	rx_add(c, RX, 2, 4096);
	run(c, RX);
	assert_received(c, RX, 6, 4096, 60, 'c');
	assert_int_equal(c->f.n_queued, 0);
	/* Once there was room for any frame, the driver is trusted to make it again. */
	rx_add(c, RX, 16, 4096);
	run(c, RX);
	assert_true(c->f.want[0]);
	fakenet_arrive(&c->f, 0, 60000, 'e');
	fakenet_arrive(&c->f, 0, 60000, 'f');
	devtest_run(&c->t);
	assert_received(c, RX, 7, 4096, 60000, 'e');
	assert_int_equal(c->f.n_queued, 1);
	assert_true(devtest_timer_armed(&c->t));
	rx_add(c, RX, 16, 4096);
	run(c, RX);
	assert_received(c, RX, 22, 4096, 60000, 'f');
	card_free(c);
}

static void a_told_mtu_is_made_room_for(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	dev_destroy(c->t.dev);
	assert_int_equal(bus_remove(&c->t.mmio, BASE), 0);
	card_plug(c, &c->f.net, 9000, 1);
	drive(c, F_MRG_RXBUF | F_MTU);
	rx_add(c, RX, 6, 1536); /* more than 9000 + 14 + 4, 12 less would not be */
	run(c, RX);
	fakenet_arrive(&c->f, 0, 9014, 'a');
	devtest_run(&c->t);
	assert_received(c, RX, 0, 1536, 9014, 'a');
	card_free(c);
}

/* Another source of the loop, always ready, that looks how long the card kept it waiting. */
struct other {
	struct loop_fd lfd;
	const struct card *c;
	unsigned int turns, last, most; /* recv calls */
};

static void other_turn(struct loop_fd *lfd, u32 revents)
{
	struct other *o = container_of(lfd, struct other, lfd);
	unsigned int n = o->c->f.n_recv - o->last;

	(void)revents;
	o->most = (unsigned int)max_u64(o->most, n);
	o->last += n;
	if (++o->turns == 50)
		loop_fd_set(o->c->t.loop, lfd, 0);
}

static void other_devices_have_their_turn_while_frames_flood(void **state)
{
	struct card *c = card_new(0, 1);
	struct other o = { .lfd = { .fd = eventfd(1, 0), .fn = other_turn }, .c = c };

	(void)state;
	drive_size(c, F_MRG_RXBUF, 3, 256);
	assert_int_equal(loop_fd_add(c->t.loop, &o.lfd, NULL), 0);
	loop_fd_set(c->t.loop, &o.lfd, POLLIN);
	for (unsigned int i = 0; i < 250; i++)
		fakenet_arrive(&c->f, 0, 60, (u8)i);
	rx_add(c, RX, 250, 2048);
	run(c, RX);
	assert_int_equal(vqd_raw_used_idx(&c->q[RX]), 250);
	assert_int_equal(o.turns, 50);
	/* A round for the doorbell, and one for the host side. */
	assert_true(o.most > 1 && o.most <= 2 * VIRTIO_KICK_MAX);
	loop_fd_del(c->t.loop, &o.lfd);
	close(o.lfd.fd);
	card_free(c);
}

/* ---- rings and rules broken -------------------------------------------------------------- */

static void a_receive_buffer_that_cannot_be_written_breaks_the_card_until_reset(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	drive(c, F_MRG_RXBUF);
	c->f.endless = true;
	fakenet_arrive(&c->f, 0, 60, 'a');
	vqd_add(&c->q[RX], &(struct vqd_buf){ DATA, 2000, false }, 1);
	run(c, RX);
	assert_true(broken(c));
	assert_int_equal(vmmio_ack(&c->m), INT_CONFIG);
	assert_false(c->f.want[0]);
	assert_int_equal(c->f.n_recv, 0);
	drive(c, F_MRG_RXBUF);
	assert_false(broken(c));
	rx_add(c, RX, 1, 2000);
	run(c, RX);
	assert_received(c, RX, 0, 2000, 60, 'a');
	card_free(c);
}

static void a_broken_card_leaves_the_host_side_alone(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	drive(c, F_MRG_RXBUF);
	rx_add(c, RX, 2, 2000);
	run(c, RX);
	assert_true(c->f.want[0]);
	vqd_raw_avail_idx(&c->q[TX], 0x1234); /* nonsense on another queue */
	vmmio_notify(&c->m, TX);
	devtest_run(&c->t);
	assert_true(broken(c));
	c->f.endless = true;
	fakenet_arrive(&c->f, 0, 60, 'a');
	devtest_run(&c->t);
	assert_int_equal(c->f.n_recv, 1); /* when there were buffers and no frame */
	assert_true(c->f.n_ready < 5);
	assert_false(c->f.want[0]);
	assert_int_equal(vqd_raw_used_idx(&c->q[RX]), 0);
	card_free(c);
}

static void a_queue_that_was_taken_away_leaves_the_host_side_alone(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	drive(c, F_MRG_RXBUF);
	rx_add(c, RX, 2, 2000);
	run(c, RX);
	assert_true(c->f.want[0]);
	vmmio_write(&c->m, VMMIO_QUEUE_SEL, RX);
	vmmio_write(&c->m, VMMIO_QUEUE_READY, 0);
	c->f.endless = true;
	fakenet_arrive(&c->f, 0, 60, 'a');
	devtest_run(&c->t);
	assert_true(c->f.n_ready < 5);
	assert_int_equal(vqd_raw_used_idx(&c->q[RX]), 0);
	card_free(c);
}

static void buffers_of_odd_sizes_and_shapes_are_filled_or_passed_over(void **state)
{
	struct vqd_buf readable_first[] = { { DATA, 50, false }, { BUF(1), 2000, true } };
	struct card *c = card_new(0, 1);
	u8 hdr[NET_HDR_LEN];
	u32 len;

	(void)state;
	drive_size(c, F_MRG_RXBUF, 3, 256);
	/* A byte each: the header itself lies in twelve of them. */
	for (unsigned int i = 0; i < 200; i++)
		vqd_add(&c->q[RX], &(struct vqd_buf){ DATA + i, 1, true }, 1);
	run(c, RX);
	devtest_advance(&c->t, PATIENCE_NS);
	fakenet_arrive(&c->f, 0, 100, 'a');
	devtest_run(&c->t);
	assert_int_equal(vqd_raw_used_idx(&c->q[RX]), 112);
	assert_int_equal(gmem_read(&c->t.gmem, DATA, hdr, sizeof(hdr)), 0);
	assert_int_equal(get_le16(hdr + 10), 112);
	assert_filled(c, DATA + NET_HDR_LEN, 100, 'a');

	drive(c, F_MRG_RXBUF);
	vqd_add(&c->q[RX], readable_first, 2);
	run(c, RX);
	fakenet_arrive(&c->f, 0, 100, 'b');
	devtest_run(&c->t);
	assert_true(vqd_used(&c->q[RX], &len) >= 0);
	assert_int_equal(len, NET_HDR_LEN + 100);
	assert_filled(c, BUF(1) + NET_HDR_LEN, 100, 'b');
	assert_false(broken(c));
	card_free(c);
}

/* As many pieces as chains can have, so that what is held is as much as it ever gets. */
static void chains_of_many_pieces_are_joined(void **state)
{
	struct card *c = card_new(OFFLOADS, 1);
	struct vqd_buf pieces[256];
	u32 len;

	(void)state;
	drive_size(c, F_MRG_RXBUF | F_GUEST_TSO, 3, 256);
	for (unsigned int i = 0; i < 256; i++)
		pieces[i] = (struct vqd_buf){ DATA + 16 * i, 16, true };
	/* 255 pieces of one byte in as many chains, then 256 in one table. */
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 255; i++)
			vqd_add(&c->q[RX], &(struct vqd_buf){ DATA + 1 * MIB + i, 1, true }, 1);
		vqd_add_table(&c->q[RX], 4 * MIB, pieces, 256);
		fakenet_arrive(&c->f, 0, 255 + 4096 - NET_HDR_LEN, 'x');
		run(c, RX);
		for (unsigned int i = 0; i < 255; i++)
			assert_true(vqd_used(&c->q[RX], &len) >= 0);
		assert_int_equal(len, 1);
		assert_true(vqd_used(&c->q[RX], &len) >= 0);
		assert_int_equal(len, 4096);
		assert_filled(c, DATA, 4096, 'x');
	}
	assert_false(broken(c));
	card_free(c);
}

/* ---- control queue ------------------------------------------------------------------------- */

/* A command of @len bytes; the device's answer, ACK_NONE: it gave none. */
static u8 command(struct card *c, unsigned int queue, const void *bytes, u32 len)
{
	struct vqd_buf bufs[] = { { DATA, len, false }, { DATA + 64, 1, true } };
	u8 ack = ACK_NONE;
	u32 got;
	int head;

	assert_int_equal(gmem_write(&c->t.gmem, DATA, bytes, len), 0);
	assert_int_equal(gmem_write(&c->t.gmem, DATA + 64, &ack, 1), 0);
	head = vqd_add(&c->q[queue], len ? bufs : bufs + 1, len ? 2 : 1);
	assert_true(head >= 0);
	run(c, queue);
	assert_int_equal(vqd_used(&c->q[queue], &got), head);
	gmem_read(&c->t.gmem, DATA + 64, &ack, 1);
	assert_int_equal(got, ack != ACK_NONE);
	return ack;
}

static void the_mac_can_be_set_until_reset(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	drive(c, F_CTRL_VQ | F_CTRL_MAC_ADDR);
	assert_int_equal(command(c, CTRL, "\1\1\2\3\4\5\6\7", 8), ACK_OK);
	for (u32 i = 0; i < 6; i++)
		assert_int_equal(config8(c, i), i + 2);
	assert_int_equal(command(c, CTRL, "\1\1\3\3\4\5\6\7", 8), ACK_ERR); /* a group's */
	assert_int_equal(config8(c, 0), 2);
	vmmio_write(&c->m, VMMIO_STATUS, 0);
	for (u32 i = 0; i < 6; i++)
		assert_int_equal(config8(c, i), mac[i]);
	card_free(c);
}

static void offloads_follow_the_features_and_then_the_driver(void **state)
{
	static const struct {
		u64 features, offloads;
	} cases[] = {
		{ 0, 0 },
		{ F_GUEST_CSUM, NET_OFFLOAD_CSUM },
		{ F_GUEST_TSO4 | F_GUEST_TSO6, 0 }, /* nothing without checksums */
		{ F_GUEST_TSO, OFFLOADS },
		{ F_GUEST_CSUM | F_GUEST_USO4, NET_OFFLOAD_CSUM }, /* both or none */
		{ F_GUEST_CSUM | F_GUEST_USO4 | F_GUEST_USO6, NET_OFFLOAD_CSUM | NET_OFFLOAD_USO },
		{ F_GUEST_CSUM | F_GUEST_ECN, NET_OFFLOAD_CSUM },
		{ F_GUEST_TSO | F_GUEST_ECN, OFFLOADS | NET_OFFLOAD_ECN },
	};
	struct card *c = card_new(ALL_OFFLOADS, 1);
	u8 cmd[10] = { 5, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		drive(c, cases[i].features);
		assert_int_equal(c->f.offloads, cases[i].offloads);
	}
	drive(c, F_CTRL_VQ | F_CTRL_OFFLOADS | F_GUEST_TSO | F_MRG_RXBUF);
	assert_int_equal(command(c, CTRL, cmd, sizeof(cmd)), ACK_OK);
	assert_int_equal(c->f.offloads, 0);
	put_le64(cmd + 2, F_GUEST_CSUM | F_GUEST_TSO4);
	assert_int_equal(command(c, CTRL, cmd, sizeof(cmd)), ACK_OK);
	assert_int_equal(c->f.offloads, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
	put_le64(cmd + 2, F_GUEST_TSO | F_GUEST_ECN); /* was not accepted */
	assert_int_equal(command(c, CTRL, cmd, sizeof(cmd)), ACK_ERR);
	put_le64(cmd + 2, F_GUEST_TSO | F_MRG_RXBUF); /* is no offload */
	assert_int_equal(command(c, CTRL, cmd, sizeof(cmd)), ACK_ERR);
	assert_int_equal(c->f.offloads, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
	card_free(c);
}

static void junk_on_the_control_queue_is_answered_with_an_error(void **state)
{
	static const struct {
		const char *bytes;
		u32 len;
	} junk[] = {
		{ "", 0 },
		{ "\1", 1 },
		{ "\1\1", 2 },
		{ "\1\1\2\3", 4 },
		{ "\1\1\2\2\2\2\2", 7 },
		{ "\1\1\2\2\2\2\2\2\2", 9 },
		{ "\1\2\2\2\2", 5 },
		{ "\0\0\1", 3 },
		{ "\2\0\1\0", 4 },
		{ "\3\0", 2 },
		{ "\4\0\1\0", 4 },
		{ "\5\0\0\0\0\0\0\0\0\0", 10 },
		{ "\377\377", 2 },
		{ "\6\0\0\0\0\0\0\0", 8 },
	};
	struct card *c = card_new(OFFLOADS, 1);
	u8 big[4096] = { 1, 1, 2 };

	(void)state;
	/* MQ, CTRL_GUEST_OFFLOADS, CTRL_RX, VLAN and ANNOUNCE are not accepted or not there. */
	drive(c, F_CTRL_VQ | F_CTRL_MAC_ADDR);
	for (size_t i = 0; i < ARRAY_SIZE(junk); i++)
		assert_int_equal(command(c, CTRL, junk[i].bytes, junk[i].len), ACK_ERR);
	assert_int_equal(gmem_write(&c->t.gmem, DATA + 4 * MIB, big, sizeof(big)), 0);
	vqd_add(&c->q[CTRL],
		(struct vqd_buf[]){ { DATA + 4 * MIB, 4096, false }, { DATA + 64, 1, true } }, 2);
	run(c, CTRL);
	assert_true(vqd_used(&c->q[CTRL], NULL) >= 0);
	for (u32 i = 0; i < 6; i++)
		assert_int_equal(config8(c, i), mac[i]);
	assert_false(broken(c));
	assert_int_equal(command(c, CTRL, "\1\1\2\3\4\5\6\7", 8), ACK_OK);
	card_free(c);
}

static void a_command_that_cannot_be_answered_is_not_obeyed(void **state)
{
	struct card *c = card_new(0, 1);
	u32 len = 1;

	(void)state;
	drive(c, F_CTRL_VQ | F_CTRL_MAC_ADDR);
	gmem_write(&c->t.gmem, DATA, "\1\1\2\3\4\5\6\7", 8);
	vqd_add(&c->q[CTRL], &(struct vqd_buf){ DATA, 8, false }, 1);
	run(c, CTRL);
	assert_true(vqd_used(&c->q[CTRL], &len) >= 0);
	assert_int_equal(len, 0);
	assert_int_equal(config8(c, 1), mac[1]);
	card_free(c);
}

/* ---- several pairs --------------------------------------------------------------------------- */

static void pairs_work_once_the_driver_asked_for_them(void **state)
{
	struct card *c = card_new(0, 4);
	const unsigned int ctrl = 8, rx1 = 2, tx1 = 3;

	(void)state;
	drive_size(c, F_MRG_RXBUF | F_MQ | F_CTRL_VQ, 9, SIZE);
	rx_add(c, rx1, 2, 2048);
	run(c, rx1);
	tx_add(c, tx1, 100, 1);
	run(c, tx1);
	assert_int_equal(c->f.n_sent, 0);
	assert_false(c->f.want[1]);
	assert_int_equal(command(c, ctrl, "\4\0\0\0", 4), ACK_ERR);
	assert_int_equal(command(c, ctrl, "\4\0\5\0", 4), ACK_ERR);
	assert_int_equal(command(c, ctrl, "\4\0\1\1", 4), ACK_ERR);
	assert_int_equal(c->f.pairs, 1);
	assert_int_equal(command(c, ctrl, "\4\0\4\0", 4), ACK_OK);
	assert_int_equal(c->f.pairs, 4);
	/* What waited there goes. */
	assert_int_equal(c->f.n_sent, 1);
	assert_int_equal(c->f.sent[0].pair, 1);
	assert_true(c->f.want[1]);
	fakenet_arrive(&c->f, 1, 60, 'a');
	devtest_run(&c->t);
	assert_received(c, rx1, 0, 2048, 60, 'a');
	assert_int_equal(command(c, ctrl, "\4\0\1\0", 4), ACK_OK);
	assert_int_equal(c->f.pairs, 1);
	assert_false(c->f.want[1]);
	fakenet_arrive(&c->f, 1, 60, 'b');
	devtest_run(&c->t);
	assert_int_equal(vqd_used(&c->q[rx1], NULL), -EAGAIN);
	/* Back again, with the buffer that was left. */
	assert_int_equal(command(c, ctrl, "\4\0\2\0", 4), ACK_OK);
	assert_received(c, rx1, 1, 2048, 60, 'b');
	card_free(c);
}

static void without_mq_the_control_queue_is_the_third(void **state)
{
	struct card *c = card_new(0, 4);

	(void)state;
	drive_size(c, F_MRG_RXBUF | F_CTRL_VQ | F_CTRL_MAC_ADDR, 9, SIZE);
	assert_int_equal(command(c, 2, "\1\1\2\3\4\5\6\7", 8), ACK_OK);
	assert_int_equal(command(c, 2, "\4\0\2\0", 4), ACK_ERR);
	/* The others are no queues of anything, whatever a driver does with them. */
	tx_add(c, 3, 100, 1);
	run(c, 3);
	rx_add(c, 4, 1, 2048);
	run(c, 4);
	assert_int_equal(vqd_used(&c->q[3], NULL), -EAGAIN);
	assert_int_equal(c->f.n_sent, 0);
	assert_false(broken(c));
	card_free(c);
}

/* ---- resets ------------------------------------------------------------------------------ */

static void a_reset_undoes_all_that_the_driver_asked_of_the_host_side(void **state)
{
	struct card *c = card_new(OFFLOADS, 4);

	(void)state;
	drive_size(c, F_MRG_RXBUF | F_GUEST_TSO | F_MQ | F_CTRL_VQ, 9, SIZE);
	assert_int_equal(command(c, 8, "\4\0\4\0", 4), ACK_OK);
	rx_add(c, RX, 20, 4096);
	run(c, RX);
	rx_add(c, 2, 2, 4096); /* of the second pair: not enough */
	run(c, 2);
	assert_true(c->f.want[0]);
	assert_int_equal(c->f.offloads, OFFLOADS);
	assert_int_equal(c->f.pairs, 4);
	assert_true(devtest_timer_armed(&c->t));
	vmmio_write(&c->m, VMMIO_STATUS, 0);
	assert_false(devtest_timer_armed(&c->t));
	devtest_run(&c->t);
	assert_false(c->f.want[0]);
	assert_int_equal(c->f.offloads, 0);
	assert_int_equal(c->f.pairs, 1);
	c->f.endless = true;
	fakenet_arrive(&c->f, 0, 60, 'a');
	devtest_run(&c->t);
	assert_int_equal(c->f.n_ready, 0);
	card_free(c);
}

static void what_was_held_before_a_reset_is_not_used_after_it(void **state)
{
	struct card *c = card_new(OFFLOADS, 1);

	(void)state;
	drive(c, F_MRG_RXBUF | F_GUEST_TSO);
	rx_add(c, RX, 30, 4096);
	run(c, RX);
	gmem_zero(&c->t.gmem, DATA, 30 * 16 * KIB);
	drive(c, F_MRG_RXBUF);
	c->n_bufs = 100;
	rx_add(c, RX, 1, 2048);
	fakenet_arrive(&c->f, 0, 60, 'a');
	run(c, RX);
	assert_received(c, RX, 100, 2048, 60, 'a');
	assert_filled(c, DATA, 30 * 16 * KIB, 0);
	card_free(c);
}

static void a_full_host_side_is_no_matter_to_the_next_driver(void **state)
{
	struct card *c = card_new(0, 1);

	(void)state;
	drive(c, 0);
	c->f.room = 0;
	tx_add(c, TX, 100, 1);
	run(c, TX);
	drive(c, 0);
	c->f.room = 10;
	fakenet_poke(&c->f);
	devtest_run(&c->t);
	assert_int_equal(c->f.n_sent, 0);
	tx_add(c, TX, 101, 2);
	run(c, TX);
	assert_int_equal(c->f.n_sent, 1);
	assert_int_equal(c->f.sent[0].len, 101);
	card_free(c);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

struct looper {
	struct card *c;
	_Atomic bool stop;
};

/* The loop's thread, on which a host side floods as well. */
static void *loop_thread(void *arg)
{
	struct looper *l = arg;

	while (!atomic_load(&l->stop)) {
		fakenet_arrive(&l->c->f, 0, 60, 'x');
		fakenet_poke(&l->c->f);
		devtest_run(&l->c->t);
	}
	return NULL;
}

static void wait_for_used(struct vqd *q)
{
	u64 end = clock_ns() + 60 * NSEC_PER_SEC;

	while (vqd_used(q, NULL) < 0) {
		assert_true(clock_ns() < end);
		sched_yield();
	}
}

static void resets_may_come_at_any_time_while_frames_flood(void **state)
{
	struct card *c = card_new(OFFLOADS, 1);
	struct looper l = { .c = c };
	pthread_t thread;

	(void)state;
	c->f.endless = true;
	fakenet_arrive(&c->f, 0, 60, 'x');
	assert_int_equal(pthread_create(&thread, NULL, loop_thread, &l), 0);
	for (unsigned int round = 0; round < 300; round++) {
		assert_true(vmmio_begin(&c->m, F_MRG_RXBUF | (round % 2 ? F_GUEST_TSO : 0)));
		for (unsigned int i = 0; i < 3; i++)
			assert_true(vmmio_queue(&c->m, i, &c->q[i], RINGS(i), SIZE));
		assert_true(vmmio_driver_ok(&c->m));
		for (unsigned int i = 0; i < 20; i++) {
			vqd_add(&c->q[RX], &(struct vqd_buf){ BUF(i), 4096, true }, 1);
			vqd_add(&c->q[TX], &(struct vqd_buf){ BUF(100 + i), 500, false }, 1);
		}
		vmmio_notify(&c->m, RX);
		vmmio_notify(&c->m, TX);
		for (unsigned int i = 0; i < round * 10; i++)
			vqd_used(&c->q[RX], NULL);
		/* Now and then it has all the time to be in the middle of something. */
		if (round % 16 == 0)
			wait_for_used(&c->q[TX]);
		vmmio_write(&c->m, VMMIO_STATUS, 0);
		assert_int_equal(vmmio_read(&c->m, VMMIO_STATUS), 0);
	}
	atomic_store(&l.stop, true);
	pthread_join(thread, NULL);
	devtest_run(&c->t);
	c->f.endless = false;
	c->f.n_queued = 0;
	drive(c, F_MRG_RXBUF);
	rx_add(c, RX, 1, 2048);
	run(c, RX);
	fakenet_arrive(&c->f, 0, 77, 'y');
	devtest_run(&c->t);
	assert_received(c, RX, 0, 2048, 77, 'y');
	card_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(features_are_what_the_host_side_can_do),
		cmocka_unit_test(mac_link_pairs_and_mtu_are_in_the_configuration),
		cmocka_unit_test(a_card_without_host_side_has_its_cable_out),
		cmocka_unit_test(a_change_of_the_link_is_told),
		cmocka_unit_test(frames_are_sent_as_they_are),
		cmocka_unit_test(what_is_no_frame_is_dropped_and_the_next_one_sent),
		cmocka_unit_test(frames_wait_while_the_host_side_is_full),
		cmocka_unit_test(a_frame_that_can_never_be_sent_does_not_stop_the_others),
		cmocka_unit_test(a_frame_goes_into_as_many_buffers_as_it_takes),
		cmocka_unit_test(frames_and_buffers_may_come_in_any_order_and_size),
		cmocka_unit_test(without_merging_a_frame_has_one_buffer_or_is_lost),
		cmocka_unit_test(without_buffers_nothing_is_taken_and_with_some_it_goes_on),
		cmocka_unit_test(a_flood_beyond_the_buffers_there_are_stays_outside),
		cmocka_unit_test(room_for_the_largest_frame_is_waited_for_but_not_for_ever),
		cmocka_unit_test(a_told_mtu_is_made_room_for),
		cmocka_unit_test(other_devices_have_their_turn_while_frames_flood),
		cmocka_unit_test(
			a_receive_buffer_that_cannot_be_written_breaks_the_card_until_reset),
		cmocka_unit_test(a_broken_card_leaves_the_host_side_alone),
		cmocka_unit_test(a_queue_that_was_taken_away_leaves_the_host_side_alone),
		cmocka_unit_test(buffers_of_odd_sizes_and_shapes_are_filled_or_passed_over),
		cmocka_unit_test(chains_of_many_pieces_are_joined),
		cmocka_unit_test(a_reset_undoes_all_that_the_driver_asked_of_the_host_side),
		cmocka_unit_test(what_was_held_before_a_reset_is_not_used_after_it),
		cmocka_unit_test(a_full_host_side_is_no_matter_to_the_next_driver),
		cmocka_unit_test(the_mac_can_be_set_until_reset),
		cmocka_unit_test(offloads_follow_the_features_and_then_the_driver),
		cmocka_unit_test(junk_on_the_control_queue_is_answered_with_an_error),
		cmocka_unit_test(a_command_that_cannot_be_answered_is_not_obeyed),
		cmocka_unit_test(pairs_work_once_the_driver_asked_for_them),
		cmocka_unit_test(without_mq_the_control_queue_is_the_third),
		cmocka_unit_test(resets_may_come_at_any_time_while_frames_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
