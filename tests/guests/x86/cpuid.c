/*
 * cpuid.c - what the processor says of itself, and whether it is true.
 *
 * Prints every leaf as lines of --dump-cpuid have it, "0x00000001.0  ecx 0x...", then checks that
 * features that are shown have their registers and hidden ones do not. Options:
 *
 *	sockets= cores= threads=	what the topology leaves must say; 1 unless given
 *	print=0				without the leaves
 *	arch-capabilities=any		whatever MSR 0x10a does (some hosts list it and refuse it)
 *	xsave=any			no instructions of XSAVE, which some hosts cannot emulate
 *
 * Verdict 0: all is well. Else each "wrong: ..." line says what is not; the verdict is their
 *number.
 */
#include "guest.h"

#define MSR_FEATURE_CONTROL   0x3a
#define MSR_MPERF	      0xe7
#define MSR_APERF	      0xe8
#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_MISC_ENABLE	      0x1a0
#define MSR_VMX_BASIC	      0x480
#define MSR_U_CET	      0x6a0
#define MSR_S_CET	      0x6a2
#define MSR_PL0_SSP	      0x6a4
#define MSR_XSS		      0xda0
#define MSR_EFER	      0xc0000080
#define EFER_SVME	      BIT(12)
#define CR0_WP		      BIT(16)
#define CR4_OSXSAVE	      BIT(18)
#define CR4_CET		      BIT(23)

static u32 n_wrong;

static void wrong(const char *what)
{
	n_wrong++;
	put_str("wrong: ");
	put_str(what);
	put_char('\n');
}

static void check(bool right, const char *what)
{
	if (!right)
		wrong(what);
}

static void say(const char *what, bool yes)
{
	put_str("cpuid: ");
	put_str(what);
	put_str(yes ? " yes\n" : " no\n");
}

/* ---- instructions that may not be there ---------------------------------------------------- */

/*
 * #UD and #GP resume at @resume with @faulted set. The stack is that of SDM 3A, figure 6-9: #GP
 * has an error code below RIP.
 */
extern volatile u64 resume, faulted;
void on_ud(void);
void on_gp(void);
asm(".data; .balign 8; resume: .quad 0; faulted: .quad 0; .text\n"
    ".global resume, faulted\n"
    "on_gp:	add $8, %rsp\n"
    "on_ud:	push %rax\n"
    "	movq $1, faulted(%rip)\n"
    "	mov resume(%rip), %rax\n"
    "	mov %rax, 8(%rsp)\n"
    "	pop %rax\n"
    "	iretq\n");

static struct {
	u64 low, high;
} idt[14];

static void set_gate(unsigned int vector, void (*handler)(void))
{
	u64 h = (u64)handler;

	/* A 64-bit interrupt gate (SDM 3A, figure 6-8), selector 0x10. */
	idt[vector].low = (h & 0xffff) | 0x10 << 16 | 0x8eull << 40 | (h >> 16 & 0xffff) << 48;
	idt[vector].high = h >> 32;
}

static void catch_faults(void)
{
	const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (u64)idt };

	set_gate(6, on_ud);
	set_gate(13, on_gp);
	asm volatile("lidt %0" : : "m"(idtr));
}

/* The instruction goes through. */
#define TRY(instruction, ...)                                                                 \
	({                                                                                    \
		faulted = 0;                                                                  \
		asm volatile("lea 1f(%%rip), %%r11; mov %%r11, resume(%%rip)\n\t" instruction \
			     "\n1:"                                                           \
			     : __VA_ARGS__                                                    \
			     : "r11", "memory");                                              \
		!faulted;                                                                     \
	})

static bool try_rdmsr(u32 msr, u64 *value)
{
	u32 lo = 0, hi = 0;
	bool ok = TRY("rdmsr", "+a"(lo), "=d"(hi) : "c"(msr));

	*value = ok ? (u64)hi << 32 | lo : 0;
	return ok;
}

static bool try_wrmsr(u32 msr, u64 value)
{
	return TRY("wrmsr", : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)));
}

static bool try_xsetbv(u64 value)
{
	return TRY("xsetbv", : "c"(0), "a"((u32)value), "d"((u32)(value >> 32)));
}

static u64 read_cr4(void)
{
	u64 cr4;

	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	return cr4;
}

static bool try_cr4(u64 value)
{
	return TRY("mov %0, %%cr4", : "r"(value));
}

/* ---- the leaves -------------------------------------------------------------------------- */

static void put_hex8(u32 v)
{
	put_str("0x");
	for (int shift = 28; shift >= 0; shift -= 4)
		put_char("0123456789abcdef"[v >> shift & 0xf]);
}

static void put_register(u32 leaf, u32 subleaf, const char *name, u32 value)
{
	put_hex8(leaf);
	put_char('.');
	put_dec(subleaf);
	put_str(subleaf < 10 ? "  " : " ");
	put_str(name);
	put_char(' ');
	put_hex8(value);
	put_char('\n');
}

static bool put_leaf(u32 leaf, u32 subleaf)
{
	struct cpuid r = cpuid(leaf, subleaf);

	if (!(r.eax | r.ebx | r.ecx | r.edx))
		return false;
	put_register(leaf, subleaf, "eax", r.eax);
	put_register(leaf, subleaf, "ebx", r.ebx);
	put_register(leaf, subleaf, "ecx", r.ecx);
	put_register(leaf, subleaf, "edx", r.edx);
	return true;
}

static void put_leaves(u32 from)
{
	u32 max = cpuid(from, 0).eax;

	for (u32 leaf = from; leaf <= max && leaf - from < 64; leaf++) {
		bool subleaves = leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd ||
				 leaf == 0x1d || leaf == 0x1f || leaf == 0x8000001d;

		put_leaf(leaf, 0);
		for (u32 i = 1; subleaves && i < (leaf == 0xd ? 20 : 6); i++)
			put_leaf(leaf, i);
	}
}

/* ---- is it true? --------------------------------------------------------------------------- */

static bool is_amd(void)
{
	u32 ebx = cpuid(0, 0).ebx;

	return ebx == 0x68747541 || ebx == 0x6f677948; /* "Auth", "Hygo" */
}

static void check_hypervisor(void)
{
	struct cpuid kvm = cpuid(0x40000000, 0);

	check(cpuid(1, 0).ecx >> 31, "no hypervisor bit");
	check(kvm.ebx == 0x4b4d564b && kvm.ecx == 0x564b4d56 && kvm.edx == 0x4d,
	      "no signature of KVM");
}

static void check_vmx(void)
{
	bool vmx = cpuid(1, 0).ecx & BIT(5);
	u64 value;

	say("vmx", vmx);
	if (vmx) {
		check(try_rdmsr(MSR_FEATURE_CONTROL, &value) && (value & 5) == 5,
		      "VMX is shown and not switched on");
		check(try_rdmsr(MSR_VMX_BASIC, &value) && value, "VMX is shown without its MSRs");
	} else {
		check(!try_rdmsr(MSR_VMX_BASIC, &value) || !value,
		      "VMX is hidden, its MSRs are not");
	}
}

static void check_svm(void)
{
	bool svm = cpuid(0x80000001, 0).ecx & BIT(2);
	u64 efer = rdmsr(MSR_EFER);
	bool on = try_wrmsr(MSR_EFER, efer | EFER_SVME);

	say("svm", svm);
	check(on == svm, svm ? "SVM is shown, and EFER.SVME faults"
			     : "SVM is hidden, and EFER.SVME can be set");
	if (on)
		wrmsr(MSR_EFER, efer);
	check(!!cpuid(0x8000000a, 0).ebx == svm,
	      "leaf 0x8000000a is there without SVM, or not with it");
}

static void check_aperfmperf(void)
{
	bool shown = cpuid(6, 0).ecx & BIT(0);
	u64 value;

	say("aperfmperf", shown);
	if (shown)
		check(try_rdmsr(MSR_APERF, &value) && try_rdmsr(MSR_MPERF, &value),
		      "APERF and MPERF are shown and fault");
}

static void check_arch_capabilities(void)
{
	bool shown = cpuid(7, 0).edx & BIT(29);
	u64 value;

	say("arch_capabilities", shown);
	if (is_amd())
		check(!shown, "ARCH_CAPABILITIES on AMD");
	if (!arg_is("arch-capabilities", "any"))
		check(try_rdmsr(MSR_ARCH_CAPABILITIES, &value) || !shown,
		      "ARCH_CAPABILITIES is shown and faults");
}

static void check_monitor(void)
{
	bool shown = cpuid(1, 0).ecx & BIT(3);

	say("monitor", shown);
	check(!!cpuid(5, 0).eax == shown, "leaf 5 does not agree with MONITOR");
	if (shown && !is_amd())
		check(rdmsr(MSR_MISC_ENABLE) & BIT(18), "MONITOR is not on in MISC_ENABLE");
}

/* ---- topology ------------------------------------------------------------------------------ */

static u32 order(u32 count)
{
	u32 n = 0;

	while ((1u << n) < count)
		n++;
	return n;
}

static void check_levels(u32 leaf, u32 cores, u32 threads)
{
	struct cpuid smt = cpuid(leaf, 0), core = cpuid(leaf, 1), end = cpuid(leaf, 2);

	check((smt.ecx >> 8 & 0xff) == 1 && (smt.eax & 0x1f) == order(threads) &&
		      (smt.ebx & 0xffff) == threads,
	      "threads of a core");
	check((core.ecx >> 8 & 0xff) == 2 && (core.eax & 0x1f) == order(threads) + order(cores) &&
		      (core.ebx & 0xffff) == cores * threads,
	      "cores of a socket");
	check(!(end.ecx >> 8 & 0xff), "levels beyond sockets");
	check(!smt.edx && !core.edx, "the first processor's APIC id is not 0");
}

static void check_topology(void)
{
	u32 cores = (u32)arg_u64("cores", 1), threads = (u32)arg_u64("threads", 1);
	struct cpuid one = cpuid(1, 0);

	check(cpuid(0, 0).eax >= 0xb, "no leaf 0xb");
	check_levels(0xb, cores, threads);
	if (cpuid(0, 0).eax >= 0x1f && cpuid(0x1f, 0).ebx)
		check_levels(0x1f, cores, threads);
	check(!(one.ebx >> 24), "the first processor's initial APIC id is not 0");
	if (!arg_is("ht", "any"))
		check(!(one.edx & BIT(28)) == (cores * threads == 1), "HTT");
	if (is_amd())
		check((cpuid(0x80000008, 0).ecx & 0xff) + 1 == cores * threads,
		      "0x80000008: processors of a socket");
}

/* ---- XSAVE and CET ----------------------------------------------------------------------------
 */

/* Bytes of the standard form with all of XCR0: the end of the component that is last (SDM 1, 13.4).
 */
static u32 size_of(u64 xcr0)
{
	u32 size = 512 + 64;

	for (u32 i = 2; i < 63; i++) {
		struct cpuid r = cpuid(0xd, i);

		if (xcr0 >> i & 1 && r.ebx + r.eax > size)
			size = r.ebx + r.eax;
	}
	return size;
}

/* Of the compacted form (13.4.3). */
static u32 compact_size_of(u64 features)
{
	u32 size = 512 + 64;

	for (u32 i = 2; i < 63; i++) {
		struct cpuid r = cpuid(0xd, i);

		if (!(features >> i & 1))
			continue;
		if (r.ecx & 2)
			size = (u32)align_up(size, 64);
		size += r.eax;
	}
	return size;
}

static void check_xsave(void)
{
	struct cpuid d = cpuid(0xd, 0), d1 = cpuid(0xd, 1);
	u64 xcr0 = (u64)d.edx << 32 | d.eax, xss = (u64)d1.edx << 32 | d1.ecx;

	check(!(cpuid(1, 0).ecx & BIT(27)), "OSXSAVE before CR4 has it");
	check(try_cr4(read_cr4() | CR4_OSXSAVE), "CR4.OSXSAVE faults");
	check(cpuid(1, 0).ecx & BIT(27), "OSXSAVE does not follow CR4");
	check(try_xsetbv(xcr0), "XCR0 does not take what leaf 0xd lists");
	check(!try_xsetbv(xcr0 | BIT(62)), "XCR0 takes what leaf 0xd does not list");
	d = cpuid(0xd, 0);
	check(d.ebx == size_of(xcr0) && d.ecx == d.ebx, "sizes of 0xd.0");
	if (!(d1.eax & BIT(3)))
		return;
	check(try_wrmsr(MSR_XSS, xss), "XSS does not take what leaf 0xd lists");
	check(!try_wrmsr(MSR_XSS, xss | BIT(62)), "XSS takes what leaf 0xd does not list");
	check(cpuid(0xd, 1).ebx == compact_size_of(xcr0 | xss), "size of 0xd.1");
}

static void check_cet(void)
{
	bool shstk = cpuid(7, 0).ecx & BIT(7), ibt = cpuid(7, 0).edx & BIT(20);
	u64 cr0, value;

	say("shstk", shstk);
	say("ibt", ibt);
	check((cpuid(0xd, 1).ecx & 0x1800) == (shstk || ibt ? 0x1800u : 0),
	      "the components of CET do not agree with its features");
	if (!shstk && !ibt) {
		check(!try_rdmsr(MSR_S_CET, &value), "CET is hidden, its MSRs are not");
		return;
	}
	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %0, %%cr0" : : "r"(cr0 & ~CR0_WP));
	check(!try_cr4(read_cr4() | CR4_CET), "CR4.CET without CR0.WP");
	asm volatile("mov %0, %%cr0" : : "r"(cr0 | CR0_WP));
	check(try_cr4(read_cr4() | CR4_CET), "CR4.CET with CR0.WP faults");
	check(try_rdmsr(MSR_S_CET, &value) && try_rdmsr(MSR_U_CET, &value), "MSRs of CET fault");
	check(try_rdmsr(MSR_PL0_SSP, &value) == shstk, "MSRs of shadow stacks do not agree");
}

void guest_main(void)
{
	if (arg_u64("print", 1)) {
		put_leaves(0);
		put_leaves(0x40000000);
		put_leaves(0x80000000);
	}
	catch_faults();
	check_hypervisor();
	check_topology();
	check_vmx();
	check_svm();
	check_aperfmperf();
	check_arch_capabilities();
	check_monitor();
	say("xsave", cpuid(1, 0).ecx & BIT(26));
	if (cpuid(1, 0).ecx & BIT(26) && !arg_is("xsave", "any")) {
		check_xsave();
		check_cet();
	}
	if (!n_wrong)
		put_str("cpuid: fine\n");
	verdict(n_wrong);
}
