/*
 * virtio_console.c - console device (virtio 1.2 section 5.3): port 0 is the console, the others
 * are channels that a guest finds by name.
 *
 * MULTIPORT is offered even for port 0 alone, for its messages say when the driver listens. Without
 * them Linux throws away what arrives while it sets the port up, which would be all that was piped
 * in before the boot.
 *
 * What the host side is too slow for stays in the transmit queue, where the driver is held off by
 * it; input stays in the console until the driver has opened the port and given buffers for
 * it. So nothing of either is kept here, but how far the chain at the head was taken.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices/classes.h"
#include "devices/virtio.h"
#include "vmm/console.h"

/* 5.3.3 */
#define VIRTIO_CONSOLE_F_SIZE	     0
#define VIRTIO_CONSOLE_F_MULTIPORT   1
#define VIRTIO_CONSOLE_F_EMERG_WRITE 2

/* 5.3.4 */
enum { CFG_COLS = 0, CFG_ROWS = 2, CFG_MAX_NR_PORTS = 4, CFG_EMERG_WR = 8, CFG_LEN = 12 };

/* 5.3.2: receiveq and transmitq of port 0, the control queues, then those of the other ports. */
enum { QUEUE_CONTROL_RX = 2, QUEUE_CONTROL_TX = 3 };

/* 5.3.6.2: { le32 id, le16 event, le16 value }, and what belongs to the event. */
enum {
	EVENT_DEVICE_READY,
	EVENT_PORT_ADD,
	EVENT_PORT_REMOVE,
	EVENT_PORT_READY,
	EVENT_CONSOLE_PORT,
	EVENT_RESIZE,
	EVENT_PORT_OPEN,
	EVENT_PORT_NAME,
};
#define CONTROL_LEN 8
#define SIZE_LEN    4 /* le16 cols, le16 rows: here and in the configuration */

#define QUEUE_SIZE 64

/* Bytes moved at a time. */
#define CHUNK 4096

/* Output taken in one kick, which only a console that drops it can exhaust. */
#define TX_KICK_MAX (256 * KIB)

/* The same for what is left when the device goes: a queue of Linux's largest writes, 32 KiB. */
#define TX_LAST_MAX (QUEUE_SIZE * 32 * KIB)

struct port {
	struct console *con; /* NULL: there is no such port */
	char name[LKVM_PORT_NAME_MAX];
	bool open;    /* the driver takes input */
	bool over;    /* the driver was told that there is no more */
	u8 pending;   /* BIT(event): messages for the driver, the lowest first */
	u64 n_sent;   /* bytes taken of the chain at the head of the transmit queue */
	bool blocked; /* the transmit queue waits for the console; else only its driver moves it */
};

struct virtio_console {
	struct virtio v;
	unsigned int n_ports; /* with port 0 */
	struct port *ports;
	struct vq_chain chain;
};

static struct virtio_console *to_vc(struct virtio *v)
{
	return container_of(v, struct virtio_console, v);
}

static struct virtio_queue *rx_queue(struct virtio_console *vc, unsigned int port)
{
	return &vc->v.queues[port ? 2 * port + 2 : 0];
}

static struct virtio_queue *tx_queue(struct virtio_console *vc, unsigned int port)
{
	return rx_queue(vc, port) + 1;
}

static void tell(struct virtio_console *vc, struct port *port, u8 events)
{
	port->pending |= events;
	dev_doorbell_signal(&vc->v.queues[QUEUE_CONTROL_RX].bell);
}

/*
 * Who reads a port sees the end of what was only ever given. Not where the host side listens as
 * well, for Linux holds off who writes to a port whose other side is closed; nor on the console,
 * whose host side may end long before the guest.
 */
static bool is_over(struct virtio_console *vc, struct port *port)
{
	return port != vc->ports && port->con && console_is_over(port->con);
}

/* ---- data ------------------------------------------------------------------------------- */

/*
 * What the console takes of @chain, whose first n_sent bytes it has; @budget is what it may. The
 * driver may have changed the chain since, at its own loss. @last: the device goes (vc_fini). True:
 * all of it.
 */
static bool send_chain(struct port *port, const struct vq_chain *chain, size_t *budget, bool last)
{
	u8 buf[CHUNK];

	while (port->con && port->n_sent < chain->out.len) {
		size_t n = min_u64(min_u64(chain->out.len - port->n_sent, sizeof(buf)), *budget);

		gmem_vec_read(&chain->out, port->n_sent, buf, n);
		n = last ? console_write_last(port->con, buf, n) : console_write(port->con, buf, n);
		if (!n)
			return false;
		port->n_sent += n;
		*budget -= n;
	}
	port->n_sent = 0;
	return true;
}

static void transmit(struct virtio_console *vc, struct virtio_queue *q, struct port *port)
{
	size_t budget = TX_KICK_MAX;

	port->blocked = false;
	while (virtio_next(q, &vc->chain)) {
		if (send_chain(port, &vc->chain, &budget, false)) {
			vq_push(&q->vq, &vc->chain.used, 0);
			continue;
		}
		/* The console tells when there is room (port_ready). */
		vq_unpop(&q->vq, 1);
		port->blocked = budget;
		if (!budget)
			dev_doorbell_signal(&q->bell);
		return;
	}
}

static void receive(struct virtio_console *vc, struct virtio_queue *q, struct port *port)
{
	u8 buf[CHUNK];

	while (port->con && port->open && virtio_next(q, &vc->chain)) {
		const struct gmem_vec *in = &vc->chain.in;
		size_t n = console_read(port->con, buf, min_u64(in->len, sizeof(buf)));

		if (!n && in->len) {
			vq_unpop(&q->vq, 1);
			break;
		}
		gmem_vec_write(in, 0, buf, n);
		vq_push(&q->vq, &vc->chain.used, (u32)n);
	}
	if (port->open && !port->over && is_over(vc, port))
		tell(vc, port, BIT(EVENT_PORT_OPEN));
}

/*
 * Output that was made available and that no kick will come for: a guest that writes its
 * result and powers off at once is heard all the same.
 */
static void transmit_rest(struct virtio_console *vc, unsigned int i, bool last)
{
	struct port *port = &vc->ports[i];
	size_t budget = TX_LAST_MAX;
	u64 n_lost = 0;

	while (vq_pop(&tx_queue(vc, i)->vq, &vc->chain) > 0) {
		/* Nothing after a gap: a reader could not tell that there is one. */
		if (n_lost)
			n_lost += vc->chain.out.len;
		else if (!send_chain(port, &vc->chain, &budget, last))
			n_lost = vc->chain.out.len - port->n_sent;
	}
	if (port->con)
		console_lose(port->con, n_lost);
}

/* The driver goes, or the machine: take what it sent, forget where it was. */
static void leave(struct virtio_console *vc, bool last)
{
	const u8 mask = VIRTIO_S_DRIVER_OK | VIRTIO_S_NEEDS_RESET;

	for (unsigned int i = 0; i < vc->n_ports; i++) {
		if ((vc->v.status & mask) == VIRTIO_S_DRIVER_OK)
			transmit_rest(vc, i, last);
		vc->ports[i].open = vc->ports[i].over = false;
		vc->ports[i].pending = 0;
		vc->ports[i].n_sent = 0;
		vc->ports[i].blocked = false;
	}
}

/* ---- control ---------------------------------------------------------------------------- */

static void port_opened(struct virtio_console *vc, unsigned int i, bool open)
{
	struct port *port = &vc->ports[i];

	port->open = open;
	if (!open)
		return;
	/* Linux knows what to do with a size from now on. */
	if (!i && get_le32(vc->v.config + CFG_COLS))
		tell(vc, port, BIT(EVENT_RESIZE));
	dev_doorbell_signal(&rx_queue(vc, i)->bell);
}

/* A message of the driver's; false: it makes no sense. */
static bool take_control(struct virtio_console *vc, u32 id, u16 event, u16 value)
{
	struct port *port = id < vc->n_ports ? &vc->ports[id] : NULL;

	if (event == EVENT_DEVICE_READY) {
		for (unsigned int i = 0; value && i < vc->n_ports; i++) {
			if (vc->ports[i].con)
				tell(vc, &vc->ports[i], BIT(EVENT_PORT_ADD));
		}
		return true;
	}
	if (!port || !port->con)
		return false;
	if (event == EVENT_PORT_OPEN)
		port_opened(vc, id, value);
	else if (event == EVENT_PORT_READY && value)
		tell(vc, port,
		     (id ? BIT(EVENT_PORT_NAME) : BIT(EVENT_CONSOLE_PORT)) | BIT(EVENT_PORT_OPEN));
	else
		return event == EVENT_PORT_READY;
	return true;
}

static void control_tx(struct virtio_console *vc, struct virtio_queue *q)
{
	while (virtio_next(q, &vc->chain)) {
		u8 msg[CONTROL_LEN] = { 0 };
		bool ok = gmem_vec_read(&vc->chain.out, 0, msg, sizeof(msg)) &&
			  take_control(vc, get_le32(msg), get_le16(msg + 4), get_le16(msg + 6));

		if (!ok && ratelimit_ok(&vc->v.limit))
			log_debug(vc->v.dev->env->log,
				  "%s: ignored event %u of port %u, a message of %zu bytes",
				  vc->v.dev->name, get_le16(msg + 4), get_le32(msg),
				  vc->chain.out.len);
		vq_push(&q->vq, &vc->chain.used, 0);
	}
}

static struct port *next_pending(struct virtio_console *vc)
{
	for (unsigned int i = 0; i < vc->n_ports; i++) {
		if (vc->ports[i].pending)
			return &vc->ports[i];
	}
	return NULL;
}

/* The first message about @port, into room for any; its length. */
static size_t make_control(struct virtio_console *vc, struct port *port, u8 *msg)
{
	u16 event = (u16)__builtin_ctz(port->pending);
	size_t len = 0;

	port->pending &= (u8)~BIT(event);
	put_le32(msg, (u32)(port - vc->ports));
	put_le16(msg + 4, event);
	put_le16(msg + 6, 1);
	if (event == EVENT_PORT_OPEN) {
		port->over = is_over(vc, port);
		put_le16(msg + 6, !port->over);
	} else if (event == EVENT_RESIZE) {
		/* In this order; Linux before 6.16 took them for rows and columns. */
		len = SIZE_LEN;
		memcpy(msg + CONTROL_LEN, vc->v.config + CFG_COLS, len);
	} else if (event == EVENT_PORT_NAME) {
		len = strlen(port->name);
		memcpy(msg + CONTROL_LEN, port->name, len);
	}
	return CONTROL_LEN + len;
}

static void control_rx(struct virtio_console *vc, struct virtio_queue *q)
{
	struct port *port;

	while ((port = next_pending(vc)) && virtio_next(q, &vc->chain)) {
		u8 msg[CONTROL_LEN + LKVM_PORT_NAME_MAX];
		size_t len = make_control(vc, port, msg);

		/* A buffer that is too small gets what fits: the driver's own loss. */
		len = min_u64(len, vc->chain.in.len);
		gmem_vec_write(&vc->chain.in, 0, msg, len);
		vq_push(&q->vq, &vc->chain.used, (u32)len);
	}
}

/* ---- the console's side ----------------------------------------------------------------- */

static void take_size(struct virtio_console *vc)
{
	u8 *config = vc->v.config;
	u16 cols, rows;

	console_size(vc->ports[0].con, &cols, &rows);
	if (get_le16(config + CFG_COLS) == cols && get_le16(config + CFG_ROWS) == rows)
		return;
	put_le16(config + CFG_COLS, cols);
	put_le16(config + CFG_ROWS, rows);
	virtio_config_changed(&vc->v);
	/* With MULTIPORT Linux looks at the message alone; without, nobody does. */
	if (vc->ports[0].open)
		tell(vc, &vc->ports[0], BIT(EVENT_RESIZE));
}

static void port_ready(struct dev *dev, void *con)
{
	struct virtio_console *vc = to_vc(virtio_of(dev));

	for (unsigned int i = 0; i < vc->n_ports; i++) {
		if (vc->ports[i].con != con)
			continue;
		if (!i) {
			take_size(vc);
			/* See config_write(). */
			if (console_room(con))
				dev_throttle(dev, false);
		}
		/* Not unasked: with bus mastering off the rings may be another kernel's memory. */
		if (vc->ports[i].blocked)
			virtio_run(tx_queue(vc, i));
		virtio_run(rx_queue(vc, i));
	}
}

/* ---- life ------------------------------------------------------------------------------- */

static void vc_kick(struct virtio *v, struct virtio_queue *q)
{
	struct virtio_console *vc = to_vc(v);
	struct port *port = &vc->ports[q->index < 2 ? 0 : q->index / 2 - 1];

	if (q->index >= 2 && !virtio_has(v, VIRTIO_CONSOLE_F_MULTIPORT))
		return;
	if (q->index == QUEUE_CONTROL_RX)
		control_rx(vc, q);
	else if (q->index == QUEUE_CONTROL_TX)
		control_tx(vc, q);
	else if (q->index % 2)
		transmit(vc, q, port);
	else
		receive(vc, q, port);
}

/*
 * A single byte of output, from a driver that has no queues yet or no more; features and status
 * do not matter (5.3.4.1). What it costs to make it wait is the vCPU's, as with a serial port.
 */
static void vc_config_write(struct virtio *v, u32 off, unsigned int size, u64 val)
{
	struct console *con = to_vc(v)->ports[0].con;

	(void)size;
	if (off == CFG_EMERG_WR && con && console_put(con, (u8)val))
		dev_throttle(v->dev, true);
}

static void vc_activate(struct virtio *v)
{
	/* Without messages there is no telling. */
	if (!virtio_has(v, VIRTIO_CONSOLE_F_MULTIPORT))
		to_vc(v)->ports[0].open = true;
}

static void vc_reset(struct virtio *v)
{
	leave(to_vc(v), false);
}

_Static_assert(2 * (1 + LKVM_MAX_PORTS) + 2 <= VIRTIO_MAX_QUEUES,
	       "queues of port 0, of the other ports, and for control");

static int vc_init(struct virtio *v, const void *cfg, struct lkvm_error *err)
{
	const struct virtio_console_cfg *c = cfg;
	struct virtio_console *vc = to_vc(v);
	u16 cols, rows;

	vc->ports = calloc(c->n_ports + 1, sizeof(*vc->ports));
	if (!vc->ports)
		return err_host(err, ENOMEM, "device %s", v->dev->name);
	vc->n_ports = c->n_ports + 1;
	vc->ports[0].con = c->console;
	for (unsigned int i = 1; i < vc->n_ports; i++) {
		vc->ports[i].con = c->ports[i - 1].console;
		snprintf(vc->ports[i].name, sizeof(vc->ports[i].name), "%s", c->ports[i - 1].name);
	}
	for (unsigned int i = 0; i < vc->n_ports; i++) {
		if (vc->ports[i].con)
			console_attach(vc->ports[i].con, v->dev, port_ready);
	}
	v->features = BIT(VIRTIO_CONSOLE_F_MULTIPORT);
	put_le32(v->config + CFG_MAX_NR_PORTS, vc->n_ports);
	v->config_len = CFG_LEN;
	if (c->console) {
		v->features |= BIT(VIRTIO_CONSOLE_F_SIZE) | BIT(VIRTIO_CONSOLE_F_EMERG_WRITE);
		console_size(c->console, &cols, &rows);
		put_le16(v->config + CFG_COLS, cols);
		put_le16(v->config + CFG_ROWS, rows);
	}
	return virtio_add_queues(v, 2 * vc->n_ports + 2, QUEUE_SIZE, err);
}

static void vc_fini(struct virtio *v)
{
	struct virtio_console *vc = to_vc(v);

	for (unsigned int i = 0; i < vc->n_ports; i++) {
		if (vc->ports[i].con)
			console_detach(vc->ports[i].con, v->dev);
	}
	leave(vc, true);
	free(vc->ports);
}

const struct virtio_class virtio_console_class = {
	.name = "virtio-console",
	.id = VIRTIO_ID_CONSOLE,
	.pci_class = 0x078000, /* communication, other */
	.size = sizeof(struct virtio_console),
	.last_words = 0xaaaaaaaaaaaaaaaa, /* the transmitq of each port */
	.init = vc_init,
	.fini = vc_fini,
	.activate = vc_activate,
	.kick = vc_kick,
	.reset = vc_reset,
	.config_write = vc_config_write,
};
