/*
 * linux-uapi/arm64.h - the KVM interface as lkvm uses it: arm64 (layer 0).
 *
 * The rules of linux-uapi/kvm.h apply. Only arm64 code and its tests include this: the header of
 * another architecture gives the same names (struct kvm_regs) other shapes. Devices and their
 * attributes are described in Documentation/virt/kvm/devices/arm-vgic*.rst and vcpu.rst.
 */
#ifndef LKVM_LINUX_UAPI_ARM64_H
#define LKVM_LINUX_UAPI_ARM64_H

#include "linux-uapi/kvm.h"

/* ---- Registers, each by its own id (KVM_GET_ONE_REG) ---- */

/* <asm/ptrace.h> */
struct user_pt_regs {
	u64 regs[31];
	u64 sp;
	u64 pc;
	u64 pstate;
};
KVM_ABI_SIZE(user_pt_regs, 272);
KVM_ABI_AT(user_pt_regs, sp, 248);
KVM_ABI_AT(user_pt_regs, pc, 256);
KVM_ABI_AT(user_pt_regs, pstate, 264);

struct user_fpsimd_state {
	unsigned __int128 vregs[32];
	u32 fpsr;
	u32 fpcr;
	u32 __reserved[2];
};
KVM_ABI_SIZE(user_fpsimd_state, 528);
KVM_ABI_AT(user_fpsimd_state, fpsr, 512);

#define KVM_NR_SPSR 5

/* Nothing is passed as this struct: its offsets number the core registers. */
struct kvm_regs {
	struct user_pt_regs regs;
	u64 sp_el1;
	u64 elr_el1;
	u64 spsr[KVM_NR_SPSR];
	struct user_fpsimd_state fp_regs;
};
KVM_ABI_SIZE(kvm_regs, 864);
KVM_ABI_AT(kvm_regs, sp_el1, 272);
KVM_ABI_AT(kvm_regs, spsr, 288);
KVM_ABI_AT(kvm_regs, fp_regs, 336);

#define KVM_REG_ARM64 0x6000000000000000ull

#define KVM_REG_ARM_COPROC_MASK	 0x000000000fff0000ull
#define KVM_REG_ARM_COPROC_SHIFT 16

/* The number is the offset in struct kvm_regs in units of 4 bytes. */
#define KVM_REG_ARM_CORE (0x10ull << KVM_REG_ARM_COPROC_SHIFT)

#define KVM_REG_ARM_DEMUX	       (0x11ull << KVM_REG_ARM_COPROC_SHIFT)
#define KVM_REG_ARM64_SYSREG	       (0x13ull << KVM_REG_ARM_COPROC_SHIFT)
#define KVM_REG_ARM_FW		       (0x14ull << KVM_REG_ARM_COPROC_SHIFT)
#define KVM_REG_ARM64_SVE	       (0x15ull << KVM_REG_ARM_COPROC_SHIFT)
#define KVM_REG_ARM_FW_FEAT_BMAP       (0x16ull << KVM_REG_ARM_COPROC_SHIFT)
#define KVM_REG_ARM64_SYSREG_OP0_SHIFT 14
#define KVM_REG_ARM64_SYSREG_OP1_SHIFT 11
#define KVM_REG_ARM64_SYSREG_CRN_SHIFT 7
#define KVM_REG_ARM64_SYSREG_CRM_SHIFT 3
#define KVM_REG_ARM64_SYSREG_OP2_SHIFT 0

/* The id of a system register by its encoding (Arm ARM, D24). */
#define ARM64_SYS_REG(op0, op1, crn, crm, op2)                     \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | \
	 (u64)(op0) << KVM_REG_ARM64_SYSREG_OP0_SHIFT |            \
	 (u64)(op1) << KVM_REG_ARM64_SYSREG_OP1_SHIFT |            \
	 (u64)(crn) << KVM_REG_ARM64_SYSREG_CRN_SHIFT |            \
	 (u64)(crm) << KVM_REG_ARM64_SYSREG_CRM_SHIFT |            \
	 (u64)(op2) << KVM_REG_ARM64_SYSREG_OP2_SHIFT)

/* KVM's own ids for the virtual timer; TIMER_CNT and TIMER_CVAL are not those of the encodings. */
#define KVM_REG_ARM_TIMER_CTL  ARM64_SYS_REG(3, 3, 14, 3, 1)
#define KVM_REG_ARM_TIMER_CVAL ARM64_SYS_REG(3, 3, 14, 0, 2)
#define KVM_REG_ARM_TIMER_CNT  ARM64_SYS_REG(3, 3, 14, 3, 2)

/* The physical timer's are those of the encodings. */
#define KVM_REG_ARM_PTIMER_CTL	ARM64_SYS_REG(3, 3, 14, 2, 1)
#define KVM_REG_ARM_PTIMER_CVAL ARM64_SYS_REG(3, 3, 14, 2, 2)
#define KVM_REG_ARM_PTIMER_CNT	ARM64_SYS_REG(3, 3, 14, 0, 1)

#define KVM_REG_ARM_FW_REG(r)	 (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_FW | ((r)&0xffff))
#define KVM_REG_ARM_PSCI_VERSION KVM_REG_ARM_FW_REG(0)

/* The set of vector lengths: bit n of the 512 is (n + 1) * 128 bits. Before KVM_ARM_VCPU_FINALIZE.
 */
#define KVM_REG_ARM64_SVE_VLS	(KVM_REG_ARM64 | KVM_REG_ARM64_SVE | KVM_REG_SIZE_U512 | 0xffff)
#define KVM_ARM64_SVE_VLS_WORDS 8

/* ---- vCPUs ---- */

#define KVM_ARM_VCPU_POWER_OFF	     0 /* waits for PSCI CPU_ON */
#define KVM_ARM_VCPU_EL1_32BIT	     1
#define KVM_ARM_VCPU_PSCI_0_2	     2 /* 0.2 or later */
#define KVM_ARM_VCPU_PMU_V3	     3
#define KVM_ARM_VCPU_SVE	     4 /* also wants KVM_ARM_VCPU_FINALIZE */
#define KVM_ARM_VCPU_PTRAUTH_ADDRESS 5 /* both or neither */
#define KVM_ARM_VCPU_PTRAUTH_GENERIC 6
#define KVM_ARM_VCPU_HAS_EL2	     7
#define KVM_ARM_VCPU_HAS_EL2_E2H0    8 /* EL2 without VHE */

struct kvm_vcpu_init {
	u32 target;
	u32 features[7]; /* bit n of the array is feature n */
};
KVM_ABI_SIZE(kvm_vcpu_init, 32);
KVM_ABI_AT(kvm_vcpu_init, features, 4);

/* What waits to be delivered, with KVM_CAP_VCPU_EVENTS. */
struct kvm_vcpu_events {
	struct {
		u8 serror_pending;
		u8 serror_has_esr;
		u8 ext_dabt_pending; /* an order to inject one: reads 0 */
		u8 pad[5];
		u64 serror_esr;
	} exception;
	u32 reserved[12];
};
KVM_ABI_SIZE(kvm_vcpu_events, 64);
KVM_ABI_AT(kvm_vcpu_events, exception.ext_dabt_pending, 2);
KVM_ABI_AT(kvm_vcpu_events, exception.serror_esr, 8);
KVM_ABI_AT(kvm_vcpu_events, reserved, 16);

struct kvm_arm_counter_offset {
	u64 counter_offset; /* ticks, subtracted from the virtual and the physical counter */
	u64 reserved;	    /* 0 */
};
KVM_ABI_SIZE(kvm_arm_counter_offset, 16);

/* Groups and attributes of a vCPU. */
#define KVM_ARM_VCPU_PMU_V3_CTRL	    0
#define KVM_ARM_VCPU_PMU_V3_IRQ		    0 /* int: INTID */
#define KVM_ARM_VCPU_PMU_V3_INIT	    1
#define KVM_ARM_VCPU_PMU_V3_FILTER	    2 /* struct kvm_pmu_event_filter */
#define KVM_ARM_VCPU_PMU_V3_SET_PMU	    3 /* int: type of the event source */
#define KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS 4 /* unsigned int */
#define KVM_ARM_VCPU_TIMER_CTRL		    1
#define KVM_ARM_VCPU_TIMER_IRQ_VTIMER	    0 /* int: INTID of a PPI */
#define KVM_ARM_VCPU_TIMER_IRQ_PTIMER	    1
#define KVM_ARM_VCPU_TIMER_IRQ_HVTIMER	    2
#define KVM_ARM_VCPU_TIMER_IRQ_HPTIMER	    3
#define KVM_ARM_VCPU_PVTIME_CTRL	    2
#define KVM_ARM_VCPU_PVTIME_IPA		    0 /* u64, a multiple of 64, in a memory slot */

#define KVM_PMU_EVENT_ALLOW 0
#define KVM_PMU_EVENT_DENY  1

/* The first one decides what happens to all other events: the opposite. */
struct kvm_pmu_event_filter {
	u16 base_event;
	u16 nevents;
	u8 action;
	u8 pad[3];
};
KVM_ABI_SIZE(kvm_pmu_event_filter, 8);
KVM_ABI_AT(kvm_pmu_event_filter, nevents, 2);
KVM_ABI_AT(kvm_pmu_event_filter, action, 4);

/* Why KVM_EXIT_FAIL_ENTRY: that CPU is not one of the chosen PMU's. */
#define KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED (1ull << 0)

/* ---- Interrupt controllers ---- */

#define KVM_DEV_TYPE_VFIO	  4
#define KVM_DEV_TYPE_ARM_VGIC_V2  5
#define KVM_DEV_TYPE_ARM_VGIC_V3  7
#define KVM_DEV_TYPE_ARM_VGIC_ITS 8
#define KVM_DEV_TYPE_ARM_PV_TIME  10

#define KVM_DEV_ARM_VGIC_GRP_ADDR	 0
#define KVM_DEV_ARM_VGIC_GRP_DIST_REGS	 1
#define KVM_DEV_ARM_VGIC_GRP_CPU_REGS	 2
#define KVM_DEV_ARM_VGIC_GRP_NR_IRQS	 3 /* u32: SPIs + 32, a multiple of 32 */
#define KVM_DEV_ARM_VGIC_GRP_CTRL	 4
#define KVM_DEV_ARM_VGIC_GRP_REDIST_REGS 5
#define KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS 6
#define KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO	 7
#define KVM_DEV_ARM_VGIC_GRP_ITS_REGS	 8
#define KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ	 9 /* u32: INTID of a PPI; before CTRL_INIT */

/* of KVM_DEV_ARM_VGIC_GRP_CTRL */
#define KVM_DEV_ARM_VGIC_CTRL_INIT	     0
#define KVM_DEV_ARM_ITS_SAVE_TABLES	     1
#define KVM_DEV_ARM_ITS_RESTORE_TABLES	     2
#define KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES 3
#define KVM_DEV_ARM_ITS_CTRL_RESET	     4

/* of KVM_DEV_ARM_VGIC_GRP_ADDR, each a u64 */
#define KVM_VGIC_V2_ADDR_TYPE_DIST	    0 /* 4 KiB */
#define KVM_VGIC_V2_ADDR_TYPE_CPU	    1 /* 8 KiB */
#define KVM_VGIC_V3_ADDR_TYPE_DIST	    2 /* 64 KiB */
#define KVM_VGIC_V3_ADDR_TYPE_REDIST	    3 /* 128 KiB a vCPU */
#define KVM_VGIC_ITS_ADDR_TYPE		    4 /* 128 KiB */
#define KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION 5

/* How the attributes of register groups are composed. */
#define KVM_DEV_ARM_VGIC_CPUID_SHIFT	       32
#define KVM_DEV_ARM_VGIC_CPUID_MASK	       (0xffull << KVM_DEV_ARM_VGIC_CPUID_SHIFT)
#define KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT	       32
#define KVM_DEV_ARM_VGIC_V3_MPIDR_MASK	       (0xffffffffull << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT)
#define KVM_DEV_ARM_VGIC_OFFSET_SHIFT	       0
#define KVM_DEV_ARM_VGIC_OFFSET_MASK	       (0xffffffffull << KVM_DEV_ARM_VGIC_OFFSET_SHIFT)
#define KVM_DEV_ARM_VGIC_SYSREG_INSTR_MASK     (0xffffull)
#define KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT 10
#define KVM_DEV_ARM_VGIC_LINE_LEVEL_INTID_MASK 0x3ffull
#define VGIC_LEVEL_INFO_LINE_LEVEL	       0

/* KVM_IRQ_LINE: kvm_irq_level.irq is a type, a vCPU and an INTID. */
#define KVM_ARM_IRQ_VCPU2_SHIFT 28
#define KVM_ARM_IRQ_TYPE_SHIFT	24
#define KVM_ARM_IRQ_VCPU_SHIFT	16
#define KVM_ARM_IRQ_NUM_SHIFT	0
#define KVM_ARM_IRQ_TYPE_CPU	0
#define KVM_ARM_IRQ_TYPE_SPI	1
#define KVM_ARM_IRQ_TYPE_PPI	2

/* ---- Capabilities ---- */

#define KVM_CAP_ARM_PSCI		 87
#define KVM_CAP_ARM_SET_DEVICE_ADDR	 88
#define KVM_CAP_ARM_EL1_32BIT		 93
#define KVM_CAP_ARM_PSCI_0_2		 102
#define KVM_CAP_GUEST_DEBUG_HW_BPS	 119
#define KVM_CAP_GUEST_DEBUG_HW_WPS	 120
#define KVM_CAP_ARM_PMU_V3		 126
#define KVM_CAP_ARM_VM_IPA_SIZE		 165
#define KVM_CAP_ARM_SVE			 170
#define KVM_CAP_ARM_PTRAUTH_ADDRESS	 171
#define KVM_CAP_ARM_PTRAUTH_GENERIC	 172
#define KVM_CAP_ARM_IRQ_LINE_LAYOUT_2	 174
#define KVM_CAP_ARM_NISV_TO_USER	 177
#define KVM_CAP_STEAL_TIME		 187
#define KVM_CAP_PTP_KVM			 198
#define KVM_CAP_ARM_MTE			 205
#define KVM_CAP_ARM_SYSTEM_SUSPEND	 216
#define KVM_CAP_COUNTER_OFFSET		 227
#define KVM_CAP_ARM_WRITABLE_IMP_ID_REGS 239
#define KVM_CAP_ARM_EL2			 240
#define KVM_CAP_ARM_EL2_E2H0		 241
#define KVM_CAP_ARM_SEA_TO_USER		 245

/* ---- Requests ---- */

/* on a VM */
#define KVM_ARM_PREFERRED_TARGET   KVM_IOC_R(0xaf, struct kvm_vcpu_init)
#define KVM_ARM_SET_COUNTER_OFFSET KVM_IOC_W(0xb5, struct kvm_arm_counter_offset)

/* The type of KVM_CREATE_VM holds the size of the guest's address space; 0: 40 bits. */
#define KVM_VM_TYPE_ARM_IPA_SIZE_MASK 0xffull

/* on a vCPU */
#define KVM_ARM_VCPU_INIT     KVM_IOC_W(0xae, struct kvm_vcpu_init)
#define KVM_ARM_VCPU_FINALIZE KVM_IOC_W(0xc2, int)
#define KVM_GET_VCPU_EVENTS   KVM_IOC_R(0x9f, struct kvm_vcpu_events)
#define KVM_SET_VCPU_EVENTS   KVM_IOC_W(0xa0, struct kvm_vcpu_events)

#endif
