#include "arch/x86/ovmf.h"

#include <errno.h>
#include <string.h>

#define PAGE 4096

/* ---- the table ------------------------------------------------------------------------ */

#define FOOTER_AT 0x30 /* of the footer's GUID, from the end of the image */
#define ENTRY_LEN (2 + OVMF_GUID_LEN)

/* clang-format off */
/* The first three fields of a GUID are little endian. */
#define GUID(a, b, c, ...)							\
	{ (a) & 0xff, (a) >> 8 & 0xff, (a) >> 16 & 0xff, (a) >> 24 & 0xff,	\
	  (b) & 0xff, (b) >> 8 & 0xff, (c) & 0xff, (c) >> 8 & 0xff, __VA_ARGS__ }

static const u8 guid_footer[] =
	GUID(0x96b582de, 0x1fb2, 0x45f7, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d);
const u8 ovmf_guid_sev_metadata[] =
	GUID(0xdc886566, 0x984a, 0x4798, 0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc);
const u8 ovmf_guid_hash_table[] =
	GUID(0x7255371f, 0x3a3b, 0x4b04, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54);
const u8 ovmf_guid_secret_block[] =
	GUID(0x4c2eb361, 0x7d9b, 0x4cc3, 0x80, 0x81, 0x12, 0x7c, 0x90, 0xd3, 0xd2, 0x94);
const u8 ovmf_guid_reset_block[] =
	GUID(0x00f771de, 0x1a7e, 0x4fcb, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e);
/* clang-format on */

bool ovmf_find(const u8 *image, size_t size, const u8 *guid, const u8 **data, size_t *len)
{
	size_t end, left;

	if (size < FOOTER_AT + 2 || memcmp(image + size - FOOTER_AT, guid_footer, OVMF_GUID_LEN))
		return false;
	/* the footer's length is the table's, itself included */
	end = size - FOOTER_AT - 2;
	left = get_le16(image + end);
	if (left < ENTRY_LEN || left - ENTRY_LEN > end)
		return false;
	/* [end - left, end) is what has not been looked at; an entry is never empty, so this ends
	 */
	for (left -= ENTRY_LEN; left >= ENTRY_LEN;) {
		size_t entry = get_le16(image + end - ENTRY_LEN);

		if (entry < ENTRY_LEN || entry > left)
			return false;
		if (!memcmp(image + end - OVMF_GUID_LEN, guid, OVMF_GUID_LEN)) {
			*data = image + end - entry;
			*len = entry - ENTRY_LEN;
			return true;
		}
		end -= entry;
		left -= entry;
	}
	return false;
}

/* ---- SEV metadata --------------------------------------------------------------------- */

#define SEV_HEADER_LEN	16 /* "ASEV", u32 length of all, u32 version, u32 number of sections */
#define SEV_SECTION_LEN 12 /* u32 gpa, u32 size, u32 type */
#define SEV_VERSION	1

const char *ovmf_section_name(u32 type)
{
	switch (type) {
	case OVMF_SNP_SEC_MEM:
		return "SNP_SEC_MEM";
	case OVMF_SNP_SECRETS:
		return "SNP_SECRETS";
	case OVMF_SNP_CPUID:
		return "SNP_CPUID";
	case OVMF_SNP_SVSM_CAA:
		return "SVSM_CAA";
	case OVMF_SNP_KERNEL_HASHES:
		return "SNP_KERNEL_HASHES";
	}
	return NULL;
}

/* Where the metadata is; NULL with a message. *@n is the number of sections, all in the image. */
static const u8 *find_sev(const u8 *image, size_t size, const char *path, u32 *n,
			  struct lkvm_error *err)
{
	const u8 *data, *sev;
	size_t len;
	u32 back;

	if (!ovmf_find(image, size, ovmf_guid_sev_metadata, &data, &len) || len < 4) {
		err_input(err,
			  "--firmware %.300s: has no SEV metadata, which --snp needs; OVMF built "
			  "with "
			  "SEV-SNP support has it, such as OVMF.fd of Debian's package ovmf",
			  path);
		return NULL;
	}
	back = get_le32(data);
	if (back > size || back < SEV_HEADER_LEN) {
		err_input(err, "--firmware %.300s: its SEV metadata would begin outside the file",
			  path);
		return NULL;
	}
	sev = image + size - back;
	*n = get_le32(sev + 12);
	if (memcmp(sev, "ASEV", 4) || get_le32(sev + 8) != SEV_VERSION) {
		err_input(err,
			  "--firmware %.300s: its SEV metadata is not of version %d, the only one "
			  "there is",
			  path, SEV_VERSION);
		return NULL;
	}
	if (*n > OVMF_MAX_SECTIONS || *n * SEV_SECTION_LEN > back - SEV_HEADER_LEN ||
	    get_le32(sev + 4) != SEV_HEADER_LEN + *n * SEV_SECTION_LEN) {
		err_input(err,
			  "--firmware %.300s: its SEV metadata has %u sections in %u bytes; at "
			  "most %d "
			  "of %d bytes each are allowed",
			  path, *n, get_le32(sev + 4), OVMF_MAX_SECTIONS, SEV_SECTION_LEN);
		return NULL;
	}
	return sev + SEV_HEADER_LEN;
}

static int check_section(const struct ovmf_sev *sev, const struct ovmf_section *s, const char *path,
			 struct lkvm_error *err)
{
	const char *name = ovmf_section_name(s->type);

	if (!name)
		return err_input(
			err,
			"--firmware %.300s: its SEV metadata has a section of type 0x%x, which "
			"lkvm does not know",
			path, (unsigned int)s->type);
	if (!s->size || (s->gpa | s->size) % PAGE || s->gpa + s->size > 4 * GIB)
		return err_input(
			err,
			"--firmware %.300s: its SEV metadata has %s at 0x%llx, 0x%llx bytes; "
			"it must be whole pages below 4 GiB",
			path, name, (unsigned long long)s->gpa, (unsigned long long)s->size);
	/* firmware fills one page of each, and a second would only be a way to be confused */
	if ((s->type == OVMF_SNP_SECRETS || s->type == OVMF_SNP_CPUID) && s->size != PAGE)
		return err_input(
			err,
			"--firmware %.300s: its SEV metadata has %s of 0x%llx bytes; it must "
			"be one page",
			path, name, (unsigned long long)s->size);
	for (unsigned int i = 0; i < sev->n_sections; i++) {
		const struct ovmf_section *o = &sev->sections[i];

		if (ranges_overlap(s->gpa, s->size, o->gpa, o->size))
			return err_input(
				err,
				"--firmware %.300s: its SEV metadata has %s and %s both at "
				"0x%llx",
				path, ovmf_section_name(o->type), name,
				(unsigned long long)max_u64(s->gpa, o->gpa));
	}
	return 0;
}

static unsigned int count(const struct ovmf_sev *sev, enum ovmf_section_type type)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < sev->n_sections; i++)
		n += sev->sections[i].type == type;
	return n;
}

int ovmf_read_sev(const u8 *image, size_t size, const char *path, struct ovmf_sev *sev,
		  struct lkvm_error *err)
{
	static const enum ovmf_section_type once[] = { OVMF_SNP_SECRETS, OVMF_SNP_CPUID };
	u32 n = 0;
	const u8 *p = find_sev(image, size, path, &n, err);

	sev->n_sections = 0;
	if (!p)
		return -EINVAL;
	for (u32 i = 0; i < n; i++, p += SEV_SECTION_LEN) {
		struct ovmf_section s = {
			.gpa = get_le32(p),
			.size = get_le32(p + 4),
			.type = (enum ovmf_section_type)get_le32(p + 8),
		};
		int ret = check_section(sev, &s, path, err);

		if (ret)
			return ret;
		sev->sections[sev->n_sections++] = s;
	}
	for (size_t i = 0; i < ARRAY_SIZE(once); i++) {
		if (count(sev, once[i]) != 1)
			return err_input(err,
					 "--firmware %.300s: its SEV metadata has %u sections %s; "
					 "exactly 1 is needed",
					 path, count(sev, once[i]), ovmf_section_name(once[i]));
	}
	return 0;
}
