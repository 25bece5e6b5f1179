/* script.c - guest scripts as text; the grammar is in fakekvm.h. */
#include "tests/fakekvm/internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_STEPS 4096 /* of one vCPU, from text */

struct parser {
	const char *pos;
	unsigned int cpu;
	u64 uart;
	struct fake_step *steps[FAKE_MAX_IDS];
	size_t n[FAKE_MAX_IDS];
	size_t loop[FAKE_MAX_IDS]; /* the step that "repeat" goes back to */
};

static void skip_blanks(struct parser *p)
{
	while (*p->pos == ' ' || *p->pos == '\t')
		p->pos++;
}

static bool at_end(struct parser *p)
{
	skip_blanks(p);
	return !*p->pos || *p->pos == ';' || *p->pos == '\n';
}

static bool parse_word(struct parser *p, char *buf, size_t size)
{
	size_t n = 0;

	skip_blanks(p);
	while (isalnum((unsigned char)*p->pos) || *p->pos == '-' || *p->pos == '_') {
		if (n + 1 == size)
			return false;
		buf[n++] = *p->pos++;
	}
	buf[n] = '\0';
	return n > 0;
}

static bool parse_number(struct parser *p, u64 *val)
{
	char *end;

	skip_blanks(p);
	if (!isdigit((unsigned char)*p->pos))
		return false;
	errno = 0;
	*val = strtoull(p->pos, &end, 0);
	p->pos = end;
	return !errno;
}

static bool parse_optional(struct parser *p, u64 *val)
{
	return at_end(p) || parse_number(p, val);
}

static int hex_digit(char ch)
{
	return isdigit((unsigned char)ch) ? ch - '0' : tolower((unsigned char)ch) - 'a' + 10;
}

/* One character of a string, its escapes resolved; @p is behind it. */
static bool parse_char(struct parser *p, u8 *ch)
{
	static const char from[] = "nrt\"\\", to[] = "\n\r\t\"\\";
	const char *at;

	*ch = (u8)*p->pos++;
	if (*ch != '\\')
		return *ch != '\0';
	if (*p->pos == 'x' && isxdigit((unsigned char)p->pos[1]) &&
	    isxdigit((unsigned char)p->pos[2])) {
		*ch = (u8)(hex_digit(p->pos[1]) << 4 | hex_digit(p->pos[2]));
		p->pos += 3;
		return true;
	}
	at = *p->pos ? strchr(from, *p->pos) : NULL;
	if (!at)
		return false;
	*ch = (u8)to[at - from];
	p->pos++;
	return true;
}

static bool parse_string(struct parser *p, struct fake_step *s)
{
	u8 *text;
	u32 n = 0;

	skip_blanks(p);
	if (*p->pos++ != '"')
		return false;
	text = malloc(strlen(p->pos) + 1);
	if (!text)
		abort();
	s->data = text;
	while (*p->pos && *p->pos != '"')
		if (!parse_char(p, &text[n++]))
			return false;
	s->count = n;
	return *p->pos++ == '"' && n;
}

static bool parse_errno(struct parser *p, u64 *val)
{
	char name[24];

	skip_blanks(p);
	if (isdigit((unsigned char)*p->pos))
		return parse_number(p, val);
	if (!parse_word(p, name, sizeof(name)))
		return false;
	for (int e = 1; e < 134; e++)
		if (strerrorname_np(e) && !strcmp(strerrorname_np(e), name)) {
			*val = (u64)e;
			return true;
		}
	return false;
}

/* Verbs, and the words after them in order: parse_args() says what each letter means. */
struct verb {
	const char *name;
	const char *args;
	struct fake_step step;
};

static const struct verb verbs[] = {
	{ "out", "asv", { .op = FAKE_OP_IO, .write = true } },
	{ "in", "as", { .op = FAKE_OP_IO } },
	{ "outs", "ast", { .op = FAKE_OP_IO, .write = true } },
	{ "ins", "asc", { .op = FAKE_OP_IO } },
	{ "print", "t", { .op = FAKE_OP_PRINT } },
	{ "store", "asv", { .op = FAKE_OP_MMIO, .write = true } },
	{ "load", "as", { .op = FAKE_OP_MMIO } },
	{ "nisv", "aV", FAKE_NISV(0, 0) },
	{ "hlt", "", { .op = FAKE_OP_HLT } },
	{ "halt", "", { .op = FAKE_OP_HALT } },
	{ "shutdown", "", FAKE_SHUTDOWN },
	{ "fail-entry", "V", FAKE_FAIL_ENTRY(0) },
	{ "internal-error", "V", FAKE_INTERNAL_ERROR(KVM_INTERNAL_ERROR_EMULATION) },
	{ "system-event", "v", FAKE_SYSTEM_EVENT(0) },
	{ "exit", "aV", { .op = FAKE_OP_EXIT } },
	{ "errno", "e", { .op = FAKE_OP_ERRNO } },
	{ "memfault", "a", { .op = FAKE_OP_MEMFAULT } },
	{ "delay", "v", { .op = FAKE_OP_DELAY } },
	{ "wait-irq", "aV", { .op = FAKE_OP_WAIT_IRQ, .value = 10000 } },
	{ "repeat", "V", { .op = FAKE_OP_REPEAT } },
};

static bool parse_args(struct parser *p, const char *args, struct fake_step *s)
{
	u64 n = 0;

	for (; *args; args++) {
		bool ok = false;

		switch (*args) {
		case 'a':
			ok = parse_number(p, &s->addr);
			break;
		case 's':
			ok = parse_number(p, &n) && n >= 1 && n <= 8;
			s->size = (unsigned int)n;
			break;
		case 'c':
			ok = parse_number(p, &n) && n >= 1 && n <= FAKE_PIO_SIZE;
			s->count = (u32)n;
			break;
		case 'v':
			ok = parse_number(p, &s->value);
			break;
		case 'V':
			ok = parse_optional(p, &s->value);
			break;
		case 'e':
			ok = parse_errno(p, &s->value);
			break;
		case 't':
			ok = parse_string(p, s);
			break;
		}
		if (!ok)
			return false;
	}
	/* a string is bytes, its count in items: whole ones */
	if (s->data && s->op == FAKE_OP_IO) {
		if (s->count % s->size)
			return false;
		s->count /= s->size;
	}
	return at_end(p);
}

static bool add_step(struct parser *p, const struct fake_step *s)
{
	if (p->n[p->cpu] == MAX_STEPS)
		return false;
	if (!p->steps[p->cpu])
		p->steps[p->cpu] = calloc(MAX_STEPS, sizeof(*s));
	if (!p->steps[p->cpu])
		abort();
	p->steps[p->cpu][p->n[p->cpu]++] = *s;
	return true;
}

static bool parse_verb(struct parser *p, const char *word)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(verbs); i++) {
		struct fake_step s = verbs[i].step;

		if (strcmp(verbs[i].name, word))
			continue;
		if (s.op == FAKE_OP_PRINT)
			s.addr = p->uart;
		if (s.op == FAKE_OP_REPEAT)
			s.addr = p->loop[p->cpu];
		if (parse_args(p, verbs[i].args, &s) && add_step(p, &s))
			return true;
		free((void *)s.data);
		return false;
	}
	return false;
}

static bool parse_statement(struct parser *p)
{
	char word[24];
	u64 n;

	if (!parse_word(p, word, sizeof(word)))
		return false;
	if (!strcmp(word, "cpu")) {
		if (!parse_number(p, &n) || n >= FAKE_MAX_IDS)
			return false;
		p->cpu = (unsigned int)n;
		return at_end(p);
	}
	if (!strcmp(word, "loop")) {
		p->loop[p->cpu] = p->n[p->cpu];
		return at_end(p);
	}
	return parse_verb(p, word);
}

int fakekvm_script_text(struct fakekvm *fk, const char *text, char *why, size_t why_size)
{
	struct parser p = { .pos = text, .uart = fk->host->arch->uart };
	const char *statement = text;
	bool ok = true;

	while (ok && *p.pos) {
		statement = p.pos;
		if (!at_end(&p))
			ok = parse_statement(&p);
		if (ok && *p.pos)
			p.pos++;
	}
	if (!ok && why)
		snprintf(why, why_size, "script: '%.*s'", (int)strcspn(statement, ";\n"),
			 statement);
	for (unsigned int i = 0; i < FAKE_MAX_IDS; i++) {
		struct fake_script s = { .steps = p.steps[i], .n = p.n[i], .owned = true };

		if (!p.steps[i])
			continue;
		if (!ok) {
			fake_free_script(&s);
			continue;
		}
		fakekvm_script(fk, i, s.steps, s.n);
		fk->scripts[i].owned = true;
	}
	return ok ? 0 : -EINVAL;
}
