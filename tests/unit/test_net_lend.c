/*
 * A network card whose queues are lent to vhost-net, over MMIO and over PCI, with the test as
 * the kernel: what is lent and when, whom the driver's notifications and the kernel's
 * interrupts reach, and that all is taken back before the driver can see that it was.
 *
 * Does not prove that a kernel moves frames then (the stock kernel in the bed does), nor what the
 * client tells it (test_vhost.c).
 */
#include "tests/unit/devtest.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "devices/classes.h"
#include "linux-uapi/vhost.h"
#include "tests/unit/fakenet.h"
#include "tests/unit/pcidriver.h"
#include "tests/unit/vmmio.h"

#define BASE	   0xd0000000
#define WINDOW	   0xc0000000u
#define WINDOW_LEN 0x400000u
#define ECAM	   0xe0000000u
#define SLOT	   4
#define RAM	   (8 * MIB)
#define RINGS(i)   (0x10000 + 0x30000 * (u64)(i))
#define DATA	   (6 * MIB)
#define SIZE	   64
#define PAIRS	   4
#define N_QUEUES   (2 * PAIRS + 1)
#define CTRL	   (2 * PAIRS)
#define MSG(n)	   (0x100 + (n))

#define F_MRG_RXBUF BIT(15)
#define F_CTRL_VQ   BIT(17)
#define F_MQ	    BIT(22)
#define FEATURES    (F_MRG_RXBUF | F_CTRL_VQ | F_MQ)

#define FD(pair)  (1000 + (int)(pair)) /* numbers only */
#define TAP(pair) (2000 + (int)(pair))

/* ---- the kernel ------------------------------------------------------------------------ */

struct ring {
	u32 num, base;
	u64 desc;
	int kick, call, err, tap; /* -1: none */
};

static struct ring rings[PAIRS][VHOST_NET_RINGS];
static unsigned int n_requests;
static int fails; /* what starting a ring fails with */

static int fake_ioctl(int fd, u32 request, void *arg)
{
	struct vhost_vring_state *state = arg;
	struct vhost_vring_file *file = arg;
	struct ring *r;

	assert_in_range(fd, FD(0), FD(PAIRS - 1));
	n_requests++;
	if (request == VHOST_SET_OWNER || request == VHOST_SET_FEATURES ||
	    request == VHOST_SET_MEM_TABLE)
		return 0;
	assert_in_range(state->index, 0, VHOST_NET_RINGS - 1);
	r = &rings[fd - FD(0)][state->index];
	switch (request) {
	case VHOST_SET_VRING_NUM:
		r->num = state->num;
		return 0;
	case VHOST_SET_VRING_BASE:
		r->base = state->num;
		return 0;
	case VHOST_GET_VRING_BASE:
		state->num = r->base;
		return 0;
	case VHOST_SET_VRING_ADDR:
		r->desc = ((struct vhost_vring_addr *)arg)->desc_user_addr;
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
		if (file->fd >= 0 && fails)
			return fails;
		r->tap = file->fd;
		return 0;
	}
	fail_msg("request 0x%x", request);
	return -ENOTTY;
}

static unsigned int n_running(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < PAIRS; i++) {
		for (unsigned int j = 0; j < VHOST_NET_RINGS; j++) {
			n += rings[i][j].tap == TAP(i);
			assert_true(rings[i][j].tap == TAP(i) || rings[i][j].tap == -1);
		}
	}
	return n;
}

static void signal_fd(int fd)
{
	u64 one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

/* Whether @fd was signalled; no longer so then. */
static bool take_signal(int fd)
{
	u64 n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

/* ---- the card, its driver and the machine around them ------------------------------------ */

struct card {
	struct devtest t;
	struct fakenet f;
	struct vhost vhosts[NET_MAX_PAIRS];
	struct vqd q[N_QUEUES];
	struct vmmio m;

	struct pci_bus bus;
	struct dev *bridge;
	struct vpci v;
};

static struct card *card_init(void)
{
	struct card *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	n_requests = 0;
	fails = 0;
	for (unsigned int i = 0; i < PAIRS; i++) {
		c->vhosts[i] = (struct vhost){
			.fd = FD(i), .tap = TAP(i), .features = UINT64_MAX, .ioctl = fake_ioctl
		};
		for (unsigned int j = 0; j < VHOST_NET_RINGS; j++)
			rings[i][j] = (struct ring){ .kick = -1, .call = -1, .err = -1, .tap = -1 };
	}
	devtest_init(&c->t, 0);
	devtest_add_ram(&c->t, 0, RAM);
	fakenet_init(&c->f, c->t.loop, &c->t.log, 0, PAIRS);
	c->f.vhost = c->vhosts;
	return c;
}

static struct card *mmio_card(void)
{
	struct virtio_net_cfg net = { .mac = { 2 }, .pairs = PAIRS };
	struct card *c = card_init();

	net.net = &c->f.net;
	devtest_plug(&c->t, &(struct dev_slot){
				    .cls = &virtio_mmio_class,
				    .name = "net0",
				    .ranges = { { &c->t.mmio, BASE, VMMIO_LEN, BUS_SIZE_ANY, 0 } },
				    .cfg = &(struct virtio_cfg){ .cls = &virtio_net_class,
								 .cfg = &net,
								 .mmio = &c->t.mmio,
								 .base = BASE },
			    });
	c->m = (struct vmmio){ &c->t.mmio, &c->t.gmem, BASE, 0 };
	return c;
}

static struct card *pci_card(void)
{
	struct virtio_net_cfg net = { .mac = { 2 }, .pairs = PAIRS };
	struct card *c = card_init();
	struct dev_slot bridge = {
		.cls = &pci_host_class,
		.name = "pci",
		.ranges = { { &c->t.ports, PCID_PORT_ADDRESS, 8, BUS_SIZE_ANY, PCI_HOST_TAG_PORTS },
			    { &c->t.mmio, ECAM, 0x100000, BUS_SIZE_ANY, PCI_HOST_TAG_ECAM } },
		.cfg = &(struct pci_host_cfg){ .bus = &c->bus },
	};

	net.net = &c->f.net;
	pci_bus_init(&c->bus, &c->t.mmio, &c->t.gmem, WINDOW, WINDOW_LEN);
	assert_int_equal(dev_create(&c->bridge, &bridge, &c->t.env, NULL), 0);
	devtest_plug(&c->t, &(struct dev_slot){
				    .cls = &virtio_pci_class,
				    .name = "net0",
				    .cfg = &(struct virtio_cfg){ .cls = &virtio_net_class,
								 .cfg = &net,
								 .bus = &c->bus,
								 .slot = SLOT },
			    });
	c->v = (struct vpci){
		.pci = { &c->t.ports, &c->t.mmio, ECAM, SLOT },
		.gm = &c->t.gmem,
	};
	pcid_command(&c->v.pci, PCID_MEMORY | PCID_MASTER);
	assert_true(vpci_probe(&c->v));
	return c;
}

/* Whatever was lent is back when the card is gone. */
static void card_free(struct card *c)
{
	dev_destroy(c->t.dev);
	c->t.dev = NULL;
	assert_int_equal(n_running(), 0);
	dev_destroy(c->bridge);
	devtest_fini(&c->t);
	for (unsigned int i = 0; i < NET_MAX_PAIRS; i++)
		assert_false(c->f.want[i]);
	free(c);
}

/* Up to DRIVER_OK; the loop has not run since then. */
static void mmio_drive(struct card *c, u64 features)
{
	assert_true(vmmio_begin(&c->m, features));
	for (unsigned int i = 0; i < N_QUEUES; i++)
		assert_true(vmmio_queue(&c->m, i, &c->q[i], RINGS(i), SIZE));
	assert_true(vmmio_driver_ok(&c->m));
}

/* Queue n has vector n + 1. */
static void pci_drive(struct card *c, bool msix)
{
	if (msix) {
		vpci_msix_control(&c->v, PCID_MSIX_ENABLE | PCID_MSIX_MASKED);
		for (unsigned int i = 0; i <= N_QUEUES; i++)
			vpci_msix_set(&c->v, i, 0xfee00000, MSG(i));
		vpci_msix_control(&c->v, PCID_MSIX_ENABLE);
	}
	assert_true(vpci_begin(&c->v, FEATURES));
	for (u16 i = 0; i < N_QUEUES; i++)
		assert_true(vpci_queue(&c->v, i, &c->q[i], RINGS(i), SIZE,
				       msix ? i + 1 : VIRTIO_NO_VECTOR));
	assert_true(vpci_driver_ok(&c->v));
	devtest_run(&c->t);
}

/* A frame on the first pair's transmit queue: the number that were sent by the card itself. */
static unsigned int send_frame(struct card *c)
{
	assert_true(vqd_add(&c->q[1], &(struct vqd_buf){ DATA, 100, false }, 1) >= 0);
	vmmio_notify(&c->m, 1);
	devtest_run(&c->t);
	return c->f.n_sent;
}

static void set_pairs(struct card *c, u8 n)
{
	struct vqd_buf bufs[] = { { DATA, 4, false }, { DATA + 64, 1, true } };
	u8 ack = 0xee;

	gmem_write(&c->t.gmem, DATA, (u8[]){ 4, 0, n, 0 }, 4);
	gmem_write(&c->t.gmem, DATA + 64, &ack, 1);
	assert_true(vqd_add(&c->q[CTRL], bufs, 2) >= 0);
	vmmio_notify(&c->m, CTRL);
	devtest_run(&c->t);
	assert_true(vqd_used(&c->q[CTRL], NULL) >= 0);
	gmem_read(&c->t.gmem, DATA + 64, &ack, 1);
	assert_int_equal(ack, 0);
}

static bool broken(const struct card *c)
{
	return vmmio_read(&c->m, VMMIO_STATUS) & VIRTIO_S_NEEDS_RESET;
}

/* ---- lending ------------------------------------------------------------------------------- */

static void a_driver_that_starts_has_its_queues_served_by_the_kernel(void **state)
{
	struct card *c = mmio_card();

	(void)state;
	mmio_drive(c, FEATURES);
	assert_int_equal(n_requests, 0); /* the loop's business */
	devtest_run(&c->t);
	assert_int_equal(n_running(), 2); /* one pair until the driver wants more */
	for (unsigned int i = 0; i < VHOST_NET_RINGS; i++) {
		assert_int_equal(rings[0][i].num, SIZE);
		assert_int_equal(rings[0][i].base, 0);
		assert_true(rings[0][i].kick >= 0);
		assert_true(rings[0][i].call >= 0);
		assert_true(rings[0][i].err >= 0);
	}
	assert_int_not_equal(rings[0][0].desc, rings[0][1].desc);
	/* What came before is told to the kernel. */
	assert_true(take_signal(rings[0][0].kick));
	assert_true(take_signal(rings[0][1].kick));
	card_free(c);
}

static void notifications_are_the_kernels_and_frames_are_left_to_it(void **state)
{
	struct card *c = mmio_card();

	(void)state;
	mmio_drive(c, FEATURES);
	devtest_run(&c->t);
	take_signal(rings[0][1].kick);
	assert_int_equal(send_frame(c), 0);
	assert_true(take_signal(rings[0][1].kick));
	assert_int_equal(vqd_raw_used_idx(&c->q[1]), 0);
	assert_true(vqd_add(&c->q[0], &(struct vqd_buf){ DATA, 2048, true }, 1) >= 0);
	vmmio_notify(&c->m, 0);
	fakenet_arrive(&c->f, 0, 60, 'x');
	fakenet_poke(&c->f);
	devtest_run(&c->t);
	assert_int_equal(c->f.n_recv, 0);
	assert_false(c->f.want[0]);
	assert_int_equal(vqd_raw_used_idx(&c->q[0]), 0);
	/* The link is told all the same. */
	vmmio_ack(&c->m);
	c->f.net.link = false;
	fakenet_poke(&c->f);
	devtest_run(&c->t);
	assert_int_equal(vmmio_ack(&c->m), 2);
	card_free(c);
}

/* The first that the loop hears of the driver is a notification. */
static void nothing_is_taken_from_a_queue_that_is_lent_just_then(void **state)
{
	struct card *c = mmio_card();

	(void)state;
	fakenet_arrive(&c->f, 0, 60, 'x');
	assert_true(vmmio_begin(&c->m, FEATURES));
	devtest_run(&c->t);
	for (unsigned int i = 0; i < N_QUEUES; i++)
		assert_true(vmmio_queue(&c->m, i, &c->q[i], RINGS(i), SIZE));
	for (unsigned int i = 0; i < 2; i++)
		assert_true(vqd_add(&c->q[i], &(struct vqd_buf){ DATA, 2048, i == 0 }, 1) >= 0);
	assert_true(vmmio_driver_ok(&c->m));
	devtest_run(&c->t);
	assert_int_equal(n_running(), 2);
	assert_int_equal(c->f.n_recv, 0);
	assert_int_equal(c->f.n_sent, 0);
	assert_false(c->f.want[0]);
	assert_int_equal(vqd_raw_used_flags(&c->q[1]), 0);
	card_free(c);
}

static void a_driver_without_merged_buffers_is_served_here(void **state)
{
	struct card *c = mmio_card();

	(void)state;
	mmio_drive(c, F_CTRL_VQ | F_MQ);
	devtest_run(&c->t);
	assert_int_equal(n_running(), 0);
	assert_int_equal(send_frame(c), 1);
	assert_true(vqd_used(&c->q[1], NULL) >= 0);
	card_free(c);
}

static void a_kernel_that_refuses_leaves_the_queues_here_until_reset(void **state)
{
	struct card *c = mmio_card();

	(void)state;
	fails = -ENOMEM;
	mmio_drive(c, FEATURES);
	assert_int_equal(send_frame(c), 1);
	assert_non_null(strstr(c->t.last_msg, "vhost-net does not start"));
	assert_int_equal(n_running(), 0);
	fails = 0;
	set_pairs(c, 2); /* the second has not begun */
	assert_int_equal(rings[0][0].tap, -1);
	assert_int_equal(rings[1][0].tap, TAP(1));
	assert_int_equal(send_frame(c), 2);
	assert_false(broken(c));
	mmio_drive(c, FEATURES);
	assert_int_equal(send_frame(c), 2);
	assert_int_equal(rings[0][0].tap, TAP(0));
	card_free(c);
}

static void pairs_go_to_the_kernel_and_back_as_the_driver_wants_them(void **state)
{
	struct card *c = mmio_card();

	(void)state;
	mmio_drive(c, FEATURES);
	devtest_run(&c->t);
	set_pairs(c, 4);
	assert_int_equal(n_running(), 8);
	rings[2][0].base = 17;
	rings[2][1].base = 9;
	set_pairs(c, 2);
	assert_int_equal(n_running(), 4);
	assert_int_equal(rings[2][0].tap, -1);
	rings[2][0].base = rings[2][1].base = 0;
	set_pairs(c, 3);
	assert_int_equal(n_running(), 6);
	assert_int_equal(rings[2][0].base, 17); /* goes on where it was */
	assert_int_equal(rings[2][1].base, 9);
	/* If it cannot there is nobody who could. */
	set_pairs(c, 2);
	fails = -ENOMEM;
	gmem_write(&c->t.gmem, DATA, "\4\0\3\0", 4);
	vqd_add(&c->q[CTRL], (struct vqd_buf[]){ { DATA, 4, false }, { DATA + 64, 1, true } }, 2);
	vmmio_notify(&c->m, CTRL);
	devtest_run(&c->t);
	assert_true(broken(c));
	assert_int_equal(n_running(), 0);
	fails = 0;
	mmio_drive(c, FEATURES);
	devtest_run(&c->t);
	set_pairs(c, 3);
	assert_int_equal(rings[2][0].base, 0);
	card_free(c);
}

/* ---- taking back --------------------------------------------------------------------------- */

static void a_reset_has_taken_all_back_when_it_is_seen(void **state)
{
	struct card *c = mmio_card();

	(void)state;
	mmio_drive(c, FEATURES);
	devtest_run(&c->t);
	set_pairs(c, 4);
	rings[0][1].base = 5;
	vmmio_write(&c->m, VMMIO_STATUS, 0);
	assert_int_equal(n_running(), 0);
	assert_int_equal(rings[0][1].kick, -1);
	assert_int_equal(vmmio_read(&c->m, VMMIO_STATUS), 0);
	/* At once again, before the loop has heard of anything. */
	mmio_drive(c, FEATURES);
	assert_int_equal(n_running(), 0);
	devtest_run(&c->t);
	assert_int_equal(n_running(), 2);
	assert_int_equal(rings[0][1].base, 0);
	/* And a driver that is served here is listened to. */
	vmmio_write(&c->m, VMMIO_STATUS, 0);
	mmio_drive(c, 0);
	assert_int_equal(send_frame(c), 1);
	assert_int_equal(n_running(), 0);
	assert_int_equal(send_frame(c), 2);
	card_free(c);
}

static void a_driver_that_breaks_the_rules_loses_all_until_reset(void **state)
{
	struct card *c = mmio_card();

	(void)state;
	mmio_drive(c, FEATURES);
	devtest_run(&c->t);
	set_pairs(c, 2);
	signal_fd(rings[1][0].err); /* as the kernel says it */
	devtest_run(&c->t);
	assert_true(broken(c));
	assert_int_equal(n_running(), 0);
	mmio_drive(c, FEATURES);
	devtest_run(&c->t);
	assert_false(broken(c));
	assert_int_equal(n_running(), 2);
	/* A mistake that is seen here, on the control queue. */
	vqd_raw_avail_idx(&c->q[CTRL], 1000);
	vmmio_notify(&c->m, CTRL);
	devtest_run(&c->t);
	assert_true(broken(c));
	assert_int_equal(n_running(), 0);
	card_free(c);
}

static void a_queue_that_is_taken_away_is_the_kernels_no_more(void **state)
{
	struct card *c = mmio_card();
	int call;

	(void)state;
	mmio_drive(c, FEATURES);
	devtest_run(&c->t);
	call = rings[0][1].call;
	vmmio_ack(&c->m);
	vmmio_write(&c->m, VMMIO_QUEUE_SEL, 1);
	vmmio_write(&c->m, VMMIO_QUEUE_READY, 0);
	assert_int_equal(rings[0][1].tap, -1);
	assert_int_equal(rings[0][0].tap, TAP(0));
	assert_int_equal(vmmio_read(&c->m, VMMIO_QUEUE_READY), 0);
	signal_fd(call); /* late */
	devtest_run(&c->t);
	assert_int_equal(vmmio_ack(&c->m), 0);
	set_pairs(c, 2); /* nor does it come back */
	assert_int_equal(rings[0][1].tap, -1);
	assert_int_equal(n_running(), 3);
	vmmio_write(&c->m, VMMIO_STATUS, 0);
	assert_int_equal(n_running(), 0);
	card_free(c);
}

static void without_bus_master_the_kernel_touches_nothing(void **state)
{
	struct card *c = pci_card();

	(void)state;
	pci_drive(c, true);
	assert_int_equal(n_running(), 2);
	pcid_command(&c->v.pci, PCID_MEMORY);
	assert_int_equal(n_running(), 0);
	card_free(c);
}

/* ---- interrupts ----------------------------------------------------------------------------- */

static void over_mmio_interrupts_are_raised_by_hand(void **state)
{
	struct card *c = mmio_card();
	int call;

	(void)state;
	mmio_drive(c, FEATURES);
	devtest_run(&c->t);
	vmmio_ack(&c->m);
	signal_fd(rings[0][0].call);
	devtest_run(&c->t);
	assert_true(devtest_irq(&c->t));
	assert_int_equal(vmmio_ack(&c->m), 1);
	assert_false(devtest_irq(&c->t));
	/* One that is late is for nobody. */
	call = rings[0][0].call;
	vmmio_write(&c->m, VMMIO_STATUS, 0);
	signal_fd(call);
	devtest_run(&c->t);
	assert_false(devtest_irq(&c->t));
	assert_int_equal(vmmio_ack(&c->m), 0);
	card_free(c);
}

static void with_messages_the_kernel_sends_them_itself(void **state)
{
	struct card *c = pci_card();

	(void)state;
	pci_drive(c, true);
	/* no loop runs between the signal and the message */
	signal_fd(rings[0][0].call);
	assert_int_equal(devtest_msi_sent(&c->t, MSG(1)), 1);
	signal_fd(rings[0][1].call);
	assert_int_equal(devtest_msi_sent(&c->t, MSG(2)), 1);
	/* One that is masked waits, and is seen to. */
	vpci_msix_mask(&c->v, 2, true);
	signal_fd(rings[0][1].call);
	assert_int_equal(devtest_msi_sent(&c->t, MSG(2)), 1);
	assert_int_equal(vpci_msix_pending(&c->v), BIT(2));
	vpci_msix_mask(&c->v, 2, false);
	assert_int_equal(devtest_msi_sent(&c->t, MSG(2)), 2);
	assert_int_equal(vpci_isr(&c->v), 0);
	card_free(c);
}

static void the_kernel_follows_a_vector_that_changes(void **state)
{
	struct card *c = pci_card();

	(void)state;
	pci_drive(c, true);
	vpci_write(&c->v, VPCI_QUEUE_SELECT, 2, 1);
	vpci_write(&c->v, VPCI_QUEUE_VECTOR, 2, 7);
	signal_fd(rings[0][1].call);
	assert_int_equal(devtest_msi_sent(&c->t, MSG(7)), 1);
	assert_int_equal(devtest_msi_sent(&c->t, MSG(2)), 0);
	/* None: the device has no way to say it. */
	vpci_write(&c->v, VPCI_QUEUE_VECTOR, 2, VIRTIO_NO_VECTOR);
	signal_fd(rings[0][1].call);
	devtest_run(&c->t);
	for (unsigned int i = 0; i <= N_QUEUES; i++)
		assert_int_equal(devtest_msi_sent(&c->t, MSG(i)), i == 7);
	assert_int_equal(vpci_isr(&c->v), 0);
	/* One that is not lent has no kernel to tell. */
	vpci_write(&c->v, VPCI_QUEUE_SELECT, 2, CTRL);
	vpci_write(&c->v, VPCI_QUEUE_VECTOR, 2, 3);
	assert_int_equal(vpci_read(&c->v, VPCI_QUEUE_VECTOR, 2), 3);
	card_free(c);
}

static void without_messages_the_line_is_raised_by_hand(void **state)
{
	struct card *c = pci_card();

	(void)state;
	pci_drive(c, false);
	vpci_isr(&c->v);
	signal_fd(rings[0][0].call);
	devtest_run(&c->t);
	assert_int_equal(vpci_isr(&c->v), 1);
	assert_int_equal(vpci_isr(&c->v), 0);
	/* Messages that come late, and go. */
	vpci_msix_control(&c->v, PCID_MSIX_ENABLE);
	vpci_msix_set(&c->v, 5, 0xfee00000, MSG(5));
	vpci_write(&c->v, VPCI_QUEUE_SELECT, 2, 0);
	vpci_write(&c->v, VPCI_QUEUE_VECTOR, 2, 5);
	signal_fd(rings[0][0].call);
	assert_int_equal(devtest_msi_sent(&c->t, MSG(5)), 1);
	vpci_msix_control(&c->v, 0);
	signal_fd(rings[0][0].call);
	devtest_run(&c->t);
	assert_int_equal(vpci_isr(&c->v), 1);
	assert_int_equal(devtest_msi_sent(&c->t, MSG(5)), 1);
	card_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_driver_that_starts_has_its_queues_served_by_the_kernel),
		cmocka_unit_test(notifications_are_the_kernels_and_frames_are_left_to_it),
		cmocka_unit_test(nothing_is_taken_from_a_queue_that_is_lent_just_then),
		cmocka_unit_test(a_driver_without_merged_buffers_is_served_here),
		cmocka_unit_test(a_kernel_that_refuses_leaves_the_queues_here_until_reset),
		cmocka_unit_test(pairs_go_to_the_kernel_and_back_as_the_driver_wants_them),
		cmocka_unit_test(a_reset_has_taken_all_back_when_it_is_seen),
		cmocka_unit_test(a_driver_that_breaks_the_rules_loses_all_until_reset),
		cmocka_unit_test(a_queue_that_is_taken_away_is_the_kernels_no_more),
		cmocka_unit_test(without_bus_master_the_kernel_touches_nothing),
		cmocka_unit_test(over_mmio_interrupts_are_raised_by_hand),
		cmocka_unit_test(with_messages_the_kernel_sends_them_itself),
		cmocka_unit_test(the_kernel_follows_a_vector_that_changes),
		cmocka_unit_test(without_messages_the_line_is_raised_by_hand),
	};

	return cmocka_run_group_tests_name("queues lent to vhost-net", tests, NULL, NULL);
}
