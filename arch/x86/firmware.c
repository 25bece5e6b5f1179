/*
 * What the firmware of edk2 for virtual machines (OvmfPkg) looks for decides what is here: its
 * Library/PlatformInitLib takes the kind of machine from the host bridge and the memory from
 * fw_cfg, AcpiPlatformDxe lets fw_cfg's "etc/table-loader" place the ACPI tables,
 * QemuKernelLoaderFsDxe has kernels from there.
 */
#include "arch/x86/firmware.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/x86/bzimage.h"
#include "arch/x86/e820.h"
#include "arch/x86/layout.h"
#include "arch/x86/machine.h"
#include "devices/fw_cfg.h"
#include "vmm/disk.h"
#include "vmm/load.h"

#define FIRMWARE_MIN (64 * KIB)
#define FIRMWARE_MAX (8 * MIB)

int x86_firmware_check(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	if (!cfg->firmware[0])
		return cfg->flash[0] ? err_input(err,
						 "--flash %.380s: has the variables of firmware; "
						 "--firmware is not given",
						 cfg->flash)
				     : 0;
	if (cfg->x86.testdev)
		return err_input(err, "--testdev: is for a --kernel of kvm-unit-tests, and "
				      "--firmware is given");
	if (cfg->boot != LKVM_BOOT_AUTO)
		return err_input(err, "--boot: firmware decides how a kernel is entered, and "
				      "--firmware is given");
	if (cfg->x86.snp.on && cfg->flash[0])
		return err_input(err, "--flash %.380s: an SNP guest's firmware cannot have one",
				 cfg->flash);
	if (cfg->cmdline[0] && !cfg->kernel[0])
		return err_input(err, "--params: is for --kernel, which is not given");
	return machine_check_slot(cfg, "--firmware", X86_LPC_SLOT - cfg->pvpanic_pci, err);
}

/* ---- code and variables ------------------------------------------------------------------ */

static u64 code_gpa(const struct machine *m)
{
	return X86_HOLE_END - m->env->firmware->size;
}

static int check_sizes(const struct machine *m, struct lkvm_error *err)
{
	const struct image *code = m->env->firmware;
	const struct disk *flash = m->env->flash;
	const unsigned long long size = code->size;

	if (size < FIRMWARE_MIN || size > FIRMWARE_MAX || size % GMEM_PAGE_SIZE)
		return err_input(err,
				 "--firmware %.380s: %llu bytes; must be a multiple of 4 KiB, "
				 "%llu KiB to %llu MiB",
				 code->path, size, (unsigned long long)(FIRMWARE_MIN / KIB),
				 (unsigned long long)(FIRMWARE_MAX / MIB));
	if (flash && flash->size > code_gpa(m) - X86_FW_FLASH_START)
		return err_input(err,
				 "--flash %.380s: %llu bytes; with firmware of %llu there is room "
				 "for %llu",
				 flash->path, (unsigned long long)flash->size, size,
				 (unsigned long long)(code_gpa(m) - X86_FW_FLASH_START));
	return 0;
}

/*
 * Code is memory that the guest cannot write. That of an SNP guest has to be private like all its
 * memory, so it is a region of RAM, which no map of memory mentions (fill_e820()).
 */
int x86_firmware_add_memory(struct machine *m, struct lkvm_error *err)
{
	int ret;

	if (!m->cfg->firmware[0])
		return 0;
	ret = check_sizes(m, err);
	if (ret)
		return ret;
	if (m->cfg->x86.snp.on)
		return gmem_add(&m->gmem, code_gpa(m), m->env->firmware->size, err);
	return gmem_add_hidden(&m->gmem, code_gpa(m), m->env->firmware->size, true, err);
}

static int load_code(struct machine *m, struct lkvm_error *err)
{
	const struct image *code = m->env->firmware;
	int ret;

	/* the launch brings it: of private memory nobody sees what the host writes */
	if (m->cfg->x86.snp.on)
		return 0;
	ret = gmem_hidden_read_file(&m->gmem, code_gpa(m), code->fd, 0, code->size);
	if (ret == -ENODATA)
		return err_input(err, "firmware %.380s is truncated: it ends before byte %llu",
				 code->path, (unsigned long long)code->size);
	return ret ? err_host(err, -ret, "firmware %.380s: read", code->path) : 0;
}

/* ---- fw_cfg: the machine ----------------------------------------------------------------- */

int x86_fw_cfg_machine(struct machine *m, struct lkvm_error *err)
{
	struct dev *fw = m->arch->fw_cfg;
	int ret = fw_cfg_add_le(fw, FW_CFG_RAM_SIZE, m->cfg->mem_size, 8, err);

	if (!ret)
		ret = fw_cfg_add_le(fw, FW_CFG_NB_CPUS, m->n_vcpus, 2, err);
	return ret ? ret : fw_cfg_add_le(fw, FW_CFG_MAX_CPUS, m->n_vcpus, 2, err);
}

#define E820_ENTRY_LEN 20 /* packed, as in fw_cfg */

static u32 put_e820(u8 *p, u64 addr, u64 size, u32 type)
{
	put_le64(p, addr);
	put_le64(p + 8, size);
	put_le32(p + 16, type);
	return E820_ENTRY_LEN;
}

/*
 * Unlike the one for kernels this map is of RAM as it is: what lies below 1 MiB, and that there is
 * code at 4 GiB, firmware knows better. Nothing else may be reserved, too, for firmware before
 * 2023 takes every entry for RAM.
 */
static u32 fill_e820(const struct machine *m, u8 *p)
{
	u32 len = 0;

	for (unsigned int i = 0; i < m->gmem.n_regions; i++) {
		const struct gmem_region *r = &m->gmem.regions[i];

		if (r->gpa < X86_FW_HOLE_START || r->gpa >= X86_HOLE_END)
			len += put_e820(p + len, r->gpa, r->size, E820_RAM);
	}
	return len;
}

static int add_e820(struct machine *m, struct lkvm_error *err)
{
	u8 map[GMEM_MAX_REGIONS * E820_ENTRY_LEN];
	u32 len = fill_e820(m, map);

	return fw_cfg_add_named(m->arch->fw_cfg, "etc/e820", map, len, err);
}

/* ---- fw_cfg: ACPI tables ----------------------------------------------------------------- */

/*
 * The table loader's commands, 128 bytes each (QEMU's hw/acpi/bios-linker-loader and edk2's
 * OvmfPkg/Include/IndustryStandard/QemuLoader.h): have a file in memory, add that address to a
 * pointer, and make a sum right again.
 */
#define CMD_LEN	     128
#define CMD_ALLOCATE 1
#define CMD_POINTER  2
#define CMD_CHECKSUM 3
#define CMD_FILE     4 /* of all of them: where the name is */

#define ALLOCATE_ALIGN (CMD_FILE + FW_CFG_NAME_MAX)
#define ALLOCATE_ZONE  (ALLOCATE_ALIGN + 4)
#define ZONE_HIGH      1
#define ZONE_FSEG      2 /* below 1 MiB, where a RSDP is looked for */

#define POINTER_TO   (CMD_FILE + FW_CFG_NAME_MAX)
#define POINTER_OFF  (POINTER_TO + FW_CFG_NAME_MAX)
#define POINTER_SIZE (POINTER_OFF + 4)

#define CHECKSUM_AT    (CMD_FILE + FW_CFG_NAME_MAX)
#define CHECKSUM_START (CHECKSUM_AT + 4)
#define CHECKSUM_LEN   (CHECKSUM_START + 4)

#define FACS_ALIGN 64 /* ACPI 5.2.10: the largest that a table wants */

/* Of ACPI 6.5, 5.2.5.3, 5.2.6 and 5.2.9. */
#define RSDP_LEN	  36
#define RSDP_CHECKSUM	  8
#define RSDP_OLD_LEN	  20
#define RSDP_XSDT	  24
#define RSDP_EXT_CHECKSUM 32
#define SDT_LENGTH	  4
#define SDT_CHECKSUM	  9
#define SDT_HEADER_LEN	  36
#define FADT_FACS	  36
#define FADT_DSDT	  40
#define FADT_X_DSDT	  140

static const char tables_file[] = "etc/acpi/tables", rsdp_file[] = "etc/acpi/rsdp";

#define MAX_TABLES 16
#define MAX_CMDS   (MAX_TABLES + 12)

struct loader {
	u8 cmds[MAX_CMDS * CMD_LEN];
	u32 n;
};

/* NULL once there is no room: add_acpi() then says so. */
static u8 *add_cmd(struct loader *l, u32 type, const char *file)
{
	u8 *cmd = l->n < MAX_CMDS ? l->cmds + l->n * CMD_LEN : NULL;

	l->n++;
	if (!cmd)
		return NULL;
	put_le32(cmd, type);
	memcpy(cmd + CMD_FILE, file, strlen(file));
	return cmd;
}

static void add_allocate(struct loader *l, const char *file, u32 align, u8 zone)
{
	u8 *cmd = add_cmd(l, CMD_ALLOCATE, file);

	if (!cmd)
		return;
	put_le32(cmd + ALLOCATE_ALIGN, align);
	cmd[ALLOCATE_ZONE] = zone;
}

static void add_pointer(struct loader *l, const char *file, u32 off, u8 size)
{
	u8 *cmd = add_cmd(l, CMD_POINTER, file);

	if (!cmd)
		return;
	memcpy(cmd + POINTER_TO, tables_file, sizeof(tables_file));
	put_le32(cmd + POINTER_OFF, off);
	cmd[POINTER_SIZE] = size;
}

/* The byte at @at is 0 so far, as the command wants it. */
static void add_checksum(struct loader *l, const char *file, u32 at, u32 start, u32 len)
{
	u8 *cmd = add_cmd(l, CMD_CHECKSUM, file);

	if (!cmd)
		return;
	put_le32(cmd + CHECKSUM_AT, at);
	put_le32(cmd + CHECKSUM_START, start);
	put_le32(cmd + CHECKSUM_LEN, len);
}

static void add_table_checksum(struct loader *l, u8 *tables, u32 off)
{
	tables[off + SDT_CHECKSUM] = 0;
	add_checksum(l, tables_file, off + SDT_CHECKSUM, off, get_le32(tables + off + SDT_LENGTH));
}

/*
 * @tables are as at 0, so every address in them is an offset in the file that they are. They are
 * acpi.c's own, not to be doubted.
 */
static void plan_tables(struct loader *l, u8 *tables)
{
	u32 xsdt = (u32)get_le64(tables + RSDP_XSDT);
	u32 end = xsdt + get_le32(tables + xsdt + SDT_LENGTH);

	add_allocate(l, tables_file, FACS_ALIGN, ZONE_HIGH);
	for (u32 at = xsdt + SDT_HEADER_LEN; at < end; at += 8) {
		u32 table = (u32)get_le64(tables + at);

		add_pointer(l, tables_file, at, 8);
		if (memcmp(tables + table, "FACP", 4))
			continue;
		add_pointer(l, tables_file, table + FADT_FACS, 4);
		add_pointer(l, tables_file, table + FADT_DSDT, 4);
		add_pointer(l, tables_file, table + FADT_X_DSDT, 8);
		add_table_checksum(l, tables, table);
	}
	add_table_checksum(l, tables, xsdt);
}

static void plan_rsdp(struct loader *l, u8 *rsdp)
{
	rsdp[RSDP_CHECKSUM] = rsdp[RSDP_EXT_CHECKSUM] = 0;
	add_allocate(l, rsdp_file, 16, ZONE_FSEG);
	add_pointer(l, rsdp_file, RSDP_XSDT, 8);
	add_checksum(l, rsdp_file, RSDP_CHECKSUM, 0, RSDP_OLD_LEN);
	add_checksum(l, rsdp_file, RSDP_EXT_CHECKSUM, 0, RSDP_LEN);
}

static int add_acpi_files(struct dev *fw, const struct loader *l, const u8 *tables, size_t len,
			  struct lkvm_error *err)
{
	int ret;

	if (l->n > MAX_CMDS)
		return err_host(err, ENOSPC, "ACPI tables: %u commands for firmware", l->n);
	ret = fw_cfg_add_named(fw, tables_file, tables, (u32)len, err);
	if (!ret)
		ret = fw_cfg_add_named(fw, rsdp_file, tables, RSDP_LEN, err);
	if (!ret)
		ret = fw_cfg_add_named(fw, "etc/table-loader", l->cmds, l->n * CMD_LEN, err);
	return ret;
}

/* The RSDP is a file of its own; where it stood before the tables nobody looks. */
static int add_acpi(struct machine *m, struct lkvm_error *err)
{
	struct loader *l = calloc(1, sizeof(*l));
	u8 *tables = calloc(1, X86_ACPI_SIZE);
	size_t used = 0;
	int ret;

	if (!l || !tables)
		ret = err_host(err, ENOMEM, "ACPI tables");
	else
		ret = x86_build_acpi(m, 0, tables, &used, err);
	if (!ret) {
		plan_tables(l, tables);
		plan_rsdp(l, tables);
		ret = add_acpi_files(m->arch->fw_cfg, l, tables, used, err);
	}
	free(tables);
	free(l);
	return ret;
}

/* ---- fw_cfg: a kernel -------------------------------------------------------------------- */

static int add_file(struct dev *fw, u16 size_key, u16 data_key, const struct image *img, u64 off,
		    u64 len, struct lkvm_error *err)
{
	int ret;

	if (len > UINT32_MAX)
		return err_input(err, "%s %.380s: %llu MiB; firmware takes less than 4 GiB",
				 img->what, img->path, to_mib(len));
	ret = fw_cfg_add_le(fw, size_key, len, 4, err);
	return ret ? ret : fw_cfg_add_file(fw, data_key, img->fd, off, (u32)len, img->path, err);
}

/* "Setup" and the rest of a bzImage, which firmware puts together again to start it by its stub. */
static int add_kernel(struct machine *m, struct lkvm_error *err)
{
	const struct image *kernel = m->env->kernel, *initrd = m->env->initrd;
	struct dev *fw = m->arch->fw_cfg;
	u32 cmdline_len = (u32)strlen(m->cfg->cmdline) + 1;
	struct bzimage bz;
	int ret;

	if (kernel->fd < 0)
		return 0;
	if (!bzimage_is_bzimage(kernel))
		return err_input(err, "kernel %.380s: firmware starts a bzImage, which it is not",
				 kernel->path);
	ret = bzimage_parse(kernel, &bz, err);
	if (!ret)
		ret = add_file(fw, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA, kernel, 0, bz.code_off,
			       err);
	if (!ret)
		ret = add_file(fw, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA, kernel, bz.code_off,
			       kernel->size - bz.code_off, err);
	if (!ret && initrd->fd >= 0)
		ret = add_file(fw, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, initrd, 0, initrd->size,
			       err);
	if (!ret)
		ret = fw_cfg_add_le(fw, FW_CFG_CMDLINE_SIZE, cmdline_len, 4, err);
	if (!ret)
		ret = fw_cfg_add(fw, FW_CFG_CMDLINE_DATA, m->cfg->cmdline, cmdline_len, err);
	return ret;
}

int x86_firmware_load(struct machine *m, struct lkvm_error *err)
{
	int ret = load_code(m, err);

	if (!ret)
		ret = x86_fw_cfg_machine(m, err);
	if (!ret)
		ret = add_e820(m, err);
	if (!ret)
		ret = add_acpi(m, err);
	return ret ? ret : add_kernel(m, err);
}
