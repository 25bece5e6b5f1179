#!/bin/sh
# Firmware from the reset vector on: code that cannot be written, fw_cfg, flash memory that keeps what
# was written to it.
#
# Does not prove that OVMF boots: that takes a KVM that runs stock guests (check-bed).
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/../lib"

cp "$GUESTS/firmware.fd" "$T/code"
head -c 4096 /dev/zero >"$T/vars"

vm -f "$T/code"
is "firmware is entered at the reset vector and finds fw_cfg, and no flash memory" 0 \
	'out:firmware: entered' 'out:firmware: fw_cfg QEMU' 'out:firmware: no flash'
same "its file is as it was" "$T/code" "$GUESTS/firmware.fd"
vm -f "$T/code" -F "$T/vars"
is "with flash memory it writes to that" 0 'out:firmware: first boot'
verdict "and it is in the file" "$([ "$(od -An -tx1 -N2 "$T/vars" | tr -d ' ')" = 4bff ] ||
	od -An -tx1 -N2 "$T/vars")"
vm -f "$T/code" -F "$T/vars" -m 3G -c 2
is "where the next boot finds it" 0 'out:firmware: kept'
vm -f "$T/code" --irqchip split
is "all of it without a PIT, too" 0 'out:firmware: entered'

head -c 61440 "$T/code" >"$T/short"
vm -f "$T/short"
is "firmware of less than 64 KiB is refused" 120 'err:must be a multiple of 4 KiB'
vm -F "$T/vars" -k "$GUESTS/hello.elf"
is "flash memory without firmware is refused" 120 'err:--firmware is not given'

finish
