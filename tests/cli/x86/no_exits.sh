#!/bin/sh
# --disable-exits: its values, what hosts refuse, and what is said of pinned vCPUs.
#
# Does not prove that a guest leaves less often (tests/t4/x86/aperfmperf.sh).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib
CAP=143 # KVM_CAP_X86_DISABLE_EXITS
export FAKEKVM_LOG="$T/log"

# asked MASK WHAT: with what the host is asked for
asked() {
	accepted --disable-exits "$2"
	grep -q "^vm KVM_ENABLE_CAP $CAP $1 = 0\$" "$T/log" && why= || why="it is not; "
	verdict "... and KVM is asked for $1" "$why"
}

FAKEKVM=amd,cap=$CAP:31
asked 0x1 mwait
asked 0x2 hlt
asked 0x4 pause
asked 0x8 cstate
asked 0x10 aperfmperf
asked 0x1f mwait,hlt,pause,cstate,aperfmperf
accepted --disable-exits hlt --disable-exits pause
grep -q "KVM_ENABLE_CAP $CAP 0x4 " "$T/log" && why= || why='it does not; '
verdict '... and the last one counts' "$why"
accepted
! grep -q "KVM_ENABLE_CAP $CAP" "$T/log" && why= || why='it is; '
verdict '... and without the option KVM is not asked' "$why"

for bad in '' ',' 'hlt,' ',hlt' hlt,,pause nosuch HLT 3 hlt=1 aperf; do
	value disable-exits "$bad" ''
done
value disable-exits pause,pause 'given twice'

vm -k "$K" --disable-exits aperfmperf
is 'it is said that vCPUs are pinned' 0 'err:each vCPU is pinned to a CPU of its own' \
	'err:the TSC is not scaled'
[ "$(grep -c '^lkvm: warning: ' "$T/err")" = 1 ] && why= || why='not one warning; '
verdict '... once' "$why"
vm -k "$K" --disable-exits hlt
is 'and nothing for others' 0
[ "$(wc -l <"$T/err")" = 1 ] && why= || why='not one line; '
verdict '... but how it ended' "$why"

# in a shell that may use one CPU only, whatever the host has
cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
taskset -c "$cpu" "$LKVM" run -k "$K" -c 2 --disable-exits aperfmperf >"$T/out" 2>"$T/err"
status=$?
is 'more vCPUs than CPUs are refused' 120 \
	'err:--disable-exits aperfmperf: --cpus 2' 'err:there are 1'
taskset -c "$cpu" "$LKVM" run -k "$K" --disable-exits aperfmperf >"$T/out" 2>"$T/err"
status=$?
is 'and as many are not' 0 "err:of the host's $cpu;"

# lacks MASK WHAT WORDS: a host that allows all but WHAT
lacks() {
	FAKEKVM=amd,cap=$CAP:$1
	vm -k "$K" --disable-exits "$2"
	is "a host without $2 refuses it" 126 \
		"err:lkvm: --disable-exits $2: this host's KVM does not allow it$3"
	[ "$(wc -l <"$T/err")" = 1 ] && why= || why='not one line; '
	verdict '... in one line' "$why"
	"$LKVM" caps --require "$2" >"$T/out" 2>"$T/err"
	status=$?
	is "... and so does caps --require" 126 "err:lkvm: $2: KVM does not let guests"
}
lacks 30 mwait '; it takes CPUs with MWAIT'
lacks 29 hlt '; it does not on CPUs whose threads'
lacks 27 pause ''
lacks 23 cstate '; it does not on CPUs whose threads'
lacks 15 aperfmperf '; it takes CPUs with APERFMPERF, and Linux 6.17'
lacks 0 hlt ''
finish
