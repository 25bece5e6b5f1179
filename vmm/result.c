#include "vmm/result.h"

#include "linux-uapi/kvm.h"

#define VERDICT_MAX 111

static const struct {
	const char *name;
	int status; /* -1: the verdict decides */
	bool post_mortem;
} causes[LKVM_N_CAUSES] = {
	[LKVM_CAUSE_NONE] = { "running", 125, false },
	[LKVM_CAUSE_POWEROFF] = { "power-off", 0, false },
	[LKVM_CAUSE_VERDICT] = { "verdict", -1, false },
	[LKVM_CAUSE_RESET] = { "reset", 112, false },
	[LKVM_CAUSE_PANIC] = { "guest-panic", 113, true },
	[LKVM_CAUSE_TRIPLE_FAULT] = { "triple-fault", 114, true },
	[LKVM_CAUSE_INTERNAL_ERROR] = { "kvm-internal-error", 115, true },
	[LKVM_CAUSE_ENTRY_FAILED] = { "kvm-entry-refused", 116, true },
	[LKVM_CAUSE_IDLE_TIMEOUT] = { "idle-timeout", 117, true },
	[LKVM_CAUSE_EXPECT_FAILED] = { "expect-failed", 118, false },
	[LKVM_CAUSE_USER] = { "user", 119, false },
	[LKVM_CAUSE_TIMEOUT] = { "timeout", 124, true },
	[LKVM_CAUSE_HOST_ERROR] = { "host-error", 125, false },
};

static const char *const phases[LKVM_N_PHASES] = {
	[LKVM_PHASE_START] = "start",
	[LKVM_PHASE_MEMORY] = "memory",
	[LKVM_PHASE_KERNEL] = "kernel_loaded",
	[LKVM_PHASE_FIRST_RUN] = "first_run",
	[LKVM_PHASE_FIRST_CONSOLE] = "first_console_byte",
	[LKVM_PHASE_END] = "end",
};

static const char *const exit_reasons[LKVM_N_EXIT_REASONS] = {
	[KVM_EXIT_UNKNOWN] = "unknown",
	[KVM_EXIT_EXCEPTION] = "exception",
	[KVM_EXIT_IO] = "io",
	[KVM_EXIT_HYPERCALL] = "hypercall",
	[KVM_EXIT_DEBUG] = "debug",
	[KVM_EXIT_HLT] = "hlt",
	[KVM_EXIT_MMIO] = "mmio",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "irq_window_open",
	[KVM_EXIT_SHUTDOWN] = "shutdown",
	[KVM_EXIT_FAIL_ENTRY] = "fail_entry",
	[KVM_EXIT_INTR] = "intr",
	[KVM_EXIT_SET_TPR] = "set_tpr",
	[KVM_EXIT_TPR_ACCESS] = "tpr_access",
	[KVM_EXIT_S390_SIEIC] = "s390_sieic",
	[KVM_EXIT_S390_RESET] = "s390_reset",
	[KVM_EXIT_DCR] = "dcr",
	[KVM_EXIT_NMI] = "nmi",
	[KVM_EXIT_INTERNAL_ERROR] = "internal_error",
	[KVM_EXIT_OSI] = "osi",
	[KVM_EXIT_PAPR_HCALL] = "papr_hcall",
	[KVM_EXIT_S390_UCONTROL] = "s390_ucontrol",
	[KVM_EXIT_WATCHDOG] = "watchdog",
	[KVM_EXIT_S390_TSCH] = "s390_tsch",
	[KVM_EXIT_EPR] = "epr",
	[KVM_EXIT_SYSTEM_EVENT] = "system_event",
	[KVM_EXIT_S390_STSI] = "s390_stsi",
	[KVM_EXIT_IOAPIC_EOI] = "ioapic_eoi",
	[KVM_EXIT_HYPERV] = "hyperv",
	[KVM_EXIT_ARM_NISV] = "arm_nisv",
	[KVM_EXIT_X86_RDMSR] = "x86_rdmsr",
	[KVM_EXIT_X86_WRMSR] = "x86_wrmsr",
	[KVM_EXIT_DIRTY_RING_FULL] = "dirty_ring_full",
	[KVM_EXIT_AP_RESET_HOLD] = "ap_reset_hold",
	[KVM_EXIT_X86_BUS_LOCK] = "x86_bus_lock",
	[KVM_EXIT_XEN] = "xen",
	[KVM_EXIT_RISCV_SBI] = "riscv_sbi",
	[KVM_EXIT_RISCV_CSR] = "riscv_csr",
	[KVM_EXIT_NOTIFY] = "notify",
	[KVM_EXIT_LOONGARCH_IOCSR] = "loongarch_iocsr",
	[KVM_EXIT_MEMORY_FAULT] = "memory_fault",
	[KVM_EXIT_TDX] = "tdx",
	[KVM_EXIT_ARM_SEA] = "arm_sea",
	[KVM_EXIT_ARM_LDST64B] = "arm_ldst64b",
	[KVM_EXIT_SNP_REQ_CERTS] = "snp_req_certs",
};

const char *lkvm_cause_name(enum lkvm_cause cause)
{
	return (unsigned int)cause < LKVM_N_CAUSES ? causes[cause].name : "unknown";
}

const char *lkvm_phase_name(enum lkvm_phase phase)
{
	return (unsigned int)phase < LKVM_N_PHASES ? phases[phase] : "unknown";
}

const char *lkvm_exit_reason_name(unsigned int reason)
{
	return reason < LKVM_N_EXIT_REASONS ? exit_reasons[reason] : NULL;
}

int result_exit_status(enum lkvm_cause cause, u64 verdict)
{
	if ((unsigned int)cause >= LKVM_N_CAUSES)
		return causes[LKVM_CAUSE_NONE].status;
	if (causes[cause].status >= 0)
		return causes[cause].status;
	return verdict < VERDICT_MAX ? (int)verdict : VERDICT_MAX;
}

bool result_wants_post_mortem(enum lkvm_cause cause)
{
	return (unsigned int)cause < LKVM_N_CAUSES && causes[cause].post_mortem;
}
