/*
 * lib.c - what several guests need: what they were booted with, a serial port, ends.
 */
#include "guest.h"

#include "devices/acpi_pm.h"

struct boot_info boot;

void guest_start(const u8 *zero_page, const u8 *start_info);

/* ---- the compiler calls these where it sees fit ---- */

void *memcpy(void *dst, const void *src, size_t len)
{
	void *d = dst;

	asm volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(len) : : "memory");
	return dst;
}

void *memset(void *dst, int c, size_t len)
{
	void *d = dst;

	asm volatile("rep stosb" : "+D"(d), "+c"(len) : "a"(c) : "memory");
	return dst;
}

/* ---- boot protocols ---- */

/* Documentation/arch/x86/boot.rst and zero-page.rst: offsets in struct boot_params. */
#define ZP_EXT_INITRD	   0x0c0 /* bits 63:32 */
#define ZP_EXT_INITRD_SIZE 0x0c4
#define ZP_EXT_CMDLINE	   0x0c8
#define ZP_N_E820	   0x1e8
#define ZP_INITRD	   0x218
#define ZP_INITRD_SIZE	   0x21c
#define ZP_CMDLINE	   0x228
#define ZP_E820		   0x2d0 /* address, size, and a u32 type */
#define ZP_E820_SIZE	   20

/* Xen's public/arch-x86/hvm/start_info.h. */
#define PVH_N_MODULES	0x0c
#define PVH_MODULES	0x10 /* each begins with address and size */
#define PVH_CMDLINE	0x18
#define PVH_MEMMAP	0x28 /* address, size, u32 type, reserved */
#define PVH_N_MEMMAP	0x30
#define PVH_MEMMAP_SIZE 24

#define E820_RAM 1

static void add_ram(const u8 *entry)
{
	if (get_le32(entry + 16) != E820_RAM || boot.n_ram == MAX_RAM_REGIONS)
		return;
	boot.ram[boot.n_ram].addr = get_le64(entry);
	boot.ram[boot.n_ram].size = get_le64(entry + 8);
	boot.n_ram++;
}

static u64 split_u64(const u8 *lo, const u8 *hi)
{
	return (u64)get_le32(hi) << 32 | get_le32(lo);
}

static void read_zero_page(const u8 *zp)
{
	boot.protocol = "linux64";
	boot.cmdline = (const char *)split_u64(zp + ZP_CMDLINE, zp + ZP_EXT_CMDLINE);
	boot.initrd = split_u64(zp + ZP_INITRD, zp + ZP_EXT_INITRD);
	boot.initrd_size = split_u64(zp + ZP_INITRD_SIZE, zp + ZP_EXT_INITRD_SIZE);
	for (unsigned int i = 0; i < zp[ZP_N_E820]; i++)
		add_ram(zp + ZP_E820 + i * ZP_E820_SIZE);
}

static void read_start_info(const u8 *info)
{
	const u8 *module = (const u8 *)get_le64(info + PVH_MODULES);
	const u8 *map = (const u8 *)get_le64(info + PVH_MEMMAP);

	boot.protocol = "pvh";
	boot.cmdline = (const char *)get_le64(info + PVH_CMDLINE);
	if (get_le32(info + PVH_N_MODULES)) {
		boot.initrd = get_le64(module);
		boot.initrd_size = get_le64(module + 8);
	}
	for (u32 i = 0; i < get_le32(info + PVH_N_MEMMAP); i++)
		add_ram(map + i * PVH_MEMMAP_SIZE);
}

void guest_start(const u8 *zero_page, const u8 *start_info)
{
	if (zero_page)
		read_zero_page(zero_page);
	else
		read_start_info(start_info);
	if (!boot.cmdline)
		boot.cmdline = "";
	guest_main();
	power_off();
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

#define UART_LSR      (X86_PORT_COM1 + 5)
#define UART_LSR_DR   0x01
#define UART_LSR_THRE 0x20

void put_char(char c)
{
	while (!(in8(UART_LSR) & UART_LSR_THRE))
		;
	out8(X86_PORT_COM1, (u8)c);
}

char get_char(void)
{
	while (!(in8(UART_LSR) & UART_LSR_DR))
		asm volatile("pause");
	return (char)in8(X86_PORT_COM1);
}

void put_str(const char *s)
{
	while (*s)
		put_char(*s++);
}

void put_dec(u64 v)
{
	if (v >= 10)
		put_dec(v / 10);
	put_char((char)('0' + v % 10));
}

void put_hex(u64 v)
{
	if (v >= 16)
		put_hex(v / 16);
	put_char("0123456789abcdef"[v % 16]);
}

/* ---- ends ---- */

_Noreturn void halt(void)
{
	for (;;)
		asm volatile("cli; hlt");
}

_Noreturn void verdict(u32 value)
{
	out32(DEBUG_EXIT_PORT, value);
	halt();
}

_Noreturn void power_off(void)
{
	out16(X86_PORT_PM + ACPI_PM1_CNT, ACPI_PM_SLP_TYP_S5 << 10 | 1 << 13);
	halt();
}

/* ---- memory ---- */

#define WINDOW (4ull << 30) /* start.S maps it through window_pd */

extern volatile u64 window_pd[];

volatile u8 *map_byte(u64 gpa)
{
	if (gpa < WINDOW)
		return (volatile u8 *)gpa;
	window_pd[0] = (gpa & ~0x1fffffull) | 0x83; /* present, writable, 2 MiB */
	asm volatile("invlpg (%0)" : : "r"(WINDOW) : "memory");
	return (volatile u8 *)(WINDOW + (gpa & 0x1fffff));
}
