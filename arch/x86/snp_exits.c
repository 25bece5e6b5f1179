/*
 * snp_exits.c - what KVM asks while an SNP guest runs.
 *
 * All of it is the guest's wish and unchecked: addresses, counts and how often. A request is
 * bounded work, what is not RAM is refused, and what cannot be granted is told to the guest where
 * there is a way to tell.
 */
#include <errno.h>

#include "arch/x86/snp_impl.h"

/* KVM hands on what one request of a guest names, 253 entries of 2 MiB at most, merged. */
#define MAX_CONVERT (1 * GIB)

#define PAGE_SIZE_HINT 0xfull /* of the attributes: 4 KiB, 2 MiB, 1 GiB */

/* Of a hypercall that KVM has no business passing on (Documentation/virt/kvm/x86/hypercalls.rst).
 */
#define KVM_ENOSYS 1000

/* ---- page-state changes ---------------------------------------------------------------- */

/*
 * What kvm_run->hypercall.ret is told: 0, or one of two errnos, positive ones; KVM tells the guest
 * of both alike that it failed, and is about to refuse all others.
 */
static u64 map_gpa_range(struct vcpu *vcpu, u64 gpa, u64 n_pages, u64 attrs)
{
	struct machine *m = vcpu->machine;
	struct lkvm_error err = { 0 };
	int ret;

	if (gpa % SNP_PAGE || !n_pages || n_pages > MAX_CONVERT / SNP_PAGE ||
	    attrs & ~(PAGE_SIZE_HINT | KVM_MAP_GPA_RANGE_ENCRYPTED))
		return EINVAL;
	ret = gmem_convert(&m->gmem, gpa, n_pages * SNP_PAGE, attrs & KVM_MAP_GPA_RANGE_ENCRYPTED,
			   &err);
	if (!ret)
		return 0;
	if (ratelimit_ok(&m->arch->snp->limit))
		log_warn(m->log, "vCPU %u: 0x%llx, %llu pages, cannot become %s: %s", vcpu->index,
			 (unsigned long long)gpa, (unsigned long long)n_pages,
			 attrs & KVM_MAP_GPA_RANGE_ENCRYPTED ? "private" : "shared",
			 ret == -EFAULT ? "there is no RAM" : err.msg);
	return ret == -EFAULT ? EINVAL : EAGAIN;
}

static void handle_hypercall(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	const u64 *args = run->hypercall.args;

	vcpu_note_exit(vcpu, KVM_EXIT_HYPERCALL, 0, false, args[0], args[1]);
	run->hypercall.ret = run->hypercall.nr == KVM_HC_MAP_GPA_RANGE
				     ? map_gpa_range(vcpu, args[0], args[1], args[2])
				     : -(u64)KVM_ENOSYS;
}

/* ---- termination ----------------------------------------------------------------------- */

/* The GHCB MSR of a termination request (GHCB specification 56421, 2.3.1). */
#define GHCB_TERM_SET(msr)    ((unsigned int)((msr) >> 12 & 0xf))
#define GHCB_TERM_REASON(msr) ((unsigned int)((msr) >> 16 & 0xff))

static const char *reason_text(unsigned int set, unsigned int reason)
{
	static const char *const general[] = {
		"no more is said",
		"it does not take KVM's version of the GHCB protocol",
		"the hypervisor lacks SEV-SNP features it needs",
	};

	if (set == 0)
		return reason < ARRAY_SIZE(general) ? general[reason] : "reserved";
	return set == 1 ? "one of Linux" : "of the guest's vendor";
}

static void handle_term(struct vcpu *vcpu, enum vcpu_action *action)
{
	const struct kvm_run *run = vcpu->run;
	u64 msr = run->system_event.ndata ? run->system_event.data[0] : 0;
	unsigned int set = GHCB_TERM_SET(msr), reason = GHCB_TERM_REASON(msr);

	vcpu_note_exit(vcpu, KVM_EXIT_SYSTEM_EVENT, 0, false, KVM_SYSTEM_EVENT_SEV_TERM, msr);
	machine_end(vcpu->machine, LKVM_CAUSE_PANIC, msr,
		    "vCPU %u: the SNP guest asked to be terminated, reason %u:%u (%s)", vcpu->index,
		    set, reason, reason_text(set, reason));
	*action = VCPU_STOP;
}

int snp_handle_exit(struct vcpu *vcpu, enum vcpu_action *action)
{
	const struct kvm_run *run = vcpu->run;

	if (!vcpu->machine->arch->snp)
		return -ENOSYS;
	switch (run->exit_reason) {
	case KVM_EXIT_HYPERCALL:
		handle_hypercall(vcpu);
		return 0;
	case KVM_EXIT_SNP_REQ_CERTS:
		snp_certs_exit(vcpu, action);
		return 0;
	case KVM_EXIT_SYSTEM_EVENT:
		if (run->system_event.type != KVM_SYSTEM_EVENT_SEV_TERM)
			return -ENOSYS;
		handle_term(vcpu, action);
		return 0;
	}
	return -ENOSYS;
}

/* ---- memory faults --------------------------------------------------------------------- */

static enum vcpu_action end(struct vcpu *vcpu, enum lkvm_cause cause, u64 value, u64 gpa,
			    bool private, const char *why)
{
	machine_end(vcpu->machine, cause, value,
		    "vCPU %u: the SNP guest uses 0x%llx as %s memory: %s", vcpu->index,
		    (unsigned long long)gpa, private ? "private" : "shared", why);
	return VCPU_STOP;
}

/*
 * vcpu->n_stuck falls to 0 with every other exit: only faults without progress are counted. One
 * access can want the same page private and shared by turns, and would for ever.
 */
static bool too_often(struct vcpu *vcpu, u64 gpa)
{
	u64 *last = &vcpu->machine->arch->snp->faults[vcpu->index];

	vcpu->n_stuck = *last == gpa ? vcpu->n_stuck + 1 : 1;
	*last = gpa;
	return vcpu->n_stuck >= VCPU_MAX_STUCK;
}

/* The page becomes what the guest takes it for; it finds out itself whether that was right. */
int snp_handle_memory_fault(struct vcpu *vcpu, enum vcpu_action *action)
{
	struct machine *m = vcpu->machine;
	const struct kvm_run *run = vcpu->run;
	u64 gpa = run->memory_fault.gpa, flags = run->memory_fault.flags;
	bool private = flags & KVM_MEMORY_EXIT_FLAG_PRIVATE;
	u64 first = align_down(gpa, SNP_PAGE), size = run->memory_fault.size;
	struct lkvm_error err = { 0 };
	int ret;

	if (!m->arch->snp || run->exit_reason != KVM_EXIT_MEMORY_FAULT ||
	    flags & ~KVM_MEMORY_EXIT_FLAG_PRIVATE)
		return -ENOSYS;
	vcpu_note_exit(vcpu, KVM_EXIT_MEMORY_FAULT, 0, false, gpa, flags);
	if (too_often(vcpu, first)) {
		*action =
			end(vcpu, LKVM_CAUSE_INTERNAL_ERROR, EFAULT, gpa, private,
			    "the same fault comes again and again, though the page was converted");
		return 0;
	}
	if (!size || size > MAX_CONVERT)
		size = SNP_PAGE;
	ret = gmem_convert(&m->gmem, first, align_up(gpa + size, SNP_PAGE) - first, private, &err);
	if (ret == -EFAULT)
		*action = end(vcpu, LKVM_CAUSE_INTERNAL_ERROR, EFAULT, gpa, private,
			      "there is no RAM");
	else if (ret)
		*action = end(vcpu, LKVM_CAUSE_HOST_ERROR, (u64)-ret, gpa, private, err.msg);
	return 0;
}
