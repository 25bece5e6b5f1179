/*
 * test_state.c - a guest is stopped, everything there is to know of it is put into another machine,
 * and it goes on there as if nothing had happened (T3: real KVM on arm64).
 *
 * The guest is in here: its functions are in a section that is copied to the start of its RAM and
 * runs with the MMU off, at EL1 or as a hypervisor at EL2. Does not prove that a stock kernel
 * survives the move, nor that another host takes the state: both machines are on this one. Where
 * the CPU does not offset CNTPCT_EL0 (emulated ones may not) the guest cannot tell whether it
 * was set; KVM's own view of it is looked at everywhere.
 *
 * Arguments: which tests, by what the host must have: "gicv3", "gicv2", "nested". None: "gicv3
 * nested".
 */
#include "tests/unit/arm64/staterig.h"

#include <time.h>
#include <unistd.h>

#include "linux-uapi/kvm.h"
#include "vmm/dev.h"

/* ---- what guest and host agree on --------------------------------------------------------- */

#define N_VCPUS 3 /* 0 does everything, 1 was started by it and counts, 2 is never started */

#define PARAMS_GPA (ARM64_RAM_BASE + 0x100000)
#define STACK_GPA  (ARM64_RAM_BASE + 0x120000) /* of vCPU 0, growing down; of 1: 64 KiB above */
#define ITS_GPA	   (ARM64_RAM_BASE + 0x200000) /* tables of 64 KiB each */
#define TABLE_LEN  0x10000

enum { TAB_DEVICE, TAB_COLLECTION, TAB_COMMAND, TAB_PROP, TAB_ITT, TAB_PEND };

struct params {
	u64 gic_version; /* 2 or 3 */
	u64 rdist_base;
	u64 its_base; /* 0: none */
	u64 period;   /* of the timer, in ticks */
};

#define DOOR_GPA (ARM64_DEBUG_EXIT_BASE + ARM64_DEV_STEP) /* nobody else's */

/* Registers there, each of 8 bytes: what the guest says, and one it reads. */
enum {
	SAY_COUNT,  /* how often vCPU 0 came around */
	SAY_VIRT,   /* CNTVCT_EL0 */
	SAY_PHYS,   /* CNTPCT_EL0 */
	SAY_TIMER,  /* how often the timer's interrupt came */
	SAY_SPI,    /* how often the test's own came */
	SAY_LPI,    /* an LPI came: which */
	SAY_MASKED, /* interrupts are masked: at which count */
	SAY_CPU1,   /* how often vCPU 1 came around */
	SAY_EL,
	SAY_CYCLES, /* PMCCNTR_EL0 */
	SAY_BAD,    /* something is wrong */
	ASK_ORDERS,
	N_DOOR_REGS,
};

#define ORDER_MASK   1 /* keep interrupts masked */
#define ORDER_FINISH 2 /* see that nothing was lost, then power off */

enum { BAD_VECTOR = 1, BAD_INTID, BAD_FP, BAD_TLS, BAD_EARLY, BAD_PMU };

#define TEST_SPI    5 /* GSI; level triggered */
#define FP_PATTERN  0x5a5a1234a5a5c3c3ull
#define TLS_PATTERN 0x0123456789abcdefull
#define CNTVOFF	    0x123456789ull /* the guest's own, for guests that it has not */
#define MSI_DEVID   0x10
#define LPI_FIRST   8192
#define N_LPIS	    2 /* event n of the device is LPI_FIRST + n */

#ifdef __aarch64__

/* ---- the guest ------------------------------------------------------------------------------ */

/* Nothing that is not in the section: no literals, tables, library calls, floating point. */
#pragma GCC push_options
#pragma GCC optimize("no-jump-tables", "no-tree-loop-distribute-patterns", "no-stack-protector")
#pragma GCC target("general-regs-only", "strict-align")

#define GUEST	     __attribute__((section("guest_text"), used))
#define GUEST_INLINE static inline __attribute__((always_inline))

extern const u8 __start_guest_text[], __stop_guest_text[], guest_entry[];

#define READ_SYS(reg)                                                       \
	({                                                                  \
		u64 val_;                                                   \
		__asm__ volatile("mrs %0, " reg : "=r"(val_) : : "memory"); \
		val_;                                                       \
	})
#define WRITE_SYS(reg, val) \
	__asm__ volatile("msr " reg ", %0\n\tisb" : : "r"((u64)(val)) : "memory")

#define ICC_IAR1_EL1	"S3_0_C12_C12_0"
#define ICC_EOIR1_EL1	"S3_0_C12_C12_1"
#define ICC_IGRPEN1_EL1 "S3_0_C12_C12_7"
#define ICC_PMR_EL1	"S3_0_C4_C6_0"

/* One plain instruction each: KVM emulates no others. */
GUEST_INLINE void put32(u64 gpa, u32 val)
{
	__asm__ volatile("dsb sy\n\tstr %w0, [%1]" : : "r"(val), "r"(gpa) : "memory");
}

GUEST_INLINE u32 get32(u64 gpa)
{
	u32 val;

	__asm__ volatile("ldr %w0, [%1]\n\tdsb sy" : "=r"(val) : "r"(gpa) : "memory");
	return val;
}

GUEST_INLINE void put64(u64 gpa, u64 val)
{
	__asm__ volatile("dsb sy\n\tstr %0, [%1]" : : "r"(val), "r"(gpa) : "memory");
}

GUEST_INLINE u64 get64(u64 gpa)
{
	u64 val;

	__asm__ volatile("ldr %0, [%1]\n\tdsb sy" : "=r"(val) : "r"(gpa) : "memory");
	return val;
}

GUEST_INLINE void say(unsigned int what, u64 val)
{
	put64(DOOR_GPA + 8 * what, val);
}

GUEST_INLINE bool at_el2(void)
{
	return READ_SYS("CurrentEL") >> 2 == 2;
}

GUEST_INLINE u64 psci(u64 fn, u64 a, u64 b, u64 c)
{
	register u64 x0 __asm__("x0") = fn;
	register u64 x1 __asm__("x1") = a;
	register u64 x2 __asm__("x2") = b;
	register u64 x3 __asm__("x3") = c;

	if (at_el2())
		__asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
	else
		__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
	return x0;
}

#define PARAM(name) get64(PARAMS_GPA + offsetof(struct params, name))

/* With EL2 and VHE, what EL1 calls the virtual timer is EL2's own. */
GUEST_INLINE u32 timer_intid(void)
{
	return at_el2() ? ARM64_PPI_HVTIMER : ARM64_PPI_VTIMER;
}

GUEST_INLINE void its_command(u64 n, u64 w0, u64 w1, u64 w2)
{
	u64 at = ITS_GPA + TAB_COMMAND * TABLE_LEN + 32 * n;

	put64(at, w0);
	put64(at + 8, w1);
	put64(at + 16, w2);
	put64(at + 24, 0);
}

/* IHI 0069: 5.3 (commands), 12.19 (registers). One device, one collection: vCPU 0's. */
GUEST void guest_its_init(u64 its)
{
	u64 rd = PARAM(rdist_base), n = 0;

	for (u64 i = 0; i < 8; i++) {
		u64 baser = get64(its + 0x100 + 8 * i), type = baser >> 56 & 7;

		if (type == 1 || type == 4)
			put64(its + 0x100 + 8 * i,
			      1ull << 63 | 2 << 8 |
				      (ITS_GPA +
				       (type == 1 ? TAB_DEVICE : TAB_COLLECTION) * TABLE_LEN));
	}
	for (u64 i = 0; i < N_LPIS; i += 4)
		put32(ITS_GPA + TAB_PROP * TABLE_LEN + i, 0xa1a1a1a1); /* priority a0, enabled */
	put64(rd + 0x70, (ITS_GPA + TAB_PROP * TABLE_LEN) | 15);
	put64(rd + 0x78, ITS_GPA + TAB_PEND * TABLE_LEN);
	put32(rd, 1);
	put64(its + 0x80, 1ull << 63 | (ITS_GPA + TAB_COMMAND * TABLE_LEN) | 15);
	put32(its, 1);
	its_command(n++, 0x08 | (u64)MSI_DEVID << 32, 4,
		    1ull << 63 | (ITS_GPA + TAB_ITT * TABLE_LEN)); /* MAPD */
	its_command(n++, 0x09, 0, 1ull << 63);			   /* MAPC: collection 0, CPU 0 */
	for (u64 i = 0; i < N_LPIS; i++)
		its_command(n++, 0x0a | (u64)MSI_DEVID << 32, i | (LPI_FIRST + i) << 32, 0);
	its_command(n++, 0x05, 0, 0); /* SYNC */
	put64(its + 0x88, 32 * n);
	while (get64(its + 0x90) != 32 * n)
		;
}

/* The layout of these registers is the same in GICv2, and in GICv3's two places. */
GUEST_INLINE void enable_irq(u64 frame, u32 intid)
{
	u64 group = frame + 0x80 + intid / 32 * 4;

	if (PARAM(gic_version) == 3)
		put32(group, get32(group) | 1u << intid % 32);
	put32(frame + 0x400 + intid / 4 * 4, 0xa0a0a0a0);
	put32(frame + 0x100 + intid / 32 * 4, 1u << intid % 32);
}

GUEST void guest_gic_init(void)
{
	u64 its = PARAM(its_base);
	u32 spi = ARM64_SPI_INTID + TEST_SPI;

	put32(ARM64_GIC_DIST_BASE + 0xc00 + spi / 16 * 4, 0); /* level triggered */
	if (PARAM(gic_version) == 2) {
		put32(ARM64_GIC_DIST_BASE, 1);
		put32(ARM64_GIC_DIST_BASE + 0x800 + spi / 4 * 4, 0x01010101); /* to CPU 0 */
		enable_irq(ARM64_GIC_DIST_BASE, timer_intid());
		enable_irq(ARM64_GIC_DIST_BASE, spi);
		put32(ARM64_GICV2_CPU_BASE + 4, 0xf0);
		put32(ARM64_GICV2_CPU_BASE, 3);
		return;
	}
	put32(ARM64_GIC_DIST_BASE, 0x12);
	put64(ARM64_GIC_DIST_BASE + 0x6000 + 8 * spi, 0);
	enable_irq(PARAM(rdist_base) + 0x10000, timer_intid());
	enable_irq(ARM64_GIC_DIST_BASE, spi);
	WRITE_SYS(ICC_PMR_EL1, 0xf0);
	WRITE_SYS(ICC_IGRPEN1_EL1, 1);
	if (its)
		guest_its_init(its);
}

GUEST_INLINE u64 *irq_counts(void)
{
	return (u64 *)(PARAMS_GPA + 0x1000); /* timer, SPI */
}

GUEST_INLINE void handle_timer(void)
{
	if (READ_SYS("CNTVCT_EL0") < READ_SYS("CNTV_CVAL_EL0"))
		say(SAY_BAD, BAD_EARLY);
	WRITE_SYS("CNTV_CVAL_EL0", READ_SYS("CNTVCT_EL0") + PARAM(period));
	say(SAY_TIMER, ++irq_counts()[0]);
}

/* From the vector: an interrupt. */
GUEST void guest_irq(void)
{
	bool v2 = PARAM(gic_version) == 2;
	u64 intid = v2 ? get32(ARM64_GICV2_CPU_BASE + 0xc) : READ_SYS(ICC_IAR1_EL1);

	if (intid == timer_intid())
		handle_timer();
	else if (intid == ARM64_SPI_INTID + TEST_SPI)
		say(SAY_SPI, ++irq_counts()[1]); /* which lowers the line */
	else if (intid >= LPI_FIRST && intid < LPI_FIRST + N_LPIS)
		say(SAY_LPI, intid);
	else if (intid != 1023)
		say(SAY_BAD, BAD_INTID | intid << 8);
	if (intid == 1023)
		return;
	if (v2)
		put32(ARM64_GICV2_CPU_BASE + 0x10, (u32)intid);
	else
		WRITE_SYS(ICC_EOIR1_EL1, intid);
}

GUEST void guest_bad_vector(u64 esr)
{
	say(SAY_BAD, BAD_VECTOR | esr << 8);
	for (;;)
		__asm__ volatile("wfi");
}

GUEST void guest_main1(void)
{
	u64 n = 0, next;

	for (;;) {
		say(SAY_CPU1, ++n);
		next = READ_SYS("CNTVCT_EL0") + PARAM(period) / 4;
		while (READ_SYS("CNTVCT_EL0") < next)
			;
	}
}

GUEST_INLINE bool has_pmu(void)
{
	u64 ver = READ_SYS("ID_AA64DFR0_EL1") >> 8 & 15;

	return ver && ver != 15;
}

GUEST_INLINE void init_cpu(void)
{
	u64 fp = FP_PATTERN;

	if (at_el2()) {
		/* E2H, RW, TGE, AMO, IMO, FMO: a host that takes its own interrupts */
		WRITE_SYS("HCR_EL2", 1ull << 34 | 1ull << 31 | 1ull << 27 | 7 << 3);
		WRITE_SYS("CNTVOFF_EL2", CNTVOFF);
	}
	WRITE_SYS("CPACR_EL1", 3 << 20); /* floating point works */
	__asm__ volatile(".arch_extension fp\n\tfmov d8, %0\n\tfmov d31, %0" : : "r"(fp));
	WRITE_SYS("TPIDR_EL0", TLS_PATTERN);
	if (has_pmu()) {
		WRITE_SYS("PMCCFILTR_EL0", at_el2() ? 1 << 27 : 0);
		WRITE_SYS("PMCNTENSET_EL0", 1ull << 31);
		WRITE_SYS("PMINTENSET_EL1", 1ull << 31);
		WRITE_SYS("PMCR_EL0", READ_SYS("PMCR_EL0") | 1 << 6 | 1);
	}
}

GUEST_INLINE void check_cpu(u64 cycles)
{
	u64 d8, d31;

	__asm__ volatile(".arch_extension fp\n\tfmov %0, d8\n\tfmov %1, d31" : "=r"(d8), "=r"(d31));
	if (d8 != FP_PATTERN || d31 != FP_PATTERN)
		say(SAY_BAD, BAD_FP);
	if (READ_SYS("TPIDR_EL0") != TLS_PATTERN)
		say(SAY_BAD, BAD_TLS);
	if (has_pmu() && READ_SYS("PMCCNTR_EL0") <= cycles)
		say(SAY_BAD, BAD_PMU);
}

GUEST void guest_main0(u64 entry1)
{
	u64 n = 0, orders = 0, cycles = 0;

	init_cpu();
	say(SAY_EL, READ_SYS("CurrentEL") >> 2);
	guest_gic_init();
	WRITE_SYS("CNTV_CVAL_EL0", READ_SYS("CNTVCT_EL0") + PARAM(period));
	WRITE_SYS("CNTV_CTL_EL0", 1);
	psci(0xc4000003, 1, entry1, 0); /* CPU_ON */
	while (!(orders & ORDER_FINISH)) {
		orders = get64(DOOR_GPA + 8 * ASK_ORDERS);
		if (orders & ORDER_MASK) {
			__asm__ volatile("msr daifset, #2");
			say(SAY_MASKED, n);
		} else {
			__asm__ volatile("msr daifclr, #2");
		}
		/* the first is the lower bound, so that the host can compare */
		say(SAY_VIRT, READ_SYS("CNTVCT_EL0"));
		say(SAY_PHYS, READ_SYS("CNTPCT_EL0"));
		if (has_pmu()) {
			cycles = READ_SYS("PMCCNTR_EL0");
			say(SAY_CYCLES, cycles);
		}
		say(SAY_COUNT, ++n);
	}
	check_cpu(cycles);
	psci(0x84000008, 0, 0, 0); /* SYSTEM_OFF */
	say(SAY_BAD, BAD_VECTOR);
}

#pragma GCC pop_options

/* clang-format off */
__asm__(
".pushsection guest_text, \"ax\"\n"
".p2align 12\n"
".macro vector to\n"
"	.p2align 7\n"
"	b \\to\n"
".endm\n"
"guest_vectors:\n"
"	.rept 5\n"
"	vector guest_bad\n"
"	.endr\n"
"	vector guest_vec_irq\n" /* the current EL's, on its own stack */
"	.rept 10\n"
"	vector guest_bad\n"
"	.endr\n"
"	.p2align 7\n"
"guest_bad:\n"
"	mrs x0, esr_el1\n"
"	bl guest_bad_vector\n"
"guest_vec_irq:\n"
"	stp x0, x1, [sp, #-176]!\n"
"	stp x2, x3, [sp, #16]\n"
"	stp x4, x5, [sp, #32]\n"
"	stp x6, x7, [sp, #48]\n"
"	stp x8, x9, [sp, #64]\n"
"	stp x10, x11, [sp, #80]\n"
"	stp x12, x13, [sp, #96]\n"
"	stp x14, x15, [sp, #112]\n"
"	stp x16, x17, [sp, #128]\n"
"	stp x18, x29, [sp, #144]\n"
"	str x30, [sp, #160]\n"
"	bl guest_irq\n"
"	ldp x2, x3, [sp, #16]\n"
"	ldp x4, x5, [sp, #32]\n"
"	ldp x6, x7, [sp, #48]\n"
"	ldp x8, x9, [sp, #64]\n"
"	ldp x10, x11, [sp, #80]\n"
"	ldp x12, x13, [sp, #96]\n"
"	ldp x14, x15, [sp, #112]\n"
"	ldp x16, x17, [sp, #128]\n"
"	ldp x18, x29, [sp, #144]\n"
"	ldr x30, [sp, #160]\n"
"	ldp x0, x1, [sp], #176\n"
"	eret\n"
"guest_set_vectors:\n" /* as EL2 with VHE this is VBAR_EL2, once HCR_EL2.E2H is 1 */
"	mrs x9, CurrentEL\n"
"	adr x10, guest_vectors\n"
"	cmp x9, #8\n"
"	b.eq 1f\n"
"	msr vbar_el1, x10\n"
"	ret\n"
"1:	msr vbar_el2, x10\n"
"	ret\n"
".global guest_entry\n"
".hidden guest_entry\n"
"guest_entry:\n" /* x0: the top of the stack */
"	mov sp, x0\n"
"	bl guest_set_vectors\n"
"	adr x0, guest_entry1\n"
"	bl guest_main0\n"
"guest_entry1:\n"
"	bl guest_set_vectors\n"
"	movz x0, #" "0x8013, lsl #16\n" /* STACK_GPA + 64 KiB */
"	mov sp, x0\n"
"	bl guest_main1\n"
".popsection\n");
/* clang-format on */

_Static_assert(STACK_GPA + 0x10000 == 0x80130000ull, "guest_entry1 has it");

/* ---- the host -------------------------------------------------------------------------------- */

#define WAIT_MS	 120000 /* a hang, not a slow host */
#define MEM_SIZE (16 * MIB)
#define PAUSE_MS 1500 /* between the two machines */

struct door {
	struct dev dev;
	struct machine *m;
	_Atomic u64 regs[N_DOOR_REGS];
	_Atomic u64 lpis; /* a bit for each that came */
};

static int door_init(struct dev *dev, const void *cfg, struct lkvm_error *err)
{
	struct door *door = (struct door *)dev;

	(void)err;
	memcpy(&door->m, cfg, sizeof(door->m));
	return 0;
}

static u64 door_read(struct dev *dev, u32 tag, u64 off, unsigned int size)
{
	(void)tag;
	(void)size;
	return atomic_load(&((struct door *)dev)->regs[off / 8]);
}

static void door_write(struct dev *dev, u32 tag, u64 off, unsigned int size, u64 val)
{
	struct door *door = (struct door *)dev;

	(void)tag;
	(void)size;
	if (off / 8 == SAY_SPI)
		arch_set_irq(door->m, TEST_SPI, false);
	if (off / 8 == SAY_LPI)
		atomic_fetch_or(&door->lpis, BIT(val - LPI_FIRST));
	/* the first complaint is the one that matters */
	if (off / 8 != SAY_BAD || !atomic_load(&door->regs[SAY_BAD]))
		atomic_store(&door->regs[off / 8], val);
}

static const struct dev_class door_class = {
	.name = "door",
	.size = sizeof(struct door),
	.init = door_init,
	.read = door_read,
	.write = door_write,
};

static u64 heard(const struct rig *r, unsigned int what)
{
	return atomic_load(&((struct door *)r->m.devs[0])->regs[what]);
}

static void order(struct rig *r, u64 orders)
{
	atomic_store(&((struct door *)r->m.devs[0])->regs[ASK_ORDERS], orders);
}

static u64 lpis(const struct rig *r)
{
	return atomic_load(&((struct door *)r->m.devs[0])->lpis);
}

static void sleep_ms(unsigned int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}

static void check_well(const struct rig *r)
{
	if (heard(r, SAY_BAD))
		fail_msg("the guest complains: 0x%llx (count %llu)",
			 (unsigned long long)heard(r, SAY_BAD),
			 (unsigned long long)heard(r, SAY_COUNT));
	if (atomic_load(&r->cause) && atomic_load(&r->cause) != LKVM_CAUSE_POWEROFF)
		fail_msg("the machine ended: %s", r->detail);
}

/* Until @cond, which may use r. */
#define WAIT_FOR(r, cond)                                                           \
	do {                                                                        \
		u64 until_ = clock_ns() + WAIT_MS * NSEC_PER_MSEC;                  \
		while (!(cond)) {                                                   \
			check_well(r);                                              \
			if (clock_ns() > until_)                                    \
				fail_msg("waited for " #cond ": count %llu, timer " \
					 "%llu, SPI %llu, LPIs 0x%llx",             \
					 (unsigned long long)heard(r, SAY_COUNT),   \
					 (unsigned long long)heard(r, SAY_TIMER),   \
					 (unsigned long long)heard(r, SAY_SPI),     \
					 (unsigned long long)lpis(r));              \
			sleep_ms(5);                                                \
		}                                                                   \
		check_well(r);                                                      \
	} while (0)

static struct rig *machines[2]; /* of the test that runs */
static bool phys_is_offset;	/* this CPU's CNTPCT_EL0 follows what KVM wants */

static struct rig *new_machine(const struct lkvm_config *cfg)
{
	struct rig *r = rig_new(&kvm_linux, cfg);
	struct machine *m = &r->m;

	machines[!!machines[0]] = r;
	assert_int_equal(machine_add_dev(m,
					 &(struct dev_slot){ .cls = &door_class,
							     .name = "door",
							     .ranges = { { .bus = &m->mmio,
									   .base = DOOR_GPA,
									   .len = 8 * N_DOOR_REGS,
									   .sizes = BUS_SIZE_8 } },
							     .cfg = &m },
					 &r->err),
			 0);
	return r;
}

static bool is_v2(const struct rig *r)
{
	return r->m.arch->gic.kind == LKVM_IRQCHIP_GICV2 ||
	       r->m.arch->gic.kind == LKVM_IRQCHIP_GICV2M;
}

static bool has_its(const struct rig *r)
{
	return r->m.arch->gic.its_fd >= 0;
}

static void load_guest(struct rig *r)
{
	struct params params = {
		.gic_version = is_v2(r) ? 2 : 3,
		.rdist_base = ARM64_GICV3_RDIST_BASE(N_VCPUS),
		.its_base = has_its(r) ? ARM64_ITS_BASE(N_VCPUS) : 0,
	};
	u64 freq;

	__asm__("mrs %0, CNTFRQ_EL0" : "=r"(freq));
	params.period = freq / 20;
	assert_int_equal(gmem_write(&r->m.gmem, ARM64_RAM_BASE, __start_guest_text,
				    (size_t)(__stop_guest_text - __start_guest_text)),
			 0);
	assert_int_equal(gmem_write(&r->m.gmem, PARAMS_GPA, &params, sizeof(params)), 0);
	if (arm64_set_boot_regs(&r->m, ARM64_RAM_BASE + (u64)(guest_entry - __start_guest_text),
				STACK_GPA, &r->err))
		fail_msg("%s", r->err.msg);
}

static void send_msi(struct rig *r, u32 event)
{
	struct kvm_msi msi = {
		.address_lo = (u32)(ARM64_ITS_BASE(N_VCPUS) + 0x10040), /* GITS_TRANSLATER */
		.data = event,
		.flags = KVM_MSI_VALID_DEVID,
		.devid = MSI_DEVID,
	};

	if (kvm_vm_ioctl(&r->m.kvm, KVM_SIGNAL_MSI, &msi, &r->err) < 0)
		fail_msg("%s", r->err.msg);
}

static void copy_memory(const struct rig *from, const struct rig *to)
{
	static u8 chunk[64 * KIB], zero[sizeof(chunk)];

	for (u64 off = 0; off < MEM_SIZE; off += sizeof(chunk)) {
		u64 gpa = ARM64_RAM_BASE + off;

		assert_int_equal(gmem_read(&from->m.gmem, gpa, chunk, sizeof(chunk)), 0);
		if (memcmp(chunk, zero, sizeof(chunk)))
			assert_int_equal(gmem_write(&to->m.gmem, gpa, chunk, sizeof(chunk)), 0);
	}
	if (!from->m.arch->pvtime)
		return;
	assert_int_equal(
		gmem_hidden_read(&from->m.gmem, ARM64_PVTIME_BASE, chunk, ARM64_PVTIME_LEN), 0);
	assert_int_equal(gmem_hidden_write(&to->m.gmem, ARM64_PVTIME_BASE, chunk, ARM64_PVTIME_LEN),
			 0);
}

static void start(struct rig *r)
{
	if (machine_start(&r->m, false, &r->err))
		fail_msg("%s", r->err.msg);
}

/* The guest runs; then its timer, a device's line and a message wait to be taken. */
static struct rig *first_machine(const struct lkvm_config *cfg)
{
	struct rig *a = new_machine(cfg);

	load_guest(a);
	start(a);
	WAIT_FOR(a, heard(a, SAY_TIMER) >= 3 && heard(a, SAY_CPU1) >= 3);
	assert_int_equal(heard(a, SAY_EL), cfg->nested ? 2 : 1);
	order(a, ORDER_MASK);
	WAIT_FOR(a, heard(a, SAY_MASKED));
	arch_set_irq(&a->m, TEST_SPI, true);
	if (has_its(a))
		send_msi(a, 0);
	sleep_ms(200); /* four periods of the timer */
	machine_pause(&a->m);
	assert_int_equal(heard(a, SAY_SPI), 0);
	assert_int_equal(lpis(a), 0);
	return a;
}

static u64 ticks(u64 ns)
{
	u64 freq;

	__asm__("mrs %0, CNTFRQ_EL0" : "=r"(freq));
	return (u64)((unsigned __int128)ns * freq / NSEC_PER_SEC);
}

/* @now: of a counter that was @was at some time after @set_ns, on the host's clock. */
static void check_counter(const char *name, u64 was, u64 now, u64 set_ns)
{
	u64 most = was + ticks(clock_ns() - set_ns);

	if (now < was || now > most)
		fail_msg("%s went from 0x%llx to 0x%llx; no more than 0x%llx was to be", name,
			 (unsigned long long)was, (unsigned long long)now,
			 (unsigned long long)most);
}

static void check_time(struct rig *b, const struct arm64_clock_state *was, u64 set_ns)
{
	struct arm64_clock_state now;

	if (arm64_clock_state_get(&b->m, &now, &b->err))
		fail_msg("%s", b->err.msg);
	check_counter("KVM's CNTPCT_EL0", was->phys, now.phys, set_ns);
	if (phys_is_offset)
		check_counter("CNTPCT_EL0", was->phys, heard(b, SAY_PHYS), set_ns);
	/* With one offset for both they agree; at EL2 the guest's own, which KVM's view of the
	 * virtual one has in it, is not applied. */
	if (b->cfg.nested || b->cfg.arm64.counter_offset)
		check_counter("CNTVCT_EL0", was->phys, heard(b, SAY_VIRT), set_ns);
	else
		check_counter("CNTVCT_EL0", was->virt, heard(b, SAY_VIRT), set_ns);
}

static void run_on(const struct rig *a, struct rig *b, const struct arm64_clock_state *was)
{
	u64 count = heard(a, SAY_COUNT), timer = heard(a, SAY_TIMER), cpu1 = heard(a, SAY_CPU1);
	u64 set_ns = clock_ns();

	if (arm64_clock_state_set(&b->m, was, &b->err))
		fail_msg("clock: %s", b->err.msg);
	order(b, ORDER_MASK);
	start(b);
	WAIT_FOR(b, heard(b, SAY_COUNT) >= count + 2); /* it was stopped anywhere in its loop */
	machine_pause(&b->m);
	check_time(b, was, set_ns);
	machine_resume(&b->m);
	assert_int_equal(heard(b, SAY_TIMER), 0);
	order(b, 0);
	WAIT_FOR(b, heard(b, SAY_TIMER) >= timer + 3 && heard(b, SAY_SPI));
	assert_int_equal(heard(b, SAY_SPI), 1);
	if (has_its(b)) {
		WAIT_FOR(b, lpis(b) == BIT(0));
		send_msi(b, 1);
		WAIT_FOR(b, lpis(b) == (BIT(0) | BIT(1)));
	}
	WAIT_FOR(b, heard(b, SAY_CPU1) > cpu1);
	arch_set_irq(&b->m, TEST_SPI, true);
	WAIT_FOR(b, heard(b, SAY_SPI) == 2);
	order(b, ORDER_FINISH);
	WAIT_FOR(b, atomic_load(&b->cause) == LKVM_CAUSE_POWEROFF);
}

static void config(struct lkvm_config *cfg)
{
	lkvm_config_init(cfg);
	cfg->n_vcpus = N_VCPUS;
	cfg->mem_size = MEM_SIZE;
}

static void move(const struct lkvm_config *cfg)
{
	struct rig *a = first_machine(cfg), *b;
	struct rig_state was, is;

	if (rig_get(a, &was))
		fail_msg("get: %s", a->err.msg);
	print_message("# %u registers in %u bytes of each vCPU, %u of the GIC\n",
		      was.vcpus[0]->n_regs, was.vcpus[0]->n_values, was.gic->n_regs);
	assert_int_equal(was.vcpus[0]->mp_state, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(was.vcpus[1]->mp_state, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(was.vcpus[2]->mp_state, KVM_MP_STATE_STOPPED);
	b = new_machine(cfg);
	copy_memory(a, b);
	sleep_ms(PAUSE_MS);
	if (rig_set(b, &was))
		fail_msg("set: %s", b->err.msg);
	if (rig_get(b, &is))
		fail_msg("get again: %s", b->err.msg);
	rig_assert_same(b, &was, &is);
	run_on(a, b, &was.clock);
	rig_state_free(&was);
	rig_state_free(&is);
}

/* Also of a test that failed: its guests would go on. */
static int drop_machines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		rig_free(machines[i]);
		machines[i] = NULL;
	}
	return 0;
}

static void a_guest_with_gicv3_and_its_goes_on(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	config(&cfg);
	cfg.arm64.irqchip = LKVM_IRQCHIP_GICV3_ITS;
	move(&cfg);
}

static void a_guest_with_gicv3_alone_goes_on(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	config(&cfg);
	cfg.arm64.irqchip = LKVM_IRQCHIP_GICV3;
	move(&cfg);
}

static void a_guest_with_gicv2_goes_on(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	config(&cfg);
	cfg.arm64.irqchip = LKVM_IRQCHIP_GICV2;
	move(&cfg);
}

static void a_guest_with_a_pmu_goes_on(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	config(&cfg);
	cfg.arm64.pmu = true;
	move(&cfg);
}

#define OFFSET (0 - BIT(40)) /* the guest's counters are that far ahead of the host's */

static void a_guest_whose_counter_has_an_offset_goes_on(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	config(&cfg);
	cfg.arm64.counter_offset = OFFSET;
	move(&cfg);
}

static void a_hypervisor_goes_on(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	config(&cfg);
	cfg.nested = true;
	move(&cfg);
}

static void a_hypervisor_with_a_pmu_and_an_offset_goes_on(void **state)
{
	struct lkvm_config cfg;

	(void)state;
	config(&cfg);
	cfg.nested = true;
	cfg.arm64.pmu = true;
	cfg.arm64.counter_offset = OFFSET;
	move(&cfg);
}

/* Its guests would need other code; vCPUs that never ran have state as well. */
static void state_of_a_hypervisor_without_vhe_comes_back(void **state)
{
	struct lkvm_config cfg;
	struct rig_state was, is;
	struct rig *a, *b;

	(void)state;
	config(&cfg);
	cfg.nested = true;
	cfg.arm64.e2h0 = true;
	a = new_machine(&cfg);
	b = new_machine(&cfg);
	load_guest(a);
	if (rig_get(a, &was))
		fail_msg("get: %s", a->err.msg);
	if (rig_set(b, &was))
		fail_msg("set: %s", b->err.msg);
	if (rig_get(b, &is))
		fail_msg("get again: %s", b->err.msg);
	rig_assert_same(b, &was, &is);
	rig_state_free(&was);
	rig_state_free(&is);
}

/* Before the others: decides what they can look at. */
static void counters_follow_the_offset(void **state)
{
	struct lkvm_config cfg;
	struct rig *r;

	(void)state;
	config(&cfg);
	cfg.arm64.counter_offset = OFFSET;
	r = new_machine(&cfg);
	load_guest(r);
	start(r);
	WAIT_FOR(r, heard(r, SAY_COUNT) >= 1);
	assert_true(heard(r, SAY_VIRT) >= BIT(40));
	phys_is_offset = heard(r, SAY_PHYS) >= BIT(40);
	if (!phys_is_offset)
		print_message("# this CPU does not offset CNTPCT_EL0: KVM's view of it is checked, "
			      "the guest's is not\n");
}

#define TEST(fn) cmocka_unit_test_teardown(fn, drop_machines)

int main(int argc, char **argv)
{
	const struct CMUnitTest gicv3[] = {
		TEST(counters_follow_the_offset),
		TEST(a_guest_with_gicv3_and_its_goes_on),
		TEST(a_guest_with_gicv3_alone_goes_on),
		TEST(a_guest_with_a_pmu_goes_on),
		TEST(a_guest_whose_counter_has_an_offset_goes_on),
	};
	const struct CMUnitTest gicv2[] = {
		TEST(a_guest_with_gicv2_goes_on),
	};
	const struct CMUnitTest nested[] = {
		TEST(a_hypervisor_goes_on),
		TEST(a_hypervisor_with_a_pmu_and_an_offset_goes_on),
		TEST(state_of_a_hypervisor_without_vhe_comes_back),
	};
	static char *usual[] = { "test_state", "gicv3", "nested" };
	int failed = 0;

	if (argc < 2) {
		argc = ARRAY_SIZE(usual);
		argv = usual;
	}
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "gicv3"))
			failed += cmocka_run_group_tests(gicv3, NULL, NULL);
		else if (!strcmp(argv[i], "gicv2"))
			failed += cmocka_run_group_tests(gicv2, NULL, NULL);
		else if (!strcmp(argv[i], "nested"))
			failed += cmocka_run_group_tests(nested, NULL, NULL);
		else
			failed++;
	}
	return failed;
}

#else

/* Built for arm64 guests on another host, as the library can be: there is nothing it could run. */
int main(void)
{
	puts("1..0 # SKIP the guest's code is for arm64 CPUs");
	return 0;
}

#endif
