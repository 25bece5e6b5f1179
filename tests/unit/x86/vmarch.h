/* vmarch.h - what vmtest.h must know of an x86-64 machine. */
#ifndef LKVM_TESTS_VMARCH_H
#define LKVM_TESTS_VMARCH_H

#include "tests/unit/mkkernel.h"

#define COM1	 0x3f8
#define PM_RESET 0x60c
#define PVPANIC	 0x505

#define VMARCH_KERNEL_MAX MK_MAX

/* A kernel that loads, into @file; how many bytes it has. What it does is up to the script. */
static inline size_t vmarch_kernel(u8 *file)
{
	return mk_bzimage(file);
}

#endif
