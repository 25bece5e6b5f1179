#!/bin/sh
# `lkvm caps`: for people, for programs and for scripts.
#
# The KVM is a fake one; what each table says of a host is tests/unit/*/test_caps's.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib

# One that no host of fakekvm has
[ "$ARCH" = arm64 ] && missing=aarch32 || missing=sev-snp

# ends STATUS DESCRIPTION OPTION...: leaves out and err in $T
ends() {
	want=$1 desc=$2
	shift 2
	"$LKVM" caps "$@" >"$T/out" 2>"$T/err"
	status=$?
	is "$desc" "$want"
}

# has FILE TEXT...: lines of it
has() {
	why='' file=$1
	shift
	for text; do
		grep -qE -- "$text" "$T/$file" || why="${why}no '$text' in $file; "
	done
	verdict "... and says so" "$why"
}

silent() {
	[ ! -s "$T/$1" ] && why= || why="something in $1; "
	verdict "... with nothing on ${1}" "$why"
}

# ---- for people -------------------------------------------------------------------------

ends 0 'caps'
has out '^  api +yes +12  version of KVM' "^  $missing +no  +[^ ]" '^ +why not: ' '^ +it takes: ' \
	'^  KVM_CAP_MAX_VCPUS +yes +[0-9]+$' '^  KVM_CAP_[A-Z0-9_]+ +no$'
silent err
# Every feature has a meaning, and is in the manual; lines have no blanks at their end.
sed -n '/^Features:/,/^$/s/^  \([a-z][a-z0-9-]*\) .*/\1/p' "$T/out" >"$T/features"
why=
[ "$(wc -l <"$T/features")" -ge 10 ] || why='not ten features; '
while read -r name; do
	grep -qE "^  $name +(yes +[0-9]+|no)  +[^ ]" "$T/out" || why="$why$name has no meaning; "
	grep -qE "^\.It Cm (.* )?$name( |\$)" lkvm.1 || why="$why$name is not in lkvm.1; "
done <"$T/features"
! grep -q ' $' "$T/out" || why="${why}blanks at the end of a line; "
verdict 'each feature is explained' "$why"

# ---- for programs -----------------------------------------------------------------------

ends 0 'caps --json' --json
has out '^\{$' '^  "arch": "(x86-64|arm64)",$' '^  "api_version": 12,$' '^  "features": \{$' \
	"^    \"$missing\": \{\$" '^      "available": false,$' '^      "value": null,$' \
	'^      "reason": "[^"]+"' '^      "remedy": (null|"[^"]+")$' '^  "kvm": \{$' \
	'^    "KVM_CAP_MAX_VCPUS": [0-9]+,$' '^    "KVM_CAP_[A-Z0-9_]+": 0,?$' '^\}$'
silent err

# ---- for scripts ------------------------------------------------------------------------

ends 0 'caps --require of what is there' --require api,KVM_CAP_IMMEDIATE_EXIT
silent out
silent err
ends 0 'caps --require=' --require=api --require=api
ends 126 'caps --require of what is not' --require "api,$missing"
has err "^lkvm: $missing: .+"
silent out
ends 126 'caps --require of one of two' --require "$missing" --require api
[ "$(wc -l <"$T/err")" = 1 ] && why= || why='not one line; '
verdict '... in one line' "$why"
ends 126 'caps --json --require' --json --require "$missing"
has out '^  "api_version": 12,$'
has err "^lkvm: $missing: "
for list in nosuch api,nosuch "nosuch,$missing" '' 'api,' ',api' 'api,,KVM_CAP_IRQFD' API KVM_CAP_NOSUCH \
	"$(printf '%0100d' 0)"; do
	refused 'is unknown; there are api, ' caps --require "$list"
done

# What only guests of another architecture have is known, each by name, and missing.
[ "$ARCH" = arm64 ] && other=x86 name=x86-64 feature=fred || other=arm64 name=arm64 feature=e2h0
ends 126 'caps --require of a feature of other guests' --require "api,$feature"
has err "^lkvm: $feature: only $name guests have it"
[ "$(wc -l <"$T/err")" = 1 ] && why= || why='not one line; '
verdict '... in one line' "$why"
ends 126 'caps --require of theirs and of ours' --require "$feature,$missing"
[ "$(wc -l <"$T/err")" = 2 ] && why= || why='not two lines; '
verdict '... in a line for each' "$why"
refused "'nosuch' is unknown" caps --require api --require nosuch
if [ -r "arch/$other/caps.c" ]; then
	"$LKVM" caps | sed -n 's/^  \([A-Za-z][A-Za-z0-9_-]*\) .*/\1/p' | sort >"$T/ours"
	sed -n 's/^\tCAPS_KVM(\(.*\)),$/\1/p
		s/.*caps_[a-z]*(caps, "\([^"]*\)".*/\1/p
		s/.*caps_by_kvm(.*KVM_CAP_[A-Z0-9_]*, "\([^"]*\)".*/\1/p
		s/^\t*{ "\([a-z0-9-]*\)", .*/\1/p
		s/^\t{ KVM_CAP_[A-Z0-9_]*, "\([^"]*\)",.*/\1/p' "arch/$other/caps.c" | sort -u |
		comm -13 "$T/ours" - >"$T/theirs"
	[ "$(grep -c KVM_CAP_ "$T/theirs")" -ge 10 ] && [ "$(grep -vc KVM_CAP_ "$T/theirs")" -ge 10 ] &&
		why= || why='not ten features and ten capabilities; '
	verdict 'names of theirs are found' "$why"
	ends 126 'caps --require of all that only they have' --require "$(paste -sd, "$T/theirs")"
	[ "$(grep -c ": only $name guests have it" "$T/err")" = "$(wc -l <"$T/theirs")" ] && why= ||
		why="$(grep -v ": only $name guests have it" "$T/err"); "
	verdict '... says so of each' "$why"
fi
refused '--require: a value is needed' caps --require
refused "'nosuch' is unknown" caps --require api --require nosuch --json
for o in -x --jsonx --require-x x --json=1; do refused "$o: unknown option" caps $o; done

# ---- without KVM ------------------------------------------------------------------------

for host in missing denied api=11; do
	for o in '' --json '--require api'; do
		# shellcheck disable=SC2086
		FAKEKVM=$host ends 126 "caps $o with a KVM that is $host" $o
		has err '^lkvm: /dev/kvm '
		silent out
	done
done
if [ -w /dev/full ]; then
	"$LKVM" caps >/dev/full 2>"$T/err"
	status=$?
	is 'output that cannot be written is an error' 125 'err:standard output cannot be written'
fi
says 'caps --help' 'usage: lkvm caps' caps --help
says 'caps -h' 'usage: lkvm caps' caps -h
finish
