/*
 * The table at the end of a firmware image and its SEV metadata, against any bytes: refused with
 * one message, or sections that a launch can rely on.
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/x86/ovmf.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const u8 *image, size_t size, const u8 *guid)
{
	const u8 *data;
	size_t len;

	if (!ovmf_find(image, size, guid, &data, &len))
		return;
	CHECK(data >= image && range_fits((u64)(data - image), len, size - 18));
}

static void check_section(const struct ovmf_sev *sev, unsigned int i)
{
	const struct ovmf_section *s = &sev->sections[i];

	CHECK(ovmf_section_name(s->type));
	CHECK(s->size && s->size % 4096 == 0 && s->gpa % 4096 == 0);
	CHECK(range_fits(s->gpa, s->size, 4 * GIB));
	for (unsigned int k = 0; k < i; k++)
		CHECK(!ranges_overlap(s->gpa, s->size, sev->sections[k].gpa,
				      sev->sections[k].size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lkvm_error err = { 0 };
	struct ovmf_sev sev;
	int ret;

	check_entry(data, size, ovmf_guid_sev_metadata);
	check_entry(data, size, ovmf_guid_hash_table);
	check_entry(data, size, ovmf_guid_secret_block);
	check_entry(data, size, ovmf_guid_reset_block);
	ret = ovmf_read_sev(data, size, "file", &sev, &err);
	CHECK(!ret == !err.msg[0]);
	CHECK(!ret || (ret == -EINVAL && err.kind == LKVM_ERR_INPUT));
	CHECK(sev.n_sections <= OVMF_MAX_SECTIONS);
	for (unsigned int i = 0; i < sev.n_sections; i++)
		check_section(&sev, i);
	return 0;
}
