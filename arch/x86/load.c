/*
 * load.c - what a kernel is loaded into and told: its image and parameters, ACPI tables,
 * the registers it starts with.
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/x86/acpi.h"
#include "arch/x86/firmware.h"
#include "arch/x86/layout.h"
#include "arch/x86/machine.h"
#include "arch/x86/snp.h"
#include "vmm/arch.h"
#include "vmm/load.h"

int x86_build_acpi(struct machine *m, u64 gpa, u8 *buf, size_t *used, struct lkvm_error *err)
{
	u32 apic_ids[LKVM_MAX_VCPUS];
	struct acpi_desc desc = { .gpa = gpa,
				  .apic_ids = apic_ids,
				  .n_vcpus = m->n_vcpus,
				  .firmware = m->cfg->firmware[0],
				  .no_pic = m->arch->split,
				  .n_virtio_mmio = machine_n_virtio_mmio(m->cfg) };
	int ret;

	for (unsigned int i = 0; i < m->n_vcpus; i++)
		apic_ids[i] = cpu_topology_apic_id(&m->arch->cpuid.topo, i);
	ret = acpi_build(&desc, buf, X86_ACPI_SIZE, used, err);
	if (!ret && m->cfg->dump_acpi[0])
		ret = load_dump(m->cfg, "--dump-acpi", m->cfg->dump_acpi, buf, *used, err);
	return ret;
}

static int load_acpi(struct machine *m, struct lkvm_error *err)
{
	u8 *tables = calloc(1, X86_ACPI_SIZE);
	size_t used = 0;
	int ret;

	if (!tables)
		return err_host(err, ENOMEM, "ACPI tables");
	ret = x86_build_acpi(m, X86_ACPI_GPA, tables, &used, err);
	if (!ret && gmem_write(&m->gmem, X86_ACPI_GPA, tables, used))
		ret = err_host(err, EFAULT, "no room for ACPI tables");
	free(tables);
	return ret;
}

int arch_load(struct machine *m, struct lkvm_error *err)
{
	struct boot_entry entry;
	int ret;

	if (m->cfg->firmware[0]) {
		ret = x86_firmware_load(m, err);
		return ret || !m->cfg->x86.snp.on ? ret : snp_launch(m, err);
	}
	ret = boot_load(m->cfg, m->env->kernel, m->env->initrd, &m->gmem, &entry, err);

	if (!ret)
		ret = load_acpi(m, err);
	if (!ret && m->arch->fw_cfg)
		ret = x86_fw_cfg_machine(m, err);
	return ret ? ret : x86_set_boot_regs(m, &entry, err);
}
