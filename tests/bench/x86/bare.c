/*
 * bare.c - the least that loads a bzImage and runs it on KVM: what lkvm's own cost is measured
 * against. No checks beyond "did the call fail", one memory region, one vCPU, no devices.
 *
 *	bare KERNEL CMDLINE MIB		load, and stop where KVM_RUN would come first
 *	bare -r KERNEL CMDLINE MIB	run it until it writes to EXITS_END_PORT; reads give 0
 *
 * Prints CLOCK_MONOTONIC nanoseconds: of the first KVM_RUN, with -r also of the end.
 * Entry and zero page: Documentation/arch/x86/boot.rst and zero-page.rst.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "linux-uapi/x86.h"
#include "tests/bench/x86/exits.h"

#define GDT	  0x500
#define ZERO_PAGE 0x7000
#define TABLES	  0x9000
#define CMDLINE	  0x20000
#define LOW_END	  0x9fc00

#define SETUP_HEADER	0x1f1
#define PAGE_PRESENT_RW 3
#define PAGE_LARGE	0x80

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

static void put(uint8_t *at, uint64_t val, size_t size)
{
	memcpy(at, &val, size);
}

/* Type 1 is RAM (ACPI 6.5 section 15). */
static void put_ram(uint8_t *zp, uint64_t start, uint64_t size)
{
	uint8_t *entry = zp + 0x2d0 + 20 * zp[0x1e8]++;

	put(entry, start, 8);
	put(entry + 8, size, 8);
	put(entry + 16, 1, 4);
}

/* Returns the 64-bit entry point. */
static uint64_t load(uint8_t *ram, const char *path, const char *cmdline, uint64_t ram_size)
{
	int fd = check(open(path, O_RDONLY), path);
	uint8_t head[0x290], *zp = ram + ZERO_PAGE;
	uint64_t gpa, off;
	struct stat st;
	off_t len;

	check(fstat(fd, &st), path);
	check(pread(fd, head, sizeof(head), 0) < 0 ? -1 : 0, path);
	memcpy(&gpa, head + 0x258, 8); /* pref_address */
	off = (head[0x1f1] + 1ull) * 512;
	len = st.st_size - (off_t)off;
	check(pread(fd, ram + gpa, (size_t)len, (off_t)off) == len ? 0 : -1, path);
	close(fd);

	memcpy(zp + SETUP_HEADER, head + SETUP_HEADER, 0x202 + head[0x201] - SETUP_HEADER);
	zp[0x210] = 0xff;	     /* type_of_loader */
	put(zp + 0x228, CMDLINE, 4); /* cmd_line_ptr */
	put_ram(zp, 0, LOW_END);
	put_ram(zp, 0x100000, ram_size - 0x100000);
	strcpy((char *)ram + CMDLINE, cmdline);

	put(ram + GDT + 0x10, 0x00af9b000000ffff, 8);
	put(ram + GDT + 0x18, 0x00cf93000000ffff, 8);
	put(ram + TABLES, (TABLES + 0x1000) | PAGE_PRESENT_RW, 8);
	for (uint64_t i = 0; i < 4; i++)
		put(ram + TABLES + 0x1000 + 8 * i, (TABLES + 0x2000 + (i << 12)) | PAGE_PRESENT_RW,
		    8);
	for (uint64_t i = 0; i < 4 * 512; i++)
		put(ram + TABLES + 0x2000 + 8 * i, i << 21 | PAGE_LARGE | PAGE_PRESENT_RW, 8);
	return gpa + 0x200;
}

static void set_registers(int vcpu, uint64_t entry)
{
	const struct kvm_segment code = {
		.limit = ~0u, .selector = 0x10, .type = 0xb, .present = 1, .s = 1, .l = 1, .g = 1
	};
	const struct kvm_segment data = {
		.limit = ~0u, .selector = 0x18, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1
	};
	struct kvm_regs regs = { .rip = entry, .rsi = ZERO_PAGE, .rflags = 2 };
	struct kvm_sregs sregs;

	CALL(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 0x1f;
	sregs.cr0 = 0x80000011; /* PG, ET, PE */
	sregs.cr3 = TABLES;
	sregs.cr4 = 0x20;   /* PAE */
	sregs.efer = 0x500; /* LMA, LME */
	CALL(vcpu, KVM_SET_SREGS, &sregs);
	CALL(vcpu, KVM_SET_REGS, &regs);
}

static void run(int vcpu, struct kvm_run *run)
{
	for (;;) {
		CALL(vcpu, KVM_RUN, 0);
		if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN) {
			memset((char *)run + run->io.data_offset, 0, run->io.size);
		} else if (run->exit_reason == KVM_EXIT_IO) {
			if (run->io.port == EXITS_END_PORT)
				return;
		} else if (run->exit_reason == KVM_EXIT_MMIO) {
			memset(run->mmio.data, 0, sizeof(run->mmio.data));
		} else {
			fprintf(stderr, "bare: exit reason %u\n", run->exit_reason);
			exit(1);
		}
	}
}

int main(int argc, char **argv)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid = { .head.nent = 256 };
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct kvm_userspace_memory_region slot = { 0 };
	uint64_t identity_map = 0xfffbc000;
	int go = argc > 1 && !strcmp(argv[1], "-r");
	int kvm, vm, vcpu;
	struct kvm_run *kvm_run;
	uint8_t *ram;

	if (argc - go != 4)
		return 2;
	argv += go;
	slot.memory_size = strtoull(argv[3], NULL, 0) << 20;

	kvm = check(open("/dev/kvm", O_RDWR), "/dev/kvm");
	vm = CALL(kvm, KVM_CREATE_VM, 0);
	ram = mmap(NULL, slot.memory_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	check(ram == MAP_FAILED ? -1 : 0, "mmap");
	slot.userspace_addr = (uintptr_t)ram;
	CALL(vm, KVM_SET_USER_MEMORY_REGION, &slot);
	CALL(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	CALL(vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	CALL(vm, KVM_CREATE_IRQCHIP, 0);
	CALL(vm, KVM_CREATE_PIT2, &pit);
	CALL(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
	vcpu = CALL(vm, KVM_CREATE_VCPU, 0);
	kvm_run = mmap(NULL, (size_t)CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		       MAP_SHARED, vcpu, 0);
	check(kvm_run == MAP_FAILED ? -1 : 0, "mmap");
	CALL(vcpu, KVM_SET_CPUID2, &cpuid);
	set_registers(vcpu, load(ram, argv[1], argv[2], slot.memory_size));

	printf("%llu\n", now());
	if (go) {
		run(vcpu, kvm_run);
		printf("%llu\n", now());
	}
	return 0;
}
