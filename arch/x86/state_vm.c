/* state_vm.c - what all vCPUs share: kvmclock, and the interrupt controllers that are KVM's. */
#include <errno.h>

#include "arch/x86/layout.h"
#include "arch/x86/machine.h"
#include "arch/x86/state.h"

int x86_vm_state_get(struct machine *m, struct x86_vm_state *state, struct lkvm_error *err)
{
	struct kvm_clock_data clock = { 0 };
	int ret = kvm_vm_ioctl(&m->kvm, KVM_GET_CLOCK, &clock, err);

	*state = (struct x86_vm_state){ .clock = clock.clock, .irqchip = !m->arch->split };
	if (ret < 0 || !state->irqchip)
		return ret < 0 ? ret : 0;
	for (u32 i = 0; ret >= 0 && i < ARRAY_SIZE(state->chips); i++) {
		state->chips[i].chip_id = i;
		ret = kvm_vm_ioctl(&m->kvm, KVM_GET_IRQCHIP, &state->chips[i], err);
	}
	if (ret >= 0)
		ret = kvm_vm_ioctl(&m->kvm, KVM_GET_PIT2, &state->pit, err);
	return ret < 0 ? ret : 0;
}

static int check_state(const struct machine *m, const struct x86_vm_state *state,
		       struct lkvm_error *err)
{
	if (state->irqchip == m->arch->split)
		return err_input(err, "the saved machine has %s I/O APIC, this one %s",
				 state->irqchip ? "KVM's" : "lkvm's",
				 state->irqchip ? "lkvm's" : "KVM's");
	for (u32 i = 0; state->irqchip && i < ARRAY_SIZE(state->chips); i++) {
		if (state->chips[i].chip_id != i)
			return err_input(
				err,
				"the saved machine has interrupt controller %u where %u is "
				"expected",
				state->chips[i].chip_id, i);
	}
	return 0;
}

/* What KVM does not take of a file is no failure of the host. */
static int set_part(const struct machine *m, unsigned long req, const void *arg, const char *what,
		    struct lkvm_error *err)
{
	const struct kvm_backend *be = m->kvm.be;
	int ret = be->ioctl(be->ctx, m->kvm.vm_fd, req, KVM_ARG(arg));

	if (ret == -EINVAL)
		return err_unsupported(err, EINVAL, "this host's KVM does not take the state of %s",
				       what);
	return ret < 0 ? err_host(err, -ret, "setting the state of %s", what) : 0;
}

/* The PIT comes after the controllers, into which it ticks. */
static int set_irqchip(const struct machine *m, const struct x86_vm_state *state,
		       struct lkvm_error *err)
{
	int ret = 0;

	for (u32 i = 0; !ret && i < ARRAY_SIZE(state->chips); i++)
		ret = set_part(m, KVM_SET_IRQCHIP, &state->chips[i], "the interrupt controllers",
			       err);
	return ret ? ret : set_part(m, KVM_SET_PIT2, &state->pit, "the PIT", err);
}

/* KVM counts on from the value; with flags it would add the time that has passed. */
static int set_clock(const struct machine *m, u64 clock, struct lkvm_error *err)
{
	const struct kvm_clock_data data = { .clock = clock };

	return set_part(m, KVM_SET_CLOCK, &data, "kvmclock", err);
}

int x86_vm_state_set(struct machine *m, const struct x86_vm_state *state, struct lkvm_error *err)
{
	struct x86_vm_state now;
	const char *what;
	int ret = check_state(m, state, err);

	if (!ret && state->irqchip)
		ret = set_irqchip(m, state, err);
	if (!ret)
		ret = set_clock(m, state->clock, err);
	if (!ret)
		ret = x86_vm_state_get(m, &now, err);
	if (ret)
		return ret;
	if (!x86_vm_state_same(state, &now, &what) || now.clock < state->clock)
		return err_unsupported(err, EINVAL,
				       "%s cannot be made what it was; this host's KVM does not "
				       "keep it",
				       now.clock < state->clock ? "kvmclock" : what);
	return 0;
}

/* The PIT goes on, and pulls at its line. */
static bool same_chip(const struct kvm_irqchip *a, const struct kvm_irqchip *b)
{
	struct kvm_irqchip x = *a, y = *b;

	if (a->chip_id == KVM_IRQCHIP_PIC_MASTER) {
		x.chip.pic.irr |= 1 << X86_IRQ_PIT;
		y.chip.pic.irr |= 1 << X86_IRQ_PIT;
		x.chip.pic.last_irr |= 1 << X86_IRQ_PIT;
		y.chip.pic.last_irr |= 1 << X86_IRQ_PIT;
	}
	if (a->chip_id == KVM_IRQCHIP_IOAPIC) {
		x.chip.ioapic.irr |= 1 << X86_IRQ_PIT;
		y.chip.ioapic.irr |= 1 << X86_IRQ_PIT;
	}
	return !memcmp(&x, &y, sizeof(x));
}

/* When it was loaded is the host's time, and set anew. */
static bool same_pit(const struct kvm_pit_state2 *a, const struct kvm_pit_state2 *b)
{
	struct kvm_pit_state2 x = *a;

	for (size_t i = 0; i < ARRAY_SIZE(x.channels); i++)
		x.channels[i].count_load_time = b->channels[i].count_load_time;
	return !memcmp(&x, b, sizeof(x));
}

bool x86_vm_state_same(const struct x86_vm_state *a, const struct x86_vm_state *b,
		       const char **what)
{
	static const char *const names[] = { "the first PIC", "the second PIC", "the I/O APIC" };

	*what = "the kind of interrupt controller";
	if (a->irqchip != b->irqchip)
		return false;
	for (size_t i = 0; a->irqchip && i < ARRAY_SIZE(a->chips); i++) {
		*what = names[i];
		if (!same_chip(&a->chips[i], &b->chips[i]))
			return false;
	}
	*what = "the PIT";
	return !a->irqchip || same_pit(&a->pit, &b->pit);
}
