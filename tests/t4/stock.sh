#!/bin/bash
# Debian's own kernel, unmodified, under lkvm on real KVM; what is looked at is in stock.inside.
#
# Does not prove figures, nor anything of Intel's or a physical machine's KVM: the bed's CPU is
# emulated and AMD's.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source-path=SCRIPTDIR source=../bed/lib.sh
. tests/bed/lib.sh

load_arch x86
tests/bed/fetch -q x86
files=${LKVM_BUILD:-build/x86}/tests/t4
lib=$(realpath "$(dirname "${LKVM:-./lkvm}")/liblkvm.so")
tests/bed/initramfs "$files/initrd"
# shellcheck disable=SC2016 # the guest expands it
tests/bed/initramfs -s 'echo hello from number $$' "$files/hello"
tests/extract-vmlinux "$(kernel_dir)/vmlinuz" "$files/vmlinux"
exec tests/t4/in-bed -f "$(kernel_dir)/vmlinuz:vmlinuz" -f "$files/vmlinux:vmlinux" \
	-f "$files/initrd:initrd" -f "$files/hello:hello" -f "$lib:lib/${lib##*/}" \
	-f "${LKVM_BUILD:-build/x86}/docs/examples/two_vms:build/x86/docs/examples/two_vms" -- sh tests/t4/stock.inside
