/*
 * What lkvm_config_validate() says of what all architectures have: fields that only an embedder can
 * get wrong, and where the bounds are. Command-line spellings are tests/cli/options.sh's.
 *
 * Does not prove that what is accepted works: files, interfaces and sockets are not looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lkvm.h>

static struct lkvm_config cfg;
static struct lkvm_error err;

static int fresh(void **state)
{
	(void)state;
	lkvm_config_init(&cfg);
	snprintf(cfg.kernel, sizeof(cfg.kernel), "vmlinuz");
	return 0;
}

static struct lkvm_disk *add_disk(void)
{
	struct lkvm_disk *disk = &cfg.disks[cfg.n_disks++];

	*disk = (struct lkvm_disk){ .path = "disk" };
	return disk;
}

static struct lkvm_net *add_net(enum lkvm_net_mode mode)
{
	struct lkvm_net *net = &cfg.nets[cfg.n_nets++];

	*net = (struct lkvm_net){ .mode = mode };
	return net;
}

static struct lkvm_port *add_port(const char *name)
{
	struct lkvm_port *port = &cfg.ports[cfg.n_ports++];

	*port = (struct lkvm_port){ .io = { .in_fd = -1, .out_fd = -1 } };
	snprintf(port->name, sizeof(port->name), "%s", name);
	return port;
}

static void add_hostfwd(struct lkvm_net *net, uint16_t host_port, const char *host_addr)
{
	struct lkvm_hostfwd *fwd = &net->hostfwd[net->n_hostfwd++];

	*fwd = (struct lkvm_hostfwd){ .host_port = host_port, .guest_port = 22 };
	snprintf(fwd->host_addr, sizeof(fwd->host_addr), "%s", host_addr);
}

static void assert_good(void)
{
	err = (struct lkvm_error){ 0 };
	if (lkvm_config_validate(&cfg, &err))
		fail_msg("refused: %s", err.msg);
}

/* Refused with a message that has @words. */
static void assert_refused(const char *words)
{
	err = (struct lkvm_error){ 0 };
	assert_int_equal(lkvm_config_validate(&cfg, &err), -EINVAL);
	assert_int_equal(err.kind, LKVM_ERR_INPUT);
	if (!strstr(err.msg, words))
		fail_msg("no '%s' in: %s", words, err.msg);
}

/* ---- how many -------------------------------------------------------------------------- */

static void devices_are_counted_against_their_limits(void **state)
{
	(void)state;
	for (int i = 0; i < LKVM_MAX_DISKS; i++)
		add_disk();
	assert_good();
	cfg.rng = true;
	assert_refused("32 of them; at most 31");
	cfg.n_disks--;
	assert_good();
	cfg.virtio_console = true;
	assert_refused("virtio devices in all: 32 of them");
	cfg.n_disks--;
	add_port("a"); /* of the same console */
	assert_good();
	cfg.n_disks = LKVM_MAX_DISKS + 1;
	assert_refused("--disk: 32 of them; at most 31");
	cfg.n_disks = UINT32_MAX;
	assert_refused("--disk");
	cfg.n_disks = 0;
	cfg.n_nets = LKVM_MAX_NETS + 1;
	assert_refused("--network: 9 of them; at most 8");
	cfg.n_nets = 0;
	cfg.n_ports = LKVM_MAX_PORTS + 1;
	assert_refused("--port: 17 of them; at most 16");
}

static void the_transport_is_one_of_two(void **state)
{
	(void)state;
	cfg.virtio_transport = LKVM_VIRTIO_MMIO;
	assert_good();
	cfg.virtio_transport = 2;
	assert_refused("--virtio-transport 2");
	cfg.virtio_transport = (enum lkvm_virtio_transport) - 1;
	assert_refused("--virtio-transport");
}

/* ---- disks ------------------------------------------------------------------------------ */

static void a_disk_has_a_path_a_serial_and_queues_that_fit(void **state)
{
	struct lkvm_disk *disk = add_disk();

	(void)state;
	disk->queues = LKVM_MAX_QUEUES;
	snprintf(disk->serial, sizeof(disk->serial), "12345678901234567890");
	memset(disk->path, 'x', sizeof(disk->path) - 1);
	assert_good();
	disk->path[sizeof(disk->path) - 1] = 'x';
	assert_refused("--disk: must name a file");
	disk->path[0] = 0;
	assert_refused("--disk: must name a file");
	snprintf(disk->path, sizeof(disk->path), "image");
	disk->queues++;
	assert_refused("--disk image: queues=9 must be 1 to 8");
	disk->queues = 0;
	disk->serial[LKVM_SERIAL_MAX - 1] = 'x';
	assert_refused("--disk image: serial= must have at most 20");
	snprintf(disk->serial, sizeof(disk->serial), "a\x80");
	assert_refused("printable");
	snprintf(disk->serial, sizeof(disk->serial), "a\n");
	assert_refused("printable");
}

/* ---- network cards ----------------------------------------------------------------------- */

static void a_network_card_has_values_that_can_be(void **state)
{
	struct lkvm_net *net = add_net(LKVM_NET_TAP);

	(void)state;
	net->mtu = 68;
	net->queues = LKVM_MAX_QUEUES;
	net->mac[0] = 2;
	net->vhost = LKVM_VHOST_OFF;
	snprintf(net->ifname, sizeof(net->ifname), "123456789012345");
	assert_good();
	net->mtu = 67;
	assert_refused("mtu=67 must be 68 to 65535");
	net->mtu = 65535;
	net->mac[0] = 3;
	assert_refused("mac=03:00:00:00:00:00");
	net->mac[0] = 0;
	net->queues++;
	assert_refused("queues=9 must be 1 to 8");
	net->queues = 0;
	net->ifname[LKVM_IFNAME_MAX - 1] = 'x';
	assert_refused("ifname= takes 15 bytes");
	snprintf(net->ifname, sizeof(net->ifname), "a\x7f");
	assert_refused("is no name of an interface");
	net->ifname[0] = 0;
	memset(net->socket, 'x', sizeof(net->socket));
	assert_refused("socket= 107");
	net->socket[0] = 0;
	net->vhost = 3;
	assert_refused("vhost=3 is unknown");
	net->vhost = (enum lkvm_vhost) - 1;
	assert_refused("vhost=-1 is unknown");
	net->vhost = LKVM_VHOST_ON;
	assert_good();
	net->mode = 4;
	assert_refused("mode 4 is unknown");
	net->mode = (enum lkvm_net_mode) - 1;
	assert_refused("mode -1 is unknown");
}

static void what_one_mode_has_is_refused_for_the_others(void **state)
{
	static const struct {
		const char *key;
		enum lkvm_net_mode mode;
	} keys[] = { { "ifname=", LKVM_NET_TAP },
		     { "queues=", LKVM_NET_TAP },
		     { "vhost=", LKVM_NET_TAP },
		     { "hostfwd=", LKVM_NET_USER },
		     { "socket=", LKVM_NET_UNIX } };

	for (enum lkvm_net_mode mode = LKVM_NET_NONE; mode <= LKVM_NET_UNIX; mode++) {
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			struct lkvm_net *net;

			fresh(state);
			net = add_net(mode);
			snprintf(net->ifname, sizeof(net->ifname), "%s", i == 0 ? "tap0" : "");
			net->queues = i == 1 ? 2 : 1;
			net->vhost = i == 2 ? LKVM_VHOST_ON : LKVM_VHOST_AUTO;
			if (i == 3)
				add_hostfwd(net, 1, "");
			if (i == 4 || mode == LKVM_NET_UNIX)
				snprintf(net->socket, sizeof(net->socket), "/tmp/s");
			if (mode == keys[i].mode)
				assert_good();
			else
				assert_refused(keys[i].key);
		}
	}
	fresh(state);
	add_net(LKVM_NET_UNIX);
	assert_refused("socket= must name a socket");
}

static void a_port_of_the_host_is_forwarded_once(void **state)
{
	struct lkvm_net *a = add_net(LKVM_NET_USER), *b = add_net(LKVM_NET_USER);

	(void)state;
	add_net(LKVM_NET_NONE);
	for (uint16_t i = 0; i < LKVM_MAX_HOSTFWD; i++)
		add_hostfwd(a, 1000 + i, "");
	add_hostfwd(b, 3000, "127.0.0.1");
	add_hostfwd(b, 3000, "127.0.0.2");
	assert_good();
	add_hostfwd(b, 1007, "127.0.0.1");
	assert_refused("tcp port 1007 twice");
	b->hostfwd[2].udp = true;
	assert_good();
	b->hostfwd[2].host_port = 0;
	assert_refused("ports, 1 to 65535");
	b->hostfwd[2].host_port = 65535;
	b->hostfwd[2].guest_port = 0;
	assert_refused("ports, 1 to 65535");
	b->hostfwd[2].guest_port = 1;
	memset(b->hostfwd[2].host_addr, '1', sizeof(b->hostfwd[2].host_addr));
	assert_refused("addresses must be IPv4");
	snprintf(b->hostfwd[2].host_addr, sizeof(b->hostfwd[2].host_addr), "::1");
	assert_refused("addresses must be IPv4");
	b->hostfwd[2].host_addr[0] = 0;
	memset(b->hostfwd[2].guest_addr, '1', sizeof(b->hostfwd[2].guest_addr));
	assert_refused("addresses must be IPv4");
	b->hostfwd[2].guest_addr[0] = 0;
	assert_good();
	a->n_hostfwd = LKVM_MAX_HOSTFWD + 1;
	assert_refused("17 times hostfwd=; at most 16");
	a->n_hostfwd = UINT32_MAX;
	assert_refused("at most 16");
}

/* ---- named ports -------------------------------------------------------------------------- */

static void a_named_port_has_a_name_of_its_own(void **state)
{
	struct lkvm_port *port;

	(void)state;
	add_port("a");
	port = add_port("b");
	assert_good();
	port->io.escape = 1;
	assert_refused("--port b: only the console has an escape byte");
	port->io.escape = 0;
	port->name[0] = 'a';
	assert_refused("--port a: is given twice");
	snprintf(port->name, sizeof(port->name), "a/b");
	assert_refused("--port a/b: only letters");
	port->name[0] = 0;
	assert_refused("--port: must have a name");
	memset(port->name, 'x', sizeof(port->name));
	assert_refused("--port: must have a name of 1 to 63 bytes");
	port->name[sizeof(port->name) - 1] = 0;
	assert_good();
}

/* ---- the machine -------------------------------------------------------------------------- */

static void a_string_that_does_not_end_is_refused_by_its_option(void **state)
{
	const struct {
		const char *words;
		char *at;
		size_t size;
	} strings[] = {
		{ "--name: longer than the 63 bytes", cfg.name, sizeof(cfg.name) },
		{ "--vcpu-affinity: longer than the 255", cfg.vcpu_affinity,
		  sizeof(cfg.vcpu_affinity) },
		{ "--kernel: longer than the 4095", cfg.kernel, sizeof(cfg.kernel) },
		{ "--firmware: longer than the 4095", cfg.firmware, sizeof(cfg.firmware) },
		{ "--flash: longer than the 4095", cfg.flash, sizeof(cfg.flash) },
		{ "--initrd: longer than the 4095", cfg.initrd, sizeof(cfg.initrd) },
		{ "--params: longer than the 4095", cfg.cmdline, sizeof(cfg.cmdline) },
		{ "--dump-acpi: longer than the 4095", cfg.dump_acpi, sizeof(cfg.dump_acpi) },
		{ "--dump-dtb: longer than the 4095", cfg.dump_dtb, sizeof(cfg.dump_dtb) },
	};

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		fresh(state);
		memset(strings[i].at, '1', strings[i].size);
		assert_refused(strings[i].words);
	}
}

static void something_is_booted(void **state)
{
	(void)state;
	cfg.kernel[0] = 0;
	assert_refused("--kernel: a kernel file is needed");
}

static void vcpus_run_on_cpus_that_a_host_can_have(void **state)
{
	static const char *const good[] = { "", "0", "1023", "0-3,8", "0-1023", "5,5,4-6" };
	static const char *const wrong[] = { "x",   "-1", "0-", "3-1",	"0,,1",
					     ",",   "1,", " 1", "1024", "0-99999999999999999999",
					     "0x1", "1\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(cfg.vcpu_affinity, sizeof(cfg.vcpu_affinity), "%s", good[i]);
		assert_good();
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(cfg.vcpu_affinity, sizeof(cfg.vcpu_affinity), "%s", wrong[i]);
		assert_refused("must be CPUs of the host such as 0-3,8, each at most 1023");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(devices_are_counted_against_their_limits, fresh),
		cmocka_unit_test_setup(the_transport_is_one_of_two, fresh),
		cmocka_unit_test_setup(a_disk_has_a_path_a_serial_and_queues_that_fit, fresh),
		cmocka_unit_test_setup(a_network_card_has_values_that_can_be, fresh),
		cmocka_unit_test_setup(what_one_mode_has_is_refused_for_the_others, fresh),
		cmocka_unit_test_setup(a_port_of_the_host_is_forwarded_once, fresh),
		cmocka_unit_test_setup(a_named_port_has_a_name_of_its_own, fresh),
		cmocka_unit_test_setup(a_string_that_does_not_end_is_refused_by_its_option, fresh),
		cmocka_unit_test_setup(something_is_booted, fresh),
		cmocka_unit_test_setup(vcpus_run_on_cpus_that_a_host_can_have, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
