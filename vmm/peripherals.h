/*
 * peripherals.h - the virtio devices a config asks for: their host sides, and plugging them in
 * (layer 4).
 *
 * Host sides (images and their locks, network back ends, console ports) belong to the VM
 * and outlive its machines; a restart plugs new devices into the same ones. The order is that
 * of the config: disks, network cards, console, entropy, so that each has the same
 * address in every run.
 */
#ifndef LKVM_VMM_PERIPHERALS_H
#define LKVM_VMM_PERIPHERALS_H

#include "vmm/console.h"
#include "vmm/disk.h"
#include "vmm/net.h"

struct machine;

struct peripherals {
	const struct lkvm_config *cfg;
	struct loop *loop;
	struct console *console; /* the VM's own */
	struct disk disks[LKVM_MAX_DISKS];
	struct net *nets[LKVM_MAX_NETS];
	struct console *ports[LKVM_MAX_PORTS];

	unsigned int n_draining; /* ports */
	void (*drained)(void *ctx);
	void *drained_ctx;
};

/* Open all there is, or nothing; while the loop does not run. @cfg outlives @p. */
int peripherals_open(struct peripherals *p, const struct lkvm_config *cfg, struct loop *loop,
		     const struct log *log, struct console *console, struct lkvm_error *err);

/* After the last machine. Accepts a zeroed or half-open struct. */
void peripherals_close(struct peripherals *p);

/* Begin to read what comes to the ports; a card's driver says when it wants frames. Loop thread. */
void peripherals_start(struct peripherals *p);

/* The machine has stopped: console_drain() for all ports, then @done once. Loop thread. */
void peripherals_drain(struct peripherals *p, void (*done)(void *ctx), void *ctx);

/* Give every device its place in @m. Context of arch_add_devices(). */
int peripherals_plug(const struct peripherals *p, struct machine *m, struct lkvm_error *err);

/* How many devices that is. */
unsigned int peripherals_count(const struct lkvm_config *cfg);

#endif
