/*
 * fakekvm.h - KVM for tests: a struct kvm_backend without a kernel behind it.
 *
 * It keeps KVM's tables (descriptors, VMs, vCPUs, memory slots), refuses what KVM refuses with
 * KVM's errno, plays the guest from a script, writes down every call and fails the
 * one a test picks. Rules are from Documentation/virt/kvm/api.rst and cite its sections; where that
 * text names no errno, the rule was observed on a kernel and says so. Written apart from the
 * code it judges: tests/unit/test_fakekvm runs the same checks against /dev/kvm.
 *
 * No guest code runs and no interrupt is delivered: a script is what the guest would have done.
 *
 * A fakekvm allocates only in fakekvm_new() (and one page group by mmap per vCPU), so that
 * failing allocations of the code under test do not fail the fake. Everything may be called from
 * any thread. fakekvm_new() and the setters abort on misuse: that is a broken test.
 */
#ifndef LKVM_TESTS_FAKEKVM_H
#define LKVM_TESTS_FAKEKVM_H

#include "vmm/base.h"
#include "vmm/kvm.h"

struct fakekvm;

/* The host a fakekvm pretends to be. */
struct fake_host;
extern const struct fake_host fakekvm_x86_intel; /* VT-x without unrestricted guest: wants a TSS */
extern const struct fake_host fakekvm_x86_amd; /* advertises ARCH_CAPABILITIES, refuses MSR 0x10a */
extern const struct fake_host fakekvm_x86_snp; /* the AMD with SEV-SNP and all KVM has for it */
extern const struct fake_host fakekvm_x86_hygon;	  /* an AMD of another name */
extern const struct fake_host fakekvm_x86_amd_emulated;	  /* CPUID as captured in the test bed */
extern const struct fake_host fakekvm_x86_intel_software; /* CPUID of a KVM without VT-x */
extern const struct fake_host fakekvm_x86_intel_next; /* CPUID with LKGS, FRED, CET, AMX, a PMU */
extern const struct fake_host fakekvm_x86_amd_next;   /* CPUID with shadow stacks, PerfMonV2 */

/* Linux 7.2 on a CPU with EL2 (E2H0 too), PMUv3, pointer authentication, GICv3 and ITS. */
extern const struct fake_host fakekvm_arm64;
extern const struct fake_host fakekvm_arm64_gicv2; /* GICv2 only, no EL2 */
extern const struct fake_host fakekvm_arm64_plain; /* neither EL2 nor PMU */
extern const struct fake_host fakekvm_arm64_full;  /* as the first one, with SVE and MTE */
/* The two posted interfaces for a part of the PMU (linux-uapi/unmerged.h); a host that was not
 * told to give any counters away has it and says EPERM. */
extern const struct fake_host fakekvm_arm64_partition_ioctl;
extern const struct fake_host fakekvm_arm64_partition_attr;
extern const struct fake_host fakekvm_arm64_partition_ioctl_unconfigured;
extern const struct fake_host fakekvm_arm64_partition_attr_unconfigured;

/* All hosts of the architecture this was built for, the usual one first; NULL ends it. */
extern const struct fake_host *const fakekvm_hosts[];
const char *fakekvm_host_name(const struct fake_host *host);

struct fakekvm *fakekvm_new(const struct fake_host *host);
void fakekvm_free(struct fakekvm *fk); /* no vCPU thread left; NULL is allowed */
const struct kvm_backend *fakekvm_backend(struct fakekvm *fk);

/* ---- What the host offers; before the backend is used ---- */

void fakekvm_set_api_version(struct fakekvm *fk, int version); /* 12 unless set */

/* Positive errno of every open; 0: none. */
void fakekvm_set_open_error(struct fakekvm *fk, int code);

/* kvm_backend.sysfs, copied; a folder that does not exist unless set. */
void fakekvm_set_sysfs(struct fakekvm *fk, const char *path);

/* Answer of KVM_CHECK_EXTENSION. With 0, the requests that came with it are unknown. */
void fakekvm_set_cap(struct fakekvm *fk, u32 cap, int value);

/* kvm_backend.sev, copied; /dev/null unless set. */
void fakekvm_set_sev(struct fakekvm *fk, const char *path);

/*
 * x86, SEV-SNP: an older kernel without this attribute of KVM_X86_GRP_SEV; what its
 * KVM_X86_SNP_POLICY_BITS are; how many bytes of an update a call does (0: all); the @nth command
 * @id from now on and @n - 1 after it fail with errno @code and the firmware's @fw_code; the
 * firmware does not allow bits of EBX of a CPUID leaf, and (@again) not even the page it corrected.
 */
void fakekvm_snp_hide_attr(struct fakekvm *fk, u64 attr);
void fakekvm_snp_set_policy_bits(struct fakekvm *fk, u64 bits);
void fakekvm_snp_set_partial(struct fakekvm *fk, u64 bytes);
void fakekvm_snp_fail(struct fakekvm *fk, u32 id, unsigned int nth, unsigned int n, int code,
		      u32 fw_code);
void fakekvm_snp_refuse_cpuid(struct fakekvm *fk, u32 leaf, u32 ebx_bits, bool again);

/*
 * x86, SEV-SNP: the version of the posted KVM_SEV_SNP_HV_REPORT_REQ that the kernel has: 4, 7, or 0
 * for none, unless set. The report the firmware gives, copied (an ATTESTATION_REPORT of zeros with
 * version 3 unless set), and the status before it: other than 0, there is none.
 */
#define FAKEKVM_SNP_MAX_REPORT 8192
void fakekvm_snp_set_report_abi(struct fakekvm *fk, int version);
void fakekvm_snp_set_report(struct fakekvm *fk, const void *report, size_t len);
void fakekvm_snp_set_report_status(struct fakekvm *fk, u32 status);

/* KVM_GET_MSRS and KVM_SET_MSRS stop there, though the register is listed. */
void fakekvm_refuse_msr(struct fakekvm *fk, u32 index);

/*
 * The table of KVM_GET_SUPPORTED_CPUID, copied; @cpuid is a struct kvm_cpuid2 of the
 * architecture.
 */
struct kvm_cpuid2;
void fakekvm_set_cpuid(struct fakekvm *fk, const struct kvm_cpuid2 *cpuid);

/*
 * arm64: how many event counters the CPUs have (6 unless set), how many of them a partition may
 * have (4), and the types of the PMUs there are: 8, 9 and 10, and those that are added.
 */
void fakekvm_set_pmu_counters(struct fakekvm *fk, unsigned int n, unsigned int n_partition);
void fakekvm_add_pmu(struct fakekvm *fk, int type);

/*
 * What every statistics descriptor holds from now on (api.rst 4.133), copied. Unless set it is a
 * few lines for a VM, and for a vCPU exits (how often it was run), halt_wait_ns, halt_wait_hist
 * and guest_mode. KVM_CAP_BINARY_STATS_FD must be set for there to be any.
 */
void fakekvm_set_stats(struct fakekvm *fk, const void *file, size_t len);

/* arm64: an older kernel, that does not know this attribute of vCPUs, or (not @of_vcpu) devices. */
void fakekvm_hide_attr(struct fakekvm *fk, bool of_vcpu, u32 group, u64 attr);

/* arm64: the SVE vector lengths of the CPUs: bit n is (n + 1) * 128 bits. 128 to 512 unless set. */
void fakekvm_set_sve_lengths(struct fakekvm *fk, u32 lengths);

/* ---- Failing a call ---- */

/*
 * Calls are opens, ioctls, mmaps and preads, counted from 1 as they come. The @nth one does nothing
 * and fails with @code (positive errno). 0 switches it off.
 */
void fakekvm_fail_nth(struct fakekvm *fk, unsigned long nth, int code);

/* The @nth call of request @req (from 1, counted from now on) fails with @code. */
void fakekvm_fail_request(struct fakekvm *fk, unsigned long req, unsigned int nth, int code);

unsigned long fakekvm_n_calls(struct fakekvm *fk);

/* The call that was made to fail, as in the transcript without arguments; NULL: none so far. */
const char *fakekvm_failed_call(struct fakekvm *fk);

/* ---- The guest: a script for each vCPU ---- */

enum fake_op {
	FAKE_OP_IO,    /* port @addr, @count items of @size bytes */
	FAKE_OP_MMIO,  /* gpa @addr, @size bytes; inside a memory slot: a plain access, no exit */
	FAKE_OP_PRINT, /* each of @count bytes at @data on its own to port @addr; gpa on arm64 */
	FAKE_OP_HLT,   /* KVM_EXIT_HLT without an irqchip; with one: waits until a GSI goes high */
	FAKE_OP_HALT,  /* cli; hlt: out of work until the thread is kicked, for ever */
	FAKE_OP_NISV,  /* an access to @addr that the CPU does not describe: syndrome @value */
	FAKE_OP_EXIT,  /* KVM_EXIT_@addr, the union holding @count bytes of @data */
	FAKE_OP_ERRNO, /* KVM_RUN fails with errno @value */
	FAKE_OP_MEMFAULT, /* KVM_EXIT_MEMORY_FAULT at gpa @addr with flags @value, and EFAULT */
	FAKE_OP_DELAY,	  /* the guest computes for @value ms */
	FAKE_OP_WAIT_IRQ, /* until GSI @addr is high, or rose since the last wait; @value ms */
	FAKE_OP_REPEAT,	  /* back to step @addr, @value times; 0: for ever */
	FAKE_OP_CALL,	  /* @fn on the vCPU's thread, which may use all functions here */
};

struct fake_step {
	enum fake_op op;
	bool write;
	unsigned int size;
	u32 count; /* 0 means 1 */
	u64 addr;
	u64 value;	  /* what is written, where @data is NULL */
	const void *data; /* lives as long as the script */
	void (*fn)(struct fakekvm *fk, unsigned int vcpu, void *ctx);
	void *ctx;
};

/* clang-format off */
#define FAKE_OUT(port, sz, val)	\
	{ .op = FAKE_OP_IO, .write = true, .addr = (port), .size = (sz), .value = (val) }
#define FAKE_IN(port, sz) \
	{ .op = FAKE_OP_IO, .addr = (port), .size = (sz) }
#define FAKE_OUTS(port, sz, n, bytes) \
	{ .op = FAKE_OP_IO, .write = true, .addr = (port), .size = (sz), .count = (n), \
	  .data = (bytes) }
#define FAKE_INS(port, sz, n) \
	{ .op = FAKE_OP_IO, .addr = (port), .size = (sz), .count = (n) }
#define FAKE_PRINT(port, text) \
	{ .op = FAKE_OP_PRINT, .addr = (port), .count = sizeof(text) - 1, .data = (text) }
#define FAKE_STORE(gpa, sz, val) \
	{ .op = FAKE_OP_MMIO, .write = true, .addr = (gpa), .size = (sz), .value = (val) }
#define FAKE_LOAD(gpa, sz) \
	{ .op = FAKE_OP_MMIO, .addr = (gpa), .size = (sz) }
#define FAKE_EXIT_DATA(reason, n, bytes) \
	{ .op = FAKE_OP_EXIT, .addr = (reason), .count = (n), .data = (bytes) }
#define FAKE_EXIT_VALUE(reason, val) \
	{ .op = FAKE_OP_EXIT, .addr = (reason), .value = (val) }
#define FAKE_EXIT(reason)		FAKE_EXIT_VALUE(reason, 0)
#define FAKE_SHUTDOWN			FAKE_EXIT(8)
#define FAKE_FAIL_ENTRY(why)		FAKE_EXIT_VALUE(9, why)
#define FAKE_INTERNAL_ERROR(suberror)	FAKE_EXIT_VALUE(17, suberror)
#define FAKE_SYSTEM_EVENT(type)		FAKE_EXIT_VALUE(24, type)
#define FAKE_HLT			{ .op = FAKE_OP_HLT }
#define FAKE_HALT			{ .op = FAKE_OP_HALT }
#define FAKE_ERRNO(code)		{ .op = FAKE_OP_ERRNO, .value = (code) }
#define FAKE_NISV(gpa, iss)		{ .op = FAKE_OP_NISV, .addr = (gpa), .value = (iss) }
#define FAKE_MEMFAULT(gpa)		{ .op = FAKE_OP_MEMFAULT, .addr = (gpa) }
#define FAKE_DELAY(ms)			{ .op = FAKE_OP_DELAY, .value = (ms) }
#define FAKE_WAIT_IRQ(gsi, ms)		{ .op = FAKE_OP_WAIT_IRQ, .addr = (gsi), .value = (ms) }
#define FAKE_REPEAT(step, n)		{ .op = FAKE_OP_REPEAT, .addr = (step), .value = (n) }
#define FAKE_CALL(f, c)			{ .op = FAKE_OP_CALL, .fn = (f), .ctx = (c) }
/* clang-format on */

/*
 * What vCPU @vcpu (its id) of every VM does, from its first KVM_RUN. The steps are not
 * copied. After the last one, and without a script, the vCPU is halted until kicked.
 */
void fakekvm_script(struct fakekvm *fk, unsigned int vcpu, const struct fake_step *steps, size_t n);

/*
 * The same as text, copied. Statements end at ';' or a newline; numbers as in C:
 *	out PORT SIZE VALUE	in PORT SIZE	outs PORT SIZE "TEXT"	ins PORT SIZE COUNT
 *	print "TEXT" (to the UART: port 0x3f8, on arm64 address 0x1000000)
 *	store GPA SIZE VALUE	load GPA SIZE	nisv GPA [SYNDROME]
 *	hlt	halt	shutdown	fail-entry [REASON]	internal-error [SUBERROR]
 *	system-event TYPE	exit REASON	errno NUMBER|NAME	memfault GPA
 *	delay MS	wait-irq GSI [MS]	loop	repeat [N] (from "loop" or the start)
 *	cpu ID (what follows is that vCPU's; 0 at first)
 * TEXT knows \n \r \t \" \\ \xHH. 0, or -EINVAL with the offending statement in @why.
 */
int fakekvm_script_text(struct fakekvm *fk, const char *text, char *why, size_t why_size);

/*
 * What the guest got from its @nth (from 0) access that reads, on vCPU @vcpu of the newest VM:
 * copies up to
 * @size bytes and returns how many there were; 0 when that access was not completed.
 */
size_t fakekvm_answer(struct fakekvm *fk, unsigned int vcpu, unsigned int nth, void *buf,
		      size_t size);
u64 fakekvm_answer_u64(struct fakekvm *fk, unsigned int vcpu, unsigned int nth);
unsigned int fakekvm_n_answers(struct fakekvm *fk, unsigned int vcpu);

/* The script of @vcpu of the newest VM has come to its end. */
bool fakekvm_script_done(struct fakekvm *fk, unsigned int vcpu);

/* ---- What the code under test did; about the newest VM ---- */

/*
 * Guest memory as the guest sees it: of what is private the guest_memfd. NULL where
 * [gpa, gpa + len) is not all in one slot, or some of it private and some not.
 */
void *fakekvm_gpa(struct fakekvm *fk, u64 gpa, u64 len);

/* How many bytes of [gpa, gpa + len) are private (KVM_SET_MEMORY_ATTRIBUTES). */
u64 fakekvm_private_bytes(struct fakekvm *fk, u64 gpa, u64 len);

/* Level of a GSI as KVM_IRQ_LINE left it, and how often it rose or its irqfd was signalled. */
bool fakekvm_irq_level(struct fakekvm *fk, u32 gsi);
unsigned long fakekvm_irq_count(struct fakekvm *fk, u32 gsi);

/* What KVM_SET_GSI_ROUTING said of a GSI last, if it did; of several entries the last. */
struct kvm_irq_routing_entry;
bool fakekvm_route(struct fakekvm *fk, u32 gsi, struct kvm_irq_routing_entry *entry);

/* State of a vCPU as KVM has it: @req is a KVM_GET_... of the architecture. 0 or -errno. */
int fakekvm_vcpu_get(struct fakekvm *fk, unsigned int vcpu, unsigned long req, void *arg);

/*
 * The calls made so far, one line each: who, what, arguments that say something, = result.
 * No addresses, no descriptor numbers: stable as long as the caller is. vCPU threads race for
 * the order of their lines. @who filters by the first word ("vm", "vcpu1"); "setup" stops
 * before the first KVM_RUN; NULL is everything. The caller frees.
 */
char *fakekvm_transcript(struct fakekvm *fk, const char *who);

/*
 * What is still open or mapped, and what the documentation forbids though KVM does not refuse it
 * (each with the section). A sentence per line; "" when all is well. Valid until the next call.
 */
const char *fakekvm_leaks(struct fakekvm *fk);
const char *fakekvm_complaints(struct fakekvm *fk);

#endif
