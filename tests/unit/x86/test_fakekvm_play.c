/*
 * What fakekvm does beyond KVM's rules: hosts with their peculiarities, guests played from
 * scripts, calls written down, failed, and looked through for leaks.
 *
 * Does not prove that a script is what a guest would do: it says nothing about lkvm.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "linux-uapi/x86.h"
#include "tests/fakekvm/fakekvm.h"

#define PAGE 4096ull
#define KICK SIGUSR1

static u8 memory[16 * PAGE] __attribute__((aligned(4096)));

/* A VM with one vCPU, as far as a test took it. */
static struct vm {
	struct fakekvm *fk;
	const struct kvm_backend *be;
	int sys, vm, vcpu;
	struct kvm_run *run;
} vm;

static int call(int fd, unsigned long req, void *arg)
{
	return vm.be->ioctl(vm.be->ctx, fd, req, (unsigned long)arg);
}

static int call_n(int fd, unsigned long req, unsigned long arg)
{
	return vm.be->ioctl(vm.be->ctx, fd, req, arg);
}

static void new_fake(const struct fake_host *host)
{
	vm.fk = fakekvm_new(host);
	vm.be = fakekvm_backend(vm.fk);
	vm.sys = vm.vm = vm.vcpu = -1;
	vm.run = NULL;
}

static void open_vm(void)
{
	vm.sys = vm.be->open(vm.be->ctx);
	vm.vm = call_n(vm.sys, KVM_CREATE_VM, 0);
}

static void set_slot(u64 gpa, u64 size, void *host, u32 flags)
{
	struct kvm_userspace_memory_region r = { .guest_phys_addr = gpa,
						 .memory_size = size,
						 .flags = flags,
						 .userspace_addr = (u64)(uintptr_t)host };

	assert_int_equal(call(vm.vm, KVM_SET_USER_MEMORY_REGION, &r), 0);
}

static void map_vcpu(void)
{
	int err = 0;

	vm.vcpu = call_n(vm.vm, KVM_CREATE_VCPU, 0);
	vm.run = vm.be->mmap(vm.be->ctx, vm.vcpu, 12288, &err);
	assert_non_null(vm.run);
}

/* All there is, ready to run. */
static void start_vm(void)
{
	open_vm();
	set_slot(0, sizeof(memory), memory, 0);
	call_n(vm.vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	call_n(vm.vm, KVM_CREATE_IRQCHIP, 0);
	map_vcpu();
}

static void close_vm(void)
{
	if (vm.run)
		vm.be->munmap(vm.be->ctx, vm.run, 12288);
	if (vm.vcpu >= 0)
		vm.be->close(vm.be->ctx, vm.vcpu);
	if (vm.vm >= 0)
		vm.be->close(vm.be->ctx, vm.vm);
	if (vm.sys >= 0)
		vm.be->close(vm.be->ctx, vm.sys);
}

static int run(void)
{
	return call_n(vm.vcpu, KVM_RUN, 0);
}

static u8 *io_data(void)
{
	return (u8 *)vm.run + vm.run->io.data_offset;
}

static int setup_intel(void **state)
{
	(void)state;
	new_fake(&fakekvm_x86_intel);
	return 0;
}

static int setup_amd(void **state)
{
	(void)state;
	new_fake(&fakekvm_x86_amd);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fakekvm_free(vm.fk);
	return 0;
}

/* Every run() of these tests may end in a wait: a kick is always under way. */
static void kick_myself(void)
{
	struct {
		struct kvm_signal_mask head;
		u64 set;
	} __attribute__((packed)) m = { .head = { .len = 8 }, .set = ~BIT(KICK - 1) };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, KICK);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	assert_int_equal(call(vm.vcpu, KVM_SET_SIGNAL_MASK, &m), 0);
	pthread_kill(pthread_self(), KICK);
}

static void take_kick(void)
{
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, KICK);
	assert_int_equal(sigtimedwait(&set, NULL, &now), KICK);
}

/* ---- Hosts ---- */

static void open_can_fail(void **state)
{
	(void)state;
	fakekvm_set_open_error(vm.fk, ENOENT);
	assert_int_equal(vm.be->open(vm.be->ctx), -ENOENT);
	fakekvm_set_open_error(vm.fk, EACCES);
	assert_int_equal(vm.be->open(vm.be->ctx), -EACCES);
}

static void api_version_and_capabilities_can_be_set(void **state)
{
	(void)state;
	fakekvm_set_api_version(vm.fk, 11);
	fakekvm_set_cap(vm.fk, KVM_CAP_IRQCHIP, 0);
	fakekvm_set_cap(vm.fk, KVM_CAP_MAX_VCPUS, 2);
	open_vm();
	assert_int_equal(call_n(vm.sys, KVM_GET_API_VERSION, 0), 11);
	assert_int_equal(call_n(vm.vm, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), 0);
	assert_int_equal(call_n(vm.vm, KVM_CREATE_IRQCHIP, 0), -ENOTTY);
	assert_true(call_n(vm.vm, KVM_CREATE_VCPU, 0) >= 0);
	assert_true(call_n(vm.vm, KVM_CREATE_VCPU, 1) >= 0);
	assert_int_equal(call_n(vm.vm, KVM_CREATE_VCPU, 2), -EINVAL);
}

static void intel_wants_a_tss(void **state)
{
	(void)state;
	open_vm();
	call_n(vm.vm, KVM_CREATE_IRQCHIP, 0);
	map_vcpu();
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_INTERNAL_ERROR);
	assert_non_null(strstr(fakekvm_complaints(vm.fk), "4.36"));
}

static void intel_keeps_its_own_pages_apart(void **state)
{
	struct kvm_userspace_memory_region r = { .guest_phys_addr = 0xfffb0000,
						 .memory_size = sizeof(memory),
						 .userspace_addr = (u64)(uintptr_t)memory };

	(void)state;
	open_vm();
	assert_int_equal(call_n(vm.vm, KVM_SET_TSS_ADDR, 0xfffbd000), 0);
	assert_int_equal(call_n(vm.vm, KVM_SET_TSS_ADDR, 0xfffbd000), -EEXIST);
	assert_int_equal(call(vm.vm, KVM_SET_USER_MEMORY_REGION, &r), -EEXIST);
	r.memory_size = 0xd000;
	assert_int_equal(call(vm.vm, KVM_SET_USER_MEMORY_REGION, &r), 0);
	/* the page of the identity map is made with the first vCPU */
	assert_int_equal(call_n(vm.vm, KVM_CREATE_VCPU, 0), -EEXIST);
}

static void amd_needs_no_tss(void **state)
{
	static const struct fake_step script[] = { FAKE_SHUTDOWN };

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	open_vm();
	map_vcpu();
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_SHUTDOWN);
}

static u32 leaf7_edx(void)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + 256 * sizeof(c->entries[0]));
	u32 edx = 0;

	c->nent = 256;
	assert_int_equal(call(vm.sys, KVM_GET_SUPPORTED_CPUID, c), 0);
	for (u32 i = 0; i < c->nent; i++)
		if (c->entries[i].function == 7 && !c->entries[i].index)
			edx = c->entries[i].edx;
	free(c);
	return edx;
}

static int get_msr(u32 index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} m = { .head = { .nmsrs = 1 }, .entry = { .index = index } };

	return call(vm.vcpu, KVM_GET_MSRS, &m);
}

static void amd_advertises_what_it_refuses(void **state)
{
	(void)state;
	start_vm();
	assert_true(leaf7_edx() >> 29 & 1);
	assert_int_equal(get_msr(0x10a), 0);
	assert_int_equal(get_msr(0x174), 1);
}

static void intel_refuses_nothing_it_advertises(void **state)
{
	(void)state;
	start_vm();
	assert_int_equal(get_msr(0x10a), 1);
	fakekvm_refuse_msr(vm.fk, 0x174);
	assert_int_equal(get_msr(0x174), 0);
}

/* Flat 32-bit protected mode; what a test changes must make the entry fail. */
static struct kvm_sregs protected_mode(void)
{
	struct kvm_sregs s;

	assert_int_equal(call(vm.vcpu, KVM_GET_SREGS, &s), 0);
	s.cs = (struct kvm_segment){ .limit = UINT32_MAX,
				     .selector = 8,
				     .type = 11,
				     .present = 1,
				     .db = 1,
				     .s = 1,
				     .g = 1 };
	s.ds = s.es = s.fs = s.gs = s.ss = (struct kvm_segment){ .limit = UINT32_MAX,
								 .selector = 16,
								 .type = 3,
								 .present = 1,
								 .db = 1,
								 .s = 1,
								 .g = 1 };
	s.tr.type = 11; /* busy, as after reset */
	s.cr0 = 0x11;
	return s;
}

static void run_with(struct kvm_sregs *s)
{
	assert_int_equal(call(vm.vcpu, KVM_SET_SREGS, s), 0);
	assert_int_equal(run(), 0);
}

static void intel_checks_segments_at_entry(void **state)
{
	static const struct fake_step script[] = { FAKE_SHUTDOWN };
	struct kvm_sregs s;

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	s = protected_mode();
	s.tr.type = 9; /* available, not busy */
	run_with(&s);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	assert_int_equal(vm.run->fail_entry.hardware_entry_failure_reason, 0x80000021);
	s = protected_mode();
	s.ss.limit = 0x1fffff; /* with G set, the low bits are ones; bit 20 on without: no */
	s.ss.g = 0;
	run_with(&s);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	s = protected_mode();
	s.cs.type = 10; /* never accessed */
	run_with(&s);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	s = protected_mode();
	run_with(&s);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_SHUTDOWN);
}

static void amd_checks_long_mode_at_entry(void **state)
{
	struct kvm_sregs s;

	(void)state;
	start_vm();
	s = protected_mode();
	s.cr0 = 0x80000011;
	s.cr4 = 0x20;
	s.efer = 0x500;
	s.cs.l = 1; /* and D */
	run_with(&s);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	assert_true(vm.run->fail_entry.hardware_entry_failure_reason == UINT64_MAX);
}

static void kvmclock_can_be_told_of_a_pause_once_it_is_used(void **state)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} m = { .head = { .nmsrs = 1 }, .entry = { .index = 0x4b564d01, .data = 0x1001 } };

	(void)state;
	start_vm();
	assert_int_equal(call_n(vm.vcpu, KVM_KVMCLOCK_CTRL, 0), -EINVAL);
	assert_int_equal(call(vm.vcpu, KVM_SET_MSRS, &m), 1);
	assert_int_equal(call_n(vm.vcpu, KVM_KVMCLOCK_CTRL, 0), 0);
}

/* ---- Scripts ---- */

static void port_io_exits_and_records_answers(void **state)
{
	static const struct fake_step script[] = {
		FAKE_OUT(0x3f8, 1, 'A'),
		FAKE_IN(0x3fd, 1),
		FAKE_OUTS(0x1f0, 2, 3, "abcdef"),
		FAKE_INS(0x1f0, 4, 2),
	};
	u8 got[8];

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_IO);
	assert_int_equal(vm.run->io.direction, KVM_EXIT_IO_OUT);
	assert_int_equal(vm.run->io.port, 0x3f8);
	assert_int_equal(*io_data(), 'A');
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->io.direction, KVM_EXIT_IO_IN);
	*io_data() = 0x60;
	assert_int_equal(fakekvm_n_answers(vm.fk, 0), 0);
	assert_int_equal(run(), 0);
	assert_int_equal(fakekvm_n_answers(vm.fk, 0), 1);
	assert_int_equal(vm.run->io.size, 2);
	assert_int_equal(vm.run->io.count, 3);
	assert_memory_equal(io_data(), "abcdef", 6);
	assert_int_equal(run(), 0);
	memcpy(io_data(), "12345678", 8);
	assert_false(fakekvm_script_done(vm.fk, 0));
	kick_myself();
	assert_int_equal(run(), -EINTR);
	assert_true(fakekvm_script_done(vm.fk, 0));
	assert_int_equal(fakekvm_answer_u64(vm.fk, 0, 0), 0x60);
	assert_int_equal(fakekvm_answer(vm.fk, 0, 1, got, sizeof(got)), 8);
	assert_memory_equal(got, "12345678", 8);
	assert_int_equal(fakekvm_answer(vm.fk, 0, 2, got, sizeof(got)), 0);
	take_kick();
}

static void unanswered_reads_give_garbage_not_zero(void **state)
{
	static const struct fake_step script[] = { FAKE_IN(0x10, 1), FAKE_LOAD(0xd0000000, 4),
						   FAKE_SHUTDOWN };

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	for (int i = 0; i < 3; i++)
		assert_int_equal(run(), 0);
	assert_int_equal(fakekvm_answer_u64(vm.fk, 0, 0), 0xa5);
	assert_int_equal(fakekvm_answer_u64(vm.fk, 0, 1), 0xa5a5a5a5);
}

static void memory_accesses_exit_outside_of_slots_only(void **state)
{
	static const struct fake_step script[] = {
		FAKE_STORE(0x1000, 4, 0x11223344),
		FAKE_LOAD(0x1000, 2),
		FAKE_STORE(0xd0000000, 4, 0x55667788),
		FAKE_LOAD(0xd0000004, 8),
		FAKE_SHUTDOWN,
	};

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	assert_int_equal(run(), 0);
	assert_int_equal(get_le32(memory + 0x1000), 0x11223344);
	assert_int_equal(fakekvm_answer_u64(vm.fk, 0, 0), 0x3344);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(vm.run->mmio.phys_addr, 0xd0000000);
	assert_int_equal(vm.run->mmio.is_write, 1);
	assert_int_equal(vm.run->mmio.len, 4);
	assert_int_equal(get_le32(vm.run->mmio.data), 0x55667788);
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->mmio.is_write, 0);
	put_le64(vm.run->mmio.data, 0x1122334455667788);
	assert_int_equal(run(), 0);
	assert_true(fakekvm_answer_u64(vm.fk, 0, 1) == 0x1122334455667788);
}

static void writes_to_read_only_slots_exit(void **state)
{
	static const struct fake_step script[] = { FAKE_LOAD(0x100000, 1),
						   FAKE_STORE(0x100000, 1, 1) };

	(void)state;
	memory[0] = 0x77;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	open_vm();
	set_slot(0x100000, PAGE, memory, KVM_MEM_READONLY);
	call_n(vm.vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	map_vcpu();
	assert_int_equal(run(), 0);
	assert_int_equal(fakekvm_answer_u64(vm.fk, 0, 0), 0x77);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(memory[0], 0x77);
}

static void devices_in_the_kernel_do_not_exit(void **state)
{
	static const struct fake_step script[] = {
		FAKE_OUT(0x20, 1, 0x11),  FAKE_STORE(0xfee000b0, 4, 0),
		FAKE_LOAD(0xfec00010, 4), FAKE_IN(0x40, 1),
		FAKE_IN(0x61, 1),
	};
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	assert_int_equal(run(), 0); /* no PIT yet */
	assert_int_equal(vm.run->io.port, 0x40);
	assert_int_equal(call(vm.vm, KVM_CREATE_PIT2, &pit), 0);
	kick_myself();
	assert_int_equal(run(), -EINTR);
	take_kick();
}

static void text_is_printed_byte_by_byte(void **state)
{
	static const struct fake_step script[] = { FAKE_PRINT(0x3f8, "ok\n"), FAKE_SHUTDOWN };

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(run(), 0);
		assert_int_equal(vm.run->io.count, 1);
		assert_int_equal(*io_data(), "ok\n"[i]);
	}
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_SHUTDOWN);
}

static void ends_come_as_told(void **state)
{
	static const struct fake_step script[] = {
		FAKE_FAIL_ENTRY(7),	  FAKE_INTERNAL_ERROR(4),
		FAKE_SYSTEM_EVENT(2),	  FAKE_EXIT(55),
		FAKE_ERRNO(EAGAIN),	  FAKE_ERRNO(EFAULT),
		FAKE_MEMFAULT(0xdead000), FAKE_EXIT_DATA(30, 4, "\1\2\3\4"),
	};

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	assert_int_equal(vm.run->fail_entry.hardware_entry_failure_reason, 7);
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_INTERNAL_ERROR);
	assert_int_equal(vm.run->internal.suberror, 4);
	assert_int_equal(vm.run->internal.ndata, 0);
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_SYSTEM_EVENT);
	assert_int_equal(vm.run->system_event.type, 2);
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, 55);
	assert_int_equal(run(), -EAGAIN);
	assert_int_equal(run(), -EFAULT);
	assert_int_equal(run(), -EFAULT);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_MEMORY_FAULT);
	assert_int_equal(vm.run->memory_fault.gpa, 0xdead000);
	assert_int_equal(run(), 0);
	assert_memory_equal(vm.run->padding, "\1\2\3\4", 4);
}

static unsigned int count_outs(void)
{
	unsigned int n = 0;

	while (!run() && vm.run->exit_reason == KVM_EXIT_IO)
		n++;
	return n;
}

static void repeats_are_counted_and_nest(void **state)
{
	static const struct fake_step script[] = {
		FAKE_OUT(0x80, 1, 1),
		FAKE_REPEAT(0, 2), /* 3 outs */
		FAKE_REPEAT(0, 3), /* 4 times */
		FAKE_SHUTDOWN,
	};

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	assert_int_equal(count_outs(), 12);
}

static void hlt_without_irqchip_exits(void **state)
{
	static const struct fake_step script[] = { FAKE_HLT };

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	open_vm();
	call_n(vm.vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	map_vcpu();
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_HLT);
}

static void irq_line(u32 gsi, u32 level)
{
	struct kvm_irq_level l = { .irq = gsi, .level = level };

	assert_int_equal(call(vm.vm, KVM_IRQ_LINE, &l), 0);
}

static void *raise_main(void *arg)
{
	(void)arg;
	usleep(20000);
	irq_line(4, 1);
	return NULL;
}

static void hlt_waits_for_an_interrupt(void **state)
{
	static const struct fake_step script[] = { FAKE_HLT, FAKE_SHUTDOWN };
	pthread_t thread;

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	pthread_create(&thread, NULL, raise_main, NULL);
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_SHUTDOWN);
	pthread_join(thread, NULL);
	assert_true(fakekvm_irq_level(vm.fk, 4));
	assert_int_equal(fakekvm_irq_count(vm.fk, 4), 1);
}

static void interrupts_are_counted_as_edges(void **state)
{
	(void)state;
	start_vm();
	irq_line(4, 1);
	irq_line(4, 1);
	irq_line(4, 0);
	irq_line(4, 1);
	assert_int_equal(fakekvm_irq_count(vm.fk, 4), 2);
	assert_int_equal(fakekvm_irq_count(vm.fk, 5), 0);
	irq_line(4, 0);
	assert_false(fakekvm_irq_level(vm.fk, 4));
}

static void irqfds_count_as_interrupts(void **state)
{
	static const struct fake_step script[] = { FAKE_WAIT_IRQ(9, 5000), FAKE_SHUTDOWN };
	struct kvm_irqfd r = { .fd = (u32)eventfd(0, EFD_CLOEXEC), .gsi = 9 };

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	assert_int_equal(call(vm.vm, KVM_IRQFD, &r), 0);
	assert_int_equal(eventfd_write((int)r.fd, 1), 0);
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_SHUTDOWN);
	assert_int_equal(fakekvm_irq_count(vm.fk, 9), 1);
	assert_string_equal(fakekvm_complaints(vm.fk), "");
	close((int)r.fd);
}

static void an_edge_is_waited_for_once(void **state)
{
	static const struct fake_step script[] = { FAKE_WAIT_IRQ(4, 5000), FAKE_SHUTDOWN,
						   FAKE_WAIT_IRQ(4, 5), FAKE_SHUTDOWN };

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	irq_line(4, 1);
	irq_line(4, 0);
	assert_int_equal(run(), 0);
	assert_string_equal(fakekvm_complaints(vm.fk), "");
	assert_int_equal(run(), 0);
	assert_string_equal(fakekvm_complaints(vm.fk), "script: GSI 4 stayed low\n");
}

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

static void a_kick_does_not_shorten_a_delay(void **state)
{
	static const struct fake_step script[] = { FAKE_DELAY(50), FAKE_SHUTDOWN };
	u64 start;

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	start = now_ms();
	kick_myself();
	assert_int_equal(run(), -EINTR);
	take_kick();
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_SHUTDOWN);
	assert_in_range(now_ms() - start, 45, 5000);
}

static void an_interrupt_that_stays_away_is_complained_of(void **state)
{
	static const struct fake_step script[] = { FAKE_WAIT_IRQ(9, 5), FAKE_SHUTDOWN };

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	assert_int_equal(run(), 0);
	assert_string_equal(fakekvm_complaints(vm.fk), "script: GSI 9 stayed low\n");
}

static void ioeventfds_take_their_writes(void **state)
{
	static const struct fake_step script[] = {
		FAKE_STORE(0xd0000010, 2, 7), /* another value: exits */
		FAKE_STORE(0xd0000010, 2, 3),
		FAKE_OUT(0x600, 4, 9),
		FAKE_SHUTDOWN,
	};
	struct kvm_ioeventfd a = { .addr = 0xd0000010,
				   .len = 2,
				   .datamatch = 3,
				   .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
				   .flags = KVM_IOEVENTFD_FLAG_DATAMATCH };
	struct kvm_ioeventfd b = { .addr = 0x600,
				   .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
				   .flags = KVM_IOEVENTFD_FLAG_PIO };
	eventfd_t n;

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	assert_int_equal(call(vm.vm, KVM_IOEVENTFD, &a), 0);
	assert_int_equal(call(vm.vm, KVM_IOEVENTFD, &b), 0);
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_SHUTDOWN);
	assert_int_equal(eventfd_read(a.fd, &n), 0);
	assert_int_equal(eventfd_read(b.fd, &n), 0);
	close(a.fd);
	close(b.fd);
}

static void count_call(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	assert_non_null(fakekvm_gpa(fk, 0, PAGE));
	assert_int_equal(vcpu, 0);
	++*(int *)ctx;
}

static void scripts_can_call_the_test(void **state)
{
	int n = 0;
	const struct fake_step script[] = { FAKE_CALL(count_call, &n), FAKE_SHUTDOWN };

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	assert_int_equal(run(), 0);
	assert_int_equal(n, 1);
}

static void guest_memory_is_found_through_slots(void **state)
{
	(void)state;
	assert_null(fakekvm_gpa(vm.fk, 0, 1));
	start_vm();
	assert_ptr_equal(fakekvm_gpa(vm.fk, 0x123, 1), memory + 0x123);
	assert_ptr_equal(fakekvm_gpa(vm.fk, 0, sizeof(memory)), memory);
	assert_null(fakekvm_gpa(vm.fk, 1, sizeof(memory)));
	assert_null(fakekvm_gpa(vm.fk, UINT64_MAX, 2));
}

/* ---- Scripts as text ---- */

static void text_scripts_play(void **state)
{
	char why[128];

	(void)state;
	assert_int_equal(
		fakekvm_script_text(vm.fk,
				    "out 0xf4 1 42; in 0x64 1\n"
				    "outs 0x3f8 1 \"a;\\x41\\n\" ; loop; load 0xd0000000 4\n"
				    "repeat 1; print \"hi\"; fail-entry\n"
				    "errno EAGAIN; cpu 1; shutdown",
				    why, sizeof(why)),
		0);
	start_vm();
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->io.port, 0xf4);
	assert_int_equal(*io_data(), 42);
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->io.port, 0x64);
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->io.count, 4);
	assert_memory_equal(io_data(), "a;A\n", 4);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(run(), 0);
		assert_int_equal(vm.run->exit_reason, KVM_EXIT_MMIO);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(run(), 0);
		assert_int_equal(*io_data(), "hi"[i]);
	}
	assert_int_equal(run(), 0);
	assert_int_equal(vm.run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	assert_int_equal(run(), -EAGAIN);
}

static void bad_text_is_named(void **state)
{
	static const char *const bad[] = {
		"frobnicate",	"out 0xf4",	 "out 0xf4 1 42 9",  "in 0x10 9", "out x 1 1",
		"print \"open", "print \"\"",	 "outs 1 2 \"abc\"", "cpu 1024",  "errno ENOSUCH",
		"delay",	"print \"\\q\"", "repeat -1",
	};
	char why[128], text[64], want[128];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "hlt;%s", bad[i]);
		snprintf(want, sizeof(want), "script: '%s'", bad[i]);
		assert_int_equal(fakekvm_script_text(vm.fk, text, why, sizeof(why)), -EINVAL);
		assert_string_equal(why, want);
	}
}

/* ---- Writing down, failing, leaking ---- */

static void transcript_has_a_line_per_call(void **state)
{
	static const struct fake_step script[] = { FAKE_OUT(0xf4, 1, 1) };
	char *text;

	(void)state;
	fakekvm_script(vm.fk, 0, script, ARRAY_SIZE(script));
	start_vm();
	assert_int_equal(call_n(vm.vm, KVM_CREATE_IRQCHIP, 0), -EEXIST);
	assert_int_equal(run(), 0);
	close_vm();
	text = fakekvm_transcript(vm.fk, NULL);
	assert_string_equal(
		text, "sys open = sys\n"
		      "sys KVM_CREATE_VM 0 = vm\n"
		      "vm KVM_SET_USER_MEMORY_REGION slot 0 flags 0x0 gpa 0x0 size 0x10000 = 0\n"
		      "vm KVM_SET_TSS_ADDR 0xfffbd000 = 0\n"
		      "vm KVM_CREATE_IRQCHIP = 0\n"
		      "vm KVM_CREATE_VCPU 0 = vcpu\n"
		      "vcpu0 mmap 12288 = 0\n"
		      "vm KVM_CREATE_IRQCHIP = -EEXIST\n"
		      "vcpu0 KVM_RUN io out 0xf4 size 1 count 1 = 0\n"
		      "vcpu0 munmap\n"
		      "vcpu0 close\n"
		      "vm close\n"
		      "sys close\n");
	free(text);
	text = fakekvm_transcript(vm.fk, "vcpu0");
	assert_true(!strncmp(text, "vcpu0 mmap", 10));
	assert_null(strstr(text, "vm "));
	free(text);
	text = fakekvm_transcript(vm.fk, "setup");
	assert_non_null(strstr(text, "EEXIST\n"));
	assert_null(strstr(text, "KVM_RUN"));
	free(text);
}

static void a_second_vm_has_names_of_its_own(void **state)
{
	char *text;

	(void)state;
	start_vm();
	close_vm();
	start_vm();
	text = fakekvm_transcript(vm.fk, "vm2.vcpu0");
	assert_string_equal(text, "vm2.vcpu0 mmap 12288 = 0\n");
	free(text);
	close_vm();
	assert_string_equal(fakekvm_leaks(vm.fk), "");
}

static void every_call_can_be_made_to_fail(void **state)
{
	int err = 0;

	(void)state;
	fakekvm_fail_nth(vm.fk, 1, EMFILE);
	assert_int_equal(vm.be->open(vm.be->ctx), -EMFILE);
	assert_string_equal(fakekvm_failed_call(vm.fk), "sys open");
	fakekvm_fail_nth(vm.fk, 3, ENOMEM);
	vm.sys = vm.be->open(vm.be->ctx);
	assert_true(vm.sys >= 0);
	assert_int_equal(call_n(vm.sys, KVM_CREATE_VM, 0), -ENOMEM);
	assert_string_equal(fakekvm_failed_call(vm.fk), "sys KVM_CREATE_VM");
	vm.vm = call_n(vm.sys, KVM_CREATE_VM, 0);
	vm.vcpu = call_n(vm.vm, KVM_CREATE_VCPU, 0);
	assert_int_equal(fakekvm_n_calls(vm.fk), 5);
	fakekvm_fail_nth(vm.fk, 6, EPERM);
	assert_null(vm.be->mmap(vm.be->ctx, vm.vcpu, 12288, &err));
	assert_int_equal(err, EPERM);
	assert_non_null(vm.be->mmap(vm.be->ctx, vm.vcpu, 12288, &err));
	assert_int_equal(err, 0);
}

static void a_request_can_be_made_to_fail(void **state)
{
	(void)state;
	open_vm();
	fakekvm_fail_request(vm.fk, KVM_CREATE_VCPU, 2, ENOMEM);
	assert_true(call_n(vm.vm, KVM_CREATE_VCPU, 0) >= 0);
	assert_int_equal(call_n(vm.vm, KVM_CREATE_VCPU, 1), -ENOMEM);
	assert_true(call_n(vm.vm, KVM_CREATE_VCPU, 1) >= 0);
}

static void what_stays_open_is_named(void **state)
{
	(void)state;
	start_vm();
	assert_string_equal(fakekvm_leaks(vm.fk),
			    "sys is open\nvm is open\nvcpu0 is open\nvcpu0 is mapped\n");
	vm.be->close(vm.be->ctx, vm.vm);
	vm.be->close(vm.be->ctx, vm.vcpu);
	vm.be->close(vm.be->ctx, vm.sys);
	assert_string_equal(fakekvm_leaks(vm.fk), "vcpu0 is mapped\n");
	vm.be->munmap(vm.be->ctx, vm.run, 12288);
	assert_string_equal(fakekvm_leaks(vm.fk), "");
	assert_string_equal(fakekvm_complaints(vm.fk), "");
}

static void misuse_is_complained_of(void **state)
{
	int err = 0;

	(void)state;
	start_vm();
	vm.be->close(vm.be->ctx, 77);
	assert_non_null(strstr(fakekvm_complaints(vm.fk), "close of a descriptor that is not"));
	assert_int_equal(call_n(77, KVM_RUN, 0), -EBADF);
	assert_non_null(strstr(fakekvm_complaints(vm.fk), "KVM_RUN on a descriptor"));
	assert_null(vm.be->mmap(vm.be->ctx, vm.vcpu, 12288, &err));
	assert_non_null(strstr(fakekvm_complaints(vm.fk), "vcpu0 was mapped twice"));
	assert_null(vm.be->mmap(vm.be->ctx, vm.vm, 12288, &err));
	assert_int_equal(err, ENODEV);
	call_n(vm.vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	assert_non_null(strstr(fakekvm_complaints(vm.fk), "TSS_ADDR after a vCPU"));
}

static void register_state_is_readable_after_the_vm_is_gone(void **state)
{
	struct kvm_regs r = { .rip = 0x1234, .rflags = 2 };

	(void)state;
	start_vm();
	assert_int_equal(call(vm.vcpu, KVM_SET_REGS, &r), 0);
	close_vm();
	memset(&r, 0, sizeof(r));
	assert_int_equal(fakekvm_vcpu_get(vm.fk, 0, KVM_GET_REGS, &r), 0);
	assert_int_equal(r.rip, 0x1234);
	assert_int_equal(fakekvm_vcpu_get(vm.fk, 1, KVM_GET_REGS, &r), -ENOENT);
}

#define N_VCPUS 255

static _Atomic int n_ended;

/* One of many: halts, is kicked, drains, goes. */
static void *vcpu_main(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct {
		struct kvm_signal_mask head;
		u64 set;
	} __attribute__((packed)) m = { .head = { .len = 8 }, .set = ~BIT(KICK - 1) };

	call(fd, KVM_SET_SIGNAL_MASK, &m);
	if (call_n(fd, KVM_RUN, 0) == -EINTR)
		n_ended++;
	take_kick();
	return NULL;
}

static void many_vcpus_halt_and_are_kicked(void **state)
{
	static pthread_t threads[N_VCPUS];
	static int fds[N_VCPUS];
	static struct kvm_run *runs[N_VCPUS];
	sigset_t set;
	int err;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, KICK);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	n_ended = 0;
	open_vm();
	call_n(vm.vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	call_n(vm.vm, KVM_CREATE_IRQCHIP, 0);
	for (int i = 0; i < N_VCPUS; i++) {
		fds[i] = call_n(vm.vm, KVM_CREATE_VCPU, (unsigned long)i);
		runs[i] = vm.be->mmap(vm.be->ctx, fds[i], 12288, &err);
		assert_non_null(runs[i]);
		pthread_create(&threads[i], NULL, vcpu_main, (void *)(intptr_t)fds[i]);
	}
	for (int i = 0; i < N_VCPUS; i++)
		pthread_kill(threads[i], KICK);
	for (int i = 0; i < N_VCPUS; i++) {
		pthread_join(threads[i], NULL);
		vm.be->munmap(vm.be->ctx, runs[i], 12288);
		vm.be->close(vm.be->ctx, fds[i]);
	}
	assert_int_equal(n_ended, N_VCPUS);
	close_vm();
	assert_string_equal(fakekvm_leaks(vm.fk), "");
}

#define INTEL(fn) cmocka_unit_test_setup_teardown(fn, setup_intel, teardown)
#define AMD(fn)	  cmocka_unit_test_setup_teardown(fn, setup_amd, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		INTEL(open_can_fail),
		INTEL(api_version_and_capabilities_can_be_set),
		INTEL(intel_wants_a_tss),
		INTEL(intel_keeps_its_own_pages_apart),
		AMD(amd_needs_no_tss),
		AMD(amd_advertises_what_it_refuses),
		INTEL(intel_refuses_nothing_it_advertises),
		INTEL(intel_checks_segments_at_entry),
		AMD(amd_checks_long_mode_at_entry),
		AMD(kvmclock_can_be_told_of_a_pause_once_it_is_used),
		INTEL(port_io_exits_and_records_answers),
		INTEL(unanswered_reads_give_garbage_not_zero),
		INTEL(memory_accesses_exit_outside_of_slots_only),
		INTEL(writes_to_read_only_slots_exit),
		INTEL(devices_in_the_kernel_do_not_exit),
		INTEL(text_is_printed_byte_by_byte),
		INTEL(ends_come_as_told),
		INTEL(repeats_are_counted_and_nest),
		INTEL(hlt_without_irqchip_exits),
		INTEL(hlt_waits_for_an_interrupt),
		INTEL(interrupts_are_counted_as_edges),
		INTEL(irqfds_count_as_interrupts),
		INTEL(an_edge_is_waited_for_once),
		INTEL(a_kick_does_not_shorten_a_delay),
		INTEL(an_interrupt_that_stays_away_is_complained_of),
		INTEL(ioeventfds_take_their_writes),
		INTEL(scripts_can_call_the_test),
		INTEL(guest_memory_is_found_through_slots),
		INTEL(text_scripts_play),
		INTEL(bad_text_is_named),
		INTEL(transcript_has_a_line_per_call),
		INTEL(a_second_vm_has_names_of_its_own),
		INTEL(every_call_can_be_made_to_fail),
		INTEL(a_request_can_be_made_to_fail),
		INTEL(what_stays_open_is_named),
		INTEL(misuse_is_complained_of),
		INTEL(register_state_is_readable_after_the_vm_is_gone),
		INTEL(many_vcpus_halt_and_are_kicked),
	};

	return cmocka_run_group_tests_name("fakekvm beyond the rules", tests, NULL, NULL);
}
