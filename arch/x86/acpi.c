/* ACPI 6.5; section numbers below are its. */
#include "arch/x86/acpi.h"
#include "arch/x86/layout.h"
#include "devices/acpi_pm.h"
#include "devices/classes.h"

#include <errno.h>

_Static_assert(BYTE_ORDER == LITTLE_ENDIAN,
	       "the structs below are laid out as the guest reads them");

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

/* 5.2.5.3 */
struct rsdp {
	char signature[8];
	u8 checksum; /* over the 20 bytes of revision 0 */
	char oem_id[6];
	u8 revision;
	u32 rsdt_address;
	u32 length;
	u64 xsdt_address;
	u8 extended_checksum;
	u8 reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct rsdp) == 36, "RSDP");

#define RSDP_REV0_LEN 20

/* 5.2.6 */
struct sdt_header {
	char signature[4];
	u32 length;
	u8 revision;
	u8 checksum;
	char oem_id[6];
	char oem_table_id[8];
	u32 oem_revision;
	char creator_id[4];
	u32 creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct sdt_header) == 36, "system description table header");

/* 5.2.3.2, Generic Address Structure */
struct gas {
	u8 address_space_id;
	u8 register_bit_width;
	u8 register_bit_offset;
	u8 access_size; /* 1: byte, 2: word, 3: dword */
	u64 address;
} __attribute__((packed));
_Static_assert(sizeof(struct gas) == 12, "GAS");

#define GAS_SYSTEM_IO 1
#define GAS_BYTE      1
#define GAS_WORD      2
#define GAS_DWORD     3

/* 5.2.9, what follows the header */
struct fadt {
	u32 firmware_ctrl;
	u32 dsdt;
	u8 reserved1;
	u8 preferred_pm_profile;
	u16 sci_int;
	u32 smi_cmd;
	u8 acpi_enable;
	u8 acpi_disable;
	u8 s4bios_req;
	u8 pstate_cnt;
	u32 pm1a_evt_blk;
	u32 pm1b_evt_blk;
	u32 pm1a_cnt_blk;
	u32 pm1b_cnt_blk;
	u32 pm2_cnt_blk;
	u32 pm_tmr_blk;
	u32 gpe0_blk;
	u32 gpe1_blk;
	u8 pm1_evt_len;
	u8 pm1_cnt_len;
	u8 pm2_cnt_len;
	u8 pm_tmr_len;
	u8 gpe0_blk_len;
	u8 gpe1_blk_len;
	u8 gpe1_base;
	u8 cst_cnt;
	u16 p_lvl2_lat;
	u16 p_lvl3_lat;
	u16 flush_size;
	u16 flush_stride;
	u8 duty_offset;
	u8 duty_width;
	u8 day_alrm;
	u8 mon_alrm;
	u8 century;
	u16 iapc_boot_arch;
	u8 reserved2;
	u32 flags;
	struct gas reset_reg;
	u8 reset_value;
	u16 arm_boot_arch;
	u8 minor_version;
	u64 x_firmware_ctrl;
	u64 x_dsdt;
	struct gas x_pm1a_evt_blk;
	struct gas x_pm1b_evt_blk;
	struct gas x_pm1a_cnt_blk;
	struct gas x_pm1b_cnt_blk;
	struct gas x_pm2_cnt_blk;
	struct gas x_pm_tmr_blk;
	struct gas x_gpe0_blk;
	struct gas x_gpe1_blk;
	struct gas sleep_control_reg;
	struct gas sleep_status_reg;
	char hypervisor_vendor[8];
} __attribute__((packed));
_Static_assert(sizeof(struct sdt_header) + sizeof(struct fadt) == 276, "FADT");

#define FADT_REVISION	   6
#define FADT_MINOR_VERSION 5

/* Table 5.10 */
#define FADT_WBINVD	   BIT(0)
#define FADT_PROC_C1	   BIT(2)
#define FADT_PWR_BUTTON	   BIT(4) /* set: no fixed power button */
#define FADT_SLP_BUTTON	   BIT(5) /* set: no fixed sleep button */
#define FADT_FIX_RTC	   BIT(6) /* set: RTC wake is not in the PM1 registers */
#define FADT_TMR_VAL_EXT   BIT(8) /* 32-bit PM timer */
#define FADT_RESET_REG_SUP BIT(10)

/* 5.2.9.3 */
#define IAPC_LEGACY_DEVICES  BIT(0)
#define IAPC_VGA_NOT_PRESENT BIT(2)

/* Table 5.9: a latency above 100 (C2) or 1000 (C3) microseconds means the state does not exist. */
#define FADT_NO_C_STATE 0x0fff

/* Index in CMOS RAM of the BCD century: what the PC's firmware made customary. */
#define CMOS_CENTURY 0x32

/* 5.2.10 */
struct facs {
	char signature[4];
	u32 length;
	u32 hardware_signature;
	u32 firmware_waking_vector;
	u32 global_lock;
	u32 flags;
	u64 x_firmware_waking_vector;
	u8 version;
	u8 reserved1[3];
	u32 ospm_flags;
	u8 reserved2[24];
} __attribute__((packed));
_Static_assert(sizeof(struct facs) == 64, "FACS");

#define FACS_VERSION 2
#define FACS_ALIGN   64

/* 5.2.12, what follows the header; then come the interrupt controller structures. */
struct madt {
	u32 local_apic_address;
	u32 flags;
} __attribute__((packed));

#define MADT_REVISION	 6
#define MADT_PCAT_COMPAT BIT(0) /* there is a pair of 8259s too */

/* 5.2.12.2 */
struct madt_lapic {
	u8 type, length;
	u8 processor_uid;
	u8 apic_id;
	u32 flags;
} __attribute__((packed));
_Static_assert(sizeof(struct madt_lapic) == 8, "MADT local APIC");

#define MADT_LAPIC	   0
#define MADT_LAPIC_ENABLED BIT(0)
#define MADT_LAPIC_MAX_ID  254 /* 255 is the broadcast id; also of a UID, 255 is all of them */

/* 5.2.12.3 */
struct madt_ioapic {
	u8 type, length;
	u8 ioapic_id;
	u8 reserved;
	u32 ioapic_address;
	u32 gsi_base;
} __attribute__((packed));
_Static_assert(sizeof(struct madt_ioapic) == 12, "MADT I/O APIC");

#define MADT_IOAPIC 1

/* 5.2.12.5 */
struct madt_irq_override {
	u8 type, length;
	u8 bus; /* 0: ISA */
	u8 source;
	u32 gsi;
	u16 flags;
} __attribute__((packed));
_Static_assert(sizeof(struct madt_irq_override) == 10, "MADT interrupt source override");

#define MADT_IRQ_OVERRIDE 2
#define MPS_INTI_HIGH	  (1 << 0)
#define MPS_INTI_LEVEL	  (3 << 2)

/* 5.2.12.7 */
struct madt_lapic_nmi {
	u8 type, length;
	u8 processor_uid;
	u16 flags;
	u8 lint;
} __attribute__((packed));
_Static_assert(sizeof(struct madt_lapic_nmi) == 6, "MADT local APIC NMI");

#define MADT_LAPIC_NMI	    4
#define MADT_ALL_PROCESSORS 0xff

/* 5.2.12.12: for ids that do not fit the other, and for none that do */
struct madt_x2apic {
	u8 type, length;
	u8 reserved[2];
	u32 x2apic_id;
	u32 flags;
	u32 processor_uid;
} __attribute__((packed));
_Static_assert(sizeof(struct madt_x2apic) == 16, "MADT local x2APIC");

#define MADT_X2APIC 9

/* 5.2.12.13 */
struct madt_x2apic_nmi {
	u8 type, length;
	u16 flags;
	u32 processor_uid;
	u8 lint;
	u8 reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct madt_x2apic_nmi) == 12, "MADT local x2APIC NMI");

#define MADT_X2APIC_NMI		   10
#define MADT_X2APIC_ALL_PROCESSORS 0xffffffff

/* PCI Firmware Specification 3.3, table 4-3, what follows the header; one entry. */
struct mcfg {
	u8 reserved1[8];
	u64 base_address;
	u16 segment;
	u8 start_bus, end_bus;
	u8 reserved2[4];
} __attribute__((packed));
_Static_assert(sizeof(struct sdt_header) + sizeof(struct mcfg) == 60, "MCFG");

#define MCFG_REVISION 1

/*
 * AML of one virtio-mmio device (20.2), whose encodings have no variable length here:
 *
 *	Device (VIxx) { Name (_HID, "LNRO0005") Name (_UID, n) Name (_CRS, ResourceTemplate () {
 *		Memory32Fixed (ReadWrite, base, len)
 *		Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { gsi } }) }
 */
struct aml_virtio_mmio {
	u8 device_op[2], pkg_len;
	char name[4];
	u8 hid_op;
	char hid_name[4];
	u8 hid_string;
	char hid[9];
	u8 uid_op;
	char uid_name[4];
	u8 uid_byte, uid;
	u8 crs_op;
	char crs_name[4];
	u8 buffer_op, buffer_pkg_len, size_byte, size;
	u8 memory_tag; /* 6.4.3.4 */
	u16 memory_len;
	u8 memory_rw;
	u32 base, range;
	u8 irq_tag; /* 6.4.3.6 */
	u16 irq_len;
	u8 irq_flags, irq_count;
	u32 gsi;
	u8 end_tag[2];
} __attribute__((packed));

#define AML_CRS_LEN (sizeof(struct aml_virtio_mmio) - offsetof(struct aml_virtio_mmio, memory_tag))
#define AML_PKG_LEN (sizeof(struct aml_virtio_mmio) - offsetof(struct aml_virtio_mmio, pkg_len))
_Static_assert(AML_PKG_LEN < 64, "a package length of one byte");

#define AML_NAME_OP   0x08
#define AML_BYTE      0x0a
#define AML_STRING    0x0d
#define AML_SCOPE_OP  0x10
#define AML_BUFFER_OP 0x11
#define IRQ_CONSUMER  0x01
#define IRQ_SHARED    0x08
#define SSDT_REVISION 2

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

/* A table the XSDT lists, unless @wanted says no; @put_body appends what follows the header. */
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

static struct rsdp make_rsdp(u64 xsdt)
{
	struct rsdp rsdp = {
		.signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
		.oem_id = "LKVM",
		.revision = 2,
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
	struct rsdp rsdp;

	w.used = sizeof(rsdp); /* filled in last: it points to what comes after */
	w.facs = put_facs(&w);
	w.dsdt = put_dsdt(&w);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		if (!tables[i].wanted || tables[i].wanted(desc))
			entries[n_entries++] = put_table(&w, &tables[i]);
	}
	rsdp = make_rsdp(put_xsdt(&w, entries, n_entries));

	if (w.used > size)
		return err_host(err, ENOSPC, "ACPI tables of %zu bytes in a space of %zu", w.used,
				size);
	memcpy(buf, &rsdp, sizeof(rsdp));
	*used = w.used;
	return 0;
}
