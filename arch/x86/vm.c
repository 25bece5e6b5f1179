/* vm.c - what KVM must be told of an x86-64 machine before its vCPUs exist. */
#include <errno.h>
#include <stdlib.h>

#include "arch/x86/layout.h"
#include "arch/x86/machine.h"
#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"
#include "vmm/arch.h"

const char arch_name[] = "x86-64";

int arch_validate(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	struct cpu_topology topo;
	int ret = cpu_topology_init(&topo, cfg, err);

	return ret ? ret : x86_check_board(cfg, err);
}

int arch_vm_type(const struct kvm_host *host, const struct lkvm_config *cfg, unsigned long *type,
		 struct lkvm_error *err)
{
	(void)host;
	(void)cfg;
	(void)err;
	*type = 0;
	return 0;
}

int arch_add_memory(struct machine *m, struct lkvm_error *err)
{
	u64 low = min_u64(m->cfg->mem_size, X86_HOLE_START);
	int ret = gmem_add(&m->gmem, 0, low, err);

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

static struct kvm_cpuid2 *alloc_cpuid(void)
{
	struct kvm_cpuid2 *cpuid;

	return calloc(1, sizeof(*cpuid) + CPUID_MAX_ENTRIES * sizeof(cpuid->entries[0]));
}

static int init_arch_machine(struct machine *m, struct lkvm_error *err)
{
	m->arch = calloc(1, sizeof(*m->arch));
	if (!m->arch)
		return err_host(err, ENOMEM, "machine");
	m->arch->supported = alloc_cpuid();
	m->arch->table = alloc_cpuid();
	if (!m->arch->supported || !m->arch->table)
		return err_host(err, ENOMEM, "CPUID table");
	m->arch->cpuid.tsc_deadline = kvm_check(&m->kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	return cpu_topology_init(&m->arch->cpuid.topo, m->cfg, err);
}

/* Pages that KVM on Intel hosts needs for real mode; it accepts and ignores them elsewhere. */
static int set_kvm_pages(struct machine *m, struct lkvm_error *err)
{
	u64 identity_map = X86_IDENTITY_MAP_GPA;
	int ret = kvm_vm_ioctl(&m->kvm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map, err);

	if (ret < 0)
		return ret;
	return kvm_vm_ioctl(&m->kvm, KVM_SET_TSS_ADDR, X86_TSS_GPA, err);
}

/* KVM's own table, said again: GSI n is input n of the PICs and of the I/O APIC. */
static int init_msi(struct machine *m, struct lkvm_error *err)
{
	struct kvm_irq_routing_entry pins[X86_N_PIC + X86_N_GSIS] = { 0 };

	for (u32 i = 0; i < X86_N_PIC; i++) {
		pins[i].gsi = i;
		pins[i].type = KVM_IRQ_ROUTING_IRQCHIP;
		pins[i].u.irqchip.irqchip = i < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
		pins[i].u.irqchip.pin = i % 8;
	}
	for (u32 i = 0; i < X86_N_GSIS; i++) {
		struct kvm_irq_routing_entry *e = &pins[X86_N_PIC + i];

		e->gsi = i;
		e->type = KVM_IRQ_ROUTING_IRQCHIP;
		e->u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		e->u.irqchip.pin = i;
	}
	return msi_router_init(&m->msi, &m->kvm, pins, ARRAY_SIZE(pins), X86_N_GSIS, err);
}

int arch_init_vm(struct machine *m, struct lkvm_error *err)
{
	/* With port 0x61, through which a kernel times the TSC by the PIT's channel 2. */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int ret = init_arch_machine(m, err);

	if (ret)
		return ret;
	ret = set_kvm_pages(m, err);
	if (ret < 0)
		return ret;
	ret = kvm_vm_ioctl(&m->kvm, KVM_CREATE_IRQCHIP, 0, err);
	if (ret < 0)
		return ret;
	ret = kvm_vm_ioctl(&m->kvm, KVM_CREATE_PIT2, &pit, err);
	if (ret < 0)
		return ret;
	ret = init_msi(m, err);
	if (ret)
		return ret;
	ret = get_supported_cpuid(m, err);
	return ret ? ret : check_address_bits(m, err);
}

void arch_set_irq(void *machine, u32 gsi, bool level)
{
	machine_irq_line(machine, gsi, gsi, level);
}

void arch_fini(struct machine *m)
{
	if (!m->arch)
		return;
	free(m->arch->supported);
	free(m->arch->table);
	free(m->arch);
	m->arch = NULL;
}
