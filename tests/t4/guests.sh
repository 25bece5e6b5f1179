#!/bin/bash
# What check-kvm runs, on the bed's KVM: another one than this host's, and the same on every host.
# The bed's kernel is the newest at hand, for the rules of KVM (rules.sh) are those of today:
# Linux 6.1, for one, differs in five.
#
# Does not prove that a stock kernel gets along with the same things (stock.sh).
set -euo pipefail
export KERNEL_SUITE=${KERNEL_SUITE:-trixie-backports}
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"
lib=$(library)
options=(-f "$lib:lib/${lib##*/}")
for program in "$LKVM_BUILD/tests/unit/$LKVM_ARCH/test_fakekvm" "$LKVM_BUILD/tests/unit/test_gmem_rules" \
	"$LKVM_BUILD"/tests/t3/{,"$LKVM_ARCH"/}test_*; do
	[ ! -x "$program" ] || options+=(-f "$program:build/$LKVM_ARCH${program#"$LKVM_BUILD"}")
done
exec tests/t4/in-bed "${options[@]}" -- sh tests/t4/guests.inside
