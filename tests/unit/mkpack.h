/*
 * mkpack.h - small packed files made up for tests: gzip and zstd without compressing anything, and
 * EFI zboot around them. Written from RFC 1952, RFC 1951 (stored blocks), RFC 8878 (raw and RLE
 * blocks) and the zboot header, without the libraries that the code under test uses.
 */
#ifndef LKVM_TESTS_MKPACK_H
#define LKVM_TESTS_MKPACK_H

#include "vmm/base.h"

#define MK_GZIP_MAX(len) ((len) + 18 + 5 * ((len) / 0xffff + 1))
#define MK_ZSTD_MAX(len) ((len) + 9 + 3 * ((len) / 0x20000 + 1))
#define MK_ZBOOT_OFF	 0x200 /* of the payload */

static inline u32 mk_crc32(const u8 *p, size_t len)
{
	u32 crc = 0xffffffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* A gzip member of @len bytes at @src. Its length. */
static inline size_t mk_gzip(u8 *f, const u8 *src, size_t len)
{
	size_t n = 10, off = 0;

	memcpy(f, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
	do {
		size_t k = min_u64(len - off, 0xffff);

		f[n] = off + k == len; /* BFINAL, BTYPE 0 */
		put_le16(f + n + 1, (u16)k);
		put_le16(f + n + 3, (u16)~k);
		memcpy(f + n + 5, src + off, k);
		n += 5 + k;
		off += k;
	} while (off < len);
	put_le32(f + n, mk_crc32(src, len));
	put_le32(f + n + 4, (u32)len);
	return n + 8;
}

/* A block header of RFC 8878: type 0 raw, 1 RLE. */
static inline void mk_zstd_block(u8 *f, bool last, unsigned int type, u32 size)
{
	u32 v = (u32)last | type << 1 | size << 3;

	put_le16(f, (u16)v);
	f[2] = (u8)(v >> 16);
}

/* A zstd frame of @len bytes at @src. Its length. */
static inline size_t mk_zstd(u8 *f, const u8 *src, size_t len)
{
	size_t n = 9, off = 0;

	put_le32(f, 0xfd2fb528);
	f[4] = 0xa0; /* content size in 4 bytes, single segment */
	put_le32(f + 5, (u32)len);
	do {
		size_t k = min_u64(len - off, 0x20000);

		mk_zstd_block(f + n, off + k == len, 0, (u32)k);
		memcpy(f + n + 3, src + off, k);
		n += 3 + k;
		off += k;
	} while (off < len);
	return n;
}

/* A zstd frame that says little and holds @n_blocks times 128 KiB of @byte. Its length. */
static inline size_t mk_zstd_bomb(u8 *f, u8 byte, unsigned int n_blocks)
{
	put_le32(f, 0xfd2fb528);
	f[4] = 0;
	f[5] = 7 << 3; /* window of 2^(10 + 7) bytes */
	for (unsigned int i = 0; i < n_blocks; i++) {
		mk_zstd_block(f + 6 + 4 * i, i == n_blocks - 1, 1, 0x20000);
		f[6 + 4 * i + 3] = byte;
	}
	return 6 + 4 * n_blocks;
}

/* An EFI zboot file around @len bytes at @payload, with as much of its PE half as anybody reads. */
static inline size_t mk_zboot(u8 *f, const char *compression, const u8 *payload, size_t len)
{
	memset(f, 0, MK_ZBOOT_OFF);
	memcpy(f, "MZ\0\0zimg", 8);
	put_le32(f + 8, MK_ZBOOT_OFF);
	put_le32(f + 12, (u32)len);
	memcpy(f + 24, compression, strlen(compression));
	put_le32(f + 0x38, 0x818223cd);
	put_le32(f + 0x3c, 0x40);
	memcpy(f + 0x40, "PE\0\0\x64\xaa", 6);
	memcpy(f + MK_ZBOOT_OFF, payload, len);
	memset(f + MK_ZBOOT_OFF + len, 0xee, 64); /* its code, behind */
	return MK_ZBOOT_OFF + len + 64;
}

#endif
