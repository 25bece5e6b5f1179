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
 * Read [@off, @off + @len) of @img straight into guest memory at @gpa. A file that ends
 * early is LKVM_ERR_INPUT; so is a range that is not RAM, which callers find out before, to
 * say it better. After a failure the content of the range is undefined.
 */
int load_image(const struct image *img, u64 off, u64 len, const struct gmem *gm, u64 gpa,
	       struct lkvm_error *err);

/*
 * Find the highest page-aligned @gpa at which @size bytes fit into RAM within
 * [@lo, @hi) beside [@busy, @busy + @busy_size), which may be empty and must not wrap.
 * -ENOSPC when there is no such place. Either way *@largest is raised to the bytes of the
 * largest room seen, for a message.
 */
int load_place(const struct gmem *gm, u64 size, u64 lo, u64 hi, u64 busy, u64 busy_size, u64 *gpa,
	       u64 *largest);

/*
 * What a file that begins with the @n bytes at @head is, with an article: "an arm64 Image",
 * "a gzip-compressed file". NULL when it is nothing known here. For files that the loader
 * of the guest's own architecture did not know.
 */
const char *load_format_name(const u8 *head, size_t n);

/* The flash memory's image, to which the guest writes, is no other file of the machine's. */
int load_check_flash(const struct lkvm_config *cfg, struct lkvm_error *err);

/*
 * Write what the guest is told of its machine to the file that @option names, unless that is one
 * which @cfg gives to the machine.
 */
int load_dump(const struct lkvm_config *cfg, const char *option, const char *path, const void *data,
	      size_t len, struct lkvm_error *err);

/* For a message that says how much is needed: rounded up. */
static inline unsigned long long to_mib(u64 bytes)
{
	return bytes / MIB + !!(bytes % MIB);
}

static inline unsigned long long to_kib(u64 bytes)
{
	return bytes / KIB + !!(bytes % KIB);
}

/* How many bytes of the beginning load_format_name() makes use of. */
#define LOAD_FORMAT_HEAD 4096

#endif
