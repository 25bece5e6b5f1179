/* caps.c - what an x86 host's KVM has for guests, and what it would take to have the rest. */
#include "vmm/caps.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/x86/cpuid.h"
#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"
#include "vmm/arch.h"

/* ---- what KVM offers by CPUID ------------------------------------------------------------- */

enum reg { EAX, EBX, ECX, EDX };

static bool offered(const struct kvm_cpuid2 *cpuid, u32 function, u32 index, enum reg reg,
		    unsigned int bit)
{
	for (u32 i = 0; i < cpuid->nent && i < CPUID_MAX_ENTRIES; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];
		const u32 regs[] = { e->eax, e->ebx, e->ecx, e->edx };

		if (e->function == function && e->index == index)
			return regs[reg] & 1u << bit;
	}
	return false;
}

/* Bits that KVM passes on without being told more. */
static const struct cpuid_line {
	const char *name;
	u32 function, index;
	enum reg reg;
	unsigned int bit;
	const char *remedy;
} cpuid_lines[] = {
	{ "shstk", 7, 0, ECX, 7, "CPUs with CET, and Linux 6.18 or later on the host" },
	{ "ibt", 7, 0, EDX, 20, "Intel CPUs with CET, and Linux 6.18 or later on the host" },
	{ "lkgs", 7, 1, EAX, 18, "CPUs with LKGS, and Linux 6.17 or later on the host" },
	{ "fred", 7, 1, EAX, 17, "CPUs with FRED, and a KVM that has it for guests" },
};

/* AMD's CPUs have no such register, though KVM lists it there (cpuid.c hides it). */
static void probe_arch_capabilities(struct lkvm_caps *caps, const struct kvm_cpuid2 *cpuid)
{
	enum cpuid_vendor vendor = cpuid_vendor(cpuid);
	bool amd = vendor == CPUID_VENDOR_AMD || vendor == CPUID_VENDOR_HYGON;
	bool listed = offered(cpuid, 7, 0, EDX, 29);

	if (listed && !amd)
		caps_yes(caps, "arch-capabilities", 1);
	else if (listed)
		caps_no(caps, "arch-capabilities",
			"KVM lists it, but CPUs of this vendor have no such register: lkvm hides "
			"it from guests",
			"");
	else
		caps_no(caps, "arch-capabilities", "KVM does not list it for guests", "");
}

static int probe_cpuid(struct lkvm_caps *caps, const struct kvm *kvm, struct lkvm_error *err)
{
	struct kvm_cpuid2 *cpuid;
	int ret;

	cpuid = calloc(1, sizeof(*cpuid) + CPUID_MAX_ENTRIES * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return err_host(err, ENOMEM, "CPUID table");
	cpuid->nent = CPUID_MAX_ENTRIES;
	ret = kvm_host_ioctl(kvm->host, KVM_GET_SUPPORTED_CPUID, cpuid, err);
	for (size_t i = 0; ret >= 0 && i < ARRAY_SIZE(cpuid_lines); i++) {
		const struct cpuid_line *l = &cpuid_lines[i];

		if (offered(cpuid, l->function, l->index, l->reg, l->bit))
			caps_yes(caps, l->name, 1);
		else
			caps_no(caps, l->name, "KVM does not offer it to guests", l->remedy);
	}
	if (ret >= 0)
		probe_arch_capabilities(caps, cpuid);
	free(cpuid);
	return ret < 0 ? ret : 0;
}

/* ---- what KVM says by capabilities ------------------------------------------------------- */

static void probe_disable_exits(struct lkvm_caps *caps, const struct kvm *kvm)
{
	int mask = kvm_check(kvm, KVM_CAP_X86_DISABLE_EXITS);

	if (mask)
		caps_yes(caps, "disable-exits", mask);
	else
		caps_no(caps, "disable-exits", "KVM lets no instruction go without an exit", "");
	if (mask & KVM_X86_DISABLE_EXITS_APERFMPERF)
		caps_yes(caps, "aperfmperf", 1);
	else
		caps_no(caps, "aperfmperf", "KVM does not let guests read APERF and MPERF",
			"CPUs with APERFMPERF, and Linux 6.17 or later on the host");
}

static void probe_vm_types(struct lkvm_caps *caps, const struct kvm *kvm)
{
	static const struct {
		const char *name;
		unsigned int type;
		const char *remedy;
	} types[] = {
		{ "sev", KVM_X86_SEV_VM, "AMD CPUs with SEV, and kvm_amd loaded with sev=1" },
		{ "sev-es", KVM_X86_SEV_ES_VM,
		  "AMD CPUs with SEV-ES, and kvm_amd loaded with sev_es=1" },
		{ "sev-snp", KVM_X86_SNP_VM,
		  "AMD CPUs with SEV-SNP on in firmware, Linux 6.11 or later, and kvm_amd loaded "
		  "with sev_snp=1" },
		{ "tdx", KVM_X86_TDX_VM,
		  "Intel CPUs with TDX on in firmware, Linux 6.16 or later, and kvm_intel loaded "
		  "with tdx=1" },
	};
	int mask = kvm_check(kvm, KVM_CAP_VM_TYPES);

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (mask & 1 << types[i].type)
			caps_yes(caps, types[i].name, 1);
		else
			caps_no(caps, types[i].name, "KVM makes no VMs of that type",
				types[i].remedy);
	}
}

static const struct feature_line {
	u32 cap;
	const char *name;
	const char *reason;
	const char *remedy;
} feature_lines[] = {
	{ KVM_CAP_IRQCHIP, "irqchip", "KVM has no interrupt controllers of its own", "" },
	{ KVM_CAP_SPLIT_IRQCHIP, "split-irqchip",
	  "KVM cannot keep the local APICs and leave the I/O APIC to others",
	  "Linux 4.4 or later on the host" },
	{ KVM_CAP_PIT2, "pit", "KVM has no timer chip of its own", "" },
	{ KVM_CAP_TSC_DEADLINE_TIMER, "tsc-deadline", "KVM's local APIC has no such timer", "" },
	{ KVM_CAP_SREGS2, "sregs2", "KVM has no KVM_GET_SREGS2",
	  "Linux 5.14 or later on the host" },
	{ KVM_CAP_ONE_REG, "one-reg", "KVM has no KVM_GET_ONE_REG on x86",
	  "Linux 6.18 or later on the host" },
	{ KVM_CAP_NESTED_STATE, "nested-state", "KVM's nested virtualization is off",
	  "load kvm_intel or kvm_amd with nested=1" },
	{ KVM_CAP_GUEST_MEMFD, "guest-memfd", "KVM has no guest_memfd for VMs of the default type",
	  "Linux 6.18 or later on the host; before, only VMs of other types have it" },
};

static const struct caps_kvm_line kvm_lines[] = {
	CAPS_KVM(KVM_CAP_NR_VCPUS),
	CAPS_KVM(KVM_CAP_MAX_VCPUS),
	CAPS_KVM(KVM_CAP_MAX_VCPU_ID),
	CAPS_KVM(KVM_CAP_NR_MEMSLOTS),
	CAPS_KVM(KVM_CAP_IMMEDIATE_EXIT),
	CAPS_KVM(KVM_CAP_READONLY_MEM),
	CAPS_KVM(KVM_CAP_USER_MEMORY2),
	CAPS_KVM(KVM_CAP_MEMORY_ATTRIBUTES),
	CAPS_KVM(KVM_CAP_GUEST_MEMFD),
	CAPS_KVM(KVM_CAP_MEMORY_FAULT_INFO),
	CAPS_KVM(KVM_CAP_EXIT_HYPERCALL),
	CAPS_KVM(KVM_CAP_VM_TYPES),
	CAPS_KVM(KVM_CAP_IRQCHIP),
	CAPS_KVM(KVM_CAP_SPLIT_IRQCHIP),
	CAPS_KVM(KVM_CAP_X2APIC_API),
	CAPS_KVM(KVM_CAP_PIT2),
	CAPS_KVM(KVM_CAP_IRQFD),
	CAPS_KVM(KVM_CAP_IRQFD_RESAMPLE),
	CAPS_KVM(KVM_CAP_IOEVENTFD),
	CAPS_KVM(KVM_CAP_IOEVENTFD_ANY_LENGTH),
	CAPS_KVM(KVM_CAP_IRQ_ROUTING),
	CAPS_KVM(KVM_CAP_SIGNAL_MSI),
	CAPS_KVM(KVM_CAP_ONE_REG),
	CAPS_KVM(KVM_CAP_MP_STATE),
	CAPS_KVM(KVM_CAP_VCPU_EVENTS),
	CAPS_KVM(KVM_CAP_XSAVE2),
	CAPS_KVM(KVM_CAP_SREGS2),
	CAPS_KVM(KVM_CAP_NESTED_STATE),
	CAPS_KVM(KVM_CAP_TSC_CONTROL),
	CAPS_KVM(KVM_CAP_VM_TSC_CONTROL),
	CAPS_KVM(KVM_CAP_TSC_DEADLINE_TIMER),
	CAPS_KVM(KVM_CAP_KVMCLOCK_CTRL),
	CAPS_KVM(KVM_CAP_X86_DISABLE_EXITS),
	CAPS_KVM(KVM_CAP_X86_USER_SPACE_MSR),
	CAPS_KVM(KVM_CAP_X86_TRIPLE_FAULT_EVENT),
	CAPS_KVM(KVM_CAP_X86_NOTIFY_VMEXIT),
	CAPS_KVM(KVM_CAP_SET_GUEST_DEBUG),
	CAPS_KVM(KVM_CAP_BINARY_STATS_FD),
};

int arch_probe_caps(const struct kvm *kvm, struct lkvm_caps *caps, struct lkvm_error *err)
{
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(feature_lines); i++)
		caps_by_kvm(caps, kvm, feature_lines[i].cap, feature_lines[i].name,
			    feature_lines[i].reason, feature_lines[i].remedy);
	probe_disable_exits(caps, kvm);
	ret = probe_cpuid(caps, kvm, err);
	if (ret)
		return ret;
	probe_vm_types(caps, kvm);
	caps_add_kvm(caps, kvm, kvm_lines, ARRAY_SIZE(kvm_lines));
	return 0;
}
