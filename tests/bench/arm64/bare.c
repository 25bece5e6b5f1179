/*
 * bare.c - the least that loads an arm64 Image and runs it on KVM: what lkvm's own cost is measured
 * against. No checks beyond "did the call fail", one memory region, one vCPU, a GICv3, no devices.
 * The vCPU is the same as lkvm's, with what KVM has of pointer authentication and stolen time: what
 * these cost KVM at each exit is not lkvm's.
 *
 *	bare KERNEL CMDLINE MIB		load, and stop where KVM_RUN would come first
 *	bare -r KERNEL CMDLINE MIB	run it until it writes to EXITS_END_GPA; reads give 0
 *
 * Prints CLOCK_MONOTONIC nanoseconds: of the first KVM_RUN, with -r also of the end.
 * Entry: Documentation/arch/arm64/booting.rst; the device tree has what a kernel cannot do without.
 */
#include <fcntl.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "arch/arm64/layout.h"
#include "linux-uapi/arm64.h"
#include "tests/bench/arm64/exits.h"

#define RAM	 ARM64_RAM_BASE
#define FDT_SIZE 0x10000
#define PHANDLE	 1
#define GIC_PPI	 1
#define LEVEL	 8 /* active low */

static int check(int ret, const char *what)
{
	if (ret < 0) {
		perror(what);
		exit(1);
	}
	return ret;
}
#define CALL(fd, req, arg) check(ioctl(fd, req, arg), #req)

static unsigned long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (unsigned long long)ts.tv_sec * 1000000000 + (unsigned long long)ts.tv_nsec;
}

static void cells(void *fdt, const char *name, const uint32_t *val, int n)
{
	uint32_t be[24];

	for (int i = 0; i < n; i++)
		be[i] = htobe32(val[i]);
	check(fdt_property(fdt, name, be, n * 4), name);
}
#define CELLS(fdt, name, ...)                               \
	cells(fdt, name, (const uint32_t[]){ __VA_ARGS__ }, \
	      sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4)

static void make_fdt(void *fdt, const char *cmdline, uint64_t ram_size)
{
	check(fdt_create(fdt, FDT_SIZE), "fdt_create");
	fdt_finish_reservemap(fdt);
	fdt_begin_node(fdt, "");
	fdt_property_u32(fdt, "#address-cells", 2);
	fdt_property_u32(fdt, "#size-cells", 2);
	fdt_property_u32(fdt, "interrupt-parent", PHANDLE);
	fdt_property_string(fdt, "compatible", "linux,dummy-virt");
	fdt_begin_node(fdt, "chosen");
	fdt_property_string(fdt, "bootargs", cmdline);
	fdt_end_node(fdt);
	fdt_begin_node(fdt, "memory@80000000");
	fdt_property_string(fdt, "device_type", "memory");
	CELLS(fdt, "reg", 0, (uint32_t)RAM, (uint32_t)(ram_size >> 32), (uint32_t)ram_size);
	fdt_end_node(fdt);
	fdt_begin_node(fdt, "cpus");
	fdt_property_u32(fdt, "#address-cells", 1);
	fdt_property_u32(fdt, "#size-cells", 0);
	fdt_begin_node(fdt, "cpu@0");
	fdt_property_string(fdt, "device_type", "cpu");
	fdt_property_string(fdt, "compatible", "arm,armv8");
	fdt_property_u32(fdt, "reg", 0);
	fdt_end_node(fdt);
	fdt_end_node(fdt);
	fdt_begin_node(fdt, "psci");
	fdt_property_string(fdt, "compatible", "arm,psci-0.2");
	fdt_property_string(fdt, "method", "hvc");
	fdt_end_node(fdt);
	fdt_begin_node(fdt, "timer");
	fdt_property_string(fdt, "compatible", "arm,armv8-timer");
	CELLS(fdt, "interrupts", GIC_PPI, ARM64_PPI_STIMER - 16, LEVEL, GIC_PPI,
	      ARM64_PPI_PTIMER - 16, LEVEL, GIC_PPI, ARM64_PPI_VTIMER - 16, LEVEL, GIC_PPI,
	      ARM64_PPI_HPTIMER - 16, LEVEL);
	fdt_end_node(fdt);
	fdt_begin_node(fdt, "interrupt-controller");
	fdt_property_string(fdt, "compatible", "arm,gic-v3");
	fdt_property_u32(fdt, "#interrupt-cells", 3);
	fdt_property(fdt, "interrupt-controller", NULL, 0);
	CELLS(fdt, "reg", 0, ARM64_GIC_DIST_BASE, 0, ARM64_GICV3_DIST_LEN, 0,
	      ARM64_GICV3_RDIST_BASE(1), 0, ARM64_GICV3_RDIST_LEN);
	fdt_property_u32(fdt, "phandle", PHANDLE);
	fdt_end_node(fdt);
	fdt_end_node(fdt);
	check(fdt_finish(fdt), "fdt_finish");
}

/* Returns where the device tree is put: behind the Image, which says how much it takes. */
static uint64_t load(uint8_t *ram, const char *path)
{
	int fd = check(open(path, O_RDONLY), path);
	uint64_t image_size;
	struct stat st;

	check(fstat(fd, &st), path);
	check(pread(fd, ram, (size_t)st.st_size, 0) == st.st_size ? 0 : -1, path);
	close(fd);
	memcpy(&image_size, ram + 16, 8);
	return (RAM + image_size + 0x1fffff) & ~0x1fffffull;
}

static void set_register(int vcpu, uint64_t offset, uint64_t val)
{
	struct kvm_one_reg reg = { .id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
					 offset / 4,
				   .addr = (uintptr_t)&val };

	CALL(vcpu, KVM_SET_ONE_REG, &reg);
}

static void set_attr(int dev, uint32_t group, uint64_t attr, const void *addr)
{
	struct kvm_device_attr arg = { .group = group, .attr = attr, .addr = (uintptr_t)addr };

	CALL(dev, KVM_SET_DEVICE_ATTR, &arg);
}

static int make_gic(int vm)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	uint64_t dist = ARM64_GIC_DIST_BASE, rdist = ARM64_GICV3_RDIST_BASE(1);
	uint32_t n_irqs = 64;

	CALL(vm, KVM_CREATE_DEVICE, &device);
	set_attr((int)device.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &dist);
	set_attr((int)device.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &rdist);
	set_attr((int)device.fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &n_irqs);
	return (int)device.fd;
}

static void *map(size_t size, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	check(p == MAP_FAILED ? -1 : 0, "mmap");
	return p;
}

static uint8_t *add_memory(int vm, uint32_t slot, uint64_t gpa, size_t size)
{
	struct kvm_userspace_memory_region region = { .slot = slot,
						      .guest_phys_addr = gpa,
						      .memory_size = size };
	uint8_t *p = map(size, -1);

	region.userspace_addr = (uintptr_t)p;
	CALL(vm, KVM_SET_USER_MEMORY_REGION, &region);
	return p;
}

static int make_vcpu(int vm)
{
	uint64_t record = ARM64_PVTIME_BASE;
	struct kvm_vcpu_init init = { 0 };
	int vcpu;

	CALL(vm, KVM_ARM_PREFERRED_TARGET, &init);
	vcpu = CALL(vm, KVM_CREATE_VCPU, 0);
	init.features[0] = 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (CALL(vm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PTRAUTH_ADDRESS))
		init.features[0] |=
			1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;
	CALL(vcpu, KVM_ARM_VCPU_INIT, &init);
	if (CALL(vm, KVM_CHECK_EXTENSION, KVM_CAP_STEAL_TIME)) {
		add_memory(vm, 1, record, ARM64_PVTIME_LEN);
		set_attr(vcpu, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &record);
	}
	return vcpu;
}

static void run(int vcpu, struct kvm_run *run)
{
	for (;;) {
		CALL(vcpu, KVM_RUN, 0);
		if (run->exit_reason != KVM_EXIT_MMIO) {
			fprintf(stderr, "bare: exit reason %u\n", run->exit_reason);
			exit(1);
		}
		if (run->mmio.is_write && run->mmio.phys_addr == EXITS_END_GPA)
			return;
		memset(run->mmio.data, 0, sizeof(run->mmio.data));
	}
}

int main(int argc, char **argv)
{
	int go = argc > 1 && !strcmp(argv[1], "-r");
	int kvm, vm, gic, vcpu;
	struct kvm_run *kvm_run;
	uint64_t fdt_gpa, size;
	uint8_t *ram;

	if (argc - go != 4)
		return 2;
	argv += go;
	size = strtoull(argv[3], NULL, 0) << 20;

	kvm = check(open("/dev/kvm", O_RDWR), "/dev/kvm");
	vm = CALL(kvm, KVM_CREATE_VM, 32); /* bits of guest addresses */
	ram = add_memory(vm, 0, RAM, size);
	gic = make_gic(vm);
	vcpu = make_vcpu(vm);
	kvm_run = map((size_t)CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), vcpu);
	set_attr(gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	fdt_gpa = load(ram, argv[1]);
	make_fdt(ram + (fdt_gpa - RAM), argv[2], size);
	set_register(vcpu, offsetof(struct kvm_regs, regs.pc), RAM);
	set_register(vcpu, 0, fdt_gpa);

	printf("%llu\n", now());
	if (go) {
		run(vcpu, kvm_run);
		printf("%llu\n", now());
	}
	return 0;
}
