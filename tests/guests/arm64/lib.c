/*
 * lib.c - what several guests need: a command line, a serial port, ends.
 */
#include "guest.h"

struct boot_info boot;

_Noreturn void guest_start(const u8 *fdt);
_Noreturn void guest_exception(u64 vector, u64 esr, u64 elr, u64 far);
u64 firmware_hvc(u64 function, u64 a1, u64 a2, u64 a3);
u64 firmware_smc(u64 function, u64 a1, u64 a2, u64 a3);

/* ---- the compiler calls these where it sees fit ---- */

void *memcpy(void *dst, const void *src, size_t len)
{
	const char *s = src;
	char *d = dst;

	for (size_t i = 0; i < len; i++)
		d[i] = s[i];
	return dst;
}

void *memset(void *dst, int c, size_t len)
{
	char *d = dst;

	for (size_t i = 0; i < len; i++)
		d[i] = (char)c;
	return dst;
}

/* ---- start and unexpected end ---- */

#define EXCEPTION_VERDICT 99

_Noreturn void guest_start(const u8 *fdt)
{
	boot.protocol = "nothing";
	boot.cmdline = "";
	if (fdt) {
		boot.protocol = "fdt";
		fdt_read(fdt);
	}
	guest_main();
	power_off();
}

_Noreturn void guest_exception(u64 vector, u64 esr, u64 elr, u64 far)
{
	put_str("exception: vector ");
	put_dec(vector);
	put_str(" ESR 0x");
	put_hex(esr);
	put_str(" ELR 0x");
	put_hex(elr);
	put_str(" FAR 0x");
	put_hex(far);
	put_char('\n');
	verdict(EXCEPTION_VERDICT);
}

/* ---- command line ---- */

const char *arg(const char *name)
{
	const char *word = boot.cmdline;

	while (*word) {
		const char *p = word, *n = name;

		while (*n && *p == *n)
			p++, n++;
		if (!*n && *p == '=')
			return p + 1;
		while (*word && *word != ' ')
			word++;
		while (*word == ' ')
			word++;
	}
	return NULL;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 255;
}

u64 arg_u64(const char *name, u64 missing)
{
	const char *s = arg(name);
	int base = 10;
	u64 v = 0;

	if (!s)
		return missing;
	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	for (; digit(*s) < base; s++)
		v = v * (u64)base + (u64)digit(*s);
	return v;
}

bool arg_is(const char *name, const char *value)
{
	const char *s = arg(name);

	if (!s)
		return false;
	while (*value && *s == *value)
		s++, value++;
	return !*value && (!*s || *s == ' ');
}

/* ---- serial port ---- */

#define UART_LSR      (ARM64_UART_BASE + 5)
#define UART_LSR_DR   0x01
#define UART_LSR_THRE 0x20

void put_char(char c)
{
	while (!(mmio_read8(UART_LSR) & UART_LSR_THRE))
		;
	mmio_write8(ARM64_UART_BASE, (u8)c);
}

char get_char(void)
{
	while (!(mmio_read8(UART_LSR) & UART_LSR_DR))
		asm volatile("yield");
	return (char)mmio_read8(ARM64_UART_BASE);
}

void put_str(const char *s)
{
	while (*s)
		put_char(*s++);
}

static void put_number(u64 v, unsigned int base)
{
	char text[21];
	unsigned int at = sizeof(text) - 1;

	text[at] = 0;
	do {
		text[--at] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	put_str(text + at);
}

void put_dec(u64 v)
{
	put_number(v, 10);
}

void put_hex(u64 v)
{
	put_number(v, 16);
}

/* ---- ends ---- */

u64 firmware_call(u32 function, u64 a1, u64 a2, u64 a3)
{
	return boot.psci_by_smc ? firmware_smc(function, a1, a2, a3)
				: firmware_hvc(function, a1, a2, a3);
}

_Noreturn void halt(void)
{
	for (;;)
		asm volatile("msr daifset, #0xf; wfi");
}

_Noreturn void verdict(u32 value)
{
	mmio_write32(ARM64_DEBUG_EXIT_BASE, value);
	halt();
}

_Noreturn void power_off(void)
{
	firmware_call(PSCI_SYSTEM_OFF, 0, 0, 0);
	halt();
}
