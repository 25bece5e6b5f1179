/*
 * seed_virtq DIR: write the seeds of fuzz_virtq.c there: good requests of each kind, and each
 * rule broken once, so that fuzzing begins where it becomes interesting.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vmm/base.h"

static u8 bytes[4096];
static size_t n_bytes;

/* The operations of step() there. */
enum {
	DESC,
	ENTRY,
	CHAIN,
	SHOW,
	IDX,
	WISHES,
	POKE,
	POP,
	PUSH,
	PUBLISH,
	ARM,
	DISARM,
	UNPOP,
	BACKLOG,
	ENABLE,
	SERVE
};

/* Bases of get_gpa() there; with BELOW the offset is taken off. */
enum { LOW, LOW_END = 2, MID, MID_END, HIGH, HIGH_END = 7, BELOW = 0x80 };

#define EVENT_IDX 0x40 /* of the byte that chooses the layout; the rest is log2 of the size */
#define RAW	  0x80

#define NEXT	 1
#define WRITE	 2
#define INDIRECT 4
#define SHL(n)	 ((n) << 4) /* of the flags of a descriptor: its length is shifted */

static void e8(unsigned int v)
{
	if (n_bytes < sizeof(bytes))
		bytes[n_bytes++] = (u8)v;
}

static void e16(unsigned int v)
{
	e8(v);
	e8(v >> 8);
}

static void gpa(unsigned int base, unsigned int off)
{
	e8(base);
	e16(off);
}

static void desc(unsigned int op, unsigned int i, unsigned int base, unsigned int off,
		 unsigned int len, unsigned int flags, unsigned int next)
{
	e8(op);
	e16(i);
	gpa(base, off);
	e16(len);
	e8(flags);
	e16(next);
}

/* @how: 1 indirect, 2 side by side, SHL(n) */
static void chain(unsigned int head, unsigned int n, unsigned int n_in, unsigned int how,
		  unsigned int base, unsigned int off, unsigned int len)
{
	e8(CHAIN);
	e8(head);
	e8(n - 1);
	e8(n_in);
	e8(how);
	gpa(base, off);
	e16(len);
}

static void op8(unsigned int op, unsigned int arg)
{
	e8(op);
	e8(arg);
}

static void op16(unsigned int op, unsigned int arg)
{
	e8(op);
	e16(arg);
}

static void raw_layout(unsigned int size, unsigned int desc_off, unsigned int avail,
		       unsigned int used, unsigned int base)
{
	e8(RAW);
	e16(size);
	gpa(LOW, desc_off);
	gpa(LOW, avail);
	gpa(base, used);
}

static void serve(void)
{
	e8(SERVE);
}

static void good(unsigned int how)
{
	e8(how);
	for (unsigned int i = 0; i < 20; i++) {
		chain(i % 5, 3, 2, i & 3, LOW, 0x4000, 100);
		chain(5, 1, i & 1, 0, MID, 0, 8192);
		serve();
	}
}

static void out_of_order(unsigned int how)
{
	e8(how);
	for (unsigned int i = 0; i < 8; i++)
		chain(i, 1, 1, 0, HIGH, 0, i + 1);
	for (unsigned int i = 0; i < 8; i++)
		e8(POP);
	op8(UNPOP, 3);
	e8(ARM);
	for (unsigned int i = 0; i < 3; i++)
		e8(POP);
	for (unsigned int i = 8; i--;) {
		e8(PUSH);
		e8(i);
		e16(i);
	}
	e8(WISHES);
	e16(how & EVENT_IDX ? 0 : 1);
	e16(7);
	e8(PUBLISH);
	e8(BACKLOG);
	e8(DISARM);
	e8(ARM);
	e8(PUSH);
	e8(0);
	e16(0);
	e8(PUBLISH);
	op8(ENABLE, 0xff);
	e8(POP);
}

static void after_the_table(unsigned int how)
{
	e8(how);
	desc(DESC, 0, LOW, 0x4000, 16, NEXT, 1);
	desc(DESC, 1, LOW, 0x8000, 32, INDIRECT | WRITE, 0);
	desc(ENTRY, 0, LOW, 0x4000, 16, NEXT | WRITE, 1);
	desc(ENTRY, 1, LOW, 0x4000, 1, WRITE, 0);
	op16(SHOW, 0);
	serve();
}

static void long_chains(unsigned int how)
{
	e8(how);
	chain(0, 1u << (how & 15), 1, 2, LOW, 0x4000, 16);
	serve();
	chain(0, 1u << (how & 15), 1, 1, LOW, 0x4000, 16);
	serve();
	chain(0, (1u << (how & 15)) + 1, 1, 1, LOW, 0x4000, 16);
	serve();
	if (!(how & 15))
		return;
	/* the queue's own descriptors and a table, together one too many */
	op8(ENABLE, how);
	chain(0, 1u << (how & 15), 0, 0, LOW, 0x4000, 16);
	serve();
	desc(DESC, (1u << (how & 15)) - 1, LOW, 0x8000, 32, INDIRECT, 0);
	desc(ENTRY, 0, LOW, 0x4000, 1, NEXT, 1);
	desc(ENTRY, 1, LOW, 0x4000, 1, 0, 0);
	op16(SHOW, 0);
	serve();
}

static void huge(unsigned int how)
{
	e8(how);
	chain(0, 63, 1, SHL(11), HIGH, 0, 0x8000); /* of 64 MiB each */
	serve();
	/* and 64 MiB less one byte: 2^32 - 1 in all */
	desc(DESC, 62, HIGH, 0, 0x8000, NEXT | WRITE | SHL(11), 63);
	desc(DESC, 63, HIGH, 0, 0xffff, NEXT | WRITE | SHL(10), 64);
	desc(DESC, 64, HIGH, 0, 1023, WRITE, 0);
	op16(SHOW, 0);
	serve();
	chain(0, 64, 1, 1 | SHL(11), HIGH, 0, 0x8000);
	serve();
}

static void ends_of_ram(unsigned int how)
{
	static const unsigned int bases[] = { LOW_END, MID, MID_END, HIGH, HIGH_END };

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		for (unsigned int len = 16; len < 18; len++) {
			if (i || len > 16)
				e8(ENABLE);
			e8(how);
			chain(0, 1, 0, 0, bases[i] | BELOW, 16, len);
			serve();
		}
	}
	e8(ENABLE);
	e8(how);
	chain(0, 1, 0, 0, LOW | BELOW, 1, 2); /* wraps */
	serve();
}

static void bad_links(unsigned int how)
{
	e8(how);
	desc(DESC, 0, LOW, 0, 1, NEXT, 0);
	op16(SHOW, 0);
	serve();
	op8(ENABLE, how);
	desc(DESC, 0, LOW, 0, 1, NEXT, 0xffff);
	op16(SHOW, 0);
	serve();
	op8(ENABLE, how);
	op16(SHOW, 0xffff);
	serve();
	op8(ENABLE, how);
	desc(DESC, 0, LOW, 0, 1, NEXT | WRITE, 1);
	desc(DESC, 1, LOW, 0, 1, 0, 0);
	op16(SHOW, 0);
	serve();
	op8(ENABLE, how);
	desc(DESC, 0, LOW, 0, 0, 0, 0);
	op16(SHOW, 0);
	serve();
}

static void bad_tables(unsigned int how)
{
	static const unsigned int lens[] = { 0, 8, 15, 17, 16, 16 << 3, (16 << 3) + 16 };

	e8(how);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		desc(ENTRY, 0, LOW, 0, 1, 0, 0);
		desc(DESC, 0, LOW, 0x8000, lens[i], INDIRECT, 0);
		op16(SHOW, 0);
		serve();
		op8(ENABLE, how);
	}
	desc(ENTRY, 0, LOW, 0, 1, NEXT, 1); /* behind the end, where it looks good */
	desc(ENTRY, 1, LOW, 0, 1, 0, 0);
	desc(DESC, 0, LOW, 0x8000, 16, INDIRECT, 0);
	op16(SHOW, 0);
	serve();
	op8(ENABLE, how);
	desc(ENTRY, 0, LOW, 0, 1, 0, 0);
	desc(DESC, 0, LOW, 0x8000, 16, INDIRECT | NEXT, 0);
	op16(SHOW, 0);
	serve();
	op8(ENABLE, how);
	desc(DESC, 0, LOW, 0x8000, 16, INDIRECT, 0);
	desc(ENTRY, 0, LOW, 0x8000, 16, INDIRECT, 0);
	op16(SHOW, 0);
	serve();
	op8(ENABLE, how);
	/* No alignment is asked for: this table begins in the middle of an entry. */
	desc(ENTRY, 0, LOW, 0, 0x4000, 0, 0);
	desc(ENTRY, 1, LOW, 100, 0, 0, 0);
	desc(DESC, 0, LOW, 0x8008, 16, INDIRECT, 0);
	op16(SHOW, 0);
	serve();
	op8(ENABLE, how);
	desc(DESC, 0, LOW_END | BELOW, 16, 32, INDIRECT, 0);
	op16(SHOW, 0);
	serve();
}

static void bad_indices(unsigned int how)
{
	e8(how);
	op16(IDX, 9);
	serve();
	op8(ENABLE, how);
	chain(0, 1, 0, 0, LOW, 0, 1);
	serve();
	op16(IDX, 0);
	serve();
	op8(ENABLE, how);
	for (unsigned int i = 0; i < 8; i++) {
		chain(0, 1, 0, 0, LOW, 0, 1);
		e8(POP);
	}
	op16(SHOW, 0);
	e8(POP);
	op8(ENABLE, how & ~EVENT_IDX);
	for (unsigned int i = 0; i < 8; i++) {
		chain(0, 1, 0, 0, LOW, 0, 1);
		e8(POP);
	}
	op8(UNPOP, 2);
	e8(ARM);
	e8(PUSH);
	e8(0);
	e16(0);
	op16(SHOW, 0);
	for (unsigned int i = 0; i < 3; i++)
		e8(POP);
	e8(DISARM);
}

static void layouts(unsigned int how)
{
	raw_layout(how, 0, 0x80, 0x98, LOW); /* of 8: side by side */
	chain(0, 1, 0, 0, LOW, 0, 1);
	serve();
	e8(ENABLE);
	raw_layout(how, 0, 0x7e, 0x98, LOW);
	e8(ENABLE);
	raw_layout(how, 0, 0x81, 0x98, LOW);
	e8(ENABLE);
	raw_layout(how, 0, 0x80, 0x9a, LOW);
	e8(ENABLE);
	raw_layout(how, 8, 0x100, 0x200, LOW);
	e8(ENABLE);
	raw_layout(how, 0, 0x100, 64, LOW_END | BELOW);
	e8(ENABLE);
	raw_layout(how, 0, 0x100, 72, LOW_END | BELOW);
	chain(0, 1, 0, 0, LOW, 0, 1);
	serve();
	e8(ENABLE);
	raw_layout(0, 0, 0x100, 0x200, LOW);
	e8(ENABLE);
	raw_layout(12, 0, 0x100, 0x200, LOW);
	e8(ENABLE);
	raw_layout(512, 0, 0x2000, 0x4000, LOW);
}

static const struct seed {
	const char *name;
	void (*make)(unsigned int how);
	unsigned int how;
} seeds[] = {
	{ "good", good, 3 },
	{ "good-event", good, 3 | EVENT_IDX },
	{ "good-large", good, 8 | EVENT_IDX },
	{ "order", out_of_order, 3 },
	{ "order-event", out_of_order, 3 | EVENT_IDX },
	{ "after-the-table", after_the_table, 2 },
	{ "long-1", long_chains, 0 },
	{ "long-8", long_chains, 3 },
	{ "long-128", long_chains, 7 },
	{ "huge", huge, 8 },
	{ "ends-of-ram", ends_of_ram, 3 },
	{ "bad-links", bad_links, 3 },
	{ "bad-tables", bad_tables, 3 },
	{ "bad-indices", bad_indices, 3 | EVENT_IDX },
	{ "layouts", layouts, 8 },
};

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seed_virtq DIR\n");
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
		char path[4096];
		FILE *f;

		n_bytes = 0;
		seeds[i].make(seeds[i].how);
		snprintf(path, sizeof(path), "%s/%s", argv[1], seeds[i].name);
		f = fopen(path, "wb");
		if (!f || fwrite(bytes, 1, n_bytes, f) != n_bytes || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
