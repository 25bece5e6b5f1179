#!/bin/sh
# Virtio devices as a guest without a kernel drives them: found, set up, notified by doorbells and
# heard of by interrupts, over each transport and each way of either.
#
# Does not prove that stock drivers find the devices by ACPI (check-bed), nor anything about speed.
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/../lib"

# ways WORD OPTION...: runs it for each way to a device
ways() {
	todo=$1
	shift
	for way in 'pci config=ecam irq=msix' 'pci config=ports irq=msix' 'pci config=ecam irq=intx' \
		'pci config=ports irq=intx' 'mmio'; do
		$todo "$way" --virtio-transport "${way%% *}" "$@"
	done
}

mmio_exits() {
	sed -n 's/.*"mmio": \([0-9]*\).*/\1/p' "$T/report"
}

entropy() {
	way=$1
	shift
	guest virtio -p "device=rng transport=$way n=3" --timeout 60 "$@"
	is "random bytes: $way" 0 'out:virtio: fine'
}
ways entropy --rng

truncate -s 1M "$T/disk"
yes lkvm | tr -d '\n' | head -c 512 >"$T/sector"
sector=0
storage() {
	way=$1
	shift
	sector=$((sector + 100))
	guest virtio -p "device=blk transport=$way sector=$sector" --timeout 60 "$@"
	is "a sector written, flushed and read: $way" 0 'out:virtio: fine'
	dd if="$T/disk" of="$T/written" bs=512 skip=$sector count=1 2>/dev/null
	same "... and it is in the image: $way" "$T/sector" "$T/written"
}
ways storage -d "$T/disk"
ways storage --rng -n down -n down -d "$T/disk" --console virtio

guest virtio -p "device=blk transport=pci irq=msix" -d "$T/disk,ro" --timeout 60
is 'what is read-only takes no write' 1 'out:the request has a status: 0x101'
guest virtio -p "device=rng transport=pci irq=msix" -d "$T/disk" --timeout 60
is 'a device that was not asked for is not there' 1 'out:there is no PCI device of this type'

# Doorbells and messages are the kernel's: more requests are not more exits.
guest virtio -p "device=rng transport=pci irq=msix n=1" --rng --timeout 60
few=$(mmio_exits)
guest virtio -p "device=rng transport=pci irq=msix n=100" --rng --timeout 60
is 'a hundred requests' 0
many=$(mmio_exits)
[ -n "$few" ] && [ "$many" = "$few" ] && why= || why="$few exits for 1, $many for 100; "
verdict 'neither doorbells nor messages exit to the program' "$why"

finish
