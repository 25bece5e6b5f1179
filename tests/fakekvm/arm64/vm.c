/* vm.c - the requests of arm64 on the system and on a VM; interrupt lines and messages. */
#include "tests/fakekvm/arm64/arm64.h"

#include <errno.h>

#define MIN_IPA_BITS	 32
#define DEFAULT_IPA_BITS 40
#define N_IRQCHIP_PINS	 988 /* SPIs a GIC has room for: INTIDs 32 to 1019 */

/* ---- VMs (4.2) ---- */

/*
 * 4.2: the type is the size of the guest's address space, 32 to KVM_CAP_ARM_VM_IPA_SIZE bits;
 * 0 means 40. EINVAL for others, and for the default on a host that has less.
 */
static int check_vm_type(struct fakekvm *fk, unsigned long type)
{
	int max = fake_cap(fk, NULL, KVM_CAP_ARM_VM_IPA_SIZE);
	unsigned long limit = max ? (unsigned long)max : DEFAULT_IPA_BITS;

	if (type & ~KVM_VM_TYPE_ARM_IPA_SIZE_MASK)
		return -EINVAL;
	if (!type)
		return limit < DEFAULT_IPA_BITS ? -EINVAL : 0;
	return !max || type < MIN_IPA_BITS || type > limit ? -EINVAL : 0;
}

static void create_vm(struct fakekvm *fk, struct fake_vm *vm, unsigned long type)
{
	static const int timers[ARM64_N_TIMERS] = { 27, 30, 28, 26 }; /* vcpu.rst 2.1 */
	struct arm64_vm *v = arm64_vm(vm);

	(void)fk;
	v->ipa_bits = type ? (unsigned int)type : DEFAULT_IPA_BITS;
	memcpy(v->timer_irq, timers, sizeof(timers));
	arm64_vgic_new_vm(vm);
}

static int check_extension(struct fakekvm *fk, struct fake_vm *vm, u32 cap, int value)
{
	(void)fk;
	/* 4.70: about the VM, true once it has an ITS; of the system EINVAL (arm.c of the kernel).
	 */
	if (cap == KVM_CAP_MSI_DEVID && value)
		return !vm ? -EINVAL : arm64_vm(vm)->its.exists;
	/* arm-vgic.rst: a GICv2 knows 8 CPUs */
	if ((cap == KVM_CAP_MAX_VCPUS || cap == KVM_CAP_MAX_VCPU_ID) && vm &&
	    arm64_vm(vm)->gic == KVM_DEV_TYPE_ARM_VGIC_V2 && value > 8)
		return 8;
	return value;
}

/* Chapter 7, by the names of the capabilities: before vCPUs where it changes what they are. */
static int enable_cap(struct fake_call *c, const struct kvm_enable_cap *cap)
{
	struct arm64_vm *v = arm64_vm(c->vm);

	if (!fake_cap(c->fk, c->vm, cap->cap))
		return -EINVAL;
	switch (cap->cap) {
	case KVM_CAP_ARM_NISV_TO_USER:
		v->nisv_to_user = true;
		return 0;
	case KVM_CAP_ARM_MTE:
		if (c->vm->n_vcpus)
			return -EINVAL;
		v->mte = true;
		return 0;
	case KVM_CAP_ARM_SYSTEM_SUSPEND:
	case KVM_CAP_HALT_POLL:
		return 0;
	case KVM_CAP_ARM_WRITABLE_IMP_ID_REGS:
		return c->vm->n_vcpus ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

/* A slot ends within the guest's address space: EFAULT, mmu.c of the kernel. */
static int check_slot(struct fake_call *c, const struct kvm_userspace_memory_region *r)
{
	return r->guest_phys_addr + r->memory_size > BIT(arm64_vm(c->vm)->ipa_bits) ? -EFAULT : 0;
}

/* An initialised interrupt controller knows its CPUs: EBUSY, arm.c of the kernel. */
static int create_vcpu(struct fake_call *c, struct fake_vcpu *vcpu)
{
	if (arm64_vm(c->vm)->gic_ready)
		return -EBUSY;
	arm64_vcpu(vcpu)->pvtime = ARM64_UNDEF;
	return 0;
}

/* It has a script: somebody called PSCI CPU_ON. */
static void start(struct fake_vcpu *vcpu)
{
	arm64_vcpu(vcpu)->mp_state = KVM_MP_STATE_RUNNABLE;
}

static int run_check(struct fake_call *c)
{
	(void)c;
	return 0;
}

static bool nisv_to_user(const struct fake_vm *vm)
{
	return arm64_vm(vm)->nisv_to_user;
}

/* ---- Interrupts (4.25, 4.52, 4.70, 4.75) ---- */

static bool has_irqchip(const struct fake_vm *vm)
{
	return arm64_vm(vm)->gic;
}

static bool claims(const struct fake_vm *vm, bool port, u64 addr)
{
	return !port && arm64_vgic_claims(vm, addr);
}

static u32 n_pins(const struct fake_vm *vm)
{
	return arm64_vm(vm)->gic_ready ? arm64_vm(vm)->n_spis : 0;
}

/* vgic.c of the kernel: EBUSY before CTRL_INIT (a GICv2 does it by itself), EINVAL beyond its end.
 */
static int inject(struct fake_call *c, struct fake_vcpu *vcpu, u32 intid, bool level)
{
	struct arm64_vm *v = arm64_vm(c->vm);

	if (!v->gic_ready && v->gic != KVM_DEV_TYPE_ARM_VGIC_V2)
		return -EBUSY;
	arm64_vgic_init(c->fk, c->vm);
	if (intid >= ARM64_PRIVATE + v->n_spis)
		return -EINVAL;
	if (intid >= ARM64_PRIVATE)
		fake_set_gsi(c->vm, intid - ARM64_PRIVATE, level);
	else if (level)
		arm64_vcpu(vcpu)->ppi_level |= 1u << intid;
	else
		arm64_vcpu(vcpu)->ppi_level &= ~(1u << intid);
	return 0;
}

/*
 * 4.25: type, vCPU and number. EINVAL for numbers and vCPUs that are not there; ENXIO without an
 * interrupt controller, for CPU lines with one (arm.c of the kernel). Our GSIs are SPIs.
 */
static int irq_line(struct fake_call *c, u32 irq, bool level)
{
	u32 type = irq >> KVM_ARM_IRQ_TYPE_SHIFT & 0xf, num = irq & 0xffff;
	u32 id = (irq >> KVM_ARM_IRQ_VCPU_SHIFT & 0xff) + (irq >> KVM_ARM_IRQ_VCPU2_SHIFT) * 256;
	struct fake_vcpu *vcpu = fake_find_vcpu(c->fk, c->vm, id);

	if (type == KVM_ARM_IRQ_TYPE_CPU) {
		if (has_irqchip(c->vm))
			return -ENXIO;
		return !vcpu || num > 1 ? -EINVAL : 0;
	}
	if (type != KVM_ARM_IRQ_TYPE_SPI && type != KVM_ARM_IRQ_TYPE_PPI)
		return -EINVAL;
	if (!has_irqchip(c->vm))
		return -ENXIO;
	if (type == KVM_ARM_IRQ_TYPE_PPI)
		return !vcpu || num < 16 || num >= ARM64_PRIVATE ? -EINVAL
								 : inject(c, vcpu, num, level);
	return num < ARM64_PRIVATE ? -EINVAL : inject(c, NULL, num, level);
}

/*
 * 4.52. EINVAL for pins and chips that are not there, and flags. A message without an ITS to take
 * it, or without the device's id that every ITS wants (KVM_CAP_MSI_DEVID), is accepted and lost.
 */
static int check_routing(struct fake_call *c, const struct kvm_irq_routing_entry *e)
{
	if (e->type == KVM_IRQ_ROUTING_IRQCHIP)
		return e->flags || e->u.irqchip.irqchip || e->u.irqchip.pin >= N_IRQCHIP_PINS
			       ? -EINVAL
			       : 0;
	if (e->type != KVM_IRQ_ROUTING_MSI || e->flags & ~KVM_MSI_VALID_DEVID)
		return -EINVAL;
	if (!arm64_vm(c->vm)->its.exists)
		fake_complain(c->fk, "a message route for GSI %u without an ITS", e->gsi);
	else if (!(e->flags & KVM_MSI_VALID_DEVID))
		fake_complain(c->fk, "a message route for GSI %u without its device's id, 4.52",
			      e->gsi);
	return 0;
}

/* 4.70: ENODEV without an ITS, EINVAL without the device's id: vgic-irqfd.c, vgic-its.c. */
static int signal_msi(struct fake_call *c, const struct kvm_msi *m)
{
	if (!arm64_vm(c->vm)->its.exists)
		return -ENODEV;
	return m->flags & KVM_MSI_VALID_DEVID ? 1 : -EINVAL;
}

/* EAGAIN before the interrupt controller is initialised: eventfd.c of the kernel. */
static int check_irqfd(struct fake_call *c)
{
	return arm64_vm(c->vm)->gic_ready ? 0 : -EAGAIN;
}

static bool has_device(const struct fakekvm *fk, u32 type)
{
	const struct arm64_host *h = fk->host->arm64;

	return type == KVM_DEV_TYPE_ARM_VGIC_V2
		       ? h->gicv2
		       : (type == KVM_DEV_TYPE_ARM_VGIC_V3 || type == KVM_DEV_TYPE_ARM_VGIC_ITS) &&
				 h->gicv3;
}

/* ---- Requests ---- */

/* 4.83 */
static int preferred_target(struct fake_call *c)
{
	struct kvm_vcpu_init *init = fake_user(c);

	if (!init)
		return -EFAULT;
	*init = (struct kvm_vcpu_init){ .target = ARM64_TARGET };
	return 0;
}

/* 4.138: EINVAL for reserved, EBUSY while a vCPU is in a request. */
static int set_counter_offset(struct fake_call *c)
{
	const struct kvm_arm_counter_offset *o = fake_user(c);

	if (!o)
		return -EFAULT;
	fake_note(c, " 0x%llx", (unsigned long long)o->counter_offset);
	if (o->reserved)
		return -EINVAL;
	if (fake_any_running(c->fk, c->vm))
		return -EBUSY;
	arm64_vm(c->vm)->offset = o->counter_offset;
	arm64_vm(c->vm)->has_offset = true;
	return 0;
}

static const struct fake_request sys_requests[] = { FAKE_END };

static const struct fake_request vm_requests[] = {
	FAKE_REQUEST(KVM_ARM_PREFERRED_TARGET, preferred_target),
	FAKE_REQUEST_CAP(KVM_ARM_SET_COUNTER_OFFSET, set_counter_offset, KVM_CAP_COUNTER_OFFSET),
	FAKE_END,
};

const struct fake_arch fake_arm64 = {
	.sys = sys_requests,
	.vm = vm_requests,
	.vcpu = arm64_vcpu_requests,
	.device = arm64_device_requests,
	.vm_size = sizeof(struct arm64_vm),
	.vcpu_size = sizeof(struct arm64_vcpu),
	.host_size = sizeof(struct arm64_knobs),
	.unknown_vm_request = -EINVAL,
	.uart = 0x1000000,
	.init = arm64_init,
	.check_vm_type = check_vm_type,
	.create_vm = create_vm,
	.check_extension = check_extension,
	.enable_cap = enable_cap,
	.check_slot = check_slot,
	.create_vcpu = create_vcpu,
	.start = start,
	.run_first = arm64_run_first,
	.run_check = run_check,
	.has_irqchip = has_irqchip,
	.claims = claims,
	.check_routing = check_routing,
	.n_pins = n_pins,
	.irq_line = irq_line,
	.signal_msi = signal_msi,
	.check_irqfd = check_irqfd,
	.system_event = arm64_power_off_all,
	.nisv_to_user = nisv_to_user,
	.has_device = has_device,
	.create_device = arm64_vgic_create,
};
