/*
 * What a whole machine tells KVM of its CPUs: CPUID, the MSRs that go with it, --nested,
 * --disable-exits and --dump-cpuid (T2, on fakekvm).
 *
 * Does not prove that a KVM takes it, or what a guest sees then (tests/t3/x86/cpu.sh).
 */
#include "tests/unit/vmtest.h"

#include <sys/stat.h>

#include "arch/x86/cpu_model.h"
#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"

static const struct fake_step poweroff[] = { FAKE_OUT(0x604, 2, 0x3400) };

/* Everything before the first KVM_RUN. The caller frees. */
static char *setup(struct vmtest *t)
{
	return fakekvm_transcript(t->fk, "setup");
}

static void assert_has(const char *text, const char *want, bool has)
{
	if (!strstr(text, want) == has)
		fail_msg("%s is %s in:\n%s", want, has ? "not" : "", text);
}

static struct kvm_cpuid2 *cpuid_of(struct vmtest *t, unsigned int vcpu)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + 256 * sizeof(c->entries[0]));

	assert_non_null(c);
	c->nent = 256;
	assert_int_equal(fakekvm_vcpu_get(t->fk, vcpu, KVM_GET_CPUID2, c), 0);
	return c;
}

static void refused(struct vmtest *t, enum lkvm_error_kind kind, const char *want)
{
	assert_int_not_equal(vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err), 0);
	assert_int_equal(t->err.kind, kind);
	if (!strstr(t->err.msg, want))
		fail_msg("\"%s\" is not: %s", want, t->err.msg);
}

static void vmx_is_on_and_locked_where_it_is_shown(void **state)
{
	struct vmtest *t;
	char *text;

	(void)state;
	for (int nested = 0; nested < 2; nested++) {
		t = vmtest_new(&fakekvm_x86_intel_next);
		t->cfg.nested = nested;
		t->cfg.n_vcpus = 2;
		vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
		text = setup(t);
		assert_has(text, "0x3a=0x5", nested);
		free(text);
		for (unsigned int i = 0; i < 2; i++) {
			struct kvm_cpuid2 *c = cpuid_of(t, i);

			assert_int_equal(cpu_feature_shown(c, CPU_F_vmx), nested);
			free(c);
		}
		vmtest_free(t);
	}
}

static void svm_takes_no_msr(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd_next);
	struct kvm_cpuid2 *c;
	char *text;

	(void)state;
	t->cfg.nested = true;
	vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
	text = setup(t);
	assert_has(text, "0x3a=", false);
	free(text);
	c = cpuid_of(t, 0);
	assert_true(cpu_feature_shown(c, CPU_F_svm));
	assert_true(cpu_feature_shown(c, CPU_F_npt));
	free(c);
	vmtest_free(t);
}

static void nested_is_refused_where_kvm_does_not_offer_it(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel_software);

	(void)state;
	t->cfg.nested = true;
	refused(t, LKVM_ERR_UNSUPPORTED, "--nested: this host's KVM does not offer VMX to guests");
	vmtest_free(t);
}

/* BTS and PEBS (bits 11 and 12) are not there, EMON (7) is with a PMU, MWAIT (18) if shown. */
static void misc_enable_agrees_with_cpuid(void **state)
{
	static const struct {
		const struct fake_host *host;
		const char *cpu;
		unsigned int no_exits;
		const char *want;
	} rows[] = {
		{ &fakekvm_x86_intel_next, "", 0, "0x1a0=0x1881 " },
		{ &fakekvm_x86_intel_next, "", LKVM_X86_NO_EXIT_MWAIT, "0x1a0=0x41881 " },
		{ &fakekvm_x86_intel_next, "conservative", 0, "0x1a0=0x1 " },
		{ &fakekvm_x86_amd_next, "", 0, "0x1a0=0x1 " },
		{ &fakekvm_x86_intel_software, "", 0, "0x1a0=0x1 " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vmtest *t = vmtest_new(rows[i].host);
		char *text;

		snprintf(t->cfg.x86.cpu, sizeof(t->cfg.x86.cpu), "%s", rows[i].cpu);
		t->cfg.x86.no_exits = rows[i].no_exits;
		vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
		text = setup(t);
		assert_has(text, rows[i].want, true);
		free(text);
		vmtest_free(t);
	}
}

static void arch_capabilities_is_never_written(void **state)
{
	(void)state;
	for (unsigned int i = 0; fakekvm_hosts[i]; i++) {
		struct vmtest *t = vmtest_new(fakekvm_hosts[i]);
		char *text;

		vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
		text = setup(t);
		assert_has(text, "KVM_SET_MSRS", true);
		assert_has(text, "0x10a=", false);
		free(text);
		vmtest_free(t);
	}
}

static void aperfmperf_is_shown_and_the_tsc_is_looked_at(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel_next);
	struct kvm_cpuid2 *c;
	char *text;

	(void)state;
	fakekvm_set_cap(t->fk, KVM_CAP_X86_DISABLE_EXITS, 31);
	t->cfg.x86.no_exits = LKVM_X86_NO_EXIT_APERFMPERF;
	t->cfg.log_level = LKVM_LOG_INFO;
	vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
	c = cpuid_of(t, 0);
	assert_true(cpu_feature_shown(c, CPU_F_aperfmperf));
	free(c);
	assert_has(t->log, "the TSC of vCPUs is not scaled: 2300000 kHz, as the host's", true);
	text = setup(t);
	assert_has(text, "KVM_GET_TSC_KHZ", true);
	assert_has(text, "KVM_SET_TSC_KHZ", false);
	free(text);
	vmtest_free(t);
}

static void without_the_option_there_is_no_aperfmperf(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel_next);
	struct kvm_cpuid2 *c;

	(void)state;
	fakekvm_set_cap(t->fk, KVM_CAP_X86_DISABLE_EXITS, 31);
	vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
	c = cpuid_of(t, 0);
	assert_false(cpu_feature_shown(c, CPU_F_aperfmperf));
	free(c);
	vmtest_free(t);
}

/* ---- the model ------------------------------------------------------------------------------ */

static void the_model_is_that_of_each_cpu(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd_next);

	(void)state;
	snprintf(t->cfg.x86.cpu, sizeof(t->cfg.x86.cpu), "host,-shstk,-avx");
	t->cfg.n_vcpus = 3;
	vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
	for (unsigned int i = 0; i < 3; i++) {
		struct kvm_cpuid2 *c = cpuid_of(t, i);

		assert_false(cpu_feature_shown(c, CPU_F_shstk));
		assert_false(cpu_feature_shown(c, CPU_F_avx2));
		assert_true(cpu_feature_shown(c, CPU_F_xsave));
		free(c);
	}
	vmtest_free(t);
}

static void words_that_are_wrong_are_refused_before_kvm_is_asked(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd);

	(void)state;
	snprintf(t->cfg.x86.cpu, sizeof(t->cfg.x86.cpu), "host,+avx2,-avx");
	refused(t, LKVM_ERR_INPUT, "+avx2 depends on avx");
	assert_int_equal(fakekvm_n_calls(t->fk), 0);
	vmtest_free(t);
}

static void what_the_host_lacks_is_refused(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd);

	(void)state;
	snprintf(t->cfg.x86.cpu, sizeof(t->cfg.x86.cpu), "host,+ibt");
	refused(t, LKVM_ERR_UNSUPPORTED, "--cpu +ibt: only Intel's processors have it");
	vmtest_free(t);
}

/* ---- dumps ------------------------------------------------------------------------------------
 */

static void a_dump_is_written(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd_next);
	char path[64] = "/tmp/lkvm-cpuid-XXXXXX", text[256] = "";
	int fd = mkstemp(path);
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	snprintf(t->cfg.x86.dump_cpuid, sizeof(t->cfg.x86.dump_cpuid), "%s", path);
	vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_has(text, "# CPUID of vCPU 0: ", true);
	assert_has(text,
		   "\n0x00000000.0  eax offered=0x00000010 passed=0x00000010 kvm=0x00000010\n",
		   true);
	assert_int_equal(fstat(fd, &st), 0);
	assert_in_range(st.st_size, 10000, 100000);
	close(fd);
	unlink(path);
	vmtest_free(t);
}

static void a_dump_does_not_overwrite_the_kernel(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd_next);

	(void)state;
	snprintf(t->cfg.x86.dump_cpuid, sizeof(t->cfg.x86.dump_cpuid), "%s", t->kernel);
	refused(t, LKVM_ERR_INPUT, "--dump-cpuid");
	assert_has(t->err.msg, "is also the --kernel", true);
	vmtest_free(t);
}

static void a_dump_that_cannot_be_made_is_an_error(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd_next);

	(void)state;
	snprintf(t->cfg.x86.dump_cpuid, sizeof(t->cfg.x86.dump_cpuid), "/tmp/lkvm-none");
	fakekvm_fail_request(t->fk, KVM_GET_CPUID2, 1, EIO);
	refused(t, LKVM_ERR_HOST, "KVM_GET_CPUID2");
	assert_int_not_equal(access("/tmp/lkvm-none", F_OK), 0);
	vmtest_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vmx_is_on_and_locked_where_it_is_shown),
		cmocka_unit_test(svm_takes_no_msr),
		cmocka_unit_test(nested_is_refused_where_kvm_does_not_offer_it),
		cmocka_unit_test(misc_enable_agrees_with_cpuid),
		cmocka_unit_test(arch_capabilities_is_never_written),
		cmocka_unit_test(aperfmperf_is_shown_and_the_tsc_is_looked_at),
		cmocka_unit_test(without_the_option_there_is_no_aperfmperf),
		cmocka_unit_test(the_model_is_that_of_each_cpu),
		cmocka_unit_test(words_that_are_wrong_are_refused_before_kvm_is_asked),
		cmocka_unit_test(what_the_host_lacks_is_refused),
		cmocka_unit_test(a_dump_is_written),
		cmocka_unit_test(a_dump_does_not_overwrite_the_kernel),
		cmocka_unit_test(a_dump_that_cannot_be_made_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
