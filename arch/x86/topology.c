/* Sockets, cores and threads, and the APIC ids that number them. */
#include "arch/x86/cpuid.h"

/* 255 addresses every CPU (SDM 3A, physical destination mode). */
#define XAPIC_MAX_ID 254

static unsigned int bits_for(unsigned int count)
{
	unsigned int bits = 0;

	while ((1u << bits) < count)
		bits++;
	return bits;
}

/*
 * What was not given is 1, except that one of them takes what is left of @n: the
 * cores when they were not given, else the sockets, else the threads.
 */
static void derive(struct cpu_topology *topo, unsigned int n)
{
	unsigned int *rest = !topo->cores     ? &topo->cores
			     : !topo->sockets ? &topo->sockets
			     : !topo->threads ? &topo->threads
					      : NULL;

	if (!rest)
		return;
	topo->cores += !topo->cores;
	topo->sockets += !topo->sockets;
	topo->threads += !topo->threads;
	*rest = n / (topo->sockets * topo->cores * topo->threads);
}

static int check_count(const char *name, unsigned int count, unsigned int n, struct lkvm_error *err)
{
	if (count <= n)
		return 0;
	return err_input(err, "--cpus %u: %s=%u must be 1 to %u, the number of CPUs", n, name,
			 count, n);
}

int cpu_topology_init(struct cpu_topology *topo, const struct lkvm_config *cfg,
		      struct lkvm_error *err)
{
	unsigned int n = cfg->n_vcpus, last;
	int ret;

	*topo = (struct cpu_topology){
		.sockets = cfg->sockets,
		.cores = cfg->cores,
		.threads = cfg->threads,
	};
	if (n < 1 || n > LKVM_MAX_VCPUS)
		return err_input(err, "--cpus %u: must be 1 to %d", n, LKVM_MAX_VCPUS);
	/* each at most 255 from here on: no product below can wrap */
	ret = check_count("sockets", topo->sockets, n, err);
	if (!ret)
		ret = check_count("cores", topo->cores, n, err);
	if (!ret)
		ret = check_count("threads", topo->threads, n, err);
	if (ret)
		return ret;

	derive(topo, n);
	if (topo->sockets * topo->cores * topo->threads != n)
		return err_input(err,
				 "--cpus %u,sockets=%u,cores=%u,threads=%u: sockets * cores * "
				 "threads must be the number of CPUs, %u (0 is derived)",
				 n, cfg->sockets, cfg->cores, cfg->threads, n);

	topo->core_shift = bits_for(topo->threads);
	topo->socket_shift = topo->core_shift + bits_for(topo->cores);
	last = cpu_topology_apic_id(topo, n - 1);
	if (last > XAPIC_MAX_ID)
		return err_input(err,
				 "--cpus %u,sockets=%u,cores=%u,threads=%u: the last CPU gets APIC "
				 "id %u and %d is the highest allowed; cores and threads that are "
				 "powers of two leave no ids unused",
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
