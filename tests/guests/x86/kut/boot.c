/*
 * boot.c - what Multiboot hands over: text=word is on the command line, with ram=BYTES there is
 * so much memory, and with env=WORD a module begins with it. Prints the command line.
 */
#include "kut.h"

#define MULTIBOOT_EAX 0x2badb002
#define RSDP_SEARCH   0xe0000
#define RSDP_RSDT     16 /* ACPI 6.5, 5.2.5.3 */

static bool begins(const char *s, const char *word)
{
	while (*word && *word != ' ' && *s == *word)
		s++, word++;
	return !*word || *word == ' ';
}

/* As kvm-unit-tests look for it; 0: there is none. */
static u64 find_rsdp(void)
{
	for (u64 a = RSDP_SEARCH; a < 0x100000; a += 16) {
		if (begins((const char *)a, "RSD") && begins((const char *)a + 4, "PTR"))
			return a;
	}
	return 0;
}

/* They know no XSDT. */
static bool has_rsdt(u64 rsdp)
{
	u64 rsdt = rsdp ? *(volatile u32 *)(rsdp + RSDP_RSDT) : 0;

	return rsdt && begins((const char *)rsdt, "RSDT");
}

static u64 ram_size(u64 addr)
{
	for (unsigned int i = 0; i < boot.n_ram; i++) {
		if (boot.ram[i].addr == addr)
			return boot.ram[i].size;
	}
	return 0;
}

static u64 all_ram(void)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < boot.n_ram; i++)
		sum += boot.ram[i].size;
	return sum;
}

void guest_main(void)
{
	const char *env = arg("env");
	u64 ram = arg_u64("ram", 0);

	put_str("cmdline: ");
	put_str(boot.cmdline);
	put_char('\n');
	check("EAX has the magic number", mb_eax == MULTIBOOT_EAX);
	check("the arguments are there", arg_is("text", "word"));
	check("conventional memory is as the map has it",
	      ram_size(0) && mb_mem_lower() == ram_size(0) / 1024);
	check("so is memory above 1 MiB",
	      ram_size(0x100000) && mb_mem_upper() == ram_size(0x100000) / 1024);
	/* what a PC keeps between 639 KiB and 1 MiB is not usable */
	check("all memory is in the map", !ram || all_ram() == ram - (0x100000 - 0x9fc00));
	check("there is an RSDP to be found", find_rsdp());
	check("it points at an RSDT", has_rsdt(find_rsdp()));
	check("there is a module if there is to be one", !env == !boot.initrd_size);
	if (env && boot.initrd_size) {
		check("it begins with what it should", begins((const char *)boot.initrd, env));
		check("it is on a page", !(boot.initrd % 4096));
	}
}
