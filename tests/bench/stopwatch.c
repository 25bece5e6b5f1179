/*
 * stopwatch.c - when a command was executed, and when it said something.
 *
 *	stopwatch COMMAND ARG...		run it
 *	stopwatch -m TEXT SECONDS COMMAND ARG...  run it until TEXT comes out of it, then kill it
 *
 * Writes to descriptor 3, in CLOCK_MONOTONIC nanoseconds: the time just before fork(2), and with
 * -m the time TEXT was read. Ends with the command's status; with -m 0, 1 if TEXT never came, or
 * 124 if it did not within SECONDS; then what came is on standard error, its end at least.
 * Static and small: it also runs where everything is slow.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (unsigned long long)ts.tv_sec * 1000000000 + (unsigned long long)ts.tv_nsec;
}

/* 0 once @text was seen on @fd, however the stream is cut into pieces; else an exit status. */
static int wait_for(int fd, const char *text, unsigned long long deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[8192];
	size_t len = strlen(text), kept = 0;
	ssize_t n = 1;

	while (n > 0 && now() < deadline) {
		if (poll(&p, 1, 1000) <= 0)
			continue;
		n = read(fd, buf + kept, sizeof(buf) - kept);
		kept += n > 0 ? (size_t)n : 0;
		if (memmem(buf, kept, text, len))
			return 0;
		if (n > 0 && kept > sizeof(buf) / 2) {
			memmove(buf, buf + kept - sizeof(buf) / 2, sizeof(buf) / 2);
			kept = sizeof(buf) / 2;
		}
	}
	fwrite(buf, 1, kept, stderr);
	return n > 0 ? 124 : 1;
}

int main(int argc, char **argv)
{
	const char *text = NULL;
	unsigned long long start, limit = 0;
	int out[2], status, ret;
	pid_t pid;

	if (argc > 3 && !strcmp(argv[1], "-m")) {
		text = argv[2];
		limit = strtoull(argv[3], NULL, 10) * 1000000000;
		argv += 3;
	}
	if (!argv[1] || (text && (!*text || strlen(text) > 1000 || pipe(out))))
		return 2;
	start = now();
	dprintf(3, "%llu\n", start);
	pid = fork();
	if (pid < 0)
		return 1;
	if (!pid) {
		if (text) {
			dup2(out[1], 1);
			close(out[0]);
			close(out[1]);
		}
		close(3);
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	if (!text)
		return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
									    : 1;
	close(out[1]);
	ret = wait_for(out[0], text, start + limit);
	if (!ret)
		dprintf(3, "%llu\n", now());
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return ret;
}
