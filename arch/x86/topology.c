/* Sockets, cores and threads, and the APIC ids that number them. */
#include "arch/x86/cpuid.h"
#include "vmm/topology.h"

/* 15 bits of destination, and all ones address every CPU. */
#define EXT_DEST_MAX_ID 0x7ffe

/* A field of the id wastes less than one bit, and there are three. */
_Static_assert(8 * LKVM_MAX_VCPUS <= EXT_DEST_MAX_ID,
	       "any arrangement has ids that messages reach");

static unsigned int bits_for(unsigned int count)
{
	unsigned int bits = 0;

	while ((1u << bits) < count)
		bits++;
	return bits;
}

int cpu_topology_init(struct cpu_topology *topo, const struct lkvm_config *cfg,
		      struct lkvm_error *err)
{
	unsigned int n = cfg->n_vcpus, last;
	struct topology t;
	int ret = topology_init(&t, cfg, err);

	if (ret)
		return ret;
	if ((unsigned int)cfg->x86.irqchip > LKVM_X86_IRQCHIP_SPLIT)
		return err_input(err, "--irqchip %d is unknown", (int)cfg->x86.irqchip);
	*topo = (struct cpu_topology){
		.sockets = t.sockets,
		.cores = t.cores,
		.threads = t.threads,
	};
	topo->core_shift = bits_for(topo->threads);
	topo->socket_shift = topo->core_shift + bits_for(topo->cores);
	last = cpu_topology_apic_id(topo, n - 1);
	if (last > XAPIC_MAX_ID && cfg->x86.irqchip == LKVM_X86_IRQCHIP_KERNEL)
		return err_input(err,
				 "--cpus %u,sockets=%u,cores=%u,threads=%u: the last CPU gets APIC "
				 "id %u and --irqchip kernel takes at most %d; split takes more, "
				 "and cores and threads that are powers of two leave no ids unused",
				 n, topo->sockets, topo->cores, topo->threads, last, XAPIC_MAX_ID);
	return 0;
}

u32 cpu_topology_apic_id(const struct cpu_topology *topo, unsigned int index)
{
	unsigned int thread = index % topo->threads;
	unsigned int core = index / topo->threads % topo->cores;
	unsigned int socket = index / topo->threads / topo->cores;

	return socket << topo->socket_shift | core << topo->core_shift | thread;
}
