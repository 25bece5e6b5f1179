#!/bin/bash
# What check-kvm runs, on the bed's KVM: another one than this host's, and the same on every host.
#
# Does not prove that a stock kernel gets along with the same things (stock.sh).
set -euo pipefail
cd "$(dirname "$0")/../.."
files=()
for program in unit/test_fakekvm t3/test_api; do
	files+=(-f "${LKVM_BUILD:-build/x86}/tests/$program:build/x86/tests/$program")
done
exec tests/t4/in-bed -t 1500 "${files[@]}" -- sh tests/t4/guests.inside
