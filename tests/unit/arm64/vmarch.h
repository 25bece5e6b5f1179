/* vmarch.h - what vmtest.h must know of an arm64 machine. */
#ifndef LKVM_TESTS_VMARCH_H
#define LKVM_TESTS_VMARCH_H

#include "tests/unit/arm64/mkimage.h"

#define VMARCH_KERNEL_MAX MK_MAX

/* A kernel that loads, into @file; how many bytes it has. What it does is up to the script. */
static inline size_t vmarch_kernel(u8 *file)
{
	return mk_arm64_image(file);
}

#endif
