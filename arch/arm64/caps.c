/* caps.c - what an arm64 host's KVM has for guests, and what it would take to have the rest. */
#include "vmm/caps.h"

#include <errno.h>

#include "arch/arm64/pmu.h"
#include "linux-uapi/arm64.h"
#include "vmm/arch.h"

#define NO_CPU "this host's CPUs or KVM do not have it"

/* A vCPU of the VM that is asked, for what only a vCPU knows. It never runs. */
struct probe {
	const struct kvm *kvm;
	int fd;	       /* -1: none */
	bool pmu, sve; /* it has them */
	bool v2, v3, its;
};

static bool have(const struct probe *p, u32 cap)
{
	return kvm_check(p->kvm, cap) > 0;
}

/* ---- a vCPU ---------------------------------------------------------------------------- */

static int init_vcpu(struct probe *p, struct lkvm_error *err)
{
	struct kvm_vcpu_init init;
	int ret = kvm_vm_ioctl(p->kvm, KVM_ARM_PREFERRED_TARGET, &init, err);

	if (ret < 0)
		return ret;
	memset(init.features, 0, sizeof(init.features));
	p->pmu = have(p, KVM_CAP_ARM_PMU_V3);
	p->sve = have(p, KVM_CAP_ARM_SVE);
	init.features[0] = 1u << KVM_ARM_VCPU_PSCI_0_2 | (p->pmu ? 1u << KVM_ARM_VCPU_PMU_V3 : 0) |
			   (p->sve ? 1u << KVM_ARM_VCPU_SVE : 0);
	ret = kvm_fd_ioctl(p->kvm, p->fd, KVM_ARM_VCPU_INIT, &init, err);
	return ret < 0 ? ret : 0;
}

static int open_vcpu(struct probe *p, struct lkvm_error *err)
{
	int ret = kvm_vm_ioctl(p->kvm, KVM_CREATE_VCPU, 0, err);

	if (ret < 0)
		return ret;
	p->fd = ret;
	return init_vcpu(p, err);
}

static void close_vcpu(struct probe *p)
{
	kvm_close_fd(p->kvm, p->fd);
}

/* ---- features -------------------------------------------------------------------------- */

static void probe_nested(struct lkvm_caps *caps, const struct probe *p)
{
	const char *no_nested = "KVM runs guests at EL1 only";
	const char *remedy = "Linux 6.16 or later, booted with kvm-arm.mode=nested, on CPUs with "
			     "FEAT_NV2";

	if (have(p, KVM_CAP_ARM_EL2) && !p->v3)
		caps_no(caps, "nested", "KVM has no GICv3 for guests, which it takes", "");
	else
		caps_by_kvm(caps, p->kvm, KVM_CAP_ARM_EL2, "nested", no_nested, remedy);
	if (!have(p, KVM_CAP_ARM_EL2))
		caps_no(caps, "e2h0", no_nested, remedy);
	else
		caps_by_kvm(caps, p->kvm, KVM_CAP_ARM_EL2_E2H0, "e2h0",
			    "KVM cannot do without VHE in the guest", "CPUs with FEAT_NV1");
}

static void probe_partition(struct lkvm_caps *caps, const struct probe *p)
{
	static const char unreleased[] = "a kernel with the PMU partitioning series; no released "
					 "one has it";
	static const char kept[] = "the host keeps all counters to itself";
	static const char give[] = "boot the host with arm_pmuv3.reserved_host_counters=N, N being "
				   "those it keeps";
	static const char no_pmu[] = "guests have no PMU to partition";
	bool attr;
	int ret;

	if (!p->pmu) {
		caps_no(caps, "pmu-partition", no_pmu, "");
		caps_no(caps, "pmu-partition-ioctl", no_pmu, "");
		caps_no(caps, "pmu-partition-attr", no_pmu, "");
		return;
	}
	ret = pmu_probe_partition_ioctl(p->kvm, p->fd);
	attr = pmu_has_partition_attr(p->kvm, p->fd);
	/* 1, not how many there are to give: only a partition that is made says that. */
	if (attr || ret == -EFAULT)
		caps_yes(caps, "pmu-partition", 1);
	else if (ret == -EPERM)
		caps_no(caps, "pmu-partition", kept, give);
	else
		caps_no(caps, "pmu-partition",
			"KVM has neither an ioctl nor a vCPU attribute for it", unreleased);
	if (ret == -EFAULT)
		caps_yes(caps, "pmu-partition-ioctl", 1);
	else if (ret == -EPERM)
		caps_no(caps, "pmu-partition-ioctl", kept, give);
	else
		caps_no(caps, "pmu-partition-ioctl", "KVM has no ioctl KVM_ARM_PARTITION_PMU",
			unreleased);
	if (attr)
		caps_yes(caps, "pmu-partition-attr", 1);
	else
		caps_no(caps, "pmu-partition-attr", "KVM has no vCPU attribute for it", unreleased);
}

static void probe_pmu(struct lkvm_caps *caps, const struct probe *p)
{
	unsigned int n;

	if (p->pmu && !pmu_n_counters(p->kvm, p->fd, &n))
		caps_yes(caps, "pmu", n);
	else if (p->pmu)
		caps_no(caps, "pmu", "KVM does not say how many counters it has (PMCR_EL0)", "");
	else
		caps_no(caps, "pmu", "KVM has no PMUv3 for guests",
			"CPUs with PMUv3, and a host kernel that has its driver (CONFIG_ARM_PMUV3) "
			"and an interrupt for it");
	probe_partition(caps, p);
}

static void probe_gic(struct lkvm_caps *caps, const struct probe *p)
{
	static const char v2_reason[] = "the host's interrupt controller cannot emulate a GICv2";
	static const char v3_reason[] = "the host's interrupt controller is no GICv3";

	if (p->v2)
		caps_yes(caps, "gicv2", 1);
	else
		caps_no(caps, "gicv2", v2_reason, "");
	if (p->v3)
		caps_yes(caps, "gicv3", 1);
	else
		caps_no(caps, "gicv3", v3_reason, "");
	if (p->v3 && p->its)
		caps_yes(caps, "its", 1);
	else
		caps_no(caps, "its", p->v3 ? "KVM has no ITS for guests" : v3_reason, "");
}

/* The longest vector in bits: the highest bit of KVM_REG_ARM64_SVE_VLS. 0: unknown. */
static s64 max_vl(const struct probe *p)
{
	u64 vls[KVM_ARM64_SVE_VLS_WORDS] = { 0 };

	if (kvm_get_reg(p->kvm, p->fd, KVM_REG_ARM64_SVE_VLS, vls))
		return 0;
	for (unsigned int bit = KVM_ARM64_SVE_VLS_WORDS * 64; bit-- > 0;) {
		if (vls[bit / 64] & BIT(bit % 64))
			return (s64)(bit + 1) * 128;
	}
	return 0;
}

static void probe_cpu(struct lkvm_caps *caps, const struct probe *p)
{
	s64 vl = p->sve ? max_vl(p) : 0;

	if (vl)
		caps_yes(caps, "sve", vl);
	else if (p->sve)
		caps_no(caps, "sve", "KVM does not say how long its vectors are", "");
	else
		caps_no(caps, "sve", NO_CPU, "CPUs with SVE, and CONFIG_ARM64_SVE on the host");
	caps_by_kvm(caps, p->kvm, KVM_CAP_ARM_MTE, "mte", NO_CPU,
		    "CPUs with MTE2, and CONFIG_ARM64_MTE on the host");
	if (have(p, KVM_CAP_ARM_PTRAUTH_ADDRESS) && have(p, KVM_CAP_ARM_PTRAUTH_GENERIC))
		caps_yes(caps, "ptrauth", 1);
	else
		caps_no(caps, "ptrauth", NO_CPU,
			"CPUs with pointer authentication, and CONFIG_ARM64_PTR_AUTH on the host");
}

static const struct caps_kvm_line kvm_lines[] = {
	CAPS_KVM(KVM_CAP_ARM_VM_IPA_SIZE),
	CAPS_KVM(KVM_CAP_NR_VCPUS),
	CAPS_KVM(KVM_CAP_MAX_VCPUS),
	CAPS_KVM(KVM_CAP_MAX_VCPU_ID),
	CAPS_KVM(KVM_CAP_NR_MEMSLOTS),
	CAPS_KVM(KVM_CAP_IMMEDIATE_EXIT),
	CAPS_KVM(KVM_CAP_READONLY_MEM),
	CAPS_KVM(KVM_CAP_USER_MEMORY2),
	CAPS_KVM(KVM_CAP_MEMORY_ATTRIBUTES),
	CAPS_KVM(KVM_CAP_GUEST_MEMFD),
	CAPS_KVM(KVM_CAP_IRQFD),
	CAPS_KVM(KVM_CAP_IRQFD_RESAMPLE),
	CAPS_KVM(KVM_CAP_IOEVENTFD),
	CAPS_KVM(KVM_CAP_IOEVENTFD_ANY_LENGTH),
	CAPS_KVM(KVM_CAP_IRQ_ROUTING),
	CAPS_KVM(KVM_CAP_SIGNAL_MSI),
	CAPS_KVM(KVM_CAP_DEVICE_CTRL),
	CAPS_KVM(KVM_CAP_VCPU_ATTRIBUTES),
	CAPS_KVM(KVM_CAP_ONE_REG),
	CAPS_KVM(KVM_CAP_MP_STATE),
	CAPS_KVM(KVM_CAP_VCPU_EVENTS),
	CAPS_KVM(KVM_CAP_ARM_IRQ_LINE_LAYOUT_2),
	CAPS_KVM(KVM_CAP_ARM_PSCI_0_2),
	CAPS_KVM(KVM_CAP_ARM_SYSTEM_SUSPEND),
	CAPS_KVM(KVM_CAP_ARM_EL1_32BIT),
	CAPS_KVM(KVM_CAP_ARM_NISV_TO_USER),
	CAPS_KVM(KVM_CAP_ARM_SEA_TO_USER),
	CAPS_KVM(KVM_CAP_ARM_PMU_V3),
	CAPS_KVM(KVM_CAP_ARM_SVE),
	CAPS_KVM(KVM_CAP_ARM_PTRAUTH_ADDRESS),
	CAPS_KVM(KVM_CAP_ARM_PTRAUTH_GENERIC),
	CAPS_KVM(KVM_CAP_ARM_MTE),
	CAPS_KVM(KVM_CAP_ARM_WRITABLE_IMP_ID_REGS),
	CAPS_KVM(KVM_CAP_ARM_EL2),
	CAPS_KVM(KVM_CAP_ARM_EL2_E2H0),
	CAPS_KVM(KVM_CAP_COUNTER_OFFSET),
	CAPS_KVM(KVM_CAP_STEAL_TIME),
	CAPS_KVM(KVM_CAP_PTP_KVM),
	CAPS_KVM(KVM_CAP_SET_GUEST_DEBUG),
	CAPS_KVM(KVM_CAP_GUEST_DEBUG_HW_BPS),
	CAPS_KVM(KVM_CAP_GUEST_DEBUG_HW_WPS),
	CAPS_KVM(KVM_CAP_BINARY_STATS_FD),
};

int arch_probe_caps(const struct kvm *kvm, struct lkvm_caps *caps, struct lkvm_error *err)
{
	struct probe p = { .kvm = kvm, .fd = -1 };
	int ret;

	p.v2 = kvm_has_device(kvm, KVM_DEV_TYPE_ARM_VGIC_V2);
	p.v3 = kvm_has_device(kvm, KVM_DEV_TYPE_ARM_VGIC_V3);
	p.its = kvm_has_device(kvm, KVM_DEV_TYPE_ARM_VGIC_ITS);
	ret = open_vcpu(&p, err);
	if (!ret) {
		probe_nested(caps, &p);
		probe_pmu(caps, &p);
		probe_gic(caps, &p);
		probe_cpu(caps, &p);
		caps_by_kvm(caps, kvm, KVM_CAP_COUNTER_OFFSET, "counter-offset",
			    "KVM cannot set counters back", "Linux 6.4 or later on the host");
		caps_by_kvm(caps, kvm, KVM_CAP_STEAL_TIME, "steal-time",
			    "KVM does not tell guests of stolen time",
			    "Linux 5.10 or later on the host, with CONFIG_SCHED_INFO");
		caps_by_kvm(caps, kvm, KVM_CAP_GUEST_MEMFD, "guest-memfd",
			    "KVM has no guest_memfd here", "Linux 6.18 or later on the host");
		caps_no(caps, "aarch32", "lkvm runs 64-bit guests only", "");
		caps_add_kvm(caps, kvm, kvm_lines, ARRAY_SIZE(kvm_lines));
	}
	close_vcpu(&p);
	return ret;
}
