/*
 * staterig.h - whole x86-64 machines without a VM around them, for tests that move state from one
 * to another.
 */
#ifndef LKVM_TESTS_UNIT_X86_STATERIG_H
#define LKVM_TESTS_UNIT_X86_STATERIG_H

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

#include "arch/x86/layout.h"
#include "arch/x86/machine.h"
#include "arch/x86/state.h"
#include "vmm/arch.h"
#include "vmm/console.h"
#include "vmm/loop.h"
#include "vmm/peripherals.h"

struct rig {
	struct lkvm_config cfg;
	struct log log;
	struct kvm_host host;
	struct peripherals peripherals; /* none */
	struct machine_env env;
	struct machine *m;
	struct lkvm_error err;
	_Atomic int cause; /* enum lkvm_cause of the end; 0: none yet */
	u64 value;
	char detail[256];
};

static inline void rig_end(void *ctx, enum lkvm_cause cause, u64 value, const char *detail)
{
	struct rig *r = ctx;

	r->value = value;
	snprintf(r->detail, sizeof(r->detail), "%s", detail);
	atomic_store(&r->cause, cause);
}

static inline void rig_phase(void *ctx, enum lkvm_phase phase)
{
	(void)ctx;
	(void)phase;
}

static inline void rig_panic(void *ctx)
{
	(void)ctx;
}

static inline void rig_console(void *ctx)
{
	(void)ctx;
}

static const struct console_ops rig_console_ops = { rig_console, rig_console, rig_console };

static inline int rig_assemble(struct rig *r, const struct kvm_backend *be)
{
	int ret = kvm_open(&r->host, be, &r->err);

	if (!ret)
		ret = loop_create(&r->env.loop, LOOP_MANUAL, &r->err);
	if (!ret)
		ret = console_create(&r->env.console, &r->cfg.console, false, r->env.loop, &r->log,
				     &rig_console_ops, r, &r->err);
	if (!ret)
		ret = arch_validate(&r->cfg, &r->err);
	return ret ? ret : machine_create(&r->m, &r->env, &r->err);
}

/* With @kernel loaded, which outlives it; the test fails if there is no such machine. */
static inline struct rig *rig_new(const struct kvm_backend *be, const struct lkvm_config *cfg,
				  const struct image *kernel)
{
	static const struct image none = IMAGE_NONE;
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->cfg = *cfg;
	r->host = (struct kvm_host)KVM_HOST_INIT;
	r->peripherals.cfg = &r->cfg;
	r->env = (struct machine_env){
		.cfg = &r->cfg,
		.log = &r->log,
		.kvm_host = &r->host,
		.peripherals = &r->peripherals,
		.kernel = kernel,
		.initrd = &none,
		.firmware = &none,
		.end = rig_end,
		.phase = rig_phase,
		.panic = rig_panic,
		.ctx = r,
	};
	if (rig_assemble(r, be))
		fail_msg("machine: %s", r->err.msg);
	return r;
}

static inline void rig_free(struct rig *r)
{
	if (!r)
		return;
	machine_destroy(r->m);
	console_destroy(r->env.console);
	loop_destroy(r->env.loop);
	kvm_close(&r->host);
	free(r);
}

/* ---- all there is to know of one ----------------------------------------------------------- */

#define RIG_MAX_VCPUS 8

struct rig_state {
	struct x86_vcpu_state *vcpus[RIG_MAX_VCPUS];
	struct x86_vm_state vm;
};

static inline void rig_state_free(struct rig_state *s)
{
	for (unsigned int i = 0; i < RIG_MAX_VCPUS; i++)
		x86_vcpu_state_free(s->vcpus[i]);
	memset(s, 0, sizeof(*s));
}

static inline int rig_get(struct rig *r, struct rig_state *s)
{
	int ret = 0;

	memset(s, 0, sizeof(*s));
	memset(&r->err, 0, sizeof(r->err));
	assert_true(r->m->n_vcpus <= RIG_MAX_VCPUS);
	for (unsigned int i = 0; !ret && i < r->m->n_vcpus; i++)
		ret = x86_vcpu_state_get(&r->m->vcpus[i], &s->vcpus[i], &r->err);
	return ret ? ret : x86_vm_state_get(r->m, &s->vm, &r->err);
}

static inline int rig_set(struct rig *r, const struct rig_state *s)
{
	int ret = 0;

	memset(&r->err, 0, sizeof(r->err));
	for (unsigned int i = 0; !ret && i < r->m->n_vcpus; i++)
		ret = x86_vcpu_state_set(&r->m->vcpus[i], s->vcpus[i], &r->err);
	return ret ? ret : x86_vm_state_set(r->m, &s->vm, &r->err);
}

static inline void rig_assert_same(const struct rig *r, const struct rig_state *a,
				   const struct rig_state *b)
{
	struct x86_state_diff diff;
	const char *what;

	for (unsigned int i = 0; i < r->m->n_vcpus; i++) {
		if (!x86_vcpu_state_same(a->vcpus[i], b->vcpus[i], &diff))
			fail_msg("vCPU %u: %s differs (0x%x)", i, diff.what, diff.msr);
	}
	if (!x86_vm_state_same(&a->vm, &b->vm, &what))
		fail_msg("%s differs", what);
}

#endif
