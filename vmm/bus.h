/*
 * bus.h - ports and MMIO: which device answers an address (layer 2).
 *
 * One bus type serves both address spaces. A range declares the access sizes it
 * takes; an access that nobody claims, of a size not taken, or reaching over the end of
 * its range follows one policy, here: reads give all ones, writes are dropped, both
 * are counted and logged (limited).
 *
 * Dispatch copies the range out, drops the bus lock and then enters the device, so
 * a device may change the bus from inside its own register access.
 */
#ifndef LKVM_VMM_BUS_H
#define LKVM_VMM_BUS_H

#include <pthread.h>

#include "vmm/base.h"
#include "vmm/err.h"
#include "vmm/log.h"

struct dev;

#define BUS_MAX_RANGES 128

/* Access sizes in bytes, as a set: the size is its own bit. */
#define BUS_SIZE_1   1
#define BUS_SIZE_2   2
#define BUS_SIZE_4   4
#define BUS_SIZE_8   8
#define BUS_SIZE_ANY 15

struct bus_range {
	u64 base;
	u64 len;  /* bytes, not 0 */
	u8 sizes; /* set of BUS_SIZE_* */
	u32 tag;  /* handed to the device: which of its ranges this is */
	struct dev *dev;
};

/*
 * A place where a write signals an eventfd instead of coming to a device: no vCPU thread waits
 * for it. The kernel does this; where it cannot, the write comes to the device as any other.
 */
struct bus_doorbell {
	u64 addr;
	u8 size;    /* 0: a write of any size; else 1, 2, 4 or 8 */
	bool match; /* only writes of @val; with @size not 0 */
	u64 val;
	int fd;
};

struct bus {
	const char *name; /* "port" or "mmio", for messages */
	const struct log *log;
	pthread_rwlock_t lock;
	struct bus_range ranges[BUS_MAX_RANGES]; /* ascending, disjoint; under @lock */
	unsigned int n_ranges;
	_Atomic u64 n_unclaimed;
	struct ratelimit unclaimed_limit;

	/* Turn @db on or off: 0 or -errno. NULL: there is no such thing. Set at assembly. */
	int (*doorbell)(void *ctx, const struct bus_doorbell *db, bool on);
	void *doorbell_ctx;
};

void bus_init(struct bus *bus, const char *name, const struct log *log);
void bus_fini(struct bus *bus);

/* -EEXIST when it overlaps a range (both devices are named), -ENOSPC when the bus is full. */
int bus_add(struct bus *bus, const struct bus_range *range, struct lkvm_error *err);

/* Remove the range that starts at @base; -ENOENT when there is none. */
int bus_remove(struct bus *bus, u64 base);

/*
 * Install @db (on) or take it away (off, with the same contents). From a device's own code. 0, or
 * -errno: then writes there come to the device that has the range, as they do without.
 */
int bus_doorbell(struct bus *bus, const struct bus_doorbell *db, bool on);

/*
 * One access of @size bytes (1, 2, 4 or 8), from a vCPU thread holding no lock.
 * Values are in the low @size bytes; the rest of a result is zero. The device that
 * took the access is written to *@dev, NULL when nobody did, so that the caller can honour
 * dev_throttle(); @dev itself may be NULL.
 */
u64 bus_read(struct bus *bus, u64 addr, unsigned int size, struct dev **dev);
void bus_write(struct bus *bus, u64 addr, unsigned int size, u64 val, struct dev **dev);

#endif
