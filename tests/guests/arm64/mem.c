/*
 * mem.c - is the memory there that the device tree tells of, and the initrd that was loaded?
 *
 * Marks the first and the last byte of every region, all before any is looked at, so that two that
 * are the same memory are found out; puts back what was there. Verdict 1 when a byte does not
 * hold its mark.
 */
#include "guest.h"

#define ADLER_MOD 65521

/* Adler-32 (RFC 1950): easily done in a shell's awk too. */
static u32 adler32(const u8 *p, u64 len)
{
	u32 a = 1, b = 0;

	for (u64 i = 0; i < len; i++) {
		a = (a + p[i]) % ADLER_MOD;
		b = (b + a) % ADLER_MOD;
	}
	return b << 16 | a;
}

static volatile u8 *edge(unsigned int i)
{
	return (volatile u8 *)(boot.ram[i / 2].addr + (i % 2 ? boot.ram[i / 2].size - 1 : 0));
}

void guest_main(void)
{
	u8 old[MAX_RAM_REGIONS * 2];
	u64 total = 0;
	bool good = true;

	for (unsigned int i = 0; i < boot.n_ram * 2; i++) {
		old[i] = *edge(i);
		*edge(i) = (u8)(0xa0 + i);
	}
	for (unsigned int i = 0; i < boot.n_ram * 2; i++)
		good &= *edge(i) == (u8)(0xa0 + i);
	for (unsigned int i = 0; i < boot.n_ram * 2; i++)
		*edge(i) = old[i];

	for (unsigned int i = 0; i < boot.n_ram; i++) {
		put_str("ram 0x");
		put_hex(boot.ram[i].addr);
		put_str(" + 0x");
		put_hex(boot.ram[i].size);
		put_char('\n');
		total += boot.ram[i].size;
	}
	put_str("total ");
	put_dec(total >> 10);
	put_str(" KiB\ninitrd ");
	put_dec(boot.initrd_size);
	put_str(" adler32 ");
	put_hex(adler32((const u8 *)boot.initrd, boot.initrd_size));
	put_char('\n');
	if (!good)
		verdict(1);
}
