/*
 * cli_opts.c - the options of `lkvm run`, as one table.
 *
 * Spelling is kvmtool's where it has the option. Parsing fills a struct and has no
 * other effect; what the fields mean together is judged by lkvm_config_validate().
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli.h"

int opt_bad(const struct opt *opt, const char *val, const char *allowed)
{
	return cli_fail(CLI_BAD_INPUT, "--%s %s: must be %s", opt->name, cli_shown(val), allowed);
}

/* ---- values that are a field of the config ------------------------------------------ */

static void *field(struct run_opts *o, const struct opt *opt)
{
	return (char *)&o->cfg + opt->at;
}

static int set_flag(struct run_opts *o, const struct opt *opt, const char *val)
{
	(void)val;
	*(bool *)field(o, opt) = true;
	return 0;
}

static int set_text(struct run_opts *o, const struct opt *opt, const char *val)
{
	size_t len = strlen(val);

	if (len >= opt->size)
		return cli_fail(CLI_BAD_INPUT, "--%s: %zu bytes; at most %zu are allowed",
				opt->name, len, opt->size - 1);
	memcpy(field(o, opt), val, len + 1);
	return 0;
}

static int set_file(struct run_opts *o, const struct opt *opt, const char *val)
{
	return *val ? set_text(o, opt, val) : opt_bad(opt, val, "a file");
}

static int set_name(struct run_opts *o, const struct opt *opt, const char *val)
{
	return *val ? set_text(o, opt, val) : opt_bad(opt, val, "a name");
}

static int set_cpu_list(struct run_opts *o, const struct opt *opt, const char *val)
{
	return *val ? set_text(o, opt, val) : opt_bad(opt, val, "CPUs of the host such as 0-3,8");
}

/* Not 0, which means the usual place; how far the others reach is the library's to judge. */
static int set_address(struct run_opts *o, const struct opt *opt, const char *val)
{
	unsigned long long addr;

	if (!cli_number_in(val, 1, UINT64_MAX, &addr))
		return opt_bad(opt, val, opt->allowed);
	*(uint64_t *)field(o, opt) = addr;
	return 0;
}

/* "a|b|c" as "a, b or c" */
static void spell_words(const char *words, char *text, size_t size)
{
	size_t n = 0;

	for (const char *p = words; *p && n + 5 < size; p++) {
		const char *sep = strchr(p + 1, '|') ? ", " : " or ";

		if (*p == '|')
			n += (size_t)snprintf(text + n, size - n, "%s", sep);
		else
			text[n++] = *p;
	}
	text[n] = 0;
}

/* One of the words of @opt->arg, by its number: an enum, or a bool where there are two. */
static int set_word(struct run_opts *o, const struct opt *opt, const char *val)
{
	char allowed[80];
	unsigned int i = 0;

	for (const char *p = opt->arg; p; p = strchr(p, '|'), i++) {
		size_t len;

		p += *p == '|';
		len = strcspn(p, "|");
		if (strlen(val) != len || memcmp(p, val, len))
			continue;
		if (opt->size == sizeof(bool))
			*(bool *)field(o, opt) = i;
		else
			memcpy(field(o, opt), &i, sizeof(i));
		return 0;
	}
	spell_words(opt->arg, allowed, sizeof(allowed));
	return opt_bad(opt, val, allowed);
}

_Static_assert(sizeof(enum lkvm_boot) == sizeof(unsigned int), "set_word() counts on it");

/* ---- machine ------------------------------------------------------------------------ */

#define CPUS_ALLOWED "N[,sockets=S][,cores=C][,threads=T], each 1 to 1024"

static bool cpu_count(const char *s, size_t len, unsigned int *count)
{
	unsigned long long n;
	char *end;

	if (!cli_number(s, &n, &end) || end != s + len || n < 1 || n > LKVM_MAX_VCPUS)
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
		return opt_bad(opt, val, CPUS_ALLOWED);
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
			return opt_bad(opt, val, CPUS_ALLOWED);
	}
	return 0;
}

static int set_mem(struct run_opts *o, const struct opt *opt, const char *val)
{
	static const char allowed[] = "a size such as 256 (MiB), 512M, 4G, from 4M to 4T";
	unsigned long long n;
	unsigned int shift = 20;
	char *end;

	if (!cli_number(val, &n, &end))
		return opt_bad(opt, val, allowed);
	if (*end) {
		static const char units[] = "kKmMgGtT";
		const char *unit = strchr(units, *end);

		if (end[1] || !unit)
			return opt_bad(opt, val, allowed);
		shift = 10 * (1 + (unsigned int)(unit - units) / 2);
	}
	if (n > LKVM_MAX_MEM >> shift || n << shift < LKVM_MIN_MEM)
		return opt_bad(opt, val, allowed);
	o->cfg.mem_size = n << shift;
	return 0;
}

static int set_hugetlbfs(struct run_opts *o, const struct opt *opt, const char *val)
{
	return *val ? set_text(o, opt, val) : opt_bad(opt, val, "a mounted hugetlbfs");
}

static int set_cpu_model(struct run_opts *o, const struct opt *opt, const char *val)
{
	return *val ? set_text(o, opt, val)
		    : opt_bad(opt, val, "host or conservative, then ,+NAME or ,-NAME");
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

static int set_port(struct run_opts *o, const struct opt *opt, const char *val)
{
	(void)opt;
	return cli_port(o, val);
}

static int set_pvpanic(struct run_opts *o, const struct opt *opt, const char *val)
{
	if (strcmp(val, "pci") != 0)
		return opt_bad(opt, val, "pci");
	o->cfg.pvpanic_pci = true;
	return 0;
}

/* Where it is a port, that word means the usual one. */
static int set_debug_exit(struct run_opts *o, const struct opt *opt, const char *val)
{
	bool usual = !val || (!strcmp(opt->arg, "PORT") && !strcmp(val, "port"));

	o->cfg.debug_exit = true;
	o->cfg.debug_exit_addr = 0;
	return usual ? 0 : set_address(o, opt, val);
}

/* ---- the end ------------------------------------------------------------------------ */

static int set_duration(const struct opt *opt, const char *val, uint64_t *ns)
{
	static const char allowed[] = "seconds above 0, such as 60, 1.5, or with a unit 500ms, 10m";
	double seconds, scale = 1;
	char *end;

	/* strtod() would also take signs, blanks, words and hexadecimal */
	if (strspn(val, "0123456789.") == 0 || val[0] == '.')
		return opt_bad(opt, val, allowed);
	seconds = strtod(val, &end);
	if (!strcmp(end, "ms"))
		scale = 1e-3;
	else if (!strcmp(end, "m"))
		scale = 60;
	else if (*end && strcmp(end, "s"))
		return opt_bad(opt, val, allowed);
	seconds *= scale;
	if (end - val > (long)strspn(val, "0123456789.") || !(seconds >= 1e-6) || seconds > 1e9)
		return opt_bad(opt, val, allowed);
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

/* ---- what it tells ------------------------------------------------------------------ */

static int set_report(struct run_opts *o, const struct opt *opt, const char *val)
{
	if (strncmp(val, "json=", 5) || !val[5] || !strcmp(val, "json=-"))
		return opt_bad(opt, val, "json=FILE or json=fd:N (json=fd:1 is standard output)");
	o->report_arg = val + 5;
	return 0;
}

static int set_stats(struct run_opts *o, const struct opt *opt, const char *val)
{
	(void)opt;
	(void)val;
	o->stats = true;
	return 0;
}

static int set_help(struct run_opts *o, const struct opt *opt, const char *val)
{
	(void)opt;
	(void)val;
	o->help = true;
	return 0;
}

/* clang-format off */
#define FIELD(f)	.at = offsetof(struct lkvm_config, f), \
			.size = sizeof(((struct lkvm_config *)NULL)->f)
#define FLAG(f)		.set = set_flag, FIELD(f)
#define TEXT(f)		.set = set_text, FIELD(f)
#define FILENAME(f)	.set = set_file, FIELD(f)
#define WORD(f)		.set = set_word, FIELD(f)

#define X86	.only = { "x86-64" }
#define ARM64	.only = { "arm64" }

static const struct opt options[] = {
	{ 'k', "kernel", "FILE", X86, .group = GROUP_MACHINE, FILENAME(kernel),
	  .help = "kernel: bzImage, or uncompressed ELF (vmlinux)" },
	{ 'k', "kernel", "FILE", ARM64, .group = GROUP_MACHINE, FILENAME(kernel),
	  .help = "kernel: Image, also gzip'd or an EFI zboot, or ELF (vmlinux)" },
	{ 'i', "initrd", "FILE", .group = GROUP_MACHINE, FILENAME(initrd),
	  .help = "initial RAM disk" },
	{ 'p', "params", "TEXT", .group = GROUP_MACHINE, TEXT(cmdline),
	  .help = "kernel command line; nothing is added, not even console=ttyS0" },
	{ 'f', "firmware", "FILE", ARM64, .group = GROUP_MACHINE, FILENAME(firmware),
	  .help = "firmware instead of a kernel: raw code" },
	{ 'f', "firmware", "FILE", X86, .group = GROUP_MACHINE, FILENAME(firmware),
	  .help = "firmware instead of a kernel, such as OVMF's code" },
	{ 0, "firmware-address", "ADDR", ARM64, .group = GROUP_MACHINE,
	  .set = set_address, FIELD(firmware_addr),
	  .allowed = "an address in memory, such as 0x80000000",
	  .help = "where it is put (default 0x80000000)" },
	{ 'm', "mem", "SIZE", .group = GROUP_MACHINE, .set = set_mem,
	  .help = "memory, MiB or with K, M, G, T (default 256M)" },
	{ 0, "mem-backend", "auto|anon|memfd|hugetlbfs|guest-memfd", .group = GROUP_MACHINE,
	  WORD(mem_backend), .help = "what memory is made of (default auto: anon)" },
	{ 0, "hugetlbfs", "PATH", .group = GROUP_MACHINE, .set = set_hugetlbfs, FIELD(hugetlbfs),
	  .help = "memory of huge pages from where that is mounted" },
	{ 0, "mem-prefault", .group = GROUP_MACHINE, FLAG(mem_prefault),
	  .help = "take all memory from the host at the start" },
	{ 0, "mem-lock", .group = GROUP_MACHINE, FLAG(mem_lock),
	  .help = "and keep it there: it is never swapped out" },
	{ 0, "thp", "on|off", .group = GROUP_MACHINE, WORD(no_thp),
	  .help = "transparent huge pages (default on)" },
	{ 'c', "cpus", "N[,sockets=S][,cores=C][,threads=T]", .group = GROUP_MACHINE,
	  .set = set_cpus, .help = "vCPUs, 1 to 1024, and how they are arranged (default 1)" },
	{ 0, "vcpu-affinity", "LIST", .group = GROUP_MACHINE, .set = set_cpu_list,
	  FIELD(vcpu_affinity), .help = "CPUs of the host that vCPUs run on, such as 0-3,8" },
	{ 0, "name", "NAME", .group = GROUP_MACHINE, .set = set_name, FIELD(name),
	  .help = "name of the machine (default lkvm-PID)" },
	{ 0, "boot", "auto|linux64|pvh", X86, .group = GROUP_MACHINE, WORD(boot),
	  .help = "how the kernel is entered (default auto: by the file)" },
	{ 0, "nodefaults", .group = GROUP_MACHINE, .set = set_nodefaults,
	  .help = "accepted; nothing is added that was not asked for" },

	{ 0, "nested", .group = GROUP_CPU, FLAG(nested),
	  .help = "the guest can be a hypervisor" },
	{ 0, "cpu", "host|conservative[,+NAME][,-NAME]...", X86, .group = GROUP_CPU,
	  .set = set_cpu_model, FIELD(x86.cpu),
	  .help = "CPU model; names are those of /proc/cpuinfo (default host)" },
	{ 0, "disable-exits", "mwait,hlt,pause,cstate,aperfmperf", X86, .group = GROUP_CPU,
	  .set = opt_disable_exits, .help = "what vCPUs do without leaving the guest" },
	{ 0, "snp", "KEY=VALUE,...", .optional = true, X86, .group = GROUP_CPU, .set = opt_snp,
	  .help = "SEV-SNP: policy=, smt=, single-socket=, debug=, id-block=, id-auth=, "
		  "author-key, host-data=, certs=" },
	{ 0, "snp-report", "FILE", X86, .group = GROUP_CPU, FILENAME(x86.snp.report),
	  .help = "write the guest's attestation report there" },
	{ 0, "snp-report-abi", "auto|v4|v7", X86, .group = GROUP_CPU, WORD(x86.snp.report_abi),
	  .help = "how KVM is asked for it (default auto)" },
	{ 0, "e2h0", ARM64, .group = GROUP_CPU, FLAG(arm64.e2h0),
	  .help = "with --nested: EL2 without VHE" },
	{ 0, "counter-offset", "TICKS", ARM64, .group = GROUP_CPU, .set = opt_counter_offset,
	  .help = "how far the guest's counters lag behind the host's" },
	{ 0, "pmu", "counters=N,filter=F,host=NAME", .optional = true, ARM64,
	  .group = GROUP_CPU, .set = opt_pmu, .help = "a PMU; F is allow:A-B or deny:A-B" },
	{ 0, "pmu-partition", "N", ARM64, .group = GROUP_CPU, .set = opt_pmu_partition,
	  .help = "N event counters of the host's PMU are the guest's own" },
	{ 0, "pmu-partition-abi", "auto|ioctl|attr", ARM64, .group = GROUP_CPU,
	  WORD(arm64.pmu_partition_abi), .help = "how KVM is asked for them (default auto)" },
	{ 0, "sve-max-vl", "BITS", ARM64, .group = GROUP_CPU, .set = opt_sve_max_vl,
	  .help = "longest SVE vector, 128 to 2048 (default the host's)" },
	{ 0, "disable-mte", ARM64, .group = GROUP_CPU, FLAG(arm64.no_mte),
	  .help = "no memory tagging" },
	{ 0, "no-pvtime", ARM64, .group = GROUP_CPU, FLAG(arm64.no_pvtime),
	  .help = "no steal time" },

	{ 'd', "disk", "FILE[,KEY=VALUE]...", .group = GROUP_DEVICES, .set = set_disk,
	  .help = "raw image or block device: ro, direct, serial=, queues=, discard=" },
	{ 'n', "network", "mode=tap|user|unix|down|none[,KEY=VALUE]...", .group = GROUP_DEVICES,
	  .set = set_network,
	  .help = "network card: mac=, mtu=, ifname=, queues=, vhost=, hostfwd=, socket=" },
	{ 0, "rng", .group = GROUP_DEVICES, FLAG(rng), .help = "entropy from the host" },
	{ 0, "console", "serial|virtio", .group = GROUP_DEVICES, WORD(virtio_console),
	  .help = "the console: ttyS0 (default) or hvc0" },
	{ 0, "port", "NAME[,out=FILE][,in=FILE]", .group = GROUP_DEVICES, .set = set_port,
	  .help = "named port of a virtio console; FILE may be fd:N" },
	{ 0, "virtio-transport", "pci|mmio", .group = GROUP_DEVICES, WORD(virtio_transport),
	  .help = "what carries virtio devices (default pci)" },
	{ 0, "irqchip", "auto|gicv2|gicv2m|gicv3|gicv3-its", ARM64, .group = GROUP_DEVICES,
	  WORD(arm64.irqchip),
	  .help = "interrupt controller (default auto: the last that the host has)" },
	{ 0, "irqchip", "auto|kernel|split", X86, .group = GROUP_DEVICES, WORD(x86.irqchip),
	  .help = "interrupt controllers: KVM's, or an I/O APIC of lkvm's (default auto)" },
	{ 0, "testdev", X86, .group = GROUP_DEVICES, FLAG(x86.testdev),
	  .help = "the devices that kvm-unit-tests want" },
	{ 'F', "flash", "FILE", .group = GROUP_DEVICES, FILENAME(flash),
	  .help = "image of a flash memory, which the guest writes to" },
	{ 0, "pvpanic", "pci", .group = GROUP_DEVICES, .set = set_pvpanic,
	  .help = "pvpanic is a PCI device, not where it usually is" },
	{ 0, "debug-exit", "PORT", .optional = true, X86, .group = GROUP_DEVICES,
	  .set = set_debug_exit, FIELD(debug_exit_addr),
	  .allowed = "a port, 1 to 0xfffc, such as 0xf4",
	  .help = "what the guest writes there is its verdict (default 0xf4)" },
	{ 0, "debug-exit", "ADDR", .optional = true, ARM64, .group = GROUP_DEVICES,
	  .set = set_debug_exit, FIELD(debug_exit_addr),
	  .allowed = "an address, a multiple of 4, such as 0x1050000",
	  .help = "what the guest writes there is its verdict (default 0x1050000)" },

	{ 0, "timeout", "SECONDS", .group = GROUP_END, .set = set_timeout,
	  .help = "end the guest after so long" },
	{ 0, "idle-timeout", "SECONDS", .group = GROUP_END, .set = set_idle_timeout,
	  .help = "end it after so long without console output" },
	{ 0, "on-reboot", "exit|restart", .group = GROUP_END, WORD(on_reboot),
	  .help = "what a reset of the guest does (default exit)" },
	{ 0, "panic-from-console", "on|off", .group = GROUP_END, WORD(no_console_panic),
	  .help = "take a panic message on the console as a panic (default on)" },

	{ 0, "report", "json=FILE|json=fd:N", .group = GROUP_TALK, .set = set_report,
	  .help = "say there how it ended" },
	{ 0, "stats", .group = GROUP_TALK, .set = set_stats,
	  .help = "say KVM's statistics at the end, also in the report" },
	{ 0, "dump-acpi", "FILE", X86, .group = GROUP_TALK, FILENAME(dump_acpi),
	  .help = "write the ACPI tables there",
	  .elsewhere = "there are none: guests are described by a device tree, see --dump-dtb" },
	{ 0, "dump-cpuid", "FILE", X86, .group = GROUP_TALK, FILENAME(x86.dump_cpuid),
	  .help = "write there what the first vCPU's CPUID shows, and why" },
	{ 0, "dump-dtb", "FILE", ARM64, .group = GROUP_TALK, FILENAME(dump_dtb),
	  .help = "write the device tree there",
	  .elsewhere = "there is none: guests are described by ACPI, see --dump-acpi" },
	{ 0, "loglevel", "error|warning|info|debug", .group = GROUP_TALK, WORD(log_level),
	  .help = "what to say on standard error (default warning)" },
	{ 'h', "help", .group = GROUP_TALK, .set = set_help, .help = "this text" },

	/* kvmtool's others: refused by name, each with its reason */
	{ 0, "balloon", .group = GROUP_NONE, .help = "there is no balloon in this version" },
	{ 0, "vsock", "", .group = GROUP_NONE,
	  .help = "there are no vsock devices in this version" },
	{ 0, "vfio-pci", "", .group = GROUP_NONE,
	  .help = "there is no device pass-through in this version" },
	{ 0, "aarch32", .group = GROUP_NONE,
	  .help = "lkvm runs 64-bit guests only" },
};
/* clang-format on */

/* This lkvm's guests have it. */
static bool is_ours(const struct opt *opt)
{
	bool ours = !opt->only[0];

	for (size_t i = 0; !ours && i < COUNT(opt->only) && opt->only[i]; i++)
		ours = !strcmp(opt->only[i], lkvm_guest_arch());
	return ours;
}

/* Of two architectures' options of one name, ours; by name, or by letter if @name is NULL. */
static const struct opt *find(const char *name, size_t len, char letter)
{
	const struct opt *other = NULL;

	for (size_t i = 0; i < COUNT(options); i++) {
		const struct opt *opt = &options[i];

		if (name ? strlen(opt->name) != len || memcmp(opt->name, name, len)
			 : !letter || opt->letter != letter)
			continue;
		if (is_ours(opt))
			return opt;
		other = opt;
	}
	return other;
}

static int refuse(const struct opt *opt)
{
	const char *why = opt->set ? opt->elsewhere : opt->help;

	if (why)
		return cli_fail(CLI_BAD_INPUT, "--%s: %s (this lkvm runs %s guests)", opt->name,
				why, lkvm_guest_arch());
	return cli_fail(CLI_BAD_INPUT,
			"--%s: only %s%s%s guests have it (this lkvm runs %s guests)", opt->name,
			opt->only[0], opt->only[1] ? " and " : "", opt->only[1] ? opt->only[1] : "",
			lkvm_guest_arch());
}

static int apply(struct run_opts *o, const struct opt *opt, const char *attached, int argc,
		 char **argv, int *at)
{
	const char *val = attached;

	if (!opt->set || !is_ours(opt))
		return refuse(opt);
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
			size_t len = strcspn(word + 2, "=,");

			/* --snp,policy=0x30000 is --snp=policy=0x30000 */
			opt = find(word + 2, len, 0);
			if (opt && word[2 + len] == ',' && !opt->optional)
				opt = NULL;
			attached = word[2 + len] ? word + 2 + len + 1 : NULL;
		} else if (word[0] == '-' && word[1] != '-') {
			opt = find(NULL, 0, word[1]);
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

#define HELP_LEFT  37 /* columns of what an option looks like */
#define HELP_WIDTH 100

/* From column HELP_LEFT on. */
static void put_wrapped(const char *text)
{
	int column = HELP_LEFT;

	for (;;) {
		int len = (int)strcspn(text, " ");

		printf("%.*s", len, text);
		column += len + 1;
		text += len;
		if (!*text)
			break;
		text++;
		if (column + (int)strcspn(text, " ") <= HELP_WIDTH) {
			putchar(' ');
			continue;
		}
		printf("\n%*s", HELP_LEFT, "");
		column = HELP_LEFT;
	}
	putchar('\n');
}

static void help_on(const struct opt *opt)
{
	char left[80];

	snprintf(left, sizeof(left), "  %c%c%s--%s%s%s%s", opt->letter ? '-' : ' ',
		 opt->letter ? opt->letter : ' ', opt->letter ? ", " : "  ", opt->name,
		 opt->optional ? "[="
		 : opt->arg    ? " "
			       : "",
		 opt->arg ? opt->arg : "", opt->optional ? "]" : "");
	printf("%-*s", HELP_LEFT, left);
	if (strlen(left) >= HELP_LEFT)
		printf("\n%*s", HELP_LEFT, "");
	put_wrapped(opt->help);
}

void run_opts_help(void)
{
	static const char *const titles[] = {
		[GROUP_MACHINE] = "The machine", [GROUP_CPU] = "CPUs",
		[GROUP_DEVICES] = "Devices",	 [GROUP_END] = "How it ends",
		[GROUP_TALK] = "What lkvm says",
	};

	printf("usage: lkvm run --kernel FILE%s [OPTIONS]\n",
	       is_ours(find("firmware", strlen("firmware"), 0)) ? " | --firmware FILE" : "");
	for (enum opt_group g = 0; g < GROUP_NONE; g++) {
		bool any = false;

		for (size_t i = 0; i < COUNT(options); i++) {
			if (options[i].group != g || !is_ours(&options[i]))
				continue;
			if (!any)
				printf("\n%s:\n", titles[g]);
			any = true;
			help_on(&options[i]);
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
