#include "vmm/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "vmm/arch.h"
#include "vmm/cpumask.h"
#include "vmm/peripherals.h"

#define MAX_TIMEOUT_NS (1000000000 * NSEC_PER_SEC) /* keeps sums with the clock from wrapping */

void lkvm_config_init(struct lkvm_config *cfg)
{
	*cfg = (struct lkvm_config){
		.n_vcpus = 1,
		.mem_size = 256 * MIB,
		.console = { .in_fd = -1, .out_fd = -1 },
		.log_level = LKVM_LOG_WARNING,
	};
}

const char *lkvm_guest_arch(void)
{
	return arch_name;
}

void config_default_name(struct lkvm_config *cfg)
{
	if (!cfg->name[0])
		snprintf(cfg->name, sizeof(cfg->name), "lkvm-%d", (int)getpid());
}

/* The fixed arrays come from a caller: do not read past one that is not terminated. */
static int check_string(const char *option, const char *s, size_t size, struct lkvm_error *err)
{
	if (memchr(s, 0, size))
		return 0;
	return err_input(err, "%s: longer than the %zu bytes allowed", option, size - 1);
}

static int check_strings(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	const struct {
		const char *option;
		const char *s;
		size_t size;
	} strings[] = {
		{ "--name", cfg->name, sizeof(cfg->name) },
		{ "--vcpu-affinity", cfg->vcpu_affinity, sizeof(cfg->vcpu_affinity) },
		{ "--kernel", cfg->kernel, sizeof(cfg->kernel) },
		{ "--firmware", cfg->firmware, sizeof(cfg->firmware) },
		{ "--flash", cfg->flash, sizeof(cfg->flash) },
		{ "--initrd", cfg->initrd, sizeof(cfg->initrd) },
		{ "--params", cfg->cmdline, sizeof(cfg->cmdline) },
		{ "--dump-acpi", cfg->dump_acpi, sizeof(cfg->dump_acpi) },
		{ "--dump-dtb", cfg->dump_dtb, sizeof(cfg->dump_dtb) },
		{ "--dump-cpuid", cfg->x86.dump_cpuid, sizeof(cfg->x86.dump_cpuid) },
		{ "--hugetlbfs", cfg->hugetlbfs, sizeof(cfg->hugetlbfs) },
		{ "--cpu", cfg->x86.cpu, sizeof(cfg->x86.cpu) },
		{ "--snp", cfg->x86.snp.id_block, sizeof(cfg->x86.snp.id_block) },
		{ "--snp", cfg->x86.snp.id_auth, sizeof(cfg->x86.snp.id_auth) },
		{ "--snp", cfg->x86.snp.certs, sizeof(cfg->x86.snp.certs) },
		{ "--snp-report", cfg->x86.snp.report, sizeof(cfg->x86.snp.report) },
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < ARRAY_SIZE(strings); i++)
		ret = check_string(strings[i].option, strings[i].s, strings[i].size, err);
	return ret;
}

static int check_name(const char *option, const char *name, struct lkvm_error *err)
{
	for (const char *p = name; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
			return err_input(
				err, "%s %s: only letters, digits, '-', '_' and '.' are allowed",
				option, name);
	}
	return 0;
}

/* ---- what only some architectures have ---------------------------------------------- */

#define X86   "x86-64"
#define ARM64 "arm64"

#define FIELD(f) \
	.at = offsetof(struct lkvm_config, f), .size = sizeof(((struct lkvm_config *)NULL)->f)
/* "" is not given, whatever is behind it */
#define TEXT(f) .at = offsetof(struct lkvm_config, f), .size = 1

static const struct {
	const char *option;
	size_t at, size;      /* in struct lkvm_config; all zero where guests do not have it */
	const char *archs[2]; /* whose guests have it, by arch_name */
	const char *instead;  /* what the others have, or NULL */
} not_for_all[] = {
	{ "--boot", FIELD(boot), .archs = { X86 } },
	{ "--dump-acpi", TEXT(dump_acpi), .archs = { X86 },
	  .instead = "a device tree, see --dump-dtb" },
	{ "--dump-dtb", TEXT(dump_dtb), .archs = { ARM64 }, .instead = "ACPI, see --dump-acpi" },
	{ "--firmware-address", FIELD(firmware_addr), .archs = { ARM64 } },
	{ "--cpu", TEXT(x86.cpu), .archs = { X86 } },
	{ "--dump-cpuid", TEXT(x86.dump_cpuid), .archs = { X86 } },
	{ "--disable-exits", FIELD(x86.no_exits), .archs = { X86 } },
	{ "--irqchip", FIELD(x86.irqchip), .archs = { X86 } },
	{ "--testdev", FIELD(x86.testdev), .archs = { X86 } },
	{ "--snp", FIELD(x86.snp.on), .archs = { X86 } },
	{ "--snp-report", TEXT(x86.snp.report), .archs = { X86 } },
	{ "--snp-report-abi", FIELD(x86.snp.report_abi), .archs = { X86 } },
	{ "--irqchip", FIELD(arm64.irqchip), .archs = { ARM64 } },
	{ "--e2h0", FIELD(arm64.e2h0), .archs = { ARM64 } },
	{ "--counter-offset", FIELD(arm64.counter_offset), .archs = { ARM64 } },
	{ "--pmu", FIELD(arm64.pmu), .archs = { ARM64 } },
	{ "--pmu", FIELD(arm64.pmu_counters), .archs = { ARM64 } },
	{ "--pmu", TEXT(arm64.pmu_name), .archs = { ARM64 } },
	{ "--pmu", FIELD(arm64.n_pmu_filters), .archs = { ARM64 } },
	{ "--pmu-partition", FIELD(arm64.pmu_partition), .archs = { ARM64 } },
	{ "--pmu-partition-abi", FIELD(arm64.pmu_partition_abi), .archs = { ARM64 } },
	{ "--sve-max-vl", FIELD(arm64.sve_max_vl), .archs = { ARM64 } },
	{ "--disable-mte", FIELD(arm64.no_mte), .archs = { ARM64 } },
	{ "--no-pvtime", FIELD(arm64.no_pvtime), .archs = { ARM64 } },
};

static bool all_zero(const char *p, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (p[i])
			return false;
	}
	return true;
}

static bool is_ours(const char *const archs[2])
{
	return !strcmp(archs[0], arch_name) || (archs[1] && !strcmp(archs[1], arch_name));
}

/* What was asked for is refused rather than left out. */
static int check_others(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(not_for_all); i++) {
		const char *const *archs = not_for_all[i].archs, *instead = not_for_all[i].instead;

		if (is_ours(archs) ||
		    all_zero((const char *)cfg + not_for_all[i].at, not_for_all[i].size))
			continue;
		return err_input(err, "%s: only %s%s%s guests have it%s%s", not_for_all[i].option,
				 archs[0], archs[1] ? " and " : "", archs[1] ? archs[1] : "",
				 instead ? "; others have " : "", instead ? instead : "");
	}
	return 0;
}

/* ---- virtio devices ----------------------------------------------------------------- */

static bool terminated(const char *s, size_t size)
{
	return memchr(s, 0, size) != NULL;
}

static int check_disk(const struct lkvm_disk *disk, struct lkvm_error *err)
{
	if (!terminated(disk->path, sizeof(disk->path)) || !disk->path[0])
		return err_input(err, "--disk: must name a file in 1 to %d bytes",
				 LKVM_DISK_PATH_MAX - 1);
	if (!terminated(disk->serial, sizeof(disk->serial)))
		return err_input(err, "--disk %s: serial= must have at most %d bytes", disk->path,
				 LKVM_SERIAL_MAX - 1);
	for (const char *p = disk->serial; *p; p++) {
		if (*p < ' ' || *p > '~')
			return err_input(err, "--disk %s: serial= must be printable ASCII",
					 disk->path);
	}
	if (disk->queues > LKVM_MAX_QUEUES)
		return err_input(err, "--disk %s: queues=%u must be 1 to %d", disk->path,
				 disk->queues, LKVM_MAX_QUEUES);
	return 0;
}

static const char *const net_modes[] = {
	[LKVM_NET_NONE] = "down",
	[LKVM_NET_TAP] = "tap",
	[LKVM_NET_USER] = "user",
	[LKVM_NET_UNIX] = "unix",
};

/* What only one mode has. */
static int check_net_mode(const struct lkvm_net *net, struct lkvm_error *err)
{
	const struct {
		const char *key;
		bool given;
		enum lkvm_net_mode mode;
	} keys[] = {
		{ "ifname=", net->ifname[0], LKVM_NET_TAP },
		{ "queues=", net->queues > 1, LKVM_NET_TAP },
		{ "vhost=", net->vhost != LKVM_VHOST_AUTO, LKVM_NET_TAP },
		{ "hostfwd=", net->n_hostfwd, LKVM_NET_USER },
		{ "socket=", net->socket[0], LKVM_NET_UNIX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].given && net->mode != keys[i].mode)
			return err_input(err, "--network mode=%s: %s is for mode=%s",
					 net_modes[net->mode], keys[i].key,
					 net_modes[keys[i].mode]);
	}
	if (net->mode == LKVM_NET_UNIX && !net->socket[0])
		return err_input(err, "--network mode=unix: socket= must name a socket");
	return 0;
}

/* What the kernel takes as the name of an interface, but for '%', which makes it choose one. */
static int check_ifname(const char *name, struct lkvm_error *err)
{
	bool ok = strcmp(name, ".") && strcmp(name, "..");

	for (const char *p = name; ok && *p; p++)
		ok = *p > ' ' && *p <= '~' && !strchr("/:%", *p);
	return ok ? 0 : err_input(err, "--network: ifname=%s is no name of an interface", name);
}

static bool is_ipv4(const char *addr, size_t size)
{
	struct in_addr in;

	return terminated(addr, size) && (!addr[0] || inet_pton(AF_INET, addr, &in) == 1);
}

static int check_hostfwd(const struct lkvm_hostfwd *fwd, struct lkvm_error *err)
{
	if (!is_ipv4(fwd->host_addr, sizeof(fwd->host_addr)) ||
	    !is_ipv4(fwd->guest_addr, sizeof(fwd->guest_addr)))
		return err_input(err,
				 "--network: hostfwd=%s:%.15s:%u-%.15s:%u: addresses must be IPv4, "
				 "such as 127.0.0.1, or left out",
				 fwd->udp ? "udp" : "tcp", fwd->host_addr, fwd->host_port,
				 fwd->guest_addr, fwd->guest_port);
	if (!fwd->host_port || !fwd->guest_port)
		return err_input(err, "--network: hostfwd= must have ports, 1 to 65535");
	return 0;
}

static int check_net(const struct lkvm_net *net, struct lkvm_error *err)
{
	int ret;

	if ((unsigned int)net->mode >= ARRAY_SIZE(net_modes))
		return err_input(err, "--network: mode %d is unknown", (int)net->mode);
	if (!terminated(net->ifname, sizeof(net->ifname)) ||
	    !terminated(net->socket, sizeof(net->socket)))
		return err_input(err, "--network: ifname= takes %d bytes, socket= %d",
				 LKVM_IFNAME_MAX - 1, LKVM_SOCKET_MAX - 1);
	if ((unsigned int)net->vhost > LKVM_VHOST_OFF)
		return err_input(err, "--network: vhost=%d is unknown", (int)net->vhost);
	if (net->mac[0] & 1)
		return err_input(err,
				 "--network: mac=%02x:%02x:%02x:%02x:%02x:%02x is a group's; the "
				 "first byte must be even",
				 net->mac[0], net->mac[1], net->mac[2], net->mac[3], net->mac[4],
				 net->mac[5]);
	if (net->mtu && net->mtu < 68)
		return err_input(err, "--network: mtu=%u must be 68 to 65535", net->mtu);
	if (net->queues > LKVM_MAX_QUEUES)
		return err_input(err, "--network: queues=%u must be 1 to %d", net->queues,
				 LKVM_MAX_QUEUES);
	if (net->n_hostfwd > LKVM_MAX_HOSTFWD)
		return err_input(err, "--network: %u times hostfwd=; at most %d are allowed",
				 net->n_hostfwd, LKVM_MAX_HOSTFWD);
	ret = check_net_mode(net, err);
	if (!ret)
		ret = check_ifname(net->ifname, err);
	for (unsigned int i = 0; !ret && i < net->n_hostfwd; i++)
		ret = check_hostfwd(&net->hostfwd[i], err);
	return ret;
}

/* Two forwards that cannot both listen. */
static bool same_host_port(const struct lkvm_hostfwd *a, const struct lkvm_hostfwd *b)
{
	return a->udp == b->udp && a->host_port == b->host_port &&
	       (!a->host_addr[0] || !b->host_addr[0] || !strcmp(a->host_addr, b->host_addr));
}

/* The @n-th forward of all cards, counted from 0; NULL: there are not so many. */
static const struct lkvm_hostfwd *hostfwd_at(const struct lkvm_config *cfg, unsigned int n)
{
	for (unsigned int i = 0; i < cfg->n_nets; i++) {
		if (n < cfg->nets[i].n_hostfwd)
			return &cfg->nets[i].hostfwd[n];
		n -= cfg->nets[i].n_hostfwd;
	}
	return NULL;
}

static int check_host_ports(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	const struct lkvm_hostfwd *a, *b;

	for (unsigned int i = 0; (a = hostfwd_at(cfg, i)); i++) {
		for (unsigned int j = 0; j < i; j++) {
			b = hostfwd_at(cfg, j);
			if (same_host_port(a, b))
				return err_input(err,
						 "--network: hostfwd= has the host's %s port %u "
						 "twice",
						 a->udp ? "udp" : "tcp", a->host_port);
		}
	}
	return 0;
}

static int check_port(const struct lkvm_config *cfg, unsigned int i, struct lkvm_error *err)
{
	const struct lkvm_port *port = &cfg->ports[i];
	int ret;

	if (!terminated(port->name, sizeof(port->name)) || !port->name[0])
		return err_input(err, "--port: must have a name of 1 to %d bytes",
				 LKVM_PORT_NAME_MAX - 1);
	ret = check_name("--port", port->name, err);
	if (ret)
		return ret;
	if (port->io.escape)
		return err_input(err, "--port %s: only the console has an escape byte", port->name);
	for (unsigned int j = 0; j < i; j++) {
		if (!strcmp(cfg->ports[j].name, port->name))
			return err_input(err, "--port %s: is given twice", port->name);
	}
	return 0;
}

static int check_count(const char *option, unsigned int n, unsigned int max, struct lkvm_error *err)
{
	return n <= max ? 0
			: err_input(err, "%s: %u of them; at most %u are allowed", option, n, max);
}

static int check_devices(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	int ret = check_count("--disk", cfg->n_disks, LKVM_MAX_DISKS, err);

	if (!ret)
		ret = check_count("--network", cfg->n_nets, LKVM_MAX_NETS, err);
	if (!ret)
		ret = check_count("--port", cfg->n_ports, LKVM_MAX_PORTS, err);
	if (!ret)
		ret = check_count("virtio devices in all", peripherals_count(cfg), LKVM_MAX_VIRTIO,
				  err);
	for (unsigned int i = 0; !ret && i < cfg->n_disks; i++)
		ret = check_disk(&cfg->disks[i], err);
	for (unsigned int i = 0; !ret && i < cfg->n_nets; i++)
		ret = check_net(&cfg->nets[i], err);
	if (!ret)
		ret = check_host_ports(cfg, err);
	for (unsigned int i = 0; !ret && i < cfg->n_ports; i++)
		ret = check_port(cfg, i, err);
	return ret;
}

/* ---- the machine --------------------------------------------------------------------- */

static int check_affinity(const char *list, struct lkvm_error *err)
{
	struct cpu_mask mask;

	if (!strchr(list, '\n') && !cpu_mask_parse(list, &mask))
		return 0;
	return err_input(err,
			 "--vcpu-affinity %s: must be CPUs of the host such as 0-3,8, each at most "
			 "%d",
			 list, LKVM_MAX_HOST_CPUS - 1);
}

static int check_memory(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	if (cfg->mem_size < LKVM_MIN_MEM || cfg->mem_size > LKVM_MAX_MEM)
		return err_input(err, "--mem: %llu bytes; must be %lluM to %lluG",
				 (unsigned long long)cfg->mem_size,
				 (unsigned long long)(LKVM_MIN_MEM / MIB),
				 (unsigned long long)(LKVM_MAX_MEM / GIB));
	if (cfg->mem_size % 4096)
		return err_input(err, "--mem: %llu bytes is not a multiple of 4 KiB",
				 (unsigned long long)cfg->mem_size);
	if ((unsigned int)cfg->mem_backend > LKVM_MEM_GUEST_MEMFD)
		return err_input(err, "--mem-backend %d is unknown", (int)cfg->mem_backend);
	if (cfg->hugetlbfs[0] && cfg->mem_backend != LKVM_MEM_AUTO &&
	    cfg->mem_backend != LKVM_MEM_HUGETLBFS)
		return err_input(err, "--hugetlbfs %s: is for --mem-backend hugetlbfs",
				 cfg->hugetlbfs);
	return 0;
}

/* What is entered, and what only goes with one of the two. */
static int check_files(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	if (cfg->firmware[0] && cfg->kernel[0] && !arch_firmware_kernels)
		return err_input(err,
				 "--firmware %s: --kernel is given too; it is one or the other",
				 cfg->firmware);
	if (cfg->firmware[0] && cfg->initrd[0] && !cfg->kernel[0])
		return err_input(
			err, "--initrd %s: only a kernel has one; firmware takes it from a disk",
			cfg->initrd);
	if (!cfg->firmware[0] && cfg->firmware_addr)
		return err_input(err, "--firmware-address 0x%llx: is for --firmware",
				 (unsigned long long)cfg->firmware_addr);
	return 0;
}

/* ---- all of it ---------------------------------------------------------------------- */

int lkvm_config_validate(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	int ret = check_strings(cfg, err);

	if (!ret)
		ret = check_name("--name", cfg->name, err);
	if (!ret)
		ret = check_others(cfg, err);
	if (ret)
		return ret;
	if (cfg->n_vcpus < 1 || cfg->n_vcpus > LKVM_MAX_VCPUS)
		return err_input(err, "--cpus %u: must be 1 to %d", cfg->n_vcpus, LKVM_MAX_VCPUS);
	ret = check_memory(cfg, err);
	if (ret)
		return ret;
	if (!cfg->kernel[0] && !cfg->firmware[0])
		return err_input(err, "--kernel: a kernel file is needed, or --firmware");
	if (cfg->timeout_ns > MAX_TIMEOUT_NS || cfg->idle_timeout_ns > MAX_TIMEOUT_NS)
		return err_input(err, "--timeout, --idle-timeout: at most %llu s",
				 (unsigned long long)(MAX_TIMEOUT_NS / NSEC_PER_SEC));
	if (cfg->boot > LKVM_BOOT_PVH)
		return err_input(err, "boot protocol %d is unknown", (int)cfg->boot);
	if (cfg->on_reboot > LKVM_ON_REBOOT_RESTART)
		return err_input(err, "--on-reboot %d is unknown", (int)cfg->on_reboot);
	if ((unsigned int)cfg->virtio_transport > LKVM_VIRTIO_MMIO)
		return err_input(err, "--virtio-transport %d is unknown",
				 (int)cfg->virtio_transport);
	ret = check_affinity(cfg->vcpu_affinity, err);
	if (!ret)
		ret = check_devices(cfg, err);
	if (!ret)
		ret = check_files(cfg, err);
	return ret ? ret : arch_validate(cfg, err);
}
