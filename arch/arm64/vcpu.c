/* vcpu.c - arm64 vCPUs: made ready to run, entered, and their registers for a post mortem. */
#include <errno.h>
#include <stdio.h>

#include "arch/arm64/layout.h"
#include "arch/arm64/machine.h"
#include "vmm/arch.h"

/* A core register by its offset in struct kvm_regs; these are all of 64 bits. */
#define CORE_REG(off) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | (off) / sizeof(u32))
#define REG_X(n)      CORE_REG(offsetof(struct kvm_regs, regs.regs) + 8 * (n))
#define REG_SP	      CORE_REG(offsetof(struct kvm_regs, regs.sp))
#define REG_PC	      CORE_REG(offsetof(struct kvm_regs, regs.pc))
#define REG_PSTATE    CORE_REG(offsetof(struct kvm_regs, regs.pstate))
#define REG_SP_EL1    CORE_REG(offsetof(struct kvm_regs, sp_el1))
#define REG_ELR_EL1   CORE_REG(offsetof(struct kvm_regs, elr_el1))
#define REG_SPSR_EL1  CORE_REG(offsetof(struct kvm_regs, spsr))

#define MPIDR_EL1 ARM64_SYS_REG(3, 0, 0, 0, 5)
#define MPIDR_AFF 0xff00ffffffull

#define PVTIME_STRIDE 64 /* Arm DEN0057, 3.2.2: the record's size and alignment */

_Static_assert(ARM64_MAX_VCPUS *PVTIME_STRIDE <= ARM64_PVTIME_LEN, "a record for each vCPU");

u32 arch_vcpu_id(const struct machine *m, unsigned int index)
{
	(void)m;
	return index;
}

/* ---- made ready ------------------------------------------------------------------------ */

static bool has_feature(const struct machine *m, unsigned int feature)
{
	return m->arch->vcpu_init.features[feature / 32] & 1u << feature % 32;
}

/* Lengths up to the maximum, of those the host has: bit n is (n + 1) * 128 bits. */
static int limit_sve(struct machine *m, const struct vcpu *vcpu, struct lkvm_error *err)
{
	unsigned int max = m->cfg->arm64.sve_max_vl / 128;
	u64 lengths[KVM_ARM64_SVE_VLS_WORDS] = { 0 };
	int ret;

	if (!max)
		return 0;
	ret = kvm_get_reg(&m->kvm, vcpu->fd, KVM_REG_ARM64_SVE_VLS, lengths);
	if (ret)
		return err_host(err, -ret, "reading the SVE vector lengths");
	lengths[0] &= BIT(max) - 1; /* 16 lengths in all */
	if (!lengths[0])
		return err_unsupported(
			err, EOPNOTSUPP,
			"--sve-max-vl %u: this host's CPUs have no SVE vector so short",
			m->cfg->arm64.sve_max_vl);
	ret = kvm_set_reg(&m->kvm, vcpu->fd, KVM_REG_ARM64_SVE_VLS, lengths);
	return ret ? err_host(err, -ret, "--sve-max-vl %u", m->cfg->arm64.sve_max_vl) : 0;
}

static int init_sve(struct machine *m, const struct vcpu *vcpu, struct lkvm_error *err)
{
	int feature = KVM_ARM_VCPU_SVE, ret;

	if (!has_feature(m, KVM_ARM_VCPU_SVE))
		return 0;
	ret = limit_sve(m, vcpu, err);
	if (!ret)
		ret = kvm_fd_ioctl(&m->kvm, vcpu->fd, KVM_ARM_VCPU_FINALIZE, &feature, err);
	return ret < 0 ? ret : 0;
}

/* Where KVM counts the time this vCPU wanted to run and could not. */
static int init_pvtime(struct machine *m, const struct vcpu *vcpu, struct lkvm_error *err)
{
	u64 gpa = ARM64_PVTIME_BASE + PVTIME_STRIDE * vcpu->index;

	if (!m->arch->pvtime ||
	    !kvm_has_attr(&m->kvm, vcpu->fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA))
		return 0;
	return kvm_set_attr(&m->kvm, vcpu->fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA,
			    &gpa, "steal time", err);
}

static int init_vcpu(struct machine *m, struct vcpu *vcpu, struct lkvm_error *err)
{
	struct kvm_vcpu_init init = m->arch->vcpu_init;
	u64 mpidr = 0;
	int ret;

	/* The others wait for the guest to start them, by PSCI. */
	if (vcpu->index)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	ret = kvm_fd_ioctl(&m->kvm, vcpu->fd, KVM_ARM_VCPU_INIT, &init, err);
	if (ret < 0)
		return ret;
	ret = init_sve(m, vcpu, err);
	if (ret)
		return ret;
	ret = kvm_get_reg(&m->kvm, vcpu->fd, MPIDR_EL1, &mpidr);
	if (ret)
		return err_host(err, -ret, "reading MPIDR_EL1 of vCPU %u", vcpu->index);
	m->arch->mpidr[vcpu->index] = mpidr & MPIDR_AFF;
	return init_pvtime(m, vcpu, err);
}

int arch_init_vcpus(struct machine *m, struct lkvm_error *err)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < m->n_vcpus; i++)
		ret = init_vcpu(m, &m->vcpus[i], err);
	if (!ret)
		ret = gic_init(m, err);
	return ret ? ret : arm64_pmu_init(m, err);
}

/* ---- entered --------------------------------------------------------------------------- */

int arm64_set_boot_regs(struct machine *m, u64 pc, u64 x0, struct lkvm_error *err)
{
	const struct vcpu *vcpu = &m->vcpus[0];
	int ret = kvm_set_reg(&m->kvm, vcpu->fd, REG_X(0), &x0);

	if (!ret)
		ret = kvm_set_reg(&m->kvm, vcpu->fd, REG_PC, &pc);
	return ret ? err_host(err, -ret, "setting the registers of vCPU 0") : 0;
}

void arch_vcpu_paused(struct vcpu *vcpu)
{
	(void)vcpu; /* there is no call that tells the guest's clock */
}

/* ---- post mortem ----------------------------------------------------------------------- */

static void add_reg(struct vcpu *vcpu, struct lkvm_vcpu_state *state, const char *name, u64 id)
{
	struct lkvm_reg *reg = &state->regs[state->n_regs];

	/* One that this vCPU does not have is left out. */
	if (state->n_regs == LKVM_MAX_REGS ||
	    kvm_get_reg(&vcpu->machine->kvm, vcpu->fd, id, &reg->value))
		return;
	snprintf(reg->name, sizeof(reg->name), "%s", name);
	state->n_regs++;
}

int arch_get_regs(struct vcpu *vcpu, struct lkvm_vcpu_state *state, u64 *pc)
{
	static const struct {
		const char *name;
		u64 id;
	} regs[] = {
		{ "pc", REG_PC },
		{ "pstate", REG_PSTATE },
		{ "sp_el0", REG_SP },
		{ "sp_el1", REG_SP_EL1 },
		{ "elr_el1", REG_ELR_EL1 },
		{ "spsr_el1", REG_SPSR_EL1 },
		{ "esr_el1", ARM64_SYS_REG(3, 0, 5, 2, 0) },
		{ "far_el1", ARM64_SYS_REG(3, 0, 6, 0, 0) },
		{ "vbar_el1", ARM64_SYS_REG(3, 0, 12, 0, 0) },
		{ "sctlr_el1", ARM64_SYS_REG(3, 0, 1, 0, 0) },
		{ "tcr_el1", ARM64_SYS_REG(3, 0, 2, 0, 2) },
		{ "ttbr0_el1", ARM64_SYS_REG(3, 0, 2, 0, 0) },
		{ "ttbr1_el1", ARM64_SYS_REG(3, 0, 2, 0, 1) },
		{ "mpidr_el1", MPIDR_EL1 },
		{ "elr_el2", ARM64_SYS_REG(3, 4, 4, 0, 1) },
		{ "spsr_el2", ARM64_SYS_REG(3, 4, 4, 0, 0) },
		{ "esr_el2", ARM64_SYS_REG(3, 4, 5, 2, 0) },
		{ "far_el2", ARM64_SYS_REG(3, 4, 6, 0, 0) },
		{ "hcr_el2", ARM64_SYS_REG(3, 4, 1, 1, 0) },
		{ "vbar_el2", ARM64_SYS_REG(3, 4, 12, 0, 0) },
		{ "sctlr_el2", ARM64_SYS_REG(3, 4, 1, 0, 0) },
		{ "sp_el2", ARM64_SYS_REG(3, 6, 4, 1, 0) },
		{ "tcr_el2", ARM64_SYS_REG(3, 4, 2, 0, 2) },
		{ "ttbr0_el2", ARM64_SYS_REG(3, 4, 2, 0, 0) },
		{ "ttbr1_el2", ARM64_SYS_REG(3, 4, 2, 0, 1) },
	};
	struct kvm_mp_state mp = { 0 };
	char name[8];
	int ret = kvm_get_reg(&vcpu->machine->kvm, vcpu->fd, REG_PC, pc);

	if (ret)
		return ret;
	_Static_assert(ARRAY_SIZE(regs) + 31 <= LKVM_MAX_REGS, "they fit the public struct");
	state->n_regs = 0;
	for (unsigned int i = 0; i < 31; i++) {
		snprintf(name, sizeof(name), "x%u", i);
		add_reg(vcpu, state, name, REG_X(i));
	}
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		add_reg(vcpu, state, regs[i].name, regs[i].id);
	if (!kvm_fd_ioctl(&vcpu->machine->kvm, vcpu->fd, KVM_GET_MP_STATE, &mp, NULL) &&
	    mp.mp_state == KVM_MP_STATE_STOPPED)
		snprintf(state->symbol_note, sizeof(state->symbol_note),
			 "the vCPU is off (PSCI): not started, or switched off by the guest");
	return 0;
}
