#include "vmm/hostfd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A terminal that polls writable has room for at least this much even if each byte
 * becomes two (output processing turns "\n" into "\r\n"): Linux accounts a pty's buffer
 * in steps of 256 bytes, and calls a serial port writable below 256 pending bytes.
 */
#define TTY_SURE_WRITE 64

/* True when @a and @b are the same terminal; false too when either is none. */
static bool same_terminal(int a, int b)
{
	unsigned int dev_a, dev_b;

	return !ioctl(a, TIOCGDEV, &dev_a) && !ioctl(b, TIOCGDEV, &dev_b) && dev_a == dev_b;
}

/*
 * A second open file description of the pipe or terminal @fd, with O_NONBLOCK; -1 when
 * there is no way to it: no permission on the node, /proc not mounted, or a device whose
 * every open makes another instance, which a pty's master is (hence the comparison).
 */
static int reopen_nonblock(int fd, int mode, bool tty)
{
	char path[32];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own >= 0 && tty && !same_terminal(fd, own)) {
		close(own);
		return -1;
	}
	return own;
}

int hostfd_open(struct hostfd *hfd, int fd, int mode, const char *what, struct lkvm_error *err)
{
	int other = mode == O_RDONLY ? O_WRONLY : O_RDONLY;
	int flags = fcntl(fd, F_GETFL);
	struct stat st;
	bool tty;

	hfd->fd = -1;
	if (flags < 0 || fstat(fd, &st))
		return err_input(err, "%s: %d is not an open descriptor", what, fd);
	if ((flags & O_ACCMODE) == other || (flags & O_PATH))
		return err_input(err, "%s: descriptor %d is not open for %s", what, fd,
				 mode == O_RDONLY ? "reading" : "writing");

	tty = S_ISCHR(st.st_mode) && isatty(fd);
	hfd->kind = HOSTFD_POLLED;
	hfd->max_write = tty ? TTY_SURE_WRITE : PIPE_BUF;
	if (S_ISSOCK(st.st_mode))
		hfd->kind = HOSTFD_SOCKET;
	else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode))
		hfd->kind = HOSTFD_FILE; /* a new open would lose the offset and O_APPEND */

	if (S_ISFIFO(st.st_mode) || tty)
		hfd->fd = reopen_nonblock(fd, mode, tty);
	if (hfd->fd >= 0) {
		hfd->kind = HOSTFD_OPENED;
		return 0;
	}
	/* A number of our own even so: the caller's may mean another file once it closed it. */
	hfd->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (hfd->fd < 0)
		return err_host(err, errno, "%s: cannot duplicate descriptor %d", what, fd);
	return 0;
}

void hostfd_close(struct hostfd *hfd)
{
	if (hfd->fd >= 0)
		close(hfd->fd);
	hfd->fd = -1;
}

static bool polled_ready(const struct hostfd *hfd, short events)
{
	struct pollfd pfd = { .fd = hfd->fd, .events = events };

	return hfd->kind != HOSTFD_POLLED || poll(&pfd, 1, 0) > 0;
}

ssize_t hostfd_read(struct hostfd *hfd, void *buf, size_t len)
{
	ssize_t n;

	do {
		if (!polled_ready(hfd, POLLIN))
			return -EAGAIN;
		if (hfd->kind == HOSTFD_SOCKET)
			n = recv(hfd->fd, buf, len, MSG_DONTWAIT);
		else
			n = read(hfd->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t hostfd_write(struct hostfd *hfd, const void *buf, size_t len)
{
	ssize_t n;

	if (hfd->kind == HOSTFD_POLLED)
		len = min_u64(len, hfd->max_write);
	do {
		if (!polled_ready(hfd, POLLOUT))
			return -EAGAIN;
		if (hfd->kind == HOSTFD_SOCKET)
			n = send(hfd->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			n = write(hfd->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	if (!n)
		return -EIO;
	return n < 0 ? -errno : n;
}
