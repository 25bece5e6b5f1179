/*
 * internal.h - what the files of fakekvm share.
 *
 * One lock, fk->lock, guards everything; request handlers run with it held. What an architecture
 * adds (its requests and the state behind them) is reached through struct fake_arch.
 */
#ifndef LKVM_TESTS_FAKEKVM_INTERNAL_H
#define LKVM_TESTS_FAKEKVM_INTERNAL_H

#include <pthread.h>

#include "linux-uapi/kvm.h"
#include "tests/fakekvm/fakekvm.h"

#define FAKE_FIRST_FD	  1000000 /* nobody's real descriptor, and never used twice */
#define FAKE_MAX_FDS	  2048
#define FAKE_MAX_VMS	  8
#define FAKE_MAX_VCPUS	  1280 /* alive at a time, over all VMs */
#define FAKE_MAX_IDS	  1024 /* vCPU ids that can have a script */
#define FAKE_MAX_SLOTS	  128  /* of one VM, in use at a time */
#define FAKE_MAX_GMEMS	  16   /* of one VM, ever made */
#define FAKE_MAX_PRIVATE  256  /* ranges of private memory of one VM, with others between */
#define FAKE_MAX_GSIS	  4096 /* KVM_CAP_IRQ_ROUTING of x86 */
#define FAKE_MAX_EVENTFDS 256  /* ioeventfds, and irqfds, of one VM */
#define FAKE_MAX_ANSWERS  256  /* kept per vCPU */
#define FAKE_MAX_CAPS	  512
#define FAKE_MAX_REFUSED  16
#define FAKE_MAX_DEVICES  8	    /* of one VM, ever made */
#define FAKE_TEXT_SIZE	  (8 * MIB) /* of the transcript */
#define FAKE_RUN_SIZE	  12288	    /* KVM_GET_VCPU_MMAP_SIZE: kvm_run, PIO data, coalesced MMIO */
#define FAKE_PIO_OFFSET	  4096	    /* of KVM_EXIT_IO's data */
#define FAKE_PIO_SIZE	  4096
#define FAKE_PAGE	  4096

enum fake_kind { FAKE_FREE, FAKE_SYS, FAKE_VM, FAKE_VCPU, FAKE_DEVICE, FAKE_STATS };

/* At fds[fd % FAKE_MAX_FDS]. */
struct fake_fd {
	int fd;
	enum fake_kind kind;
	struct fake_vm *vm;
	struct fake_vcpu *vcpu;
	struct fake_device *dev;
};

/* One that KVM_CREATE_DEVICE made. It lives as long as its VM; the descriptor may go before. */
struct fake_device {
	bool open;
	struct fake_vm *vm;
	u32 type;
	char name[24]; /* "vgic-v3", "vm2.vgic-v3" */
};

struct fake_slot {
	bool used;
	struct kvm_userspace_memory_region r;
	unsigned int gmem; /* 1 + which guest_memfd of the VM; 0: none */
	u64 gmem_off;
};

/* A guest_memfd, as the fake itself has it mapped. */
struct fake_gmem {
	u8 *host;
	u64 size;
};

struct fake_range {
	u64 start, end;
};

struct fake_ioeventfd {
	bool used;
	struct kvm_ioeventfd e;
};

struct fake_irqfd {
	bool used;
	u32 fd;
	u32 gsi;
};

struct fake_vm {
	bool used; /* its descriptor or one of a vCPU is open */
	bool open;
	unsigned int index;   /* from 1, of all VMs ever made */
	unsigned int n_vcpus; /* ever created */
	bool has_run;	      /* one of them did */
	struct fake_device devices[FAKE_MAX_DEVICES];
	unsigned int n_devices;
	struct fake_slot slots[FAKE_MAX_SLOTS];
	struct fake_gmem gmems[FAKE_MAX_GMEMS];
	unsigned int n_gmems;			      /* ever made */
	struct fake_range private[FAKE_MAX_PRIVATE]; /* gpa; disjoint, in no order */
	unsigned int n_private;
	struct fake_ioeventfd ioeventfds[FAKE_MAX_EVENTFDS];
	struct fake_irqfd irqfds[FAKE_MAX_EVENTFDS];
	bool has_routing; /* KVM_SET_GSI_ROUTING came; before it, pins have the routes KVM gives */
	bool routed[FAKE_MAX_GSIS];
	struct kvm_irq_routing_entry routes[FAKE_MAX_GSIS]; /* where routed; of several the last */
	bool gsi_level[FAKE_MAX_GSIS];
	unsigned long gsi_count[FAKE_MAX_GSIS];
	unsigned long gsi_seen[FAKE_MAX_GSIS]; /* of gsi_count, by FAKE_OP_WAIT_IRQ */
	unsigned long n_irqs;		       /* sum of gsi_count */
	void *arch;			       /* fake_arch.vm_size bytes, zeroed */
};

/* What a vCPU's reads were answered with, the first ones of them. */
struct fake_answers {
	unsigned int n; /* completed; more than are kept, if need be */
	struct {
		u32 len;
		u32 off;
	} at[FAKE_MAX_ANSWERS];
	u8 bytes[FAKE_PIO_SIZE];
};

struct fake_vcpu {
	bool used;
	bool open;
	struct fake_vm *vm;
	unsigned int id;
	char name[24];	     /* "vcpu0", "vm2.vcpu0" */
	struct kvm_run *run; /* NULL: not mapped */
	bool has_run;	     /* KVM_RUN was called */
	u64 n_runs;	     /* how often it entered the guest */
	bool running;
	pthread_t runner; /* while running */
	int signal_fd;	  /* readable when a kick is pending; -1: none yet */
	bool has_mask;
	u64 mask; /* KVM_SET_SIGNAL_MASK: bit n - 1 is signal n */

	size_t step;  /* of the script */
	u32 progress; /* within a FAKE_OP_PRINT */
	struct {
		size_t step;
		u64 left;
	} repeats[8];			 /* nested ones under way; left 0: not in use */
	unsigned long irqs_seen;	 /* by FAKE_OP_HLT, of fake_vm.n_irqs */
	const struct fake_step *pending; /* a read that the next KVM_RUN completes */
	u64 delay_end;			 /* of a FAKE_OP_DELAY that was interrupted, 0: none */
	struct fake_answers *answers;
	void *arch; /* fake_arch.vcpu_size bytes, zeroed */
};

struct fake_script {
	const struct fake_step *steps;
	size_t n;
	bool owned; /* steps and their data were made from text */
};

struct fakekvm {
	struct kvm_backend be;
	pthread_mutex_t lock;
	pthread_cond_t idle; /* a vCPU stopped running */
	const struct fake_host *host;
	int api_version;
	int open_error;
	int caps[FAKE_MAX_CAPS];
	u32 refused[FAKE_MAX_REFUSED];
	unsigned int n_refused;
	struct kvm_cpuid2 *cpuid;
	char sysfs[256];
	char sev[256];
	void *stats; /* what statistics descriptors hold; NULL: what stats.c makes up */
	size_t stats_len;
	void *arch; /* fake_arch.host_size bytes, zeroed: what setters of the architecture change */

	struct fake_fd fds[FAKE_MAX_FDS];
	int next_fd;
	struct fake_vm vms[FAKE_MAX_VMS];
	struct fake_vm *newest;
	unsigned int n_vms; /* ever made */
	struct fake_vcpu vcpus[FAKE_MAX_VCPUS];
	struct fake_script scripts[FAKE_MAX_IDS];

	unsigned long n_calls;
	unsigned long fail_at;
	int fail_code;
	unsigned long fail_req;
	unsigned int fail_req_left;
	int fail_req_code;
	char failed[128];

	char *text;
	size_t text_len;
	size_t setup_len; /* of the text before the first KVM_RUN */
	bool any_run;
	char complaints[4096];
	char leaks[4096];
};

/* One request as its handler sees it. */
struct fake_call {
	struct fakekvm *fk;
	struct fake_vm *vm;	/* NULL: a system request */
	struct fake_vcpu *vcpu; /* NULL: not a vCPU request */
	struct fake_device *dev;
	unsigned long arg;
	char note[400];	    /* the arguments, for the transcript */
	const char *result; /* said instead of the number: "vm", "vcpu0" */
};

/* A request is unknown on a host without the capability it came with. */
#define FAKE_NEEDS(cap) ((cap) + 1)

struct fake_request {
	u32 req;
	const char *name;
	int (*fn)(struct fake_call *c); /* >= 0 or -errno */
	u32 needs;			/* FAKE_NEEDS(), or 0: basic */
};

/* clang-format off */
#define FAKE_REQUEST(req, fn)		{ req, #req, fn, 0 }
#define FAKE_REQUEST_CAP(req, fn, cap)	{ req, #req, fn, FAKE_NEEDS(cap) }
#define FAKE_END			{ 0, NULL, NULL, 0 }
/* clang-format on */

struct fake_arch {
	/* Each ends with a zero request; NULL device: there are no devices. */
	const struct fake_request *sys, *vm, *vcpu, *device;
	size_t vm_size, vcpu_size, host_size;
	int unknown_vm_request; /* -errno */
	u64 uart;		/* where the script text's "print" goes */
	bool ports;		/* it is a port; there are port accesses */

	void (*init)(struct fakekvm *fk); /* of a new fakekvm, its host set */
	int (*check_vm_type)(struct fakekvm *fk, unsigned long type);
	void (*create_vm)(struct fakekvm *fk, struct fake_vm *vm,
			  unsigned long type); /* NULL: nothing to do */
	/* Of the VM, NULL for the system; the answer before it is the host's. */
	int (*check_extension)(struct fakekvm *fk, struct fake_vm *vm, u32 cap, int value);
	int (*enable_cap)(struct fake_call *c, const struct kvm_enable_cap *cap);
	int (*check_slot)(struct fake_call *c, const struct kvm_userspace_memory_region *r);
	int (*create_vcpu)(struct fake_call *c,
			   struct fake_vcpu *vcpu); /* last say, then reset state */
	/* Before anything else KVM_RUN does; NULL: nothing. */
	int (*run_first)(struct fake_call *c);
	int (*run_check)(struct fake_call *c); /* 0: enter; 1: exit as kvm_run says; -errno */
	bool (*has_irqchip)(const struct fake_vm *vm);
	void (*start)(struct fake_vcpu *vcpu); /* it has a script: its INIT and SIPI have come */
	bool (*claims)(const struct fake_vm *vm, bool port, u64 addr); /* a device in the kernel */
	int (*check_routing)(struct fake_call *c, const struct kvm_irq_routing_entry *e);
	u32 (*n_pins)(const struct fake_vm *vm); /* inputs with a route from the start */
	int (*irq_line)(struct fake_call *c, u32 irq, bool level);
	int (*signal_msi)(struct fake_call *c, const struct kvm_msi *m);
	int (*check_irqfd)(struct fake_call *c); /* to assign one */
	/* KVM_EXIT_SYSTEM_EVENT is about to be seen; NULL: nothing happens by it. */
	void (*system_event)(struct fake_call *c);
	bool (*nisv_to_user)(const struct fake_vm *vm); /* NULL: there is no such exit */
	bool (*has_device)(const struct fakekvm *fk, u32 type);
	int (*create_device)(struct fake_call *c, u32 type, const char **name);
};

struct fake_cap {
	u32 cap;
	int value;
};

struct fake_host {
	const char *name;
	const struct fake_arch *arch;
	const struct fake_cap *caps; /* ends with a value of 0 */
	bool wants_tss;
	bool snp; /* x86: SEV-SNP */
	unsigned int phys_bits; /* of what KVM can map */
	u64 tsc_khz;
	u32 refused_msr; /* listed and yet refused; 0: none */
	int cpuid;	 /* which fixture */
	const struct arm64_host *arm64;
};

/*
 * The argument as a pointer, NULL (say EFAULT) for one that the kernel could not follow. Only
 * the first page is told apart: what is beyond is left to the sanitizers.
 */
void *fake_user(const struct fake_call *c);

void fake_note(struct fake_call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The documentation forbids this, KVM lets it pass: "..., api.rst 4.36". */
void fake_complain(struct fakekvm *fk, const char *fmt, ...) PRINTF_LIKE(2, 3);

int fake_cap(struct fakekvm *fk, struct fake_vm *vm, u32 cap);
void fake_set_gsi(struct fake_vm *vm, u32 gsi, bool level);
struct fake_vcpu *fake_find_vcpu(struct fakekvm *fk, const struct fake_vm *vm, unsigned int id);
void *fake_gpa(struct fake_vm *vm, u64 gpa, u64 len);
int fake_new_fd(struct fakekvm *fk, struct fake_fd what);
bool fake_any_running(const struct fakekvm *fk, const struct fake_vm *vm);
void fake_log(struct fakekvm *fk, const char *fmt, ...) PRINTF_LIKE(2, 3);

void fake_drain_irqfds(struct fakekvm *fk, struct fake_vm *vm);
bool fake_ioeventfd_write(struct fake_vm *vm, bool port, u64 addr, u32 len, u64 val);

extern const struct fake_request fake_vm_requests[];   /* vm.c */
extern const struct fake_request fake_vcpu_requests[]; /* run.c */
int fake_set_user_memory_region(struct fake_call *c);  /* memory.c, these too */
int fake_set_user_memory_region2(struct fake_call *c);
int fake_create_guest_memfd(struct fake_call *c);
int fake_set_memory_attributes(struct fake_call *c);
void fake_drop_gmems(struct fake_vm *vm);
/* All of it lies in one slot that has a guest_memfd. */
bool fake_has_gmem(const struct fake_vm *vm, u64 gpa, u64 len);
/* How many of these bytes are private: 0, @len, or it is mixed. */
u64 fake_private_bytes(const struct fake_vm *vm, u64 gpa, u64 len);
int fake_create_device(struct fake_call *c);	       /* device.c */
int fake_get_stats_fd(struct fake_call *c);	       /* stats.c */
ssize_t fake_read_stats(struct fakekvm *fk, const struct fake_fd *f, void *buf, size_t len,
			u64 off);
void fake_free_script(struct fake_script *s);

extern const struct fake_arch fake_x86, fake_arm64; /* the one this is built for */

#endif
