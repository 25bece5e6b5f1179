#!/bin/bash
# includes.sh - who may include whom: the layers of docs/design.md.
#
# Does not prove: that a file calls nothing above it (see library.sh), or that what a layer offers
# is what belongs there.

set -u
# shellcheck source-path=SCRIPTDIR source=tap
. "$(dirname "$0")/tap"

shopt -s nullglob globstar
files=(include/**/*.h vmm/*.[ch] devices/**/*.[chS] arch/**/*.[chS])
[ "${#files[@]}" -gt 50 ] || bail "this is not the top of the tree: $PWD"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# "FILE LINE <name>" or "FILE LINE "name"", of every #include; those in comments do not begin a line
edges() {
	grep -HnE '^[[:space:]]*#[[:space:]]*include' "$@" |
		sed -E 's/^([^:]*):([0-9]*):[^"<]*(["<][^">]*[">]).*/\1 \2 \3/'
}
edges "${files[@]}" >"$work/edges"

# "FILE LAYER" of the whole tree
{
	awk '!/^#/ { for (i = 2; i <= NF; i++) print "vmm/" $i, $1 }' tests/layout/layers
	for file in "${files[@]}"; do
		case $file in
		include/*) echo "$file 0" ;;
		devices/* | arch/*) echo "$file 3" ;;
		esac
	done
} >"$work/layers"

table_is_complete() {
	awk '$2 !~ /^[0-5]$/ { print $1 ": \"" $2 "\" is no layer" }
		seen[$1]++ { print $1 ": has more than one line in tests/layout/layers" }' "$work/layers"
	awk 'FILENAME == ARGV[1] { listed[$1]; next }
		!($1 in listed) { print $1 ": has no line in tests/layout/layers" }' \
		"$work/layers" <(printf '%s\n' vmm/*.[ch])
	cut -d' ' -f1 "$work/layers" | while read -r file; do
		[ -e "$file" ] || echo "tests/layout/layers: there is no $file"
	done
}

# What a header says of itself, "(layer N)" or "(struct: layer N", is what the table says.
headers_agree() {
	local file layer said
	while read -r file layer; do
		[[ $file = vmm/*.h && -e $file ]] || continue
		said=$(sed -nE '1,/\*\//{s/.*\((struct: )?layer ([0-9])[;,)].*/\2/p}' "$file" | head -n 1)
		[ -z "$said" ] || [ "$said" = "$layer" ] ||
			echo "$file: says it is layer $said; tests/layout/layers says $layer"
	done <"$work/layers"
}

# "vmm/x.h" of any folder is the file of that name below the top, or one that the build makes.
quoted_names_resolve() {
	awk '$3 ~ /^"/ { print $1, $2, substr($3, 2, length($3) - 2) }' "$work/edges" |
		while read -r file line name; do
			[ -e "$name" ] || [ -e "include/$name" ] ||
				[[ $name = *.inc && -e ${LKVM_BUILD:-build/x86}/gen/$name ]] ||
				echo "$file:$line: includes \"$name\", which is no path from the top of the tree"
		done
}

no_upward() {
	awk 'FILENAME == ARGV[1] { layer[$1] = $2; next }
		{
			name = substr($3, 2, length($3) - 2)
			if (name == "lkvm.h" || name ~ /^linux-uapi\//)
				name = "include/" name
			if (name in layer && $1 in layer && layer[name] > layer[$1])
				print $1 ":" $2 ": layer " layer[$1] " includes " $3 " of layer " layer[name]
		}' "$work/layers" "$work/edges"
}

# Within one layer, too, there is an order.
no_circles() {
	awk '$1 ~ /\.h$/ && $3 ~ /^"/ { print $1, substr($3, 2, length($3) - 2) }' "$work/edges" |
		tsort 2>&1 >"$work/order" | sed 's/^tsort: -: /circle: /; s/^tsort: //'
}

# FILES-REGEX INCLUDES-REGEX WHY: no such file includes such a name
forbid() {
	awk -v from="$1" -v what="$2" -v why="$3" '$1 ~ from && $3 ~ what {
		print $1 ":" $2 ": includes " $3 ": " why }' "$work/edges"
}

# The command may use the C library and others, but of this project the public API alone.
command_is_a_client() {
	local why='the command uses <lkvm.h> and nothing else'
	awk '$2 == 5 { print $1 }' "$work/layers" >"$work/command"
	awk -v why="$why" 'FILENAME == ARGV[1] { command[$1]; next }
		$1 in command && $3 ~ /^"/ && $3 != "\"vmm/cli.h\"" {
			print $1 ":" $2 ": includes " $3 ": " why }' "$work/command" "$work/edges"
	awk -v why='cli.h is the command'\''s own' 'FILENAME == ARGV[1] { command[$1]; next }
		!($1 in command) && $3 == "\"vmm/cli.h\"" { print $1 ":" $2 ": includes " $3 ": " why }' \
		"$work/command" "$work/edges"
	awk '$2 != 5 && $1 ~ /^vmm\/(main|cmd_.*|cli_.*)\.c$/ || $2 == 5 && $1 !~ /^vmm\/(main|cmd_.*|cli_.*)\.c$|^vmm\/cli\.h$/ {
		print $1 ": the Makefile tells the command from the library by the names main, cmd_ and cli_" }' \
		"$work/layers"
}

devices_are_portable() {
	forbid '^devices/' '^"vmm/(kvm|machine|vcpu|vm|arch|loop_impl)[.]h"' \
		'a device knows neither KVM nor the machine it is part of'
	forbid '^devices/' '^"arch/' 'a device belongs to no architecture'
	forbid '^devices/' 'linux-uapi/(kvm|x86|arm64|loongarch)[.]h' 'a device knows nothing of KVM'
}

archs_keep_to_themselves() {
	forbid '^(vmm|devices|include)/' '^"arch/' 'shared code reaches an architecture through vmm/arch.h'
	forbid '^(vmm|include/lkvm)' 'linux-uapi/(x86|arm64|loongarch)[.]h' \
		'shared code knows no architecture'
	awk '$1 ~ /^arch\// && $3 ~ /^"arch\// {
		split($1, from, "/"); split($3, to, "/")
		if (from[2] != to[2])
			print $1 ":" $2 ": includes " $3 ": no architecture includes another"
	}' "$work/edges"
	forbid '^arch/' '^"vmm/(vm|loop_impl|cli)[.]h"' 'arch/ is part of a machine, not of its life'
}

# One set of names for the linker, chosen by the Makefile: no conditionals.
no_arch_conditionals() {
	grep -nE '^[[:space:]]*#[[:space:]]*(if|ifdef|ifndef|elif)\b.*(__(x86_64|amd64|i386|aarch64|arm|loongarch|riscv|powerpc|s390)|ARCH_)' \
		vmm/*.[ch] devices/**/*.[ch] include/lkvm.h |
		grep -v '_H$' | sed 's/$/   <- belongs into arch\//'
}

no_conditional_capabilities() {
	grep -nE '^[[:space:]]*#[[:space:]]*(if|ifdef|ifndef|elif)\b.*\bKVM_' "${files[@]}" |
		grep -v '_H$' | sed 's/$/   <- capabilities are probed at run time/'
}

# Two statements of one ABI in one program would clash; include/linux-uapi/ is ours.
no_kernel_headers() {
	edges "${files[@]}" tests/**/*.[ch] | grep -v '^tests/abi/' |
		awk '$3 ~ /^["<](linux\/(kvm|kvm_para|vfio|vhost|iommufd)|asm\/(kvm|kvm_para))[.]h/ {
			print $1 ":" $2 ": includes " $3 ": linux-uapi/ has it" }'
}

rule 'tests/layout/layers lists every file of vmm/ once and no other' table_is_complete
rule 'a header that states its layer states the one of the table' headers_agree
rule 'names in quotes are paths from the top of the tree' quoted_names_resolve
rule 'no file includes one of a higher layer' no_upward
rule 'headers do not include each other in circles' no_circles
rule 'the command includes <lkvm.h> and its own cli.h only' command_is_a_client
rule 'devices/ includes nothing of KVM, of machines or of an architecture' devices_are_portable
rule 'architectures are included by themselves only' archs_keep_to_themselves
rule 'shared code has no conditionals on the architecture' no_arch_conditionals
rule 'no code is conditional on a KVM_ macro' no_conditional_capabilities
rule 'nothing but tests/abi includes the kernel'\''s own KVM headers' no_kernel_headers
plan
