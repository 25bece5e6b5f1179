/* thread.h - threads of the library (layer 0). */
#ifndef LKVM_VMM_THREAD_H
#define LKVM_VMM_THREAD_H

#include <pthread.h>

#include "vmm/base.h"
#include "vmm/err.h"

/*
 * Start @fn(@arg) on a thread that takes no signal of the embedder's process: all are
 * blocked before it exists, but for the synchronous ones (SIGSEGV and its kin), which the
 * kernel would turn into an unconditional kill. @name is for the message of a failure.
 */
int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg,
		 struct lkvm_error *err);

/*
 * Name the calling thread, as seen in top(1): 15 bytes of it count. By the thread itself
 * this is one system call, for another thread an open, write and close of /proc.
 */
void thread_set_name(const char *name);

#endif
