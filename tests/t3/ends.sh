#!/bin/sh
# How a guest ends and what lkvm makes of it: every exit status that a real guest can bring about.
#
# Does not prove 116 (no guest can make KVM refuse an entry at will), 118, 125 and 126, which
# the tests on a fake KVM produce, nor that a stock kernel ends like this (check-bed).
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/lib"

# What differs: where debug-exit may be moved to, by which word of verdict's; ways to reset; what
# a trace is called
case $ARCH in
x86) moved=0x5f4 place=port resets='acpi i8042 i8042-port' trace='Call Trace:' ;;
arm64) moved=0x1060000 place=addr resets='psci psci2' trace='Call trace:' ;;
esac

guest hello
is "power-off is 0" 0 'report:"cause": "power-off"'

# size value: status, exact value
while read -r size value want exact; do
	guest verdict -p "size=$size value=$value" </dev/null
	is "verdict $value in $size bytes is $want" "$want" "report:\"verdict\": $exact,"
done <<-END
	1 0 0 0
	1 1 1 1
	1 42 42 42
	1 111 111 111
	1 112 111 112
	2 0x1234 111 4660
	4 110 110 110
	4 0xdeadbeef 111 3735928559
END

guest verdict --debug-exit="$moved" -p "$place=$moved value=3"
is "debug-exit is where it was asked for" 3
vm -k "$GUESTS/verdict.elf" --timeout 1 -p "value=3"
is "there is no debug-exit unless asked for" 124 'report:"unclaimed_accesses": 1,'

for how in $resets; do
	guest reset -p "how=$how"
	is "reset by $how is 112" 112
done
# Told when it is ready to listen: what a port holds when it is reset is gone
{
	for boot in 1 2; do
		wait_for_lines boot $boot
		printf r
	done
	wait_for_lines boot 3
	printf q
} | {
	guest reset --on-reboot=restart -p "how=told" <&0
	echo "$status" >"$T/status"
}
status=$(cat "$T/status")
is "a reset restarts the machine if asked to, and its console goes on" 0 'report:"boots": 3,'

guest panic
is "a kernel's panic on the console is 113" 113 'out:] Kernel panic - not syncing: of its' \
	'out:---[ end Kernel panic'
guest panic -p "end=0"
is "so it is if the kernel hangs before its last line" 113 "out:$trace"
guest panic -p "split=1"
is "so it is if the line comes in pieces" 113
guest panic --panic-from-console=off --timeout 1
is "no panic is taken from the console with =off" 124
guest pvpanic
is "pvpanic is 113" 113
guest pvpanic -p "events=2"
is "pvpanic with a crash kernel to come is no end" 7

case $ARCH in
x86)
	guest triple
	# Which registers is KVM's affair: on AMD hosts it resets a vCPU that has shut down
	is "a triple fault is 114, with registers" 114 'report:"rip": "0x' 'report:"reason": "shutdown"'
	guest badfetch
	is "running where there is no memory is 115, with registers" 115 'report:"rip": "0xd0000000"'
	;;
arm64)
	for how in pair index; do
		guest nisv -p "how=$how"
		is "an access that KVM cannot decode is 115, with registers ($how)" 115 \
			'report:"pc": "0x800' 'err:an access to 0x10000000'
	done
	;;
esac

guest idle --idle-timeout 1 -p "say=here"
is "silence is 117 with --idle-timeout" 117 out:here
guest idle --timeout 1
is "a guest that sleeps for ever is 124, with its symbol" 124 'report:"symbol": "halt'
guest spin --timeout 1
is "a guest that computes for ever is 124, with its symbol" 124 'report:"symbol": "guest_main'

# timeout(1) sends INT as a terminal would; its own status hides lkvm's, the report has that
timeout -s INT 4 "$LKVM" run --report "json=$T/report" -k "$GUESTS/spin.elf" >"$T/out" 2>"$T/err"
status=$(sed -n 's/.*"exit_status": \([0-9]*\).*/\1/p' "$T/report")
is "SIGINT is 119" 119 'report:"cause": "user"'

"$LKVM" run --report "json=$T/report" -k "$GUESTS/spin.elf" -p "say=1" >"$T/out" 2>"$T/err" &
pid=$!
wait_for_lines spinning 1
kill -TERM $pid
wait $pid
status=$?
is "SIGTERM is 119" 119 'report:"cause": "user"'

finish
