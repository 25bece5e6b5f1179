/*
 * cpuid_rules.c - one table of rules turns what KVM offers into what a vCPU shows.
 *
 * What no rule speaks of is shown as KVM offers it: KVM lists what it can virtualise in
 * its default configuration (KVM api.rst 4.46), so rules exist for what describes the
 * host CPU the ioctl ran on (ids, counts, sharing), for what needs work by the VMM that
 * lkvm does not do, and for what KVM offers wrongly. On purpose without a rule but --cpu,
 * so as offered: the PMU (0xA, 0x80000022), TSX, FRED, LKGS, PKU/PKS, invariant TSC, the
 * XSAVE components (0xD, whose sizes KVM computes at run time) and most of KVM's own leaves.
 *
 * --cpu is one of the rules; those after it keep leaves true to what it left.
 */
#include "arch/x86/cpuid_impl.h"

#define EAX CPUID_EAX
#define EBX CPUID_EBX
#define ECX CPUID_ECX
#define EDX CPUID_EDX

struct kvm_cpuid_entry2 *cpuid_next(struct cpuid_build *b, const struct cpuid_rule *rule,
				    struct kvm_cpuid_entry2 *prev)
{
	struct kvm_cpuid_entry2 *end = b->out->entries + b->out->nent;

	for (struct kvm_cpuid_entry2 *e = prev ? prev + 1 : b->out->entries; e < end; e++)
		if (e->function == rule->function &&
		    (rule->index == ANY_INDEX || e->index == rule->index))
			return e;
	return NULL;
}

void cpuid_append(struct cpuid_build *b, struct kvm_cpuid_entry2 entry)
{
	if (b->out->nent < CPUID_MAX_ENTRIES)
		b->out->entries[b->out->nent++] = entry;
	else
		b->full = true;
}

/* ---- what a rule can do ------------------------------------------------------------------- */

static void clear_bits(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = cpuid_next(b, rule, e)))
		*cpuid_reg(e, rule->reg) &= ~rule->bits;
}

static void set_bits(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = cpuid_next(b, rule, e)))
		*cpuid_reg(e, rule->reg) |= rule->bits;
}

/* As set_bits(), but KVM need not list the leaf. */
static void need_bits(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	if (!cpuid_next(b, rule, NULL))
		cpuid_append(b, (struct kvm_cpuid_entry2){ .function = rule->function });
	set_bits(b, rule);
}

void cpuid_drop_leaf(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	u32 kept = 0;

	for (u32 i = 0; i < b->out->nent; i++)
		if (b->out->entries[i].function != rule->function)
			b->out->entries[kept++] = b->out->entries[i];
	b->out->nent = kept;
}

/* The highest leaf (EAX of 0 and 0x80000000) becomes at least @bits. */
static void raise_max(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = cpuid_next(b, rule, e)))
		if (e->eax < rule->bits)
			e->eax = rule->bits;
}

/* EAX of 7.0 is the highest subleaf: one that shows something must not lie beyond. */
static void raise_subleaf(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = NULL, *first = cpuid_next(b, rule, NULL);
	struct cpuid_rule any = *rule;

	any.index = ANY_INDEX;
	while (first && (e = cpuid_next(b, &any, e)))
		if ((e->eax | e->ebx | e->ecx | e->edx) && e->index && first->eax < e->index)
			first->eax = e->index;
}

/*
 * Leaf 5, which KVM leaves at zero: a line of 64 bytes is monitored, as by all processors there
 * are. Deeper C-states than the one that MWAIT without hints enters are not told of.
 */
static void build_monitor(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	const struct kvm_cpuid_entry2 *e = cpuid_next(b, rule, NULL);

	if (e && e->eax)
		return;
	cpuid_drop_leaf(b, rule);
	cpuid_append(b,
		     (struct kvm_cpuid_entry2){ .function = rule->function, .eax = 64, .ebx = 64 });
}

/* Components @bits of XSAVE's state: XCR0's in 0xD.0, XSS's in 0xD.1, one subleaf for each. */
static void drop_state(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	u32 kept = 0;

	for (u32 i = 0; i < b->out->nent; i++) {
		struct kvm_cpuid_entry2 e = b->out->entries[i];

		if (e.function == 0xd && e.index == 0)
			e.eax &= ~rule->bits;
		if (e.function == 0xd && e.index == 1)
			e.ecx &= ~rule->bits;
		if (e.function != 0xd || e.index < 2 || e.index > 31 ||
		    !(rule->bits & 1u << e.index))
			b->out->entries[kept++] = e;
	}
	b->out->nent = kept;
}

/*
 * EBX and ECX of 0xD.0: bytes of the standard form, up to the end of the component that lies last
 * (SDM 1, 13.4.3). KVM computes the first one anew whenever XCR0 changes.
 */
static void size_state(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = cpuid_next(b, rule, NULL);
	u32 size = 512 + 64; /* of x87 and SSE, and the header */

	for (u32 i = 2; e && i < 32; i++) {
		const struct kvm_cpuid_entry2 *c = cpuid_find(b->out, rule->function, i);

		if (c && e->eax & 1u << i && c->ebx <= UINT32_MAX - c->eax)
			size = (u32)max_u64(size, c->ebx + c->eax);
	}
	if (e)
		e->ebx = e->ecx = size;
}

/* EDX of 0x80000001 repeats features of 1: EDX. */
static void mirror_features(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	const struct kvm_cpuid_entry2 *one = cpuid_find(b->out, 1, 0);
	struct kvm_cpuid_entry2 *e = NULL;

	while (one && (e = cpuid_next(b, rule, e)))
		e->edx &= one->edx | ~rule->bits;
}

static void apply_model(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	(void)rule;
	cpu_model_apply(b->model, b->out, b->observer);
}

/* ---- the table ---------------------------------------------------------------------------- */

/* Reasons that several rules have. */
#define WHY_TOPOLOGY  "follows --cpus"
#define WHY_NO_NESTED "the guest cannot be a hypervisor without --nested"
#define WHY_SGX	      "SGX takes enclave memory, which lkvm does not give to guests"
#define WHY_AMX	      "KVM does not offer the state of AMX to this process"
#define WHY_CET	      "KVM does not offer the state of CET"
#define WHY_MWAIT     "MONITOR and MWAIT are shown with --disable-exits mwait only"
#define WHY_APERF     "APERF and MPERF count with --disable-exits aperfmperf only"
#define WHY_VMM	      "takes a monitor that does its half of it"

/* clang-format off */
/* Of what describes features: where --cpu leaves all of them out. */
#define FOLLOWS(...) MODEL, "describes features that --cpu leaves out", { __VA_ARGS__ }

/*
 * Applied in this order. Sources, where no other is named: SDM 2A, CPUID, and APM 3,
 * appendix E.
 */
static const struct cpuid_rule rules[] = {
	/*
	 * Highest basic leaf. 0xB needs it; the leaves between it and a lower one read as zero,
	 * which is "absent" for each of them (5 to 0xA).
	 */
	{ raise_max, 0, 0, EAX, 0xb, ALWAYS, .why = "leaf 0xB has the topology" },

	/* -- 1: identity and features -- */
	{ cpuid_set_apic_id, 1, 0, EBX, 0, ALWAYS,
	  .why = "APIC id and number of CPUs: " WHY_TOPOLOGY },
	/* MONITOR/MWAIT: KVM runs them as NOPs unless KVM_CAP_X86_DISABLE_EXITS lets them be */
	{ clear_bits, 1, 0, ECX, B(3), NO_MWAIT, .why = WHY_MWAIT },
	{ set_bits, 1, 0, ECX, B(3), MWAIT, .why = "--disable-exits mwait" },
	{ clear_bits, 1, 0, ECX, B(5), NOT_NESTED, .why = WHY_NO_NESTED },
	/* TSC_DEADLINE is part of the LAPIC model, so KVM answers for it by a capability */
	{ clear_bits, 1, 0, ECX, B(24), NO_DEADLINE,
	  .why = "KVM has no KVM_CAP_TSC_DEADLINE_TIMER" },
	{ set_bits, 1, 0, ECX, B(24), DEADLINE, .why = "KVM has KVM_CAP_TSC_DEADLINE_TIMER" },
	/* OSXSAVE mirrors CR4, which is 0 at reset; KVM keeps it up to date */
	{ clear_bits, 1, 0, ECX, B(27), ALWAYS,
	  .why = "OSXSAVE follows CR4, which is 0 at the start" },
	/* set by every hypervisor, cleared by every processor (APM 3, E.3.2) */
	{ set_bits, 1, 0, ECX, B(31), ALWAYS, .why = "there is a hypervisor" },
	/* HTT: the count in EBX[23:16] means something */
	{ clear_bits, 1, 0, EDX, B(28), SINGLE, .why = WHY_TOPOLOGY },
	{ set_bits, 1, 0, EDX, B(28), MULTI, .why = WHY_TOPOLOGY },

	/* -- 4: caches, and core ids in a socket; reserved on AMD -- */
	{ cpuid_share_intel_caches, 4, ANY_INDEX, EAX, 0, ON_INTEL,
	  .why = "who shares a cache: " WHY_TOPOLOGY },

	/* -- 5: MONITOR/MWAIT: see 1:ECX[3] -- */
	{ cpuid_drop_leaf, 5, ANY_INDEX, EAX, 0, NO_MWAIT, .why = WHY_MWAIT },
	{ build_monitor, 5, ANY_INDEX, EAX, 0, MWAIT, .why = "--disable-exits mwait" },

	/* -- 6: APERF/MPERF: KVM never lists them, the VMM says when they count -- */
	{ clear_bits, 6, 0, ECX, B(0), NO_APERFMPERF, .why = WHY_APERF },
	{ need_bits, 6, 0, ECX, B(0), APERFMPERF, .why = "--disable-exits aperfmperf" },

	/* -- 7: extended features -- */
	/* SGX, SGX_LC, SGX keys: need enclave memory and KVM_CAP_SGX_ATTRIBUTE (SDM 3D) */
	{ clear_bits, 7, 0, EBX, B(2), ALWAYS, .why = WHY_SGX },
	{ clear_bits, 7, 0, ECX, B(30), ALWAYS, .why = WHY_SGX },
	{ clear_bits, 7, 0, EDX, B(1), ALWAYS, .why = WHY_SGX },
	/* OSPKE mirrors CR4 like OSXSAVE */
	{ clear_bits, 7, 0, ECX, B(4), ALWAYS,
	  .why = "OSPKE follows CR4, which is 0 at the start" },
	/*
	 * AMX_BF16, AMX_TILE, AMX_INT8, AMX_FP16, AMX_COMPLEX and their leaves: KVM lists them by
	 * the hardware, but the state they need (0xD.0:EAX[18:17]) only for a process that got
	 * ARCH_REQ_XCOMP_GUEST_PERM.
	 */
	{ clear_bits, 7, 0, EDX, B(22) | B(24) | B(25), NO_TILES, .why = WHY_AMX },
	{ clear_bits, 7, 1, EAX, B(21), NO_TILES, .why = WHY_AMX },
	{ clear_bits, 7, 1, EDX, B(8), NO_TILES, .why = WHY_AMX },
	{ cpuid_drop_leaf, 0x1d, ANY_INDEX, EAX, 0, NO_TILES, .why = WHY_AMX },
	{ cpuid_drop_leaf, 0x1e, ANY_INDEX, EAX, 0, NO_TILES, .why = WHY_AMX },
	/* SHSTK and IBT: their MSRs are switched by XSAVES too, as components 11 and 12 of XSS */
	{ clear_bits, 7, 0, ECX, B(7), NO_CET, .why = WHY_CET },
	{ clear_bits, 7, 0, EDX, B(20), NO_CET, .why = WHY_CET },
	/*
	 * ARCH_CAPABILITIES: not in the APM. KVM emulates it on AMD all the same, hosts exist that
	 * refuse the MSR then, and Windows stops at an AMD processor that has it.
	 */
	{ clear_bits, 7, 0, EDX, B(29), ON_AMD,
	  .why = "AMD's processors have no IA32_ARCH_CAPABILITIES, whatever KVM says" },

	/* -- 0xB, 0x1F: topology, which KVM leaves to the VMM; no 0x1F in the APM -- */
	{ cpuid_build_levels, 0xb, ANY_INDEX, EAX, 0, ALWAYS, .why = WHY_TOPOLOGY },
	{ cpuid_build_levels, 0x1f, ANY_INDEX, EAX, 0, ON_INTEL, .why = WHY_TOPOLOGY },

	/* -- 0x12: SGX: see 7.0:EBX[2] -- */
	{ cpuid_drop_leaf, 0x12, ANY_INDEX, EAX, 0, ALWAYS, .why = WHY_SGX },

	/*
	 * -- 0x40000001: MSI_EXT_DEST_ID, HC_MAP_GPA_RANGE, MIGRATION_CONTROL: the VMM does the
	 * other half of each (KVM cpuid.rst) --
	 */
	{ clear_bits, KVM_CPUID_FEATURES, 0, EAX, B(KVM_FEATURE_MSI_EXT_DEST_ID), NO_EXT_DEST_ID,
	  .why = "no APIC id is wider than 8-bit destinations of messages" },
	{ set_bits, KVM_CPUID_FEATURES, 0, EAX, B(KVM_FEATURE_MSI_EXT_DEST_ID), EXT_DEST_ID,
	  .why = "APIC ids above 254 take 15-bit destinations of messages" },
	{ clear_bits, KVM_CPUID_FEATURES, 0, EAX,
	  B(KVM_FEATURE_HC_MAP_GPA_RANGE) | B(KVM_FEATURE_MIGRATION_CONTROL),
	  ALWAYS, .why = WHY_VMM },

	/*
	 * -- 0x80000000: highest extended leaf. Any host with SVM has 0x8000000A and so 0x80000008;
	 * the leaves from there to 0x8000001E are "absent" when they read as zero --
	 */
	{ raise_max, 0x80000000, 0, EAX, 0x8000001e, ON_AMD,
	  .why = "leaf 0x8000001E has the topology" },

	/* -- 0x80000001: extended features -- */
	/* CmpLegacy: the CPUs counted in 1:EBX[23:16] are not (only) threads of one core */
	{ clear_bits, 0x80000001, 0, ECX, B(1), ON_AMD | SINGLE, .why = WHY_TOPOLOGY },
	{ set_bits, 0x80000001, 0, ECX, B(1), ON_AMD | MULTI, .why = WHY_TOPOLOGY },
	{ clear_bits, 0x80000001, 0, ECX, B(2), NOT_NESTED, .why = WHY_NO_NESTED },
	/* TOPOEXT: 0x8000001D and 0x8000001E are there; without it Linux sees no threads */
	{ set_bits, 0x80000001, 0, ECX, B(22), ON_AMD, .why = "leaf 0x8000001E has the topology" },
	/* MONITORX/MWAITX: KVM has no way to let them be */
	{ clear_bits, 0x80000001, 0, ECX, B(29), ALWAYS,
	  .why = "KVM runs MONITORX and MWAITX as NOPs" },

	/* -- 0x80000008: CPUs in a socket; ECX is reserved on Intel -- */
	{ cpuid_set_amd_sizes, 0x80000008, 0, ECX, 0, ON_AMD,
	  .why = "number of CPUs: " WHY_TOPOLOGY },

	/* -- 0x8000000A: SVM's features: see 0x80000001:ECX[2] -- */
	{ cpuid_drop_leaf, 0x8000000a, ANY_INDEX, EAX, 0, NOT_NESTED, .why = WHY_NO_NESTED },

	/* -- 0x8000001D, 0x8000001E: caches and topology -- */
	{ cpuid_build_amd_caches, 0x8000001d, ANY_INDEX, EAX, 0, ON_AMD,
	  .why = "who shares a cache: " WHY_TOPOLOGY },
	{ cpuid_build_amd_ids, 0x8000001e, ANY_INDEX, EAX, 0, ON_AMD, .why = WHY_TOPOLOGY },

	/*
	 * -- 0x8000001F: memory encryption. A guest under SNP finds its C-bit here; what the
	 * platform can do besides (SME, VMPLs, ...) is the host's --
	 */
	{ cpuid_drop_leaf, 0x8000001f, ANY_INDEX, EAX, 0, NOT_SNP,
	  .why = "the guest's memory is not encrypted" },
	{ clear_bits, 0x8000001f, 0, EAX, ~(B(1) | B(3) | B(4)), SNP,
	  .why = "belongs to the host" },
	{ set_bits, 0x8000001f, 0, EAX, B(1) | B(3) | B(4), SNP, .why = "--snp" },

	/* -- 0x80000026: topology of the host; without it 0xB is what guests read -- */
	{ cpuid_drop_leaf, 0x80000026, ANY_INDEX, EAX, 0, ALWAYS,
	  .why = "the topology is that of the host; leaf 0xB has the guest's" },

	/* -- --cpu -- */
	{ apply_model, 0, 0, EAX, 0, MODEL, .why = "--cpu" },

	/* -- what would speak of features that --cpu took away -- */
	{ mirror_features, 0x80000001, 0, EDX, CPUID_AMD_MIRROR, MODEL | ON_AMD,
	  .why = "repeats leaf 1, of which --cpu leaves that out" },
	{ cpuid_drop_leaf, 5, ANY_INDEX, EAX, 0, FOLLOWS(CPU_F_monitor) },
	{ cpuid_drop_leaf, 0xa, ANY_INDEX, EAX, 0, FOLLOWS(CPU_F_arch_perfmon) },
	{ cpuid_drop_leaf, 0x14, ANY_INDEX, EAX, 0, FOLLOWS(CPU_F_intel_pt) },
	{ cpuid_drop_leaf, 0x19, ANY_INDEX, EAX, 0, FOLLOWS(CPU_F_aeskle) },
	{ cpuid_drop_leaf, 0x1c, ANY_INDEX, EAX, 0, FOLLOWS(CPU_F_arch_lbr) },
	{ cpuid_drop_leaf, 0x1d, ANY_INDEX, EAX, 0, FOLLOWS(CPU_F_amx_tile) },
	{ cpuid_drop_leaf, 0x1e, ANY_INDEX, EAX, 0, FOLLOWS(CPU_F_amx_tile) },
	{ cpuid_drop_leaf, 0x24, ANY_INDEX, EAX, 0, FOLLOWS(CPU_F_avx10) },
	{ cpuid_drop_leaf, 0x8000000a, ANY_INDEX, EAX, 0, FOLLOWS(CPU_F_svm) },
	{ cpuid_drop_leaf, 0x80000022, ANY_INDEX, EAX, 0,
	  FOLLOWS(CPU_F_perfmon_v2, CPU_F_amd_lbr_v2) },
	/* state components: SDM 1, 13.1 */
	{ cpuid_drop_leaf, 0xd, ANY_INDEX, EAX, 0, FOLLOWS(CPU_F_xsave) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(2), FOLLOWS(CPU_F_avx) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(3) | B(4), FOLLOWS(CPU_F_mpx) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(5) | B(6) | B(7), FOLLOWS(CPU_F_avx512f) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(8), FOLLOWS(CPU_F_intel_pt) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(9), FOLLOWS(CPU_F_pku) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(10), FOLLOWS(CPU_F_enqcmd) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(11) | B(12), FOLLOWS(CPU_F_shstk, CPU_F_ibt) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(14), FOLLOWS(CPU_F_uintr) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(15), FOLLOWS(CPU_F_arch_lbr) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(17) | B(18), FOLLOWS(CPU_F_amx_tile) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(19), FOLLOWS(CPU_F_apx) },
	{ size_state, 0xd, 0, ECX, 0, MODEL, .why = "the size of the state that --cpu leaves" },

	/* -- 7.0: LKGS and FRED are in subleaf 1, read by those who see that it is there -- */
	{ raise_subleaf, 7, 0, EAX, 0, ALWAYS, .why = "subleaves beyond show something" },
};
/* clang-format on */

/* ---- applying them ------------------------------------------------------------------------ */

static bool holds(const struct cpuid_build *b, const struct cpuid_rule *rule)
{
	return (b->facts & rule->when) == rule->when;
}

static bool applies(const struct cpuid_build *b, const struct cpuid_rule *rule)
{
	if (!holds(b, rule))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(rule->unless) && rule->unless[i] != CPU_F_NONE; i++)
		if (cpu_feature_shown(b->out, rule->unless[i]))
			return false;
	return true;
}

static void tell(const struct cpuid_build *b, const char *why)
{
	if (b->observer)
		b->observer->step(b->observer->ctx, b->out, why);
}

void cpuid_apply_rules(struct cpuid_build *b)
{
	tell(b, "KVM offers it");
	for (size_t i = 0; i < ARRAY_SIZE(rules) && !b->full; i++) {
		if (!applies(b, &rules[i]))
			continue;
		rules[i].apply(b, &rules[i]);
		tell(b, rules[i].why);
	}
}

const struct cpuid_rule *cpuid_rule_hiding(const struct cpuid_build *b, const struct cpu_feature *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct cpuid_rule *r = &rules[i];
		bool same_leaf = r->function == f->at.function &&
				 (r->index == ANY_INDEX || r->index == f->at.index);

		if (same_leaf && holds(b, r) &&
		    (r->apply == cpuid_drop_leaf ||
		     (r->apply == clear_bits && r->reg == f->at.reg && r->bits & f->at.bits)))
			return r;
	}
	return NULL;
}
