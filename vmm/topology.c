#include "vmm/topology.h"

static void derive(struct topology *topo, unsigned int n)
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

int topology_init(struct topology *topo, const struct lkvm_config *cfg, struct lkvm_error *err)
{
	unsigned int n = cfg->n_vcpus;
	int ret;

	*topo = (struct topology){ cfg->sockets, cfg->cores, cfg->threads };
	if (n < 1 || n > LKVM_MAX_VCPUS)
		return err_input(err, "--cpus %u: must be 1 to %d", n, LKVM_MAX_VCPUS);
	/* each at most LKVM_MAX_VCPUS from here on: no product below can wrap */
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
	return 0;
}
