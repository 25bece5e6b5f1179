#!/bin/sh
# `lkvm caps --require` as a script uses it before `lkvm run`: on each fake host the features that
# are asked for decide, and the reason says what to do about the rest.
#
# Does not prove that a run succeeds where caps says yes, nor what a real host says.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib

# has HOST FEATURES, lacks HOST FEATURES WORDS
has() {
	FAKEKVM=$1 "$LKVM" caps --require "$2" >"$T/out" 2>"$T/err"
	status=$?
	is "$1 has $2" 0
}
lacks() {
	FAKEKVM=$1 "$LKVM" caps --require "$2" >"$T/out" 2>"$T/err"
	status=$?
	is "$1 lacks $2" 126 "err:lkvm: $2: " "err:$3"
}

has arm64 nested,e2h0,pmu,gicv3,its,ptrauth,counter-offset,steal-time
has full nested,pmu,sve,mte
has gicv2 gicv2,pmu
lacks plain nested 'kvm-arm.mode=nested'
lacks plain e2h0 'kvm-arm.mode=nested'
lacks arm64,cap=241:0 e2h0 FEAT_NV1
lacks plain pmu 'no PMUv3'
lacks arm64 gicv2 'cannot emulate a GICv2'
lacks gicv2 its 'no GICv3'
lacks gicv2 gicv3 'no GICv3'
lacks arm64 sve 'do not have it'
lacks arm64 mte 'do not have it'
lacks full aarch32 '64-bit guests only'
has partition-ioctl pmu-partition-ioctl
lacks partition-ioctl pmu-partition-attr 'no vCPU attribute'
has partition-attr pmu-partition-attr
lacks partition-attr pmu-partition-ioctl 'no ioctl KVM_ARM_PARTITION_PMU'
for h in partition-ioctl partition-attr; do has $h pmu-partition; done
lacks arm64 pmu-partition 'no released one has it'
lacks plain pmu-partition 'no PMU to partition'
lacks partition-ioctl-unconfigured pmu-partition 'arm_pmuv3.reserved_host_counters=N'
lacks partition-ioctl-unconfigured pmu-partition-ioctl 'arm_pmuv3.reserved_host_counters=N'
lacks arm64 pmu-partition-ioctl 'no released one has it'
lacks arm64 pmu-partition-attr 'no released one has it'
# the number that a version of the series gave its capability
has arm64,cap=244:1 pmu
lacks arm64,cap=244:1 pmu-partition-ioctl 'no ioctl'
finish
