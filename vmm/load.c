#include "vmm/load.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int load_image(const struct image *img, u64 off, u64 len, const struct gmem *gm, u64 gpa,
	       struct lkvm_error *err)
{
	int ret = gmem_read_file(gm, gpa, img->fd, off, len);

	switch (ret) {
	case 0:
		return 0;
	case -EFAULT:
		return err_input(err, "%s %s: 0x%llx bytes at guest address 0x%llx are not RAM",
				 img->what, img->path, (unsigned long long)len,
				 (unsigned long long)gpa);
	case -ENODATA:
	case -EOVERFLOW:
		return err_input(err, "%s %s is truncated: it ends before byte %llu", img->what,
				 img->path, (unsigned long long)(off + len));
	}
	return err_host(err, -ret, "%s %s: read", img->what, img->path);
}

/* The top of the room [@lo, @hi), if it is large enough. */
static bool place_at_top(u64 size, u64 lo, u64 hi, u64 *gpa, u64 *largest)
{
	u64 room;

	if (lo >= hi)
		return false;
	/* does not wrap: @hi is at most the end of a region, which is page aligned */
	lo = align_up(lo, GMEM_PAGE_SIZE);
	room = hi > lo ? hi - lo : 0;
	*largest = max_u64(*largest, room);
	if (!size || size > room)
		return false;
	*gpa = align_down(hi - size, GMEM_PAGE_SIZE);
	return true;
}

int load_place(const struct gmem *gm, u64 size, u64 lo, u64 hi, u64 busy, u64 busy_size, u64 *gpa,
	       u64 *largest)
{
	for (unsigned int i = gm->n_regions; i-- > 0;) {
		const struct gmem_region *r = &gm->regions[i];
		u64 from = max_u64(lo, r->gpa);
		u64 to = min_u64(hi, r->gpa + r->size);

		if (from >= to)
			continue;
		if (!ranges_overlap(from, to - from, busy, busy_size)) {
			if (place_at_top(size, from, to, gpa, largest))
				return 0;
			continue;
		}
		if (place_at_top(size, busy + busy_size, to, gpa, largest) ||
		    place_at_top(size, from, busy, gpa, largest))
			return 0;
	}
	return -ENOSPC;
}

/* ---- names of formats ---- */

struct magic {
	u16 off;
	u16 len;
	char bytes[8];
	const char *name;
};

/*
 * The first match counts: formats that are also PE files come before those told by
 * their PE header. Sources: Documentation/arch/arm64/booting.rst, arch/riscv/boot-image-header.rst,
 * the EFI zboot header, and the published formats of the others.
 */
static const struct magic magics[] = {
	{ 56, 4, "ARM\x64", "an arm64 Image" },
	{ 56, 4, "RSC\x05", "a RISC-V Image" },
	{ 4, 4, "zimg", "a compressed EFI kernel (zboot)" },
	{ 0x24, 4, "\x18\x28\x6f\x01", "a 32-bit ARM zImage" },
	{ 0, 2, "\x1f\x8b", "a gzip-compressed file" },
	{ 0, 5, "\3757zXZ", "an xz-compressed file" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "a zstd-compressed file" },
	{ 0, 3, "BZh", "a bzip2-compressed file" },
	{ 0, 4, "\x02\x21\x4c\x18", "an lz4-compressed file" },
	{ 0, 4, "\x04\x22\x4d\x18", "an lz4-compressed file" },
	{ 0, 4, "\x89LZO", "an lzop-compressed file" },
	{ 0, 5, "07070", "a cpio archive (an initrd?)" },
	{ 0, 4, "\x27\x05\x19\x56", "a U-Boot uImage" },
	{ 0, 4, "\xd0\x0d\xfe\xed", "a flattened device tree or FIT image" },
	{ 0, 8, "!<arch>\n", "an ar archive" },
	{ 0, 4, "QFI\xfb", "a qcow2 disk image" },
	{ 0, 2, "#!", "a script" },
	{ 0, 4, "\177ELF", "an ELF file" },
	{ 0, 8, "ANDROID!", "an Android boot image" },
	{ 0, 4, "hsqs", "a squashfs image" },
	{ 0, 4, "KDMV", "a VMDK disk image" },
	{ 0, 8, "vhdxfile", "a VHDX disk image" },
	{ 0, 4, "PK\3\4", "a zip archive" },
	{ 0, 4, "\xed\xab\xee\xdb", "an RPM package" },
	{ 257, 5, "ustar", "a tar archive" },
	{ 512, 8, "EFI PART", "a disk image with partitions" },
	{ 1024, 4, "\xe2\xe1\xf5\xe0", "an EROFS image" },
};

/* The set-up header of boot.rst: the boot sector's mark, and "HdrS" behind a jump. */
static bool is_bzimage(const u8 *head, size_t n)
{
	return n >= 0x206 && get_le16(head + 0x1fe) == 0xaa55 && !memcmp(head + 0x202, "HdrS", 4);
}

/*
 * lzma has no magic, and code may well begin as one of its files does. So the fields of
 * its header must be such as its programs write: properties 0x5d, a dictionary of 2^n or 3 * 2^n
 * bytes, and a size that is unknown (all ones) or below 256 GiB.
 */
static bool is_lzma(const u8 *head, size_t n)
{
	u64 dict, size;

	if (n < 13 || head[0] != 0x5d)
		return false;
	dict = get_le32(head + 1);
	size = get_le64(head + 5);
	if (dict % 3 == 0)
		dict /= 3;
	return dict >= 4 * KIB && !(dict & (dict - 1)) && (size == UINT64_MAX || size < 256 * GIB);
}

/* s_magic of the superblock, and, as that is short, s_log_block_size and s_rev_level. */
static bool is_ext4(const u8 *head, size_t n)
{
	const u8 *sb = head + 1024;

	return n >= 1024 + 0x50 && get_le16(sb + 0x38) == 0xef53 && get_le32(sb + 0x18) <= 6 &&
	       get_le32(sb + 0x4c) <= 1;
}

/* Machine types of the PE/COFF specification. */
static const struct {
	u16 machine;
	const char *name;
} pe_machines[] = {
	{ 0x014c, "an EFI program for 32-bit x86" },  { 0x8664, "an EFI program for x86-64" },
	{ 0xaa64, "an EFI program for arm64" },	      { 0x01c2, "an EFI program for 32-bit ARM" },
	{ 0x6264, "an EFI program for LoongArch64" }, { 0x6232, "an EFI program for LoongArch32" },
	{ 0x5064, "an EFI program for RISC-V 64" },   { 0x5032, "an EFI program for RISC-V 32" },
};

static const char *pe_name(const u8 *head, size_t n)
{
	u32 off;

	if (n < 0x40 || memcmp(head, "MZ", 2))
		return NULL;
	off = get_le32(head + 0x3c);
	if (!range_fits(off, 6, n) || memcmp(head + off, "PE\0", 4))
		return "a DOS or PE program";
	for (size_t i = 0; i < ARRAY_SIZE(pe_machines); i++)
		if (get_le16(head + off + 4) == pe_machines[i].machine)
			return pe_machines[i].name;
	return "an EFI program for another machine";
}

const char *load_format_name(const u8 *head, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];

		if (range_fits(m->off, m->len, n) && !memcmp(head + m->off, m->bytes, m->len))
			return m->name;
	}
	if (is_bzimage(head, n))
		return "an x86 bzImage";
	if (is_lzma(head, n))
		return "an lzma-compressed file";
	if (is_ext4(head, n))
		return "an ext4 image";
	return pe_name(head, n);
}

/* ---- the other way ------------------------------------------------------------------ */

static bool is_file(const struct stat *st, const char *path)
{
	struct stat other;

	return path[0] && !stat(path, &other) && st->st_dev == other.st_dev &&
	       st->st_ino == other.st_ino;
}

/* The option but for @option that gives the machine the file @st; NULL: none. */
static const char *find_use(const struct lkvm_config *cfg, const char *option,
			    const struct stat *st)
{
	const struct {
		const char *option, *path;
	} files[] = {
		{ "--kernel", cfg->kernel },	    { "--initrd", cfg->initrd },
		{ "--firmware", cfg->firmware },    { "--flash", cfg->flash },
		{ "--snp", cfg->x86.snp.id_block }, { "--snp", cfg->x86.snp.id_auth },
		{ "--snp", cfg->x86.snp.certs },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (strcmp(files[i].option, option) && is_file(st, files[i].path))
			return files[i].option;
	}
	for (unsigned int i = 0; i < cfg->n_disks; i++) {
		if (is_file(st, cfg->disks[i].path))
			return "--disk";
	}
	return NULL;
}

int load_check_flash(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	const char *use;
	struct stat st;

	if (!cfg->flash[0] || stat(cfg->flash, &st))
		return 0;
	use = find_use(cfg, "--flash", &st);
	if (!use)
		return 0;
	return err_input(err, "--flash %s: is also the %s; the guest writes to it", cfg->flash,
			 use);
}

/* Truncated once it is known to be a file of its own: opening a pipe must not wait for its reader.
 */
int load_dump(const struct lkvm_config *cfg, const char *option, const char *path, const void *data,
	      size_t len, struct lkvm_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
	const char *use;
	struct stat st;
	int code = 0;
	ssize_t n;

	if (fd < 0)
		return err_input(err, "%s %s: cannot be written: %s", option, path,
				 err_text(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_input(err, "%s %s: not a regular file", option, path);
	}
	use = find_use(cfg, option, &st);
	if (use) {
		close(fd);
		return err_input(err, "%s %s: is also the %s", option, path, use);
	}
	n = ftruncate(fd, 0) ? -1 : write(fd, data, len);
	if (n != (ssize_t)len)
		code = n < 0 ? errno : ENOSPC;
	if (close(fd) && !code)
		code = errno;
	return code ? err_host(err, code, "%s %s", option, path) : 0;
}
