/*
 * irq.c - interrupts through the GIC: N=5 each of the two timers, as many of the RTC (MC146818), an
 * alarm of the PL031, one of the serial port's transmitter, and with rx=1 one of its receiver.
 */
#include "guest.h"

#define N_INTERRUPTS 5

#define TIMER_ENABLE 1
#define TIMER_HZ     100

#define PL031_DR  0x00
#define PL031_MR  0x04
#define PL031_MSC 0x10 /* 1: the interrupt is let through */
#define PL031_ICR 0x1c

#define UART_IER       (ARM64_UART_BASE + 1)
#define UART_IIR       (ARM64_UART_BASE + 2)
#define UART_IIR_CAUSE 0x0f
#define UART_IIR_TX    0x02
#define UART_IIR_RX    0x04
#define UART_MCR       (ARM64_UART_BASE + 4)

static volatile u32 n_virtual, n_physical, n_rtc, n_alarm, n_tx, n_rx;
static volatile char received;

static void on_virtual(void)
{
	n_virtual++;
	write_sysreg("cntv_tval_el0", ticks_per_second() / TIMER_HZ);
}

static void on_physical(void)
{
	n_physical++;
	write_sysreg("cntp_tval_el0", ticks_per_second() / TIMER_HZ);
}

static u8 rtc_read(u8 reg)
{
	mmio_write8(ARM64_RTC_BASE, reg);
	return mmio_read8(ARM64_RTC_BASE + 1);
}

static void rtc_write(u8 reg, u8 val)
{
	mmio_write8(ARM64_RTC_BASE, reg);
	mmio_write8(ARM64_RTC_BASE + 1, val);
}

static void on_rtc(void)
{
	if ((rtc_read(0x0c) & 0xc0) == 0xc0) /* IRQF and PF; reading lets the line go */
		n_rtc++;
}

static void on_alarm(void)
{
	mmio_write32(ARM64_PL031_BASE + PL031_MSC, 0);
	mmio_write32(ARM64_PL031_BASE + PL031_ICR, 1);
	n_alarm++;
}

static void on_uart(void)
{
	u8 cause = mmio_read8(UART_IIR) & UART_IIR_CAUSE;

	if (cause == UART_IIR_TX) {
		mmio_write8(UART_IER, 0); /* or it comes again with every byte we print */
		n_tx++;
	}
	if (cause == UART_IIR_RX) {
		received = (char)mmio_read8(ARM64_UART_BASE);
		n_rx++;
	}
}

static void await(const char *what, const volatile u32 *count, u32 n)
{
	await_irqs(count, n);
	put_str(what);
	put_char(' ');
	put_dec(n);
	put_char(' ');
}

static void timers(void)
{
	gic_enable(timer_intid(true), on_virtual);
	write_sysreg("cntv_tval_el0", ticks_per_second() / TIMER_HZ);
	write_sysreg("cntv_ctl_el0", TIMER_ENABLE);
	await("virtual", &n_virtual, N_INTERRUPTS);
	write_sysreg("cntv_ctl_el0", 0);

	gic_enable(timer_intid(false), on_physical);
	write_sysreg("cntp_tval_el0", ticks_per_second() / TIMER_HZ);
	write_sysreg("cntp_ctl_el0", TIMER_ENABLE);
	await("physical", &n_physical, N_INTERRUPTS);
	write_sysreg("cntp_ctl_el0", 0);
}

static void rtcs(void)
{
	gic_enable(ARM64_SPI_INTID + ARM64_SPI_RTC, on_rtc);
	rtc_write(0x0a, 0x2a); /* 64 Hz */
	rtc_read(0x0c);
	rtc_write(0x0b, 0x42); /* PIE, 24 hours */
	await("rtc", &n_rtc, N_INTERRUPTS);
	rtc_write(0x0b, 0x02);

	gic_enable(ARM64_SPI_INTID + ARM64_SPI_PL031, on_alarm);
	mmio_write32(ARM64_PL031_BASE + PL031_MR, mmio_read32(ARM64_PL031_BASE + PL031_DR) + 1);
	mmio_write32(ARM64_PL031_BASE + PL031_MSC, 1);
	await("alarm", &n_alarm, 1);
}

void guest_main(void)
{
	gic_init();
	timers();
	rtcs();

	gic_enable(ARM64_SPI_INTID + ARM64_SPI_UART, on_uart);
	mmio_write8(UART_MCR, 0x08); /* OUT2: the gate of the interrupt on a PC, whose chip it is */
	mmio_write8(UART_IER, 0x02);
	await("tx", &n_tx, 1);
	if (arg_u64("rx", 0)) {
		mmio_write8(UART_IER, 0x01);
		await("rx", &n_rx, 1);
		put_char(received);
	}
	put_char('\n');
}
