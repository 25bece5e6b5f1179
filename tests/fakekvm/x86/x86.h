/* x86.h - the x86 half of fakekvm: state behind the requests, shared by the files here. */
#ifndef LKVM_TESTS_FAKEKVM_X86_H
#define LKVM_TESTS_FAKEKVM_X86_H

#include "linux-uapi/x86.h"
#include "tests/fakekvm/internal.h"

#define X86_MAX_CPUID 256 /* entries KVM takes */
#define X86_MAX_MSRS  512 /* registers with a value of their own */

struct x86_vm {
	bool irqchip; /* PIC, I/O APIC and local APICs */
	bool split;   /* local APICs only (KVM_CAP_SPLIT_IRQCHIP) */
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
};

struct x86_vcpu {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	struct kvm_xcrs xcrs;
	struct kvm_xsave xsave;
	u32 mp_state;
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

/* sregs.c: 0 or -EINVAL */
int x86_check_sregs(const struct x86_vcpu *v, const struct kvm_sregs *s);
int x86_check_apic_base(const struct x86_vcpu *v, u64 base);

/* entry.c: what the CPU checks on entry; 0, or the reason of KVM_EXIT_FAIL_ENTRY */
u64 x86_entry_check_vmx(const struct x86_vcpu *v);
u64 x86_entry_check_svm(const struct x86_vcpu *v);

/* x86_host.c */
void x86_init(struct fakekvm *fk);

#endif
