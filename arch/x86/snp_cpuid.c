#include "arch/x86/snp_cpuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "linux-uapi/x86.h"

#define CPUID_XSAVE 0xd

/* XCR0 with x87 alone, as after reset, and the bytes XSAVE takes then: legacy area and header. */
#define XCR0_AT_RESET	    1
#define XSAVE_SIZE_AT_RESET (512 + 64)

static void fill_entry(struct snp_cpuid_entry *to, const struct kvm_cpuid_entry2 *from)
{
	*to = (struct snp_cpuid_entry){
		.eax_in = from->function,
		.ecx_in = from->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX ? from->index : 0,
		.eax = from->eax,
		.ebx = from->ebx,
		.ecx = from->ecx,
		.edx = from->edx,
	};
	/* EBX depends on XCR0 and XSS: the size is said for one state, guests add up the others. */
	if (to->eax_in == CPUID_XSAVE && to->ecx_in <= 1) {
		to->xcr0_in = XCR0_AT_RESET;
		to->ebx = XSAVE_SIZE_AT_RESET;
	}
}

int snp_cpuid_fill(const struct kvm_cpuid2 *table, struct snp_cpuid_page *page,
		   struct lkvm_error *err)
{
	memset(page, 0, sizeof(*page));
	for (u32 i = 0; i < table->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &table->entries[i];

		if (!(e->eax | e->ebx | e->ecx | e->edx))
			continue;
		if (page->count == SNP_CPUID_MAX)
			return err_unsupported(err, E2BIG,
					       "--snp: this host's KVM offers more than the %d "
					       "CPUID leaves that an SNP guest can have",
					       SNP_CPUID_MAX);
		fill_entry(&page->entries[page->count++], e);
	}
	return 0;
}

/* " EBX 0x2 for 0x6", or nothing when they are the same. */
static const char *reg_diff(char *buf, size_t size, const char *name, u32 asked, u32 allowed)
{
	buf[0] = 0;
	if (asked != allowed)
		snprintf(buf, size, " %s 0x%x for 0x%x", name, allowed, asked);
	return buf;
}

unsigned int snp_cpuid_log_diff(const struct log *log, const struct snp_cpuid_page *asked,
				const struct snp_cpuid_page *allowed)
{
	unsigned int n = 0;

	for (u32 i = 0; i < asked->count && i < SNP_CPUID_MAX; i++) {
		const struct snp_cpuid_entry *a = &asked->entries[i], *b = &allowed->entries[i];
		char text[4][40];

		if (!memcmp(a, b, sizeof(*a)))
			continue;
		n++;
		log_warn(log,
			 "--snp: the SEV firmware does not vouch for CPUID 0x%x.%u: it "
			 "allows%s%s%s%s",
			 a->eax_in, a->ecx_in,
			 reg_diff(text[0], sizeof(text[0]), "EAX", a->eax, b->eax),
			 reg_diff(text[1], sizeof(text[1]), "EBX", a->ebx, b->ebx),
			 reg_diff(text[2], sizeof(text[2]), "ECX", a->ecx, b->ecx),
			 reg_diff(text[3], sizeof(text[3]), "EDX", a->edx, b->edx));
	}
	return n;
}
