/*
 * A virtio console under a driver that does anything: any request on any queue, junk in control
 * messages, registers and rings, resets at any time; mixed with what the host side does.
 *
 * Port 1 alone is used as it should be, from memory of its own. Beyond crashes it is checked that
 * its two streams arrive whole and in order but for what a reset cuts off, and of every port that
 * all output that was taken is delivered or counted as lost.
 * Does not look for races: everything is on one thread and on virtual time.
 *
 * Input: byte 0 chooses ports, features and the host side; then operations of a code, an argument
 * and what that operation takes.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>

#include "tests/fuzz/board.h"
#include "vmm/console.h"

#define RAM_SIZE   MIB
#define SAFE	   0x765432100000 /* where the good driver's memory is */
#define SAFE_SIZE  (128 * KIB)
#define SAFE_BUFS  (SAFE + 64 * KIB)
#define BUF_LEN	   2048
#define BIG_LEN	   (160 * KIB) /* more than a console buffers */
#define QUEUE_SIZE 8
#define RINGS_STEP 0x2000
#define MAX_PORTS  4
#define MAX_QUEUES (2 * MAX_PORTS + 2)
#define GOOD	   1 /* the port that is used well; its queues: */
#define GOOD_RX	   4
#define GOOD_TX	   5
#define CONTROL_RX 2
#define CONTROL_TX 3

struct world {
	const u8 *input, *end;

	struct board b;
	struct gmem gmem;
	struct console *cons[MAX_PORTS];
	struct dev *dev;
	int out[2]; /* port 0: a pipe; -1: a function takes the output */
	unsigned int n_ports, n_queues, n_draining;
	u64 features;

	struct vmmio m;
	struct vqd q[MAX_QUEUES];
	bool up;		/* the good driver's queues are */
	u64 n_read[MAX_PORTS];	/* output that the host got */
	u64 n_sent, n_got;	/* port GOOD, output: by the driver, by the host */
	u64 n_pushed, n_taken;	/* port GOOD, input: by the host, by the driver */
	u64 rx_gpa[QUEUE_SIZE]; /* by head */
};

static u8 next(struct world *w)
{
	return w->input < w->end ? *w->input++ : 0;
}

static u32 next32(struct world *w)
{
	u32 val = next(w);

	for (int i = 1; i < 4; i++)
		val = val << 8 | next(w);
	return val;
}

static u8 pattern(u64 i)
{
	return (u8)(i * 31 + (i >> 8) * 7);
}

/* ---- the host's side ---- */

static void on_con_event(void *ctx)
{
	(void)ctx;
}

static const struct console_ops ops = {
	.panic_line = on_con_event,
	.panic_end = on_con_event,
	.escape = on_con_event,
};

static void on_drained(void *ctx)
{
	((struct world *)ctx)->n_draining--;
}

static void on_out_good(void *ctx, const void *data, size_t len)
{
	struct world *w = ctx;

	for (size_t i = 0; i < len; i++)
		CHECK(((const u8 *)data)[i] == pattern(w->n_got++));
	CHECK(w->n_got <= w->n_sent);
	w->n_read[GOOD] += len;
}

static void on_out_0(void *ctx, const void *data, size_t len)
{
	(void)data;
	((struct world *)ctx)->n_read[0] += len;
}

static void slurp(struct world *w, size_t max)
{
	u8 buf[65536];
	ssize_t n;

	if (w->out[0] < 0 || !max)
		return;
	n = read(w->out[0], buf, max < sizeof(buf) ? max : sizeof(buf));
	if (n > 0)
		w->n_read[0] += (u64)n;
}

static void push_good(struct world *w, size_t len)
{
	u8 buf[256];

	for (size_t i = 0; i < len; i++)
		buf[i] = pattern(w->n_pushed + i);
	w->n_pushed += console_push_input(w->cons[GOOD], buf, len);
}

/* ---- the board ---- */

static void plug(struct world *w)
{
	struct virtio_console_cfg cfg = { .console = w->cons[0], .n_ports = w->n_ports - 1 };

	for (unsigned int i = 1; i < w->n_ports; i++) {
		cfg.ports[i - 1].name = "org.lkvm.port";
		cfg.ports[i - 1].console = w->cons[i];
	}
	w->dev = board_plug_virtio(&w->b, &virtio_console_class, &cfg);
}

/* What was on its way when the good driver went is gone, or it is delivered now. */
static void settle_good(struct world *w)
{
	loop_manual_advance(w->b.loop, CONSOLE_FLUSH_NS);
	CHECK(w->n_got <= w->n_sent);
	w->n_sent = w->n_got;
	w->up = false;
}

static void unplug(struct world *w)
{
	board_unplug(&w->b, w->dev);
	w->dev = NULL;
}

static void world_open(struct world *w)
{
	u8 kind = next(w);

	w->n_ports = 2 + (kind & 1) * 2;
	w->n_queues = 2 * w->n_ports + 2;
	w->features = kind & 2 ? BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC) : 0;
	w->out[0] = w->out[1] = -1;
	CHECK(!gmem_add(&w->gmem, 0, RAM_SIZE, NULL));
	CHECK(!gmem_add(&w->gmem, SAFE, SAFE_SIZE, NULL));
	board_open(&w->b, &w->gmem);
	if (kind & 4) {
		CHECK(!pipe2(w->out, O_CLOEXEC));
		fcntl(w->out[0], F_SETFL, O_NONBLOCK);
		fcntl(w->out[1], F_SETPIPE_SZ, 4096);
	}
	for (unsigned int i = 0; i < w->n_ports; i++) {
		struct lkvm_console cfg = { .in_fd = -1, .out_fd = -1, .ctx = w };

		if (i == GOOD)
			cfg.out = on_out_good;
		else if (!i && kind & 4)
			cfg.out_fd = w->out[1];
		else if (!i)
			cfg.out = on_out_0;
		CHECK(!console_create(&w->cons[i], &cfg, !i, w->b.loop, &w->b.log, &ops, w, NULL));
		console_start(w->cons[i]);
	}
	plug(w);
	w->m = (struct vmmio){ .bus = &w->b.mmio, .gm = &w->gmem, .base = BOARD_VIRTIO };
}

static void world_close(struct world *w)
{
	unplug(w);
	w->n_draining = w->n_ports;
	for (unsigned int i = 0; i < w->n_ports; i++)
		console_drain(w->cons[i], on_drained, w);
	/* Until the consoles say so: a reader that is alive is waited for. */
	for (int i = 0; i < 10000 && w->n_draining; i++) {
		slurp(w, 65536);
		loop_manual_run(w->b.loop);
	}
	CHECK(!w->n_draining);
	slurp(w, 65536);
	for (unsigned int i = 0; i < w->n_ports; i++) {
		struct console_stats st;

		console_get_stats(w->cons[i], &st);
		if (i <= GOOD && (i || !(w->out[1] >= 0 && w->out[0] < 0)))
			CHECK(st.bytes_out == w->n_read[i] + st.bytes_lost);
		console_destroy(w->cons[i]);
	}
	board_close(&w->b);
	gmem_fini(&w->gmem);
	for (int i = 0; i < 2; i++) {
		if (w->out[i] >= 0)
			close(w->out[i]);
	}
}

/* ---- the driver ---- */

static void kick(struct world *w, unsigned int queue)
{
	board_notify(&w->b, queue);
}

/* Take what came in, in order. */
static void harvest(struct world *w)
{
	u8 buf[BUF_LEN];
	int head;
	u32 len;

	while (w->up && (head = vqd_used(&w->q[GOOD_RX], &len)) >= 0) {
		CHECK(len <= BUF_LEN);
		CHECK(!gmem_read(&w->gmem, w->rx_gpa[head], buf, len));
		for (u32 i = 0; i < len; i++)
			CHECK(buf[i] == pattern(w->n_taken++));
		CHECK(w->n_taken <= w->n_pushed);
	}
	while (w->up && vqd_used(&w->q[GOOD_TX], NULL) >= 0)
		;
}

static void reset(struct world *w)
{
	harvest(w);
	vmmio_write(&w->m, VMMIO_STATUS, 0);
	CHECK(!vmmio_read(&w->m, VMMIO_STATUS));
	settle_good(w);
}

static void start(struct world *w, u64 device_features)
{
	reset(w);
	if (!vmmio_begin(&w->m, device_features | w->features))
		return;
	for (unsigned int i = 0; i < w->n_queues; i++) {
		u64 gpa = i * RINGS_STEP;

		if (i == GOOD_RX || i == GOOD_TX)
			gpa = SAFE + (i - GOOD_RX) * RINGS_STEP;
		CHECK(vmmio_queue(&w->m, i, &w->q[i], gpa, QUEUE_SIZE));
	}
	CHECK(vmmio_driver_ok(&w->m));
	w->up = true;
}

static u64 good_buf(unsigned int queue, unsigned int i)
{
	return SAFE_BUFS + ((queue - GOOD_RX) * QUEUE_SIZE + i) * BUF_LEN;
}

static void good_send(struct world *w, u32 len)
{
	struct vqd *q = &w->q[GOOD_TX];
	u64 gpa = good_buf(GOOD_TX, q->free);
	u8 buf[BUF_LEN];

	harvest(w);
	if (!w->up || !q->n_free || !len)
		return;
	gpa = good_buf(GOOD_TX, q->free);
	for (u32 i = 0; i < len; i++)
		buf[i] = pattern(w->n_sent + i);
	CHECK(!gmem_write(&w->gmem, gpa, buf, len));
	CHECK(vqd_add(q, &(struct vqd_buf){ gpa, len, false }, 1) >= 0);
	w->n_sent += len;
	if (vqd_must_kick(q))
		kick(w, GOOD_TX);
}

static void good_listen(struct world *w, u32 len)
{
	struct vqd *q = &w->q[GOOD_RX];
	u64 gpa;
	int head;

	harvest(w);
	if (!w->up || !q->n_free || !len)
		return;
	gpa = good_buf(GOOD_RX, q->free);
	head = vqd_add(q, &(struct vqd_buf){ gpa, len, true }, 1);
	CHECK(head >= 0);
	w->rx_gpa[head] = gpa;
	if (vqd_must_kick(q))
		kick(w, GOOD_RX);
}

/* A queue that may be abused. */
static unsigned int any_queue(const struct world *w, u8 arg)
{
	unsigned int i = arg % w->n_queues;

	return i == GOOD_RX || i == GOOD_TX ? 0 : i;
}

/* Of one to four pieces, anywhere and of any length. */
static void add_request(struct world *w, unsigned int queue)
{
	struct vqd *q = &w->q[queue];
	struct vqd_buf bufs[4];
	u8 shape = next(w);
	unsigned int n = 1 + shape % 4;

	for (unsigned int i = 0; i < n; i++) {
		u32 at = next32(w);

		/* In RAM and short, mostly. */
		bufs[i] = (struct vqd_buf){ at & 0xfffff, next(w) << (at >> 20 & 7),
					    shape >> (4 + i) & 1 };
		if (at >> 28 == 0xf)
			bufs[i].gpa = at;
		if (at >> 28 == 0xe)
			bufs[i] = (struct vqd_buf){ 0, BIG_LEN, shape >> (4 + i) & 1 };
	}
	while (vqd_used(q, NULL) >= 0)
		;
	if (!q->gm)
		return;
	if (shape & 8)
		vqd_add_indirect(q, bufs, n);
	else
		vqd_add(q, bufs, n);
	kick(w, queue);
}

static void add_control(struct world *w, u8 len)
{
	u8 msg[16];

	len = (u8)(1 + len % sizeof(msg));
	for (u8 i = 0; i < len; i++)
		msg[i] = next(w);
	while (vqd_used(&w->q[CONTROL_TX], NULL) >= 0)
		;
	if (!w->q[CONTROL_TX].gm || !w->q[CONTROL_TX].n_free)
		return;
	CHECK(!gmem_write(&w->gmem, 0x80000, msg, len));
	vqd_add(&w->q[CONTROL_TX], &(struct vqd_buf){ 0x80000, len, false }, 1);
	kick(w, CONTROL_TX);
}

/* What brings ports up, without which little happens: a message and a buffer for an answer. */
static void add_good_control(struct world *w, u8 arg)
{
	static const u8 events[] = { 0, 3, 6, 6 };
	u8 msg[8] = { (u8)(arg >> 2 & 3), 0, 0, 0, events[arg & 3], 0, (arg & 3) < 3, 0 };
	struct vqd *rx = &w->q[CONTROL_RX], *tx = &w->q[CONTROL_TX];

	while (vqd_used(tx, NULL) >= 0 || vqd_used(rx, NULL) >= 0)
		;
	if (!tx->gm)
		return;
	CHECK(!gmem_write(&w->gmem, 0x80000, msg, sizeof(msg)));
	vqd_add(tx, &(struct vqd_buf){ 0x80000, sizeof(msg), false }, 1);
	vqd_add(rx, &(struct vqd_buf){ 0x81000, arg >> 4 ? 64 : 4, true }, 1);
	kick(w, CONTROL_RX);
	kick(w, CONTROL_TX);
}

/* A vCPU that is throttled makes no access, give or take those under way. */
static void emergency(struct world *w, u8 arg)
{
	for (unsigned int i = 0; i < 32u * arg && !atomic_load(&w->dev->throttled); i++)
		vmmio_write(&w->m, VMMIO_CONFIG + 8, arg);
}

static void ring_junk(struct world *w, u8 arg)
{
	struct vqd *q = &w->q[any_queue(w, arg)];
	u32 val = next32(w);

	if (!q->gm)
		return;
	switch (arg >> 6) {
	case 0:
		vqd_raw_avail_idx(q, (u16)val);
		break;
	case 1:
		vqd_raw_ring(q, (u16)(val >> 16), (u16)val);
		break;
	case 2:
		vqd_raw_desc(q, val & 7, val >> 3 & 0xfffff, next(w), next(w), next(w) & 15);
		break;
	default:
		vqd_raw_used_event(q, (u16)val);
	}
	kick(w, any_queue(w, arg));
}

/* Any register but what would move the good driver's rings or reset the device behind its back. */
static void register_junk(struct world *w, u8 arg)
{
	u32 reg = 4u * arg, val = next32(w);

	if (reg >= VMMIO_CONFIG) {
		reg = VMMIO_CONFIG + val % 20;
		board_write(&w->b, BOARD_VIRTIO + reg, 1u << (val >> 8 & 3), val >> 16);
		board_read(&w->b, BOARD_VIRTIO + reg, 1u << (val >> 8 & 3));
	} else if (reg != VMMIO_STATUS && reg < VMMIO_QUEUE_DESC) {
		board_write(&w->b, BOARD_VIRTIO + reg, 4, val);
	} else {
		vmmio_read(&w->m, reg);
	}
}

static void step(struct world *w, u8 op, u8 arg)
{
	u8 text[256];

	switch (op % 32) {
	case 0:
		start(w, arg & 7);
		break;
	case 1:
		reset(w);
		break;
	case 2 ... 6:
		add_request(w, any_queue(w, arg));
		break;
	case 7 ... 9:
		add_control(w, arg);
		break;
	case 10 ... 11:
		ring_junk(w, arg);
		break;
	case 12:
		register_junk(w, arg);
		break;
	case 13 ... 15:
		good_send(w, 8u * arg);
		break;
	case 16 ... 17:
		good_listen(w, arg);
		break;
	case 18:
		push_good(w, arg);
		break;
	case 19:
		memset(text, arg, sizeof(text));
		console_push_input(w->cons[arg % w->n_ports == GOOD ? 0 : arg % w->n_ports], text,
				   arg);
		break;
	case 20 ... 21:
		slurp(w, 64u * arg);
		break;
	case 22 ... 24:
		loop_manual_run(w->b.loop);
		harvest(w);
		break;
	case 25:
		loop_manual_advance(w->b.loop, arg * NSEC_PER_MSEC / 8);
		break;
	case 26:
		console_resize(w->cons[0], arg, next(w));
		break;
	case 27:
		if (arg < 16 && w->out[0] >= 0) {
			close(w->out[0]);
			w->out[0] = -1;
		}
		break;
	case 28:
		/* The driver's queues go with it. */
		harvest(w);
		unplug(w);
		settle_good(w);
		plug(w);
		break;
	case 29:
		emergency(w, arg);
		break;
	default:
		add_good_control(w, arg);
		break;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return 0;
	signal(SIGPIPE, SIG_IGN);
	w->input = data;
	w->end = data + (len < 2048 ? len : 2048);
	world_open(w);
	start(w, 7);
	while (w->input < w->end) {
		u8 op = next(w);

		step(w, op, next(w));
		board_check_virtio(&w->b, w->dev);
	}
	harvest(w);
	world_close(w);
	free(w);
	return 0;
}
