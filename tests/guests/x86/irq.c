/*
 * irq.c - interrupts through the I/O APIC: N=5 each of the PIT and the RTC, one of the
 * serial port's transmitter, and with rx=1 one of its receiver. pit=PIN for machines whose PIT is
 * not on pin 0 of the I/O APIC, pit=none for those without. With level=1 the serial port's are
 * level triggered: they are left alone N times, each time to come again. With spin=1 it waits
 * without halting.
 */
#include "guest.h"

#define N_INTERRUPTS 5

#define VECTOR_PIT  0x30
#define VECTOR_RTC  0x31
#define VECTOR_UART 0x32

#define APIC_EOI	0x0b0
#define APIC_SVR	0x0f0
#define APIC_SVR_ENABLE 0x100
#define VECTOR_SPURIOUS 0xff

#define MSR_X2APIC(reg) (0x800 + (reg) / 16) /* SDM 3A, table 11-6 */

#define IOAPIC_WINDOW	  0x10
#define IOAPIC_REDIR(pin) (0x10 + 2 * (pin)) /* low half; mask, edge, high and vector */
#define IOAPIC_LEVEL	  0x8000

#define PORT_PIC1_MASK 0x21
#define PORT_PIC2_MASK 0xa1
#define PORT_PIT0      0x40
#define PORT_PIT_CTL   0x43
#define PIT_HZ	       1193182

#define UART_IER       (X86_PORT_COM1 + 1)
#define UART_IIR       (X86_PORT_COM1 + 2)
#define UART_IIR_CAUSE 0x0f
#define UART_IIR_TX    0x02
#define UART_IIR_RX    0x04
#define UART_MCR       (X86_PORT_COM1 + 4)

struct frame;
#define HANDLER static __attribute__((interrupt)) void

static volatile u32 n_pit, n_rtc, n_tx, n_rx, n_left_alone;
static volatile bool leave_alone;
static bool spin;
static volatile char received;

static bool x2apic;

static void apic_write(u32 reg, u32 val)
{
	if (x2apic)
		wrmsr(MSR_X2APIC(reg), val);
	else
		mmio_write32(X86_LAPIC_BASE + reg, val);
}

static void eoi(void)
{
	apic_write(APIC_EOI, 0);
}

static u8 rtc_read(u8 reg)
{
	out8(X86_PORT_RTC, reg);
	return in8(X86_PORT_RTC + 1);
}

static void rtc_write(u8 reg, u8 val)
{
	out8(X86_PORT_RTC, reg);
	out8(X86_PORT_RTC + 1, val);
}

HANDLER on_pit(struct frame *f)
{
	(void)f;
	n_pit++;
	eoi();
}

HANDLER on_rtc(struct frame *f)
{
	(void)f;
	if ((rtc_read(0x0c) & 0xc0) == 0xc0) /* IRQF and PF; reading lets the line go */
		n_rtc++;
	eoi();
}

HANDLER on_uart(struct frame *f)
{
	u8 cause;

	(void)f;
	if (leave_alone) {
		leave_alone = ++n_left_alone < N_INTERRUPTS;
		eoi();
		return;
	}
	cause = in8(UART_IIR) & UART_IIR_CAUSE;
	if (cause == UART_IIR_TX) {
		out8(UART_IER, 0); /* or it comes again with every byte we print */
		n_tx++;
	}
	if (cause == UART_IIR_RX) {
		received = (char)in8(X86_PORT_COM1);
		n_rx++;
	}
	eoi();
}

static struct {
	u64 low, high;
} idt[VECTOR_UART + 1];

static void route(unsigned int pin, u32 how, u8 vector, void (*handler)(struct frame *))
{
	u64 h = (u64)handler;

	/* A 64-bit interrupt gate (Intel SDM volume 3, figure 6-8), selector 0x10. */
	idt[vector].low = (h & 0xffff) | 0x10 << 16 | 0x8eull << 40 | (h >> 16 & 0xffff) << 48;
	idt[vector].high = h >> 32;
	mmio_write32(X86_IOAPIC_BASE, IOAPIC_REDIR(pin) + 1);
	mmio_write32(X86_IOAPIC_BASE + IOAPIC_WINDOW, 0); /* to APIC id 0 */
	mmio_write32(X86_IOAPIC_BASE, IOAPIC_REDIR(pin));
	mmio_write32(X86_IOAPIC_BASE + IOAPIC_WINDOW, how | vector);
}

/* Sleep until @count has reached @n. The interrupt that ends the wait cannot slip in before hlt. */
static void await(const char *what, const volatile u32 *count, u32 n)
{
	while (*count < n) {
		if (spin)
			asm volatile("sti; nop; pause; cli" : : : "memory");
		else
			asm volatile("sti; hlt; cli" : : : "memory");
	}
	put_str(what);
	put_char(' ');
	put_dec(n);
	put_char(' ');
}

static void test_pit(void)
{
	out8(PORT_PIT_CTL, 0x34); /* counter 0, both bytes, rate generator */
	out8(PORT_PIT0, (PIT_HZ / 100) & 0xff);
	out8(PORT_PIT0, (PIT_HZ / 100) >> 8);
	await("pit", &n_pit, N_INTERRUPTS);
	out8(PORT_PIT_CTL, 0x30); /* interrupt on terminal count, never started: quiet */
}

void guest_main(void)
{
	bool has_pit = !arg_is("pit", "none");
	u32 how = arg_u64("level", 0) ? IOAPIC_LEVEL : 0;
	const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (u64)idt };

	spin = arg_u64("spin", 0);
	out8(PORT_PIC1_MASK, 0xff);
	out8(PORT_PIC2_MASK, 0xff);
	asm volatile("lidt %0" : : "m"(idtr));
	x2apic = rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	if (has_pit)
		route((unsigned int)arg_u64("pit", X86_IRQ_PIT), 0, VECTOR_PIT, on_pit);
	route(X86_IRQ_RTC, 0, VECTOR_RTC, on_rtc);
	route(X86_IRQ_COM1, how, VECTOR_UART, on_uart);

	if (has_pit)
		test_pit();

	rtc_write(0x0a, 0x2a); /* 64 Hz */
	rtc_read(0x0c);
	rtc_write(0x0b, 0x42); /* PIE, 24 hours */
	await("rtc", &n_rtc, N_INTERRUPTS);
	rtc_write(0x0b, 0x02);

	out8(UART_MCR, 0x08); /* OUT2: the gate of the interrupt on a PC */
	leave_alone = how;
	out8(UART_IER, 0x02);
	if (how)
		await("again", &n_left_alone, N_INTERRUPTS);
	await("tx", &n_tx, 1);
	if (arg_u64("rx", 0)) {
		out8(UART_IER, 0x01);
		await("rx", &n_rx, 1);
		put_char(received);
	}
	put_char('\n');
}
