/*
 * The 16550A, played by drivers: probing as Linux does it, interrupt-driven and polled
 * transfers against slow and absent hosts, and the data sheet's corners. On virtual time.
 *
 * Does not prove that a real Linux takes it for a 16550A or that the interrupt reaches a
 * guest: booting one does (check-bed).
 */
#include "tests/unit/devtest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/classes.h"
#include "vmm/console.h"

#define COM1 0x3f8

/* Offsets and bits by the names of the data sheet. */
enum { RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2, LCR, MCR, LSR, MSR, SCR };

#define IER_RDI	 1
#define IER_THRI 2
#define IER_RLSI 4
#define IER_MSI	 8

#define IIR_NONE 1
#define IIR_THRI 2
#define IIR_RDI	 4
#define IIR_RLSI 6
#define IIR_CTI	 0xc
#define IIR_ID	 0xf

#define MCR_DTR	 1
#define MCR_RTS	 2
#define MCR_OUT1 4
#define MCR_OUT2 8
#define MCR_LOOP 0x10
#define MCR_ON	 (MCR_DTR | MCR_RTS | MCR_OUT2)

#define LSR_DR	 1
#define LSR_OE	 2
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define LSR_IDLE (LSR_THRE | LSR_TEMT)

#define FIFO_SIZE 16

struct bench {
	struct devtest t;
	struct console *con; /* NULL: the port has none */
	int in[2], out[2];   /* the test writes in[1] and reads out[0] */
};

static const struct console_ops no_ops = { 0 };

static void open_port(struct bench *b)
{
	devtest_plug(&b->t, &(struct dev_slot){
				    .cls = &uart16550_class,
				    .name = "serial0",
				    .ranges = { { &b->t.ports, COM1, 8, BUS_SIZE_1, 0 } },
				    .cfg = &(struct uart16550_cfg){ .console = b->con },
			    });
}

static void bench_open(struct bench *b)
{
	struct lkvm_console cfg = { 0 };

	memset(b, 0, sizeof(*b));
	devtest_init(&b->t, 0);
	assert_int_equal(pipe2(b->in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b->out, O_CLOEXEC), 0);
	cfg.in_fd = b->in[0];
	cfg.out_fd = b->out[1];
	assert_int_equal(
		console_create(&b->con, &cfg, false, b->t.loop, &b->t.log, &no_ops, b, NULL), 0);
	open_port(b);
	console_start(b->con);
}

static void bench_close(struct bench *b)
{
	dev_destroy(b->t.dev);
	b->t.dev = NULL;
	console_destroy(b->con);
	if (b->con) {
		for (int i = 0; i < 2; i++) {
			close(b->in[i]);
			close(b->out[i]);
		}
	}
	devtest_fini(&b->t);
}

static u8 rd(struct bench *b, unsigned int reg)
{
	return (u8)devtest_in(&b->t, COM1 + reg, 1);
}

static void wr(struct bench *b, unsigned int reg, u8 val)
{
	devtest_out(&b->t, COM1 + reg, 1, val);
}

static bool throttled(struct bench *b)
{
	return atomic_load(&b->t.dev->throttled);
}

static void type(struct bench *b, const char *text)
{
	assert_int_equal(write(b->in[1], text, strlen(text)), strlen(text));
	loop_manual_run(b->t.loop);
}

static size_t slurp(struct bench *b, u8 *buf, size_t size)
{
	struct pollfd p = { .fd = b->out[0], .events = POLLIN };
	ssize_t n = poll(&p, 1, 0) > 0 ? read(b->out[0], buf, size) : 0;

	assert_true(n >= 0);
	return (size_t)n;
}

static u8 pattern(size_t i)
{
	return (u8)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

/* ---- probing ---- */

/* The questions Linux's 8250 driver asks a port, and the answers a 16550A gives. */
static void linux_probe(struct bench *b)
{
	u8 mcr;

	/* Is there a port at all? */
	wr(b, IER, 0);
	assert_int_equal(rd(b, IER) & 0xf, 0);
	wr(b, IER, 0xf);
	assert_int_equal(rd(b, IER) & 0xf, 0xf);
	wr(b, IER, 0);
	/* Do its outputs come back in loopback? */
	mcr = rd(b, MCR);
	wr(b, MCR, MCR_LOOP | MCR_OUT2 | MCR_RTS);
	assert_int_equal(rd(b, MSR) & 0xf0, 0x90);
	wr(b, MCR, mcr);
	/* What does enabling the FIFO say? */
	wr(b, LCR, 0xbf);
	wr(b, FCR, 0);
	wr(b, LCR, 0);
	wr(b, FCR, 1);
	assert_int_equal(rd(b, IIR) >> 6, 3);
	/* No 16650: there is no EFR under either mode of LCR, but IIR. */
	wr(b, LCR, 0x80);
	assert_int_not_equal(rd(b, IIR), 0);
	wr(b, LCR, 0xbf);
	assert_int_not_equal(rd(b, IIR), 0);
	/* No 16750: bit 5 of FCR has no effect with or without DLAB. */
	for (int dlab = 0; dlab < 2; dlab++) {
		wr(b, LCR, dlab ? 0x80 : 0);
		wr(b, FCR, 0x21);
		assert_int_equal(rd(b, IIR) >> 5, 6);
		wr(b, FCR, 1);
	}
	wr(b, LCR, 0);
	/* No XScale: bit 6 of IER does not stick. */
	wr(b, IER, 0x40);
	assert_int_equal(rd(b, IER), 0);
	/* No second bank behind SCR, which stores. */
	wr(b, SCR, 0xa5);
	assert_int_equal(rd(b, SCR), 0xa5);
	wr(b, FCR, 0);
	rd(b, RBR);
	assert_int_equal(rd(b, IIR), IIR_NONE);
}

static void linux_recognises_a_16550a(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	linux_probe(&b);
	/* All of that in silence. */
	assert_int_equal(b.t.n_raised[DEVTEST_GSI], 0);
	bench_close(&b);
}

/* Linux looks for chips that lose the transmitter's interrupt when it is enabled late. */
static void linux_finds_no_transmitter_bug(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	for (int i = 0; i < 2; i++) {
		wr(&b, IER, IER_THRI);
		assert_int_equal(rd(&b, LSR) & LSR_TEMT, LSR_TEMT);
		assert_int_equal(rd(&b, IIR) & IIR_ID, IIR_THRI);
		assert_int_equal(rd(&b, IIR) & IIR_ID, IIR_NONE);
		wr(&b, IER, 0);
	}
	bench_close(&b);
}

static void power_on_state_is_that_of_the_data_sheet(void **state)
{
	static const u8 at_reset[] = {
		[IER] = 0, [IIR] = 1, [LCR] = 0, [MCR] = 0, [LSR] = 0x60, [MSR] = 0xb0
	};
	struct bench b;

	(void)state;
	bench_open(&b);
	for (unsigned int reg = IER; reg <= MSR; reg++)
		assert_int_equal(rd(&b, reg), at_reset[reg]);
	assert_int_equal(rd(&b, RBR), 0);
	/* Not in the data sheet, but drivers divide by it. */
	wr(&b, LCR, 0x80);
	assert_true(rd(&b, DLL) | rd(&b, DLM));
	bench_close(&b);
}

static void divisor_is_behind_dlab(void **state)
{
	struct bench b;
	u8 buf[8];

	(void)state;
	bench_open(&b);
	wr(&b, IER, IER_RDI);
	wr(&b, LCR, 0x83);
	wr(&b, DLL, 0x34);
	wr(&b, DLM, 0x12);
	assert_int_equal(rd(&b, DLL), 0x34);
	assert_int_equal(rd(&b, DLM), 0x12);
	wr(&b, LCR, 0x03);
	assert_int_equal(rd(&b, LCR), 0x03);
	assert_int_equal(rd(&b, IER), IER_RDI);
	devtest_advance(&b.t, CONSOLE_FLUSH_NS);
	assert_int_equal(slurp(&b, buf, sizeof(buf)), 0);
	bench_close(&b);
}

/* ---- loopback ---- */

static void loopback_returns_data_and_keeps_it_from_the_host(void **state)
{
	struct bench b;
	u8 buf[8];

	(void)state;
	bench_open(&b);
	type(&b, "from the host");
	wr(&b, FCR, 1);
	wr(&b, MCR, MCR_LOOP);
	wr(&b, IER, IER_RDI);
	for (u8 i = 0; i < FIFO_SIZE; i++)
		wr(&b, THR, i);
	assert_int_equal(rd(&b, LSR), LSR_IDLE | LSR_DR);
	wr(&b, THR, 99); /* one too many */
	assert_int_equal(rd(&b, LSR), LSR_IDLE | LSR_DR | LSR_OE);
	assert_int_equal(rd(&b, LSR), LSR_IDLE | LSR_DR); /* reading cleared it */
	for (u8 i = 0; i < FIFO_SIZE; i++)
		assert_int_equal(rd(&b, RBR), i);
	assert_int_equal(rd(&b, LSR), LSR_IDLE);
	devtest_advance(&b.t, CONSOLE_FLUSH_NS);
	assert_int_equal(slurp(&b, buf, sizeof(buf)), 0);
	/* What was on the wire meanwhile is there after. */
	wr(&b, MCR, MCR_ON);
	assert_int_equal(rd(&b, RBR), 'f');
	bench_close(&b);
}

static void loopback_without_fifo_holds_one_byte(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	wr(&b, MCR, MCR_LOOP);
	wr(&b, THR, 'a');
	wr(&b, THR, 'b');
	assert_int_equal(rd(&b, LSR) & (LSR_DR | LSR_OE), LSR_DR | LSR_OE);
	assert_int_equal(rd(&b, RBR), 'a');
	assert_int_equal(rd(&b, LSR) & LSR_DR, 0);
	bench_close(&b);
}

static void a_fifo_reset_or_mode_change_empties_the_receiver(void **state)
{
	static const u8 fcr[] = { 0x03, 0x00 };
	struct bench b;

	(void)state;
	bench_open(&b);
	for (size_t i = 0; i < ARRAY_SIZE(fcr); i++) {
		wr(&b, FCR, 1);
		wr(&b, MCR, MCR_LOOP);
		wr(&b, THR, 'a');
		wr(&b, FCR, 1); /* no reset, no change */
		assert_int_equal(rd(&b, LSR) & LSR_DR, LSR_DR);
		wr(&b, FCR, fcr[i]);
		assert_int_equal(rd(&b, LSR) & LSR_DR, 0);
	}
	bench_close(&b);
}

static void modem_lines_follow_the_outputs_in_loopback(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	assert_int_equal(rd(&b, MSR), 0xb0);
	for (u8 out = 0; out < 16; out++) {
		u8 lines = (u8)((out & MCR_RTS ? 0x10 : 0) | (out & MCR_DTR ? 0x20 : 0) |
				(out & MCR_OUT1 ? 0x40 : 0) | (out & MCR_OUT2 ? 0x80 : 0));

		wr(&b, MCR, MCR_LOOP | out);
		assert_int_equal(rd(&b, MSR) & 0xf0, lines);
	}
	wr(&b, MCR, 0);
	assert_int_equal(rd(&b, MSR) & 0xf0, 0xb0);
	assert_int_equal(rd(&b, MSR), 0xb0); /* the deltas were read */
	bench_close(&b);
}

static void modem_changes_are_flagged_until_read(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	wr(&b, MCR, MCR_LOOP | MCR_ON); /* as the cable is */
	assert_int_equal(rd(&b, MSR), 0xb0);
	wr(&b, IER, IER_MSI);
	assert_int_equal(rd(&b, IIR), IIR_NONE);
	wr(&b, MCR, MCR_LOOP | MCR_DTR | MCR_OUT2);
	wr(&b, MCR, MCR_LOOP | MCR_ON);
	assert_int_equal(rd(&b, IIR), 0); /* modem status */
	assert_int_equal(rd(&b, MSR), 0xb1);
	assert_int_equal(rd(&b, IIR), IIR_NONE);
	/* The ring indicator counts when it ends. */
	wr(&b, MCR, MCR_LOOP | MCR_ON | MCR_OUT1);
	assert_int_equal(rd(&b, MSR), 0xf0);
	wr(&b, MCR, MCR_LOOP | MCR_ON);
	assert_int_equal(rd(&b, MSR), 0xb4);
	/* And the gate was closed all the time. */
	assert_int_equal(b.t.n_raised[DEVTEST_GSI], 0);
	bench_close(&b);
}

/* ---- interrupts ---- */

static void interrupts_come_in_the_order_of_their_priority(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	wr(&b, MCR, MCR_LOOP);
	rd(&b, MSR);
	wr(&b, THR, 'a');
	wr(&b, THR, 'b');			 /* overrun */
	wr(&b, MCR, MCR_LOOP | MCR_RTS);	 /* modem status */
	assert_int_equal(rd(&b, IIR), IIR_NONE); /* nothing is enabled */
	wr(&b, IER, 0xf);
	assert_int_equal(rd(&b, IIR), IIR_RLSI);
	rd(&b, LSR);
	assert_int_equal(rd(&b, IIR), IIR_RDI);
	assert_int_equal(rd(&b, IIR), IIR_RDI); /* reading IIR clears the transmitter's only */
	rd(&b, RBR);
	assert_int_equal(rd(&b, IIR), IIR_THRI);
	assert_int_equal(rd(&b, IIR), 0);
	rd(&b, MSR);
	assert_int_equal(rd(&b, IIR), IIR_NONE);
	bench_close(&b);
}

static void the_interrupt_line_passes_the_gate_of_out2(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	wr(&b, IER, IER_THRI);
	assert_false(devtest_irq(&b.t));
	wr(&b, MCR, MCR_OUT2);
	assert_true(devtest_irq(&b.t));
	wr(&b, MCR, MCR_OUT2 | MCR_LOOP);
	assert_false(devtest_irq(&b.t));
	wr(&b, MCR, MCR_OUT2);
	assert_true(devtest_irq(&b.t));
	rd(&b, IIR);
	assert_false(devtest_irq(&b.t));
	bench_close(&b);
}

/* The input behind the line sees edges: each new cause after IIR said "none" must make one. */
static void every_new_cause_is_an_edge(void **state)
{
	struct bench b;
	unsigned int edges;

	(void)state;
	bench_open(&b);
	wr(&b, MCR, MCR_ON);
	wr(&b, FCR, 1);
	wr(&b, IER, IER_THRI | IER_RDI);
	rd(&b, IIR);
	for (int i = 0; i < 10; i++) {
		assert_false(devtest_irq(&b.t));
		edges = b.t.n_raised[DEVTEST_GSI];
		wr(&b, THR, 'x');
		assert_int_equal(b.t.n_raised[DEVTEST_GSI], edges + 1);
		rd(&b, IIR);
		assert_false(devtest_irq(&b.t));
		type(&b, "y");
		assert_int_equal(b.t.n_raised[DEVTEST_GSI], edges + 2);
		assert_int_equal(rd(&b, RBR), 'y');
	}
	bench_close(&b);
}

static void received_data_interrupts_at_the_trigger_level_and_below_it_as_a_time_out(void **state)
{
	static const u8 levels[] = { 1, 4, 8, 14 };

	(void)state;
	for (u8 i = 0; i < ARRAY_SIZE(levels); i++) {
		struct bench b;

		bench_open(&b);
		wr(&b, MCR, MCR_ON);
		wr(&b, FCR, (u8)(i << 6 | 1));
		wr(&b, IER, IER_RDI);
		for (u8 n = 1; n <= FIFO_SIZE; n++) {
			type(&b, "z");
			assert_true(devtest_irq(&b.t));
			assert_int_equal(rd(&b, IIR), 0xc0 | (n >= levels[i] ? IIR_RDI : IIR_CTI));
		}
		for (u8 n = FIFO_SIZE; n; n--) {
			assert_true(devtest_irq(&b.t));
			rd(&b, RBR);
		}
		assert_false(devtest_irq(&b.t));
		bench_close(&b);
	}
}

/* ---- output ---- */

/* One interrupt as Linux handles it: until IIR has nothing more to say. */
static void handle_tx_irq(struct bench *b, size_t total, size_t *sent)
{
	u8 id;

	while ((id = rd(b, IIR) & IIR_ID) != IIR_NONE) {
		assert_int_equal(id, IIR_THRI);
		assert_int_equal(rd(b, LSR) & LSR_THRE, LSR_THRE);
		for (int i = 0; i < FIFO_SIZE && *sent < total; i++)
			wr(b, THR, pattern((*sent)++));
		if (*sent == total)
			wr(b, IER, 0);
	}
}

static void interrupt_driven_output_through_a_slow_reader_arrives_whole(void **state)
{
	size_t total = 100 * 1000, sent = 0, seen = 0;
	struct bench b;
	u8 byte;

	(void)state;
	bench_open(&b);
	assert_true(fcntl(b.out[1], F_SETPIPE_SZ, 4096) >= 0);
	wr(&b, FCR, 1);
	wr(&b, MCR, MCR_ON);
	wr(&b, IER, IER_THRI);
	while (seen < total) {
		if (devtest_irq(&b.t))
			handle_tx_irq(&b, total, &sent);
		/* The transmitter shows itself busy early enough: no vCPU has to wait. */
		assert_false(throttled(&b));
		assert_true(sent - seen <= CONSOLE_OUT_SIZE + 4096);
		devtest_advance(&b.t, CONSOLE_FLUSH_NS);
		/* One byte at a time, from a reader that is always behind. */
		for (int i = 0; i < 16 && slurp(&b, &byte, 1); i++)
			assert_int_equal(byte, pattern(seen++));
	}
	assert_int_equal(sent, total);
	bench_close(&b);
}

static void a_driver_that_ignores_the_transmitter_is_made_to_wait(void **state)
{
	size_t total = 300 * 1000, sent = 0, seen = 0;
	unsigned int n_waits = 0;
	struct bench b;
	u8 buf[3000];

	(void)state;
	bench_open(&b);
	while (seen < total) {
		while (sent < total && !throttled(&b))
			wr(&b, THR, pattern(sent++));
		if (throttled(&b)) {
			n_waits++;
			assert_int_equal(rd(&b, LSR) & LSR_IDLE, 0);
			/* Another vCPU's writes were under way. */
			for (int i = 0; i < 100 && sent < total; i++)
				wr(&b, THR, pattern(sent++));
		}
		assert_true(sent - seen <= CONSOLE_OUT_SIZE + 65536);
		devtest_advance(&b.t, CONSOLE_FLUSH_NS);
		for (size_t n = slurp(&b, buf, sizeof(buf)), i = 0; i < n; i++)
			assert_int_equal(buf[i], pattern(seen++));
	}
	assert_true(n_waits > 0);
	assert_false(throttled(&b));
	assert_int_equal(rd(&b, LSR), LSR_IDLE);
	bench_close(&b);
}

static void polled_output_through_a_slow_reader_never_needs_the_throttle(void **state)
{
	size_t total = 150 * 1000, sent = 0, seen = 0;
	unsigned int n_busy = 0;
	struct bench b;
	u8 buf[2000];

	(void)state;
	bench_open(&b);
	while (seen < total) {
		while (sent < total && (rd(&b, LSR) & LSR_IDLE) == LSR_IDLE)
			wr(&b, THR, pattern(sent++));
		n_busy += sent < total;
		assert_false(throttled(&b));
		devtest_advance(&b.t, CONSOLE_FLUSH_NS);
		for (size_t n = slurp(&b, buf, sizeof(buf)), i = 0; i < n; i++)
			assert_int_equal(buf[i], pattern(seen++));
	}
	assert_true(n_busy > 0);
	bench_close(&b);
}

static void a_reader_that_went_away_lets_the_guest_go_on(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	wr(&b, MCR, MCR_ON);
	wr(&b, IER, IER_THRI);
	rd(&b, IIR);
	do {
		wr(&b, THR, 'x');
		rd(&b, IIR);
		devtest_advance(&b.t, CONSOLE_FLUSH_NS);
	} while (!throttled(&b));
	assert_false(devtest_irq(&b.t));
	close(b.out[0]);
	b.out[0] = dup(b.in[0]); /* something to close at the end */
	devtest_advance(&b.t, CONSOLE_FLUSH_NS);
	assert_false(throttled(&b));
	assert_true(devtest_irq(&b.t));
	assert_int_equal(rd(&b, LSR), LSR_IDLE);
	bench_close(&b);
}

/* ---- input ---- */

/* What Linux does before it listens: resets and reads that would eat input. */
static void linux_startup(struct bench *b)
{
	wr(b, FCR, 0x01);
	wr(b, FCR, 0x07);
	wr(b, FCR, 0x00);
	for (int i = 0; i < 2; i++) {
		rd(b, LSR);
		rd(b, RBR);
		rd(b, IIR);
		rd(b, MSR);
	}
	wr(b, LCR, 0x03);
	wr(b, MCR, MCR_ON);
	wr(b, IER, IER_THRI);
	rd(b, LSR);
	rd(b, IIR);
	wr(b, IER, 0);
	rd(b, LSR);
	rd(b, RBR);
	rd(b, IIR);
	rd(b, MSR);
	wr(b, IER, IER_RDI | IER_RLSI);
	wr(b, FCR, 0x01);
	wr(b, FCR, 0x81);
}

static size_t handle_rx_irq(struct bench *b, char *buf, size_t size)
{
	size_t n = 0;

	while ((rd(b, IIR) & IIR_ID) != IIR_NONE) {
		while (rd(b, LSR) & LSR_DR) {
			assert_true(n < size);
			buf[n++] = (char)rd(b, RBR);
		}
	}
	return n;
}

static void input_piped_in_before_the_driver_comes_arrives_whole(void **state)
{
	static const char text[] = "echo a line that is longer than the FIFO; poweroff -f\n";
	char buf[128];
	struct bench b;

	(void)state;
	bench_open(&b);
	type(&b, text);
	linux_probe(&b);
	linux_startup(&b);
	assert_true(devtest_irq(&b.t));
	assert_int_equal(handle_rx_irq(&b, buf, sizeof(buf)), strlen(text));
	assert_memory_equal(buf, text, strlen(text));
	assert_false(devtest_irq(&b.t));
	bench_close(&b);
}

static void much_input_arrives_whole(void **state)
{
	size_t total = 50 * 1000, sent = 0, seen = 0;
	struct bench b;
	char buf[CONSOLE_IN_SIZE + FIFO_SIZE];

	(void)state;
	bench_open(&b);
	assert_int_equal(fcntl(b.in[1], F_SETFL, O_NONBLOCK), 0);
	linux_startup(&b);
	while (seen < total) {
		u8 byte = pattern(sent);

		while (sent < total && write(b.in[1], &byte, 1) == 1)
			byte = pattern(++sent);
		loop_manual_run(b.t.loop);
		if (devtest_irq(&b.t)) {
			size_t n = handle_rx_irq(&b, buf, sizeof(buf));

			for (size_t i = 0; i < n; i++)
				assert_int_equal((u8)buf[i], pattern(seen++));
		}
	}
	bench_close(&b);
}

static void a_driver_that_polls_long_enough_is_given_input(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	type(&b, "abc");
	for (int i = 0; i < 31; i++)
		assert_int_equal(rd(&b, LSR), LSR_IDLE);
	wr(&b, THR, 'x'); /* was only waiting for the transmitter, it seems */
	for (int i = 0; i < 31; i++)
		assert_int_equal(rd(&b, LSR), LSR_IDLE);
	assert_int_equal(rd(&b, LSR), LSR_IDLE | LSR_DR);
	for (const char *c = "abc"; *c; c++) {
		assert_int_equal(rd(&b, LSR) & LSR_DR, LSR_DR);
		assert_int_equal(rd(&b, RBR), *c);
	}
	assert_int_equal(rd(&b, LSR), LSR_IDLE);
	bench_close(&b);
}

static void a_polling_boot_loader_leaves_the_rest_to_what_it_starts(void **state)
{
	char buf[32];
	struct bench b;

	(void)state;
	bench_open(&b);
	type(&b, "xecho rest\n");
	wr(&b, FCR, 0x07);
	while (!(rd(&b, LSR) & LSR_DR))
		;
	/* One byte is in the receiver while it decides. */
	assert_int_equal(rd(&b, RBR), 'x');
	wr(&b, THR, 'k');
	rd(&b, RBR);
	linux_startup(&b);
	/* That byte more was taken by the read above, as on a wire; none by the resets. */
	assert_int_equal(handle_rx_irq(&b, buf, sizeof(buf)), 9);
	assert_memory_equal(buf, "cho rest\n", 9);
	bench_close(&b);
}

static void waiting_for_a_busy_transmitter_is_not_polling_for_input(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	type(&b, "abc");
	while ((rd(&b, LSR) & LSR_IDLE) == LSR_IDLE)
		wr(&b, THR, 'x');
	for (int i = 0; i < 1000; i++)
		assert_int_equal(rd(&b, LSR), 0);
	bench_close(&b);
}

static void a_driver_that_drops_rts_gets_no_more_until_it_raises_it(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	wr(&b, IER, IER_RDI);
	/* RTS never used: means nothing. */
	wr(&b, MCR, MCR_OUT2 | MCR_DTR);
	type(&b, "a");
	assert_int_equal(rd(&b, RBR), 'a');
	wr(&b, MCR, MCR_ON);
	wr(&b, MCR, MCR_OUT2 | MCR_DTR);
	type(&b, "bc");
	assert_int_equal(rd(&b, LSR), LSR_IDLE);
	assert_false(devtest_irq(&b.t));
	wr(&b, MCR, MCR_ON);
	assert_true(devtest_irq(&b.t));
	assert_int_equal(rd(&b, RBR), 'b');
	bench_close(&b);
}

static void the_console_keeps_input_over_a_restart_of_the_machine(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	type(&b, "abc");
	dev_destroy(b.t.dev);
	bus_remove(&b.t.ports, COM1);
	open_port(&b);
	wr(&b, IER, IER_RDI);
	assert_int_equal(rd(&b, RBR), 'a');
	bench_close(&b);
}

static void a_port_that_finds_no_room_on_the_bus_lets_go_of_its_console(void **state)
{
	struct lkvm_error err = { 0 };
	struct bench b;
	struct dev *dev;

	(void)state;
	bench_open(&b);
	assert_int_equal(dev_create(&dev,
				    &(struct dev_slot){
					    .cls = &uart16550_class,
					    .name = "serial1",
					    .ranges = { { &b.t.ports, COM1 - 8, 8, BUS_SIZE_1, 0 },
							{ &b.t.ports, COM1, 8, BUS_SIZE_1, 0 } },
					    .cfg = &(struct uart16550_cfg){ .console = b.con },
				    },
				    &b.t.env, &err),
			 -EEXIST);
	assert_null(dev);
	type(&b, "abc"); /* is told to nobody: the memory of that port is gone */
	assert_int_equal(bus_read(&b.t.ports, COM1 - 8, 1, NULL), 0xff);
	bench_close(&b);
}

static void a_port_without_a_console_swallows_output_and_has_no_input(void **state)
{
	struct bench b;

	(void)state;
	memset(&b, 0, sizeof(b));
	devtest_init(&b.t, 0);
	open_port(&b);
	wr(&b, IER, IER_RDI);
	for (int i = 0; i < 2 * CONSOLE_OUT_SIZE; i++) {
		wr(&b, THR, 'x');
		assert_int_equal(rd(&b, LSR), LSR_IDLE);
	}
	assert_int_equal(rd(&b, RBR), 0);
	assert_false(throttled(&b));
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_recognises_a_16550a),
		cmocka_unit_test(linux_finds_no_transmitter_bug),
		cmocka_unit_test(power_on_state_is_that_of_the_data_sheet),
		cmocka_unit_test(divisor_is_behind_dlab),
		cmocka_unit_test(loopback_returns_data_and_keeps_it_from_the_host),
		cmocka_unit_test(loopback_without_fifo_holds_one_byte),
		cmocka_unit_test(a_fifo_reset_or_mode_change_empties_the_receiver),
		cmocka_unit_test(modem_lines_follow_the_outputs_in_loopback),
		cmocka_unit_test(modem_changes_are_flagged_until_read),
		cmocka_unit_test(interrupts_come_in_the_order_of_their_priority),
		cmocka_unit_test(the_interrupt_line_passes_the_gate_of_out2),
		cmocka_unit_test(every_new_cause_is_an_edge),
		cmocka_unit_test(
			received_data_interrupts_at_the_trigger_level_and_below_it_as_a_time_out),
		cmocka_unit_test(interrupt_driven_output_through_a_slow_reader_arrives_whole),
		cmocka_unit_test(a_driver_that_ignores_the_transmitter_is_made_to_wait),
		cmocka_unit_test(polled_output_through_a_slow_reader_never_needs_the_throttle),
		cmocka_unit_test(a_reader_that_went_away_lets_the_guest_go_on),
		cmocka_unit_test(input_piped_in_before_the_driver_comes_arrives_whole),
		cmocka_unit_test(much_input_arrives_whole),
		cmocka_unit_test(a_driver_that_polls_long_enough_is_given_input),
		cmocka_unit_test(a_polling_boot_loader_leaves_the_rest_to_what_it_starts),
		cmocka_unit_test(waiting_for_a_busy_transmitter_is_not_polling_for_input),
		cmocka_unit_test(a_driver_that_drops_rts_gets_no_more_until_it_raises_it),
		cmocka_unit_test(the_console_keeps_input_over_a_restart_of_the_machine),
		cmocka_unit_test(a_port_that_finds_no_room_on_the_bus_lets_go_of_its_console),
		cmocka_unit_test(a_port_without_a_console_swallows_output_and_has_no_input),
	};

	/* As on the loop thread, where every signal is blocked. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("uart16550", tests, NULL, NULL);
}
