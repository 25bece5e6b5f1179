/*
 * regs.c - the registers of an arm64 vCPU, each by its id (4.68, 4.69, 4.84).
 *
 * A part of those KVM has, of every kind: core, vector, firmware, demultiplexed, system; written
 * and read as KVM allows. What they do to a guest is not here.
 */
#include "tests/fakekvm/arm64/arm64.h"

#include <errno.h>
#include <time.h>

#define CORE_WORDS    (sizeof(struct kvm_regs) / 4)
#define CORE_VREGS    (offsetof(struct kvm_regs, fp_regs) / 4)
#define CORE_FPSR     (offsetof(struct kvm_regs, fp_regs.fpsr) / 4)
#define CORE_END      (offsetof(struct kvm_regs, fp_regs.__reserved) / 4)
#define CORE_PSTATE   (offsetof(struct kvm_regs, regs.pstate) / 4)
#define REG_INDEX(id) ((u32)((id)&0xffff))

#define PSTATE_DAIF 0x3c0u
#define MODE_EL1H   5u
#define MODE_EL2H   9u

/* 4.68: Z registers from 0, P from 0x400, FFR after the 16 of those; one slice of each. */
#define SVE_P	     0x400
#define SVE_P_STRIDE 32

#define PMCR_N_SHIFT 11
#define PMCR_N	     (0x1full << PMCR_N_SHIFT)

/* ---- System registers ---- */

enum kind {
	RW,
	RO,	/* EINVAL for another value than it has */
	PMCR,	/* RW, with the number of counters in it */
	COUNTER /* it goes on; a write moves it, unless the VM has an offset of its own */
};

/* Features a vCPU must have for a register to be there; none: -1. */
#define ALWAYS (-1)
#define EL2    KVM_ARM_VCPU_HAS_EL2
#define PMU    KVM_ARM_VCPU_PMU_V3
#define SVE    KVM_ARM_VCPU_SVE
#define PAUTH  KVM_ARM_VCPU_PTRAUTH_ADDRESS
#define MTE    100

struct sysreg {
	u64 id;
	int needs;
	enum kind kind;
	u64 reset;
	u16 count, stride; /* consecutive ones; 0: 1 */
	u64 alias;	   /* it is a view of that register */
};

#define R(...) ARM64_SYS_REG(__VA_ARGS__)
#define ID(crm, op2, val)                                      \
	{                                                      \
		R(3, 0, 0, crm, op2), ALWAYS, RO, val, 0, 0, 0 \
	}
#define EL1(crn, crm, op2)                                     \
	{                                                      \
		R(3, 0, crn, crm, op2), ALWAYS, RW, 0, 0, 0, 0 \
	}
#define AT_EL2(crn, crm, op2)                               \
	{                                                   \
		R(3, 4, crn, crm, op2), EL2, RW, 0, 0, 0, 0 \
	}

/* Names in the order of the Arm ARM, D24. Values of ID registers are those of some ARMv8.5 CPU. */
static const struct sysreg sysregs[] = {
	{ R(2, 0, 0, 0, 4), ALWAYS, RW, 0, 6, 8, 0 },	/* DBGBVR<n>_EL1 */
	{ R(2, 0, 0, 0, 5), ALWAYS, RW, 0, 6, 8, 0 },	/* DBGBCR */
	{ R(2, 0, 0, 0, 6), ALWAYS, RW, 0, 4, 8, 0 },	/* DBGWVR */
	{ R(2, 0, 0, 0, 7), ALWAYS, RW, 0, 4, 8, 0 },	/* DBGWCR */
	{ R(2, 0, 0, 2, 0), ALWAYS, RW, 0, 0, 0, 0 },	/* MDCCINT */
	{ R(2, 0, 0, 2, 2), ALWAYS, RW, 0, 0, 0, 0 },	/* MDSCR */
	{ R(2, 0, 1, 1, 4), ALWAYS, RO, 0x8, 0, 0, 0 }, /* OSLSR */
	{ R(2, 4, 0, 7, 0), ALWAYS, RW, 0, 0, 0, 0 },	/* DBGVCR32_EL2 */

	{ R(3, 0, 0, 0, 0), ALWAYS, RO, 0x411fd401, 0, 0, 0 }, /* MIDR */
	{ R(3, 0, 0, 0, 5), ALWAYS, RW, 0, 0, 0, 0 },	       /* MPIDR: by the vCPU's id */
	{ R(3, 0, 0, 0, 6), ALWAYS, RO, 0, 0, 0, 0 },	       /* REVIDR */
	{ R(3, 1, 0, 0, 1), ALWAYS, RW, 0x82000023, 0, 0, 0 }, /* CLIDR */
	{ R(3, 1, 0, 0, 7), ALWAYS, RO, 0, 0, 0, 0 },	       /* AIDR */
	{ R(3, 2, 0, 0, 0), ALWAYS, RW, 0, 0, 0, 0 },	       /* CSSELR */
	{ R(3, 3, 0, 0, 1), ALWAYS, RO, 0x9444c004, 0, 0, 0 }, /* CTR_EL0 */
	ID(4, 0, 0x1101001120111112),			       /* ID_AA64PFR0 */
	ID(4, 1, 0x20),					       /* ID_AA64PFR1 */
	ID(4, 4, 0),					       /* ID_AA64ZFR0 */
	ID(5, 0, 0x10305008),				       /* ID_AA64DFR0 */
	ID(5, 1, 0),
	ID(6, 0, 0x1221111110212120), /* ID_AA64ISAR0 */
	ID(6, 1, 0x0011111101211032),
	ID(6, 2, 0),
	ID(7, 0, 0x1000200000101125), /* ID_AA64MMFR0 */
	ID(7, 1, 0x1000001010312122),
	ID(7, 2, 0x1221011112101111),
	ID(7, 3, 0),
	ID(7, 4, 0),

	EL1(1, 0, 0),				       /* SCTLR */
	EL1(1, 0, 1),				       /* ACTLR */
	EL1(1, 0, 2),				       /* CPACR */
	{ R(3, 0, 1, 0, 5), MTE, RW, 0, 0, 0, 0 },     /* RGSR */
	{ R(3, 0, 1, 0, 6), MTE, RW, 0, 0, 0, 0 },     /* GCR */
	{ R(3, 0, 1, 2, 0), SVE, RW, 0, 0, 0, 0 },     /* ZCR */
	EL1(2, 0, 0),				       /* TTBR0 */
	EL1(2, 0, 1),				       /* TTBR1 */
	EL1(2, 0, 2),				       /* TCR */
	{ R(3, 0, 2, 1, 0), PAUTH, RW, 0, 4, 1, 0 },   /* APIAKEYLO to APIBKEYHI */
	{ R(3, 0, 2, 2, 0), PAUTH, RW, 0, 4, 1, 0 },   /* APDAKEYLO to APDBKEYHI */
	{ R(3, 0, 2, 3, 0), PAUTH, RW, 0, 2, 1, 0 },   /* APGAKEYLO, APGAKEYHI */
	EL1(5, 1, 0),				       /* AFSR0 */
	EL1(5, 1, 1),				       /* AFSR1 */
	EL1(5, 2, 0),				       /* ESR */
	{ R(3, 0, 5, 6, 0), MTE, RW, 0, 2, 1, 0 },     /* TFSR, TFSRE0 */
	EL1(6, 0, 0),				       /* FAR */
	EL1(7, 4, 0),				       /* PAR */
	EL1(10, 2, 0),				       /* MAIR */
	EL1(10, 3, 0),				       /* AMAIR */
	EL1(12, 0, 0),				       /* VBAR */
	EL1(12, 1, 1),				       /* DISR */
	EL1(13, 0, 1),				       /* CONTEXTIDR */
	EL1(13, 0, 4),				       /* TPIDR */
	EL1(14, 1, 0),				       /* CNTKCTL */
	{ R(3, 3, 13, 0, 2), ALWAYS, RW, 0, 2, 1, 0 }, /* TPIDR_EL0, TPIDRRO_EL0 */

	{ R(3, 3, 9, 12, 0), PMU, PMCR, 0x41000000, 0, 0, 0 },	    /* PMCR */
	{ R(3, 3, 9, 12, 1), PMU, RW, 0, 0, 0, 0 },		    /* PMCNTENSET */
	{ R(3, 3, 9, 12, 2), PMU, RW, 0, 0, 0, R(3, 3, 9, 12, 1) }, /* PMCNTENCLR */
	{ R(3, 0, 9, 14, 1), PMU, RW, 0, 0, 0, 0 },		    /* PMINTENSET */
	{ R(3, 0, 9, 14, 2), PMU, RW, 0, 0, 0, R(3, 0, 9, 14, 1) }, /* PMINTENCLR */
	{ R(3, 3, 9, 12, 3), PMU, RW, 0, 0, 0, R(3, 3, 9, 14, 3) }, /* PMOVSCLR */
	{ R(3, 3, 9, 14, 3), PMU, RW, 0, 0, 0, 0 },		    /* PMOVSSET */
	{ R(3, 3, 9, 12, 5), PMU, RW, 0, 0, 0, 0 },		    /* PMSELR */
	{ R(3, 3, 9, 13, 0), PMU, RW, 0, 0, 0, 0 },		    /* PMCCNTR */
	{ R(3, 3, 9, 14, 0), PMU, RW, 0, 0, 0, 0 },		    /* PMUSERENR */
	{ R(3, 3, 14, 8, 0), PMU, RW, 0, 31, 1, 0 },		    /* PMEVCNTR<n> */
	{ R(3, 3, 14, 12, 0), PMU, RW, 0, 32, 1, 0 },		    /* PMEVTYPER<n>, PMCCFILTR */

	{ R(3, 3, 14, 0, 1), ALWAYS, COUNTER, 0, 0, 0, 0 }, /* CNTPCT */
	{ R(3, 3, 14, 2, 1), ALWAYS, RW, 0, 2, 1, 0 },	    /* CNTP_CTL, CNTP_CVAL */
	{ KVM_REG_ARM_TIMER_CTL, ALWAYS, RW, 0, 0, 0, 0 },
	{ KVM_REG_ARM_TIMER_CVAL, ALWAYS, RW, 0, 0, 0, 0 },
	{ KVM_REG_ARM_TIMER_CNT, ALWAYS, COUNTER, 0, 0, 0, 0 },

	AT_EL2(0, 0, 0),			    /* VPIDR */
	AT_EL2(0, 0, 5),			    /* VMPIDR */
	AT_EL2(1, 0, 0),			    /* SCTLR */
	AT_EL2(1, 0, 1),			    /* ACTLR */
	AT_EL2(1, 1, 0),			    /* HCR */
	AT_EL2(1, 1, 1),			    /* MDCR */
	AT_EL2(1, 1, 2),			    /* CPTR */
	AT_EL2(1, 1, 3),			    /* HSTR */
	AT_EL2(1, 1, 4),			    /* HFGRTR */
	AT_EL2(1, 1, 5),			    /* HFGWTR */
	AT_EL2(1, 1, 6),			    /* HFGITR */
	AT_EL2(1, 1, 7),			    /* HACR */
	AT_EL2(1, 2, 2),			    /* HCRX */
	AT_EL2(2, 0, 0),			    /* TTBR0 */
	AT_EL2(2, 0, 1),			    /* TTBR1 */
	AT_EL2(2, 0, 2),			    /* TCR */
	AT_EL2(2, 1, 0),			    /* VTTBR */
	AT_EL2(2, 1, 2),			    /* VTCR */
	AT_EL2(3, 1, 4),			    /* HDFGRTR */
	AT_EL2(3, 1, 5),			    /* HDFGWTR */
	AT_EL2(4, 0, 0),			    /* SPSR */
	AT_EL2(4, 0, 1),			    /* ELR */
	AT_EL2(5, 1, 0),			    /* AFSR0 */
	AT_EL2(5, 1, 1),			    /* AFSR1 */
	AT_EL2(5, 2, 0),			    /* ESR */
	AT_EL2(6, 0, 0),			    /* FAR */
	AT_EL2(6, 0, 4),			    /* HPFAR */
	AT_EL2(10, 2, 0),			    /* MAIR */
	AT_EL2(10, 3, 0),			    /* AMAIR */
	AT_EL2(12, 0, 0),			    /* VBAR */
	{ R(3, 4, 12, 0, 1), EL2, RO, 0, 0, 0, 0 }, /* RVBAR */
	AT_EL2(13, 0, 1),			    /* CONTEXTIDR */
	AT_EL2(13, 0, 2),			    /* TPIDR */
	AT_EL2(14, 0, 3),			    /* CNTVOFF */
	AT_EL2(14, 1, 0),			    /* CNTHCTL */
	{ R(3, 4, 14, 2, 1), EL2, RW, 0, 2, 1, 0 }, /* CNTHP_CTL, CNTHP_CVAL */
	{ R(3, 4, 14, 3, 1), EL2, RW, 0, 2, 1, 0 }, /* CNTHV_CTL, CNTHV_CVAL */
};

#define MPIDR_EL1 R(3, 0, 0, 0, 5)
#define HCR_EL2	  R(3, 4, 1, 1, 0)
#define HCR_E2H	  BIT(34)

static unsigned int count_of(const struct sysreg *r)
{
	return r->count ? r->count : 1;
}

static u64 nth_id(const struct sysreg *r, unsigned int n)
{
	return r->id + (u64)n * r->stride;
}

static bool there(const struct fake_vm *vm, const struct sysreg *r)
{
	if (r->needs == ALWAYS)
		return true;
	return r->needs == MTE ? arm64_vm(vm)->mte : arm64_has(vm, (unsigned int)r->needs);
}

/* The entry of @id and the place of its value; NULL where this vCPU does not have it. */
static const struct sysreg *find_sysreg(const struct fake_vm *vm, u64 id, unsigned int *slot)
{
	unsigned int base = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(sysregs); i++) {
		const struct sysreg *r = &sysregs[i];

		for (unsigned int n = 0; n < count_of(r); n++) {
			if (nth_id(r, n) != id)
				continue;
			if (!there(vm, r))
				return NULL;
			if (r->alias)
				return find_sysreg(vm, r->alias, slot);
			*slot = base + n;
			return r;
		}
		base += count_of(r);
	}
	return NULL;
}

/* 62.5 MHz, as the virtual machine of an emulator has. */
static u64 host_counter(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec) / 16;
}

static u64 counter_base(const struct fake_vcpu *vcpu)
{
	const struct arm64_vm *vm = arm64_vm(vcpu->vm);

	return vm->has_offset ? vm->offset : arm64_vcpu(vcpu)->counter_offset;
}

static int get_sysreg(struct fake_vcpu *vcpu, u64 id, void *val)
{
	const struct arm64_vm *vm = arm64_vm(vcpu->vm);
	unsigned int slot;
	const struct sysreg *r = find_sysreg(vcpu->vm, id, &slot);
	u64 v;

	if (!r)
		return -ENOENT;
	v = arm64_vcpu(vcpu)->sys[slot];
	if (r->kind == COUNTER)
		v = host_counter() - counter_base(vcpu);
	if (r->kind == PMCR)
		v = (v & ~PMCR_N) | (u64)vm->n_counters << PMCR_N_SHIFT;
	memcpy(val, &v, sizeof(v));
	return 0;
}

/* sys_regs.c of the kernel: N can be lowered before the VM ran; more than there are is ignored. */
static void set_pmcr(struct fake_vcpu *vcpu, u64 *slot, u64 val)
{
	struct arm64_vm *vm = arm64_vm(vcpu->vm);
	unsigned int n = (unsigned int)((val & PMCR_N) >> PMCR_N_SHIFT);

	if (!vcpu->vm->has_run && n <= vm->n_counters)
		vm->n_counters = n;
	*slot = val;
}

static int set_sysreg(struct fake_vcpu *vcpu, u64 id, const void *val)
{
	struct arm64_vcpu *v = arm64_vcpu(vcpu);
	unsigned int slot;
	const struct sysreg *r = find_sysreg(vcpu->vm, id, &slot);
	u64 new;

	if (!r)
		return -ENOENT;
	memcpy(&new, val, sizeof(new));
	switch (r->kind) {
	case RO:
		return new == v->sys[slot] ? 0 : -EINVAL;
	case COUNTER: /* 4.138: silently ignored then */
		if (!arm64_vm(vcpu->vm)->has_offset)
			v->counter_offset = host_counter() - new;
		return 0;
	case PMCR:
		set_pmcr(vcpu, &v->sys[slot], new);
		return 0;
	case RW:
		break;
	}
	v->sys[slot] = new;
	return 0;
}

u64 arm64_vcpu_mpidr(const struct fake_vcpu *vcpu)
{
	unsigned int slot = 0;

	find_sysreg(vcpu->vm, MPIDR_EL1, &slot);
	return arm64_vcpu(vcpu)->sys[slot];
}

/* ---- Core registers (4.68: the number is the offset in struct kvm_regs, in words) ---- */

/* Size of the register that begins at that word; 0: none does. */
static unsigned int core_size(const struct fake_vm *vm, u32 word)
{
	if (word < CORE_VREGS)
		return word % 2 ? 0 : 8;
	if (word < CORE_FPSR) /* SVE has them in its Z registers */
		return (word - CORE_VREGS) % 4 || arm64_has(vm, SVE) ? 0 : 16;
	return word < CORE_END ? 4 : 0;
}

/* guest.c of the kernel: a mode that this vCPU has; 32-bit user mode is fine. EINVAL else. */
static int check_pstate(const struct fake_vm *vm, u64 pstate)
{
	switch (pstate & 0x1f) {
	case 0x00:
	case 0x04:
	case 0x05:
		return 0;
	case 0x08:
	case 0x09:
		return arm64_has(vm, EL2) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int access_core(struct fake_vcpu *vcpu, u64 id, void *val, bool write)
{
	u8 *core = (u8 *)&arm64_vcpu(vcpu)->core;
	u32 word = REG_INDEX(id);
	unsigned int size, want = 1u << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
	u64 pstate;

	if (word >= CORE_WORDS)
		return -ENOENT;
	size = core_size(vcpu->vm, word);
	if (!size || size != want)
		return -EINVAL;
	if (write && word == CORE_PSTATE) {
		memcpy(&pstate, val, sizeof(pstate));
		if (check_pstate(vcpu->vm, pstate))
			return -EINVAL;
	}
	if (write)
		memcpy(core + word * 4, val, size);
	else
		memcpy(val, core + word * 4, size);
	return 0;
}

/* ---- Firmware registers (Documentation/virt/kvm/arm/fw-pseudo-registers.rst) ---- */

struct fw_reg {
	u64 id;
	u64 reset; /* and for the bitmaps, all there is */
};

#define FW_BMAP(n) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_FW_FEAT_BMAP | (n))

static const struct fw_reg fw_regs[ARM64_N_FW] = {
	{ KVM_REG_ARM_PSCI_VERSION, 0x10003 }, /* 1.3 */
	{ KVM_REG_ARM_FW_REG(1), 2 },	       /* SMCCC_ARCH_WORKAROUND_1: not required */
	{ KVM_REG_ARM_FW_REG(2), 3 },	       /* _2: not required */
	{ KVM_REG_ARM_FW_REG(3), 2 },	       /* _3: not required */
	{ FW_BMAP(0), 1 },		       /* standard: TRNG */
	{ FW_BMAP(1), 1 },		       /* standard hypervisor: stolen time */
	{ FW_BMAP(2), 3 },		       /* vendor hypervisor: discovery, PTP */
	{ FW_BMAP(3), 0 },
};

static int find_fw(u64 id)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(fw_regs); i++)
		if (fw_regs[i].id == id)
			return (int)i;
	return -ENOENT;
}

/* EINVAL for versions and levels that there are not, bits that KVM does not have; EBUSY for the
 * bitmaps once a vCPU ran. */
static int check_fw(const struct fake_vcpu *vcpu, int i, u64 val)
{
	u64 reset = fw_regs[i].reset;

	if (i == 0)
		return val == 2 || (val >= 0x10000 && val <= reset) ? 0 : -EINVAL;
	if (i < 4)
		return val <= reset ? 0 : -EINVAL;
	if (val & ~reset)
		return -EINVAL;
	return vcpu->vm->has_run && val != arm64_vcpu(vcpu)->fw[i] ? -EBUSY : 0;
}

static int access_fw(struct fake_vcpu *vcpu, u64 id, void *val, bool write)
{
	u64 *fw = arm64_vcpu(vcpu)->fw, new;
	int i = find_fw(id), ret;

	if (i < 0)
		return i;
	if (!write) {
		memcpy(val, &fw[i], sizeof(fw[i]));
		return 0;
	}
	memcpy(&new, val, sizeof(new));
	ret = check_fw(vcpu, i, new);
	if (!ret)
		fw[i] = new;
	return ret;
}

/* ---- Caches, by CSSELR (4.68, KVM_REG_ARM_DEMUX) ---- */

static const u32 ccsidr[] = { 0x700fe01a, 0x201fe012, 0x70ffe07a };

#define CCSIDR_ID(n) (KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX | (n))

static int access_demux(u64 id, void *val, bool write)
{
	u32 n = REG_INDEX(id);

	if (id != CCSIDR_ID(n) || n >= ARRAY_SIZE(ccsidr))
		return -ENOENT;
	if (write)
		return memcmp(val, &ccsidr[n], sizeof(ccsidr[n])) ? -EINVAL : 0;
	memcpy(val, &ccsidr[n], sizeof(ccsidr[n]));
	return 0;
}

/* ---- SVE (4.68, 4.119) ---- */

static unsigned int max_length(const struct arm64_vcpu *v)
{
	return v->vls[0] ? 64 - (unsigned int)__builtin_clzll(v->vls[0]) : 0;
}

/*
 * 4.68: EPERM once finalised. EINVAL for a set that differs from the host's below its longest one,
 * or has none.
 */
static int access_lengths(struct fakekvm *fk, struct fake_vcpu *vcpu, void *val, bool write)
{
	struct arm64_vcpu *v = arm64_vcpu(vcpu);
	u64 new[KVM_ARM64_SVE_VLS_WORDS];

	if (!write) {
		memcpy(val, v->vls, sizeof(v->vls));
		return 0;
	}
	if (v->finalized)
		return -EPERM;
	memcpy(new, val, sizeof(new));
	for (unsigned int i = 1; i < KVM_ARM64_SVE_VLS_WORDS; i++)
		if (new[i])
			return -EINVAL;
	if (!new[0] || new[0] >> 16)
		return -EINVAL;
	if (new[0] != (arm64_knobs(fk)->sve_lengths & (BIT(64 - __builtin_clzll(new[0])) - 1)))
		return -EINVAL;
	memcpy(v->vls, new, sizeof(new));
	return 0;
}

/* Bits beyond the longest vector read as zero, and are dropped. */
static int access_vector(struct arm64_vcpu *v, u64 id, void *val, bool write)
{
	u32 index = REG_INDEX(id), n = index % SVE_P >> 5;
	bool z = index < SVE_P;
	u64 size = z ? KVM_REG_SIZE_U2048 : KVM_REG_SIZE_U256;
	size_t len = (size_t)max_length(v) * (z ? 16 : 2);
	u8 *reg;

	if (index & 0x1f || n >= (z ? 32 : 17) || index >= 2 * SVE_P)
		return -ENOENT;
	if ((id & KVM_REG_SIZE_MASK) != size)
		return -ENOENT;
	reg = z ? v->z[n] : v->p[n];
	if (write) {
		memcpy(reg, val, len);
		return 0;
	}
	memset(val, 0, z ? 256 : SVE_P_STRIDE);
	memcpy(val, reg, len);
	return 0;
}

static int access_sve(struct fakekvm *fk, struct fake_vcpu *vcpu, u64 id, void *val, bool write)
{
	if (!arm64_has(vcpu->vm, SVE))
		return -ENOENT;
	if (id == KVM_REG_ARM64_SVE_VLS)
		return access_lengths(fk, vcpu, val, write);
	if (!arm64_vcpu(vcpu)->finalized)
		return -EPERM;
	return access_vector(arm64_vcpu(vcpu), id, val, write);
}

/* ---- Requests ---- */

/* ENOENT for what is not there, EINVAL for what cannot be an id of arm64. */
static int access_reg(struct fake_call *c, const struct kvm_one_reg *one, bool write)
{
	void *val = arm64_user(one->addr);
	struct fake_vcpu *vcpu = c->vcpu;

	if ((one->id & 0xff00000000000000ull) != KVM_REG_ARM64 || one->id >> 32 & 0xfffff)
		return -EINVAL;
	if (!val)
		return -EFAULT;
	switch (one->id & KVM_REG_ARM_COPROC_MASK) {
	case KVM_REG_ARM_CORE:
		return access_core(vcpu, one->id, val, write);
	case KVM_REG_ARM_FW:
	case KVM_REG_ARM_FW_FEAT_BMAP:
		return access_fw(vcpu, one->id, val, write);
	case KVM_REG_ARM64_SVE:
		return access_sve(c->fk, vcpu, one->id, val, write);
	case KVM_REG_ARM_DEMUX:
		return access_demux(one->id, val, write);
	case KVM_REG_ARM64_SYSREG:
		return write ? set_sysreg(vcpu, one->id, val) : get_sysreg(vcpu, one->id, val);
	default:
		return -ENOENT;
	}
}

/* 4.68, 4.69: ENOEXEC before KVM_ARM_VCPU_INIT (arm.c of the kernel). */
static int one_reg(struct fake_call *c, bool write)
{
	const struct kvm_one_reg *one = fake_user(c);
	int ret;

	if (!arm64_vcpu(c->vcpu)->initialized)
		return -ENOEXEC;
	if (!one)
		return -EFAULT;
	fake_note(c, " 0x%llx", (unsigned long long)one->id);
	ret = access_reg(c, one, write);
	if (!ret && write && (one->id & KVM_REG_SIZE_MASK) == KVM_REG_SIZE_U64)
		fake_note(c, " 0x%llx", *(unsigned long long *)(uintptr_t)one->addr);
	return ret;
}

int arm64_get_one_reg(struct fake_call *c)
{
	return one_reg(c, false);
}

int arm64_set_one_reg(struct fake_call *c)
{
	return one_reg(c, true);
}

/* Of ids, as they come: counted, and written where there is room. */
struct list {
	u64 *reg;
	u64 room, n;
};

static void add(struct list *l, u64 id)
{
	if (l->n < l->room)
		l->reg[l->n] = id;
	l->n++;
}

static void list_core(const struct fake_vm *vm, struct list *l)
{
	for (u32 word = 0; word < CORE_END; word++) {
		unsigned int size = core_size(vm, word);

		if (size)
			add(l, KVM_REG_ARM64 | KVM_REG_ARM_CORE | word |
				       (u64)__builtin_ctz(size) << KVM_REG_SIZE_SHIFT);
	}
}

static void list_sve(struct list *l)
{
	const u64 sve = KVM_REG_ARM64 | KVM_REG_ARM64_SVE;

	add(l, KVM_REG_ARM64_SVE_VLS);
	for (u64 n = 0; n < 32; n++)
		add(l, sve | KVM_REG_SIZE_U2048 | n << 5);
	for (u64 n = 0; n < 17; n++)
		add(l, sve | KVM_REG_SIZE_U256 | (SVE_P + (n << 5)));
}

static void list_sysregs(const struct fake_vm *vm, struct list *l)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(sysregs); i++)
		for (unsigned int n = 0; there(vm, &sysregs[i]) && n < count_of(&sysregs[i]); n++)
			add(l, nth_id(&sysregs[i], n));
}

/* 4.84: ENOEXEC before init, EPERM before what must be finalised is; E2BIG says how many. */
int arm64_get_reg_list(struct fake_call *c)
{
	const struct arm64_vcpu *v = arm64_vcpu(c->vcpu);
	struct kvm_reg_list *out = fake_user(c);
	struct list l = { 0 };

	if (!v->initialized)
		return -ENOEXEC;
	if (arm64_has(c->vm, SVE) && !v->finalized)
		return -EPERM;
	if (!out)
		return -EFAULT;
	l.reg = out->reg;
	l.room = out->n;
	list_core(c->vm, &l);
	if (arm64_has(c->vm, SVE))
		list_sve(&l);
	for (unsigned int i = 0; i < ARRAY_SIZE(fw_regs); i++)
		add(&l, fw_regs[i].id);
	for (u32 i = 0; i < ARRAY_SIZE(ccsidr); i++)
		add(&l, CCSIDR_ID(i));
	list_sysregs(c->vm, &l);
	out->n = l.n;
	return l.n > l.room ? -E2BIG : 0;
}

/* ---- Reset ---- */

/* sys_regs.c of the kernel: four bits of the id, then eight at a time. */
static u64 mpidr_of(unsigned int vcpu_id)
{
	return BIT(31) | (vcpu_id & 0xf) | (u64)(vcpu_id >> 4 & 0xff) << 8 |
	       (u64)(vcpu_id >> 12 & 0xff) << 16;
}

void arm64_reset_regs(struct fakekvm *fk, struct fake_vcpu *vcpu)
{
	struct arm64_vcpu *v = arm64_vcpu(vcpu);
	bool el2 = arm64_has(vcpu->vm, EL2), e2h0 = arm64_has(vcpu->vm, KVM_ARM_VCPU_HAS_EL2_E2H0);
	unsigned int slot = 0;

	_Static_assert(ARRAY_SIZE(sysregs) < ARM64_MAX_SYSREGS, "and there are ranges");
	memset(&v->core, 0, sizeof(v->core));
	v->core.regs.pstate = PSTATE_DAIF | (el2 ? MODE_EL2H : MODE_EL1H);
	for (unsigned int i = 0; i < ARRAY_SIZE(sysregs); i++)
		for (unsigned int n = 0; n < count_of(&sysregs[i]); n++, slot++) {
			v->sys[slot] = sysregs[i].reset;
			if (nth_id(&sysregs[i], n) == MPIDR_EL1)
				v->sys[slot] = mpidr_of(vcpu->id);
			if (nth_id(&sysregs[i], n) == HCR_EL2 && !e2h0)
				v->sys[slot] = HCR_E2H;
		}
	for (unsigned int i = 0; i < ARM64_N_FW; i++)
		v->fw[i] = fw_regs[i].reset;
	if (!v->finalized)
		v->vls[0] = arm64_knobs(fk)->sve_lengths;
	memset(v->z, 0, sizeof(v->z));
	memset(v->p, 0, sizeof(v->p));
}
