/* exit.c - exits that only x86-64 has. */
#include <errno.h>

#include "arch/x86/irqchip.h"
#include "arch/x86/snp.h"
#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"
#include "vmm/arch.h"

/*
 * IN and OUT, once or repeated (INS, OUTS): KVM lays the values of up to a page of
 * repetitions behind kvm_run, at io.data_offset.
 */
static void handle_io(struct vcpu *vcpu, struct kvm_run *run)
{
	struct bus *bus = &vcpu->machine->ports;
	unsigned int size = run->io.size;
	u16 port = run->io.port;
	u8 *data = (u8 *)run + run->io.data_offset;
	bool out = run->io.direction == KVM_EXIT_IO_OUT;
	u64 val = 0;

	if ((size != 1 && size != 2 && size != 4) ||
	    !range_fits(run->io.data_offset, (u64)size * run->io.count,
			vcpu->machine->kvm.host->run_size))
		return;
	for (u32 i = 0; i < run->io.count; i++, data += size) {
		if (out) {
			val = 0;
			memcpy(&val, data, size);
			val = le64toh(val);
			vcpu_bus_write(vcpu, bus, port, size, val);
		} else {
			val = vcpu_bus_read(vcpu, bus, port, size);
			u64 le = htole64(val);

			memcpy(data, &le, size);
		}
	}
	vcpu_note_exit(vcpu, KVM_EXIT_IO, size, out, port, val);
}

int arch_handle_exit(struct vcpu *vcpu, enum vcpu_action *action)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(vcpu, run);
		return 0;
	case KVM_EXIT_SHUTDOWN:
		vcpu_note_exit(vcpu, run->exit_reason, 0, false, 0, 0);
		machine_end(vcpu->machine, LKVM_CAUSE_TRIPLE_FAULT, 0, "vCPU %u: triple fault",
			    vcpu->index);
		*action = VCPU_STOP;
		return 0;
	case KVM_EXIT_IOAPIC_EOI:
		x86_irqchip_eoi(vcpu->machine, run->eoi.vector);
		return 0;
	}
	return snp_handle_exit(vcpu, action);
}

int arch_handle_fault(struct vcpu *vcpu, enum vcpu_action *action)
{
	return snp_handle_memory_fault(vcpu, action);
}
