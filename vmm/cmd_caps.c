/* cmd_caps.c - `lkvm caps`: what this host's KVM has for guests, and why it lacks the rest. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "vmm/cli.h"

struct caps_opts {
	bool json, help;
	char **require; /* values of --require, in the place of options already read */
	int n_require;
};

#define X86   "x86-64"
#define ARM64 "arm64"

/* What a feature is, in the words of the manual. */
static const struct {
	const char *name;
	const char *arch; /* the guests that have it, by lkvm_guest_arch(); NULL: all */
	const char *text;
} meanings[] = {
	{ "api", NULL, "version of KVM's interface" },
	{ "statistics", NULL, "--stats: what KVM counts" },
	{ "guest-memfd", NULL, "guest memory that the host's user space need not map" },
	{ "nested", NULL, "--nested: the guest can be a hypervisor" },

	{ "e2h0", ARM64, "--e2h0: nested without VHE" },
	{ "pmu", ARM64, "--pmu: event counters" },
	{ "pmu-partition", ARM64, "--pmu-partition, by either of the next two" },
	{ "pmu-partition-ioctl", ARM64,
	  "--pmu-partition by the ioctl of versions 2 to 4 of the series" },
	{ "pmu-partition-attr", ARM64,
	  "--pmu-partition by the vCPU attribute of version 6 and later; "
	  "whether the host sets counters aside shows at the start" },
	{ "gicv2", ARM64, "--irqchip gicv2, gicv2m" },
	{ "gicv3", ARM64, "--irqchip gicv3" },
	{ "its", ARM64, "--irqchip gicv3-its" },
	{ "sve", ARM64, "SVE; the longest vector in bits" },
	{ "mte", ARM64, "memory tagging" },
	{ "ptrauth", ARM64, "pointer authentication" },
	{ "counter-offset", ARM64, "--counter-offset: counters that lag behind" },
	{ "steal-time", ARM64, "the guest is told of time that others took" },
	{ "aarch32", ARM64, "32-bit guests" },

	{ "irqchip", X86, "PIC, I/O APIC and local APICs in KVM; lkvm needs them" },
	{ "split-irqchip", X86, "--irqchip split: local APICs alone in KVM" },
	{ "pit", X86, "the PIT in KVM; lkvm needs it" },
	{ "tsc-deadline", X86, "the local APIC's TSC deadline timer" },
	{ "max-vcpus", X86, "--cpus: as many as KVM makes" },
	{ "max-vcpu-ids", X86, "and from so many ids, which have gaps by the topology" },
	{ "x2apic-api", X86,
	  "what can be chosen of the x2APIC: mask of 1 32-bit ids, 2 id 255, 4 and 8 EOIs" },
	{ "x2apic-32bit-ids", X86, "more than 255 vCPUs" },
	{ "x2apic-id-255", X86, "the id 255 is that of one vCPU" },
	{ "eoi-broadcast", X86, "whether guests can suppress EOI broadcasts" },
	{ "sregs2", X86, "special registers with the PDPTEs" },
	{ "one-reg", X86, "registers of a vCPU one by one" },
	{ "xsave2", X86, "extended registers, however large; in bytes" },
	{ "nested-state", X86, "KVM can nest; the state of a nested guest in bytes" },
	{ "disable-exits", X86,
	  "what may run without an exit: mask of 1 MWAIT, 2 HLT, 4 PAUSE, "
	  "8 C-states, 16 APERF and MPERF" },
	{ "mwait", X86, "--disable-exits mwait: MONITOR and MWAIT without an exit" },
	{ "hlt", X86, "--disable-exits hlt: HLT without an exit" },
	{ "pause", X86, "--disable-exits pause: PAUSE without an exit" },
	{ "cstate", X86, "--disable-exits cstate: residency counters without an exit" },
	{ "aperfmperf", X86, "--disable-exits aperfmperf: APERF and MPERF without an exit" },
	{ "shstk", X86, "CET shadow stacks" },
	{ "ibt", X86, "CET indirect branch tracking" },
	{ "lkgs", X86, "the instruction LKGS" },
	{ "fred", X86, "flexible return and event delivery" },
	{ "arch-capabilities", X86, "the register IA32_ARCH_CAPABILITIES" },
	{ "sev", X86, "VMs with AMD SEV" },
	{ "sev-es", X86, "VMs with AMD SEV-ES" },
	{ "sev-snp", X86, "--snp: VMs with AMD SEV-SNP" },
	{ "snp-policy", X86, "bits of a policy that KVM takes, as a mask" },
	{ "snp-certs", X86, "--snp certs=: guests get certificates with their reports" },
	{ "snp-report", X86, "--snp-report: reports that the hypervisor asks for" },
	{ "tdx", X86, "VMs with Intel TDX" },
	{ "guest-memfd-mmap", X86, "--mem-backend guest-memfd" },
	{ "memory-attributes", X86, "memory that is the guest's own, page by page" },
	{ "exit-hypercall", X86, "a guest says which memory is to be its own" },
	{ "pre-fault", X86, "memory mapped for the guest before it runs" },
	{ "dirty-ring", X86, "rings of the pages a guest wrote to; the largest in bytes" },
	{ "huge-pages-2m", X86, "--mem-backend hugetlbfs: pages of 2 MiB that are free" },
	{ "huge-pages-1g", X86, "pages of 1 GiB that are free" },
};

/* KVM's capabilities that `lkvm caps` lists for guests of one architecture only. */
static const char *const x86_caps[] = {
	"KVM_CAP_EXIT_HYPERCALL",     "KVM_CAP_IRQCHIP",
	"KVM_CAP_KVMCLOCK_CTRL",      "KVM_CAP_MEMORY_FAULT_INFO",
	"KVM_CAP_NESTED_STATE",	      "KVM_CAP_PIT2",
	"KVM_CAP_SPLIT_IRQCHIP",      "KVM_CAP_SREGS2",
	"KVM_CAP_TSC_CONTROL",	      "KVM_CAP_TSC_DEADLINE_TIMER",
	"KVM_CAP_VM_TSC_CONTROL",     "KVM_CAP_VM_TYPES",
	"KVM_CAP_X2APIC_API",	      "KVM_CAP_X86_DISABLE_EXITS",
	"KVM_CAP_X86_NOTIFY_VMEXIT",  "KVM_CAP_X86_TRIPLE_FAULT_EVENT",
	"KVM_CAP_X86_USER_SPACE_MSR", "KVM_CAP_XSAVE2",
	"KVM_CAP_DIRTY_LOG_RING",     "KVM_CAP_GUEST_MEMFD_FLAGS",
	"KVM_CAP_PRE_FAULT_MEMORY",   "KVM_CAP_SYS_ATTRIBUTES",
};

static const char *const arm64_caps[] = {
	"KVM_CAP_ARM_EL1_32BIT",
	"KVM_CAP_ARM_EL2",
	"KVM_CAP_ARM_EL2_E2H0",
	"KVM_CAP_ARM_IRQ_LINE_LAYOUT_2",
	"KVM_CAP_ARM_MTE",
	"KVM_CAP_ARM_NISV_TO_USER",
	"KVM_CAP_ARM_PMU_V3",
	"KVM_CAP_ARM_PSCI_0_2",
	"KVM_CAP_ARM_PTRAUTH_ADDRESS",
	"KVM_CAP_ARM_PTRAUTH_GENERIC",
	"KVM_CAP_ARM_SEA_TO_USER",
	"KVM_CAP_ARM_SVE",
	"KVM_CAP_ARM_SYSTEM_SUSPEND",
	"KVM_CAP_ARM_VM_IPA_SIZE",
	"KVM_CAP_ARM_WRITABLE_IMP_ID_REGS",
	"KVM_CAP_COUNTER_OFFSET",
	"KVM_CAP_DEVICE_CTRL",
	"KVM_CAP_GUEST_DEBUG_HW_BPS",
	"KVM_CAP_GUEST_DEBUG_HW_WPS",
	"KVM_CAP_PTP_KVM",
	"KVM_CAP_STEAL_TIME",
	"KVM_CAP_VCPU_ATTRIBUTES",
};

static const char *meaning(const char *name)
{
	for (size_t i = 0; i < COUNT(meanings); i++) {
		if (!strcmp(meanings[i].name, name))
			return meanings[i].text;
	}
	return "";
}

/* ---- for people --------------------------------------------------------------------- */

static void print_feature(const struct lkvm_cap *cap)
{
	char value[24] = "";

	if (cap->available)
		snprintf(value, sizeof(value), "%lld", (long long)cap->value);
	printf("  %-20s %-3s %8s  %s\n", cap->name, cap->available ? "yes" : "no", value,
	       meaning(cap->name));
	if (cap->available)
		return;
	printf("%38swhy not: %s\n", "", cap->reason);
	if (cap->remedy[0])
		printf("%38sit takes: %s\n", "", cap->remedy);
}

static void print_kvm(const struct lkvm_cap *cap)
{
	if (cap->available)
		printf("  %-34s yes %8lld\n", cap->name, (long long)cap->value);
	else
		printf("  %-34s no\n", cap->name);
}

static void print_text(const struct lkvm_caps *caps)
{
	printf("What this host's KVM has for %s guests, with its value, and what it lacks.\n",
	       lkvm_guest_arch());
	printf("\nFeatures:\n");
	for (unsigned int i = 0; i < caps->n; i++) {
		if (caps->caps[i].kind == LKVM_CAP_FEATURE)
			print_feature(&caps->caps[i]);
	}
	printf("\nKVM's capabilities that lkvm can use:\n");
	for (unsigned int i = 0; i < caps->n; i++) {
		if (caps->caps[i].kind == LKVM_CAP_KVM)
			print_kvm(&caps->caps[i]);
	}
}

/* ---- for programs ------------------------------------------------------------------- */

static json_t *text_or_null(const char *s)
{
	return *s ? json_string(s) : json_null();
}

static json_t *feature_json(const struct lkvm_cap *cap)
{
	return json_pack("{s:b, s:o, s:o, s:o}", "available", cap->available, "value",
			 cap->available ? json_integer((json_int_t)cap->value) : json_null(),
			 "reason", text_or_null(cap->reason), "remedy", text_or_null(cap->remedy));
}

static int print_json(const struct lkvm_caps *caps)
{
	json_t *features = json_object(), *kvm = json_object(), *all;
	int ret;

	for (unsigned int i = 0; i < caps->n; i++) {
		const struct lkvm_cap *cap = &caps->caps[i];

		if (cap->kind == LKVM_CAP_FEATURE)
			json_object_set_new(features, cap->name, feature_json(cap));
		else
			json_object_set_new(kvm, cap->name, json_integer((json_int_t)cap->value));
	}
	all = json_pack("{s:s, s:i, s:o, s:o}", "arch", lkvm_guest_arch(), "api_version",
			caps->api_version, "features", features, "kvm", kvm);
	ret = all ? json_dumpf(all, stdout, JSON_INDENT(2)) : -1;
	json_decref(all);
	return ret || puts("") < 0 ? -1 : 0;
}

/* ---- for scripts -------------------------------------------------------------------- */

static const struct lkvm_cap *find(const struct lkvm_caps *caps, const char *name)
{
	for (unsigned int i = 0; i < caps->n; i++) {
		if (!strcmp(caps->caps[i].name, name))
			return &caps->caps[i];
	}
	return NULL;
}

static bool is_among(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(names[i], name))
			return true;
	}
	return false;
}

/* Whose guests have what ours do not; NULL: it is unknown. */
static const char *whose(const char *name)
{
	for (size_t i = 0; i < COUNT(meanings); i++) {
		if (!strcmp(meanings[i].name, name))
			return meanings[i].arch;
	}
	if (is_among(x86_caps, COUNT(x86_caps), name))
		return X86;
	return is_among(arm64_caps, COUNT(arm64_caps), name) ? ARM64 : NULL;
}

static int unknown(const struct lkvm_caps *caps, const char *list, const char *name)
{
	char known[2048] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < caps->n && len < sizeof(known); i++) {
		if (caps->caps[i].kind == LKVM_CAP_FEATURE)
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s, ",
						caps->caps[i].name);
	}
	return cli_fail(CLI_BAD_INPUT,
			"--require %s: '%s' is unknown; there are %sand KVM_CAP_ names of 'lkvm "
			"caps'",
			list, name, known);
}

/* Without a message for what is there; the status gets worse only: 0, 126, 120. */
static int require(const struct lkvm_caps *caps, const char *list, int status)
{
	const char *p = list;

	while (p) {
		const struct lkvm_cap *cap;
		char name[64];

		if (!cli_next_word(&p, name, sizeof(name)))
			return unknown(caps, list, "...");
		cap = find(caps, name);
		if (cap && cap->available)
			continue;
		if (cap)
			status = cli_fail(CLI_UNSUPPORTED, "%s: %s%s%s", name, cap->reason,
					  cap->remedy[0] ? "; it takes " : "", cap->remedy);
		else if (whose(name))
			status = cli_fail(CLI_UNSUPPORTED,
					  "%s: only %s guests have it (this lkvm runs %s guests)",
					  name, whose(name), lkvm_guest_arch());
		else
			return unknown(caps, list, name);
	}
	return status;
}

/* ---- the command -------------------------------------------------------------------- */

static void print_help(void)
{
	printf("usage: lkvm caps [--json] [--require NAME[,NAME]...]\n\n"
	       "What this host's KVM has for guests, and what would change the rest.\n\n"
	       "  --json                   as JSON; lkvm(1) has its form\n"
	       "  --require NAME[,NAME]... print nothing, say by the exit status whether all\n"
	       "                           are there: 0 or 126\n"
	       "  -h, --help               this text\n");
}

static int parse(struct caps_opts *o, int argc, char **argv)
{
	static const char require[] = "--require";

	o->require = argv;
	for (int i = 1; i < argc; i++) {
		char *word = argv[i];

		if (!strcmp(word, "--json")) {
			o->json = true;
		} else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
			o->help = true;
		} else if (!strcmp(word, require)) {
			if (++i == argc)
				return cli_fail(CLI_BAD_INPUT,
						"--require: a value is needed (NAME[,NAME]...)");
			o->require[o->n_require++] = argv[i];
		} else if (!strncmp(word, require, sizeof(require) - 1) &&
			   word[sizeof(require) - 1] == '=') {
			o->require[o->n_require++] = word + sizeof(require);
		} else {
			return cli_fail(CLI_BAD_INPUT,
					"%s: unknown option; 'lkvm caps --help' lists them", word);
		}
	}
	return 0;
}

int cmd_caps(int argc, char **argv)
{
	static struct lkvm_caps caps; /* too large for a comfortable stack frame */
	struct lkvm_error err = { 0 };
	struct caps_opts o = { 0 };
	int status = parse(&o, argc, argv), failed = 0;

	if (status)
		return status;
	if (o.help) {
		print_help();
		return CLI_OK;
	}
	if (lkvm_caps_probe(&caps, &err))
		return cli_fail_error(&err);
	for (int i = 0; i < o.n_require && status != CLI_BAD_INPUT; i++)
		status = require(&caps, o.require[i], status);
	if (status == CLI_BAD_INPUT)
		return status;
	if (o.json)
		failed = print_json(&caps);
	else if (!o.n_require)
		print_text(&caps);
	if (fflush(stdout) || ferror(stdout) || failed)
		return cli_fail(CLI_HOST_ERROR, "standard output cannot be written: %s",
				strerror(errno));
	return status;
}
