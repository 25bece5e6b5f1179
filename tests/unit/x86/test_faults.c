/*
 * test_faults.c - every call to the host of a whole boot fails once (T2, on fakekvm).
 *
 * Whichever it is, creating or running the VM returns with a message or is not hurt by it, and
 * leaves no descriptor, thread or mapping behind. Does not prove anything about calls made
 * inside the C library, liburing or libelf, nor about two failures at once; calls to KVM
 * fail in test_nth.c. Whether memory is left behind is seen by the sanitizers' build.
 */
#include "tests/unit/vmvirtio.h"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/faults.h"

static unsigned int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* A thread that was joined is in /proc for a moment longer. */
static unsigned int count_threads(unsigned int expected)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	unsigned int n = count_entries("/proc/self/task");

	for (unsigned int i = 0; n != expected && i < 1000; i++) {
		nanosleep(&ms, NULL);
		n = count_entries("/proc/self/task");
	}
	return n;
}

/* ---- faults.c itself ---- */

static void calls_are_counted_and_the_chosen_one_fails(void **state)
{
	void *volatile p;

	(void)state;
	faults_arm(FAULTS_MEMORY, 2);
	p = malloc(1);
	assert_non_null(p);
	free(p);
	p = calloc(1, 1);
	assert_null(p);
	assert_int_equal(errno, ENOMEM);
	p = malloc(1);
	assert_int_equal(faults_disarm(), 3);
	assert_non_null(p);
	free(p);
	assert_string_equal(faults_hit(), "calloc");
}

static void other_kinds_go_through(void **state)
{
	int fd;

	(void)state;
	faults_arm(FAULTS_MEMORY, 1);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(faults_disarm(), 0);
	assert_true(fd >= 0);
	assert_null(faults_hit());
	faults_arm(FAULTS_FD, 1);
	assert_int_equal(open("/dev/null", O_RDONLY | O_CLOEXEC), -1);
	assert_int_equal(errno, EMFILE);
	faults_disarm();
	close(fd);
}

/* ---- A boot ---- */

static const struct fake_step guest[] = {
	FAKE_PRINT(COM1, "hello\n"), FAKE_OUT(COM1 + 4, 1, 0x0b), FAKE_OUT(COM1 + 1, 1, 0x02),
	FAKE_IN(COM1 + 2, 1),	     FAKE_OUT(0x604, 2, 0x3400),
};

/* An end with a post mortem: symbols are looked up. */
static const struct fake_step crashing_guest[] = { FAKE_SHUTDOWN };

/* Where the machine writes to: a descriptor, as `lkvm run` has it. */
static void give_fds(struct vmtest *t, int fds[2])
{
	assert_int_equal(pipe(fds), 0);
	t->cfg.console.out = NULL;
	t->cfg.console.out_fd = fds[1];
}

static void check_end(const struct vmtest *t, const char *failed)
{
	if (t->res.cause != LKVM_CAUSE_POWEROFF && t->res.cause != LKVM_CAUSE_TRIPLE_FAULT &&
	    t->res.cause != LKVM_CAUSE_HOST_ERROR)
		fail_msg("%s failed, and the end was %s", failed, lkvm_cause_name(t->res.cause));
	assert_true(t->res.detail[0]);
}

/* ---- what is booted ---- */

struct scene {
	void (*set)(struct vmtest *t);
	void (*unset)(void);
	void (*check)(const char *failed); /* of a guest that powered off */
};

static void set_board(struct vmtest *t)
{
	vmtest_script(t, 0, guest);
}

static void unset_board(void)
{
}

static void check_nothing(const char *failed)
{
	(void)failed;
}

static const struct scene board = { set_board, unset_board, check_nothing };

/* An ELF kernel that crashes, instead of a bzImage that powers off. */
static void set_elf(struct vmtest *t)
{
	static u8 file[MK_MAX];

	unlink(t->kernel);
	vmtest_write_kernel(t, file, mk_elf(file));
	vmtest_script(t, 0, crashing_guest);
}

static const struct scene elf = { set_elf, unset_board, check_nothing };

/* Virtio devices of all kinds, a request to each, and a peer that listens. */
static struct vmv_host host;
static struct vmv_all all;
static int listener;
static struct sockaddr_un listens_at;

static const struct fake_step virtio_guest[] = { VMV_USE(PCI, &all), FAKE_OUT(0x604, 2, 0x3400) };

static void set_virtio(struct vmtest *t)
{
	all = (struct vmv_all)VMV_ALL;
	vmv_open(&host, &t->cfg);
	listens_at.sun_family = AF_UNIX;
	snprintf(listens_at.sun_path, sizeof(listens_at.sun_path), "%s.sock", host.images[0]);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (void *)&listens_at, sizeof(listens_at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	t->cfg.nets[0].mode = LKVM_NET_UNIX;
	snprintf(t->cfg.nets[0].socket, sizeof(t->cfg.nets[0].socket), "%s", listens_at.sun_path);
	t->cfg.disks[1].direct = true;
	t->cfg.disks[1].discard = true;
	vmtest_script(t, 0, virtio_guest);
}

static void unset_virtio(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(host.images[0], O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
	assert_int_equal(lock.l_type, F_UNLCK);
	close(fd);
	close(listener);
	unlink(listens_at.sun_path);
	vmv_close(&host);
}

/* Every request comes back, with a status that says so if it was not done. */
static void check_virtio(const char *failed)
{
	const struct vmv_req *reqs[] = { &all.blk, &all.send, &all.hvc, &all.port, &all.rng };

	for (size_t i = 0; i < ARRAY_SIZE(reqs); i++) {
		if (!reqs[i]->done)
			fail_msg("%s failed, and request %zu never came back", failed, i);
	}
	assert_true(all.blk.got[0] <= 1);	/* VIRTIO_BLK_S_OK or _IOERR */
	assert_true(failed || !all.blk.got[0]); /* not without reason */
	assert_true(failed || all.recv.done);	/* frames may be lost, but not without reason */
}

static const struct scene virtio = { set_virtio, unset_virtio, check_virtio };

/* ---- a boot ---- */

/* True when the @nth call was never made: the boot is through. */
static bool boot(const struct scene *scene, unsigned int kinds, unsigned long nth)
{
	unsigned int n_fds = count_entries("/proc/self/fd");
	unsigned int n_threads = count_entries("/proc/self/task");
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	const char *failed;
	int fds[2], ret;

	give_fds(t, fds);
	t->cfg.n_vcpus = 2;
	scene->set(t);
	faults_arm(kinds, nth);
	ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);
	if (!ret)
		ret = lkvm_vm_start(t->vm, &t->err);
	if (!ret)
		ret = lkvm_vm_wait(t->vm, VMTEST_WAIT_MS);
	if (!ret)
		lkvm_vm_result(t->vm, &t->res);
	lkvm_vm_destroy(t->vm);
	faults_disarm();
	t->vm = NULL;
	failed = faults_hit();
	if (ret == -ETIMEDOUT)
		fail_msg("the VM hangs after %s failed (call %lu)", failed, nth);
	if (ret) {
		assert_int_not_equal(t->err.kind, LKVM_ERR_NONE);
		assert_true(strlen(t->err.msg) > 5);
		assert_null(strchr(t->err.msg, '\n'));
	} else {
		check_end(t, failed);
		if (t->res.cause == LKVM_CAUSE_POWEROFF)
			scene->check(failed);
	}
	close(fds[0]);
	close(fds[1]);
	scene->unset();
	vmtest_free(t);
	if (count_entries("/proc/self/fd") != n_fds)
		fail_msg("%s failed (call %lu), and a descriptor stayed open", failed, nth);
	if (count_threads(n_threads) != n_threads)
		fail_msg("%s failed (call %lu), and a thread stayed", failed, nth);
	return !failed;
}

static void every_call_fails_once(const struct scene *scene, unsigned int kinds)
{
	unsigned long nth = 1;

	while (!boot(scene, kinds, nth)) {
		nth++;
		assert_true(nth < 2000);
	}
	print_message("# %lu calls, each failed once\n", nth - 1);
	assert_true(nth > 1);
}

static void no_memory(void **state)
{
	(void)state;
	every_call_fails_once(&board, FAULTS_MEMORY);
}

static void no_descriptors(void **state)
{
	(void)state;
	every_call_fails_once(&board, FAULTS_FD);
}

static void no_threads(void **state)
{
	(void)state;
	every_call_fails_once(&board, FAULTS_THREAD);
}

static void reading_fails(void **state)
{
	(void)state;
	every_call_fails_once(&board, FAULTS_READ);
}

static void writing_fails(void **state)
{
	(void)state;
	every_call_fails_once(&board, FAULTS_WRITE);
}

static void the_loop_fails(void **state)
{
	(void)state;
	every_call_fails_once(&board, FAULTS_LOOP);
}

static void elf_files_fail(void **state)
{
	(void)state;
	every_call_fails_once(&elf, FAULTS_ELF);
}

static void virtio_no_memory(void **state)
{
	(void)state;
	every_call_fails_once(&virtio, FAULTS_MEMORY);
}

static void virtio_no_descriptors(void **state)
{
	(void)state;
	every_call_fails_once(&virtio, FAULTS_FD);
}

static void virtio_no_threads(void **state)
{
	(void)state;
	every_call_fails_once(&virtio, FAULTS_THREAD);
}

static void virtio_reading_fails(void **state)
{
	(void)state;
	every_call_fails_once(&virtio, FAULTS_READ);
}

static void virtio_writing_fails(void **state)
{
	(void)state;
	every_call_fails_once(&virtio, FAULTS_WRITE);
}

static void virtio_the_loop_fails(void **state)
{
	(void)state;
	every_call_fails_once(&virtio, FAULTS_LOOP);
}

static void virtio_locks_and_connections_fail(void **state)
{
	(void)state;
	every_call_fails_once(&virtio, FAULTS_CONTROL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_counted_and_the_chosen_one_fails),
		cmocka_unit_test(other_kinds_go_through),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(no_descriptors),
		cmocka_unit_test(no_threads),
		cmocka_unit_test(reading_fails),
		cmocka_unit_test(writing_fails),
		cmocka_unit_test(the_loop_fails),
		cmocka_unit_test(elf_files_fail),
		cmocka_unit_test(virtio_no_memory),
		cmocka_unit_test(virtio_no_descriptors),
		cmocka_unit_test(virtio_no_threads),
		cmocka_unit_test(virtio_reading_fails),
		cmocka_unit_test(virtio_writing_fails),
		cmocka_unit_test(virtio_the_loop_fails),
		cmocka_unit_test(virtio_locks_and_connections_fail),
	};

	return cmocka_run_group_tests_name("every call to the host fails once", tests, NULL, NULL);
}
