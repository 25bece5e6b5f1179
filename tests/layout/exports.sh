#!/bin/bash
# exports.sh - what a program that links with the library sees of it: lkvm_* and nothing else, under a
# versioned name, and enough for the command, which is just such a program.
#
# LKVM is the command (./lkvm), the libraries are beside it; LKVM_BUILD has the objects (build/x86),
# CROSS_COMPILE is the prefix of the tools.
#
# Does not prove: that the meaning of an exported function stays the same between versions.

set -u
# shellcheck source-path=SCRIPTDIR source=tap
. "$(dirname "$0")/tap"

lkvm=${LKVM:-./lkvm}
out=$(dirname "$lkvm")
build=${LKVM_BUILD:-build/x86}
cc=${CC:-${CROSS_COMPILE-}gcc}
nm=${CROSS_COMPILE-}nm
readelf=${CROSS_COMPILE-}readelf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for file in "$lkvm" "$out/liblkvm.so" "$out/liblkvm.a"; do
	[ -e "$file" ] || bail "not built ('make' does): $file"
done

# The functions that lkvm.h declares, as the compiler sees them.
echo '#include <lkvm.h>' | "$cc" -Iinclude -E -P -x c - | tr '\n' ' ' | tr ';{}' '\n' |
	sed -nE 's/.*\b(lkvm_[a-z0-9_]+)\(.*/\1/p' | sort -u >"$work/declared"
[ "$(wc -l <"$work/declared")" -gt 10 ] || bail 'found no functions in include/lkvm.h'

exported() {
	"$nm" "$@" --defined-only -P | awk '$2 ~ /^[A-TV-Z]$/ { print $1 }' | sed 's/@.*//' | sort -u
}

only_ours() {
	exported "$@" >"$work/exported"
	comm -13 "$work/declared" "$work/exported" | sed 's/$/: exported, but not in lkvm.h/'
	comm -23 "$work/declared" "$work/exported" | sed 's/$/: in lkvm.h, but not exported/'
}

soname() {
	local version want found
	version=$(sed -n 's/^#define LKVM_VERSION_\(MAJOR\|MINOR\) //p' include/lkvm.h | paste -sd.)
	want=liblkvm.so.$version
	found=$("$readelf" -d "$out/liblkvm.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
	[ "$found" = "$want" ] || echo "the soname is '$found' where lkvm.h's version makes it $want"
	[ "$(readlink "$out/liblkvm.so")" = "$want" ] ||
		echo "liblkvm.so leads to '$(readlink "$out/liblkvm.so")', not to $want"
	[ -f "$out/$want" ] || echo "there is no $out/$want"
}

# Nothing is resolved at run time that the linker did not see, and nothing in it is written to
# after start or run from data.
shared_is_whole() {
	"$readelf" -dW "$out/liblkvm.so" | grep -E 'TEXTREL|RPATH|RUNPATH'
	"$readelf" -lW "$out/liblkvm.so" | grep 'GNU_STACK.*E ' | sed 's/^/executable stack: /'
	printf 'int main(void) { return 0; }\n' |
		"$cc" -o "$work/empty" -x c - -Wl,--no-as-needed -L"$out" -llkvm -Wl,--no-undefined 2>&1
}

# The command linked with the library as anyone would.
command_is_a_client() {
	local objects source version
	for source in vmm/main.c vmm/cmd_*.c vmm/cli_*.c; do
		objects+=("$build/${source%.c}.o")
	done
	"$cc" -pthread -o "$work/lkvm" "${objects[@]}" -L"$out" -llkvm -ljansson 2>&1 || return
	"$readelf" -d "$work/lkvm" | grep -q 'NEEDED.*liblkvm\.so' ||
		echo 'the program does not ask for liblkvm.so'
	[ -z "${CROSS_COMPILE-}" ] || return 0
	version=$(LD_LIBRARY_PATH=$out "$work/lkvm" version 2>&1) || echo "version: status $?: $version"
	[ "$version" = "$("$lkvm" version)" ] || echo "version: '$version', but '$("$lkvm" version)' of $lkvm"
}

rule 'liblkvm.so exports the functions of lkvm.h and nothing else' only_ours -D "$out/liblkvm.so"
rule 'liblkvm.a shows the functions of lkvm.h and nothing else' only_ours "$out/liblkvm.a"
rule 'liblkvm.so has the soname and the links of its version' soname
rule 'liblkvm.so is whole' shared_is_whole
rule 'lkvm works when linked with liblkvm.so' command_is_a_client
plan
