/*
 * cfi_flash.c - flash memory that speaks Intel's command set (Common Flash Interface, JEDEC
 * JESD68.01, vendor command set 0001; commands and status as in the data sheet of Intel's
 * StrataFlash P30): two 16-bit chips side by side, or (the byte form) one of 8 bits.
 *
 * One range of the size of its file. The array is memory that the guest reads without coming here
 * (gmem.h, hidden); as long as the chips answer with anything else it is taken away. Commands and
 * data are 4 bytes wide and reach both chips, which never part: the lower one's command counts.
 * They are 1 byte wide in the byte form.
 *
 * What is programmed or erased goes to the file by way of the loop, and the chips are busy until it
 * is there. It is not flushed: as with a disk, a host that dies may lose what its page cache had.
 *
 * The byte form is what x86 firmware has a driver for (edk2's
 * OvmfPkg/QemuFlashFvbServicesRuntimeDxe alone), and that one never waits, nor looks at the status
 * of what it did. So the chip is never busy, and answers with the array again once it has
 * programmed or erased: to take memory away from the guest and give it back costs more than all
 * else. Blocks that changed are remembered, and the write that asks for the array is what waits
 * until the file has them: its vCPU does (dev_throttle). And the driver takes for flash only what
 * reads 0 once the status was cleared and asked for, so "ready" is not in the status from there to
 * the next program or erase.
 *
 * Chips are their makers' product, with their makers' bugs: drivers know them by number. These have
 * none, and say all about themselves in the query.
 */
#include <errno.h>
#include <sys/uio.h>

#include "devices/classes.h"
#include "vmm/disk.h"
#include "vmm/gmem.h"

#define MAX_CHIPS   2
#define MAX_WORD    4
#define MAX_BLOCKS  (CFI_FLASH_MAX / CFI_FLASH_BYTE_BLOCK)
#define BUFFER_LOG2 6 /* bytes that a chip's write buffer takes */
#define BUFFER_MAX  (MAX_CHIPS << BUFFER_LOG2)
#define STORE_MAX   0x10000 /* bytes of one write to the file */

#define CMD_PROGRAM_ALT	   0x10
#define CMD_ERASE	   0x20
#define CMD_PROGRAM	   0x40
#define CMD_CLEAR_STATUS   0x50
#define CMD_LOCK	   0x60 /* then one of LOCK_*, or CMD_CONFIRM: unlock */
#define CMD_READ_STATUS	   0x70
#define CMD_READ_ID	   0x90
#define CMD_QUERY	   0x98
#define CMD_CONFIRM	   0xd0
#define CMD_BUFFER_PROGRAM 0xe8

#define LOCK_SET  0x01
#define LOCK_DOWN 0x2f /* until a reset */

#define STATUS_READY	     0x80
#define STATUS_ERASE_ERROR   0x20
#define STATUS_PROGRAM_ERROR 0x10
#define STATUS_LOCKED	     0x02
#define STATUS_SEQUENCE	     (STATUS_ERASE_ERROR | STATUS_PROGRAM_ERROR) /* no such command */

/* Words of the identification, those of a block by its first address. */
enum { ID_MAKER, ID_DEVICE, ID_LOCK };
#define ID_LOCK_LOCKED 0x01
#define ID_LOCK_DOWN   0x02

#define QUERY_FIRST 0x10
#define QUERY_PRI   0x31

/* What reads give. */
enum flash_mode { MODE_ARRAY, MODE_STATUS, MODE_ID, MODE_QUERY };

/* What the next write is, if it is no command. */
enum flash_next {
	NEXT_COMMAND,
	NEXT_WORD,
	NEXT_ERASE_CONFIRM,
	NEXT_LOCK_ACTION,
	NEXT_BUFFER_COUNT,
	NEXT_BUFFER_DATA,
	NEXT_BUFFER_CONFIRM,
};

/* The two forms. */
static const struct flash_form {
	u32 n_chips;
	u32 word; /* bytes of all chips at one address */
	u32 block;
	bool eager; /* its driver does not wait */
} two_chips = { 2, 4, CFI_FLASH_BLOCK, false }, one_chip = { 1, 1, CFI_FLASH_BYTE_BLOCK, true };

struct cfi_flash {
	struct dev dev;
	const struct disk *disk;
	const struct flash_form *form;
	u64 gpa;
	enum flash_mode mode;
	enum flash_next next;
	u8 status; /* without STATUS_READY */
	bool idle; /* eager: nothing was done since the status was cleared */
	u8 query[QUERY_PRI + 20 - QUERY_FIRST];
	u8 locks[MAX_BLOCKS]; /* ID_LOCK_* */

	struct {
		u64 off, len;
		u8 data[BUFFER_MAX];
		bool used[BUFFER_MAX]; /* by words */
		unsigned int n_left;   /* words yet to come */
	} buffer;

	/* The write to the file, of [off, off + len) of the array. */
	struct {
		bool busy;
		u64 off;
		u32 len;
		u8 error; /* of the status, should it fail */
		struct iovec iov;
		struct dev_io io;
		struct dev_work work;
	} store;

	/* Eager: blocks that the file has not got yet, but for what is being written. */
	u64 dirty[MAX_BLOCKS / 64];
};

/* ---- the array --------------------------------------------------------------------------- */

static bool flash_store_dirty(struct cfi_flash *f);

static void flash_store_done(struct dev *dev, struct dev_io *io)
{
	struct cfi_flash *f = container_of(dev, struct cfi_flash, dev);

	dev_io_complain(io, f->disk->path);
	if (!dev_io_ok(io))
		f->status |= f->store.error;
	f->store.busy = false;
	if (f->form->eager && !flash_store_dirty(f))
		dev_throttle(dev, false);
}

static void flash_store_start(struct dev *dev)
{
	struct cfi_flash *f = container_of(dev, struct cfi_flash, dev);

	f->store.io = (struct dev_io){
		.io = { .op = LOOP_OP_WRITE,
			.fd = f->disk->fd,
			.vec = { .iov = &f->store.iov },
			.off = f->store.off },
		.fn = flash_store_done,
	};
	/* of its own array, which has it: nothing to fail */
	gmem_hidden_vec_add(&f->store.io.io.vec, dev->env->gmem, f->gpa + f->store.off,
			    f->store.len);
	dev_io_start(dev, &f->store.io);
}

/* What the array has at [@off, @off + @len) is to be in the file; files are for the loop. */
static void flash_store(struct cfi_flash *f, u64 off, u32 len, u8 error)
{
	f->store.busy = true;
	f->store.off = off;
	f->store.len = len;
	f->store.error = error;
	dev_work_post(&f->store.work);
}

static bool flash_is_dirty(const struct cfi_flash *f, u64 block)
{
	return block < f->disk->size / f->form->block && f->dirty[block / 64] & BIT(block % 64);
}

/* Have the first blocks that are dirty written, as many as lie side by side. False: none is. */
static bool flash_store_dirty(struct cfi_flash *f)
{
	const u64 n = f->disk->size / f->form->block;
	u64 first = 0, end;

	while (first < n && !flash_is_dirty(f, first))
		first++;
	for (end = first; flash_is_dirty(f, end); end++) {
		if ((end + 1 - first) * f->form->block > STORE_MAX)
			break;
		f->dirty[end / 64] &= ~BIT(end % 64);
	}
	if (first == end)
		return false;
	flash_store(f, first * f->form->block, (u32)((end - first) * f->form->block),
		    STATUS_PROGRAM_ERROR);
	return true;
}

/* The array has changed within one block. */
static void flash_changed(struct cfi_flash *f, u64 off, u32 len, u8 error)
{
	u64 block = off / f->form->block;

	f->idle = false;
	if (!f->form->eager) {
		flash_store(f, off, len, error);
		return;
	}
	f->dirty[block / 64] |= BIT(block % 64);
	if (!f->store.busy)
		flash_store_dirty(f);
}

/* Programming takes bits from 1 to 0 only. */
static void flash_and(struct cfi_flash *f, u64 off, const u8 *val)
{
	u8 bytes[MAX_WORD];

	if (gmem_hidden_read(f->dev.env->gmem, f->gpa + off, bytes, f->form->word))
		return;
	for (u32 i = 0; i < f->form->word; i++)
		bytes[i] &= val[i];
	gmem_hidden_write(f->dev.env->gmem, f->gpa + off, bytes, f->form->word);
}

static void flash_fill_block(struct cfi_flash *f, u64 off)
{
	u8 erased[256];

	memset(erased, 0xff, sizeof(erased));
	for (u64 at = 0; at < f->form->block; at += sizeof(erased))
		gmem_hidden_write(f->dev.env->gmem, f->gpa + off + at, erased, sizeof(erased));
}

/* True when the block of @off may change; else the status says why not. */
static bool flash_may_change(struct cfi_flash *f, u64 off, u8 error)
{
	if (!f->locks[off / f->form->block])
		return true;
	f->status |= error | STATUS_LOCKED;
	return false;
}

/* ---- commands ---------------------------------------------------------------------------- */

static void flash_sequence_error(struct cfi_flash *f)
{
	f->status |= STATUS_SEQUENCE;
	f->next = NEXT_COMMAND;
}

static void flash_program(struct cfi_flash *f, u64 off, u32 val)
{
	u8 bytes[MAX_WORD];

	f->next = NEXT_COMMAND;
	if (!flash_may_change(f, off, STATUS_PROGRAM_ERROR))
		return;
	put_le32(bytes, val);
	flash_and(f, off, bytes);
	flash_changed(f, off, f->form->word, STATUS_PROGRAM_ERROR);
}

static void flash_erase(struct cfi_flash *f, u64 off, u8 confirm)
{
	u64 block = align_down(off, f->form->block);

	if (confirm != CMD_CONFIRM) {
		flash_sequence_error(f);
		return;
	}
	f->next = NEXT_COMMAND;
	if (!flash_may_change(f, off, STATUS_ERASE_ERROR))
		return;
	flash_fill_block(f, block);
	flash_changed(f, block, f->form->block, STATUS_ERASE_ERROR);
}

static void flash_lock(struct cfi_flash *f, u64 off, u8 action)
{
	u8 *lock = &f->locks[off / f->form->block];

	f->next = NEXT_COMMAND;
	switch (action) {
	case LOCK_SET:
		*lock |= ID_LOCK_LOCKED;
		break;
	case LOCK_DOWN:
		*lock |= ID_LOCK_LOCKED | ID_LOCK_DOWN;
		break;
	case CMD_CONFIRM:
		if (!(*lock & ID_LOCK_DOWN))
			*lock = 0;
		break;
	default:
		flash_sequence_error(f);
	}
}

static void flash_buffer_count(struct cfi_flash *f, u8 count)
{
	memset(&f->buffer, 0, sizeof(f->buffer));
	f->buffer.n_left = count + 1u;
	f->next = NEXT_BUFFER_DATA;
	if (f->buffer.n_left > (f->form->n_chips << BUFFER_LOG2) / f->form->word)
		flash_sequence_error(f);
}

/*
 * The first word's address is the lowest, so words lie in what follows it, and in one block.
 * Elsewhere is a sequence error: they are dropped, all of them.
 */
static void flash_buffer_data(struct cfi_flash *f, u64 off, u32 val)
{
	u8 bytes[MAX_WORD];

	if (!f->buffer.len) {
		f->buffer.off = off;
		f->buffer.len = (u64)f->buffer.n_left * f->form->word;
	}
	if (off < f->buffer.off || off - f->buffer.off >= f->buffer.len ||
	    off / f->form->block != f->buffer.off / f->form->block) {
		flash_sequence_error(f);
		return;
	}
	off -= f->buffer.off;
	put_le32(bytes, val);
	memcpy(f->buffer.data + off, bytes, f->form->word);
	f->buffer.used[off / f->form->word] = true;
	if (!--f->buffer.n_left)
		f->next = NEXT_BUFFER_CONFIRM;
}

static void flash_buffer_confirm(struct cfi_flash *f, u8 confirm)
{
	const u64 off = f->buffer.off, room = f->form->block - off % f->form->block;

	if (confirm != CMD_CONFIRM) {
		flash_sequence_error(f);
		return;
	}
	f->next = NEXT_COMMAND;
	if (!flash_may_change(f, off, STATUS_PROGRAM_ERROR))
		return;
	for (u64 i = 0; i < f->buffer.len; i += f->form->word) {
		if (f->buffer.used[i / f->form->word])
			flash_and(f, off + i, f->buffer.data + i);
	}
	/* A word that came twice left another out, maybe one behind the end of the block. */
	flash_changed(f, off, (u32)min_u64(f->buffer.len, room), STATUS_PROGRAM_ERROR);
}

/* A command that another write completes; reads give the status from now on (not if eager). */
static void flash_expect(struct cfi_flash *f, enum flash_next next)
{
	f->mode = f->form->eager ? MODE_ARRAY : MODE_STATUS;
	f->next = next;
}

static void flash_command(struct cfi_flash *f, u8 cmd)
{
	switch (cmd) {
	case CMD_PROGRAM:
	case CMD_PROGRAM_ALT:
		flash_expect(f, NEXT_WORD);
		break;
	case CMD_ERASE:
		flash_expect(f, NEXT_ERASE_CONFIRM);
		break;
	case CMD_LOCK:
		flash_expect(f, NEXT_LOCK_ACTION);
		break;
	case CMD_BUFFER_PROGRAM:
		flash_expect(f, NEXT_BUFFER_COUNT);
		break;
	case CMD_CLEAR_STATUS:
		f->status = 0;
		f->idle = true;
		break;
	case CMD_READ_STATUS:
		f->mode = MODE_STATUS;
		break;
	case CMD_READ_ID:
		f->mode = MODE_ID;
		break;
	case CMD_QUERY:
		f->mode = MODE_QUERY;
		break;
	default:
		/*
		 * 0xff, and what only other chips know: drivers that look for those write it, and
		 * expect to find the array.
		 */
		f->mode = MODE_ARRAY;
		if (f->form->eager && f->store.busy)
			dev_throttle(&f->dev, true);
	}
}

static void flash_write_word(struct cfi_flash *f, u64 off, u32 val)
{
	switch (f->next) {
	case NEXT_COMMAND:
		flash_command(f, (u8)val);
		break;
	case NEXT_WORD:
		flash_program(f, off, val);
		break;
	case NEXT_ERASE_CONFIRM:
		flash_erase(f, off, (u8)val);
		break;
	case NEXT_LOCK_ACTION:
		flash_lock(f, off, (u8)val);
		break;
	case NEXT_BUFFER_COUNT:
		/* all bits of a chip: what is too much is not to look like less */
		flash_buffer_count(f, (u8)min_u64(val & 0xffff, UINT8_MAX));
		break;
	case NEXT_BUFFER_DATA:
		flash_buffer_data(f, off, val);
		break;
	case NEXT_BUFFER_CONFIRM:
		flash_buffer_confirm(f, (u8)val);
		break;
	}
}

/* ---- accesses ---------------------------------------------------------------------------- */

/* The guest reads the array by itself, or comes here; false when the host has it otherwise. */
static bool flash_show(struct cfi_flash *f, bool on)
{
	struct lkvm_error err = { 0 };

	if (!gmem_hidden_show(f->dev.env->gmem, f->gpa, on, &err))
		return true;
	if (ratelimit_ok(&f->dev.io_limit))
		log_warn(f->dev.env->log, "%s: %s", f->dev.name, err.msg);
	return false;
}

static void flash_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct cfi_flash *f = container_of(dev, struct cfi_flash, dev);

	(void)tag;
	/* Busy chips take commands that suspend them, which these do not know. */
	if (size != f->form->word || off % f->form->word || (f->store.busy && !f->form->eager))
		return;
	flash_write_word(f, off, (u32)val);
	/* No command is better than one whose answer the guest would not see. */
	if (f->mode != MODE_ARRAY && (f->form->eager || !f->store.busy) && !flash_show(f, false)) {
		f->mode = MODE_ARRAY;
		f->next = NEXT_COMMAND;
	}
	/* If this fails reads come here, and find the array all the same. */
	if (f->mode == MODE_ARRAY)
		flash_show(f, true);
}

/* The answer of each chip at the address of word @index. */
static u16 flash_answer(const struct cfi_flash *f, u64 index)
{
	u64 block = index * f->form->word / f->form->block;

	switch (f->mode) {
	case MODE_STATUS:
		if (f->form->eager)
			return f->status | (f->idle ? 0 : STATUS_READY);
		return f->store.busy ? 0 : f->status | STATUS_READY;
	case MODE_ID:
		if (index % (f->form->block / f->form->word) == ID_LOCK)
			return f->locks[block];
		return 0;
	case MODE_QUERY:
		if (index < QUERY_FIRST || index - QUERY_FIRST >= sizeof(f->query))
			return 0;
		return f->query[index - QUERY_FIRST];
	case MODE_ARRAY:
		break;
	}
	return 0;
}

static u64 flash_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	const struct cfi_flash *f = container_of(dev, struct cfi_flash, dev);
	u8 bytes[8] = { 0 };

	(void)tag;
	if (f->mode == MODE_ARRAY) {
		gmem_hidden_read(dev->env->gmem, f->gpa + off, bytes, size);
		return get_le64(bytes);
	}
	for (unsigned int i = 0; i < size; i++) {
		u16 answer = flash_answer(f, (off + i) / f->form->word);

		bytes[i] = (u8)(answer >> (off + i) % (f->form->word / f->form->n_chips) * 8);
	}
	return get_le64(bytes);
}

/* ---- making it --------------------------------------------------------------------------- */

static u8 log2_up(u64 v)
{
	u8 n = 0;

	while (BIT(n) < v)
		n++;
	return n;
}

/*
 * JESD68.01 section 4, and the vendor's table of version 1.0. Times are powers of 2 of us, and of
 * ms for an erase; the longest, as multiples of the usual, are what a host may need: 8 s.
 */
static void flash_make_query(struct cfi_flash *f)
{
	/* clang-format off */
	static const u8 head[] = {
		'Q', 'R', 'Y', 0x01, 0, QUERY_PRI, 0, 0, 0, 0, 0,
		0x27, 0x36, 0, 0, /* volts: 2.7 to 3.6; no programming voltage */
		4, 4, 1, 0,	  /* usual times: word, buffer, erase; no erase of the chip */
		19, 19, 12, 0,	  /* longest times */
	};
	static const u8 pri[] = {
		'P', 'R', 'I', '1', '0',
		0x20, 0, 0, 0,			    /* blocks are locked at once */
		0,				    /* nothing goes on while suspended */
		ID_LOCK_LOCKED | ID_LOCK_DOWN, 0,   /* bits of the lock status */
		0x33, 0,			    /* volts: 3.3 */
		0, 0, 0, 0, 0,			    /* no protection registers */
	};
	/* clang-format on */
	u64 chip = f->disk->size / f->form->n_chips, block = f->form->block / f->form->n_chips;
	u8 *q = f->query;

	memcpy(q, head, sizeof(head));
	q += 0x27 - QUERY_FIRST;
	q[0] = log2_up(chip);
	q[1] = f->form->word / f->form->n_chips == 2; /* 16 bits wide */
	q[3] = BUFFER_LOG2;
	q[5] = 1; /* kind of block */
	put_le16(q + 6, (u16)(chip / block - 1));
	put_le16(q + 8, (u16)(block / 256));
	memcpy(f->query + QUERY_PRI - QUERY_FIRST, pri, sizeof(pri));
}

static int flash_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct cfi_flash *f = container_of(dev, struct cfi_flash, dev);
	const struct cfi_flash_cfg *c = cfg;
	u64 size = c->disk->size;
	int ret;

	f->form = c->bytes ? &one_chip : &two_chips;
	if (!size || size % f->form->block || size > CFI_FLASH_MAX)
		return err_host(err, EINVAL, "%s: %llu bytes", dev->name, (unsigned long long)size);
	f->disk = c->disk;
	f->gpa = c->gpa;
	flash_make_query(f);
	dev_work_init(&f->store.work, dev, flash_store_start);
	ret = gmem_add_hidden(dev->env->gmem, f->gpa, size, true, err);
	if (ret)
		return ret;
	ret = gmem_hidden_read_file(dev->env->gmem, f->gpa, f->disk->fd, 0, size);
	if (ret)
		return err_host(err, -ret, "%s: reading %.380s", dev->name, f->disk->path);
	return gmem_hidden_show(dev->env->gmem, f->gpa, true, err);
}

static void flash_fini(struct dev *dev)
{
	dev_work_cancel(&container_of(dev, struct cfi_flash, dev)->store.work);
}

const struct dev_class cfi_flash_class = {
	.name = "cfi-flash",
	.size = sizeof(struct cfi_flash),
	.init = flash_init,
	.fini = flash_fini,
	.read = flash_read,
	.write = flash_write,
};
