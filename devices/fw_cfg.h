/*
 * fw_cfg.h - what a machine has its fw_cfg device say (devices/fw_cfg.c; layer 2).
 *
 * Items are added once the device exists and before the guest runs; from then on nobody changes
 * them. What is added is copied, but for files, which are borrowed. All of it on the thread that
 * assembles the machine. -ENOSPC and -ENOMEM with a message.
 */
#ifndef LKVM_DEVICES_FW_CFG_H
#define LKVM_DEVICES_FW_CFG_H

#include "vmm/dev.h"

/* Where the two ranges are: FW_CFG_TAG_REGS, then FW_CFG_TAG_DMA 4 ports from the first on. */
#define FW_CFG_REGS_LEN 2
#define FW_CFG_DMA	4
#define FW_CFG_DMA_LEN	8

/*
 * Keys of items that have no name in the directory (QEMU's include/standard-headers, as firmware
 * and kvm-unit-tests use them). Numbers in them are little endian.
 */
#define FW_CFG_RAM_SIZE	    0x03 /* 8 bytes */
#define FW_CFG_NB_CPUS	    0x05 /* 2 bytes */
#define FW_CFG_KERNEL_SIZE  0x08 /* 4 bytes */
#define FW_CFG_INITRD_SIZE  0x0b
#define FW_CFG_MAX_CPUS	    0x0f /* 2 bytes */
#define FW_CFG_KERNEL_DATA  0x11
#define FW_CFG_INITRD_DATA  0x12
#define FW_CFG_CMDLINE_SIZE 0x14
#define FW_CFG_CMDLINE_DATA 0x15
#define FW_CFG_SETUP_SIZE   0x17
#define FW_CFG_SETUP_DATA   0x18

#define FW_CFG_NAME_MAX 56 /* bytes, with the final NUL */

int fw_cfg_add(struct dev *dev, u16 key, const void *data, u32 len, struct lkvm_error *err);
int fw_cfg_add_le(struct dev *dev, u16 key, u64 val, u32 len, struct lkvm_error *err);

/* An item of the directory: its key is found by @name. */
int fw_cfg_add_named(struct dev *dev, const char *name, const void *data, u32 len,
		     struct lkvm_error *err);

/*
 * [@off, @off + @len) of the open file @fd, @path in messages; both outlive the device. Read while
 * the guest runs, and by DMA only: through the data register it is zeroes.
 */
int fw_cfg_add_file(struct dev *dev, u16 key, int fd, u64 off, u32 len, const char *path,
		    struct lkvm_error *err);

#endif
