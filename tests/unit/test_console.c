/*
 * The console between a device and the host: pipes, files, sockets, terminals, functions;
 * slow, dead and absent readers; byte by byte and in bulk, one device and two; escapes and
 * the panic line. On virtual time.
 *
 * Does not prove that a terminal looks right to a person, what the machine does about an escape
 * or a panic, or that a disk which stalls does not stall the loop (regular files are written
 * directly).
 */
#include "tests/unit/devtest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/console.h"
#include "vmm/hostfd.h"
#include "vmm/panic_scan.h"

#define OUT_LIMIT (CONSOLE_OUT_SIZE - CONSOLE_OUT_HEADROOM)
#define OUT_BULK  (OUT_LIMIT - 4096)

/* ---- a console with a device that only counts ---- */

struct bench {
	struct devtest t;
	struct console *con;
	unsigned int n_ready, n_panic_line, n_panic_end, n_escape, n_done;
	u8 got[8192]; /* by the output function */
	size_t n_got;
};

/* Its cfg points at the pointer to its bench. */
struct counter_dev {
	struct dev dev;
	struct bench *b;
};

static void counter_ready(struct dev *dev, void *con)
{
	struct bench *b = container_of(dev, struct counter_dev, dev)->b;

	assert_ptr_equal(con, b->con);
	/* A device calls back in from here: must not deadlock. */
	console_room(con);
	b->n_ready++;
}

static int counter_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct counter_dev *counter = container_of(dev, struct counter_dev, dev);

	(void)err;
	memcpy(&counter->b, cfg, sizeof(counter->b));
	console_attach(counter->b->con, dev, counter_ready);
	return 0;
}

static void counter_fini(struct dev *dev)
{
	console_detach(container_of(dev, struct counter_dev, dev)->b->con, dev);
}

static const struct dev_class counter_class = {
	.name = "counter",
	.size = sizeof(struct counter_dev),
	.init = counter_init,
	.fini = counter_fini,
};

static void on_panic_line(void *ctx)
{
	((struct bench *)ctx)->n_panic_line++;
}

static void on_panic_end(void *ctx)
{
	((struct bench *)ctx)->n_panic_end++;
}

static void on_escape(void *ctx)
{
	((struct bench *)ctx)->n_escape++;
}

static void on_done(void *ctx)
{
	((struct bench *)ctx)->n_done++;
}

static void on_out(void *ctx, const void *data, size_t len)
{
	struct bench *b = ctx;

	assert_true(len <= sizeof(b->got) - b->n_got);
	memcpy(b->got + b->n_got, data, len);
	b->n_got += len;
}

static const struct console_ops bench_ops = {
	.panic_line = on_panic_line,
	.panic_end = on_panic_end,
	.escape = on_escape,
};

static void bench_open(struct bench *b, const struct lkvm_console *cfg)
{
	struct lkvm_error err = { 0 };

	memset(b, 0, sizeof(*b));
	devtest_init(&b->t, 0);
	if (console_create(&b->con, cfg, true, b->t.loop, &b->t.log, &bench_ops, b, &err))
		fail_msg("%s", err.msg);
	devtest_plug(&b->t,
		     &(struct dev_slot){ .cls = &counter_class, .name = "counter", .cfg = &b });
	console_start(b->con);
	loop_manual_run(b->t.loop);
}

static void bench_fds(struct bench *b, int in_fd, int out_fd)
{
	bench_open(b, &(struct lkvm_console){ .in_fd = in_fd, .out_fd = out_fd, .escape = 1 });
}

static void bench_close(struct bench *b)
{
	dev_destroy(b->t.dev);
	b->t.dev = NULL;
	console_destroy(b->con);
	assert_null(b->t.loop->timers);
	assert_null(b->t.loop->work);
	devtest_fini(&b->t);
}

static void put(struct bench *b, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		console_put(b->con, ((const u8 *)data)[i]);
}

static void put_text(struct bench *b, const char *text)
{
	put(b, text, strlen(text));
}

/* A pattern in which a lost, doubled or swapped byte shows. */
static u8 pattern(size_t i)
{
	return (u8)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static void fill_pattern(u8 *buf, size_t len, size_t at)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = pattern(at + i);
}

static void assert_pattern(const u8 *buf, size_t len, size_t at)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(buf[i], pattern(at + i));
}

static void settle(struct bench *b)
{
	devtest_advance(&b->t, CONSOLE_FLUSH_NS);
}

static struct console_stats stats(struct bench *b)
{
	struct console_stats st;

	console_get_stats(b->con, &st);
	return st;
}

/* All that is in @fd now, without waiting. */
static size_t slurp(int fd, void *buf, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	while (len < size && poll(&p, 1, 0) > 0 && (p.revents & POLLIN)) {
		ssize_t n = read(fd, (u8 *)buf + len, size - len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return len;
}

static void assert_arrived(int fd, const char *text)
{
	char buf[512];
	size_t n = slurp(fd, buf, sizeof(buf) - 1);

	buf[n] = 0;
	assert_string_equal(buf, text);
}

static void assert_input(struct bench *b, const char *text)
{
	char buf[512];
	size_t n = 0;

	while (n < sizeof(buf) - 1 && console_get(b->con, (u8 *)&buf[n]))
		n++;
	buf[n] = 0;
	assert_string_equal(buf, text);
}

static void make_pipe(int fd[2])
{
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
}

static void close_pair(const int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

static void fill_text(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* A terminal in raw mode: fd[0] is the master, fd[1] the slave. */
static void make_pty(int fd[2])
{
	struct termios tio;
	char name[64];

	fd[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd[0] >= 0);
	assert_int_equal(grantpt(fd[0]), 0);
	assert_int_equal(unlockpt(fd[0]), 0);
	assert_int_equal(ptsname_r(fd[0], name, sizeof(name)), 0);
	fd[1] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd[1] >= 0);
	assert_int_equal(tcgetattr(fd[1], &tio), 0);
	cfmakeraw(&tio);
	assert_int_equal(tcsetattr(fd[1], TCSANOW, &tio), 0);
}

static int make_file(int flags)
{
	char name[] = "/tmp/lkvm-test-XXXXXX";
	int fd = mkostemp(name, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

/* How many descriptors the loop watches, its own aside: 0 at rest means no spinning either. */
static unsigned int n_watched(struct bench *b)
{
	unsigned int n = 0;

	for (u32 i = 0; i < b->t.loop->n_slots; i++)
		n += b->t.loop->slots[i].lfd && b->t.loop->slots[i].lfd->events;
	return n - 1;
}

/* ---- output ---- */

static void output_waits_for_company_and_goes_out_in_one_piece(void **state)
{
	struct bench b;
	char buf[16];
	int p[2];

	(void)state;
	make_pipe(p);
	bench_fds(&b, -1, p[1]);
	put_text(&b, "ab");
	devtest_advance(&b.t, CONSOLE_FLUSH_NS - 1);
	assert_arrived(p[0], "");
	put_text(&b, "c");
	devtest_advance(&b.t, 1);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(stats(&b).bytes_out, 3);
	assert_int_equal(stats(&b).bytes_lost, 0);
	assert_true(stats(&b).first_byte_ns && stats(&b).last_byte_ns >= stats(&b).first_byte_ns);
	bench_close(&b);
	close_pair(p);
}

static void output_can_be_flushed_at_once(void **state)
{
	struct bench b;
	int p[2];

	(void)state;
	make_pipe(p);
	bench_fds(&b, -1, p[1]);
	put_text(&b, "now");
	assert_true(console_flush(b.con));
	assert_arrived(p[0], "now");
	bench_close(&b);
	close_pair(p);
}

static void output_reaches_a_socket(void **state)
{
	struct bench b;
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	bench_fds(&b, -1, s[1]);
	put_text(&b, "socket");
	settle(&b);
	assert_arrived(s[0], "socket");
	bench_close(&b);
	close_pair(s);
}

static void output_reaches_both_ends_of_a_terminal(void **state)
{
	(void)state;
	/* The master cannot be opened again, so this is the careful way of writing as well. */
	for (int end = 0; end < 2; end++) {
		struct bench b;
		int p[2];

		make_pty(p);
		bench_fds(&b, -1, p[end]);
		put_text(&b, "terminal\r\n");
		settle(&b);
		assert_arrived(p[!end], "terminal\r\n");
		bench_close(&b);
		close_pair(p);
	}
}

static void output_to_a_file_keeps_its_offset_and_append_mode(void **state)
{
	(void)state;
	for (int append = 0; append < 2; append++) {
		int fd = make_file(append ? O_APPEND : 0);
		struct bench b;
		char buf[32];

		fill_text(fd, "head,tail");
		lseek(fd, 5, SEEK_SET);
		bench_fds(&b, -1, fd);
		put_text(&b, "guest");
		settle(&b);
		assert_int_equal(n_watched(&b), 0);
		bench_close(&b);
		if (append) {
			assert_int_equal(pread(fd, buf, sizeof(buf), 0), 14);
			assert_memory_equal(buf, "head,tailguest", 14);
		} else {
			assert_int_equal(pread(fd, buf, sizeof(buf), 0), 10);
			assert_memory_equal(buf, "head,guest", 10);
			assert_int_equal(lseek(fd, 0, SEEK_CUR), 10);
		}
		close(fd);
	}
}

static void output_reaches_a_function(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b,
		   &(struct lkvm_console){ .in_fd = -1, .out_fd = -1, .out = on_out, .ctx = &b });
	put_text(&b, "function");
	assert_int_equal(b.n_got, 0); /* not on the vCPU's thread */
	settle(&b);
	assert_int_equal(b.n_got, 8);
	assert_memory_equal(b.got, "function", 8);
	bench_close(&b);
}

/* A guest that prints a byte for each that is taken, until it has printed enough. */
static void on_out_print_more(void *ctx, const void *data, size_t len)
{
	struct bench *b = ctx;

	(void)data;
	b->n_got += len;
	for (size_t i = 0; i < len && stats(b).bytes_out < 3 * CONSOLE_OUT_SIZE; i++)
		console_put(b->con, 'x');
}

static void a_guest_as_fast_as_its_sink_does_not_keep_the_loop(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, &(struct lkvm_console){
			       .in_fd = -1, .out_fd = -1, .out = on_out_print_more, .ctx = &b });
	put_text(&b, "0123456789");
	assert_false(console_flush(b.con));
	assert_true(b.n_got <= CONSOLE_OUT_SIZE);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_got, 3 * CONSOLE_OUT_SIZE);
	bench_close(&b);
}

static void output_without_a_sink_is_counted_but_not_lost(void **state)
{
	struct bench b;

	(void)state;
	bench_fds(&b, -1, -1);
	for (int i = 0; i < 2 * CONSOLE_OUT_SIZE; i++)
		assert_false(console_put(b.con, 'x'));
	assert_int_equal(stats(&b).bytes_out, 2 * CONSOLE_OUT_SIZE);
	assert_int_equal(stats(&b).bytes_lost, 0);
	assert_int_equal(console_room(b.con), OUT_LIMIT);
	bench_close(&b);
}

static void nothing_of_the_callers_descriptors_changes(void **state)
{
	struct termios before = { 0 }, after = { 0 }; /* there is padding in it */
	struct bench b;
	int p[2], q[2], t[2], flags[3];

	(void)state;
	make_pipe(p);
	make_pipe(q);
	make_pty(t);
	flags[0] = fcntl(p[0], F_GETFL);
	flags[1] = fcntl(q[1], F_GETFL);
	flags[2] = fcntl(t[1], F_GETFL);
	tcgetattr(t[1], &before);
	for (int tty = 0; tty < 2; tty++) {
		bench_fds(&b, tty ? t[1] : p[0], tty ? t[1] : q[1]);
		put_text(&b, "x");
		settle(&b);
		assert_int_equal(fcntl(p[0], F_GETFL), flags[0]);
		assert_int_equal(fcntl(q[1], F_GETFL), flags[1]);
		assert_int_equal(fcntl(t[1], F_GETFL), flags[2]);
		bench_close(&b);
	}
	assert_int_equal(fcntl(p[0], F_GETFL), flags[0]);
	assert_int_equal(fcntl(q[1], F_GETFL), flags[1]);
	assert_int_equal(fcntl(t[1], F_GETFL), flags[2]);
	tcgetattr(t[1], &after);
	assert_memory_equal(&before, &after, sizeof(before));
	close_pair(p);
	close_pair(q);
	close_pair(t);
}

/* ---- slow readers ---- */

static void a_reader_that_pauses_loses_nothing_and_memory_is_bounded(void **state)
{
	size_t total = 300 * 1000, sent = 0, seen = 0;
	unsigned int n_full = 0;
	struct bench b;
	u8 buf[3001];
	int p[2];

	(void)state;
	make_pipe(p);
	assert_true(fcntl(p[1], F_SETPIPE_SZ, 4096) >= 0);
	bench_fds(&b, -1, p[1]);
	while (seen < total) {
		size_t n;
		bool full = false;

		while (sent < total && !full)
			full = console_put(b.con, pattern(sent++));
		n_full += full;
		assert_true(sent - seen <= OUT_LIMIT + 4096 + 4096);
		settle(&b);
		n = slurp(p[0], buf, sizeof(buf));
		for (size_t i = 0; i < n; i++)
			assert_int_equal(buf[i], pattern(seen + i));
		seen += n;
	}
	assert_true(n_full > 0);
	assert_true(b.n_ready > 0);
	assert_int_equal(stats(&b).bytes_lost, 0);
	assert_int_equal(n_watched(&b), 0);
	bench_close(&b);
	close_pair(p);
}

static void the_device_is_told_once_the_buffer_is_half_empty_again(void **state)
{
	struct bench b;
	u8 buf[16384];
	size_t n = 0;
	int p[2];

	(void)state;
	make_pipe(p);
	assert_true(fcntl(p[1], F_SETPIPE_SZ, 4096) >= 0);
	bench_fds(&b, -1, p[1]);
	while (!console_put(b.con, 'x'))
		n++;
	assert_int_equal(n + 1, OUT_LIMIT);
	assert_int_equal(console_room(b.con), 0);
	/* More comes from accesses under way: taken all the same. */
	for (int i = 0; i < CONSOLE_OUT_HEADROOM; i++)
		assert_true(console_put(b.con, 'y'));
	loop_manual_run(b.t.loop); /* without waiting for the timer: the pipe takes what it can */
	assert_int_equal(slurp(p[0], buf, 4096), 4096);
	loop_manual_run(b.t.loop);
	while (console_room(b.con) < OUT_LIMIT - CONSOLE_OUT_SIZE / 2) {
		assert_int_equal(b.n_ready, 0);
		assert_true(slurp(p[0], buf, 4096) > 0);
		loop_manual_run(b.t.loop);
	}
	assert_int_equal(b.n_ready, 1);
	assert_int_equal(stats(&b).bytes_lost, 0);
	bench_close(&b);
	close_pair(p);
}

static void a_full_pipe_a_full_socket_and_a_full_terminal_do_not_block(void **state)
{
	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		size_t sent = 0, seen = 0;
		struct bench b;
		u8 buf[1000];
		int p[2];

		if (kind == 0)
			make_pipe(p);
		else if (kind == 1)
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
		else
			make_pty(p);
		if (kind == 3) { /* the master */
			int master = p[0];

			p[0] = p[1];
			p[1] = master;
		}
		bench_fds(&b, -1, p[1]);
		while (console_room(b.con)) {
			console_put(b.con, pattern(sent++));
			if (sent % 5000 == 0)
				settle(&b);
			assert_true(sent < 4000000);
		}
		/* A reader that takes it by the drop. */
		while (seen < sent) {
			size_t n;

			settle(&b);
			n = slurp(p[0], buf, 1 + seen % sizeof(buf));
			for (size_t i = 0; i < n; i++)
				assert_int_equal(buf[i], pattern(seen + i));
			seen += n;
		}
		assert_int_equal(stats(&b).bytes_lost, 0);
		bench_close(&b);
		close_pair(p);
	}
}

static void pipes_and_terminals_are_opened_anew_but_for_a_ptys_master(void **state)
{
	struct lkvm_error err = { 0 };
	struct hostfd h;
	int p[2], t[2];

	(void)state;
	make_pipe(p);
	make_pty(t);
	for (int i = 0; i < 4; i++) {
		int fd = i < 2 ? p[i] : t[i - 2];

		assert_int_equal(hostfd_open(&h, fd, i ? O_WRONLY : O_RDONLY, "test", &err), 0);
		assert_int_equal(h.kind, i == 2 ? HOSTFD_POLLED : HOSTFD_OPENED);
		assert_true((fcntl(h.fd, F_GETFD) & FD_CLOEXEC) && h.fd != fd);
		hostfd_close(&h);
	}
	close_pair(p);
	close_pair(t);
}

/* What hostfd.c falls back to without /proc or the permission to open the pipe anew. */
static void careful_writes_to_a_pipe_never_block(void **state)
{
	struct hostfd h = { .kind = HOSTFD_POLLED, .max_write = 4096 };
	u8 buf[10000] = { 0 };
	size_t sent = 0, seen = 0;
	int p[2];

	(void)state;
	make_pipe(p);
	h.fd = p[1];
	for (int round = 0; round < 50; round++) {
		ssize_t n;

		while ((n = hostfd_write(&h, buf, sizeof(buf))) > 0)
			sent += (size_t)n;
		assert_int_equal(n, -EAGAIN);
		seen += slurp(p[0], buf, 1 + 199 * (size_t)round);
	}
	assert_true(seen < sent);
	h.fd = p[0];
	while (seen < sent) {
		ssize_t n = hostfd_read(&h, buf, sizeof(buf));

		assert_true(n > 0);
		seen += (size_t)n;
	}
	assert_int_equal(hostfd_read(&h, buf, sizeof(buf)), -EAGAIN);
	close(p[1]);
	assert_int_equal(hostfd_read(&h, buf, sizeof(buf)), 0);
	close(p[0]);
}

/* ---- in bulk ---- */

static void bulk_output_loses_nothing_whatever_its_sizes(void **state)
{
	size_t total = 400 * 1000, sent = 0, seen = 0, n_partial = 0;
	struct bench b;
	u8 buf[9001];
	int p[2];

	(void)state;
	make_pipe(p);
	assert_true(fcntl(p[1], F_SETPIPE_SZ, 4096) >= 0);
	bench_fds(&b, -1, p[1]);
	while (seen < total) {
		size_t n = min_u64(1 + sent * 7 % sizeof(buf), total - sent), did;

		fill_pattern(buf, n, sent);
		did = console_write(b.con, buf, n);
		assert_true(did <= n);
		n_partial += did < n;
		sent += did;
		assert_int_equal(stats(&b).bytes_out, sent);
		assert_true(sent - seen <= OUT_BULK + 4096);
		settle(&b);
		n = slurp(p[0], buf, 2999);
		assert_pattern(buf, n, seen);
		seen += n;
	}
	assert_true(n_partial > 10);
	assert_true(b.n_ready > 0);
	assert_int_equal(stats(&b).bytes_lost, 0);
	bench_close(&b);
	close_pair(p);
}

static void bulk_output_goes_out_at_once_when_full_and_leaves_room_for_single_bytes(void **state)
{
	static u8 buf[2 * CONSOLE_OUT_SIZE];
	struct bench b;
	size_t n = 1;
	int p[2];

	(void)state;
	make_pipe(p);
	assert_true(fcntl(p[1], F_SETPIPE_SZ, 4096) >= 0);
	bench_fds(&b, -1, p[1]);
	fill_pattern(buf, sizeof(buf), 0);
	assert_int_equal(console_write(b.con, buf, sizeof(buf)), OUT_BULK);
	assert_int_equal(console_write(b.con, buf, 1), 0);
	assert_int_equal(console_write(b.con, buf, 0), 0);
	while (!console_put(b.con, buf[OUT_BULK + n - 1]))
		n++;
	assert_int_equal(n, OUT_LIMIT - OUT_BULK);
	assert_int_equal(console_write(b.con, buf, 1), 0);
	for (n = 0; n < OUT_LIMIT;) {
		size_t got;

		loop_manual_run(b.t.loop); /* without waiting for the timer */
		assert_int_equal(b.n_ready,
				 console_room(b.con) >= OUT_LIMIT - CONSOLE_OUT_SIZE / 2);
		got = slurp(p[0], buf, 4096);
		assert_true(got > 0);
		assert_pattern(buf, got, n);
		n += got;
	}
	bench_close(&b);
	close_pair(p);
}

static void bulk_output_is_taken_whole_where_nobody_reads_it(void **state)
{
	static u8 buf[3 * CONSOLE_OUT_SIZE];
	struct bench b;
	int p[2];

	(void)state;
	make_pipe(p);
	bench_fds(&b, -1, -1);
	assert_int_equal(console_write(b.con, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(stats(&b).bytes_out, sizeof(buf));
	assert_int_equal(stats(&b).bytes_lost, 0);
	bench_close(&b);

	bench_fds(&b, -1, p[1]);
	close(p[0]);
	put_text(&b, "x");
	settle(&b);
	assert_int_equal(console_write(b.con, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(stats(&b).bytes_out, sizeof(buf) + 1);
	assert_int_equal(stats(&b).bytes_lost, sizeof(buf) + 1);
	bench_close(&b);
	close(p[1]);
}

static void the_last_output_finds_more_room_but_not_without_end(void **state)
{
	size_t sent = 0, seen = 0, n;
	static u8 buf[100 * 1000];
	struct bench b;
	int p[2];

	(void)state;
	make_pipe(p);
	bench_fds(&b, -1, p[1]);
	/* The ring is full and its beginning somewhere in the middle. */
	for (n = 0; n < 2; n++) {
		size_t did;

		fill_pattern(buf, sizeof(buf), sent);
		did = console_write(b.con, buf, n ? sizeof(buf) : 30000);
		sent += did;
		if (n)
			break;
		settle(&b);
		seen = slurp(p[0], buf, sizeof(buf));
		assert_int_equal(seen, 30000);
	}
	do {
		fill_pattern(buf, sizeof(buf), sent);
		n = console_write_last(b.con, buf, sizeof(buf));
		sent += n;
	} while (n == sizeof(buf));
	assert_int_equal(sent - seen, CONSOLE_LAST_SIZE);
	assert_int_equal(console_write(b.con, buf, 1), 0);
	console_lose(b.con, sizeof(buf) - n);
	assert_int_equal(stats(&b).bytes_out, sent + sizeof(buf) - n);
	assert_int_equal(stats(&b).bytes_lost, sizeof(buf) - n);
	console_drain(b.con, on_done, &b);
	while (seen < sent) {
		settle(&b);
		n = slurp(p[0], buf, sizeof(buf));
		assert_true(n > 0);
		assert_pattern(buf, n, seen);
		seen += n;
	}
	settle(&b);
	assert_int_equal(b.n_done, 1);
	bench_close(&b);
	close_pair(p);
}

static void loss_is_said_but_not_for_ever_and_not_where_nobody_listens(void **state)
{
	struct bench b;
	int p[2];

	(void)state;
	make_pipe(p);
	for (int sink = 0; sink < 2; sink++) {
		bench_fds(&b, -1, sink ? p[1] : -1);
		console_lose(b.con, 0);
		assert_int_equal(b.t.n_msgs, 0);
		for (int i = 0; i < 1000; i++)
			console_lose(b.con, 3);
		assert_int_equal(stats(&b).bytes_out, 3000);
		assert_int_equal(stats(&b).bytes_lost, sink ? 3000 : 0);
		assert_int_equal(b.t.n_msgs, sink ? RATELIMIT_BURST : 0);
		bench_close(&b);
	}
	close_pair(p);
}

static void bulk_input_comes_in_order_and_lets_more_in(void **state)
{
	size_t total = 100 * 1000, sent = 0, seen = 0;
	struct bench b;
	u8 buf[CONSOLE_IN_SIZE + 100];
	int p[2];

	(void)state;
	make_pipe(p);
	assert_int_equal(fcntl(p[1], F_SETFL, O_NONBLOCK), 0);
	bench_open(&b, &(struct lkvm_console){ .in_fd = p[0], .out_fd = -1 });
	assert_int_equal(console_read(b.con, buf, sizeof(buf)), 0);
	while (seen < total) {
		size_t n = min_u64(3001, total - sent);
		ssize_t did;

		fill_pattern(buf, n, sent);
		did = n ? write(p[1], buf, n) : 0;
		sent += did > 0 ? (size_t)did : 0;
		loop_manual_run(b.t.loop);
		n = console_read(b.con, buf, 1 + seen % sizeof(buf));
		assert_pattern(buf, n, seen);
		seen += n;
	}
	assert_int_equal(console_read(b.con, buf, sizeof(buf)), 0);
	bench_close(&b);
	close_pair(p);
}

/* ---- two devices ---- */

static void both_devices_are_told_and_one_may_go(void **state)
{
	struct dev_slot slot = { .cls = &counter_class, .name = "second" };
	struct bench b, *cfg = &b;
	struct dev *second;

	(void)state;
	bench_fds(&b, -1, -1);
	slot.cfg = &cfg;
	assert_int_equal(dev_create(&second, &slot, &b.t.env, NULL), 0);
	console_push_input(b.con, "a", 1);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_ready, 2);
	assert_input(&b, "a"); /* whoever takes it */
	dev_destroy(b.t.dev);
	b.t.dev = NULL;
	console_push_input(b.con, "b", 1);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_ready, 3);
	/* There is room for another one. */
	slot.name = "third";
	assert_int_equal(dev_create(&b.t.dev, &slot, &b.t.env, NULL), 0);
	assert_input(&b, "b");
	console_push_input(b.con, "c", 1);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_ready, 5);
	dev_destroy(second);
	bench_close(&b);
}

static void a_new_size_is_told_once_and_on_the_loop_thread(void **state)
{
	u16 cols = 1, rows = 1;
	struct bench b;

	(void)state;
	bench_fds(&b, -1, -1);
	console_size(b.con, &cols, &rows);
	assert_int_equal(cols, 0);
	assert_int_equal(rows, 0);
	console_resize(b.con, 80, 25);
	assert_int_equal(b.n_ready, 0);
	console_size(b.con, &cols, &rows);
	assert_int_equal(cols, 80);
	assert_int_equal(rows, 25);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_ready, 1);
	console_resize(b.con, 80, 25);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_ready, 1);
	console_resize(b.con, 80, 26);
	console_resize(b.con, 80, 27);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_ready, 2);
	console_resize(b.con, 81, 27);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_ready, 3);
	bench_close(&b);
}

/* ---- readers that are gone ---- */

static void a_reader_that_went_away_costs_its_output_and_nothing_else(void **state)
{
	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		struct bench b;
		int p[2];

		if (kind)
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
		else
			make_pipe(p);
		bench_fds(&b, -1, p[1]);
		while (!console_put(b.con, 'x'))
			;
		close(p[0]);
		settle(&b);
		assert_int_equal(stats(&b).bytes_lost, OUT_LIMIT);
		assert_int_equal(b.n_ready, 1);
		assert_int_equal(b.t.n_msgs, 1);
		assert_non_null(strstr(b.t.last_msg, strerror(EPIPE)));
		for (int i = 0; i < 2 * CONSOLE_OUT_SIZE; i++)
			assert_false(console_put(b.con, 'x'));
		settle(&b);
		assert_int_equal(stats(&b).bytes_lost, OUT_LIMIT + 2 * CONSOLE_OUT_SIZE);
		assert_int_equal(b.t.n_msgs, 1);
		assert_int_equal(n_watched(&b), 0);
		bench_close(&b);
		close(p[1]);
	}
}

static void a_reader_that_leaves_while_we_wait_for_it_is_noticed(void **state)
{
	struct bench b;
	int p[2];

	(void)state;
	make_pipe(p);
	bench_fds(&b, -1, p[1]);
	do
		settle(&b);
	while (!console_put(b.con, 'x'));
	settle(&b);
	assert_int_equal(n_watched(&b), 1);
	close(p[0]);
	loop_manual_run(b.t.loop);
	assert_true(stats(&b).bytes_lost > 0);
	assert_int_equal(n_watched(&b), 0);
	bench_close(&b);
	close(p[1]);
}

static void a_full_disk_is_a_lost_sink(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct bench b;

	(void)state;
	assert_true(fd >= 0);
	bench_fds(&b, -1, fd);
	put_text(&b, "lost");
	settle(&b);
	assert_int_equal(stats(&b).bytes_out, 4);
	assert_int_equal(stats(&b).bytes_lost, 4);
	assert_non_null(strstr(b.t.last_msg, strerror(ENOSPC)));
	bench_close(&b);
	close(fd);
}

static void a_terminal_that_hung_up_ends_input_and_output(void **state)
{
	struct bench b;
	int p[2];

	(void)state;
	make_pty(p);
	bench_fds(&b, p[1], p[1]);
	close(p[0]);
	put_text(&b, "x");
	settle(&b);
	assert_int_equal(stats(&b).bytes_lost, 1);
	assert_int_equal(n_watched(&b), 0);
	assert_input(&b, "");
	bench_close(&b);
	close(p[1]);
}

/* ---- drain ---- */

static void drain_of_an_empty_console_is_done_but_not_within_the_call(void **state)
{
	struct bench b;
	int p[2];

	(void)state;
	make_pipe(p);
	for (int sink = 0; sink < 2; sink++) {
		bench_fds(&b, -1, sink ? p[1] : -1);
		console_drain(b.con, on_done, &b);
		assert_int_equal(b.n_done, 0);
		loop_manual_run(b.t.loop);
		assert_int_equal(b.n_done, 1);
		devtest_advance(&b.t, 2 * CONSOLE_DRAIN_NS);
		assert_int_equal(b.n_done, 1);
		assert_int_equal(b.t.n_msgs, 0);
		bench_close(&b);
	}
	close_pair(p);
}

static void drain_waits_for_a_reader_that_is_alive_however_slow(void **state)
{
	size_t sent = 0, seen = 0;
	unsigned int n_rounds = 0;
	struct bench b;
	u8 buf[4096];
	int p[2];

	(void)state;
	make_pipe(p);
	assert_true(fcntl(p[1], F_SETPIPE_SZ, 4096) >= 0);
	bench_fds(&b, -1, p[1]);
	while (!console_put(b.con, pattern(sent++)))
		;
	console_drain(b.con, on_done, &b);
	while (!b.n_done) {
		size_t n;

		devtest_advance(&b.t, CONSOLE_DRAIN_NS - 1);
		n = slurp(p[0], buf, sizeof(buf));
		for (size_t i = 0; i < n; i++)
			assert_int_equal(buf[i], pattern(seen + i));
		seen += n;
		loop_manual_run(b.t.loop);
		assert_true(n_rounds++ < 1000);
	}
	seen += slurp(p[0], buf, sizeof(buf));
	assert_int_equal(seen, sent);
	assert_true(n_rounds > 10);
	assert_int_equal(stats(&b).bytes_lost, 0);
	bench_close(&b);
	close_pair(p);
}

static void drain_gives_up_a_reader_that_takes_nothing(void **state)
{
	struct bench b;
	u64 in_pipe;
	int p[2], n;

	(void)state;
	make_pipe(p);
	bench_fds(&b, -1, p[1]);
	do
		settle(&b);
	while (!console_put(b.con, 'x'));
	console_drain(b.con, on_done, &b);
	devtest_advance(&b.t, CONSOLE_DRAIN_NS - 1);
	assert_int_equal(b.n_done, 0);
	devtest_advance(&b.t, 1);
	assert_int_equal(b.n_done, 1);
	assert_int_equal(ioctl(p[0], FIONREAD, &n), 0);
	in_pipe = (u64)n;
	assert_int_equal(stats(&b).bytes_lost, stats(&b).bytes_out - in_pipe);
	bench_close(&b);
	close_pair(p);
}

static void drain_is_done_when_the_reader_leaves(void **state)
{
	struct bench b;
	int p[2];

	(void)state;
	make_pipe(p);
	bench_fds(&b, -1, p[1]);
	do
		settle(&b);
	while (!console_put(b.con, 'x'));
	console_drain(b.con, on_done, &b);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_done, 0);
	close(p[0]);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_done, 1);
	bench_close(&b);
	close(p[1]);
}

static void after_a_drain_the_readers_end_of_file_is_the_callers_to_give(void **state)
{
	struct bench b;
	char c[8];
	int p[2];

	(void)state;
	make_pipe(p);
	bench_fds(&b, -1, p[1]);
	put_text(&b, "bye");
	console_drain(b.con, on_done, &b);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_done, 1);
	close(p[1]);
	assert_int_equal(read(p[0], c, sizeof(c)), 3);
	assert_int_equal(read(p[0], c, sizeof(c)), 0);
	bench_close(&b);
	close(p[0]);
}

static void a_drain_reads_no_more_input(void **state)
{
	struct bench b;
	int p[2];

	(void)state;
	make_pipe(p);
	bench_fds(&b, p[0], -1);
	console_drain(b.con, on_done, &b);
	fill_text(p[1], "for the next program");
	loop_manual_run(b.t.loop);
	assert_arrived(p[0], "for the next program");
	bench_close(&b);
	close_pair(p);
}

/* ---- input ---- */

static void input_comes_from_pipe_socket_terminal_and_file_and_ends(void **state)
{
	(void)state;
	for (int kind = 0; kind < 5; kind++) {
		struct bench b;
		int p[2];

		if (kind == 0) {
			make_pipe(p);
		} else if (kind == 1) {
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
		} else if (kind == 2) {
			p[0] = make_file(0);
			p[1] = dup(p[0]);
		} else {
			make_pty(p);
		}
		if (kind == 3) { /* the slave is read; else, and for kind 4, p[0] */
			int master = p[0];

			p[0] = p[1];
			p[1] = master;
		}
		fill_text(p[1], "early\n");
		if (kind == 2)
			lseek(p[0], 0, SEEK_SET);
		bench_fds(&b, p[0], -1);
		assert_int_equal(b.n_ready, 1);
		assert_input(&b, "early\n");
		if (kind != 2) {
			assert_int_equal(n_watched(&b), 1);
			fill_text(p[1], "late\n");
			loop_manual_run(b.t.loop);
			assert_int_equal(b.n_ready, 2);
			assert_input(&b, "late\n");
		}
		close(p[1]);
		loop_manual_run(b.t.loop);
		assert_int_equal(n_watched(&b), 0);
		assert_input(&b, "");
		/* The guest goes on, and so does its output. */
		assert_false(console_put(b.con, 'x'));
		bench_close(&b);
		close(p[0]);
	}
}

static void input_of_a_pipe_whose_writer_left_is_read_to_its_end(void **state)
{
	struct bench b;
	int p[2];

	(void)state;
	make_pipe(p);
	fill_text(p[1], "echo hello\n");
	close(p[1]);
	bench_fds(&b, p[0], -1);
	assert_false(console_is_over(b.con));
	assert_input(&b, "echo hello\n");
	assert_int_equal(n_watched(&b), 0);
	assert_true(console_is_over(b.con));
	bench_close(&b);
	close(p[0]);
}

static void input_from_dev_null_ends_at_once(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct bench b;

	(void)state;
	bench_fds(&b, fd, -1);
	assert_int_equal(n_watched(&b), 0);
	assert_int_equal(b.n_ready, 1); /* of the end */
	assert_true(console_is_over(b.con));
	bench_close(&b);
	close(fd);
}

static void input_that_cannot_be_read_ends(void **state)
{
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct bench b;

	(void)state;
	bench_fds(&b, fd, -1);
	assert_int_equal(n_watched(&b), 0);
	bench_close(&b);
	close(fd);
}

static void nothing_is_read_before_the_start(void **state)
{
	struct lkvm_console cfg = { .out_fd = -1 };
	struct bench b;
	int p[2];

	(void)state;
	make_pipe(p);
	memset(&b, 0, sizeof(b));
	devtest_init(&b.t, 0);
	cfg.in_fd = p[0];
	assert_int_equal(
		console_create(&b.con, &cfg, false, b.t.loop, &b.t.log, &bench_ops, &b, NULL), 0);
	fill_text(p[1], "x");
	loop_manual_run(b.t.loop);
	assert_input(&b, "");
	console_start(b.con);
	loop_manual_run(b.t.loop);
	assert_input(&b, "x");
	bench_close(&b);
	close_pair(p);
}

static void input_is_held_back_while_the_guest_takes_none(void **state)
{
	size_t total = 200 * 1000, sent = 0, seen = 0;
	struct bench b;
	u8 buf[5000], c;
	int p[2], pending;

	(void)state;
	make_pipe(p);
	assert_int_equal(fcntl(p[1], F_SETFL, O_NONBLOCK), 0);
	/* The escape byte is in the pattern, too. */
	bench_open(&b, &(struct lkvm_console){ .in_fd = p[0], .out_fd = -1, .escape = 0 });
	while (seen < total) {
		size_t n = min_u64(sizeof(buf), total - sent);
		ssize_t did;

		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(sent + i);
		did = n ? write(p[1], buf, n) : 0;
		if (did > 0)
			sent += (size_t)did;
		loop_manual_run(b.t.loop);
		assert_int_equal(ioctl(p[0], FIONREAD, &pending), 0);
		assert_true(sent - seen - (size_t)pending <= CONSOLE_IN_SIZE);
		for (size_t i = 0; i < 777 && console_get(b.con, &c); i++)
			assert_int_equal(c, pattern(seen++));
	}
	assert_int_equal(n_watched(&b), 1);
	bench_close(&b);
	close_pair(p);
}

static void embedders_input_and_a_descriptors_fit_the_same_bound(void **state)
{
	size_t n_host = 0, n_push = 0;
	struct bench b;
	char host[CONSOLE_IN_SIZE], push[CONSOLE_IN_SIZE];
	u8 c;
	int p[2];

	(void)state;
	make_pipe(p);
	memset(host, 'h', sizeof(host));
	memset(push, 'p', sizeof(push));
	bench_fds(&b, p[0], -1);
	assert_int_equal(console_push_input(b.con, push, 1000), 1000);
	assert_int_equal(write(p[1], host, sizeof(host)), sizeof(host));
	loop_manual_run(b.t.loop);
	assert_int_equal(console_push_input(b.con, push, sizeof(push)), 0);
	assert_int_equal(n_watched(&b), 0);
	while (console_get(b.con, &c)) {
		n_host += c == 'h';
		n_push += c == 'p';
		loop_manual_run(b.t.loop);
	}
	assert_int_equal(n_host, sizeof(host));
	assert_int_equal(n_push, 1000);
	assert_int_equal(console_push_input(b.con, push, sizeof(push)), sizeof(push));
	assert_int_equal(console_push_input(b.con, push, 1), 0);
	bench_close(&b);
	close_pair(p);
}

static void embedders_input_tells_the_device_on_the_loop_thread(void **state)
{
	struct bench b;

	(void)state;
	bench_fds(&b, -1, -1);
	assert_int_equal(console_push_input(b.con, "a", 1), 1);
	assert_int_equal(b.n_ready, 0);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_ready, 1);
	assert_input(&b, "a");
	bench_close(&b);
}

static void one_socket_serves_both_directions(void **state)
{
	struct bench b;
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	bench_fds(&b, s[1], s[1]);
	fill_text(s[0], "in");
	put_text(&b, "out");
	settle(&b);
	assert_input(&b, "in");
	assert_arrived(s[0], "out");
	shutdown(s[0], SHUT_WR);
	loop_manual_run(b.t.loop);
	put_text(&b, "more");
	settle(&b);
	assert_arrived(s[0], "more");
	bench_close(&b);
	close_pair(s);
}

/* ---- escapes ---- */

struct escape_case {
	const char *typed, *input;
	unsigned int n_escape;
	bool help;
};

static void escapes_are_found_however_the_input_is_cut(void **state)
{
	static const struct escape_case cases[] = {
		{ "plain", "plain", 0, false },
		{ "a\001xb", "ab", 1, false },
		{ "a\001hb", "ab", 0, true },
		{ "a\001\001b", "a\001b", 0, false },
		{ "a\001\001xb", "a\001xb", 0, false },
		{ "a\001cb", "a\001cb", 0, false },
		{ "\001h\001x", "", 1, true },
		{ "x\001", "x\001", 0, false }, /* and the end of input */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct escape_case *c = &cases[i];

		for (size_t cut = 0; cut <= strlen(c->typed); cut++) {
			struct bench b;
			char buf[256];
			int p[2], q[2];
			size_t n;

			make_pipe(p);
			make_pipe(q);
			bench_fds(&b, p[0], q[1]);
			if (cut)
				assert_int_equal(write(p[1], c->typed, cut), cut);
			loop_manual_run(b.t.loop);
			fill_text(p[1], c->typed + cut);
			loop_manual_run(b.t.loop);
			close(p[1]);
			loop_manual_run(b.t.loop);
			assert_input(&b, c->input);
			assert_int_equal(b.n_escape, c->n_escape);
			settle(&b);
			n = slurp(q[0], buf, sizeof(buf) - 1);
			buf[n] = 0;
			assert_int_equal(strstr(buf, "Ctrl-a x") != NULL, c->help);
			assert_int_equal(n > 0, c->help);
			assert_int_equal(stats(&b).bytes_out, 0);
			bench_close(&b);
			close(p[0]);
			close_pair(q);
		}
	}
}

static void escapes_are_not_looked_for_unless_configured_nor_in_the_embedders_input(void **state)
{
	struct bench b;
	int p[2];

	(void)state;
	make_pipe(p);
	bench_open(&b, &(struct lkvm_console){ .in_fd = p[0], .out_fd = -1 });
	assert_int_equal(write(p[1], "\001x\0", 3), 3);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_escape, 0);
	assert_input(&b, "\001x");
	bench_close(&b);

	bench_fds(&b, p[0], -1);
	assert_int_equal(console_push_input(b.con, "\001x", 2), 2);
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_escape, 0);
	assert_input(&b, "\001x");
	bench_close(&b);
	close_pair(p);
}

static void a_held_escape_byte_finds_room_in_a_full_buffer(void **state)
{
	char buf[CONSOLE_IN_SIZE - 1];
	struct bench b;
	size_t n = 0;
	u8 c = 0;
	int p[2];

	(void)state;
	make_pipe(p);
	memset(buf, 'z', sizeof(buf));
	bench_fds(&b, p[0], -1);
	fill_text(p[1], "\001");
	loop_manual_run(b.t.loop);
	assert_input(&b, "");
	assert_int_equal(console_push_input(b.con, buf, sizeof(buf)), sizeof(buf));
	fill_text(p[1], "y"); /* there is room for one byte, and it brings two */
	loop_manual_run(b.t.loop);
	for (; n < sizeof(buf); n++) {
		assert_true(console_get(b.con, &c));
		assert_int_equal(c, 'z');
	}
	assert_input(&b, "\001y");
	bench_close(&b);
	close_pair(p);
}

/* ---- the panic line ---- */

static int scan(const char *text, unsigned int found[N_PANIC_TEXTS])
{
	struct panic_scan s = { 0 };
	int n = 0;

	memset(found, 0, N_PANIC_TEXTS * sizeof(found[0]));
	for (; *text; text++) {
		u32 texts = panic_scan(&s, (const u8 *)text, 1);

		for (int i = 0; i < N_PANIC_TEXTS; i++) {
			found[i] += texts >> i & 1;
			n += texts >> i & 1;
		}
	}
	return n;
}

static void panic_lines_are_found_where_printk_puts_them(void **state)
{
	static const char *const lines[] = {
		"Kernel panic - not syncing: VFS",
		"boot\r\nKernel panic - not syncing: VFS",
		"boot\nKernel panic - not syncing: VFS",
		"boot\rKernel panic - not syncing: VFS",
		"[    1.234567] Kernel panic - not syncing: VFS",
		"[12345.234567] Kernel panic - not syncing",
		"[    1.234567][    T1] Kernel panic - not syncing",
		"[    1.234567] [    C0] Kernel panic - not syncing",
		"[    T1] Kernel panic - not syncing",
		"<0>[    1.234567] Kernel panic - not syncing",
		"<0>Kernel panic - not syncing",
		"/ # [    1.234567] Kernel panic - not syncing",
		"[  OK  ] Started foo[    1.234567] Kernel panic - not syncing",
		"[[    1.234567] Kernel panic - not syncing",
		"Kernel pan[    1.234567] Kernel panic - not syncing",
		"\033[0m\r\nKernel panic - not syncing",
	};
	unsigned int found[N_PANIC_TEXTS];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (scan(lines[i], found) != 1 || found[PANIC_LINE] != 1)
			fail_msg("missed: %s", lines[i]);
	}
	assert_int_equal(scan("[    2.5] ---[ end Kernel panic - not syncing: VFS ]---", found), 1);
	assert_int_equal(found[PANIC_END], 1);
	assert_int_equal(scan("---[ end Kernel panic - not syncing: VFS ]---", found), 1);
	assert_int_equal(found[PANIC_END], 1);
}

static void words_in_the_middle_of_a_line_are_no_panic(void **state)
{
	static const char *const lines[] = {
		"",
		"Kernel panic",
		"Kernel panic - not synced",
		"kernel panic - not syncing",
		"/ # echo Kernel panic - not syncing",
		"grep 'Kernel panic - not syncing' log",
		"log:Kernel panic - not syncing",
		"[1] done Kernel panic - not syncing",
		"see [1] Kernel panic - not syncing",
		"see [x.1] Kernel panic - not syncing",
		"[    1.234567] foo: Kernel panic - not syncing",
		"Kernel panic\n - not syncing",
		"<x>Kernel panic - not syncing",
		"<0Kernel panic - not syncing",
		"[    1.234567Kernel panic - not syncing",
		"Kernel Kernel panic - not syncing",
		"a ---[ end Kernel panic",
		"---[ end trace 0000000000000000 ]---",
	};
	unsigned int found[N_PANIC_TEXTS];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (scan(lines[i], found))
			fail_msg("taken: %s", lines[i]);
	}
}

static void a_panic_is_told_wherever_the_output_is_cut(void **state)
{
	static const char first[] = "# [    1.234567] Kernel panic - not syncing: no init\r\n";
	static const char last[] = "[    1.300000] ---[ end Kernel panic - not syncing: no init";
	char reason[PANIC_REASON_MAX];

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(first); i++) {
		size_t cut = i / 2;
		struct bench b;
		int p[2];

		make_pipe(p);
		bench_fds(&b, -1, cut % 2 ? p[1] : -1);
		if (i % 2) {
			console_write(b.con, first, cut);
			settle(&b);
			console_write(b.con, first + cut, sizeof(first) - 1 - cut);
		} else {
			put(&b, first, cut);
			settle(&b);
			put(&b, first + cut, sizeof(first) - 1 - cut);
		}
		settle(&b);
		assert_int_equal(b.n_panic_line, 1);
		assert_int_equal(b.n_panic_end, 0);
		assert_true(console_saw_panic(b.con, reason, sizeof(reason)));
		assert_string_equal(reason, "no init");
		put_text(&b, last);
		/* On the loop thread only, and without waiting for the output to go out. */
		assert_int_equal(b.n_panic_end, 0);
		loop_manual_run(b.t.loop);
		assert_int_equal(b.n_panic_line, 1);
		assert_int_equal(b.n_panic_end, 1);
		bench_close(&b);
		close_pair(p);
	}
}

/* Pieces of panics and what stands around them, at random. */
static size_t babble(char *buf, size_t size, unsigned int *seed)
{
	static const char *const words[] = {
		"\n",
		"\r",
		"[    1.234567]",
		"[",
		"[1]",
		"<0>",
		" ",
		"Kernel panic - not syncing",
		"---[ end Kernel panic",
		"Kernel pan",
		"---",
		"]",
		": VFS: \033[0m",
		"x",
		"[    T1]",
	};
	size_t len = 0;

	for (;;) {
		const char *word = words[(size_t)rand_r(seed) % ARRAY_SIZE(words)];

		if (strlen(word) + 20 > size - len)
			return len;
		memcpy(buf + len, word, strlen(word));
		len += strlen(word);
		/* No text at all, too. */
		while (rand_r(seed) % 32 == 0)
			buf[len++] = (char)(rand_r(seed) % 2 ? 0 : 0xff);
		if (len + 20 > size)
			return len;
	}
}

static void the_scanner_finds_the_same_however_the_output_is_cut(void **state)
{
	unsigned int seed = 1, n_found = 0;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct panic_scan one = { 0 }, many = { 0 };
		u32 found_one = 0, found_many = 0;
		char buf[200];
		size_t len = babble(buf, sizeof(buf), &seed), n;

		for (size_t i = 0; i < len; i++)
			found_one |= panic_scan(&one, (u8 *)buf + i, 1);
		for (size_t i = 0; i < len; i += n) {
			n = min_u64(1 + (size_t)rand_r(&seed) % 80, len - i);
			found_many |= panic_scan(&many, (u8 *)buf + i, n);
		}
		assert_int_equal(found_one, found_many);
		assert_int_equal(one.seen, many.seen);
		assert_string_equal(one.reason, many.reason);
		n_found += found_one != 0;
	}
	assert_in_range(n_found, 200, 1999);
}

static void a_panic_is_not_looked_for_unless_asked(void **state)
{
	struct lkvm_console cfg = { .in_fd = -1, .out_fd = -1 };
	struct bench b;

	(void)state;
	memset(&b, 0, sizeof(b));
	devtest_init(&b.t, 0);
	assert_int_equal(
		console_create(&b.con, &cfg, false, b.t.loop, &b.t.log, &bench_ops, &b, NULL), 0);
	put_text(&b, "Kernel panic - not syncing\n---[ end Kernel panic\n");
	loop_manual_run(b.t.loop);
	assert_int_equal(b.n_panic_line + b.n_panic_end, 0);
	bench_close(&b);
}

/* ---- errors, threads ---- */

static void descriptors_that_cannot_serve_are_refused_with_a_sentence(void **state)
{
	struct bench b;
	int p[2], closed = 999999; /* not open: no test opens that many */

	(void)state;
	make_pipe(p);
	memset(&b, 0, sizeof(b));
	devtest_init(&b.t, 0);
	for (int i = 0; i < 4; i++) {
		struct lkvm_console cfg = { .in_fd = p[0], .out_fd = p[1] };
		struct lkvm_error err = { 0 };

		if (i < 2)
			cfg.in_fd = i ? closed : p[1];
		else
			cfg.out_fd = i == 3 ? closed : p[0];
		assert_int_equal(console_create(&b.con, &cfg, false, b.t.loop, &b.t.log, &bench_ops,
						&b, &err),
				 -EINVAL);
		assert_null(b.con);
		assert_int_equal(err.kind, LKVM_ERR_INPUT);
		assert_non_null(strstr(err.msg, i < 2 ? "console input" : "console output"));
		assert_int_equal(b.t.loop->n_slots, 1);
	}
	devtest_fini(&b.t);
	close_pair(p);
}

struct crowd {
	struct loop *loop;
	struct console *con;
	size_t total;
	bool bulk;
	int from_host, to_host; /* the ends of the other side */
	_Atomic bool bad;
};

static void *run_loop(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	loop_run(((struct crowd *)arg)->loop, NULL);
	return NULL;
}

/* The guest: sends a pattern and expects one, each at its own pace. */
static void *run_guest(void *arg)
{
	struct crowd *c = arg;
	size_t sent = 0, seen = 0;

	while (sent < c->total || seen < c->total) {
		u8 byte, buf[2000];
		size_t n;

		if (c->bulk) {
			n = min_u64(1 + sent % sizeof(buf), c->total - sent);
			fill_pattern(buf, n, sent);
			sent += console_write(c->con, buf, n);
			n = console_read(c->con, buf, 1 + seen % sizeof(buf));
			for (size_t i = 0; i < n; i++)
				c->bad |= buf[i] != pattern(seen++);
			continue;
		}
		if (sent < c->total && console_room(c->con))
			console_put(c->con, pattern(sent++));
		if (seen < c->total && console_get(c->con, &byte))
			c->bad |= byte != pattern(seen++);
	}
	return NULL;
}

static void *run_typist(void *arg)
{
	struct crowd *c = arg;

	for (size_t sent = 0; sent < c->total;) {
		u8 buf[1500];
		size_t n = min_u64(sizeof(buf), c->total - sent);

		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(sent + i);
		if (write(c->to_host, buf, n) != (ssize_t)n)
			c->bad = true;
		sent += n;
	}
	return NULL;
}

static void *run_reader(void *arg)
{
	struct crowd *c = arg;
	size_t seen = 0;

	while (seen < c->total && !c->bad) {
		u8 buf[700];
		ssize_t n = read(c->from_host, buf, sizeof(buf));

		c->bad |= n <= 0;
		for (ssize_t i = 0; i < n; i++)
			c->bad |= buf[i] != pattern(seen++);
	}
	return NULL;
}

static void guest_loop_and_host_run_on_threads_of_their_own(void **state)
{
	static void *(*const roles[])(void *) = { run_guest, run_typist, run_reader };
	static const enum loop_kind kinds[] = { LOOP_AUTO, LOOP_EPOLL };

	(void)state;
	for (size_t k = 0; k < 2 * ARRAY_SIZE(kinds); k++) {
		struct crowd c = { .total = 300 * 1000, .bulk = k % 2 };
		struct lkvm_error err = { 0 };
		struct lkvm_console cfg = { 0 };
		struct log log = { 0 };
		pthread_t loop_thread, thread[ARRAY_SIZE(roles)];
		struct bench b = { 0 };
		int in[2], out[2];

		make_pipe(in);
		make_pipe(out);
		c.to_host = in[1];
		c.from_host = out[0];
		cfg.in_fd = in[0];
		cfg.out_fd = out[1];
		assert_int_equal(loop_create(&c.loop, kinds[k / 2], &err), 0);
		assert_int_equal(
			console_create(&c.con, &cfg, true, c.loop, &log, &bench_ops, &b, &err), 0);
		console_start(c.con);
		pthread_create(&loop_thread, NULL, run_loop, &c);
		for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
			pthread_create(&thread[i], NULL, roles[i], &c);
		for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
			pthread_join(thread[i], NULL);
		loop_stop(c.loop);
		pthread_join(loop_thread, NULL);
		assert_false(c.bad);
		console_destroy(c.con);
		loop_destroy(c.loop);
		close_pair(in);
		close_pair(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_waits_for_company_and_goes_out_in_one_piece),
		cmocka_unit_test(output_can_be_flushed_at_once),
		cmocka_unit_test(output_reaches_a_socket),
		cmocka_unit_test(output_reaches_both_ends_of_a_terminal),
		cmocka_unit_test(output_to_a_file_keeps_its_offset_and_append_mode),
		cmocka_unit_test(output_reaches_a_function),
		cmocka_unit_test(a_guest_as_fast_as_its_sink_does_not_keep_the_loop),
		cmocka_unit_test(output_without_a_sink_is_counted_but_not_lost),
		cmocka_unit_test(nothing_of_the_callers_descriptors_changes),
		cmocka_unit_test(a_reader_that_pauses_loses_nothing_and_memory_is_bounded),
		cmocka_unit_test(the_device_is_told_once_the_buffer_is_half_empty_again),
		cmocka_unit_test(a_full_pipe_a_full_socket_and_a_full_terminal_do_not_block),
		cmocka_unit_test(pipes_and_terminals_are_opened_anew_but_for_a_ptys_master),
		cmocka_unit_test(careful_writes_to_a_pipe_never_block),
		cmocka_unit_test(bulk_output_loses_nothing_whatever_its_sizes),
		cmocka_unit_test(
			bulk_output_goes_out_at_once_when_full_and_leaves_room_for_single_bytes),
		cmocka_unit_test(bulk_output_is_taken_whole_where_nobody_reads_it),
		cmocka_unit_test(the_last_output_finds_more_room_but_not_without_end),
		cmocka_unit_test(loss_is_said_but_not_for_ever_and_not_where_nobody_listens),
		cmocka_unit_test(bulk_input_comes_in_order_and_lets_more_in),
		cmocka_unit_test(both_devices_are_told_and_one_may_go),
		cmocka_unit_test(a_new_size_is_told_once_and_on_the_loop_thread),
		cmocka_unit_test(a_reader_that_went_away_costs_its_output_and_nothing_else),
		cmocka_unit_test(a_reader_that_leaves_while_we_wait_for_it_is_noticed),
		cmocka_unit_test(a_full_disk_is_a_lost_sink),
		cmocka_unit_test(a_terminal_that_hung_up_ends_input_and_output),
		cmocka_unit_test(drain_of_an_empty_console_is_done_but_not_within_the_call),
		cmocka_unit_test(drain_waits_for_a_reader_that_is_alive_however_slow),
		cmocka_unit_test(drain_gives_up_a_reader_that_takes_nothing),
		cmocka_unit_test(drain_is_done_when_the_reader_leaves),
		cmocka_unit_test(after_a_drain_the_readers_end_of_file_is_the_callers_to_give),
		cmocka_unit_test(a_drain_reads_no_more_input),
		cmocka_unit_test(input_comes_from_pipe_socket_terminal_and_file_and_ends),
		cmocka_unit_test(input_of_a_pipe_whose_writer_left_is_read_to_its_end),
		cmocka_unit_test(input_from_dev_null_ends_at_once),
		cmocka_unit_test(input_that_cannot_be_read_ends),
		cmocka_unit_test(nothing_is_read_before_the_start),
		cmocka_unit_test(input_is_held_back_while_the_guest_takes_none),
		cmocka_unit_test(embedders_input_and_a_descriptors_fit_the_same_bound),
		cmocka_unit_test(embedders_input_tells_the_device_on_the_loop_thread),
		cmocka_unit_test(one_socket_serves_both_directions),
		cmocka_unit_test(escapes_are_found_however_the_input_is_cut),
		cmocka_unit_test(
			escapes_are_not_looked_for_unless_configured_nor_in_the_embedders_input),
		cmocka_unit_test(a_held_escape_byte_finds_room_in_a_full_buffer),
		cmocka_unit_test(panic_lines_are_found_where_printk_puts_them),
		cmocka_unit_test(words_in_the_middle_of_a_line_are_no_panic),
		cmocka_unit_test(a_panic_is_told_wherever_the_output_is_cut),
		cmocka_unit_test(the_scanner_finds_the_same_however_the_output_is_cut),
		cmocka_unit_test(a_panic_is_not_looked_for_unless_asked),
		cmocka_unit_test(descriptors_that_cannot_serve_are_refused_with_a_sentence),
		cmocka_unit_test(guest_loop_and_host_run_on_threads_of_their_own),
	};

	/* As on the loop thread, where every signal is blocked. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
