#!/bin/bash
# Debian's own kernel, unmodified, under lkvm on real KVM; what is looked at is in stock.inside.
#
# Does not prove figures, nor anything of a physical machine's KVM: the bed's CPU is emulated. That
# the PMU counts is shown for cycles only, all that this CPU's PMU can count.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.bash
. "$(dirname "$0")/../lib.bash"

guest_program tests/t4/arm64/counter.c
guest_program tests/t4/arm64/cycles.c
tests/bed/initramfs -a arm64 "$files/initrd"
# shellcheck disable=SC2016 # the guest expands it
tests/bed/initramfs -a arm64 -f "$files/counter:/bin/counter" -f "$files/cycles:/bin/cycles" -s '
	echo "guest: $(dmesg | grep -o "CPU: All CPU.*")"
	echo "guest: $(counter)"
	echo "guest: $(cycles 2>&1)"' "$files/look"
# shellcheck disable=SC2016 # the guest expands it
tests/bed/initramfs -a arm64 -s 'echo hello from number $$' "$files/hello"
lib=$(library)

# the forms that other distributions ship: gzip, and EFI zboot with zstd
gzip -1 -c "$(kernel_dir)/vmlinuz" >"$files/vmlinuz.gz"
zstd -q -3 -f "$(kernel_dir)/vmlinuz" -o "$files/payload"
# le32 NUMBER: as four bytes
le32() {
	printf '%b' "$(printf '\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24)))"
}
{
	printf 'MZ\0\0zimg'
	le32 64
	le32 "$(stat -c %s "$files/payload")"
	printf '\0\0\0\0\0\0\0\0zstd22'
	head -c 34 /dev/zero
	cat "$files/payload"
} >"$files/vmlinuz.zboot"
exec tests/t4/in-bed -f "$(kernel_dir)/vmlinuz:vmlinuz" -f "$files/initrd:initrd" \
	-f "$files/vmlinuz.gz:vmlinuz.gz" -f "$files/vmlinuz.zboot:vmlinuz.zboot" \
	-f "$files/look:look" -f "$files/hello:hello" -f "$files/counter:counter" -f "$lib:lib/${lib##*/}" \
	-f "$LKVM_BUILD/docs/examples/two_vms:build/arm64/docs/examples/two_vms" \
	-- sh tests/t4/arm64/stock.inside
