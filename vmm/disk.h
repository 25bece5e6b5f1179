/*
 * disk.h - a raw image or block device behind a guest's disk (layer 1).
 *
 * Opened and locked once by the VM, borrowed by the disk device of each boot: a restart finds
 * the very file of the first boot. The format is never guessed: bytes are bytes. Reads and
 * writes go through loop_io_start(); this file opens, locks and describes.
 */
#ifndef LKVM_VMM_DISK_H
#define LKVM_VMM_DISK_H

#include "vmm/base.h"
#include "vmm/err.h"

struct lkvm_disk;

#define DISK_SECTOR 512 /* bytes: what sizes are multiples of, and virtio counts in */

struct disk {
	int fd;	  /* -1: closed */
	u64 size; /* bytes when opened, a multiple of DISK_SECTOR */
	bool readonly;
	bool discard;	/* asked for, and the file can do it */
	u32 block_size; /* logical: what offsets, lengths (and with O_DIRECT memory) are aligned to
			 */
	u32 physical_size;  /* physical block, at least block_size */
	u32 discard_align;  /* bytes: granularity of a discard; block_size when unknown */
	const char *path;   /* the config's */
	const char *option; /* what it was given by, for messages: "--disk" */
};

#define DISK_CLOSED      \
	{                \
		.fd = -1 \
	}

/*
 * Open what @cfg names: a regular file or a block device. Writable ones get an open file
 * description lock (F_OFD_SETLK, exclusive; read-only ones a shared one), so that two
 * writers never share an image, in one process or in two; the message names the
 * holder where /proc shows it. LKVM_ERR_INPUT, naming --disk and the path, for what is missing,
 * unreadable, empty, of an odd size, locked or neither file nor block device.
 */
int disk_open(struct disk *disk, const struct lkvm_disk *cfg, struct lkvm_error *err);

/*
 * The same for the image of a flash memory at @path, which outlives @disk: writable, its size a
 * multiple of @unit bytes. Messages name --flash.
 */
int disk_open_flash(struct disk *disk, const char *path, u32 unit, struct lkvm_error *err);

/* Lock and descriptor are given back. Accepts DISK_CLOSED. No request is under way. */
void disk_close(struct disk *disk);

#endif
