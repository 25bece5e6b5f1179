#include "vmm/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static u64 read_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
}

u64 clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

u64 clock_coarse_ns(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE);
}

void log_at(const struct log *log, enum lkvm_log_level level, const char *fmt, ...)
{
	char msg[512];
	va_list ap;

	if (!log->fn || level > log->level)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	log->fn(log->ctx, level, msg);
}

bool ratelimit_ok(struct ratelimit *rl)
{
	u64 now = clock_ns();
	u64 start = atomic_load_explicit(&rl->window_start, memory_order_relaxed);

	/* Two threads may both open a window: the limit then is twice the burst, which is harmless.
	 */
	if (!start || now - start > RATELIMIT_WINDOW_NS) {
		atomic_store_explicit(&rl->window_start, now, memory_order_relaxed);
		atomic_store_explicit(&rl->n, 0, memory_order_relaxed);
	}
	return atomic_fetch_add_explicit(&rl->n, 1, memory_order_relaxed) < RATELIMIT_BURST;
}
