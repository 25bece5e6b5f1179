/*
 * load.c - what a guest is loaded with and told: kernel or firmware, device tree, the registers it
 * starts with.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "arch/arm64/boot.h"
#include "arch/arm64/fdt.h"
#include "arch/arm64/layout.h"
#include "arch/arm64/machine.h"
#include "vmm/arch.h"
#include "vmm/load.h"
#include "vmm/topology.h"

static int add_seeds(struct fdt_desc *desc, struct lkvm_error *err)
{
	struct {
		u8 rng[FDT_SEED_SIZE];
		u64 kaslr;
	} seeds;

	/* Up to 256 bytes come whole (getrandom(2)). */
	if (getrandom(&seeds, sizeof(seeds), 0) != (ssize_t)sizeof(seeds))
		return err_host(err, errno, "getrandom");
	memcpy(desc->rng_seed, seeds.rng, sizeof(seeds.rng));
	desc->kaslr_seed = seeds.kaslr;
	return 0;
}

/* Nothing is said of it unless the user did. */
static int add_topology(struct fdt_desc *desc, const struct lkvm_config *cfg,
			struct lkvm_error *err)
{
	struct topology topo;
	int ret = topology_init(&topo, cfg, err);

	if (ret || (!cfg->sockets && !cfg->cores && !cfg->threads))
		return ret;
	desc->sockets = topo.sockets;
	desc->cores = topo.cores;
	desc->threads = topo.threads;
	return 0;
}

static int load_fdt(struct machine *m, const struct boot_entry *entry, struct lkvm_error *err)
{
	const struct lkvm_config *cfg = m->cfg;
	struct fdt_desc desc = {
		.cmdline = cfg->cmdline,
		.ram_size = cfg->mem_size,
		.initrd_gpa = entry->initrd_gpa,
		.initrd_size = entry->initrd_size,
		.mpidr = m->arch->mpidr,
		.n_vcpus = m->n_vcpus,
		.nested = cfg->nested,
		.pmu = cfg->arm64.pmu || cfg->arm64.pmu_partition,
		.irqchip = m->arch->gic.kind,
		.n_virtio_mmio = machine_n_virtio_mmio(cfg),
		.pvpanic = !cfg->pvpanic_pci,
		.debug_exit = arm64_debug_exit_addr(cfg),
		.flash_size = m->arch->flash_size,
	};
	size_t used = 0;
	u8 *fdt;
	int ret = add_topology(&desc, cfg, err);

	if (ret)
		return ret;
	fdt = calloc(1, ARM64_FDT_MAX);
	if (!fdt)
		return err_host(err, ENOMEM, "device tree");
	/* What is written to a file has no seeds: they are this guest's secrets. */
	if (cfg->dump_dtb[0]) {
		ret = fdt_build(&desc, fdt, ARM64_FDT_MAX, &used, err);
		if (!ret)
			ret = load_dump(cfg, "--dump-dtb", cfg->dump_dtb, fdt, used, err);
	}
	if (!ret)
		ret = add_seeds(&desc, err);
	if (!ret)
		ret = fdt_build(&desc, fdt, ARM64_FDT_MAX, &used, err);
	if (!ret && gmem_write(&m->gmem, entry->fdt_gpa, fdt, used))
		ret = err_host(err, EFAULT, "no room for the device tree");
	free(fdt);
	return ret;
}

int arch_load(struct machine *m, struct lkvm_error *err)
{
	const struct boot_files files = {
		.kernel = m->env->kernel,
		.initrd = m->env->initrd,
		.firmware = m->env->firmware,
	};
	struct boot_entry entry;
	int ret = boot_load(m->cfg, &files, &m->gmem, m->log, &entry, err);

	if (!ret)
		ret = load_fdt(m, &entry, err);
	return ret ? ret : arm64_set_boot_regs(m, entry.pc, entry.fdt_gpa, err);
}
