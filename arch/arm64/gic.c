/*
 * gic.c - the interrupt controllers KVM emulates for arm64 guests
 * (Documentation/virt/kvm/devices/arm-vgic.rst, arm-vgic-v3.rst, arm-vgic-its.rst).
 */
#include "arch/arm64/gic.h"

#include <errno.h>

#include "arch/arm64/layout.h"
#include "arch/arm64/machine.h"
#include "devices/gicv2m.h"

static const char *const kind_names[] = {
	[LKVM_IRQCHIP_AUTO] = "auto",		[LKVM_IRQCHIP_GICV2] = "gicv2",
	[LKVM_IRQCHIP_GICV2M] = "gicv2m",	[LKVM_IRQCHIP_GICV3] = "gicv3",
	[LKVM_IRQCHIP_GICV3_ITS] = "gicv3-its",
};

static enum lkvm_irqchip best_kind(const struct machine *m)
{
	if (kvm_has_device(&m->kvm, KVM_DEV_TYPE_ARM_VGIC_V3))
		return kvm_has_device(&m->kvm, KVM_DEV_TYPE_ARM_VGIC_ITS) ? LKVM_IRQCHIP_GICV3_ITS
									  : LKVM_IRQCHIP_GICV3;
	return kvm_has_device(&m->kvm, KVM_DEV_TYPE_ARM_VGIC_V2) ? LKVM_IRQCHIP_GICV2M
								 : LKVM_IRQCHIP_AUTO;
}

static int choose_kind(struct machine *m, struct lkvm_error *err)
{
	enum lkvm_irqchip kind = m->cfg->arm64.irqchip;

	if (kind == LKVM_IRQCHIP_AUTO)
		kind = best_kind(m);
	if (kind == LKVM_IRQCHIP_AUTO)
		return err_unsupported(err, ENODEV,
				       "this host's KVM has no interrupt controller for guests");
	if (m->cfg->nested && gic_is_v2(kind))
		return err_unsupported(err, ENODEV,
				       "--nested: this host's KVM has no GICv3 for guests");
	/* --irqchip gicv2 with as many was refused with the config: here it was not named. */
	if (gic_is_v2(kind) && m->cfg->n_vcpus > ARM64_GICV2_MAX_VCPUS)
		return err_unsupported(err, E2BIG,
				       "--cpus %u: this host's guests have a GICv2, which takes at "
				       "most %d",
				       m->cfg->n_vcpus, ARM64_GICV2_MAX_VCPUS);
	m->arch->gic.kind = kind;
	m->arch->gic.n_spis = ARM64_N_SPIS;
	if (kind == LKVM_IRQCHIP_GICV2M)
		m->arch->gic.n_spis += ARM64_GICV2M_N_SPI;
	return 0;
}

static int set_addr(struct machine *m, int fd, u64 attr, u64 gpa, const char *what,
		    struct lkvm_error *err)
{
	return kvm_set_attr(&m->kvm, fd, KVM_DEV_ARM_VGIC_GRP_ADDR, attr, &gpa, what, err);
}

static int create(struct machine *m, u32 type, int *fd, struct lkvm_error *err)
{
	int ret = kvm_create_device(&m->kvm, type, err);

	if (ret == -ENODEV)
		return err_unsupported(err, ENODEV,
				       "--irqchip %s: this host's KVM does not have it",
				       kind_names[m->arch->gic.kind]);
	if (ret < 0)
		return ret;
	*fd = ret;
	return 0;
}

static int create_v2(struct machine *m, struct lkvm_error *err)
{
	struct gic *g = &m->arch->gic;
	int ret = create(m, KVM_DEV_TYPE_ARM_VGIC_V2, &g->fd, err);

	if (!ret)
		ret = set_addr(m, g->fd, KVM_VGIC_V2_ADDR_TYPE_DIST, ARM64_GIC_DIST_BASE,
			       "GICv2 distributor", err);
	if (!ret)
		ret = set_addr(m, g->fd, KVM_VGIC_V2_ADDR_TYPE_CPU, ARM64_GICV2_CPU_BASE,
			       "GICv2 CPU interface", err);
	return ret;
}

static int create_v3(struct machine *m, struct lkvm_error *err)
{
	struct gic *g = &m->arch->gic;
	int ret = create(m, KVM_DEV_TYPE_ARM_VGIC_V3, &g->fd, err);

	if (!ret)
		ret = set_addr(m, g->fd, KVM_VGIC_V3_ADDR_TYPE_DIST, ARM64_GIC_DIST_BASE,
			       "GICv3 distributor", err);
	if (!ret)
		ret = set_addr(m, g->fd, KVM_VGIC_V3_ADDR_TYPE_REDIST,
			       ARM64_GICV3_RDIST_BASE(m->cfg->n_vcpus), "GICv3 redistributors",
			       err);
	if (ret || g->kind != LKVM_IRQCHIP_GICV3_ITS)
		return ret;
	ret = create(m, KVM_DEV_TYPE_ARM_VGIC_ITS, &g->its_fd, err);
	return ret ? ret
		   : set_addr(m, g->its_fd, KVM_VGIC_ITS_ADDR_TYPE, ARM64_ITS_BASE(m->cfg->n_vcpus),
			      "GICv3 ITS", err);
}

/* How a guest hypervisor hears of its guests' interrupts. KVM takes it before CTRL_INIT only. */
static int set_maintenance_irq(struct machine *m, struct lkvm_error *err)
{
	u32 intid = ARM64_PPI_MAINT;

	if (!kvm_has_attr(&m->kvm, m->arch->gic.fd, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0))
		return err_unsupported(err, ENXIO,
				       "--nested: this host's KVM takes no maintenance interrupt "
				       "for the guest's GICv3");
	return kvm_set_attr(&m->kvm, m->arch->gic.fd, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0, &intid,
			    "GICv3 maintenance interrupt", err);
}

int gic_create(struct machine *m, struct lkvm_error *err)
{
	struct gic *g = &m->arch->gic;
	u32 n_irqs;
	int ret = choose_kind(m, err);

	if (!ret)
		ret = gic_is_v2(g->kind) ? create_v2(m, err) : create_v3(m, err);
	if (ret)
		return ret;
	n_irqs = ARM64_SPI_INTID + g->n_spis;
	ret = kvm_set_attr(&m->kvm, g->fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &n_irqs,
			   "number of interrupts", err);
	return ret || !m->cfg->nested ? ret : set_maintenance_irq(m, err);
}

/* What a message to the GICv2m frame raises: the guest chose the SPI, by its INTID. */
static int gicv2m_pin(u64 addr, u32 data)
{
	if (addr != ARM64_GICV2M_BASE + GICV2M_SETSPI_NS ||
	    data - ARM64_SPI_INTID < ARM64_GICV2M_SPI ||
	    data - ARM64_SPI_INTID >= ARM64_GICV2M_SPI + ARM64_GICV2M_N_SPI)
		return -EINVAL;
	return (int)(data - ARM64_SPI_INTID);
}

/* KVM's own table, said again: GSI n is SPI n. */
static int init_msi(struct machine *m, struct lkvm_error *err)
{
	struct kvm_irq_routing_entry pins[ARM64_N_SPIS] = { 0 };
	int ret;

	for (u32 i = 0; i < ARM64_N_SPIS; i++) {
		pins[i].gsi = i;
		pins[i].type = KVM_IRQ_ROUTING_IRQCHIP;
		pins[i].u.irqchip.pin = i;
	}
	ret = msi_router_init(&m->msi, &m->kvm, pins, ARRAY_SIZE(pins), ARM64_N_SPIS, err);
	if (!ret && m->arch->gic.kind == LKVM_IRQCHIP_GICV2M)
		m->msi.pin = gicv2m_pin;
	return ret;
}

static int ctrl_init(struct machine *m, int fd, const char *what, struct lkvm_error *err)
{
	return kvm_set_attr(&m->kvm, fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT,
			    NULL, what, err);
}

int gic_init(struct machine *m, struct lkvm_error *err)
{
	struct gic *g = &m->arch->gic;
	int ret = ctrl_init(m, g->fd, "initialising the GIC", err);

	if (!ret && g->its_fd >= 0)
		ret = ctrl_init(m, g->its_fd, "initialising the ITS", err);
	if (ret || g->kind == LKVM_IRQCHIP_GICV2 || g->kind == LKVM_IRQCHIP_GICV3)
		return ret;
	return init_msi(m, err);
}

void gic_destroy(struct machine *m)
{
	struct gic *g = &m->arch->gic;

	kvm_close_fd(&m->kvm, g->its_fd);
	kvm_close_fd(&m->kvm, g->fd);
	*g = (struct gic)GIC_INIT;
}
