/*
 * hostfd.h - an embedder's descriptor, used without ever blocking (layer 1).
 *
 * The descriptor stays the embedder's: it is never closed and nothing about its open
 * file description is changed, since other processes share that (O_NONBLOCK set
 * on a shell's terminal would stay behind for the shell). What is read and written is a
 * descriptor of our own: a new open of the same pipe or terminal where that is possible,
 * else a duplicate that is used in ways that do not wait.
 *
 * No locks; one thread at a time. A write to a pipe without a reader raises SIGPIPE,
 * so the calling thread has it blocked.
 */
#ifndef LKVM_VMM_HOSTFD_H
#define LKVM_VMM_HOSTFD_H

#include <sys/types.h>

#include "vmm/base.h"
#include "vmm/err.h"

enum hostfd_kind {
	HOSTFD_OPENED, /* pipe or terminal, opened anew with O_NONBLOCK */
	HOSTFD_SOCKET, /* a stream; MSG_DONTWAIT */
	HOSTFD_FILE,   /* regular file or disk: never waits for another party */
	HOSTFD_POLLED, /* the rest: asked with poll(2) before each small transfer */
};

struct hostfd {
	int fd; /* our own; -1: closed */
	enum hostfd_kind kind;
	size_t max_write; /* bytes that surely fit once it polls writable (HOSTFD_POLLED) */
};

/* @mode is O_RDONLY or O_WRONLY, @what names the descriptor in messages. Wrong fds: -EINVAL. */
int hostfd_open(struct hostfd *hfd, int fd, int mode, const char *what, struct lkvm_error *err);

/* Closed ones are allowed. */
void hostfd_close(struct hostfd *hfd);

/*
 * Bytes transferred, at most @len, or -errno: -EAGAIN means wait for POLLIN or POLLOUT,
 * anything else that this side is gone for good. A read of 0 bytes is the end of input;
 * a write never returns 0. @len is not 0.
 */
ssize_t hostfd_read(struct hostfd *hfd, void *buf, size_t len);
ssize_t hostfd_write(struct hostfd *hfd, const void *buf, size_t len);

#endif
