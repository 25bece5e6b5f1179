/*
 * faults.h - make the host fail: the nth call to it from what is linked into a test.
 *
 * Calls that can fail for want of something are caught by the linker (--wrap, the flags are in
 * faults.mk) and passed on, until the one that is to fail. Only what is linked as object
 * files is seen: the library under test and the test itself, so arm around the library's
 * calls alone. Calls made inside the C library, liburing or libelf are not seen. All threads count
 * together. fakekvm uses none of these calls once it is made.
 *
 * Not among them, for what fails there has no cure: unlock, join, destroy, close, munmap, and
 * the initialisation of mutexes and conditions, which cannot fail with the C libraries of Linux.
 */
#ifndef LKVM_TESTS_FAULTS_H
#define LKVM_TESTS_FAULTS_H

/* Kinds of calls, each failing as it does in life. */
enum {
	FAULTS_MEMORY = 1 << 0,	 /* malloc, calloc, realloc, strdup: NULL; mmap and such: ENOMEM */
	FAULTS_FD = 1 << 1,	 /* open, socket, eventfd, epoll_create1 and such: EMFILE */
	FAULTS_THREAD = 1 << 2,	 /* pthread_create: EAGAIN */
	FAULTS_READ = 1 << 3,	 /* read, readv, pread, preadv, getrandom, fstat and such: EIO */
	FAULTS_WRITE = 1 << 4,	 /* write, pwritev, fdatasync, fallocate, send, ...: EIO */
	FAULTS_LOOP = 1 << 5,	 /* io_uring_queue_init, _submit, epoll_ctl, _wait, poll: ENOMEM */
	FAULTS_ELF = 1 << 6,	 /* elf_begin and what gives NULL after it */
	FAULTS_CONTROL = 1 << 7, /* fcntl, ioctl: EIO; connect: ECONNREFUSED */
	FAULTS_ALL = (1 << 8) - 1,
};

/* Count calls of @kinds from now on, and make the @nth (from 1) of them fail; 0: only count. */
void faults_arm(unsigned int kinds, unsigned long nth);

/* All calls go through again. Returns how many there were since faults_arm(). */
unsigned long faults_disarm(void);

/* The function that was made to fail since faults_arm(); NULL: it did not come so far. */
const char *faults_hit(void);

#endif
