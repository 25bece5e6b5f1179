/*
 * net_flow.h - what a guest may leave in libslirp's hands (layer 2).
 *
 * libslirp keeps a whole packet buffer for each TCP segment that came before its turn, however
 * short, for as long as the connection lives; and one for each IPv4 fragment, for 30 seconds.
 * Frames that would make that too many are lost here, as on a wire.
 *
 * TCP: for each connection the segments passed on are counted until libslirp acknowledged all
 * of them; beyond FLOW_BYTES of buffers only one that begins where libslirp waits, or before,
 * goes through. So a sender in order is never held up, and one that fills a gap can always do so.
 * Connections that have fallen out of the table get FLOW_STRANGERS segments a second, all
 * together, until libslirp's answer puts them back as full. No TCP in IPv4 fragments: nobody
 * sends it (MSS), and it would hide from all this.
 *
 * The bound: FLOW_BYTES for each connection (at least FLOW_MIN buffers) and 30 * FRAG_BYTES for
 * fragments. A guest that opens connections until others are forgotten gets a buffer more for
 * each of those, FLOW_STRANGERS a second: some 28 KB with an MTU of 1500.
 */
#ifndef LKVM_VMM_NET_FLOW_H
#define LKVM_VMM_NET_FLOW_H

#include "vmm/base.h"

#define FLOW_BYTES     (256 * KIB) /* four of libslirp's windows, which are not scaled */
#define FLOW_MIN       8
#define FLOW_STRANGERS 16
#define FRAG_BYTES     (2 * MIB) /* a second */

#define FLOW_SETS 256
#define FLOW_WAYS 8

struct flow {
	u8 addr[16]; /* of the other end; IPv4: the rest is zero */
	u8 ports[4]; /* other end's, guest's */
	bool used;
	u32 acked; /* by libslirp */
	u32 end;   /* behind the last byte passed on; if n */
	u32 n;	   /* segments passed on since all was acked */
	u64 seen;  /* when libslirp last sent a frame of it, by net_flow.clock */
};

struct net_flow {
	u32 buffer; /* bytes that a frame takes */
	u64 clock, second;
	u32 n_strangers, n_fragments; /* in this second */
	struct flow flows[FLOW_SETS][FLOW_WAYS];
};

void net_flow_init(struct net_flow *nf, u32 mtu);

/* Whether a frame of the guest (with an Ethernet header at least) goes on to libslirp. */
bool net_flow_pass(struct net_flow *nf, const u8 *frame, size_t len, u64 now_ns);

/* A frame of libslirp. */
void net_flow_answer(struct net_flow *nf, const u8 *frame, size_t len);

#endif
