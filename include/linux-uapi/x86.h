/*
 * linux-uapi/x86.h - the KVM interface as lkvm uses it: x86 (layer 0).
 *
 * The rules of linux-uapi/kvm.h apply. Only x86 code and its tests include this: the header of
 * another architecture gives the same names (struct kvm_regs, KVM_GET_REGS) other shapes.
 */
#ifndef LKVM_LINUX_UAPI_X86_H
#define LKVM_LINUX_UAPI_X86_H

#include "linux-uapi/kvm.h"

/* ---- Registers ---- */

struct kvm_regs {
	u64 rax, rbx, rcx, rdx;
	u64 rsi, rdi, rsp, rbp;
	u64 r8, r9, r10, r11;
	u64 r12, r13, r14, r15;
	u64 rip, rflags;
};
KVM_ABI_SIZE(kvm_regs, 144);
KVM_ABI_AT(kvm_regs, rsp, 48);
KVM_ABI_AT(kvm_regs, rip, 128);

/* The descriptor unpacked; limit is in bytes, granularity already applied. */
struct kvm_segment {
	u64 base;
	u32 limit;
	u16 selector;
	u8 type;
	u8 present, dpl, db, s, l, g, avl;
	u8 unusable;
	u8 padding;
};
KVM_ABI_SIZE(kvm_segment, 24);
KVM_ABI_AT(kvm_segment, selector, 12);
KVM_ABI_AT(kvm_segment, type, 14);
KVM_ABI_AT(kvm_segment, unusable, 22);

struct kvm_dtable {
	u64 base;
	u16 limit;
	u16 padding[3];
};
KVM_ABI_SIZE(kvm_dtable, 16);
KVM_ABI_AT(kvm_dtable, limit, 8);

#define KVM_NR_INTERRUPTS 256

struct kvm_sregs {
	struct kvm_segment cs, ds, es, fs, gs, ss;
	struct kvm_segment tr, ldt;
	struct kvm_dtable gdt, idt;
	u64 cr0, cr2, cr3, cr4, cr8;
	u64 efer;
	u64 apic_base;
	u64 interrupt_bitmap[KVM_NR_INTERRUPTS / 64]; /* at most one bit: accepted, not delivered */
};
KVM_ABI_SIZE(kvm_sregs, 312);
KVM_ABI_AT(kvm_sregs, tr, 144);
KVM_ABI_AT(kvm_sregs, gdt, 192);
KVM_ABI_AT(kvm_sregs, cr0, 224);
KVM_ABI_AT(kvm_sregs, efer, 264);
KVM_ABI_AT(kvm_sregs, interrupt_bitmap, 280);

#define KVM_SREGS2_FLAGS_PDPTRS_VALID 1

struct kvm_sregs2 {
	struct kvm_segment cs, ds, es, fs, gs, ss;
	struct kvm_segment tr, ldt;
	struct kvm_dtable gdt, idt;
	u64 cr0, cr2, cr3, cr4, cr8;
	u64 efer;
	u64 apic_base;
	u64 flags;
	u64 pdptrs[4];
};
KVM_ABI_SIZE(kvm_sregs2, 320);
KVM_ABI_AT(kvm_sregs2, flags, 280);
KVM_ABI_AT(kvm_sregs2, pdptrs, 288);

struct kvm_fpu {
	u8 fpr[8][16];
	u16 fcw;
	u16 fsw;
	u8 ftwx; /* abridged, as FXSAVE writes it */
	u8 pad1;
	u16 last_opcode;
	u64 last_ip;
	u64 last_dp;
	u8 xmm[16][16];
	u32 mxcsr;
	u32 pad2;
};
KVM_ABI_SIZE(kvm_fpu, 416);
KVM_ABI_AT(kvm_fpu, fcw, 128);
KVM_ABI_AT(kvm_fpu, xmm, 152);
KVM_ABI_AT(kvm_fpu, mxcsr, 408);

/* ---- Model specific registers ---- */

struct kvm_msr_entry {
	u32 index;
	u32 reserved;
	u64 data;
};
KVM_ABI_SIZE(kvm_msr_entry, 16);
KVM_ABI_AT(kvm_msr_entry, data, 8);

/* KVM stops at the first entry it refuses and returns how many it took. */
struct kvm_msrs {
	u32 nmsrs;
	u32 pad;
	struct kvm_msr_entry entries[];
};
KVM_ABI_SIZE(kvm_msrs, 8);
KVM_ABI_AT(kvm_msrs, entries, 8);

/* E2BIG writes the needed nmsrs. */
struct kvm_msr_list {
	u32 nmsrs;
	u32 indices[];
};
KVM_ABI_SIZE(kvm_msr_list, 4);
KVM_ABI_AT(kvm_msr_list, indices, 4);

/* ---- CPUID ---- */

#define KVM_CPUID_FLAG_SIGNIFCANT_INDEX (1u << 0) /* the kernel's own spelling */

struct kvm_cpuid_entry2 {
	u32 function;
	u32 index; /* meaningful with the flag above */
	u32 flags;
	u32 eax, ebx, ecx, edx;
	u32 padding[3];
};
KVM_ABI_SIZE(kvm_cpuid_entry2, 40);
KVM_ABI_AT(kvm_cpuid_entry2, flags, 8);
KVM_ABI_AT(kvm_cpuid_entry2, eax, 12);

/* Asked with too few entries: E2BIG; with too many: the number is lowered. */
struct kvm_cpuid2 {
	u32 nent;
	u32 padding;
	struct kvm_cpuid_entry2 entries[];
};
KVM_ABI_SIZE(kvm_cpuid2, 8);
KVM_ABI_AT(kvm_cpuid2, entries, 8);

/* Leaves and bits with which KVM presents itself to a guest (Documentation/virt/kvm/x86/cpuid.rst)
 */
#define KVM_CPUID_SIGNATURE		   0x40000000
#define KVM_CPUID_FEATURES		   0x40000001
#define KVM_FEATURE_CLOCKSOURCE		   0
#define KVM_FEATURE_NOP_IO_DELAY	   1
#define KVM_FEATURE_CLOCKSOURCE2	   3
#define KVM_FEATURE_ASYNC_PF		   4
#define KVM_FEATURE_STEAL_TIME		   5
#define KVM_FEATURE_PV_EOI		   6
#define KVM_FEATURE_PV_UNHALT		   7
#define KVM_FEATURE_PV_TLB_FLUSH	   9
#define KVM_FEATURE_ASYNC_PF_VMEXIT	   10
#define KVM_FEATURE_PV_SEND_IPI		   11
#define KVM_FEATURE_POLL_CONTROL	   12
#define KVM_FEATURE_PV_SCHED_YIELD	   13
#define KVM_FEATURE_ASYNC_PF_INT	   14
#define KVM_FEATURE_MSI_EXT_DEST_ID	   15 /* 15-bit MSI destination ids */
#define KVM_FEATURE_HC_MAP_GPA_RANGE	   16
#define KVM_FEATURE_MIGRATION_CONTROL	   17
#define KVM_FEATURE_CLOCKSOURCE_STABLE_BIT 24
#define KVM_HINTS_REALTIME		   0 /* in EDX of the features leaf */

/* ---- Interrupt controllers and timer of the chip set ---- */

#define KVM_APIC_REG_SIZE 0x400

/* The register page of the local APIC; x2APIC keeps its 32-bit id at 0x20 under KVM_CAP_X2APIC_API.
 */
struct kvm_lapic_state {
	char regs[KVM_APIC_REG_SIZE];
};
KVM_ABI_SIZE(kvm_lapic_state, 1024);

#define KVM_IRQCHIP_PIC_MASTER 0
#define KVM_IRQCHIP_PIC_SLAVE  1
#define KVM_IRQCHIP_IOAPIC     2
#define KVM_IOAPIC_NUM_PINS    24

struct kvm_pic_state {
	u8 last_irr;
	u8 irr;
	u8 imr;
	u8 isr;
	u8 priority_add;
	u8 irq_base;
	u8 read_reg_select;
	u8 poll;
	u8 special_mask;
	u8 init_state;
	u8 auto_eoi;
	u8 rotate_on_auto_eoi;
	u8 special_fully_nested_mode;
	u8 init4;
	u8 elcr;
	u8 elcr_mask;
};
KVM_ABI_SIZE(kvm_pic_state, 16);
KVM_ABI_AT(kvm_pic_state, elcr, 14);

struct kvm_ioapic_state {
	u64 base_address;
	u32 ioregsel;
	u32 id;
	u32 irr;
	u32 pad;
	union {
		u64 bits; /* as the guest sees it, 82093AA data sheet 3.2.4 */
	} redirtbl[KVM_IOAPIC_NUM_PINS];
};
KVM_ABI_SIZE(kvm_ioapic_state, 216);
KVM_ABI_AT(kvm_ioapic_state, redirtbl, 24);

struct kvm_irqchip {
	u32 chip_id;
	u32 pad;
	union {
		char dummy[512];
		struct kvm_pic_state pic;
		struct kvm_ioapic_state ioapic;
	} chip;
};
KVM_ABI_SIZE(kvm_irqchip, 520);
KVM_ABI_AT(kvm_irqchip, chip, 8);

#define KVM_PIT_SPEAKER_DUMMY 1u /* port 0x61 is answered by KVM */

struct kvm_pit_config {
	u32 flags;
	u32 pad[15];
};
KVM_ABI_SIZE(kvm_pit_config, 64);

struct kvm_pit_channel_state {
	u32 count; /* up to 65536 */
	u16 latched_count;
	u8 count_latched;
	u8 status_latched;
	u8 status;
	u8 read_state;
	u8 write_state;
	u8 write_latch;
	u8 rw_mode;
	u8 mode;
	u8 bcd;
	u8 gate;
	s64 count_load_time;
};
KVM_ABI_SIZE(kvm_pit_channel_state, 24);
KVM_ABI_AT(kvm_pit_channel_state, count_load_time, 16);

#define KVM_PIT_FLAGS_HPET_LEGACY     0x1
#define KVM_PIT_FLAGS_SPEAKER_DATA_ON 0x2

struct kvm_pit_state2 {
	struct kvm_pit_channel_state channels[3];
	u32 flags;
	u32 reserved[9];
};
KVM_ABI_SIZE(kvm_pit_state2, 112);
KVM_ABI_AT(kvm_pit_state2, flags, 72);

/* ---- The rest of a vCPU's state ---- */

#define KVM_VCPUEVENT_VALID_NMI_PENDING	 0x00000001
#define KVM_VCPUEVENT_VALID_SIPI_VECTOR	 0x00000002
#define KVM_VCPUEVENT_VALID_SHADOW	 0x00000004
#define KVM_VCPUEVENT_VALID_SMM		 0x00000008
#define KVM_VCPUEVENT_VALID_PAYLOAD	 0x00000010
#define KVM_VCPUEVENT_VALID_TRIPLE_FAULT 0x00000020

struct kvm_vcpu_events {
	struct {
		u8 injected;
		u8 nr;
		u8 has_error_code;
		u8 pending;
		u32 error_code;
	} exception;
	struct {
		u8 injected;
		u8 nr;
		u8 soft;
		u8 shadow;
	} interrupt;
	struct {
		u8 injected;
		u8 pending;
		u8 masked;
		u8 pad;
	} nmi;
	u32 sipi_vector;
	u32 flags;
	struct {
		u8 smm;
		u8 pending;
		u8 smm_inside_nmi;
		u8 latched_init;
	} smi;
	struct {
		u8 pending;
	} triple_fault;
	u8 reserved[26];
	u8 exception_has_payload;
	u64 exception_payload;
};
KVM_ABI_SIZE(kvm_vcpu_events, 64);
KVM_ABI_AT(kvm_vcpu_events, interrupt, 8);
KVM_ABI_AT(kvm_vcpu_events, nmi, 12);
KVM_ABI_AT(kvm_vcpu_events, sipi_vector, 16);
KVM_ABI_AT(kvm_vcpu_events, flags, 20);
KVM_ABI_AT(kvm_vcpu_events, smi, 24);
KVM_ABI_AT(kvm_vcpu_events, triple_fault, 28);
KVM_ABI_AT(kvm_vcpu_events, exception_has_payload, 55);
KVM_ABI_AT(kvm_vcpu_events, exception_payload, 56);

struct kvm_debugregs {
	u64 db[4];
	u64 dr6;
	u64 dr7;
	u64 flags;
	u64 reserved[9];
};
KVM_ABI_SIZE(kvm_debugregs, 128);
KVM_ABI_AT(kvm_debugregs, dr7, 40);

/* Uncompacted XSAVE area. KVM_GET_XSAVE2 writes KVM_CHECK_EXTENSION(KVM_CAP_XSAVE2) bytes. */
struct kvm_xsave {
	u32 region[1024];
	u32 extra[];
};
KVM_ABI_SIZE(kvm_xsave, 4096);

struct kvm_xcr {
	u32 xcr;
	u32 reserved;
	u64 value;
};
KVM_ABI_SIZE(kvm_xcr, 16);
KVM_ABI_AT(kvm_xcr, value, 8);

#define KVM_MAX_XCRS 16

struct kvm_xcrs {
	u32 nr_xcrs;
	u32 flags;
	struct kvm_xcr xcrs[KVM_MAX_XCRS];
	u64 padding[16];
};
KVM_ABI_SIZE(kvm_xcrs, 392);
KVM_ABI_AT(kvm_xcrs, xcrs, 8);

/* What a hypervisor in the guest is about: its VMCS or VMCB, and whether its guest runs. */
#define KVM_STATE_NESTED_FORMAT_VMX 0
#define KVM_STATE_NESTED_FORMAT_SVM 1

#define KVM_STATE_NESTED_GUEST_MODE  0x0001
#define KVM_STATE_NESTED_RUN_PENDING 0x0002
#define KVM_STATE_NESTED_EVMCS	     0x0004
#define KVM_STATE_NESTED_MTF_PENDING 0x0008
#define KVM_STATE_NESTED_GIF_SET     0x0100 /* SVM */

#define KVM_STATE_NESTED_VMX_VMCS_SIZE 0x1000 /* two of them, the second one a shadow */
#define KVM_STATE_NESTED_SVM_VMCB_SIZE 0x1000

struct kvm_vmx_nested_state_hdr {
	u64 vmxon_pa; /* ~0: VMXON was not executed */
	u64 vmcs12_pa;
	struct {
		u16 flags;
	} smm;
	u16 pad;
	u32 flags;
	u64 preemption_timer_deadline;
};
KVM_ABI_SIZE(kvm_vmx_nested_state_hdr, 32);
KVM_ABI_AT(kvm_vmx_nested_state_hdr, flags, 20);

/*
 * size is that of all of it; E2BIG of KVM_GET_NESTED_STATE writes the size needed. SVM's header
 * begins with the address of the VMCB and grew in 7.3: nothing here looks into it.
 */
struct kvm_nested_state {
	u16 flags;
	u16 format;
	u32 size;
	union {
		struct kvm_vmx_nested_state_hdr vmx;
		u8 pad[120];
	} hdr;
	u8 data[];
};
KVM_ABI_SIZE(kvm_nested_state, 128);
KVM_ABI_AT(kvm_nested_state, hdr, 8);
KVM_ABI_AT(kvm_nested_state, data, 128);

/* Registers by KVM_GET_ONE_REG; all are of 64 bits. The kernel's macros, as one number each. */
#define KVM_REG_X86	     0x2000000000000000ull
#define KVM_X86_REG_TYPE_MSR 2
#define KVM_X86_REG_TYPE_KVM 3
#define KVM_REG_GUEST_SSP    0 /* of KVM_X86_REG_TYPE_KVM */
#define KVM_X86_REG_MSR(index) \
	(KVM_REG_X86 | KVM_REG_SIZE_U64 | (u64)KVM_X86_REG_TYPE_MSR << 32 | (u32)(index))
#define KVM_X86_REG_KVM(reg) \
	(KVM_REG_X86 | KVM_REG_SIZE_U64 | (u64)KVM_X86_REG_TYPE_KVM << 32 | (u32)(reg))

#define KVM_CLOCK_TSC_STABLE 2
#define KVM_CLOCK_REALTIME   (1 << 2)
#define KVM_CLOCK_HOST_TSC   (1 << 3)

struct kvm_clock_data {
	u64 clock; /* kvmclock's nanoseconds */
	u32 flags;
	u32 pad0;
	u64 realtime; /* nanoseconds since 1970 at the same moment */
	u64 host_tsc;
	u32 pad[4];
};
KVM_ABI_SIZE(kvm_clock_data, 48);
KVM_ABI_AT(kvm_clock_data, flags, 8);
KVM_ABI_AT(kvm_clock_data, realtime, 16);
KVM_ABI_AT(kvm_clock_data, host_tsc, 24);

/* ---- SEV-SNP: Documentation/virt/kvm/x86/amd-memory-encryption.rst ---- */

/* KVM_GET_DEVICE_ATTR on the KVM device: a u64 each; the last only says that it is there. */
#define KVM_X86_GRP_SEV		  1
#define KVM_X86_SEV_VMSA_FEATURES 0
#define KVM_X86_SNP_POLICY_BITS	  1 /* of a policy, those KVM takes */
#define KVM_X86_SEV_SNP_REQ_CERTS 2

/* kvm_sev_cmd.id */
#define KVM_SEV_INIT2		     22
#define KVM_SEV_SNP_LAUNCH_START     100
#define KVM_SEV_SNP_LAUNCH_UPDATE    101
#define KVM_SEV_SNP_LAUNCH_FINISH    102
#define KVM_SEV_SNP_ENABLE_REQ_CERTS 103

struct kvm_sev_cmd {
	u32 id;
	u32 pad0;
	u64 data;   /* of the command's struct, in this process */
	u32 error;  /* out: the firmware's code, when the request failed there */
	u32 sev_fd; /* an open /dev/sev */
};
KVM_ABI_SIZE(kvm_sev_cmd, 24);
KVM_ABI_AT(kvm_sev_cmd, data, 8);
KVM_ABI_AT(kvm_sev_cmd, error, 16);
KVM_ABI_AT(kvm_sev_cmd, sev_fd, 20);

struct kvm_sev_init {
	u64 vmsa_features;
	u32 flags;
	u16 ghcb_version; /* 0: KVM's choice */
	u16 pad1;
	u32 pad2[8];
};
KVM_ABI_SIZE(kvm_sev_init, 48);
KVM_ABI_AT(kvm_sev_init, flags, 8);
KVM_ABI_AT(kvm_sev_init, ghcb_version, 12);
KVM_ABI_AT(kvm_sev_init, pad2, 16);

struct kvm_sev_snp_launch_start {
	u64 policy;
	u8 gosvw[16];
	u16 flags;
	u8 pad0[6];
	u64 pad1[4];
};
KVM_ABI_SIZE(kvm_sev_snp_launch_start, 64);
KVM_ABI_AT(kvm_sev_snp_launch_start, gosvw, 8);
KVM_ABI_AT(kvm_sev_snp_launch_start, flags, 24);
KVM_ABI_AT(kvm_sev_snp_launch_start, pad1, 32);

#define KVM_SEV_SNP_PAGE_TYPE_NORMAL	 0x1
#define KVM_SEV_SNP_PAGE_TYPE_ZERO	 0x3
#define KVM_SEV_SNP_PAGE_TYPE_UNMEASURED 0x4
#define KVM_SEV_SNP_PAGE_TYPE_SECRETS	 0x5
#define KVM_SEV_SNP_PAGE_TYPE_CPUID	 0x6

/* Success may be partial: gfn_start, uaddr and len are then those of what is left. */
struct kvm_sev_snp_launch_update {
	u64 gfn_start;
	u64 uaddr;
	u64 len; /* bytes */
	u8 type;
	u8 pad0;
	u16 flags;
	u32 pad1;
	u64 pad2[4];
};
KVM_ABI_SIZE(kvm_sev_snp_launch_update, 64);
KVM_ABI_AT(kvm_sev_snp_launch_update, uaddr, 8);
KVM_ABI_AT(kvm_sev_snp_launch_update, type, 24);
KVM_ABI_AT(kvm_sev_snp_launch_update, flags, 26);
KVM_ABI_AT(kvm_sev_snp_launch_update, pad2, 32);

#define KVM_SEV_SNP_ID_BLOCK_SIZE    96
#define KVM_SEV_SNP_ID_AUTH_SIZE     4096
#define KVM_SEV_SNP_FINISH_DATA_SIZE 32

struct kvm_sev_snp_launch_finish {
	u64 id_block_uaddr;
	u64 id_auth_uaddr;
	u8 id_block_en;
	u8 auth_key_en;
	u8 vcek_disabled;
	u8 host_data[KVM_SEV_SNP_FINISH_DATA_SIZE];
	u8 pad0[3];
	u16 flags;
	u64 pad1[4];
};
KVM_ABI_SIZE(kvm_sev_snp_launch_finish, 88);
KVM_ABI_AT(kvm_sev_snp_launch_finish, id_auth_uaddr, 8);
KVM_ABI_AT(kvm_sev_snp_launch_finish, id_block_en, 16);
KVM_ABI_AT(kvm_sev_snp_launch_finish, vcek_disabled, 18);
KVM_ABI_AT(kvm_sev_snp_launch_finish, host_data, 19);
KVM_ABI_AT(kvm_sev_snp_launch_finish, flags, 54);
KVM_ABI_AT(kvm_sev_snp_launch_finish, pad1, 56);

/*
 * KVM_EXIT_HYPERCALL, once KVM_CAP_EXIT_HYPERCALL was given 1 << nr (hypercalls.rst): args[] are
 * gpa, number of pages of 4 KiB, attributes. All are the guest's, unchecked.
 */
#define KVM_HC_MAP_GPA_RANGE	    12
#define KVM_MAP_GPA_RANGE_ENCRYPTED (1 << 4)

/* ---- Values of x86 capabilities and fields ---- */

/* argument of KVM_CREATE_VM; KVM_CAP_VM_TYPES answers 1 << type */
#define KVM_X86_DEFAULT_VM	0
#define KVM_X86_SW_PROTECTED_VM 1
#define KVM_X86_SEV_VM		2
#define KVM_X86_SEV_ES_VM	3
#define KVM_X86_SNP_VM		4
#define KVM_X86_TDX_VM		5

/* kvm_run.flags */
#define KVM_RUN_X86_SMM	       (1 << 0)
#define KVM_RUN_X86_BUS_LOCK   (1 << 1)
#define KVM_RUN_X86_GUEST_MODE (1 << 2)

/* KVM_CAP_X86_DISABLE_EXITS, before the first vCPU */
#define KVM_X86_DISABLE_EXITS_MWAIT	 (1 << 0)
#define KVM_X86_DISABLE_EXITS_HLT	 (1 << 1)
#define KVM_X86_DISABLE_EXITS_PAUSE	 (1 << 2)
#define KVM_X86_DISABLE_EXITS_CSTATE	 (1 << 3)
#define KVM_X86_DISABLE_EXITS_APERFMPERF (1 << 4)

/* KVM_CAP_X2APIC_API. The last two: with a split irqchip only, and not both. */
#define KVM_X2APIC_API_USE_32BIT_IDS		  (1ull << 0)
#define KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK	  (1ull << 1)
#define KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST  (1ull << 2)
#define KVM_X2APIC_DISABLE_SUPPRESS_EOI_BROADCAST (1ull << 3)

/* ---- Requests ---- */

/* on the KVM device */
#define KVM_GET_MSR_INDEX_LIST	       KVM_IOC_WR(0x02, struct kvm_msr_list)
#define KVM_GET_SUPPORTED_CPUID	       KVM_IOC_WR(0x05, struct kvm_cpuid2)
#define KVM_GET_EMULATED_CPUID	       KVM_IOC_WR(0x09, struct kvm_cpuid2)
#define KVM_GET_MSR_FEATURE_INDEX_LIST KVM_IOC_WR(0x0a, struct kvm_msr_list)

/* on a VM */
#define KVM_SET_TSS_ADDR	  KVM_IOC_NONE(0x47)
#define KVM_SET_IDENTITY_MAP_ADDR KVM_IOC_W(0x48, u64)
#define KVM_GET_IRQCHIP		  KVM_IOC_WR(0x62, struct kvm_irqchip)
#define KVM_SET_IRQCHIP		  KVM_IOC_R(0x63, struct kvm_irqchip) /* encoded as a read */
#define KVM_CREATE_PIT2		  KVM_IOC_W(0x77, struct kvm_pit_config)
#define KVM_SET_CLOCK		  KVM_IOC_W(0x7b, struct kvm_clock_data)
#define KVM_GET_CLOCK		  KVM_IOC_R(0x7c, struct kvm_clock_data)
#define KVM_GET_PIT2		  KVM_IOC_R(0x9f, struct kvm_pit_state2)
#define KVM_SET_PIT2		  KVM_IOC_W(0xa0, struct kvm_pit_state2)
#define KVM_MEMORY_ENCRYPT_OP	  KVM_IOC_WR(0xba, u64) /* a struct kvm_sev_cmd, despite the size */

/* on a vCPU (the MSR requests: on the KVM device too, for feature MSRs) */
#define KVM_GET_REGS	    KVM_IOC_R(0x81, struct kvm_regs)
#define KVM_SET_REGS	    KVM_IOC_W(0x82, struct kvm_regs)
#define KVM_GET_SREGS	    KVM_IOC_R(0x83, struct kvm_sregs)
#define KVM_SET_SREGS	    KVM_IOC_W(0x84, struct kvm_sregs)
#define KVM_GET_MSRS	    KVM_IOC_WR(0x88, struct kvm_msrs)
#define KVM_SET_MSRS	    KVM_IOC_W(0x89, struct kvm_msrs)
#define KVM_GET_FPU	    KVM_IOC_R(0x8c, struct kvm_fpu)
#define KVM_SET_FPU	    KVM_IOC_W(0x8d, struct kvm_fpu)
#define KVM_GET_LAPIC	    KVM_IOC_R(0x8e, struct kvm_lapic_state)
#define KVM_SET_LAPIC	    KVM_IOC_W(0x8f, struct kvm_lapic_state)
#define KVM_SET_CPUID2	    KVM_IOC_W(0x90, struct kvm_cpuid2)
#define KVM_GET_CPUID2	    KVM_IOC_WR(0x91, struct kvm_cpuid2)
#define KVM_NMI		    KVM_IOC_NONE(0x9a)
#define KVM_GET_VCPU_EVENTS KVM_IOC_R(0x9f, struct kvm_vcpu_events)
#define KVM_SET_VCPU_EVENTS KVM_IOC_W(0xa0, struct kvm_vcpu_events)
#define KVM_GET_DEBUGREGS   KVM_IOC_R(0xa1, struct kvm_debugregs)
#define KVM_SET_DEBUGREGS   KVM_IOC_W(0xa2, struct kvm_debugregs)
#define KVM_SET_TSC_KHZ	    KVM_IOC_NONE(0xa2) /* on a VM too, with KVM_CAP_VM_TSC_CONTROL */
#define KVM_GET_TSC_KHZ	    KVM_IOC_NONE(0xa3)
#define KVM_GET_XSAVE	    KVM_IOC_R(0xa4, struct kvm_xsave)
#define KVM_SET_XSAVE	    KVM_IOC_W(0xa5, struct kvm_xsave)
#define KVM_GET_XCRS	    KVM_IOC_R(0xa6, struct kvm_xcrs)
#define KVM_SET_XCRS	    KVM_IOC_W(0xa7, struct kvm_xcrs)
#define KVM_SMI		    KVM_IOC_NONE(0xb7)
#define KVM_GET_SREGS2	    KVM_IOC_R(0xcc, struct kvm_sregs2)
#define KVM_SET_SREGS2	    KVM_IOC_W(0xcd, struct kvm_sregs2)
#define KVM_GET_XSAVE2	    KVM_IOC_R(0xcf, struct kvm_xsave)
#define KVM_GET_NESTED_STATE KVM_IOC_WR(0xbe, struct kvm_nested_state)
#define KVM_SET_NESTED_STATE KVM_IOC_W(0xbf, struct kvm_nested_state)

#endif
