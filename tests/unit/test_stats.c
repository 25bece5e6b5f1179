/*
 * test_stats.c - KVM's binary statistics: reading them, and those of a VM through its life (T0 and
 * T2, on fakekvm).
 *
 * Does not prove that a kernel lays them out like this: tests/t3/stats.sh reads a real one's.
 */
#include "tests/unit/vmtest.h"

#include <stdatomic.h>

#include "linux-uapi/kvm.h"
#include "tests/faults.h"
#include "vmm/stats.h"

#define NAME_SIZE 48

/* A file of statistics that a test spoils. */
struct file {
	struct kvm_stats_header h;
	struct {
		u32 flags;
		int16_t exponent;
		u16 size;
		u32 offset, bucket_size;
		char name[NAME_SIZE];
	} desc[3];
	u64 data[6];
};

static const struct file good = {
	.h = { .name_size = NAME_SIZE,
	       .num_desc = 3,
	       .id_offset = 24,
	       .desc_offset = offsetof(struct file, desc),
	       .data_offset = offsetof(struct file, data) },
	.desc = { { .size = 1, .offset = 40, .name = "exits" },
		  { .flags = KVM_STATS_TYPE_LOG_HIST | KVM_STATS_UNIT_SECONDS,
		    .exponent = -9,
		    .size = 4,
		    .offset = 8,
		    .name = "halt_wait_hist" },
		  { .flags = KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_BYTES | KVM_STATS_BASE_POW2,
		    .exponent = 10,
		    .size = 1,
		    .offset = 0,
		    .name = "kilobytes" } },
	.data = { 17, 1, 20, 300, 4000, UINT64_MAX },
};

struct rig {
	struct fakekvm *fk;
	struct kvm_host host;
	struct kvm kvm;
	struct stats *stats;
	struct lkvm_error err;
	struct lkvm_stat out[4];
};

static void rig_up(struct rig *r, const void *file, size_t len)
{
	*r = (struct rig){ .fk = fakekvm_new(fakekvm_hosts[0]), .kvm = KVM_INIT };
	fakekvm_set_cap(r->fk, KVM_CAP_BINARY_STATS_FD, 1);
	if (file)
		fakekvm_set_stats(r->fk, file, len);
	assert_int_equal(kvm_open(&r->host, fakekvm_backend(r->fk), &r->err), 0);
	assert_int_equal(kvm_create_vm(&r->kvm, &r->host, 0, &r->err), 0);
}

static int rig_open(struct rig *r)
{
	return stats_open(&r->stats, &r->kvm, r->kvm.vm_fd, &r->err);
}

static void rig_down(struct rig *r)
{
	stats_close(r->stats);
	kvm_destroy_vm(&r->kvm);
	kvm_close(&r->host);
	assert_string_equal(fakekvm_leaks(r->fk), "");
	assert_string_equal(fakekvm_complaints(r->fk), "");
	fakekvm_free(r->fk);
}

static void values_have_names_types_and_units(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, &good, sizeof(good));
	assert_int_equal(rig_open(&r), 0);
	assert_int_equal(stats_read(r.stats, r.out, 4), 3);
	assert_string_equal(r.out[0].name, "exits");
	assert_int_equal(r.out[0].value, UINT64_MAX);
	assert_int_equal(r.out[0].type, LKVM_STAT_CUMULATIVE);
	assert_int_equal(r.out[0].unit, LKVM_STAT_NONE);
	assert_string_equal(r.out[1].name, "halt_wait_hist");
	assert_int_equal(r.out[1].value, 4321);
	assert_int_equal(r.out[1].type, LKVM_STAT_LOG_HISTOGRAM);
	assert_int_equal(r.out[1].unit, LKVM_STAT_SECONDS);
	assert_int_equal(r.out[1].exponent, -9);
	assert_false(r.out[1].base2);
	assert_int_equal(r.out[2].value, 17);
	assert_int_equal(r.out[2].type, LKVM_STAT_INSTANT);
	assert_int_equal(r.out[2].unit, LKVM_STAT_BYTES);
	assert_true(r.out[2].base2);
	rig_down(&r);
}

static void descriptors_are_read_once_and_values_by_one_read(void **state)
{
	unsigned long opened;
	struct file f = good;
	struct rig r;

	(void)state;
	rig_up(&r, &f, sizeof(f));
	assert_int_equal(rig_open(&r), 0);
	opened = fakekvm_n_calls(r.fk);
	f.data[5] = 1;
	f.desc[0].offset = 8; /* what descriptors say later is not listened to */
	memset(f.desc[1].name, 'x', NAME_SIZE);
	fakekvm_set_stats(r.fk, &f, sizeof(f));
	assert_int_equal(stats_read(r.stats, r.out, 4), 3);
	assert_int_equal(r.out[0].value, 1);
	assert_string_equal(r.out[1].name, "halt_wait_hist");
	f.data[5] = 2;
	fakekvm_set_stats(r.fk, &f, sizeof(f));
	assert_int_equal(stats_read(r.stats, r.out, 4), 3);
	assert_int_equal(r.out[0].value, 2);
	assert_int_equal(fakekvm_n_calls(r.fk), opened + 2);
	rig_down(&r);
}

static void no_more_is_written_than_there_is_room_for(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, &good, sizeof(good));
	assert_int_equal(rig_open(&r), 0);
	memset(r.out, 0x5a, sizeof(r.out));
	assert_int_equal(stats_read(r.stats, r.out, 2), 3);
	assert_string_equal(r.out[1].name, "halt_wait_hist");
	for (size_t i = 0; i < sizeof(r.out[2]); i++)
		assert_int_equal(((u8 *)&r.out[2])[i], 0x5a);
	assert_int_equal(stats_read(r.stats, NULL, 0), 3);
	rig_down(&r);
}

static void a_sum_does_not_wrap(void **state)
{
	struct file f = good;
	struct rig r;

	(void)state;
	f.data[2] = UINT64_MAX;
	rig_up(&r, &f, sizeof(f));
	assert_int_equal(rig_open(&r), 0);
	assert_int_equal(stats_read(r.stats, r.out, 4), 3);
	assert_int_equal(r.out[1].value, UINT64_MAX);
	rig_down(&r);
}

static void what_a_later_kernel_has_more_of_is_left_out(void **state)
{
	static const u32 flags[] = { 5u << KVM_STATS_TYPE_SHIFT, 5u << KVM_STATS_UNIT_SHIFT,
				     2u << KVM_STATS_BASE_SHIFT, 15u << KVM_STATS_TYPE_SHIFT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct file f = good;
		struct rig r;

		f.desc[1].flags = flags[i];
		rig_up(&r, &f, sizeof(f));
		assert_int_equal(rig_open(&r), 0);
		assert_int_equal(stats_read(r.stats, r.out, 4), 2);
		assert_string_equal(r.out[1].name, "kilobytes");
		assert_int_equal(r.out[1].value, 17);
		rig_down(&r);
	}
}

static void there_may_be_none(void **state)
{
	struct file f = good;
	struct rig r;

	(void)state;
	f.h.num_desc = 0;
	rig_up(&r, &f, sizeof(f));
	assert_int_equal(rig_open(&r), 0);
	assert_int_equal(stats_read(r.stats, r.out, 4), 0);
	rig_down(&r);

	rig_up(&r, &good, sizeof(good));
	fakekvm_set_cap(r.fk, KVM_CAP_BINARY_STATS_FD, 0);
	assert_int_equal(rig_open(&r), -ENOTTY);
	assert_int_equal(r.err.kind, LKVM_ERR_NONE);
	assert_null(r.stats);
	rig_down(&r);
}

/* Each spoils one thing. */
static void name_is_not_ended(struct file *f)
{
	memset(f->desc[1].name, 'x', NAME_SIZE);
}

static void name_is_empty(struct file *f)
{
	f->desc[2].name[0] = 0;
}

static void name_has_control_codes(struct file *f)
{
	f->desc[0].name[2] = 27;
}

static void name_has_a_blank(struct file *f)
{
	f->desc[0].name[2] = ' ';
}

static void name_is_no_ascii(struct file *f)
{
	f->desc[0].name[2] = (char)0xe9;
}

static void names_have_no_room(struct file *f)
{
	f->h.name_size = 0;
}

static void names_have_too_much_room(struct file *f)
{
	f->h.name_size = UINT32_MAX;
}

static void there_are_too_many(struct file *f)
{
	f->h.num_desc = UINT32_MAX;
}

static void there_are_more_than_the_file_has(struct file *f)
{
	f->h.num_desc = 9;
}

static void descriptors_are_crooked(struct file *f)
{
	f->h.desc_offset++;
}

static void descriptors_are_in_the_header(struct file *f)
{
	f->h.desc_offset = 16;
}

static void descriptors_are_nowhere(struct file *f)
{
	f->h.desc_offset = 0xfffffff8;
}

static void values_are_crooked(struct file *f)
{
	f->h.data_offset += 4;
}

static void values_are_in_the_header(struct file *f)
{
	f->h.data_offset = 0;
}

static void one_has_no_value(struct file *f)
{
	f->desc[1].size = 0;
}

static void a_value_is_crooked(struct file *f)
{
	f->desc[1].offset = 12;
}

static void a_value_is_far_away(struct file *f)
{
	f->desc[1].offset = 0xfffffff8;
}

static void values_are_far_too_many(struct file *f)
{
	f->desc[1].size = UINT16_MAX;
	f->desc[1].offset = STATS_MAX_LEN - 8;
}

static void nonsense_is_a_host_error(void **state)
{
	static void (*const spoil[])(struct file *) = {
		name_is_not_ended,
		name_is_empty,
		name_has_control_codes,
		name_has_a_blank,
		name_is_no_ascii,
		names_have_no_room,
		names_have_too_much_room,
		there_are_too_many,
		there_are_more_than_the_file_has,
		descriptors_are_crooked,
		descriptors_are_in_the_header,
		descriptors_are_nowhere,
		values_are_crooked,
		values_are_in_the_header,
		one_has_no_value,
		a_value_is_crooked,
		a_value_is_far_away,
		values_are_far_too_many,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spoil); i++) {
		struct file f = good;
		struct rig r;

		spoil[i](&f);
		rig_up(&r, &f, sizeof(f));
		if (rig_open(&r) != -EPROTO)
			fail_msg("case %zu was taken", i);
		assert_int_equal(r.err.kind, LKVM_ERR_HOST);
		assert_non_null(strstr(r.err.msg, "KVM's statistics"));
		assert_null(r.stats);
		rig_down(&r);
	}
}

/* Descriptors within bounds whose values the file does not have. */
static void values_that_are_not_there_are_an_error_when_read(void **state)
{
	struct file f = good;
	struct rig r;

	(void)state;
	f.h.data_offset = 0xfffffff8;
	rig_up(&r, &f, sizeof(f));
	assert_int_equal(rig_open(&r), 0);
	assert_int_equal(stats_read(r.stats, r.out, 4), -EPROTO);
	rig_down(&r);
}

static void a_file_cut_anywhere_is_an_error(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, NULL, 0);
	for (size_t len = 0; len < sizeof(good); len++) {
		int ret;

		fakekvm_set_stats(r.fk, &good, len);
		ret = rig_open(&r);
		if (!ret)
			ret = stats_read(r.stats, r.out, 4);
		assert_int_equal(ret, -EPROTO);
		stats_close(r.stats);
		r.stats = NULL;
	}
	rig_down(&r);
}

static void any_byte_may_be_wrong(void **state)
{
	static const u8 values[] = { 0, 1, 0x7f, 0x80, 0xff };
	u8 bytes[sizeof(good)];
	struct rig r;

	(void)state;
	rig_up(&r, NULL, 0);
	for (size_t i = 0; i < offsetof(struct file, data) * ARRAY_SIZE(values); i++) {
		memcpy(bytes, &good, sizeof(bytes));
		bytes[i / ARRAY_SIZE(values)] = values[i % ARRAY_SIZE(values)];
		fakekvm_set_stats(r.fk, bytes, sizeof(bytes));
		r.err = (struct lkvm_error){ 0 };
		if (rig_open(&r))
			assert_int_equal(r.err.kind, LKVM_ERR_HOST);
		else
			assert_in_range(stats_read(r.stats, r.out, 4) + EPROTO, 0,
					EPROTO + STATS_MAX);
		stats_close(r.stats);
		r.stats = NULL;
	}
	rig_down(&r);
}

static void each_call_that_fails_is_told(void **state)
{
	(void)state;
	for (unsigned long nth = 1; nth <= 5; nth++) {
		struct rig r;
		int ret;

		rig_up(&r, &good, sizeof(good));
		fakekvm_fail_nth(r.fk, fakekvm_n_calls(r.fk) + nth, EIO);
		ret = rig_open(&r);
		if (nth == 1)
			assert_int_equal(ret, -ENOTTY); /* nobody knows of any */
		else if (nth == 5)
			assert_int_equal(stats_read(r.stats, r.out, 4), -EIO);
		else
			assert_int_equal(ret, -EIO);
		assert_int_equal(r.err.kind, nth > 1 && nth < 5 ? LKVM_ERR_HOST : LKVM_ERR_NONE);
		rig_down(&r);
	}
}

static void without_memory_there_are_none(void **state)
{
	unsigned long nth = 0;
	int ret;

	(void)state;
	do {
		struct rig r;

		rig_up(&r, &good, sizeof(good));
		faults_arm(FAULTS_MEMORY, ++nth);
		ret = rig_open(&r);
		faults_disarm();
		assert_true(!ret || ret == -ENOMEM);
		assert_int_equal(r.err.kind, ret ? LKVM_ERR_HOST : LKVM_ERR_NONE);
		rig_down(&r);
	} while (ret);
	assert_int_equal(nth, 6);
}

/* ---- of a VM ---------------------------------------------------------------------------- */

static struct vmtest *vm_new(unsigned int n_vcpus)
{
	struct vmtest *t = vmtest_new(fakekvm_hosts[0]);

	fakekvm_set_cap(t->fk, KVM_CAP_BINARY_STATS_FD, 1);
	t->cfg.n_vcpus = n_vcpus;
	return t;
}

static u64 value_of(struct vmtest *t, int vcpu, const char *name)
{
	struct lkvm_stat s[8];
	int n = lkvm_vm_stats(t->vm, vcpu, s, 8);

	for (int i = 0; i < n; i++) {
		if (!strcmp(s[i].name, name))
			return s[i].value;
	}
	fail_msg("of %d: no %s (%d)", vcpu, name, n);
	return 0;
}

static const struct fake_step halted[] = { FAKE_HALT };
static const struct fake_step three_exits_and_off[] = {
	FAKE_EXIT(KVM_EXIT_INTR),
	FAKE_EXIT(KVM_EXIT_INTR),
	FAKE_SYSTEM_EVENT(KVM_SYSTEM_EVENT_SHUTDOWN),
};

static void they_are_kept_when_the_machine_is_gone(void **state)
{
	struct vmtest *t = vm_new(2);
	struct lkvm_stat s[8];

	(void)state;
	vmtest_script(t, 1, halted);
	vmtest_run(t, three_exits_and_off, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(value_of(t, -1, "remote_tlb_flush"), 3);
	assert_int_equal(value_of(t, 0, "exits"), 3);
	assert_int_equal(value_of(t, 0, "halt_wait_hist"), 4321);
	assert_in_range(value_of(t, 1, "exits"), 0, 1);
	assert_int_equal(lkvm_vm_stats(t->vm, 0, s, 1), 4);
	assert_string_equal(s[0].name, "exits");
	assert_int_equal(lkvm_vm_stats(t->vm, 0, NULL, 0), 4);
	assert_int_equal(lkvm_vm_stats(t->vm, 2, s, 8), -ENOENT);
	assert_int_equal(lkvm_vm_stats(t->vm, INT32_MIN, s, 8), 3);
	assert_int_equal(lkvm_vm_stats(t->vm, INT32_MAX, s, 8), -ENOENT);
	vmtest_free(t);
}

static void note_entry(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	(void)fk;
	(void)vcpu;
	atomic_store((_Atomic bool *)ctx, true);
}

/* KVM answers for a vCPU in the guest when it comes out, which these never do. */
static void they_are_there_while_the_machine_runs(void **state)
{
	struct vmtest *t = vm_new(2);
	_Atomic bool entered = false;
	const struct fake_step enter_and_stay[] = { FAKE_CALL(note_entry, &entered), FAKE_HALT };

	(void)state;
	vmtest_script(t, 0, halted);
	vmtest_script(t, 1, enter_and_stay);
	vmtest_create(t);
	assert_int_equal(value_of(t, 0, "exits"), 0);
	assert_int_equal(lkvm_vm_start(t->vm, &t->err), 0);
	for (int ms = 0; !atomic_load(&entered) && ms < VMTEST_WAIT_MS; ms++)
		usleep(1000);
	for (int i = 0; i < 3; i++) {
		assert_in_range(value_of(t, 1, "exits"), 1, 100);
		assert_int_equal(value_of(t, 0, "halt_wait_ns"), 1500);
		assert_int_equal(value_of(t, -1, "pages_2m"), 7);
		assert_int_equal(lkvm_vm_state(t->vm), LKVM_STATE_RUNNING);
	}
	assert_int_equal(lkvm_vm_pause(t->vm), 0);
	assert_in_range(value_of(t, 1, "exits"), 0, 100);
	assert_int_equal(lkvm_vm_state(t->vm), LKVM_STATE_PAUSED);
	lkvm_vm_resume(t->vm);
	lkvm_vm_stop(t->vm);
	vmtest_finish(t);
	assert_in_range(value_of(t, 1, "exits"), 1, 100);
	vmtest_free(t);
}

static void a_machine_that_never_ran_has_them_too(void **state)
{
	struct vmtest *t = vm_new(1);

	(void)state;
	vmtest_create(t);
	faults_arm(FAULTS_MEMORY, 1);
	assert_int_equal(lkvm_vm_stats(t->vm, 0, NULL, 0), -ENOMEM);
	faults_disarm();
	assert_int_equal(value_of(t, 0, "exits"), 0);
	lkvm_vm_stop(t->vm);
	assert_int_equal(lkvm_vm_state(t->vm), LKVM_STATE_STOPPED);
	assert_int_equal(value_of(t, 0, "exits"), 0);
	vmtest_free(t);
}

static const struct fake_step reset_again[] = {
	FAKE_EXIT(KVM_EXIT_INTR),
	FAKE_SYSTEM_EVENT(KVM_SYSTEM_EVENT_RESET),
};

/* The other vCPU is in the guest when the machine is taken down. */
static void a_restart_begins_them_anew(void **state)
{
	struct vmtest *t = vm_new(2);
	struct lkvm_result res;

	(void)state;
	t->cfg.on_reboot = LKVM_ON_REBOOT_RESTART;
	vmtest_script(t, 0, reset_again);
	vmtest_script(t, 1, halted);
	vmtest_start(t);
	do {
		assert_in_range(value_of(t, 0, "exits"), 0, 3);
		lkvm_vm_result(t->vm, &res);
	} while (res.n_boots < 4);
	lkvm_vm_stop(t->vm);
	vmtest_finish(t);
	assert_in_range(value_of(t, 0, "exits"), 0, 3);
	vmtest_free(t);
}

static void without_them_nothing_is_said(void **state)
{
	struct vmtest *t = vm_new(1);
	struct lkvm_stat s;

	(void)state;
	fakekvm_set_cap(t->fk, KVM_CAP_BINARY_STATS_FD, 0);
	vmtest_create(t);
	assert_int_equal(lkvm_vm_stats(t->vm, -1, &s, 1), -ENOTTY);
	assert_int_equal(lkvm_vm_stats(t->vm, 0, &s, 1), -ENOTTY);
	vmtest_script(t, 0, three_exits_and_off);
	assert_int_equal(lkvm_vm_start(t->vm, &t->err), 0);
	vmtest_finish(t);
	assert_int_equal(lkvm_vm_stats(t->vm, -1, &s, 1), -ENOTTY);
	assert_int_equal(lkvm_vm_stats(t->vm, 0, &s, 1), -ENOTTY);
	assert_string_equal(t->log, "");
	vmtest_free(t);
}

static void nonsense_does_no_harm_and_is_said_once(void **state)
{
	struct vmtest *t = vm_new(3);
	struct lkvm_stat s[8];

	(void)state;
	fakekvm_set_stats(t->fk, "x", 1);
	vmtest_script(t, 1, halted);
	vmtest_script(t, 2, halted);
	vmtest_run(t, three_exits_and_off, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(lkvm_vm_stats(t->vm, -1, s, 8), -EPROTO);
	assert_int_equal(lkvm_vm_stats(t->vm, 2, s, 8), -EPROTO);
	assert_non_null(strstr(t->log, "KVM's statistics"));
	assert_ptr_equal(strchr(t->log, '\n'), strrchr(t->log, '\n'));
	vmtest_free(t);
}

/* No descriptor left for one of them: the others are kept. */
static void one_that_cannot_be_opened_takes_no_other_with_it(void **state)
{
	(void)state;
	for (int nth = 1; nth <= 3; nth++) {
		struct vmtest *t = vm_new(2);
		struct lkvm_stat s[8];

		vmtest_script(t, 1, halted);
		fakekvm_fail_request(t->fk, KVM_GET_STATS_FD, (unsigned int)nth, EMFILE);
		vmtest_run(t, three_exits_and_off, LKVM_CAUSE_POWEROFF, 0);
		for (int i = -1; i < 2; i++)
			assert_int_equal(lkvm_vm_stats(t->vm, i, s, 8), i + 2 == nth ? -EMFILE
									: i < 0	     ? 3
										     : 4);
		assert_non_null(strstr(t->log, "KVM_GET_STATS_FD failed"));
		vmtest_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_names_types_and_units),
		cmocka_unit_test(descriptors_are_read_once_and_values_by_one_read),
		cmocka_unit_test(no_more_is_written_than_there_is_room_for),
		cmocka_unit_test(a_sum_does_not_wrap),
		cmocka_unit_test(what_a_later_kernel_has_more_of_is_left_out),
		cmocka_unit_test(there_may_be_none),
		cmocka_unit_test(nonsense_is_a_host_error),
		cmocka_unit_test(values_that_are_not_there_are_an_error_when_read),
		cmocka_unit_test(a_file_cut_anywhere_is_an_error),
		cmocka_unit_test(any_byte_may_be_wrong),
		cmocka_unit_test(each_call_that_fails_is_told),
		cmocka_unit_test(without_memory_there_are_none),
		cmocka_unit_test(they_are_kept_when_the_machine_is_gone),
		cmocka_unit_test(they_are_there_while_the_machine_runs),
		cmocka_unit_test(a_machine_that_never_ran_has_them_too),
		cmocka_unit_test(a_restart_begins_them_anew),
		cmocka_unit_test(without_them_nothing_is_said),
		cmocka_unit_test(nonsense_does_no_harm_and_is_said_once),
		cmocka_unit_test(one_that_cannot_be_opened_takes_no_other_with_it),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
