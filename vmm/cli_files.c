/* cli_files.c - the files that the command opens by itself, and that none of those which are
 * written to is another one's as well. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/cli.h"

#define USE_MAX (LKVM_PORT_NAME_MAX + 32) /* bytes: "is also the out= of --port NAME" */

static bool __attribute__((format(printf, 2, 3)))
refuse(struct lkvm_error *err, const char *fmt, ...)
{
	va_list args;

	err->kind = LKVM_ERR_INPUT;
	err->code = -EINVAL;
	va_start(args, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);
	return false;
}

static bool is_fd_name(const char *file)
{
	return !strncmp(file, "fd:", 3);
}

/* Decimal only, as reports have it. */
static bool fd_number(const char *file, int *fd)
{
	const char *digits = file + 3;
	char *end;
	long n = strtol(digits, &end, 10);

	*fd = (int)n;
	return *digits >= '0' && *digits <= '9' && !*end && n <= 1 << 20;
}

/* ---- what is the same file --------------------------------------------------------------- */

/* Of terminals, sockets and the like both ends are one file, or many may share them. */
static bool same_file(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return (S_ISREG(a->st_mode) || S_ISFIFO(a->st_mode)) && a->st_dev == b->st_dev &&
	       a->st_ino == b->st_ino;
}

static bool is_path(const struct stat *st, const char *path)
{
	struct stat other;

	return path[0] && !stat(path, &other) && same_file(st, &other);
}

/* Of a file of the report or of a port, which may be fd:N. */
static bool stat_file(const char *file, struct stat *st)
{
	int fd;

	if (is_fd_name(file))
		return fd_number(file, &fd) && !fstat(fd, st);
	return file[0] && !stat(file, st);
}

static bool is_file(const struct stat *st, const char *file)
{
	struct stat other;

	return stat_file(file, &other) && same_file(st, &other);
}

/* Which of the files that the guest is given @st is; leaves @use alone for none. */
static void find_input(const struct run_opts *opts, const struct stat *st, char use[USE_MAX])
{
	const struct lkvm_config *cfg = &opts->cfg;
	const struct {
		const char *option, *path;
	} files[] = {
		{ "kernel", cfg->kernel },	  { "initrd", cfg->initrd },
		{ "firmware", cfg->firmware },	  { "flash", cfg->flash },
		{ "snp", cfg->x86.snp.id_block }, { "snp", cfg->x86.snp.id_auth },
		{ "snp", cfg->x86.snp.certs },
	};

	for (size_t i = 0; i < COUNT(files); i++) {
		if (is_path(st, files[i].path))
			snprintf(use, USE_MAX, "is also the --%s", files[i].option);
	}
	for (unsigned int i = 0; i < cfg->n_disks; i++) {
		if (is_path(st, cfg->disks[i].path))
			snprintf(use, USE_MAX, "is also the --disk");
	}
	for (unsigned int i = 0; i < cfg->n_ports; i++) {
		if (is_file(st, opts->ports[i].in))
			snprintf(use, USE_MAX, "is also the in= of --port %s", cfg->ports[i].name);
	}
}

/* Of the files that are written to, but for @self itself. */
static void find_output(const struct run_opts *opts, const char *self, const struct stat *st,
			char use[USE_MAX])
{
	if (opts->report_arg && is_file(st, opts->report_arg))
		snprintf(use, USE_MAX, "is also the --report");
	for (unsigned int i = 0; i < opts->cfg.n_ports; i++) {
		const char *out = opts->ports[i].out;

		if (out != self && is_file(st, out))
			snprintf(use, USE_MAX, "is also the out= of --port %s",
				 opts->cfg.ports[i].name);
	}
}

/* ---- what must be apart -------------------------------------------------------------------- */

/*
 * Once all ports are open: two names of one file that did not exist are known for the same only
 * then. The dumps themselves are the library's to make.
 */
static bool dump_is_apart(const struct run_opts *opts, const char *option, const char *path,
			  struct lkvm_error *err)
{
	char use[USE_MAX] = "";
	struct stat st;

	if (!path[0] || stat(path, &st))
		return true;
	find_input(opts, &st, use);
	find_output(opts, path, &st, use);
	return use[0] ? refuse(err, "--%s %.200s: %s", option, path, use) : true;
}

/* Files that the library writes what it made or got. */
static bool dumps_are_apart(const struct run_opts *opts, struct lkvm_error *err)
{
	const struct lkvm_config *cfg = &opts->cfg;
	const struct {
		const char *option, *path;
	} dumps[] = {
		{ "dump-acpi", cfg->dump_acpi },
		{ "dump-dtb", cfg->dump_dtb },
		{ "dump-cpuid", cfg->x86.dump_cpuid },
		{ "snp-report", cfg->x86.snp.report },
	};

	for (size_t i = 0; i < COUNT(dumps); i++) {
		struct stat st;

		for (size_t j = 0; j < i && dumps[i].path[0]; j++) {
			if (!strcmp(dumps[i].path, dumps[j].path) ||
			    (!stat(dumps[i].path, &st) && is_path(&st, dumps[j].path)))
				return refuse(err, "--%s %.200s: is also the --%s", dumps[i].option,
					      dumps[i].path, dumps[j].option);
		}
		if (!dump_is_apart(opts, dumps[i].option, dumps[i].path, err))
			return false;
	}
	return true;
}

/* A guest that writes to a port must not write to anything else that way. */
static bool ports_are_apart(const struct run_opts *opts, struct lkvm_error *err)
{
	for (unsigned int i = 0; i < opts->cfg.n_ports; i++) {
		const struct lkvm_port *port = &opts->cfg.ports[i];
		const char *out = opts->ports[i].out;
		char use[USE_MAX] = "";
		struct stat st;

		if (port->io.out_fd < 0 || fstat(port->io.out_fd, &st))
			continue;
		find_input(opts, &st, use);
		find_output(opts, out, &st, use);
		if (use[0])
			return refuse(err, "--port %s,out=%.200s: %s", port->name, out, use);
	}
	return true;
}

/* Their lock would say that a disk is in use, not by whom. */
static bool disks_are_apart(const struct run_opts *opts, struct lkvm_error *err)
{
	const struct lkvm_config *cfg = &opts->cfg;

	for (unsigned int i = 0; i < cfg->n_disks; i++) {
		const char *path = cfg->disks[i].path;
		struct stat st;

		if (!stat(path, &st) && is_path(&st, cfg->flash))
			return refuse(err, "--disk %.200s: is also the --flash", path);
	}
	return true;
}

bool report_is_apart(const struct run_opts *opts, struct lkvm_error *err)
{
	char use[USE_MAX] = "";
	struct stat st;

	if (opts->report.fd < 0 || fstat(opts->report.fd, &st))
		return true;
	find_input(opts, &st, use);
	return use[0] ? refuse(err, "--report json=%.200s: %s", opts->report_arg, use) : true;
}

/* ---- files of ports ------------------------------------------------------------------------ */

static bool no_file(struct lkvm_error *err, const char *name, const char *key, const char *file,
		    const char *why)
{
	return refuse(err, "--port %s,%s=%.200s: %s", name, key, file, why);
}

/* A descriptor of the caller's stays open, as it came. */
static bool take_fd(const char *name, const char *key, const char *file, int mode, int *fd,
		    struct lkvm_error *err)
{
	int n, has;

	if (!fd_number(file, &n))
		return no_file(err, name, key, file, "must be a file or fd:N");
	has = fcntl(n, F_GETFL);
	if (has < 0 || ((has & O_ACCMODE) != mode && (has & O_ACCMODE) != O_RDWR))
		return no_file(err, name, key, file,
			       mode == O_RDONLY ? "that descriptor is not open for reading"
						: "that descriptor is not open for writing");
	if (mode == O_RDONLY && n == STDIN_FILENO)
		return no_file(err, name, key, file, "standard input is the console's");
	*fd = n;
	return true;
}

/* @flags as for open(2). */
static bool open_file(const char *name, const char *key, const char *file, int flags, int *fd,
		      struct lkvm_error *err)
{
	struct stat st;

	if (is_fd_name(file)) {
		if (!take_fd(name, key, file, flags & O_ACCMODE, fd, err))
			return false;
	} else {
		*fd = open(file, flags | O_CLOEXEC | O_NOCTTY, 0666);
		if (*fd < 0)
			return no_file(err, name, key, file, strerror(errno));
	}
	if (!fstat(*fd, &st) && S_ISDIR(st.st_mode))
		return no_file(err, name, key, file, "is a directory");
	return true;
}

/*
 * Inputs first, and a FIFO among them without waiting for its writer: opening one for output waits
 * for a reader, which may itself wait for us to read.
 */
static bool open_ports(struct run_opts *opts, struct lkvm_error *err)
{
	for (unsigned int i = 0; i < opts->cfg.n_ports; i++) {
		struct lkvm_port *port = &opts->cfg.ports[i];

		if (opts->ports[i].in[0] && !open_file(port->name, "in", opts->ports[i].in,
						       O_RDONLY | O_NONBLOCK, &port->io.in_fd, err))
			return false;
	}
	for (unsigned int i = 0; i < opts->cfg.n_ports; i++) {
		struct lkvm_port *port = &opts->cfg.ports[i];

		/* Not O_TRUNC: it may be the wrong file. */
		if (opts->ports[i].out[0] && !open_file(port->name, "out", opts->ports[i].out,
							O_WRONLY | O_CREAT, &port->io.out_fd, err))
			return false;
	}
	return true;
}

bool files_open(struct run_opts *opts, struct lkvm_error *err)
{
	return disks_are_apart(opts, err) && open_ports(opts, err) && ports_are_apart(opts, err) &&
	       dumps_are_apart(opts, err);
}
