#include "vmm/peripherals.h"

#include <stdio.h>

#include "devices/classes.h"
#include "vmm/arch.h"
#include "vmm/irq.h"

/* ---- one line per kind of device ------------------------------------------------------ */

/* What a class's configuration is made in. */
union virtio_cfgs {
	struct virtio_blk_cfg blk;
	struct virtio_net_cfg net;
	struct virtio_console_cfg console;
};

static unsigned int count_disks(const struct lkvm_config *cfg)
{
	return cfg->n_disks;
}

static void fit_disk(const struct peripherals *p, unsigned int i, union virtio_cfgs *cfg)
{
	const struct lkvm_disk *disk = &p->cfg->disks[i];

	cfg->blk = (struct virtio_blk_cfg){
		.disk = &p->disks[i],
		.queues = disk->queues ? disk->queues : 1,
		.serial = disk->serial,
	};
}

static unsigned int count_nets(const struct lkvm_config *cfg)
{
	return cfg->n_nets;
}

/*
 * Without an address of its own a card gets a locally administered one that says "LKVM" and its
 * number: the same in every run, so two guests on one network need --network mac=.
 */
static void default_mac(u8 mac[6], unsigned int i)
{
	static const u8 prefix[] = { 0x02, 'L', 'K', 'V', 'M' };

	for (unsigned int b = 0; b < 6; b++) {
		if (mac[b])
			return;
	}
	memcpy(mac, prefix, sizeof(prefix));
	mac[5] = (u8)i;
}

static void fit_net(const struct peripherals *p, unsigned int i, union virtio_cfgs *cfg)
{
	const struct lkvm_net *net = &p->cfg->nets[i];

	cfg->net = (struct virtio_net_cfg){
		.net = p->nets[i],
		.mtu = net->mtu,
		.pairs = net->queues ? net->queues : 1,
	};
	memcpy(cfg->net.mac, net->mac, sizeof(net->mac));
	default_mac(cfg->net.mac, i);
}

static unsigned int count_consoles(const struct lkvm_config *cfg)
{
	return cfg->virtio_console || cfg->n_ports;
}

static void fit_console(const struct peripherals *p, unsigned int i, union virtio_cfgs *cfg)
{
	(void)i;
	cfg->console = (struct virtio_console_cfg){
		.console = p->cfg->virtio_console ? p->console : NULL,
		.n_ports = p->cfg->n_ports,
	};
	for (unsigned int n = 0; n < p->cfg->n_ports; n++) {
		cfg->console.ports[n].name = p->cfg->ports[n].name;
		cfg->console.ports[n].console = p->ports[n];
	}
}

static unsigned int count_rngs(const struct lkvm_config *cfg)
{
	return cfg->rng;
}

/* In the order of their places; a kind keeps its line. */
static const struct kind {
	const struct virtio_class *cls;
	const char *name; /* of the first one, with a 0 behind it */
	unsigned int (*count)(const struct lkvm_config *cfg);
	void (*fit)(const struct peripherals *p, unsigned int i, union virtio_cfgs *cfg);
} kinds[] = {
	{ &virtio_blk_class, "disk", count_disks, fit_disk },
	{ &virtio_net_class, "net", count_nets, fit_net },
	{ &virtio_console_class, "virtio-console", count_consoles, fit_console },
	{ &virtio_rng_class, "rng", count_rngs, NULL },
};

/*
 * Messages: each device has one for its configuration and one for each queue. Most are needed with
 * as many cards as there can be, the console, and disks in all other places.
 */
enum {
	MSIS_DISK = 1 + LKVM_MAX_QUEUES,
	MSIS_NET = 1 + 2 * LKVM_MAX_QUEUES + 1,		 /* pairs, and the control queue */
	MSIS_CONSOLE = 1 + 2 * (1 + LKVM_MAX_PORTS) + 2, /* port 0, ports, their control */
	MSIS_RNG = 1 + 1,
};

_Static_assert(MSIS_CONSOLE + LKVM_MAX_NETS * MSIS_NET +
			       (LKVM_MAX_VIRTIO - 1 - LKVM_MAX_NETS) * MSIS_DISK <=
		       IRQ_MAX_MSI,
	       "every queue of every device has its message");
_Static_assert(MSIS_RNG <= MSIS_DISK, "and the rng in a disk's place needs no more");

unsigned int peripherals_count(const struct lkvm_config *cfg)
{
	unsigned int n = 0;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		n += kinds[k].count(cfg);
	return n;
}

int peripherals_plug(const struct peripherals *p, struct machine *m, struct lkvm_error *err)
{
	unsigned int index = 0;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		unsigned int n = kinds[k].count(p->cfg);

		for (unsigned int i = 0; i < n; i++) {
			union virtio_cfgs cfg = { 0 };
			char name[LKVM_NAME_MAX];
			int ret;

			snprintf(name, sizeof(name), "%s%u", kinds[k].name, i);
			if (kinds[k].fit)
				kinds[k].fit(p, i, &cfg);
			ret = machine_add_virtio(m, index++, name, kinds[k].cls, &cfg, err);
			if (ret)
				return ret;
		}
	}
	return 0;
}

/* ---- host sides -------------------------------------------------------------------------- */

/* Ports are for programs: no panic line is looked for, and there is no escape. */
static const struct console_ops port_ops = { 0 };

static int open_all(struct peripherals *p, const struct log *log, struct lkvm_error *err)
{
	const struct lkvm_config *cfg = p->cfg;
	int ret = 0;

	for (unsigned int i = 0; !ret && i < cfg->n_disks; i++)
		ret = disk_open(&p->disks[i], &cfg->disks[i], err);
	for (unsigned int i = 0; !ret && i < cfg->n_nets; i++)
		ret = net_open(&p->nets[i], &cfg->nets[i], p->loop, log, err);
	for (unsigned int i = 0; !ret && i < cfg->n_ports; i++)
		ret = console_create(&p->ports[i], &cfg->ports[i].io, false, p->loop, log,
				     &port_ops, p, err);
	return ret;
}

int peripherals_open(struct peripherals *p, const struct lkvm_config *cfg, struct loop *loop,
		     const struct log *log, struct console *console, struct lkvm_error *err)
{
	int ret;

	*p = (struct peripherals){ .cfg = cfg, .loop = loop, .console = console };
	for (unsigned int i = 0; i < LKVM_MAX_DISKS; i++)
		p->disks[i] = (struct disk)DISK_CLOSED;
	ret = open_all(p, log, err);
	if (ret)
		peripherals_close(p);
	return ret;
}

void peripherals_close(struct peripherals *p)
{
	if (!p->cfg)
		return;
	for (unsigned int i = 0; i < p->cfg->n_ports; i++)
		console_destroy(p->ports[i]);
	for (unsigned int i = 0; i < p->cfg->n_nets; i++)
		net_close(p->nets[i]);
	for (unsigned int i = 0; i < p->cfg->n_disks; i++)
		disk_close(&p->disks[i]);
	p->cfg = NULL;
}

void peripherals_start(struct peripherals *p)
{
	for (unsigned int i = 0; i < p->cfg->n_ports; i++)
		console_start(p->ports[i]);
}

static void port_drained(void *ctx)
{
	struct peripherals *p = ctx;

	if (!--p->n_draining)
		p->drained(p->drained_ctx);
}

void peripherals_drain(struct peripherals *p, void (*done)(void *ctx), void *ctx)
{
	p->drained = done;
	p->drained_ctx = ctx;
	p->n_draining = p->cfg->n_ports + 1;
	for (unsigned int i = 0; i < p->cfg->n_ports; i++)
		console_drain(p->ports[i], port_drained, p);
	port_drained(p);
}
