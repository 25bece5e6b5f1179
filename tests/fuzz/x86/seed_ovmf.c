/*
 * seed_ovmf DIR: write the seeds of fuzz_ovmf.c there: the ends of images as OVMF's are, with the
 * usual sections, with one of each type, and without metadata.
 */
#include "tests/fuzz/seedfile.h"
#include "tests/unit/x86/mkovmf.h"

#define LEN (MKOVMF_SEV + 16) /* a little more than what is read */

static const struct mkovmf_section each[] = {
	{ 0x800000, 0x9000, 1 }, { 0x80d000, 0x1000, 2 },    { 0x80e000, 0x1000, 3 },
	{ 0x80f000, 0x1000, 4 }, { 0x810000, 0x1000, 0x10 }, { 0xfffff000, 0x1000, 1 },
};

int main(int argc, char **argv)
{
	static u8 usual[MKOVMF_SIZE], all[MKOVMF_SIZE], none[MKOVMF_SIZE];
	const struct seed seeds[] = {
		{ "usual", usual + MKOVMF_SIZE - LEN, LEN },
		{ "each", all + MKOVMF_SIZE - LEN, LEN },
		{ "none", none + MKOVMF_SIZE - LEN, LEN },
	};

	mkovmf(usual, mkovmf_usual, ARRAY_SIZE(mkovmf_usual));
	mkovmf(all, each, ARRAY_SIZE(each));
	mkovmf(none, mkovmf_usual, 1);
	none[MKOVMF_SIZE - MKOVMF_FOOTER - 2 - 16] ^= 1;
	return seedfile_write_all(argc, argv, seeds, ARRAY_SIZE(seeds));
}
