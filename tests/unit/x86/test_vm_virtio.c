/*
 * test_vm_virtio.c - a whole VM with virtio devices: where they are, what KVM is asked for, what of
 * the host they hold and give back (T2, on fakekvm).
 *
 * The guest is a script that plays the driver by exits, doorbells and interrupts (vmvirtio.h).
 * Does not prove that a kernel finds the devices (tests/t4), nor what they do with a
 * driver that errs (the tests of each device).
 */
#include "tests/unit/vmvirtio.h"

#include <dirent.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "linux-uapi/kvm.h"

#define POWER_OFF FAKE_OUT(0x604, 2, 0x3400)

/* ---- what the host has --------------------------------------------------------------------- */

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Every test leaves as many descriptors as it found: images, sockets, taps, eventfds. */
static int count_before(void **state)
{
	static unsigned int n;

	n = count_fds();
	*state = &n;
	return 0;
}

static int count_after(void **state)
{
	const unsigned int *n = *state;

	if (count_fds() != *n) {
		print_error("%u descriptors, there were %u\n", count_fds(), *n);
		return -1;
	}
	return 0;
}

static bool is_locked(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
	close(fd);
	return lock.l_type != F_UNLCK;
}

static void read_image(const char *path, u64 sector, u8 *buf)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, buf, 512, (off_t)sector * 512), 512);
	close(fd);
}

/* ---- what KVM was asked for ---------------------------------------------------------------- */

/* The @nth (from 1) line of @text with @what in it; NULL: there are not so many. */
static const char *nth_line(const char *text, const char *what, unsigned int nth)
{
	const char *line = text;

	while ((line = strstr(line, what)) && --nth)
		line += strlen(what);
	return line;
}

static const char *first_line(const char *text, const char *what)
{
	const char *line = nth_line(text, what, 1);

	if (!line)
		fail_msg("KVM was not asked for \"%s\":\n%s", what, text);
	return line;
}

static unsigned int count_lines(const char *text, const char *what)
{
	unsigned int n = 0;

	while (nth_line(text, what, n + 1))
		n++;
	return n;
}

/* Each ioeventfd and irqfd was taken away in the same words as it was given. */
static void assert_all_given_back(const char *text, const char *call, unsigned int off_flag)
{
	const char *line = text;
	unsigned int n = 0;

	while ((line = strstr(line, call))) {
		char given[128], taken[128];
		const char *at = strstr(line, "flags ");
		unsigned int flags = (unsigned int)strtoul(at + strlen("flags "), NULL, 0);
		int len = (int)(at - line);

		snprintf(given, sizeof(given), "%.*sflags 0x%x = 0\n", len, line,
			 flags & ~off_flag);
		snprintf(taken, sizeof(taken), "%.*sflags 0x%x = 0\n", len, line, flags | off_flag);
		if (count_lines(text, given) != count_lines(text, taken))
			fail_msg("given and not taken away: %s%s", given, text);
		line += len;
		n++;
	}
	if (!n)
		fail_msg("there was no %s:\n%s", call, text);
}

static void assert_before(const char *a, const char *b)
{
	if (!a || !b || a >= b)
		fail_msg("wrong order: \"%.*s\" should come before \"%.*s\"",
			 a ? (int)strcspn(a, "\n") : 0, a ? a : "", b ? (int)strcspn(b, "\n") : 0,
			 b ? b : "");
}

/* ---- places -------------------------------------------------------------------------------- */

/* clang-format off */
#define LOOK(slot) \
	FAKE_LOAD(VMV_SLOT_CFG(slot, 0), 4), FAKE_LOAD(VMV_SLOT_CFG(slot, 0x10), 4)
#define LOOK_BY_PORTS(slot) \
	FAKE_OUT(0xcf8, 4, 0x80000000 | (slot) << 11), FAKE_IN(0xcfc, 4)
#define LOOK_MMIO(n) \
	FAKE_LOAD(VMV_MMIO(n), 4), FAKE_LOAD(VMV_MMIO(n) + 8, 4)
/* clang-format on */

/* Virtio device types in the order of their places. */
static const u32 types[VMV_N] = { 2, 2, 1, 1, 3, 4 };

static void devices_have_the_same_slots_in_every_run(void **state)
{
	static const struct fake_step steps[] = {
		LOOK(1),	  LOOK(2),	    LOOK(3),	      LOOK(4),
		LOOK(5),	  LOOK(6),	    LOOK(7),	      LOOK_BY_PORTS(1),
		LOOK_BY_PORTS(2), LOOK_BY_PORTS(3), LOOK_BY_PORTS(4), LOOK_BY_PORTS(5),
		LOOK_BY_PORTS(6), LOOK_BY_PORTS(7), POWER_OFF,
	};

	(void)state;
	for (unsigned int run = 0; run < 3; run++) {
		struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
		struct vmv_host h;

		vmv_open(&h, &t->cfg);
		t->cfg.disks[run % 2].readonly = true; /* nor do options move anything */
		t->cfg.disks[run % 2].queues = 1 + run;
		vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
		for (unsigned int i = 0; i < VMV_N; i++) {
			u32 id = 0x1af4 | (0x1040 + types[i]) << 16;

			assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2 * i), id);
			assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2 * i + 1), VMV_BAR(i));
			assert_int_equal(fakekvm_answer_u64(t->fk, 0, 14 + i), id);
		}
		assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2 * VMV_N), 0xffffffff);
		assert_int_equal(fakekvm_answer_u64(t->fk, 0, 14 + VMV_N), 0xffffffff);
		vmtest_free(t);
		vmv_close(&h);
	}
}

static void over_mmio_they_come_in_the_same_order(void **state)
{
	static const struct fake_step steps[] = {
		LOOK_MMIO(0), LOOK_MMIO(1), LOOK_MMIO(2), LOOK_MMIO(3),
		LOOK_MMIO(4), LOOK_MMIO(5), LOOK_MMIO(6), POWER_OFF,
	};

	(void)state;
	for (unsigned int run = 0; run < 2; run++) {
		struct vmtest *t = vmtest_new(&fakekvm_x86_amd);
		struct vmv_host h;

		vmv_open(&h, &t->cfg);
		t->cfg.virtio_transport = LKVM_VIRTIO_MMIO;
		vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
		for (unsigned int i = 0; i < VMV_N; i++) {
			assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2 * i), 0x74726976);
			assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2 * i + 1), types[i]);
		}
		assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2 * VMV_N), 0xffffffff);
		assert_int_equal(t->res.unclaimed_accesses, 2);
		vmtest_free(t);
		vmv_close(&h);
	}
}

/* Disks come before the rest: what is added later in the order moves nothing. */
static void a_device_is_not_moved_by_those_after_it(void **state)
{
	static const struct fake_step steps[] = { LOOK(1), LOOK(2), LOOK(3), POWER_OFF };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	struct vmv_host h;

	(void)state;
	vmv_open(&h, &t->cfg);
	t->cfg.n_nets = t->cfg.n_ports = 0;
	t->cfg.virtio_console = t->cfg.rng = false;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), 0x10421af4);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 1), VMV_BAR(0));
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2), 0x10421af4);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 3), VMV_BAR(1));
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 4), 0xffffffff);
	vmtest_free(t);
	vmv_close(&h);
}

static void add_readers(struct lkvm_config *cfg, const char *path, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		vmv_add_disk(cfg, path);
		cfg->disks[i].readonly = true;
		cfg->disks[i].queues = LKVM_MAX_QUEUES;
	}
}

static void there_is_room_for_31_devices(void **state)
{
	static const struct fake_step pci[] = { LOOK(1), LOOK(30), LOOK(31), POWER_OFF };
	static const struct fake_step mmio[] = { LOOK_MMIO(0), LOOK_MMIO(30), LOOK_MMIO(31),
						 POWER_OFF };
	char image[64];

	(void)state;
	vmv_make_image(image);
	for (int i = 0; i < 2; i++) {
		struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

		add_readers(&t->cfg, image, 30);
		t->cfg.rng = true;
		t->cfg.virtio_transport = i ? LKVM_VIRTIO_MMIO : LKVM_VIRTIO_PCI;
		fakekvm_script(t->fk, 0, i ? mmio : pci, ARRAY_SIZE(pci));
		vmtest_start(t);
		vmtest_finish(t);
		assert_int_equal(t->res.cause, LKVM_CAUSE_POWEROFF);
		if (i) {
			assert_int_equal(fakekvm_answer_u64(t->fk, 0, 1), 2);
			assert_int_equal(fakekvm_answer_u64(t->fk, 0, 3), 4);
		} else {
			assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2), 0x10421af4);
			assert_int_equal(fakekvm_answer_u64(t->fk, 0, 4), 0x10441af4);
			assert_int_equal(fakekvm_answer_u64(t->fk, 0, 5), VMV_BAR(30));
		}
		vmtest_free(t);
	}
	unlink(image);
}

static void a_32nd_device_is_refused(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	char image[64];

	(void)state;
	vmv_make_image(image);
	add_readers(&t->cfg, image, 30);
	t->cfg.rng = true;
	t->cfg.n_nets = 1;
	assert_int_equal(vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err), -EINVAL);
	assert_int_equal(t->err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(t->err.msg, "31"));
	assert_int_equal(fakekvm_n_calls(t->fk), 0);
	vmtest_free(t);
	unlink(image);
}

/* ---- doorbells and interrupts --------------------------------------------------------------- */

static bool any_set(const u8 *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i])
			return true;
	}
	return false;
}

static void assert_random(const struct vmv_req *req)
{
	assert_true(req->done);
	assert_int_equal(req->used_len, 64);
	assert_true(any_set(req->got, 64));
}

#define NOTIFY_OF_RNG "KVM_IOEVENTFD addr 0xc0003000 len 0 flags 0x0"

static void a_message_comes_through_an_irqfd(void **state)
{
	static struct vmv_req req;
	static const struct fake_step steps[] = {
		VMV_PCI_BEGIN(0, VMV_CAP_RNG, 0),
		VMV_PCI_QUEUE(0, 0, VMV_RING(0)),
		VMV_PCI_OK(0),
		FAKE_LOAD(VMV_CFG(0, VMV_CAP_RNG), 1),
		VMV_PCI_STATUS(0),
		FAKE_CALL(vmv_add, &req),
		VMV_PCI_KICK(0, 0),
		FAKE_WAIT_IRQ(VMV_FIRST_MSI, 5000),
		FAKE_CALL(vmv_await, &req),
		FAKE_LOAD(VMV_ISR(0), 1),
		POWER_OFF,
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	const char *routed, *bell;
	char *text;

	(void)state;
	req = (struct vmv_req)VMV_IN(0, 64);
	t->cfg.rng = true;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), 0x11);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 1), 0xf);
	assert_random(&req);
	assert_int_equal(fakekvm_irq_count(t->fk, VMV_FIRST_MSI), 1);
	assert_int_equal(fakekvm_irq_count(t->fk, VMV_PCI_LINE(0)), 0);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2), 0); /* the ISR byte is INTx's */

	text = fakekvm_transcript(t->fk, NULL);
	/* A doorbell belongs to a queue that is enabled; no exit brought the notification. */
	bell = first_line(text, NOTIFY_OF_RNG);
	assert_before(first_line(text, "mmio write 0xc000001c size 2"), bell);
	assert_null(nth_line(text, "mmio write 0xc0003000", 1));
	/* Entry unmasked, then the whole function: only the latter makes it live. */
	routed = first_line(text, "KVM_SET_GSI_ROUTING nr 41");
	assert_before(nth_line(text, "mmio write 0xe000808a size 2", 2), routed);
	assert_before(routed, first_line(text, "KVM_IRQFD gsi 24 flags 0x0"));
	assert_int_equal(count_lines(text, "KVM_SET_GSI_ROUTING"), 1);
	assert_all_given_back(text, "KVM_IOEVENTFD addr", KVM_IOEVENTFD_FLAG_DEASSIGN);
	assert_all_given_back(text, "KVM_IRQFD gsi", KVM_IRQFD_FLAG_DEASSIGN);
	free(text);
	vmtest_free(t);
}

static void without_messages_the_line_is_held_until_the_isr_is_read(void **state)
{
	static struct vmv_req req;
	static const struct fake_step steps[] = {
		VMV_PCI_BEGIN_INTX(0, 0),
		VMV_PCI_QUEUE(0, 0, VMV_RING(0)),
		VMV_PCI_OK(0),
		FAKE_CALL(vmv_add, &req),
		VMV_PCI_KICK(0, 0),
		FAKE_WAIT_IRQ(VMV_PCI_LINE(0), 5000),
		FAKE_CALL(vmv_await, &req),
		FAKE_LOAD(VMV_CFG(0, 6), 2),
		FAKE_LOAD(VMV_ISR(0), 1),
		FAKE_LOAD(VMV_CFG(0, 6), 2),
		POWER_OFF,
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd);
	char *text;

	(void)state;
	req = (struct vmv_req)VMV_IN(0, 64);
	t->cfg.rng = true;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_random(&req);
	assert_int_equal(fakekvm_irq_count(t->fk, VMV_PCI_LINE(0)), 1);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0) & 8, 8);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 1), 1);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2) & 8, 0);
	text = fakekvm_transcript(t->fk, "vm");
	assert_before(first_line(text, "KVM_IRQ_LINE gsi 17 level 1"),
		      first_line(text, "KVM_IRQ_LINE gsi 17 level 0"));
	assert_null(nth_line(text, "KVM_IRQFD", 1));
	free(text);
	vmtest_free(t);
}

static void over_mmio_the_line_is_held_until_it_is_acknowledged(void **state)
{
	static struct vmv_req req;
	static const struct fake_step steps[] = {
		VMV_MMIO_BEGIN(0, 0, 0),
		VMV_MMIO_QUEUE(0, 0, VMV_RING(0)),
		VMV_MMIO_OK(0),
		VMV_MMIO_STATUS(0),
		FAKE_CALL(vmv_add, &req),
		VMV_MMIO_KICK(0, 0),
		FAKE_WAIT_IRQ(VMV_MMIO_LINE(0), 5000),
		FAKE_CALL(vmv_await, &req),
		VMV_MMIO_ISR(0),
		VMV_MMIO_ACK(0),
		VMV_MMIO_ISR(0),
		POWER_OFF,
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	char *text;

	(void)state;
	req = (struct vmv_req)VMV_IN(0, 64);
	t->cfg.rng = true;
	t->cfg.virtio_transport = LKVM_VIRTIO_MMIO;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), 0xf);
	assert_random(&req);
	assert_int_equal(fakekvm_irq_count(t->fk, VMV_MMIO_LINE(0)), 1);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 1), 1);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2), 0);
	text = fakekvm_transcript(t->fk, NULL);
	/* All queues are notified at one address: a doorbell is for its own number. */
	assert_before(first_line(text, "mmio write 0xe8000044 size 4"),
		      first_line(text, "KVM_IOEVENTFD addr 0xe8000050 len 4 flags 0x1"));
	assert_null(nth_line(text, "mmio write 0xe8000050", 1));
	assert_before(first_line(text, "KVM_IRQ_LINE gsi 16 level 1"),
		      first_line(text, "KVM_IRQ_LINE gsi 16 level 0"));
	assert_all_given_back(text, "KVM_IOEVENTFD addr", KVM_IOEVENTFD_FLAG_DEASSIGN);
	free(text);
	vmtest_free(t);
}

#define MOVED 0xd0000000ull

static void doorbells_move_with_the_bar(void **state)
{
	static struct vmv_req req;
	static const struct fake_step steps[] = {
		VMV_PCI_BEGIN(0, VMV_CAP_RNG, 0),
		VMV_PCI_QUEUE(0, 0, VMV_RING(0)),
		VMV_PCI_OK(0),
		FAKE_STORE(VMV_CFG(0, 0x10), 4, MOVED),
		FAKE_CALL(vmv_add, &req),
		FAKE_STORE(MOVED + 0x3000, 2, 0),
		FAKE_WAIT_IRQ(VMV_FIRST_MSI, 5000),
		FAKE_CALL(vmv_await, &req),
		POWER_OFF,
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	char *text;

	(void)state;
	req = (struct vmv_req)VMV_IN(0, 64);
	t->cfg.rng = true;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_random(&req);
	text = fakekvm_transcript(t->fk, "vm");
	assert_before(first_line(text, "KVM_IOEVENTFD addr 0xc0003000 len 0 flags 0x4 = 0"),
		      first_line(text, "KVM_IOEVENTFD addr 0xd0003000 len 0 flags 0x0 = 0"));
	assert_all_given_back(text, "KVM_IOEVENTFD addr", KVM_IOEVENTFD_FLAG_DEASSIGN);
	free(text);
	vmtest_free(t);
}

static void a_reset_takes_the_doorbell_away(void **state)
{
	static struct vmv_req req;
	static const struct fake_step steps[] = {
		VMV_PCI_BEGIN(0, VMV_CAP_RNG, 0),
		VMV_PCI_QUEUE(0, 0, VMV_RING(0)),
		VMV_PCI_OK(0),
		VMV_PCI_RESET(0),
		VMV_PCI_STATUS(0),
		FAKE_CALL(vmv_add, &req),
		VMV_PCI_KICK(0, 0),	  /* an exit, and nobody's queue */
		VMV_PCI_BEGIN_INTX(0, 0), /* the messages are still set up */
		VMV_PCI_QUEUE(0, 0, VMV_RING(0)),
		VMV_PCI_OK(0),
		VMV_PCI_KICK(0, 0),
		FAKE_WAIT_IRQ(VMV_FIRST_MSI, 5000),
		FAKE_CALL(vmv_await, &req),
		POWER_OFF,
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	const char *exit;
	char *text;

	(void)state;
	req = (struct vmv_req)VMV_IN(0, 64);
	t->cfg.rng = true;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), 0);
	assert_random(&req);
	text = fakekvm_transcript(t->fk, NULL);
	exit = first_line(text, "mmio write 0xc0003000 size 2");
	assert_int_equal(count_lines(text, "mmio write 0xc0003000 size 2"), 1);
	assert_before(first_line(text, "KVM_IOEVENTFD addr 0xc0003000 len 0 flags 0x4"), exit);
	assert_before(exit, nth_line(text, NOTIFY_OF_RNG, 2));
	free(text);
	vmtest_free(t);
}

/* ---- one of each ------------------------------------------------------------------------------
 */

/* Everything was done, and the outside has seen it. */
static void check_all(struct vmtest *t, const struct vmv_host *h, const struct vmv_all *all)
{
	const struct vmv_req *reqs[] = { &all->blk, &all->send, &all->recv,
					 &all->hvc, &all->port, &all->rng };
	u8 sector[512];
	char line[16] = "";

	for (size_t i = 0; i < ARRAY_SIZE(reqs); i++) {
		if (!reqs[i]->done)
			fail_msg("request %zu was not completed", i);
	}
	assert_int_equal(all->blk.got[0], 0);
	read_image(h->images[VMV_DISK], 7, sector);
	assert_memory_equal(sector, vmv_sector_7 + 16, 512);
	/* An ARP reply to our card, behind the header: 10.0.2.2 is there. */
	assert_int_equal(all->recv.got[12], 2);
	assert_memory_equal(all->recv.got + 12 + 12, "\x08\x06", 2);
	assert_memory_equal(all->recv.got + 12 + 20, "\x00\x02", 2);
	assert_memory_equal(all->recv.got + 12 + 28, "\x0a\x00\x02\x02", 4);
	assert_random(&all->rng);
	assert_non_null(memmem(t->out, t->n_out, "hello from hvc0\n", 16));
	assert_int_equal(read(h->port[0], line, sizeof(line)), 5);
	assert_string_equal(line, "port\n");
}

static void all_of_them_work(const struct fake_step *steps, size_t n, struct vmv_all *all,
			     enum lkvm_virtio_transport transport)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	struct vmv_host h;
	char *text;

	*all = (struct vmv_all)VMV_ALL;
	vmv_open(&h, &t->cfg);
	t->cfg.virtio_transport = transport;
	fakekvm_script(t->fk, 0, steps, n);
	vmtest_start(t);
	assert_true(is_locked(h.images[0]) && is_locked(h.images[1]));
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_POWEROFF);
	check_all(t, &h, all);
	assert_string_equal(t->log, "");
	text = fakekvm_transcript(t->fk, "vm");
	assert_all_given_back(text, "KVM_IOEVENTFD addr", KVM_IOEVENTFD_FLAG_DEASSIGN);
	free(text);
	/* Host sides are the VM's, and the VM is still there. */
	assert_true(is_locked(h.images[0]));
	lkvm_vm_destroy(t->vm);
	t->vm = NULL;
	assert_false(is_locked(h.images[0]) || is_locked(h.images[1]));
	vmtest_free(t);
	vmv_close(&h);
}

static void all_of_them_work_over_pci(void **state)
{
	static struct vmv_all all;
	static const struct fake_step steps[] = { VMV_USE(PCI, &all), POWER_OFF };

	(void)state;
	all_of_them_work(steps, ARRAY_SIZE(steps), &all, LKVM_VIRTIO_PCI);
}

static void all_of_them_work_over_mmio(void **state)
{
	static struct vmv_all all;
	static const struct fake_step steps[] = { VMV_USE(MMIO, &all), POWER_OFF };

	(void)state;
	all_of_them_work(steps, ARRAY_SIZE(steps), &all, LKVM_VIRTIO_MMIO);
}

/* A tap that the VM makes, where that is possible. Its name is no other test's. */
static bool add_tap(struct lkvm_net *net)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	bool possible;

	t->cfg.n_nets = 1;
	t->cfg.nets[0].mode = LKVM_NET_TAP;
	snprintf(t->cfg.nets[0].ifname, LKVM_IFNAME_MAX, "lkvmt%d", getpid() % 100000);
	possible = !vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);
	if (possible)
		*net = t->cfg.nets[0];
	else
		print_message("# without a tap: %s\n", t->err.msg);
	vmtest_free(t);
	return possible;
}

static bool has_interface(const struct lkvm_net *net)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/class/net/%s", net->ifname);
	return !access(path, F_OK);
}

static void a_tap_goes_with_its_machine(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	struct vmv_host h;

	(void)state;
	vmv_open(&h, &t->cfg);
	if (add_tap(&t->cfg.nets[0])) {
		assert_false(has_interface(&t->cfg.nets[0]));
		vmtest_start(t);
		assert_true(has_interface(&t->cfg.nets[0]));
		lkvm_vm_destroy(t->vm);
		t->vm = NULL;
		assert_false(has_interface(&t->cfg.nets[0]));
	}
	vmtest_free(t);
	vmv_close(&h);
}

/* Everything of the host that was opened before something else failed is given back at once. */
static void a_create_that_fails_gives_everything_back(void **state)
{
	struct sockaddr_un nobody = { .sun_family = AF_UNIX };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	unsigned int n_fds;
	struct vmv_host h;
	bool tap;
	int fd;

	(void)state;
	vmv_open(&h, &t->cfg);
	tap = add_tap(&t->cfg.nets[0]);
	t->cfg.n_nets = 3;
	t->cfg.nets[2].mode = LKVM_NET_UNIX;
	/* bound, and not listening */
	snprintf(nobody.sun_path, sizeof(nobody.sun_path), "%s.sock", h.images[0]);
	snprintf(t->cfg.nets[2].socket, LKVM_SOCKET_MAX, "%s", nobody.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (void *)&nobody, sizeof(nobody)), 0);
	n_fds = count_fds();
	assert_true(vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err) < 0);
	assert_null(t->vm);
	assert_int_equal(t->err.kind, LKVM_ERR_INPUT);
	assert_non_null(strstr(t->err.msg, nobody.sun_path));
	assert_int_equal(count_fds(), n_fds);
	assert_false(tap && has_interface(&t->cfg.nets[0]));
	assert_false(is_locked(h.images[0]) || is_locked(h.images[1]));
	close(fd);
	unlink(nobody.sun_path);
	vmtest_free(t);
	vmv_close(&h);
}

static void two_machines_do_not_share_a_writable_image(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel), *other = vmtest_new(&fakekvm_x86_amd);
	char image[64], self[32];

	(void)state;
	vmv_make_image(image);
	vmv_add_disk(&t->cfg, image);
	vmv_add_disk(&other->cfg, image);
	vmtest_create(t);
	assert_true(vm_create_on(fakekvm_backend(other->fk), &other->cfg, &other->vm, &other->err) <
		    0);
	assert_int_equal(other->err.kind, LKVM_ERR_INPUT);
	snprintf(self, sizeof(self), "(pid %d)", getpid());
	assert_non_null(strstr(other->err.msg, self));
	lkvm_vm_destroy(t->vm);
	t->vm = NULL;
	vmtest_create(other);
	vmtest_free(other);
	vmtest_free(t);
	unlink(image);
}

/* ---- restart ----------------------------------------------------------------------------------
 */

#define BOOTS 3

struct boots {
	unsigned int n, n_written, n_locked;
	const char *image; /* its name was taken away, so it is known by its descriptor only */
	struct fake_step *end;
	struct vmv_req req;
	u8 data[16 + 512];
};

/* This boot writes its number into the sector of its number, and resets unless it is the last. */
static void begin_boot(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	struct boots *b = ctx;

	(void)fk;
	(void)vcpu;
	b->n++;
	memset(b->data, 0, sizeof(b->data));
	b->data[0] = 1;
	b->data[8] = (u8)b->n;
	b->data[16] = (u8)b->n;
	b->req = (struct vmv_req)VMV_BLK_WRITE(0);
	b->req.data = b->data;
	b->n_locked += is_locked(b->image);
	if (b->n == BOOTS)
		*b->end = (struct fake_step)POWER_OFF;
}

static void end_boot(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	struct boots *b = ctx;

	(void)fk;
	(void)vcpu;
	b->n_written += b->req.done && !b->req.got[0];
}

static void a_restart_keeps_images_open_and_locked(void **state)
{
	struct boots boots = { 0 };
	struct fake_step steps[] = {
		FAKE_CALL(begin_boot, &boots),
		LOOK(1),
		VMV_PCI_BEGIN(0, VMV_CAP, 0),
		VMV_PCI_QUEUE(0, 0, VMV_RING(0)),
		VMV_PCI_OK(0),
		VMV_PCI_STATUS(0),
		FAKE_CALL(vmv_add, &boots.req),
		VMV_PCI_KICK(0, 0),
		FAKE_WAIT_IRQ(VMV_FIRST_MSI, 5000),
		FAKE_CALL(vmv_await, &boots.req),
		FAKE_CALL(end_boot, &boots),
		FAKE_OUT(PM_RESET, 1, 1),
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
	struct vmv_host h;
	char elsewhere[80];
	u8 sector[512];

	(void)state;
	vmv_open(&h, &t->cfg);
	t->cfg.on_reboot = LKVM_ON_REBOOT_RESTART;
	vmtest_script(t, 0, steps);
	vmtest_create(t);
	snprintf(elsewhere, sizeof(elsewhere), "%s.moved", h.images[0]);
	assert_int_equal(rename(h.images[0], elsewhere), 0);
	boots.image = elsewhere;
	boots.end = &steps[ARRAY_SIZE(steps) - 1];
	assert_int_equal(lkvm_vm_start(t->vm, &t->err), 0);
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_POWEROFF);
	assert_int_equal(t->res.n_boots, BOOTS);
	assert_int_equal(boots.n, BOOTS);
	assert_int_equal(boots.n_locked, BOOTS);
	assert_int_equal(boots.n_written, BOOTS);
	/* The last one found the device where the first one did, as new. */
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), 0x10421af4);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 1), VMV_BAR(0));
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2), 0xf);
	for (u8 i = 1; i <= BOOTS; i++) {
		read_image(elsewhere, i, sector);
		assert_int_equal(sector[0], i);
	}
	vmtest_free(t);
	assert_false(is_locked(elsewhere));
	unlink(elsewhere);
	vmv_close(&h);
}

static void after_a_restart_all_of_them_work_again(void **state)
{
	static struct vmv_all all;
	static struct boots boots;
	static struct fake_step steps[] = {
		FAKE_CALL(begin_boot, &boots),
		VMV_USE(PCI, &all),
		FAKE_OUT(PM_RESET, 1, 1),
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd);
	struct vmv_host h;
	char ports[64];

	(void)state;
	all = (struct vmv_all)VMV_ALL;
	vmv_open(&h, &t->cfg);
	boots = (struct boots){ .image = h.images[0], .end = &steps[ARRAY_SIZE(steps) - 1] };
	t->cfg.on_reboot = LKVM_ON_REBOOT_RESTART;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(t->res.n_boots, BOOTS);
	assert_int_equal(all.blk.n_done, BOOTS);
	assert_int_equal(all.send.n_done, BOOTS);
	assert_int_equal(all.recv.n_done, BOOTS);
	assert_int_equal(all.rng.n_done, BOOTS);
	assert_int_equal(t->n_out, BOOTS * strlen("hello from hvc0\n"));
	assert_int_equal(read(h.port[0], ports, sizeof(ports)), BOOTS * strlen("port\n"));
	vmtest_free(t);
	vmv_close(&h);
}

/* ---- requests under way -----------------------------------------------------------------------
 */

struct busy {
	struct vmv_req req;
	_Atomic unsigned int rounds;
};

/* As many writes as the ring takes, again and again as they come back; waits for nothing. */
static void keep_busy(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	struct busy *b = ctx;

	if (vmv_index(fk, VMV_AVAIL(b->req.ring)) != vmv_index(fk, VMV_USED(b->req.ring)))
		return;
	vmv_add(fk, vcpu, &b->req);
	b->rounds++;
}

/* clang-format off */
#define BUSY(b) { \
	VMV_PCI_BEGIN(0, VMV_CAP, 0), VMV_PCI_QUEUE(0, 0, VMV_RING(0)), VMV_PCI_OK(0), \
	FAKE_CALL(keep_busy, b), VMV_PCI_KICK(0, 0), FAKE_REPEAT(BUSY_LOOP, 0) }
/* clang-format on */
#define BUSY_LOOP 26 /* the step of keep_busy */

static void wait_for_rounds(struct busy *b, unsigned int more)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	unsigned int want = b->rounds + more;

	for (unsigned int i = 0; b->rounds < want; i++) {
		if (i == VMTEST_WAIT_MS)
			fail_msg("requests do not come back");
		nanosleep(&ms, NULL);
	}
}

static struct vmtest *start_busy(struct busy *b, struct vmv_host *h, const struct fake_step *steps,
				 size_t n)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	assert_ptr_equal(steps[BUSY_LOOP].fn, keep_busy);
	*b = (struct busy){ .req = VMV_BLK_WRITE(0) };
	b->req.chains = VMV_RING_SIZE / 3;
	vmv_open(h, &t->cfg);
	fakekvm_script(t->fk, 0, steps, n);
	vmtest_start(t);
	wait_for_rounds(b, 2); /* so that one has come back */
	return t;
}

static void end_busy(struct vmtest *t, struct vmv_host *h)
{
	u8 sector[512];

	vmtest_free(t);
	assert_false(is_locked(h->images[0]));
	read_image(h->images[0], 7, sector);
	assert_memory_equal(sector, vmv_sector_7 + 16, 512);
	vmv_close(h);
}

static void a_busy_machine_is_paused_and_goes_on(void **state)
{
	static struct busy busy;
	static const struct fake_step steps[] = BUSY(&busy);
	struct vmv_host h;
	struct vmtest *t = start_busy(&busy, &h, steps, ARRAY_SIZE(steps));

	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		unsigned int rounds;

		assert_int_equal(lkvm_vm_pause(t->vm), 0);
		rounds = busy.rounds;
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		assert_int_equal(busy.rounds, rounds);
		assert_int_equal(lkvm_vm_resume(t->vm), 0);
		wait_for_rounds(&busy, 2);
	}
	lkvm_vm_stop(t->vm);
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_USER);
	end_busy(t, &h);
}

static void a_busy_machine_can_be_stopped_at_any_moment(void **state)
{
	static struct busy busy;
	static const struct fake_step steps[] = BUSY(&busy);

	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		struct vmv_host h;
		struct vmtest *t = start_busy(&busy, &h, steps, ARRAY_SIZE(steps));

		nanosleep(&(struct timespec){ .tv_nsec = i * 100000 }, NULL);
		if (i % 4 >= 2)
			assert_int_equal(lkvm_vm_pause(t->vm), 0);
		if (i % 2) {
			lkvm_vm_stop(t->vm);
			vmtest_finish(t);
			assert_int_equal(t->res.cause, LKVM_CAUSE_USER);
		} /* else it is destroyed as it is */
		end_busy(t, &h);
	}
}

/* The other processor's guest: lets two rounds go by, and resets the machine under the third. */
struct resetter {
	struct busy *busy;
	unsigned int n_boots;
	struct fake_step *end;
};

static void wait_for_two(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	struct resetter *r = ctx;
	unsigned int want = r->busy->rounds + 2;

	(void)fk;
	(void)vcpu;
	for (unsigned int i = 0; i < VMV_AWAIT_MS && r->busy->rounds < want && !vmv_kicked(); i++)
		nanosleep(&ms, NULL);
	if (++r->n_boots == BOOTS)
		*r->end = (struct fake_step)POWER_OFF;
}

static void a_busy_machine_can_be_restarted(void **state)
{
	static struct busy busy;
	static const struct fake_step steps[] = BUSY(&busy);
	struct resetter resetter = { .busy = &busy };
	struct fake_step resets[] = { FAKE_CALL(wait_for_two, &resetter),
				      FAKE_OUT(PM_RESET, 1, 1) };
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd);
	struct vmv_host h;

	(void)state;
	busy = (struct busy){ .req = VMV_BLK_WRITE(0) };
	busy.req.chains = VMV_RING_SIZE / 3;
	resetter.end = &resets[1];
	vmv_open(&h, &t->cfg);
	t->cfg.n_vcpus = 2;
	t->cfg.on_reboot = LKVM_ON_REBOOT_RESTART;
	vmtest_script(t, 1, resets);
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(t->res.n_boots, BOOTS);
	assert_true(busy.rounds >= 2 * BOOTS);
	end_busy(t, &h);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, count_before, count_after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(devices_have_the_same_slots_in_every_run),
		TEST(over_mmio_they_come_in_the_same_order),
		TEST(a_device_is_not_moved_by_those_after_it),
		TEST(there_is_room_for_31_devices),
		TEST(a_32nd_device_is_refused),
		TEST(a_message_comes_through_an_irqfd),
		TEST(without_messages_the_line_is_held_until_the_isr_is_read),
		TEST(over_mmio_the_line_is_held_until_it_is_acknowledged),
		TEST(doorbells_move_with_the_bar),
		TEST(a_reset_takes_the_doorbell_away),
		TEST(all_of_them_work_over_pci),
		TEST(all_of_them_work_over_mmio),
		TEST(a_tap_goes_with_its_machine),
		TEST(a_create_that_fails_gives_everything_back),
		TEST(two_machines_do_not_share_a_writable_image),
		TEST(a_restart_keeps_images_open_and_locked),
		TEST(after_a_restart_all_of_them_work_again),
		TEST(a_busy_machine_is_paused_and_goes_on),
		TEST(a_busy_machine_can_be_stopped_at_any_moment),
		TEST(a_busy_machine_can_be_restarted),
	};

	return cmocka_run_group_tests_name("virtio devices in a VM", tests, NULL, NULL);
}
