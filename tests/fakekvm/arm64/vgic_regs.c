/* vgic_regs.c - registers of the interrupt controllers, as attributes. */
#include "tests/fakekvm/arm64/arm64.h"

#include <errno.h>

void arm64_vgic_reset_regs(struct fakekvm *fk, struct fake_vm *vm)
{
	(void)fk;
	(void)vm;
}

int arm64_vgic_reg_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	(void)c;
	(void)verb;
	(void)a;
	return -ENXIO;
}
