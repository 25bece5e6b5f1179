/*
 * outport PORT VALUE [SIZE] - write VALUE to an x86 I/O port in SIZE (1, 2 or 4) bytes
 *
 * How a script in a Linux guest reaches the debug-exit port: Debian's kernels have no /dev/port.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>

int main(int argc, char **argv)
{
	unsigned long port, value, size;

	if (argc < 3) {
		fprintf(stderr, "usage: outport PORT VALUE [1|2|4]\n");
		return 2;
	}
	port = strtoul(argv[1], NULL, 0);
	value = strtoul(argv[2], NULL, 0);
	size = argc > 3 ? strtoul(argv[3], NULL, 0) : 1;
	if (iopl(3)) {
		perror("outport: iopl");
		return 1;
	}
	if (size == 4)
		outl(value, port);
	else if (size == 2)
		outw(value, port);
	else
		outb(value, port);
	return 0;
}
