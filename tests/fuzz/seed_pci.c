/*
 * seed_pci DIR: write the seeds of fuzz_pci.c there: what kernels do, and each abuse once.
 */
#include "tests/fuzz/pciops.h"
#include "tests/fuzz/seedfile.h"

#define LE16(v) ((v)&0xff), ((v) >> 8 & 0xff)
#define LE32(v) LE16((v)&0xffff), LE16((v) >> 16 & 0xffff)

/* The first byte. */
#define PLAIN	0
#define CONSOLE 1
#define Q35	2

/* Sizes are their log2; slots those of the target, but for ECAM. */
#define ON(slot)		       PCIOP_COMMAND, slot, 6
#define ECAM_WRITE(slot, off, size, v) PCIOP_ECAM_WRITE, slot, size, LE16(off), LE32(v)
#define ECAM_READ(slot, off, size)     PCIOP_ECAM_READ, slot, size, LE16(off)
#define BAR_WRITE(slot, off, size, v)  PCIOP_BAR_WRITE, slot, 0, size, LE16(off), LE32(v)
#define BAR_READ(slot, off, size)      PCIOP_BAR_READ, slot, 0, size, LE16(off)
#define PORT_WRITE(port, size, v)      PCIOP_PORT_WRITE, port, size, LE32(v)
#define PORT_READ(port, size)	       PCIOP_PORT_READ, port, size
#define REGISTER(off, size, v)	       PCIOP_REGISTER, 1, off, size, LE16(v)
#define REQUEST(slot, queue)	       PCIOP_REQUEST, slot, queue
#define WINDOW_READ(bar, len, off)     PCIOP_WINDOW, 1, bar, len, 0, LE16(off)
#define WINDOW_WRITE(len, off, v)      PCIOP_WINDOW, 1, 0, len, 1, LE16(off), LE32(v)
#define RUN			       PCIOP_RUN

/* clang-format off */
static const struct seed seeds[] = {
	SEED("enumerate", PLAIN,
	     PORT_WRITE(0, 2, 0x80000000), PORT_READ(4, 2), PORT_WRITE(0, 2, 0x80000804),
	     PORT_WRITE(4, 1, 6), PORT_READ(4, 1), ECAM_READ(1, 0, 2), ECAM_READ(2, 0x34, 0),
	     ECAM_READ(31, 0, 2), ECAM_WRITE(1, 0x10, 2, 0xffffffff), ECAM_READ(1, 0x10, 2),
	     ECAM_WRITE(1, 0x10, 2, 0xc0000000)),
	SEED("request-msix", PLAIN,
	     ON(1), PCIOP_START, 1, 1, REQUEST(1, 0), RUN, REQUEST(1, 2), RUN,
	     PCIOP_MSIX, 1, 0xc0, REQUEST(1, 1), RUN, PCIOP_MSIX, 1, 0x80),
	SEED("request-intx", PLAIN,
	     ON(1), ON(2), PCIOP_START, 1, 0, PCIOP_START, 2, 0, REQUEST(2, 0), RUN,
	     BAR_READ(2, 0x1000, 0), PCIOP_DEVICE, 3, BAR_READ(1, 0x1000, 0)),
	SEED("move", PLAIN,
	     ON(0), ON(1), ON(2), PCIOP_START, 1, 1, PCIOP_MOVE, 1, 0, 0x30, REQUEST(1, 0), RUN,
	     PCIOP_MOVE, 0, 1, 0x30, PCIOP_MOVE, 2, 0, 0x60, PCIOP_MOVE, 0, 0, 0xff,
	     PCIOP_MOVE, 1, 0, 0xff, PCIOP_MOVE, 1, 0, 0, PCIOP_MOVE, 0, 0, 0xf0),
	SEED("registers", PLAIN,
	     ON(1), REGISTER(0, 2, 1), REGISTER(4, 2, 0), REGISTER(0x14, 0, 1),
	     REGISTER(0x14, 0, 3), REGISTER(8, 2, 1), REGISTER(0xc, 2, 1),
	     REGISTER(0x14, 0, 11), REGISTER(0x10, 1, 0), REGISTER(0x16, 1, 1),
	     REGISTER(0x18, 1, 8), REGISTER(0x1a, 1, 9), REGISTER(0x20, 3, 0x1000),
	     REGISTER(0x28, 2, 0x2000), REGISTER(0x30, 2, 0x3000), REGISTER(0x1c, 1, 1),
	     REGISTER(0x14, 0, 15), REGISTER(0x12, 1, 0), REGISTER(0x1e, 1, 0),
	     REGISTER(0x15, 0, 0), REGISTER(0x14, 0, 0)),
	SEED("window", PLAIN,
	     ON(1), PCIOP_START, 1, 0, WINDOW_READ(0, 4, 0x2000), WINDOW_WRITE(2, 0x3000, 0), RUN,
	     WINDOW_READ(0, 1, 0x1000), WINDOW_READ(3, 4, 0), WINDOW_WRITE(4, 0x7ffe, 0),
	     WINDOW_WRITE(1, 0x14, 0)),
	SEED("table", PLAIN,
	     ON(0), PCIOP_MSIX, 0, 0x80, BAR_WRITE(0, 0, 3, 0xfee00000), PCIOP_MESSAGE, 0, 1, 7,
	     PCIOP_MESSAGE, 0, 0xff, 7, BAR_WRITE(0, 12, 2, 0), PCIOP_DEVICE, 2,
	     PCIOP_DEVICE, 0x12, BAR_READ(0, 0x800, 3), BAR_READ(0, 0x808, 3),
	     PCIOP_COMMAND, 0, 2, PCIOP_DEVICE, 2, ON(0)),
	SEED("kexec", PLAIN,
	     ON(1), PCIOP_START, 1, 1, PCIOP_HOST, 4, PCIOP_DEVICE, 0x0c, REQUEST(1, 0), RUN,
	     REQUEST(1, 1), REQUEST(1, 1), PCIOP_COMMAND, 1, 2, RUN, RUN, ON(1), PCIOP_START, 1, 1),
	SEED("kexec-console", CONSOLE,
	     ON(1), PCIOP_START, 1, 1, PCIOP_COMMAND, 1, 2, REQUEST(1, 0), REQUEST(1, 1), RUN,
	     REQUEST(1, 2), RUN, ON(1), REQUEST(1, 0), RUN),
	SEED("host-fails", PLAIN,
	     ON(1), PCIOP_HOST, 3, PCIOP_START, 1, 1, REQUEST(1, 0), RUN, PCIOP_HOST, 0,
	     PCIOP_MESSAGE, 1, 0, 9),
	SEED("straddle", PLAIN,
	     ECAM_WRITE(1, 3, 1, 0xffffffff), ECAM_READ(1, 0xff, 1), ECAM_READ(1, 0xffe, 2),
	     ECAM_WRITE(1, 0x10, 3, 0xffffffff), PORT_WRITE(2, 2, 0), PORT_READ(7, 1),
	     ECAM_WRITE(2, 0x34, 2, 0xffffffff), ECAM_WRITE(2, 0x40, 2, 0xffffffff)),
	SEED("pciexbar", Q35,
	     PCIOP_PCIEXBAR, 0xe1, ECAM_READ(0, 0, 2), ECAM_READ(1, 0, 2), ON(1), ON(0),
	     PCIOP_PCIEXBAR, 0xc1, ECAM_WRITE(1, 4, 1, 0), PCIOP_PCIEXBAR, 1, PCIOP_PCIEXBAR, 0xf1,
	     ECAM_WRITE(0, 0x60, 2, 0xe0000001), PORT_WRITE(0, 2, 0x80000060),
	     PORT_WRITE(7, 0, 0x20), PCIOP_COMMAND, 0, 0, PCIOP_COMMAND, 1, 0, PCIOP_PCIEXBAR, 0xc1,
	     ON(1), PCIOP_START, 1, 1, PCIOP_PCIEXBAR, 0, PCIOP_START, 1, 1, REQUEST(1, 0), RUN),
	SEED("intx", PLAIN,
	     PCIOP_DEVICE, 1, PCIOP_COMMAND, 0, 0x80, PCIOP_COMMAND, 0, 0, PCIOP_MSIX, 0, 0x80,
	     PCIOP_MSIX, 0, 0, PCIOP_DEVICE, 0),
};
/* clang-format on */

int main(int argc, char **argv)
{
	return seedfile_write_all(argc, argv, seeds, ARRAY_SIZE(seeds));
}
