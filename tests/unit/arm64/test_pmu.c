/*
 * test_pmu.c - the PMU of arm64 guests, plain and partitioned by either posted interface: which
 * calls KVM gets in which order, and every error of theirs as a sentence (T2, on fakekvm).
 *
 * Does not prove that the series behave as fakekvm, made from their descriptions, does: no released
 * kernel has them. Nor that anything is counted.
 */
#include "tests/unit/vmtest.h"

#include <sched.h>
#include <sys/stat.h>

#include "linux-uapi/unmerged.h"

static const struct fake_step off[] = { FAKE_SYSTEM_EVENT(KVM_SYSTEM_EVENT_SHUTDOWN) };

/* ---- a host's /sys ------------------------------------------------------------------------ */

struct host {
	char sysfs[64];
};

static void make_dir(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static void host_open(struct host *h)
{
	char path[256];

	snprintf(h->sysfs, sizeof(h->sysfs), "/tmp/lkvm-test-sysfs-XXXXXX");
	assert_non_null(mkdtemp(h->sysfs));
	snprintf(path, sizeof(path), "%s/bus", h->sysfs);
	make_dir(path);
	strcat(path, "/event_source");
	make_dir(path);
	strcat(path, "/devices");
	make_dir(path);
}

static void put(const char *dir, const char *file, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* @cpus NULL: no CPU's PMU */
static void host_add(struct host *h, const char *name, const char *type, const char *cpus)
{
	char dir[256];

	snprintf(dir, sizeof(dir), "%s/bus/event_source/devices/%s", h->sysfs, name);
	make_dir(dir);
	put(dir, "type", type);
	if (cpus)
		put(dir, "cpus", cpus);
}

static void host_close(struct host *h)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", h->sysfs);
	assert_int_equal(system(command), 0);
}

/* A host with one kind of CPU, and something that is no CPU's. */
static struct vmtest *pmu_new(const struct fake_host *fake, struct host *h)
{
	struct vmtest *t = vmtest_new(fake);

	host_open(h);
	host_add(h, "armv8_pmuv3_0", "8\n", "0-1023\n");
	host_add(h, "breakpoint", "5\n", NULL);
	fakekvm_set_sysfs(t->fk, h->sysfs);
	t->cfg.arm64.pmu = true;
	return t;
}

static void pmu_free(struct vmtest *t, struct host *h)
{
	vmtest_free(t);
	host_close(h);
}

static void refused(struct vmtest *t, enum lkvm_error_kind kind, const char *words)
{
	int ret;

	t->err = (struct lkvm_error){ 0 };
	ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);
	assert_true(ret < 0);
	assert_null(t->vm);
	if (t->err.kind != kind || !strstr(t->err.msg, words))
		fail_msg("kind %d: %s (wanted '%s')", t->err.kind, t->err.msg, words);
	t->err = (struct lkvm_error){ 0 };
}

/* The words come in this order in the lines of @who. */
static void assert_order(struct vmtest *t, const char *who, const char *const *words, size_t n)
{
	char *text = fakekvm_transcript(t->fk, who), *at = text;

	for (size_t i = 0; i < n; i++) {
		char *next = strstr(at, words[i]);

		if (!next)
			fail_msg("no '%s' in its place in\n%s", words[i], text);
		at = next + 1;
	}
	free(text);
}

#define ASSERT_ORDER(t, who, ...)                                  \
	assert_order(t, who, (const char *const[]){ __VA_ARGS__ }, \
		     sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* As fakekvm's transcript names attributes of a vCPU. */
#define ATTR(attr) "KVM_SET_DEVICE_ATTR group 0 attr 0x" #attr

/* ---- plain -------------------------------------------------------------------------------- */

static void every_vcpu_gets_an_interrupt_and_is_initialised(void **state)
{
	struct host h;
	struct vmtest *t = pmu_new(&fakekvm_arm64, &h);

	(void)state;
	t->cfg.n_vcpus = 2;
	vmtest_run(t, off, LKVM_CAUSE_POWEROFF, 0);
	ASSERT_ORDER(t, "vcpu0", "KVM_ARM_VCPU_INIT", ATTR(3), ATTR(0), ATTR(1), "KVM_RUN");
	ASSERT_ORDER(t, "vcpu1", "KVM_ARM_VCPU_INIT", ATTR(0), ATTR(1));
	pmu_free(t, &h);
}

static void counters_and_filters_come_before_init(void **state)
{
	struct host h;
	struct vmtest *t = pmu_new(&fakekvm_arm64, &h);

	(void)state;
	t->cfg.arm64.pmu_counters = 2;
	t->cfg.arm64.n_pmu_filters = 2;
	t->cfg.arm64.pmu_filters[0] = (struct lkvm_pmu_filter){ false, 0, 0x3f };
	t->cfg.arm64.pmu_filters[1] = (struct lkvm_pmu_filter){ true, 0x11, 0x11 };
	vmtest_run(t, off, LKVM_CAUSE_POWEROFF, 0);
	ASSERT_ORDER(t, "vcpu0", ATTR(3), ATTR(2), ATTR(2), ATTR(0), ATTR(4), ATTR(1), "KVM_RUN");
	pmu_free(t, &h);
}

static void more_counters_than_there_are_is_said_with_how_many_there_are(void **state)
{
	struct host h;
	struct vmtest *t = pmu_new(&fakekvm_arm64, &h);

	(void)state;
	t->cfg.arm64.pmu_counters = 31;
	refused(t, LKVM_ERR_INPUT, "--pmu counters 31: this host's PMU has 6 event counters");
	pmu_free(t, &h);
}

/* ---- which PMU ------------------------------------------------------------------------------ */

/* Three kinds of CPU, of which the first may be this host's. */
static struct vmtest *different_new(struct host *h)
{
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	host_open(h);
	host_add(h, "armv8_cortex_a55", "8\n", "0-800\n");
	host_add(h, "armv8_cortex_a76", "8\n", "901\n");
	host_add(h, "armv8_cortex_a78", "8\n", "902\n");
	fakekvm_set_sysfs(t->fk, h->sysfs);
	t->cfg.arm64.pmu = true;
	return t;
}

static void where_cpus_differ_one_must_be_chosen(void **state)
{
	struct host h;
	struct vmtest *t = different_new(&h);

	(void)state;
	snprintf(t->cfg.vcpu_affinity, LKVM_CPULIST_MAX, "0,901");
	refused(t, LKVM_ERR_INPUT, "armv8_cortex_a55, armv8_cortex_a76, armv8_cortex_a78");

	snprintf(t->cfg.arm64.pmu_name, LKVM_PMU_NAME_MAX, "armv8_cortex_a57");
	refused(t, LKVM_ERR_INPUT, "host=armv8_cortex_a57: this host's CPUs have");

	/* by name; the CPUs it is on are not those the user said */
	snprintf(t->cfg.arm64.pmu_name, LKVM_PMU_NAME_MAX, "armv8_cortex_a78");
	refused(t, LKVM_ERR_INPUT, "host=armv8_cortex_a78: none of the CPUs");

	/* nor those that this process may use */
	t->cfg.vcpu_affinity[0] = '\0';
	refused(t, LKVM_ERR_INPUT, "host=armv8_cortex_a78: none of the CPUs");

	/* by the CPUs alone: the one that covers them */
	t->cfg.arm64.pmu_name[0] = '\0';
	vmtest_run(t, off, LKVM_CAUSE_POWEROFF, 0);
	pmu_free(t, &h);
}

static cpu_set_t allowed;

static void note_cpus(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	(void)fk;
	(void)vcpu;
	(void)ctx;
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
}

/* Run under taskset(1) as it were, with CPU 0 alone. */
static void run_on_cpu_0(struct vmtest *t)
{
	static const struct fake_step steps[] = {
		FAKE_CALL(note_cpus, NULL),
		FAKE_SYSTEM_EVENT(KVM_SYSTEM_EVENT_SHUTDOWN),
	};
	cpu_set_t old, one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	assert_int_equal(sched_getaffinity(0, sizeof(old), &old), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(sched_setaffinity(0, sizeof(old), &old), 0);
	assert_true(CPU_EQUAL(&allowed, &one));
}

static void a_pmu_takes_cpus_away_and_gives_none(void **state)
{
	struct host h;
	struct vmtest *t = pmu_new(&fakekvm_arm64, &h);

	(void)state;
	run_on_cpu_0(t);
	pmu_free(t, &h);

	/* which one is said by the CPUs of this process */
	t = different_new(&h);
	run_on_cpu_0(t);
	pmu_free(t, &h);
}

static void a_host_that_describes_no_pmu_is_said_so(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	t->cfg.arm64.pmu = true;
	refused(t, LKVM_ERR_UNSUPPORTED, "shows no PMU");
	vmtest_free(t);
}

/* ---- partition ------------------------------------------------------------------------------ */

static void run_partitioned(const struct fake_host *host, enum lkvm_pmu_partition_abi abi,
			    bool by_attr)
{
	struct host h;
	struct vmtest *t = pmu_new(host, &h);

	t->cfg.n_vcpus = 2;
	t->cfg.arm64.pmu = false; /* implied */
	t->cfg.arm64.pmu_partition = 4;
	t->cfg.arm64.pmu_partition_abi = abi;
	vmtest_run(t, off, LKVM_CAUSE_POWEROFF, 0);
	if (by_attr) {
		ASSERT_ORDER(t, "vcpu0", ATTR(3), ATTR(0), ATTR(5), ATTR(4), ATTR(1), "KVM_RUN");
		ASSERT_ORDER(t, "vcpu1", ATTR(0), ATTR(5), ATTR(1));
	} else {
		ASSERT_ORDER(t, "vcpu0", ATTR(3), ATTR(0), ATTR(4), ATTR(1),
			     "KVM_ARM_PARTITION_PMU", "KVM_RUN");
		ASSERT_ORDER(t, "vcpu1", ATTR(0), ATTR(1), "KVM_ARM_PARTITION_PMU");
	}
	pmu_free(t, &h);
}

static void auto_finds_whichever_interface_there_is(void **state)
{
	(void)state;
	run_partitioned(&fakekvm_arm64_partition_ioctl, LKVM_PMU_PARTITION_AUTO, false);
	run_partitioned(&fakekvm_arm64_partition_attr, LKVM_PMU_PARTITION_AUTO, true);
}

static void the_user_may_say_which(void **state)
{
	(void)state;
	run_partitioned(&fakekvm_arm64_partition_ioctl, LKVM_PMU_PARTITION_IOCTL, false);
	run_partitioned(&fakekvm_arm64_partition_attr, LKVM_PMU_PARTITION_ATTR, true);
}

static void refuse_partition(const struct fake_host *host, enum lkvm_pmu_partition_abi abi,
			     const char *words)
{
	struct host h;
	struct vmtest *t = pmu_new(host, &h);

	t->cfg.arm64.pmu_partition = 4;
	t->cfg.arm64.pmu_partition_abi = abi;
	refused(t, LKVM_ERR_UNSUPPORTED, words);
	pmu_free(t, &h);
}

static void a_released_kernel_cannot_and_that_is_said(void **state)
{
	(void)state;
	refuse_partition(&fakekvm_arm64, LKVM_PMU_PARTITION_AUTO, "neither an ioctl nor a vCPU");
	refuse_partition(&fakekvm_arm64, LKVM_PMU_PARTITION_IOCTL, "no ioctl");
	refuse_partition(&fakekvm_arm64, LKVM_PMU_PARTITION_ATTR, "no vCPU attribute");
	refuse_partition(&fakekvm_arm64_partition_ioctl, LKVM_PMU_PARTITION_ATTR,
			 "no vCPU attribute");
	refuse_partition(&fakekvm_arm64_partition_attr, LKVM_PMU_PARTITION_IOCTL, "no ioctl");
}

/* Its number is KVM_CAP_GUEST_MEMFD_FLAGS today. */
static void a_capability_of_that_number_is_not_believed(void **state)
{
	struct host h;
	struct vmtest *t = pmu_new(&fakekvm_arm64, &h);

	(void)state;
	fakekvm_set_cap(t->fk, 244, 1);
	fakekvm_set_cap(t->fk, 242, 1);
	t->cfg.arm64.pmu_partition = 4;
	refused(t, LKVM_ERR_UNSUPPORTED, "cannot partition");
	pmu_free(t, &h);
}

static void a_host_that_keeps_its_counters_is_told_what_to_boot_with(void **state)
{
	static const struct fake_host *const hosts[] = {
		&fakekvm_arm64_partition_ioctl_unconfigured,
		&fakekvm_arm64_partition_attr_unconfigured,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		refuse_partition(hosts[i], LKVM_PMU_PARTITION_AUTO,
				 "arm_pmuv3.reserved_host_counters=");
}

static void more_than_the_pmu_has_is_said_with_how_many_it_has(void **state)
{
	static const struct fake_host *const hosts[] = {
		&fakekvm_arm64_partition_ioctl,
		&fakekvm_arm64_partition_attr,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct host h;
		struct vmtest *t = pmu_new(hosts[i], &h);

		t->cfg.arm64.pmu_partition = 31;
		refused(t, LKVM_ERR_INPUT, "--pmu-partition 31: this host's PMU has");
		pmu_free(t, &h);
	}
}

/* The ioctl comes last, when the number was taken already: what there is to give is read then. */
static void fewer_than_asked_for_is_no_partition(void **state)
{
	struct host h;
	struct vmtest *t = pmu_new(&fakekvm_arm64_partition_ioctl, &h);

	(void)state;
	t->cfg.arm64.pmu_partition = 5; /* of 6, of which 4 can be given away */
	refused(t, LKVM_ERR_INPUT, "--pmu-partition 5: this host gives its guests 4");
	pmu_free(t, &h);
}

/* ---- every error of every step -------------------------------------------------------------- */

/*
 * The @nth request of this kind fails with each errno the documents name: one sentence, and EPERM
 * of a partition request at whichever step is about the host's parameter.
 */
static void every_errno_of_every_step_is_a_sentence(void **state)
{
	static const int codes[] = { EPERM, EBUSY, EINVAL, ENODEV, ENXIO, EFAULT, EEXIST, ENOEXEC };
	static const struct {
		const struct fake_host *host;
		unsigned long req;
		unsigned int n; /* of them, with all there is to set */
	} cases[] = {
		{ &fakekvm_arm64_partition_attr, KVM_SET_DEVICE_ATTR, 24 },
		{ &fakekvm_arm64_partition_ioctl, KVM_SET_DEVICE_ATTR, 24 },
		{ &fakekvm_arm64_partition_ioctl, KVM_ARM_PARTITION_PMU, 2 },
	};
	unsigned int n_refused = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned int nth = 1; nth <= cases[i].n; nth++) {
			for (size_t c = 0; c < ARRAY_SIZE(codes); c++) {
				struct host h;
				struct vmtest *t = pmu_new(cases[i].host, &h);
				int ret;

				t->cfg.arm64.pmu_partition = 4;
				t->cfg.arm64.n_pmu_filters = 1;
				t->cfg.arm64.pmu_filters[0] =
					(struct lkvm_pmu_filter){ true, 0x11, 0x11 };
				fakekvm_fail_request(t->fk, cases[i].req, nth, codes[c]);
				ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm,
						   &t->err);
				if (ret) {
					n_refused++;
					assert_null(t->vm);
					assert_true(strlen(t->err.msg) > 20);
					assert_null(strchr(t->err.msg, '\n'));
				}
				if (ret && strstr(fakekvm_failed_call(t->fk), "PARTITION") &&
				    codes[c] == EPERM)
					assert_non_null(
						strstr(t->err.msg, "reserved_host_counters"));
				pmu_free(t, &h);
			}
		}
	}
	assert_true(n_refused > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vcpu_gets_an_interrupt_and_is_initialised),
		cmocka_unit_test(counters_and_filters_come_before_init),
		cmocka_unit_test(more_counters_than_there_are_is_said_with_how_many_there_are),
		cmocka_unit_test(where_cpus_differ_one_must_be_chosen),
		cmocka_unit_test(a_pmu_takes_cpus_away_and_gives_none),
		cmocka_unit_test(a_host_that_describes_no_pmu_is_said_so),
		cmocka_unit_test(auto_finds_whichever_interface_there_is),
		cmocka_unit_test(the_user_may_say_which),
		cmocka_unit_test(a_released_kernel_cannot_and_that_is_said),
		cmocka_unit_test(a_capability_of_that_number_is_not_believed),
		cmocka_unit_test(a_host_that_keeps_its_counters_is_told_what_to_boot_with),
		cmocka_unit_test(more_than_the_pmu_has_is_said_with_how_many_it_has),
		cmocka_unit_test(fewer_than_asked_for_is_no_partition),
		cmocka_unit_test(every_errno_of_every_step_is_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
