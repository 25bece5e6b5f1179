/*
 * ich9_lpc.c - the bridge to the ISA bus of a Q35 machine, as far as firmware looks for it (Intel's
 * ICH9 data sheet 316972, chapter 13).
 *
 * One PCI function. Firmware for QEMU's machines finds the ports of power management by its PMBASE,
 * and takes the serial port for a console because there is a bridge to an ISA bus. Nothing can be
 * changed: power management stays where the board has it, everything is decoded always.
 */
#include "devices/classes.h"
#include "devices/pci.h"

static const struct pci_ids lpc_ids = {
	.vendor = 0x8086,
	.device = 0x2918,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.revision = 2,
	.class_code = 0x060100, /* bridge, ISA */
};

#define LPC_COMMAND   0x04
#define LPC_PMBASE    0x40
#define LPC_ACPI_CNTL 0x44

#define COMMAND_ALWAYS	 0x07 /* ports, memory, bus master: the chip has them hard-wired */
#define PMBASE_PORTS	 0x01
#define ACPI_CNTL_ENABLE 0x80

struct ich9_lpc {
	struct dev dev;
	struct pci_func func;
};

static int lpc_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct pci_func *f = &container_of(dev, struct ich9_lpc, dev)->func;
	const struct ich9_lpc_cfg *c = cfg;
	int ret = pci_func_init(f, dev, c->bus, c->slot, &lpc_ids, err);

	if (ret)
		return ret;
	put_le16(f->config + LPC_COMMAND, COMMAND_ALWAYS);
	put_le32(f->config + LPC_PMBASE, c->pm_base | PMBASE_PORTS);
	f->config[LPC_ACPI_CNTL] = ACPI_CNTL_ENABLE;
	memset(f->writable, 0, sizeof(f->writable));
	return 0;
}

static void lpc_fini(struct dev *dev)
{
	pci_func_fini(&container_of(dev, struct ich9_lpc, dev)->func);
}

static u64 lpc_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	(void)tag;
	return pci_config_read(&container_of(dev, struct ich9_lpc, dev)->func, (u32)off, size);
}

static void lpc_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	(void)tag;
	pci_config_write(&container_of(dev, struct ich9_lpc, dev)->func, (u32)off, size, (u32)val);
}

const struct dev_class ich9_lpc_class = {
	.name = "ich9-lpc",
	.size = sizeof(struct ich9_lpc),
	.init = lpc_init,
	.fini = lpc_fini,
	.read = lpc_read,
	.write = lpc_write,
};
