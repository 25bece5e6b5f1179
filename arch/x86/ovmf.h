/*
 * ovmf.h - what OVMF says of itself at the end of its image (x86-64).
 *
 * A table that is read backwards from its footer, 0x30 bytes before 4 GiB: data, u16 length of all
 * that, GUID; and again. One entry leads to the SEV metadata, a list of the guest pages that a
 * launch has to provide (edk2: OvmfPkg/ResetVector, Ia16/ResetVectorVtf0.asm,
 * X64/OvmfSevMetadata.asm). Pure functions over bytes that are not trusted.
 */
#ifndef LKVM_ARCH_X86_OVMF_H
#define LKVM_ARCH_X86_OVMF_H

#include "vmm/base.h"
#include "vmm/err.h"

#define OVMF_GUID_LEN	  16
#define OVMF_MAX_SECTIONS 32 /* there are 5 to 10 */

/* GUIDs of entries, as bytes of the table. */
extern const u8 ovmf_guid_sev_metadata[OVMF_GUID_LEN];
extern const u8 ovmf_guid_hash_table[OVMF_GUID_LEN];
extern const u8 ovmf_guid_secret_block[OVMF_GUID_LEN];
extern const u8 ovmf_guid_reset_block[OVMF_GUID_LEN];

/*
 * The data of the entry @guid in the image [image, image + size): *@data points into it. False:
 * there is no table, it is damaged before that entry, or has no such entry.
 */
bool ovmf_find(const u8 *image, size_t size, const u8 *guid, const u8 **data, size_t *len);

enum ovmf_section_type {
	OVMF_SNP_SEC_MEM = 1, /* to be valid and zero before the first instruction */
	OVMF_SNP_SECRETS = 2,
	OVMF_SNP_CPUID = 3,
	OVMF_SNP_SVSM_CAA = 4,
	OVMF_SNP_KERNEL_HASHES = 0x10,
};

/* "SNP_SECRETS"; NULL for a type that is not one of these. */
const char *ovmf_section_name(u32 type);

struct ovmf_section {
	u64 gpa;
	u64 size; /* bytes, not 0 */
	enum ovmf_section_type type;
};

struct ovmf_sev {
	struct ovmf_section sections[OVMF_MAX_SECTIONS]; /* in the image's order, disjoint */
	unsigned int n_sections;
};

/*
 * The SEV metadata of the image: whole pages below 4 GiB, one page each for secrets and CPUID.
 * @path is for the message: LKVM_ERR_INPUT when there is none, or none that can be used.
 */
int ovmf_read_sev(const u8 *image, size_t size, const char *path, struct ovmf_sev *sev,
		  struct lkvm_error *err);

#endif
