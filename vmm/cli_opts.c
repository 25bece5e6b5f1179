/*
 * cli_opts.c - the options of `lkvm run`, as one table.
 *
 * Spelling is kvmtool's where it has the option. Parsing fills a struct and has no
 * other effect; what the fields mean together is judged by lkvm_config_validate().
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli.h"

/* Where the help puts an option. */
enum group { GROUP_MACHINE, GROUP_DEVICES, GROUP_END, GROUP_TALK, GROUP_NONE };

struct opt {
	char letter; /* 0: none */
	const char *name;
	const char *arg; /* what it takes, for the help; NULL: nothing */
	bool optional;	 /* the argument may be left out, and comes only as --name=ARG */
	enum group group;
	/* @val is NULL for options without argument. 0, or CLI_BAD_INPUT after a message. */
	int (*set)(struct run_opts *o, const struct opt *opt, const char *val);
	const char *help; /* or, with @set NULL, why the option is refused */
};

static int bad(const struct opt *opt, const char *val, const char *allowed)
{
	return cli_fail(CLI_BAD_INPUT, "--%s %s: must be %s", opt->name, val, allowed);
}

static int copy(const struct opt *opt, char *dst, size_t size, const char *val)
{
	if (strlen(val) >= size)
		return cli_fail(CLI_BAD_INPUT, "--%s: %zu bytes; at most %zu are allowed",
				opt->name, strlen(val), size - 1);
	memcpy(dst, val, strlen(val) + 1);
	return 0;
}

/* A whole number, decimal or 0x.., then *@end. False: none, or too large. */
static bool number(const char *s, unsigned long long *value, char **end)
{
	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*value = strtoull(s, end, s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10);
	return !errno;
}

/* One of @words; the index, or -1. */
static int one_of(const char *val, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(val, words[i]))
			return (int)i;
	}
	return -1;
}

/* ---- machine ------------------------------------------------------------------------ */

static int set_name(struct run_opts *o, const struct opt *opt, const char *val)
{
	if (!*val)
		return bad(opt, "''", "a name");
	return copy(opt, o->cfg.name, sizeof(o->cfg.name), val);
}

#define CPUS_ALLOWED "N[,sockets=S][,cores=C][,threads=T], each 1 to 255"

static bool cpu_count(const char *s, size_t len, unsigned int *count)
{
	unsigned long long n;
	char *end;

	if (!number(s, &n, &end) || end != s + len || n < 1 || n > LKVM_MAX_VCPUS)
		return false;
	*count = (unsigned int)n;
	return true;
}

static int set_cpus(struct run_opts *o, const struct opt *opt, const char *val)
{
	struct lkvm_config *cfg = &o->cfg;
	const struct {
		const char *key;
		unsigned int *count;
	} keys[] = { { "sockets=", &cfg->sockets },
		     { "cores=", &cfg->cores },
		     { "threads=", &cfg->threads } };
	const char *p = val;
	size_t len = strcspn(p, ",");

	cfg->sockets = cfg->cores = cfg->threads = 0;
	if (!cpu_count(p, len, &cfg->n_vcpus))
		return bad(opt, val, CPUS_ALLOWED);
	while (p[len]) {
		bool ok = false;

		p += len + 1;
		len = strcspn(p, ",");
		for (size_t i = 0; !ok && i < COUNT(keys); i++) {
			size_t n = strlen(keys[i].key);

			ok = !strncmp(p, keys[i].key, n) &&
			     cpu_count(p + n, len - n, keys[i].count);
		}
		if (!ok)
			return bad(opt, val, CPUS_ALLOWED);
	}
	return 0;
}

static int set_mem(struct run_opts *o, const struct opt *opt, const char *val)
{
	static const char allowed[] = "a size such as 256 (MiB), 512M, 4G, from 4M to 4T";
	unsigned long long n;
	unsigned int shift = 20;
	char *end;

	if (!number(val, &n, &end))
		return bad(opt, val, allowed);
	if (*end) {
		static const char units[] = "kKmMgGtT";
		const char *unit = strchr(units, *end);

		if (end[1] || !unit)
			return bad(opt, val, allowed);
		shift = 10 * (1 + (unsigned int)(unit - units) / 2);
	}
	if (n > LKVM_MAX_MEM >> shift || n << shift < LKVM_MIN_MEM)
		return bad(opt, val, allowed);
	o->cfg.mem_size = n << shift;
	return 0;
}

static int set_kernel(struct run_opts *o, const struct opt *opt, const char *val)
{
	return copy(opt, o->cfg.kernel, sizeof(o->cfg.kernel), val);
}

static int set_initrd(struct run_opts *o, const struct opt *opt, const char *val)
{
	if (!*val)
		return bad(opt, "''", "a file");
	return copy(opt, o->cfg.initrd, sizeof(o->cfg.initrd), val);
}

static int set_params(struct run_opts *o, const struct opt *opt, const char *val)
{
	return copy(opt, o->cfg.cmdline, sizeof(o->cfg.cmdline), val);
}

static int set_boot(struct run_opts *o, const struct opt *opt, const char *val)
{
	static const char *const words[] = { "auto", "linux64", "pvh" };
	int i = one_of(val, words, COUNT(words));

	if (i < 0)
		return bad(opt, val, "auto, linux64 or pvh");
	o->cfg.boot = (enum lkvm_boot)i;
	return 0;
}

static int set_nodefaults(struct run_opts *o, const struct opt *opt, const char *val)
{
	(void)o;
	(void)opt;
	(void)val;
	return 0; /* there are no implicit devices to leave out */
}

/* ---- devices ------------------------------------------------------------------------ */

static int set_disk(struct run_opts *o, const struct opt *opt, const char *val)
{
	(void)opt;
	return cli_disk(&o->cfg, val);
}

static int set_network(struct run_opts *o, const struct opt *opt, const char *val)
{
	(void)opt;
	return cli_network(&o->cfg, val);
}

static int set_rng(struct run_opts *o, const struct opt *opt, const char *val)
{
	(void)opt;
	(void)val;
	o->cfg.rng = true;
	return 0;
}

static int set_console(struct run_opts *o, const struct opt *opt, const char *val)
{
	static const char *const words[] = { "serial", "virtio" };
	int i = one_of(val, words, COUNT(words));

	if (i < 0)
		return bad(opt, val, "serial or virtio");
	o->cfg.virtio_console = i == 1;
	return 0;
}

static int set_port(struct run_opts *o, const struct opt *opt, const char *val)
{
	(void)opt;
	return cli_port(o, val);
}

static int set_virtio_transport(struct run_opts *o, const struct opt *opt, const char *val)
{
	static const char *const words[] = { "pci", "mmio" };
	int i = one_of(val, words, COUNT(words));

	if (i < 0)
		return bad(opt, val, "pci or mmio");
	o->cfg.virtio_transport = (enum lkvm_virtio_transport)i;
	return 0;
}

static int set_debug_exit(struct run_opts *o, const struct opt *opt, const char *val)
{
	unsigned long long addr;
	char *end;

	o->cfg.debug_exit = true;
	if (!val || !strcmp(val, "port"))
		return 0;
	/* 0 means the usual place; how far the others reach is the library's to judge */
	if (!number(val, &addr, &end) || *end || !addr)
		return bad(opt, val, "a port, 1 to 0xfffc, such as 0xf4");
	o->cfg.debug_exit_addr = addr;
	return 0;
}

/* ---- the end ------------------------------------------------------------------------ */

static int set_duration(const struct opt *opt, const char *val, uint64_t *ns)
{
	static const char allowed[] = "seconds above 0, such as 60, 1.5, or with a unit 500ms, 10m";
	double seconds, scale = 1;
	char *end;

	/* strtod() would also take signs, blanks, words and hexadecimal */
	if (strspn(val, "0123456789.") == 0 || val[0] == '.')
		return bad(opt, val, allowed);
	seconds = strtod(val, &end);
	if (!strcmp(end, "ms"))
		scale = 1e-3;
	else if (!strcmp(end, "m"))
		scale = 60;
	else if (*end && strcmp(end, "s"))
		return bad(opt, val, allowed);
	seconds *= scale;
	if (end - val > (long)strspn(val, "0123456789.") || !(seconds >= 1e-6) || seconds > 1e9)
		return bad(opt, val, allowed);
	*ns = (uint64_t)(seconds * 1e9);
	return 0;
}

static int set_timeout(struct run_opts *o, const struct opt *opt, const char *val)
{
	return set_duration(opt, val, &o->cfg.timeout_ns);
}

static int set_idle_timeout(struct run_opts *o, const struct opt *opt, const char *val)
{
	return set_duration(opt, val, &o->cfg.idle_timeout_ns);
}

static int set_on_reboot(struct run_opts *o, const struct opt *opt, const char *val)
{
	static const char *const words[] = { "exit", "restart" };
	int i = one_of(val, words, COUNT(words));

	if (i < 0)
		return bad(opt, val, "exit or restart");
	o->cfg.on_reboot = (enum lkvm_on_reboot)i;
	return 0;
}

static int set_panic_from_console(struct run_opts *o, const struct opt *opt, const char *val)
{
	static const char *const words[] = { "on", "off" };
	int i = one_of(val, words, COUNT(words));

	if (i < 0)
		return bad(opt, val, "on or off");
	o->cfg.no_console_panic = i == 1;
	return 0;
}

/* ---- what it tells ------------------------------------------------------------------ */

static int set_report(struct run_opts *o, const struct opt *opt, const char *val)
{
	if (strncmp(val, "json=", 5) || !val[5] || !strcmp(val, "json=-"))
		return bad(opt, val, "json=FILE or json=fd:N (json=fd:1 is standard output)");
	o->report_arg = val + 5;
	return 0;
}

static int set_loglevel(struct run_opts *o, const struct opt *opt, const char *val)
{
	static const char *const words[] = { "error", "warning", "info", "debug" };
	int i = one_of(val, words, COUNT(words));

	if (i < 0)
		return bad(opt, val, "error, warning, info or debug");
	o->cfg.log_level = (enum lkvm_log_level)i;
	return 0;
}

static int set_dump_acpi(struct run_opts *o, const struct opt *opt, const char *val)
{
	if (!*val)
		return bad(opt, "''", "a file");
	return copy(opt, o->cfg.dump_acpi, sizeof(o->cfg.dump_acpi), val);
}

static int set_help(struct run_opts *o, const struct opt *opt, const char *val)
{
	(void)opt;
	(void)val;
	o->help = true;
	return 0;
}

#define ONLY_ARM64 "only arm64 guests have it"

static const struct opt options[] = {
	{ 'k', "kernel", "FILE", false, GROUP_MACHINE, set_kernel,
	  "kernel: bzImage, or uncompressed ELF (vmlinux)" },
	{ 'i', "initrd", "FILE", false, GROUP_MACHINE, set_initrd, "initial RAM disk" },
	{ 'p', "params", "TEXT", false, GROUP_MACHINE, set_params,
	  "kernel command line; nothing is added, not even console=ttyS0" },
	{ 'm', "mem", "SIZE", false, GROUP_MACHINE, set_mem,
	  "memory, MiB or with K, M, G, T (default 256M)" },
	{ 'c', "cpus", "N[,sockets=S][,cores=C][,threads=T]", false, GROUP_MACHINE, set_cpus,
	  "vCPUs, 1 to 255, and how they are arranged (default 1)" },
	{ 0, "name", "NAME", false, GROUP_MACHINE, set_name,
	  "name of the machine (default lkvm-PID)" },
	{ 0, "boot", "auto|linux64|pvh", false, GROUP_MACHINE, set_boot,
	  "how the kernel is entered (default auto: by the file)" },
	{ 0, "nodefaults", NULL, false, GROUP_MACHINE, set_nodefaults,
	  "accepted; nothing is added that was not asked for" },

	{ 'd', "disk", "FILE[,KEY=VALUE]...", false, GROUP_DEVICES, set_disk,
	  "raw image or block device: ro, direct, serial=, queues=, discard=" },
	{ 'n', "network", "mode=tap|user|unix|none[,KEY=VALUE]...", false, GROUP_DEVICES,
	  set_network, "network card: mac=, mtu=, ifname=, queues=, vhost=, hostfwd=, socket=" },
	{ 0, "rng", NULL, false, GROUP_DEVICES, set_rng, "entropy from the host" },
	{ 0, "console", "serial|virtio", false, GROUP_DEVICES, set_console,
	  "the console: ttyS0 (default) or hvc0" },
	{ 0, "port", "NAME[,out=FILE][,in=FILE]", false, GROUP_DEVICES, set_port,
	  "named port of a virtio console; FILE may be fd:N" },
	{ 0, "virtio-transport", "pci|mmio", false, GROUP_DEVICES, set_virtio_transport,
	  "what carries virtio devices (default pci)" },
	{ 0, "debug-exit", "PORT", true, GROUP_DEVICES, set_debug_exit,
	  "what the guest writes there is its verdict (default 0xf4)" },

	{ 0, "timeout", "SECONDS", false, GROUP_END, set_timeout, "end the guest after so long" },
	{ 0, "idle-timeout", "SECONDS", false, GROUP_END, set_idle_timeout,
	  "end it after so long without console output" },
	{ 0, "on-reboot", "exit|restart", false, GROUP_END, set_on_reboot,
	  "what a reset of the guest does (default exit)" },
	{ 0, "panic-from-console", "on|off", false, GROUP_END, set_panic_from_console,
	  "take a panic message on the console as a panic (default on)" },

	{ 0, "report", "json=FILE|json=fd:N", false, GROUP_TALK, set_report,
	  "say there how it ended" },
	{ 0, "dump-acpi", "FILE", false, GROUP_TALK, set_dump_acpi, "write the ACPI tables there" },
	{ 0, "loglevel", "error|warning|info|debug", false, GROUP_TALK, set_loglevel,
	  "what to say on standard error (default warning)" },
	{ 'h', "help", NULL, false, GROUP_TALK, set_help, "this text" },

	/* kvmtool's others: refused by name, each with its reason */
	{ 0, "balloon", NULL, false, GROUP_NONE, NULL, "there is no balloon in this version" },
	{ 0, "vsock", "", false, GROUP_NONE, NULL, "there are no vsock devices in this version" },
	{ 0, "vfio-pci", "", false, GROUP_NONE, NULL,
	  "there is no device pass-through in this version" },
	{ 0, "hugetlbfs", "", false, GROUP_NONE, NULL,
	  "guest memory is anonymous memory only in this version" },
	{ 'f', "firmware", "", false, GROUP_NONE, NULL,
	  "kernels are booted directly, without firmware, in this version" },
	{ 'F', "flash", "", false, GROUP_NONE, NULL,
	  "kernels are booted directly, without firmware, in this version" },
	{ 0, "nested", NULL, false, GROUP_NONE, NULL,
	  "nested virtualization is not in this version" },
	{ 0, "pmu", NULL, false, GROUP_NONE, NULL, ONLY_ARM64 },
	{ 0, "disable-mte", NULL, false, GROUP_NONE, NULL, ONLY_ARM64 },
	{ 0, "vcpu-affinity", "", false, GROUP_NONE, NULL, "pinning vCPUs is not in this version" },
	{ 0, "no-pvtime", NULL, false, GROUP_NONE, NULL, ONLY_ARM64 },
	{ 0, "sve-max-vl", "", false, GROUP_NONE, NULL, ONLY_ARM64 },
	{ 0, "dump-dtb", "", false, GROUP_NONE, NULL,
	  "there is none: guests are described by ACPI, see --dump-acpi" },
	{ 0, "irqchip", "", false, GROUP_NONE, NULL, ONLY_ARM64 },
	{ 0, "e2h0", NULL, false, GROUP_NONE, NULL, ONLY_ARM64 },
	{ 0, "counter-offset", "", false, GROUP_NONE, NULL, ONLY_ARM64 },
	{ 0, "firmware-address", "", false, GROUP_NONE, NULL, ONLY_ARM64 },
};

static const struct opt *find(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT(options); i++) {
		if (strlen(options[i].name) == len && !memcmp(options[i].name, name, len))
			return &options[i];
	}
	return NULL;
}

static const struct opt *find_letter(char letter)
{
	for (size_t i = 0; letter && i < COUNT(options); i++) {
		if (options[i].letter == letter)
			return &options[i];
	}
	return NULL;
}

static int apply(struct run_opts *o, const struct opt *opt, const char *attached, int argc,
		 char **argv, int *at)
{
	const char *val = attached;

	if (!opt->set)
		return cli_fail(CLI_BAD_INPUT, "--%s: %s (this lkvm runs %s guests)", opt->name,
				opt->help, lkvm_guest_arch());
	if (!opt->arg && val)
		return cli_fail(CLI_BAD_INPUT, "--%s=%s: takes no value", opt->name, val);
	if (opt->arg && !val && !opt->optional) {
		if (*at + 1 >= argc)
			return cli_fail(CLI_BAD_INPUT, "--%s: a value is needed (%s)", opt->name,
					opt->arg);
		val = argv[++*at];
	}
	return opt->set(o, opt, val);
}

int run_opts_parse(struct run_opts *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i], *attached = NULL;
		const struct opt *opt = NULL;
		int status;

		if (word[0] == '-' && word[1] == '-' && word[2]) {
			const char *eq = strchr(word, '=');

			opt = find(word + 2, eq ? (size_t)(eq - word - 2) : strlen(word + 2));
			attached = eq ? eq + 1 : NULL;
		} else if (word[0] == '-' && word[1] != '-') {
			opt = find_letter(word[1]);
			attached = word[1] && word[2] ? word + 2 : NULL;
		} else {
			return cli_fail(CLI_BAD_INPUT,
					"%s: not an option; the kernel is named by --kernel "
					"and its command line by --params",
					word);
		}
		if (!opt)
			return cli_fail(CLI_BAD_INPUT,
					"%s: unknown option; 'lkvm run --help' lists them", word);
		status = apply(o, opt, attached, argc, argv, &i);
		if (status)
			return status;
	}
	return 0;
}

void run_opts_help(void)
{
	static const char *const titles[] = { "The machine", "Devices", "How it ends",
					      "What lkvm says" };

	printf("usage: lkvm run --kernel FILE [OPTIONS]\n");
	for (enum group g = 0; g < GROUP_NONE; g++) {
		printf("\n%s:\n", titles[g]);
		for (size_t i = 0; i < COUNT(options); i++) {
			const struct opt *opt = &options[i];
			char left[80];

			if (opt->group != g || !opt->set)
				continue;
			snprintf(left, sizeof(left), "%c%c%s--%s%s%s%s", opt->letter ? '-' : ' ',
				 opt->letter ? opt->letter : ' ', opt->letter ? ", " : "  ",
				 opt->name,
				 opt->optional ? "[="
				 : opt->arg    ? " "
					       : "",
				 opt->arg ? opt->arg : "", opt->optional ? "]" : "");
			if (strlen(left) > 34)
				printf("  %s\n  %-34s %s\n", left, "", opt->help);
			else
				printf("  %-34s %s\n", left, opt->help);
		}
	}
	printf("\nOn a terminal, Ctrl-a x ends the guest and Ctrl-a h helps.\n"
	       "Durations are seconds, or have a unit: 1.5, 500ms, 10m.\n");
	printf("\nExit status: 0 power-off or verdict 0, 1-111 the guest's verdict, 112 reset, 113 "
	       "panic,\n"
	       "114 triple fault, 115 KVM internal error, 116 entry refused, 117 idle timeout, 119 "
	       "ended\n"
	       "by the user, 120 bad arguments or input file, 124 timeout, 125 host error, 126 no "
	       "KVM or\n"
	       "not on this host. See lkvm(1).\n");
}
