/*
 * staterig.h - an arm64 machine without a board, for tests that move state from one to another.
 *
 * Memory, interrupt controller and vCPUs are made by the library in the order of machine.c; of
 * devices there are those that a test adds.
 */
#ifndef LKVM_TESTS_UNIT_ARM64_STATERIG_H
#define LKVM_TESTS_UNIT_ARM64_STATERIG_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/arm64/gic_state.h"
#include "arch/arm64/layout.h"
#include "arch/arm64/machine.h"
#include "arch/arm64/state.h"
#include "vmm/arch.h"
#include "vmm/loop.h"

struct rig {
	struct lkvm_config cfg;
	struct log log;
	struct kvm_host host;
	struct machine_env env;
	struct machine m;
	struct lkvm_error err;
	_Atomic int cause; /* enum lkvm_cause of the end; 0: none yet */
	char detail[256];
};

static inline void rig_end(void *ctx, enum lkvm_cause cause, u64 value, const char *detail)
{
	struct rig *r = ctx;

	(void)value;
	snprintf(r->detail, sizeof(r->detail), "%s", detail);
	atomic_store(&r->cause, cause);
}

static inline void rig_phase(void *ctx, enum lkvm_phase phase)
{
	(void)ctx;
	(void)phase;
}

static inline void rig_dev_event(void *ctx, const struct dev *dev, enum dev_event event, u64 value)
{
	(void)ctx;
	(void)dev;
	(void)event;
	(void)value;
}

static inline int rig_make_vcpus(struct rig *r)
{
	struct machine *m = &r->m;

	m->vcpus = calloc(m->cfg->n_vcpus, sizeof(*m->vcpus));
	if (!m->vcpus)
		return -ENOMEM;
	for (unsigned int i = 0; i < m->cfg->n_vcpus; i++) {
		int ret;

		m->vcpus[i].fd = -1;
		m->n_vcpus = i + 1;
		ret = vcpu_create(&m->vcpus[i], m, i, &r->err);
		if (ret)
			return ret;
	}
	return arch_init_vcpus(m, &r->err);
}

static inline int rig_assemble(struct rig *r, const struct kvm_backend *be)
{
	struct machine *m = &r->m;
	unsigned long type = 0;
	int ret = kvm_open(&r->host, be, &r->err);

	if (!ret)
		ret = loop_create(&r->env.loop, LOOP_MANUAL, &r->err);
	if (!ret)
		ret = arch_validate(&r->cfg, &r->err);
	if (!ret)
		ret = arch_vm_type(&r->host, &r->cfg, &type, &r->err);
	if (!ret)
		ret = kvm_create_vm(&m->kvm, &r->host, type, &r->err);
	if (!ret)
		ret = arch_add_memory(m, &r->err);
	if (!ret)
		ret = gmem_register(&m->gmem, &m->kvm, &r->err);
	if (!ret)
		ret = arch_init_vm(m, &r->err);
	return ret ? ret : rig_make_vcpus(r);
}

/* Into *@r; rig_free() also after a failure. */
static inline int rig_init(struct rig *r, const struct kvm_backend *be,
			   const struct lkvm_config *cfg)
{
	struct machine *m = &r->m;

	memset(r, 0, sizeof(*r));
	r->cfg = *cfg;
	r->host = (struct kvm_host)KVM_HOST_INIT;
	m->kvm = (struct kvm)KVM_INIT;
	r->env = (struct machine_env){
		.cfg = &r->cfg,
		.log = &r->log,
		.kvm_host = &r->host,
		.end = rig_end,
		.phase = rig_phase,
		.ctx = r,
	};
	m->env = &r->env;
	m->cfg = &r->cfg;
	m->log = &r->log;
	bus_init(&m->ports, "port", m->log);
	bus_init(&m->mmio, "mmio", m->log);
	irq_chip_init(&m->irq_chip, arch_set_irq, m);
	dev_gate_init(&m->gate);
	pthread_mutex_init(&m->run_lock, NULL);
	pthread_cond_init(&m->run_cond, NULL);
	m->dev_env = (struct dev_env){
		.log = m->log,
		.gmem = &m->gmem,
		.gate = &m->gate,
		.event = rig_dev_event,
	};
	return rig_assemble(r, be);
}

static inline struct rig *rig_new(const struct kvm_backend *be, const struct lkvm_config *cfg)
{
	struct rig *r = malloc(sizeof(*r));

	assert_non_null(r);
	if (rig_init(r, be, cfg))
		fail_msg("machine: %s", r->err.msg);
	r->m.dev_env.loop = r->env.loop;
	return r;
}

static inline void rig_fini(struct rig *r)
{
	struct machine *m = &r->m;

	machine_halt(m);
	for (unsigned int i = m->n_devs; i-- > 0;)
		dev_destroy(m->devs[i]);
	for (unsigned int i = m->n_vcpus; i-- > 0;)
		vcpu_destroy(&m->vcpus[i]);
	free(m->vcpus);
	arch_fini(m);
	kvm_destroy_vm(&m->kvm);
	msi_router_fini(&m->msi);
	gmem_fini(&m->gmem);
	pthread_cond_destroy(&m->run_cond);
	pthread_mutex_destroy(&m->run_lock);
	dev_gate_fini(&m->gate);
	irq_chip_fini(&m->irq_chip);
	bus_fini(&m->mmio);
	bus_fini(&m->ports);
	loop_destroy(r->env.loop);
	kvm_close(&r->host);
}

static inline void rig_free(struct rig *r)
{
	if (!r)
		return;
	rig_fini(r);
	free(r);
}

/* ---- all there is to know of one ----------------------------------------------------------- */

#define RIG_MAX_VCPUS 8

struct rig_state {
	struct arm64_vcpu_state *vcpus[RIG_MAX_VCPUS];
	struct gic_state *gic;
	struct arm64_clock_state clock;
};

static inline void rig_state_free(struct rig_state *s)
{
	for (unsigned int i = 0; i < RIG_MAX_VCPUS; i++)
		arm64_vcpu_state_free(s->vcpus[i]);
	gic_state_free(s->gic);
	memset(s, 0, sizeof(*s));
}

static inline int rig_get(struct rig *r, struct rig_state *s)
{
	int ret = 0;

	memset(s, 0, sizeof(*s));
	memset(&r->err, 0, sizeof(r->err));
	assert_true(r->m.n_vcpus <= RIG_MAX_VCPUS);
	for (unsigned int i = 0; !ret && i < r->m.n_vcpus; i++)
		ret = arm64_vcpu_state_get(&r->m.vcpus[i], &s->vcpus[i], &r->err);
	if (!ret)
		ret = arm64_clock_state_get(&r->m, &s->clock, &r->err);
	return ret ? ret : gic_state_get(&r->m, &s->gic, &r->err);
}

/* All but the clock. */
static inline int rig_set(struct rig *r, const struct rig_state *s)
{
	int ret = 0;

	memset(&r->err, 0, sizeof(r->err));
	for (unsigned int i = 0; !ret && i < r->m.n_vcpus; i++)
		ret = arm64_vcpu_state_set(&r->m.vcpus[i], s->vcpus[i], &r->err);
	return ret ? ret : gic_state_set(&r->m, s->gic, &r->err);
}

static inline void rig_assert_same(const struct rig *r, const struct rig_state *a,
				   const struct rig_state *b)
{
	const struct gic_reg *reg = NULL;
	u64 id = 0;

	for (unsigned int i = 0; i < r->m.n_vcpus; i++) {
		if (!arm64_vcpu_state_same(a->vcpus[i], b->vcpus[i], &id))
			fail_msg("vCPU %u: register 0x%llx differs", i, (unsigned long long)id);
	}
	if (!gic_state_same(a->gic, b->gic, &reg))
		fail_msg("GIC register 0x%llx of group %u differs",
			 reg ? (unsigned long long)reg->attr : 0, reg ? reg->group : 0);
}

#endif
