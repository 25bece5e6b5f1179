/* cli_x86.c - values of the options of `lkvm run` that only x86-64 guests have. */
#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "vmm/cli.h"

/* ---- --disable-exits ------------------------------------------------------------------ */

/* In the order of the bits of LKVM_X86_NO_EXIT_*. */
static const char *const no_exits[] = { "mwait", "hlt", "pause", "cstate", "aperfmperf" };

int opt_disable_exits(struct run_opts *o, const struct opt *opt, const char *val)
{
	static const char allowed[] = "one or more of mwait, hlt, pause, cstate, aperfmperf";
	unsigned int bits = 0;
	const char *p = val;

	while (p) {
		char word[16];
		size_t i = 0;

		if (!cli_next_word(&p, word, sizeof(word)))
			return opt_bad(opt, val, allowed);
		while (i < COUNT(no_exits) && strcmp(word, no_exits[i]))
			i++;
		if (i == COUNT(no_exits))
			return cli_fail(CLI_BAD_INPUT,
					"--%s %s: '%s' is none of mwait, hlt, pause, "
					"cstate, aperfmperf",
					opt->name, cli_shown(val), word);
		if (bits & 1u << i)
			return cli_fail(CLI_BAD_INPUT, "--%s %s: %s is given twice", opt->name, val,
					word);
		bits |= 1u << i;
	}
	/* of two options, the last one counts */
	o->cfg.x86.no_exits = bits;
	return 0;
}

/* ---- --snp ---------------------------------------------------------------------------- */

#define POLICY_SMT	     ((uint64_t)1 << 16)
#define POLICY_DEBUG	     ((uint64_t)1 << 19)
#define POLICY_SINGLE_SOCKET ((uint64_t)1 << 20)

static const char *set_policy(void *at, const char *val)
{
	struct lkvm_snp *snp = at;
	unsigned long long n;

	if (!cli_number_in(val, 1, UINT64_MAX, &n))
		return "a 64-bit number such as 0x30000, and not 0";
	snp->policy = n;
	return NULL;
}

static const char *policy_bit(struct lkvm_snp *snp, uint64_t bit, const char *val)
{
	bool on;

	if (!cli_on_off(val, &on))
		return "on or off";
	snp->policy = on ? snp->policy | bit : snp->policy & ~bit;
	return NULL;
}

static const char *policy_smt(void *at, const char *val)
{
	return policy_bit(at, POLICY_SMT, val);
}

static const char *policy_debug(void *at, const char *val)
{
	return policy_bit(at, POLICY_DEBUG, val);
}

static const char *policy_single_socket(void *at, const char *val)
{
	return policy_bit(at, POLICY_SINGLE_SOCKET, val);
}

static const char *file(char *dst, const char *val)
{
	return cli_copy(dst, LKVM_PATH_MAX, val) ? NULL : "a file";
}

static const char *id_block(void *at, const char *val)
{
	return file(((struct lkvm_snp *)at)->id_block, val);
}

static const char *id_auth(void *at, const char *val)
{
	return file(((struct lkvm_snp *)at)->id_auth, val);
}

static const char *certs(void *at, const char *val)
{
	return file(((struct lkvm_snp *)at)->certs, val);
}

static const char *author_key(void *at, const char *val)
{
	(void)val;
	((struct lkvm_snp *)at)->author_key = true;
	return NULL;
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

static const char *host_data(void *at, const char *val)
{
	struct lkvm_snp *snp = at;

	_Static_assert(LKVM_SNP_HOST_DATA_LEN == 32, "said below");
	if (strlen(val) != 2 * sizeof(snp->host_data) ||
	    strspn(val, "0123456789abcdefABCDEF") != strlen(val))
		return "32 bytes as 64 hexadecimal digits";
	for (size_t i = 0; i < sizeof(snp->host_data); i++)
		snp->host_data[i] =
			(uint8_t)(hex_digit(val[2 * i]) << 4 | hex_digit(val[2 * i + 1]));
	return NULL;
}

static const struct cli_key snp_keys[] = {
	{ "policy", .set = set_policy },
	{ "smt", .set = policy_smt },
	{ "single-socket", .set = policy_single_socket },
	{ "debug", .set = policy_debug },
	{ "id-block", .set = id_block },
	{ "id-auth", .set = id_auth },
	{ "author-key", .bare = true, .set = author_key },
	{ "host-data", .set = host_data },
	{ "certs", .set = certs },
};

int opt_snp(struct run_opts *o, const struct opt *opt, const char *val)
{
	struct lkvm_snp *snp = &o->cfg.x86.snp;

	snp->on = true;
	snp->policy = LKVM_SNP_POLICY_DEFAULT;
	return val ? cli_set_keys(opt->name, val, val, snp_keys, COUNT(snp_keys), snp) : 0;
}
