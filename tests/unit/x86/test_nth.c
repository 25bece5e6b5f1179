/*
 * test_nth.c - every call to KVM of a whole boot fails once (T2, on fakekvm).
 *
 * Whichever it is, creating or running the VM ends with one message, nothing stays open
 * or mapped, and nothing crashes. Does not prove anything about errors KVM returns
 * that the calls here do not see, nor about calls to the host (test_faults.c).
 */
#include "tests/unit/vmvirtio.h"

#include "linux-uapi/kvm.h"

struct guest {
	const struct fake_step *steps;
	size_t n;
	bool virtio;
	enum lkvm_virtio_transport transport;
};

/* A boot that uses most of what there is: two vCPUs, output, an interrupt, a reset, a pause. */
static const struct fake_step board_steps[] = {
	FAKE_PRINT(COM1, "hello\n"), FAKE_OUT(COM1 + 4, 1, 0x0b),
	FAKE_OUT(COM1 + 1, 1, 0x02), /* raises and lowers IRQ 4 */
	FAKE_IN(COM1 + 2, 1),	     FAKE_OUT(0x604, 2, 0x3400),
};

static const struct guest board_guest = { board_steps, ARRAY_SIZE(board_steps), false, 0 };

/* One request each to virtio devices of all kinds. */
static struct vmv_all all;

static const struct fake_step pci_steps[] = {
	VMV_USE(PCI, &all),
	VMV_PCI_RESET(VMV_DISK),
	VMV_PCI_STATUS(VMV_CONSOLE),
	FAKE_OUT(0x604, 2, 0x3400),
};
static const struct fake_step mmio_steps[] = {
	VMV_USE(MMIO, &all),
	VMV_MMIO_ACK(VMV_RNG),
	FAKE_OUT(0x604, 2, 0x3400),
};

static const struct guest pci_guest = { pci_steps, ARRAY_SIZE(pci_steps), true, LKVM_VIRTIO_PCI };
static const struct guest mmio_guest = { mmio_steps, ARRAY_SIZE(mmio_steps), true,
					 LKVM_VIRTIO_MMIO };

static const struct fake_step guest_ap[] = { FAKE_HALT };

/* Calls whose failure makes no difference that anybody could be told of. */
static bool may_fail_silently(const char *failed, int code)
{
	static const char *const calls[] = {
		"KVM_CHECK_EXTENSION", "KVM_KVMCLOCK_CTRL", "KVM_RUN",
		"KVM_IOEVENTFD", /* the notification is an exit then */
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (strstr(failed, calls[i]))
			return true;
	}
	return code == EINTR && strstr(failed, "KVM_CREATE_VM");
}

#define N_MESSAGES 4 /* devices that the guest over PCI sets up */

/* All messages were bound: the call that failed takes one away, as the end of the VM does anyway.
 */
static bool was_taking_away(struct vmtest *t, const char *failed)
{
	char *text = fakekvm_transcript(t->fk, "vm"), *line = text;
	unsigned int n = 0;

	while (strstr(failed, "KVM_IRQFD") && (line = strstr(line, "KVM_IRQFD gsi "))) {
		size_t len = strcspn(line, "\n");

		n += memmem(line, len, "flags 0x0 = 0", 13) != NULL;
		line += len;
	}
	free(text);
	return n == N_MESSAGES;
}

/* A request is lost only with the call that was to bring it. */
static void check_requests(const char *failed)
{
	const struct vmv_req *reqs[] = { &all.blk, &all.send, &all.recv,
					 &all.hvc, &all.port, &all.rng };

	for (size_t i = 0; i < ARRAY_SIZE(reqs); i++) {
		if (!reqs[i]->done && !(failed && strstr(failed, "KVM_RUN")))
			fail_msg("request %zu was not completed after %s failed", i,
				 failed ? failed : "nothing");
	}
}

/* Boot with the @nth call failing. True when that call was never made: the boot is through. */
static bool boot(const struct fake_host *host, const struct guest *guest, unsigned long nth,
		 int code)
{
	struct vmtest *t = vmtest_new(host);
	struct vmv_host h;
	const char *failed;
	bool through;
	int ret;

	t->cfg.n_vcpus = 2;
	t->cfg.mem_size = 64 * MIB;
	all = (struct vmv_all)VMV_ALL;
	if (guest->virtio)
		vmv_open(&h, &t->cfg);
	t->cfg.virtio_transport = guest->transport;
	fakekvm_script(t->fk, 0, guest->steps, guest->n);
	vmtest_script(t, 1, guest_ap);
	fakekvm_fail_nth(t->fk, nth, code);
	ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);
	if (ret) {
		assert_null(t->vm);
		assert_true(ret < 0);
		assert_int_not_equal(t->err.kind, LKVM_ERR_NONE);
		assert_true(strlen(t->err.msg) > 5);
		assert_null(strchr(t->err.msg, '\n'));
	} else {
		assert_int_equal(lkvm_vm_start(t->vm, &t->err), 0);
		vmtest_finish(t);
		assert_true(t->res.detail[0]);
		/* Ends for the failure, or is not hurt by it; never something else. */
		if (t->res.cause != LKVM_CAUSE_POWEROFF)
			assert_true(t->res.cause == LKVM_CAUSE_HOST_ERROR ||
				    t->res.cause == LKVM_CAUSE_INTERNAL_ERROR);
	}
	failed = fakekvm_failed_call(t->fk);
	through = !failed;
	if (!ret && t->res.cause == LKVM_CAUSE_POWEROFF) {
		if (failed && !t->log[0] && !may_fail_silently(failed, code) &&
		    !was_taking_away(t, failed))
			fail_msg("nobody said that this failed: %s", failed);
		if (guest->virtio)
			check_requests(failed);
	}
	vmtest_free(t);
	if (guest->virtio)
		vmv_close(&h);
	return through;
}

static void every_call_fails_once(const struct fake_host *host, const struct guest *guest, int code)
{
	unsigned long nth = 1;

	while (!boot(host, guest, nth, code)) {
		nth++;
		assert_true(nth < 2000);
	}
	print_message("# %lu calls, each failed once with errno %d\n", nth - 1, code);
	assert_true(nth > 30);
}

static void every_call_fails_once_on_intel(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_x86_intel, &board_guest, ENOMEM);
}

static void every_call_fails_once_on_amd(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_x86_amd, &board_guest, EINVAL);
}

static void every_call_is_interrupted_once(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_x86_amd, &board_guest, EINTR);
}

static void every_call_fails_once_with_virtio_over_pci(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_x86_intel, &pci_guest, ENOMEM);
}

static void every_call_fails_once_with_virtio_over_mmio(void **state)
{
	(void)state;
	every_call_fails_once(&fakekvm_x86_amd, &mmio_guest, EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fails_once_on_intel),
		cmocka_unit_test(every_call_fails_once_on_amd),
		cmocka_unit_test(every_call_is_interrupted_once),
		cmocka_unit_test(every_call_fails_once_with_virtio_over_pci),
		cmocka_unit_test(every_call_fails_once_with_virtio_over_mmio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
