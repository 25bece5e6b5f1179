/*
 * unpack.h - kernels that come packed: gzip'd files, and EFI zboot (layer 2).
 *
 * EFI zboot: an EFI program that holds the kernel compressed; "MZ" at 0, "zimg" at 4, offset and
 * size of the payload at 8 and 12, and the name of its compression at 24, a string of at most 32
 * bytes: "gzip" or "zstd" here (Linux, include/linux/pe.h and drivers/firmware/efi/libstub).
 * What is unpacked goes into a file without a name, so that loaders read it as any other.
 */
#ifndef LKVM_VMM_UNPACK_H
#define LKVM_VMM_UNPACK_H

#include "vmm/image.h"

/*
 * When @in is packed, make *@out of what is in it, at most @limit bytes, and return 1: @out has
 * the what and path of @in and is the caller's to close. 0 when it is not packed, *@out then is
 * IMAGE_NONE. A damaged or truncated one, an unknown compression, or more than @limit:
 * LKVM_ERR_INPUT.
 */
int unpack_image(const struct image *in, u64 limit, struct image *out, struct lkvm_error *err);

#endif
