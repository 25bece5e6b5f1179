#include "arch/arm64/fdt.h"

#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>

#include "arch/arm64/gic.h"
#include "arch/arm64/layout.h"
#include "devices/classes.h"
#include "devices/pci.h"

/* Cells of an interrupt (bindings/interrupt-controller/arm,gic*.yaml). */
#define IRQ_SPI	       0
#define IRQ_PPI	       1
#define IRQ_LEVEL_HIGH 4
#define IRQ_LEVEL_LOW  8

/* First cell of a PCI address: which space, and in configuration space the slot. */
#define PCI_SPACE_IO	0x01000000
#define PCI_SPACE_MEM32 0x02000000
#define PCI_SLOT(n)	((u32)(n) << 11)
#define PCI_PIN_MASK	7
#define PCI_PIN_A	1

/* What others point at. */
enum phandle { PHANDLE_GIC = 1, PHANDLE_MSI, PHANDLE_CLOCK, PHANDLE_CPU /* and those after it */ };

/* Functions of PSCI 0.2, for those who read them here (bindings/arm/psci.yaml). */
#define PSCI_CPU_SUSPEND 0xc4000001
#define PSCI_CPU_OFF	 0x84000002
#define PSCI_CPU_ON	 0xc4000003

#define UART_CLOCK 1843200  /* Hz: 115200 baud with divisor 1 */
#define APB_CLOCK  24000000 /* Hz; nothing counts by it */

/* The tree being written. After the first failure nothing is. */
struct tree {
	void *fdt;
	int ret; /* libfdt's */
	const struct fdt_desc *desc;
};

/* ---- words -------------------------------------------------------------------------------- */

static void begin(struct tree *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void begin(struct tree *t, const char *fmt, ...)
{
	char name[32];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (!t->ret)
		t->ret = fdt_begin_node(t->fdt, name);
}

static void end(struct tree *t)
{
	if (!t->ret)
		t->ret = fdt_end_node(t->fdt);
}

static void put(struct tree *t, const char *name, const void *val, size_t len)
{
	if (!t->ret)
		t->ret = fdt_property(t->fdt, name, val, (int)len);
}

static void put_flag(struct tree *t, const char *name)
{
	put(t, name, "", 0);
}

/* Of a literal, which may be several strings, each with its NUL. */
#define put_text(t, name, val) put(t, name, val, sizeof(val))

static void put_cells(struct tree *t, const char *name, const u32 *cells, size_t n)
{
	void *at = NULL;

	if (!t->ret)
		t->ret = fdt_property_placeholder(t->fdt, name, (int)(n * sizeof(*cells)), &at);
	for (size_t i = 0; !t->ret && i < n; i++)
		fdt32_st((fdt32_t *)at + i, cells[i]);
}

#define put_list(t, name, ...)                           \
	put_cells(t, name, (const u32[]){ __VA_ARGS__ }, \
		  sizeof((const u32[]){ __VA_ARGS__ }) / sizeof(u32))

static void put_u32(struct tree *t, const char *name, u32 val)
{
	put_cells(t, name, &val, 1);
}

static void put_u64(struct tree *t, const char *name, u64 val)
{
	put_list(t, name, (u32)(val >> 32), (u32)val);
}

/* Addresses and sizes are of two cells everywhere. */
#define CELLS_64(val) (u32)((u64)(val) >> 32), (u32)(val)

static void put_cell_sizes(struct tree *t, u32 address, u32 size)
{
	put_u32(t, "#address-cells", address);
	put_u32(t, "#size-cells", size);
}

static void put_reg(struct tree *t, u64 base, u64 len)
{
	put_list(t, "reg", CELLS_64(base), CELLS_64(len));
}

static void put_spi(struct tree *t, u32 spi)
{
	put_list(t, "interrupts", IRQ_SPI, spi, IRQ_LEVEL_HIGH);
}

/* A PPI's flags say, with a GICv2 only, which CPUs have it. */
static u32 ppi_flags(const struct tree *t, u32 level)
{
	return level | (gic_is_v2(t->desc->irqchip) ? (u32)(BIT(t->desc->n_vcpus) - 1) << 8 : 0);
}

#define PPI(intid) ((intid)-ARM64_PPI_INTID)

/* A device of the board: what all of them have. */
static void begin_device(struct tree *t, const char *name, u64 base, u64 len)
{
	begin(t, "%s@%llx", name, (unsigned long long)base);
	put_reg(t, base, len);
}

/* ---- what every machine has ----------------------------------------------------------------- */

static void add_chosen(struct tree *t)
{
	const struct fdt_desc *d = t->desc;
	char console[32];
	int len = snprintf(console, sizeof(console), "/serial@%llx", ARM64_UART_BASE) + 1;

	begin(t, "chosen");
	put(t, "bootargs", d->cmdline, strlen(d->cmdline) + 1);
	put(t, "stdout-path", console, (size_t)len);
	if (d->initrd_size) {
		put_u64(t, "linux,initrd-start", d->initrd_gpa);
		put_u64(t, "linux,initrd-end", d->initrd_gpa + d->initrd_size);
	}
	put_u64(t, "kaslr-seed", d->kaslr_seed);
	put(t, "rng-seed", d->rng_seed, sizeof(d->rng_seed));
	end(t);
}

static void add_memory(struct tree *t)
{
	begin_device(t, "memory", ARM64_RAM_BASE, t->desc->ram_size);
	put_text(t, "device_type", "memory");
	end(t);
}

static void add_psci(struct tree *t)
{
	begin(t, "psci");
	put_text(t, "compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci");
	/* HVC is the guest's own, where it has EL2. */
	if (t->desc->nested)
		put_text(t, "method", "smc");
	else
		put_text(t, "method", "hvc");
	put_u32(t, "cpu_suspend", PSCI_CPU_SUSPEND);
	put_u32(t, "cpu_off", PSCI_CPU_OFF);
	put_u32(t, "cpu_on", PSCI_CPU_ON);
	end(t);
}

static void add_timer(struct tree *t)
{
	const u32 flags = ppi_flags(t, IRQ_LEVEL_LOW);
	const u32 irqs[] = {
		/* clang-format off */
		IRQ_PPI, PPI(ARM64_PPI_STIMER), flags,
		IRQ_PPI, PPI(ARM64_PPI_PTIMER), flags,
		IRQ_PPI, PPI(ARM64_PPI_VTIMER), flags,
		IRQ_PPI, PPI(ARM64_PPI_HPTIMER), flags,
		IRQ_PPI, PPI(ARM64_PPI_HVTIMER), flags, /* with EL2 only */
		/* clang-format on */
	};

	begin(t, "timer");
	put_text(t, "compatible", "arm,armv8-timer");
	put_cells(t, "interrupts", irqs, ARRAY_SIZE(irqs) - (t->desc->nested ? 0 : 3));
	put_flag(t, "always-on");
	end(t);
}

static void add_pmu(struct tree *t)
{
	if (!t->desc->pmu)
		return;
	begin(t, "pmu");
	put_text(t, "compatible", "arm,armv8-pmuv3");
	put_list(t, "interrupts", IRQ_PPI, PPI(ARM64_PPI_PMU), ppi_flags(t, IRQ_LEVEL_HIGH));
	end(t);
}

/* ---- CPUs ------------------------------------------------------------------------------------ */

/* One of something, where that was not said. */
static unsigned int at_least_one(unsigned int n)
{
	return n ? n : 1;
}

static bool has_topology(const struct fdt_desc *d)
{
	return d->sockets || d->cores || d->threads;
}

static void add_core(struct tree *t, unsigned int core, unsigned int first_cpu)
{
	const unsigned int threads = at_least_one(t->desc->threads);

	begin(t, "core%u", core);
	if (threads == 1)
		put_u32(t, "cpu", PHANDLE_CPU + first_cpu);
	for (unsigned int i = 0; threads > 1 && i < threads; i++) {
		begin(t, "thread%u", i);
		put_u32(t, "cpu", PHANDLE_CPU + first_cpu + i);
		end(t);
	}
	end(t);
}

/* bindings/cpu/cpu-topology.txt: cores are in clusters, whether or not there is more than one. */
static void add_cpu_map(struct tree *t)
{
	const struct fdt_desc *d = t->desc;
	const unsigned int cores = at_least_one(d->cores), threads = at_least_one(d->threads);

	if (!has_topology(d))
		return;
	begin(t, "cpu-map");
	for (unsigned int s = 0; s < at_least_one(d->sockets); s++) {
		begin(t, "socket%u", s);
		begin(t, "cluster0");
		for (unsigned int c = 0; c < cores; c++)
			add_core(t, c, (s * cores + c) * threads);
		end(t);
		end(t);
	}
	end(t);
}

static void add_cpus(struct tree *t)
{
	const struct fdt_desc *d = t->desc;

	begin(t, "cpus");
	put_cell_sizes(t, 2, 0);
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		begin(t, "cpu@%llx", (unsigned long long)d->mpidr[i]);
		put_text(t, "device_type", "cpu");
		put_text(t, "compatible", "arm,armv8");
		put_text(t, "enable-method", "psci");
		put_u64(t, "reg", d->mpidr[i]);
		if (has_topology(d))
			put_u32(t, "phandle", PHANDLE_CPU + i);
		end(t);
	}
	add_cpu_map(t);
	end(t);
}

/* ---- interrupt controllers ------------------------------------------------------------------- */

static void add_v2m(struct tree *t)
{
	begin_device(t, "v2m", ARM64_GICV2M_BASE, ARM64_GICV2M_LEN);
	put_text(t, "compatible", "arm,gic-v2m-frame");
	put_flag(t, "msi-controller");
	put_u32(t, "phandle", PHANDLE_MSI);
	end(t);
}

static void add_its(struct tree *t)
{
	begin_device(t, "msi-controller", ARM64_ITS_BASE(t->desc->n_vcpus), ARM64_ITS_LEN);
	put_text(t, "compatible", "arm,gic-v3-its");
	put_flag(t, "msi-controller");
	put_u32(t, "#msi-cells", 1);
	put_u32(t, "phandle", PHANDLE_MSI);
	end(t);
}

static void add_gic(struct tree *t)
{
	const struct fdt_desc *d = t->desc;
	const u64 n = d->n_vcpus;

	begin(t, "interrupt-controller@%llx", ARM64_GIC_DIST_BASE);
	if (gic_is_v2(t->desc->irqchip)) {
		put_text(t, "compatible", "arm,cortex-a15-gic");
		put_list(t, "reg", CELLS_64(ARM64_GIC_DIST_BASE), CELLS_64(ARM64_GICV2_DIST_LEN),
			 CELLS_64(ARM64_GICV2_CPU_BASE), CELLS_64(ARM64_GICV2_CPU_LEN));
	} else {
		put_text(t, "compatible", "arm,gic-v3");
		put_list(t, "reg", CELLS_64(ARM64_GIC_DIST_BASE), CELLS_64(ARM64_GICV3_DIST_LEN),
			 CELLS_64(ARM64_GICV3_RDIST_BASE(n)), CELLS_64(ARM64_GICV3_RDIST_LEN * n));
	}
	if (d->nested)
		put_list(t, "interrupts", IRQ_PPI, PPI(ARM64_PPI_MAINT),
			 ppi_flags(t, IRQ_LEVEL_HIGH));
	put_flag(t, "interrupt-controller");
	put_u32(t, "#interrupt-cells", 3);
	put_cell_sizes(t, 2, 2);
	put_flag(t, "ranges");
	put_u32(t, "phandle", PHANDLE_GIC);
	if (d->irqchip == LKVM_IRQCHIP_GICV2M)
		add_v2m(t);
	if (d->irqchip == LKVM_IRQCHIP_GICV3_ITS)
		add_its(t);
	end(t);
}

/* ---- devices --------------------------------------------------------------------------------- */

static void add_serial(struct tree *t)
{
	begin_device(t, "serial", ARM64_UART_BASE, ARM64_UART_LEN);
	put_text(t, "compatible", "ns16550a");
	put_u32(t, "clock-frequency", UART_CLOCK);
	put_spi(t, ARM64_SPI_UART);
	end(t);
}

static void add_rtcs(struct tree *t)
{
	begin_device(t, "rtc", ARM64_RTC_BASE, ARM64_RTC_LEN);
	put_text(t, "compatible", "motorola,mc146818");
	put_spi(t, ARM64_SPI_RTC);
	end(t);

	begin(t, "apb-pclk");
	put_text(t, "compatible", "fixed-clock");
	put_u32(t, "#clock-cells", 0);
	put_u32(t, "clock-frequency", APB_CLOCK);
	put_u32(t, "phandle", PHANDLE_CLOCK);
	end(t);

	begin_device(t, "rtc", ARM64_PL031_BASE, PL031_LEN);
	put_text(t, "compatible", "arm,pl031\0arm,primecell");
	put_u32(t, "clocks", PHANDLE_CLOCK);
	put_text(t, "clock-names", "apb_pclk");
	put_spi(t, ARM64_SPI_PL031);
	end(t);
}

static void add_flash(struct tree *t)
{
	if (!t->desc->flash_size)
		return;
	begin_device(t, "flash", ARM64_FLASH_BASE, t->desc->flash_size);
	put_text(t, "compatible", "cfi-flash");
	put_u32(t, "bank-width", 4);
	/* what UEFI for such machines looks for to keep its variables in */
	put_text(t, "label", "System-firmware");
	end(t);
}

static void add_pvpanic(struct tree *t)
{
	if (!t->desc->pvpanic)
		return;
	begin_device(t, "pvpanic", ARM64_PVPANIC_BASE, ARM64_PVPANIC_LEN);
	put_text(t, "compatible", "qemu,pvpanic-mmio");
	end(t);
}

static void add_debug_exit(struct tree *t)
{
	if (!t->desc->debug_exit)
		return;
	begin_device(t, "debug-exit", t->desc->debug_exit, ARM64_DEBUG_EXIT_LEN);
	put_text(t, "compatible", "lkvm,debug-exit");
	end(t);
}

static void add_virtio(struct tree *t)
{
	for (unsigned int i = 0; i < t->desc->n_virtio_mmio; i++) {
		begin_device(t, "virtio_mmio", ARM64_VIRTIO_MMIO_GPA(i), VIRTIO_MMIO_LEN);
		put_text(t, "compatible", "virtio,mmio");
		put_spi(t, ARM64_SPI_VIRTIO + i);
		put_flag(t, "dma-coherent");
		end(t);
	}
}

/* ---- PCI (IEEE 1275 PCI Bus Binding 2.1; bindings/pci/host-generic-pci.yaml) ----------------- */

#define MAP_CELLS 10 /* PCI address, pin, controller, its unit address, interrupt */

static void put_interrupt_map(struct tree *t)
{
	u32 map[LKVM_MAX_VIRTIO * MAP_CELLS], *at = map;

	for (u32 slot = 1; slot <= LKVM_MAX_VIRTIO; slot++, at += MAP_CELLS) {
		const u32 cells[MAP_CELLS] = {
			PCI_SLOT(slot),
			0,
			0,
			PCI_PIN_A,
			PHANDLE_GIC,
			0,
			0,
			IRQ_SPI,
			ARM64_SPI_VIRTIO + slot - 1,
			IRQ_LEVEL_HIGH,
		};

		memcpy(at, cells, sizeof(cells));
	}
	put_cells(t, "interrupt-map", map, ARRAY_SIZE(map));
	put_list(t, "interrupt-map-mask", PCI_SLOT(PCI_MAX_SLOTS - 1), 0, 0, PCI_PIN_MASK);
}

static void add_pcie(struct tree *t)
{
	begin_device(t, "pcie", ARM64_ECAM_BASE, ARM64_ECAM_LEN);
	put_text(t, "compatible", "pci-host-ecam-generic");
	put_text(t, "device_type", "pci");
	put_cell_sizes(t, 3, 2);
	put_list(t, "bus-range", 0, 0);
	/* Nobody has ports, but there is firmware that stops where there is no room for them. */
	put_list(t, "ranges",
		 /* port or memory, at, for the CPU at, as much */
		 PCI_SPACE_IO, CELLS_64(0), CELLS_64(ARM64_PCI_IO_BASE), CELLS_64(ARM64_PCI_IO_LEN),
		 PCI_SPACE_MEM32, CELLS_64(ARM64_PCI_WINDOW_BASE), CELLS_64(ARM64_PCI_WINDOW_BASE),
		 CELLS_64(ARM64_PCI_WINDOW_LEN));
	put_u32(t, "#interrupt-cells", 1);
	put_interrupt_map(t);
	/* The ITS knows a function by its requester id; the frame does not care. */
	if (t->desc->irqchip == LKVM_IRQCHIP_GICV3_ITS)
		put_list(t, "msi-map", 0, PHANDLE_MSI, 0, 0x10000);
	if (t->desc->irqchip == LKVM_IRQCHIP_GICV2M)
		put_u32(t, "msi-parent", PHANDLE_MSI);
	put_flag(t, "dma-coherent");
	end(t);
}

/* ---- all of it ---------------------------------------------------------------------------------
 */

static void add_root(struct tree *t)
{
	static void (*const nodes[])(struct tree * t) = {
		add_chosen,  add_memory,     add_cpus,	 add_psci, add_timer,
		add_pmu,     add_gic,	     add_serial, add_rtcs, add_flash,
		add_pvpanic, add_debug_exit, add_virtio, add_pcie,
	};

	begin(t, "%s", "");
	put_text(t, "compatible", "linux,dummy-virt");
	put_text(t, "model", "lkvm");
	put_cell_sizes(t, 2, 2);
	put_u32(t, "interrupt-parent", PHANDLE_GIC);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		nodes[i](t);
	end(t);
}

static int refuse(int ret, size_t size, struct lkvm_error *err)
{
	if (ret != -FDT_ERR_NOSPACE)
		return err_host(err, EINVAL, "device tree: %s", fdt_strerror(ret));
	err_input(err,
		  "the device tree takes more than %zu bytes: what can be too long is the kernel's "
		  "command line",
		  size);
	if (err)
		err->code = -ENOSPC;
	return -ENOSPC;
}

int fdt_build(const struct fdt_desc *desc, void *buf, size_t size, size_t *used,
	      struct lkvm_error *err)
{
	struct tree t = { .fdt = buf, .desc = desc };

	t.ret = size > INT32_MAX ? -FDT_ERR_BADSTATE : fdt_create(buf, (int)size);
	if (!t.ret)
		t.ret = fdt_finish_reservemap(buf);
	add_root(&t);
	if (!t.ret)
		t.ret = fdt_finish(buf);
	if (t.ret)
		return refuse(t.ret, size, err);
	*used = fdt_totalsize(buf);
	return 0;
}
