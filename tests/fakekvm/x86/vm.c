/* vm.c - the requests of x86 on the system and on a VM: CPUID, interrupt controllers, timers,
 * clocks. */
#include "tests/fakekvm/x86/x86.h"

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_IDENTITY_MAP 0xfffbc000ull /* 4.40 */

/* ---- CPUID (4.46) ---- */

/*
 * E2BIG for too few entries, nothing written (observed); too many are fine, nent is lowered. The
 * text's ENOMEM for too many was never observed.
 */
static int put_cpuid(struct fake_call *c, const struct kvm_cpuid_entry2 *entries, u32 n)
{
	struct kvm_cpuid2 *out = fake_user(c);

	if (!out)
		return -EFAULT;
	fake_note(c, " nent %u", out->nent);
	if (out->nent < n || !out->nent)
		return -E2BIG;
	memcpy(out->entries, entries, n * sizeof(*entries));
	out->nent = n;
	return 0;
}

static int get_supported_cpuid(struct fake_call *c)
{
	return put_cpuid(c, c->fk->cpuid->entries, c->fk->cpuid->nent);
}

/* 4.88: what KVM emulates; on the kernels looked at: MOVBE, RDPID. */
static int get_emulated_cpuid(struct fake_call *c)
{
	static const struct kvm_cpuid_entry2 emulated[] = {
		{ .function = 0, .eax = 7 },
		{ .function = 1, .ecx = 1u << 22 },
		{ .function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .ecx = 1u << 22 },
	};

	return put_cpuid(c, emulated, ARRAY_SIZE(emulated));
}

void x86_take_cpuid(struct fakekvm *fk, const struct kvm_cpuid_entry2 *entries, u32 n)
{
	free(fk->cpuid);
	fk->cpuid = calloc(1, sizeof(*fk->cpuid) + n * sizeof(*entries));
	if (!fk->cpuid)
		abort();
	fk->cpuid->nent = n;
	memcpy(fk->cpuid->entries, entries, n * sizeof(*entries));
}

void fakekvm_set_cpuid(struct fakekvm *fk, const struct kvm_cpuid2 *cpuid)
{
	x86_take_cpuid(fk, cpuid->entries, cpuid->nent);
}

/* ---- Interrupt controllers and PIT (4.24, 4.26, 4.71 to 4.73) ---- */

static bool has_lapic(const struct fake_vm *vm)
{
	return x86_vm(vm)->irqchip || x86_vm(vm)->split;
}

/* 4.24: "sets up future vcpus": EINVAL with vCPUs, EEXIST the second time: observed. */
static int create_irqchip(struct fake_call *c)
{
	struct x86_vm *x = x86_vm(c->vm);

	if (has_lapic(c->vm))
		return -EEXIST;
	if (c->vm->n_vcpus)
		return -EINVAL;
	x->irqchip = true;
	for (u32 i = 0; i < ARRAY_SIZE(x->chips); i++)
		x->chips[i].chip_id = i;
	x->chips[KVM_IRQCHIP_IOAPIC].chip.ioapic.base_address = 0xfec00000;
	for (int pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		x->chips[KVM_IRQCHIP_IOAPIC].chip.ioapic.redirtbl[pin].bits = 1u << 16; /* masked */
	return 0;
}

static int get_irqchip(struct fake_call *c)
{
	struct kvm_irqchip *chip = fake_user(c);

	if (!chip)
		return -EFAULT;
	fake_note(c, " %u", chip->chip_id);
	if (!x86_vm(c->vm)->irqchip)
		return -ENXIO;
	if (chip->chip_id >= ARRAY_SIZE(x86_vm(c->vm)->chips))
		return -EINVAL;
	*chip = x86_vm(c->vm)->chips[chip->chip_id];
	return 0;
}

static int set_irqchip(struct fake_call *c)
{
	const struct kvm_irqchip *chip = fake_user(c);

	if (!chip)
		return -EFAULT;
	fake_note(c, " %u", chip->chip_id);
	if (!x86_vm(c->vm)->irqchip)
		return -ENXIO;
	if (chip->chip_id >= ARRAY_SIZE(x86_vm(c->vm)->chips))
		return -EINVAL;
	x86_vm(c->vm)->chips[chip->chip_id] = *chip;
	return 0;
}

/* 4.71: only after KVM_CREATE_IRQCHIP. ENOENT without, EEXIST twice: observed. */
static int create_pit2(struct fake_call *c)
{
	const struct kvm_pit_config *config = fake_user(c);
	struct x86_vm *x = x86_vm(c->vm);

	if (!config)
		return -EFAULT;
	fake_note(c, " flags 0x%x", config->flags);
	if (config->flags & ~KVM_PIT_SPEAKER_DUMMY)
		fake_complain(c->fk, "KVM_CREATE_PIT2 with flags 0x%x, 4.71 knows 1",
			      config->flags);
	if (x->pit)
		return -EEXIST;
	if (!x->irqchip)
		return -ENOENT;
	x->pit = true;
	x->pit_flags = config->flags;
	return 0;
}

static int get_pit2(struct fake_call *c)
{
	struct kvm_pit_state2 *state = fake_user(c);

	if (!state)
		return -EFAULT;
	if (!x86_vm(c->vm)->pit)
		return -ENXIO; /* observed */
	*state = x86_vm(c->vm)->pit_state;
	return 0;
}

static int set_pit2(struct fake_call *c)
{
	const struct kvm_pit_state2 *state = fake_user(c);

	if (!state)
		return -EFAULT;
	if (!x86_vm(c->vm)->pit)
		return -ENXIO;
	x86_vm(c->vm)->pit_state = *state;
	return 0;
}

/* 4.52: with 32-bit ids, bits 7:0 of address_hi must be zero. EINVAL: observed. */
static bool is_address(const struct fake_vm *vm, u32 hi)
{
	return !(x86_vm(vm)->x2apic & KVM_X2APIC_API_USE_32BIT_IDS) || !(hi & 0xff);
}

/* 4.52. Pins beyond a chip's, chips and kinds that are not there: EINVAL, observed. */
static int check_routing(struct fake_call *c, const struct kvm_irq_routing_entry *e)
{
	static const u32 pins[] = { 8, 8, KVM_IOAPIC_NUM_PINS };

	if (e->type == KVM_IRQ_ROUTING_MSI)
		return e->flags || !is_address(c->vm, e->u.msi.address_hi) ? -EINVAL : 0;
	if (e->type != KVM_IRQ_ROUTING_IRQCHIP || e->flags || !x86_vm(c->vm)->irqchip)
		return -EINVAL;
	if (e->u.irqchip.irqchip >= ARRAY_SIZE(pins) ||
	    e->u.irqchip.pin >= pins[e->u.irqchip.irqchip])
		return -EINVAL;
	return 0;
}

/* Ports and addresses that never leave the kernel. */
static bool claims(const struct fake_vm *vm, bool port, u64 addr)
{
	const struct x86_vm *x = x86_vm(vm);

	if (!port)
		return (has_lapic(vm) && addr - 0xfee00000 < 0x1000) ||
		       (x->irqchip && addr - 0xfec00000 < 0x100);
	if (x->irqchip && (addr == 0x20 || addr == 0x21 || addr == 0xa0 || addr == 0xa1 ||
			   addr == 0x4d0 || addr == 0x4d1))
		return true;
	return x->pit && ((addr >= 0x40 && addr <= 0x43) ||
			  (addr == 0x61 && x->pit_flags & KVM_PIT_SPEAKER_DUMMY));
}

/* ENXIO without an interrupt controller: observed. So is silence about an unknown GSI. */
static int irq_line(struct fake_call *c, u32 irq, bool level)
{
	if (!has_lapic(c->vm))
		return -ENXIO;
	fake_set_gsi(c->vm, irq, level);
	return 0;
}

#define MSI_LOGICAL BIT(2) /* SDM 3A, 11.11.1 */

static bool any_x2apic(const struct fakekvm *fk, const struct fake_vm *vm)
{
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++)
		if (fk->vcpus[i].vm == vm && fk->vcpus[i].used &&
		    x86_vcpu(&fk->vcpus[i])->sregs.apic_base & BIT(10))
			return true;
	return false;
}

/*
 * Physical mode names one CPU, or by all ones each, of as many bits as its mode has; with the quirk
 * 0xff is each in x2APIC mode too. Ones that are nobody's: EPERM, an id that is nobody's: 0;
 * observed.
 */
static int find_destination(const struct fake_call *c, const struct kvm_msi *m)
{
	u64 x2apic = x86_vm(c->vm)->x2apic;
	u32 id = m->address_lo >> 12 & 0xff;

	if (x2apic & KVM_X2APIC_API_USE_32BIT_IDS)
		id |= m->address_hi & 0xffffff00;
	if (!c->vm->n_vcpus)
		return -EPERM;
	if (m->address_lo & MSI_LOGICAL)
		return 1;
	if (id == UINT32_MAX)
		return any_x2apic(c->fk, c->vm) ? 1 : -EPERM;
	if (id == 0xff &&
	    !(x2apic & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK && any_x2apic(c->fk, c->vm)))
		return 1;
	return fake_find_vcpu(c->fk, c->vm, id) != NULL;
}

/* EPERM without vCPUs, EINVAL for any flag: observed. Local APICs are taken to be switched on. */
static int signal_msi(struct fake_call *c, const struct kvm_msi *m)
{
	int ret;

	if (m->flags || !is_address(c->vm, m->address_hi))
		return -EINVAL;
	ret = find_destination(c, m);
	c->vm->n_irqs += ret > 0;
	return ret;
}

/* 4.75: observed */
static int check_irqfd(struct fake_call *c)
{
	return has_lapic(c->vm) ? 0 : -EINVAL;
}

/* 7.5: a split one has "no default GSI routes". */
static u32 n_pins(const struct fake_vm *vm)
{
	return x86_vm(vm)->irqchip ? KVM_IOAPIC_NUM_PINS : 0;
}

/* ---- Pages KVM keeps for itself on Intel (4.36, 4.40) ---- */

static bool in_a_slot(const struct fake_vm *vm, u64 gpa, u64 len)
{
	for (unsigned int i = 0; i < FAKE_MAX_SLOTS; i++)
		if (vm->slots[i].used && ranges_overlap(vm->slots[i].r.guest_phys_addr,
							vm->slots[i].r.memory_size, gpa, len))
			return true;
	return false;
}

/*
 * 4.36: three pages below 4 GiB, in no slot. EINVAL when they do not fit: observed. On an
 * Intel host without unrestricted guest they are a slot of KVM's own: EEXIST.
 */
static int set_tss_addr(struct fake_call *c)
{
	struct x86_vm *x = x86_vm(c->vm);

	fake_note(c, " 0x%lx", c->arg);
	if (c->arg > UINT32_MAX - 3 * FAKE_PAGE + 1)
		return -EINVAL;
	if (c->vm->n_vcpus)
		fake_complain(c->fk, "KVM_SET_TSS_ADDR after a vCPU was created, 4.36");
	if (c->arg % FAKE_PAGE)
		fake_complain(c->fk, "KVM_SET_TSS_ADDR 0x%lx is not page aligned, 4.36", c->arg);
	if (c->fk->host->wants_tss && (x->tss_set || in_a_slot(c->vm, c->arg, 3 * FAKE_PAGE)))
		return -EEXIST;
	x->tss = c->arg;
	x->tss_set = true;
	return 0;
}

/* 4.40: fails (EINVAL: observed) once a vCPU exists; 0 means the default. */
static int set_identity_map_addr(struct fake_call *c)
{
	const u64 *addr = fake_user(c);

	if (!addr)
		return -EFAULT;
	fake_note(c, " 0x%llx", (unsigned long long)*addr);
	if (c->vm->n_vcpus)
		return -EINVAL;
	if (*addr > UINT32_MAX || *addr % FAKE_PAGE)
		fake_complain(c->fk,
			      "KVM_SET_IDENTITY_MAP_ADDR 0x%llx is no page below 4 GiB, 4.40",
			      (unsigned long long)*addr);
	x86_vm(c->vm)->identity_map = *addr;
	return 0;
}

static u64 identity_map(const struct x86_vm *x)
{
	return x->identity_map ? x->identity_map : DEFAULT_IDENTITY_MAP;
}

/* No slot covers what KVM keeps for itself, or lies beyond what it can map (EINVAL: observed). */
static int check_slot(struct fake_call *c, const struct kvm_userspace_memory_region *r)
{
	const struct x86_vm *x = x86_vm(c->vm);

	if (r->guest_phys_addr + r->memory_size > BIT(c->fk->host->phys_bits))
		return -EINVAL;
	if (!c->fk->host->wants_tss)
		return 0;
	if (x->tss_set && ranges_overlap(x->tss, 3 * FAKE_PAGE, r->guest_phys_addr, r->memory_size))
		return -EEXIST;
	if (c->vm->n_vcpus &&
	    ranges_overlap(identity_map(x), FAKE_PAGE, r->guest_phys_addr, r->memory_size))
		return -EEXIST;
	return 0;
}

/* ---- Clocks (4.29, 4.30, 4.55, 4.56) ---- */

static int get_tsc_khz_vm(struct fake_call *c)
{
	const struct x86_vm *x = x86_vm(c->vm);

	return (int)(x->tsc_khz ? x->tsc_khz : c->fk->host->tsc_khz);
}

/* 4.55: as a VM request only before vCPUs, EINVAL: observed. */
static int set_tsc_khz_vm(struct fake_call *c)
{
	fake_note(c, " %lu", c->arg);
	if (c->vm->n_vcpus)
		return -EINVAL;
	x86_vm(c->vm)->tsc_khz = c->arg;
	return 0;
}

static int get_clock(struct fake_call *c)
{
	struct kvm_clock_data *data = fake_user(c);

	if (!data)
		return -EFAULT;
	*data = (struct kvm_clock_data){ .clock = ++x86_vm(c->vm)->clock,
					 .flags = KVM_CLOCK_TSC_STABLE };
	return 0;
}

/* 4.30: flags that KVM_GET_CLOCK knows; EINVAL for others: observed. */
static int set_clock(struct fake_call *c)
{
	const struct kvm_clock_data *data = fake_user(c);

	if (!data)
		return -EFAULT;
	if (data->flags & ~(u32)(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC))
		return -EINVAL;
	x86_vm(c->vm)->clock = data->clock;
	return 0;
}

/* ---- vCPUs ---- */

/* 4.41: before vCPUs, EBUSY. */
static int set_boot_cpu_id(struct fake_call *c)
{
	fake_note(c, " %lu", c->arg);
	if (c->vm->n_vcpus)
		return -EBUSY;
	if (c->arg >= (unsigned long)fake_cap(c->fk, c->vm, KVM_CAP_MAX_VCPU_ID))
		return -EINVAL;
	x86_vm(c->vm)->boot_cpu = (u32)c->arg;
	return 0;
}

static int create_vcpu(struct fake_call *c, struct fake_vcpu *vcpu)
{
	const struct x86_vm *x = x86_vm(c->vm);

	if (c->fk->host->wants_tss && in_a_slot(c->vm, identity_map(x), FAKE_PAGE))
		return -EEXIST;
	x86_vcpu_reset(c->fk, vcpu);
	return 0;
}

static void start(struct fake_vcpu *vcpu)
{
	x86_vcpu(vcpu)->mp_state = KVM_MP_STATE_RUNNABLE;
}

/*
 * 4.36: "This ioctl is required on Intel-based hosts." What happens without is not
 * documented (a guest in real mode "may malfunction"); here it is an exit that no test can
 * overlook.
 */
static int run_check(struct fake_call *c)
{
	struct kvm_run *run = c->vcpu->run;
	const struct x86_vcpu *v = x86_vcpu(c->vcpu);
	u64 reason;
	int ret = x86_snp_run_check(c);

	if (ret)
		return ret;
	if (c->fk->host->wants_tss && !x86_vm(c->vm)->tss_set) {
		fake_complain(c->fk, "KVM_RUN on an Intel host without KVM_SET_TSS_ADDR, 4.36");
		run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
		run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
		run->internal.ndata = 0;
		fake_note(c, " internal error: no TSS");
		return 1;
	}
	if (v->mp_state != KVM_MP_STATE_RUNNABLE)
		return 0;
	reason = c->fk->host->wants_tss ? x86_entry_check_vmx(v) : x86_entry_check_svm(v);
	if (!reason)
		return 0;
	run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	run->fail_entry.hardware_entry_failure_reason = reason;
	run->fail_entry.cpu = 0;
	fake_note(c, " fail entry 0x%llx", (unsigned long long)reason);
	return 1;
}

/* ---- VM types and capabilities (4.2, 4.4, 7) ---- */

/* 4.2: KVM_CAP_VM_TYPES is the mask of types; EINVAL for others: observed. */
static int check_vm_type(struct fakekvm *fk, unsigned long type)
{
	int types = fake_cap(fk, NULL, KVM_CAP_VM_TYPES);

	if (type == KVM_X86_DEFAULT_VM)
		return 0;
	return type < 31 && types & (1 << type) ? 0 : -EINVAL;
}

static int check_extension(struct fakekvm *fk, struct fake_vm *vm, u32 cap, int value)
{
	(void)fk;
	/* Observed: a VM says what it can have; this one only with a split irqchip. */
	if (vm && cap == KVM_CAP_X2APIC_API && !x86_vm(vm)->split)
		return value & ~(int)KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST;
	if (vm && cap == KVM_CAP_MAX_VCPU_ID && x86_vm(vm)->max_vcpu_id)
		return (int)x86_vm(vm)->max_vcpu_id;
	return value;
}

/* 7.5: before vCPUs; EEXIST when there is an irqchip: observed. args[0]: pins, at most 1024. */
static int enable_split_irqchip(struct fake_call *c, u64 n_pins)
{
	if (n_pins > 1024 || c->vm->n_vcpus)
		return -EINVAL;
	if (has_lapic(c->vm))
		return -EEXIST;
	x86_vm(c->vm)->split = true;
	return 0;
}

/* 7.7 and its later flags: ENABLE needs a split irqchip, not both of the last two. */
static int enable_x2apic_api(struct fake_call *c, u64 flags)
{
	u64 eoi = KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST |
		  KVM_X2APIC_DISABLE_SUPPRESS_EOI_BROADCAST;

	if (flags & ~(u64)fake_cap(c->fk, NULL, KVM_CAP_X2APIC_API) || (flags & eoi) == eoi ||
	    (flags & KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST && !x86_vm(c->vm)->split))
		return -EINVAL;
	x86_vm(c->vm)->x2apic |= flags;
	return 0;
}

static int enable_max_vcpu_id(struct fake_call *c, u64 max)
{
	struct x86_vm *x = x86_vm(c->vm);

	if (!max || max > (u64)fake_cap(c->fk, NULL, KVM_CAP_MAX_VCPU_ID) || x->max_vcpu_id ||
	    x->boot_cpu >= max)
		return -EINVAL;
	x->max_vcpu_id = (u32)max;
	return 0;
}

static int enable_cap(struct fake_call *c, const struct kvm_enable_cap *cap)
{
	int value = fake_cap(c->fk, c->vm, cap->cap);

	if (!value || c->vcpu)
		return -EINVAL;
	switch (cap->cap) {
	case KVM_CAP_SPLIT_IRQCHIP:
		return enable_split_irqchip(c, cap->args[0]);
	case KVM_CAP_X2APIC_API:
		return enable_x2apic_api(c, cap->args[0]);
	case KVM_CAP_MAX_VCPU_ID:
		return enable_max_vcpu_id(c, cap->args[0]);
	case KVM_CAP_EXIT_HYPERCALL:
		return x86_snp_enable_hypercalls(c, cap->args[0]);
	case KVM_CAP_X86_DISABLE_EXITS: /* 7.13: known bits, before vCPUs */
		return cap->args[0] & ~(u64)value || c->vm->n_vcpus ? -EINVAL : 0;
	case KVM_CAP_DISABLE_QUIRKS2:	 /* 7.30 */
	case KVM_CAP_X86_USER_SPACE_MSR: /* 7.21: a mask of reasons */
		return cap->args[0] & ~(u64)(cap->cap == KVM_CAP_DISABLE_QUIRKS2 ? value : 7)
			       ? -EINVAL
			       : 0;
	case KVM_CAP_DISABLE_QUIRKS:
	case KVM_CAP_EXCEPTION_PAYLOAD:
	case KVM_CAP_HALT_POLL:
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
		return 0;
	default:
		return -EINVAL;
	}
}

static const struct fake_request sys_requests[] = {
	FAKE_REQUEST_CAP(KVM_GET_SUPPORTED_CPUID, get_supported_cpuid, KVM_CAP_EXT_CPUID),
	FAKE_REQUEST_CAP(KVM_GET_EMULATED_CPUID, get_emulated_cpuid, KVM_CAP_EXT_EMUL_CPUID),
	FAKE_REQUEST(KVM_GET_MSR_INDEX_LIST, x86_get_msr_list),
	FAKE_REQUEST_CAP(KVM_GET_MSR_FEATURE_INDEX_LIST, x86_get_msr_feature_list,
			 KVM_CAP_GET_MSR_FEATURES),
	FAKE_REQUEST(KVM_GET_MSRS, x86_get_feature_msrs),
	FAKE_REQUEST_CAP(KVM_GET_DEVICE_ATTR, x86_snp_get_attr, KVM_CAP_SYS_ATTRIBUTES),
	FAKE_REQUEST_CAP(KVM_HAS_DEVICE_ATTR, x86_snp_has_attr, KVM_CAP_SYS_ATTRIBUTES),
	FAKE_END,
};

static const struct fake_request vm_requests[] = {
	FAKE_REQUEST_CAP(KVM_CREATE_IRQCHIP, create_irqchip, KVM_CAP_IRQCHIP),
	FAKE_REQUEST_CAP(KVM_GET_IRQCHIP, get_irqchip, KVM_CAP_IRQCHIP),
	FAKE_REQUEST_CAP(KVM_SET_IRQCHIP, set_irqchip, KVM_CAP_IRQCHIP),
	FAKE_REQUEST_CAP(KVM_CREATE_PIT2, create_pit2, KVM_CAP_PIT2),
	FAKE_REQUEST_CAP(KVM_GET_PIT2, get_pit2, KVM_CAP_PIT_STATE2),
	FAKE_REQUEST_CAP(KVM_SET_PIT2, set_pit2, KVM_CAP_PIT_STATE2),
	FAKE_REQUEST_CAP(KVM_SET_TSS_ADDR, set_tss_addr, KVM_CAP_SET_TSS_ADDR),
	FAKE_REQUEST_CAP(KVM_SET_IDENTITY_MAP_ADDR, set_identity_map_addr,
			 KVM_CAP_SET_IDENTITY_MAP_ADDR),
	FAKE_REQUEST_CAP(KVM_SET_BOOT_CPU_ID, set_boot_cpu_id, KVM_CAP_SET_BOOT_CPU_ID),
	FAKE_REQUEST(KVM_GET_TSC_KHZ, get_tsc_khz_vm),
	FAKE_REQUEST(KVM_SET_TSC_KHZ, set_tsc_khz_vm),
	FAKE_REQUEST_CAP(KVM_GET_CLOCK, get_clock, KVM_CAP_ADJUST_CLOCK),
	FAKE_REQUEST_CAP(KVM_SET_CLOCK, set_clock, KVM_CAP_ADJUST_CLOCK),
	FAKE_REQUEST(KVM_MEMORY_ENCRYPT_OP, x86_snp_memory_encrypt_op),
	FAKE_END,
};

const struct fake_arch fake_x86 = {
	.sys = sys_requests,
	.vm = vm_requests,
	.vcpu = x86_vcpu_requests,
	.vm_size = sizeof(struct x86_vm),
	.vcpu_size = sizeof(struct x86_vcpu),
	.host_size = sizeof(struct x86_host),
	.unknown_vm_request = -ENOTTY,
	.uart = 0x3f8,
	.ports = true,
	.init = x86_init,
	.check_vm_type = check_vm_type,
	.create_vm = x86_snp_create_vm,
	.check_extension = check_extension,
	.enable_cap = enable_cap,
	.check_slot = check_slot,
	.create_vcpu = create_vcpu,
	.start = start,
	.run_first = x86_snp_run_first,
	.run_check = run_check,
	.has_irqchip = has_lapic,
	.claims = claims,
	.check_routing = check_routing,
	.n_pins = n_pins,
	.irq_line = irq_line,
	.signal_msi = signal_msi,
	.check_irqfd = check_irqfd,
};
