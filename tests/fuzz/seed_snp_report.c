/* seed_snp_report DIR: write the seeds of fuzz_snp_report.c there. Runs from the top of the tree.
 */
#include "tests/fuzz/seedfile.h"
#include "tests/unit/mkreport.h"

#define GOLDEN "tests/golden/snp/"

static size_t read_file(const char *path, u8 *buf, size_t size)
{
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(buf, 1, size, f) : 0;

	if (f)
		fclose(f);
	else
		perror(path);
	return n;
}

int main(int argc, char **argv)
{
	static u8 raw[LKVM_SNP_REPORT_LEN], turin[LKVM_SNP_REPORT_LEN];
	static u8 framed[LKVM_SNP_REPORT_LEN + MKREPORT_HEADER];
	static u8 good[4096], other[4096];
	size_t len = read_file(GOLDEN "report.bin", good, LKVM_SNP_REPORT_LEN);
	size_t good_len = len + read_file(GOLDEN "vcek.pem", good + len, sizeof(good) - len);
	size_t other_len;

	memcpy(other, good, len);
	other_len = len + read_file(GOLDEN "p256.pem", other + len, sizeof(other) - len);
	mkreport(raw);
	mkreport_framed(framed);
	mkreport(turin);
	put_le32(turin, 5);
	turin[0x188] = 0x1a;
	{
		const struct seed seeds[] = {
			{ "raw", raw, sizeof(raw) },	   { "framed", framed, sizeof(framed) },
			{ "turin", turin, sizeof(turin) }, { "signed", good, good_len },
			{ "other-key", other, other_len }, { "truncated", raw, 1000 },
		};

		return seedfile_write_all(argc, argv, seeds, ARRAY_SIZE(seeds));
	}
}
