#include "vmm/irq.h"

void irq_chip_init(struct irq_chip *chip, void (*set)(void *ctx, u32 gsi, bool level), void *ctx)
{
	*chip = (struct irq_chip){ .set = set, .ctx = ctx };
	pthread_mutex_init(&chip->lock, NULL);
}

void irq_chip_fini(struct irq_chip *chip)
{
	pthread_mutex_destroy(&chip->lock);
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
