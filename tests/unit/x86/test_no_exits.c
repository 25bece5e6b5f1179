/*
 * test_no_exits.c - --disable-exits: what is asked of KVM, and where vCPUs run (T2, on fakekvm).
 *
 * Does not prove that a guest leaves less often: tests/t4/x86/aperfmperf.sh counts that.
 */
#include "tests/unit/vmtest.h"

#include <sched.h>

#include "arch/x86/no_exits.h"
#include "linux-uapi/kvm.h"
#include "vmm/cpumask.h"

static struct vmtest *vm_new(unsigned int no_exits, int mask)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd);

	fakekvm_set_cap(t->fk, KVM_CAP_X86_DISABLE_EXITS, mask);
	t->cfg.x86.no_exits = no_exits;
	return t;
}

static int create(struct vmtest *t)
{
	return vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);
}

/* The place of a line of the transcript that has @text; -1: there is none. */
static long at(struct vmtest *t, const char *text)
{
	char *all = fakekvm_transcript(t->fk, NULL);
	const char *p = strstr(all, text);
	long pos = p ? p - all : -1;

	free(all);
	return pos;
}

static unsigned int n_cpus(void)
{
	struct cpu_mask cpus;

	cpu_mask_current(&cpus);
	return cpu_mask_count(&cpus);
}

static int nth_cpu(unsigned int n)
{
	struct cpu_mask cpus;

	cpu_mask_current(&cpus);
	return cpu_mask_nth(&cpus, n);
}

static void unknown_bits_are_input(void **state)
{
	struct lkvm_config cfg;
	struct lkvm_error err = { 0 };

	(void)state;
	lkvm_config_init(&cfg);
	cfg.x86.no_exits = LKVM_X86_NO_EXIT_ALL + 1;
	assert_int_equal(x86_no_exits_check(&cfg, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(err.msg, "--disable-exits 0x20"));
	cfg.x86.no_exits = LKVM_X86_NO_EXIT_ALL;
	assert_int_equal(x86_no_exits_check(&cfg, &err), 0);
}

static void kvm_is_asked_once_before_vcpus_and_only_if_need_be(void **state)
{
	struct vmtest *t = vm_new(LKVM_X86_NO_EXIT_HLT | LKVM_X86_NO_EXIT_PAUSE, 15);

	(void)state;
	t->cfg.n_vcpus = 2;
	assert_int_equal(create(t), 0);
	assert_true(at(t, "KVM_ENABLE_CAP 143 0x6 = 0") > 0);
	assert_true(at(t, "KVM_ENABLE_CAP 143 0x6 = 0") < at(t, "KVM_CREATE_VCPU"));
	vmtest_free(t);

	t = vm_new(0, 31);
	assert_int_equal(create(t), 0);
	assert_int_equal(at(t, "KVM_ENABLE_CAP 143"), -1);
	vmtest_free(t);
}

static void what_the_host_does_not_allow_is_named(void **state)
{
	static const struct {
		unsigned int bit;
		const char *name, *takes;
	} bits[] = {
		{ LKVM_X86_NO_EXIT_MWAIT, "mwait", "ARAT" },
		{ LKVM_X86_NO_EXIT_HLT, "hlt", "mitigate_smt_rsb" },
		{ LKVM_X86_NO_EXIT_PAUSE, "pause", "does not allow it" },
		{ LKVM_X86_NO_EXIT_CSTATE, "cstate", "mitigate_smt_rsb" },
		{ LKVM_X86_NO_EXIT_APERFMPERF, "aperfmperf", "Linux 6.17" },
	};
	char want[60];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		struct vmtest *t =
			vm_new(LKVM_X86_NO_EXIT_ALL, (int)(LKVM_X86_NO_EXIT_ALL & ~bits[i].bit));

		assert_true(create(t) < 0);
		assert_int_equal(t->err.kind, LKVM_ERR_UNSUPPORTED);
		snprintf(want, sizeof(want), "--disable-exits %s: this host's KVM", bits[i].name);
		assert_non_null(strstr(t->err.msg, want));
		assert_non_null(strstr(t->err.msg, bits[i].takes));
		assert_int_equal(at(t, "KVM_ENABLE_CAP 143"), -1);
		vmtest_free(t);
	}
}

static void a_refusal_after_all_is_a_host_error(void **state)
{
	struct vmtest *t = vm_new(LKVM_X86_NO_EXIT_HLT, 15);

	(void)state;
	fakekvm_fail_request(t->fk, KVM_ENABLE_CAP, 1, EINVAL);
	assert_true(create(t) < 0);
	assert_int_equal(t->err.kind, LKVM_ERR_HOST);
	assert_non_null(strstr(t->err.msg, "KVM_CAP_X86_DISABLE_EXITS"));
	vmtest_free(t);
}

/* ---- where vCPUs run -------------------------------------------------------------------- */

static cpu_set_t ran_on[2];

static void look(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	(void)fk;
	(void)ctx;
	sched_getaffinity(0, sizeof(ran_on[vcpu]), &ran_on[vcpu]);
}

#define GPA_SEEN 0x100000 /* where the second vCPU says that it has looked */

static const struct fake_step look_and_halt[] = {
	FAKE_CALL(look, NULL),
	FAKE_STORE(GPA_SEEN, 1, 1),
	FAKE_HALT,
};

static void wait_for_the_other(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	volatile u8 *seen = fakekvm_gpa(fk, GPA_SEEN, 1);

	(void)vcpu;
	(void)ctx;
	for (int i = 0; i < 5000 && !*seen; i++)
		usleep(1000);
}

static const struct fake_step look_alone[] = {
	FAKE_CALL(look, NULL),
	FAKE_OUT(0x604, 2, 0x3400),
};

static const struct fake_step look_last[] = {
	FAKE_CALL(look, NULL),
	FAKE_CALL(wait_for_the_other, NULL),
	FAKE_OUT(0x604, 2, 0x3400),
};

static void run_two(struct vmtest *t)
{
	memset(ran_on, 0, sizeof(ran_on));
	t->cfg.n_vcpus = 2;
	vmtest_script(t, 1, look_and_halt);
	vmtest_run(t, look_last, LKVM_CAUSE_POWEROFF, 0);
}

static void each_vcpu_has_a_cpu_to_itself(void **state)
{
	struct vmtest *t;

	(void)state;
	if (n_cpus() < 2) {
		print_message("# SKIP each_vcpu_has_a_cpu_to_itself: one CPU here\n");
		skip();
	}
	t = vm_new(LKVM_X86_NO_EXIT_APERFMPERF, 31);
	run_two(t);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(CPU_COUNT(&ran_on[i]), 1);
		assert_true(CPU_ISSET(nth_cpu(i), &ran_on[i]));
	}
	assert_non_null(strstr(t->log, "each vCPU is pinned"));
	assert_non_null(strstr(t->log, "the TSC is not scaled"));
	vmtest_free(t);

	/* other exits do not need it */
	t = vm_new(LKVM_X86_NO_EXIT_HLT, 31);
	run_two(t);
	assert_int_equal(CPU_COUNT(&ran_on[0]), n_cpus());
	assert_string_equal(t->log, "");
	vmtest_free(t);
}

static void affinity_says_which(void **state)
{
	struct vmtest *t = vm_new(LKVM_X86_NO_EXIT_APERFMPERF, 31);
	unsigned int last = n_cpus() - 1;

	(void)state;
	snprintf(t->cfg.vcpu_affinity, sizeof(t->cfg.vcpu_affinity), "%d", nth_cpu(last));
	memset(ran_on, 0, sizeof(ran_on));
	vmtest_run(t, look_alone, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(CPU_COUNT(&ran_on[0]), 1);
	assert_true(CPU_ISSET(nth_cpu(last), &ran_on[0]));
	assert_string_equal(t->log, ""); /* it was asked for */
	vmtest_free(t);

	t = vm_new(LKVM_X86_NO_EXIT_APERFMPERF, 31);
	t->cfg.n_vcpus = 2;
	snprintf(t->cfg.vcpu_affinity, sizeof(t->cfg.vcpu_affinity), "%d", nth_cpu(last));
	assert_int_equal(create(t), -EINVAL);
	assert_int_equal(t->err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(t->err.msg, "there are 1 by --vcpu-affinity"));
	vmtest_free(t);
}

static void more_vcpus_than_cpus_are_refused(void **state)
{
	struct vmtest *t = vm_new(LKVM_X86_NO_EXIT_APERFMPERF, 31);

	(void)state;
	t->cfg.n_vcpus = n_cpus() + 1;
	assert_int_equal(create(t), -EINVAL);
	assert_int_equal(t->err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(t->err.msg, "--disable-exits aperfmperf: --cpus"));
	assert_int_equal(at(t, "KVM_CREATE_VCPU"), -1);
	vmtest_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_bits_are_input),
		cmocka_unit_test(kvm_is_asked_once_before_vcpus_and_only_if_need_be),
		cmocka_unit_test(what_the_host_does_not_allow_is_named),
		cmocka_unit_test(a_refusal_after_all_is_a_host_error),
		cmocka_unit_test(each_vcpu_has_a_cpu_to_itself),
		cmocka_unit_test(affinity_says_which),
		cmocka_unit_test(more_vcpus_than_cpus_are_refused),
	};

	return cmocka_run_group_tests_name("no_exits", tests, NULL, NULL);
}
