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
	/* Emptied once there is something to say: until then it may be the last run's. */
	report->fd = open(arg, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
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

/* JSON is UTF-8, and a path need not be: what is not is replaced, so that there is a report. */
static json_t *text(const char *s)
{
	json_t *str = json_string(s);
	char *copy;

	if (str)
		return str;
	copy = strdup(s);
	for (char *p = copy; p && *p; p++) {
		if (*p & 0x80)
			*p = '?';
	}
	str = json_string(copy ? copy : "");
	free(copy);
	return str;
}

static json_t *reason_name(unsigned int reason)
{
	const char *name = lkvm_exit_reason_name(reason);

	return name ? json_string(name) : json_sprintf("reason_%u", reason);
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

	for (unsigned int i = 0; i < LKVM_N_EXIT_REASONS; i++) {
		json_t *name = res->exits[i] ? reason_name(i) : NULL;

		if (name)
			json_object_set_new(obj, json_string_value(name), number(res->exits[i]));
		json_decref(name);
	}
	return obj;
}

static json_t *last_exits(const struct lkvm_vcpu_state *state)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < state->n_exits; i++) {
		const struct lkvm_last_exit *e = &state->exits[i];
		json_t *obj = json_pack("{s:o, s:o}", "reason", reason_name(e->reason), "address",
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

/* ---- KVM's statistics ------------------------------------------------------------------- */

/* Of the machine (@vcpu -1) or a vCPU, for the caller to free; how many, or -errno. */
static int take_stats(struct lkvm_vm *vm, int vcpu, struct lkvm_stat **stats)
{
	int n = lkvm_vm_stats(vm, vcpu, NULL, 0);

	*stats = n < 0 ? NULL : calloc((size_t)n + 1, sizeof(**stats));
	if (n >= 0 && !*stats)
		return -ENOMEM;
	return n < 0 ? n : lkvm_vm_stats(vm, vcpu, *stats, (unsigned int)n);
}

/* Null: there are none. */
static json_t *stats_of(struct lkvm_vm *vm, int vcpu)
{
	struct lkvm_stat *stats;
	int n = take_stats(vm, vcpu, &stats);
	json_t *obj = n < 0 ? json_null() : json_object();

	for (int i = 0; i < n; i++)
		json_object_set_new(obj, stats[i].name, number(stats[i].value));
	free(stats);
	return obj;
}

static json_t *all_stats(struct lkvm_vm *vm, unsigned int n_vcpus)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < n_vcpus; i++)
		json_array_append_new(list, stats_of(vm, (int)i));
	return json_pack("{s:o, s:o}", "vm", stats_of(vm, -1), "vcpus", list);
}

/* "ns", "KiB", "x 2^12 cycles", or "" for a plain number. */
static const char *unit(const struct lkvm_stat *s, char *buf, size_t size)
{
	static const char *const units[] = { "", "B", "s", "cycles", "" };
	static const struct {
		enum lkvm_stat_unit unit;
		bool base2;
		int exponent;
		const char *text;
	} known[] = {
		{ LKVM_STAT_SECONDS, false, -9, "ns" }, { LKVM_STAT_SECONDS, false, -6, "us" },
		{ LKVM_STAT_SECONDS, false, -3, "ms" }, { LKVM_STAT_BYTES, true, 10, "KiB" },
		{ LKVM_STAT_BYTES, true, 20, "MiB" },	{ LKVM_STAT_BYTES, true, 30, "GiB" },
	};
	const char *text = s->unit < COUNT(units) ? units[s->unit] : "";

	/* of a histogram it is what the buckets count, not what they are of */
	if (s->type == LKVM_STAT_LINEAR_HISTOGRAM || s->type == LKVM_STAT_LOG_HISTOGRAM)
		return "";
	if (!s->exponent)
		return text;
	for (size_t i = 0; i < COUNT(known); i++) {
		if (known[i].unit == s->unit && known[i].base2 == s->base2 &&
		    known[i].exponent == s->exponent)
			return known[i].text;
	}
	snprintf(buf, size, "x %d^%d %s", s->base2 ? 2 : 10, s->exponent, text);
	return buf;
}

static void print_stats(struct lkvm_vm *vm, int vcpu)
{
	struct lkvm_stat *stats;
	int n = take_stats(vm, vcpu, &stats);
	char buf[40];

	if (vcpu < 0)
		fprintf(stderr, "KVM's statistics of the machine:\n");
	else
		fprintf(stderr, "of vCPU %d:\n", vcpu);
	if (n < 0)
		fprintf(stderr, "  none: %s\n", strerror(-n));
	for (int i = 0; i < n; i++) {
		const char *text = unit(&stats[i], buf, sizeof(buf));

		fprintf(stderr, "  %-40s %20llu%s%s\n", stats[i].name,
			(unsigned long long)stats[i].value, *text ? " " : "", text);
	}
	free(stats);
}

void report_stats(struct lkvm_vm *vm)
{
	int n_vcpus = (int)lkvm_vm_config(vm)->n_vcpus;

	if (lkvm_vm_stats(vm, -1, NULL, 0) == -ENOTTY) {
		cli_fail(0, "--stats: this host's KVM has no statistics; it takes Linux 5.14");
		return;
	}
	for (int i = -1; i < n_vcpus; i++)
		print_stats(vm, i);
}

/* ---- the report ------------------------------------------------------------------------- */

static json_t *of_vm(struct lkvm_vm *vm, bool stats)
{
	json_t *obj = json_object(), *console = json_object();
	struct lkvm_result res;

	lkvm_vm_result(vm, &res);
	json_object_set_new(console, "bytes", number(res.console_bytes));
	json_object_set_new(console, "lost", number(res.console_lost));

	json_object_set_new(obj, "name", text(lkvm_vm_config(vm)->name));
	json_object_set_new(obj, "cause", text(lkvm_cause_name(res.cause)));
	json_object_set_new(obj, "exit_status", number((uint64_t)res.exit_status));
	json_object_set_new(obj, "verdict",
			    res.cause == LKVM_CAUSE_VERDICT ? number(res.verdict) : json_null());
	json_object_set_new(obj, "detail", text(res.detail));
	json_object_set_new(obj, "cpus", number(res.n_vcpus));
	json_object_set_new(obj, "boots", number(res.n_boots));
	json_object_set_new(obj, "start_monotonic_ns", number(res.phase_ns[LKVM_PHASE_START]));
	json_object_set_new(obj, "phases_ms", phases(&res));
	json_object_set_new(obj, "exits", exits(&res));
	json_object_set_new(obj, "unclaimed_accesses", number(res.unclaimed_accesses));
	json_object_set_new(obj, "console", console);
	json_object_set_new(obj, "vcpus", vcpus(vm, &res));
	if (stats)
		json_object_set_new(obj, "stats", all_stats(vm, res.n_vcpus));
	return obj;
}

/* The same keys as far as they mean something: there never was a machine. */
static json_t *of_error(const struct lkvm_config *cfg, const struct lkvm_error *err)
{
	static const char *const causes[] = {
		[LKVM_ERR_NONE] = "host-error",
		[LKVM_ERR_INPUT] = "bad-input",
		[LKVM_ERR_UNSUPPORTED] = "unsupported",
		[LKVM_ERR_HOST] = "host-error",
	};
	json_t *obj = json_object();

	json_object_set_new(obj, "name", text(cfg->name));
	json_object_set_new(obj, "cause", text(causes[err->kind]));
	json_object_set_new(obj, "exit_status", number((uint64_t)cli_error_status(err)));
	json_object_set_new(obj, "verdict", json_null());
	json_object_set_new(obj, "detail", text(err->msg));
	return obj;
}

static bool write_all(int fd, const char *data)
{
	size_t len = strlen(data);

	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

bool report_write(const struct cli_report *report, const struct lkvm_config *cfg,
		  struct lkvm_vm *vm, const struct lkvm_error *err)
{
	json_t *obj;
	char *dump;
	bool ok;

	if (report->fd < 0)
		return true;
	/* EINVAL: a pipe or a terminal. */
	if (report->opened && ftruncate(report->fd, 0) && errno != EINVAL) {
		cli_fail(CLI_HOST_ERROR, "--report %s: cannot be emptied: %s", report->path,
			 strerror(errno));
		return false;
	}
	obj = vm ? of_vm(vm, report->stats) : of_error(cfg, err);
	dump = json_dumps(obj, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	ok = dump && write_all(report->fd, dump) && write_all(report->fd, "\n");
	free(dump);
	json_decref(obj);
	if (!ok)
		cli_fail(CLI_HOST_ERROR, "--report %s: cannot be written", report->path);
	return ok;
}
