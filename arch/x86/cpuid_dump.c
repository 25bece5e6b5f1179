/* cpuid_dump.c - a CPUID table with its history, for --dump-cpuid. */
#include "arch/x86/cpuid_dump.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/x86/machine.h"
#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"
#include "vmm/load.h"

#define MAX_CHANGES 4096 /* far more than there are rules and features */
#define MAX_REASONS 1024
#define REASON_ROOM 128
#define TEXT_ROOM   (512 * KIB)
#define N_REGS	    4
#define TABLE_BYTES \
	(sizeof(struct kvm_cpuid2) + CPUID_MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2))

/* One step changed one register. */
struct change {
	u32 function, index;
	enum cpuid_reg reg;
	u32 cleared, set;
	u32 reason; /* in history.reasons */
};

/* What happened to a table, step by step. */
struct history {
	struct kvm_cpuid2 *before; /* the table as of the last step */
	bool begun;
	u32 n_changes, n_reasons;
	struct change changes[MAX_CHANGES];
	char reasons[MAX_REASONS][REASON_ROOM];
};

/* ---- tables ------------------------------------------------------------------------------- */

static struct kvm_cpuid2 *new_table(void)
{
	return calloc(1, TABLE_BYTES);
}

static u32 reg_of(const struct kvm_cpuid_entry2 *e, unsigned int reg)
{
	const u32 regs[N_REGS] = { e->eax, e->ebx, e->ecx, e->edx };

	return regs[reg];
}

/* A leaf that is not listed reads as zero. */
static u32 value_of(const struct kvm_cpuid2 *table, u32 function, u32 index, unsigned int reg)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(table, function, index);

	return e ? reg_of(e, reg) : 0;
}

/* ---- history -------------------------------------------------------------------------------- */

static void note(struct history *h, u32 function, u32 index, u32 old, u32 new, unsigned int reg)
{
	if (old == new || h->n_changes == MAX_CHANGES || h->n_reasons == MAX_REASONS)
		return;
	h->changes[h->n_changes++] = (struct change){
		.function = function,
		.index = index,
		.reg = (enum cpuid_reg)reg,
		.cleared = old & ~new,
		.set = new & ~old,
		.reason = h->n_reasons,
	};
}

/*
 * Each entry of @table, the newer one, against @other; or (@backwards) of @table, the older one,
 * those that @other no longer has.
 */
static void compare(struct history *h, const struct kvm_cpuid2 *table,
		    const struct kvm_cpuid2 *other, bool backwards)
{
	for (u32 i = 0; i < table->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &table->entries[i];
		bool first = cpuid_find(table, e->function, e->index) == e;

		if (!first || (backwards && cpuid_find(other, e->function, e->index)))
			continue;
		for (unsigned int reg = 0; reg < N_REGS; reg++) {
			u32 mine = reg_of(e, reg);
			u32 others = value_of(other, e->function, e->index, reg);

			if (backwards)
				note(h, e->function, e->index, mine, others, reg);
			else
				note(h, e->function, e->index, others, mine, reg);
		}
	}
}

static void step(void *ctx, const struct kvm_cpuid2 *table, const char *why)
{
	struct history *h = ctx;
	u32 n = h->n_changes;

	if (h->begun) {
		compare(h, table, h->before, false);
		compare(h, h->before, table, true);
	}
	if (h->n_changes != n)
		snprintf(h->reasons[h->n_reasons++], REASON_ROOM, "%s", why);
	h->begun = true;
	memcpy(h->before, table, sizeof(*table) + table->nent * sizeof(table->entries[0]));
}

/* ---- KVM's own changes -------------------------------------------------------------------- */

static const struct {
	struct cpuid_place at;
	const char *why;
} kvm_changes[] = {
	{ { 1, 0, CPUID_ECX, 1u << 3 }, "follows IA32_MISC_ENABLE" },
	{ { 1, 0, CPUID_ECX, 1u << 27 }, "follows CR4.OSXSAVE" },
	{ { 1, 0, CPUID_EDX, 1u << 9 }, "follows IA32_APIC_BASE" },
	{ { 7, 0, CPUID_ECX, 1u << 4 }, "follows CR4.PKE" },
	{ { 0xd, 0, CPUID_EBX, UINT32_MAX }, "the size of the state that XCR0 has on" },
	{ { 0xd, 1, CPUID_EBX, UINT32_MAX }, "the size of the state that XCR0 and XSS have on" },
	{ { 0x40000001, 0, CPUID_EAX, 1u << 7 }, "HLT does not exit" },
};

static const char *kvm_reason(u32 function, u32 index, unsigned int reg, u32 bits)
{
	for (size_t i = 0; i < ARRAY_SIZE(kvm_changes); i++) {
		const struct cpuid_place *at = &kvm_changes[i].at;

		if (at->function == function && at->index == index && at->reg == reg &&
		    !(bits & ~at->bits))
			return kvm_changes[i].why;
	}
	return "shows it so, whatever was passed";
}

/* ---- text ----------------------------------------------------------------------------------- */

struct text {
	char *buf;
	size_t len; /* < TEXT_ROOM */
};

static void put(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(t->buf + t->len, TEXT_ROOM - t->len, fmt, args);
	va_end(args);
	if (n > 0)
		t->len = min_u64(t->len + (size_t)n, TEXT_ROOM - 1);
}

static void put_where(struct text *t, u32 function, u32 index, unsigned int reg)
{
	static const char *const names[N_REGS] = { "eax", "ebx", "ecx", "edx" };

	put(t, "0x%08x.%-2u %s", function, index, names[reg]);
}

static void put_value(struct text *t, const char *key, const struct kvm_cpuid2 *table, u32 function,
		      u32 index, unsigned int reg)
{
	if (cpuid_find(table, function, index))
		put(t, " %s=0x%08x", key, value_of(table, function, index, reg));
	else
		put(t, " %s=-", key);
}

/* The features among @bits. */
static void put_names(struct text *t, u32 function, u32 index, unsigned int reg, u32 bits)
{
	const char *before = " [";

	for (unsigned int id = CPU_F_NONE + 1; id < CPU_N_FEATURES; id++) {
		const struct cpuid_place *places[] = { &cpu_features[id].at,
						       &cpu_features[id].also };

		for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
			if (places[i]->function != function || places[i]->index != index ||
			    places[i]->reg != reg || !(places[i]->bits & bits))
				continue;
			put(t, "%s%s", before, cpu_features[id].name);
			before = " ";
		}
	}
	if (before[1] == '\0')
		put(t, "]");
}

static void put_change(struct text *t, const struct change *c, const char *who, const char *why)
{
	put_where(t, c->function, c->index, c->reg);
	put(t, "  %s", who);
	if (c->cleared)
		put(t, " -0x%08x", c->cleared);
	if (c->set)
		put(t, " +0x%08x", c->set);
	put_names(t, c->function, c->index, c->reg, c->cleared | c->set);
	put(t, ": %s\n", why);
}

struct dump {
	const struct kvm_cpuid2 *supported, *passed, *actual;
	struct history *history;
	struct text text;
};

static void put_register(struct dump *d, u32 function, u32 index, unsigned int reg)
{
	u32 passed = value_of(d->passed, function, index, reg);
	u32 actual = value_of(d->actual, function, index, reg);
	const struct change by_kvm = {
		.function = function,
		.index = index,
		.reg = (enum cpuid_reg)reg,
		.cleared = passed & ~actual,
		.set = actual & ~passed,
	};

	put_where(&d->text, function, index, reg);
	put_value(&d->text, "offered", d->supported, function, index, reg);
	put_value(&d->text, "passed", d->passed, function, index, reg);
	put_value(&d->text, "kvm", d->actual, function, index, reg);
	put(&d->text, "\n");
	for (u32 i = 0; i < d->history->n_changes; i++) {
		const struct change *c = &d->history->changes[i];

		if (c->function == function && c->index == index && c->reg == reg)
			put_change(&d->text, c, "lkvm", d->history->reasons[c->reason]);
	}
	if (passed != actual)
		put_change(&d->text, &by_kvm, "KVM",
			   kvm_reason(function, index, reg, passed ^ actual));
}

/*
 * Leaves as numbers, function above subleaf: *@best becomes the smallest in @table that is at least
 * @from and at most what it was. False: there is none.
 */
static bool next_leaf(const struct kvm_cpuid2 *table, u64 from, u64 *best)
{
	bool found = false;

	for (u32 i = 0; i < table->nent && i < CPUID_MAX_ENTRIES; i++) {
		u64 key = (u64)table->entries[i].function << 32 | table->entries[i].index;

		if (key >= from && key <= *best) {
			*best = key;
			found = true;
		}
	}
	return found;
}

/* Leaf by leaf in the order of their numbers, each once, whichever of the tables has it. */
static void put_leaves(struct dump *d)
{
	const struct kvm_cpuid2 *const tables[] = { d->supported, d->passed, d->actual };
	u64 from = 0;

	for (;;) {
		u64 best = UINT64_MAX;
		bool found = false;

		for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
			found |= next_leaf(tables[i], from, &best);
		if (!found)
			break;
		for (unsigned int reg = 0; reg < N_REGS; reg++)
			put_register(d, (u32)(best >> 32), (u32)best, reg);
		if (best == UINT64_MAX)
			break;
		from = best + 1;
	}
}

static int build_text(struct dump *d, const struct cpuid_params *params, unsigned int index,
		      struct kvm_cpuid2 *passed, struct lkvm_error *err)
{
	const struct cpuid_observer observer = { .step = step, .ctx = d->history };
	int ret = cpuid_explain(d->supported, params, index, passed, &observer, err);

	if (ret)
		return ret;
	d->passed = passed;
	put(&d->text,
	    "# CPUID of vCPU %u: leaf.subleaf register, what KVM offers, what was passed "
	    "to it, what it shows\n",
	    index);
	put_leaves(d);
	return 0;
}

int cpuid_dump_text(const struct kvm_cpuid2 *supported, const struct cpuid_params *params,
		    unsigned int index, const struct kvm_cpuid2 *actual, char **text,
		    struct lkvm_error *err)
{
	struct dump d = { .supported = supported, .actual = actual };
	struct kvm_cpuid2 *passed = new_table();
	int ret;

	d.text.buf = calloc(1, TEXT_ROOM);
	d.history = calloc(1, sizeof(*d.history));
	if (d.history)
		d.history->before = new_table();
	if (!passed || !d.text.buf || !d.history || !d.history->before)
		ret = err_host(err, ENOMEM, "--dump-cpuid");
	else
		ret = build_text(&d, params, index, passed, err);
	if (ret) {
		free(d.text.buf);
		d.text.buf = NULL;
	}
	if (d.history)
		free(d.history->before);
	free(d.history);
	free(passed);
	*text = d.text.buf;
	return ret;
}

int cpuid_dump(struct machine *m, struct lkvm_error *err)
{
	struct kvm_cpuid2 *actual = new_table();
	char *text = NULL;
	int ret;

	if (!actual)
		return err_host(err, ENOMEM, "--dump-cpuid");
	actual->nent = CPUID_MAX_ENTRIES;
	ret = kvm_fd_ioctl(&m->kvm, m->vcpus[0].fd, KVM_GET_CPUID2, actual, err);
	if (ret >= 0)
		ret = cpuid_dump_text(m->arch->supported, &m->arch->cpuid, 0, actual, &text, err);
	if (ret >= 0)
		ret = load_dump(m->cfg, "--dump-cpuid", m->cfg->x86.dump_cpuid, text, strlen(text),
				err);
	free(text);
	free(actual);
	return ret < 0 ? ret : 0;
}
