/*
 * test_nth.c - every call to KVM of a whole boot of an arm64 machine fails once (T2, on fakekvm).
 *
 * With all there is to set up. Whichever call it is, creating or running the VM ends with one
 * message, nothing stays open or mapped, and nothing crashes. Does not prove anything about errors
 * KVM returns that the calls here do not see; virtio devices are tests/unit/x86/test_nth.c's.
 */
#include "tests/unit/vmtest.h"

#include "arch/arm64/layout.h"
#include "linux-uapi/unmerged.h"

static const struct fake_step steps[] = {
	FAKE_STORE(ARM64_UART_BASE, 1, 'x'),	  FAKE_STORE(ARM64_UART_BASE + 4, 1, 0x0b),
	FAKE_STORE(ARM64_UART_BASE + 1, 1, 0x02), /* raises and lowers its interrupt */
	FAKE_LOAD(ARM64_UART_BASE + 2, 1),	  FAKE_SYSTEM_EVENT(KVM_SYSTEM_EVENT_SHUTDOWN),
};
static const struct fake_step other_steps[] = { FAKE_HALT };

/* Calls whose failure means that something is not there, which is as good. */
static bool may_fail_silently(const char *failed, int code)
{
	static const char *const calls[] = {
		"KVM_CHECK_EXTENSION", "KVM_HAS_DEVICE_ATTR", "KVM_CREATE_DEVICE", "KVM_RUN",
		"KVM_GET_MP_STATE",
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (strstr(failed, calls[i]))
			return true;
	}
	return code == EINTR && strstr(failed, "KVM_CREATE_VM");
}

/* Boot with the @nth call failing. True when that call was never made: the boot is through. */
static bool boot(const struct fake_host *host, const struct lkvm_config *cfg, unsigned long nth,
		 int code)
{
	struct vmtest *t = vmtest_new(host);
	const char *failed;
	bool through;
	int ret;

	t->cfg.n_vcpus = 2;
	t->cfg.nested = cfg->nested;
	t->cfg.arm64 = cfg->arm64;
	t->cfg.rng = true;
	vmtest_script(t, 0, steps);
	vmtest_script(t, 1, other_steps);
	fakekvm_fail_nth(t->fk, nth, code);
	ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);
	if (ret) {
		assert_null(t->vm);
		assert_int_not_equal(t->err.kind, LKVM_ERR_NONE);
		assert_true(strlen(t->err.msg) > 5);
		assert_null(strchr(t->err.msg, '\n'));
	} else {
		assert_int_equal(lkvm_vm_start(t->vm, &t->err), 0);
		vmtest_finish(t);
		assert_true(t->res.detail[0]);
		if (t->res.cause != LKVM_CAUSE_POWEROFF)
			assert_true(t->res.cause == LKVM_CAUSE_HOST_ERROR ||
				    t->res.cause == LKVM_CAUSE_INTERNAL_ERROR);
	}
	failed = fakekvm_failed_call(t->fk);
	through = !failed;
	if (failed && !ret && t->res.cause == LKVM_CAUSE_POWEROFF && !t->log[0] &&
	    !may_fail_silently(failed, code))
		fail_msg("nobody said that this failed: %s", failed);
	vmtest_free(t);
	return through;
}

static void every_call_fails_once(const struct fake_host *host, const struct lkvm_config *cfg,
				  int code)
{
	unsigned long nth = 1;

	while (!boot(host, cfg, nth, code)) {
		nth++;
		assert_true(nth < 2000);
	}
	print_message("# %lu calls, each failed once with errno %d\n", nth - 1, code);
	assert_true(nth > 40);
}

static const struct lkvm_config plain;
static const struct lkvm_config nested = {
	.nested = true,
	.arm64 = { .e2h0 = true, .counter_offset = 1000 },
};

static void every_call_fails_once_on_a_plain_machine(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_arm64, &plain, ENOMEM);
	every_call_fails_once(&fakekvm_arm64_gicv2, &plain, EINVAL);
}

static void every_call_fails_once_on_a_nested_one(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_arm64, &nested, EINVAL);
}

static void every_call_fails_once_with_all_extensions(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_arm64_full, &plain, EBUSY);
}

static void every_call_is_interrupted_once(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_arm64, &plain, EINTR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fails_once_on_a_plain_machine),
		cmocka_unit_test(every_call_fails_once_on_a_nested_one),
		cmocka_unit_test(every_call_fails_once_with_all_extensions),
		cmocka_unit_test(every_call_is_interrupted_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
