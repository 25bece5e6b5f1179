/* topology.h - how a config's vCPUs are arranged (layer 2). A pure function. */
#ifndef LKVM_VMM_TOPOLOGY_H
#define LKVM_VMM_TOPOLOGY_H

#include "vmm/err.h"

/* vCPU n is thread n % threads of core n / threads % cores of socket n / (threads * cores). */
struct topology {
	unsigned int sockets;
	unsigned int cores;   /* per socket */
	unsigned int threads; /* per core */
};

/*
 * What @cfg says, filled up: what was not given is 1, except that one of them takes what is left of
 * the vCPUs: the cores when they were not given, else the sockets, else the threads. All are
 * 1..LKVM_MAX_VCPUS and their product is cfg->n_vcpus, or it is LKVM_ERR_INPUT.
 */
int topology_init(struct topology *topo, const struct lkvm_config *cfg, struct lkvm_error *err);

#endif
