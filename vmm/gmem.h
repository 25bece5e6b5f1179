/*
 * gmem.h - guest memory (layer 1).
 *
 * Guest-physical RAM as a few regions of host memory. Nobody but gmem*.c, of which gmem_vhost.c
 * tells the kernel's vhost where it lies, has a pointer into it: everyone else copies in or copies
 * out through the functions below, which check the whole range before a byte moves. A double fetch
 * of guest data therefore cannot be written down by accident.
 *
 * Regions are RAM and nothing else: e820, loaders and the search for room rely on it. What
 * is mapped for a guest without being RAM is a list of its own, "hidden" below.
 *
 * Regions are added while a machine is assembled and stay until gmem_fini(). All
 * accessors may be called from any thread; the guest runs beside them, so what
 * was read is a copy of one moment and never to be read again for the same decision.
 */
#ifndef LKVM_VMM_GMEM_H
#define LKVM_VMM_GMEM_H

#include <sys/uio.h>

#include "vmm/base.h"
#include "vmm/err.h"

struct kvm;

#define GMEM_MAX_REGIONS 4
#define GMEM_MAX_HIDDEN	 2
#define GMEM_PAGE_SIZE	 4096

/*
 * What regions are made of. Zeroed: anonymous memory, with huge pages where the host likes.
 *
 * Private memory consists of two: a guest_memfd that only the guest can read, and what the host
 * sees (of @kind; anonymous memory for guest-memfd). Which of the two the guest has at an
 * address it and gmem_convert() agree on. All functions below are about the host's side: what is
 * private reads as whatever is left there, mostly zeroes, and writing it changes nothing for the
 * guest but takes memory.
 */
struct gmem_backing {
	enum lkvm_mem_backend kind;
	const char *hugetlbfs; /* path of a mount; NULL or "": memfd_create(2) with huge pages */
	bool prefault;	       /* every page is there when gmem_add() returns; of private memory the
				  guest_memfd's */
	bool lock; /* mlock2(2): what is there stays, now (@prefault) or once it was touched */
	bool no_thp;
	bool shared;  /* another process is to see it: anonymous memory becomes a memfd */
	bool private; /* with a guest_memfd beside what the host sees; all private at first */
	const struct kvm *kvm; /* of guest_memfds: created before the first gmem_add() */
};

struct gmem_region {
	u64 gpa;
	u64 size;	/* bytes */
	void *host;	/* gmem*.c only */
	int fd;		/* what @host maps, to be handed to another process; -1: nobody can */
	int private_fd; /* the guest_memfd of a private region; -1: none */
};

struct gmem_hidden {
	u64 gpa;
	u64 size; /* bytes */
	bool readonly;
	bool shown; /* the guest reaches it; as far as it is allowed to */
	void *host; /* gmem*.c only */
};

struct gmem {
	struct gmem_region regions[GMEM_MAX_REGIONS]; /* ascending gpa, disjoint */
	unsigned int n_regions;
	struct gmem_hidden hidden[GMEM_MAX_HIDDEN]; /* disjoint, and from the regions too */
	unsigned int n_hidden;
	const struct kvm *kvm;	     /* NULL: not registered */
	struct gmem_backing backing; /* set before the first region is added */
};

/*
 * Add zeroed RAM at @gpa, both page aligned, above all earlier regions. Memory is
 * taken from the host as the guest touches it, unless gm->backing says otherwise. -errno with a
 * message: LKVM_ERR_INPUT for a size or a path that is no good, LKVM_ERR_UNSUPPORTED for what
 * the host has not or too little of.
 */
int gmem_add(struct gmem *gm, u64 gpa, u64 size, struct lkvm_error *err);

/*
 * Make every region a KVM memory slot, slot number = index, and show all hidden memory. @kvm
 * outlives @gm.
 */
int gmem_register(struct gmem *gm, const struct kvm *kvm, struct lkvm_error *err);

/*
 * Of private memory (backing.private): [gpa, gpa + len), whole pages of one registered region,
 * becomes the guest's own, or shared with the host (@private false). Its content is lost; the other
 * side's pages go back to the host. Takes time in proportion to @len. Any thread; vCPUs may run. A
 * guest that turns the same pages both ways at the same time loses what is in them, and nothing
 * else.
 *
 * Without a message: -EFAULT when it is no private memory, -EINVAL when it is not whole pages.
 * After other errors nobody knows what the guest sees there.
 */
int gmem_convert(const struct gmem *gm, u64 gpa, u64 len, bool private, struct lkvm_error *err);

/*
 * Make KVM forget the page of RAM at @gpa, a multiple of its size: the guest's next access to it is
 * one that KVM resolves anew. Its content stays. Only a test wants that; where @gpa is no RAM, or
 * the host does not do it, nothing happens. Any thread; vCPUs may run.
 */
void gmem_remap(const struct gmem *gm, u64 gpa);

/* Give all memory back. Accepts a zeroed or half-built struct. The KVM VM must be closed before. */
void gmem_fini(struct gmem *gm);

/* Bytes of RAM in all. */
u64 gmem_ram_size(const struct gmem *gm);

/* True when all of [gpa, gpa + len) is RAM of one region. */
bool gmem_contains(const struct gmem *gm, u64 gpa, u64 len);

/* All or nothing: 0, or -EFAULT when the range is not RAM of one region (@len 0 always succeeds).
 */
int gmem_read(const struct gmem *gm, u64 gpa, void *buf, size_t len);
int gmem_write(const struct gmem *gm, u64 gpa, const void *buf, size_t len);
int gmem_zero(const struct gmem *gm, u64 gpa, u64 len);

/*
 * Read @len bytes at @off of the file @fd straight into RAM. -EFAULT when the
 * range is not RAM (nothing is read then), -ENODATA when the file ends early,
 * otherwise the errno of pread(2). After a failure the range's content is undefined.
 */
int gmem_read_file(const struct gmem *gm, u64 gpa, int fd, u64 off, u64 len);

/* ---- hidden: memory the guest sees that is not RAM -------------------------------------- */

/*
 * Zeroed memory at @gpa, both page aligned, that belongs to a device or to KVM itself: no function
 * above or below this section finds it, so no driver's address leads a device there. With
 * @readonly the guest's writes go to the bus. It is anonymous memory, shared with the host,
 * whatever RAM is, and overlaps nothing that was added before.
 *
 * gmem_register() shows it to the guest; what is added after that its owner shows. -ENOMEM,
 * -EINVAL with a message.
 */
int gmem_add_hidden(struct gmem *gm, u64 gpa, u64 size, bool readonly, struct lkvm_error *err);

/*
 * The guest sees the memory that begins at @gpa (@on), or its accesses go to the bus. Vcpus may be
 * running; calls for the same memory must not meet. -errno, and all is as it was, when
 * KVM refuses; LKVM_ERR_UNSUPPORTED where it has no read-only memory.
 */
int gmem_hidden_show(struct gmem *gm, u64 gpa, bool on, struct lkvm_error *err);

/* For its owner, as the functions of the same name above and below are for RAM. */
int gmem_hidden_read(const struct gmem *gm, u64 gpa, void *buf, size_t len);
int gmem_hidden_write(const struct gmem *gm, u64 gpa, const void *buf, size_t len);
int gmem_hidden_read_file(const struct gmem *gm, u64 gpa, int fd, u64 off, u64 len);
struct gmem_vec;
int gmem_hidden_vec_add(struct gmem_vec *vec, const struct gmem *gm, u64 gpa, u32 len);

/* ---- views: rings that are read and written in place --------------------------------- */

/*
 * A piece of RAM that was checked once. Accessors take an offset; one that does not lie
 * inside the view reads as 0 and is not written, so no arithmetic of a caller can
 * reach beyond it. 16- and 32-bit accesses are single, naturally aligned ones
 * (the base is aligned as gmem_view_init() was asked to), little endian.
 */
struct gmem_view {
	u8 *host; /* this header and gmem*.c only */
	u32 len;
};

/* -EFAULT when the range is not RAM of one region, -EINVAL when @gpa is not a multiple of @align.
 */
int gmem_view_init(struct gmem_view *view, const struct gmem *gm, u64 gpa, u32 len, u32 align);

static inline bool gmem_view_has(const struct gmem_view *view, u32 off, u32 len)
{
	return range_fits(off, len, view->len);
}

static inline u16 gmem_view_get16(const struct gmem_view *view, u32 off)
{
	if (!gmem_view_has(view, off, 2))
		return 0;
	return le16toh(__atomic_load_n((const u16 *)(view->host + off), __ATOMIC_RELAXED));
}

/* What was written before the other side stored this value is visible after. */
static inline u16 gmem_view_get16_acquire(const struct gmem_view *view, u32 off)
{
	if (!gmem_view_has(view, off, 2))
		return 0;
	return le16toh(__atomic_load_n((const u16 *)(view->host + off), __ATOMIC_ACQUIRE));
}

static inline void gmem_view_put16(const struct gmem_view *view, u32 off, u16 val)
{
	if (gmem_view_has(view, off, 2))
		__atomic_store_n((u16 *)(view->host + off), htole16(val), __ATOMIC_RELAXED);
}

/* All stores made before are visible to whoever sees this value. */
static inline void gmem_view_put16_release(const struct gmem_view *view, u32 off, u16 val)
{
	if (gmem_view_has(view, off, 2))
		__atomic_store_n((u16 *)(view->host + off), htole16(val), __ATOMIC_RELEASE);
}

static inline void gmem_view_put32(const struct gmem_view *view, u32 off, u32 val)
{
	if (gmem_view_has(view, off, 4))
		__atomic_store_n((u32 *)(view->host + off), htole32(val), __ATOMIC_RELAXED);
}

/* Copy out, once; zeroes when it does not fit. */
static inline void gmem_view_read(const struct gmem_view *view, u32 off, void *buf, u32 len)
{
	if (gmem_view_has(view, off, len))
		memcpy(buf, view->host + off, len);
	else
		memset(buf, 0, len);
}

/* ---- vectors: pieces of RAM for I/O without a copy -------------------------------------- */

/*
 * Checked pieces of RAM that form one stream of bytes. What they hold the guest may
 * change at any time, so only their bytes may be moved: by the functions here and by
 * loop_io_start(). The array behind @iov is the caller's, who may move pieces but not look into
 * them.
 */
struct gmem_vec {
	struct iovec *iov;
	unsigned int n;
	size_t len; /* bytes in all */
};

/*
 * Append [gpa, gpa + len). -EFAULT when it is not RAM of one region or @len is 0,
 * -EOVERFLOW when the stream would exceed 2^32 - 1 bytes; nothing is appended then. The caller
 * knows that the array behind @vec has room.
 */
int gmem_vec_add(struct gmem_vec *vec, const struct gmem *gm, u64 gpa, u32 len);

/* Copy @len bytes at @off of the stream. All or nothing: false when the stream is shorter. */
bool gmem_vec_read(const struct gmem_vec *vec, size_t off, void *buf, size_t len);
bool gmem_vec_write(const struct gmem_vec *vec, size_t off, const void *buf, size_t len);

/* Take @len bytes off the front, in place. False, and nothing done, when there are fewer. */
bool gmem_vec_drop(struct gmem_vec *vec, size_t len);

/*
 * Cut the stream after @len bytes, in place. The rest goes to @tail, whose array has room for
 * @vec->n pieces; NULL: nobody wants it. False, and nothing done, when there are fewer.
 */
bool gmem_vec_split(struct gmem_vec *vec, size_t len, struct gmem_vec *tail);

/*
 * The front of the stream for one system call: *@n pieces, IOV_MAX and @max bytes (not 0) at most.
 * Of a first piece that is larger it is a part, in @part. Valid as long as @vec and @part stay.
 */
const struct iovec *gmem_vec_head(const struct gmem_vec *vec, size_t max, struct iovec *part,
				  unsigned int *n);

/*
 * readv(2) into and writev(2) from the stream, on a descriptor that does not wait. At most
 * IOV_MAX pieces are used. Bytes moved, or -errno; never interrupted.
 */
ssize_t gmem_vec_readv(const struct gmem_vec *vec, int fd);

/*
 * gmem_vec_readv() of one message, which the kernel cuts silently: more than vec->len says that it
 * was longer. At most IOV_MAX - 1 pieces, else -EMSGSIZE and nothing is read.
 */
ssize_t gmem_vec_recv(const struct gmem_vec *vec, int fd);
ssize_t gmem_vec_writev(const struct gmem_vec *vec, int fd);

#endif
