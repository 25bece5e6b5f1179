/* net_flow.c - what a guest may leave in libslirp's hands. */
#include <string.h>

#include "vmm/net_flow.h"

#define ETH_HLEN 14
#define IP4_HLEN 20
#define IP6_HLEN 40
#define TCP_HLEN 20
#define TCP	 6

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define WINDOW	 65535u	      /* libslirp's largest: it does not scale */
#define FLOW_FAR (256 * 1024) /* more than a window, as acknowledgements may be late */

#define BUFFER_EXTRA 256 /* of libslirp's buffers: headers, room in front */

struct segment {
	u8 src[16], dst[16];
	const u8 *tcp;
	u32 seq, ack, len; /* len: of sequence space, so SYN and FIN count */
	u8 flags;
};

static u32 be16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static u32 be32(const u8 *p)
{
	return be16(p) << 16 | be16(p + 2);
}

void net_flow_init(struct net_flow *nf, u32 mtu)
{
	nf->buffer = mtu + BUFFER_EXTRA;
}

static bool is_fragment(const u8 *frame, size_t len)
{
	return be16(frame + 12) == 0x0800 && len >= ETH_HLEN + IP4_HLEN &&
	       (be16(frame + ETH_HLEN + 6) & 0x3fff);
}

/* The packet's TCP header and what of @len belongs to it; NULL: it is none that libslirp takes. */
static const u8 *find_tcp(struct segment *s, const u8 *frame, size_t *len)
{
	const u8 *ip = frame + ETH_HLEN;
	size_t hdr, all;

	if (be16(frame + 12) == 0x0800 && *len >= ETH_HLEN + IP4_HLEN && ip[9] == TCP) {
		hdr = (ip[0] & 15u) * 4u;
		all = be16(ip + 2);
		memcpy(s->src, ip + 12, 4);
		memcpy(s->dst, ip + 16, 4);
	} else if (be16(frame + 12) == 0x86dd && *len >= ETH_HLEN + IP6_HLEN && ip[6] == TCP) {
		hdr = IP6_HLEN;
		all = IP6_HLEN + be16(ip + 4);
		memcpy(s->src, ip + 8, 16);
		memcpy(s->dst, ip + 24, 16);
	} else {
		return NULL;
	}
	if (hdr < IP4_HLEN || all < hdr + TCP_HLEN || all > *len - ETH_HLEN)
		return NULL;
	*len = all - hdr;
	return ip + hdr;
}

static bool parse(struct segment *s, const u8 *frame, size_t len)
{
	size_t hdr;

	memset(s, 0, sizeof(*s));
	s->tcp = find_tcp(s, frame, &len);
	if (!s->tcp)
		return false;
	hdr = (s->tcp[12] >> 4) * 4u;
	if (hdr < TCP_HLEN || hdr > len)
		return false;
	s->seq = be32(s->tcp + 4);
	s->ack = be32(s->tcp + 8);
	s->flags = s->tcp[13];
	/* libslirp queues a FIN without text as well. */
	s->len = (u32)(len - hdr) + !!(s->flags & TCP_FIN) + !!(s->flags & TCP_SYN);
	return true;
}

static struct flow *flow_set(struct net_flow *nf, const u8 *addr, const u8 *ports)
{
	u32 hash = be32(ports);

	for (int i = 0; i < 16; i += 4)
		hash = (hash ^ be32(addr + i)) * 0x9e3779b1u;
	return nf->flows[(hash ^ hash >> 15) >> 16 & (FLOW_SETS - 1)];
}

static struct flow *flow_find(struct net_flow *nf, const u8 *addr, const u8 *ports)
{
	struct flow *set = flow_set(nf, addr, ports);

	for (int i = 0; i < FLOW_WAYS; i++) {
		if (set[i].used && !memcmp(set[i].ports, ports, 4) &&
		    !memcmp(set[i].addr, addr, 16))
			return &set[i];
	}
	return NULL;
}

/* True if @a is the better one to forget: free, or nothing left behind, or long silent. */
static bool flow_before(const struct flow *a, const struct flow *b)
{
	if (a->used != b->used)
		return !a->used;
	if (!a->n != !b->n)
		return !a->n;
	return a->seen < b->seen;
}

static struct flow *flow_make(struct net_flow *nf, const u8 *addr, const u8 *ports)
{
	struct flow *set = flow_set(nf, addr, ports), *flow = set;

	for (int i = 1; i < FLOW_WAYS; i++)
		flow = flow_before(&set[i], flow) ? &set[i] : flow;
	*flow = (struct flow){ .used = true };
	memcpy(flow->addr, addr, 16);
	memcpy(flow->ports, ports, 4);
	return flow;
}

/* Segments that may wait in a connection. */
static u32 flow_limit(const struct net_flow *nf)
{
	return (u32)max_u64(FLOW_BYTES / nf->buffer, FLOW_MIN);
}

static bool pass_segment(struct net_flow *nf, const struct segment *s)
{
	u8 ports[4] = { s->tcp[2], s->tcp[3], s->tcp[0], s->tcp[1] };
	struct flow *flow = flow_find(nf, s->dst, ports);
	s32 ahead, tail;

	/* What has no text is not kept; nor does libslirp keep anything of a SYN. */
	if (!s->len || (s->flags & TCP_SYN))
		return true;
	if (!flow)
		return nf->n_strangers++ < FLOW_STRANGERS;
	ahead = (s32)(s->seq - flow->acked);
	tail = (s32)(s->seq + s->len - flow->acked);
	if (ahead > 0 && flow->n >= flow_limit(nf))
		return false;
	/*
	 * Old, or outside all windows: libslirp keeps nothing of it. It is not counted, as it must
	 * not take flow->end so far away that the comparison wraps around.
	 */
	if (tail <= 0 || ahead > FLOW_FAR)
		return true;
	if (!flow->n || (s32)(s->seq + s->len - flow->end) > 0)
		flow->end = s->seq + s->len;
	flow->n += flow->n < UINT32_MAX;
	return true;
}

bool net_flow_pass(struct net_flow *nf, const u8 *frame, size_t len, u64 now_ns)
{
	struct segment s;

	if (now_ns / NSEC_PER_SEC != nf->second) {
		nf->second = now_ns / NSEC_PER_SEC;
		nf->n_strangers = 0;
		nf->n_fragments = 0;
	}
	if (is_fragment(frame, len))
		return frame[ETH_HLEN + 9] != TCP && nf->n_fragments++ < FRAG_BYTES / nf->buffer;
	return !parse(&s, frame, len) || pass_segment(nf, &s);
}

void net_flow_answer(struct net_flow *nf, const u8 *frame, size_t len)
{
	struct segment s;
	struct flow *flow;

	/* Resets also go to who has no connection. */
	if (len < ETH_HLEN || !parse(&s, frame, len) || (s.flags & TCP_RST))
		return;
	flow = flow_find(nf, s.src, s.tcp);
	if (!flow) {
		flow = flow_make(nf, s.src, s.tcp);
		flow->n = flow_limit(nf);
		flow->end = s.ack + WINDOW;
	}
	flow->seen = ++nf->clock;
	if (s.flags & TCP_ACK)
		flow->acked = s.ack;
	if ((s.flags & TCP_SYN) || (s32)(s.ack - flow->end) >= 0)
		flow->n = 0;
}
