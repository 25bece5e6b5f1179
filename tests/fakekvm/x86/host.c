/* host.c - the x86 hosts a fakekvm can pretend to be. */
#include "tests/fakekvm/x86/x86.h"

#include "tests/fakekvm/x86/cpuid_fixture.h"

/*
 * KVM_CHECK_EXTENSION, as Linux 7.2 answered with kvm_amd. Left out are capabilities whose requests
 * fakekvm does not have; Intel's differences are in VT-x, which these do not show.
 */
static const struct fake_cap caps[] = {
	{ KVM_CAP_IRQCHIP, 1 },
	{ KVM_CAP_HLT, 1 },
	{ KVM_CAP_USER_MEMORY, 1 },
	{ KVM_CAP_SET_TSS_ADDR, 1 },
	{ KVM_CAP_EXT_CPUID, 1 },
	{ KVM_CAP_CLOCKSOURCE, 1 },
	{ KVM_CAP_NR_VCPUS, 2 },
	{ KVM_CAP_NR_MEMSLOTS, 32764 },
	{ KVM_CAP_PIT, 1 },
	{ KVM_CAP_NOP_IO_DELAY, 1 },
	{ KVM_CAP_MP_STATE, 1 },
	{ KVM_CAP_SYNC_MMU, 1 },
	{ KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1 },
	{ KVM_CAP_USER_NMI, 1 },
	{ KVM_CAP_IRQ_ROUTING, 4096 },
	{ KVM_CAP_IRQ_INJECT_STATUS, 1 },
	{ KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1 },
	{ KVM_CAP_IRQFD, 1 },
	{ KVM_CAP_PIT2, 1 },
	{ KVM_CAP_SET_BOOT_CPU_ID, 1 },
	{ KVM_CAP_PIT_STATE2, 1 },
	{ KVM_CAP_IOEVENTFD, 1 },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, 1 },
	{ KVM_CAP_ADJUST_CLOCK, KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC },
	{ KVM_CAP_INTERNAL_ERROR_DATA, 1 },
	{ KVM_CAP_VCPU_EVENTS, 1 },
	{ KVM_CAP_DEBUGREGS, 1 },
	{ KVM_CAP_ENABLE_CAP, 1 },
	{ KVM_CAP_XSAVE, 1 },
	{ KVM_CAP_XCRS, 1 },
	{ KVM_CAP_GET_TSC_KHZ, 1 },
	{ KVM_CAP_MAX_VCPUS, 1024 },
	{ KVM_CAP_TSC_DEADLINE_TIMER, 1 },
	{ KVM_CAP_KVMCLOCK_CTRL, 1 },
	{ KVM_CAP_SIGNAL_MSI, 1 },
	{ KVM_CAP_READONLY_MEM, 1 },
	{ KVM_CAP_EXT_EMUL_CPUID, 1 },
	{ KVM_CAP_ENABLE_CAP_VM, 1 },
	{ KVM_CAP_IOEVENTFD_NO_LENGTH, 1 },
	{ KVM_CAP_CHECK_EXTENSION_VM, 1 },
	{ KVM_CAP_DISABLE_QUIRKS, 1 },
	{ KVM_CAP_SPLIT_IRQCHIP, 1 },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, 1 },
	{ KVM_CAP_MAX_VCPU_ID, 4096 },
	{ KVM_CAP_X2APIC_API, 15 },
	{ KVM_CAP_IMMEDIATE_EXIT, 1 },
	{ KVM_CAP_X86_DISABLE_EXITS, 15 },
	{ KVM_CAP_GET_MSR_FEATURES, 1 },
	{ KVM_CAP_EXCEPTION_PAYLOAD, 1 },
	{ KVM_CAP_HALT_POLL, 1 },
	{ KVM_CAP_X86_USER_SPACE_MSR, 1 },
	{ KVM_CAP_SREGS2, 1 },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1 },
	{ KVM_CAP_DISABLE_QUIRKS2, 4095 },
	{ KVM_CAP_SYSTEM_EVENT_DATA, 1 },
	{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1 },
	{ KVM_CAP_MEMORY_FAULT_INFO, 1 },
	{ KVM_CAP_VM_TYPES, 1 << KVM_X86_DEFAULT_VM },
	{ 0, 0 },
};

void x86_init(struct fakekvm *fk)
{
	u32 n;
	const struct kvm_cpuid_entry2 *entries =
		cpuid_fixture((enum cpuid_fixture_id)fk->host->cpuid, &n);

	x86_take_cpuid(fk, entries, n);
	for (u32 i = 0; i < n; i++) { /* KVM offers no shadow stacks whose pointer cannot be had */
		if (entries[i].function == 7 && entries[i].index == 0 && entries[i].ecx & 1u << 7)
			fk->caps[KVM_CAP_ONE_REG] = 1;
	}
	if (fk->host->refused_msr)
		fakekvm_refuse_msr(fk, fk->host->refused_msr);
	if (fk->host->snp)
		x86_snp_init(fk);
}

#define HOST(id, text, ...)                               \
	const struct fake_host id = { .name = (text),     \
				      .arch = &fake_x86,  \
				      .caps = caps,       \
				      .phys_bits = 46,    \
				      .tsc_khz = 2300000, \
				      __VA_ARGS__ }

HOST(fakekvm_x86_intel, "intel", .cpuid = CPUID_FIXTURE_INTEL, .wants_tss = true);
HOST(fakekvm_x86_intel_software, "intel-software", .cpuid = CPUID_FIXTURE_INTEL_SOFTWARE,
     .refused_msr = 0x10a);
HOST(fakekvm_x86_amd, "amd", .cpuid = CPUID_FIXTURE_AMD, .refused_msr = 0x10a);
HOST(fakekvm_x86_amd_emulated, "amd-emulated", .cpuid = CPUID_FIXTURE_AMD_EMULATED);
HOST(fakekvm_x86_snp, "amd-snp", .cpuid = CPUID_FIXTURE_AMD, .refused_msr = 0x10a, .snp = true);
HOST(fakekvm_x86_hygon, "hygon", .cpuid = CPUID_FIXTURE_HYGON, .refused_msr = 0x10a);
HOST(fakekvm_x86_intel_next, "intel-next", .cpuid = CPUID_FIXTURE_INTEL_NEXT, .wants_tss = true);
HOST(fakekvm_x86_amd_next, "amd-next", .cpuid = CPUID_FIXTURE_AMD_NEXT, .refused_msr = 0x10a);

const struct fake_host *const fakekvm_hosts[] = {
	&fakekvm_x86_intel,
	&fakekvm_x86_amd,
	&fakekvm_x86_hygon,
	&fakekvm_x86_amd_emulated,
	&fakekvm_x86_intel_software,
	&fakekvm_x86_intel_next,
	&fakekvm_x86_amd_next,
	&fakekvm_x86_snp,
	NULL,
};
