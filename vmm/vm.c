/*
 * vm.c - the life of a VM, and the public API (include/lkvm.h).
 *
 *	CREATED -> RUNNING <-> PAUSED -> STOPPED
 *
 * The caller's threads build, start, pause and resume. Everything that ends or
 * restarts a machine happens on the loop thread: whoever sees an end (a vCPU, a device, a
 * timer, the console, the caller) only notes the cause and posts work to it.
 *
 * Locks: control -> those of dev.h -> lock. @control serialises what changes the
 * machine's life and is held while vCPUs are waited for, so never take it on a vCPU
 * thread; @lock guards the notes, is held for a few instructions, and is a leaf.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "devices/classes.h"
#include "vmm/arch.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/disk.h"
#include "vmm/elf.h"
#include "vmm/load.h"
#include "vmm/machine.h"
#include "vmm/panic_scan.h"
#include "vmm/peripherals.h"
#include "vmm/result.h"
#include "vmm/thread.h"
#include "vmm/vm.h"
#include "vmm/vm_stats.h"

/* After a panic was reported: end once the console is this quiet, or after this long. */
#define PANIC_QUIET_NS (500 * NSEC_PER_MSEC)
#define PANIC_OVER_NS  (100 * NSEC_PER_MSEC) /* the same, once its last line began */
#define PANIC_LIMIT_NS (5 * NSEC_PER_SEC)
#define PANIC_TICK_NS  (50 * NSEC_PER_MSEC)

struct vm_end {
	enum lkvm_cause cause;
	u64 value;
	char detail[sizeof(((struct lkvm_result *)0)->detail)];
};

struct lkvm_vm {
	struct lkvm_config cfg;
	struct log log;
	struct kvm_host kvm_host; /* opened once: a restart may come with fewer privileges */
	struct image kernel, initrd, firmware, id_block, id_auth;
	struct disk flash;
	struct loop *loop;
	struct console *console;
	struct peripherals peripherals;
	struct machine_env env;
	int stopped_fd;

	pthread_t thread;
	bool has_thread;

	pthread_mutex_t control;
	struct machine *machine; /* under @control */

	pthread_mutex_t lock;
	pthread_cond_t cond; /* state changed */
	enum lkvm_state state;
	struct vm_end end;
	bool panicked;	 /* a panic was reported: resets that follow are part of it */
	bool panic_over; /* loop thread: its last line was seen */
	u64 panic_ns;
	u64 phase_ns[LKVM_N_PHASES];
	unsigned int n_boots;
	bool finishing; /* under @control: the last steps were begun */

	/* Of machines that are gone, under @control; the running one's are added on asking. */
	u64 exits[LKVM_N_EXIT_REASONS];
	u64 unclaimed;
	struct vm_stats stats;

	struct lkvm_vcpu_state *post_mortem; /* n_vcpus, or NULL */

	struct loop_work start_work, end_work, panic_work;
	struct loop_timer timeout, idle, panic_tick;
};

/* ---- notes: any thread -------------------------------------------------------------- */

static void note_phase(void *ctx, enum lkvm_phase phase)
{
	struct lkvm_vm *vm = ctx;

	pthread_mutex_lock(&vm->lock);
	if (!vm->phase_ns[phase])
		vm->phase_ns[phase] = clock_ns();
	pthread_mutex_unlock(&vm->lock);
}

/* A reset that will be followed by a restart gives way to any other cause that comes first. */
static bool may_replace(const struct lkvm_vm *vm)
{
	return vm->end.cause == LKVM_CAUSE_NONE ||
	       (vm->end.cause == LKVM_CAUSE_RESET && vm->cfg.on_reboot == LKVM_ON_REBOOT_RESTART);
}

/* True when the console says that the guest panicked; a sentence on it either way. */
static bool panic_detail(struct lkvm_vm *vm, char *buf, size_t size)
{
	char reason[PANIC_REASON_MAX];
	bool seen = console_saw_panic(vm->console, reason, sizeof(reason));

	snprintf(buf, size, "the guest's kernel panicked%s%s", reason[0] ? ": " : "", reason);
	return seen;
}

/* @detail may be NULL for a panic: then it is what the console knows of it. */
static void note_end(void *ctx, enum lkvm_cause cause, u64 value, const char *detail)
{
	struct lkvm_vm *vm = ctx;
	char panic[192];
	bool panicked = panic_detail(vm, panic, sizeof(panic));

	pthread_mutex_lock(&vm->lock);
	if (may_replace(vm)) {
		/* How a panicking kernel leaves the stage is not news. */
		if ((panicked || vm->panicked) &&
		    (cause == LKVM_CAUSE_RESET || cause == LKVM_CAUSE_TRIPLE_FAULT ||
		     cause == LKVM_CAUSE_POWEROFF)) {
			cause = LKVM_CAUSE_PANIC;
			value = 0;
			detail = NULL;
		}
		vm->end.cause = cause;
		vm->end.value = value;
		snprintf(vm->end.detail, sizeof(vm->end.detail), "%s", detail ? detail : panic);
		vm->phase_ns[LKVM_PHASE_END] = clock_ns();
	}
	pthread_mutex_unlock(&vm->lock);
	loop_post(vm->loop, &vm->end_work);
}

static void note_panic(void *ctx)
{
	struct lkvm_vm *vm = ctx;

	pthread_mutex_lock(&vm->lock);
	if (!vm->panicked) {
		vm->panicked = true;
		vm->panic_ns = clock_ns();
	}
	pthread_mutex_unlock(&vm->lock);
	loop_post(vm->loop, &vm->panic_work);
}

static void set_state(struct lkvm_vm *vm, enum lkvm_state state)
{
	pthread_mutex_lock(&vm->lock);
	vm->state = state;
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
}

enum lkvm_state lkvm_vm_state(const struct lkvm_vm *cvm)
{
	struct lkvm_vm *vm = (struct lkvm_vm *)cvm;
	enum lkvm_state state;

	pthread_mutex_lock(&vm->lock);
	state = vm->state;
	pthread_mutex_unlock(&vm->lock);
	return state;
}

/* ---- loop thread: ends and restarts ------------------------------------------------- */

static void add_counts(const struct machine *m, u64 exits[LKVM_N_EXIT_REASONS], u64 *unclaimed)
{
	for (unsigned int i = 0; i < m->n_vcpus; i++) {
		for (unsigned int r = 0; r < LKVM_N_EXIT_REASONS; r++)
			exits[r] +=
				atomic_load_explicit(&m->vcpus[i].exits[r], memory_order_relaxed);
	}
	*unclaimed += atomic_load(&m->ports.n_unclaimed) + atomic_load(&m->mmio.n_unclaimed);
}

static void drop_machine(struct lkvm_vm *vm)
{
	machine_halt(vm->machine);
	add_counts(vm->machine, vm->exits, &vm->unclaimed);
	vm_stats_keep(&vm->stats, vm->machine);
	machine_destroy(vm->machine);
	vm->machine = NULL;
}

static void vcpu_post_mortem(struct lkvm_vm *vm, struct vcpu *vcpu, struct lkvm_vcpu_state *state)
{
	u64 n = min_u64(vcpu->n_last, LKVM_N_LAST_EXITS), pc = 0;

	for (u64 i = 0; i < n; i++)
		state->exits[i] = vcpu->last[(vcpu->n_last - n + i) % LKVM_N_LAST_EXITS];
	state->n_exits = (unsigned int)n;
	if (arch_get_regs(vcpu, state, &pc)) {
		state->n_regs = 0;
		snprintf(state->symbol_note, sizeof(state->symbol_note),
			 "the registers could not be read");
	} else if (state->symbol_note[0]) {
		; /* the architecture knows why there can be none */
	} else if (!elf_is_elf(&vm->kernel)) {
		snprintf(state->symbol_note, sizeof(state->symbol_note),
			 "the kernel is no ELF file with symbols, and where it put itself (KASLR "
			 "offset) is unknown");
	} else if (elf_symbol(&vm->kernel, pc, state->symbol, sizeof(state->symbol))) {
		snprintf(state->symbol_note, sizeof(state->symbol_note), "%.*s",
			 (int)sizeof(state->symbol_note) - 1, state->symbol);
		state->symbol[0] = 0;
	}
}

static void post_mortem(struct lkvm_vm *vm)
{
	struct machine *m = vm->machine;

	vm->post_mortem = calloc(m->n_vcpus, sizeof(*vm->post_mortem));
	if (!vm->post_mortem) {
		log_warn(&vm->log, "no memory for a post mortem of %u vCPUs", m->n_vcpus);
		return;
	}
	for (unsigned int i = 0; i < m->n_vcpus; i++)
		vcpu_post_mortem(vm, &m->vcpus[i], &vm->post_mortem[i]);
}

/* All consoles have delivered all they can: the last step of a life. */
static void on_drained(void *ctx)
{
	struct lkvm_vm *vm = ctx;
	u64 one = 1;
	ssize_t n;

	/* Under one hold of the lock: nobody sees the one without the other. */
	pthread_mutex_lock(&vm->lock);
	vm->state = LKVM_STATE_STOPPED;
	n = write(vm->stopped_fd, &one, sizeof(one));
	(void)n;
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
	loop_stop(vm->loop);
}

static void on_console_drained(void *ctx)
{
	struct lkvm_vm *vm = ctx;

	peripherals_drain(&vm->peripherals, on_drained, vm);
}

static void stop_timers(struct lkvm_vm *vm)
{
	loop_timer_set(vm->loop, &vm->timeout, 0);
	loop_timer_set(vm->loop, &vm->idle, 0);
	loop_timer_set(vm->loop, &vm->panic_tick, 0);
}

/* @control is held. */
static void finish(struct lkvm_vm *vm)
{
	vm->finishing = true;
	stop_timers(vm);
	if (vm->machine) {
		machine_halt(vm->machine);
		if (result_wants_post_mortem(vm->end.cause))
			post_mortem(vm);
		drop_machine(vm);
	}
	console_drain(vm->console, on_console_drained, vm);
}

/* @control is held. Boot again from the files, on a machine that has seen nothing. */
static void restart(struct lkvm_vm *vm)
{
	struct lkvm_error err = { 0 };
	bool paused = lkvm_vm_state(vm) == LKVM_STATE_PAUSED;

	drop_machine(vm);
	log_info(&vm->log, "reset: booting again");
	if (machine_create(&vm->machine, &vm->env, &err) ||
	    machine_start(vm->machine, paused, &err)) {
		char detail[sizeof(err.msg)];

		snprintf(detail, sizeof(detail), "%s", err.msg);
		note_end(vm, LKVM_CAUSE_HOST_ERROR, (u64)-err.code, detail);
		return;
	}
	pthread_mutex_lock(&vm->lock);
	vm->n_boots++;
	pthread_mutex_unlock(&vm->lock);
}

static void on_end(struct loop_work *work)
{
	struct lkvm_vm *vm = container_of(work, struct lkvm_vm, end_work);
	bool again = false, over;

	pthread_mutex_lock(&vm->control);
	pthread_mutex_lock(&vm->lock);
	/* Late ends of a machine that is gone come here too. */
	over = vm->finishing || vm->end.cause == LKVM_CAUSE_NONE;
	if (!over && vm->end.cause == LKVM_CAUSE_RESET &&
	    vm->cfg.on_reboot == LKVM_ON_REBOOT_RESTART) {
		vm->end = (struct vm_end){ 0 };
		vm->phase_ns[LKVM_PHASE_END] = 0;
		again = true;
	}
	pthread_mutex_unlock(&vm->lock);
	if (again)
		restart(vm);
	else if (!over)
		finish(vm);
	pthread_mutex_unlock(&vm->control);
}

static void on_timeout(struct loop_timer *timer)
{
	struct lkvm_vm *vm = container_of(timer, struct lkvm_vm, timeout);
	struct console_stats stats;
	char detail[120];

	console_get_stats(vm->console, &stats);
	snprintf(detail, sizeof(detail), "still running after %.3f s%s",
		 (double)vm->cfg.timeout_ns / (double)NSEC_PER_SEC,
		 stats.bytes_out ? "" : ", and it printed nothing");
	note_end(vm, LKVM_CAUSE_TIMEOUT, 0, detail);
}

/* How long ago @since was; what happens after the clock was read happened just now. */
static u64 elapsed(u64 since)
{
	u64 now = clock_ns();

	return now > since ? now - since : 0;
}

static void on_idle(struct loop_timer *timer)
{
	struct lkvm_vm *vm = container_of(timer, struct lkvm_vm, idle);
	/* never early: the time of the last byte is that of a clock which lags */
	u64 limit = vm->cfg.idle_timeout_ns + CLOCK_COARSE_LAG, quiet_since, quiet;
	struct console_stats stats;
	char detail[80];

	console_get_stats(vm->console, &stats);
	pthread_mutex_lock(&vm->lock);
	quiet_since = max_u64(stats.last_byte_ns, vm->phase_ns[LKVM_PHASE_FIRST_RUN]);
	/* A paused guest cannot speak. */
	if (vm->state == LKVM_STATE_PAUSED || !quiet_since)
		quiet_since = clock_ns();
	pthread_mutex_unlock(&vm->lock);
	quiet = elapsed(quiet_since);
	if (quiet < limit) {
		loop_timer_set(vm->loop, timer, clock_ns() + (limit - quiet));
		return;
	}
	snprintf(detail, sizeof(detail), "no console output for %.3f s",
		 (double)vm->cfg.idle_timeout_ns / (double)NSEC_PER_SEC);
	note_end(vm, LKVM_CAUSE_IDLE_TIMEOUT, 0, detail);
}

/* A panicking kernel still has its stack trace to print: let it finish. */
static void on_panic_tick(struct loop_timer *timer)
{
	struct lkvm_vm *vm = container_of(timer, struct lkvm_vm, panic_tick);
	u64 quiet = vm->panic_over ? PANIC_OVER_NS : PANIC_QUIET_NS;
	struct console_stats stats;
	bool go_on;

	console_get_stats(vm->console, &stats);
	pthread_mutex_lock(&vm->lock);
	/* It cannot while it is paused: its time begins anew. */
	if (vm->state == LKVM_STATE_PAUSED)
		vm->panic_ns = clock_ns();
	go_on = elapsed(vm->panic_ns) < PANIC_LIMIT_NS &&
		elapsed(max_u64(stats.last_byte_ns, vm->panic_ns)) < quiet;
	pthread_mutex_unlock(&vm->lock);
	if (go_on) {
		loop_timer_set(vm->loop, timer, clock_ns() + PANIC_TICK_NS);
		return;
	}
	note_end(vm, LKVM_CAUSE_PANIC, 0, NULL);
}

static void on_panic(struct loop_work *work)
{
	struct lkvm_vm *vm = container_of(work, struct lkvm_vm, panic_work);

	if (!vm->panic_tick.deadline)
		loop_timer_set(vm->loop, &vm->panic_tick, clock_ns() + PANIC_TICK_NS);
}

static void on_panic_end(void *ctx)
{
	struct lkvm_vm *vm = ctx;

	vm->panic_over = true;
	note_panic(vm);
}

static void on_escape(void *ctx)
{
	note_end(ctx, LKVM_CAUSE_USER, 0, "ended from its console");
}

/* The first work of the loop thread. */
static void on_start(struct loop_work *work)
{
	struct lkvm_vm *vm = container_of(work, struct lkvm_vm, start_work);
	u64 now = clock_ns();

	console_start(vm->console);
	peripherals_start(&vm->peripherals);
	if (vm->cfg.timeout_ns)
		loop_timer_set(vm->loop, &vm->timeout, now + vm->cfg.timeout_ns);
	if (vm->cfg.idle_timeout_ns)
		loop_timer_set(vm->loop, &vm->idle, now + vm->cfg.idle_timeout_ns);
}

static void *loop_thread(void *arg)
{
	struct lkvm_vm *vm = arg;
	struct lkvm_error err = { 0 };

	thread_set_name("lkvm-loop");
	if (loop_run(vm->loop, &err)) {
		/* Without a loop nobody else would end it: do so here, with what can still be done.
		 */
		note_end(vm, LKVM_CAUSE_HOST_ERROR, (u64)-err.code, err.msg);
		pthread_mutex_lock(&vm->control);
		stop_timers(vm);
		if (vm->machine)
			drop_machine(vm);
		console_flush(vm->console);
		pthread_mutex_unlock(&vm->control);
		on_drained(vm);
	}
	return NULL;
}

/* ---- the API ------------------------------------------------------------------------ */

static const struct console_ops console_ops = {
	.panic_line = note_panic,
	.panic_end = on_panic_end,
	.escape = on_escape,
};

static int build(struct lkvm_vm *vm, const struct kvm_backend *backend, struct lkvm_error *err)
{
	int ret = load_check_flash(&vm->cfg, err);

	if (ret)
		return ret;
	ret = image_open(&vm->kernel, "kernel", vm->cfg.kernel, err);
	if (ret)
		return ret;
	ret = image_open(&vm->initrd, "initrd", vm->cfg.initrd, err);
	if (ret)
		return ret;
	ret = image_open(&vm->firmware, "firmware", vm->cfg.firmware, err);
	if (ret)
		return ret;
	ret = image_open(&vm->id_block, "ID block", vm->cfg.x86.snp.id_block, err);
	if (ret)
		return ret;
	ret = image_open(&vm->id_auth, "ID authentication", vm->cfg.x86.snp.id_auth, err);
	if (ret)
		return ret;
	if (vm->cfg.flash[0])
		ret = disk_open_flash(&vm->flash, vm->cfg.flash, arch_flash_block, err);
	if (ret)
		return ret;
	vm->stopped_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->stopped_fd < 0)
		return err_host(err, errno, "eventfd");
	ret = loop_create(&vm->loop, LOOP_AUTO, err);
	if (ret)
		return ret;
	ret = console_create(&vm->console, &vm->cfg.console, !vm->cfg.no_console_panic, vm->loop,
			     &vm->log, &console_ops, vm, err);
	if (ret)
		return ret;
	ret = peripherals_open(&vm->peripherals, &vm->cfg, vm->loop, &vm->log, vm->console, err);
	if (ret)
		return ret;
	ret = kvm_open(&vm->kvm_host, backend, err);
	if (ret)
		return ret;
	vm->env = (struct machine_env){
		.cfg = &vm->cfg,
		.log = &vm->log,
		.kvm_host = &vm->kvm_host,
		.loop = vm->loop,
		.console = vm->console,
		.peripherals = &vm->peripherals,
		.kernel = &vm->kernel,
		.initrd = &vm->initrd,
		.firmware = &vm->firmware,
		.id_block = &vm->id_block,
		.id_auth = &vm->id_auth,
		.flash = vm->cfg.flash[0] ? &vm->flash : NULL,
		.end = note_end,
		.phase = note_phase,
		.panic = note_panic,
		.ctx = vm,
	};
	return machine_create(&vm->machine, &vm->env, err);
}

int vm_create_on(const struct kvm_backend *backend, const struct lkvm_config *cfg,
		 struct lkvm_vm **out, struct lkvm_error *err)
{
	u64 start = clock_ns();
	struct lkvm_vm *vm;
	pthread_condattr_t attr;
	int ret;

	*out = NULL;
	ret = lkvm_config_validate(cfg, err);
	if (ret)
		return ret;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return err_host(err, ENOMEM, "virtual machine");
	vm->cfg = *cfg;
	config_default_name(&vm->cfg);
	vm->log = (struct log){ cfg->log, cfg->log_ctx, cfg->log_level };
	if (cfg->arm64.e2h0 && !cfg->nested)
		log_warn(&vm->log, "--e2h0 means something together with --nested only: ignored");
	if (cfg->arm64.pmu_partition_abi && !cfg->arm64.pmu_partition)
		log_warn(&vm->log, "--pmu-partition-abi is for --pmu-partition: ignored");
	vm->kvm_host = (struct kvm_host)KVM_HOST_INIT;
	vm->kernel = vm->initrd = vm->firmware = (struct image)IMAGE_NONE;
	vm->id_block = vm->id_auth = (struct image)IMAGE_NONE;
	vm->flash = (struct disk)DISK_CLOSED;
	vm->stopped_fd = -1;
	vm->n_boots = 1;
	vm->phase_ns[LKVM_PHASE_START] = start;
	pthread_mutex_init(&vm->control, NULL);
	pthread_mutex_init(&vm->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vm->cond, &attr);
	pthread_condattr_destroy(&attr);
	vm->start_work.fn = on_start;
	vm->end_work.fn = on_end;
	vm->panic_work.fn = on_panic;
	vm->timeout.fn = on_timeout;
	vm->idle.fn = on_idle;
	vm->panic_tick.fn = on_panic_tick;

	ret = build(vm, backend, err);
	if (ret) {
		lkvm_vm_destroy(vm);
		return ret;
	}
	/* Asked for once, not at every restart. */
	vm->cfg.dump_acpi[0] = 0;
	vm->cfg.dump_dtb[0] = 0;
	*out = vm;
	return 0;
}

int lkvm_vm_create(const struct lkvm_config *cfg, struct lkvm_vm **vm, struct lkvm_error *err)
{
	return vm_create_on(kvm_default_backend(), cfg, vm, err);
}

static int start(struct lkvm_vm *vm, struct lkvm_error *err)
{
	int ret;

	if (lkvm_vm_state(vm) != LKVM_STATE_CREATED)
		return err_input(err, "the machine was started or stopped before");
	loop_post(vm->loop, &vm->start_work);
	ret = thread_start(&vm->thread, "of the event loop", loop_thread, vm, err);
	if (ret)
		return ret;
	vm->has_thread = true;
	set_state(vm, LKVM_STATE_RUNNING);
	ret = machine_start(vm->machine, false, err);
	if (ret)
		note_end(vm, LKVM_CAUSE_HOST_ERROR, (u64)-ret, "vCPU threads could not be started");
	return ret;
}

int lkvm_vm_start(struct lkvm_vm *vm, struct lkvm_error *err)
{
	int ret;

	/* While @control is held the loop thread neither ends nor restarts the machine. */
	pthread_mutex_lock(&vm->control);
	ret = start(vm, err);
	pthread_mutex_unlock(&vm->control);
	return ret;
}

int lkvm_vm_pause(struct lkvm_vm *vm)
{
	int ret = -EINVAL;

	pthread_mutex_lock(&vm->control);
	if (lkvm_vm_state(vm) == LKVM_STATE_RUNNING && vm->machine) {
		machine_pause(vm->machine);
		set_state(vm, LKVM_STATE_PAUSED);
		ret = 0;
	}
	pthread_mutex_unlock(&vm->control);
	return ret;
}

int lkvm_vm_resume(struct lkvm_vm *vm)
{
	int ret = -EINVAL;

	pthread_mutex_lock(&vm->control);
	if (lkvm_vm_state(vm) == LKVM_STATE_PAUSED && vm->machine) {
		set_state(vm, LKVM_STATE_RUNNING);
		machine_resume(vm->machine);
		if (vm->cfg.idle_timeout_ns)
			loop_timer_set(vm->loop, &vm->idle, clock_ns() + vm->cfg.idle_timeout_ns);
		ret = 0;
	}
	pthread_mutex_unlock(&vm->control);
	return ret;
}

int lkvm_vm_stop(struct lkvm_vm *vm)
{
	note_end(vm, LKVM_CAUSE_USER, 0, "ended by its owner");
	/* Callbacks may come here, with @control held or not; but not before the start. */
	if (lkvm_vm_state(vm) != LKVM_STATE_CREATED)
		return 0;
	pthread_mutex_lock(&vm->control);
	if (!vm->has_thread && lkvm_vm_state(vm) == LKVM_STATE_CREATED)
		on_drained(vm);
	pthread_mutex_unlock(&vm->control);
	return 0;
}

int lkvm_vm_wait(struct lkvm_vm *vm, int timeout_ms)
{
	u64 deadline = clock_ns() + (u64)(timeout_ms < 0 ? 0 : timeout_ms) * NSEC_PER_MSEC;
	struct timespec ts = { .tv_sec = (time_t)(deadline / NSEC_PER_SEC),
			       .tv_nsec = (long)(deadline % NSEC_PER_SEC) };
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	if (vm->state == LKVM_STATE_CREATED)
		ret = EINVAL;
	while (!ret && vm->state != LKVM_STATE_STOPPED) {
		if (timeout_ms < 0)
			pthread_cond_wait(&vm->cond, &vm->lock);
		else
			ret = pthread_cond_timedwait(&vm->cond, &vm->lock, &ts);
	}
	pthread_mutex_unlock(&vm->lock);
	return -ret;
}

int lkvm_vm_stopped_fd(const struct lkvm_vm *vm)
{
	return vm->stopped_fd;
}

const struct lkvm_config *lkvm_vm_config(const struct lkvm_vm *vm)
{
	return &vm->cfg;
}

int lkvm_vm_result(struct lkvm_vm *vm, struct lkvm_result *res)
{
	struct console_stats stats;

	console_get_stats(vm->console, &stats);
	pthread_mutex_lock(&vm->control);
	pthread_mutex_lock(&vm->lock);
	*res = (struct lkvm_result){
		.cause = vm->end.cause,
		.exit_status = result_exit_status(vm->end.cause, vm->end.value),
		.n_vcpus = vm->cfg.n_vcpus,
		.n_boots = vm->n_boots,
		.unclaimed_accesses = vm->unclaimed,
		.console_bytes = stats.bytes_out,
		.console_lost = stats.bytes_lost,
	};
	if (vm->end.cause == LKVM_CAUSE_VERDICT)
		res->verdict = vm->end.value;
	if (vm->end.cause == LKVM_CAUSE_HOST_ERROR)
		res->host_error = -(int)vm->end.value;
	memcpy(res->phase_ns, vm->phase_ns, sizeof(res->phase_ns));
	res->phase_ns[LKVM_PHASE_FIRST_CONSOLE] = stats.first_byte_ns;
	memcpy(res->exits, vm->exits, sizeof(res->exits));
	snprintf(res->detail, sizeof(res->detail), "%s", vm->end.detail);
	if (vm->machine)
		add_counts(vm->machine, res->exits, &res->unclaimed_accesses);
	pthread_mutex_unlock(&vm->lock);
	pthread_mutex_unlock(&vm->control);
	return 0;
}

int lkvm_vm_vcpu_state(struct lkvm_vm *vm, unsigned int index, struct lkvm_vcpu_state *state)
{
	*state = (struct lkvm_vcpu_state){ 0 };
	if (lkvm_vm_state(vm) != LKVM_STATE_STOPPED)
		return -EINVAL;
	if (index >= vm->cfg.n_vcpus)
		return -ENOENT;
	if (vm->post_mortem)
		*state = vm->post_mortem[index];
	return 0;
}

int lkvm_vm_stats(struct lkvm_vm *vm, int vcpu, struct lkvm_stat *stats, unsigned int max)
{
	struct lkvm_error err = { 0 };
	bool pause;
	int ret;

	if (vcpu >= (int)vm->cfg.n_vcpus)
		return -ENOENT;
	vcpu = vcpu < 0 ? -1 : vcpu;
	pthread_mutex_lock(&vm->control);
	pause = vm->machine && lkvm_vm_state(vm) == LKVM_STATE_RUNNING &&
		vm_stats_want_pause(&vm->stats, vm->machine, vcpu);
	if (pause)
		machine_pause(vm->machine);
	ret = vm_stats_read(&vm->stats, vm->machine, vcpu, stats, max, &err);
	if (pause)
		machine_resume(vm->machine);
	pthread_mutex_unlock(&vm->control);
	if (ret < 0 && err.msg[0])
		log_warn(&vm->log, "%s", err.msg);
	return ret;
}

long lkvm_vm_console_write(struct lkvm_vm *vm, const void *data, size_t len)
{
	return (long)console_push_input(vm->console, data, len);
}

void lkvm_vm_console_resize(struct lkvm_vm *vm, uint16_t cols, uint16_t rows)
{
	console_resize(vm->console, cols, rows);
}

void lkvm_vm_destroy(struct lkvm_vm *vm)
{
	if (!vm)
		return;
	if (vm->has_thread) {
		lkvm_vm_stop(vm);
		pthread_join(vm->thread, NULL);
	}
	vm_stats_fini(&vm->stats);
	machine_destroy(vm->machine);
	peripherals_close(&vm->peripherals);
	console_destroy(vm->console);
	loop_destroy(vm->loop);
	if (vm->stopped_fd >= 0)
		close(vm->stopped_fd);
	disk_close(&vm->flash);
	image_close(&vm->id_auth);
	image_close(&vm->id_block);
	image_close(&vm->firmware);
	image_close(&vm->initrd);
	image_close(&vm->kernel);
	kvm_close(&vm->kvm_host);
	free(vm->post_mortem);
	pthread_cond_destroy(&vm->cond);
	pthread_mutex_destroy(&vm->lock);
	pthread_mutex_destroy(&vm->control);
	free(vm);
}
