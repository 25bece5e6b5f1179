#!/bin/bash
# What check-kvm runs, on the bed's KVM: another one than this host's, and the same on every host.
# The bed's kernel is the newest at hand, for the rules of KVM (rules.sh) are those of today:
# Linux 6.1, for one, differs in five.
#
# Does not prove that a stock kernel gets along with the same things (stock.sh).
set -euo pipefail
cd "$(dirname "$0")/../.."
export KERNEL_SUITE=${KERNEL_SUITE:-trixie-backports}
lib=$(realpath "$(dirname "${LKVM:-./lkvm}")/liblkvm.so")
files=(-f "$lib:lib/${lib##*/}")
for program in unit/x86/test_fakekvm t3/test_api; do
	files+=(-f "${LKVM_BUILD:-build/x86}/tests/$program:build/x86/tests/$program")
done
exec tests/t4/in-bed "${files[@]}" -- sh tests/t4/guests.inside
