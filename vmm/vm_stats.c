#include "vmm/vm_stats.h"

#include <errno.h>
#include <stdlib.h>

static int prepare(struct vm_stats *vs, const struct machine *m, struct lkvm_error *err)
{
	if (vs->open)
		return 0;
	vs->n = m->cfg->n_vcpus + 1;
	vs->open = calloc(vs->n, sizeof(struct stats *));
	return vs->open ? 0 : err_host(err, ENOMEM, "KVM's statistics");
}

/* @i: 0 is the machine, i vCPU i - 1. */
static int open_one(struct vm_stats *vs, const struct machine *m, unsigned int i,
		    struct lkvm_error *err)
{
	int ret = prepare(vs, m, err);

	if (ret || vs->open[i])
		return ret;
	return stats_open(&vs->open[i], &m->kvm, i ? m->vcpus[i - 1].fd : m->kvm.vm_fd, err);
}

static int read_kept(const struct vm_stats *vs, unsigned int i, struct lkvm_stat *out, size_t max)
{
	const struct vm_stats_kept *kept;

	if (!vs->kept)
		return -ENOTTY;
	kept = &vs->kept[i];
	if (kept->n > 0 && max)
		memcpy(out, kept->stats, min_u64((u64)kept->n, max) * sizeof(*out));
	return kept->n;
}

int vm_stats_read(struct vm_stats *vs, const struct machine *m, int vcpu, struct lkvm_stat *out,
		  size_t max, struct lkvm_error *err)
{
	unsigned int i = (unsigned int)(vcpu + 1);
	int ret;

	if (!m)
		return read_kept(vs, i, out, max);
	ret = open_one(vs, m, i, err);
	if (ret)
		return ret;
	ret = stats_read(vs->open[i], out, max);
	return ret < 0 ? err_host(err, -ret, "KVM's statistics: reading their values") : ret;
}

bool vm_stats_want_pause(const struct vm_stats *vs, const struct machine *m, int vcpu)
{
	return vcpu >= 0 && !(vs->open && vs->open[vcpu + 1]) && stats_exist(&m->kvm);
}

static int keep_one(struct vm_stats *vs, const struct machine *m, unsigned int i,
		    struct lkvm_error *err)
{
	struct vm_stats_kept *kept = &vs->kept[i];

	kept->n = open_one(vs, m, i, err);
	if (kept->n)
		return kept->n;
	kept->n = stats_read(vs->open[i], NULL, 0);
	kept->stats = calloc((size_t)kept->n + 1, sizeof(*kept->stats));
	if (kept->stats)
		kept->n = vm_stats_read(vs, m, (int)i - 1, kept->stats, (size_t)kept->n, err);
	else
		kept->n = err_host(err, ENOMEM, "KVM's statistics");
	return kept->n < 0 ? kept->n : 0;
}

static void drop_kept(struct vm_stats *vs)
{
	for (unsigned int i = 0; vs->kept && i < vs->n; i++)
		free(vs->kept[i].stats);
	free(vs->kept);
	vs->kept = NULL;
}

static void close_one(struct vm_stats *vs, unsigned int i)
{
	stats_close(vs->open[i]);
	vs->open[i] = NULL;
}

static void close_all(struct vm_stats *vs)
{
	for (unsigned int i = 0; vs->open && i < vs->n; i++)
		close_one(vs, i);
}

void vm_stats_keep(struct vm_stats *vs, const struct machine *m)
{
	struct lkvm_error err = { 0 };
	int ret, first;

	drop_kept(vs);
	if (!stats_exist(&m->kvm))
		return;
	first = prepare(vs, m, &err);
	if (!first)
		vs->kept = calloc(vs->n, sizeof(*vs->kept));
	if (!vs->kept)
		first = err_host(&err, ENOMEM, "KVM's statistics");
	/* One after the other: many vCPUs do not need as many descriptors more. */
	for (unsigned int i = 0; vs->kept && i < vs->n; i++) {
		ret = keep_one(vs, m, i, &err);
		first = first ? first : ret;
		close_one(vs, i);
	}
	close_all(vs);
	if (first)
		log_warn(m->log, "not all statistics could be kept: %s", err.msg);
}

void vm_stats_fini(struct vm_stats *vs)
{
	close_all(vs);
	drop_kept(vs);
	free(vs->open);
	*vs = (struct vm_stats){ 0 };
}
