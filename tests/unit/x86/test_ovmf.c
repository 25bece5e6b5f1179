/*
 * test_ovmf.c - the table at the end of OVMF's image and its SEV metadata.
 *
 * Does not prove that edk2 lays them out like this: mkovmf.h was written after an image of
 * Debian's.
 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>

#include "arch/x86/ovmf.h"
#include "tests/unit/x86/mkovmf.h"

static u8 image[MKOVMF_SIZE];
static struct ovmf_sev sev;
static struct lkvm_error err;

static u8 *at(size_t back)
{
	return image + MKOVMF_SIZE - back;
}

static int read_sev(void)
{
	memset(&err, 0, sizeof(err));
	return ovmf_read_sev(image, sizeof(image), "fw.fd", &sev, &err);
}

static void assert_refused(const char *why)
{
	assert_int_equal(read_sev(), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" is not in \"%s\"", why, err.msg);
}

static void entries_are_found_by_guid(void **state)
{
	const u8 *data;
	size_t len;

	(void)state;
	mkovmf(image, mkovmf_usual, ARRAY_SIZE(mkovmf_usual));
	assert_true(ovmf_find(image, sizeof(image), ovmf_guid_sev_metadata, &data, &len));
	assert_true(len == 4 && get_le32(data) == MKOVMF_SEV);
	assert_true(ovmf_find(image, sizeof(image), ovmf_guid_reset_block, &data, &len));
	assert_true(len == 4 && get_le32(data) == 0x80b004);
	assert_false(ovmf_find(image, sizeof(image), ovmf_guid_hash_table, &data, &len));
	assert_false(ovmf_find(image, sizeof(image), ovmf_guid_secret_block, &data, &len));
}

static void a_damaged_table_has_no_entries_behind_the_damage(void **state)
{
	static const u16 lengths[] = { 0, 17, 0xffff };
	const u8 *data;
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		mkovmf(image, mkovmf_usual, 5);
		put_le16(at(MKOVMF_FOOTER + 2), lengths[i]);
		assert_false(ovmf_find(image, sizeof(image), ovmf_guid_reset_block, &data, &len));
		mkovmf(image, mkovmf_usual, 5);
		put_le16(at(MKOVMF_FOOTER + 2 + 18), lengths[i]);
		assert_false(ovmf_find(image, sizeof(image), ovmf_guid_reset_block, &data, &len));
	}
	mkovmf(image, mkovmf_usual, 5);
	put_le16(at(MKOVMF_FOOTER + 2), 18 + 22); /* the table ends before the second entry */
	assert_true(ovmf_find(image, sizeof(image), ovmf_guid_sev_metadata, &data, &len));
	assert_false(ovmf_find(image, sizeof(image), ovmf_guid_reset_block, &data, &len));
	for (size_t size = 0; size < MKOVMF_FOOTER + 2; size++)
		assert_false(ovmf_find(at(size), size, ovmf_guid_sev_metadata, &data, &len));
	at(MKOVMF_FOOTER)[3] ^= 1;
	assert_false(ovmf_find(image, sizeof(image), ovmf_guid_sev_metadata, &data, &len));
}

static void sections_are_as_the_image_says(void **state)
{
	(void)state;
	mkovmf(image, mkovmf_usual, ARRAY_SIZE(mkovmf_usual));
	assert_int_equal(read_sev(), 0);
	assert_int_equal(sev.n_sections, 5);
	for (unsigned int i = 0; i < 5; i++) {
		assert_true(sev.sections[i].gpa == mkovmf_usual[i].gpa);
		assert_true(sev.sections[i].size == mkovmf_usual[i].size);
		assert_int_equal(sev.sections[i].type, mkovmf_usual[i].type);
	}
	assert_string_equal(ovmf_section_name(OVMF_SNP_KERNEL_HASHES), "SNP_KERNEL_HASHES");
	assert_null(ovmf_section_name(5));
}

static void firmware_without_metadata_says_what_has_it(void **state)
{
	(void)state;
	mkovmf(image, mkovmf_usual, 5);
	at(MKOVMF_FOOTER + 2)[-16] ^= 1; /* the GUID of its entry */
	assert_refused("fw.fd: has no SEV metadata");
	mkovmf(image, mkovmf_usual, 5);
	put_le32(at(MKOVMF_SEV_OFFSET), MKOVMF_SIZE + 1);
	assert_refused("outside the file");
	put_le32(at(MKOVMF_SEV_OFFSET), 15);
	assert_refused("outside the file");
	mkovmf(image, mkovmf_usual, 5);
	at(MKOVMF_SEV)[0] = 'B';
	assert_refused("not of version 1");
	mkovmf(image, mkovmf_usual, 5);
	put_le32(at(MKOVMF_SEV) + 8, 2);
	assert_refused("not of version 1");
}

static void the_number_of_sections_fits_the_length(void **state)
{
	static const u32 n[] = { 0, 4, 6, OVMF_MAX_SECTIONS + 1, 0x15555556, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(n); i++) {
		mkovmf(image, mkovmf_usual, 5);
		put_le32(at(MKOVMF_SEV) + 12, n[i]);
		assert_refused("sections in 76 bytes");
	}
	/* all of it lies in the file */
	mkovmf(image, mkovmf_usual, 5);
	memmove(at(64), at(MKOVMF_SEV), 16);
	put_le32(at(MKOVMF_SEV_OFFSET), 64);
	assert_int_equal(read_sev(), -EINVAL);
}

static void sections_are_pages_below_4_gib_and_apart(void **state)
{
	static const struct {
		struct mkovmf_section s;
		const char *why;
	} bad[] = {
		{ { 0x900800, 0x1000, 1 }, "SNP_SEC_MEM at 0x900800, 0x1000 bytes; it must be" },
		{ { 0x900000, 0x1001, 1 }, "whole pages" },
		{ { 0x900000, 0, 1 }, "whole pages" },
		{ { 0xfffff000, 0x2000, 0x10 }, "SNP_KERNEL_HASHES at 0xfffff000" },
		{ { 0x900000, 0x1000, 7 }, "type 0x7, which lkvm does not know" },
		{ { 0x900000, 0x2000, 2 }, "SNP_SECRETS of 0x2000 bytes; it must be one page" },
		{ { 0x80e000, 0x1000, 4 }, "SNP_CPUID and SVSM_CAA both at 0x80e000" },
		{ { 0x700000, 0x200000, 1 }, "both at 0x800000" },
		{ { 0x900000, 0x1000, 3 }, "2 sections SNP_CPUID; exactly 1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mkovmf_section s[6];

		memcpy(s, mkovmf_usual, sizeof(mkovmf_usual));
		s[5] = bad[i].s;
		mkovmf(image, s, 6);
		assert_refused(bad[i].why);
	}
	mkovmf(image, mkovmf_usual, 2);
	assert_refused("0 sections SNP_SECRETS; exactly 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_found_by_guid),
		cmocka_unit_test(a_damaged_table_has_no_entries_behind_the_damage),
		cmocka_unit_test(sections_are_as_the_image_says),
		cmocka_unit_test(firmware_without_metadata_says_what_has_it),
		cmocka_unit_test(the_number_of_sections_fits_the_length),
		cmocka_unit_test(sections_are_pages_below_4_gib_and_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
