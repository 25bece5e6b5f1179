/*
 * cli.h - the command's own parts (layer 5): the only code that prints, touches
 * the terminal or ends the process. It sees the library through <lkvm.h> alone.
 */
#ifndef LKVM_VMM_CLI_H
#define LKVM_VMM_CLI_H

#include <lkvm.h>
#include <stdbool.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Exit statuses that are not a guest's; the others come with struct lkvm_result. */
enum {
	CLI_OK = 0,
	CLI_USER = 119,
	CLI_BAD_INPUT = 120,
	CLI_HOST_ERROR = 125,
	CLI_UNSUPPORTED = 126,
};

/* Where the report goes. */
struct cli_report {
	int fd;		  /* -1: no report asked for */
	bool opened;	  /* by us: to be closed */
	const char *path; /* as given, for messages */
};

#define CLI_PATH_MAX 4096 /* bytes, with the final NUL */

/* Files of a named console port, as given: "" = none, or "fd:N". */
struct cli_port {
	char out[CLI_PATH_MAX], in[CLI_PATH_MAX];
};

struct run_opts {
	struct lkvm_config cfg;
	struct cli_port ports[LKVM_MAX_PORTS]; /* of cfg.ports; opened as the report is */
	struct cli_report report;
	const char *report_arg; /* opened once all options are known to be good */
	bool help;
};

/* Print "lkvm: ..." on standard error and return @status. */
int cli_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The exit status for a library error, after printing it. */
int cli_fail_error(const struct lkvm_error *err);
int cli_error_status(const struct lkvm_error *err);

/* cli_opts.c: the options of `lkvm run`. 0, or an exit status after printing what is wrong. */
int run_opts_parse(struct run_opts *opts, int argc, char **argv);
void run_opts_help(void);

/* cli_devs.c: one --disk, --network or --port more. 0, or an exit status after printing. */
int cli_disk(struct lkvm_config *cfg, const char *val);
int cli_network(struct lkvm_config *cfg, const char *val);
int cli_port(struct run_opts *opts, const char *val);
/* Open what ports name and put it into the config; false with a message. */
bool ports_open(struct run_opts *opts, struct lkvm_error *err);

/* cli_report.c */
int report_open(struct cli_report *report, const char *arg);
void report_close(struct cli_report *report);
/* @vm may be NULL, when @err says why there is none. False: it failed, and that was printed. */
bool report_write(const struct cli_report *report, const struct lkvm_config *cfg,
		  struct lkvm_vm *vm, const struct lkvm_error *err);

/* cli_tty.c: raw mode on standard input, undone however the process ends (but by SIGKILL). */
bool tty_is_ours(void); /* standard input is a terminal, and we are in its foreground */
int tty_raw(void);
void tty_restore(void);
bool tty_is_raw(void);
bool tty_size(unsigned short *cols, unsigned short *rows); /* false: it does not know */

/* cmd_*.c */
int cmd_run(int argc, char **argv);
int cmd_caps(int argc, char **argv);

#endif
