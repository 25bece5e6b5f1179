/* its.c - the interrupt translation service (Documentation/virt/kvm/devices/arm-vgic-its.rst). */
#include "tests/fakekvm/arm64/arm64.h"

#include <errno.h>

#define ITS_LEN	 0x20000
#define PAGE_64K 0x10000

#define CTLR	0x0000
#define IIDR	0x0004
#define TYPER	0x0008
#define CBASER	0x0080
#define CWRITER 0x0088
#define CREADR	0x0090
#define BASER	0x0100
#define BASER_N 8
#define PIDR4	0xffd0
#define PIDR2	0xffe8
#define LAST	0x10000

#define CTLR_ENABLE    BIT(0)
#define CTLR_QUIESCENT BIT(31)
#define VALID	       BIT(63) /* of CBASER and BASER<n> */
#define CMD_OFFSET     0x000fffe0ull

void arm64_its_reset(struct arm64_its *its)
{
	u64 base = its->base;

	*its = (struct arm64_its){ .exists = true, .base = base };
	its->iidr = 0x4b00143b; /* ABI revision 1, as KVM's */
	its->typer = 0x1eff71;	/* 8-byte ITEs, 16 bits of EventID and DeviceID, physical LPIs */
	its->baser[0] = 0x0107000000000000; /* devices, 8 bytes each */
	its->baser[1] = 0x0407000000000000; /* collections, 8 bytes each */
}

/* Set once, 64 KiB aligned. */
static int addr_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	struct arm64_its *its = &arm64_vm(c->vm)->its;
	u64 *user = arm64_user(a->addr);
	int ret;

	if (a->attr != KVM_VGIC_ITS_ADDR_TYPE)
		return verb == ARM64_HAS ? -ENXIO : -ENODEV;
	if (verb == ARM64_HAS)
		return 0;
	if (!user)
		return -EFAULT;
	if (verb == ARM64_GET) {
		*user = its->base;
		return 0;
	}
	fake_note(c, " 0x%llx", (unsigned long long)*user);
	ret = arm64_check_range(c->vm, its->base, *user, PAGE_64K, ITS_LEN);
	if (!ret)
		its->base = *user;
	return ret;
}

/* ---- Registers ---- */

static u64 get_reg(const struct arm64_its *its, u64 off)
{
	switch (off) {
	case CTLR:
		return its->ctlr | (its->ctlr & CTLR_ENABLE ? 0 : CTLR_QUIESCENT);
	case IIDR:
		return its->iidr;
	case TYPER:
		return its->typer;
	case CBASER:
		return its->cbaser;
	case CWRITER:
		return its->cwriter;
	case CREADR:
		return its->creadr;
	case PIDR2:
		return 0x3b;
	default:
		if (off >= BASER && off < BASER + 8 * BASER_N)
			return its->baser[(off - BASER) / 8];
		return 0;
	}
}

static u64 queue_len(const struct arm64_its *its)
{
	return ((its->cbaser & 0xff) + 1) * FAKE_PAGE;
}

/*
 * What is fixed in BASER<n> stays: type and entry size. CBASER and BASER<n> are not written while
 * enabled; enabling wants CBASER and both tables valid (Arm IHI 0069, 12.19). CREADR by user space
 * alone, within the queue. GITS_IIDR: an ABI revision that KVM knows.
 */
static int set_reg(struct arm64_its *its, u64 off, u64 val)
{
	const u64 fixed = 0x071f000000000000ull;
	bool on = its->ctlr & CTLR_ENABLE;
	unsigned int n = (unsigned int)(off - BASER) / 8;

	switch (off) {
	case CTLR:
		if (!(val & CTLR_ENABLE) ||
		    (its->cbaser & VALID && its->baser[0] & VALID && its->baser[1] & VALID))
			its->ctlr = val & CTLR_ENABLE;
		return 0;
	case IIDR:
		if ((val >> 12 & 0xf) > 1)
			return -EINVAL;
		its->iidr = (its->iidr & ~0xf000ull) | (val & 0xf000);
		return 0;
	case CBASER:
		if (!on) {
			its->cbaser = val;
			its->creadr = 0;
			its->cwriter = its->creadr;
		}
		return 0;
	case CWRITER:
		if ((val & CMD_OFFSET) < queue_len(its))
			its->cwriter = val & CMD_OFFSET;
		return 0;
	case CREADR:
		if ((val & CMD_OFFSET) >= queue_len(its))
			return -EINVAL;
		its->creadr = val & CMD_OFFSET;
		return 0;
	default:
		/* the other BASER<n> are not implemented */
		if (off >= BASER && n < 2 && !on)
			its->baser[n] = (val & ~fixed) | (its->baser[n] & fixed);
		return 0;
	}
}

static bool is_reg(u64 off)
{
	return off == CTLR || off == IIDR || off == TYPER || off == CBASER || off == CWRITER ||
	       off == CREADR || (off >= BASER && off < BASER + 8 * BASER_N) ||
	       (off >= PIDR4 && off < LAST);
}

/*
 * "64 bit registers can only be accessed with full length": EINVAL misaligned; ENXIO for what is no
 * register, or an ITS without an address (vgic-its.c of the kernel); EBUSY while a vCPU runs.
 */
static int reg_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	struct arm64_its *its = &arm64_vm(c->vm)->its;
	u64 align = a->attr < TYPER || a->attr >= PIDR4 ? 4 : 8;
	u64 *user = arm64_user(a->addr);

	if (verb != ARM64_HAS && !user)
		return -EFAULT;
	if (a->attr % align)
		return -EINVAL;
	if (verb == ARM64_HAS)
		return is_reg(a->attr) ? 0 : -ENXIO;
	if (its->base == ARM64_UNDEF || !is_reg(a->attr))
		return -ENXIO;
	if (fake_any_running(c->fk, c->vm))
		return -EBUSY;
	if (verb == ARM64_SET) {
		fake_note(c, " 0x%llx", (unsigned long long)*user);
		return set_reg(its, a->attr, *user);
	}
	*user = get_reg(its, a->attr);
	return 0;
}

/* ---- Tables ---- */

/* A table lies in guest memory: EFAULT else. One that the guest did not provide is passed over. */
static int check_tables(struct fake_call *c)
{
	const struct arm64_its *its = &arm64_vm(c->vm)->its;

	for (unsigned int i = 0; i < 2; i++)
		if (its->baser[i] & VALID &&
		    !fake_gpa(c->vm, its->baser[i] & 0x0000ffffffff0000ull, PAGE_64K))
			return -EFAULT;
	return 0;
}

/*
 * EBUSY while a vCPU runs. RESTORE after all registers but GITS_CTLR ("ITS Restore Sequence"). The
 * vgic must be initialised: restored interrupts are its.
 */
static int ctrl_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	struct arm64_its *its = &arm64_vm(c->vm)->its;

	if (a->attr != KVM_DEV_ARM_VGIC_CTRL_INIT && a->attr != KVM_DEV_ARM_ITS_CTRL_RESET &&
	    a->attr != KVM_DEV_ARM_ITS_SAVE_TABLES && a->attr != KVM_DEV_ARM_ITS_RESTORE_TABLES)
		return -ENXIO;
	if (verb != ARM64_SET)
		return verb == ARM64_HAS ? 0 : -ENXIO;
	if (a->attr == KVM_DEV_ARM_VGIC_CTRL_INIT)
		return 0;
	if (fake_any_running(c->fk, c->vm))
		return -EBUSY;
	if (a->attr == KVM_DEV_ARM_ITS_CTRL_RESET) {
		arm64_its_reset(its);
		return 0;
	}
	if (its->base == ARM64_UNDEF || !arm64_vm(c->vm)->gic_ready)
		return -ENXIO;
	if (a->attr == KVM_DEV_ARM_ITS_RESTORE_TABLES && its->ctlr & CTLR_ENABLE)
		fake_complain(c->fk, "ITS_RESTORE_TABLES of an enabled ITS, arm-vgic-its.rst");
	return check_tables(c);
}

int arm64_its_attr(struct fake_call *c, enum arm64_verb verb, const struct kvm_device_attr *a)
{
	switch (a->group) {
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		return addr_attr(c, verb, a);
	case KVM_DEV_ARM_VGIC_GRP_CTRL:
		return ctrl_attr(c, verb, a);
	case KVM_DEV_ARM_VGIC_GRP_ITS_REGS:
		return reg_attr(c, verb, a);
	default:
		return -ENXIO;
	}
}
