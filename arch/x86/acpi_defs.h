/*
 * acpi_defs.h - the ACPI tables as the guest reads them; section numbers are those of ACPI 6.5.
 */
#ifndef LKVM_ARCH_X86_ACPI_DEFS_H
#define LKVM_ARCH_X86_ACPI_DEFS_H

#include "vmm/base.h"

_Static_assert(BYTE_ORDER == LITTLE_ENDIAN,
	       "the structs below are laid out as the guest reads them");

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

#endif
