/*
 * cli_words.h - values of options that are words with commas between them (layer 5).
 *
 * What it is about, then KEY=VALUE or KEY. Two commas stand for one that belongs to a word. Each
 * kind of value has a table of its keys.
 */
#ifndef LKVM_VMM_CLI_WORDS_H
#define LKVM_VMM_CLI_WORDS_H

#include <stdbool.h>
#include <stddef.h>

struct cli_key {
	const char *name;
	bool bare; /* takes no value */
	bool many; /* may be given more than once */
	/* Into what @at points at. NULL, or what is allowed; @val is NULL for bare ones. */
	const char *(*set)(void *at, const char *val);
};

/*
 * Take the next word off *@p, doubled commas undone. False: it does not fit into @size bytes.
 * *@p is NULL after the last.
 */
bool cli_next_word(const char **p, char *word, size_t size);

/*
 * All words of @all, the value of --@option, from @p on (NULL: none are left) into @at. 0, or
 * CLI_BAD_INPUT after a message.
 */
int cli_set_keys(const char *option, const char *all, const char *p, const struct cli_key *keys,
		 size_t n, void *at);

/* False: empty or too long. */
bool cli_copy(char *dst, size_t size, const char *val);

/* A whole number, decimal or 0x.., then *@end. False: none, or too large. */
bool cli_number(const char *s, unsigned long long *value, char **end);

/* The same from @min to @max, and nothing behind it. */
bool cli_number_in(const char *s, unsigned long long min, unsigned long long max,
		   unsigned long long *value);

/* on and off, or 1 and 0 as kvmtool has it. */
bool cli_on_off(const char *val, bool *on);

#endif
