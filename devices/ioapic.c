/*
 * ioapic.c - the I/O APIC (ioapic.h; section numbers are those of the 82093AA data sheet).
 *
 * Inputs are asserted or not: polarity, which is about voltage, is stored and means nothing.
 */
#include "devices/ioapic.h"

#include "devices/classes.h"

/* 3.1, and EOIR of the later ones */
#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define REG_EOI	   0x40

/* 3.2 */
#define SEL_ID	  0x00
#define SEL_VER	  0x01
#define SEL_ARB	  0x02
#define SEL_REDIR 0x10 /* two of each input, low half first */

#define ID_SHIFT  24
#define ID_MASK	  0x0f
#define VERSION	  0x20
#define VER_SHIFT 16 /* the highest redirection entry */

/* 3.2.4, redirection table entries */
#define RTE_VECTOR     0xffu
#define RTE_MODE_SHIFT 8
#define RTE_MODE       7u
#define RTE_LOGICAL    BIT(11)
#define RTE_REMOTE_IRR BIT(14)
#define RTE_LEVEL      BIT(15)
#define RTE_MASKED     BIT(16)
#define RTE_LOW_STORED 0x1afffu /* without delivery status (always idle) and remote IRR */
#define RTE_DEST_SHIFT 56

/* KVM's documentation, cpuid.rst, MSI_EXT_DEST_ID: bits 14:8 of a destination, reserved before. */
#define RTE_EXT_DEST_SHIFT 49
#define RTE_EXT_DEST	   0x7fu
#define RTE_HIGH_STORED	   0xfffe000000000000ull

#define MODE_LOWEST  1	/* lowest priority; 0: fixed. No CPU acknowledges those above. */
#define FIRST_VECTOR 16 /* SDM 3A, 11.5.2: those below are illegal */

/* SDM 3A, 11.11: messages */
#define MSI_ADDR	   0xfee00000u
#define MSI_DEST_SHIFT	   12
#define MSI_EXT_DEST_SHIFT 5
#define MSI_LOGICAL	   BIT(2)
#define MSI_ASSERT	   BIT(14)
#define MSI_LEVEL	   BIT(15)

struct ioapic_pin {
	u64 rte;
	bool high;
};

struct ioapic {
	struct dev dev;
	struct ioapic_cfg cfg;
	u8 select;
	u8 id;
	struct ioapic_pin pins[IOAPIC_N_PINS];
};

static unsigned int mode_of(u64 rte)
{
	return rte >> RTE_MODE_SHIFT & RTE_MODE;
}

/* NMI, SMI, INIT and ExtINT are edges whatever the trigger mode says (3.2.4). */
static bool is_level(u64 rte)
{
	return rte & RTE_LEVEL && mode_of(rte) <= MODE_LOWEST;
}

static bool is_legal(u64 rte)
{
	return mode_of(rte) > MODE_LOWEST || (rte & RTE_VECTOR) >= FIRST_VECTOR;
}

static u64 message_addr(u64 rte)
{
	return MSI_ADDR | rte >> RTE_DEST_SHIFT << MSI_DEST_SHIFT |
	       (rte >> RTE_EXT_DEST_SHIFT & RTE_EXT_DEST) << MSI_EXT_DEST_SHIFT |
	       (rte & RTE_LOGICAL ? MSI_LOGICAL : 0);
}

static u32 message_data(u64 rte)
{
	return (u32)(rte & RTE_VECTOR) | mode_of(rte) << RTE_MODE_SHIFT |
	       (is_level(rte) ? (u32)(MSI_ASSERT | MSI_LEVEL) : 0);
}

/*
 * Send what the input asks for, if it may. A level that nobody would acknowledge, for want of a
 * route, is sent like an edge: better once than never. Remote IRR means that a local APIC accepted
 * it (3.2.4); without, the next change of the entry tries again.
 */
static void service(struct ioapic *io, u32 n)
{
	struct ioapic_pin *pin = &io->pins[n];
	u64 addr = message_addr(pin->rte);
	u32 data = message_data(pin->rte);
	bool acked;

	if (!pin->high || pin->rte & (RTE_MASKED | RTE_REMOTE_IRR) || !is_legal(pin->rte))
		return;
	acked = is_level(pin->rte) && !io->cfg.route(io->cfg.ctx, n, addr, data);
	if (io->cfg.send(io->cfg.ctx, addr, data) && acked)
		pin->rte |= RTE_REMOTE_IRR;
}

void ioapic_set(struct dev *dev, u32 pin, bool level)
{
	struct ioapic *io = container_of(dev, struct ioapic, dev);
	bool rises;

	if (pin >= IOAPIC_N_PINS)
		return;
	rises = level && !io->pins[pin].high;
	io->pins[pin].high = level;
	if (rises)
		service(io, pin);
}

/* With irq_chip.lock held. */
static void eoi(struct ioapic *io, u8 vector)
{
	for (u32 i = 0; i < IOAPIC_N_PINS; i++) {
		struct ioapic_pin *pin = &io->pins[i];

		if (!(pin->rte & RTE_REMOTE_IRR) || (pin->rte & RTE_VECTOR) != vector)
			continue;
		pin->rte &= ~RTE_REMOTE_IRR;
		service(io, i);
	}
}

void ioapic_eoi(struct dev *dev, u8 vector)
{
	struct ioapic *io = container_of(dev, struct ioapic, dev);

	pthread_mutex_lock(&dev->irq.chip->lock);
	eoi(io, vector);
	pthread_mutex_unlock(&dev->irq.chip->lock);
}

/* ---- registers ------------------------------------------------------------------------ */

static u32 read_window(const struct ioapic *io)
{
	unsigned int redir = io->select - SEL_REDIR;

	switch (io->select) {
	case SEL_ID:
	case SEL_ARB:
		return (u32)io->id << ID_SHIFT;
	case SEL_VER:
		return (IOAPIC_N_PINS - 1) << VER_SHIFT | VERSION;
	}
	if (io->select < SEL_REDIR || redir / 2 >= IOAPIC_N_PINS)
		return 0;
	return (u32)(io->pins[redir / 2].rte >> (redir % 2 ? 32 : 0));
}

/*
 * An edge that came while the input was masked is lost (3.2.4, bit 16), a level is still there.
 * An input that is made edge triggered waits for no EOI: drivers of APICs without an EOI register
 * use that.
 */
static void write_redir(struct ioapic *io, unsigned int redir, u32 val)
{
	u32 n = redir / 2;
	u64 old = io->pins[n].rte, rte;

	if (redir % 2)
		rte = ((u64)val << 32 & RTE_HIGH_STORED) | (u32)old;
	else
		rte = (val & RTE_LOW_STORED) | (old & (RTE_HIGH_STORED | RTE_REMOTE_IRR));
	if (!is_level(rte))
		rte &= ~RTE_REMOTE_IRR;
	io->pins[n].rte = rte;
	if (is_level(rte))
		service(io, n);
}

static void write_window(struct ioapic *io, u32 val)
{
	unsigned int redir = io->select - SEL_REDIR;

	if (io->select == SEL_ID)
		io->id = val >> ID_SHIFT & ID_MASK;
	else if (io->select >= SEL_REDIR && redir / 2 < IOAPIC_N_PINS)
		write_redir(io, redir, val);
}

static u64 ioapic_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	struct ioapic *io = container_of(dev, struct ioapic, dev);
	u64 val = 0;

	(void)tag;
	pthread_mutex_lock(&dev->irq.chip->lock);
	if (off == REG_SELECT)
		val = io->select;
	else if (off == REG_WINDOW && size == 4)
		val = read_window(io);
	pthread_mutex_unlock(&dev->irq.chip->lock);
	return val;
}

static void ioapic_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct ioapic *io = container_of(dev, struct ioapic, dev);

	(void)tag;
	pthread_mutex_lock(&dev->irq.chip->lock);
	if (off == REG_SELECT)
		io->select = (u8)val;
	else if (off == REG_WINDOW && size == 4)
		write_window(io, (u32)val);
	else if (off == REG_EOI)
		eoi(io, (u8)val);
	pthread_mutex_unlock(&dev->irq.chip->lock);
}

static int ioapic_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct ioapic *io = container_of(dev, struct ioapic, dev);
	struct irq_chip *chip = dev->irq.chip;

	(void)err;
	io->cfg = *(const struct ioapic_cfg *)cfg;
	pthread_mutex_lock(&chip->lock);
	for (u32 i = 0; i < IOAPIC_N_PINS; i++) {
		io->pins[i].rte = RTE_MASKED;
		io->pins[i].high = chip->asserted[i];
	}
	pthread_mutex_unlock(&chip->lock);
	return 0;
}

const struct dev_class ioapic_class = {
	.name = "ioapic",
	.size = sizeof(struct ioapic),
	.init = ioapic_init,
	.read = ioapic_read,
	.write = ioapic_write,
};
