#!/bin/sh
# The options that only arm64 guests have, and those that they do not have: each works or is
# refused with a line of its own.
#
# Does not prove that an accepted option has its effect: the tests of that effect do.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib

# The PMU that the fake hosts have
devices=$T/sys/bus/event_source/devices
mkdir -p "$devices/armv8_pmuv3_0"
echo 8 >"$devices/armv8_pmuv3_0/type"
echo 0-1023 >"$devices/armv8_pmuv3_0/cpus"
export FAKEKVM_SYSFS="$T/sys"

# ---- x86's ------------------------------------------------------------------------------

refused '--boot: only x86-64 guests have it (this lkvm runs arm64 guests)' run -k "$K" --boot auto
refused '--dump-acpi: there are none: guests are described by a device tree, see --dump-dtb' run \
	-k "$K" --dump-acpi x
"$LKVM" run --help >"$T/out" 2>"$T/err"
why=
for o in boot dump-acpi; do
	! grep -q -- "--$o" "$T/out" || why="$why--$o is in the help; "
done
verdict 'the help does not list what guests do not have' "$why"

# ---- CPUs -------------------------------------------------------------------------------

accepted --nested
accepted --nested --e2h0 -c 2
accepted --e2h0
grep -q 'lkvm: warning: --e2h0 .*--nested' "$T/err" && why= || why='no warning; '
verdict '--e2h0 without --nested is ignored, with a warning' "$why"
for a in ioctl attr; do
	accepted --pmu-partition-abi $a
	grep -q 'lkvm: warning: --pmu-partition-abi .*--pmu-partition' "$T/err" && why= || why='no warning; '
	verdict '--pmu-partition-abi without --pmu-partition is ignored, with a warning' "$why"
done
accepted --pmu-partition-abi auto
[ "$(wc -l <"$T/err")" = 1 ] && why= || why='not one line; '
verdict '... but for its default' "$why"
for n in 0 1 0x100000000 18446744073709551615 0xffffffffffffffff; do accepted --counter-offset $n; done
accepted --counter-offset=4096 --nested
for n in -1 '' x 1k 0x 18446744073709551616 1.5 ' 1'; do
	value counter-offset "$n" 'must be ticks of the counter, below 2^64'
done

accepted --pmu
accepted --pmu=counters=4
accepted --pmu=counters=0x4,host=armv8_pmuv3_0
accepted --pmu=filter=allow:0x11-0x12,filter=deny:18,filter=allow:0-0xff --vcpu-affinity 0-1023
accepted --pmu=counters=2,filter=deny:17 --pmu --irqchip gicv3
for c in 0 32 -1 x '' 1.5 0x; do value 'pmu' "counters=$c" "--pmu counters=$c: must be 1 to 31" =; done
for f in '' allow allow: 0x11 permit:1 allow:2-1 allow:0-0x10000 allow:65536 deny:1- deny:-1 deny:1-2-3 allow:x; do
	value pmu "filter=$f" "--pmu filter=$f: must be allow:FIRST-LAST or deny:FIRST-LAST" =
done
value pmu 'counters=2,counters' "--pmu counters=2,counters: 'counters' is none of counters=, filter=, host=" =
value pmu 'counters=2,host=' "--pmu counters=2,host=: 'host=': must be a name of 1 to 63 bytes" =
value pmu 'filter' '--pmu filter: is none of counters=, filter=, host=' =
value pmu '' "--pmu '': is none of counters=, filter=, host=" =
value pmu 'counters=1,counters=2' 'counters is given twice' =
value pmu 'host=' "--pmu host=: must be a name of 1 to 63 bytes" =
value pmu "host=$(printf '%064d' 0)" 'must be a name of 1 to 63 bytes' =
refused '--pmu host=nosuch: this host' run -k "$K" --pmu=host=nosuch
refused '--pmu: host=../x is no name of a PMU' run -k "$K" --pmu=host=../x
refused 'a filter of all events' run -k "$K" --pmu=filter=allow:0-0xffff
refused "--pmu counters 7: this host's PMU has 6 event counters" run -k "$K" --pmu=counters=7
many=filter=allow:1
for i in 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32; do
	many=$many,filter=allow:$i
done
accepted "--pmu=$many"
value pmu "$many,filter=allow:33" "'filter=allow:33': must be one of at most 32" =

for n in 0 -1 x '' 1.5 4x 99999999999; do
	value pmu-partition "$n" 'must be a number of event counters, 1 to 31'
done
for n in 32 0x20 4294967295; do refused '--pmu-partition' run -k "$K" --pmu-partition $n; done
refused '--pmu-partition 32: must be 1 to 31' run -k "$K" --pmu-partition 32
refused 'is not what --pmu-partition 3 says' run -k "$K" --pmu-partition 3 --pmu=counters=4
for a in '' smc ioctl,attr IOCTL; do value pmu-partition-abi "$a" 'must be auto, ioctl or attr'; done
for h in partition-ioctl partition-attr; do
	FAKEKVM=$h accepted --pmu-partition 4
	FAKEKVM=$h accepted --pmu-partition=0x4 --pmu-partition-abi=auto --nested -c 2
	FAKEKVM=$h accepted --pmu --pmu-partition 1 --pmu-partition-abi ${h#*-}
	FAKEKVM=$h refused "--pmu-partition 7: this host's PMU has" run -k "$K" --pmu-partition 7
done
FAKEKVM=partition-attr refused "--pmu-partition 5: this host" run -k "$K" --pmu-partition 5

FAKEKVM=full accepted --sve-max-vl 128
FAKEKVM=full accepted --sve-max-vl=0x100
for v in 0 -1 x '' 1.5; do value sve-max-vl "$v" 'must be bits, a multiple of 128, 128 to 2048'; done
for v in 1 127 129 2176 4294967168; do
	value sve-max-vl "$v" 'must be a multiple of 128, 128 to 2048'
done
accepted --disable-mte
FAKEKVM=full accepted --disable-mte --no-pvtime
accepted --no-pvtime
for o in nested e2h0 disable-mte no-pvtime; do
	refused "--$o=1: takes no value" run -k "$K" --$o=1
done

# ---- the board --------------------------------------------------------------------------

for i in auto gicv3 gicv3-its; do accepted --irqchip $i -c 2; done
for i in auto gicv2 gicv2m; do FAKEKVM=gicv2 accepted --irqchip=$i -c 8; done
for i in '' gicv4 gic its GICV3 gicv3,its; do
	value irqchip "$i" 'must be auto, gicv2, gicv2m, gicv3 or gicv3-its'
done
for i in gicv2 gicv2m; do
	refused "--irqchip $i: nested guests need a GICv3" run -k "$K" --nested --irqchip $i
	refused "--cpus 9: --irqchip $i takes at most 8" run -k "$K" -c 9 --irqchip $i
	FAKEKVM=gicv2 refused "--irqchip $i: nested guests need a GICv3" run -k "$K" --nested --irqchip $i
done

refused '--cpus 256: arm64 guests have 1 to 255' run -k "$K" -c 256

accepted --dump-dtb "$T/dtb"
[ "$(head -c 4 "$T/dtb" | od -An -tx1 | tr -d ' ')" = d00dfeed ] && why= || why='no tree in the file; '
verdict '--dump-dtb writes the device tree' "$why"
refused '--dump-dtb /nonexistent/dtb' run -k "$K" --dump-dtb /nonexistent/dtb
refused "--dump-dtb '': must be a file" run -k "$K" --dump-dtb ''

accepted --debug-exit=0x1050000
accepted --debug-exit=17170432
accepted --debug-exit=0x1060004

# twice OPTION...: of these, all --debug-exit, the last one counts: the usual place
twice() {
	FAKEKVM_SCRIPT='store 0x1050000 4 7' vm -k "$K" "$@"
	is "the last one counts: $*" 7
}
twice --debug-exit=0x1060000 --debug-exit
twice --debug-exit=0x1060000 --debug-exit=0x1050000
for a in -1 '' 0 x port 0x 18446744073709551616; do
	value debug-exit "$a" 'must be an address, a multiple of 4, such as 0x1050000' =
done
for a in 1 0x1050001 0x1050002 0x1000000 0x1010000 0x1020000 0x1030000 0x1040000 0x2000000 0x3000000 \
	0x3fff0000 0x40000000 0x80000000 0xfffffffffffffffc 0xf4; do
	refused '--debug-exit' run -k "$K" --debug-exit=$a
done

truncate -s 64K "$T/firmware"
for o in -f --firmware; do
	vm $o "$T/firmware"
	is "accepted: $o" 0 'report:"cause": "power-off"'
done
vm --firmware="$T/firmware" --firmware-address 0x80100000 -p x
is 'accepted: --firmware-address' 0
for a in -1 '' 0 x 18446744073709551616; do
	value firmware-address "$a" 'must be an address in memory, such as 0x80000000'
done
for a in 0x80000001 0x1000 0x7ffff000 0x8ffff000 0x90000000 0xfffffffffffff000; do
	refused '--firmware-address' run -f "$T/firmware" --firmware-address $a
done
refused '--firmware-address 0x80000000: is for --firmware' run -k "$K" --firmware-address 0x80000000
refused "--firmware $T/firmware: --kernel is given too" run -k "$K" -f "$T/firmware"
refused "--initrd $K: only a kernel has one" run -f "$T/firmware" -i "$K"
refused "--firmware '': must be a file" run -f ''
refused "$T/none" run -f "$T/none"
refused "$T" run -f "$T"
refused '--kernel: a kernel file is needed' run

truncate -s 1M "$T/flash"
for o in -F --flash; do accepted $o "$T/flash"; done
accepted --flash="$T/flash" --virtio-transport mmio --rng
truncate -s 17M "$T/large"
truncate -s 1000 "$T/odd"
: >"$T/empty"
for f in large odd empty none; do refused "--flash $T/$f" run -k "$K" -F "$T/$f"; done
refused "--flash $T" run -k "$K" -F "$T"
refused "--flash '': must be a file" run -k "$K" -F ''
refused 'is also the --flash' run -k "$K" -F "$T/flash" --port "a,out=$T/flash"
refused 'is also the --firmware' run -f "$T/firmware" --port "a,out=$T/firmware"
for o in "--dump-dtb $T/flash" "--report json=$T/flash"; do
	# shellcheck disable=SC2086 # two words
	kept "$T/flash" "$o: is also the --flash" -k "$K" -F "$T/flash" $o
done
for o in "--dump-dtb $T/firmware" "--report json=$T/firmware"; do
	# shellcheck disable=SC2086 # two words
	kept "$T/firmware" "$o: is also the --firmware" -f "$T/firmware" $o
done
kept "$T/flash" "--disk $T/flash: is also the --flash" -k "$K" -F "$T/flash" -d "$T/flash"
kept "$T/flash" "--disk $T/flash: is also the --flash" -k "$K" -d "$T/flash,ro" -F "$T/flash"
says 'the help says what else is booted' '--kernel FILE | --firmware FILE' run --help
finish
