/*
 * A hostile driver of the network card, over MMIO, and a host side that floods, fills up and
 * loses its link: good requests, raw rings, registers, commands and resets in any order.
 *
 * Beyond crashes it checks that the device comes to rest when the loop has run, that it asks for
 * frames only as long as it takes them, and that whatever happened it works after a reset. Does
 * not look for races: everything is on one thread and on virtual time.
 *
 * Input: see netops.h.
 */
#include "devices/net_lend.h"
#include "tests/fuzz/board.h"
#include "tests/fuzz/netops.h"
#include "tests/unit/fakenet.h"

#define RAM	 (2 * MIB)
#define RINGS(i) (0x1000 + 0x22000 * (u64)(i))
#define DATA	 0x140000
#define DATA_LEN (RAM - DATA)
#define N_QUEUES 9

#define OFFLOADS \
	(NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN | NET_OFFLOAD_USO)

struct world {
	struct board b;
	struct dev *dev;
	struct fakenet net;
	struct vmmio m;
	struct vqd q[N_QUEUES];
	u32 next; /* where in DATA the next piece goes */
};

/* Of all runs: mapping it takes longer than zeroing it. */
static struct gmem ram;

static void world_open(struct world *w, u8 card)
{
	struct virtio_net_cfg net = {
		.net = card & NETOPS_CARD_NO_NET ? NULL : &w->net.net,
		.mac = { 2, 0, 0, 0, 0, 1 },
		.mtu = card & NETOPS_CARD_MTU ? 9000 : 0,
		.pairs = card & NETOPS_CARD_PAIRS ? 4 : 1,
	};

	if (!ram.n_regions)
		CHECK(!gmem_add(&ram, 0, RAM, NULL));
	CHECK(!gmem_zero(&ram, 0, RAM));
	board_open(&w->b, &ram);
	fakenet_init(&w->net, w->b.loop, &w->b.log, card & NETOPS_CARD_OFFLOADS ? OFFLOADS : 0,
		     net.pairs);
	w->dev = board_plug_virtio(&w->b, &virtio_net_class, &net);
	w->m = (struct vmmio){ &w->b.mmio, &ram, BOARD_VIRTIO, 0 };
	for (unsigned int i = 0; i < N_QUEUES; i++)
		CHECK(!vqd_init(&w->q[i], &ram, RINGS(i), 1, false));
}

static void world_close(struct world *w)
{
	board_unplug(&w->b, w->dev);
	for (unsigned int i = 0; i < NET_MAX_PAIRS; i++)
		CHECK(!w->net.want[i]);
	CHECK(!w->net.offloads && w->net.pairs == 1 && !w->net.net.dev);
	board_close(&w->b);
}

/* The loop does all there is to do, and the device asks for nothing that it does not take. */
static void run(struct world *w)
{
	unsigned int n;

	loop_manual_run(w->b.loop);
	CHECK(!fakenet_due(&w->net));
	n = w->net.n_ready + w->net.n_recv;
	loop_manual_run(w->b.loop);
	CHECK(w->net.n_ready + w->net.n_recv == n);
}

static u64 features_of(const struct world *w, u8 x)
{
	static const u64 bits[] = {
		BIT(VIRTIO_NET_F_MRG_RXBUF),
		BIT(VIRTIO_F_EVENT_IDX),
		BIT(0) | BIT(1) | BIT(7) | BIT(8) | BIT(11) | BIT(12),
		BIT(54) | BIT(55) | BIT(56),
		BIT(22),
		BIT(17) | BIT(23) | BIT(2),
		BIT(3),
		BIT(16) | BIT(VIRTIO_F_INDIRECT_DESC),
	};
	u64 features = 0;

	for (unsigned int i = 0; i < 8; i++)
		features |= x & 1u << i ? bits[i] : 0;
	/* Features that are not there end an attempt; that is the core's to be tested. */
	return features & vmmio_offered(&w->m);
}

static void add(struct world *w, const struct netop *op, struct vqd *q)
{
	struct vqd_buf bufs[15];
	unsigned int n = op->x & 15;

	for (unsigned int r = 0; r <= op->y && n; r++) {
		for (unsigned int i = 0; i < n; i++) {
			u32 len = le16toh(op->len);

			if (w->next + len > DATA_LEN)
				w->next = 0;
			bufs[i] = (struct vqd_buf){ DATA + w->next, len, op->x & PIECE_WRITE };
			if ((op->x & PIECE_MIXED) && i < n / 2)
				bufs[i].write = false;
			w->next += len;
		}
		if ((op->x & PIECE_INDIRECT ? vqd_add_indirect(q, bufs, n) : vqd_add(q, bufs, n)) <
		    0)
			break;
	}
}

static void command(const struct netop *op, struct vqd *q)
{
	u8 bytes[64] = { op->x, op->y };
	u32 len = le16toh(op->len) % sizeof(bytes);

	for (u32 i = 2; i < sizeof(bytes); i++)
		bytes[i] = (u8)(le16toh(op->val) >> (i % 2 * 8));
	gmem_write(&ram, DATA, bytes, sizeof(bytes));
	vqd_add(q, (struct vqd_buf[]){ { DATA, len, false }, { DATA + 64, 1, true } }, 2);
}

/* One operation on the rings. */
static void ring_op(struct world *w, const struct netop *op, struct vqd *q)
{
	u16 len = le16toh(op->len), val = le16toh(op->val);

	switch (op->op % N_OPS) {
	case OP_QUEUE:
		vmmio_queue(&w->m, op->q % N_QUEUES, q, RINGS(op->q % N_QUEUES),
			    (u16)(1u << op->x % 9));
		break;
	case OP_ADD:
		add(w, op, q);
		break;
	case OP_USED:
		for (unsigned int i = 0; i < op->x && vqd_used(q, NULL) >= 0; i++)
			;
		break;
	case OP_COMMAND:
		command(op, q);
		break;
	case OP_RAW_DESC:
		vqd_raw_desc(q, op->x, DATA + 16u * val, len, op->y & 7, op->y >> 3);
		break;
	case OP_RAW_AVAIL:
		if (op->x)
			vqd_raw_ring(q, val, op->y);
		else
			vqd_raw_avail_idx(q, len);
		break;
	}
}

static void step(struct world *w, const struct netop *op)
{
	u16 len = le16toh(op->len);

	switch (op->op % N_OPS) {
	case OP_BEGIN:
		vmmio_begin(&w->m, features_of(w, op->x));
		break;
	case OP_DRIVER_OK:
		vmmio_driver_ok(&w->m);
		break;
	case OP_NOTIFY:
		board_notify(&w->b, op->q);
		break;
	case OP_REGISTER:
		board_write(&w->b, BOARD_VIRTIO + 4u * op->x, 4, le16toh(op->val));
		break;
	case OP_CONFIG:
		board_read(&w->b, BOARD_VIRTIO + VMMIO_CONFIG + op->x, 1u << (op->y & 3));
		board_write(&w->b, BOARD_VIRTIO + VMMIO_CONFIG + op->x, 1u << (op->y & 3), op->val);
		break;
	case OP_ARRIVE:
		for (unsigned int i = 0; i <= op->y; i++)
			fakenet_arrive(&w->net, op->x % NET_MAX_PAIRS, NET_MIN_FRAME + len, op->x);
		break;
	case OP_ROOM:
		w->net.room = op->x;
		fakenet_poke(&w->net);
		break;
	case OP_LINK:
		w->net.net.link = op->x & 1;
		fakenet_poke(&w->net);
		break;
	case OP_RUN:
		run(w);
		break;
	case OP_TIME:
		loop_manual_advance(w->b.loop, op->x * NSEC_PER_MSEC);
		break;
	default:
		ring_op(w, op, &w->q[op->q % N_QUEUES]);
	}
}

/* After whatever it was. */
static void works_again(struct world *w)
{
	struct vqd *rx = &w->q[0], *tx = &w->q[1];
	u32 len;

	run(w);
	CHECK(vmmio_begin(&w->m, BIT(VIRTIO_NET_F_MRG_RXBUF)));
	CHECK(vmmio_queue(&w->m, 0, rx, RINGS(0), 64) && vmmio_queue(&w->m, 1, tx, RINGS(1), 64));
	CHECK(vmmio_driver_ok(&w->m));
	w->net.n_queued = w->net.n_sent = 0;
	w->net.room = 1;
	vqd_add(rx, &(struct vqd_buf){ DATA + 8192, 16384, true }, 1); /* for any MTU here */
	vqd_add(tx, &(struct vqd_buf){ DATA + 4096, 100, false }, 1);
	board_notify(&w->b, 0);
	board_notify(&w->b, 1);
	run(w);
	fakenet_arrive(&w->net, 0, 1000, 0);
	run(w);
	CHECK(vqd_used(tx, &len) == 0 && len == 0);
	if (!w->net.net.dev) /* its cable is out */
		return;
	CHECK(w->net.n_sent == 1);
	CHECK(vqd_used(rx, &len) == 0 && len == NET_HDR_LEN + 1000);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct world *w = calloc(1, sizeof(*w));
	struct netop op;

	if (!w)
		return 0;
	world_open(w, len ? data[0] : 0);
	for (size_t i = 1; i + sizeof(op) <= len && i < 256 * sizeof(op); i += sizeof(op)) {
		memcpy(&op, data + i, sizeof(op));
		step(w, &op);
		board_check_virtio(&w->b, w->dev);
	}
	works_again(w);
	world_close(w);
	free(w);
	return 0;
}
