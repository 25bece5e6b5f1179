/*
 * gicv2m.c - a frame of registers that turns messages into shared interrupts (gicv2m.h).
 *
 * One range, 2- and 4-byte access. Messages of other devices never come here: they are bound to the
 * frame's address, and whoever binds them knows which interrupt that means. What comes here is
 * what a CPU writes.
 */
#include "devices/gicv2m.h"

#include "devices/classes.h"

struct gicv2m {
	struct dev dev;
	struct gicv2m_cfg cfg;
};

static u64 gicv2m_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	const struct gicv2m *g = container_of(dev, struct gicv2m, dev);

	(void)tag;
	(void)size;
	/* IIDR, like all that is reserved, is zero: nobody's product, GICv2m, revision 0. */
	return off == GICV2M_MSI_TYPER ? g->cfg.first_intid << 16 | g->cfg.n_intids : 0;
}

static void gicv2m_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	const struct gicv2m *g = container_of(dev, struct gicv2m, dev);

	(void)tag;
	(void)size;
	if (off == GICV2M_SETSPI_NS && val >= g->cfg.first_intid &&
	    val - g->cfg.first_intid < g->cfg.n_intids)
		irq_pulse(dev->irq.chip, g->cfg.first_gsi + (u32)(val - g->cfg.first_intid));
}

static int gicv2m_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	(void)err;
	container_of(dev, struct gicv2m, dev)->cfg = *(const struct gicv2m_cfg *)cfg;
	return 0;
}

const struct dev_class gicv2m_class = {
	.name = "gicv2m",
	.size = sizeof(struct gicv2m),
	.init = gicv2m_init,
	.read = gicv2m_read,
	.write = gicv2m_write,
};
