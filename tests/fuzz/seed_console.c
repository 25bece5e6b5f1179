/*
 * seed_console DIR: write the seeds of fuzz_console.c there: drivers that do what a good one does
 * with ports, sizes, slow readers and resets.
 */
#include <stdio.h>

#include "vmm/base.h"

/* Byte 0 of an input; operations of the target. */
enum { ALL_PORTS = 1, EVENT_IDX = 2, PIPE = 4 };
enum {
	START = 0,
	RESET = 1,
	REQUEST = 2,
	CONTROL = 7,
	SEND = 13,
	LISTEN = 16,
	PUSH = 18,
	TYPE = 19,
	SLURP = 20,
	RUN = 22,
	ADVANCE = 25,
	RESIZE = 26,
	CLOSE = 27,
	REPLUG = 28,
	EMERGENCY = 29,
	GOOD_CONTROL = 30,
};

/* Arguments of GOOD_CONTROL. */
#define ADDED	 0x10
#define READY(n) (0x11 | (n) << 2)
#define OPEN(n)	 (0x12 | (n) << 2)
#define SHUT(n)	 (0x13 | (n) << 2)

/* A request of one piece: more than a console buffers, or 200 bytes; for the device to read, or to
 * write. */
#define BIG(queue)    REQUEST, queue, 0x00, 0xe0, 0, 0, 0, 0
#define SMALL(queue)  REQUEST, queue, 0x00, 0x00, 0x09, 0, 0, 200
#define BUFFER(queue) REQUEST, queue, 0x10, 0x00, 0x0a, 0, 0, 200

#define SEED(name, ...)                              \
	{                                            \
		name, sizeof((u8[]){ __VA_ARGS__ }), \
		{                                    \
			__VA_ARGS__                  \
		}                                    \
	}

static const struct seed {
	const char *name;
	size_t len;
	u8 bytes[128];
} seeds[] = {
	SEED("ports", ALL_PORTS | EVENT_IDX | PIPE, GOOD_CONTROL, ADDED, RUN, 0, GOOD_CONTROL,
	     READY(0), GOOD_CONTROL, READY(1), GOOD_CONTROL, READY(2), GOOD_CONTROL, READY(3), RUN,
	     0, GOOD_CONTROL, OPEN(0), GOOD_CONTROL, OPEN(1), RUN, 0, GOOD_CONTROL, OPEN(2), RUN, 0,
	     GOOD_CONTROL, SHUT(1), RUN, 0),
	SEED("streams", EVENT_IDX, GOOD_CONTROL, READY(1), GOOD_CONTROL, OPEN(1), RUN, 0, LISTEN,
	     100, LISTEN, 100, PUSH, 150, RUN, 0, SEND, 100, SEND, 7, RUN, 0, PUSH, 250, PUSH, 250,
	     LISTEN, 3, RUN, 0, LISTEN, 200, LISTEN, 200, RUN, 0, ADVANCE, 100),
	SEED("slow", PIPE, BIG(1), SMALL(1), RUN, 0, ADVANCE, 200, SLURP, 64, RUN, 0, SLURP, 64,
	     RUN, 0, SLURP, 255, SLURP, 255, RUN, 0, SLURP, 255, SLURP, 255, SLURP, 255, RUN, 0),
	SEED("slow-reset", PIPE, BIG(1), SMALL(1), RUN, 0, RESET, 0, START, 7, SMALL(1), RUN, 0,
	     SLURP, 255, SLURP, 255, RUN, 0),
	SEED("slow-restart", PIPE, BIG(1), RUN, 0, SEND, 100, REPLUG, 0, START, 7, SMALL(1), SLURP,
	     255, RUN, 0),
	SEED("reader-gone", PIPE, BIG(1), RUN, 0, CLOSE, 0, RUN, 0, SMALL(1), ADVANCE, 200),
	SEED("no-sink", ALL_PORTS, BIG(9), BIG(9), RUN, 0, BIG(9), REPLUG, 0),
	SEED("size", EVENT_IDX, RESIZE, 80, 25, GOOD_CONTROL, READY(0), GOOD_CONTROL, OPEN(0), RUN,
	     0, RESIZE, 81, 25, GOOD_CONTROL, ADDED, RUN, 0, RESIZE, 81, 25, RUN, 0),
	SEED("input", 0, START, 0, TYPE, 100, BUFFER(0), RUN, 0, TYPE, 252, BUFFER(0), BUFFER(0),
	     BUFFER(0), RUN, 0, BUFFER(0), RUN, 0),
	SEED("emergency", PIPE, EMERGENCY, 255, BIG(1), RUN, 0, EMERGENCY, 255, EMERGENCY, 255, RUN,
	     0, SLURP, 255, RUN, 0, SLURP, 255, RUN, 0, SLURP, 255, RUN, 0, EMERGENCY, 10, RUN, 0),
	SEED("junk", EVENT_IDX, CONTROL, 7, 9, 9, 9, 9, 6, 0, 1, 0, RUN, 0, CONTROL, 3, 1, 2, 3, 4,
	     RUN, 0, SMALL(2), RUN, 0),
};

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seed_console DIR\n");
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
		const struct seed *s = &seeds[i];
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", argv[1], s->name);
		f = fopen(path, "wb");
		if (!f || fwrite(s->bytes, 1, s->len, f) != s->len || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
