/*
 * test_state.c - the state of vCPUs and interrupt controllers, from one machine into another
 * (T2, on fakekvm), and that fakekvm has KVM's rules for it.
 *
 * Does not prove that a guest goes on with it: fakekvm keeps registers and no more. That is for
 * tests/t3/x86/test_state.c, on real KVM. Of CET and of VMX's nested state nothing is proven but
 * what the documents and the kernel's source say of them: no CPU at hand has either.
 */
#include "tests/unit/x86/staterig.h"

#include <sys/mman.h>
#include <unistd.h>

#include "arch/x86/cpuid.h"
#include "tests/fakekvm/fakekvm.h"
#include "tests/faults.h"
#include "tests/unit/x86/vmarch.h"

#define MSR_TSC		 0x10
#define MSR_ARCH_CAP	 0x10a
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_PAT		 0x277
#define MSR_U_CET	 0x6a0
#define MSR_S_CET	 0x6a2
#define MSR_PL0_SSP	 0x6a4
#define MSR_PL3_SSP	 0x6a7
#define MSR_INT_SSP_TAB	 0x6a8
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_XSS		 0xda0
#define MSR_LSTAR	 0xc0000082
#define GUEST_SSP	 KVM_X86_REG_KVM(KVM_REG_GUEST_SSP)

#define CR0_WP	     BIT(16)
#define CR4_CET	     BIT(23)
#define EFER_SVME    BIT(12)
#define LVT_TIMER    0x320
#define LVT_DEADLINE 0x40000
#define XSAVE_SIZE   11008 /* with AMX */
#define VMX_SIZE     (sizeof(struct kvm_nested_state) + 2 * KVM_STATE_NESTED_VMX_VMCS_SIZE)
#define SVM_SIZE     (sizeof(struct kvm_nested_state) + KVM_STATE_NESTED_SVM_VMCB_SIZE)

/* A machine on a KVM of its own. */
struct host {
	struct fakekvm *fk;
	struct rig *r;
};

static struct image kernel;

static int make_kernel(void **state)
{
	static u8 file[VMARCH_KERNEL_MAX];
	size_t size = vmarch_kernel(file);

	(void)state;
	kernel = (struct image){
		.fd = memfd_create("kernel", 0), .size = size, .what = "kernel", .path = "kernel"
	};
	return kernel.fd < 0 || write(kernel.fd, file, size) != (ssize_t)size;
}

static int drop_kernel(void **state)
{
	(void)state;
	return close(kernel.fd);
}

static void config(struct lkvm_config *cfg)
{
	lkvm_config_init(cfg);
	cfg->n_vcpus = 2;
	cfg->mem_size = 64 * MIB;
}

static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *cpuid, u32 function, u32 index)
{
	for (u32 i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == function && e->index == index)
			return e;
	}
	return NULL;
}

static struct kvm_cpuid2 *cpuid_of(const struct vcpu *vcpu)
{
	struct kvm_cpuid2 *c =
		calloc(1, sizeof(*c) + CPUID_MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2));

	assert_non_null(c);
	c->nent = CPUID_MAX_ENTRIES;
	assert_int_equal(kvm_fd_ioctl(&vcpu->machine->kvm, vcpu->fd, KVM_GET_CPUID2, c, NULL), 0);
	return c;
}

static int set_cpuid(const struct vcpu *vcpu, struct kvm_cpuid2 *cpuid)
{
	int ret = kvm_fd_ioctl(&vcpu->machine->kvm, vcpu->fd, KVM_SET_CPUID2, cpuid, NULL);

	free(cpuid);
	return ret;
}

/* Whatever --cpu makes of it: what a vCPU shows is exactly this of CET, VMX and SVM. */
static void give(const struct vcpu *vcpu, bool shstk, bool ibt)
{
	struct kvm_cpuid2 *c = cpuid_of(vcpu);
	struct kvm_cpuid_entry2 *e = leaf(c, 7, 0);

	e->ecx = (e->ecx & ~(u32)BIT(7)) | (u32)shstk << 7;
	e->edx = (e->edx & ~(u32)BIT(20)) | (u32)ibt << 20;
	e = leaf(c, 0xd, 1);
	if (e && (shstk || ibt)) {
		e->eax |= 8;
		e->ecx |= 0x1800;
	}
	e = leaf(c, 1, 0);
	e->ecx |= (u32)BIT(5);
	assert_int_equal(set_cpuid(vcpu, c), 0);
}

/* A host of Linux 7.2, with the capabilities that come with CET and hypervisors in guests. */
static struct host host_new(const struct fake_host *fake, const struct lkvm_config *cfg)
{
	struct host h = { .fk = fakekvm_new(fake) };
	bool intel = !strncmp(fakekvm_host_name(fake), "intel", 5);

	fakekvm_set_cap(h.fk, KVM_CAP_XSAVE2, XSAVE_SIZE);
	fakekvm_set_cap(h.fk, KVM_CAP_NESTED_STATE, intel ? VMX_SIZE : SVM_SIZE);
	h.r = rig_new(fakekvm_backend(h.fk), cfg, &kernel);
	return h;
}

/* An old one: what it has not was added later. */
static struct host old_host_new(const struct fake_host *fake, const struct lkvm_config *cfg)
{
	struct host h = { .fk = fakekvm_new(fake) };

	fakekvm_set_cap(h.fk, KVM_CAP_SREGS2, 0);
	h.r = rig_new(fakekvm_backend(h.fk), cfg, &kernel);
	for (unsigned int i = 0; i < h.r->m->n_vcpus; i++)
		give(&h.r->m->vcpus[i], false, false);
	return h;
}

/* One that shows CET. */
static struct host cet_host_new(const struct fake_host *fake, const struct lkvm_config *cfg)
{
	struct host h = host_new(fake, cfg);

	for (unsigned int i = 0; i < h.r->m->n_vcpus; i++)
		give(&h.r->m->vcpus[i], true, fake == &fakekvm_x86_intel_next);
	return h;
}

static void host_free(struct host *h)
{
	rig_free(h->r);
	assert_string_equal(fakekvm_leaks(h->fk), "");
	assert_string_equal(fakekvm_complaints(h->fk), "");
	fakekvm_free(h->fk);
}

static void get(struct host *h, struct rig_state *s)
{
	if (rig_get(h->r, s))
		fail_msg("get: %s", h->r->err.msg);
}

static void set(struct host *h, const struct rig_state *s)
{
	if (rig_set(h->r, s))
		fail_msg("set: %s", h->r->err.msg);
}

static int ask(struct host *h, unsigned long req, const void *arg)
{
	return kvm_fd_ioctl(&h->r->m->kvm, h->r->m->vcpus[0].fd, req, arg, NULL);
}

static u64 *msr(const struct x86_vcpu_state *s, u32 index)
{
	for (u32 i = 0; i < s->n_msrs; i++) {
		if (s->msrs[i].index == index)
			return &s->msrs[i].data;
	}
	return NULL;
}

static void set_msr(const struct x86_vcpu_state *s, u32 index, u64 val)
{
	u64 *at = msr(s, index);

	if (!at)
		fail_msg("there is no MSR 0x%x", index);
	*at = val;
}

/* Each part has values of its own, those of vCPU @n. */
static void fill(struct x86_vcpu_state *s, u64 n)
{
	for (size_t i = 0; i < sizeof(s->regs) / sizeof(u64); i++)
		((u64 *)&s->regs)[i] = n << 32 | i << 4;
	s->regs.rflags = 0x202;
	s->sregs.cr2 = 0x1000 + n;
	s->sregs.gs.base = 0xffff888000000000 + n;
	s->xcrs.xcrs[0].value = 3;
	s->xsave->region[40] = (u32)(0x1234 + n);
	s->xsave->region[128] = 3; /* XSTATE_BV */
	((u8 *)s->xsave)[s->xsave_size - 1] = (u8)n;
	s->debugregs.db[2] = 0x4000 + n;
	s->debugregs.dr7 = 0x420;
	s->events.exception.injected = 1;
	s->events.exception.nr = 14;
	s->events.exception.error_code = (u32)n;
	s->events.nmi.pending = 1;
	s->events.interrupt.shadow = cpuid_vendor(s->cpuid) == CPUID_VENDOR_INTEL ? 1 : 3;
	put_le32(s->lapic.regs + 0x80, 0x30);
	put_le32(s->lapic.regs + LVT_TIMER, LVT_DEADLINE | 0xef);
	set_msr(s, MSR_TSC, 1000000 * (n + 1));
	set_msr(s, MSR_TSC_DEADLINE, 2000000 * (n + 1));
	set_msr(s, MSR_LSTAR, 0xffffffff81000000 + n);
	set_msr(s, MSR_PAT, 0x0606060606060606);
}

static void fill_vm(struct x86_vm_state *vm)
{
	vm->clock = 123456789;
	vm->chips[KVM_IRQCHIP_PIC_MASTER].chip.pic.imr = 0xfe;
	vm->chips[KVM_IRQCHIP_PIC_SLAVE].chip.pic.irq_base = 0x28;
	vm->chips[KVM_IRQCHIP_IOAPIC].chip.ioapic.redirtbl[4].bits = 0x34;
	vm->pit.channels[0].count = 11932;
}

static void fill_all(struct rig_state *s, unsigned int n_vcpus)
{
	for (unsigned int i = 0; i < n_vcpus; i++)
		fill(s->vcpus[i], i + 1);
	fill_vm(&s->vm);
}

/* ---- round trips --------------------------------------------------------------------------- */

/* What @was is comes out of @h again, and once more where it is already; frees both. */
static void comes_back(struct host *h, struct rig_state *was)
{
	struct rig_state is;

	for (int i = 0; i < 2; i++) {
		set(h, was);
		get(h, &is);
		rig_assert_same(h->r, was, &is);
		rig_state_free(&is);
	}
	rig_state_free(was);
	host_free(h);
}

static void round_trip(struct host a, struct host b)
{
	struct rig_state reset, was;
	struct x86_state_diff diff;

	get(&a, &reset);
	get(&a, &was);
	fill_all(&was, a.r->m->n_vcpus);
	set(&a, &was);
	rig_state_free(&was);
	get(&a, &was);
	assert_false(x86_vcpu_state_same(reset.vcpus[0], was.vcpus[0], &diff));
	assert_false(x86_vcpu_state_same(was.vcpus[0], was.vcpus[1], &diff));
	rig_state_free(&reset);
	host_free(&a);
	comes_back(&b, &was);
}

static void what_comes_out_of_one_machine_goes_into_another(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	config(&cfg);
	for (size_t i = 0; fakekvm_hosts[i]; i++) {
		round_trip(host_new(fakekvm_hosts[i], &cfg), host_new(fakekvm_hosts[i], &cfg));
		round_trip(old_host_new(fakekvm_hosts[i], &cfg),
			   old_host_new(fakekvm_hosts[i], &cfg));
	}
}

static void state_goes_to_a_newer_kernel(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;

	(void)state;
	config(&cfg);
	a = old_host_new(&fakekvm_x86_amd, &cfg);
	b = old_host_new(&fakekvm_x86_amd, &cfg);
	fakekvm_set_cap(b.fk, KVM_CAP_SREGS2, 1);
	fakekvm_set_cap(b.fk, KVM_CAP_NESTED_STATE, SVM_SIZE);
	get(&a, &was);
	assert_int_equal(was.vcpus[0]->nested_size, 0);
	fill_all(&was, 2);
	host_free(&a);
	comes_back(&b, &was);
}

static void processors_are_as_far_as_they_were(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;

	(void)state;
	config(&cfg);
	cfg.n_vcpus = 4;
	a = host_new(&fakekvm_x86_intel, &cfg);
	b = host_new(&fakekvm_x86_intel, &cfg);
	get(&a, &was);
	assert_int_equal(was.vcpus[0]->mp_state, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(was.vcpus[1]->mp_state, KVM_MP_STATE_UNINITIALIZED);
	was.vcpus[0]->mp_state = KVM_MP_STATE_HALTED;
	was.vcpus[2]->mp_state = KVM_MP_STATE_RUNNABLE;
	was.vcpus[3]->mp_state = KVM_MP_STATE_INIT_RECEIVED;
	host_free(&a);
	comes_back(&b, &was);
}

/* ---- CET ----------------------------------------------------------------------------------- */

static void fill_cet(struct x86_vcpu_state *s)
{
	s->sregs.cr0 |= CR0_WP;
	s->sregs.cr4 |= CR4_CET;
	set_msr(s, MSR_XSS, 0x1800);
	set_msr(s, MSR_U_CET, 3);
	set_msr(s, MSR_S_CET, 1);
	for (u32 i = MSR_PL0_SSP; i <= MSR_PL3_SSP; i++)
		set_msr(s, i, 0x7000 + 8 * i);
	set_msr(s, MSR_INT_SSP_TAB, 0xffff800000001000);
	s->ssp = 0x7ffff000;
}

static void cet_round_trip(const struct fake_host *fake)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;

	config(&cfg);
	a = cet_host_new(fake, &cfg);
	b = cet_host_new(fake, &cfg);
	get(&a, &was);
	fill_all(&was, 2);
	fill_cet(was.vcpus[1]);
	set(&a, &was);
	rig_state_free(&was);
	get(&a, &was);
	assert_true(was.vcpus[1]->ssp == 0x7ffff000);
	assert_true(*msr(was.vcpus[1], MSR_PL3_SSP) == 0x7000 + 8 * MSR_PL3_SSP);
	assert_true(was.vcpus[1]->sregs.cr4 & CR4_CET);
	host_free(&a);
	comes_back(&b, &was);
}

static void shadow_stacks_come_back(void **state)
{
	(void)state;
	cet_round_trip(&fakekvm_x86_intel_next);
	cet_round_trip(&fakekvm_x86_amd_next);
}

static void without_cet_in_cpuid_its_registers_are_left_alone(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	char *log;

	(void)state;
	config(&cfg);
	cfg.n_vcpus = 1;
	a = host_new(&fakekvm_x86_intel_next, &cfg);
	give(&a.r->m->vcpus[0], false, false);
	get(&a, &was);
	for (u32 i = MSR_U_CET; i <= MSR_INT_SSP_TAB; i++)
		assert_null(msr(was.vcpus[0], i));
	log = fakekvm_transcript(a.fk, "vcpu0");
	assert_null(strstr(log, "KVM_GET_ONE_REG"));
	free(log);
	rig_state_free(&was);

	give(&a.r->m->vcpus[0], false, true);
	get(&a, &was);
	assert_non_null(msr(was.vcpus[0], MSR_U_CET));
	assert_non_null(msr(was.vcpus[0], MSR_S_CET));
	assert_null(msr(was.vcpus[0], MSR_PL0_SSP));
	assert_null(msr(was.vcpus[0], MSR_INT_SSP_TAB));
	rig_state_free(&was);
	host_free(&a);
}

static void no_get(struct host *h, const char *words)
{
	struct rig_state s;

	assert_true(rig_get(h->r, &s) < 0);
	assert_int_equal(h->r->err.kind, LKVM_ERR_UNSUPPORTED);
	if (!strstr(h->r->err.msg, words))
		fail_msg("\"%s\" has no \"%s\" in it", h->r->err.msg, words);
	rig_state_free(&s);
}

static void what_cpuid_promises_and_kvm_refuses_is_named(void **state)
{
	struct lkvm_config cfg;
	struct host a;

	(void)state;
	config(&cfg);
	a = cet_host_new(&fakekvm_x86_amd_next, &cfg);
	fakekvm_refuse_msr(a.fk, MSR_PL3_SSP);
	no_get(&a, "does not read MSR 0x6a7, which CPUID says there is");
	host_free(&a);
	a = cet_host_new(&fakekvm_x86_amd_next, &cfg);
	fakekvm_set_cap(a.fk, KVM_CAP_ONE_REG, 0);
	no_get(&a, "vCPU 0: this host's KVM does not read SSP");
	host_free(&a);
}

/* ---- hypervisors in guests ----------------------------------------------------------------- */

static struct kvm_nested_state *make_nested(struct x86_vcpu_state *s, size_t size)
{
	free(s->nested);
	s->nested = calloc(1, size);
	assert_non_null(s->nested);
	s->nested_size = s->nested->size = (u32)size;
	for (size_t i = sizeof(*s->nested); i < size; i++)
		((u8 *)s->nested)[i] = (u8)(i * 7);
	s->nested->flags = KVM_STATE_NESTED_GUEST_MODE;
	return s->nested;
}

static void fill_vmx(struct x86_vcpu_state *s)
{
	struct kvm_nested_state *n = make_nested(s, VMX_SIZE);

	n->format = KVM_STATE_NESTED_FORMAT_VMX;
	n->hdr.vmx.vmxon_pa = 0x10000;
	n->hdr.vmx.vmcs12_pa = 0x11000;
	s->sregs.cr4 |= BIT(13);
}

static void fill_svm(struct x86_vcpu_state *s)
{
	struct kvm_nested_state *n = make_nested(s, SVM_SIZE);

	n->format = KVM_STATE_NESTED_FORMAT_SVM;
	n->flags |= KVM_STATE_NESTED_GIF_SET;
	put_le64(n->hdr.pad, 0x12000);
	s->sregs.efer |= EFER_SVME;
	set_msr(s, 0xc0000080, s->sregs.efer);
}

static void nested_round_trip(const struct fake_host *fake,
			      void (*fill_nested)(struct x86_vcpu_state *))
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;

	config(&cfg);
	a = host_new(fake, &cfg);
	for (unsigned int i = 0; i < 2; i++)
		give(&a.r->m->vcpus[i], false, false);
	get(&a, &was);
	fill_all(&was, 2);
	fill_nested(was.vcpus[0]);
	/* an INIT that waits until its hypervisor lets it through */
	was.vcpus[0]->events.smi.latched_init = fill_nested == fill_vmx;
	comes_back(&a, &was);
}

static void a_hypervisor_and_its_guest_come_back(void **state)
{
	(void)state;
	nested_round_trip(&fakekvm_x86_intel, fill_vmx);
	nested_round_trip(&fakekvm_x86_amd, fill_svm);
}

/* ---- the order ----------------------------------------------------------------------------- */

/* Line of the first call in @log that has @text in it; 0: none. */
static unsigned int line_of(const char *log, const char *text)
{
	unsigned int line = 1;
	const char *at = strstr(log, text);

	for (const char *p = log; at && p < at; p++)
		line += *p == '\n';
	return at ? line : 0;
}

static void in_this_order(const char *log, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!line_of(log, texts[i]))
			fail_msg("there is no %s in\n%s", texts[i], log);
		if (i && line_of(log, texts[i - 1]) > line_of(log, texts[i]))
			fail_msg("%s comes after %s in\n%s", texts[i - 1], texts[i], log);
	}
}

static void parts_are_set_when_it_is_their_turn(void **state)
{
	static const char *const order[] = {
		"KVM_SET_CPUID2",
		"KVM_SET_TSC_KHZ",
		"KVM_SET_SREGS2",
		"KVM_SET_XCRS",
		"KVM_SET_XSAVE",
		"0xda0=",
		"0x6a0=",
		"0x10=0x",
		"KVM_SET_ONE_REG 0x2030000300000000",
		"KVM_SET_LAPIC",
		"0x6e0=",
		"KVM_SET_NESTED_STATE",
		"KVM_SET_REGS",
		"KVM_SET_DEBUGREGS",
		"KVM_SET_VCPU_EVENTS",
		"KVM_SET_MP_STATE",
		"KVM_GET_MP_STATE",
	};
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	char *log;
	size_t before;

	(void)state;
	config(&cfg);
	cfg.n_vcpus = 1;
	a = cet_host_new(&fakekvm_x86_intel_next, &cfg);
	get(&a, &was);
	fill_all(&was, 1);
	fill_cet(was.vcpus[0]);
	was.vcpus[0]->tsc_khz += 1000;
	leaf(was.vcpus[0]->cpuid, 1, 0)->edx &= ~1u; /* one feature less */
	log = fakekvm_transcript(a.fk, "vcpu0");
	before = strlen(log);
	free(log);
	set(&a, &was);
	log = fakekvm_transcript(a.fk, "vcpu0");
	in_this_order(log + before, order, ARRAY_SIZE(order));
	free(log);
	rig_state_free(&was);
	host_free(&a);
}

static void mp_state_is_read_before_all_else(void **state)
{
	static const char *const order[] = { "KVM_GET_MP_STATE", "KVM_GET_REGS", "KVM_GET_SREGS2",
					     "KVM_GET_VCPU_EVENTS" };
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	char *log;
	size_t before;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_intel, &cfg);
	log = fakekvm_transcript(a.fk, "vcpu1");
	before = strlen(log);
	free(log);
	get(&a, &was);
	log = fakekvm_transcript(a.fk, "vcpu1");
	in_this_order(log + before, order, ARRAY_SIZE(order));
	free(log);
	rig_state_free(&was);
	host_free(&a);
}

static void controllers_come_before_the_timer_and_time_last(void **state)
{
	static const char *const order[] = { "KVM_SET_IRQCHIP 0", "KVM_SET_IRQCHIP 1",
					     "KVM_SET_IRQCHIP 2", "KVM_SET_PIT2", "KVM_SET_CLOCK" };
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	char *log;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_intel, &cfg);
	get(&a, &was);
	set(&a, &was);
	log = fakekvm_transcript(a.fk, NULL);
	in_this_order(log, order, ARRAY_SIZE(order));
	free(log);
	rig_state_free(&was);
	host_free(&a);
}

static void a_cpuid_table_that_is_there_is_not_set_again(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	unsigned int before = 0, after = 0;
	char *log;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_intel, &cfg);
	get(&a, &was);
	/* KVM's own copies of other registers make no difference */
	leaf(was.vcpus[0]->cpuid, 1, 0)->ecx ^= (u32)BIT(27);
	leaf(was.vcpus[0]->cpuid, 0xd, 0)->ebx ^= 0x40;
	log = fakekvm_transcript(a.fk, NULL);
	for (char *p = log; (p = strstr(p, "KVM_SET_CPUID2")); p++)
		before++;
	free(log);
	set(&a, &was);
	log = fakekvm_transcript(a.fk, NULL);
	for (char *p = log; (p = strstr(p, "KVM_SET_CPUID2")); p++)
		after++;
	free(log);
	assert_int_equal(before, after);
	rig_state_free(&was);
	host_free(&a);
}

/* ---- what another host does not take -------------------------------------------------------- */

static void refused(struct host *h, const struct rig_state *s, const char *words)
{
	assert_true(rig_set(h->r, s) < 0);
	assert_int_equal(h->r->err.kind, LKVM_ERR_UNSUPPORTED);
	if (!strstr(h->r->err.msg, words))
		fail_msg("\"%s\" has no \"%s\" in it", h->r->err.msg, words);
}

static void an_msr_that_is_listed_and_refused_is_left_out(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	u32 n;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_intel, &cfg);
	get(&a, &was);
	assert_non_null(msr(was.vcpus[0], MSR_ARCH_CAP));
	n = was.vcpus[0]->n_msrs;
	rig_state_free(&was);
	/* first, last and in a row */
	fakekvm_refuse_msr(a.fk, MSR_TSC);
	fakekvm_refuse_msr(a.fk, MSR_ARCH_CAP);
	fakekvm_refuse_msr(a.fk, 0x174);
	fakekvm_refuse_msr(a.fk, 0x175);
	fakekvm_refuse_msr(a.fk, 0x2ff);
	get(&a, &was);
	assert_int_equal(was.vcpus[0]->n_msrs, n - 5);
	assert_null(msr(was.vcpus[0], MSR_ARCH_CAP));
	assert_null(msr(was.vcpus[0], 0x175));
	assert_non_null(msr(was.vcpus[0], 0x176));
	comes_back(&a, &was);
}

static void an_msr_that_is_refused_is_named(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_intel, &cfg);
	b = host_new(&fakekvm_x86_intel, &cfg);
	fakekvm_refuse_msr(b.fk, MSR_LSTAR);
	get(&a, &was);
	refused(&b, &was, "vCPU 0: this host's KVM has no MSR 0xc0000082 for it");
	host_free(&b);
	b = host_new(&fakekvm_x86_intel, &cfg);
	set_msr(was.vcpus[1], MSR_PAT, 3);
	refused(&b, &was,
		"vCPU 1: MSR 0x277 is 0x7040600070406 on this host, and KVM refuses to make it "
		"0x3");
	rig_state_free(&was);
	host_free(&a);
	host_free(&b);
}

static void an_msr_that_is_not_kept_is_named(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_intel, &cfg);
	get(&a, &was);
	/* the timer is not in that mode: ignored */
	set_msr(was.vcpus[0], MSR_TSC_DEADLINE, BIT(40));
	refused(&a, &was,
		"vCPU 0: MSR 0x6e0 is 0x0 on this host and cannot be made 0x10000000000: KVM does "
		"not keep it");
	rig_state_free(&was);
	host_free(&a);
}

static void an_interrupt_shadow_of_one_kind_is_not_kept_by_svm(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_amd, &cfg);
	get(&a, &was);
	was.vcpus[0]->events.interrupt.shadow = 1;
	refused(&a, &was,
		"vCPU 0: the interrupt shadow of STI or MOV SS cannot be made what it was; this "
		"host's KVM does not keep it");
	was.vcpus[0]->events.interrupt.shadow = 3;
	set(&a, &was);
	rig_state_free(&was);
	host_free(&a);
}

/* An emulated CPU lets a guest write it, as Linux does. */
static void sysenter_has_32_bits_on_amd(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was, is;
	struct x86_state_diff diff;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_hygon, &cfg);
	get(&a, &was);
	set_msr(was.vcpus[0], MSR_SYSENTER_ESP, 0xfffffe0000002000);
	set_msr(was.vcpus[0], MSR_SYSENTER_EIP, 0xffffffff81001540);
	set(&a, &was);
	get(&a, &is);
	assert_int_equal(*msr(is.vcpus[0], MSR_SYSENTER_ESP), 0x2000);
	assert_int_equal(*msr(is.vcpus[0], MSR_SYSENTER_EIP), 0x81001540);
	rig_assert_same(a.r, &was, &is);
	set_msr(is.vcpus[0], MSR_SYSENTER_EIP, 0xffffffff81001541);
	assert_false(x86_vcpu_state_same(was.vcpus[0], is.vcpus[0], &diff));
	assert_int_equal(diff.msr, MSR_SYSENTER_EIP);
	rig_state_free(&is);
	host_free(&a);
	rig_state_free(&was);

	a = host_new(&fakekvm_x86_intel, &cfg);
	get(&a, &was);
	get(&a, &is);
	set_msr(was.vcpus[0], MSR_SYSENTER_ESP, 0xfffffe0000002000);
	set_msr(is.vcpus[0], MSR_SYSENTER_ESP, 0x2000);
	assert_false(x86_vcpu_state_same(was.vcpus[0], is.vcpus[0], &diff));
	assert_int_equal(diff.msr, MSR_SYSENTER_ESP);
	rig_state_free(&is);
	comes_back(&a, &was);
}

static void features_that_the_other_host_lacks_are_named(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;

	(void)state;
	config(&cfg);
	a = cet_host_new(&fakekvm_x86_amd_next, &cfg);
	b = host_new(&fakekvm_x86_amd, &cfg);
	get(&a, &was);
	refused(&b, &was, "vCPU 0: this host does not have what bits 0x");
	host_free(&a);
	rig_state_free(&was);
	get(&b, &was);
	leaf(was.vcpus[0]->cpuid, 7, 0)->ebx |= 1u << 14; /* MPX */
	refused(&b, &was, "bits 0x4000 of CPUID 0x7.0:EBX");
	leaf(was.vcpus[0]->cpuid, 7, 0)->ebx &= ~(1u << 14);
	leaf(was.vcpus[0]->cpuid, 0x80000008, 0)->eax = 0x3130; /* a width there is not */
	refused(&b, &was, "does not take its CPUID table");
	rig_state_free(&was);
	host_free(&b);
}

static void features_that_are_offered_may_be_had(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;
	struct kvm_cpuid2 *c;

	(void)state;
	config(&cfg);
	cfg.n_vcpus = 1;
	a = host_new(&fakekvm_x86_intel, &cfg);
	b = host_new(&fakekvm_x86_intel, &cfg);
	get(&a, &was);
	assert_true(leaf(was.vcpus[0]->cpuid, 7, 0)->ebx & BIT(3)); /* BMI1 */
	c = cpuid_of(&b.r->m->vcpus[0]);
	leaf(c, 7, 0)->ebx &= ~(u32)BIT(3);
	assert_int_equal(set_cpuid(&b.r->m->vcpus[0], c), 0);
	host_free(&a);
	comes_back(&b, &was);
}

/* ---- a KVM that does as it likes ---- */

#define STUCK_TSC 5

/*
 * The TSC does not follow, a debug exception has not come so far as to be injected, and how long
 * the CPUID table is is not said.
 */
static int odd_ioctl(void *ctx, int fd, unsigned long req, unsigned long arg)
{
	const struct kvm_backend *be = fakekvm_backend(ctx);
	int ret = be->ioctl(be->ctx, fd, req, arg);
	struct kvm_vcpu_events *events = (void *)arg;
	struct kvm_msrs *msrs = (void *)arg;

	for (u32 i = 0; req == KVM_GET_MSRS && (int)i < ret; i++) {
		if (msrs->entries[i].index == MSR_TSC)
			msrs->entries[i].data = STUCK_TSC;
	}
	if (req == KVM_GET_CPUID2)
		((struct kvm_cpuid2 *)arg)->nent = CPUID_MAX_ENTRIES;
	if (req == KVM_GET_VCPU_EVENTS && events->exception.injected)
		events->exception.pending = 1;
	return ret;
}

static struct kvm_backend odd_backend(const struct host *h)
{
	struct kvm_backend be = *fakekvm_backend(h->fk);

	be.ioctl = odd_ioctl;
	be.ctx = h->fk;
	return be;
}

static void a_tsc_that_would_go_back_is_named(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	struct kvm_backend odd;

	(void)state;
	config(&cfg);
	cfg.n_vcpus = 1;
	a = host_new(&fakekvm_x86_intel, &cfg);
	odd = odd_backend(&a);
	get(&a, &was);
	a.r->m->kvm.be = &odd;
	set_msr(was.vcpus[0], MSR_TSC, STUCK_TSC + 2300000000); /* by a second: KVM's doing */
	set(&a, &was);
	set_msr(was.vcpus[0], MSR_TSC, STUCK_TSC - 1); /* ahead */
	set(&a, &was);
	set_msr(was.vcpus[0], MSR_TSC, STUCK_TSC + 2300000001);
	refused(&a, &was, "vCPU 0: the TSC is 0x5 on this host and cannot be made 0x89173706");
	a.r->m->kvm.be = fakekvm_backend(a.fk);
	rig_state_free(&was);
	host_free(&a);
}

static void an_exception_that_is_pending_is_injected(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;
	struct kvm_backend odd;

	(void)state;
	config(&cfg);
	cfg.n_vcpus = 1;
	a = host_new(&fakekvm_x86_intel, &cfg);
	b = host_new(&fakekvm_x86_intel, &cfg);
	odd = odd_backend(&a);
	get(&a, &was);
	was.vcpus[0]->events.exception.injected = 1;
	was.vcpus[0]->events.exception.nr = 1;
	set(&a, &was);
	rig_state_free(&was);
	a.r->m->kvm.be = &odd;
	get(&a, &was);
	a.r->m->kvm.be = fakekvm_backend(a.fk);
	assert_int_equal(was.vcpus[0]->events.exception.injected, 1);
	host_free(&a);
	comes_back(&b, &was);
}

static void the_length_of_the_cpuid_table_is_found(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was, is;
	struct kvm_backend odd;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_amd, &cfg);
	odd = odd_backend(&a);
	get(&a, &was);
	a.r->m->kvm.be = &odd;
	get(&a, &is);
	a.r->m->kvm.be = fakekvm_backend(a.fk);
	assert_int_equal(is.vcpus[0]->cpuid->nent, was.vcpus[0]->cpuid->nent);
	rig_state_free(&was);
	rig_state_free(&is);
	host_free(&a);
}

static void a_tsc_of_another_frequency_is_named(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_intel, &cfg);
	get(&a, &was);
	was.vcpus[0]->tsc_khz = 1000000;
	refused(&a, &was,
		"vCPU 0: its TSC runs at 2300000 kHz on this host and cannot be made to run at "
		"1000000 kHz");
	was.vcpus[0]->tsc_khz = 0; /* not known */
	set(&a, &was);
	fakekvm_fail_request(a.fk, KVM_GET_TSC_KHZ, 1, EIO);
	rig_state_free(&was);
	get(&a, &was);
	assert_int_equal(was.vcpus[0]->tsc_khz, 0);
	rig_state_free(&was);
	host_free(&a);
}

static void parts_that_kvm_does_not_take_are_named(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	struct x86_vcpu_state *s;

	(void)state;
	config(&cfg);
	a = cet_host_new(&fakekvm_x86_intel_next, &cfg);
	get(&a, &was);
	s = was.vcpus[0];
	s->sregs.cr4 |= CR4_CET;
	s->sregs.cr0 &= ~CR0_WP;
	refused(&a, &was, "vCPU 0: this host's KVM does not take its special registers");
	s->sregs.cr4 &= ~CR4_CET;
	s->xcrs.xcrs[0].value = 4;
	refused(&a, &was, "its XCR0");
	s->xcrs.xcrs[0].value = 1;
	s->xsave->region[129] = BIT(30);
	refused(&a, &was, "its XSAVE area");
	s->xsave->region[129] = 0;
	s->ssp = 2;
	refused(&a, &was, "its SSP");
	s->ssp = 0;
	s->debugregs.dr6 = BIT(40);
	refused(&a, &was, "its debug registers");
	s->debugregs.dr6 = 0;
	s->events.flags = BIT(20);
	refused(&a, &was, "its pending events");
	s->events.flags = 0;
	s->xsave_size -= 8;
	refused(&a, &was, "its XSAVE area has 11000 bytes, and on this host 11008");
	rig_state_free(&was);
	host_free(&a);
}

static void a_hypervisor_stays_where_its_kind_is(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_intel, &cfg);
	give(&a.r->m->vcpus[0], false, false);
	get(&a, &was);
	/* as one that never ran it goes to any host */
	b = host_new(&fakekvm_x86_intel, &cfg);
	give(&b.r->m->vcpus[0], false, false);
	fakekvm_set_cap(b.fk, KVM_CAP_NESTED_STATE, 0);
	set(&b, &was);
	fill_vmx(was.vcpus[0]);
	refused(&b, &was, "KVM_CAP_NESTED_STATE");
	was.vcpus[0]->nested->format = KVM_STATE_NESTED_FORMAT_SVM;
	refused(&a, &was, "does not take the state of its own guest");
	rig_state_free(&was);
	host_free(&a);
	host_free(&b);
}

static void what_cannot_be_moved_is_not_taken(void **state)
{
	struct lkvm_config cfg;
	struct host a;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_amd, &cfg);
	a.r->cfg.x86.snp.on = true;
	no_get(&a, "SEV-SNP");
	a.r->cfg.x86.snp.on = false;
	a.r->cfg.x86.no_exits = LKVM_X86_NO_EXIT_APERFMPERF;
	no_get(&a, "--disable-exits=aperfmperf");
	host_free(&a);
}

/* ---- state that is not whole ---------------------------------------------------------------- */

static void not_whole(struct host *h, const struct x86_vcpu_state *s, const char *words)
{
	unsigned long n_calls = fakekvm_n_calls(h->fk);
	struct lkvm_error err = { 0 };

	assert_int_equal(x86_vcpu_state_set(&h->r->m->vcpus[0], s, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	if (!strstr(err.msg, words))
		fail_msg("%s (wanted '%s')", err.msg, words);
	assert_int_equal(fakekvm_n_calls(h->fk), n_calls);
}

static void state_that_is_not_whole_is_refused_before_anything_is_set(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	struct x86_vcpu_state *s, good;
	u32 nent;

	(void)state;
	config(&cfg);
	a = cet_host_new(&fakekvm_x86_intel_next, &cfg);
	get(&a, &was);
	s = was.vcpus[0];
	good = *s;

	s->cpuid = NULL;
	not_whole(&a, s, "CPUID table of 0 entries");
	*s = good;
	nent = s->cpuid->nent;
	s->cpuid->nent = 257;
	not_whole(&a, s, "257 entries; at most 256");
	s->cpuid->nent = nent;

	s->xsave = NULL;
	not_whole(&a, s, "XSAVE area of 0 bytes");
	*s = good;
	s->xsave_size = 4095;
	not_whole(&a, s, "4095 bytes; 4096 to 65536");
	s->xsave_size = 65537;
	not_whole(&a, s, "65537 bytes");
	*s = good;

	s->nested = NULL;
	not_whole(&a, s, "nested state");
	*s = good;
	s->nested_size = 127;
	not_whole(&a, s, "127 bytes of nested state");
	s->nested_size = 65537;
	not_whole(&a, s, "65537 bytes of nested state");
	*s = good;
	s->nested->size++; /* KVM would read that many */
	not_whole(&a, s, "must say so itself");
	s->nested->size--;

	s->mp_state = KVM_MP_STATE_SIPI_RECEIVED;
	not_whole(&a, s, "MP state 4");
	*s = good;

	s->n_msrs = 1025;
	not_whole(&a, s, "1025 MSRs; at most 1024");
	*s = good;
	s->msrs = NULL;
	not_whole(&a, s, "MSRs");
	*s = good;
	s->n_msrs--; /* CET's are among the last */
	while (s->msrs[s->n_msrs].index != MSR_PL3_SSP)
		s->n_msrs--;
	not_whole(&a, s, "lacks MSR 0x6a7");
	*s = good;
	s->msrs[0].index = 0x40000000;
	not_whole(&a, s, "MSR 0x40000000, which its CPUID has not");
	s->msrs[0].index = 0x6a1;
	not_whole(&a, s, "MSR 0x6a1");
	rig_state_free(&was);
	host_free(&a);
}

static void controllers_of_another_machine_are_refused(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct x86_vm_state vm;
	struct lkvm_error err = { 0 };
	unsigned long n_calls;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_intel, &cfg);
	assert_int_equal(x86_vm_state_get(a.r->m, &vm, &err), 0);
	assert_true(vm.irqchip);
	n_calls = fakekvm_n_calls(a.fk);
	vm.irqchip = false;
	assert_int_equal(x86_vm_state_set(a.r->m, &vm, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	vm.irqchip = true;
	vm.chips[1].chip_id = 7;
	memset(&err, 0, sizeof(err));
	assert_int_equal(x86_vm_state_set(a.r->m, &vm, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	assert_int_equal(fakekvm_n_calls(a.fk), n_calls);
	host_free(&a);
}

static void with_a_split_irqchip_kvm_is_asked_for_the_time_alone(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct x86_vm_state vm;
	struct lkvm_error err = { 0 };
	unsigned long n_calls;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_x86_intel, &cfg);
	a.r->m->arch->split = true;
	n_calls = fakekvm_n_calls(a.fk);
	assert_int_equal(x86_vm_state_get(a.r->m, &vm, &err), 0);
	assert_false(vm.irqchip);
	assert_int_equal(fakekvm_n_calls(a.fk), n_calls + 1);
	vm.clock += 1000;
	assert_int_equal(x86_vm_state_set(a.r->m, &vm, &err), 0);
	a.r->m->arch->split = false;
	host_free(&a);
}

/* ---- comparing ----------------------------------------------------------------------------- */

static void differ(const struct x86_vcpu_state *a, const struct x86_vcpu_state *b, const char *what)
{
	struct x86_state_diff diff;

	assert_false(x86_vcpu_state_same(a, b, &diff));
	assert_string_equal(diff.what, what);
	assert_false(x86_vcpu_state_same(b, a, &diff));
	assert_string_equal(diff.what, what);
}

static void states_differ_in_what_does_not_move_by_itself(void **state)
{
	struct lkvm_config cfg;
	struct host h;
	struct rig_state x, y;
	struct x86_vcpu_state *a, *b, good;
	struct x86_state_diff diff;

	(void)state;
	config(&cfg);
	h = host_new(&fakekvm_x86_intel, &cfg);
	get(&h, &x);
	get(&h, &y);
	a = x.vcpus[0];
	b = y.vcpus[0];
	put_le32(a->lapic.regs + LVT_TIMER, LVT_DEADLINE | 0xef);
	put_le32(b->lapic.regs + LVT_TIMER, LVT_DEADLINE | 0xef);
	good = *b;

	/* the TSC goes on, past a deadline too; a timer counts down and rings */
	set_msr(a, MSR_TSC, 1000);
	set_msr(a, MSR_TSC_DEADLINE, 1500);
	set_msr(b, MSR_TSC, 2000);
	assert_true(x86_vcpu_state_same(a, b, &diff));
	set_msr(b, MSR_TSC, 1499);
	differ(a, b, "MSR");
	set_msr(b, MSR_TSC_DEADLINE, 1500);
	put_le32(b->lapic.regs + 0x390, 77);
	put_le32(b->lapic.regs + 0x270, 0x8000);
	assert_true(x86_vcpu_state_same(a, b, &diff));
	put_le32(b->lapic.regs + 0x270, 0x4000);
	differ(a, b, "the local APIC");
	b->lapic = good.lapic;

	b->regs.rax++;
	differ(a, b, "the registers");
	b->regs = good.regs;
	b->sregs.cr3++;
	differ(a, b, "the special registers");
	b->sregs = good.sregs;
	b->ssp++;
	differ(a, b, "SSP");
	b->ssp--;
	b->xcrs.xcrs[0].value = 7;
	differ(a, b, "XCR0");
	b->xcrs = good.xcrs;
	b->xsave->extra[1]++;
	differ(a, b, "the XSAVE area");
	b->xsave->extra[1]--;
	b->nested->hdr.vmx.vmxon_pa = 0;
	differ(a, b, "the state of its own guest");
	b->nested->hdr.vmx.vmxon_pa = ~0ull;
	b->debugregs.dr7++;
	differ(a, b, "the debug registers");
	b->debugregs = good.debugregs;
	b->events.nmi.masked = 1;
	differ(a, b, "NMIs that wait or are masked");
	b->events = good.events;
	b->events.exception.nr = 1;
	differ(a, b, "the exception it was about to take");
	b->events = good.events;
	b->events.interrupt.soft = 1;
	differ(a, b, "the interrupt it was about to take");
	b->events = good.events;
	b->events.interrupt.shadow = 2;
	differ(a, b, "the interrupt shadow of STI or MOV SS");
	b->events = good.events;
	b->events.smi.latched_init = 1;
	differ(a, b, "SMM, or an INIT that waits");
	b->events = good.events;
	b->events.triple_fault.pending = 1;
	differ(a, b, "the triple fault that waits");
	b->events = good.events;
	b->events.exception_payload = 1;
	differ(a, b, "pending events");
	b->events = good.events;
	b->mp_state++;
	differ(a, b, "the MP state");
	b->mp_state--;
	leaf(b->cpuid, 1, 0)->eax++;
	differ(a, b, "the CPUID table");
	leaf(b->cpuid, 1, 0)->eax--;
	b->tsc_khz++;
	differ(a, b, "the TSC's frequency");
	b->tsc_khz--;
	b->n_msrs--;
	differ(a, b, "MSR");
	b->n_msrs++;
	assert_true(x86_vcpu_state_same(a, b, &diff));
	rig_state_free(&x);
	rig_state_free(&y);
	host_free(&h);
}

/* Of the hypervisor's registers in SVM's nested state, those that #VMEXIT loads count. */
static void hypervisors_differ_in_what_vmexit_loads(void **state)
{
	static const struct {
		u32 off;
		bool counts;
	} cases[] = {
		{ 0x000, true },  { 0x3ff, true },  { 0x400, true }, { 0x43f, true },
		{ 0x440, false }, { 0x460, true },  { 0x48f, true }, { 0x490, false },
		{ 0x4d0, true },  { 0x548, true },  { 0x550, true }, { 0x558, true },
		{ 0x560, false }, { 0x568, false }, { 0x570, true }, { 0x578, true },
		{ 0x5d7, false }, { 0x5d8, true },  { 0x5f8, true }, { 0x600, false },
		{ 0x640, false },
	};
	struct lkvm_config cfg;
	struct host h;
	struct rig_state x, y;
	struct x86_state_diff diff;

	(void)state;
	config(&cfg);
	h = host_new(&fakekvm_x86_amd, &cfg);
	get(&h, &x);
	get(&h, &y);
	fill_svm(x.vcpus[0]);
	fill_svm(y.vcpus[0]);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u8 *byte = y.vcpus[0]->nested->data + cases[i].off;

		*byte ^= 0x10;
		if (x86_vcpu_state_same(x.vcpus[0], y.vcpus[0], &diff) == cases[i].counts)
			fail_msg("0x%x", cases[i].off);
		*byte ^= 0x10;
	}
	y.vcpus[0]->nested->hdr.pad[1] ^= 0x10;
	differ(x.vcpus[0], y.vcpus[0], "the state of its own guest");
	rig_state_free(&x);
	rig_state_free(&y);
	host_free(&h);
}

static void machines_differ_in_what_does_not_move_by_itself(void **state)
{
	struct x86_vm_state a = { .irqchip = true, .clock = 1 }, b;
	const char *what;

	(void)state;
	for (u32 i = 0; i < 3; i++)
		a.chips[i].chip_id = i;
	b = a;
	b.clock = 2;
	b.pit.channels[1].count_load_time = 5;
	b.chips[0].chip.pic.irr = 1;
	b.chips[2].chip.ioapic.irr = 1;
	assert_true(x86_vm_state_same(&a, &b, &what));
	b.chips[0].chip.pic.irr = 3;
	assert_false(x86_vm_state_same(&a, &b, &what));
	assert_string_equal(what, "the first PIC");
	b.chips[0] = a.chips[0];
	b.chips[1].chip.pic.irr = 1;
	assert_false(x86_vm_state_same(&a, &b, &what));
	assert_string_equal(what, "the second PIC");
	b.chips[1] = a.chips[1];
	b.chips[2].chip.ioapic.irr = 2;
	assert_false(x86_vm_state_same(&a, &b, &what));
	assert_string_equal(what, "the I/O APIC");
	b.chips[2] = a.chips[2];
	b.pit.channels[1].count = 5;
	assert_false(x86_vm_state_same(&a, &b, &what));
	assert_string_equal(what, "the PIT");
	b.irqchip = false;
	assert_false(x86_vm_state_same(&a, &b, &what));
}

/* ---- failures ------------------------------------------------------------------------------ */

static bool is_said(const struct lkvm_error *err)
{
	return err->kind != LKVM_ERR_NONE && strlen(err->msg) > 5 && !strchr(err->msg, '\n');
}

/* The @nth call of getting or setting fails. True when there were not as many. */
static bool fail_nth(const struct lkvm_config *cfg, const struct rig_state *was, unsigned long nth)
{
	struct host h = cet_host_new(&fakekvm_x86_intel_next, cfg);
	struct rig_state is = { 0 };
	const char *failed;
	int ret;

	fakekvm_fail_nth(h.fk, fakekvm_n_calls(h.fk) + nth, ENOMEM);
	ret = was ? rig_set(h.r, was) : rig_get(h.r, &is);
	failed = fakekvm_failed_call(h.fk);
	fakekvm_fail_nth(h.fk, 0, 0);
	if (ret)
		assert_true(is_said(&h.r->err));
	else if (failed && !strstr(failed, "KVM_CHECK_EXTENSION"))
		fail_msg("nobody said that this failed: %s", failed);
	if (!ret && was) {
		/* a way around what was asked for: all of it is there nevertheless */
		get(&h, &is);
		rig_assert_same(h.r, was, &is);
	}
	rig_state_free(&is);
	host_free(&h);
	return !failed;
}

static void every_call_fails_once(void **state)
{
	struct lkvm_config cfg;
	struct rig_state was;
	struct host a;
	unsigned long nth;

	(void)state;
	config(&cfg);
	a = cet_host_new(&fakekvm_x86_intel_next, &cfg);
	get(&a, &was);
	fill_all(&was, 2);
	fill_cet(was.vcpus[1]);
	for (nth = 1; !fail_nth(&cfg, NULL, nth); nth++)
		assert_true(nth < 1000);
	print_message("# %lu calls to get, each failed once\n", nth - 1);
	assert_true(nth > 40);
	for (nth = 1; !fail_nth(&cfg, &was, nth); nth++)
		assert_true(nth < 1000);
	print_message("# %lu calls to set, each failed once\n", nth - 1);
	assert_true(nth > 80);
	rig_state_free(&was);
	host_free(&a);
}

static void without_memory_there_is_no_state(void **state)
{
	struct lkvm_config cfg;
	struct rig_state s;
	struct host a;
	unsigned long nth;

	(void)state;
	config(&cfg);
	a = cet_host_new(&fakekvm_x86_intel_next, &cfg);
	for (nth = 1;; nth++) {
		const char *hit;
		int ret;

		faults_arm(FAULTS_MEMORY, nth);
		ret = rig_get(a.r, &s);
		hit = faults_hit();
		faults_disarm();
		if (!hit)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_true(is_said(&a.r->err));
		rig_state_free(&s);
	}
	assert_true(nth > 10);
	rig_state_free(&s);
	host_free(&a);
}

/* ---- fakekvm has KVM's rules ---------------------------------------------------------------- */

/* A host whose vCPU 0 shows what of CET is said here. */
static struct host rules_host(bool shstk, bool ibt)
{
	struct lkvm_config cfg;
	struct host h;

	config(&cfg);
	cfg.n_vcpus = 1;
	h = host_new(&fakekvm_x86_intel_next, &cfg);
	give(&h.r->m->vcpus[0], shstk, ibt);
	return h;
}

static int write_msr(struct host *h, u32 index, u64 val)
{
	union {
		struct kvm_msrs msrs;
		u8 space[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} arg = { .msrs.nmsrs = 1 };

	arg.msrs.entries[0] = (struct kvm_msr_entry){ .index = index, .data = val };
	return ask(h, KVM_SET_MSRS, &arg);
}

static int read_msr(struct host *h, u32 index)
{
	union {
		struct kvm_msrs msrs;
		u8 space[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} arg = { .msrs.nmsrs = 1 };

	arg.msrs.entries[0].index = index;
	return ask(h, KVM_GET_MSRS, &arg);
}

static void fake_cet_needs_write_protection(void **state)
{
	struct host h = rules_host(true, true);
	struct kvm_sregs2 s;

	(void)state;
	assert_int_equal(ask(&h, KVM_GET_SREGS2, &s), 0);
	s.cr4 |= CR4_CET;
	assert_int_equal(ask(&h, KVM_SET_SREGS2, &s), -EINVAL);
	s.cr0 |= CR0_WP;
	assert_int_equal(ask(&h, KVM_SET_SREGS2, &s), 0);
	s.cr0 &= ~CR0_WP;
	assert_int_equal(ask(&h, KVM_SET_SREGS2, &s), -EINVAL);
	host_free(&h);
}

static void fake_cet_registers_need_their_feature(void **state)
{
	static const struct {
		u32 msr;
		bool shstk_alone, ibt_alone;
	} cases[] = {
		{ MSR_U_CET, true, true },	  { MSR_S_CET, true, true },
		{ MSR_PL0_SSP, true, false },	  { MSR_PL3_SSP, true, false },
		{ MSR_INT_SSP_TAB, true, false },
	};
	struct host none = rules_host(false, false), shstk = rules_host(true, false),
		    ibt = rules_host(false, true);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(read_msr(&none, cases[i].msr), 0);
		assert_int_equal(write_msr(&none, cases[i].msr, 0), 0);
		assert_int_equal(read_msr(&shstk, cases[i].msr), cases[i].shstk_alone);
		assert_int_equal(read_msr(&ibt, cases[i].msr), cases[i].ibt_alone);
	}
	assert_int_equal(write_msr(&shstk, MSR_U_CET, 3), 1);
	assert_int_equal(write_msr(&shstk, MSR_U_CET, 4), 0); /* ENDBR_EN */
	assert_int_equal(write_msr(&ibt, MSR_U_CET, 4), 1);
	assert_int_equal(write_msr(&ibt, MSR_U_CET, 1), 0);
	assert_int_equal(write_msr(&shstk, MSR_PL3_SSP, 2), 0);
	assert_int_equal(write_msr(&shstk, MSR_PL3_SSP, BIT(48)), 0);
	assert_int_equal(write_msr(&shstk, MSR_XSS, 0x1000), 1);
	assert_string_equal(fakekvm_complaints(shstk.fk),
			    "XSS is set after the state of CET, which it enables\n");
	rig_free(shstk.r);
	fakekvm_free(shstk.fk);
	assert_int_equal(write_msr(&none, MSR_XSS, BIT(8)), 0);
	host_free(&none);
	host_free(&ibt);
}

static void fake_ssp_is_no_msr(void **state)
{
	struct host none = rules_host(false, true), h = rules_host(true, false);
	const struct kvm *kvm = &h.r->m->kvm;
	int fd = h.r->m->vcpus[0].fd;
	u64 val = 0x1000;
	struct {
		struct kvm_reg_list head;
		u64 reg[1];
	} list = { 0 };

	(void)state;
	assert_int_equal(kvm_set_reg(kvm, fd, GUEST_SSP, &val), 0);
	val = 0;
	assert_int_equal(kvm_get_reg(kvm, fd, GUEST_SSP, &val), 0);
	assert_int_equal(val, 0x1000);
	val = 0x1002;
	assert_int_equal(kvm_set_reg(kvm, fd, GUEST_SSP, &val), -EINVAL);
	assert_int_equal(kvm_get_reg(kvm, fd, GUEST_SSP + 1, &val), -EINVAL);
	assert_int_equal(kvm_get_reg(kvm, fd, KVM_X86_REG_MSR(MSR_PAT), &val), 0);
	assert_true(val == 0x0007040600070406);
	assert_int_equal(kvm_get_reg(kvm, fd, KVM_X86_REG_MSR(0x11111), &val), -EINVAL);
	assert_int_equal(ask(&h, KVM_GET_REG_LIST, &list), -E2BIG);
	assert_int_equal(list.head.n, 1);
	assert_int_equal(ask(&h, KVM_GET_REG_LIST, &list), 0);
	assert_true(list.reg[0] == GUEST_SSP);

	val = 0;
	assert_int_equal(kvm_get_reg(&none.r->m->kvm, none.r->m->vcpus[0].fd, GUEST_SSP, &val),
			 -EINVAL);
	assert_int_equal(kvm_set_reg(&none.r->m->kvm, none.r->m->vcpus[0].fd, GUEST_SSP, &val),
			 -EINVAL);
	list.head.n = 0;
	assert_int_equal(ask(&none, KVM_GET_REG_LIST, &list), 0);
	fakekvm_set_cap(none.fk, KVM_CAP_ONE_REG, 0);
	assert_int_equal(ask(&none, KVM_GET_REG_LIST, &list), -EINVAL);
	host_free(&none);
	host_free(&h);
}

static void fake_nested_state_fits_together(void **state)
{
	struct host h = rules_host(false, false);
	struct x86_vcpu_state s = { 0 };
	struct kvm_nested_state head = { .size = 100 };

	(void)state;
	assert_int_equal(ask(&h, KVM_GET_NESTED_STATE, &head), -E2BIG);
	assert_int_equal(head.size, sizeof(head));
	assert_int_equal(ask(&h, KVM_GET_NESTED_STATE, &head), 0);
	assert_int_equal(ask(&h, KVM_SET_NESTED_STATE, &head), 0);
	head.hdr.vmx.vmcs12_pa = 0x1000;
	assert_int_equal(ask(&h, KVM_SET_NESTED_STATE, &head), -EINVAL);
	fill_vmx(&s);
	assert_int_equal(ask(&h, KVM_SET_NESTED_STATE, s.nested), 0);
	s.nested->size = sizeof(head) + 100;
	assert_int_equal(ask(&h, KVM_SET_NESTED_STATE, s.nested), -EINVAL);
	s.nested->size = sizeof(head) - 1;
	assert_int_equal(ask(&h, KVM_SET_NESTED_STATE, s.nested), -EINVAL);
	s.nested->size = VMX_SIZE;
	s.nested->flags = KVM_STATE_NESTED_RUN_PENDING;
	assert_int_equal(ask(&h, KVM_SET_NESTED_STATE, s.nested), -EINVAL);
	s.nested->flags = 0x8000;
	assert_int_equal(ask(&h, KVM_SET_NESTED_STATE, s.nested), -EINVAL);
	s.nested->flags = 0;
	s.nested->format = KVM_STATE_NESTED_FORMAT_SVM;
	assert_int_equal(ask(&h, KVM_SET_NESTED_STATE, s.nested), -EINVAL);
	free(s.nested);
	host_free(&h);
}

/* What KVM lets pass and makes something else of. */
static void complains(struct host *h, const char *words)
{
	if (!strstr(fakekvm_complaints(h->fk), words))
		fail_msg("'%s' is not in '%s'", words, fakekvm_complaints(h->fk));
	rig_free(h->r);
	fakekvm_free(h->fk);
}

static void fake_complains_of_wrong_orders(void **state)
{
	struct kvm_vcpu_events init = { .flags = KVM_VCPUEVENT_VALID_SMM,
					.smi = { .latched_init = 1 } };
	struct host h = rules_host(false, false);
	struct x86_vcpu_state s = { 0 };
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp;
	struct kvm_sregs2 sregs;

	(void)state;
	fill_vmx(&s);
	assert_int_equal(ask(&h, KVM_SET_VCPU_EVENTS, &init), 0);
	assert_int_equal(ask(&h, KVM_SET_NESTED_STATE, s.nested), 0);
	complains(&h, "VMX is enabled while an INIT waits");

	h = rules_host(false, false);
	assert_int_equal(ask(&h, KVM_SET_NESTED_STATE, s.nested), 0);
	assert_int_equal(ask(&h, KVM_SET_VCPU_EVENTS, &init), 0);
	assert_int_equal(ask(&h, KVM_GET_MP_STATE, &mp), 0); /* VMX blocks it */
	assert_int_equal(mp.mp_state, KVM_MP_STATE_RUNNABLE);
	host_free(&h);

	h = rules_host(false, false);
	assert_int_equal(ask(&h, KVM_SET_VCPU_EVENTS, &init), 0);
	assert_int_equal(ask(&h, KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_INIT_RECEIVED);
	complains(&h, "KVM_GET_MP_STATE while an INIT waits");

	h = rules_host(false, false);
	assert_int_equal(ask(&h, KVM_GET_LAPIC, &lapic), 0);
	assert_int_equal(ask(&h, KVM_SET_LAPIC, &lapic), 0);
	assert_int_equal(ask(&h, KVM_GET_SREGS2, &sregs), 0);
	sregs.apic_base |= BIT(10);
	assert_int_equal(ask(&h, KVM_SET_SREGS2, &sregs), 0);
	complains(&h, "the mode of the local APIC is set after its registers");
	free(s.nested);
}

static void fake_deadlines_need_their_mode(void **state)
{
	struct host h = rules_host(false, false);
	struct kvm_lapic_state lapic;
	struct rig_state s;

	(void)state;
	assert_int_equal(write_msr(&h, MSR_TSC_DEADLINE, 1000), 1);
	get(&h, &s);
	assert_int_equal(*msr(s.vcpus[0], MSR_TSC_DEADLINE), 0);
	rig_state_free(&s);
	assert_int_equal(ask(&h, KVM_GET_LAPIC, &lapic), 0);
	put_le32(lapic.regs + LVT_TIMER, LVT_DEADLINE | 0xef);
	assert_int_equal(ask(&h, KVM_SET_LAPIC, &lapic), 0);
	assert_int_equal(write_msr(&h, MSR_TSC_DEADLINE, 1000), 1);
	get(&h, &s);
	assert_int_equal(*msr(s.vcpus[0], MSR_TSC_DEADLINE), 1000);
	rig_state_free(&s);
	host_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_out_of_one_machine_goes_into_another),
		cmocka_unit_test(state_goes_to_a_newer_kernel),
		cmocka_unit_test(processors_are_as_far_as_they_were),
		cmocka_unit_test(shadow_stacks_come_back),
		cmocka_unit_test(without_cet_in_cpuid_its_registers_are_left_alone),
		cmocka_unit_test(what_cpuid_promises_and_kvm_refuses_is_named),
		cmocka_unit_test(a_hypervisor_and_its_guest_come_back),
		cmocka_unit_test(parts_are_set_when_it_is_their_turn),
		cmocka_unit_test(mp_state_is_read_before_all_else),
		cmocka_unit_test(controllers_come_before_the_timer_and_time_last),
		cmocka_unit_test(a_cpuid_table_that_is_there_is_not_set_again),
		cmocka_unit_test(an_msr_that_is_listed_and_refused_is_left_out),
		cmocka_unit_test(an_msr_that_is_refused_is_named),
		cmocka_unit_test(an_msr_that_is_not_kept_is_named),
		cmocka_unit_test(an_interrupt_shadow_of_one_kind_is_not_kept_by_svm),
		cmocka_unit_test(sysenter_has_32_bits_on_amd),
		cmocka_unit_test(features_that_the_other_host_lacks_are_named),
		cmocka_unit_test(features_that_are_offered_may_be_had),
		cmocka_unit_test(a_tsc_that_would_go_back_is_named),
		cmocka_unit_test(an_exception_that_is_pending_is_injected),
		cmocka_unit_test(the_length_of_the_cpuid_table_is_found),
		cmocka_unit_test(a_tsc_of_another_frequency_is_named),
		cmocka_unit_test(parts_that_kvm_does_not_take_are_named),
		cmocka_unit_test(a_hypervisor_stays_where_its_kind_is),
		cmocka_unit_test(what_cannot_be_moved_is_not_taken),
		cmocka_unit_test(state_that_is_not_whole_is_refused_before_anything_is_set),
		cmocka_unit_test(controllers_of_another_machine_are_refused),
		cmocka_unit_test(with_a_split_irqchip_kvm_is_asked_for_the_time_alone),
		cmocka_unit_test(states_differ_in_what_does_not_move_by_itself),
		cmocka_unit_test(hypervisors_differ_in_what_vmexit_loads),
		cmocka_unit_test(machines_differ_in_what_does_not_move_by_itself),
		cmocka_unit_test(every_call_fails_once),
		cmocka_unit_test(without_memory_there_is_no_state),
		cmocka_unit_test(fake_cet_needs_write_protection),
		cmocka_unit_test(fake_cet_registers_need_their_feature),
		cmocka_unit_test(fake_ssp_is_no_msr),
		cmocka_unit_test(fake_nested_state_fits_together),
		cmocka_unit_test(fake_complains_of_wrong_orders),
		cmocka_unit_test(fake_deadlines_need_their_mode),
	};

	return cmocka_run_group_tests(tests, make_kernel, drop_kernel);
}
