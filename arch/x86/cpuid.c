/*
 * cpuid.c - one table of rules turns what KVM offers into what a vCPU shows.
 *
 * What no rule speaks of is shown as KVM offers it: KVM lists what it can virtualise in
 * its default configuration (KVM api.rst 4.46), so rules exist for what describes the
 * host CPU the ioctl ran on (ids, counts, sharing), for what needs work by the VMM that
 * lkvm does not do, and for what KVM offers wrongly. On purpose without a rule, so as
 * offered: the PMU (0xA, 0x80000022), TSX, CET, FRED, LKGS, PKU/PKS, invariant TSC, the
 * XSAVE components (0xD, whose sizes KVM computes at run time) and KVM's own leaves.
 */
#include "arch/x86/cpuid.h"

#include <errno.h>

#include "linux-uapi/x86.h"

enum cpuid_reg { EAX, EBX, ECX, EDX };

/* Facts a rule may depend on; it applies where all it names are true. */
enum {
	ALWAYS = 0,
	ON_INTEL = 1 << 0, /* and the others that follow its leaves: not AMD, not Hygon */
	ON_AMD = 1 << 1,   /* and Hygon, whose leaves are AMD's */
	MULTI = 1 << 2,	   /* a socket has more than one logical CPU */
	DEADLINE = 1 << 3, /* the in-kernel LAPIC has the TSC deadline timer */
	NO_TILES = 1 << 4, /* tile state is not among the XSAVE components offered */
};

/* A table under construction. */
struct build {
	const struct cpu_topology *topo;
	u32 apic_id;
	u32 socket;
	unsigned int facts;
	struct kvm_cpuid2 *out;
	bool full; /* an entry did not fit */
};

struct cpuid_rule {
	void (*apply)(struct build *b, const struct cpuid_rule *rule);
	u32 function;
	u32 index; /* subleaf */
	enum cpuid_reg reg;
	u32 bits;
	unsigned int when; /* facts */
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

/* EBX of leaf 1: initial APIC id and logical CPUs of a socket; brand and CLFLUSH size stay. */
static void set_apic_id(struct build *b, const struct cpuid_rule *rule)
{
	const struct cpu_topology *topo = b->topo;
	/* AMD counts CPUs, Intel counts the ids set aside for them */
	u32 n = b->facts & ON_AMD ? topo->cores * topo->threads : 1u << topo->socket_shift;
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = next(b, rule, e))) {
		put_field(&e->ebx, 24, 8, b->apic_id);
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
			  .ebx = core | (topo->threads - 1) << 8,
			  .ecx = b->socket,
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

#define B(n) (1u << (n))

/*
 * Applied in this order. Sources, where no other is named: SDM 2A, CPUID, and APM 3,
 * appendix E.
 */
static const struct cpuid_rule rules[] = {
	/*
	 * Highest basic leaf. 0xB needs it; the leaves between it and a lower one read as zero,
	 * which is "absent" for each of them (5 to 0xA).
	 */
	{ raise_max, 0, 0, EAX, 0xb, ALWAYS },

	/* -- 1: identity and features -- */
	{ set_apic_id, 1, 0, EBX, 0, ALWAYS },
	/* MONITOR/MWAIT: KVM runs them as NOPs unless KVM_CAP_X86_DISABLE_EXITS lets them be */
	{ clear_bits, 1, 0, ECX, B(3), ALWAYS },
	/* VMX: nested virtualisation was not asked for */
	{ clear_bits, 1, 0, ECX, B(5), ALWAYS },
	/* TSC_DEADLINE is part of the LAPIC model, so KVM answers for it by a capability */
	{ clear_bits, 1, 0, ECX, B(24), ALWAYS },
	{ set_bits, 1, 0, ECX, B(24), DEADLINE },
	/* OSXSAVE mirrors CR4, which is 0 at reset; KVM keeps it up to date */
	{ clear_bits, 1, 0, ECX, B(27), ALWAYS },
	/* set by every hypervisor, cleared by every processor (APM 3, E.3.2) */
	{ set_bits, 1, 0, ECX, B(31), ALWAYS },
	/* HTT: the count in EBX[23:16] means something */
	{ clear_bits, 1, 0, EDX, B(28), ALWAYS },
	{ set_bits, 1, 0, EDX, B(28), MULTI },

	/* -- 4: caches, and core ids in a socket; reserved on AMD -- */
	{ share_intel_caches, 4, ANY_INDEX, EAX, 0, ON_INTEL },

	/* -- 5: MONITOR/MWAIT: see 1:ECX[3] -- */
	{ drop_leaf, 5, ANY_INDEX, EAX, 0, ALWAYS },

	/* -- 6: APERF/MPERF: they count only with KVM_X86_DISABLE_EXITS_APERFMPERF -- */
	{ clear_bits, 6, 0, ECX, B(0), ALWAYS },

	/* -- 7: extended features -- */
	/* SGX, SGX_LC, SGX keys: need enclave memory and KVM_CAP_SGX_ATTRIBUTE (SDM 3D) */
	{ clear_bits, 7, 0, EBX, B(2), ALWAYS },
	{ clear_bits, 7, 0, ECX, B(30), ALWAYS },
	{ clear_bits, 7, 0, EDX, B(1), ALWAYS },
	/* OSPKE mirrors CR4 like OSXSAVE */
	{ clear_bits, 7, 0, ECX, B(4), ALWAYS },
	/*
	 * AMX_BF16, AMX_TILE, AMX_INT8, AMX_FP16, AMX_COMPLEX and their leaves: KVM lists them by
	 * the hardware, but the state they need (0xD.0:EAX[18:17]) only for a process that got
	 * ARCH_REQ_XCOMP_GUEST_PERM.
	 */
	{ clear_bits, 7, 0, EDX, B(22) | B(24) | B(25), NO_TILES },
	{ clear_bits, 7, 1, EAX, B(21), NO_TILES },
	{ clear_bits, 7, 1, EDX, B(8), NO_TILES },
	{ drop_leaf, 0x1d, ANY_INDEX, EAX, 0, NO_TILES },
	{ drop_leaf, 0x1e, ANY_INDEX, EAX, 0, NO_TILES },
	/*
	 * ARCH_CAPABILITIES: not in the APM. KVM emulates it on AMD all the same, hosts exist that
	 * refuse the MSR then, and Windows stops at an AMD processor that has it.
	 */
	{ clear_bits, 7, 0, EDX, B(29), ON_AMD },

	/* -- 0xB, 0x1F: topology, which KVM leaves to the VMM; no 0x1F in the APM -- */
	{ build_levels, 0xb, ANY_INDEX, EAX, 0, ALWAYS },
	{ build_levels, 0x1f, ANY_INDEX, EAX, 0, ON_INTEL },

	/* -- 0x12: SGX: see 7.0:EBX[2] -- */
	{ drop_leaf, 0x12, ANY_INDEX, EAX, 0, ALWAYS },

	/*
	 * -- 0x40000001: MSI_EXT_DEST_ID, HC_MAP_GPA_RANGE, MIGRATION_CONTROL: the VMM does the
	 * other half of each (KVM cpuid.rst) --
	 */
	{ clear_bits, KVM_CPUID_FEATURES, 0, EAX,
	  B(KVM_FEATURE_MSI_EXT_DEST_ID) | B(KVM_FEATURE_HC_MAP_GPA_RANGE) |
		  B(KVM_FEATURE_MIGRATION_CONTROL),
	  ALWAYS },

	/*
	 * -- 0x80000000: highest extended leaf. Any host with SVM has 0x8000000A and so 0x80000008;
	 * the leaves from there to 0x8000001E are "absent" when they read as zero --
	 */
	{ raise_max, 0x80000000, 0, EAX, 0x8000001e, ON_AMD },

	/* -- 0x80000001: extended features -- */
	/* CmpLegacy: the CPUs counted in 1:EBX[23:16] are not (only) threads of one core */
	{ clear_bits, 0x80000001, 0, ECX, B(1), ON_AMD },
	{ set_bits, 0x80000001, 0, ECX, B(1), ON_AMD | MULTI },
	/* SVM: nested virtualisation was not asked for */
	{ clear_bits, 0x80000001, 0, ECX, B(2), ALWAYS },
	/* TOPOEXT: 0x8000001D and 0x8000001E are there; without it Linux sees no threads */
	{ set_bits, 0x80000001, 0, ECX, B(22), ON_AMD },
	/* MONITORX/MWAITX: as MONITOR */
	{ clear_bits, 0x80000001, 0, ECX, B(29), ALWAYS },

	/* -- 0x80000008: CPUs in a socket; ECX is reserved on Intel -- */
	{ set_amd_sizes, 0x80000008, 0, ECX, 0, ON_AMD },

	/* -- 0x8000000A: SVM's features: see 0x80000001:ECX[2] -- */
	{ drop_leaf, 0x8000000a, ANY_INDEX, EAX, 0, ALWAYS },

	/* -- 0x8000001D, 0x8000001E: caches and topology -- */
	{ build_amd_caches, 0x8000001d, ANY_INDEX, EAX, 0, ON_AMD },
	{ build_amd_ids, 0x8000001e, ANY_INDEX, EAX, 0, ON_AMD },

	/* -- 0x8000001F: SEV and SME: the guest's memory is not encrypted, it has no C-bit -- */
	{ drop_leaf, 0x8000001f, ANY_INDEX, EAX, 0, ALWAYS },

	/* -- 0x80000026: topology of the host; without it 0xB is what guests read -- */
	{ drop_leaf, 0x80000026, ANY_INDEX, EAX, 0, ALWAYS },
};

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

static unsigned int gather_facts(const struct kvm_cpuid2 *supported,
				 const struct cpuid_params *params)
{
	const u32 tiles = B(17) | B(18); /* XTILECFG, XTILEDATA (SDM 1, 13.1) */
	const struct kvm_cpuid_entry2 *xsave = find(supported, 0xd, 0);
	enum cpuid_vendor vendor = cpuid_vendor(supported);
	bool amd = vendor == CPUID_VENDOR_AMD || vendor == CPUID_VENDOR_HYGON;
	unsigned int facts = amd ? ON_AMD : ON_INTEL;

	if (params->topo.cores * params->topo.threads > 1)
		facts |= MULTI;
	if (params->tsc_deadline)
		facts |= DEADLINE;
	if (!xsave || (xsave->eax & tiles) != tiles)
		facts |= NO_TILES;
	return facts;
}

int cpuid_build(const struct kvm_cpuid2 *supported, const struct cpuid_params *params,
		unsigned int index, struct kvm_cpuid2 *out, struct lkvm_error *err)
{
	struct build b = {
		.topo = &params->topo,
		.apic_id = cpu_topology_apic_id(&params->topo, index),
		.socket = index / params->topo.threads / params->topo.cores,
		.facts = gather_facts(supported, params),
		.out = out,
	};

	*out = (struct kvm_cpuid2){ .nent = 0 };
	b.full = supported->nent > CPUID_MAX_ENTRIES;
	for (u32 i = 0; i < supported->nent && !b.full; i++)
		append(&b, supported->entries[i]);
	for (size_t i = 0; i < ARRAY_SIZE(rules) && !b.full; i++)
		if ((b.facts & rules[i].when) == rules[i].when)
			rules[i].apply(&b, &rules[i]);
	if (b.full)
		return err_host(err, ENOSPC,
				"vCPU %u: its CPUID table does not fit %d entries (KVM offers %u)",
				index, CPUID_MAX_ENTRIES, supported->nent);
	return 0;
}
