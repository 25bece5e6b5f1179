# tests/bench/inside.sh - what the scripts that measure share, in the bed and out of it; sourced
# shellcheck shell=dash

PATH=/bed:$PATH
# a peer that came without its libraries (bench/fetch)
if [ -d qemu-lib ]; then
	chmod +x qemu-system-*
	export LD_LIBRARY_PATH=/bed/qemu-lib
fi
# shellcheck source=report.sh
. ./report.sh

# await FILE: drivers make their devices in their own time
await() {
	tries=0
	while [ ! -e "$1" ] && [ $tries -lt 200 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	[ -e "$1" ] || echo "there is no $1" >&2
}

# a_cpu_each: from now on the vCPU has CPU 0, and whoever serves it or talks to it CPU 1, for either
# VMM. Who shares a CPU with whom is the scheduler's whim else, and worth more than what is measured.
apart=
a_cpu_each() {
	apart=1
	taskset -p 2 $$ >/dev/null
}

# move_vcpu: once there is one; its thread goes by its name
move_vcpu() {
	[ -n "$apart" ] || return 0
	tries=0
	while [ $tries -lt 100 ]; do
		for comm in /proc/[0-9]*/task/*/comm; do
			case $(cat "$comm" 2>/dev/null) in
			vcpu0 | 'CPU 0/KVM')
				comm=${comm%/comm}
				taskset -p 1 "${comm##*/}" >/dev/null
				return
				;;
			esac
		done
		tries=$((tries + 1))
		sleep 0.1
	done
	echo "there is no thread of a vCPU" >&2
}

# run COMMAND...: what its guest said after "guest: ", without carriage returns
run() {
	move_vcpu &
	"$@" </dev/null >out 2>err
	status=$?
	tr -d '\r' <out | sed -n 's/^guest: //p' >said
	[ $status = 0 ] || {
		echo "$1 ended with status $status; its last output:" >&2
		tail -n 20 out err >&2
	}
	return $status
}

# rates WHO: runs it; for each "guest: did NAME AMOUNT MILLISECONDS", amounts per second in WHO.NAME
rates() {
	rm -f "$1".*
	run "$1" || return
	while read -r what name amount ms; do
		[ "$what" != did ] ||
			awk "BEGIN { printf \"%.1f\\n\", 1000 * $amount / $ms }" >"$1.$name"
	done <said
}

# pairs N: runs ours and theirs in turn, and prints "pair NAME OURS THEIRS" of what rates() gives
pairs() {
	i=0
	while [ $i -lt "$1" ]; do
		i=$((i + 1))
		rates ours || continue
		rates theirs || continue
		for file in ours.*; do
			echo "pair ${file#ours.} $(cat "$file") $(cat "theirs.${file#ours.}")"
		done
	done
	sed -n '/^command warm /d; /^command /p' said
}

# ---- counters of the kernel ------------------------------------------------------------------

tracing=/sys/kernel/tracing
counters=

# count NAME EVENT [FILTER]: how often that happens from now on
count() {
	[ -d $tracing/events ] || mount -t tracefs tracing $tracing
	echo "hist:keys=common_pid${3:+ if $3}" >"trigger.$1"
	cat "trigger.$1" >"$tracing/events/$2/trigger" || echo "the kernel does not count $2" >&2
	counters="$counters $1=$2"
}

# no_counts: none from now on
no_counts() {
	for counter in $counters; do
		sed 's/^/!/' "trigger.${counter%%=*}" >"$tracing/events/${counter#*=}/trigger"
	done
	counters=
}

# counts: "NAME NUMBER" of all counters, in a line
counts() {
	for counter in $counters; do
		echo "${counter%%=*} $(sed -n 's/^ *Hits: //p' "$tracing/events/${counter#*=}/hist")"
	done | tr '\n' ' '
}

# between COMMAND...: runs it like run(), and prints for each X between whose lines "guest: begin X"
# and "guest: end X" it did something: X, then NAME NUMBER of all counters
between() {
	: >marks
	move_vcpu &
	"$@" </dev/null 2>err | tr -d '\r' | while IFS= read -r line; do
		case $line in
		"guest: begin "* | "guest: end "*) echo "${line#guest: } $(counts)" >>marks ;;
		esac
		printf '%s\n' "$line"
	done >out
	sed -n 's/^guest: //p' out >said
	awk '
		$1 == "begin" { split($0, from) }
		$1 == "end" {
			printf "%s", $2
			for (i = 4; i <= NF; i += 2)
				printf " %s %d", $(i - 1), $i - from[i]
			print ""
		}' marks
}

# counted OUR-THREAD THEIR-THREAD: runs ours and theirs once more and prints "count WHO NAME AMOUNT"
# and the counters. What counting costs is not in the pairs.
counted() {
	for who in ours theirs; do
		[ $who = theirs ] || thread=$1
		[ $who = ours ] || thread=$2
		# without the interrupt controllers
		count notifications kvm/kvm_mmio 'type == 2 && gpa < 0xfec00000'
		count syscalls raw_syscalls/sys_enter "comm == \"$thread\""
		count interrupts kvm/kvm_msi_set_irq
		count exits kvm/kvm_exit
		between $who | while read -r name counts; do
			echo "count $who $name $(sed -n "s/^did $name \([0-9.]*\) .*/\1/p" said) $counts"
		done
		no_counts
	done
}
