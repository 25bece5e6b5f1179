#!/bin/bash
# Debian's own kernel, unmodified, under lkvm on real KVM; what is looked at is in stock.inside.
#
# Does not prove figures, nor anything of Intel's or a physical machine's KVM: the bed's CPU is
# emulated and AMD's.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.bash
. "$(dirname "$0")/../lib.bash"

lib=$(library)
tests/bed/initramfs -a x86 "$files/initrd"
# shellcheck disable=SC2016 # the guest expands it
tests/bed/initramfs -a x86 -s 'echo hello from number $$' "$files/hello"
tests/extract-vmlinux "$(kernel_dir)/vmlinuz" "$files/vmlinux"
exec tests/t4/in-bed -f "$(kernel_dir)/vmlinuz:vmlinuz" -f "$files/vmlinux:vmlinux" \
	-f "$files/initrd:initrd" -f "$files/hello:hello" -f "$lib:lib/${lib##*/}" \
	-f "$LKVM_BUILD/docs/examples/two_vms:build/x86/docs/examples/two_vms" -- sh tests/t4/x86/stock.inside
