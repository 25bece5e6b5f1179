/*
 * seed_rng DIR: write the seeds of fuzz_rng.c there: good requests with a host that gives, gives
 * few and has none, and some rules broken once.
 */
#include "tests/fuzz/seedfile.h"

/* Operations of step() there. */
#define UP	 0
#define UP_EVENT 8
#define REQUEST	 1 /* n - 1, readable, then for each: where (two bytes), length (two) */
#define POKE	 3 /* place, kind, values */
#define NOTIFY	 4
#define RUN	 5
#define WAIT	 0x66 /* 102 ms */
#define GIVES	 7
#define FEW	 15
#define NONE	 23

/* Kinds of POKE, and numbers as vw_num() reads them. */
#define DESC  0
#define RING  1
#define MORE  2
#define IDX   3
#define MINUS 0xa0 /* - 1 */
#define DATA  0xc0, 0

#define ONE_BUF REQUEST, 0, 0, 0, 0, 64, 1

/* clang-format off */
static const struct seed seeds[] = {
	SEED("good", ONE_BUF, RUN, UP_EVENT, ONE_BUF, ONE_BUF, RUN),
	SEED("pieces", REQUEST, 2, 0, 0, 0, 9, 1, 0, 1, 255, 15, 0, 2, 1, 1, RUN),
	SEED("readable", REQUEST, 0, 1, 0, 0, 9, 1, RUN),
	SEED("few", FEW, ONE_BUF, RUN),
	SEED("none", NONE, ONE_BUF, RUN, ONE_BUF, WAIT, GIVES, WAIT, RUN),
	SEED("none-reset", NONE, ONE_BUF, RUN, UP, GIVES, ONE_BUF, RUN),
	SEED("bad-index", POKE, 0, IDX, MINUS, NOTIFY, RUN, UP, ONE_BUF, RUN),
	SEED("bad-head", POKE, 0, RING, MINUS, POKE, 0, MORE, 1, NOTIFY, RUN),
	SEED("loop", POKE, 0, DESC, DATA, 16, 3, 0, POKE, 0, RING, 0, POKE, 0, MORE, 1, NOTIFY,
	     RUN),
};
/* clang-format on */

int main(int argc, char **argv)
{
	return seedfile_write_all(argc, argv, seeds, ARRAY_SIZE(seeds));
}
