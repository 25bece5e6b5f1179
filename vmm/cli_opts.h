/* cli_opts.h - an option of `lkvm run`, and what those who set one share (layer 5). */
#ifndef LKVM_VMM_CLI_OPTS_H
#define LKVM_VMM_CLI_OPTS_H

#include <stddef.h>

#include "vmm/cli.h"

/* Where the help puts an option. */
enum opt_group { GROUP_MACHINE, GROUP_CPU, GROUP_DEVICES, GROUP_END, GROUP_TALK, GROUP_NONE };

struct opt {
	char letter; /* 0: none */
	const char *name;
	const char *arg;  /* what it takes, for the help; NULL: nothing */
	bool optional;	  /* the argument may be left out, and comes only as --name=ARG */
	const char *only; /* the guest architecture that has it; NULL: all do */
	enum opt_group group;

	/* @val is NULL for options without argument. 0, or CLI_BAD_INPUT after a message. */
	int (*set)(struct run_opts *o, const struct opt *opt, const char *val);
	size_t at, size; /* the field of struct lkvm_config that @set sets, if it is one of many */

	const char *help;      /* or, with @set NULL, why the option is refused */
	const char *elsewhere; /* why others than @only refuse it; NULL: they do not have it */
};

/* "--name VALUE: must be ALLOWED" */
int opt_bad(const struct opt *opt, const char *val, const char *allowed);

/* What only arm64 guests have (cli_arm64.c). */
int opt_pmu(struct run_opts *o, const struct opt *opt, const char *val);
int opt_pmu_partition(struct run_opts *o, const struct opt *opt, const char *val);
int opt_counter_offset(struct run_opts *o, const struct opt *opt, const char *val);
int opt_sve_max_vl(struct run_opts *o, const struct opt *opt, const char *val);
int opt_firmware_address(struct run_opts *o, const struct opt *opt, const char *val);
int opt_debug_exit_gpa(struct run_opts *o, const struct opt *opt, const char *val);

#endif
