/*
 * linux-uapi/kvm.h - the KVM interface as lkvm uses it: what all architectures share (layer 0).
 *
 * The project's own statement of the ABI, with the names of its documentation, so that code
 * for any guest architecture compiles on any host with any kernel headers. Never included
 * together with <linux/kvm.h>. What the running kernel offers is asked of that kernel.
 * What a request does, when it may be made and how it fails is in
 * Documentation/virt/kvm/api.rst, under the name of the request, of the capability or of the
 * exit. tests/abi compares every constant, struct and member with the kernel's own headers.
 */
#ifndef LKVM_LINUX_UAPI_KVM_H
#define LKVM_LINUX_UAPI_KVM_H

#include <stddef.h>

#include "vmm/base.h"

/* Size, and offset of a member: every struct that crosses into the kernel is pinned by these. */
#define KVM_ABI_SIZE(type, size) \
	_Static_assert(sizeof(struct type) == (size), #type ": size is part of the ABI")
#define KVM_ABI_AT(type, member, off)                          \
	_Static_assert(offsetof(struct type, member) == (off), \
		       #type "." #member ": offset is part of the ABI")

/*
 * Request numbers: direction in bits 31:30, size of the argument in 29:16, KVM's type 0xae in
 * 15:8, number in 7:0. x86, arm64 and LoongArch agree on this; a few others do not.
 * W: the kernel reads the argument; R: it writes it. NONE: an integer or nothing.
 */
#define KVM_IOC(dir, nr, size) ((u32)(dir) << 30 | (u32)(size) << 16 | (u32)0xae << 8 | (u32)(nr))
#define KVM_IOC_NONE(nr)       KVM_IOC(0, nr, 0)
#define KVM_IOC_W(nr, type)    KVM_IOC(1, nr, sizeof(type))
#define KVM_IOC_R(nr, type)    KVM_IOC(2, nr, sizeof(type))
#define KVM_IOC_WR(nr, type)   KVM_IOC(3, nr, sizeof(type))

#define KVM_API_VERSION 12

/* ---- Guest memory ---- */

#define KVM_MEM_LOG_DIRTY_PAGES (1u << 0)
#define KVM_MEM_READONLY	(1u << 1) /* guest writes exit as KVM_EXIT_MMIO */
#define KVM_MEM_GUEST_MEMFD	(1u << 2) /* region2 only */

/* memory_size 0 deletes the slot. Bits 31:16 of slot choose the address space. */
struct kvm_userspace_memory_region {
	u32 slot;
	u32 flags;
	u64 guest_phys_addr;
	u64 memory_size; /* bytes */
	u64 userspace_addr;
};
KVM_ABI_SIZE(kvm_userspace_memory_region, 32);
KVM_ABI_AT(kvm_userspace_memory_region, guest_phys_addr, 8);
KVM_ABI_AT(kvm_userspace_memory_region, userspace_addr, 24);

struct kvm_userspace_memory_region2 {
	u32 slot;
	u32 flags;
	u64 guest_phys_addr;
	u64 memory_size;
	u64 userspace_addr;
	u64 guest_memfd_offset;
	u32 guest_memfd;
	u32 pad1;
	u64 pad2[14];
};
KVM_ABI_SIZE(kvm_userspace_memory_region2, 160);
KVM_ABI_AT(kvm_userspace_memory_region2, guest_memfd_offset, 32);
KVM_ABI_AT(kvm_userspace_memory_region2, guest_memfd, 40);

#define GUEST_MEMFD_FLAG_MMAP	     (1u << 0)
#define GUEST_MEMFD_FLAG_INIT_SHARED (1u << 1) /* the host may touch what it maps */

struct kvm_create_guest_memfd {
	u64 size; /* bytes */
	u64 flags;
	u64 reserved[6];
};
KVM_ABI_SIZE(kvm_create_guest_memfd, 64);
KVM_ABI_AT(kvm_create_guest_memfd, flags, 8);

#define KVM_MEMORY_ATTRIBUTE_PRIVATE (1u << 3)

struct kvm_memory_attributes {
	u64 address;
	u64 size;
	u64 attributes; /* all that the range has from now on */
	u64 flags;	/* 0 */
};
KVM_ABI_SIZE(kvm_memory_attributes, 32);
KVM_ABI_AT(kvm_memory_attributes, attributes, 16);

/* ---- Interrupt lines, eventfds, MSIs and their routing ---- */

struct kvm_irq_level {
	union {
		u32 irq; /* a GSI; arm64 encodes type, vCPU and number */
		s32 status;
	};
	u32 level;
};
KVM_ABI_SIZE(kvm_irq_level, 8);
KVM_ABI_AT(kvm_irq_level, level, 4);

#define KVM_IRQFD_FLAG_DEASSIGN (1u << 0)
#define KVM_IRQFD_FLAG_RESAMPLE (1u << 1)

struct kvm_irqfd {
	u32 fd;
	u32 gsi;
	u32 flags;
	u32 resamplefd; /* signalled when the guest acknowledges; with KVM_IRQFD_FLAG_RESAMPLE */
	u8 pad[16];
};
KVM_ABI_SIZE(kvm_irqfd, 32);
KVM_ABI_AT(kvm_irqfd, resamplefd, 12);

#define KVM_IOEVENTFD_FLAG_DATAMATCH (1u << 0)
#define KVM_IOEVENTFD_FLAG_PIO	     (1u << 1)
#define KVM_IOEVENTFD_FLAG_DEASSIGN  (1u << 2)

/* Deassigning wants the same addr, len, fd, flags and datamatch as assigning did. */
struct kvm_ioeventfd {
	u64 datamatch;
	u64 addr;
	u32 len; /* 1, 2, 4 or 8; 0: a write of any size */
	s32 fd;
	u32 flags;
	u8 pad[36];
};
KVM_ABI_SIZE(kvm_ioeventfd, 64);
KVM_ABI_AT(kvm_ioeventfd, addr, 8);
KVM_ABI_AT(kvm_ioeventfd, len, 16);
KVM_ABI_AT(kvm_ioeventfd, fd, 20);
KVM_ABI_AT(kvm_ioeventfd, flags, 24);

#define KVM_MSI_VALID_DEVID (1u << 0) /* in kvm_msi.flags and in the flags of a routing entry */

struct kvm_msi {
	u32 address_lo;
	u32 address_hi;
	u32 data;
	u32 flags;
	u32 devid;
	u8 pad[12];
};
KVM_ABI_SIZE(kvm_msi, 32);
KVM_ABI_AT(kvm_msi, flags, 12);
KVM_ABI_AT(kvm_msi, devid, 16);

#define KVM_IRQ_ROUTING_IRQCHIP 1
#define KVM_IRQ_ROUTING_MSI	2

struct kvm_irq_routing_irqchip {
	u32 irqchip;
	u32 pin;
};
KVM_ABI_SIZE(kvm_irq_routing_irqchip, 8);

struct kvm_irq_routing_msi {
	u32 address_lo;
	u32 address_hi;
	u32 data;
	union {
		u32 pad;
		u32 devid;
	};
};
KVM_ABI_SIZE(kvm_irq_routing_msi, 16);
KVM_ABI_AT(kvm_irq_routing_msi, devid, 12);

struct kvm_irq_routing_entry {
	u32 gsi;
	u32 type;
	u32 flags;
	u32 pad;
	union {
		struct kvm_irq_routing_irqchip irqchip;
		struct kvm_irq_routing_msi msi;
		u32 pad[8];
	} u;
};
KVM_ABI_SIZE(kvm_irq_routing_entry, 48);
KVM_ABI_AT(kvm_irq_routing_entry, u, 16);

/* Replaces the whole table at once. */
struct kvm_irq_routing {
	u32 nr;
	u32 flags;
	struct kvm_irq_routing_entry entries[];
};
KVM_ABI_SIZE(kvm_irq_routing, 8);
KVM_ABI_AT(kvm_irq_routing, entries, 8);

/* ---- Devices KVM emulates, and attributes of the VM and vCPU descriptors ---- */

#define KVM_CREATE_DEVICE_TEST (1u << 0) /* only ask whether the type exists */

struct kvm_create_device {
	u32 type;
	u32 fd; /* out */
	u32 flags;
};
KVM_ABI_SIZE(kvm_create_device, 12);
KVM_ABI_AT(kvm_create_device, fd, 4);

struct kvm_device_attr {
	u32 flags;
	u32 group;
	u64 attr;
	u64 addr; /* of the value, in this process */
};
KVM_ABI_SIZE(kvm_device_attr, 24);
KVM_ABI_AT(kvm_device_attr, group, 4);
KVM_ABI_AT(kvm_device_attr, attr, 8);
KVM_ABI_AT(kvm_device_attr, addr, 16);

/* ---- vCPU state every architecture has ---- */

/* Most of these are x86's; arm64 knows RUNNABLE, STOPPED and SUSPENDED. */
#define KVM_MP_STATE_RUNNABLE	   0
#define KVM_MP_STATE_UNINITIALIZED 1
#define KVM_MP_STATE_INIT_RECEIVED 2
#define KVM_MP_STATE_HALTED	   3
#define KVM_MP_STATE_SIPI_RECEIVED 4
#define KVM_MP_STATE_STOPPED	   5
#define KVM_MP_STATE_AP_RESET_HOLD 9
#define KVM_MP_STATE_SUSPENDED	   10

struct kvm_mp_state {
	u32 mp_state;
};
KVM_ABI_SIZE(kvm_mp_state, 4);

/* len is that of the kernel's signal set (8), not of the C library's. */
struct kvm_signal_mask {
	u32 len;
	u8 sigset[];
};
KVM_ABI_SIZE(kvm_signal_mask, 4);
KVM_ABI_AT(kvm_signal_mask, sigset, 4);

struct kvm_one_reg {
	u64 id;
	u64 addr; /* of the value, in this process; its size is in the id */
};
KVM_ABI_SIZE(kvm_one_reg, 16);
KVM_ABI_AT(kvm_one_reg, addr, 8);

/* In the id of a register: the logarithm of its size in bytes. */
#define KVM_REG_SIZE_SHIFT 52
#define KVM_REG_SIZE_MASK  0x00f0000000000000ull
#define KVM_REG_SIZE_U8	   0x0000000000000000ull
#define KVM_REG_SIZE_U16   0x0010000000000000ull
#define KVM_REG_SIZE_U32   0x0020000000000000ull
#define KVM_REG_SIZE_U64   0x0030000000000000ull
#define KVM_REG_SIZE_U128  0x0040000000000000ull
#define KVM_REG_SIZE_U256  0x0050000000000000ull
#define KVM_REG_SIZE_U512  0x0060000000000000ull
#define KVM_REG_SIZE_U1024 0x0070000000000000ull
#define KVM_REG_SIZE_U2048 0x0080000000000000ull

/* E2BIG writes the needed n. */
struct kvm_reg_list {
	u64 n;
	u64 reg[];
};
KVM_ABI_SIZE(kvm_reg_list, 8);
KVM_ABI_AT(kvm_reg_list, reg, 8);

struct kvm_enable_cap {
	u32 cap;
	u32 flags;
	u64 args[4];
	u8 pad[64];
};
KVM_ABI_SIZE(kvm_enable_cap, 104);
KVM_ABI_AT(kvm_enable_cap, args, 8);

/* ---- Statistics: a file of header, id, descriptors and u64 values ---- */

#define KVM_STATS_TYPE_SHIFT	   0
#define KVM_STATS_TYPE_MASK	   (0xfu << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_CUMULATIVE  (0u << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_INSTANT	   (1u << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_PEAK	   (2u << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_LINEAR_HIST (3u << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_LOG_HIST	   (4u << KVM_STATS_TYPE_SHIFT)

#define KVM_STATS_UNIT_SHIFT   4
#define KVM_STATS_UNIT_MASK    (0xfu << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_NONE    (0u << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_BYTES   (1u << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_SECONDS (2u << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_CYCLES  (3u << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_BOOLEAN (4u << KVM_STATS_UNIT_SHIFT)

#define KVM_STATS_BASE_SHIFT 8
#define KVM_STATS_BASE_MASK  (0xfu << KVM_STATS_BASE_SHIFT)
#define KVM_STATS_BASE_POW10 (0u << KVM_STATS_BASE_SHIFT)
#define KVM_STATS_BASE_POW2  (1u << KVM_STATS_BASE_SHIFT)

/* Offsets are from the start of the file; the three blocks may come in any order. */
struct kvm_stats_header {
	u32 flags;
	u32 name_size; /* bytes of each name, with its NUL padding */
	u32 num_desc;
	u32 id_offset;
	u32 desc_offset;
	u32 data_offset;
};
KVM_ABI_SIZE(kvm_stats_header, 24);
KVM_ABI_AT(kvm_stats_header, num_desc, 8);
KVM_ABI_AT(kvm_stats_header, data_offset, 20);

/* One descriptor is sizeof(struct kvm_stats_desc) + kvm_stats_header.name_size bytes. */
struct kvm_stats_desc {
	u32 flags;
	int16_t exponent;
	u16 size;   /* in values of 8 bytes */
	u32 offset; /* from data_offset */
	u32 bucket_size;
	char name[];
};
KVM_ABI_SIZE(kvm_stats_desc, 16);
KVM_ABI_AT(kvm_stats_desc, exponent, 4);
KVM_ABI_AT(kvm_stats_desc, size, 6);
KVM_ABI_AT(kvm_stats_desc, offset, 8);
KVM_ABI_AT(kvm_stats_desc, name, 16);

/* ---- Exits of KVM_RUN ---- */

#define KVM_EXIT_UNKNOWN	 0
#define KVM_EXIT_EXCEPTION	 1
#define KVM_EXIT_IO		 2
#define KVM_EXIT_HYPERCALL	 3
#define KVM_EXIT_DEBUG		 4
#define KVM_EXIT_HLT		 5
#define KVM_EXIT_MMIO		 6
#define KVM_EXIT_IRQ_WINDOW_OPEN 7
#define KVM_EXIT_SHUTDOWN	 8
#define KVM_EXIT_FAIL_ENTRY	 9
#define KVM_EXIT_INTR		 10
#define KVM_EXIT_SET_TPR	 11
#define KVM_EXIT_TPR_ACCESS	 12
#define KVM_EXIT_S390_SIEIC	 13
#define KVM_EXIT_S390_RESET	 14
#define KVM_EXIT_DCR		 15
#define KVM_EXIT_NMI		 16
#define KVM_EXIT_INTERNAL_ERROR	 17
#define KVM_EXIT_OSI		 18
#define KVM_EXIT_PAPR_HCALL	 19
#define KVM_EXIT_S390_UCONTROL	 20
#define KVM_EXIT_WATCHDOG	 21
#define KVM_EXIT_S390_TSCH	 22
#define KVM_EXIT_EPR		 23
#define KVM_EXIT_SYSTEM_EVENT	 24
#define KVM_EXIT_S390_STSI	 25
#define KVM_EXIT_IOAPIC_EOI	 26
#define KVM_EXIT_HYPERV		 27
#define KVM_EXIT_ARM_NISV	 28
#define KVM_EXIT_X86_RDMSR	 29
#define KVM_EXIT_X86_WRMSR	 30
#define KVM_EXIT_DIRTY_RING_FULL 31
#define KVM_EXIT_AP_RESET_HOLD	 32
#define KVM_EXIT_X86_BUS_LOCK	 33
#define KVM_EXIT_XEN		 34
#define KVM_EXIT_RISCV_SBI	 35
#define KVM_EXIT_RISCV_CSR	 36
#define KVM_EXIT_NOTIFY		 37
#define KVM_EXIT_LOONGARCH_IOCSR 38
#define KVM_EXIT_MEMORY_FAULT	 39
#define KVM_EXIT_TDX		 40
#define KVM_EXIT_ARM_SEA	 41
#define KVM_EXIT_ARM_LDST64B	 42
#define KVM_EXIT_SNP_REQ_CERTS	 43

#define KVM_EXIT_IO_IN	0
#define KVM_EXIT_IO_OUT 1

#define KVM_INTERNAL_ERROR_EMULATION		  1
#define KVM_INTERNAL_ERROR_SIMUL_EX		  2
#define KVM_INTERNAL_ERROR_DELIVERY_EV		  3
#define KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON 4

/* insn_size and insn_bytes are valid */
#define KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES (1ull << 0)

#define KVM_SYSTEM_EVENT_SHUTDOWN  1
#define KVM_SYSTEM_EVENT_RESET	   2
#define KVM_SYSTEM_EVENT_CRASH	   3
#define KVM_SYSTEM_EVENT_WAKEUP	   4
#define KVM_SYSTEM_EVENT_SUSPEND   5
#define KVM_SYSTEM_EVENT_SEV_TERM  6
#define KVM_SYSTEM_EVENT_TDX_FATAL 7

#define KVM_MEMORY_EXIT_FLAG_PRIVATE (1ull << 3)
#define KVM_NOTIFY_CONTEXT_INVALID   (1u << 0)

#define KVM_MSR_EXIT_REASON_INVAL   (1u << 0)
#define KVM_MSR_EXIT_REASON_UNKNOWN (1u << 1)
#define KVM_MSR_EXIT_REASON_FILTER  (1u << 2)

/*
 * The head of the KVM_GET_VCPU_MMAP_SIZE bytes mapped from a vCPU; between two KVM_RUN it
 * belongs to the thread that runs the vCPU, but for immediate_exit, which any thread may set.
 * Counts, sizes and offsets in it are KVM's and within bounds; addresses and data are the
 * guest's. What an exit has answered is taken over by the next KVM_RUN.
 */
struct kvm_run {
	u8 request_interrupt_window;
	u8 immediate_exit;
	u8 padding1[6];

	u32 exit_reason;
	u8 ready_for_interrupt_injection;
	u8 if_flag;
	u16 flags;

	u64 cr8;
	u64 apic_base;

	/* Chosen by exit_reason. */
	union {
		/* KVM_EXIT_UNKNOWN */
		struct {
			u64 hardware_exit_reason;
		} hw;
		/* KVM_EXIT_FAIL_ENTRY */
		struct {
			u64 hardware_entry_failure_reason;
			u32 cpu;
		} fail_entry;
		/* KVM_EXIT_EXCEPTION */
		struct {
			u32 exception;
			u32 error_code;
		} ex;
		/* KVM_EXIT_IO: count items of size bytes, data_offset from the start of kvm_run */
		struct {
			u8 direction;
			u8 size;
			u16 port;
			u32 count;
			u64 data_offset;
		} io;
		/* KVM_EXIT_MMIO: len <= 8; data is answered when !is_write */
		struct {
			u64 phys_addr;
			u8 data[8];
			u32 len;
			u8 is_write;
		} mmio;
		/* KVM_EXIT_LOONGARCH_IOCSR: like mmio */
		struct {
			u64 phys_addr;
			u8 data[8];
			u32 len;
			u8 is_write;
		} iocsr_io;
		/* KVM_EXIT_HYPERCALL: ret is answered */
		struct {
			u64 nr;
			u64 args[6];
			u64 ret;
			u64 flags;
		} hypercall;
		/* KVM_EXIT_TPR_ACCESS */
		struct {
			u64 rip;
			u32 is_write;
			u32 pad;
		} tpr_access;
		/* KVM_EXIT_INTERNAL_ERROR */
		struct {
			u32 suberror;
			u32 ndata; /* <= 16 */
			u64 data[16];
		} internal;
		/* KVM_INTERNAL_ERROR_EMULATION, the same bytes: flags is there when ndata >= 1 */
		struct {
			u32 suberror;
			u32 ndata;
			u64 flags;
			u8 insn_size;
			u8 insn_bytes[15];
		} emulation_failure;
		/* KVM_EXIT_SYSTEM_EVENT */
		struct {
			u32 type;
			u32 ndata; /* <= 16 */
			u64 data[16];
		} system_event;
		/* KVM_EXIT_IOAPIC_EOI */
		struct {
			u8 vector;
		} eoi;
		/* KVM_EXIT_X86_RDMSR, KVM_EXIT_X86_WRMSR: data and error are answered */
		struct {
			u8 error; /* non-zero: #GP */
			u8 pad[7];
			u32 reason;
			u32 index;
			u64 data;
		} msr;
		/* KVM_EXIT_NOTIFY */
		struct {
			u32 flags;
		} notify;
		/* KVM_EXIT_ARM_NISV */
		struct {
			u64 esr_iss;
			u64 fault_ipa;
		} arm_nisv;
		/* KVM_EXIT_MEMORY_FAULT; KVM_RUN fails with EFAULT or EHWPOISON */
		struct {
			u64 flags;
			u64 gpa;
			u64 size;
		} memory_fault;
		/* KVM_EXIT_SNP_REQ_CERTS: ret (an errno) is answered, and npages with ENOSPC */
		struct {
			u64 gpa;
			u64 npages; /* of 4 KiB: the guest's, unchecked */
			u64 ret;
		} snp_req_certs;
		u8 padding[256];
	};

	u64 kvm_valid_regs;
	u64 kvm_dirty_regs;
	/* The architecture's struct kvm_sync_regs, when asked for. */
	union {
		u8 padding[2048];
	} s;
};
KVM_ABI_SIZE(kvm_run, 2352);
KVM_ABI_AT(kvm_run, immediate_exit, 1);
KVM_ABI_AT(kvm_run, exit_reason, 8);
KVM_ABI_AT(kvm_run, ready_for_interrupt_injection, 12);
KVM_ABI_AT(kvm_run, if_flag, 13);
KVM_ABI_AT(kvm_run, flags, 14);
KVM_ABI_AT(kvm_run, cr8, 16);
KVM_ABI_AT(kvm_run, apic_base, 24);
KVM_ABI_AT(kvm_run, hw, 32);
KVM_ABI_AT(kvm_run, padding, 32);
KVM_ABI_AT(kvm_run, fail_entry.cpu, 40);
KVM_ABI_AT(kvm_run, io.port, 34);
KVM_ABI_AT(kvm_run, io.count, 36);
KVM_ABI_AT(kvm_run, io.data_offset, 40);
KVM_ABI_AT(kvm_run, mmio.data, 40);
KVM_ABI_AT(kvm_run, mmio.len, 48);
KVM_ABI_AT(kvm_run, mmio.is_write, 52);
KVM_ABI_AT(kvm_run, hypercall.args, 40);
KVM_ABI_AT(kvm_run, hypercall.ret, 88);
KVM_ABI_AT(kvm_run, internal.data, 40);
KVM_ABI_AT(kvm_run, emulation_failure.insn_size, 48);
KVM_ABI_AT(kvm_run, emulation_failure.insn_bytes, 49);
KVM_ABI_AT(kvm_run, system_event.data, 40);
KVM_ABI_AT(kvm_run, msr.reason, 40);
KVM_ABI_AT(kvm_run, msr.index, 44);
KVM_ABI_AT(kvm_run, msr.data, 48);
KVM_ABI_AT(kvm_run, arm_nisv.fault_ipa, 40);
KVM_ABI_AT(kvm_run, memory_fault.size, 48);
KVM_ABI_AT(kvm_run, snp_req_certs.npages, 40);
KVM_ABI_AT(kvm_run, snp_req_certs.ret, 48);
KVM_ABI_AT(kvm_run, kvm_valid_regs, 288);
KVM_ABI_AT(kvm_run, s, 304);

/* ---- Capabilities: the argument of KVM_CHECK_EXTENSION ---- */

#define KVM_CAP_IRQCHIP			    0
#define KVM_CAP_HLT			    1
#define KVM_CAP_USER_MEMORY		    3
#define KVM_CAP_SET_TSS_ADDR		    4
#define KVM_CAP_EXT_CPUID		    7
#define KVM_CAP_CLOCKSOURCE		    8
#define KVM_CAP_NR_VCPUS		    9
#define KVM_CAP_NR_MEMSLOTS		    10
#define KVM_CAP_PIT			    11
#define KVM_CAP_NOP_IO_DELAY		    12
#define KVM_CAP_MP_STATE		    14
#define KVM_CAP_SYNC_MMU		    16
#define KVM_CAP_DESTROY_MEMORY_REGION_WORKS 21
#define KVM_CAP_USER_NMI		    22
#define KVM_CAP_SET_GUEST_DEBUG		    23
#define KVM_CAP_IRQ_ROUTING		    25
#define KVM_CAP_IRQ_INJECT_STATUS	    26
#define KVM_CAP_JOIN_MEMORY_REGIONS_WORKS   30
#define KVM_CAP_MCE			    31
#define KVM_CAP_IRQFD			    32
#define KVM_CAP_PIT2			    33
#define KVM_CAP_SET_BOOT_CPU_ID		    34
#define KVM_CAP_PIT_STATE2		    35
#define KVM_CAP_IOEVENTFD		    36
#define KVM_CAP_SET_IDENTITY_MAP_ADDR	    37
#define KVM_CAP_ADJUST_CLOCK		    39
#define KVM_CAP_INTERNAL_ERROR_DATA	    40
#define KVM_CAP_VCPU_EVENTS		    41
#define KVM_CAP_INTR_SHADOW		    49
#define KVM_CAP_DEBUGREGS		    50
#define KVM_CAP_ENABLE_CAP		    54
#define KVM_CAP_XSAVE			    55
#define KVM_CAP_XCRS			    56
#define KVM_CAP_TSC_CONTROL		    60
#define KVM_CAP_GET_TSC_KHZ		    61
#define KVM_CAP_MAX_VCPUS		    66
#define KVM_CAP_ONE_REG			    70
#define KVM_CAP_TSC_DEADLINE_TIMER	    72
#define KVM_CAP_SYNC_REGS		    74
#define KVM_CAP_KVMCLOCK_CTRL		    76
#define KVM_CAP_SIGNAL_MSI		    77
#define KVM_CAP_READONLY_MEM		    81
#define KVM_CAP_IRQFD_RESAMPLE		    82
#define KVM_CAP_DEVICE_CTRL		    89
#define KVM_CAP_EXT_EMUL_CPUID		    95
#define KVM_CAP_ENABLE_CAP_VM		    98
#define KVM_CAP_IOEVENTFD_NO_LENGTH	    100
#define KVM_CAP_VM_ATTRIBUTES		    101
#define KVM_CAP_CHECK_EXTENSION_VM	    105
#define KVM_CAP_DISABLE_QUIRKS		    116
#define KVM_CAP_X86_SMM			    117
#define KVM_CAP_SPLIT_IRQCHIP		    121
#define KVM_CAP_IOEVENTFD_ANY_LENGTH	    122
#define KVM_CAP_VCPU_ATTRIBUTES		    127
#define KVM_CAP_MAX_VCPU_ID		    128
#define KVM_CAP_X2APIC_API		    129
#define KVM_CAP_MSI_DEVID		    131
#define KVM_CAP_IMMEDIATE_EXIT		    136
#define KVM_CAP_X86_DISABLE_EXITS	    143
#define KVM_CAP_GET_MSR_FEATURES	    153
#define KVM_CAP_NESTED_STATE		    157
#define KVM_CAP_EXCEPTION_PAYLOAD	    164
#define KVM_CAP_PMU_EVENT_FILTER	    173
#define KVM_CAP_HALT_POLL		    182
#define KVM_CAP_X86_USER_SPACE_MSR	    188
#define KVM_CAP_X86_MSR_FILTER		    189
#define KVM_CAP_ENFORCE_PV_FEATURE_CPUID    190
#define KVM_CAP_DIRTY_LOG_RING		    192
#define KVM_CAP_X86_BUS_LOCK_EXIT	    193
#define KVM_CAP_SREGS2			    200
#define KVM_CAP_EXIT_HYPERCALL		    201
#define KVM_CAP_BINARY_STATS_FD		    203
#define KVM_CAP_EXIT_ON_EMULATION_FAILURE   204
#define KVM_CAP_VM_GPA_BITS		    207
#define KVM_CAP_XSAVE2			    208
#define KVM_CAP_SYS_ATTRIBUTES		    209
#define KVM_CAP_PMU_CAPABILITY		    212
#define KVM_CAP_DISABLE_QUIRKS2		    213
#define KVM_CAP_VM_TSC_CONTROL		    214
#define KVM_CAP_SYSTEM_EVENT_DATA	    215
#define KVM_CAP_X86_TRIPLE_FAULT_EVENT	    218
#define KVM_CAP_X86_NOTIFY_VMEXIT	    219
#define KVM_CAP_USER_MEMORY2		    231
#define KVM_CAP_MEMORY_FAULT_INFO	    232
#define KVM_CAP_MEMORY_ATTRIBUTES	    233
#define KVM_CAP_GUEST_MEMFD		    234
#define KVM_CAP_VM_TYPES		    235
#define KVM_CAP_PRE_FAULT_MEMORY	    236
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS	    237
#define KVM_CAP_X86_GUEST_MODE		    238
#define KVM_CAP_GUEST_MEMFD_FLAGS	    244 /* which GUEST_MEMFD_FLAG_* */

/* ---- Requests ---- */

/* on the KVM device */
#define KVM_GET_API_VERSION    KVM_IOC_NONE(0x00)
#define KVM_CREATE_VM	       KVM_IOC_NONE(0x01)
#define KVM_CHECK_EXTENSION    KVM_IOC_NONE(0x03) /* on a VM too: what that VM has */
#define KVM_GET_VCPU_MMAP_SIZE KVM_IOC_NONE(0x04)

/* on a VM */
#define KVM_CREATE_VCPU		    KVM_IOC_NONE(0x41)
#define KVM_SET_USER_MEMORY_REGION  KVM_IOC_W(0x46, struct kvm_userspace_memory_region)
#define KVM_SET_USER_MEMORY_REGION2 KVM_IOC_W(0x49, struct kvm_userspace_memory_region2)
#define KVM_CREATE_IRQCHIP	    KVM_IOC_NONE(0x60)
#define KVM_IRQ_LINE		    KVM_IOC_W(0x61, struct kvm_irq_level)
#define KVM_IRQ_LINE_STATUS	    KVM_IOC_WR(0x67, struct kvm_irq_level)
#define KVM_SET_GSI_ROUTING	    KVM_IOC_W(0x6a, struct kvm_irq_routing)
#define KVM_IRQFD		    KVM_IOC_W(0x76, struct kvm_irqfd)
#define KVM_SET_BOOT_CPU_ID	    KVM_IOC_NONE(0x78)
#define KVM_IOEVENTFD		    KVM_IOC_W(0x79, struct kvm_ioeventfd)
#define KVM_SIGNAL_MSI		    KVM_IOC_W(0xa5, struct kvm_msi)
#define KVM_CREATE_DEVICE	    KVM_IOC_WR(0xe0, struct kvm_create_device)
#define KVM_SET_MEMORY_ATTRIBUTES   KVM_IOC_W(0xd2, struct kvm_memory_attributes)
#define KVM_CREATE_GUEST_MEMFD	    KVM_IOC_WR(0xd4, struct kvm_create_guest_memfd)

/* on a vCPU; registers and other state of an architecture are in its own header */
#define KVM_RUN		    KVM_IOC_NONE(0x80)
#define KVM_SET_SIGNAL_MASK KVM_IOC_W(0x8b, struct kvm_signal_mask)
#define KVM_GET_MP_STATE    KVM_IOC_R(0x98, struct kvm_mp_state)
#define KVM_SET_MP_STATE    KVM_IOC_W(0x99, struct kvm_mp_state)
#define KVM_GET_ONE_REG	    KVM_IOC_W(0xab, struct kvm_one_reg)
#define KVM_SET_ONE_REG	    KVM_IOC_W(0xac, struct kvm_one_reg)
#define KVM_KVMCLOCK_CTRL   KVM_IOC_NONE(0xad)
#define KVM_GET_REG_LIST    KVM_IOC_WR(0xb0, struct kvm_reg_list)

/* on a VM or a vCPU; the attribute requests also on a created device and on the KVM device */
#define KVM_ENABLE_CAP	    KVM_IOC_W(0xa3, struct kvm_enable_cap)
#define KVM_GET_STATS_FD    KVM_IOC_NONE(0xce)
#define KVM_SET_DEVICE_ATTR KVM_IOC_W(0xe1, struct kvm_device_attr)
#define KVM_GET_DEVICE_ATTR KVM_IOC_W(0xe2, struct kvm_device_attr)
#define KVM_HAS_DEVICE_ATTR KVM_IOC_W(0xe3, struct kvm_device_attr)

#endif
