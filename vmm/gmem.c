#include "vmm/gmem_impl.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#include "linux-uapi/kvm.h"
#include "vmm/kvm.h"

/*
 * The one place where a guest-physical address becomes a host pointer: NULL
 * unless the whole range lies in one region.
 */
static u8 *gmem_host(const struct gmem *gm, u64 gpa, u64 len)
{
	for (unsigned int i = 0; i < gm->n_regions; i++) {
		const struct gmem_region *r = &gm->regions[i];

		if (gpa >= r->gpa && range_fits(gpa - r->gpa, len, r->size))
			return (u8 *)r->host + (gpa - r->gpa);
	}
	return NULL;
}

int gmem_add(struct gmem *gm, u64 gpa, u64 size, struct lkvm_error *err)
{
	const struct gmem_region *last = gm->n_regions ? &gm->regions[gm->n_regions - 1] : NULL;
	u64 host_page = (u64)sysconf(_SC_PAGESIZE); /* memory slots are made of these */
	struct gmem_region r = { .gpa = gpa, .size = size };
	int ret;

	if (size % host_page)
		return err_input(
			err,
			"--mem: 0x%llx bytes of guest memory; this host takes multiples of its "
			"pages, %llu KiB",
			(unsigned long long)size, (unsigned long long)(host_page / KIB));
	if (gm->n_regions == GMEM_MAX_REGIONS || !size || gpa + size < gpa ||
	    (gpa | size) % GMEM_PAGE_SIZE || (last && gpa < last->gpa + last->size))
		return err_host(err, EINVAL, "guest memory region 0x%llx+0x%llx",
				(unsigned long long)gpa, (unsigned long long)size);
	ret = gmem_backing_map(gm, &r, err);
	if (!ret)
		gm->regions[gm->n_regions++] = r;
	return ret;
}

static int register_region(const struct gmem *gm, unsigned int i, struct lkvm_error *err)
{
	const struct gmem_region *r = &gm->regions[i];
	const struct kvm_userspace_memory_region slot = {
		.slot = i,
		.guest_phys_addr = r->gpa,
		.memory_size = r->size,
		.userspace_addr = (u64)(uintptr_t)r->host,
	};
	int ret;

	if (r->private_fd >= 0 || gm->backing.kind == LKVM_MEM_GUEST_MEMFD)
		return gmem_register_guest_memfd(gm, i, err);
	ret = kvm_vm_ioctl(gm->kvm, KVM_SET_USER_MEMORY_REGION, &slot, err);
	return ret < 0 ? ret : 0;
}

int gmem_register(struct gmem *gm, const struct kvm *kvm, struct lkvm_error *err)
{
	gm->kvm = kvm;
	for (unsigned int i = 0; i < gm->n_regions; i++) {
		int ret = register_region(gm, i, err);

		if (ret)
			return ret;
	}
	for (unsigned int i = 0; i < gm->n_hidden; i++) {
		int ret = gmem_hidden_show(gm, gm->hidden[i].gpa, true, err);

		if (ret)
			return ret;
	}
	return 0;
}

void gmem_fini(struct gmem *gm)
{
	for (unsigned int i = 0; i < gm->n_regions; i++)
		gmem_backing_unmap(&gm->regions[i]);
	for (unsigned int i = 0; i < gm->n_hidden; i++)
		munmap(gm->hidden[i].host, gm->hidden[i].size);
	gm->n_regions = gm->n_hidden = 0;
}

u64 gmem_ram_size(const struct gmem *gm)
{
	u64 size = 0;

	for (unsigned int i = 0; i < gm->n_regions; i++)
		size += gm->regions[i].size;
	return size;
}

bool gmem_contains(const struct gmem *gm, u64 gpa, u64 len)
{
	return gmem_host(gm, gpa, len) != NULL;
}

int gmem_read(const struct gmem *gm, u64 gpa, void *buf, size_t len)
{
	const u8 *host = gmem_host(gm, gpa, len);

	if (!len)
		return 0;
	if (!host)
		return -EFAULT;
	memcpy(buf, host, len);
	return 0;
}

int gmem_write(const struct gmem *gm, u64 gpa, const void *buf, size_t len)
{
	u8 *host = gmem_host(gm, gpa, len);

	if (!len)
		return 0;
	if (!host)
		return -EFAULT;
	memcpy(host, buf, len);
	return 0;
}

int gmem_zero(const struct gmem *gm, u64 gpa, u64 len)
{
	u8 *host = gmem_host(gm, gpa, len);

	if (!len)
		return 0;
	if (!host)
		return -EFAULT;
	memset(host, 0, len);
	return 0;
}

/* @host is what a range that was checked is at; NULL: it was refused. */
static int read_file(u8 *host, int fd, u64 off, u64 len)
{
	if (!len)
		return 0;
	if (!host)
		return -EFAULT;
	if (off > INT64_MAX - len)
		return -EOVERFLOW;
	while (len) {
		ssize_t n = pread(fd, host, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENODATA;
		host += n;
		off += (u64)n;
		len -= (u64)n;
	}
	return 0;
}

int gmem_read_file(const struct gmem *gm, u64 gpa, int fd, u64 off, u64 len)
{
	return read_file(gmem_host(gm, gpa, len), fd, off, len);
}

/* ---- hidden --------------------------------------------------------------------------- */

static bool is_taken(const struct gmem *gm, u64 gpa, u64 size)
{
	for (unsigned int i = 0; i < gm->n_regions; i++) {
		if (ranges_overlap(gpa, size, gm->regions[i].gpa, gm->regions[i].size))
			return true;
	}
	for (unsigned int i = 0; i < gm->n_hidden; i++) {
		if (ranges_overlap(gpa, size, gm->hidden[i].gpa, gm->hidden[i].size))
			return true;
	}
	return false;
}

int gmem_add_hidden(struct gmem *gm, u64 gpa, u64 size, bool readonly, struct lkvm_error *err)
{
	void *host;

	if (gm->n_hidden == GMEM_MAX_HIDDEN || !size || gpa + size < gpa ||
	    (gpa | size) % GMEM_PAGE_SIZE || is_taken(gm, gpa, size))
		return err_host(err, EINVAL, "guest memory that is not RAM at 0x%llx+0x%llx",
				(unsigned long long)gpa, (unsigned long long)size);
	host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (host == MAP_FAILED)
		return err_host(err, errno, "guest memory that is not RAM: %llu KiB",
				(unsigned long long)(size / KIB));
	gm->hidden[gm->n_hidden++] = (struct gmem_hidden){
		.gpa = gpa,
		.size = size,
		.readonly = readonly,
		.host = host,
	};
	return 0;
}

static int set_hidden_slot(const struct gmem *gm, unsigned int i, bool on, struct lkvm_error *err)
{
	const struct gmem_hidden *h = &gm->hidden[i];
	const struct kvm_userspace_memory_region slot = {
		.slot = GMEM_MAX_REGIONS + i,
		.flags = h->readonly ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = h->gpa,
		.memory_size = on ? h->size : 0,
		.userspace_addr = (u64)(uintptr_t)h->host,
	};
	int ret = h->readonly ? kvm_require(gm->kvm, KVM_CAP_READONLY_MEM, err) : 0;

	if (ret >= 0)
		ret = kvm_vm_ioctl(gm->kvm, KVM_SET_USER_MEMORY_REGION, &slot, err);
	return ret < 0 ? ret : 0;
}

int gmem_hidden_show(struct gmem *gm, u64 gpa, bool on, struct lkvm_error *err)
{
	for (unsigned int i = 0; i < gm->n_hidden; i++) {
		struct gmem_hidden *h = &gm->hidden[i];
		int ret = 0;

		if (h->gpa != gpa)
			continue;
		if (h->shown != on && gm->kvm)
			ret = set_hidden_slot(gm, i, on, err);
		if (!ret)
			h->shown = on;
		return ret;
	}
	return err_host(err, ENOENT, "guest memory at 0x%llx", (unsigned long long)gpa);
}

/* As gmem_host() for RAM. */
static u8 *hidden_host(const struct gmem *gm, u64 gpa, u64 len)
{
	for (unsigned int i = 0; i < gm->n_hidden; i++) {
		const struct gmem_hidden *h = &gm->hidden[i];

		if (gpa >= h->gpa && range_fits(gpa - h->gpa, len, h->size))
			return (u8 *)h->host + (gpa - h->gpa);
	}
	return NULL;
}

int gmem_hidden_read(const struct gmem *gm, u64 gpa, void *buf, size_t len)
{
	const u8 *host = hidden_host(gm, gpa, len);

	if (!host)
		return -EFAULT;
	memcpy(buf, host, len);
	return 0;
}

int gmem_hidden_write(const struct gmem *gm, u64 gpa, const void *buf, size_t len)
{
	u8 *host = hidden_host(gm, gpa, len);

	if (!host)
		return -EFAULT;
	memcpy(host, buf, len);
	return 0;
}

int gmem_hidden_read_file(const struct gmem *gm, u64 gpa, int fd, u64 off, u64 len)
{
	return read_file(hidden_host(gm, gpa, len), fd, off, len);
}

/* ---- views --------------------------------------------------------------------------- */

int gmem_view_init(struct gmem_view *view, const struct gmem *gm, u64 gpa, u32 len, u32 align)
{
	*view = (struct gmem_view){ 0 };
	if (gpa % align)
		return -EINVAL;
	view->host = gmem_host(gm, gpa, len);
	if (!view->host)
		return -EFAULT;
	view->len = len;
	return 0;
}

/* ---- vectors ------------------------------------------------------------------------- */

static int vec_add(struct gmem_vec *vec, u8 *host, u32 len)
{
	if (!host || !len)
		return -EFAULT;
	if (len > UINT32_MAX - vec->len)
		return -EOVERFLOW;
	vec->iov[vec->n++] = (struct iovec){ .iov_base = host, .iov_len = len };
	vec->len += len;
	return 0;
}

int gmem_vec_add(struct gmem_vec *vec, const struct gmem *gm, u64 gpa, u32 len)
{
	return vec_add(vec, gmem_host(gm, gpa, len), len);
}

int gmem_hidden_vec_add(struct gmem_vec *vec, const struct gmem *gm, u64 gpa, u32 len)
{
	return vec_add(vec, hidden_host(gm, gpa, len), len);
}

/* A place in a stream: in the piece @iov (never at its end, unless at that of the stream). */
struct vec_pos {
	struct iovec *iov;
	size_t off;
};

/* @off is not beyond the end. */
static struct vec_pos vec_seek(const struct gmem_vec *vec, size_t off)
{
	struct vec_pos pos = { .iov = vec->iov, .off = off };
	unsigned int left = vec->n;

	for (; left && pos.off >= pos.iov->iov_len; left--)
		pos.off -= pos.iov++->iov_len;
	return pos;
}

/* The bytes at @pos that lie side by side, @len at most and not 0; @pos moves behind them. */
static u8 *vec_next(struct vec_pos *pos, size_t len, size_t *n)
{
	u8 *host = (u8 *)pos->iov->iov_base + pos->off;

	*n = min_u64(len, pos->iov->iov_len - pos->off);
	pos->off += *n;
	if (pos->off == pos->iov->iov_len) {
		pos->iov++;
		pos->off = 0;
	}
	return host;
}

bool gmem_vec_read(const struct gmem_vec *vec, size_t off, void *buf, size_t len)
{
	struct vec_pos pos;
	u8 *to = buf;

	if (!range_fits(off, len, vec->len))
		return false;
	pos = vec_seek(vec, off);
	for (size_t n; len; len -= n, to += n) {
		const u8 *host = vec_next(&pos, len, &n);

		memcpy(to, host, n);
	}
	return true;
}

bool gmem_vec_write(const struct gmem_vec *vec, size_t off, const void *buf, size_t len)
{
	const u8 *from = buf;
	struct vec_pos pos;

	if (!range_fits(off, len, vec->len))
		return false;
	pos = vec_seek(vec, off);
	for (size_t n; len; len -= n, from += n) {
		u8 *host = vec_next(&pos, len, &n);

		memcpy(host, from, n);
	}
	return true;
}

bool gmem_vec_drop(struct gmem_vec *vec, size_t len)
{
	struct vec_pos pos;

	if (len > vec->len)
		return false;
	pos = vec_seek(vec, len);
	vec->n -= (unsigned int)(pos.iov - vec->iov);
	vec->iov = pos.iov;
	vec->len -= len;
	if (pos.off) {
		pos.iov->iov_base = (u8 *)pos.iov->iov_base + pos.off;
		pos.iov->iov_len -= pos.off;
	}
	return true;
}

bool gmem_vec_split(struct gmem_vec *vec, size_t len, struct gmem_vec *tail)
{
	struct vec_pos pos;
	unsigned int n;

	if (len > vec->len)
		return false;
	pos = vec_seek(vec, len);
	n = (unsigned int)(pos.iov - vec->iov);
	if (tail) {
		tail->n = vec->n - n;
		tail->len = vec->len - len;
		for (unsigned int i = 0; i < tail->n; i++)
			tail->iov[i] = pos.iov[i];
		if (pos.off) {
			tail->iov->iov_base = (u8 *)tail->iov->iov_base + pos.off;
			tail->iov->iov_len -= pos.off;
		}
	}
	if (pos.off) {
		pos.iov->iov_len = pos.off;
		n++;
	}
	vec->n = n;
	vec->len = len;
	return true;
}

const struct iovec *gmem_vec_head(const struct gmem_vec *vec, size_t max, struct iovec *part,
				  unsigned int *n)
{
	size_t len = 0;

	for (*n = 0; *n < vec->n && *n < IOV_MAX && vec->iov[*n].iov_len <= max - len; ++*n)
		len += vec->iov[*n].iov_len;
	if (*n || !vec->n)
		return vec->iov;
	*part = (struct iovec){ vec->iov[0].iov_base, max };
	*n = 1;
	return part;
}

ssize_t gmem_vec_readv(const struct gmem_vec *vec, int fd)
{
	ssize_t n;

	do {
		n = readv(fd, vec->iov, (int)min_u64(vec->n, IOV_MAX));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t gmem_vec_recv(const struct gmem_vec *vec, int fd)
{
	struct iovec iov[IOV_MAX];
	u8 excess;

	if (vec->n >= IOV_MAX)
		return -EMSGSIZE;
	memcpy(iov, vec->iov, vec->n * sizeof(*iov));
	iov[vec->n] = (struct iovec){ &excess, sizeof(excess) };
	return gmem_vec_readv(&(struct gmem_vec){ .iov = iov, .n = vec->n + 1 }, fd);
}

ssize_t gmem_vec_writev(const struct gmem_vec *vec, int fd)
{
	ssize_t n;

	do {
		n = writev(fd, vec->iov, (int)min_u64(vec->n, IOV_MAX));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
