/*
 * aperf.c - n=N (10000) reads of MPERF and APERF in turn, as a guest sees them: whether CPUID
 * shows them, and how many reads ended in #GP. Which of them left the guest only KVM can say, by
 * its statistics. The values are not looked at: an emulated CPU may have none.
 */
#include "guest.h"

#define MSR_MPERF 0xe7
#define MSR_APERF 0xe8

#define VECTOR_GP 13

struct frame {
	u64 ip, cs, flags, sp, ss;
};

static volatile u64 n_faults;

/* Past the RDMSR, which has two bytes. */
static __attribute__((interrupt)) void on_gp(struct frame *f, u64 error)
{
	(void)error;
	n_faults++;
	f->ip += 2;
}

static struct {
	u64 low, high;
} idt[VECTOR_GP + 1];

static void catch_gp(void)
{
	const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (u64)idt };
	u64 h = (u64)on_gp;

	/* A 64-bit interrupt gate (Intel SDM volume 3, figure 6-8), selector 0x10. */
	idt[VECTOR_GP].low = (h & 0xffff) | 0x10 << 16 | 0x8eull << 40 | (h >> 16 & 0xffff) << 48;
	idt[VECTOR_GP].high = h >> 32;
	asm volatile("lidt %0" : : "m"(idtr));
}

void guest_main(void)
{
	u64 n = arg_u64("n", 10000);

	catch_gp();
	for (u64 i = 0; i < n; i++)
		rdmsr(i % 2 ? MSR_APERF : MSR_MPERF);
	put_str("guest: reads ");
	put_dec(n);
	put_str("\nguest: faults ");
	put_dec(n_faults);
	put_str("\nguest: cpuid ");
	put_dec(cpuid(0, 0).eax >= 6 ? cpuid(6, 0).ecx & 1 : 0);
	put_str("\n");
	verdict(0);
}
