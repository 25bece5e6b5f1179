/* cpumask.h - sets of the host's CPUs, as the kernel writes them in /sys and users do (layer 0). */
#ifndef LKVM_VMM_CPUMASK_H
#define LKVM_VMM_CPUMASK_H

#include <lkvm.h>
#include <pthread.h>

#include "vmm/base.h"

struct cpu_mask {
	u64 bits[LKVM_MAX_HOST_CPUS / 64]; /* CPU n is bit n % 64 of bits[n / 64] */
};

/* "0-3,8": -EINVAL when it is not such a list or names a CPU from LKVM_MAX_HOST_CPUS on. An empty
 * list, also one that ends in a newline, is an empty set. */
int cpu_mask_parse(const char *list, struct cpu_mask *mask);

/* The list of @mask, "0-3,8", as much of it as fits; what does not is "...". */
void cpu_mask_format(const struct cpu_mask *mask, char *buf, size_t size);

bool cpu_mask_empty(const struct cpu_mask *mask);
unsigned int cpu_mask_count(const struct cpu_mask *mask);

/* The @n-th CPU of it, from 0; -1: there are not so many. */
int cpu_mask_nth(const struct cpu_mask *mask, unsigned int n);

/* Of @mask the first @n are left; all, if there are no more. */
void cpu_mask_first(struct cpu_mask *mask, unsigned int n);

/* It becomes that one CPU, which is below LKVM_MAX_HOST_CPUS; negative: it becomes empty. */
void cpu_mask_only(struct cpu_mask *mask, int cpu);

bool cpu_mask_subset(const struct cpu_mask *part, const struct cpu_mask *whole);
void cpu_mask_and(struct cpu_mask *mask, const struct cpu_mask *other);

/* Where the calling thread, and so those it starts, may run: what taskset(1) gave it. */
void cpu_mask_current(struct cpu_mask *mask);

/* Where @thread runs from now on. 0, or -errno: -EINVAL when the host has none of these CPUs. */
int cpu_mask_pin(pthread_t thread, const struct cpu_mask *mask);

#endif
