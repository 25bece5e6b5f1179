/*
 * cli.h - the command's own parts (layer 5): the only code that prints, touches
 * the terminal or ends the process. It sees the library through <lkvm.h> alone.
 */
#ifndef LKVM_VMM_CLI_H
#define LKVM_VMM_CLI_H

#include <lkvm.h>
#include <stdbool.h>
#include <stddef.h>

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
	bool stats;	  /* with KVM's statistics */
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
	bool stats;		/* KVM's statistics, at the end */
	bool help;
};

/* Print "lkvm: ..." on standard error and return @status. */
int cli_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The exit status for a library error, after printing it. */
int cli_fail_error(const struct lkvm_error *err);
int cli_error_status(const struct lkvm_error *err);

/* ---- options of `lkvm run` ---------------------------------------------------------- */

/* Where the help puts an option. */
enum opt_group { GROUP_MACHINE, GROUP_CPU, GROUP_DEVICES, GROUP_END, GROUP_TALK, GROUP_NONE };

struct opt {
	char letter; /* 0: none */
	const char *name;
	const char *arg;     /* what it takes, for the help; NULL: nothing */
	bool optional;	     /* the argument may be left out, and comes only as --name=ARG */
	const char *only[2]; /* the guest architectures that have it; none: all do */
	enum opt_group group;

	/* @val is NULL for options without argument. 0, or CLI_BAD_INPUT after a message. */
	int (*set)(struct run_opts *o, const struct opt *opt, const char *val);
	size_t at, size; /* the field of struct lkvm_config that @set sets, if it is one of many */
	const char *allowed; /* what @set takes, if that is not the same for all who share it */

	const char *help;      /* or, with @set NULL, why the option is refused */
	const char *elsewhere; /* why others than @only refuse it; NULL: they do not have it */
};

/* "--name VALUE: must be ALLOWED" */
int opt_bad(const struct opt *opt, const char *val, const char *allowed);

/* What only x86-64 guests have (cli_x86.c). */
int opt_disable_exits(struct run_opts *o, const struct opt *opt, const char *val);
int opt_snp(struct run_opts *o, const struct opt *opt, const char *val);

/* What only arm64 guests have (cli_arm64.c). */
int opt_pmu(struct run_opts *o, const struct opt *opt, const char *val);
int opt_pmu_partition(struct run_opts *o, const struct opt *opt, const char *val);
int opt_counter_offset(struct run_opts *o, const struct opt *opt, const char *val);
int opt_sve_max_vl(struct run_opts *o, const struct opt *opt, const char *val);

/* cli_opts.c: the options of `lkvm run`. 0, or an exit status after printing what is wrong. */
int run_opts_parse(struct run_opts *opts, int argc, char **argv);
void run_opts_help(void);

/* cli_devs.c: one --disk, --network or --port more. 0, or an exit status after printing. */
int cli_disk(struct lkvm_config *cfg, const char *val);
int cli_network(struct lkvm_config *cfg, const char *val);
int cli_port(struct run_opts *opts, const char *val);

/*
 * cli_files.c. Open what ports name and put it into the config. False with a message: that cannot
 * be, or what the guest or lkvm writes to is another file of the machine's as well.
 */
bool files_open(struct run_opts *opts, struct lkvm_error *err);
/* False with a message: it is a file that the guest is given, and nothing may be written to it. */
bool report_is_apart(const struct run_opts *opts, struct lkvm_error *err);

/* ---- cli_words.c: values that are words with commas between them -------------------- */

/*
 * What it is about, then KEY=VALUE or KEY. Two commas stand for one that belongs to a word. Each
 * kind of value has a table of its keys.
 */
struct cli_key {
	const char *name;
	bool bare; /* takes no value */
	bool many; /* may be given more than once */
	/* Into what @at points at. NULL, or what is allowed; @val is NULL for bare ones. */
	const char *(*set)(void *at, const char *val);
};

/*
 * Take the next word off *@p, doubled commas undone. False: it does not fit into @size bytes.
 * *@p is NULL after the last.
 */
bool cli_next_word(const char **p, char *word, size_t size);

/*
 * All words of @all, the value of --@option, from @p on (NULL: none are left) into @at. 0, or
 * CLI_BAD_INPUT after a message.
 */
int cli_set_keys(const char *option, const char *all, const char *p, const struct cli_key *keys,
		 size_t n, void *at);

/* How a value looks in a message: one that is empty can be seen. */
const char *cli_shown(const char *val);

/* False: empty or too long. */
bool cli_copy(char *dst, size_t size, const char *val);

/* A whole number, decimal or 0x.., then *@end. False: none, or too large. */
bool cli_number(const char *s, unsigned long long *value, char **end);

/* The same from @min to @max, and nothing behind it. */
bool cli_number_in(const char *s, unsigned long long min, unsigned long long max,
		   unsigned long long *value);

/* on and off, or 1 and 0 as kvmtool has it. */
bool cli_on_off(const char *val, bool *on);

/* ---- report, terminal, commands ------------------------------------------------------- */

/* cli_report.c */
int report_open(struct cli_report *report, const char *arg);
void report_close(struct cli_report *report);
/* @vm may be NULL, when @err says why there is none. False: it failed, and that was printed. */
bool report_write(const struct cli_report *report, const struct lkvm_config *cfg,
		  struct lkvm_vm *vm, const struct lkvm_error *err);
/* KVM's statistics as a table, on standard error. */
void report_stats(struct lkvm_vm *vm);

/* cli_tty.c: raw mode on standard input, undone however the process ends (but by SIGKILL). */
bool tty_is_ours(void); /* standard input is a terminal, and we are in its foreground */
int tty_raw(void);
void tty_restore(void);
bool tty_is_raw(void);
bool tty_size(unsigned short *cols, unsigned short *rows); /* false: it does not know */

/* cmd_*.c */
int cmd_run(int argc, char **argv);
int cmd_caps(int argc, char **argv);
int cmd_snp_report(int argc, char **argv);

#endif
