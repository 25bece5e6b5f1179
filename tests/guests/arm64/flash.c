/*
 * flash - what a driver does with the flash memory: finds it, erases a block, programs words, reads
 * them, and runs code from it. The array is read without exits but while a command is under way, so
 * this goes to and fro between the two.
 */
#include "tests/guests/arm64/guest.h"

/* Two chips of 16 bits: each command goes to both (JEDEC JEP137, Intel's command set). */
#define BOTH(v)	    ((u32)(v) << 16 | (v))
#define READ_ARRAY  BOTH(0xff)
#define READ_STATUS BOTH(0x70)
#define READ_QUERY  BOTH(0x98)
#define CLEAR	    BOTH(0x50)
#define ERASE	    BOTH(0x20)
#define CONFIRM	    BOTH(0xd0)
#define PROGRAM	    BOTH(0x40)
#define READY	    BOTH(0x80)

#define BLOCK 0x10000

static u32 load(u64 off)
{
	return mmio_read32(ARM64_FLASH_BASE + off);
}

static void store(u64 off, u32 val)
{
	mmio_write32(ARM64_FLASH_BASE + off, val);
}

static void fail(const char *what, u32 got)
{
	put_str("flash: ");
	put_str(what);
	put_str(" ");
	put_hex(got);
	put_str("\n");
	verdict(1);
}

static void await_ready(const char *what)
{
	u32 status;

	while (((status = load(0)) & READY) != READY)
		;
	if (status != READY)
		fail(what, status);
}

static void erase(u64 block)
{
	store(block, ERASE);
	store(block, CONFIRM);
	await_ready("erase says");
	store(block, READ_ARRAY);
}

static void program(u64 off, u32 val)
{
	store(off, PROGRAM);
	store(off, val);
	await_ready("program says");
	store(off, READ_ARRAY);
}

static void query(void)
{
	static const char want[] = "QRY";

	store(4 * 0x55, READ_QUERY);
	for (u32 i = 0; i < 3; i++) {
		if (load(4 * (0x10 + i)) != BOTH((u8)want[i]))
			fail("no CFI at", load(4 * (0x10 + i)));
	}
	store(0, READ_ARRAY);
}

void guest_main(void)
{
	const u64 code = arg_u64("code", BLOCK);
	u32 (*run)(void) = (u32(*)(void))(ARM64_FLASH_BASE + code);

	query();
	put_str("flash: begins with ");
	put_hex(load(0));
	put_str("\n");
	erase(0);
	for (u32 off = 0; off < BLOCK; off += 4) {
		if (load(off) != 0xffffffff)
			fail("not erased:", load(off));
	}
	for (u32 i = 0; i < 64; i++)
		program(4 * i, i * 0x01010101);
	for (u32 i = 0; i < 64; i++) {
		if (load(4 * i) != i * 0x01010101)
			fail("not programmed:", load(4 * i));
	}
	erase(code);
	program(code, 0x52800540);     /* mov w0, #42 */
	program(code + 4, 0xd65f03c0); /* ret */
	asm volatile("ic iallu\n\tdsb sy\n\tisb" : : : "memory");
	put_str("flash: code says ");
	put_dec(run());
	put_str("\n");
	verdict(0);
}
