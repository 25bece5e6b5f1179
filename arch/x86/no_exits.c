#include "arch/x86/no_exits.h"

#include <errno.h>

#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"

_Static_assert(LKVM_X86_NO_EXIT_MWAIT == KVM_X86_DISABLE_EXITS_MWAIT &&
		       LKVM_X86_NO_EXIT_HLT == KVM_X86_DISABLE_EXITS_HLT &&
		       LKVM_X86_NO_EXIT_PAUSE == KVM_X86_DISABLE_EXITS_PAUSE &&
		       LKVM_X86_NO_EXIT_CSTATE == KVM_X86_DISABLE_EXITS_CSTATE &&
		       LKVM_X86_NO_EXIT_APERFMPERF == KVM_X86_DISABLE_EXITS_APERFMPERF,
	       "the public bits are KVM's");

/* KVM's kvm_get_allowed_disable_exits(): PAUSE needs nothing, and these what is said. */
#define NO_SMT_RSB                                                                                 \
	"; it does not on CPUs whose threads see one another's return addresses (kvm's parameter " \
	"mitigate_smt_rsb)"

static const struct {
	unsigned int bit;
	const char *name;
	const char *takes;
} exits[] = {
	{ LKVM_X86_NO_EXIT_MWAIT, "mwait",
	  "; it takes CPUs with MWAIT whose local APIC's timer goes on in C-states (ARAT)" },
	{ LKVM_X86_NO_EXIT_HLT, "hlt", NO_SMT_RSB },
	{ LKVM_X86_NO_EXIT_PAUSE, "pause", "" },
	{ LKVM_X86_NO_EXIT_CSTATE, "cstate", NO_SMT_RSB },
	{ LKVM_X86_NO_EXIT_APERFMPERF, "aperfmperf",
	  "; it takes CPUs with APERFMPERF, and Linux 6.17 or later on the host" },
};

int x86_no_exits_check(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	if (cfg->x86.no_exits & ~LKVM_X86_NO_EXIT_ALL)
		return err_input(err, "--disable-exits 0x%x: bits above 0x%x are unknown",
				 cfg->x86.no_exits, LKVM_X86_NO_EXIT_ALL);
	return 0;
}

/* APERF and MPERF are those of a CPU of the host: a vCPU that moved would see them jump. */
static int pin_each(struct machine *m, struct lkvm_error *err)
{
	bool asked = !cpu_mask_empty(&m->cpus);
	unsigned int n = m->cfg->n_vcpus;
	struct cpu_mask cpus;
	char list[64];

	cpu_mask_current(&cpus);
	if (asked)
		cpu_mask_and(&cpus, &m->cpus);
	if (cpu_mask_count(&cpus) < n)
		return err_input(err,
				 "--disable-exits aperfmperf: --cpus %u, and each wants a CPU of "
				 "the host to itself: there are %u%s",
				 n, cpu_mask_count(&cpus), asked ? " by --vcpu-affinity" : "");
	cpu_mask_first(&cpus, n);
	m->cpus = cpus;
	m->cpu_each = true;
	cpu_mask_format(&cpus, list, sizeof(list));
	/* unasked it may be in the way of another machine that does the same: not to be missed */
	log_at(m->log, asked ? LKVM_LOG_INFO : LKVM_LOG_WARNING,
	       "--disable-exits aperfmperf: each vCPU is pinned to a CPU of its own, of the "
	       "host's %s; APERF and MPERF are that CPU's, and the TSC is not scaled",
	       list);
	return 0;
}

int x86_no_exits_init(struct machine *m, struct lkvm_error *err)
{
	unsigned int wanted = m->cfg->x86.no_exits;
	int mask, ret;

	if (!wanted)
		return 0;
	mask = kvm_check(&m->kvm, KVM_CAP_X86_DISABLE_EXITS);
	for (size_t i = 0; i < ARRAY_SIZE(exits); i++) {
		if (wanted & exits[i].bit & ~(unsigned int)mask)
			return err_unsupported(err, ENOTTY,
					       "--disable-exits %s: this host's KVM does not allow "
					       "it%s",
					       exits[i].name, exits[i].takes);
	}
	if (wanted & LKVM_X86_NO_EXIT_APERFMPERF) {
		ret = pin_each(m, err);
		if (ret)
			return ret;
	}
	ret = kvm_enable_cap(&m->kvm, KVM_CAP_X86_DISABLE_EXITS, wanted, err);
	return ret < 0 ? ret : 0;
}
