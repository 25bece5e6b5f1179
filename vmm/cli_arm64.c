/* cli_arm64.c - values of the options of `lkvm run` that only arm64 guests have. */
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "vmm/cli.h"

/* ---- --pmu -------------------------------------------------------------------------- */

static const char *pmu_counters(void *at, const char *val)
{
	unsigned long long n;

	_Static_assert(LKVM_MAX_PMU_COUNTERS == 31, "said below");
	if (!cli_number_in(val, 1, LKVM_MAX_PMU_COUNTERS, &n))
		return "1 to 31";
	((struct lkvm_arm64 *)at)->pmu_counters = (unsigned int)n;
	return NULL;
}

/* allow:FIRST[-LAST] or deny:FIRST[-LAST]; what they mean together is the library's to say. */
static bool parse_filter(struct lkvm_pmu_filter *filter, const char *val)
{
	unsigned long long first, last;
	char *end;

	filter->deny = !strncmp(val, "deny:", 5);
	if (!filter->deny && strncmp(val, "allow:", 6) != 0)
		return false;
	if (!cli_number(strchr(val, ':') + 1, &first, &end) || first > UINT16_MAX)
		return false;
	last = first;
	if (*end == '-' && !cli_number(end + 1, &last, &end))
		return false;
	if (*end || last < first || last > UINT16_MAX)
		return false;
	filter->first = (uint16_t)first;
	filter->last = (uint16_t)last;
	return true;
}

static const char *pmu_filter(void *at, const char *val)
{
	struct lkvm_arm64 *a = at;

	_Static_assert(LKVM_MAX_PMU_FILTERS == 32, "said below");
	if (a->n_pmu_filters == LKVM_MAX_PMU_FILTERS)
		return "one of at most 32";
	if (!parse_filter(&a->pmu_filters[a->n_pmu_filters], val))
		return "allow:FIRST-LAST or deny:FIRST-LAST, events from 0 to 0xffff";
	a->n_pmu_filters++;
	return NULL;
}

static const char *pmu_host(void *at, const char *val)
{
	struct lkvm_arm64 *a = at;

	_Static_assert(LKVM_PMU_NAME_MAX == 64, "said below");
	return cli_copy(a->pmu_name, sizeof(a->pmu_name), val) ? NULL : "a name of 1 to 63 bytes";
}

static const struct cli_key pmu_keys[] = {
	{ "counters", .set = pmu_counters },
	{ "filter", .many = true, .set = pmu_filter },
	{ "host", .set = pmu_host },
};

int opt_pmu(struct run_opts *o, const struct opt *opt, const char *val)
{
	struct lkvm_arm64 *a = &o->cfg.arm64;

	/* of two, the last one counts */
	a->pmu = true;
	a->pmu_counters = a->n_pmu_filters = 0;
	a->pmu_name[0] = 0;
	return val ? cli_set_keys(opt->name, val, val, pmu_keys, COUNT(pmu_keys), a) : 0;
}

/* ---- numbers ------------------------------------------------------------------------ */

/* How far they may reach is the library's to judge; 0, which means that nothing was said, is not.
 */

int opt_pmu_partition(struct run_opts *o, const struct opt *opt, const char *val)
{
	unsigned long long n;

	_Static_assert(LKVM_MAX_PMU_COUNTERS == 31, "said below");
	if (!cli_number_in(val, 1, UINT_MAX, &n))
		return opt_bad(opt, val, "a number of event counters, 1 to 31");
	o->cfg.arm64.pmu_partition = (unsigned int)n;
	return 0;
}

int opt_sve_max_vl(struct run_opts *o, const struct opt *opt, const char *val)
{
	unsigned long long n;

	if (!cli_number_in(val, 1, UINT_MAX, &n))
		return opt_bad(opt, val, "bits, a multiple of 128, 128 to 2048");
	o->cfg.arm64.sve_max_vl = (unsigned int)n;
	return 0;
}

int opt_counter_offset(struct run_opts *o, const struct opt *opt, const char *val)
{
	unsigned long long n;

	if (!cli_number_in(val, 0, UINT64_MAX, &n))
		return opt_bad(opt, val, "ticks of the counter, below 2^64");
	o->cfg.arm64.counter_offset = n;
	return 0;
}
