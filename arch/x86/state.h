/*
 * state.h - all there is to know of a vCPU, and of what all of them share; arch/x86 only.
 *
 * What comes out of one machine goes into another that was made from the same config and whose
 * vCPUs have not run (or show the same CPUID: KVM fixes that at the first KVM_RUN). In this order:
 *
 *	get: x86_vcpu_state_get() of each vCPU, x86_vm_state_get(), then memory
 *	set: memory, x86_vcpu_state_set() of each vCPU, x86_vm_state_set() right before they run
 *
 * Memory comes first, for KVM looks into it: PAE's page directory pointers, kvmclock's pages. Local
 * APICs come before the interrupt controllers that send to them: what is pending there is sent as
 * soon as it is set. Getting is not without effect: an INIT or SIPI that waits for a vCPU is
 * carried out (KVM_GET_MP_STATE). With a split irqchip the I/O APIC is a device, and saved as
 * one. No time passes for the guest: its TSC and kvmclock go on where they were (a KVM that gives
 * guests no TSC of their own lets the TSC go ahead; that it went back is an error).
 *
 * All vCPUs of the machine are parked (machine_pause()) or were never started; any thread. Requests
 * and their rules: Documentation/virt/kvm/api.rst.
 */
#ifndef LKVM_ARCH_X86_STATE_H
#define LKVM_ARCH_X86_STATE_H

#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"
#include "vmm/machine.h"

/* What a vCPU can be at most. KVM lists some 300 MSRs; 32 machine check banks are 160 more. */
#define X86_STATE_MAX_MSRS   1024
#define X86_STATE_MAX_XSAVE  (64 * KIB) /* all that Linux 7.2 knows is under 12 KiB */
#define X86_STATE_MAX_NESTED (64 * KIB) /* and of this under 9 */

struct x86_vcpu_state {
	u32 mp_state; /* KVM_MP_STATE_*, HALTED at most */
	u32 tsc_khz;  /* 0: the host that had it could not tell */
	struct kvm_regs regs;
	struct kvm_sregs2 sregs;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_lapic_state lapic;
	u64 ssp; /* 0 unless CPUID says SHSTK */

	struct kvm_cpuid2 *cpuid;
	u32 xsave_size; /* bytes */
	struct kvm_xsave *xsave;
	u32 nested_size; /* bytes; 0: the host that had it knows of none */
	struct kvm_nested_state *nested;
	u32 n_msrs;
	struct kvm_msr_entry *msrs; /* in the order in which they were read */
};

/*
 * *@state is the caller's to free; NULL when it fails. MSRs that KVM lists and refuses to read are
 * left out, unless CPUID promises them. LKVM_ERR_UNSUPPORTED for what cannot be taken elsewhere:
 * SEV-SNP, whose state is encrypted, and --disable-exits=aperfmperf, with the host CPU's own MSRs.
 */
int x86_vcpu_state_get(struct vcpu *vcpu, struct x86_vcpu_state **state, struct lkvm_error *err);

/*
 * What is not whole, or larger than a vCPU can be, is LKVM_ERR_INPUT (-EINVAL) before anything is
 * set. All is read back: a host that lacks or refuses something, or makes something else of it, is
 * LKVM_ERR_UNSUPPORTED, with the number of the MSR or the name of the rest. After an error the vCPU
 * is of no use.
 */
int x86_vcpu_state_set(struct vcpu *vcpu, const struct x86_vcpu_state *state,
		       struct lkvm_error *err);

/* Where two states differ. */
struct x86_state_diff {
	const char *what; /* static: "the registers", "MSR", ... */
	u32 msr;	  /* with "MSR" */
};

/*
 * Both tell of the same vCPU, apart from what goes on by itself while a vCPU is parked: the
 * TSC, timers, and what CPUID makes of other registers; and from what no guest of AMD's CPUs can
 * see. *@diff is the first that differs.
 */
bool x86_vcpu_state_same(const struct x86_vcpu_state *a, const struct x86_vcpu_state *b,
			 struct x86_state_diff *diff);

void x86_vcpu_state_free(struct x86_vcpu_state *state); /* NULL is allowed */

struct x86_vm_state {
	u64 clock;		     /* nanoseconds of kvmclock */
	bool irqchip;		     /* PICs, I/O APIC and PIT are KVM's: those that follow */
	struct kvm_irqchip chips[3]; /* [KVM_IRQCHIP_*] */
	struct kvm_pit_state2 pit;
};

int x86_vm_state_get(struct machine *m, struct x86_vm_state *state, struct lkvm_error *err);

/* One of a machine with other interrupt controllers is LKVM_ERR_INPUT. */
int x86_vm_state_set(struct machine *m, const struct x86_vm_state *state, struct lkvm_error *err);

/* As x86_vcpu_state_same(): apart from the clock, and where the counters of the PIT are. */
bool x86_vm_state_same(const struct x86_vm_state *a, const struct x86_vm_state *b,
		       const char **what);

#endif
