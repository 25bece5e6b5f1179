/*
 * cli_tty.c - the terminal: raw while a guest runs, as it was afterwards.
 *
 * Restored on the ordinary way out, by atexit(), and when a signal kills the process.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/cli.h"

/* Of this process's one terminal; written before the handlers that read it exist. */
static struct termios saved;
static volatile sig_atomic_t raw;

bool tty_is_raw(void)
{
	return raw;
}

bool tty_is_ours(void)
{
	/* A background job that changed the terminal would be stopped by SIGTTOU. */
	return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

bool tty_size(unsigned short *cols, unsigned short *rows)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row)
		return false;
	*cols = size.ws_col;
	*rows = size.ws_row;
	return true;
}

void tty_restore(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	raw = 0;
}

/* tcsetattr() is async-signal-safe. The signal is then taken again, by default this time. */
static void on_deadly(int sig)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	raise(sig);
}

/* What ends a process by default, but for what `run` waits for itself and for SIGKILL. */
static void catch_deadly(void)
{
	static const int deadly[] = {
		SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGABRT, SIGSYS,	SIGTRAP, SIGQUIT,   SIGALRM,
		SIGUSR1, SIGUSR2, SIGPOLL, SIGPROF, SIGPWR,  SIGVTALRM, SIGXCPU, SIGSTKFLT, SIGXFSZ,
	};
	struct sigaction sa = { .sa_handler = on_deadly, .sa_flags = SA_RESETHAND | SA_NODEFER };

	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		sigaction(deadly[i], &sa, NULL);
}

int tty_raw(void)
{
	static bool prepared;
	struct termios t;

	if (!prepared) {
		if (tcgetattr(STDIN_FILENO, &saved))
			return -errno;
		atexit(tty_restore);
		catch_deadly();
		prepared = true;
	}
	t = saved;
	cfmakeraw(&t);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &t))
		return -errno;
	raw = 1;
	return 0;
}
