/* cli_report.c - `--report json=...`: how it ended, for a program to read. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli.h"

int report_open(struct cli_report *report, const char *arg)
{
	*report = (struct cli_report){ .fd = -1, .path = arg };
	if (!arg)
		return 0;
	if (!strncmp(arg, "fd:", 3)) {
		char *end;
		long fd = strtol(arg + 3, &end, 10);
		int flags;

		if (arg[3] < '0' || arg[3] > '9' || *end || fd > 1 << 20)
			return cli_fail(CLI_BAD_INPUT,
					"--report json=%s: must be json=FILE or json=fd:N", arg);
		flags = fcntl((int)fd, F_GETFL);
		if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
			return cli_fail(CLI_BAD_INPUT,
					"--report json=%s: descriptor %ld is not open for writing",
					arg, fd);
		report->fd = (int)fd;
		return 0;
	}
	report->fd = open(arg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (report->fd < 0)
		return cli_fail(CLI_BAD_INPUT, "--report json=%s: cannot be written: %s", arg,
				strerror(errno));
	report->opened = true;
	return 0;
}

void report_close(struct cli_report *report)
{
	if (report->opened)
		close(report->fd);
}

/* JSON numbers are doubles to many readers: registers and addresses go as hexadecimal text. */
static json_t *hex(uint64_t value)
{
	return json_sprintf("0x%llx", (unsigned long long)value);
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *phases(const struct lkvm_result *res)
{
	json_t *obj = json_object();
	uint64_t start = res->phase_ns[LKVM_PHASE_START];

	for (int i = 0; i < LKVM_N_PHASES; i++)
		json_object_set_new(obj, lkvm_phase_name(i),
				    res->phase_ns[i]
					    ? json_real((double)(res->phase_ns[i] - start) / 1e6)
					    : json_null());
	return obj;
}

static json_t *exits(const struct lkvm_result *res)
{
	json_t *obj = json_object();
	char other[16];

	for (unsigned int i = 0; i < LKVM_N_EXIT_REASONS; i++) {
		const char *name = lkvm_exit_reason_name(i);

		if (!res->exits[i])
			continue;
		snprintf(other, sizeof(other), "reason_%u", i);
		json_object_set_new(obj, name ? name : other, number(res->exits[i]));
	}
	return obj;
}

static json_t *last_exits(const struct lkvm_vcpu_state *state)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < state->n_exits; i++) {
		const struct lkvm_last_exit *e = &state->exits[i];
		const char *name = lkvm_exit_reason_name(e->reason);
		json_t *obj = json_pack("{s:s, s:o}", "reason", name ? name : "?", "address",
					hex(e->addr));

		if (e->size) {
			json_object_set_new(obj, "write", json_boolean(e->write));
			json_object_set_new(obj, "size", number(e->size));
			json_object_set_new(obj, "data", hex(e->data));
		}
		json_array_append_new(list, obj);
	}
	return list;
}

static json_t *vcpus(struct lkvm_vm *vm, const struct lkvm_result *res)
{
	static struct lkvm_vcpu_state state;
	json_t *list = json_array();

	for (unsigned int i = 0; i < res->n_vcpus; i++) {
		json_t *obj, *regs;

		if (lkvm_vm_vcpu_state(vm, i, &state) || (!state.n_regs && !state.n_exits))
			continue;
		regs = json_object();
		for (unsigned int r = 0; r < state.n_regs; r++)
			json_object_set_new(regs, state.regs[r].name, hex(state.regs[r].value));
		obj = json_pack("{s:i, s:o, s:s?, s:s?, s:o}", "index", (int)i, "registers", regs,
				"symbol", state.symbol[0] ? state.symbol : NULL, "symbol_note",
				state.symbol_note[0] ? state.symbol_note : NULL, "last_exits",
				last_exits(&state));
		json_array_append_new(list, obj);
	}
	return list;
}

static json_t *of_vm(const struct lkvm_config *cfg, struct lkvm_vm *vm)
{
	struct lkvm_result res;

	lkvm_vm_result(vm, &res);
	return json_pack(
		"{s:s, s:s, s:i, s:o, s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:{s:o, s:o}, s:o}",
		"name", lkvm_vm_config(vm)->name[0] ? lkvm_vm_config(vm)->name : cfg->name, "cause",
		lkvm_cause_name(res.cause), "exit_status", res.exit_status, "verdict",
		res.cause == LKVM_CAUSE_VERDICT ? number(res.verdict) : json_null(), "detail",
		res.detail, "cpus", (int)res.n_vcpus, "boots", (int)res.n_boots,
		"start_monotonic_ns", number(res.phase_ns[LKVM_PHASE_START]), "phases_ms",
		phases(&res), "exits", exits(&res), "unclaimed_accesses",
		number(res.unclaimed_accesses), "console", "bytes", number(res.console_bytes),
		"lost", number(res.console_lost), "vcpus", vcpus(vm, &res));
}

static json_t *of_error(const struct lkvm_config *cfg, const struct lkvm_error *err)
{
	static const char *const causes[] = {
		[LKVM_ERR_NONE] = "host-error",
		[LKVM_ERR_INPUT] = "bad-input",
		[LKVM_ERR_UNSUPPORTED] = "unsupported",
		[LKVM_ERR_HOST] = "host-error",
	};

	return json_pack("{s:s, s:s, s:i, s:n, s:s}", "name", cfg->name, "cause", causes[err->kind],
			 "exit_status", cli_error_status(err), "verdict", "detail", err->msg);
}

static bool write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

bool report_write(const struct cli_report *report, const struct lkvm_config *cfg,
		  struct lkvm_vm *vm, const struct lkvm_error *err)
{
	json_t *obj;
	char *text;
	bool ok;

	if (report->fd < 0)
		return true;
	obj = vm ? of_vm(cfg, vm) : of_error(cfg, err);
	text = obj ? json_dumps(obj, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
	ok = text && write_all(report->fd, text) && write_all(report->fd, "\n");
	free(text);
	json_decref(obj);
	return ok;
}
