#include "arch/arm64/gic_state.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/arm64/layout.h"
#include "arch/arm64/machine.h"

/* Offsets: Arm IHI 0069 (GICv3), 12.9 to 12.19; a GICv2's (IHI 0048, 4.3 and 4.4) are the same. */
#define GICD_CTLR    0x0000
#define GICD_IIDR    0x0008
#define GICD_STATUSR 0x0010
#define IGROUPR	     0x0080 /* from here: of interrupt 0; a redistributor has them in SGI_FRAME */
#define ISENABLER    0x0100
#define ISPENDR	     0x0200
#define ISACTIVER    0x0300
#define IPRIORITYR   0x0400
#define ITARGETSR    0x0800
#define ICFGR	     0x0c00
#define IROUTER	     0x6000
#define CPENDSGIR    0x0f10
#define SPENDSGIR    0x0f20
#define CLEAR_STEP   0x0080 /* from each register that sets bits to the one that clears them */
#define SGI_FRAME    0x10000

#define GICR_CTLR      0x0000
#define GICR_STATUSR   0x0010
#define GICR_PROPBASER 0x0070
#define GICR_PENDBASER 0x0078

#define GITS_CTLR    0x0000
#define GITS_IIDR    0x0004
#define GITS_CBASER  0x0080
#define GITS_CWRITER 0x0088
#define GITS_CREADR  0x0090
#define GITS_BASER   0x0100
#define GITS_N_BASER 8

#define N_PRIVATE 32 /* interrupts of each CPU's own: ARM64_SPI_INTID */

/* More than there are, of each vCPU, of each SPI, and on top. */
#define MAX_CPU_REGS   96
#define MAX_SPI_REGS   4
#define MAX_OTHER_REGS 64
_Static_assert(ARM64_MAX_VCPUS *MAX_CPU_REGS + 1024 * MAX_SPI_REGS + MAX_OTHER_REGS <=
		       GIC_STATE_MAX_REGS,
	       "the bound holds for every machine");

void gic_state_free(struct gic_state *state)
{
	if (!state)
		return;
	free(state->regs);
	free(state);
}

bool gic_state_same(const struct gic_state *a, const struct gic_state *b,
		    const struct gic_reg **reg)
{
	*reg = NULL;
	for (u32 i = 0; i < a->n_regs && i < b->n_regs; i++) {
		const struct gic_reg *ra = &a->regs[i], *rb = &b->regs[i];

		if (ra->group == rb->group && ra->attr == rb->attr && ra->val == rb->val)
			continue;
		*reg = ra;
		return false;
	}
	return a->n_regs == b->n_regs && a->kind == b->kind && a->n_vcpus == b->n_vcpus &&
	       a->n_spis == b->n_spis;
}

/* ---- one register ------------------------------------------------------------------------- */

static int fd_of(const struct machine *m, u32 group)
{
	return group == KVM_DEV_ARM_VGIC_GRP_ITS_REGS ? m->arch->gic.its_fd : m->arch->gic.fd;
}

static bool is_64bit(u32 group)
{
	return group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS || group == KVM_DEV_ARM_VGIC_GRP_ITS_REGS;
}

static int read_reg(const struct machine *m, u32 group, u64 attr, u64 *val)
{
	u32 val32 = 0;
	int ret;

	if (is_64bit(group))
		return kvm_get_attr(&m->kvm, fd_of(m, group), group, attr, val);
	ret = kvm_get_attr(&m->kvm, fd_of(m, group), group, attr, &val32);
	*val = val32;
	return ret;
}

static int write_reg(const struct machine *m, u32 group, u64 attr, u64 val)
{
	u32 val32 = (u32)val;

	return kvm_set_attr(&m->kvm, fd_of(m, group), group, attr,
			    is_64bit(group) ? (const void *)&val : &val32, "", NULL);
}

/* ---- get ---------------------------------------------------------------------------------- */

struct saving {
	struct machine *m;
	struct gic_state *s;
	u32 max;
	struct lkvm_error *err;
};

/* @optional: not every host, or guest, has it. */
static int save(const struct saving *sv, u32 group, u64 attr, bool optional)
{
	struct gic_state *s = sv->s;
	u64 val = 0;
	int ret = read_reg(sv->m, group, attr, &val);

	if (optional && (ret == -ENXIO || ret == -ENOENT || ret == -EINVAL))
		return 0;
	if (!ret && s->n_regs == sv->max)
		ret = -ENOSPC;
	if (ret)
		return err_host(sv->err, -ret, "reading GIC register 0x%llx of group %u",
				(unsigned long long)attr, group);
	s->regs[s->n_regs++] = (struct gic_reg){ .group = group, .attr = attr, .val = val };
	return 0;
}

static int save_list(const struct saving *sv, u32 group, u64 attr, const u32 *offs, size_t n)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < n; i++)
		ret = save(sv, group, attr | offs[i], false);
	return ret;
}
#define SAVE_LIST(sv, group, attr, offs) save_list(sv, group, attr, offs, ARRAY_SIZE(offs))

/* Where the registers of some interrupts are. */
struct irqs {
	u32 group;
	u64 attr; /* of register 0: which CPU, which frame */
	u32 first, n;
};

/* A row of registers, with @bits for each interrupt from interrupt 0 at @off on. */
static int save_row(const struct saving *sv, const struct irqs *irqs, u32 off, u32 bits)
{
	u32 end = off + (irqs->first + irqs->n) * bits / 8;
	int ret = 0;

	for (off += irqs->first * bits / 8; !ret && off < end; off += sizeof(u32))
		ret = save(sv, irqs->group, irqs->attr | off, false);
	return ret;
}

static int save_config(const struct saving *sv, const struct irqs *irqs)
{
	int ret = save_row(sv, irqs, IGROUPR, 1);

	if (!ret)
		ret = save_row(sv, irqs, ICFGR, 2);
	return ret ? ret : save_row(sv, irqs, IPRIORITYR, 8);
}

static int save_activity(const struct saving *sv, const struct irqs *irqs)
{
	int ret = save_row(sv, irqs, ISENABLER, 1);

	if (!ret)
		ret = save_row(sv, irqs, ISPENDR, 1);
	return ret ? ret : save_row(sv, irqs, ISACTIVER, 1);
}

static struct irqs shared_irqs(const struct gic_state *s)
{
	return (struct irqs){ .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS,
			      .first = ARM64_SPI_INTID,
			      .n = s->n_spis };
}

static struct irqs v2_private(u32 cpu)
{
	return (struct irqs){ .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS,
			      .attr = (u64)cpu << KVM_DEV_ARM_VGIC_CPUID_SHIFT,
			      .n = N_PRIVATE };
}

/* MPIDR_EL1 with its Aff3 moved next to the others. */
static u64 v3_cpu(const struct machine *m, u32 cpu)
{
	u64 mpidr = m->arch->mpidr[cpu];

	return ((mpidr >> 8 & 0xff000000) | (mpidr & 0x00ffffff))
	       << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
}

static struct irqs v3_private(const struct machine *m, u32 cpu)
{
	return (struct irqs){ .group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
			      .attr = v3_cpu(m, cpu) | SGI_FRAME,
			      .n = N_PRIVATE };
}

/*
 * The order is that of putting them back. GICD_IIDR is first: KVM's way to agree on a revision.
 * The distributor is enabled before anything is pending: what becomes pending while it is
 * not, KVM does not deliver later either. How interrupts are configured comes before whether they
 * are enabled, pending and active.
 */
static int save_v2(const struct saving *sv)
{
	static const u32 dist[] = { GICD_IIDR, GICD_CTLR };
	/* GICC_CTLR, PMR, BPR, ABPR, APR0 to APR3 */
	static const u32 cpuif[] = { 0x00, 0x04, 0x08, 0x1c, 0xd0, 0xd4, 0xd8, 0xdc };
	const struct irqs spis = shared_irqs(sv->s);
	struct irqs own;
	int ret = SAVE_LIST(sv, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, dist);

	if (!ret)
		ret = save_config(sv, &spis);
	if (!ret)
		ret = save_row(sv, &spis, ITARGETSR, 8);
	for (u32 i = 0; !ret && i < sv->s->n_vcpus; i++) {
		own = v2_private(i);
		ret = save_config(sv, &own);
		if (!ret)
			ret = SAVE_LIST(sv, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, own.attr, cpuif);
	}
	if (!ret)
		ret = save_activity(sv, &spis);
	for (u32 i = 0; !ret && i < sv->s->n_vcpus; i++) {
		own = v2_private(i);
		ret = save_activity(sv, &own);
		own.n = 16; /* SGIs: which CPUs sent them */
		if (!ret)
			ret = save_row(sv, &own, SPENDSGIR, 8);
	}
	return ret;
}

/* A system register by its encoding, as KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS has it. */
#define ICC(op1, crn, crm, op2) \
	((u32)(ARM64_SYS_REG(3, op1, crn, crm, op2) & KVM_DEV_ARM_VGIC_SYSREG_INSTR_MASK))

struct sysregs {
	u32 first;
	u32 n : 31; /* that follow one another by op2, from the first one's crm on */
	u32 optional : 1;
};

static int save_cpu_interface(const struct saving *sv, u32 cpu)
{
	static const struct sysregs sysregs[] = {
		{ ICC(0, 12, 12, 5), 1, 0 }, /* ICC_SRE_EL1 */
		{ ICC(0, 12, 12, 4), 1, 0 }, /* ICC_CTLR_EL1: how many bits the others have */
		{ ICC(0, 4, 6, 0), 1, 0 },   /* ICC_PMR_EL1 */
		{ ICC(0, 12, 8, 3), 1, 0 },  /* ICC_BPR0_EL1 */
		{ ICC(0, 12, 12, 3), 1, 0 }, /* ICC_BPR1_EL1 */
		{ ICC(0, 12, 12, 6), 2, 0 }, /* ICC_IGRPEN0_EL1, ICC_IGRPEN1_EL1 */
		{ ICC(0, 12, 8, 4), 4, 1 },  /* ICC_AP0R0_EL1 to 3: the first at least */
		{ ICC(0, 12, 9, 0), 4, 1 },  /* ICC_AP1R0_EL1 to 3 */
		/* of a guest with EL2 */
		{ ICC(4, 12, 9, 5), 1, 1 },   /* ICC_SRE_EL2 */
		{ ICC(4, 12, 11, 1), 1, 1 },  /* ICH_VTR_EL2 */
		{ ICC(4, 12, 11, 0), 1, 1 },  /* ICH_HCR_EL2 */
		{ ICC(4, 12, 11, 7), 1, 1 },  /* ICH_VMCR_EL2 */
		{ ICC(4, 12, 8, 0), 4, 1 },   /* ICH_AP0R0_EL2 to 3 */
		{ ICC(4, 12, 9, 0), 4, 1 },   /* ICH_AP1R0_EL2 to 3 */
		{ ICC(4, 12, 12, 0), 16, 1 }, /* ICH_LR0_EL2 to 15 */
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < ARRAY_SIZE(sysregs); i++) {
		for (u32 j = 0; !ret && j < sysregs[i].n; j++)
			ret = save(sv, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
				   v3_cpu(sv->m, cpu) | (sysregs[i].first + j),
				   sysregs[i].optional);
	}
	return ret;
}

/* How high the input lines are, in words of 32: ISPENDR has only what was latched. */
static int save_lines(const struct saving *sv, u32 cpu, u32 first, u32 n)
{
	int ret = 0;

	for (u32 i = first; !ret && i < first + n; i += 32)
		ret = save(sv, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
			   v3_cpu(sv->m, cpu) |
				   VGIC_LEVEL_INFO_LINE_LEVEL
					   << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT |
				   i,
			   false);
	return ret;
}

static int save_v3_cpu(const struct saving *sv, u32 cpu)
{
	/* Where the tables of LPIs are must be known when GICR_CTLR enables them. */
	static const u32 rd[] = { GICR_STATUSR,	  GICR_PROPBASER,     GICR_PROPBASER + 4,
				  GICR_PENDBASER, GICR_PENDBASER + 4, GICR_CTLR };
	const struct irqs own = v3_private(sv->m, cpu);
	int ret = SAVE_LIST(sv, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, v3_cpu(sv->m, cpu), rd);

	if (!ret)
		ret = save_config(sv, &own);
	return ret ? ret : save_cpu_interface(sv, cpu);
}

static int save_v3(const struct saving *sv)
{
	static const u32 dist[] = { GICD_IIDR, GICD_CTLR, GICD_STATUSR };
	const struct irqs spis = shared_irqs(sv->s);
	int ret = SAVE_LIST(sv, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, dist);

	if (!ret)
		ret = save_config(sv, &spis);
	if (!ret)
		ret = save_row(sv, &spis, IROUTER, 64);
	for (u32 i = 0; !ret && i < sv->s->n_vcpus; i++)
		ret = save_v3_cpu(sv, i);
	if (!ret)
		ret = save_activity(sv, &spis);
	if (!ret)
		ret = save_lines(sv, 0, spis.first, spis.n);
	for (u32 i = 0; !ret && i < sv->s->n_vcpus; i++) {
		const struct irqs own = v3_private(sv->m, i);

		ret = save_activity(sv, &own);
		if (!ret)
			ret = save_lines(sv, i, 0, N_PRIVATE);
	}
	return ret;
}

static int ctrl(const struct machine *m, int fd, u64 attr, const char *what, struct lkvm_error *err)
{
	return kvm_set_attr(&m->kvm, fd, KVM_DEV_ARM_VGIC_GRP_CTRL, attr, NULL, what, err);
}

/* "ITS Restore Sequence" in arm-vgic-its.rst. GITS_CBASER resets GITS_CREADR; GITS_CTLR is last. */
static int save_its(const struct saving *sv)
{
	static const u32 regs[] = { GITS_CBASER, GITS_CREADR, GITS_CWRITER, GITS_IIDR };
	const struct gic *g = &sv->m->arch->gic;
	int ret = ctrl(sv->m, g->its_fd, KVM_DEV_ARM_ITS_SAVE_TABLES,
		       "writing the ITS's tables to guest memory", sv->err);

	if (!ret)
		ret = ctrl(sv->m, g->fd, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES,
			   "writing the GIC's pending tables to guest memory", sv->err);
	if (!ret)
		ret = SAVE_LIST(sv, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0, regs);
	for (u32 i = 0; !ret && i < GITS_N_BASER; i++)
		ret = save(sv, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, GITS_BASER + 8 * i, false);
	return ret ? ret : save(sv, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, GITS_CTLR, false);
}

static int save_all(const struct saving *sv)
{
	int ret = gic_is_v2(sv->s->kind) ? save_v2(sv) : save_v3(sv);

	return ret || sv->s->kind != LKVM_IRQCHIP_GICV3_ITS ? ret : save_its(sv);
}

int gic_state_get(struct machine *m, struct gic_state **out, struct lkvm_error *err)
{
	const struct gic *g = &m->arch->gic;
	u32 max = m->n_vcpus * MAX_CPU_REGS + g->n_spis * MAX_SPI_REGS + MAX_OTHER_REGS;
	struct gic_state *s = calloc(1, sizeof(*s));
	struct saving sv = { .m = m, .s = s, .max = max, .err = err };
	int ret;

	*out = NULL;
	if (s)
		s->regs = calloc(max, sizeof(s->regs[0]));
	if (!s || !s->regs) {
		gic_state_free(s);
		return err_host(err, ENOMEM, "state of the GIC");
	}
	s->kind = g->kind;
	s->n_vcpus = m->n_vcpus;
	s->n_spis = g->n_spis;
	ret = save_all(&sv);
	if (ret) {
		gic_state_free(s);
		return ret;
	}
	*out = s;
	return 0;
}

/* ---- set ---------------------------------------------------------------------------------- */

static bool in_row(u32 off, u32 row, u32 len)
{
	return off - row < len;
}

/* Writing 1s is all that a bit in these can be told: what is not set must be cleared. */
static bool has_clear(const struct gic_reg *reg, u64 *attr)
{
	u32 off = (u32)(reg->attr & KVM_DEV_ARM_VGIC_OFFSET_MASK);

	if (reg->group == KVM_DEV_ARM_VGIC_GRP_REDIST_REGS)
		off -= SGI_FRAME;
	else if (reg->group != KVM_DEV_ARM_VGIC_GRP_DIST_REGS)
		return false;
	if (in_row(off, ISENABLER, CLEAR_STEP) || in_row(off, ISPENDR, CLEAR_STEP) ||
	    in_row(off, ISACTIVER, CLEAR_STEP)) {
		*attr = reg->attr + CLEAR_STEP;
		return true;
	}
	*attr = reg->attr - (SPENDSGIR - CPENDSGIR);
	return in_row(off, SPENDSGIR, SPENDSGIR - CPENDSGIR);
}

static int refused(const struct gic_reg *reg, int why, struct lkvm_error *err)
{
	return err_unsupported(err, why,
			       "GIC register 0x%llx of group %u cannot be made 0x%llx on this "
			       "host: %s",
			       (unsigned long long)reg->attr, reg->group,
			       (unsigned long long)reg->val, err_text(why));
}

/* Until it is written a GICv2 does not let the guest's interrupt groups be set. */
static bool is_iidr(const struct gic_reg *reg)
{
	return reg->group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS && reg->attr == GICD_IIDR;
}

static int restore(const struct machine *m, const struct gic_reg *reg, struct lkvm_error *err)
{
	u64 clear, have = 0;
	int ret;

	if (has_clear(reg, &clear)) {
		ret = write_reg(m, reg->group, clear, ~0u);
		if (ret)
			return refused(reg, -ret, err);
	} else if (!is_iidr(reg) && !read_reg(m, reg->group, reg->attr, &have) &&
		   have == reg->val) {
		/* It may be read-only, or as GICR_PROPBASER at first have a value that KVM makes
		 * another one of when it is written. */
		return 0;
	}
	ret = write_reg(m, reg->group, reg->attr, reg->val);
	return ret ? refused(reg, -ret, err) : 0;
}

static int check_state(const struct machine *m, const struct gic_state *s, struct lkvm_error *err)
{
	const struct gic *g = &m->arch->gic;

	if (s->kind != g->kind || s->n_vcpus != m->n_vcpus || s->n_spis != g->n_spis)
		return err_input(err,
				 "the saved interrupt controller is of kind %d for %u vCPUs and "
				 "%u interrupts, this machine's of kind %d for %u and %u",
				 (int)s->kind, s->n_vcpus, s->n_spis, (int)g->kind, m->n_vcpus,
				 g->n_spis);
	for (u32 i = 0; i < s->n_regs; i++) {
		switch (s->regs[i].group) {
		case KVM_DEV_ARM_VGIC_GRP_DIST_REGS:
		case KVM_DEV_ARM_VGIC_GRP_CPU_REGS:
		case KVM_DEV_ARM_VGIC_GRP_REDIST_REGS:
		case KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS:
		case KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO:
			continue;
		case KVM_DEV_ARM_VGIC_GRP_ITS_REGS:
			if (g->its_fd >= 0)
				continue;
		}
		return err_input(err, "the saved interrupt controller has a register of group %u",
				 s->regs[i].group);
	}
	return 0;
}

static bool enables_its(const struct gic_reg *reg)
{
	return reg->group == KVM_DEV_ARM_VGIC_GRP_ITS_REGS && reg->attr == GITS_CTLR;
}

int gic_state_set(struct machine *m, const struct gic_state *s, struct lkvm_error *err)
{
	const struct gic *g = &m->arch->gic;
	int ret = check_state(m, s, err);

	/* An ITS that was in use does not let go of tables otherwise. */
	if (!ret && g->its_fd >= 0 &&
	    kvm_has_attr(&m->kvm, g->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_ITS_CTRL_RESET))
		ret = ctrl(m, g->its_fd, KVM_DEV_ARM_ITS_CTRL_RESET, "resetting the ITS", err);
	for (u32 i = 0; !ret && i < s->n_regs; i++) {
		if (enables_its(&s->regs[i]))
			ret = ctrl(m, g->its_fd, KVM_DEV_ARM_ITS_RESTORE_TABLES,
				   "reading the ITS's tables from guest memory", err);
		if (!ret)
			ret = restore(m, &s->regs[i], err);
	}
	return ret;
}
