/* irqchip.c - which interrupt controllers an x86-64 machine has, and what KVM is told of them. */
#include "arch/x86/irqchip.h"

#include <errno.h>

#include "arch/x86/cpu_features.h"
#include "arch/x86/layout.h"
#include "arch/x86/machine.h"
#include "devices/ioapic.h"
#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"

/* ---- all of them KVM's ---------------------------------------------------------------- */

/* KVM's own table, said again: GSI n is input n of the PICs and of the I/O APIC. */
static int init_kernel_msi(struct machine *m, struct lkvm_error *err)
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

static int init_kernel(struct machine *m, struct lkvm_error *err)
{
	/* With port 0x61, through which a kernel times the TSC by the PIT's channel 2. */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int ret = kvm_vm_ioctl(&m->kvm, KVM_CREATE_IRQCHIP, 0, err);

	if (ret < 0)
		return ret;
	ret = kvm_vm_ioctl(&m->kvm, KVM_CREATE_PIT2, &pit, err);
	return ret < 0 ? ret : init_kernel_msi(m, err);
}

/* ---- split ---------------------------------------------------------------------------- */

#define IDS_32BIT (KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)

/*
 * GSI n is input n of our I/O APIC. KVM never raises them: it reads their routes to know which
 * vectors to exit for when they are acknowledged, those of level-triggered messages. These are
 * edges so far.
 */
static int init_split_msi(struct machine *m, struct lkvm_error *err)
{
	struct kvm_irq_routing_entry pins[X86_N_GSIS] = { 0 };

	for (u32 i = 0; i < X86_N_GSIS; i++) {
		pins[i].gsi = i;
		pins[i].type = KVM_IRQ_ROUTING_MSI;
		pins[i].u.msi.address_lo = X86_LAPIC_BASE;
	}
	return msi_router_init(&m->msi, &m->kvm, pins, ARRAY_SIZE(pins), X86_N_GSIS, err);
}

/*
 * The quirk would have id 0xff mean all CPUs in x2APIC mode too. Suppressed broadcasts: the guest
 * acknowledges level-triggered interrupts at our I/O APIC, which has the register for it. A KVM
 * without that flag lets guests believe in it and exits all the same: acknowledged twice.
 */
static int set_x2apic_api(struct machine *m, bool wide, struct lkvm_error *err)
{
	u64 has = (u64)kvm_check(&m->kvm, KVM_CAP_X2APIC_API);
	u64 flags = has & KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST;

	if (wide && (has & IDS_32BIT) != IDS_32BIT)
		return err_unsupported(err, EOPNOTSUPP,
				       "--cpus %u: with APIC ids above %d; this host's KVM lacks "
				       "32-bit ids (KVM_CAP_X2APIC_API: 0x%llx)",
				       m->cfg->n_vcpus, XAPIC_MAX_ID, (unsigned long long)has);
	if (wide)
		flags |= IDS_32BIT;
	return flags ? kvm_enable_cap(&m->kvm, KVM_CAP_X2APIC_API, flags, err) : 0;
}

static int init_split(struct machine *m, bool wide, struct lkvm_error *err)
{
	int ret = kvm_require(&m->kvm, KVM_CAP_SPLIT_IRQCHIP, err);

	if (ret >= 0)
		ret = kvm_require(&m->kvm, KVM_CAP_SIGNAL_MSI, err);
	if (ret >= 0)
		ret = kvm_enable_cap(&m->kvm, KVM_CAP_SPLIT_IRQCHIP, X86_N_GSIS, err);
	if (ret >= 0)
		ret = set_x2apic_api(m, wide, err);
	if (ret >= 0)
		ret = init_split_msi(m, err);
	if (ret < 0)
		return ret;
	m->arch->split = true;
	m->arch->cpuid.ext_dest_id = m->msi.ext_dest = wide;
	return 0;
}

#define MSR_IA32_APIC_BASE 0x1b /* SDM 4, table 2-2 */
#define APIC_BASE_BSP	   BIT(8)
#define APIC_BASE_X2APIC   BIT(10)
#define APIC_BASE_ENABLE   BIT(11)

/*
 * A kernel that finds its local APIC in xAPIC mode takes it that there are no wider ids, and
 * ignores those in the MADT: where there are, a PC's firmware leaves CPUs in x2APIC mode, and INIT
 * does not change that (SDM 3A, 11.12.5).
 */
int x86_irqchip_init_vcpu(struct machine *m, const struct vcpu *vcpu, struct lkvm_error *err)
{
	u64 base = X86_LAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC;
	int ret;

	if (!m->arch->cpuid.ext_dest_id || m->cfg->firmware[0])
		return 0;
	if (!vcpu->index)
		base |= APIC_BASE_BSP;
	ret = x86_vcpu_set_msr(vcpu, MSR_IA32_APIC_BASE, base, err);
	if (ret)
		return ret < 0 ? ret : 0;
	if (cpu_feature_shown(m->arch->supported, CPU_F_x2apic))
		return err_input(err,
				 "--cpu %.380s: leaves x2apic out; --cpus %u needs it for APIC ids "
				 "above %d",
				 m->cfg->x86.cpu, m->cfg->n_vcpus, XAPIC_MAX_ID);
	return err_unsupported(err, EOPNOTSUPP,
			       "--cpus %u: with APIC ids above %d; the CPUs have no x2APIC",
			       m->cfg->n_vcpus, XAPIC_MAX_ID);
}

static void complain(struct machine *m, const char *what, int code)
{
	if (ratelimit_ok(&m->irq_limit))
		log_error(m->log, "I/O APIC: %s failed: %s", what, err_text(code));
}

bool x86_irqchip_send(void *machine, u64 addr, u32 data)
{
	struct machine *m = machine;
	int ret = msi_router_send(&m->msi, addr, data);

	/* EPERM: there is no such CPU */
	if (ret < 0 && ret != -EPERM)
		complain(m, "KVM_SIGNAL_MSI", -ret);
	return ret > 0;
}

int x86_irqchip_route(void *machine, u32 pin, u64 addr, u32 data)
{
	struct machine *m = machine;
	int ret = msi_router_set_pin(&m->msi, pin, addr, data);

	if (ret)
		complain(m, "KVM_SET_GSI_ROUTING", -ret);
	return ret;
}

void x86_irqchip_split_set(struct machine *m, u32 gsi, bool level)
{
	if (m->arch->ioapic)
		ioapic_set(m->arch->ioapic, gsi, level);
}

void x86_irqchip_eoi(struct machine *m, u8 vector)
{
	if (m->arch->ioapic)
		ioapic_eoi(m->arch->ioapic, vector);
}

/* ---- which ---------------------------------------------------------------------------- */

/* The largest id of all: ids go up with the index. */
static u32 last_id(const struct cpu_topology *topo, const struct lkvm_config *cfg)
{
	return cpu_topology_apic_id(topo, cfg->n_vcpus - 1);
}

bool x86_irqchip_is_split(const struct lkvm_config *cfg)
{
	struct cpu_topology topo;

	if (cfg->x86.irqchip != LKVM_X86_IRQCHIP_AUTO)
		return cfg->x86.irqchip == LKVM_X86_IRQCHIP_SPLIT;
	/* PIC and PIT have no use for an SNP guest: it takes interrupts by its local APIC alone */
	if (cfg->x86.snp.on)
		return true;
	return !cpu_topology_init(&topo, cfg, NULL) && last_id(&topo, cfg) > XAPIC_MAX_ID;
}

int x86_irqchip_init(struct machine *m, struct lkvm_error *err)
{
	u32 last = last_id(&m->arch->cpuid.topo, m->cfg);
	int max = kvm_check(&m->kvm, KVM_CAP_MAX_VCPU_ID); /* ids are below */

	if (max > 0 && last >= (u32)max)
		return err_unsupported(err, E2BIG,
				       "--cpus %u: the last CPU gets APIC id %u; this host's KVM "
				       "takes at most %d",
				       m->cfg->n_vcpus, last, max - 1);
	if (!x86_irqchip_is_split(m->cfg))
		return init_kernel(m, err);
	return init_split(m, last > XAPIC_MAX_ID, err);
}
