/*
 * load.h - what the loaders of all architectures share (layer 2): where a file
 * goes in guest memory, getting it there, and a name for a file that is
 * something else than a kernel.
 */
#ifndef LKVM_VMM_LOAD_H
#define LKVM_VMM_LOAD_H

#include "vmm/base.h"
#include "vmm/err.h"
#include "vmm/gmem.h"
#include "vmm/image.h"

/*
 * Read [@off, @off + @len) of @img straight into guest memory at @gpa. A file that
 * ends early is LKVM_ERR_INPUT; so is a range that is not RAM, though callers check that
 * before with a better message.
 */
int load_image(const struct image *img, u64 off, u64 len, const struct gmem *gm, u64 gpa,
	       struct lkvm_error *err);

/*
 * Find the highest page-aligned @gpa at which @size bytes fit into RAM within
 * [@lo, @hi) beside [@busy, @busy + @busy_size); the busy range may be empty.
 * -ENOSPC when there is none. *@largest is then raised to the size of the
 * largest page-aligned room seen, in both cases.
 */
int load_place(const struct gmem *gm, u64 size, u64 lo, u64 hi, u64 busy, u64 busy_size, u64 *gpa,
	       u64 *largest);

/*
 * What a file that begins with the @n bytes at @head is, with an article: "an arm64 Image",
 * "a gzip-compressed file". NULL when it is nothing that is known here. A
 * kernel for the guest at hand is known to its own loader and may be called something vaguer here.
 */
const char *load_format_name(const u8 *head, size_t n);

/* How many bytes of the beginning load_format_name() makes use of. */
#define LOAD_FORMAT_HEAD 4096

#endif
