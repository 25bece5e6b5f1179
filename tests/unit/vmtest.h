/* vmtest.h - a whole VM on fakekvm, for tests of its life. */
#ifndef LKVM_TESTS_VMTEST_H
#define LKVM_TESTS_VMTEST_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <lkvm.h>

#include "tests/fakekvm/fakekvm.h"
#include "vmarch.h" /* tests/unit/ARCH */
#include "vmm/vm.h"

#define VMTEST_WAIT_MS 20000 /* far above what anything here takes; a hang, not a slow host */

struct vmtest {
	struct fakekvm *fk;
	struct lkvm_config cfg;
	struct lkvm_vm *vm;
	struct lkvm_error err;
	struct lkvm_result res;
	char kernel[64];
	pthread_mutex_t lock;
	char out[200 * 1024];
	size_t n_out;
	char log[4096];
};

static inline void vmtest_out(void *ctx, const void *data, size_t len)
{
	struct vmtest *t = ctx;

	if (len > sizeof(t->out) - t->n_out)
		len = sizeof(t->out) - t->n_out;
	memcpy(t->out + t->n_out, data, len);
	t->n_out += len;
}

static inline void vmtest_log(void *ctx, enum lkvm_log_level level, const char *msg)
{
	struct vmtest *t = ctx;
	size_t n;

	(void)level;
	pthread_mutex_lock(&t->lock);
	n = strlen(t->log);
	snprintf(t->log + n, sizeof(t->log) - n, "%s\n", msg);
	pthread_mutex_unlock(&t->lock);
}

static inline void vmtest_write_kernel(struct vmtest *t, const void *bytes, size_t len)
{
	int fd;

	snprintf(t->kernel, sizeof(t->kernel), "/tmp/lkvm-vmtest-XXXXXX");
	fd = mkstemp(t->kernel);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	snprintf(t->cfg.kernel, sizeof(t->cfg.kernel), "%s", t->kernel);
}

static inline struct vmtest *vmtest_new(const struct fake_host *host)
{
	struct vmtest *t = calloc(1, sizeof(*t));
	static u8 file[VMARCH_KERNEL_MAX];

	assert_non_null(t);
	pthread_mutex_init(&t->lock, NULL);
	t->fk = fakekvm_new(host);
	lkvm_config_init(&t->cfg);
	snprintf(t->cfg.name, sizeof(t->cfg.name), "test");
	t->cfg.mem_size = 64 * MIB;
	t->cfg.console.out = vmtest_out;
	t->cfg.console.ctx = t;
	t->cfg.log = vmtest_log;
	t->cfg.log_ctx = t;
	vmtest_write_kernel(t, file, vmarch_kernel(file));
	return t;
}

static inline void vmtest_free(struct vmtest *t)
{
	lkvm_vm_destroy(t->vm);
	assert_string_equal(fakekvm_leaks(t->fk), "");
	assert_string_equal(fakekvm_complaints(t->fk), "");
	fakekvm_free(t->fk);
	unlink(t->kernel);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static inline void vmtest_create(struct vmtest *t)
{
	int ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);

	if (ret)
		fail_msg("create: %s", t->err.msg);
}

static inline void vmtest_start(struct vmtest *t)
{
	vmtest_create(t);
	if (lkvm_vm_start(t->vm, &t->err))
		fail_msg("start: %s", t->err.msg);
}

/* Wait for the end and take the result. */
static inline void vmtest_finish(struct vmtest *t)
{
	assert_int_equal(lkvm_vm_wait(t->vm, VMTEST_WAIT_MS), 0);
	assert_int_equal(lkvm_vm_state(t->vm), LKVM_STATE_STOPPED);
	lkvm_vm_result(t->vm, &t->res);
}

#define vmtest_script(t, cpu, steps) fakekvm_script((t)->fk, cpu, steps, ARRAY_SIZE(steps))

/* Boot with this script on vCPU 0 and expect this end. */
#define vmtest_run(t, steps, want_cause, want_status)                                        \
	do {                                                                                 \
		vmtest_script(t, 0, steps);                                                  \
		vmtest_start(t);                                                             \
		vmtest_finish(t);                                                            \
		if ((t)->res.cause != (want_cause))                                          \
			fail_msg("cause %s, wanted %s: %s", lkvm_cause_name((t)->res.cause), \
				 lkvm_cause_name(want_cause), (t)->res.detail);              \
		assert_int_equal((t)->res.exit_status, want_status);                         \
	} while (0)

#endif
