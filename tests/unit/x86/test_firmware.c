/*
 * test_firmware.c - machines with firmware (T2, on fakekvm): where code and variables are, the Q35
 * machine that firmware takes it for, what fw_cfg says, and the ACPI tables as its commands
 * leave them, which a loader written after their specification carries out here.
 *
 * Does not prove that any firmware boots: check-bed starts OVMF.
 */
#include "tests/unit/vmtest.h"

#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"

#define CODE_SIZE  (64 * KIB)
#define CODE	   (4 * GIB - CODE_SIZE)
#define FLASH_SIZE (12 * KIB)
#define FLASH	   (CODE - FLASH_SIZE)
#define PM_CNT	   0x604
#define POWER_OFF  FAKE_OUT(PM_CNT, 2, 0x2000) /* sleep type 0, as a Q35 machine has it */

static u8 pattern(u64 off)
{
	return (u8)(off * 11 + off / 256 + 1);
}

static void write_file(char *path, size_t size, const char *kind, u64 len)
{
	u8 *bytes = malloc(len);
	int fd;

	assert_non_null(bytes);
	for (u64 i = 0; i < len; i++)
		bytes[i] = pattern(i);
	snprintf(path, size, "/tmp/lkvm-%s-XXXXXX", kind);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	free(bytes);
}

static struct vmtest *fresh(void)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	t->cfg.kernel[0] = 0;
	write_file(t->cfg.firmware, sizeof(t->cfg.firmware), "code", CODE_SIZE);
	return t;
}

static void add_flash(struct vmtest *t)
{
	write_file(t->cfg.flash, sizeof(t->cfg.flash), "vars", FLASH_SIZE);
}

static void done(struct vmtest *t)
{
	unlink(t->cfg.firmware);
	if (t->cfg.flash[0])
		unlink(t->cfg.flash);
	vmtest_free(t);
}

/* ---- code and variables ------------------------------------------------------------------ */

struct seen {
	bool whole;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
};

static void look(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	struct seen *seen = ctx;
	const u8 *code = fakekvm_gpa(fk, CODE, CODE_SIZE);

	seen->whole = code;
	for (u64 i = 0; code && i < CODE_SIZE; i++)
		seen->whole &= code[i] == pattern(i);
	fakekvm_vcpu_get(fk, vcpu, KVM_GET_REGS, &seen->regs);
	fakekvm_vcpu_get(fk, vcpu, KVM_GET_SREGS, &seen->sregs);
}

static void it_starts_at_the_reset_vector_with_its_code_below_4_gib(void **state)
{
	static struct seen seen;
	static const struct fake_step steps[] = {
		FAKE_CALL(look, &seen),
		POWER_OFF,
		FAKE_HALT,
	};
	struct vmtest *t = fresh();

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_true(seen.whole);
	assert_int_equal(seen.regs.rip, 0xfff0);
	assert_int_equal(seen.sregs.cs.base, 0xffff0000);
	done(t);
}

static void its_variables_are_below_and_go_to_the_file(void **state)
{
	static const struct fake_step steps[] = {
		FAKE_LOAD(FLASH + 0x1234, 1),
		FAKE_STORE(FLASH + 0x1234, 1, 0x70), /* is it flash? */
		FAKE_LOAD(FLASH + 0x1234, 1),
		FAKE_STORE(FLASH + 0x1234, 1, 0x20),
		FAKE_STORE(FLASH + 0x1234, 1, 0xd0),
		FAKE_STORE(FLASH + 0x1234, 1, 0x10),
		FAKE_STORE(FLASH + 0x1234, 1, 0x5a),
		FAKE_STORE(FLASH + 0x1234, 1, 0xff),
		FAKE_LOAD(FLASH + 0x1234, 1),
		FAKE_LOAD(CODE, 1),
		FAKE_STORE(CODE, 1, 0), /* cannot be written */
		FAKE_LOAD(CODE, 1),
		POWER_OFF,
		FAKE_HALT,
	};
	struct vmtest *t = fresh();
	u8 bytes[FLASH_SIZE];
	int fd;

	(void)state;
	add_flash(t);
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), pattern(0x1234));
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 1), 0x80);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2), 0x5a);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 3), pattern(0));
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 4), pattern(0));
	fd = open(t->cfg.flash, O_RDONLY);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	for (u64 i = 0; i < FLASH_SIZE; i++)
		assert_int_equal(bytes[i], i == 0x1234	     ? 0x5a
					   : i / 0x1000 == 1 ? 0xff
							     : pattern(i));
	done(t);
}

/* ---- the machine ------------------------------------------------------------------------- */

#define CF8(slot, reg) FAKE_OUT(0xcf8, 4, 0x80000000u | (slot) << 11 | (reg))

static void it_finds_a_q35_machine_whose_ecam_it_moves(void **state)
{
	static const struct fake_step steps[] = {
		CF8(0, 0),
		FAKE_IN(0xcfc, 4),
		CF8(31, 0),
		FAKE_IN(0xcfc, 4),
		CF8(31, 8),
		FAKE_IN(0xcfc, 4),
		CF8(31, 0x40),
		FAKE_IN(0xcfc, 4),
		FAKE_OUT(0xcfc, 4, 0), /* stays where it is */
		FAKE_IN(0xcfc, 4),
		CF8(31, 0x44),
		FAKE_IN(0xcfc, 1),
		CF8(0, 0x60),
		FAKE_LOAD(0xe0000000, 4), /* [6]: nowhere yet */
		FAKE_OUT(0xcfc, 4, 0xb0000001),
		FAKE_LOAD(0xb0000000, 4),
		FAKE_STORE(0xb0000060, 4, 0xe0000001), /* itself moves it */
		FAKE_LOAD(0xb0000000, 4),
		FAKE_LOAD(0xe00f8000, 4),
		FAKE_OUT(0xcfc, 4, 0),
		FAKE_LOAD(0xe0000000, 4),
		FAKE_OUT(0xcfc, 4,
			 0xf0000001), /* [11]: over the I/O APIC's page, but bus 0 is not */
		FAKE_LOAD(0xf0000000, 4),
		FAKE_OUT(0xcfc, 4, 0xffffffff), /* stored are base and enable */
		FAKE_IN(0xcfc, 4),
		FAKE_IN(0x64, 1), /* nobody at the keyboard */
		FAKE_IN(0x60, 1),
		POWER_OFF,
		FAKE_HALT,
	};
	static const u64 want[] = { 0x29c08086, 0x29188086, 0x06010002, 0x601,	    0x601,
				    0x80,	0xffffffff, 0x29c08086, 0xffffffff, 0x29188086,
				    0xffffffff, 0x29c08086, 0xf0000001, 0xff,	    0xff };
	struct vmtest *t = fresh();

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(want); i++) {
		if (fakekvm_answer_u64(t->fk, 0, i) != want[i])
			fail_msg("answer %u is 0x%llx", i,
				 (unsigned long long)fakekvm_answer_u64(t->fk, 0, i));
	}
	done(t);
}

static void a_kernel_that_is_entered_directly_finds_neither(void **state)
{
	static const struct fake_step steps[] = {
		CF8(0, 0),
		FAKE_IN(0xcfc, 4),
		CF8(31, 0),
		FAKE_IN(0xcfc, 4),
		FAKE_OUT(0x510, 2, 0),
		FAKE_IN(0x511, 1),
		FAKE_LOAD(0xe0000000, 4),
		POWER_OFF, /* which it is not here */
		FAKE_OUT(PM_CNT, 2, 0x2000 | 5 << 10),
		FAKE_HALT,
	};
	static const u64 want[] = { 0x00081b36, 0xffffffff, 0xff, 0x00081b36 };
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(fakekvm_answer_u64(t->fk, 0, i), want[i]);
	vmtest_free(t);
}

static void pvpanic_makes_room_for_the_bridge(void **state)
{
	static const struct fake_step steps[] = {
		CF8(30, 0),
		FAKE_IN(0xcfc, 4),
		POWER_OFF,
		FAKE_HALT,
	};
	struct vmtest *t = fresh();

	(void)state;
	t->cfg.pvpanic_pci = true;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), 0x00111b36);
	done(t);
}

/* ---- fw_cfg ------------------------------------------------------------------------------ */

#define ACCESS	 0x1000
#define BUFFERS	 0x200000
#define BUF_SIZE 0x10000

/* Items in the order they are asked for: numbered ones, then the first named ones. */
static const u16 keys[] = { 0x03, 0x05, 0x0f, 0x08, 0x0b, 0x14, 0x15, 0x17,
			    0x18, 0x11, 0x12, 0x19, 0x20, 0x21, 0x22, 0x23 };
enum {
	RAM,
	CPUS,
	MAX_CPUS,
	KERNEL_LEN,
	INITRD_LEN,
	CMDLINE_LEN,
	CMDLINE,
	SETUP_LEN,
	SETUP,
	KERNEL,
	INITRD,
	DIR,
	FIRST,
	N_KEYS = ARRAY_SIZE(keys)
};

static u8 items[N_KEYS][BUF_SIZE];

static void put_be32(u8 *p, u32 v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static u32 get_be32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static void ask(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	unsigned int i = (unsigned int)(uintptr_t)ctx;
	u8 *access = fakekvm_gpa(fk, ACCESS, 16);

	(void)vcpu;
	put_be32(access, (u32)keys[i] << 16 | 0x0a);
	put_be32(access + 4, BUF_SIZE);
	put_be32(access + 8, 0);
	put_be32(access + 12, BUFFERS + i * BUF_SIZE);
}

static void take(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	unsigned int i = (unsigned int)(uintptr_t)ctx;
	const u32 *control = fakekvm_gpa(fk, ACCESS, 4);

	(void)vcpu;
	memset(items[i], 0xee, BUF_SIZE);
	for (int tries = 0; tries < 10000; tries++) {
		u32 v = __atomic_load_n(control, __ATOMIC_ACQUIRE);

		if (!v) {
			memcpy(items[i], fakekvm_gpa(fk, BUFFERS + i * BUF_SIZE, BUF_SIZE),
			       BUF_SIZE);
			return;
		}
		if (be32toh(v) == 1)
			return;
		usleep(1000);
	}
}

#define ARG(i) ((void *)(uintptr_t)(i))
#define FETCH(i)                                                               \
	FAKE_CALL(ask, ARG(i)), FAKE_OUT(0x518, 4, __builtin_bswap32(ACCESS)), \
		FAKE_CALL(take, ARG(i))

static const struct fake_step fetch_all[] = {
	/* clang-format off */
	FETCH(0), FETCH(1), FETCH(2), FETCH(3), FETCH(4), FETCH(5), FETCH(6), FETCH(7),
	FETCH(8), FETCH(9), FETCH(10), FETCH(11), FETCH(12), FETCH(13), FETCH(14), FETCH(15),
	POWER_OFF, FAKE_HALT,
	/* clang-format on */
};

/* The item of that name and its length; the test ends where there is none. */
static u8 *named(const char *name, u32 *len)
{
	const u8 *dir = items[DIR];

	for (u32 i = 0; i < get_be32(dir); i++) {
		const u8 *entry = dir + 4 + i * 64;

		if (strcmp((const char *)entry + 8, name))
			continue;
		*len = get_be32(entry);
		assert_int_equal(entry[4], 0);
		assert_in_range(entry[5], 0x20, 0x23);
		return items[FIRST + entry[5] - 0x20];
	}
	fail_msg("there is no %s", name);
	return NULL;
}

static void fw_cfg_tells_memory_and_cpus(void **state)
{
	struct vmtest *t = fresh();
	const u8 *e820;
	u32 len;

	(void)state;
	t->cfg.mem_size = 3 * GIB;
	t->cfg.n_vcpus = 3;
	vmtest_run(t, fetch_all, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(get_le64(items[RAM]), 3 * GIB);
	assert_int_equal(get_le16(items[CPUS]), 3);
	assert_int_equal(get_le16(items[MAX_CPUS]), 3);
	assert_int_equal(get_le32(items[KERNEL_LEN]), 0);
	e820 = named("etc/e820", &len);
	assert_int_equal(len, 40);
	assert_int_equal(get_le64(e820), 0);
	assert_int_equal(get_le64(e820 + 8), 2 * GIB);
	assert_int_equal(get_le32(e820 + 16), 1);
	assert_int_equal(get_le64(e820 + 20), 4 * GIB);
	assert_int_equal(get_le64(e820 + 28), GIB);
	assert_int_equal(get_le32(e820 + 36), 1);
	done(t);
}

/* ---- the table loader, as its specification says ------------------------------------------- */

#define TABLES_AT 0x7ff80000u
#define RSDP_AT	  0xf0000u

struct placed {
	const char *name;
	u8 *bytes;
	u32 len, at;
	bool there;
};

static struct placed *find_placed(struct placed *files, const u8 *name)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (!strcmp(files[i].name, (const char *)name))
			return &files[i];
	}
	fail_msg("a command names %s", (const char *)name);
	return NULL;
}

static u8 sum(const u8 *p, u32 len)
{
	u8 s = 0;

	while (len--)
		s += *p++;
	return s;
}

static void carry_out(const u8 *cmd, struct placed *files)
{
	struct placed *f = find_placed(files, cmd + 4);
	const u8 *arg = cmd + 4 + 56;
	u64 val = 0;
	u32 off;

	switch (get_le32(cmd)) {
	case 1: /* alignment, zone */
		assert_false(f->there);
		assert_int_equal(f->at % get_le32(arg), 0);
		assert_int_equal(arg[4], f->at < MIB ? 2 : 1);
		f->there = true;
		break;
	case 2: { /* pointee, offset, size */
		const struct placed *to = find_placed(files, arg);

		off = get_le32(arg + 56);
		assert_true(f->there && to->there && arg[60] <= 8);
		assert_true(range_fits(off, arg[60], f->len));
		memcpy(&val, f->bytes + off, arg[60]);
		assert_true(val && val < to->len);
		val += to->at;
		memcpy(f->bytes + off, &val, arg[60]);
		break;
	}
	case 3: /* result, start, length */
		off = get_le32(arg);
		assert_true(off < f->len);
		assert_true(range_fits(get_le32(arg + 4), get_le32(arg + 8), f->len));
		assert_int_equal(f->bytes[off], 0);
		f->bytes[off] = -sum(f->bytes + get_le32(arg + 4), get_le32(arg + 8));
		break;
	default:
		fail_msg("command %u", get_le32(cmd));
	}
}

static const u8 *table(const struct placed *tables, u64 gpa, const char *signature)
{
	const u8 *p = tables->bytes + (gpa - tables->at);
	u32 len;

	assert_true(gpa > tables->at && gpa - tables->at < tables->len - 36);
	len = get_le32(p + 4);
	assert_true(range_fits(gpa - tables->at, len, tables->len));
	if (signature)
		assert_memory_equal(p, signature, 4);
	if (memcmp(p, "FACS", 4))
		assert_int_equal(sum(p, len), 0);
	return p;
}

static void acpi_tables_are_whole_once_their_commands_are_carried_out(void **state)
{
	struct placed files[2] = { { .name = "etc/acpi/tables", .at = TABLES_AT },
				   { .name = "etc/acpi/rsdp", .at = RSDP_AT } };
	struct vmtest *t = fresh();
	const u8 *cmds, *rsdp, *xsdt, *fadt = NULL;
	unsigned int n_tables = 0;
	u32 len;

	(void)state;
	vmtest_run(t, fetch_all, LKVM_CAUSE_POWEROFF, 0);
	for (unsigned int i = 0; i < 2; i++)
		files[i].bytes = named(files[i].name, &files[i].len);
	cmds = named("etc/table-loader", &len);
	assert_int_equal(len % 128, 0);
	for (u32 off = 0; off < len; off += 128)
		carry_out(cmds + off, files);

	rsdp = files[1].bytes;
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(files[1].len, 36);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	xsdt = table(&files[0], get_le64(rsdp + 24), "XSDT");
	for (u32 off = 36; off < get_le32(xsdt + 4); off += 8, n_tables++) {
		const u8 *p = table(&files[0], get_le64(xsdt + off), NULL);

		assert_memory_not_equal(p, "MCFG", 4); /* ECAM is the firmware's */
		if (!memcmp(p, "FACP", 4))
			fadt = p;
	}
	assert_true(n_tables >= 2);
	assert_non_null(fadt);
	table(&files[0], get_le32(fadt + 36), "FACS");
	assert_int_equal(get_le32(fadt + 36) % 64, 0);
	table(&files[0], get_le32(fadt + 40), "DSDT");
	assert_int_equal(get_le32(fadt + 40), get_le64(fadt + 140));
	done(t);
}

/* ---- a kernel for firmware --------------------------------------------------------------- */

static void a_kernel_is_handed_over_in_two_parts(void **state)
{
	static u8 file[VMARCH_KERNEL_MAX];
	struct vmtest *t = fresh();
	size_t len = vmarch_kernel(file);
	u32 setup;

	(void)state;
	snprintf(t->cfg.kernel, sizeof(t->cfg.kernel), "%s", t->kernel);
	snprintf(t->cfg.cmdline, sizeof(t->cfg.cmdline), "a=b");
	write_file(t->cfg.initrd, sizeof(t->cfg.initrd), "initrd", 5000);
	vmtest_run(t, fetch_all, LKVM_CAUSE_POWEROFF, 0);
	setup = get_le32(items[SETUP_LEN]);
	assert_int_equal(setup, 1024);
	assert_int_equal(setup + get_le32(items[KERNEL_LEN]), len);
	assert_memory_equal(items[SETUP], file, setup);
	assert_memory_equal(items[KERNEL], file + setup, min_u64(len - setup, BUF_SIZE));
	assert_int_equal(get_le32(items[INITRD_LEN]), 5000);
	for (u32 i = 0; i < 5000; i++)
		assert_int_equal(items[INITRD][i], pattern(i));
	assert_int_equal(items[INITRD][5000], 0);
	assert_int_equal(get_le32(items[CMDLINE_LEN]), 4);
	assert_string_equal((const char *)items[CMDLINE], "a=b");
	unlink(t->cfg.initrd);
	done(t);
}

/* ---- bad input --------------------------------------------------------------------------- */

static void refused(struct vmtest *t, const char *why)
{
	assert_int_not_equal(vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err), 0);
	if (t->err.kind != LKVM_ERR_INPUT || !strstr(t->err.msg, why))
		fail_msg("kind %d: %s", (int)t->err.kind, t->err.msg);
	done(t);
}

/* A machine is assembled by its start. */
static void refused_at_start(struct vmtest *t, const char *why)
{
	int ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);

	if (!ret)
		ret = lkvm_vm_start(t->vm, &t->err);
	assert_int_not_equal(ret, 0);
	if (t->err.kind != LKVM_ERR_INPUT || !strstr(t->err.msg, why))
		fail_msg("kind %d: %s", (int)t->err.kind, t->err.msg);
	done(t);
}

static void what_does_not_go_together_is_refused(void **state)
{
	struct vmtest *t = fresh();

	(void)state;
	t->cfg.x86.testdev = true;
	refused(t, "--testdev: is for a --kernel");
	t = fresh();
	t->cfg.boot = LKVM_BOOT_PVH;
	refused(t, "--boot: firmware decides");
	t = fresh();
	add_flash(t);
	t->cfg.x86.snp.on = true;
	refused(t, "an SNP guest's firmware cannot have one");
	t = fresh();
	snprintf(t->cfg.initrd, sizeof(t->cfg.initrd), "%s", t->cfg.firmware);
	refused(t, "--initrd");
	t = fresh();
	unlink(t->cfg.firmware);
	t->cfg.firmware[0] = 0;
	snprintf(t->cfg.kernel, sizeof(t->cfg.kernel), "%s", t->kernel);
	add_flash(t);
	refused(t, "--firmware is not given");
	t = fresh();
	/* 31 of them, as many as there can be without */
	t->cfg.n_disks = 29;
	t->cfg.rng = t->cfg.virtio_console = true;
	for (unsigned int i = 0; i < t->cfg.n_disks; i++)
		snprintf(t->cfg.disks[i].path, sizeof(t->cfg.disks[i].path), "x");
	refused(t, "at most 30 of them are allowed with it");
	t = fresh();
	snprintf(t->cfg.cmdline, sizeof(t->cfg.cmdline), "a=b");
	refused(t, "--params: is for --kernel");
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
	static const u64 sizes[] = { 60 * KIB, 64 * KIB + 512, 8 * MIB + 4 * KIB };
	struct vmtest *t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		t = fresh();
		assert_int_equal(truncate(t->cfg.firmware, (off_t)sizes[i]), 0);
		refused_at_start(t, "must be a multiple of 4 KiB, 64 KiB to 8 MiB");
	}
	t = fresh();
	add_flash(t);
	assert_int_equal(truncate(t->cfg.flash, 4096 + 512), 0);
	refused_at_start(t, "--flash");
	t = fresh();
	add_flash(t);
	assert_int_equal(truncate(t->cfg.flash, (off_t)(16 * MIB)), 0);
	refused_at_start(t, "there is room for 16711680");
}

static void a_kernel_that_firmware_cannot_start_is_refused(void **state)
{
	struct vmtest *t = fresh();

	(void)state;
	snprintf(t->cfg.kernel, sizeof(t->cfg.kernel), "%s", t->cfg.firmware);
	refused_at_start(t, "firmware starts a bzImage, which it is not");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_starts_at_the_reset_vector_with_its_code_below_4_gib),
		cmocka_unit_test(its_variables_are_below_and_go_to_the_file),
		cmocka_unit_test(it_finds_a_q35_machine_whose_ecam_it_moves),
		cmocka_unit_test(a_kernel_that_is_entered_directly_finds_neither),
		cmocka_unit_test(pvpanic_makes_room_for_the_bridge),
		cmocka_unit_test(fw_cfg_tells_memory_and_cpus),
		cmocka_unit_test(acpi_tables_are_whole_once_their_commands_are_carried_out),
		cmocka_unit_test(a_kernel_is_handed_over_in_two_parts),
		cmocka_unit_test(what_does_not_go_together_is_refused),
		cmocka_unit_test(sizes_that_do_not_fit_are_refused),
		cmocka_unit_test(a_kernel_that_firmware_cannot_start_is_refused),
	};

	return cmocka_run_group_tests_name("x86 firmware", tests, NULL, NULL);
}
