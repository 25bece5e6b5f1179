/* cli_devs.c - the values of --disk, --network and --port. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli.h"

/* Decimal only, as ports and queues are written. */
static bool number(const char *s, unsigned long min, unsigned long max, unsigned long *value)
{
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*value = strtoul(s, &end, 10);
	return !errno && !*end && *value >= min && *value <= max;
}

static const char *queues(const char *val, unsigned int *n)
{
	unsigned long value;

	_Static_assert(LKVM_MAX_QUEUES == 8, "said below");
	if (!number(val, 1, LKVM_MAX_QUEUES, &value))
		return "1 to 8";
	*n = (unsigned int)value;
	return NULL;
}

/* ---- --disk ------------------------------------------------------------------------- */

static const char *disk_ro(void *at, const char *val)
{
	(void)val;
	((struct lkvm_disk *)at)->readonly = true;
	return NULL;
}

static const char *disk_direct(void *at, const char *val)
{
	(void)val;
	((struct lkvm_disk *)at)->direct = true;
	return NULL;
}

static const char *disk_serial(void *at, const char *val)
{
	struct lkvm_disk *disk = at;

	_Static_assert(LKVM_SERIAL_MAX == 21, "said below");
	return cli_copy(disk->serial, sizeof(disk->serial), val) ? NULL : "1 to 20 bytes";
}

static const char *disk_queues(void *at, const char *val)
{
	return queues(val, &((struct lkvm_disk *)at)->queues);
}

static const char *disk_discard(void *at, const char *val)
{
	return cli_on_off(val, &((struct lkvm_disk *)at)->discard) ? NULL : "on or off";
}

static const struct cli_key disk_keys[] = {
	{ "ro", .bare = true, .set = disk_ro }, { "direct", .bare = true, .set = disk_direct },
	{ "serial", .set = disk_serial },	{ "queues", .set = disk_queues },
	{ "discard", .set = disk_discard },
};

int cli_disk(struct lkvm_config *cfg, const char *val)
{
	struct lkvm_disk *disk;
	const char *p = val;

	if (cfg->n_disks == LKVM_MAX_DISKS)
		return cli_fail(CLI_BAD_INPUT, "--disk %s: one too many; at most %d are allowed",
				val, LKVM_MAX_DISKS);
	disk = &cfg->disks[cfg->n_disks];
	_Static_assert(LKVM_DISK_PATH_MAX == 1024, "said below");
	if (!cli_next_word(&p, disk->path, sizeof(disk->path)) || !disk->path[0])
		return cli_fail(CLI_BAD_INPUT,
				"--disk %s: must begin with a file's name of 1 to 1023 bytes",
				cli_shown(val));
	cfg->n_disks++;
	return cli_set_keys("disk", val, p, disk_keys, COUNT(disk_keys), disk);
}

/* ---- --network ---------------------------------------------------------------------- */

struct net_arg {
	struct lkvm_net *net;
	bool has_mode;
	bool two_modes;
};

static const char *net_mode(void *at, const char *val)
{
	static const char *const modes[] = {
		[LKVM_NET_NONE] = "down",
		[LKVM_NET_TAP] = "tap",
		[LKVM_NET_USER] = "user",
		[LKVM_NET_UNIX] = "unix",
	};
	struct net_arg *arg = at;

	if (!strcmp(val, "none"))
		return "alone: it is no card at all; one with its cable out is mode=down";
	for (size_t i = 0; i < COUNT(modes); i++) {
		if (strcmp(val, modes[i]))
			continue;
		arg->two_modes |= arg->has_mode;
		arg->net->mode = (enum lkvm_net_mode)i;
		arg->has_mode = true;
		return NULL;
	}
	return "tap, user, unix, down, or none alone";
}

static const char *net_tap(void *at, const char *val)
{
	(void)val;
	return net_mode(at, "tap");
}

static const char *net_user(void *at, const char *val)
{
	(void)val;
	return net_mode(at, "user");
}

static const char *net_down(void *at, const char *val)
{
	(void)val;
	return net_mode(at, "down");
}

static const char *net_none(void *at, const char *val)
{
	(void)val;
	return net_mode(at, "none");
}

static const char *net_socket(void *at, const char *val)
{
	struct lkvm_net *net = ((struct net_arg *)at)->net;

	_Static_assert(LKVM_SOCKET_MAX == 108, "said below");
	if (net->socket[0] || !cli_copy(net->socket, sizeof(net->socket), val))
		return "one path of 1 to 107 bytes";
	return NULL;
}

static const char *net_unix(void *at, const char *val)
{
	net_mode(at, "unix");
	return net_socket(at, val);
}

static const char *net_mac(void *at, const char *val)
{
	static const char allowed[] = "six bytes such as 02:00:00:00:00:01, once, not all zero";
	static const char digits[] = "0123456789abcdefABCDEF";
	struct lkvm_net *net = ((struct net_arg *)at)->net;
	bool any = false;

	for (size_t i = 0; i < COUNT(net->mac); i++, val += 3) {
		if (net->mac[i] || strspn(val, digits) != 2 || val[2] != (i < 5 ? ':' : 0))
			return allowed;
	}
	val -= 3 * COUNT(net->mac);
	for (size_t i = 0; i < COUNT(net->mac); i++) {
		net->mac[i] = (uint8_t)strtoul(val + 3 * i, NULL, 16);
		any |= net->mac[i] != 0;
	}
	return any ? NULL : allowed;
}

static const char *net_mtu(void *at, const char *val)
{
	unsigned long mtu;

	if (!number(val, 68, 65535, &mtu))
		return "68 to 65535";
	((struct net_arg *)at)->net->mtu = (uint16_t)mtu;
	return NULL;
}

static const char *net_ifname(void *at, const char *val)
{
	struct lkvm_net *net = ((struct net_arg *)at)->net;

	_Static_assert(LKVM_IFNAME_MAX == 16, "said below");
	if (net->ifname[0] || !cli_copy(net->ifname, sizeof(net->ifname), val))
		return "one name of 1 to 15 bytes";
	return NULL;
}

static const char *net_queues(void *at, const char *val)
{
	return queues(val, &((struct net_arg *)at)->net->queues);
}

static const char *net_vhost(void *at, const char *val)
{
	struct net_arg *arg = at;
	bool on;

	if (!cli_on_off(val, &on))
		return "on or off";
	arg->net->vhost = on ? LKVM_VHOST_ON : LKVM_VHOST_OFF;
	return NULL;
}

/* Up to @end, which is then dropped; false: there is none, or it is too far away. */
static bool take_until(const char **p, char end, char *dst, size_t size)
{
	const char *stop = strchr(*p, end);
	size_t len = stop ? (size_t)(stop - *p) : size;

	if (len >= size)
		return false;
	memcpy(dst, *p, len);
	dst[len] = 0;
	*p = stop + 1;
	return true;
}

/* [tcp|udp]:[ADDRESS]:PORT-[ADDRESS]:PORT; whether addresses are good is the library's to say. */
static bool parse_hostfwd(struct lkvm_hostfwd *fwd, const char *val)
{
	char proto[4], port[6];
	unsigned long host_port, guest_port;

	if (!take_until(&val, ':', proto, sizeof(proto)) ||
	    !take_until(&val, ':', fwd->host_addr, sizeof(fwd->host_addr)) ||
	    !take_until(&val, '-', port, sizeof(port)) || !number(port, 1, 65535, &host_port) ||
	    !take_until(&val, ':', fwd->guest_addr, sizeof(fwd->guest_addr)) ||
	    !number(val, 1, 65535, &guest_port))
		return false;
	fwd->udp = !strcmp(proto, "udp");
	fwd->host_port = (uint16_t)host_port;
	fwd->guest_port = (uint16_t)guest_port;
	return fwd->udp || !strcmp(proto, "tcp") || !*proto;
}

static const char *net_hostfwd(void *at, const char *val)
{
	struct lkvm_net *net = ((struct net_arg *)at)->net;

	_Static_assert(LKVM_MAX_HOSTFWD == 16, "said below");
	if (net->n_hostfwd == LKVM_MAX_HOSTFWD)
		return "one of at most 16";
	if (!parse_hostfwd(&net->hostfwd[net->n_hostfwd], val))
		return "tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT, such as tcp::2222-:22";
	net->n_hostfwd++;
	return NULL;
}

static const struct cli_key net_keys[] = {
	{ "mode", .set = net_mode },
	{ "tap", .bare = true, .set = net_tap },
	{ "user", .bare = true, .set = net_user },
	{ "down", .bare = true, .set = net_down },
	{ "none", .bare = true, .set = net_none },
	{ "unix", .set = net_unix },
	{ "socket", .set = net_socket },
	{ "mac", .set = net_mac },
	{ "guest_mac", .set = net_mac }, /* kvmtool's */
	{ "mtu", .set = net_mtu },
	{ "ifname", .set = net_ifname },
	{ "tapif", .set = net_ifname }, /* kvmtool's */
	{ "queues", .set = net_queues },
	{ "vhost", .set = net_vhost },
	{ "hostfwd", .many = true, .set = net_hostfwd },
};

/* A first word without a value that is no key: who wrote it meant a mode. */
static bool begins_with_a_mode(const char *val)
{
	size_t len = strcspn(val, ",");

	if (!len || memchr(val, '=', len))
		return true;
	for (size_t i = 0; i < COUNT(net_keys); i++) {
		if (net_keys[i].bare && strlen(net_keys[i].name) == len &&
		    !memcmp(net_keys[i].name, val, len))
			return true;
	}
	return false;
}

int cli_network(struct lkvm_config *cfg, const char *val)
{
	struct net_arg arg = { 0 };
	int status;

	/* kvmtool's word for no card, in scripts that must prevent its implicit one */
	if (!strcmp(val, "none") || !strcmp(val, "mode=none"))
		return 0;
	if (cfg->n_nets == LKVM_MAX_NETS)
		return cli_fail(CLI_BAD_INPUT, "--network %s: one too many; at most %d are allowed",
				val, LKVM_MAX_NETS);
	if (!begins_with_a_mode(val))
		return cli_fail(CLI_BAD_INPUT,
				"--network %s: must begin with tap, user, unix=PATH or down, or be "
				"none alone",
				val);
	arg.net = &cfg->nets[cfg->n_nets++];
	status = cli_set_keys("network", val, val, net_keys, COUNT(net_keys), &arg);
	if (!status && arg.two_modes)
		return cli_fail(CLI_BAD_INPUT, "--network %s: mode is given twice", val);
	if (!status && !arg.has_mode)
		return cli_fail(CLI_BAD_INPUT,
				"--network %s: has no mode=; must be tap, user, unix or down", val);
	return status;
}

/* ---- --port ------------------------------------------------------------------------- */

static const char *port_file(char *path, const char *val)
{
	_Static_assert(CLI_PATH_MAX == 4096, "said below");
	return cli_copy(path, CLI_PATH_MAX, val) ? NULL
						 : "a file's name of 1 to 4095 bytes, or fd:N";
}

static const char *port_out(void *at, const char *val)
{
	return port_file(((struct cli_port *)at)->out, val);
}

static const char *port_in(void *at, const char *val)
{
	return port_file(((struct cli_port *)at)->in, val);
}

static const struct cli_key port_keys[] = {
	{ "out", .set = port_out },
	{ "in", .set = port_in },
};

int cli_port(struct run_opts *opts, const char *val)
{
	struct lkvm_config *cfg = &opts->cfg;
	struct cli_port *files = &opts->ports[cfg->n_ports];
	struct lkvm_port *port = &cfg->ports[cfg->n_ports];
	const char *p = val;

	if (cfg->n_ports == LKVM_MAX_PORTS)
		return cli_fail(CLI_BAD_INPUT, "--port %s: one too many; at most %d are allowed",
				val, LKVM_MAX_PORTS);
	_Static_assert(LKVM_PORT_NAME_MAX == 64, "said below");
	if (!cli_next_word(&p, port->name, sizeof(port->name)) || !port->name[0])
		return cli_fail(CLI_BAD_INPUT, "--port %s: must begin with a name of 1 to 63 bytes",
				cli_shown(val));
	port->io.in_fd = port->io.out_fd = -1;
	cfg->n_ports++;
	return cli_set_keys("port", val, p, port_keys, COUNT(port_keys), files);
}
