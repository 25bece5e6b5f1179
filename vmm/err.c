#include "vmm/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static int err_make(struct lkvm_error *err, enum lkvm_error_kind kind, int code, const char *fmt,
		    va_list ap) PRINTF_LIKE(4, 0);

static int err_make(struct lkvm_error *err, enum lkvm_error_kind kind, int code, const char *fmt,
		    va_list ap)
{
	if (err && err->kind == LKVM_ERR_NONE) {
		err->kind = kind;
		err->code = -code;
		vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	}
	return -code;
}

int err_input(struct lkvm_error *err, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = err_make(err, LKVM_ERR_INPUT, EINVAL, fmt, ap);
	va_end(ap);
	return ret;
}

int err_unsupported(struct lkvm_error *err, int code, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = err_make(err, LKVM_ERR_UNSUPPORTED, code, fmt, ap);
	va_end(ap);
	return ret;
}

int err_host(struct lkvm_error *err, int code, const char *fmt, ...)
{
	bool first = err && err->kind == LKVM_ERR_NONE;
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = err_make(err, LKVM_ERR_HOST, code, fmt, ap);
	va_end(ap);
	if (first) {
		size_t len = strlen(err->msg);

		snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", err_text(code));
	}
	return ret;
}

const char *err_text(int code)
{
	/* not strerror(): it may use a buffer that all threads share */
	const char *text = strerrordesc_np(code);

	return text ? text : "unknown error";
}
