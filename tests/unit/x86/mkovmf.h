/* mkovmf.h - an image of firmware with the table and the SEV metadata that OVMF has. */
#ifndef LKVM_TESTS_MKOVMF_H
#define LKVM_TESTS_MKOVMF_H

#include "vmm/base.h"

#define MKOVMF_SIZE (64 * KIB)

/* Where things are, from the end of the image. */
#define MKOVMF_FOOTER	  0x30	/* GUID; its length is in the 2 bytes before */
#define MKOVMF_SEV	  0x800 /* header of the metadata; sections follow */
#define MKOVMF_SEV_ENTRY  (MKOVMF_FOOTER + 2 + 22)
#define MKOVMF_SEV_OFFSET MKOVMF_SEV_ENTRY /* u32: the data of its entry */

struct mkovmf_section {
	u32 gpa, size, type;
};

/* Those of edk2's OvmfPkgX64, less the SVSM's. */
static const struct mkovmf_section mkovmf_usual[] = {
	{ 0x800000, 0x9000, 1 }, { 0x80a000, 0x3000, 1 },  { 0x80d000, 0x1000, 2 },
	{ 0x80e000, 0x1000, 3 }, { 0x80f000, 0x11000, 1 },
};

/* Bytes as they are in edk2's GUIDs: read off an image of Debian's package. */
static const u8 mkovmf_guid_footer[16] = { 0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45,
					   0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d };
static const u8 mkovmf_guid_sev[16] = { 0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47,
					0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc };
static const u8 mkovmf_guid_reset[16] = { 0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f,
					  0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e };

/* One entry that ends @back bytes before the end of the image; returns where the next one ends. */
static inline size_t mkovmf_entry(u8 *image, size_t back, const u8 *guid, const void *data,
				  size_t len)
{
	u8 *end = image + MKOVMF_SIZE - back;

	memcpy(end - 16, guid, 16);
	put_le16(end - 18, (u16)(len + 18));
	memcpy(end - 18 - len, data, len);
	return back + 18 + len;
}

/* @image has MKOVMF_SIZE bytes. */
static inline void mkovmf(u8 *image, const struct mkovmf_section *s, u32 n)
{
	u8 *sev = image + MKOVMF_SIZE - MKOVMF_SEV, off[4], eip[4] = { 4, 0xb0, 0x80, 0 };
	size_t back;

	for (size_t i = 0; i < MKOVMF_SIZE; i++)
		image[i] = (u8)(i >> 8 ^ i);
	put_le32(off, MKOVMF_SEV);
	memcpy(image + MKOVMF_SIZE - MKOVMF_FOOTER, mkovmf_guid_footer, 16);
	back = mkovmf_entry(image, MKOVMF_FOOTER + 2, mkovmf_guid_sev, off, 4);
	back = mkovmf_entry(image, back, mkovmf_guid_reset, eip, 4);
	put_le16(image + MKOVMF_SIZE - MKOVMF_FOOTER - 2, (u16)(back - MKOVMF_FOOTER - 2 + 18));
	memcpy(sev, "ASEV", 4);
	put_le32(sev + 4, 16 + 12 * n);
	put_le32(sev + 8, 1);
	put_le32(sev + 12, n);
	for (u32 i = 0; i < n; i++) {
		put_le32(sev + 16 + 12 * i, s[i].gpa);
		put_le32(sev + 20 + 12 * i, s[i].size);
		put_le32(sev + 24 + 12 * i, s[i].type);
	}
}

#endif
