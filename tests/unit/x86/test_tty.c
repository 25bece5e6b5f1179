/*
 * test_tty.c - the command on a terminal: raw while the guest runs, restored afterwards,
 * whatever ends it; escapes (T2: lkvm linked with fakekvm, on a pseudo-terminal).
 *
 * Does not prove that a program was restored that somebody killed with SIGKILL: nothing can.
 */

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#define WAIT_MS 20000

struct session {
	pid_t pid;
	int master;
	struct termios before;
	char out[16384];
	size_t n_out;
};

static const char *lkvm(void)
{
	static char path[4096];
	const char *build = getenv("LKVM_BUILD");

	snprintf(path, sizeof(path), "%s/tests/lkvm-fake", build ? build : "build/x86");
	return path;
}

static void run(struct session *s, const char *script)
{
	char kernel[4200];
	int slave;

	snprintf(kernel, sizeof(kernel), "%.*s/guests/verdict.elf",
		 (int)(strlen(lkvm()) - strlen("/lkvm-fake")), lkvm());
	memset(s, 0, sizeof(*s));
	assert_int_equal(openpty(&s->master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &s->before), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (!s->pid) {
		setenv("FAKEKVM_SCRIPT", script, 1);
		setenv("ASAN_OPTIONS", "handle_segv=0:handle_abort=0", 1);
		close(s->master);
		login_tty(slave);
		execl(lkvm(), "lkvm", "run", "-k", kernel, (char *)NULL);
		_exit(99);
	}
	close(slave);
}

/* Read until @text was seen. */
static void expect(struct session *s, const char *text)
{
	while (!memmem(s->out, s->n_out, text, strlen(text))) {
		struct pollfd p = { .fd = s->master, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, WAIT_MS) != 1 || s->n_out == sizeof(s->out))
			fail_msg("no '%s' in '%.*s'", text, (int)s->n_out, s->out);
		n = read(s->master, s->out + s->n_out, sizeof(s->out) - s->n_out);
		if (n <= 0)
			fail_msg("ended without '%s': '%.*s'", text, (int)s->n_out, s->out);
		s->n_out += (size_t)n;
	}
}

static void type(struct session *s, const char *text)
{
	assert_int_equal(write(s->master, text, strlen(text)), strlen(text));
}

static void assert_raw(struct session *s)
{
	struct termios now;

	assert_int_equal(tcgetattr(s->master, &now), 0);
	assert_false(now.c_lflag & (ICANON | ECHO | ISIG));
}

/* The process ended with @status (wait(2)'s), and the terminal is what it was. */
static void finish(struct session *s, int status)
{
	struct termios now;
	int got;

	assert_int_equal(waitpid(s->pid, &got, 0), s->pid);
	/* but for the bit that tells of a core dump */
	assert_int_equal(WIFSIGNALED(got) ? got & 0x7f : got, status);
	assert_int_equal(tcgetattr(s->master, &now), 0);
	assert_int_equal(now.c_iflag, s->before.c_iflag);
	assert_int_equal(now.c_oflag, s->before.c_oflag);
	assert_int_equal(now.c_cflag, s->before.c_cflag);
	assert_int_equal(now.c_lflag, s->before.c_lflag);
	assert_memory_equal(now.c_cc, s->before.c_cc, sizeof(now.c_cc));
	close(s->master);
}

#define EXITED(code) ((code) << 8)

static void a_terminal_is_raw_and_then_restored(void **state)
{
	struct session s;

	(void)state;
	run(&s, "print \"up\\n\"; delay 300; out 0x604 2 0x3400");
	expect(&s, "up");
	assert_raw(&s);
	expect(&s, "power-off");
	finish(&s, EXITED(0));
}

static void escape_h_helps_and_escape_x_ends(void **state)
{
	struct session s;

	(void)state;
	run(&s, "print \"up\\n\"; halt");
	expect(&s, "up");
	type(&s, "\001h");
	expect(&s, "end the machine");
	assert_raw(&s);
	type(&s, "\001x");
	expect(&s, "exit status 119");
	finish(&s, EXITED(119));
}

static void ctrl_c_goes_to_the_guest(void **state)
{
	struct session s;

	(void)state;
	/* Receive interrupt on, wait for it, take the byte, and say so. */
	run(&s, "print \"up\\n\"; out 0x3fc 1 0xb; out 0x3f9 1 1; wait-irq 4 20000; in 0x3f8 1;"
		"print \"taken\\n\"; out 0x604 2 0x3400");
	expect(&s, "up");
	type(&s, "\003");
	expect(&s, "taken");
	expect(&s, "power-off");
	finish(&s, EXITED(0));
}

static void signals_and_crashes_restore_it(void **state)
{
	static const struct {
		int signal, status;
	} ends[] = {
		{ SIGTERM, EXITED(119) }, { SIGINT, EXITED(119) }, { SIGHUP, EXITED(119) },
		{ SIGSEGV, SIGSEGV },	  { SIGBUS, SIGBUS },	   { SIGABRT, SIGABRT },
		{ SIGQUIT, SIGQUIT },	  { SIGUSR1, SIGUSR1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct session s;

		run(&s, "print \"up\\n\"; halt");
		expect(&s, "up");
		assert_raw(&s);
		kill(s.pid, ends[i].signal);
		finish(&s, ends[i].status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_terminal_is_raw_and_then_restored),
		cmocka_unit_test(escape_h_helps_and_escape_x_ends),
		cmocka_unit_test(ctrl_c_goes_to_the_guest),
		cmocka_unit_test(signals_and_crashes_restore_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
