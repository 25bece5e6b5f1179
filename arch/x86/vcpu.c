/* vcpu.c - the registers of an x86-64 vCPU: at power-on, and for a post mortem. */
#include <errno.h>
#include <stdio.h>

#include "arch/x86/cpuid_dump.h"
#include "arch/x86/irqchip.h"
#include "arch/x86/machine.h"
#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"
#include "vmm/arch.h"

#define RESET_RIP 0xfff0 /* SDM 3A, table 10-1 */
#define RESET_CS  0xf000

#define MSR_IA32_FEATURE_CONTROL     0x3a /* SDM 4, table 2-2 */
#define FEATURE_CONTROL_LOCKED	     BIT(0)
#define FEATURE_CONTROL_VMXON	     BIT(2) /* outside SMX */
#define MSR_IA32_MISC_ENABLE	     0x1a0
#define MISC_ENABLE_FAST_STRING	     BIT(0)
#define MISC_ENABLE_EMON	     BIT(7)
#define MISC_ENABLE_BTS_UNAVAILABLE  BIT(11)
#define MISC_ENABLE_PEBS_UNAVAILABLE BIT(12)
#define MISC_ENABLE_MWAIT	     BIT(18)
#define MSR_IA32_MTRR_DEF_TYPE	     0x2ff /* SDM 3A, 12.11.2.1 */
#define MTRR_ENABLE		     BIT(11)
#define MTRR_WRITE_BACK		     6

static int set_cpuid(struct machine *m, struct vcpu *vcpu, struct lkvm_error *err)
{
	struct arch_machine *a = m->arch;
	int ret = cpuid_build(a->supported, &a->cpuid, vcpu->index, a->table, err);

	if (ret)
		return ret;
	return kvm_fd_ioctl(&m->kvm, vcpu->fd, KVM_SET_CPUID2, a->table, err);
}

/* What of MISC_ENABLE tells of features, for the CPUID table that was just set. */
static u64 misc_enable(const struct kvm_cpuid2 *table)
{
	u64 value = MISC_ENABLE_FAST_STRING;

	if (cpu_feature_shown(table, CPU_F_arch_perfmon))
		value |= MISC_ENABLE_EMON;
	if (cpu_feature_shown(table, CPU_F_arch_perfmon) && !cpu_feature_shown(table, CPU_F_dts))
		value |= MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE;
	if (cpu_feature_shown(table, CPU_F_monitor))
		value |= MISC_ENABLE_MWAIT;
	return value;
}

/* KVM refuses an MSR it does not have by stopping in front of it. */
int x86_vcpu_set_msr(const struct vcpu *vcpu, u32 index, u64 value, struct lkvm_error *err)
{
	union {
		struct kvm_msrs msrs;
		u8 space[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} arg = { .msrs.nmsrs = 1 };

	arg.msrs.entries[0] = (struct kvm_msr_entry){ .index = index, .data = value };
	return kvm_fd_ioctl(&vcpu->machine->kvm, vcpu->fd, KVM_SET_MSRS, &arg, err);
}

/* None of those of set_msrs() is worth failing for. */
static int set_msr(struct machine *m, struct vcpu *vcpu, u32 index, u64 value,
		   struct lkvm_error *err)
{
	int ret = x86_vcpu_set_msr(vcpu, index, value, err);

	if (ret == 0)
		log_info(m->log, "vCPU %u: KVM refuses MSR 0x%x", vcpu->index, index);
	return ret;
}

/*
 * What a PC's firmware leaves in MSRs and a kernel relies on: memory is write-back unless it
 * says otherwise (a kernel without MTRRs would not use PAT either), and VMX may be switched on.
 * ARCH_CAPABILITIES is not among them: KVM has the host's in it, and refuses it where there is
 * none.
 */
static int set_msrs(struct machine *m, struct vcpu *vcpu, struct lkvm_error *err)
{
	const struct kvm_cpuid2 *table = m->arch->table;
	int ret = set_msr(m, vcpu, MSR_IA32_MISC_ENABLE, misc_enable(table), err);

	if (ret >= 0)
		ret = set_msr(m, vcpu, MSR_IA32_MTRR_DEF_TYPE, MTRR_ENABLE | MTRR_WRITE_BACK, err);
	if (ret >= 0 && cpu_feature_shown(table, CPU_F_vmx))
		ret = set_msr(m, vcpu, MSR_IA32_FEATURE_CONTROL,
			      FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMXON, err);
	return ret;
}

/* APERF and MPERF are the host's, so the TSC must not run at a rate of its own: none is ever set.
 */
static int check_tsc(struct machine *m, struct lkvm_error *err)
{
	int host = kvm_vm_ioctl(&m->kvm, KVM_GET_TSC_KHZ, 0, NULL);
	int khz = kvm_fd_ioctl(&m->kvm, m->vcpus[0].fd, KVM_GET_TSC_KHZ, 0, err);

	if (khz < 0)
		return khz;
	if (host > 0 && host != khz)
		return err_unsupported(err, ENOTTY,
				       "--disable-exits aperfmperf: the TSC of vCPUs runs at %d "
				       "kHz, and that of the host at %d",
				       khz, host);
	log_info(m->log, "the TSC of vCPUs is not scaled: %d kHz, as the host's", khz);
	return 0;
}

/* KVM makes it the id of the LAPIC, so it must be what CPUID and the MADT say. */
u32 arch_vcpu_id(const struct machine *m, unsigned int index)
{
	return cpu_topology_apic_id(&m->arch->cpuid.topo, index);
}

int arch_init_vcpus(struct machine *m, struct lkvm_error *err)
{
	int ret = 0;

	for (unsigned int i = 0; ret >= 0 && i < m->n_vcpus; i++) {
		ret = set_cpuid(m, &m->vcpus[i], err);
		if (ret >= 0)
			ret = set_msrs(m, &m->vcpus[i], err);
		if (ret >= 0)
			ret = x86_irqchip_init_vcpu(m, &m->vcpus[i], err);
	}
	if (ret >= 0 && m->arch->cpuid.aperfmperf)
		ret = check_tsc(m, err);
	if (ret >= 0 && m->cfg->x86.dump_cpuid[0])
		ret = cpuid_dump(m, err);
	return ret < 0 ? ret : 0;
}

int x86_set_boot_regs(struct machine *m, const struct boot_entry *entry, struct lkvm_error *err)
{
	const struct vcpu *vcpu = &m->vcpus[0];
	struct kvm_regs regs = { 0 };
	struct kvm_sregs sregs;
	int ret = kvm_fd_ioctl(&m->kvm, vcpu->fd, KVM_GET_SREGS, &sregs, err);

	if (ret < 0)
		return ret;
	boot_regs(entry, &regs, &sregs);
	ret = kvm_fd_ioctl(&m->kvm, vcpu->fd, KVM_SET_SREGS, &sregs, err);
	if (ret < 0)
		return ret;
	return kvm_fd_ioctl(&m->kvm, vcpu->fd, KVM_SET_REGS, &regs, err);
}

void arch_vcpu_paused(struct vcpu *vcpu)
{
	const struct kvm *kvm = &vcpu->machine->kvm;

	/* EINVAL: the guest does not use kvmclock (yet), so there is nothing to tell. */
	kvm->be->ioctl(kvm->be->ctx, vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
}

int arch_get_regs(struct vcpu *vcpu, struct lkvm_vcpu_state *state, u64 *pc)
{
	const struct kvm *kvm = &vcpu->machine->kvm;
	struct kvm_regs r;
	struct kvm_sregs s;
	int ret;

	/* KVM has copies from before the launch */
	if (vcpu->machine->arch->snp) {
		snprintf(state->symbol_note, sizeof(state->symbol_note),
			 "the registers of an SNP guest are its own");
		return 0;
	}
	ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_REGS, &r, NULL);
	if (ret >= 0)
		ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_SREGS, &s, NULL);
	if (ret < 0)
		return ret;

	const struct {
		const char *name;
		u64 value;
	} regs[] = {
		{ "rip", r.rip },
		{ "rflags", r.rflags },
		{ "rax", r.rax },
		{ "rbx", r.rbx },
		{ "rcx", r.rcx },
		{ "rdx", r.rdx },
		{ "rsi", r.rsi },
		{ "rdi", r.rdi },
		{ "rbp", r.rbp },
		{ "rsp", r.rsp },
		{ "r8", r.r8 },
		{ "r9", r.r9 },
		{ "r10", r.r10 },
		{ "r11", r.r11 },
		{ "r12", r.r12 },
		{ "r13", r.r13 },
		{ "r14", r.r14 },
		{ "r15", r.r15 },
		{ "cr0", s.cr0 },
		{ "cr2", s.cr2 },
		{ "cr3", s.cr3 },
		{ "cr4", s.cr4 },
		{ "cr8", s.cr8 },
		{ "efer", s.efer },
		{ "apic_base", s.apic_base },
		{ "cs", s.cs.selector },
		{ "cs.base", s.cs.base },
		{ "ss", s.ss.selector },
		{ "ds", s.ds.selector },
		{ "es", s.es.selector },
		{ "fs.base", s.fs.base },
		{ "gs.base", s.gs.base },
		{ "tr", s.tr.selector },
		{ "gdt.base", s.gdt.base },
		{ "gdt.limit", s.gdt.limit },
		{ "idt.base", s.idt.base },
		{ "idt.limit", s.idt.limit },
	};

	_Static_assert(ARRAY_SIZE(regs) <= LKVM_MAX_REGS, "they fit the public struct");
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		snprintf(state->regs[i].name, sizeof(state->regs[i].name), "%s", regs[i].name);
		state->regs[i].value = regs[i].value;
	}
	state->n_regs = ARRAY_SIZE(regs);
	*pc = r.rip;
	/* SVM leaves the state of a CPU that shut down undefined: KVM resets it (APM 2, 15.14.3) */
	if (r.rip == RESET_RIP && s.cs.selector == RESET_CS)
		snprintf(state->symbol_note, sizeof(state->symbol_note),
			 "the vCPU is in its reset state: not started, or put there by KVM after a "
			 "triple fault");
	return 0;
}
