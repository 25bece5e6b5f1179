/*
 * bzimage.h - a Linux kernel as distributions ship it: the header of a bzImage, checked
 * (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"). The real-mode code
 * in front of the kernel is never run.
 */
#ifndef LKVM_ARCH_X86_BZIMAGE_H
#define LKVM_ARCH_X86_BZIMAGE_H

#include "arch/x86/zeropage.h"
#include "vmm/base.h"
#include "vmm/err.h"
#include "vmm/image.h"

#define BZIMAGE_ENTRY_OFF 0x200 /* of the 64-bit entry, from where the code was loaded */

struct bzimage {
	u8 setup[SETUP_MAX_END - SETUP_OFF]; /* the setup header as in the file */
	size_t setup_len;
	u64 code_off, code_len; /* in the file: what is to be loaded */
	u64 gpa;		/* where it is to be loaded, and where it will unpack itself */
	u64 size;		/* the memory it needs there before it knows of any other */
	u64 initrd_limit;	/* exclusive; UINT64_MAX: anywhere */
	u32 cmdline_max;	/* bytes, without the final NUL */
};

/* True when the file has the two magic numbers of a setup header. */
bool bzimage_is_bzimage(const struct image *img);

/*
 * Read and check the header. Whether @gpa and @size are RAM is for the caller to
 * judge; @gpa + @size does not wrap, and the code lies within the file and within @size.
 */
int bzimage_parse(const struct image *img, struct bzimage *bz, struct lkvm_error *err);

#endif
