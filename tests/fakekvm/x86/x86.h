/* x86.h - the x86 half of fakekvm: state behind the requests, shared by the files here. */
#ifndef LKVM_TESTS_FAKEKVM_X86_H
#define LKVM_TESTS_FAKEKVM_X86_H

#include "linux-uapi/x86.h"
#include "tests/fakekvm/internal.h"

#define X86_MAX_CPUID 256 /* entries KVM takes */
#define X86_MAX_MSRS  512 /* registers with a value of their own */
#define X86_MAX_XSAVE 16384
#define X86_MAX_NESTED (sizeof(struct kvm_nested_state) + 2 * KVM_STATE_NESTED_VMX_VMCS_SIZE)

/* What an SNP guest has been through. */
struct x86_snp {
	bool is_snp; /* the VM's type */
	bool inited, started, finished, req_certs;
	u64 policy;
	u64 hypercalls; /* KVM_CAP_EXIT_HYPERCALL */
};

/* What setters change. */
struct x86_snp_host {
	u64 attrs; /* BIT() of each of KVM_X86_GRP_SEV's */
	u64 policy_bits;
	u64 partial; /* bytes of an update done at a time; 0: all */
	u32 fail_id; /* of the command; from the nth on, n of them */
	unsigned int fail_nth, fail_n;
	int fail_code;
	u32 fail_fw;
	u32 cpuid_leaf, cpuid_bits; /* of EBX: the firmware does not allow them */
	bool cpuid_again;	    /* nor the page it corrected itself */
	int report_abi; /* version of the posted series: 4, 7; 0: none */
	u32 report_status, report_len;
	u8 report[FAKEKVM_SNP_MAX_REPORT];
};

struct x86_host {
	struct x86_snp_host snp;
};

struct x86_vm {
	struct x86_snp snp;
	bool irqchip; /* PIC, I/O APIC and local APICs */
	bool split;   /* local APICs only (KVM_CAP_SPLIT_IRQCHIP) */
	u64 x2apic;   /* KVM_X2APIC_*, as they were enabled */
	bool pit;
	u32 pit_flags;
	struct kvm_pit_state2 pit_state;
	struct kvm_irqchip chips[3];
	bool tss_set;
	u64 tss;
	u64 identity_map;
	u32 boot_cpu;
	u32 max_vcpu_id; /* 0: not limited */
	u64 tsc_khz;	 /* 0: the host's */
	u64 clock;
};

struct x86_vcpu {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	struct kvm_xcrs xcrs;
	u8 xsave[X86_MAX_XSAVE];
	u64 ssp;
	u32 mp_state;
	/* nested.c; size 0: no guest of its own, ever */
	union {
		struct kvm_nested_state nested;
		u8 nested_bytes[X86_MAX_NESTED];
	};
	/* What came since KVM_SET_SREGS, for complaints about the order. */
	bool cet_set, lapic_set, events_set;
	bool init_waits; /* KVM_SET_VCPU_EVENTS brought an INIT */
	u64 tsc_khz;
	u32 n_cpuid;
	struct kvm_cpuid_entry2 cpuid[X86_MAX_CPUID];
	u64 msrs[X86_MAX_MSRS]; /* in the order of x86_msr_slot() */
};

static inline struct x86_vm *x86_vm(const struct fake_vm *vm)
{
	return vm->arch;
}

static inline struct x86_vcpu *x86_vcpu(const struct fake_vcpu *vcpu)
{
	return vcpu->arch;
}

extern const struct fake_request x86_vcpu_requests[];

void x86_take_cpuid(struct fakekvm *fk, const struct kvm_cpuid_entry2 *entries, u32 n);

/* x86_vcpu.c */
void x86_vcpu_reset(struct fakekvm *fk, struct fake_vcpu *vcpu);
const struct kvm_cpuid_entry2 *x86_cpuid(const struct x86_vcpu *v, u32 function, u32 index);

/* msr.c: requests, and where a register lives; -1: KVM does not know it. */
int x86_msr_slot(u32 index);
int x86_get_msrs(struct fake_call *c);
int x86_set_msrs(struct fake_call *c);
int x86_get_feature_msrs(struct fake_call *c);
int x86_get_msr_list(struct fake_call *c);
int x86_get_msr_feature_list(struct fake_call *c);
bool x86_kvmclock_on(const struct x86_vcpu *v);
void x86_msr_reset(struct x86_vcpu *v);
bool x86_get_msr(const struct fake_call *c, u32 index, u64 *val); /* false: refused */
bool x86_set_msr(const struct fake_call *c, u32 index, u64 val);
bool x86_has_shstk(const struct x86_vcpu *v); /* in its CPUID */
bool x86_is_ssp(u64 val);		      /* where a shadow stack can be */

/* nested.c */
int x86_get_nested(struct fake_call *c);
int x86_set_nested(struct fake_call *c);
bool x86_vmx_on(const struct x86_vcpu *v);
bool x86_is_amd(const struct x86_vcpu *v); /* AMD's CPUID, or Hygon's */

/* sregs.c: 0 or -EINVAL */
int x86_check_sregs(const struct x86_vcpu *v, const struct kvm_sregs *s);
int x86_check_apic_base(const struct x86_vcpu *v, u64 base);

/* entry.c: what the CPU checks on entry; 0, or the reason of KVM_EXIT_FAIL_ENTRY */
u64 x86_entry_check_vmx(const struct x86_vcpu *v);
u64 x86_entry_check_svm(const struct x86_vcpu *v);

/* snp.c */
void x86_snp_init(struct fakekvm *fk);
void x86_snp_create_vm(struct fakekvm *fk, struct fake_vm *vm, unsigned long type);
int x86_snp_get_attr(struct fake_call *c);
int x86_snp_has_attr(struct fake_call *c);
int x86_snp_memory_encrypt_op(struct fake_call *c);
int x86_snp_enable_hypercalls(struct fake_call *c, u64 mask);
int x86_snp_run_first(struct fake_call *c);
int x86_snp_run_check(struct fake_call *c);
bool x86_snp_sealed(const struct fake_vm *vm); /* registers are the guest's own: EINVAL */

/* snp_report.c: the posted KVM_SEV_SNP_HV_REPORT_REQ, of either number; EINVAL for any other id */
int x86_snp_hv_report(struct fake_call *c, struct kvm_sev_cmd *cmd);

/* x86_host.c */
void x86_init(struct fakekvm *fk);

#endif
