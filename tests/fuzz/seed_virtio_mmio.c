/*
 * seed_virtio_mmio DIR: write the seeds of fuzz_virtio_mmio.c there: a good driver, each of the
 * things a reset has to cope with, and some rules broken once.
 */
#include "tests/fuzz/seedfile.h"

/* Operations of step() there. In their low bits is more: the queue modulo 3, a mode, ... */
#define WRITE	  0x00 /* register number (two bytes), value */
#define ODD	  0x33 /* offset (two bytes), value, offset; 8 bytes wide */
#define UP	  0x40
#define UP_EVENT  0x41
#define STATUS	  0x50 /* value */
#define QUEUE0	  0x60
#define REQUEST0  0x72 /* + n - 1, readable, then for each: where (two bytes), length (two) */
#define REQUEST1  0x70
#define POKE0	  0x90 /* place, kind, values */
#define NOTIFY0	  0xa2
#define RUN	  0xb0
#define END_IO	  0xc1 /* which, bytes */
#define FAIL_IO	  0xc0 /* which */
#define SERVE	  0xd0
#define FILE_HELD 0xd5
#define FULL	  0xd2
#define BREAK	  0xd3
#define NO_BELLS  0xd8
#define CONFIG	  0xe0
#define GO_ON0	  0xe1
#define ACK	  0xe2
#define PLUG_ANEW 0xff

/* Kinds of POKE0, and numbers as vw_num() reads them. */
#define DESC  0
#define RING  1
#define MORE  2
#define IDX   3
#define MINUS 0xa0 /* - 1 */
#define DATA  0xc0, 0

/* Registers, as any_offset() numbers them. */
#define R_FEATURES     1, 0
#define R_FEATURES_SEL 2, 0
#define R_SEL	       3, 0
#define R_NUM	       4, 0
#define R_READY	       5, 0
#define R_STATUS       8, 0

#define ONE_BUF0 REQUEST0, 0, 0, 0, 0, 8, 1
#define ONE_BUF1 REQUEST1, 0, 0, 0, 1, 8, 1

/* clang-format off */
static const struct seed seeds[] = {
	SEED("good", UP, ONE_BUF0, RUN, ACK, ONE_BUF1, ONE_BUF0, RUN, ACK),
	SEED("good-event", UP_EVENT, ONE_BUF0, RUN, ACK, ONE_BUF1, ONE_BUF0, RUN, ACK),
	SEED("indirect", UP, REQUEST0, 3, 1, 0, 0, 8, 1, 0, 1, 8, 1, 0, 2, 8, 1, 0, 3, 8, 1, RUN),
	SEED("no-bells", NO_BELLS, UP, ONE_BUF0, NOTIFY0, RUN, CONFIG, ACK),
	SEED("held", UP, FILE_HELD, ONE_BUF0, ONE_BUF1, RUN, END_IO, 0, 8, FAIL_IO, 0, RUN, ACK),
	SEED("reset-held", UP, FILE_HELD, ONE_BUF0, ONE_BUF0, RUN, STATUS, 0, STATUS, 15, END_IO,
	     0, 8, RUN, END_IO, 0, 8, RUN, UP, SERVE, ONE_BUF0, RUN),
	SEED("ready-0-held", UP, FILE_HELD, ONE_BUF0, RUN, WRITE, R_SEL, 0, WRITE, R_READY, 0,
	     END_IO, 0, 8, RUN),
	SEED("ready-0", UP, WRITE, R_SEL, 0, WRITE, R_READY, 0, ONE_BUF0, RUN, QUEUE0),
	SEED("full", UP, FULL, ONE_BUF0, RUN, SERVE, GO_ON0, RUN),
	SEED("broken", UP, BREAK, ONE_BUF0, RUN, ACK, SERVE, UP, ONE_BUF0, RUN),
	SEED("plug", UP, ONE_BUF0, RUN, PLUG_ANEW, UP, ONE_BUF0, RUN),
	SEED("bad-features", STATUS, 3, WRITE, R_FEATURES, 0x44, WRITE, R_FEATURES_SEL, 1, WRITE,
	     R_FEATURES, 1, STATUS, 11),
	SEED("bad-size", STATUS, 1, STATUS, 3, STATUS, 11, WRITE, R_NUM, 3, WRITE, R_READY, 1),
	SEED("bad-status", STATUS, 4, STATUS, 15, UP, STATUS, 3, WRITE, R_STATUS, 0x48),
	SEED("bad-index", UP, POKE0, 0, IDX, MINUS, NOTIFY0, RUN),
	SEED("bad-head", UP, POKE0, 0, RING, MINUS, POKE0, 0, MORE, 1, NOTIFY0, RUN),
	SEED("loop", UP, POKE0, 0, DESC, DATA, 16, 1, 0, POKE0, 0, RING, 0, POKE0, 0, MORE, 1,
	     NOTIFY0, RUN),
	SEED("odd", ODD, 0x6f, 0, 0, 0x70, 0, ODD, 0xfd, 0, MINUS, 0xff, 1),
};
/* clang-format on */

int main(int argc, char **argv)
{
	return seedfile_write_all(argc, argv, seeds, ARRAY_SIZE(seeds));
}
