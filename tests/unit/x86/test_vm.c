/*
 * test_vm.c - the life of a VM: how it ends, pauses, restarts and goes away (T2, on fakekvm).
 *
 * Does not prove that a real guest gets this far, nor that KVM behaves as fakekvm does:
 * that is for the tests on real KVM.
 */
#include "tests/unit/vmtest.h"

#include <poll.h>
#include <signal.h>
#include <time.h>

#include "linux-uapi/kvm.h"

static const struct fake_step poweroff[] = { FAKE_OUT(0x604, 2, 0x3400) };

/* ---- ends --------------------------------------------------------------------------- */

static void power_off_ends_with_0(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(t->res.n_boots, 1);
	assert_true(t->res.exits[KVM_EXIT_IO] == 1);
	for (int i = 0; i < LKVM_N_PHASES; i++) {
		if (i != LKVM_PHASE_FIRST_CONSOLE)
			assert_true(t->res.phase_ns[i] >= t->res.phase_ns[LKVM_PHASE_START]);
	}
	assert_true(t->res.phase_ns[LKVM_PHASE_FIRST_CONSOLE] == 0);
	vmtest_free(t);
}

static void verdict_is_the_value_as_written(void **state)
{
	static const struct {
		unsigned int size;
		u64 value;
		int status;
	} cases[] = {
		{ 1, 0, 0 },	 { 1, 1, 1 },	     { 1, 110, 110 },	     { 1, 111, 111 },
		{ 1, 255, 111 }, { 2, 0x1234, 111 }, { 4, 0xdeadbeef, 111 }, { 4, 42, 42 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake_step steps[] = { FAKE_OUT(0xf4, cases[i].size, cases[i].value) };
		struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

		t->cfg.debug_exit = true;
		vmtest_run(t, steps, LKVM_CAUSE_VERDICT, cases[i].status);
		assert_true(t->res.verdict == cases[i].value);
		vmtest_free(t);
	}
}

static void without_debug_exit_its_port_is_nobodys(void **state)
{
	static const struct fake_step steps[] = { FAKE_OUT(0xf4, 1, 3), FAKE_IN(0xf4, 2),
						  FAKE_OUT(0x604, 2, 0x3400) };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_true(t->res.unclaimed_accesses == 2);
	assert_true(fakekvm_answer_u64(t->fk, 0, 0) == 0xffff);
	vmtest_free(t);
}

static void reset_ends_with_112(void **state)
{
	static const struct fake_step by_acpi[] = { FAKE_OUT(PM_RESET, 1, 1) };
	static const struct fake_step by_i8042[] = { FAKE_OUT(0x64, 1, 0xfe) };
	static const struct fake_step by_event[] = { FAKE_SYSTEM_EVENT(2) };
	const struct fake_step *const ways[] = { by_acpi, by_i8042, by_event };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct vmtest *t = vmtest_new(&fakekvm_x86_amd);

		fakekvm_script(t->fk, 0, ways[i], 1);
		vmtest_start(t);
		vmtest_finish(t);
		assert_int_equal(t->res.cause, LKVM_CAUSE_RESET);
		assert_int_equal(t->res.exit_status, 112);
		vmtest_free(t);
	}
}

static void errors_of_kvm_have_their_statuses(void **state)
{
	static const struct fake_step triple[] = { FAKE_SHUTDOWN };
	static const struct fake_step internal[] = { FAKE_INTERNAL_ERROR(1) };
	static const struct fake_step entry[] = { FAKE_FAIL_ENTRY(0x80000021) };
	static const struct fake_step unknown[] = { FAKE_EXIT(77) };
	static const struct fake_step stuck[] = { FAKE_MEMFAULT(0xd0000000), FAKE_REPEAT(0, 0) };
	static const struct fake_step broken[] = { FAKE_ERRNO(EIO) };
	static const struct {
		const struct fake_step *steps;
		size_t n;
		enum lkvm_cause cause;
		int status;
		bool post_mortem;
	} cases[] = {
		{ triple, 1, LKVM_CAUSE_TRIPLE_FAULT, 114, true },
		{ internal, 1, LKVM_CAUSE_INTERNAL_ERROR, 115, true },
		{ unknown, 1, LKVM_CAUSE_INTERNAL_ERROR, 115, true },
		{ stuck, 2, LKVM_CAUSE_INTERNAL_ERROR, 115, true },
		{ entry, 1, LKVM_CAUSE_ENTRY_FAILED, 116, true },
		{ broken, 1, LKVM_CAUSE_HOST_ERROR, 125, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
		struct lkvm_vcpu_state cpu;

		fakekvm_script(t->fk, 0, cases[i].steps, cases[i].n);
		vmtest_start(t);
		vmtest_finish(t);
		assert_int_equal(t->res.cause, cases[i].cause);
		assert_int_equal(t->res.exit_status, cases[i].status);
		assert_true(t->res.detail[0]);
		assert_int_equal(lkvm_vm_vcpu_state(t->vm, 0, &cpu), 0);
		assert_int_equal(cpu.n_regs > 0, cases[i].post_mortem);
		assert_int_equal(cpu.n_exits > 0, cases[i].post_mortem);
		assert_int_equal(cpu.symbol_note[0] != 0, cases[i].post_mortem);
		if (cases[i].cause == LKVM_CAUSE_HOST_ERROR)
			assert_int_equal(t->res.host_error, -EIO);
		vmtest_free(t);
	}
}

static void a_few_failing_runs_are_no_end(void **state)
{
	static const struct fake_step steps[] = { FAKE_ERRNO(EFAULT), FAKE_REPEAT(0, 30),
						  FAKE_OUT(0x80, 1, 0), FAKE_REPEAT(0, 10),
						  FAKE_ERRNO(EAGAIN),	FAKE_REPEAT(4, 100),
						  FAKE_OUT(0x604, 2, 0x3400) };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	vmtest_free(t);
}

static void last_exits_are_kept_oldest_first(void **state)
{
	struct fake_step steps[21];
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	struct lkvm_vcpu_state cpu;

	(void)state;
	for (unsigned int i = 0; i < 20; i++)
		steps[i] = (struct fake_step)FAKE_OUT(0x80, 1, i);
	steps[20] = (struct fake_step)FAKE_SHUTDOWN;
	vmtest_run(t, steps, LKVM_CAUSE_TRIPLE_FAULT, 114);
	assert_int_equal(lkvm_vm_vcpu_state(t->vm, 0, &cpu), 0);
	assert_int_equal(cpu.n_exits, LKVM_N_LAST_EXITS);
	assert_true(cpu.exits[0].addr == 0x80 && cpu.exits[0].data == 5 && cpu.exits[0].write);
	assert_int_equal(cpu.exits[LKVM_N_LAST_EXITS - 1].reason, KVM_EXIT_SHUTDOWN);
	assert_int_equal(lkvm_vm_vcpu_state(t->vm, 1, &cpu), -ENOENT);
	vmtest_free(t);
}

static void an_elf_kernel_names_the_function_it_died_in(void **state)
{
	static const struct fake_step steps[] = { FAKE_SHUTDOWN };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	static u8 file[MK_MAX];
	struct lkvm_vcpu_state cpu;

	(void)state;
	unlink(t->kernel);
	vmtest_write_kernel(t, file, mk_elf(file));
	vmtest_run(t, steps, LKVM_CAUSE_TRIPLE_FAULT, 114);
	assert_int_equal(lkvm_vm_vcpu_state(t->vm, 0, &cpu), 0);
	assert_string_equal(cpu.symbol, "start+0x20"); /* MK_ELF_PVH_ENTRY: it never moved */
	assert_string_equal(cpu.symbol_note, "");
	vmtest_free(t);
}

/* ---- panic -------------------------------------------------------------------------- */

static void panic_line_ends_with_113_after_the_trace(void **state)
{
	static const struct fake_step steps[] = {
		FAKE_PRINT(COM1, "[    1.0] Kernel panic - not syncing: out of luck\n"),
		FAKE_DELAY(30), FAKE_PRINT(COM1, "[    1.1] CPU: 0 and a trace\n"),
		FAKE_OUT(PM_RESET, 1, 1), /* panic=-1: part of the panic, no reset */
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_PANIC, 113);
	assert_non_null(strstr(t->out, "and a trace\n"));
	assert_string_equal(t->res.detail, "the guest's kernel panicked: out of luck");
	vmtest_free(t);
}

static void a_panic_reason_is_cut_and_harmless(void **state)
{
	static const struct fake_step steps[] = {
		FAKE_PRINT(COM1, "Kernel panic - not syncing: \033[31mred"),
		FAKE_PRINT(COM1, "0123456789"),
		FAKE_REPEAT(1, 30),
		FAKE_PRINT(COM1, "\nKernel panic - not syncing: second\n"),
		FAKE_OUT(PM_RESET, 1, 1),
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_PANIC, 113);
	assert_non_null(strstr(t->res.detail, ": ?[31mred0123456789"));
	assert_null(strstr(t->res.detail, "second"));
	assert_true(strlen(t->res.detail) < 160);
	vmtest_free(t);
}

static void a_panicked_kernel_that_hangs_is_ended(void **state)
{
	static const struct fake_step steps[] = {
		FAKE_PRINT(COM1, "Kernel panic - not syncing: out of luck\n"), FAKE_HALT
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_PANIC, 113);
	vmtest_free(t);
}

static void pvpanic_ends_with_113_even_with_restart(void **state)
{
	static const struct fake_step steps[] = { FAKE_OUT(PVPANIC, 1, 1),
						  FAKE_OUT(PM_RESET, 1, 1) };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	t->cfg.no_console_panic = true;
	t->cfg.on_reboot = LKVM_ON_REBOOT_RESTART;
	vmtest_run(t, steps, LKVM_CAUSE_PANIC, 113);
	vmtest_free(t);
}

static void panic_from_console_can_be_switched_off(void **state)
{
	static const struct fake_step steps[] = {
		FAKE_PRINT(COM1, "Kernel panic - not syncing: quoted\n"), FAKE_OUT(PM_RESET, 1, 1)
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	t->cfg.no_console_panic = true;
	vmtest_run(t, steps, LKVM_CAUSE_RESET, 112);
	vmtest_free(t);
}

/* ---- time --------------------------------------------------------------------------- */

static void timeout_ends_a_silent_and_a_talking_guest(void **state)
{
	static const struct fake_step silent[] = { FAKE_HALT };
	static const struct fake_step talking[] = { FAKE_PRINT(COM1, "x"), FAKE_REPEAT(0, 0) };
	const struct fake_step *const guests[] = { silent, talking };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
		struct lkvm_vcpu_state cpu;

		t->cfg.timeout_ns = 50 * NSEC_PER_MSEC;
		fakekvm_script(t->fk, 0, guests[i], 1 + i);
		vmtest_start(t);
		vmtest_finish(t);
		assert_int_equal(t->res.cause, LKVM_CAUSE_TIMEOUT);
		assert_int_equal(t->res.exit_status, 124);
		assert_int_equal(lkvm_vm_vcpu_state(t->vm, 0, &cpu), 0);
		assert_true(cpu.n_regs > 0);
		vmtest_free(t);
	}
}

static void idle_timeout_waits_while_there_is_output(void **state)
{
	static const struct fake_step steps[] = { FAKE_PRINT(COM1, "alive\n"), FAKE_DELAY(20),
						  FAKE_REPEAT(0, 10), FAKE_HALT };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	u64 ran;

	(void)state;
	t->cfg.idle_timeout_ns = 100 * NSEC_PER_MSEC;
	vmtest_run(t, steps, LKVM_CAUSE_IDLE_TIMEOUT, 117);
	ran = t->res.phase_ns[LKVM_PHASE_END] - t->res.phase_ns[LKVM_PHASE_FIRST_RUN];
	assert_true(ran >= 300 * NSEC_PER_MSEC);
	assert_int_equal(t->n_out, 11 * strlen("alive\n"));
	vmtest_free(t);
}

/* ---- control ------------------------------------------------------------------------ */

static void states_follow_the_calls(void **state)
{
	static const struct fake_step spin[] = { FAKE_OUT(0x80, 1, 0), FAKE_REPEAT(0, 0) };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	struct pollfd pfd;

	(void)state;
	t->cfg.n_vcpus = 3;
	for (unsigned int i = 0; i < 3; i++)
		vmtest_script(t, i, spin);
	vmtest_create(t);
	assert_int_equal(lkvm_vm_state(t->vm), LKVM_STATE_CREATED);
	assert_int_equal(lkvm_vm_wait(t->vm, 0), -EINVAL);
	assert_int_equal(lkvm_vm_pause(t->vm), -EINVAL);
	assert_int_equal(lkvm_vm_resume(t->vm), -EINVAL);
	assert_int_equal(lkvm_vm_start(t->vm, &t->err), 0);
	assert_int_equal(lkvm_vm_start(t->vm, NULL), -EINVAL);
	assert_int_equal(lkvm_vm_wait(t->vm, 20), -ETIMEDOUT);
	for (int i = 0; i < 20; i++) {
		struct lkvm_result a, b;

		assert_int_equal(lkvm_vm_pause(t->vm), 0);
		assert_int_equal(lkvm_vm_state(t->vm), LKVM_STATE_PAUSED);
		assert_int_equal(lkvm_vm_pause(t->vm), -EINVAL);
		lkvm_vm_result(t->vm, &a);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		lkvm_vm_result(t->vm, &b);
		/* Nobody is in the guest: nothing moves. */
		assert_true(a.exits[KVM_EXIT_IO] == b.exits[KVM_EXIT_IO]);
		assert_int_equal(lkvm_vm_resume(t->vm), 0);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	pfd = (struct pollfd){ .fd = lkvm_vm_stopped_fd(t->vm), .events = POLLIN };
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_int_equal(lkvm_vm_stop(t->vm), 0);
	vmtest_finish(t);
	assert_int_equal(poll(&pfd, 1, 0), 1);
	assert_int_equal(t->res.cause, LKVM_CAUSE_USER);
	assert_int_equal(t->res.exit_status, 119);
	assert_true(t->res.exits[KVM_EXIT_IO] > 0);
	assert_int_equal(lkvm_vm_pause(t->vm), -EINVAL);
	assert_int_equal(lkvm_vm_start(t->vm, NULL), -EINVAL);
	vmtest_free(t);
}

static void stop_ends_a_paused_and_an_unstarted_machine(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	vmtest_start(t);
	assert_int_equal(lkvm_vm_pause(t->vm), 0);
	lkvm_vm_stop(t->vm);
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_USER);
	vmtest_free(t);

	t = vmtest_new(&fakekvm_x86_intel);
	vmtest_create(t);
	lkvm_vm_stop(t->vm);
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_USER);
	vmtest_free(t);
}

static void destroy_ends_a_running_machine(void **state)
{
	static const struct fake_step spin[] = { FAKE_OUT(0x80, 1, 0), FAKE_REPEAT(0, 0) };

	(void)state;
	for (int i = 0; i < 50; i++) {
		struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

		t->cfg.n_vcpus = 2;
		vmtest_script(t, 0, spin);
		vmtest_start(t);
		vmtest_free(t);
	}
}

static void machines_share_nothing(void **state)
{
	enum { N = 8 };
	struct vmtest *t[N];
	static const struct fake_step steps[N][3] = {
#define GUEST(i) { FAKE_PRINT(COM1, "I am " #i "\n"), FAKE_OUT(0xf4, 1, i) }
		GUEST(0), GUEST(1), GUEST(2), GUEST(3), GUEST(4), GUEST(5), GUEST(6), GUEST(7),
	};

	(void)state;
	for (int i = 0; i < N; i++) {
		t[i] = vmtest_new(i % 2 ? &fakekvm_x86_amd : &fakekvm_x86_intel);
		t[i]->cfg.debug_exit = true;
		fakekvm_script(t[i]->fk, 0, steps[i], 2);
		vmtest_create(t[i]);
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(lkvm_vm_start(t[i]->vm, NULL), 0);
	for (int i = 0; i < N; i++) {
		char want[16];

		vmtest_finish(t[i]);
		snprintf(want, sizeof(want), "I am %d\n", i);
		assert_int_equal(t[i]->res.exit_status, i);
		assert_int_equal(t[i]->n_out, strlen(want));
		assert_memory_equal(t[i]->out, want, strlen(want));
		vmtest_free(t[i]);
	}
}

static void the_embedders_signals_are_left_alone(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	struct sigaction before[64], after[64];
	sigset_t mask_before, mask_after;

	(void)state;
	for (int s = 1; s < 64; s++)
		sigaction(s, NULL, &before[s]);
	pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
	vmtest_start(t);
	assert_int_equal(lkvm_vm_pause(t->vm), 0);
	assert_int_equal(lkvm_vm_resume(t->vm), 0);
	for (int s = 1; s < 64; s++) {
		sigaction(s, NULL, &after[s]);
		if (s != SIGKILL && s != SIGSTOP && s != 32 && s != 33)
			assert_true(before[s].sa_handler == after[s].sa_handler);
	}
	pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
	assert_memory_equal(&mask_before, &mask_after, 8);
	lkvm_vm_stop(t->vm);
	vmtest_finish(t);
	vmtest_free(t);
}

/* ---- restart ------------------------------------------------------------------------ */

struct boots {
	int n;
	bool old_memory; /* something of the boot before was left */
};

/* The guest of the restart tests: boots twice into a reset, then powers off. */
static void count_boot(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	struct boots *b = ctx;
	u8 *mem = fakekvm_gpa(fk, 48 * MIB, 1);

	(void)vcpu;
	b->n++;
	b->old_memory |= !mem || *mem;
	if (mem)
		*mem = 1;
}

static void restart_boots_again_with_fresh_memory(void **state)
{
	struct boots boots = { 0 };
	const struct fake_step steps[] = { FAKE_CALL(count_boot, &boots),
					   FAKE_PRINT(COM1, "boot\n"), FAKE_OUT(PM_RESET, 1, 1) };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	t->cfg.on_reboot = LKVM_ON_REBOOT_RESTART;
	t->cfg.timeout_ns = 300 * NSEC_PER_MSEC;
	vmtest_run(t, steps, LKVM_CAUSE_TIMEOUT, 124);
	assert_true(boots.n >= 2);
	assert_false(boots.old_memory);
	assert_true(t->res.n_boots >= 2);
	/* Each boot printed its line, and none was lost on the way. */
	assert_true(t->n_out >= 5 * (t->res.n_boots - 1));
	assert_true(t->res.exits[KVM_EXIT_IO] >= 6 * (t->res.n_boots - 1));
	vmtest_free(t);
}

static void a_restart_that_fails_ends_with_125(void **state)
{
	static const struct fake_step steps[] = { FAKE_OUT(PM_RESET, 1, 1) };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	t->cfg.on_reboot = LKVM_ON_REBOOT_RESTART;
	vmtest_script(t, 0, steps);
	vmtest_create(t);
	fakekvm_fail_request(t->fk, KVM_CREATE_IRQCHIP, 1, ENOMEM);
	assert_int_equal(lkvm_vm_start(t->vm, NULL), 0);
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_HOST_ERROR);
	assert_int_equal(t->res.exit_status, 125);
	assert_non_null(strstr(t->res.detail, "KVM_CREATE_IRQCHIP"));
	vmtest_free(t);
}

/* ---- console ------------------------------------------------------------------------ */

static void nothing_is_lost_through_a_slow_pipe(void **state)
{
	enum { LINES = 4000, LEN = 32 };
	static const struct fake_step steps[] = {
		FAKE_PRINT(COM1, "0123456789 0123456789 01234567\r\n"), FAKE_REPEAT(0, LINES - 1),
		FAKE_OUT(0x604, 2, 0x3400)
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	size_t total = 0;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 4096);
	t->cfg.console.out = NULL;
	t->cfg.console.out_fd = fds[1];
	vmtest_script(t, 0, steps);
	vmtest_start(t);
	/* 128 KiB through a 4 KiB pipe and a 64 KiB buffer: the guest has to wait. */
	for (;;) {
		static const char line[] = "0123456789 0123456789 01234567\r\n";
		char buf[1000];
		ssize_t n;

		if (total == LINES * LEN)
			break;
		n = read(fds[0], buf, sizeof(buf));
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++, total++)
			assert_int_equal(buf[i], line[total % LEN]);
	}
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_POWEROFF);
	assert_true(t->res.console_bytes == LINES * LEN);
	assert_true(t->res.console_lost == 0);
	close(fds[0]);
	close(fds[1]);
	vmtest_free(t);
}

static void a_guest_held_back_by_its_console_can_be_paused_and_stopped(void **state)
{
	static const struct fake_step steps[] = { FAKE_PRINT(COM1, "0123456789abcdef"),
						  FAKE_REPEAT(0, 0) };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	struct lkvm_result a, b;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	t->cfg.console.out = NULL;
	t->cfg.console.out_fd = fds[1]; /* nobody reads */
	vmtest_script(t, 0, steps);
	vmtest_start(t);
	do {
		lkvm_vm_result(t->vm, &a);
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
		lkvm_vm_result(t->vm, &b);
		/* the pipe and most of the buffer are full, and nothing moves */
	} while (a.console_bytes != b.console_bytes || a.console_bytes < 100 * KIB);
	assert_int_equal(lkvm_vm_pause(t->vm), 0);
	assert_int_equal(lkvm_vm_resume(t->vm), 0);
	lkvm_vm_stop(t->vm);
	close(fds[0]); /* and now nobody ever will: no need to wait for it */
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_USER);
	assert_true(t->res.console_lost > 0);
	close(fds[1]);
	vmtest_free(t);
}

static void input_waits_until_the_guest_listens(void **state)
{
	/* IER: receive interrupt on; then read LSR and RBR until there is something. */
	static const struct fake_step steps[] = {
		FAKE_DELAY(20),
		FAKE_OUT(COM1 + 2, 1, 7),
		FAKE_IN(COM1, 1),
		FAKE_OUT(COM1 + 4, 1, 0xb),
		FAKE_OUT(COM1 + 1, 1, 1),
		FAKE_WAIT_IRQ(4, 5000),
		FAKE_IN(COM1, 1),
		FAKE_IN(COM1, 1),
		FAKE_OUT(0x604, 2, 0x3400),
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	vmtest_script(t, 0, steps);
	vmtest_create(t);
	assert_int_equal(lkvm_vm_console_write(t->vm, "hi", 2), 2);
	assert_int_equal(lkvm_vm_start(t->vm, NULL), 0);
	vmtest_finish(t);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 1), 'h');
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2), 'i');
	vmtest_free(t);
}

static void escape_x_ends_with_119(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	t->cfg.console.in_fd = fds[0];
	t->cfg.console.escape = 1;
	vmtest_start(t);
	assert_int_equal(write(fds[1], "abc\001x", 5), 5);
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_USER);
	assert_int_equal(t->res.exit_status, 119);
	close(fds[0]);
	close(fds[1]);
	vmtest_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(power_off_ends_with_0),
		cmocka_unit_test(verdict_is_the_value_as_written),
		cmocka_unit_test(without_debug_exit_its_port_is_nobodys),
		cmocka_unit_test(reset_ends_with_112),
		cmocka_unit_test(errors_of_kvm_have_their_statuses),
		cmocka_unit_test(a_few_failing_runs_are_no_end),
		cmocka_unit_test(last_exits_are_kept_oldest_first),
		cmocka_unit_test(an_elf_kernel_names_the_function_it_died_in),
		cmocka_unit_test(panic_line_ends_with_113_after_the_trace),
		cmocka_unit_test(a_panic_reason_is_cut_and_harmless),
		cmocka_unit_test(a_panicked_kernel_that_hangs_is_ended),
		cmocka_unit_test(pvpanic_ends_with_113_even_with_restart),
		cmocka_unit_test(panic_from_console_can_be_switched_off),
		cmocka_unit_test(timeout_ends_a_silent_and_a_talking_guest),
		cmocka_unit_test(idle_timeout_waits_while_there_is_output),
		cmocka_unit_test(states_follow_the_calls),
		cmocka_unit_test(stop_ends_a_paused_and_an_unstarted_machine),
		cmocka_unit_test(destroy_ends_a_running_machine),
		cmocka_unit_test(machines_share_nothing),
		cmocka_unit_test(the_embedders_signals_are_left_alone),
		cmocka_unit_test(restart_boots_again_with_fresh_memory),
		cmocka_unit_test(a_restart_that_fails_ends_with_125),
		cmocka_unit_test(nothing_is_lost_through_a_slow_pipe),
		cmocka_unit_test(a_guest_held_back_by_its_console_can_be_paused_and_stopped),
		cmocka_unit_test(input_waits_until_the_guest_listens),
		cmocka_unit_test(escape_x_ends_with_119),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
