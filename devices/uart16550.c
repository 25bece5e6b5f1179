/*
 * uart16550.c - a 16550A serial port (National Semiconductor PC16550D data sheet).
 *
 * What is emulated is a line that is never too fast: a byte written is gone at once,
 * and input waits on the wire until the guest takes it. So overrun, parity, framing and
 * break never happen (overrun does in loopback), and the divisor is storage.
 *
 * Output that the host does not take in time holds the guest back twice: the
 * transmitter shows itself busy, which is enough for a driver that looks; and before
 * anything of a driver that does not look could be lost, its vCPU waits (dev_throttle).
 *
 * Input stays on the line until the guest listens, that is, enables the receive
 * interrupt or keeps polling LSR: the reads of RBR of a driver's start-up would otherwise eat
 * what was piped in beforehand. The FIFO resets would as well (Linux enables the FIFO after
 * the interrupt, which empties it), so they send back to the line what came from it.
 */
#include "devices/classes.h"
#include "vmm/console.h"

/* Registers (data sheet, table 2); DLL and DLM take the place of the first two under LCR.DLAB. */
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RDI	 0x01 /* received data available, and time-out */
#define IER_THRI 0x02 /* transmitter holding register empty */
#define IER_RLSI 0x04 /* receiver line status */
#define IER_MSI	 0x08 /* modem status */
#define IER_MASK 0x0f

#define IIR_MSI	 0x00
#define IIR_NONE 0x01
#define IIR_THRI 0x02
#define IIR_RDI	 0x04
#define IIR_RLSI 0x06
#define IIR_CTI	 0x0c /* character time-out: less than the trigger level, nothing follows */
#define IIR_FIFO 0xc0

#define FCR_ENABLE   0x01
#define FCR_RESET_RX 0x02

#define LCR_DLAB 0x80

#define MCR_DTR	 0x01
#define MCR_RTS	 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DR	 0x01
#define LSR_OE	 0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI	0x40
#define MSR_DCD 0x80

#define FIFO_SIZE 16

/* The transmitter shows itself busy when the console has less room than this, in bytes. */
#define TX_LOW_ROOM 256

/* So many reads of LSR with nothing sent in between are a driver that waits for input. */
#define POLLS_TO_LISTEN 32

struct fifo {
	u8 bytes[FIFO_SIZE];
	u8 head, n;
};

struct uart16550 {
	struct dev dev;
	struct uart16550_cfg cfg;
	u8 ier, fcr, lcr, mcr, scr, dll, dlm;
	u8 msr_delta;	    /* the low half of MSR */
	bool overrun;	    /* LSR.OE */
	bool rts_used;	    /* the driver raised RTS at some time */
	bool tx_busy;	    /* the console is nearly full */
	bool thri;	    /* the transmitter interrupt is pending, enabled or not */
	u8 n_polls;	    /* up to POLLS_TO_LISTEN */
	struct fifo looped; /* in the receiver, from loopback */
	struct fifo line;   /* from the console; the first @n_arrived are in the receiver */
	u8 n_arrived;
};

static struct uart16550 *to_uart(struct dev *dev)
{
	return container_of(dev, struct uart16550, dev);
}

/* The callers make sure that there is room, or a byte. */
static void fifo_push(struct fifo *fifo, u8 byte)
{
	fifo->bytes[(fifo->head + fifo->n++) % FIFO_SIZE] = byte;
}

static u8 fifo_pop(struct fifo *fifo)
{
	u8 byte = fifo->bytes[fifo->head];

	fifo->head = (u8)((fifo->head + 1) % FIFO_SIZE);
	fifo->n--;
	return byte;
}

/* Bytes in the receiver; at most rx_size(). */
static unsigned int rx_level(const struct uart16550 *uart)
{
	return uart->looped.n + uart->n_arrived;
}

/* ---- interrupts --------------------------------------------------------------------- */

static u8 rx_trigger(const struct uart16550 *uart)
{
	static const u8 levels[] = { 1, 4, 8, 14 };

	return uart->fcr & FCR_ENABLE ? levels[uart->fcr >> 6] : 1;
}

/* The pending interrupt of the highest priority (data sheet, table 5). */
static u8 pending(const struct uart16550 *uart)
{
	if ((uart->ier & IER_RLSI) && uart->overrun)
		return IIR_RLSI;
	if ((uart->ier & IER_RDI) && rx_level(uart))
		return rx_level(uart) >= rx_trigger(uart) ? IIR_RDI : IIR_CTI;
	if ((uart->ier & IER_THRI) && uart->thri)
		return IIR_THRI;
	if ((uart->ier & IER_MSI) && uart->msr_delta)
		return IIR_MSI;
	return IIR_NONE;
}

/*
 * On a PC the interrupt passes a gate that OUT2 opens, and loopback disconnects OUT2.
 * Behind the gate is an edge-triggered input; the line is high exactly while IIR has
 * something to say, so a handler that reads IIR until it has not misses no edge.
 */
static void update_irq(struct uart16550 *uart)
{
	bool gate = (uart->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	irq_set(&uart->dev.irq, gate && pending(uart) != IIR_NONE);
}

/* ---- receiver ----------------------------------------------------------------------- */

static u8 rx_size(const struct uart16550 *uart)
{
	return uart->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

/* The driver wants input, and neither loopback nor its RTS keeps it away. */
static bool rx_open(const struct uart16550 *uart)
{
	bool listens = (uart->ier & IER_RDI) || uart->n_polls == POLLS_TO_LISTEN;
	/* Dropping RTS alone asks for a pause; never having raised it means nothing. */
	bool pause = uart->rts_used && (uart->mcr & (MCR_DTR | MCR_RTS)) == MCR_DTR;

	return listens && !pause && !(uart->mcr & MCR_LOOP);
}

static void rx_fill(struct uart16550 *uart)
{
	u8 byte;

	if (!uart->cfg.console || uart->cfg.output_only || !rx_open(uart))
		return;
	while (rx_level(uart) < rx_size(uart)) {
		if (uart->n_arrived == uart->line.n) {
			if (!console_get(uart->cfg.console, &byte))
				return;
			fifo_push(&uart->line, byte);
		}
		uart->n_arrived++;
	}
}

static u8 rx_pop(struct uart16550 *uart)
{
	u8 byte = 0;

	if (uart->looped.n) {
		byte = fifo_pop(&uart->looped);
	} else if (uart->n_arrived) {
		byte = fifo_pop(&uart->line);
		uart->n_arrived--;
	}
	rx_fill(uart);
	return byte;
}

/* What came down the line is on it again: a reset costs the guest no input. */
static void rx_reset(struct uart16550 *uart)
{
	uart->looped.n = 0;
	uart->n_arrived = 0;
}

/* ---- transmitter -------------------------------------------------------------------- */

static void tx(struct uart16550 *uart, u8 byte)
{
	struct console *con = uart->cfg.console;

	uart->n_polls = 0;
	if (uart->mcr & MCR_LOOP) {
		if (rx_level(uart) < rx_size(uart))
			fifo_push(&uart->looped, byte);
		else
			uart->overrun = true;
	} else if (con) {
		if (console_put(con, byte))
			dev_throttle(&uart->dev, true);
		uart->tx_busy |= console_room(con) < TX_LOW_ROOM;
	}
	/* Filled and emptied again in the same instant, unless the console is slow. */
	uart->thri = !uart->tx_busy;
}

static void uart_console_ready(struct dev *dev, void *con)
{
	struct uart16550 *uart = to_uart(dev);

	if (console_room(con) >= TX_LOW_ROOM) {
		dev_throttle(dev, false);
		uart->thri |= uart->tx_busy;
		uart->tx_busy = false;
	}
	rx_fill(uart);
	update_irq(uart);
}

/* ---- registers ---------------------------------------------------------------------- */

/* The high half of MSR: in loopback the outputs, else a cable with everything asserted but RI. */
static u8 modem_lines(u8 mcr)
{
	if (!(mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (u8)((mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
		    (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void write_mcr(struct uart16550 *uart, u8 val)
{
	u8 before = modem_lines(uart->mcr), after = modem_lines(val);
	u8 changed = before ^ after;

	/* RI is reported when it goes away only, the others on any change. */
	if (after & MSR_RI)
		changed &= (u8)~MSR_RI;
	uart->msr_delta |= changed >> 4;
	uart->mcr = val & MCR_MASK;
	uart->rts_used |= (val & (MCR_RTS | MCR_LOOP)) == MCR_RTS;
	rx_fill(uart);
}

static void write_fcr(struct uart16550 *uart, u8 val)
{
	if (((val ^ uart->fcr) & FCR_ENABLE) || (val & FCR_RESET_RX))
		rx_reset(uart);
	uart->fcr = val & FCR_ENABLE ? val : 0;
	rx_fill(uart);
}

static void write_ier(struct uart16550 *uart, u8 val)
{
	/* Enabling the transmitter's interrupt while it is empty raises it. */
	if ((val & ~uart->ier & IER_THRI) && !uart->tx_busy)
		uart->thri = true;
	uart->ier = val & IER_MASK;
	rx_fill(uart);
}

static u8 read_iir(struct uart16550 *uart)
{
	u8 id = pending(uart);

	if (id == IIR_THRI)
		uart->thri = false;
	return id | (uart->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static u8 read_lsr(struct uart16550 *uart)
{
	u8 val = 0;

	/* Behind a busy transmitter the guest polls for that, not for input. */
	if (uart->n_polls < POLLS_TO_LISTEN && !uart->tx_busy) {
		uart->n_polls++;
		rx_fill(uart);
	}
	if (!uart->tx_busy)
		val |= LSR_THRE | LSR_TEMT;
	if (rx_level(uart))
		val |= LSR_DR;
	if (uart->overrun)
		val |= LSR_OE;
	uart->overrun = false;
	return val;
}

static u8 read_msr(struct uart16550 *uart)
{
	u8 val = modem_lines(uart->mcr) | uart->msr_delta;

	uart->msr_delta = 0;
	return val;
}

static u8 read_reg(struct uart16550 *uart, u64 off)
{
	bool dlab = uart->lcr & LCR_DLAB;

	switch (off) {
	case REG_DATA:
		return dlab ? uart->dll : rx_pop(uart);
	case REG_IER:
		return dlab ? uart->dlm : uart->ier;
	case REG_IIR_FCR:
		return read_iir(uart);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return read_lsr(uart);
	case REG_MSR:
		return read_msr(uart);
	case REG_SCR:
		return uart->scr;
	}
	return 0xff;
}

static void write_reg(struct uart16550 *uart, u64 off, u8 val)
{
	bool dlab = uart->lcr & LCR_DLAB;

	switch (off) {
	case REG_DATA:
		if (dlab)
			uart->dll = val;
		else
			tx(uart, val);
		break;
	case REG_IER:
		if (dlab)
			uart->dlm = val;
		else
			write_ier(uart, val);
		break;
	case REG_IIR_FCR:
		write_fcr(uart, val);
		break;
	case REG_LCR:
		uart->lcr = val;
		break;
	case REG_MCR:
		write_mcr(uart, val);
		break;
	case REG_SCR:
		uart->scr = val;
		break;
	default: /* LSR, MSR: writes are for factory tests */
		break;
	}
}

static u64 uart_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	struct uart16550 *uart = to_uart(dev);
	u8 val = read_reg(uart, off);

	(void)tag;
	(void)size;
	update_irq(uart);
	return val;
}

static void uart_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct uart16550 *uart = to_uart(dev);

	(void)tag;
	(void)size;
	write_reg(uart, off, (u8)val);
	update_irq(uart);
}

static int uart_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct uart16550 *uart = to_uart(dev);

	(void)err;
	uart->cfg = *(const struct uart16550_cfg *)cfg;
	/* 115200 baud, as firmware would leave it: drivers divide by it. */
	uart->dll = 1;
	if (uart->cfg.console)
		console_attach(uart->cfg.console, dev, uart_console_ready);
	return 0;
}

static void uart_fini(struct dev *dev)
{
	struct uart16550 *uart = to_uart(dev);

	if (uart->cfg.console)
		console_detach(uart->cfg.console, dev);
}

const struct dev_class uart16550_class = {
	.name = "uart16550",
	.size = sizeof(struct uart16550),
	.init = uart_init,
	.fini = uart_fini,
	.read = uart_read,
	.write = uart_write,
};
