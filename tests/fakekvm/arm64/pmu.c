/* pmu.c - the PMU's attributes of a vCPU (vcpu.rst 1), and the two posted ways to partition it
 * (linux-uapi/unmerged.h). */
#include "tests/fakekvm/arm64/arm64.h"

#include <errno.h>

#define N_EVENTS 0x10000 /* vcpu.rst 1.3: 16 bits from ARMv8.1 on */

static bool can_partition(const struct fake_call *c, enum arm64_partition how)
{
	return c->fk->host->arm64->partition == how;
}

/* How many counters SET_NR_COUNTERS may give. */
static unsigned int max_counters(const struct fake_call *c)
{
	const struct arm64_knobs *k = arm64_knobs(c->fk);

	return arm64_vm(c->vm)->partitioned ? k->n_partition : k->n_counters;
}

/* vcpu.rst 1.1: a PPI that is the same for all, or an SPI that is nobody else's. */
static bool irq_valid(const struct fake_call *c, int irq)
{
	if (irq < 16 || irq > 1019)
		return false;
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++) {
		const struct fake_vcpu *other = &c->fk->vcpus[i];

		if (other->vm != c->vm || !arm64_vcpu(other)->pmu_irq)
			continue;
		if ((irq < ARM64_PRIVATE) != (arm64_vcpu(other)->pmu_irq == irq))
			return false;
	}
	return true;
}

static int set_irq(struct fake_call *c, const int *irq)
{
	struct arm64_vcpu *v = arm64_vcpu(c->vcpu);

	if (!arm64_vm(c->vm)->gic)
		return -EINVAL;
	if (!irq)
		return -EFAULT;
	fake_note(c, " %d", *irq);
	if (!irq_valid(c, *irq))
		return -EINVAL;
	if (v->pmu_irq)
		return -EBUSY;
	v->pmu_irq = *irq;
	return 0;
}

/* vcpu.rst 1.2: EEXIST where a timer has that interrupt. */
static int init(struct fake_call *c)
{
	const struct arm64_vm *vm = arm64_vm(c->vm);
	struct arm64_vcpu *v = arm64_vcpu(c->vcpu);

	if (vm->gic && !vm->gic_ready)
		return -ENODEV;
	if (vm->gic && !v->pmu_irq)
		return -ENXIO;
	for (unsigned int i = 0; vm->gic && i < ARM64_N_TIMERS; i++)
		if (c->vm->has_run && vm->timer_irq[i] == v->pmu_irq)
			return -EEXIST;
	v->pmu_ready = true;
	return 0;
}

static int set_filter(struct fake_call *c, const struct kvm_pmu_event_filter *f)
{
	if (!f)
		return -EFAULT;
	fake_note(c, " 0x%x n %u action %u", f->base_event, f->nevents, f->action);
	if (f->base_event + f->nevents > N_EVENTS || f->action > KVM_PMU_EVENT_DENY)
		return -EINVAL;
	if (c->vm->has_run)
		return -EBUSY;
	arm64_vm(c->vm)->pmu_filtered = true;
	return 0;
}

/* vcpu.rst 1.4: another one than the filters were for is EBUSY; 1.5: cancels SET_NR_COUNTERS. */
static int set_pmu(struct fake_call *c, const int *type)
{
	const struct arm64_knobs *k = arm64_knobs(c->fk);
	struct arm64_vm *v = arm64_vm(c->vm);

	if (!type)
		return -EFAULT;
	fake_note(c, " %d", *type);
	for (unsigned int i = 0; i < k->n_pmus; i++) {
		if (k->pmus[i] != *type)
			continue;
		if (c->vm->has_run || (v->pmu_filtered && v->pmu_type != *type))
			return -EBUSY;
		v->pmu_type = *type;
		v->pmu_chosen = true;
		v->n_counters = max_counters(c);
		return 0;
	}
	return -ENXIO;
}

/* vcpu.rst 1.5 */
static int set_counters(struct fake_call *c, const unsigned int *n)
{
	struct arm64_vm *v = arm64_vm(c->vm);

	if (!n)
		return -EFAULT;
	fake_note(c, " %u", *n);
	if (!v->pmu_chosen || *n > max_counters(c))
		return -EINVAL;
	if (c->vm->has_run)
		return -EBUSY;
	v->n_counters = *n;
	return 0;
}

static void partition(struct fake_call *c, bool on)
{
	struct arm64_vm *v = arm64_vm(c->vm);

	v->partitioned = on;
	v->n_counters = (unsigned int)min_u64(v->n_counters, max_counters(c));
}

/* As posted: a bool read through an unsigned int *, EPERM where no counters are given away. */
static int enable_partition(struct fake_call *c, const bool *on)
{
	if (!on)
		return -EFAULT;
	fake_note(c, " %d", *on);
	if (c->fk->host->arm64->unconfigured)
		return -EPERM;
	partition(c, *on);
	return 0;
}

static int set(struct fake_call *c, const struct kvm_device_attr *a)
{
	const void *user = arm64_user(a->addr);

	/* by pmu-emul.c of the kernel, in this order */
	if (!arm64_has(c->vm, KVM_ARM_VCPU_PMU_V3))
		return -ENODEV;
	if (arm64_vcpu(c->vcpu)->pmu_ready)
		return -EBUSY;
	switch (a->attr) {
	case KVM_ARM_VCPU_PMU_V3_IRQ:
		return set_irq(c, user);
	case KVM_ARM_VCPU_PMU_V3_INIT:
		return init(c);
	case KVM_ARM_VCPU_PMU_V3_FILTER:
		return set_filter(c, user);
	case KVM_ARM_VCPU_PMU_V3_SET_PMU:
		return set_pmu(c, user);
	case KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS:
		return set_counters(c, user);
	case KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION:
		return can_partition(c, ARM64_PARTITION_ATTR) ? enable_partition(c, user) : -ENXIO;
	default:
		return -ENXIO;
	}
}

static int get(struct fake_call *c, const struct kvm_device_attr *a)
{
	int *irq = arm64_user(a->addr);

	if (a->attr != KVM_ARM_VCPU_PMU_V3_IRQ)
		return -ENXIO;
	if (!arm64_vm(c->vm)->gic)
		return -EINVAL;
	if (!arm64_has(c->vm, KVM_ARM_VCPU_PMU_V3))
		return -ENODEV;
	if (!arm64_vcpu(c->vcpu)->pmu_irq)
		return -ENXIO;
	if (!irq)
		return -EFAULT;
	*irq = arm64_vcpu(c->vcpu)->pmu_irq;
	return 0;
}

int arm64_pmu_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	u64 last = can_partition(c, ARM64_PARTITION_ATTR) ? KVM_ARM_VCPU_PMU_V3_ENABLE_PARTITION
							  : KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS;

	if (verb == ARM64_SET)
		return set(c, a);
	if (verb == ARM64_GET)
		return get(c, a);
	return a->attr <= last && arm64_has(c->vm, KVM_ARM_VCPU_PMU_V3) ? 0 : -ENXIO;
}

/* As posted: ENOEXEC, EPERM, EFAULT in this order; EINVAL of a kernel that does not know it. */
int arm64_partition_pmu(struct fake_call *c)
{
	const bool *on = fake_user(c);

	if (!can_partition(c, ARM64_PARTITION_IOCTL))
		return -EINVAL;
	if (!arm64_vcpu(c->vcpu)->initialized)
		return -ENOEXEC;
	if (c->fk->host->arm64->unconfigured)
		return -EPERM;
	if (!on)
		return -EFAULT;
	fake_note(c, " %d", *on);
	partition(c, *on);
	return 0;
}
