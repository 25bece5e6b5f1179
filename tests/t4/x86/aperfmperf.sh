#!/bin/bash
# --disable-exits aperfmperf on a KVM that allows it: a host whose CPUs are told to have APERFMPERF,
# which the bed's emulated ones do not say of themselves. What is looked at is in aperfmperf.inside.
#
# Does not prove anything of the values read (the emulator has none), nor of Intel's KVM.
set -euo pipefail
# the kernel allows it from 6.17 on
export KERNEL_SUITE=${KERNEL_SUITE:-trixie-backports}
# shellcheck source-path=SCRIPTDIR source=../lib.bash
. "$(dirname "$0")/../lib.bash"
exec tests/t4/in-bed -c 2 -p setcpuid=aperfmperf -- sh tests/t4/x86/aperfmperf.inside
