/* cpu_model.c - the words of --cpu, and what they take from a CPUID table. */
#include "arch/x86/cpu_model.h"

#include <stdio.h>

#include "arch/x86/cpuid.h"
#include "linux-uapi/x86.h"

_Static_assert((unsigned int)CPU_N_FEATURES <= CPU_MODEL_MAX_FEATURES, "a set has room for all");

static void add_to(struct cpu_feature_set *set, enum cpu_feature_id id)
{
	set->bits[id / 64] |= BIT(id % 64);
}

/* The first of what @id needs that is in @set. */
static enum cpu_feature_id first_need(const struct cpu_feature_set *set, enum cpu_feature_id id)
{
	const struct cpu_feature *f = &cpu_features[id];

	for (size_t i = 0; i < CPU_MAX_NEEDS && f->needs[i] != CPU_F_NONE; i++)
		if (cpu_feature_in(set, f->needs[i]))
			return f->needs[i];
	return CPU_F_NONE;
}

/* ---- the words -------------------------------------------------------------------------- */

/* Precision of %.*s: what a message shows of a word. */
static int shown(size_t len)
{
	return (int)min_u64(len, 64);
}

static int take_base(const char *word, size_t len, struct cpu_model *model, struct lkvm_error *err)
{
	if (len == strlen("conservative") && !memcmp(word, "conservative", len))
		model->conservative = true;
	else if (len != strlen("host") || memcmp(word, "host", len))
		return err_input(err,
				 "--cpu %.*s: must be host or conservative, then ,+NAME or ,-NAME "
				 "for each feature",
				 shown(len), word);
	return 0;
}

static int unknown(const char *word, size_t len, struct lkvm_error *err)
{
	enum cpu_feature_id near = cpu_feature_nearest(word + 1, len - 1);

	if (near == CPU_F_NONE)
		return err_input(err,
				 "--cpu %.*s: there is no feature of that name; names are those of "
				 "/proc/cpuinfo",
				 shown(len), word);
	return err_input(err, "--cpu %.*s: there is no feature of that name; the nearest is %s",
			 shown(len), word, cpu_features[near].name);
}

/* +NAME or -NAME */
static int take_feature(const char *word, size_t len, struct cpu_model *model,
			struct lkvm_error *err)
{
	enum cpu_feature_id id;

	if (len < 2 || (word[0] != '+' && word[0] != '-'))
		return err_input(err, "--cpu: '%.*s': a feature is written +NAME or -NAME",
				 shown(len), word);
	id = cpu_feature_find(word + 1, len - 1);
	if (id == CPU_F_NONE)
		return unknown(word, len, err);
	if (cpu_features[id].by_topology)
		return err_input(err, "--cpu %.*s: %s follows from how CPUs are arranged: --cpus",
				 shown(len), word, cpu_features[id].name);
	add_to(word[0] == '+' ? &model->add : &model->drop, id);
	model->hides |= word[0] == '-';
	if (cpu_feature_in(&model->add, id) && cpu_feature_in(&model->drop, id))
		return err_input(err, "--cpu: +%s and -%s contradict each other",
				 cpu_features[id].name, cpu_features[id].name);
	return 0;
}

/* ---- what follows from them ---------------------------------------------------------------- */

static bool left_out(const struct cpu_model *model, enum cpu_feature_id id)
{
	const struct cpu_feature *f = &cpu_features[id];

	if (cpu_feature_in(&model->drop, id))
		return true;
	return model->conservative && !f->conservative && !f->by_topology &&
	       !cpu_feature_in(&model->add, id);
}

/* A feature is on neither list twice, so this ends after as many rounds as a chain is long. */
static void find_gone(struct cpu_model *model)
{
	bool more = true;

	for (unsigned int id = CPU_F_NONE + 1; id < CPU_N_FEATURES; id++)
		if (left_out(model, (enum cpu_feature_id)id))
			add_to(&model->gone, (enum cpu_feature_id)id);
	while (more) {
		more = false;
		for (unsigned int i = CPU_F_NONE + 1; i < CPU_N_FEATURES; i++) {
			enum cpu_feature_id id = (enum cpu_feature_id)i;

			if (!cpu_feature_in(&model->gone, id) && first_need(&model->gone, id)) {
				add_to(&model->gone, id);
				more = true;
			}
		}
	}
}

/* What @id needs, all the way down, and @model hides. */
static void add_missing(const struct cpu_model *model, enum cpu_feature_id id,
			struct cpu_feature_set *missing)
{
	const struct cpu_feature *f = &cpu_features[id];

	for (size_t i = 0; i < CPU_MAX_NEEDS && f->needs[i] != CPU_F_NONE; i++) {
		if (!cpu_feature_in(&model->gone, f->needs[i]) ||
		    cpu_feature_in(missing, f->needs[i]))
			continue;
		add_to(missing, f->needs[i]);
		add_missing(model, f->needs[i], missing);
	}
}

static int refuse_added(const struct cpu_model *model, enum cpu_feature_id id,
			struct lkvm_error *err)
{
	struct cpu_feature_set missing = { { 0 } };
	char remedy[256] = "";
	size_t len = 0;

	add_missing(model, id, &missing);
	for (unsigned int i = CPU_F_NONE + 1; i < CPU_N_FEATURES; i++) {
		const char *name = cpu_features[i].name;

		if (!cpu_feature_in(&missing, (enum cpu_feature_id)i))
			continue;
		if (cpu_feature_in(&model->drop, (enum cpu_feature_id)i))
			return err_input(err, "--cpu: +%s depends on %s, which -%s takes away",
					 cpu_features[id].name, name, name);
		if (!cpu_feature_in(&model->add, (enum cpu_feature_id)i) && len < sizeof(remedy))
			len += (size_t)snprintf(remedy + len, sizeof(remedy) - len, ",+%s", name);
	}
	return err_input(err,
			 "--cpu: +%s depends on %s, which conservative leaves out; complete is "
			 "%s,+%s",
			 cpu_features[id].name, cpu_features[first_need(&model->gone, id)].name,
			 remedy + 1, cpu_features[id].name);
}

static int check_added(const struct cpu_model *model, struct lkvm_error *err)
{
	for (unsigned int i = CPU_F_NONE + 1; i < CPU_N_FEATURES; i++) {
		enum cpu_feature_id id = (enum cpu_feature_id)i;

		if (cpu_feature_in(&model->add, id) && cpu_feature_in(&model->gone, id))
			return refuse_added(model, id, err);
	}
	return 0;
}

int cpu_model_parse(const char *text, struct cpu_model *model, struct lkvm_error *err)
{
	size_t len = strcspn(text, ",");
	int ret;

	*model = (struct cpu_model){ 0 };
	if (!*text)
		return 0;
	ret = take_base(text, len, model, err);
	while (!ret && text[len]) {
		text += len + 1;
		len = strcspn(text, ",");
		ret = take_feature(text, len, model, err);
	}
	if (ret)
		return ret;
	model->hides |= model->conservative;
	find_gone(model);
	return check_added(model, err);
}

/* ---- on a table ---------------------------------------------------------------------------- */

static bool has_bits(const struct kvm_cpuid2 *table, const struct cpuid_place *at)
{
	for (u32 i = 0; i < table->nent && i < CPUID_MAX_ENTRIES; i++) {
		struct kvm_cpuid_entry2 e = table->entries[i];

		if (e.function == at->function && e.index == at->index &&
		    *cpuid_reg(&e, at->reg) & at->bits)
			return true;
	}
	return false;
}

bool cpu_feature_shown(const struct kvm_cpuid2 *table, enum cpu_feature_id id)
{
	const struct cpu_feature *f = &cpu_features[id];

	return has_bits(table, &f->at) || (f->also.bits && has_bits(table, &f->also));
}

/* True if that changed anything. A leaf listed twice hides nothing. */
static bool clear(struct kvm_cpuid2 *table, const struct cpuid_place *at, u32 bits)
{
	bool changed = false;

	for (u32 i = 0; i < table->nent && i < CPUID_MAX_ENTRIES; i++) {
		struct kvm_cpuid_entry2 *e = &table->entries[i];
		u32 *reg = cpuid_reg(e, at->reg);

		if (e->function == at->function && e->index == at->index && *reg & bits) {
			*reg &= ~bits;
			changed = true;
		}
	}
	return changed;
}

static void tell(const struct cpuid_observer *observer, const struct kvm_cpuid2 *table,
		 const struct cpu_model *model, enum cpu_feature_id id)
{
	const char *name = cpu_features[id].name;
	char why[128];

	if (!observer)
		return;
	if (cpu_feature_in(&model->drop, id))
		snprintf(why, sizeof(why), "--cpu -%s", name);
	else if (left_out(model, id))
		snprintf(why, sizeof(why), "--cpu conservative does not have %s", name);
	else
		snprintf(why, sizeof(why), "%s depends on %s, which --cpu leaves out", name,
			 cpu_features[first_need(&model->gone, id)].name);
	observer->step(observer->ctx, table, why);
}

/*
 * What has no name here: a conservative guest does not get it. Only registers that hold features
 * are looked at, and in them the bits of features that stay, which the table knows.
 */
static void clear_nameless(const struct cpu_model *model, struct kvm_cpuid2 *table,
			   const struct cpuid_observer *observer)
{
	bool changed = false;

	for (unsigned int i = CPU_F_NONE + 1; i < CPU_N_FEATURES; i++) {
		const struct cpuid_place *at = &cpu_features[i].at;
		/* AMD's repetition follows what it repeats */
		u32 named =
			at->function == 0x80000001 && at->reg == CPUID_EDX ? CPUID_AMD_MIRROR : 0;

		if (i > 1 && cpu_features[i - 1].at.function == at->function &&
		    cpu_features[i - 1].at.index == at->index &&
		    cpu_features[i - 1].at.reg == at->reg)
			continue;
		for (unsigned int j = CPU_F_NONE + 1; j < CPU_N_FEATURES; j++) {
			const struct cpuid_place *places[] = { &cpu_features[j].at,
							       &cpu_features[j].also };

			for (size_t k = 0; k < ARRAY_SIZE(places); k++)
				if (places[k]->function == at->function &&
				    places[k]->index == at->index && places[k]->reg == at->reg &&
				    !cpu_feature_in(&model->gone, (enum cpu_feature_id)j))
					named |= places[k]->bits;
		}
		/* fields that are no features follow the version of 0xA */
		if (at->function != 0xa)
			changed |= clear(table, at, ~named);
	}
	if (changed && observer)
		observer->step(observer->ctx, table,
			       "--cpu conservative has nothing without a name");
}

void cpu_model_apply(const struct cpu_model *model, struct kvm_cpuid2 *table,
		     const struct cpuid_observer *observer)
{
	if (!model->hides)
		return;
	for (unsigned int i = CPU_F_NONE + 1; i < CPU_N_FEATURES; i++) {
		const struct cpu_feature *f = &cpu_features[i];
		bool changed = false;

		if (!cpu_feature_in(&model->gone, (enum cpu_feature_id)i))
			continue;
		changed |= clear(table, &f->at, f->at.bits);
		changed |= clear(table, &f->also, f->also.bits);
		if (changed)
			tell(observer, table, model, (enum cpu_feature_id)i);
	}
	if (model->conservative)
		clear_nameless(model, table, observer);
}
