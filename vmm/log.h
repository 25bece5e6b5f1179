/*
 * log.h - what the library has to say while it runs (layer 0).
 *
 * The library owns no stream: every message goes to the function the embedder
 * put in its config, from whatever thread it happens on. A guest can cause
 * messages at will, so whatever a guest can repeat goes through a ratelimit.
 */
#ifndef LKVM_VMM_LOG_H
#define LKVM_VMM_LOG_H

#include <lkvm.h>

#include "vmm/base.h"

struct log {
	lkvm_log_fn fn; /* NULL: silent */
	void *ctx;
	enum lkvm_log_level level; /* messages above it are dropped before formatting */
};

void log_at(const struct log *log, enum lkvm_log_level level, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

#define log_error(log, ...) log_at(log, LKVM_LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_at(log, LKVM_LOG_WARNING, __VA_ARGS__)
#define log_info(log, ...)  log_at(log, LKVM_LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_at(log, LKVM_LOG_DEBUG, __VA_ARGS__)

/* At most RATELIMIT_BURST messages per RATELIMIT_WINDOW_NS; zero-initialised, any thread. */
#define RATELIMIT_BURST	    10
#define RATELIMIT_WINDOW_NS (5 * NSEC_PER_SEC)

struct ratelimit {
	_Atomic u64 window_start;
	_Atomic u32 n;
};

/* True when one more message may be said now. */
bool ratelimit_ok(struct ratelimit *rl);

/* CLOCK_MONOTONIC in nanoseconds: the one clock of the monitor. */
u64 clock_ns(void);

/*
 * The same clock as of its last tick, up to CLOCK_COARSE_LAG late, for what happens with every
 * byte: it costs no system call and no device access, whatever clock source the host has.
 */
u64 clock_coarse_ns(void);
#define CLOCK_COARSE_LAG (10 * NSEC_PER_MSEC) /* of a host with HZ=100 */

#endif
