/*
 * pci.h - a PCI function: configuration space, BARs, INTx, MSI-X, and its bus (PCI Local Bus 3.0,
 * PCI Code and ID Assignment; layer 2).
 *
 * One bus, 00, behind one host bridge (pci_host.c), which dispatches configuration
 * accesses to functions. A function is a struct dev of its own; its transport embeds a
 * struct pci_func and hands it what arrives with the tags below.
 *
 * Locks: the bridge's dev->lock, then the function's; a function moves its own BARs on the bus from
 * inside its configuration writes.
 */
#ifndef LKVM_DEVICES_PCI_H
#define LKVM_DEVICES_PCI_H

#include "devices/msix.h"
#include "vmm/dev.h"

#define PCI_CONFIG_SIZE 256
#define PCI_MAX_SLOTS	32 /* slot 0 is the bridge's */
#define PCI_MAX_BARS	6

/* Tags of a function's accesses: a BAR's is its index. */
#define PCI_TAG_CONFIG 0x100

/* Functions by slot, and the 32-bit memory window that their BARs are decoded in. */
struct pci_bus {
	struct bus *mmio;
	const struct gmem *gmem; /* BARs never cover RAM */
	u64 window_base, window_len;
	u64 window_next; /* next free address: BARs are assigned in the order of creation */
	struct dev
		*slots[PCI_MAX_SLOTS]; /* function 0 of each; NULL: empty. Final once vCPUs run */
};

void pci_bus_init(struct pci_bus *bus, struct bus *mmio, const struct gmem *gmem, u64 window_base,
		  u64 window_len);

/*
 * Decodes @range, which the driver asked for. 0, or -errno: RAM is there (-EBUSY) or another range
 * (as of bus_add()), and @err says so.
 */
int pci_map(const struct pci_bus *bus, const struct bus_range *range, struct lkvm_error *err);

struct pci_bar {
	u32 size;      /* bytes: a power of two, at least 4096; 0: not there */
	u64 mapped_at; /* where it is decoded; valid with @mapped */
	bool mapped;
};

/* A capability's bytes start after its two header bytes. */
struct pci_func {
	struct dev *dev;
	struct pci_bus *bus;
	u8 slot;
	u8 config[PCI_CONFIG_SIZE];
	u8 writable[PCI_CONFIG_SIZE]; /* bits that stick when written */
	struct pci_bar bars[PCI_MAX_BARS];
	u8 last_cap; /* offset of the last capability; 0: none yet */
	u8 cap_end;  /* first free offset behind the capabilities */
	struct msix msix;
	u8 msix_cap; /* offset of its capability; 0: none */

	/*
	 * BAR @bar was mapped at @addr, or is about to be unmapped from there: move doorbells.
	 * Optional.
	 */
	void (*bar_changed)(struct pci_func *f, unsigned int bar, u64 addr, bool mapped);

	/* Whether the function asks for its INTx line; see pci_intx(). */
	bool intx;
	struct ratelimit limit;
};

struct pci_ids {
	u16 vendor, device;
	u16 subsystem_vendor, subsystem;
	u8 revision;
	u32 class_code; /* base class, subclass, interface: 0xBBSSII */
};

/*
 * From the function's init: header type 0, interrupt pin A if @dev has an interrupt line. Plugs
 * it into @slot (1 to 31, the bridge's own into 0; -EEXIST when it is taken). Zeroes @f first.
 */
int pci_func_init(struct pci_func *f, struct dev *dev, struct pci_bus *bus, unsigned int slot,
		  const struct pci_ids *ids, struct lkvm_error *err);

/* BARs off the bus, messages given back. Accepts a zeroed or half-built struct. */
void pci_func_fini(struct pci_func *f);

/*
 * 32-bit memory BAR, not prefetchable; it gets an address in the window at once, and is
 * decoded when the driver sets Memory Space Enable. -ENOSPC when the window is full.
 */
int pci_add_bar(struct pci_func *f, unsigned int bar, u32 size, struct lkvm_error *err);

/*
 * Append a vendor-specific or other capability with @len bytes (of @data) behind the header.
 * Returns the offset of its header; 0 when there is no room: a bug, capabilities are fixed at
 * build.
 */
u8 pci_add_cap(struct pci_func *f, u8 id, const void *data, u8 len);

/*
 * MSI-X with @n vectors, table and pending bits in @bar at @table_off and @pba_off. -errno with
 * a message; -EOPNOTSUPP without one where the machine has no messages.
 */
int pci_add_msix(struct pci_func *f, unsigned int n, unsigned int bar, u32 table_off, u32 pba_off,
		 struct lkvm_error *err);

/*
 * Configuration accesses (PCI_TAG_CONFIG): 1, 2 or 4 bytes, naturally aligned, inside 256. The
 * bridge sees to it; anything else reads all ones, and is dropped.
 */
static inline bool pci_config_valid(u64 off, unsigned int size)
{
	return (size == 1 || size == 2 || size == 4) && off % size == 0 && off < PCI_CONFIG_SIZE;
}

u32 pci_config_read(struct pci_func *f, u32 off, unsigned int size);
void pci_config_write(struct pci_func *f, u32 off, unsigned int size, u32 val);

/* Bus Master Enable and MSI-X Enable as the driver set them. */
bool pci_bus_master(const struct pci_func *f);
bool pci_msix_on(const struct pci_func *f);

/* Assert or release INTx: reaches the line unless MSI-X is on or Interrupt Disable is set. */
void pci_intx(struct pci_func *f, bool level);

#endif
