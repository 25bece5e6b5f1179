/*
 * test_board.c - pvpanic as a PCI function of an x86-64 machine (T2, on fakekvm).
 *
 * The other devices of the board are in test_vm.c and test_vm_virtio.c. Does not prove that a
 * kernel's driver takes it (check-bed).
 */
#include "tests/unit/vmtest.h"

#define ECAM(slot) (0xe0000000 + (slot)*0x8000)
#define BAR	   0xc0000000

static void pvpanic_may_be_a_pci_function_instead(void **state)
{
	static const struct fake_step steps[] = {
		FAKE_IN(PVPANIC, 1),
		FAKE_LOAD(ECAM(31), 4),
		FAKE_STORE(ECAM(31) + 4, 2, 2), /* memory space */
		FAKE_LOAD(ECAM(31) + 0x10, 4),
		FAKE_LOAD(BAR, 1),
		FAKE_STORE(BAR, 1, 1),
		FAKE_HALT,
	};
	struct vmtest *t = vmtest_new(&fakekvm_x86_intel);

	(void)state;
	t->cfg.pvpanic_pci = true;
	vmtest_run(t, steps, LKVM_CAUSE_PANIC, 113);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 0), 0xff);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 1), 0x00111b36);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 2), BAR);
	assert_int_equal(fakekvm_answer_u64(t->fk, 0, 3), 3);
	vmtest_free(t);
}

static void it_takes_the_place_of_a_virtio_device_on_pci_only(void **state)
{
	char path[] = "/tmp/lkvm-board-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), 0);
	for (unsigned int n = 30; n <= 31; n++) {
		for (unsigned int mmio = 0; mmio <= 1; mmio++) {
			struct vmtest *t = vmtest_new(&fakekvm_x86_intel);
			int ret;

			t->cfg.pvpanic_pci = true;
			t->cfg.virtio_transport = mmio ? LKVM_VIRTIO_MMIO : LKVM_VIRTIO_PCI;
			t->cfg.n_disks = n;
			for (unsigned int i = 0; i < n; i++) {
				snprintf(t->cfg.disks[i].path, sizeof(t->cfg.disks[i].path), "%s",
					 path);
				t->cfg.disks[i].readonly = true;
			}
			/* refused with the config: KVM is not opened for it */
			if (n == 31 && !mmio)
				fakekvm_set_open_error(t->fk, ENOENT);
			ret = vm_create_on(fakekvm_backend(t->fk), &t->cfg, &t->vm, &t->err);
			if (n == 31 && !mmio) {
				assert_int_equal(ret, -EINVAL);
				assert_int_equal(t->err.kind, LKVM_ERR_INPUT);
				assert_non_null(strstr(t->err.msg, "at most 30"));
			} else if (ret) {
				fail_msg("%u disks: %s", n, t->err.msg);
			}
			vmtest_free(t);
		}
	}
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pvpanic_may_be_a_pci_function_instead),
		cmocka_unit_test(it_takes_the_place_of_a_virtio_device_on_pci_only),
	};

	return cmocka_run_group_tests_name("x86 board", tests, NULL, NULL);
}
