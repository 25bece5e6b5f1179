/*
 * test_gmem.c - guest memory: ranges, views that rings live in, vectors that I/O goes through, and
 * memory that is not RAM.
 *
 * Does not prove that the accessors are atomic beside a running guest, nor what KVM makes of
 * the regions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "linux-uapi/kvm.h"
#include "tests/faults.h"
#include "vmm/gmem.h"
#include "vmm/kvm.h"

#define PAGE ((u64)GMEM_PAGE_SIZE)

/* Two regions that touch and one apart, so that every kind of border is there. */
#define LOW_GPA	 PAGE
#define LOW_SIZE (4 * PAGE)
#define MID_GPA	 (LOW_GPA + LOW_SIZE)
#define MID_SIZE (2 * PAGE)
#define TOP_GPA	 ((u64)1 << 32)
#define TOP_SIZE (2 * PAGE)

static int setup(void **state)
{
	struct gmem *gm = calloc(1, sizeof(*gm));

	assert_int_equal(gmem_add(gm, LOW_GPA, LOW_SIZE, NULL), 0);
	assert_int_equal(gmem_add(gm, MID_GPA, MID_SIZE, NULL), 0);
	assert_int_equal(gmem_add(gm, TOP_GPA, TOP_SIZE, NULL), 0);
	*state = gm;
	return 0;
}

static int teardown(void **state)
{
	gmem_fini(*state);
	free(*state);
	return 0;
}

struct range {
	u64 gpa, len;
};

static const struct range outside[] = {
	{ LOW_GPA - 1, 1 },
	{ LOW_GPA - 1, 2 },
	{ LOW_GPA + LOW_SIZE - 1, 2 }, /* would go on in the next region */
	{ MID_GPA + MID_SIZE - 1, 2 },
	{ MID_GPA + MID_SIZE, 1 },
	{ LOW_GPA, LOW_SIZE + 1 },
	{ TOP_GPA + TOP_SIZE, 1 },
	{ TOP_GPA + TOP_SIZE - 1, UINT32_MAX },
	{ UINT64_MAX, 1 },
	{ UINT64_MAX - 1, 2 },
	{ UINT64_MAX - PAGE + 1, UINT32_MAX }, /* wraps around to RAM */
};

static const struct range inside[] = {
	{ LOW_GPA, 1 },
	{ LOW_GPA, LOW_SIZE },
	{ LOW_GPA + LOW_SIZE - 1, 1 },
	{ MID_GPA, MID_SIZE },
	{ TOP_GPA, TOP_SIZE },
	{ TOP_GPA + TOP_SIZE - 1, 1 },
	{ LOW_GPA + PAGE - 3, 6 },
};

static void all_of_a_range_is_ram_or_none_is_touched(void **state)
{
	static u8 buf[4 * GMEM_PAGE_SIZE + 1], zero[sizeof(buf)];
	struct gmem *gm = *state;

	for (unsigned int i = 0; i < ARRAY_SIZE(outside); i++) {
		const struct range *r = &outside[i];

		assert_false(gmem_contains(gm, r->gpa, r->len));
		memset(buf, 0xaa, sizeof(buf));
		assert_int_equal(gmem_write(gm, r->gpa, buf, r->len), -EFAULT);
		assert_int_equal(gmem_zero(gm, r->gpa, r->len), -EFAULT);
		assert_int_equal(gmem_read(gm, r->gpa, buf, r->len), -EFAULT);
		assert_int_equal(buf[0], 0xaa);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(inside); i++) {
		const struct range *r = &inside[i];

		assert_true(gmem_contains(gm, r->gpa, r->len));
		/* Nothing of what was refused got there. */
		assert_int_equal(gmem_read(gm, r->gpa, buf, r->len), 0);
		assert_memory_equal(buf, zero, r->len);
	}
	memset(buf, 0x55, sizeof(buf));
	assert_int_equal(gmem_write(gm, TOP_GPA, buf, TOP_SIZE), 0);
	assert_int_equal(gmem_zero(gm, TOP_GPA, TOP_SIZE), 0);
	assert_int_equal(gmem_read(gm, TOP_GPA, buf, TOP_SIZE), 0);
	assert_memory_equal(buf, zero, TOP_SIZE);
}

static void nothing_is_fine_anywhere(void **state)
{
	struct gmem *gm = *state;

	assert_int_equal(gmem_read(gm, UINT64_MAX, NULL, 0), 0);
	assert_int_equal(gmem_write(gm, 0, NULL, 0), 0);
	assert_int_equal(gmem_zero(gm, 0, 0), 0);
	assert_int_equal(gmem_read_file(gm, 0, -1, 0, 0), 0);
}

static void regions_are_ascending_and_few(void **state)
{
	struct gmem *gm = *state;

	assert_int_equal(gmem_ram_size(gm), LOW_SIZE + MID_SIZE + TOP_SIZE);
	assert_int_equal(gmem_add(gm, TOP_GPA, PAGE, NULL), -EINVAL);
	assert_int_equal(gmem_add(gm, TOP_GPA + TOP_SIZE, 0, NULL), -EINVAL);
	assert_int_equal(gmem_add(gm, TOP_GPA + TOP_SIZE + 1, PAGE, NULL), -EINVAL);
	assert_int_equal(gmem_add(gm, UINT64_MAX - PAGE + 1, PAGE, NULL), -EINVAL);
	assert_int_equal(gmem_add(gm, TOP_GPA + TOP_SIZE, PAGE, NULL), 0);
	assert_int_equal(gmem_add(gm, 2 * TOP_GPA, PAGE, NULL), -EINVAL);
}

/* ---- views ---------------------------------------------------------------------------- */

static void a_view_is_made_of_aligned_ram_only(void **state)
{
	struct gmem *gm = *state;
	struct gmem_view v;

	for (unsigned int i = 0; i < ARRAY_SIZE(outside); i++) {
		assert_int_equal(gmem_view_init(&v, gm, outside[i].gpa, (u32)outside[i].len, 1),
				 -EFAULT);
		assert_int_equal(v.len, 0);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(inside); i++) {
		assert_int_equal(gmem_view_init(&v, gm, inside[i].gpa, (u32)inside[i].len, 1), 0);
		assert_int_equal(v.len, inside[i].len);
	}
	assert_int_equal(gmem_view_init(&v, gm, LOW_GPA + 8, 16, 16), -EINVAL);
	assert_int_equal(gmem_view_init(&v, gm, LOW_GPA + 1, 16, 2), -EINVAL);
	assert_int_equal(v.len, 0);
	assert_int_equal(gmem_view_init(&v, gm, LOW_GPA + 16, 16, 16), 0);
}

static void a_view_shows_memory_as_little_endian(void **state)
{
	struct gmem *gm = *state;
	struct gmem_view v;
	u8 bytes[8] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 }, back[8];

	assert_int_equal(gmem_write(gm, LOW_GPA + 64, bytes, 8), 0);
	assert_int_equal(gmem_view_init(&v, gm, LOW_GPA + 64, 8, 4), 0);
	assert_int_equal(gmem_view_get16(&v, 0), 0x2211);
	assert_int_equal(gmem_view_get16_acquire(&v, 6), 0x8877);
	gmem_view_put16(&v, 0, 0xa1b2);
	gmem_view_put16_release(&v, 2, 0xc3d4);
	gmem_view_put32(&v, 4, 0x01020304);
	gmem_view_read(&v, 0, back, 8);
	assert_memory_equal(back, "\xb2\xa1\xd4\xc3\x04\x03\x02\x01", 8);
	assert_int_equal(gmem_read(gm, LOW_GPA + 64, bytes, 8), 0);
	assert_memory_equal(bytes, back, 8);
}

static void nothing_outside_a_view_is_read_or_written(void **state)
{
	static const u32 beyond[] = { 7, 8, 9, 4096, UINT32_MAX - 1, UINT32_MAX };
	struct gmem *gm = *state;
	struct gmem_view v;
	u8 around[24], back[8];

	memset(around, 0xee, sizeof(around));
	assert_int_equal(gmem_write(gm, LOW_GPA, around, sizeof(around)), 0);
	assert_int_equal(gmem_view_init(&v, gm, LOW_GPA + 8, 8, 8), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(beyond); i++) {
		assert_int_equal(gmem_view_get16(&v, beyond[i]), 0);
		assert_int_equal(gmem_view_get16_acquire(&v, beyond[i]), 0);
		gmem_view_put16(&v, beyond[i], 0x1234);
		gmem_view_put16_release(&v, beyond[i], 0x1234);
		gmem_view_put32(&v, beyond[i], 0x12345678);
		memset(back, 0x77, sizeof(back));
		gmem_view_read(&v, beyond[i], back, 2);
		assert_memory_equal(back, "\0\0\x77", 3);
	}
	gmem_view_put32(&v, 6, 0x12345678);
	gmem_view_read(&v, 4, back, 5);
	assert_memory_equal(back, "\0\0\0\0\0", 5);
	assert_int_equal(gmem_read(gm, LOW_GPA, around, sizeof(around)), 0);
	for (unsigned int i = 0; i < sizeof(around); i++)
		assert_int_equal(around[i], 0xee);

	/* One that could not be made. */
	assert_int_equal(gmem_view_init(&v, gm, 0, 8, 8), -EFAULT);
	assert_int_equal(gmem_view_get16(&v, 0), 0);
	gmem_view_put32(&v, 0, 1);
}

/* ---- vectors -------------------------------------------------------------------------- */

/* The stream "0123456789abcdefghij" in pieces of 4, 1, 8 and 7 bytes, in no order of addresses. */
#define STREAM "0123456789abcdefghij"

struct stream {
	struct gmem_vec vec;
	struct iovec iov[8], tail_iov[8];
};

static const struct range stream_pieces[] = {
	{ MID_GPA + 100, 4 },
	{ LOW_GPA + 7, 1 },
	{ TOP_GPA + TOP_SIZE - 8, 8 },
	{ LOW_GPA + 4090, 7 },
};

static void stream_init(struct stream *s, const struct gmem *gm)
{
	const char *from = STREAM;

	s->vec = (struct gmem_vec){ .iov = s->iov };
	for (unsigned int i = 0; i < ARRAY_SIZE(stream_pieces); i++) {
		const struct range *r = &stream_pieces[i];

		assert_int_equal(gmem_write(gm, r->gpa, from, r->len), 0);
		assert_int_equal(gmem_vec_add(&s->vec, gm, r->gpa, (u32)r->len), 0);
		from += r->len;
	}
	assert_int_equal(s->vec.len, strlen(STREAM));
	assert_int_equal(s->vec.n, ARRAY_SIZE(stream_pieces));
}

static void check_stream(const struct gmem_vec *vec, const char *want, size_t len)
{
	char buf[32];
	size_t sum = 0;

	assert_int_equal(vec->len, len);
	assert_true(gmem_vec_read(vec, 0, buf, len));
	assert_memory_equal(buf, want, len);
	assert_false(gmem_vec_read(vec, 0, buf, len + 1));
	for (unsigned int i = 0; i < vec->n; i++) {
		assert_int_not_equal(vec->iov[i].iov_len, 0);
		sum += vec->iov[i].iov_len;
	}
	assert_int_equal(sum, len);
}

static void only_ram_becomes_a_piece_of_a_vector(void **state)
{
	struct gmem *gm = *state;
	struct stream s;

	stream_init(&s, gm);
	for (unsigned int i = 0; i < ARRAY_SIZE(outside); i++)
		assert_int_equal(gmem_vec_add(&s.vec, gm, outside[i].gpa, (u32)outside[i].len),
				 -EFAULT);
	assert_int_equal(gmem_vec_add(&s.vec, gm, LOW_GPA, 0), -EFAULT);
	check_stream(&s.vec, STREAM, 20);
	for (unsigned int i = 0; i < ARRAY_SIZE(inside); i++) {
		s.vec = (struct gmem_vec){ .iov = s.iov };
		assert_int_equal(gmem_vec_add(&s.vec, gm, inside[i].gpa, (u32)inside[i].len), 0);
		assert_int_equal(s.vec.len, inside[i].len);
	}
}

static void a_vector_is_never_longer_than_32_bits_can_say(void **state)
{
	struct gmem big = { 0 };
	struct iovec iov[3];
	struct gmem_vec vec = { .iov = iov };

	(void)state;
	/* Nothing of it is touched. */
	assert_int_equal(gmem_add(&big, 0, 4 * GIB, NULL), 0);
	assert_int_equal(gmem_vec_add(&vec, &big, 0, 0xfffffff0), 0);
	assert_int_equal(gmem_vec_add(&vec, &big, 0, 0x10), -EOVERFLOW);
	assert_int_equal(gmem_vec_add(&vec, &big, 0, UINT32_MAX), -EOVERFLOW);
	assert_int_equal(vec.n, 1);
	assert_int_equal(gmem_vec_add(&vec, &big, 0, 0xf), 0);
	assert_int_equal(gmem_vec_add(&vec, &big, 0, 1), -EOVERFLOW);
	assert_int_equal(vec.len, UINT32_MAX);
	gmem_fini(&big);
}

static void every_part_of_a_stream_can_be_copied_out_and_in(void **state)
{
	struct gmem *gm = *state;
	char buf[32], model[32] = STREAM;
	struct stream s;

	stream_init(&s, gm);
	for (size_t off = 0; off <= 20; off++) {
		for (size_t len = 0; len <= 20 - off; len++) {
			char mark = (char)('A' + (off + len) % 26);

			assert_true(gmem_vec_read(&s.vec, off, buf, len));
			assert_memory_equal(buf, model + off, len);
			memset(model + off, mark, len);
			memset(buf, mark, len);
			assert_true(gmem_vec_write(&s.vec, off, buf, len));
			check_stream(&s.vec, model, 20);
			memcpy(model, STREAM, 20);
			assert_true(gmem_vec_write(&s.vec, 0, STREAM, 20));
		}
	}
}

static void what_a_stream_does_not_hold_is_not_copied_in_part(void **state)
{
	static const struct {
		size_t off, len;
	} bad[] = { { 0, 21 },	     { 20, 1 },	      { 21, 0 },       { 1, 20 },
		    { SIZE_MAX, 1 }, { SIZE_MAX, 2 }, { 1, SIZE_MAX }, { 21, SIZE_MAX } };
	struct gmem *gm = *state;
	char buf[32] = "unchanged";
	struct stream s;

	stream_init(&s, gm);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(gmem_vec_read(&s.vec, bad[i].off, buf, bad[i].len));
		assert_string_equal(buf, "unchanged");
		assert_false(gmem_vec_write(&s.vec, bad[i].off, buf, bad[i].len));
	}
	check_stream(&s.vec, STREAM, 20);
}

static void an_empty_stream_holds_nothing(void **state)
{
	struct gmem_vec none = { 0 }, tail = { 0 };
	char byte;

	(void)state;
	assert_true(gmem_vec_read(&none, 0, &byte, 0));
	assert_false(gmem_vec_read(&none, 0, &byte, 1));
	assert_true(gmem_vec_drop(&none, 0));
	assert_false(gmem_vec_drop(&none, 1));
	assert_true(gmem_vec_split(&none, 0, NULL));
	assert_true(gmem_vec_split(&none, 0, &tail));
	assert_int_equal(tail.n, 0);
	assert_int_equal(tail.len, 0);
	assert_false(gmem_vec_split(&none, 1, NULL));
}

static void a_stream_loses_its_front_at_any_place(void **state)
{
	struct gmem *gm = *state;
	struct stream s;

	for (size_t len = 0; len <= 20; len++) {
		stream_init(&s, gm);
		assert_true(gmem_vec_drop(&s.vec, len));
		check_stream(&s.vec, &STREAM[len], 20 - len);
		assert_false(gmem_vec_drop(&s.vec, 21 - len));
		check_stream(&s.vec, &STREAM[len], 20 - len);
	}
	/* Bit by bit. */
	stream_init(&s, gm);
	for (size_t len = 0; len < 20; len++) {
		check_stream(&s.vec, &STREAM[len], 20 - len);
		assert_true(gmem_vec_drop(&s.vec, 1));
	}
	assert_int_equal(s.vec.n, 0);
}

static void a_stream_is_cut_in_two_at_any_place(void **state)
{
	struct gmem *gm = *state;
	struct gmem_vec tail;
	struct stream s;

	for (size_t len = 0; len <= 20; len++) {
		stream_init(&s, gm);
		tail = (struct gmem_vec){ .iov = s.tail_iov, .n = 77, .len = 99 };
		assert_true(gmem_vec_split(&s.vec, len, &tail));
		assert_ptr_equal(tail.iov, s.tail_iov);
		check_stream(&s.vec, STREAM, len);
		check_stream(&tail, &STREAM[len], 20 - len);

		stream_init(&s, gm);
		assert_true(gmem_vec_split(&s.vec, len, NULL));
		check_stream(&s.vec, STREAM, len);
	}
	stream_init(&s, gm);
	tail = (struct gmem_vec){ .iov = s.tail_iov, .n = 77 };
	assert_false(gmem_vec_split(&s.vec, 21, &tail));
	assert_int_equal(tail.n, 77);
	check_stream(&s.vec, STREAM, 20);
}

static void a_stream_goes_through_a_descriptor(void **state)
{
	struct gmem *gm = *state;
	struct stream s;
	char buf[32];
	int fds[2];

	stream_init(&s, gm);
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(gmem_vec_readv(&s.vec, fds[0]), -EAGAIN);
	assert_int_equal(gmem_vec_writev(&s.vec, fds[1]), 20);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 20);
	assert_memory_equal(buf, STREAM, 20);
	assert_int_equal(write(fds[1], "KLMNOPQ", 7), 7);
	assert_int_equal(gmem_vec_readv(&s.vec, fds[0]), 7);
	check_stream(&s.vec, "KLMNOPQ789abcdefghij", 20);
	close(fds[1]);
	assert_int_equal(gmem_vec_readv(&s.vec, fds[0]), 0);
	close(fds[0]);
	assert_int_equal(gmem_vec_readv(&s.vec, -1), -EBADF);
	assert_int_equal(gmem_vec_writev(&s.vec, -1), -EBADF);
}

static void more_pieces_than_the_host_takes_go_in_part(void **state)
{
	static struct iovec iov[IOV_MAX + 10];
	struct gmem *gm = *state;
	struct gmem_vec vec = { .iov = iov };
	int fds[2];

	for (unsigned int i = 0; i < ARRAY_SIZE(iov); i++)
		assert_int_equal(gmem_vec_add(&vec, gm, LOW_GPA + i, 1), 0);
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(gmem_vec_writev(&vec, fds[1]), IOV_MAX);
	assert_int_equal(gmem_vec_readv(&vec, fds[0]), IOV_MAX);
	close(fds[0]);
	close(fds[1]);
}

/* ---- files and want of memory ----------------------------------------------------------- */

static void a_file_is_read_into_ram_or_says_why_not(void **state)
{
	struct gmem *gm = *state;
	char path[] = "/tmp/lkvm-test-gmem.XXXXXX", buf[8];
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, "0123456789", 10), 10);
	assert_int_equal(gmem_read_file(gm, TOP_GPA + TOP_SIZE - 8, fd, 2, 8), 0);
	assert_int_equal(gmem_read(gm, TOP_GPA + TOP_SIZE - 8, buf, 8), 0);
	assert_memory_equal(buf, "23456789", 8);
	assert_int_equal(gmem_read_file(gm, TOP_GPA + TOP_SIZE - 8, fd, 0, 9), -EFAULT);
	assert_int_equal(gmem_read_file(gm, LOW_GPA, fd, 3, 8), -ENODATA);
	assert_int_equal(gmem_read_file(gm, LOW_GPA, fd, INT64_MAX, 8), -EOVERFLOW);
	assert_int_equal(gmem_read_file(gm, LOW_GPA, -1, 0, 8), -EBADF);
	close(fd);
}

static void want_of_memory_is_told_and_changes_nothing(void **state)
{
	struct gmem *gm = *state;
	struct lkvm_error err = { 0 };
	int ret;

	faults_arm(FAULTS_MEMORY, 1);
	ret = gmem_add(gm, 2 * TOP_GPA, 8 * MIB, &err);
	faults_disarm();
	assert_int_equal(ret, -ENOMEM);
	assert_string_equal(err.msg, "guest memory: cannot map 8 MiB: Cannot allocate memory");
	assert_int_equal(gmem_ram_size(gm), LOW_SIZE + MID_SIZE + TOP_SIZE);
	assert_int_equal(gmem_add(gm, 2 * TOP_GPA, 8 * MIB, &err), 0);
}

/* ---- hidden ----------------------------------------------------------------------------- */

#define ROM_GPA	  (16 * MIB)
#define ROM_SIZE  (2 * PAGE)
#define NOTE_GPA  (32 * MIB)
#define NOTE_SIZE PAGE

/* A KVM that remembers its slots. */
static struct {
	struct kvm_userspace_memory_region slots[8];
	unsigned int n_calls;
	int ret;
	bool no_readonly;
} k;

static int play_ioctl(void *ctx, int fd, unsigned long req, unsigned long arg)
{
	const struct kvm_userspace_memory_region *slot = (const void *)arg;

	(void)ctx, (void)fd;
	if (req == KVM_CHECK_EXTENSION)
		return arg == KVM_CAP_READONLY_MEM && !k.no_readonly;
	assert_int_equal(req, KVM_SET_USER_MEMORY_REGION);
	assert_in_range(slot->slot, 0, ARRAY_SIZE(k.slots) - 1);
	k.n_calls++;
	if (k.ret)
		return k.ret;
	k.slots[slot->slot] = *slot;
	return 0;
}

static const struct kvm_backend backend = { .ioctl = play_ioctl };
static const struct kvm kvm = { .be = &backend };

/* The slot at @gpa; NULL: the guest has nothing there. */
static const struct kvm_userspace_memory_region *slot_at(u64 gpa)
{
	for (size_t i = 0; i < ARRAY_SIZE(k.slots); i++) {
		if (k.slots[i].memory_size && k.slots[i].guest_phys_addr == gpa)
			return &k.slots[i];
	}
	return NULL;
}

static int setup_hidden(void **state)
{
	memset(&k, 0, sizeof(k));
	setup(state);
	assert_int_equal(gmem_add_hidden(*state, ROM_GPA, ROM_SIZE, true, NULL), 0);
	assert_int_equal(gmem_add_hidden(*state, NOTE_GPA, NOTE_SIZE, false, NULL), 0);
	return 0;
}

static void hidden_memory_is_not_ram(void **state)
{
	struct gmem *gm = *state;
	struct iovec iov[1];
	struct gmem_vec vec = { .iov = iov };
	struct gmem_view view;
	u8 buf[8] = { 0 };

	assert_int_equal(gmem_ram_size(gm), LOW_SIZE + MID_SIZE + TOP_SIZE);
	assert_int_equal(gm->n_regions, 3);
	assert_false(gmem_contains(gm, ROM_GPA, 1));
	assert_int_equal(gmem_read(gm, ROM_GPA, buf, 8), -EFAULT);
	assert_int_equal(gmem_write(gm, NOTE_GPA, buf, 8), -EFAULT);
	assert_int_equal(gmem_zero(gm, NOTE_GPA, 8), -EFAULT);
	assert_int_equal(gmem_read_file(gm, ROM_GPA, -1, 0, 8), -EFAULT);
	assert_int_equal(gmem_view_init(&view, gm, NOTE_GPA, 8, 8), -EFAULT);
	assert_int_equal(gmem_vec_add(&vec, gm, NOTE_GPA, 8), -EFAULT);
}

static void its_owner_reaches_hidden_memory_and_no_other(void **state)
{
	static const struct range not_hidden[] = {
		{ ROM_GPA - 1, 2 },	   { ROM_GPA + ROM_SIZE - 1, 2 },
		{ ROM_GPA, ROM_SIZE + 1 }, { LOW_GPA, 1 },
		{ UINT64_MAX, 2 },	   { NOTE_GPA + NOTE_SIZE, 1 },
		{ NOTE_GPA - 1, PAGE },
	};
	struct gmem *gm = *state;
	struct iovec iov[2];
	struct gmem_vec vec = { .iov = iov };
	static u8 buf[2 * GMEM_PAGE_SIZE + 1];
	int fd = memfd_create("f", MFD_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(not_hidden); i++) {
		const struct range *r = &not_hidden[i];

		assert_int_equal(gmem_hidden_read(gm, r->gpa, buf, r->len), -EFAULT);
		assert_int_equal(gmem_hidden_write(gm, r->gpa, buf, r->len), -EFAULT);
		assert_int_equal(gmem_hidden_read_file(gm, r->gpa, fd, 0, r->len), -EFAULT);
		assert_int_equal(gmem_hidden_vec_add(&vec, gm, r->gpa, (u32)r->len), -EFAULT);
	}
	assert_int_equal(vec.n, 0);
	assert_int_equal(pwrite(fd, "0123456789", 10, 0), 10);
	assert_int_equal(gmem_hidden_read_file(gm, ROM_GPA + ROM_SIZE - 8, fd, 2, 8), 0);
	assert_int_equal(gmem_hidden_read_file(gm, ROM_GPA, fd, 3, 8), -ENODATA);
	assert_int_equal(gmem_hidden_write(gm, ROM_GPA + ROM_SIZE - 8, "ab", 2), 0);
	assert_int_equal(gmem_hidden_read(gm, ROM_GPA + ROM_SIZE - 8, buf, 8), 0);
	assert_memory_equal(buf, "ab456789", 8);
	assert_int_equal(gmem_hidden_vec_add(&vec, gm, ROM_GPA + ROM_SIZE - 4, 4), 0);
	assert_true(gmem_vec_read(&vec, 0, buf, 4));
	assert_memory_equal(buf, "6789", 4);
	close(fd);
}

static void hidden_memory_overlaps_nothing(void **state)
{
	static const struct range bad[] = {
		{ LOW_GPA, PAGE },
		{ LOW_GPA - PAGE, 2 * PAGE },
		{ TOP_GPA + TOP_SIZE - PAGE, 4 * PAGE },
		{ ROM_GPA + ROM_SIZE - PAGE, PAGE },
		{ ROM_GPA - PAGE, 8 * PAGE },
		{ NOTE_GPA, 0 },
		{ NOTE_GPA, PAGE + 1 },
		{ NOTE_GPA + 1, PAGE },
		{ UINT64_MAX - PAGE + 1, PAGE },
	};
	struct gmem *gm = *state;

	assert_int_equal(gmem_add_hidden(gm, ROM_GPA, ROM_SIZE, true, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct lkvm_error err = { 0 };

		assert_int_equal(gmem_add_hidden(gm, bad[i].gpa, bad[i].len, true, &err), -EINVAL);
		assert_string_not_equal(err.msg, "");
	}
	assert_int_equal(gmem_add_hidden(gm, NOTE_GPA, PAGE, true, NULL), 0);
	assert_int_equal(gmem_add_hidden(gm, NOTE_GPA + PAGE, PAGE, true, NULL),
			 -EINVAL); /* full */
}

static void kvm_is_told_of_hidden_memory_as_of_ram(void **state)
{
	struct gmem *gm = *state;
	u8 byte = 7;

	assert_int_equal(gmem_register(gm, &kvm, NULL), 0);
	assert_int_equal(k.n_calls, 5);
	assert_int_equal(slot_at(LOW_GPA)->flags, 0);
	assert_int_equal(slot_at(ROM_GPA)->flags, KVM_MEM_READONLY);
	assert_int_equal(slot_at(ROM_GPA)->memory_size, ROM_SIZE);
	assert_int_equal(slot_at(NOTE_GPA)->flags, 0);
	assert_int_equal(gmem_hidden_write(gm, NOTE_GPA, &byte, 1), 0);
	assert_int_equal(*(u8 *)(uintptr_t)slot_at(NOTE_GPA)->userspace_addr, 7);
}

static void what_is_added_later_is_shown_by_its_owner(void **state)
{
	struct gmem *gm = *state;

	memset(&k, 0, sizeof(k));
	assert_int_equal(gmem_register(gm, &kvm, NULL), 0);
	assert_int_equal(gmem_add_hidden(gm, ROM_GPA, ROM_SIZE, true, NULL), 0);
	assert_null(slot_at(ROM_GPA));
	assert_int_equal(gmem_hidden_show(gm, ROM_GPA, true, NULL), 0);
	assert_int_equal(slot_at(ROM_GPA)->flags, KVM_MEM_READONLY);
}

static void hidden_memory_comes_and_goes_with_its_contents(void **state)
{
	struct gmem *gm = *state;
	u32 was;
	u8 buf[2];

	assert_int_equal(gmem_register(gm, &kvm, NULL), 0);
	was = slot_at(ROM_GPA)->slot;
	assert_int_equal(gmem_hidden_write(gm, ROM_GPA, "ab", 2), 0);
	k.n_calls = 0;
	assert_int_equal(gmem_hidden_show(gm, ROM_GPA, true, NULL), 0);
	assert_int_equal(k.n_calls, 0);
	assert_int_equal(gmem_hidden_show(gm, ROM_GPA, false, NULL), 0);
	assert_int_equal(gmem_hidden_show(gm, ROM_GPA, false, NULL), 0);
	assert_int_equal(k.n_calls, 1);
	assert_null(slot_at(ROM_GPA));
	assert_non_null(slot_at(NOTE_GPA));
	assert_int_equal(gmem_hidden_read(gm, ROM_GPA, buf, 2), 0);
	assert_memory_equal(buf, "ab", 2);
	assert_int_equal(gmem_hidden_show(gm, ROM_GPA, true, NULL), 0);
	assert_int_equal(slot_at(ROM_GPA)->slot, was);
	assert_int_equal(gmem_hidden_show(gm, ROM_GPA + PAGE, false, NULL), -ENOENT);
}

static void a_kvm_that_refuses_leaves_hidden_memory_as_it_was(void **state)
{
	struct gmem *gm = *state;
	struct lkvm_error err = { 0 };

	assert_int_equal(gmem_register(gm, &kvm, NULL), 0);
	k.ret = -ENOMEM;
	assert_int_equal(gmem_hidden_show(gm, ROM_GPA, false, &err), -ENOMEM);
	assert_string_not_equal(err.msg, "");
	assert_true(gm->hidden[0].shown);
	k.ret = 0;
	assert_int_equal(gmem_hidden_show(gm, ROM_GPA, false, NULL), 0);
	k.ret = -EINTR;
	assert_int_equal(gmem_hidden_show(gm, ROM_GPA, true, NULL), -EINTR);
	assert_false(gm->hidden[0].shown);
}

static void without_readonly_memory_there_is_none(void **state)
{
	struct gmem *gm = *state;
	struct lkvm_error err = { 0 };

	k.no_readonly = true;
	assert_true(gmem_register(gm, &kvm, &err) < 0);
	assert_int_equal(err.kind, LKVM_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "KVM_CAP_READONLY_MEM"));
}

static void want_of_memory_leaves_nothing_hidden(void **state)
{
	struct gmem *gm = *state;
	struct lkvm_error err = { 0 };
	int ret;

	faults_arm(FAULTS_MEMORY, 1);
	ret = gmem_add_hidden(gm, ROM_GPA, ROM_SIZE, true, &err);
	faults_disarm();
	assert_int_equal(ret, -ENOMEM);
	assert_int_equal(gm->n_hidden, 0);
}

#define TEST_HIDDEN(f) cmocka_unit_test_setup_teardown(f, setup_hidden, teardown)
#define TEST(f)	       cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_of_a_range_is_ram_or_none_is_touched),
		TEST(nothing_is_fine_anywhere),
		TEST(regions_are_ascending_and_few),
		TEST(a_view_is_made_of_aligned_ram_only),
		TEST(a_view_shows_memory_as_little_endian),
		TEST(nothing_outside_a_view_is_read_or_written),
		TEST(only_ram_becomes_a_piece_of_a_vector),
		TEST(a_vector_is_never_longer_than_32_bits_can_say),
		TEST(every_part_of_a_stream_can_be_copied_out_and_in),
		TEST(what_a_stream_does_not_hold_is_not_copied_in_part),
		TEST(an_empty_stream_holds_nothing),
		TEST(a_stream_loses_its_front_at_any_place),
		TEST(a_stream_is_cut_in_two_at_any_place),
		TEST(a_stream_goes_through_a_descriptor),
		TEST(more_pieces_than_the_host_takes_go_in_part),
		TEST(a_file_is_read_into_ram_or_says_why_not),
		TEST(want_of_memory_is_told_and_changes_nothing),
		TEST_HIDDEN(hidden_memory_is_not_ram),
		TEST_HIDDEN(its_owner_reaches_hidden_memory_and_no_other),
		TEST(hidden_memory_overlaps_nothing),
		TEST_HIDDEN(kvm_is_told_of_hidden_memory_as_of_ram),
		TEST(what_is_added_later_is_shown_by_its_owner),
		TEST_HIDDEN(hidden_memory_comes_and_goes_with_its_contents),
		TEST_HIDDEN(a_kvm_that_refuses_leaves_hidden_memory_as_it_was),
		TEST_HIDDEN(without_readonly_memory_there_is_none),
		TEST(want_of_memory_leaves_nothing_hidden),
	};

	return cmocka_run_group_tests_name("guest memory", tests, NULL, NULL);
}
