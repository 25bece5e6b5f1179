/*
 * capstest.h - what the tests of lkvm_caps_probe() of all architectures have in common: a probe of
 * one of fakekvm's hosts, and rules that every table keeps. Included once, by a test_caps.c.
 */
#ifndef LKVM_TESTS_CAPSTEST_H
#define LKVM_TESTS_CAPSTEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux-uapi/kvm.h"
#include "tests/fakekvm/fakekvm.h"
#include "vmm/caps.h"

static struct fakekvm *fk;
static struct lkvm_caps caps;
static struct lkvm_error err;

static void host(const char *name)
{
	fakekvm_free(fk);
	for (unsigned int i = 0; fakekvm_hosts[i]; i++) {
		if (!strcmp(fakekvm_host_name(fakekvm_hosts[i]), name)) {
			fk = fakekvm_new(fakekvm_hosts[i]);
			return;
		}
	}
	fk = NULL;
	fail_msg("fakekvm has no host %s", name);
}

static int probe(void)
{
	memset(&err, 0, sizeof(err));
	return caps_probe_on(fakekvm_backend(fk), &caps, &err);
}

static void probe_host(const char *name)
{
	host(name);
	if (probe())
		fail_msg("%s: %s", name, err.msg);
	assert_string_equal(fakekvm_leaks(fk), "");
	assert_string_equal(fakekvm_complaints(fk), "");
}

static int teardown(void **state)
{
	(void)state;
	fakekvm_free(fk);
	fk = NULL;
	return 0;
}

static const struct lkvm_cap *cap(const char *name)
{
	for (unsigned int i = 0; i < caps.n; i++) {
		if (!strcmp(caps.caps[i].name, name))
			return &caps.caps[i];
	}
	fail_msg("there is no %s", name);
	return NULL;
}

static void assert_yes(const char *name, s64 value)
{
	const struct lkvm_cap *c = cap(name);

	if (!c->available)
		fail_msg("%s: %s", name, c->reason);
	if (c->value != value)
		fail_msg("%s is %lld, not %lld", name, (long long)c->value, (long long)value);
	assert_string_equal(c->reason, "");
	assert_string_equal(c->remedy, "");
}

/* Missing, for a reason that has @why and with something to be done that has @remedy. */
static void assert_no(const char *name, const char *why, const char *remedy)
{
	const struct lkvm_cap *c = cap(name);

	if (c->available)
		fail_msg("%s is there", name);
	if (!strstr(c->reason, why))
		fail_msg("%s: no '%s' in: %s", name, why, c->reason);
	if (!strstr(c->remedy, remedy) || !*remedy != !c->remedy[0])
		fail_msg("%s: no '%s' in: %s", name, remedy, c->remedy);
	assert_int_equal(c->value, 0);
}

/* ---- every table ------------------------------------------------------------------------ */

static void check_line(unsigned int i)
{
	const struct lkvm_cap *c = &caps.caps[i];

	assert_int_not_equal(c->name[0], 0);
	if (i && c->kind != caps.caps[i - 1].kind && c->kind == LKVM_CAP_FEATURE)
		fail_msg("%s: a feature behind capabilities", c->name);
	if (!c->available && !c->reason[0])
		fail_msg("%s: no, without a reason", c->name);
	if (strlen(c->reason) == sizeof(c->reason) - 1 ||
	    strlen(c->remedy) == sizeof(c->remedy) - 1)
		fail_msg("%s: a text may have been cut", c->name);
	for (unsigned int j = 0; j < i; j++)
		assert_string_not_equal(c->name, caps.caps[j].name);
}

static void every_line_says_yes_or_why_not(void **state)
{
	unsigned int n = 0;

	(void)state;
	for (unsigned int h = 0; fakekvm_hosts[h]; h++) {
		probe_host(fakekvm_host_name(fakekvm_hosts[h]));
		assert_int_equal(caps.api_version, 12);
		assert_string_equal(caps.caps[0].name, "api");
		assert_yes("api", 12);
		assert_in_range(caps.n, 10,
				LKVM_MAX_CAPS - 1); /* at the limit one may be missing */
		for (unsigned int i = 0; i < caps.n; i++)
			check_line(i);
		/* the same lines on every host: a script may ask for each */
		assert_true(!h || n == caps.n);
		n = caps.n;
	}
}

static void without_a_usable_kvm_there_is_one_sentence(void **state)
{
	(void)state;
	host(fakekvm_host_name(fakekvm_hosts[0]));
	fakekvm_set_open_error(fk, ENOENT);
	assert_int_equal(probe(), -ENOENT);
	assert_int_equal(err.kind, LKVM_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "/dev/kvm is missing"));

	host(fakekvm_host_name(fakekvm_hosts[0]));
	fakekvm_set_api_version(fk, 13);
	assert_int_not_equal(probe(), 0);
	assert_int_equal(err.kind, LKVM_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "API version 13"));
	assert_string_equal(fakekvm_leaks(fk), "");
}

/* Which one fails decides whether it is an error or just something that is not there. */
static void a_call_that_fails_leaves_nothing_open(void **state)
{
	const char *name = fakekvm_host_name(fakekvm_hosts[0]);
	unsigned int errors = 0;
	unsigned long calls;

	(void)state;
	probe_host(name);
	calls = fakekvm_n_calls(fk);
	for (unsigned long nth = 1; nth <= calls; nth++) {
		host(name);
		fakekvm_fail_nth(fk, nth, EIO);
		if (probe()) {
			errors++;
			assert_int_not_equal(err.kind, LKVM_ERR_NONE);
			assert_int_not_equal(err.kind, LKVM_ERR_INPUT);
			assert_true(err.msg[0]);
		} else {
			assert_int_equal(err.kind, LKVM_ERR_NONE);
		}
		assert_non_null(fakekvm_failed_call(fk));
		assert_string_equal(fakekvm_leaks(fk), "");
	}
	assert_in_range(errors, 3, calls - 1);
}

static void no_table_grows_past_its_end_and_texts_are_cut(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	memset(&caps, 0, sizeof(caps));
	caps_no(&caps, text, text, text);
	assert_int_equal(strlen(caps.caps[0].name), sizeof(caps.caps[0].name) - 1);
	assert_int_equal(strlen(caps.caps[0].reason), sizeof(caps.caps[0].reason) - 1);
	assert_int_equal(strlen(caps.caps[0].remedy), sizeof(caps.caps[0].remedy) - 1);
	for (unsigned int i = 0; i < 2 * LKVM_MAX_CAPS; i++) {
		caps_yes(&caps, "more", i);
		caps_no(&caps, "more", "", "");
	}
	assert_int_equal(caps.n, LKVM_MAX_CAPS);
}

#define CAPS_COMMON_TESTS                                                                        \
	cmocka_unit_test_teardown(every_line_says_yes_or_why_not, teardown),                     \
		cmocka_unit_test_teardown(without_a_usable_kvm_there_is_one_sentence, teardown), \
		cmocka_unit_test_teardown(a_call_that_fails_leaves_nothing_open, teardown),      \
		cmocka_unit_test_teardown(no_table_grows_past_its_end_and_texts_are_cut, teardown)

#endif
