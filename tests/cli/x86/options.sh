#!/bin/sh
# The options: each works or is refused with a line of its own, and bad values get one clear
# error before anything is started.
#
# Does not prove that an accepted option has its effect: the tests of that effect do.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
need_test_programs
LKVM=$BUILD/tests/lkvm-fake
export FAKEKVM=intel FAKEKVM_SCRIPT='out 0x604 2 0x3400'

# Any guest will do: a fake KVM runs a script, not the file.
K=$BUILD/tests/guests/verdict.elf

# refused WORDS OPTION...: status 120, one line with WORDS, nothing on standard output
refused() {
	words=$1
	shift
	"$LKVM" "$@" >"$T/out" 2>"$T/err"
	status=$?
	why=
	[ $status = 120 ] || why="exit status $status, not 120; "
	[ "$(wc -l <"$T/err")" = 1 ] || why="$why$(wc -l <"$T/err") lines of message; "
	grep -qF -- "$words" "$T/err" || why="${why}no '$words'; "
	[ ! -s "$T/out" ] || why="${why}something on standard output; "
	verdict "refused: $* ($words)" "$why"
}

# accepted OPTION...: the guest runs and powers off
accepted() {
	vm -k "$K" "$@"
	is "accepted: $*" 0 'report:"cause": "power-off"'
}

# ---- kvmtool's option list, each --------------------------------------------------------

accepted --name guest-1_a.b
for o in -c --cpus; do accepted $o 2; done
for o in -m --mem; do accepted $o 64; done
accepted -c3 -m64M --cpus=2 --mem=80M
accepted --nodefaults
accepted -m 064 -c 08
accepted -m 0x40
accepted --console serial
accepted --console virtio
accepted --rng
for t in pci mmio; do
	accepted --virtio-transport $t --rng
	accepted --virtio-transport=$t -n none --console=virtio --rng --rng
done
truncate -s 1M "$T/disk" "$T/a,b"
for o in -d --disk; do accepted $o "$T/disk"; done
accepted -d "$T/disk,ro" --disk="$T/disk,ro"
accepted -d "$T/disk,direct,queues=8,serial=S/N 1,discard=on" -d"$T/a,,b,discard=off"
accepted -d "$T/a,,b,ro"
for o in -n --network; do accepted $o mode=none; done
accepted -n none -n mode=none,mac=02:aB:00:00:00:01,mtu=9000 -n none,guest_mac=52:54:00:12:34:56
accepted -n none,queues=1
for l in error warning info debug; do accepted --loglevel $l; done
accepted -p 'console=ttyS0'
accepted --params=quiet
accepted -i "$K"
accepted --initrd "$K"
vm --kernel "$K"
is "accepted: --kernel" 0

for o in --vsock --vfio-pci --hugetlbfs -f --firmware -F \
	--flash --vcpu-affinity --sve-max-vl --dump-dtb --irqchip --counter-offset --firmware-address; do
	case $o in
	-f) name=--firmware: ;; -F) name=--flash: ;;
	*) name=$o: ;;
	esac
	refused "$name" run -k "$K" $o value
done
for o in --balloon --pmu --disable-mte --no-pvtime --nested --e2h0; do
	refused "$o:" run -k "$K" $o
done
for c in list stop pause resume stat debug balloon setup; do
	refused "$c:" $c
done

# ---- our own ----------------------------------------------------------------------------

for t in 60 1.5 500ms 2m 30s; do accepted --timeout $t --idle-timeout=$t; done
accepted --on-reboot exit
accepted --on-reboot=restart
accepted --debug-exit
accepted --debug-exit=0x5f4
accepted --debug-exit=port
accepted --panic-from-console on
accepted --panic-from-console=off
accepted --boot auto
accepted --boot linux64
vm -k "$BUILD/tests/guests/echo.pvh.elf" --boot pvh
is "accepted: --boot pvh" 0
accepted -c 8,sockets=2,cores=2,threads=2
accepted -c 6,cores=3
accepted --port log
accepted --port log,out="$T/port" --port cmd,in="$K",out=fd:2 --port=x-1_y.z
accepted --port "a,out=$T/p,,q"
[ -e "$T/port" ] && [ -e "$T/p,q" ] && why= || why='no files for ports; '
verdict 'files of ports are made' "$why"
accepted --dump-acpi "$T/acpi"
[ "$(head -c 8 "$T/acpi")" = 'RSD PTR ' ] && why= || why='no tables in the file'
verdict "--dump-acpi writes the tables" "$why"

# ---- bad values -------------------------------------------------------------------------

for c in 0 -1 256 1000000 abc '' 1.5 0x 99999999999999999999 2,cores=0 2,cores 2,dies=2 '2,' 8,cores=3; do
	refused '--cpus' run -k "$K" -c "$c"
done
refused '--cpus' run -k "$K" -c 255,sockets=51,cores=5
for m in 0 -1 3 abc '' 1.5G 10X 64MM 99999999999999999999 5T 18446744073709551615M 08x 1K; do
	refused '--mem' run -k "$K" -m "$m"
done
for t in 0 -1 abc '' 1e3 0x10 inf nan 1h .5 1..5 ' 1' 99999999999; do
	refused '--timeout' run -k "$K" --timeout "$t"
	refused '--idle-timeout' run -k "$K" --idle-timeout "$t"
done
for p in -1 abc 0x10000 65536 '' 0 0xfffd 0x100000000000000f4 0x1000000f4 0x3f8 0x3f5 0x20 0x61 0x40 0x4d0 0x600 0x505; do
	refused '--debug-exit' run -k "$K" "--debug-exit=$p"
done
refused 'serial0' run -k "$K" --debug-exit=0x3f8
# value OPTION VALUE WORDS: refused, naming the option, the value and, with WORDS, what is allowed
value() {
	"$LKVM" run -k "$K" "--$1" "$2" >"$T/out" 2>"$T/err"
	status=$?
	why=
	[ $status = 120 ] || why="exit status $status, not 120; "
	[ "$(wc -l <"$T/err")" = 1 ] || why="$why$(wc -l <"$T/err") lines of message; "
	grep -qF -- "lkvm: --$1 $2: " "$T/err" || why="${why}option or value not named; "
	grep -qF -- "$3" "$T/err" || why="${why}no '$3'; "
	verdict "refused: --$1 $(printf '%.60s' "$2") ($3)" "$why"
}
disk() { value disk "$@"; }
net() { value network "$@"; }
port() { value port "$@"; }
disk '' "must begin with a file's name"
disk ',ro' "must begin with a file's name"
disk "$T/disk,queues=9" "'queues=9': must be 1 to 8"
disk "$T/disk,queues=0" 'must be 1 to 8'
disk "$T/disk,queues=" 'must be 1 to 8'
disk "$T/disk,queues=1x" 'must be 1 to 8'
disk "$T/disk,queues" "'queues' is none of ro, direct, serial=, queues=, discard="
disk "$T/disk,rw" "'rw' is none of"
disk "$T/disk,ro=1" "'ro=1' is none of"
disk "$T/disk," "'' is none of"
disk "$T/disk,ro,ro" 'ro is given twice'
disk "$T/disk,queues=2,queues=2" 'queues is given twice'
disk "$T/disk,serial=123456789012345678901" 'must be 1 to 20 bytes'
disk "$T/disk,serial=" 'must be 1 to 20 bytes'
disk "$T/disk,discard=maybe" "'discard=maybe': must be on or off"
disk "$(printf '%01024d' 0)" "must begin with a file's name of 1 to 1023 bytes"
disk "$T/disk,serial=$(printf '%05000d' 0)" 'a word is too long'
refused 'serial= must be printable' run -k "$K" -d "$T/disk,serial=a	b"
refused "--disk $T/nodisk" run -k "$K" -d "$T/nodisk"
refused "--disk $T" run -k "$K" -d "$T"

net '' "'' is none of mode="
net mac=02:00:00:00:00:01 'has no mode=; must be tap, user, unix or none'
net mode=bridge "'mode=bridge': must be tap, user, unix or none"
net mode= 'must be tap, user, unix or none'
net user,mode=tap 'mode is given twice'
net user,tap 'mode is given twice'
net unix=/a,none 'mode is given twice'
net none,none 'none is given twice'
for m in unix usr mtu; do net $m "'$m': must be tap, user, unix=PATH or none"; done
net usr,mtu=9000 "'usr': must be tap, user, unix=PATH or none"
net none,speed=1 "'speed=1' is none of"
for m in 02:00:00:00:00 02:00:00:00:00:00:01 02-00-00-00-00-01 2:0:0:0:0:1 02:00:00:00:00:0g \
	00:00:00:00:00:00 '' 0x:00:00:00:00:00 ' 2:00:00:00:00:01' 02:00:00:00:00:01,guest_mac=02:00:00:00:00:02; do
	refused "--network none,mac=$m: " run -k "$K" -n "none,mac=$m"
done
refused 'mac=03:00:00:00:00:01 is a group' run -k "$K" -n none,mac=03:00:00:00:00:01
for m in 0 67 65536 '' abc -1; do net "none,mtu=$m" "'mtu=$m': must be 68 to 65535"; done
net tap,queues=9 'must be 1 to 8'
net tap,vhost=yes 'must be on or off'
net tap,ifname=1234567890123456 'must be one name of 1 to 15 bytes'
net tap,ifname=a,tapif=b 'must be one name of 1 to 15 bytes'
net "unix=$(printf '%0108d' 0)" 'must be one path of 1 to 107 bytes'
net unix=/a,socket=/b 'must be one path of'
for f in tcp::22 tcp:2222-:22 tcp::2222-22 icmp::2222-:22 tcp::0-:22 tcp::2222-:65536 tcp::x-:22 '' \
	tcp:1.2.3.4.5.6.7.8.9:1-:1 tcp::2222-:22x; do
	net "user,hostfwd=$f" "'hostfwd=$f': must be tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT"
done
for f in tcp:1.2.3:2222-:22 tcp::2222-1.2.3.256:22 udp:::1:2222-:22; do
	refused 'hostfwd=' run -k "$K" -n "user,hostfwd=$f"
done
many=user
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do many=$many,hostfwd=tcp::$((3000 + i))-:22; done
net "$many" "'hostfwd=tcp::3017-:22': must be one of at most 16"
refused 'tcp port 2222 twice' run -k "$K" -n user,hostfwd=tcp::2222-:22,hostfwd=tcp::2222-:23
refused 'udp port 5 twice' run -k "$K" -n user,hostfwd=udp:127.0.0.1:5-:22 -n user,hostfwd=udp::5-:23
refused 'mode=none: ifname= is for mode=tap' run -k "$K" -n none,ifname=tap0
refused 'mode=user: ifname= is for mode=tap' run -k "$K" -n user,tapif=tap0
refused 'mode=user: queues= is for mode=tap' run -k "$K" -n user,queues=2
for v in on off; do refused 'mode=user: vhost= is for mode=tap' run -k "$K" -n user,vhost=$v; done
refused 'mode=tap: hostfwd= is for mode=user' run -k "$K" -n tap,hostfwd=tcp::2222-:22
refused 'mode=tap: socket= is for mode=unix' run -k "$K" -n tap,socket=/tmp/x
refused 'mode=unix: socket= must name a socket' run -k "$K" -n mode=unix
refused "$T/nosocket" run -k "$K" -n "unix=$T/nosocket"
for n in a/b . .. tap%d 'a b' a:b; do refused "ifname=$n is no name" run -k "$K" -n "tap,ifname=$n"; done

port '' 'must begin with a name of 1 to 63 bytes'
port "$(printf '%064d' 0)" 'must begin with a name of 1 to 63 bytes'
port a,file=x "'file=x' is none of out=, in="
port a,out= "'out=': must be a file's name"
port a,out=x,out=y 'out is given twice'
port "a,in=$(printf '%04096d' 0)" "must be a file's name of 1 to 4095 bytes"
port a,in=fd:99 'that descriptor is not open for reading'
port a,out=fd:0 'that descriptor is not open for writing'
port a,in=fd:0 "standard input is the console's"
port a,out=fd:x 'must be a file or fd:N'
port "a,in=$T/nothing" 'No such file'
port a,out=/nonexistent/x 'No such file'
port "a,in=$T" 'is a directory'
port "a,out=$T" 'Is a directory'
refused "--port a b: only letters" run -k "$K" --port 'a b'
refused "--port a: is given twice" run -k "$K" --port a --port b --port a
vm -k "$K" --port "a,in=$T/nothing"
is 'a port without its file is in the report' 120 'report:"cause": "bad-input"'
refused '--name' run -k "$K" --name 'a b' --port "late,out=$T/late"
[ ! -e "$T/late" ] && why= || why='it was made; '
verdict 'no file is made for options that are wrong' "$why"

# repeated N WORDS OPTION...: so many of the options are refused, saying WORDS
repeated() {
	n=$1 words=$2
	shift 2
	many=
	while [ "$n" -gt 0 ]; do
		many="$many $*"
		n=$((n - 1))
	done
	# shellcheck disable=SC2086
	refused "$words" run -k "$K" $many
}
repeated 32 'one too many; at most 31' -d disk,ro
repeated 9 'one too many; at most 8' -n none
repeated 17 'one too many; at most 16' --port x
repeated 31 '32 of them; at most 31' -d disk,ro --rng

refused '--virtio-transport pcie: must be pci or mmio' run -k "$K" --virtio-transport pcie
refused '--rng=1: takes no value' run -k "$K" --rng=1
refused '--console bogus' run -k "$K" --console bogus
refused '--loglevel loud' run -k "$K" --loglevel loud
refused '--on-reboot maybe' run -k "$K" --on-reboot maybe
refused '--panic-from-console maybe' run -k "$K" --panic-from-console maybe
refused '--boot grub' run -k "$K" --boot grub
refused '--name' run -k "$K" --name 'a b'
refused '--name' run -k "$K" --name ''
refused '--name' run -k "$K" --name "$(printf '%064d' 0)"
refused '--params' run -k "$K" -p "$(printf '%05000d' 0)"
refused '--kernel' run -k "$(printf '%05000d' 0)"
refused '--report' run -k "$K" --report xml=x
refused '--report' run -k "$K" --report json=
refused '--report json=/nonexistent/report' run -k "$K" --report json=/nonexistent/report
refused '--report json=fd:99' run -k "$K" --report json=fd:99
refused '--report json=fd:x' run -k "$K" --report json=fd:x
refused '--dump-acpi /nonexistent/acpi' run -k "$K" --dump-acpi /nonexistent/acpi
refused '--kernel' run
refused '--kernel: a value is needed' run -k
refused '--frobnicate: unknown option' run --frobnicate
refused '-z: unknown option' run -z
refused '--kern: unknown option' run --kern "$K"
refused '--nodefaults=1: takes no value' run --nodefaults=1
refused 'vmlinuz: not an option' run vmlinuz
refused 'frobnicate: unknown command' frobnicate

# ---- help -------------------------------------------------------------------------------

says() {
	desc=$1 text=$2
	shift 2
	"$LKVM" "$@" >"$T/out" 2>"$T/err"
	status=$?
	is "$desc" 0 "out:$text"
}
says 'lkvm --help has the line scripts look for' 'The most commonly used' --help
says 'lkvm help is the same' 'The most commonly used' help
says 'lkvm run --help lists the options' '--idle-timeout' run --help
says 'lkvm run -h too' '--idle-timeout' run -h
says 'lkvm version' 'lkvm 0.' version
says 'lkvm --version' 'lkvm 0.' --version
"$LKVM" >"$T/out" 2>"$T/err"
status=$?
is 'lkvm alone is a mistake' 120

# Every option of the help is in the manual, and the other way round.
if [ -r lkvm.1 ]; then
	"$LKVM" run --help | grep -o -- ' --[a-z-]*' | tr -d ' ' | sort -u >"$T/help"
	why=
	while read -r o; do
		grep -qE -- "^\.It.* Fl Fl ${o#--}( |\$)" lkvm.1 || why="$why$o is not in lkvm.1; "
	done <"$T/help"
	verdict "the manual has every option" "$why"
fi
finish
