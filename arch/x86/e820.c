#include "arch/x86/e820.h"

#include "arch/x86/layout.h"

/* What of [@start, @end) is in region @r, as RAM. */
static unsigned int e820_add_ram(struct e820_entry *e, const struct gmem_region *r, u64 start,
				 u64 end)
{
	u64 from = max_u64(start, r->gpa);
	u64 to = min_u64(end, r->gpa + r->size);

	if (from >= to)
		return 0;
	*e = (struct e820_entry){ .addr = from, .size = to - from, .type = E820_RAM };
	return 1;
}

unsigned int e820_build(const struct gmem *gm, struct e820_entry map[E820_MAX])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < gm->n_regions; i++)
		n += e820_add_ram(&map[n], &gm->regions[i], 0, X86_EBDA_GPA);

	/* Where a PC has its extended BIOS data: nothing is there, but kernels expect the line. */
	map[n++] = (struct e820_entry){ .addr = X86_EBDA_GPA,
					.size = 0xa0000 - X86_EBDA_GPA,
					.type = E820_RESERVED };
	/*
	 * Reserved, not "ACPI data" (type 3): that type may be reused once the tables are
	 * read, but the FACS among them stays in use, and a kexec'd kernel reads them all again.
	 */
	map[n++] = (struct e820_entry){ .addr = X86_ACPI_GPA,
					.size = X86_ACPI_SIZE,
					.type = E820_RESERVED };

	for (unsigned int i = 0; i < gm->n_regions; i++)
		n += e820_add_ram(&map[n], &gm->regions[i], X86_HIGH_RAM_GPA, X86_HOLE_START);

	/* Kernels use ECAM only where the memory map says that it is taken. */
	map[n++] = (struct e820_entry){ .addr = X86_ECAM_BASE,
					.size = X86_ECAM_LEN,
					.type = E820_RESERVED };
	/* KVM's own pages: no PCI window may be put over them. */
	map[n++] = (struct e820_entry){ .addr = X86_IDENTITY_MAP_GPA,
					.size = X86_TSS_GPA + 0x3000 - X86_IDENTITY_MAP_GPA,
					.type = E820_RESERVED };

	for (unsigned int i = 0; i < gm->n_regions; i++)
		n += e820_add_ram(&map[n], &gm->regions[i], X86_HOLE_END, UINT64_MAX);
	return n;
}
