/* cmd_run.c - `lkvm run`: one guest from options to exit status, through the public API. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/cli.h"

/*
 * Called on threads the guest depends on: a reader of standard error that does not read
 * must not stop them, nor the deadlines. What cannot be written at once is dropped.
 */
static void on_log(void *ctx, enum lkvm_log_level level, const char *msg)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[640];
	int n = snprintf(line, sizeof(line), "lkvm: %s: %s%s\n", names[level], msg,
			 tty_is_raw() ? "\r" : "");

	(void)ctx;
	if (n > 0 && poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT))
		n = (int)write(STDERR_FILENO, line,
			       (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/*
 * The signals that ask lkvm to end, the one after which a terminal must be made raw again, and the
 * one that says that it has another size.
 */
static int catch_signals(sigset_t *set)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGCONT);
	sigaddset(set, SIGWINCH);
	sigprocmask(SIG_BLOCK, set, NULL);
	return signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The size of the terminal in use is the guest's as well. */
static void pass_size_on(struct lkvm_vm *vm)
{
	unsigned short cols, rows;

	if (tty_is_raw() && tty_size(&cols, &rows))
		lkvm_vm_console_resize(vm, cols, rows);
}

/*
 * Wait for the guest's end. One signal ends the guest; should what follows take too long
 * (a reader of its output that does not read), a second one ends lkvm. False: it did.
 */
static bool wait_for_end(struct lkvm_vm *vm, int signals)
{
	struct pollfd fds[] = { { .fd = lkvm_vm_stopped_fd(vm), .events = POLLIN },
				{ .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;
	bool asked = false;

	while (!(fds[0].revents & POLLIN)) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (!(fds[1].revents & POLLIN) ||
		    read(signals, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo == SIGCONT && tty_is_raw())
			tty_raw();
		if (info.ssi_signo == SIGCONT || info.ssi_signo == SIGWINCH) {
			pass_size_on(vm);
			continue;
		}
		if (asked)
			return false;
		asked = true;
		lkvm_vm_stop(vm);
	}
	lkvm_vm_wait(vm, -1);
	return true;
}

static int say_how_it_ended(const struct run_opts *opts, struct lkvm_vm *vm)
{
	struct lkvm_result res;
	double seconds;

	lkvm_vm_result(vm, &res);
	seconds = (double)(res.phase_ns[LKVM_PHASE_END] - res.phase_ns[LKVM_PHASE_START]) / 1e9;
	if (opts->report.fd != STDERR_FILENO)
		cli_fail(0, "%s after %.3f s, exit status %d: %s", lkvm_cause_name(res.cause),
			 seconds, res.exit_status, res.detail);
	if (opts->stats && opts->report.fd != STDERR_FILENO)
		report_stats(vm);
	return res.exit_status;
}

static int say_why_not(const struct run_opts *opts, const struct lkvm_error *err)
{
	if (opts->report.fd != STDERR_FILENO)
		cli_fail_error(err);
	report_write(&opts->report, &opts->cfg, NULL, err);
	return cli_error_status(err);
}

static bool empty_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) || !S_ISREG(st.st_mode) || !ftruncate(fd, 0);
}

/*
 * The files that were opened for output, of which the names may have been mistakes as long as the
 * machine could still be refused. Descriptors of the caller's are left as they came.
 */
static int empty_outputs(const struct run_opts *opts, struct lkvm_error *err)
{
	if (opts->report.opened)
		empty_file(opts->report.fd);
	for (unsigned int i = 0; i < opts->cfg.n_ports; i++) {
		const char *file = opts->ports[i].out;

		if (!file[0] || !strncmp(file, "fd:", 3) ||
		    empty_file(opts->cfg.ports[i].io.out_fd))
			continue;
		err->kind = LKVM_ERR_INPUT;
		err->code = -errno;
		snprintf(err->msg, sizeof(err->msg), "--port %s,out=%.200s: cannot be emptied: %s",
			 opts->cfg.ports[i].name, file, strerror(errno));
		return err->code;
	}
	return 0;
}

/* Whether a word of the command line makes the virtio console one of the kernel's. */
static bool has_hvc0(const char *params)
{
	static const char word[] = "console=hvc0";

	for (const char *p = params; (p = strstr(p, word)); p++) {
		char end = p[sizeof(word) - 1];

		if ((p == params || p[-1] == ' ') && (!end || end == ' ' || end == ','))
			return true;
	}
	return false;
}

static void warn_of_params(const struct lkvm_config *cfg)
{
	if (cfg->virtio_console && cfg->log_level >= LKVM_LOG_WARNING && !has_hvc0(cfg->cmdline))
		on_log(NULL, LKVM_LOG_WARNING,
		       "--console virtio: --params has no console=hvc0, so the guest may not read "
		       "its console");
}

static int run(struct run_opts *opts)
{
	struct lkvm_error err = { 0 };
	struct lkvm_vm *vm = NULL;
	sigset_t set;
	int signals = catch_signals(&set);
	int status;

	if (tty_is_ours() && opts->cfg.console.in_fd == STDIN_FILENO)
		opts->cfg.console.escape = 1; /* Ctrl-a */
	else if (isatty(STDIN_FILENO))
		opts->cfg.console.in_fd = -1; /* a background job may not read its terminal */

	if (lkvm_vm_create(&opts->cfg, &vm, &err) || empty_outputs(opts, &err))
		goto failed;
	warn_of_params(&opts->cfg);
	if (opts->cfg.console.escape && !tty_raw())
		fprintf(stderr, "lkvm: Ctrl-a x ends the guest, Ctrl-a h helps\r\n");
	pass_size_on(vm);
	if (lkvm_vm_start(vm, &err))
		goto failed;
	if (!wait_for_end(vm, signals)) {
		tty_restore();
		_exit(CLI_USER);
	}
	tty_restore();
	/* From here on nobody reads them: a report that cannot be written must not need SIGKILL. */
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	status = say_how_it_ended(opts, vm);
	if (!report_write(&opts->report, &opts->cfg, vm, NULL))
		status = CLI_HOST_ERROR;
	lkvm_vm_destroy(vm);
	close(signals);
	return status;
failed:
	tty_restore();
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	lkvm_vm_destroy(vm);
	close(signals);
	return say_why_not(opts, &err);
}

int cmd_run(int argc, char **argv)
{
	/* Paths and a command line: too large for a comfortable stack frame. */
	static struct run_opts opts;
	struct lkvm_error err = { 0 };
	int status;

	lkvm_config_init(&opts.cfg);
	opts.cfg.console.in_fd = STDIN_FILENO;
	opts.cfg.console.out_fd = STDOUT_FILENO;
	opts.cfg.log = on_log;
	opts.report.fd = -1;
	status = run_opts_parse(&opts, argc, argv);
	if (status)
		return status;
	if (opts.help) {
		run_opts_help();
		return CLI_OK;
	}
	status = report_open(&opts.report, opts.report_arg);
	if (status)
		return status;
	opts.report.stats = opts.stats;
	/* What is wrong with the options run() says; then no file is made. */
	if (!report_is_apart(&opts, &err))
		status = cli_fail_error(&err);
	else if (lkvm_config_validate(&opts.cfg, NULL) || files_open(&opts, &err))
		status = run(&opts);
	else
		status = say_why_not(&opts, &err);
	report_close(&opts.report);
	return status;
}
