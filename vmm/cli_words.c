/* cli_words.c - options with values made of words: KEY=VALUE, KEY, and commas between them. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli.h"

#define WORD_MAX (CLI_PATH_MAX + 32) /* bytes: the longest value with its key */

bool cli_next_word(const char **p, char *word, size_t size)
{
	const char *s = *p;
	size_t n = 0;

	for (; *s && n < size; s++) {
		if (*s == ',' && *++s != ',') {
			word[n] = 0;
			*p = s;
			return true;
		}
		word[n++] = *s;
	}
	if (n == size)
		return false;
	word[n] = 0;
	*p = NULL;
	return true;
}

const char *cli_shown(const char *val)
{
	return *val ? val : "''";
}

/* Where the word is all there is, it is not said twice. */
static int bad_value(const char *option, const char *all, const char *word, const char *allowed)
{
	if (!strcmp(all, word))
		return cli_fail(CLI_BAD_INPUT, "--%s %s: must be %s", option, all, allowed);
	return cli_fail(CLI_BAD_INPUT, "--%s %s: '%s': must be %s", option, all, word, allowed);
}

static int unknown_key(const char *option, const char *all, const char *word,
		       const struct cli_key *keys, size_t n)
{
	char known[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < n && len < sizeof(known); i++)
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s%s", i ? ", " : "",
					keys[i].name, keys[i].bare ? "" : "=");
	if (!strcmp(all, word))
		return cli_fail(CLI_BAD_INPUT, "--%s %s: is none of %s", option, cli_shown(all),
				known);
	return cli_fail(CLI_BAD_INPUT, "--%s %s: '%s' is none of %s", option, all, word, known);
}

/* One word into @at. @seen has a bit for each key. */
static int set_key(const char *option, const char *all, const char *word,
		   const struct cli_key *keys, size_t n, unsigned int *seen, void *at)
{
	const char *eq = strchr(word, '='), *allowed;
	size_t len = eq ? (size_t)(eq - word) : strlen(word);

	for (size_t i = 0; i < n; i++) {
		const struct cli_key *key = &keys[i];

		if (strlen(key->name) != len || memcmp(key->name, word, len) || key->bare != !eq)
			continue;
		if ((*seen & 1u << i) && !key->many)
			return cli_fail(CLI_BAD_INPUT, "--%s %s: %s is given twice", option, all,
					key->name);
		*seen |= 1u << i;
		allowed = key->set(at, eq ? eq + 1 : NULL);
		return allowed ? bad_value(option, all, word, allowed) : 0;
	}
	return unknown_key(option, all, word, keys, n);
}

int cli_set_keys(const char *option, const char *all, const char *p, const struct cli_key *keys,
		 size_t n, void *at)
{
	unsigned int seen = 0;
	int status = 0;

	while (p && !status) {
		char word[WORD_MAX];

		if (!cli_next_word(&p, word, sizeof(word)))
			return cli_fail(CLI_BAD_INPUT, "--%s %s: a word is too long", option, all);
		status = set_key(option, all, word, keys, n, &seen, at);
	}
	return status;
}

bool cli_copy(char *dst, size_t size, const char *val)
{
	size_t len = strlen(val);

	if (!len || len >= size)
		return false;
	memcpy(dst, val, len + 1);
	return true;
}

/* strtoull() alone would take signs and blanks. */
bool cli_number(const char *s, unsigned long long *value, char **end)
{
	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*value = strtoull(s, end, s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10);
	return !errno;
}

bool cli_number_in(const char *s, unsigned long long min, unsigned long long max,
		   unsigned long long *value)
{
	char *end;

	return cli_number(s, value, &end) && !*end && *value >= min && *value <= max;
}

bool cli_on_off(const char *val, bool *on)
{
	*on = !strcmp(val, "on") || !strcmp(val, "1");
	return *on || !strcmp(val, "off") || !strcmp(val, "0");
}
