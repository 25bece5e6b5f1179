#include "arch/arm64/image.h"

#define IMAGE_TEXT_OFFSET 8
#define IMAGE_SIZE	  16
#define IMAGE_FLAGS	  24
#define IMAGE_MAGIC	  56
#define IMAGE_PE_OFF	  60

#define IMAGE_FLAG_BIG_ENDIAN BIT(0)
/* Where image_size is zero, text_offset's byte order is unknown and this is its value. */
#define IMAGE_OLD_TEXT_OFFSET 0x80000

/* PE/COFF specification: the file header, behind the signature, and a section header. */
#define PE_N_SECTIONS	  6
#define PE_OPT_LEN	  20
#define PE_HEADER_LEN	  24
#define PE_SECTION_LEN	  40
#define PE_SECTION_SIZE	  16
#define PE_SECTION_OFF	  20
#define PE_MAX_N_SECTIONS 96

int arm64_image_parse(const struct image *img, u64 off, struct arm64_image *h,
		      struct lkvm_error *err)
{
	u8 head[ARM64_IMAGE_HEADER_LEN];
	int ret;

	if (!range_fits(off, sizeof(head), img->size))
		return 0;
	ret = image_read(img, off, head, sizeof(head), err);
	if (ret)
		return ret;
	if (memcmp(head + IMAGE_MAGIC, "ARM\x64", 4))
		return 0;
	h->text_offset = get_le64(head + IMAGE_TEXT_OFFSET);
	h->size = get_le64(head + IMAGE_SIZE);
	if (!h->size)
		h->text_offset = IMAGE_OLD_TEXT_OFFSET;
	else if (get_le64(head + IMAGE_FLAGS) & IMAGE_FLAG_BIG_ENDIAN)
		return err_input(err,
				 "%s %s is a big-endian arm64 Image; a little-endian one is needed",
				 img->what, img->path);
	/* an instruction is aligned so */
	if (h->text_offset % 4 || h->text_offset > LKVM_MAX_MEM || h->size > LKVM_MAX_MEM)
		return err_input(
			err, "%s %s is corrupt: its header asks for 0x%llx bytes at offset 0x%llx",
			img->what, img->path, (unsigned long long)h->size,
			(unsigned long long)h->text_offset);
	return 1;
}

static int err_truncated(const struct image *img, u64 need, struct lkvm_error *err)
{
	return err_input(err, "%s %s is truncated: it has %llu bytes, its header promises %llu",
			 img->what, img->path, (unsigned long long)img->size,
			 (unsigned long long)need);
}

int arm64_image_check_whole(const struct image *img, struct lkvm_error *err)
{
	u8 head[ARM64_IMAGE_HEADER_LEN], pe[PE_HEADER_LEN], section[PE_SECTION_LEN];
	u64 off, need = 0;
	unsigned int n;
	int ret = image_read(img, 0, head, sizeof(head), err);

	if (ret)
		return ret;
	off = get_le32(head + IMAGE_PE_OFF);
	if (memcmp(head, "MZ", 2))
		return 0;
	if (!range_fits(off, sizeof(pe), img->size))
		return err_truncated(img, off + sizeof(pe), err);
	ret = image_read(img, off, pe, sizeof(pe), err);
	if (ret)
		return ret;
	if (memcmp(pe, "PE\0", 4))
		return 0;

	n = get_le16(pe + PE_N_SECTIONS);
	off += PE_HEADER_LEN + get_le16(pe + PE_OPT_LEN);
	for (unsigned int i = 0; i < n && i < PE_MAX_N_SECTIONS; i++, off += PE_SECTION_LEN) {
		if (!range_fits(off, sizeof(section), img->size))
			return err_truncated(img, off + sizeof(section), err);
		ret = image_read(img, off, section, sizeof(section), err);
		if (ret)
			return ret;
		need = max_u64(need, (u64)get_le32(section + PE_SECTION_OFF) +
					     get_le32(section + PE_SECTION_SIZE));
	}
	return need > img->size ? err_truncated(img, need, err) : 0;
}
