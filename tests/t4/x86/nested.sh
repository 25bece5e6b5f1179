#!/bin/bash
# Guests that are hypervisors: a stock kernel with its own KVM, on which lkvm boots a guest of the
# guest. What is looked at is in nested.inside, what the guest does in nested.guest.
#
# Does not prove figures, nor anything of VMX: the bed's CPU is AMD's.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.bash
. "$(dirname "$0")/../lib.bash"

# shellcheck disable=SC2016 # the guest expands it
tests/bed/initramfs -a x86 -s '
	echo "hello from the guest of the guest: $(uname -r), $(nproc) CPUs"
	grep -qE "^flags.*\b(svm|vmx)\b" /proc/cpuinfo || echo "inner has no virtualization"' "$files/inner"
tests/bed/initramfs -a x86 -s '. /nested.guest' -f tests/t4/x86/nested.guest:/nested.guest \
	-m kvm_amd -f "$LKVM:/bin/lkvm" -f "$(kernel_dir)/vmlinuz:/vmlinuz" -f "$files/inner:/inner" \
	"$files/nested-initrd"
exec tests/t4/in-bed -t 600 -M 2048 -f "$(kernel_dir)/vmlinuz:vmlinuz" -f "$files/nested-initrd:initrd" \
	-- sh tests/t4/x86/nested.inside
