#!/bin/sh
# --testdev, Multiboot images that are refused, and the runner of kvm-unit-tests (tests/kut/run):
# what it makes of a unittests.cfg. The guests of a fake KVM say whatever verdict they are told to.
#
# Does not prove that an image runs: tests/t3/x86/kut.sh does.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib
I=$BUILD/tests/guests/kut

# ---- the option -------------------------------------------------------------------------

FAKEKVM_SCRIPT='out 0xf4 4 3' vm -k "$I/low.flat" --testdev
is "--testdev has debug-exit where kvm-unit-tests expect it" 3 'report:"verdict": 3,'
FAKEKVM_SCRIPT='out 0x5f4 4 3' vm -k "$I/low.flat" --testdev --debug-exit=0x5f4
is "but where --debug-exit says if it does" 3
accepted --debug-exit=0xe4
refused '--debug-exit 0xe4: ports 0xe4 to 0xe7 are not free, testdev is there' run -k "$K" \
	--testdev --debug-exit=0xe4
refused '--debug-exit 0x2010: ports' run -k "$K" --testdev --debug-exit=0x2010

head -c 4096 /dev/zero >"$T/disk"
repeated 30 '--testdev: takes the place of virtio devices; at most 29 of them are allowed with it' \
	--testdev -d "$T/disk,ro"
vm -k "$I/low.flat" --testdev --virtio-transport mmio
is "--testdev goes with virtio-mmio, too" 0

# ---- images -----------------------------------------------------------------------------

refused '--boot linux64 is not for it' run -k "$I/boot.flat" --boot linux64
refused 'boot.flat has no PVH entry' run -k "$I/boot.flat" --boot pvh
head -c 3000 "$I/boot.flat" >"$T/short.flat"
refused 'short.flat is truncated or corrupt' run -k "$T/short.flat"
head -c 70 "$I/boot.flat" >"$T/shorter.flat"
refused 'shorter.flat is truncated or corrupt' run -k "$T/shorter.flat"
head -c 100M /dev/zero >"$T/module"
refused "initrd $T/module of 102400 KiB does not fit" run -k "$I/boot.flat" -m 64 -i "$T/module"

# ---- the runner -------------------------------------------------------------------------

# run VERDICT ARGUMENT...: leaves status, out and err
run() {
	FAKEKVM_SCRIPT="out 0xf4 4 $1"
	export FAKEKVM_SCRIPT
	shift
	timeout "$LIMIT" tests/kut/run --lkvm "$LKVM" "$@" >"$T/out" 2>"$T/err"
	status=$?
	: >"$T/report"
}

cat >"$T/cfg" <<'EOF'
# a comment
[one]
file = ends.flat

  [two]
file=low.flat
smp = 2
  groups = some more
#[three]
#file = ends.flat

[never]
file = ends.flat
groups = nodefault some
EOF
run 0 -c "$T/cfg" "$I"
is "tests that pass are ok, and the plan comes first" 0 'out:1..3' 'out:ok 1 - one' \
	'out:ok 2 - two' 'out:ok 3 - never # SKIP only runs by its name or group' \
	'err:kut: 2 passed, 0 failed, 1 skipped'
[ "$(head -n 1 "$T/out")" = 'TAP version 13' ] && why= || why='no version line; '
verdict "it is TAP 13" "$why"
run 1 -c "$T/cfg" "$I"
is "tests that fail are not, with what was said" 1 'out:not ok 1 - one: verdict 1' \
	'out:# lkvm: verdict after' 'err:kut: 0 passed, 2 failed, 1 skipped'
run 77 -c "$T/cfg" "$I" two
is "77 is a skip" 0 'out:1..1' 'out:ok 1 - two # SKIP the test says so'
run 127 -c "$T/cfg" "$I" two
is "127 is an abort" 1 'out:not ok 1 - two'
run 0 -c "$T/cfg" "$I" never
is "a test runs by its name" 0 'out:ok 1 - never'
run 0 -c "$T/cfg" -g some "$I"
is "tests run by their group" 0 'out:1..2' 'out:ok 1 - two' 'out:ok 2 - never'
run 0 -c "$T/cfg" -l "$T/logs" "$I" one
[ -s "$T/logs/one.log" ] && why= || why='no log; '
verdict "output is kept where -l says" "$why"
FAKEKVM_SCRIPT='out 0x604 2 0x3400' timeout "$LIMIT" tests/kut/run --lkvm "$LKVM" -c "$T/cfg" "$I" \
	one >"$T/out" 2>"$T/err"
status=$?
is "a power-off is no verdict" 1 'out:not ok 1 - one: power-off after'
FAKEKVM_SCRIPT='shutdown' timeout "$LIMIT" tests/kut/run --lkvm "$LKVM" -c "$T/cfg" "$I" one \
	>"$T/out" 2>"$T/err"
status=$?
is "nor is a crash" 1 'out:not ok 1 - one: triple-fault after'

FAKEKVM_SCRIPT='print "SUMMARY: 3 tests \x1b]0;x\x07# TODO\n"; out 0xf4 4 0' timeout "$LIMIT" \
	tests/kut/run --lkvm "$LKVM" -c "$T/cfg" "$I" one >"$T/out" 2>"$T/err"
status=$?
is "what a guest says is neither a directive nor for the terminal" 0 \
	'out:ok 1 - one (3 tests ]0;x TODO)' 'err:kut: 1 passed, 0 failed, 0 skipped'

for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	printf '[t%d]\nfile = low.flat\n' $i
done >"$T/many"
run 0 -c "$T/many" -j 5 "$I"
grep '^ok' "$T/out" >"$T/report"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	echo "ok $i - t$i"
done | cmp -s - "$T/report" && why= || why='another order; '
[ "$status" = 0 ] || why="${why}status $status; "
verdict "with -j results keep their order" "$why"

# ---- what a section asks for ------------------------------------------------------------

# section LINES: of the one test in $T/cfg
section() {
	printf '[t]\nfile = ends.flat\n%s\n' "$1" >"$T/cfg"
}

# translated LINES OPTIONS: what lkvm would be run with
translated() {
	section "$1"
	tests/kut/run --lkvm "$LKVM" -c "$T/cfg" -n "$I" >"$T/out" 2>"$T/err"
	status=$?
	tr -d "'" <"$T/out" | grep -qF -- "--testdev $2" && why= || why="not so: $(cat "$T/out"); "
	verdict "$(echo "$1" | tr '\n' ' ')is $2" "$why"
}

# skipped LINES REASON
skipped() {
	section "$1"
	run 0 -c "$T/cfg" "$I"
	is "skipped: $1" 0 "out:# SKIP $2"
}

# nonsense LINES WORDS: nothing is run at all
nonsense() {
	printf '%s\n' "$1" >"$T/cfg"
	run 0 -c "$T/cfg" "$I"
	[ ! -s "$T/out" ] && why= || why='something was run; '
	[ "$(wc -l <"$T/err")" = 1 ] || why="$why$(wc -l <"$T/err") lines of message; "
	[ "$status" = 2 ] || why="${why}status $status; "
	grep -qF -- "$2" "$T/err" || why="${why}no '$2' but $(cat "$T/err"); "
	verdict "refused: $(echo "$1" | tr '\n' ' ')" "$why"
}

translated '' '-m 128M -c 1 --timeout 90'
translated 'timeout = 30' '-m 128M -c 1 --timeout 30'
translated 'timeout = 2m' '-m 128M -c 1 --timeout 120'
translated 'timeout = 08s' '-m 128M -c 1 --timeout 8'
# shellcheck disable=SC2016
MAX_SMP=3 translated 'smp = $MAX_SMP' '-m 128M -c 3'
translated 'extra_params = -m 2048 -smp 4' '-m 2048M -c 4'
translated 'extra_params = -m 4g' '-m 4G -c 1'
translated "extra_params = -append 'a  b \"c\"'" '-m 128M -c 1 --timeout 90 -p a  b "c"'
translated 'qemu_params = --append one
test_args = "two three"' '-m 128M -c 1 --timeout 90 -p one two three'
translated 'extra_params = """-m 5
	-append x
	"""' '-m 5M -c 1 --timeout 90 -p x'
translated "extra_params$(printf '\t')= \"\"\"-m 5
	-append x
	\"\"\"" '-m 5M -c 1 --timeout 90 -p x'
translated 'extra_params = -cpu max' '-m 128M -c 1 --timeout 90'
translated 'extra_params = -cpu qemu64,+x2apic,+tsc-deadline,-pcid' \
	'-m 128M -c 1 --cpu host,+x2apic,+tsc_deadline_timer,-pcid'
translated 'extra_params = -cpu max,host-phys-bits,+vmx -m 2560' '-m 2560M -c 1 --nested --timeout'
translated 'extra_params = -machine kernel_irqchip=split' '-m 128M -c 1 --irqchip=split'
translated 'extra_params = -M q35,kernel-irqchip=split' '-m 128M -c 1 --irqchip=split'
translated 'extra_params = -overcommit cpu-pm=on' \
	'-m 128M -c 1 --disable-exits=mwait,hlt,pause,cstate'
# shellcheck disable=SC2016
translated 'extra_params = --append "1 `date +%s`"' '-m 128M -c 1 --timeout 90 -p 1 1'
# shellcheck disable=SC2016
translated 'test_args = "2 $(date +%s)"' '-m 128M -c 1 --timeout 90 -p 2 1'
translated 'kvmtool_params = --pmu' '-m 128M -c 1 --timeout 90'
echo a=b >"$T/env"
KVM_UNIT_TESTS_ENV=$T/env translated 'extra_params = -append x' \
	"-m 128M -c 1 --timeout 90 -p x -i $T/env"

skipped 'arch = i386' 'for i386 only, and the images are x86_64'
ARCH=i386 skipped 'arch = x86_64' 'for x86_64 only, and the images are i386'
skipped 'accel = tcg' 'for the accelerator tcg only'
skipped 'check = /proc/sys/kernel/ostype=Minix' '/proc/sys/kernel/ostype is not Minix'
skipped 'check = /proc/sys/kernel/ostype=Linux /nonexistent=1' '/nonexistent is not 1'
skipped 'check = /nonexistent=1
check = /proc/sys/kernel/ostype=Linux' '/nonexistent is not 1'
mkfifo "$T/fifo"
skipped "check = $T/fifo=1" "$T/fifo is not 1" # without waiting for a writer
skipped 'check = /dev/zero=1' '/dev/zero is not 1'
skipped 'check = /proc/sys/*=1' '/proc/sys/* is not 1'
skipped "extra_params = -cpu $(printf '\033')[2J" 'lkvm has no CPU model ?[2J'
skipped 'groups = a migration' 'lkvm does not migrate guests'
skipped 'extra_params = -cpu IvyBridge,phys-bits=36' 'lkvm has no CPU'
skipped 'extra_params = -cpu max,vendor=Nobody' "lkvm shows the CPU's vendor as it is"
skipped 'extra_params = -cpu kvm64,hv_vpindex' 'lkvm has no Hyper-V interfaces (hv_vpindex)'
skipped 'extra_params = -machine vmport=on' 'lkvm has no machine property vmport=on'
skipped 'extra_params = -device intel-iommu,intremap=on' 'lkvm has no device intel-iommu'
skipped 'extra_params = -global x' "lkvm has nothing like qemu's -global"
skipped 'extra_params = -append' "-append of qemu's has no value"
# shellcheck disable=SC2016
skipped 'extra_params = -append `id`' 'its extra_params have a command'
# shellcheck disable=SC2016
skipped 'test_args = $(id)' 'its test_args have a command'
skipped 'disabled_if = [ 1 ]' 'its condition is not evaluated: [ 1 ]'

section 'file = nowhere.flat'
run 0 -c "$T/cfg" "$I"
is "an image that is not there is a failure" 1 "out:not ok 1 - t: there is no $I/nowhere.flat"
section 'file ='
run 0 -c "$T/cfg" "$I"
is "so is a section without one" 1 'out:not ok 1 - t: its section names no file'
section 'timeout = soon'
run 0 -c "$T/cfg" "$I"
is "and a timeout that is none" 1 'out:not ok 1 - t: its timeout soon is not understood'
section "extra_params = -append 'x"
run 0 -c "$T/cfg" "$I"
is "and quotes without an end" 1 'out:not ok 1 - t: the quotes of its extra_params have no end'
section 'colour = green'
run 0 -c "$T/cfg" "$I"
is "a key that is not known is said to be so" 0 'out:ok 1 - t' \
	'err:t has a key that is not known: colour'
section 'smp = 0'
run 0 -c "$T/cfg" "$I"
is "and what lkvm refuses" 1 'out:not ok 1 - t: --cpus 0: must be'

nonsense 'file = x' "belongs to no test"
nonsense '[a]
what' "'what' is neither a [test] nor a key = value"
nonsense "[a]
$(printf '\033')]0;x" "'?]0;x' is neither a [test] nor a key = value"
nonsense '[a]
[a]' 'there are two tests a'
nonsense '[../a]' "a test cannot be called '../a'"
nonsense '[a]
extra_params = """x' "of a's extra_params has no end"
nonsense '# nothing' 'there is no test to run'
section ''
run 0 -c "$T/cfg" "$I" another
is "a test that is not there is said to be so" 2 'err:has no test another'
run 0 -c "$T/cfg" -j 0 "$I"
is "so is -j 0" 2 'err:-j 0: must be a number of tests'
run 0 "$I/nowhere"
is "and a directory without a unittests.cfg" 2 'err:unittests.cfg: there is no such file'
run 0
is "without a directory it says how it is used" 2 'err:tests/kut/run [OPTION...] DIR'
finish
