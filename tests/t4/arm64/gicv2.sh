#!/bin/bash
# Guests with a GICv2, which only a host with one has for them: interrupts by lines, and with a
# GICv2m frame by messages. What is looked at is in gicv2.inside.
#
# Does not prove a GICv2 guest on a host with a GICv3 that can do both: this bed's cannot.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.bash
. "$(dirname "$0")/../lib.bash"

tests/bed/initramfs -a arm64 -s '. /virtio.guest' -f tests/t4/virtio.guest:/virtio.guest \
	-m virtio_pci -m virtio_mmio -m virtio_blk -m virtio-rng "$files/gicv2-initrd"
exec tests/t4/in-bed -o gicv2 -o no-nested -f "$(kernel_dir)/vmlinuz:vmlinuz" \
	-f "$files/gicv2-initrd:initrd" \
	-f "$LKVM_BUILD/tests/unit/arm64/test_fakekvm:build/arm64/tests/unit/arm64/test_fakekvm" -- sh tests/t4/arm64/gicv2.inside
