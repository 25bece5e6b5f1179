#include "vmm/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "linux-uapi/kvm.h"
#include "vmm/arch.h"
#include "vmm/machine.h"
#include "vmm/thread.h"

/*
 * Blocked in every thread, so it never reaches a handler or the default action. A standard
 * signal: unlike a real-time one it can always be sent, even when the user's queue of
 * signals (RLIMIT_SIGPENDING) is full.
 */
#define KICK_SIGNAL SIGURG

#define KERNEL_SIGSET_SIZE 8 /* bytes; bit n-1 is signal n */

/* Let the kick signal, and nothing else, end KVM_RUN. */
static int set_signal_mask(struct vcpu *vcpu, struct lkvm_error *err)
{
	union {
		struct kvm_signal_mask mask;
		u8 space[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET_SIZE];
	} arg = { .mask.len = KERNEL_SIGSET_SIZE };

	put_le64(arg.mask.sigset, ~BIT(KICK_SIGNAL - 1));
	return kvm_fd_ioctl(&vcpu->machine->kvm, vcpu->fd, KVM_SET_SIGNAL_MASK, &arg, err);
}

int vcpu_create(struct vcpu *vcpu, struct machine *m, unsigned int index, struct lkvm_error *err)
{
	struct kvm *kvm = &m->kvm;
	int ret, map_err = 0;

	vcpu->machine = m;
	vcpu->index = index;
	ret = kvm_vm_ioctl(kvm, KVM_CREATE_VCPU, (unsigned long)arch_vcpu_id(m, index), err);
	if (ret == -EMFILE || ret == -ENFILE)
		return err_host(err, -ret,
				"--cpus %u: vCPU %u; each takes a descriptor (ulimit -n)",
				m->cfg->n_vcpus, index);
	if (ret < 0)
		return ret;
	vcpu->fd = ret;
	vcpu->run = kvm->be->mmap(kvm->be->ctx, vcpu->fd, kvm->host->run_size, &map_err);
	if (!vcpu->run)
		return err_host(err, map_err, "cannot map kvm_run of vCPU %u", index);
	ret = set_signal_mask(vcpu, err);
	return ret < 0 ? ret : 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	const struct kvm *kvm;

	if (!vcpu->machine)
		return;
	kvm = &vcpu->machine->kvm;
	if (vcpu->run)
		kvm->be->munmap(kvm->be->ctx, vcpu->run, kvm->host->run_size);
	kvm_close_fd(kvm, vcpu->fd);
	vcpu->run = NULL;
	vcpu->fd = -1;
}

void vcpu_kick(struct vcpu *vcpu)
{
	/*
	 * In this order: the request was set before, so whoever sees @interrupt sees it too;
	 * immediate_exit catches a thread on its way into KVM_RUN, the signal one inside.
	 */
	atomic_store(&vcpu->interrupt, true);
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (vcpu->has_thread)
		pthread_kill(vcpu->thread, KICK_SIGNAL);
}

/* ---- exits ---------------------------------------------------------------------------- */

void vcpu_note_exit(struct vcpu *vcpu, u32 reason, unsigned int size, bool write, u64 addr,
		    u64 data)
{
	vcpu->last[vcpu->n_last++ % LKVM_N_LAST_EXITS] = (struct lkvm_last_exit){
		.reason = reason,
		.size = (u8)size,
		.write = write,
		.addr = addr,
		.data = data,
	};
}

/* Nothing of the guest goes on before the device it overran does, not even after a pause. */
static void wait_if_throttled(struct vcpu *vcpu, struct dev *dev)
{
	vcpu->throttled_by = NULL;
	if (dev && atomic_load_explicit(&dev->throttled, memory_order_relaxed)) {
		dev_throttle_wait(dev, &vcpu->interrupt);
		/* still so when the wait was interrupted: it is taken up again after that */
		if (atomic_load(&dev->throttled))
			vcpu->throttled_by = dev;
	}
}

u64 vcpu_bus_read(struct vcpu *vcpu, struct bus *bus, u64 addr, unsigned int size)
{
	struct dev *dev = NULL;
	u64 val = bus_read(bus, addr, size, &dev);

	wait_if_throttled(vcpu, dev);
	return val;
}

void vcpu_bus_write(struct vcpu *vcpu, struct bus *bus, u64 addr, unsigned int size, u64 val)
{
	struct dev *dev = NULL;

	bus_write(bus, addr, size, val, &dev);
	wait_if_throttled(vcpu, dev);
}

static void handle_mmio(struct vcpu *vcpu, struct kvm_run *run)
{
	struct bus *bus = &vcpu->machine->mmio;
	u64 addr = run->mmio.phys_addr, val;
	u32 len = run->mmio.len;
	u32 done = 0;

	if (len > sizeof(run->mmio.data))
		len = sizeof(run->mmio.data);
	/*
	 * KVM hands over up to 8 bytes of any length; a bus takes powers of two. What is left
	 * (an access that straddled a page, say) is cut into the largest that fit.
	 */
	while (done < len) {
		u32 size = len - done >= 8 ? 8 : len - done >= 4 ? 4 : len - done >= 2 ? 2 : 1;

		if (run->mmio.is_write) {
			val = 0;
			memcpy(&val, run->mmio.data + done, size);
			val = le64toh(val);
			vcpu_note_exit(vcpu, KVM_EXIT_MMIO, size, true, addr + done, val);
			vcpu_bus_write(vcpu, bus, addr + done, size, val);
		} else {
			val = vcpu_bus_read(vcpu, bus, addr + done, size);
			vcpu_note_exit(vcpu, KVM_EXIT_MMIO, size, false, addr + done, val);
			val = htole64(val);
			memcpy(run->mmio.data + done, &val, size);
		}
		done += size;
	}
}

static enum vcpu_action handle_internal_error(struct vcpu *vcpu, const struct kvm_run *run)
{
	u32 sub = run->internal.suberror;

	vcpu_note_exit(vcpu, KVM_EXIT_INTERNAL_ERROR, 0, false, sub,
		       run->internal.ndata ? run->internal.data[0] : 0);
	machine_end(vcpu->machine, LKVM_CAUSE_INTERNAL_ERROR, sub,
		    "vCPU %u: KVM internal error, suberror %u (%s)", vcpu->index, sub,
		    sub == KVM_INTERNAL_ERROR_EMULATION	    ? "it cannot emulate the instruction"
		    : sub == KVM_INTERNAL_ERROR_SIMUL_EX    ? "two exceptions at once"
		    : sub == KVM_INTERNAL_ERROR_DELIVERY_EV ? "an event could not be delivered"
		    : sub == KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON ? "unexpected hardware exit"
								       : "unknown");
	return VCPU_STOP;
}

static enum vcpu_action handle_system_event(struct vcpu *vcpu, const struct kvm_run *run)
{
	struct machine *m = vcpu->machine;
	enum vcpu_action action = VCPU_STOP;
	u32 type = run->system_event.type;

	if (arch_handle_exit(vcpu, &action) != -ENOSYS)
		return action;
	vcpu_note_exit(vcpu, KVM_EXIT_SYSTEM_EVENT, 0, false, type, 0);
	switch (type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		machine_end(m, LKVM_CAUSE_POWEROFF, 0, "vCPU %u powered the machine off",
			    vcpu->index);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		machine_end(m, LKVM_CAUSE_RESET, 0, "vCPU %u reset the machine", vcpu->index);
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		machine_end(m, LKVM_CAUSE_PANIC, 0, "vCPU %u reported a crash to KVM", vcpu->index);
		break;
	default:
		machine_end(m, LKVM_CAUSE_INTERNAL_ERROR, type,
			    "vCPU %u: KVM system event %u, which lkvm does not know", vcpu->index,
			    type);
	}
	return VCPU_STOP;
}

static enum vcpu_action handle_fail_entry(struct vcpu *vcpu, const struct kvm_run *run)
{
	u64 why = run->fail_entry.hardware_entry_failure_reason;

	vcpu_note_exit(vcpu, KVM_EXIT_FAIL_ENTRY, 0, false, why, run->fail_entry.cpu);
	machine_end(vcpu->machine, LKVM_CAUSE_ENTRY_FAILED, why,
		    "vCPU %u: KVM refused to enter the guest, hardware reason 0x%llx", vcpu->index,
		    (unsigned long long)why);
	return VCPU_STOP;
}

/* KVM_RUN itself failed. Some errors pass when tried again. */
static enum vcpu_action handle_run_error(struct vcpu *vcpu, int code)
{
	struct machine *m = vcpu->machine;
	enum vcpu_action action = VCPU_CONTINUE;

	if (code == EINTR)
		return VCPU_CONTINUE;
	if (code == EFAULT && arch_handle_fault(vcpu, &action) != -ENOSYS)
		return action;
	vcpu_note_exit(vcpu, KVM_EXIT_UNKNOWN, 0, false, (u64)code, 0);
	/*
	 * A CPU that waits to be started was woken, if only by an NMI that it may not take yet:
	 * then KVM says so at once, every time, and nothing but patience is called for.
	 */
	if (code == EAGAIN) {
		if (++vcpu->n_stuck > VCPU_MAX_STUCK)
			nanosleep(&(struct timespec){ .tv_nsec = NSEC_PER_MSEC }, NULL);
		return VCPU_CONTINUE;
	}
	/* Guest memory could not be reached. */
	if (code == EFAULT) {
		if (++vcpu->n_stuck < VCPU_MAX_STUCK)
			return VCPU_CONTINUE;
		machine_end(m, LKVM_CAUSE_INTERNAL_ERROR, (u64)code,
			    "vCPU %u makes no progress: KVM_RUN failed %u times in a row (%s)",
			    vcpu->index, vcpu->n_stuck, err_text(code));
		return VCPU_STOP;
	}
	machine_end(m, LKVM_CAUSE_HOST_ERROR, (u64)code, "vCPU %u: KVM_RUN failed (%s)",
		    vcpu->index, err_text(code));
	return VCPU_STOP;
}

enum vcpu_action vcpu_handle_exit(struct vcpu *vcpu, int ret)
{
	struct kvm_run *run = vcpu->run;
	enum vcpu_action action = VCPU_CONTINUE;
	u32 reason = run->exit_reason;
	_Atomic u64 *count;

	if (ret < 0)
		return handle_run_error(vcpu, -ret);
	vcpu->n_stuck = 0;
	count = &vcpu->exits[reason < LKVM_N_EXIT_REASONS ? reason : 0];
	/* Only this thread writes it: a load and a store, no locked instruction. */
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
			      memory_order_relaxed);

	switch (reason) {
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu, run);
		return VCPU_CONTINUE;
	case KVM_EXIT_INTR:
		return VCPU_CONTINUE;
	case KVM_EXIT_INTERNAL_ERROR:
		return handle_internal_error(vcpu, run);
	case KVM_EXIT_SYSTEM_EVENT:
		return handle_system_event(vcpu, run);
	}
	if (arch_handle_exit(vcpu, &action) != -ENOSYS)
		return action;
	if (reason == KVM_EXIT_FAIL_ENTRY)
		return handle_fail_entry(vcpu, run);
	vcpu_note_exit(vcpu, reason, 0, false, 0, 0);
	machine_end(vcpu->machine, LKVM_CAUSE_INTERNAL_ERROR, reason,
		    "vCPU %u: KVM exit reason %u, which lkvm does not know", vcpu->index, reason);
	return VCPU_STOP;
}

/* ---- the thread ------------------------------------------------------------------------ */

static void drain_kicks(void)
{
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, KICK_SIGNAL);
	while (sigtimedwait(&set, NULL, &now) > 0)
		;
}

/* Mark the thread parked and wait while a pause is asked for. run_lock is held. */
static void park(struct vcpu *vcpu)
{
	struct machine *m = vcpu->machine;

	vcpu->parked = true;
	pthread_cond_broadcast(&m->run_cond);
	while (atomic_load(&vcpu->pause) && !atomic_load(&vcpu->stop))
		pthread_cond_wait(&m->run_cond, &m->run_lock);
	vcpu->parked = false;
}

/*
 * KVM_RUN was interrupted: look why. Clearing comes before looking, so a kick that arrives
 * meanwhile leaves its mark on the next KVM_RUN. False: end the thread.
 */
static bool attend(struct vcpu *vcpu)
{
	struct machine *m = vcpu->machine;

	atomic_store(&vcpu->interrupt, false);
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	drain_kicks();
	if (atomic_load(&vcpu->pause) && !atomic_load(&vcpu->stop)) {
		arch_vcpu_paused(vcpu);
		pthread_mutex_lock(&m->run_lock);
		park(vcpu);
		pthread_mutex_unlock(&m->run_lock);
	}
	return !atomic_load(&vcpu->stop);
}

static void run_guest(struct vcpu *vcpu)
{
	struct machine *m = vcpu->machine;
	const struct kvm_backend *be = m->kvm.be;

	if (!atomic_exchange(&m->first_run_seen, true))
		m->env->phase(m->env->ctx, LKVM_PHASE_FIRST_RUN);
	/*
	 * Requests are looked at after EINTR only: a kick sets immediate_exit, with which KVM_RUN
	 * completes the access in flight and returns at once, so a parked vCPU's state is whole.
	 */
	for (;;) {
		int ret = be->ioctl(be->ctx, vcpu->fd, KVM_RUN, 0);

		if (ret == -EINTR) {
			if (!attend(vcpu))
				return;
			if (vcpu->throttled_by)
				wait_if_throttled(vcpu, vcpu->throttled_by);
		} else if (vcpu_handle_exit(vcpu, ret) == VCPU_STOP) {
			return;
		}
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct machine *m = vcpu->machine;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	thread_set_name(name);
	pthread_mutex_lock(&m->run_lock);
	park(vcpu);
	pthread_mutex_unlock(&m->run_lock);
	if (!atomic_load(&vcpu->stop))
		run_guest(vcpu);

	pthread_mutex_lock(&m->run_lock);
	vcpu->parked = true;
	pthread_cond_broadcast(&m->run_cond);
	pthread_mutex_unlock(&m->run_lock);
	return NULL;
}

static int pin(const struct vcpu *vcpu, struct lkvm_error *err)
{
	const struct machine *m = vcpu->machine;
	struct cpu_mask cpus = m->cpus;
	int ret;

	if (cpu_mask_empty(&cpus))
		return 0;
	if (m->cpu_each)
		cpu_mask_only(&cpus, cpu_mask_nth(&m->cpus, vcpu->index));
	ret = cpu_mask_pin(vcpu->thread, &cpus);
	if (ret == -EINVAL && m->cpu_each)
		return err_unsupported(err, EINVAL,
				       "vCPU %u cannot be pinned: this process may not use CPU %d "
				       "of the host",
				       vcpu->index, cpu_mask_nth(&cpus, 0));
	if (ret == -EINVAL)
		return err_unsupported(
			err, EINVAL,
			"--vcpu-affinity %s: vCPUs cannot be pinned, this process may use "
			"none of these CPUs",
			m->cfg->vcpu_affinity);
	return ret ? err_host(err, -ret, "pinning vCPU %u", vcpu->index) : 0;
}

int vcpu_start(struct vcpu *vcpu, struct lkvm_error *err)
{
	int ret;

	atomic_store(&vcpu->pause, true);
	ret = thread_start(&vcpu->thread, "of a vCPU", vcpu_thread, vcpu, err);
	vcpu->has_thread = !ret;
	return ret ? ret : pin(vcpu, err);
}
