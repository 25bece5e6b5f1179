/*
 * faults.c - the wrapped calls. Each is its own __wrap_NAME, which the linker puts in the
 * place of NAME; __real_NAME is what NAME was.
 */
#include "tests/faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libelf.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

static _Atomic unsigned int armed; /* kinds that count */
static _Atomic unsigned long count, fail_at;
static const char *_Atomic hit;

void faults_arm(unsigned int kinds, unsigned long nth)
{
	count = 0;
	fail_at = nth;
	hit = NULL;
	armed = kinds;
}

unsigned long faults_disarm(void)
{
	armed = 0;
	return count;
}

const char *faults_hit(void)
{
	return hit;
}

/* Count a call; true when it is the one. */
static bool fails(unsigned int kind, const char *name)
{
	if (!(armed & kind) || atomic_fetch_add(&count, 1) + 1 != fail_at)
		return false;
	hit = name;
	return true;
}

/*
 * A wrapped function that takes @params, passes on @args, and fails by returning @value, with @code
 * (0: none) in errno.
 */
#define WRAP(kind, type, name, params, args, value, code) \
	type __real_##name params;                        \
	type __wrap_##name params;                        \
	type __wrap_##name params                         \
	{                                                 \
		if (!fails(kind, #name))                  \
			return __real_##name args;        \
		if (code)                                 \
			errno = (code);                   \
		return value;                             \
	}

/* clang-format off */
WRAP(FAULTS_MEMORY, void *, malloc, (size_t size), (size), NULL, ENOMEM)
WRAP(FAULTS_MEMORY, void *, calloc, (size_t n, size_t size), (n, size), NULL, ENOMEM)
WRAP(FAULTS_MEMORY, void *, realloc, (void *p, size_t size), (p, size), NULL, ENOMEM)
WRAP(FAULTS_MEMORY, char *, strdup, (const char *s), (s), NULL, ENOMEM)
WRAP(FAULTS_MEMORY, void *, mmap64,
     (void *addr, size_t len, int prot, int flags, int fd, off_t off),
     (addr, len, prot, flags, fd, off), MAP_FAILED, ENOMEM)
WRAP(FAULTS_MEMORY, int, madvise, (void *addr, size_t len, int advice), (addr, len, advice), -1,
     ENOMEM)
WRAP(FAULTS_MEMORY, int, mlock2, (const void *addr, size_t len, unsigned int flags),
     (addr, len, flags), -1, ENOMEM)

WRAP(FAULTS_FD, int, eventfd, (unsigned int val, int flags), (val, flags), -1, EMFILE)
WRAP(FAULTS_FD, int, timerfd_create, (int clock, int flags), (clock, flags), -1, EMFILE)
WRAP(FAULTS_FD, int, signalfd, (int fd, const void *set, int flags), (fd, set, flags), -1, EMFILE)
WRAP(FAULTS_FD, int, memfd_create, (const char *name, unsigned int flags), (name, flags), -1,
     EMFILE)
WRAP(FAULTS_FD, int, mkostemp64, (char *name, int flags), (name, flags), -1, EMFILE)
WRAP(FAULTS_FD, int, epoll_create1, (int flags), (flags), -1, EMFILE)
WRAP(FAULTS_FD, int, socket, (int family, int type, int proto), (family, type, proto), -1, EMFILE)
WRAP(FAULTS_FD, DIR *, opendir, (const char *path), (path), NULL, EMFILE)

WRAP(FAULTS_THREAD, int, pthread_create,
     (pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),
     (thread, attr, fn, arg), EAGAIN, 0)

WRAP(FAULTS_READ, ssize_t, read, (int fd, void *buf, size_t len), (fd, buf, len), -1, EIO)
WRAP(FAULTS_READ, ssize_t, readv, (int fd, const struct iovec *iov, int n), (fd, iov, n), -1, EIO)
WRAP(FAULTS_READ, ssize_t, preadv64, (int fd, const struct iovec *iov, int n, off_t off),
     (fd, iov, n, off), -1, EIO)
WRAP(FAULTS_READ, ssize_t, getrandom, (void *buf, size_t len, unsigned int flags),
     (buf, len, flags), -1, EIO)
WRAP(FAULTS_READ, ssize_t, pread64, (int fd, void *buf, size_t len, off_t off),
     (fd, buf, len, off), -1, EIO)
WRAP(FAULTS_READ, ssize_t, recv, (int fd, void *buf, size_t len, int flags),
     (fd, buf, len, flags), -1, EIO)
WRAP(FAULTS_READ, int, fstat64, (int fd, struct stat *st), (fd, st), -1, EIO)
WRAP(FAULTS_READ, int, statfs64, (const char *path, struct statfs *fs), (path, fs), -1, EIO)
WRAP(FAULTS_READ, int, fstatfs64, (int fd, struct statfs *fs), (fd, fs), -1, EIO)

WRAP(FAULTS_WRITE, ssize_t, write, (int fd, const void *buf, size_t len), (fd, buf, len), -1, EIO)
WRAP(FAULTS_WRITE, ssize_t, writev, (int fd, const struct iovec *iov, int n), (fd, iov, n), -1, EIO)
WRAP(FAULTS_WRITE, ssize_t, pwritev64, (int fd, const struct iovec *iov, int n, off_t off),
     (fd, iov, n, off), -1, EIO)
WRAP(FAULTS_WRITE, int, fdatasync, (int fd), (fd), -1, EIO)
WRAP(FAULTS_WRITE, int, fallocate64, (int fd, int mode, off_t off, off_t len),
     (fd, mode, off, len), -1, EIO)
WRAP(FAULTS_WRITE, int, ftruncate64, (int fd, off_t len), (fd, len), -1, EIO)
WRAP(FAULTS_WRITE, ssize_t, send, (int fd, const void *buf, size_t len, int flags),
     (fd, buf, len, flags), -1, EIO)

WRAP(FAULTS_LOOP, int, epoll_ctl, (int ep, int op, int fd, struct epoll_event *ev),
     (ep, op, fd, ev), -1, ENOMEM)
WRAP(FAULTS_LOOP, int, epoll_wait, (int ep, struct epoll_event *ev, int max, int ms),
     (ep, ev, max, ms), -1, ENOMEM)
WRAP(FAULTS_LOOP, int, poll, (struct pollfd *fds, nfds_t n, int ms), (fds, n, ms), -1, ENOMEM)
WRAP(FAULTS_LOOP, int, io_uring_queue_init,
     (unsigned int n, struct io_uring *ring, unsigned int flags), (n, ring, flags), -ENOMEM, 0)
WRAP(FAULTS_LOOP, int, io_uring_submit, (struct io_uring *ring), (ring), -ENOMEM, 0)
WRAP(FAULTS_LOOP, int, io_uring_submit_and_get_events, (struct io_uring *ring), (ring), -ENOMEM, 0)
WRAP(FAULTS_LOOP, int, io_uring_submit_and_wait_timeout,
     (struct io_uring *ring, struct io_uring_cqe **cqe, unsigned int n,
      struct __kernel_timespec *ts, sigset_t *mask),
     (ring, cqe, n, ts, mask), -ENOMEM, 0)

WRAP(FAULTS_CONTROL, int, connect, (int fd, const struct sockaddr *addr, socklen_t len),
     (fd, addr, len), -1, ECONNREFUSED)

WRAP(FAULTS_ELF, Elf *, elf_begin, (int fd, Elf_Cmd cmd, Elf *ref), (fd, cmd, ref), NULL, 0)
WRAP(FAULTS_ELF, Elf_Data *, elf_getdata, (Elf_Scn *scn, Elf_Data *data), (scn, data), NULL, 0)
WRAP(FAULTS_ELF, Elf_Data *, elf_getdata_rawchunk,
     (Elf *elf, int64_t off, size_t size, Elf_Type type), (elf, off, size, type), NULL, 0)
/* clang-format on */

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (!fails(FAULTS_FD, "open"))
		return __real_open64(path, flags, mode);
	errno = EMFILE;
	return -1;
}

int __real_fcntl64(int fd, int cmd, ...);
int __wrap_fcntl64(int fd, int cmd, ...);
int __wrap_fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = cmd == F_GETFD || cmd == F_GETFL ? 0 : va_arg(ap, long);
	va_end(ap);
	if (cmd == F_DUPFD_CLOEXEC ? !fails(FAULTS_FD, "fcntl F_DUPFD_CLOEXEC")
				   : !fails(FAULTS_CONTROL, "fcntl"))
		return __real_fcntl64(fd, cmd, arg);
	errno = cmd == F_DUPFD_CLOEXEC ? EMFILE : EIO;
	return -1;
}

int __real_ioctl(int fd, unsigned long cmd, ...);
int __wrap_ioctl(int fd, unsigned long cmd, ...);
int __wrap_ioctl(int fd, unsigned long cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	if (!fails(FAULTS_CONTROL, "ioctl"))
		return __real_ioctl(fd, cmd, arg);
	errno = EIO;
	return -1;
}
