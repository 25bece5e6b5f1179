#!/bin/bash
# cxx.sh - lkvm.h is as good for C++ and for C as it was in 1999 as for us: it compiles with all
# warnings, and a program can fill a config and call every function. CXX and CC are the compilers.
#
# Does not prove: that such a program works; it is compiled and linked, not run.

set -u
# shellcheck source-path=SCRIPTDIR source=tap
. "$(dirname "$0")/tap"

cc=${CC:-cc}
cxx=${CXX:-g++}
out=$(dirname "${LKVM:-./lkvm}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -e "$out/liblkvm.so" ] || bail "not built ('make' does): $out/liblkvm.so"

cat >"$work/client.c" <<-'END'
	#include <lkvm.h>
	static void out(void *ctx, const void *data, size_t len) { (void)ctx; (void)data; (void)len; }
	int main()
	{
		static struct lkvm_config cfg;
		static struct lkvm_error err;
		static struct lkvm_result res;
		static struct lkvm_vcpu_state state;
		struct lkvm_vm *vm;
		lkvm_config_init(&cfg);
		cfg.n_vcpus = 2;
		cfg.mem_size = LKVM_MIN_MEM;
		cfg.boot = LKVM_BOOT_PVH;
		cfg.on_reboot = LKVM_ON_REBOOT_RESTART;
		cfg.console.out = out;
		if (lkvm_config_validate(&cfg, &err) || lkvm_vm_create(&cfg, &vm, &err))
			return err.kind == LKVM_ERR_INPUT;
		if (lkvm_vm_start(vm, &err) || lkvm_vm_pause(vm) || lkvm_vm_resume(vm))
			lkvm_vm_stop(vm);
		lkvm_vm_console_write(vm, "x", 1);
		lkvm_vm_wait(vm, 1000);
		lkvm_vm_result(vm, &res);
		lkvm_vm_vcpu_state(vm, 0, &state);
		lkvm_vm_destroy(vm);
		return res.cause == LKVM_CAUSE_POWEROFF && lkvm_cause_name(res.cause) ? 0 : res.exit_status;
	}
END
cp "$work/client.c" "$work/client.cc"

warnings=(-Wall -Wextra -pedantic -Werror)
links() {
	"$@" "${warnings[@]}" -Iinclude -o "$work/client" -L"$out" -llkvm -pthread 2>&1
}

rule 'a C99 program can use lkvm.h' links "$cc" -std=c99 "$work/client.c"
name='a C++11 program can use lkvm.h'
if command -v "$cxx" >/dev/null; then
	rule "$name" links "$cxx" -std=c++11 "$work/client.cc"
else
	skip "$name" "$cxx is not installed"
fi
plan
