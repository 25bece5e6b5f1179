/*
 * The virtio console, played by drivers over MMIO: with and without ports, as Linux does it and
 * as no driver should; slow, absent and fast hosts; beside a serial port. On virtual time, but for
 * the one with threads.
 *
 * Does not prove that Linux finds its hvc0 and its ports, or what a size looks like to a
 * person: booting one does (check-bed).
 */
#include "tests/unit/devtest.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "devices/classes.h"
#include "tests/unit/vmmio.h"
#include "vmm/console.h"

#define BASE	 0xd0000000
#define COM1	 0x3f8
#define RAM_SIZE (8 * MIB)

/* Rings of a few entries each, then one buffer for each entry, then room for what tests send. */
#define QUEUE_SIZE 16
#define RINGS	   0x10000
#define RINGS_STEP 0x4000
#define BUFS	   0x200000
#define BUF_LEN	   256
#define DATA	   (4 * MIB)

/* Virtio 1.2, 5.3.3, 5.3.4 and 5.3.6.2. */
#define F_SIZE	      0
#define F_MULTIPORT   1
#define F_EMERG_WRITE 2
#define CFG_SIZE      0
#define CFG_MAX_PORTS 4
#define CFG_EMERG_WR  8
#define CONTROL_RX    2
#define CONTROL_TX    3
#define DEVICE_READY  0
#define PORT_ADD      1
#define PORT_READY    3
#define CONSOLE_PORT  4
#define RESIZE	      5
#define PORT_OPEN     6
#define PORT_NAME     7
#define BAD_ID	      UINT32_MAX

#define ALL_FEATURES (BIT(F_SIZE) | BIT(F_MULTIPORT) | BIT(F_EMERG_WRITE))

/* What a driver knows of a port. */
struct seen_port {
	bool added, is_console, host_open;
	unsigned int n_resized, n_messages;
	u16 cols, rows;
	char name[LKVM_PORT_NAME_MAX];
	u8 input[8192];
	size_t n_input;
};

struct bench {
	struct devtest t;
	struct lkvm_console cons_cfg[1 + LKVM_MAX_PORTS];
	struct console *cons[1 + LKVM_MAX_PORTS];
	int in[2], out[2]; /* of port 0: the test writes in[1] and reads out[0] */
	struct virtio_console_cfg cfg;
	unsigned int n_ports; /* with port 0 */

	struct vmmio m;
	struct vqd q[2 * LKVM_MAX_PORTS + 4];
	struct seen_port ports[1 + LKVM_MAX_PORTS];
	u8 got[1 + LKVM_MAX_PORTS][4096]; /* by the output functions of named ports */
	size_t n_got[1 + LKVM_MAX_PORTS];
};

struct port_ctx {
	struct bench *b;
	unsigned int port;
};

static const struct console_ops no_ops = { 0 };

/* ---- a board ---- */

static void on_got(struct bench *b, unsigned int port, const void *data, size_t len)
{
	assert_true(len <= sizeof(b->got[port]) - b->n_got[port]);
	memcpy(b->got[port] + b->n_got[port], data, len);
	b->n_got[port] += len;
}

/* A function for each port, for the context is the bench. */
#define ON_OUT(n)                                                       \
	static void on_out_##n(void *ctx, const void *data, size_t len) \
	{                                                               \
		on_got(ctx, n, data, len);                              \
	}
ON_OUT(1)
ON_OUT(2)

static const char *const names[LKVM_MAX_PORTS] = { "org.one", "two", "three", "four",
						   "five",    "six", "seven", "eight",
						   "nine",    "ten", "11",    "12",
						   "13",      "14",  "15",    "sixteen" };

static void plug(struct bench *b)
{
	devtest_plug(&b->t, &(struct dev_slot){
				    .cls = &virtio_mmio_class,
				    .name = "console0",
				    .ranges = { { &b->t.mmio, BASE, VMMIO_LEN,
						  BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4, 0 } },
				    .cfg = &(struct virtio_cfg){ .cls = &virtio_console_class,
								 .cfg = &b->cfg },
			    });
}

static void unplug(struct bench *b)
{
	if (!b->t.dev)
		return;
	bus_remove(&b->t.mmio, BASE);
	dev_destroy(b->t.dev);
	b->t.dev = NULL;
}

/* @n_named ports besides port 0, of which two have output functions and the rest nothing. */
static void bench_open(struct bench *b, unsigned int n_named)
{
	static void (*const outs[])(void *, const void *, size_t) = { on_out_1, on_out_2 };

	memset(b, 0, sizeof(*b));
	devtest_init(&b->t, 0);
	devtest_add_ram(&b->t, 0, RAM_SIZE);
	assert_int_equal(pipe2(b->in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b->out, O_CLOEXEC), 0);
	assert_true(fcntl(b->out[1], F_SETPIPE_SZ, 4096) >= 0);
	b->n_ports = 1 + n_named;
	for (unsigned int i = 0; i < b->n_ports; i++) {
		struct lkvm_console cfg = { .in_fd = -1, .out_fd = -1, .ctx = b };

		if (!i) {
			cfg.in_fd = b->in[0];
			cfg.out_fd = b->out[1];
		} else if (i <= ARRAY_SIZE(outs)) {
			cfg.out = outs[i - 1];
		}
		assert_int_equal(console_create(&b->cons[i], &cfg, false, b->t.loop, &b->t.log,
						&no_ops, b, NULL),
				 0);
		console_start(b->cons[i]);
		if (i) {
			b->cfg.ports[i - 1].name = names[i - 1];
			b->cfg.ports[i - 1].console = b->cons[i];
		}
	}
	b->cfg.console = b->cons[0];
	b->cfg.n_ports = n_named;
	plug(b);
	b->m = (struct vmmio){ .bus = &b->t.mmio, .gm = &b->t.gmem, .base = BASE };
}

static void bench_close(struct bench *b)
{
	unplug(b);
	for (unsigned int i = 0; i < b->n_ports; i++)
		console_destroy(b->cons[i]);
	for (int i = 0; i < 2; i++) {
		close(b->in[i]);
		close(b->out[i]);
	}
	assert_null(b->t.loop->timers);
	assert_null(b->t.loop->work);
	devtest_fini(&b->t);
}

static struct virtio *device(struct bench *b)
{
	return virtio_of(b->t.dev);
}

static void run(struct bench *b)
{
	loop_manual_run(b->t.loop);
}

static void settle(struct bench *b)
{
	devtest_advance(&b->t, CONSOLE_FLUSH_NS);
}

static struct console_stats stats(struct bench *b, unsigned int port)
{
	struct console_stats st;

	console_get_stats(b->cons[port], &st);
	return st;
}

static u8 pattern(size_t i)
{
	return (u8)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static void type(struct bench *b, const char *text)
{
	assert_int_equal(write(b->in[1], text, strlen(text)), strlen(text));
	run(b);
}

/* All that is in the pipe behind port 0 now, without waiting. */
static size_t slurp(struct bench *b, void *buf, size_t size)
{
	struct pollfd p = { .fd = b->out[0], .events = POLLIN };
	ssize_t n = poll(&p, 1, 0) > 0 ? read(b->out[0], buf, size) : 0;

	assert_true(n >= 0);
	return (size_t)n;
}

static void assert_arrived(struct bench *b, const char *text)
{
	char buf[512];
	size_t n;

	settle(b);
	n = slurp(b, buf, sizeof(buf) - 1);
	buf[n] = 0;
	assert_string_equal(buf, text);
}

static void assert_got(struct bench *b, unsigned int port, const char *text)
{
	assert_int_equal(b->n_got[port], strlen(text));
	assert_memory_equal(b->got[port], text, strlen(text));
	b->n_got[port] = 0;
}

/* ---- a driver ---- */

static unsigned int rx_index(unsigned int port)
{
	return port ? 2 + 2 * port : 0;
}

static unsigned int tx_index(unsigned int port)
{
	return rx_index(port) + 1;
}

static u64 buf_gpa(unsigned int queue, unsigned int slot)
{
	return BUFS + (queue * (u64)QUEUE_SIZE + slot) * BUF_LEN;
}

/* Up to DRIVER_OK, with all queues there are. */
static void start(struct bench *b, u64 features)
{
	unsigned int n = features & BIT(F_MULTIPORT) ? 2 * b->n_ports + 2 : 2;

	memset(b->ports, 0, sizeof(b->ports));
	assert_true(vmmio_begin(&b->m, features));
	for (unsigned int i = 0; i < n; i++)
		assert_true(
			vmmio_queue(&b->m, i, &b->q[i], RINGS + i * (u64)RINGS_STEP, QUEUE_SIZE));
	assert_true(vmmio_driver_ok(&b->m));
	run(b);
}

static void kick(struct bench *b, unsigned int queue)
{
	if (vqd_must_kick(&b->q[queue]))
		vmmio_notify(&b->m, queue);
}

/* Give queue @i all the receive buffers it takes, of @len bytes each. */
static void fill(struct bench *b, unsigned int i, u32 len)
{
	struct vqd *q = &b->q[i];

	while (q->n_free)
		assert_true(vqd_add(q, &(struct vqd_buf){ buf_gpa(i, q->free), len, true }, 1) >=
			    0);
	kick(b, i);
	run(b);
}

/* Take one message of queue @i out of its buffer: its length, or -EAGAIN. */
static int take(struct bench *b, unsigned int i, void *buf, size_t size)
{
	u32 len;
	int head = vqd_used(&b->q[i], &len);

	if (head < 0)
		return head;
	assert_true(len <= size);
	assert_int_equal(gmem_read(&b->t.gmem, buf_gpa(i, (unsigned int)head), buf, len), 0);
	return (int)len;
}

/* Make output of @port available as one request of @n_descs pieces; no kick. */
static int send_pieces(struct bench *b, unsigned int port, u64 gpa, u32 len, unsigned int n_descs)
{
	struct vqd_buf bufs[QUEUE_SIZE];

	for (unsigned int i = 0; i < n_descs; i++)
		bufs[i] = (struct vqd_buf){ gpa + (u64)len / n_descs * i, len / n_descs, false };
	return vqd_add(&b->q[tx_index(port)], bufs, n_descs);
}

/* Send and wait, as Linux's console does. */
static void print(struct bench *b, unsigned int port, const char *text)
{
	unsigned int i = tx_index(port);
	int head;

	assert_int_equal(gmem_write(&b->t.gmem, DATA, text, strlen(text)), 0);
	head = send_pieces(b, port, DATA, (u32)strlen(text), 1);
	assert_true(head >= 0);
	kick(b, i);
	run(b);
	assert_int_equal(vqd_used(&b->q[i], NULL), head);
}

static void send_raw_control(struct bench *b, const void *msg, u32 len)
{
	struct vqd *q = &b->q[CONTROL_TX];
	u64 gpa = buf_gpa(CONTROL_TX, q->free);

	assert_int_equal(gmem_write(&b->t.gmem, gpa, msg, len), 0);
	assert_true(vqd_add(q, &(struct vqd_buf){ gpa, len, false }, 1) >= 0);
	kick(b, CONTROL_TX);
	run(b);
	assert_true(vqd_used(q, NULL) >= 0);
}

static void control(struct bench *b, u32 id, u16 event, u16 value)
{
	u8 msg[8];

	put_le32(msg, id);
	put_le16(msg + 4, event);
	put_le16(msg + 6, value);
	send_raw_control(b, msg, sizeof(msg));
}

static void on_control(struct bench *b, const u8 *msg, size_t len)
{
	u32 id = get_le32(msg);
	u16 event = get_le16(msg + 4), value = get_le16(msg + 6);
	struct seen_port *p = &b->ports[id];

	assert_true(len >= 8 && id < b->n_ports);
	p->n_messages++;
	assert_true(event == PORT_ADD || p->added);
	switch (event) {
	case PORT_ADD:
		p->added = true;
		fill(b, rx_index(id), BUF_LEN);
		control(b, id, PORT_READY, 1);
		break;
	case CONSOLE_PORT:
		assert_int_equal(value, 1);
		p->is_console = true;
		control(b, id, PORT_OPEN, 1);
		break;
	case RESIZE:
		assert_int_equal(len, 12);
		assert_true(p->is_console);
		p->cols = get_le16(msg + 8);
		p->rows = get_le16(msg + 10);
		p->n_resized++;
		break;
	case PORT_OPEN:
		p->host_open = value;
		break;
	case PORT_NAME:
		assert_true(len > 8 && len - 8 < sizeof(p->name));
		memcpy(p->name, msg + 8, len - 8);
		p->name[len - 8] = 0;
		break;
	default:
		fail_msg("event %u of port %u", event, id);
	}
}

/* Answer control messages and take input, until there is nothing more. */
static void drive(struct bench *b)
{
	bool any = true;
	u8 buf[BUF_LEN];
	int n;

	while (any) {
		any = false;
		run(b);
		if ((n = take(b, CONTROL_RX, buf, sizeof(buf))) >= 0) {
			any = true;
			fill(b, CONTROL_RX, BUF_LEN);
			on_control(b, buf, (size_t)n);
		}
		for (unsigned int i = 0; i < b->n_ports; i++) {
			struct seen_port *p = &b->ports[i];

			if (!p->added || (n = take(b, rx_index(i), buf, sizeof(buf))) < 0)
				continue;
			any = true;
			assert_true((size_t)n <= sizeof(p->input) - p->n_input);
			memcpy(p->input + p->n_input, buf, (size_t)n);
			p->n_input += (size_t)n;
			fill(b, rx_index(i), BUF_LEN);
		}
	}
}

/* As Linux's driver brings all ports up. */
static void linux_start(struct bench *b)
{
	start(b, ALL_FEATURES | BIT(VIRTIO_F_EVENT_IDX));
	fill(b, CONTROL_RX, BUF_LEN);
	control(b, BAD_ID, DEVICE_READY, 1);
	drive(b);
}

static void assert_input(struct bench *b, unsigned int port, const char *text)
{
	struct seen_port *p = &b->ports[port];

	drive(b);
	assert_int_equal(p->n_input, strlen(text));
	assert_memory_equal(p->input, text, strlen(text));
	p->n_input = 0;
}

static u8 status(struct bench *b)
{
	return (u8)vmmio_read(&b->m, VMMIO_STATUS);
}

/* ---- what it offers ---- */

static void it_is_a_console_with_a_pair_of_queues_for_each_port_and_for_messages(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 2);
	assert_int_equal(vmmio_read(&b.m, VMMIO_DEVICE_ID), VIRTIO_ID_CONSOLE);
	assert_int_equal(vmmio_offered(&b.m) & 0xffffff, ALL_FEATURES);
	assert_int_equal(vmmio_read(&b.m, VMMIO_CONFIG + CFG_SIZE), 0);
	assert_int_equal(vmmio_read(&b.m, VMMIO_CONFIG + CFG_MAX_PORTS), 3);
	assert_int_equal(vmmio_read(&b.m, VMMIO_CONFIG + CFG_EMERG_WR), 0);
	assert_int_equal(vmmio_read(&b.m, VMMIO_CONFIG + 12), UINT32_MAX);
	for (u32 i = 0; i < 9; i++) {
		vmmio_write(&b.m, VMMIO_QUEUE_SEL, i);
		assert_int_equal(vmmio_read(&b.m, VMMIO_QUEUE_NUM_MAX) > 0, i < 8);
	}
	bench_close(&b);
}

static void without_a_console_there_is_no_port_0(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 1);
	unplug(&b);
	b.cfg.console = NULL;
	plug(&b);
	assert_int_equal(vmmio_offered(&b.m) & 0xffffff, BIT(F_MULTIPORT));
	vmmio_write(&b.m, VMMIO_CONFIG + CFG_EMERG_WR, 'x');
	start(&b, BIT(F_MULTIPORT));
	fill(&b, CONTROL_RX, BUF_LEN);
	control(&b, BAD_ID, DEVICE_READY, 1);
	control(&b, 0, PORT_READY, 1);
	control(&b, 0, PORT_OPEN, 1);
	drive(&b);
	assert_false(b.ports[0].added);
	assert_true(b.ports[1].added && b.ports[1].host_open);
	/* A driver that talks to it all the same is not held up. */
	fill(&b, rx_index(0), BUF_LEN);
	print(&b, 0, "nobody");
	type(&b, "for the serial port");
	assert_int_equal(vqd_used(&b.q[0], NULL), -EAGAIN);
	start(&b, 0);
	fill(&b, 0, BUF_LEN);
	print(&b, 0, "nobody");
	assert_int_equal(vqd_used(&b.q[0], NULL), -EAGAIN);
	assert_arrived(&b, "");
	bench_close(&b);
}

/* ---- output ---- */

static void output_of_a_driver_without_ports_arrives(void **state)
{
	struct bench b;

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		bench_open(&b, 0);
		start(&b, event_idx ? BIT(VIRTIO_F_EVENT_IDX) : 0);
		print(&b, 0, "hello, ");
		print(&b, 0, "world\n");
		assert_arrived(&b, "hello, world\n");
		bench_close(&b);
	}
}

static void a_kick_takes_all_there_is_and_is_answered_by_one_interrupt(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 0);
	start(&b, 0);
	assert_int_equal(gmem_write(&b.t.gmem, DATA, "0123456789abcdef", 16), 0);
	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		assert_true(send_pieces(&b, 0, DATA + i, 1, 1) >= 0);
	kick(&b, 1);
	run(&b);
	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		assert_true(vqd_used(&b.q[1], NULL) >= 0);
	assert_int_equal(b.t.n_raised[DEVTEST_GSI], 1);
	assert_arrived(&b, "0123456789abcdef");
	bench_close(&b);
}

static void a_driver_that_asks_for_no_interrupt_gets_none(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 0);
	start(&b, 0);
	vqd_no_irq(&b.q[1]);
	print(&b, 0, "as Linux's console, which waits for the buffer");
	assert_int_equal(b.t.n_raised[DEVTEST_GSI], 0);
	bench_close(&b);
}

static void more_than_the_buffer_holds_waits_in_the_queue_and_nothing_is_lost(void **state)
{
	const u32 len = 48 * 1024;
	const unsigned int n_requests = 12;
	size_t seen = 0, total = (size_t)len * n_requests;
	unsigned int n_sent = 0, n_used = 0, n_interrupts;
	struct bench b;
	u8 buf[2999];

	(void)state;
	bench_open(&b, 0);
	start(&b, BIT(VIRTIO_F_EVENT_IDX));
	for (size_t i = 0; i < total; i++) {
		u8 byte = pattern(i);

		gmem_write(&b.t.gmem, DATA + i, &byte, 1);
	}
	while (seen < total) {
		size_t n;

		/* Of one piece, and of several. */
		while (n_sent < n_requests &&
		       send_pieces(&b, 0, DATA + n_sent * (u64)len, len, 1 + n_sent % 3) >= 0)
			n_sent++;
		kick(&b, 1);
		settle(&b);
		while (vqd_used(&b.q[1], NULL) >= 0)
			n_used++;
		/* What was given back has been taken, and only so much more. */
		assert_true(stats(&b, 0).bytes_out >= (u64)n_used * len);
		assert_true(stats(&b, 0).bytes_out - seen <= CONSOLE_OUT_SIZE + 4096);
		n = slurp(&b, buf, 1 + seen % sizeof(buf));
		for (size_t i = 0; i < n; i++)
			assert_int_equal(buf[i], pattern(seen + i));
		seen += n;
	}
	n_interrupts = b.t.n_raised[DEVTEST_GSI];
	assert_int_equal(n_used, n_requests);
	assert_true(n_interrupts > 0 && n_interrupts <= n_requests);
	assert_int_equal(stats(&b, 0).bytes_out, total);
	assert_int_equal(stats(&b, 0).bytes_lost, 0);
	bench_close(&b);
}

static void a_host_side_that_fails_holds_nothing_up(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 0);
	start(&b, 0);
	assert_true(send_pieces(&b, 0, DATA, 128 * 1024, 4) >= 0);
	kick(&b, 1);
	settle(&b);
	assert_int_equal(vqd_used(&b.q[1], NULL), -EAGAIN);
	close(b.out[0]);
	b.out[0] = dup(b.out[1]);
	settle(&b);
	assert_true(vqd_used(&b.q[1], NULL) >= 0);
	assert_int_equal(stats(&b, 0).bytes_out, 128 * 1024);
	assert_true(stats(&b, 0).bytes_lost >= 120 * 1024);
	bench_close(&b);
}

static void output_that_nobody_wants_is_taken_in_bounded_steps(void **state)
{
	const u32 len = 3 * MIB;
	struct bench b;
	u64 before;

	(void)state;
	bench_open(&b, 3); /* port 3 has no host side */
	linux_start(&b);
	/* The same memory over and over: a guest can make a request of any length. */
	assert_true(vqd_add(&b.q[tx_index(3)],
			    (struct vqd_buf[]){ { DATA, len, false },
						{ DATA, len, false },
						{ DATA, len, false } },
			    3) >= 0);
	before = stats(&b, 3).bytes_out;
	virtio_run(&device(&b)->queues[tx_index(3)]);
	assert_in_range(stats(&b, 3).bytes_out - before, 1, 256 * KIB);
	run(&b);
	assert_int_equal(stats(&b, 3).bytes_out - before, 3 * (u64)len);
	assert_int_equal(stats(&b, 3).bytes_lost, 0);
	assert_true(vqd_used(&b.q[tx_index(3)], NULL) >= 0);
	bench_close(&b);
}

/* ---- when the guest goes ---- */

static void what_was_sent_in_the_last_moment_arrives(void **state)
{
	const u32 len = 90 * 1024;
	struct bench b;
	size_t seen = 0;
	u8 buf[4096];

	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		bench_open(&b, 1);
		linux_start(&b);
		assert_int_equal(gmem_write(&b.t.gmem, DATA, "result: ok", 10), 0);
		assert_true(send_pieces(&b, 1, DATA, 10, 2) >= 0);
		kick(&b, tx_index(1));
		/* Nobody has looked yet. */
		assert_int_equal(stats(&b, 1).bytes_out, 0);
		if (reset)
			vmmio_write(&b.m, VMMIO_STATUS, 0);
		else
			unplug(&b);
		settle(&b);
		assert_got(&b, 1, "result: ok");
		bench_close(&b);
	}

	/* As much as the rings of one port hold, for a slow reader. */
	bench_open(&b, 0);
	start(&b, 0);
	for (size_t i = 0; i < 16 * (size_t)len; i++) {
		u8 byte = pattern(i);

		gmem_write(&b.t.gmem, DATA + i, &byte, 1);
	}
	for (unsigned int i = 0; i < 16; i++)
		assert_true(send_pieces(&b, 0, DATA + i * (u64)len, len, 1) >= 0);
	kick(&b, 1);
	settle(&b);
	b.t.env.quiet = true;
	unplug(&b);
	while (seen < 16 * (size_t)len) {
		size_t n;

		settle(&b);
		n = slurp(&b, buf, sizeof(buf));
		assert_true(n > 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(buf[i], pattern(seen + i));
		seen += n;
	}
	assert_int_equal(stats(&b, 0).bytes_lost, 0);
	bench_close(&b);
}

static void a_last_moment_has_an_end_and_what_is_lost_is_said(void **state)
{
	const u32 len = 3 * MIB;
	struct bench b;
	unsigned int n_msgs;

	(void)state;
	bench_open(&b, 0);
	start(&b, 0);
	for (int i = 0; i < 3; i++)
		assert_true(send_pieces(&b, 0, DATA, len, 4) >= 0);
	n_msgs = b.t.n_msgs;
	unplug(&b);
	assert_int_equal(stats(&b, 0).bytes_out, 3 * len);
	assert_in_range(stats(&b, 0).bytes_lost, 2 * len, 3 * len - CONSOLE_OUT_SIZE);
	assert_int_equal(b.t.n_msgs, n_msgs + 1);
	assert_non_null(strstr(b.t.last_msg, "lost"));
	bench_close(&b);
}

static void a_reset_amid_a_request_begins_anew(void **state)
{
	struct bench b;
	char buf[4096];
	u64 lost;

	(void)state;
	bench_open(&b, 1);
	linux_start(&b);
	assert_true(send_pieces(&b, 0, DATA, 100 * 1024, 1) >= 0);
	kick(&b, 1);
	settle(&b);
	assert_int_equal(vqd_used(&b.q[1], NULL), -EAGAIN);
	vmmio_write(&b.m, VMMIO_STATUS, 0);
	assert_int_equal(status(&b), 0);
	assert_int_equal(vmmio_read(&b.m, VMMIO_QUEUE_READY), 0);
	lost = stats(&b, 0).bytes_lost;
	assert_int_equal(stats(&b, 0).bytes_out, 100 * 1024);
	assert_in_range(lost, 1, 100 * 1024 - 1);

	/* The next driver's first bytes are not taken for what was sent already. */
	linux_start(&b);
	assert_true(b.ports[0].is_console && b.ports[1].added);
	do
		settle(&b);
	while (slurp(&b, buf, sizeof(buf)));
	print(&b, 0, "new");
	assert_arrived(&b, "new");
	assert_int_equal(stats(&b, 0).bytes_lost, lost);
	bench_close(&b);
}

/* ---- input ---- */

static void input_reaches_a_driver_without_ports_when_it_gives_buffers(void **state)
{
	struct bench b;
	char buf[BUF_LEN];

	(void)state;
	bench_open(&b, 0);
	type(&b, "early ");
	start(&b, 0);
	type(&b, "late");
	fill(&b, 0, 4);
	assert_int_equal(take(&b, 0, buf, sizeof(buf)), 4);
	assert_int_equal(take(&b, 0, buf + 4, sizeof(buf) - 4), 4);
	assert_int_equal(take(&b, 0, buf + 8, sizeof(buf) - 8), 2);
	assert_int_equal(take(&b, 0, buf, sizeof(buf)), -EAGAIN);
	assert_memory_equal(buf, "early late", 10);
	type(&b, "x");
	assert_int_equal(take(&b, 0, buf, sizeof(buf)), 1);
	bench_close(&b);
}

static void input_waits_until_the_driver_has_opened_the_port(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 1);
	type(&b, "piped in before the boot\n");
	start(&b, ALL_FEATURES);
	fill(&b, rx_index(0), BUF_LEN);
	fill(&b, CONTROL_RX, BUF_LEN);
	control(&b, BAD_ID, DEVICE_READY, 1);
	assert_int_equal(vqd_used(&b.q[0], NULL), -EAGAIN);
	b.ports[0].added = true;
	drive(&b);
	assert_input(&b, 0, "piped in before the boot\n");
	type(&b, "more");
	assert_input(&b, 0, "more");
	/* Closed, it waits again. */
	control(&b, 0, PORT_OPEN, 0);
	type(&b, "later");
	assert_input(&b, 0, "");
	control(&b, 0, PORT_OPEN, 1);
	assert_input(&b, 0, "later");
	/* As it does for the next driver. */
	start(&b, ALL_FEATURES);
	fill(&b, rx_index(0), BUF_LEN);
	type(&b, "for the next one");
	assert_int_equal(vqd_used(&b.q[0], NULL), -EAGAIN);
	linux_start(&b);
	assert_input(&b, 0, "for the next one");
	bench_close(&b);
}

static void input_without_end_is_held_back_outside(void **state)
{
	size_t total = 100 * 1000, sent = 0, seen = 0;
	struct bench b;
	u8 buf[5000];
	int pending;

	(void)state;
	bench_open(&b, 0);
	start(&b, BIT(VIRTIO_F_EVENT_IDX));
	assert_int_equal(fcntl(b.in[1], F_SETFL, O_NONBLOCK), 0);
	while (seen < total) {
		size_t n = min_u64(sizeof(buf), total - sent);
		ssize_t did;
		int got;

		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(sent + i);
		did = n ? write(b.in[1], buf, n) : 0;
		sent += did > 0 ? (size_t)did : 0;
		run(&b);
		assert_int_equal(ioctl(b.in[0], FIONREAD, &pending), 0);
		assert_true(sent - seen - (size_t)pending <=
			    CONSOLE_IN_SIZE + QUEUE_SIZE * (size_t)BUF_LEN);
		/* A buffer now and then, of several sizes. */
		fill(&b, 0, (u32)(1 + seen % BUF_LEN));
		for (int i = 0; i < 5 && (got = take(&b, 0, buf, sizeof(buf))) >= 0; i++) {
			for (int k = 0; k < got; k++)
				assert_int_equal(buf[k], pattern(seen++));
		}
	}
	bench_close(&b);
}

static void a_buffer_of_several_pieces_is_filled_and_one_for_reading_only_comes_back(void **state)
{
	struct bench b;
	char buf[8];
	u32 len;
	int head;

	(void)state;
	bench_open(&b, 0);
	start(&b, 0);
	type(&b, "abcdef");
	head = vqd_add(&b.q[0], &(struct vqd_buf){ DATA, 4, false }, 1);
	assert_true(head >= 0);
	kick(&b, 0);
	run(&b);
	assert_int_equal(vqd_used(&b.q[0], &len), head);
	assert_int_equal(len, 0);
	head = vqd_add(&b.q[0],
		       (struct vqd_buf[]){
			       { DATA, 4, false }, { DATA + 16, 2, true }, { DATA + 32, 3, true } },
		       3);
	kick(&b, 0);
	run(&b);
	assert_int_equal(vqd_used(&b.q[0], &len), head);
	assert_int_equal(len, 5);
	gmem_read(&b.t.gmem, DATA + 16, buf, 2);
	gmem_read(&b.t.gmem, DATA + 32, buf + 2, 3);
	assert_memory_equal(buf, "abcde", 5);
	bench_close(&b);
}

static void a_buffer_that_finds_no_input_is_not_used_up(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 0);
	linux_start(&b);
	for (int i = 0; i < 3 * QUEUE_SIZE; i++) {
		type(&b, "key");
		assert_input(&b, 0, "key");
		console_resize(b.cons[0], (u16)(1 + i), 25); /* it looks for input, too */
	}
	bench_close(&b);
}

static void the_end_of_input_is_not_the_end_of_output(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 0);
	linux_start(&b);
	type(&b, "bye");
	close(b.in[1]);
	b.in[1] = dup(b.in[0]);
	assert_input(&b, 0, "bye");
	assert_true(b.ports[0].host_open);
	print(&b, 0, "still here");
	assert_arrived(&b, "still here");
	bench_close(&b);
}

static void input_not_taken_yet_outlives_the_driver_and_the_device(void **state)
{
	struct bench b;

	(void)state;
	for (int replug = 0; replug < 2; replug++) {
		bench_open(&b, 0);
		linux_start(&b);
		control(&b, 0, PORT_OPEN, 0);
		type(&b, "for the next boot");
		if (replug) {
			unplug(&b);
			plug(&b);
		}
		linux_start(&b);
		assert_input(&b, 0, "for the next boot");
		bench_close(&b);
	}
}

/* ---- ports ---- */

static void linux_brings_up_every_port_by_name(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, LKVM_MAX_PORTS);
	linux_start(&b);
	for (unsigned int i = 0; i < b.n_ports; i++) {
		struct seen_port *p = &b.ports[i];

		assert_true(p->added && p->host_open);
		assert_int_equal(p->is_console, i == 0);
		assert_string_equal(p->name, i ? names[i - 1] : "");
		assert_int_equal(p->n_messages, 3);
	}
	assert_int_equal(b.ports[0].n_resized, 0); /* nobody knows it */
	bench_close(&b);
}

static void a_driver_that_failed_is_told_nothing(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 1);
	start(&b, ALL_FEATURES);
	fill(&b, CONTROL_RX, BUF_LEN);
	control(&b, BAD_ID, DEVICE_READY, 0);
	for (u32 i = 0; i < 2; i++) {
		control(&b, i, PORT_READY, 0);
		control(&b, i, PORT_OPEN, 0);
	}
	assert_int_equal(vqd_used(&b.q[CONTROL_RX], NULL), -EAGAIN);
	bench_close(&b);
}

static void each_port_has_its_own_two_streams(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 2);
	linux_start(&b);
	control(&b, 1, PORT_OPEN, 1);
	print(&b, 0, "zero");
	print(&b, 1, "one");
	print(&b, 2, "two");
	assert_arrived(&b, "zero");
	assert_got(&b, 1, "one");
	assert_got(&b, 2, "two");
	type(&b, "to 0");
	console_push_input(b.cons[1], "to 1", 4);
	console_push_input(b.cons[2], "to 2", 4);
	assert_input(&b, 0, "to 0");
	assert_input(&b, 1, "to 1");
	assert_input(&b, 2, ""); /* no program has it open */
	control(&b, 2, PORT_OPEN, 1);
	assert_input(&b, 2, "to 2");
	bench_close(&b);
}

/* What a port was given ends where it ends; one that the host listens to stays open. */
static void the_end_of_what_a_port_is_given_is_told_once_it_was_taken(void **state)
{
	static const char text[] = "the cases";
	struct bench b;

	(void)state;
	for (int listened_to = 0; listened_to < 2; listened_to++) {
		unsigned int port = listened_to ? 2 : 3; /* see bench_open() */
		struct seen_port *p;
		int fds[2];

		bench_open(&b, 3);
		p = &b.ports[port];
		unplug(&b);
		console_destroy(b.cons[port]);
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		assert_int_equal(console_create(&b.cons[port],
						&(struct lkvm_console){
							.in_fd = fds[0],
							.out_fd = -1,
							.out = listened_to ? on_out_2 : NULL,
							.ctx = &b },
						false, b.t.loop, &b.t.log, &no_ops, &b, NULL),
				 0);
		console_start(b.cons[port]);
		b.cfg.ports[port - 1].console = b.cons[port];
		plug(&b);
		assert_int_equal(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
		close(fds[1]);
		linux_start(&b);
		assert_true(p->host_open);

		/* A program opens it, and reads to the end. */
		control(&b, port, PORT_OPEN, 1);
		assert_input(&b, port, text);
		assert_int_equal(p->host_open, listened_to);
		assert_int_equal(p->n_messages, listened_to ? 3 : 4);
		control(&b, port, PORT_OPEN, 0);
		control(&b, port, PORT_OPEN, 1);
		drive(&b);
		assert_int_equal(p->n_messages, listened_to ? 3 : 4);

		/* The next driver finds it so. */
		memset(b.ports, 0, sizeof(b.ports));
		linux_start(&b);
		assert_int_equal(p->host_open, listened_to);
		assert_int_equal(p->n_messages, 3);
		assert_true(b.ports[0].host_open && b.ports[1].host_open);
		control(&b, port, PORT_OPEN, 1);
		drive(&b);
		assert_int_equal(p->n_messages, 3);
		close(fds[0]);
		bench_close(&b);
	}
}

static void a_slow_port_does_not_hold_up_another(void **state)
{
	struct bench b;
	char buf[4096];

	(void)state;
	bench_open(&b, 1);
	linux_start(&b);
	assert_true(send_pieces(&b, 0, DATA, 200 * 1024, 2) >= 0);
	kick(&b, 1);
	settle(&b);
	print(&b, 1, "quick");
	settle(&b);
	assert_got(&b, 1, "quick");
	assert_int_equal(vqd_used(&b.q[1], NULL), -EAGAIN);
	do
		settle(&b);
	while (slurp(&b, buf, sizeof(buf)));
	assert_true(vqd_used(&b.q[1], NULL) >= 0);
	bench_close(&b);
}

/* ---- size ---- */

static void a_size_known_before_the_boot_is_there_when_the_driver_comes(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 1);
	console_resize(b.cons[0], 132, 50);
	run(&b);
	assert_int_equal(vmmio_read(&b.m, VMMIO_CONFIG + CFG_SIZE), 132 | 50 << 16);
	unplug(&b);
	plug(&b);
	assert_int_equal(vmmio_read(&b.m, VMMIO_CONFIG + CFG_SIZE), 132 | 50 << 16);
	linux_start(&b);
	assert_int_equal(b.ports[0].n_resized, 1);
	assert_int_equal(b.ports[0].cols, 132);
	assert_int_equal(b.ports[0].rows, 50);
	/* For the console alone, and when it is opened. */
	control(&b, 1, PORT_OPEN, 1);
	control(&b, 0, PORT_OPEN, 0);
	drive(&b);
	assert_int_equal(b.ports[0].n_resized, 1);
	control(&b, 0, PORT_OPEN, 1);
	drive(&b);
	assert_int_equal(b.ports[0].n_resized, 2);
	start(&b, ALL_FEATURES);
	fill(&b, CONTROL_RX, BUF_LEN);
	console_resize(b.cons[0], 80, 25);
	run(&b);
	assert_int_equal(vqd_used(&b.q[CONTROL_RX], NULL), -EAGAIN);
	bench_close(&b);
}

static void a_new_size_is_told_in_both_ways_once(void **state)
{
	struct bench b;
	u32 generation;

	(void)state;
	for (int multiport = 0; multiport < 2; multiport++) {
		bench_open(&b, 0);
		if (multiport)
			linux_start(&b);
		else
			start(&b, BIT(F_SIZE));
		vmmio_ack(&b.m);
		generation = vmmio_read(&b.m, VMMIO_CONFIG_GENERATION);
		console_resize(b.cons[0], 80, 25);
		console_resize(b.cons[0], 100, 30);
		run(&b);
		assert_true(vmmio_read(&b.m, VMMIO_CONFIG_GENERATION) != generation);
		assert_int_equal(vmmio_ack(&b.m) & 2, 2);
		assert_int_equal(vmmio_read(&b.m, VMMIO_CONFIG + CFG_SIZE), 100 | 30 << 16);
		generation = vmmio_read(&b.m, VMMIO_CONFIG_GENERATION);
		console_resize(b.cons[0], 100, 30);
		if (multiport) {
			drive(&b);
			assert_int_equal(b.ports[0].n_resized, 1);
			assert_int_equal(b.ports[0].cols, 100);
			assert_int_equal(b.ports[0].rows, 30);
		}
		run(&b);
		assert_int_equal(vmmio_read(&b.m, VMMIO_CONFIG_GENERATION), generation);
		assert_int_equal(vmmio_ack(&b.m) & 2, 0);
		console_resize(b.cons[0], 100, 31);
		run(&b);
		assert_int_equal(vmmio_ack(&b.m) & 2, 2);
		bench_close(&b);
	}
}

/* ---- emergency writes ---- */

static void a_byte_can_be_written_before_there_is_a_driver(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 0);
	for (const char *c = "early"; *c; c++)
		vmmio_write(&b.m, VMMIO_CONFIG + CFG_EMERG_WR, 0xabcdef00u | (u8)*c);
	bus_write(&b.t.mmio, BASE + VMMIO_CONFIG + CFG_EMERG_WR, 1, '!', NULL);
	assert_arrived(&b, "early!");
	/* The other fields are the device's. */
	for (u32 off = 0; off < CFG_EMERG_WR; off += 4) {
		u32 before = vmmio_read(&b.m, VMMIO_CONFIG + off);

		vmmio_write(&b.m, VMMIO_CONFIG + off, 0xffffffff);
		assert_int_equal(vmmio_read(&b.m, VMMIO_CONFIG + off), before);
	}
	assert_int_equal(vmmio_read(&b.m, VMMIO_CONFIG + CFG_EMERG_WR), 0);
	assert_arrived(&b, "");
	bench_close(&b);
}

static void a_flood_of_single_bytes_waits_for_a_slow_reader(void **state)
{
	size_t n_sent = 0, n_seen = 0;
	struct bench b;
	u8 buf[4096];

	(void)state;
	bench_open(&b, 0);
	while (n_seen < 200 * 1024) {
		size_t n;

		while (n_sent < 200 * 1024 && !atomic_load(&b.t.dev->throttled))
			vmmio_write(&b.m, VMMIO_CONFIG + CFG_EMERG_WR, pattern(n_sent++));
		assert_true(n_sent - n_seen <= CONSOLE_OUT_SIZE + 4096);
		settle(&b);
		n = slurp(&b, buf, sizeof(buf));
		assert_true(n > 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(buf[i], pattern(n_seen++));
	}
	assert_int_equal(stats(&b, 0).bytes_lost, 0);
	bench_close(&b);
}

/* ---- hostile drivers ---- */

static void messages_that_make_no_sense_are_ignored(void **state)
{
	static const u32 ids[] = { 0, 1, 2, 17, 0x7fffffff, 0x80000000, BAD_ID };
	struct bench b;
	u8 junk[BUF_LEN];

	(void)state;
	bench_open(&b, 1);
	linux_start(&b);
	memset(junk, 0xff, sizeof(junk));
	for (u32 len = 1; len < sizeof(junk); len += 3)
		send_raw_control(&b, junk, len);
	memset(junk, 0, sizeof(junk));
	for (u32 len = 1; len < 8; len++)
		send_raw_control(&b, junk, len);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		for (u32 event = 0; event < 300; event++) {
			/* What is allowed is done elsewhere. */
			if (event != DEVICE_READY && (ids[i] > 1 || event > PORT_OPEN))
				control(&b, ids[i], (u16)event, 1);
		}
		control(&b, ids[i], 0xffff, 0xffff);
	}
	drive(&b);
	assert_int_equal(status(&b) & VIRTIO_S_NEEDS_RESET, 0);
	assert_int_equal(b.ports[0].n_messages, 3);
	assert_int_equal(b.ports[1].n_messages, 3);
	/* And said, though not for each. */
	assert_in_range(b.t.n_msgs, 1, 100);
	print(&b, 0, "well");
	type(&b, "well");
	assert_input(&b, 0, "well");
	assert_arrived(&b, "well");
	bench_close(&b);
}

static void messages_that_the_driver_does_not_fetch_take_no_room(void **state)
{
	unsigned int n = 0;
	struct bench b;
	u8 buf[BUF_LEN];

	(void)state;
	bench_open(&b, 1);
	start(&b, ALL_FEATURES);
	for (int i = 0; i < 1000; i++) {
		control(&b, BAD_ID, DEVICE_READY, 1);
		control(&b, i % 2, PORT_READY, 1);
		control(&b, 0, PORT_OPEN, 1);
		console_resize(b.cons[0], (u16)(1 + i), 25);
	}
	/* Of each message there is one, and it says what is so now. */
	fill(&b, CONTROL_RX, BUF_LEN);
	while (take(&b, CONTROL_RX, buf, sizeof(buf)) >= 0) {
		n++;
		if (get_le16(buf + 4) == RESIZE)
			assert_int_equal(get_le16(buf + 8), 1000);
	}
	assert_int_equal(n, 2 + 3 + 2); /* added, console or name, open; and a size */
	bench_close(&b);
}

static void a_buffer_too_small_for_a_message_gets_what_fits(void **state)
{
	static const int lens[] = { 8, 3, 8 };
	struct bench b;
	u8 buf[BUF_LEN];

	(void)state;
	bench_open(&b, 1);
	start(&b, ALL_FEATURES);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		control(&b, 1, PORT_READY, 1);
		gmem_zero(&b.t.gmem, BUFS, (u64)QUEUE_SIZE * BUF_LEN * 6);
		assert_true(vqd_add(&b.q[CONTROL_RX],
				    &(struct vqd_buf){ buf_gpa(CONTROL_RX, b.q[CONTROL_RX].free),
						       (u32)lens[i], true },
				    1) >= 0);
		kick(&b, CONTROL_RX);
		run(&b);
		assert_int_equal(take(&b, CONTROL_RX, buf, sizeof(buf)), lens[i]);
		assert_int_equal(buf[0], 1); /* the port's number */
	}
	assert_int_equal(status(&b) & VIRTIO_S_NEEDS_RESET, 0);
	bench_close(&b);
}

/* A serial port on the console of port 0, as a machine has it. */
static struct dev *plug_uart(struct bench *b)
{
	struct dev_slot slot = {
		.cls = &uart16550_class,
		.name = "serial0",
		.ranges = { { &b->t.ports, COM1, 8, BUS_SIZE_1, 0 } },
		.irq_chip = &b->t.chip,
		.gsi = 4,
		.cfg = &(struct uart16550_cfg){ .console = b->cons[0] },
	};
	struct dev *uart;

	assert_int_equal(dev_create(&uart, &slot, &b->t.env, NULL), 0);
	return uart;
}

static void unplug_uart(struct bench *b, struct dev *uart)
{
	bus_remove(&b->t.ports, COM1);
	dev_destroy(uart);
}

static void a_broken_device_is_alone_in_that_and_back_after_a_reset(void **state)
{
	struct bench b;
	struct dev *uart;

	(void)state;
	bench_open(&b, 1);
	uart = plug_uart(&b);
	linux_start(&b);
	vqd_raw_desc(&b.q[1], 0, DATA, 0, 0, 0); /* of no bytes */
	vqd_show(&b.q[1], 0);
	vmmio_notify(&b.m, 1);
	run(&b);
	assert_int_equal(status(&b) & VIRTIO_S_NEEDS_RESET, VIRTIO_S_NEEDS_RESET);
	/* Nothing more is taken, also not at the end. */
	send_pieces(&b, 1, DATA, 100, 1);
	vmmio_notify(&b.m, tx_index(1));
	type(&b, "kept");
	console_resize(b.cons[0], 1, 2);
	run(&b);
	assert_int_equal(stats(&b, 1).bytes_out, 0);
	devtest_out(&b.t, COM1, 1, 's');
	assert_arrived(&b, "s");
	linux_start(&b);
	assert_int_equal(stats(&b, 1).bytes_out, 0);
	assert_input(&b, 0, "kept");
	print(&b, 0, "back");
	assert_arrived(&b, "back");
	unplug_uart(&b, uart);
	bench_close(&b);
}

static void queues_that_were_not_negotiated_do_nothing(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 1);
	assert_true(vmmio_begin(&b.m, 0));
	for (unsigned int i = 0; i < 6; i++)
		assert_true(vmmio_queue(&b.m, i, &b.q[i], RINGS + i * (u64)RINGS_STEP, QUEUE_SIZE));
	assert_true(vmmio_driver_ok(&b.m));
	fill(&b, CONTROL_RX, BUF_LEN);
	assert_int_equal(gmem_zero(&b.t.gmem, DATA, 8), 0);
	assert_true(vqd_add(&b.q[CONTROL_TX], &(struct vqd_buf){ DATA, 8, false }, 1) >= 0);
	kick(&b, CONTROL_TX);
	send_pieces(&b, 1, DATA, 100, 1);
	kick(&b, tx_index(1));
	run(&b);
	for (unsigned int i = 2; i < 6; i++)
		assert_int_equal(vqd_used(&b.q[i], NULL), -EAGAIN);
	print(&b, 0, "x");
	bench_close(&b);
}

/* ---- beside a serial port ---- */

static void a_serial_port_and_a_virtio_console_share_a_host_side(void **state)
{
	struct bench b;
	struct dev *uart;

	(void)state;
	bench_open(&b, 0);
	uart = plug_uart(&b);
	for (const char *c = "early, "; *c; c++)
		devtest_out(&b.t, COM1, 1, (u8)*c);
	linux_start(&b);
	print(&b, 0, "late, ");
	for (const char *c = "both"; *c; c++)
		devtest_out(&b.t, COM1, 1, (u8)*c);
	assert_arrived(&b, "early, late, both");
	/* Nobody listens at the serial port. */
	type(&b, "input");
	assert_int_equal(devtest_in(&b.t, COM1 + 5, 1) & 1, 0);
	assert_input(&b, 0, "input");
	unplug_uart(&b, uart);
	print(&b, 0, "alone");
	assert_arrived(&b, "alone");
	bench_close(&b);
}

static void neither_of_the_two_starves_the_other(void **state)
{
	const u32 len = 64 * 1024;
	unsigned int n_serial = 0, n_used = 0, n_rounds = 0;
	struct bench b;
	struct dev *uart;
	u8 buf[4096];

	(void)state;
	for (int order = 0; order < 2; order++) {
		bench_open(&b, 0);
		uart = plug_uart(&b);
		if (order) { /* who is told first depends on who came first */
			unplug(&b);
			plug(&b);
		}
		linux_start(&b);
		n_serial = n_used = n_rounds = 0;
		/* Each has more to say at any time. */
		while (n_serial < 1000 || n_used < 20) {
			while (vqd_used(&b.q[1], NULL) >= 0)
				n_used++;
			while (send_pieces(&b, 0, DATA, len, 1) >= 0)
				;
			kick(&b, 1);
			settle(&b);
			for (int i = 0; i < 100 && !atomic_load(&uart->throttled); i++) {
				devtest_out(&b.t, COM1, 1, 's');
				n_serial++;
			}
			slurp(&b, buf, sizeof(buf));
			assert_true(n_rounds++ < 2000);
		}
		assert_int_equal(stats(&b, 0).bytes_lost, 0);
		unplug_uart(&b, uart);
		bench_close(&b);
	}
}

/* ---- threads ---- */

struct crowd {
	struct bench *b;
	_Atomic bool stop, drained;
	u64 n_read;
};

static void *run_loop(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	loop_run(((struct crowd *)arg)->b->t.loop, NULL);
	return NULL;
}

static void *run_reader(void *arg)
{
	struct crowd *c = arg;
	u8 buf[1500];
	ssize_t n;

	while ((n = read(c->b->out[0], buf, sizeof(buf))) > 0)
		c->n_read += (u64)n;
	return NULL;
}

static void *run_typist(void *arg)
{
	struct crowd *c = arg;
	u16 size = 0;

	while (!c->stop) {
		console_push_input(c->b->cons[0], "typed", 5);
		console_resize(c->b->cons[0], ++size, 25);
		sched_yield();
	}
	return NULL;
}

static void on_drained(void *ctx)
{
	struct crowd *c = ctx;

	c->drained = true;
	loop_stop(c->b->t.loop);
}

struct drain_work {
	struct loop_work work;
	struct crowd *c;
};

static void start_drain(struct loop_work *work)
{
	struct crowd *c = container_of(work, struct drain_work, work)->c;

	/* As a machine goes: on the loop's thread. */
	unplug(c->b);
	console_drain(c->b->cons[0], on_drained, c);
}

/* Send, take what comes, and go away in the middle of it. */
static void reckless_driver(struct bench *b, unsigned int round)
{
	unsigned int n_done = 0;

	assert_true(vmmio_begin(&b->m, BIT(F_SIZE) | (round % 2 ? BIT(VIRTIO_F_EVENT_IDX) : 0)));
	for (unsigned int i = 0; i < 2; i++)
		assert_true(
			vmmio_queue(&b->m, i, &b->q[i], RINGS + i * (u64)RINGS_STEP, QUEUE_SIZE));
	assert_true(vmmio_driver_ok(&b->m));
	while (n_done < 50 + round) {
		struct vqd *rx = &b->q[0];
		u32 len;

		while (rx->n_free)
			vqd_add(rx, &(struct vqd_buf){ buf_gpa(0, rx->free), BUF_LEN, true }, 1);
		kick(b, 0);
		while (send_pieces(b, 0, DATA, 5000, 1) >= 0)
			;
		kick(b, 1);
		while (vqd_used(rx, &len) >= 0)
			assert_in_range(len, 1, BUF_LEN);
		while (vqd_used(&b->q[1], NULL) >= 0)
			n_done++;
		assert_int_equal(status(b) & VIRTIO_S_NEEDS_RESET, 0);
	}
}

static void drivers_come_and_go_while_the_host_reads_and_types(void **state)
{
	pthread_t loop, reader, typist;
	struct drain_work drain;
	struct bench b;
	struct crowd c = { .b = &b };

	(void)state;
	bench_open(&b, 0);
	unplug(&b);
	/* From here on with a loop that runs by itself. */
	console_destroy(b.cons[0]);
	loop_destroy(b.t.loop);
	assert_int_equal(loop_create(&b.t.loop, LOOP_AUTO, NULL), 0);
	b.t.env.loop = b.t.loop;
	assert_int_equal(console_create(&b.cons[0],
					&(struct lkvm_console){ .in_fd = -1, .out_fd = b.out[1] },
					true, b.t.loop, &b.t.log, &no_ops, &b, NULL),
			 0);
	b.cfg.console = b.cons[0];
	plug(&b);
	pthread_create(&loop, NULL, run_loop, &c);
	pthread_create(&reader, NULL, run_reader, &c);
	pthread_create(&typist, NULL, run_typist, &c);
	for (unsigned int round = 0; round < 30; round++)
		reckless_driver(&b, round);
	c.stop = true;
	pthread_join(typist, NULL);
	drain = (struct drain_work){ .work.fn = start_drain, .c = &c };
	loop_post(b.t.loop, &drain.work);
	pthread_join(loop, NULL);
	assert_true(c.drained);
	close(b.out[1]);
	pthread_join(reader, NULL);
	b.out[1] = dup(b.out[0]);
	assert_int_equal(stats(&b, 0).bytes_out, c.n_read + stats(&b, 0).bytes_lost);
	assert_true(c.n_read > 30 * 50 * 5000u);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			it_is_a_console_with_a_pair_of_queues_for_each_port_and_for_messages),
		cmocka_unit_test(without_a_console_there_is_no_port_0),
		cmocka_unit_test(output_of_a_driver_without_ports_arrives),
		cmocka_unit_test(a_kick_takes_all_there_is_and_is_answered_by_one_interrupt),
		cmocka_unit_test(a_driver_that_asks_for_no_interrupt_gets_none),
		cmocka_unit_test(more_than_the_buffer_holds_waits_in_the_queue_and_nothing_is_lost),
		cmocka_unit_test(a_host_side_that_fails_holds_nothing_up),
		cmocka_unit_test(output_that_nobody_wants_is_taken_in_bounded_steps),
		cmocka_unit_test(what_was_sent_in_the_last_moment_arrives),
		cmocka_unit_test(a_last_moment_has_an_end_and_what_is_lost_is_said),
		cmocka_unit_test(a_reset_amid_a_request_begins_anew),
		cmocka_unit_test(input_reaches_a_driver_without_ports_when_it_gives_buffers),
		cmocka_unit_test(input_waits_until_the_driver_has_opened_the_port),
		cmocka_unit_test(input_without_end_is_held_back_outside),
		cmocka_unit_test(
			a_buffer_of_several_pieces_is_filled_and_one_for_reading_only_comes_back),
		cmocka_unit_test(a_buffer_that_finds_no_input_is_not_used_up),
		cmocka_unit_test(the_end_of_input_is_not_the_end_of_output),
		cmocka_unit_test(input_not_taken_yet_outlives_the_driver_and_the_device),
		cmocka_unit_test(linux_brings_up_every_port_by_name),
		cmocka_unit_test(a_driver_that_failed_is_told_nothing),
		cmocka_unit_test(each_port_has_its_own_two_streams),
		cmocka_unit_test(the_end_of_what_a_port_is_given_is_told_once_it_was_taken),
		cmocka_unit_test(a_slow_port_does_not_hold_up_another),
		cmocka_unit_test(a_size_known_before_the_boot_is_there_when_the_driver_comes),
		cmocka_unit_test(a_new_size_is_told_in_both_ways_once),
		cmocka_unit_test(a_byte_can_be_written_before_there_is_a_driver),
		cmocka_unit_test(a_flood_of_single_bytes_waits_for_a_slow_reader),
		cmocka_unit_test(messages_that_make_no_sense_are_ignored),
		cmocka_unit_test(messages_that_the_driver_does_not_fetch_take_no_room),
		cmocka_unit_test(a_buffer_too_small_for_a_message_gets_what_fits),
		cmocka_unit_test(a_broken_device_is_alone_in_that_and_back_after_a_reset),
		cmocka_unit_test(queues_that_were_not_negotiated_do_nothing),
		cmocka_unit_test(a_serial_port_and_a_virtio_console_share_a_host_side),
		cmocka_unit_test(neither_of_the_two_starves_the_other),
		cmocka_unit_test(drivers_come_and_go_while_the_host_reads_and_types),
	};

	/* As on the loop thread, where every signal is blocked. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("virtio-console", tests, NULL, NULL);
}
