#!/bin/bash
# Our own small guests, as in check-kvm, on the bed's KVM: another one than this host's, and the
# same on every host.
#
# Does not prove that a stock kernel gets along with the same things (stock.sh).
set -euo pipefail
cd "$(dirname "$0")/../.."
exec tests/t4/in-bed -t 1500 -- sh tests/t4/guests.inside
