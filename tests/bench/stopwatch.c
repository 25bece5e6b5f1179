/*
 * stopwatch.c - when a command was executed, and when it said something.
 *
 *	stopwatch COMMAND ARG...		run it
 *	stopwatch -m TEXT COMMAND ARG...	run it until TEXT comes out of it, then kill it
 *
 * Writes to descriptor 3, in CLOCK_MONOTONIC nanoseconds: the time just before fork(2), and with
 * -m the time TEXT was read. Ends with the command's status; with -m 0, or 1 if TEXT never came.
 * Static and small: it also runs where everything is slow.
 */
#include <signal.h>
#include <stdio.h>
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

/* True once @text was seen on @fd, however the stream is cut into pieces. */
static int wait_for(int fd, const char *text)
{
	char buf[8192];
	size_t len = strlen(text), kept = 0;
	ssize_t n;

	while ((n = read(fd, buf + kept, sizeof(buf) - kept)) > 0) {
		kept += (size_t)n;
		if (memmem(buf, kept, text, len))
			return 1;
		if (kept > len) {
			memmove(buf, buf + kept - len, len);
			kept = len;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *text = NULL;
	int out[2], status, seen;
	pid_t pid;

	if (argc > 2 && !strcmp(argv[1], "-m")) {
		text = argv[2];
		argv += 2;
	}
	if (!argv[1] || (text && (!*text || strlen(text) > 1024 || pipe(out))))
		return 2;
	dprintf(3, "%llu\n", now());
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
	seen = wait_for(out[0], text);
	if (seen)
		dprintf(3, "%llu\n", now());
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return !seen;
}
