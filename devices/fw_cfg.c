/*
 * fw_cfg.c - what firmware asks its machine (QEMU's docs/specs/fw_cfg.rst): numbered items, some of
 * them files with a name, read byte by byte or by DMA.
 *
 * Two ranges: FW_CFG_TAG_REGS, the selector (2 bytes at 0) and the data register (1 byte at 1), and
 * FW_CFG_TAG_DMA, the address of a request in guest memory, high half first, big endian. The
 * guest changes nothing: writes are errors.
 *
 * What is in memory is copied at once, on the vCPU's thread. What is in a file (a kernel can
 * be many MiB) the loop reads straight into guest memory, while the guest polls the request's
 * control word as the specification allows; then one request is under way at a time.
 */
#include "devices/fw_cfg.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "devices/classes.h"
#include "vmm/gmem.h"

#define MAX_ITEMS 24
#define MAX_NAMED 8

#define KEY_SIGNATURE	0x0000
#define KEY_ID		0x0001
#define KEY_DIR		0x0019
#define KEY_FIRST_NAMED 0x0020
#define KEY_MASK	0xbfff /* bit 14 asks for writing, which there is not */

#define ID_TRADITIONAL 0x1
#define ID_DMA	       0x2

#define DMA_SIGNATURE 0x51454d5520434647 /* "QEMU CFG" */

/* struct FWCfgDmaAccess, big endian. */
#define ACCESS_CONTROL 0 /* 4 bytes */
#define ACCESS_LENGTH  4 /* 4 bytes */
#define ACCESS_ADDRESS 8 /* 8 bytes */
#define ACCESS_LEN     16

#define CTL_ERROR  0x01
#define CTL_READ   0x02
#define CTL_SKIP   0x04
#define CTL_SELECT 0x08
#define CTL_WRITE  0x10

/* What lies behind an item's end reads as zeroes; this many at a time, lest a guest waste ours. */
#define MAX_ZEROES (64 * KIB)

/* struct FWCfgFile, big endian. */
#define DIR_COUNT_LEN 4
#define DIR_ENTRY_LEN 64
#define DIR_SELECT    4
#define DIR_NAME      8

struct fw_item {
	u16 key;
	u32 len;
	u8 *data; /* NULL: in the file */
	int fd;
	u64 off;
	const char *path;
};

struct fw_cfg {
	struct dev dev;
	struct fw_item items[MAX_ITEMS];
	unsigned int n_items, n_named;
	u8 dir[DIR_COUNT_LEN + MAX_NAMED * DIR_ENTRY_LEN];

	const struct fw_item *item; /* selected; NULL: one that is not there */
	u32 pos;
	u32 dma_high;

	/* A request that the loop works on. */
	struct {
		bool busy;
		u64 gpa; /* of struct FWCfgDmaAccess */
		const struct fw_item *item;
		u64 off; /* in the file */
		struct iovec iov;
		struct gmem_vec vec;
		struct dev_io io;
		struct dev_work work;
	} dma;
	struct ratelimit limit;
};

static struct fw_cfg *to_fw_cfg(struct dev *dev)
{
	return container_of(dev, struct fw_cfg, dev);
}

/* ---- items ------------------------------------------------------------------------------- */

static int add_item(struct fw_cfg *fw, const struct fw_item *item, const void *data,
		    struct lkvm_error *err)
{
	struct fw_item *it = &fw->items[fw->n_items];

	if (fw->n_items == MAX_ITEMS)
		return err_host(err, ENOSPC, "%s: items", fw->dev.name);
	*it = *item;
	if (data) {
		it->data = malloc(item->len ? item->len : 1);
		if (!it->data)
			return err_host(err, ENOMEM, "%s: %u bytes", fw->dev.name, item->len);
		memcpy(it->data, data, item->len);
	}
	fw->n_items++;
	return 0;
}

int fw_cfg_add(struct dev *dev, u16 key, const void *data, u32 len, struct lkvm_error *err)
{
	return add_item(to_fw_cfg(dev), &(struct fw_item){ .key = key, .len = len, .fd = -1 }, data,
			err);
}

int fw_cfg_add_le(struct dev *dev, u16 key, u64 val, u32 len, struct lkvm_error *err)
{
	u8 bytes[8];

	put_le64(bytes, val);
	return fw_cfg_add(dev, key, bytes, len, err);
}

int fw_cfg_add_named(struct dev *dev, const char *name, const void *data, u32 len,
		     struct lkvm_error *err)
{
	struct fw_cfg *fw = to_fw_cfg(dev);
	u16 key = (u16)(KEY_FIRST_NAMED + fw->n_named);
	u32 be_len = htobe32(len), be_n = htobe32(fw->n_named + 1);
	u16 be_key = htobe16(key);
	u8 *entry = fw->dir + DIR_COUNT_LEN + fw->n_named * DIR_ENTRY_LEN;
	int ret;

	if (fw->n_named == MAX_NAMED || strlen(name) >= FW_CFG_NAME_MAX)
		return err_host(err, ENOSPC, "%s: file %s", dev->name, name);
	ret = fw_cfg_add(dev, key, data, len, err);
	if (ret)
		return ret;
	memcpy(entry, &be_len, sizeof(be_len));
	memcpy(entry + DIR_SELECT, &be_key, sizeof(be_key));
	memcpy(entry + DIR_NAME, name, strlen(name));
	memcpy(fw->dir, &be_n, sizeof(be_n));
	fw->n_named++;
	return 0;
}

int fw_cfg_add_file(struct dev *dev, u16 key, int fd, u64 off, u32 len, const char *path,
		    struct lkvm_error *err)
{
	return add_item(
		to_fw_cfg(dev),
		&(struct fw_item){ .key = key, .len = len, .fd = fd, .off = off, .path = path },
		NULL, err);
}

static void fw_select(struct fw_cfg *fw, u16 key)
{
	fw->item = NULL;
	fw->pos = 0;
	for (unsigned int i = 0; i < fw->n_items; i++) {
		if (fw->items[i].key == (key & KEY_MASK))
			fw->item = &fw->items[i];
	}
}

/* What is left of the item, counted from where it is read. */
static u32 fw_left(const struct fw_cfg *fw)
{
	return fw->item ? fw->item->len - fw->pos : 0;
}

static u8 fw_next_byte(struct fw_cfg *fw)
{
	if (!fw_left(fw))
		return 0;
	fw->pos++;
	return fw->item->data ? fw->item->data[fw->pos - 1] : 0;
}

/* ---- DMA --------------------------------------------------------------------------------- */

static void fw_dma_answer(struct fw_cfg *fw, u64 gpa, bool ok)
{
	u32 control = htobe32(ok ? 0 : CTL_ERROR);

	/* It could be read; where it cannot be written there is nobody to tell. */
	gmem_write(fw->dev.env->gmem, gpa + ACCESS_CONTROL, &control, sizeof(control));
}

static void fw_file_read_done(struct dev *dev, struct dev_io *io)
{
	struct fw_cfg *fw = to_fw_cfg(dev);

	dev_io_complain(io, fw->dma.item->path);
	fw->dma.busy = false;
	fw_dma_answer(fw, fw->dma.gpa, dev_io_ok(io));
}

static void fw_file_read_start(struct dev *dev)
{
	struct fw_cfg *fw = to_fw_cfg(dev);

	fw->dma.io = (struct dev_io){
		.io = { .op = LOOP_OP_READ,
			.fd = fw->dma.item->fd,
			.vec = fw->dma.vec,
			.off = fw->dma.off },
		.fn = fw_file_read_done,
	};
	dev_io_start(dev, &fw->dma.io);
}

/* Have the loop read @len bytes, which the item has. */
static bool fw_file_read(struct fw_cfg *fw, u64 access_gpa, u64 gpa, u32 len)
{
	fw->dma.vec = (struct gmem_vec){ .iov = &fw->dma.iov };
	if (gmem_vec_add(&fw->dma.vec, fw->dev.env->gmem, gpa, len))
		return false;
	fw->dma.busy = true;
	fw->dma.gpa = access_gpa;
	fw->dma.item = fw->item;
	fw->dma.off = fw->item->off + fw->pos;
	dev_work_post(&fw->dma.work);
	return true;
}

/*
 * All or nothing, before a byte moves: the range is RAM, so @gpa + @len does not wrap. Sets
 * *@later when the loop is to answer.
 */
static bool fw_dma_read(struct fw_cfg *fw, u64 access_gpa, u64 gpa, u32 len, bool *later)
{
	const struct gmem *gm = fw->dev.env->gmem;
	u32 n = (u32)min_u64(len, fw_left(fw));
	int ret = 0;

	if (len - n > MAX_ZEROES || (len && !gmem_contains(gm, gpa, len)))
		return false;
	gmem_zero(gm, gpa + n, len - n);
	if (n && !fw->item->data) {
		*later = fw_file_read(fw, access_gpa, gpa, n);
		ret = *later ? 0 : -EFAULT;
	} else if (n) {
		ret = gmem_write(gm, gpa, fw->item->data + fw->pos, n);
	}
	if (!ret)
		fw->pos += n;
	return !ret;
}

static void fw_dma(struct fw_cfg *fw, u64 access_gpa)
{
	u8 access[ACCESS_LEN];
	u32 control, len;
	bool ok = true, later = false;
	u64 gpa;

	if (gmem_read(fw->dev.env->gmem, access_gpa, access, sizeof(access))) {
		if (ratelimit_ok(&fw->limit))
			log_warn(fw->dev.env->log, "%s: a request at 0x%llx, where no RAM is",
				 fw->dev.name, (unsigned long long)access_gpa);
		return;
	}
	memcpy(&control, access + ACCESS_CONTROL, sizeof(control));
	memcpy(&len, access + ACCESS_LENGTH, sizeof(len));
	memcpy(&gpa, access + ACCESS_ADDRESS, sizeof(gpa));
	control = be32toh(control);
	len = be32toh(len);

	if (fw->dma.busy) {
		ok = false;
	} else {
		if (control & CTL_SELECT)
			fw_select(fw, (u16)(control >> 16));
		if (control & CTL_READ)
			ok = fw_dma_read(fw, access_gpa, be64toh(gpa), len, &later);
		else if (control & CTL_WRITE)
			ok = false;
		else if (control & CTL_SKIP)
			fw->pos += (u32)min_u64(len, fw_left(fw));
	}
	if (!later)
		fw_dma_answer(fw, access_gpa, ok);
}

/* ---- registers --------------------------------------------------------------------------- */

static u64 fw_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	if (tag == FW_CFG_TAG_REGS)
		return off == 1 && size == 1 ? fw_next_byte(to_fw_cfg(dev)) : UINT64_MAX;
	/* string-preserving: its first byte is that of the signature */
	return htobe64(DMA_SIGNATURE) >> 8 * off;
}

static void fw_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct fw_cfg *fw = to_fw_cfg(dev);

	if (tag == FW_CFG_TAG_REGS) {
		if (off == 0 && size == 2)
			fw_select(fw, (u16)val);
		return;
	}
	if (size != 4)
		return;
	if (off == 0) {
		fw->dma_high = be32toh((u32)val);
	} else if (off == 4) {
		u64 high = fw->dma_high;

		fw->dma_high = 0;
		fw_dma(fw, high << 32 | be32toh((u32)val));
	}
}

static int fw_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct fw_cfg *fw = to_fw_cfg(dev);
	int ret;

	(void)cfg;
	dev_work_init(&fw->dma.work, dev, fw_file_read_start);
	ret = fw_cfg_add(dev, KEY_SIGNATURE, "QEMU", 4, err);
	if (!ret)
		ret = fw_cfg_add_le(dev, KEY_ID, ID_TRADITIONAL | ID_DMA, 4, err);
	if (ret)
		return ret;
	/* it grows in place; what is not used yet is zeroes behind its end */
	fw->items[fw->n_items++] = (struct fw_item){
		.key = KEY_DIR, .len = sizeof(fw->dir), .data = fw->dir, .fd = -1
	};
	return 0;
}

static void fw_fini(struct dev *dev)
{
	struct fw_cfg *fw = to_fw_cfg(dev);

	dev_work_cancel(&fw->dma.work);
	for (unsigned int i = 0; i < fw->n_items; i++) {
		if (fw->items[i].data != fw->dir)
			free(fw->items[i].data);
	}
}

const struct dev_class fw_cfg_class = {
	.name = "fw_cfg",
	.size = sizeof(struct fw_cfg),
	.init = fw_init,
	.fini = fw_fini,
	.read = fw_read,
	.write = fw_write,
};
