#include "vmm/bus.h"

#include <errno.h>
#include <stdatomic.h>

#include "vmm/dev.h"

void bus_init(struct bus *bus, const char *name, const struct log *log)
{
	*bus = (struct bus){ .name = name, .log = log };
	pthread_rwlock_init(&bus->lock, NULL);
}

void bus_fini(struct bus *bus)
{
	pthread_rwlock_destroy(&bus->lock);
}

/* Index of the first range that ends above @addr: the one that holds it, if any does. */
static unsigned int bus_search(const struct bus *bus, u64 addr)
{
	unsigned int lo = 0, hi = bus->n_ranges;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;
		const struct bus_range *r = &bus->ranges[mid];

		if (addr >= r->base && addr - r->base >= r->len)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int bus_insert(struct bus *bus, const struct bus_range *range, struct lkvm_error *err)
{
	unsigned int at = bus_search(bus, range->base);
	const struct bus_range *r = &bus->ranges[at];

	if (at < bus->n_ranges && ranges_overlap(range->base, range->len, r->base, r->len))
		return err_host(err, EEXIST, "%s range 0x%llx+0x%llx of %s is taken by %s",
				bus->name, (unsigned long long)range->base,
				(unsigned long long)range->len, range->dev->name, r->dev->name);
	if (bus->n_ranges == BUS_MAX_RANGES)
		return err_host(err, ENOSPC, "%s bus is full: no room for %s", bus->name,
				range->dev->name);
	memmove(&bus->ranges[at + 1], r, (bus->n_ranges - at) * sizeof(*r));
	bus->ranges[at] = *range;
	bus->n_ranges++;
	return 0;
}

int bus_add(struct bus *bus, const struct bus_range *range, struct lkvm_error *err)
{
	int ret;

	if (!range->len || range->base > UINT64_MAX - (range->len - 1))
		return err_host(err, EINVAL, "%s range 0x%llx+0x%llx of %s", bus->name,
				(unsigned long long)range->base, (unsigned long long)range->len,
				range->dev->name);
	pthread_rwlock_wrlock(&bus->lock);
	ret = bus_insert(bus, range, err);
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

int bus_remove(struct bus *bus, u64 base)
{
	unsigned int at;
	int ret = -ENOENT;

	pthread_rwlock_wrlock(&bus->lock);
	at = bus_search(bus, base);
	if (at < bus->n_ranges && bus->ranges[at].base == base) {
		bus->n_ranges--;
		memmove(&bus->ranges[at], &bus->ranges[at + 1],
			(bus->n_ranges - at) * sizeof(bus->ranges[0]));
		ret = 0;
	}
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

int bus_doorbell(struct bus *bus, const struct bus_doorbell *db, bool on)
{
	return bus->doorbell ? bus->doorbell(bus->doorbell_ctx, db, on) : -EOPNOTSUPP;
}

static bool bus_find(struct bus *bus, u64 addr, unsigned int size, struct bus_range *found)
{
	unsigned int at;
	bool ok = false;

	pthread_rwlock_rdlock(&bus->lock);
	at = bus_search(bus, addr);
	if (at < bus->n_ranges) {
		const struct bus_range *r = &bus->ranges[at];

		ok = addr >= r->base && range_fits(addr - r->base, size, r->len) &&
		     (r->sizes & size);
		if (ok)
			*found = *r;
	}
	pthread_rwlock_unlock(&bus->lock);
	return ok;
}

static void bus_unclaimed(struct bus *bus, const char *what, u64 addr, unsigned int size)
{
	atomic_fetch_add_explicit(&bus->n_unclaimed, 1, memory_order_relaxed);
	if (bus->log->level >= LKVM_LOG_DEBUG && ratelimit_ok(&bus->unclaimed_limit))
		log_debug(bus->log, "nobody answers a %u-byte %s %s 0x%llx", size, bus->name, what,
			  (unsigned long long)addr);
}

u64 bus_read(struct bus *bus, u64 addr, unsigned int size, struct dev **dev)
{
	u64 mask = UINT64_MAX >> (64 - 8 * size);
	struct bus_range r;

	if (!bus_find(bus, addr, size, &r)) {
		if (dev)
			*dev = NULL;
		bus_unclaimed(bus, "read at", addr, size);
		return mask;
	}
	if (dev)
		*dev = r.dev;
	return dev_read(r.dev, r.tag, addr - r.base, size) & mask;
}

void bus_write(struct bus *bus, u64 addr, unsigned int size, u64 val, struct dev **dev)
{
	u64 mask = UINT64_MAX >> (64 - 8 * size);
	struct bus_range r;

	if (!bus_find(bus, addr, size, &r)) {
		if (dev)
			*dev = NULL;
		bus_unclaimed(bus, "write to", addr, size);
		return;
	}
	if (dev)
		*dev = r.dev;
	dev_write(r.dev, r.tag, addr - r.base, size, val & mask);
}
