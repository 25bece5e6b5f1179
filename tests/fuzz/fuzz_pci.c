/*
 * A hostile kernel on a PCI bus: configuration space by ports and ECAM, BARs and a Q35's ECAM
 * that move anywhere, MSI-X tables, the window of virtio, among good requests; a function that only
 * remembers, a virtio device that answers late, and an entropy device.
 *
 * Beyond crashes it checks after each step that ranges on the bus are those of BARs that are
 * enabled, disjoint and never over RAM; that doorbells lie inside them; that what cannot be
 * written stays; that lines and messages follow their enable bits; that nobody works for a
 * driver without bus mastering; and at the end that a good driver finds all in order.
 * Does not look for races: everything is on one thread and on virtual time.
 *
 * Input: see pciops.h.
 */
#include <stdatomic.h>

#include "tests/fuzz/board.h"
#include "tests/fuzz/pciops.h"
#include "tests/unit/pcidriver.h"
#include "tests/unit/vfake.h"

#define WINDOW	   0xc0000000u
#define WINDOW_LEN 0x80000u
#define ECAM	   0xe0000000u
#define ECAM_LEN   0x100000u
#define RAM	   0x80000u
#define ISLAND	   (WINDOW + 0x40000u) /* RAM where BARs want to be */
#define ISLAND_LEN 0x3000u
#define BUF	   0x70000u
#define RING(n)	   (0x10000u * (1 + (n)))
#define SIZE	   8

#define FIRST_GSI 5
#define N_DEVS	  3
#define MAX_STEPS 4096
#define N_QUEUES  3
#define N_MSIS	  (3 + N_QUEUES + 1 + 2)

enum { FAKE = 1, VIRTIO, RNG }; /* slots */

static const u32 bar_sizes[N_DEVS + 1][PCI_MAX_BARS] = {
	[FAKE] = { 0x1000, 0x8000, 0, 0x2000 },
	[VIRTIO] = { 0x8000 },
	[RNG] = { 0x8000 },
};

struct world {
	struct board b;
	struct gmem gmem;
	struct pci_bus bus;
	bool q35;
	struct dev *devs[N_DEVS + 1];
	struct virtio_class cls; /* of the fake */
	struct vfake *fake;
	struct vpci v[N_DEVS + 1];
	struct vqd q[N_DEVS + 1][N_QUEUES];

	u8 config[N_DEVS + 1][PCI_CONFIG_SIZE]; /* at the start */
	const u8 *in, *end;
};

/* ---- the machine -------------------------------------------------------------------------- */

static void plug(struct world *w, unsigned int slot, const struct dev_class *cls, const void *cfg)
{
	struct dev_slot s = { .cls = cls, .name = cls->name, .cfg = cfg };

	if (slot == 0) {
		s.ranges[0] = (struct dev_range){ &w->b.ports, PCID_PORT_ADDRESS, 8, BUS_SIZE_ANY,
						  PCI_HOST_TAG_PORTS };
		if (!w->q35)
			s.ranges[1] = (struct dev_range){ &w->b.mmio, ECAM, ECAM_LEN, BUS_SIZE_ANY,
							  PCI_HOST_TAG_ECAM };
	} else {
		s.gsi = FIRST_GSI + slot % 2;
	}
	w->devs[slot] = board_plug(&w->b, s);
}

static void plug_all(struct world *w)
{
	struct pcifake_cfg fake = { .bus = &w->bus, .slot = FAKE, .n_vectors = 3 };
	struct virtio_cfg virtio = { .bus = &w->bus };

	plug(w, 0, &pci_host_class, &(struct pci_host_cfg){ .bus = &w->bus, .q35 = w->q35 });
	memcpy(fake.bars, bar_sizes[FAKE], sizeof(fake.bars));
	plug(w, FAKE, &pcifake_class, &fake);
	virtio.slot = VIRTIO;
	virtio.cls = &w->cls;
	virtio.cfg = &(struct vfake_cfg){
		.out = &w->fake, .n_queues = N_QUEUES, .size = 64, .config_len = 20, .fd = -1
	};
	plug(w, VIRTIO, &virtio_pci_class, &virtio);
	virtio.slot = RNG;
	virtio.cls = &virtio_rng_class;
	virtio.cfg = NULL;
	plug(w, RNG, &virtio_pci_class, &virtio);
}

static void world_open(struct world *w, u8 kind)
{
	w->cls = vfake_class;
	if (kind & 1)
		w->cls.last_words = 0xaaaaaaaaaaaaaaaa;
	w->q35 = kind & 2;
	CHECK(!gmem_add(&w->gmem, 0, RAM, NULL));
	CHECK(!gmem_add(&w->gmem, ISLAND, ISLAND_LEN, NULL));
	board_open(&w->b, &w->gmem);
	pci_bus_init(&w->bus, &w->b.mmio, &w->gmem, WINDOW, WINDOW_LEN);
	plug_all(w);
	CHECK(w->b.chip.msis[N_MSIS - 1] && !w->b.chip.msis[N_MSIS]);
	for (unsigned int s = 0; s <= N_DEVS; s++) {
		w->v[s].pci = (struct pcid){ &w->b.ports, &w->b.mmio, w->q35 ? 0 : ECAM, s };
		w->v[s].gm = &w->gmem;
		vpci_probe(&w->v[s]);
		for (u32 off = 0; off < PCI_CONFIG_SIZE; off++)
			w->config[s][off] = (u8)pcid_read(&w->v[s].pci, off, 1);
		for (unsigned int i = 0; i < N_QUEUES; i++)
			CHECK(!vqd_init(&w->q[s][i], &w->gmem, RING(i), SIZE, false));
	}
}

static void world_close(struct world *w)
{
	for (unsigned int s = 1; s <= N_DEVS; s++) {
		irq_set(&w->devs[s]->irq, false);
		dev_destroy(w->devs[s]);
		CHECK(!w->bus.slots[s]);
	}
	CHECK(!w->b.n_bells);
	CHECK(w->b.mmio.n_ranges == 1); /* ECAM: BARs go with their device, other ranges do not */
	board_unplug(&w->b, w->devs[0]);
	CHECK(!w->bus.slots[0]);
	board_close(&w->b);
	gmem_fini(&w->gmem);
}

/* ---- what is always so ---------------------------------------------------------------------- */

static unsigned int slot_of(const struct world *w, const struct dev *dev)
{
	for (unsigned int s = 0; s <= N_DEVS; s++) {
		if (w->devs[s] == dev)
			return s;
	}
	CHECK(!"a range belongs to a device");
	return 0;
}

static u16 command(const struct world *w, unsigned int slot)
{
	return (u16)pcid_read(&w->v[slot].pci, PCID_COMMAND, 2);
}

/* Where ECAM is, or should be; 0: nowhere. */
static u64 ecam_base(const struct world *w)
{
	u32 bar = w->q35 ? pcid_read(&w->v[0].pci, PCID_PCIEXBAR, 4) : ECAM | PCID_PCIEXBAR_ENABLE;

	return bar & PCID_PCIEXBAR_ENABLE ? bar & PCID_PCIEXBAR_BASE : 0;
}

static void check_range(const struct world *w, const struct bus_range *r)
{
	unsigned int slot = slot_of(w, r->dev);

	CHECK(r->base >= RAM && !ranges_overlap(r->base, r->len, ISLAND, ISLAND_LEN));
	if (slot == 0) {
		CHECK(r->base == ecam_base(w) && r->len == ECAM_LEN);
		return;
	}
	CHECK(command(w, slot) & PCID_MEMORY);
	CHECK(r->tag < PCI_MAX_BARS && r->len == bar_sizes[slot][r->tag]);
	CHECK(r->base == pcid_bar(&w->v[slot].pci, r->tag));
	CHECK(r->base >= WINDOW && r->base + r->len <= WINDOW + WINDOW_LEN);
	CHECK(r->sizes == BUS_SIZE_ANY);
}

static void check_bus(const struct world *w)
{
	const struct bus_range *r = w->b.mmio.ranges;

	for (unsigned int i = 0; i < w->b.mmio.n_ranges; i++) {
		check_range(w, &r[i]);
		CHECK(!i || r[i - 1].base + r[i - 1].len <= r[i].base);
	}
}

static void check_bells(const struct world *w)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < w->b.n_bells; i++) {
		const struct bus_doorbell *db = &w->b.bells[i];

		CHECK(db->size == 0 && !db->match);
		for (unsigned int j = 0; j < w->b.mmio.n_ranges; j++) {
			const struct bus_range *r = &w->b.mmio.ranges[j];

			if (!r->tag && r->dev != w->devs[0] && r->dev != w->devs[FAKE])
				n += db->addr >= r->base && db->addr < r->base + r->len;
		}
	}
	CHECK(n == w->b.n_bells);
	for (unsigned int i = 0; i < N_QUEUES; i++) {
		struct virtio_queue *q = &w->fake->v.queues[i];

		for (unsigned int j = 0; j < w->b.n_bells; j++)
			CHECK(w->b.bells[j].fd != q->bell.lfd.fd || q->vq.enabled);
	}
}

/* What the driver cannot change, and what the device changes by itself. */
static u8 fixed_bits(const struct world *w, unsigned int slot, u32 off)
{
	const struct vpci *v = &w->v[slot];

	switch (off) {
	case PCID_COMMAND:
		return (u8) ~(PCID_MEMORY | PCID_MASTER);
	case PCID_COMMAND + 1:
		return (u8) ~(PCID_INTX_DISABLE >> 8);
	case PCID_STATUS:
		return (u8)~PCID_STATUS_INTX;
	case PCID_BAR(0)... PCID_BAR(PCI_MAX_BARS) - 1:
		return off % 4 ? 0 : 0xf;
	case PCID_INTERRUPT_LINE:
		return slot ? 0 : 0xff;
	case PCID_PCIEXBAR:
	case PCID_PCIEXBAR + 3:
		if (slot == 0 && w->q35)
			return (u8) ~(off == PCID_PCIEXBAR ? PCID_PCIEXBAR_ENABLE
							   : PCID_PCIEXBAR_BASE >> 24);
		break;
	}
	if (v->msix && off == v->msix + 3u)
		return 0x3f;
	if (v->window && off >= v->window && off < v->window + 20u)
		return off == v->window + 4u || off >= v->window + 8u ? 0 : 0xff;
	return 0xff;
}

/* Costly, so not after each step. */
static void check_config(const struct world *w)
{
	for (unsigned int s = 0; s <= N_DEVS; s++) {
		for (u32 off = 0; off < PCI_CONFIG_SIZE; off += 4) {
			u32 val, fixed = 0;

			for (u32 i = 0; i < 4; i++)
				fixed |= (u32)fixed_bits(w, s, off + i) << 8 * i;
			/* nor is the window's data read, which would be an access to the BAR */
			val = fixed ? pcid_read(&w->v[s].pci, off, 4) : 0;
			CHECK(!((val ^ get_le32(w->config[s] + off)) & fixed));
		}
	}
}

static void check_interrupts(const struct world *w)
{
	bool want[IRQ_MAX_GSI] = { false };

	for (unsigned int s = 1; s <= N_DEVS; s++) {
		const struct vpci *v = &w->v[s];
		u16 flags = v->msix ? (u16)pcid_read(&v->pci, v->msix + 2u, 2) : 0;

		if (pcid_read(&v->pci, PCID_STATUS, 2) & PCID_STATUS_INTX &&
		    !(flags & PCID_MSIX_ENABLE) && !(command(w, s) & PCID_INTX_DISABLE))
			want[FIRST_GSI + s % 2] = true;
		for (unsigned int i = 0; i < N_MSIS; i++) {
			const struct irq_msi *msi = w->b.chip.msis[i];

			if (msi->devid == s << 3 && msi->bound)
				CHECK(flags & PCID_MSIX_ENABLE && !(flags & PCID_MSIX_MASKED) &&
				      command(w, s) & PCID_MASTER);
		}
	}
	CHECK(!memcmp(want, w->b.level, sizeof(want)));
}

/* Who may touch memory without bus mastering: nobody but a console that prints. */
static void check_master(const struct world *w)
{
	const struct virtio *v = &w->fake->v;

	if (command(w, VIRTIO) & PCID_MASTER || !virtio_live(v))
		return;
	CHECK(w->cls.last_words);
	for (unsigned int i = 0; i < N_QUEUES; i += 2)
		CHECK(!v->queues[i].vq.enabled);
}

static void check_all(const struct world *w)
{
	const struct virtio *v = &w->fake->v;

	check_bus(w);
	check_bells(w);
	check_interrupts(w);
	check_master(w);
	CHECK(v->status || !(pcid_read(&w->v[VIRTIO].pci, PCID_STATUS, 2) & PCID_STATUS_INTX));
	CHECK(!atomic_load(&w->devs[0]->throttled) || v->resetting);
	CHECK(atomic_load(&w->devs[VIRTIO]->throttled) == v->resetting);
}

/* ---- steps ------------------------------------------------------------------------------------
 */

static u8 arg(struct world *w)
{
	return w->in < w->end ? *w->in++ : 0;
}

static u16 arg16(struct world *w)
{
	u16 low = arg(w);

	return (u16)(low | arg(w) << 8);
}

static u32 arg32(struct world *w)
{
	u32 low = arg16(w);

	return low | (u32)arg16(w) << 16;
}

static unsigned int arg_slot(struct world *w)
{
	return 1 + arg(w) % N_DEVS;
}

static unsigned int arg_size(struct world *w)
{
	return 1u << (arg(w) & 3);
}

static u64 ecam(struct world *w, unsigned int *size)
{
	u64 slot = arg(w);

	*size = arg_size(w);
	return ecam_base(w) + (slot << 15) % ECAM_LEN + arg16(w) % 0x8000;
}

static u64 bar_addr(struct world *w, unsigned int *size)
{
	unsigned int slot = arg_slot(w), bar = arg(w) % PCI_MAX_BARS;

	*size = arg_size(w);
	return (u64)pcid_bar(&w->v[slot].pci, bar) + arg16(w);
}

static void move(struct world *w)
{
	unsigned int slot = arg_slot(w), bar = arg(w) % PCI_MAX_BARS;
	u32 page = arg(w);

	/* a quarter of the places are no good */
	pcid_move(&w->v[slot].pci, bar,
		  page == 0xff ? UINT32_MAX : WINDOW + WINDOW_LEN / 192 * (page & ~7u));
}

static void move_ecam(const struct world *w, u8 bits)
{
	pcid_write(&w->v[0].pci, PCID_PCIEXBAR, 4,
		   ((u32)bits << 24 & PCID_PCIEXBAR_BASE) | (bits & PCID_PCIEXBAR_ENABLE));
}

static void set_command(struct world *w)
{
	unsigned int slot = arg_slot(w);
	u8 bits = arg(w);

	pcid_command(&w->v[slot].pci,
		     (bits & (PCID_MEMORY | PCID_MASTER)) | (bits & 0x80 ? PCID_INTX_DISABLE : 0));
}

static unsigned int n_queues(unsigned int slot)
{
	return slot == VIRTIO ? N_QUEUES : slot == RNG ? 1 : 0;
}

/* A good driver, on a device that may be in any state and anywhere. */
static bool start(struct world *w, unsigned int slot, u8 flags)
{
	struct vpci *v = &w->v[slot];
	bool msix = flags & 1;

	vpci_probe(v);
	vpci_msix_control(v, msix ? PCID_MSIX_ENABLE : 0);
	for (unsigned int i = 0; msix && i < v->n_vectors; i++)
		vpci_msix_set(v, i, 0xfee00000, i);
	if (!vpci_begin(v, 0))
		return false;
	for (unsigned int i = 0; i < n_queues(slot); i++) {
		if (!vpci_queue(v, (u16)i, &w->q[slot][i], RING(i), SIZE,
				msix ? (u16)i : VIRTIO_NO_VECTOR))
			return false;
	}
	return flags & 2 || vpci_driver_ok(v);
}

static void request(struct world *w, unsigned int slot, u8 queue)
{
	if (!n_queues(slot))
		return;
	queue = (u8)(queue % n_queues(slot));
	while (vqd_used(&w->q[slot][queue], NULL) >= 0)
		;
	vqd_add(&w->q[slot][queue], &(struct vqd_buf){ BUF, 16, true }, 1);
	board_write(&w->b, vpci_notify_addr(&w->v[slot], queue), 2, queue);
}

static void use_register(struct world *w)
{
	struct vpci *v = &w->v[arg_slot(w)];
	u32 off = arg(w) % (VPCI_COMMON_LEN + 4);
	unsigned int size = arg_size(w);

	vpci_probe(v);
	vpci_write(v, off, size, arg16(w));
	CHECK(vpci_read(v, off, size) <= UINT64_MAX >> (64 - 8 * size));
}

static void message(struct world *w)
{
	unsigned int slot = arg_slot(w);
	u8 vector = arg(w);

	vpci_msix_set(&w->v[slot], vector, 0xfee00000, arg(w));
}

static void window(struct world *w)
{
	const struct vpci *v = &w->v[arg_slot(w)];
	u8 flags;

	pcid_write(&v->pci, v->window + 4u, 1, arg(w));
	pcid_write(&v->pci, v->window + 12u, 4, arg(w));
	flags = arg(w);
	pcid_write(&v->pci, v->window + 8u, 4, arg16(w));
	if (flags & 1)
		pcid_write(&v->pci, v->window + 16u, 4, arg32(w));
	else
		pcid_read(&v->pci, v->window + 16u, 4);
}

static void device_acts(struct world *w, u8 what)
{
	struct pcifake *fake = pcifake_of(w->devs[FAKE]);

	switch (what % 8) {
	case 0:
	case 1:
		pci_intx(&fake->func, what & 1);
		break;
	case 2:
		msix_send(&fake->func.msix, what >> 3);
		break;
	case 3:
		virtio_config_changed(&w->fake->v);
		break;
	case 4:
		w->fake->mode = (what >> 3) % 4;
		break;
	case 5:
		loop_manual_advance(w->b.loop, 200 * NSEC_PER_MSEC);
		break;
	}
}

static void end_io(struct world *w)
{
	loop_manual_run(w->b.loop);
	if (!w->b.n_held)
		return;
	board_end_io(&w->b, w->b.n_held - 1, 16);
	loop_manual_run(w->b.loop);
}

static void step(struct world *w)
{
	unsigned int slot, size;
	u64 addr;
	u8 op = arg(w);

	switch (op % PCIOP_N) {
	case PCIOP_ECAM_READ:
		addr = ecam(w, &size);
		board_read(&w->b, addr, size);
		break;
	case PCIOP_ECAM_WRITE:
		addr = ecam(w, &size);
		board_write(&w->b, addr, size, arg32(w));
		break;
	case PCIOP_PORT_READ:
		addr = PCID_PORT_ADDRESS + arg(w) % 8;
		size = arg_size(w);
		CHECK(bus_read(&w->b.ports, addr, size, NULL) <= UINT64_MAX >> (64 - 8 * size));
		break;
	case PCIOP_PORT_WRITE:
		addr = PCID_PORT_ADDRESS + arg(w) % 8;
		size = arg_size(w);
		bus_write(&w->b.ports, addr, size, arg32(w), NULL);
		break;
	case PCIOP_BAR_READ:
		addr = bar_addr(w, &size);
		board_read(&w->b, addr, size);
		break;
	case PCIOP_BAR_WRITE:
		addr = bar_addr(w, &size);
		board_write(&w->b, addr, size, arg32(w) * 0x100000001ull);
		break;
	case PCIOP_MOVE:
		move(w);
		break;
	case PCIOP_COMMAND:
		set_command(w);
		break;
	case PCIOP_START:
		slot = arg_slot(w);
		start(w, slot, arg(w));
		break;
	case PCIOP_REQUEST:
		slot = arg_slot(w);
		request(w, slot, arg(w));
		break;
	case PCIOP_MESSAGE:
		message(w);
		break;
	case PCIOP_WINDOW:
		window(w);
		break;
	case PCIOP_DEVICE:
		device_acts(w, arg(w));
		break;
	case PCIOP_HOST:
		op = arg(w);
		w->b.bells_full = op & 1;
		w->b.messages_full = op & 2;
		w->b.hold = op & 4;
		break;
	case PCIOP_RUN:
		end_io(w);
		break;
	case PCIOP_MSIX:
		slot = arg_slot(w);
		vpci_msix_control(&w->v[slot], (u16)((arg(w) & 0xc0) << 8));
		break;
	case PCIOP_REGISTER:
		use_register(w);
		break;
	case PCIOP_PCIEXBAR:
		move_ecam(w, arg(w));
		break;
	}
}

/* Whatever happened, a kernel that starts now has devices that work. */
static void check_recovery(struct world *w)
{
	w->b.bells_full = w->b.messages_full = w->b.hold = false;
	while (w->b.n_held)
		end_io(w);
	end_io(w);
	CHECK(!atomic_load(&w->devs[0]->throttled));
	for (unsigned int s = 1; s <= N_DEVS; s++)
		pcid_command(&w->v[s].pci, 0);
	move_ecam(w, 0);
	move_ecam(w, ECAM >> 24 | PCID_PCIEXBAR_ENABLE);
	for (unsigned int s = 1; s <= N_DEVS; s++) {
		for (unsigned int bar = 0; bar < PCI_MAX_BARS; bar++)
			pcid_move(&w->v[s].pci, bar, WINDOW + s * 0x10000 + bar * 0x8000 % 0x10000);
		pcid_move(&w->v[s].pci, 3, WINDOW + 0x50000); /* the odd one */
		pcid_command(&w->v[s].pci, PCID_MEMORY | PCID_MASTER);
	}
	CHECK(w->b.mmio.n_ranges == 6);
	w->fake->mode = VFAKE_SERVE;
	for (unsigned int s = VIRTIO; s <= RNG; s++) {
		CHECK(start(w, s, s == VIRTIO));
		for (unsigned int i = 0; i < n_queues(s); i++) {
			vpci_isr(&w->v[s]);
			request(w, s, (u8)i);
			loop_manual_run(w->b.loop);
			CHECK(vqd_used(&w->q[s][i], NULL) >= 0);
			CHECK(s == VIRTIO || vpci_isr(&w->v[s]) == 1);
		}
	}
	check_all(w);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return 0;
	world_open(w, len ? data[0] : 0);
	w->in = data + (len != 0);
	w->end = data + len;
	for (unsigned int i = 0; i < MAX_STEPS && w->in < w->end; i++) {
		unsigned int served = w->fake->n_served;
		bool master = command(w, VIRTIO) & PCID_MASTER;

		step(w);
		check_all(w);
		CHECK(master || w->cls.last_words || w->fake->n_served == served);
	}
	check_config(w);
	check_recovery(w);
	check_config(w);
	world_close(w);
	free(w);
	return 0;
}
