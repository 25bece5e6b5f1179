/*
 * vcpu.h - one virtual CPU and its thread (struct: layer 2; vcpu.c: layer 4).
 *
 * The thread enters the guest, and between two entries decodes the exit and
 * dispatches it to the buses; it does no file or network I/O. To get its attention, whoever wants
 * it sets a request, kvm_run->immediate_exit and sends the kick signal to the thread. That signal
 * is blocked everywhere and let through only inside KVM_RUN by KVM_SET_SIGNAL_MASK, so no handler
 * is ever installed in the embedder's process, and no kick is lost.
 */
#ifndef LKVM_VMM_VCPU_H
#define LKVM_VMM_VCPU_H

#include <pthread.h>

#include "vmm/base.h"
#include "vmm/err.h"

struct dev;
struct kvm_run;
struct machine;

/* KVM_RUN failing with EFAULT this often in a row, with no exit between, is no progress. */
#define VCPU_MAX_STUCK 64

enum vcpu_action {
	VCPU_CONTINUE, /* enter the guest again */
	VCPU_STOP,     /* machine_end() was called: this vCPU is done */
};

struct vcpu {
	struct machine *machine;
	unsigned int index;
	int fd; /* -1: not created */
	struct kvm_run *run;
	pthread_t thread;
	bool has_thread;

	/* Asked of the thread from outside; checked before every entry. */
	_Atomic bool interrupt; /* something below is set */
	_Atomic bool stop;
	_Atomic bool pause;
	bool parked; /* under machine->run_lock: paused or gone */

	/* The thread's own; read by others when it is parked, or as approximate counts. */
	_Atomic u64 exits[LKVM_N_EXIT_REASONS];
	struct lkvm_last_exit last[LKVM_N_LAST_EXITS];
	u64 n_last; /* ever recorded; the ring index is this modulo its size */
	unsigned int n_stuck;
	struct dev *throttled_by; /* made it wait at its last exit; NULL: none */
};

/* KVM_CREATE_VCPU and the kvm_run mapping. @vcpu is zeroed with fd -1. */
int vcpu_create(struct vcpu *vcpu, struct machine *m, unsigned int index, struct lkvm_error *err);

/* Thread gone. Accepts a half-built struct. */
void vcpu_destroy(struct vcpu *vcpu);

/* Start the thread, on machine->cpus, which parks until machine_resume(). */
int vcpu_start(struct vcpu *vcpu, struct lkvm_error *err);

/* Make the thread look at its requests soon. Any thread. */
void vcpu_kick(struct vcpu *vcpu);

/*
 * What one return of KVM_RUN means: counts it, dispatches it, and says whether to go on. It does
 * not enter the guest, so tests feed it exits by hand. @ret is what KVM_RUN returned (0 or -errno).
 */
enum vcpu_action vcpu_handle_exit(struct vcpu *vcpu, int ret);

/* Remember an exit for the post mortem. For exit decoders. */
void vcpu_note_exit(struct vcpu *vcpu, u32 reason, unsigned int size, bool write, u64 addr,
		    u64 data);

/* What a decoder calls for a device access of the guest: bus dispatch, and waiting where a device
 * asks for it. */
struct bus;
u64 vcpu_bus_read(struct vcpu *vcpu, struct bus *bus, u64 addr, unsigned int size);
void vcpu_bus_write(struct vcpu *vcpu, struct bus *bus, u64 addr, unsigned int size, u64 val);

#endif
