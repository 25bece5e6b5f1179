/*
 * trivial.c - linked into the command, adds a device to the board that does as little as a device
 * can: what is left of an exit's cost is KVM's and the way through the bus.
 *
 * By the linker's --wrap, so that all the rest of the program is the one that users run.
 */
#include "devices/classes.h"
#include "tests/bench/arm64/exits.h"
#include "vmm/arch.h"

static u64 trivial_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	(void)dev;
	(void)tag;
	(void)off;
	(void)size;
	return 0;
}

static const struct dev_class trivial_class = {
	.name = "trivial",
	.size = sizeof(struct dev),
	.read = trivial_read,
};

int __real_arch_add_devices(struct machine *m, struct lkvm_error *err);
int __wrap_arch_add_devices(struct machine *m, struct lkvm_error *err);

int __wrap_arch_add_devices(struct machine *m, struct lkvm_error *err)
{
	struct dev_slot slot = {
		.cls = &trivial_class,
		.name = "trivial",
		.ranges = { { &m->mmio, EXITS_GPA, 0x1000, BUS_SIZE_ANY, 0 } },
	};
	int ret = __real_arch_add_devices(m, err);

	return ret ? ret : machine_add_dev(m, &slot, err);
}
