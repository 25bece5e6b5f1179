/*
 * kexec KERNEL INITRD COMMAND-LINE - start another kernel from this one, at once
 *
 * Without the orderly shutdown that an init system would do before: devices are found as the
 * old kernel left them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RB_KEXEC
#define RB_KEXEC 0x45584543
#endif

int main(int argc, char **argv)
{
	int kernel, initrd;

	if (argc != 4) {
		fprintf(stderr, "usage: kexec KERNEL INITRD COMMAND-LINE\n");
		return 2;
	}
	kernel = open(argv[1], O_RDONLY);
	initrd = open(argv[2], O_RDONLY);
	if (kernel < 0 || initrd < 0) {
		perror("kexec: open");
		return 1;
	}
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], 0UL)) {
		perror("kexec: kexec_file_load");
		return 1;
	}
	reboot(RB_KEXEC);
	perror("kexec: reboot");
	return 1;
}
