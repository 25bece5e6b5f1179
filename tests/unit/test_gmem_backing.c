/*
 * test_gmem_backing.c - what guest memory is made of: back ends, prefault, locks, and memory that
 * only the guest can read.
 *
 * KVM is fakekvm, whose guest_memfd is a memfd: that a real one can be mapped is shown by
 * tests/t3/mem.sh, that the host cannot read private memory by nothing here. Huge pages are
 * whatever the host has, mostly none: then it is the refusal that is tested.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux-uapi/kvm.h"
#include "tests/fakekvm/fakekvm.h"
#include "tests/faults.h"
#include "vmm/gmem.h"
#include "vmm/kvm.h"

#define PAGE ((u64)GMEM_PAGE_SIZE)
#define GPA  (16 * MIB)
#define SIZE (4 * MIB)
#define TOP  ((u64)1 << 32)
#define BOTH (GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)

struct rig {
	struct fakekvm *fk;
	struct kvm_host host;
	struct kvm kvm;
	struct gmem gm;
	struct lkvm_error err;
};

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	r->fk = fakekvm_new(fakekvm_hosts[0]);
	fakekvm_set_cap(r->fk, KVM_CAP_USER_MEMORY2, 1);
	fakekvm_set_cap(r->fk, KVM_CAP_GUEST_MEMFD, 1);
	fakekvm_set_cap(r->fk, KVM_CAP_GUEST_MEMFD_FLAGS, BOTH);
	fakekvm_set_cap(r->fk, KVM_CAP_MEMORY_ATTRIBUTES, KVM_MEMORY_ATTRIBUTE_PRIVATE);
	assert_int_equal(kvm_open(&r->host, fakekvm_backend(r->fk), NULL), 0);
	assert_int_equal(kvm_create_vm(&r->kvm, &r->host, 0, NULL), 0);
	r->gm.backing.kvm = &r->kvm;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	kvm_destroy_vm(&r->kvm);
	gmem_fini(&r->gm);
	kvm_close(&r->host);
	assert_string_equal(fakekvm_complaints(r->fk), "");
	assert_string_equal(fakekvm_leaks(r->fk), "");
	fakekvm_free(r->fk);
	free(r);
	return 0;
}

static void add(struct rig *r, u64 gpa, u64 size)
{
	if (gmem_add(&r->gm, gpa, size, &r->err))
		fail_msg("%s", r->err.msg);
}

static void check_zeroed(const struct gmem *gm, u64 gpa, u64 size)
{
	for (u64 off = 0; off < size; off += PAGE) {
		u8 page[GMEM_PAGE_SIZE], zero[GMEM_PAGE_SIZE] = { 0 };

		assert_int_equal(gmem_read(gm, gpa + off, page, PAGE), 0);
		assert_memory_equal(page, zero, PAGE);
	}
}

/* Pages of the region that are there, as this process has them mapped. */
static u64 resident(const struct gmem_region *r)
{
	u64 n_pages = r->size / PAGE, n = 0;
	u8 *vec = malloc(n_pages);

	assert_non_null(vec);
	assert_int_equal(mincore(r->host, r->size, vec), 0);
	for (u64 i = 0; i < n_pages; i++)
		n += vec[i] & 1;
	free(vec);
	return n * PAGE;
}

/* What /proc/self/smaps says of the region under @key, and in VmFlags whether @flag is there. */
static u64 smaps(const struct gmem_region *r, const char *key, const char *flag, bool *has_flag)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	bool inside = false;
	char line[512];
	u64 kib = 0;

	assert_non_null(f);
	if (has_flag)
		*has_flag = false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start < (uintptr_t)r->host + r->size && (uintptr_t)r->host < end;
		if (!inside)
			continue;
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			kib += strtoull(line + strlen(key) + 1, NULL, 10);
		if (has_flag && !strncmp(line, "VmFlags:", 8) && strstr(line, flag))
			*has_flag = true;
	}
	fclose(f);
	return kib * KIB;
}

/* ---- each of them ----------------------------------------------------------------------- */

static void anonymous_memory_is_nobodys_else(void **state)
{
	struct rig *r = *state;
	unsigned int n_fds = count_fds();

	add(r, GPA, SIZE);
	assert_int_equal(r->gm.regions[0].fd, -1);
	assert_int_equal(r->gm.regions[0].private_fd, -1);
	assert_int_equal(resident(&r->gm.regions[0]), 0);
	assert_int_equal((uintptr_t)r->gm.regions[0].host % (2 * MIB), 0);
	assert_int_equal(count_fds(), n_fds);
	check_zeroed(&r->gm, GPA, SIZE);
}

/* Somebody else who was handed the descriptor sees what is written, and cannot cut it short. */
static void check_shared(struct rig *r, const struct gmem_region *region)
{
	u8 *other = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);
	u8 byte = 0;

	assert_true(other != MAP_FAILED);
	assert_int_equal(gmem_write(&r->gm, region->gpa + PAGE + 1, "x", 1), 0);
	assert_int_equal(other[PAGE + 1], 'x');
	other[region->size - 1] = 'y';
	assert_int_equal(gmem_read(&r->gm, region->gpa + region->size - 1, &byte, 1), 0);
	assert_int_equal(byte, 'y');
	munmap(other, region->size);
}

static void a_memfd_can_be_handed_out_and_not_be_cut(void **state)
{
	struct rig *r = *state;
	struct stat st;

	r->gm.backing.kind = LKVM_MEM_MEMFD;
	add(r, GPA, SIZE);
	add(r, TOP, 2 * MIB);
	check_zeroed(&r->gm, GPA, SIZE);
	for (unsigned int i = 0; i < 2; i++) {
		const struct gmem_region *region = &r->gm.regions[i];

		assert_int_equal(resident(region), i ? 0 : SIZE);
		check_shared(r, region);
		assert_int_equal(fstat(region->fd, &st), 0);
		assert_int_equal(st.st_size, region->size);
		assert_int_equal(ftruncate(region->fd, 0), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(ftruncate(region->fd, 1 << 30), -1);
		assert_int_equal(fcntl(region->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		assert_int_equal((uintptr_t)region->host % (2 * MIB), 0);
	}
	assert_int_not_equal(r->gm.regions[0].fd, r->gm.regions[1].fd);
}

static void what_is_shared_is_a_memfd(void **state)
{
	struct rig *r = *state;

	r->gm.backing.shared = true;
	add(r, GPA, SIZE);
	assert_true(r->gm.regions[0].fd >= 0);
	check_shared(r, &r->gm.regions[0]);
	assert_int_equal(gmem_register(&r->gm, &r->kvm, NULL), 0);
	assert_int_equal(*(u8 *)fakekvm_gpa(r->fk, GPA + PAGE + 1, 1), 'x');
}

static void a_guest_memfd_is_mapped_and_all_of_a_slot(void **state)
{
	struct rig *r = *state;
	char *text;

	r->gm.backing.kind = LKVM_MEM_GUEST_MEMFD;
	add(r, GPA, SIZE);
	add(r, TOP, 2 * MIB);
	check_zeroed(&r->gm, GPA, SIZE);
	check_shared(r, &r->gm.regions[0]);
	check_shared(r, &r->gm.regions[1]);
	assert_int_equal(gmem_register(&r->gm, &r->kvm, &r->err), 0);
	text = fakekvm_transcript(r->fk, "vm");
	assert_non_null(strstr(text, "KVM_CREATE_GUEST_MEMFD size 0x400000 flags 0x3 ="));
	assert_non_null(strstr(text, "KVM_SET_USER_MEMORY_REGION2 slot 1 flags 0x4 gpa 0x100000000 "
				     "size 0x200000 offset 0x0 = 0"));
	assert_null(strstr(text, "KVM_SET_MEMORY_ATTRIBUTES"));
	free(text);
	assert_int_equal(*(u8 *)fakekvm_gpa(r->fk, TOP + PAGE + 1, 1), 'x');
	/* what is not RAM stays anonymous memory */
	assert_int_equal(gmem_add_hidden(&r->gm, GPA + SIZE, PAGE, true, &r->err), 0);
	assert_int_equal(gmem_hidden_show(&r->gm, GPA + SIZE, true, &r->err), 0);
}

static void an_older_kvm_has_no_guest_memfd_to_map(void **state)
{
	static const struct {
		u32 cap;
		int value;
	} older[] = { { KVM_CAP_GUEST_MEMFD_FLAGS, 0 },
		      { KVM_CAP_GUEST_MEMFD_FLAGS, GUEST_MEMFD_FLAG_MMAP },
		      { KVM_CAP_GUEST_MEMFD, 0 },
		      { KVM_CAP_USER_MEMORY2, 0 } };
	struct rig *r = *state;

	r->gm.backing.kind = LKVM_MEM_GUEST_MEMFD;
	for (size_t i = 0; i < ARRAY_SIZE(older); i++) {
		r->err = (struct lkvm_error){ 0 };
		fakekvm_set_cap(r->fk, KVM_CAP_GUEST_MEMFD, 1);
		fakekvm_set_cap(r->fk, KVM_CAP_GUEST_MEMFD_FLAGS, BOTH);
		fakekvm_set_cap(r->fk, older[i].cap, older[i].value);
		assert_int_equal(gmem_add(&r->gm, GPA, SIZE, &r->err), -EOPNOTSUPP);
		assert_int_equal(r->err.kind, LKVM_ERR_UNSUPPORTED);
		assert_non_null(strstr(r->err.msg, "Linux 6.18"));
		assert_int_equal(r->gm.n_regions, 0);
	}
}

/* ---- huge pages --------------------------------------------------------------------------- */

static void only_a_hugetlbfs_is_one(void **state)
{
	static const char *const paths[] = { "/proc", "/tmp", "/dev/null", "/nonexistent" };
	struct rig *r = *state;

	r->gm.backing.kind = LKVM_MEM_HUGETLBFS;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		r->err = (struct lkvm_error){ 0 };
		r->gm.backing.hugetlbfs = paths[i];
		assert_int_equal(gmem_add(&r->gm, GPA, SIZE, &r->err), -EINVAL);
		assert_int_equal(r->err.kind, LKVM_ERR_INPUT);
		assert_non_null(strstr(r->err.msg, "--hugetlbfs /"));
		assert_non_null(strstr(r->err.msg, paths[i]));
	}
}

/* No host has 4 TiB of them free; address space alone is no reason to refuse. */
static void too_few_huge_pages_are_an_error_with_numbers(void **state)
{
	struct rig *r = *state;
	unsigned int n_fds = count_fds();
	unsigned long long need, kib, n_free;
	int n = 0;

	r->gm.backing.kind = LKVM_MEM_HUGETLBFS;
	r->gm.backing.hugetlbfs = "";
	assert_true(gmem_add(&r->gm, GPA, 4096 * GIB, &r->err) < 0);
	assert_int_equal(r->err.kind, LKVM_ERR_UNSUPPORTED);
	assert_non_null(strstr(r->err.msg, "--mem-backend hugetlbfs"));
	if (!strstr(r->err.msg, "has no huge pages")) {
		assert_int_equal(sscanf(r->err.msg,
					"--mem-backend hugetlbfs: huge pages of %llu KiB: memory "
					"at 0x1000000 needs %llu, free are %llu%n",
					&kib, &need, &n_free, &n),
				 3);
		assert_int_not_equal(n, 0);
		assert_int_equal(need * kib, 4096 * GIB / KIB);
		assert_true(n_free < need);
	}
	assert_int_equal(count_fds(), n_fds);
}

static void memory_is_a_multiple_of_huge_pages(void **state)
{
	struct rig *r = *state;

	r->gm.backing.kind = LKVM_MEM_HUGETLBFS;
	assert_true(gmem_add(&r->gm, GPA, SIZE + PAGE, &r->err) < 0);
	if (r->err.kind == LKVM_ERR_UNSUPPORTED) /* the kernel knows none at all */
		assert_non_null(strstr(r->err.msg, "has no huge pages"));
	else
		assert_non_null(strstr(r->err.msg, "--mem: 4100 KiB of guest memory; of huge "
						   "pages it is a multiple of "));
	assert_int_equal(r->gm.n_regions, 0);
}

/* ---- prefault, locks, huge pages that come by themselves --------------------------------- */

static void prefault_takes_all_at_once(void **state)
{
	static const enum lkvm_mem_backend kinds[] = { LKVM_MEM_ANON, LKVM_MEM_MEMFD,
						       LKVM_MEM_GUEST_MEMFD };
	struct rig *r = *state;

	r->gm.backing.prefault = true;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		r->gm.backing.kind = kinds[i];
		add(r, GPA + i * SIZE, SIZE);
		assert_int_equal(resident(&r->gm.regions[i]), SIZE);
		check_zeroed(&r->gm, GPA + i * SIZE, SIZE);
	}
}

static void locked_memory_stays_once_it_was_touched(void **state)
{
	struct rig *r = *state;
	bool locked;

	r->gm.backing.lock = true;
	r->gm.backing.no_thp = true;
	add(r, GPA, 16 * PAGE);
	smaps(&r->gm.regions[0], "Locked", " lo", &locked);
	assert_true(locked);
	assert_int_equal(resident(&r->gm.regions[0]), 0);
	r->gm.backing.prefault = true;
	add(r, TOP, 16 * PAGE);
	smaps(&r->gm.regions[1], "Locked", " lo", &locked);
	assert_true(locked);
	assert_int_equal(resident(&r->gm.regions[1]), 16 * PAGE);
}

/* Runs without the right to lock whatever it likes: root may. */
static void lock_without_the_right(struct rig *r)
{
	const struct rlimit limit = { 64 * KIB, 64 * KIB };

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || (!geteuid() && setuid(65534)))
		_exit(2);
	r->gm.backing.lock = true;
	if (gmem_add(&r->gm, GPA, SIZE, &r->err) >= 0 || r->gm.n_regions)
		_exit(3);
	if (r->err.kind != LKVM_ERR_UNSUPPORTED || !strstr(r->err.msg, "--mem-lock: 4096 KiB"))
		_exit(4);
	_exit(strstr(r->err.msg, "RLIMIT_MEMLOCK (ulimit -l) is 64 KiB") ? 0 : 5);
}

static void a_limit_on_locks_is_named(void **state)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		lock_without_the_right(*state);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void huge_pages_by_themselves_can_be_switched_off(void **state)
{
	struct rig *r = *state;
	bool on, off;

	if (access("/sys/kernel/mm/transparent_hugepage", F_OK))
		skip();
	for (unsigned int i = 0; i < 4; i++) {
		r->gm.backing.kind = i / 2 ? LKVM_MEM_MEMFD : LKVM_MEM_ANON;
		r->gm.backing.no_thp = i % 2;
		add(r, GPA + i * SIZE, SIZE);
		smaps(&r->gm.regions[i], "Rss", " hg", &on);
		smaps(&r->gm.regions[i], "Rss", " nh", &off);
		assert_int_equal(on, i % 2 == 0);
		assert_int_equal(off, i % 2);
	}
	assert_int_equal(gmem_write(&r->gm, GPA + SIZE, "x", 1), 0);
	assert_int_equal(resident(&r->gm.regions[1]), PAGE);
}

/* ---- private memory ----------------------------------------------------------------------- */

#define NOTE_GPA (GPA + 2 * SIZE)
#define ROM_GPA	 (GPA + 3 * SIZE)

static void make_private(struct rig *r)
{
	r->gm.backing.private = true;
	add(r, GPA, SIZE);
	add(r, TOP, SIZE);
	assert_int_equal(gmem_add_hidden(&r->gm, NOTE_GPA, 2 * PAGE, false, &r->err), 0);
	assert_int_equal(gmem_add_hidden(&r->gm, ROM_GPA, PAGE, true, &r->err), 0);
	if (gmem_register(&r->gm, &r->kvm, &r->err))
		fail_msg("%s", r->err.msg);
}

static void convert(struct rig *r, u64 gpa, u64 len, bool private)
{
	if (gmem_convert(&r->gm, gpa, len, private, &r->err))
		fail_msg("%s", r->err.msg);
}

/* Blocks of a file in bytes: what of it is there. */
static u64 allocated(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (u64)st.st_blocks * 512;
}

static void private_memory_is_the_guests_from_the_start(void **state)
{
	struct rig *r = *state;
	char *text;
	u8 byte = 1;

	make_private(r);
	assert_int_equal(fakekvm_private_bytes(r->fk, 0, UINT64_MAX), 2 * SIZE);
	assert_int_equal(fakekvm_private_bytes(r->fk, GPA, SIZE), SIZE);
	text = fakekvm_transcript(r->fk, "vm");
	assert_non_null(strstr(text, "KVM_CREATE_GUEST_MEMFD size 0x400000 flags 0x0 ="));
	assert_non_null(strstr(text, "KVM_SET_USER_MEMORY_REGION2 slot 0 flags 0x4"));
	assert_non_null(strstr(text, "KVM_SET_USER_MEMORY_REGION slot 5 flags 0x2"));
	free(text);

	/* The two sides are two memories. */
	assert_int_equal(gmem_write(&r->gm, GPA, "h", 1), 0);
	*(u8 *)fakekvm_gpa(r->fk, GPA, 1) = 'g';
	assert_int_equal(gmem_read(&r->gm, GPA, &byte, 1), 0);
	assert_int_equal(byte, 'h');
	assert_int_equal(r->gm.regions[0].fd, -1);
	assert_true(r->gm.regions[0].private_fd >= 0);

	/* What is not RAM is shared. */
	assert_int_equal(gmem_hidden_write(&r->gm, NOTE_GPA, "h", 1), 0);
	assert_int_equal(*(u8 *)fakekvm_gpa(r->fk, NOTE_GPA, 1), 'h');
}

static void what_is_converted_is_lost_and_given_back(void **state)
{
	struct rig *r = *state;
	const struct gmem_region *region = &r->gm.regions[0];
	u8 byte;

	r->gm.backing.lock = true;
	make_private(r);
	memset(fakekvm_gpa(r->fk, GPA, SIZE), 'g', SIZE);
	assert_int_equal(allocated(region->private_fd), SIZE);

	convert(r, GPA + PAGE, 3 * PAGE, false);
	assert_int_equal(fakekvm_private_bytes(r->fk, GPA, SIZE), SIZE - 3 * PAGE);
	assert_int_equal(allocated(region->private_fd), SIZE - 3 * PAGE);
	assert_int_equal(gmem_write(&r->gm, GPA + 2 * PAGE, "h", 1), 0);
	assert_int_equal(*(u8 *)fakekvm_gpa(r->fk, GPA + 2 * PAGE, 1), 'h');
	assert_int_equal(resident(region), PAGE);
	assert_int_equal(*(u8 *)fakekvm_gpa(r->fk, GPA + 4 * PAGE, 1), 'g');

	convert(r, GPA, SIZE, true);
	assert_int_equal(fakekvm_private_bytes(r->fk, GPA, SIZE), SIZE);
	assert_int_equal(resident(region), 0);
	assert_int_equal(gmem_read(&r->gm, GPA + 2 * PAGE, &byte, 1), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(*(u8 *)fakekvm_gpa(r->fk, GPA + 2 * PAGE, 1), 0);
	assert_int_equal(*(u8 *)fakekvm_gpa(r->fk, GPA, 1), 'g');
}

static void the_shared_side_can_be_a_memfd(void **state)
{
	struct rig *r = *state;

	r->gm.backing.kind = LKVM_MEM_MEMFD;
	make_private(r);
	convert(r, TOP, SIZE, false);
	assert_int_equal(gmem_zero(&r->gm, TOP, SIZE), 0);
	assert_int_equal(allocated(r->gm.regions[1].fd), SIZE);
	convert(r, TOP, PAGE, true);
	assert_int_equal(allocated(r->gm.regions[1].fd), SIZE - PAGE);
}

static void only_pages_of_private_memory_are_converted(void **state)
{
	static const struct {
		u64 gpa, len;
		int ret;
	} bad[] = {
		{ GPA + 1, PAGE, -EINVAL },
		{ GPA, PAGE + 1, -EINVAL },
		{ GPA, 0, -EINVAL },
		{ GPA - PAGE, PAGE, -EFAULT },
		{ GPA - PAGE, 2 * PAGE, -EFAULT },
		{ GPA, SIZE + PAGE, -EFAULT },
		{ GPA + SIZE, PAGE, -EFAULT },
		{ ROM_GPA, PAGE, -EFAULT },
		{ NOTE_GPA, PAGE, -EFAULT },
		{ UINT64_MAX - PAGE + 1, 2 * PAGE, -EFAULT },
		{ GPA, UINT64_MAX - PAGE + 1, -EFAULT },
	};
	struct rig *r = *state;
	struct rig ordinary = { .kvm = r->kvm };
	unsigned long n_calls;

	make_private(r);
	n_calls = fakekvm_n_calls(r->fk);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		for (int private = 0; private < 2; private ++)
			assert_int_equal(gmem_convert(&r->gm, bad[i].gpa, bad[i].len, private,
						      &r->err),
					 bad[i].ret);
	}
	assert_int_equal(r->err.kind, LKVM_ERR_NONE);
	add(&ordinary, GPA, SIZE);
	ordinary.gm.kvm = &r->kvm;
	assert_int_equal(gmem_convert(&ordinary.gm, GPA, PAGE, true, &r->err), -EFAULT);
	gmem_fini(&ordinary.gm);
	assert_int_equal(fakekvm_n_calls(r->fk), n_calls);
}

static void a_conversion_that_is_broken_off_goes_on(void **state)
{
	struct rig *r = *state;

	make_private(r);
	fakekvm_fail_request(r->fk, KVM_SET_MEMORY_ATTRIBUTES, 1, EINTR);
	convert(r, GPA, PAGE, false);
	fakekvm_fail_request(r->fk, KVM_SET_MEMORY_ATTRIBUTES, 1, EAGAIN);
	convert(r, GPA, PAGE, true);
	fakekvm_fail_request(r->fk, KVM_SET_MEMORY_ATTRIBUTES, 1, ENOMEM);
	assert_int_equal(gmem_convert(&r->gm, GPA, PAGE, false, &r->err), -ENOMEM);
	assert_non_null(strstr(r->err.msg, "0x1000000+0x1000"));
	assert_int_equal(fakekvm_private_bytes(r->fk, GPA, PAGE), PAGE);
}

static int always_interrupted(void *ctx, int fd, unsigned long req, unsigned long arg)
{
	(void)fd, (void)req, (void)arg;
	++*(unsigned int *)ctx;
	return -EINTR;
}

static void one_that_never_gets_done_ends(void **state)
{
	struct rig *r = *state;
	unsigned int n = 0;
	const struct kvm_backend be = { .ioctl = always_interrupted, .ctx = &n };
	const struct kvm busy = { .be = &be };

	make_private(r);
	r->gm.kvm = &busy;
	assert_int_equal(gmem_convert(&r->gm, GPA, PAGE, false, &r->err), -EINTR);
	assert_string_not_equal(r->err.msg, "");
	assert_in_range(n, 2, 1000);
	r->gm.kvm = &r->kvm;
}

static void giving_back_may_fail_and_says_so(void **state)
{
	struct rig *r = *state;

	make_private(r);
	faults_arm(FAULTS_WRITE, 1);
	assert_int_equal(gmem_convert(&r->gm, GPA, PAGE, false, &r->err), -EIO);
	faults_disarm();
	assert_non_null(strstr(r->err.msg, "guest memory 0x1000000+0x1000 made shared"));
}

static void a_kvm_without_private_memory_has_none(void **state)
{
	static const u32 caps[] = { KVM_CAP_USER_MEMORY2, KVM_CAP_GUEST_MEMFD,
				    KVM_CAP_MEMORY_ATTRIBUTES };
	struct rig *r = *state;

	r->gm.backing.private = true;
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		r->err = (struct lkvm_error){ 0 };
		fakekvm_set_cap(r->fk, caps[i], 0);
		assert_int_equal(gmem_add(&r->gm, GPA, SIZE, &r->err), -EOPNOTSUPP);
		assert_int_equal(r->err.kind, LKVM_ERR_UNSUPPORTED);
		assert_non_null(strstr(r->err.msg, "no private memory"));
		fakekvm_set_cap(r->fk, caps[i], KVM_MEMORY_ATTRIBUTE_PRIVATE);
	}
	r->gm.backing.kvm = NULL;
	assert_int_equal(gmem_add(&r->gm, GPA, SIZE, &r->err), -EINVAL);
}

static void prefault_of_private_memory_is_the_guests(void **state)
{
	struct rig *r = *state;

	r->gm.backing.prefault = r->gm.backing.lock = true;
	make_private(r);
	assert_int_equal(allocated(r->gm.regions[0].private_fd), SIZE);
	assert_int_equal(resident(&r->gm.regions[0]), 0);
}

/* ---- what fails --------------------------------------------------------------------------- */

/* Bytes that are mapped in all. */
static u64 address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long long pages;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu", &pages), 1);
	fclose(f);
	return pages * PAGE;
}

/*
 * Two regions and what is hidden, registered; true when nothing failed. A leak of memory is known
 * by its size.
 */
static bool attempt(const struct gmem_backing *b, unsigned int kinds, unsigned long nth,
		    unsigned long nth_kvm)
{
	unsigned int n_fds = count_fds();
	u64 size = address_space();
	struct rig *r;
	bool through;
	void *state;
	int ret;

	setup(&state);
	r = state;
	r->gm.backing = *b;
	r->gm.backing.kvm = &r->kvm;
	if (nth_kvm)
		fakekvm_fail_nth(r->fk, fakekvm_n_calls(r->fk) + nth_kvm, EIO);
	faults_arm(kinds, nth);
	ret = gmem_add(&r->gm, GPA, SIZE, &r->err);
	if (!ret)
		ret = gmem_add(&r->gm, TOP, SIZE, &r->err);
	if (!ret)
		ret = gmem_add_hidden(&r->gm, NOTE_GPA, PAGE, false, &r->err);
	if (!ret)
		ret = gmem_register(&r->gm, &r->kvm, &r->err);
	faults_disarm();
	through = !faults_hit() && !fakekvm_failed_call(r->fk);
	if (ret) {
		assert_int_not_equal(r->err.kind, LKVM_ERR_NONE);
		assert_true(strlen(r->err.msg) > 5);
	}
	/* of huge pages the host may have too few, and say so */
	if (through && b->kind != LKVM_MEM_HUGETLBFS)
		assert_int_equal(ret, 0);
	teardown(&state);
	assert_int_equal(count_fds(), n_fds);
	assert_true(address_space() < size + SIZE);
	return through;
}

static const struct gmem_backing backings[] = {
	{ .kind = LKVM_MEM_ANON, .prefault = true, .lock = true },
	{ .kind = LKVM_MEM_MEMFD, .prefault = true, .lock = true },
	{ .kind = LKVM_MEM_GUEST_MEMFD, .prefault = true, .lock = true },
	{ .kind = LKVM_MEM_HUGETLBFS },
	{ .kind = LKVM_MEM_ANON, .private = true, .prefault = true, .lock = true },
	{ .kind = LKVM_MEM_MEMFD, .private = true, .shared = true },
};

static void every_call_to_the_host_may_fail(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		unsigned long nth = 1;

		while (!attempt(&backings[i], FAULTS_ALL, nth, 0))
			nth++;
		assert_in_range(nth, 3, 100);
	}
}

static void every_call_to_kvm_may_fail(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		unsigned long nth = 1;

		/* huge pages: whether it comes to such calls is the host's affair */
		while (!attempt(&backings[i], 0, 0, nth))
			nth++;
		assert_in_range(nth, backings[i].kind == LKVM_MEM_HUGETLBFS ? 1 : 3, 100);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(anonymous_memory_is_nobodys_else),
		TEST(a_memfd_can_be_handed_out_and_not_be_cut),
		TEST(what_is_shared_is_a_memfd),
		TEST(a_guest_memfd_is_mapped_and_all_of_a_slot),
		TEST(an_older_kvm_has_no_guest_memfd_to_map),
		TEST(only_a_hugetlbfs_is_one),
		TEST(too_few_huge_pages_are_an_error_with_numbers),
		TEST(memory_is_a_multiple_of_huge_pages),
		TEST(prefault_takes_all_at_once),
		TEST(locked_memory_stays_once_it_was_touched),
		TEST(a_limit_on_locks_is_named),
		TEST(huge_pages_by_themselves_can_be_switched_off),
		TEST(private_memory_is_the_guests_from_the_start),
		TEST(what_is_converted_is_lost_and_given_back),
		TEST(the_shared_side_can_be_a_memfd),
		TEST(only_pages_of_private_memory_are_converted),
		TEST(a_conversion_that_is_broken_off_goes_on),
		TEST(one_that_never_gets_done_ends),
		TEST(giving_back_may_fail_and_says_so),
		TEST(a_kvm_without_private_memory_has_none),
		TEST(prefault_of_private_memory_is_the_guests),
		cmocka_unit_test(every_call_to_the_host_may_fail),
		cmocka_unit_test(every_call_to_kvm_may_fail),
	};

	return cmocka_run_group_tests_name("what guest memory is made of", tests, NULL, NULL);
}
