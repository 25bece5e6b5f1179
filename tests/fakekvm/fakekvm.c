/* fakekvm.c - the backend's five functions, the tables behind descriptors, the transcript. */
#include "tests/fakekvm/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- Text ---- */

void fake_note(struct fake_call *c, const char *fmt, ...)
{
	size_t len = strlen(c->note);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->note + len, sizeof(c->note) - len, fmt, ap);
	va_end(ap);
}

static void add_line(char *buf, size_t size, const char *fmt, va_list ap)
{
	size_t len = strlen(buf);

	if (len + 2 >= size)
		return;
	vsnprintf(buf + len, size - len - 1, fmt, ap);
	strcat(buf, "\n");
}

void fake_complain(struct fakekvm *fk, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(fk->complaints, sizeof(fk->complaints), fmt, ap);
	va_end(ap);
}

static void leak(struct fakekvm *fk, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void leak(struct fakekvm *fk, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(fk->leaks, sizeof(fk->leaks), fmt, ap);
	va_end(ap);
}

void fake_log(struct fakekvm *fk, const char *fmt, ...)
{
	size_t room = FAKE_TEXT_SIZE - fk->text_len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(fk->text + fk->text_len, room, fmt, ap);
	va_end(ap);
	if ((size_t)n < room)
		fk->text_len += (size_t)n;
	else
		fk->text[fk->text_len] = '\0';
}

static const char *result_text(int ret, const char *said, char *buf, size_t size)
{
	const char *name = ret < 0 ? strerrorname_np(-ret) : NULL;

	if (ret >= 0 && said)
		return said;
	if (name)
		snprintf(buf, size, "-%s", name);
	else
		snprintf(buf, size, "%d", ret);
	return buf;
}

/* ---- Tables ---- */

void *fake_user(const struct fake_call *c)
{
	return c->arg < FAKE_PAGE ? NULL : (void *)c->arg;
}

static struct fake_fd *find_fd(struct fakekvm *fk, int fd)
{
	struct fake_fd *f = &fk->fds[(unsigned int)fd % FAKE_MAX_FDS];

	return f->kind != FAKE_FREE && f->fd == fd ? f : NULL;
}

/* Numbers go up and never come back: one used after its close is found out. */
int fake_new_fd(struct fakekvm *fk, struct fake_fd what)
{
	for (unsigned int i = 0; i < FAKE_MAX_FDS; i++) {
		int fd = fk->next_fd++;
		struct fake_fd *f = &fk->fds[(unsigned int)fd % FAKE_MAX_FDS];

		if (f->kind == FAKE_FREE) {
			*f = what;
			f->fd = fd;
			return fd;
		}
	}
	return -EMFILE;
}

bool fake_any_running(const struct fakekvm *fk, const struct fake_vm *vm)
{
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++)
		if (fk->vcpus[i].vm == vm && fk->vcpus[i].running)
			return true;
	return false;
}

struct fake_vcpu *fake_find_vcpu(struct fakekvm *fk, const struct fake_vm *vm, unsigned int id)
{
	for (unsigned int i = 0; vm && i < FAKE_MAX_VCPUS; i++)
		if (fk->vcpus[i].vm == vm && fk->vcpus[i].id == id)
			return &fk->vcpus[i];
	return NULL;
}

static void vm_name(const struct fake_vm *vm, char *buf, size_t size)
{
	if (vm->index == 1)
		snprintf(buf, size, "vm");
	else
		snprintf(buf, size, "vm%u", vm->index);
}

static void fd_name(const struct fake_fd *f, char *buf, size_t size)
{
	if (f->kind == FAKE_STATS && f->vcpu)
		snprintf(buf, size, "%.20s.stats", f->vcpu->name);
	else if (f->kind == FAKE_STATS)
		snprintf(buf, size, "vm%.0u.stats", f->vm->index == 1 ? 0 : f->vm->index);
	else if (f->kind == FAKE_VM)
		vm_name(f->vm, buf, size);
	else if (f->kind == FAKE_DEVICE)
		snprintf(buf, size, "%s", f->dev->name);
	else
		snprintf(buf, size, "%s", f->kind == FAKE_VCPU ? f->vcpu->name : "sys");
}

/* A VM lives as long as one of its descriptors does (api.rst 2). */
static void put_vm(struct fakekvm *fk, struct fake_vm *vm)
{
	if (vm->open)
		return;
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++)
		if (fk->vcpus[i].used && fk->vcpus[i].vm == vm)
			return;
	for (unsigned int i = 0; i < vm->n_devices; i++)
		if (vm->devices[i].open)
			return;
	for (unsigned int i = 0; i < FAKE_MAX_FDS; i++)
		if (fk->fds[i].kind == FAKE_STATS && fk->fds[i].vm == vm)
			return;
	/* The memory behind slots is about to go; the rest stays for a test to look at. */
	memset(vm->slots, 0, sizeof(vm->slots));
	fake_drop_gmems(vm);
	vm->used = false;
}

static void put_vcpu(struct fakekvm *fk, struct fake_vcpu *vcpu)
{
	if (vcpu->open || vcpu->run)
		return;
	if (vcpu->signal_fd >= 0)
		syscall(SYS_close, vcpu->signal_fd);
	vcpu->signal_fd = -1;
	vcpu->used = false;
	put_vm(fk, vcpu->vm);
}

/* ---- System requests every architecture has ---- */

/* 4.1; an argument was seen to give EINVAL. */
static int get_api_version(struct fake_call *c)
{
	return c->arg ? -EINVAL : c->fk->api_version;
}

/* 4.2 */
static int create_vm(struct fake_call *c)
{
	struct fakekvm *fk = c->fk;
	struct fake_vm *vm = NULL;
	void *arch;
	int ret = fk->host->arch->check_vm_type(fk, c->arg);

	fake_note(c, " %lu", c->arg);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < FAKE_MAX_VMS && !vm; i++)
		if (!fk->vms[(fk->n_vms + i) % FAKE_MAX_VMS].used)
			vm = &fk->vms[(fk->n_vms + i) % FAKE_MAX_VMS];
	if (!vm)
		return -ENOMEM;
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++)
		if (fk->vcpus[i].vm == vm)
			fk->vcpus[i].vm = NULL;
	ret = fake_new_fd(fk, (struct fake_fd){ .kind = FAKE_VM, .vm = vm });
	if (ret < 0)
		return ret;
	arch = vm->arch;
	memset(arch, 0, fk->host->arch->vm_size);
	memset(vm, 0, sizeof(*vm));
	vm->arch = arch;
	vm->used = vm->open = true;
	vm->index = ++fk->n_vms;
	if (fk->host->arch->create_vm)
		fk->host->arch->create_vm(fk, vm, c->arg);
	fk->newest = vm;
	c->result = "vm";
	return ret;
}

int fake_cap(struct fakekvm *fk, struct fake_vm *vm, u32 cap)
{
	int value = cap < FAKE_MAX_CAPS ? fk->caps[cap] : 0;

	return fk->host->arch->check_extension(fk, vm, cap, value);
}

/* 4.4: on the system and on a VM; 0 for what is unknown, never an error. */
static int check_extension(struct fake_call *c)
{
	fake_note(c, " %lu", c->arg);
	return c->arg > UINT32_MAX ? 0 : fake_cap(c->fk, c->vm, (u32)c->arg);
}

/* 4.5 */
static int get_vcpu_mmap_size(struct fake_call *c)
{
	return c->arg ? -EINVAL : FAKE_RUN_SIZE;
}

static const struct fake_request sys_requests[] = {
	FAKE_REQUEST(KVM_GET_API_VERSION, get_api_version),
	FAKE_REQUEST(KVM_CREATE_VM, create_vm),
	FAKE_REQUEST(KVM_CHECK_EXTENSION, check_extension),
	FAKE_REQUEST(KVM_GET_VCPU_MMAP_SIZE, get_vcpu_mmap_size),
	FAKE_END,
};

/* ---- vCPUs ---- */

static struct fake_vcpu *free_vcpu(struct fakekvm *fk)
{
	struct fake_vcpu *old = NULL;

	/* One that is gone is kept for a test to look at, as long as there are fresh ones. */
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++) {
		if (fk->vcpus[i].used)
			continue;
		if (!fk->vcpus[i].vm)
			return &fk->vcpus[i];
		if (fk->vcpus[i].vm != fk->newest || !old)
			old = &fk->vcpus[i];
	}
	return old;
}

/*
 * 4.7: ids are below KVM_CAP_MAX_VCPU_ID, at most KVM_CAP_MAX_VCPUS of them. EINVAL for both and
 * EEXIST for a known id were observed.
 */
static int create_vcpu(struct fake_call *c)
{
	struct fakekvm *fk = c->fk;
	struct fake_vm *vm = c->vm;
	struct fake_answers *answers;
	struct fake_vcpu *old, *vcpu;
	void *arch;
	int ret;

	fake_note(c, " %lu", c->arg);
	if (c->arg >= (unsigned long)fake_cap(fk, vm, KVM_CAP_MAX_VCPU_ID) ||
	    vm->n_vcpus >= (unsigned int)fake_cap(fk, vm, KVM_CAP_MAX_VCPUS))
		return -EINVAL;
	old = fake_find_vcpu(fk, vm, (unsigned int)c->arg);
	if (old)
		return -EEXIST;
	vcpu = free_vcpu(fk);
	if (!vcpu)
		return -ENOMEM;
	arch = vcpu->arch;
	answers = vcpu->answers;
	memset(arch, 0, fk->host->arch->vcpu_size);
	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->arch = arch;
	vcpu->answers = answers;
	answers->n = 0;
	vcpu->vm = vm;
	vcpu->id = (unsigned int)c->arg;
	vcpu->signal_fd = -1;
	if (vm->index == 1)
		snprintf(vcpu->name, sizeof(vcpu->name), "vcpu%u", vcpu->id);
	else
		snprintf(vcpu->name, sizeof(vcpu->name), "vm%u.vcpu%u", vm->index, vcpu->id);
	ret = fk->host->arch->create_vcpu(c, vcpu);
	if (!ret)
		ret = fake_new_fd(fk,
				  (struct fake_fd){ .kind = FAKE_VCPU, .vm = vm, .vcpu = vcpu });
	if (ret < 0) {
		vcpu->vm = NULL;
		return ret;
	}
	vcpu->used = vcpu->open = true;
	vm->n_vcpus++;
	c->result = "vcpu";
	return ret;
}

static const struct fake_request common_vm_requests[] = {
	FAKE_REQUEST(KVM_CHECK_EXTENSION, check_extension),
	FAKE_REQUEST(KVM_CREATE_VCPU, create_vcpu),
	FAKE_REQUEST_CAP(KVM_GET_STATS_FD, fake_get_stats_fd, KVM_CAP_BINARY_STATS_FD),
	FAKE_END,
};

/* ---- Calls ---- */

static const struct fake_request *find_request(const struct fake_request *r, u32 req)
{
	for (; r->name; r++)
		if (r->req == req)
			return r;
	return NULL;
}

/* The kernel looks at the architecture-independent requests first; so does this. */
static const struct fake_request *lookup(struct fakekvm *fk, enum fake_kind kind, u32 req)
{
	const struct fake_arch *arch = fk->host->arch;
	const struct fake_request *tables[3] = { 0 };

	if (kind == FAKE_SYS) {
		tables[0] = sys_requests;
		tables[1] = arch->sys;
	} else if (kind == FAKE_VM) {
		tables[0] = common_vm_requests;
		tables[1] = fake_vm_requests;
		tables[2] = arch->vm;
	} else if (kind == FAKE_VCPU) {
		tables[0] = fake_vcpu_requests;
		tables[1] = arch->vcpu;
	} else {
		tables[0] = arch->device;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(tables) && tables[i]; i++) {
		const struct fake_request *r = find_request(tables[i], req);

		if (r)
			return !r->needs || fk->caps[r->needs - 1] > 0 ? r : NULL;
	}
	return NULL;
}

/* Whether the call that is just being counted is the one to fail. 0, or -errno. */
static int inject(struct fakekvm *fk, unsigned long req, const char *who, const char *what)
{
	int code = 0;

	if (++fk->n_calls == fk->fail_at)
		code = fk->fail_code;
	if (req && req == fk->fail_req && fk->fail_req_left && !--fk->fail_req_left)
		code = fk->fail_req_code;
	if (code)
		snprintf(fk->failed, sizeof(fk->failed), "%s %s", who, what);
	return -code;
}

/*
 * A vCPU has one mutex: while it runs, every other request on it waits (seen on a kernel). A VMM
 * that waits for such a request before it kicks has a deadlock; here it ends in EDEADLK.
 */
static int wait_until_idle(struct fakekvm *fk, struct fake_vcpu *vcpu, const char *name)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 10;
	while (vcpu->running)
		if (pthread_cond_timedwait(&fk->idle, &fk->lock, &end) == ETIMEDOUT) {
			fake_complain(fk, "%s waited 10 s for a running %s", name, vcpu->name);
			return -EDEADLK;
		}
	return 0;
}

/* Observed, but for devices: 4.79 sends all they do not know to nobody. */
static int unknown_request(const struct fakekvm *fk, enum fake_kind kind)
{
	if (kind == FAKE_VM)
		return fk->host->arch->unknown_vm_request;
	return kind == FAKE_DEVICE || kind == FAKE_STATS ? -ENOTTY : -EINVAL;
}

static int dispatch(struct fake_call *c, const struct fake_fd *f, u32 req, const char *name)
{
	const struct fake_request *r = lookup(c->fk, f->kind, req);
	int ret;

	c->vm = f->vm;
	c->vcpu = f->vcpu;
	c->dev = f->dev;
	if (c->vcpu) {
		ret = wait_until_idle(c->fk, c->vcpu, name);
		if (ret)
			return ret;
	}
	if (!r)
		return unknown_request(c->fk, f->kind);
	if (req == KVM_RUN && !c->fk->any_run) {
		c->fk->any_run = true;
		c->fk->setup_len = c->fk->text_len;
	}
	return r->fn(c);
}

static int fake_ioctl(void *ctx, int fd, unsigned long req, unsigned long arg)
{
	struct fakekvm *fk = ctx;
	struct fake_call c = { .fk = fk, .arg = arg };
	const struct fake_request *r = NULL;
	char who[32] = "?", unknown[16], num[24];
	const char *name;
	struct fake_fd *f;
	int ret;

	pthread_mutex_lock(&fk->lock);
	f = find_fd(fk, fd);
	if (f)
		fd_name(f, who, sizeof(who));
	for (int kind = f ? (int)f->kind : FAKE_SYS; kind <= FAKE_DEVICE && !r; kind++)
		r = lookup(fk, (enum fake_kind)kind, (u32)req);
	snprintf(unknown, sizeof(unknown), "0x%lx", req);
	name = r ? r->name : unknown;
	ret = inject(fk, req, who, name);
	if (!ret && !f) {
		fake_complain(fk, "%s on a descriptor that is not open", name);
		ret = -EBADF;
	}
	if (!ret)
		ret = dispatch(&c, f, (u32)req, name);
	fake_log(fk, "%s %s%s = %s\n", who, name, c.note,
		 result_text(ret, c.result, num, sizeof(num)));
	pthread_mutex_unlock(&fk->lock);
	return ret;
}

static int fake_open(void *ctx)
{
	struct fakekvm *fk = ctx;
	char num[24];
	int ret;

	pthread_mutex_lock(&fk->lock);
	ret = inject(fk, 0, "sys", "open");
	if (!ret)
		ret = fk->open_error ? -fk->open_error
				     : fake_new_fd(fk, (struct fake_fd){ .kind = FAKE_SYS });
	fake_log(fk, "sys open = %s\n", result_text(ret, "sys", num, sizeof(num)));
	pthread_mutex_unlock(&fk->lock);
	return ret;
}

/* Anonymous memory of its own, by the bare system call: tests wrap mmap() to fail it. */
static void *map_run(struct fakekvm *fk, struct fake_fd *f, size_t len, int *err_out)
{
	long addr;

	if (!f || f->kind != FAKE_VCPU) {
		*err_out = f ? ENODEV : EBADF;
		return NULL;
	}
	if (len != FAKE_RUN_SIZE)
		fake_complain(fk,
			      "mmap of %zu bytes of %s, not what KVM_GET_VCPU_MMAP_SIZE says, 4.5",
			      len, f->vcpu->name);
	if (f->vcpu->run) {
		fake_complain(fk, "%s was mapped twice", f->vcpu->name);
		*err_out = EBUSY;
		return NULL;
	}
	addr = syscall(SYS_mmap, NULL, FAKE_RUN_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (addr == -1) {
		*err_out = errno;
		return NULL;
	}
	f->vcpu->run = (struct kvm_run *)addr;
	return f->vcpu->run;
}

static void *fake_mmap(void *ctx, int fd, size_t len, int *err_out)
{
	struct fakekvm *fk = ctx;
	char who[32] = "?", num[24];
	void *addr = NULL;
	struct fake_fd *f;
	int ret;

	pthread_mutex_lock(&fk->lock);
	f = find_fd(fk, fd);
	if (f)
		fd_name(f, who, sizeof(who));
	ret = inject(fk, 0, who, "mmap");
	*err_out = -ret;
	if (!ret)
		addr = map_run(fk, f, len, err_out);
	fake_log(fk, "%s mmap %zu = %s\n", who, len,
		 result_text(addr ? 0 : -*err_out, NULL, num, sizeof(num)));
	pthread_mutex_unlock(&fk->lock);
	return addr;
}

static void fake_munmap(void *ctx, void *addr, size_t len)
{
	struct fakekvm *fk = ctx;
	struct fake_vcpu *vcpu = NULL;

	pthread_mutex_lock(&fk->lock);
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS && addr; i++)
		if (fk->vcpus[i].used && fk->vcpus[i].run == addr)
			vcpu = &fk->vcpus[i];
	if (!vcpu || len != FAKE_RUN_SIZE) {
		fake_complain(fk, "munmap of something else than a kvm_run");
	} else if (vcpu->running) {
		fake_complain(fk, "munmap of the kvm_run of %s, which runs", vcpu->name);
	} else {
		fake_log(fk, "%s munmap\n", vcpu->name);
		syscall(SYS_munmap, vcpu->run, FAKE_RUN_SIZE);
		vcpu->run = NULL;
		put_vcpu(fk, vcpu);
	}
	pthread_mutex_unlock(&fk->lock);
}

/* Of what is no statistics descriptor nothing can be read: errors were observed. */
static ssize_t fake_pread(void *ctx, int fd, void *buf, size_t len, u64 off)
{
	struct fakekvm *fk = ctx;
	char who[40] = "?", num[24];
	struct fake_fd *f;
	ssize_t ret;

	pthread_mutex_lock(&fk->lock);
	f = find_fd(fk, fd);
	if (f)
		fd_name(f, who, sizeof(who));
	ret = inject(fk, 0, who, "pread");
	if (!ret && (!f || f->kind != FAKE_STATS))
		ret = !f ? -EBADF : f->kind == FAKE_SYS ? -EINVAL : -ESPIPE;
	if (!ret)
		ret = fake_read_stats(fk, f, buf, len, off);
	fake_log(fk, "%s pread %zu at %llu = %s\n", who, len, (unsigned long long)off,
		 result_text((int)ret, NULL, num, sizeof(num)));
	pthread_mutex_unlock(&fk->lock);
	return ret;
}

static void fake_close(void *ctx, int fd)
{
	struct fakekvm *fk = ctx;
	struct fake_fd *f, old;
	char who[32];

	pthread_mutex_lock(&fk->lock);
	f = find_fd(fk, fd);
	if (!f) {
		fake_complain(fk, "close of a descriptor that is not open");
		pthread_mutex_unlock(&fk->lock);
		return;
	}
	old = *f;
	fd_name(f, who, sizeof(who));
	fake_log(fk, "%s close\n", who);
	f->kind = FAKE_FREE;
	if (old.kind == FAKE_VM) {
		old.vm->open = false;
		put_vm(fk, old.vm);
	} else if (old.kind == FAKE_VCPU) {
		if (old.vcpu->running)
			fake_complain(fk, "close of %s, which runs", who);
		old.vcpu->open = false;
		put_vcpu(fk, old.vcpu);
	} else if (old.kind == FAKE_DEVICE) {
		old.dev->open = false;
		put_vm(fk, old.vm);
	} else if (old.kind == FAKE_STATS) {
		put_vm(fk, old.vm);
	}
	pthread_mutex_unlock(&fk->lock);
}

/* ---- The test's side ---- */

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

const char *fakekvm_host_name(const struct fake_host *host)
{
	return host->name;
}

struct fakekvm *fakekvm_new(const struct fake_host *host)
{
	struct fakekvm *fk = must(calloc(1, sizeof(*fk)));
	u8 *vm_arch = must(calloc(FAKE_MAX_VMS, host->arch->vm_size));
	u8 *vcpu_arch = must(calloc(FAKE_MAX_VCPUS, host->arch->vcpu_size));
	struct fake_answers *answers = must(calloc(FAKE_MAX_VCPUS, sizeof(*answers)));

	fk->be = (struct kvm_backend){
		.open = fake_open,
		.ioctl = fake_ioctl,
		.mmap = fake_mmap,
		.munmap = fake_munmap,
		.pread = fake_pread,
		.close = fake_close,
		.ctx = fk,
		.path = "/dev/kvm",
		.sysfs = fk->sysfs,
		.sev = fk->sev,
	};
	fakekvm_set_sysfs(fk, "/sys/does-not-exist-in-fakekvm");
	fakekvm_set_sev(fk, "/dev/null");
	pthread_mutex_init(&fk->lock, NULL);
	pthread_cond_init(&fk->idle, NULL);
	fk->host = host;
	fk->api_version = KVM_API_VERSION;
	fk->next_fd = FAKE_FIRST_FD;
	fk->text = must(calloc(1, FAKE_TEXT_SIZE));
	for (const struct fake_cap *cap = host->caps; cap->value; cap++)
		fk->caps[cap->cap] = cap->value;
	for (unsigned int i = 0; i < FAKE_MAX_VMS; i++)
		fk->vms[i].arch = vm_arch + i * host->arch->vm_size;
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++) {
		fk->vcpus[i].arch = vcpu_arch + i * host->arch->vcpu_size;
		fk->vcpus[i].answers = &answers[i];
		fk->vcpus[i].signal_fd = -1;
	}
	if (host->arch->host_size)
		fk->arch = must(calloc(1, host->arch->host_size));
	host->arch->init(fk);
	return fk;
}

void fakekvm_free(struct fakekvm *fk)
{
	if (!fk)
		return;
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++) {
		struct fake_vcpu *vcpu = &fk->vcpus[i];

		if (vcpu->used && vcpu->run)
			syscall(SYS_munmap, vcpu->run, FAKE_RUN_SIZE);
		if (vcpu->signal_fd >= 0)
			syscall(SYS_close, vcpu->signal_fd);
	}
	for (unsigned int i = 0; i < FAKE_MAX_IDS; i++)
		fake_free_script(&fk->scripts[i]);
	pthread_cond_destroy(&fk->idle);
	pthread_mutex_destroy(&fk->lock);
	for (unsigned int i = 0; i < FAKE_MAX_VMS; i++)
		fake_drop_gmems(&fk->vms[i]);
	free(fk->vms[0].arch);
	free(fk->vcpus[0].arch);
	free(fk->vcpus[0].answers);
	free(fk->cpuid);
	free(fk->arch);
	free(fk->stats);
	free(fk->text);
	free(fk);
}

const struct kvm_backend *fakekvm_backend(struct fakekvm *fk)
{
	return &fk->be;
}

void fakekvm_set_api_version(struct fakekvm *fk, int version)
{
	fk->api_version = version;
}

void fakekvm_set_sysfs(struct fakekvm *fk, const char *path)
{
	if (strlen(path) >= sizeof(fk->sysfs))
		abort();
	snprintf(fk->sysfs, sizeof(fk->sysfs), "%s", path);
}

void fakekvm_set_sev(struct fakekvm *fk, const char *path)
{
	if (strlen(path) >= sizeof(fk->sev))
		abort();
	snprintf(fk->sev, sizeof(fk->sev), "%s", path);
}

void fakekvm_set_open_error(struct fakekvm *fk, int code)
{
	fk->open_error = code;
}

void fakekvm_set_cap(struct fakekvm *fk, u32 cap, int value)
{
	if (cap >= FAKE_MAX_CAPS)
		abort();
	fk->caps[cap] = value;
}

void fakekvm_refuse_msr(struct fakekvm *fk, u32 index)
{
	if (fk->n_refused == FAKE_MAX_REFUSED)
		abort();
	fk->refused[fk->n_refused++] = index;
}

void fakekvm_fail_nth(struct fakekvm *fk, unsigned long nth, int code)
{
	pthread_mutex_lock(&fk->lock);
	fk->fail_at = nth;
	fk->fail_code = code;
	pthread_mutex_unlock(&fk->lock);
}

void fakekvm_fail_request(struct fakekvm *fk, unsigned long req, unsigned int nth, int code)
{
	pthread_mutex_lock(&fk->lock);
	fk->fail_req = req;
	fk->fail_req_left = nth;
	fk->fail_req_code = code;
	pthread_mutex_unlock(&fk->lock);
}

unsigned long fakekvm_n_calls(struct fakekvm *fk)
{
	unsigned long n;

	pthread_mutex_lock(&fk->lock);
	n = fk->n_calls;
	pthread_mutex_unlock(&fk->lock);
	return n;
}

const char *fakekvm_failed_call(struct fakekvm *fk)
{
	const char *failed;

	pthread_mutex_lock(&fk->lock);
	failed = fk->failed[0] ? fk->failed : NULL;
	pthread_mutex_unlock(&fk->lock);
	return failed;
}

int fakekvm_vcpu_get(struct fakekvm *fk, unsigned int vcpu, unsigned long req, void *arg)
{
	struct fake_call c = { .fk = fk, .arg = (unsigned long)arg };
	const struct fake_request *r;
	int ret;

	pthread_mutex_lock(&fk->lock);
	c.vm = fk->newest;
	c.vcpu = fake_find_vcpu(fk, c.vm, vcpu);
	r = lookup(fk, FAKE_VCPU, (u32)req);
	ret = c.vcpu && r ? r->fn(&c) : -ENOENT;
	pthread_mutex_unlock(&fk->lock);
	return ret < 0 ? ret : 0;
}

char *fakekvm_transcript(struct fakekvm *fk, const char *who)
{
	size_t len, used = 0, skip;
	char *out;

	pthread_mutex_lock(&fk->lock);
	len = fk->text_len;
	if (who && !strcmp(who, "setup")) {
		len = fk->any_run ? fk->setup_len : len;
		who = NULL;
	}
	out = must(malloc(len + 1));
	for (size_t pos = 0; pos < len; pos += skip) {
		const char *line = fk->text + pos;

		skip = (size_t)(strchr(line, '\n') - line) + 1;
		if (who && (strncmp(line, who, strlen(who)) || line[strlen(who)] != ' '))
			continue;
		memcpy(out + used, line, skip);
		used += skip;
	}
	out[used] = '\0';
	pthread_mutex_unlock(&fk->lock);
	return out;
}

const char *fakekvm_leaks(struct fakekvm *fk)
{
	char who[32];

	pthread_mutex_lock(&fk->lock);
	fk->leaks[0] = '\0';
	for (unsigned int i = 0; i < FAKE_MAX_FDS; i++) {
		if (fk->fds[i].kind == FAKE_FREE)
			continue;
		fd_name(&fk->fds[i], who, sizeof(who));
		leak(fk, "%s is open", who);
	}
	for (unsigned int i = 0; i < FAKE_MAX_VCPUS; i++)
		if (fk->vcpus[i].used && fk->vcpus[i].run)
			leak(fk, "%s is mapped", fk->vcpus[i].name);
	pthread_mutex_unlock(&fk->lock);
	return fk->leaks;
}

const char *fakekvm_complaints(struct fakekvm *fk)
{
	return fk->complaints;
}
