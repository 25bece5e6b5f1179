/* vm.c - what KVM must be told of an x86-64 machine before its vCPUs exist. */
#include <errno.h>
#include <stdlib.h>

#include "arch/x86/cpu_model.h"
#include "arch/x86/firmware.h"
#include "arch/x86/irqchip.h"
#include "arch/x86/layout.h"
#include "arch/x86/machine.h"
#include "arch/x86/no_exits.h"
#include "arch/x86/snp.h"
#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"
#include "vmm/arch.h"

const char arch_name[] = "x86-64";

int arch_validate(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	struct cpu_topology topo;
	struct cpu_model model;
	int ret = cpu_topology_init(&topo, cfg, err);

	if (!ret)
		ret = x86_check_board(cfg, err);
	if (!ret)
		ret = x86_firmware_check(cfg, err);
	if (!ret)
		ret = cpu_model_parse(cfg->x86.cpu, &model, err);
	if (!ret)
		ret = x86_no_exits_check(cfg, err);
	return ret ? ret : snp_check(cfg, err);
}

int arch_vm_type(const struct kvm_host *host, const struct lkvm_config *cfg, unsigned long *type,
		 struct lkvm_error *err)
{
	*type = KVM_X86_DEFAULT_VM;
	return cfg->x86.snp.on ? snp_vm_type(host, type, err) : 0;
}

int arch_add_memory(struct machine *m, struct lkvm_error *err)
{
	u64 hole = m->cfg->firmware[0] ? X86_FW_HOLE_START : X86_HOLE_START;
	u64 low = min_u64(m->cfg->mem_size, hole);
	int ret;

	m->gmem.backing.private = m->cfg->x86.snp.on;
	ret = gmem_add(&m->gmem, 0, low, err);
	/* which can be RAM, too: regions come in ascending order */
	if (!ret)
		ret = x86_firmware_add_memory(m, err);
	if (!ret && m->cfg->mem_size > low)
		ret = gmem_add(&m->gmem, X86_HOLE_END, m->cfg->mem_size - low, err);
	return ret;
}

/* CPUID_MAX_ENTRIES is what KVM itself takes back in KVM_SET_CPUID2. */
static int get_supported_cpuid(struct machine *m, struct lkvm_error *err)
{
	struct kvm_cpuid2 *cpuid = m->arch->supported;
	const struct kvm_backend *be = m->kvm.be;
	int ret;

	cpuid->nent = CPUID_MAX_ENTRIES;
	ret = be->ioctl(be->ctx, m->kvm.host->fd, KVM_GET_SUPPORTED_CPUID, KVM_ARG(cpuid));
	if (ret == -E2BIG)
		return err_unsupported(err, E2BIG,
				       "this host's KVM offers more than %d CPUID leaves",
				       CPUID_MAX_ENTRIES);
	return ret < 0 ? err_host(err, -ret, "KVM_GET_SUPPORTED_CPUID failed") : 0;
}

/* A guest cannot reach memory beyond what its CPUs address (APM 3, 0x80000008). */
static int check_address_bits(struct machine *m, struct lkvm_error *err)
{
	const struct gmem_region *last = &m->gmem.regions[m->gmem.n_regions - 1];
	unsigned int bits = cpuid_address_bits(m->arch->supported);

	if (bits < 64 && last->gpa + last->size > BIT(bits))
		return err_unsupported(
			err, E2BIG,
			"--mem: %llu MiB; this host's CPUs address %u bits, enough for %llu",
			(unsigned long long)(m->cfg->mem_size / MIB), bits,
			(unsigned long long)((BIT(bits) - X86_HOLE_END + X86_HOLE_START) / MIB));
	return 0;
}

static int init_cpuid_params(struct machine *m, struct lkvm_error *err)
{
	struct cpuid_params *p = &m->arch->cpuid;
	const struct lkvm_config *cfg = m->cfg;
	int ret = cpu_topology_init(&p->topo, cfg, err);

	p->tsc_deadline = kvm_check(&m->kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	p->nested = cfg->nested;
	p->mwait = cfg->x86.no_exits & LKVM_X86_NO_EXIT_MWAIT;
	p->aperfmperf = cfg->x86.no_exits & LKVM_X86_NO_EXIT_APERFMPERF;
	p->snp = cfg->x86.snp.on;
	return ret ? ret : cpu_model_parse(cfg->x86.cpu, &p->model, err);
}

static int init_arch_machine(struct machine *m, struct lkvm_error *err)
{
	m->arch = calloc(1, sizeof(*m->arch));
	if (!m->arch)
		return err_host(err, ENOMEM, "machine");
	m->arch->supported = cpuid_alloc();
	m->arch->table = cpuid_alloc();
	if (!m->arch->supported || !m->arch->table)
		return err_host(err, ENOMEM, "CPUID table");
	return init_cpuid_params(m, err);
}

/* Pages that KVM on Intel hosts needs for real mode; it accepts and ignores them elsewhere. */
static int set_kvm_pages(struct machine *m, struct lkvm_error *err)
{
	u64 identity_map = X86_IDENTITY_MAP_GPA;
	int ret = kvm_vm_ioctl(&m->kvm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map, err);

	if (ret < 0)
		return ret;
	ret = kvm_vm_ioctl(&m->kvm, KVM_SET_TSS_ADDR, X86_TSS_GPA, err);
	return ret < 0 ? ret : 0;
}

int arch_init_vm(struct machine *m, struct lkvm_error *err)
{
	int ret = init_arch_machine(m, err);

	if (!ret)
		ret = get_supported_cpuid(m, err);
	if (!ret)
		ret = check_address_bits(m, err);
	if (!ret)
		ret = set_kvm_pages(m, err);
	if (!ret && m->cfg->x86.snp.on)
		ret = snp_init(m, err);
	if (!ret)
		ret = x86_irqchip_init(m, err);
	return ret ? ret : x86_no_exits_init(m, err);
}

void arch_set_irq(void *machine, u32 gsi, bool level)
{
	struct machine *m = machine;

	if (m->arch->split)
		x86_irqchip_split_set(m, gsi, level);
	else
		machine_irq_line(m, gsi, gsi, level);
}

void arch_fini(struct machine *m)
{
	if (!m->arch)
		return;
	snp_fini(m->arch->snp);
	free(m->arch->supported);
	free(m->arch->table);
	free(m->arch);
	m->arch = NULL;
}
