/*
 * board.c - the x86-64 board: which devices there are and where they are plugged in;
 * then what a kernel is loaded into and told.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch/x86/acpi.h"
#include "arch/x86/layout.h"
#include "arch/x86/machine.h"
#include "devices/acpi_pm.h"
#include "devices/classes.h"
#include "vmm/arch.h"

/* One line per device. Whether a machine has the last one is the user's choice. */
enum { BOARD_SERIAL, BOARD_RTC, BOARD_I8042, BOARD_PM, BOARD_PVPANIC, BOARD_DEBUG_EXIT, BOARD_N };

static const struct board_line {
	const struct dev_class *cls;
	const char *name;
	struct {
		u16 port, len;
		u8 sizes;
		u32 tag;
	} ports[DEV_MAX_RANGES];
	u8 irq; /* 0: none; that one is the PIT's */
} board[BOARD_N] = {
	[BOARD_SERIAL] = { &uart16550_class,
			   "serial0",
			   { { X86_PORT_COM1, 8, BUS_SIZE_1, 0 } },
			   X86_IRQ_COM1 },
	[BOARD_RTC] = { &mc146818_class,
			"rtc",
			{ { X86_PORT_RTC, 2, BUS_SIZE_1, 0 } },
			X86_IRQ_RTC },
	[BOARD_I8042] = { &i8042_class,
			  "i8042",
			  { { X86_PORT_I8042_DATA, 1, BUS_SIZE_1, I8042_TAG_DATA },
			    { X86_PORT_I8042_CMD, 1, BUS_SIZE_1, I8042_TAG_CMD } },
			  0 },
	[BOARD_PM] = { &acpi_pm_class,
		       "acpi-pm",
		       { { X86_PORT_PM, ACPI_PM_LEN, BUS_SIZE_ANY, 0 } },
		       X86_IRQ_SCI },
	[BOARD_PVPANIC] = { &pvpanic_class,
			    "pvpanic",
			    { { X86_PORT_PVPANIC, 1, BUS_SIZE_1, 0 } },
			    0 },
	[BOARD_DEBUG_EXIT] = { &debug_exit_class,
			       "debug-exit",
			       { { 0, 4, BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4, 0 } },
			       0 },
};

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
	u16 port = cfg->debug_exit_port, len = board[BOARD_DEBUG_EXIT].ports[0].len;
	const char *taken = NULL;

	if (!cfg->debug_exit)
		return 0;
	if (port > 0x10000 - len)
		return err_input(err, "--debug-exit 0x%x: must be 0 to 0x%x", port, 0x10000 - len);
	for (size_t i = 0; i < ARRAY_SIZE(kvm_ports); i++) {
		if (ranges_overlap(port, len, kvm_ports[i].port, kvm_ports[i].len))
			taken = kvm_ports[i].name;
	}
	for (size_t i = 0; i < BOARD_DEBUG_EXIT; i++) {
		for (size_t r = 0; r < DEV_MAX_RANGES; r++) {
			if (ranges_overlap(port, len, board[i].ports[r].port,
					   board[i].ports[r].len))
				taken = board[i].name;
		}
	}
	return taken ? err_input(err,
				 "--debug-exit 0x%x: ports 0x%x to 0x%x are not free, %s is there; "
				 "0xf4 is",
				 port, port, port + len - 1, taken)
		     : 0;
}

static int add_dev(struct machine *m, const struct board_line *line, struct lkvm_error *err)
{
	struct dev_slot slot = { .cls = line->cls, .name = line->name };

	for (size_t r = 0; r < DEV_MAX_RANGES && line->ports[r].len; r++)
		slot.ranges[r] = (struct dev_range){ .bus = &m->ports,
						     .base = line->ports[r].port,
						     .len = line->ports[r].len,
						     .sizes = line->ports[r].sizes,
						     .tag = line->ports[r].tag };
	if (line->irq) {
		slot.irq_chip = &m->irq_chip;
		slot.gsi = line->irq;
	}
	if (line->cls == &uart16550_class)
		slot.console = m->env->console;
	if (line->cls == &debug_exit_class)
		slot.ranges[0].base = m->cfg->debug_exit_port;
	return machine_add_dev(m, &slot, err);
}

int arch_add_devices(struct machine *m, struct lkvm_error *err)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < BOARD_N; i++) {
		if (i != BOARD_DEBUG_EXIT || m->cfg->debug_exit)
			ret = add_dev(m, &board[i], err);
	}
	return ret;
}

static int dump(const char *path, const u8 *data, size_t len, struct lkvm_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	ssize_t n;

	if (fd < 0)
		return err_input(err, "--dump-acpi %s: cannot be written: %s", path,
				 strerrordesc_np(errno));
	n = write(fd, data, len);
	if (close(fd) || n != (ssize_t)len)
		return err_host(err, n < 0 ? errno : ENOSPC, "--dump-acpi %s", path);
	return 0;
}

static int load_acpi(struct machine *m, struct lkvm_error *err)
{
	u32 apic_ids[LKVM_MAX_VCPUS];
	struct acpi_desc desc = { .gpa = X86_ACPI_GPA,
				  .apic_ids = apic_ids,
				  .n_vcpus = m->n_vcpus };
	u8 *tables = calloc(1, X86_ACPI_SIZE);
	size_t used = 0;
	int ret;

	if (!tables)
		return err_host(err, ENOMEM, "ACPI tables");
	for (unsigned int i = 0; i < m->n_vcpus; i++)
		apic_ids[i] = cpu_topology_apic_id(&m->arch->cpuid.topo, i);
	ret = acpi_build(&desc, tables, X86_ACPI_SIZE, &used, err);
	if (!ret && m->cfg->dump_acpi[0])
		ret = dump(m->cfg->dump_acpi, tables, used, err);
	if (!ret && gmem_write(&m->gmem, X86_ACPI_GPA, tables, used))
		ret = err_host(err, EFAULT, "no room for ACPI tables");
	free(tables);
	return ret;
}

int arch_load(struct machine *m, struct lkvm_error *err)
{
	struct boot_entry entry;
	int ret = boot_load(m->cfg, m->env->kernel, m->env->initrd, &m->gmem, &entry, err);

	if (!ret)
		ret = load_acpi(m, err);
	return ret ? ret : x86_set_boot_regs(m, &entry, err);
}
