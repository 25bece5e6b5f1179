/*
 * cpuid.c - one table of rules turns what KVM offers into what a vCPU shows.
 *
 * What no rule speaks of is shown as KVM offers it: KVM lists what it can virtualise in
 * its default configuration (KVM api.rst 4.46), so rules exist for what describes the
 * host CPU the ioctl ran on (ids, counts, sharing), for what needs work by the VMM that
 * lkvm does not do, and for what KVM offers wrongly. On purpose without a rule, so as
 * offered: the PMU (0xA, 0x80000022), TSX, CET, FRED, LKGS, PKU/PKS, invariant TSC, the
 * XSAVE components (0xD, whose sizes KVM computes at run time) and KVM's own leaves.
 *
 * --cpu is one of the rules; those after it keep leaves true to what it left.
 */
#include "arch/x86/cpuid.h"

#include <errno.h>

#include "linux-uapi/x86.h"

#define EAX CPUID_EAX
#define EBX CPUID_EBX
#define ECX CPUID_ECX
#define EDX CPUID_EDX

/* Facts a rule may depend on; it applies where all it names are true. */
enum {
	ALWAYS = 0,
	ON_INTEL = 1 << 0, /* and the others that follow its leaves: not AMD, not Hygon */
	ON_AMD = 1 << 1,   /* and Hygon, whose leaves are AMD's */
	MULTI = 1 << 2,	   /* a socket has more than one logical CPU */
	SINGLE = 1 << 3,
	DEADLINE = 1 << 4, /* the in-kernel LAPIC has the TSC deadline timer */
	NO_DEADLINE = 1 << 5,
	NO_TILES = 1 << 6, /* tile state is not among the XSAVE components offered */
	NO_CET = 1 << 7,   /* nor is that of CET */
	NESTED = 1 << 8,
	NOT_NESTED = 1 << 9,
	MWAIT = 1 << 10,
	NO_MWAIT = 1 << 11,
	APERFMPERF = 1 << 12,
	NO_APERFMPERF = 1 << 13,
	EXT_DEST_ID = 1 << 14,
	NO_EXT_DEST_ID = 1 << 15,
	SNP = 1 << 16,
	NOT_SNP = 1 << 17,
	MODEL = 1 << 18, /* --cpu hides something */
};

/* A table under construction. */
struct build {
	const struct cpu_topology *topo;
	const struct cpu_model *model;
	u32 apic_id;
	u32 socket;
	unsigned int facts;
	struct kvm_cpuid2 *out;
	const struct cpuid_observer *observer;
	bool full; /* an entry did not fit */
};

struct cpuid_rule {
	void (*apply)(struct build *b, const struct cpuid_rule *rule);
	u32 function;
	u32 index; /* subleaf */
	enum cpuid_reg reg;
	u32 bits;
	unsigned int when; /* facts */
	const char *why;
	enum cpu_feature_id unless[2]; /* nor does it apply where one of these is shown */
};

#define ANY_INDEX UINT32_MAX

/* ---- entries ---------------------------------------------------------------------------- */

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *table, u32 function, u32 index)
{
	for (u32 i = 0; i < table->nent && i < CPUID_MAX_ENTRIES; i++)
		if (table->entries[i].function == function && table->entries[i].index == index)
			return &table->entries[i];
	return NULL;
}

unsigned int cpuid_address_bits(const struct kvm_cpuid2 *supported)
{
	const struct kvm_cpuid_entry2 *e = find(supported, 0x80000008, 0);

	return e ? e->eax & 0xff : 36;
}

/*
 * The entries a rule is about, one after the other, from NULL to NULL. A leaf listed twice
 * is met twice: KVM shows the first, and none may slip through.
 */
static struct kvm_cpuid_entry2 *next(struct build *b, const struct cpuid_rule *rule,
				     struct kvm_cpuid_entry2 *prev)
{
	struct kvm_cpuid_entry2 *end = b->out->entries + b->out->nent;

	for (struct kvm_cpuid_entry2 *e = prev ? prev + 1 : b->out->entries; e < end; e++)
		if (e->function == rule->function &&
		    (rule->index == ANY_INDEX || e->index == rule->index))
			return e;
	return NULL;
}

static u32 *reg_of(struct kvm_cpuid_entry2 *e, enum cpuid_reg reg)
{
	switch (reg) {
	case EAX:
		return &e->eax;
	case EBX:
		return &e->ebx;
	case ECX:
		return &e->ecx;
	default:
		return &e->edx;
	}
}

static void append(struct build *b, struct kvm_cpuid_entry2 entry)
{
	if (b->out->nent < CPUID_MAX_ENTRIES)
		b->out->entries[b->out->nent++] = entry;
	else
		b->full = true;
}

/*
 * @v into the field of @reg that starts at bit @shift and is @width (< 32) bits wide, or the
 * largest value that fits: readers round these counts up to a power of two.
 */
static void put_field(u32 *reg, unsigned int shift, unsigned int width, u32 v)
{
	u32 max = (1u << width) - 1;

	*reg = (*reg & ~(max << shift)) | (v < max ? v : max) << shift;
}

/* ---- what a rule can do ------------------------------------------------------------------- */

static void clear_bits(struct build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = next(b, rule, e)))
		*reg_of(e, rule->reg) &= ~rule->bits;
}

static void set_bits(struct build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = next(b, rule, e)))
		*reg_of(e, rule->reg) |= rule->bits;
}

/* As set_bits(), but KVM need not list the leaf. */
static void need_bits(struct build *b, const struct cpuid_rule *rule)
{
	if (!next(b, rule, NULL))
		append(b, (struct kvm_cpuid_entry2){ .function = rule->function });
	set_bits(b, rule);
}

/* KVM answers a leaf that is missing below the highest one with zeroes. */
static void drop_leaf(struct build *b, const struct cpuid_rule *rule)
{
	u32 kept = 0;

	for (u32 i = 0; i < b->out->nent; i++)
		if (b->out->entries[i].function != rule->function)
			b->out->entries[kept++] = b->out->entries[i];
	b->out->nent = kept;
}

/* The highest leaf (EAX of 0 and 0x80000000) becomes at least @bits. */
static void raise_max(struct build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = next(b, rule, e)))
		if (e->eax < rule->bits)
			e->eax = rule->bits;
}

/* EAX of 7.0 is the highest subleaf: one that shows something must not lie beyond. */
static void raise_subleaf(struct build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = NULL, *first = next(b, rule, NULL);
	struct cpuid_rule any = *rule;

	any.index = ANY_INDEX;
	while (first && (e = next(b, &any, e)))
		if ((e->eax | e->ebx | e->ecx | e->edx) && e->index && first->eax < e->index)
			first->eax = e->index;
}

/*
 * Leaf 5, which KVM leaves at zero: a line of 64 bytes is monitored, as by all processors there
 * are. Deeper C-states than the one that MWAIT without hints enters are not told of.
 */
static void build_monitor(struct build *b, const struct cpuid_rule *rule)
{
	const struct kvm_cpuid_entry2 *e = next(b, rule, NULL);

	if (e && e->eax)
		return;
	drop_leaf(b, rule);
	append(b, (struct kvm_cpuid_entry2){ .function = rule->function, .eax = 64, .ebx = 64 });
}

/* Components @bits of XSAVE's state: XCR0's in 0xD.0, XSS's in 0xD.1, one subleaf for each. */
static void drop_state(struct build *b, const struct cpuid_rule *rule)
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
static void size_state(struct build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = next(b, rule, NULL);
	u32 size = 512 + 64; /* of x87 and SSE, and the header */

	for (u32 i = 2; e && i < 32; i++) {
		const struct kvm_cpuid_entry2 *c = find(b->out, rule->function, i);

		if (c && e->eax & 1u << i && c->ebx <= UINT32_MAX - c->eax)
			size = (u32)max_u64(size, c->ebx + c->eax);
	}
	if (e)
		e->ebx = e->ecx = size;
}

/* EDX of 0x80000001 repeats features of 1: EDX. */
static void mirror_features(struct build *b, const struct cpuid_rule *rule)
{
	const struct kvm_cpuid_entry2 *one = find(b->out, 1, 0);
	struct kvm_cpuid_entry2 *e = NULL;

	while (one && (e = next(b, rule, e)))
		e->edx &= one->edx | ~rule->bits;
}

static void apply_model(struct build *b, const struct cpuid_rule *rule)
{
	(void)rule;
	cpu_model_apply(b->model, b->out, b->observer);
}

/*
 * EBX of leaf 1: initial APIC id (its low 8 bits: SDM 2A) and logical CPUs of a socket; brand and
 * CLFLUSH size stay.
 */
static void set_apic_id(struct build *b, const struct cpuid_rule *rule)
{
	const struct cpu_topology *topo = b->topo;
	/* AMD counts CPUs, Intel counts the ids set aside for them */
	u32 n = b->facts & ON_AMD ? topo->cores * topo->threads : 1u << topo->socket_shift;
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = next(b, rule, e))) {
		put_field(&e->ebx, 24, 8, b->apic_id & 0xff);
		put_field(&e->ebx, 16, 8, n);
	}
}

/*
 * Leaves 4 (Intel) and 0x8000001D (AMD) describe a cache per subleaf in the same form: type
 * in EAX[4:0], level in EAX[7:5], APIC ids that share it less one in EAX[25:14]. Levels 1 and 2
 * belong to a core here and the others to a socket, whatever clusters the host has.
 */
static void share_cache(const struct build *b, struct kvm_cpuid_entry2 *e)
{
	unsigned int level = e->eax >> 5 & 7;
	unsigned int shift = level < 3 ? b->topo->core_shift : b->topo->socket_shift;

	if (e->eax & 0x1f)
		put_field(&e->eax, 14, 12, (1u << shift) - 1);
}

static void share_intel_caches(struct build *b, const struct cpuid_rule *rule)
{
	u32 core_ids = 1u << (b->topo->socket_shift - b->topo->core_shift);
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = next(b, rule, e))) {
		share_cache(b, e);
		if (e->eax & 0x1f)
			put_field(&e->eax, 26, 6, core_ids - 1);
	}
}

enum { CACHE_DATA = 1, CACHE_CODE, CACHE_UNIFIED, CACHE_END = 0 };
#define FULLY_ASSOCIATIVE 0xff

/* Cache number @index of 0x8000001D; returns the next number, the same where there is no cache. */
static u32 add_amd_cache(struct build *b, u32 index, u32 type, u32 level, u32 kib, u32 line,
			 u32 ways)
{
	u32 n_lines = line ? kib * KIB / line : 0;
	bool fully = ways == FULLY_ASSOCIATIVE;
	struct kvm_cpuid_entry2 e = {
		.function = 0x8000001d,
		.index = index,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = type | level << 5 | 1u << 8 | (u32)fully << 9,
	};

	if (fully)
		ways = n_lines;
	if (!ways || n_lines < ways)
		return index;
	put_field(&e.ebx, 0, 12, line - 1);
	put_field(&e.ebx, 22, 10, ways - 1);
	e.ecx = n_lines / ways - 1;
	share_cache(b, &e);
	append(b, e);
	return index + 1;
}

/*
 * 0x8000001D as KVM offers it, or, where the host has none, from the older descriptors in
 * 0x80000005 and 0x80000006: a guest that sees TOPOEXT reads no other leaf.
 */
static void build_amd_caches(struct build *b, const struct cpuid_rule *rule)
{
	/* APM 3, E.4.5: associativity of L2 and L3; 0 where disabled or reserved */
	static const u8 ways[16] = { 0,	 1, 2,	3,  4,	6,  8,	 0,
				     16, 0, 32, 48, 64, 96, 128, FULLY_ASSOCIATIVE };
	const struct kvm_cpuid_entry2 *first = find(b->out, rule->function, 0);
	const struct kvm_cpuid_entry2 *l1 = find(b->out, 0x80000005, 0);
	const struct kvm_cpuid_entry2 *l2 = find(b->out, 0x80000006, 0);
	struct kvm_cpuid_entry2 *e = NULL;
	u32 l1d = l1 ? l1->ecx : 0, l1i = l1 ? l1->edx : 0;
	u32 l2u = l2 ? l2->ecx : 0, l3u = l2 ? l2->edx : 0;
	u32 n = 0;

	if (first && first->eax & 0x1f) {
		while ((e = next(b, rule, e)))
			share_cache(b, e);
		return;
	}
	drop_leaf(b, rule);
	n = add_amd_cache(b, n, CACHE_DATA, 1, l1d >> 24, l1d & 0xff, l1d >> 16 & 0xff);
	n = add_amd_cache(b, n, CACHE_CODE, 1, l1i >> 24, l1i & 0xff, l1i >> 16 & 0xff);
	n = add_amd_cache(b, n, CACHE_UNIFIED, 2, l2u >> 16, l2u & 0xff, ways[l2u >> 12 & 0xf]);
	n = add_amd_cache(b, n, CACHE_UNIFIED, 3, (l3u >> 18) * 512, l3u & 0xff,
			  ways[l3u >> 12 & 0xf]);
	append(b, (struct kvm_cpuid_entry2){
			  .function = rule->function,
			  .index = n,
			  .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			  .eax = CACHE_END,
		  });
}

/* ECX of 0x80000008: CPUs of a socket less one, and how many APIC id bits number them. */
static void set_amd_sizes(struct build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = next(b, rule, e))) {
		put_field(&e->ecx, 0, 8, b->topo->cores * b->topo->threads - 1);
		put_field(&e->ecx, 12, 4, b->topo->socket_shift);
	}
}

/* 0x8000001E: APIC id, core in the socket, threads of a core less one; a socket is one node. */
static void build_amd_ids(struct build *b, const struct cpuid_rule *rule)
{
	const struct cpu_topology *topo = b->topo;
	u32 core = (b->apic_id & ((1u << topo->socket_shift) - 1)) >> topo->core_shift;

	drop_leaf(b, rule);
	append(b, (struct kvm_cpuid_entry2){
			  .function = rule->function,
			  .eax = b->apic_id,
			  .ebx = (core & 0xff) | (topo->threads - 1) << 8,
			  .ecx = b->socket & 0xff,
		  });
}

/*
 * Leaves 0xB and 0x1F: per level the shift that leaves the number of the next level, the
 * logical CPUs in it and its type; x2APIC id in EDX of all. No 0x1F beyond the highest leaf:
 * it would tell nothing that 0xB does not.
 */
static void build_levels(struct build *b, const struct cpuid_rule *rule)
{
	enum { LEVEL_NONE, LEVEL_SMT, LEVEL_CORE };
	const struct cpu_topology *topo = b->topo;
	const struct kvm_cpuid_entry2 *max = find(b->out, 0, 0);
	const struct {
		u32 shift, count, type;
	} levels[] = {
		{ topo->core_shift, topo->threads, LEVEL_SMT },
		{ topo->socket_shift, topo->threads * topo->cores, LEVEL_CORE },
		{ 0, 0, LEVEL_NONE },
	};

	drop_leaf(b, rule);
	if (!max || max->eax < rule->function)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(levels); i++)
		append(b, (struct kvm_cpuid_entry2){
				  .function = rule->function,
				  .index = i,
				  .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
				  .eax = levels[i].shift,
				  .ebx = levels[i].count,
				  .ecx = levels[i].type << 8 | i,
				  .edx = b->apic_id,
			  });
}

/* ---- the table ---------------------------------------------------------------------------- */

#define B(n)	    (1u << (n))
#define UNLESS(...) .unless = { __VA_ARGS__ }

/* Reasons that several rules have. */
#define WHY_TOPOLOGY  "follows --cpus"
#define WHY_NO_NESTED "the guest cannot be a hypervisor without --nested"
#define WHY_SGX	      "SGX takes enclave memory, which lkvm does not give to guests"
#define WHY_AMX	      "KVM does not offer the state of AMX to this process"
#define WHY_CET	      "KVM does not offer the state of CET"
#define WHY_MWAIT     "MONITOR and MWAIT are shown with --disable-exits mwait only"
#define WHY_APERF     "APERF and MPERF count with --disable-exits aperfmperf only"
#define WHY_VMM	      "takes a monitor that does its half of it"
#define WHY_FOLLOWS   "describes features that --cpu leaves out"

/*
 * Applied in this order. Sources, where no other is named: SDM 2A, CPUID, and APM 3,
 * appendix E.
 */
/* clang-format off */
static const struct cpuid_rule rules[] = {
	/*
	 * Highest basic leaf. 0xB needs it; the leaves between it and a lower one read as zero,
	 * which is "absent" for each of them (5 to 0xA).
	 */
	{ raise_max, 0, 0, EAX, 0xb, ALWAYS, .why = "leaf 0xB has the topology" },

	/* -- 1: identity and features -- */
	{ set_apic_id, 1, 0, EBX, 0, ALWAYS, .why = "APIC id and number of CPUs: " WHY_TOPOLOGY },
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
	{ share_intel_caches, 4, ANY_INDEX, EAX, 0, ON_INTEL,
	  .why = "who shares a cache: " WHY_TOPOLOGY },

	/* -- 5: MONITOR/MWAIT: see 1:ECX[3] -- */
	{ drop_leaf, 5, ANY_INDEX, EAX, 0, NO_MWAIT, .why = WHY_MWAIT },
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
	{ drop_leaf, 0x1d, ANY_INDEX, EAX, 0, NO_TILES, .why = WHY_AMX },
	{ drop_leaf, 0x1e, ANY_INDEX, EAX, 0, NO_TILES, .why = WHY_AMX },
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
	{ build_levels, 0xb, ANY_INDEX, EAX, 0, ALWAYS, .why = WHY_TOPOLOGY },
	{ build_levels, 0x1f, ANY_INDEX, EAX, 0, ON_INTEL, .why = WHY_TOPOLOGY },

	/* -- 0x12: SGX: see 7.0:EBX[2] -- */
	{ drop_leaf, 0x12, ANY_INDEX, EAX, 0, ALWAYS, .why = WHY_SGX },

	/*
	 * -- 0x40000001: MSI_EXT_DEST_ID, HC_MAP_GPA_RANGE, MIGRATION_CONTROL: the VMM does the
	 * other half of each (KVM cpuid.rst) --
	 */
	{ clear_bits, KVM_CPUID_FEATURES, 0, EAX, B(KVM_FEATURE_MSI_EXT_DEST_ID), NO_EXT_DEST_ID,
	  .why = "messages have 8-bit destinations with this irqchip" },
	{ set_bits, KVM_CPUID_FEATURES, 0, EAX, B(KVM_FEATURE_MSI_EXT_DEST_ID), EXT_DEST_ID,
	  .why = "messages have 15-bit destinations with the split irqchip" },
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
	{ set_amd_sizes, 0x80000008, 0, ECX, 0, ON_AMD, .why = "number of CPUs: " WHY_TOPOLOGY },

	/* -- 0x8000000A: SVM's features: see 0x80000001:ECX[2] -- */
	{ drop_leaf, 0x8000000a, ANY_INDEX, EAX, 0, NOT_NESTED, .why = WHY_NO_NESTED },

	/* -- 0x8000001D, 0x8000001E: caches and topology -- */
	{ build_amd_caches, 0x8000001d, ANY_INDEX, EAX, 0, ON_AMD,
	  .why = "who shares a cache: " WHY_TOPOLOGY },
	{ build_amd_ids, 0x8000001e, ANY_INDEX, EAX, 0, ON_AMD, .why = WHY_TOPOLOGY },

	/*
	 * -- 0x8000001F: memory encryption. A guest under SNP finds its C-bit here; what the
	 * platform can do besides (SME, VMPLs, ...) is the host's --
	 */
	{ drop_leaf, 0x8000001f, ANY_INDEX, EAX, 0, NOT_SNP,
	  .why = "the guest's memory is not encrypted" },
	{ clear_bits, 0x8000001f, 0, EAX, ~(B(1) | B(3) | B(4)), SNP,
	  .why = "belongs to the host" },
	{ set_bits, 0x8000001f, 0, EAX, B(1) | B(3) | B(4), SNP, .why = "--snp" },

	/* -- 0x80000026: topology of the host; without it 0xB is what guests read -- */
	{ drop_leaf, 0x80000026, ANY_INDEX, EAX, 0, ALWAYS,
	  .why = "the topology is that of the host; leaf 0xB has the guest's" },

	/* -- --cpu -- */
	{ apply_model, 0, 0, EAX, 0, MODEL, .why = "--cpu" },

	/* -- what would speak of features that --cpu took away -- */
	{ mirror_features, 0x80000001, 0, EDX, CPUID_AMD_MIRROR, MODEL | ON_AMD,
	  .why = "repeats leaf 1, of which --cpu leaves that out" },
	{ drop_leaf, 5, ANY_INDEX, EAX, 0, MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_monitor) },
	{ drop_leaf, 0xa, ANY_INDEX, EAX, 0, MODEL,
	  .why = WHY_FOLLOWS, UNLESS(CPU_F_arch_perfmon) },
	{ drop_leaf, 0x14, ANY_INDEX, EAX, 0, MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_intel_pt) },
	{ drop_leaf, 0x19, ANY_INDEX, EAX, 0, MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_aeskle) },
	{ drop_leaf, 0x1c, ANY_INDEX, EAX, 0, MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_arch_lbr) },
	{ drop_leaf, 0x1d, ANY_INDEX, EAX, 0, MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_amx_tile) },
	{ drop_leaf, 0x1e, ANY_INDEX, EAX, 0, MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_amx_tile) },
	{ drop_leaf, 0x24, ANY_INDEX, EAX, 0, MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_avx10) },
	{ drop_leaf, 0x8000000a, ANY_INDEX, EAX, 0, MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_svm) },
	{ drop_leaf, 0x80000022, ANY_INDEX, EAX, 0, MODEL, .why = WHY_FOLLOWS,
	  UNLESS(CPU_F_perfmon_v2, CPU_F_amd_lbr_v2) },
	/* state components: SDM 1, 13.1 */
	{ drop_leaf, 0xd, ANY_INDEX, EAX, 0, MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_xsave) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(2), MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_avx) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(3) | B(4), MODEL,
	  .why = WHY_FOLLOWS, UNLESS(CPU_F_mpx) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(5) | B(6) | B(7), MODEL, .why = WHY_FOLLOWS,
	  UNLESS(CPU_F_avx512f) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(8), MODEL,
	  .why = WHY_FOLLOWS, UNLESS(CPU_F_intel_pt) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(9), MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_pku) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(10), MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_enqcmd) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(11) | B(12), MODEL, .why = WHY_FOLLOWS,
	  UNLESS(CPU_F_shstk, CPU_F_ibt) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(14), MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_uintr) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(15), MODEL,
	  .why = WHY_FOLLOWS, UNLESS(CPU_F_arch_lbr) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(17) | B(18), MODEL, .why = WHY_FOLLOWS,
	  UNLESS(CPU_F_amx_tile) },
	{ drop_state, 0xd, ANY_INDEX, EAX, B(19), MODEL, .why = WHY_FOLLOWS, UNLESS(CPU_F_apx) },
	{ size_state, 0xd, 0, ECX, 0, MODEL, .why = "the size of the state that --cpu leaves" },

	/* -- 7.0: LKGS and FRED are in subleaf 1, read by those who see that it is there -- */
	{ raise_subleaf, 7, 0, EAX, 0, ALWAYS, .why = "subleaves beyond show something" },
};
/* clang-format on */

/* ---- building ------------------------------------------------------------------------------ */

enum cpuid_vendor cpuid_vendor(const struct kvm_cpuid2 *supported)
{
	static const struct {
		char name[12];
		enum cpuid_vendor vendor;
	} vendors[] = {
		{ "GenuineIntel", CPUID_VENDOR_INTEL },
		{ "AuthenticAMD", CPUID_VENDOR_AMD },
		{ "HygonGenuine", CPUID_VENDOR_HYGON },
	};
	const struct kvm_cpuid_entry2 *e = find(supported, 0, 0);
	u8 name[12];

	if (!e)
		return CPUID_VENDOR_OTHER;
	put_le32(name, e->ebx);
	put_le32(name + 4, e->edx);
	put_le32(name + 8, e->ecx);
	for (size_t i = 0; i < ARRAY_SIZE(vendors); i++)
		if (!memcmp(name, vendors[i].name, sizeof(name)))
			return vendors[i].vendor;
	return CPUID_VENDOR_OTHER;
}

static bool is_amd(const struct kvm_cpuid2 *supported)
{
	enum cpuid_vendor vendor = cpuid_vendor(supported);

	return vendor == CPUID_VENDOR_AMD || vendor == CPUID_VENDOR_HYGON;
}

static unsigned int gather_facts(const struct kvm_cpuid2 *supported,
				 const struct cpuid_params *params)
{
	const u32 tiles = B(17) | B(18), cet = B(11) | B(12); /* SDM 1, 13.1 */
	const struct kvm_cpuid_entry2 *xcr0 = find(supported, 0xd, 0);
	const struct kvm_cpuid_entry2 *xss = find(supported, 0xd, 1);
	unsigned int facts = is_amd(supported) ? ON_AMD : ON_INTEL;

	facts |= params->topo.cores * params->topo.threads > 1 ? MULTI : SINGLE;
	facts |= params->tsc_deadline ? DEADLINE : NO_DEADLINE;
	facts |= params->nested ? NESTED : NOT_NESTED;
	facts |= params->mwait ? MWAIT : NO_MWAIT;
	facts |= params->aperfmperf ? APERFMPERF : NO_APERFMPERF;
	facts |= params->ext_dest_id ? EXT_DEST_ID : NO_EXT_DEST_ID;
	facts |= params->snp ? SNP : NOT_SNP;
	if (params->model.hides)
		facts |= MODEL;
	if (!xcr0 || (xcr0->eax & tiles) != tiles)
		facts |= NO_TILES;
	if (!xss || !(xss->ecx & cet))
		facts |= NO_CET;
	return facts;
}

static bool applies(const struct build *b, const struct cpuid_rule *rule)
{
	if ((b->facts & rule->when) != rule->when)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(rule->unless) && rule->unless[i] != CPU_F_NONE; i++)
		if (cpu_feature_shown(b->out, rule->unless[i]))
			return false;
	return true;
}

/* ---- what was asked for by name ---------------------------------------------------------- */

static int check_nested(const struct kvm_cpuid2 *supported, const struct cpuid_params *params,
			struct lkvm_error *err)
{
	bool amd = is_amd(supported);

	if (!params->nested)
		return 0;
	if (cpu_feature_in(&params->model.drop, amd ? CPU_F_svm : CPU_F_vmx))
		return err_input(err, "--cpu -%s: --nested asks for it", amd ? "svm" : "vmx");
	if (!cpu_feature_shown(supported, amd ? CPU_F_svm : CPU_F_vmx))
		return err_unsupported(
			err, ENOTTY,
			"--nested: this host's KVM does not offer %s to guests; it does where %s "
			"is loaded with nested=1",
			amd ? "SVM" : "VMX", amd ? "kvm_amd" : "kvm_intel");
	return 0;
}

/* The rule that hides @f; NULL: none does. */
static const struct cpuid_rule *find_hiding(const struct build *b, const struct cpu_feature *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct cpuid_rule *r = &rules[i];
		bool same_leaf = r->function == f->at.function &&
				 (r->index == ANY_INDEX || r->index == f->at.index);

		if (same_leaf && (b->facts & r->when) == r->when &&
		    (r->apply == drop_leaf ||
		     (r->apply == clear_bits && r->reg == f->at.reg && r->bits & f->at.bits)))
			return r;
	}
	return NULL;
}

/* The option that @f, or what it needs, comes with; NULL: none. */
static const char *option_of(const struct cpu_feature *f)
{
	for (size_t i = 0; !f->option && i < CPU_MAX_NEEDS && f->needs[i] != CPU_F_NONE; i++) {
		const char *option = option_of(&cpu_features[f->needs[i]]);

		if (option)
			return option;
	}
	return f->option;
}

static int refuse_added(const struct build *b, const struct cpu_feature *f, struct lkvm_error *err)
{
	const struct cpuid_rule *hiding = find_hiding(b, f);
	const char *option = option_of(f);
	bool amd = b->facts & ON_AMD;

	if (f->only == (amd ? CPU_ONLY_INTEL : CPU_ONLY_AMD))
		return err_unsupported(err, ENOTTY,
				       "--cpu +%s: only %s processors have it, and this host's is "
				       "none of them",
				       f->name, amd ? "Intel's" : "AMD's");
	if (hiding && option)
		return err_input(err, "--cpu +%s: it comes with %s only", f->name, option);
	if (hiding && hiding->when == ALWAYS)
		return err_input(err, "--cpu +%s: no guest gets it: %s", f->name, hiding->why);
	if (hiding)
		return err_unsupported(err, ENOTTY, "--cpu +%s: not on this host: %s", f->name,
				       hiding->why);
	return err_unsupported(err, ENOTTY,
			       "--cpu +%s: this host's KVM does not offer %s to guests", f->name,
			       f->name);
}

static int check_added(const struct build *b, struct lkvm_error *err)
{
	for (unsigned int i = CPU_F_NONE + 1; i < CPU_N_FEATURES; i++) {
		enum cpu_feature_id id = (enum cpu_feature_id)i;

		if (cpu_feature_in(&b->model->add, id) && !cpu_feature_shown(b->out, id))
			return refuse_added(b, &cpu_features[id], err);
	}
	return 0;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static void tell(const struct build *b, const char *why)
{
	if (b->observer)
		b->observer->step(b->observer->ctx, b->out, why);
}

int cpuid_explain(const struct kvm_cpuid2 *supported, const struct cpuid_params *params,
		  unsigned int index, struct kvm_cpuid2 *out, const struct cpuid_observer *observer,
		  struct lkvm_error *err)
{
	struct build b = {
		.topo = &params->topo,
		.model = &params->model,
		.apic_id = cpu_topology_apic_id(&params->topo, index),
		.socket = index / params->topo.threads / params->topo.cores,
		.facts = gather_facts(supported, params),
		.out = out,
		.observer = observer,
	};
	int ret = check_nested(supported, params, err);

	if (ret)
		return ret;
	*out = (struct kvm_cpuid2){ .nent = 0 };
	b.full = supported->nent > CPUID_MAX_ENTRIES;
	for (u32 i = 0; i < supported->nent && !b.full; i++)
		append(&b, supported->entries[i]);
	tell(&b, "KVM offers it");
	for (size_t i = 0; i < ARRAY_SIZE(rules) && !b.full; i++) {
		if (!applies(&b, &rules[i]))
			continue;
		rules[i].apply(&b, &rules[i]);
		tell(&b, rules[i].why);
	}
	if (b.full)
		return err_host(err, ENOSPC,
				"vCPU %u: its CPUID table does not fit %d entries (KVM offers %u)",
				index, CPUID_MAX_ENTRIES, supported->nent);
	return check_added(&b, err);
}

int cpuid_build(const struct kvm_cpuid2 *supported, const struct cpuid_params *params,
		unsigned int index, struct kvm_cpuid2 *out, struct lkvm_error *err)
{
	return cpuid_explain(supported, params, index, out, NULL, err);
}
