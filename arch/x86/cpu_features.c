/* cpu_features.c - the table of CPUID's features, and how near a name is to those in it. */
#include "arch/x86/cpu_features.h"

/* clang-format off */
#define V2		   .conservative = true,
#define BY_TOPOLOGY	   .by_topology = true,
#define COMES_WITH(text)   .option = (text),
#define ONLY(vendor)	   .only = CPU_ONLY_##vendor,
#define ALSO(f, i, reg, n) .also = { f, i, CPUID_##reg, 1u << (n) },
#define ID1(a)		   CPU_F_##a
#define ID2(a, b)	   CPU_F_##a, CPU_F_##b
#define ID3(a, b, c)	   CPU_F_##a, CPU_F_##b, CPU_F_##c
#define IDS(a, b, c, n, ...) n
#define NEEDS(...)	   .needs = { IDS(__VA_ARGS__, ID3, ID2, ID1, )(__VA_ARGS__) },

#define CPU_FEATURE_FIELD(id, f, i, r, b, ...) \
	[CPU_F_##id] = { .name = #id, .at = { f, i, CPUID_##r, b }, __VA_ARGS__ },
#define CPU_FEATURE(id, f, i, r, n, ...) \
	CPU_FEATURE_FIELD(id, f, i, r, 1u << (n), __VA_ARGS__)

const struct cpu_feature cpu_features[CPU_N_FEATURES] = {
#include "arch/x86/cpu_features.def"
};
/* clang-format on */

/* Other names that are in use. */
static const struct {
	const char *name;
	enum cpu_feature_id id;
} aliases[] = {
	{ "user_shstk", CPU_F_shstk },
	{ "sse3", CPU_F_pni },
	{ "constant_tsc", CPU_F_nonstop_tsc },
};

static char plain(char c)
{
	return (char)(c == '-' ? '_' : c);
}

static bool is_name(const char *name, const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && name[i] && plain(text[i]) == name[i])
		i++;
	return i == len && !name[i];
}

enum cpu_feature_id cpu_feature_find(const char *name, size_t len)
{
	for (unsigned int id = CPU_F_NONE + 1; id < CPU_N_FEATURES; id++)
		if (is_name(cpu_features[id].name, name, len))
			return (enum cpu_feature_id)id;
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (is_name(aliases[i].name, name, len))
			return aliases[i].id;
	return CPU_F_NONE;
}

/* Longer than any name in the table; what is longer still is near to none. */
#define NAME_ROOM 32

/* Insertions, deletions and replacements that turn one into the other. */
static unsigned int distance(const char *text, size_t len, const char *name)
{
	unsigned int row[NAME_ROOM + 1];
	size_t n = strlen(name);

	if (n > NAME_ROOM)
		return NAME_ROOM;
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= len; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned int cost = diagonal + (plain(text[i - 1]) != name[j - 1]);

			diagonal = row[j];
			row[j] = (unsigned int)min_u64(cost, min_u64(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

enum cpu_feature_id cpu_feature_nearest(const char *name, size_t len)
{
	unsigned int best = (unsigned int)(len / 3 + 2); /* beyond it is another word */
	enum cpu_feature_id nearest = CPU_F_NONE;

	if (!len || len > NAME_ROOM)
		return CPU_F_NONE;
	for (unsigned int id = CPU_F_NONE + 1; id < CPU_N_FEATURES; id++) {
		unsigned int d = distance(name, len, cpu_features[id].name);
		/* of two the one that is as long: a slip of the finger */
		bool closer = d < best || (d == best && nearest != CPU_F_NONE &&
					   strlen(cpu_features[nearest].name) != len &&
					   strlen(cpu_features[id].name) == len);

		if (closer) {
			best = d;
			nearest = (enum cpu_feature_id)id;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
		unsigned int d = distance(name, len, aliases[i].name);

		if (d < best) {
			best = d;
			nearest = aliases[i].id;
		}
	}
	return nearest;
}
