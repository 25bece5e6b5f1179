/*
 * seed_net DIR: write the seeds of fuzz_net.c there: what good drivers do, with each group of
 * features, so that the fuzzer begins behind DRIVER_OK.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/netops.h"

#define ALL                                                                              \
	(NETOPS_MRG | NETOPS_EVENT | NETOPS_TSO | NETOPS_USO | NETOPS_MQ | NETOPS_CTRL | \
	 NETOPS_MTU | NETOPS_STATUS)

static void put(FILE *f, uint8_t op, uint8_t q, uint8_t x, uint8_t y, uint16_t len, uint16_t val)
{
	struct netop o = { op, q, x, y, htole16(len), htole16(val) };

	fwrite(&o, sizeof(o), 1, f);
}

/* A driver with @features brings up @n queues of 2^@order entries. */
static void begin(FILE *f, uint8_t features, uint8_t n, uint8_t order)
{
	put(f, OP_BEGIN, 0, features, 0, 0, 0);
	for (uint8_t i = 0; i < n; i++)
		put(f, OP_QUEUE, i, order, 0, 0, 0);
	put(f, OP_DRIVER_OK, 0, 0, 0, 0, 0);
	put(f, OP_RUN, 0, 0, 0, 0, 0);
}

/* @n buffers of @len bytes for frames of @frame bytes, of which come @n as well. */
static void receive(FILE *f, uint8_t q, uint8_t n, uint16_t len, uint16_t frame)
{
	put(f, OP_ADD, q, 1 | PIECE_WRITE, n, len, 0);
	put(f, OP_NOTIFY, q, 0, 0, 0, 0);
	put(f, OP_RUN, 0, 0, 0, 0, 0);
	put(f, OP_ARRIVE, 0, q / 2, n, frame, 0);
	put(f, OP_RUN, 0, 0, 0, 0, 0);
	put(f, OP_USED, q, n, 0, 0, 0);
}

static void transmit(FILE *f, uint8_t q, uint8_t pieces, uint16_t len)
{
	put(f, OP_ADD, q, pieces, 3, len, 0);
	put(f, OP_NOTIFY, q, 0, 0, 0, 0);
	put(f, OP_RUN, 0, 0, 0, 0, 0);
	put(f, OP_USED, q, 4, 0, 0, 0);
}

static void small_frames(FILE *f)
{
	fputc(0, f);
	begin(f, NETOPS_MRG | NETOPS_EVENT, 3, 6);
	receive(f, 0, 20, 1536, 1000);
	receive(f, 0, 20, 512, 1400);
	transmit(f, 1, 2, 500);
	transmit(f, 1, 3 | PIECE_INDIRECT, 100);
}

static void without_merging(FILE *f)
{
	fputc(NETOPS_CARD_MTU, f);
	begin(f, NETOPS_MTU, 2, 4);
	receive(f, 0, 9, 1526, 1500);
	transmit(f, 1, 1, 1514);
}

static void large_frames(FILE *f)
{
	fputc(NETOPS_CARD_OFFLOADS, f);
	begin(f, ALL & ~NETOPS_MQ, 3, 8);
	receive(f, 0, 200, 4096, 60000);
	transmit(f, 1, 15 | PIECE_INDIRECT, 4096);
	receive(f, 0, 3, 4096, 9000);
	put(f, OP_TIME, 0, 10, 0, 0, 0);
	put(f, OP_RUN, 0, 0, 0, 0, 0);
}

static void full_host_side(FILE *f)
{
	fputc(0, f);
	begin(f, NETOPS_MRG, 2, 6);
	put(f, OP_ROOM, 0, 2, 0, 0, 0);
	transmit(f, 1, 2, 500);
	put(f, OP_ROOM, 0, 9, 0, 0, 0);
	put(f, OP_LINK, 0, 0, 0, 0, 0);
	put(f, OP_RUN, 0, 0, 0, 0, 0);
	put(f, OP_LINK, 0, 1, 0, 0, 0);
	put(f, OP_RUN, 0, 0, 0, 0, 0);
}

static void pairs_and_commands(FILE *f)
{
	fputc(NETOPS_CARD_OFFLOADS | NETOPS_CARD_PAIRS, f);
	begin(f, ALL, 9, 5);
	put(f, OP_COMMAND, 8, 4, 0, 4, 4);
	put(f, OP_COMMAND, 8, 5, 0, 10, 0);
	put(f, OP_COMMAND, 8, 1, 1, 8, 0x0202);
	put(f, OP_NOTIFY, 8, 0, 0, 0, 0);
	put(f, OP_RUN, 0, 0, 0, 0, 0);
	receive(f, 4, 10, 2048, 1500);
	transmit(f, 5, 1, 1000);
	put(f, OP_COMMAND, 8, 4, 0, 4, 1);
	put(f, OP_NOTIFY, 8, 0, 0, 0, 0);
	put(f, OP_RUN, 0, 0, 0, 0, 0);
	put(f, OP_CONFIG, 0, 6, 1, 0, 0);
}

static void cable_out(FILE *f)
{
	fputc(NETOPS_CARD_NO_NET, f);
	begin(f, NETOPS_MRG | NETOPS_STATUS, 3, 4);
	receive(f, 0, 10, 2048, 1500);
	transmit(f, 1, 1, 1000);
}

static void raw_rings(FILE *f)
{
	fputc(0, f);
	begin(f, NETOPS_MRG, 2, 3);
	put(f, OP_RAW_DESC, 1, 0, 1, 100, 7);
	put(f, OP_RAW_DESC, 1, 1, 0, 500, 9);
	put(f, OP_RAW_AVAIL, 1, 1, 0, 0, 0);
	put(f, OP_RAW_AVAIL, 1, 0, 0, 1, 0);
	put(f, OP_NOTIFY, 1, 0, 0, 0, 0);
	put(f, OP_RUN, 0, 0, 0, 0, 0);
	put(f, OP_REGISTER, 0, 0x44 / 4, 0, 0, 0);
	begin(f, NETOPS_EVENT, 2, 3);
	transmit(f, 1, 2, 300);
}

static const struct {
	const char *name;
	void (*make)(FILE *f);
} seeds[] = {
	{ "small", small_frames },  { "nomerge", without_merging },  { "large", large_frames },
	{ "full", full_host_side }, { "pairs", pairs_and_commands }, { "nocable", cable_out },
	{ "raw", raw_rings },
};

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/seed-%s", argv[1], seeds[i].name);
		f = fopen(path, "wb");
		if (!f) {
			perror(path);
			return 1;
		}
		seeds[i].make(f);
		if (fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
