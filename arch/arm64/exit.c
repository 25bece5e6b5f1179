/* exit.c - exits that only arm64 has. */
#include <errno.h>

#include "linux-uapi/arm64.h"
#include "vmm/arch.h"
#include "vmm/machine.h"

/*
 * An access to a device, or to nothing, by an instruction the CPU does not describe to KVM (a pair,
 * a vector, with write-back).
 */
static void handle_nisv(struct vcpu *vcpu, const struct kvm_run *run)
{
	vcpu_note_exit(vcpu, run->exit_reason, 0, false, run->arm_nisv.fault_ipa,
		       run->arm_nisv.esr_iss);
	machine_end(vcpu->machine, LKVM_CAUSE_INTERNAL_ERROR, run->arm_nisv.fault_ipa,
		    "vCPU %u: an access to 0x%llx, which is no memory, by an instruction that KVM "
		    "cannot decode",
		    vcpu->index, (unsigned long long)run->arm_nisv.fault_ipa);
}

/* Its thread was moved, by someone else: lkvm pins it to CPUs that have the PMU. */
static void handle_unsupported_cpu(struct vcpu *vcpu, const struct kvm_run *run)
{
	u64 why = run->fail_entry.hardware_entry_failure_reason;

	vcpu_note_exit(vcpu, run->exit_reason, 0, false, why, run->fail_entry.cpu);
	machine_end(vcpu->machine, LKVM_CAUSE_ENTRY_FAILED, why,
		    "vCPU %u ran on CPU %u, which does not have the PMU it was given", vcpu->index,
		    run->fail_entry.cpu);
}

int arch_handle_exit(struct vcpu *vcpu, enum vcpu_action *action)
{
	const struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_ARM_NISV:
		handle_nisv(vcpu, run);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		if (!(run->fail_entry.hardware_entry_failure_reason &
		      KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED))
			return -ENOSYS;
		handle_unsupported_cpu(vcpu, run);
		break;
	default:
		return -ENOSYS;
	}
	*action = VCPU_STOP;
	return 0;
}

int arch_handle_fault(struct vcpu *vcpu, enum vcpu_action *action)
{
	(void)vcpu;
	(void)action;
	return -ENOSYS;
}
