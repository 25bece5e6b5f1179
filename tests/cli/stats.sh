#!/bin/sh
# `lkvm run --stats`: KVM's statistics on standard error and in the report.
#
# The KVM is a fake one, and so are its figures; a real one's are looked at in tests/t3/stats.sh.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib
HOST=$FAKEKVM
CAP=203 # KVM_CAP_BINARY_STATS_FD

# hasnt FILE TEXT
hasnt() {
	! grep -qF -- "$2" "$T/$1" && why= || why="'$2' is in $1; "
	verdict "... without $2 in $1" "$why"
}

# line TEXT: that whole line is in the table, blanks aside
line() {
	tr -s ' ' <"$T/err" | grep -qx "$1" && why= || why="no line '$1'; "
	verdict "... with the line '$1'" "$why"
}

FAKEKVM=$HOST,cap=$CAP:1
vm -k "$K" --stats -c 2
is 'statistics of the machine and each vCPU' 0 "err:KVM's statistics of the machine:" 'err:of vCPU 0:' \
	'err:of vCPU 1:' 'report:"stats": {' 'report:"remote_tlb_flush": 3' 'report:"guest_mode": 1' \
	'report:"halt_wait_hist": 4321,'
line ' remote_tlb_flush 3'
line ' exits [0-9]*'
line ' halt_wait_ns 1500 ns'
line ' halt_wait_hist 4321'
line ' guest_mode 1'
[ "$(grep -n ': power-off after' "$T/err" | cut -d: -f1)" = 1 ] && why= || why='it is not; '
verdict 'how it ended is said first' "$why"
if command -v python3 >/dev/null; then
	python3 -c 'import json,sys; s=json.load(open(sys.argv[1]))["stats"]; \
assert sorted(s)==["vcpus","vm"] and len(s["vcpus"])==2 and s["vm"]["pages_2m"]==7, s; \
assert all(v["halt_wait_ns"]==1500 for v in s["vcpus"]), s' "$T/report" 2>"$T/err" && why= ||
		why=$(tail -n 1 "$T/err")
	verdict 'the report has them by name' "$why"
else
	skip 'the report has them by name' 'no python3 here'
fi

vm -k "$K"
is 'without --stats' 0
hasnt err statistics
hasnt report '"stats"'

"$LKVM" run -k "$K" --stats --report json=fd:2 >"$T/out" 2>"$T/err"
status=$?
is 'no table where the report goes to standard error' 0 'err:"halt_wait_ns": 1500,'
hasnt err 'of vCPU 0:'

FAKEKVM=$HOST
vm -k "$K" --stats
is 'a KVM without statistics' 0 'err:lkvm: --stats: this host' 'report:"vm": null,'
hasnt err 'of vCPU'

printf 'nonsense' >"$T/bytes"
FAKEKVM=$HOST,cap=$CAP:1,stats=$T/bytes
vm -k "$K" --stats
is 'nonsense for statistics does not spoil the run' 0 "err:KVM's statistics" 'err:none:' \
	'report:"vm": null,'
vm -k "$K"
is 'nor a run that does not ask for them' 0

refused '--stats' run -k "$K" --stats=1
finish
