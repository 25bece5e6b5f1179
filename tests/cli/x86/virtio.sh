#!/bin/sh
# Images, interfaces, ports and sockets that cannot be used: one clear line each, the status of bad
# input, and nothing left behind of what had been opened before.
#
# The KVM is a fake one: does not prove that devices work. Keys and values of the options are
# options.sh's. That a failed create leaves nothing behind within a process, which goes on, is
# tests/unit/test_vm_virtio's.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
need_test_programs
chmod 711 "$T"
mkdir "$T/bin"
cp "$BUILD/tests/lkvm-fake" "$BUILD/tests/guests/verdict.elf" "$T/bin" # where everybody can read
LKVM=$T/bin/lkvm-fake
K=$T/bin/verdict.elf
export FAKEKVM=intel FAKEKVM_SCRIPT='out 0x604 2 0x3400' FAKEKVM_LOG="$T/log"

truncate -s 1M "$T/disk" "$T/good"
interfaces() {
	ls /sys/class/net
}
interfaces >"$T/interfaces"

# listening PORT: somebody does, by TCP over IPv4 (state 0A of /proc/net/tcp)
listening() {
	grep -q ":$(printf %04X "$1") 00000000:0000 0A" /proc/net/tcp
}

# Two that are free
PORT=$((20000 + $$ % 20000))
while listening $PORT || listening $((PORT + 1)); do
	PORT=$((PORT + 2))
done

# Where taps can be made, one is among what is to be given back.
"$LKVM" run -k "$K" -n tap >"$T/out" 2>"$T/err" && TAP='-n tap' || TAP=

# nothing_left: what goes before the bad option in bad() is free again
nothing_left() {
	interfaces | cmp -s - "$T/interfaces" || why="${why}an interface stayed; "
	! listening "$PORT" || why="${why}port $PORT is still listened on; "
	leak=$(grep -m 1 'is open$\|is mapped$' "$T/log")
	[ -z "$leak" ] || why="$why$leak; "
	"$LKVM" run -k "$K" -d "$T/good" >"$T/again" 2>&1 || why="${why}$(cat "$T/again"); "
}

# bad DESCRIPTION WORDS OPTION...: refused with one line that begins like this
bad() {
	desc=$1 words=$2
	shift 2
	: >"$T/log"
	# shellcheck disable=SC2086 # none or two words
	vm -k "$K" -d "$T/good" $TAP -n "user,hostfwd=tcp:127.0.0.1:$PORT-:22" "$@"
	is "120: $desc" 120 "err:$words" 'report:"cause": "bad-input"'
	grep -q KVM_RUN "$T/log" && why='a vCPU ran; ' || why=
	[ "$(wc -l <"$T/err")" = 1 ] || why="${why}not exactly one line on standard error; "
	nothing_left
	verdict "... in one line, and nothing is left behind" "$why"
}

# hold OPTION...: a machine that has these and runs, until let_go
hold() {
	: >"$T/held"
	FAKEKVM_SCRIPT='print "up\n"; halt' FAKEKVM_LOG='' "$LKVM" run -k "$K" --timeout 60 "$@" \
		>"$T/held" 2>&1 &
	holder=$!
	tries=0
	until grep -q up "$T/held" || [ $tries = 100 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
}
let_go() {
	kill "$holder"
	wait "$holder"
}

# ---- images ---------------------------------------------------------------------------------

bad 'no such image' "--disk $T/none: cannot be opened (No such file or directory)" -d "$T/none"
bad 'no such folder' "--disk $T/none/x: cannot be opened" -d "$T/none/x"
: >"$T/empty"
bad 'an empty image' "--disk $T/empty: is empty" -d "$T/empty"
head -c 513 /dev/zero >"$T/odd"
bad 'an image of 513 bytes' "--disk $T/odd: size 513 is not a multiple of 512" -d "$T/odd"
bad 'so it is read-only' "--disk $T/odd: size 513 is not a multiple of 512" -d "$T/odd,ro"
mkfifo "$T/fifo"
bad 'a fifo' "--disk $T/fifo: is neither a regular file nor a block device" -d "$T/fifo"
bad 'a folder' "--disk $T: is neither a regular file nor a block device" -d "$T"
bad 'a terminal' "--disk /dev/null: is neither a regular file nor a block device" -d /dev/null
bad 'the same image twice' "--disk $T/disk: is given twice" -d "$T/disk" -d "$T/disk"
bad 'so it is read-only once' "--disk $T/disk: is given twice" -d "$T/disk,ro" -d "$T/disk"
bad 'the second of two' "--disk $T/empty: is empty" -d "$T/disk" -d "$T/empty"

hold -d "$T/disk"
bad 'an image that another machine writes' \
	"--disk $T/disk: is in use by another writer: lkvm-fake (pid $holder)" -d "$T/disk"
bad 'so it is read-only' "is in use by another writer: lkvm-fake (pid $holder)" -d "$T/disk,ro"
let_go
hold -d "$T/disk,ro"
bad 'an image that another machine reads' \
	"--disk $T/disk: is in use by a reader: lkvm-fake (pid $holder)" -d "$T/disk"
vm -k "$K" -d "$T/disk,ro"
is 'two readers are welcome' 0
kill -KILL "$holder"
wait "$holder" 2>/dev/null
vm -k "$K" -d "$T/disk"
is 'the lock of a machine that was killed is gone' 0

# ---- without privileges ------------------------------------------------------------------------

# nobody OPTION...: as a user who owns nothing
nobody() {
	if [ "$(id -u)" = 0 ]; then
		FAKEKVM_LOG='' timeout "$LIMIT" setpriv --reuid=65534 --regid=65534 --clear-groups \
			"$LKVM" run -k "$K" "$@" >"$T/out" 2>"$T/err"
	else
		FAKEKVM_LOG='' timeout "$LIMIT" "$LKVM" run -k "$K" "$@" >"$T/out" 2>"$T/err"
	fi
	status=$?
}

# refused DESCRIPTION WORDS
refused() {
	is "120: $1" 120 "err:$2"
	[ "$(wc -l <"$T/err")" = 1 ] && why= || why='not exactly one line on standard error; '
	interfaces | cmp -s - "$T/interfaces" || why="${why}an interface stayed; "
	verdict "... in one line, and nothing is left behind" "$why"
}

truncate -s 1M "$T/secret" "$T/public"
chmod 000 "$T/secret"
chmod 444 "$T/public"
nobody -d "$T/secret"
refused 'an image that may not be read' "--disk $T/secret: cannot be opened (Permission denied)"
nobody -d "$T/secret,ro"
refused 'nor be only read' "--disk $T/secret: cannot be opened (Permission denied)"
nobody -d "$T/public"
refused 'an image that may not be written' \
	"--disk $T/public: cannot be written (Permission denied); add ,ro to only read it"
nobody -d "$T/public,ro"
is 'but be read' 0

nobody -n tap
if ! [ -c /dev/net/tun ]; then
	is '126: this host has no taps' 126 'err:--network mode=tap: this host has no /dev/net/tun'
elif [ -n "$(find /dev/net/tun -perm -0006)" ]; then
	refused 'a tap without CAP_NET_ADMIN' 'needs CAP_NET_ADMIN: root can make one'
else
	refused 'a tap without permission' 'mode=tap: no permission to open /dev/net/tun'
fi

# ---- networks ----------------------------------------------------------------------------------

bad 'a socket that is not there' "$T/nosocket" -n "unix=$T/nosocket"
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die' "$T/deaf"
bad 'a socket that nobody listens on' "$T/deaf" -n "unix=$T/deaf"
bad 'a socket that is a file' "$T/disk" -n "unix=$T/disk"

hold -n "user,hostfwd=tcp:127.0.0.1:$((PORT + 1))-:22"
listening "$((PORT + 1))" && why= || why="nobody listens on $((PORT + 1)); "
verdict 'a machine listens on the port it forwards' "$why"
bad 'a port that is taken' "$((PORT + 1))" -n "user,hostfwd=tcp:127.0.0.1:$((PORT + 1))-:22"
bad 'so it is on all addresses' "$((PORT + 1))" -n "user,hostfwd=tcp::$((PORT + 1))-:22"
let_go
listening "$((PORT + 1))" && why="somebody listens on $((PORT + 1)); " || why=
verdict 'and no longer once it has ended' "$why"
if [ "$(id -u)" != 0 ] && [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 1 ]; then
	bad 'a port for root' '1-:22' -n user,hostfwd=tcp:127.0.0.1:1-:22
fi

if [ -n "$TAP" ]; then
	hold -n tap,ifname=lkvmtest0
	[ -d /sys/class/net/lkvmtest0 ] && why= || why='it is not there; '
	interfaces >"$T/interfaces"
	verdict 'a tap is made if there is none' "$why"
	bad 'a tap that another machine uses' \
		'--network mode=tap: interface lkvmtest0 is used by another program' \
		-n tap,ifname=lkvmtest0
	let_go
	[ -d /sys/class/net/lkvmtest0 ] && why='it is still there; ' || why=
	interfaces >"$T/interfaces"
	verdict 'and goes with its machine' "$why"
	bad 'an interface that is no tap' 'interface lo is not a tap interface' -n tap,ifname=lo
else
	skip 'taps are made and go' 'tap: needs root and /dev/net/tun'
fi

# ---- ports of the console ------------------------------------------------------------------------

bad 'a port whose file is not there' 'No such file' --port "a,in=$T/none"

# spared DESCRIPTION WORDS FILE OPTION...: refused, and FILE is as it was
spared() {
	desc=$1 words=$2 file=$3
	shift 3
	cp "$file" "$T/before"
	bad "$desc" "$words" "$@"
	same '... and the file is as it was' "$file" "$T/before"
}
echo kept >"$T/log.txt"
echo in >"$T/in.txt"
head -c 1M /dev/zero | tr '\0' d >"$T/disk"
ln "$T/disk" "$T/link"
spared 'a file of a port, where something else is wrong' "--disk $T/empty: is empty" "$T/log.txt" \
	--port "a,out=$T/log.txt" -d "$T/empty"
spared 'a port that would write to the kernel' "--port a,out=$K: is also the --kernel" "$K" \
	--port "a,out=$K"
spared 'to the initrd' "--port a,out=$T/in.txt: is also the --initrd" "$T/in.txt" \
	-i "$T/in.txt" --port "a,out=$T/in.txt"
spared 'to a disk' "--port a,out=$T/disk: is also the --disk" "$T/disk" -d "$T/disk" \
	--port "a,out=$T/disk"
spared 'by another name' "--port a,out=$T/link: is also the --disk" "$T/disk" -d "$T/disk" \
	--port "a,out=$T/link"
spared 'to what another port reads' "--port a,out=$T/in.txt: is also the in= of --port b" \
	"$T/in.txt" --port "a,out=$T/in.txt" --port "b,in=$T/in.txt"
spared 'to what it reads itself' "--port a,out=$T/in.txt: is also the in= of --port a" \
	"$T/in.txt" --port "a,out=$T/in.txt,in=$T/in.txt"
spared 'to what another port writes' "--port a,out=$T/log.txt: is also the out= of --port b" \
	"$T/log.txt" --port "a,out=$T/log.txt" --port "b,out=$T/log.txt"
bad 'to the report' "--port a,out=$T/report: is also the --report" --port "a,out=$T/report"
vm -k "$K" --port "a,out=$T/log.txt,in=$T/in.txt" --port c,out=/dev/null --port d,out=/dev/null
is 'a port with files of its own, and two without' 0
[ -s "$T/log.txt" ] && why='it is not; ' || why=
verdict '... whose file is empty then' "$why"
vm -k "$K" --port "a,in=$T/fifo" --timeout 20
is 'a port does not wait for who writes to its fifo' 0

echo old >"$T/report.json"
cp "$T/report.json" "$T/before"
"$LKVM" run -k "$K" --frobnicate --report "json=$T/report.json" >"$T/out" 2>"$T/err"
same 'a report is not touched for wrong arguments' "$T/report.json" "$T/before"
tr '\0' x </dev/zero | head -c 100000 >"$T/report.json"
"$LKVM" run -k "$K" -d "$T/none" --report "json=$T/report.json" >"$T/out" 2>"$T/err"
tail -n 1 "$T/report.json" | grep -qx '}' && why= || why='something follows it; '
verdict 'a report replaces what was in its file' "$why"

# ---- notes ---------------------------------------------------------------------------------------

NOTE='--params has no console=hvc0'
for p in '' console=ttyS0 console=hvc01 xconsole=hvc0; do
	vm -k "$K" --console virtio -p "$p"
	is "a virtio console and '$p' is worth a note" 0 "err:$NOTE"
done
for p in console=hvc0 'quiet console=ttyS0 console=hvc0 debug' console=hvc0,1; do
	vm -k "$K" --console virtio -p "$p"
	grep -qF -- "$NOTE" "$T/err" && why='a note; ' || why=
	verdict "a virtio console and '$p' is not" "$why"
done
vm -k "$K" --console virtio --loglevel error
grep -qF -- "$NOTE" "$T/err" && why='a note; ' || why=
verdict 'nor is it said below its level' "$why"

finish
