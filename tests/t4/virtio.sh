#!/bin/bash
# The drivers of Debian's own kernel, unmodified, on every virtio device over both transports; what
# is looked at is in virtio.inside, what the guest does in virtio.guest.
#
# Does not prove figures (see bench/), nor what only hostile drivers do (see unit/ and fuzz/).
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source-path=SCRIPTDIR source=../bed/lib.sh
. tests/bed/lib.sh

load_arch x86
tests/bed/fetch -q x86
files=${LKVM_BUILD:-build/x86}/tests/t4
mkdir -p "$files"
gcc -static -O1 -o "$files/kexec" tests/bed/guest/kexec.c
tests/bed/initramfs -s '. /virtio.guest' -f tests/t4/virtio.guest:/virtio.guest \
	-f "$files/kexec:/bin/kexec" -m virtio_pci -m virtio_mmio -m virtio_blk -m virtio_net \
	-m virtio_console -m virtio-rng -m af_packet "$files/virtio-initrd"
exec tests/t4/in-bed -t 1200 -M 1536 -m 'tun' -m 'vhost_net' -m af_packet -f "$(kernel_dir)/vmlinuz:vmlinuz" \
	-f "$files/virtio-initrd:initrd" -- sh tests/t4/virtio.inside "$@"
