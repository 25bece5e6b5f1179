/*
 * The loaders of arm64 kernels, firmware and initrds against any file: Image, ELF, packed, flat.
 *
 * Besides not crashing, a boot must be refused with one message or leave in memory what was
 * asked for: an entry in RAM, the initrd whole, and room for a device tree that nothing is in.
 *
 * Input: 16 bytes that choose the machine (byte 0: memory, byte 1: bit 0 firmware instead of a
 * kernel, 4-7: size of the initrd, 8-15: where the firmware goes), then the file.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/arm64/boot.h"
#include "arch/arm64/layout.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_SIZE   16
#define INITRD_FILL 0xd1 /* no loader writes it, so that finding it means something */

/* Small, because an input that fills memory with zeroes is slow and shows nothing. */
static const u64 machines[] = { 4 * MIB, 6 * MIB, 20 * MIB, 64 * KIB, 5 * MIB + 4096 };

static void set_file(struct image *img, const char *what, const void *bytes, size_t len)
{
	if (img->fd < 0)
		img->fd = memfd_create(what, MFD_CLOEXEC);
	img->what = what;
	img->path = "file";
	img->size = len;
	CHECK(img->fd >= 0);
	CHECK(!ftruncate(img->fd, 0));
	CHECK(pwrite(img->fd, bytes, len, 0) == (ssize_t)len);
}

static void set_initrd(struct image *initrd, size_t len)
{
	static u8 fill[3 * MIB];

	if (len > sizeof(fill))
		len = sizeof(fill);
	if (!fill[0])
		memset(fill, INITRD_FILL, sizeof(fill));
	if (len)
		set_file(initrd, "initrd", fill, len);
	else
		image_close(initrd);
}

static u8 guest_byte(const struct gmem *gm, u64 gpa)
{
	u8 b;

	CHECK(!gmem_read(gm, gpa, &b, 1));
	return b;
}

static void check_entry(const struct gmem *gm, const struct boot_entry *entry,
			const struct image *initrd)
{
	CHECK(gmem_contains(gm, entry->pc, 1));
	CHECK(entry->fdt_gpa % (2 * MIB) == 0);
	CHECK(gmem_contains(gm, entry->fdt_gpa, ARM64_FDT_MAX));
	CHECK(entry->pc < entry->fdt_gpa);
	/* memory is fresh: what is not 0 was loaded */
	for (u64 off = 0; off < ARM64_FDT_MAX; off += 509)
		CHECK(!guest_byte(gm, entry->fdt_gpa + off));

	CHECK(entry->initrd_size == initrd->size);
	if (!entry->initrd_size)
		return;
	CHECK(entry->initrd_gpa % 4096 == 0);
	CHECK(!ranges_overlap(entry->initrd_gpa, entry->initrd_size, entry->fdt_gpa,
			      ARM64_FDT_MAX));
	for (u64 off = 0; off < entry->initrd_size; off += 997)
		CHECK(guest_byte(gm, entry->initrd_gpa + off) == INITRD_FILL);
	CHECK(guest_byte(gm, entry->initrd_gpa + entry->initrd_size - 1) == INITRD_FILL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image file = IMAGE_NONE, initrd = IMAGE_NONE;
	static const struct image none = IMAGE_NONE;
	static const struct log silent;
	static struct lkvm_config cfg;
	struct boot_files files = { &none, &initrd, &none };
	struct boot_entry entry = { 0 };
	struct lkvm_error err = { 0 };
	struct gmem gm = { 0 };
	int ret;

	if (size <= HEAD_SIZE)
		return 0;
	cfg.mem_size = machines[data[0] % ARRAY_SIZE(machines)];
	cfg.firmware_addr = get_le64(data + 8);
	set_initrd(&initrd, get_le32(data + 4));
	set_file(&file, data[1] & 1 ? "firmware" : "kernel", data + HEAD_SIZE, size - HEAD_SIZE);
	*(data[1] & 1 ? &files.firmware : &files.kernel) = &file;

	CHECK(!gmem_add(&gm, ARM64_RAM_BASE, cfg.mem_size, NULL));
	ret = boot_load(&cfg, &files, &gm, &silent, &entry, &err);
	CHECK(!ret == !err.msg[0]);
	CHECK(!ret == (err.kind == LKVM_ERR_NONE));
	CHECK(!ret || (ret == -EINVAL && err.kind == LKVM_ERR_INPUT));
	CHECK(!strchr(err.msg, '\n'));
	if (!ret)
		check_entry(&gm, &entry, &initrd);
	gmem_fini(&gm);
	return 0;
}
