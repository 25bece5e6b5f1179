/*
 * lkvm.h - create, boot, drive and tear down virtual machines on Linux KVM.
 *
 *	struct lkvm_config cfg;
 *	struct lkvm_error err = { 0 };
 *	struct lkvm_vm *vm;
 *	struct lkvm_result res;
 *
 *	lkvm_config_init(&cfg);
 *	snprintf(cfg.kernel, sizeof(cfg.kernel), "vmlinuz");
 *	cfg.console.out_fd = 1;
 *	if (lkvm_vm_create(&cfg, &vm, &err) || lkvm_vm_start(vm, &err))
 *		fprintf(stderr, "%s\n", err.msg);
 *	else if (!lkvm_vm_wait(vm, 60 * 1000))
 *		lkvm_vm_result(vm, &res);
 *	lkvm_vm_destroy(vm);
 *
 * Every call returns: the library never exits, aborts, prints, installs a signal
 * handler or changes process-wide state. A process may hold any number of
 * machines; two of them share nothing.
 *
 * Functions return 0 or a negative errno. Where they take a struct lkvm_error
 * (may be NULL) they leave one sentence there on failure; zero it before a call.
 * A machine may be driven from any thread and its functions may be called
 * concurrently, but lkvm_vm_destroy() must be the last call. From its own callbacks only
 * lkvm_vm_stop(), lkvm_vm_state() and lkvm_vm_console_write() may be called.
 *
 * vCPU threads are interrupted by SIGURG, sent to those threads alone and blocked there: an
 * embedder may use it for itself, but one that is sent to the whole process may be lost.
 */
#ifndef LKVM_H
#define LKVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Inside the library everything else is hidden. */
#pragma GCC visibility push(default)

#define LKVM_VERSION_MAJOR 0
#define LKVM_VERSION_MINOR 1
#define LKVM_VERSION_PATCH 0

/* The guests this library runs: "x86-64" or "arm64". */
const char *lkvm_guest_arch(void);

/* ---- errors and messages ------------------------------------------------------------ */

/* Whose fault a failure is. */
enum lkvm_error_kind {
	LKVM_ERR_NONE = 0,
	LKVM_ERR_INPUT,	      /* an option or an input file is wrong; nothing was started */
	LKVM_ERR_UNSUPPORTED, /* /dev/kvm or this host lacks what was asked for */
	LKVM_ERR_HOST,	      /* a call to the host failed */
};

struct lkvm_error {
	enum lkvm_error_kind kind;
	int code; /* negative errno */
	char msg[512];
};

enum lkvm_log_level {
	LKVM_LOG_ERROR = 0,
	LKVM_LOG_WARNING,
	LKVM_LOG_INFO,
	LKVM_LOG_DEBUG,
};

/*
 * One message, no newline, valid during the call only. Called from any thread of the machine,
 * possibly with its locks held: it must not block, and of the library may call only what
 * callbacks may (see above).
 */
typedef void (*lkvm_log_fn)(void *ctx, enum lkvm_log_level level, const char *msg);

/* ---- what this host can do --------------------------------------------------------------- */

enum lkvm_cap_kind {
	LKVM_CAP_FEATURE, /* of lkvm: what an option of `lkvm run` needs, "nested", "pmu", ... */
	LKVM_CAP_KVM,	  /* a KVM_CAP_* that lkvm can use, under that name */
};

struct lkvm_cap {
	char name[48];
	enum lkvm_cap_kind kind;
	bool available;
	int64_t value;	  /* what KVM says: a number, a mask, or 1 */
	char reason[160]; /* not available: why not */
	char remedy[160]; /* and what would change that; "" = nothing */
};

#define LKVM_MAX_CAPS 160

struct lkvm_caps {
	int api_version; /* of KVM: 12 */
	unsigned int n;
	struct lkvm_cap caps[LKVM_MAX_CAPS];
};

/*
 * Ask this host's KVM, by virtual machines that are made for it and gone afterwards. Without a
 * usable KVM: LKVM_ERR_UNSUPPORTED.
 */
int lkvm_caps_probe(struct lkvm_caps *caps, struct lkvm_error *err);

/* ---- configuration ------------------------------------------------------------------- */

#define LKVM_NAME_MAX	 64   /* bytes, with the final NUL */
#define LKVM_PATH_MAX	 4096 /* bytes, with the final NUL */
#define LKVM_CMDLINE_MAX 4096 /* bytes, with the final NUL; a kernel may take less */
#define LKVM_MAX_VCPUS	   1024 /* x86; arm64 takes 255 */
#define LKVM_MAX_HOST_CPUS 1024 /* that vCPUs can be pinned to: 0..1023 */
#define LKVM_CPULIST_MAX   256	/* bytes, with the final NUL */

#define LKVM_MIN_MEM ((uint64_t)4 << 20) /* bytes */
#define LKVM_MAX_MEM ((uint64_t)4 << 40) /* bytes; what the CPU can address may be less */

/* How the kernel file is entered. */
enum lkvm_boot {
	LKVM_BOOT_AUTO = 0, /* by the file: bzImage 64-bit; ELF by PVH where it has the note, by
			       Multiboot where it has that header */
	LKVM_BOOT_LINUX64,  /* x86: the 64-bit entry of the Linux boot protocol */
	LKVM_BOOT_PVH,	    /* x86: the 32-bit PVH entry of an ELF file */
};

enum lkvm_on_reboot {
	LKVM_ON_REBOOT_EXIT = 0, /* a reset ends the machine (LKVM_CAUSE_RESET) */
	LKVM_ON_REBOOT_RESTART,	 /* a reset boots it again from its files, with fresh memory */
};

/*
 * The host side of the machine's (primary) console. Either a pair of descriptors, which stay the
 * caller's (never closed, never made non-blocking, terminal modes never touched),
 * or functions, or one of each per direction. With neither, output is dropped.
 */
struct lkvm_console {
	int in_fd;  /* guest input is read from here; -1: none. EOF ends input, not the guest */
	int out_fd; /* guest output is written here; -1: none */

	/*
	 * Guest output, instead of out_fd. Called on the machine's loop thread; must not
	 * block for long: the guest waits once the bounded buffer behind it is full.
	 */
	void (*out)(void *ctx, const void *data, size_t len);
	void *ctx;

	/*
	 * 0, or the escape byte (1 is Ctrl-a) that is looked for in input from in_fd:
	 * escape x ends the machine, escape h shows help on the output, escape twice
	 * sends the byte itself.
	 */
	uint8_t escape;
};

/* ---- virtio devices ------------------------------------------------------------------ */

#define LKVM_MAX_VIRTIO	   31 /* virtio devices in all */
#define LKVM_MAX_DISKS	   31
#define LKVM_MAX_NETS	   8
#define LKVM_MAX_PORTS	   16	/* named console ports */
#define LKVM_MAX_HOSTFWD   16	/* per network card */
#define LKVM_MAX_QUEUES	   8	/* of a disk, and queue pairs of a network card */
#define LKVM_DISK_PATH_MAX 1024 /* bytes, with the final NUL */
#define LKVM_SERIAL_MAX	   21	/* bytes, with the final NUL */
#define LKVM_IFNAME_MAX	   16	/* bytes, with the final NUL */
#define LKVM_SOCKET_MAX	   108	/* bytes, with the final NUL */
#define LKVM_PORT_NAME_MAX 64	/* bytes, with the final NUL */

enum lkvm_virtio_transport {
	LKVM_VIRTIO_PCI = 0,
	LKVM_VIRTIO_MMIO,
};

/* A raw image or a block device; nothing is guessed from its contents. */
struct lkvm_disk {
	char path[LKVM_DISK_PATH_MAX];
	bool readonly;
	bool direct;		      /* O_DIRECT: past the host's page cache */
	bool discard;		      /* the guest may give space back */
	unsigned int queues;	      /* 1..LKVM_MAX_QUEUES; 0 = 1 */
	char serial[LKVM_SERIAL_MAX]; /* printable; "" = none */
};

enum lkvm_net_mode {
	LKVM_NET_NONE = 0, /* a card with its cable out */
	LKVM_NET_TAP,	   /* a tap interface of the host */
	/*
	 * libslirp: no privileges, NAT, DHCP, DNS, port forwards. The guest reaches services of the
	 * host's loopback, through 10.0.2.2.
	 */
	LKVM_NET_USER,
	LKVM_NET_UNIX, /* a stream socket that somebody listens on, such as passt's */
};

/* Whether the kernel moves a tap's frames by itself (/dev/vhost-net). */
enum lkvm_vhost {
	LKVM_VHOST_AUTO = 0, /* where the host has it */
	LKVM_VHOST_ON,	     /* or the VM is not made */
	LKVM_VHOST_OFF,
};

/* A port of the host that leads into the guest (LKVM_NET_USER). */
struct lkvm_hostfwd {
	bool udp;
	char host_addr[16];  /* dotted IPv4; "" = all addresses */
	uint16_t host_port;  /* 1..65535 */
	char guest_addr[16]; /* dotted IPv4; "" = the one DHCP gives first */
	uint16_t guest_port; /* 1..65535 */
};

struct lkvm_net {
	enum lkvm_net_mode mode;
	uint8_t mac[6];	       /* all 0 = derived from the card's number: the same in every run */
	uint16_t mtu;	       /* told to the guest; 0 = not told, else 68..65535 */
	unsigned int queues;   /* queue pairs (tap); 0 = 1 */
	enum lkvm_vhost vhost; /* tap */
	char ifname[LKVM_IFNAME_MAX]; /* tap: "" = one is made, and goes with the VM */
	char socket[LKVM_SOCKET_MAX]; /* unix */
	unsigned int n_hostfwd;
	struct lkvm_hostfwd hostfwd[LKVM_MAX_HOSTFWD];
};

/*
 * A further port of the virtio console: /dev/virtio-ports/NAME in a Linux guest. One without output
 * is closed at the end of its input, so that its reader in the guest sees the end; what a Linux
 * guest writes to it from then on waits for ever.
 */
struct lkvm_port {
	char name[LKVM_PORT_NAME_MAX]; /* letters, digits, '-', '_', '.' */
	struct lkvm_console io;	       /* its escape must be 0 */
};

/* ---- arm64 ----------------------------------------------------------------------------- */

enum lkvm_irqchip {
	LKVM_IRQCHIP_AUTO = 0, /* the last of these that the host has */
	LKVM_IRQCHIP_GICV2,    /* at most 8 vCPUs */
	LKVM_IRQCHIP_GICV2M,   /* and messages, by a GICv2m frame */
	LKVM_IRQCHIP_GICV3,
	LKVM_IRQCHIP_GICV3_ITS, /* and messages */
};

/* How KVM is asked to partition the PMU: two posted interfaces, none in a released kernel. */
enum lkvm_pmu_partition_abi {
	LKVM_PMU_PARTITION_AUTO = 0, /* whichever a probe that changes nothing finds */
	LKVM_PMU_PARTITION_IOCTL,    /* KVM_ARM_PARTITION_PMU, versions 2 to 4 of the series */
	LKVM_PMU_PARTITION_ATTR,     /* ..._ENABLE_PARTITION, version 6 and later */
};

#define LKVM_MAX_PMU_FILTERS  32
#define LKVM_MAX_PMU_COUNTERS 31 /* event counters; the cycle counter comes on top */
#define LKVM_PMU_NAME_MAX     64 /* bytes, with the final NUL */

/* Events [first, last] are given to the guest or kept from it; the first filter decides on the
 * others: the opposite. */
struct lkvm_pmu_filter {
	bool deny;
	uint16_t first, last;
};

/* ---- x86-64 ---------------------------------------------------------------------------- */

/* What vCPUs do without leaving the guest: the bits of KVM_CAP_X86_DISABLE_EXITS. */
#define LKVM_X86_NO_EXIT_MWAIT	    (1u << 0)
#define LKVM_X86_NO_EXIT_HLT	    (1u << 1)
#define LKVM_X86_NO_EXIT_PAUSE	    (1u << 2)
#define LKVM_X86_NO_EXIT_CSTATE	    (1u << 3)
#define LKVM_X86_NO_EXIT_APERFMPERF (1u << 4) /* vCPUs are pinned 1:1, the TSC is not scaled */
#define LKVM_X86_NO_EXIT_ALL	    0x1fu

enum lkvm_x86_irqchip {
	LKVM_X86_IRQCHIP_AUTO = 0, /* kernel, but split where an APIC id needs more than 8 bits */
	LKVM_X86_IRQCHIP_KERNEL,   /* PIC, PIT, I/O APIC and local APICs are KVM's */
	LKVM_X86_IRQCHIP_SPLIT, /* local APICs are KVM's; an I/O APIC of our own; no PIC, no PIT */
};

/* How KVM is asked for a report (KVM_SEV_SNP_HV_REPORT_REQ): posted, in no released kernel. */
enum lkvm_snp_report_abi {
	LKVM_SNP_REPORT_AUTO = 0, /* version 7, if a probe that changes nothing finds it */
	LKVM_SNP_REPORT_V4,	  /* number 103: means something else on Linux 7.0 and later */
	LKVM_SNP_REPORT_V7,	  /* number 104 */
};

#define LKVM_SNP_POLICY_DEFAULT ((uint64_t)0x30000) /* SMT allowed, no debugging */
#define LKVM_SNP_HOST_DATA_LEN	32

/* A guest under AMD's SEV-SNP; boots by cfg->firmware, which has SEV metadata. */
struct lkvm_snp {
	bool on;
	uint64_t policy;	      /* SNP ABI 1.58, table 9; 0 = LKVM_SNP_POLICY_DEFAULT */
	char id_block[LKVM_PATH_MAX]; /* "" = none; 96 bytes (table 75), with @id_auth */
	char id_auth[LKVM_PATH_MAX];  /* 4096 bytes (table 76) */
	bool author_key;	      /* @id_auth has an author key */
	uint8_t host_data[LKVM_SNP_HOST_DATA_LEN];
	char certs[LKVM_PATH_MAX];  /* what extended guest requests get; "" = nothing */
	char report[LKVM_PATH_MAX]; /* written after the launch: the raw report; "" = none */
	enum lkvm_snp_report_abi report_abi;
};

#define LKVM_CPU_MAX 1024 /* bytes, with the final NUL */

/* What only x86-64 guests have; all zero is the default, and needed for other guests. */
struct lkvm_x86 {
	/*
	 * The CPU model: "host" (all that KVM offers and lkvm can use; what "" is too) or
	 * "conservative" (what CPUs have had for ten years), then ",+NAME" or ",-NAME" with the
	 * names of /proc/cpuinfo.
	 */
	char cpu[LKVM_CPU_MAX];
	char dump_cpuid[LKVM_PATH_MAX]; /* "" = no; write there what the first vCPU shows, and why
					 */
	unsigned int no_exits;		/* LKVM_X86_NO_EXIT_* */
	enum lkvm_x86_irqchip irqchip;
	bool testdev; /* the devices that kvm-unit-tests expect */
	struct lkvm_snp snp;
};

/* What only arm64 guests have; all zero is the default, and needed for other guests. */
struct lkvm_arm64 {
	enum lkvm_irqchip irqchip;

	bool e2h0;		 /* without VHE; with nested, else ignored with a warning */
	uint64_t counter_offset; /* ticks that the guest's counters lag behind; 0 = none */

	bool pmu;
	unsigned int pmu_counters; /* 1..LKVM_MAX_PMU_COUNTERS; 0 = all there are; with @pmu */
	/*
	 * Where the host's CPUs differ: whose PMU, by its name in /sys/bus/event_source/devices.
	 * vCPUs are pinned to its CPUs. "" = the one that covers all CPUs vCPUs may run on.
	 */
	char pmu_name[LKVM_PMU_NAME_MAX];
	unsigned int n_pmu_filters;
	struct lkvm_pmu_filter pmu_filters[LKVM_MAX_PMU_FILTERS];
	/* That many event counters of the host's PMU are the guest's own; 0 = no; implies @pmu. */
	unsigned int pmu_partition;
	enum lkvm_pmu_partition_abi pmu_partition_abi;

	unsigned int sve_max_vl; /* bits, a multiple of 128 up to 2048; 0 = the host's */
	bool no_mte;
	bool no_pvtime; /* no steal time */
};

/* What RAM is made of. */
enum lkvm_mem_backend {
	LKVM_MEM_AUTO = 0,    /* anon; memfd where another process is to see it; guest-memfd if
				 the guest's memory is private (SEV-SNP) */
	LKVM_MEM_ANON,	      /* private anonymous memory */
	LKVM_MEM_MEMFD,	      /* shared, by memfd_create(2) */
	LKVM_MEM_HUGETLBFS,   /* shared huge pages */
	LKVM_MEM_GUEST_MEMFD, /* KVM's guest_memfd, mapped: Linux 6.18 */
};

/* Plain data: fill it by hand or field by field; lkvm_config_init() sets the defaults. */
struct lkvm_config {
	char name[LKVM_NAME_MAX]; /* letters, digits, '-', '_', '.'; "" = lkvm-PID */

	unsigned int n_vcpus; /* 1..LKVM_MAX_VCPUS */
	unsigned int sockets; /* 0 = derived; sockets * cores * threads == n_vcpus */
	unsigned int cores;   /* per socket */
	unsigned int threads; /* per core */

	uint64_t mem_size; /* bytes, a multiple of 4 KiB */

	enum lkvm_mem_backend mem_backend;
	char hugetlbfs[LKVM_PATH_MAX]; /* a mounted hugetlbfs, which AUTO then means; "" = none:
					  HUGETLBFS takes huge pages of the default size */
	bool mem_prefault;	       /* all of it is there before the guest starts */
	bool mem_lock;		       /* and stays: mlock2(2) */
	bool no_thp;		       /* without transparent huge pages */

	/* The guest can be a hypervisor: arm64 EL2, x86 VMX or SVM. */
	bool nested;

	char vcpu_affinity[LKVM_CPULIST_MAX]; /* the host's CPUs vCPUs run on, "0-3,8"; "" = any */

	/* One of @kernel and @firmware; on x86 both, if firmware is to start the kernel. */
	char kernel[LKVM_PATH_MAX];
	/*
	 * arm64: raw code, entered at its first byte; no initrd. x86: what ends at 4 GiB, entered
	 * at the reset vector, such as OVMF; with its variables in @flash.
	 */
	char firmware[LKVM_PATH_MAX];
	uint64_t firmware_addr;	    /* arm64: where in RAM; 0 = at its start */
	char flash[LKVM_PATH_MAX];  /* image of the flash memory, written to; "" = none */
	char initrd[LKVM_PATH_MAX]; /* "" = none */
	char cmdline[LKVM_CMDLINE_MAX];
	enum lkvm_boot boot;

	struct lkvm_console console;
	bool virtio_console; /* @console is a virtio console's (hvc0); the serial port still writes
				to it */

	enum lkvm_virtio_transport virtio_transport;
	unsigned int n_disks;
	struct lkvm_disk disks[LKVM_MAX_DISKS];
	unsigned int n_nets;
	struct lkvm_net nets[LKVM_MAX_NETS];
	unsigned int n_ports; /* more than 0 brings a virtio console as well */
	struct lkvm_port ports[LKVM_MAX_PORTS];
	bool rng; /* entropy from the host */

	uint64_t timeout_ns;	  /* 0 = none; wall time from lkvm_vm_start() */
	uint64_t idle_timeout_ns; /* 0 = none; without a byte of console output */
	enum lkvm_on_reboot on_reboot;
	bool no_console_panic; /* do not take "Kernel panic - not syncing" on a console as a panic
				*/

	/* A register with which the guest ends the machine with a verdict. */
	bool debug_exit;
	uint64_t debug_exit_addr; /* 0 = the architecture's usual place; x86: a port */

	bool pvpanic_pci; /* pvpanic is a PCI device, not where the architecture usually has it */

	char dump_acpi[LKVM_PATH_MAX]; /* "" = no; x86: write the ACPI tables there */
	char dump_dtb[LKVM_PATH_MAX];  /* "" = no; arm64: write the device tree there */

	struct lkvm_x86 x86;
	struct lkvm_arm64 arm64;

	lkvm_log_fn log; /* NULL = silent */
	void *log_ctx;
	enum lkvm_log_level log_level;
};

/* Defaults: 1 vCPU, 256 MiB, no console, warnings, everything else off. */
void lkvm_config_init(struct lkvm_config *cfg);

/*
 * Check the fields against each other and against the limits above, touching no
 * file and no device. lkvm_vm_create() does the same first.
 * -EINVAL with a sentence naming the option, its value and what is allowed.
 */
int lkvm_config_validate(const struct lkvm_config *cfg, struct lkvm_error *err);

/* ---- how it ended ---------------------------------------------------------------------- */

enum lkvm_cause {
	LKVM_CAUSE_NONE = 0,	   /* still running */
	LKVM_CAUSE_POWEROFF,	   /* the guest powered off */
	LKVM_CAUSE_VERDICT,	   /* debug-exit: the guest's own verdict */
	LKVM_CAUSE_RESET,	   /* the guest reset itself */
	LKVM_CAUSE_PANIC,	   /* pvpanic, or the panic line on a console */
	LKVM_CAUSE_TRIPLE_FAULT,   /* x86: shutdown of a vCPU */
	LKVM_CAUSE_INTERNAL_ERROR, /* KVM gave up, or no progress is possible */
	LKVM_CAUSE_ENTRY_FAILED,   /* KVM refused to enter the guest */
	LKVM_CAUSE_IDLE_TIMEOUT,   /* idle_timeout_ns */
	LKVM_CAUSE_EXPECT_FAILED,  /* reserved */
	LKVM_CAUSE_USER,	   /* lkvm_vm_stop(), or the console escape */
	LKVM_CAUSE_TIMEOUT,	   /* timeout_ns */
	LKVM_CAUSE_HOST_ERROR,	   /* a host call failed while the machine ran */
	LKVM_N_CAUSES,
};

/* "power-off", "guest-panic", ...: static text for any value of the enum. */
const char *lkvm_cause_name(enum lkvm_cause cause);

/* Phases of a start, as CLOCK_MONOTONIC nanoseconds; 0 = not reached. */
enum lkvm_phase {
	LKVM_PHASE_START,	  /* lkvm_vm_create() entered */
	LKVM_PHASE_MEMORY,	  /* guest memory in place */
	LKVM_PHASE_KERNEL,	  /* kernel, initrd and tables loaded */
	LKVM_PHASE_FIRST_RUN,	  /* the first KVM_RUN, just before it */
	LKVM_PHASE_FIRST_CONSOLE, /* the first byte the guest wrote to a console */
	LKVM_PHASE_END,		  /* the cause was known */
	LKVM_N_PHASES,
};

const char *lkvm_phase_name(enum lkvm_phase phase);

/* Exits are counted by KVM's exit reason (KVM_EXIT_*). */
#define LKVM_N_EXIT_REASONS 64

/* "io", "mmio", ...; NULL for a number without a name. */
const char *lkvm_exit_reason_name(unsigned int reason);

struct lkvm_result {
	enum lkvm_cause cause;
	int exit_status;      /* what `lkvm run` ends with; see the table in lkvm(1) */
	uint64_t verdict;     /* LKVM_CAUSE_VERDICT: the exact value */
	int host_error;	      /* LKVM_CAUSE_HOST_ERROR: negative errno */
	unsigned int n_vcpus; /* how many lkvm_vm_vcpu_state() knows */
	unsigned int n_boots; /* 1 + restarts */
	uint64_t phase_ns[LKVM_N_PHASES];
	uint64_t exits[LKVM_N_EXIT_REASONS]; /* summed over vCPUs */
	uint64_t unclaimed_accesses;	     /* to ports or addresses no device answers */
	uint64_t console_bytes;		     /* written by the guest */
	uint64_t console_lost; /* of these, not delivered because the host side failed */
	char detail[512];      /* one sentence on the cause */
};

enum lkvm_stat_unit {
	LKVM_STAT_NONE = 0,
	LKVM_STAT_BYTES,
	LKVM_STAT_SECONDS,
	LKVM_STAT_CYCLES,
	LKVM_STAT_BOOLEAN,
};

enum lkvm_stat_type {
	LKVM_STAT_CUMULATIVE = 0,
	LKVM_STAT_INSTANT,
	LKVM_STAT_PEAK,
	LKVM_STAT_LINEAR_HISTOGRAM,
	LKVM_STAT_LOG_HISTOGRAM,
};

/* One of KVM's statistics (KVM_GET_STATS_FD): @value * base^@exponent units. */
struct lkvm_stat {
	char name[56];
	enum lkvm_stat_type type;
	enum lkvm_stat_unit unit;
	bool base2; /* the base is 2, not 10 */
	int16_t exponent;
	uint64_t value; /* of a histogram: the sum of its buckets */
};

#define LKVM_N_LAST_EXITS 16
#define LKVM_MAX_REGS	  64

struct lkvm_reg {
	char name[16];
	uint64_t value;
};

struct lkvm_last_exit {
	uint32_t reason;
	uint8_t size; /* of the access, bytes; 0: none */
	bool write;
	uint64_t addr; /* port or guest-physical address, or the error detail of the reason */
	uint64_t data;
};

/* A vCPU as it was when the machine ended for one of the causes that call for a post mortem. */
struct lkvm_vcpu_state {
	unsigned int n_regs; /* 0: registers were not captured */
	struct lkvm_reg regs[LKVM_MAX_REGS];
	unsigned int n_exits; /* oldest first */
	struct lkvm_last_exit exits[LKVM_N_LAST_EXITS];
	char symbol[160];      /* "function+0x12" of the program counter, or "" */
	char symbol_note[160]; /* why there is no symbol, or "" */
};

/* ---- life cycle ---------------------------------------------------------------------- */

struct lkvm_vm;

enum lkvm_state {
	LKVM_STATE_CREATED,
	LKVM_STATE_RUNNING,
	LKVM_STATE_PAUSED,
	LKVM_STATE_STOPPED,
};

/*
 * Build a machine and load its files. @cfg is copied. On failure nothing is left
 * behind, *@vm is NULL and @err says why, its kind telling input, missing host
 * feature and host failure apart.
 */
int lkvm_vm_create(const struct lkvm_config *cfg, struct lkvm_vm **vm, struct lkvm_error *err);

/* CREATED -> RUNNING. -EINVAL in any other state. */
int lkvm_vm_start(struct lkvm_vm *vm, struct lkvm_error *err);

/* RUNNING -> PAUSED: no vCPU executes guest code once this returns. -EINVAL in other states. */
int lkvm_vm_pause(struct lkvm_vm *vm);

/* PAUSED -> RUNNING. -EINVAL in other states. */
int lkvm_vm_resume(struct lkvm_vm *vm);

/* End the machine with LKVM_CAUSE_USER unless it ended before. Does not wait. Any state. */
int lkvm_vm_stop(struct lkvm_vm *vm);

/*
 * Wait until the machine is STOPPED: all vCPUs have left the guest and all console
 * output was delivered. @timeout_ms < 0 waits for ever. -ETIMEDOUT, or -EINVAL for
 * a machine that was never started.
 */
int lkvm_vm_wait(struct lkvm_vm *vm, int timeout_ms);

/* Becomes readable (POLLIN) when the machine is STOPPED; owned by @vm, do not read or close it. */
int lkvm_vm_stopped_fd(const struct lkvm_vm *vm);

enum lkvm_state lkvm_vm_state(const struct lkvm_vm *vm);

/* The config in force, defaults filled in; valid as long as @vm. */
const struct lkvm_config *lkvm_vm_config(const struct lkvm_vm *vm);

/* What is known so far; final once STOPPED. */
int lkvm_vm_result(struct lkvm_vm *vm, struct lkvm_result *res);

/* Post mortem of vCPU @index, once STOPPED. -EINVAL before, -ENOENT past the last vCPU. */
int lkvm_vm_vcpu_state(struct lkvm_vm *vm, unsigned int index, struct lkvm_vcpu_state *state);

/*
 * KVM's statistics of the machine (@vcpu < 0) or of one vCPU: up to @max of them into @stats, in
 * KVM's order. How many there are in all, or -errno: -ENOENT past the last vCPU, -ENOTTY where
 * KVM has none. Any state; a restart begins them anew.
 */
int lkvm_vm_stats(struct lkvm_vm *vm, int vcpu, struct lkvm_stat *stats, unsigned int max);

/*
 * Input for the guest's console, for machines without in_fd. Takes what fits into
 * the bounded buffer and returns how many bytes that was, 0 to @len.
 */
long lkvm_vm_console_write(struct lkvm_vm *vm, const void *data, size_t len);

/*
 * The terminal behind the console has this size now; a virtio console tells its guest. 0 x 0:
 * unknown. Any state.
 */
void lkvm_vm_console_resize(struct lkvm_vm *vm, uint16_t cols, uint16_t rows);

/* Stop if need be and release everything. NULL is allowed. Always returns. */
void lkvm_vm_destroy(struct lkvm_vm *vm);

/* ---- SEV-SNP attestation reports -------------------------------------------------------- */

#define LKVM_SNP_REPORT_LEN 1184 /* bytes of a raw report; one with a 32-byte header is 1216 */

/* Versions of parts of the platform (SNP ABI 2.2): bytes, lowest first as in the report. */
struct lkvm_snp_tcb {
	bool has_fmc; /* Turin and later */
	uint8_t fmc, boot_loader, tee, snp, microcode;
	uint64_t raw;
};

/* A report taken apart (SNP ABI table 23). Byte arrays are as in the report. */
struct lkvm_snp_report {
	uint32_t version; /* 2 to 5 */
	uint32_t guest_svn;
	uint64_t policy;
	uint8_t family_id[16], image_id[16];
	uint32_t vmpl;		 /* 0xffffffff: asked for by the hypervisor */
	uint32_t signature_algo; /* 1: ECDSA P-384 with SHA-384 */
	struct lkvm_snp_tcb current_tcb, reported_tcb, committed_tcb, launch_tcb;
	uint64_t platform_info;
	bool author_key_en, mask_chip_key;
	uint32_t signing_key; /* 0: VCEK, 1: VLEK, 7: none */
	uint8_t report_data[64], measurement[48], host_data[32];
	uint8_t id_key_digest[48], author_key_digest[48];
	uint8_t report_id[32], report_id_ma[32];
	bool has_cpuid; /* from version 3 on */
	uint8_t cpuid_family, cpuid_model, cpuid_stepping;
	uint8_t chip_id[64];
	uint8_t current_build, current_minor, current_major;
	uint8_t committed_build, committed_minor, committed_major;
	bool has_mit_vectors; /* from version 5 on */
	uint64_t launch_mit_vector, current_mit_vector;
	uint8_t signature_r[72], signature_s[72]; /* little endian */
};

/* A raw report, or one behind its 32-byte header. LKVM_ERR_INPUT for what is none. */
int lkvm_snp_report_decode(const void *data, size_t len, struct lkvm_snp_report *report,
			   struct lkvm_error *err);

/*
 * The report is signed by the key of the certificate in the PEM file @vcek. 0; LKVM_ERR_INPUT when
 * it is not, or when file or report are no such thing; LKVM_ERR_UNSUPPORTED without libcrypto,
 * which is loaded for this call.
 */
int lkvm_snp_report_verify(const void *data, size_t len, const char *vcek, struct lkvm_error *err);

/* "SMT", "DEBUG", ...: what the bit of a policy allows or wants; NULL for one without a meaning. */
const char *lkvm_snp_policy_bit(unsigned int bit);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
