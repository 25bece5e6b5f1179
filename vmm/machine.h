/*
 * machine.h - the hardware of one boot, assembled (struct: layer 2; machine.c: layer 4).
 *
 * A VM (vm.c) has a life; a machine is what it runs on from one power-on to the next.
 * A restart destroys the machine and assembles another from the same config and files,
 * which is the only reset that cannot forget something.
 */
#ifndef LKVM_VMM_MACHINE_H
#define LKVM_VMM_MACHINE_H

#include <pthread.h>

#include "vmm/base.h"
#include "vmm/bus.h"
#include "vmm/cpumask.h"
#include "vmm/dev.h"
#include "vmm/err.h"
#include "vmm/gmem.h"
#include "vmm/image.h"
#include "vmm/irq.h"
#include "vmm/kvm.h"
#include "vmm/log.h"
#include "vmm/msi.h"
#include "vmm/vcpu.h"

struct arch_machine;
struct disk;
struct pci_bus;
struct peripherals;
struct virtio_class;

#define MACHINE_MAX_DEVS 64

/* What a machine is made from and reports to; owned by the VM, outlives the machine. */
struct machine_env {
	const struct lkvm_config *cfg;
	const struct log *log;
	const struct kvm_host *kvm_host;
	struct loop *loop;
	struct console *console;
	const struct peripherals *peripherals;
	const struct image *kernel; /* files that were not given are IMAGE_NONE */
	const struct image *initrd;
	const struct image *firmware;
	const struct image *id_block; /* of --snp */
	const struct image *id_auth;
	struct disk *flash; /* NULL: none */

	/* The end, or something a device said. Any thread, device locks may be held. */
	void (*end)(void *ctx, enum lkvm_cause cause, u64 value, const char *detail);
	void (*phase)(void *ctx, enum lkvm_phase phase);
	void (*panic)(void *ctx); /* the guest says it panicked; output may follow */
	void *ctx;
};

struct machine {
	const struct machine_env *env;
	const struct lkvm_config *cfg; /* env's */
	const struct log *log;	       /* env's */

	struct kvm kvm;
	struct gmem gmem;
	struct bus ports; /* used by x86 only */
	struct bus mmio;
	struct irq_chip irq_chip;
	struct ratelimit irq_limit;
	struct msi_router msi; /* filled in before devices are made, where there are messages */

	struct dev_env dev_env;
	struct dev_gate gate;
	struct dev *devs[MACHINE_MAX_DEVS];
	unsigned int n_devs;

	struct arch_machine
		*arch; /* arch/: what it must remember between its calls; NULL at first */

	struct vcpu *vcpus;   /* cfg->n_vcpus */
	struct cpu_mask cpus; /* the host's CPUs they run on: the config's, or fewer */
	bool cpu_each;	      /* vCPU n has the n-th of them to itself: there are enough */
	unsigned int n_vcpus; /* created so far */
	_Atomic bool first_run_seen;
	_Atomic bool ended; /* machine_end() was called */

	pthread_mutex_t run_lock;
	pthread_cond_t run_cond; /* a vCPU parked, or may go on */
};

/* Memory, interrupt controllers, vCPUs, devices, kernel and tables, registers: ready to run. */
int machine_create(struct machine **m, const struct machine_env *env, struct lkvm_error *err);

/* Ends vCPU threads first. On the loop thread, or with the loop not running. NULL is allowed. */
void machine_destroy(struct machine *m);

/* Start vCPU threads; with @paused they wait for machine_resume(). */
int machine_start(struct machine *m, bool paused, struct lkvm_error *err);

/* Returns when no vCPU is in the guest. Not from a vCPU thread. */
void machine_pause(struct machine *m);
void machine_resume(struct machine *m);

/* Make all vCPU threads end and wait for them. Not from a vCPU thread. */
void machine_halt(struct machine *m);

/* This machine has come to its end; the first call counts. Any thread. */
void machine_end(struct machine *m, enum lkvm_cause cause, u64 value, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* For board.c: create a device and keep it. */
int machine_add_dev(struct machine *m, const struct dev_slot *slot, struct lkvm_error *err);

/*
 * The same for the virtio device @index of @cls with its own configuration @cfg, over the transport
 * of the config, where arch_virtio_place() says.
 */
int machine_add_virtio(struct machine *m, unsigned int index, const char *name,
		       const struct virtio_class *cls, const void *cfg, struct lkvm_error *err);

/* How many of them the guest is told of one by one, by @cfg: those on PCI it finds itself. */
unsigned int machine_n_virtio_mmio(const struct lkvm_config *cfg);

/* Where every board has pvpanic if it is a PCI function: the last virtio device's place. */
#define MACHINE_PVPANIC_SLOT LKVM_MAX_VIRTIO

/* For arch_validate(): virtio devices fill PCI slots from below; @option takes @slot of them. */
int machine_check_slot(const struct lkvm_config *cfg, const char *option, unsigned int slot,
		       struct lkvm_error *err);

/* The same of what every board has. */
int machine_check_pci(const struct lkvm_config *cfg, struct lkvm_error *err);

/*
 * For arch_set_irq(): drive the line that KVM_IRQ_LINE calls @irq, on behalf of @gsi. Any thread.
 */
void machine_irq_line(struct machine *m, u32 gsi, u32 irq, bool level);

#endif
