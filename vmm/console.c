#include "vmm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/dev.h"
#include "vmm/hostfd.h"
#include "vmm/panic_scan.h"

#define OUT_LIMIT (CONSOLE_OUT_SIZE - CONSOLE_OUT_HEADROOM) /* the device is held off from here */
#define OUT_LOW	  (CONSOLE_OUT_SIZE / 2)		    /* and let go on from here */

/* What is taken in bulk ends here, or a device that goes byte by byte would never find room. */
#define OUT_BULK (OUT_LIMIT - 4096)

#define IN_CHUNK 1024 /* bytes read from the host at a time */

struct ring {
	u8 *buf;
	size_t size, head, len;
};

/* ---- the console -------------------------------------------------------------------- */

struct front {
	struct dev *dev; /* NULL: nobody is attached */
	void (*ready)(struct dev *dev, void *con);
};

struct console {
	struct lkvm_console cfg;
	bool watch_panic;
	struct loop *loop;
	const struct log *log;
	const struct console_ops *ops;
	void *ctx;

	/* The loop thread's. */
	struct front fronts[CONSOLE_MAX_DEVS];
	struct hostfd in, out; /* closed when that side ended */
	struct loop_fd in_lfd, out_lfd;
	struct loop_timer flush_timer, drain_timer;
	struct loop_work work;
	struct ratelimit limit;
	bool started;		    /* input is wanted */
	bool escape_held;	    /* the escape byte came, what follows decides */
	void (*drained)(void *ctx); /* not NULL: draining */
	void *drained_ctx;

	/* What follows is under @lock, which is a leaf: nothing else is called with it held. */
	pthread_mutex_t lock;
	struct ring in_ring, out_ring;
	u16 cols, rows;
	size_t in_claimed; /* room in the input ring set aside for a read from the host */
	bool in_full;	   /* the host is not read until there is room again */
	bool in_ended;	   /* the host has no more */
	bool out_alive;	   /* output has somewhere to go */
	bool out_high;	   /* the output ring went above OUT_LOW */
	bool flush_asked, dev_asked, panic_seen[N_PANIC_TEXTS]; /* for console_work() */
	struct panic_scan scan;
	struct console_stats stats;
	u8 *last_buf;			/* not NULL: that of the output ring from now on */
	u8 in_buf[CONSOLE_IN_SIZE + 1]; /* one more: a held escape byte may turn up late */
	u8 out_buf[CONSOLE_OUT_SIZE];
};

/* The caller knows that there is room. */
static void ring_write(struct ring *r, const u8 *data, size_t len)
{
	size_t at = r->head + r->len, n;

	if (at >= r->size)
		at -= r->size;
	n = min_u64(len, r->size - at);
	memcpy(r->buf + at, data, n);
	memcpy(r->buf, data + n, len - n);
	r->len += len;
}

/* The oldest bytes that lie side by side. */
static size_t ring_span(const struct ring *r, const u8 **span)
{
	*span = r->buf + r->head;
	return min_u64(r->len, r->size - r->head);
}

static void ring_drop(struct ring *r, size_t len)
{
	r->head += len;
	r->len -= len;
	if (r->head >= r->size)
		r->head -= r->size;
	/* An idle console keeps using the same few pages. */
	if (!r->len)
		r->head = 0;
}

static bool has_sink(const struct console *con)
{
	return con->cfg.out || con->cfg.out_fd >= 0;
}

/* Loop thread, lock not held. */
static void tell_devices(struct console *con)
{
	for (unsigned int i = 0; i < CONSOLE_MAX_DEVS; i++) {
		if (con->fronts[i].dev)
			dev_call(con->fronts[i].dev, con->fronts[i].ready, con);
	}
}

/* ---- output ------------------------------------------------------------------------- */

static void out_close(struct console *con)
{
	if (con->out.fd < 0)
		return;
	loop_fd_del(con->loop, &con->out_lfd);
	hostfd_close(&con->out);
}

/* Nobody takes output any more: the guest goes on without. */
static void out_give_up(struct console *con, const char *why)
{
	u64 lost;

	pthread_mutex_lock(&con->lock);
	lost = con->out_ring.len;
	ring_drop(&con->out_ring, lost);
	con->stats.bytes_lost += lost;
	con->out_alive = false;
	pthread_mutex_unlock(&con->lock);
	out_close(con);
	log_warn(con->log, "console output: %s; %llu bytes and all that follows are lost", why,
		 (unsigned long long)lost);
	tell_devices(con);
}

static ssize_t out_write(struct console *con, const u8 *span, size_t len)
{
	if (con->cfg.out) {
		con->cfg.out(con->cfg.ctx, span, len);
		return (ssize_t)len;
	}
	return hostfd_write(&con->out, span, len);
}

/* @len bytes were delivered. True when the device was waiting for just that. */
static bool out_delivered(struct console *con, size_t len)
{
	bool tell;

	pthread_mutex_lock(&con->lock);
	ring_drop(&con->out_ring, len);
	tell = con->out_high && con->out_ring.len <= OUT_LOW;
	if (tell)
		con->out_high = false;
	pthread_mutex_unlock(&con->lock);
	if (con->drained)
		loop_timer_set(con->loop, &con->drain_timer,
			       loop_now(con->loop) + CONSOLE_DRAIN_NS);
	return tell;
}

/* Wake up the loop thread for console_work(). */
static void ask_flush(struct console *con)
{
	pthread_mutex_lock(&con->lock);
	con->flush_asked = true;
	pthread_mutex_unlock(&con->lock);
	loop_post(con->loop, &con->work);
}

bool console_flush(struct console *con)
{
	/* One ring's worth at most: a guest that never pauses must not keep the loop here. */
	size_t budget = CONSOLE_OUT_SIZE;
	bool wait = false;
	size_t len;

	for (;;) {
		const u8 *span;
		ssize_t n;

		/* Without the lock the bytes stay where they are: only this thread takes any. */
		pthread_mutex_lock(&con->lock);
		len = ring_span(&con->out_ring, &span);
		pthread_mutex_unlock(&con->lock);
		if (!len || !budget)
			break;
		n = out_write(con, span, min_u64(len, budget));
		wait = n == -EAGAIN;
		if (wait)
			break;
		if (n < 0) {
			out_give_up(con, err_text((int)-n));
			return true;
		}
		budget -= (size_t)n;
		if (out_delivered(con, (size_t)n))
			tell_devices(con);
	}
	if (con->out.fd >= 0)
		loop_fd_set(con->loop, &con->out_lfd, wait ? POLLOUT : 0);
	if (len && !wait)
		ask_flush(con);
	return !len;
}

static void drain_end(struct console *con)
{
	void (*done)(void *ctx) = con->drained;

	con->drained = NULL;
	loop_timer_set(con->loop, &con->drain_timer, 0);
	/* A reader of the caller's pipe sees its end when the caller closes it, not when we go. */
	pthread_mutex_lock(&con->lock);
	con->out_alive = con->out_alive && con->cfg.out;
	pthread_mutex_unlock(&con->lock);
	out_close(con);
	done(con->drained_ctx);
}

static void flush_step(struct console *con)
{
	if (console_flush(con) && con->drained)
		drain_end(con);
}

static void out_ready(struct loop_fd *lfd, u32 revents)
{
	(void)revents; /* trouble is what the write will say */
	flush_step(container_of(lfd, struct console, out_lfd));
}

static void flush_due(struct loop_timer *timer)
{
	flush_step(container_of(timer, struct console, flush_timer));
}

static void drain_due(struct loop_timer *timer)
{
	struct console *con = container_of(timer, struct console, drain_timer);

	out_give_up(con, "nobody reads it");
	drain_end(con);
}

/* Text of our own among the guest's output; not worth waiting for room. */
static void out_say(struct console *con, const char *text)
{
	size_t len = strlen(text);

	pthread_mutex_lock(&con->lock);
	if (con->out_alive && con->out_ring.size - con->out_ring.len >= len)
		ring_write(&con->out_ring, (const u8 *)text, len);
	pthread_mutex_unlock(&con->lock);
	ask_flush(con);
}

/* ---- input -------------------------------------------------------------------------- */

enum escape_act {
	ESCAPE_PASS, /* the byte is input */
	ESCAPE_HOLD, /* wait for the next one */
	ESCAPE_QUIT,
	ESCAPE_HELP,
	ESCAPE_BOTH, /* the escape byte was input, and so is this one */
};

static enum escape_act escape_step(u8 escape, bool *held, u8 byte)
{
	if (!*held) {
		*held = escape && byte == escape;
		return *held ? ESCAPE_HOLD : ESCAPE_PASS;
	}
	*held = false;
	if (byte == escape)
		return ESCAPE_PASS;
	if (byte == 'x')
		return ESCAPE_QUIT;
	return byte == 'h' ? ESCAPE_HELP : ESCAPE_BOTH;
}

static void escape_help(struct console *con)
{
	u8 c = con->cfg.escape;
	char key[16], text[160];

	/* Terminals send Ctrl and a letter as the letter's low five bits. */
	if (c <= 26)
		snprintf(key, sizeof(key), "Ctrl-%c", 'a' + c - 1);
	else
		snprintf(key, sizeof(key), c > 32 && c < 127 ? "%c" : "byte %u", c);
	snprintf(text, sizeof(text),
		 "\r\n%s x: end the machine\r\n%s h: this help\r\n%s %s: %s itself\r\n", key, key,
		 key, key, key);
	out_say(con, text);
}

/* Loop thread: watch the host's side exactly while there is room for what it sends. */
static void in_watch(struct console *con)
{
	bool room;

	if (con->in.fd < 0)
		return;
	pthread_mutex_lock(&con->lock);
	room = con->in_ring.len < CONSOLE_IN_SIZE;
	con->in_full = !room;
	pthread_mutex_unlock(&con->lock);
	loop_fd_set(con->loop, &con->in_lfd, con->started && room ? POLLIN : 0);
}

/* Any thread. What was claimed for the host is out of reach of the embedder's own input. */
static size_t in_put(struct console *con, const u8 *data, size_t len, bool host)
{
	bool was_empty;

	pthread_mutex_lock(&con->lock);
	if (host)
		con->in_claimed = 0;
	else
		len = min_u64(len, CONSOLE_IN_SIZE - min_u64(con->in_ring.len + con->in_claimed,
							     CONSOLE_IN_SIZE));
	was_empty = !con->in_ring.len;
	ring_write(&con->in_ring, data, len);
	con->dev_asked |= len && was_empty;
	pthread_mutex_unlock(&con->lock);
	if (len && was_empty)
		loop_post(con->loop, &con->work);
	return len;
}

static size_t in_claim(struct console *con)
{
	size_t room;

	pthread_mutex_lock(&con->lock);
	room = CONSOLE_IN_SIZE - min_u64(con->in_ring.len, CONSOLE_IN_SIZE);
	con->in_claimed = min_u64(room, IN_CHUNK);
	room = con->in_claimed;
	pthread_mutex_unlock(&con->lock);
	return room;
}

/* @raw came from the host: sort out the escapes and take the rest. */
static void in_take(struct console *con, const u8 *raw, size_t len)
{
	u8 cooked[IN_CHUNK + 1];
	bool quit = false, help = false;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		enum escape_act act = escape_step(con->cfg.escape, &con->escape_held, raw[i]);

		quit |= act == ESCAPE_QUIT;
		help |= act == ESCAPE_HELP;
		if (act == ESCAPE_BOTH)
			cooked[n++] = con->cfg.escape;
		if (act == ESCAPE_BOTH || act == ESCAPE_PASS)
			cooked[n++] = raw[i];
	}
	in_put(con, cooked, n, true);
	if (help)
		escape_help(con);
	if (quit)
		con->ops->escape(con->ctx);
}

/* The end of input is not the end of the guest. */
static void in_close(struct console *con)
{
	if (con->in.fd < 0)
		return;
	loop_fd_del(con->loop, &con->in_lfd);
	hostfd_close(&con->in);
	in_put(con, &con->cfg.escape, con->escape_held, true);
	con->escape_held = false;
	pthread_mutex_lock(&con->lock);
	con->in_ended = con->dev_asked = true;
	pthread_mutex_unlock(&con->lock);
	loop_post(con->loop, &con->work);
}

static void in_ready(struct loop_fd *lfd, u32 revents)
{
	struct console *con = container_of(lfd, struct console, in_lfd);
	u8 raw[IN_CHUNK];
	size_t room;

	(void)revents; /* trouble is what the read will say */
	while (con->started && (room = in_claim(con))) {
		ssize_t n = hostfd_read(&con->in, raw, room);

		in_take(con, raw, n > 0 ? (size_t)n : 0);
		if (n == -EAGAIN)
			break;
		if (n <= 0) {
			log_debug(con->log, "console input ended%s%s", n ? ": " : "",
				  n ? err_text((int)-n) : "");
			in_close(con);
			return;
		}
	}
	in_watch(con);
}

size_t console_push_input(struct console *con, const void *data, size_t len)
{
	return in_put(con, data, len, false);
}

/* ---- the device's side -------------------------------------------------------------- */

void console_attach(struct console *con, struct dev *dev, void (*ready)(struct dev *dev, void *con))
{
	for (unsigned int i = 0; i < CONSOLE_MAX_DEVS; i++) {
		if (con->fronts[i].dev)
			continue;
		con->fronts[i] = (struct front){ .dev = dev, .ready = ready };
		return;
	}
}

void console_detach(struct console *con, struct dev *dev)
{
	for (unsigned int i = 0; i < CONSOLE_MAX_DEVS; i++) {
		if (con->fronts[i].dev == dev)
			con->fronts[i].dev = NULL;
	}
}

size_t console_room(struct console *con)
{
	size_t len;

	pthread_mutex_lock(&con->lock);
	len = con->out_ring.len;
	pthread_mutex_unlock(&con->lock);
	return len < OUT_LIMIT ? OUT_LIMIT - len : 0;
}

/* With the lock held: true when what is in @data needs console_work() now. */
static bool out_scan(struct console *con, const u8 *data, size_t len)
{
	u32 texts = con->watch_panic ? panic_scan(&con->scan, data, len) : 0;

	for (unsigned int i = 0; i < N_PANIC_TEXTS; i++)
		con->panic_seen[i] |= texts & BIT(i);
	return texts;
}

/* With the lock held: @len bytes that have room, for the host. True: the loop has work now. */
static bool out_keep(struct console *con, const u8 *data, size_t len)
{
	struct ring *r = &con->out_ring;
	bool was_full = r->len >= OUT_BULK, filled;

	ring_write(r, data, len);
	con->out_high |= r->len > OUT_LOW;
	filled = !was_full && r->len >= OUT_BULK;
	con->flush_asked |= filled;
	return filled;
}

/*
 * Take what fits of @len bytes while less than @limit is buffered, at most what the ring holds;
 * with no host, all of it.
 */
static size_t out_take(struct console *con, const u8 *data, size_t len, size_t limit, bool *full)
{
	struct console_stats *st = &con->stats;
	bool first = false, post = false;
	struct ring *r = &con->out_ring;
	u64 now = clock_coarse_ns();

	pthread_mutex_lock(&con->lock);
	limit = min_u64(limit, r->size);
	if (con->out_alive)
		len = min_u64(len, limit - min_u64(r->len, limit));
	if (len) {
		st->bytes_out += len;
		if (!st->first_byte_ns)
			st->first_byte_ns = now = clock_ns();
		st->last_byte_ns = max_u64(st->last_byte_ns, now);
		post = out_scan(con, data, len);
		first = con->out_alive && !r->len;
		if (con->out_alive)
			post |= out_keep(con, data, len);
		else if (has_sink(con))
			st->bytes_lost += len;
	}
	*full = r->len >= OUT_LIMIT;
	pthread_mutex_unlock(&con->lock);
	/* One wake-up for the first byte; all that follow until the flush ride with it. */
	if (first)
		loop_timer_set(con->loop, &con->flush_timer,
			       loop_now(con->loop) + CONSOLE_FLUSH_NS);
	if (post)
		loop_post(con->loop, &con->work);
	return len;
}

void console_lose(struct console *con, u64 len)
{
	bool alive;

	if (!len)
		return;
	pthread_mutex_lock(&con->lock);
	con->stats.bytes_out += len;
	con->stats.bytes_lost += has_sink(con) ? len : 0;
	alive = con->out_alive;
	pthread_mutex_unlock(&con->lock);
	/* Of a host side that failed, all was said then. */
	if (alive && ratelimit_ok(&con->limit))
		log_warn(con->log, "console output: %llu bytes found no room and are lost",
			 (unsigned long long)len);
}

bool console_put(struct console *con, u8 byte)
{
	bool full;

	if (!out_take(con, &byte, 1, SIZE_MAX, &full))
		console_lose(con, 1);
	return full;
}

size_t console_write(struct console *con, const void *data, size_t len)
{
	bool full;

	return out_take(con, data, len, OUT_BULK, &full);
}

/* No thread is in the middle of writing out what moves, since that would be this one. */
static void out_grow(struct console *con)
{
	struct ring *r = &con->out_ring;
	size_t n = 0, len;
	const u8 *span;

	con->last_buf = malloc(CONSOLE_LAST_SIZE);
	if (!con->last_buf)
		return;
	pthread_mutex_lock(&con->lock);
	while ((len = ring_span(r, &span))) {
		memcpy(con->last_buf + n, span, len);
		ring_drop(r, len);
		n += len;
	}
	*r = (struct ring){ .buf = con->last_buf, .size = CONSOLE_LAST_SIZE, .len = n };
	pthread_mutex_unlock(&con->lock);
}

size_t console_write_last(struct console *con, const void *data, size_t len)
{
	bool full;

	if (len > console_room(con) && !con->last_buf)
		out_grow(con);
	return out_take(con, data, len, SIZE_MAX, &full);
}

size_t console_read(struct console *con, void *data, size_t len)
{
	struct ring *r = &con->in_ring;
	size_t done = 0, n;
	bool resume;
	const u8 *span;

	pthread_mutex_lock(&con->lock);
	while (done < len && (n = ring_span(r, &span))) {
		n = min_u64(n, len - done);
		memcpy((u8 *)data + done, span, n);
		ring_drop(r, n);
		done += n;
	}
	resume = con->in_full && r->len <= CONSOLE_IN_SIZE / 2;
	if (resume)
		con->in_full = false;
	pthread_mutex_unlock(&con->lock);
	if (resume)
		loop_post(con->loop, &con->work);
	return done;
}

bool console_get(struct console *con, u8 *byte)
{
	return console_read(con, byte, 1);
}

bool console_is_over(struct console *con)
{
	bool over;

	pthread_mutex_lock(&con->lock);
	over = con->in_ended && !con->in_ring.len && !has_sink(con);
	pthread_mutex_unlock(&con->lock);
	return over;
}

void console_size(struct console *con, u16 *cols, u16 *rows)
{
	pthread_mutex_lock(&con->lock);
	*cols = con->cols;
	*rows = con->rows;
	pthread_mutex_unlock(&con->lock);
}

/* ---- life --------------------------------------------------------------------------- */

/* What other threads ask of the loop thread. */
static void console_work(struct loop_work *work)
{
	struct console *con = container_of(work, struct console, work);
	bool flush, tell, panic[N_PANIC_TEXTS];

	pthread_mutex_lock(&con->lock);
	flush = con->flush_asked;
	tell = con->dev_asked;
	memcpy(panic, con->panic_seen, sizeof(panic));
	con->flush_asked = con->dev_asked = false;
	memset(con->panic_seen, 0, sizeof(con->panic_seen));
	pthread_mutex_unlock(&con->lock);

	in_watch(con);
	if (tell)
		tell_devices(con);
	if (panic[PANIC_LINE])
		con->ops->panic_line(con->ctx);
	if (panic[PANIC_END])
		con->ops->panic_end(con->ctx);
	if (flush)
		flush_step(con);
}

static int open_side(struct console *con, struct hostfd *hfd, struct loop_fd *lfd, int fd, int mode,
		     struct lkvm_error *err)
{
	const char *what = mode == O_RDONLY ? "console input" : "console output";
	int ret = hostfd_open(hfd, fd, mode, what, err);

	if (ret)
		return ret;
	lfd->fd = hfd->fd;
	ret = loop_fd_add(con->loop, lfd, err);
	if (ret)
		hostfd_close(hfd);
	return ret;
}

int console_create(struct console **out, const struct lkvm_console *cfg, bool watch_panic,
		   struct loop *loop, const struct log *log, const struct console_ops *ops,
		   void *ctx, struct lkvm_error *err)
{
	struct console *con = calloc(1, sizeof(*con));
	int ret = 0;

	*out = NULL;
	if (!con)
		return err_host(err, ENOMEM, "console");
	con->cfg = *cfg;
	con->watch_panic = watch_panic;
	con->loop = loop;
	con->log = log;
	con->ops = ops;
	con->ctx = ctx;
	con->in.fd = con->out.fd = -1;
	con->in_lfd.fn = in_ready;
	con->out_lfd.fn = out_ready;
	con->flush_timer.fn = flush_due;
	con->drain_timer.fn = drain_due;
	con->work.fn = console_work;
	con->in_ring = (struct ring){ .buf = con->in_buf, .size = sizeof(con->in_buf) };
	con->out_ring = (struct ring){ .buf = con->out_buf, .size = sizeof(con->out_buf) };
	con->out_alive = has_sink(con);
	pthread_mutex_init(&con->lock, NULL);

	if (cfg->in_fd >= 0)
		ret = open_side(con, &con->in, &con->in_lfd, cfg->in_fd, O_RDONLY, err);
	if (!ret && cfg->out_fd >= 0 && !cfg->out)
		ret = open_side(con, &con->out, &con->out_lfd, cfg->out_fd, O_WRONLY, err);
	if (ret) {
		console_destroy(con);
		return ret;
	}
	*out = con;
	return 0;
}

void console_destroy(struct console *con)
{
	if (!con)
		return;
	in_close(con);
	out_close(con);
	loop_timer_set(con->loop, &con->flush_timer, 0);
	loop_timer_set(con->loop, &con->drain_timer, 0);
	loop_work_cancel(con->loop, &con->work);
	pthread_mutex_destroy(&con->lock);
	free(con->last_buf);
	free(con);
}

void console_start(struct console *con)
{
	con->started = true;
	in_watch(con);
}

void console_drain(struct console *con, void (*done)(void *ctx), void *ctx)
{
	con->drained = done;
	con->drained_ctx = ctx;
	con->started = false;
	in_watch(con);
	loop_timer_set(con->loop, &con->drain_timer, loop_now(con->loop) + CONSOLE_DRAIN_NS);
	/* Not from within this call, even when there is nothing to do. */
	ask_flush(con);
}

void console_get_stats(struct console *con, struct console_stats *stats)
{
	pthread_mutex_lock(&con->lock);
	*stats = con->stats;
	/* The help text may have been among what was given up. */
	stats->bytes_lost = min_u64(stats->bytes_lost, stats->bytes_out);
	pthread_mutex_unlock(&con->lock);
}

void console_resize(struct console *con, u16 cols, u16 rows)
{
	pthread_mutex_lock(&con->lock);
	con->dev_asked |= cols != con->cols || rows != con->rows;
	con->cols = cols;
	con->rows = rows;
	pthread_mutex_unlock(&con->lock);
	loop_post(con->loop, &con->work);
}

bool console_saw_panic(struct console *con, char *reason, size_t size)
{
	bool seen;

	pthread_mutex_lock(&con->lock);
	seen = con->scan.seen;
	snprintf(reason, size, "%s", con->scan.reason);
	pthread_mutex_unlock(&con->lock);
	return seen;
}
