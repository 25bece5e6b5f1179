/* cycles - count the CPU cycles of a loop by the PMU, and say how many: "cycles N" */
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_CPU_CYCLES,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	volatile unsigned int i;
	uint64_t n;

	for (i = 0; i < 1000000; i++)
		;
	if (fd < 0 || read(fd, &n, sizeof(n)) != sizeof(n)) {
		perror("cycles: no counter");
		return 1;
	}
	printf("cycles %llu\n", (unsigned long long)n);
	return 0;
}
