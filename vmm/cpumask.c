#include "vmm/cpumask.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static void set_range(struct cpu_mask *mask, unsigned long first, unsigned long last)
{
	for (unsigned long cpu = first; cpu <= last; cpu++)
		mask->bits[cpu / 64] |= BIT(cpu % 64);
}

/* A number below LKVM_MAX_HOST_CPUS, then *@end; strtoul() alone would take signs and blanks. */
static bool cpu_number(const char *s, unsigned long *cpu, char **end)
{
	if (*s < '0' || *s > '9')
		return false;
	*cpu = strtoul(s, end, 10);
	return *cpu < LKVM_MAX_HOST_CPUS;
}

int cpu_mask_parse(const char *list, struct cpu_mask *mask)
{
	unsigned long first, last;
	char *p = (char *)list;

	*mask = (struct cpu_mask){ 0 };
	if (!*p || !strcmp(p, "\n"))
		return 0;
	for (;; p++) {
		if (!cpu_number(p, &first, &p))
			return -EINVAL;
		last = first;
		if (*p == '-' && (!cpu_number(p + 1, &last, &p) || last < first))
			return -EINVAL;
		set_range(mask, first, last);
		if (!*p || !strcmp(p, "\n"))
			return 0;
		if (*p != ',')
			return -EINVAL;
	}
}

static bool has(const struct cpu_mask *mask, unsigned int cpu)
{
	return cpu < LKVM_MAX_HOST_CPUS && mask->bits[cpu / 64] & BIT(cpu % 64);
}

void cpu_mask_format(const struct cpu_mask *mask, char *buf, size_t size)
{
	static const char more[] = "...";
	char word[24];
	size_t len = 0;

	buf[0] = 0;
	for (unsigned int first = 0, last; first < LKVM_MAX_HOST_CPUS; first = last + 1) {
		last = first;
		if (!has(mask, first))
			continue;
		while (has(mask, last + 1))
			last++;
		snprintf(word, sizeof(word), last > first ? "%s%u-%u" : "%s%u", len ? "," : "",
			 first, last);
		if (len + strlen(word) + sizeof(more) > size) {
			snprintf(buf + len, size - len, "%s", more);
			return;
		}
		memcpy(buf + len, word, strlen(word) + 1);
		len += strlen(word);
	}
}

bool cpu_mask_empty(const struct cpu_mask *mask)
{
	static const struct cpu_mask none;

	return !memcmp(mask, &none, sizeof(none));
}

unsigned int cpu_mask_count(const struct cpu_mask *mask)
{
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(mask->bits); i++)
		n += (unsigned int)__builtin_popcountll(mask->bits[i]);
	return n;
}

int cpu_mask_nth(const struct cpu_mask *mask, unsigned int n)
{
	for (int cpu = 0; cpu < LKVM_MAX_HOST_CPUS; cpu++) {
		if (mask->bits[cpu / 64] & BIT(cpu % 64) && !n--)
			return cpu;
	}
	return -1;
}

void cpu_mask_first(struct cpu_mask *mask, unsigned int n)
{
	for (size_t i = 0; i < ARRAY_SIZE(mask->bits); i++) {
		u64 left = 0;

		for (u64 bits = mask->bits[i]; bits && n; bits &= bits - 1, n--)
			left |= bits & -bits;
		mask->bits[i] = left;
	}
}

void cpu_mask_only(struct cpu_mask *mask, int cpu)
{
	*mask = (struct cpu_mask){ 0 };
	if (cpu >= 0)
		mask->bits[cpu / 64] = BIT(cpu % 64);
}

bool cpu_mask_subset(const struct cpu_mask *part, const struct cpu_mask *whole)
{
	for (size_t i = 0; i < ARRAY_SIZE(part->bits); i++) {
		if (part->bits[i] & ~whole->bits[i])
			return false;
	}
	return true;
}

void cpu_mask_and(struct cpu_mask *mask, const struct cpu_mask *other)
{
	for (size_t i = 0; i < ARRAY_SIZE(mask->bits); i++)
		mask->bits[i] &= other->bits[i];
}

void cpu_mask_current(struct cpu_mask *mask)
{
	cpu_set_t sets[8]; /* one set of 8192 CPUs, the most Linux has: with less room it fails */

	*mask = (struct cpu_mask){ 0 };
	if (sched_getaffinity(0, sizeof(sets), sets))
		return;
	for (unsigned int cpu = 0; cpu < LKVM_MAX_HOST_CPUS; cpu++) {
		if (CPU_ISSET(cpu, &sets[0]))
			mask->bits[cpu / 64] |= BIT(cpu % 64);
	}
}

int cpu_mask_pin(pthread_t thread, const struct cpu_mask *mask)
{
	cpu_set_t set;

	_Static_assert(LKVM_MAX_HOST_CPUS <= CPU_SETSIZE, "a cpu_set_t holds them");
	CPU_ZERO(&set);
	for (unsigned int cpu = 0; cpu < LKVM_MAX_HOST_CPUS; cpu++) {
		if (mask->bits[cpu / 64] & BIT(cpu % 64))
			CPU_SET(cpu, &set);
	}
	return -pthread_setaffinity_np(thread, sizeof(set), &set);
}
