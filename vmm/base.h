/*
 * base.h - the words everything else is written in (layer 0).
 *
 * Fixed-width integers, sizes, checked arithmetic and unaligned little-endian
 * access. No state, no allocation, no I/O.
 */
#ifndef LKVM_VMM_BASE_H
#define LKVM_VMM_BASE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define KIB ((u64)1 << 10)
#define MIB ((u64)1 << 20)
#define GIB ((u64)1 << 30)

#define BIT(n)	      ((u64)1 << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define NSEC_PER_SEC  ((u64)1000000000)
#define NSEC_PER_MSEC ((u64)1000000)

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* True when [off, off + len) lies inside [0, size): the one way a range is checked here. */
static inline bool range_fits(u64 off, u64 len, u64 size)
{
	return off <= size && len <= size - off;
}

/* True when [a, a + a_len) and [b, b + b_len) share a byte; neither range may wrap. */
static inline bool ranges_overlap(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a_len && b_len && (a < b ? b - a < a_len : a - b < b_len);
}

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* @a is a power of two; align_up wraps to 0 when @v is within @a of 2^64. */
static inline u64 align_down(u64 v, u64 a)
{
	return v & ~(a - 1);
}

static inline u64 align_up(u64 v, u64 a)
{
	return (v + a - 1) & ~(a - 1);
}

/* Unaligned little-endian loads and stores: boot headers, tables and registers are little endian.
 */
static inline u16 get_le16(const void *p)
{
	u16 v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static inline u32 get_le32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline u64 get_le64(const void *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline void put_le16(void *p, u16 v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_le32(void *p, u32 v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_le64(void *p, u64 v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

#endif
