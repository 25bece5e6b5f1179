/*
 * Tap interfaces behind a network card, in a network namespace of the test's own: the test is the
 * card on one side and a packet socket on the other.
 *
 * Does not prove that a bridge or a router gets along with such frames, that checksums which
 * are left to the other side are right there, or that vhost-net moves frames (check-bed does).
 */
#include "tests/unit/nettest.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const u8 zero_hdr[NET_HDR_LEN];

/* ---- the host's side ----------------------------------------------------------------- */

static int host_ioctl(unsigned long request, const char *name, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	assert_true(fd >= 0);
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	ret = ioctl(fd, request, ifr);
	close(fd);
	return ret;
}

static bool host_is_up(const char *name)
{
	struct ifreq ifr = { 0 };

	assert_int_equal(host_ioctl(SIOCGIFFLAGS, name, &ifr), 0);
	return ifr.ifr_flags & IFF_UP;
}

static void host_set_up(const char *name, bool up)
{
	struct ifreq ifr = { 0 };

	assert_int_equal(host_ioctl(SIOCGIFFLAGS, name, &ifr), 0);
	ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	assert_int_equal(host_ioctl(SIOCSIFFLAGS, name, &ifr), 0);
}

static int host_mtu(const char *name)
{
	struct ifreq ifr = { 0 };

	assert_int_equal(host_ioctl(SIOCGIFMTU, name, &ifr), 0);
	return ifr.ifr_mtu;
}

/* Whether the kernel gives the tap TCP that is not segmented (ETHTOOL_GTSO), and so on. */
static bool host_offload(const char *name, u32 cmd)
{
	struct ethtool_value value = { .cmd = cmd };
	struct ifreq ifr = { .ifr_data = (void *)&value };

	assert_int_equal(host_ioctl(SIOCETHTOOL, name, &ifr), 0);
	return value.data;
}

static int host_socket(const char *name)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
				    .sll_protocol = htons(ETH_P_ALL),
				    .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void host_delete(const char *name)
{
	struct {
		struct nlmsghdr nlh;
		struct ifinfomsg ifi;
	} req = {
		.nlh = { .nlmsg_len = sizeof(req),
			 .nlmsg_type = RTM_DELLINK,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.ifi = { .ifi_index = (int)if_nametoindex(name) },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char ack[256];

	assert_true(fd >= 0);
	assert_int_equal(send(fd, &req, sizeof(req), 0), sizeof(req));
	assert_true(recv(fd, ack, sizeof(ack), 0) > 0);
	close(fd);
	assert_int_equal(if_nametoindex(name), 0);
}

/* A tap that stays, as ip tuntap add makes one; down. */
static void host_make_tap(const char *name, int flags, int owner)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags) };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	assert_int_equal(ioctl(fd, TUNSETOWNER, owner), 0);
	close(fd);
}

/* ---- the card's side ----------------------------------------------------------------- */

static struct lkvm_net tap_cfg(const char *name, unsigned int queues)
{
	struct lkvm_net cfg = { .mode = LKVM_NET_TAP, .queues = queues };

	memcpy(cfg.ifname, name, min_u64(strlen(name), sizeof(cfg.ifname)));
	return cfg;
}

static struct nettest *tap_open(const char *name, unsigned int queues)
{
	struct lkvm_net cfg = tap_cfg(name, queues);
	struct nettest *n = calloc(1, sizeof(*n));

	assert_non_null(n);
	nettest_open(n, &cfg);
	return n;
}

static void tap_done(struct nettest *n)
{
	nettest_close(n);
	free(n);
}

/* An experimental Ethernet type, so that nobody else answers. */
static void make_frame(u8 *f, u32 len, u8 fill)
{
	memset(f, fill, len);
	memset(f, 0xff, 6);
	memcpy(f + 6, (u8[]){ 2, 0, 0, 0, 0, 9, 0x88, 0xb5 }, 8);
}

static ssize_t tap_recv(struct nettest *n, unsigned int pair, u32 room)
{
	u8 hdr[NET_HDR_LEN];

	return nettest_recv_pair(n, pair, room, hdr);
}

static void made_interface_is_up_and_goes_with_its_user(void **state)
{
	struct nettest *n = tap_open("", 0), *m = tap_open("mine", 0);

	(void)state;
	assert_true(host_is_up("lkvm0"));
	assert_true(host_is_up("mine"));
	assert_int_equal(n->net->max_pairs, 1);
	assert_true(n->net->link);
	assert_int_equal(n->net->offloads & (NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4), 3);
	tap_done(m);
	assert_int_equal(if_nametoindex("mine"), 0);
	assert_true(host_is_up("lkvm0"));
	tap_done(n);
	assert_int_equal(if_nametoindex("lkvm0"), 0);
}

static void made_interface_has_the_mtu_of_the_card(void **state)
{
	struct lkvm_net cfg = tap_cfg("", 0);
	struct nettest *n = calloc(1, sizeof(*n));
	struct lkvm_error err;

	(void)state;
	assert_non_null(n);
	cfg.mtu = 9000;
	nettest_open(n, &cfg);
	assert_int_equal(host_mtu("lkvm0"), 9000);
	tap_done(n);
	cfg.mtu = 65535; /* more than the kernel has of it */
	err = nettest_refused(&cfg);
	assert_non_null(strstr(err.msg, "set up interface lkvm0"));
	assert_int_equal(if_nametoindex("lkvm0"), 0);
}

static void frames_go_both_ways(void **state)
{
	struct nettest *n = tap_open("", 0);
	int host = host_socket("lkvm0");
	u8 f[1514], got[2000];
	ssize_t len;

	(void)state;
	nettest_want(n, 0, true);
	for (u32 size = 60; size <= sizeof(f); size += 727) {
		make_frame(f, size, (u8)size);
		assert_int_equal(nettest_send(n, f, size), 0);
		nettest_until(n, (len = recv(host, got, sizeof(got), 0)) > 0);
		assert_int_equal(len, size);
		assert_memory_equal(got, f, size);

		make_frame(f, size, (u8)(size + 1));
		n->n_ready = 0;
		assert_int_equal(send(host, f, size, 0), size);
		nettest_until(n, n->n_ready);
		assert_int_equal(nettest_recv(n, 1518), size);
		assert_memory_equal(n->got, f, size);
		assert_int_equal(nettest_recv(n, 1518), -EAGAIN);
		recv(host, got, sizeof(got), 0); /* our own */
	}
	/* While frames are not wanted nobody is told of them. */
	nettest_want(n, 0, false);
	n->n_ready = 0;
	assert_int_equal(send(host, f, 60, 0), 60);
	devtest_run(&n->t);
	assert_int_equal(n->n_ready, 0);
	nettest_want(n, 0, true);
	devtest_run(&n->t);
	assert_true(n->n_ready > 0);
	close(host);
	tap_done(n);
}

static void frame_that_can_never_be_sent_says_so(void **state)
{
	static const u8 beyond[NET_HDR_LEN] = { 1, 0, 0, 0, 0, 0, 0x60, 0xea, 0x10, 0 };
	struct nettest *n = tap_open("", 0);
	u8 f[60];

	(void)state;
	make_frame(f, sizeof(f), 1);
	assert_int_equal(nettest_send(n, f, 13), -EMSGSIZE);
	assert_int_equal(nettest_send(n, f, 0), -EMSGSIZE);
	/* a checksum at 60000 of a frame of 60 bytes */
	assert_int_equal(nettest_send_hdr(n, 0, beyond, f, sizeof(f)), -EINVAL);
	assert_int_equal(nettest_send(n, f, sizeof(f)), 0);
	tap_done(n);
}

/* The kernel would cut it silently. */
static void frame_longer_than_the_room_is_lost_alone(void **state)
{
	struct gmem_vec vec;
	struct nettest *n = tap_open("", 0);
	int host = host_socket("lkvm0");
	u8 f[1518];

	(void)state;
	for (u32 room = 60; room < 1514; room += 51) {
		make_frame(f, 1514, (u8)room);
		assert_int_equal(send(host, f, 1514, 0), 1514);
		make_frame(f, 59, 2);
		assert_int_equal(send(host, f, 59, 0), 59);
		assert_int_equal(nettest_recv(n, room), -EMSGSIZE);
		assert_int_equal(nettest_recv(n, room), 59);
		assert_int_equal(nettest_recv(n, room), -EAGAIN);
	}
	/* no room for as much as the header */
	assert_int_equal(send(host, f, 59, 0), 59);
	nettest_vec(n, &vec, NETTEST_RECV, 5);
	assert_int_equal(n->net->ops->recv(n->net, 0, &vec), -EMSGSIZE);
	assert_int_equal(nettest_recv(n, 1518), -EAGAIN);
	/* one that fills all there is is whole: 1514 bytes are what drivers make room for */
	make_frame(f, 1514, 4);
	assert_int_equal(send(host, f, 1514, 0), 1514);
	assert_int_equal(nettest_recv(n, 1514), 1514);
	assert_memory_equal(n->got, f, 1514);
	/* and so is one with a VLAN tag */
	make_frame(f, sizeof(f), 3);
	memcpy(f + 12, (u8[]){ 0x81, 0, 0, 5, 0x88, 0xb5 }, 6);
	assert_int_equal(send(host, f, sizeof(f), 0), sizeof(f));
	assert_int_equal(nettest_recv(n, sizeof(f)), sizeof(f));
	assert_memory_equal(n->got, f, sizeof(f));
	close(host);
	tap_done(n);
}

static void kernel_leaves_to_the_card_what_it_asked_for(void **state)
{
	struct nettest *n = tap_open("", 0);

	(void)state;
	assert_false(host_offload("lkvm0", ETHTOOL_GTXCSUM));
	assert_false(host_offload("lkvm0", ETHTOOL_GTSO));
	n->net->ops->set_offloads(n->net, NET_OFFLOAD_CSUM);
	assert_true(host_offload("lkvm0", ETHTOOL_GTXCSUM));
	assert_false(host_offload("lkvm0", ETHTOOL_GTSO));
	n->net->ops->set_offloads(n->net, n->net->offloads);
	assert_true(host_offload("lkvm0", ETHTOOL_GTSO));
	/* the kernel has no TSO without checksums, and no ECN without TSO: neither is an error */
	n->net->ops->set_offloads(n->net, NET_OFFLOAD_TSO4);
	assert_false(host_offload("lkvm0", ETHTOOL_GTXCSUM));
	assert_false(host_offload("lkvm0", ETHTOOL_GTSO));
	n->net->ops->set_offloads(n->net, NET_OFFLOAD_CSUM | NET_OFFLOAD_ECN);
	assert_true(host_offload("lkvm0", ETHTOOL_GTXCSUM));
	assert_false(host_offload("lkvm0", ETHTOOL_GTSO));
	n->net->ops->set_offloads(n->net, n->net->offloads);
	net_attach(n->net, NULL, NULL);
	assert_false(host_offload("lkvm0", ETHTOOL_GTXCSUM));
	tap_done(n);
}

/* TCP of @text bytes that somebody has to cut into segments of 1000. */
static u32 make_large(u8 *f, u32 text)
{
	make_frame(f, 54 + text, 'x');
	memcpy(f + 12, (u8[]){ 8, 0, 0x45, 0, (u8)((40 + text) >> 8), (u8)(40 + text), 0, 0, 0, 0 },
	       10);
	memcpy(f + 22, (u8[]){ 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 7, 0, 9 }, 16);
	memcpy(f + 38, (u8[]){ 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0 }, 16);
	return 54 + text;
}

/* Virtio 1.2 section 5.1.6: NEEDS_CSUM, GSO_TCPV4, 54 bytes of headers, 1000 of text, and where
 * the checksum is. */
static const u8 large_hdr[NET_HDR_LEN] = { 1, 1, 54, 0, 0xe8, 3, 34, 0, 16, 0 };

static void large_segments_come_to_a_card_that_takes_them_and_leave_it(void **state)
{
	struct nettest *n = tap_open("", 0);
	int host = host_socket("lkvm0"), on = 1;
	u8 f[10 + 8000], hdr[NET_HDR_LEN], got[10 + 8000];
	u32 len;

	(void)state;
	assert_int_equal(setsockopt(host, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	len = make_large(f + 10, 5000);
	memcpy(f, large_hdr, 10);
	for (int takes = 0; takes < 2; takes++) {
		unsigned int n_frames = 0;
		ssize_t ret;

		n->net->ops->set_offloads(n->net, takes ? NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 : 0);
		assert_int_equal(send(host, f, 10 + len, 0), 10 + len);
		while ((ret = nettest_recv_pair(n, 0, 65536, hdr)) > 0) {
			assert_int_equal(ret, takes ? len : 1054);
			if (takes)
				assert_memory_equal(hdr, large_hdr, 10);
			else
				assert_memory_equal(hdr, zero_hdr, 10);
			n_frames++;
		}
		assert_int_equal(n_frames, takes ? 1 : 5);
	}
	/* One that would be cut, though it is longer than the MTU, is none. */
	assert_int_equal(send(host, f, 10 + len, 0), 10 + len);
	assert_int_equal(nettest_recv_pair(n, 0, 2000, hdr), -EMSGSIZE);
	while (recv(host, got, sizeof(got), 0) > 0)
		;
	/* what the card sends arrives as one */
	assert_int_equal(nettest_send_hdr(n, 0, large_hdr, f + 10, len), 0);
	nettest_until(n, recv(host, got, sizeof(got), 0) == 10 + len);
	assert_memory_equal(got, large_hdr, 10);
	assert_memory_equal(got + 10, f + 10, 50);
	close(host);
	tap_done(n);
}

/* 100 flows from the host; how many frames each of two queues got. */
static void count_flows(struct nettest *n, int host, unsigned int got[2])
{
	u8 f[60];

	got[0] = got[1] = 0;
	for (u8 i = 0; i < 100; i++) {
		make_frame(f, sizeof(f), 0);
		memcpy(f + 12, (u8[]){ 8, 0, 0x45, 0, 0, 46 }, 6);
		memcpy(f + 22, (u8[]){ 64, 17, 0, 0, 10, 0, 0, i, 10, 0, 1, 1, 0, i, 0, 9 }, 16);
		assert_int_equal(send(host, f, sizeof(f), 0), sizeof(f));
	}
	for (unsigned int q = 0; q < 2; q++) {
		while (tap_recv(n, q, 1518) > 0)
			got[q]++;
	}
}

static void two_queues_share_the_flows_once_both_are_used(void **state)
{
	struct nettest *n = tap_open("", 2);
	int host = host_socket("lkvm0");
	unsigned int got[2];
	u8 f[60];

	(void)state;
	assert_int_equal(n->net->max_pairs, 2);
	for (int round = 0; round < 3; round++) {
		if (round) /* one is what there is at first */
			n->net->ops->set_pairs(n->net, 1);
		count_flows(n, host, got);
		assert_int_equal(got[0], 100);
		assert_int_equal(got[1], 0);
		n->net->ops->set_pairs(n->net, 2);
		count_flows(n, host, got);
		assert_int_equal(got[0] + got[1], 100);
		assert_true(got[0] > 10 && got[1] > 10);
	}
	make_frame(f, sizeof(f), 7);
	while (recv(host, f, sizeof(f), 0) > 0)
		;
	make_frame(f, sizeof(f), 7);
	assert_int_equal(nettest_send_hdr(n, 1, zero_hdr, f, sizeof(f)), 0);
	nettest_until(n, recv(host, f, sizeof(f), 0) == sizeof(f));
	/* Each tells of itself. */
	nettest_want(n, 1, true);
	n->n_ready = 0;
	for (u8 i = 0; i < 100; i++) {
		make_frame(f, sizeof(f), i);
		memcpy(f + 12, (u8[]){ 8, 0, 0x45, 0, 0, 46 }, 6);
		memcpy(f + 22, (u8[]){ 64, 17, 0, 0, 10, 0, 0, i, 10, 0, 1, 1, 0, i, 0, 9 }, 16);
		assert_int_equal(send(host, f, sizeof(f), 0), sizeof(f));
	}
	nettest_until(n, n->n_ready > 0);
	close(host);
	tap_done(n);
	assert_int_equal(if_nametoindex("lkvm0"), 0);
}

static void eight_queues_can_be_had(void **state)
{
	struct nettest *n = tap_open("", NET_MAX_PAIRS);

	(void)state;
	assert_int_equal(n->net->max_pairs, NET_MAX_PAIRS);
	for (unsigned int i = 1; i <= NET_MAX_PAIRS; i++)
		n->net->ops->set_pairs(n->net, i);
	assert_int_equal(n->t.n_msgs, 1); /* that there is an interface */
	tap_done(n);
}

static void interface_that_exists_is_left_as_it_was(void **state)
{
	struct nettest *n;
	u8 f[60];

	(void)state;
	host_make_tap("kept", 0, 0);
	n = tap_open("kept", 1);
	assert_non_null(strstr(n->t.last_msg, "kept"));
	assert_false(host_is_up("kept"));
	assert_true(n->t.n_msgs >= 2); /* it is down */
	make_frame(f, sizeof(f), 1);
	assert_int_equal(nettest_send(n, f, sizeof(f)), 0); /* lost */
	assert_int_equal(nettest_recv(n, 1518), -EAGAIN);
	host_set_up("kept", true);
	n->net->ops->set_offloads(n->net, n->net->offloads);
	tap_done(n);
	assert_true(host_is_up("kept"));
	assert_false(host_offload("kept", ETHTOOL_GTXCSUM));
	host_delete("kept");
}

static void interface_made_for_many_queues_serves_one(void **state)
{
	struct nettest *n;

	(void)state;
	host_make_tap("many", IFF_MULTI_QUEUE, 0);
	n = tap_open("many", 1);
	assert_int_equal(n->net->max_pairs, 1);
	tap_done(n);
	n = tap_open("many", 4);
	assert_int_equal(n->net->max_pairs, 4);
	tap_done(n);
	host_delete("many");
}

static void interface_that_is_deleted_takes_the_link_along(void **state)
{
	struct nettest *n = tap_open("", 2);
	u8 f[60];

	(void)state;
	n->net->ops->set_pairs(n->net, 2);
	nettest_want(n, 1, true);
	n->n_ready = 0;
	host_delete("lkvm0");
	nettest_until(n, !n->net->link);
	assert_true(n->n_ready > 0);
	assert_non_null(strstr(n->t.last_msg, "lkvm0 is gone"));
	make_frame(f, sizeof(f), 1);
	assert_int_equal(nettest_send(n, f, sizeof(f)), 0);
	assert_int_equal(nettest_recv(n, 1518), -EAGAIN);
	nettest_want(n, 0, true);
	n->n_ready = 0;
	devtest_run(&n->t);
	assert_int_equal(n->n_ready, 0);
	tap_done(n);
}

static void interface_that_goes_down_loses_frames_and_comes_back(void **state)
{
	struct nettest *n = tap_open("", 0);
	int host = host_socket("lkvm0");
	u8 f[60], got[60];

	(void)state;
	make_frame(f, sizeof(f), 1);
	nettest_want(n, 0, true);
	host_set_up("lkvm0", false);
	assert_int_equal(nettest_send(n, f, sizeof(f)), 0);
	devtest_run(&n->t);
	assert_true(n->net->link);
	host_set_up("lkvm0", true);
	while (recv(host, got, sizeof(got), 0) > 0 || errno == ENETDOWN)
		;
	assert_int_equal(nettest_send(n, f, sizeof(f)), 0);
	nettest_until(n, recv(host, got, sizeof(got), 0) == sizeof(f));
	close(host);
	tap_done(n);
}

static void check_refused(const char *name, unsigned int queues, const char *says)
{
	struct lkvm_net cfg = tap_cfg(name, queues);
	struct lkvm_error err = nettest_refused(&cfg);

	if (err.kind != LKVM_ERR_INPUT || !strstr(err.msg, says))
		fail_msg("kind %d, \"%s\" where \"%s\" was expected", err.kind, err.msg, says);
}

/* What the host has decides, unless the user does. */
static void vhost_net_is_used_where_it_is_and_wanted(void **state)
{
	bool there = !access("/dev/vhost-net", R_OK | W_OK);

	(void)state;
	for (enum lkvm_vhost want = LKVM_VHOST_AUTO; want <= LKVM_VHOST_OFF; want++) {
		struct lkvm_net cfg = tap_cfg("", 2);
		struct nettest *n;

		cfg.vhost = want;
		if (want == LKVM_VHOST_ON && !there) {
			struct lkvm_error err = nettest_refused(&cfg);

			assert_int_equal(err.kind, LKVM_ERR_UNSUPPORTED);
			assert_non_null(strstr(err.msg, "vhost=on: cannot open /dev/vhost-net"));
			continue;
		}
		n = calloc(1, sizeof(*n));
		assert_non_null(n);
		nettest_open(n, &cfg);
		for (unsigned int i = 0; i < 2; i++)
			assert_int_equal(n->net->ops->vhost(n->net, i) != NULL,
					 there && want != LKVM_VHOST_OFF);
		tap_done(n);
	}
	assert_int_equal(if_nametoindex("lkvm0"), 0);
}

static void interface_that_cannot_be_is_one_clear_line(void **state)
{
	struct nettest *n;

	(void)state;
	check_refused("lo", 1, "lo is not a tap interface");
	check_refused("lo", 2, "lo is not a tap interface");
	check_refused("a%d", 1, "\"a%d\" cannot be an interface's name");
	check_refused("a/b", 1, "\"a/b\" cannot be an interface's name");
	check_refused("sixteen-bytes-16", 1, "\"sixteen-bytes-16\" cannot be an interface's name");

	n = tap_open("taken", 1);
	check_refused("taken", 1, "taken is used by another program");
	check_refused("taken", 2, "taken has one queue");
	tap_done(n);

	host_make_tap("single", 0, 0);
	check_refused("single", 2, "single has one queue: use queues=1");
	assert_true(if_nametoindex("single"));
	host_delete("single");
}

/* Without CAP_NET_ADMIN, and as user @uid: what opening @name says, or "ok". */
static void as_nobody(const char *name, int uid, unsigned int queues, char *says, size_t size)
{
	int pipefd[2], status;
	ssize_t len;
	pid_t pid;

	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
		struct __user_cap_data_struct none[2] = { 0 };
		struct lkvm_net cfg = tap_cfg(name, queues);
		struct lkvm_error err = { 0 };
		struct log log = { 0 };
		struct loop *loop;
		struct net *net;
		int ret;

		if (setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) ||
		    syscall(SYS_capset, &hdr, none) || loop_create(&loop, LOOP_MANUAL, NULL))
			_exit(1);
		ret = net_open(&net, &cfg, loop, &log, &err);
		ret = dprintf(pipefd[1], "%s", ret ? err.msg : "ok") < 0 ||
		      (ret && err.kind != LKVM_ERR_INPUT);
		_exit(ret);
	}
	close(pipefd[1]);
	len = read(pipefd[0], says, size - 1);
	assert_true(len > 0);
	says[len] = 0;
	close(pipefd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void no_permission_is_one_clear_line(void **state)
{
	char says[512];

	(void)state;
	as_nobody("", 0, 1, says, sizeof(says));
	assert_non_null(strstr(says, "making interface lkvm0 needs CAP_NET_ADMIN"));
	assert_non_null(strstr(says, "ip tuntap add"));
	as_nobody("mine", 0, 2, says, sizeof(says));
	assert_non_null(strstr(says, "making interface mine needs CAP_NET_ADMIN"));
	assert_non_null(strstr(says, "multi_queue"));
	host_make_tap("theirs", 0, 12345);
	as_nobody("theirs", 0, 1, says, sizeof(says));
	assert_non_null(strstr(says, "theirs is not user 0's"));
	host_delete("theirs");
	/* another user may not come as far: who may open the device is the host's to say */
	as_nobody("mine", 65534, 1, says, sizeof(says));
	assert_true(strstr(says, "no permission to open /dev/net/tun") ||
		    strstr(says, "mine needs CAP_NET_ADMIN: root can make one with ip tuntap add "
				 "NAME mode tap user 65534"));
	assert_int_equal(if_nametoindex("mine"), 0);
	assert_int_equal(if_nametoindex("lkvm0"), 0);
}

static void own_interface_needs_no_privileges(void **state)
{
	char says[512];

	(void)state;
	host_make_tap("own", 0, 0);
	as_nobody("own", 0, 1, says, sizeof(says));
	assert_string_equal(says, "ok");
	host_delete("own");
}

/* A namespace of our own, where no router asks around on new interfaces. */
static bool usable(void)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0 || geteuid() || unshare(CLONE_NEWNET))
		return false;
	close(fd);
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "1", 1) != 1)
		perror("disable_ipv6");
	if (fd >= 0)
		close(fd);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_interface_is_up_and_goes_with_its_user),
		cmocka_unit_test(made_interface_has_the_mtu_of_the_card),
		cmocka_unit_test(frames_go_both_ways),
		cmocka_unit_test(frame_that_can_never_be_sent_says_so),
		cmocka_unit_test(frame_longer_than_the_room_is_lost_alone),
		cmocka_unit_test(kernel_leaves_to_the_card_what_it_asked_for),
		cmocka_unit_test(large_segments_come_to_a_card_that_takes_them_and_leave_it),
		cmocka_unit_test(two_queues_share_the_flows_once_both_are_used),
		cmocka_unit_test(eight_queues_can_be_had),
		cmocka_unit_test(interface_that_exists_is_left_as_it_was),
		cmocka_unit_test(interface_made_for_many_queues_serves_one),
		cmocka_unit_test(interface_that_is_deleted_takes_the_link_along),
		cmocka_unit_test(interface_that_goes_down_loses_frames_and_comes_back),
		cmocka_unit_test(vhost_net_is_used_where_it_is_and_wanted),
		cmocka_unit_test(interface_that_cannot_be_is_one_clear_line),
		cmocka_unit_test(no_permission_is_one_clear_line),
		cmocka_unit_test(own_interface_needs_no_privileges),
	};

	if (!usable()) {
		printf("1..0 # SKIP tap: needs root and /dev/net/tun\n");
		return 0;
	}
	return cmocka_run_group_tests_name("tap interfaces", tests, NULL, NULL);
}
