#include "vmm/elf.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>

#include "vmm/load.h"

#define ELF_MAX_PHDRS	   128
#define ELF_MAX_NOTE_BYTES (64 * KIB) /* of one PT_NOTE; a Linux kernel has some hundred */

#define XEN_ELFNOTE_PHYS32_ENTRY 18 /* Xen's public elfnote.h */

static const struct {
	u16 machine;
	const char *name;
} elf_machines[] = {
	{ EM_386, "32-bit x86 (i386)" },
	{ EM_X86_64, "x86-64" },
	{ EM_ARM, "32-bit ARM" },
	{ EM_AARCH64, "arm64" },
	{ EM_RISCV, "RISC-V" },
	{ 258 /* EM_LOONGARCH: not in older elf.h */, "LoongArch" },
	{ EM_PPC, "PowerPC" },
	{ EM_PPC64, "64-bit PowerPC" },
	{ EM_S390, "s390" },
	{ EM_MIPS, "MIPS" },
	{ EM_SPARCV9, "SPARC64" },
};

static const char *elf_machine_name(u16 machine)
{
	for (size_t i = 0; i < ARRAY_SIZE(elf_machines); i++)
		if (elf_machines[i].machine == machine)
			return elf_machines[i].name;
	return "an unknown machine";
}

bool elf_is_elf(const struct image *img)
{
	u8 magic[SELFMAG];

	return img->size >= SELFMAG && !image_read(img, 0, magic, SELFMAG, NULL) &&
	       !memcmp(magic, ELFMAG, SELFMAG);
}

/* Up to here the header of an ELF file is the same in all kinds. */
#define ELF_COMMON_HEAD offsetof(Elf64_Ehdr, e_version)
_Static_assert(ELF_COMMON_HEAD == offsetof(Elf32_Ehdr, e_version), "");

bool elf_is_i386(const struct image *img)
{
	u8 h[ELF_COMMON_HEAD];

	return img->size >= sizeof(h) && !image_read(img, 0, h, sizeof(h), NULL) &&
	       !memcmp(h, ELFMAG, SELFMAG) && h[EI_CLASS] == ELFCLASS32 &&
	       h[EI_DATA] == ELFDATA2LSB && get_le16(h + offsetof(Elf32_Ehdr, e_machine)) == EM_386;
}

/* What kind of ELF file it is. EM_NONE: any machine. */
static int elf_check_kind(const struct image *img, u16 machine, struct lkvm_error *err)
{
	u8 h[ELF_COMMON_HEAD];
	u16 type, m;
	int ret;

	ret = image_read(img, 0, h, sizeof(h), err);
	if (ret)
		return ret;
	if (memcmp(h, ELFMAG, SELFMAG))
		return err_input(err, "%s %s is not an ELF file", img->what, img->path);
	if (h[EI_DATA] != ELFDATA2LSB)
		return err_input(err, "%s %s is an ELF file of big-endian or unknown byte order",
				 img->what, img->path);

	type = get_le16(h + offsetof(Elf64_Ehdr, e_type));
	m = get_le16(h + offsetof(Elf64_Ehdr, e_machine));
	if (machine != EM_NONE && m != machine)
		return err_input(err, "%s %s is an ELF file for %s (machine %u); %s is needed",
				 img->what, img->path, elf_machine_name(m), m,
				 elf_machine_name(machine));
	if (m == EM_386 && h[EI_CLASS] != ELFCLASS32)
		return err_input(err, "%s %s is an ELF file for i386, but not a 32-bit one",
				 img->what, img->path);
	if (m != EM_386 && h[EI_CLASS] != ELFCLASS64)
		return err_input(err, "%s %s is a 32-bit ELF file; a 64-bit one is needed",
				 img->what, img->path);
	if (h[EI_VERSION] != EV_CURRENT)
		return err_input(err, "%s %s has ELF version %u; 1 is needed", img->what, img->path,
				 h[EI_VERSION]);
	if (type != ET_EXEC && type != ET_DYN)
		return err_input(err, "%s %s is an ELF file, but not an executable (type %u)",
				 img->what, img->path, type);
	return 0;
}

/* Of the header: where the tables are. */
struct elf_tables {
	u64 phoff, shoff;
	u16 phnum, shnum, phentsize, shentsize;
};

static void tables_of_32(const u8 *h, struct elf_tables *t)
{
	*t = (struct elf_tables){
		.phoff = get_le32(h + offsetof(Elf32_Ehdr, e_phoff)),
		.shoff = get_le32(h + offsetof(Elf32_Ehdr, e_shoff)),
		.phnum = get_le16(h + offsetof(Elf32_Ehdr, e_phnum)),
		.shnum = get_le16(h + offsetof(Elf32_Ehdr, e_shnum)),
		.phentsize = get_le16(h + offsetof(Elf32_Ehdr, e_phentsize)),
		.shentsize = get_le16(h + offsetof(Elf32_Ehdr, e_shentsize)),
	};
}

static void tables_of_64(const u8 *h, struct elf_tables *t)
{
	*t = (struct elf_tables){
		.phoff = get_le64(h + offsetof(Elf64_Ehdr, e_phoff)),
		.shoff = get_le64(h + offsetof(Elf64_Ehdr, e_shoff)),
		.phnum = get_le16(h + offsetof(Elf64_Ehdr, e_phnum)),
		.shnum = get_le16(h + offsetof(Elf64_Ehdr, e_shnum)),
		.phentsize = get_le16(h + offsetof(Elf64_Ehdr, e_phentsize)),
		.shentsize = get_le16(h + offsetof(Elf64_Ehdr, e_shentsize)),
	};
}

/*
 * Check the tables' places and sizes before libelf sees them: it takes the number of
 * sections on trust, from section 0 even, and allocates for each.
 */
static int elf_check_tables(const struct image *img, struct lkvm_error *err)
{
	size_t ph_size = sizeof(Elf32_Phdr), sh_size = sizeof(Elf32_Shdr);
	u8 h[sizeof(Elf64_Ehdr)];
	struct elf_tables t;
	int ret = image_read(img, 0, h, sizeof(Elf32_Ehdr), err);

	if (ret)
		return ret;
	if (h[EI_CLASS] == ELFCLASS32) {
		tables_of_32(h, &t);
	} else {
		ret = image_read(img, 0, h, sizeof(Elf64_Ehdr), err);
		if (ret)
			return ret;
		tables_of_64(h, &t);
		ph_size = sizeof(Elf64_Phdr);
		sh_size = sizeof(Elf64_Shdr);
	}

	if (!t.phnum || t.phnum > ELF_MAX_PHDRS)
		return err_input(err, "%s %s has %u ELF program headers; 1 to %u are possible",
				 img->what, img->path, t.phnum, ELF_MAX_PHDRS);
	if (t.phentsize != ph_size || !range_fits(t.phoff, t.phnum * ph_size, img->size))
		return err_input(err,
				 "%s %s is truncated or corrupt: its ELF program headers are not "
				 "in the file",
				 img->what, img->path);
	if (t.shoff && (!t.shnum || t.shentsize != sh_size ||
			!range_fits(t.shoff, t.shnum * sh_size, img->size)))
		return err_input(err,
				 "%s %s is truncated or corrupt: its ELF section headers are not "
				 "in the file",
				 img->what, img->path);
	return 0;
}

/* Give libelf the file, checked as far as it does not do so itself. Closed by elf_end(). */
static int elf_open(const struct image *img, u16 machine, Elf **e, struct lkvm_error *err)
{
	int ret;

	ret = elf_check_kind(img, machine, err);
	if (!ret)
		ret = elf_check_tables(img, err);
	if (ret)
		return ret;

	/* READ without MMAP: a file that shrinks while it is read must not be a SIGBUS. */
	elf_version(EV_CURRENT);
	*e = elf_begin(img->fd, ELF_C_READ, NULL);
	if (!*e)
		return err_input(err, "%s %s is a corrupt ELF file: %s", img->what, img->path,
				 elf_errmsg(-1));
	return 0;
}

/* Keep the segments in ascending order. */
static int elf_add_segment(const struct image *img, unsigned int index, const GElf_Phdr *ph,
			   struct elf_kernel *elf, struct lkvm_error *err)
{
	unsigned int i;

	if (ph->p_filesz > ph->p_memsz)
		return err_input(err,
				 "%s %s is corrupt: segment %u has %llu bytes in the file and only "
				 "%llu in memory",
				 img->what, img->path, index, (unsigned long long)ph->p_filesz,
				 (unsigned long long)ph->p_memsz);
	if (!range_fits(ph->p_offset, ph->p_filesz, img->size))
		return err_input(
			err,
			"%s %s is truncated or corrupt: segment %u, %llu bytes at %llu, is not "
			"in the file of %llu bytes",
			img->what, img->path, index, (unsigned long long)ph->p_filesz,
			(unsigned long long)ph->p_offset, (unsigned long long)img->size);
	if (ph->p_paddr > UINT64_MAX - ph->p_memsz)
		return err_input(err, "%s %s is corrupt: segment %u wraps around the address space",
				 img->what, img->path, index);
	if (!ph->p_memsz)
		return 0;
	if (elf->n_segments == ELF_MAX_SEGMENTS)
		return err_input(err, "%s %s has more than %u segments to load", img->what,
				 img->path, ELF_MAX_SEGMENTS);

	for (i = elf->n_segments++; i && elf->segments[i - 1].gpa > ph->p_paddr; i--)
		elf->segments[i] = elf->segments[i - 1];
	elf->segments[i] = (struct elf_segment){
		.off = ph->p_offset,
		.filesz = ph->p_filesz,
		.gpa = ph->p_paddr,
		.memsz = ph->p_memsz,
	};
	return 0;
}

/*
 * Look for the PVH entry among the notes of one segment. A malformed note ends the
 * search: notes of other makers are none of our business.
 */
static int elf_find_pvh(const struct image *img, Elf *e, unsigned int index, const GElf_Phdr *ph,
			struct elf_kernel *elf, struct lkvm_error *err)
{
	size_t off = 0, next, name, desc;
	Elf_Data *data;
	GElf_Nhdr note;

	if (!range_fits(ph->p_offset, ph->p_filesz, img->size) || ph->p_filesz > ELF_MAX_NOTE_BYTES)
		return err_input(
			err,
			"%s %s is truncated or corrupt: the notes in segment %u, %llu bytes "
			"at %llu, are not in the file or too long",
			img->what, img->path, index, (unsigned long long)ph->p_filesz,
			(unsigned long long)ph->p_offset);
	if (!ph->p_filesz)
		return 0;
	data = elf_getdata_rawchunk(e, (int64_t)ph->p_offset, ph->p_filesz,
				    ph->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	if (!data)
		return err_input(err, "%s %s: the notes in segment %u cannot be read", img->what,
				 img->path, index);

	for (; (next = gelf_getnote(data, off, &note, &name, &desc)) > 0; off = next) {
		const u8 *bytes = data->d_buf;
		u64 entry;

		if (note.n_type != XEN_ELFNOTE_PHYS32_ENTRY || note.n_namesz != sizeof("Xen") ||
		    memcmp(bytes + name, "Xen", sizeof("Xen")))
			continue;
		if (note.n_descsz != 4 && note.n_descsz != 8)
			return err_input(err,
					 "%s %s is corrupt: its PVH note has %u bytes, not 4 or 8",
					 img->what, img->path, note.n_descsz);
		entry = note.n_descsz == 8 ? get_le64(bytes + desc) : get_le32(bytes + desc);
		if (entry > UINT32_MAX)
			return err_input(
				err,
				"%s %s is corrupt: its 32-bit PVH entry is at 0x%llx, above "
				"4 GiB",
				img->what, img->path, (unsigned long long)entry);
		elf->has_pvh = true;
		elf->pvh_entry = (u32)entry;
	}
	return 0;
}

static int elf_parse_phdrs(const struct image *img, Elf *e, struct elf_kernel *elf,
			   struct lkvm_error *err)
{
	GElf_Ehdr eh;

	if (!gelf_getehdr(e, &eh))
		return err_input(err, "%s %s is corrupt: its ELF header cannot be read", img->what,
				 img->path);
	elf->machine = eh.e_machine;
	elf->entry = eh.e_entry;

	for (unsigned int i = 0; i < eh.e_phnum; i++) {
		GElf_Phdr ph;
		int ret = 0;

		if (!gelf_getphdr(e, (int)i, &ph))
			return err_input(err,
					 "%s %s is corrupt: ELF program header %u cannot be read",
					 img->what, img->path, i);
		if (ph.p_type == PT_LOAD)
			ret = elf_add_segment(img, i, &ph, elf, err);
		else if (ph.p_type == PT_NOTE)
			ret = elf_find_pvh(img, e, i, &ph, elf, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int elf_check_segments(const struct image *img, struct elf_kernel *elf,
			      struct lkvm_error *err)
{
	const struct elf_segment *seg = elf->segments;

	if (!elf->n_segments)
		return err_input(err, "%s %s has no segment to load", img->what, img->path);
	for (unsigned int i = 1; i < elf->n_segments; i++)
		if (ranges_overlap(seg[i - 1].gpa, seg[i - 1].memsz, seg[i].gpa, seg[i].memsz))
			return err_input(
				err, "%s %s is corrupt: its segments at 0x%llx and 0x%llx overlap",
				img->what, img->path, (unsigned long long)seg[i - 1].gpa,
				(unsigned long long)seg[i].gpa);
	elf->start = seg[0].gpa;
	elf->end = seg[elf->n_segments - 1].gpa + seg[elf->n_segments - 1].memsz;
	return 0;
}

int elf_parse(const struct image *img, u16 machine, struct elf_kernel *elf, struct lkvm_error *err)
{
	Elf *e;
	int ret;

	*elf = (struct elf_kernel){ 0 };
	ret = elf_open(img, machine, &e, err);
	if (ret)
		return ret;
	ret = elf_parse_phdrs(img, e, elf, err);
	if (!ret)
		ret = elf_check_segments(img, elf, err);
	elf_end(e);
	return ret;
}

void elf_move(struct elf_kernel *elf, u64 delta)
{
	for (unsigned int i = 0; i < elf->n_segments; i++)
		elf->segments[i].gpa += delta;
	elf->start += delta;
	elf->end += delta;
	elf->entry += delta;
}

bool elf_has_code_at(const struct elf_kernel *elf, u64 gpa)
{
	for (unsigned int i = 0; i < elf->n_segments; i++)
		if (gpa >= elf->segments[i].gpa &&
		    gpa - elf->segments[i].gpa < elf->segments[i].filesz)
			return true;
	return false;
}

int elf_load(const struct image *img, const struct elf_kernel *elf, const struct gmem *gm,
	     struct lkvm_error *err)
{
	for (unsigned int i = 0; i < elf->n_segments; i++) {
		const struct elf_segment *seg = &elf->segments[i];

		if (!gmem_contains(gm, seg->gpa, seg->memsz))
			return err_input(
				err,
				"%s %s needs RAM at 0x%llx-0x%llx, where this machine has none",
				img->what, img->path, (unsigned long long)seg->gpa,
				(unsigned long long)(seg->gpa + seg->memsz - 1));
	}
	for (unsigned int i = 0; i < elf->n_segments; i++) {
		const struct elf_segment *seg = &elf->segments[i];
		int ret;

		ret = load_image(img, seg->off, seg->filesz, gm, seg->gpa, err);
		if (ret)
			return ret;
		/* cannot fail: the range was checked above */
		gmem_zero(gm, seg->gpa + seg->filesz, seg->memsz - seg->filesz);
	}
	return 0;
}

/* ---- symbols ---- */

/*
 * The symbol table is read here in pieces of fixed size, not through elf_getdata(): that
 * would allocate what the file says, once for each section header that claims to be one.
 */
#define SYM_CHUNK    1024	/* symbols read at a time */
#define SYM_MAX	     (4u << 20) /* symbols looked at; Linux has some 200 thousand */
#define SYM_NAME_MAX 128	/* bytes */

/*
 * True when @sym is code that covers @addr. Assembly labels often have no size;
 * they reach to the next symbol, but not beyond their section.
 */
static bool sym_covers(Elf *e, const GElf_Sym *sym, u64 addr)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info);
	GElf_Shdr sh;

	if ((type != STT_FUNC && type != STT_NOTYPE) || sym->st_shndx == SHN_UNDEF ||
	    sym->st_shndx >= SHN_LORESERVE || addr < sym->st_value)
		return false;
	if (sym->st_size)
		return addr - sym->st_value < sym->st_size;
	return gelf_getshdr(elf_getscn(e, sym->st_shndx), &sh) && addr >= sh.sh_addr &&
	       addr - sh.sh_addr < sh.sh_size;
}

static bool sym_better(const GElf_Sym *a, const GElf_Sym *b)
{
	if (!a->st_size != !b->st_size)
		return a->st_size;
	if (a->st_value != b->st_value)
		return a->st_value > b->st_value;
	return GELF_ST_TYPE(a->st_info) == STT_FUNC && GELF_ST_TYPE(b->st_info) != STT_FUNC;
}

/* The symbol table (the gABI allows one) and its strings; false when there is none to use. */
static bool find_symtab(const struct image *img, Elf *e, GElf_Shdr *sym, GElf_Shdr *str)
{
	size_t entsize = gelf_getclass(e) == ELFCLASS32 ? sizeof(Elf32_Sym) : sizeof(Elf64_Sym);
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(e, scn))) {
		if (gelf_getshdr(scn, sym) && sym->sh_type == SHT_SYMTAB)
			break;
	}
	return scn && sym->sh_entsize == entsize && !(sym->sh_flags & SHF_COMPRESSED) &&
	       range_fits(sym->sh_offset, sym->sh_size, img->size) &&
	       gelf_getshdr(elf_getscn(e, sym->sh_link), str) && str->sh_type == SHT_STRTAB &&
	       !(str->sh_flags & SHF_COMPRESSED) &&
	       range_fits(str->sh_offset, str->sh_size, img->size);
}

/* A piece of the symbol table as it is in the file, which has the host's byte order. */
union sym_chunk {
	Elf64_Sym s64[SYM_CHUNK]; /* GElf_Sym is Elf64_Sym by definition */
	Elf32_Sym s32[SYM_CHUNK];
};

static GElf_Sym chunk_sym(const union sym_chunk *chunk, bool is32, u64 i)
{
	const Elf32_Sym *s = &chunk->s32[i];

	if (!is32)
		return chunk->s64[i];
	return (GElf_Sym){
		.st_name = s->st_name,
		.st_info = s->st_info,
		.st_other = s->st_other,
		.st_shndx = s->st_shndx,
		.st_value = s->st_value,
		.st_size = s->st_size,
	};
}

/* The best symbol for @addr into @best; false when none covers it, or the file is short. */
static bool search_symbols(const struct image *img, Elf *e, const GElf_Shdr *symtab, u64 addr,
			   GElf_Sym *best)
{
	u64 size = symtab->sh_entsize, n = min_u64(symtab->sh_size / size, SYM_MAX), len;
	bool found = false, is32 = gelf_getclass(e) == ELFCLASS32;
	union sym_chunk chunk;

	for (u64 i = 0; i < n; i += len) {
		len = min_u64(n - i, SYM_CHUNK);
		if (image_read(img, symtab->sh_offset + i * size, &chunk, len * size, NULL))
			return false;
		for (u64 k = 0; k < len; k++) {
			GElf_Sym sym = chunk_sym(&chunk, is32, k);

			if (sym.st_name && sym_covers(e, &sym, addr) &&
			    (!found || sym_better(&sym, best))) {
				*best = sym;
				found = true;
			}
		}
	}
	return found;
}

static bool read_name(const struct image *img, const GElf_Shdr *strtab, u32 off,
		      char name[SYM_NAME_MAX])
{
	u64 len = SYM_NAME_MAX - 1;

	if (off >= strtab->sh_size)
		return false;
	len = min_u64(len, strtab->sh_size - off);
	memset(name, 0, SYM_NAME_MAX);
	if (image_read(img, strtab->sh_offset + off, name, len, NULL))
		return false;
	/* it comes from a file and goes to terminals and reports */
	for (char *p = name; *p; p++) {
		if (*p <= ' ' || *p > '~')
			*p = '?';
	}
	return name[0];
}

static int symbol_search(const struct image *img, Elf *e, u64 addr, char *buf, size_t size)
{
	GElf_Shdr symtab, strtab;
	char name[SYM_NAME_MAX];
	GElf_Sym best;

	if (!find_symtab(img, e, &symtab, &strtab)) {
		snprintf(buf, size, "the kernel has no symbols");
		return -ENOENT;
	}
	if (!search_symbols(img, e, &symtab, addr, &best) ||
	    !read_name(img, &strtab, best.st_name, name)) {
		snprintf(buf, size, "no function of the kernel covers this address");
		return -ENOENT;
	}
	snprintf(buf, size, "%s+0x%llx", name, (unsigned long long)(addr - best.st_value));
	return 0;
}

int elf_symbol(const struct image *img, u64 addr, char *buf, size_t size)
{
	Elf *e;
	int ret;

	/* the checks of the boot again: the file may have changed since */
	if (elf_open(img, EM_NONE, &e, NULL)) {
		snprintf(buf, size, "the kernel is not an ELF file with symbols");
		return -ENOENT;
	}
	ret = symbol_search(img, e, addr, buf, size);
	elf_end(e);
	return ret;
}
