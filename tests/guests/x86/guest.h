/*
 * guest.h - what a freestanding test guest stands on.
 *
 * A guest is one C file with guest_main(). start.S brings it there in long mode with the
 * first 4 GiB mapped one to one, interrupts off and no IDT (an exception is a triple
 * fault), however it was booted. Options come on the command line as name=value. Some hosts
 * emulate every instruction of it at a million per second, so guests stay tiny.
 */
#ifndef LKVM_TESTS_GUESTS_GUEST_H
#define LKVM_TESTS_GUESTS_GUEST_H

#include "arch/x86/layout.h"
#include "vmm/base.h"

#define DEBUG_EXIT_PORT 0xf4
#define MAX_RAM_REGIONS 16

/* What the boot protocol handed over, whichever it was. */
struct boot_info {
	const char *protocol; /* "linux64" or "pvh" */
	const char *cmdline;
	u64 initrd, initrd_size;
	unsigned int n_ram;
	struct {
		u64 addr, size;
	} ram[MAX_RAM_REGIONS]; /* usable memory */
};

extern struct boot_info boot;

/* The guest. When it returns the machine is powered off. */
void guest_main(void);

/* A value of the command line, up to the next space; NULL, or @missing, without it. */
const char *arg(const char *name);
u64 arg_u64(const char *name, u64 missing); /* decimal, or hexadecimal after 0x */
bool arg_is(const char *name, const char *value);

/* The serial port, polled. */
void put_char(char c);
char get_char(void);
void put_str(const char *s);
void put_dec(u64 v);
void put_hex(u64 v);

/* Ends, by debug-exit and by ACPI. */
_Noreturn void verdict(u32 value);
_Noreturn void power_off(void);
_Noreturn void halt(void);

/* A byte of memory anywhere, 4 GiB and above included; the last one asked for stays mapped. */
volatile u8 *map_byte(u64 gpa);

/* ap.S: where the APs are sent by SIPI, and who has arrived. */
#define AP_VECTOR     8 /* the page at 0x8000, below what lkvm hands over */
#define AP_MAX_APICID 8191
extern const u8 ap_start[], ap_end[];
extern volatile u32 ap_count;
extern volatile u32 ap_wrong_id; /* processors whose local APIC has another id than CPUID says */
extern volatile u32 ap_seen[(AP_MAX_APICID + 1) / 32]; /* by APIC id */

static inline u8 in8(u16 port)
{
	u8 v;

	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline u32 in32(u16 port)
{
	u32 v;

	asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void out8(u16 port, u8 v)
{
	asm volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void out16(u16 port, u16 v)
{
	asm volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void out32(u16 port, u32 v)
{
	asm volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline u32 mmio_read32(u64 addr)
{
	u32 v;

	asm volatile("movl (%1), %0" : "=r"(v) : "r"(addr) : "memory");
	return v;
}

static inline void mmio_write32(u64 addr, u32 v)
{
	asm volatile("movl %0, (%1)" : : "r"(v), "r"(addr) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

#define MSR_APIC_BASE	 0x1b
#define APIC_BASE_X2APIC (1u << 10)

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	asm volatile("wrmsr" : : "a"((u32)v), "d"((u32)(v >> 32)), "c"(msr) : "memory");
}

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	asm volatile("cpuid"
		     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "a"(leaf), "c"(subleaf));
	return r;
}

#endif
