/*
 * irq.c - interrupts through the I/O APIC: N=5 each of the PIT and the RTC, one of the
 * serial port's transmitter, and with rx=1 one of its receiver. pit=PIN for machines whose PIT is
 * not on pin 0 of the I/O APIC.
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

#define IOAPIC_WINDOW	  0x10
#define IOAPIC_REDIR(pin) (0x10 + 2 * (pin)) /* low half; mask, edge, high and vector */

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

static volatile u32 n_pit, n_rtc, n_tx, n_rx;
static volatile char received;

static void eoi(void)
{
	mmio_write32(X86_LAPIC_BASE + APIC_EOI, 0);
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
	u8 cause = in8(UART_IIR) & UART_IIR_CAUSE;

	(void)f;
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

static void route(unsigned int pin, u8 vector, void (*handler)(struct frame *))
{
	u64 h = (u64)handler;

	/* A 64-bit interrupt gate (Intel SDM volume 3, figure 6-8), selector 0x10. */
	idt[vector].low = (h & 0xffff) | 0x10 << 16 | 0x8eull << 40 | (h >> 16 & 0xffff) << 48;
	idt[vector].high = h >> 32;
	mmio_write32(X86_IOAPIC_BASE, IOAPIC_REDIR(pin) + 1);
	mmio_write32(X86_IOAPIC_BASE + IOAPIC_WINDOW, 0); /* to APIC id 0 */
	mmio_write32(X86_IOAPIC_BASE, IOAPIC_REDIR(pin));
	mmio_write32(X86_IOAPIC_BASE + IOAPIC_WINDOW, vector);
}

/* Sleep until @count has reached @n. The interrupt that ends the wait cannot slip in before hlt. */
static void await(const char *what, const volatile u32 *count, u32 n)
{
	while (*count < n)
		asm volatile("sti; hlt; cli" : : : "memory");
	put_str(what);
	put_char(' ');
	put_dec(n);
	put_char(' ');
}

void guest_main(void)
{
	const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (u64)idt };

	out8(PORT_PIC1_MASK, 0xff);
	out8(PORT_PIC2_MASK, 0xff);
	asm volatile("lidt %0" : : "m"(idtr));
	mmio_write32(X86_LAPIC_BASE + APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	route((unsigned int)arg_u64("pit", X86_IRQ_PIT), VECTOR_PIT, on_pit);
	route(X86_IRQ_RTC, VECTOR_RTC, on_rtc);
	route(X86_IRQ_COM1, VECTOR_UART, on_uart);

	out8(PORT_PIT_CTL, 0x34); /* counter 0, both bytes, rate generator */
	out8(PORT_PIT0, (PIT_HZ / 100) & 0xff);
	out8(PORT_PIT0, (PIT_HZ / 100) >> 8);
	await("pit", &n_pit, N_INTERRUPTS);
	out8(PORT_PIT_CTL, 0x30); /* interrupt on terminal count, never started: quiet */

	rtc_write(0x0a, 0x2a); /* 64 Hz */
	rtc_read(0x0c);
	rtc_write(0x0b, 0x42); /* PIE, 24 hours */
	await("rtc", &n_rtc, N_INTERRUPTS);
	rtc_write(0x0b, 0x02);

	out8(UART_MCR, 0x08); /* OUT2: the gate of the interrupt on a PC */
	out8(UART_IER, 0x02);
	await("tx", &n_tx, 1);
	if (arg_u64("rx", 0)) {
		out8(UART_IER, 0x01);
		await("rx", &n_rx, 1);
		put_char(received);
	}
	put_char('\n');
}
