/*
 * pmu.c - the PMU of arm64 guests: plain (Documentation/virt/kvm/devices/vcpu.rst), or a part of
 * the host's own (linux-uapi/unmerged.h).
 *
 * In this order, which all interfaces agree with: which of the host's PMUs, filters, interrupt,
 * partition by attribute, number of counters, init, partition by ioctl. What is the VM's is said
 * with vCPU 0.
 */
#include <errno.h>

#include "arch/arm64/layout.h"
#include "arch/arm64/machine.h"
#include "arch/arm64/pmu.h"
#include "arch/arm64/pmu_host.h"
#include "linux-uapi/unmerged.h"

#define HOST_PARAM "arm_pmuv3.reserved_host_counters"

enum partition { PARTITION_NONE, PARTITION_IOCTL, PARTITION_ATTR };

static bool asked_for(const struct lkvm_config *cfg)
{
	return cfg->arm64.pmu || cfg->arm64.pmu_partition;
}

int arm64_pmu_check_config(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	const struct lkvm_arm64 *a = &cfg->arm64;

	if (!memchr(a->pmu_name, 0, sizeof(a->pmu_name)))
		return err_input(err, "--pmu: host= takes %zu bytes", sizeof(a->pmu_name) - 1);
	if (strchr(a->pmu_name, '/'))
		return err_input(err, "--pmu: host=%s is no name of a PMU", a->pmu_name);
	if (a->pmu_counters > LKVM_MAX_PMU_COUNTERS)
		return err_input(err, "--pmu: counters=%u must be 1 to %d", a->pmu_counters,
				 LKVM_MAX_PMU_COUNTERS);
	if (a->pmu_partition > LKVM_MAX_PMU_COUNTERS)
		return err_input(err, "--pmu-partition %u: must be 1 to %d", a->pmu_partition,
				 LKVM_MAX_PMU_COUNTERS);
	if (a->pmu_counters && a->pmu_partition && a->pmu_counters != a->pmu_partition)
		return err_input(err,
				 "--pmu: counters=%u is not what --pmu-partition %u says; one of "
				 "them is enough",
				 a->pmu_counters, a->pmu_partition);
	if (a->pmu_partition_abi > LKVM_PMU_PARTITION_ATTR)
		return err_input(err, "--pmu-partition-abi %d is unknown",
				 (int)a->pmu_partition_abi);
	if (a->n_pmu_filters > LKVM_MAX_PMU_FILTERS)
		return err_input(err, "--pmu: %u filters; at most %d are allowed", a->n_pmu_filters,
				 LKVM_MAX_PMU_FILTERS);
	for (unsigned int i = 0; i < a->n_pmu_filters; i++) {
		const struct lkvm_pmu_filter *f = &a->pmu_filters[i];

		if (f->last < f->first)
			return err_input(err, "--pmu: filter 0x%x-0x%x has no event in it",
					 f->first, f->last);
		if (f->first == 0 && f->last == UINT16_MAX)
			return err_input(err,
					 "--pmu: a filter of all events cannot be told to KVM");
	}
	if (!asked_for(cfg) && (a->pmu_counters || a->n_pmu_filters || a->pmu_name[0]))
		return err_input(err, "--pmu: is needed for its counters, filters and host PMU");
	return 0;
}

/* ---- what a vCPU says ------------------------------------------------------------------ */

int pmu_n_counters(const struct kvm *kvm, int vcpu_fd, unsigned int *n)
{
	u64 pmcr = 0;
	int ret = kvm_get_reg(kvm, vcpu_fd, PMCR_EL0, &pmcr);

	*n = (unsigned int)(pmcr >> 11 & 0x1f);
	return ret;
}

/* EPERM and EFAULT come from a kernel that has the ioctl, and no kernel does anything with NULL. */
int pmu_probe_partition_ioctl(const struct kvm *kvm, int vcpu_fd)
{
	return kvm_fd_ioctl(kvm, vcpu_fd, KVM_ARM_PARTITION_PMU, NULL, NULL);
}

bool pmu_has_partition_attr(const struct kvm *kvm, int vcpu_fd)
{
	return kvm_has_attr(kvm, vcpu_fd, KVM_ARM_VCPU_PMU_V3_CTRL,
			    KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION);
}

static int set_pmu_attr(struct machine *m, const struct vcpu *vcpu, u64 attr, const void *addr,
			const char *what, struct lkvm_error *err)
{
	return kvm_set_attr(&m->kvm, vcpu->fd, KVM_ARM_VCPU_PMU_V3_CTRL, attr, addr, what, err);
}

/* ---- which PMU ------------------------------------------------------------------------- */

/*
 * KVM takes that of the CPU it happens to run on unless it is told: harmless where all are the
 * same, but then counters cannot be numbered either.
 */
static int choose_pmu(struct machine *m, struct lkvm_error *err)
{
	const struct lkvm_arm64 *a = &m->cfg->arm64;
	struct cpu_mask may = m->cpus;
	struct pmu_host pmu;
	int ret;

	/* Pinned or not: what this process may not use, its vCPUs do not either. */
	if (cpu_mask_empty(&may))
		cpu_mask_current(&may);
	ret = pmu_host_find(m->kvm.be->sysfs, a->pmu_name, &may, &pmu, err);
	if (ret)
		return ret;
	/* KVM refuses to enter a vCPU on any other CPU. */
	if (!cpu_mask_subset(&may, &pmu.cpus)) {
		cpu_mask_and(&may, &pmu.cpus);
		m->cpus = may;
	}
	if (cpu_mask_empty(&may))
		return err_input(err,
				 "--pmu host=%s: none of the CPUs that vCPUs may run on has it",
				 pmu.name);
	return set_pmu_attr(m, &m->vcpus[0], KVM_ARM_VCPU_PMU_V3_SET_PMU, &pmu.type,
			    "choosing the host's PMU", err);
}

static int set_filters(struct machine *m, struct lkvm_error *err)
{
	const struct lkvm_arm64 *a = &m->cfg->arm64;
	int ret = 0;

	for (unsigned int i = 0; !ret && i < a->n_pmu_filters; i++) {
		const struct lkvm_pmu_filter *f = &a->pmu_filters[i];
		const struct kvm_pmu_event_filter filter = {
			.base_event = f->first,
			.nevents = (u16)(f->last - f->first + 1),
			.action = f->deny ? KVM_PMU_EVENT_DENY : KVM_PMU_EVENT_ALLOW,
		};

		ret = set_pmu_attr(m, &m->vcpus[0], KVM_ARM_VCPU_PMU_V3_FILTER, &filter,
				   "a filter of --pmu", err);
	}
	return ret;
}

static int set_counters(struct machine *m, unsigned int n, struct lkvm_error *err)
{
	const char *option = m->cfg->arm64.pmu_partition ? "--pmu-partition" : "--pmu counters";
	const struct vcpu *vcpu = &m->vcpus[0];
	struct lkvm_error why = { 0 };
	unsigned int have;
	int ret;

	if (!kvm_has_attr(&m->kvm, vcpu->fd, KVM_ARM_VCPU_PMU_V3_CTRL,
			  KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS))
		return err_unsupported(
			err, ENXIO,
			"%s %u: this host's KVM does not let the number of counters be "
			"chosen (Linux 6.16 does)",
			option, n);
	ret = set_pmu_attr(m, vcpu, KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS, &n,
			   "the number of PMU counters", &why);
	if (ret == -EINVAL && !pmu_n_counters(&m->kvm, vcpu->fd, &have))
		return err_input(err, "%s %u: this host's PMU has %u event counters", option, n,
				 have);
	if (ret && err)
		*err = why;
	return ret;
}

/* ---- partition ------------------------------------------------------------------------- */

static int no_permission(struct lkvm_error *err)
{
	return err_unsupported(err, EPERM,
			       "--pmu-partition: this host keeps all counters to itself; boot it "
			       "with " HOST_PARAM "=N, N being those it keeps, and in VHE mode");
}

static int not_there(const char *what, struct lkvm_error *err)
{
	return err_unsupported(err, EOPNOTSUPP,
			       "--pmu-partition: this host's KVM cannot partition the PMU: it has "
			       "%s; no released kernel has one yet",
			       what);
}

static int choose_abi(const struct machine *m, enum partition *abi, struct lkvm_error *err)
{
	enum lkvm_pmu_partition_abi wanted = m->cfg->arm64.pmu_partition_abi;
	bool attr;
	int ret;

	*abi = PARTITION_NONE;
	if (!m->cfg->arm64.pmu_partition)
		return 0;
	attr = pmu_has_partition_attr(&m->kvm, m->vcpus[0].fd);
	if (wanted != LKVM_PMU_PARTITION_IOCTL && attr) {
		*abi = PARTITION_ATTR;
		return 0;
	}
	if (wanted == LKVM_PMU_PARTITION_ATTR)
		return not_there("no vCPU attribute for it", err);
	ret = pmu_probe_partition_ioctl(&m->kvm, m->vcpus[0].fd);
	if (ret == -EPERM)
		return no_permission(err);
	if (ret != -EFAULT)
		return not_there(wanted == LKVM_PMU_PARTITION_IOCTL
					 ? "no ioctl KVM_ARM_PARTITION_PMU"
					 : "neither an ioctl nor a vCPU attribute for it",
				 err);
	*abi = PARTITION_IOCTL;
	return 0;
}

static int partition_by_attr(struct machine *m, const struct vcpu *vcpu, struct lkvm_error *err)
{
	const unsigned int on = 1; /* the kernel reads its first byte as a bool */
	struct lkvm_error why = { 0 };
	int ret = set_pmu_attr(m, vcpu, KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION, &on,
			       "partitioning the PMU", &why);

	if (ret == -EPERM)
		return no_permission(err);
	if (ret && err)
		*err = why;
	return ret;
}

static int partition_by_ioctl(struct machine *m, const struct vcpu *vcpu, struct lkvm_error *err)
{
	bool on = true;
	struct lkvm_error why = { 0 };
	int ret = kvm_fd_ioctl(&m->kvm, vcpu->fd, KVM_ARM_PARTITION_PMU, &on, &why);

	if (ret == -EPERM)
		return no_permission(err);
	if (ret < 0 && err)
		*err = why;
	return ret < 0 ? ret : 0;
}

/*
 * What the guest got: by the ioctl, KVM could not know how many there are to give when the number
 * was set; and the attribute has a number that another posted series claims, with no counter as its
 * effect.
 */
static int check_part(struct machine *m, const struct vcpu *vcpu, struct lkvm_error *err)
{
	unsigned int n = m->cfg->arm64.pmu_partition;
	unsigned int have;
	int ret = pmu_n_counters(&m->kvm, vcpu->fd, &have);

	if (ret)
		return err_host(err, -ret, "reading PMCR_EL0 of vCPU %u", vcpu->index);
	if (have != n)
		return err_input(err,
				 "--pmu-partition %u: this host gives its guests %u event counters",
				 n, have);
	if (!vcpu->index)
		log_info(m->log, "the guest has %u event counters of the host's PMU", n);
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------- */

static int init_vcpu(struct machine *m, const struct vcpu *vcpu, enum partition abi,
		     struct lkvm_error *err)
{
	const struct lkvm_arm64 *a = &m->cfg->arm64;
	unsigned int n = a->pmu_partition ? a->pmu_partition : a->pmu_counters;
	int irq = ARM64_PPI_PMU;
	int ret = set_pmu_attr(m, vcpu, KVM_ARM_VCPU_PMU_V3_IRQ, &irq, "the PMU's interrupt", err);

	if (!ret && abi == PARTITION_ATTR)
		ret = partition_by_attr(m, vcpu, err);
	if (!ret && n && !vcpu->index)
		ret = set_counters(m, n, err);
	if (!ret)
		ret = set_pmu_attr(m, vcpu, KVM_ARM_VCPU_PMU_V3_INIT, NULL, "initialising the PMU",
				   err);
	if (!ret && abi == PARTITION_IOCTL)
		ret = partition_by_ioctl(m, vcpu, err);
	return ret || abi == PARTITION_NONE ? ret : check_part(m, vcpu, err);
}

int arm64_pmu_init(struct machine *m, struct lkvm_error *err)
{
	enum partition abi;
	int ret;

	if (!asked_for(m->cfg))
		return 0;
	ret = choose_abi(m, &abi, err);
	if (!ret)
		ret = choose_pmu(m, err);
	if (!ret)
		ret = set_filters(m, err);
	for (unsigned int i = 0; !ret && i < m->n_vcpus; i++)
		ret = init_vcpu(m, &m->vcpus[i], abi, err);
	return ret;
}
