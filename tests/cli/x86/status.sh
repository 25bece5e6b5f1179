#!/bin/sh
# The exit statuses, as `lkvm run` gives them: each by a guest or a host that brings it about.
#
# The KVM is a fake one: does not prove that a real one brings it about (tests/t3, tests/t4).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
need_test_programs
LKVM=$BUILD/tests/lkvm-fake
K=$BUILD/tests/guests/verdict.elf

# on HOST SCRIPT STATUS DESCRIPTION CAUSE [OPTION...]
on() {
	FAKEKVM=$1 FAKEKVM_SCRIPT=$2 want=$3 desc=$4 cause=$5
	export FAKEKVM FAKEKVM_SCRIPT
	shift 5
	vm -k "$K" "$@"
	is "$want: $desc" "$want" "report:\"cause\": \"$cause\"" "report:\"exit_status\": $want"
	[ "$(wc -l <"$T/err")" = 1 ] && why= || why='not exactly one line on standard error; '
	verdict "... and says so in one line" "$why"
}

on intel 'out 0x604 2 0x3400' 0 power-off power-off
on intel 'out 0xf4 1 0' 0 'verdict 0' verdict --debug-exit
on intel 'out 0xf4 1 1' 1 'verdict 1' verdict --debug-exit
on intel 'out 0xf4 4 110' 110 'verdict 110' verdict --debug-exit
on intel 'out 0xf4 4 100000' 111 'verdict above 110' verdict --debug-exit
on amd 'out 0x60c 1 1' 112 reset reset
on amd 'out 0x505 1 1; halt' 113 pvpanic guest-panic
on amd 'print "Kernel panic - not syncing: x\n"; halt' 113 'panic line' guest-panic
on intel 'shutdown' 114 'triple fault' triple-fault
on intel 'internal-error 1' 115 'internal error' kvm-internal-error
on intel 'loop; errno EFAULT; repeat' 115 'no progress' kvm-internal-error
on intel 'fail-entry 7' 116 'entry refused' kvm-entry-refused
on intel 'print "x"; halt' 117 'idle timeout' idle-timeout --idle-timeout 50ms
on intel 'halt' 124 timeout timeout --timeout 50ms
on intel 'errno EIO' 125 'KVM_RUN fails' host-error
on intel,fail=10 'halt' 125 'a host call failed before the start' host-error
on missing 'halt' 126 '/dev/kvm is missing' unsupported
on denied 'halt' 126 '/dev/kvm is not for this user' unsupported
on api=11 'halt' 126 'another API version' unsupported
grep -q 'API version 11' "$T/err" && why= || why='the version is not named'
verdict 'the API version is named' "$why"

FAKEKVM=intel FAKEKVM_SCRIPT=halt
for sig in INT TERM HUP; do
	vm_signal() {
		"$LKVM" run -k "$K" --report "json=$T/report" >"$T/out" 2>"$T/err" &
		pid=$!
		# until the guest runs: the report file is opened before it
		sleep 0.3
		kill -$sig $pid
		wait $pid
		status=$?
	}
	vm_signal
	is "119: SIG$sig" 119 'report:"cause": "user"'
done

# ---- bad input: 120, nothing started ------------------------------------------------------

FAKEKVM_LOG=$T/transcript
export FAKEKVM_LOG
# bad DESCRIPTION WORDS OPTION...: also must not have come as far as running a vCPU
bad() {
	desc=$1 words=$2
	shift 2
	: >"$T/transcript"
	vm "$@"
	is "120: $desc" 120 "err:$words" 'report:"cause": "bad-input"'
	grep -q KVM_RUN "$T/transcript" && why='a vCPU ran; ' || why=
	[ "$(wc -l <"$T/err")" = 1 ] || why="${why}not exactly one line on standard error; "
	verdict "... in one line, and nothing was started" "$why"
}
bad 'no such kernel' 'Fatal: Unable to open kernel /nonexistent/vmlinuz' -k /nonexistent/vmlinuz
bad 'no such initrd' 'initrd /nonexistent/initrd' -k "$K" -i /nonexistent/initrd
bad 'the kernel is a directory' / -k /
bad 'the kernel is a device' /dev/null -k /dev/null
mkfifo "$T/fifo"
bad 'the kernel is a fifo' fifo -k "$T/fifo"
: >"$T/empty"
bad 'the kernel is empty' empty -k "$T/empty"
bad 'the initrd is empty' empty -k "$K" -i "$T/empty"
printf 'hello, world\n' >"$T/text"
bad 'the kernel is text' text -k "$T/text"
head -c 100 "$K" >"$T/short"
bad 'the kernel is truncated' short -k "$T/short"
head -c 70 /dev/zero | tr '\0' x >"$T/junk"
bad 'the kernel is junk' junk -k "$T/junk"
truncate -s 100M "$T/big"
bad 'the initrd is larger than RAM' big -k "$K" -i "$T/big" -m 64
unset FAKEKVM_LOG

# ---- the report ---------------------------------------------------------------------------

FAKEKVM_SCRIPT='print "hi\n"; out 0x604 2 0x3400'
"$LKVM" run -k "$K" --report json=fd:7 7>"$T/report" >"$T/out" 2>"$T/err"
status=$?
is 'the report goes to a descriptor' 0 'report:"cause": "power-off"' 'out:hi' 'err:power-off'
"$LKVM" run -k "$K" --report json=fd:2 >"$T/out" 2>"$T/err"
status=$?
grep -q '^lkvm:' "$T/err" && why='a human line too; ' || why=
verdict 'no human line where the report goes to fd 2' "$why"
is 'the report goes to fd 2' 0 'err:"cause": "power-off"'
if command -v python3 >/dev/null; then
	python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); p=r["phases_ms"]; \
assert r["exits"]["io"]==4 and r["console"]=={"bytes":3,"lost":0}, r; \
assert 0==p["start"]<=p["memory"]<=p["kernel_loaded"]<=p["first_run"]<=p["first_console_byte"]<=p["end"], p' \
		"$T/report" 2>"$T/err" && why= || why=$(tail -n 1 "$T/err")
	verdict 'the report is JSON, and its figures fit together' "$why"
else
	skip 'the report is JSON' 'no python3 here'
fi
"$LKVM" run -k "$K" --report json=/dev/full >"$T/out" 2>"$T/err"
status=$?
is 'a report that cannot be written is an error' 125 'err:--report'
finish
