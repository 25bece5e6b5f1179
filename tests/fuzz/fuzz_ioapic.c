/*
 * The I/O APIC at the hands of CPUs that access its registers at random, while lines go up and down
 * and local APICs acknowledge what they were sent, something else, or nothing.
 *
 * Beyond crashes it checks: the work of one step is bounded; what is sent has a legal vector, and a
 * route of its own first if it is a level; remote IRR is set for levels only; and at the end each
 * line that is high, unmasked and a level is sent again once all is acknowledged.
 *
 * Input: operations of a code and two bytes.
 */
#include "devices/ioapic.h"

#include "tests/fuzz/board.h"

#define BASE	   0xfec00000ull
#define WINDOW	   0x10
#define EOI	   0x40
#define MASKED	   0x10000u
#define LEVEL	   0x8000u
#define REMOTE_IRR 0x4000u

struct world {
	struct board b;
	struct dev *dev;
	struct irq_line lines[2 * IOAPIC_N_PINS]; /* two on each input */
	u32 routed[IOAPIC_N_PINS];
	unsigned int n_sent, n_routed; /* by this step */
	bool refuse, no_route;
};

static bool on_send(void *ctx, u64 addr, u32 data)
{
	struct world *w = ctx;
	unsigned int mode = data >> 8 & 7;
	bool routed = false;

	CHECK(++w->n_sent <= IOAPIC_N_PINS);
	CHECK(addr >> 20 == 0xfee && !(addr & 0x1b));
	CHECK(!(data & ~(u32)0xc7ff) && (mode > 1 || (data & 0xff) >= 16));
	if (!(data & LEVEL))
		return !w->refuse;
	CHECK(mode <= 1);
	for (u32 i = 0; i < IOAPIC_N_PINS; i++)
		routed |= w->routed[i] == data;
	CHECK(routed || w->no_route);
	return !w->refuse;
}

static int on_route(void *ctx, u32 pin, u64 addr, u32 data)
{
	struct world *w = ctx;

	CHECK(pin < IOAPIC_N_PINS && addr >> 20 == 0xfee && data & LEVEL);
	CHECK(++w->n_routed <= IOAPIC_N_PINS);
	if (w->no_route)
		return -ENOMEM;
	w->routed[pin] = data;
	return 0;
}

static void on_set(void *ctx, u32 gsi, bool level)
{
	struct world *w = ctx;

	if (w->dev)
		ioapic_set(w->dev, gsi, level);
}

static void world_open(struct world *w)
{
	struct ioapic_cfg cfg = { .send = on_send, .route = on_route, .ctx = w };

	board_open(&w->b, NULL);
	w->dev =
		board_plug(&w->b, (struct dev_slot){
					  .cls = &ioapic_class,
					  .name = "ioapic",
					  .ranges = { { &w->b.mmio, BASE, IOAPIC_LEN,
							BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4, 0 } },
					  .gsi = 1, /* for the chip, it drives none itself */
					  .cfg = &cfg,
				  });
	w->b.chip.set = on_set;
	w->b.chip.ctx = w;
	for (u32 i = 0; i < ARRAY_SIZE(w->lines); i++)
		w->lines[i] = (struct irq_line){ .chip = &w->b.chip, .gsi = i % IOAPIC_N_PINS };
}

static u32 reg(struct world *w, u8 index)
{
	bus_write(&w->b.mmio, BASE, 4, index, NULL);
	return (u32)bus_read(&w->b.mmio, BASE + WINDOW, 4, NULL);
}

static void set_reg(struct world *w, u8 index, u32 val)
{
	bus_write(&w->b.mmio, BASE, 4, index, NULL);
	bus_write(&w->b.mmio, BASE + WINDOW, 4, val, NULL);
}

static void check_entries(struct world *w)
{
	for (u8 i = 0; i < IOAPIC_N_PINS; i++) {
		u32 low = reg(w, (u8)(0x10 + 2 * i));

		CHECK(!(low & ~(u32)0x1efff));
		CHECK(!(low & REMOTE_IRR) || (low & LEVEL && (low >> 8 & 7) <= 1));
	}
}

static void step(struct world *w, u8 op, u8 a, u8 b)
{
	struct irq_line *line = &w->lines[a % ARRAY_SIZE(w->lines)];

	w->n_sent = w->n_routed = 0;
	switch (op % 10) {
	case 0: /* anything anywhere */
		bus_write(&w->b.mmio, BASE + a, 1u << b % 3, (u64)b << 8 | op, NULL);
		break;
	case 1:
		CHECK(bus_read(&w->b.mmio, BASE + a, 1u << b % 3, NULL) <= UINT32_MAX);
		break;
	case 2: /* an entry that may be sent: fixed or lowest priority, maybe masked */
		set_reg(w, (u8)(0x10 + 2 * (a % IOAPIC_N_PINS)),
			b | (op & 0x10 ? LEVEL : 0) | (op & 0x20 ? MASKED : 0) |
				(op & 0x40 ? 0x100 : 0) | (op & 0x80 ? 0x800 : 0));
		break;
	case 3: /* or of any mode */
		set_reg(w, (u8)(0x10 + 2 * (a % IOAPIC_N_PINS)), (u32)op << 12 | (u32)b << 4 | a);
		break;
	case 4:
		set_reg(w, (u8)(0x11 + 2 * (a % IOAPIC_N_PINS)), (u32)b << 24 | (u32)op << 16);
		break;
	case 5:
	case 6:
		irq_set(line, op & 0x10);
		break;
	case 7:
		if (op & 0x10)
			ioapic_eoi(w->dev, a);
		else
			bus_write(&w->b.mmio, BASE + EOI, 4, a, NULL);
		break;
	case 8:
		/* of an input without a line that is high, as its callers have them */
		if (a % IRQ_MAX_GSI >= IOAPIC_N_PINS || !w->b.chip.asserted[a % IRQ_MAX_GSI])
			irq_pulse(&w->b.chip, a % IRQ_MAX_GSI);
		break;
	case 9:
		w->refuse = a & 1;
		w->no_route = a & 2;
		break;
	}
	check_entries(w);
}

/* No interrupt is lost: acknowledge all there is, and what still asks is sent again. */
static void check_end(struct world *w)
{
	w->refuse = w->no_route = false;
	for (u8 i = 0; i < IOAPIC_N_PINS; i++) {
		u32 low = reg(w, (u8)(0x10 + 2 * i)), vector = low & 0xff;

		w->n_sent = w->n_routed = 0;
		/* what a local APIC or KVM did not take waits for the entry to be written */
		set_reg(w, (u8)(0x10 + 2 * i), low);
		ioapic_eoi(w->dev, (u8)vector);
		low = reg(w, (u8)(0x10 + 2 * i));
		if (low & LEVEL && !(low & MASKED) && (low >> 8 & 7) <= 1 && vector >= 16)
			CHECK(!(low & REMOTE_IRR) == !w->b.chip.asserted[i]);
		else if (!(low & MASKED))
			CHECK(!(low & REMOTE_IRR));
	}
}

static void world_close(struct world *w)
{
	for (u32 i = 0; i < ARRAY_SIZE(w->lines); i++) {
		w->n_sent = w->n_routed = 0;
		irq_set(&w->lines[i], false);
	}
	board_unplug(&w->b, w->dev);
	w->dev = NULL;
	board_close(&w->b);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return 0;
	world_open(w);
	for (size_t i = 0; i + 2 < len && i < 6144; i += 3)
		step(w, data[i], data[i + 1], data[i + 2]);
	check_end(w);
	world_close(w);
	free(w);
	return 0;
}
