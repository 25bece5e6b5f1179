/* exit.c - exits that only arm64 has. */
#include <errno.h>

#include "linux-uapi/arm64.h"
#include "vmm/arch.h"
#include "vmm/machine.h"

int arch_handle_exit(struct vcpu *vcpu, enum vcpu_action *action)
{
	struct kvm_run *run = vcpu->run;

	if (run->exit_reason != KVM_EXIT_ARM_NISV)
		return -ENOSYS;
	/*
	 * An access to a device, or to nothing, by an instruction the CPU does not describe to KVM
	 * (a pair, a vector, with write-back).
	 */
	vcpu_note_exit(vcpu, run->exit_reason, 0, false, run->arm_nisv.fault_ipa,
		       run->arm_nisv.esr_iss);
	machine_end(vcpu->machine, LKVM_CAUSE_INTERNAL_ERROR, run->arm_nisv.fault_ipa,
		    "vCPU %u: an access to 0x%llx, which is no memory, by an instruction that KVM "
		    "cannot decode",
		    vcpu->index, (unsigned long long)run->arm_nisv.fault_ipa);
	*action = VCPU_STOP;
	return 0;
}
