/*
 * kut.h - guests in the style of kvm-unit-tests: Multiboot images that check things, say PASS or
 * FAIL to each, and end with a verdict on all of them: 0, 1, or 77 when there was nothing to check.
 *
 * As the others (guest.h), but for what guest_main() returns to.
 */
#ifndef LKVM_TESTS_GUESTS_KUT_H
#define LKVM_TESTS_GUESTS_KUT_H

#include "tests/guests/x86/guest.h"

extern u32 mb_eax;	  /* what the entry found in EAX */
extern const u8 *mb_info; /* and behind EBX */

/* mem_lower and mem_upper, of the information. */
u32 mb_mem_lower(void);
u32 mb_mem_upper(void);

void check(const char *what, bool ok);

static inline u16 in16(u16 port)
{
	u16 v;

	asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

#endif
