/*
 * unpack.h - kernels that come packed: gzip'd files, and EFI zboot (layer 2).
 *
 * EFI zboot: an EFI program that holds the kernel compressed; "MZ" at 0, "zimg" at 4, offset and
 * size of the payload at 8 and 12, and the name of its compression at 24, a string of at most 32
 * bytes: "gzip" and "zstd22" are unpacked here (Linux, drivers/firmware/efi/libstub/zboot-header.S
 * and Makefile.zboot). What is unpacked goes into a file without a name, so that loaders read it
 * as any other.
 */
#ifndef LKVM_VMM_UNPACK_H
#define LKVM_VMM_UNPACK_H

#include "vmm/image.h"

/*
 * When @in is packed, make *@out of what is in it, at most @limit bytes (the machine's memory, as
 * messages have it), and return 1: @out has the what and path of @in and is the caller's to close.
 * 0 when it is not packed, *@out then is IMAGE_NONE, as after a failure. A damaged, truncated or
 * empty one, an unknown compression, or more than @limit: LKVM_ERR_INPUT. What follows the
 * packed data is ignored, as gzip(1) does.
 */
int unpack_image(const struct image *in, u64 limit, struct image *out, struct lkvm_error *err);

#endif
