/*
 * err.h - one message, made at the line that failed (layer 0).
 *
 * Functions that can fail return 0 or -errno and fill a struct lkvm_error that
 * their caller handed down. The kind says whose fault it was, which is what an
 * exit status is made of. The first message wins: it is the one closest to the
 * cause, so callers pass the error on without wrapping it. @err may be NULL.
 */
#ifndef LKVM_VMM_ERR_H
#define LKVM_VMM_ERR_H

#include <lkvm.h>

#include "vmm/base.h"

/* Bad option or file from the user: name it, its value, and what is allowed. Returns -EINVAL. */
int err_input(struct lkvm_error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* This host lacks what was asked for. @code is a positive errno; returns -@code. */
int err_unsupported(struct lkvm_error *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A host call failed; ": strerror(@code)" is appended. @code is a positive errno; returns -@code.
 */
int err_host(struct lkvm_error *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* What a positive errno means: "No such file or directory". Static text, any thread. */
const char *err_text(int code);

#endif
