#include "arch/arm64/pmu_host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A small file as text: 0 or -errno. */
static int read_text(int dir, const char *device, const char *file, char *buf, size_t size)
{
	char path[NAME_MAX + 16];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", device, file);
	fd = openat(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	close(fd);
	/* a list that was cut could end in another number */
	if (n < 0 || (size_t)n == size - 1)
		return -EIO;
	buf[n] = '\0';
	return 0;
}

/* False: @name is no CPU's PMU, or not described as one. */
static bool read_pmu(int dir, const char *name, struct pmu_host *pmu)
{
	char text[4096], *end;
	long type;

	*pmu = (struct pmu_host){ 0 };
	if (strlen(name) >= sizeof(pmu->name))
		return false;
	/* it will be printed */
	for (const char *p = name; *p; p++) {
		if (*p <= ' ' || *p > '~')
			return false;
	}
	snprintf(pmu->name, sizeof(pmu->name), "%s", name);
	if (read_text(dir, name, "cpus", text, sizeof(text)) || cpu_mask_parse(text, &pmu->cpus) ||
	    cpu_mask_empty(&pmu->cpus) || read_text(dir, name, "type", text, sizeof(text)))
		return false;
	type = strtol(text, &end, 10);
	pmu->type = (int)type;
	return end > text && type >= 0 && type <= INT_MAX;
}

static int by_name(const void *a, const void *b)
{
	const struct pmu_host *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int pmu_host_list(const char *sysfs, struct pmu_host pmus[PMU_HOST_MAX], struct lkvm_error *err)
{
	const struct dirent *entry;
	char path[512];
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/bus/event_source/devices", sysfs);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : err_host(err, errno, "%s", path);
	while (n < PMU_HOST_MAX && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.' && read_pmu(dirfd(dir), entry->d_name, &pmus[n]))
			n++;
	}
	closedir(dir);
	qsort(pmus, (size_t)n, sizeof(pmus[0]), by_name);
	return n;
}

static void join_names(const struct pmu_host *pmus, int n, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (int i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "",
					 pmus[i].name);
}

/* It counts wherever the vCPUs may run; "everywhere" is a set only if all PMUs are seen. */
static bool covers(const struct pmu_host *pmu, const struct cpu_mask *cpus, int n_pmus)
{
	return cpu_mask_empty(cpus) ? n_pmus == 1 : cpu_mask_subset(cpus, &pmu->cpus);
}

int pmu_host_find(const char *sysfs, const char *name, const struct cpu_mask *cpus,
		  struct pmu_host *pmu, struct lkvm_error *err)
{
	struct pmu_host pmus[PMU_HOST_MAX];
	char names[300];
	int n = pmu_host_list(sysfs, pmus, err);

	if (n < 0)
		return n;
	if (!n)
		return err_unsupported(err, ENXIO,
				       "--pmu: %s shows no PMU of this host's CPUs 0 to %d", sysfs,
				       LKVM_MAX_HOST_CPUS - 1);
	for (int i = 0; i < n; i++) {
		if (name[0] ? !strcmp(pmus[i].name, name) : covers(&pmus[i], cpus, n)) {
			*pmu = pmus[i];
			return 0;
		}
	}
	join_names(pmus, n, names, sizeof(names));
	if (name[0])
		return err_input(err, "--pmu host=%s: this host's CPUs have %s", name, names);
	return err_input(
		err, "--pmu: this host's CPUs have different PMUs; choose one with host=, of %s",
		names);
}
