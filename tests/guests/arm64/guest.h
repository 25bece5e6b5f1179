/*
 * guest.h - what a freestanding arm64 test guest stands on.
 *
 * A guest is one C file with guest_main(). start.S brings it there with the MMU off, interrupts
 * masked, and vectors that report an exception nobody asked for; at EL1, or at EL2 where the vCPU
 * starts there. Options come on the command line as name=value.
 *
 * With the MMU off all memory is device memory: nothing is unaligned, nothing is exclusive or
 * atomic, and one CPU at a time writes to a variable.
 */
#ifndef LKVM_TESTS_GUESTS_ARM64_GUEST_H
#define LKVM_TESTS_GUESTS_ARM64_GUEST_H

#include "arch/arm64/layout.h"
#include "tests/guests/arm64/stack.h"
#include "vmm/base.h"

#define MAX_RAM_REGIONS 16

/* What the device tree says, and the processor. */
struct boot_info {
	const char *protocol; /* "fdt", or "nothing": there was no device tree */
	const char *cmdline;
	u64 initrd, initrd_size;
	unsigned int n_ram;
	struct {
		u64 addr, size;
	} ram[MAX_RAM_REGIONS];
	unsigned int n_cpus;
	u64 mpidr[MAX_CPUS]; /* in the order of the tree; ours is the first */
	bool psci_by_smc;
	bool has_gicv2, has_gicv3;
};

extern struct boot_info boot;

/* The guest. When it returns the machine is powered off. */
void guest_main(void);

/* Fill in boot from the device tree at @fdt. Trusts it. */
void fdt_read(const u8 *fdt);

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

/* Ends, by debug-exit and by PSCI. */
_Noreturn void verdict(u32 value);
_Noreturn void power_off(void);
_Noreturn void halt(void);

/* ---- firmware calls (Arm DEN0022, DEN0028), by HVC or SMC as the device tree says ---- */

#define PSCI_VERSION	   0x84000000u
#define PSCI_CPU_OFF	   0x84000002u
#define PSCI_CPU_ON	   0xc4000003u
#define PSCI_AFFINITY_INFO 0xc4000004u
#define PSCI_SYSTEM_OFF	   0x84000008u
#define PSCI_SYSTEM_RESET  0x84000009u
#define PSCI_SYSTEM_RESET2 0xc4000012u
#define PV_TIME_FEATURES   0xc5000020u
#define PV_TIME_ST	   0xc5000021u

#define PSCI_AFFINITY_OFF 1

u64 firmware_call(u32 function, u64 a1, u64 a2, u64 a3);

/* ---- other processors ---- */

/* Called on a CPU that firmware was told to start at secondary_start with context @index. */
void secondary_main(unsigned int index);
extern const u8 secondary_start[];

/* ---- interrupts (gic.c), of the first CPU only ---- */

/* GICv2 or GICv3, as the device tree says; after it interrupts may be taken. */
void gic_init(void);

/* Let @handler be called, by await_irq() alone, when @intid is raised. */
void gic_enable(unsigned int intid, void (*handler)(void));

/* Sleep until some interrupt was handled. */
void await_irq(void);

/* Until *@count has reached @n. */
void await_irqs(const volatile u32 *count, u32 n);

/* The interrupt that CNTV_* (or CNTP_*) raise here: VHE gives these names to EL2's own timers. */
unsigned int timer_intid(bool virt);

/* ---- the processor ---- */

#define read_sysreg(name)                                                  \
	({                                                                 \
		u64 value_;                                                \
		asm volatile("mrs %0, " name : "=r"(value_) : : "memory"); \
		value_;                                                    \
	})
#define write_sysreg(name, val) \
	asm volatile("msr " name ", %0\n\tisb" : : "r"((u64)(val)) : "memory")

#define HCR_EL2_E2H BIT(34)

static inline unsigned int current_el(void)
{
	return (unsigned int)(read_sysreg("CurrentEL") >> 2 & 3);
}

/* At EL2, whose registers then have the shapes and names of EL1's. */
static inline bool has_vhe(void)
{
	return current_el() == 2 && (read_sysreg("hcr_el2") & HCR_EL2_E2H);
}

/* Ticks of the virtual counter, none of them early. */
static inline u64 ticks(void)
{
	asm volatile("isb" : : : "memory");
	return read_sysreg("cntvct_el0");
}

static inline u64 ticks_per_second(void)
{
	return read_sysreg("cntfrq_el0");
}

/* By single registers without write-back: what KVM can decode. */
static inline u8 mmio_read8(u64 addr)
{
	u32 v;

	asm volatile("ldrb %w0, [%1]" : "=r"(v) : "r"(addr) : "memory");
	return (u8)v;
}

static inline u16 mmio_read16(u64 addr)
{
	u32 v;

	asm volatile("ldrh %w0, [%1]" : "=r"(v) : "r"(addr) : "memory");
	return (u16)v;
}

static inline u32 mmio_read32(u64 addr)
{
	u32 v;

	asm volatile("ldr %w0, [%1]" : "=r"(v) : "r"(addr) : "memory");
	return v;
}

static inline u64 mmio_read64(u64 addr)
{
	u64 v;

	asm volatile("ldr %0, [%1]" : "=r"(v) : "r"(addr) : "memory");
	return v;
}

static inline void mmio_write8(u64 addr, u8 v)
{
	asm volatile("strb %w0, [%1]" : : "r"((u32)v), "r"(addr) : "memory");
}

static inline void mmio_write16(u64 addr, u16 v)
{
	asm volatile("strh %w0, [%1]" : : "r"((u32)v), "r"(addr) : "memory");
}

static inline void mmio_write32(u64 addr, u32 v)
{
	asm volatile("str %w0, [%1]" : : "r"(v), "r"(addr) : "memory");
}

static inline void mmio_write64(u64 addr, u64 v)
{
	asm volatile("str %0, [%1]" : : "r"(v), "r"(addr) : "memory");
}

#endif
