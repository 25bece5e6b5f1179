#!/bin/bash
# library.sh - what the objects of the library may not do: it lives inside other people's processes.
#
# Read from the built objects, so that no macro hides anything. LKVM_BUILD is where they are
# (build/x86), CROSS_COMPILE the prefix of nm and objdump.
#
# Does not prove: that a descriptor written to is not the embedder's standard output, that what the
# libraries we link do is as well behaved, or anything about instrumented builds, which add their own.

set -u
# shellcheck source-path=SCRIPTDIR source=tap
. "$(dirname "$0")/tap"

shopt -s nullglob globstar
build=${LKVM_BUILD:-build/x86}
nm=${CROSS_COMPILE-}nm
objdump=${CROSS_COMPILE-}objdump
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The objects of today's sources: a build folder may hold some of files that are gone. It is of one
# architecture.
archs=("$build"/arch/*/)
[ "${#archs[@]}" = 1 ] || bail "not built ('make' does): $build/arch has ${#archs[@]} architectures"
arch=$(basename "${archs[0]}")
objects=()
missing=()
for source in vmm/*.c devices/**/*.c "arch/$arch"/**/*.c; do
	case $source in vmm/main.c | vmm/cmd_*.c | vmm/cli_*.c) continue ;; esac
	object=${source%.c}.o
	[ -e "$build/$object" ] || missing+=("$object")
	objects+=("$object")
done
[ "${#missing[@]}" = 0 ] || bail "not built ('make' does): ${missing[*]} of $build"
[ "${#objects[@]}" -gt 10 ] || bail "this is not the top of the tree: $PWD"
cd "$build" || exit 1
"$nm" -A -P "${objects[@]}" | sed 's/: / /' >"$work/symbols" # FILE NAME TYPE VALUE SIZE
"$objdump" -h "${objects[@]}" | awk '/file format/ { sub(/:$/, "", $1); file = $1 }
	$1 ~ /^[0-9]+$/ { print file, $2, $3 }' >"$work/sections"
"$objdump" -t "${objects[@]}" | awk '/file format/ { sub(/:$/, "", $1); file = $1 }
	/^[0-9a-f]+ / { print file, $(NF - 2), $NF }' >"$work/places"
cd - >/dev/null || exit 1

# What a call would do to the embedder's process. One group per line; "64" and "_chk" are cut off.
cat >"$work/forbidden" <<-'END'
	ends the process: exit _exit _Exit quick_exit abort raise __assert_fail __assert_perror_fail
	runs code at its end or fork: atexit on_exit __cxa_atexit at_quick_exit pthread_atfork
	prints: printf vprintf fprintf vfprintf dprintf vdprintf puts fputs putchar fputc putc fwrite
	prints: perror psignal psiginfo warn warnx vwarn vwarnx err errx verr verrx error error_at_line
	prints: syslog vsyslog stdout stderr stdin
	changes signals: signal sigaction sigset bsd_signal sigprocmask siginterrupt alarm setitimer
	changes signals: timer_create
	changes the environment: setenv putenv unsetenv clearenv setlocale uselocale tzset
	changes the process: chdir fchdir chroot umask setuid setgid setresuid setresgid seteuid setegid
	changes the process: setrlimit prctl fork vfork clone execve execv execvp execl system popen
	changes the process: mlockall tcsetattr
	keeps hidden state: rand srand random srandom strtok gmtime localtime ctime asctime
	keeps hidden state: getopt getopt_long optind opterr readdir_r
	jumps: longjmp siglongjmp _longjmp
END

calls_nothing_forbidden() {
	awk 'FILENAME == ARGV[1] {
			colon = index($0, ": ")
			n = split(substr($0, colon + 2), names, " ")
			for (i = 1; i <= n; i++)
				why[names[i]] = substr($0, 1, colon - 1)
			next
		}
		$3 != "U" { next }
		{ name = $2; sub(/@.*/, "", name); plain = name; sub(/^__isoc[0-9]+_/, "", plain) }
		plain ~ /^__.*_chk$/ { sub(/^__/, "", plain); sub(/_chk$/, "", plain) }
		!(plain in why) { sub(/64$/, "", plain) }
		plain in why { print $1 ": uses " name ", which " why[plain] }' \
		"$work/forbidden" "$work/symbols"
}

# Data that needs relocating (.data.rel.ro) is constant to us; all other writable sections are not.
# Exceptions would be listed here, each with its reason. There are none.
has_no_mutable_globals() {
	local writable='^[.](data|bss|tdata|tbss|sdata|sbss)([.]|$)|^[.]lbss|^[.]ldata|COM'
	awk -v writable="$writable" 'FILENAME == ARGV[1] {
			if ($2 ~ writable && $2 !~ /^[.]data[.]rel[.]ro/ && $3 != $2)
				names[$1, $2] = names[$1, $2] " " $3
			next
		}
		$2 ~ writable && $2 !~ /^[.]data[.]rel[.]ro/ && $3 !~ /^0+$/ {
			print $1 ": holds variables, in " $2 ":" names[$1, $2] }' \
		"$work/places" "$work/sections"
	awk '$3 == "C" { print $1 ": holds a common variable: " $2 }' "$work/symbols"
}

# A static library drops what nothing asks for, so these would work in one program and not in another.
has_no_hidden_start() {
	awk '$2 ~ /^[.](init_array|fini_array|preinit_array|ctors|dtors|init|fini)([.]|$)/ {
		print $1 ": runs code by itself, in " $2 }
	$2 !~ /^[.]/ && $3 !~ /^0+$/ { print $1 ": collects a table over files, in section " $2 }' \
		"$work/sections"
	awk '$3 ~ /^[wWvV]$/ { print $1 ": weak symbol " $2 }' "$work/symbols"
}

# Calls and data, by the same table as the includes. Only arch/ reaches upward, by the prototypes of
# machine.h and vcpu.h, which its includes are held to.
calls_nothing_above() {
	awk -v table=tests/layout/layers '
	BEGIN {
		while ((getline line < table) > 0) {
			n = split(line, f, /[ \t]+/)
			for (i = 2; i <= n && line !~ /^#/; i++)
				layer["vmm/" f[i]] = f[1]
		}
	}
	function of(object,   file) {
		file = object; sub(/[.]o$/, ".c", file)
		return file ~ /^vmm\// ? layer[file] : 3
	}
	NR == FNR { if ($3 ~ /^[TDRBC]$/) home[$2] = $1; next }
	$1 ~ /^arch\// || $3 != "U" || !($2 in home) { next }
	of(home[$2]) > of($1) || ($1 ~ /^devices\// && home[$2] ~ /^arch\//) {
		print $1 " (layer " of($1) ") uses " $2 " of " home[$2] " (layer " of(home[$2]) ")" }
	' "$work/symbols" "$work/symbols"
}

# arch.h is the whole of what shared code asks an architecture for, and all of it is asked for.
arch_is_what_arch_h_says() {
	grep -oE '\barch_[a-z0-9_]+(\(|\[|;)' vmm/arch.h | tr -d '([;' | sort -u >"$work/declared"
	awk '$1 ~ /^arch\// && $3 ~ /^[TDRB]$/ && $2 ~ /^arch_/ { print $2 }' "$work/symbols" |
		sort -u >"$work/defined"
	awk '$1 ~ /^vmm\// && $3 == "U" && $2 ~ /^arch_/ { print $2 }' "$work/symbols" |
		sort -u >"$work/used"
	awk 'NR == FNR && $1 ~ /^arch\// && $3 ~ /^[TDRB]$/ { home[$2] = $1; next }
		$1 !~ /^arch\// && $3 == "U" && ($2 in home) && $2 !~ /^arch_/ {
			print $1 ": uses " $2 " of " home[$2] ", which is not in vmm/arch.h" }' \
		"$work/symbols" "$work/symbols"
	comm -23 "$work/defined" "$work/declared" | sed 's/$/ is defined, but not in vmm\/arch.h/'
	comm -23 "$work/declared" "$work/defined" | sed "s/\$/ is in vmm\/arch.h, but arch\/$arch has none/"
	comm -23 "$work/declared" "$work/used" | sed 's/$/ is in vmm\/arch.h, but nothing uses it/'
}

rule 'the library ends, prints, and changes nothing of the process it lives in' calls_nothing_forbidden
rule 'the library has no variables of its own' has_no_mutable_globals
rule 'the library has no constructors, linker sets or weak symbols' has_no_hidden_start
rule 'no file uses a function or table of a higher layer' calls_nothing_above
rule 'vmm/arch.h is what shared code and architectures agree on' arch_is_what_arch_h_says
plan
