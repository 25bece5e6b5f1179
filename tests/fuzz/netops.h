/* netops.h - what an input of fuzz_net.c is made of: 1 byte for the card, then 8-byte operations.
 */
#ifndef LKVM_TESTS_FUZZ_NETOPS_H
#define LKVM_TESTS_FUZZ_NETOPS_H

#include <stdint.h>

#define NETOPS_CARD_OFFLOADS 1 /* bits of the first byte */
#define NETOPS_CARD_PAIRS    2 /* four of them */
#define NETOPS_CARD_MTU	     4
#define NETOPS_CARD_NO_NET   8

/* Features the driver takes besides VERSION_1, as bits of an operation's @x. */
#define NETOPS_MRG    1
#define NETOPS_EVENT  2
#define NETOPS_TSO    4
#define NETOPS_USO    8
#define NETOPS_MQ     16
#define NETOPS_CTRL   32
#define NETOPS_MTU    64
#define NETOPS_STATUS 128

enum netops_code {
	OP_BEGIN,     /* reset, and up to FEATURES_OK with the features @x */
	OP_QUEUE,     /* enable queue @q with 2^@x entries */
	OP_DRIVER_OK, /* and let the device see it */
	OP_NOTIFY,    /* queue @q */
	OP_ADD,	      /* to queue @q @y requests of (@x & 15) pieces of @len bytes, see PIECE_* */
	OP_USED,      /* take up to @x used entries of queue @q */
	OP_COMMAND,   /* on queue @q: class @x, command @y and @len bytes made of @val */
	OP_RAW_DESC,  /* of queue @q, at @x: address DATA + @val * 16, @len bytes, flags and next @y
		       */
	OP_RAW_AVAIL, /* of queue @q: index @len, or with @x head @y in slot @val */
	OP_REGISTER,  /* write @val to the register 4 * @x */
	OP_CONFIG,    /* read and write the configuration at @x, 2^(@y & 3) bytes */
	OP_ARRIVE,    /* @y frames of @len bytes, for pair @x, from the host */
	OP_ROOM,      /* @x frames can be sent from now on */
	OP_LINK,      /* is up (@x) or not */
	OP_RUN,	      /* the loop */
	OP_TIME,      /* @x ms go by */
	N_OPS
};

/* Of OP_ADD's @x: how pieces are made. */
#define PIECE_WRITE    16
#define PIECE_MIXED    32 /* the first half is for the device to read */
#define PIECE_INDIRECT 64

struct netop {
	uint8_t op, q, x, y;
	uint16_t len, val; /* little endian */
};

#endif
