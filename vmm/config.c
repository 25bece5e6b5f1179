#include "vmm/config.h"

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "vmm/arch.h"

#define MAX_TIMEOUT_NS (1000000000 * NSEC_PER_SEC) /* keeps sums with the clock from wrapping */

void lkvm_config_init(struct lkvm_config *cfg)
{
	*cfg = (struct lkvm_config){
		.n_vcpus = 1,
		.mem_size = 256 * MIB,
		.console = { .in_fd = -1, .out_fd = -1 },
		.log_level = LKVM_LOG_WARNING,
	};
}

const char *lkvm_guest_arch(void)
{
	return arch_name;
}

void config_default_name(struct lkvm_config *cfg)
{
	if (!cfg->name[0])
		snprintf(cfg->name, sizeof(cfg->name), "lkvm-%d", (int)getpid());
}

/* The fixed arrays come from a caller: do not read past one that is not terminated. */
static int check_string(const char *option, const char *s, size_t size, struct lkvm_error *err)
{
	if (memchr(s, 0, size))
		return 0;
	return err_input(err, "%s: longer than the %zu bytes allowed", option, size - 1);
}

static int check_strings(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	const struct {
		const char *option;
		const char *s;
		size_t size;
	} strings[] = {
		{ "--name", cfg->name, sizeof(cfg->name) },
		{ "--kernel", cfg->kernel, sizeof(cfg->kernel) },
		{ "--initrd", cfg->initrd, sizeof(cfg->initrd) },
		{ "--params", cfg->cmdline, sizeof(cfg->cmdline) },
		{ "--dump-acpi", cfg->dump_acpi, sizeof(cfg->dump_acpi) },
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < ARRAY_SIZE(strings); i++)
		ret = check_string(strings[i].option, strings[i].s, strings[i].size, err);
	return ret;
}

static int check_name(const char *name, struct lkvm_error *err)
{
	for (const char *p = name; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
			return err_input(
				err,
				"--name %s: only letters, digits, '-', '_' and '.' are allowed",
				name);
	}
	return 0;
}

int lkvm_config_validate(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	int ret = check_strings(cfg, err);

	if (!ret)
		ret = check_name(cfg->name, err);
	if (ret)
		return ret;
	if (cfg->n_vcpus < 1 || cfg->n_vcpus > LKVM_MAX_VCPUS)
		return err_input(err, "--cpus %u: must be 1 to %d", cfg->n_vcpus, LKVM_MAX_VCPUS);
	if (cfg->mem_size < LKVM_MIN_MEM || cfg->mem_size > LKVM_MAX_MEM)
		return err_input(err, "--mem: %llu bytes; must be %lluM to %lluG",
				 (unsigned long long)cfg->mem_size,
				 (unsigned long long)(LKVM_MIN_MEM / MIB),
				 (unsigned long long)(LKVM_MAX_MEM / GIB));
	if (cfg->mem_size % 4096)
		return err_input(err, "--mem: %llu bytes is not a multiple of 4 KiB",
				 (unsigned long long)cfg->mem_size);
	if (!cfg->kernel[0])
		return err_input(err, "--kernel: a kernel file is needed");
	if (cfg->timeout_ns > MAX_TIMEOUT_NS || cfg->idle_timeout_ns > MAX_TIMEOUT_NS)
		return err_input(err, "--timeout, --idle-timeout: at most %llu s",
				 (unsigned long long)(MAX_TIMEOUT_NS / NSEC_PER_SEC));
	if (cfg->boot > LKVM_BOOT_PVH)
		return err_input(err, "boot protocol %d is unknown", (int)cfg->boot);
	if (cfg->on_reboot > LKVM_ON_REBOOT_RESTART)
		return err_input(err, "--on-reboot %d is unknown", (int)cfg->on_reboot);
	return arch_validate(cfg, err);
}
