#include "vmm/thread.h"

#include <signal.h>

int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg,
		 struct lkvm_error *err)
{
	static const int synchronous[] = {
		SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT
	};
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	for (size_t i = 0; i < ARRAY_SIZE(synchronous); i++)
		sigdelset(&all, synchronous[i]);
	/* A thread inherits its creator's mask, so there is no moment without it. */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		return err_host(err, ret, "cannot start thread %s", name);
	return 0;
}

void thread_set_name(const char *name)
{
	pthread_setname_np(pthread_self(), name);
}
