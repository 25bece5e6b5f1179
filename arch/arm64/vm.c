/* vm.c - what KVM must be told of an arm64 machine before its vCPUs exist. */
#include <errno.h>
#include <stdlib.h>

#include "arch/arm64/layout.h"
#include "arch/arm64/machine.h"
#include "vmm/arch.h"
#include "vmm/topology.h"

const char arch_name[] = "arm64";

#define MIN_IPA_BITS	 32
#define DEFAULT_IPA_BITS 40 /* of a KVM that lets nobody choose */
#define SVE_VL_UNIT	 128
#define SVE_VL_MAX	 2048

static int check_irqchip(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	bool v2 = gic_is_v2(cfg->arm64.irqchip);
	const char *name = cfg->arm64.irqchip == LKVM_IRQCHIP_GICV2 ? "gicv2" : "gicv2m";

	if (cfg->arm64.irqchip > LKVM_IRQCHIP_GICV3_ITS)
		return err_input(err, "--irqchip %d is unknown", (int)cfg->arm64.irqchip);
	if (v2 && cfg->nested)
		return err_input(
			err, "--irqchip %s: nested guests need a GICv3: gicv3 or gicv3-its", name);
	if (v2 && cfg->n_vcpus > ARM64_GICV2_MAX_VCPUS)
		return err_input(err, "--cpus %u: --irqchip %s takes at most %d", cfg->n_vcpus,
				 name, ARM64_GICV2_MAX_VCPUS);
	return 0;
}

int arch_validate(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	const struct lkvm_arm64 *a = &cfg->arm64;
	struct topology topo;
	int ret = check_irqchip(cfg, err);

	if (!ret && cfg->n_vcpus > ARM64_MAX_VCPUS)
		ret = err_input(err, "--cpus %u: arm64 guests have 1 to %d", cfg->n_vcpus,
				ARM64_MAX_VCPUS);
	if (!ret)
		ret = topology_init(&topo, cfg, err);
	if (!ret)
		ret = arm64_pmu_check_config(cfg, err);
	if (ret)
		return ret;
	if (a->sve_max_vl % SVE_VL_UNIT || a->sve_max_vl > SVE_VL_MAX)
		return err_input(err, "--sve-max-vl %u: must be a multiple of %d, %d to %d",
				 a->sve_max_vl, SVE_VL_UNIT, SVE_VL_UNIT, SVE_VL_MAX);
	return arm64_check_board(cfg, err);
}

/* How many address bits the guest's memory takes: KVM is asked for no more, each level of its
 * tables is a memory access. */
static unsigned int ipa_bits(const struct lkvm_config *cfg)
{
	unsigned int bits = MIN_IPA_BITS;

	while ((ARM64_RAM_BASE + cfg->mem_size - 1) >> bits)
		bits++;
	return bits;
}

int arch_vm_type(const struct kvm_host *host, const struct lkvm_config *cfg, unsigned long *type,
		 struct lkvm_error *err)
{
	int max = host->be->ioctl(host->be->ctx, host->fd, KVM_CHECK_EXTENSION,
				  KVM_CAP_ARM_VM_IPA_SIZE);
	unsigned int bits = ipa_bits(cfg), limit = max > 0 ? (unsigned int)max : DEFAULT_IPA_BITS;

	if (bits > limit)
		return err_unsupported(
			err, E2BIG,
			"--mem: %llu MiB; this host's guests address %u bits, enough for %llu",
			(unsigned long long)(cfg->mem_size / MIB), limit,
			(unsigned long long)((BIT(limit) - ARM64_RAM_BASE) / MIB));
	*type = max > 0 ? bits : 0;
	return 0;
}

int arch_add_memory(struct machine *m, struct lkvm_error *err)
{
	int ret;

	m->arch = calloc(1, sizeof(*m->arch));
	if (!m->arch)
		return err_host(err, ENOMEM, "machine");
	m->arch->gic = (struct gic)GIC_INIT;
	m->arch->pvtime = !m->cfg->arm64.no_pvtime && kvm_check(&m->kvm, KVM_CAP_STEAL_TIME) > 0;
	ret = gmem_add(&m->gmem, ARM64_RAM_BASE, m->cfg->mem_size, err);
	if (!ret && m->arch->pvtime)
		ret = gmem_add_hidden(&m->gmem, ARM64_PVTIME_BASE, ARM64_PVTIME_LEN, false, err);
	return ret;
}

/* Before any vCPU: KVM refuses while one of their ioctls runs. */
static int set_counter_offset(struct machine *m, struct lkvm_error *err)
{
	struct kvm_arm_counter_offset arg = { .counter_offset = m->cfg->arm64.counter_offset };
	int ret;

	if (!arg.counter_offset)
		return 0;
	if (kvm_check(&m->kvm, KVM_CAP_COUNTER_OFFSET) <= 0)
		return err_unsupported(err, EOPNOTSUPP,
				       "--counter-offset: this host's KVM lacks "
				       "KVM_CAP_COUNTER_OFFSET (Linux 6.4 has it)");
	ret = kvm_vm_ioctl(&m->kvm, KVM_ARM_SET_COUNTER_OFFSET, &arg, err);
	return ret < 0 ? ret : 0;
}

int arch_init_vm(struct machine *m, struct lkvm_error *err)
{
	int ret;

	if (!m->cfg->arm64.no_mte && kvm_check(&m->kvm, KVM_CAP_ARM_MTE) > 0) {
		ret = kvm_enable_cap(&m->kvm, KVM_CAP_ARM_MTE, 0, err);
		if (ret)
			return ret;
	}
	/* Else KVM_RUN itself fails on a device access that KVM cannot decode. */
	if (kvm_check(&m->kvm, KVM_CAP_ARM_NISV_TO_USER) > 0) {
		ret = kvm_enable_cap(&m->kvm, KVM_CAP_ARM_NISV_TO_USER, 0, err);
		if (ret)
			return ret;
	}
	ret = arm64_vcpu_features(m, &m->arch->vcpu_init, err);
	if (!ret)
		ret = gic_create(m, err);
	return ret ? ret : set_counter_offset(m, err);
}

void arch_set_irq(void *machine, u32 gsi, bool level)
{
	u32 irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (ARM64_SPI_INTID + gsi);

	machine_irq_line(machine, gsi, irq, level);
}

void arch_fini(struct machine *m)
{
	if (!m->arch)
		return;
	gic_destroy(m);
	free(m->arch);
	m->arch = NULL;
}
