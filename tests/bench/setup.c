/*
 * setup.c - what a machine costs to set up, against its number of vCPUs, with a KVM that costs
 * nothing (tests/fakekvm): lkvm's own part, and whether it grows linearly.
 *
 *	setup KERNEL ROUNDS
 *
 * Prints nanoseconds of CPU time of lkvm_vm_create(), a line for each round and a column for each
 * count; the counts take turns within a round. The fake's own work is in the figures too: a table
 * look-up for each call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/fakekvm/fakekvm.h"
#include "vmm/vm.h"

static const unsigned int counts[] = { 1, 8, 64, 255 };

/* CPU time: one thread does it all, and what else runs on the machine is not its fault. */
static u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
}

static u64 measure(const char *kernel, unsigned int n_vcpus)
{
	struct fakekvm *fk = fakekvm_new(fakekvm_hosts[0]);
	static struct lkvm_config cfg;
	struct lkvm_error err = { 0 };
	struct lkvm_vm *vm;
	u64 start, ns;

	lkvm_config_init(&cfg);
	cfg.n_vcpus = n_vcpus;
	cfg.mem_size = 128 * MIB;
	snprintf(cfg.kernel, sizeof(cfg.kernel), "%s", kernel);
	start = now();
	if (vm_create_on(fakekvm_backend(fk), &cfg, &vm, &err)) {
		fprintf(stderr, "setup: %u vCPUs: %s\n", n_vcpus, err.msg);
		exit(1);
	}
	ns = now() - start;
	lkvm_vm_destroy(vm);
	fakekvm_free(fk);
	return ns;
}

int main(int argc, char **argv)
{
	int rounds = argc == 3 ? atoi(argv[2]) : 0;

	if (rounds < 1) {
		fprintf(stderr, "usage: setup KERNEL ROUNDS\n");
		return 2;
	}
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		printf("%u%s", counts[i], i + 1 < ARRAY_SIZE(counts) ? " " : "\n");
	/* one round to warm up: pages of the library, the heap */
	for (int round = -1; round < rounds; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
			u64 ns = measure(argv[1], counts[i]);

			if (round >= 0)
				printf("%llu%s", (unsigned long long)ns,
				       i + 1 < ARRAY_SIZE(counts) ? " " : "\n");
		}
	}
	return 0;
}
