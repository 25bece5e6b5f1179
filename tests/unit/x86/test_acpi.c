/*
 * ACPI tables as bytes: structure, checksums, and their disassembly against tests/golden/x86/acpi.
 *
 * Does not prove that a kernel likes the tables, nor that the devices are where
 * the tables say: booting one does (check-bed).
 *
 * Runs from the top of the tree. With GOLDEN_UPDATE=1 the golden files are
 * rewritten instead of compared; IASL names another disassembler.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "arch/x86/acpi.h"
#include "arch/x86/layout.h"
#include "devices/acpi_pm.h"
#include "tests/unit/golden.h"

#define GOLDEN "tests/golden/x86/acpi/"
#define ROOM   32768

#define N_MMIO 31 /* as many virtio-mmio devices as a machine can have */

/* Offsets are those of ACPI 6.5, tables 5.3 to 5.19, written apart from acpi.c. */
#define HDR_LENGTH   4
#define HDR_LEN	     36
#define RSDP_RSDT    16
#define RSDP_XSDT    24
#define FADT_FACS    36
#define FADT_DSDT    40
#define FADT_SCI     46
#define FADT_X_FACS  132
#define FADT_X_DSDT  140
#define MADT_ENTRIES 44

struct blob {
	struct acpi_desc desc;
	u8 bytes[ROOM];
	size_t used;
};

/* APIC ids with a gap, as three cores per socket have them. */
static void build_at(struct blob *b, u64 gpa, unsigned int n_vcpus)
{
	static u32 ids[LKVM_MAX_VCPUS];
	struct lkvm_error err = { 0 };

	assert_true(n_vcpus <= LKVM_MAX_VCPUS);
	for (unsigned int i = 0; i < n_vcpus; i++)
		ids[i] = n_vcpus < 64 ? i / 3 * 4 + i % 3 : i;
	memset(b, 0, sizeof(*b));
	b->desc = (struct acpi_desc){ .gpa = gpa, .apic_ids = ids, .n_vcpus = n_vcpus };
	assert_int_equal(acpi_build(&b->desc, b->bytes, ROOM, &b->used, &err), 0);
	assert_string_equal(err.msg, "");
	assert_in_range(b->used, 1, ROOM);
}

static void build(struct blob *b, unsigned int n_vcpus)
{
	build_at(b, X86_ACPI_GPA, n_vcpus);
}

static void build_mmio(struct blob *b, unsigned int n)
{
	static u32 ids[1];
	struct lkvm_error err = { 0 };

	memset(b, 0, sizeof(*b));
	b->desc = (struct acpi_desc){
		.gpa = X86_ACPI_GPA, .apic_ids = ids, .n_vcpus = 1, .n_virtio_mmio = n
	};
	assert_int_equal(acpi_build(&b->desc, b->bytes, ROOM, &b->used, &err), 0);
}

static u8 sum(const u8 *p, size_t len)
{
	u8 s = 0;

	while (len--)
		s += *p++;
	return s;
}

/* The @len bytes at guest address @gpa, which must be inside the blob. */
static const u8 *at(const struct blob *b, u64 gpa, size_t len)
{
	assert_true(gpa >= b->desc.gpa && range_fits(gpa - b->desc.gpa, len, b->used));
	return b->bytes + (gpa - b->desc.gpa);
}

/* The table at @gpa, checked to be whole. */
static const u8 *table_at(const struct blob *b, u64 gpa, const char *signature)
{
	const u8 *t = at(b, gpa, HDR_LEN);
	u32 len = get_le32(t + HDR_LENGTH);

	assert_memory_equal(t, signature, 4);
	assert_true(len >= HDR_LEN);
	at(b, gpa, len);
	assert_int_equal(sum(t, len), 0);
	assert_memory_equal(t + 10, "LKVM\0\0", 6);
	return t;
}

static const u8 *xsdt(const struct blob *b)
{
	return table_at(b, get_le64(b->bytes + RSDP_XSDT), "XSDT");
}

static const u8 *rsdt(const struct blob *b)
{
	return table_at(b, get_le32(b->bytes + RSDP_RSDT), "RSDT");
}

/* As a kernel finds it: through RSDP and XSDT. */
static const u8 *find(const struct blob *b, const char *signature)
{
	const u8 *x = xsdt(b), *found = NULL;

	for (u32 off = HDR_LEN; off < get_le32(x + HDR_LENGTH); off += 8) {
		u64 gpa = get_le64(x + off);

		if (memcmp(at(b, gpa, HDR_LEN), signature, 4))
			continue;
		assert_null(found);
		found = table_at(b, gpa, signature);
	}
	assert_non_null(found);
	return found;
}

static const u8 *dsdt(const struct blob *b)
{
	return table_at(b, get_le64(find(b, "FACP") + FADT_X_DSDT), "DSDT");
}

static const u8 *facs(const struct blob *b)
{
	return at(b, get_le32(find(b, "FACP") + FADT_FACS), 64);
}

/* ---- structure --------------------------------------------------------------------- */

static void rsdp_is_first_and_sums_to_zero_twice(void **state)
{
	struct blob b;

	(void)state;
	build(&b, 1);
	assert_memory_equal(b.bytes, "RSD PTR ", 8);
	assert_int_equal(sum(b.bytes, 20), 0);
	assert_int_equal(sum(b.bytes, 36), 0);
	assert_memory_equal(b.bytes + 9, "LKVM\0\0", 6);
	assert_int_equal(b.bytes[15], 2);
	assert_int_equal(get_le32(b.bytes + 20), 36);
	assert_memory_equal(b.bytes + 33, "\0\0\0", 3);
}

/* Some kernels for tests look for the older one only. */
static void rsdt_lists_what_the_xsdt_lists(void **state)
{
	const u8 *r, *x;
	struct blob b;

	(void)state;
	for (unsigned int n_mmio = 0; n_mmio < 2; n_mmio++) {
		u32 n = 3 + n_mmio;

		build_mmio(&b, n_mmio);
		r = rsdt(&b);
		x = xsdt(&b);
		assert_int_equal(r[8], 1);
		assert_int_equal(get_le32(r + HDR_LENGTH), HDR_LEN + n * 4);
		assert_int_equal(get_le32(x + HDR_LENGTH), HDR_LEN + n * 8);
		for (u32 i = 0; i < n; i++)
			assert_int_equal(get_le32(r + HDR_LEN + i * 4),
					 get_le64(x + HDR_LEN + i * 8));
	}
}

/* Those that firmware installs are its own work. */
static void tables_for_firmware_have_no_rsdt(void **state)
{
	struct blob b;

	(void)state;
	build(&b, 1);
	b.desc.firmware = true;
	memset(b.bytes, 0, sizeof(b.bytes));
	assert_int_equal(acpi_build(&b.desc, b.bytes, ROOM, &b.used, NULL), 0);
	assert_int_equal(get_le32(b.bytes + RSDP_RSDT), 0);
	assert_null(memmem(b.bytes, b.used, "RSDT", 4));
	assert_int_equal(get_le32(xsdt(&b) + HDR_LENGTH), HDR_LEN + 2 * 8);
	find(&b, "FACP");
	find(&b, "APIC");
}

static void every_table_is_whole_for_1_to_1024_vcpus(void **state)
{
	static const unsigned int counts[] = { 1, 2, 255, 256, LKVM_MAX_VCPUS };
	struct blob b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		const u8 *x;

		build(&b, counts[i]);
		assert_true(b.used <= X86_ACPI_SIZE);
		x = xsdt(&b);
		assert_int_equal(get_le32(x + HDR_LENGTH), HDR_LEN + 3 * 8);
		find(&b, "FACP");
		find(&b, "APIC");
		find(&b, "MCFG");
		dsdt(&b);
		assert_memory_equal(facs(&b), "FACS", 4);
	}
}

static void tables_do_not_overlap(void **state)
{
	struct blob b;
	struct {
		const u8 *p;
		size_t len;
	} t[8];

	(void)state;
	build(&b, 255);
	t[0].p = b.bytes;
	t[1].p = facs(&b);
	t[2].p = dsdt(&b);
	t[3].p = find(&b, "FACP");
	t[4].p = find(&b, "APIC");
	t[5].p = xsdt(&b);
	t[6].p = find(&b, "MCFG");
	t[7].p = rsdt(&b);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		t[i].len = i == 0 ? 36 : get_le32(t[i].p + HDR_LENGTH);
		for (size_t j = 0; j < i; j++)
			assert_false(ranges_overlap(t[i].p - b.bytes, t[i].len, t[j].p - b.bytes,
						    t[j].len));
	}
}

static void facs_is_aligned_in_guest_memory(void **state)
{
	struct blob b;

	(void)state;
	for (u64 off = 0; off < 128; off += 16) {
		build_at(&b, X86_ACPI_GPA + off, 1);
		assert_int_equal(get_le32(find(&b, "FACP") + FADT_FACS) % 64, 0);
		assert_memory_equal(facs(&b), "FACS", 4);
		assert_int_equal(get_le32(facs(&b) + HDR_LENGTH), 64);
	}
}

static void same_description_gives_the_same_bytes(void **state)
{
	struct blob a, b;

	(void)state;
	build(&a, 3);
	build(&b, 3);
	assert_int_equal(a.used, b.used);
	assert_memory_equal(a.bytes, b.bytes, ROOM);
}

static void nothing_is_written_past_the_used_bytes(void **state)
{
	struct blob b;

	(void)state;
	build(&b, 2);
	for (size_t i = b.used; i < ROOM; i++)
		assert_int_equal(b.bytes[i], 0);
}

/* ---- contents ---------------------------------------------------------------------- */

static void madt_lists_each_vcpu_once_in_order(void **state)
{
	static const unsigned int counts[] = { 1, 2, 7, 255, 256, 300, LKVM_MAX_VCPUS };
	struct blob b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned int n = 0, n_ioapics = 0, n_overrides = 0, n_nmis = 0, n_wide_nmis = 0;
		const u8 *m;
		u32 len;

		build(&b, counts[i]);
		m = find(&b, "APIC");
		len = get_le32(m + HDR_LENGTH);
		for (u32 off = MADT_ENTRIES; off < len; off += m[off + 1]) {
			const u8 *e = m + off;

			assert_true(len - off >= 2 && e[1] >= 2 && e[1] <= len - off);
			switch (e[0]) {
			case 0:
				assert_int_equal(e[1], 8);
				assert_in_range(n, 0, 254);
				assert_int_equal(e[2], n);
				assert_int_equal(e[3], b.desc.apic_ids[n]);
				assert_int_equal(get_le32(e + 4), 1);
				n++;
				break;
			case 9: /* 5.2.12.12: not for ids that fit the other */
				assert_int_equal(e[1], 16);
				assert_true(b.desc.apic_ids[n] >= 255);
				assert_int_equal(get_le16(e + 2), 0);
				assert_int_equal(get_le32(e + 4), b.desc.apic_ids[n]);
				assert_int_equal(get_le32(e + 8), 1);
				assert_int_equal(get_le32(e + 12), n);
				n++;
				break;
			case 10:
				assert_int_equal(e[1], 12);
				assert_int_equal(get_le32(e + 4), UINT32_MAX);
				assert_int_equal(e[8], 1);
				n_wide_nmis++;
				break;
			case 1:
				assert_int_equal(get_le32(e + 4), X86_IOAPIC_BASE);
				n_ioapics++;
				break;
			case 2:
				assert_int_equal(e[3], X86_IRQ_SCI);
				assert_int_equal(get_le32(e + 4), X86_IRQ_SCI);
				n_overrides++;
				break;
			case 4:
				n_nmis++;
				break;
			default:
				fail_msg("MADT entry of type %u", e[0]);
			}
		}
		assert_int_equal(n, counts[i]);
		assert_int_equal(n_ioapics, 1);
		assert_int_equal(n_overrides, 1);
		assert_int_equal(n_nmis, 1);
		assert_int_equal(n_wide_nmis, counts[i] > 255);
		assert_int_equal(get_le32(m + 36), X86_LAPIC_BASE);
	}
}

static void pics_are_announced_where_they_are(void **state)
{
	struct blob b;
	u8 fadt[276];

	(void)state;
	build(&b, 1);
	assert_int_equal(get_le32(find(&b, "APIC") + 40), 1); /* PCAT_COMPAT */
	memcpy(fadt, find(&b, "FACP"), sizeof(fadt));
	b.desc.no_pic = true;
	memset(b.bytes, 0, sizeof(b.bytes));
	assert_int_equal(acpi_build(&b.desc, b.bytes, ROOM, &b.used, NULL), 0);
	assert_int_equal(get_le32(find(&b, "APIC") + 40), 0);
	/* the serial port and the RTC are the same */
	assert_memory_equal(find(&b, "FACP"), fadt, sizeof(fadt));
	assert_int_equal(get_le16(fadt + 109) & 1, 1);
	/* EisaId ("PNP0000") and ("PNP0100"): PIC and PIT are in no DSDT */
	assert_null(memmem(b.bytes, b.used, "\x41\xd0\x00\x00", 4));
	assert_null(memmem(b.bytes, b.used, "\x41\xd0\x01\x00", 4));
	assert_non_null(memmem(b.bytes, b.used, "\x41\xd0\x0b\x00", 4));
}

static void assert_io_register(const u8 *gas, u16 port, u8 width)
{
	assert_int_equal(gas[0], 1);
	assert_int_equal(gas[1], width);
	assert_int_equal(gas[2], 0);
	assert_int_equal(get_le64(gas + 4), port);
}

static void fadt_points_at_the_registers_of_the_pm_device(void **state)
{
	struct blob b;
	const u8 *f;

	(void)state;
	build(&b, 1);
	f = find(&b, "FACP");
	assert_int_equal(get_le32(f + HDR_LENGTH), 276);
	assert_int_equal(get_le16(f + FADT_SCI), X86_IRQ_SCI);
	assert_int_equal(get_le32(f + 56), X86_PORT_PM + ACPI_PM1_EVT);
	assert_int_equal(get_le32(f + 64), X86_PORT_PM + ACPI_PM1_CNT);
	assert_int_equal(get_le32(f + 76), X86_PORT_PM + ACPI_PM_TMR);
	assert_io_register(f + 148, X86_PORT_PM + ACPI_PM1_EVT, 32);
	assert_io_register(f + 172, X86_PORT_PM + ACPI_PM1_CNT, 16);
	assert_io_register(f + 208, X86_PORT_PM + ACPI_PM_TMR, 32);
	assert_io_register(f + 116, X86_PORT_PM + ACPI_PM_RESET, 8);
	assert_int_equal(f[128], ACPI_PM_RESET_VALUE);
	assert_int_equal(get_le64(f + FADT_X_FACS), 0); /* FIRMWARE_CTRL is used */
	assert_int_equal(get_le64(f + FADT_X_DSDT), get_le32(f + FADT_DSDT));
}

static bool contains(const u8 *table, const void *bytes, size_t len)
{
	return memmem(table, get_le32(table + HDR_LENGTH), bytes, len) != NULL;
}

/* The I/O port and IRQ descriptors of 6.4.2.5 and 6.4.2.1; @irq 0: none. */
static void assert_device(const u8 *table, u16 port, u8 n_ports, unsigned int irq)
{
	u8 crs[11] = { 0x47, 1, port & 0xff, port >> 8, port & 0xff, port >> 8, 1, n_ports };
	size_t len = 8;

	if (irq) {
		crs[len++] = 0x22;
		crs[len++] = (1u << irq) & 0xff;
		crs[len++] = (1u << irq) >> 8;
	}
	assert_true(contains(table, crs, len));
}

static void dsdt_has_the_devices_of_layout_h(void **state)
{
	/* Name (_S5, Package (4) { SLP_TYP, 0, 0, 0 }) */
	static const u8 s5[] = { 0x08, '_',  'S',  '5',	 '_',
				 0x12, 0x07, 0x04, 0x0a, ACPI_PM_SLP_TYP_S5 };
	struct blob b;
	const u8 *d;

	(void)state;
	build(&b, 1);
	d = dsdt(&b);
	assert_int_equal(d[8], 2); /* 64-bit integers in AML */
	assert_true(contains(d, s5, sizeof(s5)));
	assert_device(d, X86_PORT_COM1, 8, X86_IRQ_COM1);
	assert_device(d, X86_PORT_RTC, 2, X86_IRQ_RTC);
	assert_device(d, X86_PORT_PVPANIC, 1, 0);
}

static void mcfg_names_the_ecam_of_bus_0(void **state)
{
	struct blob b;
	const u8 *m;

	(void)state;
	build(&b, 1);
	m = find(&b, "MCFG");
	assert_int_equal(get_le32(m + HDR_LENGTH), 60);
	assert_int_equal(get_le64(m + 44), X86_ECAM_BASE);
	assert_int_equal(get_le16(m + 52), 0);
	assert_int_equal(m[54], 0);
	assert_int_equal(m[55], 0);
	/* one MiB is what 32 slots of 8 functions of 4 KiB take */
	assert_int_equal(X86_ECAM_LEN, 32 * 8 * 4096);
}

/* Descriptors of 6.4.3.4 and 6.4.3.6, written apart from acpi.c. */
static void ssdt_has_each_virtio_mmio_device_at_its_place(void **state)
{
	static const unsigned int counts[] = { 1, 2, 9, N_MMIO };
	struct blob b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		const u8 *t;

		build_mmio(&b, counts[i]);
		t = find(&b, "SSDT");
		for (unsigned int n = 0; n <= counts[i]; n++) {
			u8 crs[21] = { 0x86, 9, 0, 1 };

			put_le32(crs + 4, X86_VIRTIO_MMIO_BASE + n * X86_VIRTIO_MMIO_STEP);
			put_le32(crs + 8, 0x200);
			memcpy(crs + 12, "\x89\x06\x00\x09\x01", 5);
			put_le32(crs + 17, X86_IRQ_SHARED + n % X86_N_IRQ_SHARED);
			assert_int_equal(contains(t, crs, sizeof(crs)), n < counts[i]);
		}
	}
	/* without any there is no such table */
	build(&b, 1);
	assert_null(memmem(b.bytes, b.used, "SSDT", 4));
}

/* ---- refusals ---------------------------------------------------------------------- */

static void every_buffer_too_small_gives_enospc_and_no_overflow(void **state)
{
	struct blob b;

	(void)state;
	build(&b, 2);
	for (size_t size = 0; size < b.used; size++) {
		u8 *exact = calloc(1, size ? size : 1); /* its end is ASan's to watch */
		struct lkvm_error err = { 0 };
		u8 guarded[ROOM];
		size_t used = 12345;

		assert_non_null(exact);
		assert_int_equal(acpi_build(&b.desc, exact, size, &used, &err), -ENOSPC);
		assert_int_equal(err.kind, LKVM_ERR_HOST);
		assert_non_null(strstr(err.msg, "ACPI tables"));
		free(exact);

		memset(guarded, 0xa5, sizeof(guarded));
		assert_int_equal(acpi_build(&b.desc, guarded, size, &used, NULL), -ENOSPC);
		for (size_t i = size; i < b.used + 64; i++)
			assert_int_equal(guarded[i], 0xa5);
		assert_int_equal(used, 12345);
	}
}

static void exact_buffer_is_enough(void **state)
{
	struct blob b;
	u8 *exact;
	size_t used;

	(void)state;
	build(&b, 255);
	exact = calloc(1, b.used);
	assert_non_null(exact);
	assert_int_equal(acpi_build(&b.desc, exact, b.used, &used, NULL), 0);
	assert_int_equal(used, b.used);
	assert_memory_equal(exact, b.bytes, used);
	free(exact);
}

/* ---- disassembly ------------------------------------------------------------------- */

/* Behind the indentation, runs of blanks become one; none at the end. */
static void squeeze(char *line)
{
	char *start = line + strspn(line, " "), *out = start;

	for (char *in = start; *in; in++)
		if (*in != ' ' || out[-1] != ' ')
			*out++ = *in;
	while (out > line && out[-1] == ' ')
		out--;
	*out = '\0';
}

/*
 * Fields of a data table: "[028h 0040   4]   DSDT Address : 000E0080", the offset
 * being the same in all versions of iasl while the length is not.
 */
static bool keep_field(char *line)
{
	char *end = strchr(line, ']');
	size_t n;

	if (line[0] != '[' || !end)
		return false;
	n = strcspn(line + 1, "h");
	if (n > 8 || line + 1 + n > end)
		return false;
	memmove(line, line + 1, n);
	memmove(line + n, end + 1, strlen(end + 1) + 1);
	return true;
}

/* ASL without comments: they hold names, dates and what iasl knows of an ID. */
static bool keep_asl(char *line)
{
	char *remark = strstr(line, "//");

	if (remark)
		*remark = '\0';
	while ((remark = strstr(line, "/*")) != NULL) {
		char *end = strstr(remark, "*/");

		if (!end) {
			*remark = '\0';
			break;
		}
		memmove(remark, end + 2, strlen(end + 2) + 1);
	}
	line += strspn(line, " ");
	return *line && *line != '*';
}

/* What iasl makes of @table, reduced to what does not depend on iasl's version. The caller frees.
 */
static char *disassemble(const u8 *table, bool (*keep)(char *line))
{
	const char *iasl = getenv("IASL") ? getenv("IASL") : "iasl";
	char dir[] = "/tmp/lkvm-acpi-XXXXXX", path[64], cmd[512], *raw, *log, *text, *save;
	u32 len = get_le32(table + HDR_LENGTH);
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/t.dat", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(table, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	snprintf(cmd, sizeof(cmd), "%s -p %s/t -d %s >%s/log 2>&1", iasl, dir, path, dir);
	assert_int_equal(system(cmd), 0);

	snprintf(path, sizeof(path), "%s/log", dir);
	log = golden_read(path);
	snprintf(path, sizeof(path), "%s/t.dsl", dir);
	raw = golden_read(path);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
	if (strstr(log, "Warning") || strstr(log, "Error"))
		fail_msg("%s", log);
	text = calloc(1, strlen(raw) + 2);
	assert_non_null(text);
	for (char *line = strtok_r(raw, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!keep(line))
			continue;
		squeeze(line);
		strcat(text, line);
		strcat(text, "\n");
	}
	free(raw);
	free(log);
	return text;
}

static void assert_golden(const char *name, const u8 *table, bool (*keep)(char *line))
{
	char *got = disassemble(table, keep), path[128];

	snprintf(path, sizeof(path), GOLDEN "%s", name);
	golden_compare(path, got);
	free(got);
}

static void fadt_disassembles_to_the_golden_text(void **state)
{
	struct blob b;

	(void)state;
	build(&b, 1);
	assert_golden("facp.txt", find(&b, "FACP"), keep_field);
}

static void facs_disassembles_to_the_golden_text(void **state)
{
	struct blob b;

	(void)state;
	build(&b, 1);
	assert_golden("facs.txt", facs(&b), keep_field);
}

static void madt_disassembles_to_the_golden_text(void **state)
{
	struct blob b;

	(void)state;
	build(&b, 1);
	assert_golden("apic-1.txt", find(&b, "APIC"), keep_field);
	build(&b, 4); /* ids 0, 1, 2, 4 */
	assert_golden("apic-4.txt", find(&b, "APIC"), keep_field);
}

/* The last ids of one form and the first of the other. */
static void madt_of_wide_ids_disassembles_to_the_golden_text(void **state)
{
	static u32 ids[] = { 0, 254, 255, 256, 8190 };
	struct blob b;

	(void)state;
	memset(&b, 0, sizeof(b));
	b.desc = (struct acpi_desc){
		.gpa = X86_ACPI_GPA, .apic_ids = ids, .n_vcpus = ARRAY_SIZE(ids), .no_pic = true
	};
	assert_int_equal(acpi_build(&b.desc, b.bytes, ROOM, &b.used, NULL), 0);
	assert_golden("apic-wide.txt", find(&b, "APIC"), keep_field);
}

static void madt_of_255_vcpus_disassembles_without_complaint(void **state)
{
	struct blob b;
	char *text;

	(void)state;
	build(&b, 255);
	text = disassemble(find(&b, "APIC"), keep_field);
	assert_non_null(strstr(text, "Local Apic ID : FE\n"));
	assert_non_null(strstr(text, "Interrupt Input LINT : 01\n"));
	free(text);
}

/* Header and checksum name the compiler's version, so only the ASL is compared. */
static void dsdt_disassembles_to_the_golden_text(void **state)
{
	struct blob b;

	(void)state;
	build(&b, 1);
	assert_golden("dsdt.txt", dsdt(&b), keep_asl);
}

static void mcfg_disassembles_to_the_golden_text(void **state)
{
	struct blob b;

	(void)state;
	build(&b, 1);
	assert_golden("mcfg.txt", find(&b, "MCFG"), keep_field);
}

/* What they hold are addresses, which move with what iasl makes of the DSDT. */
static void rsdt_and_xsdt_disassemble_without_complaint(void **state)
{
	struct blob b;
	char *text;

	(void)state;
	build(&b, 1);
	text = disassemble(rsdt(&b), keep_field);
	assert_non_null(strstr(text, "Signature : \"RSDT\""));
	assert_non_null(strstr(text, "\n02C ACPI Table Address 2 : 000"));
	free(text);
	text = disassemble(xsdt(&b), keep_field);
	assert_non_null(strstr(text, "Signature : \"XSDT\""));
	assert_non_null(strstr(text, "\n034 ACPI Table Address 2 : 00000000000"));
	free(text);
}

static void ssdt_disassembles_to_the_golden_text(void **state)
{
	struct blob b;

	(void)state;
	build_mmio(&b, 2);
	assert_golden("ssdt.txt", find(&b, "SSDT"), keep_asl);
}

static void ssdt_of_31_devices_disassembles_without_complaint(void **state)
{
	struct blob b;
	char *text;

	(void)state;
	build_mmio(&b, N_MMIO);
	text = disassemble(find(&b, "SSDT"), keep_asl);
	assert_non_null(strstr(text, "Device (VI1E)"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rsdp_is_first_and_sums_to_zero_twice),
		cmocka_unit_test(rsdt_lists_what_the_xsdt_lists),
		cmocka_unit_test(tables_for_firmware_have_no_rsdt),
		cmocka_unit_test(every_table_is_whole_for_1_to_1024_vcpus),
		cmocka_unit_test(tables_do_not_overlap),
		cmocka_unit_test(facs_is_aligned_in_guest_memory),
		cmocka_unit_test(same_description_gives_the_same_bytes),
		cmocka_unit_test(nothing_is_written_past_the_used_bytes),
		cmocka_unit_test(madt_lists_each_vcpu_once_in_order),
		cmocka_unit_test(pics_are_announced_where_they_are),
		cmocka_unit_test(fadt_points_at_the_registers_of_the_pm_device),
		cmocka_unit_test(dsdt_has_the_devices_of_layout_h),
		cmocka_unit_test(mcfg_names_the_ecam_of_bus_0),
		cmocka_unit_test(ssdt_has_each_virtio_mmio_device_at_its_place),
		cmocka_unit_test(every_buffer_too_small_gives_enospc_and_no_overflow),
		cmocka_unit_test(exact_buffer_is_enough),
		cmocka_unit_test(fadt_disassembles_to_the_golden_text),
		cmocka_unit_test(facs_disassembles_to_the_golden_text),
		cmocka_unit_test(madt_disassembles_to_the_golden_text),
		cmocka_unit_test(madt_of_wide_ids_disassembles_to_the_golden_text),
		cmocka_unit_test(madt_of_255_vcpus_disassembles_without_complaint),
		cmocka_unit_test(dsdt_disassembles_to_the_golden_text),
		cmocka_unit_test(mcfg_disassembles_to_the_golden_text),
		cmocka_unit_test(rsdt_and_xsdt_disassemble_without_complaint),
		cmocka_unit_test(ssdt_disassembles_to_the_golden_text),
		cmocka_unit_test(ssdt_of_31_devices_disassembles_without_complaint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
