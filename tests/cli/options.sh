#!/bin/sh
# The options of all architectures: each works or is refused with a line of its own, and bad values
# get one clear error before anything is started.
#
# Does not prove that an accepted option has its effect: the tests of that effect do.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib

# ---- kvmtool's option list, each --------------------------------------------------------

accepted --name guest-1_a.b
for o in -c --cpus; do accepted $o 2; done
for o in -m --mem; do accepted $o 64; done
accepted -c3 -m64M --cpus=2 --mem=80M
accepted --nodefaults
accepted --nodefaults --network mode=none --loglevel=warning # a runner of test kernels
accepted -m 064 -c 08
accepted -m 0x40
accepted --console serial
accepted --console virtio
accepted --rng
for t in pci mmio; do
	accepted --virtio-transport $t --rng
	accepted --virtio-transport=$t -n down --console=virtio --rng --rng
done
truncate -s 1M "$T/disk" "$T/a,b"
for o in -d --disk; do accepted $o "$T/disk"; done
accepted -d "$T/disk,ro" --disk="$T/disk,ro"
accepted -d "$T/disk,direct,queues=8,serial=S/N 1,discard=on" -d"$T/a,,b,discard=off"
accepted -d "$T/a,,b,ro"
for o in -n --network; do
	accepted $o mode=none
	accepted $o mode=down
done
accepted -n down -n mode=down,mac=02:aB:00:00:00:01,mtu=9000 -n down,guest_mac=52:54:00:12:34:56
accepted -n down,queues=1
# kvmtool's word for no card at all, however often: it does not count as one
accepted -n none -n none -n none -n none -n none -n mode=none -n mode=none -n mode=none -n none
for l in error warning info debug; do accepted --loglevel $l; done
accepted -p 'console=ttyS0'
accepted --params=quiet
accepted -i "$K"
accepted --initrd "$K"
vm --kernel "$K"
is "accepted: --kernel" 0

for o in --vsock --vfio-pci; do
	refused "$o:" run -k "$K" $o value
	refused "$o:" run -k "$K" $o=value
done
for o in --balloon --aarch32; do
	refused "$o:" run -k "$K" $o
done
refused '--aarch32: lkvm runs 64-bit guests only' run -k "$K" --aarch32
for c in list stop pause resume stat debug balloon setup; do
	refused "$c:" $c
done

# ---- our own ----------------------------------------------------------------------------

for t in 60 1.5 500ms 2m 30s; do accepted --timeout $t --idle-timeout=$t; done
accepted --on-reboot exit
accepted --on-reboot=restart
accepted --debug-exit
accepted --pvpanic pci
accepted --pvpanic=pci --virtio-transport mmio --rng
cpu=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\([0-9]*\).*/\1/p' /proc/self/status)
accepted --vcpu-affinity "$cpu"
accepted -c 2 --vcpu-affinity="$cpu-$cpu,$cpu-1023"
accepted --panic-from-console on
accepted --panic-from-console=off
accepted -c 8,sockets=2,cores=2,threads=2
accepted -c 6,cores=3
accepted --port log
accepted --port log,out="$T/port" --port cmd,in="$K",out=fd:2 --port=x-1_y.z
accepted --port "a,out=$T/p,,q"
[ -e "$T/port" ] && [ -e "$T/p,q" ] && why= || why='no files for ports; '
verdict 'files of ports are made' "$why"

# ---- files that are one another's --------------------------------------------------------

[ "$ARCH" = arm64 ] && dump=--dump-dtb || dump=--dump-acpi
k=$T/kernel
cp "$K" "$k"
cp "$K" "$T/initrd"
truncate -s 1M "$T/data"
ln "$T/data" "$T/hard"
ln -s data "$T/soft"
echo in >"$T/in"

kept "$k" "$dump $k: is also the --kernel" -k "$k" "$dump" "$k"
kept "$T/initrd" "$dump $T/initrd: is also the --initrd" -k "$k" -i "$T/initrd" "$dump" "$T/initrd"
kept "$T/data" "$dump $T/data: is also the --disk" -k "$k" -d "$T/disk" -d "$T/data,ro" "$dump" "$T/data"
for name in hard soft; do
	kept "$T/data" "$dump $T/$name: is also the --disk" -k "$k" -d "$T/data" "$dump" "$T/$name"
done
kept "$T/in" "$dump $T/in: is also the in= of --port b" -k "$k" "$dump" "$T/in" --port a --port "b,in=$T/in"
# nothing was there before: one file with two names, none of which is a mistake by itself
refused "$dump $T/new1: is also the out= of --port a" run -k "$k" "$dump" "$T/new1" --port "a,out=$T/new1"
[ ! -s "$T/new1" ] && why= || why='it was written to; '
verdict '... and the file is empty' "$why"
refused "$dump $T/new2: is also the --report" run -k "$k" "$dump" "$T/new2" --report "json=$T/new2"
head -n 1 "$T/new2" | grep -qx '{' && why= || why='it is no report; '
verdict '... and the file is the report' "$why"

kept "$k" "--report json=$k: is also the --kernel" -k "$k" --report "json=$k"
kept "$k" "--report json=fd:3: is also the --kernel" -k "$k" --report json=fd:3 3<>"$k"
kept "$T/initrd" "--report json=$T/initrd: is also the --initrd" -k "$k" -i "$T/initrd" \
	--report "json=$T/initrd"
for name in data hard soft; do
	kept "$T/data" "--report json=$T/$name: is also the --disk" -k "$k" -d "$T/data" \
		--report "json=$T/$name"
done
kept "$T/in" "--report json=$T/in: is also the in= of --port a" -k "$k" --port "a,in=$T/in" \
	--report "json=$T/in"
# shellcheck disable=SC2094 # it is to be refused
kept "$T/in" "--report json=$T/in: is also the in= of --port a" -k "$k" --port a,in=fd:3 \
	--report "json=$T/in" 3<"$T/in"
# whatever else is wrong, it would be told there
kept "$k" "--report json=$k: is also the --kernel" -k "$k" --report "json=$k" --name 'a b'
kept "$k" "--report json=$k: is also the --kernel" -k "$k" --report "json=$k" --port "a,in=$T/none"
kept "$k" "--report json=$k: is also the --kernel" -k "$k" --report "json=$k" "$dump" "$k"

echo old >"$T/tables"
accepted "$dump" "$T/tables" --port "a,out=$T/port,in=$T/in" -d "$T/data"
! grep -q old "$T/tables" && why= || why='it does not; '
verdict 'a dump takes the place of an old one' "$why"

# ---- bad values -------------------------------------------------------------------------

for c in 0 -1 1025 1000000 abc '' 1.5 0x 99999999999999999999 2,cores=0 2,cores 2,dies=2 '2,' 8,cores=3; do
	refused '--cpus' run -k "$K" -c "$c"
done
for m in 0 -1 3 abc '' 1.5G 10X 64MM 99999999999999999999 5T 18446744073709551615M 08x 1K; do
	refused '--mem' run -k "$K" -m "$m"
done
for t in 0 -1 abc '' 1e3 0x10 inf nan 1h .5 1..5 ' 1' 99999999999; do
	refused '--timeout' run -k "$K" --timeout "$t"
	refused '--idle-timeout' run -k "$K" --idle-timeout "$t"
done
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

net '' "--network '': is none of mode="
net mac=02:00:00:00:00:01 'has no mode=; must be tap, user, unix or down'
net mode=bridge "--network mode=bridge: must be tap, user, unix, down, or none alone"
net mode= 'must be tap, user, unix, down, or none alone'
net user,mode=tap 'mode is given twice'
net user,tap 'mode is given twice'
net unix=/a,down 'mode is given twice'
net down,down 'down is given twice'
for n in none,mac=02:00:00:00:00:01 mode=none,mtu=9000 user,none down,mode=none none,none; do
	net $n 'must be alone: it is no card at all; one with its cable out is mode=down'
done
for m in unix usr mtu; do net $m 'must begin with tap, user, unix=PATH or down, or be none alone'; done
net usr,mtu=9000 'must begin with tap, user, unix=PATH or down, or be none alone'
net down,speed=1 "'speed=1' is none of"
for m in 02:00:00:00:00 02:00:00:00:00:00:01 02-00-00-00-00-01 2:0:0:0:0:1 02:00:00:00:00:0g \
	00:00:00:00:00:00 '' 0x:00:00:00:00:00 ' 2:00:00:00:00:01' 02:00:00:00:00:01,guest_mac=02:00:00:00:00:02; do
	refused "--network down,mac=$m: " run -k "$K" -n "down,mac=$m"
done
refused 'mac=03:00:00:00:00:01 is a group' run -k "$K" -n down,mac=03:00:00:00:00:01
for m in 0 67 65536 '' abc -1; do net "down,mtu=$m" "'mtu=$m': must be 68 to 65535"; done
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
refused 'mode=down: ifname= is for mode=tap' run -k "$K" -n down,ifname=tap0
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

repeated 32 'one too many; at most 31' -d disk,ro
repeated 9 'one too many; at most 8' -n down
repeated 17 'one too many; at most 16' --port x
repeated 31 '32 of them; at most 31' -d disk,ro --rng

for a in x -1 0-x 0,,1 1-0 1024 0-99999999999 ' 0' 0x1; do value vcpu-affinity "$a" 'CPUs of the host such as 0-3,8'; done
refused "--vcpu-affinity '': must be" run -k "$K" --vcpu-affinity ''
refused '--vcpu-affinity: 300 bytes' run -k "$K" --vcpu-affinity "$(printf '%0300d' 0)"
value pvpanic isa 'must be pci'
refused '--pvpanic: a value is needed (pci)' run -k "$K" --pvpanic
refused '--virtio-transport pcie: must be pci or mmio' run -k "$K" --virtio-transport pcie
refused '--rng=1: takes no value' run -k "$K" --rng=1
refused '--console bogus' run -k "$K" --console bogus
refused '--loglevel loud' run -k "$K" --loglevel loud
refused '--on-reboot maybe' run -k "$K" --on-reboot maybe
refused '--panic-from-console maybe' run -k "$K" --panic-from-console maybe
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
refused '--kernel' run
refused "--kernel '': must be a file" run -k ''
refused '--kernel: a value is needed' run -k
refused '--frobnicate: unknown option' run --frobnicate
refused '-z: unknown option' run -z
refused '--kern: unknown option' run --kern "$K"
refused '--nodefaults=1: takes no value' run --nodefaults=1
refused 'vmlinuz: not an option' run vmlinuz
refused 'frobnicate: unknown command' frobnicate

# ---- help -------------------------------------------------------------------------------

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
	"$LKVM" run --help | grep -o -- ' --[a-z0-9-]*' | tr -d ' ' | sort -u >"$T/help"
	why=
	while read -r o; do
		grep -qE -- "^\.It.* Fl Fl ${o#--}( |\$)" lkvm.1 || why="$why$o is not in lkvm.1; "
	done <"$T/help"
	verdict "the manual has every option" "$why"
fi
finish
