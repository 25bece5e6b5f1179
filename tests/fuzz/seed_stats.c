/* seed_stats DIR: write the seeds of fuzz_stats.c there: files as KVM lays them out. */
#include "linux-uapi/kvm.h"
#include "tests/fuzz/seedfile.h"

#define NAME_SIZE 16
#define N_DESCS	  3

struct file {
	struct kvm_stats_header h;
	struct {
		u32 flags;
		int16_t exponent;
		u16 size;
		u32 offset, bucket_size;
		char name[NAME_SIZE];
	} desc[N_DESCS];
	u64 data[6];
};

int main(int argc, char **argv)
{
	struct file all = {
		.h = { .name_size = NAME_SIZE,
		       .num_desc = N_DESCS,
		       .desc_offset = offsetof(struct file, desc),
		       .data_offset = offsetof(struct file, data) },
		.desc = { { .size = 1, .name = "exits" },
			  { .flags = KVM_STATS_TYPE_LOG_HIST | KVM_STATS_UNIT_SECONDS,
			    .exponent = -9,
			    .size = 4,
			    .offset = 8,
			    .name = "halt_wait_hist" },
			  { .flags = KVM_STATS_TYPE_PEAK | KVM_STATS_UNIT_BYTES |
				     KVM_STATS_BASE_POW2,
			    .exponent = 10,
			    .size = 1,
			    .offset = 40,
			    .name = "kilobytes" } },
		.data = { 1, 2, 3, 4, 5, 6 },
	};
	struct file none = { .h = all.h }, later = all;
	const struct seed seeds[] = {
		{ "all", (const u8 *)&all, sizeof(all) },
		{ "none", (const u8 *)&none, sizeof(none.h) },
		{ "later-kernel", (const u8 *)&later, sizeof(later) },
	};

	none.h.num_desc = 0;
	later.desc[1].flags = 9;
	return seedfile_write_all(argc, argv, seeds, ARRAY_SIZE(seeds));
}
