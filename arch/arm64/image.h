/*
 * image.h - the header of an arm64 Image (Documentation/arch/arm64/booting.rst, "Call the kernel
 * image"). arch/arm64 only.
 */
#ifndef LKVM_ARCH_ARM64_IMAGE_H
#define LKVM_ARCH_ARM64_IMAGE_H

#include <lkvm.h>

#include "vmm/image.h"

#define ARM64_IMAGE_HEADER_LEN 64

struct arm64_image {
	u64 text_offset; /* from a 2 MiB aligned address to where the Image goes */
	u64 size;	 /* bytes it needs from there on; 0: not known (before Linux 3.17) */
};

/*
 * Read and check the header @off bytes into the file: 1, or 0 when there is none. A big-endian
 * Image is LKVM_ERR_INPUT, and so is one larger than any machine: sums of @h's fields and
 * addresses of RAM do not wrap.
 */
int arm64_image_parse(const struct image *img, u64 off, struct arm64_image *h,
		      struct lkvm_error *err);

/*
 * Nothing in the header says how long a whole file is, but its EFI half does: when @img, an
 * Image, has one, a file shorter than its sections is LKVM_ERR_INPUT.
 */
int arm64_image_check_whole(const struct image *img, struct lkvm_error *err);

#endif
