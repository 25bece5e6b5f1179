/*
 * The entropy device at the hands of a driver that puts anything into its ring, while the
 * host has random numbers, few of them, or none.
 *
 * Beyond crashes it checks what vw_check() lists, and that after a reset every request of a good
 * driver gets as many bytes as it has room for, up to the device's limit. Registers are
 * fuzz_virtio_mmio.c's.
 *
 * Input: operations of a code and what it asks for.
 */
#include "tests/fuzz/vworld.h"

#include <sys/random.h>

#define RNG_MAX 4096

static enum { HOST_GIVES, HOST_GIVES_FEW, HOST_HAS_NONE } host;

/* What the device links to instead of the host's. */
ssize_t getrandom(void *buf, size_t len, unsigned int flags)
{
	CHECK(len && len <= RNG_MAX && (flags & GRND_NONBLOCK));
	if (host == HOST_HAS_NONE) {
		errno = EAGAIN;
		return -1;
	}
	if (host == HOST_GIVES_FEW)
		len = (len + 1) / 2;
	memset(buf, 0xa5, len);
	return (ssize_t)len;
}

static void step(struct vworld *w)
{
	struct vqd *q = &w->q[0];
	u8 op = vw_u8(w);

	switch (op % 8) {
	case 0:
		vw_bring_up(w, op & 8 ? BIT(VIRTIO_F_EVENT_IDX) : 0, 1);
		break;
	case 1:
	case 2:
		vw_add_request(w, q);
		vw_write(w, VMMIO_QUEUE_NOTIFY, 4, 0);
		break;
	case 3:
		vw_poke_ring(w, q);
		break;
	case 4:
		vw_write(w, VMMIO_QUEUE_NOTIFY, 4, 0);
		break;
	case 5:
		loop_manual_run(w->b.loop);
		vqd_used(q, NULL);
		break;
	case 6:
		loop_manual_advance(w->b.loop, op * NSEC_PER_MSEC);
		break;
	case 7:
		host = (op >> 3) % 3;
		break;
	}
	vw_check(w);
}

static void works(struct vworld *w)
{
	static const u32 sizes[] = { 1, 64, RNG_MAX, RNG_MAX + 1, VW_RAM - VW_DATA };

	host = HOST_GIVES;
	CHECK(vw_bring_up(w, 0, 1));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct vqd_buf bufs[] = { { VW_DATA, sizes[i], true } };
		int head = vqd_add(&w->q[0], bufs, 1);
		u8 byte = 0;
		u32 len;

		vw_write(w, VMMIO_QUEUE_NOTIFY, 4, 0);
		loop_manual_run(w->b.loop);
		CHECK(vqd_used(&w->q[0], &len) == head);
		CHECK(len == min_u64(sizes[i], RNG_MAX));
		CHECK(!gmem_read(&w->gmem, VW_DATA + len - 1, &byte, 1) && byte == 0xa5);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct vworld *w = malloc(sizeof(*w));

	if (!w)
		return 0;
	host = HOST_GIVES;
	vw_open(w, data, len, 1);
	vw_plug(w, &virtio_rng_class, NULL);
	vw_bring_up(w, 0, 1);
	for (unsigned int i = 0; w->len && i < 1000; i++)
		step(w);
	vw_reset(w);
	works(w);
	vw_unplug(w);
	vw_close(w);
	free(w);
	return 0;
}
