#!/bin/bash
# Guests that are hypervisors: stock kernels at EL2, with a KVM of their own, on which lkvm boots a
# guest of the guest. What is looked at is in nested.inside, what the guest does in nested.guest.
#
# Does not prove figures, nor that a guest's guest could have guests itself.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.bash
. "$(dirname "$0")/../lib.bash"

# shellcheck disable=SC2016 # the guest expands it
tests/bed/initramfs -a arm64 -s '
	echo "hello from the guest of the guest: $(uname -r), $(nproc) CPUs"
	echo "inner $(dmesg | grep -o "CPU: All CPU.*")"' "$files/inner"
tests/bed/initramfs -a arm64 -s '. /nested.guest' -f tests/t4/arm64/nested.guest:/nested.guest \
	-f "$LKVM:/bin/lkvm" -f "$(kernel_dir)/vmlinuz:/vmlinuz" -f "$files/inner:/inner" \
	"$files/nested-initrd"
exec tests/t4/in-bed -t 900 -M 2048 -f "$(kernel_dir)/vmlinuz:vmlinuz" -f "$files/nested-initrd:initrd" \
	-- sh tests/t4/arm64/nested.inside
