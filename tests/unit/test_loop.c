/*
 * test_loop.c - the event loop on each of its ways of waiting: io_uring, epoll and the tests' own.
 *
 * Descriptors, work from other threads and file requests, on real files, pipes and eventfds.
 * Does not prove that a kernel with other io_uring features than this one's is served as
 * well, nor anything about speed. Where this host forbids io_uring its tests fail: nothing
 * else would tell that they did not run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/faults.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/loop_impl.h"

#define GIVE_UP_NS (30 * NSEC_PER_SEC)

struct looptest {
	enum loop_kind kind;
	struct loop *loop;
	struct loop_timer watchdog;
	_Atomic bool timed_out;
	unsigned int left; /* owners to be called before the loop stops */
	struct loop_work work;
	struct lkvm_error err;
};

static struct looptest *current; /* one test runs at a time */

static void gave_up(struct loop_timer *timer)
{
	struct looptest *t = container_of(timer, struct looptest, watchdog);

	t->timed_out = true;
	loop_stop(t->loop);
}

static int setup(void **state)
{
	struct looptest *t = calloc(1, sizeof(*t));

	t->kind = *(const enum loop_kind *)*state;
	t->watchdog.fn = gave_up;
	assert_int_equal(loop_create(&t->loop, t->kind, &t->err), 0);
	*state = current = t;
	return 0;
}

static int teardown(void **state)
{
	struct looptest *t = *state;

	loop_destroy(t->loop);
	free(t);
	current = NULL;
	return 0;
}

/* One of those that were to be called was. */
static void count_down(struct looptest *t)
{
	if (t->left && !--t->left)
		loop_stop(t->loop);
}

static int run_raw(struct looptest *t)
{
	int ret = 0;

	if (t->kind == LOOP_MANUAL) {
		loop_manual_run(t->loop);
	} else {
		u64 give_up = clock_ns() + GIVE_UP_NS;

		loop_timer_set(t->loop, &t->watchdog, give_up);
		ret = loop_run(t->loop, &t->err);
		loop_timer_set(t->loop, &t->watchdog, 0);
		/* A loop that was asleep until then may find what to do before its timers. */
		if (clock_ns() >= give_up)
			t->timed_out = true;
	}
	return ret;
}

/* Run until count_down() was called as often as t->left says. */
static void run(struct looptest *t)
{
	if (run_raw(t))
		fail_msg("%s", t->err.msg);
	assert_false(t->timed_out);
	assert_int_equal(t->left, 0);
}

/* Run @fn first thing on the loop's thread. */
static void first(struct looptest *t, void (*fn)(struct loop_work *work))
{
	t->work.fn = fn;
	loop_post(t->loop, &t->work);
}

/* The ring is there: its next system call fails. */
static void fail_next(struct loop_work *work)
{
	(void)work;
	faults_arm(FAULTS_LOOP, 1);
}

/* ---- descriptors ---------------------------------------------------------------------- */

struct source {
	struct loop_fd lfd;
	unsigned int n_calls;
	u32 revents;
	void (*also)(struct source *src);
	struct source *other;
};

static void source_fired(struct loop_fd *lfd, u32 revents)
{
	struct source *src = container_of(lfd, struct source, lfd);

	src->n_calls++;
	src->revents = revents;
	if (src->also)
		src->also(src);
	count_down(current);
}

static void source_add(struct looptest *t, struct source *src, int fd, bool edge, u32 events)
{
	src->lfd.fd = fd;
	src->lfd.fn = source_fired;
	src->lfd.edge = edge;
	if (loop_fd_add(t->loop, &src->lfd, &t->err))
		fail_msg("%s", t->err.msg);
	loop_fd_set(t->loop, &src->lfd, events);
}

static int new_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void signal_fd(int fd)
{
	u64 one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

/* @ns and some rounds: for what must not happen, or not too often. */
#define N_ROUNDS 4

static unsigned int rounds_left;

static void round_over(struct loop_timer *timer)
{
	if (rounds_left--)
		loop_timer_set(current->loop, timer, loop_now(current->loop) + NSEC_PER_MSEC);
	else
		loop_stop(current->loop);
}

static void run_for(struct looptest *t, u64 ns)
{
	struct loop_timer timer = { .fn = round_over };

	rounds_left = N_ROUNDS;
	loop_timer_set(t->loop, &timer, loop_now(t->loop) + ns);
	if (t->kind == LOOP_MANUAL)
		loop_manual_advance(t->loop, ns + NSEC_PER_SEC);
	else
		assert_int_equal(run_raw(t), 0);
	assert_false(t->timed_out);
}

static void drop_byte(struct source *src)
{
	char byte;

	assert_int_equal(read(src->lfd.fd, &byte, 1), 1);
}

static void a_level_source_is_called_as_long_as_it_is_ready(void **state)
{
	struct looptest *t = *state;
	struct source src = { .also = drop_byte };
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "abc", 3), 3);
	source_add(t, &src, fds[0], false, POLLIN);
	t->left = 3;
	run(t);
	assert_int_equal(src.n_calls, 3);
	assert_true(src.revents & POLLIN);
	loop_fd_del(t->loop, &src.lfd);
	close(fds[0]);
	close(fds[1]);
}

static void an_edge_source_is_called_once_for_what_nobody_takes_away(void **state)
{
	struct looptest *t = *state;
	struct source before = { 0 }, silent = { 0 };

	source_add(t, &before, new_eventfd(), true, POLLIN);
	source_add(t, &silent, new_eventfd(), true, POLLIN);
	signal_fd(before.lfd.fd);
	signal_fd(before.lfd.fd);
	run_for(t, 20 * NSEC_PER_MSEC);
	assert_int_equal(before.n_calls, 1);
	assert_int_equal(silent.n_calls, 0);
	loop_fd_del(t->loop, &before.lfd);
	loop_fd_del(t->loop, &silent.lfd);
	close(before.lfd.fd);
	close(silent.lfd.fd);
}

static void signal_again(struct source *src)
{
	if (src->n_calls < 5)
		signal_fd(src->lfd.fd);
}

static void an_edge_source_is_called_for_each_signal_of_its_own_callback(void **state)
{
	struct looptest *t = *state;
	struct source src = { .also = signal_again };

	source_add(t, &src, new_eventfd(), true, POLLIN);
	signal_fd(src.lfd.fd);
	t->left = 5;
	run(t);
	assert_int_equal(src.n_calls, 5);
	loop_fd_del(t->loop, &src.lfd);
	close(src.lfd.fd);
}

#define N_SIGNALS 100000

static _Atomic unsigned long n_sent, n_seen;

static void *signal_often(void *arg)
{
	struct source *src = arg;

	for (unsigned long i = 1; i <= N_SIGNALS; i++) {
		atomic_store(&n_sent, i);
		signal_fd(src->lfd.fd);
		/* Now and then wait to be heard, so that both sides are met asleep and busy. */
		while (i % 64 == 0 && current->kind != LOOP_MANUAL && !current->timed_out &&
		       atomic_load(&n_seen) < i)
			sched_yield();
	}
	return NULL;
}

static void note_signals(struct source *src)
{
	(void)src;
	atomic_store(&n_seen, atomic_load(&n_sent));
	if (atomic_load(&n_seen) == N_SIGNALS)
		loop_stop(current->loop);
}

static void no_signal_of_another_thread_is_lost(void **state)
{
	struct looptest *t = *state;
	struct source src = { .also = note_signals };
	pthread_t thread;

	atomic_store(&n_sent, 0);
	atomic_store(&n_seen, 0);
	source_add(t, &src, new_eventfd(), true, POLLIN);
	assert_int_equal(pthread_create(&thread, NULL, signal_often, &src), 0);
	if (t->kind == LOOP_MANUAL) {
		while (atomic_load(&n_sent) < N_SIGNALS)
			loop_manual_run(t->loop);
		pthread_join(thread, NULL);
		run(t);
	} else {
		run(t);
		pthread_join(thread, NULL);
	}
	assert_int_equal(atomic_load(&n_seen), N_SIGNALS);
	assert_true(src.n_calls <= N_SIGNALS);
	loop_fd_del(t->loop, &src.lfd);
	close(src.lfd.fd);
}

static void take_signal(struct source *src)
{
	u64 count;

	assert_int_equal(read(src->lfd.fd, &count, sizeof(count)), sizeof(count));
}

static void remove_other(struct source *src)
{
	if (!src->lfd.edge)
		take_signal(src);
	loop_fd_del(current->loop, &src->other->lfd);
}

static void one_of_two_is_removed(struct looptest *t, bool edge)
{
	struct source a = { .also = remove_other }, b = a;

	a.other = &b;
	b.other = &a;
	source_add(t, &a, new_eventfd(), edge, POLLIN);
	source_add(t, &b, new_eventfd(), edge, POLLIN);
	signal_fd(a.lfd.fd);
	signal_fd(b.lfd.fd);
	run_for(t, 5 * NSEC_PER_MSEC);
	assert_int_equal(a.n_calls + b.n_calls, 1);
	loop_fd_del(t->loop, &a.lfd);
	loop_fd_del(t->loop, &b.lfd);
	close(a.lfd.fd);
	close(b.lfd.fd);
}

static void a_source_removed_when_it_was_about_to_be_called_is_not(void **state)
{
	one_of_two_is_removed(*state, false);
}

static void an_edge_source_removed_when_it_was_about_to_be_called_is_not(void **state)
{
	one_of_two_is_removed(*state, true);
}

static struct source heir;

static void replace_other(struct source *src)
{
	loop_fd_del(current->loop, &src->other->lfd);
	source_add(current, &heir, new_eventfd(), true, POLLIN);
	assert_int_equal(heir.lfd.slot, src->other->lfd.slot);
}

static void who_takes_the_place_of_a_removed_source_does_not_inherit_its_events(void **state)
{
	struct looptest *t = *state;
	struct source a = { .also = replace_other }, b = a;

	a.other = &b;
	b.other = &a;
	heir = (struct source){ 0 };
	source_add(t, &a, new_eventfd(), true, POLLIN);
	source_add(t, &b, new_eventfd(), true, POLLIN);
	signal_fd(a.lfd.fd);
	signal_fd(b.lfd.fd);
	run_for(t, 5 * NSEC_PER_MSEC);
	assert_int_equal(a.n_calls + b.n_calls, 1);
	assert_int_equal(heir.n_calls, 0);
	loop_fd_del(t->loop, &heir.lfd);
	loop_fd_del(t->loop, &a.lfd);
	loop_fd_del(t->loop, &b.lfd);
	close(heir.lfd.fd);
	close(a.lfd.fd);
	close(b.lfd.fd);
}

static void stop_watching(struct source *src)
{
	if (src->n_calls == 3)
		loop_fd_set(current->loop, &src->lfd, 0);
}

static void a_regular_file_is_always_ready_while_it_is_watched(void **state)
{
	struct looptest *t = *state;
	struct source src = { .also = stop_watching };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	source_add(t, &src, fd, false, POLLIN);
	run_for(t, 20 * NSEC_PER_MSEC);
	assert_int_equal(src.n_calls, 3);
	loop_fd_del(t->loop, &src.lfd);
	close(fd);
}

static void once(struct source *src)
{
	loop_fd_set(current->loop, &src->lfd, 0);
}

/* As the two sides of a console on a socket do. */
static void two_sources_may_watch_one_descriptor(void **state)
{
	struct looptest *t = *state;
	struct source in = { .also = drop_byte }, out = { .also = once };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	source_add(t, &in, fds[0], false, POLLIN);
	source_add(t, &out, fds[0], false, POLLOUT);
	assert_int_equal(write(fds[1], "x", 1), 1);
	t->left = 2;
	run(t);
	assert_int_equal(in.n_calls, 1);
	assert_int_equal(out.n_calls, 1);
	assert_int_equal(in.revents, POLLIN);
	assert_int_equal(out.revents, POLLOUT);
	loop_fd_del(t->loop, &in.lfd);
	loop_fd_del(t->loop, &out.lfd);
	close(fds[0]);
	close(fds[1]);
}

/* More than the ring can tell of at a time (and epoll needs two descriptors for each). */
static void hundreds_fire_at_once(struct looptest *t)
{
	unsigned int n = t->kind == LOOP_URING ? 700 : 300;
	struct source *srcs = calloc(n, sizeof(*srcs));

	for (unsigned int i = 0; i < n; i++) {
		source_add(t, &srcs[i], new_eventfd(), true, POLLIN);
		signal_fd(srcs[i].lfd.fd);
	}
	t->left = n;
	run(t);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_not_equal(srcs[i].n_calls, 0);
		loop_fd_del(t->loop, &srcs[i].lfd);
		close(srcs[i].lfd.fd);
	}
	free(srcs);
}

static void hundreds_of_sources_that_fire_at_once_are_all_called(void **state)
{
	hundreds_fire_at_once(*state);
}

static void sources_wait_for_room_in_the_ring_when_it_cannot_be_emptied(void **state)
{
	first(*state, fail_next);
	hundreds_fire_at_once(*state);
	faults_disarm();
	assert_string_equal(faults_hit(), "io_uring_submit");
}

static struct source silent[300];
static struct loop_waiter spy;
static unsigned int n_armed; /* when the loop first went to sleep */

static int spy_wait(struct loop *loop, u64 timeout)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(silent); i++)
		n += silent[i].lfd.armed == POLLIN;
	if (timeout && !n_armed)
		n_armed = n;
	return loop_uring.wait(loop, timeout);
}

static void use_spy(struct loop_work *work)
{
	(void)work;
	spy = loop_uring;
	spy.wait = spy_wait;
	current->loop->waiter = &spy;
	fail_next(NULL);
}

static void a_loop_does_not_sleep_before_all_sources_found_room_in_the_ring(void **state)
{
	struct looptest *t = *state;

	memset(silent, 0, sizeof(silent));
	for (unsigned int i = 0; i < ARRAY_SIZE(silent); i++)
		source_add(t, &silent[i], new_eventfd(), true, POLLIN);
	n_armed = 0;
	first(t, use_spy);
	run_for(t, 20 * NSEC_PER_MSEC);
	faults_disarm();
	assert_string_equal(faults_hit(), "io_uring_submit");
	assert_int_equal(n_armed, ARRAY_SIZE(silent));
	for (unsigned int i = 0; i < ARRAY_SIZE(silent); i++) {
		loop_fd_del(t->loop, &silent[i].lfd);
		close(silent[i].lfd.fd);
	}
}

static void one_source_too_many_is_refused_with_a_sentence(void **state)
{
	struct looptest *t = *state;
	struct loop_fd *lfds = calloc(LOOP_MAX_FDS, sizeof(*lfds));
	unsigned int n = 0;

	while (n < LOOP_MAX_FDS && !loop_fd_add(t->loop, &lfds[n], &t->err))
		n++;
	assert_int_equal(n, LOOP_MAX_FDS - 1); /* one is the loop's own */
	assert_string_equal(t->err.msg,
			    "event loop: more than 1024 descriptors: No space left on device");
	loop_fd_del(t->loop, &lfds[500]);
	assert_int_equal(loop_fd_add(t->loop, &lfds[n], NULL), 0);
	for (unsigned int i = 0; i <= n; i++)
		loop_fd_del(t->loop, &lfds[i]);
	assert_int_equal(t->loop->n_slots, 1);
	free(lfds);
}

/* ---- work and timers of other threads --------------------------------------------------- */

#define N_POSTS 20000

static struct loop_work posted;
static _Atomic unsigned long n_posted, n_worked;

static void worked(struct loop_work *work)
{
	(void)work;
	atomic_store(&n_worked, atomic_load(&n_posted));
	if (atomic_load(&n_worked) == N_POSTS)
		loop_stop(current->loop);
}

static void *post_often(void *arg)
{
	(void)arg;
	for (unsigned long i = 1; i <= N_POSTS; i++) {
		atomic_store(&n_posted, i);
		loop_post(current->loop, &posted);
		while (i % 16 == 0 && !current->timed_out && atomic_load(&n_worked) < i)
			sched_yield();
	}
	return NULL;
}

static void work_posted_by_another_thread_is_never_left_lying(void **state)
{
	struct looptest *t = *state;
	pthread_t thread;

	posted = (struct loop_work){ .fn = worked };
	atomic_store(&n_posted, 0);
	atomic_store(&n_worked, 0);
	assert_int_equal(pthread_create(&thread, NULL, post_often, NULL), 0);
	run(t);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&n_worked), N_POSTS);
}

/* ---- file requests ---------------------------------------------------------------------- */

#define MAX_PIECES (IOV_MAX + 10)

struct request {
	struct loop_io io;
	struct iovec iov[4];
	bool starting;
	unsigned int n_calls;
	void (*then)(struct request *req);
};

static void request_ended(struct loop_io *io)
{
	struct request *req = container_of(io, struct request, io);

	assert_false(req->starting);
	req->n_calls++;
	if (req->then)
		req->then(req);
	count_down(current);
}

static void start(struct request *req)
{
	req->io.fn = request_ended;
	req->starting = true;
	loop_io_start(current->loop, &req->io);
	req->starting = false;
}

static void set_vec(struct request *req, void *buf, size_t len)
{
	req->iov[0] = (struct iovec){ .iov_base = buf, .iov_len = len };
	req->io.vec = (struct gmem_vec){ .iov = req->iov, .n = 1, .len = len };
}

static int temp_file(size_t size)
{
	char path[] = "/tmp/lkvm-test-loop.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static char pieces[3][8] = { "abc", "defgh", "ij" };

static void pieces_written_come_back_in_one(void **state)
{
	struct looptest *t = *state;
	int fd = temp_file(0);
	struct request write_req = { .io = { .op = LOOP_OP_WRITE, .fd = fd, .off = 5 } };
	char back[16] = "";

	for (unsigned int i = 0; i < 3; i++) {
		write_req.iov[i] = (struct iovec){ pieces[i], strlen(pieces[i]) };
		write_req.io.vec.len += strlen(pieces[i]);
	}
	write_req.io.vec.iov = write_req.iov;
	write_req.io.vec.n = 3;
	start(&write_req);
	assert_int_equal(write_req.n_calls, 0);
	t->left = 1;
	run(t);
	assert_int_equal(write_req.n_calls, 1);
	assert_int_equal(write_req.io.res, 10);
	assert_int_equal(pread(fd, back, sizeof(back), 5), 10);
	assert_string_equal(back, "abcdefghij");
	close(fd);
}

static struct request chain[4];
static char chain_buf[2][4096];

static void next_of_chain(struct request *req)
{
	if (req + 1 < chain + ARRAY_SIZE(chain))
		start(req + 1);
}

static void requests_may_be_started_when_others_end(void **state)
{
	struct looptest *t = *state;
	int fd = temp_file(8192);

	memset(chain_buf[0], 0x5a, sizeof(chain_buf[0]));
	memset(chain_buf[1], 0xff, sizeof(chain_buf[1]));
	memset(chain, 0, sizeof(chain));
	chain[0].io = (struct loop_io){ .op = LOOP_OP_WRITE, .fd = fd };
	set_vec(&chain[0], chain_buf[0], 4096);
	chain[1].io = (struct loop_io){ .op = LOOP_OP_FDATASYNC, .fd = fd };
	chain[2].io = (struct loop_io){ .op = LOOP_OP_FALLOCATE,
					.fd = fd,
					.off = 1024,
					.len = 512,
					.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };
	chain[3].io = (struct loop_io){ .op = LOOP_OP_READ, .fd = fd };
	set_vec(&chain[3], chain_buf[1], 4096);
	for (unsigned int i = 0; i < ARRAY_SIZE(chain); i++)
		chain[i].then = next_of_chain;
	start(&chain[0]);
	t->left = ARRAY_SIZE(chain);
	run(t);
	assert_int_equal(chain[0].io.res, 4096);
	assert_int_equal(chain[1].io.res, 0);
	assert_int_equal(chain[2].io.res, 0);
	assert_int_equal(chain[3].io.res, 4096);
	memset(chain_buf[0] + 1024, 0, 512);
	assert_memory_equal(chain_buf[0], chain_buf[1], 4096);
	close(fd);
}

static void what_the_host_refuses_is_the_result(void **state)
{
	struct looptest *t = *state;
	int fd = temp_file(100), rd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char buf[64];
	struct request reqs[] = {
		{ .io = { .op = LOOP_OP_READ, .fd = fd, .off = 80 } },
		{ .io = { .op = LOOP_OP_READ, .fd = fd, .off = 100 } },
		{ .io = { .op = LOOP_OP_READ, .fd = -1 } },
		{ .io = { .op = LOOP_OP_WRITE, .fd = rd } },
		{ .io = { .op = LOOP_OP_FDATASYNC, .fd = -1 } },
		{ .io = { .op = LOOP_OP_FALLOCATE, .fd = rd, .len = 1 } },
		/* -1 must not mean the position of the descriptor. */
		{ .io = { .op = LOOP_OP_READ, .fd = fd, .off = UINT64_MAX } },
		{ .io = { .op = LOOP_OP_READ, .fd = fd, .off = (u64)INT64_MAX + 1 } },
		{ .io = { .op = LOOP_OP_FALLOCATE, .fd = fd, .off = 0, .len = UINT64_MAX } },
	};
	static const s64 want[] = {
		20, 0, -EBADF, -EBADF, -EBADF, -EBADF, -EINVAL, -EINVAL, -EINVAL
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(reqs); i++) {
		set_vec(&reqs[i], buf, sizeof(buf));
		start(&reqs[i]);
	}
	t->left = ARRAY_SIZE(reqs);
	run(t);
	for (unsigned int i = 0; i < ARRAY_SIZE(reqs); i++)
		assert_int_equal(reqs[i].io.res, want[i]);
	close(fd);
	close(rd);
}

static void more_pieces_than_the_host_takes_are_moved_in_part(void **state)
{
	struct looptest *t = *state;
	static struct iovec iov[MAX_PIECES];
	static char bytes[MAX_PIECES];
	int fd = temp_file(MAX_PIECES);
	struct request req = { .io = { .op = LOOP_OP_READ, .fd = fd } };

	for (unsigned int i = 0; i < MAX_PIECES; i++)
		iov[i] = (struct iovec){ &bytes[i], 1 };
	req.io.vec = (struct gmem_vec){ .iov = iov, .n = MAX_PIECES, .len = MAX_PIECES };
	start(&req);
	t->left = 1;
	run(t);
	assert_int_equal(req.io.res, IOV_MAX);
	close(fd);
}

static void a_long_transfer_is_moved_in_part(void **state)
{
	static char bytes[3 * MIB];
	struct looptest *t = *state;
	int fd = temp_file(sizeof(bytes));
	struct request reqs[2] = {
		{ .io = { .op = LOOP_OP_READ, .fd = fd } },
		{ .io = { .op = LOOP_OP_WRITE, .fd = fd } },
	};

	set_vec(&reqs[0], bytes, sizeof(bytes));
	/* of several pieces those that fit */
	set_vec(&reqs[1], bytes, sizeof(bytes));
	reqs[1].iov[0].iov_len = 1000;
	reqs[1].iov[1] = (struct iovec){ bytes, 2000 };
	reqs[1].iov[2] = (struct iovec){ bytes, sizeof(bytes) - 3000 };
	reqs[1].io.vec.n = 3;
	start(&reqs[0]);
	start(&reqs[1]);
	t->left = 2;
	run(t);
	assert_int_equal(reqs[0].io.res, MIB);
	assert_int_equal(reqs[1].io.res, 3000);
	assert_ptr_equal(reqs[0].io.vec.iov, reqs[0].iov);
	close(fd);
}

#define N_LONG 40

static struct request long_reqs[N_LONG];
static struct loop_work between;
static unsigned int n_long_ended, n_ended_before;

static void on_between(struct loop_work *work)
{
	(void)work;
	n_ended_before = n_long_ended;
}

static void long_ended(struct request *req)
{
	(void)req;
	if (!n_long_ended++)
		loop_post(current->loop, &between);
}

static void long_transfers_let_others_have_their_turn(void **state)
{
	static char bytes[MIB];
	struct looptest *t = *state;
	int fd = temp_file(sizeof(bytes));

	memset(long_reqs, 0, sizeof(long_reqs));
	between = (struct loop_work){ .fn = on_between };
	n_long_ended = n_ended_before = 0;
	for (unsigned int i = 0; i < N_LONG; i++) {
		long_reqs[i].io = (struct loop_io){ .op = LOOP_OP_READ, .fd = fd };
		long_reqs[i].then = long_ended;
		set_vec(&long_reqs[i], bytes, sizeof(bytes));
		start(&long_reqs[i]);
	}
	t->left = N_LONG;
	run(t);
	assert_int_equal(n_long_ended, N_LONG);
	assert_in_range(n_ended_before, 1, 32);
	close(fd);
}

static void a_refused_request_ends_with_what_it_was_refused_with(void **state)
{
	struct looptest *t = *state;
	struct request req = { .io = { .op = LOOP_OP_WRITE, .fd = -1, .fn = request_ended } };

	loop_io_refuse(t->loop, &req.io, -ECANCELED);
	assert_int_equal(req.n_calls, 0);
	t->left = 1;
	run(t);
	assert_int_equal(req.n_calls, 1);
	assert_int_equal(req.io.res, -ECANCELED);
}

#define N_MANY 3000 /* many times what the ring takes at once, more than it can tell of */

static struct request many[N_MANY];
static u32 many_buf[N_MANY][128];
static int many_fd;

static void many_check(void)
{
	for (u32 i = 0; i < N_MANY; i++) {
		assert_int_equal(many[i].n_calls, 1);
		assert_int_equal(many[i].io.res, 512);
		assert_int_equal(many_buf[i][0], i);
		assert_int_equal(many_buf[i][127], ~i);
	}
}

static void many_init(void)
{
	many_fd = temp_file(0);
	for (u32 i = 0; i < N_MANY; i++) {
		u32 block[128] = { i };

		block[127] = ~i;
		assert_int_equal(write(many_fd, block, sizeof(block)), sizeof(block));
	}
	memset(many, 0, sizeof(many));
	memset(many_buf, 0xee, sizeof(many_buf));
	for (u32 i = 0; i < N_MANY; i++) {
		many[i].io = (struct loop_io){ .op = LOOP_OP_READ, .fd = many_fd, .off = i * 512 };
		set_vec(&many[i], many_buf[i], 512);
	}
}

static void many_start(struct loop_work *work)
{
	(void)work;
	for (u32 i = 0; i < N_MANY; i++)
		start(&many[i]);
}

static void thousands_of_requests_at_once_all_end_with_their_own_bytes(void **state)
{
	struct looptest *t = *state;

	many_init();
	first(t, many_start);
	t->left = N_MANY;
	run(t);
	many_check();
	assert_int_equal(t->loop->n_io, 0);
	close(many_fd);
}

static void requests_wait_for_room_in_the_ring_when_it_cannot_be_emptied(void **state)
{
	struct looptest *t = *state;

	/* The first submission of the loop fails: the ring is full and stays so. */
	many_init();
	many_start(NULL);
	first(t, fail_next);
	t->left = N_MANY;
	run(t);
	faults_disarm();
	assert_string_equal(faults_hit(), "io_uring_submit");
	many_check();
	close(many_fd);
}

/* ---- drain ------------------------------------------------------------------------------ */

static struct source bystander;
static struct loop_work other_work;
static bool other_worked;

static void note_work(struct loop_work *work)
{
	(void)work;
	other_worked = true;
	count_down(current);
}

static void drain_many(struct loop_work *work)
{
	(void)work;
	many_start(NULL);
	signal_fd(bystander.lfd.fd);
	loop_post(current->loop, &other_work);
	assert_int_equal(loop_io_drain(current->loop), 0);
	assert_int_equal(current->loop->n_io, 0);
	many_check();
	assert_int_equal(bystander.n_calls, 0);
	assert_false(other_worked);
}

static void a_drain_calls_the_owners_of_requests_and_loses_nobody_else(void **state)
{
	struct looptest *t = *state;

	many_init();
	bystander = (struct source){ 0 };
	source_add(t, &bystander, new_eventfd(), true, POLLIN);
	other_worked = false;
	other_work = (struct loop_work){ .fn = note_work };
	first(t, drain_many);
	t->left = N_MANY + 2;
	run(t);
	assert_int_equal(bystander.n_calls, 1);
	assert_true(other_worked);
	loop_fd_del(t->loop, &bystander.lfd);
	close(bystander.lfd.fd);
	close(many_fd);
}

static void a_loop_that_does_not_run_is_drained_as_well(void **state)
{
	struct looptest *t = *state;

	many_init();
	many_start(NULL);
	assert_int_equal(loop_io_drain(t->loop), 0);
	many_check();
	assert_int_equal(loop_io_drain(t->loop), 0);
	close(many_fd);
}

static void *write_late(void *arg)
{
	usleep(20000);
	assert_int_equal(write(*(int *)arg, "x", 1), 1);
	return NULL;
}

/* A request that stays in the kernel until write_late() has come. */
static struct request slow;
static struct source level, edge;
static char slow_byte;
static int slow_pipe[2];
static struct loop_work second_work;

static void slow_start(void)
{
	memset(&slow, 0, sizeof(slow));
	slow.io = (struct loop_io){ .op = LOOP_OP_READ, .fd = slow_pipe[0] };
	set_vec(&slow, &slow_byte, 1);
	start(&slow);
}

static void slow_drain(struct loop_work *work)
{
	pthread_t thread;

	(void)work;
	slow_start();
	signal_fd(level.lfd.fd);
	signal_fd(edge.lfd.fd);
	assert_int_equal(pthread_create(&thread, NULL, write_late, &slow_pipe[1]), 0);
	assert_int_equal(loop_io_drain(current->loop), 0);
	assert_int_equal(slow.n_calls, 1);
	assert_int_equal(slow.io.res, 1);
	assert_int_equal(level.n_calls + edge.n_calls, 0);
	pthread_join(thread, NULL);
}

/* The sources are armed before the work of the next round. */
static void slow_drain_next(struct loop_work *work)
{
	(void)work;
	second_work = (struct loop_work){ .fn = slow_drain };
	loop_post(current->loop, &second_work);
}

static void a_drain_waits_for_the_kernel_and_keeps_what_happens_to_others(void **state)
{
	struct looptest *t = *state;

	assert_int_equal(pipe(slow_pipe), 0);
	level = (struct source){ .also = take_signal };
	edge = (struct source){ 0 };
	source_add(t, &level, new_eventfd(), false, POLLIN);
	source_add(t, &edge, new_eventfd(), true, POLLIN);
	first(t, slow_drain_next);
	t->left = 3;
	run(t);
	assert_int_equal(level.n_calls, 1);
	assert_int_equal(edge.n_calls, 1);
	loop_fd_del(t->loop, &level.lfd);
	loop_fd_del(t->loop, &edge.lfd);
	close(level.lfd.fd);
	close(edge.lfd.fd);
	close(slow_pipe[0]);
	close(slow_pipe[1]);
}

static void start_then_fail(struct loop_work *work)
{
	(void)work;
	slow_start();
	/* The next wait is that of this round, which sends it; the one after it fails. */
	loop_post(current->loop, &second_work);
}

static pthread_t late_writer;

static void fail_now(struct loop_work *work)
{
	(void)work;
	assert_int_equal(pthread_create(&late_writer, NULL, write_late, &slow_pipe[1]), 0);
	faults_arm(FAULTS_LOOP, 1);
}

static void a_loop_that_fails_waits_for_the_kernel_before_it_lets_the_ring_go(void **state)
{
	struct looptest *t = *state;

	assert_int_equal(pipe(slow_pipe), 0);
	second_work = (struct loop_work){ .fn = fail_now };
	first(t, start_then_fail);
	assert_int_equal(run_raw(t), -ENOMEM);
	assert_string_equal(faults_hit(), "io_uring_submit_and_wait_timeout");
	faults_disarm();
	assert_string_equal(t->err.msg, "event loop (io_uring): Cannot allocate memory");
	pthread_join(late_writer, NULL);
	/* Ended, and its owner is called as soon as somebody asks. */
	assert_int_equal(slow.n_calls, 0);
	assert_int_equal(slow_byte, 'x');
	assert_int_equal(loop_io_drain(t->loop), 0);
	assert_int_equal(slow.n_calls, 1);
	assert_int_equal(slow.io.res, 1);
	close(slow_pipe[0]);
	close(slow_pipe[1]);
}

static void drain_fails(struct loop_work *work)
{
	(void)work;
	slow_start();
	faults_arm(FAULTS_LOOP, 1);
	assert_int_equal(loop_io_drain(current->loop), -ENOMEM);
	faults_disarm();
	assert_string_equal(faults_hit(), "io_uring_submit_and_wait_timeout");
}

static void a_drain_that_cannot_wait_says_so_and_nobody_is_called_later(void **state)
{
	struct looptest *t = *state;

	assert_int_equal(pipe(slow_pipe), 0);
	assert_int_equal(write(slow_pipe[1], "x", 1), 1);
	first(t, drain_fails);
	assert_int_equal(run_raw(t), -ENOMEM);
	assert_int_equal(loop_io_drain(t->loop), -ENOMEM);
	assert_int_equal(slow.n_calls, 0);
	close(slow_pipe[0]);
	close(slow_pipe[1]);
}

/* ---- a ring full of requests that do not end --------------------------------------------- */

#define N_STUCK 300

static struct request stuck[N_STUCK];
static char stuck_bytes[N_STUCK];

/* The last one ends by itself, and makes the others do so. */
static void unstick(struct request *req)
{
	(void)req;
	assert_int_equal(write(slow_pipe[1], many_buf, N_STUCK - 1), N_STUCK - 1);
}

static void stuck_start(void)
{
	memset(stuck, 0, sizeof(stuck));
	for (unsigned int i = 0; i < N_STUCK; i++) {
		stuck[i].io = (struct loop_io){ .op = LOOP_OP_READ, .fd = slow_pipe[0] };
		set_vec(&stuck[i], &stuck_bytes[i], 1);
	}
	stuck[N_STUCK - 1].io.op = LOOP_OP_FDATASYNC;
	stuck[N_STUCK - 1].io.fd = -1;
	stuck[N_STUCK - 1].then = unstick;
	for (unsigned int i = 0; i < N_STUCK; i++)
		start(&stuck[i]);
}

static void what_finds_no_room_in_the_ring_is_not_forgotten(void **state)
{
	struct looptest *t = *state;

	assert_int_equal(pipe(slow_pipe), 0);
	stuck_start();
	first(t, fail_next);
	t->left = N_STUCK;
	run(t);
	faults_disarm();
	assert_string_equal(faults_hit(), "io_uring_submit");
	assert_int_equal(stuck[N_STUCK - 1].io.res, -EBADF);
	close(slow_pipe[0]);
	close(slow_pipe[1]);
}

static void stuck_drain(struct loop_work *work)
{
	(void)work;
	stuck_start();
	faults_arm(FAULTS_LOOP, 1);
	assert_int_equal(loop_io_drain(current->loop), 0);
	faults_disarm();
	assert_string_equal(faults_hit(), "io_uring_submit");
}

static void a_drain_does_not_forget_what_finds_no_room_in_the_ring(void **state)
{
	struct looptest *t = *state;

	assert_int_equal(pipe(slow_pipe), 0);
	first(t, stuck_drain);
	t->left = N_STUCK;
	run(t);
	close(slow_pipe[0]);
	close(slow_pipe[1]);
}

/* ---- where io_uring is not ---------------------------------------------------------------- */

static void just_stop(struct loop_work *work)
{
	(void)work;
	assert_string_equal(current->loop->waiter->name, "epoll");
	many_start(NULL);
}

static void a_host_without_io_uring_gets_epoll(void **state)
{
	struct looptest *t = *state;

	many_init();
	first(t, just_stop);
	faults_arm(FAULTS_LOOP, 1);
	t->left = N_MANY;
	run(t);
	faults_disarm();
	assert_string_equal(faults_hit(), "io_uring_queue_init");
	many_check();
	close(many_fd);
}

/* ---- manual loops ----------------------------------------------------------------------- */

static struct loop_io *hooked;

static bool keep_writes(void *ctx, struct loop_io *io)
{
	assert_ptr_equal(ctx, current);
	if (io->op != LOOP_OP_WRITE)
		return false;
	hooked = io;
	return true;
}

static void a_hook_keeps_requests_and_ends_them_as_it_likes(void **state)
{
	struct looptest *t = *state;
	int fd = temp_file(512);
	char buf[512];
	struct request wr = { .io = { .op = LOOP_OP_WRITE, .fd = fd } };
	struct request rd = { .io = { .op = LOOP_OP_READ, .fd = fd } };

	set_vec(&wr, buf, sizeof(buf));
	set_vec(&rd, buf, sizeof(buf));
	loop_manual_io_hook(t->loop, keep_writes, t);
	start(&wr);
	start(&rd);
	loop_manual_run(t->loop);
	assert_int_equal(rd.n_calls, 1);
	assert_int_equal(wr.n_calls, 0);
	assert_ptr_equal(hooked, &wr.io);
	assert_int_equal(loop_io_drain(t->loop), -EBUSY);

	hooked->res = -EIO;
	loop_manual_io_done(t->loop, hooked);
	assert_int_equal(wr.n_calls, 0);
	loop_manual_run(t->loop);
	assert_int_equal(wr.n_calls, 1);
	assert_int_equal(wr.io.res, -EIO);
	assert_int_equal(loop_io_drain(t->loop), 0);

	loop_manual_io_hook(t->loop, NULL, NULL);
	start(&wr);
	loop_manual_run(t->loop);
	assert_int_equal(wr.io.res, 512);
	close(fd);
}

/* ---- before it sleeps ------------------------------------------------------------------ */

struct idler {
	struct loop_idle idle;
	unsigned int n_calls, n_work; /* it has work at its first @n_work calls, and asks again */
	unsigned int work_done;
	struct loop_work work;
	struct idler *cancels;
};

static void idler_worked(struct loop_work *work)
{
	container_of(work, struct idler, work)->work_done++;
}

static bool idler_called(struct loop_idle *idle)
{
	struct idler *i = container_of(idle, struct idler, idle);

	assert_int_equal(i->work_done, i->n_calls);
	if (i->cancels)
		loop_idle_cancel(current->loop, &i->cancels->idle);
	if (i->n_calls++ == i->n_work)
		return false;
	i->work.fn = idler_worked;
	loop_post(current->loop, &i->work);
	loop_idle(current->loop, idle);
	return true;
}

static void who_asked_is_called_once_each_time_that_the_loop_would_sleep(void **state)
{
	struct looptest *t = *state;
	struct idler quiet = { .idle.fn = idler_called };
	struct idler busy = { .idle.fn = idler_called, .n_work = 3 };

	loop_idle(t->loop, &quiet.idle);
	loop_idle(t->loop, &quiet.idle);
	loop_idle(t->loop, &busy.idle);
	run_for(t, 0);
	assert_int_equal(quiet.n_calls, 1);
	assert_int_equal(busy.n_calls, 4);
	assert_int_equal(busy.work_done, 3);
}

static void who_was_cancelled_is_not_called_even_by_another_of_the_same_round(void **state)
{
	struct looptest *t = *state;
	struct idler a = { .idle.fn = idler_called }, b = { .idle.fn = idler_called };
	struct idler gone = { .idle.fn = idler_called };

	a.cancels = &b;
	b.cancels = &a;
	loop_idle(t->loop, &gone.idle);
	loop_idle(t->loop, &a.idle);
	loop_idle(t->loop, &b.idle);
	loop_idle_cancel(t->loop, &gone.idle);
	loop_idle_cancel(t->loop, &gone.idle);
	run_for(t, 0);
	assert_int_equal(gone.n_calls, 0);
	assert_int_equal(a.n_calls + b.n_calls, 1);
}

static enum loop_kind uring = LOOP_URING, epoll = LOOP_EPOLL, manual = LOOP_MANUAL,
		      automatic = LOOP_AUTO;

#define ON(kind, f)                                                               \
	{                                                                         \
		.name = #f " (" #kind ")", .test_func = (f), .setup_func = setup, \
		.teardown_func = teardown, .initial_state = &(kind),              \
	}
#define ON_ALL(f) ON(uring, f), ON(epoll, f), ON(manual, f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(a_level_source_is_called_as_long_as_it_is_ready),
		ON_ALL(an_edge_source_is_called_once_for_what_nobody_takes_away),
		ON_ALL(an_edge_source_is_called_for_each_signal_of_its_own_callback),
		ON_ALL(no_signal_of_another_thread_is_lost),
		ON_ALL(a_source_removed_when_it_was_about_to_be_called_is_not),
		ON_ALL(an_edge_source_removed_when_it_was_about_to_be_called_is_not),
		ON_ALL(who_takes_the_place_of_a_removed_source_does_not_inherit_its_events),
		ON_ALL(a_regular_file_is_always_ready_while_it_is_watched),
		ON_ALL(two_sources_may_watch_one_descriptor),
		ON_ALL(hundreds_of_sources_that_fire_at_once_are_all_called),
		ON(uring, sources_wait_for_room_in_the_ring_when_it_cannot_be_emptied),
		ON(uring, a_loop_does_not_sleep_before_all_sources_found_room_in_the_ring),
		ON_ALL(one_source_too_many_is_refused_with_a_sentence),
		ON(uring, work_posted_by_another_thread_is_never_left_lying),
		ON(epoll, work_posted_by_another_thread_is_never_left_lying),
		ON_ALL(pieces_written_come_back_in_one),
		ON_ALL(requests_may_be_started_when_others_end),
		ON_ALL(what_the_host_refuses_is_the_result),
		ON_ALL(more_pieces_than_the_host_takes_are_moved_in_part),
		ON_ALL(a_long_transfer_is_moved_in_part),
		ON_ALL(long_transfers_let_others_have_their_turn),
		ON_ALL(a_refused_request_ends_with_what_it_was_refused_with),
		ON_ALL(thousands_of_requests_at_once_all_end_with_their_own_bytes),
		ON(uring, requests_wait_for_room_in_the_ring_when_it_cannot_be_emptied),
		ON_ALL(a_drain_calls_the_owners_of_requests_and_loses_nobody_else),
		ON_ALL(a_loop_that_does_not_run_is_drained_as_well),
		ON(uring, a_drain_waits_for_the_kernel_and_keeps_what_happens_to_others),
		ON(uring, what_finds_no_room_in_the_ring_is_not_forgotten),
		ON(uring, a_drain_does_not_forget_what_finds_no_room_in_the_ring),
		ON(uring, a_loop_that_fails_waits_for_the_kernel_before_it_lets_the_ring_go),
		ON(uring, a_drain_that_cannot_wait_says_so_and_nobody_is_called_later),
		ON_ALL(who_asked_is_called_once_each_time_that_the_loop_would_sleep),
		ON_ALL(who_was_cancelled_is_not_called_even_by_another_of_the_same_round),
		ON(automatic, a_host_without_io_uring_gets_epoll),
		ON(manual, a_hook_keeps_requests_and_ends_them_as_it_likes),
	};

	return cmocka_run_group_tests_name("the event loop", tests, NULL, NULL);
}
