/*
 * fakekvm keeps KVM's rules for arm64: the same checks, with the same errno, on the fake hosts and
 * on /dev/kvm. Each rule with its source is in tests/fakekvm, where it is kept.
 *
 *	test_fakekvm		on the fake hosts
 *	test_fakekvm real	on /dev/kvm: rules about what that KVM does not have are skipped,
 *and said to be
 *
 * It does not prove that fakekvm knows all of KVM's rules, nor that kernels other than those it was
 * run on keep these. A partitioned PMU is in no released kernel: what the fake says of it is
 * from the posted series alone.
 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "linux-uapi/unmerged.h"
#include "tests/fakekvm/fakekvm.h"
#include "vmm/kvm.h"

#define KICK	     SIGUSR1
#define RAM	     0x80000000ull
#define N_PAGES	     16
#define MMIO	     0x1000000ull
#define DIST	     0x3fff0000ull
#define REDIST	     0x3f000000ull
#define ITS	     0x3e000000ull
#define NOT_A_NUMBER KVM_IOC_NONE(0xff)
#define MAX_REGS     2048

#define PC	  (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 64)
#define PSTATE	  (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 66)
#define X(n)	  (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 2 * (n))
#define VREG(n)	  (KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE | (84 + 4 * (n)))
#define MIDR_EL1  ARM64_SYS_REG(3, 0, 0, 0, 0)
#define MPIDR_EL1 ARM64_SYS_REG(3, 0, 0, 0, 5)
#define SCTLR_EL1 ARM64_SYS_REG(3, 0, 1, 0, 0)
#define VBAR_EL2  ARM64_SYS_REG(3, 4, 12, 0, 0)
#define PMCR_EL0  ARM64_SYS_REG(3, 3, 9, 12, 0)

#define FEATURE(f) (1u << (f))
#define PSCI	   FEATURE(KVM_ARM_VCPU_PSCI_0_2)

/* What a test works on: a fake host (the initial state of the test), or (fk NULL) the kernel. */
static struct rig {
	struct fakekvm *fk;
	const struct kvm_backend *be;
	int sys, vm, vcpu, second, gic, its;
	struct kvm_run *run;
	size_t run_size, page;
	u8 *mem; /* N_PAGES pages */
} rig;

static int call(int fd, unsigned long req, void *arg)
{
	return rig.be->ioctl(rig.be->ctx, fd, req, (unsigned long)arg);
}

static int call_n(int fd, unsigned long req, unsigned long arg)
{
	return rig.be->ioctl(rig.be->ctx, fd, req, arg);
}

static int cap(u32 number)
{
	return call_n(rig.sys, KVM_CHECK_EXTENSION, number);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		rig.be->close(rig.be->ctx, *fd);
	*fd = -1;
}

static void open_vm(unsigned long type)
{
	close_fd(&rig.vm);
	rig.vm = call_n(rig.sys, KVM_CREATE_VM, type);
	assert_true(rig.vm >= 0);
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
	rig.vm = rig.vcpu = rig.second = rig.gic = rig.its = -1;
	rig.sys = rig.be->open(rig.be->ctx);
	assert_true(rig.sys >= 0);
	open_vm(0);
	rig.page = (size_t)sysconf(_SC_PAGESIZE);
	rig.run_size = (size_t)call_n(rig.sys, KVM_GET_VCPU_MMAP_SIZE, 0);
	rig.mem = mmap(NULL, N_PAGES * rig.page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(rig.mem != MAP_FAILED);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (rig.run)
		rig.be->munmap(rig.be->ctx, rig.run, rig.run_size);
	close_fd(&rig.vcpu);
	close_fd(&rig.second);
	close_fd(&rig.its);
	close_fd(&rig.gic);
	close_fd(&rig.vm);
	close_fd(&rig.sys);
	munmap(rig.mem, N_PAGES * rig.page);
	if (rig.fk)
		assert_string_equal(fakekvm_leaks(rig.fk), "");
	fakekvm_free(rig.fk);
	rig.run = NULL;
	rig.fk = NULL;
	return 0;
}

/* ---- Parts of a machine ---- */

static int new_vcpu(unsigned long id)
{
	return call_n(rig.vm, KVM_CREATE_VCPU, id);
}

/* vCPU 0, mapped. */
static void add_vcpu(void)
{
	int err = 0;

	rig.vcpu = new_vcpu(0);
	assert_true(rig.vcpu >= 0);
	rig.run = rig.be->mmap(rig.be->ctx, rig.vcpu, rig.run_size, &err);
	assert_non_null(rig.run);
}

static int init_with(int vcpu, u32 features)
{
	struct kvm_vcpu_init init;

	assert_int_equal(call(rig.vm, KVM_ARM_PREFERRED_TARGET, &init), 0);
	init.features[0] = features;
	return call(vcpu, KVM_ARM_VCPU_INIT, &init);
}

static void add_initialised_vcpu(u32 features)
{
	add_vcpu();
	assert_int_equal(init_with(rig.vcpu, PSCI | features), 0);
}

static int create_device(u32 type, u32 flags)
{
	struct kvm_create_device d = { .type = type, .flags = flags };
	int ret = call(rig.vm, KVM_CREATE_DEVICE, &d);

	return ret ? ret : (int)d.fd;
}

static bool has_device(u32 type)
{
	return create_device(type, KVM_CREATE_DEVICE_TEST) == 0;
}

static int set_attr(int fd, u32 group, u64 attr, const void *val)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (u64)(uintptr_t)val };

	return call(fd, KVM_SET_DEVICE_ATTR, &a);
}

static int get_attr(int fd, u32 group, u64 attr, void *val)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (u64)(uintptr_t)val };

	return call(fd, KVM_GET_DEVICE_ATTR, &a);
}

static int has_attr(int fd, u32 group, u64 attr)
{
	struct kvm_device_attr a = { .group = group, .attr = attr };

	return call(fd, KVM_HAS_DEVICE_ATTR, &a);
}

static int set_addr(int fd, u64 attr, u64 gpa)
{
	return set_attr(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, attr, &gpa);
}

static int set_irqs(u32 n)
{
	return set_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &n);
}

static int ctrl(int fd, u64 attr)
{
	return set_attr(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, attr, NULL);
}

/* Whichever this host has, placed; not initialised. */
static void add_gic(void)
{
	if (has_device(KVM_DEV_TYPE_ARM_VGIC_V3)) {
		rig.gic = create_device(KVM_DEV_TYPE_ARM_VGIC_V3, 0);
		assert_true(rig.gic >= 0);
		assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_DIST, DIST), 0);
		assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_REDIST, REDIST), 0);
	} else {
		rig.gic = create_device(KVM_DEV_TYPE_ARM_VGIC_V2, 0);
		assert_true(rig.gic >= 0);
		assert_int_equal(set_addr(rig.gic, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST), 0);
		assert_int_equal(set_addr(rig.gic, KVM_VGIC_V2_ADDR_TYPE_CPU, REDIST), 0);
	}
}

static void init_gic(void)
{
	assert_int_equal(ctrl(rig.gic, KVM_DEV_ARM_VGIC_CTRL_INIT), 0);
}

static int get_reg(u64 id, void *val)
{
	struct kvm_one_reg r = { .id = id, .addr = (u64)(uintptr_t)val };

	return call(rig.vcpu, KVM_GET_ONE_REG, &r);
}

static int set_reg(u64 id, const void *val)
{
	struct kvm_one_reg r = { .id = id, .addr = (u64)(uintptr_t)val };

	return call(rig.vcpu, KVM_SET_ONE_REG, &r);
}

static u64 reg(u64 id)
{
	u64 val = 0;

	assert_int_equal(get_reg(id, &val), 0);
	return val;
}

static int set_reg64(u64 id, u64 val)
{
	return set_reg(id, &val);
}

static int set_slot(u32 slot, u32 flags, u64 gpa, u64 size, const void *host)
{
	struct kvm_userspace_memory_region r = { .slot = slot,
						 .flags = flags,
						 .guest_phys_addr = gpa,
						 .memory_size = size,
						 .userspace_addr = (u64)(uintptr_t)host };

	return call(rig.vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static int enable(int fd, u32 number, u32 flags)
{
	struct kvm_enable_cap c = { .cap = number, .flags = flags };

	return call(fd, KVM_ENABLE_CAP, &c);
}

/* ---- The system and VMs (4.1 to 4.5) ---- */

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
	add_gic();
	assert_int_equal(call_n(rig.sys, NOT_A_NUMBER, 0), -EINVAL);
	assert_int_equal(call_n(rig.vm, NOT_A_NUMBER, 0), -EINVAL);
	assert_int_equal(call_n(rig.vcpu, NOT_A_NUMBER, 0), -EINVAL);
	assert_int_equal(call_n(rig.gic, NOT_A_NUMBER, 0), -ENOTTY);
	assert_int_equal(call_n(rig.vm, KVM_RUN, 0), -EINVAL);
	assert_int_equal(call_n(rig.vcpu, KVM_CREATE_VCPU, 0), -EINVAL);
}

static void vm_types_are_address_sizes(void **state)
{
	int max = cap(KVM_CAP_ARM_VM_IPA_SIZE), vm;

	(void)state;
	assert_in_range(max, 32, 52);
	assert_int_equal(call_n(rig.sys, KVM_CREATE_VM, 31), -EINVAL);
	assert_int_equal(call_n(rig.sys, KVM_CREATE_VM, (unsigned long)max + 1), -EINVAL);
	assert_int_equal(call_n(rig.sys, KVM_CREATE_VM, 1ul << 40), -EINVAL);
	vm = call_n(rig.sys, KVM_CREATE_VM, 32);
	assert_true(vm >= 0);
	close_fd(&vm);
	vm = call_n(rig.sys, KVM_CREATE_VM, (unsigned long)max);
	assert_true(vm >= 0);
	close_fd(&vm);
}

static void capabilities_are_numbers(void **state)
{
	(void)state;
	assert_int_equal(cap(499), 0);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, 499), 0);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY), 1);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG), 1);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PSCI_0_2), 1);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT), 1);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS), 32767);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_IRQ_ROUTING), 4096);
	assert_true(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS) >= 8);
}

static void closed_descriptors_are_dead(void **state)
{
	int vm = call_n(rig.sys, KVM_CREATE_VM, 0), old = vm;

	(void)state;
	assert_true(vm >= 0);
	close_fd(&vm);
	assert_int_equal(call_n(old, KVM_CREATE_VCPU, 0), -EBADF);
	assert_int_equal(call_n(-1, KVM_GET_API_VERSION, 0), -EBADF);
}

static void unknown_capabilities_are_not_enabled(void **state)
{
	(void)state;
	assert_int_equal(enable(rig.vm, 499, 0), -EINVAL);
	assert_int_equal(enable(rig.vm, KVM_CAP_IRQCHIP, 0), -EINVAL);
	assert_int_equal(enable(rig.vm, KVM_CAP_ARM_NISV_TO_USER, 1), -EINVAL);
	assert_int_equal(enable(rig.vm, KVM_CAP_ARM_NISV_TO_USER, 0), 0);
}

static void tagging_is_enabled_before_vcpus(void **state)
{
	(void)state;
	assert_int_equal(enable(rig.vm, KVM_CAP_ARM_MTE, 0), 0);
	open_vm(0);
	add_vcpu();
	assert_int_equal(enable(rig.vm, KVM_CAP_ARM_MTE, 0), -EINVAL);
}

/* ---- Memory slots (4.35) ---- */

static void slots_are_whole_pages_with_known_numbers_and_flags(void **state)
{
	u64 page = rig.page;

	(void)state;
	assert_int_equal(set_slot(0, 0, 0, 100, rig.mem), -EINVAL);
	assert_int_equal(set_slot(0, 0, 100, page, rig.mem), -EINVAL);
	assert_int_equal(set_slot(0, 0, 0, page, rig.mem + 100), -EINVAL);
	assert_int_equal(set_slot(0, 0, 0, page, rig.mem), 0);
	assert_int_equal(set_slot(32767, 0, page, page, rig.mem), -EINVAL);
	assert_int_equal(set_slot(1, 1u << 20, page, page, rig.mem), -EINVAL);
	assert_int_equal(set_slot(1, KVM_MEM_LOG_DIRTY_PAGES, page, page, rig.mem), 0);
	assert_int_equal(set_slot(2, KVM_MEM_READONLY, 2 * page, page, rig.mem), 0);
}

static void slots_neither_overlap_nor_change_size(void **state)
{
	u64 page = rig.page;

	(void)state;
	assert_int_equal(set_slot(0, 0, 4 * page, 4 * page, rig.mem), 0);
	assert_int_equal(set_slot(1, 0, 7 * page, page, rig.mem), -EEXIST);
	assert_int_equal(set_slot(1, 0, 8 * page, page, rig.mem), 0);
	assert_int_equal(set_slot(1, 0, 8 * page, 2 * page, rig.mem), -EINVAL);
	assert_int_equal(set_slot(0, 0, 0, 0, NULL), 0);
	assert_int_equal(set_slot(0, 0, 0, 0, NULL), -EINVAL);
}

static void slots_end_within_the_address_space(void **state)
{
	u64 page = rig.page;

	(void)state;
	open_vm(32);
	assert_int_equal(set_slot(0, 0, BIT(32) - page, page, rig.mem), 0);
	assert_int_equal(set_slot(1, 0, BIT(32), page, rig.mem), -EFAULT);
	open_vm(0);
	assert_int_equal(set_slot(0, 0, BIT(32), page, rig.mem), 0);
	assert_int_equal(set_slot(1, 0, BIT(40) - page, 2 * page, rig.mem), -EFAULT);
}

/* ---- vCPUs (4.7, 4.82, 4.83) ---- */

static void vcpu_ids_are_unique_and_bounded(void **state)
{
	int max = call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);

	(void)state;
	add_vcpu();
	assert_int_equal(new_vcpu(0), -EEXIST);
	assert_int_equal(new_vcpu((unsigned long)max), -EINVAL);
	assert_int_equal(new_vcpu(1ul << 40), -EINVAL);
}

static void init_takes_known_targets_and_features(void **state)
{
	struct kvm_vcpu_init init;

	(void)state;
	add_vcpu();
	assert_int_equal(call(rig.vm, KVM_ARM_PREFERRED_TARGET, &init), 0);
	assert_int_equal(init.features[0], 0);
	init.features[0] = 1u << 31;
	assert_int_equal(call(rig.vcpu, KVM_ARM_VCPU_INIT, &init), -ENOENT);
	init.features[0] = PSCI;
	init.features[6] = 1;
	assert_int_equal(call(rig.vcpu, KVM_ARM_VCPU_INIT, &init), -ENOENT);
	init.features[6] = 0;
	init.target = 99;
	assert_int_equal(call(rig.vcpu, KVM_ARM_VCPU_INIT, &init), -EINVAL);
	assert_int_equal(call(rig.vcpu, KVM_ARM_VCPU_INIT, NULL), -EFAULT);
	assert_int_equal(init_with(rig.vcpu, PSCI), 0);
	assert_int_equal(init_with(rig.vcpu, PSCI), 0);
}

static void features_that_are_not_there_are_refused(void **state)
{
	static const struct {
		u32 number, feature;
	} features[] = {
		{ KVM_CAP_ARM_PMU_V3, KVM_ARM_VCPU_PMU_V3 },
		{ KVM_CAP_ARM_SVE, KVM_ARM_VCPU_SVE },
		{ KVM_CAP_ARM_EL2, KVM_ARM_VCPU_HAS_EL2 },
		{ KVM_CAP_ARM_EL1_32BIT, KVM_ARM_VCPU_EL1_32BIT },
	};

	(void)state;
	add_vcpu();
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (cap(features[i].number) <= 0)
			assert_int_equal(init_with(rig.vcpu, PSCI | FEATURE(features[i].feature)),
					 -EINVAL);
	assert_int_equal(init_with(rig.vcpu, PSCI), 0);
}

static void all_vcpus_have_the_same_features(void **state)
{
	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(init_with(rig.vcpu, 0), -EINVAL);
	rig.second = new_vcpu(1);
	assert_true(rig.second >= 0);
	assert_int_equal(init_with(rig.second, 0), -EINVAL);
	/* POWER_OFF is each one's own */
	assert_int_equal(init_with(rig.second, PSCI | FEATURE(KVM_ARM_VCPU_POWER_OFF)), 0);
}

static void pointer_authentication_is_a_whole(void **state)
{
	const u32 address = FEATURE(KVM_ARM_VCPU_PTRAUTH_ADDRESS);
	const u32 generic = FEATURE(KVM_ARM_VCPU_PTRAUTH_GENERIC);

	(void)state;
	add_vcpu();
	assert_int_equal(init_with(rig.vcpu, PSCI | address), -EINVAL);
	assert_int_equal(init_with(rig.vcpu, PSCI | generic), -EINVAL);
	assert_int_equal(init_with(rig.vcpu, PSCI | address | generic), 0);
}

static void el2_is_of_64_bit_vcpus(void **state)
{
	const u32 el2 = FEATURE(KVM_ARM_VCPU_HAS_EL2);

	(void)state;
	add_vcpu();
	assert_int_equal(init_with(rig.vcpu, PSCI | el2 | FEATURE(KVM_ARM_VCPU_EL1_32BIT)),
			 -EINVAL);
	assert_int_equal(init_with(rig.vcpu, PSCI | el2), 0);
	assert_int_equal(reg(PSTATE), 0x3c9);
	assert_int_equal(set_reg64(VBAR_EL2, 0x12345800), 0);
	assert_int_equal(reg(VBAR_EL2), 0x12345800);
}

static void e2h0_without_el2_is_el1(void **state)
{
	u64 val;

	(void)state;
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_HAS_EL2_E2H0));
	assert_int_equal(reg(PSTATE), 0x3c5);
	assert_int_equal(get_reg(VBAR_EL2, &val), -ENOENT);
}

static void requests_come_after_init(void **state)
{
	struct kvm_reg_list list = { 0 };
	int sve = KVM_ARM_VCPU_SVE;
	u64 val = 0;

	(void)state;
	add_vcpu();
	assert_int_equal(get_reg(PC, &val), -ENOEXEC);
	assert_int_equal(set_reg(PC, &val), -ENOEXEC);
	assert_int_equal(call(rig.vcpu, KVM_GET_REG_LIST, &list), -ENOEXEC);
	assert_int_equal(call(rig.vcpu, KVM_ARM_VCPU_FINALIZE, &sve), -ENOEXEC);
	assert_int_equal(call_n(rig.vcpu, KVM_RUN, 0), -ENOEXEC);
}

static void mp_states_are_those_of_arm64(void **state)
{
	struct kvm_mp_state mp;

	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(call(rig.vcpu, KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_RUNNABLE);
	mp.mp_state = KVM_MP_STATE_STOPPED;
	assert_int_equal(call(rig.vcpu, KVM_SET_MP_STATE, &mp), 0);
	mp.mp_state = KVM_MP_STATE_HALTED;
	assert_int_equal(call(rig.vcpu, KVM_SET_MP_STATE, &mp), -EINVAL);
	assert_int_equal(call(rig.vcpu, KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_STOPPED);
	assert_int_equal(init_with(rig.vcpu, PSCI), 0);
	assert_int_equal(call(rig.vcpu, KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(init_with(rig.vcpu, PSCI | FEATURE(KVM_ARM_VCPU_POWER_OFF)), 0);
	assert_int_equal(call(rig.vcpu, KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_STOPPED);
}

static void events_keep_reserved_fields_zero(void **state)
{
	struct kvm_vcpu_events e;

	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(call(rig.vcpu, KVM_GET_VCPU_EVENTS, &e), 0);
	assert_int_equal(e.exception.serror_pending, 0);
	assert_int_equal(call(rig.vcpu, KVM_SET_VCPU_EVENTS, &e), 0);
	e.reserved[11] = 1;
	assert_int_equal(call(rig.vcpu, KVM_SET_VCPU_EVENTS, &e), -EINVAL);
	e.reserved[11] = 0;
	e.exception.pad[0] = 1;
	assert_int_equal(call(rig.vcpu, KVM_SET_VCPU_EVENTS, &e), -EINVAL);
}

/* ---- Registers (4.68, 4.69, 4.84) ---- */

static void registers_keep_what_they_are_given(void **state)
{
	u64 v[2] = { 0x1122334455667788, 0x99aabbccddeeff00 }, got[2] = { 0 };

	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(reg(PSTATE), 0x3c5);
	assert_int_equal(set_reg64(PC, RAM), 0);
	assert_int_equal(reg(PC), RAM);
	assert_int_equal(set_reg64(X(30), UINT64_MAX), 0);
	assert_int_equal(reg(X(30)), UINT64_MAX);
	assert_int_equal(set_reg(VREG(31), v), 0);
	assert_int_equal(get_reg(VREG(31), got), 0);
	assert_memory_equal(got, v, sizeof(v));
	assert_int_equal(set_reg64(SCTLR_EL1, 0x30d00980), 0);
	assert_int_equal(reg(SCTLR_EL1), 0x30d00980);
}

static void ids_name_one_register_of_one_size(void **state)
{
	u64 val = 0;

	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(get_reg(PC & ~KVM_REG_ARM64, &val), -EINVAL);
	assert_int_equal(get_reg((PC & ~KVM_REG_SIZE_MASK) | KVM_REG_SIZE_U32, &val), -EINVAL);
	assert_int_equal(get_reg(PC | 1, &val), -EINVAL);
	assert_int_equal(get_reg(PC | 0xf000, &val), -ENOENT);
	assert_int_equal(get_reg(ARM64_SYS_REG(3, 7, 15, 15, 7), &val), -ENOENT);
	assert_int_equal(get_reg(KVM_REG_ARM_FW_REG(0x4242), &val), -ENOENT);
	assert_int_equal(get_reg(VBAR_EL2, &val), -ENOENT);
	assert_int_equal(get_reg(PC, NULL), -EFAULT);
}

static void pstate_is_a_mode_of_this_vcpu(void **state)
{
	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(set_reg64(PSTATE, 0x3c4), 0);
	assert_int_equal(set_reg64(PSTATE, 0x3c0), 0);
	assert_int_equal(set_reg64(PSTATE, 0x3c9), -EINVAL);
	assert_int_equal(set_reg64(PSTATE, 0x3cd), -EINVAL);
	assert_int_equal(set_reg64(PSTATE, 0x1d3), -EINVAL);
	assert_int_equal(reg(PSTATE), 0x3c0);
}

static void identification_is_not_changed(void **state)
{
	/* the last CPU of a GICv2, one of the second row of a GICv3's */
	u32 id = call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS) > 17 ? 17 : 7;
	u64 midr;

	(void)state;
	add_initialised_vcpu(0);
	midr = reg(MIDR_EL1);
	assert_int_equal(set_reg64(MIDR_EL1, midr), 0);
	assert_int_equal(set_reg64(MIDR_EL1, midr ^ 1), -EINVAL);
	assert_int_equal(reg(MPIDR_EL1), 0x80000000);
	rig.second = new_vcpu(id);
	assert_true(rig.second >= 0);
	assert_int_equal(init_with(rig.second, PSCI), 0);
	close_fd(&rig.vcpu);
	rig.vcpu = rig.second;
	rig.second = -1;
	assert_int_equal(reg(MPIDR_EL1), id == 17 ? 0x80000101 : 0x80000007);
}

static void firmware_has_versions_that_exist(void **state)
{
	u64 version;

	(void)state;
	add_initialised_vcpu(0);
	version = reg(KVM_REG_ARM_PSCI_VERSION);
	assert_true(version >= 0x10000);
	assert_int_equal(set_reg64(KVM_REG_ARM_PSCI_VERSION, 0x10000), 0);
	assert_int_equal(reg(KVM_REG_ARM_PSCI_VERSION), 0x10000);
	assert_int_equal(set_reg64(KVM_REG_ARM_PSCI_VERSION, 0x90000), -EINVAL);
}

static bool timer_may_move(u64 id)
{
	return id == KVM_REG_ARM_TIMER_CNT || id == KVM_REG_ARM_PTIMER_CNT;
}

/* Every register of the list is read, and takes back what it has. */
static void assert_list_is_true(void)
{
	struct kvm_reg_list *list = calloc(1, sizeof(*list) + MAX_REGS * sizeof(list->reg[0]));
	u8 val[256];
	int ret;

	assert_non_null(list);
	assert_int_equal(call(rig.vcpu, KVM_GET_REG_LIST, list), -E2BIG);
	assert_in_range(list->n, 100, MAX_REGS);
	assert_int_equal(call(rig.vcpu, KVM_GET_REG_LIST, list), 0);
	for (u64 i = 0; i < list->n; i++) {
		ret = get_reg(list->reg[i], val);
		if (ret)
			fail_msg("reading 0x%llx: %d", (unsigned long long)list->reg[i], ret);
		ret = timer_may_move(list->reg[i]) ? 0 : set_reg(list->reg[i], val);
		if (ret && (list->reg[i] != KVM_REG_ARM64_SVE_VLS || ret != -EPERM))
			fail_msg("writing 0x%llx: %d", (unsigned long long)list->reg[i], ret);
	}
	free(list);
}

static void listed_registers_are_there(void **state)
{
	(void)state;
	add_initialised_vcpu(0);
	assert_list_is_true();
}

static void listed_registers_of_el2_are_there(void **state)
{
	(void)state;
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_HAS_EL2));
	assert_list_is_true();
}

static void listed_registers_of_a_pmu_are_there(void **state)
{
	(void)state;
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_PMU_V3));
	assert_list_is_true();
}

static int finalize(int feature)
{
	return call(rig.vcpu, KVM_ARM_VCPU_FINALIZE, &feature);
}

static void sve_is_finalised_once(void **state)
{
	u64 vls[KVM_ARM64_SVE_VLS_WORDS], none[KVM_ARM64_SVE_VLS_WORDS] = { 0 };
	const u64 z0 = KVM_REG_ARM64 | KVM_REG_ARM64_SVE | KVM_REG_SIZE_U2048;
	struct kvm_reg_list list = { 0 };
	u8 val[256];

	(void)state;
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_SVE));
	assert_int_equal(get_reg(KVM_REG_ARM64_SVE_VLS, vls), 0);
	assert_true(vls[0] & 1);
	assert_int_equal(set_reg(KVM_REG_ARM64_SVE_VLS, none), -EINVAL);
	none[0] = 1;
	assert_int_equal(set_reg(KVM_REG_ARM64_SVE_VLS, none), 0);
	assert_int_equal(get_reg(z0, val), -EPERM);
	assert_int_equal(get_reg(VREG(0), val), -EINVAL);
	assert_int_equal(call(rig.vcpu, KVM_GET_REG_LIST, &list), -EPERM);
	assert_int_equal(call_n(rig.vcpu, KVM_RUN, 0), -EPERM);
	assert_int_equal(finalize(KVM_ARM_VCPU_PMU_V3), -EINVAL);
	assert_int_equal(finalize(KVM_ARM_VCPU_SVE), 0);
	assert_int_equal(finalize(KVM_ARM_VCPU_SVE), -EPERM);
	assert_int_equal(set_reg(KVM_REG_ARM64_SVE_VLS, vls), -EPERM);
	memset(val, 0xff, sizeof(val));
	assert_int_equal(set_reg(z0, val), 0);
	memset(val, 0, sizeof(val));
	assert_int_equal(get_reg(z0, val), 0);
	assert_int_equal(val[15], 0xff);
	assert_list_is_true();
}

static void without_sve_there_is_nothing_to_finalise(void **state)
{
	u64 vls[KVM_ARM64_SVE_VLS_WORDS];

	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(finalize(KVM_ARM_VCPU_SVE), -EINVAL);
	assert_int_equal(get_reg(KVM_REG_ARM64_SVE_VLS, vls), -ENOENT);
}

static int set_offset(u64 offset, u64 reserved)
{
	struct kvm_arm_counter_offset o = { .counter_offset = offset, .reserved = reserved };

	return call(rig.vm, KVM_ARM_SET_COUNTER_OFFSET, &o);
}

static void counters_follow_the_offset_of_the_vm(void **state)
{
	u64 now;

	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(set_reg64(KVM_REG_ARM_TIMER_CNT, 0), 0);
	now = reg(KVM_REG_ARM_TIMER_CNT);
	assert_true(now < BIT(40));
	assert_int_equal(set_offset(1, 1), -EINVAL);
	/* the counter is 2^60 behind what it would be, and is not set any more */
	assert_int_equal(set_offset(0 - BIT(60), 0), 0);
	assert_true(reg(KVM_REG_ARM_TIMER_CNT) >= BIT(60));
	assert_int_equal(set_reg64(KVM_REG_ARM_TIMER_CNT, 0), 0);
	assert_true(reg(KVM_REG_ARM_TIMER_CNT) >= BIT(60));
}

/* ---- Attributes of vCPUs (vcpu.rst) ---- */

static void unknown_attributes_are_refused(void **state)
{
	u64 val = 0;

	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(has_attr(rig.vcpu, 77, 0), -ENXIO);
	assert_int_equal(set_attr(rig.vcpu, 77, 0, &val), -ENXIO);
	assert_int_equal(get_attr(rig.vcpu, 77, 0, &val), -ENXIO);
	assert_int_equal(has_attr(rig.vcpu, KVM_ARM_VCPU_TIMER_CTRL, 9), -ENXIO);
	assert_int_equal(has_attr(rig.vcpu, KVM_ARM_VCPU_PVTIME_CTRL, 9), -ENXIO);
	assert_int_equal(call(rig.vcpu, KVM_HAS_DEVICE_ATTR, NULL), -EFAULT);
}

static int set_timer(u64 attr, int irq)
{
	return set_attr(rig.vcpu, KVM_ARM_VCPU_TIMER_CTRL, attr, &irq);
}

static void timers_have_ppis(void **state)
{
	int irq = 0;

	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(has_attr(rig.vcpu, KVM_ARM_VCPU_TIMER_CTRL, 0), 0);
	assert_int_equal(set_timer(KVM_ARM_VCPU_TIMER_IRQ_VTIMER, 27), -EINVAL);
	add_gic();
	assert_int_equal(get_attr(rig.vcpu, KVM_ARM_VCPU_TIMER_CTRL, 0, &irq), 0);
	assert_int_equal(irq, 27);
	assert_int_equal(get_attr(rig.vcpu, KVM_ARM_VCPU_TIMER_CTRL, 1, &irq), 0);
	assert_int_equal(irq, 30);
	assert_int_equal(set_timer(KVM_ARM_VCPU_TIMER_IRQ_VTIMER, 40), -EINVAL);
	assert_int_equal(set_timer(KVM_ARM_VCPU_TIMER_IRQ_VTIMER, 15), -EINVAL);
	assert_int_equal(set_timer(KVM_ARM_VCPU_TIMER_IRQ_VTIMER, 20), 0);
	assert_int_equal(set_timer(9, 20), -ENXIO);
}

static int set_pvtime(u64 gpa)
{
	return set_attr(rig.vcpu, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &gpa);
}

static void steal_time_is_in_memory(void **state)
{
	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(has_attr(rig.vcpu, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA), 0);
	assert_int_equal(set_pvtime(RAM), -EINVAL);
	assert_int_equal(set_slot(0, 0, RAM, N_PAGES * rig.page, rig.mem), 0);
	assert_int_equal(set_pvtime(RAM + 32), -EINVAL);
	assert_int_equal(set_pvtime(RAM + 64), 0);
	assert_int_equal(set_pvtime(RAM + 64), -EEXIST);
}

/* ---- PMU (vcpu.rst 1) ---- */

#define PMU_GROUP KVM_ARM_VCPU_PMU_V3_CTRL

static int set_pmu(u64 attr, int val)
{
	return set_attr(rig.vcpu, PMU_GROUP, attr, &val);
}

/* The type of a PMU that there is, 0: none is described. */
static int pmu_type(void)
{
	glob_t found;
	int type = 0;
	FILE *f;

	if (rig.fk)
		return 8;
	if (glob("/sys/bus/event_source/devices/arm*pmu*/type", 0, NULL, &found) == 0) {
		f = fopen(found.gl_pathv[0], "r");
		assert_non_null(f);
		assert_int_equal(fscanf(f, "%d", &type), 1);
		fclose(f);
		globfree(&found);
	}
	return type;
}

static void pmu_attributes_need_the_feature(void **state)
{
	(void)state;
	add_initialised_vcpu(0);
	add_gic();
	assert_int_equal(has_attr(rig.vcpu, PMU_GROUP, KVM_ARM_VCPU_PMU_V3_IRQ), -ENXIO);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_IRQ, 23), -ENODEV);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_INIT, 0), -ENODEV);
}

static void a_pmu_has_an_interrupt_before_init_and_after_the_gic(void **state)
{
	int irq = 0;

	(void)state;
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_PMU_V3));
	assert_int_equal(has_attr(rig.vcpu, PMU_GROUP, KVM_ARM_VCPU_PMU_V3_IRQ), 0);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_IRQ, 23), -EINVAL);
	add_gic();
	assert_int_equal(get_attr(rig.vcpu, PMU_GROUP, KVM_ARM_VCPU_PMU_V3_IRQ, &irq), -ENXIO);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_IRQ, 15), -EINVAL);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_INIT, 0), -ENODEV);
	init_gic();
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_INIT, 0), -ENXIO);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_IRQ, 23), 0);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_IRQ, 23), -EBUSY);
	assert_int_equal(get_attr(rig.vcpu, PMU_GROUP, KVM_ARM_VCPU_PMU_V3_IRQ, &irq), 0);
	assert_int_equal(irq, 23);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_INIT, 0), 0);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_INIT, 0), -EBUSY);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_IRQ, 23), -EBUSY);
}

static void a_ppi_of_the_pmu_is_that_of_all(void **state)
{
	(void)state;
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_PMU_V3));
	rig.second = new_vcpu(1);
	assert_int_equal(init_with(rig.second, PSCI | FEATURE(KVM_ARM_VCPU_PMU_V3)), 0);
	add_gic();
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_IRQ, 23), 0);
	close_fd(&rig.vcpu);
	rig.vcpu = rig.second;
	rig.second = -1;
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_IRQ, 22), -EINVAL);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_IRQ, 23), 0);
}

static int filter(u16 base, u16 n, u8 action)
{
	struct kvm_pmu_event_filter f = { .base_event = base, .nevents = n, .action = action };

	return set_attr(rig.vcpu, PMU_GROUP, KVM_ARM_VCPU_PMU_V3_FILTER, &f);
}

static void filters_are_ranges_of_events(void **state)
{
	(void)state;
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_PMU_V3));
	add_gic();
	assert_int_equal(filter(0xffff, 2, KVM_PMU_EVENT_DENY), -EINVAL);
	assert_int_equal(filter(0, 1, 2), -EINVAL);
	assert_int_equal(filter(0x11, 1, KVM_PMU_EVENT_DENY), 0);
	assert_int_equal(set_attr(rig.vcpu, PMU_GROUP, KVM_ARM_VCPU_PMU_V3_FILTER, NULL), -EFAULT);
}

static unsigned int n_counters(void)
{
	return reg(PMCR_EL0) >> 11 & 0x1f;
}

static void counters_are_numbered_within_those_of_a_chosen_pmu(void **state)
{
	unsigned int max;
	int type = pmu_type();

	(void)state;
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_PMU_V3));
	add_gic();
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_SET_PMU, 4242), -ENXIO);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, 32), -EINVAL);
	assert_true(type);
	max = n_counters();
	assert_true(max > 1);
	/* vcpu.rst 1.5 says so; Linux 6.16 takes the PMU it chose itself for chosen. */
	if (rig.fk)
		assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, 1), -EINVAL);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_SET_PMU, type), 0);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, (int)max + 1), -EINVAL);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, 1), 0);
	assert_int_equal(n_counters(), 1);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_SET_PMU, type), 0);
	assert_int_equal(n_counters(), max);
}

/* The probe: what KVM_ARM_PARTITION_PMU says to NULL, and whether there is the attribute. */
static void released_kernels_do_not_partition_the_pmu(void **state)
{
	int ret;

	(void)state;
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_PMU_V3));
	assert_int_equal(has_attr(rig.vcpu, PMU_GROUP, KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION),
			 -ENXIO);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION, 1), -ENXIO);
	ret = call(rig.vcpu, KVM_ARM_PARTITION_PMU, NULL);
	assert_true(ret == -EINVAL || ret == -ENOTTY);
}

/* ---- Interrupt controllers (arm-vgic.rst, arm-vgic-v3.rst) ---- */

static void devices_are_those_this_kvm_has(void **state)
{
	(void)state;
	assert_int_equal(create_device(200, 0), -ENODEV);
	assert_int_equal(create_device(200, KVM_CREATE_DEVICE_TEST), -ENODEV);
	assert_int_equal(call(rig.vm, KVM_CREATE_DEVICE, NULL), -EFAULT);
	assert_true(has_device(KVM_DEV_TYPE_ARM_VGIC_V3) || has_device(KVM_DEV_TYPE_ARM_VGIC_V2));
	/* asked only: there is none yet */
	add_gic();
	for (u32 type = KVM_DEV_TYPE_ARM_VGIC_V2; type <= KVM_DEV_TYPE_ARM_VGIC_V3; type += 2)
		if (has_device(type))
			assert_int_equal(create_device(type, 0), -EEXIST);
}

static void a_gicv2_knows_8_cpus(void **state)
{
	(void)state;
	rig.gic = create_device(KVM_DEV_TYPE_ARM_VGIC_V2, 0);
	assert_true(rig.gic >= 0);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS), 8);
	rig.second = new_vcpu(7);
	assert_true(rig.second >= 0);
	assert_int_equal(new_vcpu(8), -EINVAL);
}

static void gicv2_addresses_are_placed_once(void **state)
{
	(void)state;
	open_vm(32);
	rig.gic = create_device(KVM_DEV_TYPE_ARM_VGIC_V2, 0);
	assert_true(rig.gic >= 0);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_DIST, DIST), -ENXIO);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST + 8), -EINVAL);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V2_ADDR_TYPE_DIST, BIT(32)), -E2BIG);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST), 0);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST), -EEXIST);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V2_ADDR_TYPE_CPU, REDIST), 0);
}

static void gicv3_addresses_are_placed_once(void **state)
{
	u64 addr = 0;

	(void)state;
	open_vm(32);
	rig.gic = create_device(KVM_DEV_TYPE_ARM_VGIC_V3, 0);
	assert_true(rig.gic >= 0);
	assert_int_equal(has_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST),
			 0);
	assert_int_equal(has_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_ADDR, 77), -ENXIO);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST), -ENXIO);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_DIST, DIST + 0x1000), -EINVAL);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_DIST, BIT(32)), -E2BIG);
	assert_int_equal(set_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST,
				  NULL),
			 -EFAULT);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_DIST, DIST), 0);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_DIST, DIST), -EEXIST);
	assert_int_equal(
		get_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &addr), 0);
	assert_int_equal(addr, DIST);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_REDIST, REDIST + 0x1000), -EINVAL);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_REDIST, REDIST), 0);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_REDIST, REDIST), -EEXIST);
	/* one way or the other */
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
				  1ull << 52 | 0x10000000),
			 -EINVAL);
}

static int set_region(u64 base, u64 count, u64 index)
{
	return set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, count << 52 | base | index);
}

static void redistributor_regions_are_numbered(void **state)
{
	u64 val = 0;

	(void)state;
	open_vm(32);
	rig.gic = create_device(KVM_DEV_TYPE_ARM_VGIC_V3, 0);
	assert_true(rig.gic >= 0);
	assert_int_equal(set_region(REDIST, 0, 0), -EINVAL);
	assert_int_equal(set_region(REDIST | 0x1000, 2, 0), -EINVAL);
	assert_int_equal(set_region(REDIST, 2, 1), -EINVAL);
	assert_int_equal(set_region(REDIST, 2, 0), 0);
	assert_int_equal(set_region(REDIST + 0x100000, 2, 0), -EINVAL);
	assert_int_equal(set_region(REDIST + 0x20000, 2, 1), -EINVAL);
	assert_int_equal(set_region(BIT(32), 1, 1), -E2BIG);
	assert_int_equal(set_region(REDIST + 0x40000, 1, 1), 0);
	val = 1;
	assert_int_equal(get_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_ADDR,
				  KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, &val),
			 0);
	assert_int_equal(val, 1ull << 52 | (REDIST + 0x40000) | 1);
	val = 2;
	assert_int_equal(get_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_ADDR,
				  KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, &val),
			 -ENOENT);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_REDIST, REDIST), -EINVAL);
}

static void a_gic_has_64_to_992_interrupts(void **state)
{
	u32 n = 0;

	(void)state;
	add_gic();
	assert_int_equal(set_irqs(32), -EINVAL);
	assert_int_equal(set_irqs(1024), -EINVAL);
	assert_int_equal(set_irqs(65), -EINVAL);
	assert_int_equal(set_irqs(96), 0);
	assert_int_equal(set_irqs(96), -EBUSY);
	assert_int_equal(get_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &n), 0);
	assert_int_equal(n, 96);
}

static void a_gic_is_initialised_after_vcpus(void **state)
{
	(void)state;
	add_gic();
	add_vcpu();
	assert_int_equal(has_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT),
			 0);
	assert_int_equal(has_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_CTRL, 77), -ENXIO);
	assert_int_equal(has_attr(rig.gic, 77, 0), -ENXIO);
	init_gic();
	init_gic();
	assert_int_equal(set_irqs(96), -EBUSY);
	assert_int_equal(new_vcpu(1), -EBUSY);
}

static int set_maint(u32 intid)
{
	return set_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0, &intid);
}

static void the_maintenance_interrupt_is_a_ppi_said_before_init(void **state)
{
	u32 intid = 0;

	(void)state;
	add_gic();
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_HAS_EL2));
	assert_int_equal(has_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0), 0);
	assert_int_equal(set_maint(15), -EINVAL);
	assert_int_equal(set_maint(32), -EINVAL);
	assert_int_equal(set_maint(25), 0);
	assert_int_equal(get_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0, &intid), 0);
	assert_int_equal(intid, 25);
	init_gic();
	assert_int_equal(set_maint(25), -EBUSY);
}

static int irq_line(u32 type, u32 vcpu, u32 num, u32 level)
{
	struct kvm_irq_level l = {
		.irq = type << KVM_ARM_IRQ_TYPE_SHIFT | vcpu << KVM_ARM_IRQ_VCPU_SHIFT | num,
		.level = level,
	};

	return call(rig.vm, KVM_IRQ_LINE, &l);
}

static void irq_lines_are_spis_and_ppis(void **state)
{
	(void)state;
	add_initialised_vcpu(0);
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_SPI, 0, 40, 1), -ENXIO);
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_PPI, 0, 20, 1), -ENXIO);
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_CPU, 0, 2, 1), -EINVAL);
	assert_int_equal(irq_line(7, 0, 40, 1), -EINVAL);
	add_gic();
	assert_int_equal(set_irqs(64), 0);
	if (has_device(KVM_DEV_TYPE_ARM_VGIC_V3))
		assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_SPI, 0, 40, 1), -EBUSY);
	init_gic();
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_CPU, 0, 0, 1), -ENXIO);
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_SPI, 0, 31, 1), -EINVAL);
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_SPI, 0, 64, 1), -EINVAL);
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_PPI, 0, 15, 1), -EINVAL);
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_PPI, 5, 20, 1), -EINVAL);
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_PPI, 0, 20, 1), 0);
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_SPI, 0, 63, 1), 0);
	if (rig.fk)
		assert_true(fakekvm_irq_level(rig.fk, 31));
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_SPI, 0, 63, 0), 0);
}

static int set_route(u32 gsi, u32 type, u32 flags, u32 chip, u32 pin)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} t = { .head = { .nr = 1 }, .entry = { .gsi = gsi, .type = type, .flags = flags } };

	t.entry.u.irqchip.irqchip = chip;
	t.entry.u.irqchip.pin = pin;
	return call(rig.vm, KVM_SET_GSI_ROUTING, &t);
}

static void routes_lead_to_pins_that_exist(void **state)
{
	struct kvm_irq_routing none = { .nr = 0 };

	(void)state;
	add_gic();
	assert_int_equal(set_route(4, KVM_IRQ_ROUTING_IRQCHIP, 0, 0, 4), 0);
	assert_int_equal(set_route(4, KVM_IRQ_ROUTING_IRQCHIP, 0, 0, 1020), -EINVAL);
	assert_int_equal(set_route(4, KVM_IRQ_ROUTING_IRQCHIP, 0, 1, 4), -EINVAL);
	assert_int_equal(set_route(4, KVM_IRQ_ROUTING_IRQCHIP, KVM_MSI_VALID_DEVID, 0, 4), -EINVAL);
	assert_int_equal(set_route(4, 77, 0, 0, 0), -EINVAL);
	assert_int_equal(set_route(4096, KVM_IRQ_ROUTING_IRQCHIP, 0, 0, 4), -EINVAL);
	assert_int_equal(set_route(4095, KVM_IRQ_ROUTING_IRQCHIP, 0, 0, 4), 0);
	assert_int_equal(call(rig.vm, KVM_SET_GSI_ROUTING, &none), 0);
	none.flags = 1;
	assert_int_equal(call(rig.vm, KVM_SET_GSI_ROUTING, &none), -EINVAL);
}

static int set_irqfd(int fd, u32 gsi, u32 flags)
{
	struct kvm_irqfd r = { .fd = (u32)fd, .gsi = gsi, .flags = flags };

	return call(rig.vm, KVM_IRQFD, &r);
}

static void irqfds_come_after_the_gic(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	add_vcpu();
	assert_int_equal(set_irqfd(fd, 5, 0), -EAGAIN);
	add_gic();
	assert_int_equal(set_irqfd(fd, 5, 0), -EAGAIN);
	init_gic();
	assert_int_equal(set_irqfd(-1, 5, 0), -EBADF);
	assert_int_equal(set_irqfd(fd, 5, 0), 0);
	assert_int_equal(set_irqfd(fd, 6, 0), -EBUSY);
	assert_int_equal(set_irqfd(fd, 5, KVM_IRQFD_FLAG_DEASSIGN), 0);
	if (rig.fk) {
		/* each SPI has a route from the start */
		assert_int_equal(set_irqfd(fd, 6, 0), 0);
		assert_int_equal(eventfd_write(fd, 1), 0);
		assert_int_equal(fakekvm_irq_count(rig.fk, 6), 1);
		assert_string_equal(fakekvm_complaints(rig.fk), "");
	}
	close(fd);
}

/* ---- Their registers ---- */

static int get_gic(u32 group, u64 attr, u32 *val)
{
	return get_attr(rig.gic, group, attr, val);
}

static int set_gic(u32 group, u64 attr, u32 val)
{
	return set_attr(rig.gic, group, attr, &val);
}

static u32 gic_reg(u32 group, u64 attr)
{
	u32 val = 0;

	assert_int_equal(get_gic(group, attr, &val), 0);
	return val;
}

#define DIST_REGS   KVM_DEV_ARM_VGIC_GRP_DIST_REGS
#define REDIST_REGS KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
#define SYSREGS	    KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS
#define LEVELS	    KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO
#define ITS_REGS    KVM_DEV_ARM_VGIC_GRP_ITS_REGS
#define MPIDR(aff)  ((u64)(aff) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT)

static void distributor_registers_set_and_clear(void **state)
{
	u32 iidr;

	(void)state;
	add_initialised_vcpu(0);
	add_gic();
	assert_int_equal(set_irqs(96), 0);
	init_gic();
	iidr = gic_reg(DIST_REGS, 0x8);
	assert_int_equal(set_gic(DIST_REGS, 0x8, iidr), 0);
	assert_int_equal(set_gic(DIST_REGS, 0x8, iidr ^ 1), -EINVAL);
	assert_int_equal(set_gic(DIST_REGS, 0x104, 0xf0), 0);
	assert_int_equal(set_gic(DIST_REGS, 0x104, 0x0f), 0);
	assert_int_equal(gic_reg(DIST_REGS, 0x104), 0xff);
	assert_int_equal(gic_reg(DIST_REGS, 0x184), 0xff);
	assert_int_equal(set_gic(DIST_REGS, 0x184, 0x3c), 0);
	assert_int_equal(gic_reg(DIST_REGS, 0x104), 0xc3);
	assert_int_equal(set_gic(DIST_REGS, 0x204, 0x11), 0);
	assert_int_equal(set_gic(DIST_REGS, 0x204, 0x22), 0);
	if (has_device(KVM_DEV_TYPE_ARM_VGIC_V3)) {
		/* the latches: written as they are, not cleared through ICPENDR */
		assert_int_equal(gic_reg(DIST_REGS, 0x204), 0x22);
		assert_int_equal(set_gic(DIST_REGS, 0x284, 0x22), 0);
		assert_int_equal(gic_reg(DIST_REGS, 0x204), 0x22);
	} else {
		assert_int_equal(gic_reg(DIST_REGS, 0x204), 0x33);
		assert_int_equal(set_gic(DIST_REGS, 0x284, 0x03), 0);
		assert_int_equal(gic_reg(DIST_REGS, 0x204), 0x30);
	}
	assert_int_equal(set_gic(DIST_REGS, 0x420, 0x80a0c0e0), 0);
	assert_int_equal(gic_reg(DIST_REGS, 0x420), 0x80a0c0e0);
	/* beyond the last interrupt */
	assert_int_equal(set_gic(DIST_REGS, 0x10c, 1), 0);
	assert_int_equal(gic_reg(DIST_REGS, 0x10c), 0);
	assert_int_equal(has_attr(rig.gic, DIST_REGS, 0x100), 0);
	assert_int_equal(has_attr(rig.gic, DIST_REGS, 0x50), -ENXIO);
}

static void gicv3_registers_need_init_and_a_cpu(void **state)
{
	u64 val = 0;

	(void)state;
	add_initialised_vcpu(0);
	add_gic();
	assert_int_equal(get_gic(DIST_REGS, 0, (u32 *)&val), -EBUSY);
	assert_int_equal(get_gic(REDIST_REGS, MPIDR(5) | 0x10100, (u32 *)&val), -EINVAL);
	init_gic();
	assert_int_equal(get_gic(REDIST_REGS, MPIDR(5) | 0x10100, (u32 *)&val), -EINVAL);
	assert_int_equal(set_gic(REDIST_REGS, MPIDR(0) | 0x10180, UINT32_MAX), 0);
	assert_int_equal(set_gic(REDIST_REGS, MPIDR(0) | 0x10100, 1u << 27), 0);
	assert_int_equal(gic_reg(REDIST_REGS, MPIDR(0) | 0x10100), 1u << 27);
	assert_int_equal(get_gic(KVM_DEV_ARM_VGIC_GRP_CPU_REGS, 0, (u32 *)&val), -ENXIO);
}

static int set_icc(u64 id, u64 val)
{
	return set_attr(rig.gic, SYSREGS, MPIDR(0) | (id & 0xffff), &val);
}

static int get_icc(u64 id, u64 *val)
{
	return get_attr(rig.gic, SYSREGS, MPIDR(0) | (id & 0xffff), val);
}

static void gicv3_cpu_interface_has_what_the_cpu_has(void **state)
{
	const u64 pmr = ARM64_SYS_REG(3, 0, 4, 6, 0), ctlr = ARM64_SYS_REG(3, 0, 12, 12, 4);
	const u64 sre = ARM64_SYS_REG(3, 0, 12, 12, 5), enable1 = ARM64_SYS_REG(3, 0, 12, 12, 7);
	u64 val = 0;

	(void)state;
	add_initialised_vcpu(0);
	add_gic();
	init_gic();
	assert_int_equal(set_icc(pmr, 0xf0), 0);
	assert_int_equal(get_icc(pmr, &val), 0);
	assert_int_equal(val, 0xf0);
	assert_int_equal(set_icc(enable1, 1), 0);
	assert_int_equal(get_icc(ctlr, &val), 0);
	assert_int_equal(set_icc(ctlr, val | 2), 0);
	assert_int_equal(set_icc(ctlr, val ^ 0x8000), -EINVAL);
	assert_int_equal(get_icc(sre, &val), 0);
	assert_int_equal(set_icc(sre, val), 0);
	assert_int_equal(set_icc(sre, 0), -EINVAL);
	/* the text says ENXIO of these too */
	assert_int_equal(get_icc(MIDR_EL1, &val), -ENOENT);
	assert_int_equal(get_icc(ARM64_SYS_REG(3, 4, 12, 11, 0), &val), -ENOENT);
	assert_int_equal(has_attr(rig.gic, SYSREGS, MPIDR(0) | (MIDR_EL1 & 0xffff)), -ENXIO);
	assert_int_equal(has_attr(rig.gic, SYSREGS, MPIDR(0) | (pmr & 0xffff)), 0);
}

static void gicv3_levels_are_in_words(void **state)
{
	(void)state;
	add_initialised_vcpu(0);
	add_gic();
	assert_int_equal(set_irqs(96), 0);
	init_gic();
	assert_int_equal(set_gic(LEVELS, MPIDR(0) | 33, 1), -EINVAL);
	assert_int_equal(set_gic(LEVELS, MPIDR(0) | 1u << 10 | 32, 1), -EINVAL);
	/* of interrupts that are edges none is kept (ICFGR2, ICFGR3) */
	assert_int_equal(set_gic(DIST_REGS, 0xc08, 0), 0);
	assert_int_equal(set_gic(DIST_REGS, 0xc0c, 0), 0);
	assert_int_equal(set_gic(LEVELS, MPIDR(0) | 32, 0x80000001), 0);
	assert_int_equal(gic_reg(LEVELS, MPIDR(0) | 32), 0x80000001);
	assert_int_equal(gic_reg(LEVELS, MPIDR(0) | 64), 0);
	assert_int_equal(irq_line(KVM_ARM_IRQ_TYPE_SPI, 0, 32, 0), 0);
	assert_int_equal(gic_reg(LEVELS, MPIDR(0) | 32), 0x80000000);
	/* SGIs have no level */
	assert_int_equal(set_gic(LEVELS, MPIDR(0), 0x00100001), 0);
	assert_int_equal(gic_reg(LEVELS, MPIDR(0)), 0x00100000);
}

static void pending_tables_are_saved_after_init(void **state)
{
	(void)state;
	add_initialised_vcpu(0);
	add_gic();
	assert_int_equal(ctrl(rig.gic, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES), -ENXIO);
	init_gic();
	assert_int_equal(ctrl(rig.gic, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES), 0);
}

/* ---- ITS (arm-vgic-its.rst) ---- */

static void add_its(void)
{
	rig.its = create_device(KVM_DEV_TYPE_ARM_VGIC_ITS, 0);
	assert_true(rig.its >= 0);
}

static void messages_want_a_device_id_where_there_is_an_its(void **state)
{
	(void)state;
	add_gic();
	assert_int_equal(cap(KVM_CAP_MSI_DEVID), -EINVAL);
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_MSI_DEVID), 0);
	add_its();
	assert_int_equal(call_n(rig.vm, KVM_CHECK_EXTENSION, KVM_CAP_MSI_DEVID), 1);
	assert_int_equal(set_route(100, KVM_IRQ_ROUTING_MSI, KVM_MSI_VALID_DEVID, (u32)ITS, 0), 0);
	assert_int_equal(set_route(100, KVM_IRQ_ROUTING_MSI, 2, (u32)ITS, 0), -EINVAL);
	if (rig.fk)
		assert_string_equal(fakekvm_complaints(rig.fk), "");
	/* accepted, and nothing would come of it */
	assert_int_equal(set_route(100, KVM_IRQ_ROUTING_MSI, 0, (u32)ITS, 0), 0);
	if (rig.fk)
		assert_non_null(strstr(fakekvm_complaints(rig.fk), "device's id"));
}

static int set_its(u64 off, u64 val)
{
	return set_attr(rig.its, ITS_REGS, off, &val);
}

static u64 its_reg(u64 off)
{
	u64 val = 0;

	assert_int_equal(get_attr(rig.its, ITS_REGS, off, &val), 0);
	return val;
}

static void an_its_has_an_address_and_registers(void **state)
{
	u64 val = 0;

	(void)state;
	open_vm(32);
	add_gic();
	add_its();
	assert_int_equal(get_attr(rig.its, ITS_REGS, 0x80, &val), -ENXIO);
	assert_int_equal(set_addr(rig.its, KVM_VGIC_V3_ADDR_TYPE_DIST, ITS), -ENODEV);
	assert_int_equal(set_addr(rig.its, KVM_VGIC_ITS_ADDR_TYPE, ITS + 0x1000), -EINVAL);
	assert_int_equal(set_addr(rig.its, KVM_VGIC_ITS_ADDR_TYPE, BIT(32)), -E2BIG);
	assert_int_equal(set_addr(rig.its, KVM_VGIC_ITS_ADDR_TYPE, ITS), 0);
	assert_int_equal(set_addr(rig.its, KVM_VGIC_ITS_ADDR_TYPE, ITS), -EEXIST);
	assert_int_equal(ctrl(rig.its, KVM_DEV_ARM_VGIC_CTRL_INIT), 0);
	assert_int_equal(get_attr(rig.its, ITS_REGS, 0x84, &val), -EINVAL);
	assert_int_equal(get_attr(rig.its, ITS_REGS, 0x40, &val), -ENXIO);
	assert_int_equal(has_attr(rig.its, KVM_DEV_ARM_VGIC_GRP_CTRL, 77), -ENXIO);
	/* 16 pages of commands; writing its place starts it anew */
	assert_int_equal(set_its(0x80, BIT(63) | RAM | 0xf), 0);
	assert_int_equal(set_its(0x88, 0x40), 0);
	assert_int_equal(set_its(0x90, 0x20), 0);
	assert_int_equal(its_reg(0x88), 0x40);
	assert_int_equal(its_reg(0x90), 0x20);
	assert_int_equal(set_its(0x80, BIT(63) | RAM), 0);
	assert_int_equal(its_reg(0x90), 0);
	assert_int_equal(set_its(0x90, 0x2000), -EINVAL);
	/* not without tables */
	assert_int_equal(set_its(0, 1), 0);
	assert_int_equal(its_reg(0) & 1, 0);
}

static void its_tables_are_saved_and_restored(void **state)
{
	(void)state;
	assert_int_equal(set_slot(0, 0, RAM, N_PAGES * rig.page, rig.mem), 0);
	add_initialised_vcpu(0);
	add_gic();
	add_its();
	assert_int_equal(set_addr(rig.its, KVM_VGIC_ITS_ADDR_TYPE, ITS), 0);
	init_gic();
	/* none provided by the guest: nothing to do */
	assert_int_equal(ctrl(rig.its, KVM_DEV_ARM_ITS_SAVE_TABLES), 0);
	assert_int_equal(ctrl(rig.its, KVM_DEV_ARM_ITS_RESTORE_TABLES), 0);
	assert_int_equal(set_its(0x80, BIT(63) | RAM), 0);
	assert_int_equal(ctrl(rig.its, KVM_DEV_ARM_ITS_CTRL_RESET), 0);
	assert_int_equal(its_reg(0x80), 0);
}

/* ---- KVM_RUN (4.10, 5) ---- */

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

static int set_mask(u32 len)
{
	struct {
		struct kvm_signal_mask head;
		u64 set;
	} __attribute__((packed)) m = { .head = { .len = len }, .set = ~BIT(KICK - 1) };

	return call(rig.vcpu, KVM_SET_SIGNAL_MASK, &m);
}

static int kvm_run(void)
{
	return call_n(rig.vcpu, KVM_RUN, 0);
}

/* vCPU 0 executes @code with x0 at MMIO; a fake plays its script. */
static void load_code(const u32 *code, size_t size, u32 features)
{
	memcpy(rig.mem, code, size);
	__builtin___clear_cache((char *)rig.mem, (char *)rig.mem + size);
	assert_int_equal(set_slot(0, 0, RAM, N_PAGES * rig.page, rig.mem), 0);
	add_initialised_vcpu(features);
	assert_int_equal(set_reg64(PC, RAM), 0);
	assert_int_equal(set_reg64(X(0), MMIO), 0);
}

static const u32 load_store_wait[] = {
	0x39400001, /* ldrb w1, [x0] */
	0x39000401, /* strb w1, [x0, #1] */
	0xd503207f, /* wfi */
	0x17ffffff, /* b to it */
};

static const struct fake_step load_store_wait_steps[] = {
	FAKE_LOAD(MMIO, 1),
	FAKE_STORE(MMIO + 1, 1, 0x42),
	FAKE_HALT,
};

static void load_guest(void)
{
	if (rig.fk)
		fakekvm_script(rig.fk, 0, load_store_wait_steps, ARRAY_SIZE(load_store_wait_steps));
	load_code(load_store_wait, sizeof(load_store_wait), 0);
}

static void run_takes_no_argument(void **state)
{
	(void)state;
	load_guest();
	assert_int_equal(call_n(rig.vcpu, KVM_RUN, 1), -EINVAL);
}

static void device_accesses_exit_and_are_answered(void **state)
{
	(void)state;
	load_guest();
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(rig.run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(rig.run->mmio.phys_addr, MMIO);
	assert_int_equal(rig.run->mmio.len, 1);
	assert_int_equal(rig.run->mmio.is_write, 0);
	rig.run->mmio.data[0] = 0x42;
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(rig.run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(rig.run->mmio.phys_addr, MMIO + 1);
	assert_int_equal(rig.run->mmio.is_write, 1);
	assert_int_equal(rig.run->mmio.data[0], 0x42);
}

static void immediate_exit_completes_what_is_pending(void **state)
{
	(void)state;
	load_guest();
	assert_int_equal(kvm_run(), 0);
	rig.run->mmio.data[0] = 0x42;
	rig.run->immediate_exit = 1;
	assert_int_equal(kvm_run(), -EINTR);
	if (rig.fk)
		assert_int_equal(fakekvm_answer_u64(rig.fk, 0, 0), 0x42);
	else
		assert_int_equal(reg(X(1)), 0x42);
	assert_int_equal(kvm_run(), -EINTR);
	rig.run->immediate_exit = 0;
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(rig.run->mmio.is_write, 1);
}

static void *kick_main(void *arg)
{
	const struct timespec ms = { .tv_nsec = 100000000 };

	nanosleep(&ms, NULL);
	pthread_kill(*(pthread_t *)arg, KICK);
	return NULL;
}

static void assert_kick_ends_a_run(void)
{
	pthread_t self = pthread_self(), kicker;

	pthread_create(&kicker, NULL, kick_main, &self);
	assert_int_equal(kvm_run(), -EINTR);
	assert_int_equal(rig.run->exit_reason, KVM_EXIT_INTR);
	pthread_join(kicker, NULL);
	assert_int_equal(take_kick(), KICK);
}

static void kick_ends_a_run_that_waits(void **state)
{
	(void)state;
	block_kick();
	load_guest();
	assert_int_equal(set_mask(128), -EINVAL);
	assert_int_equal(set_mask(8), 0);
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(kvm_run(), 0);
	assert_kick_ends_a_run();
	/* one that came before is not lost */
	pthread_kill(pthread_self(), KICK);
	assert_int_equal(kvm_run(), -EINTR);
	assert_int_equal(take_kick(), KICK);
}

static void a_vcpu_that_is_off_waits_and_can_be_kicked(void **state)
{
	struct kvm_mp_state mp;

	(void)state;
	block_kick();
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_POWER_OFF));
	assert_int_equal(set_mask(8), 0);
	assert_kick_ends_a_run();
	assert_int_equal(call(rig.vcpu, KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_STOPPED);
}

static const u32 system_off[] = {
	0x52b08000, /* mov w0, #0x84000000 */
	0x72800100, /* movk w0, #8: PSCI SYSTEM_OFF */
	0xd4000002, /* hvc #0 */
};

static const struct fake_step system_off_steps[] = {
	FAKE_SYSTEM_EVENT(KVM_SYSTEM_EVENT_SHUTDOWN),
};

static void system_off_is_an_event_and_stops_vcpus(void **state)
{
	struct kvm_mp_state mp;

	(void)state;
	if (rig.fk)
		fakekvm_script(rig.fk, 0, system_off_steps, 1);
	load_code(system_off, sizeof(system_off), 0);
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(rig.run->exit_reason, KVM_EXIT_SYSTEM_EVENT);
	assert_int_equal(rig.run->system_event.type, KVM_SYSTEM_EVENT_SHUTDOWN);
	assert_int_equal(call(rig.vcpu, KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_STOPPED);
}

static const u32 load_pair[] = {
	0x29400801, /* ldp w1, w2, [x0] */
};

static const struct fake_step load_pair_steps[] = { FAKE_NISV(MMIO, 0x1810006) };

static void accesses_kvm_cannot_decode_exit_when_asked_for(void **state)
{
	(void)state;
	if (rig.fk)
		fakekvm_script(rig.fk, 0, load_pair_steps, 1);
	load_code(load_pair, sizeof(load_pair), 0);
	assert_int_equal(enable(rig.vm, KVM_CAP_ARM_NISV_TO_USER, 0), 0);
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(rig.run->exit_reason, KVM_EXIT_ARM_NISV);
	assert_int_equal(rig.run->arm_nisv.fault_ipa, MMIO);
}

static void accesses_kvm_cannot_decode_are_an_error_else(void **state)
{
	(void)state;
	if (rig.fk)
		fakekvm_script(rig.fk, 0, load_pair_steps, 1);
	load_code(load_pair, sizeof(load_pair), 0);
	assert_int_equal(kvm_run(), -ENOSYS);
}

static void run_wants_a_gicv3_placed_and_initialised(void **state)
{
	(void)state;
	rig.gic = create_device(KVM_DEV_TYPE_ARM_VGIC_V3, 0);
	assert_true(rig.gic >= 0);
	load_guest();
	assert_int_equal(kvm_run(), -ENXIO);
}

static void run_wants_a_gicv3_initialised(void **state)
{
	(void)state;
	load_guest();
	add_gic();
	assert_int_equal(kvm_run(), -EBUSY);
}

static void run_wants_frames_that_do_not_overlap(void **state)
{
	(void)state;
	load_guest();
	rig.gic = create_device(KVM_DEV_TYPE_ARM_VGIC_V3, 0);
	assert_true(rig.gic >= 0);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_REDIST, REDIST), 0);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V3_ADDR_TYPE_DIST, REDIST + 0x10000), 0);
	init_gic();
	assert_int_equal(kvm_run(), -EINVAL);
}

static void run_initialises_a_gicv2_by_itself(void **state)
{
	(void)state;
	rig.gic = create_device(KVM_DEV_TYPE_ARM_VGIC_V2, 0);
	assert_true(rig.gic >= 0);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST), 0);
	assert_int_equal(set_addr(rig.gic, KVM_VGIC_V2_ADDR_TYPE_CPU, REDIST), 0);
	load_guest();
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(rig.run->exit_reason, KVM_EXIT_MMIO);
}

static void run_wants_a_gicv3_for_el2(void **state)
{
	(void)state;
	load_code(load_store_wait, sizeof(load_store_wait), FEATURE(KVM_ARM_VCPU_HAS_EL2));
	assert_int_equal(kvm_run(), -EAGAIN);
}

static void an_el2_vcpu_runs_with_a_gicv3(void **state)
{
	(void)state;
	add_gic();
	if (rig.fk)
		fakekvm_script(rig.fk, 0, load_store_wait_steps, ARRAY_SIZE(load_store_wait_steps));
	load_code(load_store_wait, sizeof(load_store_wait), FEATURE(KVM_ARM_VCPU_HAS_EL2));
	assert_int_equal(set_maint(25), 0);
	init_gic();
	assert_int_equal(kvm_run(), 0);
	assert_int_equal(rig.run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(rig.run->mmio.phys_addr, MMIO);
	/* and now it is too late for these */
	assert_int_equal(set_timer(KVM_ARM_VCPU_TIMER_IRQ_VTIMER, 20), -EBUSY);
}

static void run_wants_timers_with_their_own_ppis(void **state)
{
	(void)state;
	load_guest();
	add_gic();
	init_gic();
	assert_int_equal(set_timer(KVM_ARM_VCPU_TIMER_IRQ_PTIMER, 27), 0);
	assert_int_equal(kvm_run(), -EINVAL);
}

static void run_wants_the_pmu_initialised(void **state)
{
	(void)state;
	load_code(load_store_wait, sizeof(load_store_wait), FEATURE(KVM_ARM_VCPU_PMU_V3));
	add_gic();
	init_gic();
	assert_int_equal(kvm_run(), -EINVAL);
}

/* ---- What a fake alone can be: an older kernel ---- */

static void an_attribute_can_be_unknown(void **state)
{
	(void)state;
	fakekvm_hide_attr(rig.fk, true, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA);
	fakekvm_hide_attr(rig.fk, false, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0);
	add_initialised_vcpu(0);
	add_gic();
	assert_int_equal(has_attr(rig.vcpu, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA),
			 -ENXIO);
	assert_int_equal(set_pvtime(RAM), -ENXIO);
	assert_int_equal(has_attr(rig.gic, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0), -ENXIO);
	assert_int_equal(set_maint(25), -ENXIO);
	assert_int_equal(has_attr(rig.vcpu, KVM_ARM_VCPU_TIMER_CTRL, 0), 0);
}

/* ---- Partition of the PMU, as posted ---- */

static int partition(const void *on)
{
	return call(rig.vcpu, KVM_ARM_PARTITION_PMU, (void *)on);
}

static void the_posted_ioctl_enables_a_partition(void **state)
{
	const bool on = true, off = false;

	(void)state;
	fakekvm_set_pmu_counters(rig.fk, 8, 3);
	add_vcpu();
	assert_int_equal(partition(NULL), -ENOEXEC);
	assert_int_equal(init_with(rig.vcpu, PSCI | FEATURE(KVM_ARM_VCPU_PMU_V3)), 0);
	assert_int_equal(partition(NULL), -EFAULT);
	assert_int_equal(partition(&off), 0);
	assert_int_equal(n_counters(), 8);
	assert_int_equal(partition(&on), 0);
	assert_int_equal(n_counters(), 3);
	assert_int_equal(has_attr(rig.vcpu, PMU_GROUP, KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION),
			 -ENXIO);
}

static void the_posted_attribute_enables_a_partition_before_init(void **state)
{
	(void)state;
	fakekvm_set_pmu_counters(rig.fk, 8, 3);
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_PMU_V3));
	add_gic();
	init_gic();
	assert_int_equal(has_attr(rig.vcpu, PMU_GROUP, KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION), 0);
	assert_int_equal(partition(NULL), -EINVAL);
	assert_int_equal(set_attr(rig.vcpu, PMU_GROUP, KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION, NULL),
			 -EFAULT);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_SET_PMU, pmu_type()), 0);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_IRQ, 23), 0);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION, 1), 0);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, 4), -EINVAL);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, 2), 0);
	assert_int_equal(n_counters(), 2);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_INIT, 0), 0);
	assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION, 1), -EBUSY);
}

static void a_host_that_keeps_its_counters_has_no_permission(void **state)
{
	const bool on = true;

	(void)state;
	add_initialised_vcpu(FEATURE(KVM_ARM_VCPU_PMU_V3));
	if (has_attr(rig.vcpu, PMU_GROUP, KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION) == 0) {
		assert_int_equal(set_pmu(KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION, 1), -EPERM);
	} else {
		assert_int_equal(partition(&on), -EPERM);
		assert_int_equal(partition(NULL), -EPERM);
	}
}

/* ---- Running ---- */

/* What a rule is about; it is run where there is all of it. */
enum {
	GICV2 = 1,
	GICV3 = 2,
	EL2 = 4,
	E2H0 = 8,
	PMU = 16,
	SVE = 32,
	MTE = 64,
	PAUTH = 128,
	STEAL = 256,
	OFFSET = 512,
	AARCH32 = 1024,
	EVENTS = 2048
};

static u32 host_has(void)
{
	static const struct {
		u32 number, bit;
	} caps[] = {
		{ KVM_CAP_ARM_EL2, EL2 },	    { KVM_CAP_ARM_EL2_E2H0, E2H0 },
		{ KVM_CAP_ARM_PMU_V3, PMU },	    { KVM_CAP_ARM_SVE, SVE },
		{ KVM_CAP_ARM_MTE, MTE },	    { KVM_CAP_ARM_PTRAUTH_ADDRESS, PAUTH },
		{ KVM_CAP_STEAL_TIME, STEAL },	    { KVM_CAP_COUNTER_OFFSET, OFFSET },
		{ KVM_CAP_ARM_EL1_32BIT, AARCH32 }, { KVM_CAP_VCPU_EVENTS, EVENTS },
	};
	u32 bits = 0;

	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		if (cap(caps[i].number) > 0)
			bits |= caps[i].bit;
	if (has_device(KVM_DEV_TYPE_ARM_VGIC_V2))
		bits |= GICV2;
	if (has_device(KVM_DEV_TYPE_ARM_VGIC_V3))
		bits |= GICV3;
	return bits;
}

#define RULE(fn, needs)        \
	{                      \
#fn, fn, needs \
	}

static const struct rule {
	const char *name;
	CMUnitTestFunction fn;
	u32 needs;
} rules[] = {
	RULE(system_answers_without_argument, 0),
	RULE(unknown_requests_are_refused, 0),
	RULE(vm_types_are_address_sizes, 0),
	RULE(capabilities_are_numbers, 0),
	RULE(closed_descriptors_are_dead, 0),
	RULE(unknown_capabilities_are_not_enabled, 0),
	RULE(tagging_is_enabled_before_vcpus, MTE),
	RULE(slots_are_whole_pages_with_known_numbers_and_flags, 0),
	RULE(slots_neither_overlap_nor_change_size, 0),
	RULE(slots_end_within_the_address_space, 0),
	RULE(vcpu_ids_are_unique_and_bounded, 0),
	RULE(init_takes_known_targets_and_features, 0),
	RULE(features_that_are_not_there_are_refused, 0),
	RULE(all_vcpus_have_the_same_features, 0),
	RULE(pointer_authentication_is_a_whole, PAUTH),
	RULE(el2_is_of_64_bit_vcpus, EL2),
	RULE(e2h0_without_el2_is_el1, E2H0),
	RULE(requests_come_after_init, 0),
	RULE(mp_states_are_those_of_arm64, 0),
	RULE(events_keep_reserved_fields_zero, EVENTS),
	RULE(registers_keep_what_they_are_given, 0),
	RULE(ids_name_one_register_of_one_size, 0),
	RULE(pstate_is_a_mode_of_this_vcpu, 0),
	RULE(identification_is_not_changed, 0),
	RULE(firmware_has_versions_that_exist, 0),
	RULE(listed_registers_are_there, 0),
	RULE(listed_registers_of_el2_are_there, EL2),
	RULE(listed_registers_of_a_pmu_are_there, PMU),
	RULE(sve_is_finalised_once, SVE),
	RULE(without_sve_there_is_nothing_to_finalise, 0),
	RULE(counters_follow_the_offset_of_the_vm, OFFSET),
	RULE(unknown_attributes_are_refused, 0),
	RULE(timers_have_ppis, 0),
	RULE(steal_time_is_in_memory, STEAL),
	RULE(pmu_attributes_need_the_feature, 0),
	RULE(a_pmu_has_an_interrupt_before_init_and_after_the_gic, PMU),
	RULE(a_ppi_of_the_pmu_is_that_of_all, PMU),
	RULE(filters_are_ranges_of_events, PMU),
	RULE(counters_are_numbered_within_those_of_a_chosen_pmu, PMU),
	RULE(released_kernels_do_not_partition_the_pmu, PMU),
	RULE(devices_are_those_this_kvm_has, 0),
	RULE(a_gicv2_knows_8_cpus, GICV2),
	RULE(gicv2_addresses_are_placed_once, GICV2),
	RULE(gicv3_addresses_are_placed_once, GICV3),
	RULE(redistributor_regions_are_numbered, GICV3),
	RULE(a_gic_has_64_to_992_interrupts, 0),
	RULE(a_gic_is_initialised_after_vcpus, 0),
	RULE(the_maintenance_interrupt_is_a_ppi_said_before_init, EL2 | GICV3),
	RULE(irq_lines_are_spis_and_ppis, 0),
	RULE(routes_lead_to_pins_that_exist, 0),
	RULE(irqfds_come_after_the_gic, 0),
	RULE(distributor_registers_set_and_clear, 0),
	RULE(gicv3_registers_need_init_and_a_cpu, GICV3),
	RULE(gicv3_cpu_interface_has_what_the_cpu_has, GICV3),
	RULE(gicv3_levels_are_in_words, GICV3),
	RULE(pending_tables_are_saved_after_init, GICV3),
	RULE(messages_want_a_device_id_where_there_is_an_its, GICV3),
	RULE(an_its_has_an_address_and_registers, GICV3),
	RULE(its_tables_are_saved_and_restored, GICV3),
	RULE(run_takes_no_argument, 0),
	RULE(device_accesses_exit_and_are_answered, 0),
	RULE(immediate_exit_completes_what_is_pending, 0),
	RULE(kick_ends_a_run_that_waits, 0),
	RULE(a_vcpu_that_is_off_waits_and_can_be_kicked, 0),
	RULE(system_off_is_an_event_and_stops_vcpus, 0),
	RULE(accesses_kvm_cannot_decode_exit_when_asked_for, 0),
	RULE(accesses_kvm_cannot_decode_are_an_error_else, 0),
	RULE(run_wants_a_gicv3_placed_and_initialised, GICV3),
	RULE(run_wants_a_gicv3_initialised, GICV3),
	RULE(run_wants_frames_that_do_not_overlap, GICV3),
	RULE(run_initialises_a_gicv2_by_itself, GICV2),
	RULE(run_wants_a_gicv3_for_el2, EL2),
	RULE(an_el2_vcpu_runs_with_a_gicv3, EL2 | GICV3),
	RULE(run_wants_timers_with_their_own_ppis, 0),
	RULE(run_wants_the_pmu_initialised, PMU),
};

/* On the fake hosts they name. */
static const struct {
	struct rule rule;
	const struct fake_host *host;
} of_fakes[] = {
	{ RULE(an_attribute_can_be_unknown, 0), &fakekvm_arm64 },
	{ RULE(the_posted_ioctl_enables_a_partition, 0), &fakekvm_arm64_partition_ioctl },
	{ RULE(the_posted_attribute_enables_a_partition_before_init, 0),
	  &fakekvm_arm64_partition_attr },
	{ RULE(a_host_that_keeps_its_counters_has_no_permission, 0),
	  &fakekvm_arm64_partition_ioctl_unconfigured },
	{ RULE(a_host_that_keeps_its_counters_has_no_permission, 0),
	  &fakekvm_arm64_partition_attr_unconfigured },
};

static u32 fake_has(const struct fake_host *host)
{
	void *state = (void *)host;
	u32 bits;

	setup(&state);
	bits = host_has();
	teardown(&state);
	return bits;
}

static void add(struct CMUnitTest *t, char *name, size_t size, const struct rule *r,
		const struct fake_host *host)
{
	snprintf(name, size, "%s: %s", fakekvm_host_name(host), r->name);
	*t = (struct CMUnitTest){ name, r->fn, setup, teardown, (void *)host };
}

/* One group, since TAP has one plan: each rule for each host it is about, under the host's name. */
static int run_on_fake_hosts(void)
{
	static const struct fake_host *const hosts[] = { &fakekvm_arm64, &fakekvm_arm64_gicv2,
							 &fakekvm_arm64_plain,
							 &fakekvm_arm64_full };
	static struct CMUnitTest
		tests[ARRAY_SIZE(hosts) * ARRAY_SIZE(rules) + ARRAY_SIZE(of_fakes)];
	static char names[ARRAY_SIZE(tests)][96];
	bool used[ARRAY_SIZE(rules)] = { false };
	size_t n = 0;

	for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
		u32 has = fake_has(hosts[h]);

		for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
			if (rules[i].needs & ~has)
				continue;
			used[i] = true;
			add(&tests[n], names[n], sizeof(names[n]), &rules[i], hosts[h]);
			n++;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (used[i])
			continue;
		fprintf(stderr, "no fake host has what %s is about\n", rules[i].name);
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(of_fakes); i++, n++)
		add(&tests[n], names[n], sizeof(names[n]), &of_fakes[i].rule, of_fakes[i].host);
	return _cmocka_run_group_tests("KVM's rules, fake hosts", tests, n, NULL, NULL);
}

static void not_there(void **state)
{
	(void)state;
	skip();
}

static int run_on_kvm(void)
{
	static struct CMUnitTest tests[ARRAY_SIZE(rules)];
	u32 has = fake_has(NULL);

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		bool there = !(rules[i].needs & ~has);

		tests[i] =
			(struct CMUnitTest){ rules[i].name, there ? rules[i].fn : not_there,
					     there ? setup : NULL, there ? teardown : NULL, NULL };
	}
	return cmocka_run_group_tests_name("KVM's rules, /dev/kvm", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "fake";

	if (!strcmp(mode, "fake"))
		return run_on_fake_hosts();
	return strcmp(mode, "real") ? 2 : run_on_kvm();
}
