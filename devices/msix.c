#include "devices/msix.h"

#include <errno.h>
#include <stdlib.h>

/* An entry of the table (6.8.2.7 to 6.8.2.9). */
#define ENTRY_ADDR    0x0
#define ENTRY_DATA    0x8
#define ENTRY_CONTROL 0xc
#define ADDR_RESERVED 0x3 /* DWORD aligned; may be read-only zero */
#define CONTROL_MASK  0x1

/* Bits of the pending array come in groups of this many (6.8.2.10). */
#define PBA_GROUP      64
#define PBA_GROUP_SIZE 8

int msix_init(struct msix *x, struct irq_chip *chip, unsigned int n, u32 devid,
	      const struct log *log, struct lkvm_error *err)
{
	int ret = 0;

	if (!chip)
		return -EOPNOTSUPP;
	if (!n || n > MSIX_MAX_VECTORS)
		return err_host(err, EINVAL, "MSI-X table of %u vectors", n);
	x->entries = calloc(n, sizeof(*x->entries));
	if (!x->entries)
		return err_host(err, ENOMEM, "MSI-X table of %u vectors", n);
	x->log = log;
	for (x->n = 0; !ret && x->n < n; x->n++) {
		x->entries[x->n].control = CONTROL_MASK;
		x->entries[x->n].msi.devid = devid;
		ret = irq_msi_init(&x->entries[x->n].msi, chip, err);
		if (ret)
			break;
	}
	if (ret)
		msix_fini(x);
	return ret;
}

void msix_fini(struct msix *x)
{
	for (unsigned int i = 0; i < x->n; i++)
		irq_msi_fini(&x->entries[i].msi);
	free(x->entries);
	x->entries = NULL;
	x->n = 0;
}

/* Bind an entry that can be sent now, and unbind one that cannot. */
static void msix_update(struct msix *x, struct msix_entry *e)
{
	bool live = x->enabled && !x->masked && !(e->control & CONTROL_MASK);
	int ret;

	if (live == e->msi.bound)
		return;
	if (!live) {
		irq_msi_unbind(&e->msi);
		return;
	}
	/* On failure it stays pending, until the driver masks and unmasks it. */
	ret = irq_msi_bind(&e->msi, e->addr, e->data);
	if (ret && ratelimit_ok(&x->limit))
		log_warn(x->log,
			 "message 0x%x to 0x%llx of PCI function 00:%02x.%u is not sent: %s",
			 e->data, (unsigned long long)e->addr, e->msi.devid >> 3 & 0x1f,
			 e->msi.devid & 7, err_text(-ret));
}

void msix_control(struct msix *x, bool enabled, bool masked)
{
	x->enabled = enabled;
	x->masked = masked;
	for (unsigned int i = 0; i < x->n; i++)
		msix_update(x, &x->entries[i]);
}

static bool msix_access(u32 off, unsigned int size, u64 len)
{
	return (size == 4 || size == 8) && off % size == 0 && range_fits(off, size, len);
}

u64 msix_table_read(struct msix *x, u32 off, unsigned int size)
{
	u8 raw[MSIX_ENTRY_SIZE];
	const struct msix_entry *e;

	if (!msix_access(off, size, (u64)x->n * MSIX_ENTRY_SIZE))
		return UINT64_MAX;
	e = &x->entries[off / MSIX_ENTRY_SIZE];
	put_le64(raw + ENTRY_ADDR, e->addr);
	put_le32(raw + ENTRY_DATA, e->data);
	put_le32(raw + ENTRY_CONTROL, e->control);
	off %= MSIX_ENTRY_SIZE;
	return size == 8 ? get_le64(raw + off) : get_le32(raw + off);
}

static void msix_write_word(struct msix_entry *e, u32 off, u32 val)
{
	switch (off) {
	case ENTRY_ADDR:
		e->addr = (e->addr & ~(u64)UINT32_MAX) | (val & ~(u32)ADDR_RESERVED);
		break;
	case ENTRY_ADDR + 4:
		e->addr = (e->addr & UINT32_MAX) | (u64)val << 32;
		break;
	case ENTRY_DATA:
		e->data = val;
		break;
	case ENTRY_CONTROL:
		e->control = val & CONTROL_MASK;
		break;
	}
}

void msix_table_write(struct msix *x, u32 off, unsigned int size, u64 val)
{
	struct msix_entry *e;

	if (!msix_access(off, size, (u64)x->n * MSIX_ENTRY_SIZE))
		return;
	e = &x->entries[off / MSIX_ENTRY_SIZE];
	off %= MSIX_ENTRY_SIZE;
	msix_write_word(e, off, (u32)val);
	if (size == 8)
		msix_write_word(e, off + 4, (u32)(val >> 32));
	msix_update(x, e);
}

static bool msix_pending(const struct msix *x, unsigned int vector)
{
	return vector < x->n && irq_msi_pending(&x->entries[vector].msi);
}

u64 msix_pba_read(struct msix *x, u32 off, unsigned int size)
{
	u64 groups = (x->n + PBA_GROUP - 1) / PBA_GROUP;
	u64 val = 0;

	if (!msix_access(off, size, groups * PBA_GROUP_SIZE))
		return UINT64_MAX;
	for (unsigned int bit = 0; bit < 8 * size; bit++) {
		if (msix_pending(x, 8 * off + bit))
			val |= BIT(bit);
	}
	return val;
}

void msix_send(struct msix *x, unsigned int vector)
{
	if (vector < x->n)
		irq_msi_send(&x->entries[vector].msi);
}
