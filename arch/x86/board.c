/* board.c - the x86-64 board: which devices there are and where they are plugged in. */
#include "arch/x86/irqchip.h"
#include "arch/x86/layout.h"
#include "arch/x86/machine.h"
#include "devices/acpi_pm.h"
#include "devices/classes.h"
#include "devices/fw_cfg.h"
#include "devices/ioapic.h"
#include "vmm/arch.h"
#include "vmm/disk.h"

const u32 arch_flash_block = X86_FLASH_BLOCK;
const bool arch_firmware_kernels = true;

/* A line of the board as it is plugged in, with what its cfg points at. */
struct fitting {
	struct dev_slot slot;
	union {
		struct uart16550_cfg uart;
		struct pci_host_cfg pci;
		struct pvpanic_pci_cfg pvpanic;
		struct acpi_pm_cfg pm;
		struct i8042_cfg i8042;
		struct ich9_lpc_cfg lpc;
		struct cfi_flash_cfg flash;
		struct testdev_cfg testdev;
		struct pci_testdev_cfg pci_testdev;
		struct ioapic_cfg ioapic;
	} cfg;
};

static u64 debug_exit_port(const struct lkvm_config *cfg)
{
	return cfg->debug_exit_addr ? cfg->debug_exit_addr : X86_PORT_DEBUG_EXIT;
}

static bool fit_serial(struct fitting *f, struct machine *m)
{
	f->cfg.uart.console = m->env->console;
	/* a virtio console takes the input; early messages still come this way */
	f->cfg.uart.output_only = m->cfg->virtio_console;
	return true;
}

static bool fit_pci(struct fitting *f, struct machine *m)
{
	f->cfg.pci.bus = &m->arch->pci;
	f->cfg.pci.q35 = m->cfg->firmware[0];
	if (m->cfg->firmware[0])
		return true;
	f->slot.ranges[1] = (struct dev_range){ .bus = &m->mmio,
						.base = X86_ECAM_BASE,
						.len = X86_ECAM_LEN,
						.sizes = BUS_SIZE_ANY,
						.tag = PCI_HOST_TAG_ECAM };
	return true;
}

static bool fit_i8042(struct fitting *f, struct machine *m)
{
	f->cfg.i8042.unseen = m->cfg->firmware[0];
	return true;
}

static bool fit_pm(struct fitting *f, struct machine *m)
{
	f->cfg.pm.type0_off = m->cfg->firmware[0];
	return true;
}

static bool fit_lpc(struct fitting *f, struct machine *m)
{
	f->cfg.lpc = (struct ich9_lpc_cfg){ .bus = &m->arch->pci,
					    .slot = X86_LPC_SLOT,
					    .pm_base = X86_PORT_PM };
	return m->cfg->firmware[0];
}

static bool fit_pvpanic(struct fitting *f, struct machine *m)
{
	(void)f;
	return !m->cfg->pvpanic_pci;
}

static bool fit_pvpanic_pci(struct fitting *f, struct machine *m)
{
	f->cfg.pvpanic.bus = &m->arch->pci;
	f->cfg.pvpanic.slot = MACHINE_PVPANIC_SLOT;
	if (m->cfg->firmware[0] && f->cfg.pvpanic.slot == X86_LPC_SLOT)
		f->cfg.pvpanic.slot--;
	return m->cfg->pvpanic_pci;
}

static bool fit_debug_exit(struct fitting *f, struct machine *m)
{
	f->slot.ranges[0].base = debug_exit_port(m->cfg);
	/* it is where kvm-unit-tests say how they went */
	return m->cfg->debug_exit || m->cfg->x86.testdev;
}

/*
 * What only some machines have; each answer fills in what its device wants to know.
 */
static bool fit_ioapic(struct fitting *f, struct machine *m)
{
	f->cfg.ioapic = (struct ioapic_cfg){ .send = x86_irqchip_send,
					     .route = x86_irqchip_route,
					     .ctx = m };
	f->slot.irq_chip = &m->irq_chip;
	f->slot.ranges[0] = (struct dev_range){ .bus = &m->mmio,
						.base = X86_IOAPIC_BASE,
						.len = IOAPIC_LEN,
						.sizes = BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4 };
	return m->arch->split;
}

static bool fit_fw_cfg(struct fitting *f, struct machine *m)
{
	(void)f;
	return m->cfg->firmware[0] || m->cfg->x86.testdev;
}

/* Right below the code. */
static bool fit_flash(struct fitting *f, struct machine *m)
{
	const struct disk *flash = m->env->flash;

	if (!flash)
		return false;
	f->cfg.flash = (struct cfi_flash_cfg){ .disk = flash, .bytes = true };
	f->cfg.flash.gpa = X86_HOLE_END - m->env->firmware->size - flash->size;
	f->slot.ranges[0] = (struct dev_range){
		.bus = &m->mmio, .base = f->cfg.flash.gpa, .len = flash->size, .sizes = BUS_SIZE_ANY
	};
	return true;
}

static bool fit_testdev(struct fitting *f, struct machine *m)
{
	f->cfg.testdev.chip = &m->irq_chip;
	f->slot.ranges[2] = (struct dev_range){ .bus = &m->mmio,
						.base = X86_TESTDEV_GPA,
						.len = TESTDEV_MEM_LEN,
						.sizes = BUS_SIZE_ANY,
						.tag = TESTDEV_TAG_MEM };
	return m->cfg->x86.testdev;
}

static bool fit_pci_testdev(struct fitting *f, struct machine *m)
{
	f->cfg.pci_testdev = (struct pci_testdev_cfg){ .bus = &m->arch->pci,
						       .slot = X86_TESTDEV_SLOT,
						       .ports = &m->ports,
						       .port = X86_PORT_TEST_PCI };
	return m->cfg->x86.testdev;
}

/* One line per device; the last one lies where the user wants it. */
enum {
	BOARD_IOAPIC, /* first: it is there as long as others have lines to it */
	BOARD_SERIAL,
	BOARD_RTC,
	BOARD_I8042,
	BOARD_PM,
	BOARD_PVPANIC,
	BOARD_PCI,
	BOARD_LPC,
	BOARD_PVPANIC_PCI,
	BOARD_FW_CFG,
	BOARD_FLASH,
	BOARD_TESTDEV,
	BOARD_PCI_TESTDEV,
	BOARD_DEBUG_EXIT,
	BOARD_N
};

static const struct board_line {
	const struct dev_class *cls;
	const char *name;
	struct {
		u16 port, len;
		u8 sizes;
		u32 tag;
	} ports[DEV_MAX_RANGES];
	u8 irq; /* 0: none; that one is the PIT's */

	/* What depends on the machine; false: it has no such device. NULL: nothing does. */
	bool (*fit)(struct fitting *f, struct machine *m);
} board[BOARD_N] = {
	/* clang-format off */
	[BOARD_SERIAL] = { &uart16550_class, "serial0",
		{ { X86_PORT_COM1, 8, BUS_SIZE_1, 0 } }, X86_IRQ_COM1, fit_serial },
	[BOARD_RTC] = { &mc146818_class, "rtc",
		{ { X86_PORT_RTC, 2, BUS_SIZE_1, 0 } }, X86_IRQ_RTC, NULL },
	[BOARD_I8042] = { &i8042_class, "i8042",
		{ { X86_PORT_I8042_DATA, 1, BUS_SIZE_1, I8042_TAG_DATA },
		  { X86_PORT_I8042_CMD, 1, BUS_SIZE_1, I8042_TAG_CMD } }, 0, fit_i8042 },
	[BOARD_PM] = { &acpi_pm_class, "acpi-pm",
		{ { X86_PORT_PM, ACPI_PM_LEN, BUS_SIZE_ANY, 0 } }, X86_IRQ_SCI, fit_pm },
	[BOARD_PVPANIC] = { &pvpanic_class, "pvpanic",
		{ { X86_PORT_PVPANIC, 1, BUS_SIZE_1, 0 } }, 0, fit_pvpanic },
	[BOARD_PCI] = { &pci_host_class, "pci",
		{ { X86_PORT_PCI_CONFIG, 8, BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4,
		    PCI_HOST_TAG_PORTS } }, 0, fit_pci },
	[BOARD_LPC] = { &ich9_lpc_class, "lpc", { { 0 } }, 0, fit_lpc },
	[BOARD_PVPANIC_PCI] = { &pvpanic_pci_class, "pvpanic", { { 0 } }, 0, fit_pvpanic_pci },
	[BOARD_IOAPIC] = { &ioapic_class, "ioapic", { { 0 } }, 0, fit_ioapic },
	[BOARD_FW_CFG] = { &fw_cfg_class, "fw-cfg",
		{ { X86_PORT_FW_CFG, FW_CFG_REGS_LEN, BUS_SIZE_1 | BUS_SIZE_2, FW_CFG_TAG_REGS },
		  { X86_PORT_FW_CFG + FW_CFG_DMA, FW_CFG_DMA_LEN,
		    BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4, FW_CFG_TAG_DMA } }, 0, fit_fw_cfg },
	[BOARD_FLASH] = { &cfi_flash_class, "flash", { { 0 } }, 0, fit_flash },
	[BOARD_TESTDEV] = { &testdev_class, "testdev",
		{ { X86_PORT_TESTDEV, TESTDEV_PORTS_LEN, BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4,
		    TESTDEV_TAG_PORTS },
		  { X86_PORT_TEST_IRQ, TESTDEV_N_IRQS, BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4,
		    TESTDEV_TAG_IRQ } }, 0, fit_testdev },
	[BOARD_PCI_TESTDEV] = { &pci_testdev_class, "pci-testdev", { { 0 } }, 0, fit_pci_testdev },
	[BOARD_DEBUG_EXIT] = { &debug_exit_class, "debug-exit",
		{ { 0, 4, BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4, 0 } }, 0, fit_debug_exit },
	/* clang-format on */
};

_Static_assert(X86_IRQ_COM1 < X86_N_GSIS && X86_IRQ_RTC < X86_N_GSIS && X86_IRQ_SCI < X86_N_GSIS,
	       "the I/O APIC has an input for each line of the board");
_Static_assert(X86_TESTDEV_SLOT == MACHINE_PVPANIC_SLOT - 1, "a slot of its own");
_Static_assert(TESTDEV_N_IRQS == X86_N_GSIS, "a port for each input");
_Static_assert(X86_N_GSIS <= IRQ_MAX_GSI, "irq.c counts on every input");
_Static_assert(X86_N_GSIS == IOAPIC_N_PINS, "and so does ours");

/* Ports KVM answers itself once its PIC and PIT exist: no device of ours would see them. */
static const struct {
	u16 port, len;
	const char *name;
} kvm_ports[] = {
	{ 0x20, 2, "the interrupt controller" },
	{ 0xa0, 2, "the interrupt controller" },
	{ 0x4d0, 2, "the interrupt controller" },
	{ 0x40, 4, "the timer" },
	{ 0x61, 1, "the timer" },
};

int x86_check_board(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	u16 len = board[BOARD_DEBUG_EXIT].ports[0].len, port;
	u64 addr = debug_exit_port(cfg);
	const char *taken = NULL;
	int ret = machine_check_pci(cfg, err);

	if (!ret && cfg->x86.testdev)
		ret = machine_check_slot(cfg, "--testdev", X86_TESTDEV_SLOT, err);
	if (ret || !cfg->debug_exit)
		return ret;
	if (addr > 0x10000u - len)
		return err_input(err, "--debug-exit 0x%llx: must be 1 to 0x%x",
				 (unsigned long long)addr, 0x10000 - len);
	port = (u16)addr;
	for (size_t i = 0; !x86_irqchip_is_split(cfg) && i < ARRAY_SIZE(kvm_ports); i++) {
		if (ranges_overlap(port, len, kvm_ports[i].port, kvm_ports[i].len))
			taken = kvm_ports[i].name;
	}
	for (size_t i = 0; i < BOARD_DEBUG_EXIT; i++) {
		if (i == BOARD_TESTDEV && !cfg->x86.testdev)
			continue;
		for (size_t r = 0; r < DEV_MAX_RANGES; r++) {
			if (ranges_overlap(port, len, board[i].ports[r].port,
					   board[i].ports[r].len))
				taken = board[i].name;
		}
	}
	return taken ? err_input(err,
				 "--debug-exit 0x%x: ports 0x%x to 0x%x are not free, %s is there; "
				 "0x%x is",
				 port, port, port + len - 1, taken, X86_PORT_DEBUG_EXIT)
		     : 0;
}

static int add_dev(struct machine *m, const struct board_line *line, struct lkvm_error *err)
{
	struct fitting f = { .slot = { .cls = line->cls, .name = line->name } };
	int ret;

	f.slot.cfg = &f.cfg;
	for (size_t r = 0; r < DEV_MAX_RANGES && line->ports[r].len; r++)
		f.slot.ranges[r] = (struct dev_range){ .bus = &m->ports,
						       .base = line->ports[r].port,
						       .len = line->ports[r].len,
						       .sizes = line->ports[r].sizes,
						       .tag = line->ports[r].tag };
	if (line->irq) {
		f.slot.irq_chip = &m->irq_chip;
		f.slot.gsi = line->irq;
	}
	if (line->fit && !line->fit(&f, m))
		return 0;
	ret = machine_add_dev(m, &f.slot, err);
	if (!ret && line->cls == &ioapic_class)
		m->arch->ioapic = m->devs[m->n_devs - 1];
	if (!ret && line->cls == &fw_cfg_class)
		m->arch->fw_cfg = m->devs[m->n_devs - 1];
	return ret;
}

int arch_add_devices(struct machine *m, struct lkvm_error *err)
{
	int ret = 0;

	if (m->cfg->firmware[0])
		pci_bus_init(&m->arch->pci, &m->mmio, &m->gmem, X86_FW_WINDOW_BASE,
			     X86_FW_WINDOW_LEN);
	else
		pci_bus_init(&m->arch->pci, &m->mmio, &m->gmem, X86_PCI_WINDOW_BASE,
			     X86_PCI_WINDOW_LEN);
	for (size_t i = 0; !ret && i < BOARD_N; i++)
		ret = add_dev(m, &board[i], err);
	return ret;
}

/* dsdt.asl has the interrupts of all slots; acpi.c announces the MMIO devices. */
void arch_virtio_place(const struct machine *m, unsigned int index, struct virtio_place *place)
{
	*place = (struct virtio_place){
		.mmio_base = X86_VIRTIO_MMIO_GPA(index),
		.mmio_gsi = X86_SHARED_IRQ(index),
		.pci_bus = &m->arch->pci,
		.pci_slot = index + 1,
		.pci_gsi = X86_SHARED_IRQ(index + 1),
	};
}
