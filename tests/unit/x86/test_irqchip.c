/*
 * test_irqchip.c - which interrupt controllers a machine gets, and the split one at work (T2, on
 * fakekvm).
 *
 * The registers of the I/O APIC are test_ioapic.c's, the routing table is test_msi.c's. Does not
 * prove that KVM delivers or tells of acknowledged interrupts (check-kvm, check-bed): what it would
 * exit for is scripted.
 */
#include "tests/unit/vmtest.h"

#include "linux-uapi/x86.h"

#define IOAPIC_SELECT 0xfec00000ull
#define IOAPIC_WINDOW 0xfec00010ull
#define IOAPIC_EOI    0xfec00040ull

#define GSI_COM1 4
#define VECTOR	 0x31
#define LEVEL	 0x8000

#define IER (COM1 + 1)
#define IIR (COM1 + 2) /* reading it takes the transmitter's interrupt back */
#define MCR (COM1 + 4)

/* clang-format off */
#define SET_LOW(pin, val) \
	FAKE_STORE(IOAPIC_SELECT, 4, 0x10 + 2 * (pin)), FAKE_STORE(IOAPIC_WINDOW, 4, val)
#define SET_HIGH(pin, val) \
	FAKE_STORE(IOAPIC_SELECT, 4, 0x11 + 2 * (pin)), FAKE_STORE(IOAPIC_WINDOW, 4, val)
#define GET_LOW(pin) \
	FAKE_STORE(IOAPIC_SELECT, 4, 0x10 + 2 * (pin)), FAKE_LOAD(IOAPIC_WINDOW, 4)
/* the transmitter is empty: the line goes high, if OUT2 lets it */
#define TX_ON	FAKE_OUT(MCR, 1, 8), FAKE_OUT(IER, 1, 2)
#define TX_OFF	FAKE_OUT(IER, 1, 0)
#define KVM_EOI(vector)	{ .op = FAKE_OP_EXIT, .addr = KVM_EXIT_IOAPIC_EOI, .value = (vector) }
#define POWER_OFF	FAKE_OUT(0x604, 2, 0x3400)
/* clang-format on */

static const struct fake_step poweroff[] = { POWER_OFF };

static struct vmtest *new_split(unsigned int n_vcpus)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	t->cfg.x86.irqchip = LKVM_X86_IRQCHIP_SPLIT;
	t->cfg.n_vcpus = n_vcpus;
	return t;
}

/* How often the VM was asked for what begins so. */
static unsigned int count(struct vmtest *t, const char *call)
{
	char *text = fakekvm_transcript(t->fk, "vm");
	unsigned int n = 0;

	for (const char *p = text; (p = strstr(p, call)); p += strlen(call))
		n++;
	free(text);
	return n;
}

static bool comes_before(struct vmtest *t, const char *a, const char *b)
{
	char *text = fakekvm_transcript(t->fk, "vm"), *at_a = strstr(text, a), *at_b;
	bool before;

	at_b = strstr(text, b);
	before = at_a && at_b && at_a < at_b;
	free(text);
	return before;
}

static void assert_refused(struct vmtest *t, int ret, enum lkvm_error_kind kind, const char *words)
{
	assert_int_equal(vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err), ret);
	assert_int_equal(t->err.kind, kind);
	if (!strstr(t->err.msg, words))
		fail_msg("no '%s' in: %s", words, t->err.msg);
	vmtest_free(t);
}

/* ---- which -------------------------------------------------------------------------------- */

static void by_default_all_of_it_is_kvms(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	t->cfg.n_vcpus = 255;
	vmtest_create(t);
	assert_int_equal(count(t, "KVM_CREATE_IRQCHIP"), 1);
	assert_int_equal(count(t, "KVM_CREATE_PIT2"), 1);
	/* the local APICs suppress no broadcasts to KVM's own I/O APIC */
	assert_int_equal(count(t, "KVM_ENABLE_CAP 121"), 0);
	assert_int_equal(count(t, "KVM_ENABLE_CAP 129"), 0);
	vmtest_free(t);
}

static void split_has_local_apics_only_and_says_how_they_acknowledge(void **state)
{
	struct vmtest *t = new_split(2);

	(void)state;
	vmtest_create(t);
	assert_int_equal(count(t, "KVM_CREATE_IRQCHIP"), 0);
	assert_int_equal(count(t, "KVM_CREATE_PIT2"), 0);
	assert_int_equal(count(t, "KVM_ENABLE_CAP 121 0x18 = 0"), 1);
	/* ENABLE_SUPPRESS_EOI_BROADCAST: there is an EOI register; no 32-bit ids */
	assert_int_equal(count(t, "KVM_ENABLE_CAP 129 0x4 = 0"), 1);
	assert_true(comes_before(t, "KVM_ENABLE_CAP 121", "KVM_ENABLE_CAP 129"));
	assert_true(comes_before(t, "KVM_ENABLE_CAP 129", "KVM_CREATE_VCPU"));
	/* nobody has a route before a driver asks for one */
	assert_int_equal(count(t, "KVM_SET_GSI_ROUTING"), 0);
	vmtest_free(t);
}

static void a_kvm_without_the_flag_is_told_nothing(void **state)
{
	(void)state;
	for (int flags = 0; flags <= 3; flags += 3) {
		struct vmtest *t = new_split(2);

		fakekvm_set_cap(t->fk, KVM_CAP_X2APIC_API, flags);
		vmtest_create(t);
		assert_int_equal(count(t, "KVM_ENABLE_CAP 129"), 0);
		vmtest_free(t);
	}
}

static void more_ids_than_8_bits_have_make_it_split(void **state)
{
	static const struct {
		unsigned int n, sockets, cores;
		bool split;
	} cases[] = {
		{ 255, 0, 0, false },
		{ 256, 0, 0, true },
		{ 300, 0, 0, true },
		{ 255, 51, 5, true },
		/* the last id is 404 */ { 1024, 0, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

		t->cfg.n_vcpus = cases[i].n;
		t->cfg.sockets = cases[i].sockets;
		t->cfg.cores = cases[i].cores;
		vmtest_create(t);
		assert_int_equal(count(t, "KVM_CREATE_IRQCHIP"), !cases[i].split);
		assert_int_equal(count(t, "KVM_ENABLE_CAP 121 0x18 = 0"), cases[i].split);
		/* 32-bit ids and 0xff as an id like others, beside the EOI register */
		assert_int_equal(count(t, "KVM_ENABLE_CAP 129 0x7 = 0"), cases[i].split);
		assert_int_equal(count(t, "KVM_CREATE_VCPU"), cases[i].n);
		vmtest_free(t);
	}
}

static void what_the_host_lacks_is_said(void **state)
{
	struct vmtest *t = new_split(2);

	(void)state;
	fakekvm_set_cap(t->fk, KVM_CAP_SPLIT_IRQCHIP, 0);
	assert_refused(t, -EOPNOTSUPP, LKVM_ERR_UNSUPPORTED, "KVM_CAP_SPLIT_IRQCHIP");

	t = new_split(2);
	fakekvm_set_cap(t->fk, KVM_CAP_SIGNAL_MSI, 0);
	assert_refused(t, -EOPNOTSUPP, LKVM_ERR_UNSUPPORTED, "KVM_CAP_SIGNAL_MSI");

	for (int flags = 0; flags < 3; flags++) {
		t = new_split(300);
		fakekvm_set_cap(t->fk, KVM_CAP_X2APIC_API, flags);
		assert_refused(t, -EOPNOTSUPP, LKVM_ERR_UNSUPPORTED,
			       "--cpus 300: with APIC ids above 254; this host's KVM lacks 32-bit "
			       "ids (KVM_CAP_X2APIC_API");
	}
	t = new_split(300);
	fakekvm_set_cap(t->fk, KVM_CAP_MAX_VCPU_ID, 288);
	assert_refused(t, -E2BIG, LKVM_ERR_UNSUPPORTED,
		       "--cpus 300: the last CPU gets APIC id 299; this host's KVM takes at most "
		       "287");
	t = new_split(300);
	fakekvm_set_cap(t->fk, KVM_CAP_MAX_VCPUS, 288);
	assert_refused(t, -E2BIG, LKVM_ERR_UNSUPPORTED,
		       "--cpus 300: this host's KVM takes at most 288");

	t = vmtest_new(&fakekvm_x86_intel);
	fakekvm_set_open_error(t->fk,
			       ENOENT); /* refused with the config: KVM is not opened for it */
	t->cfg.x86.irqchip = LKVM_X86_IRQCHIP_KERNEL;
	t->cfg.n_vcpus = 300;
	assert_refused(t, -EINVAL, LKVM_ERR_INPUT, "id 299 and --irqchip kernel takes at most 254");

	t = vmtest_new(&fakekvm_x86_intel);
	t->cfg.x86.irqchip = LKVM_X86_IRQCHIP_SPLIT + 1;
	assert_refused(t, -EINVAL, LKVM_ERR_INPUT, "--irqchip 3 is unknown");
}

/* ---- without PIC and PIT ------------------------------------------------------------------ */

static void there_is_nothing_at_the_ports_of_pic_and_pit(void **state)
{
	static const struct fake_step steps[] = {
		FAKE_OUT(0x21, 1, 0xff), FAKE_IN(0x21, 1), FAKE_IN(0xa0, 1), FAKE_IN(0x4d0, 1),
		FAKE_IN(0x40, 1),	 FAKE_IN(0x61, 1), POWER_OFF,
	};
	struct vmtest *t = new_split(1);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_true(t->res.unclaimed_accesses == 6);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(fakekvm_answer_u64(t->fk, 0, i), 0xff);
	vmtest_free(t);
}

static void their_ports_are_free_for_others(void **state)
{
	static const struct fake_step steps[] = { FAKE_OUT(0x40, 1, 7) };
	struct vmtest *t = new_split(1);

	(void)state;
	t->cfg.debug_exit = true;
	t->cfg.debug_exit_addr = 0x40;
	vmtest_run(t, steps, LKVM_CAUSE_VERDICT, 7);
	vmtest_free(t);

	t = vmtest_new(&fakekvm_x86_intel);
	t->cfg.debug_exit = true;
	t->cfg.debug_exit_addr = 0x40;
	assert_refused(t, -EINVAL, LKVM_ERR_INPUT, "the timer is there");
}

/* The table that says which there are: flags of the MADT (ACPI 6.5, 5.2.12). */
static u32 madt_flags(struct vmtest *t)
{
	const u8 *tables = fakekvm_gpa(t->fk, 0xe0000, 0x10000), *madt;

	assert_non_null(tables);
	for (madt = tables; memcmp(madt, "APIC", 4); madt += 8)
		assert_true(madt < tables + 0xff00);
	return get_le32(madt + 40);
}

static void the_tables_tell_which_there_are(void **state)
{
	struct vmtest *t = new_split(1);

	(void)state;
	vmtest_create(t);
	assert_int_equal(madt_flags(t), 0);
	vmtest_free(t);

	t = vmtest_new(&fakekvm_x86_intel);
	vmtest_create(t);
	assert_int_equal(madt_flags(t), 1);
	vmtest_free(t);
}

/* ---- interrupts ----------------------------------------------------------------------------- */

static u32 routed_data(struct vmtest *t, u32 gsi)
{
	struct kvm_irq_routing_entry e;

	assert_true(fakekvm_route(t->fk, gsi, &e));
	assert_int_equal(e.type, KVM_IRQ_ROUTING_MSI);
	return e.u.msi.data;
}

static void a_level_comes_again_until_the_device_is_served(void **state)
{
	static const struct fake_step steps[] = {
		SET_LOW(GSI_COM1, LEVEL | VECTOR),
		TX_ON,
		GET_LOW(GSI_COM1),
		KVM_EOI(VECTOR), /* without having looked at the device */
		KVM_EOI(VECTOR + 1),
		FAKE_IN(IIR, 1),
		KVM_EOI(VECTOR),
		GET_LOW(GSI_COM1),
		POWER_OFF,
	};
	struct vmtest *t = new_split(1);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), 0x4000 | LEVEL | VECTOR);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2), LEVEL | VECTOR);
	assert_int_equal(count(t, "KVM_SIGNAL_MSI 0xfee00000 0xc031 = 1"), 2);
	assert_int_equal(count(t, "KVM_SIGNAL_MSI"), 2);
	/* KVM knew for what to exit before the first one was sent, and once is enough */
	assert_int_equal(count(t, "KVM_SET_GSI_ROUTING"), 1);
	assert_true(comes_before(t, "KVM_SET_GSI_ROUTING", "KVM_SIGNAL_MSI"));
	assert_int_equal(routed_data(t, GSI_COM1), 0xc031);
	/* others are edges: no exit */
	for (u32 gsi = 0; gsi < 24; gsi++)
		assert_int_equal(routed_data(t, gsi) & LEVEL, gsi == GSI_COM1 ? LEVEL : 0);
	assert_true(t->res.exits[KVM_EXIT_IOAPIC_EOI] == 3);
	vmtest_free(t);
}

static void the_guest_can_acknowledge_at_the_register(void **state)
{
	static const struct fake_step steps[] = {
		SET_LOW(GSI_COM1, LEVEL | VECTOR), TX_ON,
		FAKE_STORE(IOAPIC_EOI, 4, VECTOR), TX_OFF,
		FAKE_STORE(IOAPIC_EOI, 4, VECTOR), POWER_OFF,
	};
	struct vmtest *t = new_split(1);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(count(t, "KVM_SIGNAL_MSI"), 2);
	vmtest_free(t);
}

static void an_edge_is_a_message_and_no_more(void **state)
{
	static const struct fake_step steps[] = {
		SET_LOW(GSI_COM1, VECTOR),
		TX_ON,
		FAKE_IN(IIR, 1),
		POWER_OFF,
	};
	struct vmtest *t = new_split(1);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(count(t, "KVM_SIGNAL_MSI 0xfee00000 0x31 = 1"), 1);
	assert_int_equal(count(t, "KVM_SIGNAL_MSI"), 1);
	assert_int_equal(count(t, "KVM_SET_GSI_ROUTING"), 0);
	vmtest_free(t);
}

/* Nothing is asked of KVM for an entry that a guest writes and does not use. */
static void rewriting_entries_costs_nothing(void **state)
{
	static const struct fake_step steps[] = {
		SET_LOW(16, LEVEL | 0x41), SET_HIGH(16, 1u << 24),
		SET_LOW(16, LEVEL | 0x42), SET_LOW(16, 0x10000 | LEVEL | 0x43),
		FAKE_REPEAT(0, 200),	   POWER_OFF,
	};
	struct vmtest *t = new_split(2);
	unsigned int before;

	(void)state;
	vmtest_create(t);
	before = count(t, "\n");
	vmtest_script(t, 0, steps);
	assert_int_equal(lkvm_vm_start(t->vm, &t->err), 0);
	vmtest_finish(t);
	assert_int_equal(count(t, "KVM_SET_GSI_ROUTING"), 0);
	assert_int_equal(count(t, "KVM_SIGNAL_MSI"), 0);
	/* taking the machine apart is not much either */
	assert_true(count(t, "\n") < before + 50);
	vmtest_free(t);
}

static void a_message_to_nobody_is_no_error(void **state)
{
	static const struct fake_step steps[] = {
		SET_HIGH(GSI_COM1, 9u << 24),
		SET_LOW(GSI_COM1, LEVEL | VECTOR),
		TX_ON,
		GET_LOW(GSI_COM1),		 /* no CPU took it */
		SET_HIGH(GSI_COM1, 0xffu << 24), /* all of them do */
		GET_LOW(GSI_COM1),
		POWER_OFF,
	};
	struct vmtest *t = new_split(2);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(count(t, "KVM_SIGNAL_MSI 0xfee09000 0xc031 = 0"), 1);
	assert_int_equal(count(t, "KVM_SIGNAL_MSI 0xfeeff000 0xc031 = 1"), 1);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), LEVEL | VECTOR);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 1), 0x4000 | LEVEL | VECTOR);
	assert_null(strstr(t->log, "I/O APIC"));
	vmtest_free(t);
}

static void failures_of_the_host_are_logged_and_tried_again(void **state)
{
	static const struct fake_step steps[] = {
		SET_LOW(GSI_COM1, LEVEL | VECTOR),
		TX_ON,
		TX_OFF,
		TX_ON,
		GET_LOW(GSI_COM1),
		POWER_OFF,
	};
	static const struct {
		unsigned long req;
		const char *words;
	} cases[] = {
		{ KVM_SET_GSI_ROUTING, "I/O APIC: KVM_SET_GSI_ROUTING failed: " },
		{ KVM_SIGNAL_MSI, "I/O APIC: KVM_SIGNAL_MSI failed: " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmtest *t = new_split(1);

		fakekvm_fail_request(t->fk, cases[i].req, 1, ENOMEM);
		vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
		assert_non_null(strstr(t->log, cases[i].words));
		assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), 0x4000 | LEVEL | VECTOR);
		assert_int_equal(routed_data(t, GSI_COM1), 0xc031);
		vmtest_free(t);
	}
}

/* True when the @nth call was never made: the boot is through. */
static bool boot_with_failure(unsigned long nth, int code)
{
	static const struct fake_step steps[] = {
		SET_LOW(GSI_COM1, LEVEL | VECTOR), TX_ON, KVM_EOI(VECTOR), TX_OFF, POWER_OFF,
	};
	struct vmtest *t = new_split(2);
	bool through;
	int ret;

	fakekvm_fail_nth(t->fk, nth, code);
	vmtest_script(t, 0, steps);
	ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);
	if (ret) {
		assert_int_not_equal(t->err.kind, LKVM_ERR_NONE);
		assert_true(strlen(t->err.msg) > 5);
	} else {
		assert_int_equal(lkvm_vm_start(t->vm, &t->err), 0);
		vmtest_finish(t);
		if (t->res.cause != LKVM_CAUSE_POWEROFF)
			assert_true(t->res.cause == LKVM_CAUSE_HOST_ERROR ||
				    t->res.cause == LKVM_CAUSE_INTERNAL_ERROR);
	}
	through = !fakekvm_failed_call(t->fk);
	vmtest_free(t);
	return through;
}

static void every_call_to_kvm_fails_once(void **state)
{
	static const int codes[] = { ENOMEM, EINVAL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		unsigned long nth = 1;

		while (!boot_with_failure(nth, codes[i]))
			nth++;
		assert_in_range(nth, 30, 200);
	}
}

/* ---- more than 255 ----------------------------------------------------------------------------
 */

/* KVM_CPUID_FEATURES: bit 15 of EAX tells the guest of 15-bit destinations. */
static bool shows_ext_dest_id(struct vmtest *t, unsigned int vcpu)
{
	struct {
		struct kvm_cpuid2 cpuid;
		struct kvm_cpuid_entry2 space[256];
	} *arg = calloc(1, sizeof(*arg));
	bool shown = false;

	assert_non_null(arg);
	arg->cpuid.nent = 256;
	assert_int_equal(fakekvm_vcpu_get(t->fk, vcpu, KVM_GET_CPUID2, arg), 0);
	for (u32 i = 0; i < arg->cpuid.nent; i++) {
		const struct kvm_cpuid_entry2 *e = &arg->cpuid.entries[i];

		if (e->function == KVM_CPUID_FEATURES)
			shown = e->eax >> KVM_FEATURE_MSI_EXT_DEST_ID & 1;
	}
	free(arg);
	return shown;
}

static void the_guest_is_told_of_15_bit_destinations_where_it_needs_them(void **state)
{
	struct vmtest *t = new_split(300);

	(void)state;
	vmtest_create(t);
	assert_true(shows_ext_dest_id(t, 0));
	assert_true(shows_ext_dest_id(t, 299));
	vmtest_free(t);

	t = new_split(255);
	vmtest_create(t);
	assert_false(shows_ext_dest_id(t, 0));
	vmtest_free(t);
}

static u64 apic_base(struct vmtest *t, unsigned int vcpu)
{
	struct kvm_sregs sregs;

	assert_int_equal(fakekvm_vcpu_get(t->fk, vcpu, KVM_GET_SREGS, &sregs), 0);
	return sregs.apic_base;
}

/* Enabled (bit 11), x2APIC (10), the bootstrap processor (8). */
static void cpus_with_wide_ids_begin_in_x2apic_mode(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	t->cfg.n_vcpus = 300;
	vmtest_create(t);
	assert_int_equal(apic_base(t, 0), 0xfee00d00);
	assert_int_equal(apic_base(t, 1), 0xfee00c00);
	assert_int_equal(apic_base(t, 299), 0xfee00c00);
	vmtest_free(t);

	t = new_split(255);
	vmtest_create(t);
	assert_int_equal(apic_base(t, 0), 0xfee00900);
	assert_int_equal(apic_base(t, 254), 0xfee00800);
	vmtest_free(t);

	t = new_split(300);
	snprintf(t->cfg.x86.cpu, sizeof(t->cfg.x86.cpu), "host,-x2apic");
	assert_refused(t, -EINVAL, LKVM_ERR_INPUT,
		       "--cpu host,-x2apic: leaves x2apic out; --cpus 300 needs it");
}

static void cpu_299_gets_interrupts(void **state)
{
	static const struct fake_step steps[] = {
		/* 299 = 0x12b: bits 7:0 in bits 63:56 of the entry, bits 14:8 in bits 55:49 */
		SET_HIGH(GSI_COM1, 0x2bu << 24 | 1u << 17),
		SET_LOW(GSI_COM1, LEVEL | VECTOR),
		TX_ON,
		POWER_OFF,
	};
	struct vmtest *t = new_split(300);
	struct kvm_irq_routing_entry e;

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(count(t, "KVM_SIGNAL_MSI 0x100fee2b000 0xc031 = 1"), 1);
	assert_true(fakekvm_route(t->fk, GSI_COM1, &e));
	assert_int_equal(e.u.msi.address_lo, 0xfee2b000);
	assert_int_equal(e.u.msi.address_hi, 0x100);
	vmtest_free(t);
}

static void without_the_feature_the_bits_mean_nothing(void **state)
{
	static const struct fake_step steps[] = {
		SET_HIGH(GSI_COM1, 1u << 24 | 0x7fu << 17),
		SET_LOW(GSI_COM1, VECTOR),
		TX_ON,
		POWER_OFF,
	};
	struct vmtest *t = new_split(2);

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_int_equal(count(t, "KVM_SIGNAL_MSI 0xfee01fe0 0x31 = 1"), 1);
	vmtest_free(t);
}

static void a_machine_of_1024_runs(void **state)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_amd);

	(void)state;
	t->cfg.n_vcpus = LKVM_MAX_VCPUS;
	vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
	vmtest_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_default_all_of_it_is_kvms),
		cmocka_unit_test(split_has_local_apics_only_and_says_how_they_acknowledge),
		cmocka_unit_test(a_kvm_without_the_flag_is_told_nothing),
		cmocka_unit_test(more_ids_than_8_bits_have_make_it_split),
		cmocka_unit_test(what_the_host_lacks_is_said),
		cmocka_unit_test(there_is_nothing_at_the_ports_of_pic_and_pit),
		cmocka_unit_test(their_ports_are_free_for_others),
		cmocka_unit_test(the_tables_tell_which_there_are),
		cmocka_unit_test(a_level_comes_again_until_the_device_is_served),
		cmocka_unit_test(the_guest_can_acknowledge_at_the_register),
		cmocka_unit_test(an_edge_is_a_message_and_no_more),
		cmocka_unit_test(rewriting_entries_costs_nothing),
		cmocka_unit_test(a_message_to_nobody_is_no_error),
		cmocka_unit_test(failures_of_the_host_are_logged_and_tried_again),
		cmocka_unit_test(every_call_to_kvm_fails_once),
		cmocka_unit_test(the_guest_is_told_of_15_bit_destinations_where_it_needs_them),
		cmocka_unit_test(cpus_with_wide_ids_begin_in_x2apic_mode),
		cmocka_unit_test(cpu_299_gets_interrupts),
		cmocka_unit_test(without_the_feature_the_bits_mean_nothing),
		cmocka_unit_test(a_machine_of_1024_runs),
	};

	return cmocka_run_group_tests_name("x86 irqchip", tests, NULL, NULL);
}
