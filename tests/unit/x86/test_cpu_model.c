/*
 * The table of CPU features, the words of --cpu, and what both make of what a KVM offers (T0).
 *
 * Does not prove that the bits are those of real processors: they are copied from the manuals, and
 * were compared with what some hosts show. Nor that a guest without a feature does not use it: no
 * instruction is trapped because CPUID does not show it.
 *
 * tests/golden/x86/cpuid/dump-NAME.txt has whole dumps (see golden.h).
 */
#include "tests/unit/golden.h"

#include "arch/x86/cpuid_dump.h"
#include "linux-uapi/x86.h"
#include "tests/fakekvm/x86/cpuid_fixture.h"

/* ---- helpers ------------------------------------------------------------------------------ */

static struct kvm_cpuid2 *new_table(void)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + CPUID_MAX_ENTRIES * sizeof(t->entries[0]));

	assert_non_null(t);
	t->nent = CPUID_MAX_ENTRIES;
	return t;
}

static struct kvm_cpuid2 *load(enum cpuid_fixture_id id)
{
	struct kvm_cpuid2 *t = new_table();

	assert_int_equal(cpuid_fixture_load(id, t), 0);
	return t;
}

static struct kvm_cpuid_entry2 *entry(struct kvm_cpuid2 *t, u32 function, u32 index)
{
	for (u32 i = 0; i < t->nent; i++)
		if (t->entries[i].function == function && t->entries[i].index == index)
			return &t->entries[i];
	return NULL;
}

/* What the guest reads: a leaf that is not listed is zero. */
static struct kvm_cpuid_entry2 leaf(struct kvm_cpuid2 *t, u32 function, u32 index)
{
	const struct kvm_cpuid_entry2 *e = entry(t, function, index);

	return e ? *e : (struct kvm_cpuid_entry2){ 0 };
}

static struct cpuid_params params(const char *cpu)
{
	struct lkvm_config cfg = { .n_vcpus = 1 };
	struct cpuid_params p = { .tsc_deadline = true };
	struct lkvm_error err = { 0 };

	assert_int_equal(cpu_topology_init(&p.topo, &cfg, NULL), 0);
	if (cpu_model_parse(cpu, &p.model, &err))
		fail_msg("%s: %s", cpu, err.msg);
	return p;
}

static struct kvm_cpuid2 *build(enum cpuid_fixture_id id, const struct cpuid_params *p)
{
	struct kvm_cpuid2 *supported = load(id), *out = new_table();
	struct lkvm_error err = { 0 };

	if (cpuid_build(supported, p, 0, out, &err))
		fail_msg("%s: %s", cpuid_fixture_name(id), err.msg);
	free(supported);
	return out;
}

static struct kvm_cpuid2 *build_cpu(enum cpuid_fixture_id id, const char *cpu)
{
	struct cpuid_params p = params(cpu);

	return build(id, &p);
}

static void assert_same_tables(const struct kvm_cpuid2 *a, const struct kvm_cpuid2 *b)
{
	assert_int_equal(a->nent, b->nent);
	assert_memory_equal(a->entries, b->entries, a->nent * sizeof(a->entries[0]));
}

#define SHOWS(table, name) assert_true(cpu_feature_shown(table, CPU_F_##name))
#define HIDES(table, name) assert_false(cpu_feature_shown(table, CPU_F_##name))
#define EACH_FEATURE(i)	   (unsigned int i = CPU_F_NONE + 1; i < CPU_N_FEATURES; i++)
#define EACH_HOST(id)	   (unsigned int id = 0; id < N_CPUID_FIXTURES; id++)

static u32 next_random(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* ---- the table ------------------------------------------------------------------------------ */

static void every_name_is_found_with_hyphens_too(void **state)
{
	char name[64];

	(void)state;
	for
		EACH_FEATURE(i)
		{
			const char *n = cpu_features[i].name;

			assert_in_range(strlen(n), 2, 31);
			assert_int_equal(cpu_feature_find(n, strlen(n)), i);
			snprintf(name, sizeof(name), "%s", n);
			for (char *c = name; *c; c++)
				if (*c == '_')
					*c = '-';
			assert_int_equal(cpu_feature_find(name, strlen(name)), i);
			/* neither a part of it nor more than it */
			assert_int_not_equal(cpu_feature_find(n, strlen(n) - 1), i);
			snprintf(name, sizeof(name), "%s_", n);
			assert_int_equal(cpu_feature_find(name, strlen(name)), CPU_F_NONE);
		}
	assert_int_equal(cpu_feature_find("user_shstk", 10), CPU_F_shstk);
	assert_int_equal(cpu_feature_find("sse3", 4), CPU_F_pni);
	assert_int_equal(cpu_feature_find("", 0), CPU_F_NONE);
}

static bool overlap(const struct cpuid_place *a, const struct cpuid_place *b)
{
	return a->function == b->function && a->index == b->index && a->reg == b->reg &&
	       a->bits & b->bits;
}

static void no_bit_has_two_names_but_where_intel_has_one_for_two(void **state)
{
	(void)state;
	for
		EACH_FEATURE(i)
		{
			const struct cpu_feature *a = &cpu_features[i];

			assert_true(a->at.bits != 0);
			for (unsigned int j = i + 1; j < CPU_N_FEATURES; j++) {
				const struct cpu_feature *b = &cpu_features[j];
				bool shared =
					overlap(&a->at, &b->at) || overlap(&a->at, &b->also) ||
					overlap(&a->also, &b->at) || overlap(&a->also, &b->also);

				/* 7.0:EDX[26] is IBRS and IBPB */
				if (shared && (i != CPU_F_ibrs || j != CPU_F_ibpb))
					fail_msg("%s and %s share a bit", a->name, b->name);
			}
		}
}

/* Places known from elsewhere: the feature words of Linux, and KVM's documentation. */
static void features_are_where_others_have_them(void **state)
{
	static const struct {
		const char *name;
		u32 function, index;
		enum cpuid_reg reg;
		unsigned int bit;
	} rows[] = {
		{ "shstk", 7, 0, CPUID_ECX, 7 },
		{ "ibt", 7, 0, CPUID_EDX, 20 },
		{ "arch_capabilities", 7, 0, CPUID_EDX, 29 },
		{ "fred", 7, 1, CPUID_EAX, 17 },
		{ "lkgs", 7, 1, CPUID_EAX, 18 },
		{ "aperfmperf", 6, 0, CPUID_ECX, 0 },
		{ "hypervisor", 1, 0, CPUID_ECX, 31 },
		{ "vmx", 1, 0, CPUID_ECX, 5 },
		{ "svm", 0x80000001, 0, CPUID_ECX, 2 },
		{ "kvm_pv_unhalt", KVM_CPUID_FEATURES, 0, CPUID_EAX, KVM_FEATURE_PV_UNHALT },
		{ "kvm_pv_sched_yield", KVM_CPUID_FEATURES, 0, CPUID_EAX,
		  KVM_FEATURE_PV_SCHED_YIELD },
		{ "kvm_msi_ext_dest_id", KVM_CPUID_FEATURES, 0, CPUID_EAX,
		  KVM_FEATURE_MSI_EXT_DEST_ID },
		{ "kvm_clocksource_stable_bit", KVM_CPUID_FEATURES, 0, CPUID_EAX,
		  KVM_FEATURE_CLOCKSOURCE_STABLE_BIT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct cpu_feature *f =
			&cpu_features[cpu_feature_find(rows[i].name, strlen(rows[i].name))];
		const struct cpuid_place want = { rows[i].function, rows[i].index, rows[i].reg,
						  1u << rows[i].bit };

		assert_memory_equal(&f->at, &want, sizeof(want));
	}
}

static bool reaches(unsigned int from, unsigned int to, unsigned int depth)
{
	for (size_t i = 0; i < CPU_MAX_NEEDS; i++) {
		enum cpu_feature_id need = cpu_features[from].needs[i];

		if (need == CPU_F_NONE)
			break;
		assert_in_range(depth, 0, 20);
		if (need == to || reaches(need, to, depth + 1))
			return true;
	}
	return false;
}

static void no_feature_depends_on_itself(void **state)
{
	(void)state;
	for
		EACH_FEATURE(i)
	assert_false(reaches(i, i, 0));
}

static void conservative_lacks_nothing_of_its_own_features(void **state)
{
	struct cpuid_params p = params("conservative");

	(void)state;
	for
		EACH_FEATURE(i)
	if (cpu_features[i].conservative && cpu_feature_in(&p.model.gone, (enum cpu_feature_id)i))
		fail_msg("%s depends on what conservative does not have", cpu_features[i].name);
}

/* ---- the words -------------------------------------------------------------------------- */

static void wrong_words_are_refused_with_a_sentence(void **state)
{
	static const struct {
		const char *cpu, *want;
	} rows[] = {
		{ "max", "--cpu max: must be host or conservative, then ,+NAME or ,-NAME for each "
			 "feature" },
		{ "hos", "--cpu hos: must be host or conservative" },
		{ "hosts", "--cpu hosts: must be host or conservative" },
		{ ",+avx", "--cpu : must be host or conservative" },
		{ "+avx", "--cpu +avx: must be host or conservative" },
		{ "conservativ,+avx", "--cpu conservativ: must be" },
		{ "host,", "--cpu: '': a feature is written +NAME or -NAME" },
		{ "host,+", "--cpu: '+': a feature is written +NAME or -NAME" },
		{ "host,avx", "--cpu: 'avx': a feature is written +NAME or -NAME" },
		{ "host,-avx,", "--cpu: '': a feature is written" },
		{ "host,-avx3",
		  "--cpu -avx3: there is no feature of that name; the nearest is avx2" },
		{ "host,-AVX2", "there is no feature of that name" },
		{ "host,+sstk",
		  "--cpu +sstk: there is no feature of that name; the nearest is shstk" },
		{ "host,-aperf_mperf", "the nearest is aperfmperf" },
		{ "host,-kvm-pv-unhald", "the nearest is kvm_pv_unhalt" },
		{ "host,-user_shsk", "the nearest is shstk" },
		{ "host,+qqqqqqqqqqqqq",
		  "--cpu +qqqqqqqqqqqqq: there is no feature of that name; names "
		  "are those of /proc/cpuinfo" },
		{ "host,+avx,-avx", "--cpu: +avx and -avx contradict each other" },
		{ "host,-avx,+avx", "--cpu: +avx and -avx contradict each other" },
		{ "host,-ht", "--cpu -ht: ht follows from how CPUs are arranged: --cpus" },
		{ "host,+topoext", "topoext follows from how CPUs are arranged: --cpus" },
		{ "host,+avx2,-avx", "--cpu: +avx2 depends on avx, which -avx takes away" },
		{ "host,-xsave,+avx2", "--cpu: +avx2 depends on xsave, which -xsave takes away" },
		{ "host,+fred,-lkgs", "--cpu: +fred depends on lkgs, which -lkgs takes away" },
		{ "host,+ibt,-xsaves", "--cpu: +ibt depends on xsaves, which -xsaves takes away" },
		{ "host,+shstk,-xsave", "--cpu: +shstk depends on xsave, which -xsave takes away" },
		{ "conservative,-xsaves,+user_shstk",
		  "--cpu: +shstk depends on xsaves, which -xsaves takes away" },
		{ "conservative,+avx2",
		  "--cpu: +avx2 depends on avx, which conservative leaves out; complete is "
		  "+xsave,+avx,+avx2" },
		{ "conservative,+avx,+avx2",
		  "--cpu: +avx depends on xsave, which conservative leaves out; complete is "
		  "+xsave,+avx" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct lkvm_error err = { 0 };
		struct cpu_model model;

		assert_int_equal(cpu_model_parse(rows[i].cpu, &model, &err), -EINVAL);
		assert_int_equal(err.kind, LKVM_ERR_INPUT);
		if (!strstr(err.msg, rows[i].want))
			fail_msg("\"%s\" is not in: %s", rows[i].want, err.msg);
	}
}

static void words_of_any_length_are_refused_in_a_short_sentence(void **state)
{
	char cpu[LKVM_CPU_MAX];
	struct lkvm_error err = { 0 };
	struct cpu_model model;

	(void)state;
	memset(cpu, 'x', sizeof(cpu) - 1);
	cpu[sizeof(cpu) - 1] = '\0';
	assert_int_equal(cpu_model_parse(cpu, &model, &err), -EINVAL);
	memcpy(cpu, "host,+", 6);
	memset(&err, 0, sizeof(err));
	assert_int_equal(cpu_model_parse(cpu, &model, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "names are those of /proc/cpuinfo"));
}

static void right_words_are_taken(void **state)
{
	static const char *const texts[] = {
		"",
		"host",
		"conservative",
		"host,-avx",
		"host,-avx,-avx",
		"host,+avx,+avx2",
		"conservative,+xsave,+avx,+avx2,-x2apic",
		"conservative,+xsave,+xsavec,+xsaves,+user_shstk",
		"host,-kvm-pv-unhalt,-kvm_steal_time",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		params(texts[i]);
}

/* ---- host ----------------------------------------------------------------------------------- */

static void host_is_what_there_is_without_the_option(void **state)
{
	(void)state;
	for
		EACH_HOST(id)
		{
			struct kvm_cpuid2 *with = build_cpu(id, "host"),
					  *without = build_cpu(id, "");

			assert_same_tables(with, without);
			free(with);
			free(without);
		}
}

static void what_is_added_and_there_anyway_changes_nothing(void **state)
{
	struct kvm_cpuid2 *with = build_cpu(CPUID_FIXTURE_INTEL_NEXT,
					    "host,+shstk,+ibt,+lkgs,+fred,+avx2,+arch_perfmon,"
					    "+tsc_deadline_timer,+hypervisor,+amx_tile");
	struct kvm_cpuid2 *without = build_cpu(CPUID_FIXTURE_INTEL_NEXT, "");

	(void)state;
	assert_same_tables(with, without);
	free(with);
	free(without);
}

static void each_feature_can_be_dropped_and_takes_along_what_depends_on_it(void **state)
{
	(void)state;
	for
		EACH_HOST(id)
		{
			struct kvm_cpuid2 *whole = build_cpu(id, "");

		for
			EACH_FEATURE(i)
			{
				struct kvm_cpuid2 *t;
				char cpu[64];

				if (cpu_features[i].by_topology)
					continue;
				snprintf(cpu, sizeof(cpu), "host,-%s", cpu_features[i].name);
				t = build_cpu(id, cpu);
			for
				EACH_FEATURE(j)
				{
					enum cpu_feature_id f = (enum cpu_feature_id)j;
					bool gone = j == i || reaches(j, i, 0);

					if (cpu_feature_shown(t, f) !=
						    (!gone && cpu_feature_shown(whole, f)) &&
					    /* one bit of Intel's for two features */
					    (i != CPU_F_ibrs || j != CPU_F_ibpb) &&
					    (i != CPU_F_ibpb || j != CPU_F_ibrs))
						fail_msg("%s: %s shows %s wrongly",
							 cpuid_fixture_name(id), cpu,
							 cpu_features[j].name);
				}
			free(t);
			}
		free(whole);
		}
}

static void leaves_follow_the_feature_they_describe(void **state)
{
	static const struct {
		const char *cpu;
		enum cpuid_fixture_id host;
		u32 function, index;
	} rows[] = {
		{ "host,-arch_perfmon", CPUID_FIXTURE_INTEL_NEXT, 0xa, 0 },
		{ "host,-xsave", CPUID_FIXTURE_INTEL_NEXT, 0xd, 0 },
		{ "host,-xsave", CPUID_FIXTURE_AMD, 0xd, 1 },
		{ "host,-avx", CPUID_FIXTURE_AMD, 0xd, 2 },
		{ "host,-avx512f", CPUID_FIXTURE_INTEL_NEXT, 0xd, 6 },
		{ "host,-pku", CPUID_FIXTURE_INTEL_NEXT, 0xd, 9 },
		{ "host,-amx_tile", CPUID_FIXTURE_INTEL_NEXT, 0xd, 18 },
		{ "host,-amx_tile", CPUID_FIXTURE_INTEL_NEXT, 0x1d, 1 },
		{ "host,-amx_tile", CPUID_FIXTURE_INTEL_NEXT, 0x1e, 0 },
		{ "host,-avx10", CPUID_FIXTURE_INTEL_NEXT, 0x24, 0 },
		{ "host,-perfctr_core,-amd_lbr_v2", CPUID_FIXTURE_AMD_NEXT, 0x80000022, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kvm_cpuid2 *whole = build_cpu(rows[i].host, "");
		struct kvm_cpuid2 *t = build_cpu(rows[i].host, rows[i].cpu);

		assert_non_null(entry(whole, rows[i].function, rows[i].index));
		assert_null(entry(t, rows[i].function, rows[i].index));
		if (rows[i].function == 0xd && rows[i].index >= 2)
			assert_false(leaf(t, 0xd, 0).eax & 1u << rows[i].index);
		free(whole);
		free(t);
	}
}

static void state_of_cet_is_shown_while_one_of_its_two_features_is(void **state)
{
	static const struct {
		const char *cpu;
		bool shstk, ibt;
	} rows[] = {
		{ "host", true, true },		  { "host,-shstk", false, true },
		{ "host,-ibt", true, false },	  { "host,-ibt,-user_shstk", false, false },
		{ "host,-xsaves", false, false }, { "conservative", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kvm_cpuid2 *t = build_cpu(CPUID_FIXTURE_INTEL_NEXT, rows[i].cpu);
		bool any = rows[i].shstk || rows[i].ibt;

		assert_int_equal(cpu_feature_shown(t, CPU_F_shstk), rows[i].shstk);
		assert_int_equal(cpu_feature_shown(t, CPU_F_ibt), rows[i].ibt);
		assert_int_equal(leaf(t, 0xd, 1).ecx & 0x1800, any ? 0x1800 : 0);
		assert_int_equal(!!entry(t, 0xd, 11), any);
		assert_int_equal(!!entry(t, 0xd, 12), any);
		free(t);
	}
}

static void the_size_of_state_is_that_of_what_is_left(void **state)
{
	static const struct {
		enum cpuid_fixture_id host;
		const char *cpu;
		u32 size;
	} rows[] = {
		{ CPUID_FIXTURE_INTEL_NEXT, "host", 0x2b00 },
		{ CPUID_FIXTURE_INTEL_NEXT, "host,-amx_tile", 0xa88 },
		{ CPUID_FIXTURE_INTEL_NEXT, "host,-amx_tile,-pku", 0xa80 },
		{ CPUID_FIXTURE_INTEL_NEXT, "host,-amx_tile,-pku,-avx512f", 0x340 },
		{ CPUID_FIXTURE_INTEL_NEXT, "host,-amx_tile,-pku,-avx", 0x240 },
		{ CPUID_FIXTURE_AMD_EMULATED, "host,-pku", 0x340 },
		{ CPUID_FIXTURE_AMD_EMULATED, "host,-avx", 0xa88 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kvm_cpuid2 *t = build_cpu(rows[i].host, rows[i].cpu);

		assert_int_equal(leaf(t, 0xd, 0).ecx, rows[i].size);
		free(t);
	}
}

static void cet_is_hidden_where_its_state_is_not_offered(void **state)
{
	struct cpuid_params p = params("");
	struct kvm_cpuid2 *t = load(CPUID_FIXTURE_INTEL_NEXT), *out = new_table();
	struct lkvm_error err = { 0 };

	(void)state;
	entry(t, 0xd, 1)->ecx = 0;
	assert_int_equal(cpuid_build(t, &p, 0, out, NULL), 0);
	HIDES(out, shstk);
	HIDES(out, ibt);
	p = params("host,+shstk");
	assert_int_equal(cpuid_build(t, &p, 0, out, &err), -ENOTTY);
	assert_string_equal(err.msg,
			    "--cpu +shstk: not on this host: KVM does not offer the state of CET");
	free(t);
	free(out);
}

static void subleaf_1_of_7_is_within_reach(void **state)
{
	struct cpuid_params p = params("");
	struct kvm_cpuid2 *t = load(CPUID_FIXTURE_INTEL), *out = new_table();

	(void)state;
	entry(t, 7, 0)->eax = 0;
	assert_int_equal(cpuid_build(t, &p, 0, out, NULL), 0);
	SHOWS(out, lkgs);
	SHOWS(out, fred);
	assert_int_equal(leaf(out, 7, 0).eax, 1);
	free(t);
	free(out);
}

static void what_amd_says_twice_is_hidden_twice(void **state)
{
	struct kvm_cpuid2 *t = build_cpu(CPUID_FIXTURE_AMD, "host,-mmx,-pat");

	(void)state;
	assert_int_equal(leaf(t, 0x80000001, 0).edx & (BIT(23) | BIT(16)), 0);
	assert_int_equal(leaf(t, 1, 0).edx & (BIT(23) | BIT(16)), 0);
	/* these are its own: SYSCALL, NX, LM, and the rest of the copy */
	assert_true(leaf(t, 0x80000001, 0).edx & BIT(11));
	assert_true(leaf(t, 0x80000001, 0).edx & BIT(20));
	assert_true(leaf(t, 0x80000001, 0).edx & BIT(29));
	assert_true(leaf(t, 0x80000001, 0).edx & BIT(0));
	free(t);
}

/* ---- conservative --------------------------------------------------------------------------- */

/* Bits of the registers that hold features; true if @t shows one of them without a name. */
static void check_conservative(enum cpuid_fixture_id id, struct kvm_cpuid2 *t)
{
	for (u32 i = 0; i < t->nent; i++) {
		const u32 regs[] = { t->entries[i].eax, t->entries[i].ebx, t->entries[i].ecx,
				     t->entries[i].edx };

		for (unsigned int reg = 0; reg < 4; reg++) {
			u32 allowed = 0;
			bool flags = false;

			for
				EACH_FEATURE(j)
				{
					const struct cpu_feature *f = &cpu_features[j];
					const struct cpuid_place *at[] = { &f->at, &f->also };

					for (int k = 0; k < 2; k++) {
						if (at[k]->function != t->entries[i].function ||
						    at[k]->index != t->entries[i].index ||
						    at[k]->reg != reg || !at[k]->bits)
							continue;
						flags = true;
						if (f->conservative || f->by_topology)
							allowed |= at[k]->bits;
					}
				}
			if (t->entries[i].function == 0x80000001 && reg == CPUID_EDX)
				allowed |= leaf(t, 1, 0).edx & CPUID_AMD_MIRROR;
			if (flags && regs[reg] & ~allowed)
				fail_msg("%s: leaf 0x%x.%u register %u shows 0x%x",
					 cpuid_fixture_name(id), t->entries[i].function,
					 t->entries[i].index, reg, regs[reg] & ~allowed);
		}
	}
}

static void conservative_has_its_features_and_nothing_else_on_every_host(void **state)
{
	static const u32 gone[] = { 5,	  0xa,	0xd,  0x14,	  0x19,	     0x1c,
				    0x1d, 0x1e, 0x24, 0x8000000a, 0x80000022 };

	(void)state;
	for
		EACH_HOST(id)
		{
			struct kvm_cpuid2 *whole = build_cpu(id, ""),
					  *t = build_cpu(id, "conservative");

			check_conservative(id, t);
		for
			EACH_FEATURE(i)
		if (cpu_features[i].conservative)
			assert_int_equal(cpu_feature_shown(t, (enum cpu_feature_id)i),
					 cpu_feature_shown(whole, (enum cpu_feature_id)i));
		for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
			assert_null(entry(t, gone[i], 0));
		assert_int_equal(leaf(t, 0xb, 0).ebx, 1);
		free(whole);
		free(t);
		}
}

/* x86-64-v2 of the psABI, on the hosts that have all of it. */
static void conservative_is_x86_64_v2(void **state)
{
	static const enum cpuid_fixture_id ids[] = { CPUID_FIXTURE_INTEL, CPUID_FIXTURE_AMD,
						     CPUID_FIXTURE_INTEL_NEXT,
						     CPUID_FIXTURE_AMD_NEXT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct kvm_cpuid2 *t = build_cpu(ids[i], "conservative");

		assert_int_equal(leaf(t, 1, 0).ecx & 0x00982201, 0x00982201);
		assert_int_equal(leaf(t, 1, 0).edx & 0x07008101, 0x07008101);
		assert_int_equal(leaf(t, 0x80000001, 0).ecx & 1, 1);
		assert_int_equal(leaf(t, 0x80000001, 0).edx & 0x20100800, 0x20100800);
		HIDES(t, avx);
		HIDES(t, shstk);
		HIDES(t, ibt);
		free(t);
	}
}

static void conservative_takes_what_is_added(void **state)
{
	struct kvm_cpuid2 *t = build_cpu(CPUID_FIXTURE_INTEL_NEXT,
					 "conservative,+xsave,+xsavec,+xsaves,+shstk,+lkgs,"
					 "+arch_perfmon");

	(void)state;
	SHOWS(t, shstk);
	SHOWS(t, lkgs);
	HIDES(t, fred);
	HIDES(t, ibt);
	HIDES(t, avx);
	SHOWS(t, arch_perfmon);
	assert_int_equal(leaf(t, 0xa, 0).eax, 0x08300806);
	/* x87 and SSE are always there with XSAVE */
	assert_int_equal(leaf(t, 0xd, 0).eax, 3);
	assert_int_equal(leaf(t, 0xd, 1).ecx, 0x1800);
	assert_non_null(entry(t, 0xd, 12));
	assert_null(entry(t, 0xd, 2));
	free(t);
}

/* ---- what a host does not have ------------------------------------------------------------ */

static void what_cannot_be_added_is_refused_with_the_reason(void **state)
{
	static const struct {
		enum cpuid_fixture_id host;
		const char *cpu;
		enum lkvm_error_kind kind;
		const char *want;
	} rows[] = {
		{ CPUID_FIXTURE_INTEL, "host,+apx", LKVM_ERR_UNSUPPORTED,
		  "--cpu +apx: this host's KVM does not offer apx to guests" },
		{ CPUID_FIXTURE_INTEL_SOFTWARE, "conservative,+lkgs", LKVM_ERR_UNSUPPORTED,
		  "--cpu +lkgs: this host's KVM does not offer lkgs to guests" },
		{ CPUID_FIXTURE_AMD, "host,+ibt", LKVM_ERR_UNSUPPORTED,
		  "--cpu +ibt: only Intel's processors have it, and this host's is none of them" },
		{ CPUID_FIXTURE_HYGON, "host,+ibt", LKVM_ERR_UNSUPPORTED,
		  "--cpu +ibt: only Intel's processors have it" },
		{ CPUID_FIXTURE_INTEL, "host,+svm", LKVM_ERR_UNSUPPORTED,
		  "--cpu +svm: only AMD's processors have it, and this host's is none of them" },
		{ CPUID_FIXTURE_AMD, "host,+arch_capabilities", LKVM_ERR_UNSUPPORTED,
		  "--cpu +arch_capabilities: not on this host: AMD's processors have no "
		  "IA32_ARCH_CAPABILITIES, whatever KVM says" },
		{ CPUID_FIXTURE_INTEL, "host,+amx_tile", LKVM_ERR_UNSUPPORTED,
		  "--cpu +amx_tile: not on this host: KVM does not offer the state of AMX to this "
		  "process" },
		{ CPUID_FIXTURE_INTEL, "host,+sgx", LKVM_ERR_INPUT,
		  "--cpu +sgx: no guest gets it: SGX takes enclave memory, which lkvm does not "
		  "give "
		  "to guests" },
		{ CPUID_FIXTURE_AMD, "host,+mwaitx", LKVM_ERR_INPUT,
		  "--cpu +mwaitx: no guest gets it: KVM runs MONITORX and MWAITX as NOPs" },
		{ CPUID_FIXTURE_INTEL, "host,+vmx", LKVM_ERR_INPUT,
		  "--cpu +vmx: it comes with --nested only" },
		{ CPUID_FIXTURE_AMD, "host,+svm", LKVM_ERR_INPUT,
		  "--cpu +svm: it comes with --nested only" },
		{ CPUID_FIXTURE_AMD, "host,+npt", LKVM_ERR_INPUT,
		  "--cpu +npt: it comes with --nested only" },
		{ CPUID_FIXTURE_INTEL, "host,+aperfmperf", LKVM_ERR_INPUT,
		  "--cpu +aperfmperf: it comes with --disable-exits aperfmperf only" },
		{ CPUID_FIXTURE_INTEL, "host,+monitor", LKVM_ERR_INPUT,
		  "--cpu +monitor: it comes with --disable-exits mwait only" },
		{ CPUID_FIXTURE_INTEL, "host,+kvm-msi-ext-dest-id", LKVM_ERR_INPUT,
		  "--cpu +kvm_msi_ext_dest_id: it comes with APIC ids above 254 only" },
		{ CPUID_FIXTURE_AMD, "host,+sev_snp", LKVM_ERR_INPUT,
		  "--cpu +sev_snp: it comes with --snp only" },
	};
	struct kvm_cpuid2 *out = new_table();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kvm_cpuid2 *supported = load(rows[i].host);
		struct cpuid_params p = params(rows[i].cpu);
		struct lkvm_error err = { 0 };

		assert_true(cpuid_build(supported, &p, 0, out, &err) < 0);
		if (err.kind != rows[i].kind || !strstr(err.msg, rows[i].want))
			fail_msg("\"%s\" is not: %s", rows[i].want, err.msg);
		free(supported);
	}
	free(out);
}

/* ---- with other options --------------------------------------------------------------------- */

static void nested_virtualization_is_shown_when_asked_for_alone(void **state)
{
	static const struct {
		enum cpuid_fixture_id host;
		bool vmx, svm;
	} rows[] = {
		{ CPUID_FIXTURE_INTEL, true, false },
		{ CPUID_FIXTURE_INTEL_NEXT, true, false },
		{ CPUID_FIXTURE_AMD, false, true },
		{ CPUID_FIXTURE_AMD_NEXT, false, true },
		{ CPUID_FIXTURE_AMD_EMULATED, false, true },
		{ CPUID_FIXTURE_HYGON, false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kvm_cpuid2 *supported = load(rows[i].host), *t;

		for (int conservative = 0; conservative < 2; conservative++) {
			struct cpuid_params p = params(conservative ? "conservative" : "");

			p.nested = true;
			t = build(rows[i].host, &p);
			assert_int_equal(cpu_feature_shown(t, CPU_F_vmx), rows[i].vmx);
			assert_int_equal(cpu_feature_shown(t, CPU_F_svm), rows[i].svm);
			/* what SVM can do is as KVM offers it, but for the model */
			assert_int_equal(!!entry(t, 0x8000000a, 0), rows[i].svm);
			if (rows[i].svm && !conservative)
				assert_memory_equal(entry(t, 0x8000000a, 0),
						    entry(supported, 0x8000000a, 0),
						    sizeof(t->entries[0]));
			if (rows[i].svm)
				SHOWS(t, npt);
			free(t);
			p.nested = false;
			t = build(rows[i].host, &p);
			HIDES(t, vmx);
			HIDES(t, svm);
			assert_null(entry(t, 0x8000000a, 0));
			free(t);
		}
		free(supported);
	}
}

static void nested_virtualization_that_is_not_offered_is_refused(void **state)
{
	static const struct {
		enum cpuid_fixture_id host;
		const char *want;
	} rows[] = {
		{ CPUID_FIXTURE_INTEL_SOFTWARE,
		  "--nested: this host's KVM does not offer VMX to guests; it does where kvm_intel "
		  "is loaded with nested=1" },
		{ CPUID_FIXTURE_AMD, "--nested: this host's KVM does not offer SVM to guests; it "
				     "does where kvm_amd is "
				     "loaded with nested=1" },
	};
	struct kvm_cpuid2 *out = new_table();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kvm_cpuid2 *t = load(rows[i].host);
		struct cpuid_params p = params("");
		struct lkvm_error err = { 0 };

		p.nested = true;
		entry(t, 0x80000001, 0)->ecx &= ~4u;
		assert_int_equal(cpuid_build(t, &p, 0, out, &err), -ENOTTY);
		assert_int_equal(err.kind, LKVM_ERR_UNSUPPORTED);
		assert_string_equal(err.msg, rows[i].want);
		free(t);
	}
	free(out);
}

static void nested_virtualization_cannot_be_dropped(void **state)
{
	static const struct {
		enum cpuid_fixture_id host;
		const char *cpu, *want;
	} rows[] = {
		{ CPUID_FIXTURE_INTEL, "host,-vmx", "--cpu -vmx: --nested asks for it" },
		{ CPUID_FIXTURE_AMD, "host,-svm", "--cpu -svm: --nested asks for it" },
	};
	struct kvm_cpuid2 *out = new_table();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kvm_cpuid2 *t = load(rows[i].host);
		struct cpuid_params p = params(rows[i].cpu);
		struct lkvm_error err = { 0 };

		p.nested = true;
		assert_int_equal(cpuid_build(t, &p, 0, out, &err), -EINVAL);
		assert_string_equal(err.msg, rows[i].want);
		free(t);
	}
	free(out);
}

static void aperfmperf_is_shown_with_its_option_even_where_leaf_6_is_not_listed(void **state)
{
	struct cpuid_params p = params("conservative");
	struct kvm_cpuid2 *out = new_table();

	(void)state;
	for
		EACH_HOST(id)
		{
			struct kvm_cpuid2 *t = load(id);

			p.aperfmperf = true;
			for (u32 i = 0; i < t->nent; i++) {
				if (t->entries[i].function == 0)
					t->entries[i].eax = 5;
				if (t->entries[i].function == 6)
					t->entries[i].function = 0x20000000;
			}
			assert_int_equal(cpuid_build(t, &p, 0, out, NULL), 0);
			SHOWS(out, aperfmperf);
			assert_true(leaf(out, 0, 0).eax >= 6);
			p.aperfmperf = false;
			assert_int_equal(cpuid_build(t, &p, 0, out, NULL), 0);
			HIDES(out, aperfmperf);
			free(t);
		}
	free(out);
}

static void mwait_is_shown_with_its_option(void **state)
{
	struct cpuid_params p = params("");

	(void)state;
	for
		EACH_HOST(id)
		{
			struct kvm_cpuid2 *t;

			p.mwait = true;
			t = build(id, &p);
			SHOWS(t, monitor);
			assert_int_equal(leaf(t, 5, 0).eax, 64);
			assert_int_equal(leaf(t, 5, 0).ebx, 64);
			free(t);
			p.mwait = false;
			t = build(id, &p);
			HIDES(t, monitor);
			assert_null(entry(t, 5, 0));
			free(t);
		}
}

static void leaf_5_that_kvm_fills_in_stays(void **state)
{
	struct kvm_cpuid2 *t = load(CPUID_FIXTURE_INTEL), *out = new_table();
	struct cpuid_params p = params("");

	(void)state;
	p.mwait = true;
	*entry(t, 5, 0) = (struct kvm_cpuid_entry2){ 5, 0, 0, 32, 128, 3, 0x2020, { 0 } };
	assert_int_equal(cpuid_build(t, &p, 0, out, NULL), 0);
	assert_memory_equal(entry(out, 5, 0), entry(t, 5, 0), sizeof(t->entries[0]));
	free(t);
	free(out);
}

static void long_destinations_are_told_of_when_the_interrupt_controller_has_them(void **state)
{
	struct cpuid_params p = params("conservative");

	(void)state;
	for
		EACH_HOST(id)
		{
			struct kvm_cpuid2 *t;

			p.ext_dest_id = true;
			t = build(id, &p);
			SHOWS(t, kvm_msi_ext_dest_id);
			free(t);
			p.ext_dest_id = false;
			t = build(id, &p);
			HIDES(t, kvm_msi_ext_dest_id);
			free(t);
		}
}

static void memory_encryption_is_shown_under_snp(void **state)
{
	struct cpuid_params p = params("");
	struct kvm_cpuid2 *t;

	(void)state;
	p.snp = true;
	t = build(CPUID_FIXTURE_AMD, &p);
	assert_int_equal(leaf(t, 0x8000001f, 0).eax, 0x1a);
	assert_int_equal(leaf(t, 0x8000001f, 0).ebx & 0x3f, 51); /* the C-bit */
	free(t);
}

static void apic_ids_beyond_8_bits_are_whole_in_the_leaves_that_have_room(void **state)
{
	struct lkvm_config cfg = { .n_vcpus = 1024, .sockets = 2, .cores = 256, .threads = 2 };
	struct kvm_cpuid2 *out = new_table();
	struct cpuid_params p = params("");

	(void)state;
	cfg.x86.irqchip = LKVM_X86_IRQCHIP_SPLIT;
	assert_int_equal(cpu_topology_init(&p.topo, &cfg, NULL), 0);
	for
		EACH_HOST(id)
		{
			struct kvm_cpuid2 *t = load(id);

			assert_int_equal(cpuid_build(t, &p, 1021, out, NULL), 0);
			assert_int_equal(leaf(out, 1, 0).ebx >> 24, 1021 & 0xff);
			assert_int_equal(leaf(out, 1, 0).ebx >> 16 & 0xff, 255);
			assert_int_equal(leaf(out, 0xb, 0).edx, 1021);
			assert_int_equal(leaf(out, 0xb, 1).edx, 1021);
			assert_int_equal(leaf(out, 0xb, 1).eax, 9);
			assert_int_equal(leaf(out, 0xb, 1).ebx, 512);
			if (leaf(out, 0x1f, 0).ecx)
				assert_int_equal(leaf(out, 0x1f, 1).edx, 1021);
			if (leaf(out, 0x80000001, 0).ecx & BIT(22)) {
				assert_int_equal(leaf(out, 0x8000001e, 0).eax, 1021);
				assert_int_equal(leaf(out, 0x8000001e, 0).ebx,
						 (1021 >> 1 & 255) | 1 << 8);
				assert_int_equal(leaf(out, 0x8000001e, 0).ecx, 1);
			}
			free(t);
		}
	free(out);
}

/* ---- odd combinations ------------------------------------------------------------------------ */

/* Whatever the words: nothing is shown that depends on what the words took away. */
static void random_words_never_leave_a_feature_without_what_it_needs(void **state)
{
	unsigned int n_built = 0, n_refused = 0;
	struct kvm_cpuid2 *out = new_table();
	u32 seed = 88172645u;

	(void)state;
	for (unsigned int round = 0; round < 4000; round++) {
		enum cpuid_fixture_id id = round % N_CPUID_FIXTURES;
		struct kvm_cpuid2 *t = load(id);
		struct cpuid_params p = params("");
		char cpu[LKVM_CPU_MAX];
		size_t len = (size_t)snprintf(cpu, sizeof(cpu), "%s",
					      round % 5 ? "host" : "conservative");

		for (u32 n = next_random(&seed) % 6; n; n--)
			len += (size_t)snprintf(
				cpu + len, sizeof(cpu) - len, ",%c%s",
				next_random(&seed) % 4 ? '-' : '+',
				cpu_features[1 + next_random(&seed) % (CPU_N_FEATURES - 1)].name);
		p.nested = next_random(&seed) % 2;
		p.mwait = next_random(&seed) % 2;
		p.aperfmperf = next_random(&seed) % 2;
		if (cpu_model_parse(cpu, &p.model, NULL) || cpuid_build(t, &p, 0, out, NULL)) {
			n_refused++;
			free(t);
			continue;
		}
		n_built++;
		for
			EACH_FEATURE(i)
			{
				if (cpu_feature_in(&p.model.add, (enum cpu_feature_id)i))
					assert_true(cpu_feature_shown(out, (enum cpu_feature_id)i));
				if (cpu_feature_in(&p.model.gone, (enum cpu_feature_id)i))
					assert_false(
						cpu_feature_shown(out, (enum cpu_feature_id)i));
			}
		free(t);
	}
	assert_true(n_built > 500 && n_refused > 500);
	free(out);
}

static void leaves_listed_twice_hide_nothing(void **state)
{
	struct kvm_cpuid2 *t = load(CPUID_FIXTURE_AMD), *out = new_table();
	struct cpuid_params p = params("host,-avx,-shstk");
	u32 n = t->nent;

	(void)state;
	memcpy(t->entries + n, t->entries, n * sizeof(t->entries[0]));
	t->nent = 2 * n;
	assert_int_equal(cpuid_build(t, &p, 0, out, NULL), 0);
	for (u32 i = 0; i < out->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &out->entries[i];

		if (e->function == 1)
			assert_false(e->ecx & BIT(28));
		if (e->function == 7 && e->index == 0)
			assert_false(e->ecx & BIT(7));
		if (e->function == 0xd)
			assert_int_not_equal(e->index, 2);
	}
	free(t);
	free(out);
}

/* ---- dumps ----------------------------------------------------------------------------------- */

static char *dump(enum cpuid_fixture_id id, const struct cpuid_params *p)
{
	struct kvm_cpuid2 *supported = load(id), *actual = build(id, p);
	struct lkvm_error err = { 0 };
	char *text;

	/* as KVM does, once XCR0 is at its reset value */
	if (entry(actual, 0xd, 0))
		entry(actual, 0xd, 0)->ebx = 0x240;
	if (cpuid_dump_text(supported, p, 0, actual, &text, &err))
		fail_msg("%s", err.msg);
	free(supported);
	free(actual);
	return text;
}

static void dumps_are_the_golden_ones(void **state)
{
	struct cpuid_params p = params("");
	char *text;

	(void)state;
	p.nested = p.mwait = p.aperfmperf = true;
	text = dump(CPUID_FIXTURE_INTEL_NEXT, &p);
	golden_compare("tests/golden/x86/cpuid/dump-intel-next.txt", text);
	free(text);
	text = dump(CPUID_FIXTURE_AMD_NEXT, &p);
	golden_compare("tests/golden/x86/cpuid/dump-amd-next.txt", text);
	free(text);
	p = params("conservative");
	text = dump(CPUID_FIXTURE_INTEL_NEXT, &p);
	golden_compare("tests/golden/x86/cpuid/dump-intel-next-conservative.txt", text);
	free(text);
	text = dump(CPUID_FIXTURE_AMD, &p);
	golden_compare("tests/golden/x86/cpuid/dump-amd-conservative.txt", text);
	free(text);
	p = params("host,-avx,-shstk");
	text = dump(CPUID_FIXTURE_AMD_EMULATED, &p);
	golden_compare("tests/golden/x86/cpuid/dump-amd-emulated-less.txt", text);
	free(text);
}

static unsigned long long value_in(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	assert_non_null(at);
	at += strlen(key);
	return *at == '-' ? 0 : strtoull(at, NULL, 16);
}

/* From what is offered, the changes lead to what is passed, and KVM's to what it shows. */
static void check_dump(char *text)
{
	unsigned long long reg = 0, passed = 0, kvm = 0;
	unsigned int n = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		const char *minus = strstr(line, " -0x"), *plus = strstr(line, " +0x");
		bool by_kvm = strstr(line, "  KVM ");

		if (line[0] == '#')
			continue;
		if (strstr(line, " offered=")) {
			assert_int_equal(reg, kvm);
			reg = value_in(line, " offered=");
			passed = value_in(line, " passed=");
			kvm = value_in(line, " kvm=");
			n++;
			continue;
		}
		assert_true(by_kvm || strstr(line, "  lkvm "));
		if (by_kvm)
			assert_int_equal(reg, passed);
		assert_true(minus || plus);
		if (minus)
			reg &= ~strtoull(minus + 2, NULL, 16);
		if (plus)
			reg |= strtoull(plus + 2, NULL, 16);
		assert_non_null(strstr(line, ": "));
	}
	assert_int_equal(reg, kvm);
	assert_true(n > 100);
}

static void every_difference_in_a_dump_has_its_reason(void **state)
{
	static const char *const cpus[] = { "", "conservative", "host,-xsave,-svm,-mmx",
					    "host,-hypervisor,-apic" };

	(void)state;
	for
		EACH_HOST(id)
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		struct cpuid_params p = params(cpus[i]);
		char *text = dump(id, &p);

		check_dump(text);
		free(text);
	}
}

static void a_dump_of_odd_tables_ends(void **state)
{
	struct kvm_cpuid2 *t = new_table(), *actual = new_table();
	struct cpuid_params p = params("");
	u32 seed = 42;
	char *text;

	(void)state;
	for (u32 i = 0; i < t->nent; i++) {
		t->entries[i].function = i % 5 ? next_random(&seed) : UINT32_MAX;
		t->entries[i].index = i % 3 ? next_random(&seed) : UINT32_MAX;
		actual->entries[i].function = next_random(&seed) % 4;
		actual->entries[i].index = next_random(&seed) % 4;
		actual->entries[i].ecx = next_random(&seed);
	}
	t->nent = 200;
	assert_int_equal(cpuid_dump_text(t, &p, 0, actual, &text, NULL), 0);
	assert_non_null(strstr(text, "0xffffffff.4294967295"));
	free(text);
	free(t);
	free(actual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_is_found_with_hyphens_too),
		cmocka_unit_test(no_bit_has_two_names_but_where_intel_has_one_for_two),
		cmocka_unit_test(features_are_where_others_have_them),
		cmocka_unit_test(no_feature_depends_on_itself),
		cmocka_unit_test(conservative_lacks_nothing_of_its_own_features),
		cmocka_unit_test(wrong_words_are_refused_with_a_sentence),
		cmocka_unit_test(words_of_any_length_are_refused_in_a_short_sentence),
		cmocka_unit_test(right_words_are_taken),
		cmocka_unit_test(host_is_what_there_is_without_the_option),
		cmocka_unit_test(what_is_added_and_there_anyway_changes_nothing),
		cmocka_unit_test(each_feature_can_be_dropped_and_takes_along_what_depends_on_it),
		cmocka_unit_test(leaves_follow_the_feature_they_describe),
		cmocka_unit_test(state_of_cet_is_shown_while_one_of_its_two_features_is),
		cmocka_unit_test(the_size_of_state_is_that_of_what_is_left),
		cmocka_unit_test(cet_is_hidden_where_its_state_is_not_offered),
		cmocka_unit_test(subleaf_1_of_7_is_within_reach),
		cmocka_unit_test(what_amd_says_twice_is_hidden_twice),
		cmocka_unit_test(conservative_has_its_features_and_nothing_else_on_every_host),
		cmocka_unit_test(conservative_is_x86_64_v2),
		cmocka_unit_test(conservative_takes_what_is_added),
		cmocka_unit_test(what_cannot_be_added_is_refused_with_the_reason),
		cmocka_unit_test(nested_virtualization_is_shown_when_asked_for_alone),
		cmocka_unit_test(nested_virtualization_that_is_not_offered_is_refused),
		cmocka_unit_test(nested_virtualization_cannot_be_dropped),
		cmocka_unit_test(
			aperfmperf_is_shown_with_its_option_even_where_leaf_6_is_not_listed),
		cmocka_unit_test(mwait_is_shown_with_its_option),
		cmocka_unit_test(leaf_5_that_kvm_fills_in_stays),
		cmocka_unit_test(
			long_destinations_are_told_of_when_the_interrupt_controller_has_them),
		cmocka_unit_test(memory_encryption_is_shown_under_snp),
		cmocka_unit_test(apic_ids_beyond_8_bits_are_whole_in_the_leaves_that_have_room),
		cmocka_unit_test(random_words_never_leave_a_feature_without_what_it_needs),
		cmocka_unit_test(leaves_listed_twice_hide_nothing),
		cmocka_unit_test(dumps_are_the_golden_ones),
		cmocka_unit_test(every_difference_in_a_dump_has_its_reason),
		cmocka_unit_test(a_dump_of_odd_tables_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
