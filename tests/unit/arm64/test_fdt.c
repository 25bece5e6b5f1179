/*
 * Device trees as bytes: read back with libfdt, and as dtc prints them against
 * tests/golden/arm64/fdt.
 *
 * Does not prove that a kernel likes the tree, nor that the devices are where it says: booting one
 * does (check-bed).
 *
 * Runs from the top of the tree. With GOLDEN_UPDATE=1 the golden files are
 * rewritten instead of compared; DTC names another compiler.
 */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include <libfdt.h>

#include "arch/arm64/boot.h"
#include "arch/arm64/fdt.h"
#include "arch/arm64/layout.h"
#include "tests/unit/golden.h"

#define GOLDEN "tests/golden/arm64/fdt/"

#define SPI	   0
#define PPI	   1
#define LEVEL_HIGH 4

struct tree {
	struct fdt_desc desc;
	struct lkvm_error err;
	size_t used;
	u64 mpidr[ARM64_MAX_VCPUS];
	u8 fdt[ARM64_FDT_MAX];
};

/* As KVM numbers CPUs: 16 to a cluster. */
static int setup(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	for (unsigned int i = 0; i < ARM64_MAX_VCPUS; i++)
		t->mpidr[i] = i / 16 << 8 | i % 16;
	t->desc = (struct fdt_desc){
		.cmdline = "console=ttyS0",
		.ram_size = 256 * MIB,
		.mpidr = t->mpidr,
		.n_vcpus = 1,
		.irqchip = LKVM_IRQCHIP_GICV3_ITS,
		.pvpanic = true,
		.kaslr_seed = 0x0123456789abcdef,
	};
	memset(t->desc.rng_seed, 0x5a, sizeof(t->desc.rng_seed));
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void build(struct tree *t)
{
	if (fdt_build(&t->desc, t->fdt, sizeof(t->fdt), &t->used, &t->err))
		fail_msg("%s", t->err.msg);
	assert_int_equal(fdt_check_full(t->fdt, t->used), 0);
	assert_int_equal(fdt_totalsize(t->fdt), t->used);
}

/* ---- reading back --------------------------------------------------------------------- */

static int node(const struct tree *t, const char *path)
{
	int off = fdt_path_offset(t->fdt, path);

	if (off < 0)
		fail_msg("no node %s: %s", path, fdt_strerror(off));
	return off;
}

static bool has_node(const struct tree *t, const char *path)
{
	return fdt_path_offset(t->fdt, path) >= 0;
}

static const fdt32_t *prop(const struct tree *t, int off, const char *name, int *n_cells)
{
	int len;
	const void *val = fdt_getprop(t->fdt, off, name, &len);

	if (!val)
		fail_msg("%s has no %s", fdt_get_name(t->fdt, off, NULL), name);
	*n_cells = len / 4;
	return val;
}

static u32 cell(const struct tree *t, const char *path, const char *name, int i)
{
	int n;
	const fdt32_t *cells = prop(t, node(t, path), name, &n);

	assert_in_range(i, 0, n - 1);
	return fdt32_ld(cells + i);
}

static u64 two_cells(const struct tree *t, const char *path, const char *name, int i)
{
	return (u64)cell(t, path, name, i) << 32 | cell(t, path, name, i + 1);
}

static const char *text(const struct tree *t, const char *path, const char *name)
{
	int len;
	const char *val = fdt_getprop(t->fdt, node(t, path), name, &len);

	assert_non_null(val);
	assert_true(len > 0 && !val[len - 1]);
	return val;
}

static void assert_interrupt(const struct tree *t, const char *path, int i, u32 type, u32 irq,
			     u32 flags)
{
	assert_int_equal(cell(t, path, "interrupts", 3 * i), type);
	assert_int_equal(cell(t, path, "interrupts", 3 * i + 1), irq);
	assert_int_equal(cell(t, path, "interrupts", 3 * i + 2), flags);
}

/* ---- what a guest finds ----------------------------------------------------------------- */

static void the_kernel_is_told_what_it_was_given(void **state)
{
	struct tree *t = *state;
	const fdt32_t *seed;
	int n;

	t->desc.ram_size = 9 * GIB;
	t->desc.initrd_gpa = 0x123456000;
	t->desc.initrd_size = 0x1234567;
	build(t);
	assert_string_equal(text(t, "/chosen", "bootargs"), "console=ttyS0");
	assert_int_equal(two_cells(t, "/chosen", "linux,initrd-start", 0), 0x123456000);
	assert_int_equal(two_cells(t, "/chosen", "linux,initrd-end", 0), 0x12468a567);
	assert_int_equal(two_cells(t, "/chosen", "kaslr-seed", 0), 0x0123456789abcdef);
	seed = prop(t, node(t, "/chosen"), "rng-seed", &n);
	assert_int_equal(n, FDT_SEED_SIZE / 4);
	assert_memory_equal(seed, t->desc.rng_seed, FDT_SEED_SIZE);
	assert_int_equal(two_cells(t, "/memory@80000000", "reg", 0), 0x80000000);
	assert_int_equal(two_cells(t, "/memory@80000000", "reg", 2), 9 * GIB);
}

static void without_an_initrd_none_is_named(void **state)
{
	struct tree *t = *state;

	build(t);
	assert_null(fdt_getprop(t->fdt, node(t, "/chosen"), "linux,initrd-start", NULL));
	assert_null(fdt_getprop(t->fdt, node(t, "/chosen"), "linux,initrd-end", NULL));
}

static void the_console_is_the_uart(void **state)
{
	struct tree *t = *state;
	const char *path;

	build(t);
	path = text(t, "/chosen", "stdout-path");
	assert_string_equal(text(t, path, "compatible"), "ns16550a");
	assert_int_equal(two_cells(t, path, "reg", 0), 0x01000000);
	assert_interrupt(t, path, 0, SPI, 0, LEVEL_HIGH);
}

static void a_guest_at_el2_has_smc_five_timers_and_a_maintenance_interrupt(void **state)
{
	static const u32 ppis[] = { 13, 14, 11, 10, 12 };
	struct tree *t = *state;
	int n;

	for (unsigned int nested = 0; nested <= 1; nested++) {
		t->desc.nested = nested;
		build(t);
		assert_string_equal(text(t, "/psci", "method"), nested ? "smc" : "hvc");
		prop(t, node(t, "/timer"), "interrupts", &n);
		assert_int_equal(n, nested ? 15 : 12);
		for (int i = 0; i < n / 3; i++)
			assert_interrupt(t, "/timer", i, PPI, ppis[i], 8);
		if (nested)
			assert_interrupt(t, "/interrupt-controller@3fff0000", 0, PPI, 9,
					 LEVEL_HIGH);
		else
			assert_null(fdt_getprop(t->fdt, node(t, "/interrupt-controller@3fff0000"),
						"interrupts", NULL));
	}
}

static void psci_functions_are_those_of_version_0_2(void **state)
{
	struct tree *t = *state;

	build(t);
	assert_int_equal(cell(t, "/psci", "cpu_suspend", 0), 0xc4000001);
	assert_int_equal(cell(t, "/psci", "cpu_off", 0), 0x84000002);
	assert_int_equal(cell(t, "/psci", "cpu_on", 0), 0xc4000003);
	assert_true(fdt_node_check_compatible(t->fdt, node(t, "/psci"), "arm,psci-1.0") == 0);
	assert_true(fdt_node_check_compatible(t->fdt, node(t, "/psci"), "arm,psci") == 0);
}

static void the_pmu_is_there_when_asked_for(void **state)
{
	struct tree *t = *state;

	build(t);
	assert_false(has_node(t, "/pmu"));
	t->desc.pmu = true;
	build(t);
	assert_interrupt(t, "/pmu", 0, PPI, 7, LEVEL_HIGH);
}

static void a_gicv2_names_the_cpus_of_private_interrupts(void **state)
{
	struct tree *t = *state;

	t->desc.irqchip = LKVM_IRQCHIP_GICV2;
	t->desc.pmu = true;
	for (t->desc.n_vcpus = 1; t->desc.n_vcpus <= 8; t->desc.n_vcpus++) {
		u32 mask = ((1u << t->desc.n_vcpus) - 1) << 8;

		build(t);
		assert_interrupt(t, "/timer", 0, PPI, 13, mask | 8);
		assert_interrupt(t, "/pmu", 0, PPI, 7, mask | LEVEL_HIGH);
	}
	assert_string_equal(text(t, "/interrupt-controller@3fff0000", "compatible"),
			    "arm,cortex-a15-gic");
}

static void messages_go_to_what_the_gic_has(void **state)
{
	static const struct {
		enum lkvm_irqchip kind;
		const char *child;
	} kinds[] = {
		{ LKVM_IRQCHIP_GICV2, NULL },
		{ LKVM_IRQCHIP_GICV2M, "/interrupt-controller@3fff0000/v2m@3ffc0000" },
		{ LKVM_IRQCHIP_GICV3, NULL },
		{ LKVM_IRQCHIP_GICV3_ITS,
		  "/interrupt-controller@3fff0000/msi-controller@3ffb0000" },
	};
	struct tree *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int pcie;

		t->desc.irqchip = kinds[i].kind;
		build(t);
		for (size_t j = 0; j < ARRAY_SIZE(kinds); j++)
			assert_true(!kinds[j].child || has_node(t, kinds[j].child) == (i == j));
		pcie = node(t, "/pcie@40000000");
		assert_true(!!fdt_getprop(t->fdt, pcie, "msi-map", NULL) ==
			    (kinds[i].kind == LKVM_IRQCHIP_GICV3_ITS));
		assert_true(!!fdt_getprop(t->fdt, pcie, "msi-parent", NULL) ==
			    (kinds[i].kind == LKVM_IRQCHIP_GICV2M));
	}
	/* every requester of bus 0, by its own number */
	assert_int_equal(cell(t, "/pcie@40000000", "msi-map", 0), 0);
	assert_int_equal(cell(t, "/pcie@40000000", "msi-map", 1),
			 fdt_get_phandle(t->fdt, node(t, kinds[3].child)));
	assert_int_equal(cell(t, "/pcie@40000000", "msi-map", 2), 0);
	assert_int_equal(cell(t, "/pcie@40000000", "msi-map", 3), 0x10000);
}

static void each_pci_slot_has_the_interrupt_of_its_virtio_device(void **state)
{
	struct tree *t = *state;
	u32 gic;
	int n;

	build(t);
	gic = fdt_get_phandle(t->fdt, node(t, "/interrupt-controller@3fff0000"));
	prop(t, node(t, "/pcie@40000000"), "interrupt-map", &n);
	assert_int_equal(n, 31 * 10);
	for (u32 slot = 1; slot <= 31; slot++) {
		const u32 want[] = { slot << 11, 0, 0, 1, gic, 0, 0, SPI, 31 + slot, LEVEL_HIGH };

		for (u32 i = 0; i < ARRAY_SIZE(want); i++)
			assert_int_equal(cell(t, "/pcie@40000000", "interrupt-map",
					      (int)((slot - 1) * 10 + i)),
					 want[i]);
	}
	assert_int_equal(cell(t, "/pcie@40000000", "interrupt-map-mask", 0), 0xf800);
}

static void virtio_mmio_devices_are_as_many_as_there_are(void **state)
{
	struct tree *t = *state;
	char path[40];

	t->desc.n_virtio_mmio = 31;
	build(t);
	for (u32 i = 0; i < 31; i++) {
		snprintf(path, sizeof(path), "/virtio_mmio@%x", 0x3000000 + 0x200 * i);
		assert_int_equal(two_cells(t, path, "reg", 2), 0x200);
		assert_interrupt(t, path, 0, SPI, 32 + i, LEVEL_HIGH);
	}
	t->desc.n_virtio_mmio = 0;
	build(t);
	assert_false(has_node(t, "/virtio_mmio@3000000"));
}

static void what_a_machine_does_not_have_is_not_announced(void **state)
{
	struct tree *t = *state;

	build(t);
	assert_true(has_node(t, "/pvpanic@1040000"));
	assert_false(has_node(t, "/debug-exit@1050000"));
	assert_false(has_node(t, "/flash@2000000"));
	t->desc.pvpanic = false;
	t->desc.debug_exit = 0x1abcde0;
	t->desc.flash_size = MIB;
	build(t);
	assert_false(has_node(t, "/pvpanic@1040000"));
	assert_int_equal(two_cells(t, "/debug-exit@1abcde0", "reg", 2), 4);
	assert_int_equal(two_cells(t, "/flash@2000000", "reg", 2), MIB);
	assert_int_equal(cell(t, "/flash@2000000", "bank-width", 0), 4);
}

static void as_many_cpus_as_there_can_be_are_all_there(void **state)
{
	struct tree *t = *state;
	char path[32];

	t->desc.n_vcpus = ARM64_MAX_VCPUS;
	build(t);
	for (unsigned int i = 0; i < ARM64_MAX_VCPUS; i++) {
		snprintf(path, sizeof(path), "/cpus/cpu@%llx", (unsigned long long)t->mpidr[i]);
		assert_int_equal(two_cells(t, path, "reg", 0), t->mpidr[i]);
		assert_string_equal(text(t, path, "enable-method"), "psci");
	}
	assert_int_equal(two_cells(t, "/interrupt-controller@3fff0000", "reg", 4),
			 0x3fff0000 - 255 * 0x20000);
	assert_int_equal(two_cells(t, "/interrupt-controller@3fff0000", "reg", 6), 255 * 0x20000);
	assert_false(has_node(t, "/cpus/cpu-map"));
}

static void affinity_3_is_the_upper_cell_of_a_cpu(void **state)
{
	struct tree *t = *state;

	t->mpidr[0] = 0x1200345678;
	build(t);
	assert_int_equal(cell(t, "/cpus/cpu@1200345678", "reg", 0), 0x12);
	assert_int_equal(cell(t, "/cpus/cpu@1200345678", "reg", 1), 0x345678);
}

static void a_topology_names_each_cpu_once_and_in_order(void **state)
{
	static const unsigned int shapes[][3] = {
		{ 1, 1, 12 }, { 12, 1, 1 }, { 1, 12, 1 }, { 2, 3, 2 }, { 0, 6, 2 }, { 3, 4, 0 },
	};
	struct tree *t = *state;
	char path[64];
	int named;

	t->desc.n_vcpus = 12;
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		unsigned int sockets = shapes[i][0] ? shapes[i][0] : 1, cpu = 0;
		unsigned int cores = shapes[i][1], threads = shapes[i][2] ? shapes[i][2] : 1;

		t->desc.sockets = shapes[i][0];
		t->desc.cores = shapes[i][1];
		t->desc.threads = shapes[i][2];
		build(t);
		for (; cpu < 12; cpu++) {
			unsigned int core = cpu / threads;
			int n = snprintf(path, sizeof(path),
					 "/cpus/cpu-map/socket%u/cluster0/core%u", core / cores,
					 core % cores);

			if (threads > 1)
				snprintf(path + n, sizeof(path) - (size_t)n, "/thread%u",
					 cpu % threads);
			named = fdt_node_offset_by_phandle(t->fdt, cell(t, path, "cpu", 0));
			snprintf(path, sizeof(path), "/cpus/cpu@%x", cpu);
			assert_int_equal(named, node(t, path));
		}
		snprintf(path, sizeof(path), "/cpus/cpu-map/socket%u", sockets);
		assert_false(has_node(t, path));
	}
}

/* ---- all of the tree --------------------------------------------------------------------- */

/* A machine with all there can be. */
static void everything(struct tree *t)
{
	t->desc.n_vcpus = ARM64_MAX_VCPUS;
	t->desc.nested = t->desc.pmu = true;
	t->desc.n_virtio_mmio = LKVM_MAX_VIRTIO;
	t->desc.debug_exit = 0x1050000;
	t->desc.flash_size = 16 * MIB;
	t->desc.initrd_gpa = 0x90000000;
	t->desc.initrd_size = MIB;
	t->desc.ram_size = LKVM_MAX_MEM;
}

struct range {
	char name[40];
	u64 base, len;
};

static unsigned int add_ranges(const struct tree *t, int off, const char *name, int step, int first,
			       struct range *ranges)
{
	int n;
	const fdt32_t *cells = prop(t, off, name, &n);
	unsigned int found = 0;

	for (int i = first; i + 4 <= n; i += step) {
		struct range *r = &ranges[found++];

		snprintf(r->name, sizeof(r->name), "%s", fdt_get_name(t->fdt, off, NULL));
		r->base = (u64)fdt32_ld(cells + i) << 32 | fdt32_ld(cells + i + 1);
		r->len = (u64)fdt32_ld(cells + i + 2) << 32 | fdt32_ld(cells + i + 3);
		assert_true(r->len > 0);
	}
	return found;
}

static void no_two_devices_share_an_address(void **state)
{
	struct tree *t = *state;
	struct range ranges[64];
	unsigned int n = 0;
	int off, depth = 0;

	everything(t);
	build(t);
	for (off = fdt_next_node(t->fdt, 0, &depth); off >= 0;
	     off = fdt_next_node(t->fdt, off, &depth)) {
		if (!fdt_getprop(t->fdt, off, "reg", NULL) ||
		    !strncmp(fdt_get_name(t->fdt, off, NULL), "cpu@", 4))
			continue;
		assert_in_range(n, 0, ARRAY_SIZE(ranges) - 4);
		n += add_ranges(t, off, "reg", 4, 0, &ranges[n]);
	}
	n += add_ranges(t, node(t, "/pcie@40000000"), "ranges", 7, 3, &ranges[n]);
	assert_in_range(n, 40, ARRAY_SIZE(ranges));
	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int j = 0; j < i; j++) {
			if (ranges_overlap(ranges[i].base, ranges[i].len, ranges[j].base,
					   ranges[j].len))
				fail_msg("%s and %s", ranges[i].name, ranges[j].name);
		}
	}
}

static void one_without_room_is_refused_and_stays_inside_it(void **state)
{
	static u8 buf[65536];
	struct tree *t = *state;
	size_t used = 1, whole;

	t->desc.n_vcpus = 3;
	build(t);
	whole = t->used;
	assert_in_range(whole, 1024, sizeof(buf) - 64);
	for (size_t size = 0; size < whole; size += size < 256 ? 1 : 7) {
		struct lkvm_error err = { 0 };

		memset(buf, 0xcc, sizeof(buf));
		assert_int_equal(fdt_build(&t->desc, buf, size, &used, &err), -ENOSPC);
		assert_int_equal(err.kind, LKVM_ERR_INPUT);
		assert_int_equal(err.code, -ENOSPC);
		assert_non_null(strstr(err.msg, "command line"));
		for (size_t i = size; i < size + 64; i++)
			assert_int_equal(buf[i], 0xcc);
	}
	assert_int_equal(used, 1);
	assert_int_equal(fdt_build(&t->desc, buf, whole, &used, NULL), 0);
	assert_int_equal(used, whole);
	assert_memory_equal(buf, t->fdt, whole);
	assert_int_equal(fdt_build(&t->desc, buf, whole - 1, &used, NULL), -ENOSPC);
}

static void the_largest_has_room(void **state)
{
	static char cmdline[LKVM_CMDLINE_MAX];
	struct tree *t = *state;

	everything(t);
	memset(cmdline, 'x', sizeof(cmdline) - 1);
	t->desc.cmdline = cmdline;
	t->desc.sockets = 5;
	t->desc.cores = 51;
	build(t);
	assert_in_range(t->used, 1, sizeof(t->fdt) / 8);
	assert_string_equal(text(t, "/chosen", "bootargs"), cmdline);
}

/* ---- golden texts -------------------------------------------------------------------------- */

/* 0x00 and 0x0, "a\0b" and "a", "b": which of them is printed depends on dtc's version. */
static void normalise(char *text)
{
	char *copy = strdup(text), *to = text;

	assert_non_null(copy);
	for (const char *from = copy; *from;) {
		if (!strncmp(from, "\", \"", 4)) {
			to = stpcpy(to, "\\0");
			from += 4;
		} else if (!strncmp(from, "0x", 2)) {
			to = stpcpy(to, "0x");
			for (from += 2; from[0] == '0' && isxdigit(from[1]); from++)
				;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	free(copy);
}

/* The tree as dtc prints it, which has nothing to warn of. The caller frees. */
static char *decompile(const struct tree *t)
{
	const char *dtc = getenv("DTC") ? getenv("DTC") : "dtc";
	char dir[] = "/tmp/lkvm-fdt-XXXXXX", path[64], cmd[512], *text;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/t.dtb", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(t->fdt, 1, t->used, f), t->used);
	assert_int_equal(fclose(f), 0);
	snprintf(cmd, sizeof(cmd), "%s -I dtb -O dts -o %s/t.dts %s 2>%s/log && test ! -s %s/log",
		 dtc, dir, path, dir, dir);
	if (system(cmd)) {
		snprintf(path, sizeof(path), "%s/log", dir);
		fail_msg("%s", golden_read(path));
	}
	snprintf(path, sizeof(path), "%s/t.dts", dir);
	text = golden_read(path);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
	normalise(text);
	return text;
}

static void assert_golden(struct tree *t, const char *name)
{
	char path[128], *got;

	build(t);
	got = decompile(t);
	snprintf(path, sizeof(path), GOLDEN "%s.dts", name);
	golden_compare(path, got);
	free(got);
}

static void a_plain_machine_is_as_golden(void **state)
{
	struct tree *t = *state;

	t->desc.n_vcpus = 2;
	t->desc.initrd_gpa = 0x82000000;
	t->desc.initrd_size = 0x123456;
	assert_golden(t, "plain");
}

static void a_nested_machine_with_a_pmu_is_as_golden(void **state)
{
	struct tree *t = *state;

	t->desc.nested = t->desc.pmu = true;
	assert_golden(t, "nested");
}

static void a_gicv2_machine_is_as_golden(void **state)
{
	struct tree *t = *state;

	t->desc.irqchip = LKVM_IRQCHIP_GICV2;
	t->desc.n_vcpus = 8;
	t->desc.n_virtio_mmio = 2;
	assert_golden(t, "gicv2");
}

static void a_gicv2m_machine_with_all_devices_is_as_golden(void **state)
{
	struct tree *t = *state;

	t->desc.irqchip = LKVM_IRQCHIP_GICV2M;
	t->desc.pmu = true;
	t->desc.debug_exit = 0x1050000;
	t->desc.flash_size = 2 * MIB;
	t->desc.ram_size = 5 * GIB;
	assert_golden(t, "gicv2m");
}

static void a_topology_is_as_golden(void **state)
{
	struct tree *t = *state;

	t->desc.irqchip = LKVM_IRQCHIP_GICV3;
	t->desc.n_vcpus = 8;
	t->desc.sockets = t->desc.cores = t->desc.threads = 2;
	t->desc.pvpanic = false;
	assert_golden(t, "topology");
}

static void many_cpus_are_as_golden(void **state)
{
	struct tree *t = *state;

	t->desc.n_vcpus = 64;
	assert_golden(t, "cpus");
}

static void dtc_has_nothing_to_say_of_the_largest(void **state)
{
	struct tree *t = *state;

	everything(t);
	t->desc.sockets = 3;
	t->desc.cores = 85;
	build(t);
	free(decompile(t));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_kernel_is_told_what_it_was_given),
		T(without_an_initrd_none_is_named),
		T(the_console_is_the_uart),
		T(a_guest_at_el2_has_smc_five_timers_and_a_maintenance_interrupt),
		T(psci_functions_are_those_of_version_0_2),
		T(the_pmu_is_there_when_asked_for),
		T(a_gicv2_names_the_cpus_of_private_interrupts),
		T(messages_go_to_what_the_gic_has),
		T(each_pci_slot_has_the_interrupt_of_its_virtio_device),
		T(virtio_mmio_devices_are_as_many_as_there_are),
		T(what_a_machine_does_not_have_is_not_announced),
		T(as_many_cpus_as_there_can_be_are_all_there),
		T(affinity_3_is_the_upper_cell_of_a_cpu),
		T(a_topology_names_each_cpu_once_and_in_order),
		T(no_two_devices_share_an_address),
		T(one_without_room_is_refused_and_stays_inside_it),
		T(the_largest_has_room),
		T(a_plain_machine_is_as_golden),
		T(a_nested_machine_with_a_pmu_is_as_golden),
		T(a_gicv2_machine_is_as_golden),
		T(a_gicv2m_machine_with_all_devices_is_as_golden),
		T(a_topology_is_as_golden),
		T(many_cpus_are_as_golden),
		T(dtc_has_nothing_to_say_of_the_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
