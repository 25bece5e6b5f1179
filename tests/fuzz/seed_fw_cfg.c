/*
 * seed_fw_cfg DIR: write the seeds of fuzz_fw_cfg.c there: items read by the register and by DMA, a
 * file that the loop reads, and requests that lead nowhere.
 */
#include "tests/fuzz/seedfile.h"

/* Operations of step() there. */
#define SELECT(key)	0x10, key
#define NEXT		1, 0
#define BAD		2, 2
#define HOLD		3, 1
#define LET		3, 0
#define END(n)		4, n
#define REQUEST(arg)	5, arg
#define READ(key)	REQUEST(key | (0x02 | 0x08) << 3)
#define SKIP(key)	REQUEST((0x04 << 3) | key)
#define TO(len, page)	len, 0, 0, 0, page, 0
#define MANY(len, page) 0, len, 0, 0, page, 0
#define NOWHERE		16, 0, 0, 0xf8, 0xff, 0
#define FAR		16, 0, 0, 0, 0, 0x80

#define CPUS 2
#define DIR  3
#define FILE 5

/* clang-format off */
static const struct seed seeds[] = {
	SEED("register", SELECT(0), NEXT, NEXT, NEXT, NEXT, NEXT, SELECT(0x19), NEXT, NEXT),
	SEED("dma", READ(CPUS), TO(2, 1), SKIP(DIR), TO(4, 0), READ(DIR), TO(68, 2)),
	SEED("file", READ(FILE), MANY(0x10, 1), REQUEST(0x02 << 3), MANY(0x40, 1)),
	SEED("waits", HOLD, READ(FILE), MANY(0x10, 1), BAD, NEXT, END(9), END(199), LET, END(255)),
	SEED("fails", HOLD, READ(FILE), MANY(0x10, 1), END(255), READ(FILE), MANY(1, 1), END(0)),
	SEED("nowhere", READ(CPUS), NOWHERE, READ(FILE), NOWHERE, READ(CPUS), FAR, BAD),
	SEED("itself", READ(DIR), TO(64, 0x80), READ(FILE), MANY(1, 0x7f)),
};
/* clang-format on */

int main(int argc, char **argv)
{
	return seedfile_write_all(argc, argv, seeds, ARRAY_SIZE(seeds));
}
