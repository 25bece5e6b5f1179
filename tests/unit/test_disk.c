/*
 * Images of disks: what is opened, what is refused and in which words, and locks.
 *
 * Does not prove anything about block devices, file systems that cannot punch holes, or the lock
 * of an image on a network file system: an unprivileged host has none of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults.h"
#include "vmm/disk.h"

static char dir[64];

/* ---- setting up ---- */

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/lkvm-disk-XXXXXX");
	/* others may enter: some tests drop root's privileges */
	return !mkdtemp(dir) || chmod(dir, 0755);
}

static int remove_dir(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* The file @name of @size bytes, all 0x5a, as an image to be opened. */
static struct lkvm_disk image(const char *name, size_t size)
{
	struct lkvm_disk cfg = { 0 };
	u8 bytes[65536];
	int fd;

	memset(bytes, 0x5a, sizeof(bytes));
	snprintf(cfg.path, sizeof(cfg.path), "%s/%s", dir, name);
	fd = open(cfg.path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	return cfg;
}

static struct lkvm_disk named(const char *path)
{
	struct lkvm_disk cfg = { 0 };

	snprintf(cfg.path, sizeof(cfg.path), "%s", path);
	return cfg;
}

static void opens(struct disk *disk, const struct lkvm_disk *cfg)
{
	struct lkvm_error err = { 0 };

	if (disk_open(disk, cfg, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(err.kind, LKVM_ERR_NONE);
}

/* @cfg is refused as bad input, in one sentence that is "--disk PATH: " and @why. */
static void refused(const struct lkvm_disk *cfg, const char *why)
{
	struct lkvm_error err = { 0 };
	struct disk disk;
	char msg[2048];

	assert_int_equal(disk_open(&disk, cfg, &err), -EINVAL);
	assert_int_equal(disk.fd, -1);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	snprintf(msg, sizeof(msg), "--disk %s: %s", cfg->path, why);
	assert_string_equal(err.msg, msg);
}

static unsigned int count_fds(void)
{
	DIR *fds = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(fds);
	while (readdir(fds))
		n++;
	closedir(fds);
	return n;
}

/* ---- what is opened ---- */

static void a_file_is_a_disk_of_its_size(void **state)
{
	struct lkvm_disk cfg = image("a.img", 12800);
	struct disk disk;
	u8 byte;

	(void)state;
	opens(&disk, &cfg);
	assert_int_equal(disk.size, 12800);
	assert_false(disk.readonly);
	assert_false(disk.discard);
	assert_int_equal(disk.block_size, 512);
	assert_int_equal(disk.physical_size % 512, 0);
	assert_in_range(disk.physical_size, 512, 4096);
	assert_in_range(disk.discard_align, 512, 4096);
	assert_ptr_equal(disk.path, cfg.path);
	assert_int_equal(fcntl(disk.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(disk.fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
	assert_int_equal(pread(disk.fd, &byte, 1, 12799), 1);
	assert_int_equal(byte, 0x5a);
	assert_int_equal(pwrite(disk.fd, &byte, 1, 0), 1);
	disk_close(&disk);
	assert_int_equal(disk.fd, -1);
	disk_close(&disk);
}

static void a_read_only_disk_cannot_be_written(void **state)
{
	struct lkvm_disk cfg = image("a.img", 512);
	struct disk disk;

	(void)state;
	cfg.readonly = true;
	cfg.discard = true;
	opens(&disk, &cfg);
	assert_true(disk.readonly);
	assert_false(disk.discard);
	assert_int_equal(pwrite(disk.fd, "x", 1, 0), -1);
	disk_close(&disk);
}

/* "is in use by ROLE: NAME (pid N)" */
static const char *in_use(const char *role, const char *name, pid_t pid)
{
	static char why[256];

	snprintf(why, sizeof(why), "is in use by %s: %s (pid %d)", role, name, (int)pid);
	return why;
}

static const char *given_twice(void)
{
	static char why[256];
	char name[16];

	prctl(PR_GET_NAME, name);
	snprintf(why, sizeof(why),
		 "is given twice, or to two machines of %s (pid %d); only with ,ro each time", name,
		 (int)getpid());
	return why;
}

static void a_link_leads_to_its_file(void **state)
{
	struct lkvm_disk cfg = image("a.img", 1024), link;
	char path[128];
	struct disk disk;

	(void)state;
	snprintf(path, sizeof(path), "%s/link", dir);
	assert_int_equal(symlink(cfg.path, path), 0);
	link = named(path);
	opens(&disk, &link);
	assert_int_equal(disk.size, 1024);
	refused(&cfg, given_twice());
	disk_close(&disk);
}

static void asking_for_discard_changes_nothing(void **state)
{
	struct lkvm_disk cfg = image("a.img", 3 * 512);
	struct stat before, after;
	u8 bytes[3 * 512 + 1];
	struct disk disk;

	(void)state;
	cfg.discard = true;
	assert_int_equal(stat(cfg.path, &before), 0);
	opens(&disk, &cfg);
	assert_true(disk.discard);
	assert_int_equal(fstat(disk.fd, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_blocks, before.st_blocks);
	assert_int_equal(pread(disk.fd, bytes, sizeof(bytes), 0), sizeof(bytes) - 1);
	for (size_t i = 0; i < sizeof(bytes) - 1; i++)
		assert_int_equal(bytes[i], 0x5a);
	disk_close(&disk);
}

/* Whether a temporary file can be, is the file system's; what must be true differs. */
static void direct_is_past_the_cache_or_refused(void **state)
{
	struct lkvm_disk cfg = image("a.img", 65536);
	struct lkvm_error err = { 0 };
	struct disk disk;
	u8 *buf;

	(void)state;
	cfg.direct = true;
	if (disk_open(&disk, &cfg, &err)) {
		assert_int_equal(err.kind, LKVM_ERR_INPUT);
		assert_non_null(strstr(err.msg, ": direct: its file system has no O_DIRECT"));
		return;
	}
	assert_true(fcntl(disk.fd, F_GETFL) & O_DIRECT);
	assert_in_range(disk.block_size, 512, 65536);
	assert_true(disk.physical_size >= disk.block_size);
	assert_int_equal(disk.discard_align % disk.block_size, 0);
	/* what it says must do, does: the second block, to the least aligned memory */
	buf = aligned_alloc(2 * disk.block_size, 4 * disk.block_size);
	assert_non_null(buf);
	assert_int_equal(pread(disk.fd, buf + disk.block_size, disk.block_size, disk.block_size),
			 disk.block_size);
	assert_int_equal(pwrite(disk.fd, buf + disk.block_size, disk.block_size, disk.block_size),
			 disk.block_size);
	free(buf);
	disk_close(&disk);
}

/* ---- what is not ---- */

static void a_file_that_is_not_there_is_refused(void **state)
{
	struct lkvm_disk cfg = named("/nonexistent/a.img");

	(void)state;
	refused(&cfg, "cannot be opened (No such file or directory)");
}

static void an_empty_file_is_refused(void **state)
{
	struct lkvm_disk cfg = image("a.img", 0);

	(void)state;
	refused(&cfg, "is empty");
}

static void odd_sizes_are_refused(void **state)
{
	struct lkvm_disk cfg;

	(void)state;
	cfg = image("a.img", 1);
	refused(&cfg, "size 1 is not a multiple of 512");
	cfg = image("a.img", 513);
	refused(&cfg, "size 513 is not a multiple of 512");
	cfg = image("a.img", 1023);
	refused(&cfg, "size 1023 is not a multiple of 512");
}

static void what_is_no_disk_is_refused(void **state)
{
	const char *why = "is neither a regular file nor a block device";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct lkvm_disk cfg = named(dir);
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	refused(&cfg, why);
	cfg.readonly = true;
	refused(&cfg, why);
	cfg = named("/dev/null");
	refused(&cfg, why);
	/* does not wait for another end */
	snprintf(cfg.path, sizeof(cfg.path), "%s/fifo", dir);
	assert_int_equal(mkfifo(cfg.path, 0600), 0);
	refused(&cfg, why);
	cfg.readonly = true;
	refused(&cfg, why);
	snprintf(cfg.path, sizeof(cfg.path), "%s/sock", dir);
	memcpy(addr.sun_path, cfg.path, strlen(cfg.path));
	assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	refused(&cfg, why);
	close(sock);
}

static void direct_is_refused_where_there_is_none(void **state)
{
	struct lkvm_disk cfg = named("/proc/version");

	(void)state;
	cfg.readonly = true;
	cfg.direct = true;
	refused(&cfg, "direct: its file system has no O_DIRECT");
}

/* Run @fn in a process of its own, without privileges: true when it came to its end. */
static bool in_child(void (*fn)(const struct lkvm_disk *cfg), const struct lkvm_disk *cfg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		if (!geteuid() && (setgid(65534) || setuid(65534)))
			_exit(2);
		fn(cfg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* cmocka's way out is the parent's: in a child, end. */
static void child_expects(const struct lkvm_disk *cfg, const char *why)
{
	struct lkvm_error err = { 0 };
	struct disk disk;
	char msg[2048];

	snprintf(msg, sizeof(msg), "--disk %s: %s", cfg->path, why);
	if (!disk_open(&disk, cfg, &err) || err.kind != LKVM_ERR_INPUT || strcmp(err.msg, msg)) {
		fprintf(stderr, "\"%s\" instead of \"%s\"\n", err.msg, msg);
		_exit(1);
	}
}

static void open_unwritable(const struct lkvm_disk *cfg)
{
	struct lkvm_disk ro = *cfg;
	struct disk disk;

	child_expects(cfg, "cannot be written (Permission denied); add ,ro to only read it");
	ro.readonly = true;
	if (disk_open(&disk, &ro, NULL))
		_exit(1);
	disk_close(&disk);
}

static void open_unreadable(const struct lkvm_disk *cfg)
{
	struct lkvm_disk ro = *cfg;

	child_expects(cfg, "cannot be opened (Permission denied)");
	ro.readonly = true;
	child_expects(&ro, "cannot be opened (Permission denied)");
}

static void a_file_that_can_only_be_read_wants_ro(void **state)
{
	struct lkvm_disk cfg = image("ro.img", 512);

	(void)state;
	assert_int_equal(chmod(cfg.path, 0444), 0);
	assert_true(in_child(open_unwritable, &cfg));
}

static void a_file_that_cannot_be_read_is_refused(void **state)
{
	struct lkvm_disk cfg = image("secret.img", 512);

	(void)state;
	assert_int_equal(chmod(cfg.path, 0), 0);
	assert_true(in_child(open_unreadable, &cfg));
}

static void a_long_path_leaves_room_for_the_reason(void **state)
{
	struct lkvm_error err = { 0 };
	struct lkvm_disk cfg = { 0 };
	struct disk disk;

	(void)state;
	memset(cfg.path, '/', sizeof(cfg.path) - 2);
	cfg.path[sizeof(cfg.path) - 2] = 'x';
	assert_int_equal(disk_open(&disk, &cfg, &err), -EINVAL);
	assert_int_equal(strncmp(err.msg, "--disk ///", 10), 0);
	assert_non_null(strstr(err.msg, ": cannot be opened (No such file or directory)"));
}

static void a_refused_image_leaves_nothing_behind(void **state)
{
	struct lkvm_disk cfg = image("a.img", 513);
	unsigned int n = count_fds();

	(void)state;
	for (int i = 0; i < 3; i++)
		refused(&cfg, "size 513 is not a multiple of 512");
	assert_int_equal(count_fds(), n);
}

static void whatever_call_fails_there_is_a_message_and_nothing_left(void **state)
{
	struct lkvm_disk cfg = image("a.img", 512);
	unsigned int n = count_fds();
	unsigned long nth = 0;
	bool more = true;

	(void)state;
	cfg.discard = true;
	while (more) {
		struct lkvm_error err = { 0 };
		struct disk disk;
		int ret;

		faults_arm(FAULTS_ALL, ++nth);
		ret = disk_open(&disk, &cfg, &err);
		faults_disarm();
		more = faults_hit();
		assert_int_equal(ret == 0, err.kind == LKVM_ERR_NONE);
		assert_true(!more || ret);
		if (ret)
			assert_int_equal(err.kind, LKVM_ERR_HOST);
		disk_close(&disk);
		assert_int_equal(count_fds(), n);
	}
	assert_true(nth > 2); /* open and fstat at the least */
}

/* ---- locks ---- */

static void two_writers_never_share_an_image(void **state)
{
	struct lkvm_disk cfg = image("a.img", 512);
	struct disk a, b;

	(void)state;
	opens(&a, &cfg);
	refused(&cfg, given_twice());
	disk_close(&a);
	opens(&b, &cfg);
	refused(&cfg, given_twice());
	disk_close(&b);
}

static void a_writer_and_a_reader_never_share_an_image(void **state)
{
	struct lkvm_disk rw = image("a.img", 512), ro = rw;
	struct disk disk;

	(void)state;
	ro.readonly = true;
	opens(&disk, &rw);
	refused(&ro, given_twice());
	disk_close(&disk);
	opens(&disk, &ro);
	refused(&rw, given_twice());
	disk_close(&disk);
}

static void readers_share_an_image(void **state)
{
	struct lkvm_disk cfg = image("a.img", 512);
	struct disk a, b;

	(void)state;
	cfg.readonly = true;
	opens(&a, &cfg);
	opens(&b, &cfg);
	disk_close(&a);
	disk_close(&b);
}

static void other_images_are_free(void **state)
{
	struct lkvm_disk a = image("a.img", 512), b = image("b.img", 512);
	struct disk disk_a, disk_b;

	(void)state;
	opens(&disk_a, &a);
	opens(&disk_b, &b);
	disk_close(&disk_a);
	disk_close(&disk_b);
}

/* A process called @name that has @cfg open until *@end is closed. */
static pid_t hold_in_child(const struct lkvm_disk *cfg, const char *name, int *end)
{
	int ready[2], go[2];
	struct disk disk;
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(go[1]);
		prctl(PR_SET_NAME, name);
		if (disk_open(&disk, cfg, NULL) || write(ready[1], "x", 1) != 1)
			_exit(1);
		_exit(read(go[0], &byte, 1) != 0);
	}
	close(ready[1]);
	close(go[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*end = go[1];
	return pid;
}

static void the_holder_in_another_process_is_named(void **state)
{
	struct lkvm_disk cfg = image("a.img", 512);
	unsigned int n = count_fds();
	struct disk disk;
	int end, status;
	pid_t pid;

	(void)state;
	pid = hold_in_child(&cfg, "lkvm", &end);
	refused(&cfg, in_use("another writer", "lkvm", pid));
	close(end);
	assert_int_equal(count_fds(), n);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	opens(&disk, &cfg);
	disk_close(&disk);
}

static void the_name_of_a_holder_is_printable(void **state)
{
	struct lkvm_disk cfg = image("a.img", 512);
	int end, status;
	pid_t pid;

	(void)state;
	cfg.readonly = true;
	pid = hold_in_child(&cfg, "a\033[2J\nb", &end);
	cfg.readonly = false;
	/* the rest of a name with an end of line in it is not told */
	refused(&cfg, in_use("a reader", "a?[2J", pid));
	close(end);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Other programs lock single bytes of images they use. */
static void a_lock_on_any_byte_is_in_the_way(void **state)
{
	struct lkvm_disk rw = image("a.img", 512), ro = rw;
	struct flock fl = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1 };
	struct disk disk;
	int fd = open(rw.path, O_RDWR | O_CLOEXEC);

	(void)state;
	ro.readonly = true;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	refused(&rw, given_twice());
	opens(&disk, &ro);
	disk_close(&disk);
	fl.l_type = F_WRLCK;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	refused(&ro, given_twice());
	close(fd);
	opens(&disk, &rw);
	disk_close(&disk);
}

/* Of such a lock /proc has no open file to tell. */
static void a_lock_of_a_process_is_refused_without_a_name(void **state)
{
	struct lkvm_disk cfg = image("a.img", 512);
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(cfg.path, O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETLK, &fl), 0);
	refused(&cfg, "is in use by another writer");
	close(fd);
}

static void a_lock_ends_with_its_process(void **state)
{
	struct lkvm_disk cfg = image("a.img", 512);
	struct disk disk;
	int end;
	pid_t pid;

	(void)state;
	pid = hold_in_child(&cfg, "lkvm", &end);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	opens(&disk, &cfg);
	disk_close(&disk);
	close(end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_a_disk_of_its_size),
		cmocka_unit_test(a_read_only_disk_cannot_be_written),
		cmocka_unit_test(a_link_leads_to_its_file),
		cmocka_unit_test(asking_for_discard_changes_nothing),
		cmocka_unit_test(direct_is_past_the_cache_or_refused),
		cmocka_unit_test(a_file_that_is_not_there_is_refused),
		cmocka_unit_test(an_empty_file_is_refused),
		cmocka_unit_test(odd_sizes_are_refused),
		cmocka_unit_test(what_is_no_disk_is_refused),
		cmocka_unit_test(direct_is_refused_where_there_is_none),
		cmocka_unit_test(a_file_that_can_only_be_read_wants_ro),
		cmocka_unit_test(a_file_that_cannot_be_read_is_refused),
		cmocka_unit_test(a_long_path_leaves_room_for_the_reason),
		cmocka_unit_test(a_refused_image_leaves_nothing_behind),
		cmocka_unit_test(whatever_call_fails_there_is_a_message_and_nothing_left),
		cmocka_unit_test(two_writers_never_share_an_image),
		cmocka_unit_test(a_writer_and_a_reader_never_share_an_image),
		cmocka_unit_test(readers_share_an_image),
		cmocka_unit_test(other_images_are_free),
		cmocka_unit_test(the_holder_in_another_process_is_named),
		cmocka_unit_test(the_name_of_a_holder_is_printable),
		cmocka_unit_test(a_lock_on_any_byte_is_in_the_way),
		cmocka_unit_test(a_lock_of_a_process_is_refused_without_a_name),
		cmocka_unit_test(a_lock_ends_with_its_process),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
