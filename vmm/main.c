/* main.c - the lkvm command: finds the subcommand. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli.h"

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct command {
	const char *name;
	int (*fn)(int argc, char **argv); /* NULL: refused */
	const char *text;		  /* help, or why it is refused */
} commands[] = {
	{ "run", cmd_run, "boot a guest and say how it ended" },
	{ "caps", cmd_caps, "say what this host's KVM has for guests" },
	{ "snp-report", cmd_snp_report, "decode and verify an SEV-SNP attestation report" },
	{ "version", cmd_version, "print the version" },
	{ "help", cmd_help, "this text" },
	/* kvmtool's, so that a script gets an answer that names them */
	{ "list", NULL, "machines are not registered anywhere: use your process list" },
	{ "stop", NULL, "there is no control socket yet: send SIGTERM to the lkvm process" },
	{ "pause", NULL, "there is no control socket yet; the library has lkvm_vm_pause()" },
	{ "resume", NULL, "there is no control socket yet; the library has lkvm_vm_resume()" },
	{ "stat", NULL, "there is no control socket yet: exit counts are in run --report" },
	{ "debug", NULL, "there is no control socket yet: registers are in run --report" },
	{ "balloon", NULL, "there is no balloon device" },
	{ "setup", NULL, "lkvm makes no root file systems: pass an initrd with run --initrd" },
};

int cli_fail(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("lkvm: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs("\n", stderr);
	va_end(ap);
	return status;
}

int cli_error_status(const struct lkvm_error *err)
{
	switch (err->kind) {
	case LKVM_ERR_INPUT:
		return CLI_BAD_INPUT;
	case LKVM_ERR_UNSUPPORTED:
		return CLI_UNSUPPORTED;
	default:
		return CLI_HOST_ERROR;
	}
}

int cli_fail_error(const struct lkvm_error *err)
{
	return cli_fail(cli_error_status(err), "%s", err->msg);
}

static int cmd_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("usage: lkvm COMMAND [ARGUMENTS]\n\n"
	       "The most commonly used lkvm commands are:\n");
	for (size_t i = 0; i < COUNT(commands); i++) {
		if (commands[i].fn)
			printf("   %-10s %s\n", commands[i].name, commands[i].text);
	}
	printf("\nSee 'lkvm run --help', 'lkvm caps --help' and lkvm(1).\n");
	return CLI_OK;
}

static int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("lkvm %d.%d.%d (%s guests)\n", LKVM_VERSION_MAJOR, LKVM_VERSION_MINOR,
	       LKVM_VERSION_PATCH, lkvm_guest_arch());
	return CLI_OK;
}

/* A file opened later must not become somebody's standard input, output or error. */
static void fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	fill_standard_fds();
	if (!name) {
		cmd_help(0, NULL);
		return CLI_BAD_INPUT;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h"))
		name = "help";
	if (!strcmp(name, "--version"))
		name = "version";
	for (size_t i = 0; i < COUNT(commands); i++) {
		if (strcmp(name, commands[i].name))
			continue;
		if (!commands[i].fn)
			return cli_fail(CLI_BAD_INPUT, "%s: %s", name, commands[i].text);
		return commands[i].fn(argc - 1, argv + 1);
	}
	return cli_fail(CLI_BAD_INPUT, "%s: unknown command; 'lkvm help' lists them", name);
}
