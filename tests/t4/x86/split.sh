#!/bin/bash
# Debian's own kernel, unmodified, with the split irqchip: no PIC, no PIT, our I/O APIC; and with APIC
# ids that need more than 8 bits. What is looked at is in split.inside, what the guest does in
# split.guest.
#
# Does not prove figures, nor anything of Intel's KVM: the bed's CPU is emulated and AMD's. Of 300
# CPUs three are started.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.bash
. "$(dirname "$0")/../lib.bash"

tests/bed/initramfs -a x86 -s '. /split.guest' -f tests/t4/x86/split.guest:/split.guest \
	-m virtio_pci -m virtio_mmio -m virtio_blk -m virtio-rng "$files/split-initrd"
exec tests/t4/in-bed -M 1536 -f "$(kernel_dir)/vmlinuz:vmlinuz" \
	-f "$files/split-initrd:initrd" -- sh tests/t4/x86/split.inside
