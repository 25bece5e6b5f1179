# tests/bench/report.sh - numbers of a JSON report, for a POSIX shell; sourced
# shellcheck shell=dash

# fail TEXT: to no avail
fail() {
	echo "$*" >&2
	exit 1
}

# minus A B: of numbers that a shell's own may be too small for
minus() {
	awk "BEGIN { printf \"%.0f\\n\", $1 - $2 }"
}

# field REPORT NAME: a number of a JSON report
field() {
	sed -n "s/^ *\"$2\": \([-+0-9.e]*\),\{0,1\}\$/\1/p" "$1" | head -n 1
}

# phase REPORT NAME: when it was, in CLOCK_MONOTONIC nanoseconds
phase() {
	awk -v start="$(field "$1" start_monotonic_ns)" -v ms="$(field "$1" "$2")" '
		BEGIN { if (start == "" || ms == "") exit 1; printf "%.0f\n", start + ms * 1e6 }' ||
		fail "the report has no start_monotonic_ns or $2 (did it come so far?): $(cat "$1")"
}
