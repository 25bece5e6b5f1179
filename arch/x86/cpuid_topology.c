/*
 * cpuid_topology.c - the leaves that follow from --cpus: ids, counts, who shares a cache.
 *
 * What KVM offers there is true of the host CPU that was asked.
 */
#include "arch/x86/cpuid_impl.h"

/*
 * @v into the field of @reg that starts at bit @shift and is @width (< 32) bits wide, or the
 * largest value that fits: readers round these counts up to a power of two.
 */
static void put_field(u32 *reg, unsigned int shift, unsigned int width, u32 v)
{
	u32 max = (1u << width) - 1;

	*reg = (*reg & ~(max << shift)) | (v < max ? v : max) << shift;
}

/*
 * EBX of leaf 1: initial APIC id (its low 8 bits: SDM 2A) and logical CPUs of a socket; brand and
 * CLFLUSH size stay.
 */
void cpuid_set_apic_id(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	const struct cpu_topology *topo = b->topo;
	/* AMD counts CPUs, Intel counts the ids set aside for them */
	u32 n = b->facts & ON_AMD ? topo->cores * topo->threads : 1u << topo->socket_shift;
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = cpuid_next(b, rule, e))) {
		put_field(&e->ebx, 24, 8, b->apic_id & 0xff);
		put_field(&e->ebx, 16, 8, n);
	}
}

/*
 * Leaves 4 (Intel) and 0x8000001D (AMD) describe a cache per subleaf in the same form: type
 * in EAX[4:0], level in EAX[7:5], APIC ids that share it less one in EAX[25:14]. Levels 1 and 2
 * belong to a core here and the others to a socket, whatever clusters the host has.
 */
static void share_cache(const struct cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	unsigned int level = e->eax >> 5 & 7;
	unsigned int shift = level < 3 ? b->topo->core_shift : b->topo->socket_shift;

	if (e->eax & 0x1f)
		put_field(&e->eax, 14, 12, (1u << shift) - 1);
}

void cpuid_share_intel_caches(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	u32 core_ids = 1u << (b->topo->socket_shift - b->topo->core_shift);
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = cpuid_next(b, rule, e))) {
		share_cache(b, e);
		if (e->eax & 0x1f)
			put_field(&e->eax, 26, 6, core_ids - 1);
	}
}

enum { CACHE_DATA = 1, CACHE_CODE, CACHE_UNIFIED, CACHE_END = 0 };
#define FULLY_ASSOCIATIVE 0xff

/* Cache number @index of 0x8000001D; returns the next number, the same where there is no cache. */
static u32 add_amd_cache(struct cpuid_build *b, u32 index, u32 type, u32 level, u32 kib, u32 line,
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
	cpuid_append(b, e);
	return index + 1;
}

/*
 * 0x8000001D as KVM offers it, or, where the host has none, from the older descriptors in
 * 0x80000005 and 0x80000006: a guest that sees TOPOEXT reads no other leaf.
 */
void cpuid_build_amd_caches(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	/* APM 3, E.4.5: associativity of L2 and L3; 0 where disabled or reserved */
	static const u8 ways[16] = { 0,	 1, 2,	3,  4,	6,  8,	 0,
				     16, 0, 32, 48, 64, 96, 128, FULLY_ASSOCIATIVE };
	const struct kvm_cpuid_entry2 *first = cpuid_find(b->out, rule->function, 0);
	const struct kvm_cpuid_entry2 *l1 = cpuid_find(b->out, 0x80000005, 0);
	const struct kvm_cpuid_entry2 *l2 = cpuid_find(b->out, 0x80000006, 0);
	struct kvm_cpuid_entry2 *e = NULL;
	u32 l1d = l1 ? l1->ecx : 0, l1i = l1 ? l1->edx : 0;
	u32 l2u = l2 ? l2->ecx : 0, l3u = l2 ? l2->edx : 0;
	u32 n = 0;

	if (first && first->eax & 0x1f) {
		while ((e = cpuid_next(b, rule, e)))
			share_cache(b, e);
		return;
	}
	cpuid_drop_leaf(b, rule);
	n = add_amd_cache(b, n, CACHE_DATA, 1, l1d >> 24, l1d & 0xff, l1d >> 16 & 0xff);
	n = add_amd_cache(b, n, CACHE_CODE, 1, l1i >> 24, l1i & 0xff, l1i >> 16 & 0xff);
	n = add_amd_cache(b, n, CACHE_UNIFIED, 2, l2u >> 16, l2u & 0xff, ways[l2u >> 12 & 0xf]);
	n = add_amd_cache(b, n, CACHE_UNIFIED, 3, (l3u >> 18) * 512, l3u & 0xff,
			  ways[l3u >> 12 & 0xf]);
	cpuid_append(b, (struct kvm_cpuid_entry2){
				.function = rule->function,
				.index = n,
				.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
				.eax = CACHE_END,
			});
}

/* ECX of 0x80000008: CPUs of a socket less one, and how many APIC id bits number them. */
void cpuid_set_amd_sizes(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	struct kvm_cpuid_entry2 *e = NULL;

	while ((e = cpuid_next(b, rule, e))) {
		put_field(&e->ecx, 0, 8, b->topo->cores * b->topo->threads - 1);
		put_field(&e->ecx, 12, 4, b->topo->socket_shift);
	}
}

/* 0x8000001E: APIC id, core in the socket, threads of a core less one; a socket is one node. */
void cpuid_build_amd_ids(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	const struct cpu_topology *topo = b->topo;
	u32 core = (b->apic_id & ((1u << topo->socket_shift) - 1)) >> topo->core_shift;

	cpuid_drop_leaf(b, rule);
	cpuid_append(b, (struct kvm_cpuid_entry2){
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
void cpuid_build_levels(struct cpuid_build *b, const struct cpuid_rule *rule)
{
	enum { LEVEL_NONE, LEVEL_SMT, LEVEL_CORE };
	const struct cpu_topology *topo = b->topo;
	const struct kvm_cpuid_entry2 *max = cpuid_find(b->out, 0, 0);
	const struct {
		u32 shift, count, type;
	} levels[] = {
		{ topo->core_shift, topo->threads, LEVEL_SMT },
		{ topo->socket_shift, topo->threads * topo->cores, LEVEL_CORE },
		{ 0, 0, LEVEL_NONE },
	};

	cpuid_drop_leaf(b, rule);
	if (!max || max->eax < rule->function)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(levels); i++)
		cpuid_append(b, (struct kvm_cpuid_entry2){
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
