/* acpi.c - ACPI tables, filled in one pass. Sections are those of ACPI 6.5. */
#include "arch/x86/acpi.h"

#include <errno.h>

#include "arch/x86/acpi_defs.h"
#include "arch/x86/layout.h"
#include "devices/acpi_pm.h"
#include "devices/classes.h"

/* Compiled from dsdt.asl; header and checksum are the compiler's. */
static const u8 dsdt_aml[] = {
#include "arch/x86/dsdt.inc"
};

/* The same, of a machine with firmware. */
static const u8 dsdt_fw_aml[] = {
#include "arch/x86/dsdt_fw.inc"
};

_Static_assert(X86_PCI_WINDOW_BASE + X86_PCI_WINDOW_LEN - 1 == X86_PCI_WINDOW_LAST,
	       "the window as dsdt.asl has it");
_Static_assert(X86_FW_WINDOW_BASE + X86_FW_LOW_WINDOW_LEN - 1 == X86_FW_LOW_WINDOW_LAST &&
		       X86_FW_HOLE_START == X86_FW_WINDOW_BASE,
	       "and the other one");

/*
 * Tables are appended in one pass. What does not fit is counted but not written,
 * so one check at the end suffices, and it knows how much room would have been enough.
 */
struct writer {
	const struct acpi_desc *desc;
	u8 *buf;
	size_t size;
	size_t used; /* may exceed @size */
	u64 facs, dsdt;
};

static void put(struct writer *w, const void *data, size_t len)
{
	if (range_fits(w->used, len, w->size))
		memcpy(w->buf + w->used, data, len);
	w->used += len;
}

/* Skip to the next multiple of @align in guest memory and return that address. */
static u64 put_align(struct writer *w, u64 align)
{
	u64 gpa = align_up(w->desc->gpa + w->used, align);

	w->used = gpa - w->desc->gpa;
	return gpa;
}

/* The value that makes the bytes sum to 0, their checksum field being 0 so far. */
static u8 checksum(const void *data, size_t len)
{
	const u8 *p = data;
	u8 sum = 0;

	while (len--)
		sum += *p++;
	return -sum;
}

static struct gas io_register(u16 port, u8 width, u8 access_size)
{
	return (struct gas){
		.address_space_id = GAS_SYSTEM_IO,
		.register_bit_width = width,
		.access_size = access_size,
		.address = port,
	};
}

/*
 * Not hardware-reduced: a stock kernel then has PM timer, power-off and reset
 * from fixed registers (of AML only \_S5). SMI_CMD 0 says that the machine is always
 * in ACPI mode (4.8.2.5); SCI_EN reads 1. There is no i8042 to find (its ports only reset the
 * machine), which spares a kernel the probe. MSI and the CMOS RTC are there: their bits deny them.
 * Serial port and RTC are legacy devices, with 8259s or without, for which there is no bit.
 */
static void put_fadt(struct writer *w)
{
	const u16 evt = X86_PORT_PM + ACPI_PM1_EVT;
	const u16 cnt = X86_PORT_PM + ACPI_PM1_CNT;
	const u16 tmr = X86_PORT_PM + ACPI_PM_TMR;
	const struct fadt fadt = {
		/* only one of the two may be set, and X_FIRMWARE_CTRL is for above 4 GiB */
		.firmware_ctrl = w->facs,
		.dsdt = w->dsdt,
		.x_dsdt = w->dsdt,
		.sci_int = X86_IRQ_SCI,
		.pm1a_evt_blk = evt,
		.pm1a_cnt_blk = cnt,
		.pm_tmr_blk = tmr,
		.pm1_evt_len = ACPI_PM1_EVT_LEN,
		.pm1_cnt_len = ACPI_PM1_CNT_LEN,
		.pm_tmr_len = ACPI_PM_TMR_LEN,
		.p_lvl2_lat = FADT_NO_C_STATE,
		.p_lvl3_lat = FADT_NO_C_STATE,
		.century = CMOS_CENTURY,
		.iapc_boot_arch = IAPC_LEGACY_DEVICES | IAPC_VGA_NOT_PRESENT,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
			 FADT_FIX_RTC | FADT_TMR_VAL_EXT | FADT_RESET_REG_SUP,
		.reset_reg = io_register(X86_PORT_PM + ACPI_PM_RESET, 8, GAS_BYTE),
		.reset_value = ACPI_PM_RESET_VALUE,
		.minor_version = FADT_MINOR_VERSION,
		/* the event block is two 16-bit registers side by side (4.8.3.1) */
		.x_pm1a_evt_blk = io_register(evt, 8 * ACPI_PM1_EVT_LEN, GAS_WORD),
		.x_pm1a_cnt_blk = io_register(cnt, 8 * ACPI_PM1_CNT_LEN, GAS_WORD),
		.x_pm_tmr_blk = io_register(tmr, 8 * ACPI_PM_TMR_LEN, GAS_DWORD),
		.hypervisor_vendor = "LKVM",
	};

	put(w, &fadt, sizeof(fadt));
}

static bool is_wide(const struct acpi_desc *desc, unsigned int index)
{
	return desc->apic_ids[index] > MADT_LAPIC_MAX_ID || index > MADT_LAPIC_MAX_ID;
}

static void put_processor(struct writer *w, unsigned int index)
{
	const struct madt_lapic lapic = {
		.type = MADT_LAPIC,
		.length = sizeof(lapic),
		.processor_uid = index,
		.apic_id = w->desc->apic_ids[index],
		.flags = MADT_LAPIC_ENABLED,
	};
	const struct madt_x2apic x2apic = {
		.type = MADT_X2APIC,
		.length = sizeof(x2apic),
		.x2apic_id = w->desc->apic_ids[index],
		.flags = MADT_LAPIC_ENABLED,
		.processor_uid = index,
	};

	if (is_wide(w->desc, index))
		put(w, &x2apic, sizeof(x2apic));
	else
		put(w, &lapic, sizeof(lapic));
}

static void put_madt(struct writer *w)
{
	const struct madt madt = {
		.local_apic_address = X86_LAPIC_BASE,
		.flags = w->desc->no_pic ? 0 : MADT_PCAT_COMPAT,
	};
	/* any I/O APIC has id 0 at reset, KVM's and ours */
	const struct madt_ioapic ioapic = {
		.type = MADT_IOAPIC,
		.length = sizeof(ioapic),
		.ioapic_id = 0,
		.ioapic_address = X86_IOAPIC_BASE,
		.gsi_base = 0,
	};
	/*
	 * ISA lines are edge triggered unless a line is named here; the SCI is level (5.2.9).
	 * The PIT, where there is one, needs no override: KVM's default routing is GSI n to I/O
	 * APIC pin n for all n, 0 included, and not 0 to 2 as on a PC's board.
	 */
	const struct madt_irq_override sci = {
		.type = MADT_IRQ_OVERRIDE,
		.length = sizeof(sci),
		.source = X86_IRQ_SCI,
		.gsi = X86_IRQ_SCI,
		.flags = MPS_INTI_HIGH | MPS_INTI_LEVEL,
	};
	const struct madt_lapic_nmi nmi = {
		.type = MADT_LAPIC_NMI,
		.length = sizeof(nmi),
		.processor_uid = MADT_ALL_PROCESSORS,
		.lint = 1,
	};

	const struct madt_x2apic_nmi x2apic_nmi = {
		.type = MADT_X2APIC_NMI,
		.length = sizeof(x2apic_nmi),
		.processor_uid = MADT_X2APIC_ALL_PROCESSORS,
		.lint = 1,
	};
	bool wide = false;

	put(w, &madt, sizeof(madt));
	/* the boot processor first (5.2.12.1) */
	for (unsigned int i = 0; i < w->desc->n_vcpus; i++) {
		put_processor(w, i);
		wide |= is_wide(w->desc, i);
	}
	put(w, &ioapic, sizeof(ioapic));
	put(w, &sci, sizeof(sci));
	put(w, &nmi, sizeof(nmi));
	if (wide)
		put(w, &x2apic_nmi, sizeof(x2apic_nmi));
}

static void put_mcfg(struct writer *w)
{
	const struct mcfg mcfg = { .base_address = X86_ECAM_BASE };

	put(w, &mcfg, sizeof(mcfg));
}

static struct aml_virtio_mmio aml_virtio_mmio(unsigned int index)
{
	static const char hex[] = "0123456789ABCDEF";

	return (struct aml_virtio_mmio){
		.device_op = { 0x5b, 0x82 },
		.pkg_len = AML_PKG_LEN,
		.name = { 'V', 'I', hex[index / 16 % 16], hex[index % 16] },
		.hid_op = AML_NAME_OP,
		.hid_name = { '_', 'H', 'I', 'D' },
		.hid_string = AML_STRING,
		.hid = "LNRO0005",
		.uid_op = AML_NAME_OP,
		.uid_name = { '_', 'U', 'I', 'D' },
		.uid_byte = AML_BYTE,
		.uid = index,
		.crs_op = AML_NAME_OP,
		.crs_name = { '_', 'C', 'R', 'S' },
		.buffer_op = AML_BUFFER_OP,
		.buffer_pkg_len = 3 + AML_CRS_LEN,
		.size_byte = AML_BYTE,
		.size = AML_CRS_LEN,
		.memory_tag = 0x86,
		.memory_len = 9,
		.memory_rw = 1,
		.base = X86_VIRTIO_MMIO_GPA(index),
		.range = VIRTIO_MMIO_LEN,
		.irq_tag = 0x89,
		.irq_len = 6,
		.irq_flags = IRQ_CONSUMER | IRQ_SHARED,
		.irq_count = 1,
		.gsi = X86_SHARED_IRQ(index),
		.end_tag = { 0x79, 0 },
	};
}

/* The devices of the machine at hand: what a kernel cannot probe for, and cannot be in the DSDT. */
static void put_ssdt(struct writer *w)
{
	unsigned int n = w->desc->n_virtio_mmio;
	/* from the package length on, which has two bytes (20.2.4) */
	size_t len = 2 + 5 + n * sizeof(struct aml_virtio_mmio);
	const u8 scope[] = { AML_SCOPE_OP, 0x40 | (len & 0x0f), (u8)(len >> 4), '\\', '_', 'S', 'B',
			     '_' };

	put(w, scope, sizeof(scope));
	for (unsigned int i = 0; i < n; i++) {
		const struct aml_virtio_mmio dev = aml_virtio_mmio(i);

		put(w, &dev, sizeof(dev));
	}
}

static bool has_virtio_mmio(const struct acpi_desc *desc)
{
	return desc->n_virtio_mmio;
}

/* Firmware puts ECAM where it likes, when the tables are made already: kernels take the ports. */
static bool has_fixed_ecam(const struct acpi_desc *desc)
{
	return !desc->firmware;
}

/* A table that RSDT and XSDT list, unless @wanted says no; @put_body appends what follows the
 * header. */
struct table {
	char signature[4];
	u8 revision;
	void (*put_body)(struct writer *w);
	bool (*wanted)(const struct acpi_desc *desc);
};

static const struct table tables[] = {
	{ "FACP", FADT_REVISION, put_fadt, NULL },
	{ "APIC", MADT_REVISION, put_madt, NULL },
	{ "MCFG", MCFG_REVISION, put_mcfg, has_fixed_ecam },
	{ "SSDT", SSDT_REVISION, put_ssdt, has_virtio_mmio },
};

static size_t table_begin(struct writer *w, const char *signature, u8 revision)
{
	struct sdt_header h = {
		.revision = revision,
		.oem_id = "LKVM",
		.oem_table_id = "LKVM",
		.oem_revision = 1,
		.creator_id = { 'L', 'K', 'V', 'M' },
		.creator_revision = 1,
	};
	size_t off;

	memcpy(h.signature, signature, sizeof(h.signature));
	put_align(w, 8);
	off = w->used;
	put(w, &h, sizeof(h));
	return off;
}

/* Now that the length is known. Returns the table's address. */
static u64 table_end(struct writer *w, size_t off)
{
	u8 *p = w->buf + off;

	if (w->used <= w->size) {
		put_le32(p + offsetof(struct sdt_header, length), w->used - off);
		p[offsetof(struct sdt_header, checksum)] = checksum(p, w->used - off);
	}
	return w->desc->gpa + off;
}

static u64 put_table(struct writer *w, const struct table *t)
{
	size_t off = table_begin(w, t->signature, t->revision);

	t->put_body(w);
	return table_end(w, off);
}

/* 5.2.7: the same in 32 bits, where nobody looks who knows of the other; kvm-unit-tests do. */
static u64 put_rsdt(struct writer *w, const u64 *entries, size_t n_entries)
{
	size_t off = table_begin(w, "RSDT", 1);

	for (size_t i = 0; i < n_entries; i++) {
		const u32 entry = entries[i];

		put(w, &entry, sizeof(entry));
	}
	return table_end(w, off);
}

/* 5.2.8 */
static u64 put_xsdt(struct writer *w, const u64 *entries, size_t n_entries)
{
	size_t off = table_begin(w, "XSDT", 1);

	put(w, entries, n_entries * sizeof(*entries));
	return table_end(w, off);
}

static u64 put_facs(struct writer *w)
{
	const struct facs facs = {
		.signature = { 'F', 'A', 'C', 'S' },
		.length = sizeof(facs),
		.version = FACS_VERSION,
	};
	u64 gpa = put_align(w, FACS_ALIGN);

	put(w, &facs, sizeof(facs));
	return gpa;
}

static u64 put_dsdt(struct writer *w)
{
	u64 gpa = put_align(w, 8);

	if (w->desc->firmware)
		put(w, dsdt_fw_aml, sizeof(dsdt_fw_aml));
	else
		put(w, dsdt_aml, sizeof(dsdt_aml));
	return gpa;
}

static struct rsdp make_rsdp(u64 rsdt, u64 xsdt)
{
	struct rsdp rsdp = {
		.signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
		.oem_id = "LKVM",
		.revision = 2,
		.rsdt_address = rsdt,
		.length = sizeof(rsdp),
		.xsdt_address = xsdt,
	};

	rsdp.checksum = checksum(&rsdp, RSDP_REV0_LEN);
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	return rsdp;
}

int acpi_build(const struct acpi_desc *desc, u8 *buf, size_t size, size_t *used,
	       struct lkvm_error *err)
{
	struct writer w = { .desc = desc, .buf = buf, .size = size };
	u64 entries[ARRAY_SIZE(tables)];
	size_t n_entries = 0;
	u64 rsdt = 0, xsdt;
	struct rsdp rsdp;

	w.used = sizeof(rsdp); /* filled in last: it points to what comes after */
	w.facs = put_facs(&w);
	w.dsdt = put_dsdt(&w);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		if (!tables[i].wanted || tables[i].wanted(desc))
			entries[n_entries++] = put_table(&w, &tables[i]);
	}
	xsdt = put_xsdt(&w, entries, n_entries);
	/* firmware makes its own of the tables that it is given */
	if (!desc->firmware)
		rsdt = put_rsdt(&w, entries, n_entries);
	rsdp = make_rsdp(rsdt, xsdt);

	if (w.used > size)
		return err_host(err, ENOSPC, "ACPI tables of %zu bytes in a space of %zu", w.used,
				size);
	memcpy(buf, &rsdp, sizeof(rsdp));
	*used = w.used;
	return 0;
}
