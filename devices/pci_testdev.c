/*
 * pci_testdev.c - QEMU's PCI test device (its docs/specs/pci-testdev.rst), with which
 * kvm-unit-tests measure what a write to a device costs.
 *
 * BAR 0 is memory, BAR 1 is ports. Each begins with a header: a write of a test's number to its
 * first byte chooses one, and the rest then says what to write where. The tests: a write that
 * comes to this device, which counts it, and such as the kernel takes, of any value or of one
 * alone, where it has doorbells on that bus; nobody counts those.
 *
 * There is no firmware to assign BARs and to switch on their decoding, and tests do neither: both
 * are done when the machine starts.
 */
#include <stdio.h>

#include "devices/classes.h"
#include "devices/pci.h"
#include "vmm/gmem.h"

/* PCI Local Bus 3.0, 6.1 and 6.2.5: ports, which no other function here has. */
#define PCI_COMMAND	   0x04
#define PCI_COMMAND_IO	   0x0001
#define PCI_COMMAND_MEMORY 0x0002
#define PCI_BAR1	   0x14
#define PCI_BAR_IO	   0x01 /* read-only: it is in the space of ports */
#define N_PORTS		   0x10000

enum { BAR_MEM, BAR_PORTS, N_BARS };

/* The header. */
#define HDR_TEST   0  /* number; write-only */
#define HDR_WIDTH  1  /* of the write, in bytes; 0: there is no such test */
#define HDR_OFFSET 4  /* of the write in the BAR */
#define HDR_DATA   8  /* what is written */
#define HDR_COUNT  12 /* how many came */
#define HDR_NAME   16
#define HDR_SIZE   48

#define TEST_WIDTH 1
#define TEST_DATA  0xfa

static const struct {
	const char *name;
	bool bell;
	bool match; /* for the value TEST_DATA alone */
} tests[] = {
	{ "no-eventfd", .match = true },
	{ "wildcard-eventfd", .bell = true },
	{ "datamatch-eventfd", .bell = true, .match = true },
};

/* Test n writes to offset target + 4 * n: each in half of the BAR that has no header. */
static const struct {
	const char *name;
	u32 target;
} bar_kinds[N_BARS] = {
	[BAR_MEM] = { "mmio", GMEM_PAGE_SIZE / 2 },
	[BAR_PORTS] = { "portio", PCI_TESTDEV_PORTS_LEN / 2 },
};

_Static_assert(HDR_SIZE <= PCI_TESTDEV_PORTS_LEN / 2, "headers are before targets");

struct test_bar {
	bool mapped;
	u64 addr; /* valid with @mapped */
	struct bus *bus;
	u8 test; /* ARRAY_SIZE(tests) and more: none */
	u32 count;
	u8 header[HDR_SIZE];
	bool belled;
	struct bus_doorbell db; /* valid with @belled */
};

struct pci_testdev {
	struct dev dev;
	struct pci_func func;
	struct dev_doorbell bell;
	struct test_bar bars[N_BARS];
};

/* ---- tests ---------------------------------------------------------------------------------- */

static u32 target(const struct pci_testdev *p, unsigned int bar)
{
	return bar_kinds[bar].target + 4u * p->bars[bar].test;
}

static bool chosen(const struct test_bar *b)
{
	return b->test < ARRAY_SIZE(tests);
}

static void bell_off(struct test_bar *b)
{
	if (b->belled)
		bus_doorbell(b->bus, &b->db, false);
	b->belled = false;
}

/* Where there is no doorbell to be had, writes come here and are counted: as good a test. */
static void bell_on(struct pci_testdev *p, unsigned int bar)
{
	struct test_bar *b = &p->bars[bar];

	bell_off(b);
	if (!b->mapped || !chosen(b) || !tests[b->test].bell)
		return;
	b->db = (struct bus_doorbell){
		.addr = b->addr + target(p, bar),
		.size = tests[b->test].match ? TEST_WIDTH : 0,
		.match = tests[b->test].match,
		.val = tests[b->test].match ? TEST_DATA : 0,
		.fd = p->bell.lfd.fd,
	};
	b->belled = !bus_doorbell(b->bus, &b->db, true);
}

static void choose(struct pci_testdev *p, unsigned int bar, u8 test)
{
	struct test_bar *b = &p->bars[bar];

	bell_off(b);
	b->test = test;
	b->count = 0;
	memset(b->header, 0, sizeof(b->header));
	if (!chosen(b))
		return;
	b->header[HDR_WIDTH] = TEST_WIDTH;
	put_le32(b->header + HDR_OFFSET, target(p, bar));
	put_le32(b->header + HDR_DATA, TEST_DATA);
	snprintf((char *)b->header + HDR_NAME, HDR_SIZE - HDR_NAME, "%s-%s", bar_kinds[bar].name,
		 tests[test].name);
	bell_on(p, bar);
}

static u64 bar_read(const struct pci_testdev *p, unsigned int bar, u64 off, unsigned int size)
{
	const struct test_bar *b = &p->bars[bar];
	u64 val = 0;

	for (unsigned int i = 0; i < size && off + i < HDR_SIZE; i++)
		val |= (u64)b->header[off + i] << 8 * i;
	return val;
}

static void bar_write(struct pci_testdev *p, unsigned int bar, u64 off, unsigned int size, u64 val)
{
	struct test_bar *b = &p->bars[bar];

	if (off == HDR_TEST) {
		choose(p, bar, (u8)val);
		return;
	}
	if (!chosen(b) || off != target(p, bar) || size != TEST_WIDTH ||
	    (tests[b->test].match && val != TEST_DATA))
		return;
	put_le32(b->header + HDR_COUNT, ++b->count);
}

/* The kernel took a write: nothing is to be done for it. */
static void bell_rang(struct dev *dev, struct dev_doorbell *bell)
{
	(void)dev;
	(void)bell;
}

/* ---- BARs ----------------------------------------------------------------------------------- */

static void bar_changed(struct pci_func *f, unsigned int bar, u64 addr, bool mapped)
{
	struct pci_testdev *p = container_of(f, struct pci_testdev, func);
	struct test_bar *b = &p->bars[bar];

	bell_off(b);
	b->mapped = mapped;
	b->addr = addr;
	bell_on(p, bar);
}

static void unmap_ports(struct pci_testdev *p)
{
	struct test_bar *b = &p->bars[BAR_PORTS];

	if (!b->mapped)
		return;
	bus_remove(b->bus, b->addr);
	bar_changed(&p->func, BAR_PORTS, b->addr, false);
}

static void map_ports(struct pci_testdev *p, u64 addr)
{
	struct test_bar *b = &p->bars[BAR_PORTS];
	struct bus_range range = { addr, PCI_TESTDEV_PORTS_LEN,
				   BUS_SIZE_1 | BUS_SIZE_2 | BUS_SIZE_4, BAR_PORTS, &p->dev };
	struct lkvm_error err = { 0 };

	if (!range_fits(addr, PCI_TESTDEV_PORTS_LEN, N_PORTS))
		return; /* that was the question for the size */
	if (!bus_add(b->bus, &range, &err))
		bar_changed(&p->func, BAR_PORTS, addr, true);
	else if (ratelimit_ok(&p->func.limit))
		log_warn(p->dev.env->log, "%s: BAR %d at port 0x%llx is not decoded: %s",
			 p->dev.name, BAR_PORTS, (unsigned long long)addr, err.msg);
}

/* As pci.c does it with BARs that are memory. */
static void update_ports(struct pci_testdev *p)
{
	const struct test_bar *b = &p->bars[BAR_PORTS];
	u64 addr = get_le32(p->func.config + PCI_BAR1) & ~(PCI_TESTDEV_PORTS_LEN - 1u);
	bool decode = p->func.config[PCI_COMMAND] & PCI_COMMAND_IO;

	if (b->mapped && !(decode && b->addr == addr))
		unmap_ports(p);
	if (decode && !b->mapped)
		map_ports(p, addr);
}

/* ---- the function --------------------------------------------------------------------------- */

static u64 pci_testdev_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	struct pci_testdev *p = container_of(dev, struct pci_testdev, dev);

	if (tag == PCI_TAG_CONFIG)
		return pci_config_read(&p->func, (u32)off, size);
	return bar_read(p, tag, off, size);
}

static void pci_testdev_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct pci_testdev *p = container_of(dev, struct pci_testdev, dev);

	if (tag != PCI_TAG_CONFIG) {
		bar_write(p, tag, off, size, val);
		return;
	}
	pci_config_write(&p->func, (u32)off, size, (u32)val);
	update_ports(p);
}

static void add_ports(struct pci_testdev *p, const struct pci_testdev_cfg *c)
{
	struct pci_func *f = &p->func;

	p->bars[BAR_PORTS].bus = c->ports;
	put_le32(f->config + PCI_BAR1, c->port | PCI_BAR_IO);
	put_le32(f->writable + PCI_BAR1, ~(PCI_TESTDEV_PORTS_LEN - 1u));
	f->writable[PCI_COMMAND] |= PCI_COMMAND_IO;
}

static const struct pci_ids ids = {
	.vendor = 0x1b36, .device = 0x0005, .class_code = 0x00ff00, /* legacy, other */
};

static int pci_testdev_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct pci_testdev *p = container_of(dev, struct pci_testdev, dev);
	const struct pci_testdev_cfg *c = cfg;
	int ret = dev_doorbell_init(&p->bell, dev, bell_rang, err);

	if (!ret)
		ret = pci_func_init(&p->func, dev, c->bus, c->slot, &ids, err);
	if (!ret)
		ret = pci_add_bar(&p->func, BAR_MEM, GMEM_PAGE_SIZE, err);
	if (ret)
		return ret;
	p->func.bar_changed = bar_changed;
	p->bars[BAR_MEM].bus = c->bus->mmio;
	p->bars[BAR_MEM].test = p->bars[BAR_PORTS].test = ARRAY_SIZE(tests);
	add_ports(p, c);
	pci_config_write(&p->func, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	update_ports(p);
	return 0;
}

static void pci_testdev_fini(struct dev *dev)
{
	struct pci_testdev *p = container_of(dev, struct pci_testdev, dev);

	unmap_ports(p);
	pci_func_fini(&p->func);
	dev_doorbell_fini(&p->bell);
}

const struct dev_class pci_testdev_class = {
	.name = "pci-testdev",
	.size = sizeof(struct pci_testdev),
	.init = pci_testdev_init,
	.fini = pci_testdev_fini,
	.read = pci_testdev_read,
	.write = pci_testdev_write,
};
