/*
 * test_snp.c - SEV-SNP guests: what is asked for, the launch and what KVM asks while they run (T2).
 *
 * Does not prove that KVM or AMD's firmware do as fakekvm says: there was no such hardware. Nothing
 * is encrypted here, and no measurement is made.
 */
#include "tests/unit/vmtest.h"

#include "arch/x86/snp_cpuid.h"
#include "linux-uapi/kvm.h"
#include "linux-uapi/x86.h"
#include "tests/faults.h"
#include "tests/unit/x86/mkovmf.h"

#define PRIVATE KVM_MEMORY_EXIT_FLAG_PRIVATE
#define FW_GPA	(4 * GIB - MKOVMF_SIZE)

static const struct fake_step poweroff[] = { FAKE_OUT(0x604, 2, 0x3400) };

static u8 image[MKOVMF_SIZE];
static char files[4][64];
static unsigned int n_files;

/* A file with these bytes, removed by the end of the test. */
static const char *file(const void *bytes, size_t len)
{
	char *path = files[n_files++];
	int fd;

	assert_true(n_files <= ARRAY_SIZE(files));
	snprintf(path, sizeof(files[0]), "/tmp/lkvm-snp-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_true(write(fd, bytes, len) == (ssize_t)len);
	close(fd);
	return path;
}

static struct vmtest *snp_new(void)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_snp);

	n_files = 0;
	mkovmf(image, mkovmf_usual, ARRAY_SIZE(mkovmf_usual));
	t->cfg.kernel[0] = 0;
	t->cfg.x86.snp.on = true;
	snprintf(t->cfg.firmware, sizeof(t->cfg.firmware), "%s", file(image, sizeof(image)));
	return t;
}

static void snp_free(struct vmtest *t)
{
	vmtest_free(t);
	for (unsigned int i = 0; i < n_files; i++)
		unlink(files[i]);
}

static void snp_refused(struct vmtest *t, enum lkvm_error_kind kind, const char *why)
{
	struct lkvm_vm *vm = NULL;
	struct lkvm_error err = { 0 };

	if (!vm_create_on(fakekvm_backend(t->fk), &t->cfg, &vm, &err) && !lkvm_vm_start(vm, &err))
		fail_msg("accepted, wanted: %s", why);
	lkvm_vm_destroy(vm);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" is not in \"%s\"", why, err.msg);
	assert_int_equal(err.kind, kind);
	assert_true(strlen(err.msg) < sizeof(err.msg) - 1);
}

/* The lines of the transcript that are SEV commands, without "vm KVM_MEMORY_ENCRYPT_OP". */
static void commands(struct vmtest *t, char *buf, size_t size)
{
	static const char name[] = "vm KVM_MEMORY_ENCRYPT_OP ";
	char *text = fakekvm_transcript(t->fk, "vm"), *line, *rest = text;

	buf[0] = 0;
	while ((line = strsep(&rest, "\n"))) {
		if (!strncmp(line, name, strlen(name)))
			snprintf(buf + strlen(buf), size - strlen(buf), "%s\n",
				 line + strlen(name));
	}
	free(text);
}

#define assert_commands(t, want)                 \
	do {                                     \
		char got_[4096];                 \
		commands(t, got_, sizeof(got_)); \
		assert_string_equal(got_, want); \
	} while (0)

/* ---- what is asked for --------------------------------------------------------------- */

static void impossible_configs_are_refused_by_name(void **state)
{
	struct vmtest *t = snp_new();
	struct lkvm_snp *snp = &t->cfg.x86.snp;
	const struct lkvm_config good = t->cfg;

	(void)state;
#define REFUSED(change, why)                         \
	do {                                         \
		t->cfg = good;                       \
		change;                              \
		snp_refused(t, LKVM_ERR_INPUT, why); \
	} while (0)
	REFUSED(snp->policy = 0x10000, "policy=0x10000: bit 17 is reserved and must be 1");
	REFUSED(snp->policy = 0x8000000000030000, "must not have bits reserved (63)");
	REFUSED(snp->policy = 0x4030000, "must not have bits reserved (26)");
	REFUSED((t->cfg.firmware[0] = 0, strcpy(t->cfg.kernel, t->kernel)),
		"--snp: needs --firmware with SEV metadata");
	REFUSED(t->cfg.mem_backend = LKVM_MEM_ANON, "--mem-backend must be guest-memfd");
	REFUSED(t->cfg.mem_backend = LKVM_MEM_HUGETLBFS, "--mem-backend must be guest-memfd");
	REFUSED(strcpy(t->cfg.flash, t->kernel), "--flash");
	REFUSED(t->cfg.nested = true, "--nested");
	REFUSED(strcpy(snp->id_block, "x"), "id-block= and id-auth= are given together");
	REFUSED(strcpy(snp->id_auth, "x"), "id-block= and id-auth= are given together");
	REFUSED(snp->author_key = true, "author-key needs");
	REFUSED((snp->on = false, strcpy(snp->report, "r")), "--snp-report r: needs --snp");
#undef REFUSED
	t->cfg = good;
	snp_free(t);
}

static void a_host_without_snp_says_what_it_takes(void **state)
{
	struct vmtest *t = snp_new();

	(void)state;
	fakekvm_set_sev(t->fk, "/does/not/exist");
	snp_refused(t, LKVM_ERR_UNSUPPORTED, "cannot open /does/not/exist (No such file");
	fakekvm_set_cap(t->fk, KVM_CAP_EXIT_HYPERCALL, 0);
	fakekvm_set_sev(t->fk, "/dev/null");
	snp_refused(t, LKVM_ERR_UNSUPPORTED, "page-state changes");
	fakekvm_set_cap(t->fk, KVM_CAP_VM_TYPES, 1);
	snp_refused(t, LKVM_ERR_UNSUPPORTED, "kvm_amd loaded with sev_snp=1");
	snp_free(t);
}

static void policy_bits_kvm_does_not_take_are_named(void **state)
{
	struct vmtest *t = snp_new();

	(void)state;
	t->cfg.x86.snp.policy = 0x30000 | BIT(19) | BIT(20);
	fakekvm_snp_set_policy_bits(t->fk, 0xfffff);
	snp_refused(t, LKVM_ERR_UNSUPPORTED, "does not take bits SINGLE_SOCKET (20)");
	fakekvm_snp_set_policy_bits(t->fk, 0x3ffff00);
	t->cfg.x86.snp.policy |= 0x37;
	snp_refused(t, LKVM_ERR_UNSUPPORTED, "bits ABI_MINOR (0), ABI_MINOR (1), ABI_MINOR (2)");
	t->cfg.x86.snp.policy &= ~0xffull;
	/* an older one does not say so, and refuses the launch */
	fakekvm_snp_hide_attr(t->fk, KVM_X86_SNP_POLICY_BITS);
	fakekvm_snp_set_policy_bits(t->fk, 0xfffff);
	snp_refused(t, LKVM_ERR_UNSUPPORTED, "does not take policy 0x1b0000; before Linux 6.17");
	snp_free(t);
}

static void firmware_that_cannot_be_launched_is_refused(void **state)
{
	static const struct mkovmf_section far[] = { { 0x80d000, 0x1000, 2 },
						     { 0x80e000, 0x1000, 3 },
						     { 0x10000000, 0x1000, 1 } },
					   inside[] = { { 0x80d000, 0x1000, 2 },
							{ 0x80e000, 0x1000, 3 },
							{ 0xffff0000, 0x1000, 1 } };
	struct vmtest *t = snp_new();

	(void)state;
	mkovmf(image, far, 3);
	strcpy(t->cfg.firmware, file(image, sizeof(image)));
	snp_refused(t, LKVM_ERR_INPUT, "wants SNP_SEC_MEM at 0x10000000, 0x1000 bytes; --mem has");
	mkovmf(image, inside, 3);
	strcpy(t->cfg.firmware, file(image, sizeof(image)));
	snp_refused(t, LKVM_ERR_INPUT, "wants SNP_SEC_MEM at 0xffff0000");
	memset(image, 0, sizeof(image));
	strcpy(t->cfg.firmware, file(image, sizeof(image)));
	snp_refused(t, LKVM_ERR_INPUT, "has no SEV metadata");
	snp_free(t);
}

/* ---- the launch ---------------------------------------------------------------------- */

static void a_launch_measures_firmware_then_its_sections(void **state)
{
	struct vmtest *t = snp_new();
	const struct snp_cpuid_page *page;
	u8 *p;

	(void)state;
	t->cfg.n_vcpus = 2;
	t->cfg.x86.snp.host_data[0] = 0x42;
	fakekvm_snp_set_partial(t->fk, 0x8000);
	vmtest_start(t);
	assert_commands(t, "22 = 0\n"
			   "100 policy 0x30000 = 0\n"
			   "101 type 1 gpa 0xffff0000 len 0x10000 = 0\n"
			   "101 type 1 gpa 0xffff8000 len 0x8000 = 0\n"
			   "101 type 3 gpa 0x800000 len 0x9000 = 0\n"
			   "101 type 3 gpa 0x808000 len 0x1000 = 0\n"
			   "101 type 3 gpa 0x80a000 len 0x3000 = 0\n"
			   "101 type 5 gpa 0x80d000 len 0x1000 = 0\n"
			   "101 type 6 gpa 0x80e000 len 0x1000 = 0\n"
			   "101 type 3 gpa 0x80f000 len 0x11000 = 0\n"
			   "101 type 3 gpa 0x817000 len 0x9000 = 0\n"
			   "101 type 3 gpa 0x81f000 len 0x1000 = 0\n"
			   "102 id 0 author 0 host-data 0x42 = 0\n");
	p = fakekvm_gpa(t->fk, FW_GPA, MKOVMF_SIZE);
	assert_non_null(p);
	assert_memory_equal(p, image, MKOVMF_SIZE);
	assert_true(fakekvm_private_bytes(t->fk, FW_GPA, MKOVMF_SIZE) == MKOVMF_SIZE);
	assert_true(fakekvm_private_bytes(t->fk, 0, t->cfg.mem_size) == t->cfg.mem_size);
	page = fakekvm_gpa(t->fk, 0x80e000, 0x1000);
	assert_true(page->count > 5 && page->count <= SNP_CPUID_MAX);
	assert_int_equal(page->entries[0].eax_in, 0);
	snp_free(t);
}

static void ram_above_4_gib_is_private_too(void **state)
{
	struct vmtest *t = snp_new();

	(void)state;
	t->cfg.mem_size = 4 * GIB;
	vmtest_start(t);
	assert_true(fakekvm_private_bytes(t->fk, 0, 8 * GIB) == 4 * GIB + MKOVMF_SIZE);
	snp_free(t);
}

static void what_the_firmware_refuses_has_its_name(void **state)
{
	static const struct {
		u32 id;
		unsigned int nth;
		u32 code;
		const char *why;
	} cases[] = {
		{ KVM_SEV_INIT2, 1, 0x13,
		  "KVM_SEV_INIT2 failed, the SEV firmware's code is HW_PLATFORM (0x13)" },
		{ KVM_SEV_SNP_LAUNCH_START, 1, 7,
		  "LAUNCH_START with policy 0x30000 failed, the SEV firmware's code is "
		  "POLICY_FAILURE (0x7)" },
		{ KVM_SEV_SNP_LAUNCH_START, 1, 0xffffffff, "NO_FW_CALL" },
		{ KVM_SEV_SNP_LAUNCH_UPDATE, 1, 0x1a,
		  "LAUNCH_UPDATE of the firmware at 0xffff0000 failed, the SEV firmware's code is "
		  "INVALID_PAGE_STATE" },
		{ KVM_SEV_SNP_LAUNCH_UPDATE, 4, 0x1c, "SNP_SECRETS at 0x80d000" },
		{ KVM_SEV_SNP_LAUNCH_UPDATE, 5, 0, "the CPUID page at 0x80e000 failed" },
		{ KVM_SEV_SNP_LAUNCH_FINISH, 1, 0xb,
		  "LAUNCH_FINISH failed, the SEV firmware's code is BAD_MEASUREMENT" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmtest *t = snp_new();

		fakekvm_snp_fail(t->fk, cases[i].id, cases[i].nth, 1, EIO, cases[i].code);
		snp_refused(t, LKVM_ERR_HOST, cases[i].why);
		snp_free(t);
	}
}

static void kvm_may_ask_for_patience_but_not_for_ever(void **state)
{
	struct vmtest *t = snp_new();

	(void)state;
	fakekvm_snp_fail(t->fk, KVM_SEV_SNP_LAUNCH_UPDATE, 2, 20, EAGAIN, 0);
	vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
	snp_free(t);
	t = snp_new();
	fakekvm_snp_fail(t->fk, KVM_SEV_SNP_LAUNCH_UPDATE, 2, UINT32_MAX, EAGAIN, 0);
	snp_refused(t, LKVM_ERR_HOST, "SNP_SEC_MEM at 0x800000 failed: Resource temporarily");
	snp_free(t);
}

static void a_corrected_cpuid_page_is_tried_once(void **state)
{
	struct vmtest *t = snp_new();
	const struct snp_cpuid_page *page;
	bool seen = false;

	(void)state;
	fakekvm_snp_refuse_cpuid(t->fk, 7, 1 << 3, false); /* BMI1 */
	vmtest_start(t);
	page = fakekvm_gpa(t->fk, 0x80e000, 0x1000);
	for (u32 i = 0; i < page->count; i++) {
		if (page->entries[i].eax_in != 7 || page->entries[i].ecx_in)
			continue;
		seen = true;
		assert_false(page->entries[i].ebx & 1 << 3);
	}
	assert_true(seen);
	if (!strstr(t->log, "does not vouch for CPUID 0x7.0: it allows EBX 0x"))
		fail_msg("log: %s", t->log);
	snp_free(t);
}

static void one_refused_again_is_an_error(void **state)
{
	struct vmtest *t = snp_new();

	(void)state;
	fakekvm_snp_refuse_cpuid(t->fk, 7, 0xffffffff, true);
	snp_refused(t, LKVM_ERR_HOST,
		    "the CPUID page at 0x80e000 failed, the SEV firmware's code is "
		    "INVALID_PARAM (0x16)");
	if (!strstr(t->log, "does not vouch for CPUID 0x7.0: it allows EBX 0x0 for 0x"))
		fail_msg("log: %s", t->log);
	snp_free(t);
}

static void a_report_is_written_after_the_launch(void **state)
{
	struct vmtest *t = snp_new();
	static u8 report[LKVM_SNP_REPORT_LEN], got[LKVM_SNP_REPORT_LEN + 1];
	const char *path = file("", 0);
	char text[4096];
	int fd;

	(void)state;
	memset(report, 0x77, sizeof(report));
	fakekvm_snp_set_report_abi(t->fk, 7);
	fakekvm_snp_set_report(t->fk, report, sizeof(report));
	strcpy(t->cfg.x86.snp.report, path);
	vmtest_start(t);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got)) == sizeof(report));
	close(fd);
	assert_memory_equal(got, report, sizeof(report));
	commands(t, text, sizeof(text));
	assert_non_null(strstr(text, "102 id 0 author 0 host-data 0x00 = 0\n104"));
	snp_free(t);
}

/* ---- the identity -------------------------------------------------------------------- */

static u8 id_block[96], id_auth[4096];

static void give_id(struct vmtest *t, size_t block_len, size_t auth_len)
{
	strcpy(t->cfg.x86.snp.id_block, file(id_block, block_len));
	strcpy(t->cfg.x86.snp.id_auth, file(id_auth, auth_len));
}

static void good_id(void)
{
	memset(id_block, 0, sizeof(id_block));
	memset(id_auth, 0, sizeof(id_auth));
	put_le32(id_block + 80, 1);
	put_le64(id_block + 88, 0x30000);
	put_le32(id_auth, 1);
	put_le32(id_auth + 4, 1);
}

static void an_id_block_goes_with_the_finish(void **state)
{
	struct vmtest *t = snp_new();
	char text[4096];

	(void)state;
	good_id();
	give_id(t, 96, 4096);
	t->cfg.x86.snp.author_key = true;
	vmtest_start(t);
	commands(t, text, sizeof(text));
	assert_non_null(strstr(text, "102 id 1 author 1 host-data 0x00 = 0\n"));
	snp_free(t);
}

static void malformed_ids_are_refused(void **state)
{
	static const struct {
		size_t block_len, auth_len;
		u8 *at;
		u8 value;
		const char *why;
	} cases[] = {
		{ 95, 4096, NULL, 0, "has 95 bytes; must have 96" },
		{ 96, 4095, NULL, 0, "has 4095 bytes; must have 4096" },
		{ 96, 4096, id_block + 80, 2, "is of version 2; must be 1" },
		{ 96, 4096, id_block + 90, 0xb,
		  "is for policy 0xb0000, and the guest's is 0x30000" },
		{ 96, 4096, id_auth, 2, "not for ECDSA P-384" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmtest *t = snp_new();

		good_id();
		if (cases[i].at)
			*cases[i].at = cases[i].value;
		give_id(t, cases[i].block_len, cases[i].auth_len);
		snp_refused(t, LKVM_ERR_INPUT, cases[i].why);
		snp_free(t);
	}
}

/* Calls whose failure makes no difference that anybody could be told of. */
static bool may_fail_silently(const char *failed)
{
	return strstr(failed, "KVM_CHECK_EXTENSION") || strstr(failed, "KVM_GET_DEVICE_ATTR") ||
	       strstr(failed, "KVM_RUN") || strstr(failed, "KVM_KVMCLOCK_CTRL");
}

/* Every call to KVM fails once: there is one message, and nothing stays open. */
static void any_failing_call_ends_with_a_message(void **state)
{
	bool through = false;

	(void)state;
	for (unsigned long nth = 1; !through; nth++) {
		struct vmtest *t = snp_new();
		const char *failed;
		int ret;

		good_id();
		give_id(t, 96, 4096);
		strcpy(t->cfg.x86.snp.certs, file("x", 1));
		fakekvm_script(t->fk, 0, poweroff, 1);
		fakekvm_fail_nth(t->fk, nth, ENOMEM);
		ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);
		if (!ret)
			ret = lkvm_vm_start(t->vm, &t->err);
		if (!ret)
			vmtest_finish(t);
		failed = fakekvm_failed_call(t->fk);
		through = !failed;
		if (ret)
			assert_true(strlen(t->err.msg) > 5);
		else if (failed && !may_fail_silently(failed) &&
			 t->res.cause == LKVM_CAUSE_POWEROFF)
			fail_msg("%s failed, and nobody noticed", failed);
		snp_free(t);
	}
}

/* The same for calls to the host: of memory, of descriptors, of files. */
static void any_failing_host_call_ends_with_a_message(void **state)
{
	static const unsigned int kinds[] = { FAULTS_MEMORY, FAULTS_FD, FAULTS_READ };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (unsigned long nth = 1;; nth++) {
			struct vmtest *t = snp_new();
			int ret;

			good_id();
			give_id(t, 96, 4096);
			strcpy(t->cfg.x86.snp.certs, file("x", 1));
			faults_arm(kinds[k], nth);
			ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);
			if (!ret)
				ret = lkvm_vm_start(t->vm, &t->err);
			faults_disarm();
			if (ret)
				assert_true(strlen(t->err.msg) > 5);
			snp_free(t);
			if (!faults_hit())
				break;
		}
	}
}

/* ---- while it runs ------------------------------------------------------------------- */

#define HYPERCALL(nr, gpa, pages, attrs) \
	FAKE_EXIT_DATA(KVM_EXIT_HYPERCALL, 56, ((const u64[]){ nr, gpa, pages, attrs, 0, 0, 0 }))
#define MAP(gpa, pages, attrs) HYPERCALL(12, gpa, pages, attrs)
#define FAULT(gpa, flags)                                               \
	{                                                               \
		.op = FAKE_OP_MEMFAULT, .addr = (gpa), .value = (flags) \
	}

static s64 answer_of_hypercall(struct vmtest *t, unsigned int nth)
{
	u8 run[72];

	assert_int_equal(fakekvm_answer(t->fk, 0, nth, run, sizeof(run)), 72);
	return (s64)get_le64(run + 56);
}

static void look_at_3_shared_pages(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	(void)vcpu;
	*(u64 *)ctx = fakekvm_private_bytes(fk, 0, 64 * MIB);
}

static void pages_change_hands_as_the_guest_asks(void **state)
{
	u64 shared = 0, private = 0;
	const struct fake_step steps[] = {
		MAP(0x100000, 3, 0),
		FAKE_CALL(look_at_3_shared_pages, &shared),
		FAKE_STORE(0x101000, 4, 0x1234),
		MAP(0x100000, 3, 0x10),
		FAULT(0x200123, 0),
		FAULT(0x200123, PRIVATE),
		FAKE_CALL(look_at_3_shared_pages, &private),
		FAKE_OUT(0x604, 2, 0x3400),
	};
	struct vmtest *t = snp_new();

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_true(shared == 64 * MIB - 3 * 4096);
	assert_true(private == 64 * MIB);
	assert_true(answer_of_hypercall(t, 0) == 0 && answer_of_hypercall(t, 1) == 0);
	snp_free(t);
}

static void senseless_page_state_changes_are_refused(void **state)
{
	const struct fake_step steps[] = {
		MAP(0x100001, 1, 0x10),
		MAP(0x100000, 0, 0x10),
		MAP(0x100000, 1, 0x20),
		MAP(0x3fff000, 2, 0), /* the last page of RAM, and one more */
		MAP(0xd0000000, 1, 0),
		MAP(0xfffffffffffff000, 1, 0),
		MAP(0x100000, ~(u64)0, 0),
		MAP(0x100000, BIT(52) + 1, 0), /* as bytes: one page */
		HYPERCALL(5, 0, 0, 0),
		FAKE_OUT(0x604, 2, 0x3400),
	};
	struct vmtest *t = snp_new();

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	for (unsigned int i = 0; i < 8; i++)
		assert_true(answer_of_hypercall(t, i) == EINVAL);
	assert_true(answer_of_hypercall(t, 8) == -1000);
	assert_true(fakekvm_private_bytes(t->fk, 0, 64 * MIB) == 64 * MIB);
	snp_free(t);
}

static void a_guest_that_makes_no_progress_is_ended(void **state)
{
	static const struct fake_step same[] = { FAULT(0x200000, PRIVATE), FAKE_REPEAT(0, 0) };
	static const struct fake_step progress[] = { FAULT(0x200000, 0), FAKE_OUT(0x80, 1, 0),
						     FAKE_REPEAT(0, 200),
						     FAKE_OUT(0x604, 2, 0x3400) };
	static const struct fake_step nowhere[] = { FAULT(0xd0000000, PRIVATE) };
	static const struct fake_step end[] = { FAULT(~(u64)0, PRIVATE) };
	struct vmtest *t = snp_new();

	(void)state;
	vmtest_run(t, same, LKVM_CAUSE_INTERNAL_ERROR, 115);
	assert_string_equal(t->res.detail,
			    "vCPU 0: the SNP guest uses 0x200000 as private memory: the same fault "
			    "comes again and again, though the page was converted");
	snp_free(t);
	t = snp_new();
	vmtest_run(t, progress, LKVM_CAUSE_POWEROFF, 0);
	snp_free(t);
	t = snp_new();
	vmtest_run(t, nowhere, LKVM_CAUSE_INTERNAL_ERROR, 115);
	assert_string_equal(
		t->res.detail,
		"vCPU 0: the SNP guest uses 0xd0000000 as private memory: there is no RAM");
	snp_free(t);
	t = snp_new();
	vmtest_run(t, end, LKVM_CAUSE_INTERNAL_ERROR, 115);
	assert_non_null(strstr(t->res.detail, "there is no RAM"));
	snp_free(t);
}

static void wait_for_the_other(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	pthread_barrier_t *barrier = ctx;

	(void)fk;
	(void)vcpu;
	pthread_barrier_wait(barrier);
}

/* The same pages both ways at the same time: nobody else is hurt, and nothing is left of it. */
static void two_vcpus_may_fight_over_pages(void **state)
{
	pthread_barrier_t barrier;
	const struct fake_step boot[] = {
		MAP(0x100000, 3, 0),
		MAP(0x100000, 3, 0x10),
		FAULT(0x101000, 0),
		FAKE_REPEAT(0, 80),
		FAKE_CALL(wait_for_the_other, &barrier),
		MAP(0x100000, 3, 0),
		FAKE_LOAD(0x101000, 8),
		FAKE_STORE(0x101000, 8, 0x1234),
		FAKE_LOAD(0x101000, 8),
		FAKE_OUT(0x604, 2, 0x3400),
	};
	const struct fake_step other[] = {
		FAULT(0x100000, PRIVATE),
		MAP(0x101000, 2, 0x10),
		MAP(0x100000, 2, 0),
		FAKE_REPEAT(0, 80),
		FAKE_CALL(wait_for_the_other, &barrier),
	};
	struct vmtest *t = snp_new();
	unsigned int n;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	t->cfg.n_vcpus = 2;
	vmtest_script(t, 1, other);
	vmtest_run(t, boot, LKVM_CAUSE_POWEROFF, 0);
	pthread_barrier_destroy(&barrier);
	n = fakekvm_n_answers(t->fk, 0);
	assert_true(fakekvm_answer_u64(t->fk, 0, n - 2) == 0);
	assert_true(fakekvm_answer_u64(t->fk, 0, n - 1) == 0x1234);
	assert_null(strstr(t->log, "cannot become"));
	snp_free(t);
}

/* Private and shared by turns: what one access needs, the other takes away. */
static void a_page_that_is_used_both_ways_is_no_progress(void **state)
{
	static const struct fake_step turns[] = { FAULT(0x200000, PRIVATE), FAULT(0x200000, 0),
						  FAKE_REPEAT(0, 1000),
						  FAKE_OUT(0x604, 2, 0x3400) };
	struct fake_step many[300];
	struct vmtest *t = snp_new();

	(void)state;
	vmtest_run(t, turns, LKVM_CAUSE_INTERNAL_ERROR, 115);
	assert_non_null(strstr(t->res.detail, "the same fault comes again and again"));
	snp_free(t);
	/* one page after the other is all progress */
	for (unsigned int i = 0; i + 1 < ARRAY_SIZE(many); i++)
		many[i] = (struct fake_step)FAULT(0x200000 + i / 2 * 4096, i % 2 ? PRIVATE : 0);
	many[ARRAY_SIZE(many) - 1] = (struct fake_step)FAKE_OUT(0x604, 2, 0x3400);
	t = snp_new();
	vmtest_run(t, many, LKVM_CAUSE_POWEROFF, 0);
	snp_free(t);
}

static void a_guest_that_terminates_itself_says_why(void **state)
{
	static const struct fake_step shutdown[] = { FAKE_SHUTDOWN };
	static const u64 event[] = { 6 | (u64)1 << 32, 0x100 | 1 << 12 | 3 << 16 };
	static const struct fake_step steps[] = { FAKE_EXIT_DATA(KVM_EXIT_SYSTEM_EVENT, 16,
								 event) };
	struct vmtest *t = snp_new();
	struct lkvm_vcpu_state cpu;

	(void)state;
	vmtest_run(t, steps, LKVM_CAUSE_PANIC, 113);
	assert_string_equal(t->res.detail,
			    "vCPU 0: the SNP guest asked to be terminated, reason 1:3 "
			    "(one of Linux)");
	/* what KVM has of its registers is from before the launch */
	assert_int_equal(lkvm_vm_vcpu_state(t->vm, 0, &cpu), 0);
	assert_int_equal(cpu.n_regs, 0);
	assert_string_equal(cpu.symbol_note, "the registers of an SNP guest are its own");
	snp_free(t);
	t = snp_new();
	vmtest_run(t, shutdown, LKVM_CAUSE_TRIPLE_FAULT, 114);
	snp_free(t);
}

static void such_exits_of_ordinary_guests_stay_unknown(void **state)
{
	const struct fake_step hypercall[] = { MAP(0x100000, 1, 0) };
	static const struct fake_step term[] = { FAKE_SYSTEM_EVENT(6) };
	static const struct fake_step fault[] = { FAULT(0x100000, PRIVATE), FAKE_REPEAT(0, 0) };
	const struct fake_step *const ways[] = { hypercall, term, fault };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct vmtest *t = vmtest_new(&fakekvm_x86_snp);

		fakekvm_script(t->fk, 0, ways[i], i == 2 ? 2 : 1);
		vmtest_start(t);
		vmtest_finish(t);
		assert_int_equal(t->res.cause, LKVM_CAUSE_INTERNAL_ERROR);
		vmtest_free(t);
	}
}

static void a_restart_launches_anew(void **state)
{
	static const struct fake_step steps[] = { FAKE_OUT(PM_RESET, 1, 1) };
	struct vmtest *t = snp_new();

	(void)state;
	t->cfg.on_reboot = LKVM_ON_REBOOT_RESTART;
	t->cfg.timeout_ns = 300 * NSEC_PER_MSEC;
	vmtest_script(t, 0, steps);
	vmtest_start(t);
	vmtest_finish(t);
	assert_true(t->res.n_boots > 1);
	snp_free(t);
}

static void take_away(struct fakekvm *fk, unsigned int vcpu, void *ctx)
{
	(void)fk;
	(void)vcpu;
	unlink(ctx);
}

/* The files are those of the first boot, whatever has their names since. */
static void a_restart_needs_no_names_of_files(void **state)
{
	struct vmtest *t = snp_new();
	const struct fake_step steps[] = {
		FAKE_CALL(take_away, t->cfg.firmware),
		FAKE_CALL(take_away, t->cfg.x86.snp.id_block),
		FAKE_CALL(take_away, t->cfg.x86.snp.id_auth),
		FAKE_OUT(PM_RESET, 1, 1),
	};

	(void)state;
	good_id();
	give_id(t, 96, 4096);
	t->cfg.on_reboot = LKVM_ON_REBOOT_RESTART;
	t->cfg.timeout_ns = 300 * NSEC_PER_MSEC;
	vmtest_script(t, 0, steps);
	vmtest_start(t);
	vmtest_finish(t);
	assert_string_equal(lkvm_cause_name(t->res.cause), "timeout");
	assert_true(t->res.n_boots > 1);
	snp_free(t);
}

/* ---- certificates -------------------------------------------------------------------- */

#define CERTS(gpa, pages) \
	FAKE_EXIT_DATA(KVM_EXIT_SNP_REQ_CERTS, 24, ((const u64[]){ gpa, pages, 99 }))

static u64 answer_of_certs(struct vmtest *t, unsigned int nth, u64 *n_pages)
{
	u8 run[72];

	assert_int_equal(fakekvm_answer(t->fk, 0, nth, run, sizeof(run)), 72);
	*n_pages = get_le64(run + 8);
	return get_le64(run + 16);
}

static void certificates_reach_pages_the_guest_shares(void **state)
{
	const struct fake_step steps[] = {
		MAP(0x100000, 4, 0),  CERTS(0x100000, 1),     CERTS(0x100000, 4),
		CERTS(0xd0000000, 4), FAKE_LOAD(0x101388, 8), FAKE_OUT(0x604, 2, 0x3400),
	};
	struct vmtest *t = snp_new();
	static u8 certs[5008];
	char text[4096];
	u64 n;

	(void)state;
	memset(certs, 0x5a, sizeof(certs));
	strcpy(t->cfg.x86.snp.certs, file(certs, sizeof(certs)));
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	commands(t, text, sizeof(text));
	assert_non_null(strstr(text, "22 = 0\n103 = 0\n100 "));
	assert_true(answer_of_certs(t, 1, &n) == ENOSPC && n == 2);
	assert_true(answer_of_certs(t, 2, &n) == 0 && n == 4);
	assert_true(answer_of_certs(t, 3, &n) == EIO);
	assert_true(fakekvm_answer_u64(t->fk, 0, 4) == 0x5a5a5a5a5a5a5a5a);
	assert_non_null(
		strstr(t->log, "gets no certificates: it wants them where there is no RAM"));
	snp_free(t);
}

static void certificates_that_are_being_replaced_are_for_later(void **state)
{
	const struct fake_step steps[] = { CERTS(0x100000, 1), FAKE_OUT(0x604, 2, 0x3400) };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct vmtest *t = snp_new();
	u64 n;
	int fd;

	(void)state;
	strcpy(t->cfg.x86.snp.certs, file("x", 1));
	fd = open(t->cfg.x86.snp.certs, O_RDWR);
	assert_true(fd >= 0 && !fcntl(fd, F_OFD_SETLK, &lock));
	vmtest_run(t, steps, LKVM_CAUSE_POWEROFF, 0);
	assert_true(answer_of_certs(t, 0, &n) == EAGAIN);
	close(fd);
	snp_free(t);
}

static void certificates_nobody_can_give_are_refused_at_the_start(void **state)
{
	static u8 much[64 * 1024 + 1];
	struct vmtest *t = snp_new();

	(void)state;
	strcpy(t->cfg.x86.snp.certs, "/does/not/exist");
	snp_refused(t, LKVM_ERR_INPUT, "Unable to open certificates /does/not/exist (No such file");
	strcpy(t->cfg.x86.snp.certs, "/tmp");
	snp_refused(t, LKVM_ERR_INPUT, "certificates /tmp: a regular file is needed");
	strcpy(t->cfg.x86.snp.certs, file(much, sizeof(much)));
	snp_refused(t, LKVM_ERR_INPUT, "has 65537 bytes; must have 1 to 65536");
	strcpy(t->cfg.x86.snp.certs, file("", 0));
	snp_refused(t, LKVM_ERR_INPUT, "has 0 bytes; must have 1 to 65536");
	snp_free(t);
}

/* Empty, or of any size, is what a file may be until the lock is given back. */
static void a_file_of_certificates_is_judged_under_its_lock(void **state)
{
	static const off_t sizes[] = { 0, 65 * 1024 };
	const struct fake_step steps[] = { CERTS(0x100000, 1), FAKE_OUT(0x604, 2, 0x3400) };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct vmtest *t = snp_new();
	int writer;

	(void)state;
	/* a machine may be made meanwhile */
	strcpy(t->cfg.x86.snp.certs, file("", 0));
	writer = open(t->cfg.x86.snp.certs, O_RDWR);
	assert_true(writer >= 0 && !fcntl(writer, F_OFD_SETLK, &lock));
	vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
	close(writer);
	snp_free(t);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (unsigned int locked = 0; locked < 2; locked++) {
			u64 n;
			int fd;

			t = snp_new();
			strcpy(t->cfg.x86.snp.certs, file("x", 1));
			fakekvm_script(t->fk, 0, steps, ARRAY_SIZE(steps));
			vmtest_create(t);
			fd = open(t->cfg.x86.snp.certs, O_RDWR);
			assert_true(fd >= 0 && !ftruncate(fd, sizes[i]));
			assert_true(!locked || !fcntl(fd, F_OFD_SETLK, &lock));
			assert_int_equal(lkvm_vm_start(t->vm, &t->err), 0);
			vmtest_finish(t);
			assert_true(answer_of_certs(t, 0, &n) == (u64)(locked ? EAGAIN : EIO));
			close(fd);
			snp_free(t);
		}
	}
}

static void a_kernel_that_does_not_ask_for_them_is_never_given_the_number(void **state)
{
	struct vmtest *t = snp_new();
	char text[4096];

	(void)state;
	strcpy(t->cfg.x86.snp.certs, file("x", 1));
	fakekvm_snp_hide_attr(t->fk, KVM_X86_SEV_SNP_REQ_CERTS);
	snp_refused(t, LKVM_ERR_UNSUPPORTED, "does not ask for certificates; Linux 7.0 does");
	commands(t, text, sizeof(text));
	assert_null(strstr(text, "103"));
	snp_free(t);
}

/* ---- the CPUID page ------------------------------------------------------------------ */

static void the_cpuid_page_has_what_is_not_zero(void **state)
{
	static union {
		struct kvm_cpuid2 table;
		u8 space[sizeof(struct kvm_cpuid2) + 70 * sizeof(struct kvm_cpuid_entry2)];
	} u;
	struct kvm_cpuid_entry2 *e = u.table.entries;
	struct snp_cpuid_page page;
	struct lkvm_error err = { 0 };

	(void)state;
	u.table.nent = 4;
	e[0] = (struct kvm_cpuid_entry2){ .function = 1, .index = 9, .eax = 5 };
	e[1] = (struct kvm_cpuid_entry2){ .function = 2 };
	e[2] = (struct kvm_cpuid_entry2){ .function = 0xd, .index = 1, .flags = 1, .ebx = 0x340 };
	e[3] = (struct kvm_cpuid_entry2){ .function = 0xd, .index = 2, .flags = 1, .ebx = 0x240 };
	assert_int_equal(snp_cpuid_fill(&u.table, &page, &err), 0);
	assert_int_equal(page.count, 3);
	assert_true(page.entries[0].eax_in == 1 && page.entries[0].ecx_in == 0);
	assert_true(page.entries[1].ecx_in == 1 && page.entries[1].ebx == 0x240);
	assert_true(page.entries[1].xcr0_in == 1 && page.entries[1].xss_in == 0);
	assert_true(page.entries[2].ecx_in == 2 && page.entries[2].xcr0_in == 0);

	u.table.nent = 70;
	for (u32 i = 0; i < 70; i++)
		e[i] = (struct kvm_cpuid_entry2){ .function = i, .eax = i < 65 };
	assert_int_equal(snp_cpuid_fill(&u.table, &page, &err), -E2BIG);
	assert_non_null(strstr(err.msg, "more than the 64 CPUID leaves"));
	e[7].eax = 0;
	assert_int_equal(snp_cpuid_fill(&u.table, &page, &err), 0);
	assert_int_equal(page.count, 64);
}

/* ---- fakekvm's own rules ------------------------------------------------------------- */

static int op(const struct kvm *kvm, u32 id, const void *data, u32 *code)
{
	struct kvm_sev_cmd cmd = { .id = id, .data = (uintptr_t)data, .sev_fd = 0 };
	int ret = kvm_vm_ioctl(kvm, KVM_MEMORY_ENCRYPT_OP, &cmd, NULL);

	*code = cmd.error;
	return ret;
}

/* Orders and errors of amd-memory-encryption.rst, as far as the launch above does not break them.
 */
static void commands_out_of_order_are_refused(void **state)
{
	struct fakekvm *fk = fakekvm_new(&fakekvm_x86_snp);
	struct kvm_sev_snp_launch_start start = { .policy = 0x30000 };
	struct kvm_sev_snp_launch_update update = { .len = 4096, .type = 3 };
	struct kvm_sev_snp_launch_finish finish = { 0 };
	struct kvm_sev_init init = { .flags = 1 };
	struct kvm_host host = KVM_HOST_INIT;
	struct kvm plain = KVM_INIT, kvm = KVM_INIT;
	int vcpu;
	u32 code;

	(void)state;
	assert_int_equal(kvm_open(&host, fakekvm_backend(fk), NULL), 0);
	assert_int_equal(kvm_create_vm(&plain, &host, 0, NULL), 0);
	assert_int_equal(kvm_create_vm(&kvm, &host, KVM_X86_SNP_VM, NULL), 0);
	assert_int_equal(op(&plain, KVM_SEV_SNP_LAUNCH_START, &start, &code), -ENOTTY);
	assert_int_equal(op(&kvm, KVM_SEV_SNP_LAUNCH_START, &start, &code), -ENOTTY);
	assert_int_equal(op(&kvm, KVM_SEV_INIT2, &init, &code), -EINVAL);
	init.flags = 0;
	assert_int_equal(op(&kvm, KVM_SEV_INIT2, &init, &code), 0);
	assert_int_equal(op(&kvm, KVM_SEV_INIT2, &init, &code), -EPERM);
	assert_int_equal(op(&kvm, 2, &init, &code), -EPERM);
	assert_int_equal(op(&kvm, 105, &init, &code), -EINVAL);
	assert_int_equal(op(&kvm, KVM_SEV_SNP_LAUNCH_UPDATE, &update, &code), -EINVAL);
	assert_int_equal(op(&kvm, KVM_SEV_SNP_LAUNCH_FINISH, &finish, &code), -EINVAL);
	start.policy = 0x10000;
	assert_int_equal(op(&kvm, KVM_SEV_SNP_LAUNCH_START, &start, &code), -EINVAL);
	start.policy = 0x30000;
	assert_int_equal(op(&kvm, KVM_SEV_SNP_LAUNCH_START, &start, &code), 0);
	assert_int_equal(op(&kvm, KVM_SEV_SNP_LAUNCH_START, &start, &code), -EINVAL);
	/* there is no memory */
	assert_int_equal(op(&kvm, KVM_SEV_SNP_LAUNCH_UPDATE, &update, &code), -EINVAL);
	vcpu = kvm_vm_ioctl(&kvm, KVM_CREATE_VCPU, 0, NULL);
	assert_true(vcpu >= 0);
	assert_int_equal(op(&kvm, KVM_SEV_SNP_LAUNCH_FINISH, &finish, &code), 0);
	assert_int_equal(op(&kvm, KVM_SEV_SNP_LAUNCH_FINISH, &finish, &code), -EIO);
	assert_int_equal(code, 2); /* INVALID_GUEST_STATE */
	kvm_close_fd(&kvm, vcpu);
	kvm_destroy_vm(&kvm);
	kvm_destroy_vm(&plain);
	kvm_close(&host);
	assert_string_equal(fakekvm_complaints(fk), "");
	fakekvm_free(fk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(impossible_configs_are_refused_by_name),
		cmocka_unit_test(a_host_without_snp_says_what_it_takes),
		cmocka_unit_test(policy_bits_kvm_does_not_take_are_named),
		cmocka_unit_test(firmware_that_cannot_be_launched_is_refused),
		cmocka_unit_test(a_launch_measures_firmware_then_its_sections),
		cmocka_unit_test(ram_above_4_gib_is_private_too),
		cmocka_unit_test(what_the_firmware_refuses_has_its_name),
		cmocka_unit_test(kvm_may_ask_for_patience_but_not_for_ever),
		cmocka_unit_test(a_corrected_cpuid_page_is_tried_once),
		cmocka_unit_test(one_refused_again_is_an_error),
		cmocka_unit_test(a_report_is_written_after_the_launch),
		cmocka_unit_test(an_id_block_goes_with_the_finish),
		cmocka_unit_test(malformed_ids_are_refused),
		cmocka_unit_test(any_failing_call_ends_with_a_message),
		cmocka_unit_test(any_failing_host_call_ends_with_a_message),
		cmocka_unit_test(pages_change_hands_as_the_guest_asks),
		cmocka_unit_test(senseless_page_state_changes_are_refused),
		cmocka_unit_test(a_guest_that_makes_no_progress_is_ended),
		cmocka_unit_test(two_vcpus_may_fight_over_pages),
		cmocka_unit_test(a_page_that_is_used_both_ways_is_no_progress),
		cmocka_unit_test(a_guest_that_terminates_itself_says_why),
		cmocka_unit_test(such_exits_of_ordinary_guests_stay_unknown),
		cmocka_unit_test(a_restart_launches_anew),
		cmocka_unit_test(a_restart_needs_no_names_of_files),
		cmocka_unit_test(certificates_reach_pages_the_guest_shares),
		cmocka_unit_test(certificates_that_are_being_replaced_are_for_later),
		cmocka_unit_test(certificates_nobody_can_give_are_refused_at_the_start),
		cmocka_unit_test(a_file_of_certificates_is_judged_under_its_lock),
		cmocka_unit_test(a_kernel_that_does_not_ask_for_them_is_never_given_the_number),
		cmocka_unit_test(the_cpuid_page_has_what_is_not_zero),
		cmocka_unit_test(commands_out_of_order_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
