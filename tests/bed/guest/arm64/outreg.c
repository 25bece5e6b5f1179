/*
 * outreg ADDRESS VALUE [SIZE] - write VALUE to a device register in SIZE (4, or 1, 2, 8) bytes
 *
 * How a script in a Linux guest reaches the debug-exit register.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long addr, value, size, page = sysconf(_SC_PAGESIZE);
	void *reg;
	char *map;
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: outreg ADDRESS VALUE [1|2|4|8]\n");
		return 2;
	}
	addr = strtoul(argv[1], NULL, 0);
	value = strtoul(argv[2], NULL, 0);
	size = argc > 3 ? strtoul(argv[3], NULL, 0) : 4;
	fd = open("/dev/mem", O_RDWR | O_SYNC); /* O_SYNC: as device memory */
	if (fd < 0) {
		perror("outreg: /dev/mem");
		return 1;
	}
	map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, addr & ~(page - 1));
	if (map == MAP_FAILED) {
		perror("outreg: mmap");
		return 1;
	}
	reg = map + (addr & (page - 1));
	if (size == 8)
		*(volatile uint64_t *)reg = value;
	else if (size == 4)
		*(volatile uint32_t *)reg = value;
	else if (size == 2)
		*(volatile uint16_t *)reg = value;
	else
		*(volatile uint8_t *)reg = value;
	return 0;
}
