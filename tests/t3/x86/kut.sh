#!/bin/sh
# Images in the style of kvm-unit-tests on a real KVM: Multiboot, the test devices, fw_cfg, and the
# runner, which must tell those that pass from those that do not.
#
# Does not prove that kvm-unit-tests' own images run: they are not ours to ship. With KUT_DIR, the
# x86/ of a tree where they were built, they run here as well, and what they find is theirs.
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/../lib"
I=$GUESTS/kut

# image NAME OPTION...: one of ours
image() {
	name=$1
	shift
	vm -k "$I/$name.flat" --testdev --timeout 60 "$@"
}

image boot -m 64M -p 'text=word ram=0x4000000'
is "an image finds its arguments and its memory" 0 'out:cmdline: text=word' 'out:SUMMARY: 8 tests'
printf 'NAME=value\n' >"$T/env"
image boot -m 5G -p 'text=word ram=0x140000000 env=NAME=value' -i "$T/env"
is "an initrd is its module" 0 'out:PASS: it begins with what it should'
image low
is "one that is loaded below 1 MiB is entered, too" 0
for irqchip in kernel split; do
	image testdev --irqchip=$irqchip
	is "the test device is there, and its lines interrupt ($irqchip)" 0 \
		'out:PASS: an edge is one interrupt' 'out:PASS: until it is low'
done
# faults N: how many KVM resolved for a guest that has a page forgotten N times
faults() {
	image testdev -p "lines=0 flush=$1" --stats
	sed -n 's/^ *pf_fixed *//p' "$T/err" | head -n 1
}
few=$(faults 0) many=$(faults 200)
if [ "$HOST_KIND" = full ]; then
	[ "${many:-0}" -ge $((${few:-0} + 200)) ] && why= || why="$few faults, and then $many; "
	verdict "KVM forgets a page when it is told to" "$why"
else
	skip "KVM forgets a page when it is told to" 'a KVM in software has no faults to count'
fi
image pci
is "the PCI test device counts writes" 0 'out:pci-testdev mmio-no-eventfd: counted 16' \
	'out:pci-testdev portio-no-eventfd: counted 16'
image pci -m 5G --pvpanic pci --rng
is "beside other functions" 0
image cpus -c 3 -p cpus=3
is "fw_cfg has the number of processors" 0 'out:PASS: so many started'
image cpus -c 3 -p cpus=2
is "and a wrong one is found out" 1 'out:FAIL: it has the number of processors'
for value in 0 1 77 127; do
	image ends -p value=$value
	is "the verdict $value is told" $((value > 111 ? 111 : value)) "report:\"verdict\": $value,"
done

# kut STATUS DESCRIPTION OPTION...: the runner's exit status
kut() {
	want=$1 desc=$2
	shift 2
	if ! command -v bash >/dev/null; then
		skip "$desc" 'the runner of kvm-unit-tests needs bash'
		return
	fi
	timeout "$LIMIT" tests/kut/run --lkvm "$LKVM" "$@" >"$T/out" 2>"$T/err"
	status=$?
	[ $status = "$want" ] && why= || why="exit status $status, not $want; "
	verdict "$desc" "$why"
}

# printed TEXT: on a line of the runner's
printed() {
	desc="... $(echo "$1" | tr -d '#')" # which has a meaning here
	! command -v bash >/dev/null && skip "$desc" 'the runner of kvm-unit-tests needs bash' && return
	grep -qF -- "$1" "$T/out" && why= || why='it is not there; '
	verdict "$desc" "$why"
}

kut 0 'the runner passes all of our unittests.cfg' -c tests/guests/x86/kut/unittests.cfg -j 2 "$I"
cat >"$T/cfg" <<'EOF'
[passes]
file = ends.flat

[fails]
file = ends.flat
extra_params = -append value=3

[finds]
file = cpus.flat
smp = 2
extra_params = -append cpus=3

[skips]
file = ends.flat
extra_params = -append value=77

[hangs]
file = ends.flat
extra_params = -append end=hang
timeout = 1

[crashes]
file = ends.flat
extra_params = -append end=crash

[leaves]
file = ends.flat
extra_params = -append end=off

[passes_again]
file = low.flat
EOF
kut 1 'it tells the ends of tests apart' -c "$T/cfg" -j 2 "$I"
printed 'ok 1 - passes (1 tests)'
printed 'not ok 2 - fails: verdict 3'
printed 'not ok 3 - finds: verdict 1'
printed '# FAIL: it has the number of processors'
printed 'ok 4 - skips # SKIP the test says so'
printed 'not ok 5 - hangs: it took longer than its time'
printed 'not ok 6 - crashes: triple-fault'
printed 'not ok 7 - leaves: power-off'
printed 'ok 8 - passes_again'

# Those of a user, whose results are for him to judge: what is ours is that each has one.
if [ -n "${KUT_DIR-}" ]; then
	tests/kut/run --lkvm "$LKVM" -j 2 "$KUT_DIR" >"$T/out" 2>"$T/err"
	[ $? -le 1 ] && why= || why="$(cat "$T/err"); "
	verdict "the images in $KUT_DIR: $(tail -n 1 "$T/err")" "$why"
fi
finish
