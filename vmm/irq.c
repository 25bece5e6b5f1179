#include "vmm/irq.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

void irq_chip_init(struct irq_chip *chip, void (*set)(void *ctx, u32 gsi, bool level), void *ctx)
{
	*chip = (struct irq_chip){ .set = set, .ctx = ctx };
	pthread_mutex_init(&chip->lock, NULL);
}

void irq_chip_fini(struct irq_chip *chip)
{
	pthread_mutex_destroy(&chip->lock);
}

void irq_pulse(struct irq_chip *chip, u32 gsi)
{
	pthread_mutex_lock(&chip->lock);
	chip->set(chip->ctx, gsi, true);
	chip->set(chip->ctx, gsi, false);
	pthread_mutex_unlock(&chip->lock);
}

void irq_set(struct irq_line *line, bool level)
{
	struct irq_chip *chip = line->chip;
	bool change;

	if (!chip || line->level == level)
		return;
	line->level = level;
	pthread_mutex_lock(&chip->lock);
	if (level)
		change = !chip->asserted[line->gsi]++;
	else
		change = !--chip->asserted[line->gsi];
	if (change)
		chip->set(chip->ctx, line->gsi, level);
	pthread_mutex_unlock(&chip->lock);
}

/* ---- messages ------------------------------------------------------------------------- */

static int msi_claim(struct irq_chip *chip, struct irq_msi *msi)
{
	int ret = -ENOSPC;

	pthread_mutex_lock(&chip->lock);
	for (u32 i = 0; i < IRQ_MAX_MSI; i++) {
		if (chip->msis[i])
			continue;
		chip->msis[i] = msi;
		msi->index = i;
		ret = 0;
		break;
	}
	pthread_mutex_unlock(&chip->lock);
	return ret;
}

int irq_msi_init(struct irq_msi *msi, struct irq_chip *chip, struct lkvm_error *err)
{
	if (!chip || !chip->bind)
		return -EOPNOTSUPP;
	msi->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (msi->fd < 0)
		return err_host(err, errno, "interrupt message: eventfd");
	if (msi_claim(chip, msi)) {
		close(msi->fd);
		return err_host(err, ENOSPC, "more than %d interrupt messages", IRQ_MAX_MSI);
	}
	msi->chip = chip;
	return 0;
}

void irq_msi_fini(struct irq_msi *msi)
{
	struct irq_chip *chip = msi->chip;

	if (!chip)
		return;
	irq_msi_unbind(msi);
	pthread_mutex_lock(&chip->lock);
	chip->msis[msi->index] = NULL;
	pthread_mutex_unlock(&chip->lock);
	close(msi->fd);
	msi->chip = NULL;
}

/* True when it was signalled; no longer so then. */
static bool msi_take_pending(struct irq_msi *msi)
{
	u64 count;

	return read(msi->fd, &count, sizeof(count)) == sizeof(count);
}

int irq_msi_bind(struct irq_msi *msi, u64 addr, u32 data)
{
	struct irq_msi old = *msi;
	bool pending;
	int ret;

	if (msi->bound && msi->addr == addr && msi->data == data)
		return 0;
	/*
	 * What is pending is signalled again afterwards: a binding that finds the eventfd
	 * signalled sends, but may leave the signal there, to be sent once more by the next.
	 */
	pending = !msi->bound && msi_take_pending(msi);
	pthread_mutex_lock(&msi->chip->lock);
	msi->addr = addr;
	msi->data = data;
	msi->bound = true;
	ret = msi->chip->bind(msi->chip->ctx, msi);
	if (ret)
		*msi = old;
	pthread_mutex_unlock(&msi->chip->lock);
	if (pending)
		irq_msi_send(msi);
	return ret;
}

void irq_msi_unbind(struct irq_msi *msi)
{
	if (!msi->bound)
		return;
	pthread_mutex_lock(&msi->chip->lock);
	msi->bound = false;
	msi->chip->bind(msi->chip->ctx, msi);
	pthread_mutex_unlock(&msi->chip->lock);
}

void irq_msi_send(struct irq_msi *msi)
{
	u64 one = 1;
	/* EAGAIN: the counter is full, so it was signalled. */
	ssize_t n = write(msi->fd, &one, sizeof(one));

	(void)n;
}

bool irq_msi_pending(const struct irq_msi *msi)
{
	struct pollfd p = { .fd = msi->fd, .events = POLLIN };

	return msi->chip && !msi->bound && poll(&p, 1, 0) == 1;
}
