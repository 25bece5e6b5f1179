/*
 * Random register accesses to the serial port, mixed with what the host side does: reads
 * slowly or not at all, types, goes away, lets the machine restart or stop.
 *
 * Beyond crashes it checks that every byte of output is delivered in order or counted as
 * lost, that a throttled vCPU is let go, and that the receiver gives no byte that nobody sent.
 * Does not look for races: everything is on one thread and on virtual time.
 *
 * Input: byte 0 chooses the host side; then operations of a code and an argument.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>

#include "tests/fuzz/board.h"
#include "vmm/console.h"

#define COM1 0x3f8

struct world {
	struct board b;
	struct console *con;
	struct dev *dev;
	int out[2]; /* a pipe; -1: a function takes the output */
	bool drained;

	u8 lcr, mcr;	       /* as last written */
	u64 n_written, n_read; /* output: by the guest, by the host */
	u8 sent[1 << 18];      /* what the guest wrote, up to @n_written */
};

static void on_con_event(void *ctx)
{
	(void)ctx;
}

static void on_drained(void *ctx)
{
	((struct world *)ctx)->drained = true;
}

static void got(struct world *w, const u8 *data, size_t len)
{
	CHECK(len <= w->n_written - w->n_read);
	CHECK(!memcmp(w->sent + w->n_read, data, len));
	w->n_read += len;
}

static void on_out(void *ctx, const void *data, size_t len)
{
	got(ctx, data, len);
}

static const struct console_ops ops = {
	.panic_line = on_con_event,
	.panic_end = on_con_event,
	.escape = on_con_event,
};

static void slurp(struct world *w, size_t max)
{
	u8 buf[65536];
	ssize_t n;

	if (w->out[0] < 0 || !max)
		return;
	n = read(w->out[0], buf, max < sizeof(buf) ? max : sizeof(buf));
	if (n > 0)
		got(w, buf, (size_t)n);
}

static void plug(struct world *w)
{
	w->dev = board_plug(&w->b, (struct dev_slot){
					   .cls = &uart16550_class,
					   .name = "serial0",
					   .ranges = { { &w->b.ports, COM1, 8, BUS_SIZE_1, 0 } },
					   .gsi = 4,
					   .cfg = &(struct uart16550_cfg){ .console = w->con },
				   });
	w->lcr = w->mcr = 0;
}

static void unplug(struct world *w)
{
	board_unplug(&w->b, w->dev);
	w->dev = NULL;
}

static void world_open(struct world *w, u8 kind)
{
	struct lkvm_console cfg = { .in_fd = -1, .out_fd = -1, .escape = 1 };

	w->out[0] = w->out[1] = -1;
	if (kind & 1) {
		CHECK(!pipe2(w->out, O_CLOEXEC));
		fcntl(w->out[0], F_SETFL, O_NONBLOCK);
		fcntl(w->out[1], F_SETPIPE_SZ, 4096);
		cfg.out_fd = w->out[1];
	} else {
		cfg.out = on_out;
		cfg.ctx = w;
	}
	board_open(&w->b, NULL);
	CHECK(!console_create(&w->con, &cfg, true, w->b.loop, &w->b.log, &ops, w, NULL));
	plug(w);
	console_start(w->con);
}

static void world_close(struct world *w)
{
	struct console_stats st;

	/* Until the console says so: a reader that is alive is waited for. */
	console_drain(w->con, on_drained, w);
	for (int i = 0; i < 1000 && !w->drained; i++) {
		slurp(w, 65536);
		loop_manual_run(w->b.loop);
	}
	CHECK(w->drained);
	slurp(w, 65536);
	console_get_stats(w->con, &st);
	CHECK(st.bytes_out == w->n_written);
	CHECK(st.bytes_lost == 0 ? w->n_read == w->n_written : w->out[0] < 0);
	CHECK(!w->dev || !atomic_load(&w->dev->throttled));
	unplug(w);
	console_destroy(w->con);
	board_close(&w->b);
	for (int i = 0; i < 2; i++) {
		if (w->out[i] >= 0)
			close(w->out[i]);
	}
}

/* A vCPU that is throttled makes no access, give or take those under way. */
static void write_reg(struct world *w, u8 reg, u8 val)
{
	if (reg == 0 && !(w->lcr & 0x80) && !(w->mcr & 0x10)) {
		if (w->n_written == sizeof(w->sent))
			return;
		w->sent[w->n_written++] = val;
	}
	if (reg == 3)
		w->lcr = val;
	if (reg == 4)
		w->mcr = val;
	bus_write(&w->b.ports, COM1 + reg, 1, val, NULL);
}

static void burst(struct world *w, u8 val)
{
	for (unsigned int i = 0; i < 64u * val && !atomic_load(&w->dev->throttled); i++)
		write_reg(w, 0, (u8)(val + i));
}

static void step(struct world *w, u8 op, u8 arg)
{
	u8 text[256];

	switch (op >> 3) {
	case 0 ... 11:
		write_reg(w, op & 7, arg);
		break;
	case 12 ... 22:
		CHECK(bus_read(&w->b.ports, COM1 + (op & 7), 1, NULL) <= 0xff);
		break;
	case 23: /* other sizes and over the end: the bus keeps them away */
		bus_write(&w->b.ports, COM1 + (op & 7), 1u << (1 + arg % 3), UINT64_MAX, NULL);
		CHECK(bus_read(&w->b.ports, COM1 + (op & 7), 2, NULL) == 0xffff);
		break;
	case 24 ... 25:
		burst(w, arg);
		break;
	case 26:
		memset(text, op & 7 ? arg : 1, sizeof(text));
		console_push_input(w->con, text, arg);
		break;
	case 27:
		slurp(w, 64u * arg);
		break;
	case 28:
		loop_manual_run(w->b.loop);
		break;
	case 29:
		loop_manual_advance(w->b.loop, arg * NSEC_PER_MSEC / 8);
		break;
	case 30:
		if (arg < 16 && w->out[0] >= 0) {
			close(w->out[0]);
			w->out[0] = -1;
		}
		break;
	case 31:
		unplug(w);
		plug(w);
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
	world_open(w, len ? data[0] : 0);
	for (size_t i = 1; i + 1 < len && i < 4096; i += 2)
		step(w, data[i], data[i + 1]);
	world_close(w);
	free(w);
	return 0;
}
