/*
 * default_backend.c - a whole program on a fakekvm: linked instead of vmm/kvm_linux.c, it gives
 * the program a host and a guest out of the environment.
 *
 *	FAKEKVM		  host and what is wrong with it, comma separated
 *		a name of fakekvm_hosts[] (default: the first)
 *		missing | denied		open fails with ENOENT, EACCES
 *		api=N				another API version
 *		cap=N:VALUE			the answer of KVM_CHECK_EXTENSION
 *		fail=N[:ERRNO]			the Nth call fails (EIO)
 *		stats=FILE			what statistics descriptors hold
 *	FAKEKVM_SYSFS	  where the host describes its hardware, instead of nowhere
 *	FAKEKVM_SCRIPT	  the guest, in the language of fakekvm.h; "@FILE" reads it from there
 *	FAKEKVM_LOG	  a file that gets the transcript, complaints and leaks as the program ends
 *
 * A mistake in these is a broken test: said on stderr, status 99.
 */
#include "tests/fakekvm/fakekvm.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct fakekvm *the_fake;

static void broken(const char *what, const char *text)
{
	fprintf(stderr, "fakekvm: %s: %s\n", what, text);
	_exit(99);
}

static const struct fake_host *find_host(const char *name)
{
	for (unsigned int i = 0; fakekvm_hosts[i]; i++)
		if (!strcmp(fakekvm_host_name(fakekvm_hosts[i]), name))
			return fakekvm_hosts[i];
	return NULL;
}

/* N, or its name. */
static int parse_errno(const char *text)
{
	for (int e = 1; e < 134; e++)
		if (strerrorname_np(e) && !strcmp(strerrorname_np(e), text))
			return e;
	return atoi(text);
}

static void set_stats(struct fakekvm *fk, const char *path)
{
	static char file[65536];
	FILE *f = fopen(path, "r");

	if (!f)
		broken("cannot read stats=", path);
	fakekvm_set_stats(fk, file, fread(file, 1, sizeof(file), f));
	fclose(f);
}

static void apply(struct fakekvm *fk, const char *word)
{
	const char *colon = strchr(word, ':');
	unsigned long n = 0;

	if (strchr(word, '='))
		n = strtoul(strchr(word, '=') + 1, NULL, 0);
	if (!strcmp(word, "missing"))
		fakekvm_set_open_error(fk, ENOENT);
	else if (!strcmp(word, "denied"))
		fakekvm_set_open_error(fk, EACCES);
	else if (!strncmp(word, "api=", 4))
		fakekvm_set_api_version(fk, (int)n);
	else if (!strncmp(word, "cap=", 4) && colon)
		fakekvm_set_cap(fk, (u32)n, atoi(colon + 1));
	else if (!strncmp(word, "stats=", 6))
		set_stats(fk, word + 6);
	else if (!strncmp(word, "fail=", 5))
		fakekvm_fail_nth(fk, n, colon ? parse_errno(colon + 1) : EIO);
	else
		broken("FAKEKVM does not know", word);
}

static char *read_script(const char *path)
{
	char *text = calloc(1, 65536);
	FILE *f = fopen(path, "r");

	if (!text || !f || fread(text, 1, 65535, f) == 0)
		broken("cannot read FAKEKVM_SCRIPT", path);
	fclose(f);
	return text;
}

static void load_script(struct fakekvm *fk)
{
	const char *env = getenv("FAKEKVM_SCRIPT");
	char *text, why[256];

	if (!env)
		return;
	text = env[0] == '@' ? read_script(env + 1) : strdup(env);
	if (!text || fakekvm_script_text(fk, text, why, sizeof(why)))
		broken("FAKEKVM_SCRIPT", text ? why : "no memory");
	free(text);
}

static void write_log(void)
{
	const char *path = getenv("FAKEKVM_LOG");
	char *text = fakekvm_transcript(the_fake, NULL);
	FILE *f = fopen(path, "w");

	if (!f)
		broken("cannot write FAKEKVM_LOG", path);
	fprintf(f, "%s--- complaints\n%s--- leaks\n%s--- calls %lu\n", text,
		fakekvm_complaints(the_fake), fakekvm_leaks(the_fake), fakekvm_n_calls(the_fake));
	fclose(f);
	free(text);
}

static void make(void)
{
	const char *env = getenv("FAKEKVM");
	char *words = strdup(env ? env : ""), *save = NULL, *word;
	const struct fake_host *host = fakekvm_hosts[0];
	struct fakekvm *fk;

	if (!words)
		broken("FAKEKVM", "no memory");
	word = strtok_r(words, ",", &save);
	if (word && find_host(word)) {
		host = find_host(word);
		word = strtok_r(NULL, ",", &save);
	}
	fk = fakekvm_new(host);
	for (; word; word = strtok_r(NULL, ",", &save))
		apply(fk, word);
	free(words);
	env = getenv("FAKEKVM_SYSFS");
	if (env)
		fakekvm_set_sysfs(fk, env);
	load_script(fk);
	the_fake = fk;
	env = getenv("FAKEKVM_LOG");
	if (env && *env)
		atexit(write_log);
}

const struct kvm_backend *kvm_default_backend(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make);
	return fakekvm_backend(the_fake);
}
