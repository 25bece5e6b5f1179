/*
 * ticks.c - says "tick N" at each of n=N (50) interrupts of the virtual timer, hz=H (50) a second,
 * and powers off: a guest with something to lose when its state is carried elsewhere.
 */
#include "guest.h"

static volatile u32 n_ticks;
static u64 period;

static void on_timer(void)
{
	n_ticks++;
	/* From the last one on, so that none is lost however late this one is heard of. */
	write_sysreg("cntv_cval_el0", read_sysreg("cntv_cval_el0") + period);
}

void guest_main(void)
{
	u32 n = (u32)arg_u64("n", 50);

	period = ticks_per_second() / arg_u64("hz", 50);
	gic_init();
	gic_enable(timer_intid(true), on_timer);
	write_sysreg("cntv_cval_el0", ticks() + period);
	write_sysreg("cntv_ctl_el0", 1);
	for (u32 said = 1; said <= n; said++) {
		await_irqs(&n_ticks, said);
		put_str("tick ");
		put_dec(said);
		put_char('\n');
	}
}
