/*
 * The loaders of kernels and initrds against any file: bzImage, ELF, Multiboot, and whatever else.
 *
 * An input is 16 bytes that choose the machine, then the kernel file. Besides not
 * crashing, a boot must be refused with one message or leave in memory what was
 * asked for: the initrd and the command line whole, beside the kernel, and an entry that is code.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/x86/boot.h"
#include "arch/x86/layout.h"
#include "vmm/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_SIZE   16
#define INITRD_FILL 0xd1 /* no loader writes it, so that finding it means something */

/* Small, because an input that fills memory with zeroes is slow and shows nothing. */
static const struct {
	u64 low, high; /* bytes below and above 4 GiB */
} machines[] = {
	{ 4 * MIB, 0 },	      { 20 * MIB, 0 },	     { 4 * MIB, 2 * MIB }, { 20 * MIB, 2 * MIB },
	{ 1 * MIB, 4 * MIB }, { 2 * MIB, 64 * KIB }, { 64 * KIB, 0 },	   { X86_HOLE_START, MIB },
};

#define CHECK(cond) ((cond) ? (void)0 : fail(#cond, __LINE__))

static void fail(const char *what, int line)
{
	fprintf(stderr, "fuzz_kernel.c:%d: not so: %s\n", line, what);
	abort();
}

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

static u64 guest_value(const struct gmem *gm, u64 gpa, size_t len)
{
	u8 b[8] = { 0 };

	CHECK(!gmem_read(gm, gpa, b, len));
	return get_le64(b);
}

/* What the kernel will find out about its initrd and command line. */
struct handover {
	u64 initrd, initrd_size, cmdline;
};

static struct handover read_zero_page(const struct gmem *gm, u64 gpa)
{
	return (struct handover){
		.initrd = guest_value(gm, gpa + 0x218, 4) | guest_value(gm, gpa + 0xc0, 4) << 32,
		.initrd_size = guest_value(gm, gpa + 0x21c, 4) | guest_value(gm, gpa + 0xc4, 4)
									 << 32,
		.cmdline = guest_value(gm, gpa + 0x228, 4) | guest_value(gm, gpa + 0xc8, 4) << 32,
	};
}

static struct handover read_start_info(const struct gmem *gm, u64 gpa)
{
	struct handover h = { .cmdline = guest_value(gm, gpa + 24, 8) };

	CHECK(guest_value(gm, gpa, 4) == 0x336ec578);
	if (guest_value(gm, gpa + 12, 4)) {
		u64 module = guest_value(gm, gpa + 16, 8);

		h.initrd = guest_value(gm, module, 8);
		h.initrd_size = guest_value(gm, module + 8, 8);
		CHECK(h.initrd + h.initrd_size <= 4 * GIB);
	}
	return h;
}

static struct handover read_multiboot(const struct gmem *gm, u64 gpa)
{
	struct handover h = { .cmdline = guest_value(gm, gpa + 16, 4) };
	u64 map = guest_value(gm, gpa + 48, 4), end = map + guest_value(gm, gpa + 44, 4);

	CHECK(gpa % 4096 == 0 && gpa + 8192 <= X86_HOLE_START);
	CHECK(gpa + 8192 <= X86_EBDA_GPA || gpa >= X86_HIGH_RAM_GPA);
	CHECK(guest_value(gm, gpa, 4) == 0x24d);
	for (; map < end; map += guest_value(gm, map, 4) + 4)
		CHECK(guest_value(gm, map, 4) == 20);
	CHECK(map == end);
	if (guest_value(gm, gpa + 20, 4)) {
		u64 module = guest_value(gm, gpa + 24, 4);

		h.initrd = guest_value(gm, module, 4);
		h.initrd_size = guest_value(gm, module + 4, 4) - h.initrd;
		CHECK(h.initrd + h.initrd_size <= X86_HOLE_START);
		CHECK(!ranges_overlap(h.initrd, h.initrd_size, gpa, 8192));
	}
	return h;
}

static struct handover read_handover(const struct gmem *gm, const struct boot_entry *entry)
{
	switch (entry->mode) {
	case BOOT_ENTRY_PVH:
		return read_start_info(gm, entry->param);
	case BOOT_ENTRY_MULTIBOOT:
		CHECK(!ranges_overlap(entry->param, 8192, entry->pc, 1));
		return read_multiboot(gm, entry->param);
	default:
		return read_zero_page(gm, entry->param);
	}
}

static void check_handover(const struct gmem *gm, const struct boot_entry *entry,
			   const struct lkvm_config *cfg, const struct image *initrd)
{
	struct handover h = read_handover(gm, entry);
	u64 lowest = entry->mode == BOOT_ENTRY_MULTIBOOT ? 0 : X86_HIGH_RAM_GPA;
	size_t len = strlen(cfg->cmdline) + 1;
	u8 buf[LKVM_CMDLINE_MAX];

	CHECK(gmem_contains(gm, entry->pc, 1));
	CHECK(entry->pc >= lowest && entry->pc < X86_HOLE_START);
	CHECK(!gmem_read(gm, h.cmdline, buf, len));
	CHECK(!memcmp(buf, cfg->cmdline, len));

	CHECK(h.initrd_size == initrd->size);
	if (!h.initrd_size)
		return;
	CHECK(h.initrd % 4096 == 0 && h.initrd >= X86_HIGH_RAM_GPA);
	CHECK(!ranges_overlap(h.initrd, h.initrd_size, entry->pc, 1));
	for (u64 off = 0; off < h.initrd_size; off += 997)
		CHECK(guest_value(gm, h.initrd + off, 1) == INITRD_FILL);
	CHECK(guest_value(gm, h.initrd + h.initrd_size - 1, 1) == INITRD_FILL);
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
	else if (initrd->fd >= 0) {
		close(initrd->fd);
		*initrd = (struct image)IMAGE_NONE;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image kernel = IMAGE_NONE, initrd = IMAGE_NONE;
	static struct lkvm_config cfg;
	struct boot_entry entry = { 0 };
	struct lkvm_error err = { 0 };
	struct gmem gm = { 0 };
	char name[160] = "";
	unsigned int m;
	int ret;

	if (size < HEAD_SIZE)
		return 0;
	m = data[0] % ARRAY_SIZE(machines);
	cfg.boot = (enum lkvm_boot)(data[1] % 3);
	memset(cfg.cmdline, 'c', sizeof(cfg.cmdline));
	cfg.cmdline[get_le16(data + 2) % LKVM_CMDLINE_MAX] = 0;
	set_initrd(&initrd, get_le32(data + 4));
	set_file(&kernel, "kernel", data + HEAD_SIZE, size - HEAD_SIZE);

	CHECK(!gmem_add(&gm, 0, machines[m].low, NULL));
	if (machines[m].high)
		CHECK(!gmem_add(&gm, X86_HOLE_END, machines[m].high, NULL));

	ret = boot_load(&cfg, &kernel, &initrd, &gm, &entry, &err);
	CHECK(!ret == !err.msg[0]);
	CHECK(!ret == (err.kind == LKVM_ERR_NONE));
	CHECK(!ret || (ret == -EINVAL && err.kind == LKVM_ERR_INPUT));
	CHECK(!strchr(err.msg, '\n'));
	if (!ret)
		check_handover(&gm, &entry, &cfg, &initrd);

	elf_symbol(&kernel, get_le64(data + 8), name, sizeof(name));
	CHECK(name[0] && strlen(name) < sizeof(name));
	gmem_fini(&gm);
	return 0;
}
