/*
 * The PCI transport of virtio, played by a driver that finds everything through capabilities,
 * with a device behind it that does little: registers, doorbells that follow the BAR,
 * messages and INTx, the configuration window, bus mastering, and a guest that abuses all of it.
 *
 * Does not prove what the core does with features, status and rings (test_virtio.c,
 * test_virtq.c), nor races: everything is on one thread.
 */
#include "tests/unit/devtest.h"

#include <stdatomic.h>

#include "devices/classes.h"
#include "tests/unit/pcidriver.h"
#include "tests/unit/vfake.h"

#define WINDOW	   0xc0000000u
#define WINDOW_LEN 0x400000u
#define ECAM	   0xe0000000u
#define RAM	   0x100000u
#define BUF	   0x80000u
#define RING(n)	   (0x10000u * (1 + (n)))
#define SLOT	   4

#define N_QUEUES 3
#define SIZE	 8

/* MSI vectors of a device: the configuration's and one per queue. */
#define MSG(n) (0x100 + (n))

struct board {
	struct devtest t;
	struct pci_bus bus;
	struct dev *bridge;
	struct vfake *fake;
	struct vpci v;
	struct vqd q[N_QUEUES];
	unsigned int n_fini;
};

static void setup_bridge(struct board *b)
{
	struct dev_slot slot = {
		.cls = &pci_host_class,
		.name = "pci",
		.ranges = { { &b->t.ports, PCID_PORT_ADDRESS, 8, BUS_SIZE_ANY, PCI_HOST_TAG_PORTS },
			    { &b->t.mmio, ECAM, 0x100000, BUS_SIZE_ANY, PCI_HOST_TAG_ECAM } },
		.cfg = &(struct pci_host_cfg){ .bus = &b->bus },
	};

	memset(b, 0, sizeof(*b));
	devtest_init(&b->t, 0);
	b->t.log.level = LKVM_LOG_WARNING;
	devtest_add_ram(&b->t, 0, RAM);
	pci_bus_init(&b->bus, &b->t.mmio, &b->t.gmem, WINDOW, WINDOW_LEN);
	assert_int_equal(dev_create(&b->bridge, &slot, &b->t.env, NULL), 0);
	b->v = (struct vpci){
		.pci = { &b->t.ports, &b->t.mmio, ECAM, SLOT },
		.gm = &b->t.gmem,
	};
}

static void plug(struct board *b, const struct virtio_class *cls, const struct vfake_cfg *cfg)
{
	const struct virtio_cfg vcfg = { .cls = cls, .cfg = cfg, .bus = &b->bus, .slot = SLOT };

	devtest_plug(&b->t,
		     &(struct dev_slot){ .cls = &virtio_pci_class, .name = "fake0", .cfg = &vcfg });
}

static void setup(struct board *b)
{
	setup_bridge(b);
	plug(b, &vfake_class,
	     &(struct vfake_cfg){
		     .out = &b->fake, .n_queues = N_QUEUES, .size = 64, .config_len = 20 });
	b->fake->n_fini = &b->n_fini;
	pcid_command(&b->v.pci, PCID_MEMORY | PCID_MASTER);
	assert_true(vpci_probe(&b->v));
}

static void teardown(struct board *b)
{
	dev_destroy(b->t.dev);
	b->t.dev = NULL;
	dev_destroy(b->bridge);
	devtest_fini(&b->t);
}

/* All queues and DRIVER_OK, with messages or without. */
static void start(struct board *b, bool msix)
{
	if (msix) {
		vpci_msix_control(&b->v, PCID_MSIX_ENABLE | PCID_MSIX_MASKED);
		for (unsigned int i = 0; i <= N_QUEUES; i++)
			vpci_msix_set(&b->v, i, 0xfee00000, MSG(i));
		vpci_msix_control(&b->v, PCID_MSIX_ENABLE);
	}
	assert_true(vpci_begin(&b->v, 0));
	if (msix)
		vpci_write(&b->v, VPCI_CONFIG_VECTOR, 2, 0);
	for (u16 i = 0; i < N_QUEUES; i++)
		assert_true(vpci_queue(&b->v, i, &b->q[i], RING(i), SIZE,
				       msix ? i + 1 : VIRTIO_NO_VECTOR));
	assert_true(vpci_driver_ok(&b->v));
	devtest_run(&b->t);
}

static void notify(struct board *b, u16 queue)
{
	devtest_mmio_write(&b->t, vpci_notify_addr(&b->v, queue), 2, queue);
}

/* One request on @queue, to its end. */
static bool request(struct board *b, u16 queue)
{
	int head = vqd_add(&b->q[queue], &(struct vqd_buf){ BUF, 16, true }, 1);
	u32 len = 0;

	notify(b, queue);
	devtest_run(&b->t);
	return head >= 0 && vqd_used(&b->q[queue], &len) == head && len == 16;
}

/* Accesses through the window in configuration space. */
static void window_set(struct board *b, u8 bar, u32 off, u32 len)
{
	pcid_write(&b->v.pci, b->v.window + 4u, 1, bar);
	pcid_write(&b->v.pci, b->v.window + 8u, 4, off);
	pcid_write(&b->v.pci, b->v.window + 12u, 4, len);
}

static u32 window_read(struct board *b, u32 off, u32 len)
{
	window_set(b, 0, off, len);
	return pcid_read(&b->v.pci, b->v.window + 16u, 4);
}

static void window_write(struct board *b, u32 off, u32 len, u32 val)
{
	window_set(b, 0, off, len);
	pcid_write(&b->v.pci, b->v.window + 16u, 4, val);
}

static u64 sent(struct board *b, unsigned int vector)
{
	return devtest_msi_sent(&b->t, MSG(vector));
}

/* ---- what it looks like ---- */

static void a_device_says_what_it_is(void **state)
{
	static const struct {
		const struct virtio_class *cls;
		u32 id, class_code;
	} types[] = { { &virtio_net_class, 1, 0x020000 },
		      { &virtio_blk_class, 2, 0x018000 },
		      { &virtio_console_class, 3, 0x078000 },
		      { &virtio_rng_class, 4, 0xff0000 },
		      { &vfake_class, VFAKE_ID, 0xff0000 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct virtio_class cls = vfake_class;
		u32 id = VPCI_DEVICE_BASE + types[i].id;
		struct board b;

		cls.id = types[i].cls->id;
		cls.pci_class = types[i].cls->pci_class;
		setup_bridge(&b);
		plug(&b, &cls, &(struct vfake_cfg){ .n_queues = 1, .size = 64 });
		assert_int_equal(pcid_read(&b.v.pci, PCID_VENDOR, 4), id << 16 | VPCI_VENDOR);
		assert_int_equal(pcid_read(&b.v.pci, PCID_SUBSYSTEM, 4), id << 16 | VPCI_VENDOR);
		assert_int_equal(pcid_read(&b.v.pci, PCID_CLASS, 4), types[i].class_code << 8 | 1);
		assert_int_equal(pcid_read(&b.v.pci, PCID_INTERRUPT_PIN, 1), 1);
		teardown(&b);
	}
}

static void capabilities_lead_to_structures_inside_the_bar(void **state)
{
	struct board b;
	u32 bar, size;

	(void)state;
	setup(&b);
	bar = pcid_bar(&b.v.pci, 0);
	pcid_move(&b.v.pci, 0, UINT32_MAX);
	size = -pcid_bar(&b.v.pci, 0);
	pcid_move(&b.v.pci, 0, bar);
	assert_true(b.v.common >= bar && b.v.common + VPCI_COMMON_LEN <= bar + size);
	assert_true(b.v.notify >= bar && b.v.notify + b.v.notify_len <= bar + size);
	assert_true(b.v.notify_len >= N_QUEUES * b.v.multiplier);
	assert_int_equal(b.v.multiplier, 4);
	assert_true(b.v.isr >= bar && b.v.isr < bar + size);
	assert_true(b.v.device >= bar && b.v.device + 20 <= bar + size);
	assert_int_equal(b.v.device_len, 20);
	assert_true(b.v.window);
	assert_int_equal(b.v.n_vectors, N_QUEUES + 1);
	assert_true(b.v.table >= bar && b.v.table + 16 * b.v.n_vectors <= bar + size);
	assert_true(b.v.pba >= bar && b.v.pba + 8 <= bar + size);
	/* a page of its own for what drivers map apart */
	assert_int_not_equal(b.v.table / 4096, b.v.notify / 4096);
	assert_int_not_equal(b.v.table / 4096, b.v.pba / 4096);
	assert_int_not_equal(b.v.common / 4096, b.v.notify / 4096);
	teardown(&b);
}

static void a_device_without_configuration_has_no_such_capability(void **state)
{
	struct board b;

	(void)state;
	setup_bridge(&b);
	plug(&b, &vfake_class, &(struct vfake_cfg){ .n_queues = 1, .size = 64 });
	assert_true(vpci_probe(&b.v));
	assert_int_equal(b.v.device, 0);
	teardown(&b);
}

static void many_queues_share_the_vectors_there_are(void **state)
{
	struct board b;

	(void)state;
	setup_bridge(&b);
	plug(&b, &vfake_class,
	     &(struct vfake_cfg){ .n_queues = VIRTIO_MAX_QUEUES, .size = VQ_MAX_SIZE });
	pcid_command(&b.v.pci, PCID_MEMORY | PCID_MASTER);
	assert_true(vpci_probe(&b.v));
	assert_int_equal(b.v.n_vectors, MSIX_MAX_VECTORS);
	assert_int_equal(vpci_notify_addr(&b.v, VIRTIO_MAX_QUEUES - 1),
			 b.v.notify + b.v.notify_len - 4);
	teardown(&b);
}

/* ---- a good driver ---- */

static void a_request_goes_by_doorbell_and_message(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	start(&b, true);
	assert_int_equal(b.t.n_bells, N_QUEUES);
	for (u16 i = 0; i < N_QUEUES; i++) {
		u64 before = b.fake->n_served;

		assert_true(request(&b, i));
		assert_int_equal(b.fake->n_served, before + 1);
		assert_int_equal(b.fake->log[before], i);
		assert_int_equal(sent(&b, i + 1u), 1);
	}
	assert_int_equal(sent(&b, 0), 0);
	assert_int_equal(vpci_isr(&b.v), 0);
	assert_int_equal(b.t.n_raised[DEVTEST_GSI], 0);
	teardown(&b);
}

static void without_messages_a_request_ends_with_intx_and_isr(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	start(&b, false);
	assert_true(request(&b, 1));
	assert_true(devtest_irq(&b.t));
	assert_int_equal(pcid_read(&b.v.pci, PCID_STATUS, 2) & PCID_STATUS_INTX, PCID_STATUS_INTX);
	assert_int_equal(vpci_isr(&b.v), 1);
	assert_false(devtest_irq(&b.t));
	assert_int_equal(vpci_isr(&b.v), 0);
	virtio_config_changed(&b.fake->v);
	assert_true(devtest_irq(&b.t));
	assert_int_equal(vpci_isr(&b.v), 2);
	assert_false(devtest_irq(&b.t));
	assert_int_equal(vpci_isr(&b.v), 0);
	assert_true(request(&b, 0));
	/* only its own byte is the register */
	assert_int_equal(devtest_mmio_read(&b.t, b.v.isr, 2), 0xffff);
	assert_int_equal(devtest_mmio_read(&b.t, b.v.isr + 1, 1), 0xff);
	virtio_config_changed(&b.fake->v);
	assert_int_equal(vpci_isr(&b.v), 3);
	teardown(&b);
}

static void a_machine_without_messages_gets_intx(void **state)
{
	struct board b;

	(void)state;
	setup_bridge(&b);
	b.t.chip.bind = NULL;
	plug(&b, &vfake_class,
	     &(struct vfake_cfg){ .out = &b.fake, .n_queues = N_QUEUES, .size = 64 });
	pcid_command(&b.v.pci, PCID_MEMORY | PCID_MASTER);
	assert_true(vpci_probe(&b.v));
	assert_int_equal(b.v.msix, 0);
	start(&b, false);
	assert_true(request(&b, 0));
	assert_true(devtest_irq(&b.t));
	vpci_write(&b.v, VPCI_CONFIG_VECTOR, 2, 0);
	assert_int_equal(vpci_read(&b.v, VPCI_CONFIG_VECTOR, 2), VIRTIO_NO_VECTOR);
	teardown(&b);
}

static void a_changed_configuration_is_told_by_its_own_vector(void **state)
{
	u8 generation;
	struct board b;

	(void)state;
	setup(&b);
	start(&b, true);
	generation = (u8)vpci_read(&b.v, VPCI_GENERATION, 1);
	virtio_config_changed(&b.fake->v);
	assert_int_equal(sent(&b, 0), 1);
	assert_int_equal((u8)vpci_read(&b.v, VPCI_GENERATION, 1), (u8)(generation + 1));
	vpci_write(&b.v, VPCI_CONFIG_VECTOR, 2, 2);
	virtio_config_changed(&b.fake->v);
	assert_int_equal(sent(&b, 2), 1);
	vpci_write(&b.v, VPCI_CONFIG_VECTOR, 2, VIRTIO_NO_VECTOR);
	virtio_config_changed(&b.fake->v);
	assert_int_equal(sent(&b, 0) + sent(&b, 1) + sent(&b, 2) + sent(&b, 3), 2);
	assert_int_equal(b.t.n_raised[DEVTEST_GSI], 0);
	teardown(&b);
}

static void a_masked_vector_keeps_its_interrupt_pending(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	start(&b, true);
	vpci_msix_mask(&b.v, 2, true);
	assert_true(request(&b, 1));
	assert_int_equal(sent(&b, 2), 0);
	assert_int_equal(vpci_msix_pending(&b.v), 1 << 2);
	vpci_msix_mask(&b.v, 2, false);
	assert_int_equal(sent(&b, 2), 1);
	assert_int_equal(vpci_msix_pending(&b.v), 0);
	vpci_msix_control(&b.v, PCID_MSIX_ENABLE | PCID_MSIX_MASKED);
	assert_true(request(&b, 0));
	assert_int_equal(vpci_msix_pending(&b.v), 1 << 1);
	vpci_msix_control(&b.v, PCID_MSIX_ENABLE);
	assert_int_equal(sent(&b, 1), 1);
	teardown(&b);
}

static void the_configuration_of_the_device_is_read_and_written(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	assert_int_equal(devtest_mmio_read(&b.t, b.v.device, 1), 1);
	assert_int_equal(devtest_mmio_read(&b.t, b.v.device + 18, 2), 0x1413);
	assert_int_equal(devtest_mmio_read(&b.t, b.v.device + 4, 4), 0x08070605);
	assert_true(devtest_mmio_read(&b.t, b.v.device + 20, 1) == 0xff);
	assert_true(devtest_mmio_read(&b.t, b.v.device + 18, 4) == UINT32_MAX);
	devtest_mmio_write(&b.t, b.v.device + 3, 2, 0xbeef);
	assert_int_equal(b.fake->written.off, 3);
	assert_int_equal(b.fake->written.val, 0xbeef);
	devtest_mmio_write(&b.t, b.v.device + 19, 2, 0);
	devtest_mmio_write(&b.t, b.v.device + 4095, 1, 0);
	assert_int_equal(b.fake->n_written, 1);
	teardown(&b);
}

/* ---- registers ---- */

static void common_registers_take_their_own_width_only(void **state)
{
	static const struct {
		u32 off;
		unsigned int size;
	} regs[] = {
		{ VPCI_DEVICE_FEATURE_SELECT, 4 },
		{ VPCI_DEVICE_FEATURE, 4 },
		{ VPCI_DRIVER_FEATURE_SELECT, 4 },
		{ VPCI_DRIVER_FEATURE, 4 },
		{ VPCI_CONFIG_VECTOR, 2 },
		{ VPCI_NUM_QUEUES, 2 },
		{ VPCI_STATUS, 1 },
		{ VPCI_GENERATION, 1 },
		{ VPCI_QUEUE_SELECT, 2 },
		{ VPCI_QUEUE_SIZE, 2 },
		{ VPCI_QUEUE_VECTOR, 2 },
		{ VPCI_QUEUE_ENABLE, 2 },
		{ VPCI_QUEUE_NOTIFY_OFF, 2 },
		{ VPCI_QUEUE_DESC, 4 },
		{ VPCI_QUEUE_DESC, 8 },
		{ VPCI_QUEUE_DESC + 4, 4 },
		{ VPCI_QUEUE_DRIVER, 4 },
		{ VPCI_QUEUE_DRIVER, 8 },
		{ VPCI_QUEUE_DRIVER + 4, 4 },
		{ VPCI_QUEUE_DEVICE, 4 },
		{ VPCI_QUEUE_DEVICE, 8 },
		{ VPCI_QUEUE_DEVICE + 4, 4 },
	};
	struct board b;

	(void)state;
	setup(&b);
	assert_true(vpci_begin(&b.v, 0));
	for (u32 off = 0; off < 4096 - 8; off++) {
		for (unsigned int size = 1; size <= 8; size *= 2) {
			u64 ones = UINT64_MAX >> (64 - 8 * size);
			bool is_reg = false;

			for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
				is_reg |= regs[i].off == off && regs[i].size == size;
			/* no register reads as all ones but the vectors, at this moment */
			if (is_reg && off != VPCI_CONFIG_VECTOR && off != VPCI_QUEUE_VECTOR)
				assert_true(vpci_read(&b.v, off, size) != ones);
			else
				assert_true(vpci_read(&b.v, off, size) == ones);
			if (!is_reg)
				vpci_write(&b.v, off, size, 0);
		}
	}
	/* none of those writes reset it, or changed a queue */
	assert_int_equal(vpci_status(&b.v), 11);
	assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_SIZE, 2), 64);
	assert_int_equal(vpci_read(&b.v, VPCI_NUM_QUEUES, 2), N_QUEUES);
	teardown(&b);
}

static void ring_addresses_are_written_by_halves_or_whole(void **state)
{
	static const u32 regs[] = { VPCI_QUEUE_DESC, VPCI_QUEUE_DRIVER, VPCI_QUEUE_DEVICE };
	struct virtio_queue *q;
	struct board b;

	(void)state;
	setup(&b);
	assert_true(vpci_begin(&b.v, 0));
	vpci_write(&b.v, VPCI_QUEUE_SELECT, 2, 1);
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		vpci_write(&b.v, regs[i] + 4, 4, 0x11223344 + i);
		vpci_write(&b.v, regs[i], 4, 0x55667788);
		assert_true(vpci_read(&b.v, regs[i], 8) == ((0x11223344 + i) << 32 | 0x55667788));
		assert_int_equal(vpci_read(&b.v, regs[i] + 4, 4), 0x11223344 + i);
	}
	q = &b.fake->v.queues[1];
	assert_true(q->layout.desc == 0x1122334455667788);
	assert_true(q->layout.avail == 0x1122334555667788);
	assert_true(q->layout.used == 0x1122334655667788);
	vpci_write(&b.v, VPCI_QUEUE_DRIVER, 8, 0xfedcba9876543210);
	assert_true(q->layout.avail == 0xfedcba9876543210);
	assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_DRIVER, 4), 0x76543210);
	assert_int_equal(b.fake->v.queues[0].layout.desc, 0);
	/* only 1 enables (4.1.4.3.2) */
	vpci_write(&b.v, VPCI_QUEUE_ENABLE, 2, 0);
	vpci_write(&b.v, VPCI_QUEUE_ENABLE, 2, 2);
	vpci_write(&b.v, VPCI_QUEUE_ENABLE, 2, 0x101);
	assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_ENABLE, 2), 0);
	assert_int_equal(vpci_status(&b.v), 11);
	teardown(&b);
}

static void an_enabled_queue_is_frozen(void **state)
{
	struct vq_layout before;
	struct board b;

	(void)state;
	setup(&b);
	start(&b, true);
	before = b.fake->v.queues[0].layout;
	vpci_write(&b.v, VPCI_QUEUE_SELECT, 2, 0);
	vpci_write(&b.v, VPCI_QUEUE_SIZE, 2, 32);
	vpci_write64(&b.v, VPCI_QUEUE_DESC, 0x1000);
	vpci_write(&b.v, VPCI_QUEUE_DRIVER, 8, 0x1000);
	vpci_write64(&b.v, VPCI_QUEUE_DEVICE, 0x1000);
	vpci_write(&b.v, VPCI_QUEUE_ENABLE, 2, 0);
	assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_ENABLE, 2), 1);
	vpci_write(&b.v, VPCI_QUEUE_ENABLE, 2, 1);
	assert_memory_equal(&b.fake->v.queues[0].layout, &before, sizeof(before));
	assert_true(request(&b, 0));
	teardown(&b);
}

static void a_queue_that_is_not_there_can_be_selected_but_not_used(void **state)
{
	static const u16 queues[] = { N_QUEUES, 63, 64, 0x7fff, 0xffff };
	struct board b;

	(void)state;
	setup(&b);
	start(&b, true);
	for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
		vpci_write(&b.v, VPCI_QUEUE_SELECT, 2, queues[i]);
		assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_SELECT, 2), queues[i]);
		assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_SIZE, 2), 0);
		assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_ENABLE, 2), 0);
		vpci_write(&b.v, VPCI_QUEUE_VECTOR, 2, 1);
		assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_VECTOR, 2), VIRTIO_NO_VECTOR);
		vpci_write(&b.v, VPCI_QUEUE_SIZE, 2, 8);
		vpci_write64(&b.v, VPCI_QUEUE_DESC, UINT64_MAX);
		assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_DESC, 8), 0);
		vpci_write(&b.v, VPCI_QUEUE_ENABLE, 2, 1);
		assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_ENABLE, 2), 0);
		devtest_mmio_write(&b.t, b.v.notify + 4ull * (queues[i] % 1024), 2, queues[i]);
	}
	devtest_run(&b.t);
	assert_int_equal(b.fake->n_served, 0);
	assert_int_equal(vpci_status(&b.v), 15);
	assert_true(request(&b, N_QUEUES - 1));
	teardown(&b);
}

static void a_vector_past_the_table_reads_back_as_none(void **state)
{
	static const u16 bad[] = { N_QUEUES + 1, 0x7ff, 0x800, 0xfffe, 0xffff };
	struct board b;

	(void)state;
	setup(&b);
	start(&b, true);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		vpci_write(&b.v, VPCI_CONFIG_VECTOR, 2, N_QUEUES);
		assert_int_equal(vpci_read(&b.v, VPCI_CONFIG_VECTOR, 2), N_QUEUES);
		vpci_write(&b.v, VPCI_CONFIG_VECTOR, 2, bad[i]);
		assert_int_equal(vpci_read(&b.v, VPCI_CONFIG_VECTOR, 2), VIRTIO_NO_VECTOR);
		vpci_write(&b.v, VPCI_QUEUE_SELECT, 2, 1);
		vpci_write(&b.v, VPCI_QUEUE_VECTOR, 2, 0);
		assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_VECTOR, 2), 0);
		vpci_write(&b.v, VPCI_QUEUE_VECTOR, 2, bad[i]);
		assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_VECTOR, 2), VIRTIO_NO_VECTOR);
	}
	/* it then works without interrupts */
	assert_true(request(&b, 1));
	virtio_config_changed(&b.fake->v);
	for (unsigned int i = 0; i <= N_QUEUES; i++)
		assert_int_equal(sent(&b, i), 0);
	assert_false(devtest_irq(&b.t));
	teardown(&b);
}

static void a_reset_takes_the_transport_back_too(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	start(&b, false);
	assert_true(request(&b, 0));
	virtio_config_changed(&b.fake->v);
	vpci_write(&b.v, VPCI_CONFIG_VECTOR, 2, 1);
	vpci_write(&b.v, VPCI_QUEUE_SELECT, 2, 2);
	vpci_write(&b.v, VPCI_QUEUE_VECTOR, 2, 1);
	assert_true(devtest_irq(&b.t));
	vpci_write(&b.v, VPCI_STATUS, 1, 0);
	assert_int_equal(vpci_status(&b.v), 0);
	assert_false(devtest_irq(&b.t));
	assert_int_equal(vpci_isr(&b.v), 0);
	assert_int_equal(b.t.n_bells, 0);
	assert_int_equal(vpci_read(&b.v, VPCI_CONFIG_VECTOR, 2), VIRTIO_NO_VECTOR);
	assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_SELECT, 2), 0);
	assert_int_equal(vpci_read(&b.v, VPCI_DRIVER_FEATURE_SELECT, 4), 0);
	for (u16 i = 0; i < N_QUEUES; i++) {
		vpci_write(&b.v, VPCI_QUEUE_SELECT, 2, i);
		assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_VECTOR, 2), VIRTIO_NO_VECTOR);
		assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_ENABLE, 2), 0);
		assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_SIZE, 2), 64);
	}
	start(&b, true);
	assert_true(request(&b, 2));
	assert_int_equal(sent(&b, 3), 1);
	teardown(&b);
}

static void a_device_broken_by_its_driver_says_so_and_works_after_reset(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	start(&b, true);
	b.fake->mode = VFAKE_BREAK;
	notify(&b, 1);
	devtest_run(&b.t);
	assert_int_equal(vpci_status(&b.v) & VIRTIO_S_NEEDS_RESET, VIRTIO_S_NEEDS_RESET);
	assert_int_equal(sent(&b, 0), 1);
	b.fake->mode = VFAKE_SERVE;
	assert_false(request(&b, 1));
	start(&b, true);
	assert_true(request(&b, 1));
	teardown(&b);
}

/* ---- notifications ---- */

static void doorbells_are_there_while_queues_are_in_use(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	assert_int_equal(b.t.n_bells, 0);
	assert_true(vpci_begin(&b.v, 0));
	assert_true(vpci_queue(&b.v, 1, &b.q[1], RING(1), SIZE, 2));
	assert_int_equal(b.t.n_bells, 0);
	assert_true(vpci_driver_ok(&b.v));
	assert_int_equal(b.t.n_bells, 1);
	assert_true(b.t.bells[0].db.addr == vpci_notify_addr(&b.v, 1));
	assert_int_equal(b.t.bells[0].db.size, 0);
	assert_int_equal(b.t.bells[0].db.fd, b.fake->v.queues[1].bell.lfd.fd);
	assert_true(request(&b, 1));
	pcid_command(&b.v.pci, PCID_MASTER);
	assert_int_equal(b.t.n_bells, 0);
	pcid_command(&b.v.pci, PCID_MASTER | PCID_MEMORY);
	assert_int_equal(b.t.n_bells, 1);
	vpci_write(&b.v, VPCI_STATUS, 1, 0);
	assert_int_equal(b.t.n_bells, 0);
	start(&b, true);
	assert_int_equal(b.t.n_bells, N_QUEUES);
	dev_destroy(b.t.dev);
	b.t.dev = NULL;
	assert_int_equal(b.t.n_bells, 0);
	assert_int_equal(b.n_fini, 1);
	teardown(&b);
}

static void doorbells_follow_the_bar(void **state)
{
	u64 old;
	struct board b;

	(void)state;
	setup(&b);
	start(&b, true);
	old = b.v.notify;
	pcid_move(&b.v.pci, 0, WINDOW + 0x100000);
	assert_true(vpci_probe(&b.v));
	assert_true(b.v.notify != old);
	assert_int_equal(b.t.n_bells, N_QUEUES);
	for (unsigned int i = 0; i < N_QUEUES; i++)
		assert_in_range(b.t.bells[i].db.addr, b.v.notify, b.v.notify + b.v.notify_len - 1);
	assert_true(request(&b, 2));
	/* sizing takes them off and puts them back */
	pcid_move(&b.v.pci, 0, UINT32_MAX);
	assert_int_equal(b.t.n_bells, 0);
	/* where it cannot be there are none */
	pcid_move(&b.v.pci, 0, 0x8000);
	assert_int_equal(b.t.n_bells, 0);
	pcid_move(&b.v.pci, 0, WINDOW);
	assert_true(vpci_probe(&b.v));
	assert_int_equal(b.t.n_bells, N_QUEUES);
	assert_true(request(&b, 2));
	/* a device that is started with its BAR off has them when it is on */
	vpci_write(&b.v, VPCI_STATUS, 1, 0);
	pcid_command(&b.v.pci, PCID_MASTER);
	assert_int_equal(b.t.n_bells, 0);
	pcid_command(&b.v.pci, PCID_MASTER | PCID_MEMORY);
	assert_int_equal(b.t.n_bells, 0);
	assert_true(vpci_begin(&b.v, 0));
	assert_true(vpci_queue(&b.v, 1, &b.q[1], RING(1), SIZE, VIRTIO_NO_VECTOR));
	pcid_command(&b.v.pci, PCID_MASTER);
	window_write(&b, (u32)(b.v.common - WINDOW) + VPCI_STATUS, 1, 15);
	assert_int_equal(b.t.n_bells, 0);
	pcid_command(&b.v.pci, PCID_MASTER | PCID_MEMORY);
	assert_int_equal(vpci_status(&b.v), 15);
	assert_int_equal(b.t.n_bells, 1);
	assert_true(request(&b, 1));
	teardown(&b);
}

static void without_doorbells_a_notification_is_a_register_write(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	struct board b;

	(void)state;
	setup(&b);
	b.t.bell_ret = -ENOSPC;
	start(&b, true);
	assert_int_equal(b.t.n_bells, 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int head = vqd_add(&b.q[1], &(struct vqd_buf){ BUF, 16, true }, 1);

		/* any size and value, as with them */
		devtest_mmio_write(&b.t, vpci_notify_addr(&b.v, 1), sizes[i], 0xabcd);
		devtest_run(&b.t);
		assert_int_equal(vqd_used(&b.q[1], NULL), head);
	}
	assert_int_equal(b.fake->n_served, 4);
	assert_true(devtest_mmio_read(&b.t, b.v.notify, 2) == 0xffff);
	teardown(&b);
}

static void a_notification_before_driver_ok_is_nothing(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	notify(&b, 0);
	assert_true(vpci_begin(&b.v, 0));
	assert_true(vpci_queue(&b.v, 0, &b.q[0], RING(0), SIZE, 1));
	vqd_add(&b.q[0], &(struct vqd_buf){ BUF, 16, true }, 1);
	notify(&b, 0);
	notify(&b, 1);
	devtest_run(&b.t);
	assert_int_equal(b.fake->n_kick, 0);
	assert_int_equal(vqd_used(&b.q[0], NULL), -EAGAIN);
	/* but what it told of is found */
	assert_true(vpci_driver_ok(&b.v));
	devtest_run(&b.t);
	assert_true(vqd_used(&b.q[0], NULL) >= 0);
	teardown(&b);
}

/* ---- the window ---- */

static void the_window_reaches_what_the_bar_has(void **state)
{
	u32 common, device;
	struct board b;
	u64 bar;

	(void)state;
	setup(&b);
	bar = pcid_bar(&b.v.pci, 0);
	common = (u32)(b.v.common - bar);
	device = (u32)(b.v.device - bar);
	start(&b, false);
	pcid_command(&b.v.pci, PCID_MASTER); /* that is what it is for */
	assert_int_equal(window_read(&b, device, 4), 0x04030201);
	assert_int_equal(window_read(&b, device + 2, 2), 0x04030403); /* the others stay */
	assert_int_equal(window_read(&b, device + 7, 1), 0x04030408);
	window_write(&b, common + VPCI_CONFIG_VECTOR, 2, 0xffff0001); /* nor do they count */
	assert_int_equal(window_read(&b, common + VPCI_CONFIG_VECTOR, 2), 0xffff0001);
	window_write(&b, device + 4, 2, 0x12345678);
	assert_int_equal(b.fake->written.size, 2);
	assert_int_equal(b.fake->written.val, 0x5678);
	assert_int_equal(window_read(&b, common + VPCI_NUM_QUEUES, 2) & 0xffff, N_QUEUES);
	/* one byte of the data is enough for an access of the whole length */
	window_set(&b, 0, common + VPCI_QUEUE_SELECT, 2);
	pcid_write(&b.v.pci, b.v.window + 17u, 1, 0);
	assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_SELECT, 2), 0xffff); /* the BAR is off */
	pcid_write(&b.v.pci, b.v.window + 16u, 1, 2);
	assert_int_equal(pcid_read(&b.v.pci, b.v.window + 18u, 1), 0x34);
	assert_int_equal(window_read(&b, common + VPCI_QUEUE_NOTIFY_OFF, 2) & 0xffff, 2);
	/* a notification, and the ISR byte, which reading clears */
	vqd_add(&b.q[1], &(struct vqd_buf){ BUF, 16, true }, 1);
	window_write(&b, (u32)(b.v.notify - bar) + 4, 2, 1);
	devtest_run(&b.t);
	assert_true(vqd_used(&b.q[1], NULL) >= 0);
	assert_true(devtest_irq(&b.t));
	assert_int_equal(window_read(&b, (u32)(b.v.isr - bar), 1) & 0xff, 1);
	assert_false(devtest_irq(&b.t));
	window_write(&b, common + VPCI_STATUS, 1, 0);
	assert_int_equal(window_read(&b, common + VPCI_STATUS, 1) & 0xff, 0);
	teardown(&b);
}

static void the_window_leads_nowhere_else(void **state)
{
	static const struct {
		u8 bar;
		u32 off, len;
	} bad[] = {
		{ 1, 0, 4 },	      { 5, 0, 4 },	    { 0xff, 0, 4 },
		{ 0, 0, 0 },	      { 0, 0, 3 },	    { 0, 0, 8 },
		{ 0, 0, UINT32_MAX }, { 0, 2, 4 },	    { 0, 1, 2 },
		{ 0, 0x7ffe, 4 },     { 0, 0x8000, 4 },	    { 0, 0x8000, 1 },
		{ 0, 0xfffffffc, 4 }, { 0, 0xffffffff, 1 }, { 0, 0xfffffffe, 2 },
		{ 0, 0x80000000, 4 },
	};
	struct board b;

	(void)state;
	setup(&b);
	start(&b, true);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		window_set(&b, bad[i].bar, bad[i].off, bad[i].len);
		pcid_write(&b.v.pci, b.v.window + 16u, 4, 0);
		assert_int_equal(pcid_read(&b.v.pci, b.v.window + 16u, 4), UINT32_MAX);
		assert_int_equal(pcid_read(&b.v.pci, b.v.window + 19u, 1), 0xff);
	}
	assert_int_equal(vpci_status(&b.v), 15);
	/* the rest of the capability cannot be written */
	for (u32 off = 0; off < 8; off++) {
		if (off != 4)
			pcid_write(&b.v.pci, b.v.window + off, 1, 0x77);
	}
	assert_true(vpci_probe(&b.v));
	/* accesses that straddle its data are none to it */
	window_set(&b, 0, (u32)(b.v.common + VPCI_STATUS - pcid_bar(&b.v.pci, 0)), 1);
	pcid_write(&b.v.pci, b.v.window + 15u, 2, 0);
	pcid_write(&b.v.pci, b.v.window + 14u, 4, 0);
	assert_int_equal(vpci_status(&b.v), 15);
	teardown(&b);
}

/* ---- bus mastering ---- */

static void driver_ok_without_bus_mastering_breaks_the_device(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	pcid_command(&b.v.pci, PCID_MEMORY);
	assert_true(vpci_begin(&b.v, 0));
	assert_true(vpci_queue(&b.v, 0, &b.q[0], RING(0), SIZE, VIRTIO_NO_VECTOR));
	vqd_add(&b.q[0], &(struct vqd_buf){ BUF, 16, true }, 1);
	/* what it does not have it cannot lose */
	pcid_command(&b.v.pci, PCID_MEMORY | PCID_INTX_DISABLE);
	assert_int_equal(vpci_status(&b.v), 11);
	assert_false(vpci_driver_ok(&b.v));
	assert_int_equal(vpci_status(&b.v), 11 | VIRTIO_S_NEEDS_RESET);
	assert_int_equal(vpci_read(&b.v, VPCI_QUEUE_ENABLE, 2), 1);
	assert_non_null(strstr(b.t.last_msg, "Bus Master"));
	notify(&b, 0);
	devtest_run(&b.t);
	assert_int_equal(b.fake->n_activate, 0);
	assert_int_equal(vqd_used(&b.q[0], NULL), -EAGAIN);
	/* too late now; a reset mends it */
	pcid_command(&b.v.pci, PCID_MEMORY | PCID_MASTER);
	assert_false(vpci_driver_ok(&b.v));
	start(&b, false);
	assert_true(request(&b, 0));
	teardown(&b);
}

static void losing_bus_mastering_resets_the_device(void **state)
{
	struct board b;

	(void)state;
	setup(&b);
	start(&b, true);
	assert_true(request(&b, 0));
	b.fake->n_reset = 0;
	pcid_command(&b.v.pci, PCID_MEMORY);
	assert_int_equal(vpci_status(&b.v), 0);
	assert_int_equal(b.fake->n_reset, 1);
	assert_int_equal(b.t.n_bells, 0);
	/* rings of a kernel that is gone */
	vqd_add(&b.q[0], &(struct vqd_buf){ BUF, 16, true }, 1);
	notify(&b, 0);
	devtest_run(&b.t);
	assert_int_equal(vqd_used(&b.q[0], NULL), -EAGAIN);
	/* the next kernel's */
	pcid_command(&b.v.pci, PCID_MEMORY | PCID_MASTER);
	start(&b, true);
	assert_true(request(&b, 0));
	/* what is not bus mastering does not matter */
	pcid_command(&b.v.pci, PCID_MASTER | PCID_INTX_DISABLE);
	pcid_command(&b.v.pci, PCID_MASTER | PCID_MEMORY);
	assert_true(request(&b, 0));
	teardown(&b);
}

static bool keep(void *ctx, struct loop_io *io)
{
	*(struct loop_io **)ctx = io;
	return true;
}

static void whoever_takes_bus_mastering_away_waits_for_requests_under_way(void **state)
{
	struct loop_io *io = NULL;
	struct dev *dev = NULL;
	struct board b;

	(void)state;
	setup(&b);
	loop_manual_io_hook(b.t.loop, keep, &io);
	b.fake->mode = VFAKE_FILE;
	start(&b, true);
	vqd_add(&b.q[0], &(struct vqd_buf){ BUF, 16, true }, 1);
	notify(&b, 0);
	devtest_run(&b.t);
	assert_non_null(io);
	bus_write(&b.t.mmio, ECAM + (SLOT << 15) + PCID_COMMAND, 2, PCID_MEMORY, &dev);
	/* the access was the bridge's, so that is where the vCPU waits */
	assert_ptr_equal(dev, b.bridge);
	assert_true(atomic_load(&b.bridge->throttled));
	assert_int_not_equal(vpci_status(&b.v), 0);
	io->res = 16;
	loop_manual_io_done(b.t.loop, io);
	devtest_run(&b.t);
	assert_int_equal(b.fake->n_io_ended, 1);
	assert_false(atomic_load(&b.bridge->throttled));
	assert_false(atomic_load(&b.t.dev->throttled));
	assert_int_equal(vpci_status(&b.v), 0);
	assert_int_equal(vqd_used(&b.q[0], NULL), -EAGAIN);
	/* requests that end otherwise let nobody go */
	pcid_command(&b.v.pci, PCID_MEMORY | PCID_MASTER);
	start(&b, true);
	vqd_add(&b.q[0], &(struct vqd_buf){ BUF, 16, true }, 1);
	notify(&b, 0);
	devtest_run(&b.t);
	pcid_write(&b.v.pci, PCID_INTERRUPT_LINE, 1, 3);
	assert_false(atomic_load(&b.bridge->throttled));
	loop_manual_io_done(b.t.loop, io);
	devtest_run(&b.t);
	assert_int_equal(vqd_used(&b.q[0], NULL), 0);
	teardown(&b);
}

static void last_words_are_taken_without_bus_mastering(void **state)
{
	struct virtio_class cls = vfake_class;
	struct board b;

	(void)state;
	cls.last_words = BIT(1);
	setup_bridge(&b);
	plug(&b, &cls, &(struct vfake_cfg){ .out = &b.fake, .n_queues = N_QUEUES, .size = 64 });
	pcid_command(&b.v.pci, PCID_MEMORY | PCID_MASTER);
	assert_true(vpci_probe(&b.v));
	start(&b, true);
	pcid_command(&b.v.pci, PCID_MEMORY);
	assert_int_equal(vpci_status(&b.v), 15);
	assert_false(request(&b, 0));
	assert_true(request(&b, 1));
	assert_false(request(&b, 2));
	assert_int_equal(b.t.n_bells, 1);
	/* its messages wait, as those of all functions */
	assert_int_equal(sent(&b, 2), 0);
	assert_int_equal(vpci_msix_pending(&b.v), 1 << 2);
	pcid_command(&b.v.pci, PCID_MEMORY | PCID_MASTER);
	start(&b, true);
	assert_true(request(&b, 0));
	teardown(&b);
}

/* ---- life ---- */

static void a_device_that_cannot_be_made_leaves_nothing(void **state)
{
	const struct vfake_cfg fails = { .n_queues = 1, .size = 64, .init_ret = -EBUSY };
	struct lkvm_error err = { 0 };
	struct virtio_cfg cfg = { .cls = &vfake_class, .cfg = &fails };
	struct dev_slot slot = { .cls = &virtio_pci_class, .name = "fake1", .cfg = &cfg };
	struct dev *dev;
	struct board b;

	(void)state;
	setup(&b);
	cfg.bus = &b.bus;
	slot.irq_chip = &b.t.chip;
	cfg.slot = 5;
	assert_int_equal(dev_create(&dev, &slot, &b.t.env, &err), -EBUSY);
	assert_null(b.bus.slots[5]);
	/* the slot is taken */
	err = (struct lkvm_error){ 0 };
	cfg.slot = SLOT;
	assert_int_equal(dev_create(&dev, &slot, &b.t.env, &err), -EEXIST);
	assert_ptr_equal(b.bus.slots[SLOT], b.t.dev);
	/* no window */
	err = (struct lkvm_error){ 0 };
	cfg.slot = 5;
	b.bus.window_next = WINDOW + WINDOW_LEN;
	assert_int_equal(dev_create(&dev, &slot, &b.t.env, &err), -ENOSPC);
	assert_null(b.bus.slots[5]);
	/* no messages left */
	err = (struct lkvm_error){ 0 };
	b.bus.window_next = WINDOW + WINDOW_LEN / 2;
	cfg.cfg = &(struct vfake_cfg){ .n_queues = 4, .size = 64 };
	for (unsigned int i = 8; i < IRQ_MAX_MSI; i++)
		b.t.chip.msis[i] = b.t.chip.msis[0];
	assert_int_equal(dev_create(&dev, &slot, &b.t.env, &err), -ENOSPC);
	assert_null(b.bus.slots[5]);
	assert_null(b.t.chip.msis[N_QUEUES + 1]);
	memset(&b.t.chip.msis[8], 0, (IRQ_MAX_MSI - 8) * sizeof(b.t.chip.msis[0]));
	start(&b, true);
	assert_true(request(&b, 0));
	teardown(&b);
}

static void entropy_arrives_over_pci(void **state)
{
	static const u8 zeroes[64];
	u8 got[64];
	struct board b;
	u32 len;

	(void)state;
	setup_bridge(&b);
	plug(&b, &virtio_rng_class, NULL);
	pcid_command(&b.v.pci, PCID_MEMORY | PCID_MASTER);
	assert_true(vpci_probe(&b.v));
	assert_true(vpci_begin(&b.v, vpci_offered(&b.v)));
	assert_true(vpci_queue(&b.v, 0, &b.q[0], RING(0), SIZE, VIRTIO_NO_VECTOR));
	assert_true(vpci_driver_ok(&b.v));
	vqd_add(&b.q[0], &(struct vqd_buf){ BUF, sizeof(got), true }, 1);
	notify(&b, 0);
	devtest_run(&b.t);
	assert_int_equal(vqd_used(&b.q[0], &len), 0);
	assert_int_equal(len, sizeof(got));
	assert_int_equal(gmem_read(&b.t.gmem, BUF, got, sizeof(got)), 0);
	assert_memory_not_equal(got, zeroes, sizeof(got));
	assert_true(devtest_irq(&b.t));
	teardown(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_says_what_it_is),
		cmocka_unit_test(capabilities_lead_to_structures_inside_the_bar),
		cmocka_unit_test(a_device_without_configuration_has_no_such_capability),
		cmocka_unit_test(many_queues_share_the_vectors_there_are),
		cmocka_unit_test(a_request_goes_by_doorbell_and_message),
		cmocka_unit_test(without_messages_a_request_ends_with_intx_and_isr),
		cmocka_unit_test(a_machine_without_messages_gets_intx),
		cmocka_unit_test(a_changed_configuration_is_told_by_its_own_vector),
		cmocka_unit_test(a_masked_vector_keeps_its_interrupt_pending),
		cmocka_unit_test(the_configuration_of_the_device_is_read_and_written),
		cmocka_unit_test(common_registers_take_their_own_width_only),
		cmocka_unit_test(ring_addresses_are_written_by_halves_or_whole),
		cmocka_unit_test(an_enabled_queue_is_frozen),
		cmocka_unit_test(a_queue_that_is_not_there_can_be_selected_but_not_used),
		cmocka_unit_test(a_vector_past_the_table_reads_back_as_none),
		cmocka_unit_test(a_reset_takes_the_transport_back_too),
		cmocka_unit_test(a_device_broken_by_its_driver_says_so_and_works_after_reset),
		cmocka_unit_test(doorbells_are_there_while_queues_are_in_use),
		cmocka_unit_test(doorbells_follow_the_bar),
		cmocka_unit_test(without_doorbells_a_notification_is_a_register_write),
		cmocka_unit_test(a_notification_before_driver_ok_is_nothing),
		cmocka_unit_test(the_window_reaches_what_the_bar_has),
		cmocka_unit_test(the_window_leads_nowhere_else),
		cmocka_unit_test(driver_ok_without_bus_mastering_breaks_the_device),
		cmocka_unit_test(losing_bus_mastering_resets_the_device),
		cmocka_unit_test(whoever_takes_bus_mastering_away_waits_for_requests_under_way),
		cmocka_unit_test(last_words_are_taken_without_bus_mastering),
		cmocka_unit_test(a_device_that_cannot_be_made_leaves_nothing),
		cmocka_unit_test(entropy_arrives_over_pci),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
