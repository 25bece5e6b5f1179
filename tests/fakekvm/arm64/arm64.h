/* arm64.h - the arm64 half of fakekvm: state behind the requests, shared by the files here. */
#ifndef LKVM_TESTS_FAKEKVM_ARM64_H
#define LKVM_TESTS_FAKEKVM_ARM64_H

#include "linux-uapi/arm64.h"
#include "linux-uapi/unmerged.h"
#include "tests/fakekvm/internal.h"

#define ARM64_TARGET	  5 /* KVM_ARM_TARGET_GENERIC_V8 of <asm/kvm.h> */
#define ARM64_MAX_SYSREGS 320
#define ARM64_N_FW	  8
#define ARM64_MAX_REGIONS 8
#define ARM64_N_TIMERS	  4
#define ARM64_N_HIDDEN	  4
#define ARM64_N_PMUS	  8
#define ARM64_UNDEF	  UINT64_MAX /* an address that nobody set */
#define ARM64_PRIVATE	  32	     /* SGIs and PPIs: INTIDs below SPIs */

/* Bytes from each frame's start on that fakekvm keeps registers of. */
#define ARM64_DIST_REGS	 0x8000
#define ARM64_REDIST_RD	 0x0080
#define ARM64_REDIST_SGI 0x0f40
#define ARM64_N_ICC	 43
#define ARM64_N_GICC	 64

enum arm64_partition { ARM64_NO_PARTITION, ARM64_PARTITION_IOCTL, ARM64_PARTITION_ATTR };

/* What differs between hosts beside their capabilities. */
struct arm64_host {
	bool gicv2;
	bool gicv3; /* and ITS */
	enum arm64_partition partition;
	bool unconfigured; /* no counters given away */
};

/* fakekvm.arch: what the setters change. */
struct arm64_knobs {
	unsigned int n_counters;
	unsigned int n_partition;
	int pmus[ARM64_N_PMUS]; /* their types */
	unsigned int n_pmus;
	u32 sve_lengths; /* bit n: (n + 1) * 128 bits */
	struct {
		bool of_vcpu;
		u32 group;
		u64 attr;
	} hidden[ARM64_N_HIDDEN];
	unsigned int n_hidden;
};

struct arm64_its {
	bool exists;
	u64 base;
	u64 ctlr, iidr, typer, cbaser, cwriter, creadr;
	u64 baser[8];
};

struct arm64_vm {
	unsigned int ipa_bits;
	bool nisv_to_user;
	bool mte;
	bool has_offset; /* KVM_ARM_SET_COUNTER_OFFSET */
	u64 offset;
	bool has_features;
	u32 features; /* of all vCPUs, but for POWER_OFF */

	bool pmu_chosen; /* by KVM_ARM_VCPU_PMU_V3_SET_PMU */
	bool pmu_filtered;
	int pmu_type;
	bool partitioned;
	unsigned int n_counters;

	int timer_irq[ARM64_N_TIMERS]; /* by KVM_ARM_VCPU_TIMER_IRQ_... */

	u32 gic; /* KVM_DEV_TYPE_ARM_VGIC_V2 or _V3; 0: none */
	bool gic_ready;
	u32 n_spis;
	u32 maint_irq;
	u64 dist, cpu, redist;
	struct {
		u64 base;
		u64 count;
	} regions[ARM64_MAX_REGIONS];
	unsigned int n_regions;
	u32 dist_regs[ARM64_DIST_REGS / 4];
	struct arm64_its its;
};

struct arm64_vcpu {
	bool initialized;
	bool finalized; /* SVE */
	u32 mp_state;
	struct kvm_regs core;
	u64 sys[ARM64_MAX_SYSREGS]; /* in the order of the table in regs.c */
	u64 fw[ARM64_N_FW];
	u64 vls[KVM_ARM64_SVE_VLS_WORDS];
	u8 z[32][256], p[17][32]; /* the last one is FFR */
	u64 counter_offset;	  /* of this vCPU's counters, where the VM has none */
	struct kvm_vcpu_events events;

	int pmu_irq; /* 0: not set */
	bool pmu_ready;
	u64 pvtime;

	u32 redist_rd[ARM64_REDIST_RD / 4];
	u32 redist_sgi[ARM64_REDIST_SGI / 4];
	u32 ppi_level;
	u64 icc[ARM64_N_ICC];	/* in the order of the table in vgic_regs.c */
	u32 gicc[ARM64_N_GICC]; /* GICv2's CPU interface */
};

static inline struct arm64_vm *arm64_vm(const struct fake_vm *vm)
{
	return vm->arch;
}

static inline struct arm64_vcpu *arm64_vcpu(const struct fake_vcpu *vcpu)
{
	return vcpu->arch;
}

static inline struct arm64_knobs *arm64_knobs(const struct fakekvm *fk)
{
	return fk->arch;
}

static inline bool arm64_has(const struct fake_vm *vm, unsigned int feature)
{
	return arm64_vm(vm)->features >> feature & 1;
}

/* Something of user space's by its address; NULL (say EFAULT) where the kernel finds nothing. */
static inline void *arm64_user(u64 addr)
{
	return addr < FAKE_PAGE ? NULL : (void *)(uintptr_t)addr;
}

extern const struct fake_request arm64_vcpu_requests[], arm64_device_requests[];

void arm64_init(struct fakekvm *fk); /* host.c */

/* KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR (4.80, 4.81). */
enum arm64_verb { ARM64_SET, ARM64_GET, ARM64_HAS };
const struct kvm_device_attr *arm64_take_attr(struct fake_call *c);
bool arm64_attr_hidden(const struct fake_call *c, const struct kvm_device_attr *a);
int arm64_pmu_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a);

/* vcpu.c */
void arm64_power_off_all(struct fake_call *c);
int arm64_run_first(struct fake_call *c);
int arm64_partition_pmu(struct fake_call *c); /* pmu.c */

/* regs.c */
int arm64_get_one_reg(struct fake_call *c);
int arm64_set_one_reg(struct fake_call *c);
int arm64_get_reg_list(struct fake_call *c);
void arm64_reset_regs(struct fakekvm *fk, struct fake_vcpu *vcpu);
u64 arm64_vcpu_mpidr(const struct fake_vcpu *vcpu); /* as it is now */

/* vgic.c */
void arm64_vgic_new_vm(struct fake_vm *vm);
bool arm64_vgic_claims(const struct fake_vm *vm, u64 addr);
void arm64_vgic_init(struct fakekvm *fk, struct fake_vm *vm); /* unless it is */
int arm64_vgic_check_run(struct fake_call *c);
int arm64_vgic_create(struct fake_call *c, u32 type, const char **name);

/* vgic_regs.c, its.c: groups of registers */
void arm64_vgic_reset_regs(struct fakekvm *fk, struct fake_vm *vm);
int arm64_vgic_reg_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a);
void arm64_its_reset(struct arm64_its *its);
int arm64_its_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a);
int arm64_check_range(const struct fake_vm *vm, u64 old, u64 addr, u64 align, u64 size);

#endif
