/*
 * irqchip.h - the interrupt controllers of an x86-64 machine: all KVM's, or (split) KVM's local
 * APICs and an I/O APIC of our own (devices/ioapic.c).
 */
#ifndef LKVM_ARCH_X86_IRQCHIP_H
#define LKVM_ARCH_X86_IRQCHIP_H

#include "vmm/machine.h"

/* Whether @cfg, which is valid, means the split one; where that is open the ids decide. Pure. */
bool x86_irqchip_is_split(const struct lkvm_config *cfg);

/*
 * Before the first vCPU: KVM_CREATE_IRQCHIP and the PIT, or KVM_CAP_SPLIT_IRQCHIP and
 * KVM_CAP_X2APIC_API with the flags that fit; then m->msi. Needs m->arch. What the host lacks is
 * LKVM_ERR_UNSUPPORTED.
 */
int x86_irqchip_init(struct machine *m, struct lkvm_error *err);

/*
 * A vCPU that has its CPUID: its local APIC in x2APIC mode where messages have wide ids, but for
 * firmware, which does that itself. LKVM_ERR_UNSUPPORTED when the vCPU has no x2APIC.
 */
int x86_irqchip_init_vcpu(struct machine *m, const struct vcpu *vcpu, struct lkvm_error *err);

/* arch_set_irq() of the split one, with irq_chip.lock held. Any thread. */
void x86_irqchip_split_set(struct machine *m, u32 gsi, bool level);

/* KVM_EXIT_IOAPIC_EOI: a guest acknowledged @vector, which is level triggered. vCPU thread. */
void x86_irqchip_eoi(struct machine *m, u8 vector);

/* What the I/O APIC of our own has in its ioapic_cfg. */
bool x86_irqchip_send(void *machine, u64 addr, u32 data);
int x86_irqchip_route(void *machine, u32 pin, u64 addr, u32 data);

#endif
