/*
 * test_cpumask.c - lists of CPUs, as users and the kernel write them.
 *
 * Does not prove that a thread runs where it was pinned: arm64/test_pmu.c and x86/test_no_exits.c
 * look at that.
 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>

#include "vmm/cpumask.h"

static unsigned int count(const struct cpu_mask *mask)
{
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(mask->bits); i++)
		n += (unsigned int)__builtin_popcountll(mask->bits[i]);
	return n;
}

static bool has(const struct cpu_mask *mask, unsigned int cpu)
{
	return mask->bits[cpu / 64] & BIT(cpu % 64);
}

static void lists_are_sets(void **state)
{
	static const struct {
		const char *list;
		unsigned int n, first, last;
	} cases[] = {
		{ "0", 1, 0, 0 },	{ "0\n", 1, 0, 0 },	   { "3-5", 3, 3, 5 },
		{ "63-64", 2, 63, 64 }, { "1023", 1, 1023, 1023 }, { "0-1023\n", 1024, 0, 1023 },
		{ "8,0-3", 5, 0, 8 },	{ "7,7,7-7", 1, 7, 7 },	   { "0-2,1-3", 4, 0, 3 },
	};
	struct cpu_mask mask;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(cpu_mask_parse(cases[i].list, &mask), 0);
		assert_int_equal(count(&mask), cases[i].n);
		assert_true(has(&mask, cases[i].first) && has(&mask, cases[i].last));
		assert_false(cpu_mask_empty(&mask));
	}
	assert_int_equal(cpu_mask_parse("", &mask), 0);
	assert_true(cpu_mask_empty(&mask));
	assert_int_equal(cpu_mask_parse("\n", &mask), 0);
	assert_true(cpu_mask_empty(&mask));
}

static void what_is_no_list_is_refused(void **state)
{
	static const char *const bad[] = {
		",",
		"0,",
		",0",
		"-",
		"0-",
		"-1",
		"3-2",
		"1024",
		"0-1024",
		"a",
		" 0",
		"0 ",
		"0--1",
		"+1",
		"0x10",
		"0\n\n",
		"0;1",
		"1.5",
		"99999999999999999999999",
		"0-99999999999999999999999",
	};
	struct cpu_mask mask;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (cpu_mask_parse(bad[i], &mask) != -EINVAL)
			fail_msg("'%s' was taken for a list", bad[i]);
	}
}

static void sets_are_compared_and_cut(void **state)
{
	struct cpu_mask a, b, c;

	(void)state;
	cpu_mask_parse("0-3,900", &a);
	cpu_mask_parse("0-63,900-901", &b);
	assert_true(cpu_mask_subset(&a, &b));
	assert_false(cpu_mask_subset(&b, &a));
	c = b;
	cpu_mask_and(&c, &a);
	assert_memory_equal(&c, &a, sizeof(a));
	cpu_mask_parse("5", &c);
	cpu_mask_and(&c, &a);
	assert_true(cpu_mask_empty(&c));
	assert_true(cpu_mask_subset(&c, &a));
}

static void sets_are_lists_again(void **state)
{
	static const char *const lists[] = {
		"", "0", "0-1", "0-3,8", "63-64", "1023", "0-1023", "1,3,5,7-9,1022-1023",
	};
	struct cpu_mask mask, again;
	char buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		cpu_mask_parse(lists[i], &mask);
		cpu_mask_format(&mask, buf, sizeof(buf));
		assert_string_equal(buf, lists[i]);
	}
	for (size_t size = 4; size < sizeof(buf); size++) {
		memset(&mask, 0x55, sizeof(mask));
		memset(buf, 'x', sizeof(buf));
		cpu_mask_format(&mask, buf, size);
		assert_in_range(strlen(buf), 3, size - 1);
		assert_non_null(strstr(buf, "..."));
		*strstr(buf, "...") = 0;
		assert_int_equal(cpu_mask_parse(buf, &again), 0);
		assert_true(cpu_mask_subset(&again, &mask));
	}
}

static void cpus_of_a_set_are_counted_and_chosen(void **state)
{
	struct cpu_mask mask, want;

	(void)state;
	cpu_mask_parse("2,5-6,64,1023", &mask);
	assert_int_equal(cpu_mask_count(&mask), 5);
	assert_int_equal(cpu_mask_nth(&mask, 0), 2);
	assert_int_equal(cpu_mask_nth(&mask, 3), 64);
	assert_int_equal(cpu_mask_nth(&mask, 4), 1023);
	assert_int_equal(cpu_mask_nth(&mask, 5), -1);
	assert_int_equal(cpu_mask_nth(&mask, UINT32_MAX), -1);

	want = mask;
	cpu_mask_first(&mask, 6);
	assert_memory_equal(&mask, &want, sizeof(mask));
	cpu_mask_first(&mask, 4);
	cpu_mask_parse("2,5-6,64", &want);
	assert_memory_equal(&mask, &want, sizeof(mask));
	cpu_mask_first(&mask, 2);
	cpu_mask_parse("2,5", &want);
	assert_memory_equal(&mask, &want, sizeof(mask));
	cpu_mask_first(&mask, 0);
	assert_true(cpu_mask_empty(&mask));
	assert_int_equal(cpu_mask_count(&mask), 0);

	cpu_mask_only(&mask, 1023);
	assert_int_equal(cpu_mask_count(&mask), 1);
	assert_int_equal(cpu_mask_nth(&mask, 0), 1023);
	cpu_mask_only(&mask, -1);
	assert_true(cpu_mask_empty(&mask));
}

static void this_thread_may_run_somewhere(void **state)
{
	struct cpu_mask mask;

	(void)state;
	cpu_mask_current(&mask);
	assert_false(cpu_mask_empty(&mask));
	assert_int_equal(cpu_mask_pin(pthread_self(), &mask), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_sets),
		cmocka_unit_test(what_is_no_list_is_refused),
		cmocka_unit_test(sets_are_compared_and_cut),
		cmocka_unit_test(sets_are_lists_again),
		cmocka_unit_test(cpus_of_a_set_are_counted_and_chosen),
		cmocka_unit_test(this_thread_may_run_somewhere),
	};

	return cmocka_run_group_tests_name("cpumask", tests, NULL, NULL);
}
