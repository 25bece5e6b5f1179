/* board.c - the arm64 board: which devices there are and where they are plugged in. */
#include "arch/arm64/layout.h"
#include "arch/arm64/machine.h"
#include "devices/classes.h"
#include "vmm/arch.h"
#include "vmm/disk.h"

#define NO_SPI (-1)

const u32 arch_flash_block = CFI_FLASH_BLOCK;
const bool arch_firmware_kernels = false;

/* A line of the board as it is plugged in, with what its cfg points at. */
struct fitting {
	struct dev_slot slot;
	union {
		struct uart16550_cfg uart;
		struct pci_host_cfg pci;
		struct pvpanic_pci_cfg pvpanic;
		struct gicv2m_cfg gicv2m;
		struct cfi_flash_cfg flash;
	} cfg;
};

u64 arm64_debug_exit_addr(const struct lkvm_config *cfg)
{
	if (!cfg->debug_exit)
		return 0;
	return cfg->debug_exit_addr ? cfg->debug_exit_addr : ARM64_DEBUG_EXIT_BASE;
}

static bool fit_serial(struct fitting *f, struct machine *m)
{
	f->cfg.uart.console = m->env->console;
	/* a virtio console takes the input; early messages still come this way */
	f->cfg.uart.output_only = m->cfg->virtio_console;
	return true;
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
	return m->cfg->pvpanic_pci;
}

static bool fit_pci(struct fitting *f, struct machine *m)
{
	f->cfg.pci.bus = &m->arch->pci;
	return true;
}

static bool fit_gicv2m(struct fitting *f, struct machine *m)
{
	f->cfg.gicv2m.first_intid = ARM64_SPI_INTID + ARM64_GICV2M_SPI;
	f->cfg.gicv2m.n_intids = ARM64_GICV2M_N_SPI;
	f->cfg.gicv2m.first_gsi = ARM64_GICV2M_SPI;
	/* it pulses inputs beyond those that have lines */
	f->slot.irq_chip = &m->irq_chip;
	return m->arch->gic.kind == LKVM_IRQCHIP_GICV2M;
}

static bool fit_flash(struct fitting *f, struct machine *m)
{
	f->cfg.flash.disk = m->env->flash;
	f->cfg.flash.gpa = ARM64_FLASH_BASE;
	f->slot.ranges[0].len = m->arch->flash_size;
	return m->env->flash != NULL;
}

static bool fit_debug_exit(struct fitting *f, struct machine *m)
{
	f->slot.ranges[0].base = arm64_debug_exit_addr(m->cfg);
	return m->cfg->debug_exit;
}

/* One line per device; the last one lies where the user wants it. PCI comes before its functions.
 */
enum {
	BOARD_SERIAL,
	BOARD_RTC,
	BOARD_PL031,
	BOARD_PVPANIC,
	BOARD_FLASH,
	BOARD_GICV2M,
	BOARD_PCI,
	BOARD_PVPANIC_PCI,
	BOARD_DEBUG_EXIT,
	BOARD_N
};

static const struct board_line {
	const struct dev_class *cls;
	const char *name;
	u64 base, len; /* 0: no range of its own */
	u8 sizes;
	u32 tag;
	int spi;

	/* What depends on the machine; false: it has no such device. NULL: nothing does. */
	bool (*fit)(struct fitting *f, struct machine *m);
} board[BOARD_N] = {
	/* clang-format off */
	[BOARD_SERIAL] = { &uart16550_class, "serial0", ARM64_UART_BASE, ARM64_UART_LEN, BUS_SIZE_1,
		0, ARM64_SPI_UART, fit_serial },
	[BOARD_RTC] = { &mc146818_class, "rtc", ARM64_RTC_BASE, ARM64_RTC_LEN, BUS_SIZE_1, 0,
		ARM64_SPI_RTC, NULL },
	[BOARD_PL031] = { &pl031_class, "pl031", ARM64_PL031_BASE, PL031_LEN, BUS_SIZE_4, 0,
		ARM64_SPI_PL031, NULL },
	[BOARD_PVPANIC] = { &pvpanic_class, "pvpanic", ARM64_PVPANIC_BASE, ARM64_PVPANIC_LEN,
		BUS_SIZE_1, 0, NO_SPI, fit_pvpanic },
	[BOARD_FLASH] = { &cfi_flash_class, "flash", ARM64_FLASH_BASE, ARM64_FLASH_MAX,
		BUS_SIZE_ANY, 0, NO_SPI, fit_flash },
	[BOARD_GICV2M] = { &gicv2m_class, "gicv2m", ARM64_GICV2M_BASE, ARM64_GICV2M_LEN,
		BUS_SIZE_2 | BUS_SIZE_4, 0, NO_SPI, fit_gicv2m },
	[BOARD_PCI] = { &pci_host_class, "pci", ARM64_ECAM_BASE, ARM64_ECAM_LEN, BUS_SIZE_ANY,
		PCI_HOST_TAG_ECAM, NO_SPI, fit_pci },
	[BOARD_PVPANIC_PCI] = { &pvpanic_pci_class, "pvpanic", 0, 0, 0, 0, NO_SPI,
		fit_pvpanic_pci },
	[BOARD_DEBUG_EXIT] = { &debug_exit_class, "debug-exit", 0, ARM64_DEBUG_EXIT_LEN,
		BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4, 0, NO_SPI, fit_debug_exit },
	/* clang-format on */
};

_Static_assert(ARM64_SPI_VIRTIO + LKVM_MAX_VIRTIO <= ARM64_N_SPIS, "a line for each device");
_Static_assert(ARM64_N_SPIS <= IRQ_MAX_GSI, "irq.c counts on every input");
_Static_assert(ARM64_FLASH_MAX <= CFI_FLASH_MAX, "the chips can be that large");
_Static_assert(ARM64_FLASH_BASE + ARM64_FLASH_MAX <= ARM64_VIRTIO_MMIO_BASE, "and end there");

int arm64_check_board(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	const u64 addr = arm64_debug_exit_addr(cfg), len = ARM64_DEBUG_EXIT_LEN;
	const unsigned long long shown = addr;
	const char *taken = NULL;
	int ret = machine_check_pci(cfg, err);

	if (ret || !cfg->debug_exit)
		return ret;
	if (addr < ARM64_UART_BASE || addr > ARM64_FLASH_BASE - len || addr % len)
		return err_input(err,
				 "--debug-exit 0x%llx: must be a multiple of %d, 0x%llx to 0x%llx",
				 shown, ARM64_DEBUG_EXIT_LEN, ARM64_UART_BASE,
				 ARM64_FLASH_BASE - len);
	if (ranges_overlap(addr, len, ARM64_PVTIME_BASE, ARM64_PVTIME_LEN))
		taken = "steal time";
	for (size_t i = 0; i < BOARD_DEBUG_EXIT; i++) {
		if (ranges_overlap(addr, len, board[i].base, board[i].len))
			taken = board[i].name;
	}
	return taken ? err_input(err, "--debug-exit 0x%llx: is not free, %s is there; 0x%llx is",
				 shown, taken, ARM64_DEBUG_EXIT_BASE)
		     : 0;
}

static int add_dev(struct machine *m, const struct board_line *line, struct lkvm_error *err)
{
	struct fitting f = { .slot = { .cls = line->cls, .name = line->name } };

	f.slot.cfg = &f.cfg;
	f.slot.ranges[0] = (struct dev_range){ .bus = &m->mmio,
					       .base = line->base,
					       .len = line->len,
					       .sizes = line->sizes,
					       .tag = line->tag };
	if (line->spi != NO_SPI) {
		f.slot.irq_chip = &m->irq_chip;
		f.slot.gsi = (u32)line->spi;
	}
	if (line->fit && !line->fit(&f, m))
		return 0;
	return machine_add_dev(m, &f.slot, err);
}

int arch_add_devices(struct machine *m, struct lkvm_error *err)
{
	const struct disk *flash = m->env->flash;
	int ret = 0;

	/* the chips say their size as a power of two (JEDEC JESD68) */
	if (flash && (flash->size > ARM64_FLASH_MAX || (flash->size & (flash->size - 1))))
		return err_input(
			err, "--flash %.380s: size %llu; must be a power of two, %d to %llu bytes",
			flash->path, (unsigned long long)flash->size, CFI_FLASH_BLOCK,
			ARM64_FLASH_MAX);
	m->arch->flash_size = flash ? flash->size : 0;
	pci_bus_init(&m->arch->pci, &m->mmio, &m->gmem, ARM64_PCI_WINDOW_BASE,
		     ARM64_PCI_WINDOW_LEN);
	for (size_t i = 0; !ret && i < BOARD_N; i++)
		ret = add_dev(m, &board[i], err);
	return ret;
}

/* fdt.c announces the MMIO devices, and the interrupts of all slots. */
void arch_virtio_place(const struct machine *m, unsigned int index, struct virtio_place *place)
{
	*place = (struct virtio_place){
		.mmio_base = ARM64_VIRTIO_MMIO_GPA(index),
		.mmio_gsi = ARM64_SPI_VIRTIO + index,
		.pci_bus = &m->arch->pci,
		.pci_slot = index + 1,
		.pci_gsi = ARM64_SPI_VIRTIO + index,
	};
}
