/* counter - print the virtual counter (CNTVCT_EL0) and its frequency in Hz */
#include <stdint.h>
#include <stdio.h>

int main(void)
{
	uint64_t count, hz;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(count)::"memory");
	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
	printf("counter %llu hz %llu\n", (unsigned long long)count, (unsigned long long)hz);
	return 0;
}
