/* host.c - the arm64 hosts a fakekvm can pretend to be. */
#include "tests/fakekvm/arm64/arm64.h"

#include <stdlib.h>

/*
 * A posted series gave itself this number, released kernels another one
 * (KVM_CAP_GUEST_MEMFD_FLAGS). An answer that is not 0 says nothing about the PMU.
 */
#define CAP_244 244

/*
 * KVM_CHECK_EXTENSION of Linux 7.2, from Documentation/virt/kvm/api.rst; what a CPU or an interrupt
 * controller decides is added by each host.
 */
#define COMMON_CAPS                                                                               \
	{ KVM_CAP_IRQCHIP, 1 }, { KVM_CAP_USER_MEMORY, 1 }, { KVM_CAP_NR_VCPUS, 2 },              \
		{ KVM_CAP_NR_MEMSLOTS, 32767 }, { KVM_CAP_MP_STATE, 1 }, { KVM_CAP_SYNC_MMU, 1 }, \
		{ KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1 }, { KVM_CAP_IRQ_ROUTING, 4096 },        \
		{ KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1 }, { KVM_CAP_IRQFD, 1 },                   \
		{ KVM_CAP_IOEVENTFD, 1 }, { KVM_CAP_INTERNAL_ERROR_DATA, 1 },                     \
		{ KVM_CAP_VCPU_EVENTS, 1 }, { KVM_CAP_ONE_REG, 1 }, { KVM_CAP_SIGNAL_MSI, 1 },    \
		{ KVM_CAP_READONLY_MEM, 1 }, { KVM_CAP_IRQFD_RESAMPLE, 1 },                       \
		{ KVM_CAP_ARM_PSCI, 1 }, { KVM_CAP_ARM_SET_DEVICE_ADDR, 1 },                      \
		{ KVM_CAP_DEVICE_CTRL, 1 }, { KVM_CAP_ENABLE_CAP_VM, 1 },                         \
		{ KVM_CAP_IOEVENTFD_NO_LENGTH, 1 }, { KVM_CAP_ARM_PSCI_0_2, 1 },                  \
		{ KVM_CAP_CHECK_EXTENSION_VM, 1 }, { KVM_CAP_IOEVENTFD_ANY_LENGTH, 1 },           \
		{ KVM_CAP_VCPU_ATTRIBUTES, 1 }, { KVM_CAP_MSI_DEVID, 1 },                         \
		{ KVM_CAP_IMMEDIATE_EXIT, 1 }, { KVM_CAP_ARM_IRQ_LINE_LAYOUT_2, 1 },              \
		{ KVM_CAP_ARM_NISV_TO_USER, 1 }, { KVM_CAP_HALT_POLL, 1 },                        \
		{ KVM_CAP_STEAL_TIME, 1 }, { KVM_CAP_PTP_KVM, 1 },                                \
		{ KVM_CAP_SYSTEM_EVENT_DATA, 1 }, { KVM_CAP_ARM_SYSTEM_SUSPEND, 1 },              \
		{ KVM_CAP_COUNTER_OFFSET, 1 }, { KVM_CAP_MEMORY_FAULT_INFO, 1 },                  \
		{ KVM_CAP_ARM_WRITABLE_IMP_ID_REGS, 1 }, { CAP_244, 3 },                          \
	{                                                                                         \
		KVM_CAP_ARM_VM_IPA_SIZE, 48                                                       \
	}

#define GICV3_CAPS                       \
	{ KVM_CAP_MAX_VCPUS, 512 },      \
	{                                \
		KVM_CAP_MAX_VCPU_ID, 512 \
	}
#define GICV2_CAPS                     \
	{ KVM_CAP_MAX_VCPUS, 8 },      \
	{                              \
		KVM_CAP_MAX_VCPU_ID, 8 \
	}
#define PTRAUTH_CAPS                           \
	{ KVM_CAP_ARM_PTRAUTH_ADDRESS, 1 },    \
	{                                      \
		KVM_CAP_ARM_PTRAUTH_GENERIC, 1 \
	}
#define EL2_CAPS                        \
	{ KVM_CAP_ARM_EL2, 1 },         \
	{                               \
		KVM_CAP_ARM_EL2_E2H0, 1 \
	}
#define PMU_CAPS                      \
	{                             \
		KVM_CAP_ARM_PMU_V3, 1 \
	}
#define END          \
	{            \
		0, 0 \
	}

static const struct fake_cap usual[] = {
	COMMON_CAPS, GICV3_CAPS, PTRAUTH_CAPS, EL2_CAPS, PMU_CAPS, END,
};
static const struct fake_cap with_gicv2[] = {
	COMMON_CAPS, GICV2_CAPS, PTRAUTH_CAPS, PMU_CAPS, { KVM_CAP_ARM_EL1_32BIT, 1 }, END,
};
static const struct fake_cap plain[] = {
	COMMON_CAPS,
	GICV3_CAPS,
	END,
};
static const struct fake_cap full[] = {
	COMMON_CAPS,
	GICV3_CAPS,
	PTRAUTH_CAPS,
	EL2_CAPS,
	PMU_CAPS,
	{ KVM_CAP_ARM_EL1_32BIT, 1 },
	{ KVM_CAP_ARM_SVE, 1 },
	{ KVM_CAP_ARM_MTE, 1 },
	END,
};

void arm64_init(struct fakekvm *fk)
{
	*arm64_knobs(fk) = (struct arm64_knobs){
		.n_counters = 6,
		.n_partition = 4,
		.pmus = { 8, 9, 10 },
		.n_pmus = 3,
		.sve_lengths = 0xf,
	};
}

void fakekvm_set_pmu_counters(struct fakekvm *fk, unsigned int n, unsigned int n_partition)
{
	if (n > 31 || n_partition > n)
		abort();
	arm64_knobs(fk)->n_counters = n;
	arm64_knobs(fk)->n_partition = n_partition;
}

void fakekvm_add_pmu(struct fakekvm *fk, int type)
{
	struct arm64_knobs *k = arm64_knobs(fk);

	if (k->n_pmus == ARM64_N_PMUS)
		abort();
	k->pmus[k->n_pmus++] = type;
}

void fakekvm_hide_attr(struct fakekvm *fk, bool of_vcpu, u32 group, u64 attr)
{
	struct arm64_knobs *k = arm64_knobs(fk);

	if (k->n_hidden == ARM64_N_HIDDEN)
		abort();
	k->hidden[k->n_hidden].of_vcpu = of_vcpu;
	k->hidden[k->n_hidden].group = group;
	k->hidden[k->n_hidden++].attr = attr;
}

void fakekvm_set_sve_lengths(struct fakekvm *fk, u32 lengths)
{
	if (!lengths || lengths >> 16)
		abort();
	arm64_knobs(fk)->sve_lengths = lengths;
}

/* clang-format off */
#define HOST(id, text, capabilities, ...)                              \
	const struct fake_host id = {                                  \
		.name = (text),                                        \
		.arch = &fake_arm64,                                   \
		.caps = (capabilities),                                \
		.arm64 = &(const struct arm64_host){ __VA_ARGS__ },    \
	}

HOST(fakekvm_arm64, "arm64", usual, .gicv3 = true);
HOST(fakekvm_arm64_gicv2, "gicv2", with_gicv2, .gicv2 = true);
HOST(fakekvm_arm64_plain, "plain", plain, .gicv3 = true);
HOST(fakekvm_arm64_full, "full", full, .gicv3 = true);
HOST(fakekvm_arm64_partition_ioctl, "partition-ioctl", usual, .gicv3 = true,
     .partition = ARM64_PARTITION_IOCTL);
HOST(fakekvm_arm64_partition_attr, "partition-attr", usual, .gicv3 = true,
     .partition = ARM64_PARTITION_ATTR);
HOST(fakekvm_arm64_partition_ioctl_unconfigured, "partition-ioctl-unconfigured", usual,
     .gicv3 = true, .partition = ARM64_PARTITION_IOCTL, .unconfigured = true);
HOST(fakekvm_arm64_partition_attr_unconfigured, "partition-attr-unconfigured", usual,
     .gicv3 = true, .partition = ARM64_PARTITION_ATTR, .unconfigured = true);
/* clang-format on */

const struct fake_host *const fakekvm_hosts[] = {
	&fakekvm_arm64,
	&fakekvm_arm64_gicv2,
	&fakekvm_arm64_plain,
	&fakekvm_arm64_full,
	&fakekvm_arm64_partition_ioctl,
	&fakekvm_arm64_partition_attr,
	&fakekvm_arm64_partition_ioctl_unconfigured,
	&fakekvm_arm64_partition_attr_unconfigured,
	NULL,
};
