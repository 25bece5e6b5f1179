/*
 * A virtio device over MMIO at the hands of a driver that does anything: registers of all
 * sizes, rings and what is in them, resets with file requests under way, a device that is plugged
 * out and in. Behind the transport is a fake class (tests/unit/vfake.h).
 *
 * Beyond crashes it checks, after every step, what vw_check() lists, and in the end that a reset
 * makes the device work again. Does not look for races, nor into any real class.
 *
 * Input: operations of a code and what it asks for.
 */
#include "tests/fuzz/vworld.h"

#include "tests/unit/vfake.h"

#define N_QUEUES   3
#define CONFIG_LEN 40

static void plug(struct vworld *w, struct vfake **f)
{
	struct vfake_cfg cfg = {
		.out = f,
		.n_queues = N_QUEUES,
		.size = VW_QUEUE_SIZE,
		.features = BIT(0) | BIT(3) | BIT(35),
		.config_len = CONFIG_LEN,
		.fd = -1, /* what is not held fails */
	};

	vw_plug(w, &vfake_class, &cfg);
}

static u64 any_offset(struct vworld *w)
{
	static const u16 regs[] = {
		VMMIO_DEVICE_FEATURES_SEL,
		VMMIO_DRIVER_FEATURES,
		VMMIO_DRIVER_FEATURES_SEL,
		VMMIO_QUEUE_SEL,
		VMMIO_QUEUE_NUM,
		VMMIO_QUEUE_READY,
		VMMIO_QUEUE_NOTIFY,
		VMMIO_INTERRUPT_ACK,
		VMMIO_STATUS,
		VMMIO_QUEUE_DESC,
		VMMIO_QUEUE_DESC + 4,
		VMMIO_QUEUE_DRIVER,
		VMMIO_QUEUE_DRIVER + 4,
		VMMIO_QUEUE_DEVICE,
		VMMIO_QUEUE_DEVICE + 4,
		VMMIO_CONFIG,
	};
	u16 raw = vw_u16(w);

	return raw & 0x8000 ? raw % VMMIO_LEN : regs[raw % ARRAY_SIZE(regs)];
}

static void access_anything(struct vworld *w, bool write)
{
	u64 off = any_offset(w);
	unsigned int size = off < VMMIO_CONFIG ? 4 : 1u << vw_u8(w) % 4;

	if (!write)
		vw_read(w, off, size);
	else
		vw_write(w, off, size, vw_num(w));
}

static void step(struct vworld *w, struct vfake **f)
{
	u8 op = vw_u8(w), i = op % N_QUEUES;
	unsigned int which;
	u64 off;

	switch (op >> 4) {
	case 0:
	case 1:
		access_anything(w, true);
		break;
	case 2:
		access_anything(w, false);
		break;
	case 3: /* of sizes and offsets that registers do not take */
		off = vw_u16(w) % VMMIO_LEN;
		vw_write(w, off, 1u << op % 4, vw_num(w));
		vw_read(w, vw_u16(w) % VMMIO_LEN, 1u << op % 4);
		break;
	case 4:
		vw_bring_up(w, op % 2 ? BIT(VIRTIO_F_EVENT_IDX) : BIT(3), N_QUEUES);
		break;
	case 5:
		vw_write(w, VMMIO_STATUS, 4, op % 8 ? BIT(op % 8) - 1 : vw_u8(w));
		break;
	case 6:
		vmmio_queue(&w->m, i, &w->q[i], VW_RINGS + i * VW_RINGS_STEP, VW_QUEUE_SIZE);
		break;
	case 7:
	case 8:
		vw_add_request(w, &w->q[i]);
		vw_write(w, VMMIO_QUEUE_NOTIFY, 4, i);
		break;
	case 9:
		vw_poke_ring(w, &w->q[i]);
		break;
	case 10:
		vw_write(w, VMMIO_QUEUE_NOTIFY, 4, i);
		vqd_used(&w->q[i], NULL);
		break;
	case 11:
		loop_manual_run(w->b.loop);
		break;
	case 12:
		which = vw_u8(w);
		board_end_io(&w->b, which, op % 2 ? vw_u8(w) : -EIO);
		break;
	case 13:
		(*f)->mode = (enum vfake_mode)(op % 4);
		w->b.hold = op & 4;
		w->b.bells_full = op & 8;
		break;
	case 14:
		if (op % 4 == 0)
			virtio_config_changed(&(*f)->v);
		else if (op % 4 == 1)
			virtio_run(&(*f)->v.queues[i]);
		else
			vmmio_ack(&w->m);
		break;
	case 15:
		if (op != 0xff || w->dev->n_io)
			break;
		vw_unplug(w);
		plug(w, f);
		break;
	}
	vw_check(w);
}

/* It is as new, whatever was done to it. */
static void works(struct vworld *w, struct vfake *f)
{
	u32 len;
	int head;

	f->mode = VFAKE_SERVE;
	CHECK(vw_bring_up(w, 0, N_QUEUES));
	for (unsigned int i = 0; i < N_QUEUES; i++) {
		head = vqd_add(&w->q[i], &(struct vqd_buf){ VW_DATA, 8, true }, 1);
		vw_write(w, VMMIO_QUEUE_NOTIFY, 4, i);
		loop_manual_run(w->b.loop);
		CHECK(vqd_used(&w->q[i], &len) == head && len == 8);
		CHECK(vw_level(w) && vmmio_ack(&w->m) == 1 && !vw_level(w));
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct vworld *w = malloc(sizeof(*w));
	struct vfake *f;

	if (!w)
		return 0;
	vw_open(w, data, len, N_QUEUES);
	plug(w, &f);
	for (unsigned int i = 0; w->len && i < 1000; i++)
		step(w, &f);
	vw_reset(w);
	w->b.bells_full = false;
	works(w, f);
	vw_unplug(w);
	vw_close(w);
	free(w);
	return 0;
}
