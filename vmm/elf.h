/*
 * elf.h - ELF kernels and their symbols, through libelf (layer 2).
 *
 * The file is untrusted: every offset, size and address is checked against the
 * file and against each other before anything is loaded.
 */
#ifndef LKVM_VMM_ELF_H
#define LKVM_VMM_ELF_H

#include "vmm/base.h"
#include "vmm/err.h"
#include "vmm/gmem.h"
#include "vmm/image.h"

#define ELF_MAX_SEGMENTS 32

struct elf_segment {
	u64 off, filesz; /* in the file */
	u64 gpa, memsz;	 /* p_paddr: where it goes */
};

struct elf_kernel {
	u16 machine; /* EM_* */
	u64 entry;   /* e_entry */
	bool has_pvh;
	u32 pvh_entry; /* XEN_ELFNOTE_PHYS32_ENTRY (type 18, name "Xen") */
	struct elf_segment segments[ELF_MAX_SEGMENTS]; /* PT_LOAD, ascending gpa, disjoint */
	unsigned int n_segments;
	u64 start, end; /* of all segments in guest memory; end exclusive */
};

/* True when the file begins with the ELF magic. */
bool elf_is_elf(const struct image *img);

/* It is a 32-bit ELF file for i386: one that elf_parse() reads as EM_386. */
bool elf_is_i386(const struct image *img);

/*
 * Read and check the headers of a little-endian executable for @machine (EM_*): a 32-bit one for
 * EM_386, a 64-bit one for all others.
 */
int elf_parse(const struct image *img, u16 machine, struct elf_kernel *elf, struct lkvm_error *err);

/*
 * Move all of it by @delta, modulo 2^64: segments, start, end, entry. For a kernel whose p_paddr
 * is not where it goes. The PVH entry, x86's, stays.
 */
void elf_move(struct elf_kernel *elf, u64 delta);

/* The file has a byte for @gpa: what the guest is entered at must not be BSS or nothing. */
bool elf_has_code_at(const struct elf_kernel *elf, u64 gpa);

/* Load the segments, zeroing what the file does not fill. One outside RAM: LKVM_ERR_INPUT. */
int elf_load(const struct image *img, const struct elf_kernel *elf, const struct gmem *gm,
	     struct lkvm_error *err);

/*
 * Find the function that covers @addr: "name+0x12" into @buf. -ENOENT when the file has no
 * symbols or none covers it; @buf then says which, as a sentence.
 */
int elf_symbol(const struct image *img, u64 addr, char *buf, size_t size);

#endif
