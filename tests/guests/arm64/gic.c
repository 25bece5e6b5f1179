/*
 * gic.c - enough of a GIC to hear of a few interrupts on the first CPU: GICv2 (Arm IHI 0048) or
 * GICv3 (IHI 0069), whichever the device tree has.
 */
#include "guest.h"

#define MAX_INTID 96

#define GICD_CTLR      0x000
#define GICD_CTLR_GRP0 BIT(0)
#define GICD_CTLR_GRP1 BIT(1)
#define GICD_CTLR_ARE  BIT(4)
#define GICD_RWP       BIT(31)

/* One bit an interrupt, in the distributor and in GICv3's frame of the private ones. */
#define GIC_IGROUPR    0x080
#define GIC_ISENABLER  0x100
/* A byte an interrupt. */
#define GIC_IPRIORITYR 0x400
#define GICD_ITARGETSR 0x800  /* GICv2 */
#define GICD_IROUTER   0x6000 /* GICv3, 8 bytes an interrupt; 0 is CPU 0.0.0.0 */

#define GICR_WAKER	    0x14
#define GICR_WAKER_SLEEP    BIT(1)
#define GICR_WAKER_CHILDREN BIT(2)
#define GICR_SGI_FRAME	    0x10000

#define GICC_CTLR 0x00
#define GICC_PMR  0x04
#define GICC_IAR  0x0c
#define GICC_EOIR 0x10

#define ICC_SRE_EL2	"S3_4_C12_C9_5"
#define ICC_SRE_EL1	"S3_0_C12_C12_5"
#define ICC_PMR_EL1	"S3_0_C4_C6_0"
#define ICC_IGRPEN1_EL1 "S3_0_C12_C12_7"
#define ICC_IAR1_EL1	"S3_0_C12_C12_0"
#define ICC_EOIR1_EL1	"S3_0_C12_C12_1"
#define ICC_SRE_SRE	BIT(0)
#define ICC_SRE_ENABLE	BIT(3) /* of the EL2 register: EL1 may use its own */

#define INTID_MASK    0x3ff
#define INTID_SPECIAL 1020 /* from here on: there is none */
#define PRIORITY      0x80

void guest_irq(void);

static void (*handlers[MAX_INTID])(void);
static volatile u32 n_handled;

/* ---- the CPU's side ---- */

static void cpu_init(void)
{
	if (!boot.has_gicv3) {
		mmio_write32(ARM64_GICV2_CPU_BASE + GICC_PMR, 0xff);
		mmio_write32(ARM64_GICV2_CPU_BASE + GICC_CTLR, 1);
		return;
	}
	if (current_el() == 2)
		write_sysreg(ICC_SRE_EL2, read_sysreg(ICC_SRE_EL2) | ICC_SRE_SRE | ICC_SRE_ENABLE);
	write_sysreg(ICC_SRE_EL1, read_sysreg(ICC_SRE_EL1) | ICC_SRE_SRE);
	write_sysreg(ICC_PMR_EL1, 0xff);
	write_sysreg(ICC_IGRPEN1_EL1, 1);
}

void guest_irq(void)
{
	u32 iar = boot.has_gicv3 ? (u32)read_sysreg(ICC_IAR1_EL1)
				 : mmio_read32(ARM64_GICV2_CPU_BASE + GICC_IAR);
	u32 intid = iar & INTID_MASK;

	if (intid >= INTID_SPECIAL)
		return;
	if (intid >= MAX_INTID || !handlers[intid]) {
		put_str("gic: nobody wants interrupt ");
		put_dec(intid);
		put_char('\n');
		verdict(98);
	}
	handlers[intid]();
	n_handled++;
	/* What the handler told the device comes before the end of the interrupt. */
	asm volatile("dsb sy" : : : "memory");
	if (boot.has_gicv3)
		write_sysreg(ICC_EOIR1_EL1, iar);
	else
		mmio_write32(ARM64_GICV2_CPU_BASE + GICC_EOIR, iar);
}

/* ---- the other side ---- */

static u64 redistributor(void)
{
	return ARM64_GICV3_RDIST_BASE(boot.n_cpus);
}

void gic_init(void)
{
	u64 dist = ARM64_GIC_DIST_BASE, waker = redistributor() + GICR_WAKER;

	if (!boot.has_gicv2 && !boot.has_gicv3) {
		put_str("gic: the device tree has none\n");
		verdict(97);
	}
	if (boot.has_gicv3) {
		mmio_write32(dist + GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_GRP1);
		while (mmio_read32(dist + GICD_CTLR) & GICD_RWP)
			;
		mmio_write32(waker, mmio_read32(waker) & ~(u32)GICR_WAKER_SLEEP);
		while (mmio_read32(waker) & GICR_WAKER_CHILDREN)
			;
	} else {
		mmio_write32(dist + GICD_CTLR, GICD_CTLR_GRP0);
	}
	cpu_init();
}

void gic_enable(unsigned int intid, void (*handler)(void))
{
	bool private = intid < ARM64_SPI_INTID;
	u64 base =
		boot.has_gicv3 && private ? redistributor() + GICR_SGI_FRAME : ARM64_GIC_DIST_BASE;
	u64 word = intid / 32 * 4;

	handlers[intid] = handler;
	mmio_write8(base + GIC_IPRIORITYR + intid, PRIORITY);
	if (boot.has_gicv3) {
		mmio_write32(base + GIC_IGROUPR + word,
			     mmio_read32(base + GIC_IGROUPR + word) | (u32)BIT(intid % 32));
		if (!private)
			mmio_write64(base + GICD_IROUTER + 8 * intid, 0);
	} else if (!private) {
		mmio_write8(base + GICD_ITARGETSR + intid, 1);
	}
	mmio_write32(base + GIC_ISENABLER + word, (u32)BIT(intid % 32));
}

void await_irq(void)
{
	u32 before = n_handled;

	/* Masked interrupts end the sleep all the same: none slips in before it. */
	while (n_handled == before)
		asm volatile("wfi; msr daifclr, #2; isb; msr daifset, #2" : : : "memory");
}

void await_irqs(const volatile u32 *count, u32 n)
{
	while (*count < n)
		await_irq();
}

unsigned int timer_intid(bool virt)
{
	if (has_vhe())
		return virt ? ARM64_PPI_HVTIMER : ARM64_PPI_HPTIMER;
	return virt ? ARM64_PPI_VTIMER : ARM64_PPI_PTIMER;
}
