/*
 * test_msi.c - the routing table that KVM is given for messages, against a KVM that the test plays.
 *
 * Does not prove that KVM takes such a table, nor that a message arrives: test_vm_virtio.c does, on
 * fakekvm, and the bed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>

#include "vmm/msi.h"

#define N_PINS	  3
#define FIRST_GSI 24
#define MAX_GSIS  4096

static struct {
	unsigned int n_tables; /* how often it was told one */
	u32 nr;
	struct kvm_irq_routing_entry entries[N_PINS + IRQ_MAX_MSI];
	unsigned int n_irqfds;
	int table_ret;
	struct kvm_msi sent;
	int send_ret;
} k;

static int set_table(const struct kvm_irq_routing *table)
{
	if (k.table_ret)
		return k.table_ret;
	assert_in_range(table->nr, 1, ARRAY_SIZE(k.entries));
	memcpy(k.entries, table->entries, table->nr * sizeof(k.entries[0]));
	k.nr = table->nr;
	k.n_tables++;
	return 0;
}

static int play_ioctl(void *ctx, int fd, unsigned long req, unsigned long arg)
{
	(void)ctx, (void)fd;
	switch (req) {
	case KVM_CHECK_EXTENSION:
		return arg == KVM_CAP_IRQ_ROUTING ? MAX_GSIS : arg == KVM_CAP_IRQFD;
	case KVM_SET_GSI_ROUTING:
		return set_table((const struct kvm_irq_routing *)arg);
	case KVM_IRQFD:
		k.n_irqfds += ((const struct kvm_irqfd *)arg)->flags ? -1u : 1u;
		return 0;
	case KVM_SIGNAL_MSI:
		k.sent = *(const struct kvm_msi *)arg;
		return k.send_ret;
	}
	fail_msg("request 0x%lx", req);
	return -1;
}

static const struct kvm_backend backend = { .ioctl = play_ioctl };
static const struct kvm kvm = { .be = &backend };

static struct msi_router router(unsigned int n_pins)
{
	static const struct kvm_irq_routing_entry pins[N_PINS] = { { .gsi = 0 },
								   { .gsi = 1 },
								   { .gsi = 2 } };
	struct msi_router r = { 0 };

	memset(&k, 0, sizeof(k));
	assert_int_equal(msi_router_init(&r, &kvm, n_pins ? pins : NULL, n_pins, FIRST_GSI, NULL),
			 0);
	assert_int_equal(k.n_tables, 0);
	return r;
}

static struct irq_msi message(u16 index, u32 data)
{
	return (struct irq_msi){ .index = index, .addr = 0xfee00000, .data = data, .bound = true };
}

static int bind(struct msi_router *r, u16 index, u32 data)
{
	const struct irq_msi msi = message(index, data);

	return msi_router_bind(r, &msi);
}

static void check_entry(u32 at, u16 index, u32 data)
{
	assert_int_equal(k.entries[at].gsi, FIRST_GSI + index);
	assert_int_equal(k.entries[at].type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(k.entries[at].u.msi.data, data);
}

/* Behind @n_pins others a message keeps its entry, whatever is bound in between. */
static void check_messages(unsigned int n_pins)
{
	struct msi_router r = router(n_pins);

	assert_int_equal(bind(&r, 7, 70), 0);
	assert_int_equal(bind(&r, 0, 1), 0);
	assert_int_equal(k.nr, n_pins + 2);
	check_entry(n_pins, 7, 70);
	check_entry(n_pins + 1, 0, 1);
	for (u32 i = 0; i < n_pins; i++)
		assert_int_equal(k.entries[i].gsi, i);

	assert_int_equal(bind(&r, 7, 71), 0);
	assert_int_equal(k.nr, n_pins + 2);
	check_entry(n_pins, 7, 71);
	check_entry(n_pins + 1, 0, 1);
	assert_int_equal(k.n_irqfds, 2);
	msi_router_fini(&r);
}

static void messages_come_behind_the_pins(void **state)
{
	(void)state;
	check_messages(N_PINS);
}

static void a_machine_may_have_no_pins(void **state)
{
	(void)state;
	check_messages(0);
}

static void the_table_is_set_only_when_a_message_changes(void **state)
{
	struct msi_router r = router(0);
	struct irq_msi msi = message(5, 50);

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		msi.bound = true;
		assert_int_equal(msi_router_bind(&r, &msi), 0);
		assert_int_equal(k.n_irqfds, 1);
		msi.bound = false;
		assert_int_equal(msi_router_bind(&r, &msi), 0);
		assert_int_equal(k.n_irqfds, 0);
	}
	assert_int_equal(k.n_tables, 1);
	msi_router_fini(&r);
}

static void a_table_that_is_refused_leaves_the_one_before(void **state)
{
	struct msi_router r = router(0);

	(void)state;
	k.table_ret = -EINVAL;
	assert_int_equal(bind(&r, 0, 1), -EINVAL);
	assert_int_equal(k.n_irqfds, 0);
	k.table_ret = 0;
	assert_int_equal(bind(&r, 1, 2), 0);
	assert_int_equal(k.nr, 1);
	check_entry(0, 1, 2);
	assert_int_equal(bind(&r, 0, 1), 0);
	assert_int_equal(k.nr, 2);
	check_entry(1, 0, 1);
	msi_router_fini(&r);
}

static void all_messages_have_room_behind_the_pins(void **state)
{
	struct msi_router r = router(N_PINS);

	(void)state;
	for (u16 i = 0; i < IRQ_MAX_MSI; i++)
		assert_int_equal(bind(&r, i, i), 0);
	assert_int_equal(k.nr, N_PINS + IRQ_MAX_MSI);
	for (u16 i = 0; i < IRQ_MAX_MSI; i++)
		check_entry(N_PINS + i, i, i);
	msi_router_fini(&r);
}

/* ---- those of a controller that is not KVM's ----------------------------------------------- */

static void a_pin_that_is_a_message_can_be_rewritten(void **state)
{
	struct msi_router r = router(N_PINS);

	(void)state;
	assert_int_equal(bind(&r, 3, 30), 0);
	assert_int_equal(msi_router_set_pin(&r, 1, 0xfee01000, 0xc051), 0);
	assert_int_equal(k.n_tables, 2);
	assert_int_equal(k.nr, N_PINS + 1);
	assert_int_equal(k.entries[1].gsi, 1);
	assert_int_equal(k.entries[1].type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(k.entries[1].u.msi.address_lo, 0xfee01000);
	assert_int_equal(k.entries[1].u.msi.data, 0xc051);
	assert_int_equal(k.entries[0].gsi, 0);
	assert_int_equal(k.entries[2].gsi, 2);
	check_entry(N_PINS, 3, 30);

	/* the same again costs nothing, however often a guest does it */
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(msi_router_set_pin(&r, 1, 0xfee01000, 0xc051), 0);
	assert_int_equal(k.n_tables, 2);
	msi_router_fini(&r);
}

static void a_pin_that_is_refused_is_what_it_was(void **state)
{
	struct msi_router r = router(N_PINS);

	(void)state;
	assert_int_equal(msi_router_set_pin(&r, 1, 0xfee01000, 0x51), 0);
	k.table_ret = -ENOMEM;
	assert_int_equal(msi_router_set_pin(&r, 1, 0xfee01000, 0x52), -ENOMEM);
	k.table_ret = 0;
	assert_int_equal(bind(&r, 0, 1), 0);
	assert_int_equal(k.entries[1].u.msi.data, 0x51);
	/* and it is asked for anew */
	assert_int_equal(msi_router_set_pin(&r, 1, 0xfee01000, 0x52), 0);
	assert_int_equal(k.entries[1].u.msi.data, 0x52);
	msi_router_fini(&r);
}

static void a_message_can_be_sent_at_once(void **state)
{
	static const int results[] = { 1, 0, -EPERM, -EINVAL };
	struct msi_router r = router(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		k.send_ret = results[i];
		assert_int_equal(msi_router_send(&r, 0xfee05fe4, 0x4051), results[i]);
		assert_int_equal(k.sent.address_lo, 0xfee05fe4);
		assert_int_equal(k.sent.address_hi, 0);
		assert_int_equal(k.sent.data, 0x4051);
		assert_int_equal(k.sent.flags, 0);
	}
	assert_int_equal(k.n_tables, 0);
	msi_router_fini(&r);
}

/* Bits 11:5 of the address are bits 14:8 of the destination, for KVM bits 31:8 of address_hi. */
static void destinations_of_15_bits_reach_kvm(void **state)
{
	static const struct {
		u64 addr;
		u32 lo, hi;
	} cases[] = {
		{ 0xfee00000, 0xfee00000, 0 },	    { 0xfeeff000, 0xfeeff000, 0 },
		{ 0xfee2c020, 0xfee2c000, 0x100 },  /* 0x12c = 300 */
		{ 0xfeefefe0, 0xfeefe000, 0x7f00 }, /* 0x7ffe */
		{ 0xfeeff01f, 0xfeeff01f, 0 },	    /* modes and hints are no part of it */
		{ 0xfeeffffc, 0xfeeff01c, 0x7f00 },
	};
	struct msi_router r = router(N_PINS);

	(void)state;
	r.ext_dest = true;
	k.send_ret = 1;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct irq_msi msi = { .addr = cases[i].addr, .data = 7, .bound = true };

		assert_int_equal(msi_router_bind(&r, &msi), 0);
		assert_int_equal(msi_router_set_pin(&r, 2, cases[i].addr, 8), 0);
		assert_int_equal(msi_router_send(&r, cases[i].addr, 9), 1);
		assert_int_equal(k.entries[N_PINS].u.msi.address_lo, cases[i].lo);
		assert_int_equal(k.entries[N_PINS].u.msi.address_hi, cases[i].hi);
		assert_int_equal(k.entries[2].u.msi.address_lo, cases[i].lo);
		assert_int_equal(k.entries[2].u.msi.address_hi, cases[i].hi);
		assert_int_equal(k.sent.address_lo, cases[i].lo);
		assert_int_equal(k.sent.address_hi, cases[i].hi);
	}
	msi_router_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_behind_the_pins),
		cmocka_unit_test(a_machine_may_have_no_pins),
		cmocka_unit_test(the_table_is_set_only_when_a_message_changes),
		cmocka_unit_test(a_table_that_is_refused_leaves_the_one_before),
		cmocka_unit_test(all_messages_have_room_behind_the_pins),
		cmocka_unit_test(a_pin_that_is_a_message_can_be_rewritten),
		cmocka_unit_test(a_pin_that_is_refused_is_what_it_was),
		cmocka_unit_test(a_message_can_be_sent_at_once),
		cmocka_unit_test(destinations_of_15_bits_reach_kvm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
