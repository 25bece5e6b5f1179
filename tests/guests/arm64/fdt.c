/*
 * fdt.c - the little that guests want of a flattened device tree (Devicetree Specification 0.4,
 * chapter 5). It comes from the program under test, so nothing is checked here: a tree that is
 * broken shows as a guest that fails.
 */
#include "guest.h"

#define FDT_OFF_STRUCT	0x08
#define FDT_OFF_STRINGS 0x0c

#define FDT_BEGIN_NODE 1
#define FDT_END_NODE   2
#define FDT_PROP       3
#define FDT_NOP	       4

/* Tokens are aligned to 4 bytes, and no more. */
static u32 be32(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

/* A number of one cell or of two. */
static u64 cells(const u8 *p, u32 len)
{
	return len == 4 ? be32(p) : (u64)be32(p) << 32 | be32(p + 4);
}

static bool is(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* Is @name that of a node NAME@unit-address? */
static bool is_node(const char *name, const char *of)
{
	while (*of && *name == *of)
		name++, of++;
	return !*of && (!*name || *name == '@');
}

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static void take_chosen(const char *prop, const u8 *value, u32 len)
{
	if (is(prop, "bootargs"))
		boot.cmdline = (const char *)value;
	else if (is(prop, "linux,initrd-start"))
		boot.initrd = cells(value, len);
	else if (is(prop, "linux,initrd-end"))
		boot.initrd_size = cells(value, len) - boot.initrd;
}

/* #address-cells and #size-cells of the root are 2. */
static void take_memory(const u8 *value, u32 len)
{
	for (u32 at = 0; at + 16 <= len && boot.n_ram < MAX_RAM_REGIONS; at += 16) {
		boot.ram[boot.n_ram].addr = cells(value + at, 8);
		boot.ram[boot.n_ram].size = cells(value + at + 8, 8);
		boot.n_ram++;
	}
}

static void take(const char *node, const char *prop, const u8 *value, u32 len)
{
	if (is(node, "chosen"))
		take_chosen(prop, value, len);
	else if (is_node(node, "memory") && is(prop, "reg"))
		take_memory(value, len);
	else if (is_node(node, "cpu") && is(prop, "reg") && boot.n_cpus < MAX_CPUS)
		boot.mpidr[boot.n_cpus++] = cells(value, len);
	else if (is(node, "psci") && is(prop, "method"))
		boot.psci_by_smc = is((const char *)value, "smc");
	else if (is(prop, "compatible") && is((const char *)value, "arm,gic-v3"))
		boot.has_gicv3 = true;
	else if (is(prop, "compatible") && is((const char *)value, "arm,cortex-a15-gic"))
		boot.has_gicv2 = true;
}

void fdt_read(const u8 *fdt)
{
	const u8 *p = fdt + be32(fdt + FDT_OFF_STRUCT);
	const char *strings = (const char *)fdt + be32(fdt + FDT_OFF_STRINGS);
	const char *node = ""; /* that was opened last: properties come before children */

	for (;;) {
		u32 token = be32(p);

		p += 4;
		if (token == FDT_BEGIN_NODE) {
			node = (const char *)p;
			p += align_up(length(node) + 1, 4);
		} else if (token == FDT_PROP) {
			u32 len = be32(p);

			take(node, strings + be32(p + 4), p + 8, len);
			p += 8 + align_up(len, 4);
		} else if (token != FDT_END_NODE && token != FDT_NOP) {
			return;
		}
	}
}
