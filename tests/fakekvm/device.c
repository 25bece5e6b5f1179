/* device.c - devices that KVM emulates: made here, which there are and what they do is the
 * architecture's. */
#include "tests/fakekvm/internal.h"

#include <errno.h>
#include <stdio.h>

/* 4.79: ENODEV for a type that is not there; with KVM_CREATE_DEVICE_TEST nothing is made. */
int fake_create_device(struct fake_call *c)
{
	const struct fake_arch *arch = c->fk->host->arch;
	struct kvm_create_device *d = fake_user(c);
	struct fake_device *dev;
	const char *name = NULL;
	int ret;

	if (!d)
		return -EFAULT;
	fake_note(c, " type %u flags 0x%x", d->type, d->flags);
	if (!arch->has_device || !arch->has_device(c->fk, d->type))
		return -ENODEV;
	if (d->flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	if (c->vm->n_devices == FAKE_MAX_DEVICES)
		return -ENOMEM; /* the fake's own limit */
	ret = arch->create_device(c, d->type, &name);
	if (ret)
		return ret;
	dev = &c->vm->devices[c->vm->n_devices];
	ret = fake_new_fd(c->fk, (struct fake_fd){ .kind = FAKE_DEVICE, .vm = c->vm, .dev = dev });
	if (ret < 0)
		return ret;
	c->vm->n_devices++;
	*dev = (struct fake_device){ .open = true, .vm = c->vm, .type = d->type };
	if (c->vm->index == 1)
		snprintf(dev->name, sizeof(dev->name), "%s", name);
	else
		snprintf(dev->name, sizeof(dev->name), "vm%u.%s", c->vm->index, name);
	d->fd = (u32)ret;
	return 0;
}
