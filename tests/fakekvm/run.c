/* run.c - KVM_RUN: plays the script of a vCPU, waits as a halted one does, gives way to a kick. */
#include "tests/fakekvm/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FOREVER UINT64_MAX

/* What a step comes to. */
enum { NEXT, EXITED, FAILED };

#define FAKE_EXIT_ANSWER 72 /* bytes of kvm_run's union: all of the exits that are answered there */

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

/* ---- Kicks ---- */

/*
 * 4.21: of the pending signals, one that the mask of KVM_RUN lets through ends it; it stays
 * pending, as KVM leaves it. What the thread does not block itself was delivered already.
 */
static bool kicked(const struct fake_vcpu *vcpu)
{
	sigset_t set;

	if (!vcpu->has_mask || sigpending(&set))
		return false;
	for (int sig = 1; sig <= 64; sig++)
		if (sigismember(&set, sig) == 1 && !(vcpu->mask & BIT(sig - 1)))
			return true;
	return false;
}

/*
 * Sleep until @end, a signal the mask lets through, or one that the thread itself handles
 * (-EINTR). A signalfd wakes without taking the signal; where there is none to be had, look every
 * millisecond.
 */
static int sleep_until(const struct fake_vcpu *vcpu, u64 end)
{
	const u64 step = vcpu->has_mask && vcpu->signal_fd < 0 ? 1 : 1000;

	for (;;) {
		struct pollfd p = { .fd = vcpu->signal_fd, .events = POLLIN };
		u64 now = now_ms();
		u64 ms = now < end ? min_u64(end - now, step) : 0;
		struct timespec ts = { .tv_sec = (time_t)(ms / 1000),
				       .tv_nsec = (long)(ms % 1000) * 1000000 };

		if (kicked(vcpu))
			return -EINTR;
		if (!ms)
			return 0;
		if (ppoll(&p, 1, &ts, NULL) < 0 && errno == EINTR)
			return -EINTR;
	}
}

/* The same for @ms, with the lock dropped. */
static int wait_ms(struct fakekvm *fk, struct fake_vcpu *vcpu, u64 ms)
{
	u64 end = ms == FOREVER ? FOREVER : now_ms() + ms;
	u64 open_signals = ~vcpu->mask;
	int ret;

	if (vcpu->has_mask && vcpu->signal_fd < 0)
		vcpu->signal_fd = (int)syscall(SYS_signalfd4, -1, &open_signals,
					       sizeof(open_signals), O_CLOEXEC);
	pthread_mutex_unlock(&fk->lock);
	ret = sleep_until(vcpu, end);
	pthread_mutex_lock(&fk->lock);
	return ret;
}

/* 4.21: the length is the kernel's, 8; no argument takes the mask away. EINVAL: observed. */
static int set_signal_mask(struct fake_call *c)
{
	const struct kvm_signal_mask *m = (const void *)c->arg;

	if (c->vcpu->signal_fd >= 0)
		syscall(SYS_close, c->vcpu->signal_fd);
	c->vcpu->signal_fd = -1;
	if (!m) {
		c->vcpu->has_mask = false;
		return 0;
	}
	if (!fake_user(c))
		return -EFAULT;
	fake_note(c, " len %u", m->len);
	if (m->len != sizeof(c->vcpu->mask))
		return -EINVAL;
	memcpy(&c->vcpu->mask, m->sigset, sizeof(c->vcpu->mask));
	c->vcpu->has_mask = true;
	return 0;
}

/* ---- Steps ---- */

static void keep_answer(struct fake_vcpu *vcpu, const void *data, u32 len)
{
	struct fake_answers *a = vcpu->answers;
	u32 off = 0;

	if (a->n < FAKE_MAX_ANSWERS) {
		if (a->n)
			off = a->at[a->n - 1].off + a->at[a->n - 1].len;
		if (len > sizeof(a->bytes) - off)
			len = 0;
		memcpy(a->bytes + off, data, len);
		a->at[a->n].len = len;
		a->at[a->n].off = off;
	}
	a->n++;
}

static u32 step_count(const struct fake_step *s)
{
	return s->count ? s->count : 1;
}

/* Chapter 5, note on KVM_EXIT_IO and _MMIO: the operation is complete with the next KVM_RUN. */
static void complete_pending(struct fake_vcpu *vcpu)
{
	const struct fake_step *s = vcpu->pending;

	if (!s)
		return;
	if (s->op == FAKE_OP_EXIT)
		keep_answer(vcpu, vcpu->run->padding, FAKE_EXIT_ANSWER);
	else if (s->op == FAKE_OP_IO)
		keep_answer(vcpu, (const u8 *)vcpu->run + FAKE_PIO_OFFSET, s->size * step_count(s));
	else
		keep_answer(vcpu, vcpu->run->mmio.data, s->size);
	vcpu->pending = NULL;
}

static int io_exit(struct fake_call *c, bool write, u64 port, u32 size, u32 count, const void *data)
{
	struct kvm_run *run = c->vcpu->run;
	u64 val = 0;

	if (!c->fk->host->arch->ports || (u64)size * count > FAKE_PIO_SIZE ||
	    (size != 1 && size != 2 && size != 4)) {
		fake_complain(c->fk, "script: no such port access: %u times %u bytes", count, size);
		return NEXT;
	}
	if (write && count == 1)
		memcpy(&val, data, size);
	if (c->fk->host->arch->claims(c->vm, true, port))
		return NEXT;
	if (write && count == 1 && fake_ioeventfd_write(c->vm, true, port, size, val))
		return NEXT;
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = (u8)size;
	run->io.port = (u16)port;
	run->io.count = count;
	run->io.data_offset = FAKE_PIO_OFFSET;
	/* Leftovers of an earlier access: a VMM that does not answer is found out. */
	memset((u8 *)run + FAKE_PIO_OFFSET, 0xa5, (size_t)size * count);
	if (write)
		memcpy((u8 *)run + FAKE_PIO_OFFSET, data, (size_t)size * count);
	fake_note(c, " io %s 0x%llx size %u count %u", write ? "out" : "in",
		  (unsigned long long)port, size, count);
	return EXITED;
}

/* A device access that leaves the kernel. */
static void mmio_exit(struct fake_call *c, bool write, u64 gpa, u32 size, const void *data)
{
	struct kvm_run *run = c->vcpu->run;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = gpa;
	run->mmio.len = size;
	run->mmio.is_write = write;
	memset(run->mmio.data, write ? 0 : 0xa5, sizeof(run->mmio.data));
	if (write)
		memcpy(run->mmio.data, data, size);
	fake_note(c, " mmio %s 0x%llx size %u", write ? "write" : "read", (unsigned long long)gpa,
		  size);
}

static int do_io(struct fake_call *c, const struct fake_step *s)
{
	int ret = io_exit(c, s->write, s->addr, s->size, step_count(s),
			  s->data ? s->data : (const void *)&s->value);

	if (ret == EXITED && !s->write)
		c->vcpu->pending = s;
	return ret;
}

static int do_print(struct fake_call *c, const struct fake_step *s)
{
	struct fake_vcpu *vcpu = c->vcpu;

	if (vcpu->progress == s->count) {
		vcpu->progress = 0;
		return NEXT;
	}
	vcpu->step--; /* again, until all bytes are out */
	if (c->fk->host->arch->ports)
		return io_exit(c, true, s->addr, 1, 1, (const u8 *)s->data + vcpu->progress++);
	mmio_exit(c, true, s->addr, 1, (const u8 *)s->data + vcpu->progress++);
	return EXITED;
}

/* True when guest memory answers. Writes to a read-only slot exit (4.35). */
static bool access_memory(struct fake_call *c, const struct fake_step *s)
{
	void *host = fake_gpa(c->vm, s->addr, s->size);

	for (unsigned int i = 0; host && s->write && i < FAKE_MAX_SLOTS; i++) {
		const struct fake_slot *slot = &c->vm->slots[i];

		if (slot->used && slot->r.flags & KVM_MEM_READONLY &&
		    ranges_overlap(slot->r.guest_phys_addr, slot->r.memory_size, s->addr, s->size))
			host = NULL;
	}
	if (!host)
		return false;
	if (s->write)
		memcpy(host, s->data ? s->data : (const void *)&s->value, s->size);
	else
		keep_answer(c->vcpu, host, s->size);
	return true;
}

static int do_mmio(struct fake_call *c, const struct fake_step *s)
{
	if (s->size > 8) {
		fake_complain(c->fk, "script: no such memory access: %u bytes", s->size);
		return NEXT;
	}
	if (access_memory(c, s) || c->fk->host->arch->claims(c->vm, false, s->addr) ||
	    (s->write && fake_ioeventfd_write(c->vm, false, s->addr, s->size, s->value)))
		return NEXT;
	mmio_exit(c, s->write, s->addr, s->size, s->data ? s->data : (const void *)&s->value);
	if (!s->write)
		c->vcpu->pending = s;
	return EXITED;
}

/* Chapter 5, KVM_EXIT_ARM_NISV: ENOSYS as long as KVM_CAP_ARM_NISV_TO_USER is not enabled. */
static int do_nisv(struct fake_call *c, const struct fake_step *s, int *ret)
{
	struct kvm_run *run = c->vcpu->run;

	if (!c->fk->host->arch->nisv_to_user) {
		fake_complain(c->fk, "script: this architecture has no such exit");
		return NEXT;
	}
	if (!c->fk->host->arch->nisv_to_user(c->vm)) {
		*ret = -ENOSYS;
		return FAILED;
	}
	run->exit_reason = KVM_EXIT_ARM_NISV;
	run->arm_nisv.esr_iss = s->value;
	run->arm_nisv.fault_ipa = s->addr;
	fake_note(c, " nisv 0x%llx", (unsigned long long)s->addr);
	return EXITED;
}

/* The first number of the union is what most exits are about: suberror, type, reason. */
static int do_exit(struct fake_call *c, const struct fake_step *s)
{
	struct kvm_run *run = c->vcpu->run;

	run->exit_reason = (u32)s->addr;
	memset(run->padding, 0, sizeof(run->padding));
	memcpy(run->padding, &s->value, sizeof(s->value));
	if (s->data)
		memcpy(run->padding, s->data, min_u64(s->count, sizeof(run->padding)));
	if (s->addr == KVM_EXIT_SYSTEM_EVENT && c->fk->host->arch->system_event)
		c->fk->host->arch->system_event(c);
	if (s->addr == KVM_EXIT_HYPERCALL || s->addr == KVM_EXIT_SNP_REQ_CERTS)
		c->vcpu->pending = s;
	fake_note(c, " exit %llu", (unsigned long long)s->addr);
	return EXITED;
}

/* 4.24: without an interrupt controller in the kernel, x86's HLT is user space's (KVM_EXIT_HLT). */
static int do_hlt(struct fake_call *c, int *ret)
{
	struct fake_vcpu *vcpu = c->vcpu;

	if (!c->fk->host->arch->has_irqchip(c->vm) && c->fk->host->arch->ports) {
		vcpu->run->exit_reason = KVM_EXIT_HLT;
		fake_note(c, " hlt");
		return EXITED;
	}
	for (;;) {
		fake_drain_irqfds(c->fk, c->vm);
		if (c->vm->n_irqs != vcpu->irqs_seen)
			break;
		*ret = wait_ms(c->fk, vcpu, 1);
		if (*ret) {
			vcpu->step--;
			return FAILED;
		}
	}
	vcpu->irqs_seen = c->vm->n_irqs;
	return NEXT;
}

static int do_wait_irq(struct fake_call *c, const struct fake_step *s, int *ret)
{
	struct fake_vm *vm = c->vm;
	u64 end = now_ms() + s->value;

	if (s->addr >= FAKE_MAX_GSIS)
		return NEXT;
	for (;;) {
		fake_drain_irqfds(c->fk, vm);
		if (vm->gsi_level[s->addr] || vm->gsi_count[s->addr] != vm->gsi_seen[s->addr])
			break;
		if (now_ms() >= end) {
			fake_complain(c->fk, "script: GSI %llu stayed low",
				      (unsigned long long)s->addr);
			break;
		}
		*ret = wait_ms(c->fk, c->vcpu, 1);
		if (*ret) {
			c->vcpu->step--;
			return FAILED;
		}
	}
	vm->gsi_seen[s->addr] = vm->gsi_count[s->addr];
	return NEXT;
}

static int do_repeat(struct fake_call *c, const struct fake_step *s)
{
	struct fake_vcpu *vcpu = c->vcpu;
	size_t here = vcpu->step - 1;
	unsigned int free_one = 0;

	/* A loop without exits must not keep others from the lock. */
	pthread_mutex_unlock(&c->fk->lock);
	sched_yield();
	pthread_mutex_lock(&c->fk->lock);
	if (!s->value) {
		vcpu->step = (size_t)s->addr;
		return NEXT;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(vcpu->repeats); i++) {
		if (!vcpu->repeats[i].left) {
			free_one = i;
		} else if (vcpu->repeats[i].step == here) {
			if (--vcpu->repeats[i].left)
				vcpu->step = (size_t)s->addr;
			return NEXT;
		}
	}
	/* Taken value times: the visit that finds the count at its end goes on. */
	vcpu->repeats[free_one].step = here;
	vcpu->repeats[free_one].left = s->value;
	vcpu->step = (size_t)s->addr;
	return NEXT;
}

static int do_call(struct fake_call *c, const struct fake_step *s)
{
	pthread_mutex_unlock(&c->fk->lock);
	s->fn(c->fk, c->vcpu->id, s->ctx);
	pthread_mutex_lock(&c->fk->lock);
	return NEXT;
}

static int do_memfault(struct fake_call *c, const struct fake_step *s, int *ret)
{
	struct kvm_run *run = c->vcpu->run;

	/* Chapter 5: the one exit that comes with an error. */
	run->exit_reason = KVM_EXIT_MEMORY_FAULT;
	run->memory_fault.flags = s->value;
	run->memory_fault.gpa = s->addr;
	run->memory_fault.size = FAKE_PAGE;
	*ret = -EFAULT;
	return FAILED;
}

/* Halted with interrupts off: no way on, only out of KVM_RUN and back into it. */
static int do_halt(struct fake_call *c, int *ret)
{
	do
		*ret = wait_ms(c->fk, c->vcpu, FOREVER);
	while (!*ret);
	return FAILED;
}

/* A kick interrupts it, and the next KVM_RUN goes on with what is left. */
static int do_delay(struct fake_call *c, const struct fake_step *s, int *ret)
{
	struct fake_vcpu *vcpu = c->vcpu;
	u64 now = now_ms();

	if (!vcpu->delay_end)
		vcpu->delay_end = now + s->value;
	*ret = wait_ms(c->fk, vcpu, vcpu->delay_end > now ? vcpu->delay_end - now : 0);
	if (*ret) {
		vcpu->step--;
		return FAILED;
	}
	vcpu->delay_end = 0;
	return NEXT;
}

/* vcpu->step is already the next one. *@ret is for FAILED. */
static int do_step(struct fake_call *c, const struct fake_step *s, int *ret)
{
	switch (s->op) {
	case FAKE_OP_IO:
		return do_io(c, s);
	case FAKE_OP_MMIO:
		return do_mmio(c, s);
	case FAKE_OP_PRINT:
		return do_print(c, s);
	case FAKE_OP_HLT:
		return do_hlt(c, ret);
	case FAKE_OP_NISV:
		return do_nisv(c, s, ret);
	case FAKE_OP_EXIT:
		return do_exit(c, s);
	case FAKE_OP_ERRNO:
		*ret = -(int)s->value;
		return FAILED;
	case FAKE_OP_MEMFAULT:
		return do_memfault(c, s, ret);
	case FAKE_OP_DELAY:
		return do_delay(c, s, ret);
	case FAKE_OP_WAIT_IRQ:
		return do_wait_irq(c, s, ret);
	case FAKE_OP_REPEAT:
		return do_repeat(c, s);
	case FAKE_OP_CALL:
		return do_call(c, s);
	case FAKE_OP_HALT:
		c->vcpu->step--;
		return do_halt(c, ret);
	}
	return NEXT;
}

static const struct fake_script *script_of(const struct fake_call *c)
{
	static const struct fake_script none;

	return c->vcpu->id < FAKE_MAX_IDS ? &c->fk->scripts[c->vcpu->id] : &none;
}

static int play(struct fake_call *c)
{
	const struct fake_script *script = script_of(c);
	struct fake_vcpu *vcpu = c->vcpu;
	int ret = 0, what;

	do {
		if (kicked(vcpu))
			return -EINTR;
		if (vcpu->step >= script->n) {
			what = do_halt(c, &ret);
		} else {
			c->fk->host->arch->start(vcpu);
			what = do_step(c, &script->steps[vcpu->step++], &ret);
		}
	} while (what == NEXT);
	return ret;
}

/* 4.10. An argument was seen to give EINVAL. */
static int run(struct fake_call *c)
{
	struct fake_vcpu *vcpu = c->vcpu;
	int ret;

	if (c->arg)
		return -EINVAL;
	if (!vcpu->run) {
		fake_complain(c->fk, "KVM_RUN of %s, whose kvm_run is not mapped", vcpu->name);
		return -EFAULT;
	}
	if (c->fk->host->arch->run_first) {
		ret = c->fk->host->arch->run_first(c);
		if (ret)
			return ret;
	}
	vcpu->has_run = c->vm->has_run = true;
	complete_pending(vcpu);
	/* Chapter 5: immediate_exit is looked at once, after unfinished operations are finished. */
	if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_SEQ_CST) &&
	    fake_cap(c->fk, c->vm, KVM_CAP_IMMEDIATE_EXIT) > 0)
		return -EINTR;
	ret = c->fk->host->arch->run_check(c);
	if (ret)
		return ret < 0 ? ret : 0;
	vcpu->running = true;
	vcpu->n_runs++;
	ret = play(c);
	vcpu->running = false;
	pthread_cond_broadcast(&c->fk->idle);
	if (ret == -EINTR)
		vcpu->run->exit_reason = KVM_EXIT_INTR;
	return ret;
}

const struct fake_request fake_vcpu_requests[] = {
	FAKE_REQUEST(KVM_RUN, run),
	FAKE_REQUEST(KVM_SET_SIGNAL_MASK, set_signal_mask),
	FAKE_REQUEST_CAP(KVM_GET_STATS_FD, fake_get_stats_fd, KVM_CAP_BINARY_STATS_FD),
	FAKE_END,
};

/* ---- The test's side ---- */

void fake_free_script(struct fake_script *s)
{
	for (size_t i = 0; s->owned && i < s->n; i++)
		free((void *)s->steps[i].data);
	if (s->owned)
		free((void *)s->steps);
	*s = (struct fake_script){ 0 };
}

void fakekvm_script(struct fakekvm *fk, unsigned int vcpu, const struct fake_step *steps, size_t n)
{
	if (vcpu >= FAKE_MAX_IDS)
		abort();
	pthread_mutex_lock(&fk->lock);
	fake_free_script(&fk->scripts[vcpu]);
	fk->scripts[vcpu] = (struct fake_script){ .steps = steps, .n = n };
	pthread_mutex_unlock(&fk->lock);
}

size_t fakekvm_answer(struct fakekvm *fk, unsigned int vcpu, unsigned int nth, void *buf,
		      size_t size)
{
	const struct fake_vcpu *v;
	size_t len = 0;

	pthread_mutex_lock(&fk->lock);
	v = fake_find_vcpu(fk, fk->newest, vcpu);
	if (v && nth < v->answers->n && nth < FAKE_MAX_ANSWERS) {
		len = v->answers->at[nth].len;
		memcpy(buf, v->answers->bytes + v->answers->at[nth].off, min_u64(len, size));
	}
	pthread_mutex_unlock(&fk->lock);
	return len;
}

u64 fakekvm_answer_u64(struct fakekvm *fk, unsigned int vcpu, unsigned int nth)
{
	u8 buf[8] = { 0 };

	fakekvm_answer(fk, vcpu, nth, buf, sizeof(buf));
	return get_le64(buf);
}

unsigned int fakekvm_n_answers(struct fakekvm *fk, unsigned int vcpu)
{
	const struct fake_vcpu *v;
	unsigned int n;

	pthread_mutex_lock(&fk->lock);
	v = fake_find_vcpu(fk, fk->newest, vcpu);
	n = v ? v->answers->n : 0;
	pthread_mutex_unlock(&fk->lock);
	return n;
}

bool fakekvm_script_done(struct fakekvm *fk, unsigned int vcpu)
{
	const struct fake_vcpu *v;
	bool done;

	pthread_mutex_lock(&fk->lock);
	v = fake_find_vcpu(fk, fk->newest, vcpu);
	done = v && vcpu < FAKE_MAX_IDS && v->step >= fk->scripts[vcpu].n && !v->pending;
	pthread_mutex_unlock(&fk->lock);
	return done;
}
