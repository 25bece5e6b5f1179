/*
 * test_board.c - the arm64 board: each device answers where it is announced, and what is asked for
 * and cannot be is refused (T2, on fakekvm).
 *
 * What the devices do is in tests of their own. Does not prove that a kernel finds them
 * (check-bed).
 */
#include "tests/unit/vmtest.h"

#include <libfdt.h>
#include <sys/mman.h>

#include "arch/arm64/boot.h"
#include "arch/arm64/layout.h"
#include "devices/classes.h"
#include "linux-uapi/arm64.h"

#define OFF FAKE_SYSTEM_EVENT(KVM_SYSTEM_EVENT_SHUTDOWN)

static void temp_file(char path[64], u64 size, u8 fill)
{
	u8 *bytes = malloc(size);
	int fd;

	assert_non_null(bytes);
	memset(bytes, fill, size);
	snprintf(path, 64, "/tmp/lkvm-board-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	free(bytes);
}

static void refused(struct vmtest *t, enum lkvm_error_kind kind, const char *words)
{
	int ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);

	assert_true(ret < 0);
	if (t->err.kind != kind || !strstr(t->err.msg, words))
		fail_msg("kind %d: %s (wanted '%s')", t->err.kind, t->err.msg, words);
	vmtest_free(t);
}

/* ---- everything is where it should be -------------------------------------------------- */

struct probe {
	struct fake_step load;
	u64 want;
};

static void assert_answers(struct vmtest *t, const struct probe *probes, unsigned int n)
{
	struct fake_step steps[64];

	assert_in_range(n, 1, ARRAY_SIZE(steps) - 1);
	for (unsigned int i = 0; i < n; i++)
		steps[i] = probes[i].load;
	steps[n] = (struct fake_step)OFF;
	fakekvm_script(t->fk, 0, steps, n + 1);
	vmtest_start(t);
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_POWEROFF);
	for (unsigned int i = 0; i < n; i++) {
		u64 got = fakekvm_answer_u64(t->fk, 0, i);

		if (got != probes[i].want)
			fail_msg("0x%llx reads 0x%llx", (unsigned long long)probes[i].load.addr,
				 (unsigned long long)got);
	}
	vmtest_free(t);
}

static void devices_are_where_firmware_for_such_machines_looks(void **state)
{
	static const struct probe probes[] = {
		{ FAKE_LOAD(0x1000005, 1), 0x60 },	  /* UART: may be written to */
		{ FAKE_LOAD(0x1010000, 1), 0xff },	  /* MC146818: the index */
		{ FAKE_LOAD(0x1030fe0, 4), 0x31 },	  /* PL031's number */
		{ FAKE_LOAD(0x1040000, 1), 3 },		  /* pvpanic */
		{ FAKE_LOAD(0x1050000, 4), 0 },		  /* debug-exit */
		{ FAKE_LOAD(0x3000000, 4), 0x74726976 },  /* virtio */
		{ FAKE_LOAD(0x3000208, 4), 4 },		  /* the second one: an rng */
		{ FAKE_LOAD(0x3000400, 4), 0xffffffff },  /* there are no more */
		{ FAKE_LOAD(0x40000000, 4), 0x00081b36 }, /* the host bridge */
		{ FAKE_LOAD(0x40008000, 4), 0xffffffff }, /* and nothing behind it */
		{ FAKE_LOAD(0x2000000, 4), 0xffffffff },  /* no flash */
	};
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	t->cfg.virtio_transport = LKVM_VIRTIO_MMIO;
	t->cfg.debug_exit = true;
	t->cfg.n_nets = 1;
	t->cfg.rng = true;
	assert_answers(t, probes, ARRAY_SIZE(probes));
}

static void virtio_on_pci_is_in_slots_from_1_on(void **state)
{
	static const struct probe probes[] = {
		{ FAKE_LOAD(0x40008000, 4), 0x10411af4 },
		{ FAKE_LOAD(0x4000803d, 1), 1 },  /* INTA#, */
		{ FAKE_LOAD(0x4000803c, 1), 32 }, /* which is this line */
		{ FAKE_LOAD(0x40010000, 4), 0x10441af4 },
		{ FAKE_LOAD(0x4001003c, 1), 33 },
		{ FAKE_LOAD(0x3000000, 4), 0xffffffff },
	};
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	t->cfg.n_nets = 1;
	t->cfg.rng = true;
	assert_answers(t, probes, ARRAY_SIZE(probes));
}

static void a_gicv2m_machine_has_a_frame(void **state)
{
	static const struct probe probes[] = {
		{ FAKE_LOAD(0x3ffc0008, 4), 96 << 16 | 128 },
	};
	struct vmtest *t = vmtest_new(&fakekvm_arm64_gicv2);

	(void)state;
	t->cfg.arm64.irqchip = LKVM_IRQCHIP_GICV2M;
	assert_answers(t, probes, ARRAY_SIZE(probes));
}

static void a_gicv2_machine_has_none(void **state)
{
	static const struct probe probes[] = { { FAKE_LOAD(0x3ffc0008, 4), 0xffffffff } };
	struct vmtest *t = vmtest_new(&fakekvm_arm64_gicv2);

	(void)state;
	t->cfg.arm64.irqchip = LKVM_IRQCHIP_GICV2;
	assert_answers(t, probes, ARRAY_SIZE(probes));
}

#define CAP_FIRST 0x40
#define CAP_LAST  0xf8
#define CAP_MSIX  0x11

/* The first virtio device has the capability of messages: found as a driver finds it. */
static bool has_msix(const struct fake_host *host, enum lkvm_irqchip kind)
{
	struct fake_step steps[2 + (CAP_LAST - CAP_FIRST) / 4 + 1] = { FAKE_LOAD(0x40008034, 1) };
	struct vmtest *t = vmtest_new(host);
	unsigned int n = 1;
	bool found = false;
	u64 off;

	for (u64 reg = CAP_FIRST; reg <= CAP_LAST; reg += 4)
		steps[n++] = (struct fake_step)FAKE_LOAD(0x40008000 + reg, 4);
	steps[n++] = (struct fake_step)OFF;
	assert_int_equal(n, ARRAY_SIZE(steps));
	t->cfg.arm64.irqchip = kind;
	t->cfg.rng = true;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	off = fakekvm_answer_u64(t->fk, 0, 0);
	for (unsigned int i = 0; i < 48 && off; i++) {
		u64 cap;

		assert_in_range(off, CAP_FIRST, CAP_LAST);
		cap = fakekvm_answer_u64(t->fk, 0, (unsigned int)(1 + (off - CAP_FIRST) / 4));
		found |= (cap & 0xff) == CAP_MSIX;
		off = cap >> 8 & 0xff;
	}
	vmtest_free(t);
	return found;
}

static void devices_send_messages_where_the_gic_takes_them(void **state)
{
	(void)state;
	assert_true(has_msix(&fakekvm_arm64, LKVM_IRQCHIP_GICV3_ITS));
	assert_false(has_msix(&fakekvm_arm64, LKVM_IRQCHIP_GICV3));
	assert_true(has_msix(&fakekvm_arm64_gicv2, LKVM_IRQCHIP_GICV2M));
	assert_false(has_msix(&fakekvm_arm64_gicv2, LKVM_IRQCHIP_GICV2));
}

/* ---- pvpanic on PCI ----------------------------------------------------------------------- */

static void pvpanic_may_be_a_pci_function_instead(void **state)
{
	static const struct fake_step steps[] = {
		FAKE_LOAD(0x1040000, 1),      FAKE_LOAD(0x400f8000, 4),
		FAKE_STORE(0x400f8004, 2, 2), /* memory space */
		FAKE_LOAD(0x400f8010, 4),     FAKE_LOAD(0x50000000, 1),
		FAKE_STORE(0x50000000, 1, 1), FAKE_HALT,
	};
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	(void)state;
	t->cfg.pvpanic_pci = true;
	vmtest_run(t, steps, LKVM_CAUSE_PANIC, 113);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), 0xff);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 1), 0x00111b36);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2), 0x50000000);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 3), 3);
	vmtest_free(t);
}

static void pvpanic_on_pci_takes_the_place_of_a_virtio_device(void **state)
{
	char path[64];

	(void)state;
	temp_file(path, MIB, 0);
	for (unsigned int n = 30; n <= 31; n++) {
		for (unsigned int mmio = 0; mmio <= 1; mmio++) {
			struct vmtest *t = vmtest_new(&fakekvm_arm64);

			t->cfg.pvpanic_pci = true;
			t->cfg.virtio_transport = mmio ? LKVM_VIRTIO_MMIO : LKVM_VIRTIO_PCI;
			t->cfg.n_disks = n;
			for (unsigned int i = 0; i < n; i++) {
				snprintf(t->cfg.disks[i].path, sizeof(t->cfg.disks[i].path), "%s",
					 path);
				t->cfg.disks[i].readonly = true;
			}
			if (n == 31 && !mmio) {
				/* with the config: KVM is not opened for it */
				fakekvm_set_open_error(t->fk, ENOENT);
				refused(t, LKVM_ERR_INPUT, "at most 30");
				continue;
			}
			vmtest_create(t);
			vmtest_free(t);
		}
	}
	unlink(path);
}

/* ---- debug-exit ----------------------------------------------------------------------------- */

static void debug_exit_wants_a_free_place_among_the_devices(void **state)
{
	static const struct {
		u64 addr;
		const char *words;
	} bad[] = {
		{ 0x1050001, "multiple of 4" },
		{ 0x1050002, "multiple of 4" },
		{ 0xfffffc, "0x1000000 to 0x1fffffc" },
		{ 0x2000000, "0x1000000 to 0x1fffffc" },
		{ 0x80000000, "0x1000000 to 0x1fffffc" },
		{ UINT64_MAX & ~3ull, "0x1000000 to 0x1fffffc" },
		{ 0x1000000, "serial0" },
		{ 0x1000004, "serial0" },
		{ 0x1010000, "rtc" },
		{ 0x1020000, "steal time" },
		{ 0x102fffc, "steal time" },
		{ 0x1030ffc, "pl031" },
		{ 0x1040000, "pvpanic" },
	};
	static const u64 good[] = { 0x1000008, 0x1010004, 0x1040004, 0x1060000, 0x1fffffc };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct lkvm_error err = { 0 };
		struct lkvm_config cfg;

		lkvm_config_init(&cfg);
		snprintf(cfg.kernel, sizeof(cfg.kernel), "k");
		cfg.debug_exit_addr = bad[i].addr;
		assert_int_equal(lkvm_config_validate(&cfg, &err), 0); /* nobody wants it */
		cfg.debug_exit = true;
		assert_int_equal(lkvm_config_validate(&cfg, &err), -EINVAL);
		if (err.kind != LKVM_ERR_INPUT || !strstr(err.msg, bad[i].words) ||
		    strncmp(err.msg, "--debug-exit 0x", 15))
			fail_msg("0x%llx: %s", (unsigned long long)bad[i].addr, err.msg);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct fake_step steps[] = { FAKE_STORE(good[i], 4, 7) };
		struct vmtest *t = vmtest_new(&fakekvm_arm64);

		t->cfg.debug_exit = true;
		t->cfg.debug_exit_addr = good[i];
		vmtest_run(t, steps, LKVM_CAUSE_VERDICT, 7);
		vmtest_free(t);
	}
}

/* ---- flash ---------------------------------------------------------------------------------- */

struct expected {
	const char *path;
	u64 off;
	u32 val;
};

static u32 in_file(const struct expected *e)
{
	int fd = open(e->path, O_RDONLY);
	u8 bytes[4];

	assert_int_equal(pread(fd, bytes, sizeof(bytes), (off_t)e->off), sizeof(bytes));
	close(fd);
	return get_le32(bytes);
}

/* The guest waits till the file has it: how long that takes is the host's affair. */
static void wait_for_file(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	(void)fk;
	(void)vcpu;
	for (unsigned int ms = 0;
	     ms < VMTEST_WAIT_MS && in_file(ctx) != ((struct expected *)ctx)->val; ms++)
		usleep(1000);
}

static void flash_run(const char *path, const struct fake_step *steps, unsigned int n,
		      const u64 *answers, unsigned int n_answers, u64 n_exits)
{
	struct vmtest *t = vmtest_new(&fakekvm_arm64);

	snprintf(t->cfg.flash, sizeof(t->cfg.flash), "%s", path);
	fakekvm_script(t->fk, 0, steps, n);
	vmtest_start(t);
	vmtest_finish(t);
	assert_int_equal(t->res.cause, LKVM_CAUSE_POWEROFF);
	assert_int_equal(fakekvm_n_answers(t->fk, 0), n_answers);
	for (unsigned int i = 0; i < n_answers; i++)
		assert_int_equal(fakekvm_answer_u64(t->fk, 0, i), answers[i]);
	assert_int_equal(t->res.exits[KVM_EXIT_MMIO], n_exits);
	vmtest_free(t);
}

/* Each boot does one thing and the next one finds it done. */
static void flash_is_read_as_memory_and_written_to_its_file(void **state)
{
	char path[64];
	struct expected erased = { path, CFI_FLASH_BLOCK + 4, 0xffffffff };
	struct expected programmed = { path, CFI_FLASH_BLOCK + 4, 0x12345678 };
	struct expected before = { path, CFI_FLASH_BLOCK - 4, 0x5a5a5a5a };
	const struct fake_step erase[] = {
		FAKE_LOAD(0x2010000, 4), /* no exit */
		FAKE_STORE(0x2010000, 4, 0x00200020),
		FAKE_LOAD(0x2010000, 4), /* status: ready */
		FAKE_STORE(0x2010000, 4, 0x00d000d0),
		FAKE_CALL(wait_for_file, &erased),
		OFF,
	};
	const struct fake_step program[] = {
		FAKE_STORE(0x2010000, 4, 0x00400040),
		FAKE_STORE(0x2010004, 4, 0x12345678),
		FAKE_CALL(wait_for_file, &programmed),
		OFF,
	};
	static const struct fake_step look[] = {
		FAKE_LOAD(0x2010004, 4),
		FAKE_LOAD(0x2010000, 4),
		FAKE_STORE(0x2000000, 4, 0x00980098),
		FAKE_LOAD(0x2000040, 4), /* 'Q' of the query */
		FAKE_STORE(0x2000000, 4, 0x00ff00ff),
		FAKE_LOAD(0x2000000, 8), /* no exit again */
		OFF,
	};

	(void)state;
	temp_file(path, 2 * CFI_FLASH_BLOCK, 0x5a);
	flash_run(path, erase, ARRAY_SIZE(erase), (const u64[]){ 0x5a5a5a5a, 0x00800080 }, 2, 3);
	assert_int_equal(in_file(&erased), erased.val);
	flash_run(path, program, ARRAY_SIZE(program), NULL, 0, 2);
	assert_int_equal(in_file(&programmed), programmed.val);
	assert_int_equal(in_file(&before), before.val);
	flash_run(path, look, ARRAY_SIZE(look),
		  (const u64[]){ 0x12345678, 0xffffffff, 0x00510051, 0x5a5a5a5a5a5a5a5a }, 4, 3);
	unlink(path);
}

static void a_flash_that_cannot_be_is_one_clear_line(void **state)
{
	static const struct {
		u64 size;
		const char *words;
	} bad[] = {
		{ 0, "is empty" },
		{ 1000, "size 1000 is not a multiple of 65536" },
		{ CFI_FLASH_BLOCK + 512, "size 66048 is not a multiple of 65536" },
		{ 2 * ARM64_FLASH_MAX, "65536 to 16777216 bytes" },
		{ 3 * CFI_FLASH_BLOCK, "must be a power of two" },
	};
	struct vmtest *t, *other;
	char path[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		t = vmtest_new(&fakekvm_arm64);
		temp_file(path, bad[i].size, 0);
		snprintf(t->cfg.flash, sizeof(t->cfg.flash), "%s", path);
		refused(t, LKVM_ERR_INPUT, bad[i].words);
		unlink(path);
	}
	t = vmtest_new(&fakekvm_arm64);
	snprintf(t->cfg.flash, sizeof(t->cfg.flash), "/tmp/there-is-no-such-file");
	refused(t, LKVM_ERR_INPUT, "--flash /tmp/there-is-no-such-file: cannot be opened");
	t = vmtest_new(&fakekvm_arm64);
	snprintf(t->cfg.flash, sizeof(t->cfg.flash), "/tmp");
	refused(t, LKVM_ERR_INPUT, "--flash /tmp: is neither a regular file");

	/* as with disks, an image has one writer */
	temp_file(path, CFI_FLASH_BLOCK, 0);
	t = vmtest_new(&fakekvm_arm64);
	other = vmtest_new(&fakekvm_arm64);
	snprintf(t->cfg.flash, sizeof(t->cfg.flash), "%s", path);
	snprintf(other->cfg.flash, sizeof(other->cfg.flash), "%s", path);
	vmtest_create(t);
	refused(other, LKVM_ERR_INPUT, "is given twice");
	vmtest_free(t);
	unlink(path);
}

static void the_largest_flash_there_can_be(void **state)
{
	static const struct probe probes[] = {
		{ FAKE_LOAD(0x2fffff8, 8), 0x1111111111111111 },
		{ FAKE_LOAD(0x3000000, 4), 0xffffffff },
	};
	struct vmtest *t = vmtest_new(&fakekvm_arm64);
	char path[64];

	(void)state;
	temp_file(path, ARM64_FLASH_MAX, 0x11);
	snprintf(t->cfg.flash, sizeof(t->cfg.flash), "%s", path);
	assert_answers(t, probes, ARRAY_SIZE(probes));
	unlink(path);
}

/* ---- the tree and the board ----------------------------------------------------------------- */

static void the_tree_announces_what_is_there(void **state)
{
	static const char *const nodes[] = { "/debug-exit@1060000", "/flash@2000000",
					     "/virtio_mmio@3000200", "/rtc@1030000" };
	static u8 fdt[ARM64_FDT_MAX];
	struct vmtest *t = vmtest_new(&fakekvm_arm64);
	char flash[64], dtb[64];
	ssize_t n;
	int fd;

	(void)state;
	temp_file(flash, CFI_FLASH_BLOCK, 0);
	temp_file(dtb, 1, 0);
	snprintf(t->cfg.flash, sizeof(t->cfg.flash), "%s", flash);
	snprintf(t->cfg.dump_dtb, sizeof(t->cfg.dump_dtb), "%s", dtb);
	t->cfg.debug_exit = true;
	t->cfg.debug_exit_addr = 0x1060000;
	t->cfg.pvpanic_pci = true;
	t->cfg.virtio_transport = LKVM_VIRTIO_MMIO;
	t->cfg.n_nets = 1;
	t->cfg.rng = true;
	vmtest_create(t);
	vmtest_free(t);

	fd = open(dtb, O_RDONLY);
	n = read(fd, fdt, sizeof(fdt));
	close(fd);
	assert_true(n > 0);
	assert_int_equal(fdt_check_full(fdt, (size_t)n), 0);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		if (fdt_path_offset(fdt, nodes[i]) < 0)
			fail_msg("no %s", nodes[i]);
	}
	assert_true(fdt_path_offset(fdt, "/virtio_mmio@3000400") < 0);
	assert_true(fdt_path_offset(fdt, "/pvpanic@1040000") < 0);
	unlink(flash);
	unlink(dtb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_are_where_firmware_for_such_machines_looks),
		cmocka_unit_test(virtio_on_pci_is_in_slots_from_1_on),
		cmocka_unit_test(a_gicv2m_machine_has_a_frame),
		cmocka_unit_test(a_gicv2_machine_has_none),
		cmocka_unit_test(devices_send_messages_where_the_gic_takes_them),
		cmocka_unit_test(pvpanic_may_be_a_pci_function_instead),
		cmocka_unit_test(pvpanic_on_pci_takes_the_place_of_a_virtio_device),
		cmocka_unit_test(debug_exit_wants_a_free_place_among_the_devices),
		cmocka_unit_test(flash_is_read_as_memory_and_written_to_its_file),
		cmocka_unit_test(a_flash_that_cannot_be_is_one_clear_line),
		cmocka_unit_test(the_largest_flash_there_can_be),
		cmocka_unit_test(the_tree_announces_what_is_there),
	};

	return cmocka_run_group_tests_name("arm64 board", tests, NULL, NULL);
}
