/*
 * seed_blk DIR: write the seeds of fuzz_blk.c there: good requests of each kind, many at a time,
 * with the host's results taken away, and a reset in the midst of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Operations of the target, as its step() has them; the lowest bit is the queue. */
enum {
	REQUEST = 0,
	KICK = 10,
	RUN = 14,
	HOLD = 18,
	END = 20,
	COLLECT = 24,
	TRUNCATE = 26,
	RESET = 30
};

/* Types of requests, as its put_header() numbers them. */
enum { IN, OUT, FLUSH, GET_ID, DISCARD, ZEROES };

/* Lengths, as its take_len() has them. */
#define NOTHING	   255
#define SECTORS(n) (n)
#define BYTES(n)   (64 + (n))

static unsigned char bytes[4096];
static size_t len;

static void put(const unsigned char *p, size_t n)
{
	memcpy(bytes + len, p, n);
	len += n;
}

#define PUT(...) put((unsigned char[]){ __VA_ARGS__ }, sizeof((unsigned char[]){ __VA_ARGS__ }))

/* A request in as few buffers as can be, or (@shape 4) without an indirect table. */
static void request(unsigned char queue, unsigned char shape, unsigned char type,
		    unsigned char sector, unsigned char n)
{
	unsigned char out = NOTHING, in = NOTHING;

	if (type == IN)
		in = SECTORS(n);
	if (type == OUT)
		out = SECTORS(n);
	if (type == GET_ID)
		in = BYTES(20);
	if (type == DISCARD || type == ZEROES)
		out = BYTES(16);
	PUT(REQUEST | queue, shape, type, sector, sector, n, 0, out, in, 0, 0, 0, 0);
}

static void each_type(void)
{
	for (unsigned char type = IN; type <= ZEROES; type++) {
		request(type & 1, type & 4, type, (unsigned char)(2 * type), 3);
		PUT(KICK | (type & 1), RUN, COLLECT | (type & 1));
	}
}

static void many(void)
{
	PUT(HOLD | 1);
	for (unsigned char i = 0; i < 16; i++)
		request(i & 1, 0, i & 2 ? IN : OUT, i, 4);
	PUT(KICK, KICK | 1, RUN);
}

static void make_types(void)
{
	each_type();
}

static void make_held(void)
{
	many();
	for (unsigned char i = 0; i < 8; i++)
		PUT(END | (i << 5 & 0xff), i, i, 100); /* each way to end */
	PUT(RUN, COLLECT, COLLECT | 1);
	for (unsigned char i = 0; i < 8; i++)
		PUT(END, 2, 1, 44, RUN);
}

static void make_reset(void)
{
	static const unsigned char done[16] = { 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3 };

	many();
	PUT(RESET | 1);
	put(done, sizeof(done));
	many();
	PUT(RESET, 0, 0, 0, 0); /* without any feature */
	put(done, sizeof(done));
	PUT(HOLD);
	each_type();
}

static void make_shrunk(void)
{
	PUT(TRUNCATE, 20);
	each_type();
	PUT(TRUNCATE | 1);
	each_type();
}

/* Ends of the disk and of 64 bits, lengths that are no sectors, no status, short headers. */
static void make_hostile(void)
{
	for (unsigned char high = 0; high < 4; high++)
		PUT(REQUEST, 0, (unsigned char)(16 | high << 6), high, 1, 0, 0, 0, 1, 0, 0, 0, 0,
		    NOTHING, SECTORS(2), 0, 0, 0, 0);
	PUT(REQUEST, 0, IN, 0, 0, 0, 0, NOTHING, BYTES(31), 0, 7, 0, 0, 0, 9, 0, 0);
	PUT(REQUEST, 1, IN, 0, 0, 0, 0, BYTES(15), NOTHING, 0, 1, 0, 1, 0, 0, 0, 0);
	PUT(KICK, RUN, COLLECT);
	PUT(REQUEST, 2, OUT, 0, 0, 0, 0, SECTORS(1), NOTHING, 0, 0);
	PUT(KICK, RUN, COLLECT);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		unsigned char kind; /* of disk: 0 plain, 1 read-only, 2 with discard */
		void (*make)(void);
	} seeds[] = {
		{ "types", 2, make_types },   { "types-ro", 1, make_types },
		{ "held", 2, make_held },     { "reset", 0, make_reset },
		{ "shrunk", 0, make_shrunk }, { "hostile", 2, make_hostile },
	};

	if (argc != 2) {
		fprintf(stderr, "usage: seed_blk DIR\n");
		return 1;
	}
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		char path[4096];
		FILE *f;

		len = 0;
		PUT(seeds[i].kind);
		seeds[i].make();
		snprintf(path, sizeof(path), "%s/%s", argv[1], seeds[i].name);
		f = fopen(path, "wb");
		if (!f || fwrite(bytes, 1, len, f) != len || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
