#!/bin/sh
# The options: each works or is refused with a line of its own, and bad values get one clear
# error before anything is started.
#
# Does not prove that an accepted option has its effect: the tests of that effect do.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
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
for l in error warning info debug; do accepted --loglevel $l; done
accepted -p 'console=ttyS0'
accepted --params=quiet
accepted -i "$K"
accepted --initrd "$K"
vm --kernel "$K"
is "accepted: --kernel" 0

for o in -d --disk -n --network --vsock --virtio-transport --vfio-pci --hugetlbfs -f --firmware -F \
	--flash --vcpu-affinity --sve-max-vl --dump-dtb --irqchip --counter-offset --firmware-address; do
	case $o in
	-d) name=--disk: ;; -n) name=--network: ;; -f) name=--firmware: ;; -F) name=--flash: ;;
	*) name=$o: ;;
	esac
	refused "$name" run -k "$K" $o value
done
for o in --balloon --rng --pmu --disable-mte --no-pvtime --nested --e2h0; do
	refused "$o:" run -k "$K" $o
done
refused 'virtio' run -k "$K" --console virtio
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
