/*
 * test_bus_irq.c - what devices are wired with: doorbells, messages, file requests, calls.
 *
 * The board is devtest.h's, which does what KVM would with eventfds. Does not prove that KVM does
 * the same; register accesses and interrupt lines are in test_platform_devs.c.
 */
#include "tests/unit/devtest.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/faults.h"

#define BELL_ADDR 0x1000

/* A device that records what comes to it. */
struct probe {
	struct dev dev;
	struct dev_doorbell bell;
	unsigned int n_bells, n_writes, n_calls, n_ended, n_idle;
	struct dev_io io[2];
	struct iovec iov[2];
	char bytes[2][16];
	s64 res[2];
	bool again; /* the first request is started once more when it ended */
	void *arg;
};

static struct probe *probe_of(struct dev *dev)
{
	return (struct probe *)dev;
}

/* Whatever comes in holds the lock. */
static void check_locked(struct dev *dev)
{
	assert_int_equal(pthread_mutex_trylock(&dev->lock), EBUSY);
}

static void probe_rung(struct dev *dev, struct dev_doorbell *bell)
{
	struct probe *p = probe_of(dev);

	check_locked(dev);
	assert_ptr_equal(bell, &p->bell);
	p->n_bells++;
}

static void probe_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	(void)tag;
	(void)off;
	(void)size;
	(void)val;
	probe_of(dev)->n_writes++;
}

static void probe_idle(struct dev *dev)
{
	check_locked(dev);
	assert_int_equal(dev->n_io, 0);
	probe_of(dev)->n_idle++;
}

static int probe_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	(void)cfg;
	return dev_doorbell_init(&probe_of(dev)->bell, dev, probe_rung, err);
}

static void probe_fini(struct dev *dev)
{
	dev_doorbell_fini(&probe_of(dev)->bell);
	dev_doorbell_fini(&probe_of(dev)->bell); /* once more does nothing */
}

static const struct dev_class probe_class = {
	.name = "probe",
	.size = sizeof(struct probe),
	.init = probe_init,
	.fini = probe_fini,
	.write = probe_write,
	.idle = probe_idle,
};

static struct probe *plug(struct devtest *t)
{
	devtest_init(t, 0);
	devtest_plug(t, &(struct dev_slot){
				.cls = &probe_class,
				.name = "probe0",
				.ranges = { { &t->mmio, BELL_ADDR, 0x100, BUS_SIZE_ANY, 0 } },
			});
	return probe_of(t->dev);
}

/* ---- doorbells -------------------------------------------------------------------------- */

static void a_doorbell_takes_the_writes_that_match_it(void **state)
{
	static const struct {
		struct bus_doorbell db;
		u64 addr;
		unsigned int size;
		u64 val;
		bool rings;
	} cases[] = {
		{ { .addr = BELL_ADDR, .size = 2 }, BELL_ADDR, 2, 7, true },
		{ { .addr = BELL_ADDR, .size = 2 }, BELL_ADDR, 4, 7, false },
		{ { .addr = BELL_ADDR, .size = 2 }, BELL_ADDR + 2, 2, 7, false },
		{ { .addr = BELL_ADDR, .size = 0 }, BELL_ADDR, 8, 7, true },
		{ { .addr = BELL_ADDR, .size = 4, .match = true, .val = 3 },
		  BELL_ADDR,
		  4,
		  3,
		  true },
		{ { .addr = BELL_ADDR, .size = 4, .match = true, .val = 3 },
		  BELL_ADDR,
		  4,
		  4,
		  false },
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bus_doorbell db = cases[i].db;
		struct devtest t;
		struct probe *p = plug(&t);

		db.fd = p->bell.lfd.fd;
		assert_int_equal(bus_doorbell(&t.mmio, &db, true), 0);
		assert_int_equal(t.n_bells, 1);
		devtest_mmio_write(&t, cases[i].addr, cases[i].size, cases[i].val);
		devtest_run(&t);
		assert_int_equal(p->n_bells, cases[i].rings);
		assert_int_equal(p->n_writes, !cases[i].rings);

		assert_int_equal(bus_doorbell(&t.mmio, &db, false), 0);
		assert_int_equal(t.n_bells, 0);
		devtest_mmio_write(&t, cases[i].addr, cases[i].size, cases[i].val);
		devtest_run(&t);
		assert_int_equal(p->n_bells, cases[i].rings);
		devtest_fini(&t);
	}
}

static void a_bus_without_doorbells_says_so(void **state)
{
	struct devtest t;
	struct probe *p = plug(&t);
	struct bus_doorbell db = { .addr = BELL_ADDR, .fd = p->bell.lfd.fd };

	(void)state;
	t.bell_ret = -ENOSPC;
	assert_int_equal(bus_doorbell(&t.mmio, &db, true), -ENOSPC);
	t.mmio.doorbell = NULL;
	assert_int_equal(bus_doorbell(&t.mmio, &db, true), -EOPNOTSUPP);
	devtest_mmio_write(&t, BELL_ADDR, 4, 0);
	assert_int_equal(p->n_writes, 1);
	devtest_fini(&t);
}

static void a_doorbell_may_be_signalled_by_its_device(void **state)
{
	struct devtest t;
	struct probe *p = plug(&t);

	(void)state;
	dev_doorbell_signal(&p->bell);
	dev_doorbell_signal(&p->bell);
	assert_int_equal(p->n_bells, 0);
	devtest_run(&t);
	assert_int_equal(p->n_bells, 1);
	devtest_run(&t);
	assert_int_equal(p->n_bells, 1);
	devtest_fini(&t);
}

/* What the next descriptor will be: the same as before when none was left open. */
static int next_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void a_doorbell_that_cannot_be_made_leaves_nothing(void **state)
{
	struct devtest t;
	struct lkvm_error err = { 0 };
	struct dev_slot slot = { .cls = &probe_class, .name = "probe0" };
	struct loop_fd *lfds = calloc(LOOP_MAX_FDS, sizeof(*lfds));
	struct dev *dev;
	unsigned int n = 0;
	int ret, fd;

	(void)state;
	devtest_init(&t, 0);
	fd = next_fd();
	faults_arm(FAULTS_FD, 1);
	ret = dev_create(&dev, &slot, &t.env, &err);
	faults_disarm();
	assert_int_equal(ret, -EMFILE);
	assert_string_equal(err.msg, "device probe0: eventfd: Too many open files");
	assert_null(dev);

	err = (struct lkvm_error){ 0 };
	while (!loop_fd_add(t.loop, &lfds[n], NULL))
		n++;
	assert_int_equal(dev_create(&dev, &slot, &t.env, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "more than"));
	assert_int_equal(next_fd(), fd);
	while (n)
		loop_fd_del(t.loop, &lfds[--n]);
	free(lfds);
	devtest_fini(&t);
}

/* ---- messages ----------------------------------------------------------------------------- */

static void a_message_is_sent_while_it_is_bound_and_kept_while_it_is_not(void **state)
{
	struct devtest t;
	struct irq_msi msi = { .devid = 8 };

	(void)state;
	devtest_init(&t, 0);
	assert_int_equal(irq_msi_init(&msi, &t.chip, NULL), 0);
	assert_int_equal(msi.index, 0);
	assert_false(irq_msi_pending(&msi));

	irq_msi_send(&msi);
	assert_true(irq_msi_pending(&msi));
	assert_int_equal(devtest_msi_count(&t, 0), 0);
	assert_int_equal(irq_msi_bind(&msi, 0xfee00000, 0x4041), 0);
	assert_true(t.msi[0].bound);
	assert_int_equal(t.msi[0].addr, 0xfee00000);
	assert_int_equal(t.msi[0].data, 0x4041);
	assert_false(irq_msi_pending(&msi));
	assert_int_equal(devtest_msi_count(&t, 0), 1);

	irq_msi_send(&msi);
	irq_msi_send(&msi);
	assert_int_equal(devtest_msi_count(&t, 0), 3);
	irq_msi_send(&msi); /* still on its way when it is unbound */
	irq_msi_unbind(&msi);
	assert_false(t.msi[0].bound);
	assert_false(irq_msi_pending(&msi));
	irq_msi_send(&msi);
	irq_msi_send(&msi);
	assert_true(irq_msi_pending(&msi));
	assert_int_equal(devtest_msi_count(&t, 0), 4);

	/* Pending is one bit: what was kept goes out once, to where it is bound then. */
	assert_int_equal(irq_msi_bind(&msi, 0xfee00000, 0x4042), 0);
	assert_int_equal(devtest_msi_sent(&t, 0x4042), 5);
	irq_msi_fini(&msi);
	assert_false(t.msi[0].bound);
	irq_msi_fini(&msi);
	devtest_fini(&t);
}

static void a_message_bound_anew_to_the_same_costs_nothing(void **state)
{
	struct devtest t;
	struct irq_msi msi = { 0 };

	(void)state;
	devtest_init(&t, 0);
	assert_int_equal(irq_msi_init(&msi, &t.chip, NULL), 0);
	assert_int_equal(irq_msi_bind(&msi, 1, 2), 0);
	t.bind_ret = -EIO;
	assert_int_equal(irq_msi_bind(&msi, 1, 2), 0);
	/* To something else it fails, and what was there stays. */
	assert_int_equal(irq_msi_bind(&msi, 1, 3), -EIO);
	assert_true(msi.bound);
	assert_int_equal(msi.data, 2);
	t.bind_ret = 0;
	assert_int_equal(irq_msi_bind(&msi, 1, 3), 0);
	assert_int_equal(t.msi[0].data, 3);
	irq_msi_fini(&msi);
	devtest_fini(&t);
}

static void a_message_that_cannot_be_bound_stays_pending(void **state)
{
	struct devtest t;
	struct irq_msi msi = { 0 };

	(void)state;
	devtest_init(&t, 0);
	assert_int_equal(irq_msi_init(&msi, &t.chip, NULL), 0);
	irq_msi_send(&msi);
	t.bind_ret = -ENOSPC;
	assert_int_equal(irq_msi_bind(&msi, 1, 2), -ENOSPC);
	assert_false(msi.bound);
	assert_true(irq_msi_pending(&msi));
	t.bind_ret = 0;
	assert_int_equal(irq_msi_bind(&msi, 1, 2), 0);
	assert_int_equal(devtest_msi_count(&t, 0), 1);
	irq_msi_fini(&msi);
	devtest_fini(&t);
}

static void messages_are_many_but_not_endless(void **state)
{
	static struct irq_msi msis[IRQ_MAX_MSI + 1];
	struct devtest t;
	struct lkvm_error err = { 0 };

	(void)state;
	devtest_init(&t, 0);
	for (u32 i = 0; i < IRQ_MAX_MSI; i++) {
		/* Taken as if made: this many eventfds not everybody may have. */
		t.chip.msis[i] = &msis[i];
		msis[i].index = i;
	}
	assert_int_equal(irq_msi_init(&msis[IRQ_MAX_MSI], &t.chip, &err), -ENOSPC);
	assert_string_equal(err.msg, "more than 512 interrupt messages: No space left on device");
	assert_null(msis[IRQ_MAX_MSI].chip);
	irq_msi_fini(&msis[IRQ_MAX_MSI]);

	/* The place of one that went is used again. */
	t.chip.msis[77] = NULL;
	assert_int_equal(irq_msi_init(&msis[IRQ_MAX_MSI], &t.chip, &err), 0);
	assert_int_equal(msis[IRQ_MAX_MSI].index, 77);
	assert_ptr_equal(t.chip.msis[77], &msis[IRQ_MAX_MSI]);
	irq_msi_fini(&msis[IRQ_MAX_MSI]);
	assert_null(t.chip.msis[77]);
	devtest_fini(&t);
}

static void what_keeps_a_message_from_being_made_is_told(void **state)
{
	struct devtest t;
	struct irq_msi msi = { 0 };
	struct lkvm_error err = { 0 };

	(void)state;
	devtest_init(&t, 0);
	faults_arm(FAULTS_FD, 1);
	assert_int_equal(irq_msi_init(&msi, &t.chip, &err), -EMFILE);
	faults_disarm();
	assert_string_equal(err.msg, "interrupt message: eventfd: Too many open files");
	irq_msi_fini(&msi);
	err.msg[0] = 0;
	t.chip.bind = NULL;
	assert_int_equal(irq_msi_init(&msi, &t.chip, &err), -EOPNOTSUPP);
	assert_int_equal(irq_msi_init(&msi, NULL, &err), -EOPNOTSUPP);
	assert_string_equal(err.msg, "");
	irq_msi_fini(&msi);
	devtest_fini(&t);
}

/* ---- calls and file requests ------------------------------------------------------------ */

static void called(struct dev *dev, void *arg)
{
	check_locked(dev);
	probe_of(dev)->n_calls++;
	probe_of(dev)->arg = arg;
}

static void a_back_end_calls_its_device_under_the_lock(void **state)
{
	struct devtest t;
	struct probe *p = plug(&t);

	(void)state;
	dev_call(t.dev, called, &t);
	assert_int_equal(p->n_calls, 1);
	assert_ptr_equal(p->arg, &t);
	assert_int_equal(pthread_mutex_trylock(&t.dev->lock), 0);
	pthread_mutex_unlock(&t.dev->lock);
	devtest_fini(&t);
}

static void probe_read_file(struct dev *dev, unsigned int i, int fd);

static void probe_ended(struct dev *dev, struct dev_io *io)
{
	struct probe *p = probe_of(dev);
	unsigned int i = (unsigned int)(io - p->io);

	check_locked(dev);
	assert_int_not_equal(dev->n_io, 0);
	p->n_ended++;
	p->res[i] = io->io.res;
	if (!i && p->again) {
		p->again = false;
		probe_read_file(dev, i, io->io.fd);
	}
}

static void probe_read_file(struct dev *dev, unsigned int i, int fd)
{
	struct probe *p = probe_of(dev);

	p->iov[i] = (struct iovec){ p->bytes[i], sizeof(p->bytes[i]) };
	p->io[i] = (struct dev_io){
		.io = { .op = LOOP_OP_READ,
			.fd = fd,
			.vec = { .iov = &p->iov[i], .n = 1, .len = sizeof(p->bytes[i]) } },
		.fn = probe_ended,
	};
	dev_io_start(dev, &p->io[i]);
}

static void both_requests(struct dev *dev, void *arg)
{
	int *fd = arg;

	probe_read_file(dev, 0, *fd);
	probe_read_file(dev, 1, -1);
}

static int file_of(const char *text)
{
	char path[] = "/tmp/lkvm-test-dev.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static void a_device_is_idle_when_its_last_request_has_ended(void **state)
{
	struct devtest t;
	struct probe *p = plug(&t);
	int fd = file_of("hello");

	(void)state;
	p->again = true;
	dev_call(t.dev, both_requests, &fd);
	assert_int_equal(t.dev->n_io, 2);
	assert_int_equal(p->n_ended, 0);
	devtest_run(&t);
	assert_int_equal(p->n_ended, 3);
	assert_int_equal(p->res[0], 5);
	assert_string_equal(p->bytes[0], "hello");
	assert_int_equal(p->res[1], -EBADF);
	assert_int_equal(t.dev->n_io, 0);
	assert_int_equal(p->n_idle, 1);
	close(fd);
	devtest_fini(&t);
}

static void no_file_is_touched_once_the_machine_is_going(void **state)
{
	struct devtest t;
	struct probe *p = plug(&t);
	int fd = file_of("hello");

	(void)state;
	atomic_store(&t.env.quiet, true);
	p->again = true;
	dev_call(t.dev, both_requests, &fd);
	assert_int_equal(t.dev->n_io, 2);
	assert_int_equal(loop_io_drain(t.loop), 0);
	assert_int_equal(p->n_ended, 3);
	assert_int_equal(p->res[0], -ECANCELED);
	assert_int_equal(p->res[1], -ECANCELED);
	assert_string_equal(p->bytes[0], "");
	assert_int_equal(p->n_idle, 1);
	close(fd);
	devtest_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_doorbell_takes_the_writes_that_match_it),
		cmocka_unit_test(a_bus_without_doorbells_says_so),
		cmocka_unit_test(a_doorbell_may_be_signalled_by_its_device),
		cmocka_unit_test(a_doorbell_that_cannot_be_made_leaves_nothing),
		cmocka_unit_test(a_message_is_sent_while_it_is_bound_and_kept_while_it_is_not),
		cmocka_unit_test(a_message_bound_anew_to_the_same_costs_nothing),
		cmocka_unit_test(a_message_that_cannot_be_bound_stays_pending),
		cmocka_unit_test(messages_are_many_but_not_endless),
		cmocka_unit_test(what_keeps_a_message_from_being_made_is_told),
		cmocka_unit_test(a_back_end_calls_its_device_under_the_lock),
		cmocka_unit_test(a_device_is_idle_when_its_last_request_has_ended),
		cmocka_unit_test(no_file_is_touched_once_the_machine_is_going),
	};

	return cmocka_run_group_tests_name("doorbells, messages and requests", tests, NULL, NULL);
}
