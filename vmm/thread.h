/* thread.h - threads of the library (layer 0). */
#ifndef LKVM_VMM_THREAD_H
#define LKVM_VMM_THREAD_H

#include <pthread.h>

#include "vmm/base.h"
#include "vmm/err.h"

/*
 * Start @fn(@arg) on a thread that takes no signal of the embedder's process: all are
 * blocked before it exists, but for the synchronous ones (SIGSEGV and its kin), which the kernel
 * would turn into an unconditional kill. @name is seen in top(1), 15 bytes of it.
 */
int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg,
		 struct lkvm_error *err);

#endif
