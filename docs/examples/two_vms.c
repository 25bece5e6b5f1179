/* two_vms KERNEL INITRD - boots two machines at once, prints what each said and how it ended. */
#include <lkvm.h>
#include <stdio.h>

/* What the guest printed since the last call; on a thread of its machine. */
static void keep(void *ctx, const void *data, size_t len)
{
	fwrite(data, 1, len, ctx);
}

int main(int argc, char **argv)
{
	struct lkvm_vm *vms[2] = { NULL, NULL };
	FILE *consoles[2] = { tmpfile(), tmpfile() };
	struct lkvm_error err = { 0 };
	struct lkvm_config cfg;
	struct lkvm_result res;

	if (argc != 3 || !consoles[0] || !consoles[1]) {
		fprintf(stderr, "usage: two_vms KERNEL INITRD (and room in /tmp)\n");
		return 2;
	}
	lkvm_config_init(&cfg);
	snprintf(cfg.kernel, sizeof(cfg.kernel), "%s", argv[1]);
	snprintf(cfg.initrd, sizeof(cfg.initrd), "%s", argv[2]);
	snprintf(cfg.cmdline, sizeof(cfg.cmdline), "console=ttyS0 quiet panic=-1");
	cfg.console.out = keep;
	for (int i = 0; i < 2 && !err.kind; i++) {
		cfg.console.ctx = consoles[i];
		if (!lkvm_vm_create(&cfg, &vms[i], &err))
			lkvm_vm_start(vms[i], &err);
	}
	for (int i = 0; i < 2 && !err.kind; i++) {
		lkvm_vm_wait(vms[i], -1); /* all output was delivered once it returns */
		lkvm_vm_result(vms[i], &res);
		printf("machine %d: exit status %d, %s\n", i + 1, res.exit_status, res.detail);
		rewind(consoles[i]);
		for (int c; (c = getc(consoles[i])) != EOF;)
			putchar(c);
	}
	for (int i = 0; i < 2; i++)
		lkvm_vm_destroy(vms[i]);
	if (err.kind)
		fprintf(stderr, "two_vms: %s\n", err.msg);
	return err.kind != LKVM_ERR_NONE;
}
