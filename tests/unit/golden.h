/*
 * golden.h - what is built now, as text, against a file of tests/golden.
 *
 * Tests that include this run from the top of the tree. With GOLDEN_UPDATE=1 the files are
 * rewritten instead of compared.
 */
#ifndef LKVM_TESTS_UNIT_GOLDEN_H
#define LKVM_TESTS_UNIT_GOLDEN_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/base.h"

#define GOLDEN_ROOM MIB /* more than any of these texts is long */

/* A whole file that is not empty. The caller frees. */
static inline char *golden_read(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, GOLDEN_ROOM);

	assert_non_null(text);
	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	assert_in_range(fread(text, 1, GOLDEN_ROOM - 1, f), 1, GOLDEN_ROOM - 2);
	fclose(f);
	return text;
}

static inline void golden_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static inline void golden_compare(const char *path, const char *got)
{
	unsigned int line = 1;
	char *want;

	if (getenv("GOLDEN_UPDATE")) {
		golden_write(path, got);
		return;
	}
	want = golden_read(path);
	if (strcmp(got, want)) {
		for (size_t i = 0; got[i] && got[i] == want[i]; i++)
			line += got[i] == '\n';
		fail_msg("%s differs from line %u on. This is what is built now:\n%s", path, line,
			 got);
	}
	free(want);
}

#endif
