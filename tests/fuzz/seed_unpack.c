/* seed_unpack DIR: write the seeds of fuzz_unpack.c there: good files of each kind, and bombs. */
#include "tests/fuzz/seedfile.h"
#include "tests/unit/mkpack.h"

#define HEAD_SIZE   4
#define CONTENT_LEN 300
#define MAX	    4096

struct maker {
	const char *name;
	size_t (*make)(u8 *file, const u8 *content);
	u8 mode; /* of the target */
};

static size_t gzip(u8 *f, const u8 *content)
{
	return mk_gzip(f, content, CONTENT_LEN);
}

static size_t gzip_twice(u8 *f, const u8 *content)
{
	size_t len = mk_gzip(f, content, CONTENT_LEN);

	return len + mk_gzip(f + len, content, 10);
}

static size_t zboot_gzip(u8 *f, const u8 *content)
{
	u8 packed[MAX];

	return mk_zboot(f, "gzip", packed, mk_gzip(packed, content, CONTENT_LEN));
}

static size_t zboot_zstd(u8 *f, const u8 *content)
{
	u8 packed[MAX];

	return mk_zboot(f, "zstd22", packed, mk_zstd(packed, content, CONTENT_LEN));
}

static size_t zboot_bomb(u8 *f, const u8 *content)
{
	u8 packed[MAX];

	return mk_zboot(f, "zstd", packed, mk_zstd_bomb(packed, content[1], 100));
}

static size_t zboot_lz4(u8 *f, const u8 *content)
{
	return mk_zboot(f, "lz4", content, CONTENT_LEN);
}

static size_t plain(u8 *f, const u8 *content)
{
	memcpy(f, content, CONTENT_LEN);
	return CONTENT_LEN;
}

static const struct maker makers[] = {
	{ "gzip", gzip, 0 },
	{ "gzip-twice", gzip_twice, 0 },
	{ "zboot-gzip", zboot_gzip, 0 },
	{ "zboot-zstd", zboot_zstd, 0 },
	{ "zboot-bomb", zboot_bomb, 0 },
	{ "zboot-lz4", zboot_lz4, 0 },
	{ "plain", plain, 0 },
	{ "content-gzip", plain, 1 },
	{ "content-zboot-gzip", plain, 2 },
	{ "content-zboot-zstd", plain, 3 },
};

int main(int argc, char **argv)
{
	static u8 bytes[ARRAY_SIZE(makers)][HEAD_SIZE + 2 * MAX];
	struct seed seeds[ARRAY_SIZE(makers)];
	u8 content[CONTENT_LEN];

	for (size_t i = 0; i < CONTENT_LEN; i++)
		content[i] = (u8)(i * i >> 3);
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		size_t len = makers[i].make(bytes[i] + HEAD_SIZE, content);

		put_le32(bytes[i], 0x10000 << 8 | makers[i].mode);
		seeds[i] = (struct seed){ makers[i].name, bytes[i], HEAD_SIZE + len };
	}
	return seedfile_write_all(argc, argv, seeds, ARRAY_SIZE(seeds));
}
