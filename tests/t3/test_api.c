/*
 * test_api.c - the public API on this host's KVM with guests of our own (T3).
 *
 * Links liblkvm.so alone, as an embedder would. Does not prove that stock kernels
 * survive a pause: the guests here have no clock to be upset.
 */

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <lkvm.h>

#define WAIT_MS 120000 /* a hang, not a slow host */
#define N_VMS	6

struct guest {
	struct lkvm_config cfg;
	struct lkvm_vm *vm;
	char out[4096];
	size_t n_out;
};

static void keep(void *ctx, const void *data, size_t len)
{
	struct guest *g = ctx;

	if (len > sizeof(g->out) - g->n_out)
		len = sizeof(g->out) - g->n_out;
	memcpy(g->out + g->n_out, data, len);
	g->n_out += len;
}

static void start(struct guest *g, const char *kernel, const char *params)
{
	const char *build = getenv("LKVM_BUILD");
	struct lkvm_error err = { 0 };

	memset(g, 0, sizeof(*g));
	lkvm_config_init(&g->cfg);
	snprintf(g->cfg.kernel, sizeof(g->cfg.kernel), "%s/tests/guests/%s.elf",
		 build ? build : "build/x86", kernel);
	snprintf(g->cfg.cmdline, sizeof(g->cfg.cmdline), "%s", params);
	g->cfg.mem_size = 16 << 20;
	g->cfg.console.out = keep;
	g->cfg.console.ctx = g;
	if (lkvm_vm_create(&g->cfg, &g->vm, &err) || lkvm_vm_start(g->vm, &err))
		fail_msg("%s: %s", kernel, err.msg);
}

static enum lkvm_cause end(struct guest *g)
{
	struct lkvm_result res;

	assert_int_equal(lkvm_vm_wait(g->vm, WAIT_MS), 0);
	assert_int_equal(lkvm_vm_result(g->vm, &res), 0);
	lkvm_vm_destroy(g->vm);
	return res.cause;
}

static uint64_t exits(struct lkvm_vm *vm)
{
	struct lkvm_result res;
	uint64_t n = 0;

	lkvm_vm_result(vm, &res);
	for (int i = 0; i < LKVM_N_EXIT_REASONS; i++)
		n += res.exits[i];
	return n;
}

static void nap(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static void many_machines_run_at_once(void **state)
{
	static struct guest g[N_VMS];
	char want[64];

	(void)state;
	for (int i = 0; i < N_VMS; i++) {
		char params[16];

		snprintf(params, sizeof(params), "guest %d", i);
		start(&g[i], "hello", params);
	}
	for (int i = 0; i < N_VMS; i++) {
		assert_int_equal(end(&g[i]), LKVM_CAUSE_POWEROFF);
		snprintf(want, sizeof(want), ": guest %d\n", i);
		g[i].out[sizeof(g[i].out) - 1] = 0;
		assert_non_null(strstr(g[i].out, want));
	}
}

static void a_paused_guest_stands_still_and_goes_on(void **state)
{
	static struct guest g;

	(void)state;
	start(&g, "flood", "lines=1000000");
	while (exits(g.vm) < 100)
		nap(1);
	for (int i = 0; i < 10; i++) {
		uint64_t before, after;

		assert_int_equal(lkvm_vm_pause(g.vm), 0);
		assert_int_equal(lkvm_vm_state(g.vm), LKVM_STATE_PAUSED);
		before = exits(g.vm);
		nap(20);
		after = exits(g.vm);
		assert_true(before == after);
		assert_int_equal(lkvm_vm_resume(g.vm), 0);
		for (int n = 0; n < 1000 && exits(g.vm) == after; n++)
			nap(10);
		assert_true(exits(g.vm) > after);
	}
	lkvm_vm_stop(g.vm);
	assert_int_equal(end(&g), LKVM_CAUSE_USER);
}

static void a_guest_that_never_exits_is_paused_stopped_and_destroyed(void **state)
{
	static struct guest g;

	(void)state;
	for (int i = 0; i < 5; i++) {
		start(&g, "spin", "");
		nap(20);
		assert_int_equal(lkvm_vm_pause(g.vm), 0);
		assert_int_equal(lkvm_vm_wait(g.vm, 0), -ETIMEDOUT);
		assert_int_equal(lkvm_vm_resume(g.vm), 0);
		nap(5);
		lkvm_vm_stop(g.vm);
		assert_int_equal(end(&g), LKVM_CAUSE_USER);

		start(&g, "spin", "");
		lkvm_vm_destroy(g.vm);
	}
}

static void a_vcpu_is_stopped_when_no_signal_can_be_queued(void **state)
{
	static struct guest g;
	struct rlimit none, before;

	(void)state;
	start(&g, "spin", "");
	nap(20);
	assert_int_equal(getrlimit(RLIMIT_SIGPENDING, &before), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &none), 0);
	assert_int_equal(lkvm_vm_pause(g.vm), 0);
	assert_int_equal(lkvm_vm_resume(g.vm), 0);
	lkvm_vm_stop(g.vm);
	assert_int_equal(end(&g), LKVM_CAUSE_USER);
	setrlimit(RLIMIT_SIGPENDING, &before);
}

static void input_and_output_by_function(void **state)
{
	static struct guest g;

	(void)state;
	start(&g, "echo", "");
	assert_int_equal(lkvm_vm_console_write(g.vm, "ping\nq", 6), 6);
	assert_int_equal(end(&g), LKVM_CAUSE_POWEROFF);
	g.out[sizeof(g.out) - 1] = 0;
	assert_non_null(strstr(g.out, "ping"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_machines_run_at_once),
		cmocka_unit_test(a_paused_guest_stands_still_and_goes_on),
		cmocka_unit_test(a_guest_that_never_exits_is_paused_stopped_and_destroyed),
		cmocka_unit_test(a_vcpu_is_stopped_when_no_signal_can_be_queued),
		cmocka_unit_test(input_and_output_by_function),
	};

	if (access("/dev/kvm", R_OK | W_OK)) {
		printf("1..0 # SKIP /dev/kvm cannot be used\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
