/* vgic.c - the interrupt controllers of arm64 guests: made, placed, initialised
 * (Documentation/virt/kvm/devices/arm-vgic.rst, arm-vgic-v3.rst, arm-vgic-its.rst). */
#include "tests/fakekvm/arm64/arm64.h"

#include <errno.h>

#define GICV2_DIST_LEN 0x1000
#define GICV2_CPU_LEN  0x2000
#define GICV3_DIST_LEN 0x10000
#define REDIST_LEN     0x20000
#define ITS_LEN	       0x20000
#define PAGE_4K	       0x1000
#define PAGE_64K       0x10000
#define MIN_IRQS       64
#define MAX_IRQS       1023
#define DEFAULT_SPIS   224

void arm64_vgic_new_vm(struct fake_vm *vm)
{
	struct arm64_vm *v = arm64_vm(vm);

	v->dist = v->cpu = v->redist = ARM64_UNDEF;
	v->its.base = ARM64_UNDEF;
}

static bool is_v3(const struct arm64_vm *v)
{
	return v->gic == KVM_DEV_TYPE_ARM_VGIC_V3;
}

static bool within(u64 addr, u64 base, u64 len)
{
	return base != ARM64_UNDEF && addr >= base && addr - base < len;
}

bool arm64_vgic_claims(const struct fake_vm *vm, u64 addr)
{
	const struct arm64_vm *v = arm64_vm(vm);

	if (v->its.exists && within(addr, v->its.base, ITS_LEN))
		return true;
	if (!is_v3(v))
		return v->gic && (within(addr, v->dist, GICV2_DIST_LEN) ||
				  within(addr, v->cpu, GICV2_CPU_LEN));
	for (unsigned int i = 0; i < v->n_regions; i++)
		if (within(addr, v->regions[i].base, v->regions[i].count * REDIST_LEN))
			return true;
	return within(addr, v->dist, GICV3_DIST_LEN) ||
	       within(addr, v->redist, (u64)REDIST_LEN * vm->n_vcpus);
}

/* ---- Made ---- */

/*
 * arm-vgic-v3.rst: one of them, a GICv2 or a GICv3: EEXIST. vgic-init.c of the kernel: EBUSY once a
 * vCPU ran, E2BIG with more vCPUs than it knows. An ITS may come first.
 */
int arm64_vgic_create(struct fake_call *c, u32 type, const char **name)
{
	struct arm64_vm *v = arm64_vm(c->vm);

	if (type == KVM_DEV_TYPE_ARM_VGIC_ITS) {
		if (v->its.exists)
			return -ENOMEM; /* the fake's own limit: one */
		*name = "its";
		v->its.exists = true;
		arm64_its_reset(&v->its);
		return 0;
	}
	if (v->gic)
		return -EEXIST;
	if (c->vm->has_run)
		return -EBUSY;
	if (type == KVM_DEV_TYPE_ARM_VGIC_V2 && c->vm->n_vcpus > 8)
		return -E2BIG;
	v->gic = type;
	*name = is_v3(v) ? "vgic-v3" : "vgic-v2";
	return 0;
}

/* ---- Placed (KVM_DEV_ARM_VGIC_GRP_ADDR) ---- */

/* EEXIST set already, EINVAL misaligned or wrapping, E2BIG beyond the guest's address space. */
int arm64_check_range(const struct fake_vm *vm, u64 old, u64 addr, u64 align, u64 size)
{
	if (old != ARM64_UNDEF)
		return -EEXIST;
	if (addr % align || addr + size < addr)
		return -EINVAL;
	return addr + size > BIT(arm64_vm(vm)->ipa_bits) ? -E2BIG : 0;
}

/* Not both ways of placing redistributors. */
static int set_redist(struct fake_call *c, u64 addr)
{
	struct arm64_vm *v = arm64_vm(c->vm);
	u64 size = (u64)REDIST_LEN * c->vm->n_vcpus;
	int ret;

	if (v->n_regions)
		return -EINVAL;
	if (v->redist == ARM64_UNDEF && v->dist != ARM64_UNDEF &&
	    ranges_overlap(addr, size, v->dist, GICV3_DIST_LEN))
		return -EINVAL;
	ret = arm64_check_range(c->vm, v->redist, addr, PAGE_64K, size);
	if (!ret)
		v->redist = addr;
	return ret;
}

/* Bits 63:52 how many, 51:16 where, 15:12 flags (none), 11:0 which one, in increasing order. */
static int set_region(struct fake_call *c, u64 val)
{
	struct arm64_vm *v = arm64_vm(c->vm);
	u64 count = val >> 52, base = val & 0x000fffffffff0000ull;
	int ret;

	if (!count || val >> 12 & 0xf || (val & 0xfff) != v->n_regions || v->redist != ARM64_UNDEF)
		return -EINVAL;
	for (unsigned int i = 0; i < v->n_regions; i++)
		if (ranges_overlap(base, count * REDIST_LEN, v->regions[i].base,
				   v->regions[i].count * REDIST_LEN))
			return -EINVAL;
	ret = arm64_check_range(c->vm, ARM64_UNDEF, base, PAGE_64K, count * REDIST_LEN);
	if (ret)
		return ret;
	if (v->n_regions == ARM64_MAX_REGIONS)
		return -ENOMEM; /* the fake's own limit */
	v->regions[v->n_regions].base = base;
	v->regions[v->n_regions++].count = count;
	return 0;
}

static int get_region(const struct arm64_vm *v, u64 *val)
{
	u64 index = *val & 0xfff;

	if (index >= v->n_regions)
		return -ENOENT;
	*val = v->regions[index].count << 52 | v->regions[index].base | index;
	return 0;
}

/* One that is a single address of a single length. */
static int access_addr(struct fake_call *c, enum arm64_verb verb, u64 *mine, u64 *user, u64 align,
		       u64 size)
{
	int ret;

	if (verb == ARM64_GET) {
		*user = *mine;
		return 0;
	}
	ret = arm64_check_range(c->vm, *mine, *user, align, size);
	if (!ret)
		*mine = *user;
	return ret;
}

static int addr_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	struct arm64_vm *v = arm64_vm(c->vm);
	u64 *user = arm64_user(a->addr);
	bool v3 = a->attr >= KVM_VGIC_V3_ADDR_TYPE_DIST;

	if (a->attr > KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION || a->attr == KVM_VGIC_ITS_ADDR_TYPE ||
	    v3 != is_v3(v))
		return -ENXIO;
	if (verb == ARM64_HAS)
		return 0;
	if (!user)
		return -EFAULT;
	if (verb == ARM64_SET)
		fake_note(c, " 0x%llx", (unsigned long long)*user);
	switch (a->attr) {
	case KVM_VGIC_V2_ADDR_TYPE_DIST:
		return access_addr(c, verb, &v->dist, user, PAGE_4K, GICV2_DIST_LEN);
	case KVM_VGIC_V2_ADDR_TYPE_CPU:
		return access_addr(c, verb, &v->cpu, user, PAGE_4K, GICV2_CPU_LEN);
	case KVM_VGIC_V3_ADDR_TYPE_DIST:
		return access_addr(c, verb, &v->dist, user, PAGE_64K, GICV3_DIST_LEN);
	case KVM_VGIC_V3_ADDR_TYPE_REDIST:
		if (verb == ARM64_SET)
			return set_redist(c, *user);
		*user = v->n_regions ? v->regions[0].base : v->redist;
		return 0;
	default:
		return verb == ARM64_SET ? set_region(c, *user) : get_region(v, user);
	}
}

/* ---- Sized and initialised ---- */

/* 64 to 1023 (the text says 1024) by 32; EBUSY set already, also by initialising. */
static int n_irqs_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	struct arm64_vm *v = arm64_vm(c->vm);
	u32 *user = arm64_user(a->addr);

	if (verb == ARM64_HAS)
		return 0;
	if (!user)
		return -EFAULT;
	if (verb == ARM64_GET) {
		*user = v->n_spis + ARM64_PRIVATE;
		return 0;
	}
	fake_note(c, " %u", *user);
	if (*user < MIN_IRQS || *user > MAX_IRQS || *user % 32)
		return -EINVAL;
	if (v->n_spis)
		return -EBUSY;
	v->n_spis = *user - ARM64_PRIVATE;
	return 0;
}

/* A GICv3's: a PPI (EINVAL), before it is initialised (EBUSY): observed. */
static int maint_irq_attr(struct fake_call *c, enum arm64_verb verb,
			  const struct kvm_device_attr *a)
{
	struct arm64_vm *v = arm64_vm(c->vm);
	u32 *user = arm64_user(a->addr);

	if (!is_v3(v) || a->attr)
		return -ENXIO;
	if (verb == ARM64_HAS)
		return 0;
	if (!user)
		return -EFAULT;
	if (verb == ARM64_GET) {
		*user = v->maint_irq;
		return 0;
	}
	fake_note(c, " %u", *user);
	if (v->gic_ready)
		return -EBUSY;
	if (*user < 16 || *user >= ARM64_PRIVATE)
		return -EINVAL;
	v->maint_irq = *user;
	return 0;
}

void arm64_vgic_init(struct fakekvm *fk, struct fake_vm *vm)
{
	struct arm64_vm *v = arm64_vm(vm);

	if (v->gic_ready)
		return;
	if (!v->n_spis)
		v->n_spis = DEFAULT_SPIS;
	v->gic_ready = true;
	arm64_vgic_reset_regs(fk, vm);
}

/* "Must be called after all VCPUs have been created": later ones are refused. */
static int ctrl_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	struct arm64_vm *v = arm64_vm(c->vm);
	bool save = a->attr == KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES && is_v3(v);

	if ((a->attr != KVM_DEV_ARM_VGIC_CTRL_INIT && !save) || verb == ARM64_GET)
		return -ENXIO;
	if (verb == ARM64_HAS)
		return 0;
	if (!save) {
		if (!c->vm->n_vcpus)
			fake_complain(c->fk,
				      "CTRL_INIT of %s before there are vCPUs, "
				      "arm-vgic-v3.rst",
				      c->dev->name);
		arm64_vgic_init(c->fk, c->vm);
		return 0;
	}
	if (fake_any_running(c->fk, c->vm))
		return -EBUSY;
	return v->gic_ready ? 0 : -ENXIO;
}

static int gic_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	switch (a->group) {
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		return addr_attr(c, verb, a);
	case KVM_DEV_ARM_VGIC_GRP_NR_IRQS:
		return n_irqs_attr(c, verb, a);
	case KVM_DEV_ARM_VGIC_GRP_CTRL:
		return ctrl_attr(c, verb, a);
	case KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ:
		return maint_irq_attr(c, verb, a);
	default:
		return arm64_vgic_reg_attr(c, verb, a);
	}
}

static int device_attr(struct fake_call *c, enum arm64_verb verb)
{
	const struct kvm_device_attr *a = arm64_take_attr(c);

	if (!a)
		return -EFAULT;
	if (arm64_attr_hidden(c, a))
		return -ENXIO;
	return c->dev->type == KVM_DEV_TYPE_ARM_VGIC_ITS ? arm64_its_attr(c, verb, a)
							 : gic_attr(c, verb, a);
}

static int set_attr(struct fake_call *c)
{
	return device_attr(c, ARM64_SET);
}

static int get_attr(struct fake_call *c)
{
	return device_attr(c, ARM64_GET);
}

static int has_attr(struct fake_call *c)
{
	return device_attr(c, ARM64_HAS);
}

const struct fake_request arm64_device_requests[] = {
	FAKE_REQUEST(KVM_SET_DEVICE_ATTR, set_attr),
	FAKE_REQUEST(KVM_GET_DEVICE_ATTR, get_attr),
	FAKE_REQUEST(KVM_HAS_DEVICE_ATTR, has_attr),
	FAKE_END,
};

/* ---- The first KVM_RUN ---- */

static u64 n_placed(const struct arm64_vm *v)
{
	u64 n = v->redist != ARM64_UNDEF ? UINT64_MAX : 0;

	for (unsigned int i = 0; i < v->n_regions; i++)
		n += v->regions[i].count;
	return n;
}

/*
 * vgic-v3.c, vgic-v2.c of the kernel: ENXIO without addresses (of every redistributor), EINVAL
 * where they overlap, EBUSY for a GICv3 that is not initialised; a GICv2 initialises itself.
 */
int arm64_vgic_check_run(struct fake_call *c)
{
	struct arm64_vm *v = arm64_vm(c->vm);
	u64 redist_len = (u64)REDIST_LEN * c->vm->n_vcpus;

	if (!v->gic)
		return 0;
	if (!is_v3(v)) {
		if (v->dist == ARM64_UNDEF || v->cpu == ARM64_UNDEF)
			return -ENXIO;
		if (ranges_overlap(v->dist, GICV2_DIST_LEN, v->cpu, GICV2_CPU_LEN))
			return -EINVAL;
		arm64_vgic_init(c->fk, c->vm);
		return 0;
	}
	if (v->dist == ARM64_UNDEF || n_placed(v) < c->vm->n_vcpus)
		return -ENXIO;
	if (v->redist != ARM64_UNDEF &&
	    ranges_overlap(v->dist, GICV3_DIST_LEN, v->redist, redist_len))
		return -EINVAL;
	return v->gic_ready ? 0 : -EBUSY;
}
