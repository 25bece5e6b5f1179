/*
 * seed_image DIR: write the seeds of fuzz_image.c there: good files of each kind, on machines where
 * they just fit and where they do not.
 */
#include "tests/fuzz/seedfile.h"
#include "tests/unit/arm64/mkimage.h"
#include "tests/unit/mkpack.h"

#define HEAD_SIZE 16
#define FILE_MAX  (4 * MK_MAX)
#define RAM	  0x80000000ull

struct maker {
	const char *name;
	size_t (*make)(u8 *file);
	u8 machine; /* index into machines[] of the target */
	u8 flags;   /* 1: firmware */
	u32 initrd;
	u64 firmware_addr;
};

static size_t image_old(u8 *f)
{
	size_t len = mk_arm64_image(f);

	put_le64(f + 16, 0);
	return len;
}

static size_t image_offset(u8 *f)
{
	size_t len = mk_arm64_image(f);

	put_le64(f + 8, 0x80000);
	return len;
}

static size_t image_gzip(u8 *f)
{
	u8 inner[MK_MAX];

	return mk_gzip(f, inner, mk_arm64_image(inner));
}

static size_t image_zboot(u8 *f)
{
	u8 inner[MK_MAX], packed[2 * MK_MAX];

	return mk_zboot(f, "zstd22", packed, mk_zstd(packed, inner, mk_arm64_image(inner)));
}

static size_t elf_low(u8 *f)
{
	return mk_arm64_elf(f, RAM);
}

static size_t elf_high(u8 *f)
{
	return mk_arm64_elf(f, RAM + 0xf0000);
}

static size_t elf_gzip(u8 *f)
{
	u8 inner[MK_MAX];

	return mk_gzip(f, inner, mk_arm64_vmlinux(inner));
}

static size_t elf_x86(u8 *f)
{
	return mk_elf(f);
}

static size_t flat(u8 *f)
{
	memset(f, 0x11, 1000);
	return 1000;
}

static const struct maker makers[] = {
	{ "image", mk_arm64_image, 0, 0, 0, 0 },
	{ "image-initrd", mk_arm64_image, 1, 0, 5000, 0 },
	{ "image-large-initrd", mk_arm64_image, 0, 0, 0xfffff, 0 },
	{ "image-offset", image_offset, 4, 0, 5000, 0 },
	{ "image-old", image_old, 2, 0, 5000, 0 },
	{ "image-gzip", image_gzip, 1, 0, 5000, 0 },
	{ "image-zboot", image_zboot, 1, 0, 5000, 0 },
	{ "elf", elf_low, 1, 0, 5000, 0 },
	{ "elf-high", elf_high, 1, 0, 5000, 0 },
	{ "elf-gzip", elf_gzip, 2, 0, 5000, 0 },
	{ "elf-x86", elf_x86, 1, 0, 0, 0 },
	{ "vmlinux", mk_arm64_vmlinux, 2, 0, 5000, 0 },
	{ "bzimage", mk_bzimage, 1, 0, 0, 0 },
	{ "flat", flat, 0, 0, 0, 0 },
	{ "flat-tiny-machine", flat, 3, 0, 0, 0 },
	{ "firmware", flat, 1, 1, 0, 0 },
	{ "firmware-high", flat, 1, 1, 0, RAM + 0x1ff000 },
	{ "firmware-elsewhere", flat, 1, 1, 0, 0x1000 },
};

int main(int argc, char **argv)
{
	static u8 bytes[ARRAY_SIZE(makers)][HEAD_SIZE + FILE_MAX];
	struct seed seeds[ARRAY_SIZE(makers)];

	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		const struct maker *m = &makers[i];
		size_t len = m->make(bytes[i] + HEAD_SIZE);

		bytes[i][0] = m->machine;
		bytes[i][1] = m->flags;
		put_le32(bytes[i] + 4, m->initrd);
		put_le64(bytes[i] + 8, m->firmware_addr);
		seeds[i] = (struct seed){ m->name, bytes[i], HEAD_SIZE + len };
	}
	return seedfile_write_all(argc, argv, seeds, ARRAY_SIZE(seeds));
}
