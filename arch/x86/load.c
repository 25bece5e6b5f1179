/*
 * load.c - what a kernel is loaded into and told: its image and parameters, ACPI tables,
 * the registers it starts with.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/x86/acpi.h"
#include "arch/x86/layout.h"
#include "arch/x86/machine.h"
#include "vmm/arch.h"

/* Truncated once it is known to be a file: opening a pipe must not wait for its reader. */
static int dump(const char *path, const u8 *data, size_t len, struct lkvm_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
	struct stat st;
	int code = 0;
	ssize_t n;

	if (fd < 0)
		return err_input(err, "--dump-acpi %s: cannot be written: %s", path,
				 err_text(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_input(err, "--dump-acpi %s: not a regular file", path);
	}
	n = ftruncate(fd, 0) ? -1 : write(fd, data, len);
	if (n != (ssize_t)len)
		code = n < 0 ? errno : ENOSPC;
	if (close(fd) && !code)
		code = errno;
	return code ? err_host(err, code, "--dump-acpi %s", path) : 0;
}

static int load_acpi(struct machine *m, struct lkvm_error *err)
{
	u32 apic_ids[LKVM_MAX_VCPUS];
	struct acpi_desc desc = { .gpa = X86_ACPI_GPA,
				  .apic_ids = apic_ids,
				  .n_vcpus = m->n_vcpus,
				  .n_virtio_mmio = m->arch->n_virtio_mmio };
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
