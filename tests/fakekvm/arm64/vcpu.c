/* vcpu.c - arm64 vCPUs: initialised, finalised, their attributes but the PMU's, and what KVM_RUN
 * wants before it enters. */
#include "tests/fakekvm/arm64/arm64.h"

#include <errno.h>

/* ---- KVM_ARM_VCPU_INIT (4.82), KVM_ARM_VCPU_FINALIZE (4.119) ---- */

static u32 supported_features(struct fakekvm *fk)
{
	static const struct {
		u32 feature;
		u32 cap;
	} by_cap[] = {
		{ KVM_ARM_VCPU_EL1_32BIT, KVM_CAP_ARM_EL1_32BIT },
		{ KVM_ARM_VCPU_PMU_V3, KVM_CAP_ARM_PMU_V3 },
		{ KVM_ARM_VCPU_SVE, KVM_CAP_ARM_SVE },
		{ KVM_ARM_VCPU_PTRAUTH_ADDRESS, KVM_CAP_ARM_PTRAUTH_ADDRESS },
		{ KVM_ARM_VCPU_PTRAUTH_GENERIC, KVM_CAP_ARM_PTRAUTH_GENERIC },
		{ KVM_ARM_VCPU_HAS_EL2, KVM_CAP_ARM_EL2 },
		{ KVM_ARM_VCPU_HAS_EL2_E2H0, KVM_CAP_ARM_EL2_E2H0 },
	};
	u32 features = 1u << KVM_ARM_VCPU_POWER_OFF | 1u << KVM_ARM_VCPU_PSCI_0_2;

	for (unsigned int i = 0; i < ARRAY_SIZE(by_cap); i++)
		if (fake_cap(fk, NULL, by_cap[i].cap) > 0)
			features |= 1u << by_cap[i].feature;
	return features;
}

/*
 * 4.82: ENOENT for unknown features, EINVAL for those this host has not and for combinations:
 * pointer authentication is a whole; 32-bit EL1 goes with neither EL2 nor MTE. EL2_E2H0 without
 * EL2 was seen to be accepted, for an EL1 vCPU.
 */
static int check_features(struct fake_call *c, const struct kvm_vcpu_init *init)
{
	const u32 known = (1u << (KVM_ARM_VCPU_HAS_EL2_E2H0 + 1)) - 1;
	u32 f = init->features[0];

	for (unsigned int i = 0; i < ARRAY_SIZE(init->features); i++)
		if (init->features[i] & ~(i ? 0 : known))
			return -ENOENT;
	if (f & ~supported_features(c->fk))
		return -EINVAL;
	if ((f >> KVM_ARM_VCPU_PTRAUTH_ADDRESS ^ f >> KVM_ARM_VCPU_PTRAUTH_GENERIC) & 1)
		return -EINVAL;
	if (f >> KVM_ARM_VCPU_EL1_32BIT & 1 &&
	    (f >> KVM_ARM_VCPU_HAS_EL2 & 1 || arm64_vm(c->vm)->mte))
		return -EINVAL;
	return 0;
}

/* All vCPUs of a VM, and one that is initialised again, have the same features: EINVAL (4.82). */
static int vcpu_init(struct fake_call *c)
{
	const struct kvm_vcpu_init *init = fake_user(c);
	struct arm64_vcpu *v = arm64_vcpu(c->vcpu);
	struct arm64_vm *vm = arm64_vm(c->vm);
	u32 features;
	int ret;

	if (!init)
		return -EFAULT;
	fake_note(c, " target %u features 0x%x", init->target, init->features[0]);
	if (init->target != ARM64_TARGET)
		return -EINVAL;
	ret = check_features(c, init);
	if (ret)
		return ret;
	features = init->features[0] & ~(1u << KVM_ARM_VCPU_POWER_OFF);
	if (vm->has_features && vm->features != features)
		return -EINVAL;
	if (!vm->has_features && features >> KVM_ARM_VCPU_PMU_V3 & 1)
		vm->n_counters = arm64_knobs(c->fk)->n_counters;
	vm->has_features = true;
	vm->features = features;
	v->initialized = true;
	v->mp_state = init->features[0] >> KVM_ARM_VCPU_POWER_OFF & 1 ? KVM_MP_STATE_STOPPED
								      : KVM_MP_STATE_RUNNABLE;
	arm64_reset_regs(c->fk, c->vcpu);
	return 0;
}

static bool is_finalized(const struct fake_vcpu *vcpu)
{
	return !arm64_has(vcpu->vm, KVM_ARM_VCPU_SVE) || arm64_vcpu(vcpu)->finalized;
}

/* 4.119: ENOEXEC before init, EPERM the second time, EINVAL for a feature it does not have. */
static int vcpu_finalize(struct fake_call *c)
{
	const int *feature = fake_user(c);
	struct arm64_vcpu *v = arm64_vcpu(c->vcpu);

	if (!v->initialized)
		return -ENOEXEC;
	if (!feature)
		return -EFAULT;
	fake_note(c, " %d", *feature);
	if (*feature != KVM_ARM_VCPU_SVE || !arm64_has(c->vm, KVM_ARM_VCPU_SVE))
		return -EINVAL;
	if (v->finalized)
		return -EPERM;
	v->finalized = true;
	return 0;
}

/* ---- MP state (4.38, 4.39) and events (4.31, 4.32) ---- */

static int get_mp_state(struct fake_call *c)
{
	struct kvm_mp_state *out = fake_user(c);

	if (!out)
		return -EFAULT;
	out->mp_state = arm64_vcpu(c->vcpu)->mp_state;
	return 0;
}

static int set_mp_state(struct fake_call *c)
{
	const struct kvm_mp_state *in = fake_user(c);

	if (!in)
		return -EFAULT;
	fake_note(c, " %u", in->mp_state);
	if (in->mp_state != KVM_MP_STATE_RUNNABLE && in->mp_state != KVM_MP_STATE_STOPPED &&
	    in->mp_state != KVM_MP_STATE_SUSPENDED)
		return -EINVAL;
	arm64_vcpu(c->vcpu)->mp_state = in->mp_state;
	return 0;
}

static int get_vcpu_events(struct fake_call *c)
{
	struct kvm_vcpu_events *out = fake_user(c);

	if (!out)
		return -EFAULT;
	*out = arm64_vcpu(c->vcpu)->events;
	return 0;
}

/* 4.32: EINVAL for what is reserved, for a syndrome longer than the CPU's; an abort is injected at
 * once and never seen again. */
static int set_vcpu_events(struct fake_call *c)
{
	static const struct kvm_vcpu_events zero;
	const struct kvm_vcpu_events *in = fake_user(c);
	struct kvm_vcpu_events *mine = &arm64_vcpu(c->vcpu)->events;

	if (!in)
		return -EFAULT;
	fake_note(c, " serror %u", in->exception.serror_pending);
	if (memcmp(in->reserved, zero.reserved, sizeof(zero.reserved)) ||
	    memcmp(in->exception.pad, zero.exception.pad, sizeof(zero.exception.pad)) ||
	    (in->exception.serror_has_esr && in->exception.serror_esr >> 25))
		return -EINVAL;
	*mine = *in;
	mine->exception.ext_dabt_pending = 0;
	return 0;
}

/* PSCI SYSTEM_OFF and SYSTEM_RESET: no vCPU runs on until user space says so (chapter 5). */
void arm64_power_off_all(struct fake_call *c)
{
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++)
		if (c->fk->vcpus[i].vm == c->vm)
			arm64_vcpu(&c->fk->vcpus[i])->mp_state = KVM_MP_STATE_STOPPED;
}

/* ---- Attributes (vcpu.rst) ---- */

const struct kvm_device_attr *arm64_take_attr(struct fake_call *c)
{
	const struct kvm_device_attr *a = fake_user(c);

	if (a)
		fake_note(c, " group %u attr 0x%llx", a->group, (unsigned long long)a->attr);
	return a;
}

bool arm64_attr_hidden(const struct fake_call *c, const struct kvm_device_attr *a)
{
	const struct arm64_knobs *k = arm64_knobs(c->fk);

	for (unsigned int i = 0; i < k->n_hidden; i++)
		if (k->hidden[i].of_vcpu == !!c->vcpu && k->hidden[i].group == a->group &&
		    k->hidden[i].attr == a->attr)
			return true;
	return false;
}

/* vcpu.rst 2: a PPI, else EINVAL; so without an interrupt controller (arch_timer.c); EBUSY once
 * one of the vCPUs ran. */
static int timer_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	struct arm64_vm *v = arm64_vm(c->vm);
	int *irq = arm64_user(a->addr);

	if (a->attr >= ARM64_N_TIMERS)
		return -ENXIO;
	if (verb == ARM64_HAS)
		return 0;
	if (verb == ARM64_SET && !v->gic)
		return -EINVAL;
	if (!irq)
		return -EFAULT;
	if (verb == ARM64_GET) {
		*irq = v->timer_irq[a->attr];
		return 0;
	}
	fake_note(c, " %d", *irq);
	if (*irq < 16 || *irq >= ARM64_PRIVATE)
		return -EINVAL;
	if (c->vm->has_run)
		return -EBUSY;
	v->timer_irq[a->attr] = *irq;
	return 0;
}

/* vcpu.rst 3: ENXIO without, EEXIST set already, EINVAL for alignment and (pvtime.c) no slot. */
static int pvtime_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	struct arm64_vcpu *v = arm64_vcpu(c->vcpu);
	u64 *ipa = arm64_user(a->addr);

	if (a->attr != KVM_ARM_VCPU_PVTIME_IPA || fake_cap(c->fk, c->vm, KVM_CAP_STEAL_TIME) <= 0)
		return -ENXIO;
	if (verb == ARM64_HAS)
		return 0;
	if (!ipa)
		return -EFAULT;
	if (verb == ARM64_GET) {
		*ipa = v->pvtime;
		return 0;
	}
	fake_note(c, " 0x%llx", (unsigned long long)*ipa);
	if (*ipa % 64)
		return -EINVAL;
	if (v->pvtime != ARM64_UNDEF)
		return -EEXIST;
	if (!fake_gpa(c->vm, *ipa, 64))
		return -EINVAL;
	v->pvtime = *ipa;
	return 0;
}

static int vcpu_attr(struct fake_call *c, enum arm64_verb verb)
{
	const struct kvm_device_attr *a = arm64_take_attr(c);

	if (!a)
		return -EFAULT;
	if (arm64_attr_hidden(c, a))
		return -ENXIO;
	switch (a->group) {
	case KVM_ARM_VCPU_PMU_V3_CTRL:
		return arm64_pmu_attr(c, verb, a);
	case KVM_ARM_VCPU_TIMER_CTRL:
		return timer_attr(c, verb, a);
	case KVM_ARM_VCPU_PVTIME_CTRL:
		return pvtime_attr(c, verb, a);
	default:
		return -ENXIO;
	}
}

static int set_attr(struct fake_call *c)
{
	return vcpu_attr(c, ARM64_SET);
}

static int get_attr(struct fake_call *c)
{
	return vcpu_attr(c, ARM64_GET);
}

static int has_attr(struct fake_call *c)
{
	return vcpu_attr(c, ARM64_HAS);
}

/* ---- KVM_RUN (4.10) ---- */

/* vcpu.rst 2.1: "Setting the same PPI for different timers will prevent the VCPUs from running." */
static int check_timers(const struct arm64_vm *v, bool el2)
{
	unsigned int n = el2 ? ARM64_N_TIMERS : 2;
	u32 seen = 0;

	for (unsigned int i = 0; v->gic && i < n; i++) {
		if (seen >> v->timer_irq[i] & 1)
			return -EINVAL;
		seen |= 1u << v->timer_irq[i];
	}
	return 0;
}

/*
 * ENOEXEC (4.10) before KVM_ARM_VCPU_INIT, EPERM (4.119) before what has to be finalised is; then,
 * the first time, the interrupt controller, the timers, the PMU. EAGAIN for EL2 without a GICv3:
 * observed; EINVAL for a PMU that is not initialised: pmu-emul.c of the kernel.
 */
int arm64_run_first(struct fake_call *c)
{
	const struct arm64_vcpu *v = arm64_vcpu(c->vcpu);
	bool el2 = arm64_has(c->vm, KVM_ARM_VCPU_HAS_EL2);
	int ret;

	if (!v->initialized)
		return -ENOEXEC;
	if (!is_finalized(c->vcpu))
		return -EPERM;
	if (c->vcpu->has_run)
		return 0;
	ret = arm64_vgic_check_run(c);
	if (!ret && el2 && arm64_vm(c->vm)->gic != KVM_DEV_TYPE_ARM_VGIC_V3)
		return -EAGAIN;
	if (!ret)
		ret = check_timers(arm64_vm(c->vm), el2);
	if (!ret && arm64_has(c->vm, KVM_ARM_VCPU_PMU_V3) && !v->pmu_ready)
		ret = -EINVAL;
	return ret;
}

const struct fake_request arm64_vcpu_requests[] = {
	FAKE_REQUEST(KVM_ARM_VCPU_INIT, vcpu_init),
	FAKE_REQUEST(KVM_ARM_VCPU_FINALIZE, vcpu_finalize),
	FAKE_REQUEST_CAP(KVM_GET_MP_STATE, get_mp_state, KVM_CAP_MP_STATE),
	FAKE_REQUEST_CAP(KVM_SET_MP_STATE, set_mp_state, KVM_CAP_MP_STATE),
	FAKE_REQUEST_CAP(KVM_GET_VCPU_EVENTS, get_vcpu_events, KVM_CAP_VCPU_EVENTS),
	FAKE_REQUEST_CAP(KVM_SET_VCPU_EVENTS, set_vcpu_events, KVM_CAP_VCPU_EVENTS),
	FAKE_REQUEST(KVM_GET_ONE_REG, arm64_get_one_reg),
	FAKE_REQUEST(KVM_SET_ONE_REG, arm64_set_one_reg),
	FAKE_REQUEST(KVM_GET_REG_LIST, arm64_get_reg_list),
	FAKE_REQUEST(KVM_SET_DEVICE_ATTR, set_attr),
	FAKE_REQUEST(KVM_GET_DEVICE_ATTR, get_attr),
	FAKE_REQUEST(KVM_HAS_DEVICE_ATTR, has_attr),
	FAKE_REQUEST(KVM_ARM_PARTITION_PMU, arm64_partition_pmu),
	FAKE_END,
};
