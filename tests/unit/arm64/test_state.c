/*
 * test_state.c - the state of vCPUs and interrupt controllers, from one machine into another
 * (T2, on fakekvm).
 *
 * Does not prove that a guest goes on with it: fakekvm keeps registers and no more. That is for
 * tests/t3/arm64/test_state.c, on real KVM.
 */
#include "tests/unit/arm64/staterig.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/fakekvm/fakekvm.h"
#include "tests/faults.h"

#define MIDR_EL1	ARM64_SYS_REG(3, 0, 0, 0, 0)
#define MPIDR_EL1	ARM64_SYS_REG(3, 0, 0, 0, 5)
#define TPIDR_EL1	ARM64_SYS_REG(3, 0, 13, 0, 4)
#define PMCR_EL0	ARM64_SYS_REG(3, 3, 9, 12, 0)
#define PMCNTENSET_EL0	ARM64_SYS_REG(3, 3, 9, 12, 1)
#define PMCNTENCLR_EL0	ARM64_SYS_REG(3, 3, 9, 12, 2)
#define DIST		KVM_DEV_ARM_VGIC_GRP_DIST_REGS
#define REDIST		KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
#define GITS		KVM_DEV_ARM_VGIC_GRP_ITS_REGS
#define REDIST_OF_CPU_1 (1ull << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT)

/* A machine on a KVM of its own. */
struct host {
	struct fakekvm *fk;
	struct rig *r;
};

static void config(struct lkvm_config *cfg)
{
	lkvm_config_init(cfg);
	cfg->n_vcpus = 2;
	cfg->mem_size = 16 * MIB;
}

static char sysfs[] = "/tmp/lkvm-test-state-XXXXXX"; /* with the PMU of all CPUs */

static void put(const char *file, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/bus/event_source/devices/armv8_pmuv3_0/%s", sysfs, file);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int make_sysfs(void **state)
{
	static const char *const dirs[] = { "bus", "bus/event_source", "bus/event_source/devices",
					    "bus/event_source/devices/armv8_pmuv3_0" };

	(void)state;
	assert_non_null(mkdtemp(sysfs));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", sysfs, dirs[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	put("type", "8\n");
	put("cpus", "0-1023\n");
	return 0;
}

static int drop_sysfs(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", sysfs);
	return system(command);
}

static struct host host_new(const struct fake_host *fake, const struct lkvm_config *cfg)
{
	struct host h = { .fk = fakekvm_new(fake) };

	fakekvm_set_sysfs(h.fk, sysfs);
	h.r = rig_new(fakekvm_backend(h.fk), cfg);
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

static void *value_of(const struct arm64_vcpu_state *s, u64 id)
{
	for (u32 i = 0; i < s->n_regs; i++) {
		if (s->regs[i].id == id)
			return s->values + s->regs[i].off;
	}
	fail_msg("there is no register 0x%llx", (unsigned long long)id);
	return NULL;
}

static struct gic_reg *gic_reg_of(const struct gic_state *s, u32 group, u64 attr)
{
	for (u32 i = 0; i < s->n_regs; i++) {
		if (s->regs[i].group == group && s->regs[i].attr == attr)
			return &s->regs[i];
	}
	fail_msg("there is no register 0x%llx in group %u", (unsigned long long)attr, group);
	return NULL;
}

/* Each register of @vcpu has a value of its own, where one can be set. */
static void fill_vcpu(struct vcpu *vcpu, const struct arm64_vcpu_state *s)
{
	const struct kvm *kvm = &vcpu->machine->kvm;
	u8 val[ARM64_VCPU_REG_MAX];

	for (u32 i = 0; i < s->n_regs; i++) {
		size_t size = arm64_vcpu_reg_size(s->regs[i].id);

		/* that one the GIC knows the vCPU by */
		if (s->regs[i].id == MPIDR_EL1)
			continue;
		memcpy(val, s->values + s->regs[i].off, size);
		val[0] ^= (u8)(i + 1);
		kvm_set_reg(kvm, vcpu->fd, s->regs[i].id, val);
	}
}

/* Interrupts that are enabled, pending and high, priorities, messages, each CPU its own. */
static void fill_gic(struct rig *r, struct gic_state *s)
{
	bool v2 = s->kind == LKVM_IRQCHIP_GICV2 || s->kind == LKVM_IRQCHIP_GICV2M;

	gic_reg_of(s, DIST, 0x0000)->val |= 3;
	gic_reg_of(s, DIST, 0x0104)->val = 0x00ff0001;
	gic_reg_of(s, DIST, 0x0208)->val = 0x80000000;
	gic_reg_of(s, DIST, 0x0304)->val = 0x00000100;
	gic_reg_of(s, DIST, 0x0424)->val = 0xa0b0c0d0;
	if (!v2) {
		gic_reg_of(s, DIST, 0x6140)->val = 1;
		gic_reg_of(s, REDIST, 0x10100)->val = 0x08000003;
		gic_reg_of(s, REDIST, REDIST_OF_CPU_1 | 0x10100)->val = 0x08000004;
		gic_reg_of(s, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, 32)->val = 0x10;
		gic_reg_of(s, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, REDIST_OF_CPU_1)->val = 1u << 27;
	}
	if (gic_state_set(&r->m, s, &r->err))
		fail_msg("%s", r->err.msg);
}

static void fill(struct host *h)
{
	struct rig_state s;

	get(h, &s);
	for (unsigned int i = 0; i < h->r->m.n_vcpus; i++)
		fill_vcpu(&h->r->m.vcpus[i], s.vcpus[i]);
	fill_gic(h->r, s.gic);
	rig_state_free(&s);
}

/* ---- round trips --------------------------------------------------------------------------- */

static void round_trip(const struct fake_host *fake, const struct lkvm_config *cfg, bool sve)
{
	struct host a = host_new(fake, cfg), b = host_new(fake, cfg);
	struct rig_state reset, was, is;
	u64 id;

	get(&a, &reset);
	fill(&a);
	get(&a, &was);
	assert_false(arm64_vcpu_state_same(reset.vcpus[0], was.vcpus[0], &id));
	assert_false(arm64_vcpu_state_same(was.vcpus[0], was.vcpus[1], &id));
	if (sve)
		assert_true(was.vcpus[0]->n_values > 32 * 256);
	set(&b, &was);
	get(&b, &is);
	rig_assert_same(b.r, &was, &is);
	/* and once more, into a machine that has it already */
	set(&b, &was);
	rig_state_free(&is);
	get(&b, &is);
	rig_assert_same(b.r, &was, &is);
	rig_state_free(&reset);
	rig_state_free(&was);
	rig_state_free(&is);
	host_free(&a);
	host_free(&b);
}

static void what_comes_out_of_one_machine_goes_into_another(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	config(&cfg);
	round_trip(&fakekvm_arm64, &cfg, false);
	round_trip(&fakekvm_arm64_plain, &cfg, false);
	round_trip(&fakekvm_arm64_full, &cfg, true);
	round_trip(&fakekvm_arm64_gicv2, &cfg, false);
	cfg.arm64.irqchip = LKVM_IRQCHIP_GICV3;
	round_trip(&fakekvm_arm64, &cfg, false);
}

static void also_with_a_pmu_and_as_a_hypervisor(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	config(&cfg);
	cfg.arm64.pmu = true;
	cfg.nested = true;
	round_trip(&fakekvm_arm64, &cfg, false);
	cfg.arm64.e2h0 = true;
	round_trip(&fakekvm_arm64, &cfg, false);
}

static void what_is_not_a_register_goes_with_it(void **state)
{
	struct kvm_vcpu_events events = { .exception = { .serror_pending = 1 } };
	struct kvm_mp_state running = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was, is;

	(void)state;
	config(&cfg);
	cfg.n_vcpus = 3;
	a = host_new(&fakekvm_arm64, &cfg);
	b = host_new(&fakekvm_arm64, &cfg);
	assert_true(kvm_fd_ioctl(&a.r->m.kvm, a.r->m.vcpus[0].fd, KVM_SET_VCPU_EVENTS, &events,
				 NULL) >= 0);
	assert_true(kvm_fd_ioctl(&a.r->m.kvm, a.r->m.vcpus[1].fd, KVM_SET_MP_STATE, &running,
				 NULL) >= 0);
	get(&a, &was);
	set(&b, &was);
	get(&b, &is);
	rig_assert_same(b.r, &was, &is);
	assert_int_equal(is.vcpus[0]->events.exception.serror_pending, 1);
	assert_int_equal(is.vcpus[1]->events.exception.serror_pending, 0);
	assert_int_equal(is.vcpus[1]->mp_state, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(is.vcpus[2]->mp_state, KVM_MP_STATE_STOPPED);
	assert_true(is.vcpus[1]->has_pvtime);
	assert_true(is.vcpus[1]->pvtime_gpa == ARM64_PVTIME_BASE + 64);
	rig_state_free(&was);
	rig_state_free(&is);
	host_free(&a);
	host_free(&b);
}

static void interrupts_that_the_other_machine_had_are_gone(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was, is;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_arm64, &cfg);
	b = host_new(&fakekvm_arm64, &cfg);
	fill(&b);
	get(&a, &was);
	set(&b, &was);
	get(&b, &is);
	rig_assert_same(b.r, &was, &is);
	rig_state_free(&was);
	rig_state_free(&is);
	host_free(&a);
	host_free(&b);
}

/* ---- the order ----------------------------------------------------------------------------- */

/* Line of the last call in @log that has @text in it; 0: none. */
static unsigned int line_of(const char *log, const char *text)
{
	unsigned int line = 0, found = 0;

	for (const char *at = log; *at; line++) {
		size_t len = strcspn(at, "\n");

		if (memmem(at, len, text, strlen(text)))
			found = line + 1;
		at += len + !!at[len];
	}
	return found;
}

static unsigned int set_line(const char *log, u64 id)
{
	char text[64];

	snprintf(text, sizeof(text), "KVM_SET_ONE_REG 0x%llx ", (unsigned long long)id);
	return line_of(log, text);
}

static void registers_are_set_when_it_is_their_turn(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;
	char *log;

	(void)state;
	config(&cfg);
	cfg.n_vcpus = 1;
	cfg.arm64.pmu = true;
	a = host_new(&fakekvm_arm64, &cfg);
	b = host_new(&fakekvm_arm64, &cfg);
	get(&a, &was);
	set(&b, &was);
	log = fakekvm_transcript(b.fk, NULL);
	assert_true(set_line(log, MIDR_EL1));
	assert_true(set_line(log, MIDR_EL1) < set_line(log, TPIDR_EL1));
	assert_true(set_line(log, KVM_REG_ARM_PSCI_VERSION) < set_line(log, TPIDR_EL1));
	assert_true(set_line(log, MIDR_EL1) < set_line(log, PMCR_EL0));
	assert_true(set_line(log, PMCR_EL0) < set_line(log, PMCNTENSET_EL0));
	assert_true(set_line(log, PMCNTENCLR_EL0) < set_line(log, PMCNTENSET_EL0));
	assert_false(set_line(log, KVM_REG_ARM_TIMER_CNT));
	assert_false(set_line(log, KVM_REG_ARM_PTIMER_CNT));
	assert_true(set_line(log, TPIDR_EL1) < line_of(log, "KVM_SET_MP_STATE"));
	free(log);
	rig_state_free(&was);
	host_free(&a);
	host_free(&b);
}

static unsigned int attr_line(const char *log, u32 group, u64 attr)
{
	char text[64];

	snprintf(text, sizeof(text), "KVM_SET_DEVICE_ATTR group %u attr 0x%llx ", group,
		 (unsigned long long)attr);
	return line_of(log, text);
}

static void an_its_is_saved_and_restored_in_its_order(void **state)
{
	const u32 ctrl = KVM_DEV_ARM_VGIC_GRP_CTRL;
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;
	char *log;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_arm64, &cfg);
	b = host_new(&fakekvm_arm64, &cfg);
	get(&a, &was);
	log = fakekvm_transcript(a.fk, NULL);
	assert_true(attr_line(log, ctrl, KVM_DEV_ARM_ITS_SAVE_TABLES));
	assert_true(attr_line(log, ctrl, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES));
	free(log);

	gic_reg_of(was.gic, GITS, 0x00)->val = 1;
	gic_reg_of(was.gic, GITS, 0x80)->val = BIT(63) | ARM64_RAM_BASE;
	gic_reg_of(was.gic, GITS, 0x90)->val = 0x40;
	gic_reg_of(was.gic, GITS, 0x88)->val = 0x40;
	gic_reg_of(was.gic, GITS, 0x100)->val |= ARM64_RAM_BASE + 0x100000;
	set(&b, &was);
	log = fakekvm_transcript(b.fk, NULL);
	assert_true(attr_line(log, REDIST, REDIST_OF_CPU_1 | 0x10200) < attr_line(log, GITS, 0x80));
	assert_true(attr_line(log, GITS, 0x80) < attr_line(log, GITS, 0x90));
	assert_true(attr_line(log, GITS, 0x90) <
		    attr_line(log, ctrl, KVM_DEV_ARM_ITS_RESTORE_TABLES));
	assert_true(attr_line(log, GITS, 0x100) <
		    attr_line(log, ctrl, KVM_DEV_ARM_ITS_RESTORE_TABLES));
	assert_true(attr_line(log, ctrl, KVM_DEV_ARM_ITS_RESTORE_TABLES) <
		    attr_line(log, GITS, 0x00));
	free(log);
	rig_state_free(&was);
	host_free(&a);
	host_free(&b);
}

static void the_distributor_is_enabled_before_anything_is_pending(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;
	char *log;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_arm64, &cfg);
	b = host_new(&fakekvm_arm64, &cfg);
	fill(&a);
	get(&a, &was);
	set(&b, &was);
	log = fakekvm_transcript(b.fk, NULL);
	assert_true(attr_line(log, DIST, 0x0008));
	assert_true(attr_line(log, DIST, 0x0008) < attr_line(log, DIST, 0x0000));
	assert_true(attr_line(log, DIST, 0x0000) < attr_line(log, DIST, 0x0424));
	assert_true(attr_line(log, DIST, 0x0424) < attr_line(log, DIST, 0x0104));
	assert_true(attr_line(log, DIST, 0x6140) < attr_line(log, DIST, 0x0104));
	assert_true(attr_line(log, DIST, 0x0104) < attr_line(log, DIST, 0x0208));
	assert_true(attr_line(log, DIST, 0x0184) < attr_line(log, DIST, 0x0104));
	free(log);
	rig_state_free(&was);
	host_free(&a);
	host_free(&b);
}

/* ---- the counters -------------------------------------------------------------------------- */

static void counters_go_on_where_they_were(u64 offset)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct arm64_clock_state was, is;
	struct lkvm_error err = { 0 };
	char *log;

	config(&cfg);
	cfg.arm64.counter_offset = offset;
	a = host_new(&fakekvm_arm64, &cfg);
	b = host_new(&fakekvm_arm64, &cfg);
	assert_int_equal(arm64_clock_state_get(&a.r->m, &was, &err), 0);
	assert_true(was.has_phys);
	was.virt += BIT(40);
	was.phys = was.virt;
	assert_int_equal(arm64_clock_state_set(&b.r->m, &was, &err), 0);
	assert_int_equal(arm64_clock_state_get(&b.r->m, &is, &err), 0);
	/* of any unit fakekvm may count in, far less than was added */
	assert_in_range(is.virt, was.virt, was.virt + BIT(39));
	assert_in_range(is.phys, was.phys, was.phys + BIT(39));
	log = fakekvm_transcript(b.fk, NULL);
	if (offset)
		assert_true(line_of(log, "KVM_ARM_SET_COUNTER_OFFSET"));
	else
		assert_true(set_line(log, KVM_REG_ARM_TIMER_CNT) <
			    set_line(log, KVM_REG_ARM_PTIMER_CNT));
	free(log);
	host_free(&a);
	host_free(&b);
}

static void no_time_passes_for_the_guest(void **state)
{
	(void)state;
	counters_go_on_where_they_were(0);
	counters_go_on_where_they_were(1000);
}

/* ---- what another host does not take -------------------------------------------------------- */

static void refused(struct host *h, const struct rig_state *s, const char *text)
{
	assert_true(rig_set(h->r, s) < 0);
	assert_int_equal(h->r->err.kind, LKVM_ERR_UNSUPPORTED);
	if (!strstr(h->r->err.msg, text))
		fail_msg("\"%s\" has no \"%s\" in it", h->r->err.msg, text);
}

static void a_register_that_the_other_host_lacks_is_named(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;

	(void)state;
	config(&cfg);
	cfg.arm64.irqchip = LKVM_IRQCHIP_GICV3;
	cfg.arm64.no_mte = true;
	cfg.arm64.pmu = true;
	a = host_new(&fakekvm_arm64, &cfg);
	cfg.arm64.pmu = false;
	b = host_new(&fakekvm_arm64, &cfg);
	get(&a, &was);
	refused(&b, &was, "KVM has no register 0x603000000013");
	rig_state_free(&was);
	host_free(&a);
	host_free(&b);
}

static void a_register_that_is_otherwise_and_stays_so_is_named(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	u64 *midr;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_arm64, &cfg);
	get(&a, &was);
	midr = value_of(was.vcpus[1], MIDR_EL1);
	*midr ^= 0x10;
	refused(&a, &was,
		"vCPU 1: register 0x603000000013c000 is 0x411fd401 on this host and "
		"cannot be made 0x411fd411");
	rig_state_free(&was);
	host_free(&a);
}

static void vectors_of_other_lengths_are_refused(void **state)
{
	struct lkvm_config cfg;
	struct host a, b;
	struct rig_state was;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_arm64_full, &cfg);
	cfg.arm64.sve_max_vl = 128;
	b = host_new(&fakekvm_arm64_full, &cfg);
	get(&a, &was);
	refused(&b, &was, "register 0x606000000015ffff cannot be given its value on this host");
	rig_state_free(&was);
	host_free(&a);
	host_free(&b);
}

static void a_gic_register_that_is_otherwise_is_named(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_arm64, &cfg);
	get(&a, &was);
	gic_reg_of(was.gic, DIST, 0x0008)->val ^= 1;
	refused(&a, &was, "GIC register 0x8 of group 1 cannot be made 0x");
	rig_state_free(&was);
	host_free(&a);
}

static void state_of_another_machine_is_refused(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	struct lkvm_error err = { 0 };

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_arm64, &cfg);
	get(&a, &was);
	was.gic->n_spis += 32;
	assert_int_equal(gic_state_set(&a.r->m, was.gic, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	was.gic->n_spis -= 32;
	was.gic->n_vcpus = 1;
	assert_int_equal(gic_state_set(&a.r->m, was.gic, &err), -EINVAL);
	was.gic->n_vcpus = 2;
	was.gic->kind = LKVM_IRQCHIP_GICV3;
	assert_int_equal(gic_state_set(&a.r->m, was.gic, &err), -EINVAL);
	was.gic->kind = LKVM_IRQCHIP_GICV3_ITS;
	/* not a register: that one would initialise something */
	was.gic->regs[3].group = KVM_DEV_ARM_VGIC_GRP_CTRL;
	memset(&err, 0, sizeof(err));
	assert_int_equal(gic_state_set(&a.r->m, was.gic, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	rig_state_free(&was);
	host_free(&a);
}

static void not_whole(struct host *h, const struct arm64_vcpu_state *s, const char *words)
{
	unsigned long n_calls = fakekvm_n_calls(h->fk);
	struct lkvm_error err = { 0 };

	assert_int_equal(arm64_vcpu_state_set(&h->r->m.vcpus[1], s, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	if (!strstr(err.msg, words))
		fail_msg("%s (wanted '%s')", err.msg, words);
	assert_int_equal(fakekvm_n_calls(h->fk), n_calls);
}

/* No byte outside the values is read, and none is written: the sanitizers see it. */
static void state_of_a_vcpu_that_is_not_whole_is_refused_before_anything_is_set(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state was;
	struct arm64_vcpu_state *s;
	struct arm64_reg *last;
	struct arm64_reg good;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_arm64, &cfg);
	get(&a, &was);
	s = was.vcpus[1];
	last = &s->regs[s->n_regs - 1];
	good = *last;

	last->off = s->n_values - (u32)arm64_vcpu_reg_size(last->id) + 1;
	not_whole(&a, s, "the saved vCPU 1 has register 0x");
	last->off = s->n_values;
	not_whole(&a, s, "bytes");
	last->off = UINT32_MAX;
	not_whole(&a, s, "at 4294967295 of");
	*last = good;

	/* as many bytes as there are, of a register that is larger than any */
	last->off = 0;
	last->id = (good.id & ~KVM_REG_SIZE_MASK) | 9ull << KVM_REG_SIZE_SHIFT;
	not_whole(&a, s, "too large");
	last->id = good.id | KVM_REG_SIZE_MASK;
	not_whole(&a, s, "too large");
	*last = good;

	s->n_values--;
	not_whole(&a, s, "bytes");
	s->n_values = 0;
	not_whole(&a, s, "of 0 bytes");
	s->n_values = good.off + (u32)arm64_vcpu_reg_size(good.id);

	s->n_regs += ARM64_VCPU_STATE_MAX_REGS;
	not_whole(&a, s, "at most 4096");
	s->n_regs -= ARM64_VCPU_STATE_MAX_REGS;

	set(&a, &was);
	rig_state_free(&was);
	host_free(&a);
}

/* ---- comparing ----------------------------------------------------------------------------- */

static void states_differ_in_what_does_not_move_by_itself(void **state)
{
	struct lkvm_config cfg;
	struct host a;
	struct rig_state x, y;
	const struct gic_reg *reg;
	u64 id, *val;

	(void)state;
	config(&cfg);
	a = host_new(&fakekvm_arm64, &cfg);
	get(&a, &x);
	get(&a, &y);
	val = value_of(y.vcpus[0], KVM_REG_ARM_TIMER_CNT);
	*val += 1000;
	val = value_of(y.vcpus[0], KVM_REG_ARM_TIMER_CTL);
	*val ^= 4;
	assert_true(arm64_vcpu_state_same(x.vcpus[0], y.vcpus[0], &id));
	*val ^= 1;
	assert_false(arm64_vcpu_state_same(x.vcpus[0], y.vcpus[0], &id));
	assert_true(id == KVM_REG_ARM_TIMER_CTL);
	*val ^= 1;
	y.vcpus[0]->mp_state++;
	assert_false(arm64_vcpu_state_same(x.vcpus[0], y.vcpus[0], &id));
	assert_true(!id);
	y.vcpus[0]->mp_state--;
	y.vcpus[0]->events.exception.serror_pending = 1;
	assert_false(arm64_vcpu_state_same(x.vcpus[0], y.vcpus[0], &id));

	assert_true(gic_state_same(x.gic, y.gic, &reg));
	y.gic->regs[7].val ^= 1;
	assert_false(gic_state_same(x.gic, y.gic, &reg));
	assert_ptr_equal(reg, &x.gic->regs[7]);
	y.gic->regs[7].val ^= 1;
	y.gic->n_regs--;
	assert_false(gic_state_same(x.gic, y.gic, &reg));
	rig_state_free(&x);
	rig_state_free(&y);
	host_free(&a);
}

static void the_size_of_a_register_is_in_its_id(void **state)
{
	(void)state;
	assert_int_equal(arm64_vcpu_reg_size(KVM_REG_ARM64 | KVM_REG_SIZE_U8), 1);
	assert_int_equal(arm64_vcpu_reg_size(KVM_REG_ARM64 | KVM_REG_SIZE_U32), 4);
	assert_int_equal(arm64_vcpu_reg_size(MIDR_EL1), 8);
	assert_int_equal(arm64_vcpu_reg_size(KVM_REG_ARM64 | KVM_REG_SIZE_U2048), 256);
	assert_int_equal(arm64_vcpu_reg_size(KVM_REG_ARM64 | 9ull << KVM_REG_SIZE_SHIFT), 0);
	assert_int_equal(arm64_vcpu_reg_size(KVM_REG_ARM64 | 15ull << KVM_REG_SIZE_SHIFT), 0);
}

/* ---- failures ------------------------------------------------------------------------------ */

static bool is_said(const struct lkvm_error *err)
{
	return err->kind != LKVM_ERR_NONE && strlen(err->msg) > 5 && !strchr(err->msg, '\n');
}

/* Calls whose failure means that something is not there, which is as good. */
static bool is_question(const char *failed)
{
	return strstr(failed, "KVM_CHECK_EXTENSION") || strstr(failed, "KVM_HAS_DEVICE_ATTR");
}

/* The @nth call of getting or setting fails. True when there were not as many. */
static bool fail_nth(const struct lkvm_config *cfg, const struct rig_state *was, unsigned long nth,
		     int code)
{
	struct host h = host_new(&fakekvm_arm64, cfg);
	struct rig_state is = { 0 };
	const char *failed;
	int ret;

	fakekvm_fail_nth(h.fk, fakekvm_n_calls(h.fk) + nth, code);
	ret = was ? rig_set(h.r, was) : rig_get(h.r, &is);
	if (was && !ret)
		ret = arm64_clock_state_set(&h.r->m, &was->clock, &h.r->err);
	failed = fakekvm_failed_call(h.fk);
	fakekvm_fail_nth(h.fk, 0, 0);
	if (ret) {
		assert_true(is_said(&h.r->err));
	} else if (was) {
		/* It went another way, or had been so before. */
		get(&h, &is);
		rig_assert_same(h.r, was, &is);
	} else if (failed && !is_question(failed)) {
		fail_msg("nobody said that this failed: %s", failed);
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
	a = host_new(&fakekvm_arm64, &cfg);
	fill(&a);
	get(&a, &was);
	for (nth = 1; !fail_nth(&cfg, NULL, nth, ENOMEM); nth++)
		assert_true(nth < 5000);
	print_message("# %lu calls to get, each failed once\n", nth - 1);
	assert_true(nth > 300);
	for (nth = 1; !fail_nth(&cfg, &was, nth, ENOMEM); nth++)
		assert_true(nth < 5000);
	print_message("# %lu calls to set, each failed once\n", nth - 1);
	assert_true(nth > 300);
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
	a = host_new(&fakekvm_arm64, &cfg);
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
	assert_true(nth > 8);
	rig_state_free(&s);
	host_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_out_of_one_machine_goes_into_another),
		cmocka_unit_test(also_with_a_pmu_and_as_a_hypervisor),
		cmocka_unit_test(what_is_not_a_register_goes_with_it),
		cmocka_unit_test(interrupts_that_the_other_machine_had_are_gone),
		cmocka_unit_test(registers_are_set_when_it_is_their_turn),
		cmocka_unit_test(an_its_is_saved_and_restored_in_its_order),
		cmocka_unit_test(the_distributor_is_enabled_before_anything_is_pending),
		cmocka_unit_test(no_time_passes_for_the_guest),
		cmocka_unit_test(a_register_that_the_other_host_lacks_is_named),
		cmocka_unit_test(a_register_that_is_otherwise_and_stays_so_is_named),
		cmocka_unit_test(vectors_of_other_lengths_are_refused),
		cmocka_unit_test(a_gic_register_that_is_otherwise_is_named),
		cmocka_unit_test(state_of_another_machine_is_refused),
		cmocka_unit_test(
			state_of_a_vcpu_that_is_not_whole_is_refused_before_anything_is_set),
		cmocka_unit_test(states_differ_in_what_does_not_move_by_itself),
		cmocka_unit_test(the_size_of_a_register_is_in_its_id),
		cmocka_unit_test(every_call_fails_once),
		cmocka_unit_test(without_memory_there_is_no_state),
	};

	return cmocka_run_group_tests(tests, make_sysfs, drop_sysfs);
}
