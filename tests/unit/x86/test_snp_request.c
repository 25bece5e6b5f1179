/*
 * test_snp_request.c - an SNP attestation report asked for by the hypervisor: which number is given
 * to which kernel, and what becomes of every answer (T2, on fakekvm).
 *
 * Does not prove that the posted series behave as fakekvm, made from their text, does: no released
 * kernel has them, and there was no such hardware.
 */
#include "tests/unit/vmtest.h"

#include "arch/x86/snp_report.h"
#include "linux-uapi/unmerged_x86.h"
#include "tests/unit/mkreport.h"
#include "tests/unit/x86/mkovmf.h"
#include "vmm/snp.h"

#define ROOM 4096

struct rig {
	struct fakekvm *fk;
	struct kvm_host host;
	struct kvm kvm;
	int sev_fd;
	u8 sent[LKVM_SNP_REPORT_LEN]; /* what the firmware gives */
	u8 buf[ROOM];
	size_t len;
	struct lkvm_error err;
};

static struct rig rig;

static int command(u32 id, void *data)
{
	struct kvm_sev_cmd cmd = {
		.id = id,
		.data = (uintptr_t)data,
		.sev_fd = (u32)rig.sev_fd,
	};

	return rig.kvm.be->ioctl(rig.kvm.be->ctx, rig.kvm.vm_fd, KVM_MEMORY_ENCRYPT_OP,
				 KVM_ARG(&cmd));
}

/* A VM of @type on a kernel with this version of the series. */
static void rig_vm(unsigned long type, int version)
{
	rig = (struct rig){ .fk = fakekvm_new(&fakekvm_x86_snp), .kvm = KVM_INIT };
	mkreport(rig.sent);
	fakekvm_snp_set_report_abi(rig.fk, version);
	fakekvm_snp_set_report(rig.fk, rig.sent, sizeof(rig.sent));
	rig.sev_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(rig.sev_fd >= 0);
	assert_int_equal(kvm_open(&rig.host, fakekvm_backend(rig.fk), &rig.err), 0);
	assert_int_equal(kvm_create_vm(&rig.kvm, &rig.host, type, &rig.err), 0);
	memset(rig.buf, 0xee, sizeof(rig.buf));
}

/* One that is after LAUNCH_START. Kernels with version 4 are older than the certificates. */
static void rig_up(int version)
{
	struct kvm_sev_snp_launch_start start = { .policy = 0x30000 };
	struct kvm_sev_init init = { 0 };

	rig_vm(KVM_X86_SNP_VM, version);
	if (version == 4)
		fakekvm_snp_hide_attr(rig.fk, KVM_X86_SEV_SNP_REQ_CERTS);
	assert_int_equal(command(KVM_SEV_INIT2, &init), 0);
	assert_int_equal(command(KVM_SEV_SNP_LAUNCH_START, &start), 0);
}

static void rig_down(void)
{
	kvm_destroy_vm(&rig.kvm);
	kvm_close(&rig.host);
	close(rig.sev_fd);
	assert_string_equal(fakekvm_leaks(rig.fk), "");
	assert_string_equal(fakekvm_complaints(rig.fk), "");
	fakekvm_free(rig.fk);
}

static int request(enum lkvm_snp_report_abi abi)
{
	return snp_report_request(&rig.kvm, rig.sev_fd, abi, rig.buf, sizeof(rig.buf), &rig.len,
				  &rig.err);
}

static void has_report(enum lkvm_snp_report_abi abi)
{
	if (request(abi))
		fail_msg("%s", rig.err.msg);
	assert_int_equal(rig.len, sizeof(rig.sent));
	assert_memory_equal(rig.buf, rig.sent, sizeof(rig.sent));
}

static void refused(enum lkvm_snp_report_abi abi, enum lkvm_error_kind kind, const char *why)
{
	rig.err = (struct lkvm_error){ 0 };
	if (!request(abi))
		fail_msg("accepted, wanted: %s", why);
	if (!strstr(rig.err.msg, why))
		fail_msg("\"%s\" is not in \"%s\"", why, rig.err.msg);
	assert_int_equal(rig.err.kind, kind);
}

/* How often the command was given to KVM. */
static unsigned int n_given(u32 id)
{
	char *text = fakekvm_transcript(rig.fk, "vm"), want[64];
	unsigned int n = 0;

	snprintf(want, sizeof(want), "vm KVM_MEMORY_ENCRYPT_OP %u ", id);
	for (const char *p = text; (p = strstr(p, want)); p++)
		n++;
	free(text);
	return n;
}

/* ---- which number ---------------------------------------------------------------------- */

static void version_7_is_found_by_a_probe_that_asks_for_nothing(void **state)
{
	char *text;

	(void)state;
	rig_up(7);
	has_report(LKVM_SNP_REPORT_AUTO);
	text = fakekvm_transcript(rig.fk, "vm");
	if (!strstr(text, "104 len 0 key 0 = -ENOSPC\nvm KVM_MEMORY_ENCRYPT_OP 104 len 4096 key 0 "
			  "= 0\n"))
		fail_msg("%s", text);
	free(text);
	assert_int_equal(n_given(103), 0);
	rig_down();
}

static void a_chosen_version_7_is_not_probed(void **state)
{
	(void)state;
	rig_up(7);
	has_report(LKVM_SNP_REPORT_V7);
	assert_int_equal(n_given(104), 1);
	rig_down();
}

static void version_4_has_its_number_where_nothing_else_has(void **state)
{
	(void)state;
	rig_up(4);
	has_report(LKVM_SNP_REPORT_V4);
	assert_int_equal(n_given(103), 1);
	assert_int_equal(n_given(104), 0);
	rig_down();
}

static void version_4_is_never_found_by_itself(void **state)
{
	(void)state;
	rig_up(4);
	refused(LKVM_SNP_REPORT_AUTO, LKVM_ERR_UNSUPPORTED, "needs --snp-report-abi=v4");
	assert_int_equal(n_given(103), 0);
	rig_down();
}

static void a_number_that_now_means_something_else_is_not_given(void **state)
{
	(void)state;
	rig_up(7); /* it asks for certificates as well */
	refused(LKVM_SNP_REPORT_V4, LKVM_ERR_UNSUPPORTED, "KVM_SEV_SNP_ENABLE_REQ_CERTS");
	assert_int_equal(n_given(103), 0);
	rig_down();
}

static void nor_one_of_which_that_is_not_known(void **state)
{
	static const int codes[] = { ENOMEM, ENOTTY, EINVAL, EPERM };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		rig_up(4);
		fakekvm_fail_request(rig.fk, KVM_GET_DEVICE_ATTR, 1, codes[i]);
		refused(LKVM_SNP_REPORT_V4, LKVM_ERR_UNSUPPORTED,
			"does not say whether number 103");
		assert_int_equal(n_given(103), 0);
		rig_down();
	}
}

static void released_kernels_have_none(void **state)
{
	(void)state;
	rig_up(0);
	refused(LKVM_SNP_REPORT_AUTO, LKVM_ERR_UNSUPPORTED, "no KVM_SEV_SNP_HV_REPORT_REQ; no");
	refused(LKVM_SNP_REPORT_V7, LKVM_ERR_UNSUPPORTED,
		"does not take command 104, KVM_SEV_SNP_HV_REPORT_REQ of version 7");
	fakekvm_snp_hide_attr(rig.fk, KVM_X86_SEV_SNP_REQ_CERTS);
	refused(LKVM_SNP_REPORT_V4, LKVM_ERR_UNSUPPORTED,
		"does not take command 103, KVM_SEV_SNP_HV_REPORT_REQ of version 4");
	rig_down();
}

static void other_guests_have_none(void **state)
{
	(void)state;
	rig_vm(KVM_X86_DEFAULT_VM, 7);
	refused(LKVM_SNP_REPORT_AUTO, LKVM_ERR_UNSUPPORTED, "no KVM_SEV_SNP_HV_REPORT_REQ");
	refused(LKVM_SNP_REPORT_V7, LKVM_ERR_HOST, "KVM_SEV_SNP_HV_REPORT_REQ failed: ");
	rig_down();
}

/* ---- answers --------------------------------------------------------------------------- */

static const struct {
	int version;
	enum lkvm_snp_report_abi abi;
	u32 id;
} versions[] = {
	{ 4, LKVM_SNP_REPORT_V4, KVM_SEV_SNP_HV_REPORT_REQ_V4 },
	{ 7, LKVM_SNP_REPORT_V7, KVM_SEV_SNP_HV_REPORT_REQ_V7 },
};

#define FOR_BOTH for (size_t v = 0; v < ARRAY_SIZE(versions); v++)

static void what_the_firmware_refuses_has_its_name(void **state)
{
	(void)state;
	FOR_BOTH
	{
		rig_up(versions[v].version);
		fakekvm_snp_fail(rig.fk, versions[v].id, 1, 1, EIO, 0x27);
		refused(versions[v].abi, LKVM_ERR_HOST,
			"failed, the SEV firmware's code is INVALID_KEY (0x27)");
		fakekvm_snp_fail(rig.fk, versions[v].id, 1, 1, EINVAL, 0x15);
		refused(versions[v].abi, LKVM_ERR_HOST, "code is UNSUPPORTED (0x15)");
		fakekvm_snp_fail(rig.fk, versions[v].id, 1, 1, EBUSY, 0);
		refused(versions[v].abi, LKVM_ERR_HOST, "HV_REPORT_REQ failed: Device or resource");
		rig_down();
	}
}

/* KVM says 0 then, and nothing is behind the header. */
static void a_status_in_the_header_is_no_report(void **state)
{
	(void)state;
	FOR_BOTH
	{
		rig_up(versions[v].version);
		fakekvm_snp_set_report_status(rig.fk, 0x16);
		refused(versions[v].abi, LKVM_ERR_HOST,
			"gives no report, its status is INVALID_PARAM (0x16)");
		rig_down();
	}
}

static void a_report_that_does_not_fit_says_how_long_it_is(void **state)
{
	static const u8 long_one[ROOM - SNP_REPORT_HEADER_LEN + 1] = { 3 };

	(void)state;
	FOR_BOTH
	{
		rig_up(versions[v].version);
		fakekvm_snp_set_report(rig.fk, long_one, sizeof(long_one));
		refused(versions[v].abi, LKVM_ERR_HOST,
			"a report of 4097 bytes, and there are 4096");
		fakekvm_snp_set_report(rig.fk, long_one, sizeof(long_one) - 1);
		assert_int_equal(request(versions[v].abi), 0);
		assert_int_equal(rig.len, sizeof(long_one) - 1);
		rig_down();
	}
}

static void no_room_at_all_is_not_asked_with(void **state)
{
	(void)state;
	rig_up(7);
	assert_int_equal(snp_report_request(&rig.kvm, rig.sev_fd, LKVM_SNP_REPORT_V7, rig.buf, 31,
					    &rig.len, &rig.err),
			 -ENOSPC);
	assert_int_equal(n_given(104), 0);
	rig_down();
}

/* A KVM whose header and report_len say this, and which writes no more than the header. */
struct liar {
	u32 size;
	u64 report_len;
};

static int liar_ioctl(void *ctx, int fd, unsigned long req, unsigned long arg)
{
	const struct kvm_sev_cmd *cmd = (const void *)arg;
	struct kvm_sev_snp_hv_report_req *rq = (void *)(uintptr_t)cmd->data;
	const struct liar *liar = ctx;

	(void)fd;
	assert_int_equal(req, KVM_MEMORY_ENCRYPT_OP);
	put_le32((u8 *)(uintptr_t)rq->report_uaddr + 4, liar->size);
	rq->report_len = liar->report_len;
	return 0;
}

static void a_kvm_that_contradicts_itself_is_an_error(void **state)
{
	static const struct liar lies[] = {
		{ 0, 32 },	     { 0, ROOM },
		{ 100, 1216 },	     { 1184, 1184 },
		{ ROOM - 31, ROOM }, { ROOM - 31, ROOM + 1 },
		{ UINT32_MAX, 31 },  { UINT32_MAX, 0x10000001f },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct liar liar = lies[i];
		const struct kvm_backend be = { .ioctl = liar_ioctl, .ctx = &liar };
		const struct kvm kvm = { .be = &be, .vm_fd = 3 };
		struct lkvm_error err = { 0 };
		u8 buf[ROOM];
		size_t len = 0;

		assert_int_equal(snp_report_request(&kvm, 4, LKVM_SNP_REPORT_V7, buf, sizeof(buf),
						    &len, &err),
				 -EPROTO);
		assert_int_equal(err.kind, LKVM_ERR_HOST);
		assert_int_equal(len, 0);
	}
}

/* ---- the fake: the protocol of report_len ---------------------------------------------- */

static void the_fake_keeps_the_posted_order_of_checks(void **state)
{
	(void)state;
	FOR_BOTH
	{
		const u32 id = versions[v].id;
		struct kvm_sev_snp_hv_report_req rq = { .report_len = 31 };
		u8 buf[1216];

		rig_up(versions[v].version);
		assert_int_equal(command(id, NULL), -EFAULT);
		assert_int_equal(command(id, &rq), -ENOSPC);
		assert_int_equal(rq.report_len, 31);
		rq.report_len = 32;
		assert_int_equal(command(id, &rq), -EINVAL);
		rq.report_uaddr = (uintptr_t)buf;
		memset(buf, 0xee, sizeof(buf));
		assert_int_equal(command(id, &rq), -ENOSPC);
		assert_int_equal(rq.report_len, 1216);
		assert_int_equal(get_le32(buf + 4), 1184);
		assert_int_equal(buf[32], 0xee);
		assert_int_equal(command(id, &rq), 0);
		assert_memory_equal(buf + 32, rig.sent, sizeof(rig.sent));
		fakekvm_snp_set_report_status(rig.fk, 0x16);
		rq.report_len = 100;
		memset(buf, 0xee, sizeof(buf));
		assert_int_equal(command(id, &rq), 0);
		assert_int_equal(rq.report_len, versions[v].version == 4 ? 1216 : 100);
		assert_int_equal(get_le32(buf), 0x16);
		assert_int_equal(buf[32], 0xee);
		rig_down();
	}
}

/* ---- a whole machine ------------------------------------------------------------------- */

static const struct fake_step poweroff[] = { FAKE_OUT(0x604, 2, 0x3400) };

static char firmware[] = "/tmp/lkvm-fw-XXXXXX", path[] = "/tmp/lkvm-report-XXXXXX";

static void temporary(char *name, const void *bytes, size_t len)
{
	int fd;

	memcpy(name + strlen(name) - 6, "XXXXXX", 6);
	fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static struct vmtest *machine(void)
{
	struct vmtest *t = vmtest_new(&fakekvm_x86_snp);
	static u8 image[MKOVMF_SIZE];

	mkovmf(image, mkovmf_usual, ARRAY_SIZE(mkovmf_usual));
	temporary(firmware, image, sizeof(image));
	temporary(path, "old", 3);
	t->cfg.kernel[0] = 0;
	strcpy(t->cfg.firmware, firmware);
	t->cfg.x86.snp.on = true;
	strcpy(t->cfg.x86.snp.report, path);
	return t;
}

static void machine_free(struct vmtest *t)
{
	vmtest_free(t);
	unlink(firmware);
	unlink(path);
}

static void a_machine_leaves_its_report_in_a_file(void **state)
{
	struct vmtest *t = machine();
	u8 sent[LKVM_SNP_REPORT_LEN], got[ROOM];
	struct lkvm_snp_report r;
	ssize_t n;
	int fd;

	(void)state;
	mkreport(sent);
	fakekvm_snp_set_report_abi(t->fk, 7);
	fakekvm_snp_set_report(t->fk, sent, sizeof(sent));
	vmtest_run(t, poweroff, LKVM_CAUSE_POWEROFF, 0);
	fd = open(path, O_RDONLY);
	n = read(fd, got, sizeof(got));
	close(fd);
	assert_int_equal(n, sizeof(sent));
	assert_memory_equal(got, sent, sizeof(sent));
	assert_int_equal(lkvm_snp_report_decode(got, (size_t)n, &r, &t->err), 0);
	machine_free(t);
}

static void one_that_cannot_have_it_does_not_start(void **state)
{
	struct vmtest *t = machine();
	char old[4] = "";
	int fd;

	(void)state;
	assert_true(vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err) < 0);
	assert_int_equal(t->err.kind, LKVM_ERR_UNSUPPORTED);
	assert_non_null(strstr(t->err.msg, "--snp-report: this host's KVM has no"));
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, old, sizeof(old) - 1), 3);
	close(fd);
	assert_string_equal(old, "old"); /* a file that is there is left as it was */
	machine_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_7_is_found_by_a_probe_that_asks_for_nothing),
		cmocka_unit_test(a_chosen_version_7_is_not_probed),
		cmocka_unit_test(version_4_has_its_number_where_nothing_else_has),
		cmocka_unit_test(version_4_is_never_found_by_itself),
		cmocka_unit_test(a_number_that_now_means_something_else_is_not_given),
		cmocka_unit_test(nor_one_of_which_that_is_not_known),
		cmocka_unit_test(released_kernels_have_none),
		cmocka_unit_test(other_guests_have_none),
		cmocka_unit_test(what_the_firmware_refuses_has_its_name),
		cmocka_unit_test(a_status_in_the_header_is_no_report),
		cmocka_unit_test(a_report_that_does_not_fit_says_how_long_it_is),
		cmocka_unit_test(no_room_at_all_is_not_asked_with),
		cmocka_unit_test(a_kvm_that_contradicts_itself_is_an_error),
		cmocka_unit_test(the_fake_keeps_the_posted_order_of_checks),
		cmocka_unit_test(a_machine_leaves_its_report_in_a_file),
		cmocka_unit_test(one_that_cannot_have_it_does_not_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
