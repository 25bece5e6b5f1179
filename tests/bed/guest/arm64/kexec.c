/*
 * kexec KERNEL INITRD COMMAND-LINE - start another kernel from this one, at once
 *
 * Without the orderly shutdown that an init system would do before: devices are found as the
 * old kernel left them. Debian's arm64 kernels have no kexec_file_load(2), so what goes where is
 * decided here: everything in a row from the start of RAM, which is at 2 GiB. The device tree is
 * the running kernel's with another /chosen. KERNEL is an uncompressed Image; what it wants of the
 * places and of x0 to x3 is in the kernel's Documentation/arch/arm64/booting.rst.
 */
#include <fcntl.h>
#include <libfdt.h>
#include <linux/kexec.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RB_KEXEC
#define RB_KEXEC 0x45584543
#endif

#define RAM	  0x80000000ul
#define ALIGN	  0x200000ul /* a kernel's, and what a device tree must not cross */
#define FDT_SPACE ALIGN	     /* the most there may be */
#define PAGE	  0x10000ul  /* of any size that arm64 has */

/* Where the old kernel jumps to, which goes to the new one's entry with its tree in x0. */
struct jump {
	uint32_t code[6];
	uint64_t tree, entry;
};

static void die(const char *what)
{
	fprintf(stderr, "kexec: ");
	perror(what);
	exit(1);
}

static char *slurp(const char *path, size_t *size)
{
	size_t room = 0;
	ssize_t n = 1;
	char *data = NULL;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		die(path);
	for (*size = 0; n > 0; *size += n) {
		if (*size == room) {
			room = room ? 2 * room : 1 << 20;
			data = realloc(data, room);
			if (!data)
				die(path);
		}
		n = read(fd, data + *size, room - *size);
		if (n < 0)
			die(path);
	}
	close(fd);
	return data;
}

static void *new_tree(uint64_t initrd, uint64_t initrd_end, const char *cmdline)
{
	size_t size;
	char *old = slurp("/sys/firmware/fdt", &size), *fdt = calloc(1, FDT_SPACE);
	int chosen, err = fdt_open_into(old, fdt, FDT_SPACE);

	if (!err) {
		chosen = fdt_path_offset(fdt, "/chosen");
		err = chosen < 0 ? chosen : 0;
	}
	if (!err)
		err = fdt_setprop_string(fdt, chosen, "bootargs", cmdline);
	if (!err)
		err = fdt_setprop_u64(fdt, chosen, "linux,initrd-start", initrd);
	if (!err)
		err = fdt_setprop_u64(fdt, chosen, "linux,initrd-end", initrd_end);
	if (err) {
		fprintf(stderr, "kexec: device tree: %s\n", fdt_strerror(err));
		exit(1);
	}
	return fdt;
}

static uint64_t up(uint64_t value, uint64_t step)
{
	return (value + step - 1) / step * step;
}

/* place: a segment of @size bytes at @gpa, of which @data_size are there; where the next may be */
static uint64_t place(struct kexec_segment *seg, const void *data, size_t data_size, uint64_t gpa,
		      size_t size)
{
	seg->buf = data;
	seg->bufsz = data_size;
	seg->mem = (const void *)gpa;
	seg->memsz = up(size, PAGE);
	return gpa + seg->memsz;
}

int main(int argc, char **argv)
{
	struct kexec_segment seg[4];
	uint64_t header[8], next, tree, initrd_gpa;
	size_t kernel_size, initrd_size;
	char *kernel, *initrd;
	struct jump jump = { .code = {
				     0x580000c0, /* ldr x0, tree */
				     0x580000e4, /* ldr x4, entry */
				     0xaa1f03e1, /* mov x1, xzr */
				     0xaa1f03e2, /* mov x2, xzr */
				     0xaa1f03e3, /* mov x3, xzr */
				     0xd61f0080, /* br x4 */
			     } };

	if (argc != 4) {
		fprintf(stderr, "usage: kexec KERNEL INITRD COMMAND-LINE\n");
		return 2;
	}
	kernel = slurp(argv[1], &kernel_size);
	initrd = slurp(argv[2], &initrd_size);
	if (kernel_size < sizeof(header) || memcmp(kernel + 0x38, "ARM\x64", 4)) {
		fprintf(stderr, "kexec: %s is not an arm64 Image\n", argv[1]);
		return 1;
	}
	memcpy(header, kernel, sizeof(header)); /* [1]: text_offset, [2]: image_size */

	next = place(&seg[0], kernel, kernel_size, RAM + header[1], header[2]);
	initrd_gpa = next;
	next = place(&seg[1], initrd, initrd_size, next, initrd_size);
	tree = up(next, ALIGN);
	next = place(&seg[2], new_tree(initrd_gpa, initrd_gpa + initrd_size, argv[3]), FDT_SPACE,
		     tree, FDT_SPACE);
	jump.tree = tree;
	jump.entry = RAM + header[1];
	place(&seg[3], &jump, sizeof(jump), next, sizeof(jump));

	if (syscall(SYS_kexec_load, next, 4UL, seg, (unsigned long)KEXEC_ARCH_DEFAULT))
		die("kexec_load");
	reboot(RB_KEXEC);
	die("reboot");
}
