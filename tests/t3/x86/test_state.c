/*
 * test_state.c - a guest is stopped, everything there is to know of it is put into another machine,
 * and it goes on there as if nothing had happened (T3: real KVM on x86-64).
 *
 * The guest is tests/guests/x86/state.c. Does not prove that a stock kernel survives the move, nor
 * that another host takes the state: both machines are on this one. Devices are left in their
 * reset state, which is all this guest needs. What the host's KVM lacks is skipped by name.
 */
#include "tests/unit/x86/staterig.h"

#include <time.h>

#include "arch/x86/cpuid.h"
#include "linux-uapi/kvm.h"
#include "tests/guests/x86/state.h"

#define N_VCPUS	 3 /* 0 does everything, 1 was started by it and sleeps, 2 is never started */
#define MEM_SIZE (16 * MIB)
#define WAIT_S	 60
#define PAUSE_MS 3000 /* longer than the error that check_tsc() allows */

#define EFER_SVME BIT(12)
#define CPUID_SVM BIT(2) /* 0x80000001: ECX */

#define MSR_TSC	       0x10
#define MSR_U_CET      0x6a0
#define MSR_MC0_STATUS 0x401
#define MSR_LSTAR      0xc0000082

static struct rig *machines[2];
static struct image kernel;
static bool tsc_is_kept;

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

static struct rig *new_machine(const struct lkvm_config *cfg)
{
	struct rig *r = rig_new(&kvm_linux, cfg, &kernel);

	machines[machines[0] ? 1 : 0] = r;
	return r;
}

static u64 page_get(const struct rig *r, size_t off)
{
	u64 val;

	assert_int_equal(gmem_read(&r->m->gmem, STATE_GPA + off, &val, sizeof(val)), 0);
	return val;
}

#define SAID(r, field) page_get(r, offsetof(struct state_page, field))

static void order(const struct rig *r, u64 orders)
{
	assert_int_equal(gmem_write(&r->m->gmem, STATE_GPA, &orders, sizeof(orders)), 0);
}

#define WAIT_FOR(r, condition)                                                       \
	do {                                                                         \
		u64 until_ = clock_ns() + WAIT_S * NSEC_PER_SEC;                     \
		while (!(condition)) {                                               \
			if (SAID(r, bad))                                            \
				fail_msg("the guest lost something: %llu",           \
					 (unsigned long long)SAID(r, bad));          \
			if (atomic_load(&(r)->cause) && !(condition))                \
				fail_msg("the guest ended: %s", (r)->detail);        \
			if (clock_ns() > until_)                                     \
				fail_msg("not within %d s: %s", WAIT_S, #condition); \
			sleep_ms(1);                                                 \
		}                                                                    \
	} while (0)

static void config(struct lkvm_config *cfg)
{
	lkvm_config_init(cfg);
	cfg->n_vcpus = N_VCPUS;
	cfg->mem_size = MEM_SIZE;
	cfg->debug_exit = true;
	snprintf(cfg->cmdline, sizeof(cfg->cmdline), "cpus=2");
}

static void start(struct rig *r)
{
	if (machine_start(r->m, false, &r->err))
		fail_msg("%s", r->err.msg);
}

static void get(struct rig *r, struct rig_state *s)
{
	if (rig_get(r, s))
		fail_msg("get: %s", r->err.msg);
}

static void set(struct rig *r, const struct rig_state *s)
{
	if (rig_set(r, s))
		fail_msg("set: %s", r->err.msg);
}

static void copy_memory(const struct rig *from, const struct rig *to)
{
	static u8 chunk[64 * KIB];

	for (u64 gpa = 0; gpa < MEM_SIZE; gpa += sizeof(chunk)) {
		assert_int_equal(gmem_read(&from->m->gmem, gpa, chunk, sizeof(chunk)), 0);
		assert_int_equal(gmem_write(&to->m->gmem, gpa, chunk, sizeof(chunk)), 0);
	}
}

/* The guest runs; then both its timers wait to be taken. */
static struct rig *first_machine(const struct lkvm_config *cfg)
{
	struct rig *a = new_machine(cfg);

	start(a);
	WAIT_FOR(a, SAID(a, timer) >= 3 && SAID(a, pit) >= 3);
	order(a, STATE_ORDER_MASK);
	WAIT_FOR(a, SAID(a, masked));
	sleep_ms(100);
	machine_pause(a->m);
	return a;
}

static const u64 *msr(const struct x86_vcpu_state *s, u32 index)
{
	for (u32 i = 0; i < s->n_msrs; i++) {
		if (s->msrs[i].index == index)
			return &s->msrs[i].data;
	}
	return NULL;
}

/* Since it was set, some time after @set_ns, no more time passed for the guest than for us. */
static void check_tsc(struct rig *b, const struct x86_vcpu_state *was, u64 set_ns)
{
	/* KVM may take a write that is off by a second at most for none */
	u64 second = (u64)was->tsc_khz * 1000;
	u64 then = *msr(was, MSR_TSC), elapsed = (clock_ns() - set_ns) / 1000 * was->tsc_khz / 1000;

	if (tsc_is_kept)
		assert_in_range(SAID(b, tsc) + second, then, then + elapsed + 2 * second);
	else
		assert_true(SAID(b, tsc) + second >= then);
}

static void run_on(const struct rig *a, struct rig *b, const struct x86_vcpu_state *was, u64 set_ns)
{
	u64 rounds = SAID(a, rounds), timer = SAID(a, timer), pit = SAID(a, pit);

	start(b);
	WAIT_FOR(b, SAID(b, rounds) >= rounds + 2);
	machine_pause(b->m);
	check_tsc(b, was, set_ns);
	assert_int_equal(SAID(b, timer), timer);
	assert_int_equal(SAID(b, pit), pit);
	machine_resume(b->m);
	order(b, 0);
	WAIT_FOR(b, SAID(b, timer) >= timer + 3 && SAID(b, pit) >= pit + 3);
	order(b, STATE_ORDER_FINISH);
	WAIT_FOR(b, atomic_load(&b->cause) == LKVM_CAUSE_VERDICT);
	assert_int_equal(b->value, STATE_FINE);
}

/* @check looks at the state that is moved. */
static void goes_on(const struct lkvm_config *cfg, void (*check)(const struct x86_vcpu_state *))
{
	struct rig *a, *b;
	struct rig_state was, is;
	u64 set_ns;

	a = first_machine(cfg);
	get(a, &was);
	print_message("# %u MSRs, %u CPUID entries, %u bytes of XSAVE, %u of nested state\n",
		      was.vcpus[0]->n_msrs, was.vcpus[0]->cpuid->nent, was.vcpus[0]->xsave_size,
		      was.vcpus[0]->nested_size);
	assert_int_equal(was.vcpus[0]->mp_state, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(was.vcpus[1]->mp_state, KVM_MP_STATE_HALTED);
	assert_int_equal(was.vcpus[2]->mp_state, KVM_MP_STATE_UNINITIALIZED);
	check(was.vcpus[0]);
	b = new_machine(cfg);
	sleep_ms(PAUSE_MS);
	copy_memory(a, b);
	set_ns = clock_ns();
	set(b, &was);
	get(b, &is);
	rig_assert_same(b, &was, &is);
	run_on(a, b, was.vcpus[0], set_ns);
	rig_state_free(&was);
	rig_state_free(&is);
}

static void check_nothing(const struct x86_vcpu_state *s)
{
	(void)s;
}

static void a_guest_goes_on_in_another_machine(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	config(&cfg);
	goes_on(&cfg, check_nothing);
}

/* False: KVM offers guests no SVM, or its state cannot be had. */
static bool svm_config(struct lkvm_config *cfg, unsigned int svm)
{
	const struct kvm_cpuid_entry2 *e;
	struct rig *r;
	bool can;

	config(cfg);
	r = new_machine(cfg);
	e = cpuid_find(r->m->arch->supported, 0x80000001, 0);
	can = e && e->ecx & CPUID_SVM && kvm_check(&r->m->kvm, KVM_CAP_NESTED_STATE) > 0;
	machines[0] = NULL;
	rig_free(r);
	cfg->nested = true;
	snprintf(cfg->cmdline, sizeof(cfg->cmdline), "cpus=2 svm=%u", svm);
	return can;
}

static void check_in_guest(const struct x86_vcpu_state *s)
{
	assert_true(s->sregs.efer & EFER_SVME);
	assert_int_equal(s->nested->format, KVM_STATE_NESTED_FORMAT_SVM);
	assert_true(s->nested->flags & KVM_STATE_NESTED_GUEST_MODE);
	assert_true(s->nested->flags & KVM_STATE_NESTED_GIF_SET);
	assert_int_equal(s->nested_size, sizeof(*s->nested) + KVM_STATE_NESTED_SVM_VMCB_SIZE);
}

static void a_hypervisor_and_its_guest_go_on_in_another_machine(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	if (!svm_config(&cfg, STATE_SVM_GUEST))
		skip();
	goes_on(&cfg, check_in_guest);
}

static void check_gif(const struct x86_vcpu_state *s)
{
	assert_true(s->sregs.efer & EFER_SVME);
	assert_int_equal(s->nested->format, KVM_STATE_NESTED_FORMAT_SVM);
	assert_int_equal(s->nested->flags, 0);
}

static void a_hypervisor_without_interrupts_goes_on_in_another_machine(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	if (!svm_config(&cfg, STATE_SVM_GIF))
		skip();
	goes_on(&cfg, check_gif);
}

/* Before the others: decides what they can look at. */
static void the_tsc_is_set(void **state)
{
	struct lkvm_config cfg;
	struct rig_state was, is;
	struct rig *r;

	(void)state;
	config(&cfg);
	r = new_machine(&cfg);
	get(r, &was);
	*(u64 *)msr(was.vcpus[0], MSR_TSC) += BIT(44);
	tsc_is_kept = !rig_set(r, &was);
	if (!tsc_is_kept) {
		assert_int_equal(r->err.kind, LKVM_ERR_UNSUPPORTED);
		assert_non_null(strstr(r->err.msg, "TSC"));
		print_message("# %s: that no time passes by it is not checked\n", r->err.msg);
	} else {
		get(r, &is);
		assert_in_range(*msr(is.vcpus[0], MSR_TSC), *msr(was.vcpus[0], MSR_TSC),
				*msr(was.vcpus[0], MSR_TSC) + BIT(40));
		rig_state_free(&is);
	}
	rig_state_free(&was);
}

/* Nothing of it is looked at by the guest. */
static void what_a_vcpu_is_set_to_it_is(void **state)
{
	struct lkvm_config cfg;
	struct rig *a, *b;
	struct rig_state was, is;
	struct x86_vcpu_state *s;

	(void)state;
	config(&cfg);
	a = new_machine(&cfg);
	b = new_machine(&cfg);
	get(a, &was);
	s = was.vcpus[0];
	for (size_t i = 0; i < sizeof(s->regs) / 8; i++)
		((u64 *)&s->regs)[i] = 0x1000 + i;
	s->regs.rflags = 0x202;
	s->debugregs.db[3] = 0x123456;
	s->debugregs.dr7 = 0x4c0;
	s->events.nmi.pending = 1;
	s->events.nmi.masked = 1;
	/* SVM has one shadow for both kinds (APM 2, 15.21.5) */
	s->events.interrupt.shadow =
		s->nested_size && s->nested->format == KVM_STATE_NESTED_FORMAT_SVM ? 3 : 1;
	s->sregs.cr2 = 0xdeadbeef;
	s->sregs.gs.base = 0x7f0000001000;
	s->xsave->region[6] = 0x1fa0;	   /* MXCSR */
	s->xsave->region[40] = 0x12345678; /* XMM0 */
	s->xsave->region[128] |= 3;
	for (u32 i = 0; i < s->n_msrs; i++) {
		if (s->msrs[i].index == MSR_MC0_STATUS || s->msrs[i].index == 0x176)
			s->msrs[i].data = 0x5566;
	}
	put_le32(s->lapic.regs + 0x80, 0x20); /* TPR, and PPR, which follows */
	put_le32(s->lapic.regs + 0xa0, 0x20);
	s->sregs.cr8 = 2;
	was.vcpus[2]->mp_state = KVM_MP_STATE_INIT_RECEIVED;
	set(b, &was);
	get(b, &is);
	rig_assert_same(b, &was, &is);
	set(b, &was);
	rig_state_free(&is);
	get(b, &is);
	rig_assert_same(b, &was, &is);
	assert_int_equal(is.vcpus[0]->xsave->region[40], 0x12345678);
	assert_int_equal(is.vcpus[2]->mp_state, KVM_MP_STATE_INIT_RECEIVED);
	rig_state_free(&was);
	rig_state_free(&is);
}

static void what_kvm_refuses_is_named(void **state)
{
	struct lkvm_config cfg;
	struct rig *a;
	struct rig_state was;
	struct lkvm_error err = { 0 };

	(void)state;
	config(&cfg);
	a = new_machine(&cfg);
	get(a, &was);
	for (u32 i = 0; i < was.vcpus[0]->n_msrs; i++) {
		if (was.vcpus[0]->msrs[i].index == MSR_LSTAR)
			was.vcpus[0]->msrs[i].data = BIT(63); /* not canonical */
	}
	assert_true(x86_vcpu_state_set(&a->m->vcpus[0], was.vcpus[0], &err) < 0);
	assert_int_equal(err.kind, LKVM_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "MSR 0xc0000082"));
	memset(&err, 0, sizeof(err));
	was.vcpus[1]->debugregs.dr7 = BIT(40);
	assert_true(x86_vcpu_state_set(&a->m->vcpus[1], was.vcpus[1], &err) < 0);
	assert_int_equal(err.kind, LKVM_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "debug registers"));
	rig_state_free(&was);
}

static void shadow_stacks_come_back(void **state)
{
	struct lkvm_config cfg;
	struct rig *a, *b;
	struct rig_state was, is;
	u64 *u_cet;

	(void)state;
	config(&cfg);
	cfg.n_vcpus = 1;
	a = new_machine(&cfg);
	get(a, &was);
	u_cet = (u64 *)msr(was.vcpus[0], MSR_U_CET);
	if (!u_cet) {
		rig_state_free(&was);
		skip(); /* this host's CPU, or its KVM, has no SHSTK */
	}
	*u_cet = 1;
	was.vcpus[0]->ssp = 0x7000;
	b = new_machine(&cfg);
	set(b, &was);
	get(b, &is);
	rig_assert_same(b, &was, &is);
	assert_true(is.vcpus[0]->ssp == 0x7000);
	rig_state_free(&was);
	rig_state_free(&is);
}

/* Also of a test that failed: its guests would go on. */
static int drop_machines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		rig_free(machines[i]);
		machines[i] = NULL;
	}
	return 0;
}

static int open_kernel(void **state)
{
	const char *build = getenv("LKVM_BUILD");
	struct lkvm_error err = { 0 };
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/guests/state.elf", build ? build : "build/x86");
	if (image_open(&kernel, "kernel", path, &err))
		print_message("# %s\n", err.msg);
	return kernel.fd < 0 ? -1 : 0;
}

static int close_kernel(void **state)
{
	(void)state;
	image_close(&kernel);
	return 0;
}

#define TEST(fn) cmocka_unit_test_teardown(fn, drop_machines)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_tsc_is_set),
		TEST(a_guest_goes_on_in_another_machine),
		TEST(a_hypervisor_and_its_guest_go_on_in_another_machine),
		TEST(a_hypervisor_without_interrupts_goes_on_in_another_machine),
		TEST(what_a_vcpu_is_set_to_it_is),
		TEST(what_kvm_refuses_is_named),
		TEST(shadow_stacks_come_back),
	};

	struct kvm_host host = KVM_HOST_INIT;

	if (kvm_open(&host, &kvm_linux, NULL)) {
		puts("1..0 # SKIP /dev/kvm cannot be used");
		return 0;
	}
	kvm_close(&host);
	return cmocka_run_group_tests(tests, open_kernel, close_kernel);
}
