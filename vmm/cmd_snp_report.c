/* cmd_snp_report.c - `lkvm snp-report`: what an attestation report says, and who signed it. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli.h"

#define MAX_FRAMED (LKVM_SNP_REPORT_LEN + 32) /* behind its header, which is the longest form */

struct report_opts {
	bool decode, json, help;
	const char *verify; /* a PEM file; NULL: do not */
	const char *file;
};

/* ---- the report as an object, by the names of the specification ----------------------- */

#define HEX_MAX 256

static json_t *hex(const uint8_t *bytes, size_t len)
{
	char text[HEX_MAX] = "";

	for (size_t i = 0; i < len && 2 * i + 2 < sizeof(text); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return json_string(text);
}

#define HEX(array) hex(array, sizeof(array))

static json_t *hex64(uint64_t n)
{
	return json_sprintf("0x%016llx", (unsigned long long)n);
}

/* "1 (NAME)" */
static json_t *named(uint32_t n, const char *name)
{
	return name ? json_sprintf("%u (%s)", n, name) : json_sprintf("%u", n);
}

/* What an object is about comes first, under this name, and is not repeated as text. */
#define RAW "RAW"

static json_t *tcb(const struct lkvm_snp_tcb *t)
{
	json_t *o = json_object();

	json_object_set_new(o, RAW, hex64(t->raw));
	if (t->has_fmc)
		json_object_set_new(o, "FMC", json_integer(t->fmc));
	json_object_set_new(o, "BOOT_LOADER", json_integer(t->boot_loader));
	json_object_set_new(o, "TEE", json_integer(t->tee));
	json_object_set_new(o, "SNP", json_integer(t->snp));
	json_object_set_new(o, "MICROCODE", json_integer(t->microcode));
	return o;
}

/* Each bit that has a name, and those without that are set all the same. */
static void add_bits(json_t *o, uint64_t bits, unsigned int first,
		     const char *(*name_of)(unsigned int bit))
{
	for (unsigned int bit = first; bit < 64; bit++) {
		const char *name = name_of(bit);
		bool set = bits >> bit & 1;
		char number[16];

		snprintf(number, sizeof(number), "BIT_%u", bit);
		if (name || set)
			json_object_set_new(o, name ? name : number, json_boolean(set));
	}
}

/* Reserved, and 1 in every policy: worth seeing where it is not. */
#define POLICY_RESERVED_1 17

static const char *policy_bit(unsigned int bit)
{
	return bit == POLICY_RESERVED_1 ? "RESERVED_1" : lkvm_snp_policy_bit(bit);
}

static json_t *policy(uint64_t bits)
{
	json_t *o = json_object();

	json_object_set_new(o, RAW, hex64(bits));
	json_object_set_new(o, "ABI_MAJOR", json_integer(bits >> 8 & 0xff));
	json_object_set_new(o, "ABI_MINOR", json_integer(bits & 0xff));
	add_bits(o, bits, 16, policy_bit);
	return o;
}

static const char *platform_bit(unsigned int bit)
{
	static const char *const names[] = {
		"SMT_EN",
		"TSME_EN",
		"ECC_EN",
		"RAPL_DIS",
		"CIPHERTEXT_HIDING_DRAM_EN",
		"ALIAS_CHECK_COMPLETE",
		NULL,
		"TIO_EN",
	};

	return bit < COUNT(names) ? names[bit] : NULL;
}

static json_t *platform(uint64_t bits)
{
	json_t *o = json_object();

	json_object_set_new(o, RAW, hex64(bits));
	add_bits(o, bits, 0, platform_bit);
	return o;
}

static json_t *signing_key(uint32_t key)
{
	static const char *const names[8] = { [0] = "VCEK", [1] = "VLEK", [7] = "none" };

	return named(key, key < COUNT(names) ? names[key] : NULL);
}

static json_t *firmware(unsigned int major, unsigned int minor, unsigned int build)
{
	return json_sprintf("%u.%u build %u", major, minor, build);
}

static void add_head(json_t *o, const struct lkvm_snp_report *r)
{
	json_object_set_new(o, "VERSION", json_integer(r->version));
	json_object_set_new(o, "GUEST_SVN", json_integer(r->guest_svn));
	json_object_set_new(o, "POLICY", policy(r->policy));
	json_object_set_new(o, "FAMILY_ID", HEX(r->family_id));
	json_object_set_new(o, "IMAGE_ID", HEX(r->image_id));
	json_object_set_new(o, "VMPL", named(r->vmpl, r->vmpl == UINT32_MAX ? "hypervisor" : NULL));
	json_object_set_new(o, "SIGNATURE_ALGO",
			    named(r->signature_algo,
				  r->signature_algo == 1 ? "ECDSA P-384 with SHA-384" : NULL));
	json_object_set_new(o, "CURRENT_TCB", tcb(&r->current_tcb));
	json_object_set_new(o, "PLATFORM_INFO", platform(r->platform_info));
	json_object_set_new(o, "AUTHOR_KEY_EN", json_boolean(r->author_key_en));
	json_object_set_new(o, "MASK_CHIP_KEY", json_boolean(r->mask_chip_key));
	json_object_set_new(o, "SIGNING_KEY", signing_key(r->signing_key));
	json_object_set_new(o, "REPORT_DATA", HEX(r->report_data));
	json_object_set_new(o, "MEASUREMENT", HEX(r->measurement));
	json_object_set_new(o, "HOST_DATA", HEX(r->host_data));
	json_object_set_new(o, "ID_KEY_DIGEST", HEX(r->id_key_digest));
	json_object_set_new(o, "AUTHOR_KEY_DIGEST", HEX(r->author_key_digest));
	json_object_set_new(o, "REPORT_ID", HEX(r->report_id));
	json_object_set_new(o, "REPORT_ID_MA", HEX(r->report_id_ma));
	json_object_set_new(o, "REPORTED_TCB", tcb(&r->reported_tcb));
}

static void add_tail(json_t *o, const struct lkvm_snp_report *r)
{
	if (r->has_cpuid) {
		json_object_set_new(o, "CPUID_FAM_ID", json_sprintf("0x%02x", r->cpuid_family));
		json_object_set_new(o, "CPUID_MOD_ID", json_sprintf("0x%02x", r->cpuid_model));
		json_object_set_new(o, "CPUID_STEP", json_sprintf("0x%02x", r->cpuid_stepping));
	}
	json_object_set_new(o, "CHIP_ID", HEX(r->chip_id));
	json_object_set_new(o, "COMMITTED_TCB", tcb(&r->committed_tcb));
	json_object_set_new(o, "CURRENT_VERSION",
			    firmware(r->current_major, r->current_minor, r->current_build));
	json_object_set_new(o, "COMMITTED_VERSION",
			    firmware(r->committed_major, r->committed_minor, r->committed_build));
	json_object_set_new(o, "LAUNCH_TCB", tcb(&r->launch_tcb));
	if (r->has_mit_vectors) {
		json_object_set_new(o, "LAUNCH_MIT_VECTOR", hex64(r->launch_mit_vector));
		json_object_set_new(o, "CURRENT_MIT_VECTOR", hex64(r->current_mit_vector));
	}
	json_object_set_new(o, "SIGNATURE_R", HEX(r->signature_r));
	json_object_set_new(o, "SIGNATURE_S", HEX(r->signature_s));
}

/* ---- printing it ---------------------------------------------------------------------- */

#define NAME_WIDTH 27

static void print_scalar(const char *indent, const char *name, json_t *v)
{
	int width = NAME_WIDTH - (int)strlen(indent);

	if (json_is_string(v))
		printf("%s%-*s %s\n", indent, width, name, json_string_value(v));
	else if (json_is_integer(v))
		printf("%s%-*s %lld\n", indent, width, name, (long long)json_integer_value(v));
	else
		printf("%s%-*s %s\n", indent, width, name, json_is_true(v) ? "yes" : "no");
}

static void print_text(json_t *all)
{
	const char *name, *member;
	json_t *v, *m;

	json_object_foreach(all, name, v)
	{
		if (!json_is_object(v)) {
			print_scalar("", name, v);
			continue;
		}
		print_scalar("", name, json_object_get(v, RAW));
		json_object_foreach(v, member, m)
		{
			if (strcmp(member, RAW))
				print_scalar("  ", member, m);
		}
	}
}

static int print(json_t *all, bool json)
{
	int failed = 0;

	if (!json)
		print_text(all);
	else if (json_dumpf(all, stdout, JSON_INDENT(2)) || puts("") < 0)
		failed = -1;
	if (fflush(stdout) || ferror(stdout) || failed)
		return cli_fail(CLI_HOST_ERROR, "standard output cannot be written: %s",
				strerror(errno));
	return CLI_OK;
}

/* ---- the command ---------------------------------------------------------------------- */

/* All of it, or as much as shows that it is too long. Returns an exit status. */
static int read_report(const char *path, uint8_t *buf, size_t size, size_t *len)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
	int code = fd < 0 ? errno : 0;

	*len = 0;
	while (!code && *len < size) {
		ssize_t n = read(fd, buf + *len, size - *len);

		if (!n)
			break;
		if (n > 0)
			*len += (size_t)n;
		else if (errno != EINTR)
			code = errno;
	}
	if (fd > STDERR_FILENO)
		close(fd);
	return code ? cli_fail(CLI_BAD_INPUT, "%s: cannot be read: %s", path, strerror(code)) : 0;
}

static int fail_of(const char *path, const struct lkvm_error *err)
{
	return cli_fail(cli_error_status(err), "%s: %s", path, err->msg);
}

/* Nothing is printed of a report whose signature was to be good and is not. */
static int run(const struct report_opts *o)
{
	const char *path = strcmp(o->file, "-") ? o->file : "standard input";
	struct lkvm_error err = { 0 };
	uint8_t data[MAX_FRAMED + 1];
	struct lkvm_snp_report r;
	json_t *all;
	size_t len;
	int status = read_report(o->file, data, sizeof(data), &len);

	if (status)
		return status;
	if (lkvm_snp_report_decode(data, len, &r, &err) ||
	    (o->verify && lkvm_snp_report_verify(data, len, o->verify, &err)))
		return fail_of(path, &err);
	if (o->decode && r.version > 5)
		cli_fail(0,
			 "%s: is of version %u, and 5 is the last known here: what came later "
			 "is not shown",
			 path, r.version);
	all = json_object();
	if (o->decode) {
		add_head(all, &r);
		add_tail(all, &r);
	}
	if (o->verify)
		json_object_set_new(all, "verified", json_true());
	status = all ? print(all, o->json) : cli_fail(CLI_HOST_ERROR, "%s", strerror(ENOMEM));
	json_decref(all);
	return status;
}

static void print_help(void)
{
	printf("usage: lkvm snp-report [--decode] [--verify VCEK.pem] [--json] FILE\n\n"
	       "What a raw SEV-SNP attestation report says, and whether it is signed by the key\n"
	       "of a certificate. FILE is '-' for standard input.\n\n"
	       "  --decode           print every field\n"
	       "  --verify VCEK.pem  check the signature first: 120 and no output if it is not of\n"
	       "                     that key, 126 without libcrypto. Who issued the certificate\n"
	       "                     is not checked\n"
	       "  --json             as JSON\n"
	       "  -h, --help         this text\n");
}

static int bad_option(const char *word)
{
	return cli_fail(CLI_BAD_INPUT, "%s: unknown option; 'lkvm snp-report --help' lists them",
			word);
}

static int parse(struct report_opts *o, int argc, char **argv)
{
	static const char verify[] = "--verify";

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (!strcmp(word, "--decode")) {
			o->decode = true;
		} else if (!strcmp(word, "--json")) {
			o->json = true;
		} else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
			o->help = true;
		} else if (!strcmp(word, verify) && i + 1 < argc) {
			o->verify = argv[++i];
		} else if (!strncmp(word, "--verify=", sizeof(verify))) {
			o->verify = word + sizeof(verify);
		} else if (!strcmp(word, verify)) {
			return cli_fail(CLI_BAD_INPUT, "--verify: a value is needed (VCEK.pem)");
		} else if (word[0] == '-' && word[1]) {
			return bad_option(word);
		} else if (o->file) {
			return cli_fail(CLI_BAD_INPUT,
					"%s: one file at a time; there is %s already",
					cli_shown(word), o->file);
		} else {
			o->file = word;
		}
	}
	if (o->help)
		return 0;
	if (o->verify && !*o->verify)
		return cli_fail(CLI_BAD_INPUT, "--verify '': must be a certificate in PEM form");
	if (!o->decode && !o->verify)
		return cli_fail(CLI_BAD_INPUT, "snp-report: needs --decode or --verify VCEK.pem");
	if (!o->file || !*o->file)
		return cli_fail(CLI_BAD_INPUT, "snp-report: needs the file of a report, or '-'");
	return 0;
}

int cmd_snp_report(int argc, char **argv)
{
	struct report_opts o = { 0 };
	int status = parse(&o, argc, argv);

	if (status)
		return status;
	if (o.help) {
		print_help();
		return CLI_OK;
	}
	return run(&o);
}
