#!/bin/sh
# The options that only x86-64 guests have, and those that they do not have: one line each.
#
# Does not prove that an accepted option has its effect: the tests of that effect do.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib

# ---- arm64's ----------------------------------------------------------------------------

for o in --firmware-address --dump-dtb --sve-max-vl --counter-offset --pmu-partition \
	--pmu-partition-abi; do
	refused "$o:" run -k "$K" $o value
done
for o in --pmu --pmu=counters=4 --disable-mte --no-pvtime --e2h0; do
	refused "${o%%=*}:" run -k "$K" $o
done
refused '--pmu-partition: only arm64 guests have it (this lkvm runs x86-64 guests)' run \
	-k "$K" --pmu-partition=4
refused '--dump-dtb: there is none: guests are described by ACPI, see --dump-acpi' run \
	-k "$K" --dump-dtb x
"$LKVM" run --help >"$T/out" 2>"$T/err"
why=
for o in pmu dump-dtb e2h0 firmware-address sve-max-vl; do
	! grep -q -- "--$o" "$T/out" || why="$why--$o is in the help; "
done
verdict 'the help does not list what guests do not have' "$why"
grep -qxF 'usage: lkvm run --kernel FILE | --firmware FILE [OPTIONS]' "$T/out" && why= ||
	why='it says something else; '
verdict 'the help says what is booted' "$why"

# ---- our own ----------------------------------------------------------------------------

accepted --debug-exit=0x5f4
accepted --debug-exit=port

# twice OPTION...: of these, all --debug-exit, the last one counts: the usual place
twice() {
	FAKEKVM_SCRIPT='out 0xf4 1 7' vm -k "$K" "$@"
	is "the last one counts: $*" 7
}
twice --debug-exit=0x5f4 --debug-exit
twice --debug-exit=0x5f4 --debug-exit=port
twice --debug-exit=0x5f4 --debug-exit=0xf4
accepted --boot auto
accepted --boot linux64
vm -k "$BUILD/tests/guests/echo.pvh.elf" --boot pvh
is "accepted: --boot pvh" 0
accepted --dump-acpi "$T/acpi"
[ "$(head -c 8 "$T/acpi")" = 'RSD PTR ' ] && why= || why='no tables in the file'
verdict "--dump-acpi writes the tables" "$why"

refused 'id 404 and --irqchip kernel takes at most 254' run -k "$K" --irqchip kernel \
	-c 255,sockets=51,cores=5
refused 'id 255 and --irqchip kernel takes at most 254' run -k "$K" --irqchip kernel -c 256
value irqchip gic 'must be auto, kernel or split'
for p in -1 abc 0x10000 65536 '' 0 0xfffd 0x100000000000000f4 0x1000000f4 0x3f8 0x3f5 0x20 0x61 0x40 \
	0x4d0 0x600 0x505; do
	refused '--debug-exit' run -k "$K" "--debug-exit=$p"
done
value debug-exit 0 'must be a port, 1 to 0xfffc, such as 0xf4' =
refused 'serial0' run -k "$K" --debug-exit=0x3f8
refused '--boot grub: must be auto, linux64 or pvh' run -k "$K" --boot grub
refused '--dump-acpi /nonexistent/acpi' run -k "$K" --dump-acpi /nonexistent/acpi
refused "--dump-acpi '': must be a file" run -k "$K" --dump-acpi ''

# ---- files that must be apart -------------------------------------------------------------

head -c 131072 /dev/zero >"$T/firmware"
refused "--flash $T/firmware: is also the --firmware" run -f "$T/firmware" -F "$T/firmware"
refused "--dump-cpuid $T/same: is also the --dump-acpi" run -k "$K" --dump-acpi "$T/same" --dump-cpuid "$T/same"
ln -sf "$(realpath "$K")" "$T/link"
refused "--dump-cpuid $T/link: is also the --kernel" run -k "$K" --dump-cpuid "$T/link"
finish
