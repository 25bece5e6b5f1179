/*
 * Topologies, APIC ids and the CPUID table of a vCPU. Does not prove that KVM takes such a
 * table, nor that a guest kernel reads it as it is read here: that is shown by booting one.
 *
 * tests/golden/x86/cpuid/NAME.expected holds what is removed (-) from and added (+) to the table in
 * NAME.def. Runs from the top of the tree; with GOLDEN_UPDATE=1 the expected files are written
 * anew instead of compared.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/x86/cpuid.h"
#include "linux-uapi/x86.h"
#include "tests/fakekvm/x86/cpuid_fixture.h"

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX

/* ---- helpers ---------------------------------------------------------------------------- */

/* On the heap and not a byte larger than said, so that a sanitizer sees each access beyond. */
static struct kvm_cpuid2 *new_table(u32 room)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + room * sizeof(t->entries[0]));

	assert_non_null(t);
	t->nent = room;
	return t;
}

static struct kvm_cpuid2 *load(enum cpuid_fixture_id id)
{
	struct kvm_cpuid2 *t;
	u32 n;

	cpuid_fixture(id, &n);
	t = new_table(n);
	assert_int_equal(cpuid_fixture_load(id, t), 0);
	return t;
}

static struct lkvm_config config(unsigned int n, unsigned int s, unsigned int c, unsigned int t)
{
	struct lkvm_config cfg;

	memset(&cfg, 0, sizeof(cfg));
	cfg.n_vcpus = n;
	cfg.sockets = s;
	cfg.cores = c;
	cfg.threads = t;
	return cfg;
}

static struct cpuid_params params(unsigned int s, unsigned int c, unsigned int t)
{
	struct lkvm_config cfg = config(s * c * t, s, c, t);
	struct cpuid_params p = { .tsc_deadline = true };

	assert_int_equal(cpu_topology_init(&p.topo, &cfg, NULL), 0);
	return p;
}

static void build(const struct kvm_cpuid2 *supported, const struct cpuid_params *p,
		  unsigned int index, struct kvm_cpuid2 *out)
{
	struct lkvm_error err = { 0 };

	if (cpuid_build(supported, p, index, out, &err))
		fail_msg("%s", err.msg);
	assert_in_range(out->nent, 0, CPUID_MAX_ENTRIES);
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *t, u32 function, u32 index)
{
	for (u32 i = 0; i < t->nent; i++)
		if (t->entries[i].function == function && t->entries[i].index == index)
			return &t->entries[i];
	return NULL;
}

/* What the guest reads: a leaf that is not listed is zero. */
static struct kvm_cpuid_entry2 leaf(const struct kvm_cpuid2 *t, u32 function, u32 index)
{
	const struct kvm_cpuid_entry2 *e = find(t, function, index);

	return e ? *e : (struct kvm_cpuid_entry2){ 0 };
}

static bool same(const struct kvm_cpuid_entry2 *a, const struct kvm_cpuid_entry2 *b)
{
	return a->flags == b->flags && a->eax == b->eax && a->ebx == b->ebx && a->ecx == b->ecx &&
	       a->edx == b->edx;
}

static u32 field(u32 reg, unsigned int low, unsigned int high)
{
	return (u32)((u64)reg >> low & (BIT(high - low + 1) - 1));
}

/* How many id bits a count of ids takes. */
static unsigned int order(u32 count)
{
	unsigned int n = 0;

	while ((1u << n) < count)
		n++;
	return n;
}

static bool is_amd(enum cpuid_fixture_id id)
{
	return id == CPUID_FIXTURE_AMD || id == CPUID_FIXTURE_AMD_EMULATED ||
	       id == CPUID_FIXTURE_HYGON || id == CPUID_FIXTURE_AMD_NEXT;
}

/* Numbers without a pattern, the same in each run (xorshift). */
static u32 next_random(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* ---- topology ----------------------------------------------------------------------------- */

static void counts_not_given_are_derived(void **state)
{
	static const struct {
		unsigned int n, s, c, t, want_s, want_c, want_t;
	} rows[] = {
		{ 1, 0, 0, 0, 1, 1, 1 },  { 8, 0, 0, 0, 1, 8, 1 }, { 255, 0, 0, 0, 1, 255, 1 },
		{ 8, 2, 0, 0, 2, 4, 1 },  { 8, 0, 2, 0, 4, 2, 1 }, { 8, 0, 0, 2, 1, 4, 2 },
		{ 8, 2, 2, 0, 2, 2, 2 },  { 8, 2, 0, 2, 2, 2, 2 }, { 8, 0, 2, 2, 2, 2, 2 },
		{ 12, 2, 3, 2, 2, 3, 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct lkvm_config cfg = config(rows[i].n, rows[i].s, rows[i].c, rows[i].t);
		struct cpu_topology topo;

		assert_int_equal(cpu_topology_init(&topo, &cfg, NULL), 0);
		assert_int_equal(topo.sockets, rows[i].want_s);
		assert_int_equal(topo.cores, rows[i].want_c);
		assert_int_equal(topo.threads, rows[i].want_t);
	}
}

static void impossible_topologies_are_refused_with_the_values_allowed(void **state)
{
	static const struct {
		unsigned int n, s, c, t;
		const char *has[2];
	} rows[] = {
		{ 0, 0, 0, 0, { "--cpus 0", "1 to 1024" } },
		{ 1025, 0, 0, 0, { "--cpus 1025", "1 to 1024" } },
		{ UINT32_MAX, 1, 1, UINT32_MAX, { "--cpus 4294967295", "1 to 1024" } },
		{ 8, 9, 0, 0, { "sockets=9", "1 to 8" } },
		{ 8, 0, UINT32_MAX, 0, { "cores=4294967295", "1 to 8" } },
		{ 8, 65536, 65536, 65536, { "sockets=65536", "1 to 8" } },
		{ 8, 0, 0, 3, { "threads=3", "the number of CPUs, 8" } },
		{ 8, 3, 0, 0, { "sockets=3", "the number of CPUs, 8" } },
		{ 8, 8, 8, 0, { "sockets=8,cores=8,threads=0", "the number of CPUs, 8" } },
		{ 8, 2, 2, 1, { "sockets=2,cores=2,threads=1", "the number of CPUs, 8" } },
		/* 85 * 4 - 2: three threads take two bits of the id */
		{ 255, 1, 85, 3, { "sockets=1,cores=85,threads=3", "id 338 and --irqchip" } },
		{ 255, 85, 1, 3, { "sockets=85", "powers of two" } },
		{ 256, 0, 0, 0, { "id 255", "kernel takes at most 254; split takes more" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct lkvm_config cfg = config(rows[i].n, rows[i].s, rows[i].c, rows[i].t);
		struct lkvm_error err = { 0 };
		struct cpu_topology topo;

		cfg.x86.irqchip = LKVM_X86_IRQCHIP_KERNEL;
		assert_int_equal(cpu_topology_init(&topo, &cfg, &err), -EINVAL);
		assert_int_equal(err.kind, LKVM_ERR_INPUT);
		assert_non_null(strstr(err.msg, "--cpus"));
		for (size_t j = 0; j < ARRAY_SIZE(rows[i].has); j++)
			if (!strstr(err.msg, rows[i].has[j]))
				fail_msg("\"%s\" is not in: %s", rows[i].has[j], err.msg);
	}
}

/* The ids of one arrangement: the last one. */
static u32 check_apic_ids(const struct cpu_topology *topo, unsigned int n)
{
	u32 last = 0;

	assert_int_equal(cpu_topology_apic_id(topo, 0), 0);
	for (unsigned int i = 1; i < n; i++) {
		u32 id = cpu_topology_apic_id(topo, i);

		/* 0x7fff is all CPUs to a message with 15 bits of destination */
		if (id <= last || id > 0x7ffe)
			fail_msg("CPU %u has id %u after %u", i, id, last);
		last = id;
	}
	return last;
}

/* Each topology there is. */
static void apic_ids_grow_with_the_index_and_fit_15_bits(void **state)
{
	unsigned int n_narrow = 0, n_wide = 0;

	(void)state;
	for (unsigned int s = 1; s <= LKVM_MAX_VCPUS; s++)
		for (unsigned int c = 1; s * c <= LKVM_MAX_VCPUS; c++)
			for (unsigned int t = 1; s * c * t <= LKVM_MAX_VCPUS; t++) {
				struct lkvm_config cfg = config(s * c * t, s, c, t);
				struct cpu_topology topo;
				bool wide;

				assert_int_equal(cpu_topology_init(&topo, &cfg, NULL), 0);
				wide = check_apic_ids(&topo, s * c * t) > 254;
				cfg.x86.irqchip = LKVM_X86_IRQCHIP_KERNEL;
				assert_int_equal(cpu_topology_init(&topo, &cfg, NULL),
						 wide ? -EINVAL : 0);
				n_wide += wide;
				n_narrow += !wide;
			}
	assert_true(n_narrow > 3000);
	assert_true(n_wide > 3000);
}

/* ---- the table as a whole ------------------------------------------------------------------ */

static void print_leaf(FILE *f, char sign, const struct kvm_cpuid_entry2 *e)
{
	fprintf(f, "%c LEAF(0x%08x, 0x%02x, %u, 0x%08x, 0x%08x, 0x%08x, 0x%08x)\n", sign,
		e->function, e->index, e->flags, e->eax, e->ebx, e->ecx, e->edx);
}

static void print_changes(FILE *f, const struct kvm_cpuid2 *from, const struct kvm_cpuid2 *to)
{
	for (u32 i = 0; i < from->nent; i++) {
		const struct kvm_cpuid_entry2 *a = &from->entries[i];
		const struct kvm_cpuid_entry2 *b = find(to, a->function, a->index);

		if (!b || !same(a, b))
			print_leaf(f, '-', a);
		if (b && !same(a, b))
			print_leaf(f, '+', b);
	}
	for (u32 i = 0; i < to->nent; i++)
		if (!find(from, to->entries[i].function, to->entries[i].index))
			print_leaf(f, '+', &to->entries[i]);
}

static char *changes_of(enum cpuid_fixture_id id)
{
	static const struct {
		unsigned int s, c, t, index;
	} cpus[] = {
		{ 1, 1, 1, 0 },	  { 2, 2, 2, 0 },     { 2, 2, 2, 7 },
		{ 1, 255, 1, 0 }, { 1, 255, 1, 254 },
	};
	struct kvm_cpuid2 *supported = load(id), *out = new_table(CPUID_MAX_ENTRIES);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		struct cpuid_params p = params(cpus[i].s, cpus[i].c, cpus[i].t);

		fprintf(f, "%ssockets=%u cores=%u threads=%u: CPU %u\n", i ? "\n" : "", cpus[i].s,
			cpus[i].c, cpus[i].t, cpus[i].index);
		build(supported, &p, cpus[i].index, out);
		print_changes(f, supported, out);
	}
	fclose(f);
	free(supported);
	free(out);
	return text;
}

static void assert_golden(enum cpuid_fixture_id id)
{
	char *text = changes_of(id), path[64], want[512], *line = text;
	FILE *f;

	snprintf(path, sizeof(path), "tests/golden/x86/cpuid/%s.expected", cpuid_fixture_name(id));
	f = fopen(path, getenv("GOLDEN_UPDATE") ? "w" : "r");
	if (!f)
		fail_msg("%s: cannot be opened", path);
	if (getenv("GOLDEN_UPDATE")) {
		fputs(text, f);
	} else {
		for (unsigned int n = 1; fgets(want, sizeof(want), f); n++) {
			size_t len = strlen(want);

			if (strncmp(line, want, len))
				fail_msg("%s:%u: expected %snot     %.*s", path, n, want,
					 (int)strcspn(line, "\n"), line);
			line += len;
		}
		assert_string_equal(line, "");
	}
	fclose(f);
	free(text);
}

static void intel_tables_are_the_golden_ones(void **state)
{
	(void)state;
	assert_golden(CPUID_FIXTURE_INTEL);
	assert_golden(CPUID_FIXTURE_INTEL_SOFTWARE);
	assert_golden(CPUID_FIXTURE_INTEL_NEXT);
}

static void amd_tables_are_the_golden_ones(void **state)
{
	(void)state;
	assert_golden(CPUID_FIXTURE_AMD);
	assert_golden(CPUID_FIXTURE_AMD_EMULATED);
	assert_golden(CPUID_FIXTURE_AMD_NEXT);
}

static void hygon_tables_are_the_golden_ones(void **state)
{
	(void)state;
	assert_golden(CPUID_FIXTURE_HYGON);
}

static void vendors_are_told_by_leaf_0(void **state)
{
	static const enum cpuid_vendor want[N_CPUID_FIXTURES] = {
		[CPUID_FIXTURE_INTEL] = CPUID_VENDOR_INTEL,
		[CPUID_FIXTURE_INTEL_SOFTWARE] = CPUID_VENDOR_INTEL,
		[CPUID_FIXTURE_AMD] = CPUID_VENDOR_AMD,
		[CPUID_FIXTURE_AMD_EMULATED] = CPUID_VENDOR_AMD,
		[CPUID_FIXTURE_HYGON] = CPUID_VENDOR_HYGON,
		[CPUID_FIXTURE_INTEL_NEXT] = CPUID_VENDOR_INTEL,
		[CPUID_FIXTURE_AMD_NEXT] = CPUID_VENDOR_AMD,
	};
	struct kvm_cpuid2 *t;

	(void)state;
	for (unsigned int id = 0; id < N_CPUID_FIXTURES; id++) {
		t = load(id);
		assert_int_equal(cpuid_vendor(t), want[id]);
		t->entries[0].ecx++;
		assert_int_equal(cpuid_vendor(t), CPUID_VENDOR_OTHER);
		free(t);
	}
	t = new_table(0);
	assert_int_equal(cpuid_vendor(t), CPUID_VENDOR_OTHER);
	free(t);
}

/* ---- what must not be shown ---------------------------------------------------------------- */

/* A table of @vendor whose host has every feature, of this year and the next. */
static struct kvm_cpuid2 *everything(enum cpuid_fixture_id vendor)
{
	struct kvm_cpuid2 *t = new_table(CPUID_MAX_ENTRIES);

	assert_int_equal(cpuid_fixture_load(vendor, t), 0);
	t->entries[t->nent++].function = 0x80000026;
	for (u32 i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entries[i];

		if (e->function == 0 || e->function == 4 || e->function == 0x80000000 ||
		    e->function == 0x8000001d || e->function == 0x40000000)
			continue;
		e->eax = e->ebx = e->ecx = e->edx = UINT32_MAX;
		if (e->function == 0xd && e->index == 0)
			e->eax = 0x2e7; /* all but the tiles */
	}
	return t;
}

static void what_needs_more_than_lkvm_does_is_hidden_from_any_guest(void **state)
{
	static const u32 gone[] = { 5, 0x12, 0x1d, 0x1e, 0x8000000a, 0x8000001f, 0x80000026 };
	static const enum cpuid_fixture_id ids[] = { CPUID_FIXTURE_INTEL, CPUID_FIXTURE_AMD,
						     CPUID_FIXTURE_HYGON };
	struct kvm_cpuid2 *out = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(1, 1, 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct kvm_cpuid2 *all = everything(ids[i]);

		build(all, &p, 0, out);
		/* MONITOR, VMX, OSXSAVE; HTT with one CPU */
		assert_int_equal(leaf(out, 1, 0).ecx & (BIT(3) | BIT(5) | BIT(27)), 0);
		assert_int_equal(leaf(out, 1, 0).edx & BIT(28), 0);
		/* APERF/MPERF */
		assert_int_equal(leaf(out, 6, 0).ecx & BIT(0), 0);
		/* SGX three times, OSPKE, AMX */
		assert_int_equal(leaf(out, 7, 0).ebx & BIT(2), 0);
		assert_int_equal(leaf(out, 7, 0).ecx & (BIT(30) | BIT(4)), 0);
		assert_int_equal(leaf(out, 7, 0).edx & (BIT(1) | BIT(22) | BIT(24) | BIT(25)), 0);
		assert_int_equal(leaf(out, 7, 1).eax & BIT(21), 0);
		assert_int_equal(leaf(out, 7, 1).edx & BIT(8), 0);
		/* SVM, MONITORX; MSI_EXT_DEST_ID, HC_MAP_GPA_RANGE, MIGRATION_CONTROL */
		assert_int_equal(leaf(out, 0x80000001, 0).ecx & (BIT(2) | BIT(29)), 0);
		assert_int_equal(leaf(out, 0x40000001, 0).eax & (7 << 15), 0);
		for (size_t j = 0; j < ARRAY_SIZE(gone); j++)
			assert_null(find(out, gone[j], 0));
		free(all);
	}
	free(out);
}

static void amx_is_shown_when_its_state_is_offered(void **state)
{
	struct kvm_cpuid2 *all = everything(CPUID_FIXTURE_INTEL);
	struct kvm_cpuid2 *out = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(1, 1, 1);

	(void)state;
	for (u32 i = 0; i < all->nent; i++)
		if (all->entries[i].function == 0xd && all->entries[i].index == 0)
			all->entries[i].eax = 0x602e7;
	build(all, &p, 0, out);
	assert_int_equal(leaf(out, 7, 0).edx & 0x03400000, 0x03400000);
	assert_non_null(find(out, 0x1d, 1));
	assert_non_null(find(out, 0x1e, 0));
	free(all);
	free(out);
}

static void arch_capabilities_is_shown_on_intel_only(void **state)
{
	struct kvm_cpuid2 *out = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(1, 2, 1);

	(void)state;
	for (unsigned int id = 0; id < N_CPUID_FIXTURES; id++) {
		struct kvm_cpuid2 *t = load(id);

		/* the case to mend is in each fixture */
		assert_true(leaf(t, 7, 0).edx & BIT(29));
		build(t, &p, 1, out);
		assert_int_equal(!!(leaf(out, 7, 0).edx & BIT(29)), !is_amd(id));
		free(t);
	}
	free(out);
}

static void tsc_deadline_follows_its_capability(void **state)
{
	struct kvm_cpuid2 *out = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(1, 1, 1);

	(void)state;
	for (unsigned int id = 0; id < N_CPUID_FIXTURES; id++) {
		struct kvm_cpuid2 *t = load(id);

		p.tsc_deadline = true;
		build(t, &p, 0, out);
		assert_true(leaf(out, 1, 0).ecx & BIT(24));
		p.tsc_deadline = false;
		build(t, &p, 0, out);
		assert_false(leaf(out, 1, 0).ecx & BIT(24));
		free(t);
	}
	free(out);
}

static void guests_see_a_hypervisor_and_the_x2apic(void **state)
{
	struct kvm_cpuid2 *out = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(1, 1, 1);

	(void)state;
	for (unsigned int id = 0; id < N_CPUID_FIXTURES; id++) {
		struct kvm_cpuid2 *t = load(id);

		build(t, &p, 0, out);
		assert_true(leaf(out, 1, 0).ecx & BIT(31));
		assert_true(leaf(out, 1, 0).ecx & BIT(21));
		assert_memory_equal(&find(out, 0x40000000, 0)->ebx, "KVMKVMKVM\0\0", 12);
		free(t);
	}
	free(out);
}

/* ---- the topology as a guest reads it ------------------------------------------------------- */

struct place {
	u32 id, socket, core, thread;
};

static struct place place_of(const struct cpu_topology *topo, unsigned int index)
{
	return (struct place){
		.id = cpu_topology_apic_id(topo, index),
		.socket = index / topo->threads / topo->cores,
		.core = index / topo->threads % topo->cores,
		.thread = index % topo->threads,
	};
}

/* SDM 3A, "Hierarchical mapping of CPUID extended topology leaf". */
static void check_levels(const struct kvm_cpuid2 *t, u32 function, const struct place *want,
			 const struct cpu_topology *topo)
{
	struct kvm_cpuid_entry2 smt = leaf(t, function, 0), core = leaf(t, function, 1);
	struct kvm_cpuid_entry2 end = leaf(t, function, 2);

	assert_int_equal(field(smt.ecx, 8, 15), 1);
	assert_int_equal(field(core.ecx, 8, 15), 2);
	assert_int_equal(end.ecx, 2);
	assert_int_equal(smt.flags & core.flags & end.flags, INDEXED);
	assert_int_equal(smt.ebx, topo->threads);
	assert_int_equal(core.ebx, topo->threads * topo->cores);
	assert_int_equal(end.ebx, 0);
	assert_int_equal(smt.edx, want->id);
	assert_int_equal(core.edx, want->id);
	assert_int_equal(end.edx, want->id);
	assert_int_equal(want->id >> core.eax, want->socket);
	assert_int_equal((want->id & ((1u << core.eax) - 1)) >> smt.eax, want->core);
	assert_int_equal(want->id & ((1u << smt.eax) - 1), want->thread);
}

/* A cache is shared by the ids that are the same after a shift: of a core, or of a socket. */
static void check_cache(const struct kvm_cpuid_entry2 *e, const struct cpu_topology *topo)
{
	unsigned int shift = order(field(e->eax, 14, 25) + 1);

	assert_int_equal(e->flags, INDEXED);
	assert_int_equal(shift, field(e->eax, 5, 7) < 3 ? topo->core_shift : topo->socket_shift);
}

static unsigned int check_caches(const struct kvm_cpuid2 *t, u32 function,
				 const struct cpu_topology *topo)
{
	unsigned int n = 0;

	for (; field(leaf(t, function, n).eax, 0, 4); n++)
		check_cache(find(t, function, n), topo);
	return n;
}

/* As by processors before leaf 0xB: leaf 1 with leaf 4, or with 0x80000008. */
static void check_legacy(const struct kvm_cpuid2 *t, bool amd, const struct place *want,
			 const struct cpu_topology *topo)
{
	struct kvm_cpuid_entry2 one = leaf(t, 1, 0), sizes = leaf(t, 0x80000008, 0);
	u32 n = topo->cores * topo->threads;

	assert_int_equal(field(one.ebx, 24, 31), want->id);
	assert_int_equal(field(one.edx, 28, 28), n > 1);
	if (!amd) {
		assert_int_equal(order(field(one.ebx, 16, 23)), topo->socket_shift);
		if (topo->cores <= 64 && leaf(t, 4, 0).eax & 0x1f)
			assert_int_equal(order(field(leaf(t, 4, 0).eax, 26, 31) + 1),
					 topo->socket_shift - topo->core_shift);
		return;
	}
	assert_int_equal(field(one.ebx, 16, 23), n);
	assert_int_equal(field(leaf(t, 0x80000001, 0).ecx, 1, 1), n > 1);
	assert_int_equal(field(sizes.ecx, 0, 7) + 1, n);
	assert_int_equal(want->id >> field(sizes.ecx, 12, 15), want->socket);
}

static void check_topoext(const struct kvm_cpuid2 *t, const struct place *want,
			  const struct cpu_topology *topo)
{
	struct kvm_cpuid_entry2 e = leaf(t, 0x8000001e, 0);

	assert_true(leaf(t, 0x80000001, 0).ecx & BIT(22));
	assert_true(leaf(t, 0x80000000, 0).eax >= 0x8000001e);
	assert_int_equal(e.flags, 0);
	assert_int_equal(e.eax, want->id);
	assert_int_equal(field(e.ebx, 0, 7), want->core);
	assert_int_equal(field(e.ebx, 8, 15) + 1, topo->threads);
	assert_int_equal(e.ecx, want->socket); /* one node per socket */
}

static void check_cpu(enum cpuid_fixture_id id, const struct kvm_cpuid2 *t,
		      const struct cpu_topology *topo, unsigned int index)
{
	struct place want = place_of(topo, index);

	assert_true(leaf(t, 0, 0).eax >= 0xb);
	check_levels(t, 0xb, &want, topo);
	if (!is_amd(id) && leaf(t, 0, 0).eax >= 0x1f)
		check_levels(t, 0x1f, &want, topo);
	else
		assert_null(find(t, 0x1f, 0));
	check_legacy(t, is_amd(id), &want, topo);
	if (is_amd(id))
		check_topoext(t, &want, topo);
	assert_int_equal(check_caches(t, is_amd(id) ? 0x8000001d : 4, topo), 4);
}

static void every_topology_reads_back_from_every_leaf_that_tells_it(void **state)
{
	struct kvm_cpuid2 *supported[N_CPUID_FIXTURES], *out = new_table(CPUID_MAX_ENTRIES);
	u32 seed = 1;

	(void)state;
	for (unsigned int id = 0; id < N_CPUID_FIXTURES; id++)
		supported[id] = load(id);
	for (unsigned int s = 1; s <= 255; s++)
		for (unsigned int c = 1; s * c <= 255; c++)
			for (unsigned int t = 1; s * c * t <= 255; t++) {
				struct lkvm_config cfg = config(s * c * t, s, c, t);
				unsigned int cpus[] = { 0, s * c * t - 1,
							next_random(&seed) % (s * c * t) };
				struct cpuid_params p = { 0 };

				/* the old leaves have 8 bits for an id */
				cfg.x86.irqchip = LKVM_X86_IRQCHIP_KERNEL;
				if (cpu_topology_init(&p.topo, &cfg, NULL))
					continue;
				for (unsigned int i = 0; i < 3 * N_CPUID_FIXTURES; i++) {
					build(supported[i / 3], &p, cpus[i % 3], out);
					check_cpu(i / 3, out, &p.topo, cpus[i % 3]);
				}
			}
	for (unsigned int id = 0; id < N_CPUID_FIXTURES; id++)
		free(supported[id]);
	free(out);
}

static void cpus_of_a_machine_differ_in_their_ids_only(void **state)
{
	struct kvm_cpuid2 *first = new_table(CPUID_MAX_ENTRIES);
	struct kvm_cpuid2 *other = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(2, 3, 2);

	(void)state;
	for (unsigned int id = 0; id < N_CPUID_FIXTURES; id++) {
		struct kvm_cpuid2 *t = load(id), *untouched = load(id);

		build(t, &p, 0, first);
		for (unsigned int i = 1; i < 12; i++) {
			build(t, &p, i, other);
			assert_int_equal(other->nent, first->nent);
			for (u32 j = 0; j < other->nent; j++) {
				struct kvm_cpuid_entry2 *e = &other->entries[j];

				if (e->function == 1)
					e->ebx &= 0x00ffffff;
				if (e->function == 0xb || e->function == 0x1f)
					e->edx = 0;
				if (e->function == 0x8000001e)
					*e = *find(first, 0x8000001e, 0);
			}
			assert_memory_equal(other->entries, first->entries,
					    other->nent * sizeof(other->entries[0]));
		}
		assert_memory_equal(t->entries, untouched->entries,
				    t->nent * sizeof(t->entries[0]));
		free(t);
		free(untouched);
	}
	free(first);
	free(other);
}

static void amd_caches_come_from_the_old_leaves_where_the_new_one_is_missing(void **state)
{
	struct kvm_cpuid2 *t = load(CPUID_FIXTURE_AMD_EMULATED);
	struct kvm_cpuid2 *out = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(1, 1, 1);
	static const u32 size_kib[] = { 64, 64, 512, 16384 };
	static const u32 type_level[] = { 0x21, 0x22, 0x43, 0x63 };

	(void)state;
	build(t, &p, 0, out);
	for (u32 i = 0; i < 4; i++) {
		struct kvm_cpuid_entry2 e = leaf(out, 0x8000001d, i);
		u64 line = field(e.ebx, 0, 11) + 1, parts = field(e.ebx, 12, 21) + 1;
		u64 ways = field(e.ebx, 22, 31) + 1, sets = (u64)e.ecx + 1;

		assert_int_equal(e.eax & 0xff, type_level[i]);
		assert_int_equal(line * parts * ways * sets, size_kib[i] * KIB);
	}
	assert_non_null(find(out, 0x8000001d, 4));
	assert_int_equal(leaf(out, 0x8000001d, 4).eax, 0);
	free(t);
	free(out);
}

/* ---- odd and hostile tables ------------------------------------------------------------------ */

static void a_table_that_does_not_fit_is_refused(void **state)
{
	static const u32 n_listed[] = { 253, 254, 256, 257, UINT32_MAX };
	struct kvm_cpuid2 *out = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(1, 1, 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(n_listed); i++) {
		u32 n = n_listed[i], room = n < CPUID_MAX_ENTRIES ? n : CPUID_MAX_ENTRIES;
		struct kvm_cpuid2 *t = new_table(room);
		struct lkvm_error err = { 0 };

		for (u32 j = 0; j < room; j++)
			t->entries[j].function = j ? 0x20000000 + j : 0;
		t->nent = n;
		if (n == 253) { /* the three levels of leaf 0xB fill it to the last entry */
			build(t, &p, 0, out);
			assert_int_equal(out->nent, CPUID_MAX_ENTRIES);
		} else {
			assert_int_equal(cpuid_build(t, &p, 0, out, &err), -ENOSPC);
			assert_int_equal(err.kind, LKVM_ERR_HOST);
			assert_non_null(strstr(err.msg, "vCPU 0"));
		}
		free(t);
	}
	free(out);
}

static void an_empty_table_stays_empty(void **state)
{
	struct kvm_cpuid2 *t = new_table(0), *out = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(1, 1, 1);

	(void)state;
	build(t, &p, 0, out);
	assert_int_equal(out->nent, 0);
	free(t);
	free(out);
}

static void leaves_listed_twice_hide_nothing(void **state)
{
	struct kvm_cpuid2 *out = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(2, 2, 2);

	(void)state;
	for (unsigned int id = 0; id < N_CPUID_FIXTURES; id++) {
		struct kvm_cpuid2 *once = load(id), *twice = new_table(2 * once->nent);
		u32 n_levels = 0;

		memcpy(twice->entries, once->entries, once->nent * sizeof(once->entries[0]));
		memcpy(twice->entries + once->nent, once->entries,
		       once->nent * sizeof(once->entries[0]));
		build(twice, &p, 5, out);
		check_cpu(id, out, &p.topo, 5);
		for (u32 i = 0; i < out->nent; i++) {
			const struct kvm_cpuid_entry2 *e = &out->entries[i];

			n_levels += e->function == 0xb;
			if (e->function == 1)
				assert_int_equal(e->ecx & BIT(5), 0);
			if (e->function == 0x80000001)
				assert_int_equal(e->ecx & BIT(2), 0);
			assert_int_not_equal(e->function, 0x8000000a);
		}
		assert_int_equal(n_levels, 3);
		free(once);
		free(twice);
	}
	free(out);
}

static void a_host_without_the_topology_leaves_gets_them(void **state)
{
	struct kvm_cpuid2 *out = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(2, 2, 2);

	(void)state;
	for (unsigned int id = 0; id < N_CPUID_FIXTURES; id++) {
		struct kvm_cpuid2 *t = load(id);
		u32 n = 0;

		for (u32 i = 0; i < t->nent; i++)
			if (t->entries[i].function != 0xb && t->entries[i].function != 0x1f &&
			    t->entries[i].function != 0x8000001e)
				t->entries[n++] = t->entries[i];
		t->nent = n;
		build(t, &p, 6, out);
		check_cpu(id, out, &p.topo, 6);

		/* nor does a highest leaf below them matter; 0x1F is not forced on anybody */
		t->entries[0].eax = 7;
		build(t, &p, 6, out);
		assert_int_equal(leaf(out, 0, 0).eax, 0xb);
		assert_null(find(out, 0x1f, 0));
		check_cpu(id, out, &p.topo, 6);
		free(t);
	}
	free(out);
}

static void no_table_overflows_or_shows_nested_virtualisation(void **state)
{
	static const u32 functions[] = { 0,	     1,		 4,	     7,		 0xb,
					 0xd,	     0x1d,	 0x1f,	     0x80000000, 0x80000001,
					 0x80000005, 0x80000006, 0x80000008, 0x8000000a, 0x8000001d,
					 0x8000001e, 0x8000001f, 0x40000001 };
	struct kvm_cpuid2 *out = new_table(CPUID_MAX_ENTRIES);
	struct cpuid_params p = params(2, 2, 2);
	unsigned int n_built = 0, n_refused = 0;
	u32 seed = 2463534242u;

	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		u32 n = round % 3 ? next_random(&seed) % 257 : 250 + next_random(&seed) % 7;
		struct kvm_cpuid2 *names = load(round % N_CPUID_FIXTURES);
		struct kvm_cpuid2 *t = new_table(n);
		int ret;

		for (u32 i = 0; i < n; i++) {
			u32 pick = next_random(&seed) % ARRAY_SIZE(functions);

			t->entries[i] = (struct kvm_cpuid_entry2){
				/* full tables of leaves that are kept have no room to grow */
				.function = round % 3 ? functions[pick] : 0x20000000 + i,
				.index = next_random(&seed) % 4,
				.flags = next_random(&seed),
				.eax = next_random(&seed),
				.ebx = next_random(&seed),
				.ecx = next_random(&seed),
				.edx = next_random(&seed),
			};
		}
		if (n)
			t->entries[0] = names->entries[0];
		ret = cpuid_build(t, &p, round % 8, out, NULL);
		assert_true(ret == 0 || ret == -ENOSPC);
		n_built += ret == 0;
		n_refused += ret != 0;
		for (u32 i = 0; !ret && i < out->nent; i++) {
			const struct kvm_cpuid_entry2 *e = &out->entries[i];

			if (e->function == 1 && e->index == 0)
				assert_int_equal(e->ecx & BIT(5), 0);
			assert_int_not_equal(e->function, 0x8000000a);
		}
		free(names);
		free(t);
	}
	assert_true(n_built > 0 && n_refused > 0);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_not_given_are_derived),
		cmocka_unit_test(impossible_topologies_are_refused_with_the_values_allowed),
		cmocka_unit_test(apic_ids_grow_with_the_index_and_fit_15_bits),
		cmocka_unit_test(intel_tables_are_the_golden_ones),
		cmocka_unit_test(amd_tables_are_the_golden_ones),
		cmocka_unit_test(hygon_tables_are_the_golden_ones),
		cmocka_unit_test(vendors_are_told_by_leaf_0),
		cmocka_unit_test(what_needs_more_than_lkvm_does_is_hidden_from_any_guest),
		cmocka_unit_test(amx_is_shown_when_its_state_is_offered),
		cmocka_unit_test(arch_capabilities_is_shown_on_intel_only),
		cmocka_unit_test(tsc_deadline_follows_its_capability),
		cmocka_unit_test(guests_see_a_hypervisor_and_the_x2apic),
		cmocka_unit_test(every_topology_reads_back_from_every_leaf_that_tells_it),
		cmocka_unit_test(cpus_of_a_machine_differ_in_their_ids_only),
		cmocka_unit_test(amd_caches_come_from_the_old_leaves_where_the_new_one_is_missing),
		cmocka_unit_test(a_table_that_does_not_fit_is_refused),
		cmocka_unit_test(an_empty_table_stays_empty),
		cmocka_unit_test(leaves_listed_twice_hide_nothing),
		cmocka_unit_test(a_host_without_the_topology_leaves_gets_them),
		cmocka_unit_test(no_table_overflows_or_shows_nested_virtualisation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
