/*
 * gmem_remap.c - a page of RAM taken from KVM's tables while its content stays.
 *
 * A change of protection makes the kernel tell KVM to forget the page (mmu_notifier). It must
 * never be one that takes an access away: another thread may be copying from that very page. So it
 * becomes executable, which nobody makes use of, and is what it was again.
 */
#include <sys/mman.h>

#include "vmm/gmem.h"

void gmem_remap(const struct gmem *gm, u64 gpa)
{
	for (unsigned int i = 0; i < gm->n_regions; i++) {
		const struct gmem_region *r = &gm->regions[i];
		void *page;

		if (gpa % GMEM_PAGE_SIZE || gpa < r->gpa ||
		    !range_fits(gpa - r->gpa, GMEM_PAGE_SIZE, r->size))
			continue;
		page = (u8 *)r->host + (gpa - r->gpa);
		/* A host that refuses (executable memory, part of a huge page) loses nothing. */
		if (!mprotect(page, GMEM_PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC))
			mprotect(page, GMEM_PAGE_SIZE, PROT_READ | PROT_WRITE);
	}
}
