/* snp_impl.h - what the files of arch/x86/snp*.c share. */
#ifndef LKVM_ARCH_X86_SNP_IMPL_H
#define LKVM_ARCH_X86_SNP_IMPL_H

#include <pthread.h>

#include "arch/x86/machine.h"
#include "arch/x86/ovmf.h"
#include "arch/x86/snp.h"
#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"

#define SNP_PAGE GMEM_PAGE_SIZE

/* The certificates of a chip and its VLEK are some 5 KiB; Linux guests give them 16 KiB. */
#define SNP_CERTS_MAX (64 * KIB)

struct snp {
	int sev_fd; /* /dev/sev; -1: not open */
	u64 policy;

	/* What is launched is what was judged: the file is read once. Gone after the launch. */
	u8 *firmware; /* page aligned */
	u64 firmware_size;
	struct ovmf_sev sev;
	bool has_id;
	u8 id_block[KVM_SEV_SNP_ID_BLOCK_SIZE];
	u8 id_auth[KVM_SEV_SNP_ID_AUTH_SIZE];

	/* Page of the last memory fault of each vCPU, its own thread's; vcpu->n_stuck counts. */
	u64 *faults;

	u8 *certs; /* SNP_CERTS_MAX bytes, under certs_lock; NULL: the guest gets none */
	pthread_mutex_t certs_lock;
	struct ratelimit limit; /* what the guest can make us say */
};

/* One KVM_MEMORY_ENCRYPT_OP. 0 or -errno; *@code is the firmware's, 0: it was not asked. */
int snp_command(const struct machine *m, u32 id, void *data, u32 *code);

/*
 * The message for a command @what that failed with @ret: the firmware's code by its name, if
 * there is one. Returns @ret.
 */
int snp_command_failed(const char *what, int ret, u32 code, struct lkvm_error *err);

/* snp_certs.c: the file of the config can be used; KVM is told to ask for it. */
int snp_certs_init(struct machine *m, struct lkvm_error *err);

/* KVM_EXIT_SNP_REQ_CERTS. vCPU thread. */
void snp_certs_exit(struct vcpu *vcpu, enum vcpu_action *action);

#endif
