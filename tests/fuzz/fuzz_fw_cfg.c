/*
 * Random accesses to fw_cfg: registers, DMA requests for any item to anywhere, while requests of
 * the loop wait, end, fail and end in part.
 *
 * Beyond crashes it checks that no byte of guest memory changes outside the request and what it
 * asked for, and that every request is answered in the end. Does not look for races: everything
 * is on one thread.
 *
 * Input: operations of a code and an argument; a request takes six bytes more.
 */
#include <sys/mman.h>

#include "devices/fw_cfg.h"
#include "tests/fuzz/board.h"

#define PORT	 0x510
#define RAM	 0x10000u
#define ACCESS	 0x8000u
#define FILE_LEN 0x3000u

struct world {
	struct board b;
	struct gmem gmem;
	struct dev *dev;
	int fd;
	u8 was[RAM];
};

static u32 control(struct world *w)
{
	u32 v;

	CHECK(!gmem_read(&w->gmem, ACCESS, &v, sizeof(v)));
	return be32toh(v);
}

static void world_open(struct world *w)
{
	static const u8 file[FILE_LEN] = { 1, 2, 3 };
	struct lkvm_error err = { 0 };

	CHECK(!gmem_add(&w->gmem, 0, RAM, &err));
	board_open(&w->b, &w->gmem);
	w->fd = memfd_create("file", MFD_CLOEXEC);
	CHECK(write(w->fd, file, sizeof(file)) == sizeof(file));
	w->dev = board_plug(&w->b,
			    (struct dev_slot){
				    .cls = &fw_cfg_class,
				    .name = "fw-cfg",
				    .ranges = { { &w->b.ports, PORT, FW_CFG_REGS_LEN,
						  BUS_SIZE_1 | BUS_SIZE_2, FW_CFG_TAG_REGS },
						{ &w->b.ports, PORT + FW_CFG_DMA, FW_CFG_DMA_LEN,
						  BUS_SIZE_ANY, FW_CFG_TAG_DMA } },
				    .gsi = 4,
			    });
	CHECK(!fw_cfg_add_le(w->dev, FW_CFG_NB_CPUS, 1, 2, &err));
	CHECK(!fw_cfg_add_named(w->dev, "etc/e820", file, 40, &err));
	CHECK(!fw_cfg_add_file(w->dev, FW_CFG_KERNEL_DATA, w->fd, 5, FILE_LEN - 5, "file", &err));
}

/* What the loop has is given back to it, so that every request is answered. */
static void settle(struct world *w)
{
	w->b.hold = false;
	while (w->b.n_held) {
		board_end_io(&w->b, 0, -EIO);
		loop_manual_run(w->b.loop);
	}
	CHECK(control(w) <= 1);
}

static void world_close(struct world *w)
{
	settle(w);
	board_unplug(&w->b, w->dev);
	board_close(&w->b);
	gmem_fini(&w->gmem);
	close(w->fd);
}

/* @arg: the key and what to do; @p: length and address, each from some of its bytes. */
static void request(struct world *w, u8 arg, const u8 p[6])
{
	static const u16 keys[] = {
		0, 1, FW_CFG_NB_CPUS, 0x19, 0x20, FW_CFG_KERNEL_DATA, 0x33, 0xffff,
	};
	u32 len = p[0] | (u32)p[1] << 8 | (u32)p[2] << 24;
	u64 gpa = p[3] | (u64)p[4] << 8 | (u64)p[5] << 56, be_gpa = htobe64(gpa);
	u32 words[2] = { htobe32((u32)keys[arg & 7] << 16 | arg >> 3), htobe32(len) };
	u8 now[RAM];

	/* whose answer it is must be known */
	if (w->b.n_held)
		return;
	CHECK(!gmem_write(&w->gmem, ACCESS, words, sizeof(words)));
	CHECK(!gmem_write(&w->gmem, ACCESS + 8, &be_gpa, sizeof(be_gpa)));
	CHECK(!gmem_read(&w->gmem, 0, w->was, RAM));
	bus_write(&w->b.ports, PORT + 8, 4, htobe32(ACCESS), NULL);
	loop_manual_run(w->b.loop);
	CHECK(w->b.n_held || control(w) <= 1);
	CHECK(!gmem_read(&w->gmem, 0, now, RAM));
	for (u32 i = 0; i < RAM; i++) {
		if (now[i] != w->was[i])
			CHECK((i >= ACCESS && i < ACCESS + 4) || (i >= gpa && i - gpa < len));
	}
}

static size_t step(struct world *w, const u8 *p, size_t left)
{
	u8 op = p[0], arg = p[1];

	switch (op & 7) {
	case 0:
		bus_write(&w->b.ports, PORT + (op >> 3 & 1), 1u + (op >> 4 & 1), arg, NULL);
		break;
	case 1:
		bus_read(&w->b.ports, PORT + 1, 1, NULL);
		break;
	case 2:
		bus_write(&w->b.ports, PORT + 4 + (op >> 3 & 7), 1u << (arg & 3), UINT64_MAX, NULL);
		bus_write(&w->b.ports, PORT + 8, 4, htobe32(RAM - arg), NULL);
		break;
	case 3:
		w->b.hold = arg & 1;
		break;
	case 4:
		if (w->b.n_held) {
			board_end_io(&w->b, 0,
				     arg < 200 ? (s64)min_u64(arg, w->b.held[0]->vec.len) : -EIO);
			loop_manual_run(w->b.loop);
		}
		break;
	default:
		if (left < 8)
			return 2;
		request(w, arg, p + 2);
		return 8;
	}
	return 2;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return 0;
	world_open(w);
	for (size_t i = 0; i + 1 < len && i < 2048;)
		i += step(w, data + i, len - i);
	world_close(w);
	free(w);
	return 0;
}
