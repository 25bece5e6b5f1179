/*
 * pvpanic.c - the guest's kernel reports its own crash (QEMU's docs/specs/pvpanic.rst).
 *
 * One register of a byte, on a bus of the board or in BAR 0 of a PCI function: a read tells which
 * events this side understands, a write reports some.
 */
#include "devices/classes.h"
#include "devices/pci.h"

#define PVPANIC_PANICKED     0x01 /* the guest panicked and is lost */
#define PVPANIC_CRASH_LOADED 0x02 /* it panicked, but its crash kernel takes over */

#define PVPANIC_BAR 0

static const struct pci_ids pvpanic_ids = {
	.vendor = 0x1b36, .device = 0x0011, .class_code = 0x088000, /* system peripheral, other */
};

struct pvpanic {
	struct dev dev;
	struct ratelimit limit;
	struct pci_func func; /* of the function only */
};

static u64 pvpanic_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	(void)dev;
	(void)tag;
	(void)size;
	return off ? 0 : PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void pvpanic_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct pvpanic *p = container_of(dev, struct pvpanic, dev);

	(void)tag;
	(void)size;
	if (off)
		return;
	/* Not an end: the crash kernel has yet to write its dump and will reset or power off. */
	if ((val & PVPANIC_CRASH_LOADED) && ratelimit_ok(&p->limit))
		log_info(dev->env->log, "%s: the guest panicked and starts its crash kernel",
			 dev->name);
	if (val & PVPANIC_PANICKED)
		dev_raise_event(dev, DEV_EVENT_PANIC, 0);
}

const struct dev_class pvpanic_class = {
	.name = "pvpanic",
	.size = sizeof(struct pvpanic),
	.read = pvpanic_read,
	.write = pvpanic_write,
};

/* ---- the function ------------------------------------------------------------------------ */

static u64 pvpanic_pci_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	struct pvpanic *p = container_of(dev, struct pvpanic, dev);

	if (tag == PCI_TAG_CONFIG)
		return pci_config_read(&p->func, (u32)off, size);
	return pvpanic_read(dev, tag, off, size);
}

static void pvpanic_pci_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct pvpanic *p = container_of(dev, struct pvpanic, dev);

	if (tag == PCI_TAG_CONFIG)
		pci_config_write(&p->func, (u32)off, size, (u32)val);
	else
		pvpanic_write(dev, tag, off, size, val);
}

static int pvpanic_pci_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct pvpanic *p = container_of(dev, struct pvpanic, dev);
	const struct pvpanic_pci_cfg *c = cfg;
	int ret = pci_func_init(&p->func, dev, c->bus, c->slot, &pvpanic_ids, err);

	/* of which it needs a byte */
	return ret ? ret : pci_add_bar(&p->func, PVPANIC_BAR, GMEM_PAGE_SIZE, err);
}

static void pvpanic_pci_fini(struct dev *dev)
{
	pci_func_fini(&container_of(dev, struct pvpanic, dev)->func);
}

const struct dev_class pvpanic_pci_class = {
	.name = "pvpanic-pci",
	.size = sizeof(struct pvpanic),
	.init = pvpanic_pci_init,
	.fini = pvpanic_pci_fini,
	.read = pvpanic_pci_read,
	.write = pvpanic_pci_write,
};
