/* caps.c - what an x86 host's KVM has for guests, and what it would take to have the rest. */
#include "vmm/caps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch/x86/cpuid.h"
#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"
#include "vmm/arch.h"

/* ---- what KVM offers by CPUID ------------------------------------------------------------- */

/* Bits that KVM passes on without being told more. */
static const struct cpuid_line {
	enum cpu_feature_id id;
	const char *remedy;
} cpuid_lines[] = {
	{ CPU_F_shstk, "CPUs with CET, and Linux 6.18 or later on the host" },
	{ CPU_F_ibt, "Intel CPUs with CET, and Linux 6.18 or later on the host" },
	{ CPU_F_lkgs, "CPUs with LKGS, and Linux 6.17 or later on the host" },
	{ CPU_F_fred, "CPUs with FRED, and a KVM that has it for guests" },
};

/* AMD's CPUs have no such register, though KVM lists it there (cpuid_rules.c hides it). */
static void probe_arch_capabilities(struct lkvm_caps *caps, const struct kvm_cpuid2 *cpuid)
{
	enum cpuid_vendor vendor = cpuid_vendor(cpuid);
	bool amd = vendor == CPUID_VENDOR_AMD || vendor == CPUID_VENDOR_HYGON;
	bool listed = cpu_feature_shown(cpuid, CPU_F_arch_capabilities);

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

static void probe_nested(struct lkvm_caps *caps, const struct kvm_cpuid2 *cpuid)
{
	if (cpu_feature_shown(cpuid, CPU_F_vmx) || cpu_feature_shown(cpuid, CPU_F_svm))
		caps_yes(caps, "nested", 1);
	else
		caps_no(caps, "nested", "KVM offers guests neither VMX nor SVM",
			"kvm_intel or kvm_amd loaded with nested=1");
}

static int probe_cpuid(struct lkvm_caps *caps, const struct kvm *kvm, struct lkvm_error *err)
{
	struct kvm_cpuid2 *cpuid;
	int ret;

	cpuid = cpuid_alloc();
	if (!cpuid)
		return err_host(err, ENOMEM, "CPUID table");
	cpuid->nent = CPUID_MAX_ENTRIES;
	ret = kvm_host_ioctl(kvm->host, KVM_GET_SUPPORTED_CPUID, cpuid, err);
	for (size_t i = 0; ret >= 0 && i < ARRAY_SIZE(cpuid_lines); i++) {
		const struct cpuid_line *l = &cpuid_lines[i];
		const char *name = cpu_features[l->id].name;

		if (cpu_feature_shown(cpuid, l->id))
			caps_yes(caps, name, 1);
		else
			caps_no(caps, name, "KVM does not offer it to guests", l->remedy);
	}
	if (ret >= 0) {
		probe_arch_capabilities(caps, cpuid);
		probe_nested(caps, cpuid);
	}
	free(cpuid);
	return ret < 0 ? ret : 0;
}

/* ---- what KVM says by capabilities ------------------------------------------------------- */

/* What a VM of the default type has. */
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
	{ KVM_CAP_MAX_VCPUS, "max-vcpus", "KVM does not say how many", "" },
	{ KVM_CAP_MAX_VCPU_ID, "max-vcpu-ids", "KVM does not say how many",
	  "Linux 4.8 or later on the host" },
	{ KVM_CAP_SREGS2, "sregs2", "KVM has no KVM_GET_SREGS2",
	  "Linux 5.14 or later on the host" },
	{ KVM_CAP_ONE_REG, "one-reg", "KVM has no KVM_GET_ONE_REG on x86",
	  "Linux 6.18 or later on the host" },
	{ KVM_CAP_XSAVE2, "xsave2", "KVM has no KVM_GET_XSAVE2",
	  "Linux 5.17 or later on the host" },
	{ KVM_CAP_NESTED_STATE, "nested-state", "KVM's nested virtualization is off",
	  "kvm_intel or kvm_amd loaded with nested=1" },
	{ KVM_CAP_GUEST_MEMFD, "guest-memfd", "KVM has no guest_memfd for VMs of the default type",
	  "Linux 6.18 or later on the host; before, only VMs of other types have it" },
	{ KVM_CAP_PRE_FAULT_MEMORY, "pre-fault", "KVM has no KVM_PRE_FAULT_MEMORY",
	  "CPUs with EPT or NPT, in use by KVM, and Linux 6.11 or later on the host" },
	{ KVM_CAP_DIRTY_LOG_RING, "dirty-ring", "KVM has no rings of dirty pages",
	  "CPUs with EPT or NPT, and Linux 5.11 or later on the host" },
};

/* Bits of what a capability says. */
static const struct mask_line {
	u32 cap;
	bool of_host; /* of VMs in general: one of the default type does not say all of them */
	u64 bits;     /* any of these will do */
	const char *name;
	const char *reason;
	const char *remedy;
} mask_lines[] = {
	{ KVM_CAP_X86_DISABLE_EXITS, false, KVM_X86_DISABLE_EXITS_MWAIT, "mwait",
	  "KVM does not let guests wait by MWAIT",
	  "CPUs with MWAIT whose local APIC's timer goes on in C-states (ARAT)" },
	{ KVM_CAP_X86_DISABLE_EXITS, false, KVM_X86_DISABLE_EXITS_HLT, "hlt",
	  "KVM does not let guests halt the CPU",
	  "CPUs without the bug SMT_RSB, or kvm's parameter mitigate_smt_rsb=0" },
	{ KVM_CAP_X86_DISABLE_EXITS, false, KVM_X86_DISABLE_EXITS_PAUSE, "pause",
	  "KVM does not let guests spin as long as they like", "Linux 4.17 or later on the host" },
	{ KVM_CAP_X86_DISABLE_EXITS, false, KVM_X86_DISABLE_EXITS_CSTATE, "cstate",
	  "KVM does not let guests read C-state residencies",
	  "CPUs without the bug SMT_RSB, or kvm's parameter mitigate_smt_rsb=0" },
	{ KVM_CAP_X86_DISABLE_EXITS, false, KVM_X86_DISABLE_EXITS_APERFMPERF, "aperfmperf",
	  "KVM does not let guests read APERF and MPERF",
	  "CPUs with APERFMPERF, and Linux 6.17 or later on the host" },
	{ KVM_CAP_X2APIC_API, true, KVM_X2APIC_API_USE_32BIT_IDS, "x2apic-32bit-ids",
	  "KVM's interrupt messages have ids of 8 bits", "Linux 4.7 or later on the host" },
	{ KVM_CAP_X2APIC_API, true, KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK, "x2apic-id-255",
	  "KVM takes messages to the x2APIC with id 255 for broadcasts",
	  "Linux 4.7 or later on the host" },
	{ KVM_CAP_X2APIC_API, true,
	  KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST | KVM_X2APIC_DISABLE_SUPPRESS_EOI_BROADCAST,
	  "eoi-broadcast", "KVM offers guests to suppress EOI broadcasts, and does not do it",
	  "a Linux on the host whose KVM_CAP_X2APIC_API has flags 4 and 8, such as 7.2" },
	{ KVM_CAP_GUEST_MEMFD_FLAGS, false, GUEST_MEMFD_FLAG_MMAP, "guest-memfd-mmap",
	  "KVM's guest_memfd cannot be mapped by the host", "Linux 6.18 or later on the host" },
	{ KVM_CAP_MEMORY_ATTRIBUTES, true, KVM_MEMORY_ATTRIBUTE_PRIVATE, "memory-attributes",
	  "KVM makes no VMs whose memory can be private",
	  "what sev-snp or tdx take, and Linux 6.8 or later on the host" },
	{ KVM_CAP_EXIT_HYPERCALL, true, BIT(KVM_HC_MAP_GPA_RANGE), "exit-hypercall",
	  "KVM does not hand on what guests say of private memory",
	  "Linux 5.14 or later on the host" },
};

/* Asked of the device node, which has no VM. */
static int check_host(const struct kvm *kvm, u32 cap)
{
	int ret = kvm->be->ioctl(kvm->be->ctx, kvm->host->fd, KVM_CHECK_EXTENSION, cap);

	return ret < 0 ? 0 : ret;
}

static void probe_masks(struct lkvm_caps *caps, const struct kvm *kvm)
{
	for (size_t i = 0; i < ARRAY_SIZE(mask_lines); i++) {
		const struct mask_line *l = &mask_lines[i];
		int mask = l->of_host ? check_host(kvm, l->cap) : kvm_check(kvm, l->cap);

		if ((u64)mask & l->bits)
			caps_yes(caps, l->name, 1);
		else
			caps_no(caps, l->name, l->reason, l->remedy);
	}
}

static void probe_whole_masks(struct lkvm_caps *caps, const struct kvm *kvm)
{
	int mask = kvm_check(kvm, KVM_CAP_X86_DISABLE_EXITS);

	if (mask)
		caps_yes(caps, "disable-exits", mask);
	else
		caps_no(caps, "disable-exits", "KVM lets no instruction go without an exit", "");
	mask = check_host(kvm, KVM_CAP_X2APIC_API);
	if (mask)
		caps_yes(caps, "x2apic-api", mask);
	else
		caps_no(caps, "x2apic-api", "KVM's x2APIC has no options",
			"Linux 4.7 or later on the host");
}

/* ---- confidential guests ----------------------------------------------------------------- */

#define NO_SUCH_VMS "KVM makes no VMs of that type"
#define SNP_TAKES                                                                             \
	"AMD CPUs with SEV-SNP on in firmware, Linux 6.11 or later, and kvm_amd loaded with " \
	"sev_snp=1"

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
		{ "sev-snp", KVM_X86_SNP_VM, SNP_TAKES },
		{ "tdx", KVM_X86_TDX_VM,
		  "Intel CPUs with TDX on in firmware, Linux 6.16 or later, and kvm_intel loaded "
		  "with tdx=1" },
	};
	int mask = kvm_check(kvm, KVM_CAP_VM_TYPES);

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (mask & 1 << types[i].type)
			caps_yes(caps, types[i].name, 1);
		else
			caps_no(caps, types[i].name, NO_SUCH_VMS, types[i].remedy);
	}
}

static void probe_snp(struct lkvm_caps *caps, const struct kvm *kvm)
{
	u64 policy = 0;

	if (!(kvm_check(kvm, KVM_CAP_VM_TYPES) & 1 << KVM_X86_SNP_VM)) {
		caps_no(caps, "snp-policy", "KVM makes no SEV-SNP guests", SNP_TAKES);
		caps_no(caps, "snp-certs", "KVM makes no SEV-SNP guests", SNP_TAKES);
		caps_no(caps, "snp-report", "KVM makes no SEV-SNP guests", SNP_TAKES);
		return;
	}
	/* a mask of 63 bits at most: 63 to 26 must be zero (SNP ABI 1.58, table 9) */
	if (!kvm_get_attr(kvm, kvm->host->fd, KVM_X86_GRP_SEV, KVM_X86_SNP_POLICY_BITS, &policy))
		caps_yes(caps, "snp-policy", (s64)(policy & INT64_MAX));
	else
		caps_no(caps, "snp-policy", "KVM does not say which policy bits it takes",
			"a Linux on the host with KVM_X86_SNP_POLICY_BITS, such as 7.2");
	if (kvm_has_attr(kvm, kvm->host->fd, KVM_X86_GRP_SEV, KVM_X86_SEV_SNP_REQ_CERTS))
		caps_yes(caps, "snp-certs", 1);
	else
		caps_no(caps, "snp-certs", "KVM does not ask for certificates",
			"Linux 7.0 or later on the host");
	/* its number is a posted series' and the probe of it takes a guest (linux-uapi/unmerged.h)
	 */
	caps_no(caps, "snp-report",
		"not probed without a VM: it takes a guest after its launch to see whether KVM "
		"gives "
		"reports",
		"run one with --snp --snp-report FILE");
}

/* ---- huge pages of the host -------------------------------------------------------------- */

/* The number in a file of sysfs; -1: there is no such file. */
static long read_count(const char *path)
{
	char text[24] = "", *end;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	long count;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	count = strtol(text, &end, 10);
	return n > 0 && end > text && count >= 0 ? count : -1;
}

static void probe_huge_pages(struct lkvm_caps *caps, const struct kvm *kvm)
{
	static const struct {
		const char *name;
		const char *none; /* the host has none of the kind */
		unsigned int kib;
		const char *remedy;
	} sizes[] = {
		{ "huge-pages-2m", "a kernel with CONFIG_HUGETLBFS on the host", 2048,
		  "a number in /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages" },
		{ "huge-pages-1g", "CPUs with pdpe1gb, and a kernel with CONFIG_HUGETLBFS", 1048576,
		  "hugepagesz=1G hugepages=N on the host kernel's command line" },
	};
	char path[512];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		long count;

		snprintf(path, sizeof(path), "%s/kernel/mm/hugepages/hugepages-%ukB/free_hugepages",
			 kvm->be->sysfs, sizes[i].kib);
		count = read_count(path);
		if (count > 0)
			caps_yes(caps, sizes[i].name, count);
		else if (count == 0)
			caps_no(caps, sizes[i].name, "the host has set none aside that is free",
				sizes[i].remedy);
		else
			caps_no(caps, sizes[i].name, "the host has no pages of that size",
				sizes[i].none);
	}
}

/* ---- all of them ------------------------------------------------------------------------- */

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
	CAPS_KVM(KVM_CAP_GUEST_MEMFD_FLAGS),
	CAPS_KVM(KVM_CAP_PRE_FAULT_MEMORY),
	CAPS_KVM(KVM_CAP_DIRTY_LOG_RING),
	CAPS_KVM(KVM_CAP_MEMORY_FAULT_INFO),
	CAPS_KVM(KVM_CAP_EXIT_HYPERCALL),
	CAPS_KVM(KVM_CAP_VM_TYPES),
	CAPS_KVM(KVM_CAP_SYS_ATTRIBUTES),
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
	probe_whole_masks(caps, kvm);
	probe_masks(caps, kvm);
	ret = probe_cpuid(caps, kvm, err);
	if (ret)
		return ret;
	probe_vm_types(caps, kvm);
	probe_snp(caps, kvm);
	probe_huge_pages(caps, kvm);
	caps_add_kvm(caps, kvm, kvm_lines, ARRAY_SIZE(kvm_lines));
	return 0;
}
