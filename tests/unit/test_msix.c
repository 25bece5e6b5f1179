/*
 * The MSI-X table and its pending bits, written to as a driver would, good or bad, with a chip
 * that records what each message is bound to.
 *
 * Does not prove that a bound message reaches a vCPU (that is KVM's and vmm/msi.c's part), or when
 * a function may send at all: test_pci.c has its enable bits.
 */
#include "tests/unit/devtest.h"

#include "devices/msix.h"

#define ADDR	0xfee01000
#define ENTRY	MSIX_ENTRY_SIZE
#define CONTROL 12
#define N	4

struct table {
	struct devtest t;
	struct msix x;
};

static void setup(struct table *b, unsigned int n)
{
	struct lkvm_error err = { 0 };

	memset(b, 0, sizeof(*b));
	devtest_init(&b->t, 0);
	if (msix_init(&b->x, &b->t.chip, n, 5 << 3, &b->t.log, &err))
		fail_msg("%s", err.msg);
}

static void teardown(struct table *b)
{
	msix_fini(&b->x);
	devtest_fini(&b->t);
}

static void put(struct table *b, u32 off, u32 val)
{
	msix_table_write(&b->x, off, 4, val);
}

static u32 get(struct table *b, u32 off)
{
	return (u32)msix_table_read(&b->x, off, 4);
}

/* A message in entry @i, masked or not. */
static void entry(struct table *b, u32 i, u64 addr, u32 data, bool masked)
{
	put(b, i * ENTRY + CONTROL, 1);
	put(b, i * ENTRY, (u32)addr);
	put(b, i * ENTRY + 4, (u32)(addr >> 32));
	put(b, i * ENTRY + 8, data);
	put(b, i * ENTRY + CONTROL, masked);
}

static u64 sent(struct table *b, u32 i)
{
	return devtest_msi_count(&b->t, i);
}

static void a_new_table_is_masked_and_bound_to_nothing(void **state)
{
	struct table b;

	(void)state;
	setup(&b, N);
	msix_control(&b.x, true, false);
	for (u32 off = 0; off < N * ENTRY; off += 4)
		assert_int_equal(get(&b, off), off % ENTRY == CONTROL);
	for (u32 i = 0; i < N; i++)
		assert_false(b.t.msi[i].bound);
	assert_int_equal(msix_pba_read(&b.x, 0, 8), 0);
	teardown(&b);
}

static void a_message_is_sent_as_its_entry_says(void **state)
{
	struct table b;

	(void)state;
	setup(&b, N);
	entry(&b, 2, 0x1fee01000, 0x4041, false);
	msix_control(&b.x, true, false);
	assert_true(b.t.msi[2].bound);
	assert_true(b.t.msi[2].addr == 0x1fee01000);
	assert_int_equal(b.t.msi[2].data, 0x4041);
	assert_int_equal(b.t.chip.msis[2]->devid, 5 << 3);
	msix_send(&b.x, 2);
	msix_send(&b.x, 2);
	assert_int_equal(sent(&b, 2), 2);
	assert_int_equal(msix_pba_read(&b.x, 0, 8), 0);
	assert_false(b.t.msi[0].bound);
	teardown(&b);
}

static void what_cannot_be_sent_is_pending_and_sent_once_later(void **state)
{
	struct table b;

	(void)state;
	setup(&b, N);
	for (u32 i = 0; i < N; i++)
		entry(&b, i, ADDR, i, false);
	for (unsigned int how = 0; how < 3; how++) {
		u64 before = sent(&b, 1);

		/* off, the function masked, the entry masked */
		msix_control(&b.x, how != 0, how == 1);
		put(&b, 1 * ENTRY + CONTROL, how == 2);
		msix_send(&b.x, 1);
		msix_send(&b.x, 1);
		assert_int_equal(msix_pba_read(&b.x, 0, 8), 1 << 1);
		assert_int_equal(msix_pba_read(&b.x, 0, 4), 1 << 1);
		assert_int_equal(msix_pba_read(&b.x, 4, 4), 0);
		assert_int_equal(sent(&b, 1), before);
		msix_control(&b.x, true, false);
		put(&b, 1 * ENTRY + CONTROL, 0);
		assert_true(sent(&b, 1) > before);
		assert_int_equal(msix_pba_read(&b.x, 0, 8), 0);
		before = sent(&b, 1);
		put(&b, 1 * ENTRY + CONTROL, 1);
		put(&b, 1 * ENTRY + CONTROL, 0);
		assert_int_equal(sent(&b, 1), before);
	}
	teardown(&b);
}

static void a_masked_function_masks_all_its_entries(void **state)
{
	struct table b;

	(void)state;
	setup(&b, N);
	for (u32 i = 0; i < N; i++)
		entry(&b, i, ADDR, i, i == 3);
	msix_control(&b.x, true, false);
	msix_control(&b.x, true, true);
	for (u32 i = 0; i < N; i++) {
		assert_false(b.t.msi[i].bound);
		msix_send(&b.x, i);
	}
	assert_int_equal(msix_pba_read(&b.x, 0, 8), 0xf);
	msix_control(&b.x, true, false);
	for (u32 i = 0; i < N; i++)
		assert_int_equal(sent(&b, i), i != 3);
	assert_int_equal(msix_pba_read(&b.x, 0, 8), 1 << 3);
	teardown(&b);
}

/* Every message that ever was bound, as it was then. */
static unsigned int n_bound;
static struct irq_msi bound[64];

static int record(void *ctx, const struct irq_msi *msi)
{
	(void)ctx;
	if (msi->bound && n_bound < ARRAY_SIZE(bound))
		bound[n_bound++] = *msi;
	return 0;
}

static void a_table_written_while_enabled_never_sends_half_a_message(void **state)
{
	struct table b;

	(void)state;
	setup(&b, N);
	n_bound = 0;
	b.t.chip.bind = record;
	msix_control(&b.x, true, false);
	entry(&b, 0, 0x1fee01000, 0x41, false);
	assert_int_equal(n_bound, 1);
	/* not masked, against the rules: what is bound stays */
	put(&b, 0, 0xfee02000);
	put(&b, 4, 2);
	put(&b, 8, 0x42);
	msix_table_write(&b.x, 0, 8, 0x3fee03000);
	assert_int_equal(n_bound, 1);
	put(&b, CONTROL, 0); /* unmasked as it was */
	assert_int_equal(n_bound, 1);
	put(&b, 8, 0x43);
	put(&b, CONTROL, 1);
	assert_int_equal(n_bound, 1);
	put(&b, CONTROL, 0);
	/* masked, by the rules */
	entry(&b, 0, 0x4fee04000, 0x44, false);
	/* data and control in one piece: unmasked with the data it came with */
	put(&b, CONTROL, 1);
	msix_table_write(&b.x, 0, 8, 0x5fee05000);
	msix_table_write(&b.x, 8, 8, 0x45);
	assert_int_equal(n_bound, 4);
	for (u32 i = 0; i < 4; i++) {
		static const u64 addrs[] = { 0x1fee01000, 0x3fee03000, 0x4fee04000, 0x5fee05000 };
		static const u32 data[] = { 0x41, 0x43, 0x44, 0x45 };

		assert_true(bound[i].addr == addrs[i]);
		assert_int_equal(bound[i].data, data[i]);
	}
	teardown(&b);
}

static void an_unmasked_entry_that_was_changed_goes_on_sending_the_old_message(void **state)
{
	struct table b;

	(void)state;
	setup(&b, N);
	entry(&b, 0, ADDR, 0x41, false);
	msix_control(&b.x, true, false);
	put(&b, 8, 0x42);
	assert_int_equal(get(&b, 8), 0x42);
	msix_send(&b.x, 0);
	assert_int_equal(devtest_msi_sent(&b.t, 0x41), 1);
	put(&b, CONTROL, 1);
	msix_send(&b.x, 0);
	put(&b, CONTROL, 0);
	assert_int_equal(b.t.msi[0].data, 0x42);
	assert_int_equal(sent(&b, 0), 2);
	teardown(&b);
}

static void reserved_bits_of_an_entry_read_zero(void **state)
{
	struct table b;

	(void)state;
	setup(&b, N);
	for (u32 off = 0; off < ENTRY; off += 4)
		put(&b, off, UINT32_MAX);
	assert_int_equal(get(&b, 0), 0xfffffffc);
	assert_int_equal(get(&b, 4), UINT32_MAX);
	assert_int_equal(get(&b, 8), UINT32_MAX);
	assert_int_equal(get(&b, CONTROL), 1);
	assert_true(msix_table_read(&b.x, 0, 8) == 0xfffffffffffffffc);
	assert_true(msix_table_read(&b.x, 8, 8) == 0x1ffffffff);
	put(&b, CONTROL, 0xfffffffe);
	assert_int_equal(get(&b, CONTROL), 0);
	teardown(&b);
}

static void a_vector_past_the_table_is_no_vector(void **state)
{
	struct table b;

	(void)state;
	setup(&b, N);
	msix_control(&b.x, true, false);
	for (u32 i = 0; i < N; i++)
		entry(&b, i, ADDR, i, false);
	msix_send(&b.x, N);
	msix_send(&b.x, 0x7ff);
	msix_send(&b.x, 0xffff);
	msix_send(&b.x, UINT32_MAX);
	for (u32 i = 0; i < N; i++)
		assert_int_equal(sent(&b, i), 0);
	for (u32 off = N * ENTRY; off < 4096; off += 4) {
		put(&b, off, 0);
		assert_int_equal(get(&b, off), UINT32_MAX);
	}
	assert_true(msix_table_read(&b.x, UINT32_MAX - 3, 4) == UINT64_MAX);
	assert_true(msix_table_read(&b.x, UINT32_MAX - 7, 8) == UINT64_MAX);
	msix_table_write(&b.x, UINT32_MAX - 7, 8, 0);
	assert_true(msix_pba_read(&b.x, 8, 8) == UINT64_MAX);
	assert_true(msix_pba_read(&b.x, UINT32_MAX - 7, 8) == UINT64_MAX);
	teardown(&b);
}

static void accesses_of_other_sizes_or_places_are_dropped(void **state)
{
	struct table b;

	(void)state;
	setup(&b, N);
	entry(&b, 0, ADDR, 0x41, true);
	for (u32 off = 0; off < ENTRY; off++) {
		for (unsigned int size = 1; size <= 8; size *= 2) {
			if (size >= 4 && off % size == 0)
				continue;
			msix_table_write(&b.x, off, size, 0);
			assert_true(msix_table_read(&b.x, off, size) == UINT64_MAX);
			assert_true(msix_pba_read(&b.x, off, size) == UINT64_MAX);
		}
	}
	/* over the end of the table */
	msix_table_write(&b.x, N * ENTRY - 4, 8, 0);
	assert_true(msix_table_read(&b.x, N * ENTRY - 4, 8) == UINT64_MAX);
	assert_int_equal(get(&b, 0), ADDR);
	assert_int_equal(get(&b, 8), 0x41);
	assert_int_equal(get(&b, CONTROL), 1);
	assert_int_equal(get(&b, (N - 1) * ENTRY + CONTROL), 1);
	teardown(&b);
}

static void the_largest_table_has_a_bit_for_each_vector(void **state)
{
	struct table b;

	(void)state;
	setup(&b, MSIX_MAX_VECTORS);
	msix_send(&b.x, 63);
	msix_send(&b.x, 64);
	assert_true(msix_pba_read(&b.x, 0, 8) == BIT(63));
	assert_int_equal(msix_pba_read(&b.x, 4, 4), 0x80000000);
	assert_int_equal(msix_pba_read(&b.x, 8, 8), 1);
	assert_true(msix_pba_read(&b.x, 16, 8) == UINT64_MAX);
	entry(&b, 64, ADDR, 0x64, false);
	msix_control(&b.x, true, false);
	assert_int_equal(sent(&b, 64), 1);
	teardown(&b);
}

static void a_binding_that_fails_leaves_the_message_pending(void **state)
{
	struct table b;

	(void)state;
	setup(&b, N);
	b.t.bind_ret = -ENOMEM;
	msix_control(&b.x, true, false);
	msix_send(&b.x, 1);
	entry(&b, 1, ADDR, 0x41, false);
	assert_int_equal(b.t.n_msgs, 1);
	assert_non_null(strstr(b.t.last_msg, "00:05.0"));
	assert_int_equal(msix_pba_read(&b.x, 0, 8), 1 << 1);
	for (unsigned int i = 0; i < 1000; i++)
		entry(&b, 1, ADDR, 0x41, false);
	assert_in_range(b.t.n_msgs, 2, 2 * RATELIMIT_BURST);
	b.t.bind_ret = 0;
	entry(&b, 1, ADDR, 0x41, false);
	assert_int_equal(msix_pba_read(&b.x, 0, 8), 0);
	assert_int_equal(sent(&b, 1), 1);
	teardown(&b);
}

static void messages_are_given_back(void **state)
{
	struct table b;

	(void)state;
	setup(&b, N);
	entry(&b, 1, ADDR, 1, false);
	msix_control(&b.x, true, false);
	msix_fini(&b.x);
	for (u32 i = 0; i < N; i++)
		assert_null(b.t.chip.msis[i]);
	assert_false(b.t.msi[1].bound);
	msix_fini(&b.x); /* a zeroed one is fine, too */
	msix_send(&b.x, 0);
	msix_control(&b.x, true, false);
	assert_int_equal(get(&b, 0), UINT32_MAX);
	assert_true(msix_pba_read(&b.x, 0, 8) == UINT64_MAX);
	teardown(&b);
}

static void a_machine_out_of_messages_is_an_error_that_keeps_none(void **state)
{
	struct lkvm_error err = { 0 };
	struct msix more = { 0 };
	struct irq_msi other = { 0 };
	struct table b;

	(void)state;
	setup(&b, N);
	for (u32 i = N + 2; i < IRQ_MAX_MSI; i++)
		b.t.chip.msis[i] = &other;
	assert_int_equal(msix_init(&more, &b.t.chip, 3, 0, &b.t.log, &err), -ENOSPC);
	assert_string_not_equal(err.msg, "");
	assert_int_equal(more.n, 0);
	assert_null(b.t.chip.msis[N]);
	assert_null(b.t.chip.msis[N + 1]);
	assert_int_equal(msix_init(&more, &b.t.chip, 2, 0, &b.t.log, &err), 0);
	msix_fini(&more);
	teardown(&b);
}

static void a_machine_without_messages_has_no_table(void **state)
{
	struct lkvm_error err = { 0 };
	struct msix x = { 0 };
	struct devtest t;

	(void)state;
	devtest_init(&t, 0);
	t.chip.bind = NULL;
	assert_int_equal(msix_init(&x, &t.chip, 2, 0, &t.log, &err), -EOPNOTSUPP);
	assert_int_equal(msix_init(&x, NULL, 2, 0, &t.log, &err), -EOPNOTSUPP);
	assert_string_equal(err.msg, "");
	assert_int_equal(x.n, 0);
	assert_null(x.entries);
	t.chip.bind = record;
	assert_int_equal(msix_init(&x, &t.chip, 0, 0, &t.log, NULL), -EINVAL);
	assert_int_equal(msix_init(&x, &t.chip, MSIX_MAX_VECTORS + 1, 0, &t.log, NULL), -EINVAL);
	devtest_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_table_is_masked_and_bound_to_nothing),
		cmocka_unit_test(a_message_is_sent_as_its_entry_says),
		cmocka_unit_test(what_cannot_be_sent_is_pending_and_sent_once_later),
		cmocka_unit_test(a_masked_function_masks_all_its_entries),
		cmocka_unit_test(a_table_written_while_enabled_never_sends_half_a_message),
		cmocka_unit_test(
			an_unmasked_entry_that_was_changed_goes_on_sending_the_old_message),
		cmocka_unit_test(reserved_bits_of_an_entry_read_zero),
		cmocka_unit_test(a_vector_past_the_table_is_no_vector),
		cmocka_unit_test(accesses_of_other_sizes_or_places_are_dropped),
		cmocka_unit_test(the_largest_table_has_a_bit_for_each_vector),
		cmocka_unit_test(a_binding_that_fails_leaves_the_message_pending),
		cmocka_unit_test(messages_are_given_back),
		cmocka_unit_test(a_machine_out_of_messages_is_an_error_that_keeps_none),
		cmocka_unit_test(a_machine_without_messages_has_no_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
