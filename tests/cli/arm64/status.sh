#!/bin/sh
# The exit statuses, as `lkvm run` gives them: each by a guest or a host that brings it about.
#
# The KVM is a fake one: does not prove that a real one brings it about (tests/t3, tests/t4).
# Signals, ports and reports are the same code on all architectures: tests/cli/x86/status.sh.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib

# on HOST SCRIPT STATUS DESCRIPTION CAUSE [OPTION...]
on() {
	FAKEKVM=$1 FAKEKVM_SCRIPT=$2 want=$3 desc=$4 cause=$5
	export FAKEKVM FAKEKVM_SCRIPT
	shift 5
	vm -k "$K" "$@"
	is "$want: $desc" "$want" "report:\"cause\": \"$cause\"" "report:\"exit_status\": $want"
	[ "$(wc -l <"$T/err")" = 1 ] && why= || why='not exactly one line on standard error; '
	verdict "... and says so in one line" "$why"
}

# lacks HOST WORDS OPTION...: 126, because this host has it not
lacks() {
	host=$1 words=$2
	shift 2
	on "$host" halt 126 "$host: $*" unsupported "$@"
	grep -qF -- "$words" "$T/err" && why= || why="no '$words'; "
	verdict "... for the right reason" "$why"
}

on arm64 'system-event 1' 0 power-off power-off
on arm64 'store 0x1050000 4 0' 0 'verdict 0' verdict --debug-exit
on arm64 'store 0x1050000 1 1' 1 'verdict 1' verdict --debug-exit
on gicv2 'store 0x1050000 4 110' 110 'verdict 110' verdict --debug-exit
on full 'store 0x1060000 4 100000' 111 'verdict above 110' verdict --debug-exit=0x1060000
on arm64 'system-event 2' 112 reset reset
on arm64 'store 0x1040000 1 1; halt' 113 pvpanic guest-panic
on plain 'print "Kernel panic - not syncing: x\n"; halt' 113 'panic line' guest-panic
on arm64 'internal-error 1' 115 'internal error' kvm-internal-error
on arm64 'exit 28' 115 'an access that KVM cannot decode' kvm-internal-error
on arm64 'fail-entry 7' 116 'entry refused' kvm-entry-refused
on arm64 'print "x"; halt' 117 'idle timeout' idle-timeout --idle-timeout 50ms
on arm64 'halt' 124 timeout timeout --timeout 50ms
on arm64 'errno EIO' 125 'KVM_RUN fails' host-error
on missing 'halt' 126 '/dev/kvm is missing' unsupported
on denied 'halt' 126 '/dev/kvm is not for this user' unsupported
on api=11 'halt' 126 'another API version' unsupported

# ---- what a host lacks ------------------------------------------------------------------

devices=$T/sys/bus/event_source/devices
mkdir -p "$devices/armv8_pmuv3_0"
echo 8 >"$devices/armv8_pmuv3_0/type"
echo 0-1023 >"$devices/armv8_pmuv3_0/cpus"
export FAKEKVM_SYSFS="$T/sys"

lacks plain 'booted with kvm-arm.mode=nested' --nested
lacks gicv2 'booted with kvm-arm.mode=nested' --nested
lacks arm64,cap=241:0 'it takes CPUs with FEAT_NV1' --nested --e2h0
lacks plain 'no PMUv3 for guests' --pmu
lacks plain '--pmu-partition: ' --pmu-partition 4
lacks arm64 'no released kernel has one yet' --pmu-partition 4
lacks arm64 'no released kernel has one yet' --pmu-partition=4 --nested
lacks partition-attr 'no ioctl KVM_ARM_PARTITION_PMU' --pmu-partition 4 --pmu-partition-abi ioctl
lacks partition-ioctl 'no vCPU attribute' --pmu-partition 4 --pmu-partition-abi attr
for h in ioctl attr; do
	for abi in auto $h; do
		lacks partition-$h-unconfigured 'boot it with arm_pmuv3.reserved_host_counters=N' \
			--pmu-partition 4 --pmu-partition-abi "$abi"
	done
done
lacks arm64,cap=227:0 'lacks KVM_CAP_COUNTER_OFFSET' --counter-offset 5
lacks arm64 'have no SVE' --sve-max-vl 128
lacks arm64 '--irqchip gicv2: ' --irqchip gicv2
lacks arm64 '--irqchip gicv2m: ' --irqchip gicv2m
lacks gicv2 '--irqchip gicv3: ' --irqchip gicv3
lacks gicv2 '--irqchip gicv3-its: ' --irqchip gicv3-its
lacks gicv2 'at most 8' -c 9
lacks arm64,cap=165:36 'address 36 bits' -m 64G
FAKEKVM_SYSFS=$T/nothing
lacks arm64 "shows no PMU of this host's CPUs" --pmu
finish
