/* features.c - which of a vCPU's features a machine has: what was asked for, and what costs
 * nothing. */
#include <errno.h>

#include "arch/arm64/machine.h"
#include "vmm/arch.h"

static void want(struct kvm_vcpu_init *init, unsigned int feature)
{
	init->features[feature / 32] |= 1u << feature % 32;
}

static bool have(struct machine *m, unsigned long cap)
{
	return kvm_check(&m->kvm, cap) > 0;
}

static int want_nested(struct machine *m, struct kvm_vcpu_init *init, struct lkvm_error *err)
{
	const struct lkvm_arm64 *a = &m->cfg->arm64;

	if (!m->cfg->nested)
		return 0;
	if (!have(m, KVM_CAP_ARM_EL2))
		return err_unsupported(
			err, EOPNOTSUPP,
			"--nested: this host's KVM has no nested virtualization: it "
			"takes Linux 6.16 or later, booted with kvm-arm.mode=nested, on CPUs "
			"with FEAT_NV2");
	want(init, KVM_ARM_VCPU_HAS_EL2);
	if (!a->e2h0)
		return 0;
	if (!have(m, KVM_CAP_ARM_EL2_E2H0))
		return err_unsupported(
			err, EOPNOTSUPP,
			"--e2h0: this host's KVM cannot do without VHE in the guest: "
			"it takes CPUs with FEAT_NV1");
	want(init, KVM_ARM_VCPU_HAS_EL2_E2H0);
	return 0;
}

int arm64_vcpu_features(struct machine *m, struct kvm_vcpu_init *init, struct lkvm_error *err)
{
	const struct lkvm_arm64 *a = &m->cfg->arm64;
	int ret = kvm_vm_ioctl(&m->kvm, KVM_ARM_PREFERRED_TARGET, init, err);

	if (ret < 0)
		return ret;
	memset(init->features, 0, sizeof(init->features));
	ret = kvm_require(&m->kvm, KVM_CAP_ARM_PSCI_0_2, err);
	if (ret < 0)
		return ret;
	want(init, KVM_ARM_VCPU_PSCI_0_2);
	if (have(m, KVM_CAP_ARM_PTRAUTH_ADDRESS) && have(m, KVM_CAP_ARM_PTRAUTH_GENERIC)) {
		want(init, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
		want(init, KVM_ARM_VCPU_PTRAUTH_GENERIC);
	}
	if (have(m, KVM_CAP_ARM_SVE))
		want(init, KVM_ARM_VCPU_SVE);
	else if (a->sve_max_vl)
		return err_unsupported(err, EOPNOTSUPP,
				       "--sve-max-vl %u: this host's CPUs or KVM have no SVE",
				       a->sve_max_vl);
	if (a->pmu || a->pmu_partition) {
		if (!have(m, KVM_CAP_ARM_PMU_V3))
			return err_unsupported(err, EOPNOTSUPP,
					       "--%s: this host's KVM has no PMUv3 for guests",
					       a->pmu_partition ? "pmu-partition" : "pmu");
		want(init, KVM_ARM_VCPU_PMU_V3);
	}
	return want_nested(m, init, err);
}
