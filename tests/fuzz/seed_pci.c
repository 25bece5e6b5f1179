/*
 * seed_pci DIR: write the seeds of fuzz_pci.c there: what kernels do, and each abuse once.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/pciops.h"
#include "vmm/base.h"

#define LE16(v) ((v)&0xff), ((v) >> 8 & 0xff)
#define LE32(v) LE16((v)&0xffff), LE16((v) >> 16 & 0xffff)

/* Slots count from 0 here; sizes are their log2. */
#define ON(slot)		 PCIOP_COMMAND, slot, 6
#define ECAM_WRITE(s, o, n, v)	 PCIOP_ECAM_WRITE, (s) + 1, n, LE16(o), LE32(v)
#define ECAM_READ(s, o, n)	 PCIOP_ECAM_READ, (s) + 1, n, LE16(o)
#define BAR_WRITE(s, b, o, n, v) PCIOP_BAR_WRITE, s, b, n, LE16(o), LE32(v)
#define BAR_READ(s, b, o, n)	 PCIOP_BAR_READ, s, b, n, LE16(o)
#define PORT_WRITE(p, n, v)	 PCIOP_PORT_WRITE, p, n, LE32(v)

struct seed {
	const char *name;
	u8 bytes[256];
};

static const struct seed seeds[] = {
	{ "enumerate",
	  { PORT_WRITE(0, 2, 0x80000000), PCIOP_PORT_READ, 4, 2, PORT_WRITE(0, 2, 0x80000804),
	    PORT_WRITE(4, 1, 6), PCIOP_PORT_READ, 4, 1, ECAM_READ(0, 0, 2), ECAM_READ(1, 0x34, 0),
	    ECAM_READ(30, 0, 2), ECAM_WRITE(0, 0x10, 2, 0xffffffff), ECAM_READ(0, 0x10, 2),
	    ECAM_WRITE(0, 0x10, 2, 0xc0000000) } },
	{ "request-msix", { ON(1),     PCIOP_START,   1, 1, PCIOP_REQUEST, 1,	       0,
			    PCIOP_RUN, PCIOP_REQUEST, 1, 2, PCIOP_RUN,	   PCIOP_MSIX, 1,
			    0xc0,      PCIOP_REQUEST, 1, 1, PCIOP_RUN,	   PCIOP_MSIX, 1,
			    0x80 } },
	{ "request-intx",
	  { ON(1), ON(2), PCIOP_START, 1, 0, PCIOP_START, 2, 0, PCIOP_REQUEST, 2, 0, PCIOP_RUN,
	    BAR_READ(2, 0, 0x1000, 0), PCIOP_DEVICE, 3, BAR_READ(1, 0, 0x1000, 0) } },
	{ "move", { ON(0), ON(1), ON(2),	 PCIOP_START, 1, 1,	    PCIOP_MOVE, 1,
		    0,	   0x30,  PCIOP_REQUEST, 1,	      0, PCIOP_RUN, PCIOP_MOVE, 0,
		    1,	   0x30,  PCIOP_MOVE,	 2,	      0, 0x60,	    PCIOP_MOVE, 0,
		    0,	   0xff,  PCIOP_MOVE,	 1,	      0, 0xff,	    PCIOP_MOVE, 1,
		    0,	   0,	  PCIOP_MOVE,	 0,	      0, 0xf0 } },
	{ "window",
	  { ON(1),
	    PCIOP_START,
	    1,
	    0,
	    PCIOP_WINDOW,
	    1,
	    0,
	    4,
	    0,
	    LE16(0x2000),
	    PCIOP_WINDOW,
	    1,
	    0,
	    2,
	    1,
	    LE16(0x3000),
	    LE32(0),
	    PCIOP_RUN,
	    PCIOP_WINDOW,
	    1,
	    0,
	    1,
	    0,
	    LE16(0x1000),
	    PCIOP_WINDOW,
	    1,
	    3,
	    4,
	    0,
	    LE16(0),
	    PCIOP_WINDOW,
	    1,
	    0,
	    4,
	    1,
	    LE16(0x7ffe),
	    LE32(0),
	    PCIOP_WINDOW,
	    1,
	    0,
	    1,
	    1,
	    LE16(0x14),
	    LE32(0) } },
	{ "table",
	  { ON(0),
	    PCIOP_MSIX,
	    0,
	    0x80,
	    BAR_WRITE(0, 0, 0, 3, 0xfee00000),
	    PCIOP_MESSAGE,
	    0,
	    1,
	    7,
	    PCIOP_MESSAGE,
	    0,
	    0xff,
	    7,
	    BAR_WRITE(0, 0, 12, 2, 0),
	    PCIOP_DEVICE,
	    2,
	    PCIOP_DEVICE,
	    0x12,
	    BAR_READ(0, 0, 0x800, 3),
	    BAR_READ(0, 0, 0x808, 3),
	    PCIOP_COMMAND,
	    0,
	    2,
	    PCIOP_DEVICE,
	    2,
	    PCIOP_COMMAND,
	    0,
	    6 } },
	{ "kexec",
	  { ON(1),
	    PCIOP_START,
	    1,
	    1,
	    PCIOP_HOST,
	    4,
	    PCIOP_DEVICE,
	    0x0c,
	    PCIOP_REQUEST,
	    1,
	    0,
	    PCIOP_RUN,
	    PCIOP_REQUEST,
	    1,
	    1,
	    PCIOP_REQUEST,
	    1,
	    1,
	    PCIOP_COMMAND,
	    1,
	    2,
	    PCIOP_RUN,
	    PCIOP_RUN,
	    ON(1),
	    PCIOP_START,
	    1,
	    1 } },
	{ "host-fails",
	  { ON(1), PCIOP_HOST, 3, PCIOP_START, 1, 1, PCIOP_REQUEST, 1, 0, PCIOP_RUN, PCIOP_HOST, 0,
	    PCIOP_MESSAGE, 1, 0, 9 } },
	{ "straddle",
	  { ECAM_WRITE(0, 3, 1, 0xffffffff), ECAM_READ(0, 0xff, 1), ECAM_READ(0, 0xffe, 2),
	    ECAM_WRITE(0, 0x10, 3, 0xffffffff), PORT_WRITE(2, 2, 0), PCIOP_PORT_READ, 7, 1,
	    ECAM_WRITE(1, 0x34, 2, 0xffffffff), ECAM_WRITE(1, 0x40, 2, 0xffffffff) } },
	{ "intx",
	  { PCIOP_DEVICE, 1, PCIOP_COMMAND, 0, 0x80, PCIOP_COMMAND, 0, 0, PCIOP_MSIX, 0, 0x80,
	    PCIOP_MSIX, 0, 0, PCIOP_DEVICE, 0 } },
};

/* Trailing zeroes are steps, too: harmless ones, which a seed does without. */
static size_t seed_len(const struct seed *s)
{
	size_t len = sizeof(s->bytes);

	while (len && !s->bytes[len - 1])
		len--;
	return len + 1;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seed_pci DIR\n");
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
		size_t len = seed_len(&seeds[i]);
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", argv[1], seeds[i].name);
		f = fopen(path, "wb");
		if (!f || fwrite(seeds[i].bytes, 1, len, f) != len || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
