/*
 * state.c - keeps its CPU busy with all kinds of state, and checks that it stays: it is stopped
 * anywhere, and has to go on in another machine (tests/t3/x86/test_state.c).
 *
 * The page STATE_GPA is what it has in common with the test; no cpus= are started unless asked.
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

static const u32 kept_msrs[] = { 0xc0000082, 0xc0000102, 0x175, 0x176 };

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
		wrmsr(kept_msrs[i], PATTERN + i);
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
		if (rdmsr(kept_msrs[i]) != PATTERN + i)
			return STATE_BAD_MSR;
	}
	return 0;
}

void guest_main(void)
{
	u64 tsc = 0, now;
	u32 bad;

	if (arg_u64("cpus", 1) > 1)
		start_cpu(1);
	fill();
	start_timers();
	asm volatile("sti");
	for (;;) {
		bad = check();
		now = rdtsc();
		if (now < tsc)
			bad = STATE_BAD_TSC;
		tsc = now;
		shared->tsc = now;
		shared->rounds++;
		if (bad) {
			shared->bad = bad;
			verdict(bad);
		}
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
}
