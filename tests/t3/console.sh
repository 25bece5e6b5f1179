#!/bin/sh
# The serial console through pipes and files: every byte arrives, whoever is slow.
#
# Does not prove terminals (tests/cli) nor the interrupt-driven path of a kernel's driver beyond
# one interrupt each way (machine.sh, check-bed).
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/lib"

printf 'hello worldq' >"$T/in"
guest echo <"$T/in"
is "input from a file is echoed" 0 'out:hello world' 'out:echo: 12 bytes'
(sleep 1; printf 'la'; sleep 1; printf 'teq') | timeout "$LIMIT" "$LKVM" run -k "$GUESTS/echo.elf" \
	>"$T/out" 2>"$T/err"
status=$?
is "input from a pipe is echoed as it comes" 0 'out:lateq'

# Twice what the buffers of the console and the port hold, with every value but q
head -c 9000 /dev/urandom | tr -d q >"$T/bytes"
printf q >>"$T/bytes"
guest echo <"$T/bytes"
is "bytes of any value pass" 0 "out:echo: $(wc -c <"$T/bytes" | tr -d ' ') bytes"
{ printf 'ready\n'; cat "$T/bytes"; printf '\necho: %d bytes\n' "$(wc -c <"$T/bytes")"; } >"$T/want"
same "and none is lost or added, either way" "$T/out" "$T/want"

printf 'no end' >"$T/in"
guest echo --idle-timeout 1 <"$T/in"
is "the end of the input does not end the guest" 117 'out:no end'
guest hello
is "no input at all is no input" 0 'out:hello by'

# lines N: what flood.elf says with lines=N
lines() {
	i=0
	while [ $i -lt "$1" ]; do
		printf 'line %09d\r\n' $i
		i=$((i + 1))
	done
}

# More than what pipe and console hold together (64 KiB each). Where each byte is an MMIO exit of a fifth
# of a millisecond, of an emulated machine, the pipe is filled and the console is not: that the guest
# is held off then is seen on x86 alone
file=9000 slow=9000 cut=2000
[ "$ARCH" = x86 ] || file=1000 slow=4500 cut=1000
lines $file >"$T/want"
guest flood -p "lines=$file"
status_flood=$status
same "a flood of output to a file is whole" "$T/out" "$T/want"
status=$status_flood
is "and the guest ended well" 0
lines $slow >"$T/want"
timeout "$LIMIT" "$LKVM" run -k "$GUESTS/flood.elf" -p "lines=$slow" 2>"$T/err" |
	{ sleep 1; cat; } >"$T/out"
same "a flood of output to a slow reader is whole" "$T/out" "$T/want"

timeout "$LIMIT" "$LKVM" run --report "json=$T/report" -k "$GUESTS/flood.elf" -p "lines=$cut" \
	2>"$T/err" | head -n 1 >"$T/out"
status=$(sed -n 's/.*"exit_status": \([0-9]*\).*/\1/p' "$T/report")
is "a reader that goes away does not keep the guest from its end" 0 'out:line 000000000'

finish
