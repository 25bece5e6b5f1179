/*
 * vgic_regs.c - registers of the interrupt controllers as attributes, stored: what user space
 * wrote is what it reads (Documentation/virt/kvm/devices/arm-vgic.rst, arm-vgic-v3.rst; offsets and
 * reset values: Arm IHI 0048 and 0069). No interrupt comes of them.
 */
#include "tests/fakekvm/arm64/arm64.h"

#include <errno.h>

enum kind {
	KEEP,
	SETS,	/* a one sets the bit, as read back */
	CLEARS, /* a one clears it, in the register 0x80 before */
	FIXED,	/* writes are ignored */
	ZERO,	/* RAZ/WI */
	CTLR,
	IIDR,	/* its revision can be changed, nothing else: EINVAL */
	CPENDS, /* GICv2: as CLEARS, 0x10 after it */
};

#define V2 1u
#define V3 2u

struct region {
	u32 off, len;
	enum kind kind;
	u8 bits; /* for each interrupt; 0: not by interrupt */
	u8 of;
	u32 reset;
};

/* The distributor, and with what is of bits 32 and below the frames of CPUs: word 0 and so on. */
static const struct region dist[] = {
	{ 0x0000, 4, CTLR, 0, V2 | V3, 0 },
	{ 0x0004, 4, FIXED, 0, V2 | V3, 0 },
	{ 0x0008, 4, IIDR, 0, V2 | V3, 0x4b00343b },
	{ 0x000c, 4, ZERO, 0, V3, 0 },
	{ 0x0010, 4, ZERO, 0, V3, 0 },
	{ 0x0080, 0x80, KEEP, 1, V2 | V3, UINT32_MAX },
	{ 0x0100, 0x80, SETS, 1, V2 | V3, 0 },
	{ 0x0180, 0x80, CLEARS, 1, V2 | V3, 0 },
	{ 0x0200, 0x80, KEEP, 1, V3, 0 },
	{ 0x0200, 0x80, SETS, 1, V2, 0 },
	{ 0x0280, 0x80, ZERO, 1, V3, 0 },
	{ 0x0280, 0x80, CLEARS, 1, V2, 0 },
	{ 0x0300, 0x80, SETS, 1, V2 | V3, 0 },
	{ 0x0380, 0x80, CLEARS, 1, V2 | V3, 0 },
	{ 0x0400, 0x400, KEEP, 8, V2 | V3, 0 },
	{ 0x0800, 0x400, KEEP, 8, V2, 0 },
	{ 0x0800, 0x400, ZERO, 8, V3, 0 },
	{ 0x0c00, 0x100, KEEP, 2, V2 | V3, 0 },
	{ 0x0d00, 0x80, ZERO, 1, V3, 0 },
	{ 0x0f00, 4, ZERO, 0, V2, 0 },
	{ 0x0f10, 0x10, CPENDS, 0, V2, 0 },
	{ 0x0f20, 0x10, SETS, 0, V2, 0 },
	{ 0x6000, 0x2000, KEEP, 64, V3, 0 },
	{ 0xffd0, 0x30, FIXED, 0, V3, 0x3b },
};

/* A redistributor's two frames. */
static const struct region redist_rd[] = {
	{ 0x0000, 4, KEEP, 0, V3, 0 },	{ 0x0004, 4, FIXED, 0, V3, 0x4b00343b },
	{ 0x0008, 8, FIXED, 0, V3, 0 }, { 0x0010, 4, ZERO, 0, V3, 0 },
	{ 0x0014, 4, ZERO, 0, V3, 0 },	{ 0x0070, 8, KEEP, 0, V3, 0 },
	{ 0x0078, 8, KEEP, 0, V3, 0 },	{ 0xffd0, 0x30, FIXED, 0, V3, 0x3b },
};

static const struct region redist_sgi[] = {
	{ 0x0080, 4, KEEP, 0, V3, UINT32_MAX }, { 0x0100, 4, SETS, 0, V3, 0xffff },
	{ 0x0180, 4, CLEARS, 0, V3, 0 },	{ 0x0200, 4, KEEP, 0, V3, 0 },
	{ 0x0280, 4, ZERO, 0, V3, 0 },		{ 0x0300, 4, SETS, 0, V3, 0 },
	{ 0x0380, 4, CLEARS, 0, V3, 0 },	{ 0x0400, 0x20, KEEP, 0, V3, 0 },
	{ 0x0c00, 8, KEEP, 0, V3, 0 },		{ 0x0d00, 4, ZERO, 0, V3, 0 },
	{ 0x0e00, 4, ZERO, 0, V3, 0 },
};

/* GICv2's CPU interface: CTLR, PMR, BPR, ABPR, APR<n>, IIDR. */
static const struct region gicc[] = {
	{ 0x00, 12, KEEP, 0, V2, 0 },
	{ 0x1c, 4, KEEP, 0, V2, 0 },
	{ 0xd0, 16, KEEP, 0, V2, 0 },
	{ 0xfc, 4, FIXED, 0, V2, 0x4b00243b },
};

#define SGI_FRAME 0x10000
#define CTLR_V2	  0x1u
#define CTLR_V3	  0x2u	/* EnableGrp1 */
#define CTLR_ONES 0x50u /* ARE, DS: always */
#define IIDR_REV  0xf000u

static u8 version(const struct arm64_vm *v)
{
	return v->gic == KVM_DEV_TYPE_ARM_VGIC_V3 ? V3 : V2;
}

/* 32-bit accesses. */
static const struct region *find(const struct arm64_vm *v, const struct region *r, size_t n,
				 u64 off)
{
	for (; n; n--, r++) {
		if ((r->of & version(v)) && off >= r->off && off < r->off + r->len && off % 4 == 0)
			return r;
	}
	return NULL;
}

/* One register: where it is kept, or NULL for none; and where a CLEARS acts. */
static int access_word(const struct region *r, u32 *word, u32 *user, bool write)
{
	u32 val = *user;

	if (!write) {
		switch (r->kind) {
		case FIXED:
			*user = word ? *word : r->reset;
			return 0;
		case ZERO:
			*user = 0;
			return 0;
		default:
			*user = *word;
			return 0;
		}
	}
	switch (r->kind) {
	case KEEP:
		*word = val;
		return 0;
	case SETS:
		*word |= val;
		return 0;
	case CLEARS:
	case CPENDS:
		*word &= ~val;
		return 0;
	case IIDR:
		if ((*word ^ val) & ~IIDR_REV || (val & IIDR_REV) < 0x1000 ||
		    (val & IIDR_REV) > 0x3000)
			return -EINVAL;
		*word = val;
		return 0;
	case CTLR:
		*word = *word & CTLR_ONES ? CTLR_ONES | (val & CTLR_V3) : val & CTLR_V2;
		return 0;
	case FIXED:
	case ZERO:
		return 0;
	}
	return 0;
}

/* CLEARS act on what is kept at their partner's. */
static u64 kept_at(const struct region *r, u64 off)
{
	if (r->kind == CLEARS)
		return off - 0x80;
	return r->kind == CPENDS ? off + 0x10 : off;
}

/* ---- Which CPU an attribute is about ---- */

/* The CPU by its affinity, 8 bits for each level; GICv2: by its number. */
static struct fake_vcpu *cpu_of(struct fake_call *c, u64 attr)
{
	u64 aff = attr >> KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
	u64 mpidr = (aff & 0xffffff) | (aff & 0xff000000) << 8;

	if (version(arm64_vm(c->vm)) == V2)
		return fake_find_vcpu(c->fk, c->vm, aff & 0xff);
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++)
		if (c->fk->vcpus[i].vm == c->vm &&
		    (arm64_vcpu_mpidr(&c->fk->vcpus[i]) & 0xff00ffffffull) == mpidr)
			return &c->fk->vcpus[i];
	return NULL;
}

/* ---- Groups of 32-bit registers ---- */

/* What is of interrupts below 32: a GICv2 has it for each CPU, a GICv3 not at all. */
static int access_dist(struct fake_call *c, struct fake_vcpu *vcpu, u64 off, u32 *user, bool write)
{
	struct arm64_vm *v = arm64_vm(c->vm);
	const struct region *r = find(v, dist, ARRAY_SIZE(dist), off);
	u64 at, first;
	bool private, none;

	if (!r)
		return -ENXIO;
	at = kept_at(r, off);
	first = r->bits ? (off - r->off) * 8 / r->bits : 0;
	/* interrupts that there are not read as zero and take nothing: observed */
	none = r->bits && first >= ARM64_PRIVATE + v->n_spis;
	private = (r->bits && first < ARM64_PRIVATE) || r->kind == CPENDS || r->off == 0x0f20;
	if (none || (private && version(v) == V3)) {
		*user = write ? *user : 0;
		return 0;
	}
	if (at >= ARM64_DIST_REGS)
		return access_word(r, NULL, user, write);
	if (!private)
		return access_word(r, &v->dist_regs[at / 4], user, write);
	return access_word(r, &arm64_vcpu(vcpu)->redist_sgi[at / 4], user, write);
}

static int access_redist(struct fake_call *c, struct fake_vcpu *vcpu, u64 off, u32 *user,
			 bool write)
{
	struct arm64_vm *v = arm64_vm(c->vm);
	bool sgi = off >= SGI_FRAME;
	const struct region *r = sgi ? find(v, redist_sgi, ARRAY_SIZE(redist_sgi), off - SGI_FRAME)
				     : find(v, redist_rd, ARRAY_SIZE(redist_rd), off);
	u64 at;

	if (!r)
		return -ENXIO;
	at = kept_at(r, sgi ? off - SGI_FRAME : off);
	if (sgi)
		return access_word(r, &arm64_vcpu(vcpu)->redist_sgi[at / 4], user, write);
	return access_word(r, at < ARM64_REDIST_RD ? &arm64_vcpu(vcpu)->redist_rd[at / 4] : NULL,
			   user, write);
}

static int access_gicc(struct fake_call *c, struct fake_vcpu *vcpu, u64 off, u32 *user, bool write)
{
	const struct region *r = find(arm64_vm(c->vm), gicc, ARRAY_SIZE(gicc), off);

	if (!r)
		return -ENXIO;
	return access_word(r, &arm64_vcpu(vcpu)->gicc[off / 4], user, write);
}

/* Input levels of 32 interrupts; no edge is seen of it. SGIs have none. */
static int access_levels(struct fake_call *c, struct fake_vcpu *vcpu, u64 attr, u32 *user,
			 bool write)
{
	u32 intid = attr & KVM_DEV_ARM_VGIC_LINE_LEVEL_INTID_MASK, val = write ? *user : 0;
	u32 info = (u32)attr >> KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT;

	if (info != VGIC_LEVEL_INFO_LINE_LEVEL || intid % 32)
		return -EINVAL;
	for (u32 i = 0; i < 32; i++) {
		u32 spi = intid + i - ARM64_PRIVATE;
		bool *level;

		if (intid < ARM64_PRIVATE || spi >= arm64_vm(c->vm)->n_spis)
			continue;
		level = &c->vm->gsi_level[spi];
		if (write)
			*level = val >> i & 1;
		else
			val |= (u32)*level << i;
	}
	if (intid < ARM64_PRIVATE && write)
		arm64_vcpu(vcpu)->ppi_level = val & 0xffff0000;
	else if (intid < ARM64_PRIVATE)
		val = arm64_vcpu(vcpu)->ppi_level;
	*user = val;
	return 0;
}

/* ---- CPU interface of a GICv3 ---- */

enum icc_kind { ICC_KEEP, ICC_CTLR, ICC_SRE, ICC_NONE, ICC_FIXED };

struct icc {
	u32 id; /* as KVM_DEV_ARM_VGIC_SYSREG_INSTR_MASK has it */
	enum icc_kind kind;
	u64 mask; /* of ICC_KEEP */
	bool el2;
	u64 reset;
};

#define ICC(op1, crn, crm, op2) (u32)(ARM64_SYS_REG(3, op1, crn, crm, op2) & 0xffff)

/*
 * 5 bits of priority: one APR of each group; the others EINVAL. With EL2 the guest's own
 * interface for its guests (Linux 6.19).
 */
static const struct icc iccs[ARM64_N_ICC] = {
	{ ICC(0, 4, 6, 0), ICC_KEEP, 0xf8, false, 0 },	      /* ICC_PMR */
	{ ICC(0, 12, 8, 3), ICC_KEEP, 0x7, false, 2 },	      /* ICC_BPR0 */
	{ ICC(0, 12, 8, 4), ICC_KEEP, UINT32_MAX, false, 0 }, /* ICC_AP0R0 to 3 */
	{ ICC(0, 12, 8, 5), ICC_NONE, 0, false, 0 },
	{ ICC(0, 12, 8, 6), ICC_NONE, 0, false, 0 },
	{ ICC(0, 12, 8, 7), ICC_NONE, 0, false, 0 },
	{ ICC(0, 12, 9, 0), ICC_KEEP, UINT32_MAX, false, 0 }, /* ICC_AP1R0 to 3 */
	{ ICC(0, 12, 9, 1), ICC_NONE, 0, false, 0 },
	{ ICC(0, 12, 9, 2), ICC_NONE, 0, false, 0 },
	{ ICC(0, 12, 9, 3), ICC_NONE, 0, false, 0 },
	{ ICC(0, 12, 12, 3), ICC_KEEP, 0x7, false, 3 },	     /* ICC_BPR1 */
	{ ICC(0, 12, 12, 4), ICC_CTLR, 0, false, 0x8c00 },   /* ICC_CTLR: A3V, 24 id bits */
	{ ICC(0, 12, 12, 5), ICC_SRE, 0, false, 7 },	     /* ICC_SRE */
	{ ICC(0, 12, 12, 6), ICC_KEEP, 0x1, false, 0 },	     /* ICC_IGRPEN0 */
	{ ICC(0, 12, 12, 7), ICC_KEEP, 0x1, false, 0 },	     /* ICC_IGRPEN1 */
	{ ICC(4, 12, 8, 0), ICC_KEEP, UINT32_MAX, true, 0 }, /* ICH_AP0R0 to 3 */
	{ ICC(4, 12, 8, 1), ICC_NONE, 0, true, 0 },
	{ ICC(4, 12, 8, 2), ICC_NONE, 0, true, 0 },
	{ ICC(4, 12, 8, 3), ICC_NONE, 0, true, 0 },
	{ ICC(4, 12, 9, 0), ICC_KEEP, UINT32_MAX, true, 0 }, /* ICH_AP1R0 to 3 */
	{ ICC(4, 12, 9, 1), ICC_NONE, 0, true, 0 },
	{ ICC(4, 12, 9, 2), ICC_NONE, 0, true, 0 },
	{ ICC(4, 12, 9, 3), ICC_NONE, 0, true, 0 },
	{ ICC(4, 12, 9, 5), ICC_FIXED, 0, true, 0xf },	       /* ICC_SRE_EL2 */
	{ ICC(4, 12, 11, 0), ICC_KEEP, UINT32_MAX, true, 0 },  /* ICH_HCR */
	{ ICC(4, 12, 11, 1), ICC_FIXED, 0, true, 0x90180003 }, /* ICH_VTR: 4 list registers */
	{ ICC(4, 12, 11, 7), ICC_KEEP, UINT32_MAX, true, 0 },  /* ICH_VMCR */
	{ ICC(4, 12, 12, 0), ICC_KEEP, UINT64_MAX, true, 0 },  /* ICH_LR0 to 15 */
	{ ICC(4, 12, 12, 1), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 12, 2), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 12, 3), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 12, 4), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 12, 5), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 12, 6), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 12, 7), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 13, 0), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 13, 1), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 13, 2), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 13, 3), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 13, 4), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 13, 5), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 13, 6), ICC_KEEP, UINT64_MAX, true, 0 },
	{ ICC(4, 12, 13, 7), ICC_KEEP, UINT64_MAX, true, 0 },
};

/* ENOENT, not the ENXIO of arm-vgic-v3.rst: sys_regs.c of the kernel. HAS says ENXIO. */
static int find_icc(const struct fake_vm *vm, u64 attr)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(iccs); i++)
		if (iccs[i].id == (attr & KVM_DEV_ARM_VGIC_SYSREG_INSTR_MASK) &&
		    (!iccs[i].el2 || arm64_has(vm, KVM_ARM_VCPU_HAS_EL2)))
			return (int)i;
	return -ENOENT;
}

/* ICC_CTLR: bits of priority and id that this host has, SEIS and A3V as they are: EINVAL else. */
static int set_icc(const struct icc *r, u64 *kept, u64 val)
{
	const u64 pri = 0x700, ids = 0x3800, same = 0xc000, settable = 0x3;

	switch (r->kind) {
	case ICC_KEEP:
		*kept = val & r->mask;
		return 0;
	case ICC_CTLR:
		if ((val & pri) > (r->reset & pri) || (val & ids) > (r->reset & ids) ||
		    (val & same) != (r->reset & same))
			return -EINVAL;
		*kept = val & (pri | ids | same | settable);
		return 0;
	case ICC_SRE:
		return val & 1 ? 0 : -EINVAL;
	case ICC_FIXED:
		return val == r->reset ? 0 : -EINVAL;
	case ICC_NONE:
		break;
	}
	return -EINVAL;
}

static int access_icc(struct fake_call *c, struct fake_vcpu *vcpu, u64 attr, u64 *user, bool write)
{
	int i = find_icc(c->vm, attr);
	u64 *kept;

	if (i < 0)
		return i;
	if (iccs[i].kind == ICC_NONE)
		return -EINVAL;
	kept = &arm64_vcpu(vcpu)->icc[i];
	if (write)
		return set_icc(&iccs[i], kept, *user);
	*user = *kept;
	return 0;
}

/* ---- The attribute ---- */

static bool is_group(const struct arm64_vm *v, u32 group)
{
	if (group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS)
		return true;
	if (version(v) == V2)
		return group == KVM_DEV_ARM_VGIC_GRP_CPU_REGS;
	return group == KVM_DEV_ARM_VGIC_GRP_REDIST_REGS ||
	       group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS ||
	       group == KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO;
}

static int access_group(struct fake_call *c, struct fake_vcpu *vcpu,
			const struct kvm_device_attr *a, void *user, bool write)
{
	u64 off = a->attr & KVM_DEV_ARM_VGIC_OFFSET_MASK;

	switch (a->group) {
	case KVM_DEV_ARM_VGIC_GRP_DIST_REGS:
		return access_dist(c, vcpu, off, user, write);
	case KVM_DEV_ARM_VGIC_GRP_REDIST_REGS:
		return access_redist(c, vcpu, off, user, write);
	case KVM_DEV_ARM_VGIC_GRP_CPU_REGS:
		return access_gicc(c, vcpu, off, user, write);
	case KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS:
		return access_icc(c, vcpu, a->attr, user, write);
	default:
		return access_levels(c, vcpu, a->attr, user, write);
	}
}

/* As the two tell of an attribute that it is there: by looking, without an effect. */
static int has(struct fake_call *c, struct fake_vcpu *vcpu, const struct kvm_device_attr *a)
{
	u64 off = a->attr & KVM_DEV_ARM_VGIC_OFFSET_MASK, unused = 0;

	if (a->group == KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO)
		return off >> KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT ? -ENXIO : 0;
	if (a->group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS) {
		return find_icc(c->vm, a->attr) < 0 ? -ENXIO : 0;
	}
	return access_group(c, vcpu, a, &unused, false);
}

/*
 * vgic-kvm-device.c of the kernel, in this order: EINVAL for a CPU that is not there (the
 * distributor of a GICv3 asks for none), EFAULT, EBUSY while a vCPU runs and for a GICv3 that is
 * not initialised.
 */
int arm64_vgic_reg_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	struct arm64_vm *v = arm64_vm(c->vm);
	void *user = arm64_user(a->addr);
	struct fake_vcpu *vcpu;
	int ret;

	if (!is_group(v, a->group))
		return -ENXIO;
	if (version(v) == V3 && a->group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS)
		vcpu = fake_find_vcpu(c->fk, c->vm, 0);
	else
		vcpu = cpu_of(c, a->attr);
	if (!vcpu)
		return -EINVAL;
	if (verb == ARM64_HAS)
		return has(c, vcpu, a);
	if (!user)
		return -EFAULT;
	if (fake_any_running(c->fk, c->vm) || (!v->gic_ready && version(v) == V3))
		return -EBUSY;
	arm64_vgic_init(c->fk, c->vm);
	ret = access_group(c, vcpu, a, user, verb == ARM64_SET);
	if (!ret && verb == ARM64_SET)
		fake_note(c, " 0x%x", *(u32 *)user);
	return ret;
}

/* ---- Reset ---- */

static void reset_words(u32 *words, size_t len, const struct region *r, size_t n, u8 of)
{
	for (; n; n--, r++)
		for (u32 off = r->off; r->of & of && off < r->off + r->len && off < len; off += 4)
			if (r->kind != CLEARS && r->kind != CPENDS && r->kind != ZERO)
				words[off / 4] = r->reset;
}

/* GICD_TYPER: interrupts by 32, CPUs; 16 bits of id and LPIs where there is an ITS. */
static u32 dist_typer(const struct arm64_vm *v, const struct fake_vm *vm)
{
	u32 typer = (ARM64_PRIVATE + v->n_spis) / 32 - 1;

	if (version(v) == V2)
		return typer | (vm->n_vcpus - 1) << 5;
	return typer | 15u << 19 | (v->its.exists ? 1u << 17 : 0);
}

static void reset_cpu(struct fake_vcpu *vcpu, u8 of)
{
	struct arm64_vcpu *v = arm64_vcpu(vcpu);
	u64 aff = arm64_vcpu_mpidr(vcpu) & 0xffffff;

	memset(v->redist_rd, 0, sizeof(v->redist_rd));
	memset(v->redist_sgi, 0, sizeof(v->redist_sgi));
	reset_words(v->redist_rd, sizeof(v->redist_rd), redist_rd, ARRAY_SIZE(redist_rd), of);
	reset_words(v->redist_sgi, sizeof(v->redist_sgi), redist_sgi, ARRAY_SIZE(redist_sgi), of);
	reset_words(v->gicc, sizeof(v->gicc), gicc, ARRAY_SIZE(gicc), of);
	if (of == V2) {
		v->redist_sgi[0x100 / 4] = 0xffff;
		v->redist_sgi[0xc00 / 4] = 0xaaaaaaaa; /* SGIs are edges */
	}
	v->redist_rd[0x08 / 4] = vcpu->id << 8 | 1; /* Processor_Number, physical LPIs */
	v->redist_rd[0x0c / 4] = (u32)aff;
	for (unsigned int i = 0; i < ARRAY_SIZE(iccs); i++)
		v->icc[i] = iccs[i].reset;
}

void arm64_vgic_reset_regs(struct fakekvm *fk, struct fake_vm *vm)
{
	struct arm64_vm *v = arm64_vm(vm);
	u8 of = version(v);

	memset(v->dist_regs, 0, sizeof(v->dist_regs));
	reset_words(v->dist_regs, sizeof(v->dist_regs), dist, ARRAY_SIZE(dist), of);
	if (of == V2)
		memset(&v->dist_regs[0x80 / 4], 0, 0x80); /* group 0, without being asked */
	v->dist_regs[0] = of == V3 ? CTLR_ONES : 0;
	v->dist_regs[1] = dist_typer(v, vm);
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++)
		if (fk->vcpus[i].vm == vm)
			reset_cpu(&fk->vcpus[i], of);
}
