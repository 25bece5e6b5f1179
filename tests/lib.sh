# shellcheck shell=sh
# lib.sh - sourced by test scripts: runs the command and says TAP.
#
# Plain POSIX shell and tools that busybox has too, so that the same tests run on this host's
# KVM and inside a bed. Environment: LKVM, LKVM_ARCH, LKVM_BUILD.

cd "$(dirname "$0")" || exit 1
until [ -e tests/lib.sh ]; do
	cd .. || exit 1
done
LKVM=${LKVM:-./lkvm}
BUILD=${LKVM_BUILD:-build/${LKVM_ARCH:-x86}}
LIMIT=120 # seconds for one guest, however slow the host: a hang, not a figure

# need_test_programs: what the scripts run that have a fake KVM
need_test_programs() {
	[ -x "$BUILD/tests/lkvm-fake" ] && return
	echo "$0: there is no $BUILD/tests/lkvm-fake: run make test-programs first" >&2
	exit 1
}

T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
n_tests=0
: >"$T/out"; : >"$T/err"
exec </dev/null

# progress TEXT: a line of TAP that is shown though nothing failed
progress() {
	echo "# progress: $*"
}

# vm OPTION...: runs lkvm; leaves its exit status in $status, and out, err and report in $T
vm() {
	: >"$T/report"
	timeout "$LIMIT" "$LKVM" run --report "json=$T/report" "$@" >"$T/out" 2>"$T/err"
	status=$?
}

# wait_for_lines LINE N: until the output of a guest that runs meanwhile has so many of them
wait_for_lines() {
	tries=0
	while [ "$(grep -cx "$1" "$T/out" 2>/dev/null)" -lt "$2" ] && [ $tries -lt 600 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
}

# is DESCRIPTION STATUS [FILE:TEXT]...: the guest ended with STATUS, and out, err or report has
# TEXT, which is one line at most
is() {
	desc=$1 want=$2 why=''
	shift 2
	[ "$status" = "$want" ] || why="exit status $status, not $want; "
	for text; do
		grep -qF -- "${text#*:}" "$T/${text%%:*}" ||
			why="${why}no '${text#*:}' in ${text%%:*}; "
	done
	verdict "$desc" "$why"
}

# same DESCRIPTION FILE FILE: the two have the same bytes
same() {
	if cmp "$2" "$3" >"$T/cmp" 2>&1; then
		verdict "$1" ''
	else
		verdict "$1" "$(cat "$T/cmp"); "
	fi
}

# said WORD: what followed "guest: WORD " in the output
said() {
	tr -d '\r' <"$T/out" | sed -n "s/^guest: $1 //p" | tail -n 1
}

# equal DESCRIPTION A B: two values that must be there and the same
equal() {
	if [ -n "$2" ] && [ "$2" = "$3" ]; then
		verdict "$1" ''
	else
		verdict "$1" "'$2' is not '$3'; "
	fi
}

# sum: of what is piped in
sum() {
	sha256sum | cut -d ' ' -f 1
}

# verdict DESCRIPTION WHY-NOT
verdict() {
	n_tests=$((n_tests + 1))
	if [ -z "$2" ]; then
		echo "ok $n_tests - $1"
		return
	fi
	echo "not ok $n_tests - $1"
	echo "# $2"
	# What may be binary is shown in part only, and never as TAP
	for f in err out; do
		tail -n 20 "$T/$f" | tr -cd '\11\12\40-\176' | cut -c 1-200 | sed "s/^/# $f: /"
	done
}

# skip DESCRIPTION REASON: to be listed in tests/skips
skip() {
	n_tests=$((n_tests + 1))
	echo "ok $n_tests - $1 # SKIP $2"
}

finish() {
	echo "1..$n_tests"
}
