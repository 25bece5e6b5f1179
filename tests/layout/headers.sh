#!/bin/bash
# headers.sh - every header stands alone: it compiles, with all warnings, as the only thing a file
# includes, also twice, and its guard is named after its path.
#
# Does not prove: that a header includes no more than it needs.

set -u
# shellcheck source-path=SCRIPTDIR source=tap
. "$(dirname "$0")/tap"

shopt -s nullglob globstar
cc=${CC:-cc}
build=${LKVM_BUILD:-build/x86}
flags=(-std=gnu11 -D_GNU_SOURCE -Iinclude -I. "-I$build/gen" -Wall -Wextra -Wshadow -Wundef
	-Wmissing-prototypes -Wstrict-prototypes -Wvla -Wpointer-arith -Werror)

# vmm/dev.h and include/linux-uapi/kvm.h -> LKVM_VMM_DEV_H and LKVM_LINUX_UAPI_KVM_H
guard() {
	local name=${1#include/}
	name=${name#lkvm.h}
	name=${name:+_${name%.h}}
	tr 'a-z/-' 'A-Z__' <<<"LKVM${name}_H"
}

alone() {
	local name=${1#include/} guard
	guard=$(guard "$1")
	printf '#include "%s"\n' "$name" "$name" |
		"$cc" "${flags[@]}" -fsyntax-only -x c - 2>&1
	grep -q "^#ifndef $guard\$" "$1" && grep -q "^#define $guard\$" "$1" ||
		echo "$1: its guard is not $guard"
}

n=0
for header in include/**/*.h vmm/*.h devices/**/*.h arch/**/*.h; do
	n=$((n + 1))
	rule "$header stands alone" alone "$header"
done
[ "$n" -gt 20 ] || bail "this is not the top of the tree: $PWD"
plan
