/*
 * cpuid.c - a vCPU's CPUID table: what KVM offers, the facts that rules depend on, and whether what
 * was asked for by name is there in the end.
 */
#include "arch/x86/cpuid_impl.h"

#include <errno.h>
#include <stdlib.h>

/* ---- a table -------------------------------------------------------------------------------- */

struct kvm_cpuid2 *cpuid_alloc(void)
{
	struct kvm_cpuid2 *table;

	return calloc(1, sizeof(*table) + CPUID_MAX_ENTRIES * sizeof(table->entries[0]));
}

const struct kvm_cpuid_entry2 *cpuid_find(const struct kvm_cpuid2 *table, u32 function, u32 index)
{
	for (u32 i = 0; i < table->nent && i < CPUID_MAX_ENTRIES; i++)
		if (table->entries[i].function == function && table->entries[i].index == index)
			return &table->entries[i];
	return NULL;
}

u32 *cpuid_reg(struct kvm_cpuid_entry2 *e, enum cpuid_reg reg)
{
	u32 *const regs[] = { &e->eax, &e->ebx, &e->ecx, &e->edx };

	return regs[reg];
}

unsigned int cpuid_address_bits(const struct kvm_cpuid2 *supported)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(supported, 0x80000008, 0);

	return e ? e->eax & 0xff : 36;
}

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
	const struct kvm_cpuid_entry2 *e = cpuid_find(supported, 0, 0);
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

static int refuse_added(const struct cpuid_build *b, const struct cpu_feature *f,
			struct lkvm_error *err)
{
	const struct cpuid_rule *hiding = cpuid_rule_hiding(b, f);
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

static int check_added(const struct cpuid_build *b, struct lkvm_error *err)
{
	for (unsigned int i = CPU_F_NONE + 1; i < CPU_N_FEATURES; i++) {
		enum cpu_feature_id id = (enum cpu_feature_id)i;

		if (cpu_feature_in(&b->model->add, id) && !cpu_feature_shown(b->out, id))
			return refuse_added(b, &cpu_features[id], err);
	}
	return 0;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static unsigned int gather_facts(const struct kvm_cpuid2 *supported,
				 const struct cpuid_params *params)
{
	const u32 tiles = B(17) | B(18), cet = B(11) | B(12); /* SDM 1, 13.1 */
	const struct kvm_cpuid_entry2 *xcr0 = cpuid_find(supported, 0xd, 0);
	const struct kvm_cpuid_entry2 *xss = cpuid_find(supported, 0xd, 1);
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

int cpuid_explain(const struct kvm_cpuid2 *supported, const struct cpuid_params *params,
		  unsigned int index, struct kvm_cpuid2 *out, const struct cpuid_observer *observer,
		  struct lkvm_error *err)
{
	struct cpuid_build b = {
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
		cpuid_append(&b, supported->entries[i]);
	cpuid_apply_rules(&b);
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
