/*
 * image.h - a file handed to us: opened once, never trusted (layer 1).
 *
 * Kept open as long as the VM, so that a restart boots the very file the first
 * boot did, whatever happens to its name meanwhile. All access is by pread(2) with the length
 * checked: a file that shrinks under us gives an error, not a signal.
 */
#ifndef LKVM_VMM_IMAGE_H
#define LKVM_VMM_IMAGE_H

#include "vmm/base.h"
#include "vmm/err.h"

struct image {
	int fd;		  /* -1: not given */
	u64 size;	  /* bytes when opened */
	const char *what; /* "kernel", "initrd": static */
	const char *path; /* the config's */
};

#define IMAGE_NONE       \
	{                \
		.fd = -1 \
	}

/*
 * Open @path ("" leaves @img at IMAGE_NONE). Not a regular file, unreadable or
 * empty: LKVM_ERR_INPUT. One that cannot be opened is reported in the words scripts look for:
 * "Fatal: Unable to open kernel PATH".
 */
int image_open(struct image *img, const char *what, const char *path, struct lkvm_error *err);
void image_close(struct image *img);

/* Exactly @len bytes at @off, or -EINVAL with a message that says the file is truncated. */
int image_read(const struct image *img, u64 off, void *buf, size_t len, struct lkvm_error *err);

#endif
