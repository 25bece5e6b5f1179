#include "vmm/stats.h"

#include <errno.h>
#include <stdlib.h>

#include "linux-uapi/kvm.h"

/* Far above KVM's 48 bytes; longer ones than fit the API are refused one by one. */
#define NAME_MAX_SIZE 256

/* Where the values of one are, checked to lie in the data block. */
struct stats_values {
	u32 first, n; /* u64s from its start */
};

struct stats {
	const struct kvm *kvm;
	int fd;
	u32 n;
	struct lkvm_stat *stats; /* all but the value */
	struct stats_values *values;
	u64 data_off;
	size_t data_len; /* up to the last value of any */
	u64 *data;
};

/* All of it or an error: KVM gives what is there in one piece, and is not interrupted by signals.
 */
static int read_at(const struct stats *s, u64 off, void *buf, size_t len)
{
	ssize_t ret = len ? s->kvm->be->pread(s->kvm->be->ctx, s->fd, buf, len, off) : 0;

	if (ret < 0)
		return (int)ret;
	return (size_t)ret == len ? 0 : -EPROTO;
}

static int nonsense(struct lkvm_error *err, const char *what, unsigned long long value)
{
	return err_host(err, EPROTO, "KVM's statistics make no sense: %s %llu", what, value);
}

static int check_header(const struct kvm_stats_header *h, struct lkvm_error *err)
{
	if (!h->name_size || h->name_size > NAME_MAX_SIZE)
		return nonsense(err, "the size of names is", h->name_size);
	if (h->num_desc > STATS_MAX)
		return nonsense(err, "the number of descriptors is", h->num_desc);
	if (h->desc_offset % 8 || h->desc_offset < sizeof(*h))
		return nonsense(err, "the descriptors are at", h->desc_offset);
	if (h->data_offset % 8 || h->data_offset < sizeof(*h))
		return nonsense(err, "the values are at", h->data_offset);
	return 0;
}

/* Names come to terminals and into reports. */
static bool take_name(char *name, size_t size, const u8 *from, size_t from_size)
{
	size_t len = strnlen((const char *)from, from_size);

	if (!len || len == from_size || len >= size)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (from[i] <= ' ' || from[i] >= 0x7f)
			return false;
	}
	memcpy(name, from, len + 1);
	return true;
}

static bool take_flags(struct lkvm_stat *stat, u32 flags)
{
	u32 type = (flags & KVM_STATS_TYPE_MASK) >> KVM_STATS_TYPE_SHIFT;
	u32 unit = (flags & KVM_STATS_UNIT_MASK) >> KVM_STATS_UNIT_SHIFT;
	u32 base = (flags & KVM_STATS_BASE_MASK) >> KVM_STATS_BASE_SHIFT;

	if (type > LKVM_STAT_LOG_HISTOGRAM || unit > LKVM_STAT_BOOLEAN || base > 1)
		return false;
	stat->type = (enum lkvm_stat_type)type;
	stat->unit = (enum lkvm_stat_unit)unit;
	stat->base2 = base;
	return true;
}

_Static_assert(LKVM_STAT_LOG_HISTOGRAM == KVM_STATS_TYPE_LOG_HIST >> KVM_STATS_TYPE_SHIFT &&
		       LKVM_STAT_LINEAR_HISTOGRAM ==
			       KVM_STATS_TYPE_LINEAR_HIST >> KVM_STATS_TYPE_SHIFT &&
		       LKVM_STAT_PEAK == KVM_STATS_TYPE_PEAK >> KVM_STATS_TYPE_SHIFT &&
		       LKVM_STAT_BYTES == KVM_STATS_UNIT_BYTES >> KVM_STATS_UNIT_SHIFT &&
		       LKVM_STAT_CYCLES == KVM_STATS_UNIT_CYCLES >> KVM_STATS_UNIT_SHIFT &&
		       LKVM_STAT_BOOLEAN == KVM_STATS_UNIT_BOOLEAN >> KVM_STATS_UNIT_SHIFT,
	       "the public numbers are KVM's");

/* The next of @s from the descriptor at @raw, which has @name_size bytes of name behind it. */
static int add(struct stats *s, const u8 *raw, u32 name_size, struct lkvm_error *err)
{
	struct lkvm_stat stat = { 0 };
	struct kvm_stats_desc d;
	size_t end;

	memcpy(&d, raw, sizeof(d));
	if (!take_name(stat.name, sizeof(stat.name), raw + sizeof(d), name_size))
		return nonsense(err, "no name in descriptor", s->n);
	if (!d.size)
		return nonsense(err, "no values for descriptor", s->n);
	/* both have 32 bits at most, so that the sum does not wrap */
	end = (size_t)d.offset + d.size * sizeof(u64);
	if (d.offset % sizeof(u64) || end > STATS_MAX_LEN)
		return nonsense(err, "a value at", d.offset);
	if (end > s->data_len)
		s->data_len = end;
	if (!take_flags(&stat, d.flags))
		return 0;
	stat.exponent = d.exponent;
	s->stats[s->n] = stat;
	s->values[s->n] = (struct stats_values){ d.offset / sizeof(u64), d.size };
	s->n++;
	return 0;
}

static int read_descs(struct stats *s, const struct kvm_stats_header *h, u8 *raw, size_t len,
		      struct lkvm_error *err)
{
	size_t step = sizeof(struct kvm_stats_desc) + h->name_size;
	int ret = read_at(s, h->desc_offset, raw, len);

	if (ret)
		return err_host(err, -ret, "KVM's statistics: reading %u descriptors", h->num_desc);
	for (u32 i = 0; i < h->num_desc && !ret; i++)
		ret = add(s, raw + i * step, h->name_size, err);
	return ret;
}

static int load(struct stats *s, struct lkvm_error *err)
{
	struct kvm_stats_header h;
	int ret = read_at(s, 0, &h, sizeof(h));
	size_t len;
	u8 *raw;

	if (ret)
		return err_host(err, -ret, "KVM's statistics: reading the header");
	ret = check_header(&h, err);
	if (ret)
		return ret;
	len = h.num_desc * (sizeof(struct kvm_stats_desc) + h.name_size);
	if (len > STATS_MAX_LEN)
		return nonsense(err, "the bytes of descriptors are", len);
	raw = malloc(len + 1);
	s->stats = calloc(h.num_desc + 1, sizeof(*s->stats));
	s->values = calloc(h.num_desc + 1, sizeof(*s->values));
	if (raw && s->stats && s->values)
		ret = read_descs(s, &h, raw, len, err);
	else
		ret = err_host(err, ENOMEM, "KVM's statistics");
	free(raw);
	if (ret)
		return ret;
	s->data_off = h.data_offset;
	s->data = malloc(s->data_len + 1);
	return s->data ? 0 : err_host(err, ENOMEM, "KVM's statistics");
}

bool stats_exist(const struct kvm *kvm)
{
	return kvm_check(kvm, KVM_CAP_BINARY_STATS_FD);
}

int stats_open(struct stats **stats, const struct kvm *kvm, int fd, struct lkvm_error *err)
{
	struct stats *s;
	int ret;

	*stats = NULL;
	if (!stats_exist(kvm))
		return -ENOTTY;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_host(err, ENOMEM, "KVM's statistics");
	s->kvm = kvm;
	s->fd = kvm_fd_ioctl(kvm, fd, KVM_GET_STATS_FD, 0, err);
	ret = s->fd < 0 ? s->fd : load(s, err);
	if (ret) {
		stats_close(s);
		return ret;
	}
	*stats = s;
	return 0;
}

void stats_close(struct stats *stats)
{
	if (!stats)
		return;
	kvm_close_fd(stats->kvm, stats->fd);
	free(stats->stats);
	free(stats->values);
	free(stats->data);
	free(stats);
}

static u64 sum(const u64 *values, u32 n)
{
	u64 total = 0;

	for (u32 i = 0; i < n; i++) {
		if (__builtin_add_overflow(total, values[i], &total))
			return UINT64_MAX;
	}
	return total;
}

int stats_read(struct stats *stats, struct lkvm_stat *out, size_t max)
{
	int ret = max ? read_at(stats, stats->data_off, stats->data, stats->data_len) : 0;

	if (ret)
		return ret;
	for (u32 i = 0; i < stats->n && i < max; i++) {
		const struct stats_values *v = &stats->values[i];

		out[i] = stats->stats[i];
		out[i].value = sum(stats->data + v->first, v->n);
	}
	return (int)stats->n;
}
