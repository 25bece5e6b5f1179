/*
 * test_vm.c - how arm64 machines end, restart, pause and are described (T2, on fakekvm).
 *
 * What all architectures have in common is in tests/unit/x86/test_vm.c; here is what an arm64 guest
 * does it with. Does not prove that a real guest gets this far: that is for the tests on
 * real KVM.
 */
#include "tests/unit/vmtest.h"

#include "arch/arm64/layout.h"
#include "linux-uapi/arm64.h"

#define SYSTEM_OFF   FAKE_SYSTEM_EVENT(KVM_SYSTEM_EVENT_SHUTDOWN)
#define SYSTEM_RESET FAKE_SYSTEM_EVENT(KVM_SYSTEM_EVENT_RESET)

static const struct fake_step off[] = { SYSTEM_OFF };

static void psci_system_off_ends_with_0(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	vmtest_run(t, off, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(t->res.exits[KVM_EXIT_SYSTEM_EVENT], 1);
	vmtest_free(t);
}

static void psci_system_reset_ends_with_112_or_restarts(void **state)
{
	static const struct fake_step reset[] = { SYSTEM_RESET };
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	vmtest_run(t, reset, LKVM_CAUSE_RESET, 112);
	vmtest_free(t);

	t = vmtest_new(&fakekvm_arm64);
	t->cfg.on_reboot = LKVM_ON_REBOOT_RESTART;
	t->cfg.timeout_ns = 300 * NSEC_PER_MSEC;
	vmtest_run(t, reset, LKVM_CAUSE_TIMEOUT, 124);
	assert_true(t->res.n_boots > 2);
	vmtest_free(t);
}

static void the_debug_exit_register_takes_verdicts_where_it_was_put(void **state)
{
	static const u64 addrs[] = { 0, 0x01060000, 0x0107fffc };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		u64 addr = addrs[i] ? addrs[i] : ARM64_DEBUG_EXIT_BASE;
		struct fake_step steps[] = { FAKE_STORE(addr, 4, 42) };
		struct vmtest *t = vmtest_new(&fakekvm_arm64);

		t->cfg.debug_exit = true;
		t->cfg.debug_exit_addr = addrs[i];
		vmtest_run(t, steps, LKVM_CAUSE_VERDICT, 42);
		vmtest_free(t);
	}
}

static void without_it_its_address_is_nobodys(void **state)
{
	static const struct fake_step steps[] = { FAKE_STORE(ARM64_DEBUG_EXIT_BASE, 4, 42),
						  FAKE_LOAD(ARM64_DEBUG_EXIT_BASE, 4), SYSTEM_OFF };
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(t->res.unclaimed_accesses, 2);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), 0xffffffff);
	vmtest_free(t);
}

static void the_uart_is_the_console(void **state)
{
	static const struct fake_step steps[] = {
		FAKE_STORE(ARM64_UART_BASE, 1, 'h'),
		FAKE_STORE(ARM64_UART_BASE, 1, 'i'),
		SYSTEM_OFF,
	};
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_string_equal(t->out, "hi");
	vmtest_free(t);
}

static void pvpanic_is_a_panic(void **state)
{
	static const struct fake_step steps[] = { FAKE_STORE(ARM64_PVPANIC_BASE, 1, 1), FAKE_HALT };
	struct vmtest *t = vmtest_new(&fakekvm_arm64);
	struct lkvm_vcpu_state regs;

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_PANIC, 113);
	assert_int_equal(lkvm_vm_vcpu_state(t->vm, 0, &regs), 0);
	assert_true(regs.n_regs > 40);
	assert_string_equal(regs.regs[0].name, "x0");
	assert_string_equal(regs.regs[31].name, "pc");
	vmtest_free(t);
}

static void an_undecodable_access_is_an_internal_error_that_says_where(void **state)
{
	static const struct {
		u64 esr_iss, fault_ipa;
	} nisv = { 0, 0x1234000 };
	const struct fake_step steps[] = { FAKE_EXIT_DATA(KVM_EXIT_ARM_NISV, sizeof(nisv), &nisv) };
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_INTERNAL_ERROR, 115);
	assert_non_null(strstr(t->res.detail, "0x1234000"));
	vmtest_free(t);
}

static void entry_on_a_cpu_without_the_pmu_says_so(void **state)
{
	static const struct {
		u64 why;
		u32 cpu;
		const char *detail;
	} cases[] = {
		{ 1, 5, "vCPU 0 ran on CPU 5, which does not have the PMU it was given" },
		{ 0x80000003, 6, "vCPU 0 ran on CPU 6, which does not have the PMU it was given" },
		{ 2, 7, "vCPU 0: KVM refused to enter the guest, hardware reason 0x2" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct {
			u64 why;
			u32 cpu;
		} entry = { cases[i].why, cases[i].cpu };
		struct fake_step steps[] = { FAKE_EXIT_DATA(KVM_EXIT_FAIL_ENTRY, sizeof(entry),
							    &entry) };
		struct vmtest *t = vmtest_new(&fakekvm_arm64);
		struct lkvm_vcpu_state cpu;

		vmtest_run(t, steps, LKVM_CAUSE_ENTRY_FAILED, 116);
		assert_string_equal(t->res.detail, cases[i].detail);
		assert_int_equal(lkvm_vm_vcpu_state(t->vm, 0, &cpu), 0);
		assert_int_equal(cpu.n_exits, 1);
		assert_int_equal(cpu.exits[0].reason, KVM_EXIT_FAIL_ENTRY);
		assert_true(cpu.exits[0].addr == cases[i].why);
		assert_int_equal(cpu.exits[0].data, cases[i].cpu);
		vmtest_free(t);
	}
}

/* ---- what the guest finds --------------------------------------------------------------- */

static u64 get_reg(struct vmtest *t, unsigned int vcpu, u64 id)
{
	u64 val = 0;
	struct kvm_one_reg reg = { .id = id, .addr = (u64)(uintptr_t)&val };

	assert_int_equal(fakekvm_vcpu_get(t->fk, vcpu, KVM_GET_ONE_REG, &reg), 0);
	return val;
}

#define REG_X0	   (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 0)
#define REG_PC	   (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 64)
#define REG_PSTATE (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 66)

static void the_kernel_is_entered_with_the_device_tree_in_x0(void **state)
{
	static const u8 magic[] = { 0xd0, 0x0d, 0xfe, 0xed };
	struct vmtest *t = vmtest_new(&fakekvm_arm64);
	u64 fdt;

	(void)state;
	vmtest_create(t);
	fdt = get_reg(t, 0, REG_X0);
	assert_int_equal(fdt % (2 * MIB), 0);
	assert_memory_equal(fakekvm_gpa(t->fk, fdt, 4), magic, 4);
	assert_true(get_reg(t, 0, REG_PC) >= ARM64_RAM_BASE);
	assert_int_equal(get_reg(t, 0, REG_PSTATE), 0x3c5); /* EL1h, all masked */
	vmtest_free(t);
}

static void a_nested_guest_is_entered_at_el2(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	t->cfg.nested = true;
	vmtest_create(t);
	assert_int_equal(get_reg(t, 0, REG_PSTATE), 0x3c9); /* EL2h */
	vmtest_free(t);
}

/* That there is memory where steal time goes, and only where it is wanted. */
static void steal_time_has_memory_of_its_own(void **state)
{
	(void)state;
	for (int off_too = 0; off_too < 2; off_too++) {
		struct vmtest *t = vmtest_new(&fakekvm_arm64);

		t->cfg.arm64.no_pvtime = off_too;
		vmtest_create(t);
		assert_int_equal(!fakekvm_gpa(t->fk, ARM64_PVTIME_BASE, 64), off_too);
		vmtest_free(t);
	}
}

static void other_cpus_wait_until_they_are_started(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_arm64);
	struct lkvm_vcpu_state regs;

	(void)state;
	t->cfg.n_vcpus = 3;
	t->cfg.timeout_ns = 100 * NSEC_PER_MSEC;
	vmtest_start(t);
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_TIMEOUT);
	assert_int_equal(lkvm_vm_vcpu_state(t->vm, 2, &regs), 0);
	assert_non_null(strstr(regs.symbol_note, "off"));
	vmtest_free(t);
}

/* ---- what a host may lack ----------------------------------------------------------------- */

static void refused(struct vmtest *t, enum lkvm_error_kind kind, const char *words)
{
	int ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);

	assert_true(ret < 0);
	assert_null(t->vm);
	if (t->err.kind != kind || !strstr(t->err.msg, words))
		fail_msg("kind %d: %s (wanted '%s')", t->err.kind, t->err.msg, words);
	vmtest_free(t);
}

static void what_a_host_lacks_is_said_with_what_would_help(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_arm64_plain);

	(void)state;
	t->cfg.nested = true;
	refused(t, LKVM_ERR_UNSUPPORTED, "kvm-arm.mode=nested");

	t = vmtest_new(&fakekvm_arm64);
	fakekvm_set_cap(t->fk, KVM_CAP_ARM_EL2_E2H0, 0);
	t->cfg.nested = t->cfg.arm64.e2h0 = true;
	refused(t, LKVM_ERR_UNSUPPORTED, "--e2h0");

	t = vmtest_new(&fakekvm_arm64_plain);
	t->cfg.arm64.pmu = true;
	refused(t, LKVM_ERR_UNSUPPORTED, "PMUv3");

	t = vmtest_new(&fakekvm_arm64);
	fakekvm_set_cap(t->fk, KVM_CAP_COUNTER_OFFSET, 0);
	t->cfg.arm64.counter_offset = 1;
	refused(t, LKVM_ERR_UNSUPPORTED, "KVM_CAP_COUNTER_OFFSET");

	t = vmtest_new(&fakekvm_arm64);
	t->cfg.arm64.sve_max_vl = 256;
	refused(t, LKVM_ERR_UNSUPPORTED, "SVE");

	t = vmtest_new(&fakekvm_arm64_gicv2);
	t->cfg.arm64.irqchip = LKVM_IRQCHIP_GICV3_ITS;
	refused(t, LKVM_ERR_UNSUPPORTED, "--irqchip gicv3-its");

	t = vmtest_new(&fakekvm_arm64);
	t->cfg.arm64.irqchip = LKVM_IRQCHIP_GICV2;
	refused(t, LKVM_ERR_UNSUPPORTED, "--irqchip gicv2");

	t = vmtest_new(&fakekvm_arm64_gicv2);
	t->cfg.n_vcpus = 9;
	refused(t, LKVM_ERR_UNSUPPORTED, "at most 8");

	t = vmtest_new(&fakekvm_arm64);
	fakekvm_set_cap(t->fk, KVM_CAP_ARM_VM_IPA_SIZE, 33);
	t->cfg.mem_size = 7 * GIB;
	refused(t, LKVM_ERR_UNSUPPORTED, "33 bits, enough for 6144");
}

static void memory_reaches_up_to_the_last_address_bit(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	fakekvm_set_cap(t->fk, KVM_CAP_ARM_VM_IPA_SIZE, 33);
	t->cfg.mem_size = 6 * GIB;
	vmtest_run(t, off, LKVM_CAUSE_POWEROFF, 0);
	vmtest_free(t);
}

static void e2h0_alone_is_a_warning(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	t->cfg.arm64.e2h0 = true;
	t->cfg.log_level = LKVM_LOG_WARNING;
	vmtest_run(t, off, LKVM_CAUSE_POWEROFF, 0);
	assert_non_null(strstr(t->log, "--e2h0"));
	vmtest_free(t);
}

static void fields_that_contradict_are_refused_before_kvm_is_asked(void **state)
{
	static const struct {
		const char *words;
		struct lkvm_arm64 arm64;
		unsigned int n_vcpus;
		bool nested;
	} cases[] = {
		{ "GICv3", { .irqchip = LKVM_IRQCHIP_GICV2 }, 1, true },
		{ "GICv3", { .irqchip = LKVM_IRQCHIP_GICV2M }, 1, true },
		{ "at most 8", { .irqchip = LKVM_IRQCHIP_GICV2 }, 9, false },
		{ "--sve-max-vl 100", { .sve_max_vl = 100 }, 1, false },
		{ "--sve-max-vl 4096", { .sve_max_vl = 4096 }, 1, false },
		{ "--pmu-partition 32", { .pmu_partition = 32 }, 1, false },
		{ "counters=3", { .pmu_counters = 3, .pmu_partition = 4 }, 1, false },
		{ "--pmu: is needed", { .pmu_counters = 3 }, 1, false },
		{ "all events",
		  { .pmu = true, .n_pmu_filters = 1, .pmu_filters = { { true, 0, 0xffff } } },
		  1,
		  false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmtest *t = vmtest_new(&fakekvm_arm64);

		t->cfg.arm64 = cases[i].arm64;
		t->cfg.nested = cases[i].nested;
		t->cfg.n_vcpus = cases[i].n_vcpus;
		fakekvm_set_open_error(t->fk, ENOENT);
		refused(t, LKVM_ERR_INPUT, cases[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(psci_system_off_ends_with_0),
		cmocka_unit_test(psci_system_reset_ends_with_112_or_restarts),
		cmocka_unit_test(the_debug_exit_register_takes_verdicts_where_it_was_put),
		cmocka_unit_test(without_it_its_address_is_nobodys),
		cmocka_unit_test(the_uart_is_the_console),
		cmocka_unit_test(pvpanic_is_a_panic),
		cmocka_unit_test(an_undecodable_access_is_an_internal_error_that_says_where),
		cmocka_unit_test(entry_on_a_cpu_without_the_pmu_says_so),
		cmocka_unit_test(the_kernel_is_entered_with_the_device_tree_in_x0),
		cmocka_unit_test(a_nested_guest_is_entered_at_el2),
		cmocka_unit_test(steal_time_has_memory_of_its_own),
		cmocka_unit_test(other_cpus_wait_until_they_are_started),
		cmocka_unit_test(what_a_host_lacks_is_said_with_what_would_help),
		cmocka_unit_test(memory_reaches_up_to_the_last_address_bit),
		cmocka_unit_test(e2h0_alone_is_a_warning),
		cmocka_unit_test(fields_that_contradict_are_refused_before_kvm_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
