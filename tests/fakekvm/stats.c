/* stats.c - statistics descriptors (api.rst 4.133): a file in KVM's own layout, or any bytes that a
 * test wants there. */
#include "tests/fakekvm/internal.h"

#include <errno.h>
#include <stdlib.h>

#define NAME_SIZE   48 /* KVM_STATS_NAME_SIZE */
#define MAX_STATS   8
#define MAX_BUCKETS 4

struct stat_line {
	const char *name;
	u32 flags;
	int16_t exponent;
	u16 n;
	u64 values[MAX_BUCKETS];
};

static const struct stat_line vm_lines[] = {
	{ "remote_tlb_flush", KVM_STATS_TYPE_CUMULATIVE, 0, 1, { 3 } },
	{ "pages_2m", KVM_STATS_TYPE_INSTANT, 0, 1, { 7 } },
	{ "max_mmu_rmap_size", KVM_STATS_TYPE_PEAK, 0, 1, { 1 } },
	{ NULL, 0, 0, 0, { 0 } },
};

static const struct stat_line vcpu_lines[] = {
	{ "exits", KVM_STATS_TYPE_CUMULATIVE, 0, 1, { 0 } }, /* as many as there were KVM_RUNs */
	{ "halt_wait_ns", KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_SECONDS, -9, 1, { 1500 } },
	{ "halt_wait_hist",
	  KVM_STATS_TYPE_LOG_HIST | KVM_STATS_UNIT_SECONDS,
	  -9,
	  4,
	  { 1, 20, 300, 4000 } },
	{ "guest_mode", KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_BOOLEAN, 0, 1, { 1 } },
	{ NULL, 0, 0, 0, { 0 } },
};

/* The file, laid out as KVM does: header, id, descriptors, values. */
struct image {
	struct kvm_stats_header head;
	char id[NAME_SIZE];
	struct {
		u32 flags;
		int16_t exponent;
		u16 size;
		u32 offset, bucket_size;
		char name[NAME_SIZE];
	} desc[MAX_STATS];
	u64 data[MAX_STATS * MAX_BUCKETS];
};

static void build(struct image *im, const struct stat_line *lines, u64 exits)
{
	u32 at = 0, n = 0;

	memset(im, 0, sizeof(*im));
	for (const struct stat_line *l = lines; l->name; l++, n++) {
		im->desc[n].flags = l->flags;
		im->desc[n].exponent = l->exponent;
		im->desc[n].size = l->n;
		im->desc[n].offset = at * (u32)sizeof(u64);
		strncpy(im->desc[n].name, l->name, NAME_SIZE - 1);
		memcpy(im->data + at, l->values, l->n * sizeof(u64));
		if (!strcmp(l->name, "exits"))
			im->data[at] = exits;
		at += l->n;
	}
	strncpy(im->id, "kvm-1", NAME_SIZE - 1);
	im->head = (struct kvm_stats_header){
		.name_size = NAME_SIZE,
		.num_desc = n,
		.id_offset = offsetof(struct image, id),
		.desc_offset = offsetof(struct image, desc),
		.data_offset = offsetof(struct image, data),
	};
}

int fake_get_stats_fd(struct fake_call *c)
{
	int ret = fake_new_fd(c->fk,
			      (struct fake_fd){ .kind = FAKE_STATS, .vm = c->vm, .vcpu = c->vcpu });

	c->result = "stats";
	return ret;
}

ssize_t fake_read_stats(struct fakekvm *fk, const struct fake_fd *f, void *buf, size_t len, u64 off)
{
	const void *file = fk->stats;
	size_t size = fk->stats_len;
	struct image im;

	if (!file) {
		build(&im, f->vcpu ? vcpu_lines : vm_lines, f->vcpu ? f->vcpu->n_runs : 0);
		file = &im;
		size = sizeof(im);
	}
	if (off >= size)
		return 0;
	len = min_u64(len, size - off);
	memcpy(buf, (const u8 *)file + off, len);
	return (ssize_t)len;
}

void fakekvm_set_stats(struct fakekvm *fk, const void *file, size_t len)
{
	void *copy = malloc(len + 1);

	if (!copy)
		abort();
	memcpy(copy, file, len);
	pthread_mutex_lock(&fk->lock);
	free(fk->stats);
	fk->stats = copy;
	fk->stats_len = len;
	pthread_mutex_unlock(&fk->lock);
}
