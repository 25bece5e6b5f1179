#include "vmm/machine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices/classes.h"
#include "devices/pci.h"
#include "linux-uapi/kvm.h"
#include "vmm/arch.h"
#include "vmm/peripherals.h"

static void on_dev_event(void *ctx, const struct dev *dev, enum dev_event event, u64 value)
{
	struct machine *m = ctx;

	switch (event) {
	case DEV_EVENT_POWEROFF:
		machine_end(m, LKVM_CAUSE_POWEROFF, 0, "the guest powered off through %s",
			    dev->name);
		break;
	case DEV_EVENT_RESET:
		machine_end(m, LKVM_CAUSE_RESET, 0, "the guest reset itself through %s", dev->name);
		break;
	case DEV_EVENT_VERDICT:
		machine_end(m, LKVM_CAUSE_VERDICT, value, "the guest's verdict is %llu",
			    (unsigned long long)value);
		break;
	case DEV_EVENT_PANIC:
		/* of a machine that has ended it is too late, and the next one is innocent */
		if (!atomic_load(&m->ended))
			m->env->panic(m->env->ctx);
		break;
	}
}

void machine_end(struct machine *m, enum lkvm_cause cause, u64 value, const char *fmt, ...)
{
	char detail[256];
	va_list ap;

	if (atomic_exchange(&m->ended, true))
		return;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	m->env->end(m->env->ctx, cause, value, detail);
}

/* ---- what buses and interrupts ask of KVM ------------------------------------------- */

static int set_ioeventfd(const struct machine *m, const struct bus_doorbell *db, bool on, u32 flags)
{
	const struct kvm_ioeventfd e = {
		.datamatch = db->match ? db->val : 0,
		.addr = db->addr,
		.len = db->size,
		.fd = db->fd,
		.flags = flags | (db->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0) |
			 (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return kvm_vm_ioctl(&m->kvm, KVM_IOEVENTFD, &e, NULL);
}

static int mmio_doorbell(void *ctx, const struct bus_doorbell *db, bool on)
{
	return set_ioeventfd(ctx, db, on, 0);
}

static int port_doorbell(void *ctx, const struct bus_doorbell *db, bool on)
{
	return set_ioeventfd(ctx, db, on, KVM_IOEVENTFD_FLAG_PIO);
}

static int bind_msi(void *ctx, const struct irq_msi *msi)
{
	struct machine *m = ctx;

	return msi_router_bind(&m->msi, msi);
}

void machine_irq_line(struct machine *m, u32 gsi, u32 irq, bool level)
{
	struct kvm_irq_level arg = { .irq = irq, .level = level };
	struct lkvm_error err = { 0 };

	if (kvm_vm_ioctl(&m->kvm, KVM_IRQ_LINE, &arg, &err) < 0 && ratelimit_ok(&m->irq_limit))
		log_error(m->log, "interrupt %u: %s", gsi, err.msg);
}

int machine_add_dev(struct machine *m, const struct dev_slot *slot, struct lkvm_error *err)
{
	int ret;

	if (m->n_devs == MACHINE_MAX_DEVS)
		return err_host(err, ENOSPC, "machine: no room for device %s", slot->name);
	ret = dev_create(&m->devs[m->n_devs], slot, &m->dev_env, err);
	if (!ret)
		m->n_devs++;
	return ret;
}

/* ---- virtio ------------------------------------------------------------------------- */

_Static_assert(LKVM_MAX_VIRTIO < PCI_MAX_SLOTS, "slot 0 is the host bridge's");

static int add_virtio_pci(struct machine *m, const char *name, const struct virtio_place *place,
			  struct virtio_cfg *cfg, struct lkvm_error *err)
{
	cfg->bus = place->pci_bus;
	cfg->slot = place->pci_slot;
	return machine_add_dev(m,
			       &(struct dev_slot){ .cls = &virtio_pci_class,
						   .name = name,
						   .irq_chip = &m->irq_chip,
						   .gsi = place->pci_gsi,
						   .cfg = cfg },
			       err);
}

static int add_virtio_mmio(struct machine *m, const char *name, const struct virtio_place *place,
			   struct virtio_cfg *cfg, struct lkvm_error *err)
{
	cfg->mmio = &m->mmio;
	cfg->base = place->mmio_base;
	return machine_add_dev(m,
			       &(struct dev_slot){ .cls = &virtio_mmio_class,
						   .name = name,
						   .ranges = { { .bus = cfg->mmio,
								 .base = cfg->base,
								 .len = VIRTIO_MMIO_LEN,
								 .sizes = BUS_SIZE_ANY } },
						   .irq_chip = &m->irq_chip,
						   .gsi = place->mmio_gsi,
						   .cfg = cfg },
			       err);
}

int machine_add_virtio(struct machine *m, unsigned int index, const char *name,
		       const struct virtio_class *cls, const void *cfg, struct lkvm_error *err)
{
	struct virtio_cfg vcfg = { .cls = cls, .cfg = cfg };
	struct virtio_place place;

	arch_virtio_place(m, index, &place);
	if (m->cfg->virtio_transport == LKVM_VIRTIO_MMIO)
		return add_virtio_mmio(m, name, &place, &vcfg, err);
	return add_virtio_pci(m, name, &place, &vcfg, err);
}

unsigned int machine_n_virtio_mmio(const struct lkvm_config *cfg)
{
	return cfg->virtio_transport == LKVM_VIRTIO_MMIO ? peripherals_count(cfg) : 0;
}

int machine_check_slot(const struct lkvm_config *cfg, const char *option, unsigned int slot,
		       struct lkvm_error *err)
{
	if (cfg->virtio_transport != LKVM_VIRTIO_PCI || peripherals_count(cfg) < slot)
		return 0;
	return err_input(err,
			 "%s: takes the place of virtio devices; at most %u of them are allowed "
			 "with it",
			 option, slot - 1);
}

int machine_check_pci(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	return cfg->pvpanic_pci
		       ? machine_check_slot(cfg, "--pvpanic pci", MACHINE_PVPANIC_SLOT, err)
		       : 0;
}

/* ---- all of it ---------------------------------------------------------------------- */

static int create_vcpus(struct machine *m, struct lkvm_error *err)
{
	int max = kvm_check(&m->kvm, KVM_CAP_MAX_VCPUS);
	int ret;

	if (max > 0 && m->cfg->n_vcpus > (unsigned int)max)
		return err_unsupported(err, E2BIG, "--cpus %u: this host's KVM takes at most %d",
				       m->cfg->n_vcpus, max);
	m->vcpus = calloc(m->cfg->n_vcpus, sizeof(*m->vcpus));
	if (!m->vcpus)
		return err_host(err, ENOMEM, "%u vCPUs", m->cfg->n_vcpus);
	for (unsigned int i = 0; i < m->cfg->n_vcpus; i++) {
		m->vcpus[i].fd = -1;
		m->n_vcpus = i + 1;
		ret = vcpu_create(&m->vcpus[i], m, i, err);
		if (ret)
			return ret;
	}
	return arch_init_vcpus(m, err);
}

/* The whole machine, top to bottom. */
static int assemble(struct machine *m, struct lkvm_error *err)
{
	const struct machine_env *env = m->env;
	unsigned long type = 0;
	int ret;

	ret = arch_vm_type(env->kvm_host, m->cfg, &type, err);
	if (!ret)
		ret = kvm_create_vm(&m->kvm, env->kvm_host, type, err);
	if (ret)
		return ret;

	/* what vcpu.c kicks vCPUs by */
	ret = kvm_require(&m->kvm, KVM_CAP_IMMEDIATE_EXIT, err);
	if (ret < 0)
		return ret;

	ret = arch_add_memory(m, err);
	if (ret)
		return ret;
	ret = gmem_register(&m->gmem, &m->kvm, err);
	if (ret)
		return ret;
	env->phase(env->ctx, LKVM_PHASE_MEMORY);

	ret = arch_init_vm(m, err);
	if (ret)
		return ret;
	ret = create_vcpus(m, err);
	if (ret)
		return ret;
	if (m->msi.table)
		m->irq_chip.bind = bind_msi;
	ret = arch_add_devices(m, err);
	if (ret)
		return ret;
	ret = peripherals_plug(env->peripherals, m, err);
	if (ret)
		return ret;

	ret = arch_load(m, err);
	if (ret)
		return ret;
	env->phase(env->ctx, LKVM_PHASE_KERNEL);
	return 0;
}

int machine_create(struct machine **out, const struct machine_env *env, struct lkvm_error *err)
{
	struct machine *m = calloc(1, sizeof(*m));
	int ret;

	*out = NULL;
	if (!m)
		return err_host(err, ENOMEM, "machine");
	m->env = env;
	m->cfg = env->cfg;
	m->log = env->log;
	m->kvm = (struct kvm)KVM_INIT;
	cpu_mask_parse(m->cfg->vcpu_affinity, &m->cpus);
	m->gmem.backing = (struct gmem_backing){
		.kind = m->cfg->hugetlbfs[0] ? LKVM_MEM_HUGETLBFS : m->cfg->mem_backend,
		.hugetlbfs = m->cfg->hugetlbfs,
		.prefault = m->cfg->mem_prefault,
		.lock = m->cfg->mem_lock,
		.no_thp = m->cfg->no_thp,
		.kvm = &m->kvm,
	};
	bus_init(&m->ports, "port", m->log);
	bus_init(&m->mmio, "mmio", m->log);
	m->mmio.doorbell = mmio_doorbell;
	m->ports.doorbell = port_doorbell;
	m->mmio.doorbell_ctx = m->ports.doorbell_ctx = m;
	irq_chip_init(&m->irq_chip, arch_set_irq, m);
	dev_gate_init(&m->gate);
	pthread_mutex_init(&m->run_lock, NULL);
	pthread_cond_init(&m->run_cond, NULL);
	m->dev_env = (struct dev_env){
		.log = m->log,
		.gmem = &m->gmem,
		.loop = env->loop,
		.gate = &m->gate,
		.event = on_dev_event,
		.ctx = m,
	};

	ret = assemble(m, err);
	if (ret) {
		machine_destroy(m);
		return ret;
	}
	*out = m;
	return 0;
}

/* Files are done with guest memory when this returns; false: nobody can tell. */
static bool quiesce(struct machine *m)
{
	int ret;

	atomic_store(&m->dev_env.quiet, true);
	ret = loop_io_drain(m->env->loop);
	if (ret)
		log_error(m->log,
			  "file requests cannot be waited for (%s): guest memory is kept for them",
			  err_text(-ret));
	return !ret;
}

void machine_destroy(struct machine *m)
{
	bool quiet;

	if (!m)
		return;
	machine_halt(m);
	quiet = quiesce(m);
	for (unsigned int i = m->n_devs; i-- > 0;)
		dev_destroy(m->devs[i]);
	for (unsigned int i = m->n_vcpus; i-- > 0;)
		vcpu_destroy(&m->vcpus[i]);
	free(m->vcpus);
	arch_fini(m);
	/* KVM lets go of guest memory before the memory goes. */
	kvm_destroy_vm(&m->kvm);
	msi_router_fini(&m->msi);
	if (quiet)
		gmem_fini(&m->gmem);

	pthread_cond_destroy(&m->run_cond);
	pthread_mutex_destroy(&m->run_lock);
	dev_gate_fini(&m->gate);
	irq_chip_fini(&m->irq_chip);
	bus_fini(&m->mmio);
	bus_fini(&m->ports);
	free(m);
}

int machine_start(struct machine *m, bool paused, struct lkvm_error *err)
{
	/* All start paused: none runs if one cannot be started. */
	for (unsigned int i = 0; i < m->n_vcpus; i++) {
		int ret = vcpu_start(&m->vcpus[i], err);

		if (ret) {
			machine_halt(m);
			return ret;
		}
	}
	if (!paused)
		machine_resume(m);
	return 0;
}

static void kick_all(struct machine *m)
{
	for (unsigned int i = 0; i < m->n_vcpus; i++) {
		if (m->vcpus[i].has_thread)
			vcpu_kick(&m->vcpus[i]);
	}
	/* Those that wait for a device to catch up see @interrupt now. */
	dev_gate_wake(&m->gate);
}

void machine_pause(struct machine *m)
{
	for (unsigned int i = 0; i < m->n_vcpus; i++)
		atomic_store(&m->vcpus[i].pause, true);
	kick_all(m);
	pthread_mutex_lock(&m->run_lock);
	for (unsigned int i = 0; i < m->n_vcpus; i++) {
		while (m->vcpus[i].has_thread && !m->vcpus[i].parked)
			pthread_cond_wait(&m->run_cond, &m->run_lock);
	}
	pthread_mutex_unlock(&m->run_lock);
}

void machine_resume(struct machine *m)
{
	pthread_mutex_lock(&m->run_lock);
	for (unsigned int i = 0; i < m->n_vcpus; i++)
		atomic_store(&m->vcpus[i].pause, false);
	pthread_cond_broadcast(&m->run_cond);
	pthread_mutex_unlock(&m->run_lock);
}

void machine_halt(struct machine *m)
{
	pthread_mutex_lock(&m->run_lock);
	for (unsigned int i = 0; i < m->n_vcpus; i++)
		atomic_store(&m->vcpus[i].stop, true);
	pthread_cond_broadcast(&m->run_cond);
	pthread_mutex_unlock(&m->run_lock);
	kick_all(m);
	for (unsigned int i = 0; i < m->n_vcpus; i++) {
		if (m->vcpus[i].has_thread)
			pthread_join(m->vcpus[i].thread, NULL);
		m->vcpus[i].has_thread = false;
	}
}
