/*
 * gmem_backing.c - what a region of guest memory is mapped from: anonymous memory, a memfd, huge
 * pages or KVM's guest_memfd; there from the start and locked if asked for.
 *
 * What the host lacks is found out here, not by a SIGBUS when the guest touches it: huge pages
 * are reserved by mapping them (hugetlbfs_reserv.rst), and a memfd is sealed, so that no process it
 * is handed to can cut it short. Limits on huge pages of a cgroup or of NUMA nodes are the
 * exception: the kernel looks at those as pages are touched, which prefault does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vmm/gmem_impl.h"
#include "vmm/sysfile.h"

/* A huge page of most hosts; wrong elsewhere is slower, not worse. */
#define HUGE_SIZE (2 * MIB)

#define HUGETLBFS_MAGIC 0x958458f6 /* of statfs(2) */

/* Of Linux 6.3 and 5.14, for C libraries that are older; the same on all architectures. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8U
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* What is mapped; @fd -1: anonymous memory. */
struct source {
	enum lkvm_mem_backend kind;
	int fd;
	u64 page;	  /* bytes, of what it is made of */
	const char *path; /* of the hugetlbfs; NULL: none was given */
};

/* ---- files ---------------------------------------------------------------------------- */

/*
 * Never to be run as a program: since Linux 6.3 the kernel wants that to be said, and may be told
 * to refuse a memfd without (vm.memfd_noexec).
 */
static int create_memfd(unsigned int flags)
{
	int fd = memfd_create("lkvm-ram", flags | MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("lkvm-ram", flags | MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd;
}

static int set_size(const struct source *src, u64 size, bool seal, struct lkvm_error *err)
{
	if (size > INT64_MAX || ftruncate(src->fd, (off_t)size))
		return err_host(err, size > INT64_MAX ? EFBIG : errno,
				"guest memory: a file of %llu MiB",
				(unsigned long long)(size / MIB));
	if (seal && fcntl(src->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return err_host(err, errno, "guest memory: sealing its file");
	return 0;
}

static int open_memfd(struct source *src, u64 size, struct lkvm_error *err)
{
	src->fd = create_memfd(0);
	if (src->fd < 0)
		return err_host(err, errno, "guest memory: memfd_create");
	return set_size(src, size, true, err);
}

/* A file in the hugetlbfs at @src->path without a name: nothing to clean up, whatever ends us. */
static int open_in_hugetlbfs(struct source *src, struct lkvm_error *err)
{
	const char *path = src->path;
	char name[LKVM_PATH_MAX + 16];
	struct statfs fs;

	if (statfs(path, &fs))
		return err_input(err, "--hugetlbfs %s: %s", path, err_text(errno));
	if ((u32)fs.f_type != HUGETLBFS_MAGIC)
		return err_input(err, "--hugetlbfs %s: is not a mounted hugetlbfs", path);
	snprintf(name, sizeof(name), "%s/lkvm-XXXXXX", path);
	src->fd = mkostemp(name, O_CLOEXEC);
	if (src->fd < 0)
		return err_input(err, "--hugetlbfs %s: no file can be made there: %s", path,
				 err_text(errno));
	if (unlink(name))
		return err_host(err, errno, "--hugetlbfs %s: unlink of %s", path, name);
	return 0;
}

static int open_huge(struct source *src, u64 size, struct lkvm_error *err)
{
	struct statfs fs;
	int ret;

	if (src->path) {
		ret = open_in_hugetlbfs(src, err);
		if (ret)
			return ret;
	} else {
		src->fd = create_memfd(MFD_HUGETLB);
		if (src->fd < 0)
			return err_unsupported(
				err, errno,
				"--mem-backend hugetlbfs: this host's kernel has no huge pages: %s",
				err_text(errno));
	}
	if (fstatfs(src->fd, &fs))
		return err_host(err, errno, "--mem-backend hugetlbfs: statfs");
	src->page = (u64)fs.f_bsize;
	if (size % src->page)
		return err_input(err,
				 "--mem: %llu KiB of guest memory; of huge pages it is a multiple "
				 "of %llu KiB",
				 (unsigned long long)(size / KIB),
				 (unsigned long long)(src->page / KIB));
	return set_size(src, size, !src->path, err);
}

/* What the host sees; beside the guest_memfd of private memory there is none that it maps. */
static int open_source(struct source *src, const struct gmem *gm, u64 size, struct lkvm_error *err)
{
	const struct gmem_backing *b = &gm->backing;

	*src = (struct source){ .kind = b->kind, .fd = -1, .page = (u64)sysconf(_SC_PAGESIZE) };
	if (b->hugetlbfs && *b->hugetlbfs)
		src->path = b->hugetlbfs;
	if (b->kind == LKVM_MEM_AUTO || (b->private && b->kind == LKVM_MEM_GUEST_MEMFD))
		src->kind = LKVM_MEM_ANON;
	if (b->shared && src->kind == LKVM_MEM_ANON)
		src->kind = LKVM_MEM_MEMFD;
	switch (src->kind) {
	case LKVM_MEM_AUTO:
	case LKVM_MEM_ANON:
		return 0;
	case LKVM_MEM_MEMFD:
		return open_memfd(src, size, err);
	case LKVM_MEM_HUGETLBFS:
		return open_huge(src, size, err);
	case LKVM_MEM_GUEST_MEMFD:
		src->fd = gmem_create_guest_memfd(gm, size, true, err);
		return src->fd < 0 ? src->fd : 0;
	}
	return err_input(err, "--mem-backend %d is unknown", (int)src->kind);
}

/* ---- mapping -------------------------------------------------------------------------- */

/*
 * Address space for @size bytes at a multiple of @align, with nothing behind it. KVM can map a
 * huge page into the guest only where guest and host addresses agree below its size, and
 * both the loaders here and the guest then take one fault where they would take 512.
 */
static u8 *reserve(u64 size, u64 align)
{
	u64 room = size + align;
	u8 *map, *host;

	if (room < size || room > SIZE_MAX)
		return NULL;
	map = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	host = (u8 *)(uintptr_t)align_up((uintptr_t)map, align);
	if (host > map)
		munmap(map, (size_t)(host - map));
	if (host + size < map + room)
		munmap(host + size, (size_t)(map + room - (host + size)));
	return host;
}

/* A number that the kernel keeps of huge pages of that size; 0 when it keeps none. */
static u64 huge_pages(u64 page, const char *name)
{
	char path[96], text[24];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/%s",
		 (unsigned long long)(page / KIB), name);
	sysfile_read(path, text, sizeof(text));
	return strtoull(text, NULL, 10);
}

static int too_few_huge_pages(const struct source *src, const struct gmem_region *r,
			      struct lkvm_error *err)
{
	u64 n_free = huge_pages(src->page, "free_hugepages");
	u64 reserved = huge_pages(src->page, "resv_hugepages");
	struct statfs fs;

	n_free -= min_u64(reserved, n_free);
	/* a mount may have a limit of its own */
	if (!fstatfs(src->fd, &fs) && fs.f_blocks)
		n_free = min_u64(n_free, (u64)fs.f_bfree);
	return err_unsupported(
		err, ENOMEM,
		"%s%s: huge pages of %llu KiB: memory at 0x%llx needs %llu, free are %llu "
		"(/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages)",
		src->path ? "--hugetlbfs " : "--mem-backend hugetlbfs", src->path ? src->path : "",
		(unsigned long long)(src->page / KIB), (unsigned long long)r->gpa,
		(unsigned long long)(r->size / src->page), (unsigned long long)n_free,
		(unsigned long long)(src->page / KIB));
}

/*
 * NORESERVE for anonymous memory: a guest is given more than it ever touches, and whether the host
 * can overcommit is the host's decision, made at the fault. Huge pages are there or not.
 */
static int map(const struct source *src, struct gmem_region *r, struct lkvm_error *err)
{
	int flags = src->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	u8 *host = reserve(r->size, max_u64(HUGE_SIZE, src->page));
	int code;

	if (!host)
		return err_host(err, ENOMEM, "guest memory: cannot map %llu MiB",
				(unsigned long long)(r->size / MIB));
	if (mmap(host, r->size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, src->fd, 0) == host) {
		r->host = host;
		return 0;
	}
	code = errno;
	munmap(host, r->size);
	if (src->kind == LKVM_MEM_HUGETLBFS && code == ENOMEM)
		return too_few_huge_pages(src, r, err);
	return err_host(err, code, "guest memory: cannot map %llu MiB",
			(unsigned long long)(r->size / MIB));
}

/* ---- there from the start, and for good ------------------------------------------------- */

static int populate_failed(const struct source *src, u64 size, int code, struct lkvm_error *err)
{
	/* reserved, and yet no page: EFAULT says what would have been a SIGBUS */
	if (src->kind == LKVM_MEM_HUGETLBFS)
		return err_unsupported(err, code,
				       "--mem-prefault: huge pages cannot be had: %s; limits of "
				       "the cgroup or NUMA nodes?",
				       err_text(code));
	return err_host(err, code, "--mem-prefault: %llu MiB of guest memory",
			(unsigned long long)(size / MIB));
}

/* What the host could give without taking it from others; UINT64_MAX where it does not say. */
static u64 available(void)
{
	char text[4096];
	const char *line;

	sysfile_read("/proc/meminfo", text, sizeof(text));
	line = strstr(text, "MemAvailable:");
	return line ? strtoull(line + strlen("MemAvailable:"), NULL, 10) * KIB : UINT64_MAX;
}

/* Else the kernel would find out half way, and kill a process, likely this one. */
static int check_available(const struct source *src, u64 size, struct lkvm_error *err)
{
	u64 left = available();

	if (src->kind == LKVM_MEM_HUGETLBFS || size <= left)
		return 0;
	return err_unsupported(err, ENOMEM,
			       "--mem-prefault: %llu MiB of guest memory; this host has %llu "
			       "MiB left",
			       (unsigned long long)(size / MIB), (unsigned long long)(left / MIB));
}

static int populate(const struct source *src, const struct gmem_region *r, struct lkvm_error *err)
{
	volatile u8 *host = r->host;

	while (madvise(r->host, r->size, MADV_POPULATE_WRITE)) {
		if (errno == EINTR) /* what came so far stays */
			continue;
		if (errno != EINVAL)
			return populate_failed(src, r->size, errno, err);
		/* a kernel before 5.14; nothing was written yet, so 0 is what is there */
		for (u64 off = 0; off < r->size; off += src->page)
			host[off] = 0;
		break;
	}
	return 0;
}

static int populate_private(const struct gmem_region *r, struct lkvm_error *err)
{
	int ret;

	do {
		ret = fallocate(r->private_fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)r->size);
	} while (ret && errno == EINTR);
	return ret ? err_host(err, errno, "--mem-prefault: %llu MiB of private guest memory",
			      (unsigned long long)(r->size / MIB))
		   : 0;
}

/* Without @now as pages come. */
static int lock(const struct gmem_region *r, bool now, struct lkvm_error *err)
{
	struct rlimit limit = { 0 };
	char text[32] = "unlimited";
	int code;

	if (!mlock2(r->host, r->size, now ? 0 : MLOCK_ONFAULT))
		return 0;
	code = errno;
	if (!getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur != RLIM_INFINITY)
		snprintf(text, sizeof(text), "%llu KiB", (unsigned long long)limit.rlim_cur / KIB);
	return err_unsupported(err, code,
			       "--mem-lock: %llu KiB of guest memory cannot be locked: %s; "
			       "RLIMIT_MEMLOCK (ulimit -l) is %s",
			       (unsigned long long)(r->size / KIB), err_text(code), text);
}

/*
 * Private memory is the guest_memfd: that is what is there from the start, and it is never
 * swapped. Of what the host sees beside it only what is shared will ever be touched.
 */
static int prepare(const struct gmem_backing *b, const struct source *src,
		   const struct gmem_region *r, struct lkvm_error *err)
{
	bool huge = !b->no_thp && !b->private;
	int ret = 0;

	/* Hints: a host that does without huge pages does without. */
	if (src->kind == LKVM_MEM_ANON || src->kind == LKVM_MEM_MEMFD)
		madvise(r->host, r->size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (b->prefault)
		ret = check_available(src, r->size, err);
	if (!ret && b->prefault)
		ret = b->private ? populate_private(r, err) : populate(src, r, err);
	if (!ret && b->lock)
		ret = lock(r, b->prefault && !b->private, err);
	return ret;
}

int gmem_backing_map(const struct gmem *gm, struct gmem_region *r, struct lkvm_error *err)
{
	struct source src;
	int ret;

	r->host = NULL;
	r->private_fd = -1;
	ret = open_source(&src, gm, r->size, err);
	r->fd = src.fd;
	if (!ret)
		ret = map(&src, r, err);
	if (!ret && gm->backing.private) {
		r->private_fd = gmem_create_guest_memfd(gm, r->size, false, err);
		ret = r->private_fd < 0 ? r->private_fd : 0;
	}
	if (!ret)
		ret = prepare(&gm->backing, &src, r, err);
	if (ret)
		gmem_backing_unmap(r);
	return ret;
}

void gmem_backing_unmap(const struct gmem_region *r)
{
	if (r->host)
		munmap(r->host, r->size);
	if (r->fd >= 0)
		close(r->fd);
	if (r->private_fd >= 0)
		close(r->private_fd);
}
