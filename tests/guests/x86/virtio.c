/*
 * virtio.c - one virtio device, from finding it to its interrupt: device=rng asks n=N (1) times for
 * random bytes, device=blk writes, flushes and reads back sector=N.
 *
 * transport=pci config=ecam|ports irq=msix|intx, or transport=mmio. Each request is notified and
 * then slept for: without the interrupt the guest never ends. Verdict 0 is success; else a line
 * says what went wrong. After virtio 1.2 sections 2.7, 4.1, 4.2, 5.2 and 5.4.
 */
#include "guest.h"

#define VECTOR	  0x40
#define APIC_EOI  0x0b0
#define APIC_SVR  0x0f0
#define RING_SIZE 8
#define DATA_SIZE 512
#define PATTERN	  0x6d766b6c

#define TYPE_BLK 2
#define TYPE_RNG 4

#define S_OK 0x0f /* ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK */

/* ---- what guest.h has no need of elsewhere ---- */

static u8 mmio_read8(u64 addr)
{
	u8 v;

	asm volatile("movb (%1), %0" : "=q"(v) : "r"(addr) : "memory");
	return v;
}

static u16 mmio_read16(u64 addr)
{
	u16 v;

	asm volatile("movw (%1), %0" : "=r"(v) : "r"(addr) : "memory");
	return v;
}

static void mmio_write8(u64 addr, u8 v)
{
	asm volatile("movb %0, (%1)" : : "q"(v), "r"(addr) : "memory");
}

static void mmio_write16(u64 addr, u16 v)
{
	asm volatile("movw %0, (%1)" : : "r"(v), "r"(addr) : "memory");
}

static _Noreturn void fail(const char *why, u64 value)
{
	put_str("virtio: ");
	put_str(why);
	put_str(": 0x");
	put_hex(value);
	put_char('\n');
	verdict(1);
}

/* ---- the device, as its transport showed it ---- */

static u64 common, notify, isr; /* PCI; MMIO has all of it at @common */
static bool over_mmio, by_ports, by_msix;
static unsigned int pin; /* of the I/O APIC */

/* ---- interrupts ---- */

struct frame;

static volatile u32 n_irqs;

/*
 * Whether the interrupt is the device's, which lets go of its line by this: the ISR byte by being
 * read, InterruptStatus by InterruptACK. A line may be shared, and a KVM that emulates may
 * deliver a level once more.
 */
static bool is_ours(void)
{
	u32 cause;

	if (by_msix)
		return true;
	if (!over_mmio)
		return mmio_read8(isr);
	cause = mmio_read32(common + 0x60);
	mmio_write32(common + 0x64, cause);
	return cause;
}

static __attribute__((interrupt)) void on_irq(struct frame *f)
{
	(void)f;
	if (is_ours())
		n_irqs++;
	mmio_write32(X86_LAPIC_BASE + APIC_EOI, 0);
}

static struct {
	u64 low, high;
} idt[VECTOR + 1];

static void interrupts_on(void)
{
	const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (u64)idt };
	u64 h = (u64)on_irq;

	out8(0x21, 0xff);
	out8(0xa1, 0xff);
	idt[VECTOR].low = (h & 0xffff) | 0x10 << 16 | 0x8eull << 40 | (h >> 16 & 0xffff) << 48;
	idt[VECTOR].high = h >> 32;
	asm volatile("lidt %0" : : "m"(idtr));
	mmio_write32(X86_LAPIC_BASE + APIC_SVR, 0x1ff);
	if (by_msix)
		return;
	/* Level triggered, active high, to APIC id 0. */
	mmio_write32(X86_IOAPIC_BASE, 0x11 + 2 * pin);
	mmio_write32(X86_IOAPIC_BASE + 0x10, 0);
	mmio_write32(X86_IOAPIC_BASE, 0x10 + 2 * pin);
	mmio_write32(X86_IOAPIC_BASE + 0x10, 1 << 15 | VECTOR);
}

/* ---- PCI ---- */

static u32 config_read(unsigned int slot, u32 off)
{
	if (!by_ports)
		return mmio_read32(X86_ECAM_BASE + ((u64)slot << 15) + off);
	out32(X86_PORT_PCI_CONFIG, 0x80000000 | slot << 11 | off);
	return in32(X86_PORT_PCI_CONFIG + 4);
}

static void config_write(unsigned int slot, u32 off, u32 val)
{
	if (!by_ports) {
		mmio_write32(X86_ECAM_BASE + ((u64)slot << 15) + off, val);
		return;
	}
	out32(X86_PORT_PCI_CONFIG, 0x80000000 | slot << 11 | off);
	out32(X86_PORT_PCI_CONFIG + 4, val);
}

/* Where a capability points: BAR @n, and @off in it. */
static u64 place(unsigned int slot, u32 n, u32 off)
{
	return (config_read(slot, 0x10 + 4 * (n & 7)) & ~15u) + off;
}

/* Vector 0, for all queues. */
static void use_msix(unsigned int slot, u32 cap)
{
	u32 table = config_read(slot, cap + 4);
	u64 entry = place(slot, table & 7, table & ~7u);

	mmio_write32(entry, X86_LAPIC_BASE);
	mmio_write32(entry + 4, 0);
	mmio_write32(entry + 8, VECTOR);
	mmio_write32(entry + 12, 0);
	config_write(slot, cap, 1u << 31);
}

static u32 multiplier;

static void take_cap(unsigned int slot, u32 cap)
{
	u32 head = config_read(slot, cap);
	u64 at;

	if ((head & 0xff) == 0x11 && by_msix)
		use_msix(slot, cap);
	if ((head & 0xff) != 0x09)
		return;
	at = place(slot, config_read(slot, cap + 4), config_read(slot, cap + 8));
	switch (head >> 24) {
	case 1:
		common = at;
		break;
	case 2:
		notify = at;
		multiplier = config_read(slot, cap + 16);
		break;
	case 3:
		isr = at;
		break;
	}
}

static void find_pci(u32 type)
{
	unsigned int slot = 0;
	u32 cap;

	while (config_read(slot, 0) != (0x1af4 | (0x1040 + type) << 16)) {
		if (++slot == 32)
			fail("there is no PCI device of this type", type);
	}
	config_write(slot, 4, 6); /* memory, bus master */
	pin = config_read(slot, 0x3c) & 0xff;
	for (cap = config_read(slot, 0x34) & 0xfc; cap; cap = config_read(slot, cap) >> 8 & 0xfc)
		take_cap(slot, cap);
	if (!common || !notify || !isr)
		fail("a capability is missing", slot);
}

/* ---- MMIO ---- */

static void find_mmio(u32 type)
{
	unsigned int n = 0;

	for (;; n++) {
		common = X86_VIRTIO_MMIO_BASE + n * X86_VIRTIO_MMIO_STEP;
		if (mmio_read32(common) != 0x74726976)
			fail("there is no MMIO device of this type", type);
		if (mmio_read32(common + 8) == type)
			break;
	}
	pin = X86_IRQ_SHARED + n % X86_N_IRQ_SHARED;
}

/* ---- setting it up ---- */

static struct {
	struct {
		u64 addr;
		u32 len;
		u16 flags, next;
	} desc[RING_SIZE];
	struct {
		u16 flags, idx, ring[RING_SIZE], used_event;
	} avail;
	struct {
		u16 flags, idx;
		struct {
			u32 id, len;
		} ring[RING_SIZE];
		u16 avail_event;
	} used __attribute__((aligned(4)));
} q __attribute__((aligned(16)));

static void set_status(u8 status)
{
	u8 now;

	if (over_mmio)
		mmio_write32(common + 0x70, status);
	else
		mmio_write8(common + 0x14, status);
	now = over_mmio ? (u8)mmio_read32(common + 0x70) : mmio_read8(common + 0x14);
	if (now != status)
		fail("the device status is", now);
}

static void accept_features(u64 features)
{
	u64 base = common + (over_mmio ? 0x10 : 0);
	u64 select = over_mmio ? 0x14 : 0x08, accept = over_mmio ? 0x10 : 0x0c;

	for (u32 i = 0; i < 2; i++) {
		mmio_write32(base + (over_mmio ? 4 : 0), i);
		if (~mmio_read32(base + (over_mmio ? 0 : 4)) & (u32)(features >> 32 * i))
			fail("a feature is not offered", features);
		mmio_write32(base + select, i);
		mmio_write32(base + accept, (u32)(features >> 32 * i));
	}
}

static void write64(u64 addr, u64 v)
{
	mmio_write32(addr, (u32)v);
	mmio_write32(addr + 4, (u32)(v >> 32));
}

static void queue_on(void)
{
	u64 rings = common + (over_mmio ? 0x80 : 0x20), step = over_mmio ? 0x10 : 0x08;

	if (over_mmio) {
		mmio_write32(common + 0x30, 0);
		mmio_write32(common + 0x38, RING_SIZE);
	} else {
		mmio_write16(common + 0x16, 0);
		mmio_write16(common + 0x18, RING_SIZE);
		if (by_msix)
			mmio_write16(common + 0x1a, 0);
		notify += mmio_read16(common + 0x1e) * multiplier;
	}
	write64(rings, (u64)q.desc);
	write64(rings + step, (u64)&q.avail);
	write64(rings + 2 * step, (u64)&q.used);
	if (over_mmio)
		mmio_write32(common + 0x44, 1);
	else
		mmio_write16(common + 0x1c, 1);
}

static void start_device(u32 type, u64 features)
{
	over_mmio = arg_is("transport", "mmio");
	by_ports = arg_is("config", "ports");
	by_msix = arg_is("irq", "msix");
	if (over_mmio)
		find_mmio(type);
	else
		find_pci(type);
	interrupts_on();
	set_status(0);
	set_status(1);
	set_status(3);
	accept_features(features | 1ull << 32);
	set_status(0x0b);
	queue_on();
	set_status(S_OK);
}

/* ---- requests ---- */

static void describe(unsigned int i, volatile void *buf, u32 len, bool device_writes, bool more)
{
	q.desc[i].addr = (u64)buf;
	q.desc[i].len = len;
	q.desc[i].flags = (u16)((more ? 1 : 0) | (device_writes ? 2 : 0));
	q.desc[i].next = (u16)(i + 1);
}

/* The chain at descriptor 0. Returns what the device says it wrote. */
static u32 request(void)
{
	volatile u16 *used = &q.used.idx;
	u32 irqs = n_irqs;
	u16 idx = q.avail.idx;

	q.avail.ring[idx % RING_SIZE] = 0;
	asm volatile("" : : : "memory"); /* x86 keeps stores in order */
	*(volatile u16 *)&q.avail.idx = (u16)(idx + 1);
	asm volatile("mfence" : : : "memory");
	if (over_mmio)
		mmio_write32(common + 0x50, 0);
	else
		mmio_write16(notify, 0);
	/* What ends the wait cannot slip in before hlt. */
	while (n_irqs == irqs)
		asm volatile("sti; hlt; cli" : : : "memory");
	if (*used != (u16)(idx + 1))
		fail("an interrupt, and the used index is", *used);
	return q.used.ring[idx % RING_SIZE].len;
}

static volatile u32 data[DATA_SIZE / 4];

static void rng(void)
{
	u32 len, last = 0;

	start_device(TYPE_RNG, 0);
	describe(0, data, 64, true, false);
	for (u64 i = 0; i < arg_u64("n", 1); i++) {
		len = request();
		if (!len || len > 64 || (data[0] == last && data[1] == last))
			fail("no random bytes", len);
		last = data[0];
	}
}

static struct {
	u32 type, reserved;
	u64 sector;
} header;
static volatile u8 status;

static void blk_request(u32 type, bool device_writes)
{
	bool has_data = type != 4;

	header.type = type;
	header.sector = has_data ? arg_u64("sector", 1) : 0;
	status = 0xff;
	describe(0, &header, sizeof(header), false, true);
	if (has_data)
		describe(1, data, DATA_SIZE, device_writes, true);
	describe(has_data ? 2 : 1, &status, 1, true, false);
	request();
	if (status)
		fail("the request has a status", (u64)type << 8 | status);
}

static void blk(void)
{
	start_device(TYPE_BLK, 1 << 9); /* VIRTIO_BLK_F_FLUSH */
	for (unsigned int i = 0; i < DATA_SIZE / 4; i++)
		data[i] = PATTERN;
	blk_request(1, false);
	blk_request(4, false);
	for (unsigned int i = 0; i < DATA_SIZE / 4; i++)
		data[i] = 0;
	blk_request(0, true);
	for (unsigned int i = 0; i < DATA_SIZE / 4; i++) {
		if (data[i] != PATTERN)
			fail("what was written does not come back", data[i]);
	}
}

void guest_main(void)
{
	if (arg_is("device", "rng"))
		rng();
	else if (arg_is("device", "blk"))
		blk();
	else
		fail("device= must be rng or blk", 0);
	put_str("virtio: fine\n");
	verdict(0);
}
