/*
 * ends.c - ends in the ways that a runner has to tell apart: value=N says that verdict, with
 * end=hang it never does, with end=crash it crashes, with end=off it powers off; with nothing it
 * passes. With cpuid=LEAF.REG.BIT in hexadecimal, REG 0 to 3 for EAX to EDX, it passes if the bit
 * is set.
 */
#include "kut.h"

static u64 hex(const char **s)
{
	u64 v = 0;

	for (;; ++*s) {
		char c = **s;

		if (c >= '0' && c <= '9')
			v = v * 16 + (u64)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + (u64)(c - 'a' + 10);
		else
			return v;
	}
}

static bool has_bit(const char *s)
{
	u32 leaf = (u32)hex(&s), reg, bit;
	struct cpuid c = cpuid(leaf, 0);
	const u32 regs[] = { c.eax, c.ebx, c.ecx, c.edx };

	s++;
	reg = (u32)hex(&s);
	s++;
	bit = (u32)hex(&s);
	return regs[reg % 4] >> bit % 32 & 1;
}

void guest_main(void)
{
	if (arg("value"))
		verdict((u32)arg_u64("value", 0));
	if (arg_is("end", "off"))
		power_off();
	if (arg_is("end", "crash"))
		asm volatile("ud2");
	while (arg_is("end", "hang"))
		asm volatile("pause");
	check(arg("cpuid") ? "the bit is set" : "it is here",
	      !arg("cpuid") || has_bit(arg("cpuid")));
}
