/*
 * test_nth.c - every call to KVM of a whole boot fails once (T2, on fakekvm).
 *
 * Whichever it is, creating or running the VM ends with one message, nothing stays open
 * or mapped, and nothing crashes. Does not prove anything about errors KVM returns
 * that the calls here do not see, nor about calls to the host (test_faults.c).
 */
#include "tests/unit/vmtest.h"

#include "linux-uapi/kvm.h"

/* A boot that uses most of what there is: two vCPUs, output, an interrupt, a reset, a pause. */
static const struct fake_step guest[] = {
	FAKE_PRINT(COM1, "hello\n"), FAKE_OUT(COM1 + 4, 1, 0x0b),
	FAKE_OUT(COM1 + 1, 1, 0x02), /* raises and lowers IRQ 4 */
	FAKE_IN(COM1 + 2, 1),	     FAKE_OUT(0x604, 2, 0x3400),
};

static const struct fake_step guest_ap[] = { FAKE_HALT };

/* Boot with the @nth call failing. True when that call was never made: the boot is through. */
static bool boot(const struct fake_host *host, unsigned long nth, int code)
{
	struct vmtest *t = vmtest_new(host);
	const char *failed;
	bool through;
	int ret;

	t->cfg.n_vcpus = 2;
	t->cfg.mem_size = 64 * MIB;
	vmtest_script(t, 0, guest);
	vmtest_script(t, 1, guest_ap);
	fakekvm_fail_nth(t->fk, nth, code);
	ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);
	if (ret) {
		assert_null(t->vm);
		assert_true(ret < 0);
		assert_int_not_equal(t->err.kind, LKVM_ERR_NONE);
		assert_true(strlen(t->err.msg) > 5);
	} else {
		assert_int_equal(lkvm_vm_start(t->vm, &t->err), 0);
		vmtest_finish(t);
		assert_true(t->res.detail[0]);
		/* Ends for the failure, or is not hurt by it; never something else. */
		if (t->res.cause != LKVM_CAUSE_POWEROFF)
			assert_true(t->res.cause == LKVM_CAUSE_HOST_ERROR ||
				    t->res.cause == LKVM_CAUSE_INTERNAL_ERROR);
	}
	failed = fakekvm_failed_call(t->fk);
	through = !failed;
	if (failed && !ret && t->res.cause == LKVM_CAUSE_POWEROFF && !t->log[0] &&
	    !strstr(failed, "KVM_CHECK_EXTENSION") && !strstr(failed, "KVM_KVMCLOCK_CTRL") &&
	    !strstr(failed, "KVM_RUN") && !(code == EINTR && strstr(failed, "KVM_CREATE_VM")))
		fail_msg("nobody said that this failed: %s", failed);
	vmtest_free(t);
	return through;
}

static void every_call_fails_once(const struct fake_host *host, int code)
{
	unsigned long nth = 1;

	while (!boot(host, nth, code)) {
		nth++;
		assert_true(nth < 1000);
	}
	print_message("# %lu calls, each failed once with errno %d\n", nth - 1, code);
	assert_true(nth > 30);
}

static void every_call_fails_once_on_intel(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_x86_intel, ENOMEM);
}

static void every_call_fails_once_on_amd(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_x86_amd, EINVAL);
}

static void every_call_is_interrupted_once(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_x86_amd, EINTR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fails_once_on_intel),
		cmocka_unit_test(every_call_fails_once_on_amd),
		cmocka_unit_test(every_call_is_interrupted_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
