/* kut.c - what these guests have in common: what Multiboot handed over, checks, the end. */
#include "kut.h"

/* Multiboot 0.6.96, 3.3. */
#define INFO_FLAGS	0
#define INFO_MEM_LOWER	4
#define INFO_MEM_UPPER	8
#define INFO_CMDLINE	16
#define INFO_MODS_COUNT 20
#define INFO_MODS_ADDR	24
#define INFO_MMAP_LEN	44
#define INFO_MMAP_ADDR	48
#define HAS_CMDLINE	BIT(2)
#define HAS_MODULES	BIT(3)
#define HAS_MMAP	BIT(6)

#define SKIPPED 77

u32 mb_eax;
const u8 *mb_info;

static u32 n_checks, n_failed;

_Noreturn void kut_start(u32 eax, const u8 *info);

u32 mb_mem_lower(void)
{
	return get_le32(mb_info + INFO_MEM_LOWER);
}

u32 mb_mem_upper(void)
{
	return get_le32(mb_info + INFO_MEM_UPPER);
}

static const u8 *pointer(const u8 *field)
{
	return (const u8 *)(u64)get_le32(field);
}

static void read_map(void)
{
	const u8 *p = pointer(mb_info + INFO_MMAP_ADDR);
	const u8 *end = p + get_le32(mb_info + INFO_MMAP_LEN);

	for (; p < end && boot.n_ram < MAX_RAM_REGIONS; p += get_le32(p) + 4) {
		if (get_le32(p + 20) != 1)
			continue;
		boot.ram[boot.n_ram].addr = get_le64(p + 4);
		boot.ram[boot.n_ram].size = get_le64(p + 12);
		boot.n_ram++;
	}
}

static void read_info(void)
{
	u32 has = get_le32(mb_info + INFO_FLAGS);

	boot.protocol = "multiboot";
	boot.cmdline = has & HAS_CMDLINE ? (const char *)pointer(mb_info + INFO_CMDLINE) : "";
	if (has & HAS_MODULES && get_le32(mb_info + INFO_MODS_COUNT)) {
		const u8 *module = pointer(mb_info + INFO_MODS_ADDR);

		boot.initrd = get_le32(module);
		boot.initrd_size = get_le32(module + 4) - boot.initrd;
	}
	if (has & HAS_MMAP)
		read_map();
}

void check(const char *what, bool ok)
{
	put_str(ok ? "PASS: " : "FAIL: ");
	put_str(what);
	put_char('\n');
	n_checks++;
	n_failed += !ok;
}

_Noreturn void kut_start(u32 eax, const u8 *info)
{
	mb_eax = eax;
	mb_info = info;
	read_info();
	guest_main();
	put_str("SUMMARY: ");
	put_dec(n_checks);
	put_str(" tests");
	if (n_failed) {
		put_str(", ");
		put_dec(n_failed);
		put_str(" unexpected failures");
	}
	put_char('\n');
	verdict(!n_checks ? SKIPPED : !!n_failed);
}
