/*
 * state.c - keeps its CPU busy with all kinds of state, and checks that it stays: it is stopped
 * anywhere, and has to go on in another machine (tests/t3/x86/test_state.c).
 *
 * The page STATE_GPA is what it has in common with the test; no cpus= are started unless asked.
 * With svm= it does so in a guest of its own (AMD's SVM: APM 2, 15).
 */
#include "guest.h"

#include "tests/guests/x86/state.h"

#define APIC_EOI	   0x0b0
#define APIC_SVR	   0x0f0
#define APIC_ICR_LOW	   0x300
#define APIC_ICR_HIGH	   0x310
#define APIC_ICR_BUSY	   0x1000
#define APIC_LVT_TIMER	   0x320
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_DIVIDE  0x3e0
#define LVT_PERIODIC	   0x20000

#define VECTOR_PIT   0x30
#define VECTOR_TIMER 0x40

#define IOAPIC_WINDOW	  0x10
#define IOAPIC_REDIR(pin) (0x10 + 2 * (pin))

#define PORT_PIC1_MASK 0x21
#define PORT_PIC2_MASK 0xa1
#define PORT_PIT0      0x40
#define PORT_PIT_CTL   0x43
#define PIT_HZ	       1193182

#define CR4_OSFXSR     0x200
#define CR4_OSXMMEXCPT 0x400

#define PATTERN 0x0000123456789abcull /* canonical: an address */

#define MSR_EFER       0xc0000080
#define MSR_VM_CR      0xc0010114
#define MSR_VM_HSAVE   0xc0010117
#define EFER_SVME      0x1000
#define VM_CR_DIS_A20M 4

/* AMD's CPUs have 32 bits of SYSENTER_ESP and _EIP. */
static const struct {
	u32 index;
	u64 value;
} kept_msrs[] = {
	{ 0xc0000082, PATTERN },
	{ 0xc0000102, PATTERN + 1 },
	{ 0x175, 0x56789abe },
	{ 0x176, 0x56789abf },
};

struct frame;
#define HANDLER static __attribute__((interrupt)) void

#define shared ((volatile struct state_page *)STATE_GPA)

static void eoi(void)
{
	mmio_write32(X86_LAPIC_BASE + APIC_EOI, 0);
}

HANDLER on_pit(struct frame *f)
{
	(void)f;
	shared->pit++;
	eoi();
}

HANDLER on_timer(struct frame *f)
{
	(void)f;
	shared->timer++;
	eoi();
}

static struct {
	u64 low, high;
} idt[VECTOR_TIMER + 1];

static void gate(u8 vector, void (*handler)(struct frame *))
{
	u64 h = (u64)handler;

	/* A 64-bit interrupt gate (Intel SDM volume 3, figure 6-8), selector 0x10. */
	idt[vector].low = (h & 0xffff) | 0x10 << 16 | 0x8eull << 40 | (h >> 16 & 0xffff) << 48;
	idt[vector].high = h >> 32;
}

static void route(unsigned int pin, u8 vector)
{
	mmio_write32(X86_IOAPIC_BASE, IOAPIC_REDIR(pin) + 1);
	mmio_write32(X86_IOAPIC_BASE + IOAPIC_WINDOW, 0); /* to APIC id 0 */
	mmio_write32(X86_IOAPIC_BASE, IOAPIC_REDIR(pin));
	mmio_write32(X86_IOAPIC_BASE + IOAPIC_WINDOW, vector);
}

static void start_timers(void)
{
	const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (u64)idt };

	out8(PORT_PIC1_MASK, 0xff);
	out8(PORT_PIC2_MASK, 0xff);
	gate(VECTOR_PIT, on_pit);
	gate(VECTOR_TIMER, on_timer);
	asm volatile("lidt %0" : : "m"(idtr));
	mmio_write32(X86_LAPIC_BASE + APIC_SVR, 0x1ff);
	mmio_write32(X86_LAPIC_BASE + APIC_TIMER_DIVIDE, 0xb); /* by 1: nanoseconds */
	mmio_write32(X86_LAPIC_BASE + APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
	mmio_write32(X86_LAPIC_BASE + APIC_TIMER_INITIAL, 20 * 1000 * 1000);
	if (arg_u64("pit", 1)) {
		route(X86_IRQ_PIT, VECTOR_PIT);
		out8(PORT_PIT_CTL, 0x34); /* counter 0, both bytes, rate generator */
		out8(PORT_PIT0, (PIT_HZ / 50) & 0xff);
		out8(PORT_PIT0, (PIT_HZ / 50) >> 8);
	}
}

static void send(u32 id, u32 icr)
{
	mmio_write32(X86_LAPIC_BASE + APIC_ICR_HIGH, id << 24);
	mmio_write32(X86_LAPIC_BASE + APIC_ICR_LOW, icr);
	while (mmio_read32(X86_LAPIC_BASE + APIC_ICR_LOW) & APIC_ICR_BUSY)
		;
}

static void start_cpu(u32 id)
{
	memcpy((void *)((u64)AP_VECTOR << 12), ap_start, (size_t)(ap_end - ap_start));
	send(id, 0x4500);	      /* INIT, asserted */
	send(id, 0x4600 | AP_VECTOR); /* start-up */
	while (!ap_count)
		asm volatile("pause");
}

static u64 xmm_in[2] __attribute__((aligned(16))) = { PATTERN, ~PATTERN },
		     xmm_out[2] __attribute__((aligned(16)));

static void fill(void)
{
	asm volatile("movq %%cr4, %%rax; orq %0, %%rax; movq %%rax, %%cr4"
		     :
		     : "i"(CR4_OSFXSR | CR4_OSXMMEXCPT)
		     : "rax");
	asm volatile("movdqu %0, %%xmm7" : : "m"(xmm_in));
	asm volatile("movq %0, %%dr1" : : "r"(PATTERN));
	for (u64 i = 0; i < sizeof(kept_msrs) / sizeof(kept_msrs[0]); i++)
		wrmsr(kept_msrs[i].index, kept_msrs[i].value);
}

static u32 check(void)
{
	u64 dr1;

	asm volatile("movdqu %%xmm7, %0" : "=m"(xmm_out));
	if (xmm_out[0] != PATTERN || xmm_out[1] != ~PATTERN)
		return STATE_BAD_XMM;
	asm volatile("movq %%dr1, %0" : "=r"(dr1));
	if (dr1 != PATTERN)
		return STATE_BAD_DR;
	for (u64 i = 0; i < sizeof(kept_msrs) / sizeof(kept_msrs[0]); i++) {
		if (rdmsr(kept_msrs[i].index) != kept_msrs[i].value)
			return STATE_BAD_MSR;
	}
	return 0;
}

static void look(void)
{
	static u64 tsc;
	u32 bad = check();
	u64 now = rdtsc();

	if (now < tsc)
		bad = STATE_BAD_TSC;
	tsc = now;
	shared->tsc = now;
	shared->rounds++;
	if (bad) {
		shared->bad = bad;
		verdict(bad);
	}
}

static void obey(void)
{
	if (shared->orders & STATE_ORDER_MASK) {
		asm volatile("cli");
		shared->masked = 1;
	} else {
		shared->masked = 0;
		asm volatile("sti");
	}
	if (shared->orders & STATE_ORDER_FINISH)
		verdict(STATE_FINE);
}

/* ---- svm= --------------------------------------------------------------------------------- */

/* APM 2, appendix B: the parts of a VMCB that matter here. */
#define VMCB_INTERCEPT3	   0x00c
#define INTERCEPT_INTR	   (1u << 0)
#define INTERCEPT_SHUTDOWN (1u << 31)
#define VMCB_INTERCEPT4	   0x010
#define INTERCEPT_VMRUN	   (1u << 0)
#define INTERCEPT_VMMCALL  (1u << 1)
#define VMCB_ASID	   0x058
#define VMCB_VINTR	   0x060
#define V_INTR_MASKING	   (1u << 24) /* our IF decides, not our guest's */
#define VMCB_EXITCODE	   0x070
#define EXIT_INTR	   0x060
#define EXIT_VMMCALL	   0x081
#define VMCB_ES		   0x400
#define VMCB_CS		   0x410
#define VMCB_SS		   0x420
#define VMCB_DS		   0x430
#define VMCB_EFER	   0x4d0
#define VMCB_CR4	   0x548
#define VMCB_CR3	   0x550
#define VMCB_CR0	   0x558
#define VMCB_DR7	   0x560
#define VMCB_DR6	   0x568
#define VMCB_RFLAGS	   0x570
#define VMCB_RIP	   0x578
#define VMCB_RSP	   0x5d8
#define VMCB_G_PAT	   0x668
#define VMMCALL_SIZE	   3

static u8 vmcb[4096] __attribute__((aligned(4096))), host_save[4096] __attribute__((aligned(4096))),
	own_stack[4096] __attribute__((aligned(16)));
static u64 own_gprs[14]; /* RBX, RCX, RDX, RBP, RDI, R8..R15, RSI; VMRUN leaves these to us */

void svm_run(u8 *vmcb_pa, u64 *gprs);

/* Runs the guest until it exits, which leaves GIF clear. */
asm("svm_run:\n"
    "	pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15; pushq %rsi\n"
    "	movq %rdi, %rax\n"
    "	movq (%rsi), %rbx; movq 8(%rsi), %rcx; movq 16(%rsi), %rdx; movq 24(%rsi), %rbp\n"
    "	movq 32(%rsi), %rdi; movq 40(%rsi), %r8; movq 48(%rsi), %r9; movq 56(%rsi), %r10\n"
    "	movq 64(%rsi), %r11; movq 72(%rsi), %r12; movq 80(%rsi), %r13; movq 88(%rsi), %r14\n"
    "	movq 96(%rsi), %r15; movq 104(%rsi), %rsi\n"
    "	vmrun %rax\n"
    "	xchgq %rsi, (%rsp)\n"
    "	movq %rbx, (%rsi); movq %rcx, 8(%rsi); movq %rdx, 16(%rsi); movq %rbp, 24(%rsi)\n"
    "	movq %rdi, 32(%rsi); movq %r8, 40(%rsi); movq %r9, 48(%rsi); movq %r10, 56(%rsi)\n"
    "	movq %r11, 64(%rsi); movq %r12, 72(%rsi); movq %r13, 80(%rsi); movq %r14, 88(%rsi)\n"
    "	movq %r15, 96(%rsi); popq 104(%rsi)\n"
    "	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
    "	ret\n");

static void own_guest(void)
{
	u64 seen = 0;

	for (;;) {
		look();
		if (shared->orders != seen) {
			seen = shared->orders;
			asm volatile("vmmcall");
		}
	}
}

#define read_cr(n)                                               \
	({                                                       \
		u64 cr_;                                         \
		asm volatile("movq %%cr" #n ", %0" : "=r"(cr_)); \
		cr_;                                             \
	})

/* Selector, attributes (the 12 bits of a descriptor that are no address) and limit. */
static void segment(unsigned int off, u16 selector, u16 attrib)
{
	put_le16(vmcb + off, selector);
	put_le16(vmcb + off + 2, attrib);
	put_le32(vmcb + off + 4, ~0u);
}

static void make_own_guest(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE, (u64)host_save);
	wrmsr(MSR_VM_CR, VM_CR_DIS_A20M);
	put_le32(vmcb + VMCB_INTERCEPT3, INTERCEPT_INTR | INTERCEPT_SHUTDOWN);
	put_le32(vmcb + VMCB_INTERCEPT4, INTERCEPT_VMRUN | INTERCEPT_VMMCALL);
	put_le32(vmcb + VMCB_ASID, 1);
	put_le32(vmcb + VMCB_VINTR, V_INTR_MASKING);
	segment(VMCB_CS, 0x10, 0xa9b);
	segment(VMCB_SS, 0x18, 0xc93);
	segment(VMCB_DS, 0x18, 0xc93);
	segment(VMCB_ES, 0x18, 0xc93);
	put_le64(vmcb + VMCB_EFER, rdmsr(MSR_EFER));
	put_le64(vmcb + VMCB_CR0, read_cr(0));
	put_le64(vmcb + VMCB_CR3, read_cr(3));
	put_le64(vmcb + VMCB_CR4, read_cr(4));
	put_le64(vmcb + VMCB_DR6, 0xffff0ff0);
	put_le64(vmcb + VMCB_DR7, 0x400);
	put_le64(vmcb + VMCB_RFLAGS, 2);
	put_le64(vmcb + VMCB_RIP, (u64)own_guest);
	put_le64(vmcb + VMCB_RSP, (u64)own_stack + sizeof(own_stack) - 8);
	put_le64(vmcb + VMCB_G_PAT, 0x0007040600070406);
}

/* While GIF is clear nothing is delivered, whatever IF is: no cli, and no stgi either. */
static void be_without_gif(void)
{
	shared->masked = 1;
	while (shared->orders & STATE_ORDER_MASK)
		look();
	shared->masked = 0;
}

static _Noreturn void hypervise(u64 svm)
{
	make_own_guest();
	for (;;) {
		u64 code;

		asm volatile("clgi");
		svm_run(vmcb, own_gprs);
		code = get_le64(vmcb + VMCB_EXITCODE);
		if (code == EXIT_VMMCALL)
			put_le64(vmcb + VMCB_RIP, get_le64(vmcb + VMCB_RIP) + VMMCALL_SIZE);
		if ((code != EXIT_VMMCALL && code != EXIT_INTR) ||
		    rdmsr(MSR_VM_HSAVE) != (u64)host_save || rdmsr(MSR_VM_CR) != VM_CR_DIS_A20M) {
			shared->bad = STATE_BAD_SVM;
			verdict(STATE_BAD_SVM);
		}
		if (svm == STATE_SVM_GIF && shared->orders & STATE_ORDER_MASK)
			be_without_gif();
		if (code == EXIT_VMMCALL)
			obey();
		asm volatile("stgi; nop");
	}
}

void guest_main(void)
{
	u64 svm = arg_u64("svm", STATE_SVM_NONE);

	if (arg_u64("cpus", 1) > 1)
		start_cpu(1);
	fill();
	start_timers();
	asm volatile("sti");
	if (svm)
		hypervise(svm);
	for (;;) {
		look();
		obey();
	}
}
