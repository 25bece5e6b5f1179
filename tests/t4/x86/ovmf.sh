#!/bin/bash
# Debian's OVMF, unmodified, under lkvm on real KVM: it starts from the reset vector, finds its
# disk, keeps its variables and boots Debian's kernel; what is looked at is in ovmf.inside.
#
# The disk is a FAT file system with a startup.nsh, which does one thing in the first boot and,
# since a variable is there, another in the second. OVMF's clock ticks a hundred times a second and
# its interrupt handler ends with a write to CR8; QEMU's emulated SVM may abort on that while an
# interrupt is pending, so the bed's KVM makes ticks fifty times as long as they should be.
#
# Does not prove figures, nor that OVMF of other releases boots.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.bash
. "$(dirname "$0")/../lib.bash"

need mformat mcopy
firmware=$(firmware_dir)/usr/share
esp=$files/ovmf-esp
# shellcheck disable=SC2016 # the guest expands it
tests/bed/initramfs -a x86 -s 'if [ -d /sys/firmware/efi ]; then echo guest: started by EFI; fi
	echo "guest: $(nproc) CPUs, $(awk "/^MemTotal/ { print int(\$2 / 1024) }" /proc/meminfo) MiB"
	echo "guest: told $(cat /proc/cmdline)"' "$files/ovmf-initrd"

guid=12345678-1234-1234-1234-123456789abc
sed 's/$/\r/' >"$files/startup.nsh" <<-END
	setvar LkvmKept -guid $guid
	if %lasterror% == 0x0 then
	  fs0:\\vmlinuz.efi initrd=\\initrd console=ttyS0 quiet
	endif
	setvar LkvmKept -guid $guid -bs -rt -nv =4b455054
	reset -s
END
rm -f "$esp"
mformat -C -F -i "$esp" -T 98304 ::
mcopy -i "$esp" "$files/startup.nsh" ::startup.nsh
mcopy -i "$esp" "$(kernel_dir)/vmlinuz" ::vmlinuz.efi
mcopy -i "$esp" "$files/ovmf-initrd" ::initrd

exec tests/t4/in-bed -m 'kvm min_timer_period_us=500000' \
	-f "$firmware/OVMF/OVMF_CODE_4M.fd:code" -f "$firmware/OVMF/OVMF_VARS_4M.fd:vars" \
	-f "$firmware/ovmf/OVMF.fd:whole" -f "$esp:disk" \
	-f "$(kernel_dir)/vmlinuz:vmlinuz" -f "$files/ovmf-initrd:initrd" -- sh tests/t4/x86/ovmf.inside
