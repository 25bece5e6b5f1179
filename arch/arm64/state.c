#include "arch/arm64/state.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/arm64/pmu.h"

#define PMINTENCLR_EL1 ARM64_SYS_REG(3, 0, 9, 14, 2)
#define PMCNTENCLR_EL0 ARM64_SYS_REG(3, 3, 9, 12, 2)
#define PMOVSCLR_EL0   ARM64_SYS_REG(3, 3, 9, 12, 3)
#define CNTHP_CTL_EL2  ARM64_SYS_REG(3, 4, 14, 2, 1)
#define CNTHV_CTL_EL2  ARM64_SYS_REG(3, 4, 14, 3, 1)

#define TIMER_CTL_ISTATUS BIT(2)

#define PVTIME_UNSET (~0ull) /* what KVM says of a vCPU that was given no address */

size_t arm64_vcpu_reg_size(u64 id)
{
	unsigned int shift = (id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT;

	return BIT(shift) <= ARM64_VCPU_REG_MAX ? BIT(shift) : 0;
}

void arm64_vcpu_state_free(struct arm64_vcpu_state *state)
{
	if (!state)
		return;
	free(state->regs);
	free(state->values);
	free(state);
}

/* ---- what moves by itself ----------------------------------------------------------------- */

/* Bits of a register of 8 bytes that time changes. */
static u64 moving_bits(u64 id)
{
	if (id == KVM_REG_ARM_TIMER_CNT || id == KVM_REG_ARM_PTIMER_CNT)
		return ~0ull;
	if (id == KVM_REG_ARM_TIMER_CTL || id == KVM_REG_ARM_PTIMER_CTL || id == CNTHP_CTL_EL2 ||
	    id == CNTHV_CTL_EL2)
		return TIMER_CTL_ISTATUS;
	return 0;
}

/* Values are in the byte order of the host, which the bits above are in too. */
static bool same_value(u64 id, const void *a, const void *b)
{
	u64 va, vb;

	if (arm64_vcpu_reg_size(id) != sizeof(u64))
		return !memcmp(a, b, arm64_vcpu_reg_size(id));
	memcpy(&va, a, sizeof(va));
	memcpy(&vb, b, sizeof(vb));
	return !((va ^ vb) & ~moving_bits(id));
}

bool arm64_vcpu_state_same(const struct arm64_vcpu_state *a, const struct arm64_vcpu_state *b,
			   u64 *id)
{
	*id = 0;
	for (u32 i = 0; i < a->n_regs && i < b->n_regs; i++) {
		if (a->regs[i].id == b->regs[i].id &&
		    same_value(a->regs[i].id, a->values + a->regs[i].off,
			       b->values + b->regs[i].off))
			continue;
		*id = a->regs[i].id;
		return false;
	}
	return a->n_regs == b->n_regs && a->mp_state == b->mp_state &&
	       a->has_events == b->has_events && a->has_pvtime == b->has_pvtime &&
	       !memcmp(&a->events, &b->events, sizeof(a->events)) && a->pvtime_gpa == b->pvtime_gpa;
}

/* ---- get ---------------------------------------------------------------------------------- */

/* KVM's list of this vCPU's registers, to be freed. */
static int list_regs(const struct vcpu *vcpu, struct kvm_reg_list **out, struct lkvm_error *err)
{
	const struct kvm *kvm = &vcpu->machine->kvm;
	struct kvm_reg_list count = { 0 }, *list;
	int ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_REG_LIST, &count, NULL);

	if (ret < 0 && ret != -E2BIG)
		return err_host(err, -ret, "KVM_GET_REG_LIST of vCPU %u", vcpu->index);
	if (count.n > ARM64_VCPU_STATE_MAX_REGS)
		return err_host(err, E2BIG, "vCPU %u: KVM lists %llu registers", vcpu->index,
				(unsigned long long)count.n);
	list = calloc(1, sizeof(*list) + count.n * sizeof(list->reg[0]));
	if (!list)
		return err_host(err, ENOMEM, "registers of vCPU %u", vcpu->index);
	list->n = count.n;
	ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_REG_LIST, list, NULL);
	if (ret < 0 || list->n > count.n) {
		free(list);
		return err_host(err, ret < 0 ? -ret : E2BIG, "KVM_GET_REG_LIST of vCPU %u",
				vcpu->index);
	}
	*out = list;
	return 0;
}

/* Room for each value, aligned as far as malloc() aligns. */
static int lay_out(struct arm64_vcpu_state *s, const struct vcpu *vcpu,
		   const struct kvm_reg_list *list, struct lkvm_error *err)
{
	u32 off = 0;

	s->regs = calloc(list->n ? list->n : 1, sizeof(s->regs[0]));
	if (!s->regs)
		return err_host(err, ENOMEM, "registers of vCPU %u", vcpu->index);
	s->n_regs = (u32)list->n;
	for (u32 i = 0; i < s->n_regs; i++) {
		size_t size = arm64_vcpu_reg_size(list->reg[i]);

		if (!size)
			return err_host(err, EPROTO,
					"vCPU %u: KVM lists register 0x%llx, too large",
					vcpu->index, (unsigned long long)list->reg[i]);
		off = (u32)align_up(off, min_u64(size, 16));
		s->regs[i] = (struct arm64_reg){ .id = list->reg[i], .off = off };
		off += (u32)size;
	}
	s->values = calloc(1, off ? off : 1);
	if (!s->values)
		return err_host(err, ENOMEM, "registers of vCPU %u", vcpu->index);
	s->n_values = off;
	return 0;
}

static int get_regs(struct arm64_vcpu_state *s, const struct vcpu *vcpu, struct lkvm_error *err)
{
	struct kvm_reg_list *list = NULL;
	int ret = list_regs(vcpu, &list, err);

	if (!ret)
		ret = lay_out(s, vcpu, list, err);
	free(list);
	for (u32 i = 0; !ret && i < s->n_regs; i++) {
		ret = kvm_get_reg(&vcpu->machine->kvm, vcpu->fd, s->regs[i].id,
				  s->values + s->regs[i].off);
		if (ret)
			err_host(err, -ret, "vCPU %u: reading register 0x%llx", vcpu->index,
				 (unsigned long long)s->regs[i].id);
	}
	return ret;
}

static int get_pvtime(const struct vcpu *vcpu, u64 *gpa, struct lkvm_error *err)
{
	const struct kvm *kvm = &vcpu->machine->kvm;
	int ret;

	*gpa = PVTIME_UNSET;
	if (!kvm_has_attr(kvm, vcpu->fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA))
		return 0;
	ret = kvm_get_attr(kvm, vcpu->fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, gpa);
	return ret ? err_host(err, -ret, "vCPU %u: where its steal time is", vcpu->index) : 0;
}

static int get_all(struct arm64_vcpu_state *s, const struct vcpu *vcpu, struct lkvm_error *err)
{
	const struct kvm *kvm = &vcpu->machine->kvm;
	struct kvm_mp_state mp = { 0 };
	int ret = get_regs(s, vcpu, err);

	if (ret)
		return ret;
	/* After a register was read: that makes KVM carry out a reset which PSCI CPU_ON left due.
	 */
	ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_MP_STATE, &mp, err);
	if (ret < 0)
		return ret;
	s->mp_state = mp.mp_state;
	s->has_events = kvm_check(kvm, KVM_CAP_VCPU_EVENTS) > 0;
	if (s->has_events) {
		ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_GET_VCPU_EVENTS, &s->events, err);
		if (ret < 0)
			return ret;
	}
	ret = get_pvtime(vcpu, &s->pvtime_gpa, err);
	s->has_pvtime = !ret && s->pvtime_gpa != PVTIME_UNSET;
	return ret;
}

int arm64_vcpu_state_get(struct vcpu *vcpu, struct arm64_vcpu_state **out, struct lkvm_error *err)
{
	struct arm64_vcpu_state *s = calloc(1, sizeof(*s));
	int ret;

	*out = NULL;
	if (!s)
		return err_host(err, ENOMEM, "state of vCPU %u", vcpu->index);
	ret = get_all(s, vcpu, err);
	if (ret) {
		arm64_vcpu_state_free(s);
		return ret;
	}
	*out = s;
	return 0;
}

/* ---- set ---------------------------------------------------------------------------------- */

enum turn {
	TURN_FIRST, /* what there is: which other registers exist, and which of their bits */
	TURN_EARLY,
	TURN_REST,
	N_TURNS,
	TURN_NEVER = N_TURNS,
};

/* ID registers: op0 3, CRn 0, and op1 0, 1 (caches) or 3; 2 is CSSELR and 4 has EL2's copies. */
static bool is_id_reg(u64 id)
{
	u64 op0 = id >> KVM_REG_ARM64_SYSREG_OP0_SHIFT & 3;
	u64 op1 = id >> KVM_REG_ARM64_SYSREG_OP1_SHIFT & 7;
	u64 crn = id >> KVM_REG_ARM64_SYSREG_CRN_SHIFT & 15;

	return op0 == 3 && crn == 0 && (op1 < 2 || op1 == 3);
}

/*
 * KVM's own list is in an order in which nearly everything can be set. PMCR_EL0 says how many
 * counters there are, so it comes before their bits. The PMU's registers that clear bits read
 * the same as the ones that set them; most versions of Linux assign either what is written, some
 * clear by it: with those that clear before those that set, both end well.
 */
static enum turn turn_of(u64 id)
{
	switch (id & KVM_REG_ARM_COPROC_MASK) {
	case KVM_REG_ARM_FW:
	case KVM_REG_ARM_FW_FEAT_BMAP:
		return TURN_FIRST;
	case KVM_REG_ARM64_SYSREG:
		break;
	default:
		return TURN_REST;
	}
	switch (id) {
	case PMCR_EL0:
	case PMCNTENCLR_EL0:
	case PMINTENCLR_EL1:
	case PMOVSCLR_EL0:
		return TURN_EARLY;
	case KVM_REG_ARM_TIMER_CNT:
	case KVM_REG_ARM_PTIMER_CNT:
		return TURN_NEVER;
	}
	return is_id_reg(id) ? TURN_FIRST : TURN_REST;
}

/* @why: errno of setting it, 0: it was set and reads otherwise. */
static int refused(const struct vcpu *vcpu, u64 id, const void *want, const void *have, int why,
		   struct lkvm_error *err)
{
	const char *text = why ? err_text(why) : "it does not keep it";
	u64 w = 0, h = 0;

	if (arm64_vcpu_reg_size(id) > sizeof(u64))
		return err_unsupported(err, why ? why : EINVAL,
				       "vCPU %u: register 0x%llx cannot be given its value on this "
				       "host: %s",
				       vcpu->index, (unsigned long long)id, text);
	memcpy(&w, want, arm64_vcpu_reg_size(id));
	memcpy(&h, have, arm64_vcpu_reg_size(id));
	return err_unsupported(err, why ? why : EINVAL,
			       "vCPU %u: register 0x%llx is 0x%llx on this host and cannot be made "
			       "0x%llx: %s",
			       vcpu->index, (unsigned long long)id, (unsigned long long)h,
			       (unsigned long long)w, text);
}

static int read_back(const struct vcpu *vcpu, u64 id, void *val, struct lkvm_error *err)
{
	int ret = kvm_get_reg(&vcpu->machine->kvm, vcpu->fd, id, val);

	if (ret == -ENOENT)
		return err_unsupported(err, ENOENT,
				       "vCPU %u: this host's KVM has no register 0x%llx for it",
				       vcpu->index, (unsigned long long)id);
	return ret ? err_host(err, -ret, "vCPU %u: reading register 0x%llx", vcpu->index,
			      (unsigned long long)id)
		   : 0;
}

static int set_reg(const struct vcpu *vcpu, u64 id, const void *val, struct lkvm_error *err)
{
	_Alignas(16) u8 have[ARM64_VCPU_REG_MAX];
	int why = -kvm_set_reg(&vcpu->machine->kvm, vcpu->fd, id, val), ret;

	if (!why)
		return 0;
	/* Read-only ones, SVE's vector lengths for instance: they need not change, but agree. */
	ret = read_back(vcpu, id, have, err);
	if (ret)
		return ret;
	return same_value(id, val, have) ? 0 : refused(vcpu, id, val, have, why, err);
}

/* Setting one may have changed another, or been ignored. */
static int check_regs(const struct vcpu *vcpu, const struct arm64_vcpu_state *s,
		      struct lkvm_error *err)
{
	_Alignas(16) u8 have[ARM64_VCPU_REG_MAX];

	for (u32 i = 0; i < s->n_regs; i++) {
		u64 id = s->regs[i].id;
		const u8 *want = s->values + s->regs[i].off;
		int ret = read_back(vcpu, id, have, err);

		if (ret)
			return ret;
		if (!same_value(id, want, have))
			return refused(vcpu, id, want, have, 0, err);
	}
	return 0;
}

static int set_regs(const struct vcpu *vcpu, const struct arm64_vcpu_state *s,
		    struct lkvm_error *err)
{
	int ret = 0;

	for (enum turn turn = TURN_FIRST; turn < N_TURNS; turn++) {
		for (u32 i = 0; !ret && i < s->n_regs; i++) {
			if (turn_of(s->regs[i].id) == turn)
				ret = set_reg(vcpu, s->regs[i].id, s->values + s->regs[i].off, err);
		}
	}
	return ret ? ret : check_regs(vcpu, s, err);
}

/* KVM takes an address once; arch_init_vcpus() may have given it already. */
static int set_pvtime(const struct vcpu *vcpu, u64 gpa, struct lkvm_error *err)
{
	u64 have;
	int ret = get_pvtime(vcpu, &have, err);

	if (ret || have == gpa)
		return ret;
	return kvm_set_attr(&vcpu->machine->kvm, vcpu->fd, KVM_ARM_VCPU_PVTIME_CTRL,
			    KVM_ARM_VCPU_PVTIME_IPA, &gpa, "steal time", err);
}

/* It may come from a file: its values lie within it, and none is larger than the room for one. */
static int check_state(const struct vcpu *vcpu, const struct arm64_vcpu_state *s,
		       struct lkvm_error *err)
{
	if (s->n_regs > ARM64_VCPU_STATE_MAX_REGS)
		return err_input(err, "the saved vCPU %u has %u registers; at most %d are possible",
				 vcpu->index, s->n_regs, ARM64_VCPU_STATE_MAX_REGS);
	for (u32 i = 0; i < s->n_regs; i++) {
		const struct arm64_reg *reg = &s->regs[i];
		size_t size = arm64_vcpu_reg_size(reg->id);

		if (!size)
			return err_input(err, "the saved vCPU %u has a register 0x%llx, too large",
					 vcpu->index, (unsigned long long)reg->id);
		if (!range_fits(reg->off, size, s->n_values))
			return err_input(err,
					 "the saved vCPU %u has register 0x%llx at %u of %u bytes",
					 vcpu->index, (unsigned long long)reg->id, reg->off,
					 s->n_values);
	}
	return 0;
}

int arm64_vcpu_state_set(struct vcpu *vcpu, const struct arm64_vcpu_state *s,
			 struct lkvm_error *err)
{
	const struct kvm *kvm = &vcpu->machine->kvm;
	struct kvm_mp_state mp = { .mp_state = s->mp_state };
	int ret = check_state(vcpu, s, err);

	if (ret)
		return ret;
	if (s->has_events) {
		ret = kvm_require(kvm, KVM_CAP_VCPU_EVENTS, err);
		if (ret < 0)
			return ret;
	}
	ret = set_regs(vcpu, s, err);
	if (!ret && s->has_pvtime)
		ret = set_pvtime(vcpu, s->pvtime_gpa, err);
	if (!ret && s->has_events)
		ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_SET_VCPU_EVENTS, &s->events, err);
	if (ret >= 0)
		ret = kvm_fd_ioctl(kvm, vcpu->fd, KVM_SET_MP_STATE, &mp, err);
	return ret < 0 ? ret : 0;
}

/* ---- the counters ------------------------------------------------------------------------- */

/* KVM keeps their offsets for the VM, whichever vCPU is asked. */
static int get_counter(const struct machine *m, u64 id, u64 *val, struct lkvm_error *err)
{
	int ret = kvm_get_reg(&m->kvm, m->vcpus[0].fd, id, val);

	return ret ? err_host(err, -ret, "reading the guest's counter") : 0;
}

static int set_counter(const struct machine *m, u64 id, u64 val, struct lkvm_error *err)
{
	int ret = kvm_set_reg(&m->kvm, m->vcpus[0].fd, id, &val);

	if (ret == -ENOENT)
		return err_unsupported(err, ENOENT,
				       "this host's KVM cannot set the guest's physical counter: "
				       "Linux 6.4 can");
	return ret ? err_host(err, -ret, "setting the guest's counter") : 0;
}

int arm64_clock_state_get(struct machine *m, struct arm64_clock_state *clock,
			  struct lkvm_error *err)
{
	int ret = get_counter(m, KVM_REG_ARM_TIMER_CNT, &clock->virt, err);

	if (ret)
		return ret;
	ret = kvm_get_reg(&m->kvm, m->vcpus[0].fd, KVM_REG_ARM_PTIMER_CNT, &clock->phys);
	clock->has_phys = !ret;
	return ret && ret != -ENOENT ? err_host(err, -ret, "reading the guest's counter") : 0;
}

static int set_offset(struct machine *m, u64 offset, struct lkvm_error *err)
{
	struct kvm_arm_counter_offset arg = { .counter_offset = offset };
	int ret = kvm_vm_ioctl(&m->kvm, KVM_ARM_SET_COUNTER_OFFSET, &arg, err);

	return ret < 0 ? ret : 0;
}

/*
 * A VM that was given an offset ignores registers set. It takes another offset though: with none,
 * the guest's counter is the host's.
 */
static int set_clock_by_offset(struct machine *m, u64 guest, struct lkvm_error *err)
{
	u64 host = 0;
	int ret = set_offset(m, 0, err);

	if (!ret)
		ret = get_counter(m, KVM_REG_ARM_PTIMER_CNT, &host, err);
	return ret ? ret : set_offset(m, host - guest, err);
}

int arm64_clock_state_set(struct machine *m, const struct arm64_clock_state *clock,
			  struct lkvm_error *err)
{
	int ret;

	if (m->cfg->arm64.counter_offset)
		return set_clock_by_offset(m, clock->has_phys ? clock->phys : clock->virt, err);
	/*
	 * In this order. A guest with EL2 sets CNTVOFF_EL2 itself, KVM has one offset for both
	 * counters then, and when the virtual one is set takes CNTVOFF_EL2 to be part of it.
	 */
	ret = set_counter(m, KVM_REG_ARM_TIMER_CNT, clock->virt, err);
	if (!ret && clock->has_phys)
		ret = set_counter(m, KVM_REG_ARM_PTIMER_CNT, clock->phys, err);
	return ret;
}
