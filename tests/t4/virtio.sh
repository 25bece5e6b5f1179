#!/bin/bash
# The drivers of Debian's own kernel, unmodified, on every virtio device over both transports; what
# is looked at is in virtio.inside, what the guest does in virtio.guest.
#
# x86's bed sees all of it; others what an architecture has a part in: interrupts, doorbells, and
# memory that a device and a CPU see alike. Arguments: those of virtio.inside.
#
# Does not prove figures (see bench/), nor what only hostile drivers do (see unit/ and fuzz/).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"

[ $# -gt 0 ] || [ "$LKVM_ARCH" = x86 ] ||
	set -- devices blk_mq rng net_user pci.net_vhost console pci.kexec
guest_program "tests/bed/guest/$LKVM_ARCH/kexec.c" -lfdt
tests/bed/initramfs -a "$LKVM_ARCH" -s '. /virtio.guest' -f tests/t4/virtio.guest:/virtio.guest \
	-f "$files/kexec:/bin/kexec" -m virtio_pci -m virtio_mmio -m virtio_blk -m virtio_net \
	-m virtio_console -m virtio-rng -m af_packet "$files/virtio-initrd"
exec tests/t4/in-bed -t 1200 -M 1536 -m 'tun' -m 'vhost_net' -m af_packet -f "$(kernel_dir)/vmlinuz:vmlinuz" \
	-f "$files/virtio-initrd:initrd" -- sh tests/t4/virtio.inside "$@"
