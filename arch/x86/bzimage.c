#include "arch/x86/bzimage.h"

#include <string.h>

#include "arch/x86/layout.h"

#define SECTOR_SIZE 512

/* The first bytes of the file, up to where a setup header can end at most. */
struct bz_head {
	u8 bytes[SETUP_MAX_END];
};

static bool bz_has_magic(const struct bz_head *head)
{
	return get_le16(head->bytes + SETUP_BOOT_FLAG) == SETUP_BOOT_FLAG_MAGIC &&
	       get_le32(head->bytes + SETUP_HEADER) == SETUP_HEADER_MAGIC;
}

bool bzimage_is_bzimage(const struct image *img)
{
	struct bz_head head = { 0 };

	return img->size >= SETUP_VERSION &&
	       !image_read(img, 0, head.bytes, min_u64(img->size, sizeof(head.bytes)), NULL) &&
	       bz_has_magic(&head);
}

static int bz_check_version(const struct image *img, const struct bz_head *head,
			    struct lkvm_error *err)
{
	unsigned int version = get_le16(head->bytes + SETUP_VERSION);

	if (version < SETUP_VERSION_64BIT)
		return err_input(
			err,
			"kernel %s has boot protocol %u.%02u and no 64-bit entry; 2.12 (Linux "
			"3.8) or later is needed",
			img->path, version >> 8, version & 0xff);
	if (!(get_le16(head->bytes + SETUP_XLOADFLAGS) & XLF_KERNEL_64))
		return err_input(
			err, "kernel %s has no 64-bit entry: it was built for 32-bit x86 (i386)",
			img->path);
	return 0;
}

static int bz_copy_setup(const struct image *img, const struct bz_head *head, struct bzimage *bz,
			 struct lkvm_error *err)
{
	unsigned int end = SETUP_HEADER + head->bytes[SETUP_JUMP + 1];

	if (end < SETUP_MIN_END || end > SETUP_MAX_END)
		return err_input(err,
				 "kernel %s is corrupt: its setup header ends at 0x%x, not between "
				 "0x%x and 0x%x",
				 img->path, end, SETUP_MIN_END, SETUP_MAX_END);
	bz->setup_len = end - SETUP_OFF;
	memcpy(bz->setup, head->bytes + SETUP_OFF, bz->setup_len);
	return 0;
}

/* Where the code is in the file. What follows it (a signature) is not loaded. */
static int bz_find_code(const struct image *img, const struct bz_head *head, struct bzimage *bz,
			struct lkvm_error *err)
{
	unsigned int sects = head->bytes[SETUP_SECTS];

	/* 0 is an old way to say 4 (boot.rst, "setup_sects") */
	bz->code_off = ((sects ? sects : 4) + 1) * SECTOR_SIZE;
	bz->code_len = (u64)get_le32(head->bytes + SETUP_SYSSIZE) * 16;
	if (bz->code_len <= BZIMAGE_ENTRY_OFF)
		return err_input(err,
				 "kernel %s is corrupt: %llu bytes of code do not reach its entry",
				 img->path, (unsigned long long)bz->code_len);
	if (!range_fits(bz->code_off, bz->code_len, img->size))
		return err_input(
			err, "kernel %s is truncated: it has %llu bytes, its header promises %llu",
			img->path, (unsigned long long)img->size,
			(unsigned long long)(bz->code_off + bz->code_len));
	return 0;
}

/*
 * A relocatable kernel loaded below its preferred address moves itself up to it, so there is
 * nothing to gain from loading it elsewhere when memory is short.
 */
static int bz_find_memory(const struct image *img, const struct bz_head *head, struct bzimage *bz,
			  struct lkvm_error *err)
{
	u64 pref = get_le64(head->bytes + SETUP_PREF_ADDRESS);
	u64 alignment = get_le32(head->bytes + SETUP_KERNEL_ALIGNMENT);

	bz->gpa = pref;
	if (head->bytes[SETUP_RELOCATABLE]) {
		if (!alignment || alignment & (alignment - 1))
			return err_input(
				err,
				"kernel %s is corrupt: its alignment 0x%llx is not a power "
				"of two",
				img->path, (unsigned long long)alignment);
		/* wraps to 0 at the end of the address space, which is refused below */
		bz->gpa = align_up(max_u64(pref, X86_HIGH_RAM_GPA), alignment);
	}
	if (bz->gpa < X86_HIGH_RAM_GPA || bz->gpa >= X86_HOLE_START)
		return err_input(
			err,
			"kernel %s wants to be loaded at 0x%llx; between 0x%llx and 0x%llx is "
			"possible",
			img->path, (unsigned long long)max_u64(pref, bz->gpa), X86_HIGH_RAM_GPA,
			X86_HOLE_START);
	bz->size = max_u64(get_le32(head->bytes + SETUP_INIT_SIZE), bz->code_len);
	return 0;
}

int bzimage_parse(const struct image *img, struct bzimage *bz, struct lkvm_error *err)
{
	struct bz_head head;
	int ret;

	*bz = (struct bzimage){ 0 };
	ret = image_read(img, 0, head.bytes, sizeof(head.bytes), err);
	if (ret)
		return ret;
	if (!bz_has_magic(&head))
		return err_input(err, "kernel %s is not a bzImage", img->path);

	ret = bz_check_version(img, &head, err);
	if (!ret)
		ret = bz_copy_setup(img, &head, bz, err);
	if (!ret)
		ret = bz_find_code(img, &head, bz, err);
	if (!ret)
		ret = bz_find_memory(img, &head, bz, err);
	if (ret)
		return ret;

	bz->cmdline_max = get_le32(head.bytes + SETUP_CMDLINE_SIZE);
	/* XLF_CAN_BE_LOADED_ABOVE_4G speaks of the initrd too, and so overrides initrd_addr_max. */
	if (get_le16(head.bytes + SETUP_XLOADFLAGS) & XLF_CAN_BE_LOADED_ABOVE_4G)
		bz->initrd_limit = UINT64_MAX;
	else
		bz->initrd_limit = (u64)get_le32(head.bytes + SETUP_INITRD_ADDR_MAX) + 1;
	return 0;
}
