/*
 * fakekvm keeps KVM's rules: the same checks, with the same errno, on each fake host and on
 * /dev/kvm. Each rule with its source is in tests/fakekvm, where it is kept.
 *
 *	test_fakekvm		on the fake hosts
 *	test_fakekvm real	on /dev/kvm
 *	test_fakekvm real-cpu	there, the rules that come from VMX or SVM
 *
 * It does not prove that fakekvm knows all of KVM's rules, nor that kernels other than those
 * it was run on keep these. What only an Intel CPU does (the TSS, VM-entry checks) is
 * from the manuals, in test_fakekvm_play.c, and was never seen on hardware.
 */
#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "linux-uapi/x86.h"
#include "tests/fakekvm/fakekvm.h"
#include "vmm/kvm.h"

#define PAGE	     4096ull
#define KICK	     SIGUSR1
#define CODE_GPA     0x1000
#define MAX_ENTRIES  256
#define NOT_A_NUMBER KVM_IOC_NONE(0xff)

/* What a test works on: a fake host (the initial state of the test), or (fk NULL) the kernel. */
static struct rig {
	struct fakekvm *fk;
	const struct kvm_backend *be;
	int sys, vm, vcpu;
	struct kvm_run *run;
	size_t run_size;
	u8 *mem; /* 16 pages */
} rig;

#define MEM_SIZE (16 * PAGE)

static int call(int fd, unsigned long req, void *arg)
{
	return rig.be->ioctl(rig.be->ctx, fd, req, (unsigned long)arg);
}

static int call_n(int fd, unsigned long req, unsigned long arg)
{
	return rig.be->ioctl(rig.be->ctx, fd, req, arg);
}

static int new_vcpu(unsigned long id)
{
	return call_n(rig.vm, KVM_CREATE_VCPU, id);
}

/* vCPU 0, mapped; what it needs beside is up to the test. */
static void add_vcpu(void)
{
	int err = 0;

	rig.vcpu = new_vcpu(0);
	assert_true(rig.vcpu >= 0);
	rig.run = rig.be->mmap(rig.be->ctx, rig.vcpu, rig.run_size, &err);
	assert_non_null(rig.run);
}

static void add_irqchip(void)
{
	assert_int_equal(call_n(rig.vm, KVM_CREATE_IRQCHIP, 0), 0);
}

static void add_tss(void)
{
	assert_int_equal(call_n(rig.vm, KVM_SET_TSS_ADDR, 0xfffbd000), 0);
}

static int setup(void **state)
{
	const struct fake_host *host = *state;

	if (host) {
		rig.fk = fakekvm_new(host);
		rig.be = fakekvm_backend(rig.fk);
	} else {
		rig.be = &kvm_linux;
	}
	rig.sys = rig.be->open(rig.be->ctx);
	assert_true(rig.sys >= 0);
	rig.vm = call_n(rig.sys, KVM_CREATE_VM, 0);
	assert_true(rig.vm >= 0);
	rig.run_size = (size_t)call_n(rig.sys, KVM_GET_VCPU_MMAP_SIZE, 0);
	rig.vcpu = -1;
	rig.mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(rig.mem != MAP_FAILED);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (rig.run)
		rig.be->munmap(rig.be->ctx, rig.run, rig.run_size);
	if (rig.vcpu >= 0)
		rig.be->close(rig.be->ctx, rig.vcpu);
	rig.be->close(rig.be->ctx, rig.vm);
	rig.be->close(rig.be->ctx, rig.sys);
	munmap(rig.mem, MEM_SIZE);
	fakekvm_free(rig.fk);
	rig.run = NULL;
	rig.fk = NULL;
	return 0;
}

/* ---- The system (4.1 to 4.5) ---- */

static void system_answers_without_argument(void **state)
{
	(void)state;
	assert_int_equal(call_n(rig.sys, KVM_GET_API_VERSION, 0), 12);
	assert_int_equal(call_n(rig.sys, KVM_GET_API_VERSION, 1), -EINVAL);
	assert_true(rig.run_size >= sizeof(struct kvm_run));
	assert_int_equal(call_n(rig.sys, KVM_GET_VCPU_MMAP_SIZE, 1), -EINVAL);
}

static void unknown_requests_are_refused(void **state)
{
	(void)state;
	add_vcpu();
	assert_int_equal(call_n(rig.sys, NOT_A_NUMBER, 0), -EINVAL);
	assert_int_equal(call_n(rig.vm, NOT_A_NUMBER, 0), -ENOTTY);
	assert_int_equal(call_n(rig.vcpu, NOT_A_NUMBER, 0), -EINVAL);
	/* known ones at the wrong descriptor */
	assert_int_equal(call_n(rig.sys, KVM_CREATE_IRQCHIP, 0), -EINVAL);
	assert_int_equal(call_n(rig.vm, KVM_GET_API_VERSION, 0), -ENOTTY);
	assert_int_equal(call_n(rig.vm, KVM_RUN, 0), -ENOTTY);
	assert_int_equal(call_n(rig.vcpu, KVM_CREATE_VCPU, 0), -EINVAL);
}

static void vm_types_are_those_of_the_capability(void **state)
{
	int types = call_n(rig.sys, KVM_CHECK_EXTENSION, KVM_CAP_VM_TYPES);

	(void)state;
	assert_true(types == 0 || types & 1);
	assert_int_equal(call_n(rig.sys, KVM_CREATE_VM, 30), -EINVAL);
	assert_int_equal(call_n(rig.sys, KVM_CREATE_VM, 1ul << 40), -EINVAL);
}

static void capabilities_are_numbers(void **state)
{
	(void)state;
	assert_int_equal(call_n(rig.sys, KVM_CHECK_EXTENSION, 499), 0);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, 499), 0);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY), 1);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), 1);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT), 1);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS), 32764);
	assert_true(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS) >= 255);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_IRQ_ROUTING), 4096);
}

static void closed_descriptors_are_dead(void **state)
{
	int vm = call_n(rig.sys, KVM_CREATE_VM, 0);

	(void)state;
	assert_true(vm >= 0);
	rig.be->close(rig.be->ctx, vm);
	assert_int_equal(call_n(vm, KVM_CREATE_IRQCHIP, 0), -EBADF);
	assert_int_equal(call_n(-1, KVM_GET_API_VERSION, 0), -EBADF);
}

/* ---- Memory slots (4.35) ---- */

static int set_slot(u32 slot, u32 flags, u64 gpa, u64 size, const void *host)
{
	struct kvm_userspace_memory_region r = { .slot = slot,
						 .flags = flags,
						 .guest_phys_addr = gpa,
						 .memory_size = size,
						 .userspace_addr = (u64)(uintptr_t)host };

	return call(rig.vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static void slots_are_whole_pages(void **state)
{
	(void)state;
	assert_int_equal(set_slot(0, 0, 0, 100, rig.mem), -EINVAL);
	assert_int_equal(set_slot(0, 0, 100, PAGE, rig.mem), -EINVAL);
	assert_int_equal(set_slot(0, 0, 0, PAGE, rig.mem + 100), -EINVAL);
	assert_int_equal(set_slot(0, 0, 0, PAGE, rig.mem), 0);
}

static void slots_have_known_numbers_and_flags(void **state)
{
	(void)state;
	assert_int_equal(set_slot(32763, 0, 0, PAGE, rig.mem), 0);
	assert_int_equal(set_slot(32764, 0, PAGE, PAGE, rig.mem), -EINVAL);
	assert_int_equal(set_slot(7 << 16, 0, PAGE, PAGE, rig.mem), -EINVAL);
	assert_int_equal(set_slot(1, 1u << 20, PAGE, PAGE, rig.mem), -EINVAL);
	assert_int_equal(set_slot(1, KVM_MEM_LOG_DIRTY_PAGES, PAGE, PAGE, rig.mem), 0);
	assert_int_equal(set_slot(2, KVM_MEM_READONLY, 2 * PAGE, PAGE, rig.mem), 0);
}

static void slots_do_not_overlap(void **state)
{
	(void)state;
	assert_int_equal(set_slot(0, 0, 4 * PAGE, 4 * PAGE, rig.mem), 0);
	assert_int_equal(set_slot(1, 0, 7 * PAGE, PAGE, rig.mem), -EEXIST);
	assert_int_equal(set_slot(1, 0, 3 * PAGE, 2 * PAGE, rig.mem), -EEXIST);
	assert_int_equal(set_slot(1, 0, 3 * PAGE, PAGE, rig.mem), 0);
	assert_int_equal(set_slot(2, 0, 8 * PAGE, PAGE, rig.mem), 0);
}

static void slots_move_but_keep_their_size_and_memory(void **state)
{
	(void)state;
	assert_int_equal(set_slot(0, 0, 0, 2 * PAGE, rig.mem), 0);
	assert_int_equal(set_slot(0, 0, 0, PAGE, rig.mem), -EINVAL);
	assert_int_equal(set_slot(0, 0, 0, 2 * PAGE, rig.mem + PAGE), -EINVAL);
	assert_int_equal(set_slot(0, KVM_MEM_READONLY, 0, 2 * PAGE, rig.mem), -EINVAL);
	assert_int_equal(set_slot(0, KVM_MEM_LOG_DIRTY_PAGES, 0, 2 * PAGE, rig.mem), 0);
	assert_int_equal(set_slot(0, 0, PAGE, 2 * PAGE, rig.mem), 0);
}

static void slots_are_deleted_by_size_zero(void **state)
{
	(void)state;
	assert_int_equal(set_slot(0, 0, 0, 0, NULL), -EINVAL);
	assert_int_equal(set_slot(0, 0, 0, PAGE, rig.mem), 0);
	assert_int_equal(set_slot(1, 0, 0, PAGE, rig.mem), -EEXIST);
	assert_int_equal(set_slot(0, 0, 0, 0, NULL), 0);
	assert_int_equal(set_slot(1, 0, 0, PAGE, rig.mem), 0);
}

static void slots_do_not_wrap(void **state)
{
	(void)state;
	assert_int_equal(set_slot(0, 0, -PAGE, 2 * PAGE, rig.mem), -EINVAL);
	assert_int_equal(set_slot(0, 0, 1ull << 52, PAGE, rig.mem), -EINVAL);
	assert_int_equal(set_slot(0, 0, 0, 1ull << 47, rig.mem), -EINVAL);
	assert_int_equal(set_slot(0, 0, 0, PAGE, (void *)0xffff800000000000), -EINVAL);
	assert_int_equal(call(rig.vm, KVM_SET_USER_MEMORY_REGION, NULL), -EFAULT);
}

/* ---- Interrupt controllers and timer (4.24, 4.71) ---- */

static void irqchip_comes_once_and_before_vcpus(void **state)
{
	(void)state;
	add_irqchip();
	assert_int_equal(call_n(rig.vm, KVM_CREATE_IRQCHIP, 0), -EEXIST);
}

static void irqchip_after_a_vcpu_is_refused(void **state)
{
	(void)state;
	add_vcpu();
	assert_int_equal(call_n(rig.vm, KVM_CREATE_IRQCHIP, 0), -EINVAL);
}

static void pit_needs_the_irqchip_and_comes_once(void **state)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct kvm_pit_state2 pit;

	(void)state;
	assert_int_equal(call(rig.vm, KVM_GET_PIT2, &pit), -ENXIO);
	assert_int_equal(call(rig.vm, KVM_CREATE_PIT2, &config), -ENOENT);
	add_irqchip();
	assert_int_equal(call(rig.vm, KVM_CREATE_PIT2, &config), 0);
	assert_int_equal(call(rig.vm, KVM_CREATE_PIT2, &config), -EEXIST);
	assert_int_equal(call(rig.vm, KVM_GET_PIT2, &pit), 0);
}

static void irqchip_state_needs_the_irqchip(void **state)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	(void)state;
	assert_int_equal(call(rig.vm, KVM_GET_IRQCHIP, &chip), -ENXIO);
	add_irqchip();
	assert_int_equal(call(rig.vm, KVM_GET_IRQCHIP, &chip), 0);
	assert_int_equal(chip.chip.ioapic.base_address, 0xfec00000);
	chip.chip_id = 3;
	assert_int_equal(call(rig.vm, KVM_GET_IRQCHIP, &chip), -EINVAL);
}

static int irq_line(u32 gsi, u32 level)
{
	struct kvm_irq_level l = { .irq = gsi, .level = level };

	return call(rig.vm, KVM_IRQ_LINE, &l);
}

static void irq_lines_need_the_irqchip(void **state)
{
	(void)state;
	assert_int_equal(irq_line(4, 1), -ENXIO);
	add_irqchip();
	assert_int_equal(irq_line(4, 1), 0);
	assert_int_equal(irq_line(4, 0), 0);
	assert_int_equal(irq_line(5000, 1), 0);
}

static void msi_needs_the_irqchip(void **state)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x31 };

	(void)state;
	assert_int_equal(call(rig.vm, KVM_SIGNAL_MSI, &msi), -EINVAL);
	add_irqchip();
	assert_int_equal(call(rig.vm, KVM_SIGNAL_MSI, &msi), -EPERM);
	add_vcpu();
	assert_true(call(rig.vm, KVM_SIGNAL_MSI, &msi) >= 0);
	msi.flags = 2;
	assert_int_equal(call(rig.vm, KVM_SIGNAL_MSI, &msi), -EINVAL);
}

static int set_route(u32 gsi, u32 type, u32 chip, u32 pin)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} t = { .head = { .nr = 1 }, .entry = { .gsi = gsi, .type = type } };

	t.entry.u.irqchip.irqchip = chip;
	t.entry.u.irqchip.pin = pin;
	return call(rig.vm, KVM_SET_GSI_ROUTING, &t);
}

static void routes_lead_to_pins_that_exist(void **state)
{
	struct kvm_irq_routing none = { .nr = 0 };

	(void)state;
	assert_int_equal(set_route(4, KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQCHIP_IOAPIC, 4), -EINVAL);
	add_irqchip();
	assert_int_equal(set_route(4, KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQCHIP_IOAPIC, 4), 0);
	assert_int_equal(set_route(4, KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQCHIP_IOAPIC, 24), -EINVAL);
	assert_int_equal(set_route(4, KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQCHIP_PIC_MASTER, 8), -EINVAL);
	assert_int_equal(set_route(4, KVM_IRQ_ROUTING_IRQCHIP, 3, 0), -EINVAL);
	assert_int_equal(set_route(4, 77, 0, 0), -EINVAL);
	assert_int_equal(set_route(4096, KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQCHIP_IOAPIC, 4), -EINVAL);
	assert_int_equal(set_route(4095, KVM_IRQ_ROUTING_MSI, 0xfee00000, 0), 0);
	assert_int_equal(call(rig.vm, KVM_SET_GSI_ROUTING, &none), 0);
	none.flags = 1;
	assert_int_equal(call(rig.vm, KVM_SET_GSI_ROUTING, &none), -EINVAL);
}

static int set_irqfd(int fd, u32 gsi, u32 flags)
{
	struct kvm_irqfd r = { .fd = (u32)fd, .gsi = gsi, .flags = flags };

	return call(rig.vm, KVM_IRQFD, &r);
}

static void an_irqfd_is_an_eventfd_used_once(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(set_irqfd(fd, 5, 0), -EINVAL);
	add_irqchip();
	assert_int_equal(set_irqfd(-1, 5, 0), -EBADF);
	assert_int_equal(set_irqfd(0x7fffff, 5, 0), -EBADF);
	assert_int_equal(set_irqfd(STDIN_FILENO, 5, 0), -EINVAL);
	assert_int_equal(set_irqfd(fd, 5, 1u << 5), -EINVAL);
	assert_int_equal(set_irqfd(fd, 5, 0), 0);
	assert_int_equal(set_irqfd(fd, 5, 0), -EBUSY);
	assert_int_equal(set_irqfd(fd, 6, 0), -EBUSY);
	assert_int_equal(set_irqfd(fd, 5, KVM_IRQFD_FLAG_DEASSIGN), 0);
	assert_int_equal(set_irqfd(fd, 5, KVM_IRQFD_FLAG_DEASSIGN), 0);
	assert_int_equal(set_irqfd(fd, 6, 0), 0);
	close(fd);
}

static int set_ioeventfd(int fd, u64 addr, u32 len, u32 flags, u64 match)
{
	struct kvm_ioeventfd e = {
		.datamatch = match, .addr = addr, .len = len, .fd = fd, .flags = flags
	};

	return call(rig.vm, KVM_IOEVENTFD, &e);
}

static void an_ioeventfd_has_its_place_alone(void **state)
{
	int a = eventfd(0, EFD_CLOEXEC), b = eventfd(0, EFD_CLOEXEC);
	const u32 match = KVM_IOEVENTFD_FLAG_DATAMATCH, gone = KVM_IOEVENTFD_FLAG_DEASSIGN;

	(void)state;
	assert_int_equal(set_ioeventfd(-1, 0x1000, 4, 0, 0), -EBADF);
	assert_int_equal(set_ioeventfd(STDIN_FILENO, 0x1000, 4, 0, 0), -EINVAL);
	assert_int_equal(set_ioeventfd(a, 0x1000, 3, 0, 0), -EINVAL);
	assert_int_equal(set_ioeventfd(a, 0x1000, 16, 0, 0), -EINVAL);
	assert_int_equal(set_ioeventfd(a, UINT64_MAX, 4, 0, 0), -EINVAL);
	assert_int_equal(set_ioeventfd(a, 0x1000, 4, 1u << 10, 0), -EINVAL);
	assert_int_equal(set_ioeventfd(a, 0x1000, 0, match, 0), -EINVAL);
	assert_int_equal(set_ioeventfd(a, 0x1000, 4, match, 7), 0);
	assert_int_equal(set_ioeventfd(b, 0x1000, 4, match, 7), -EEXIST);
	assert_int_equal(set_ioeventfd(b, 0x1000, 4, match, 8), 0);
	assert_int_equal(set_ioeventfd(b, 0x1000, 4, 0, 0), -EEXIST);
	assert_int_equal(set_ioeventfd(b, 0x1000, 2, 0, 0), 0);
	assert_int_equal(set_ioeventfd(b, 0x1000, 4, KVM_IOEVENTFD_FLAG_PIO, 0), 0);
	assert_int_equal(set_ioeventfd(b, 0x2000, 0, 0, 0), 0);
	assert_int_equal(set_ioeventfd(a, 0x2000, 4, 0, 0), -EEXIST);
	/* deassigning takes the very same words */
	assert_int_equal(set_ioeventfd(b, 0x1000, 4, match | gone, 7), -ENOENT);
	assert_int_equal(set_ioeventfd(a, 0x1000, 4, gone, 7), -ENOENT);
	assert_int_equal(set_ioeventfd(a, 0x1000, 4, match | gone, 7), 0);
	assert_int_equal(set_ioeventfd(a, 0x1000, 4, match | gone, 7), -ENOENT);
	close(a);
	close(b);
}

/* ---- What must come before vCPUs (4.36, 4.40, 4.41, 7) ---- */

static int set_identity_map(u64 addr)
{
	return call(rig.vm, KVM_SET_IDENTITY_MAP_ADDR, &addr);
}

static void identity_map_is_set_before_vcpus(void **state)
{
	(void)state;
	assert_int_equal(set_identity_map(0xfffbc000), 0);
	assert_int_equal(set_identity_map(0), 0);
	add_vcpu();
	assert_int_equal(set_identity_map(0xfffbc000), -EINVAL);
}

static void tss_lies_below_4_gib(void **state)
{
	(void)state;
	assert_int_equal(call_n(rig.vm, KVM_SET_TSS_ADDR, 0xffffe000), -EINVAL);
	assert_int_equal(call_n(rig.vm, KVM_SET_TSS_ADDR, 0x100000000), -EINVAL);
	assert_int_equal(call_n(rig.vm, KVM_SET_TSS_ADDR, 0xfffbd000), 0);
}

static void boot_cpu_is_chosen_before_vcpus(void **state)
{
	(void)state;
	assert_int_equal(call_n(rig.vm, KVM_SET_BOOT_CPU_ID, 1), 0);
	add_vcpu();
	assert_int_equal(call_n(rig.vm, KVM_SET_BOOT_CPU_ID, 0), -EBUSY);
}

static int enable(int fd, u32 cap, u32 flags, u64 arg)
{
	struct kvm_enable_cap c = { .cap = cap, .flags = flags, .args = { arg } };

	return call(fd, KVM_ENABLE_CAP, &c);
}

static void exits_are_disabled_before_vcpus(void **state)
{
	u64 known = (u64)call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_X86_DISABLE_EXITS);

	(void)state;
	assert_int_equal(enable(rig.vm, KVM_CAP_X86_DISABLE_EXITS, 0, 1ull << 40), -EINVAL);
	assert_int_equal(enable(rig.vm, KVM_CAP_X86_DISABLE_EXITS, 1, 0), -EINVAL);
	assert_int_equal(enable(rig.vm, KVM_CAP_X86_DISABLE_EXITS, 0, known & 4), 0);
	add_vcpu();
	assert_int_equal(enable(rig.vm, KVM_CAP_X86_DISABLE_EXITS, 0, known & 4), -EINVAL);
}

static void unknown_capabilities_are_not_enabled(void **state)
{
	(void)state;
	add_vcpu();
	assert_int_equal(enable(rig.vm, 499, 0, 0), -EINVAL);
	assert_int_equal(enable(rig.vm, KVM_CAP_IRQCHIP, 0, 0), -EINVAL);
	assert_int_equal(enable(rig.vcpu, 499, 0, 0), -EINVAL);
}

static void split_irqchip_is_instead_of_the_whole(void **state)
{
	(void)state;
	assert_int_equal(enable(rig.vm, KVM_CAP_SPLIT_IRQCHIP, 0, 5000), -EINVAL);
	assert_int_equal(enable(rig.vm, KVM_CAP_SPLIT_IRQCHIP, 0, 24), 0);
	assert_int_equal(enable(rig.vm, KVM_CAP_SPLIT_IRQCHIP, 0, 24), -EEXIST);
	assert_int_equal(call_n(rig.vm, KVM_CREATE_IRQCHIP, 0), -EEXIST);
}

static void only_a_split_irqchip_suppresses_eoi_broadcasts(void **state)
{
	(void)state;
	assert_int_equal(enable(rig.vm, KVM_CAP_X2APIC_API, 0, 1ull << 20), -EINVAL);
	assert_int_equal(enable(rig.vm, KVM_CAP_X2APIC_API, 0, 4), -EINVAL);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_X2APIC_API) & 4, 0);
	assert_int_equal(enable(rig.vm, KVM_CAP_SPLIT_IRQCHIP, 0, 24), 0);
	assert_int_equal(enable(rig.vm, KVM_CAP_X2APIC_API, 0, 12), -EINVAL);
	if (call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_X2APIC_API) & 4)
		assert_int_equal(enable(rig.vm, KVM_CAP_X2APIC_API, 0, 4), 0);
}

static int msi_route(u32 hi)
{
	struct {
		struct kvm_irq_routing table;
		struct kvm_irq_routing_entry entry;
	} r = { .table.nr = 1,
		.entry = { .gsi = 24,
			   .type = KVM_IRQ_ROUTING_MSI,
			   .u.msi.address_lo = 0xfee00000,
			   .u.msi.address_hi = hi,
			   .u.msi.data = 0x31 } };

	return call(rig.vm, KVM_SET_GSI_ROUTING, &r);
}

static int signal_to(u32 lo, u32 hi)
{
	struct kvm_msi msi = { .address_lo = lo, .address_hi = hi, .data = 0x31 };

	return call(rig.vm, KVM_SIGNAL_MSI, &msi);
}

/* vCPU 0, with its local APIC switched on (SVR): before, it takes no message. */
static void add_listening_vcpu(void)
{
	struct kvm_lapic_state lapic;

	add_vcpu();
	assert_int_equal(call(rig.vcpu, KVM_GET_LAPIC, &lapic), 0);
	put_le32(lapic.regs + 0xf0, 0x1ff);
	assert_int_equal(call(rig.vcpu, KVM_SET_LAPIC, &lapic), 0);
}

static void messages_name_32_bits_of_an_id_if_asked_to(void **state)
{
	(void)state;
	assert_int_equal(enable(rig.vm, KVM_CAP_SPLIT_IRQCHIP, 0, 24), 0);
	assert_int_equal(msi_route(1), 0);
	assert_int_equal(enable(rig.vm, KVM_CAP_X2APIC_API, 0, 3), 0);
	assert_int_equal(msi_route(1), -EINVAL);
	assert_int_equal(msi_route(0x100), 0);
	add_listening_vcpu();
	assert_int_equal(signal_to(0xfee00000, 1), -EINVAL);
	assert_int_equal(signal_to(0xfee00000, 0x100), 0);
	assert_int_equal(signal_to(0xfee01000, 0), 0);
	assert_int_equal(signal_to(0xfee00000, 0), 1);
	assert_int_equal(signal_to(0xfeeff000, 0), 1);		     /* in xAPIC mode all of them */
	assert_int_equal(signal_to(0xfeeff000, 0xffffff00), -EPERM); /* in x2APIC mode */
}

static void without_them_the_upper_half_means_nothing(void **state)
{
	(void)state;
	assert_int_equal(enable(rig.vm, KVM_CAP_SPLIT_IRQCHIP, 0, 24), 0);
	add_listening_vcpu();
	assert_int_equal(signal_to(0xfee00000, 0x101), 1);
	assert_int_equal(signal_to(0xfee01000, 0), 0);
	assert_int_equal(signal_to(0xfeeff000, 0), 1);
}

/* ---- vCPUs (4.7) ---- */

static void vcpu_ids_are_unique_and_bounded(void **state)
{
	int max = call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);

	(void)state;
	add_vcpu();
	assert_int_equal(new_vcpu(0), -EEXIST);
	assert_int_equal(new_vcpu((unsigned long)max), -EINVAL);
	assert_int_equal(new_vcpu(1ul << 40), -EINVAL);
}

static void vcpus_start_as_after_reset(void **state)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	(void)state;
	add_irqchip();
	add_vcpu();
	assert_int_equal(call(rig.vcpu, KVM_GET_SREGS, &s), 0);
	assert_int_equal(s.cr0, 0x60000010);
	assert_int_equal(s.cr4, 0);
	assert_int_equal(s.efer, 0);
	assert_int_equal(s.cs.base, 0xffff0000);
	assert_int_equal(s.cs.selector, 0xf000);
	assert_int_equal(s.apic_base, 0xfee00900);
	assert_int_equal(s.ds.limit, 0xffff);
	assert_int_equal(s.idt.limit, 0xffff);
	assert_int_equal(call(rig.vcpu, KVM_GET_REGS, &r), 0);
	assert_int_equal(r.rip, 0xfff0);
	assert_int_equal(r.rflags, 2);
}

static void second_vcpu_waits_for_init(void **state)
{
	struct kvm_mp_state mp;
	int second;

	(void)state;
	add_irqchip();
	add_vcpu();
	second = new_vcpu(1);
	assert_int_equal(call(rig.vcpu, KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(call(second, KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_UNINITIALIZED);
	rig.be->close(rig.be->ctx, second);
}

static int set_mp(u32 val)
{
	struct kvm_mp_state mp = { val };

	return call(rig.vcpu, KVM_SET_MP_STATE, &mp);
}

static void mp_states_are_those_of_x86(void **state)
{
	(void)state;
	add_irqchip();
	add_vcpu();
	assert_int_equal(set_mp(KVM_MP_STATE_HALTED), 0);
	assert_int_equal(set_mp(KVM_MP_STATE_RUNNABLE), 0);
	assert_int_equal(set_mp(KVM_MP_STATE_UNINITIALIZED), 0);
	assert_int_equal(set_mp(KVM_MP_STATE_STOPPED), -EINVAL);
	assert_int_equal(set_mp(KVM_MP_STATE_SUSPENDED), -EINVAL);
	assert_int_equal(set_mp(1234), -EINVAL);
}

static void without_irqchip_there_is_no_lapic(void **state)
{
	struct kvm_lapic_state lapic;

	(void)state;
	add_vcpu();
	assert_int_equal(call(rig.vcpu, KVM_GET_LAPIC, &lapic), -EINVAL);
	assert_int_equal(set_mp(KVM_MP_STATE_RUNNABLE), 0);
	assert_int_equal(set_mp(KVM_MP_STATE_UNINITIALIZED), -EINVAL);
}

static void lapic_is_read_and_written(void **state)
{
	struct kvm_lapic_state lapic;

	(void)state;
	add_irqchip();
	add_vcpu();
	assert_int_equal(call(rig.vcpu, KVM_GET_LAPIC, &lapic), 0);
	assert_int_equal(get_le32(lapic.regs + 0x20), 0);
	assert_int_equal(get_le32(lapic.regs + 0x350), 0x700); /* LINT0: ExtINT */
	assert_int_equal(get_le32(lapic.regs + 0x360), 0x10000);
	put_le32(lapic.regs + 0x360, 0x400); /* LINT1: NMI */
	assert_int_equal(call(rig.vcpu, KVM_SET_LAPIC, &lapic), 0);
	memset(&lapic, 0, sizeof(lapic));
	assert_int_equal(call(rig.vcpu, KVM_GET_LAPIC, &lapic), 0);
	assert_int_equal(get_le32(lapic.regs + 0x360), 0x400);
}

static void events_have_known_flags(void **state)
{
	struct kvm_vcpu_events e;

	(void)state;
	add_irqchip();
	add_vcpu();
	assert_int_equal(call(rig.vcpu, KVM_GET_VCPU_EVENTS, &e), 0);
	e.flags = 0;
	assert_int_equal(call(rig.vcpu, KVM_SET_VCPU_EVENTS, &e), 0);
	e.flags = 1u << 20;
	assert_int_equal(call(rig.vcpu, KVM_SET_VCPU_EVENTS, &e), -EINVAL);
	e.flags = 0;
	e.exception.injected = 1;
	e.exception.nr = 32;
	assert_int_equal(call(rig.vcpu, KVM_SET_VCPU_EVENTS, &e), -EINVAL);
}

/* ---- CPUID (4.20, 4.46) ---- */

static struct kvm_cpuid2 *new_cpuid(u32 n)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + (MAX_ENTRIES + 1) * sizeof(c->entries[0]));

	assert_non_null(c);
	c->nent = n;
	return c;
}

static struct kvm_cpuid2 *supported_cpuid(void)
{
	struct kvm_cpuid2 *c = new_cpuid(MAX_ENTRIES);

	assert_int_equal(call(rig.sys, KVM_GET_SUPPORTED_CPUID, c), 0);
	return c;
}

static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *c, u32 function)
{
	for (u32 i = 0; i < c->nent; i++)
		if (c->entries[i].function == function && !c->entries[i].index)
			return &c->entries[i];
	fail_msg("CPUID leaf 0x%x is missing", function);
	return NULL;
}

static void supported_cpuid_says_how_many(void **state)
{
	struct kvm_cpuid2 *c = supported_cpuid();
	u32 n = c->nent;

	(void)state;
	assert_in_range(n, 10, MAX_ENTRIES - 1);
	c->nent = n - 1;
	assert_int_equal(call(rig.sys, KVM_GET_SUPPORTED_CPUID, c), -E2BIG);
	c->nent = 0;
	assert_int_equal(call(rig.sys, KVM_GET_SUPPORTED_CPUID, c), -E2BIG);
	c->nent = n;
	assert_int_equal(call(rig.sys, KVM_GET_SUPPORTED_CPUID, c), 0);
	assert_int_equal(c->nent, n);
	free(c);
}

static void cpuid_takes_256_entries(void **state)
{
	struct kvm_cpuid2 *c = new_cpuid(MAX_ENTRIES + 1);

	(void)state;
	add_vcpu();
	assert_int_equal(call(rig.vcpu, KVM_SET_CPUID2, c), -E2BIG);
	free(c);
	c = supported_cpuid();
	assert_int_equal(call(rig.vcpu, KVM_SET_CPUID2, c), 0);
	leaf(c, 0x80000008)->eax = 0x3d30;
	assert_int_equal(call(rig.vcpu, KVM_SET_CPUID2, c), -EINVAL);
	assert_int_equal(call(rig.vcpu, KVM_SET_CPUID2, NULL), -EFAULT);
	free(c);
}

static void cpuid_is_read_back(void **state)
{
	struct kvm_cpuid2 *c = supported_cpuid(), *back = new_cpuid(1);
	u32 n = c->nent;

	(void)state;
	add_vcpu();
	assert_int_equal(call(rig.vcpu, KVM_SET_CPUID2, c), 0);
	assert_int_equal(call(rig.vcpu, KVM_GET_CPUID2, back), -E2BIG);
	assert_int_equal(back->nent, 1);
	back->nent = n + 1;
	assert_int_equal(call(rig.vcpu, KVM_GET_CPUID2, back), 0);
	assert_int_equal(back->nent, n);
	assert_int_equal(leaf(back, 0)->ebx, leaf(c, 0)->ebx);
	free(c);
	free(back);
}

/* ---- Registers (4.11 to 4.23, 4.45) ---- */

static void give_cpuid(void)
{
	struct kvm_cpuid2 *c = supported_cpuid();

	assert_int_equal(call(rig.vcpu, KVM_SET_CPUID2, c), 0);
	free(c);
}

static void registers_keep_what_they_are_given(void **state)
{
	struct kvm_regs r = { .rax = 1, .r15 = 2, .rip = 0x100200, .rflags = 0 }, back;
	struct kvm_fpu f = { .fcw = 0x37f, .mxcsr = 0x1f80 };

	(void)state;
	add_vcpu();
	assert_int_equal(call(rig.vcpu, KVM_SET_REGS, &r), 0);
	assert_int_equal(call(rig.vcpu, KVM_GET_REGS, &back), 0);
	assert_int_equal(back.rax, 1);
	assert_int_equal(back.r15, 2);
	assert_int_equal(back.rip, 0x100200);
	assert_int_equal(back.rflags, 2);
	assert_int_equal(call(rig.vcpu, KVM_SET_FPU, &f), 0);
	assert_int_equal(call(rig.vcpu, KVM_GET_FPU, &f), 0);
	assert_int_equal(f.fcw, 0x37f);
}

/* A 64-bit state that is accepted; each test spoils one thing of it. */
static struct kvm_sregs long_mode(void)
{
	struct kvm_sregs s;

	assert_int_equal(call(rig.vcpu, KVM_GET_SREGS, &s), 0);
	s.cs = (struct kvm_segment){ .limit = UINT32_MAX,
				     .selector = 0x10,
				     .type = 11,
				     .present = 1,
				     .s = 1,
				     .l = 1,
				     .g = 1 };
	s.ds = s.es = s.fs = s.gs = s.ss = (struct kvm_segment){ .limit = UINT32_MAX,
								 .selector = 0x18,
								 .type = 3,
								 .present = 1,
								 .db = 1,
								 .s = 1,
								 .g = 1 };
	s.cr0 = 0x80000011;
	s.cr3 = 0x2000;
	s.cr4 = 0x20;
	s.efer = 0x500;
	return s;
}

static int set_sregs(struct kvm_sregs *s)
{
	return call(rig.vcpu, KVM_SET_SREGS, s);
}

static void long_mode_is_a_whole(void **state)
{
	struct kvm_sregs s;

	(void)state;
	add_vcpu();
	give_cpuid();
	s = long_mode();
	assert_int_equal(set_sregs(&s), 0);
	s.cr4 = 0;
	assert_int_equal(set_sregs(&s), -EINVAL);
	s = long_mode();
	s.efer = 0x100;
	assert_int_equal(set_sregs(&s), -EINVAL);
	s.efer = 0x400;
	assert_int_equal(set_sregs(&s), -EINVAL);
	s = long_mode();
	s.cr3 = 1ull << 60;
	assert_int_equal(set_sregs(&s), -EINVAL);
}

static void legacy_mode_has_no_long_code(void **state)
{
	struct kvm_sregs s;

	(void)state;
	add_vcpu();
	give_cpuid();
	s = long_mode();
	s.cr0 = 0x11;
	s.cr4 = 0;
	s.efer = 0;
	assert_int_equal(set_sregs(&s), -EINVAL);
	s.cs.l = 0;
	s.cs.db = 1;
	assert_int_equal(set_sregs(&s), 0);
	s.efer = 0x400;
	assert_int_equal(set_sregs(&s), -EINVAL);
}

static void control_registers_keep_reserved_bits_clear(void **state)
{
	struct kvm_sregs s;

	(void)state;
	add_vcpu();
	give_cpuid();
	s = long_mode();
	s.cr0 = 0x80000010; /* PG without PE */
	assert_int_equal(set_sregs(&s), -EINVAL);
	s.cr0 = 0xa0000011; /* NW without CD */
	assert_int_equal(set_sregs(&s), -EINVAL);
	s.cr0 = 0x180000011;
	assert_int_equal(set_sregs(&s), -EINVAL);
	s = long_mode();
	s.cr4 |= 1ull << 40;
	assert_int_equal(set_sregs(&s), -EINVAL);
	s = long_mode();
	s.cr4 |= 1 << 15;
	assert_int_equal(set_sregs(&s), -EINVAL);
}

static void cr4_bits_need_their_feature(void **state)
{
	struct kvm_cpuid2 *c;
	struct kvm_sregs s;

	(void)state;
	c = supported_cpuid();
	add_vcpu();
	s = long_mode();
	leaf(c, 7)->ebx &= ~(1u << 7); /* SMEP */
	assert_int_equal(call(rig.vcpu, KVM_SET_CPUID2, c), 0);
	s.cr4 |= 1 << 20;
	assert_int_equal(set_sregs(&s), -EINVAL);
	leaf(c, 7)->ebx |= 1u << 7;
	assert_int_equal(call(rig.vcpu, KVM_SET_CPUID2, c), 0);
	assert_int_equal(set_sregs(&s), 0);
	free(c);
}

static void apic_base_keeps_reserved_bits_clear(void **state)
{
	struct kvm_sregs s;

	(void)state;
	add_irqchip();
	add_vcpu();
	give_cpuid();
	s = long_mode();
	assert_int_equal(set_sregs(&s), 0);
	s.apic_base |= 1;
	assert_int_equal(set_sregs(&s), -EINVAL);
	s.apic_base = 0xfee00400; /* x2APIC, but disabled */
	assert_int_equal(set_sregs(&s), -EINVAL);
	s.apic_base = 0xfee00d00;
	assert_int_equal(set_sregs(&s), 0);
}

static int msr_io(unsigned long req, u32 n, const u32 *index, u64 *data)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[4];
	} m = { .head = { .nmsrs = n } };
	int ret;

	for (u32 i = 0; i < n; i++)
		m.entries[i] = (struct kvm_msr_entry){ .index = index[i], .data = data[i] };
	ret = call(rig.vcpu, req, &m);
	for (u32 i = 0; i < n; i++)
		data[i] = m.entries[i].data;
	return ret;
}

static void msrs_stop_at_the_first_unknown(void **state)
{
	const u32 index[] = { 0x174, 0x12345, 0x175 };
	u64 data[] = { 8, 0, 9 };

	(void)state;
	add_vcpu();
	give_cpuid();
	assert_int_equal(msr_io(KVM_SET_MSRS, 3, index, data), 1);
	assert_int_equal(msr_io(KVM_GET_MSRS, 3, index, data), 1);
	assert_int_equal(data[0], 8);
	assert_int_equal(msr_io(KVM_GET_MSRS, 1, &index[2], data), 1);
	assert_int_equal(data[0], 0);
	assert_int_equal(msr_io(KVM_GET_MSRS, 0, index, data), 0);
}

static void msrs_check_their_values(void **state)
{
	const u32 misc = 0x1a0, base = 0x1b, mtrr_cap = 0xfe;
	u64 data = 1;

	(void)state;
	add_irqchip();
	add_vcpu();
	give_cpuid();
	assert_int_equal(msr_io(KVM_SET_MSRS, 1, &misc, &data), 1);
	assert_int_equal(msr_io(KVM_GET_MSRS, 1, &misc, &data), 1);
	assert_int_equal(data, 1);
	assert_int_equal(msr_io(KVM_SET_MSRS, 1, &base, &data), 0);
	assert_int_equal(msr_io(KVM_GET_MSRS, 1, &mtrr_cap, &data), 1);
	assert_int_equal(msr_io(KVM_SET_MSRS, 1, &mtrr_cap, &data), 0);
}

static void pat_holds_memory_types(void **state)
{
	const u32 pat = 0x277;
	u64 data = 0;

	(void)state;
	add_vcpu();
	give_cpuid();
	assert_int_equal(msr_io(KVM_GET_MSRS, 1, &pat, &data), 1);
	assert_int_equal(data, 0x0007040600070406);
	assert_int_equal(msr_io(KVM_SET_MSRS, 1, &pat, &data), 1);
	data = 2;
	assert_int_equal(msr_io(KVM_SET_MSRS, 1, &pat, &data), 0);
}

static void msrs_are_fewer_than_256(void **state)
{
	struct kvm_msrs *m = calloc(1, sizeof(*m) + 256 * sizeof(m->entries[0]));

	(void)state;
	add_vcpu();
	m->nmsrs = 256;
	assert_int_equal(call(rig.vcpu, KVM_GET_MSRS, m), -E2BIG);
	assert_int_equal(call(rig.vcpu, KVM_SET_MSRS, m), -E2BIG);
	free(m);
}

static void msr_list_says_how_many(void **state)
{
	struct kvm_msr_list *l = calloc(1, sizeof(*l) + 4096 * sizeof(l->indices[0]));
	bool star = false;

	(void)state;
	assert_int_equal(call(rig.sys, KVM_GET_MSR_INDEX_LIST, l), -E2BIG);
	assert_in_range(l->nmsrs, 10, 4096);
	assert_int_equal(call(rig.sys, KVM_GET_MSR_INDEX_LIST, l), 0);
	for (u32 i = 0; i < l->nmsrs; i++)
		star |= l->indices[i] == 0xc0000081;
	assert_true(star);
	free(l);
}

static int set_xcr0(u64 val)
{
	struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = val } } };

	return call(rig.vcpu, KVM_SET_XCRS, &x);
}

static void xcr0_is_consistent(void **state)
{
	struct kvm_xcrs x = { .nr_xcrs = KVM_MAX_XCRS + 1 };

	(void)state;
	add_vcpu();
	give_cpuid();
	assert_int_equal(set_xcr0(1), 0);
	assert_int_equal(set_xcr0(7), 0);
	assert_int_equal(set_xcr0(0), -EINVAL);
	assert_int_equal(set_xcr0(5), -EINVAL);
	assert_int_equal(set_xcr0(0x27), -EINVAL);
	assert_int_equal(set_xcr0(1ull << 62 | 7), -EINVAL);
	assert_int_equal(call(rig.vcpu, KVM_SET_XCRS, &x), -EINVAL);
	x.nr_xcrs = 0;
	x.flags = 1;
	assert_int_equal(call(rig.vcpu, KVM_SET_XCRS, &x), -EINVAL);
}

static void debug_registers_have_no_flags(void **state)
{
	struct kvm_debugregs d;

	(void)state;
	add_vcpu();
	assert_int_equal(call(rig.vcpu, KVM_GET_DEBUGREGS, &d), 0);
	assert_int_equal(d.dr6, 0xffff0ff0);
	assert_int_equal(d.dr7, 0x400);
	assert_int_equal(call(rig.vcpu, KVM_SET_DEBUGREGS, &d), 0);
	d.flags = 1;
	assert_int_equal(call(rig.vcpu, KVM_SET_DEBUGREGS, &d), -EINVAL);
	d.flags = 0;
	d.dr7 = 1ull << 32;
	assert_int_equal(call(rig.vcpu, KVM_SET_DEBUGREGS, &d), -EINVAL);
}

/* ---- Clocks (4.29, 4.30, 4.55, 4.56, 4.70) ---- */

static void tsc_frequency_is_known(void **state)
{
	(void)state;
	add_vcpu();
	assert_true(call_n(rig.vcpu, KVM_GET_TSC_KHZ, 0) > 100000);
	assert_int_equal(call_n(rig.vcpu, KVM_SET_TSC_KHZ, 0), 0);
	assert_int_equal(call_n(rig.vm, KVM_SET_TSC_KHZ, 1000000), -EINVAL);
}

static void kvmclock_ctrl_needs_a_guest_that_uses_it(void **state)
{
	(void)state;
	add_vcpu();
	give_cpuid();
	assert_int_equal(call_n(rig.vcpu, KVM_KVMCLOCK_CTRL, 0), -EINVAL);
}

static void clock_is_set_with_known_flags(void **state)
{
	struct kvm_clock_data d = { 0 };

	(void)state;
	assert_int_equal(call(rig.vm, KVM_GET_CLOCK, &d), 0);
	d.flags = 0;
	assert_int_equal(call(rig.vm, KVM_SET_CLOCK, &d), 0);
	d.flags = 1u << 20;
	assert_int_equal(call(rig.vm, KVM_SET_CLOCK, &d), -EINVAL);
}

/* ---- KVM_RUN and kicks (4.10, 4.21, 5) ---- */

static int set_mask(u32 len)
{
	struct {
		struct kvm_signal_mask head;
		u64 set;
	} __attribute__((packed)) m = { .head = { .len = len }, .set = ~BIT(KICK - 1) };

	return call(rig.vcpu, KVM_SET_SIGNAL_MASK, &m);
}

static void signal_mask_is_the_kernels(void **state)
{
	(void)state;
	add_vcpu();
	assert_int_equal(set_mask(128), -EINVAL);
	assert_int_equal(set_mask(8), 0);
	assert_int_equal(call(rig.vcpu, KVM_SET_SIGNAL_MASK, NULL), 0);
}

static void block_kick(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, KICK);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int take_kick(void)
{
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, KICK);
	return sigtimedwait(&set, NULL, &now);
}

/* A machine whose vCPU 0 executes @code, or plays the rig's script. */
static void load_guest(const void *code, size_t len)
{
	struct kvm_regs r = { .rip = 0, .rflags = 2 };
	struct kvm_sregs s;

	memcpy(rig.mem + CODE_GPA, code, len);
	assert_int_equal(set_slot(0, 0, 0, MEM_SIZE, rig.mem), 0);
	add_tss();
	add_irqchip();
	add_vcpu();
	give_cpuid();
	assert_int_equal(call(rig.vcpu, KVM_GET_SREGS, &s), 0);
	s.cs.base = CODE_GPA;
	s.cs.selector = CODE_GPA >> 4;
	assert_int_equal(set_sregs(&s), 0);
	assert_int_equal(call(rig.vcpu, KVM_SET_REGS, &r), 0);
}

static int kvm_run(void)
{
	return call_n(rig.vcpu, KVM_RUN, 0);
}

static const u8 in_out_hlt[] = {
	0xe4, 0x10, /* in al, 0x10 */
	0xe6, 0x11, /* out 0x11, al */
	0xf4,	    /* hlt */
	0xeb, 0xfd, /* jmp back to it */
};

static const struct fake_step in_out_hlt_steps[] = {
	FAKE_IN(0x10, 1),
	FAKE_OUT(0x11, 1, 0x42),
	FAKE_HALT,
};

static void load_in_out_hlt(void)
{
	if (rig.fk)
		fakekvm_script(rig.fk, 0, in_out_hlt_steps, ARRAY_SIZE(in_out_hlt_steps));
	load_guest(in_out_hlt, sizeof(in_out_hlt));
}

static u8 *io_data(void)
{
	return (u8 *)rig.run + rig.run->io.data_offset;
}

static void run_takes_no_argument(void **state)
{
	(void)state;
	load_in_out_hlt();
	assert_int_equal(call_n(rig.vcpu, KVM_RUN, 1), -EINVAL);
}

static void port_accesses_exit_and_are_answered(void **state)
{
	(void)state;
	load_in_out_hlt();
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(rig.run->exit_reason, KVM_EXIT_IO);
	assert_int_equal(rig.run->io.direction, KVM_EXIT_IO_IN);
	assert_int_equal(rig.run->io.port, 0x10);
	assert_int_equal(rig.run->io.size, 1);
	assert_int_equal(rig.run->io.count, 1);
	*io_data() = 0x42;
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(rig.run->exit_reason, KVM_EXIT_IO);
	assert_int_equal(rig.run->io.direction, KVM_EXIT_IO_OUT);
	assert_int_equal(rig.run->io.port, 0x11);
	assert_int_equal(*io_data(), 0x42);
}

static void immediate_exit_completes_what_is_pending(void **state)
{
	struct kvm_regs r;

	(void)state;
	load_in_out_hlt();
	assert_int_equal(kvm_run(), 0);
	*io_data() = 0x42;
	rig.run->immediate_exit = 1;
	assert_int_equal(kvm_run(), -EINTR);
	if (rig.fk) {
		assert_int_equal(fakekvm_answer_u64(rig.fk, 0, 0), 0x42);
	} else {
		assert_int_equal(call(rig.vcpu, KVM_GET_REGS, &r), 0);
		assert_int_equal(r.rax & 0xff, 0x42);
	}
	assert_int_equal(kvm_run(), -EINTR);
	rig.run->immediate_exit = 0;
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(rig.run->io.direction, KVM_EXIT_IO_OUT);
}

static void cpuid_is_fixed_by_the_first_run(void **state)
{
	struct kvm_cpuid2 *c = new_cpuid(MAX_ENTRIES);

	(void)state;
	load_in_out_hlt();
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(call(rig.vcpu, KVM_GET_CPUID2, c), 0);
	/* Linux 6.1 was seen to refuse even this, 6.18 and 7.2 not. */
	if (call(rig.vcpu, KVM_SET_CPUID2, c) != -EINVAL || rig.fk)
		assert_int_equal(call(rig.vcpu, KVM_SET_CPUID2, c), 0);
	leaf(c, 1)->ebx ^= 1u << 24;
	assert_int_equal(call(rig.vcpu, KVM_SET_CPUID2, c), -EINVAL);
	free(c);
}

static void *kick_main(void *arg)
{
	const struct timespec ms = { .tv_nsec = 100000000 };

	nanosleep(&ms, NULL);
	pthread_kill(*(pthread_t *)arg, KICK);
	return NULL;
}

static void run_until_halted(void)
{
	assert_int_equal(kvm_run(), 0);
	*io_data() = 0x42;
	assert_int_equal(kvm_run(), 0);
}

static void kick_ends_a_halted_run_and_stays_pending(void **state)
{
	pthread_t self = pthread_self(), kicker;

	(void)state;
	block_kick();
	load_in_out_hlt();
	assert_int_equal(set_mask(8), 0);
	run_until_halted();
	pthread_create(&kicker, NULL, kick_main, &self);
	assert_int_equal(kvm_run(), -EINTR);
	assert_int_equal(rig.run->exit_reason, KVM_EXIT_INTR);
	pthread_join(kicker, NULL);
	/* not drained: the next one ends at once */
	assert_int_equal(kvm_run(), -EINTR);
	assert_int_equal(take_kick(), KICK);
	assert_int_equal(take_kick(), -1);
}

static void kick_before_run_is_not_lost(void **state)
{
	(void)state;
	block_kick();
	load_in_out_hlt();
	assert_int_equal(set_mask(8), 0);
	run_until_halted();
	pthread_kill(pthread_self(), KICK);
	assert_int_equal(kvm_run(), -EINTR);
	assert_int_equal(take_kick(), KICK);
}

static void vcpu_that_waits_for_init_can_be_kicked(void **state)
{
	pthread_t self = pthread_self(), kicker;
	int err = 0, first;

	(void)state;
	block_kick();
	add_tss();
	add_irqchip();
	first = new_vcpu(0);
	rig.vcpu = new_vcpu(1);
	rig.run = rig.be->mmap(rig.be->ctx, rig.vcpu, rig.run_size, &err);
	give_cpuid();
	assert_int_equal(set_mask(8), 0);
	pthread_create(&kicker, NULL, kick_main, &self);
	assert_int_equal(kvm_run(), -EINTR);
	pthread_join(kicker, NULL);
	assert_int_equal(take_kick(), KICK);
	rig.be->close(rig.be->ctx, first);
}

static _Atomic bool other_done;

static void *get_regs_main(void *arg)
{
	struct kvm_regs r;

	(void)arg;
	call(rig.vcpu, KVM_GET_REGS, &r);
	other_done = true;
	return NULL;
}

static void requests_of_others_wait_while_a_vcpu_runs(void **state)
{
	pthread_t self = pthread_self(), other, kicker;
	const struct timespec ms = { .tv_nsec = 50000000 };

	(void)state;
	other_done = false;
	block_kick();
	load_in_out_hlt();
	assert_int_equal(set_mask(8), 0);
	run_until_halted();
	pthread_create(&kicker, NULL, kick_main, &self);
	pthread_create(&other, NULL, get_regs_main, NULL);
	assert_int_equal(kvm_run(), -EINTR);
	pthread_join(other, NULL);
	assert_true(other_done);
	pthread_join(kicker, NULL);
	take_kick();
	nanosleep(&ms, NULL);
}

#define RULE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static const struct CMUnitTest rules[] = {
	RULE(system_answers_without_argument),
	RULE(unknown_requests_are_refused),
	RULE(vm_types_are_those_of_the_capability),
	RULE(capabilities_are_numbers),
	RULE(closed_descriptors_are_dead),
	RULE(slots_are_whole_pages),
	RULE(slots_have_known_numbers_and_flags),
	RULE(slots_do_not_overlap),
	RULE(slots_move_but_keep_their_size_and_memory),
	RULE(slots_are_deleted_by_size_zero),
	RULE(slots_do_not_wrap),
	RULE(irqchip_comes_once_and_before_vcpus),
	RULE(irqchip_after_a_vcpu_is_refused),
	RULE(pit_needs_the_irqchip_and_comes_once),
	RULE(irqchip_state_needs_the_irqchip),
	RULE(irq_lines_need_the_irqchip),
	RULE(msi_needs_the_irqchip),
	RULE(routes_lead_to_pins_that_exist),
	RULE(an_irqfd_is_an_eventfd_used_once),
	RULE(an_ioeventfd_has_its_place_alone),
	RULE(identity_map_is_set_before_vcpus),
	RULE(tss_lies_below_4_gib),
	RULE(boot_cpu_is_chosen_before_vcpus),
	RULE(exits_are_disabled_before_vcpus),
	RULE(unknown_capabilities_are_not_enabled),
	RULE(split_irqchip_is_instead_of_the_whole),
	RULE(only_a_split_irqchip_suppresses_eoi_broadcasts),
	RULE(messages_name_32_bits_of_an_id_if_asked_to),
	RULE(without_them_the_upper_half_means_nothing),
	RULE(vcpu_ids_are_unique_and_bounded),
	RULE(vcpus_start_as_after_reset),
	RULE(second_vcpu_waits_for_init),
	RULE(mp_states_are_those_of_x86),
	RULE(without_irqchip_there_is_no_lapic),
	RULE(lapic_is_read_and_written),
	RULE(events_have_known_flags),
	RULE(supported_cpuid_says_how_many),
	RULE(cpuid_takes_256_entries),
	RULE(cpuid_is_read_back),
	RULE(registers_keep_what_they_are_given),
	RULE(long_mode_is_a_whole),
	RULE(legacy_mode_has_no_long_code),
	RULE(control_registers_keep_reserved_bits_clear),
	RULE(apic_base_keeps_reserved_bits_clear),
	RULE(msrs_stop_at_the_first_unknown),
	RULE(msrs_check_their_values),
	RULE(msrs_are_fewer_than_256),
	RULE(msr_list_says_how_many),
	RULE(xcr0_is_consistent),
	RULE(debug_registers_have_no_flags),
	RULE(tsc_frequency_is_known),
	RULE(kvmclock_ctrl_needs_a_guest_that_uses_it),
	RULE(clock_is_set_with_known_flags),
	RULE(signal_mask_is_the_kernels),
	RULE(run_takes_no_argument),
	RULE(port_accesses_exit_and_are_answered),
	RULE(immediate_exit_completes_what_is_pending),
	RULE(cpuid_is_fixed_by_the_first_run),
	RULE(kick_ends_a_halted_run_and_stays_pending),
	RULE(kick_before_run_is_not_lost),
	RULE(vcpu_that_waits_for_init_can_be_kicked),
	RULE(requests_of_others_wait_while_a_vcpu_runs),
};

static const struct CMUnitTest cpu_rules[] = {
	RULE(cr4_bits_need_their_feature),
	RULE(pat_holds_memory_types),
};

/* A KVM that has neither under it (a software one) keeps CR4 and PAT as it likes. */
static bool has_vmx_or_svm(void)
{
	unsigned int a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d) && c >> 5 & 1)
		return true;
	return __get_cpuid(0x80000001, &a, &b, &c, &d) && c >> 2 & 1;
}

/* One group, since TAP has one plan: all rules for each host, under the host's name. */
static int run_on_fake_hosts(void)
{
	static const struct {
		const char *name;
		const struct fake_host *host;
	} hosts[] = { { "Intel", &fakekvm_x86_intel }, { "AMD", &fakekvm_x86_amd } };
	static struct CMUnitTest tests[2 * (ARRAY_SIZE(rules) + ARRAY_SIZE(cpu_rules))];
	static char names[ARRAY_SIZE(tests)][80];
	size_t n = 0;

	for (unsigned int h = 0; h < ARRAY_SIZE(hosts); h++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(rules) + ARRAY_SIZE(cpu_rules); i++, n++) {
			tests[n] =
				i < ARRAY_SIZE(rules) ? rules[i] : cpu_rules[i - ARRAY_SIZE(rules)];
			snprintf(names[n], sizeof(names[n]), "%s: %s", hosts[h].name,
				 tests[n].name);
			tests[n].name = names[n];
			tests[n].initial_state = (void *)hosts[h].host;
		}
	}
	return cmocka_run_group_tests_name("KVM's rules, fake hosts", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "fake";

	if (!strcmp(mode, "fake"))
		return run_on_fake_hosts();
	if (!strcmp(mode, "real"))
		return cmocka_run_group_tests_name("KVM's rules, /dev/kvm", rules, NULL, NULL);
	if (strcmp(mode, "real-cpu"))
		return 2;
	if (!has_vmx_or_svm()) {
		puts("1..0 # SKIP this host's KVM works without VMX and SVM");
		return 0;
	}
	return cmocka_run_group_tests_name("KVM's rules from the CPU", cpu_rules, NULL, NULL);
}
