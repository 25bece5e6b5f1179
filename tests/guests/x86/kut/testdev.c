/*
 * testdev.c - the ports, the memory and the interrupt lines of the test device, and with lines=0
 * all but the latter. With flush=N, up to 512, a page is taken from KVM so often.
 */
#include "kut.h"

#define PORT_SCRATCH 0xe0
#define PORT_FLUSH   0xe4
#define PORT_BYTES   0xe8
#define PORT_IRQ     0x2000
#define TEST_MEM     0xff000000ull
#define TEST_MEM_LEN 0x10000

#define VECTOR_EDGE  0x30
#define VECTOR_LEVEL 0x31
#define LINE_EDGE    11
#define LINE_LEVEL   20

#define APIC_EOI	0x0b0
#define APIC_SVR	0x0f0
#define APIC_SVR_ENABLE 0x1ff /* spurious vector 0xff */

#define IOAPIC_WINDOW	  0x10
#define IOAPIC_REDIR(pin) (0x10 + 2 * (pin))
#define REDIR_LEVEL	  0x8000

struct frame;
#define HANDLER static __attribute__((interrupt)) void

static volatile u32 n_edge, n_level;
static volatile u64 page[512] __attribute__((aligned(4096)));

static void ports(void)
{
	out32(PORT_SCRATCH, 0x12345678);
	check("a port keeps what is written", in32(PORT_SCRATCH) == 0x12345678);
	check("its bytes are those of the number",
	      in8(PORT_SCRATCH) == 0x78 && in8(PORT_SCRATCH + 3) == 0x12);
	check("and its words", in16(PORT_SCRATCH) == 0x5678 && in16(PORT_SCRATCH + 2) == 0x1234);
	out8(PORT_SCRATCH + 1, 0xaa);
	out16(PORT_SCRATCH + 2, 0xbbcc);
	check("which can be written alone", in32(PORT_SCRATCH) == 0xbbccaa78);
	check("the second window shows the same", in32(PORT_BYTES) == 0xbbccaa78);
	out8(PORT_BYTES + 3, 0x11);
	check("in both directions", in32(PORT_SCRATCH) == 0x11ccaa78);
}

static void flush(void)
{
	u64 n = arg_u64("flush", 16);

	for (u64 i = 0; i < 512; i++)
		page[i] = i * 3;
	for (u64 i = 0; i < n; i++) {
		out32(PORT_FLUSH, (u32)(u64)page);
		page[i]++;
	}
	out32(PORT_FLUSH, 0xfffff000); /* no memory there */
	for (u64 i = 0; i < 512; i++) {
		if (page[i] != i * 3 + (i < n)) {
			check("a page that KVM is to forget keeps its content", false);
			return;
		}
	}
	check("a page that KVM is to forget keeps its content", true);
}

static void memory(void)
{
	volatile u8 *m8 = (volatile u8 *)TEST_MEM;
	volatile u16 *m16 = (volatile u16 *)TEST_MEM;
	volatile u32 *m32 = (volatile u32 *)TEST_MEM;
	volatile u64 *m64 = (volatile u64 *)TEST_MEM;

	m64[0] = 0x1122334455667788;
	check("memory keeps 8 bytes", m64[0] == 0x1122334455667788);
	m8[1] = 0xaa;
	m16[1] = 0xbbcc;
	m32[1] = 0xddeeff00;
	check("and 1, 2 and 4", m64[0] == 0xddeeff00bbccaa88);
	check("whichever is read", m8[7] == 0xdd && m16[3] == 0xddee && m32[0] == 0xbbccaa88);
	m64[TEST_MEM_LEN / 8 - 1] = 5;
	check("to its end", m8[TEST_MEM_LEN - 8] == 5);
}

static void eoi(void)
{
	mmio_write32(X86_LAPIC_BASE + APIC_EOI, 0);
}

HANDLER on_edge(struct frame *f)
{
	(void)f;
	n_edge++;
	eoi();
}

/* The line stays high until it came three times. */
HANDLER on_level(struct frame *f)
{
	(void)f;
	if (++n_level == 3)
		out8(PORT_IRQ + LINE_LEVEL, 0);
	eoi();
}

static struct {
	u64 low, high;
} idt[VECTOR_LEVEL + 1];

static void route(unsigned int pin, u32 redir, void (*handler)(struct frame *))
{
	u64 h = (u64)handler;
	u8 vector = (u8)redir;

	/* a 64-bit interrupt gate (Intel SDM volume 3, figure 6-8), selector 0x10 */
	idt[vector].low = (h & 0xffff) | 0x10 << 16 | 0x8eull << 40 | (h >> 16 & 0xffff) << 48;
	idt[vector].high = h >> 32;
	mmio_write32(X86_IOAPIC_BASE, IOAPIC_REDIR(pin) + 1);
	mmio_write32(X86_IOAPIC_BASE + IOAPIC_WINDOW, 0); /* to APIC id 0 */
	mmio_write32(X86_IOAPIC_BASE, IOAPIC_REDIR(pin));
	mmio_write32(X86_IOAPIC_BASE + IOAPIC_WINDOW, redir);
}

/* An exit to the VMM while interrupts are on: a KVM in software delivers only then. */
static void window(void)
{
	asm volatile("sti" : : : "memory");
	in8(PORT_SCRATCH);
	asm volatile("nop; cli" : : : "memory");
}

static void lines(void)
{
	const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (u64)idt };
	u32 n;

	out8(0x21, 0xff);
	out8(0xa1, 0xff);
	asm volatile("lidt %0" : : "m"(idtr));
	mmio_write32(X86_LAPIC_BASE + APIC_SVR, APIC_SVR_ENABLE);
	route(LINE_EDGE, VECTOR_EDGE, on_edge);
	route(LINE_LEVEL, VECTOR_LEVEL | REDIR_LEVEL, on_level);

	out8(PORT_IRQ + LINE_EDGE, 1);
	check("a line that is high is seen so", in8(PORT_IRQ + LINE_EDGE) == 1);
	for (u32 i = 0; i < 100 && !n_edge; i++)
		window();
	check("an edge is one interrupt", n_edge == 1);
	out8(PORT_IRQ + LINE_EDGE, 1);
	window();
	check("a line that stays high is none", n_edge == 1);
	out8(PORT_IRQ + LINE_EDGE, 0);
	window();
	check("nor one that goes low", n_edge == 1);

	out8(PORT_IRQ + LINE_LEVEL, 1);
	for (u32 i = 0; i < 1000 && n_level < 3; i++)
		window();
	check("a level is one after the other", n_level >= 3);
	window(); /* one may be on its way */
	n = n_level;
	for (u32 i = 0; i < 100; i++)
		window();
	check("until it is low", n_level == n);
}

void guest_main(void)
{
	ports();
	memory();
	flush();
	if (arg_u64("lines", 1))
		lines();
}
